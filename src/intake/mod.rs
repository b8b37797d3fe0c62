//! Raw mail in, outcome out: the one way that every command's mails go.
//!
//! Judge, decide by what the ledger knows, write the intent, write the keychain, read it back, commit.

mod outcome;

pub use outcome::{Fate, Held, Obstacle, Outcome, Pending, Refused};

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::crash;
use crate::dns::KeySource;
use crate::keychain::{self, Keychain, Terms, TokenStore, Written};
use crate::ledger::{self, Decision, Ledger, List, Locked, Origin, Record, State};
use crate::mail::{self, CodeMail, Facts, Judgement, Keys, Kind, Policy, TokenMail, Verdict};

/// How long a mail is pending for want of a key: a DNS that is broken for longer will not tell the truth about a
/// key of that time either.
const KEYS: SignedDuration = SignedDuration::from_hours(24);

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

/// Whether token mails are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Yes.
    Store,
    /// No: no keychain, no ledger.
    JudgeOnly,
}

/// What the intake is doing, for the one whose deadline comes in the middle of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Nothing.
    Idle,
    /// Asking for keys and judging.
    Judging,
    /// Waiting for the ledger or the keychain.
    Storing,
}

/// How a mail is judged as one of a kind.
type Judge<K> = for<'m> fn(&'m [u8], &Policy, &dyn Keys, Timestamp) -> Judgement<'m, K>;

/// Where tokens go.
#[derive(Debug)]
pub struct Intake {
    keychain: Keychain,
    ledger: Ledger,
    keys: Mutex<Arc<KeySource>>,
    step: Mutex<Step>,
}

impl Intake {
    /// Senders are proved by `keys`, tokens go to `keychain`, and what happened to `ledger`.
    #[must_use]
    pub fn new(keychain: Keychain, ledger: Ledger, keys: Arc<KeySource>) -> Self {
        Self {
            keychain,
            ledger,
            keys: Mutex::new(keys),
            step: Mutex::new(Step::Idle),
        }
    }

    /// From now on senders are proved by `keys`.
    pub fn use_keys(&self, keys: Arc<KeySource>) {
        *self.keys.lock().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    /// What it is doing, or was doing when it was cut off.
    #[must_use]
    pub fn step(&self) -> Step {
        *self.step.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, step: Step) {
        *self.step.lock().unwrap_or_else(PoisonError::into_inner) = step;
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
            let (facts, mut fate) = self.judge(raw, policy).await;
            if mode == Mode::Store {
                fate = self.seen_before(fate, raw, origin.as_ref()).await;
            }
            match fate {
                Fate::Judged(mail) if mode == Mode::Store => tokens.push((mail, facts, origin)),
                fate => outcomes.push(Outcome::new(facts, origin, fate)),
            }
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
            outcomes.push(Outcome::new(facts, origin, fate));
        }
        if mode == Mode::Store {
            for outcome in &mut outcomes {
                self.remember(outcome).await;
            }
        }
        outcomes
    }

    /// Judges whether a mail brings a verification code, with the keys that it needs. Nothing of it is kept, stored or
    /// noted. It is asked only where somebody waits for a code, so that nobody else's mail makes us ask DNS.
    pub async fn judge_code(&self, raw: &[u8], policy: &Policy) -> (Facts, Verdict<CodeMail>) {
        self.judge_by(raw, policy, mail::judge_code).await
    }

    /// Judges a mail, with the keys that it needs.
    async fn judge_by<K: Kind>(
        &self,
        raw: &[u8],
        policy: &Policy,
        judge: Judge<K>,
    ) -> (Facts, Verdict<K>) {
        self.begin(Step::Judging);
        let now = Timestamp::now();
        // Most mail makes no claim, and costs no DNS.
        let mut judgement = judge(raw, policy, &mail::Unasked, now);
        if let Verdict::Pending(pending) = &judgement.verdict {
            let source = Arc::clone(&self.keys.lock().unwrap_or_else(PoisonError::into_inner));
            let keys = source.ask(&pending.keys).await;
            judgement = judge(raw, policy, &keys, now);
        }
        self.begin(Step::Idle);
        (judgement.facts(), judgement.verdict)
    }

    /// Judges whether a mail brings a token.
    async fn judge(&self, raw: &[u8], policy: &Policy) -> (Facts, Fate) {
        let (facts, verdict) = self.judge_by(raw, policy, mail::judge).await;
        let fate = match verdict {
            Verdict::Accepted(mail) => Fate::Judged(mail),
            Verdict::Refused(refusal) => Fate::Refused(Refused::by::<TokenMail>(&refusal)),
            Verdict::NoClaim(why) => Fate::NotATokenMail(why),
            Verdict::Pending(pending) => Fate::Pending(Box::new(Pending {
                held: Held::Raw(Zeroizing::new(raw.to_vec())),
                why: pending.into(),
            })),
        };
        (facts, fate)
    }

