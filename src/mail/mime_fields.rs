//! The MIME fields of a raw mail, found without parsing it: how much work the parts would be, and how they are written.

use memchr::memchr;

/// mailparse recurses into each multipart, and searches each for boundary lines: 64 fields bound both. Mails with
/// many attachments stay below.
const MAX_CONTENT_TYPES: usize = 64;
/// Each part begins below a line that starts with two hyphens (RFC 2046, section 5.1.1).
const MAX_DELIMITER_LINES: usize = 256;
/// mailparse's cost for the parameters of a field is quadratic; a line of a mail has at most 998 characters (RFC 5322,
/// section 2.1.1), and a folded field of two of them is already unusual.
const MAX_MIME_FIELD: usize = 2048;

/// Where the fields that tell how a part is read first begin a line, be it in a header section or not.
#[derive(Default)]
pub(super) struct MimeFields {
    pub(super) content_type: Option<usize>,
    pub(super) disposition: Option<usize>,
    pub(super) encoding: Option<usize>,
    pub(super) writing: Writing,
}

/// How a text, or the texts of a mail, may be written.
#[derive(Clone, Copy, Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent of one another")]
pub(super) struct Writing {
    /// As HTML.
    pub(super) is_html: bool,
    /// As quoted-printable.
    pub(super) is_quoted: bool,
    /// In several parts.
    pub(super) has_parts: bool,
    /// In base64, UTF-7, ISO-2022-JP, or a way that its field does not say in plain words.
    pub(super) is_odd: bool,
}

impl MimeFields {
    /// One pass over the input, from hyphen to hyphen; `None` where mailparse's work on it would not be bounded.
    pub(super) fn scan(raw: &[u8]) -> Option<Self> {
        let mut fields = Self::default();
        let mut types = 0;
        let mut delimiter_lines = 0;
        let mut at = 0;
        while let Some(next) = memchr(b'-', &raw[at..]) {
            let hyphen = at + next;
            at = hyphen + 1;
            let below = &raw[at..];
            if below.first() == Some(&b'-') {
                delimiter_lines += usize::from(hyphen == 0 || raw[hyphen - 1] == b'\n');
                while raw[at..].starts_with(b"-") {
                    at += 1;
                }
            } else if is_after(&raw[..hyphen], b"content") {
                types += usize::from(is_before(below, TYPE));
                fields.writing.take(below);
                let start = hyphen - b"content".len();
                if start == 0 || raw[start - 1] == b'\n' {
                    fields.take(&raw[start..], below, start)?;
                }
            }
            if types > MAX_CONTENT_TYPES || delimiter_lines > MAX_DELIMITER_LINES {
                return None;
            }
        }
        Some(fields)
    }

    /// Takes a field whose name goes on like this below `Content-`; `None` where it is too long.
    fn take(&mut self, field: &[u8], name: &[u8], start: usize) -> Option<()> {
        let (slot, length) = if is_before(name, TYPE) {
            (&mut self.content_type, TYPE.len())
        } else if is_before(name, b"disposition") {
            (&mut self.disposition, b"disposition".len())
        } else if is_before(name, TRANSFER_ENCODING) {
            (&mut self.encoding, TRANSFER_ENCODING.len())
        } else {
            return Some(());
        };
        slot.get_or_insert(start);
        let mut above_colon = name[length..]
            .iter()
            .skip_while(|octet| matches!(octet, b' ' | b'\t'));
        (above_colon.next() != Some(&b':') || field_is_short(field)).then_some(())
    }
}

const TYPE: &[u8] = b"type";
const TRANSFER_ENCODING: &[u8] = b"transfer-encoding";

impl Writing {
    /// Takes what goes on like this below `Content-`. It need not be a field: whatever it is, it only adds ways.
    fn take(&mut self, name: &[u8]) {
        if is_before(name, TYPE) {
            self.take_type(&name[TYPE.len()..]);
        } else if is_before(name, TRANSFER_ENCODING) {
            self.take_encoding(&name[TRANSFER_ENCODING.len()..]);
        }
    }

