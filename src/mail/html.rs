//! An HTML part as lines of text, so that a value never gains or loses a character.
//!
//! The markup is flattened first: of all tags only line breaks and quotations are left, none nested, none with
//! attributes. So html5ever's tokenizer, which undoes character references as browsers do, meets nothing whose cost is
//! not linear; nothing is laid out in columns, and no link, list or bold text is decorated.

use std::cell::RefCell;

use html5ever::tendril::StrTendril;
use html5ever::tokenizer::{
    BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};
use memchr::{memchr, memchr_iter, memchr2, memmem};
use zeroize::Zeroizing;

use super::mime::CUT;
use super::reading::is_invisible;

/// The lines that the flattened markup shows; those of a quotation begin with `> `.
pub(super) fn render(flat: &str) -> Zeroizing<String> {
    let input = BufferQueue::default();
    input.push_back(StrTendril::from_slice(flat));
    let tokenizer = Tokenizer::new(Screen::new(flat.len()), TokenizerOpts::default());
    // Nothing of what is left of the markup makes the tokenizer stop before the end.
    let _ = tokenizer.feed(&input);
    tokenizer.end();
    tokenizer.sink.0.into_inner().text
}

/// What a reader sees, as tokens add to it.
struct Screen(RefCell<Lines>);

struct Lines {
    text: Zeroizing<String>,
    is_quoted: bool,
    /// Nothing stands in the last line.
    is_new: bool,
    /// Blanks stand behind what stands in the last line.
    is_parted: bool,
}

impl Screen {
    /// For about so many octets.
    fn new(size: usize) -> Self {
        Self(RefCell::new(Lines {
            text: Zeroizing::new(String::with_capacity(size)),
            is_quoted: false,
            is_new: true,
            is_parted: false,
        }))
    }
}

