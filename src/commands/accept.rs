//! `fetch-token accept ID`: store the token of a mail that was refused, because a person says so.

use std::io::{BufRead as _, IsTerminal as _};
use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::{Instant, timeout_at};

use super::{Exit, Failure, House};
use crate::account::Account;
use crate::cli::AcceptArgs;
use crate::imap::{self, Message};
use crate::ledger::{Entry, List};
use crate::mail;
use crate::receipt::Receipt;

pub(super) async fn accept(house: &House, args: AcceptArgs) -> Result<Exit, Failure> {
    let deadline = Instant::now() + args.timeout;
    let entry = House::ledger()?
        .unsettled(List::Refused)?
        .into_iter()
        .find(|entry| entry.id() == args.id)
        .ok_or_else(|| {
            let message = format!(
                "no refused mail has the ID {}. `fetch-token refused` lists them",
                args.id
            );
            Failure::new(Exit::Usage, message)
        })?;
    let config = house.config()?;
    let account = config.choose(Some(&entry.origin.account), None)?;
    let message = timeout_at(deadline, fetch(house, &account, &entry))
        .await
        .map_err(|_| {
            Failure::new(
                Exit::Mailbox,
                format!("the mailbox {} did not answer in time", account.address),
            )
        })??;
    let mail = mail::believe(&message.raw, Timestamp::now()).ok_or_else(|| {
        Failure::new(
            Exit::Refused,
            "the mail names no single username and token, so there is nothing to store",
        )
    })?;
    house.announcer.say(&format!(
        "This mail was refused ({}): {}.\n  From:     {}\n  Date:     {}\n  Folder:   {} (UID {})\n  Username: {}\n\
         Nothing proves that Salesforce sent it. A forged token stops every job that uses it.",
        entry.reason,
        entry.sentence,
        entry.from.as_deref().unwrap_or("unreadable"),
        entry
            .date
            .map_or_else(|| "unreadable".to_owned(), |date| date.to_string()),
        entry.origin.folder,
        entry.origin.uid,
        mail.username,
    ));
    if !args.yes && !is_confirmed(house)? {
        return Err(Failure::new(Exit::Refused, "not stored"));
    }
    let facts = mail::judge(
        &message.raw,
        &account.policy,
        &mail::Unasked,
        Timestamp::now(),
    )
    .facts();
    let outcome = house
        .intake(&config)?
        .accept(mail, facts, entry.origin)
        .await
        .map_err(|obstacle| Failure::from_obstacle(&obstacle))?;
    house.announcer.receipt(&Receipt::of(&outcome));
    Ok(Exit::Done)
}

/// Asks the person at the terminal.
fn is_confirmed(house: &House) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(Failure::new(
            Exit::Usage,
            "nobody can be asked here. Look at it at a terminal, or say --yes",
        ));
    }
    house
        .announcer
        .say("Store its token all the same? Type yes:");
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    Ok(read.is_ok() && answer.trim() == "yes")
}

/// Fetches the mail again.
async fn fetch(house: &House, account: &Arc<Account>, entry: &Entry) -> Result<Message, Failure> {
    let origin = &entry.origin;
    imap::fetch_one(account, &house.keychain, origin)
        .await
        .map_err(|error| Failure::from_mailbox(&account.address, &error))?
        .ok_or_else(|| {
            Failure::new(
                Exit::Refused,
                format!(
                    "the mail is no longer in {} under UID {}. Reset the token again",
                    origin.folder, origin.uid
                ),
            )
        })
}
