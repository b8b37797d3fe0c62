//! A mailbox in memory, the watch over it, and a clock that can be turned: what is said on the wire and told to the
//! one who listens, each with the second it happened in.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep};

use super::{Server, Tap, mail, wire};
use crate::account::Account;
use crate::config::Config;
use crate::imap::condition::Condition;
use crate::imap::error::Error;
use crate::imap::session::Session;
use crate::imap::watch::mailbox::Mailbox;
use crate::imap::{Event, Order, Start, Temper, Watcher};
use crate::ledger::Origin;

/// A folder of the mailbox.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    pub(super) uid_validity: u32,
    /// `None`: the server does not tell it.
    pub(super) uid_next: Option<u32>,
    pub(super) uids: Vec<u32>,
}

/// Answers a command in the server's place: its connection, its tag, its words.
type Answer = dyn FnMut(usize, &str, &str) -> Option<String> + Send;

/// What a test changes while the watch runs.
pub(super) struct State {
    pub(super) inbox: Folder,
    /// The other folders, by name.
    pub(super) others: Vec<(&'static str, Folder)>,
    /// What the coming attempts to log in fail with.
    pub(super) refusals: VecDeque<Error>,
    /// It is logged in to with access tokens.
    pub(super) has_token: bool,
    /// The password is another now.
    pub(super) has_new_password: bool,
    pub(super) answer: Box<Answer>,
    /// How far the wall clock runs ahead of the one that stands still while the machine sleeps.
    slept: SignedDuration,
    lines: Vec<String>,
    connections: usize,
    /// To the connection that is open.
    push: Option<mpsc::UnboundedSender<Push>>,
}

/// What the server does by itself.
enum Push {
    Say(String),
    HangUp,
}

/// The mailbox, and what happened.
#[derive(Clone)]
pub(super) struct World {
    begin: Instant,
    state: Arc<Mutex<State>>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("World")
    }
}

/// The watch in it.
pub(super) struct Watched {
    pub(super) world: World,
    orders: mpsc::UnboundedSender<Order>,
    condition: tokio::sync::watch::Receiver<Condition>,
}

/// When the world begins.
pub(super) fn epoch() -> Timestamp {
    Timestamp::from_second(1_795_528_800).expect("a time")
}

/// A folder with mails of these UIDs, and UIDVALIDITY 7.
pub(super) fn folder(uids: &[u32]) -> Folder {
    Folder {
        uid_validity: 7,
        uid_next: Some(uids.last().map_or(1, |last| last + 1)),
        uids: uids.to_vec(),
    }
}

impl World {
    /// An inbox with the mail 99.
    pub(super) fn new() -> Self {
        Self {
            begin: Instant::now(),
            state: Arc::new(Mutex::new(State {
                inbox: folder(&[99]),
                others: Vec::new(),
                refusals: VecDeque::new(),
                has_token: false,
                has_new_password: false,
                answer: Box::new(|_, _, _| None),
                slept: SignedDuration::ZERO,
                lines: Vec::new(),
                connections: 0,
                push: None,
            })),
        }
    }

    pub(super) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Watches it, with more lines in the account's configuration.
    pub(super) fn watch(&self, temper: Temper, start: &Start, lines: &str) -> Watched {
        self.watch_pending(temper, start, lines, Vec::new())
    }

    pub(super) fn watch_pending(
        &self,
        temper: Temper,
        start: &Start,
        lines: &str,
        pending: Vec<Origin>,
    ) -> Watched {
        let world = self.clone();
        let wall = move || {
            let slept = world.change(|state| state.slept);
            let ticked = SignedDuration::try_from(world.begin.elapsed()).expect("some hours");
            epoch() + ticked + slept
        };
        let mut watcher = Watcher::over(self.clone(), account(lines), start, pending, temper, wall);
        let in_it = Watched {
            world: self.clone(),
            orders: watcher.orders(),
            condition: watcher.condition(),
        };
        let world = self.clone();
        tokio::spawn(async move {
            loop {
                let event = watcher.next().await;
                let is_end = matches!(event, Event::Failed(_));
                world.note(&told(event));
                if is_end {
                    return;
                }
            }
        });
        in_it
    }

    fn note(&self, line: &str) {
        let seconds = self.begin.elapsed().as_secs_f64();
        self.change(|state| state.lines.push(format!("{seconds:.0} {line}")));
    }

