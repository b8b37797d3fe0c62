//! Raw message in, verdict out: is this mail a new security token, from whom, for which username?
//!
//! ```text
//! glance   whether a mail is worth reading: most are not
//! header   the header section, byte by byte (RFC 5322)
//! mime     which parts a reader is shown (RFC 2045, 2046, 2183), and how much of a mail we look at
//!          (mime_fields: how much work its parts are, told without parsing them)
//! html     an HTML part as lines of text
//! token    username and token by structure; labels are the second witness
//! sender   whom it says it is from, to whom it is, and whether it is a conversation
//! proof    that it is from whom it says: dkim, or the provider's results
//! refusal  each failed check, its word and its sentence (unproved: those of the proof)
//! ```
//!
//! Below `proof`: `tag_list` and `signature` read a DKIM-Signature field, `canonical` the body it signs, `key` the
//! record in DNS, and `dkim` puts them together; `results` reads Authentication-Results.
//!
//! Everything here is a pure function of the bytes, the [`Policy`], the [`Keys`] and the time: no I/O, no clock, no
//! logging, and work that grows linearly with the mail. Whether a mail is *newer* than the stored one is the ledger's
//! question.
//!
//! # Keys from DNS
//!
//! [`judge`] never waits. Judge with [`Unasked`] first: most mails are no token mails, and cost no DNS. A
//! [`Verdict::Pending`] names the keys; ask for them, and judge again with the answers. What is pending then is
//! pending indeed: DNS is silent.

mod canonical;
mod dkim;
mod glance;
mod header;
mod html;
mod identity;
mod key;
mod labels;
mod mime;
mod mime_fields;
#[cfg(test)]
mod mutation;
mod policy;
mod proof;
mod refusal;
mod results;
mod sender;
mod signature;
mod tag_list;
mod token;
mod triage;
mod unproved;

use std::fmt;

use jiff::Timestamp;

pub use identity::{Identity, NotAnIdentity};
pub use key::{Answer, KeyFile, Keys, Unasked};
pub use mime::Unread;
pub use policy::{
    AddressGlobs, DEFAULT_DOMAINS, DEFAULT_FROM, GlobError, Policy, Recipients, UsernameGlobs,
};
pub use proof::{Method, Pending, Proof};
pub use refusal::{Conversation, HeaderFault, Refusal, TooLarge};
pub(crate) use token::is_token_word;
pub use token::{Token, Warning};
pub use unproved::{NoWord, Unproved};

use dkim::Failure;
use glance::Glance;
use header::Section;
use mime::Shown;
use token::Reading;

/// How much of a mail is read. A token mail is a few KiB; 1 MiB leaves room for any template around it.
pub const MAX_MAIL: usize = 1 << 20;

/// What one mail turned out to be, and what it said of itself.
#[derive(Clone)]
pub struct Judgement<'m> {
    /// The outcome of the checks.
    pub verdict: Verdict,
    /// The octets that were judged.
    seen: &'m [u8],
    username: Option<String>,
    proof: Option<Proof>,
}

impl Judgement<'_> {
    /// What the mail says, proved or not: for messages to people and for the list of refused mails. It is read when it
    /// is asked for, since hardly anybody asks what a mail without a token says.
    #[must_use]
    pub fn facts(&self) -> Facts {
        let section = Section::scan(self.seen);
        Facts {
            username: self.username.clone(),
            proof: self.proof.clone(),
            ..section.as_ref().map(sender::facts).unwrap_or_default()
        }
    }
}

impl<'m> Judgement<'m> {
    fn of_no_claim(seen: &'m [u8], why: Option<Unread>) -> Self {
        Self {
            verdict: Verdict::NotATokenMail(NotATokenMail { why }),
            seen,
            username: None,
            proof: None,
        }
    }
}

