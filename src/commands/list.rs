//! `fetch-token list`: what is stored, from which mail, since when; never the token.

use serde_json::json;

use super::announce::{object, row};
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
    let lines: Vec<[String; 4]> = records.iter().map(cells).collect();
    let widths: Vec<usize> = (0..HEAD.len())
        .map(|column| {
            lines
                .iter()
                .map(|line| line[column].chars().count())
                .chain([HEAD[column].len()])
                .max()
                .unwrap_or_default()
        })
        .collect();
    house
        .announcer
        .result(&row(&HEAD, &widths), object(json!({})));
    for line in &lines {
        let cells: Vec<&str> = line.iter().map(String::as_str).collect();
        house
            .announcer
            .result(&row(&cells, &widths), object(json!({})));
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
