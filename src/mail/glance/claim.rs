//! Whether a token may stand below a username, told line by line.

use memchr::{memchr, memchr2, memmem};

use super::super::kind::MAX_BETWEEN;
use super::super::mime_fields::Writing;
use super::username;
use super::word::{Alphabet, SHORTEST};

/// How many lines below a username its token may stand: those between, that of the token's label, and its own.
pub(super) const REACH: usize = MAX_BETWEEN + 2;

/// The texts below usernames are looked at for so many times their own length: work stays linear in the mail.
const PATIENCE: usize = 4;

/// Whether a text that is written like this may claim. HTML and quoted-printable text is looked at as it stands, and so
/// are several parts in a row: where that does not tell, it may.
pub(super) fn may_stand_in(text: &[u8], writing: Writing, alphabet: &Alphabet) -> bool {
    if writing.is_quoted && memmem::find(text, b"=40").is_some()
        || writing.is_html && username::may_refer_to_at_sign(text, alphabet)
    {
        return true;
    }
    let mut places = username::places(text, alphabet).peekable();
    if places.peek().is_none() {
        return false;
    }
    let mut patience = text.len() * PATIENCE;
    may_be_wide(text, writing)
        || places.any(|at| {
            let below = Below {
                writing,
                alphabet,
                rest: &text[at + 1..],
            };
            below.may_hold_token(&mut patience)
        })
}

/// Whether the text may be UTF-16, of which every ASCII character has a NUL.
fn may_be_wide(text: &[u8], writing: Writing) -> bool {
    memchr(0, text).is_some() || writing.is_quoted && memmem::find(text, b"=00").is_some()
}

/// What stands below a username's `@`.
struct Below<'t> {
    writing: Writing,
    alphabet: &'t Alphabet,
    rest: &'t [u8],
}

impl Below<'_> {
    /// Whether a token may stand within reach.
    ///
    /// In HTML a line end is a blank, unless it is preformatted. But what follows it would stand in the username's
    /// line then, which would end in no username.
    fn may_hold_token(mut self, patience: &mut usize) -> bool {
        let mut lines = 0;
        let mut is_first = true;
        while lines < REACH {
            let end = memchr2(b'\n', b'\r', self.rest);
            let line = &self.rest[..end.unwrap_or(self.rest.len())];
            let Some(left) = patience.checked_sub(line.len() + 1) else {
                return true;
            };
            *patience = left;
            let sight = Sight::of(line, self.writing);
            // The username's own line may go on with another one, whose end is encoded.
            let may_be_below = !is_first || sight == Sight::Encoded;
            if sight == Sight::Unclear || may_be_below && self.may_end_in_token(line, sight) {
                return true;
            }
            lines += usize::from(!is_first && sight == Sight::Shown);
            is_first = false;
            match end {
                Some(end) => self.rest = &self.rest[end + 1..],
                None => return false,
            }
        }
        false
    }

    fn may_end_in_token(&self, line: &[u8], sight: Sight) -> bool {
        if self.writing.has_parts && line.starts_with(b"--") {
            // A part may end here, whose fields are no lines of text.
            return true;
        }
        line.len() >= SHORTEST
            && match sight {
                // It may be several lines.
                Sight::Encoded => self.alphabet.has_long_word(line),
                _ => self.alphabet.may_end_in_token(line),
            }
    }
}

/// What a reader sees of a line.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sight {
    /// Nothing, perhaps.
    Blank,
    /// A letter or digit at least.
    Shown,
    /// What octets in disguise say.
    Encoded,
    /// It takes more than the line to tell.
    Unclear,
}

impl Sight {
    fn of(line: &[u8], writing: Writing) -> Self {
        if writing.is_quoted && line.trim_ascii_end().ends_with(b"=") {
            return Self::Unclear;
        }
        let holds = line
            .iter()
            .fold(0, |holds, &octet| holds | HELD[usize::from(octet)]);
        let has = |held: u8| holds & held != 0;
        if has(CONTROL) || writing.is_html && has(MARKUP) {
            Self::Unclear
        } else if writing.is_quoted && has(EQUALS) {
            Self::Encoded
        } else if has(LETTER) && !has(BEYOND_ASCII) {
            Self::Shown
        } else {
            // Nothing, or letters of which one may be half of an invisible character.
            Self::Blank
        }
    }
}

/// What an octet adds to what a line holds: one look-up each, since the same lines are looked at from each username.
const HELD: [u8; 256] = held();
const LETTER: u8 = 1;
const EQUALS: u8 = 1 << 1;
/// What begins a tag or a character reference.
const MARKUP: u8 = 1 << 2;
const BEYOND_ASCII: u8 = 1 << 3;
const CONTROL: u8 = 1 << 4;

#[expect(clippy::cast_possible_truncation, reason = "an index of 256 octets")]
const fn held() -> [u8; 256] {
    let mut held = [0; 256];
    let mut at = 0;
    while at < held.len() {
        held[at] = match at as u8 {
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => LETTER,
            b'=' => EQUALS,
            b'<' | b'&' => MARKUP,
            0x80.. => BEYOND_ASCII,
            b'\t' | b' '..=b'~' => 0,
            _ => CONTROL,
        };
        at += 1;
    }
    held
}