impl fmt::Debug for Judgement<'_> {
    /// Says nothing of the octets: they may hold a token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Judgement")
            .field("verdict", &self.verdict)
            .field("facts", &self.facts())
            .finish_non_exhaustive()
    }
}

/// The outcome of the checks.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// A token mail that passed every check.
    Token(Box<TokenMail>),
    /// Its shown text names no username with a token below it.
    NotATokenMail(NotATokenMail),
    /// It claims to be a token mail and fails a check.
    Refused(Refusal),
    /// It claims to be a token mail, and whether it is depends on keys that are not known now.
    Pending(Pending),
}

impl Verdict {
    /// The stable word for this verdict: `token`, `not-a-token-mail`, `refused` or `pending`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Token(_) => "token",
            Self::NotATokenMail(_) => "not-a-token-mail",
            Self::Refused(_) => "refused",
            Self::Pending(_) => "pending",
        }
    }

    /// The stable kebab-case word for why, or `None` for a token.
    #[must_use]
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Token(_) => None,
            Self::NotATokenMail(mail) => Some(mail.reason()),
            Self::Refused(refusal) => Some(refusal.reason()),
            Self::Pending(pending) => Some(pending.reason()),
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

/// What a mail says of itself, proved or not. The header fields are `None` where they are missing, repeated or
/// malformed.
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
    /// The proof that it is from whom it says; also of a mail that is refused by a later check.
    pub proof: Option<Proof>,
}

/// Judges one raw message (RFC 5322) by what the user allows, with the keys known so far, at the time `now`.
///
/// A mail that makes no claim is [`Verdict::NotATokenMail`] whatever its header says. A mail that claims is checked
/// in a fixed order, and the first check that fails is the reason of the refusal.
#[must_use]
pub fn judge<'m>(raw: &'m [u8], policy: &Policy, keys: &dyn Keys, now: Timestamp) -> Judgement<'m> {
    // A glance is for everybody else's mail: should it err, no mail that is waited for is missed.
    if policy.is_named_in(glance::header_section(seen(raw))) {
        return read(raw, policy, keys, now);
    }
    at_a_glance(raw).unwrap_or_else(|| read(raw, policy, keys, now))
}

/// The judgement of a mail that needs no reading: it claims nothing.
fn at_a_glance(raw: &[u8]) -> Option<Judgement<'_>> {
    let seen = seen(raw);
    match Glance::at(seen) {
        Glance::Suspect => None,
        Glance::Large => Some(Judgement::of_no_claim(seen, mime::unread(seen))),
        Glance::Innocent => Some(Judgement::of_no_claim(seen, None)),
    }
}

/// Judges as [`judge`] does, taking a glance at every mail or at none: what a fuzzer compares.
#[cfg(fuzzing)]
#[must_use]
pub fn judge_with_a_glance<'m>(
    raw: &'m [u8],
    policy: &Policy,
    keys: &dyn Keys,
    now: Timestamp,
) -> Judgement<'m> {
    at_a_glance(raw).unwrap_or_else(|| read(raw, policy, keys, now))
}

/// The same without a glance.
#[cfg(fuzzing)]
#[must_use]
pub fn judge_without_a_glance<'m>(
    raw: &'m [u8],
    policy: &Policy,
    keys: &dyn Keys,
    now: Timestamp,
) -> Judgement<'m> {
    read(raw, policy, keys, now)
}

/// The octets that are looked at.
fn seen(raw: &[u8]) -> &[u8] {
    &raw[..raw.len().min(MAX_MAIL)]
}

