//! `fetch-token get`: print the stored token, alone.

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::announce::object;
use super::{Exit, Failure, House};
use crate::cli::GetArgs;
use crate::ledger::{Entry, List, Record};
use crate::pairing;

pub(super) async fn get(house: &House, args: GetArgs) -> Result<Exit, Failure> {
    let (username, token) = stored(house, &args.username).await?;
    let token = token.expose_secret();
    house.announcer.result(
        token,
        object(json!({"event": "token", "username": username, "token": token})),
    );
    Ok(Exit::Done)
}

/// The stored token, and how the keychain spells the username. Says so where it may be dead.
pub(super) async fn stored(
    house: &House,
    username: &str,
) -> Result<(String, SecretString), Failure> {
    // A ledger that cannot be read must not keep a token from the one who asks for it.
    let known = House::ledger().ok();
    let known = known.and_then(|ledger| ledger.find(username).ok().flatten());
    let name = known
        .as_ref()
        .map_or_else(|| username.to_owned(), |known| known.username.clone());
    let lies_in = known.as_ref().and_then(Record::lies_in);
    let token = house.keychain.token(&name, lies_in).await?;
    let token = token.ok_or_else(|| pairing::Error::NotStored(username.to_owned()))?;
    warn_of_newer(house, &name);
    Ok((name, token))
}

/// Says so where a newer mail for the username was refused or waits: the token printed may be dead.
fn warn_of_newer(house: &House, username: &str) {
    let Ok(ledger) = House::ledger() else { return };
    let stored = ledger.find(username).ok().flatten();
    let is_newer = |entry: &Entry| {
        let names_it = entry
            .username
            .as_deref()
            .is_some_and(|named| named.eq_ignore_ascii_case(username));
        let date = entry.date.unwrap_or(entry.seen);
        names_it && stored.as_ref().is_none_or(|stored| date > stored.date)
    };
    for (list, what) in [
        (List::Pending, "waits to be judged or stored"),
        (List::Refused, "was refused (`fetch-token refused`)"),
    ] {
        let entries = ledger.unsettled(list).unwrap_or_default();
        if let Some(entry) = entries.iter().rev().find(|entry| is_newer(entry)) {
            house.announcer.say(&format!(
                "Note: a newer token mail for {username} {what}: {} ({}). This token may be dead.",
                entry.sentence, entry.reason
            ));
        }
    }
}
