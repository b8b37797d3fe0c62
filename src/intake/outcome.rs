//! What becomes of a mail that came in.

use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::keychain;
use crate::ledger::{self, Decision, Entry, Origin};
use crate::mail::{self, Facts, Kind, NoClaim, Refusal, TokenMail};

/// What became of a mail.
#[derive(Debug)]
pub struct Outcome {
    /// What is known of the mail.
    pub facts: Facts,
    /// Where it lies.
    pub origin: Option<Origin>,
    /// What became of it.
    pub fate: Fate,
    /// The store that holds the token, where it is stored.
    pub store: Option<String>,
    /// The ledger knows, where it is to know; else this is to be tried again, or the mail read again.
    pub noted: bool,
}

/// What became of a mail.
#[derive(Debug)]
pub enum Fate {
    /// It was only to be judged, and is a token mail.
    Judged(Box<TokenMail>),
    /// Its token is in the keychain, read back and recorded.
    Stored(Box<TokenMail>),
    /// Its token was stored before.
    Already(Box<TokenMail>),
    /// A later mail of the same search, or one whose token somebody else stored, holds the username's token; this one
    /// is dead.
    Outdone(Box<TokenMail>),
    /// It is a token mail that does not count.
    Refused(Refused),
    /// It says nothing of a token.
    NotATokenMail(NoClaim),
    /// It is to be stored and cannot be for now.
    Pending(Box<Pending>),
}

/// Why a token mail does not count.
#[derive(Debug)]
pub struct Refused {
    /// A stable word.
    pub reason: &'static str,
    /// A sentence for people.
    pub sentence: String,
}

/// A mail that waits.
#[derive(Debug)]
pub struct Pending {
    /// What is at hand of it.
    pub held: Held,
    /// What it waits for.
    pub why: Obstacle,
}

/// What is at hand of a pending mail.
#[derive(Debug)]
pub enum Held {
    /// It was judged; its token is to be stored. It is not judged again: keys are withdrawn.
    Token(Box<TokenMail>),
    /// It is to be judged.
    Raw(Zeroizing<Vec<u8>>),
}

/// What a pending mail waits for.
#[derive(Debug, thiserror::Error)]
pub enum Obstacle {
    /// The sender's key.
    #[error(transparent)]
    Keys(#[from] mail::Pending),
    /// The keychain.
    #[error(transparent)]
    Keychain(#[from] keychain::Error),
    /// The ledger.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// Our clock.
    #[error("the mail's Date ({0}) lies ahead of this machine's clock. Set the clock right")]
    Clock(Timestamp),
}

impl Obstacle {
    /// The word for a keychain that does not take the token.
    pub const KEYCHAIN: &str = "keychain";

    /// A stable word.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Keys(pending) => pending.reason(),
            Self::Keychain(_) => Self::KEYCHAIN,
            Self::Ledger(_) => "ledger",
            Self::Clock(_) => "clock",
        }
    }
}

impl Outcome {
    /// What became of a mail, before anybody took note of it.
    pub(crate) fn new(facts: Facts, origin: Option<Origin>, fate: Fate) -> Self {
        Self {
            facts,
            origin,
            fate,
            store: None,
            noted: false,
        }
    }

    /// What the ledger's lists say of it.
    pub(super) fn entry(&self, origin: &Origin, reason: &str, sentence: String) -> Entry {
        Entry {
            origin: origin.clone(),
            seen: Timestamp::now(),
            date: self.facts.date,
            from: self.facts.from.clone(),
            username: self.facts.username.clone(),
            proof: self.facts.proof.clone(),
            reason: reason.to_owned(),
            sentence,
            hooked: false,
        }
    }
}

impl Refused {
    /// The word for a mail that is older than the one whose token is stored.
    pub const SUPERSEDED: &str = "superseded";

    /// A mail of this kind that failed a check.
    pub(super) fn by<K: Kind>(refusal: &Refusal) -> Self {
        Self {
            reason: refusal.reason(),
            sentence: refusal.sentence::<K>().to_string(),
        }
    }

    /// A token mail that the ledger does not let in.
    pub(super) fn out_of_order(decision: Decision, mail: &TokenMail) -> Self {
        let (reason, sentence) = match decision {
            Decision::Tied => (
                "same-date",
                format!(
                    "another mail with the same Date ({}) and another token is stored, and they lie in different \
                     folders. Reset the token again to have one that is surely the latest",
                    mail.date
                ),
            ),
            Decision::FarAhead => (
                "clock",
                format!(
                    "its Date ({}) lies more than a day ahead of this machine's clock. Check the clock",
                    mail.date
                ),
            ),
            _ => (
                Refused::SUPERSEDED,
                format!(
                    "its Date ({}) is not later than that of the token stored last or forgotten. An old mail seen \
                     again changes nothing",
                    mail.date
                ),
            ),
        };
        Refused { reason, sentence }
    }
}
