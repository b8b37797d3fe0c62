//! `fetch-token move`: bring stored tokens to another store.
//!
//! Written there and read back, then recorded, then deleted here: whatever the instant at which it is killed, the ledger
//! names a store that holds the token, and what is left over is deleted by the next call.

use std::sync::Arc;

use secrecy::SecretString;
use serde_json::json;

use super::announce::object;
use super::{Exit, Failure, House};
use crate::account::oauth2::{ClientSecret, Source};
use crate::account::{Account, Login, Password};
use crate::cli::{Destination, MoveArgs};
use crate::crash;
use crate::keychain::{self, CLIENT_SERVICE, MAILBOX_SERVICE, Terms, TokenStore, Written};
use crate::ledger::{Ledger, Locked, Record};
use crate::pairing;

/// What became of one token.
struct Moved {
    record: Record,
    /// The store that it lay in.
    from: String,
    /// A copy that could not be deleted.
    left: Option<keychain::Error>,
}

pub(super) async fn moving(house: &House, args: MoveArgs) -> Result<Exit, Failure> {
    let to = destination(house, args.to)?;
    let ledger = House::ledger()?;
    let is_all = args.usernames.is_empty();
    let usernames = if is_all {
        let records = ledger.records()?.into_iter();
        let stored = records.filter(|record| record.lies_in().is_some());
        stored.map(|record| record.username).collect()
    } else {
        args.usernames
    };
    let mut exit = Exit::Done;
    for username in &usernames {
        if let Err(failure) = move_one(house, &ledger, username, &to).await {
            tell_failure(house, username, &failure);
            exit = first(exit, failure.exit);
        }
    }
    if is_all {
        if usernames.is_empty() {
            house
                .announcer
                .say("No token is stored, so none was moved.");
        }
        exit = first(exit, bring_secrets(house, &to).await);
    }
    if exit == Exit::Done {
        tell_configuration(house, args.to, &to).await;
    }
    Ok(exit)
}

fn first(exit: Exit, next: Exit) -> Exit {
    if exit == Exit::Done { next } else { exit }
}

fn destination(house: &House, to: Destination) -> Result<TokenStore, Failure> {
    let (found, missing) = match to {
        Destination::Named(named) => (
            house.keychain.named(named),
            "the configuration describes no encrypted file. Add a table [keychain.file] with its key (docs/stores.md)",
        ),
        Destination::Commands => (
            house.keychain.commands(),
            "the configuration describes no store of commands. Write one as `[keychain.store.command]` (docs/stores.md)",
        ),
    };
    found.ok_or_else(|| Failure::new(Exit::Usage, missing))
}

async fn move_one(
    house: &House,
    ledger: &Ledger,
    username: &str,
    to: &TokenStore,
) -> Result<(), Failure> {
    let ledger = ledger.lock().await?;
    let known = ledger.find(username)?;
    let record = known.filter(|record| record.lies_in().is_some());
    let record = record.ok_or_else(|| pairing::Error::NotStored(username.to_owned()))?;
    let moved = carry(house, &ledger, record, to).await?;
    let Moved { record, from, left } = moved;
    let username = &record.username;
    if from == record.store {
        house.announcer.say(&format!(
            "The security token of {username} lies in the {from} already."
        ));
    } else {
        house.announcer.say(&format!(
            "Moved the security token of {username} from the {from} to the {}.",
            record.store
        ));
    }
    house.announcer.object(object(json!({
        "event": "moved",
        "username": username,
        "from": from,
        "to": record.store,
        "copies": record.copies,
    })));
    match left {
        None => Ok(()),
        Some(error) => {
            let failure = Failure::from(error);
            Err(Failure::new(
                failure.exit,
                format!(
                    "it is stored in the {}, and a copy could not be deleted, which the next call tries again: {}",
                    record.store, failure.message
                ),
            ))
        }
    }
}

/// Writes it there, records that, and deletes it here.
async fn carry(
    house: &House,
    ledger: &Locked<'_>,
    mut record: Record,
    to: &TokenStore,
) -> Result<Moved, Failure> {
    let from = record.store.clone();
    if from != to.name() {
        let token = read(house, &record).await?;
        let terms = Terms::IfLater(record.stamp());
        match to.put(&record.username, &token, &terms).await? {
            Written::Kept | Written::Already => {}
            Written::Later | Written::Tied => {
                return Err(Failure::new(
                    Exit::Keychain,
                    format!(
                        "the {} holds the token of a later mail, or of one at the same second, for {}. Neither was \
                         touched: delete the one that is dead by the store's own program",
                        to.name(),
                        record.username
                    ),
                ));
            }
        }
        crash::here("carried");
        record.move_to(to.name());
        ledger.put(record.clone())?;
        crash::here("moved");
    }
    let had_copies = !record.copies.is_empty();
    let (_, left) = delete_copies(house, &mut record).await;
    if had_copies {
        ledger.put(record.clone())?;
    }
    Ok(Moved { record, from, left })
}

