use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use keyring_core::{CredentialStore, mock};
use secrecy::SecretString;
use tokio::time::{Instant, sleep};

use super::{Hooks, Limits};
use crate::config::Config;
use crate::keychain::{Keychain, Terms};
use crate::ledger::{Entry, Ledger, List, Origin, Record, State};
use crate::news::News;
use crate::process;
use crate::receipt::{Event, Receipt};

const ACCOUNT: &str = "a@b.example";
const TOKEN: &str = "AbCdEfGh12345678IjKlMnOp";

/// A ledger, a keychain, and a file that hooks write to.
struct Bench {
    folder: tempfile::TempDir,
    keychain: Keychain,
    ledger: Ledger,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a temp directory");
        let store: Arc<CredentialStore> = mock::Store::new().expect("a mock store");
        Self {
            ledger: Ledger::at(folder.path().join("state")),
            keychain: Keychain::of(move || Ok(store.clone())),
            folder,
        }
    }

    /// Hooks that are shell scripts, which may write to `$LOG`.
    fn start(&self, limits: Limits, hooks: &[(&str, &str, &str)]) -> Hooks {
        let mut text =
            format!("[[account]]\naddress = \"{ACCOUNT}\"\nhost = \"h\"\nusernames = [\"*\"]\n");
        for (on, script, more) in hooks {
            let script = script.replace("$LOG", &self.log_file().display().to_string());
            writeln!(
                text,
                "[[hook]]\non = \"{on}\"\ncommand = [\"/bin/sh\", \"-c\", '''{script}''']\n{more}"
            )
            .expect("write into a String");
        }
        let config = Config::parse(&text, Path::new("c.toml")).expect("valid");
        Hooks::with(
            limits,
            config.hooks,
            &config.accounts[0],
            self.keychain.clone(),
            self.ledger.clone(),
        )
    }

    fn log_file(&self) -> std::path::PathBuf {
        self.folder.path().join("log")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.log_file()).unwrap_or_default()
    }

    /// Waits until the log has so many lines.
    async fn lines(&self, count: usize) -> Vec<String> {
        self.until(|| self.log().lines().count() >= count).await;
        self.log().lines().map(str::to_owned).collect()
    }

    async fn until(&self, mut is_so: impl FnMut() -> bool) {
        let until = Instant::now() + Duration::from_secs(10);
        while !is_so() {
            assert!(Instant::now() < until, "not within 10 s: {}", self.log());
            sleep(Duration::from_millis(5)).await;
        }
    }

    async fn store(&self, username: &str) {
        let token = SecretString::from(TOKEN);
        let store = self.keychain.store_for(username, None).await;
        let store = store.expect("a store");
        store
            .put(username, &token, &Terms::Anyhow(None))
            .await
            .expect("written");
        let ledger = self.ledger.lock().await.expect("free");
        ledger
            .put(Record {
                username: username.to_owned(),
                state: State::Stored,
                date: Timestamp::now(),
                identity: "a".repeat(64).parse().expect("a hash"),
                message_id: Some("<1@b.example>".to_owned()),
                from: Some("support@salesforce.com".to_owned()),
                proof: None,
                accepted: false,
                hooked: false,
                origin: Some(origin(1)),
                store: store.name().to_owned(),
                copies: Vec::new(),
                changed: Timestamp::now(),
            })
            .expect("written");
    }

    async fn refuse(&self, uid: u32) {
        let ledger = self.ledger.lock().await.expect("free");
        let entry = Entry {
            origin: origin(uid),
            seen: Timestamp::now(),
            date: None,
            from: None,
            username: None,
            proof: None,
            reason: "unsigned".to_owned(),
            sentence: "it is not signed".to_owned(),
            hooked: false,
        };
        ledger.note(List::Refused, entry).expect("noted");
    }

    fn is_hooked(&self, username: &str) -> bool {
        let record = self.ledger.find(username).expect("read");
        record.expect("stored").hooked
    }
}

fn origin(uid: u32) -> Origin {
    Origin {
        account: ACCOUNT.to_owned(),
        folder: "INBOX".to_owned(),
        uid_validity: 1,
        uid,
    }
}

fn receipt(event: Event, uid: u32) -> News {
    News::Receipt(Box::new(Receipt {
        event,
        reason: Some("unsigned".to_owned()),
        sentence: None,
        username: None,
        origin: Some(origin(uid)),
        date: None,
        message_id: None,
        from: Some("who\nknows".to_owned()),
        proof: None,
        store: None,
        warnings: Vec::new(),
        at: Timestamp::now(),
    }))
}

const TELL: &str =
    "echo \"$FETCH_TOKEN_EVENT $FETCH_TOKEN_USERNAME $FETCH_TOKEN_COUNT $(cat)\" >> $LOG";

