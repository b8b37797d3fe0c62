//! The ledger: whether it can be locked, read and written, and what waits in it.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::timeout;

use super::check::{Check, Link, Trouble, counted};
use crate::ledger::{Entry, Error, Ledger, List};

/// How long another process may hold it: storing a token takes some milliseconds, where no person is asked.
const LOCK: Duration = Duration::from_secs(5);

/// Locks the ledger, writes a file beside its own, and reads its records.
pub(super) async fn usable(ledger: &Ledger) -> Check {
    let tried = async {
        ledger.lock().await?.probe()?;
        ledger.records()
    };
    match timeout(LOCK, tried).await {
        Ok(Ok(records)) => {
            let measured = format!(
                "locked, read and written; {} recorded",
                counted(records.len(), "token")
            );
            Check::sound(Link::Ledger, measured).with("records", records.len())
        }
        Ok(Err(error)) => broken(&error),
        Err(_) => {
            let sentence = format!(
                "another fetch-token has held the ledger for {} s. Look whether it waits for a keychain prompt",
                LOCK.as_secs()
            );
            Check::broken(Link::Ledger, Trouble::Pending, &sentence)
        }
    }
}

fn broken(error: &Error) -> Check {
    let trouble = match error {
        Error::Damaged { .. } => Trouble::Unexpected,
        Error::Io { .. } | Error::Full(_) | Error::Held(_) => Trouble::Pending,
    };
    Check::broken(Link::Ledger, trouble, &error.to_string())
}

/// Mails that wait, and mails that were refused.
pub(super) fn leftovers(ledger: &Ledger) -> Check {
    let pending = ledger.unsettled(List::Pending);
    let refused = ledger.unsettled(List::Refused);
    let (pending, refused) = match (pending, refused) {
        (Ok(pending), Ok(refused)) => (pending, refused),
        (Err(error), _) | (_, Err(error)) => {
            let mut check = broken(&error);
            check.link = Link::Leftovers;
            return check;
        }
    };
    let now = Timestamp::now();
    let measured = format!(
        "{} waiting{}, {} refused{}",
        counted(pending.len(), "mail"),
        oldest(&pending, now),
        refused.len(),
        oldest(&refused, now)
    );
    let check = Check::sound(Link::Leftovers, measured)
        .with("pending", pending.len())
        .with("refused", refused.len());
    let advice = match (pending.is_empty(), refused.is_empty()) {
        (true, true) => return check,
        (false, _) => "`fetch-token wait` tries those that wait again, and says what keeps them",
        (true, false) => "`fetch-token refused` shows which, and why",
    };
    check.advise(advice)
}

fn oldest(entries: &[Entry], now: Timestamp) -> String {
    let Some(oldest) = entries.iter().map(|entry| entry.seen).min() else {
        return String::new();
    };
    let hours = now.duration_since(oldest).as_hours();
    match hours {
        ..1 => " (the oldest for less than an hour)".to_owned(),
        1..48 => format!(" (the oldest for {hours} h)"),
        _ => format!(" (the oldest for {} days)", hours / 24),
    }
}
