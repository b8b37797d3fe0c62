//! `fetch-token refused`: the token mails that were refused, for a person to look at; never a token.

use serde_json::json;

use super::announce::{object, table};
use super::{Exit, Failure, House};
use crate::ledger::{Entry, List};

const HEAD: [&str; 6] = ["ID", "MAIL OF", "FOLDER", "UID", "FROM", "REASON"];

pub(super) fn refused(house: &House) -> Result<Exit, Failure> {
    let entries = House::ledger()?.unsettled(List::Refused)?;
    if house.announcer.speaks_json() {
        for entry in &entries {
            house.announcer.object(object(json!({
                "event": "refused",
                "id": entry.id(),
                "date": entry.date.map(|date| date.to_string()),
                "seen": entry.seen.to_string(),
                "account": entry.origin.account,
                "folder": entry.origin.folder,
                "uid": entry.origin.uid,
                "from": entry.from,
                "username": entry.username,
                "proof": entry.proof,
                "reason": entry.reason,
                "sentence": entry.sentence,
            })));
        }
        return Ok(Exit::Done);
    }
    if entries.is_empty() {
        house.announcer.say("No token mail was refused.");
        return Ok(Exit::Done);
    }
    for line in table(HEAD, &entries.iter().map(cells).collect::<Vec<_>>()) {
        house.announcer.result(&line, object(json!({})));
    }
    house
        .announcer
        .say("`fetch-token accept ID` shows what failed, and stores the token all the same.");
    Ok(Exit::Done)
}

fn cells(entry: &Entry) -> [String; 6] {
    [
        entry.id(),
        entry
            .date
            .map_or_else(|| "no Date".to_owned(), |date| date.to_string()),
        entry.origin.folder.clone(),
        entry.origin.uid.to_string(),
        entry.from.clone().unwrap_or_else(|| "no From".to_owned()),
        entry.reason.clone(),
    ]
}
