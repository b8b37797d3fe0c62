//! Keeps one account attended: begins again where attendance broke off, and saves how far it got.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use jiff::{SignedDuration, Timestamp};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::board::{Board, Standing};
use super::clients::Clients;
use super::hooks::Hooks;
use super::journal::Journal;
use super::protocol::{Answer, Begin, Wanted};
use crate::account::Account;
use crate::attendant::{self, Attendant, Charge, Sought, Start, Told};
use crate::config::Hook;
use crate::dns::KeySource;
use crate::imap::condition::{Action, Next, State, Trouble};
use crate::imap::{Class, Condition, Cursor, Order, Temper};
use crate::intake::{Intake, Step};
use crate::keychain::Keychain;
use crate::ledger::{Cursors, Kept, Ledger};
use crate::news::{News, Whence};

/// How far back the first look of all goes.
const FIRST_LOOK: SignedDuration = SignedDuration::from_hours(24);

/// First and longest pause before an attendance that broke off (a bug) begins again. A mail that breaks it will be
/// met again, so the longest is long.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(5));

/// How long an attendance must have lasted for its end to be a new failure.
const LASTED: Duration = Duration::from_mins(10);

/// How often a cursor that could not be written is tried again.
const SAVE: Duration = Duration::from_secs(15);

/// What a keeper needs of the house.
#[derive(Debug)]
pub(super) struct House {
    pub(super) keychain: Keychain,
    pub(super) ledger: Ledger,
    pub(super) cursors: Cursors,
    pub(super) board: Board,
}

/// What a keeper is asked.
#[derive(Debug)]
pub(super) enum Ask {
    /// Log in at once where a login was refused, prove senders with these keys, and run these hooks: the
    /// configuration was read again.
    Reloaded(Arc<KeySource>, Arc<[Hook]>),
    /// To let somebody share the watch. Boxed, for each keeper has room for 32 questions from the beginning.
    Join(Box<Join>),
    /// One who shared the watch is gone.
    Leave(u64),
    /// To search without waiting for the server, and to tell the one with this number when that is done.
    Search(u64),
    /// What the intake is doing.
    Standing(oneshot::Sender<Step>),
    /// How the account is doing.
    Health(oneshot::Sender<Health>),
    /// Come to an end.
    Stop,
}

/// Who wants to share the watch.
#[derive(Debug)]
pub(super) struct Join {
    /// The number of the look back that is made for it, and its name.
    pub(super) look: u64,
    /// Where it begins.
    pub(super) begin: Begin,
    /// What it hears of.
    pub(super) wanted: Wanted,
    /// Where it hears.
    pub(super) answers: mpsc::Sender<Answer>,
}

/// How an account is doing.
#[derive(Debug)]
pub(super) struct Health {
    pub(super) address: String,
    pub(super) condition: Condition,
    /// Connections made so far.
    pub(super) connections: u32,
    /// How many share the watch.
    pub(super) waiters: u32,
    /// Mails that wait to be judged, stored or noted.
    pub(super) pending: u32,
}

/// Keeps one account attended.
pub(super) struct Keeper {
    account: Arc<Account>,
    house: Arc<House>,
    intake: Arc<Intake>,
    journal: Journal,
    configured: Arc<[Hook]>,
    hooks: Hooks,
    asks: mpsc::Receiver<Ask>,
    attendant: Option<Attendant>,
    clients: Clients,
    /// How the watch was doing when it broke off.
    broken: Condition,
    /// The connections of the watches that broke off.
    connections: u32,
    /// The server announces new mail by itself.
    idle: bool,
    began: Instant,
    begin_at: Instant,
    breaks: Breaks,
    first_look: Timestamp,
    save_at: Option<Instant>,
    /// A cursor could not be written.
    is_unsaved: bool,
}

/// Pauses between attendances that break off.
type Breaks = Box<dyn Iterator<Item = Duration> + Send>;

impl Keeper {
    pub(super) fn new(
        account: Arc<Account>,
        house: Arc<House>,
        keys: Arc<KeySource>,
        configured: Arc<[Hook]>,
        asks: mpsc::Receiver<Ask>,
    ) -> Self {
        let intake = Intake::new(house.keychain.clone(), house.ledger.clone(), keys);
        let now = Timestamp::now();
        house.board.set(&account.address, Standing::Starting);
        Self {
            journal: Journal::of(&account.address),
            hooks: start(&configured, &account, &house),
            configured,
            account,
            house,
            intake: Arc::new(intake),
            asks,
            attendant: None,
            clients: Clients::default(),
            broken: Condition::new(now),
            connections: 0,
            idle: false,
            began: Instant::now(),
            begin_at: Instant::now(),
            breaks: breaks(),
            first_look: now.checked_sub(FIRST_LOOK).unwrap_or(now),
            save_at: None,
            is_unsaved: false,
        }
    }

