//! The canonical form of a body (RFC 6376, sections 3.4.3 and 3.4.4).
//!
//! mail-auth 0.13.3 has this too, but keeps empty lines at the end where they hold blanks, which refuses genuine
//! mail, and drops every CR that ends no line, which lets anybody put some into signed text.

use std::cell::OnceCell;

use mail_auth::dkim::Canonicalization;
use memchr::{memchr, memmem};
use sha2::{Digest, Sha256};

/// SHA-256 of a body in each canonical form, computed once however many signatures ask.
pub(super) struct BodyHashes<'a> {
    body: &'a [u8],
    simple: OnceCell<[u8; 32]>,
    relaxed: OnceCell<[u8; 32]>,
}

impl<'a> BodyHashes<'a> {
    pub(super) fn of(body: &'a [u8]) -> Self {
        Self {
            body,
            simple: OnceCell::new(),
            relaxed: OnceCell::new(),
        }
    }

    pub(super) fn get(&self, form: Canonicalization) -> [u8; 32] {
        let cell = match form {
            Canonicalization::Simple => &self.simple,
            Canonicalization::Relaxed => &self.relaxed,
        };
        *cell.get_or_init(|| {
            let mut hash = Sha256::new();
            write_body(self.body, form, |octets| hash.update(octets));
            hash.finalize().into()
        })
    }
}

/// Line ends become CRLF; a CR elsewhere stays what it is.
fn write_body(body: &[u8], form: Canonicalization, mut write: impl FnMut(&[u8])) {
    let is_relaxed = form == Canonicalization::Relaxed;
    let mut empty_lines = 0_usize;
    let mut is_empty = true;
    let mut at = 0;
    while at < body.len() {
        let end = memchr(b'\n', &body[at..]).map_or(body.len(), |end| at + end + 1);
        let line = &body[at..end];
        at = end;
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let mut line = line.strip_suffix(b"\r").unwrap_or(line);
        if is_relaxed {
            let end = line.iter().rposition(|&byte| !is_blank(byte));
            line = &line[..end.map_or(0, |end| end + 1)];
        }
        if line.is_empty() {
            empty_lines += 1;
            continue;
        }
        for _ in 0..std::mem::take(&mut empty_lines) {
            write(b"\r\n");
        }
        if is_relaxed && has_long_blank(line) {
            // Runs of blanks become one.
            for word in line.chunk_by(|&a, &b| is_blank(a) == is_blank(b)) {
                write(if is_blank(word[0]) { b" " } else { word });
            }
        } else {
            write(line);
        }
        write(b"\r\n");
        is_empty = false;
    }
    if is_empty && !is_relaxed {
        write(b"\r\n");
    }
}

/// Whether any blank of the line is not a single space; in most lines none is.
fn has_long_blank(line: &[u8]) -> bool {
    memchr(b'\t', line).is_some() || memmem::find(line, b"  ").is_some()
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(body: &str, form: Canonicalization) -> String {
        let mut written = Vec::new();
        write_body(body.as_bytes(), form, |octets| {
            written.extend_from_slice(octets);
        });
        String::from_utf8(written).expect("ASCII")
    }

    #[test]
    fn bodies_have_the_canonical_forms_of_the_rfc() {
        for (body, simple, relaxed) in [
            // RFC 6376, section 3.4.5.
            (
                " C \r\nD \t E\r\n\r\n\r\n",
                " C \r\nD \t E\r\n",
                " C\r\nD E\r\n",
            ),
            ("", "\r\n", ""),
            ("\r\n\r\n", "\r\n", ""),
            (" \r\n", " \r\n", ""),
            ("a", "a\r\n", "a\r\n"),
            ("a\nb\r\n\n", "a\r\nb\r\n", "a\r\nb\r\n"),
            // mail-auth keeps the last line here.
            ("a\r\n \r\n", "a\r\n \r\n", "a\r\n"),
            (
                "a\r\n\r\n \t\r\nb",
                "a\r\n\r\n \t\r\nb\r\n",
                "a\r\n\r\n\r\nb\r\n",
            ),
            // mail-auth drops these CRs.
            ("a\rb\r\r\n", "a\rb\r\r\n", "a\rb\r\r\n"),
        ] {
            assert_eq!(
                canonical(body, Canonicalization::Simple),
                simple,
                "{body:?}"
            );
            assert_eq!(
                canonical(body, Canonicalization::Relaxed),
                relaxed,
                "{body:?}"
            );
        }
    }
}