    /// The mail whose token is stored needs no second proof: its key may be silent by now, or its signature expired.
    /// A folder's UIDVALIDITY and UID name one mail for ever (RFC 3501 §2.3.1.1); that it still says what is in the
    /// keychain is seen there, not believed.
    async fn seen_before(&self, fate: Fate, raw: &[u8], origin: Option<&Origin>) -> Fate {
        if !matches!(fate, Fate::Refused(_) | Fate::Pending(_)) || origin.is_none() {
            return fate;
        }
        let records = self.ledger.records().unwrap_or_default();
        let is_stored =
            |record: &&Record| record.state == State::Stored && record.origin.as_ref() == origin;
        let Some(record) = records.iter().find(is_stored) else {
            return fate;
        };
        let Some(mail) = mail::believe(raw, Timestamp::now()) else {
            return fate;
        };
        let stored = self.keychain.token(&record.username, record.lies_in());
        match stored.await {
            Ok(Some(stored)) if stored.expose_secret() == mail.token.expose() => {
                Fate::Already(Box::new(mail))
            }
            _ => fate,
        }
    }

    /// Puts a mail on the list of the refused or of the pending, or takes it from there. A mail that waited too long
    /// for its sender's key is refused. What cannot be noted is still announced, so its failure ends nothing; it says
    /// so in `noted`.
    async fn remember(&self, outcome: &mut Outcome) {
        outcome.noted = true;
        if let Fate::Stored(mail) | Fate::Already(mail) = &outcome.fate {
            let known = self.ledger.find(&mail.username).ok().flatten();
            outcome.store = known.map(|known| known.store);
        }
        let Some(origin) = outcome.origin.clone() else {
            return;
        };
        if matches!(outcome.fate, Fate::NotATokenMail(_)) {
            return;
        }
        let noted = async {
            let ledger = self.ledger.lock().await?;
            if let Fate::Pending(pending) = &outcome.fate {
                let entry = outcome.entry(&origin, pending.why.reason(), pending.why.to_string());
                let seen = ledger.note(List::Pending, entry)?;
                if matches!(pending.why, Obstacle::Keys(_))
                    && Timestamp::now().duration_since(seen) > KEYS
                {
                    outcome.fate = Fate::Refused(Refused {
                        reason: pending.why.reason(),
                        sentence: format!("{}, for more than a day", pending.why),
                    });
                }
            }
            if let Fate::Refused(refused) = &outcome.fate {
                let entry = outcome.entry(&origin, refused.reason, refused.sentence.clone());
                ledger.note(List::Refused, entry)?;
            }
            if !matches!(outcome.fate, Fate::Pending(_)) {
                ledger.settle(List::Pending, &origin)?;
            }
            if matches!(outcome.fate, Fate::Stored(_) | Fate::Already(_)) {
                ledger.settle(List::Refused, &origin)?;
            }
            Ok::<(), ledger::Error>(())
        };
        if let Err(error) = noted.await {
            tracing::debug!(%error, "an outcome could not be noted");
            outcome.noted = false;
        }
    }

    /// A pending mail is gone from its mailbox.
    pub async fn forget_pending(&self, origin: &Origin) {
        let settled = async { self.ledger.lock().await?.settle(List::Pending, origin) };
        if let Err(error) = settled.await {
            tracing::debug!(%error, "a pending mail could not be forgotten");
        }
    }

    /// Tries a pending mail again.
    pub async fn again(&self, outcome: Outcome, policy: &Policy) -> Outcome {
        let Outcome {
            mut facts,
            origin,
            fate,
            ..
        } = outcome;
        let fate = match fate {
            Fate::Pending(pending) => match pending.held {
                Held::Token(mail) => match self.store(*mail.clone(), &facts, origin.as_ref()).await
                {
                    // It was good when it came. While it waited, a later one was stored.
                    Fate::Refused(Refused {
                        reason: Refused::SUPERSEDED,
                        ..
                    }) => Fate::Outdone(mail),
                    fate => fate,
                },
                Held::Raw(raw) => {
                    let judged;
                    (facts, judged) = self.judge(&raw, policy).await;
                    match judged {
                        Fate::Judged(mail) => self.store(*mail, &facts, origin.as_ref()).await,
                        other => other,
                    }
                }
            },
            other => other,
        };
        let mut outcome = Outcome::new(facts, origin, fate);
        self.remember(&mut outcome).await;
        outcome
    }

