//! `fetch-token status`: how the daemon's accounts are doing.

use std::path::Path;

use jiff::{Timestamp, Unit};
use serde_json::json;

use super::announce::{object, table};
use super::{Exit, Failure, House};
use crate::config;
use crate::daemon::client::{self, Client, PATIENCE};
use crate::daemon::protocol::{Account, Answer, Request};

const HEAD: [&str; 7] = [
    "ACCOUNT",
    "STATE",
    "SINCE",
    "NEXT",
    "LAST STORED",
    "PENDING",
    "REFUSED",
];

pub(super) async fn status(house: &House) -> Result<Exit, Failure> {
    let accounts = told(daemon().await?).await?;
    for account in &accounts {
        house.announcer.object(described(account));
    }
    if house.announcer.speaks_json() {
        return Ok(Exit::Done);
    }
    let now = Timestamp::now();
    let rows: Vec<_> = accounts.iter().map(|account| cells(account, now)).collect();
    let mut lines = table(HEAD, &rows);
    for account in &accounts {
        lines.extend(words(account, now));
    }
    for line in lines {
        house.announcer.result(&line, object(json!({})));
    }
    Ok(Exit::Done)
}

/// How each account of the daemon is doing whose socket lies in this directory; `None` where none runs.
pub(super) async fn accounts(directory: &Path) -> Result<Option<Vec<Account>>, Failure> {
    match Client::connect(directory, PATIENCE).await? {
        Some(daemon) => told(daemon).await.map(Some),
        None => Ok(None),
    }
}

async fn told(mut daemon: Client) -> Result<Vec<Account>, Failure> {
    daemon.request(Request::Status).await?;
    let mut accounts = Vec::new();
    loop {
        match daemon.next().await {
            Some(Answer::Account(account)) => accounts.push(*account),
            Some(Answer::Done) => return Ok(accounts),
            Some(Answer::Refused(why)) => return Err(Failure::new(Exit::Unexpected, why)),
            _ => return Err(went_away()),
        }
    }
}

/// The daemon; without one there is nothing to ask.
pub(super) async fn daemon() -> Result<Client, Failure> {
    let client = Client::connect(&config::runtime_directory()?, PATIENCE).await?;
    client.ok_or_else(|| {
        Failure::new(
            Exit::Mailbox,
            "no daemon runs. Start one with `fetch-token daemon`, or let the service manager start it",
        )
    })
}

pub(super) fn went_away() -> Failure {
    Failure::new(
        Exit::Mailbox,
        "the daemon went away before it answered. Look at its log",
    )
}

pub(super) fn described(account: &Account) -> serde_json::Map<String, serde_json::Value> {
    let condition = &account.condition;
    let ledger = account.ledger.as_ref();
    object(json!({
        "event": "status",
        "account": account.address,
        "state": condition.state.word(),
        "since": condition.since.to_string(),
        "heard": condition.heard,
        "next": condition.next,
        "reconnects": account.reconnects,
        "waiters": account.waiters,
        "stored": ledger.map(|ledger| &ledger.stored),
        "pending": ledger.map(|ledger| ledger.pending),
        "refused": ledger.map(|ledger| ledger.refused),
        "trouble": condition.trouble,
    }))
}

fn cells(account: &Account, now: Timestamp) -> [String; 7] {
    let condition = &account.condition;
    let next = condition.next.map(|next| {
        let away = span(now, next.at);
        format!("{} in {away}", next.action.word())
    });
    let ledger = account.ledger.as_ref();
    let stored = ledger.and_then(|ledger| ledger.stored.as_ref());
    let count = |number: Option<u32>| number.map_or_else(|| "?".to_owned(), |n| n.to_string());
    [
        account.address.clone(),
        condition.state.word().to_owned(),
        format!("{} ago", span(condition.since, now)),
        next.unwrap_or_default(),
        stored.map_or_else(String::new, |stored| {
            format!("{}, {} ago", stored.username, span(stored.at, now))
        }),
        count(ledger.map(|ledger| ledger.pending)),
        count(ledger.map(|ledger| ledger.refused)),
    ]
}

/// What finds no room in the table.
fn words(account: &Account, now: Timestamp) -> Vec<String> {
    let condition = &account.condition;
    let mut lines = vec![String::new(), format!("{}:", account.address)];
    if let Some(heard) = &condition.heard {
        lines.push(format!(
            "  the server said {} ago: {}",
            span(heard.at, now),
            heard.line
        ));
    }
    lines.push(format!(
        "  connected anew {} times; {} commands wait with it",
        account.reconnects, account.waiters
    ));
    if let Some(trouble) = &condition.trouble {
        lines.push(format!(
            "  last trouble, {} ago: {}",
            span(trouble.at, now),
            trouble.sentence
        ));
    }
    if account.ledger.is_none() {
        lines.push("  the ledger cannot be read. Call `fetch-token list` to see why".to_owned());
    }
    lines
}

/// The time between, in whole seconds; none where the clock was turned back.
fn span(from: Timestamp, to: Timestamp) -> String {
    let seconds = from.until((Unit::Second, to));
    let seconds = seconds.map_or(0, |span| span.get_seconds());
    let seconds = u64::try_from(seconds).unwrap_or_default();
    humantime::format_duration(std::time::Duration::from_secs(seconds)).to_string()
}

impl From<client::Error> for Failure {
    fn from(error: client::Error) -> Self {
        let exit = match error {
            client::Error::Version(_) | client::Error::Socket(_) => Exit::Usage,
            client::Error::Mute(_) => Exit::Mailbox,
        };
        Self::new(exit, error.to_string())
    }
}
