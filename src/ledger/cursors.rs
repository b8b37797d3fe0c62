//! Up to where each folder was taken in, for a daemon that starts again.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::{Error, Ledger};
use crate::imap::Cursor;

const FILE: &str = "cursors.json";

/// Up to where each folder was taken in. One process at a time keeps these: the daemon, of which there is one.
#[derive(Debug)]
pub struct Cursors {
    ledger: Ledger,
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    cursors: Vec<Cursor>,
    /// The file says the same.
    saved: bool,
    written_at: Option<Instant>,
}

/// What became of a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Kept {
    /// It is in the file.
    Written,
    /// It is to be saved after this time.
    Unwritten(Duration),
}

/// Shortest time between two cursors that are written one by one. All are in one file: written for each, thousands of
/// accounts that begin together would cost its square. A process that is killed before it has written finds some mails
/// again.
const PAUSE: Duration = Duration::from_secs(1);

impl Cursors {
    /// What was kept before. What cannot be read is an error, and then nothing is known; it is replaced by what is
    /// kept from now on.
    #[must_use]
    pub fn read(ledger: Ledger) -> (Self, Option<Error>) {
        let (cursors, error) = match ledger.read_file(FILE) {
            Ok(cursors) => (cursors.unwrap_or_default(), None),
            Err(error) => (Vec::new(), Some(error)),
        };
        let known = Mutex::new(Known {
            cursors,
            saved: true,
            written_at: None,
        });
        (Self { ledger, known }, error)
    }

    /// Those of one account.
    #[must_use]
    pub fn of(&self, account: &str) -> Vec<Cursor> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let of_account = |cursor: &&Cursor| cursor.account.eq_ignore_ascii_case(account);
        known.cursors.iter().filter(of_account).cloned().collect()
    }

    /// Keeps a cursor in place of the last of its folder, and writes it, unless others were written just now. What was
    /// not written is written with the next, or by [`Cursors::save`].
    pub fn keep(&self, cursor: Cursor) -> Result<Kept, Error> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same_folder = |other: &Cursor| {
            other.account.eq_ignore_ascii_case(&cursor.account) && other.folder == cursor.folder
        };
        match known.cursors.iter_mut().find(|known| is_same_folder(known)) {
            // When it was taken says nothing new: no need for the disk each time nothing came.
            Some(known)
                if (known.uid_validity, known.uid_next)
                    == (cursor.uid_validity, cursor.uid_next) =>
            {
                return Ok(Kept::Written);
            }
            Some(known) => *known = cursor,
            None => known.cursors.push(cursor),
        }
        known.saved = false;
        match known
            .written_at
            .map(|at| PAUSE.saturating_sub(at.elapsed()))
        {
            None | Some(Duration::ZERO) => self.write(&mut known).map(|()| Kept::Written),
            Some(pause) => Ok(Kept::Unwritten(pause)),
        }
    }

    /// Forgets the account with this address, which is not watched any more.
    pub fn forget(ledger: &Ledger, account: &str) -> Result<(), Error> {
        let Some(mut cursors) = ledger.read_file::<Vec<Cursor>>(FILE)? else {
            return Ok(());
        };
        cursors.retain(|cursor| !cursor.account.eq_ignore_ascii_case(account));
        ledger.write_file(FILE, &cursors)
    }

    /// Writes what could not be written before.
    pub fn save(&self) -> Result<(), Error> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.saved {
            return Ok(());
        }
        self.write(&mut known)
    }

    fn write(&self, known: &mut Known) -> Result<(), Error> {
        self.ledger.make_directory_for(FILE)?;
        self.ledger.write_file(FILE, &known.cursors)?;
        known.saved = true;
        known.written_at = Some(Instant::now());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Cursors, Kept, PAUSE};
    use crate::imap::Cursor;
    use crate::ledger::Ledger;
    use jiff::Timestamp;

    fn cursor(account: &str, uid_next: u32) -> Cursor {
        Cursor {
            account: account.to_owned(),
            folder: "INBOX".to_owned(),
            uid_validity: 7,
            uid_next,
            taken: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn the_last_cursor_of_each_folder_survives() {
        let folder = tempfile::tempdir().expect("a temp directory");
        let ledger = Ledger::at(folder.path().join("not/yet/there"));
        let (cursors, error) = Cursors::read(ledger.clone());
        assert!(error.is_none() && cursors.of("a@b.example").is_empty());
        for (account, uid_next) in [("a@b.example", 1), ("c@d.example", 5), ("A@b.example", 2)] {
            let _ = cursors.keep(cursor(account, uid_next)).expect("written");
        }
        cursors.save().expect("written");
        let (again, _) = Cursors::read(ledger);
        assert_eq!(again.of("a@B.example"), [cursor("A@b.example", 2)]);
        assert_eq!(again.of("c@d.example"), [cursor("c@d.example", 5)]);
    }

    #[test]
    fn cursors_that_come_together_are_written_together() {
        let folder = tempfile::tempdir().expect("a temp directory");
        let ledger = Ledger::at(folder.path().join("state"));
        let (cursors, _) = Cursors::read(ledger.clone());
        let first = cursors.keep(cursor("a@b.example", 1)).expect("written");
        let second = cursors.keep(cursor("c@d.example", 1)).expect("kept");
        assert_eq!(first, Kept::Written);
        assert!(matches!(second, Kept::Unwritten(pause) if pause <= PAUSE));
        let (early, _) = Cursors::read(ledger.clone());
        assert!(early.of("c@d.example").is_empty());
        cursors.save().expect("written");
        let (late, _) = Cursors::read(ledger);
        assert_eq!(late.of("c@d.example"), [cursor("c@d.example", 1)]);
    }

    #[test]
    fn what_could_not_be_written_is_written_later_and_a_damaged_file_is_replaced() {
        let folder = tempfile::tempdir().expect("a temp directory");
        let place = folder.path().join("state");
        std::fs::write(&place, "in the way").expect("write");
        let ledger = Ledger::at(place.clone());
        let (cursors, _) = Cursors::read(ledger.clone());
        cursors.keep(cursor("a@b.example", 3)).expect_err("no room");
        std::fs::remove_file(&place).expect("remove");
        cursors.save().expect("written");
        std::fs::write(place.join("cursors.json"), "{").expect("write");
        let (again, error) = Cursors::read(ledger.clone());
        assert!(error.is_some());
        let kept = again.keep(cursor("a@b.example", 4)).expect("written");
        assert_eq!(kept, Kept::Written);
        let (last, error) = Cursors::read(ledger);
        assert!(error.is_none());
        assert_eq!(last.of("a@b.example"), [cursor("a@b.example", 4)]);
    }
}
