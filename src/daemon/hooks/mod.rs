//! Hooks: programs that the user wants run when something happens.
//!
//! One at a time an account, tokens first. What is to be run for lies in `queue`, how a program is run in
//! `crate::process`, and for what it ran in the ledger: a token or mail is marked only after its hooks have ended, so that
//! they run again, at least once, where a crash came in between.

mod facts;
mod queue;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::account::Account;
use crate::config::{Hook, Input, Occasion};
use crate::escape::escaped;
use crate::keychain::Keychain;
use crate::ledger::{self, Ledger, List, Record};
use crate::news::News;
use crate::process::{self, End, Job, Talk};
use facts::Facts;
use queue::{Mail, Queue, Work};

/// How long [`Hooks::stop`] may take: a hook's last second, a moment for its end, and little to mark it, within what
/// the supervisor gives us.
const STOP: Duration = Duration::from_millis(1_450);

/// How long a hook may run.
#[derive(Debug, Clone, Copy)]
struct Limits {
    process: process::Limits,
    /// From the moment we are to stop until it is told to end.
    at_stop: Duration,
}

impl Default for Limits {
    /// Those of the contract: 30 s, then SIGTERM, 2 s later SIGKILL. The daemon itself ends within 2 s, so a hook that
    /// runs then gets 1 s, and no more than a moment to tidy up.
    fn default() -> Self {
        Self {
            process: process::Limits::of(Duration::from_secs(30)),
            at_stop: Duration::from_secs(1),
        }
    }
}

/// Waits until we are to stop, and then as long as a hook may still run.
async fn stopped(mut stop: watch::Receiver<bool>, grace: Duration) {
    // Who could tell us is gone, too.
    let _ = stop.wait_for(|stop| *stop).await;
    sleep(grace).await;
}

/// The hooks of one account, in a task of their own.
#[derive(Debug)]
pub struct Hooks {
    queue: Arc<Mutex<Queue>>,
    is_heard: Arc<Notify>,
    stop: watch::Sender<bool>,
    /// Absent where there is nothing to run.
    task: Option<JoinHandle<()>>,
}

impl Hooks {
    /// Begins with what an earlier life left to do.
    #[must_use]
    pub fn start(
        hooks: Arc<[Hook]>,
        account: &Account,
        keychain: Keychain,
        ledger: Ledger,
    ) -> Self {
        Self::with(Limits::default(), hooks, account, keychain, ledger)
    }

    fn with(
        limits: Limits,
        hooks: Arc<[Hook]>,
        account: &Account,
        keychain: Keychain,
        ledger: Ledger,
    ) -> Self {
        let queue = Arc::new(Mutex::new(Queue::new(&hooks, Instant::now())));
        let is_heard = Arc::new(Notify::new());
        let (stop, stopping) = watch::channel(false);
        let is_idle = hooks.is_empty();
        let runner = Runner {
            queue: Arc::clone(&queue),
            is_heard: Arc::clone(&is_heard),
            stopping,
            limits,
            hooks,
            account: account.address.clone(),
            keychain,
            ledger,
            unmarked: Vec::new(),
        };
        Self {
            queue,
            is_heard,
            stop,
            task: (!is_idle).then(|| tokio::spawn(runner.run())),
        }
    }

    /// Takes in what is heard of the account. Never waits.
    pub fn hear(&self, news: &News) {
        if self.task.is_some() {
            lock(&self.queue).hear(news, Instant::now());
            self.is_heard.notify_one();
        }
    }

    /// Begins no hook any more, gives a running one a second, and ends it then: it runs again at the next start.
    pub async fn stop(&mut self) {
        let _ = self.stop.send(true);
        if let Some(mut task) = self.task.take()
            && timeout(STOP, &mut task).await.is_err()
        {
            task.abort();
        }
    }
}

