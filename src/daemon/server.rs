//! The daemon's side of the socket: bounded in connections, lines and time, so that no client slows the watch down.

use std::collections::BTreeMap;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::io::{AsyncRead, AsyncWrite, split};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{sleep, timeout};

use super::keeper::{Ask, Health, Join};
use super::lines::{Incoming, Outgoing};
use super::protocol::{
    Account, Answer, Begin, Configuration, Greeting, Opening, Prompt, Request, Settled, Stored,
    VERSION, Wanted, mismatch,
};
use super::socket::Listener;
use crate::ledger::{Entry, Ledger, List, Record, State};

/// Most clients at once. A machine that resets the tokens of a hundred integration users has a waiter for each.
const CLIENTS: usize = 256;

/// Most answers that wait for a client to read them; one that is further behind does not read. An answer is about
/// 1 KiB: 16 MiB where all clients are that far behind.
const BEHIND: usize = 64;

/// How long a keeper may take to answer. It never does anything slow itself, but the machine may.
const ANSWER: Duration = Duration::from_secs(5);

/// Pause after an accept that failed, which will fail again at once (no more file descriptors).
const REFUSED: Duration = Duration::from_millis(100);

/// Who asks for the configuration to be read again, and hears what came of it.
pub(super) type Reload = oneshot::Sender<Result<(), String>>;

/// What clients are served from.
#[derive(Debug)]
pub(super) struct Hub {
    pub(super) ledger: Ledger,
    pub(super) config: Mutex<Configuration>,
    pub(super) keepers: Mutex<BTreeMap<String, mpsc::Sender<Ask>>>,
    pub(super) reloads: mpsc::Sender<Reload>,
    pub(super) looks: AtomicU64,
}

impl Hub {
    fn config(&self) -> Configuration {
        let config = self.config.lock().unwrap_or_else(PoisonError::into_inner);
        config.clone()
    }

    /// From now on the daemon goes by this configuration.
    pub(super) fn goes_by(&self, config: Configuration) {
        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = config;
    }

    fn all_keepers(&self) -> Vec<mpsc::Sender<Ask>> {
        let keepers = self.keepers.lock().unwrap_or_else(PoisonError::into_inner);
        keepers.values().cloned().collect()
    }

    fn keeper(&self, address: &str) -> Option<mpsc::Sender<Ask>> {
        let keepers = self.keepers.lock().unwrap_or_else(PoisonError::into_inner);
        keepers.get(&address.to_ascii_lowercase()).cloned()
    }
}

/// Serves clients for ever.
pub(super) async fn serve(mut listener: Listener, hub: Arc<Hub>) {
    let room = Arc::new(Semaphore::new(CLIENTS));
    loop {
        let stream = match listener.accept().await {
            Ok(stream) => stream,
            Err(error) => {
                tracing::debug!(%error, "a client could not be accepted");
                sleep(REFUSED).await;
                continue;
            }
        };
        // One too many is let go without a word, and helps itself.
        if let Ok(place) = Arc::clone(&room).try_acquire_owned() {
            let hub = Arc::clone(&hub);
            tokio::spawn(async move {
                if let Err(error) = attend(stream, &hub).await {
                    tracing::debug!(%error, "a client was let go");
                }
                drop(place);
            });
        }
    }
}

