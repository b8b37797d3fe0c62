//! Whether a line of text may end in a token.

use memchr::memchr2_iter;

use super::Charset;

/// The shortest and the longest token word (see [`super::super::kind`]).
pub(super) const SHORTEST: usize = 20;
const LONGEST: usize = 32;

/// What an octet is to a word.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A letter or a digit.
    Letter,
    /// Nothing at a line's ends (`char::is_whitespace`).
    Blank,
    /// It may come to nothing, or to anything.
    Veil,
    /// It parts words.
    Other,
}

/// What the octets of a text are to its words.
pub(super) struct Alphabet {
    kinds: [Kind; 256],
    pub(super) is_html: bool,
    /// Whether the text is quoted-printable still.
    pub(super) is_encoded: bool,
    /// Whether an ASCII octet may be the second or fourth of a character (Shift-JIS, GBK, Big5, GB 18030).
    has_trails: bool,
}

static PLAIN: Alphabet = Alphabet::new(false, true, false);
static HTML: Alphabet = Alphabet::new(true, true, false);
static LATIN_PLAIN: Alphabet = Alphabet::new(false, false, false);
static LATIN_HTML: Alphabet = Alphabet::new(true, false, false);
static ENCODED_PLAIN: Alphabet = Alphabet::new(false, true, true);
static ENCODED_HTML: Alphabet = Alphabet::new(true, true, true);

impl Alphabet {
    /// That of a decoded text.
    pub(super) fn of(charset: Charset, is_html: bool) -> &'static Self {
        match (charset, is_html) {
            (Charset::Latin, true) => &LATIN_HTML,
            (Charset::Latin, false) => &LATIN_PLAIN,
            (_, true) => &HTML,
            (_, false) => &PLAIN,
        }
    }

    /// That of a text that is quoted-printable still, in any charset.
    pub(super) fn of_encoded(is_html: bool) -> &'static Self {
        if is_html {
            &ENCODED_HTML
        } else {
            &ENCODED_PLAIN
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "an index of 256 octets")]
    const fn new(is_html: bool, is_any: bool, is_encoded: bool) -> Self {
        let mut kinds = [Kind::Other; 256];
        let mut at = 0;
        while at < kinds.len() {
            kinds[at] = match at as u8 {
                // An octet in disguise, a soft break, or an octet that is dropped.
                b'=' | ..=0x08 | 0x0B | 0x0C | 0x0E..=0x1F | 0x7F if is_encoded => Kind::Veil,
                b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' => Kind::Letter,
                b'\t' | b' ' | 0x0C => Kind::Blank,
                0x0B if !is_html => Kind::Blank,
                // Character references, and what a renderer may drop.
                b'&' | b'#' | b';' | ..=0x1F | 0x7F..=0x9F if is_html => Kind::Veil,
                // ISO-8859-1 is read as Windows-1252 (WHATWG Encoding), where a blank and the soft hyphen alone can
                // come to nothing.
                0xA0 | 0xAD => Kind::Veil,
                0x80.. if is_any => Kind::Veil,
                _ => Kind::Other,
            };
            at += 1;
        }
        Self {
            kinds,
            is_html,
            is_encoded,
            has_trails: is_any,
        }
    }

    /// Whether a line of the text may end in a token.
    pub(super) fn may_hold_token(&self, text: &[u8]) -> bool {
        let mut begin = 0;
        for end in memchr2_iter(b'\n', b'\r', text) {
            if end - begin >= SHORTEST && self.may_end_in_token(&text[begin..end]) {
                return true;
            }
            begin = end + 1;
        }
        text.len() - begin >= SHORTEST && self.may_end_in_token(&text[begin..])
    }

    /// Whether the line may.
    pub(super) fn may_end_in_token(&self, line: &[u8]) -> bool {
        let line = self.trim_end(line);
        let word = self.last_word(line);
        if word.is_veiled {
            return self.has_long_word(line);
        }
        (SHORTEST..=LONGEST).contains(&word.letters) && {
            // A label's colon stands above the token, or nothing but a mark of quotation.
            let (above, token) = line.split_at(word.begin);
            let above = self.trim_end(above);
            match above.split_last() {
                Some((b':', label)) => is_usual(token) || self.may_be_token_label(label),
                None | Some((b'>', _)) => true,
                _ => self.last_word(above).is_veiled,
            }
        }
    }

    /// Whether the label may be a known one: those in ASCII end in "token", with or without a remark in brackets.
    fn may_be_token_label(&self, label: &[u8]) -> bool {
        let label = self.trim_end(label);
        // In HTML a label may begin above a line end.
        matches!(label.last(), None | Some(b'n' | b'N' | b')')) || self.last_word(label).is_veiled
    }

    /// Whether the line holds a letter or digit, and nothing that may come to nothing.
    pub(super) fn is_shown(&self, line: &[u8]) -> bool {
        let mut has_letter = false;
        line.iter().all(|&octet| {
            let kind = self.kinds[usize::from(octet)];
            has_letter |= kind == Kind::Letter;
            kind != Kind::Veil
        }) && has_letter
    }

    /// What an octet of the line is to its word.
    pub(super) fn kind(&self, line: &[u8], at: usize) -> Kind {
        let octet = line[at];
        let may_trail = || {
            self.has_trails && matches!(octet, b'@'..=b'~') && at > 0 && !line[at - 1].is_ascii()
        };
        match self.kinds[usize::from(octet)] {
            Kind::Other if may_trail() => Kind::Veil,
            kind => kind,
        }
    }

    /// The line without blanks at its end.
    fn trim_end<'a>(&self, mut line: &'a [u8]) -> &'a [u8] {
        while let Some((&last, rest)) = line.split_last() {
            line = match self.kinds[usize::from(last)] {
                Kind::Blank => rest,
                Kind::Veil if line.ends_with(NBSP) => &line[..line.len() - NBSP.len()],
                _ => break,
            };
        }
        line
    }

    pub(super) fn last_word(&self, line: &[u8]) -> Word {
        let mut word = Word {
            begin: line.len(),
            letters: 0,
            is_veiled: false,
        };
        while let Some(at) = word.begin.checked_sub(1) {
            match self.kind(line, at) {
                Kind::Letter => word.letters += 1,
                Kind::Veil => word.is_veiled = true,
                Kind::Blank | Kind::Other => break,
            }
            word.begin = at;
        }
        word
    }

    /// Whether so many letters stand together, with nothing between them but what may come to nothing.
    pub(super) fn has_long_word(&self, line: &[u8]) -> bool {
        let mut letters = 0;
        let mut at = 0;
        while at < line.len() {
            match self.kind(line, at) {
                Kind::Letter => letters += 1,
                Kind::Veil if line[at..].starts_with(NBSP) => {
                    letters = 0;
                    at += NBSP.len() - 1;
                }
                Kind::Veil => {}
                Kind::Blank | Kind::Other => letters = 0,
            }
            if letters >= SHORTEST {
                return true;
            }
            at += 1;
        }
        false
    }
}

/// Whether the word is a token below any label.
fn is_usual(word: &[u8]) -> bool {
    let has = |kind: fn(&u8) -> bool| word.iter().any(kind);
    matches!(word.len(), 24 | 25)
        && has(u8::is_ascii_uppercase)
        && has(u8::is_ascii_lowercase)
        && has(u8::is_ascii_digit)
}

/// By far the most frequent character reference, and a blank.
const NBSP: &[u8] = b"&nbsp;";

/// Letters and what may come to nothing.
pub(super) struct Word {
    begin: usize,
    letters: usize,
    pub(super) is_veiled: bool,
}
