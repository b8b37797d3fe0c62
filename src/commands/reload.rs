//! `fetch-token reload`: the daemon reads its configuration again.

use serde_json::json;

use super::announce::object;
use super::{Exit, Failure, House, status};
use crate::daemon::protocol::{Answer, Request};

pub(super) async fn reload(house: &House) -> Result<Exit, Failure> {
    let mut client = status::daemon().await?;
    client.request(Request::Reload).await?;
    match client.next().await {
        Some(Answer::Done) => {
            house.announcer.say(&format!(
                "The daemon goes by {} as it is now.",
                client.config().file
            ));
            house.announcer.object(object(json!({
                "event": "reloaded",
                "config": client.config().file,
            })));
            Ok(Exit::Done)
        }
        Some(Answer::Refused(why)) => Err(Failure::new(
            Exit::Usage,
            format!("the daemon goes on with its old configuration: {why}"),
        )),
        _ => Err(status::went_away()),
    }
}
