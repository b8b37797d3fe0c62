//! Finding new mail, and fetching it.
//!
//! New mail is found by UID and by the date it arrived, never by flags: other programs set those.

mod look_back;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

use async_imap::imap_proto::{AttributeValue, Response};
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::error::Error;
use super::guard::{Allowance, LINE};
use super::idle::Idling;
use super::session::{COMMAND, Command, Session, Wire};
use crate::ledger::Origin;

/// Octets of a mail that are fetched at first. A token mail has some thousand.
const FIRST: usize = 64 * 1024;

/// Octets of a mail that are ever fetched; what is longer is no token mail.
pub const MOST: usize = 1024 * 1024;

/// Most new mails that are fetched unseen: with more, their sizes and header fields come first.
const UNSEEN: u32 = 4;

/// Mails fetched by one command. It bounds what is held at once to 8 × 64 KiB.
const TOGETHER: usize = 8;

/// UIDs named in one command: at most 11 octets each, so that a line stays below the 8,192 that every server
/// takes (RFC 7162 §4).
const NAMED: usize = 500;

/// Octets of the fields From and Subject of one mail that are looked at. Real ones have some hundred; what is
/// longer is cut, for anybody can send one.
const HEADER_FIELDS: usize = 4 * 1024;

/// Octets of one answer to a search by UID or to a list: room for 16,000 mails with the longest header fields, and
/// for ten times as many real ones. They are not kept.
const LISTED: usize = 64 * 1024 * 1024;

/// Octets of what a list says of one mail beside its header fields.
const LISTED_EACH: usize = 1024;

/// Mails that are listed by one command: in a folder that has more, a search by UID goes step by step.
const STEP: u32 = 16_000;

/// Mails that a search by UID may list at its end, where the server tells too low a UIDNEXT or none.
const LISTED_MAILS: usize = 160_000;

/// Octets of mails after which no more are fetched before those are handed on: anybody can send many.
const HELD: usize = 4 * MOST;

/// A mail as the server gave it.
#[derive(Debug, Clone)]
pub struct Message {
    /// The folder it lies in.
    pub folder: String,
    /// That folder's `UIDVALIDITY`.
    pub uid_validity: u32,
    /// Its UID.
    pub uid: u32,
    /// Its octets, at most [`MOST`].
    pub raw: Zeroizing<Vec<u8>>,
}

impl Message {
    /// Where it lies, in the account with this address.
    #[must_use]
    pub fn origin(&self, account: &str) -> Origin {
        Origin {
            account: account.to_owned(),
            folder: self.folder.clone(),
            uid_validity: self.uid_validity,
            uid: self.uid,
        }
    }
}

/// Tells from the fields From and Subject whether a mail is worth fetching.
pub(super) type Triage<'a> = &'a (dyn Fn(&[u8]) -> bool + Sync);

/// What a search found.
#[derive(Debug, Default)]
pub struct Found {
    /// Mails worth judging, by UID.
    pub messages: Vec<Message>,
    /// UIDs of those that are still to be fetched, all below those of `messages`.
    pub rest: Vec<u32>,
    /// The highest UID seen at or after the one searched from.
    pub highest: Option<u32>,
    /// UIDs of mails that the server names and does not give (`BODY[] NIL`): they are there, and not to be read yet.
    pub absent: BTreeSet<u32>,
}

/// Mails that were asked for by UID.
#[derive(Debug, Default)]
pub(super) struct Fetched {
    /// Those that came, by UID.
    pub(super) messages: Vec<Message>,
    /// Those that the server names and does not give.
    pub(super) absent: BTreeSet<u32>,
}

/// The first octets of mails, by UID.
#[derive(Debug, Default)]
struct Parts {
    there: BTreeMap<u32, Zeroizing<Vec<u8>>>,
    absent: BTreeSet<u32>,
    /// Those that have a size and came without an octet.
    empty: BTreeSet<u32>,
}

