//! Attends one account: what the watch finds goes through the intake, and what became of it is told.
//!
//! It runs in a task of its own. Who listens may stop listening at any instant; a mail that is being stored then is
//! stored to the end, or found again by the next call.

mod codes;
mod waiting;

use std::sync::Arc;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use crate::account::Account;
use crate::crash;
use crate::imap::{Condition, Cursor, Event, Message, Order, Temper, Watcher};
use crate::intake::{Fate, Incoming, Intake, Mode, Outcome};
use crate::keychain::Keychain;
use crate::ledger::{Ledger, List, Origin};
use crate::news::{News, Whence};
use crate::receipt::{CodeReceipt, Receipt};
use codes::Codes;
use waiting::Waiting;

pub use crate::imap::Start;

/// What is told of an account.
#[derive(Debug)]
pub enum Told {
    /// News for those who listen.
    News(News, Whence),
    /// What became of a mail with a verification code: for those alone who asked for one.
    Code(Box<CodeReceipt>, Whence),
    /// The look back or search with this number is done: everything it found was told before.
    Looked {
        /// Its number.
        look: u64,
        /// What arrives after this is found by the watch.
        cursor: Cursor,
    },
    /// Every mail of that folder before this place was taken in, and what waits of them is in the ledger.
    Moved(Cursor),
}

/// Mails of the account that wait to be judged or stored since earlier. A list that cannot be read keeps nobody from
/// watching for what is new.
#[must_use]
pub fn pending(account: &Account, ledger: &Ledger) -> Vec<Origin> {
    let entries = ledger.unsettled(List::Pending).unwrap_or_default();
    entries
        .into_iter()
        .map(|entry| entry.origin)
        .filter(|origin| origin.account.eq_ignore_ascii_case(&account.address))
        .collect()
}

/// What is looked for in the mails of an account.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sought {
    /// Tokens, to be stored.
    pub tokens: bool,
    /// Verification codes, to be told.
    pub codes: bool,
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
    /// What is looked for.
    pub sought: Sought,
}

/// An account that is attended.
#[derive(Debug)]
pub struct Attendant {
    told: mpsc::Receiver<Box<Told>>,
    orders: mpsc::UnboundedSender<Order>,
    condition: watch::Receiver<Condition>,
    hurry: Arc<Notify>,
    sought: watch::Sender<Sought>,
    task: JoinHandle<()>,
}

impl Attendant {
    /// Begins to attend an account.
    #[must_use]
    pub fn start(charge: Charge) -> Self {
        // News waits for the one who listens; a handful is enough to let the intake go on meanwhile. Boxed, for a channel
        // has room for 32 of its items from the beginning.
        let (tell, told) = mpsc::channel(16);
        let watcher = Watcher::start(
            Arc::clone(&charge.account),
            charge.keychain,
            &charge.start,
            charge.pending,
            charge.temper,
        );
        let orders = watcher.orders();
        let condition = watcher.condition();
        let hurry = Arc::new(Notify::new());
        let (seek, sought) = watch::channel(charge.sought);
        let attending = Attending {
            account: charge.account,
            intake: charge.intake,
            tell,
            orders: orders.clone(),
            hurry: Arc::clone(&hurry),
            waiting: Waiting::new(),
            codes: Codes::new(sought.clone()),
            sought,
            moved: Vec::new(),
        };
        Self {
            told,
            orders,
            condition,
            hurry,
            sought: seek,
            task: tokio::spawn(attending.run(watcher)),
        }
    }

    /// The next thing told; `None` when the attendance broke off. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Told> {
        self.told.recv().await.map(|told| *told)
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

    /// Tries what waits without a pause: somebody waits for it.
    pub fn hurry(&self) {
        self.hurry.notify_one();
    }

