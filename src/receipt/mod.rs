//! What became of a mail, in a form that can be passed on: printed, sent over the socket, told to hooks. Never the
//! token. What became of a mail with a verification code is another matter: [`CodeReceipt`].

mod code;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::intake::{Fate, Held, Outcome, Refused};
use crate::ledger::Origin;
use crate::mail::Proof;

pub use code::{CodeEvent, CodeReceipt};

/// What became of a mail.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// What became of it.
    pub event: Event,
    /// A stable word for why, where it was refused or waits.
    pub reason: Option<String>,
    /// A sentence for why, where it was refused or waits.
    pub sentence: Option<String>,
    /// The username it names.
    pub username: Option<String>,
    /// Where it lies; absent for a file.
    pub origin: Option<Origin>,
    /// What its Date says.
    pub date: Option<Timestamp>,
    /// Its Message-ID.
    pub message_id: Option<String>,
    /// What its From says.
    pub from: Option<String>,
    /// What proves its sender.
    pub proof: Option<Proof>,
    /// The store that holds the token, where it is stored.
    pub store: Option<String>,
    /// What a person should look at, although it was stored.
    pub warnings: Vec<String>,
    /// When this became of it.
    pub at: Timestamp,
}

/// What became of a mail, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Event {
    /// Its token is in the keychain, read back and recorded.
    Stored,
    /// Its token was stored before.
    Already,
    /// A later mail that was found with it holds the username's token.
    Outdone,
    /// It claims to bring a token and failed a check.
    Refused,
    /// Its sender cannot be proved yet.
    PendingJudgement,
    /// Its token cannot be stored yet.
    PendingStorage,
    /// It says nothing of a token, or was only to be judged.
    Seen,
}

impl Event {
    /// Whether the username's token is in the keychain because of this mail.
    #[must_use]
    pub fn is_stored(self) -> bool {
        matches!(self, Self::Stored | Self::Already)
    }

    /// Whether the mail waits.
    #[must_use]
    pub fn is_pending(self) -> bool {
        matches!(self, Self::PendingJudgement | Self::PendingStorage)
    }

    /// The word that scripts know.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Stored => "stored",
            Self::Already => "already",
            Self::Outdone => "outdone",
            Self::Refused => "refused",
            Self::PendingJudgement | Self::PendingStorage => "pending",
            Self::Seen => "seen",
        }
    }
}

impl Receipt {
    /// Whether the mail is Salesforce's and brought a token, and a later one holds the username's.
    #[must_use]
    pub fn is_overtaken(&self) -> bool {
        self.event == Event::Outdone
            || self.event == Event::Refused && self.reason.as_deref() == Some(Refused::SUPERSEDED)
    }

    /// For an outcome.
    #[must_use]
    pub fn of(outcome: &Outcome) -> Self {
        let facts = &outcome.facts;
        let mut receipt = Self {
            event: Event::Seen,
            reason: None,
            sentence: None,
            username: facts.username.clone(),
            origin: outcome.origin.clone(),
            date: facts.date,
            message_id: facts.message_id.clone(),
            from: facts.from.clone(),
            proof: facts.proof.clone(),
            store: None,
            warnings: Vec::new(),
            at: Timestamp::now(),
        };
        match &outcome.fate {
            Fate::Stored(mail) | Fate::Already(mail) => {
                receipt.event = match outcome.fate {
                    Fate::Stored(_) => Event::Stored,
                    _ => Event::Already,
                };
                receipt.username = Some(mail.username.clone());
                receipt.date = Some(mail.date);
                receipt.store.clone_from(&outcome.store);
                receipt.warnings = mail.warnings.iter().map(ToString::to_string).collect();
            }
            Fate::Outdone(mail) => {
                receipt.event = Event::Outdone;
                receipt.username = Some(mail.username.clone());
                receipt.date = Some(mail.date);
            }
            Fate::Refused(refused) => {
                receipt.event = Event::Refused;
                receipt.reason = Some(refused.reason.to_owned());
                receipt.sentence = Some(refused.sentence.clone());
            }
            Fate::Pending(pending) => {
                receipt.event = match pending.held {
                    Held::Token(_) => Event::PendingStorage,
                    Held::Raw(_) => Event::PendingJudgement,
                };
                receipt.reason = Some(pending.why.reason().to_owned());
                receipt.sentence = Some(pending.why.to_string());
            }
            Fate::Judged(_) | Fate::NotATokenMail(_) => {}
        }
        receipt
    }
}