    /// Stores the token of a mail that was refused, because a person says so. It ranks at its Date or now,
    /// whichever is earlier, so that a mail from the future does not lock out those that follow.
    pub async fn accept(
        &self,
        mut mail: TokenMail,
        facts: Facts,
        origin: Origin,
    ) -> Result<Outcome, Obstacle> {
        mail.date = mail.date.min(Timestamp::now());
        let ledger = self.ledger.lock().await?;
        let known = ledger.find(&mail.username)?;
        let mut record = record(known.as_ref(), &mail, &facts, Some(&origin));
        record.accepted = true;
        let terms = Terms::Anyhow(Some(record.stamp()));
        let store = self.store_for(known.as_ref(), &mut record).await?;
        self.write(&ledger, &store, record, &mail, &terms).await?;
        drop(ledger);
        let fate = Fate::Stored(Box::new(mail));
        let mut outcome = Outcome::new(facts, Some(origin), fate);
        self.remember(&mut outcome).await;
        Ok(outcome)
    }

    async fn store(&self, mail: TokenMail, facts: &Facts, origin: Option<&Origin>) -> Fate {
        let waits = |mail: TokenMail, why| {
            let held = Held::Token(Box::new(mail));
            Fate::Pending(Box::new(Pending { held, why }))
        };
        self.begin(Step::Storing);
        let tried = self.try_store(&mail, facts, origin).await;
        self.begin(Step::Idle);
        match tried {
            Ok(Came::Through(Decision::Store)) => Fate::Stored(Box::new(mail)),
            Ok(Came::Through(Decision::Already)) => Fate::Already(Box::new(mail)),
            Ok(Came::TooLate) => Fate::Outdone(Box::new(mail)),
            Ok(Came::Through(Decision::Ahead)) => {
                let date = mail.date;
                waits(mail, Obstacle::Clock(date))
            }
            Ok(Came::Through(
                refused @ (Decision::Superseded | Decision::Tied | Decision::FarAhead),
            )) => Fate::Refused(Refused::out_of_order(refused, &mail)),
            Err(why) => waits(mail, why),
        }
    }

    async fn try_store(
        &self,
        mail: &TokenMail,
        facts: &Facts,
        origin: Option<&Origin>,
    ) -> Result<Came, Obstacle> {
        let ledger = self.ledger.lock().await?;
        let known = ledger.find(&mail.username)?;
        let decision = ledger::decide(known.as_ref(), mail, origin, Timestamp::now());
        let is_lost = match &known {
            Some(known) if decision == Decision::Already => self.is_lost(known).await?,
            _ => false,
        };
        if decision != Decision::Store && !is_lost {
            return Ok(Came::Through(decision));
        }
        let mut record = record(known.as_ref(), mail, facts, origin);
        let store = self.store_for(known.as_ref(), &mut record).await?;
        // What we began to write before we were cut off is ours to finish, and to announce.
        let is_begun = known.as_ref().is_some_and(|known| {
            known.state == State::Writing && known.identity == record.identity
        });
        let terms = Terms::IfLater(record.stamp());
        let written = self
            .write(&ledger, &store, record.clone(), mail, &terms)
            .await?;
        Ok(match written {
            Written::Kept => Came::Through(Decision::Store),
            Written::Already if is_begun => Came::Through(Decision::Store),
            Written::Already => Came::Through(Decision::Already),
            Written::Later | Written::Tied => {
                // Our intent came to nothing: what is known is what was known before.
                match known {
                    Some(known) => ledger.put(known)?,
                    None => ledger.remove(&record.username)?,
                }
                if written == Written::Tied {
                    Came::Through(Decision::Tied)
                } else {
                    Came::TooLate
                }
            }
        })
    }

