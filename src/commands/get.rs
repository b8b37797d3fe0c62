//! `fetch-token get`: print the stored token, alone.

use secrecy::ExposeSecret as _;
use serde_json::json;

use super::announce::object;
use super::{Exit, Failure, House};
use crate::cli::GetArgs;
use crate::keychain::TOKEN_SERVICE;

pub(super) async fn get(house: &House, args: GetArgs) -> Result<Exit, Failure> {
    let username = stored_name(&args.username);
    let token = house
        .keychain
        .get(TOKEN_SERVICE, &username)
        .await?
        .ok_or_else(|| nothing_stored(&args.username))?;
    let token = token.expose_secret();
    house.announcer.result(
        token,
        object(json!({"event": "token", "username": username, "token": token})),
    );
    Ok(Exit::Done)
}

/// How the keychain spells the username: keychains compare with case, Salesforce does not. A ledger that cannot be
/// read must not keep a token from the one who asks for it.
pub(super) fn stored_name(username: &str) -> String {
    House::ledger()
        .ok()
        .and_then(|ledger| ledger.find(username).ok().flatten())
        .map_or_else(|| username.to_owned(), |record| record.username)
}

pub(super) fn nothing_stored(username: &str) -> Failure {
    Failure::new(
        Exit::NotStored,
        format!(
            "no token is stored for {username}. `fetch-token list` shows what is; reset the token and call \
             `fetch-token wait {username}` to have one"
        ),
    )
}
