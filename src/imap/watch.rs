//! Watches one folder on one connection while somebody waits, and connects again when that breaks.
//!
//! The order that loses nothing: open the folder, search what came since the position known, only then idle, and
//! search again after every IDLE, whatever ended it. Events of the server only make a search come sooner.

use std::sync::Arc;
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::condition::{Condition, State};
use super::connect::Secured;
use super::cursor::Cursor;
use super::error::{Class, Error};
use super::fetch::{Found, Message, age};
use super::idle::Idling;
use super::session::{Session, Wire};
use crate::account::Account;
use crate::keychain::Keychain;
use crate::ledger::Origin;
use crate::news::Whence;

/// How often a search is made while IDLE says nothing. Some servers announce late or never (Exchange shows mails
/// later than it announces them), and a person is waiting; below 15 s servers begin to complain.
const SEARCH_EVERY: Duration = Duration::from_secs(20);

/// How often a server without IDLE is asked. It costs one short command on an open connection.
const POLL_EVERY: Duration = Duration::from_secs(5);

/// When to look again for a mail that was announced and is not there yet (seen at Exchange).
const LATE: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
];

/// How far to look back where a folder was renumbered (UIDVALIDITY changed) and the position means nothing now.
const RENUMBERED: Duration = Duration::from_hours(1);

/// First and longest pause between attempts to connect. A person waits, so the longest is short.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// How long a connection must have waited in peace for its end to be a new failure: a server that hangs up after
/// each announcement is not to be called every second.
const LIVED: Duration = Duration::from_secs(15);

/// Pause before a doubtful login refusal is put to the test by a second login.
const SECOND_LOGIN: Duration = Duration::from_secs(2);

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
    /// Search without waiting for the server; connect without a pause.
    Search,
    /// Look back once, and say when everything that was found has been handed on.
    Look {
        /// The number to say it with.
        look: u64,
        /// Where to begin.
        start: Start,
    },
    /// Whether somebody waits now.
    Attended(bool),
    /// Log in at once where a login was refused: the password or the configuration changed.
    LogIn,
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
    /// The look back with this number found nothing that was not handed on before this.
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
    events: mpsc::Receiver<Event>,
    orders: mpsc::Sender<Order>,
    condition: watch::Receiver<Condition>,
    task: JoinHandle<()>,
}

impl Watcher {
    /// Begins to watch the first folder of `account`, where the mails `pending` are fetched again first.
    #[must_use]
    pub fn start(
        account: Arc<Account>,
        keychain: Keychain,
        start: &Start,
        pending: Vec<Origin>,
        temper: Temper,
    ) -> Self {
        // Events wait for the one who judges; a handful is enough to let the wire go on meanwhile.
        let (to_caller, events) = mpsc::channel(4);
        let (orders, to_task) = mpsc::channel(16);
        let (shown, condition) = watch::channel(Condition::new(Timestamp::now()));
        let position = start
            .places
            .iter()
            .find(|place| place.folder == account.folder);
        let position = position.map(|cursor| Position {
            uid_validity: cursor.uid_validity,
            uid_next: cursor.uid_next,
        });
        let since = start.since;
        let watch = Watch {
            account,
            keychain,
            since,
            position,
            pending,
            events: to_caller,
            orders: to_task,
            temper,
            condition: shown,
            may_idle: true,
            has_lived: false,
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
            Some(event) => event,
            None => Event::Failed(Error::Protocol("the watch broke off")),
        }
    }

    /// Where to give it orders.
    #[must_use]
    pub fn orders(&self) -> mpsc::Sender<Order> {
        self.orders.clone()
    }

    /// How it is doing.
    #[must_use]
    pub fn condition(&self) -> watch::Receiver<Condition> {
        self.condition.clone()
    }

    /// Ends the watch, with a goodbye to the server where that is quick.
    pub async fn stop(mut self) {
        drop(self.orders);
        self.events.close();
        if timeout(STOP, &mut self.task).await.is_err() {
            self.task.abort();
        }
    }
}

/// A place in the open folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Position {
    uid_validity: u32,
    uid_next: u32,
}

