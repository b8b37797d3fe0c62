//! The quoted-printable encoding (RFC 2045, section 6.7), undone as mailparse undoes it and faster.

use memchr::memchr;
use zeroize::Zeroizing;

/// What quoted-printable text says, octet for octet as mailparse's decoder reads it: it drops octets that may not stand
/// there, and keeps what is no encoding.
pub(super) fn decoded(encoded: &[u8]) -> Zeroizing<Vec<u8>> {
    let is_dropped = |octet: &u8| !matches!(octet, b'\t' | b'\r' | b'\n' | b' '..=b'~');
    let kept;
    let encoded = if encoded.iter().filter(|octet| is_dropped(octet)).count() == 0 {
        encoded
    } else {
        let octets = encoded.iter().copied().filter(|octet| !is_dropped(octet));
        kept = Zeroizing::new(octets.collect::<Vec<u8>>());
        kept.as_slice()
    };
    let mut decoded = Zeroizing::new(Vec::with_capacity(encoded.len() + encoded.len() / 32 + 2));
    let mut rest = encoded;
    let mut is_ended = false;
    while !rest.is_empty() {
        let (line, below) = match memchr(b'\n', rest) {
            Some(at) => (&rest[..at], &rest[at + 1..]),
            None => (rest, &rest[..0]),
        };
        if is_ended {
            decoded.extend_from_slice(b"\r\n");
        }
        is_ended = decode_line(line.trim_ascii_end(), &mut decoded);
        rest = below;
    }
    if is_ended && encoded.ends_with(b"\n") {
        decoded.extend_from_slice(b"\r\n");
    }
    decoded
}

/// Whether the line ends where its octets end.
fn decode_line(mut line: &[u8], decoded: &mut Vec<u8>) -> bool {
    while let Some(at) = memchr(b'=', line) {
        decoded.extend_from_slice(&line[..at]);
        match line[at + 1..] {
            [] => return false,
            [_] => {
                decoded.extend_from_slice(&line[at..]);
                return true;
            }
            [high, low, ..] => match (DIGITS[usize::from(high)], DIGITS[usize::from(low)]) {
                (high @ ..16, low @ ..16) => decoded.push(high << 4 | low),
                _ => decoded.extend_from_slice(&line[at..at + 3]),
            },
        }
        line = &line[at + 3..];
    }
    decoded.extend_from_slice(line);
    true
}

/// The value of each hexadecimal digit, and 16 for any other octet.
static DIGITS: [u8; 256] = {
    let mut digits = [16; 256];
    let mut value = 0;
    while value < 16 {
        digits[b"0123456789abcdef"[value as usize] as usize] = value;
        digits[b"0123456789ABCDEF"[value as usize] as usize] = value;
        value += 1;
    }
    digits
};

#[cfg(test)]
mod tests {
    use mailparse::ParsedContentType;
    use mailparse::body::Body;

    use super::super::mutation::{Dice, fixtures};
    use super::*;

    #[track_caller]
    fn assert_decoded_as_by_mailparse(text: &[u8]) {
        let (content_type, encoding) = (
            ParsedContentType::default(),
            Some("quoted-printable".to_owned()),
        );
        let Body::QuotedPrintable(body) = Body::new(text, &content_type, &encoding) else {
            panic!("not quoted-printable");
        };
        let expected = body.get_decoded().expect("robust");
        assert_eq!(*decoded(text), expected, "{}", text.escape_ascii());
    }

    #[test]
    fn it_is_decoded_as_mailparse_decodes_it() {
        let pieces: [&[u8]; 16] = [
            b"=", b"4", b"a", b"F", b"g", b" ", b"\t", b"\r", b"\n", b"\r\n", b"=\r\n", b"=3D",
            b"==", b"\x80", b"\0", b"\x0B",
        ];
        let mut dice = Dice(2);
        for _ in 0..20_000 {
            let text: Vec<u8> = (0..dice.throw(12))
                .flat_map(|_| dice.pick(&pieces).to_vec())
                .collect();
            assert_decoded_as_by_mailparse(&text);
        }
        for (_, mut mail) in fixtures() {
            for _ in 0..4 {
                assert_decoded_as_by_mailparse(&mail);
                dice.mutate(&mut mail);
            }
        }
    }
}
