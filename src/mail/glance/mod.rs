//! Whether a mail is worth reading at all, told from its octets: most mail is no token mail.
//!
//! ```text
//! head      where the header section ends, and what it says of the body
//! claim     whether a token may stand below a username
//! html      the lines of an HTML text, unrendered
//! username  whether a line may end in a username
//! word      whether a line may end in a token
//! ```
//!
//! It is taken at mail of others than the listed senders alone (see [`super::judge`]). [`Glance::at`] takes some mails that claim nothing for suspects, and none for innocent that [`super::judge`] would
//! call anything but a mail without a token, since
//!
//! - most mails are told without looking for their parts: no line of the whole body may be a username with a token
//!   below it, whether the line is taken as text, HTML or quoted-printable. Whatever may be written in yet another way,
//!   such as base64, is not told like this (see [`Writing`]);
//! - else, which parts are shown is told as [`super::mime`] tells it, by mailparse; only the end of the topmost header
//!   section and the fields in it are found here, and what is odd there is suspect;
//! - a username and a token are the last words of their lines, below a label's colon or at the line's start. The token
//!   stands at most [`claim::REACH`] lines below the username. It has 20 to 32 letters and digits; other than 24 or 25
//!   of all three kinds only below a known label (see [`super::kind`]). What may come to nothing within or beside them
//!   when the text is read, octets beyond ASCII and character references, counts for them;
//! - in each charset that [`ASCII_BASED`] names, an ASCII character comes from its own octet alone. Others are suspect.
//!   So is UTF-16, which a byte order mark chooses under any label;
//! - the markup of HTML is told by the code that [`super::html`] reads it with. Line ends count as lines even where they
//!   are blanks.

mod claim;
mod head;
mod html;
mod username;
mod word;

use mailparse::body::Body;
use mailparse::{ParsedContentType, ParsedMail};
use zeroize::Zeroizing;

use super::mime;
use super::mime_fields::{MimeFields, Writing};
use super::quoted_printable;
use head::Head;
use word::Alphabet;

/// Flattened HTML of so many octets stays within [`mime`]'s limit, whose excess is another reason for its verdict: what
/// grows most, a `<` or a line end, grows to four octets.
const LARGE: usize = 60 << 10;

/// How the labels of charsets begin that are ASCII where they are not something else. The last four are no charsets,
/// and mailparse reads them as ASCII.
const ASCII_BASED: [&str; 20] = [
    "us-ascii",
    "iso-8859-",
    "windows-125",
    "utf-8",
    "utf8",
    "ascii",
    "iso8859-",
    "cp125",
    "koi8-",
    "gb2312",
    "gbk",
    "gb18030",
    "big5",
    "ks_c_5601",
    "euc-",
    "shift_jis",
    "default",
    "unknown-8bit",
    "x-unknown",
    "chinesebig5",
];

/// What a glance at a mail tells.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Glance {
    /// It may claim to be a token mail, or is not to be read at all.
    Suspect,
    /// It claims nothing; its HTML may be too large to be rendered.
    Large,
    /// It claims nothing.
    Innocent,
}

impl Glance {
    /// Glances at a raw mail.
    pub(super) fn at(raw: &[u8]) -> Self {
        let Some(fields) = MimeFields::scan(raw) else {
            return Self::Suspect;
        };
        if is_innocent_as_it_stands(raw, fields.writing) {
            return Self::Innocent;
        }
        let Some(shape) = Shape::of(raw, &fields) else {
            return Self::Suspect;
        };
        let holds = shape.holds();
        if holds.plain.may_claim || holds.html.may_claim {
            Self::Suspect
        } else if holds.size > LARGE {
            Self::Large
        } else {
            Self::Innocent
        }
    }
}

/// What stands above the first empty line.
pub(super) fn header_section(raw: &[u8]) -> &[u8] {
    &raw[..head::empty_line(raw).map_or(raw.len(), |(end, _)| end)]
}

/// Whether no text of the mail claims anything, however the mail falls into parts: most mail is told by this, and the
/// parts are not looked for.
fn is_innocent_as_it_stands(raw: &[u8], writing: Writing) -> bool {
    if writing.is_odd || writing.is_html && raw.len() > LARGE {
        return false;
    }
    let body = head::empty_line(raw).map_or(raw.len(), |(_, body)| body);
    !claim::may_stand_in(&raw[body..], writing, Alphabet::of_encoded(true))
}

