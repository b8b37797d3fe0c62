//! Where the topmost header section of a mail ends, and what it says of the body.

use std::sync::LazyLock;

use mailparse::{ParsedContentType, ParsedMail, parse_content_type, parse_header};
use memchr::memchr;
use memchr::memmem::Finder;

use super::super::mime;
use super::super::mime_fields::MimeFields;
use super::Encoding;

/// The fields that tell how the body is read, each from its first octet on, and the body.
pub(super) struct Head<'a> {
    content_type: Option<&'a [u8]>,
    disposition: Option<&'a [u8]>,
    encoding: Option<&'a [u8]>,
    pub(super) body: &'a [u8],
    /// Where the empty line begins that ends the section.
    end: usize,
}

impl<'a> Head<'a> {
    /// `None` where a field's name is odd.
    pub(super) fn of(raw: &'a [u8], fields: &MimeFields) -> Option<Self> {
        let (end, body) = empty_line(raw).unwrap_or((raw.len(), raw.len()));
        let field = |at: Option<usize>, name: &str| match at.filter(|&at| at < end) {
            // mailparse takes a line without a colon for the name of a field without a value.
            Some(at) if raw.get(at + name.len()) != Some(&b':') => None,
            Some(at) => Some(Some(&raw[at..])),
            None => Some(None),
        };
        Some(Self {
            content_type: field(fields.content_type, "content-type")?,
            disposition: field(fields.disposition, "content-disposition")?,
            encoding: field(fields.encoding, "content-transfer-encoding")?,
            body: &raw[body..],
            end,
        })
    }

    /// `None`, here and below, where mailparse cannot read the field.
    pub(super) fn content_type(&self) -> Option<ParsedContentType> {
        match self.content_type {
            Some(field) => Some(parse_content_type(&value(field)?)),
            None => Some(ParsedContentType::default()),
        }
    }

    pub(super) fn is_attached(&self, content_type: &ParsedContentType) -> Option<bool> {
        Some(match self.disposition {
            Some(field) => mime::is_attached(content_type, Some(&value(field)?)),
            None => mime::is_attached(content_type, None),
        })
    }

    pub(super) fn encoding(&self) -> Option<Encoding> {
        let Some(field) = self.encoding else {
            return Some(Encoding::None);
        };
        Some(match value(field)?.to_lowercase().as_str() {
            "quoted-printable" => Encoding::QuotedPrintable,
            "base64" => Encoding::Base64,
            _ => Encoding::None,
        })
    }

    /// The mail without the fields above those that matter: with many fields, mailparse takes longer for them than for
    /// the parts.
    pub(super) fn parse(&self, raw: &'a [u8]) -> Option<ParsedMail<'a>> {
        let fields = [self.content_type, self.disposition, self.encoding];
        let longest = fields.into_iter().flatten().max_by_key(|field| field.len());
        mailparse::parse_mail(longest.unwrap_or(raw)).ok()
    }

    /// Whether mailparse takes the section for what it looks like: not where a fold stands below no field, or a line
    /// begins with a lone CR. It reads all of such a mail as text.
    pub(super) fn is_plain(&self, raw: &[u8]) -> bool {
        let section = &raw[..self.end];
        let mut has_field = false;
        let mut begin = 0;
        while begin < section.len() {
            let end = memchr(b'\n', &section[begin..]).map_or(section.len(), |at| begin + at);
            match section[begin] {
                b'\r' => return false,
                b' ' | b'\t' if !has_field => return false,
                b' ' | b'\t' => {}
                _ => has_field = memchr(b':', &section[begin..end]).is_some(),
            }
            begin = end + 1;
        }
        true
    }
}

/// Where the first empty line begins and ends. No text is shown above it.
pub(super) fn empty_line(raw: &[u8]) -> Option<(usize, usize)> {
    static BARE: LazyLock<Finder> = LazyLock::new(|| Finder::new(b"\n\n"));
    static WITH_CR: LazyLock<Finder> = LazyLock::new(|| Finder::new(b"\n\r\n"));
    if raw.starts_with(b"\n") {
        return Some((0, 1));
    }
    if raw.starts_with(b"\r\n") {
        return Some((0, 2));
    }
    let bare = BARE.find(raw);
    let before = &raw[..bare.map_or(raw.len(), |at| at + 1)];
    match WITH_CR.find(before) {
        Some(at) => Some((at + 1, at + 3)),
        None => bare.map(|at| (at + 1, at + 2)),
    }
}

/// The value of the field at the start.
fn value(field: &[u8]) -> Option<String> {
    let (header, _) = parse_header(field).ok()?;
    Some(header.get_value())
}
