//! `fetch-token get`: print the stored token, alone.

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;

use super::announce::object;
use super::{Exit, Failure, House};
use crate::cli::GetArgs;
use crate::keychain::TOKEN_SERVICE;
use crate::ledger::{Entry, List, State};
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
    let name =
        House::ledger().map_or_else(|_| username.to_owned(), |ledger| ledger.spelling(username));
    let token = house.keychain.get(TOKEN_SERVICE, &name).await?;
    let not_stored = || pairing::Error::NotStored(username.to_owned()).into();
    let token = token.ok_or_else(|| moved(house, &name).unwrap_or_else(not_stored))?;
    warn_of_newer(house, &name);
    Ok((name, token))
}

/// The token was stored, in another store than the configuration names now.
fn moved(house: &House, username: &str) -> Option<Failure> {
    let record = House::ledger().ok()?.find(username).ok()??;
    let (there, here) = (record.store, house.keychain.name());
    (record.state == State::Stored && there != here).then(|| {
        Failure::new(
            Exit::NotStored,
            format!(
                "the token of {username} was stored in the {there}, and the configuration now names the {here}. Name \
                 the former in `[keychain] store`, or reset the token to have one in the latter"
            ),
        )
    })
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
