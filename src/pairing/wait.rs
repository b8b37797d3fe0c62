//! A wait for a token or a verification code: what is heard, and when it is over.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::time::{Instant, timeout_at};

use super::codes::Codes;
use super::found::Found;
use super::source::{Piece, Source};
use super::{Begin, Error, Pairing};
use crate::account::Account;
use crate::daemon::protocol::Wanted;
use crate::imap::Cursor;
use crate::intake::Step;
use crate::ledger::Origin;
use crate::news::News;
use crate::receipt::{CodeReceipt, Event, Receipt};

/// How long a token which is stored is held back to see whether a newer one is there already, while nothing is heard.
const ONCE_MORE: Duration = Duration::from_secs(2);

/// Longest that it is held back, whatever is heard meanwhile.
const HELD: Duration = Duration::from_secs(10);

/// What is heard while waiting.
#[derive(Debug)]
pub enum Heard {
    /// The watch is our own and not the daemon's.
    Alone(Alone),
    /// What arrives after `cursor` is seen. Said again after a broken connection.
    Armed {
        /// What to go on from.
        cursor: Cursor,
        /// Whether the server announces new mail by itself.
        idle: bool,
    },
    /// What became of a mail that is not the answer.
    Receipt(Box<Receipt>),
    /// A mail that waited to be judged or stored is no longer in the mailbox.
    Gone(Origin),
    /// The mailbox cannot be watched now; it is tried again. The same trouble is told once.
    Trouble {
        /// What happened, then what to do.
        sentence: String,
        /// When it is tried again.
        again_in: Duration,
    },
    /// What [`Wait::search_now`] asked for is done: what it found was told before.
    Searched,
    /// The answer: the token waited for is stored, and was read back.
    Token(Box<Answer>),
    /// What became of a mail with a verification code that is not the answer; without its code.
    OtherCode(Box<CodeReceipt>),
    /// The answer, where a code is waited for. It is kept nowhere else.
    Code(Box<CodeReceipt>),
}

/// Why the daemon is not asked, where there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Alone {
    /// It is of another version; the sentence says which side to restart.
    Version(String),
    /// It cannot be asked.
    Because(String),
    /// It went away, or hangs.
    WentAway,
}

impl fmt::Display for Alone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version(why) | Self::Because(why) => write!(f, "Not asking the daemon: {why}."),
            Self::WentAway => f.write_str(
                "The daemon went away, or hangs. Going on with a connection of our own.",
            ),
        }
    }
}

/// The answer to a wait.
#[derive(Debug, Clone)]
pub struct Answer {
    /// What became of its mail.
    pub receipt: Receipt,
    /// How many other mails with a token for the same username this wait saw, older ones all of them: more than 0
    /// says that the token was reset more than once.
    pub others: usize,
    pairing: Pairing,
}

impl Answer {
    /// The token, as the keychain has it now.
    pub async fn token(&self) -> Result<SecretString, Error> {
        let username = self.receipt.username.as_deref().unwrap_or_default();
        self.pairing.stored(username).await
    }
}

/// A wait for the token of one username, or of any, at one account; or for a verification code.
///
/// Dropped, it leaves nothing behind; [`Wait::stop`] also says goodbye to the mail server. A token that is being
/// stored then is stored by the daemon, or found again by the next call.
#[derive(Debug)]
pub struct Wait {
    pairing: Pairing,
    account: Arc<Account>,
    source: Source,
    /// Kept for a watch of our own, should the daemon go away.
    begin: Begin,
    wanted: Wanted,
    /// What was heard and not told yet.
    heard: VecDeque<Heard>,
    found: Found,
    codes: Codes,
    /// Until when the answer is held back, and longest.
    held_until: Option<(Instant, Instant)>,
    /// A search was asked for, and is not done yet.
    is_searching: bool,
    /// The watch works now.
    is_sound: bool,
    /// The last trouble.
    trouble: Option<String>,
    /// The watch has ended.
    failed: Option<Error>,
    /// A token mail for this wait was refused.
    refused: Option<Box<Receipt>>,
    /// Token mails that cannot be judged or stored yet.
    pending: Vec<Receipt>,
}

