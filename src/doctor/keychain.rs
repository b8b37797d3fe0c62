//! The keychain: something is written, read back and deleted, under a name of its own.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::check::{Check, Link, Trouble, counted, took};
use crate::escape::escaped;
use crate::keychain::Keychain;
use crate::ledger::Ledger;

/// How long a person may take to unlock it.
const PERSON: Duration = Duration::from_secs(45);

/// The most of a program's name that is shown, in characters: file names that people give are shorter.
const PROGRAM: usize = 64;

/// Tries the store that is configured; where the configuration does not tell, none.
pub(super) async fn round_trip(keychain: &Keychain, ledger: &Ledger, is_known: bool) -> Check {
    if !is_known {
        return Check::not_tried(Link::Keychain);
    }
    let begin = Instant::now();
    match timeout(PERSON, keychain.probe()).await {
        Ok(Ok(())) => {
            let time = took(begin.elapsed());
            let program = keychain.program().await;
            let name = match &program {
                Some(program) => format!("{} ({})", keychain.name(), escaped(program, PROGRAM)),
                None => keychain.name(),
            };
            let measured = if keychain.is_probed_by_writing() {
                format!("{name} wrote, gave back and deleted an item in {time}")
            } else {
                format!("{name} was read in {time}, not written to: it has no command that deletes")
            };
            let check = Check::sound(Link::Keychain, measured).with("store", keychain.name());
            let check = match program {
                Some(program) => check.with("program", program),
                None => check,
            };
            with_elsewhere(check, keychain, ledger)
        }
        Ok(Err(error)) => Check::broken(Link::Keychain, Trouble::Keychain, &error.to_string())
            .with("store", keychain.name()),
        Err(_) => {
            let sentence = format!(
                "the keychain ({}) did not answer within {} s. Look whether it waits for you to unlock it",
                keychain.name(),
                PERSON.as_secs()
            );
            Check::broken(Link::Keychain, Trouble::Keychain, &sentence)
                .with("store", keychain.name())
        }
    }
}

/// Says so where tokens lie in other stores than the one that new tokens go to. What is wrong with the ledger is said by
/// another check.
fn with_elsewhere(check: Check, keychain: &Keychain, ledger: &Ledger) -> Check {
    let here = keychain.name();
    let records = ledger.records().unwrap_or_default();
    let elsewhere: Vec<_> = records
        .iter()
        .filter_map(|record| record.lies_in().filter(|there| *there != here))
        .collect();
    let Some(one) = elsewhere.first() else {
        return check;
    };
    let lie = if elsewhere.len() == 1 { "lies" } else { "lie" };
    let advice = format!(
        "{} {lie} elsewhere (the {one}), where they are read. `fetch-token move --to STORE` brings all to one store",
        counted(elsewhere.len(), "token"),
    );
    check.with("elsewhere", elsewhere.len()).advise(advice)
}