    /// Serves one connection.
    async fn serve(
        self,
        number: usize,
        mut server: Server,
        mut pushed: mpsc::UnboundedReceiver<Push>,
    ) {
        server
            .send("* OK [CAPABILITY IMAP4rev1 SASL-IR IDLE WITHIN AUTH=PLAIN] ready\r\n")
            .await;
        let mut idle = String::new();
        loop {
            let line = tokio::select! {
                line = server.line_or_end() => line,
                push = pushed.recv() => match push {
                    Some(Push::Say(line)) => {
                        server.send(line).await;
                        continue;
                    }
                    Some(Push::HangUp) | None => return,
                },
            };
            let Some(line) = line else { return };
            if line == "DONE" {
                self.note("DONE");
                server.send(format!("{idle} OK\r\n")).await;
                continue;
            }
            let (tag, words) = line.split_once(' ').expect("a tag");
            let shown = words.replace(" (UID RFC822.SIZE INTERNALDATE BODY.PEEK[]<0.65536>)", "");
            self.note(&shown);
            if words == "IDLE" {
                tag.clone_into(&mut idle);
            }
            let answer = self
                .change(|state| (state.answer)(number, tag, words))
                .map_or_else(
                    || self.change(|state| sound(state, tag, words)),
                    String::into_bytes,
                );
            if answer == b"hang up" {
                return;
            }
            server.send(answer).await;
        }
    }
}

impl Mailbox for World {
    type Wire = Tap;

    async fn has_lapsed(&mut self, error: &Error) -> bool {
        self.change(|state| state.has_token) && error.says_expired()
    }

    async fn log_in(&mut self) -> Result<Session<Tap>, Error> {
        let (refusal, number) = self.change(|state| {
            state.connections += 1;
            (state.refusals.pop_front(), state.connections)
        });
        if let Some(error) = refusal {
            self.note("login fails");
            return Err(error);
        }
        self.note("login");
        let (tap, server) = wire();
        let (push, pushed) = mpsc::unbounded_channel();
        self.change(|state| state.push = Some(push));
        tokio::spawn(self.clone().serve(number, server, pushed));
        Session::greeted(tap).await
    }

    async fn has_new_password(&mut self) -> bool {
        self.change(|state| std::mem::take(&mut state.has_new_password))
    }
}

impl Watched {
    /// Lets so many seconds pass.
    pub(super) async fn pass(&self, seconds: u64) {
        sleep(Duration::from_secs(seconds)).await;
        // Whoever is due in the same instant goes first.
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
    }

    /// What happened since the last look, each with its second.
    pub(super) fn lines(&self) -> Vec<String> {
        self.world.change(|state| std::mem::take(&mut state.lines))
    }

    /// The same, less what says how far the watch got.
    pub(super) fn wire(&self) -> Vec<String> {
        let lines = self.lines().into_iter();
        lines.filter(|line| !line.contains(" moved ")).collect()
    }

    /// What of it was told, less what was said on the wire.
    pub(super) fn told(&self) -> Vec<String> {
        let lines = self.wire().into_iter();
        lines.filter(|line| line.contains('—')).collect()
    }

    pub(super) fn order(&self, order: Order) {
        self.orders.send(order).expect("a watch");
    }

    pub(super) fn condition(&self) -> Condition {
        self.condition.borrow().clone()
    }

    /// A mail arrives, and is announced.
    pub(super) fn deliver(&self, uid: u32) {
        self.arrive(uid);
        let exists = self.world.change(|state| state.inbox.uids.len());
        self.say(&format!("* {exists} EXISTS\r\n"));
    }

    /// A mail arrives in silence.
    pub(super) fn arrive(&self, uid: u32) {
        self.world.change(|state| {
            state.inbox.uids.push(uid);
            state.inbox.uid_next = state.inbox.uid_next.map(|next| next.max(uid + 1));
        });
    }

    pub(super) fn say(&self, line: &str) {
        self.push(Push::Say(line.to_owned()));
    }

    pub(super) fn hang_up(&self) {
        self.push(Push::HangUp);
    }

    fn push(&self, push: Push) {
        self.world.change(|state| {
            let open = state.push.as_ref().expect("a connection");
            let _ = open.send(push);
        });
    }

    /// The machine sleeps: the wall clock goes on alone.
    pub(super) fn sleep(&self, minutes: i64) {
        self.world
            .change(|state| state.slept += SignedDuration::from_mins(minutes));
    }
}

impl Server {
    /// The client's next line; `None` where it hung up.
    async fn line_or_end(&mut self) -> Option<String> {
        use tokio::io::AsyncReadExt as _;
        loop {
            if let Some(end) = self.inbox.iter().position(|&octet| octet == b'\n') {
                let line: Vec<u8> = self.inbox.drain(..=end).collect();
                let line = String::from_utf8(line).expect("UTF-8");
                return Some(line.trim_end().to_owned());
            }
            let wire: &mut DuplexStream = &mut self.wire;
            if wire.read_buf(&mut self.inbox).await.is_ok_and(|n| n > 0) {
                continue;
            }
            return None;
        }
    }
}

