//! A store that the `keyring_core` family knows: own thread, own deadline.
//!
//! Such stores block, and a frozen service blocks them for good; a thread that hangs is left behind, never joined. A
//! store is opened for every operation: one that was opened before the service restarted fails for good, and one that
//! could not be opened at start can be later.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use keyring_core::{CredentialStore, Entry, Error as StoreError, Result};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::error::Obstacle;
use super::stamp::Rank;
use super::store::{Doing, Item, Store, Terms, Written};
use super::{CLIENT_SERVICE, Error, MAILBOX_SERVICE, Stamp, TOKEN_SERVICE, thread};

/// How long a store may take. A healthy one takes some milliseconds.
const ANSWER: Duration = Duration::from_secs(10);

/// How long a store may take that can ask a person to unlock it.
const PERSON: Duration = Duration::from_mins(1);

/// How long to wait for the others that write: each takes some milliseconds, and one that is stopped in its tracks must
/// not stop everybody.
const OTHERS: Duration = Duration::from_secs(30);

/// How often to write where somebody else writes at the same time, and how often to ask a store that does not answer
/// or was restarted meanwhile: its library waits 2 s for each answer, so that this is [`ANSWER`].
const TRIES: usize = 5;

/// How long to leave the one who writes at the same time to its work.
const YIELD: Duration = Duration::from_millis(25);

/// The attributes that a [`Stamp`] is in.
const DATE: &str = "date";
const IDENTITY: &str = "identity";
const ARRIVAL: &str = "arrival";

/// What to do where a store has no collection for what is new.
const MAKE_COLLECTION: &str = "Make one in its own program (in GNOME's Passwords and Keys: + , then “Set as default”; in \
                               KeePassXC: open a database and choose a group for the Secret Service), then try again";

/// Opens a store.
type Open = dyn Fn() -> Result<Arc<CredentialStore>> + Send + Sync;

/// Waits at most so long until nobody else writes; it is our turn until the result is dropped.
type Turn = fn(Duration) -> Result<Box<dyn Any>>;

/// Asks which program answers.
type Program = fn() -> Option<String>;

/// A store, and what is peculiar to it.
pub(super) struct Keyring {
    /// Its name for people.
    pub(super) name: &'static str,
    /// What to do where it does not answer.
    pub(super) advice: &'static str,
    /// Whether it can ask a person to unlock it.
    pub(super) may_ask: bool,
    /// Whether an item has a label, for people.
    pub(super) has_labels: bool,
    /// Whether an item has attributes, so that it can be stamped.
    pub(super) has_attributes: bool,
    /// Opens it.
    pub(super) open: Box<Open>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// A store that is used from threads of its own.
#[derive(Debug, Clone)]
pub(super) struct Threaded {
    keyring: Arc<Keyring>,
    deadline: Duration,
    turn: Option<Turn>,
    program: Option<Program>,
}

impl Threaded {
    pub(super) fn new(keyring: Keyring) -> Self {
        let deadline = if keyring.may_ask { PERSON } else { ANSWER };
        Self {
            keyring: Arc::new(keyring),
            deadline,
            turn: None,
            program: None,
        }
    }

    /// The same, where those who write can take turns.
    #[cfg_attr(
        any(windows, target_vendor = "apple"),
        allow(dead_code, reason = "only the Secret Service has turns")
    )]
    pub(super) fn in_turn(mut self, turn: Turn) -> Self {
        self.turn = Some(turn);
        self
    }

    /// The same, where several programs answer to one name.
    #[cfg_attr(
        any(windows, target_vendor = "apple"),
        allow(dead_code, reason = "only the Secret Service is a name")
    )]
    pub(super) fn answered_by(mut self, program: Program) -> Self {
        self.program = Some(program);
        self
    }

    /// One of a test's own, which has a second.
    #[cfg(test)]
    pub(super) fn of_test(
        open: impl Fn() -> Result<Arc<CredentialStore>> + Send + Sync + 'static,
    ) -> Self {
        let keyring = Keyring {
            name: "a test's store",
            advice: "Look at the test",
            may_ask: false,
            has_labels: false,
            has_attributes: true,
            open: Box::new(open),
        };
        Self {
            keyring: Arc::new(keyring),
            deadline: Duration::from_secs(1),
            turn: None,
            program: None,
        }
    }

    async fn on_thread<T: Send + 'static>(
        &self,
        item: &Item,
        deadline: Duration,
        operation: impl Fn(&Keyring, &Item) -> Result<T> + Send + 'static,
    ) -> std::result::Result<T, Error> {
        let store = || self.keyring.name.to_owned();
        let unavailable = |why: String| Error::Unavailable {
            store: store(),
            why,
            advice: self.keyring.advice,
        };
        let (keyring, ours) = (Arc::clone(&self.keyring), item.clone());
        let begin = Instant::now();
        let result = thread::begin(move || patiently(|| operation(&keyring, &ours)))
            .map_err(|error| unavailable(error.to_string()))?;
        match timeout(deadline, result).await {
            Err(_) => Err(Error::Silent {
                store: store(),
                after: deadline,
            }),
            Ok(Err(_)) => Err(unavailable("its client broke".to_owned())),
            Ok(Ok(Err(error))) if obstacle(&error) == Some(Obstacle::Silent) => {
                Err(Error::Silent {
                    store: store(),
                    after: begin.elapsed(),
                })
            }
            Ok(Ok(result)) => result.map_err(|error| self.keyring.in_our_words(error, item)),
        }
    }
}

