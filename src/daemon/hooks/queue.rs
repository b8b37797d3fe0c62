//! Which hooks are to run next, and when: pure, with the time passed in.
//!
//! Bounded by what it is made of: a flag for tokens, one place for the login, and for either list a batch that holds no
//! more mails than the ledger does.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::facts::Facts;
use crate::config::{Hook, Occasion};
use crate::imap::Class;
use crate::ledger::{List, Origin};
use crate::news::News;
use crate::receipt::Event;

/// Shortest time between two runs for refused mails, pending mails or failed logins: anybody who can send mail can
/// cause them.
const GAP: Duration = Duration::from_mins(1);

/// How often the ledger is looked at for tokens that other processes stored (`accept`, `wait`) and nobody told of.
const LOOK: Duration = Duration::from_mins(1);

/// Most mails of a batch: as many as the ledger keeps on a list.
const MOST: usize = 1_000;

/// What hooks are to run for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// The tokens that the ledger has and whose hooks have not run.
    Stored,
    /// A login that failed.
    LoginFailed(Facts),
    /// Mails on a list.
    Mails(List, Vec<Mail>),
}

/// A mail on a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mail {
    pub(super) origin: Origin,
    pub(super) facts: Facts,
}

/// What waits for its hooks.
#[derive(Debug)]
pub(super) struct Queue {
    wanted: Vec<Occasion>,
    /// When the ledger is to be looked at for tokens.
    look_at: Instant,
    login: Login,
    pending: Batch,
    refused: Batch,
}

#[derive(Debug)]
struct Login {
    /// It fails, and that was told.
    is_told: bool,
    /// Refusals in a row that may have meant something else.
    doubts: u32,
    due: Option<Facts>,
    not_before: Instant,
}

#[derive(Debug)]
struct Batch {
    mails: VecDeque<Mail>,
    not_before: Instant,
}

impl Batch {
    fn add(&mut self, mail: Mail) {
        self.remove(&mail.origin);
        if self.mails.len() == MOST {
            self.mails.pop_front();
        }
        self.mails.push_back(mail);
    }

    fn remove(&mut self, origin: &Origin) {
        self.mails.retain(|known| known.origin != *origin);
    }

    fn take(&mut self, now: Instant) -> Option<Vec<Mail>> {
        if self.mails.is_empty() || now < self.not_before {
            return None;
        }
        self.not_before = now + GAP;
        Some(std::mem::take(&mut self.mails).into())
    }
}

impl Queue {
    /// With the first look at the ledger due now.
    pub(super) fn new(hooks: &[Hook], now: Instant) -> Self {
        let batch = || Batch {
            mails: VecDeque::new(),
            not_before: now,
        };
        Self {
            wanted: hooks.iter().map(|hook| hook.on).collect(),
            look_at: now,
            login: Login {
                is_told: false,
                doubts: 0,
                due: None,
                not_before: now,
            },
            pending: batch(),
            refused: batch(),
        }
    }

    /// Whether there is a hook for this.
    pub(super) fn wants(&self, on: Occasion) -> bool {
        self.wanted.contains(&on)
    }

    /// A mail that is on a list, from this life or an earlier one.
    pub(super) fn add(&mut self, list: List, mail: Mail) {
        match list {
            List::Pending if self.wants(Occasion::Pending) => self.pending.add(mail),
            List::Refused if self.wants(Occasion::Refused) => self.refused.add(mail),
            List::Pending | List::Refused => {}
        }
    }

    /// Takes in what is heard of the account.
    pub(super) fn hear(&mut self, news: &News, now: Instant) {
        match news {
            News::Armed { .. } => {
                self.login.is_told = false;
                self.login.doubts = 0;
                self.login.due = None;
            }
            News::Receipt(receipt) => {
                let Some(origin) = &receipt.origin else {
                    return;
                };
                // A pending mail that was stored or refused waits no more.
                self.pending.remove(origin);
                let mail = || Mail {
                    origin: origin.clone(),
                    facts: Facts::of_receipt(receipt),
                };
                match receipt.event {
                    Event::Stored | Event::Already => self.look_at = now,
                    Event::Refused => self.add(List::Refused, mail()),
                    Event::PendingJudgement | Event::PendingStorage => {
                        self.add(List::Pending, mail());
                    }
                    Event::Outdone | Event::Seen => {}
                }
            }
            News::Gone(origin) => self.pending.remove(origin),
            News::Trouble {
                class, sentence, ..
            }
            | News::Failed { class, sentence } => self.trouble(*class, sentence),
        }
    }

    fn trouble(&mut self, class: Class, sentence: &str) {
        let reason = match class {
            Class::Passing => return,
            Class::Doubtful => {
                self.login.doubts += 1;
                // Some servers refuse a login where they mean that they are busy.
                if self.login.doubts < 2 {
                    return;
                }
                "login-refused"
            }
            Class::Login => "login-refused",
            Class::Keychain => "keychain",
        };
        if self.wants(Occasion::LoginFailed) && !self.login.is_told {
            self.login.is_told = true;
            self.login.due = Some(Facts::of_login(reason, sentence));
        }
    }

    /// What is due now, the most important first. It is then no longer in the queue.
    pub(super) fn take(&mut self, now: Instant) -> Option<Work> {
        if self.wants(Occasion::Stored) && now >= self.look_at {
            self.look_at = now + LOOK;
            return Some(Work::Stored);
        }
        if now >= self.login.not_before
            && let Some(facts) = self.login.due.take()
        {
            self.login.not_before = now + GAP;
            return Some(Work::LoginFailed(facts));
        }
        if let Some(mails) = self.pending.take(now) {
            return Some(Work::Mails(List::Pending, mails));
        }
        let mails = self.refused.take(now)?;
        Some(Work::Mails(List::Refused, mails))
    }

    /// When something is due, if nothing is heard until then.
    pub(super) fn next_at(&self) -> Option<Instant> {
        let batch = |batch: &Batch| (!batch.mails.is_empty()).then_some(batch.not_before);
        [
            self.wants(Occasion::Stored).then_some(self.look_at),
            self.login.due.as_ref().map(|_| self.login.not_before),
            batch(&self.pending),
            batch(&self.refused),
        ]
        .into_iter()
        .flatten()
        .min()
    }
}

#[cfg(test)]
mod tests;