impl TokenSink for Screen {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        let mut lines = self.0.borrow_mut();
        match token {
            Token::CharacterTokens(text) => lines.add(&text),
            Token::TagToken(tag) => lines.begin(&tag),
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

impl Lines {
    /// Adds text, in which any blanks in a row are one (CSS Text Level 3, section 4.1.1).
    fn add(&mut self, text: &str) {
        let mut words = text.split(|c: char| c.is_ascii_whitespace());
        self.join(words.next().unwrap_or_default());
        for word in words {
            self.is_parted = true;
            self.join(word);
        }
    }

    /// Adds what may be the rest of a word.
    fn join(&mut self, word: &str) {
        if word.is_empty() {
            return;
        }
        if self.is_new {
            self.text.push_str(if self.is_quoted { "> " } else { "" });
        } else if self.is_parted {
            self.text.push(' ');
        }
        self.is_new = false;
        self.is_parted = false;
        if word.bytes().all(|octet| octet.is_ascii_graphic()) {
            self.text.push_str(word);
        } else {
            self.text.extend(word.split(shows_nothing));
        }
    }

    /// Begins a line, and perhaps a quotation or what stands below it.
    fn begin(&mut self, tag: &Tag) {
        self.text.push('\n');
        self.is_new = true;
        if &*tag.name == "blockquote" {
            self.is_quoted = tag.kind == TagKind::StartTag;
        }
    }
}

/// Control characters, and what [`is_invisible`] names, but the mark of what is cut.
fn shows_nothing(c: char) -> bool {
    c != CUT && (c.is_control() && !c.is_whitespace() || is_invisible(c))
}

/// Elements whose content is no text (WHATWG HTML, section 13.1.2: raw text, and the title).
const NOT_SHOWN: [&[u8]; 3] = [b"script", b"style", b"title"];

/// The longest name of an element that [`is_line`] knows.
const LONGEST_LINE: usize = 10;

/// Whether an element begins and ends a line. All others, known or not, are inline: their tags vanish and their text
/// joins.
pub(super) fn is_line(name: &[u8]) -> bool {
    let mut lower = [0; LONGEST_LINE];
    let Some(lower) = lower.get_mut(..name.len()) else {
        return false;
    };
    lower.copy_from_slice(name);
    lower.make_ascii_lowercase();
    // One comparison decides most names, and a mail may have thousands.
    match &*lower {
        b"p" => true,
        [_, _] => matches!(
            &*lower,
            b"br"
                | b"dd"
                | b"dl"
                | b"dt"
                | b"h1"
                | b"h2"
                | b"h3"
                | b"h4"
                | b"h5"
                | b"h6"
                | b"hr"
                | b"li"
                | b"ol"
                | b"td"
                | b"th"
                | b"tr"
                | b"ul"
        ),
        [_, _, _] => matches!(&*lower, b"dir" | b"div" | b"nav" | b"pre"),
        [_, _, _, _] => matches!(&*lower, b"body" | b"form" | b"head" | b"main"),
        _ => matches!(
            &*lower,
            b"address"
                | b"article"
                | b"aside"
                | b"blockquote"
                | b"button"
                | b"caption"
                | b"center"
                | b"details"
                | b"dialog"
                | b"fieldset"
                | b"figcaption"
                | b"figure"
                | b"footer"
                | b"header"
                | b"legend"
                | b"option"
                | b"section"
                | b"summary"
                | b"table"
                | b"textarea"
        ),
    }
}

/// Reduces markup to text, `<br>` and un-nested `<blockquote>`; with [`CUT`] in place of markup that never ends.
pub(super) fn flatten(html: &str) -> String {
    let mut flat = Flat {
        out: String::with_capacity(html.len()),
        quotations: 0,
        preformatted: 0,
    };
    let mut rest = html;
    while let Some(open) = memchr(b'<', rest.as_bytes()) {
        flat.text(&rest[..open]);
        rest = &rest[open..];
        match Markup::at_start_of(rest.as_bytes()) {
            Markup::None => {
                flat.text("&lt;");
                rest = &rest[1..];
            }
            Markup::Endless => {
                flat.out.push(CUT);
                return flat.out;
            }
            Markup::Unshown { end } => rest = &rest[end..],
            Markup::Tag { name, closes, end } => {
                rest = &rest[end..];
                flat.tag(name, closes);
            }
        }
    }
    flat.text(rest);
    flat.out
}

struct Flat {
    out: String,
    quotations: usize,
    preformatted: usize,
}

impl Flat {
    fn text(&mut self, text: &str) {
        let mut rest = text;
        while let Some(at) = memchr2(b'&', b'\n', rest.as_bytes()) {
            let (above, mark) = rest.split_at(at);
            self.out.push_str(above);
            // A blank like any other here; as a blank it lets `mime` tell that a run of letters ends.
            if let Some(below) = mark.strip_prefix("&nbsp;") {
                self.out.push(' ');
                rest = below;
            } else {
                let (mark, below) = mark.split_at(1);
                let is_line_end = mark == "\n" && self.preformatted > 0;
                self.out.push_str(if is_line_end { "<br>" } else { mark });
                rest = below;
            }
        }
        self.out.push_str(rest);
    }

    fn tag(&mut self, name: &[u8], closes: bool) {
        if !is_line(name) {
            return;
        }
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        match closes {
            false if is(b"blockquote") => {
                self.quotations += 1;
                if self.quotations == 1 {
                    return self.out.push_str("<blockquote>");
                }
            }
            true if is(b"blockquote") && self.quotations > 0 => {
                self.quotations -= 1;
                if self.quotations == 0 {
                    return self.out.push_str("</blockquote>");
                }
            }
            false if is(b"pre") => self.preformatted += 1,
            true if is(b"pre") => self.preformatted = self.preformatted.saturating_sub(1),
            _ => {}
        }
        self.out.push_str("<br>");
    }
}

/// What a `<` begins (WHATWG HTML, section 13.2.5.6), and where it ends. Told from octets, so that a glance can tell it
/// in every charset that has ASCII's markup.
pub(super) enum Markup<'a> {
    /// Nothing: the `<` is text.
    None,
    /// A tag, comment or unshown element whose end is missing.
    Endless,
    /// A comment, declaration or unshown element.
    Unshown { end: usize },
    /// A start tag or an end tag; the name in any case.
    Tag {
        name: &'a [u8],
        closes: bool,
        end: usize,
    },
}

impl<'a> Markup<'a> {
    pub(super) fn at_start_of(text: &'a [u8]) -> Self {
        let closes = text.get(1) == Some(&b'/');
        let name_at = if closes { 2 } else { 1 };
        match text.get(name_at) {
            Some(letter) if letter.is_ascii_alphabetic() => Self::tag(text, name_at, closes),
            // `<!-->` is a whole comment too, hence the search from within the opening.
            Some(b'!') if text.starts_with(b"<!--") => {
                Self::unshown(memmem::find(&text[2..], b"-->").map(|at| at + 2 + 3))
            }
            Some(b'!' | b'?') => Self::unshown(memchr(b'>', text).map(|at| at + 1)),
            Some(_) if closes => Self::unshown(memchr(b'>', text).map(|at| at + 1)),
            Some(_) => Self::None,
            None => Self::Endless,
        }
    }