/// Judges a mail by reading it.
fn read<'m>(raw: &'m [u8], policy: &Policy, keys: &dyn Keys, now: Timestamp) -> Judgement<'m> {
    let seen = seen(raw);
    let shown = match Shown::of(seen) {
        Ok(shown) => shown,
        Err(why) => return Judgement::of_no_claim(seen, Some(why)),
    };
    if !token::may_stand_in(&shown.plain) && !token::may_stand_in(&shown.html) {
        return Judgement::of_no_claim(seen, shown.unread);
    }
    let (reading, other) = &readings(&shown);
    if !reading.claims() {
        return Judgement::of_no_claim(seen, shown.unread);
    }
    let read = Read {
        shown: &shown,
        reading,
        other,
    };
    let mut proof = None;
    let checked = if seen.len() == raw.len() {
        Section::scan(seen)
            .map_err(|fault| Refusal::MalformedHeader(fault).into())
            .and_then(|section| accept(&section, &read, policy, keys, now, &mut proof))
    } else {
        Err(Refusal::TooLarge(TooLarge::Mail).into())
    };
    Judgement {
        verdict: checked.map_or_else(Verdict::from, |mail| Verdict::Token(Box::new(mail))),
        seen,
        username: token::only_username(reading, other).map(str::to_owned),
        proof,
    }
}

/// What a mail says, whatever speaks against it: for a person who decides to believe it. `None` where it does not
/// name exactly one username and one token. A Date that cannot be read is `now`.
#[must_use]
pub fn believe(raw: &[u8], now: Timestamp) -> Option<TokenMail> {
    let seen = seen(raw);
    let shown = Shown::of(seen).ok()?;
    let (reading, other) = &readings(&shown);
    let token = token::agreed(reading, other, &UsernameGlobs::any()).ok()?;
    let section = Section::scan(seen).ok();
    let date = section
        .as_ref()
        .and_then(|section| sender::facts(section).date)
        .unwrap_or(now);
    let body = section.as_ref().map_or(seen, |section| section.body);
    Some(TokenMail {
        username: token.username,
        token: token.token,
        date,
        identity: Identity::of(date, body),
        warnings: token.warnings,
    })
}

/// What the two parts say, the one that claims first: the text where it does, else the HTML.
fn readings(shown: &Shown) -> (Reading, Reading) {
    let plain = Reading::of(&shown.plain);
    let html = Reading::of(&shown.html);
    if plain.claims() {
        (plain, html)
    } else {
        (html, plain)
    }
}

/// What is read of a mail that claims.
struct Read<'r> {
    shown: &'r Shown,
    /// The part that claims.
    reading: &'r Reading,
    /// The other one.
    other: &'r Reading,
}

/// Why a mail that claims is not accepted.
enum Stopped {
    Refused(Refusal),
    Pending(Pending),
}

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Unproved(why) => Self::Refused(Refusal::Unproved(why)),
            Failure::Silent(keys) => Self::Pending(Pending { keys }),
        }
    }
}

impl From<Stopped> for Verdict {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Refused(refusal) => Self::Refused(refusal),
            Stopped::Pending(pending) => Self::Pending(pending),
        }
    }
}

/// The checks, in the order in which they give the reason of a refusal.
fn accept(
    section: &Section,
    read: &Read,
    policy: &Policy,
    keys: &dyn Keys,
    now: Timestamp,
    proved: &mut Option<Proof>,
) -> Result<TokenMail, Stopped> {
    let &Read {
        shown,
        reading,
        other,
    } = read;
    if shown.unparsed {
        return Err(Refusal::MalformedHeader(HeaderFault::Part).into());
    }
    if shown.unread.is_some() {
        return Err(Refusal::TooLarge(TooLarge::Html).into());
    }
    let fields = sender::Fields::of(section)?;
    let from = fields.from()?;
    if !policy.lists(&from) {
        return Err(Refusal::FromNotListed { from }.into());
    }
    let date = fields.date()?;
    let sender = proof::Claim {
        section,
        domain: from.rsplit('@').next().unwrap_or_default(),
        date,
        is_simple: shown.is_simple,
    };
    let (proof, identity) = proof::prove(&sender, policy, keys, now)?;
    *proved = Some(proof);
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
        identity,
        warnings,
    })
}

#[cfg(test)]
mod tests;
