//! A mail to oneself, put into a folder and taken out again: the one thing here that writes to a mailbox, for
//! `doctor --send-test` alone.

use async_imap::imap_proto::{
    AttributeValue, MailboxDatum, Response, ResponseCode, rfc4315::UidSetMember,
};
use jiff::Timestamp;
use tokio::time::Instant;

use super::error::Error;
use super::fetch::internal_date;
use super::folders::mailbox_name;
use super::guard::Allowance;
use super::idle::Idling;
use super::session::{COMMAND, Command, Session, Wire, quoted};

/// What became of a test mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Removed {
    /// It alone was expunged (RFC 4315 §2.1).
    ByUid,
    /// It was the only mail flagged as deleted, and expunged as such.
    Alone,
    /// The server expunges all or nothing, and somebody else's mail is flagged as deleted too: it stays, flagged.
    FlaggedOnly,
}

impl<S: Wire> Session<S> {
    /// Puts a mail into `folder` (RFC 3501 §6.3.11), as one that was read. Gives its UID where the server tells
    /// (RFC 4315 §3). `mail` has CRLF at the end of each line.
    pub async fn append(&mut self, folder: &str, mail: &str) -> Result<Option<u32>, Error> {
        let line = format!(
            "APPEND {} (\\Seen) {{{}}}",
            mailbox_name(folder),
            mail.len()
        );
        let sent = self
            .send(Command::new("APPEND", line), Allowance::SHORT)
            .await?;
        self.continuation(&sent, COMMAND).await?;
        self.write(&format!("{mail}\r\n"), "APPEND").await?;
        let mut uid = None;
        self.complete(&sent, COMMAND, |response| {
            if let Response::Done { outcome, .. } = response
                && let Some(ResponseCode::AppendUid(_, uids)) = &outcome.code
                && let [UidSetMember::Uid(only)] = uids[..]
            {
                uid = Some(only);
            }
        })
        .await?;
        Ok(uid)
    }

    /// Opens `folder` to write to it (RFC 3501 §6.3.1).
    pub async fn select(&mut self, folder: &str) -> Result<(), Error> {
        let line = format!("SELECT {}", mailbox_name(folder));
        self.run(Command::new("SELECT", line), Allowance::SHORT)
            .await
    }

    /// The UID of the one mail with this Message-ID in the open folder.
    pub async fn uid_of(&mut self, message_id: &str) -> Result<Option<u32>, Error> {
        let line = format!("HEADER Message-ID {}", quoted(message_id).as_str());
        match self.uid_search(&line).await?[..] {
            [only] => Ok(Some(only)),
            _ => Ok(None),
        }
    }

    /// Begins to idle, for a mail that is not there yet. `None`: the server refuses.
    pub async fn listen(&mut self) -> Result<Option<Idling>, Error> {
        self.note_searched();
        self.idle().await
    }

    /// Waits until the mail with this UID is announced or `until` comes, and ends `idling`; gives when it was
    /// announced. Another mail's announcement does not count.
    pub async fn hears_of(
        &mut self,
        mut idling: Idling,
        uid: u32,
        until: Instant,
    ) -> Result<Option<Instant>, Error> {
        loop {
            let is_announced = self.announced(until).await?;
            let at = Instant::now();
            self.end(Some(idling)).await?;
            if !is_announced {
                return Ok(None);
            }
            if self.has_uid(uid).await? {
                return Ok(Some(at));
            }
            let Some(again) = self.listen().await? else {
                return Ok(None);
            };
            idling = again;
        }
    }

    async fn has_uid(&mut self, uid: u32) -> Result<bool, Error> {
        let mut is_there = false;
        let line = format!("UID FETCH {uid} (UID)");
        let sent = self
            .send(Command::new("UID FETCH", line), Allowance::SHORT)
            .await?;
        self.complete(&sent, COMMAND, |response| {
            if let Response::Fetch(_, attributes) = response {
                is_there |= attributes.contains(&AttributeValue::Uid(uid));
            }
        })
        .await?;
        Ok(is_there)
    }

    /// When a mail arrived by the server's clock (`INTERNALDATE`); `mail` is a UID, or `*` for the last one.
    pub async fn arrival(&mut self, mail: &str) -> Result<Option<Timestamp>, Error> {
        let mut arrived = None;
        let line = format!("UID FETCH {mail} (INTERNALDATE)");
        let sent = self
            .send(Command::new("UID FETCH", line), Allowance::SHORT)
            .await?;
        self.complete(&sent, COMMAND, |response| {
            let Response::Fetch(_, attributes) = response else {
                return;
            };
            for attribute in attributes {
                if let AttributeValue::InternalDate(date) = attribute {
                    arrived = internal_date(date);
                }
            }
        })
        .await?;
        Ok(arrived)
    }

    /// Deletes the mail with this UID from the folder that is open for writing, and no other.
    pub async fn remove(&mut self, uid: u32) -> Result<Removed, Error> {
        let flag = format!("UID STORE {uid} +FLAGS.SILENT (\\Deleted)");
        self.run(Command::new("STORE", flag), Allowance::SHORT)
            .await?;
        if self.offers("UIDPLUS").await? {
            let expunge = Command::new("UID EXPUNGE", format!("UID EXPUNGE {uid}"));
            self.run(expunge, Allowance::SHORT).await?;
            return Ok(Removed::ByUid);
        }
        if self.uid_search("DELETED").await? != [uid] {
            return Ok(Removed::FlaggedOnly);
        }
        self.run(Command::new("EXPUNGE", "EXPUNGE"), Allowance::SHORT)
            .await?;
        Ok(Removed::Alone)
    }

    async fn uid_search(&mut self, what: &str) -> Result<Vec<u32>, Error> {
        let mut found = Vec::new();
        let sent = self
            .send(
                Command::new("UID SEARCH", format!("UID SEARCH {what}")),
                Allowance::SHORT,
            )
            .await?;
        self.complete(&sent, COMMAND, |response| {
            if let Response::MailboxData(MailboxDatum::Search(uids)) = response {
                found.extend_from_slice(uids);
            }
        })
        .await?;
        Ok(found)
    }
}