    /// From now on verification codes are looked for, or no longer.
    pub fn seek_codes(&self, codes: bool) {
        self.sought.send_if_modified(|sought| {
            let is_new = sought.codes != codes;
            sought.codes = codes;
            is_new
        });
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
    intake: Arc<Intake>,
    tell: mpsc::Sender<Box<Told>>,
    orders: mpsc::UnboundedSender<Order>,
    hurry: Arc<Notify>,
    sought: watch::Receiver<Sought>,
    waiting: Waiting,
    codes: Codes,
    /// Places that may be told once what waits is noted: the last of each folder.
    moved: Vec<Cursor>,
}

impl Attending {
    #[expect(
        clippy::manual_async_fn,
        reason = "an async fn has room for its arguments twice"
    )]
    fn run(mut self, mut watcher: Watcher) -> impl Future<Output = ()> + Send {
        async move {
            let tell = self.tell.clone();
            tokio::select! {
                Stopped = self.attend(&mut watcher) => {}
                () = tell.closed() => {}
            }
            Box::pin(watcher.stop()).await;
        }
    }

    async fn attend(&mut self, watcher: &mut Watcher) -> Stopped {
        loop {
            let next_at = self.waiting.next_at();
            let next_code_at = self.codes.next_at();
            let done = tokio::select! {
                // Memory for what is done with it only while it is done.
                event = watcher.next() => Box::pin(self.hear(event)).await,
                () = sleep_until(next_at.unwrap_or_else(Instant::now)), if next_at.is_some() => {
                    Box::pin(self.try_again()).await
                }
                () = sleep_until(next_code_at.unwrap_or_else(Instant::now)), if next_code_at.is_some() => {
                    Box::pin(self.try_codes_again()).await
                }
                () = self.hurry.notified() => {
                    self.waiting.hurry();
                    Ok(())
                }
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
            Event::Moved(cursor) => {
                self.moved.retain(|known| known.folder != cursor.folder);
                self.moved.push(cursor);
                self.move_on().await
            }
            Event::Gone(origins) => {
                for origin in origins {
                    self.waiting.remove(Some(&origin));
                    self.intake.forget_pending(&origin).await;
                    self.say(Told::News(News::Gone(origin), Whence::Waited))
                        .await?;
                }
                self.move_on().await
            }
            Event::Trouble { error, again_in } => self.news(News::trouble(&error, again_in)).await,
            Event::Failed(error) => {
                self.news(News::failed(&error)).await?;
                Err(Stopped)
            }
        }
    }

    /// Tells how far everything was taken in, unless something that waits is in no ledger: the next process would not
    /// find it.
    async fn move_on(&mut self) -> Result<(), Stopped> {
        if self.waiting.is_noted() {
            for cursor in std::mem::take(&mut self.moved) {
                self.say(Told::Moved(cursor)).await?;
            }
        }
        Ok(())
    }

    async fn take(&mut self, mails: &[Message], whence: Whence) -> Result<(), Stopped> {
        crash::panic_here(&format!("took from {}", self.account.address));
        let (address, policy) = (&self.account.address, &self.account.policy);
        let told = self
            .codes
            .take(mails, address, whence, &self.intake, policy);
        let told = told.await;
        self.say_all(told).await?;
        if !self.sought.borrow().tokens {
            return self.move_on().await;
        }
        let incoming = mails
            .iter()
            .map(|message| Incoming {
                raw: &message.raw,
                origin: Some(message.origin(&self.account.address)),
            })
            .collect();
        let outcomes = self
            .intake
            .take(incoming, &self.account.policy, Mode::Store)
            .await;
        for outcome in outcomes {
            let has_waited = self.waiting.remove(outcome.origin.as_ref());
            let is_pending = matches!(outcome.fate, Fate::Pending(_));
            // One that was fetched again and still waits is no news.
            if !(has_waited && is_pending && whence == Whence::Waited) {
                self.tell_of(&outcome, whence).await?;
            }
            if Waiting::concerns(&outcome) {
                self.waiting.add(outcome);
            }
        }
        self.move_on().await
    }

    /// Tries one of those again that could not be judged, stored or noted.
    async fn try_again(&mut self) -> Result<(), Stopped> {
        let (next, again) = self.waiting.due();
        if let Some(outcome) = next {
            let was_pending = matches!(outcome.fate, Fate::Pending(_));
            let outcome = self.intake.again(outcome, &self.account.policy).await;
            if was_pending && !matches!(outcome.fate, Fate::Pending(_)) {
                self.tell_of(&outcome, Whence::Waited).await?;
            }
            if Waiting::concerns(&outcome) {
                self.waiting.put_back(outcome);
            }
        }
        if !again.is_empty() {
            let _ = self.orders.send(Order::Again(again));
        }
        self.move_on().await
    }

    async fn try_codes_again(&mut self) -> Result<(), Stopped> {
        let policy = &self.account.policy;
        let told = self.codes.try_again(&self.intake, policy).await;
        self.say_all(told).await
    }

    async fn tell_of(&self, outcome: &Outcome, whence: Whence) -> Result<(), Stopped> {
        let receipt = Box::new(Receipt::of(outcome));
        self.say(Told::News(News::Receipt(receipt), whence)).await
    }

    async fn news(&self, news: News) -> Result<(), Stopped> {
        self.say(Told::News(news, Whence::Watch)).await
    }

    async fn say_all(&self, all: Vec<Told>) -> Result<(), Stopped> {
        for told in all {
            self.say(told).await?;
        }
        Ok(())
    }

    async fn say(&self, told: Told) -> Result<(), Stopped> {
        self.tell.send(Box::new(told)).await.map_err(|_| Stopped)
    }
}
