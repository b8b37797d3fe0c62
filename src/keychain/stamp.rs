//! From which mail a stored token is. Stamped beside the secret, so that two who have no ledger in common agree on
//! which is newer.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use sha2::{Digest as _, Sha256};

use crate::ledger::Origin;
use crate::mail::Identity;

/// From which mail a stored token is: its Date, its identity, and where it arrived. None of it is secret.
///
/// In one word `DATE/IDENTITY/FOLDER:UID`, where FOLDER stands for account, folder and `UIDVALIDITY`; a mail from a
/// file has no `FOLDER:UID`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    /// The signed Date.
    pub date: Timestamp,
    /// The mail's identity.
    pub identity: Identity,
    arrival: Option<Arrival>,
}

/// Where a mail lies, as far as it tells which of two came later.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Arrival {
    /// 16 hexadecimal digits of a hash of account, folder and `UIDVALIDITY` (RFC 3501 §2.3.1.1).
    folder: String,
    uid: u32,
}

/// How a mail ranks against the one whose token lies in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rank {
    /// It is later.
    Later,
    /// It is the same.
    Same,
    /// It is earlier.
    Earlier,
    /// Both have the same Date, and nothing tells which is later.
    Tied,
}

impl Stamp {
    /// Of a mail with this Date and identity, which lies there.
    #[must_use]
    pub fn new(date: Timestamp, identity: Identity, origin: Option<&Origin>) -> Self {
        Self {
            date,
            identity,
            arrival: origin.map(Arrival::of),
        }
    }

    /// Newer wins: by Date, then by arrival in one folder.
    pub(super) fn rank(&self, there: &Self) -> Rank {
        if self.identity == there.identity {
            return Rank::Same;
        }
        let arrival = || {
            let (ours, theirs) = self.arrival.as_ref().zip(there.arrival.as_ref())?;
            (ours.folder == theirs.folder).then(|| ours.uid.cmp(&theirs.uid))
        };
        match self.date.cmp(&there.date) {
            Ordering::Greater => Rank::Later,
            Ordering::Less => Rank::Earlier,
            Ordering::Equal => match arrival() {
                Some(Ordering::Greater) => Rank::Later,
                Some(Ordering::Less) => Rank::Earlier,
                // A mail may be proved in two ways, by another of its signatures the next time.
                Some(Ordering::Equal) => Rank::Same,
                None => Rank::Tied,
            },
        }
    }

    /// `FOLDER:UID`; empty where the mail lay nowhere.
    pub(super) fn arrival(&self) -> String {
        self.arrival
            .as_ref()
            .map_or_else(String::new, Arrival::to_string)
    }
}

impl Arrival {
    fn of(origin: &Origin) -> Self {
        let Origin {
            account,
            folder,
            uid_validity,
            uid,
        } = origin;
        let account = account.to_ascii_lowercase();
        let hash = Sha256::digest(format!("{account}\0{folder}\0{uid_validity}"));
        let first = hash.first_chunk().copied().unwrap_or_default();
        Self {
            folder: format!("{:016x}", u64::from_be_bytes(first)),
            uid: *uid,
        }
    }
}

impl fmt::Display for Arrival {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.folder, self.uid)
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.date, self.identity, self.arrival())
    }
}

/// The text is no [`Stamp`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a stamp is DATE/IDENTITY/FOLDER:UID")]
pub struct NotAStamp;

impl FromStr for Stamp {
    type Err = NotAStamp;

    fn from_str(text: &str) -> Result<Self, NotAStamp> {
        let mut parts = text.splitn(3, '/');
        let mut part = || parts.next().ok_or(NotAStamp);
        let date = part()?.parse().map_err(|_| NotAStamp)?;
        let identity = part()?.parse().map_err(|_| NotAStamp)?;
        let arrival = match part()? {
            "" => None,
            arrival => {
                let (folder, uid) = arrival.split_once(':').ok_or(NotAStamp)?;
                let is_hash = folder.len() == 16 && folder.bytes().all(|b| b.is_ascii_hexdigit());
                Some(Arrival {
                    folder: is_hash.then(|| folder.to_owned()).ok_or(NotAStamp)?,
                    uid: uid.parse().map_err(|_| NotAStamp)?,
                })
            }
        };
        Ok(Self {
            date,
            identity,
            arrival,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{NotAStamp, Rank, Stamp};
    use crate::ledger::Origin;

    fn stamp(second: u8, identity: char, place: Option<(&str, u32)>) -> Stamp {
        let origin = place.map(|(folder, uid)| Origin {
            account: "A@b.example".to_owned(),
            folder: folder.to_owned(),
            uid_validity: 7,
            uid,
        });
        let date = format!("2026-11-24T10:00:{second:02}Z");
        let identity = identity.to_string().repeat(64);
        Stamp::new(
            date.parse().expect("a time"),
            identity.parse().expect("an identity"),
            origin.as_ref(),
        )
    }

    #[test]
    fn newer_wins_by_date_then_by_arrival_in_one_folder() {
        let there = stamp(5, 'a', Some(("INBOX", 10)));
        for (ours, rank) in [
            (stamp(5, 'a', Some(("Junk", 1))), Rank::Same),
            (stamp(5, 'a', None), Rank::Same),
            (stamp(6, 'b', Some(("INBOX", 9))), Rank::Later),
            (stamp(4, 'b', Some(("INBOX", 11))), Rank::Earlier),
            (stamp(5, 'b', Some(("INBOX", 11))), Rank::Later),
            (stamp(5, 'b', Some(("INBOX", 9))), Rank::Earlier),
            (stamp(5, 'b', Some(("INBOX", 10))), Rank::Same),
            (stamp(5, 'b', Some(("Junk", 11))), Rank::Tied),
            (stamp(5, 'b', None), Rank::Tied),
        ] {
            assert_eq!(ours.rank(&there), rank, "{ours}");
        }
    }

    #[test]
    fn a_stamp_is_a_word_that_can_be_read_again() {
        for stamp in [stamp(5, 'a', Some(("INBOX", 10))), stamp(5, 'b', None)] {
            let word = stamp.to_string();
            assert!(!word.contains(char::is_whitespace), "{word}");
            assert_eq!(word.parse(), Ok(stamp));
        }
        let good = stamp(5, 'a', Some(("INBOX", 10))).to_string();
        for bad in [
            "",
            "null",
            "2026-11-24T10:00:00Z",
            &good.replace('a', "g"),
            &good.replace("10:00:05Z", "10:00"),
            &format!("{good}0000000000"),
            &format!("{good} "),
        ] {
            assert_eq!(bad.parse::<Stamp>(), Err(NotAStamp), "{bad}");
        }
    }
}
