//! Raw mail in, outcome out: the one way that every command's mails go.
//!
//! Judge, decide by what the ledger knows, write the intent, write the keychain, read it back, commit.

use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;

use crate::keychain::{self, Keychain, TOKEN_SERVICE};
use crate::ledger::{self, Decision, Ledger, Locked, Origin, Record, State};
use crate::mail::{self, Facts, NotATokenMail, Policy, Refusal, TokenMail, Verdict};

/// Longest pause before what could not be stored is tried again.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// A mail on its way in.
#[derive(Debug)]
pub struct Incoming<'a> {
    /// Its octets.
    pub raw: &'a [u8],
    /// Where it lies; `None` for a file.
    pub origin: Option<Origin>,
}

/// What became of a mail.
#[derive(Debug)]
pub struct Outcome {
    /// What is known of the mail.
    pub facts: Facts,
    /// Where it lies.
    pub origin: Option<Origin>,
    /// What became of it.
    pub fate: Fate,
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
    /// A later mail of the same search holds the username's token; this one is dead.
    Outdone(Box<TokenMail>),
    /// It is a token mail that does not count.
    Refused(Refused),
    /// It says nothing of a token.
    NotATokenMail(NotATokenMail),
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

/// A token that waits to be stored.
#[derive(Debug)]
pub struct Pending {
    /// The mail.
    pub mail: TokenMail,
    /// What it waits for.
    pub why: Obstacle,
}

/// What a pending token waits for.
#[derive(Debug, thiserror::Error)]
pub enum Obstacle {
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
    /// A stable word.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Keychain(_) => "keychain",
            Self::Ledger(_) => "ledger",
            Self::Clock(_) => "clock",
        }
    }
}

/// Whether token mails are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Yes.
    Store,
    /// No: no keychain, no ledger.
    JudgeOnly,
}

/// Where tokens go.
#[derive(Debug, Clone)]
pub struct Intake {
    keychain: Keychain,
    ledger: Ledger,
}

impl Intake {
    /// Tokens go to `keychain`, and what happened to `ledger`.
    #[must_use]
    pub fn new(keychain: Keychain, ledger: Ledger) -> Self {
        Self { keychain, ledger }
    }

    /// Takes mails that were found together, in. Of several for one username the latest is stored, and the others
    /// are [`Fate::Outdone`].
    pub async fn take(
        &self,
        incoming: Vec<Incoming<'_>>,
        policy: &Policy,
        mode: Mode,
    ) -> Vec<Outcome> {
        let mut outcomes = Vec::new();
        let mut tokens = Vec::new();
        for Incoming { raw, origin } in incoming {
            let judgement = mail::judge(raw, policy);
            let fate = match judgement.verdict {
                Verdict::Token(mail) if mode == Mode::Store => {
                    tokens.push((mail, judgement.facts, origin));
                    continue;
                }
                Verdict::Token(mail) => Fate::Judged(mail),
                Verdict::Refused(refusal) => Fate::Refused((&refusal).into()),
                Verdict::NotATokenMail(why) => Fate::NotATokenMail(why),
            };
            outcomes.push(Outcome {
                facts: judgement.facts,
                origin,
                fate,
            });
        }
        // The latest first: the others are then seen to be older, and no dead token is ever written.
        tokens.sort_by(|(a, _, at_a), (b, _, at_b)| {
            let uid = |origin: &Option<Origin>| origin.as_ref().map(|origin| origin.uid);
            (b.date, uid(at_b)).cmp(&(a.date, uid(at_a)))
        });
        let mut seen: Vec<String> = Vec::new();
        for (mail, facts, origin) in tokens {
            let is_outdone = seen
                .iter()
                .any(|username| username.eq_ignore_ascii_case(&mail.username));
            let fate = if is_outdone {
                Fate::Outdone(mail)
            } else {
                seen.push(mail.username.clone());
                self.store(*mail, &facts, origin.as_ref()).await
            };
            outcomes.push(Outcome {
                facts,
                origin,
                fate,
            });
        }
        outcomes
    }

    /// Tries a pending token again.
    pub async fn again(&self, outcome: Outcome) -> Outcome {
        let Outcome {
            facts,
            origin,
            fate,
        } = outcome;
        let fate = match fate {
            Fate::Pending(pending) => self.store(pending.mail, &facts, origin.as_ref()).await,
            other => other,
        };
        Outcome {
            facts,
            origin,
            fate,
        }
    }

    async fn store(&self, mail: TokenMail, facts: &Facts, origin: Option<&Origin>) -> Fate {
        match self.try_store(&mail, facts, origin).await {
            Ok(Decision::Store) => Fate::Stored(Box::new(mail)),
            Ok(Decision::Already) => Fate::Already(Box::new(mail)),
            Ok(Decision::Ahead) => {
                let why = Obstacle::Clock(mail.date);
                Fate::Pending(Box::new(Pending { mail, why }))
            }
            Ok(refused @ (Decision::Superseded | Decision::Tied | Decision::FarAhead)) => {
                Fate::Refused(out_of_order(refused, &mail))
            }
            Err(why) => Fate::Pending(Box::new(Pending { mail, why })),
        }
    }

    async fn try_store(
        &self,
        mail: &TokenMail,
        facts: &Facts,
        origin: Option<&Origin>,
    ) -> Result<Decision, Obstacle> {
        let ledger = self.ledger.lock().await?;
        let known = ledger.find(&mail.username)?;
        let decision = ledger::decide(known.as_ref(), mail, origin, Timestamp::now());
        // One item a username, however a later mail spells it.
        let username = known.map_or_else(|| mail.username.clone(), |known| known.username);
        // The user may have deleted it from the keychain; the mail is there, so it can be put back.
        let is_lost = decision == Decision::Already
            && self.keychain.get(TOKEN_SERVICE, &username).await?.is_none();
        if decision != Decision::Store && !is_lost {
            return Ok(decision);
        }
        let record = Record {
            username,
            state: State::Writing,
            date: mail.date,
            identity: mail.identity.clone(),
            message_id: facts.message_id.clone(),
            from: facts.from.clone(),
            origin: origin.cloned(),
            store: self.keychain.name().to_owned(),
            changed: Timestamp::now(),
        };
        self.write(&ledger, record, mail).await?;
        Ok(Decision::Store)
    }

    /// Intent, keychain, read back, commit.
    async fn write(
        &self,
        ledger: &Locked<'_>,
        mut record: Record,
        mail: &TokenMail,
    ) -> Result<(), Obstacle> {
        ledger.put(record.clone())?;
        let secret = SecretString::from(mail.token.expose());
        self.keychain
            .put(TOKEN_SERVICE, &record.username, &secret)
            .await?;
        record.state = State::Stored;
        record.changed = Timestamp::now();
        ledger.put(record)?;
        Ok(())
    }
}

impl From<&Refusal> for Refused {
    fn from(refusal: &Refusal) -> Self {
        Self {
            reason: refusal.reason(),
            sentence: refusal.to_string(),
        }
    }
}

fn out_of_order(decision: Decision, mail: &TokenMail) -> Refused {
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
            "superseded",
            format!(
                "its Date ({}) is not later than that of the token stored last or forgotten. An old mail seen \
                 again changes nothing",
                mail.date
            ),
        ),
    };
    Refused { reason, sentence }
}

/// How long to wait before attempt number `tries` (from 0) at storing again.
#[must_use]
pub fn pause(tries: u32) -> Duration {
    Duration::from_secs(1)
        .saturating_mul(2u32.saturating_pow(tries.min(8)))
        .min(LONGEST_PAUSE)
}
