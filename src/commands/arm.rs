//! `fetch-token arm`: print a cursor, "what arrives after this point".

use serde_json::json;
use tokio::time::Instant;

use super::announce::object;
use super::waiting::{Progress, Waiting};
use super::{Exit, Failure, House};
use crate::cli::ArmArgs;
use crate::pairing::Begin;

pub(super) async fn arm(house: &House, args: ArmArgs) -> Result<Exit, Failure> {
    let deadline = Instant::now() + args.timeout;
    let pairing = house.pairing(args.account, args.username)?;
    let mut wait = Waiting::start(house, &pairing, Begin::Now, false, deadline).await?;
    loop {
        match wait.progress(deadline).await? {
            Progress::Armed(cursor) => {
                wait.stop().await;
                let cursor = cursor.to_string();
                house
                    .announcer
                    .result(&cursor, object(json!({"event": "armed", "cursor": cursor})));
                return Ok(Exit::Done);
            }
            Progress::Searched | Progress::Token => {}
            Progress::Deadline => {
                let failure = wait.no_token().await;
                wait.stop().await;
                return Err(failure);
            }
        }
    }
}
