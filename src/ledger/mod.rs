//! The record of what was stored, from which mail, when. Never the secret.
//!
//! One small JSON file, replaced atomically, under a lock that also covers the keychain write between intent and
//! commit: two processes that see two mails store the newer one last, whoever comes first.

mod cursors;
mod hooked;
mod unsettled;

pub use cursors::{Cursors, Kept};
pub use unsettled::{Entry, List};

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::keychain::{self, Stamp};
use crate::mail::{Identity, Proof, TokenMail};
use crate::private;

/// How far a mail's Date may lie ahead of our clock: clocks differ by minutes.
const AHEAD: SignedDuration = SignedDuration::from_mins(10);

/// How far it may lie ahead and still be waited for; further is no clock that is a little off.
const FAR_AHEAD: SignedDuration = SignedDuration::from_hours(24);

/// How long to wait for another process: it may be waiting for a person to unlock the keychain.
const LOCK: Duration = Duration::from_secs(70);

/// The file's form.
const SCHEMA: u32 = 1;

/// Why the ledger cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The operating system refuses.
    #[error("the ledger {} cannot be {action}: {why}", .file.display())]
    Io {
        /// The file in question.
        file: PathBuf,
        /// read, written, locked.
        action: &'static str,
        /// The operating system's words.
        why: String,
    },
    /// The file is damaged, or of a later version.
    #[error("the ledger {} is damaged ({why}). Move it away to begin anew; the keychain keeps the tokens", .file.display())]
    Damaged {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// The list of pending mails is full. None is dropped for another.
    #[error("{} holds as many pending mails as it may. Look at what keeps them with `fetch-token status`", .0.display())]
    Full(PathBuf),
    /// Another process holds it.
    #[error("another fetch-token has held the ledger {} for {} s. Look whether it waits for a keychain prompt", .0.display(), LOCK.as_secs())]
    Held(PathBuf),
}

/// How far the storing of a token got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It may or may not be in the keychain: the process ended in between.
    Writing,
    /// The keychain gave it back.
    Stored,
    /// The user had it deleted. The record stays, so that the old mail does not count as new.
    Forgotten,
}

/// Where a mail lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The account's address.
    pub account: String,
    /// The folder.
    pub folder: String,
    /// The folder's `UIDVALIDITY`.
    pub uid_validity: u32,
    /// The mail's UID.
    pub uid: u32,
}

impl Origin {
    /// Whether this mail arrived after `other` in the same folder; `None` where that cannot be told.
    fn is_after(&self, other: &Self) -> Option<bool> {
        fn folder(origin: &Origin) -> (&str, &str, u32) {
            (&origin.account, &origin.folder, origin.uid_validity)
        }
        (folder(self) == folder(other)).then_some(self.uid > other.uid)
    }
}

/// What is known of the token of one username.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The username, as the keychain has it.
    pub username: String,
    /// How far storing got.
    pub state: State,
    /// The mail's Date.
    pub date: Timestamp,
    /// The mail's identity.
    pub identity: Identity,
    /// The mail's Message-ID.
    pub message_id: Option<String>,
    /// The mail's sender.
    pub from: Option<String>,
    /// What proved the sender: keys are withdrawn, so it cannot be found out later.
    pub proof: Option<Proof>,
    /// A person overrode a refusal.
    #[serde(default)]
    pub accepted: bool,
    /// The hooks for this token have run, whatever their status.
    #[serde(default)]
    pub hooked: bool,
    /// Where the mail lay; absent where it came from a file.
    pub origin: Option<Origin>,
    /// The store that holds the token. A ledger of a version that knew one store only means the platform's own.
    #[serde(default = "keychain::own_name")]
    pub store: String,
    /// Other stores, in which an older copy of it may lie: it was moved from there, or another was chosen since.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<String>,
    /// When this record was last changed.
    pub changed: Timestamp,
}

impl Record {
    /// The store that the token lies in, or may lie in; `None` where it was deleted.
    #[must_use]
    pub fn lies_in(&self) -> Option<&str> {
        (self.state != State::Forgotten).then_some(self.store.as_str())
    }

