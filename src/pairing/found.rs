//! Which of several tokens is the answer: the newest of its username that was there when it was answered.

use jiff::Timestamp;

use crate::receipt::{Event, Receipt};

/// What came so far for whom it is waited for.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// The newest token, until it is given away.
    answer: Option<Receipt>,
    /// Every mail that brought a token, once.
    mails: Vec<Mail>,
    given: Option<Mail>,
}

/// A mail, wherever it lies: moved, copied or sent twice it stays the same one.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Mail {
    /// In lower case.
    username: String,
    message_id: Option<String>,
    date: Option<Timestamp>,
}

impl Mail {
    fn of(receipt: &Receipt) -> Option<Self> {
        Some(Self {
            username: receipt.username.as_deref()?.to_ascii_lowercase(),
            message_id: receipt.message_id.clone(),
            date: receipt.date,
        })
    }
}

impl Found {
    /// Takes what became of a mail; gives what is to be told of it now. A token is held until [`Self::give`].
    pub(super) fn take(&mut self, receipt: Receipt) -> Option<Receipt> {
        let is_stored = receipt.event.is_stored();
        let Some(mail) = Mail::of(&receipt).filter(|_| is_stored || receipt.is_overtaken()) else {
            return Some(receipt);
        };
        let is_known = self.mails.contains(&mail);
        if !is_known {
            self.mails.push(mail.clone());
        }
        let held = self.answer.as_ref().and_then(Mail::of);
        match held {
            _ if !is_stored || self.given.as_ref() == Some(&mail) => Some(receipt),
            None => {
                self.answer = Some(receipt);
                None
            }
            // Seen in another folder as well.
            Some(held) if held == mail => None,
            // What is stored later is newer: the store sees to that.
            Some(held) if held.username == mail.username && !is_known => {
                let mut overtaken = self.answer.replace(receipt)?;
                overtaken.event = Event::Outdone;
                Some(overtaken)
            }
            // Another's, where any is waited for.
            Some(_) => Some(receipt),
        }
    }

    /// Whether there is an answer.
    pub(super) fn has_answer(&self) -> bool {
        self.answer.is_some()
    }

    /// Gives the answer away, and how many others came for its username.
    pub(super) fn give(&mut self) -> Option<(Receipt, usize)> {
        let answer = self.answer.take()?;
        let mail = Mail::of(&answer)?;
        let of_the_same = |other: &&Mail| other.username == mail.username && **other != mail;
        let others = self.mails.iter().filter(of_the_same).count();
        self.given = Some(mail);
        Some((answer, others))
    }
}

#[cfg(test)]
mod tests {
    use super::Found;
    use crate::receipt::{Event, Receipt};
    use jiff::Timestamp;

    fn receipt(username: &str, second: i64, event: Event) -> Receipt {
        Receipt {
            event,
            reason: None,
            sentence: None,
            username: Some(username.to_owned()),
            origin: None,
            date: Timestamp::from_second(second).ok(),
            message_id: Some(format!("<{second}@sfdc.net>")),
            from: None,
            proof: None,
            store: None,
            warnings: Vec::new(),
            at: Timestamp::UNIX_EPOCH,
        }
    }

    fn given(found: &mut Found) -> Option<(i64, usize)> {
        let (answer, others) = found.give()?;
        Some((answer.date?.as_second(), others))
    }

    #[test]
    fn the_newest_is_the_answer_and_the_others_are_counted() {
        let mut found = Found::default();
        // Found in pieces, and the first of them twice.
        assert_eq!(found.take(receipt("a@b.example", 5, Event::Stored)), None);
        assert_eq!(found.take(receipt("a@b.example", 5, Event::Already)), None);
        let older = receipt("a@b.example", 3, Event::Outdone);
        assert_eq!(found.take(older.clone()), Some(older));
        let mut replayed = receipt("a@b.example", 1, Event::Refused);
        replayed.reason = Some("superseded".to_owned());
        assert_eq!(found.take(replayed.clone()), Some(replayed));
        let overtaken = receipt("a@b.example", 5, Event::Outdone);
        let newer = receipt("A@b.example", 7, Event::Stored);
        assert_eq!(found.take(newer), Some(overtaken));
        assert_eq!(given(&mut found), Some((7, 3)));
        assert_eq!(given(&mut found), None);
    }

    #[test]
    fn what_was_given_is_not_given_again_and_a_newer_one_is() {
        let mut found = Found::default();
        found.take(receipt("a@b.example", 5, Event::Stored));
        assert_eq!(given(&mut found), Some((5, 0)));
        let again = receipt("a@b.example", 5, Event::Already);
        assert_eq!(found.take(again.clone()), Some(again));
        assert!(!found.has_answer());
        found.take(receipt("a@b.example", 7, Event::Stored));
        assert_eq!(given(&mut found), Some((7, 1)));
    }

    #[test]
    fn refused_mails_and_other_usernames_do_not_count() {
        let mut found = Found::default();
        let mut forged = receipt("a@b.example", 9, Event::Refused);
        forged.reason = Some("no-signature".to_owned());
        assert!(found.take(forged).is_some());
        found.take(receipt("a@b.example", 5, Event::Stored));
        let other = receipt("c@b.example", 6, Event::Stored);
        assert_eq!(found.take(other.clone()), Some(other));
        assert_eq!(given(&mut found), Some((5, 0)));
    }
}
