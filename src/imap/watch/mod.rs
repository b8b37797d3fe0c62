//! Watches a mailbox on one connection, and connects again when that breaks.
//!
//! The order that loses nothing: open the folder, search what came since the place known, only then idle, and
//! search again after every IDLE, whatever ended it. Events of the server only make a search come sooner.
//!
//! `plan` decides what is done next and when, `places` what is to be searched in a folder that was opened; both
//! are pure. `visit` does it on one connection, and this module goes from one connection to the next.

pub(in crate::imap) mod mailbox;
mod places;
mod plan;
mod visit;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use super::condition::{Action, Condition, Heard, Next, State, Trouble};
use super::cursor::Cursor;
use super::error::Error;
use super::fetch::Message;
use crate::account::Account;
use crate::keychain::Keychain;
use crate::ledger::Origin;
use crate::news::Whence;
use mailbox::{AccountMailbox, Mailbox};
use places::Place;
use plan::{After, Now, Plan};

pub use visit::fetch_one;

/// How long stopping may take before the connection is simply dropped.
const STOP: Duration = Duration::from_millis(500);

/// Where watching begins.
#[derive(Debug, Clone)]
pub struct Start {
    /// For a folder named here: at that place.
    pub places: Vec<Cursor>,
    /// For any other: at what arrived since then.
    pub since: Timestamp,
}

impl Start {
    /// At what arrives from now on.
    #[must_use]
    pub fn now() -> Self {
        Self {
            places: Vec::new(),
            since: Timestamp::MAX,
        }
    }

    /// At what arrived within this time before now.
    #[must_use]
    pub fn within(window: Duration) -> Self {
        let since = Timestamp::now().checked_sub(window);
        Self {
            places: Vec::new(),
            since: since.unwrap_or(Timestamp::MIN),
        }
    }

    /// At this place.
    #[must_use]
    pub fn from(cursor: Cursor) -> Self {
        Self {
            since: cursor.taken,
            places: vec![cursor],
        }
    }

    fn place(&self, folder: &str) -> Place {
        let known = self.places.iter().find(|place| place.folder == folder);
        known.map_or_else(|| Place::since(folder, self.since), Place::at)
    }
}

/// How failures are met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Temper {
    /// Somebody waits: short pauses, and a login refused for good is the end.
    Waiting,
    /// Nobody may be waiting: long pauses, and no end.
    Resident,
}

/// What a watch can be told to do.
#[derive(Debug, Clone)]
pub enum Order {
    /// Search the first folder without waiting for the server, connect without a pause for it, and say with this
    /// number when everything that was found has been handed on.
    Search(u64),
    /// Look back once, and say when everything that was found has been handed on.
    Look {
        /// The number to say it with.
        look: u64,
        /// Where to begin.
        start: Start,
    },
    /// Whether somebody waits now.
    Attended(bool),
    /// Log in at once where a login was refused, unless the same password was refused twice just now: the password
    /// or the configuration may have changed.
    LogIn,
    /// Fetch these again: they wait to be judged or stored, and are held no longer.
    Again(Vec<Origin>),
}

/// What the one who waits hears.
#[derive(Debug)]
pub enum Event {
    /// What arrives after `cursor` will be seen. Said once a connection.
    Armed {
        /// What to pass on to go on from here.
        cursor: Cursor,
        /// Whether the server announces new mail by itself.
        idle: bool,
    },
    /// Mails to judge, which were found together.
    Mail {
        /// The mails.
        mails: Vec<Message>,
        /// What found them.
        whence: Whence,
    },
    /// The look back or search with this number found nothing that was not handed on before this.
    Looked {
        /// Its number.
        look: u64,
        /// What arrives after this is found by the watch.
        cursor: Cursor,
    },
    /// Every mail of that folder before this place was handed on.
    Moved(Cursor),
    /// Mails that were asked for and are no longer there.
    Gone(Vec<Origin>),
    /// The mailbox cannot be watched now; it is tried again.
    Trouble {
        /// Why.
        error: Error,
        /// When it is tried again.
        again_in: Duration,
    },
    /// The mailbox will not be watched: no login is possible.
    Failed(Error),
}

/// A watch in a task of its own.
#[derive(Debug)]
pub struct Watcher {
    events: mpsc::Receiver<Box<Event>>,
    orders: mpsc::UnboundedSender<Order>,
    condition: watch::Receiver<Condition>,
    task: JoinHandle<()>,
}

impl Watcher {
    /// Begins to watch `account`, where the mails `pending` are fetched again first.
    #[must_use]
    pub fn start(
        account: Arc<Account>,
        keychain: Keychain,
        start: &Start,
        pending: Vec<Origin>,
        temper: Temper,
    ) -> Self {
        let mailbox = AccountMailbox::new(Arc::clone(&account), keychain);
        Self::over(mailbox, account, start, pending, temper, Timestamp::now)
    }