    /// Whether a token that was stored is no longer where it was: the user may have deleted it. The mail is there, so it
    /// can be put back.
    async fn is_lost(&self, known: &Record) -> Result<bool, keychain::Error> {
        let read = self.keychain.token(&known.username, known.lies_in());
        match read.await {
            Ok(token) => Ok(token.is_none()),
            // The user names another store now: there it can be put, whatever became of the one before.
            Err(_) if self.keychain.names_another(&known.store) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// The store that the token is to be written to, which the record then names.
    async fn store_for(
        &self,
        known: Option<&Record>,
        record: &mut Record,
    ) -> Result<TokenStore, keychain::Error> {
        let lies_in = known.and_then(Record::lies_in);
        let store = self.keychain.store_for(&record.username, lies_in).await?;
        match lies_in {
            Some(_) => record.move_to(store.name()),
            None => store.name().clone_into(&mut record.store),
        }
        Ok(store)
    }

    /// Intent, keychain, read back, commit.
    async fn write(
        &self,
        ledger: &Locked<'_>,
        store: &TokenStore,
        mut record: Record,
        mail: &TokenMail,
        terms: &Terms,
    ) -> Result<Written, Obstacle> {
        crash::here("judged");
        ledger.put(record.clone())?;
        crash::here("intent");
        let secret = SecretString::from(mail.token.expose());
        let written = store.put(&record.username, &secret, terms).await?;
        crash::here("kept");
        if matches!(written, Written::Later | Written::Tied) {
            return Ok(written);
        }
        record.state = State::Stored;
        record.changed = Timestamp::now();
        ledger.put(record)?;
        crash::here("committed");
        Ok(written)
    }
}

/// What storing came to.
enum Came {
    /// What the ledger, or the store, decided.
    Through(Decision),
    /// Somebody else, with a ledger of their own, stored the token of a later mail.
    TooLate,
}

/// What is to be known of the username, once the token of this mail is stored. It names the store that is known so far.
fn record(
    known: Option<&Record>,
    mail: &TokenMail,
    facts: &Facts,
    origin: Option<&Origin>,
) -> Record {
    Record {
        // One item a username, however a later mail spells it.
        username: known
            .map_or(&mail.username, |known| &known.username)
            .clone(),
        state: State::Writing,
        date: mail.date,
        identity: mail.identity.clone(),
        message_id: facts.message_id.clone(),
        from: facts.from.clone(),
        proof: facts.proof.clone(),
        accepted: false,
        hooked: false,
        origin: origin.cloned(),
        store: known.map_or_else(String::new, |known| known.store.clone()),
        copies: known.map_or_else(Vec::new, |known| known.copies.clone()),
        changed: Timestamp::now(),
    }
}

/// How long to wait before attempt number `tries` (from 0) at storing again.
#[must_use]
pub fn pause(tries: u32) -> Duration {
    Duration::from_secs(1)
        .saturating_mul(2u32.saturating_pow(tries.min(8)))
        .min(LONGEST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::{Fate, Held, Intake, Obstacle, Outcome, Pending};
    use crate::dns::KeySource;
    use crate::keychain::Keychain;
    use crate::ledger::{Ledger, Record, State};
    use crate::mail::{self, Facts, Policy};
    use jiff::{SignedDuration, Timestamp};
    use std::sync::Arc;

    /// What became of a token that waited for the keychain while one of a mail `later` than it was stored.
    async fn waited_beside(later: SignedDuration) -> Fate {
        let raw = include_bytes!("../../fixtures/genuine/absent-fields-signed.eml");
        let mail = mail::believe(raw, Timestamp::now()).expect("a token");
        let folder = tempfile::tempdir().expect("a temp directory");
        let ledger = Ledger::at(folder.path().to_owned());
        let record = Record {
            username: mail.username.clone(),
            state: State::Stored,
            date: mail.date + later,
            identity: "0".repeat(64).parse().expect("a hash"),
            message_id: None,
            from: None,
            proof: None,
            accepted: false,
            hooked: false,
            origin: None,
            store: "a store".to_owned(),
            copies: Vec::new(),
            changed: Timestamp::now(),
        };
        let locked = ledger.lock().await.expect("free");
        locked.put(record).expect("written");
        drop(locked);
        let store: Arc<keyring_core::CredentialStore> =
            keyring_core::mock::Store::new().expect("a mock store");
        let keychain = Keychain::of(move || Ok(store.clone()));
        let intake = Intake::new(keychain, ledger, Arc::new(KeySource::system()));
        let outcome = Outcome {
            facts: Facts::default(),
            origin: None,
            fate: Fate::Pending(Box::new(Pending {
                held: Held::Token(Box::new(mail)),
                why: Obstacle::Keychain(crate::keychain::Error::NotKept {
                    store: "a store".to_owned(),
                }),
            })),
            store: None,
            noted: true,
        };
        intake.again(outcome, &Policy::any()).await.fate
    }

    #[tokio::test]
    async fn a_token_that_waited_while_a_later_one_came_is_outdone_and_not_refused() {
        let later = waited_beside(SignedDuration::from_secs(1)).await;
        assert!(matches!(later, Fate::Outdone(_)), "{later:?}");
        let earlier = waited_beside(SignedDuration::from_secs(-1)).await;
        assert!(matches!(earlier, Fate::Stored(_)), "{earlier:?}");
    }
}
