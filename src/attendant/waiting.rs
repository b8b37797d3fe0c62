//! Mails that could not be judged, stored or noted yet, within bounds.

use std::collections::VecDeque;

use tokio::time::Instant;

use crate::intake::{self, Fate, Held, Outcome};
use crate::ledger::Origin;

/// Most octets that are held of mails that wait. Anybody can send mails that wait while DNS is down, of 1 MiB each;
/// those that find no room are fetched again when it is their turn.
const ROOM: usize = 4 * 1024 * 1024;

/// What one outcome weighs besides its mail: its facts are bounded header fields.
const OUTCOME: usize = 1024;

/// Most mails that are asked for again at once.
const AT_ONCE: usize = 16;

/// Mails that wait. They are tried in rounds, further and further apart.
#[derive(Debug)]
pub(super) struct Waiting {
    held: VecDeque<Outcome>,
    weight: usize,
    /// Mails of which only the place is kept, and whether the ledger knows of them.
    parked: Vec<(Origin, bool)>,
    tries: u32,
    /// How many of those held are still to be tried in this round.
    left: usize,
    again_at: Instant,
}

impl Waiting {
    pub(super) fn new() -> Self {
        Self {
            held: VecDeque::new(),
            weight: 0,
            parked: Vec::new(),
            tries: 0,
            left: 0,
            again_at: Instant::now(),
        }
    }

    /// Whether this is to be tried again.
    pub(super) fn concerns(outcome: &Outcome) -> bool {
        matches!(outcome.fate, Fate::Pending(_)) || !outcome.noted
    }

    /// When the next is to be tried.
    pub(super) fn next_at(&self) -> Option<Instant> {
        let is_empty = self.held.is_empty() && self.parked.is_empty();
        (!is_empty).then_some(self.again_at)
    }

    /// Whether everything that waits is in the ledger, where the next process finds it.
    pub(super) fn is_noted(&self) -> bool {
        self.held.iter().all(|outcome| outcome.noted) && self.parked.iter().all(|(_, noted)| *noted)
    }

    /// Forgets a mail; says whether it waited.
    pub(super) fn remove(&mut self, origin: Option<&Origin>) -> bool {
        let before = self.held.len() + self.parked.len();
        self.parked.retain(|(known, _)| Some(known) != origin);
        self.held.retain(|known| known.origin.as_ref() != origin);
        self.weight = self.held.iter().map(weight).sum();
        self.left = self.left.min(self.held.len());
        self.held.len() + self.parked.len() < before
    }

    /// Takes one more.
    pub(super) fn add(&mut self, outcome: Outcome) {
        let is_first = self.next_at().is_none();
        self.put(outcome);
        if is_first {
            self.tries = 0;
            self.again_at = Instant::now() + intake::pause(0);
        }
    }

    /// Holds it where there is room. A judged token is held in any case: it is small, only Salesforce can send one,
    /// and the key that proved it may be gone when it is fetched again.
    fn put(&mut self, outcome: Outcome) {
        let is_token = matches!(&outcome.fate, Fate::Pending(pending) if matches!(pending.held, Held::Token(_)));
        let weight = weight(&outcome);
        match &outcome.origin {
            Some(origin) if !is_token && self.weight + weight > ROOM => {
                self.parked.push((origin.clone(), outcome.noted));
            }
            _ => {
                self.weight += weight;
                self.held.push_back(outcome);
            }
        }
    }

    /// The next to be tried, when its time has come; and where the round ends, mails to be fetched again.
    pub(super) fn due(&mut self) -> (Option<Outcome>, Vec<Origin>) {
        if self.left == 0 {
            self.left = self.held.len();
        }
        let next = self.held.pop_front();
        if let Some(next) = &next {
            self.weight -= weight(next);
        }
        self.left = self.left.saturating_sub(1);
        let mut again = Vec::new();
        if self.left == 0 {
            self.tries = self.tries.saturating_add(1);
            self.again_at = Instant::now() + intake::pause(self.tries);
            // Turn and turn about: one that keeps waiting does not keep the others out.
            let count = self.parked.len().min(AT_ONCE);
            again = self.parked[..count]
                .iter()
                .map(|(origin, _)| origin.clone())
                .collect();
            self.parked.rotate_left(count);
        }
        (next, again)
    }

    /// It still waits, after it was tried.
    pub(super) fn put_back(&mut self, outcome: Outcome) {
        self.put(outcome);
    }

    /// Somebody waits: tries all without a pause.
    pub(super) fn hurry(&mut self) {
        self.tries = 0;
        self.again_at = Instant::now();
    }
}

fn weight(outcome: &Outcome) -> usize {
    let raw = match &outcome.fate {
        Fate::Pending(pending) => match &pending.held {
            Held::Raw(raw) => raw.len(),
            Held::Token(_) => 0,
        },
        _ => 0,
    };
    OUTCOME + raw
}

#[cfg(test)]
mod tests {
    use super::{AT_ONCE, ROOM, Waiting};
    use crate::intake::{Fate, Held, Obstacle, Outcome, Pending};
    use crate::ledger::Origin;
    use crate::mail::Facts;
    use jiff::Timestamp;
    use zeroize::Zeroizing;

    fn mail(uid: u32, octets: usize, noted: bool) -> Outcome {
        Outcome {
            facts: Facts::default(),
            origin: Some(Origin {
                account: "a@b.example".to_owned(),
                folder: "INBOX".to_owned(),
                uid_validity: 1,
                uid,
            }),
            fate: Fate::Pending(Box::new(Pending {
                held: Held::Raw(Zeroizing::new(vec![0; octets])),
                why: Obstacle::Clock(Timestamp::UNIX_EPOCH),
            })),
            store: None,
            noted,
        }
    }

    #[tokio::test]
    async fn what_finds_no_room_is_asked_for_again_and_nothing_is_forgotten() {
        let mut waiting = Waiting::new();
        for uid in 1..=40 {
            waiting.add(mail(uid, 1024 * 1024, true));
        }
        assert!(waiting.weight <= ROOM && waiting.held.len() == 3);
        let mut asked = Vec::new();
        for _ in 0..9 {
            let (next, again) = waiting.due();
            waiting.put_back(next.expect("one of those held"));
            asked.extend(again.iter().map(|origin| origin.uid));
        }
        assert_eq!(asked.len(), 3 * AT_ONCE, "once a round");
        asked.sort_unstable();
        asked.dedup();
        assert_eq!(asked, (4..=40).collect::<Vec<_>>());
        let parked = mail(40, 0, true).origin;
        assert!(waiting.remove(parked.as_ref()) && !waiting.remove(parked.as_ref()));
    }

    #[tokio::test]
    async fn a_mail_that_the_ledger_does_not_know_is_seen_even_where_only_its_place_is_kept() {
        let mut waiting = Waiting::new();
        waiting.add(mail(1, ROOM, true));
        assert!(waiting.is_noted() && waiting.parked.len() == 1);
        waiting.add(mail(2, ROOM, false));
        assert!(!waiting.is_noted());
        waiting.remove(mail(2, 0, true).origin.as_ref());
        assert!(waiting.is_noted());
    }
}
