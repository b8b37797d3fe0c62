//! Which parts of a mail a reader is shown, as text.

use std::mem;

use mailparse::body::Body;
use mailparse::{
    DispositionType, MailHeaderMap, ParsedContentType, ParsedMail, parse_content_disposition,
};
use memchr::memchr_iter;
use zeroize::Zeroizing;

use super::html;
use super::kind::Rules;
use super::mime_fields::MimeFields;
use super::quoted_printable;

/// Why a mail, or its HTML, was not read. No token mail is like that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// More MIME parts, or longer MIME fields, than any token mail has.
    TooManyParts,
    /// More HTML than any token mail has.
    HtmlTooLarge,
}

impl Unread {
    /// The stable kebab-case word.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::TooManyParts => "too-many-parts",
            Self::HtmlTooLarge => "html-too-large",
        }
    }
}

/// Stands at the end of a text that ends where the input ends: the last word may be cut short. A private-use
/// character, which no label, username or token holds.
pub(super) const CUT: char = '\u{E000}';

/// A token mail shows at most 4 KiB; 256 KiB of text and line breaks is far beyond and still cheap to render.
const MAX_FLAT_HTML: usize = 256 << 10;

/// What a reader of the mail sees: no attachments, no embedded messages.
pub(super) struct Shown {
    /// The text/plain parts.
    pub(super) plain: Zeroizing<String>,
    /// The text/html parts, rendered; empty where they cannot show what is looked for.
    pub(super) html: Zeroizing<String>,
    /// Set where the HTML parts were not read.
    pub(super) unread: Option<Unread>,
    /// The MIME structure cannot be parsed, and `plain` is the body as it came.
    pub(super) unparsed: bool,
    /// The mail is a single text, or the alternative of one text and its HTML and nothing else: no other
    /// Content-Type on top would show what this one hides, or hide what it shows.
    pub(super) is_simple: bool,
}

impl Shown {
    pub(super) fn of(raw: &[u8], rules: &Rules) -> Result<Self, Unread> {
        if MimeFields::scan(raw).is_none() {
            return Err(Unread::TooManyParts);
        }
        let Ok(mail) = mailparse::parse_mail(raw) else {
            return Ok(Self {
                plain: Zeroizing::new(String::from_utf8_lossy(body(raw)).into_owned()),
                html: Zeroizing::default(),
                unread: None,
                unparsed: true,
                is_simple: false,
            });
        };
        let leaves = Leaves::of(raw, &mail);
        let (html, unread) = render(&leaves.flat_html, rules);
        Ok(Self {
            plain: leaves.plain,
            html,
            unread,
            unparsed: false,
            is_simple: is_simple(&mail),
        })
    }
}

fn is_simple(mail: &ParsedMail) -> bool {
    let is_text = |part: &ParsedMail| {
        matches!(part.ctype.mimetype.as_str(), "text/plain" | "text/html")
            && !is_attached_part(part)
    };
    match mail.subparts.as_slice() {
        [] => is_text(mail) && reads_as_labelled(mail),
        [first, second] => {
            mail.ctype.mimetype == "multipart/alternative"
                && is_text(first)
                && is_text(second)
                && first.ctype.mimetype != second.ctype.mimetype
                && has_no_other_text(mail, first, second)
        }
        _ => false,
    }
}

/// Whether a single text is what its Content-Type says: not the source of several parts, which would show what they
/// hide, and no HTML where text is said, nor the other way round.
fn reads_as_labelled(text: &ParsedMail) -> bool {
    let is_markup = decoded(text).trim_start().starts_with('<');
    is_markup == (text.ctype.mimetype == "text/html") && !has_part_field(body(text.raw_bytes))
}

/// Whether a line begins as a MIME field does: `Content-`, letters and hyphens, a colon.
fn has_part_field(body: &[u8]) -> bool {
    const START: &[u8] = b"content-";
    let begins_field = |at: usize| {
        let below = &body[at + 1..];
        let is_line = at + 1 == START.len() || body[at + 1 - START.len() - 1] == b'\n';
        let name = below
            .iter()
            .position(|octet| !(octet.is_ascii_alphabetic() || *octet == b'-'))
            .unwrap_or(below.len());
        let mut above_colon = below[name..]
            .iter()
            .skip_while(|octet| matches!(octet, b' ' | b'\t'));
        is_line && name > 0 && above_colon.next() == Some(&b':')
    };
    memchr_iter(b'-', body).any(|at| {
        body[..=at]
            .last_chunk::<{ START.len() }>()
            .is_some_and(|start| start.eq_ignore_ascii_case(START))
            && begins_field(at)
    })
}