impl Position {
    fn in_account(self, account: &Account) -> Cursor {
        Cursor {
            account: account.address.clone(),
            folder: account.folder.clone(),
            uid_validity: self.uid_validity,
            uid_next: self.uid_next,
            taken: Timestamp::now(),
        }
    }
}

#[derive(Debug)]
struct Watch {
    account: Arc<Account>,
    keychain: Keychain,
    /// How far back to look where no position is known.
    since: Timestamp,
    position: Option<Position>,
    /// Mails to be fetched again, by the one who waits for their keys or keychain.
    pending: Vec<Origin>,
    events: mpsc::Sender<Event>,
    orders: mpsc::Receiver<Order>,
    temper: Temper,
    condition: watch::Sender<Condition>,
    /// The server has not refused IDLE.
    may_idle: bool,
    /// This connection has lived for a while, so the next failure is a new one.
    has_lived: bool,
}

/// Nobody listens any more.
#[derive(Debug)]
struct Stopped;

impl Watch {
    async fn run(mut self) {
        let mut pauses = pauses();
        let mut refused_before = false;
        loop {
            let error = match self.connect_and_attend().await {
                Ok(Stopped) => return,
                Err(error) => error,
            };
            if self.has_lived {
                pauses = self::pauses();
                refused_before = false;
                self.has_lived = false;
            }
            let is_final = match error.class() {
                Class::Login | Class::Keychain => true,
                Class::Doubtful => refused_before,
                Class::Passing => false,
            };
            if is_final && self.temper == Temper::Waiting {
                let _ = self.events.send(Event::Failed(error)).await;
                return;
            }
            let is_doubtful = error.class() == Class::Doubtful;
            // Stays said through other trouble, else a server that alternates is asked with a wrong password for ever.
            refused_before |= is_doubtful;
            let again_in = if is_doubtful {
                SECOND_LOGIN
            } else {
                pauses.next().unwrap_or(PAUSE.1)
            };
            if self.say(Event::Trouble { error, again_in }).await.is_err() {
                return;
            }
            tokio::select! {
                () = sleep(again_in) => {}
                _ = self.orders.recv() => {}
                () = self.events.closed() => return,
            }
        }
    }

    async fn connect_and_attend(&mut self) -> Result<Stopped, Error> {
        self.condition.send_modify(|condition| {
            condition.state = State::Connecting;
            condition.connections += 1;
        });
        let mut session = log_in(&self.account, &self.keychain).await?;
        let attended = self.attend(&mut session).await;
        let (commands, octets) = session.traffic();
        tracing::debug!(commands, octets, "connection ends");
        let idling = attended?;
        session.logout(idling).await;
        Ok(Stopped)
    }

    /// Watches until nobody listens any more; gives back the IDLE that is still to be ended.
    async fn attend<S: Wire>(&mut self, session: &mut Session<S>) -> Result<Option<Idling>, Error> {
        if self.catch_up(session).await?.is_err() || self.fetch_pending(session).await?.is_err() {
            return Ok(None);
        }
        let mut is_armed = false;
        let mut late = LATE.iter();
        let mut soon = None;
        loop {
            let idling = self.idle(session).await?;
            if !is_armed {
                is_armed = true;
                let event = Event::Armed {
                    cursor: self.cursor(),
                    idle: idling.is_some(),
                };
                if self.say(event).await.is_err() {
                    return Ok(idling);
                }
            }
            let period = if idling.is_some() {
                SEARCH_EVERY
            } else {
                POLL_EVERY
            };
            let begin = Instant::now();
            let until = begin + soon.unwrap_or(period);
            let mut look = None;
            let announced = tokio::select! {
                announced = wait(session, idling.is_some(), until) => announced?,
                order = self.orders.recv() => {
                    if let Some(Order::Look { look: number, start }) = order {
                        look = Some((number, start));
                    }
                    false
                }
                () = self.events.closed() => return Ok(idling),
            };
            self.has_lived |= begin.elapsed() >= LIVED;
            let found = self.search(session, idling, announced).await?;
            if announced {
                late = LATE.iter();
            }
            soon = if found.messages.is_empty() && (announced || soon.is_some()) {
                late.next().copied()
            } else {
                None
            };
            if self.hand_on(session, found).await?.is_err() {
                return Ok(None);
            }
            if let Some((number, start)) = look
                && self.look(session, number, &start).await?.is_err()
            {
                return Ok(None);
            }
        }
    }

