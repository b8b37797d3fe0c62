//! The mail with a new security token.

use std::sync::LazyLock;

use jiff::Timestamp;
use regex::Regex;

use super::{Found, Kind, Rules, Value, Warning, Whose, Words};
use crate::mail::identity::Identity;
use crate::mail::reading::is_invisible;

/// Non-blank lines between username and token. None in every sample; two leave room for an organization or a URL.
pub(in crate::mail) const MAX_BETWEEN: usize = 2;

/// Characters of the shortest token, which only counts beside a known label.
const SHORTEST: usize = 20;

/// A Salesforce security token. It is wiped when dropped, `Debug` says nothing, and there is no `Display`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Token(Value);

impl Token {
    /// The token's characters, for the keychain and for those who asked to see them.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl From<String> for Token {
    fn from(token: String) -> Self {
        Self(token.into())
    }
}

/// A token and what is known of the mail that brought it.
#[derive(Clone, Debug)]
pub struct TokenMail {
    /// The Salesforce username, as written.
    pub username: String,
    /// The security token, as written.
    pub token: Token,
    /// The mail's `Date`.
    pub date: Timestamp,
    /// Recognises the same mail when it is seen again.
    pub identity: Identity,
    /// What was unusual, though not wrong.
    pub warnings: Vec<Warning>,
}

impl Kind for TokenMail {
    /// English and Japanese labels and both subjects (today's, and the one until about 2018) were seen verbatim in
    /// public sources. In every known sample the username stands directly above the token.
    const RULES: &'static Rules = &Rules {
        words: Words {
            value: "token",
            other: "not-a-token-mail",
            nothing: "no-token",
            again: "reset the token again",
            believe: "accept it or ",
        },
        labels: &["securitytoken", "セキュリティトークン"],
        subjects: &[
            "your new salesforce security token",
            "salesforce.com security token confirmation",
        ],
        is_value: is_token,
        is_usual: is_usual_length,
        whose: Whose::Above(MAX_BETWEEN),
        may_stand_in,
        may_be_shown_by,
        greatest_age: None,
        yields_to: &[],
    };

    fn of(found: Found) -> Option<Self> {
        Some(Self {
            username: found.username?,
            token: Token(found.value),
            date: found.date,
            identity: found.identity,
            warnings: found.warnings,
        })
    }
}

/// Whether a word has the shape of a token.
pub(crate) fn is_token_word(word: &str) -> bool {
    static WORD: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"^[A-Za-z0-9]{20,32}$").expect("a valid pattern"));
    WORD.is_match(word)
}

/// 13 of 32 published tokens have 24 characters and 19 have 25, each with all three kinds; other lengths are believed
/// only beside a known label.
fn is_token(word: &str, is_label_known: bool) -> bool {
    let has = |kind: fn(&u8) -> bool| word.as_bytes().iter().any(kind);
    is_token_word(word)
        && (is_label_known
            || is_usual_length(word)
                && has(u8::is_ascii_uppercase)
                && has(u8::is_ascii_lowercase)
                && has(u8::is_ascii_digit))
}

fn is_usual_length(token: &str) -> bool {
    matches!(token.len(), 24 | 25)
}

/// Whether a word as long as a token can stand in the text at all.
fn may_stand_in(text: &str) -> bool {
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

/// Whether a run of 20 letters and digits can come out of the flattened markup, so that it is worth rendering: most
/// mails are no token mails. Character references may be letters or invisible, so they neither count nor end a run;
/// nor do non-ASCII bytes. (`&nbsp;`, by far the most frequent, is a blank by now.)
fn may_be_shown_by(flat: &str) -> bool {
    static RUN: LazyLock<regex::bytes::Regex> = LazyLock::new(|| {
        regex::bytes::Regex::new(
            r"(?-u)(?:&#?[A-Za-z0-9]+;?[\x80-\xff]*|[A-Za-z0-9][\x80-\xff]*){20}",
        )
        .expect("a valid pattern")
    });
    RUN.is_match(flat.as_bytes())
}
