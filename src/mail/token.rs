//! What the text says: username and token by structure, labels as a second witness.
//!
//! Salesforce writes in the user's language, so the wording cannot be a condition. In every known sample a line
//! `<label>: <username>` stands above a line `<label>: <token>`, and that is what is looked for.

use std::collections::HashSet;
use std::fmt;
use std::sync::LazyLock;

use regex::Regex;
use secrecy::{ExposeSecret, SecretString};
use zeroize::Zeroizing;

use super::labels;
use super::mime::CUT;
use super::policy::UsernameGlobs;
use super::refusal::Refusal;

/// A Salesforce security token. It is wiped when dropped, `Debug` says nothing, and there is no `Display`.
#[derive(Clone)]
pub struct Token(SecretString);

impl Token {
    /// The token's characters, for the keychain and for those who asked to see them.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl From<String> for Token {
    fn from(token: String) -> Self {
        Self(token.into())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl PartialEq for Token {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Token {}

/// Unusual, though not wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warning {
    /// Neither the label nor the subject is a known one: read by structure alone.
    UnknownWording,
    /// The token has neither 24 nor 25 characters.
    UnusualLength,
}

impl Warning {
    /// The stable kebab-case word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::UnknownWording => "unknown-wording",
            Self::UnusualLength => "unusual-length",
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownWording => {
                "neither the label nor the subject is one that Salesforce is known to write; the token was read by the mail's structure"
            }
            Self::UnusualLength => "the token has neither 24 nor 25 characters, as all known tokens have",
        })
    }
}

/// Longer labels than any known or imaginable one ("セキュリティトークン (大文字と小文字を区別)" has 26 characters) are prose.
const MAX_LABEL: usize = 80;
/// Characters of the shortest token, which only counts beside a known label.
const SHORTEST: usize = 20;
/// Salesforce's own limit for a username.
const MAX_USERNAME: usize = 80;
/// Non-blank lines between username and token. None in every sample; two leave room for an organization or a URL.
pub(super) const MAX_BETWEEN: usize = 2;

/// One text of a mail, read.
pub(super) struct Reading {
    pairs: Vec<Pair>,
    /// The different labelled values shaped like a token.
    tokens: Vec<Token>,
    /// Whether any line is quoted.
    pub(super) quoted: bool,
    /// The bytes of the non-blank lines.
    pub(super) size: usize,
}

struct Pair {
    username: String,
    known_label: bool,
    /// The token's place among the non-blank lines.
    at: usize,
    /// Whether the input ends in the token's line.
    cut: bool,
}

impl Reading {
    pub(super) fn of(text: &str) -> Self {
        let lines: Vec<Line> = text.split(['\n', '\r']).filter_map(Line::of).collect();
        let mut usernames: Vec<(usize, &str)> = Vec::new();
        let mut pairs = Vec::new();
        let mut tokens = Vec::new();
        let mut seen = HashSet::new();
        for at in 0..lines.len() {
            let Some(field) = Labelled::at(&lines, at) else {
                continue;
            };
            if is_username(field.value) {
                usernames.push((field.value_at, field.value));
            } else if field.holds_token() {
                if seen.insert(field.value) {
                    tokens.push(Token::from(field.value.to_owned()));
                }
                let above = usernames
                    .iter()
                    .rev()
                    .take_while(|(username_at, _)| at - username_at <= MAX_BETWEEN + 1);
                pairs.extend(above.map(|(_, username)| Pair {
                    username: (*username).to_owned(),
                    known_label: labels::is_known_token_label(field.label),
                    at: field.value_at,
                    cut: lines[field.value_at].cut,
                }));
            }
        }
        Self {
            pairs,
            tokens,
            quoted: lines.iter().any(|line| line.quoted),
            size: lines.iter().map(|line| line.text.len()).sum(),
        }
    }

    /// Whether the text claims to be that of a token mail: a token stands below a username.
    pub(super) fn claims(&self) -> bool {
        !self.pairs.is_empty()
    }

    /// The line, among the non-blank ones, that holds the first pair's token.
    pub(super) fn first_pair_at(&self) -> Option<usize> {
        self.pairs.first().map(|pair| pair.at)
    }

    /// The username, where all pairs name the same.
    fn username(&self) -> Option<&str> {
        let first = self.pairs.first()?.username.as_str();
        self.names_no_user_but(first).then_some(first)
    }

    fn names_no_user_but(&self, username: &str) -> bool {
        self.pairs
            .iter()
            .all(|pair| pair.username.eq_ignore_ascii_case(username))
    }

    fn different_usernames(&self) -> usize {
        let usernames: HashSet<String> = self
            .pairs
            .iter()
            .map(|pair| pair.username.to_ascii_lowercase())
            .collect();
        usernames.len()
    }
}

/// The username, where it is the only one that stands above a token in either text.
pub(super) fn only_username<'r>(reading: &'r Reading, other: &Reading) -> Option<&'r str> {
    let username = reading.username()?;
    other.names_no_user_but(username).then_some(username)
}

/// What a mail's texts agree on.
pub(super) struct Agreed {
    pub(super) username: String,
    pub(super) token: Token,
    pub(super) known_label: bool,
    pub(super) warnings: Vec<Warning>,
}

