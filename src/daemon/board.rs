//! How each account stands, in one place, for the service manager.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// Accounts in trouble that are named: a service manager shows one line, and takes no datagram of thousands of names.
const NAMED: usize = 10;

/// How an account stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Nothing is known yet: the first attempt goes on.
    Starting,
    /// What arrives is seen.
    Watched,
    /// It cannot be watched for now.
    Troubled,
}

/// How each account stands, by its address.
#[derive(Debug, Default)]
pub(super) struct Board {
    standings: Mutex<BTreeMap<String, Standing>>,
    changed: Notify,
}

impl Board {
    /// Writes down how an account stands.
    pub(super) fn set(&self, address: &str, standing: Standing) {
        let before = self.lock().insert(address.to_owned(), standing);
        if before != Some(standing) {
            self.changed.notify_one();
        }
    }

    /// Takes an account off.
    pub(super) fn remove(&self, address: &str) {
        self.lock().remove(address);
        self.changed.notify_one();
    }

    /// Waits for a change since the last one.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Whether every account has had its first attempt.
    pub(super) fn is_ready(&self) -> bool {
        self.lock().values().all(|&one| one != Standing::Starting)
    }

    /// A sentence for it.
    pub(super) fn sentence(&self) -> String {
        let standings = self.lock();
        let watched = standings.values().filter(|&&one| one == Standing::Watched);
        let mut sentence = format!(
            "watching {} of {} accounts",
            watched.count(),
            standings.len()
        );
        let troubled = standings
            .iter()
            .filter(|(_, one)| **one == Standing::Troubled);
        let mut troubled = troubled.map(|(address, _)| address.as_str());
        let named: Vec<_> = troubled.by_ref().take(NAMED).collect();
        if !named.is_empty() {
            sentence.push_str("; trouble with ");
            sentence.push_str(&named.join(", "));
        }
        match troubled.count() {
            0 => {}
            more => write!(sentence, " and {more} more").expect("text"),
        }
        sentence
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Standing>> {
        self.standings
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{Board, NAMED, Standing};

    #[test]
    fn the_service_manager_hears_who_is_in_trouble() {
        let board = Board::default();
        board.set("a@b.example", Standing::Watched);
        board.set("c@d.example", Standing::Starting);
        assert!(!board.is_ready());
        board.set("c@d.example", Standing::Troubled);
        assert!(board.is_ready());
        assert_eq!(
            board.sentence(),
            "watching 1 of 2 accounts; trouble with c@d.example"
        );
        for number in 0..NAMED + 2 {
            board.set(&format!("{number:02}@x.example"), Standing::Troubled);
        }
        let sentence = board.sentence();
        assert!(
            sentence.starts_with("watching 1 of 14 accounts; trouble with 00@x"),
            "{sentence}"
        );
        assert!(sentence.ends_with("09@x.example and 3 more"), "{sentence}");
        for number in 0..NAMED + 2 {
            board.remove(&format!("{number:02}@x.example"));
        }
        board.remove("c@d.example");
        assert_eq!(board.sentence(), "watching 1 of 1 accounts");
    }
}
