//! `fetch-token reload`: the daemon reads its configuration again.

use serde_json::json;

use super::announce::object;
use super::{Exit, Failure, House, status};
use crate::daemon::protocol::{Answer, Request};

pub(super) async fn reload(house: &House) -> Result<Exit, Failure> {
    let file = ask().await?;
    house
        .announcer
        .say(&format!("The daemon goes by {file} as it is now."));
    house.announcer.object(object(json!({
        "event": "reloaded",
        "config": file,
    })));
    Ok(Exit::Done)
}

/// Has the daemon read its configuration again; gives the file.
pub(super) async fn ask() -> Result<String, Failure> {
    let mut client = status::daemon().await?;
    client.request(Request::Reload).await?;
    match client.next().await {
        Some(Answer::Done) => Ok(client.config().file.clone()),
        Some(Answer::Refused(why)) => Err(Failure::new(
            Exit::Usage,
            format!("the daemon goes on with its old configuration: {why}"),
        )),
        _ => Err(status::went_away()),
    }
}