    /// Looks back once more, for one who waits.
    async fn look<S: Wire>(
        &mut self,
        session: &mut Session<S>,
        look: u64,
        start: &Start,
    ) -> Result<Result<(), Stopped>, Error> {
        let triage = triage(&self.account);
        let now = Timestamp::now();
        let here = self.cursor();
        let place = start
            .places
            .iter()
            .find(|place| place.folder == here.folder && place.uid_validity == here.uid_validity);
        let Found {
            mut messages,
            mut rest,
            ..
        } = match place {
            Some(place) if place.uid_next >= here.uid_next => Found::default(),
            Some(place) => session.fetch_new(place.uid_next, None, &triage).await?,
            None => {
                session
                    .look_back(age(start.since, now), now, &triage)
                    .await?
            }
        };
        while !messages.is_empty() {
            let mails = std::mem::take(&mut messages);
            let whence = Whence::Look(look);
            if self.say(Event::Mail { mails, whence }).await.is_err() {
                return Ok(Err(Stopped));
            }
            messages = session.fetch_some(&mut rest, &triage).await?;
        }
        Ok(self.say(Event::Looked { look, cursor: here }).await)
    }

    /// Opens the folder and finds what came while nobody watched.
    async fn catch_up<S: Wire>(
        &mut self,
        session: &mut Session<S>,
    ) -> Result<Result<(), Stopped>, Error> {
        let here = open(session, &self.account.folder).await?;
        let triage = triage(&self.account);
        let now = Timestamp::now();
        let since = self.since;
        let found = match self.position {
            Some(position) if position == here => return Ok(Ok(())),
            Some(position) if position.uid_validity == here.uid_validity => {
                let found = session.fetch_new(position.uid_next, None, &triage).await?;
                return self.hand_on(session, found).await;
            }
            Some(_) => {
                tracing::debug!("the folder was renumbered");
                let window = age(since, now).max(RENUMBERED);
                session.look_back(window, now, &triage).await?
            }
            None => session.look_back(age(since, now), now, &triage).await?,
        };
        let listening = self.hand_on(session, found).await?;
        self.position = Some(here);
        Ok(listening)
    }

    /// Fetches the pending mails again, and tells which are gone.
    async fn fetch_pending<S: Wire>(
        &mut self,
        session: &mut Session<S>,
    ) -> Result<Result<(), Stopped>, Error> {
        let uid_validity = session.folder.uid_validity;
        let is_here = |origin: &Origin| origin.uid_validity == uid_validity;
        let here = self.pending.iter().filter(|origin| is_here(origin));
        let mut rest: Vec<_> = here.map(|origin| origin.uid).collect();
        rest.sort_unstable();
        let mut there = Vec::new();
        while !rest.is_empty() {
            let messages = session.fetch_some(&mut rest, &|_| true).await?;
            there.extend(messages.iter().map(|mail| mail.uid));
            let whence = Whence::Waited;
            if !messages.is_empty()
                && self
                    .say(Event::Mail {
                        mails: messages,
                        whence,
                    })
                    .await
                    .is_err()
            {
                return Ok(Err(Stopped));
            }
        }
        let mut gone = std::mem::take(&mut self.pending);
        gone.retain(|origin| !is_here(origin) || !there.contains(&origin.uid));
        if gone.is_empty() {
            return Ok(Ok(()));
        }
        Ok(self.say(Event::Gone(gone)).await)
    }

    /// Idles where the server lets us.
    async fn idle<S: Wire>(&mut self, session: &mut Session<S>) -> Result<Option<Idling>, Error> {
        if !self.account.idle || !self.may_idle || !session.offers("IDLE").await? {
            return Ok(None);
        }
        let idling = session.idle().await;
        // Refused, unanswered, or answered beside the grammar: polled from now on, on the next connection too.
        self.may_idle = matches!(
            &idling,
            Ok(Some(_)) | Err(Error::Closed { .. } | Error::Bye(_))
        );
        idling
    }