    /// Over connections that `mailbox` makes, by the wall clock `wall`.
    pub(in crate::imap) fn over<M: Mailbox>(
        mailbox: M,
        account: Arc<Account>,
        start: &Start,
        pending: Vec<Origin>,
        temper: Temper,
        wall: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Self {
        // Events wait for the one who judges; a handful is enough to let the wire go on meanwhile. Boxed, for a channel
        // has room for 32 of its items from the beginning.
        let (to_caller, events) = mpsc::channel(4);
        // Orders come from those who wait, who are bounded in number, and one that is lost would let one wait for ever.
        let (orders, to_task) = mpsc::unbounded_channel();
        let began = wall();
        let (shown, condition) = watch::channel(Condition::new(began));
        let others = account.other_folders.len();
        let places = std::iter::once(&account.folder)
            .chain(&account.other_folders)
            .map(|folder| start.place(folder))
            .collect();
        let watch = Watch {
            plan: Plan::new(temper, account.idle, others, account.sweep_junk),
            mailbox,
            places,
            junk: Junk {
                is_sought: false,
                since: start.since.min(began),
                number: None,
            },
            account,
            looks: VecDeque::new(),
            searches: Vec::new(),
            may_search: true,
            pending,
            events: to_caller,
            orders: to_task,
            condition: shown,
            wall: Box::new(wall),
        };
        Self {
            events,
            orders,
            condition,
            task: tokio::spawn(watch.run()),
        }
    }

    /// The next event.
    pub async fn next(&mut self) -> Event {
        match self.events.recv().await {
            Some(event) => *event,
            None => Event::Failed(Error::Protocol("the watch broke off")),
        }
    }

    /// Where to give it orders.
    #[must_use]
    pub fn orders(&self) -> mpsc::UnboundedSender<Order> {
        self.orders.clone()
    }

    /// How it is doing.
    #[must_use]
    pub fn condition(&self) -> watch::Receiver<Condition> {
        self.condition.clone()
    }

    /// Ends the watch, with a goodbye to the server where that is quick.
    pub async fn stop(mut self) {
        self.events.close();
        if timeout(STOP, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

/// A look back that somebody asked for.
#[derive(Debug)]
struct Look {
    number: u64,
    start: Start,
}

/// The folder that holds junk.
#[derive(Debug)]
struct Junk {
    /// The server was asked which it is. Asked once: a server whose answer breaks the connection is not asked again.
    is_sought: bool,
    /// What arrived there since then is looked for.
    since: Timestamp,
    /// Its number among the places, where there is one.
    number: Option<usize>,
}

struct Watch<M> {
    mailbox: M,
    account: Arc<Account>,
    plan: Plan,
    /// The account's folders, the first one first, the junk folder last.
    places: Vec<Place>,
    junk: Junk,
    /// Looks back that are still to be made.
    looks: VecDeque<Look>,
    /// Searches that were ordered, and are to be reported.
    searches: Vec<u64>,
    /// No answer to SEARCH was too long: where thousands of mails come a day, they are looked at block by block.
    may_search: bool,
    /// Mails to be fetched again, by the one who waits for their keys or keychain.
    pending: Vec<Origin>,
    events: mpsc::Sender<Box<Event>>,
    orders: mpsc::UnboundedReceiver<Order>,
    condition: watch::Sender<Condition>,
    /// The wall clock.
    wall: Box<dyn Fn() -> Timestamp + Send + Sync>,
}

impl<M> fmt::Debug for Watch<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch")
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}

/// Nobody listens any more.
#[derive(Debug)]
struct Stopped;

impl<M: Mailbox> Watch<M> {
    #[expect(
        clippy::manual_async_fn,
        reason = "an async fn has room for its arguments twice"
    )]
    fn run(mut self) -> impl Future<Output = ()> + Send {
        async move { self.go_on().await }
    }

    /// From one connection to the next. What is done now and then is boxed, here and in a visit, so that an account
    /// that waits takes no memory for it.
    async fn go_on(&mut self) {
        loop {
            self.show(State::Connecting, None);
            self.condition
                .send_modify(|condition| condition.connections += 1);
            let error = match self.visit().await {
                Ok(visit::Ended::Stopped) => return,
                Ok(visit::Ended::Slept) => {
                    tracing::debug!("the machine slept; connecting anew");
                    continue;
                }
                Err(error) => error,
            };
            if Box::pin(self.mailbox.has_lapsed(&error)).await
                && let Some(until) = self.plan.lapsed(Instant::now())
            {
                tracing::debug!("the access token has come to its end; logging in with another");
                if self.rest(until).await.is_err() {
                    return;
                }
                continue;
            }
            self.note_trouble(&error);
            let at = Instant::now();
            let after = self.plan.failed(error.class(), at);
            let (until, refused) = match after {
                After::End => {
                    let _ = self.events.send(Box::new(Event::Failed(error))).await;
                    return;
                }
                After::Again(until) => (until, false),
                After::Refused(until) => (until, true),
            };
            let again_in = until.saturating_duration_since(at);
            let told = Event::Trouble {
                error: error.clone(),
                again_in,
            };
            if self.say(told).await.is_err() {
                return;
            }
            let rested = if refused {
                Box::pin(self.rest_refused(&error, until)).await
            } else {
                self.rest(until).await
            };
            if rested.is_err() {
                return;
            }
        }
    }

    /// Waits until it is time to connect again, or somebody wants it sooner.
    async fn rest(&mut self, until: Instant) -> Result<(), Stopped> {
        self.show(State::Resting, Some((Action::Connect, until)));
        let mut until = until;
        loop {
            tokio::select! {
                () = sleep_until(until) => return Ok(()),
                order = self.orders.recv() => {
                    let hurries = order.is_some_and(|order| self.obey(order));
                    if hurries {
                        until = self.plan.earliest(Instant::now()).min(until);
                        self.show(State::Resting, Some((Action::Connect, until)));
                    }
                }
                () = self.events.closed() => return Err(Stopped),
            }
        }
    }

    /// Waits until there is another password, or it is time to try the same again.
    async fn rest_refused(&mut self, error: &Error, until: Instant) -> Result<(), Stopped> {
        self.show(State::LoginRefused, Some((Action::Connect, until)));
        let mut ask_at = Instant::now() + plan::ASK;
        loop {
            let is_told = tokio::select! {
                () = sleep_until(until) => return Ok(()),
                () = sleep_until(ask_at) => {
                    ask_at += plan::ASK;
                    false
                }
                order = self.orders.recv() => {
                    let is_told = matches!(order, Some(Order::LogIn));
                    if let Some(order) = order {
                        self.obey(order);
                    }
                    if !is_told {
                        continue;
                    }
                    true
                }
                () = self.events.closed() => return Err(Stopped),
            };
            if self.mailbox.has_new_password().await {
                self.plan.forget_refusals();
                return Ok(());
            }
            let now = Instant::now();
            let again_in = self.plan.earliest(now).saturating_duration_since(now);
            if is_told && again_in.is_zero() {
                return Ok(());
            }
            // The same password so soon would only bring a provider to lock the account.
            if is_told {
                let error = error.clone();
                self.say(Event::Trouble { error, again_in }).await?;
            }
        }
    }

    /// Takes an order; says whether it is in a hurry.
    fn obey(&mut self, order: Order) -> bool {
        match order {
            Order::Search(number) => {
                self.searches.push(number);
                self.plan.order_search();
                true
            }
            Order::Look { look, start } => {
                self.looks.push_back(Look {
                    number: look,
                    start,
                });
                self.plan.order_search();
                true
            }
            Order::Attended(is_attended) => {
                self.plan.attend(is_attended, Instant::now());
                is_attended
            }
            Order::LogIn => false,
            Order::Again(origins) => {
                self.pending.extend(origins);
                self.plan.order_search();
                false
            }
        }
    }

    /// Where the first folder was searched to.
    fn cursor(&self) -> Cursor {
        self.places[0].cursor(&self.account.address, (self.wall)())
    }

    fn now(&self) -> Now {
        Now {
            ticking: Instant::now(),
            wall: (self.wall)(),
        }
    }

    /// Shows what is done now, and what comes next and when.
    fn show(&self, state: State, next: Option<(Action, Instant)>) {
        let now = self.now();
        let next = next.map(|(action, at)| Next {
            action,
            at: now
                .wall
                .saturating_add(at.saturating_duration_since(now.ticking))
                .unwrap_or(now.wall),
        });
        self.condition.send_modify(|condition| {
            if condition.state != state {
                condition.state = state;
                condition.since = now.wall;
            }
            condition.next = next;
        });
    }

    fn show_heard(&self, heard: Option<Heard>) {
        if heard.is_some() {
            self.condition
                .send_modify(|condition| condition.heard = heard);
        }
    }

    fn note_trouble(&self, error: &Error) {
        let trouble = Trouble {
            at: (self.wall)(),
            class: error.class(),
            sentence: error.to_string(),
        };
        self.condition
            .send_modify(|condition| condition.trouble = Some(trouble));
    }

    fn say(&self, event: Event) -> impl Future<Output = Result<(), Stopped>> + Send + use<M> {
        let events = self.events.clone();
        let event = Box::new(event);
        async move { events.send(event).await.map_err(|_| Stopped) }
    }
}