    /// From which mail it is, for the store.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        Stamp::new(self.date, self.identity.clone(), self.origin.as_ref())
    }

    /// The token lies in this store from now on. What lies in the one before is a copy.
    pub fn move_to(&mut self, store: &str) {
        if self.store != store {
            let before = std::mem::replace(&mut self.store, store.to_owned());
            if self.state != State::Forgotten && !self.copies.contains(&before) {
                self.copies.push(before);
            }
        }
        self.copies.retain(|copy| copy != store);
    }
}

/// What to do with a token mail, given what is known of its username.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Store it.
    Store,
    /// It is the mail whose token is stored.
    Already,
    /// A later mail's token was stored, or the user had this one deleted.
    Superseded,
    /// Two mails have the same Date, and nothing tells which is later.
    Tied,
    /// Its Date lies ahead of our clock; wait.
    Ahead,
    /// Its Date lies too far ahead of our clock.
    FarAhead,
}

/// Newer wins: by Date, then by arrival in one folder.
#[must_use]
pub fn decide(
    known: Option<&Record>,
    mail: &TokenMail,
    origin: Option<&Origin>,
    now: Timestamp,
) -> Decision {
    let ahead = mail.date.duration_since(now);
    if ahead > FAR_AHEAD {
        return Decision::FarAhead;
    }
    if ahead > AHEAD {
        return Decision::Ahead;
    }
    let Some(known) = known else {
        return Decision::Store;
    };
    // A mail may be proved in two ways, by another of its signatures the next time; where it lies is the same.
    let is_same_place = origin.is_some() && known.origin.as_ref() == origin;
    if known.identity == mail.identity || (is_same_place && known.date == mail.date) {
        return match known.state {
            State::Stored => Decision::Already,
            State::Writing => Decision::Store,
            State::Forgotten => Decision::Superseded,
        };
    }
    match mail.date.cmp(&known.date) {
        std::cmp::Ordering::Greater => Decision::Store,
        std::cmp::Ordering::Less => Decision::Superseded,
        std::cmp::Ordering::Equal => {
            let later = origin
                .zip(known.origin.as_ref())
                .and_then(|(new, old)| new.is_after(old));
            match later {
                Some(true) => Decision::Store,
                Some(false) => Decision::Superseded,
                None => Decision::Tied,
            }
        }
    }
}

/// The ledger's directory.
#[derive(Debug, Clone)]
pub struct Ledger {
    directory: PathBuf,
}

/// What every file of the ledger is.
#[derive(Debug, Serialize, Deserialize)]
struct Content<T> {
    schema: u32,
    records: T,
}

/// The file of what was stored; its records are by username in lower case, since usernames compare without ASCII
/// case.
const RECORDS: &str = "ledger.json";

impl Ledger {
    /// The ledger in `directory`, which is made when first needed.
    #[must_use]
    pub fn at(directory: PathBuf) -> Self {
        Self { directory }
    }

    /// All records, by username.
    pub fn records(&self) -> Result<Vec<Record>, Error> {
        Ok(self.read()?.into_values().collect())
    }

    /// What is known of `username`.
    pub fn find(&self, username: &str) -> Result<Option<Record>, Error> {
        Ok(self.read()?.remove(&key(username)))
    }

