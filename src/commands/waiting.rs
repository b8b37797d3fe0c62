//! Waiting for a token: what `wait` and `run` have in common.

use std::sync::Arc;

use secrecy::SecretString;
use tokio::time::{Instant, timeout_at};

use super::source::Source;
use super::{Exit, Failure, House, get};
use crate::account::Account;
use crate::config::Config;
use crate::daemon::protocol::Begin;
use crate::imap::Cursor;
use crate::intake::Step;
use crate::keychain::TOKEN_SERVICE;
use crate::news::News;
use crate::receipt::{Event, Receipt};

/// What a person can check when no mail came.
const WHY_NO_MAIL: &str = "Salesforce sends none to users whose address ends in .invalid (refreshed sandboxes), and \
                           lets nobody reset who has login IP ranges on the profile, is limited to the API, or \
                           needs MFA for API logins";

/// A wait for the token of one username, or of any.
pub(super) struct Wait<'a> {
    house: &'a House,
    account: Arc<Account>,
    username: Option<String>,
    print: bool,
    deadline: Instant,
    source: Source,
    /// Kept for a watch of our own, should the daemon go away.
    config: Config,
    begin: Begin,
    /// The watch works now.
    is_sound: bool,
    /// The last trouble, so that the same is not said every few seconds.
    trouble: Option<String>,
    /// A token mail for this wait was refused.
    refused: Option<String>,
    /// Token mails that cannot be judged or stored yet.
    pending: Vec<Receipt>,
}

/// What happened while waiting.
pub(super) enum Progress {
    /// What arrives after this is seen.
    Armed(Cursor),
    /// The token waited for is stored.
    Token,
    /// The deadline has come.
    Deadline,
}

impl<'a> Wait<'a> {
    /// Begins to watch.
    pub(super) async fn start(
        house: &'a House,
        config: Config,
        account: Arc<Account>,
        username: Option<String>,
        print: bool,
        deadline: Instant,
        begin: Begin,
    ) -> Result<Self, Failure> {
        house
            .announcer
            .spin(&format!("watching {}", account.address), deadline);
        Ok(Self {
            source: Source::find(house, &config, &account, &begin).await?,
            house,
            config,
            account,
            username,
            print,
            deadline,
            begin,
            is_sound: false,
            trouble: None,
            refused: None,
            pending: Vec::new(),
        })
    }

    /// Waits for the next thing to happen, until `until` at most. Dropping the future loses nothing but words.
    pub(super) async fn progress(&mut self, until: Instant) -> Result<Progress, Failure> {
        let until = until.min(self.deadline);
        loop {
            let Ok(news) = timeout_at(until, self.source.next()).await else {
                return Ok(Progress::Deadline);
            };
            let Some(news) = news else {
                self.go_on_alone()?;
                continue;
            };
            if let Some(progress) = self.hear(news).await? {
                return Ok(progress);
            }
        }
    }

    /// The daemon went away, or was never asked: goes on with a watch of our own.
    fn go_on_alone(&mut self) -> Result<(), Failure> {
        if !self.source.is_daemon() {
            return Err(Failure::new(Exit::Unexpected, "the watch broke off"));
        }
        self.house
            .announcer
            .detail("The daemon went away, or hangs. Going on with a connection of our own.");
        self.is_sound = false;
        self.source = Source::own(self.house, &self.config, &self.account, &self.begin)?;
        Ok(())
    }

    async fn hear(&mut self, news: News) -> Result<Option<Progress>, Failure> {
        match news {
            News::Armed { cursor, idle } => {
                self.is_sound = true;
                self.trouble = None;
                if matches!(self.begin, Begin::Now) {
                    // Whatever breaks off later, what arrives after this is asked for.
                    self.begin = Begin::From(cursor.clone());
                }
                self.house.announcer.detail(&format!(
                    "Watching {} in {} ({}).",
                    cursor.folder,
                    cursor.account,
                    if idle {
                        "the server announces new mail"
                    } else {
                        "polling: the server does not announce new mail, or may not"
                    }
                ));
                Ok(Some(Progress::Armed(cursor)))
            }
            News::Receipt(receipt) => Ok(self.take(*receipt).await.then_some(Progress::Token)),
            News::Gone(origin) => {
                self.house.announcer.say(&format!(
                    "A token mail that waited to be judged or stored is no longer in {} (UID {}).",
                    origin.folder, origin.uid
                ));
                Ok(None)
            }
            News::Trouble {
                sentence, again_in, ..
            } => {
                self.is_sound = false;
                if self.trouble.as_ref() != Some(&sentence) {
                    self.house.announcer.say(&format!(
                        "The mailbox {}: {sentence}. Trying again in {:.0} s.",
                        self.account.address,
                        again_in.as_secs_f64().ceil()
                    ));
                    self.trouble = Some(sentence);
                }
                Ok(None)
            }
            News::Failed { class, sentence } => {
                Err(Failure::mailbox(&self.account.address, class, &sentence))
            }
        }
    }

