//! Raw message in, verdict out: does this mail bring a new security token (or a verification code), from whom, for
//! which username?
//!
//! ```text
//! glance   whether a mail is worth reading: most are not
//! header   the header section, byte by byte (RFC 5322)
//! mime     which parts a reader is shown (RFC 2045, 2046, 2183), and how much of a mail we look at
//!          (mime_fields: how much work its parts are, told without parsing them; quoted_printable: that encoding)
//! html     an HTML part as lines of text
//! kind     what tells token mails and code mails from other mail, each in a file of its own
//! reading  username and value by structure; labels are the second witness
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
//! [`judge`] and [`judge_code`] never wait. Judge with [`Unasked`] first: most mails are no token mails, and cost no DNS. A
//! [`Verdict::Pending`] names the keys; ask for them, and judge again with the answers. What is pending then is
//! pending indeed: DNS is silent.

mod canonical;
mod dkim;
mod glance;
mod header;
mod html;
mod identity;
mod key;
mod kind;
mod labels;
mod mime;
mod mime_fields;
#[cfg(test)]
mod mutation;
mod policy;
mod proof;
mod quoted_printable;
mod reading;
mod refusal;
mod results;
mod sender;
mod signature;
mod tag_list;
mod triage;
mod unproved;

use std::fmt;

use jiff::{SignedDuration, Timestamp};

pub use identity::{Identity, NotAnIdentity};
pub use key::{Answer, KeyFile, Keys, Unasked};
pub(crate) use kind::is_token_word;
pub use kind::{Code, CodeMail, Found, Kind, NotACode, Rules, Token, TokenMail, Warning, Words};
pub use mime::Unread;
pub use policy::{
    AddressGlobs, DEFAULT_DOMAINS, DEFAULT_FROM, GlobError, Policy, Recipients, UsernameGlobs,
};
pub use proof::{Method, Pending, Proof};
pub use refusal::{Conversation, HeaderFault, Refusal, TooLarge};
pub use unproved::{NoWord, Unproved};

use dkim::Failure;
use glance::Glance;
use header::Section;
use mime::Shown;
use reading::Reading;

/// How much of a mail is read. A token mail is a few KiB; 1 MiB leaves room for any template around it.
pub const MAX_MAIL: usize = 1 << 20;

/// How far ahead of our clock the Date of a mail may lie whose age counts: two clocks never agree.
const AHEAD: SignedDuration = SignedDuration::from_mins(10);

/// What one mail turned out to be, and what it said of itself.
#[derive(Clone)]
pub struct Judgement<'m, M = TokenMail> {
    /// The outcome of the checks.
    pub verdict: Verdict<M>,
    /// The octets that were judged.
    seen: &'m [u8],
    username: Option<String>,
    proof: Option<Proof>,
}

impl<M> Judgement<'_, M> {
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

impl<'m, K: Kind> Judgement<'m, K> {
    fn of_no_claim(seen: &'m [u8], why: Option<Unread>) -> Self {
        Self {
            verdict: Verdict::NoClaim(NoClaim {
                why,
                nothing: K::RULES.words.nothing,
            }),
            seen,
            username: None,
            proof: None,
        }
    }
}

impl<M: fmt::Debug> fmt::Debug for Judgement<'_, M> {
    /// Says nothing of the octets: they may hold a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Judgement")
            .field("verdict", &self.verdict)
            .field("facts", &self.facts())
            .finish_non_exhaustive()
    }
}

/// The outcome of the checks.
#[derive(Clone, Debug)]
pub enum Verdict<M = TokenMail> {
    /// A mail of the kind that passed every check.
    Accepted(Box<M>),
    /// Its shown text makes no claim to be a mail of the kind.
    NoClaim(NoClaim),
    /// It claims to be one and fails a check.
    Refused(Refusal),
    /// It claims to be one, and whether it is depends on keys that are not known now.
    Pending(Pending),
}

impl<K: Kind> Verdict<K> {
    /// The stable word for this verdict: `token` and `not-a-token-mail` or `code` and `not-a-code-mail`, `refused` or
    /// `pending`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Accepted(_) => K::RULES.words.value,
            Self::NoClaim(_) => K::RULES.words.other,
            Self::Refused(_) => "refused",
            Self::Pending(_) => "pending",
        }
    }

    /// The stable kebab-case word for why, or `None` for an accepted mail.
    #[must_use]
    pub fn reason(&self) -> Option<&'static str> {
        match self {
            Self::Accepted(_) => None,
            Self::NoClaim(mail) => Some(mail.reason()),
            Self::Refused(refusal) => Some(refusal.reason()),
            Self::Pending(pending) => Some(pending.reason()),
        }
    }
}

/// A mail that makes no claim to be of the kind that is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoClaim {
    /// Why the mail, or its HTML, was not read; `None` where it was read and says nothing.
    pub why: Option<Unread>,
    nothing: &'static str,
}

impl NoClaim {
    /// The stable kebab-case word: `no-token` or `no-code` for a mail that was read.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        self.why.map_or(self.nothing, Unread::reason)
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
    /// The username, where the shown text names exactly one with a token or code; for refused mails too.
    pub username: Option<String>,
    /// The proof that it is from whom it says; also of a mail that is refused by a later check.
    pub proof: Option<Proof>,
}

/// Judges one raw message (RFC 5322) as a token mail, by what the user allows, with the keys known so far, at the time
/// `now`.
///
/// A mail that makes no claim is [`Verdict::NoClaim`] whatever its header says. A mail that claims is checked
/// in a fixed order, and the first check that fails is the reason of the refusal.
#[must_use]
pub fn judge<'m>(raw: &'m [u8], policy: &Policy, keys: &dyn Keys, now: Timestamp) -> Judgement<'m> {
    // A glance is for everybody else's mail: should it err, no mail that is waited for is missed.
    if policy.is_named_in(glance::header_section(seen(raw))) {
        return read(raw, policy, keys, now);
    }
    at_a_glance(raw).unwrap_or_else(|| read(raw, policy, keys, now))
}

