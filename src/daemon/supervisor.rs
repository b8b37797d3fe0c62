//! Starts a keeper for each account, ends those that are no longer wanted, and begins again what broke.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::board::Board;
use super::keeper::{Ask, House, Keeper};
use super::notify;
use super::protocol::Configuration;
use super::server::{Hub, Reload, serve};
use super::signals::{Signal, Signals};
use super::socket::Listener;
use crate::account::Account;
use crate::config::{Config, Hook};
use crate::dns::KeySource;
use crate::imap::forget_contexts;
use crate::keychain::{self, Keychain};
use crate::ledger::{Cursors, Ledger};

/// How often the supervisor looks whether its keepers are there, where no watchdog wants it more often.
const LOOK: Duration = Duration::from_secs(5);

/// How long the end may take; who ends us waits for 2 s.
const END: Duration = Duration::from_millis(1500);

/// Where the configuration comes from, once more whenever it is read again.
#[derive(Debug)]
pub struct Source {
    /// The configuration file.
    pub file: PathBuf,
    /// Takes the place of DNS and of what the configuration says of it.
    pub dkim_keys: Option<PathBuf>,
}

impl Source {
    /// Reads it; the error says what to do.
    fn read(&self) -> Result<Read, String> {
        let config = Config::read(&self.file).map_err(|error| error.to_string())?;
        let identity = Configuration::of(&self.file).map_err(|error| {
            format!(
                "the configuration {} cannot be read: {error}",
                self.file.display()
            )
        })?;
        let keys = KeySource::chosen(self.dkim_keys.as_deref(), config.keys.as_ref());
        let keys = keys.map_err(|error| error.to_string())?;
        Ok(Read {
            accounts: config.accounts,
            keys: Arc::new(keys),
            identity,
            hooks: config.hooks,
            keychain: config.keychain,
        })
    }
}

/// A configuration, with what it names.
struct Read {
    accounts: Vec<Arc<Account>>,
    keys: Arc<KeySource>,
    identity: Configuration,
    hooks: Arc<[Hook]>,
    keychain: keychain::Settings,
}

/// Has a keeper for each account.
#[derive(Debug)]
pub struct Supervisor {
    source: Source,
    house: Arc<House>,
    keys: Arc<KeySource>,
    hooks: Arc<[Hook]>,
    kept: BTreeMap<String, Kept>,
    is_ready: bool,
    hub: Arc<Hub>,
    reloads: mpsc::Receiver<Reload>,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct Kept {
    account: Arc<Account>,
    asks: mpsc::Sender<Ask>,
    task: JoinHandle<()>,
}

impl Supervisor {
    /// Reads the configuration, starts a keeper for each account, and serves clients, who find the socket in the
    /// directory `runtime`.
    pub fn start(
        source: Source,
        keychain: Keychain,
        ledger: Ledger,
        runtime: &Path,
    ) -> Result<Self, String> {
        let Read {
            accounts,
            keys,
            identity,
            hooks,
            keychain: choice,
        } = source.read()?;
        keychain.choose(&choice);
        let listener = Listener::bind(runtime).map_err(|error| error.to_string())?;
        // One asks at a time; the others wait for it.
        let (ask, reloads) = mpsc::channel(1);
        let hub = Arc::new(Hub {
            ledger: ledger.clone(),
            config: Mutex::new(identity),
            keepers: Mutex::default(),
            reloads: ask,
            looks: AtomicU64::default(),
        });
        let (cursors, error) = Cursors::read(ledger.clone());
        if let Some(error) = error {
            tracing::warn!(%error, "how far the last daemon got is unknown");
        }
        let mut supervisor = Self {
            source,
            house: Arc::new(House {
                keychain,
                ledger,
                cursors,
                board: Board::default(),
            }),
            keys,
            hooks,
            kept: BTreeMap::new(),
            is_ready: false,
            server: tokio::spawn(serve(listener, Arc::clone(&hub))),
            hub,
            reloads,
        };
        tracing::info!(
            version = env!("CARGO_PKG_VERSION"),
            accounts = accounts.len(),
            "started"
        );
        make_room_for(accounts.len());
        for account in accounts {
            supervisor.keep(account);
        }
        supervisor.publish();
        Ok(supervisor)
    }

    fn keep(&mut self, account: Arc<Account>) {
        let (asks, to_keeper) = mpsc::channel(64);
        let keeper = Keeper::new(
            Arc::clone(&account),
            Arc::clone(&self.house),
            Arc::clone(&self.keys),
            Arc::clone(&self.hooks),
            to_keeper,
        );
        let task = tokio::spawn(keeper.run());
        let kept = Kept {
            account,
            asks,
            task,
        };
        self.kept.insert(key(&kept.account), kept);
    }

