//! Up to where each folder was taken in, for a daemon that starts again.

use std::sync::{Mutex, PoisonError};

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
}

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

    /// Keeps a cursor in place of the last of its folder. What could not be written is written with the next, or by
    /// [`Cursors::save`].
    pub fn keep(&self, cursor: Cursor) -> Result<(), Error> {
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
                return Ok(());
            }
            Some(known) => *known = cursor,
            None => known.cursors.push(cursor),
        }
        known.saved = false;
        self.write(&mut known)
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
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Cursors;
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
            cursors.keep(cursor(account, uid_next)).expect("written");
        }
        let (again, _) = Cursors::read(ledger);
        assert_eq!(again.of("a@B.example"), [cursor("A@b.example", 2)]);
        assert_eq!(again.of("c@d.example"), [cursor("c@d.example", 5)]);
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
        again.keep(cursor("a@b.example", 4)).expect("written");
        let (last, error) = Cursors::read(ledger);
        assert!(error.is_none());
        assert_eq!(last.of("a@b.example"), [cursor("a@b.example", 4)]);
    }
}
