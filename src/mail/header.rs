//! The header section as bytes: what stands there, before any library interprets it.
//!
//! Parsers differ over what a malformed header section means, and an attacker picks the reading that suits (Chen et
//! al., "Composition Kills", USENIX Security 2020). So nothing malformed is interpreted at all.

use memchr::{memchr, memchr2};

use super::refusal::HeaderFault;

/// A well-formed header section (RFC 5322, section 2.2) and the body below it.
pub(super) struct Section<'a> {
    fields: Vec<Field<'a>>,
    /// Everything after the empty line.
    pub(super) body: &'a [u8],
}

/// One header field, folded as it came.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    raw: &'a [u8],
    colon: usize,
}

impl<'a> Section<'a> {
    /// Reads the header section; LF and CRLF may both end a line.
    pub(super) fn scan(raw: &'a [u8]) -> Result<Self, HeaderFault> {
        let mut fields: Vec<Field<'a>> = Vec::new();
        let mut at = 0;
        while at < raw.len() {
            let start = at;
            at = memchr(b'\n', &raw[at..]).map_or(raw.len(), |end| start + end + 1);
            let line = &raw[start..at];
            let text = line.strip_suffix(b"\n").unwrap_or(line);
            let text = text.strip_suffix(b"\r").unwrap_or(text);
            if text.is_empty() {
                return if fields.is_empty() {
                    Err(HeaderFault::LeadingBlankLine)
                } else {
                    Ok(Self {
                        fields,
                        body: &raw[at..],
                    })
                };
            }
            check_bytes(text)?;
            if matches!(text[0], b' ' | b'\t') {
                let field = fields.last_mut().ok_or(HeaderFault::LeadingFold)?;
                if text.trim_ascii().is_empty() {
                    return Err(HeaderFault::BlankFold);
                }
                let field_start = start - field.raw.len();
                field.raw = &raw[field_start..at];
            } else {
                let colon = colon_after_name(text)?;
                fields.push(Field {
                    raw: &raw[start..at],
                    colon,
                });
            }
        }
        Ok(Self {
            fields,
            body: &raw[at..],
        })
    }

    /// All fields, in order.
    pub(super) fn fields(&self) -> &[Field<'a>] {
        &self.fields
    }

    /// The fields of this name, in order.
    pub(super) fn named(&self, name: &str) -> impl Iterator<Item = Field<'a>> {
        self.fields
            .iter()
            .copied()
            .filter(move |field| field.is_named(name))
    }

    /// The only field of this name, or `None` where there is none or more than one.
    pub(super) fn only(&self, name: &str) -> Option<Field<'a>> {
        let mut fields = self.named(name);
        fields.next().filter(|_| fields.next().is_none())
    }
}

impl<'a> Field<'a> {
    /// The whole field as it came, name and folds included.
    pub(super) fn raw(self) -> &'a [u8] {
        self.raw
    }

    /// The name as it came.
    pub(super) fn name(self) -> &'a [u8] {
        &self.raw[..self.colon]
    }

    /// Whether this is its name, in any case.
    pub(super) fn is_named(self, name: &str) -> bool {
        self.name().eq_ignore_ascii_case(name.as_bytes())
    }

    /// Whether both are the same field of one mail, not two alike.
    pub(super) fn is(self, other: Field) -> bool {
        std::ptr::eq(self.raw.as_ptr(), other.raw.as_ptr())
    }

    /// Everything after the colon as it came, folds and line end included. A scanned section is ASCII.
    pub(super) fn raw_value(self) -> &'a str {
        std::str::from_utf8(&self.raw[self.colon + 1..]).unwrap_or_default()
    }

    /// The value, unfolded (RFC 5322, section 2.2.3) and trimmed. A scanned section is ASCII, so nothing is lost.
    pub(super) fn value(self) -> String {
        let value = self.raw_value().trim_matches([' ', '\t', '\r', '\n']);
        let mut unfolded = String::with_capacity(value.len());
        unfolded.extend(value.split(['\r', '\n']));
        unfolded
    }
}

fn check_bytes(line: &[u8]) -> Result<(), HeaderFault> {
    // Many octets at a time: nearly every line is like this.
    if line.is_ascii() && memchr2(0, b'\r', line).is_none() {
        return Ok(());
    }
    let fault = line.iter().find_map(|byte| match byte {
        0 => Some(HeaderFault::Nul),
        b'\r' => Some(HeaderFault::BareCr),
        0x80.. => Some(HeaderFault::EightBit),
        _ => None,
    });
    fault.map_or(Ok(()), Err)
}

/// Where the colon stands; `ftext` is any printable ASCII but the colon (RFC 5322, section 2.2).
fn colon_after_name(line: &[u8]) -> Result<usize, HeaderFault> {
    let colon = memchr(b':', line)
        .filter(|&colon| colon > 0)
        .ok_or(HeaderFault::NoColon)?;
    if line[..colon].iter().all(u8::is_ascii_graphic) {
        Ok(colon)
    } else {
        Err(HeaderFault::BlankInName)
    }
}