    /// Lets clients know who attends what.
    fn publish(&self) {
        let keepers = self.kept.iter();
        let keepers = keepers.map(|(key, kept)| (key.clone(), kept.asks.clone()));
        let keepers = keepers.collect();
        *self
            .hub
            .keepers
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = keepers;
    }

    /// Until a signal ends it; gives back after everything came to its end, or could not in time.
    pub async fn run(mut self) {
        let mut signals = Signals::listen();
        let mut tick = interval(notify::watchdog().unwrap_or(LOOK).min(LOOK));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let house = Arc::clone(&self.house);
        loop {
            tokio::select! {
                _ = tick.tick() => {
                    self.look();
                    notify::turning();
                }
                () = house.board.changed() => self.tell(),
                signal = signals.next() => match signal {
                    Signal::Reload => {
                        let _ = self.reload().await;
                    }
                    Signal::End => break,
                },
                Some(tell) = self.reloads.recv() => {
                    let _ = tell.send(self.reload().await);
                }
            }
        }
        tracing::info!("stopping");
        notify::stopping();
        self.stop().await;
    }

    /// Begins again what ended without being told to.
    fn look(&mut self) {
        let ended = self.kept.values().filter(|kept| kept.task.is_finished());
        let ended: Vec<_> = ended.map(|kept| Arc::clone(&kept.account)).collect();
        for account in ended {
            tracing::error!(
                account = account.address,
                place = crate::logging::last_panic(),
                why = "a bug: its keeper ended",
                "begins again"
            );
            self.keep(account);
            self.publish();
        }
    }

    /// Tells the service manager how things stand.
    fn tell(&mut self) {
        let sentence = self.house.board.sentence();
        if !self.is_ready && self.house.board.is_ready() {
            self.is_ready = true;
            notify::ready(&sentence);
        } else {
            notify::status(&sentence);
        }
    }

    /// Reads the configuration again. What is unchanged keeps its connection; a configuration that cannot be used
    /// changes nothing.
    async fn reload(&mut self) -> Result<(), String> {
        notify::reloading();
        let read = self.source.read();
        let result = match read {
            Ok(read) => {
                self.keys = read.keys;
                self.hub.goes_by(read.identity);
                self.hooks = read.hooks;
                self.house.keychain.choose(&read.keychain);
                forget_contexts();
                self.change_to(&read.accounts).await;
                Ok(())
            }
            Err(error) => {
                tracing::error!(error, "the configuration was refused; the old one stays");
                Err(error)
            }
        };
        notify::ready(&self.house.board.sentence());
        result
    }

    async fn change_to(&mut self, accounts: &[Arc<Account>]) {
        let is_unchanged = |kept: &Kept| accounts.contains(&kept.account);
        let (same, other): (BTreeMap<_, _>, BTreeMap<_, _>) = std::mem::take(&mut self.kept)
            .into_iter()
            .partition(|(_, kept)| is_unchanged(kept));
        self.kept = same;
        let ended = other.len();
        self.publish();
        for kept in other.values() {
            self.house.board.remove(&kept.account.address);
        }
        end(other.into_values()).await;
        for kept in self.kept.values() {
            let (keys, hooks) = (Arc::clone(&self.keys), Arc::clone(&self.hooks));
            let _ = kept.asks.try_send(Ask::Reloaded(keys, hooks));
        }
        make_room_for(accounts.len());
        let mut started = 0;
        for account in accounts {
            if !self.kept.contains_key(&key(account)) {
                self.keep(Arc::clone(account));
                started += 1;
            }
        }
        self.publish();
        tracing::info!(
            unchanged = accounts.len() - started,
            ended,
            started,
            "configuration read again"
        );
    }

    async fn stop(self) {
        self.server.abort();
        end(self.kept.into_values()).await;
    }
}

/// Ends keepers, all at once: with a goodbye to their servers where that is quick.
async fn end(kept: impl Iterator<Item = Kept>) {
    let mut tasks = Vec::new();
    for one in kept {
        // One that does not hear it hears that nobody asks any more.
        let _ = one.asks.try_send(Ask::Stop);
        tasks.push(one.task);
    }
    let all = async {
        for task in &mut tasks {
            let _ = task.await;
        }
    };
    if timeout(END, all).await.is_err() {
        for task in &tasks {
            task.abort();
        }
    }
}

/// Lets the process have as many connections as there are accounts. Elsewhere sockets are not counted among a process's
/// open files.
fn make_room_for(accounts: usize) {
    #[cfg(unix)]
    super::descriptors::make_room_for(accounts);
    #[cfg(not(unix))]
    let _ = accounts;
}

fn key(account: &Account) -> String {
    account.address.to_ascii_lowercase()
}