async fn attend<S: AsyncRead + AsyncWrite>(stream: S, hub: &Hub) -> io::Result<()> {
    let (read, write) = split(stream);
    let (mut incoming, mut outgoing) = (Incoming::new(read), Outgoing::new(write));
    let config = hub.config();
    outgoing
        .send(&Greeting {
            protocol: VERSION,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config,
        })
        .await?;
    let Some(opening) = incoming.soon::<Opening>().await? else {
        return Ok(());
    };
    if let Some(sentence) = mismatch(VERSION, env!("CARGO_PKG_VERSION"), opening.protocol) {
        return outgoing.send(&Answer::Refused(sentence)).await;
    }
    match opening.request {
        Request::Status => status(&mut outgoing, hub).await,
        Request::Reload => {
            let (tell, told) = oneshot::channel();
            let _ = hub.reloads.send(tell).await;
            let answer = match told.await {
                Ok(Ok(())) => Answer::Done,
                Ok(Err(sentence)) => Answer::Refused(sentence),
                Err(_) => Answer::Refused("the daemon is ending".to_owned()),
            };
            outgoing.send(&answer).await
        }
        Request::Watch {
            account,
            begin,
            wanted,
        } => {
            let Some(keeper) = hub.keeper(&account) else {
                let sentence = format!("the daemon does not attend {account}");
                return outgoing.send(&Answer::Refused(sentence)).await;
            };
            let look = hub.looks.fetch_add(1, Ordering::Relaxed);
            let watched = watch(&mut incoming, &mut outgoing, &keeper, (look, begin, wanted)).await;
            let _ = keeper.send(Ask::Leave(look)).await;
            watched
        }
    }
}

async fn watch<R: AsyncRead + Unpin, W: AsyncWrite + Unpin>(
    incoming: &mut Incoming<R>,
    outgoing: &mut Outgoing<W>,
    keeper: &mpsc::Sender<Ask>,
    (look, begin, wanted): (u64, Begin, Wanted),
) -> io::Result<()> {
    let (answers, mut heard) = mpsc::channel(BEHIND);
    let join = Box::new(Join {
        look,
        begin,
        wanted,
        answers,
    });
    let _ = keeper.send(Ask::Join(join)).await;
    loop {
        tokio::select! {
            answer = heard.recv() => match answer {
                Some(answer) => outgoing.send(&answer).await?,
                None => return Ok(()),
            },
            prompt = incoming.next::<Prompt>() => match prompt? {
                None => return Ok(()),
                Some(Prompt::SearchNow) => {
                    let _ = keeper.send(Ask::Search(look)).await;
                }
                Some(Prompt::Standing) => {
                    let (tell, told) = oneshot::channel();
                    let _ = keeper.send(Ask::Standing(tell)).await;
                    if let Ok(Ok(step)) = timeout(ANSWER, told).await {
                        outgoing.send(&Answer::Standing(step)).await?;
                    }
                }
            },
        }
    }
}

async fn status<W: AsyncWrite + Unpin>(outgoing: &mut Outgoing<W>, hub: &Hub) -> io::Result<()> {
    // Once for all accounts: anybody can make these files long.
    let books = Books::read(&hub.ledger);
    // All at once: one after the other, each would wait for a turn of the account whose mails keep the processor busy.
    let asked = hub.all_keepers().into_iter().map(health);
    // One that broke is begun again within seconds, and then answers.
    for health in join_all(asked).await.into_iter().flatten() {
        let account = account(health, books.as_ref().ok());
        outgoing.send(&Answer::Account(Box::new(account))).await?;
    }
    outgoing.send(&Answer::Done).await
}

/// How an account is doing; `None` where its keeper does not say.
async fn health(keeper: mpsc::Sender<Ask>) -> Option<Health> {
    let asked = async {
        let (tell, told) = oneshot::channel();
        keeper.send(Ask::Health(tell)).await.ok()?;
        told.await.ok()
    };
    timeout(ANSWER, asked).await.ok().flatten()
}

fn account(health: Health, books: Option<&Books>) -> Account {
    let mut ledger = books.map(|books| books.of(&health.address));
    if let Some(ledger) = &mut ledger {
        // What a full disk keeps from the ledger waits all the same.
        ledger.pending = ledger.pending.max(health.pending);
    }
    Account {
        reconnects: health.connections.saturating_sub(1),
        address: health.address,
        condition: health.condition,
        waiters: health.waiters,
        ledger,
    }
}

/// What the ledger holds.
struct Books {
    records: Vec<Record>,
    pending: Vec<Entry>,
    refused: Vec<Entry>,
}

impl Books {
    fn read(ledger: &Ledger) -> Result<Self, crate::ledger::Error> {
        Ok(Self {
            records: ledger.records()?,
            pending: ledger.unsettled(List::Pending)?,
            refused: ledger.unsettled(List::Refused)?,
        })
    }

