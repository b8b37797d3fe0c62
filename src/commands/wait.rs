//! `fetch-token wait`: wait for the next token mail, store the token, say so.

use tokio::time::Instant;

use super::waiting::{Progress, Waiting};
use super::{Exit, Failure, House};
use crate::cli::WaitArgs;
use crate::pairing::Begin;

pub(super) async fn wait(house: &House, args: WaitArgs) -> Result<Exit, Failure> {
    let deadline = Instant::now() + args.waiting.timeout;
    let pairing = house.pairing(args.waiting.account, args.username)?;
    let begin = match &args.from {
        Some(cursor) => Begin::From(cursor.clone()),
        None => Begin::Within(args.since),
    };
    let mut wait = Waiting::start(house, &pairing, begin, args.waiting.print, deadline).await?;
    if let Some(cursor) = args.from {
        house.announcer.go_on_from(cursor);
    }
    loop {
        match wait.progress(deadline).await? {
            Progress::Armed(_) | Progress::Searched => {}
            Progress::Token => {
                wait.stop().await;
                return Ok(Exit::Done);
            }
            Progress::Deadline => {
                let failure = wait.no_token().await;
                wait.stop().await;
                return Err(failure);
            }
        }
    }
}