impl Wait {
    /// Begins to watch.
    pub(super) async fn start(
        pairing: Pairing,
        account: Arc<Account>,
        begin: Begin,
        wanted: Wanted,
    ) -> Result<Self, Error> {
        let (source, alone) = Source::find(&pairing, &account, &begin, wanted).await?;
        Ok(Self {
            pairing,
            account,
            source,
            begin,
            wanted,
            heard: alone.map(Heard::Alone).into_iter().collect(),
            found: Found::default(),
            codes: Codes::default(),
            held_until: None,
            is_searching: false,
            is_sound: false,
            trouble: None,
            failed: None,
            refused: None,
            pending: Vec::new(),
        })
    }

    /// The account that is watched.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// The next thing heard; `None` where nothing was until then. Dropping the future loses nothing.
    ///
    /// A token that was stored, or a code, is held back while the mailbox is searched once more: until that is done, until nothing
    /// was heard for 2 s, 10 s at most and not beyond `until`. So where two resets lie close together, the answer is
    /// the newer one's.
    pub async fn next(&mut self, until: Instant) -> Result<Option<Heard>, Error> {
        loop {
            if let Some(heard) = self.heard.pop_front() {
                return Ok(Some(heard));
            }
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
            let until = self.held_until.map_or(until, |(held, _)| held.min(until));
            match timeout_at(until, self.source.next()).await {
                Ok(Some(Piece::News(news))) => self.hear(news),
                Ok(Some(Piece::Code(receipt))) => self.take_code(*receipt),
                Ok(None) => self.go_on_alone()?,
                Err(_) if self.has_answer() => self.answer(),
                Err(_) => return Ok(None),
            }
        }
    }

    /// Waits until the mailbox is watched; gives what to go on from. Dropping the future loses nothing.
    pub async fn armed(&mut self, within: Duration) -> Result<Cursor, Error> {
        let until = Instant::now() + within;
        loop {
            match self.next(until).await? {
                Some(Heard::Armed { cursor, .. }) => return Ok(cursor),
                Some(_) => {}
                None => return Err(self.why_none().await),
            }
        }
    }

    /// Waits for the token. Dropping the future loses nothing, and after an error it can be waited on. Called again
    /// after an answer, it waits for the next token.
    pub async fn token(&mut self, within: Duration) -> Result<Answer, Error> {
        let until = Instant::now() + within;
        loop {
            match self.next(until).await? {
                Some(Heard::Token(answer)) => return Ok(*answer),
                Some(_) => {}
                None => return Err(self.why_none().await),
            }
        }
    }

    /// Waits for the verification code, where [`Pairing::watch_for_code`] began. Dropping the future loses nothing, and
    /// after an error it can be waited on.
    pub async fn code(&mut self, within: Duration) -> Result<CodeReceipt, Error> {
        let until = Instant::now() + within;
        loop {
            match self.next(until).await? {
                Some(Heard::Code(receipt)) => return Ok(*receipt),
                Some(_) => {}
                None => return Err(self.why_none().await),
            }
        }
    }

    /// Searches without waiting for the server; [`Heard::Searched`] says when that is done, or [`Heard::Armed`] where
    /// the connection was made anew for it.
    pub fn search_now(&mut self) {
        self.is_searching = true;
        self.source.search_now();
    }

    /// Why nothing came in time.
    pub async fn why_none(&mut self) -> Error {
        match (self.source.step().await, self.wanted) {
            (Step::Judging, wanted) => {
                return Error::Judging {
                    value: wanted.rules().words().value,
                };
            }
            (Step::Storing, Wanted::Token) => {
                return Error::Storing {
                    store: self.pairing.keychain().name(),
                };
            }
            // What the daemon stores is no code.
            (Step::Idle, _) | (Step::Storing, Wanted::Code) => {}
        }
        if let Some(receipt) = self.codes.pending() {
            return Error::CodePending(receipt);
        }
        if let Some(receipt) = self.pending.first() {
            return Error::Pending(Box::new(receipt.clone()));
        }
        if !self.is_sound {
            return Error::Unwatched {
                address: self.account.address.clone(),
                why: self
                    .trouble
                    .clone()
                    .unwrap_or_else(|| "connecting took too long".to_owned()),
            };
        }
        let username = self.pairing.username().map(str::to_owned);
        match (&self.refused, self.wanted) {
            (Some(receipt), _) => Error::Refused(receipt.clone()),
            (None, Wanted::Token) => Error::NoToken { username },
            (None, Wanted::Code) => {
                let refused = self.codes.refused();
                refused.map_or(Error::NoCode { username }, Error::CodeRefused)
            }
        }
    }

