//! `fetch-token forget`: delete the stored token.

use jiff::Timestamp;
use serde_json::json;

use super::announce::object;
use super::{Exit, Failure, House};
use crate::cli::ForgetArgs;
use crate::keychain::TOKEN_SERVICE;
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
    let was_there = house.keychain.delete(TOKEN_SERVICE, &username).await?;
    let was_known = match record {
        Some(mut record) if record.state != State::Forgotten => {
            record.state = State::Forgotten;
            record.changed = Timestamp::now();
            ledger.put(record)?;
            true
        }
        _ => false,
    };
    if !was_there && !was_known {
        return Err(pairing::Error::NotStored(args.username).into());
    }
    house.announcer.say(&format!(
        "Deleted the security token of {username} from the {}.",
        house.keychain.name()
    ));
    house
        .announcer
        .object(object(json!({"event": "forgotten", "username": username})));
    Ok(Exit::Done)
}
