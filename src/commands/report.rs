//! `fetch-token report`: what a report of a bug needs, masked.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::announce::object;
use super::{Exit, Failure, House, doctor, status};
use crate::cli::ReportArgs;
use crate::config;
use crate::ledger::{Entry, Ledger, List, State};
use crate::report::{Gathered, What, machine};

pub(super) async fn report(house: &House, args: ReportArgs) -> Result<Exit, Failure> {
    let mut names = machine::names();
    let checks = doctor::checks(house, None, false, !args.online).await?;
    let ledger = House::ledger()?;
    let gathered = Gathered {
        program: machine::program(),
        machine: machine::machine(),
        configuration: configuration(house)?,
        checks: checks
            .iter()
            .map(|check| Value::Object(doctor::described(check)))
            .collect(),
        daemon: daemon(&mut names).await,
        ledger: Some(numbers(&ledger, &mut names).map_err(|error| error.to_string())),
        home: machine::home().map(|home| home.display().to_string()),
        names,
    };
    let report = gathered.masked();
    house
        .announcer
        .result(report.markdown().trim_end(), object(report.json()));
    Ok(Exit::Done)
}

fn configuration(house: &House) -> Result<Option<Result<String, String>>, Failure> {
    match std::fs::read_to_string(house.config_file()?) {
        Ok(text) => Ok(Some(Ok(text))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Ok(Some(Err(format!("it cannot be read: {error}")))),
    }
}

/// How each account of the daemon is doing; `None` where none runs.
async fn daemon(names: &mut Vec<(What, String)>) -> Option<Result<Vec<Value>, String>> {
    let directory = config::runtime_directory().ok()?;
    names.push((What::Path, directory.display().to_string()));
    match status::accounts(&directory).await {
        Ok(None) => None,
        Ok(Some(accounts)) => Some(Ok(accounts
            .iter()
            .map(|one| Value::Object(status::described(one)))
            .collect())),
        Err(failure) => Some(Err(failure.message)),
    }
}

/// How much the ledger holds of what; the names in it go to `names`.
fn numbers(
    ledger: &Ledger,
    names: &mut Vec<(What, String)>,
) -> Result<Value, crate::ledger::Error> {
    let records = ledger.records()?;
    let (pending, refused) = (
        ledger.unsettled(List::Pending)?,
        ledger.unsettled(List::Refused)?,
    );
    for record in &records {
        names.push((What::Address, record.username.clone()));
        names.extend(record.from.clone().map(|from| (What::Address, from)));
        names.extend(
            record
                .origin
                .iter()
                .map(|origin| (What::Address, origin.account.clone())),
        );
        names.extend(
            record
                .origin
                .iter()
                .map(|origin| (What::Folder, origin.folder.clone())),
        );
    }
    for entry in pending.iter().chain(&refused) {
        let people = entry
            .from
            .iter()
            .chain(&entry.username)
            .chain([&entry.origin.account]);
        names.extend(people.map(|name| (What::Address, name.clone())));
        names.push((What::Folder, entry.origin.folder.clone()));
    }
    let of_state = |state| {
        records
            .iter()
            .filter(|record| record.state == state)
            .count()
    };
    Ok(json!({
        "stored": of_state(State::Stored),
        "writing": of_state(State::Writing),
        "forgotten": of_state(State::Forgotten),
        "accepted": records.iter().filter(|record| record.accepted).count(),
        "without_hooks_run": records.iter().filter(|record| !record.hooked).count(),
        "pending": by_reason(&pending),
        "refused": by_reason(&refused),
    }))
}

fn by_reason(entries: &[Entry]) -> BTreeMap<&str, usize> {
    let mut numbers = BTreeMap::new();
    for entry in entries {
        *numbers.entry(entry.reason.as_str()).or_default() += 1;
    }
    numbers
}
