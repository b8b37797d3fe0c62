//! `fetch-token logout`: take an account out again.

use serde_json::json;

use super::announce::object;
use super::login::{self, Told};
use super::{Exit, Failure, House};
use crate::account::oauth2::{self, Source};
use crate::account::{Account, Login};
use crate::cli::LogoutArgs;
use crate::config::edit;
use crate::keychain::MAILBOX_SERVICE;
use crate::ledger::Cursors;

pub(super) async fn logout(house: &House, args: LogoutArgs) -> Result<Exit, Failure> {
    let file = house.config_file()?;
    let config = house.config()?;
    let account = config.choose(Some(&args.address.text), None)?;
    let address = &account.address;
    let text = login::read(&file)?;
    let text = edit::without(&text, address)
        .map_err(|error| login::cannot_edit(&file, &error))?
        .unwrap_or(text);
    let revoked = take_back(house, &account).await;
    // The secret goes first: an account that is not configured any more would be forgotten with its secret in place.
    let had_secret = house.keychain.delete(MAILBOX_SERVICE, address).await?;
    let written = if text.trim().is_empty() {
        std::fs::remove_file(&file)
    } else {
        edit::write(&file, &text)
    };
    written.map_err(|error| {
        let message = format!(
            "the configuration {} cannot be written: {error}. Take the account out by hand",
            file.display()
        );
        Failure::new(Exit::Usage, message)
    })?;
    Cursors::forget(&House::ledger()?, address)?;
    let daemon = login::tell_daemon(house, &file).await;
    house.announcer.say(&format!(
        "Took {address} out of {}{}. Salesforce tokens that came by it stay stored; `fetch-token forget USERNAME` deletes \
         one.",
        file.display(),
        if had_secret {
            format!(
                ", and its password or refresh token out of the {}",
                house.keychain.name_for_passwords()
            )
        } else {
            String::new()
        }
    ));
    match &revoked {
        None => {}
        Some(Ok(true)) => house
            .announcer
            .say("The provider took back what was granted to it."),
        Some(Ok(false)) => house.announcer.say(
            "What was granted at the provider is not taken back by this. Do that there, among the apps that have access",
        ),
        Some(Err(error)) => house.announcer.say(&format!(
            "What was granted at the provider could not be taken back: {error}. Do that there, among the apps that \
             have access",
        )),
    }
    if daemon == Told::Not {
        house
            .announcer
            .say("The daemon may go on watching it until it is restarted.");
    }
    house.announcer.object(object(json!({
        "event": "logged-out",
        "account": address,
        "config": file,
        "secret": had_secret,
        "revoked": matches!(revoked, Some(Ok(true))),
        "daemon": daemon.word(),
    })));
    Ok(Exit::Done)
}

/// Has the provider take back what a person granted there; `None` where nobody did.
async fn take_back(house: &House, account: &Account) -> Option<Result<bool, oauth2::Error>> {
    let Login::OAuth2(oauth2) = &account.login else {
        return None;
    };
    if !matches!(oauth2.source, Source::Client(_)) {
        return None;
    }
    Some(match account.place(&house.keychain) {
        Ok(place) => oauth2.revoke(&place).await,
        Err(error) => Err(error),
    })
}