    /// Until it is told to stop.
    #[expect(
        clippy::manual_async_fn,
        reason = "an async fn has room for its arguments twice"
    )]
    pub(super) fn run(mut self) -> impl Future<Output = ()> + Send {
        async move { self.keep().await }
    }

    async fn keep(&mut self) {
        loop {
            let save_at = self.save_at;
            tokio::select! {
                told = told(&mut self.attendant) => match told {
                    Some(told) => self.hear(told),
                    None => self.broke_off("a bug: the attendance broke off"),
                },
                ask = self.asks.recv() => match ask {
                    Some(Ask::Stop) | None => break,
                    // Rare, and larger than what waits here: as elsewhere, memory for it only while it goes on.
                    Some(ask) => Box::pin(self.answer(ask)).await,
                },
                () = sleep_until(self.begin_at), if self.attendant.is_none() => self.begin(),
                () = sleep_until(save_at.unwrap_or_else(Instant::now)), if save_at.is_some() => {
                    self.saved(self.house.cursors.save());
                }
            }
        }
        let attendant = self.attendant.take();
        let goodbye = async {
            if let Some(attendant) = attendant {
                attendant.stop().await;
            }
        };
        Box::pin(async { tokio::join!(goodbye, self.hooks.stop()) }).await;
        self.saved(self.house.cursors.save());
    }

    fn condition(&self) -> Condition {
        match &self.attendant {
            Some(attendant) => attendant.condition().borrow().clone(),
            None => self.broken.clone(),
        }
    }

    fn health(&self) -> Health {
        let condition = self.condition();
        let current = self.attendant.as_ref().map_or(0, |_| condition.connections);
        Health {
            address: self.account.address.clone(),
            connections: self.connections + current,
            waiters: u32::try_from(self.clients.count()).unwrap_or(u32::MAX),
            pending: u32::try_from(self.clients.pending()).unwrap_or(u32::MAX),
            condition,
        }
    }

    fn begin(&mut self) {
        self.began = Instant::now();
        let attendant = Attendant::start(Charge {
            account: Arc::clone(&self.account),
            keychain: self.house.keychain.clone(),
            intake: Arc::clone(&self.intake),
            start: Start {
                places: self.house.cursors.of(&self.account.address),
                since: self.first_look,
            },
            pending: attendant::pending(&self.account, &self.house.ledger),
            temper: Temper::Resident,
            sought: Sought {
                tokens: true,
                codes: self.clients.seek_codes(),
            },
        });
        self.attendant = Some(attendant);
        if self.clients.count() > 0 {
            self.order(Order::Attended(true));
        }
        for (look, begin) in self.clients.looks() {
            self.look(look, &begin);
        }
    }

    /// It ends without having been told to: begins again, after a pause.
    fn broke_off(&mut self, why: &str) {
        if let Some(attendant) = self.attendant.take() {
            self.broken = attendant.condition().borrow().clone();
            self.connections += self.broken.connections;
        }
        if self.began.elapsed() > LASTED {
            self.breaks = breaks();
        }
        let pause = self.breaks.next().unwrap_or(PAUSE.1);
        self.begin_at = Instant::now() + pause;
        let now = Timestamp::now();
        let sentence = format!("{why}. Please report this");
        self.broken.state = State::Resting;
        self.broken.since = now;
        self.broken.next = Some(Next {
            action: Action::Connect,
            at: now.checked_add(pause).unwrap_or(now),
        });
        self.broken.trouble = Some(Trouble {
            at: now,
            class: Class::Passing,
            sentence: sentence.clone(),
        });
        let trouble = News::Trouble {
            class: Class::Passing,
            sentence,
            again_in: pause,
        };
        self.news(&trouble, Whence::Watch);
        tracing::error!(
            account = self.account.address,
            place = crate::logging::last_panic(),
            why,
            "begins again"
        );
    }

    fn hear(&mut self, told: Told) {
        match told {
            Told::News(news, whence) => self.news(&news, whence),
            // Neither the journal nor the hooks nor those who come later hear of it.
            Told::Code(receipt, whence) => {
                let before = self.clients.count();
                self.clients.code(&receipt, whence);
                self.count_again(before);
            }
            Told::Looked { look, cursor } => self.clients.looked(look, &cursor, self.idle),
            Told::Moved(cursor) => self.moved(cursor),
        }
    }

    fn news(&mut self, news: &News, whence: Whence) {
        self.journal.news(news);
        self.hooks.hear(news);
        self.tell(news, whence);
        if let News::Armed { idle, .. } = news {
            self.idle = *idle;
        }
        let standing = match news {
            News::Armed { .. } => Standing::Watched,
            News::Trouble { .. } | News::Failed { .. } => Standing::Troubled,
            News::Receipt(_) | News::Gone(_) => return,
        };
        self.house.board.set(&self.account.address, standing);
    }

    fn tell(&mut self, news: &News, whence: Whence) {
        let before = self.clients.count();
        if self.clients.news(news, whence) {
            self.order(Order::LogIn);
        }
        self.count_again(before);
    }

    /// Tells the watch whether somebody waits, and whether for a code, where that changed.
    fn count_again(&self, before: usize) {
        let now = self.clients.count();
        if let Some(attendant) = &self.attendant {
            attendant.seek_codes(self.clients.seek_codes());
        }
        if (before > 0) != (now > 0) {
            self.order(Order::Attended(now > 0));
        }
    }

    /// Gives the watch an order. Where there is none, the next begins with all that still counts.
    fn order(&self, order: Order) {
        if let Some(attendant) = &self.attendant {
            attendant.order(order);
        }
    }

    fn look(&self, look: u64, begin: &Begin) {
        let start = begin.start();
        self.order(Order::Look { look, start });
    }

    fn moved(&mut self, cursor: Cursor) {
        match self.house.cursors.keep(cursor) {
            Ok(Kept::Unwritten(pause)) => {
                self.save_at.get_or_insert_with(|| Instant::now() + pause);
            }
            kept => self.saved(kept.map(|_| ())),
        }
    }

    /// What could not be saved is saved later; a daemon that starts before that finds some mails again, no more.
    fn saved(&mut self, saved: Result<(), crate::ledger::Error>) {
        match saved {
            Ok(()) => (self.save_at, self.is_unsaved) = (None, false),
            Err(error) => {
                if !std::mem::replace(&mut self.is_unsaved, true) {
                    tracing::warn!(account = self.account.address, %error, "how far it got is not saved yet");
                }
                self.save_at = Some(Instant::now() + SAVE);
            }
        }
    }

    async fn answer(&mut self, ask: Ask) {
        match ask {
            Ask::Reloaded(keys, hooks) => {
                self.intake.use_keys(keys);
                if hooks != self.configured {
                    self.hooks.stop().await;
                    self.hooks = start(&hooks, &self.account, &self.house);
                    self.configured = hooks;
                }
                self.order(Order::LogIn);
            }
            Ask::Join(join) => {
                let Join {
                    look,
                    begin,
                    wanted,
                    answers,
                } = *join;
                let before = self.clients.count();
                let state = self.condition().state;
                if state == State::LoginRefused {
                    self.order(Order::LogIn);
                }
                let is_connecting = state == State::Connecting;
                self.clients
                    .join(look, begin.clone(), wanted, answers, is_connecting);
                // What is looked for is known before what it is looked for in.
                self.count_again(before);
                self.look(look, &begin);
                if let (Begin::Within(_), Some(attendant)) = (&begin, &self.attendant) {
                    attendant.hurry();
                }
            }
            Ask::Leave(look) => {
                let before = self.clients.count();
                self.clients.leave(look);
                self.count_again(before);
            }
            Ask::Search(look) => self.order(Order::Search(look)),
            Ask::Standing(tell) => {
                let _ = tell.send(self.intake.step());
            }
            Ask::Health(tell) => {
                let _ = tell.send(self.health());
            }
            Ask::Stop => {}
        }
    }
}

fn start(hooks: &Arc<[Hook]>, account: &Account, house: &House) -> Hooks {
    let (keychain, ledger) = (house.keychain.clone(), house.ledger.clone());
    Hooks::start(Arc::clone(hooks), account, keychain, ledger)
}

/// What is told next; nothing where nobody attends.
async fn told(attendant: &mut Option<Attendant>) -> Option<Told> {
    match attendant {
        Some(attendant) => attendant.next().await,
        None => std::future::pending().await,
    }
}

fn breaks() -> Breaks {
    Box::new(
        ExponentialBuilder::new()
            .with_min_delay(PAUSE.0)
            .with_max_delay(PAUSE.1)
            .with_jitter()
            .without_max_times()
            .build(),
    )
}
