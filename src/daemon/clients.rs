//! Who shares an account's watch, and what each of them hears of it.

use std::time::Duration;

use tokio::sync::mpsc;

use super::protocol::{Answer, Begin, Wanted};
use crate::imap::{Class, Cursor};
use crate::ledger::Origin;
use crate::news::{News, Whence};
use crate::receipt::{CodeReceipt, Receipt};

/// Most receipts of mails that wait that are kept for those who come later: as many as the ledger's list has.
const PENDING: usize = 1_000;

/// Those who share a watch.
#[derive(Debug, Default)]
pub(super) struct Clients {
    all: Vec<Client>,
    /// What became of the mails that wait, as it was told last.
    pending: Vec<Receipt>,
    /// The trouble that the watch is in.
    trouble: Option<News>,
    /// A doubtful login refusal was told, and no login since worked.
    is_doubtful: bool,
}

#[derive(Debug)]
struct Client {
    look: u64,
    begin: Begin,
    wanted: Wanted,
    answers: mpsc::Sender<Answer>,
    /// A login that is refused now was tried after it came, with what the user may have changed for it.
    is_current: bool,
    /// Its look back is done, and the watch goes on from here.
    cursor: Option<Cursor>,
    /// Mails that it was told of and that still wait.
    told: Vec<Origin>,
}

impl Clients {
    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.all.len()
    }

    /// Whether any of them waits for a verification code.
    pub(super) fn seek_codes(&self) -> bool {
        let mut all = self.all.iter();
        all.any(|client| client.wanted == Wanted::Code)
    }

    /// How many mails wait.
    pub(super) fn pending(&self) -> usize {
        self.pending.len()
    }

    /// One more. It hears at once that the watch is in trouble, but not of a refused login: that is tried anew.
    /// Where the watch `is_connecting` already, that may come to nothing for reasons that are gone by now.
    pub(super) fn join(
        &mut self,
        look: u64,
        begin: Begin,
        wanted: Wanted,
        answers: mpsc::Sender<Answer>,
        is_connecting: bool,
    ) {
        let client = Client {
            look,
            begin,
            wanted,
            answers,
            is_current: !is_connecting,
            cursor: None,
            told: Vec::new(),
        };
        let is_told = match &self.trouble {
            Some(
                trouble @ News::Trouble {
                    class: Class::Passing,
                    ..
                },
            ) => client.tell(trouble),
            _ => true,
        };
        if is_told {
            self.all.push(client);
        }
    }

    /// One less.
    pub(super) fn leave(&mut self, look: u64) {
        self.all.retain(|client| client.look != look);
    }

    /// The looks back that are still to be made, where the watch begins anew.
    pub(super) fn looks(&self) -> Vec<(u64, Begin)> {
        let looking = self.all.iter().filter(|client| client.cursor.is_none());
        looking
            .map(|client| (client.look, client.begin.clone()))
            .collect()
    }

    /// A look back is done, or a search that the client asked for after it.
    pub(super) fn looked(&mut self, look: u64, cursor: &Cursor, idle: bool) {
        let pending = &self.pending;
        self.all.retain_mut(|client| {
            if client.look != look {
                return true;
            }
            client.cursor.get_or_insert_with(|| cursor.clone());
            let mut is_told = true;
            if client.wanted == Wanted::Token && matches!(client.begin, Begin::Within(_)) {
                for receipt in pending {
                    let origin = receipt.origin.as_ref();
                    if origin.is_none_or(|origin| !client.told.contains(origin)) {
                        let news = News::Receipt(Box::new(receipt.clone()));
                        is_told &= client.hear(&news);
                    }
                }
            }
            let armed = News::Armed {
                cursor: cursor.clone(),
                idle,
            };
            is_told && client.tell(&armed)
        });
    }

    /// Tells whom it concerns. Who does not read what was told before is let go. Says whether a refused login is to
    /// be tried once more, for one who came in the middle of it.
    pub(super) fn news(&mut self, news: &News, whence: Whence) -> bool {
        self.remember(news);
        let mut once_more = false;
        match news {
            // Who waits is not to wait for a person who changes a password.
            News::Trouble {
                class, sentence, ..
            } if self.is_final(*class) => {
                let failed = News::Failed {
                    class: *class,
                    sentence: sentence.clone(),
                };
                self.all.retain_mut(|client| {
                    let is_current = std::mem::replace(&mut client.is_current, true);
                    once_more |= !is_current;
                    !is_current || client.tell(&failed)
                });
            }
            // Whatever broke off begins again.
            News::Failed { class, sentence } => {
                let trouble = News::Trouble {
                    class: *class,
                    sentence: sentence.clone(),
                    again_in: Duration::ZERO,
                };
                self.all.retain(|client| client.tell(&trouble));
            }
            _ => self
                .all
                .retain_mut(|client| !client.is_concerned(news, whence) || client.hear(news)),
        }
        once_more
    }

    /// Tells those of a mail with a verification code who asked for codes, and remembers nothing.
    pub(super) fn code(&mut self, receipt: &CodeReceipt, whence: Whence) {
        self.all.retain(|client| {
            if client.wanted != Wanted::Code || !client.is_reached(whence) {
                return true;
            }
            let receipt = receipt.clone().for_one_from(&client.begin);
            client.answer(Answer::Code(Box::new(receipt)))
        });
    }

    fn is_final(&mut self, class: Class) -> bool {
        let said_before = self.is_doubtful;
        self.is_doubtful |= class == Class::Doubtful;
        match class {
            Class::Login | Class::Keychain => true,
            Class::Doubtful => said_before,
            Class::Passing => false,
        }
    }

    fn remember(&mut self, news: &News) {
        match news {
            News::Armed { .. } => {
                self.trouble = None;
                self.is_doubtful = false;
            }
            News::Trouble { .. } | News::Failed { .. } => self.trouble = Some(news.clone()),
            News::Receipt(receipt) => {
                self.pending.retain(|known| known.origin != receipt.origin);
                if receipt.event.is_pending() && self.pending.len() < PENDING {
                    self.pending.push((**receipt).clone());
                }
            }
            News::Gone(origin) => self
                .pending
                .retain(|known| known.origin.as_ref() != Some(origin)),
        }
    }
}