/// How a mail is read.
enum Shape<'a> {
    Single(Text<'a>),
    Parts(ParsedMail<'a>),
    /// Nothing of it is shown.
    Hidden,
}

impl<'a> Shape<'a> {
    /// `None` where a glance cannot tell.
    fn of(raw: &'a [u8], fields: &MimeFields) -> Option<Self> {
        let head = Head::of(raw, fields)?;
        let content_type = head.content_type()?;
        let is_plain_section = || head.is_plain(raw).then_some(());
        if content_type.mimetype.starts_with("multipart") {
            is_plain_section()?;
            return head.parse(raw).map(Self::Parts);
        }
        let is_attached = head.is_attached(&content_type)?;
        let text = Text::of(&content_type, head.encoding()?, head.body);
        match text {
            // What mailparse cannot parse is read like this too.
            Some(text) if !is_attached && text.is_bare() => Some(Self::Single(text)),
            Some(text) if !is_attached => is_plain_section().map(|()| Self::Single(text)),
            _ => is_plain_section().map(|()| Self::Hidden),
        }
    }

    fn holds(&self) -> Holds {
        let mut holds = Holds::default();
        match self {
            Self::Single(text) => holds.text(text),
            Self::Parts(mail) => holds.part(mail),
            Self::Hidden => {}
        }
        holds
    }
}

/// What a mail's two readings may hold: that of all its plain texts, and that of all its HTML.
#[derive(Default)]
struct Holds {
    plain: Reading,
    html: Reading,
    /// How many octets of HTML there are.
    size: usize,
}

/// What the texts so far may hold.
#[derive(Default)]
struct Reading {
    has_username: bool,
    may_claim: bool,
}

impl Holds {
    /// Looks at every text of the part.
    fn part(&mut self, part: &ParsedMail) {
        if mime::is_attached_part(part) {
            return;
        }
        match part.get_body_encoded() {
            _ if !part.subparts.is_empty() => {
                part.subparts.iter().for_each(|part| self.part(part));
            }
            Body::QuotedPrintable(body) => {
                self.octets(part, Encoding::QuotedPrintable, body.get_raw());
            }
            Body::Base64(body) => self.octets(part, Encoding::Base64, body.get_raw()),
            Body::SevenBit(body) | Body::EightBit(body) => {
                self.octets(part, Encoding::None, body.get_raw());
            }
            Body::Binary(body) => self.octets(part, Encoding::None, body.get_raw()),
        }
    }

    fn octets(&mut self, part: &ParsedMail, encoding: Encoding, octets: &[u8]) {
        if let Some(text) = Text::of(&part.ctype, encoding, octets) {
            self.text(&text);
        }
    }

    fn text(&mut self, text: &Text) {
        let reading = if text.is_html {
            self.size += text.octets.len();
            &mut self.html
        } else {
            &mut self.plain
        };
        if !reading.may_claim {
            text.read_on(reading);
        }
    }
}

/// The content-transfer-encodings, as far as they matter.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Encoding {
    None,
    QuotedPrintable,
    Base64,
}

/// A text that is no attachment.
struct Text<'a> {
    is_html: bool,
    charset: Charset,
    encoding: Encoding,
    octets: &'a [u8],
}

impl<'a> Text<'a> {
    /// `None` for what is no text.
    fn of(content_type: &ParsedContentType, encoding: Encoding, octets: &'a [u8]) -> Option<Self> {
        let is_html = match content_type.mimetype.as_str() {
            "text/plain" => false,
            "text/html" => true,
            _ => return None,
        };
        Some(Self {
            is_html,
            charset: Charset::of(&content_type.charset),
            encoding,
            octets,
        })
    }

    /// Whether nothing stands between the octets and their reading.
    fn is_bare(&self) -> bool {
        !self.is_html && self.encoding == Encoding::None && self.octets.is_ascii()
    }

    /// Adds what the text may hold to what stands above it.
    fn read_on(&self, reading: &mut Reading) {
        let decoded;
        let text = match self.encoding {
            Encoding::None => self.octets,
            Encoding::QuotedPrintable => {
                let alphabet = Alphabet::of_encoded(self.is_html);
                if self.charset != Charset::Other
                    && !reading.has_username
                    && !username::may_stand_in(self.octets, alphabet)
                {
                    return;
                }
                decoded = quoted_printable::decoded(self.octets);
                decoded.as_slice()
            }
            Encoding::Base64 => {
                let encoding = Some("base64".to_owned());
                let octets = match Body::new(self.octets, &ParsedContentType::default(), &encoding)
                {
                    Body::Base64(body) => body.get_decoded(),
                    _ => return,
                };
                // What cannot be decoded shows nothing.
                decoded = Zeroizing::new(octets.unwrap_or_default());
                decoded.as_slice()
            }
        };
        let charset = self.charset.with_mark(text);
        if charset == Charset::Other {
            reading.may_claim = true;
            return;
        }
        let alphabet = Alphabet::of(charset, self.is_html);
        let is_below = reading.has_username;
        reading.has_username |= username::may_stand_in(text, alphabet);
        reading.may_claim = match (is_below, self.is_html) {
            // How far above the username stands is not told across parts.
            (true, true) => html::may_hold_token(text, alphabet, usize::MAX),
            (true, false) => alphabet.may_hold_token(text),
            (false, true) => html::may_claim(text, alphabet),
            (false, false) => claim::may_stand_in(text, Writing::default(), alphabet),
        };
    }
}

/// What the charset of a text means for its ASCII.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Charset {
    /// ISO-8859-1, which is read as Windows-1252.
    Latin,
    /// An ASCII character comes from its own octet alone.
    AsciiBased,
    Other,
}

impl Charset {
    fn of(label: &str) -> Self {
        let label = label.as_bytes();
        if label.eq_ignore_ascii_case(b"iso-8859-1") {
            Self::Latin
        } else if ASCII_BASED.iter().any(|start| {
            label
                .get(..start.len())
                .is_some_and(|label| label.eq_ignore_ascii_case(start.as_bytes()))
        }) {
            Self::AsciiBased
        } else {
            Self::Other
        }
    }

    /// That of a text which may begin with a byte order mark: it counts more than the label.
    fn with_mark(self, text: &[u8]) -> Self {
        match text {
            [0xFE, 0xFF, ..] | [0xFF, 0xFE, ..] => Self::Other,
            [0xEF, 0xBB, 0xBF, ..] if self == Self::Latin => Self::AsciiBased,
            _ => self,
        }
    }
}

#[cfg(test)]
mod tests;
