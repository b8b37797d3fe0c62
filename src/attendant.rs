//! Attends one account: what the watch finds goes through the intake, and what became of it is told.
//!
//! It runs in a task of its own. Who listens may stop listening at any instant; a mail that is being stored then is
//! stored to the end, or found again by the next call.

use std::sync::Arc;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::account::Account;
use crate::imap::{Condition, Cursor, Event, Message, Order, Temper, Watcher};
use crate::intake::{self, Fate, Incoming, Intake, Mode, Outcome};
use crate::keychain::Keychain;
use crate::ledger::Origin;
use crate::news::{News, Whence};
use crate::receipt::Receipt;

pub use crate::imap::Start;

/// What is told of an account.
#[derive(Debug)]
pub enum Told {
    /// News for those who listen.
    News(News, Whence),
    /// The look back with this number is done: everything it found was told before.
    Looked {
        /// Its number.
        look: u64,
        /// What arrives after this is found by the watch.
        cursor: Cursor,
    },
    /// Every mail of that folder before this place was taken in.
    Moved(Cursor),
}

/// How an account is attended.
#[derive(Debug)]
pub struct Charge {
    /// The account.
    pub account: Arc<Account>,
    /// Where its and its mailbox's secrets lie.
    pub keychain: Keychain,
    /// The way in for its mails.
    pub intake: Arc<Intake>,
    /// Where watching begins.
    pub start: Start,
    /// Mails that wait since earlier.
    pub pending: Vec<Origin>,
    /// How failures are met.
    pub temper: Temper,
}

/// An account that is attended.
#[derive(Debug)]
pub struct Attendant {
    told: mpsc::Receiver<Told>,
    orders: mpsc::UnboundedSender<Order>,
    condition: watch::Receiver<Condition>,
    task: JoinHandle<()>,
}

impl Attendant {
    /// Begins to attend an account.
    #[must_use]
    pub fn start(charge: Charge) -> Self {
        // News waits for the one who listens; a handful is enough to let the intake go on meanwhile.
        let (tell, told) = mpsc::channel(16);
        let watcher = Watcher::start(
            Arc::clone(&charge.account),
            charge.keychain.clone(),
            &charge.start,
            charge.pending,
            charge.temper,
        );
        let orders = watcher.orders();
        let condition = watcher.condition();
        let attending = Attending {
            account: charge.account,
            store: charge.keychain.name(),
            intake: charge.intake,
            tell,
            waiting: Vec::new(),
            tries: 0,
            again_at: Instant::now(),
        };
        Self {
            told,
            orders,
            condition,
            task: tokio::spawn(attending.run(watcher)),
        }
    }

    /// The next thing told; `None` when the attendance broke off. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Told> {
        self.told.recv().await
    }

    /// How the watch is doing.
    #[must_use]
    pub fn condition(&self) -> watch::Receiver<Condition> {
        self.condition.clone()
    }

    /// Gives the watch an order. A watch that has ended hears nothing, and says so by itself.
    pub fn order(&self, order: Order) {
        let _ = self.orders.send(order);
    }

    /// Ends it, with a goodbye to the server where that is quick.
    pub async fn stop(mut self) {
        self.told.close();
        let _ = (&mut self.task).await;
    }
}

impl Drop for Attendant {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Nobody listens any more.
struct Stopped;

struct Attending {
    account: Arc<Account>,
    store: &'static str,
    intake: Arc<Intake>,
    tell: mpsc::Sender<Told>,
    /// Mails that could not be judged or stored yet.
    waiting: Vec<Outcome>,
    tries: u32,
    again_at: Instant,
}

impl Attending {
    async fn run(mut self, mut watcher: Watcher) {
        let tell = self.tell.clone();
        tokio::select! {
            Stopped = self.attend(&mut watcher) => {}
            () = tell.closed() => {}
        }
        watcher.stop().await;
    }

    async fn attend(&mut self, watcher: &mut Watcher) -> Stopped {
        loop {
            let done = tokio::select! {
                event = watcher.next() => self.hear(event).await,
                () = sleep_until(self.again_at), if !self.waiting.is_empty() => self.try_again().await,
            };
            if done.is_err() {
                return Stopped;
            }
        }
    }

    async fn hear(&mut self, event: Event) -> Result<(), Stopped> {
        match event {
            Event::Armed { cursor, idle } => self.news(News::Armed { cursor, idle }).await,
            Event::Mail { mails, whence } => self.take(&mails, whence).await,
            Event::Looked { look, cursor } => self.say(Told::Looked { look, cursor }).await,
            Event::Moved(cursor) => self.say(Told::Moved(cursor)).await,
            Event::Gone(origins) => {
                for origin in origins {
                    self.intake.forget_pending(&origin).await;
                    self.say(Told::News(News::Gone(origin), Whence::Waited))
                        .await?;
                }
                Ok(())
            }
            Event::Trouble { error, again_in } => self.news(News::trouble(&error, again_in)).await,
            Event::Failed(error) => {
                self.news(News::failed(&error)).await?;
                Err(Stopped)
            }
        }
    }

    async fn take(&mut self, mails: &[Message], whence: Whence) -> Result<(), Stopped> {
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
        let before = self.waiting.len();
        for outcome in outcomes {
            self.tell_of(&outcome, whence).await?;
            if matches!(outcome.fate, Fate::Pending(_)) {
                self.waiting.retain(|known| known.origin != outcome.origin);
                self.waiting.push(outcome);
            }
        }
        if self.waiting.len() > before {
            self.tries = 0;
            self.again_at = Instant::now() + intake::pause(0);
        }
        Ok(())
    }

    /// Tries what could not be judged or stored again.
    async fn try_again(&mut self) -> Result<(), Stopped> {
        self.tries = self.tries.saturating_add(1);
        self.again_at = Instant::now() + intake::pause(self.tries);
        for outcome in std::mem::take(&mut self.waiting) {
            let outcome = self.intake.again(outcome, &self.account.policy).await;
            if matches!(outcome.fate, Fate::Pending(_)) {
                self.waiting.push(outcome);
            } else {
                self.tell_of(&outcome, Whence::Waited).await?;
            }
        }
        Ok(())
    }

    async fn tell_of(&self, outcome: &Outcome, whence: Whence) -> Result<(), Stopped> {
        let receipt = Box::new(Receipt::of(outcome, self.store));
        self.say(Told::News(News::Receipt(receipt), whence)).await
    }

    async fn news(&self, news: News) -> Result<(), Stopped> {
        self.say(Told::News(news, Whence::Watch)).await
    }

    async fn say(&self, told: Told) -> Result<(), Stopped> {
        self.tell.send(told).await.map_err(|_| Stopped)
    }
}