impl Client {
    /// Whether it looks at what comes from there.
    fn is_reached(&self, whence: Whence) -> bool {
        match whence {
            Whence::Watch => self.cursor.is_some(),
            Whence::Look(look) => look == self.look,
            Whence::Waited => false,
        }
    }

    fn is_concerned(&self, news: &News, whence: Whence) -> bool {
        match (news, whence) {
            (News::Trouble { .. } | News::Failed { .. }, _) => true,
            (News::Receipt(_) | News::Gone(_), _) if self.wanted == Wanted::Code => false,
            (News::Armed { .. }, _) | (_, Whence::Watch) => self.cursor.is_some(),
            (_, Whence::Look(look)) => look == self.look,
            (News::Gone(origin), Whence::Waited) => self.waits_for(origin),
            (News::Receipt(receipt), Whence::Waited) => receipt
                .origin
                .as_ref()
                .is_none_or(|origin| self.waits_for(origin)),
        }
    }

    /// Whether a mail that waited is one of those asked for.
    fn waits_for(&self, origin: &Origin) -> bool {
        let is_after = |cursor: &Cursor| {
            cursor.folder == origin.folder
                && cursor.uid_validity == origin.uid_validity
                && cursor.uid_next <= origin.uid
        };
        let place = match &self.begin {
            Begin::Within(_) => return true,
            Begin::From(cursor) => Some(cursor),
            Begin::Now => self.cursor.as_ref(),
        };
        self.told.contains(origin) || place.is_some_and(is_after)
    }

    fn hear(&mut self, news: &News) -> bool {
        match news {
            News::Receipt(receipt) => {
                self.told
                    .retain(|known| Some(known) != receipt.origin.as_ref());
                if let (true, Some(origin)) = (receipt.event.is_pending(), &receipt.origin) {
                    self.told.push(origin.clone());
                }
            }
            News::Gone(origin) => self.told.retain(|known| known != origin),
            _ => {}
        }
        self.tell(news)
    }

    /// Whether it reads.
    fn tell(&self, news: &News) -> bool {
        self.answer(Answer::News(news.clone()))
    }

