//! Why a mail that claims to bring a secret was refused: a word for scripts, a sentence for people.

use std::fmt;

use jiff::Timestamp;

use super::kind::{Kind, Words};
use super::unproved::Unproved;

/// A check that failed. The variants stand in the order of the checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// More than is read of a mail.
    TooLarge(TooLarge),
    /// The header section is not well-formed.
    MalformedHeader(HeaderFault),
    /// A field that every mail has is missing.
    MissingField {
        /// The field's name.
        name: &'static str,
    },
    /// A field that may stand once stands more often.
    RepeatedField {
        /// The field's name.
        name: &'static str,
    },
    /// From is not one plain address.
    FromMalformed {
        /// The value of From.
        from: String,
    },
    /// The From address is not one of the allowed senders.
    FromNotListed {
        /// The address.
        from: String,
    },
    /// Date is not a date of RFC 5322.
    DateMalformed {
        /// The value of Date.
        date: String,
    },
    /// Its Date is longer ago than such a mail counts.
    TooOld {
        /// Its Date.
        date: Timestamp,
        /// For how many minutes it counts.
        minutes: i64,
    },
    /// Its Date lies ahead of our clock, so its age is not known.
    Ahead {
        /// Its Date.
        date: Timestamp,
    },
    /// It is not proved that the mail is from whom it says.
    Unproved(Unproved),
    /// To names nobody whose mail may come here.
    AddressedTo {
        /// The plain addresses in To.
        to: Vec<String>,
    },
    /// A reply, a forward or a case: somebody may be quoted.
    Conversation(Conversation),
    /// The text ends within the value's line, so the value may be cut short.
    Truncated,
    /// The username is not one of the configured ones.
    UsernameNotAllowed {
        /// The username in the mail.
        username: String,
    },
    /// More than one username or value.
    Ambiguous {
        /// How many different usernames go with a value.
        usernames: usize,
        /// How many different values there are.
        values: usize,
    },
    /// The text part and the HTML part differ.
    PartsDisagree,
}

/// What was larger than is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooLarge {
    /// The mail is larger than [`MAX_MAIL`](super::MAX_MAIL).
    Mail,
    /// The HTML part beside the text is larger than such a mail's can be.
    Html,
}

/// What is wrong with a header section (RFC 5322, section 2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderFault {
    /// The mail begins with an empty line.
    LeadingBlankLine,
    /// The mail begins with a continuation line.
    LeadingFold,
    /// A continuation line holds nothing but blanks.
    BlankFold,
    /// A NUL byte.
    Nul,
    /// A CR that does not end a line.
    BareCr,
    /// A byte outside ASCII.
    EightBit,
    /// A line without a field name and a colon.
    NoColon,
    /// A blank or a control character before the colon.
    BlankInName,
    /// A part's own header section cannot be read.
    Part,
}

/// Why a mail counts as a conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conversation {
    /// In-Reply-To or References.
    InReplyTo,
    /// `Re:`, `Fwd:` or the like.
    Subject,
    /// Quoted lines.
    Quoted,
    /// The pair stands too far down.
    FarDown,
    /// More text than such a mail shows.
    LongText,
}

impl Refusal {
    /// The stable kebab-case word for scripts.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::TooLarge(_) => "too-large",
            Self::MalformedHeader(_) => "malformed-header",
            Self::MissingField { .. } => "missing-field",
            Self::RepeatedField { .. } => "repeated-field",
            Self::FromMalformed { .. } => "from-malformed",
            Self::FromNotListed { .. } => "from-not-listed",
            Self::DateMalformed { .. } => "date-malformed",
            Self::TooOld { .. } => "too-old",
            Self::Ahead { .. } => "clock",
            Self::Unproved(why) => why.reason(),
            Self::AddressedTo { .. } => "addressed-to",
            Self::Conversation(_) => "conversation",
            Self::Truncated => "truncated",
            Self::UsernameNotAllowed { .. } => "username-not-allowed",
            Self::Ambiguous { .. } => "ambiguous",
            Self::PartsDisagree => "parts-disagree",
        }
    }
}

/// The sentence for people about a refusal.
struct Sentence<'r> {
    refusal: &'r Refusal,
    words: &'static Words,
}

impl Refusal {
    /// What happened, then what to do, for a mail of this kind.
    #[must_use]
    pub fn sentence<K: Kind>(&self) -> impl fmt::Display {
        Sentence {
            refusal: self,
            words: &K::RULES.words,
        }
    }
}

