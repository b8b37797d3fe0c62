//! An HTML part as lines of text, so that a value never gains or loses a character.
//!
//! The markup is flattened first: of all tags only line breaks and quotations are left, none nested, none with
//! attributes. What html2text then parses and renders is a list of lines, so its cost is linear whatever came in
//! (nested elements, formatting elements and attributes cost html5ever quadratic time), nothing is laid out in
//! columns, and no link, list or bold text is decorated.

use html2text::render::{TaggedLine, TextDecorator};

use super::mime::CUT;

/// Renders the flattened markup; `None` where html2text fails.
pub(super) fn render(flat: &str) -> Option<String> {
    // No line is longer than the whole, so none is wrapped.
    let width = flat.len().max(1);
    html2text::config::with_decorator(Undecorated)
        .raw_mode(true)
        .no_link_wrapping()
        .unicode_strikeout(false)
        .allow_width_overflow()
        .string_from_read(flat.as_bytes(), width)
        .ok()
}

/// Elements whose content is no text (WHATWG HTML, section 13.1.2: raw text, and the title).
const NOT_SHOWN: [&str; 3] = ["script", "style", "title"];

/// Elements that begin and end a line. All others, known or not, are inline: their tags vanish and their text joins.
const LINES: [&str; 46] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "body",
    "br",
    "button",
    "caption",
    "center",
    "dd",
    "details",
    "dialog",
    "dir",
    "div",
    "dl",
    "dt",
    "fieldset",
    "figcaption",
    "figure",
    "footer",
    "form",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "head",
    "header",
    "hr",
    "legend",
    "li",
    "main",
    "nav",
    "ol",
    "option",
    "p",
    "pre",
    "section",
    "summary",
    "table",
    "td",
    "th",
    "tr",
    "ul",
    "textarea",
];

