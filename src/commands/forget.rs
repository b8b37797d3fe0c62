//! `fetch-token forget`: delete the stored token.

use jiff::Timestamp;
use serde_json::json;

use super::announce::object;
use super::moving::delete_copies;
use super::{Exit, Failure, House};
use crate::cli::ForgetArgs;
use crate::ledger::State;
use crate::pairing;

pub(super) async fn forget(house: &House, args: ForgetArgs) -> Result<Exit, Failure> {
    let ledger = House::ledger()?;
    let ledger = ledger.lock().await?;
    let record = ledger.find(&args.username)?;
    let username = record
        .as_ref()
        .map_or(&args.username, |record| &record.username)
        .clone();
    let lies_in = record.as_ref().map(|record| record.store.as_str());
    let store = house.keychain.holder(lies_in).await?;
    let mut was_there = store.delete(&username).await?;
    let mut failed = None;
    let was_known = match record {
        Some(mut record) => {
            let (had_copies, error) = delete_copies(house, &mut record).await;
            was_there |= had_copies;
            failed = error;
            let was_known = record.state != State::Forgotten;
            if was_known || was_there {
                record.state = State::Forgotten;
                record.changed = Timestamp::now();
                ledger.put(record)?;
            }
            was_known
        }
        None => false,
    };
    if let Some(error) = failed {
        return Err(error.into());
    }
    if !was_there && !was_known {
        return Err(pairing::Error::NotStored(args.username).into());
    }
    house.announcer.say(&format!(
        "Deleted the security token of {username} from the {}.",
        store.name()
    ));
    house
        .announcer
        .object(object(json!({"event": "forgotten", "username": username})));
    Ok(Exit::Done)
}