impl Parts {
    fn retain(&mut self, is_wanted: impl Fn(u32) -> bool) {
        self.there.retain(|uid, _| is_wanted(*uid));
        self.absent.retain(|uid| is_wanted(*uid));
        self.empty.retain(|uid| is_wanted(*uid));
    }

    fn highest(&self) -> Option<u32> {
        let there = self.there.keys().next_back();
        there.max(self.absent.last()).copied()
    }
}

/// What a list of mails says, by UID: whether one is worth fetching.
#[derive(Debug, Default)]
struct Listed {
    worth: BTreeMap<u32, bool>,
    absent: BTreeSet<u32>,
}

impl<S: Wire> Session<S> {
    /// Fetches what arrived at or after UID `from`: in one command where few are new, else what `triage` picks
    /// from their header fields. Ends `idling` in the same write.
    pub(super) async fn fetch_new(
        &mut self,
        from: u32,
        idling: Option<Idling>,
        triage: Triage<'_>,
    ) -> Result<Found, Error> {
        let new = self.folder.exists.saturating_sub(self.folder.searched);
        self.note_searched();
        let mut found = Found::default();
        if (1..=UNSEEN).contains(&new) {
            let mut parts = self.fetch_first(&format!("{from}:*"), idling).await?;
            // `n:*` names the last message even where its UID is below n (RFC 3501 §6.4.8).
            parts.retain(|uid| uid >= from);
            found.highest = parts.highest();
            self.complete_messages(parts.there, triage, &mut found.messages)
                .await?;
            found.absent = parts.absent;
        } else {
            let listed = self.list_new(from, idling, triage).await?;
            let highest = listed.worth.keys().next_back();
            found.highest = highest.max(listed.absent.last()).copied();
            found.rest = chosen(&listed.worth);
            found.absent = listed.absent;
            self.fetch_more(&mut found, triage).await?;
        }
        Ok(found)
    }

    /// Whether anything has a UID of `from` or more, for servers that do not announce. Ends `idling` in the same
    /// write.
    pub(super) async fn has_new(
        &mut self,
        from: u32,
        idling: Option<Idling>,
    ) -> Result<bool, Error> {
        let mut highest = None;
        let command = Command::new("UID FETCH", format!("UID FETCH {from}:* (UID)"));
        let allowance = listing(LISTED_MAILS, 0);
        let sent = self.begin(idling, command, allowance).await?;
        self.complete(&sent, COMMAND, |response| {
            if let Some(Part { uid: Some(uid), .. }) = part(response) {
                highest = highest.max(Some(uid));
            }
        })
        .await?;
        // `n:*` names the last message even where its UID is below n (RFC 3501 §6.4.8).
        Ok(highest.is_some_and(|uid| uid >= from))
    }

    /// The UID after the last message, for servers that do not tell UIDNEXT.
    pub(super) async fn uid_after_last(&mut self) -> Result<u32, Error> {
        let mut last = 0;
        let command = Command::new("UID FETCH", "UID FETCH * (UID)");
        if self.folder.exists > 0 {
            let sent = self.send(command, Allowance::SHORT).await?;
            self.complete(&sent, COMMAND, |response| {
                if let Some(Part { uid: Some(uid), .. }) = part(response) {
                    last = last.max(uid);
                }
            })
            .await?;
        }
        Ok(last.saturating_add(1))
    }

