//! `fetch-token list`: what is stored, from which mail, since when; never the token.

use serde_json::json;

use super::announce::{object, table};
use super::{Exit, Failure, House};
use crate::ledger::{Record, State};

const HEAD: [&str; 4] = ["USERNAME", "MAIL OF", "FROM", "STORE"];

pub(super) fn list(house: &House) -> Result<Exit, Failure> {
    let mut records = House::ledger()?.records()?;
    records.retain(|record| record.state != State::Forgotten);
    if house.announcer.speaks_json() {
        for record in &records {
            house.announcer.object(object(json!({
                "event": "listed",
                "username": record.username,
                "state": record.state,
                "date": record.date.to_string(),
                "message_id": record.message_id,
                "from": record.from,
                "account": record.origin.as_ref().map(|origin| &origin.account),
                "folder": record.origin.as_ref().map(|origin| &origin.folder),
                "proof": record.proof,
                "accepted": record.accepted,
                "store": record.store,
                "changed": record.changed.to_string(),
            })));
        }
        return Ok(Exit::Done);
    }
    if records.is_empty() {
        house
            .announcer
            .say("Nothing is stored yet. Reset a token and call `fetch-token`.");
        return Ok(Exit::Done);
    }
    for line in table(HEAD, &records.iter().map(cells).collect::<Vec<_>>()) {
        house.announcer.result(&line, object(json!({})));
    }
    Ok(Exit::Done)
}

fn cells(record: &Record) -> [String; 4] {
    let store = match record.state {
        State::Stored => record.store.clone(),
        State::Writing => format!("{} (not confirmed)", record.store),
        State::Forgotten => String::new(),
    };
    [
        record.username.clone(),
        record.date.to_string(),
        record.from.clone().unwrap_or_default(),
        store,
    ]
}
