//! `fetch-token arm`: print a cursor, "what arrives after this point".

use serde_json::json;
use tokio::time::Instant;

use super::announce::object;
use super::waiting::{Progress, Wait};
use super::{Exit, Failure, House, select};
use crate::cli::ArmArgs;
use crate::daemon::protocol::Begin;

pub(super) async fn arm(house: &House, args: ArmArgs) -> Result<Exit, Failure> {
    let deadline = Instant::now() + args.timeout;
    let config = house.config()?;
    let account = select::account(&config, args.account.as_deref(), args.username.as_deref())?;
    let mut wait = Wait::start(
        house,
        config,
        account,
        args.username,
        false,
        deadline,
        Begin::Now,
    )
    .await?;
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
            Progress::Token => {}
            Progress::Deadline => {
                let failure = wait.no_token().await;
                wait.stop().await;
                return Err(failure);
            }
        }
    }
}
