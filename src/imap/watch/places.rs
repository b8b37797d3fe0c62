//! How far a folder was searched, and what to search when it is opened again.

use std::time::Duration;

use jiff::Timestamp;

use crate::imap::cursor::Cursor;
use crate::imap::fetch::age;

/// How much further than the last search to look back where numbers do not help: clocks differ by a minute or two.
const SLACK: Duration = Duration::from_mins(2);

/// A place in an open folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) uid_validity: u32,
    pub(super) uid_next: u32,
}

/// A folder, and how far it was searched.
#[derive(Debug, Clone)]
pub(super) struct Place {
    pub(super) folder: String,
    /// Everything before this was handed on; `None` before the first search.
    position: Option<Position>,
    /// When the folder was searched up to there.
    searched: Timestamp,
    /// What arrived since then is looked for where no position is known.
    since: Timestamp,
}

/// What is to be searched in a folder that was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Gap {
    /// Nothing.
    None,
    /// What has this UID or a higher one.
    From(u32),
    /// What arrived within this time.
    Back(Duration),
}

impl Place {
    /// A folder that is searched for what arrived since `since`.
    pub(super) fn since(folder: &str, since: Timestamp) -> Self {
        Self {
            folder: folder.to_owned(),
            position: None,
            searched: since,
            since,
        }
    }

    /// A folder that was searched up to `cursor`.
    pub(super) fn at(cursor: &Cursor) -> Self {
        Self {
            folder: cursor.folder.clone(),
            position: Some(Position {
                uid_validity: cursor.uid_validity,
                uid_next: cursor.uid_next,
            }),
            searched: cursor.taken,
            since: cursor.taken,
        }
    }

    /// What is to be searched where the folder's mails end `here` now.
    pub(super) fn gap(&self, here: Position, now: Timestamp) -> Gap {
        let back = |since, slack| match age(since, now) {
            Duration::ZERO => Gap::None,
            window => Gap::Back(window + slack),
        };
        match self.position {
            None => back(self.since, Duration::ZERO),
            Some(known) if known == here => Gap::None,
            Some(known)
                if known.uid_validity == here.uid_validity && known.uid_next < here.uid_next =>
            {
                Gap::From(known.uid_next)
            }
            // Renumbered; or UIDNEXT went back under the same UIDVALIDITY, which must not be (RFC 3501 §2.3.1.1)
            // and is: at GMX, and where the last mails were deleted on a server that does not tell UIDNEXT.
            Some(_) => Gap::Back(age(self.searched, now) + SLACK),
        }
    }

    /// The folder was searched up to `here`.
    pub(super) fn arrive(&mut self, here: Position, now: Timestamp) {
        self.position = Some(here);
        self.searched = now;
    }

    /// The folder was searched up to and with this UID; says whether that is news.
    pub(super) fn advance(&mut self, uid_next: u32, now: Timestamp) -> bool {
        self.searched = now;
        match &mut self.position {
            Some(position) if position.uid_next < uid_next => {
                position.uid_next = uid_next;
                true
            }
            _ => false,
        }
    }

    /// How long before `now` it was searched.
    pub(super) fn unsearched(&self, now: Timestamp) -> Duration {
        age(self.searched, now) + SLACK
    }

    /// The first UID that is still to be searched.
    pub(super) fn uid_next(&self) -> u32 {
        self.position.map_or(1, |position| position.uid_next)
    }

    /// The place as a cursor of the account with this address.
    pub(super) fn cursor(&self, account: &str, now: Timestamp) -> Cursor {
        Cursor {
            account: account.to_owned(),
            folder: self.folder.clone(),
            uid_validity: self.position.map_or(0, |position| position.uid_validity),
            uid_next: self.uid_next(),
            taken: now,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Gap, Place, Position, SLACK};
    use jiff::{SignedDuration, Timestamp};
    use std::time::Duration;

    fn position(uid_validity: u32, uid_next: u32) -> Position {
        Position {
            uid_validity,
            uid_next,
        }
    }

    #[test]
    fn what_is_searched_when_a_folder_is_opened() {
        let now = Timestamp::from_second(1_795_528_800).expect("a time");
        let ago = |minutes| now - SignedDuration::from_mins(minutes);
        let new = |since| Place::since("INBOX", since);
        let known = || {
            let mut place = new(ago(60));
            place.arrive(position(7, 100), ago(5));
            place
        };
        let back = |minutes| Gap::Back(Duration::from_mins(minutes) + SLACK);
        for (what, place, here, gap) in [
            (
                "seen for the first time",
                new(ago(10)),
                position(7, 100),
                Gap::Back(Duration::from_mins(10)),
            ),
            (
                "what comes from now on",
                new(Timestamp::MAX),
                position(7, 100),
                Gap::None,
            ),
            ("nothing new", known(), position(7, 100), Gap::None),
            ("three new mails", known(), position(7, 103), Gap::From(100)),
            ("renumbered", known(), position(8, 3), back(5)),
            (
                "renumbered, and more mails",
                known(),
                position(8, 300),
                back(5),
            ),
            ("UIDNEXT went back", known(), position(7, 90), back(5)),
        ] {
            assert_eq!(place.gap(here, now), gap, "{what}");
        }
    }

    #[test]
    fn a_search_never_moves_a_place_back() {
        let now = Timestamp::UNIX_EPOCH;
        let mut place = Place::since("INBOX", now);
        place.arrive(position(7, 100), now);
        assert!(!place.advance(50, now));
        assert!(place.advance(101, now));
        assert_eq!(place.uid_next(), 101);
    }
}
