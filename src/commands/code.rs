//! `fetch-token code`: wait for the mail with a verification code, and print the code. It is stored nowhere.

use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::announce::{Announcer, object, place, sender};
use super::waiting::{Progress, Waiting};
use super::{Exit, Failure, House};
use crate::cli::CodeArgs;
use crate::pairing::Begin;
use crate::receipt::{CodeEvent, CodeReceipt};

pub(super) async fn code(house: &House, args: CodeArgs) -> Result<Exit, Failure> {
    let deadline = Instant::now() + args.timeout;
    let pairing = house.pairing(args.account, args.username)?;
    let begin = match args.from {
        Some(cursor) => Begin::From(cursor),
        None => Begin::Within(args.since),
    };
    let wait = pairing.watch_for_code(begin).await?;
    let mut waiting = Waiting::aloud(house, wait, false, deadline);
    loop {
        match waiting.progress(deadline).await? {
            Progress::Armed(_) | Progress::Searched => {}
            Progress::Token => {
                let receipt = waiting.take_code();
                waiting.stop().await;
                if let Some(receipt) = receipt {
                    answer(&house.announcer, &receipt);
                }
                return Ok(Exit::Done);
            }
            Progress::Deadline => {
                let failure = waiting.no_token().await;
                waiting.stop().await;
                return Err(failure);
            }
        }
    }
}

/// The code, alone for people and scripts, in an object for programs.
fn answer(announcer: &Announcer, receipt: &CodeReceipt) {
    let whence = receipt.from.as_deref().unwrap_or("an unknown sender");
    let date = receipt.date.map(|date| date.to_string());
    announcer.say(&format!(
        "A verification code{} (mail of {}, from {whence}).",
        whose(receipt),
        date.as_deref().unwrap_or("an unknown date")
    ));
    for warning in &receipt.warnings {
        announcer.say(&format!("Warning: {warning}."));
    }
    let code = receipt.code.as_ref().map_or("", |code| code.expose());
    announcer.result(code, describe(receipt));
}

/// What became of a mail with a code that is not the answer.
pub(super) fn other(announcer: &Announcer, receipt: &CodeReceipt) {
    let reason = receipt.reason.as_deref().unwrap_or_default();
    let why = receipt.sentence.as_deref().unwrap_or_default();
    announcer.say(&match receipt.event {
        CodeEvent::Code => format!("Passed over a mail with a code{}.", whose(receipt)),
        CodeEvent::Refused => format!("Refused a mail with a code ({reason}): {why}."),
        CodeEvent::Pending => {
            format!("Cannot judge a mail with a code yet: {why}. Trying again.")
        }
    });
    let mut described = describe(receipt);
    if receipt.event == CodeEvent::Code {
        described.insert("event".to_owned(), "passed-over".into());
    }
    announcer.object(described);
}

fn whose(receipt: &CodeReceipt) -> String {
    let username = receipt.username.as_ref();
    username.map_or_else(String::new, |username| format!(" for {username}"))
}

/// A receipt as `code` prints it.
fn describe(receipt: &CodeReceipt) -> Map<String, Value> {
    let mut described = object(json!({
        "event": receipt.event.word(),
        "reason": receipt.reason,
        "username": receipt.username,
        "date": receipt.date.map(|date| date.to_string()),
        "message_id": receipt.message_id,
        "from": receipt.from,
        "sender": sender(receipt.from.as_deref(), receipt.proof.as_ref()),
    }));
    described.extend(place(receipt.origin.as_ref(), receipt.at));
    if let Some(code) = &receipt.code {
        described.insert("code".to_owned(), code.expose().into());
        described.insert("warnings".to_owned(), receipt.warnings.clone().into());
    }
    described
}