    fn tag(text: &'a [u8], name_at: usize, closes: bool) -> Self {
        let name = &text[name_at..];
        let length = name
            .iter()
            .position(|c| c.is_ascii_whitespace() || matches!(c, b'/' | b'>'))
            .unwrap_or(name.len());
        let name = &name[..length];
        let Some(end) = tag_end(text, name_at + length) else {
            return Self::Endless;
        };
        let is = |unshown: &&[u8]| name.eq_ignore_ascii_case(unshown);
        if !closes && NOT_SHOWN.iter().any(is) {
            Self::unshown(content_end(text, end, name))
        } else {
            Self::Tag { name, closes, end }
        }
    }

    fn unshown(end: Option<usize>) -> Self {
        end.map_or(Self::Endless, |end| Self::Unshown { end })
    }
}

/// Past the `>` of a tag; a `>` within a quoted attribute value does not end it.
fn tag_end(text: &[u8], after_name: usize) -> Option<usize> {
    let mut at = after_name;
    loop {
        let octet = *text.get(at)?;
        at += 1;
        if octet == b'>' {
            return Some(at);
        }
        // A quote opens a value only below an equals sign; elsewhere it is a character like any other.
        if octet == b'=' {
            let value = text[at..].trim_ascii_start();
            if let Some(&quote @ (b'"' | b'\'')) = value.first() {
                at = text.len() - value.len() + 1;
                at += memchr(quote, &text[at..])? + 1;
            }
        }
    }
}

/// Where the end tag of an unshown element begins.
fn content_end(text: &[u8], content: usize, name: &[u8]) -> Option<usize> {
    memchr_iter(b'<', &text[content..])
        .map(|at| content + at)
        .find(|&at| {
            text[at + 1..].first() == Some(&b'/')
                && text
                    .get(at + 2..at + 2 + name.len())
                    .is_some_and(|closing| closing.eq_ignore_ascii_case(name))
        })
}

#[cfg(test)]
mod tests {
    use super::super::mutation::{Dice, fixtures};
    use super::*;

    /// The lines that hold something.
    fn lines(html: &str) -> Vec<String> {
        let text = render(&flatten(html));
        text.lines()
            .map(|line| line.trim().to_owned())
            .filter(|line| !matches!(line.as_str(), "" | ">"))
            .collect()
    }

    #[test]
    fn inline_elements_neither_split_nor_decorate_a_value() {
        let html = "Token: <b>Ab</b><code>1</code><a href=\"https://x.example/?a>b\" title='>'>Cd</a><wbr>2\
                    <span style=\"color:red\">E</span><s>f</s><sup>3</sup><del>G</del><img alt=no src=x><font>4</font>";
        assert_eq!(lines(html), ["Token: Ab1Cd2Ef3G4"]);
    }