    /// Lists what has a UID of `from` or more.
    async fn list_new(
        &mut self,
        from: u32,
        mut idling: Option<Idling>,
        triage: Triage<'_>,
    ) -> Result<Listed, Error> {
        let mut all = Listed::default();
        let mut next = from;
        // A folder holds no more mails above a UID than it holds at all: a gap in the numbers alone costs nothing.
        let last = match self.folder.uid_next {
            Some(uid_next) if self.folder.exists > STEP => uid_next,
            _ => from,
        };
        loop {
            let is_last = last.saturating_sub(next) <= STEP;
            let (uids, mails) = if is_last {
                (format!("{next}:*"), LISTED_MAILS)
            } else {
                (format!("{next}:{}", next + STEP - 1), STEP as usize)
            };
            let mut listed = self.list(&uids, mails, idling.take(), triage).await?;
            all.worth.append(&mut listed.worth);
            all.absent.append(&mut listed.absent);
            if is_last {
                break;
            }
            next += STEP;
        }
        // `n:*` names the last message even where its UID is below n (RFC 3501 §6.4.8).
        all.worth.retain(|uid, _| *uid >= from);
        all.absent.retain(|uid| *uid >= from);
        Ok(all)
    }

    /// Sizes, dates and two header fields; which are worth fetching.
    async fn list(
        &mut self,
        uids: &str,
        mails: usize,
        idling: Option<Idling>,
        triage: Triage<'_>,
    ) -> Result<Listed, Error> {
        let mut listed = Listed::default();
        let line = format!(
            "UID FETCH {uids} (UID RFC822.SIZE INTERNALDATE BODY.PEEK[HEADER.FIELDS (FROM SUBJECT)]<0.{HEADER_FIELDS}>)"
        );
        let sent = self
            .begin(
                idling,
                Command::new("UID FETCH", line),
                listing(mails, HEADER_FIELDS),
            )
            .await?;
        self.complete(&sent, COMMAND, |response| match part(response) {
            Some(Part {
                uid: Some(uid),
                octets: Octets::There(header),
                start: 0,
                ..
            }) => {
                // At least the empty line belongs to it (RFC 3501 §6.4.5): who sends nothing has not told.
                listed
                    .worth
                    .insert(uid, header.is_empty() || triage(header));
            }
            Some(Part {
                uid: Some(uid),
                octets: Octets::Nil,
                ..
            }) => {
                listed.absent.insert(uid);
            }
            _ => {}
        })
        .await?;
        Ok(listed)
    }

    /// Fetches mails of `rest`, whose UIDs are sorted, from its end: the newest count. As many as may be held at once
    /// are taken from it.
    pub(super) async fn fetch_some(
        &mut self,
        rest: &mut Vec<u32>,
        triage: Triage<'_>,
    ) -> Result<Fetched, Error> {
        let mut fetched = Fetched::default();
        let held = |messages: &[Message]| messages.iter().map(|mail| mail.raw.len()).sum::<usize>();
        while !rest.is_empty() && held(&fetched.messages) < HELD {
            let uids = rest.split_off(rest.len().saturating_sub(TOGETHER));
            let mut parts = self.fetch_first(&uid_set(&uids), None).await?;
            parts.retain(|uid| uids.contains(&uid));
            fetched.absent.append(&mut parts.absent);
            self.complete_messages(parts.there, triage, &mut fetched.messages)
                .await?;
        }
        fetched.messages.sort_by_key(|mail| mail.uid);
        Ok(fetched)
    }

    /// Replaces the messages of `found` by the next of its rest; says whether there are any.
    pub(super) async fn fetch_more(
        &mut self,
        found: &mut Found,
        triage: Triage<'_>,
    ) -> Result<bool, Error> {
        let mut fetched = self.fetch_some(&mut found.rest, triage).await?;
        found.messages = fetched.messages;
        found.absent.append(&mut fetched.absent);
        Ok(!found.messages.is_empty() || !found.rest.is_empty())
    }

    /// The first octets of each mail in the set `uids`. Those that came empty are asked for alone once more: hoodiecrow
    /// answers with the first of several mails only. Where that does not help, they are absent.
    async fn fetch_first(&mut self, uids: &str, idling: Option<Idling>) -> Result<Parts, Error> {
        let mut parts = self.fetch_octets(uids, idling).await?;
        for uid in std::mem::take(&mut parts.empty).into_iter().take(TOGETHER) {
            let mut alone = self.fetch_octets(&uid.to_string(), None).await?;
            match alone.there.remove(&uid) {
                Some(octets) => {
                    parts.there.insert(uid, octets);
                }
                None => {
                    parts.absent.insert(uid);
                }
            }
        }
        Ok(parts)
    }

