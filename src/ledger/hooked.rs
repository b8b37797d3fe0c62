//! For which tokens and mails the hooks have run: so that they run once more where a crash came in between, and no
//! more than that.

use jiff::{SignedDuration, Timestamp};

use super::{Entry, Error, Ledger, List, Locked, Origin, RECORDS, Record, State, key};
use crate::mail::Identity;

/// How old a token or mail may be and still cause hooks that did not run: as far as a daemon looks back at its first
/// start. What happened before it was there is history, not news.
const NEWS: SignedDuration = SignedDuration::from_hours(24);

fn is_news(of: Timestamp, account: &str, origin: &Origin, now: Timestamp) -> bool {
    origin.account.eq_ignore_ascii_case(account) && now.duration_since(of) < NEWS
}

impl Ledger {
    /// The tokens that came to `account` and whose hooks have not run, the oldest first.
    pub fn unhooked_records(&self, account: &str, now: Timestamp) -> Result<Vec<Record>, Error> {
        let mut records = self.records()?;
        records.retain(|record| {
            let came_here = |origin| is_news(record.changed, account, origin, now);
            record.state == State::Stored
                && !record.hooked
                && record.origin.as_ref().is_some_and(came_here)
        });
        records.sort_by_key(|record| record.changed);
        Ok(records)
    }

    /// The mails on a list that came to `account` and whose hooks have not run, the oldest first.
    pub fn unhooked_entries(
        &self,
        list: List,
        account: &str,
        now: Timestamp,
    ) -> Result<Vec<Entry>, Error> {
        let mut entries = self.unsettled(list)?;
        entries.retain(|entry| !entry.hooked && is_news(entry.seen, account, &entry.origin, now));
        Ok(entries)
    }
}

impl Locked<'_> {
    /// The hooks for the token of this mail have run. A later mail's token, stored meanwhile, has its own to come.
    pub fn mark_record_hooked(&self, username: &str, identity: &Identity) -> Result<(), Error> {
        let mut records = self.ledger.read()?;
        match records.get_mut(&key(username)) {
            Some(record) if record.identity == *identity && !record.hooked => record.hooked = true,
            _ => return Ok(()),
        }
        self.ledger.write_file(RECORDS, &records)
    }

    /// The hooks for these mails, as members of this list, have run.
    pub fn mark_entries_hooked(&self, list: List, origins: &[Origin]) -> Result<(), Error> {
        let mut entries = self.ledger.unsettled(list)?;
        let mut is_changed = false;
        for entry in &mut entries {
            if !entry.hooked && origins.contains(&entry.origin) {
                entry.hooked = true;
                is_changed = true;
            }
        }
        if is_changed {
            self.ledger.write_file(list.file(), &entries)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::NEWS;
    use crate::ledger::{Entry, Ledger, List, Origin, Record, State};
    use jiff::{SignedDuration, Timestamp};

    const ACCOUNT: &str = "a@b.example";

    fn origin(account: &str, uid: u32) -> Origin {
        Origin {
            account: account.to_owned(),
            folder: "INBOX".to_owned(),
            uid_validity: 1,
            uid,
        }
    }

    fn record(username: &str, identity: char, changed: Timestamp) -> Record {
        Record {
            username: username.to_owned(),
            state: State::Stored,
            date: changed,
            identity: identity.to_string().repeat(64).parse().expect("a hash"),
            message_id: None,
            from: None,
            proof: None,
            accepted: false,
            hooked: false,
            origin: Some(origin(ACCOUNT, 1)),
            store: "a store".to_owned(),
            copies: Vec::new(),
            changed,
        }
    }

    fn due(ledger: &Ledger) -> Vec<String> {
        let records = ledger.unhooked_records(ACCOUNT, Timestamp::now());
        let records = records.expect("read").into_iter();
        records.map(|record| record.username).collect()
    }

    #[tokio::test]
    async fn a_fresh_token_of_the_account_is_due_until_it_is_marked() {
        let folder = tempfile::tempdir().expect("a temp directory");
        let ledger = Ledger::at(folder.path().to_owned());
        let locked = ledger.lock().await.expect("free");
        let now = Timestamp::now();
        let fresh = record("Fresh@x.example", 'a', now);
        let later = now + SignedDuration::from_secs(1);
        for record in [
            record("later@x.example", 'b', later),
            fresh.clone(),
            record("old@x.example", 'c', now - NEWS),
            Record {
                state: State::Writing,
                ..record("interrupted@x.example", 'd', now)
            },
            Record {
                origin: Some(origin("c@d.example", 1)),
                ..record("elsewhere@x.example", 'e', now)
            },
            Record {
                origin: None,
                ..record("file@x.example", 'f', now)
            },
        ] {
            locked.put(record).expect("written");
        }
        assert_eq!(due(&ledger), ["Fresh@x.example", "later@x.example"]);
        // Another mail's token was stored while the hook ran.
        let newer = record("fresh@x.example", '0', now);
        locked.put(newer.clone()).expect("written");
        locked
            .mark_record_hooked("fresh@x.example", &fresh.identity)
            .expect("no error");
        assert_eq!(due(&ledger), ["fresh@x.example", "later@x.example"]);
        locked
            .mark_record_hooked("FRESH@x.example", &newer.identity)
            .expect("written");
        assert_eq!(due(&ledger), ["later@x.example"]);
    }

    #[tokio::test]
    async fn a_mail_that_is_seen_again_is_not_new_to_hooks() {
        let folder = tempfile::tempdir().expect("a temp directory");
        let ledger = Ledger::at(folder.path().to_owned());
        let locked = ledger.lock().await.expect("free");
        let entry = |uid| Entry {
            origin: origin(ACCOUNT, uid),
            seen: Timestamp::now(),
            date: None,
            from: None,
            username: None,
            proof: None,
            reason: "unsigned".to_owned(),
            sentence: "it is not signed".to_owned(),
            hooked: false,
        };
        let due = || -> Vec<u32> {
            let entries = ledger.unhooked_entries(List::Refused, ACCOUNT, Timestamp::now());
            let entries = entries.expect("read").into_iter();
            entries.map(|entry| entry.origin.uid).collect()
        };
        locked.note(List::Refused, entry(1)).expect("noted");
        locked.note(List::Refused, entry(2)).expect("noted");
        assert_eq!(due(), [1, 2]);
        locked
            .mark_entries_hooked(List::Refused, &[origin(ACCOUNT, 1)])
            .expect("marked");
        locked.note(List::Refused, entry(1)).expect("noted");
        assert_eq!(due(), [2]);
    }
}
