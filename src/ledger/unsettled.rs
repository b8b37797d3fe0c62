//! Mails whose token was not stored: the refused, for a person to look at, and the pending, to be tried again.
//!
//! Neither list holds a token. A mail is named by where it lies, and fetched again when it is needed.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Error, Ledger, Locked, Origin};
use crate::mail::Proof;

/// Most entries a list keeps. Anybody who can send mail can fill the list of the refused, where the oldest go first;
/// of the pending none goes, and the one too many is not taken.
const MOST: usize = 1_000;

/// How long an entry is kept: a quarter's worth of accidents.
const KEPT: SignedDuration = SignedDuration::from_hours(24 * 90);

/// Which list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum List {
    /// Mails that claim to bring a token and failed a check.
    Refused,
    /// Mails that could not be judged or stored yet.
    Pending,
}

impl List {
    pub(super) fn file(self) -> &'static str {
        match self {
            Self::Refused => "refused.json",
            Self::Pending => "pending.json",
        }
    }
}

/// A mail whose token was not stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Where it lies.
    pub origin: Origin,
    /// When it was seen first.
    pub seen: Timestamp,
    /// What its Date says.
    pub date: Option<Timestamp>,
    /// What its From says.
    pub from: Option<String>,
    /// The username it names.
    pub username: Option<String>,
    /// What proved its sender, where that was not what failed.
    #[serde(default)]
    pub proof: Option<Proof>,
    /// The stable word for what is wrong.
    pub reason: String,
    /// The sentence for it.
    pub sentence: String,
    /// The hooks for this mail on this list have run, whatever their status.
    #[serde(default)]
    pub hooked: bool,
}

impl Entry {
    /// A short name for people, which stays the same: 8 hexadecimal digits of a hash of where the mail lies.
    #[must_use]
    pub fn id(&self) -> String {
        let Origin {
            account,
            folder,
            uid_validity,
            uid,
        } = &self.origin;
        let place = format!("{account}\0{folder}\0{uid_validity}\0{uid}");
        let hash = Sha256::digest(place.as_bytes());
        let first = hash.first_chunk().copied().unwrap_or_default();
        format!("{:08x}", u32::from_be_bytes(first))
    }
}

impl Ledger {
    /// A list's entries, the oldest first.
    pub fn unsettled(&self, list: List) -> Result<Vec<Entry>, Error> {
        Ok(self.read_file(list.file())?.unwrap_or_default())
    }
}

impl Locked<'_> {
    /// Puts a mail on a list, if there is room; one that is there already keeps the time it was seen first, and is not
    /// new to hooks.
    pub fn note(&self, list: List, mut entry: Entry) -> Result<Timestamp, Error> {
        let mut entries = self.ledger.unsettled(list)?;
        if let Some(place) = entries
            .iter()
            .position(|known| known.origin == entry.origin)
        {
            let known = entries.remove(place);
            entry.seen = known.seen;
            entry.hooked = known.hooked;
        }
        if list == List::Pending && entries.len() >= MOST {
            return Err(Error::Full(self.ledger.directory.join(list.file())));
        }
        let seen = entry.seen;
        let now = Timestamp::now();
        if list == List::Refused {
            entries.retain(|known| now.duration_since(known.seen) < KEPT);
        }
        entries.push(entry);
        let surplus = entries.len().saturating_sub(MOST);
        entries.drain(..surplus);
        self.ledger.write_file(list.file(), &entries)?;
        Ok(seen)
    }

    /// Takes a mail from a list, where it is on it.
    pub fn settle(&self, list: List, origin: &Origin) -> Result<(), Error> {
        let mut entries = self.ledger.unsettled(list)?;
        let before = entries.len();
        entries.retain(|known| known.origin != *origin);
        if entries.len() < before {
            self.ledger.write_file(list.file(), &entries)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Entry, List, MOST};
    use crate::ledger::{Ledger, Origin};
    use jiff::{SignedDuration, Timestamp};

    fn entry(uid: u32, seen: Timestamp) -> Entry {
        Entry {
            origin: Origin {
                account: "a@b.example".to_owned(),
                folder: "INBOX".to_owned(),
                uid_validity: 1,
                uid,
            },
            seen,
            date: None,
            from: None,
            username: None,
            proof: None,
            reason: "bad-signature".to_owned(),
            sentence: "the signature does not verify".to_owned(),
            hooked: false,
        }
    }

    #[tokio::test]
    async fn the_list_of_the_refused_is_bounded_in_number_and_age() {
        let folder = tempfile::tempdir().expect("a temp directory");
        let ledger = Ledger::at(folder.path().to_owned());
        let locked = ledger.lock().await.expect("free");
        let now = Timestamp::now();
        let last_year = now - SignedDuration::from_hours(24 * 365);
        locked
            .note(List::Refused, entry(1, last_year))
            .expect("noted");
        locked.note(List::Refused, entry(2, now)).expect("noted");
        let uids = |list| -> Vec<u32> {
            let entries = ledger.unsettled(list).expect("read");
            entries.iter().map(|entry| entry.origin.uid).collect()
        };
        assert_eq!(uids(List::Refused), [2], "what is too old goes");
        let many: Vec<_> = (10..10 + u32::try_from(MOST).expect("small"))
            .map(|uid| entry(uid, now))
            .collect();
        ledger
            .write_file(List::Refused.file(), &many)
            .expect("written");
        locked
            .note(List::Refused, entry(9_999, now))
            .expect("noted");
        let left = uids(List::Refused);
        assert_eq!((left.len(), left[0], left[MOST - 1]), (MOST, 11, 9_999));
    }

    #[tokio::test]
    async fn a_mail_is_on_a_list_once_and_keeps_the_time_it_was_seen_first() {
        let folder = tempfile::tempdir().expect("a temp directory");
        let ledger = Ledger::at(folder.path().to_owned());
        let locked = ledger.lock().await.expect("free");
        let first = Timestamp::now() - SignedDuration::from_hours(5);
        locked.note(List::Pending, entry(1, first)).expect("noted");
        let seen = locked.note(List::Pending, entry(1, Timestamp::now()));
        assert_eq!(seen.expect("noted"), first);
        assert_eq!(ledger.unsettled(List::Pending).expect("read").len(), 1);
        locked
            .settle(List::Pending, &entry(1, first).origin)
            .expect("settled");
        assert_eq!(ledger.unsettled(List::Pending).expect("read"), []);
    }
}