    fn answer(&self, answer: Answer) -> bool {
        self.answers.try_send(answer).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::Clients;
    use crate::daemon::protocol::{Answer, Begin, Wanted};
    use crate::imap::{Class, Cursor};
    use crate::ledger::Origin;
    use crate::mail::Code;
    use crate::news::{News, Whence};
    use crate::receipt::{CodeEvent, CodeReceipt, Event, Receipt};
    use jiff::Timestamp;
    use std::time::Duration;
    use tokio::sync::mpsc;

    fn cursor(uid_next: u32) -> Cursor {
        Cursor {
            account: "a@b.example".to_owned(),
            folder: "INBOX".to_owned(),
            uid_validity: 7,
            uid_next,
            taken: Timestamp::UNIX_EPOCH,
        }
    }

    fn receipt(uid: u32, event: Event) -> News {
        News::Receipt(Box::new(Receipt {
            event,
            reason: None,
            sentence: None,
            username: None,
            origin: Some(Origin {
                account: "a@b.example".to_owned(),
                folder: "INBOX".to_owned(),
                uid_validity: 7,
                uid,
            }),
            date: None,
            message_id: None,
            from: None,
            proof: None,
            store: None,
            warnings: Vec::new(),
            at: Timestamp::UNIX_EPOCH,
        }))
    }

    fn trouble(class: Class) -> News {
        News::Trouble {
            class,
            sentence: "why".to_owned(),
            again_in: Duration::from_secs(1),
        }
    }

    fn armed(uid_next: u32) -> News {
        News::Armed {
            cursor: cursor(uid_next),
            idle: true,
        }
    }

    fn heard(answers: &mut mpsc::Receiver<Answer>) -> Vec<News> {
        let all = answers_of(answers).into_iter();
        all.map(|answer| match answer {
            Answer::News(news) => news,
            other => panic!("{other:?}"),
        })
        .collect()
    }

    fn answers_of(answers: &mut mpsc::Receiver<Answer>) -> Vec<Answer> {
        std::iter::from_fn(|| answers.try_recv().ok()).collect()
    }

    fn code(uid: u32, date: Timestamp) -> CodeReceipt {
        CodeReceipt {
            event: CodeEvent::Code,
            code: Some(Code::try_from("012345".to_owned()).expect("six digits")),
            reason: None,
            sentence: None,
            username: None,
            origin: Some(Origin {
                account: "a@b.example".to_owned(),
                folder: "INBOX".to_owned(),
                uid_validity: 7,
                uid,
            }),
            date: Some(date),
            message_id: None,
            from: None,
            proof: None,
            warnings: Vec::new(),
            at: date,
        }
    }

    #[test]
    fn each_hears_its_own_look_and_then_the_watch() {
        let mut clients = Clients::default();
        let (one, mut first) = mpsc::channel(8);
        let (two, mut second) = mpsc::channel(8);
        clients.join(1, Begin::From(cursor(5)), Wanted::Token, one, false);
        clients.join(2, Begin::Now, Wanted::Token, two, false);
        assert_eq!(clients.looks().len(), 2);
        clients.news(&receipt(5, Event::Already), Whence::Look(1));
        clients.news(&receipt(9, Event::Stored), Whence::Watch);
        clients.looked(1, &cursor(10), true);
        clients.looked(2, &cursor(10), true);
        clients.news(&receipt(10, Event::Stored), Whence::Watch);
        clients.news(&receipt(5, Event::Stored), Whence::Waited);
        clients.news(&receipt(4, Event::Stored), Whence::Waited);
        assert_eq!(
            heard(&mut first),
            [
                receipt(5, Event::Already),
                armed(10),
                receipt(10, Event::Stored),
                receipt(5, Event::Stored)
            ]
        );
        assert_eq!(heard(&mut second), [armed(10), receipt(10, Event::Stored)]);
        // It asked for a search, which the other need not know of.
        clients.looked(2, &cursor(11), true);
        assert_eq!(heard(&mut first), []);
        assert_eq!(heard(&mut second), [armed(11)]);
        clients.leave(1);
        assert_eq!((clients.count(), clients.looks().len()), (1, 0));
    }

    #[test]
    fn who_looks_back_hears_what_waits_and_what_comes_of_it() {
        let mut clients = Clients::default();
        clients.news(&receipt(3, Event::PendingStorage), Whence::Watch);
        clients.news(&receipt(4, Event::PendingJudgement), Whence::Watch);
        clients.news(&receipt(4, Event::Refused), Whence::Waited);
        let (sender, mut news) = mpsc::channel(8);
        clients.join(
            1,
            Begin::Within(Duration::from_secs(1)),
            Wanted::Token,
            sender,
            false,
        );
        clients.looked(1, &cursor(9), true);
        clients.news(&receipt(3, Event::Stored), Whence::Waited);
        assert_eq!(
            heard(&mut news),
            [
                receipt(3, Event::PendingStorage),
                armed(9),
                receipt(3, Event::Stored)
            ]
        );
    }

    #[test]
    fn trouble_is_heard_at_once_and_a_login_refused_for_good_is_the_end() {
        let mut clients = Clients::default();
        clients.news(&trouble(Class::Passing), Whence::Watch);
        let (sender, mut news) = mpsc::channel(8);
        clients.join(1, Begin::Now, Wanted::Token, sender, false);
        clients.news(&trouble(Class::Doubtful), Whence::Watch);
        clients.news(&trouble(Class::Doubtful), Whence::Watch);
        let failed = News::Failed {
            class: Class::Doubtful,
            sentence: "why".to_owned(),
        };
        assert_eq!(
            heard(&mut news),
            [trouble(Class::Passing), trouble(Class::Doubtful), failed]
        );
        // Who comes later hears what the login says then.
        let (sender, mut news) = mpsc::channel(8);
        clients.join(2, Begin::Now, Wanted::Token, sender, false);
        assert_eq!(heard(&mut news), []);
    }

    #[test]
    fn a_login_that_was_tried_before_somebody_came_is_tried_once_more() {
        let mut clients = Clients::default();
        let (sender, mut news) = mpsc::channel(8);
        clients.join(1, Begin::Now, Wanted::Token, sender, true);
        assert!(clients.news(&trouble(Class::Login), Whence::Watch));
        assert_eq!(heard(&mut news), []);
        assert!(!clients.news(&trouble(Class::Login), Whence::Watch));
        assert!(matches!(heard(&mut news)[..], [News::Failed { .. }]));
    }

    #[test]
    fn a_code_is_told_to_those_who_asked_for_one_and_they_hear_nothing_of_tokens() {
        let mut clients = Clients::default();
        clients.news(&receipt(3, Event::PendingStorage), Whence::Watch);
        let (one, mut for_tokens) = mpsc::channel(8);
        let (two, mut for_codes) = mpsc::channel(8);
        let (three, mut from_later) = mpsc::channel(8);
        let begin = Begin::Within(Duration::from_secs(1));
        clients.join(1, begin.clone(), Wanted::Token, one, false);
        assert!(!clients.seek_codes());
        clients.join(2, begin, Wanted::Code, two, false);
        let later = Cursor {
            taken: "2026-11-24T12:00:00Z".parse().expect("a time"),
            ..cursor(1)
        };
        clients.join(3, Begin::From(later), Wanted::Code, three, false);
        assert!(clients.seek_codes());
        // Found by a look back that another made.
        clients.code(&code(1, Timestamp::UNIX_EPOCH), Whence::Look(1));
        for look in 1..=3 {
            clients.looked(look, &cursor(9), true);
        }
        clients.news(&receipt(9, Event::Stored), Whence::Watch);
        clients.code(&code(10, Timestamp::UNIX_EPOCH), Whence::Watch);
        let told = [
            receipt(3, Event::PendingStorage),
            armed(9),
            receipt(9, Event::Stored),
        ];
        assert_eq!(heard(&mut for_tokens), told);
        let code = code(10, Timestamp::UNIX_EPOCH);
        let told = [Answer::News(armed(9)), Answer::Code(Box::new(code.clone()))];
        assert_eq!(answers_of(&mut for_codes), told);
        let answers = answers_of(&mut from_later);
        let Some(Answer::Code(refused)) = answers.last() else {
            panic!("{answers:?}");
        };
        assert_eq!(refused.reason.as_deref(), Some("before-cursor"));
        assert_eq!(refused.code, None);
        clients.leave(2);
        clients.leave(3);
        assert!(!clients.seek_codes());
    }

    #[test]
    fn who_does_not_read_is_let_go() {
        let mut clients = Clients::default();
        let (sender, _news) = mpsc::channel(1);
        clients.join(1, Begin::Now, Wanted::Token, sender, false);
        clients.looked(1, &cursor(1), true);
        clients.news(&receipt(1, Event::Stored), Whence::Watch);
        assert_eq!(clients.count(), 0);
    }
}
