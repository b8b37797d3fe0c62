//! IDLE (RFC 2177), with limits of our own.

use tokio::time::Instant;

use super::error::Error;
use super::guard::Allowance;
use super::session::{Command, PROMPT, Sent, Session, Wire};

/// The line that ends an IDLE.
pub(super) const DONE: &str = "DONE\r\n";

/// An IDLE that the server confirmed and that waits for its DONE.
#[derive(Debug)]
pub struct Idling(Sent);

impl<S: Wire> Session<S> {
    /// Begins to idle. `None`: the server refuses, which means polling.
    pub async fn idle(&mut self) -> Result<Option<Idling>, Error> {
        let sent = self
            .send(Command::new("IDLE", "IDLE"), Allowance::SHORT)
            .await?;
        match self.continuation(&sent, PROMPT).await {
            Ok(Some(_)) => Ok(Some(Idling(sent))),
            Ok(None) | Err(Error::Refused { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Waits until new mail is announced or `until` comes; says whether it was announced.
    pub async fn announced(&mut self, until: Instant) -> Result<bool, Error> {
        while !self.folder.announced {
            if self.unsolicited(until).await?.is_none() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Ends `idling` (RFC 2177's DONE).
    pub async fn end(&mut self, idling: Option<Idling>) -> Result<(), Error> {
        let Some(Idling(idle)) = idling else {
            return Ok(());
        };
        self.write(DONE, "IDLE").await?;
        self.complete(&idle, PROMPT, |_| {}).await
    }

    /// Sends a command, ending `idling` in the same write; the answer to DONE is read on the way.
    pub(super) async fn begin(
        &mut self,
        idling: Option<Idling>,
        command: Command,
        allowance: Allowance,
    ) -> Result<Sent, Error> {
        self.allow(allowance);
        let Some(Idling(idle)) = idling else {
            return self.send_after("", command).await;
        };
        let sent = self.send_after(DONE, command).await?;
        self.complete(&idle, PROMPT, |_| {}).await?;
        Ok(sent)
    }
}