/// Reduces markup to text, `<br>` and un-nested `<blockquote>`; with [`CUT`] in place of markup that never ends.
pub(super) fn flatten(html: &str) -> String {
    let mut flat = Flat {
        out: String::with_capacity(html.len()),
        quotations: 0,
        preformatted: 0,
    };
    let mut rest = html;
    while let Some(open) = rest.find('<') {
        flat.text(&rest[..open]);
        rest = &rest[open..];
        match Markup::at_start_of(rest) {
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
                flat.tag(&name, closes);
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
        // A blank like any other here; as a blank it lets `mime` tell that a run of letters ends.
        let text = text.replace("&nbsp;", " ");
        if self.preformatted == 0 {
            self.out.push_str(&text);
        } else {
            self.out.push_str(&text.replace('\n', "<br>"));
        }
    }

    fn tag(&mut self, name: &str, closes: bool) {
        if !LINES.contains(&name) {
            return;
        }
        match (name, closes) {
            ("blockquote", false) => {
                self.quotations += 1;
                if self.quotations == 1 {
                    return self.out.push_str("<blockquote>");
                }
            }
            ("blockquote", true) if self.quotations > 0 => {
                self.quotations -= 1;
                if self.quotations == 0 {
                    return self.out.push_str("</blockquote>");
                }
            }
            ("pre", false) => self.preformatted += 1,
            ("pre", true) => self.preformatted = self.preformatted.saturating_sub(1),
            _ => {}
        }
        self.out.push_str("<br>");
    }
}

/// What a `<` begins (WHATWG HTML, section 13.2.5.6), and where it ends.
enum Markup {
    /// Nothing: the `<` is text.
    None,
    /// A tag, comment or unshown element whose end is missing.
    Endless,
    /// A comment, declaration or unshown element.
    Unshown { end: usize },
    /// A start tag or an end tag.
    Tag {
        name: String,
        closes: bool,
        end: usize,
    },
}

impl Markup {
    fn at_start_of(text: &str) -> Self {
        let bytes = text.as_bytes();
        let closes = bytes.get(1) == Some(&b'/');
        let name_at = if closes { 2 } else { 1 };
        match bytes.get(name_at) {
            Some(letter) if letter.is_ascii_alphabetic() => Self::tag(text, name_at, closes),
            // `<!-->` is a whole comment too, hence the search from within the opening.
            Some(b'!') if text.starts_with("<!--") => {
                Self::unshown(text[2..].find("-->").map(|at| at + 2 + 3))
            }
            Some(b'!' | b'?') => Self::unshown(text.find('>').map(|at| at + 1)),
            Some(_) if closes => Self::unshown(text.find('>').map(|at| at + 1)),
            Some(_) => Self::None,
            None => Self::Endless,
        }
    }

    fn tag(text: &str, name_at: usize, closes: bool) -> Self {
        let name: String = text[name_at..]
            .chars()
            .take_while(|c| !c.is_ascii_whitespace() && !matches!(c, '/' | '>'))
            .map(|c| c.to_ascii_lowercase())
            .collect();
        let Some(end) = tag_end(text.as_bytes(), name_at + name.len()) else {
            return Self::Endless;
        };
        if NOT_SHOWN.contains(&name.as_str()) && !closes {
            Self::unshown(content_end(text, end, &name))
        } else {
            Self::Tag { name, closes, end }
        }
    }

    fn unshown(end: Option<usize>) -> Self {
        end.map_or(Self::Endless, |end| Self::Unshown { end })
    }
}

/// Past the `>` of a tag; a `>` within a quoted attribute value does not end it.
fn tag_end(bytes: &[u8], after_name: usize) -> Option<usize> {
    let mut quote = None;
    let mut after_equals = false;
    for (at, &byte) in bytes.iter().enumerate().skip(after_name) {
        match (quote, byte) {
            (Some(open), _) if byte == open => quote = None,
            (None, b'"' | b'\'') if after_equals => quote = Some(byte),
            (None, b'>') => return Some(at + 1),
            _ => {}
        }
        after_equals = byte == b'=' || (after_equals && byte.is_ascii_whitespace());
    }
    None
}

/// Where the end tag of an unshown element begins.
fn content_end(text: &str, content: usize, name: &str) -> Option<usize> {
    text[content..]
        .match_indices("</")
        .map(|(at, _)| content + at)
        .find(|at| {
            text.as_bytes()
                .get(at + 2..at + 2 + name.len())
                .is_some_and(|closing| closing.eq_ignore_ascii_case(name.as_bytes()))
        })
}

/// Rendering that adds nothing but the mark of a quotation.
#[derive(Clone)]
struct Undecorated;

const NOTHING: (String, ()) = (String::new(), ());

impl TextDecorator for Undecorated {
    type Annotation = ();

    fn decorate_link_start(&mut self, _url: &str) -> (String, ()) {
        NOTHING
    }
    fn decorate_link_end(&mut self) -> String {
        String::new()
    }
    fn decorate_em_start(&self) -> (String, ()) {
        NOTHING
    }
    fn decorate_em_end(&self) -> String {
        String::new()
    }
    fn decorate_strong_start(&self) -> (String, ()) {
        NOTHING
    }
    fn decorate_strong_end(&self) -> String {
        String::new()
    }
    fn decorate_strikeout_start(&self) -> (String, ()) {
        NOTHING
    }
    fn decorate_strikeout_end(&self) -> String {
        String::new()
    }
    fn decorate_code_start(&self) -> (String, ()) {
        NOTHING
    }
    fn decorate_code_end(&self) -> String {
        String::new()
    }
    fn decorate_preformat_first(&self) {}
    fn decorate_preformat_cont(&self) {}
    fn decorate_image(&mut self, _src: &str, _title: &str) -> (String, ()) {
        NOTHING
    }
    fn header_prefix(&self, _level: usize) -> String {
        String::new()
    }
    fn quote_prefix(&self) -> String {
        "> ".to_owned()
    }
    fn unordered_item_prefix(&self) -> String {
        String::new()
    }
    fn ordered_item_prefix(&self, _i: i64) -> String {
        String::new()
    }
    fn make_subblock_decorator(&self) -> Self {
        Self
    }
    fn finalise(&mut self, _urls: Vec<String>) -> Vec<TaggedLine<()>> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The lines that hold something.
    fn lines(html: &str) -> Vec<String> {
        let text = render(&flatten(html)).expect("rendered");
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
        for name in LINES {
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
}
