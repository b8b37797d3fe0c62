//! `fetch-token wait`: wait for the next token mail, store the token, say so.

use tokio::time::Instant;

use super::waiting::{Progress, Wait};
use super::{Exit, Failure, House, select};
use crate::cli::WaitArgs;
use crate::daemon::protocol::Begin;

pub(super) async fn wait(house: &House, args: WaitArgs) -> Result<Exit, Failure> {
    let deadline = Instant::now() + args.waiting.timeout;
    let config = house.config()?;
    let wanted = args
        .waiting
        .account
        .as_deref()
        .or(args.from.as_ref().map(|cursor| cursor.account.as_str()));
    let account = select::account(&config, wanted, args.username.as_deref())?;
    let start = match args.from {
        Some(cursor) => {
            if !cursor.account.eq_ignore_ascii_case(&account.address)
                || cursor.folder != account.folder
            {
                return Err(Failure::new(
                    Exit::Usage,
                    format!(
                        "the cursor is of {} in {}, and {} in {} is to be watched. Take one with `fetch-token arm`",
                        cursor.folder, cursor.account, account.folder, account.address
                    ),
                ));
            }
            house.announcer.go_on_from(cursor.clone());
            Begin::From(cursor)
        }
        None => Begin::Within(args.since),
    };
    let mut wait = Wait::start(
        house,
        config,
        account,
        args.username,
        args.waiting.print,
        deadline,
        start,
    )
    .await?;
    loop {
        match wait.progress(deadline).await? {
            Progress::Armed(_) => {}
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