    /// What the server answers with when it is asked for the first octets of each mail in the set `uids`.
    async fn fetch_octets(&mut self, uids: &str, idling: Option<Idling>) -> Result<Parts, Error> {
        let mut parts = Parts::default();
        let line =
            format!("UID FETCH {uids} (UID RFC822.SIZE INTERNALDATE BODY.PEEK[]<0.{FIRST}>)");
        let allowance = Allowance {
            line: LINE,
            literal: FIRST,
            total: TOGETHER * FIRST + Allowance::SHORT.total,
            ..Allowance::SHORT
        };
        let sent = self
            .begin(idling, Command::new("UID FETCH", line), allowance)
            .await?;
        self.complete(&sent, COMMAND, |response| match part(response) {
            Some(Part {
                uid: Some(uid),
                size: Some(1..),
                octets: Octets::There([]),
                start: 0,
                ..
            }) if !parts.there.contains_key(&uid) => {
                parts.empty.insert(uid);
            }
            Some(Part {
                uid: Some(uid),
                octets: Octets::There(octets),
                start: 0,
                ..
            }) => {
                parts.absent.remove(&uid);
                parts.empty.remove(&uid);
                parts.there.insert(uid, Zeroizing::new(octets.to_vec()));
            }
            Some(Part {
                uid: Some(uid),
                octets: Octets::Nil,
                ..
            }) if !parts.there.contains_key(&uid) => {
                parts.absent.insert(uid);
            }
            _ => {}
        })
        .await?;
        Ok(parts)
    }

    /// Fetches the rest of those that are longer, where they look like token mails.
    async fn complete_messages(
        &mut self,
        parts: BTreeMap<u32, Zeroizing<Vec<u8>>>,
        triage: Triage<'_>,
        into: &mut Vec<Message>,
    ) -> Result<(), Error> {
        for (uid, mut raw) in parts {
            // RFC822.SIZE is no witness: some servers estimate it.
            let is_cut = raw.len() == FIRST;
            if is_cut && (triage(&raw) || !has_whole_header(&raw)) {
                raw = self.with_rest(uid, &raw).await?;
            }
            into.push(Message {
                folder: self.folder.name.clone(),
                uid_validity: self.folder.uid_validity,
                uid,
                raw,
            });
        }
        Ok(())
    }

    /// A mail whole, or as much of it as is ever read, given its first octets.
    async fn with_rest(&mut self, uid: u32, first: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        const REST: usize = MOST - FIRST;
        let line = format!("UID FETCH {uid} (UID BODY.PEEK[]<{FIRST}.{REST}>)");
        let allowance = Allowance {
            line: LINE,
            literal: REST,
            total: REST + Allowance::SHORT.total,
            ..Allowance::SHORT
        };
        // Of its full size from the start: a vector that grows leaves copies behind that nobody wipes.
        let mut whole = Zeroizing::new(Vec::with_capacity(MOST));
        let sent = self
            .send(Command::new("UID FETCH", line), allowance)
            .await?;
        self.complete(&sent, COMMAND, |response| {
            if let Some(Part {
                uid: Some(answered),
                octets: Octets::There(octets),
                start,
                ..
            }) = part(response)
                && (answered, start) == (uid, FIRST)
            {
                whole.clear();
                whole.extend_from_slice(first);
                whole.extend_from_slice(octets);
            }
        })
        .await?;
        if whole.is_empty() {
            whole.extend_from_slice(first);
        }
        Ok(whole)
    }
}