    /// Ends the watch, with a goodbye to the server where that is quick.
    pub async fn stop(self) {
        self.source.stop().await;
    }

    /// The daemon went away, or was never asked: goes on with a watch of our own.
    fn go_on_alone(&mut self) -> Result<(), Error> {
        if !self.source.is_daemon() {
            return Err(Error::Broken);
        }
        self.heard.push_back(Heard::Alone(Alone::WentAway));
        self.is_sound = false;
        self.is_searching = false;
        self.source = Source::own(&self.pairing, &self.account, &self.begin, self.wanted)?;
        Ok(())
    }

    fn hear(&mut self, news: News) {
        if let Some((held, longest)) = &mut self.held_until {
            *held = (*longest).min(Instant::now() + ONCE_MORE);
        }
        match news {
            News::Armed { cursor, idle } => self.arm(cursor, idle),
            News::Receipt(receipt) => self.take(*receipt),
            News::Gone(origin) => {
                self.pending
                    .retain(|known| known.origin.as_ref() != Some(&origin));
                self.heard.push_back(Heard::Gone(origin));
            }
            News::Trouble {
                sentence, again_in, ..
            } => {
                self.is_sound = false;
                if self.trouble.as_ref() != Some(&sentence) {
                    self.trouble = Some(sentence.clone());
                    self.heard.push_back(Heard::Trouble { sentence, again_in });
                }
                // Nobody can look once more for now.
                self.answer();
            }
            News::Failed { class, sentence } => {
                self.answer();
                self.failed = Some(Error::Mailbox {
                    address: self.account.address.clone(),
                    class,
                    sentence,
                });
            }
        }
    }

    fn arm(&mut self, cursor: Cursor, idle: bool) {
        let was_asked_for = std::mem::take(&mut self.is_searching);
        let was_sound = std::mem::replace(&mut self.is_sound, true);
        self.trouble = None;
        if matches!(self.begin, Begin::Now) {
            // Whatever breaks off later, what arrives after this is asked for.
            self.begin = Begin::From(cursor.clone());
        }
        if !(was_asked_for && was_sound) {
            self.heard.push_back(Heard::Armed { cursor, idle });
        } else if !self.has_answer() {
            self.heard.push_back(Heard::Searched);
        }
        self.answer();
    }

    fn take(&mut self, receipt: Receipt) {
        let is_ours = |username: &str| {
            let wanted = self.pairing.username();
            wanted.is_none_or(|wanted| wanted.eq_ignore_ascii_case(username))
        };
        let names_ours = receipt.username.as_deref().is_some_and(is_ours);
        self.pending.retain(|known| known.origin != receipt.origin);
        if receipt.event == Event::Refused && (receipt.username.is_none() || names_ours) {
            self.refused = Some(Box::new(receipt.clone()));
        }
        if receipt.event.is_pending() {
            self.pending.push(receipt.clone());
        }
        let told = if names_ours {
            self.found.take(receipt)
        } else {
            Some(receipt)
        };
        let told = told.map(|receipt| Heard::Receipt(Box::new(receipt)));
        self.heard.extend(told);
        self.hold_answer();
    }

    fn take_code(&mut self, receipt: CodeReceipt) {
        let told = self.codes.take(receipt, self.pairing.username());
        let told = told.map(|receipt| Heard::OtherCode(Box::new(receipt)));
        self.heard.extend(told);
        self.hold_answer();
    }

    fn has_answer(&self) -> bool {
        self.found.has_answer() || self.codes.has_answer()
    }

    /// Looks whether there is a newer one, where there is an answer.
    fn hold_answer(&mut self) {
        if self.has_answer() && self.held_until.is_none() {
            let now = Instant::now();
            self.held_until = Some((now + ONCE_MORE, now + HELD));
            // A watch that is not armed yet is still looking, and says when it is.
            if self.is_sound {
                self.search_now();
            }
        }
    }

    /// Gives the answer, where there is one.
    fn answer(&mut self) {
        self.held_until = None;
        let code = self.codes.give().map(Box::new).map(Heard::Code);
        self.heard.extend(code);
        if let Some((receipt, others)) = self.found.give() {
            self.heard.push_back(Heard::Token(Box::new(Answer {
                receipt,
                others,
                pairing: self.pairing.clone(),
            })));
        }
    }
}