    /// What of it is one account's.
    fn of(&self, address: &str) -> Settled {
        let is_of = |account: &str| account.eq_ignore_ascii_case(address);
        let count = |entries: &[Entry]| {
            let of_account = entries.iter().filter(|entry| is_of(&entry.origin.account));
            u32::try_from(of_account.count()).unwrap_or(u32::MAX)
        };
        let records = self.records.iter().filter(|record| {
            record.state == State::Stored
                && record
                    .origin
                    .as_ref()
                    .is_some_and(|origin| is_of(&origin.account))
        });
        let last = records.max_by_key(|record| record.changed);
        Settled {
            stored: last.map(|record| Stored {
                username: record.username.clone(),
                at: record.changed,
            }),
            pending: count(&self.pending),
            refused: count(&self.refused),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        ANSWER, Answer, Ask, AtomicU64, Configuration, Health, Hub, Incoming, Mutex, Outgoing,
        status,
    };
    use crate::imap::Condition;
    use crate::ledger::Ledger;
    use jiff::Timestamp;
    use std::time::Duration;
    use tokio::sync::mpsc;
    use tokio::time::{Instant, sleep};

    /// Longer than any turn of an account should be.
    const TURN: Duration = Duration::from_secs(1);

    const ACCOUNTS: usize = 20;

    /// A keeper that answers after a turn; `None`: it never does.
    fn keeper(answers: Option<String>) -> mpsc::Sender<Ask> {
        let (asks, mut asked) = mpsc::channel(1);
        tokio::spawn(async move {
            let mut unanswered = Vec::new();
            while let Some(ask) = asked.recv().await {
                sleep(TURN).await;
                match (ask, &answers) {
                    (Ask::Health(tell), Some(address)) => {
                        let health = Health {
                            address: address.clone(),
                            condition: Condition::new(Timestamp::UNIX_EPOCH),
                            connections: 1,
                            waiters: 0,
                            pending: 0,
                        };
                        tell.send(health).expect("somebody asked");
                    }
                    (ask, _) => unanswered.push(ask),
                }
            }
        });
        asks
    }

    /// Whose status is told, and how long that takes.
    async fn told(keepers: impl Iterator<Item = Option<String>>) -> (Vec<String>, Duration) {
        let nowhere = tempfile::tempdir().expect("a directory");
        let named = keepers
            .enumerate()
            .map(|(number, answers)| (format!("{number:02}"), keeper(answers)));
        let hub = Hub {
            ledger: Ledger::at(nowhere.path().to_owned()),
            config: Mutex::new(Configuration {
                file: String::new(),
                text: String::new(),
            }),
            keepers: Mutex::new(named.collect()),
            reloads: mpsc::channel(1).0,
            looks: AtomicU64::new(0),
        };
        let (ours, theirs) = tokio::io::duplex(1024 * 1024);
        let begin = Instant::now();
        status(&mut Outgoing::new(ours), &hub)
            .await
            .expect("a status");
        let took = begin.elapsed();
        let mut incoming = Incoming::new(theirs);
        let mut addresses = Vec::new();
        while let Some(Answer::Account(account)) = incoming.next().await.expect("an answer") {
            addresses.push(account.address);
        }
        (addresses, took)
    }

    #[tokio::test(start_paused = true)]
    async fn the_status_of_many_accounts_takes_as_long_as_that_of_one() {
        let all: Vec<_> = (0..ACCOUNTS).map(|number| format!("{number:02}")).collect();
        assert_eq!(told(all.iter().cloned().map(Some)).await, (all, TURN));
    }

    #[tokio::test(start_paused = true)]
    async fn accounts_that_do_not_answer_keep_nobody_from_the_others() {
        let every_second =
            (0..ACCOUNTS).map(|number| (number % 2 == 0).then(|| number.to_string()));
        let answering: Vec<_> = every_second.clone().flatten().collect();
        assert_eq!(told(every_second).await, (answering, ANSWER));
    }
}