    /// The first octet decides, since no decoding of the value changes it: an encoded word begins with `=`.
    fn take_encoding(&mut self, field: &[u8]) {
        let value = field.strip_prefix(b":").unwrap_or_default();
        match value.iter().find(|&&octet| octet != b' ') {
            Some(b'7' | b'8') => {}
            Some(b'q' | b'Q') => self.is_quoted = true,
            _ => self.is_odd = true,
        }
    }

    /// Looks for words anywhere in the field. Where they may be there without being seen, in an encoded word, an
    /// extended parameter (RFC 2231) or a quoted pair, the field is odd.
    fn take_type(&mut self, field: &[u8]) {
        for (at, octet) in field.iter().enumerate().take(MAX_MIME_FIELD) {
            let above = &field[..=at];
            match octet {
                b'l' | b'L' => self.is_html |= is_after(above, b"html"),
                b't' | b'T' => self.has_parts |= is_after(above, b"multipart"),
                // UTF-7 and ISO-2022 write other characters in ASCII's octets.
                b'2' => self.is_odd |= is_after(above, b"2022"),
                b'7' => self.is_odd |= is_after(above, b"utf-7") || is_after(above, b"utf7"),
                b'=' => self.is_odd |= field.get(at + 1) == Some(&b'?'),
                b'\n' => match field.get(at + 1) {
                    Some(b' ' | b'\t') => {}
                    _ => return,
                },
                b'\r' => self.is_odd |= field.get(at + 1) != Some(&b'\n'),
                b'\t' | b' '..=b'~' if !matches!(octet, b'\\' | b'*') => {}
                _ => self.is_odd = true,
            }
        }
        // Too long, or cut off.
        self.is_odd = true;
    }
}

fn is_before(text: &[u8], word: &[u8]) -> bool {
    text.get(..word.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(word))
}

fn is_after(text: &[u8], word: &[u8]) -> bool {
    text.last_chunk::<1>()
        .is_some_and(|last| last.eq_ignore_ascii_case(&word[word.len() - 1..]))
        && text
            .len()
            .checked_sub(word.len())
            .is_some_and(|start| text[start..].eq_ignore_ascii_case(word))
}

/// Whether the field at the start ends within [`MAX_MIME_FIELD`]: at a line end that no fold follows.
fn field_is_short(raw: &[u8]) -> bool {
    let window = &raw[..raw.len().min(MAX_MIME_FIELD)];
    window.len() == raw.len()
        || window
            .windows(2)
            .any(|pair| pair[0] == b'\n' && !matches!(pair[1], b' ' | b'\t'))
}

#[cfg(test)]
mod tests {
    use regex::bytes::Regex;

    use super::super::mutation::{Dice, fixtures};
    use super::*;

    /// What [`MimeFields::scan`] tells, told by regular expressions.
    struct Patterns {
        content_type: Regex,
        field: Regex,
        delimiter: Regex,
        first: [Regex; 3],
    }

    impl Patterns {
        fn new() -> Self {
            let compiled = |pattern| Regex::new(pattern).expect("a valid pattern");
            Self {
                content_type: compiled(r"(?i-u)content-type"),
                field: compiled(r"(?im-u)^content-(?:type|disposition|transfer-encoding)[ \t]*:"),
                delimiter: compiled(r"(?m-u)^--"),
                first: [
                    compiled(r"(?im-u)^content-type"),
                    compiled(r"(?im-u)^content-disposition"),
                    compiled(r"(?im-u)^content-transfer-encoding"),
                ],
            }
        }

        fn scan(&self, raw: &[u8]) -> Option<[Option<usize>; 3]> {
            let is_modest = self
                .content_type
                .find_iter(raw)
                .nth(MAX_CONTENT_TYPES)
                .is_none()
                && self
                    .delimiter
                    .find_iter(raw)
                    .nth(MAX_DELIMITER_LINES)
                    .is_none()
                && self
                    .field
                    .find_iter(raw)
                    .all(|field| field_is_short(&raw[field.start()..]));
            is_modest.then(|| {
                self.first
                    .each_ref()
                    .map(|pattern| pattern.find(raw).map(|field| field.start()))
            })
        }