    #[test]
    fn every_block_is_a_line_of_its_own() {
        let names = "address article aside blockquote body br button caption center dd details dialog dir div dl dt fieldset \
             figcaption figure footer form h1 h2 h3 h4 h5 h6 head header hr legend li main nav ol option p pre section \
             summary table td textarea th tr ul";
        for name in names.split(' ') {
            let html = format!("one<{name}>two</{name}>three");
            let lines = lines(&html);
            let unquoted: Vec<&str> = lines
                .iter()
                .map(|line| line.trim_start_matches("> "))
                .collect();
            assert_eq!(unquoted.first(), Some(&"one"), "{name}: {lines:?}");
            assert_eq!(unquoted.last(), Some(&"three"), "{name}: {lines:?}");
        }
    }

    #[test]
    fn a_table_is_read_cell_by_cell() {
        let html = "<table><tr><th>Username:</th><td>a@b.example</td></tr><tr><td colspan=2><table><tr><td>Token:\
                    <td>x</table></table>";
        assert_eq!(lines(html), ["Username:", "a@b.example", "Token:", "x"]);
    }

    #[test]
    fn a_quotation_is_marked_once() {
        assert_eq!(
            lines("a<blockquote><blockquote>b<br>c</blockquote>d</blockquote>e"),
            ["a", "> b", "> c", "> d", "e"]
        );
    }

    #[test]
    fn preformatted_lines_stay_lines_and_others_are_reflowed() {
        assert_eq!(lines("<pre>a\nb</pre><p>c\nd</p>"), ["a", "b", "c d"]);
    }

    #[test]
    fn comments_scripts_and_declarations_are_not_shown() {
        let html = "<!DOCTYPE html><?xml version=\"1.0\"?><title>t</title><style>p > a {}</style><!-- <p>c</p> -->\
                    <!-->a<![if !mso]>b<![endif]><script>\"</p>\"</SCRIPT>c</>d < e &lt; f & g";
        assert_eq!(lines(html), ["abcd < e < f & g"]);
    }

    #[test]
    fn what_shows_nothing_is_not_there() {
        assert_eq!(
            lines("T&shy;o\u{200B}k\u{1}en:&nbsp;&#65;b&#x31;<br>&ZeroWidthSpace;&gt; quoted"),
            ["Token: Ab1", "> quoted"]
        );
    }

    #[test]
    fn what_never_ends_is_not_shown_and_marked() {
        for html in [
            "a<p",
            "a<b title=\"",
            "a<!-- b",
            "a<style>b\n",
            "a<!b",
            "a</b",
            "a<b\n",
            "a<",
            "a</",
        ] {
            assert_eq!(lines(html), [format!("a{CUT}")], "{html}");
        }
    }

    /// As [`tag_end`], octet by octet.
    fn slow_tag_end(text: &[u8], after_name: usize) -> Option<usize> {
        let mut quote = None;
        let mut after_equals = false;
        for (at, &octet) in text.iter().enumerate().skip(after_name) {
            match (quote, octet) {
                (Some(open), _) if octet == open => quote = None,
                (None, b'"' | b'\'') if after_equals => quote = Some(octet),
                (None, b'>') => return Some(at + 1),
                _ => {}
            }
            after_equals = octet == b'=' || (after_equals && octet.is_ascii_whitespace());
        }
        None
    }

    #[test]
    fn a_tag_ends_where_it_does_octet_by_octet() {
        let mut dice = Dice(4);
        for (_, mut mail) in fixtures() {
            for _ in 0..3 {
                let tags = memchr_iter(b'<', &mail).take(200);
                for at in tags {
                    assert_eq!(tag_end(&mail, at + 1), slow_tag_end(&mail, at + 1));
                }
                dice.mutate(&mut mail);
            }
        }
        let pieces: [&[u8]; 12] = [
            b"a", b"=", b"\"", b"'", b" ", b"\n", b"\x0C", b">", b"<", b"=\"", b"= '", b"\x80",
        ];
        for _ in 0..50_000 {
            let text: Vec<u8> = (0..dice.throw(16))
                .flat_map(|_| dice.pick(&pieces).to_vec())
                .collect();
            assert_eq!(
                tag_end(&text, 0),
                slow_tag_end(&text, 0),
                "{}",
                text.escape_ascii()
            );
        }
    }
}