impl Store for Threaded {
    fn name(&self) -> &str {
        self.keyring.name
    }

    fn program(&self) -> BoxFuture<'_, Option<String>> {
        Box::pin(async move {
            let asked = thread::begin(self.program?).ok()?;
            timeout(self.deadline, asked).await.ok()?.ok()?
        })
    }

    fn read<'a>(&'a self, item: &'a Item) -> Doing<'a, Option<SecretString>> {
        Box::pin(async move {
            let read = self
                .on_thread(item, self.deadline, |keyring, item| {
                    absent_is_none(keyring.entry(item)?.get_secret())
                        .map(|it| it.map(Zeroizing::new))
                })
                .await?;
            // KWallet lists an item that it lost before it wrote it to its file, with nothing in it.
            let Some(octets) = read.filter(|octets| !octets.is_empty()) else {
                return Ok(None);
            };
            match std::str::from_utf8(&octets) {
                Ok(secret) => Ok(Some(SecretString::from(secret))),
                Err(_) => Err(Error::Refused {
                    store: self.keyring.name.to_owned(),
                    why: "the secret stored there is no UTF-8 text. Let the next token replace it, or delete it in \
                          the keychain's own program"
                        .to_owned(),
                }),
            }
        })
    }

    fn write<'a>(
        &'a self,
        item: &'a Item,
        secret: &'a SecretString,
        terms: &'a Terms,
    ) -> Doing<'a, Written> {
        Box::pin(async move {
            let (secret, terms, turn) = (secret.clone(), terms.clone(), self.turn);
            let deadline = match turn {
                Some(_) => PERSON.min(self.deadline + OTHERS),
                None => self.deadline,
            };
            self.on_thread(item, deadline, move |keyring, item| {
                let _turn = turn.map(|turn| turn(OTHERS)).transpose()?;
                keyring.write(item, secret.expose_secret().as_bytes(), &terms)
            })
            .await
        })
    }

    fn delete<'a>(&'a self, item: &'a Item) -> Doing<'a, bool> {
        Box::pin(async move {
            let deleted = self
                .on_thread(item, self.deadline, |keyring, item| {
                    absent_is_none(keyring.entry(item)?.delete_credential())
                })
                .await?;
            Ok(deleted.is_some())
        })
    }
}

impl Keyring {
    /// The item, in a store opened for it.
    fn entry(&self, item: &Item) -> Result<Entry> {
        self.entry_of(&(self.open)()?, item)
    }

    fn entry_of(&self, opened: &Arc<CredentialStore>, item: &Item) -> Result<Entry> {
        let Item { service, account } = item;
        // What a person sees in the keychain's own program.
        let label = match *service {
            TOKEN_SERVICE => format!("Salesforce security token of {account}"),
            MAILBOX_SERVICE => format!("Mailbox password of {account} (fetch-token)"),
            CLIENT_SERVICE => format!("Secret of the client {account} (fetch-token)"),
            _ => "fetch-token: trying the keychain".to_owned(),
        };
        let modifiers = self
            .has_labels
            .then(|| HashMap::from([("label", label.as_str())]));
        opened.build(service, account, modifiers.as_ref())
    }