    /// Ends `idling` and fetches what is new since the position, which moves on.
    async fn search<S: Wire>(
        &mut self,
        session: &mut Session<S>,
        idling: Option<Idling>,
        announced: bool,
    ) -> Result<Found, Error> {
        let triage = triage(&self.account);
        let from = self.cursor().uid_next;
        let idling = if announced {
            idling
        } else if session.has_new(from, idling).await? {
            None
        } else {
            return Ok(Found::default());
        };
        session.fetch_new(from, idling, &triage).await
    }

    fn advance(&mut self, highest: Option<u32>) {
        if let (Some(position), Some(highest)) = (&mut self.position, highest) {
            position.uid_next = position.uid_next.max(highest.saturating_add(1));
        }
    }

    fn cursor(&self) -> Cursor {
        let position = self.position.unwrap_or(Position {
            uid_validity: 0,
            uid_next: 1,
        });
        position.in_account(&self.account)
    }

    /// Hands on what was found, fetching the rest of it on the way. The position moves on after the last of it.
    async fn hand_on<S: Wire>(
        &mut self,
        session: &mut Session<S>,
        found: Found,
    ) -> Result<Result<(), Stopped>, Error> {
        let triage = triage(&self.account);
        let Found {
            mut messages,
            mut rest,
            highest,
        } = found;
        while !messages.is_empty() {
            let whence = Whence::Watch;
            if self
                .say(Event::Mail {
                    mails: messages,
                    whence,
                })
                .await
                .is_err()
            {
                return Ok(Err(Stopped));
            }
            messages = session.fetch_some(&mut rest, &triage).await?;
        }
        self.advance(highest);
        Ok(self.say(Event::Moved(self.cursor())).await)
    }

    async fn say(&self, event: Event) -> Result<(), Stopped> {
        self.events.send(event).await.map_err(|_| Stopped)
    }
}

/// Waits for an announcement, or for the time to search without one.
async fn wait<S: Wire>(
    session: &mut Session<S>,
    idles: bool,
    until: Instant,
) -> Result<bool, Error> {
    if idles || session.folder.announced {
        return session.announced(until).await;
    }
    sleep_until(until).await;
    Ok(false)
}

/// Growing pauses with jitter, so that many clients of a server that comes back do not come at once.
fn pauses() -> impl Iterator<Item = Duration> + Send {
    ExponentialBuilder::new()
        .with_min_delay(PAUSE.0)
        .with_max_delay(PAUSE.1)
        .with_jitter()
        .without_max_times()
        .build()
}

/// Connects and logs in, with a password asked for anew.
async fn log_in(account: &Account, keychain: &Keychain) -> Result<Session<Secured>, Error> {
    let credentials = account.credentials(keychain).await?;
    let mut session = account.endpoint.connect().await?;
    session.login(&credentials).await?;
    Ok(session)
}

/// Which mails of an account are worth fetching.
fn triage(account: &Account) -> impl Fn(&[u8]) -> bool + Sync + use<> {
    let policy = Arc::clone(&account.policy);
    move |header| policy.is_worth_fetching(header)
}

/// Fetches one mail, where it is still there under this `UIDVALIDITY`.
pub async fn fetch_one(
    account: &Account,
    keychain: &Keychain,
    origin: &Origin,
) -> Result<Option<Message>, Error> {
    let mut session = log_in(account, keychain).await?;
    let opened = session.examine(&origin.folder).await?;
    let mut mails = Vec::new();
    if opened.uid_validity == origin.uid_validity {
        mails = session.fetch_some(&mut vec![origin.uid], &|_| true).await?;
    }
    session.logout(None).await;
    Ok(mails.pop())
}

/// Opens a folder; gives the place after its last mail.
async fn open<S: Wire>(session: &mut Session<S>, folder: &str) -> Result<Position, Error> {
    let opened = session.examine(folder).await?;
    let (uid_validity, uid_next) = (opened.uid_validity, opened.uid_next);
    let uid_next = match uid_next {
        Some(uid_next) => uid_next,
        None => session.uid_after_last().await?,
    };
    Ok(Position {
        uid_validity,
        uid_next,
    })
}
