//! The lines of an HTML text, as far as a glance needs them: neither decoded nor rendered.

use memchr::memchr;
use zeroize::Zeroizing;

use super::super::html::{Markup, is_line};
use super::claim::REACH;
use super::username;
use super::word::{Alphabet, SHORTEST};

/// As many usernames are looked below; no token mail has more. What holds more may claim.
const MANY: usize = 16;

/// Whether a token may stand within reach below a username in the rendered HTML.
pub(super) fn may_claim(html: &[u8], alphabet: &Alphabet) -> bool {
    if username::may_refer_to_at_sign(html, alphabet) {
        return may_hold_token(html, alphabet, usize::MAX);
    }
    // A bound for each mail, so that work stays linear in its size.
    let mut places = 0;
    username::places(html, alphabet).any(|at| {
        places += 1;
        places > MANY || may_hold_token(&html[at + 1..], alphabet, REACH)
    })
}

/// Whether one of so many lines of the rendered HTML, below the first, may end in a token. The HTML may begin anywhere
/// but in markup.
pub(super) fn may_hold_token(html: &[u8], alphabet: &Alphabet, reach: usize) -> bool {
    let mut line = Line::default();
    let mut lines = 0;
    let mut rest = html;
    while let Some(open) = memchr(b'<', rest) {
        line.add(&rest[..open]);
        rest = &rest[open..];
        match Markup::at_start_of(rest) {
            Markup::None => {
                line.add(&rest[..1]);
                rest = &rest[1..];
            }
            Markup::Endless => {
                rest = &[];
                break;
            }
            Markup::Unshown { end } => rest = &rest[end..],
            Markup::Tag { name, end, .. } => {
                rest = &rest[end..];
                if !is_line(name) {
                    continue;
                }
                if line.may_end_in_token(alphabet) {
                    return true;
                }
                // The first line is what is left of the username's.
                if line.is_shown(alphabet) {
                    lines += 1;
                    if lines > reach {
                        return false;
                    }
                }
                line.end();
            }
        }
    }
    line.add(rest);
    line.may_end_in_token(alphabet)
}

/// What stands between two tags that end a line.
#[derive(Default)]
struct Line<'h> {
    /// The only piece so far: most lines have no more.
    piece: &'h [u8],
    /// Several pieces.
    joined: Zeroizing<Vec<u8>>,
}

impl<'h> Line<'h> {
    fn add(&mut self, text: &'h [u8]) {
        if !self.joined.is_empty() {
            self.joined.extend_from_slice(text);
        } else if self.piece.is_empty() {
            // Nothing at the start of a line.
            self.piece = text.trim_ascii_start();
        } else if !text.is_empty() {
            self.joined.extend_from_slice(self.piece);
            self.joined.extend_from_slice(text);
        }
    }

    fn text(&self) -> &[u8] {
        if self.joined.is_empty() {
            self.piece
        } else {
            self.joined.as_slice()
        }
    }

    /// Whether the line, or a line end within, may end in a token.
    fn may_end_in_token(&self, alphabet: &Alphabet) -> bool {
        let text = self.text();
        text.len() >= SHORTEST && alphabet.may_hold_token(text)
    }

    /// Whether a reader sees a letter or digit of it for certain.
    fn is_shown(&self, alphabet: &Alphabet) -> bool {
        alphabet.is_shown(self.text())
    }

    fn end(&mut self) {
        self.piece = &[];
        self.joined.clear();
    }
}