    /// Waits until no other process holds the ledger.
    pub async fn lock(&self) -> Result<Locked<'_>, Error> {
        let file = self.directory.join("ledger.lock");
        let failed = |error: io::Error| failed(&file, "locked", &error);
        private::make_directory(&self.directory).map_err(failed)?;
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&file)
            .map_err(failed)?;
        if !private::lock(&lock, LOCK).await.map_err(failed)? {
            return Err(Error::Held(file));
        }
        Ok(Locked {
            ledger: self,
            _lock: lock,
        })
    }

    /// Makes the directory that a file is to lie in.
    fn make_directory_for(&self, name: &str) -> Result<(), Error> {
        let made = private::make_directory(&self.directory);
        made.map_err(|error| failed(&self.directory.join(name), "written", &error))
    }

    fn read(&self) -> Result<BTreeMap<String, Record>, Error> {
        Ok(self.read_file(RECORDS)?.unwrap_or_default())
    }

    /// One of the ledger's files; `None` where it is not there yet.
    fn read_file<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, Error> {
        let file = self.directory.join(name);
        let damaged = |why: String| Error::Damaged {
            file: file.clone(),
            why,
        };
        let text = match std::fs::read(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(&file, "read", &error)),
        };
        let content: Content<serde_json::Value> =
            serde_json::from_slice(&text).map_err(|error| damaged(error.to_string()))?;
        if content.schema != SCHEMA {
            return Err(damaged(format!(
                "it is of form {}, this version reads {SCHEMA}",
                content.schema
            )));
        }
        serde_json::from_value(content.records)
            .map(Some)
            .map_err(|error| damaged(error.to_string()))
    }

    /// Replaces one of the ledger's files, durably.
    fn write_file<T: Serialize>(&self, name: &str, records: &T) -> Result<(), Error> {
        let file = self.directory.join(name);
        let replace = || -> io::Result<()> {
            let schema = SCHEMA;
            // In one piece: written as it is made, each word would be a call of the system.
            let mut text = serde_json::to_vec_pretty(&Content { schema, records })?;
            text.push(b'\n');
            private::replace(&file, &text)
        };
        replace().map_err(|error| failed(&file, "written", &error))
    }
}

fn failed(file: &Path, action: &'static str, error: &io::Error) -> Error {
    Error::Io {
        file: file.to_owned(),
        action,
        why: error.to_string(),
    }
}

/// The ledger while this process alone may change it.
#[derive(Debug)]
pub struct Locked<'a> {
    ledger: &'a Ledger,
    _lock: File,
}

impl Locked<'_> {
    /// What is known of `username`.
    pub fn find(&self, username: &str) -> Result<Option<Record>, Error> {
        self.ledger.find(username)
    }

    /// Shows that the ledger can be written: a file of the usual size is made beside it, and taken away.
    pub fn probe(&self) -> Result<(), Error> {
        const SIZE: usize = 4096;
        let directory = &self.ledger.directory;
        let write = || -> io::Result<()> {
            let mut new = tempfile::NamedTempFile::new_in(directory)?;
            new.write_all(&[b' '; SIZE])?;
            new.as_file().sync_all()?;
            new.close()
        };
        write().map_err(|error| failed(directory, "written", &error))
    }

    /// Replaces what is known of a username, durably.
    pub fn put(&self, record: Record) -> Result<(), Error> {
        let mut records = self.ledger.read()?;
        records.insert(key(&record.username), record);
        self.ledger.write_file(RECORDS, &records)
    }

    /// Forgets that anything was known of a username, durably.
    pub fn remove(&self, username: &str) -> Result<(), Error> {
        let mut records = self.ledger.read()?;
        records.remove(&key(username));
        self.ledger.write_file(RECORDS, &records)
    }
}

fn key(username: &str) -> String {
    username.to_ascii_lowercase()
}

/// Makes a rename last. Windows has no such call.
#[cfg(test)]
mod tests {
    use super::{Decision, Ledger, Origin, Record, State, decide};
    use crate::mail::{Identity, TokenMail};
    use jiff::Timestamp;

    fn at(time: &str) -> Timestamp {
        format!("2026-11-24T{time}Z").parse().expect("a time")
    }

    fn identity(name: char) -> Identity {
        name.to_string()
            .repeat(64)
            .parse()
            .expect("64 hexadecimal digits")
    }

    fn mail(date: &str, name: char) -> TokenMail {
        TokenMail {
            username: "etl@acme.example".to_owned(),
            token: "AbCdEfGh12345678IjKlMnOp".to_owned().into(),
            date: at(date),
            identity: identity(name),
            warnings: Vec::new(),
        }
    }

    fn place(folder: &str, uid: u32) -> Origin {
        Origin {
            account: "integration@acme.example".to_owned(),
            folder: folder.to_owned(),
            uid_validity: 7,
            uid,
        }
    }

