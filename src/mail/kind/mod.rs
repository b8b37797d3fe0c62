//! The kinds of mail that bring a secret: what tells each from other mail. Everything else is shared.
//!
//! A further kind is a file beside [`token`] and [`code`]: its [`Rules`], and what is made of a mail that passed.

mod code;
mod token;

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};

use super::identity::Identity;

pub use code::{Code, CodeMail, NotACode};
pub use token::{Token, TokenMail};

pub(super) use token::MAX_BETWEEN;
pub(crate) use token::is_token_word;

/// A kind of mail that brings a secret, by what is made of one that passed every check.
pub trait Kind: Sized {
    /// What tells this kind from other mail.
    const RULES: &'static Rules;

    /// What is made of a mail that passed. `None` where it lacks what [`Rules`] demand.
    fn of(found: Found) -> Option<Self>;
}

/// What tells one kind of mail from all others.
#[derive(Debug)]
pub struct Rules {
    pub(super) words: Words,
    /// The value's labels in known languages, normalized (see [`super::labels`]).
    pub(super) labels: &'static [&'static str],
    /// Its subjects in known languages, in lower case, without what a sandbox writes before them.
    pub(super) subjects: &'static [&'static str],
    /// Whether a word has the value's shape; the flag says that it stands beside a known label.
    pub(super) is_value: fn(&str, bool) -> bool,
    /// Whether the value is as long as all known ones are.
    pub(super) is_usual: fn(&str) -> bool,
    /// Whose value it is.
    pub(super) whose: Whose,
    /// Whether a text can hold a value at all: most mail is told by this, before it is read line by line.
    pub(super) may_stand_in: fn(&str) -> bool,
    /// The same of flattened markup, before it is rendered.
    pub(super) may_be_shown_by: fn(&str) -> bool,
    /// A mail whose Date is longer ago is refused.
    pub(super) greatest_age: Option<SignedDuration>,
    /// A mail of one of these kinds is none of this one, whatever else it says.
    pub(super) yields_to: &'static [&'static Rules],
}

impl Rules {
    /// How the kind is spoken of.
    #[must_use]
    pub fn words(&self) -> &Words {
        &self.words
    }
}

/// How a kind is spoken of.
#[derive(Debug)]
pub struct Words {
    /// What the mail brings; the verdict's stable word, too.
    pub value: &'static str,
    /// The stable word for other mail.
    pub other: &'static str,
    /// The stable word for why it is other mail.
    pub nothing: &'static str,
    /// What a person can do to get another one.
    pub again: &'static str,
    /// What a person can do about a mail whose proof came too late, with ` or ` at its end; may be empty.
    pub believe: &'static str,
}

/// Where the username stands that a value belongs to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Whose {
    /// Above the value, with so many non-blank lines between at most. Without it the mail claims nothing.
    Above(usize),
    /// Anywhere below a known label, else anywhere above the value; or nowhere, and then the value is for whoever
    /// asked for one.
    Anywhere,
}

/// What a mail that passed every check says.
#[derive(Debug)]
pub struct Found {
    pub(super) username: Option<String>,
    pub(super) value: Value,
    pub(super) date: Timestamp,
    pub(super) identity: Identity,
    pub(super) warnings: Vec<Warning>,
}

/// The secret that a mail brings. It is wiped when dropped, `Debug` says nothing, and there is no `Display`.
#[derive(Clone)]
pub(super) struct Value(SecretString);

impl Value {
    pub(super) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self(value.into())
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("..")
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        self.expose() == other.expose()
    }
}

impl Eq for Value {}

/// Unusual, though not wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Warning {
    /// Neither the label nor the subject is a known one: read by structure alone.
    UnknownWording,
    /// The token has neither 24 nor 25 characters.
    UnusualLength,
    /// The mail names no username: the code is for whoever asked on this account.
    NoUsername,
}

impl Warning {
    /// The stable kebab-case word.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::UnknownWording => "unknown-wording",
            Self::UnusualLength => "unusual-length",
            Self::NoUsername => "no-username",
        }
    }
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownWording => {
                "neither the label nor the subject is one that Salesforce is known to write; the mail was read by its structure"
            }
            Self::UnusualLength => "the token has neither 24 nor 25 characters, as all known tokens have",
            Self::NoUsername => {
                "the mail names no username, so the code is that of whoever logged in last with this mailbox's address"
            }
        })
    }
}