    /// Looks, writes, and reads back. There is no compare-and-set, so somebody else may write between look and write;
    /// who finds that out afterwards looks again. All of it in one store: some ask a person for every client that reads
    /// what it did not write.
    fn write(&self, item: &Item, secret: &[u8], terms: &Terms) -> Result<Written> {
        for attempt in 0..TRIES {
            if attempt > 0 {
                std::thread::sleep(YIELD);
            }
            let opened = (self.open)()?;
            let entry = self.entry_of(&opened, item)?;
            if let Terms::IfLater(stamp) = terms
                && let Some(written) = self.standing(&entry, secret, stamp)?
            {
                return Ok(written);
            }
            // The stamp first: whoever looks in between takes the token to be newer than it is, compares it with the
            // mail's, and writes it. The other way round an older one would be let in.
            let is_stamped = self.stamp(&entry, terms.stamp())?;
            entry.set_secret(secret)?;
            if is_stamped == Some(false) {
                // It was not there before.
                self.stamp(&entry, terms.stamp())?;
            }
            let entry = self.entry_of(&opened, item)?;
            let Some(kept) = absent_is_none(entry.get_secret())?.map(Zeroizing::new) else {
                continue;
            };
            if *kept != secret {
                continue;
            }
            let is_ours = match (terms, is_stamped) {
                (Terms::IfLater(stamp), Some(_)) => self
                    .stamped(&entry)?
                    .is_none_or(|there| stamp.rank(&there) == Rank::Same),
                _ => true,
            };
            if is_ours {
                return Ok(Written::Kept);
            }
        }
        Err(StoreError::NoEntry)
    }

    /// What is there already, if it keeps us from writing.
    fn standing(&self, entry: &Entry, secret: &[u8], stamp: &Stamp) -> Result<Option<Written>> {
        let Some(there) = self.stamped(entry)? else {
            return Ok(None);
        };
        Ok(match stamp.rank(&there) {
            Rank::Later => None,
            Rank::Earlier => Some(Written::Later),
            Rank::Tied => Some(Written::Tied),
            Rank::Same => {
                let kept = absent_is_none(entry.get_secret())?.map(Zeroizing::new);
                let is_ours = kept.is_some_and(|kept| *kept == secret);
                is_ours.then_some(Written::Already)
            }
        })
    }

    /// The stamp beside the secret; `None` where there is none, or no secret.
    fn stamped(&self, entry: &Entry) -> Result<Option<Stamp>> {
        if !self.has_attributes {
            return Ok(None);
        }
        let attributes = absent_is_none(entry.get_attributes())?.unwrap_or_default();
        let part = |name| attributes.get(name).map_or("", String::as_str);
        let word = format!("{}/{}/{}", part(DATE), part(IDENTITY), part(ARRIVAL));
        Ok(word.parse().ok())
    }

    /// Leaves a stamp; `false` where there is no item to stamp yet, `None` where there are no stamps here.
    fn stamp(&self, entry: &Entry, stamp: Option<&Stamp>) -> Result<Option<bool>> {
        let Some(stamp) = stamp.filter(|_| self.has_attributes) else {
            return Ok(None);
        };
        let (date, identity) = (stamp.date.to_string(), stamp.identity.to_string());
        let arrival = stamp.arrival();
        let attributes = HashMap::from([
            (DATE, date.as_str()),
            (IDENTITY, identity.as_str()),
            (ARRIVAL, arrival.as_str()),
        ]);
        match entry.update_attributes(&attributes) {
            Ok(()) => Ok(Some(true)),
            Err(StoreError::NoEntry) => Ok(Some(false)),
            Err(StoreError::NotSupportedByStore(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A store's error, without the secrets that some of its variants carry.
    fn in_our_words(&self, error: StoreError, item: &Item) -> Error {
        let store = self.name.to_owned();
        match error {
            StoreError::PlatformFailure(why)
                if why.downcast_ref() == Some(&Obstacle::NoCollection) =>
            {
                Error::Unavailable {
                    store,
                    why: why.to_string(),
                    advice: MAKE_COLLECTION,
                }
            }
            StoreError::PlatformFailure(why) => Error::Unavailable {
                store,
                why: why.to_string(),
                advice: self.advice,
            },
            StoreError::NoStorageAccess(why) => Error::Locked {
                store,
                why: why.to_string(),
            },
            StoreError::Ambiguous(_) => Error::Ambiguous {
                store,
                account: item.account.clone(),
            },
            StoreError::NoEntry => Error::NotKept { store },
            StoreError::BadEncoding(_) | StoreError::BadDataFormat(..) => Error::Refused {
                store,
                why: "the secret stored there cannot be read".to_owned(),
            },
            other => Error::Refused {
                store,
                why: other.to_string(),
            },
        }
    }
}

/// Tries again where that may help.
fn patiently<T>(operation: impl Fn() -> Result<T>) -> Result<T> {
    let mut tries = 1;
    loop {
        match operation() {
            Err(error) if tries < TRIES && obstacle(&error).is_some_and(Obstacle::is_passing) => {
                std::thread::sleep(YIELD);
            }
            result => return result,
        }
        tries += 1;
    }
}

fn obstacle(error: &StoreError) -> Option<Obstacle> {
    match error {
        StoreError::PlatformFailure(why) | StoreError::NoStorageAccess(why) => {
            why.downcast_ref().copied()
        }
        _ => None,
    }
}

fn absent_is_none<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(StoreError::NoEntry) => Ok(None),
        Err(error) => Err(error),
    }
}
