//! The mail with a verification code, which Salesforce asks for after a login from a place that it does not know.
//!
//! Six digits beside a label are far less than a token: order numbers and dates look the same. So a labelled number is
//! a code only beside a second witness: a known label, a known subject, or a username that stands above it, as one does
//! in the known mail, in whatever language. Without one the mail claims nothing, and costs nothing.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize, Serializer};

use super::{Found, Kind, Rules, TokenMail, Value, Warning, Whose, Words};

/// A verification code. It is wiped when dropped, `Debug` says nothing, and there is no `Display`. As JSON it is
/// written where somebody asked for it and nowhere else.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Code(Value);

impl Code {
    /// The code's digits, for those who asked for them.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

/// The word is no code of six digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a verification code is six digits")]
pub struct NotACode;

impl TryFrom<String> for Code {
    type Error = NotACode;

    fn try_from(word: String) -> Result<Self, NotACode> {
        let is_code = is_code(&word, true);
        // Wiped in any case.
        let value = Value::from(word);
        is_code.then_some(Self(value)).ok_or(NotACode)
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.expose())
    }
}

/// A code and what is known of the mail that brought it.
#[derive(Clone, Debug)]
pub struct CodeMail {
    /// The Salesforce username, as written, where the mail names one.
    pub username: Option<String>,
    /// The code.
    pub code: Code,
    /// The mail's `Date`.
    pub date: Timestamp,
    /// What was unusual, though not wrong.
    pub warnings: Vec<Warning>,
}

impl Kind for CodeMail {
    /// The English label and subject were seen verbatim in public sources; the Japanese ones are what Salesforce's
    /// pages call the code (`fixtures/README.md` says which of this is a guess).
    const RULES: &'static Rules = &Rules {
        words: Words {
            value: "code",
            other: "not-a-code-mail",
            nothing: "no-code",
            again: "have another code sent",
            believe: "",
        },
        labels: &["verificationcode", "検証コード", "確認コード"],
        subjects: &["verify your identity in salesforce"],
        is_value: is_code,
        is_usual: |_| true,
        whose: Whose::Anywhere,
        may_stand_in: has_digit,
        may_be_shown_by: |_| true,
        // Of the mail's signed Date. Who types a code has just been asked for it.
        greatest_age: Some(SignedDuration::from_mins(15)),
        yields_to: &[TokenMail::RULES],
    };

    fn of(mut found: Found) -> Option<Self> {
        if found.username.is_none() {
            found.warnings.push(Warning::NoUsername);
        }
        Some(Self {
            username: found.username,
            code: Code(found.value),
            date: found.date,
            warnings: found.warnings,
        })
    }
}

fn is_code(word: &str, _is_label_known: bool) -> bool {
    word.len() == 6 && word.bytes().all(|octet| octet.is_ascii_digit())
}

fn has_digit(text: &str) -> bool {
    text.bytes().any(|octet| octet.is_ascii_digit())
}