/// Whether the empty line that ends the header section (RFC 5322 §2.1) is there.
fn has_whole_header(raw: &[u8]) -> bool {
    raw.windows(4).any(|octets| octets == b"\r\n\r\n")
}

/// For lists of so many mails with at most `literal` octets of header each.
fn listing(mails: usize, literal: usize) -> Allowance {
    let total = mails.saturating_mul(literal + LISTED_EACH);
    Allowance {
        line: LINE,
        literal,
        total: Allowance::SHORT.total.saturating_add(total).min(LISTED),
        // A literal ends a line and begins another.
        lines: Allowance::SHORT.lines + 2 * mails,
    }
}

/// What a FETCH response (RFC 3501 §7.4.2) tells of one mail.
#[derive(Debug, Default)]
struct Part<'a> {
    uid: Option<u32>,
    /// `RFC822.SIZE`, which some servers estimate.
    size: Option<u32>,
    arrived: Option<Timestamp>,
    octets: Octets<'a>,
    /// Where in the section `octets` begin.
    start: usize,
}

/// What a FETCH response says of a section.
#[derive(Debug, Default)]
enum Octets<'a> {
    /// Nothing.
    #[default]
    Unsaid,
    /// That there are none.
    Nil,
    /// These.
    There(&'a [u8]),
}

fn part<'a>(response: &'a Response<'_>) -> Option<Part<'a>> {
    let Response::Fetch(_, attributes) = response else {
        return None;
    };
    let mut part = Part::default();
    for attribute in attributes {
        match attribute {
            AttributeValue::Uid(uid) => part.uid = Some(*uid),
            AttributeValue::Rfc822Size(size) => part.size = Some(*size),
            AttributeValue::InternalDate(date) => part.arrived = internal_date(date),
            AttributeValue::BodySection { data, index, .. } => {
                part.octets = data.as_deref().map_or(Octets::Nil, Octets::There);
                part.start = index.unwrap_or(0) as usize;
            }
            _ => {}
        }
    }
    Some(part)
}

/// `date-time` of RFC 3501 §9: `" 7-Feb-1994 21:52:25 -0800"`.
pub(super) fn internal_date(text: &str) -> Option<Timestamp> {
    Timestamp::strptime("%d-%b-%Y %H:%M:%S %z", text.trim()).ok()
}

/// How long before `now` something was.
pub(super) fn age(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then)).unwrap_or(Duration::ZERO)
}

/// The UIDs to fetch of a list, lowest first.
fn chosen(worth: &BTreeMap<u32, bool>) -> Vec<u32> {
    let chosen = worth.iter().filter(|&(_, &worth)| worth);
    chosen.map(|(&uid, _)| uid).collect()
}

/// A sequence set (RFC 3501 §9) of sorted UIDs.
fn uid_set(uids: &[u32]) -> String {
    let mut set = String::new();
    for run in uids.chunk_by(|a, b| a.checked_add(1) == Some(*b)) {
        if !set.is_empty() {
            set.push(',');
        }
        let _ = match run {
            [only] => write!(set, "{only}"),
            [first, .., last] => write!(set, "{first}:{last}"),
            [] => Ok(()),
        };
    }
    set
}

#[cfg(test)]
mod tests {
    use super::{internal_date, uid_set};

    #[test]
    fn uids_are_named_as_runs() {
        assert_eq!(uid_set(&[1, 2, 3, 7, 9, 10]), "1:3,7,9:10");
        assert_eq!(uid_set(&[u32::MAX]), "4294967295");
    }

    #[test]
    fn internal_dates() {
        for (text, expected) in [
            ("17-Jul-1996 02:44:25 -0700", Some("1996-07-17T09:44:25Z")),
            (" 7-Feb-1994 21:52:25 -0800", Some("1994-02-08T05:52:25Z")),
            ("yesterday", None),
        ] {
            let read = internal_date(text).map(|date| date.to_string());
            assert_eq!(read.as_deref(), expected, "{text}");
        }
    }
}