        #[track_caller]
        fn compare(&self, raw: &[u8]) -> bool {
            let scanned = MimeFields::scan(raw);
            let scanned =
                scanned.map(|fields| [fields.content_type, fields.disposition, fields.encoding]);
            assert_eq!(scanned, self.scan(raw), "{}", raw.escape_ascii());
            scanned.is_none()
        }
    }

    #[test]
    fn fields_are_found_as_regular_expressions_find_them() {
        let patterns = Patterns::new();
        let mut dice = Dice(3);
        for (_, fixture) in fixtures() {
            patterns.compare(&fixture);
            for _ in 0..4 {
                let mut mail = fixture.clone();
                dice.mutate(&mut mail);
                patterns.compare(&mail);
            }
        }
        let pieces: [&[u8]; 14] = [
            b"-",
            b"--",
            b"\n",
            b"\r\n",
            b"\n--",
            b"\nContent-Type",
            b"\ncontent-Disposition",
            b"conTENT",
            b"\nContent-transfer-encoding",
            b":",
            b" :",
            b"\n ",
            b"x",
            b"content-type",
        ];
        let mut refused = 0;
        for round in 0..3_000 {
            // Some as long as the limits.
            let count = if round % 10 == 0 { 700 } else { 20 };
            let mut text: Vec<u8> = (0..dice.throw(count))
                .flat_map(|_| dice.pick(&pieces).to_vec())
                .collect();
            if dice.throw(4) == 0 {
                let at = dice.throw(text.len() + 1);
                text.splice(at..at, vec![b'x'; 2000 + dice.throw(100)]);
            }
            refused += usize::from(patterns.compare(&text));
        }
        assert!(refused > 100, "{refused}");
    }

    #[test]
    fn how_texts_may_be_written_is_told_from_the_fields() {
        for (field, [html, quoted, parts, odd]) in [
            ("Content-Type: text/plain; charset=utf-8\n\n", [false; 4]),
            ("content-type: TEXT/HTML\n\n", [true, false, false, false]),
            (
                "X: y\nContent-Type:\n Multipart/mixed\n\n",
                [false, false, true, false],
            ),
            (
                "Content-Type: text/plain; charset=UTF-7\n\n",
                [false, false, false, true],
            ),
            (
                "Content-Type: text/plain; charset=iso-2022-jp\n\n",
                [false, false, false, true],
            ),
            (
                "Content-Type: text/plain; charset=u\\tf-7\n\n",
                [false, false, false, true],
            ),
            (
                "Content-Type: text/plain; charset*=''utf-%37\n\n",
                [false, false, false, true],
            ),
            (
                "Content-Type: =?utf-8?q?text/html?=\n\n",
                [true, false, false, true],
            ),
            ("Content-Type: text/plain", [false, false, false, true]),
            ("Content-Transfer-Encoding: 8bit\n", [false; 4]),
            (
                "Content-Transfer-Encoding:Quoted-Printable\n",
                [false, true, false, false],
            ),
            (
                "Content-Transfer-Encoding: base64\n",
                [false, false, false, true],
            ),
            (
                "Content-Transfer-Encoding:\n base64\n",
                [false, false, false, true],
            ),
            (
                "Content-Transfer-Encoding: =?utf-8?q?base64?=\n",
                [false, false, false, true],
            ),
        ] {
            let writing = MimeFields::scan(field.as_bytes())
                .expect("few fields")
                .writing;
            let told = [
                writing.is_html,
                writing.is_quoted,
                writing.has_parts,
                writing.is_odd,
            ];
            assert_eq!(told, [html, quoted, parts, odd], "{field}");
        }
    }
}