#[tokio::test]
async fn a_token_runs_its_hooks_once_in_this_life_and_the_next() {
    let bench = Bench::new();
    let hooks = [
        ("stored", TELL, "stdin = \"token\""),
        ("stored", TELL, ""),
        ("refused", TELL, ""),
    ];
    let mut running = bench.start(Limits::default(), &hooks);
    bench.store("etl@acme.example").await;
    running.hear(&receipt(Event::Stored, 1));
    let lines = bench.lines(2).await;
    let expected = [
        format!("stored etl@acme.example 1 {TOKEN}"),
        "stored etl@acme.example 1 ".to_owned(),
    ];
    assert_eq!(lines, expected);
    bench.until(|| bench.is_hooked("etl@acme.example")).await;
    running.hear(&receipt(Event::Already, 1));
    running.stop().await;
    let mut running = bench.start(Limits::default(), &hooks);
    running.hear(&receipt(Event::Already, 1));
    // The refused mail comes after the token in the queue: when its hook ran, the token's did not run again.
    running.hear(&receipt(Event::Refused, 2));
    let lines = bench.lines(3).await;
    assert_eq!(lines[2..], ["refused  1 "]);
    running.stop().await;
}

#[tokio::test]
async fn what_a_crash_cut_off_runs_again() {
    let bench = Bench::new();
    bench.store("etl@acme.example").await;
    bench.refuse(7).await;
    bench.refuse(8).await;
    let hangs = "echo began >> $LOG; sleep 60";
    let running = bench.start(Limits::default(), &[("stored", hangs, "")]);
    assert_eq!(bench.lines(1).await, ["began"]);
    // As at a crash: nobody waits for anything.
    drop(running);
    assert!(!bench.is_hooked("etl@acme.example"));
    let hooks = [("stored", TELL, ""), ("refused", TELL, "")];
    let mut running = bench.start(Limits::default(), &hooks);
    let lines = bench.lines(3).await;
    assert_eq!(lines[1..], ["stored etl@acme.example 1 ", "refused  2 "]);
    let told = || {
        let due = bench
            .ledger
            .unhooked_entries(List::Refused, ACCOUNT, Timestamp::now());
        due.is_ok_and(|due| due.is_empty())
    };
    bench.until(told).await;
    running.stop().await;
    // Found again after a restart, by the look back.
    let mut running = bench.start(Limits::default(), &hooks);
    running.hear(&receipt(Event::Refused, 7));
    running.hear(&receipt(Event::Refused, 9));
    let lines = bench.lines(4).await;
    assert_eq!(lines[3..], ["refused  1 "], "only the mail that is new");
    running.stop().await;
}

#[tokio::test]
async fn stopping_ends_a_hook_within_the_daemons_time_and_it_runs_again() {
    let bench = Bench::new();
    bench.store("etl@acme.example").await;
    let hook = "echo began >> $LOG; trap '' TERM; sleep 60";
    let mut running = bench.start(Limits::default(), &[("stored", hook, "")]);
    bench.lines(1).await;
    let begin = Instant::now();
    running.stop().await;
    assert!(begin.elapsed() < Duration::from_millis(1_900));
    assert!(!bench.is_hooked("etl@acme.example"));
    let mut running = bench.start(Limits::default(), &[("stored", TELL, "")]);
    assert_eq!(bench.lines(2).await[1], "stored etl@acme.example 1 ");
    running.stop().await;
}

#[tokio::test]
async fn a_hook_that_fails_or_is_ended_keeps_no_other_from_running() {
    let bench = Bench::new();
    bench.store("etl@acme.example").await;
    let limits = Limits {
        process: process::Limits {
            to_end: Duration::from_millis(50),
            ..process::Limits::of(Duration::from_millis(200))
        },
        ..Limits::default()
    };
    let hooks = [
        ("stored", "exit 7", ""),
        ("stored", "sleep 60", ""),
        ("stored", TELL, ""),
    ];
    let mut running = bench.start(limits, &hooks);
    assert_eq!(bench.lines(1).await, ["stored etl@acme.example 1 "]);
    bench.until(|| bench.is_hooked("etl@acme.example")).await;
    running.stop().await;
}

#[tokio::test]
async fn where_there_is_no_hook_nothing_is_written() {
    let bench = Bench::new();
    bench.store("etl@acme.example").await;
    bench.refuse(1).await;
    let read = |name: &str| std::fs::read(bench.folder.path().join("state").join(name));
    let before = (read("ledger.json").ok(), read("refused.json").ok());
    let mut running = bench.start(Limits::default(), &[]);
    running.hear(&receipt(Event::Stored, 1));
    running.stop().await;
    let mut running = bench.start(Limits::default(), &[("login-failed", TELL, "")]);
    running.hear(&receipt(Event::Refused, 1));
    sleep(Duration::from_millis(100)).await;
    running.stop().await;
    assert_eq!(
        before,
        (read("ledger.json").ok(), read("refused.json").ok())
    );
    assert_eq!(bench.log(), "");
}