/// The one username and token of `reading`, if it is allowed and whole and `other` names no different one.
pub(super) fn agreed(
    reading: &Reading,
    other: &Reading,
    allowed: &UsernameGlobs,
) -> Result<Agreed, Refusal> {
    if reading.pairs.iter().any(|pair| pair.cut) {
        return Err(Refusal::Truncated);
    }
    if let Some(pair) = reading.pairs.first()
        && !reading
            .pairs
            .iter()
            .any(|pair| allowed.admits(&pair.username))
    {
        return Err(Refusal::UsernameNotAllowed {
            username: pair.username.clone(),
        });
    }
    let (Some(username), [token]) = (reading.username(), reading.tokens.as_slice()) else {
        return Err(Refusal::Ambiguous {
            usernames: reading.different_usernames(),
            tokens: reading.tokens.len(),
        });
    };
    if !other.names_no_user_but(username) || other.tokens.iter().any(|value| value != token) {
        return Err(Refusal::PartsDisagree);
    }
    let mut warnings = Vec::new();
    if !is_usual_length(token.expose()) {
        warnings.push(Warning::UnusualLength);
    }
    Ok(Agreed {
        username: username.to_owned(),
        token: token.clone(),
        known_label: reading.pairs.iter().any(|pair| pair.known_label),
        warnings,
    })
}

/// A non-blank line, without marks of quotation and invisible characters.
struct Line {
    text: Zeroizing<String>,
    quoted: bool,
    cut: bool,
}

impl Line {
    fn of(raw: &str) -> Option<Self> {
        let unquoted = raw.trim_start_matches(|c: char| c == '>' || c.is_whitespace());
        let quoted = raw.trim_start().starts_with('>');
        let cut = unquoted.ends_with(CUT);
        let text: String = unquoted.chars().filter(|&c| !is_invisible(c)).collect();
        let text = Zeroizing::new(text.trim().to_owned());
        (!text.is_empty()).then_some(Self { text, quoted, cut })
    }
}

/// Whether a word as long as a token can stand in the text at all: most mail ends here, before it is read line by line.
pub(super) fn may_stand_in(text: &str) -> bool {
    let mut run = 0;
    text.chars().any(|c| {
        if c.is_ascii_alphanumeric() {
            run += 1;
        } else if !is_invisible(c) {
            run = 0;
        }
        run >= SHORTEST
    })
}

/// Characters that mark where a word may break or join, and show nothing: soft hyphen, zero-width space, non-joiner,
/// joiner, word joiner, byte order mark. And [`CUT`].
fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{AD}' | '\u{200B}'..='\u{200D}' | '\u{2060}' | '\u{FEFF}' | CUT
    )
}

/// A label and its value: on the same line, or on the next (where the next table cell is rendered).
struct Labelled<'a> {
    label: &'a str,
    value: &'a str,
    value_at: usize,
}

impl<'a> Labelled<'a> {
    fn at(lines: &'a [Line], at: usize) -> Option<Self> {
        let line = lines.get(at)?.text.as_str();
        // No username or token holds a colon, so the last one ends the label.
        let (label, value) = match line.rsplit_once([':', '：']) {
            Some((label, value)) => (label.trim_end(), value.trim_start()),
            // Tables often have no colons.
            None if labels::is_known_token_label(line) || labels::is_known_username_label(line) => {
                (line, "")
            }
            None => return None,
        };
        let is_label = label.chars().any(char::is_alphabetic)
            && label.chars().take(MAX_LABEL + 1).count() <= MAX_LABEL;
        if !is_label {
            return None;
        }
        if value.is_empty() {
            let value_at = at + 1;
            let value = lines.get(value_at)?.text.as_str();
            Some(Self {
                label,
                value,
                value_at,
            })
        } else {
            Some(Self {
                label,
                value,
                value_at: at,
            })
        }
    }

    /// 13 of 32 published tokens have 24 characters and 19 have 25, each with all three kinds; other lengths are
    /// believed only beside a known label.
    fn holds_token(&self) -> bool {
        let has = |kind: fn(&u8) -> bool| self.value.as_bytes().iter().any(kind);
        is_token_word(self.value)
            && (labels::is_known_token_label(self.label)
                || is_usual_length(self.value)
                    && has(u8::is_ascii_uppercase)
                    && has(u8::is_ascii_lowercase)
                    && has(u8::is_ascii_digit))
    }
}

/// Whether a word has the shape of a token.
pub(crate) fn is_token_word(word: &str) -> bool {
    static WORD: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^[A-Za-z0-9]{20,32}$").expect("a valid pattern"));
    WORD.is_match(word)
}

fn is_usual_length(token: &str) -> bool {
    matches!(token.len(), 24 | 25)
}

/// Shaped like an address, though it need not be one: `me@acme.com.uat`.
fn is_username(word: &str) -> bool {
    static WORD: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(
            r"^[A-Za-z0-9_][A-Za-z0-9_.+'~!#$%&*/=?^-]*@[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*$",
        )
        .expect("a valid pattern")
    });
    word.len() <= MAX_USERNAME && WORD.is_match(word)
}