impl Drop for Hooks {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

fn lock(queue: &Mutex<Queue>) -> std::sync::MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// We are to stop; what is not done is done at the next start.
struct Stopping;

struct Runner {
    queue: Arc<Mutex<Queue>>,
    is_heard: Arc<Notify>,
    stopping: watch::Receiver<bool>,
    limits: Limits,
    hooks: Arc<[Hook]>,
    account: String,
    keychain: Keychain,
    ledger: Ledger,
    /// Tokens whose hooks ran and could not be marked (a full disk): they do not run again in this life.
    unmarked: Vec<Record>,
}

impl Runner {
    async fn run(mut self) {
        self.take_up();
        loop {
            let (work, next) = {
                let mut queue = lock(&self.queue);
                (queue.take(Instant::now()), queue.next_at())
            };
            let mut stopping = self.stopping.clone();
            if *stopping.borrow() {
                return;
            }
            if let Some(work) = work {
                if self.work(work).await.is_err() {
                    return;
                }
                continue;
            }
            let due = async {
                match next {
                    Some(next) => sleep_until(next).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.is_heard.notified() => {}
                () = due => {}
                _ = stopping.wait_for(|stop| *stop) => return,
            }
        }
    }

    /// What an earlier life left to do. Tokens are looked for anyhow.
    fn take_up(&self) {
        for (on, list) in [
            (Occasion::Pending, List::Pending),
            (Occasion::Refused, List::Refused),
        ] {
            if !lock(&self.queue).wants(on) {
                continue;
            }
            let found = self
                .ledger
                .unhooked_entries(list, &self.account, Timestamp::now());
            let mut queue = lock(&self.queue);
            for entry in self.read(found) {
                queue.add(
                    list,
                    Mail {
                        facts: Facts::of_entry(&entry),
                        origin: entry.origin,
                    },
                );
            }
        }
    }

    /// What was read from the ledger; nothing where it cannot be read.
    fn read<T>(&self, read: Result<Vec<T>, ledger::Error>) -> Vec<T> {
        read.unwrap_or_else(|error| {
            tracing::warn!(account = self.account, "hooks may be late: {error}");
            Vec::new()
        })
    }

    async fn work(&mut self, work: Work) -> Result<(), Stopping> {
        match work {
            Work::Stored => self.stored().await,
            Work::LoginFailed(facts) => self.all(Occasion::LoginFailed, &facts, 1, None).await,
            Work::Mails(list, mails) => self.mails(list, mails).await,
        }
    }

    async fn stored(&mut self) -> Result<(), Stopping> {
        let due = self
            .ledger
            .unhooked_records(&self.account, Timestamp::now());
        let due = self.read(due);
        self.unmarked.retain(|record| due.contains(record));
        for record in due {
            if self.unmarked.contains(&record) {
                self.mark_record(record).await;
                continue;
            }
            let Ok(token) = self.token(&record).await else {
                continue;
            };
            self.all(
                Occasion::Stored,
                &Facts::of_record(&record),
                1,
                token.as_ref(),
            )
            .await?;
            self.mark_record(record).await;
        }
        Ok(())
    }

    async fn mark_record(&mut self, record: Record) {
        let marked = async {
            let ledger = self.ledger.lock().await?;
            ledger.mark_record_hooked(&record.username, &record.identity)
        };
        if let Err(error) = marked.await {
            self.not_marked(&error);
            if !self.unmarked.contains(&record) {
                self.unmarked.push(record);
            }
        }
    }

    fn not_marked(&self, error: &ledger::Error) {
        tracing::warn!(
            account = self.account,
            "hooks have run and cannot be marked as run, so they will run again at the next start: {error}"
        );
    }

    /// The token, where a hook wants it. An error is a keychain that does not give it now; it is asked again.
    async fn token(&self, record: &Record) -> Result<Option<SecretString>, Unreadable> {
        let is_wanted = |hook: &Hook| hook.on == Occasion::Stored && hook.input == Input::Token;
        if !self.hooks.iter().any(is_wanted) {
            return Ok(None);
        }
        let username = &record.username;
        let why = match self.keychain.token(username, record.lies_in()).await {
            Ok(Some(token)) => return Ok(Some(token)),
            Ok(None) => "it is no longer in the keychain".to_owned(),
            Err(error) => error.to_string(),
        };
        tracing::warn!(
            account = self.account,
            "the hooks for the token of {} wait, for it cannot be read: {why}",
            escaped(username, NAME)
        );
        Err(Unreadable)
    }

    async fn mails(&self, list: List, mut mails: Vec<Mail>) -> Result<(), Stopping> {
        // After a restart the same mails are found again; the ledger knows which of them were told.
        let known = self.read(self.ledger.unsettled(list));
        mails.retain(|mail| {
            let is_told = known
                .iter()
                .any(|entry| entry.hooked && entry.origin == mail.origin);
            !is_told
        });
        let Some(latest) = mails.last() else {
            return Ok(());
        };
        let on = match list {
            List::Refused => Occasion::Refused,
            List::Pending => Occasion::Pending,
        };
        self.all(on, &latest.facts, mails.len(), None).await?;
        let origins: Vec<_> = mails.into_iter().map(|mail| mail.origin).collect();
        let marked = async {
            let ledger = self.ledger.lock().await?;
            ledger.mark_entries_hooked(list, &origins)
        };
        if let Err(error) = marked.await {
            self.not_marked(&error);
        }
        Ok(())
    }

    /// Runs all hooks for this, in their order, whatever becomes of each.
    async fn all(
        &self,
        on: Occasion,
        facts: &Facts,
        count: usize,
        token: Option<&SecretString>,
    ) -> Result<(), Stopping> {
        let variables = facts.variables(on, &self.account, count);
        for hook in self.hooks.iter().filter(|hook| hook.on == on) {
            if *self.stopping.borrow() {
                return Err(Stopping);
            }
            let job = Job {
                command: &hook.command,
                variables: &variables,
                input: token.filter(|_| hook.input == Input::Token),
                talk: Talk::Words,
            };
            let begin = Instant::now();
            let report = process::run(
                job,
                self.limits.process,
                stopped(self.stopping.clone(), self.limits.at_stop),
            )
            .await;
            self.tell(hook, &report.end, &report.said, begin.elapsed());
            if matches!(report.end, End::Stopped) {
                return Err(Stopping);
            }
        }
        Ok(())
    }

    fn tell(&self, hook: &Hook, end: &End, said: &[String], took: Duration) {
        let account = &self.account;
        let program = hook.command.first().map(Path::new);
        let name = program
            .and_then(Path::file_name)
            .map_or_else(String::new, |name| escaped(&name.to_string_lossy(), NAME));
        let hook = format!("hook {name} ({})", hook.on.word());
        for line in said {
            tracing::info!(account, "{hook} says: {line}");
        }
        let took = took.as_secs_f64();
        match end {
            End::Exited(status) if status.success() => {
                tracing::info!(account, "{hook} is done, after {took:.1} s");
            }
            End::Exited(status) => {
                tracing::warn!(account, "{hook} failed ({status}), after {took:.1} s");
            }
            End::TooLong => {
                tracing::warn!(
                    account,
                    "{hook} was ended, for it ran longer than {} s",
                    self.limits.process.run.as_secs()
                );
            }
            End::Stopped => {
                tracing::info!(
                    account,
                    "{hook} was ended, for we stop; it runs again at the next start"
                );
            }
            End::Failed(error) => {
                tracing::warn!(
                    account,
                    "{hook} cannot be run: {error}. Check `command` in the configuration"
                );
            }
        }
    }
}

/// Most characters of a program's or user's name in the log.
const NAME: usize = 100;

/// The keychain does not give a token now.
struct Unreadable;

#[cfg(all(test, unix))]
mod tests;