/// The same as a mail with a verification code. One whose From names no listed sender's domain makes no claim,
/// whatever it says, so that nobody else's mail costs anything.
#[must_use]
pub fn judge_code<'m>(
    raw: &'m [u8],
    policy: &Policy,
    keys: &dyn Keys,
    now: Timestamp,
) -> Judgement<'m, CodeMail> {
    let seen = seen(raw);
    if policy.is_named_in_from(glance::header_section(seen)) {
        read(raw, policy, keys, now)
    } else {
        Judgement::of_no_claim(seen, None)
    }
}

/// The judgement of a mail that needs no reading: it claims nothing.
fn at_a_glance(raw: &[u8]) -> Option<Judgement<'_>> {
    let seen = seen(raw);
    match Glance::at(seen) {
        Glance::Suspect => None,
        Glance::Large => Some(Judgement::of_no_claim(
            seen,
            mime::unread(seen, TokenMail::RULES),
        )),
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
fn read<'m, K: Kind>(
    raw: &'m [u8],
    policy: &Policy,
    keys: &dyn Keys,
    now: Timestamp,
) -> Judgement<'m, K> {
    let seen = seen(raw);
    let rules = K::RULES;
    let shown = match Shown::of(seen, rules) {
        Ok(shown) => shown,
        Err(why) => return Judgement::of_no_claim(seen, Some(why)),
    };
    if !(rules.may_stand_in)(&shown.plain) && !(rules.may_stand_in)(&shown.html) {
        return Judgement::of_no_claim(seen, shown.unread);
    }
    let (reading, other) = &readings(&shown, rules, seen);
    let is_another = |rules: &&'static Rules| readings(&shown, rules, seen).0.claims(|| false);
    if !reading.claims(|| has_known_subject(seen, rules)) || rules.yields_to.iter().any(is_another)
    {
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
        verdict: checked.map_or_else(Verdict::from, |mail| Verdict::Accepted(Box::new(mail))),
        seen,
        username: reading::only_username(reading, other).map(str::to_owned),
        proof,
    }
}

/// What a mail says, whatever speaks against it: for a person who decides to believe it. `None` where it does not
/// name exactly one username and one token. A Date that cannot be read is `now`.
#[must_use]
pub fn believe(raw: &[u8], now: Timestamp) -> Option<TokenMail> {
    let seen = seen(raw);
    let rules = TokenMail::RULES;
    let shown = Shown::of(seen, rules).ok()?;
    let (reading, other) = &readings(&shown, rules, seen);
    let agreed = reading::agreed(reading, other, &UsernameGlobs::any()).ok()?;
    let section = Section::scan(seen).ok();
    let date = section
        .as_ref()
        .and_then(|section| sender::facts(section).date)
        .unwrap_or(now);
    let body = section.as_ref().map_or(seen, |section| section.body);
    TokenMail::of(Found {
        username: agreed.username,
        value: agreed.value,
        date,
        identity: Identity::of(date, body),
        warnings: agreed.warnings,
    })
}

/// What the two parts say, the one that claims first: the text where it does, else the HTML.
fn readings(shown: &Shown, rules: &'static Rules, seen: &[u8]) -> (Reading, Reading) {
    let plain = Reading::of(&shown.plain, rules);
    let html = Reading::of(&shown.html, rules);
    if plain.claims(|| has_known_subject(seen, rules)) {
        (plain, html)
    } else {
        (html, plain)
    }
}

fn has_known_subject(seen: &[u8], rules: &Rules) -> bool {
    let section = Section::scan(seen).ok();
    let subject = section.as_ref().and_then(sender::subject);
    subject.is_some_and(|subject| labels::is_subject_of(rules.subjects, &subject))
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

impl<M> From<Stopped> for Verdict<M> {
    fn from(stopped: Stopped) -> Self {
        match stopped {
            Stopped::Refused(refusal) => Self::Refused(refusal),
            Stopped::Pending(pending) => Self::Pending(pending),
        }
    }
}

/// The checks, in the order in which they give the reason of a refusal.
fn accept<K: Kind>(
    section: &Section,
    read: &Read,
    policy: &Policy,
    keys: &dyn Keys,
    now: Timestamp,
    proved: &mut Option<Proof>,
) -> Result<K, Stopped> {
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
    check_age(date, now, K::RULES)?;
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
    let agreed = reading::agreed(reading, other, &policy.usernames)?;
    let mut warnings = agreed.warnings;
    if !agreed.known_label && !labels::is_subject_of(K::RULES.subjects, &fields.subject()) {
        warnings.push(Warning::UnknownWording);
    }
    let found = Found {
        username: agreed.username,
        value: agreed.value,
        date,
        identity,
        warnings,
    };
    // A mail without a username that needs one claims nothing, and does not come here.
    K::of(found).ok_or_else(|| {
        let (usernames, values) = (0, 1);
        Refusal::Ambiguous { usernames, values }.into()
    })
}

/// An old mail is refused before anything is asked for it: no key makes it younger.
fn check_age(date: Timestamp, now: Timestamp, rules: &Rules) -> Result<(), Refusal> {
    let Some(greatest) = rules.greatest_age else {
        return Ok(());
    };
    let age = now.duration_since(date);
    if age > greatest {
        let minutes = greatest.as_mins();
        Err(Refusal::TooOld { date, minutes })
    } else if age < -AHEAD {
        Err(Refusal::Ahead { date })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