    fn record(state: State) -> Record {
        Record {
            username: "etl@acme.example".to_owned(),
            state,
            date: at("10:00:00"),
            identity: identity('a'),
            message_id: None,
            from: None,
            proof: None,
            accepted: false,
            hooked: false,
            origin: Some(place("INBOX", 10)),
            store: "a store".to_owned(),
            copies: Vec::new(),
            changed: at("10:00:05"),
        }
    }

    #[test]
    fn newer_wins_by_date_then_by_arrival_in_one_folder() {
        use Decision::{Ahead, Already, FarAhead, Store, Superseded, Tied};
        let now = at("12:00:00");
        let inbox = |uid| Some(place("INBOX", uid));
        for (date, name, origin, decision) in [
            ("10:00:00", 'a', inbox(10), Already),
            ("10:00:00", 'a', inbox(99), Already),
            ("10:00:00", 'a', None, Already),
            ("10:00:00", 'b', inbox(10), Already),
            ("10:00:01", 'b', inbox(9), Store),
            ("09:59:59", 'b', inbox(11), Superseded),
            ("10:00:00", 'b', inbox(11), Store),
            ("10:00:00", 'b', inbox(9), Superseded),
            ("10:00:00", 'b', Some(place("Junk", 11)), Tied),
            ("10:00:00", 'b', None, Tied),
            ("12:10:00", 'b', inbox(11), Store),
            ("12:10:01", 'b', inbox(11), Ahead),
        ] {
            let decided = decide(
                Some(&record(State::Stored)),
                &mail(date, name),
                origin.as_ref(),
                now,
            );
            assert_eq!(decided, decision, "{date} {name} {origin:?}");
        }
        let tomorrow = TokenMail {
            date: now + jiff::SignedDuration::from_hours(25),
            ..mail("10:00:00", 'b')
        };
        assert_eq!(decide(None, &tomorrow, None, now), FarAhead);
        assert_eq!(decide(None, &mail("10:00:00", 'b'), None, now), Store);
    }

    #[test]
    fn what_was_interrupted_is_stored_again_and_what_was_forgotten_is_not() {
        let now = at("12:00:00");
        let same = mail("10:00:00", 'a');
        for (state, decision) in [
            (State::Writing, Decision::Store),
            (State::Forgotten, Decision::Superseded),
        ] {
            assert_eq!(decide(Some(&record(state)), &same, None, now), decision);
            // What is newer is stored, and what is older is not, whatever became of the last.
            let newer = decide(Some(&record(state)), &mail("10:00:01", 'b'), None, now);
            assert_eq!(newer, Decision::Store);
            let older = decide(Some(&record(state)), &mail("09:59:59", 'b'), None, now);
            assert_eq!(older, Decision::Superseded);
        }
    }

    #[tokio::test]
    async fn records_survive_and_usernames_compare_without_case() {
        let folder = tempfile::tempdir().expect("a temp directory");
        let ledger = Ledger::at(folder.path().join("not/yet/there"));
        assert_eq!(ledger.records().expect("none"), []);
        let record = record(State::Stored);
        let locked = ledger.lock().await.expect("free");
        locked.put(record.clone()).expect("written");
        drop(locked);
        let found = ledger.find("ETL@Acme.example").expect("read");
        assert_eq!(found, Some(record));
    }

    #[tokio::test]
    async fn one_holds_the_lock_and_the_next_waits() {
        let folder = tempfile::tempdir().expect("a temp directory");
        let ledger = Ledger::at(folder.path().to_owned());
        let held = ledger.lock().await.expect("free");
        let other = Ledger::at(folder.path().to_owned());
        let short = std::time::Duration::from_millis(100);
        assert!(tokio::time::timeout(short, other.lock()).await.is_err());
        drop(held);
        assert!(tokio::time::timeout(short, other.lock()).await.is_ok());
    }

    #[test]
    fn a_ledger_of_a_later_version_is_not_touched() {
        let folder = tempfile::tempdir().expect("a temp directory");
        std::fs::write(
            folder.path().join("ledger.json"),
            r#"{"schema": 2, "records": {}}"#,
        )
        .expect("write");
        let error = Ledger::at(folder.path().to_owned())
            .records()
            .expect_err("not ours to read");
        assert!(
            error.to_string().contains("this version reads 1"),
            "{error}"
        );
    }
}
