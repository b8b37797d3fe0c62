//! Whether a text may hold a username that stands as a value does.

use memchr::{memchr_iter, memmem};

use super::word::{Alphabet, Kind};

/// Whether a username may be the last word of a line, below a colon or at the line's start. HTML is looked at as it
/// stands: a tag may be nothing, or the end of a line. So is quoted-printable text: most of it need not be decoded.
pub(super) fn may_stand_in(text: &[u8], alphabet: &Alphabet) -> bool {
    places(text, alphabet).next().is_some()
        || alphabet.is_encoded && memmem::find(text, b"=40").is_some()
        || alphabet.is_html && may_refer_to_at_sign(text, alphabet)
}

/// Where the `@` of such a username stands, as long as it is one.
pub(super) fn places(text: &[u8], alphabet: &Alphabet) -> impl Iterator<Item = usize> {
    memchr_iter(b'@', text)
        .filter(|&at| ends_line(&text[at + 1..], alphabet) && begins_value(&text[..at], alphabet))
}

/// Whether a character reference may be an `@`.
pub(super) fn may_refer_to_at_sign(html: &[u8], alphabet: &Alphabet) -> bool {
    if alphabet.is_encoded && memmem::find(html, b"=26").is_some() {
        return true;
    }
    memchr_iter(b'&', html).any(|at| {
        let name = &html[at + 1..];
        let is_part = |octet: &u8| octet.is_ascii_alphanumeric() || *octet == b'#';
        let length = name.iter().position(|octet| !is_part(octet));
        let (name, below) = name.split_at(length.unwrap_or(name.len()));
        // What may come to nothing within a reference: a tag, a soft break, an octet that is dropped.
        let goes_on = match below {
            [b'=', b'3', b'D' | b'd', ..] | [] => false,
            [b'<', ..] => true,
            [octet, ..] => alphabet.is_encoded && !matches!(octet, b' '..=b'<' | b'>'..=b'~'),
        };
        goes_on
            || match name {
                [b'#', b'x' | b'X', digits @ ..] => number(digits, u8::is_ascii_hexdigit) == b"40",
                [b'#', digits @ ..] => number(digits, u8::is_ascii_digit) == b"64",
                name => name.starts_with(b"commat"),
            }
    })
}

/// The digits at the start, without leading zeros.
fn number(text: &[u8], is_digit: fn(&u8) -> bool) -> &[u8] {
    let end = text.iter().position(|octet| !is_digit(octet));
    let digits = &text[..end.unwrap_or(text.len())];
    let zeros = digits.iter().position(|&octet| octet != b'0');
    &digits[zeros.unwrap_or(digits.len())..]
}

/// Whether a domain stands here, and nothing below it in its line.
fn ends_line(below: &[u8], alphabet: &Alphabet) -> bool {
    let mut is_first = true;
    let mut is_blank = false;
    for (at, &octet) in below.iter().enumerate() {
        match octet {
            b'\n' | b'\r' => return !is_first,
            b'<' if alphabet.is_html => return true,
            _ => match alphabet.kind(below, at) {
                Kind::Veil => return true,
                Kind::Blank if is_first => return false,
                Kind::Blank => is_blank = true,
                Kind::Letter if !is_blank => {}
                Kind::Other if !is_blank && matches!(octet, b'.' | b'-' | b'_') => {}
                Kind::Letter | Kind::Other => return false,
            },
        }
        is_first = false;
    }
    !is_first
}

/// Whether the start of a username stands here, and below it a label or nothing.
fn begins_value(above: &[u8], alphabet: &Alphabet) -> bool {
    let mut is_first = true;
    let mut is_blank = false;
    for (at, &octet) in above.iter().enumerate().rev() {
        match octet {
            b'\n' | b'\r' => return !is_first || alphabet.is_encoded,
            b':' => return !is_first,
            // A mark of quotation or the end of a tag.
            b'>' => return true,
            _ => match alphabet.kind(above, at) {
                Kind::Veil => return true,
                Kind::Blank if is_first => return false,
                Kind::Blank => is_blank = true,
                // It may be the end of a character reference, or of an octet in disguise.
                Kind::Letter if is_blank => return alphabet.last_word(&above[..=at]).is_veiled,
                Kind::Letter => {}
                Kind::Other if !is_blank && b"_.+'~!#$%&*/=?^-".contains(&octet) => {}
                Kind::Other => return false,
            },
        }
        is_first = false;
    }
    !is_first
}