    /// Announces what became of a mail; says whether its token is the one waited for.
    async fn take(&mut self, receipt: Receipt) -> bool {
        let is_ours = |username: &str| {
            self.username
                .as_ref()
                .is_none_or(|wanted| wanted.eq_ignore_ascii_case(username))
        };
        let names_ours = receipt.username.as_deref().is_some_and(is_ours);
        let is_token = receipt.event.is_stored() && names_ours;
        // Who waits for one username gets no other's token into a variable.
        let token = match &receipt.username {
            Some(username) if is_token && self.print => self.stored(username).await,
            _ => None,
        };
        self.house.announcer.receipt(&receipt, token.as_ref());
        self.pending.retain(|known| known.origin != receipt.origin);
        if receipt.event == Event::Refused && (receipt.username.is_none() || names_ours) {
            self.refused = Some(format!(
                "{} ({})",
                receipt.sentence.as_deref().unwrap_or_default(),
                receipt.reason.as_deref().unwrap_or_default()
            ));
        }
        if receipt.event.is_pending() {
            self.pending.push(receipt);
        }
        is_token
    }

    /// The token as the keychain has it, to be printed.
    async fn stored(&self, username: &str) -> Option<SecretString> {
        let name = get::stored_name(username);
        match self.house.keychain.get(TOKEN_SERVICE, &name).await {
            Ok(token) => token,
            Err(error) => {
                self.house.announcer.error(&format!(
                    "The token of {username} is stored, and cannot be read to be printed: {error}."
                ));
                None
            }
        }
    }

    /// Where the next call can go on from if this one comes to nothing.
    pub(super) fn go_on_from(&self, cursor: Cursor) {
        self.house.announcer.go_on_from(cursor);
    }

    /// Searches without waiting for the server.
    pub(super) async fn search_now(&mut self) {
        self.source.search_now().await;
    }

    /// Ends the watch.
    pub(super) async fn stop(self) {
        self.house.announcer.stop_spinning();
        self.source.stop().await;
    }

    /// Why there is no token at the deadline.
    pub(super) async fn no_token(&mut self) -> Failure {
        match self.source.step().await {
            Step::Idle => {}
            Step::Judging => {
                return Failure::new(
                    Exit::Pending,
                    "a token mail came, and DNS did not say before the deadline whose key signed it. Check the \
                     network, or `resolver` in the configuration",
                );
            }
            Step::Storing => {
                return Failure::new(
                    Exit::Keychain,
                    format!(
                        "a token came, and the keychain ({}) did not answer before the deadline. Look whether it \
                         waits for you to unlock it",
                        self.house.keychain.name()
                    ),
                );
            }
        }
        if let Some(receipt) = self.pending.first() {
            return Failure::pending(receipt);
        }
        if !self.is_sound {
            return Failure::new(
                Exit::Mailbox,
                format!(
                    "the mailbox {} could not be watched before the deadline: {}",
                    self.account.address,
                    self.trouble
                        .as_deref()
                        .unwrap_or("connecting took too long")
                ),
            );
        }
        if let Some(refused) = &self.refused {
            return Failure::new(
                Exit::Refused,
                format!("no token before the deadline but one that was refused: {refused}"),
            );
        }
        let whose = match &self.username {
            Some(username) => format!(" for {username}"),
            None => String::new(),
        };
        Failure::new(
            Exit::NoToken,
            format!(
                "no token mail{whose} before the deadline. It can take minutes to arrive. {WHY_NO_MAIL}"
            ),
        )
    }
}