impl fmt::Display for Sentence<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Words { value, again, .. } = self.words;
        match self.refusal {
            Refusal::TooLarge(TooLarge::Mail) => write!(
                f,
                "the mail is larger than 1 MiB, which no {value} mail is; {again} if you did expect one",
            ),
            Refusal::TooLarge(TooLarge::Html) => write!(
                f,
                "the HTML part beside the text is too large for a {value} mail; read the mail itself before you trust it",
            ),
            Refusal::MalformedHeader(fault) => write!(
                f,
                "the header section is malformed ({fault}), which Salesforce's is not; delete the mail, or {again} if you did expect one"
            ),
            Refusal::MissingField { name } => write!(
                f,
                "the mail has no {name} field, which every mail of Salesforce has; delete the mail, or {again} if you did expect one"
            ),
            Refusal::RepeatedField { name } => write!(
                f,
                "the mail has more than one {name} field, as forged mails do; delete it, or {again} if you did expect one"
            ),
            Refusal::FromMalformed { from } => write!(
                f,
                "From is not one plain address ({}); delete the mail, or {again} if you did expect one",
                Untrusted(from)
            ),
            Refusal::FromNotListed { from } => write!(
                f,
                "the mail is from {}, who is not in `from` of [sender]; add the address there if it is Salesforce's",
                Untrusted(from)
            ),
            Refusal::DateMalformed { date } => write!(
                f,
                "Date is not a date ({}), so the mail cannot be ranked by age; {again}",
                Untrusted(date)
            ),
            Refusal::TooOld { date, minutes } => write!(
                f,
                "its Date ({date}) is more than {minutes} minutes ago; {again}"
            ),
            Refusal::Ahead { date } => write!(
                f,
                "its Date ({date}) lies ahead of this machine's clock, so its age is not known; set the clock right"
            ),
            Refusal::Unproved(why) => why.tell(f, self.words),
            Refusal::AddressedTo { to } => addressed_to(f, to, again),
            Refusal::Conversation(why) => write!(
                f,
                "the mail is a conversation ({}), which may quote anybody; take the {value} from Salesforce's own mail, or {again}",
                why.words(value)
            ),
            Refusal::Truncated => write!(
                f,
                "the mail ends within the {value}'s line, so the {value} may be cut short; fetch the whole mail, or {again}",
            ),
            Refusal::UsernameNotAllowed { username } => write!(
                f,
                "the {value} is for {}, who matches none of `usernames`; add the username there if its {value}s belong here",
                Untrusted(username)
            ),
            Refusal::Ambiguous { usernames, values } => write!(
                f,
                "the mail names more than one pair (different usernames: {usernames}, different {value}s: {values}); {again} and look at the mail that comes"
            ),
            Refusal::PartsDisagree => write!(
                f,
                "the text and the HTML of the mail name different values; {again} and look at the mail that comes",
            ),
        }
    }
}

fn addressed_to(f: &mut fmt::Formatter<'_>, to: &[String], again: &str) -> fmt::Result {
    // The first is enough for a line that the user can paste; a list may be long.
    match to.first() {
        Some(address) => write!(
            f,
            "the mail is addressed to {address}, who is none of this account's addresses; if its mail belongs here, add to the account: addresses = [\"{address}\"]",
            address = Untrusted(address)
        ),
        None => write!(
            f,
            "To names no plain address; delete the mail, or {again} if you did expect one",
        ),
    }
}

impl fmt::Display for HeaderFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LeadingBlankLine => "it begins with an empty line",
            Self::LeadingFold => "it begins with a continuation line",
            Self::BlankFold => "a continuation line is blank",
            Self::Nul => "a NUL byte",
            Self::BareCr => "a CR within a line",
            Self::EightBit => "a byte outside ASCII",
            Self::NoColon => "a line without field name and colon",
            Self::BlankInName => "a blank before the colon",
            Self::Part => "a part's own header cannot be read",
        })
    }
}

impl Conversation {
    fn words(self, value: &str) -> String {
        match self {
            Self::InReplyTo => "In-Reply-To or References".to_owned(),
            Self::Subject => "the subject of a reply or forward".to_owned(),
            Self::Quoted => "quoted lines".to_owned(),
            Self::FarDown => format!("username and {value} far down in the text"),
            Self::LongText => format!("more text than a {value} mail shows"),
        }
    }
}

/// Somebody else's text, made safe for a terminal and a log line.
pub(super) struct Untrusted<'a>(pub(super) &'a str);

/// Enough to recognise an address or a date by.
const UNTRUSTED_MAX: usize = 200;

impl fmt::Display for Untrusted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = 0;
        for escaped in self.0.chars().map(char::escape_debug) {
            shown += escaped.len();
            if shown > UNTRUSTED_MAX {
                return f.write_str("…");
            }
            escaped.fmt(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::TokenMail;

    #[test]
    fn the_refusal_of_a_recipient_prints_the_line_to_add() {
        let refusal = Refusal::AddressedTo {
            to: vec!["sf-tokens@acme.example".to_owned()],
        };
        let sentence = refusal.sentence::<TokenMail>().to_string();
        assert!(
            sentence.ends_with("addresses = [\"sf-tokens@acme.example\"]"),
            "{sentence}"
        );
    }

    #[test]
    fn untrusted_text_is_escaped_and_capped() {
        let from = format!("\u{1b}[2J\"\n\u{202e}{}", "x".repeat(10_000));
        let sentence = Refusal::FromMalformed { from }
            .sentence::<TokenMail>()
            .to_string();
        assert!(
            sentence.contains("\\u{1b}[2J\\\"\\n\\u{202e}xxx"),
            "{sentence}"
        );
        assert!(sentence.len() < 400, "{}", sentence.len());
        assert!(!sentence.contains(char::is_control));
    }
}