/// The answer of a server that does nothing wrong.
fn sound(state: &State, tag: &str, words: &str) -> Vec<u8> {
    let named = |name: &str| {
        let other = state.others.iter().find(|(other, _)| *other == name);
        other.map(|(_, folder)| folder)
    };
    let mut answer = Vec::new();
    let mut say = |text: String| answer.extend_from_slice(text.as_bytes());
    let numbered = |uid: u32| {
        let place = state.inbox.uids.iter().position(|&known| known == uid);
        place.map_or(1, |place| u32::try_from(place + 1).expect("few mails"))
    };
    if let Some(name) = words.strip_prefix("EXAMINE ") {
        let name = name.trim_matches('"');
        let opened = if name == "INBOX" {
            Some(&state.inbox)
        } else {
            named(name)
        };
        let Some(opened) = opened else {
            return format!("{tag} NO no such folder\r\n").into_bytes();
        };
        say(format!("* {} EXISTS\r\n", opened.uids.len()));
        say(format!("* OK [UIDVALIDITY {}] x\r\n", opened.uid_validity));
        if let Some(next) = opened.uid_next {
            say(format!("* OK [UIDNEXT {next}] x\r\n"));
        }
    } else if words == "IDLE" {
        return b"+ idling\r\n".to_vec();
    } else if words.starts_with("LIST") {
        for (name, _) in &state.others {
            say(format!("* LIST () \".\" \"{name}\"\r\n"));
        }
    } else if words.starts_with("UID SEARCH YOUNGER") {
        let uids: Vec<_> = state.inbox.uids.iter().map(u32::to_string).collect();
        say(format!("* SEARCH {}\r\n", uids.join(" ")));
    } else if let Some(set) = words.strip_prefix("UID FETCH ") {
        let (set, what) = set.split_once(' ').expect("a set");
        let last = state.inbox.uids.iter().max().copied();
        let in_set = |uid: u32| {
            set.split(',').any(|range| match range.split_once(':') {
                Some((from, "*")) => {
                    from.parse().is_ok_and(|from: u32| uid >= from) || Some(uid) == last
                }
                Some((from, to)) => {
                    let (from, to) = (from.parse::<u32>(), to.parse::<u32>());
                    from.is_ok_and(|from| uid >= from) && to.is_ok_and(|to| uid <= to)
                }
                None => range == "*" && Some(uid) == last || range.parse() == Ok(uid),
            })
        };
        for &uid in state.inbox.uids.iter().filter(|&&uid| in_set(uid)) {
            let number = numbered(uid);
            if what == "(UID)" {
                say(format!("* {number} FETCH (UID {uid})\r\n"));
            } else if what.contains("HEADER.FIELDS") {
                let header = super::header(number, uid, b"From: support@salesforce.com\r\n\r\n");
                say(String::from_utf8(header).expect("ASCII"));
            } else {
                let mail = mail(number, uid, 8, b"A: b\r\n\r\n");
                say(String::from_utf8(mail).expect("ASCII"));
            }
        }
    }
    say(format!("{tag} OK\r\n"));
    answer
}

fn told(event: Event) -> String {
    match event {
        Event::Armed { idle: true, .. } => "— armed".to_owned(),
        Event::Armed { idle: false, .. } => "— armed, polling".to_owned(),
        Event::Mail { mails, whence } => {
            let uids: Vec<_> = mails.iter().map(|mail| mail.uid.to_string()).collect();
            format!("— mail {} by {whence:?}", uids.join(","))
        }
        Event::Looked { look, .. } => format!("— looked {look}"),
        Event::Moved(cursor) => format!("— moved {} {}", cursor.folder, cursor.uid_next),
        Event::Gone(origins) => format!("— {} gone", origins.len()),
        Event::Trouble { again_in, .. } => {
            format!("— trouble, again in {:.0} s", again_in.as_secs_f64())
        }
        Event::Failed(_) => "— failed".to_owned(),
    }
}

fn account(lines: &str) -> Arc<Account> {
    let text = format!(
        "[[account]]\naddress = \"a@b.example\"\nhost = \"imap.b.example\"\nusernames = [\"*\"]\n{lines}\n"
    );
    let config = Config::parse(&text, Path::new("config.toml")).expect("a configuration");
    Arc::clone(&config.accounts[0])
}
