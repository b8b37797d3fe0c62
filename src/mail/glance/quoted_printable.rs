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
