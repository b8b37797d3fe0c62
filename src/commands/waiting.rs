//! Waiting for a token: what `wait` and `run` have in common.

use std::sync::Arc;

use tokio::time::{Instant, sleep_until, timeout_at};

use super::{Exit, Failure, House};
use crate::account::Account;
use crate::config::Config;
use crate::imap::{Cursor, Event, Message, Start, Watcher};
use crate::intake::{self, Fate, Incoming, Intake, Mode, Outcome, Step};
use crate::ledger::{List, Origin};

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
    intake: Intake,
    watcher: Watcher,
    /// The watch works now.
    is_sound: bool,
    /// The last trouble, so that the same is not said every few seconds.
    trouble: Option<String>,
    /// A token mail for this wait was refused.
    refused: Option<String>,
    /// Tokens that could not be stored yet.
    pending: Vec<Outcome>,
    tries: u32,
    again_at: Instant,
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
    pub(super) fn start(
        house: &'a House,
        config: &Config,
        account: Arc<Account>,
        username: Option<String>,
        print: bool,
        deadline: Instant,
        start: Start,
    ) -> Result<Self, Failure> {
        let intake = house.intake(config)?;
        let pending = match start {
            Start::Since(_) => pending(&account),
            // Who takes a cursor asks for what comes after it.
            Start::From(_) | Start::Now => Vec::new(),
        };
        house
            .announcer
            .spin(&format!("watching {}", account.address), deadline);
        Ok(Self {
            watcher: Watcher::start(Arc::clone(&account), house.keychain.clone(), start, pending),
            house,
            account,
            username,
            print,
            deadline,
            intake,
            is_sound: false,
            trouble: None,
            refused: None,
            pending: Vec::new(),
            tries: 0,
            again_at: deadline,
        })
    }

    /// Waits for the next thing to happen, until `until` at most.
    pub(super) async fn progress(&mut self, until: Instant) -> Result<Progress, Failure> {
        let until = until.min(self.deadline);
        match timeout_at(until, self.next()).await {
            Ok(progress) => progress,
            Err(_) => Ok(Progress::Deadline),
        }
    }

    async fn next(&mut self) -> Result<Progress, Failure> {
        loop {
            let event = tokio::select! {
                event = self.watcher.next() => event,
                () = sleep_until(self.again_at), if !self.pending.is_empty() => {
                    if self.try_again().await {
                        return Ok(Progress::Token);
                    }
                    continue;
                }
            };
            match event {
                Event::Armed { cursor, idle } => {
                    self.is_sound = true;
                    self.trouble = None;
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
                    return Ok(Progress::Armed(cursor));
                }
                Event::Mail(mails) => {
                    if self.take(&mails).await {
                        return Ok(Progress::Token);
                    }
                }
                Event::Gone(origins) => self.forget(&origins).await,
                Event::Trouble { error, again_in } => {
                    self.is_sound = false;
                    let trouble = error.to_string();
                    if self.trouble.as_ref() != Some(&trouble) {
                        self.house.announcer.say(&format!(
                            "The mailbox {}: {trouble}. Trying again in {:.0} s.",
                            self.account.address,
                            again_in.as_secs_f64().ceil()
                        ));
                        self.trouble = Some(trouble);
                    }
                }
                Event::Failed(error) => {
                    return Err(Failure::from_mailbox(&self.account.address, &error));
                }
            }
        }
    }

    /// Takes mails in; says whether the token waited for was among them.
    async fn take(&mut self, mails: &[Message]) -> bool {
        let incoming = mails
            .iter()
            .map(|message| Incoming {
                raw: &message.raw,
                origin: Some(Origin {
                    account: self.account.address.clone(),
                    folder: message.folder.clone(),
                    uid_validity: message.uid_validity,
                    uid: message.uid,
                }),
            })
            .collect();
        let outcomes = self
            .intake
            .take(incoming, &self.account.policy, Mode::Store)
            .await;
        let before = self.pending.len();
        let mut is_done = false;
        for outcome in outcomes {
            is_done |= self.hear(outcome);
        }
        if self.pending.len() > before {
            self.tries = 0;
            self.again_at = Instant::now() + intake::pause(0);
        }
        is_done
    }

    /// Mails that waited are no longer in the mailbox.
    async fn forget(&self, origins: &[Origin]) {
        for origin in origins {
            self.intake.forget_pending(origin).await;
            self.house.announcer.say(&format!(
                "A token mail that waited to be judged or stored is no longer in {} (UID {}).",
                origin.folder, origin.uid
            ));
        }
    }

    /// Tries what could not be stored again.
    async fn try_again(&mut self) -> bool {
        self.tries += 1;
        self.again_at = Instant::now() + intake::pause(self.tries);
        let mut is_done = false;
        for outcome in std::mem::take(&mut self.pending) {
            let outcome = self.intake.again(outcome, &self.account.policy).await;
            if matches!(outcome.fate, Fate::Pending(_)) {
                self.pending.push(outcome);
            } else {
                is_done |= self.hear(outcome);
            }
        }
        is_done
    }

    /// Announces an outcome; says whether it is the token waited for.
    fn hear(&mut self, outcome: Outcome) -> bool {
        let is_ours = |username: &str| {
            self.username
                .as_ref()
                .is_none_or(|wanted| wanted.eq_ignore_ascii_case(username))
        };
        // Who waits for one username gets no other's token into a variable.
        let print = self.print && outcome.facts.username.as_deref().is_some_and(is_ours);
        self.house
            .announcer
            .outcome(&outcome, self.house.keychain.name(), print);
        match &outcome.fate {
            Fate::Stored(mail) | Fate::Already(mail) => is_ours(&mail.username),
            Fate::Refused(refused) => {
                if outcome.facts.username.as_deref().is_none_or(is_ours) {
                    self.refused = Some(format!("{} ({})", refused.sentence, refused.reason));
                }
                false
            }
            Fate::Pending(_) => {
                self.pending.push(outcome);
                false
            }
            Fate::Judged(_) | Fate::Outdone(_) | Fate::NotATokenMail(_) => false,
        }
    }

    /// Where the next call can go on from if this one comes to nothing.
    pub(super) fn go_on_from(&self, cursor: Cursor) {
        self.house.announcer.go_on_from(cursor);
    }

    /// Searches without waiting for the server.
    pub(super) fn search_now(&self) {
        self.watcher.search_now();
    }

    /// Ends the watch.
    pub(super) async fn stop(self) {
        self.house.announcer.stop_spinning();
        self.watcher.stop().await;
    }

    /// Why there is no token at the deadline.
    pub(super) fn no_token(&self) -> Failure {
        match self.intake.step() {
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
        if let Some(Fate::Pending(pending)) = self.pending.first().map(|outcome| &outcome.fate) {
            let Failure { exit, message } = Failure::from_obstacle(&pending.why);
            let message = format!("a token mail came and waits: {message}");
            return Failure { exit, message };
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

/// Mails of the account that wait to be judged or stored since an earlier call. A list that cannot be read keeps
/// nobody from waiting for what is new.
fn pending(account: &Account) -> Vec<Origin> {
    let entries = House::ledger()
        .ok()
        .and_then(|ledger| ledger.unsettled(List::Pending).ok())
        .unwrap_or_default();
    entries
        .into_iter()
        .map(|entry| entry.origin)
        .filter(|origin| {
            origin.account.eq_ignore_ascii_case(&account.address) && origin.folder == account.folder
        })
        .collect()
}
