//! Raw message in, verdict out: is this mail a new security token, from whom, for which username?
//!
//! ```text
//! header   the header section, byte by byte (RFC 5322)
//! mime     which parts a reader is shown (RFC 2045, 2046, 2183), and how much of a mail we look at
//! html     an HTML part as lines of text
//! token    username and token by structure; labels are the second witness
//! sender   who sent it, to whom, and whether it is a conversation
//! refusal  each failed check, its word and its sentence
//! ```
//!
//! Everything here is a pure function of the bytes and the [`Policy`]: no I/O, no clock, no logging, and work that
//! grows linearly with the mail. Whether a mail is *newer* than the stored one is the ledger's question.
//!
//! The proof of the sender (DKIM, Authentication-Results) stands between the Date check and the To check in
//! [`judge`]; it is not written yet, so a [`Verdict::Token`] rests on the From list alone.

mod header;
mod html;
mod identity;
mod labels;
mod mime;
mod policy;
mod refusal;
mod sender;
mod token;
mod triage;

use jiff::Timestamp;

pub use identity::{Identity, NotAnIdentity};
pub use mime::Unread;
pub use policy::{AddressGlobs, DEFAULT_FROM, GlobError, Policy, Recipients, UsernameGlobs};
pub use refusal::{Conversation, HeaderFault, Refusal, TooLarge};
pub use token::{Token, Warning};

use header::Section;
use mime::Shown;
use token::Reading;

/// How much of a mail is read. A token mail is a few KiB; 1 MiB leaves room for any template around it.
pub const MAX_MAIL: usize = 1 << 20;

/// What one mail turned out to be, and what it said of itself.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// The outcome of the checks.
    pub verdict: Verdict,
    /// What the mail says, proved or not: for messages to people and for the list of refused mails.
    pub facts: Facts,
}

/// The outcome of the checks. "Cannot be judged now" (DNS is silent) will be a variant of its own once the sender's
/// proof needs DNS; nothing here can be pending yet.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// A token mail that passed every check.
    Token(Box<TokenMail>),
    /// Its shown text names no username with a token below it.
    NotATokenMail(NotATokenMail),
    /// It claims to be a token mail and fails a check.
    Refused(Refusal),
}

impl Verdict {
    /// The stable word for this verdict: `token`, `not-a-token-mail` or `refused`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::NotATokenMail(_) => "not-a-token-mail",
            Self::Refused(_) => "refused",
        }
    }

    /// The stable kebab-case word for why, or `None` for a token.
    #[must_use]
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Token(_) => None,
            Self::NotATokenMail(mail) => Some(mail.reason()),
            Self::Refused(refusal) => Some(refusal.reason()),
        }
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

/// A mail that makes no claim to be a token mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotATokenMail {
    /// Why the mail, or its HTML, was not read; `None` where it was read and names no pair.
    pub why: Option<Unread>,
}

impl NotATokenMail {
    /// The stable kebab-case word: `no-token` for a mail that was read.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.why.map_or("no-token", Unread::reason)
    }
}

/// What a mail says of itself, unproved. The header fields are `None` where they are missing, repeated or malformed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The address in From, where From is one plain address.
    pub from: Option<String>,
    /// The time in Date.
    pub date: Option<Timestamp>,
    /// The Message-ID, with its angle brackets.
    pub message_id: Option<String>,
    /// The username, where the shown text names exactly one above a token; for refused mails too.
    pub username: Option<String>,
}

/// Judges one raw message (RFC 5322) by what the user allows.
///
/// A mail that makes no claim is [`Verdict::NotATokenMail`] whatever its header says. A mail that claims is checked
/// in a fixed order, and the first check that fails is the reason of the refusal.
#[must_use]
pub fn judge(raw: &[u8], policy: &Policy) -> Judgement {
    let (seen, whole) = match raw.get(..MAX_MAIL) {
        Some(start) if raw.len() > MAX_MAIL => (start, false),
        _ => (raw, true),
    };
    let section = Section::scan(seen);
    let mut facts = section.as_ref().map(sender::facts).unwrap_or_default();
    let shown = match Shown::of(seen) {
        Ok(shown) => shown,
        Err(why) => {
            let verdict = Verdict::NotATokenMail(NotATokenMail { why: Some(why) });
            return Judgement { verdict, facts };
        }
    };
    let plain = Reading::of(&shown.plain);
    let html = Reading::of(&shown.html);
    let (reading, other) = if plain.claims() {
        (&plain, &html)
    } else {
        (&html, &plain)
    };
    let verdict = if reading.claims() {
        facts.username = token::only_username(reading, other).map(str::to_owned);
        let checked = if whole {
            section
                .map_err(Refusal::MalformedHeader)
                .and_then(|section| accept(&section, &shown, reading, other, policy))
        } else {
            Err(Refusal::TooLarge(TooLarge::Mail))
        };
        match checked {
            Ok(mail) => Verdict::Token(Box::new(mail)),
            Err(refusal) => Verdict::Refused(refusal),
        }
    } else {
        Verdict::NotATokenMail(NotATokenMail { why: shown.unread })
    };
    Judgement { verdict, facts }
}

/// The checks, in the order in which they give the reason of a refusal.
fn accept(
    section: &Section,
    shown: &Shown,
    reading: &Reading,
    other: &Reading,
    policy: &Policy,
) -> Result<TokenMail, Refusal> {
    if shown.unparsed {
        return Err(Refusal::MalformedHeader(HeaderFault::Part));
    }
    if shown.unread.is_some() {
        return Err(Refusal::TooLarge(TooLarge::Html));
    }
    let fields = sender::Fields::of(section)?;
    let from = fields.from()?;
    if !policy.lists(&from) {
        return Err(Refusal::FromNotListed { from });
    }
    let date = fields.date()?;
    // The proof of the sender stands here: DKIM or the provider's Authentication-Results.
    fields.addressed_to(&policy.recipients)?;
    fields.conversation(reading, other)?;
    let token = token::agreed(reading, other, &policy.usernames)?;
    let mut warnings = token.warnings;
    if !token.known_label && !labels::is_known_subject(&fields.subject()) {
        warnings.push(Warning::UnknownWording);
    }
    Ok(TokenMail {
        username: token.username,
        token: token.token,
        date,
        identity: Identity::of(date, section.body),
        warnings,
    })
}

#[cfg(test)]
mod tests;
