//! Finding the mail of the last minutes.

use std::collections::BTreeSet;
use std::time::Duration;

use async_imap::imap_proto::{MailboxDatum, Response};
use jiff::Timestamp;
use jiff::civil::Date;

use super::{Found, Message, NAMED, Part, Triage, age, chosen, listing, part, uid_set};
use crate::imap::error::Error;
use crate::imap::guard::{Allowance, LINE};
use crate::imap::session::{COMMAND, Command, Session, Wire, quoted};

/// Messages at a folder's end that are searched by date at first; each further stretch has twice as many. A server looks
/// at each mail that it searches: Dovecot at some hundred in a millisecond, at a tenth of that for the first time.
const STRETCH: u32 = 4 * 1024;

/// Messages in the first block of a look-back by sequence number; each further one has twice as many.
const BLOCK: u32 = 32;

/// Mails in the last block of a look-back by sequence number: no window has as many, and a server may count what it
/// likes.
const LAST_BLOCK: u32 = 128 * 1024;

/// Octets of a SEARCH answer, which is one line: room for some 15,000 UIDs. The parser's cost grows with its square.
const SEARCHED: usize = 128 * 1024;

impl<S: Wire> Session<S> {
    /// Fetches what arrived within `window` before `now` and `triage` picks.
    pub(in crate::imap) async fn look_back(
        &mut self,
        window: Duration,
        now: Timestamp,
        triage: Triage<'_>,
    ) -> Result<Found, Error> {
        self.note_searched();
        let recent = if self.folder.exists == 0 || window.is_zero() {
            BTreeSet::new()
        } else if self.may_search && self.offers("WITHIN").await? {
            match self.search_younger(window).await {
                // Offered and refused all the same.
                Err(Error::Refused { .. }) => self.tail(window, now).await?,
                found => found?,
            }
        } else {
            self.tail(window, now).await?
        };
        let mut found = Found::default();
        let recent: Vec<_> = recent.into_iter().collect();
        for uids in recent.chunks(NAMED) {
            let mut listed = self.list(&uid_set(uids), uids.len(), None, triage).await?;
            listed
                .worth
                .retain(|uid, _| uids.binary_search(uid).is_ok());
            found.rest.extend(chosen(&listed.worth));
        }
        self.fetch_more(&mut found, triage).await?;
        Ok(found)
    }

    /// RFC 5032, in ever longer stretches from the folder's end, until at least half of one arrived before the window:
    /// as many old mails may have been copied in late.
    async fn search_younger(&mut self, window: Duration) -> Result<BTreeSet<u32>, Error> {
        // RFC 5032 §3: a number of 32 bits that is not zero.
        let seconds = window.as_secs().clamp(1, u64::from(u32::MAX));
        let exists = self.folder.exists;
        let mut recent = BTreeSet::new();
        let mut last = exists;
        let mut length = STRETCH;
        while last > 0 {
            let first = last.saturating_sub(length - 1).max(1);
            let keys = match (first, last) {
                (1, last) if last == exists => format!("YOUNGER {seconds}"),
                (first, last) if last == exists => format!("{first}:* YOUNGER {seconds}"),
                (first, last) => format!("{first}:{last} YOUNGER {seconds}"),
            };
            let young = self.search(&keys).await?;
            let is_past = young.len() <= length as usize / 2;
            recent.extend(young);
            if is_past {
                break;
            }
            last = first - 1;
            length = length.saturating_mul(2);
        }
        Ok(recent)
    }

    /// The UIDs of the mails in the folder that match (RFC 3501 §6.4.4).
    async fn search(&mut self, keys: &str) -> Result<BTreeSet<u32>, Error> {
        let mut uids = BTreeSet::new();
        let line = format!("UID SEARCH {keys}");
        let allowance = Allowance {
            line: SEARCHED,
            literal: 0,
            total: SEARCHED + LINE,
            ..Allowance::SHORT
        };
        let sent = self.send(Command::new("SEARCH", line), allowance).await?;
        self.complete(&sent, COMMAND, |response| {
            if let Response::MailboxData(MailboxDatum::Search(found)) = response {
                uids.extend(found);
            }
        })
        .await?;
        Ok(uids)
    }

    /// The newest mails that arrived on this day or later and whose From holds one of these texts, `most` of them at
    /// most; the oldest first.
    pub(crate) async fn fetch_from(
        &mut self,
        senders: &[String],
        since: Date,
        most: usize,
    ) -> Result<Vec<Message>, Error> {
        let from = |sender: &String| format!("FROM {}", quoted(sender).as_str());
        let is_plain = |sender: &&String| sender.bytes().all(|b| (b' '..=b'~').contains(&b));
        let Some(senders) = senders
            .iter()
            .filter(is_plain)
            .map(from)
            .reduce(|others, sender| format!("OR {sender} {others}"))
        else {
            return Ok(Vec::new());
        };
        let day = since.strftime("%-d-%b-%Y");
        let found = self.search(&format!("SINCE {day} {senders}")).await?;
        let mut rest: Vec<_> = found.into_iter().collect();
        rest.drain(..rest.len().saturating_sub(most));
        let mut messages = Vec::new();
        while !rest.is_empty() {
            messages.extend(self.fetch_some(&mut rest, &|_| true).await?.messages);
        }
        messages.sort_by_key(|mail| mail.uid);
        Ok(messages)
    }

    /// Looks at ever longer blocks from the folder's end, until a whole block arrived before twice the window:
    /// a single old message may have been copied in late.
    async fn tail(&mut self, window: Duration, now: Timestamp) -> Result<BTreeSet<u32>, Error> {
        let mut recent = BTreeSet::new();
        let mut last = self.folder.exists;
        let mut length = BLOCK;
        while last > 0 && length <= LAST_BLOCK {
            let first = last.saturating_sub(length - 1).max(1);
            let mut is_past = true;
            let line = format!("FETCH {first}:{last} (UID INTERNALDATE)");
            let allowance = listing(length as usize, 0);
            let sent = self.send(Command::new("FETCH", line), allowance).await?;
            self.complete(&sent, COMMAND, |response| {
                let Some(Part {
                    uid: Some(uid),
                    arrived,
                    ..
                }) = part(response)
                else {
                    return;
                };
                let age = arrived.map_or(Duration::ZERO, |arrived| age(arrived, now));
                if age <= window {
                    recent.insert(uid);
                }
                is_past &= age > window * 2;
            })
            .await?;
            if is_past {
                break;
            }
            last = first - 1;
            length = length.saturating_mul(2);
        }
        Ok(recent)
    }
}