/// Whether nothing stands above, between and below two parts but their delimiters (RFC 2046, section 5.1.1).
fn has_no_other_text(mail: &ParsedMail, first: &ParsedMail, second: &ParsedMail) -> bool {
    let at = |part: &ParsedMail| {
        let begin = part.raw_bytes.as_ptr().addr() - mail.raw_bytes.as_ptr().addr();
        begin..begin + part.raw_bytes.len()
    };
    let body = mail.raw_bytes.len() - body(mail.raw_bytes).len();
    let (first, second) = (at(first), at(second));
    [
        body..first.start,
        first.end..second.start,
        second.end..mail.raw_bytes.len(),
    ]
    .into_iter()
    .all(|between| {
        mail.raw_bytes.get(between).is_some_and(|octets| {
            let octets = octets.trim_ascii();
            octets.starts_with(b"--") && !octets.contains(&b'\n')
        })
    })
}

/// What follows the first empty line below the first line.
fn body(raw: &[u8]) -> &[u8] {
    memchr_iter(b'\n', raw)
        .find_map(|end| match &raw[end + 1..] {
            [b'\n', body @ ..] | [b'\r', b'\n', body @ ..] => Some(body),
            _ => None,
        })
        .unwrap_or_default()
}

struct Leaves {
    /// Where the input ends.
    end: *const u8,
    plain: Zeroizing<String>,
    flat_html: Zeroizing<String>,
}

impl Leaves {
    fn of(raw: &[u8], mail: &ParsedMail) -> Self {
        let mut leaves = Self {
            end: raw.as_ptr_range().end,
            plain: Zeroizing::default(),
            flat_html: Zeroizing::default(),
        };
        leaves.collect(mail);
        leaves
    }

    fn collect(&mut self, part: &ParsedMail) {
        if is_attached_part(part) {
            return;
        }
        match part.ctype.mimetype.as_str() {
            "text/plain" => {
                let text = self.text_of(part);
                self.plain.push_str(&text);
                self.plain.push('\n');
            }
            "text/html" => {
                let flat = html::flatten(&self.text_of(part));
                self.flat_html.push_str(&flat);
                self.flat_html.push_str("</blockquote><br>");
            }
            // message/* has no subparts here: mailparse leaves embedded messages unread.
            _ => part.subparts.iter().for_each(|part| self.collect(part)),
        }
    }

    /// The part's text, with [`CUT`] where no delimiter closes the part and no line end closes its last line.
    fn text_of(&self, part: &ParsedMail) -> Zeroizing<String> {
        let mut text = decoded(part);
        if part.raw_bytes.as_ptr_range().end == self.end && !text.ends_with('\n') {
            // A CR at the very end is half a line end, perhaps that of a soft line break.
            let whole = text.trim_end_matches('\r').len();
            text.truncate(whole);
            text.push(CUT);
        }
        text
    }
}

/// RFC 2183; a part with a file name is an attachment for every mail program, whatever it calls itself.
pub(super) fn is_attached(content_type: &ParsedContentType, disposition: Option<&str>) -> bool {
    content_type.params.contains_key("name")
        || disposition
            .map(parse_content_disposition)
            .is_some_and(|disposition| {
                disposition.disposition == DispositionType::Attachment
                    || disposition.params.contains_key("filename")
            })
}

pub(super) fn is_attached_part(part: &ParsedMail) -> bool {
    let disposition = part.headers.get_first_value("Content-Disposition");
    is_attached(&part.ctype, disposition.as_deref())
}

/// The part's text; empty where its transfer encoding is broken.
fn decoded(part: &ParsedMail) -> Zeroizing<String> {
    let is_labelled = |charset: &str| part.ctype.charset.eq_ignore_ascii_case(charset);
    let is_utf8 = is_labelled("utf-8");
    // Without a charset the label is us-ascii, but mails that omit it are UTF-8 more often than Windows-1252.
    let utf8 = if is_utf8 || is_labelled("us-ascii") {
        octets(part).and_then(|octets| String::from_utf8(octets).ok())
    } else {
        None
    };
    // A byte order mark belongs to the encoding, and mailparse knows it.
    let utf8 = utf8.filter(|text| !(is_utf8 && text.starts_with('\u{FEFF}')));
    Zeroizing::new(utf8.or_else(|| part.get_body().ok()).unwrap_or_default())
}

/// The part's octets, with the transfer encoding undone.
fn octets(part: &ParsedMail) -> Option<Vec<u8>> {
    match part.get_body_encoded() {
        Body::QuotedPrintable(body) => {
            Some(mem::take(&mut *quoted_printable::decoded(body.get_raw())))
        }
        _ => part.get_body_raw().ok(),
    }
}

/// Why the HTML of a mail would not be read, told without reading it.
pub(super) fn unread(raw: &[u8], rules: &Rules) -> Option<Unread> {
    let mail = mailparse::parse_mail(raw).ok()?;
    let html = Leaves::of(raw, &mail).flat_html;
    (html.len() > MAX_FLAT_HTML && (rules.may_be_shown_by)(&html)).then_some(Unread::HtmlTooLarge)
}

fn render(flat: &str, rules: &Rules) -> (Zeroizing<String>, Option<Unread>) {
    if !(rules.may_be_shown_by)(flat) {
        return (Zeroizing::default(), None);
    }
    if flat.len() > MAX_FLAT_HTML {
        return (Zeroizing::default(), Some(Unread::HtmlTooLarge));
    }
    (html::render(flat), None)
}