async fn read(house: &House, record: &Record) -> Result<SecretString, Failure> {
    let token = house.keychain.token(&record.username, record.lies_in());
    token.await?.ok_or_else(|| {
        Failure::new(
            Exit::NotStored,
            format!(
                "the {} no longer holds the token of {}. Reset the token to have a new one",
                record.store, record.username
            ),
        )
    })
}

/// Deletes what lies in the stores that a token was moved from: whether there was anything, and the first error. What
/// cannot be deleted stays known.
pub(super) async fn delete_copies(
    house: &House,
    record: &mut Record,
) -> (bool, Option<keychain::Error>) {
    let mut was_there = false;
    let mut failed = None;
    for copy in std::mem::take(&mut record.copies) {
        let deleted = async {
            let store = house.keychain.holder(Some(&copy)).await?;
            store.delete(&record.username).await
        };
        match deleted.await {
            Ok(was) => was_there |= was,
            // Nothing can be done about what the configuration does not describe any more.
            Err(keychain::Error::NotConfigured { .. }) => house.announcer.say(&format!(
                "A copy of the token of {} may lie in the {copy} still. Delete it there.",
                record.username
            )),
            Err(error) => {
                failed.get_or_insert(error);
                record.copies.push(copy);
            }
        }
    }
    (was_there, failed)
}

/// What mailboxes are logged in to with is looked for in the store that the configuration names: where tokens go there
/// from now on, it goes along.
async fn bring_secrets(house: &House, to: &TokenStore) -> Exit {
    let mut exit = Exit::Done;
    if !house.keychain.is_chosen(to) {
        return exit;
    }
    let Ok(config) = house.config() else {
        // There may be none: tokens need no mailbox.
        return exit;
    };
    for (service, account) in config.accounts.iter().flat_map(secrets_of) {
        match house.keychain.fetch(service, &account).await {
            Ok(None) => {}
            Ok(Some((from, to))) => {
                house.announcer.say(&format!(
                    "Moved what {account} is logged in to with from the {from} to the {to}."
                ));
                house.announcer.object(object(json!({
                    "event": "moved-secret",
                    "account": account,
                    "service": service,
                    "from": from,
                    "to": to,
                })));
            }
            Err(error) => {
                let failure = Failure::from(error);
                tell_failure(house, &account, &failure);
                exit = first(exit, failure.exit);
            }
        }
    }
    exit
}

/// The secrets that an account has in the keychain.
fn secrets_of(account: &Arc<Account>) -> Vec<(&'static str, String)> {
    let own = (MAILBOX_SERVICE, account.address.clone());
    match &account.login {
        Login::Password(Password::Keychain(_)) => vec![own],
        Login::Password(_) => Vec::new(),
        Login::OAuth2(oauth2) => match &oauth2.source {
            Source::Command(_) => Vec::new(),
            Source::Client(client) if client.secret == Some(ClientSecret::Keychain) => {
                vec![own, (CLIENT_SERVICE, client.id.clone())]
            }
            Source::Client(_) => vec![own],
        },
    }
}

fn tell_failure(house: &House, whose: &str, failure: &Failure) {
    house
        .announcer
        .error(&format!("fetch-token: {whose}: {}", failure.message));
    house.announcer.object(object(json!({
        "event": "not-moved",
        "username": whose,
        "exit": failure.exit.code(),
        "message": failure.message,
    })));
}

/// Says so where the next token would go, or be looked for, elsewhere.
async fn tell_configuration(house: &House, to: Destination, store: &TokenStore) {
    // Of nobody's: where a token goes that nobody has yet.
    let next = house.keychain.store_for("", None).await;
    let Ok(next) = next else { return };
    if next.name() == store.name() {
        return;
    }
    let advice = match to {
        Destination::Named(named) => {
            let word = named.word();
            format!(
                "`[keychain] store = \"{word}\"`, then call `fetch-token move --to {word}` once more, which brings what \
                 mailboxes are logged in to with, too"
            )
        }
        Destination::Commands => "`[keychain.store.command]`".to_owned(),
    };
    house.announcer.say(&format!(
        "The configuration takes the {} for new tokens. To have them in the {}, write {advice}. `fetch-token reload` tells a \
         daemon.",
        next.name(),
        store.name()
    ));
}
