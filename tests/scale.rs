//! Many accounts: what each costs a daemon that has some, counted while nothing happens, and how they begin.
#![cfg(target_os = "linux")]

mod lab;

use lab::{
    Ca, Daemon, GREETING, Home, Program, Scripted, User, account, eventually, remembering, require,
    sound,
};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use std::{fs, thread};

/// Most resident memory an account may cost, in KiB: the connection's TLS state, its buffers, the watch and the file
/// that its mails are recorded in. Half of it is OpenSSL's. 45 to 48 KiB were seen without optimization, which makes
/// futures larger.
const AN_ACCOUNT: u64 = if cfg!(debug_assertions) { 56 } else { 48 };

/// How many accounts are added to as many.
const MORE: usize = 100;

/// Most threads of a daemon at rest, however many its accounts are: its own, and those that wait some seconds more for
/// work that blocks.
const THREADS: u64 = 3;

const PROGRAM: &str = env!("CARGO_BIN_EXE_fetch-token");

/// Logins at one server that go on at once, at most.
const TURNS: usize = 32;

#[test]
fn an_account_more_costs_some_kib_and_no_thread() {
    let server = Scripted::tls(GREETING, remembering(|_, _, _| None::<String>));
    let site = Site::new(&server);
    site.configure(MORE);
    let daemon = Daemon::start_with(&site.program, MORE);
    let some = Cost::at_rest(daemon.pid());
    site.configure(2 * MORE);
    site.program.run(["reload"]).expect_code(0);
    daemon.wait_for("watching", 2 * MORE);
    let more = Cost::at_rest(daemon.pid());
    let each = more.memory.saturating_sub(some.memory) / MORE as u64;
    println!("{MORE} accounts: {some:?}; {MORE} more: {more:?}; {each} KiB each");
    assert!(each <= AN_ACCOUNT, "{each} KiB an account");
    daemon.stop();
}

#[test]
fn accounts_of_one_server_log_in_by_turns() {
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (entering, peak) = (Arc::clone(&now), Arc::clone(&most));
    let server = Scripted::tls(GREETING, move |_, command, tag| {
        if command.starts_with("AUTHENTICATE") {
            let at_once = 1 + entering.fetch_add(1, Ordering::SeqCst);
            peak.fetch_max(at_once, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(50));
            entering.fetch_sub(1, Ordering::SeqCst);
        }
        sound(command, tag)
    });
    let site = Site::new(&server);
    site.configure(MORE);
    let daemon = Daemon::start_with(&site.program, MORE);
    daemon.stop();
    let most = most.load(Ordering::SeqCst);
    assert!((2..=TURNS).contains(&most), "{most} logins at once");
}

#[test]
fn the_daemon_asks_for_the_descriptors_that_its_accounts_want() {
    let server = Scripted::tls(GREETING, remembering(|_, _, _| None::<String>));
    let site = Site::new(&server);
    site.configure(MORE);
    let daemon = site.limited("64:4096");
    daemon.wait_for("watching", MORE);
    assert!(!daemon.log().contains("open files"), "{}", daemon.log());
    daemon.stop();
}

#[test]
fn where_the_system_lets_it_have_too_few_it_says_what_to_do() {
    let server = Scripted::tls(GREETING, remembering(|_, _, _| None::<String>));
    let site = Site::new(&server);
    site.configure(1);
    let daemon = site.limited("64:128");
    daemon.wait_for("LimitNOFILE=", 1);
    daemon.wait_for("watching", 1);
    daemon.stop();
}

/// A home whose accounts are at one server.
struct Site {
    home: Home,
    program: Program,
    port: u16,
    ca: PathBuf,
    password: PathBuf,
}

impl Site {
    fn new(server: &Scripted) -> Self {
        let home = Home::new();
        let ca = home.path().join("ca.pem");
        Ca::shared().write_to(&ca);
        Self {
            password: home.write_private("password", "Any.Will-D0"),
            program: Program::new(PROGRAM).at_home(&home),
            port: server.port(),
            ca,
            home,
        }
    }

    fn configure(&self, accounts: usize) {
        let mut config = String::new();
        for number in 0..accounts {
            let user = User {
                name: Box::leak(format!("user{number}@acme.example").into_boxed_str()),
                password: "",
            };
            config += &account(user, self.port, "implicit", &self.ca, &self.password);
        }
        self.home.write_config(&config);
    }

    /// A daemon that begins with these limits of its open files, the soft one and the hard one.
    fn limited(&self, limits: &str) -> Daemon {
        let prlimit = Program::new(require("prlimit", "util-linux"))
            .at_home(&self.home)
            .env("RUST_LOG", "info");
        Daemon::with(&prlimit, [&format!("--nofile={limits}"), PROGRAM, "daemon"])
    }
}

#[derive(Debug)]
struct Cost {
    /// Resident and its own, in KiB: the program itself is read in page by page, whenever a page is needed first.
    memory: u64,
    threads: u64,
}

impl Cost {
    /// Once the threads have ended that resolved names. They are no cost of an account: how many they are depends on how
    /// busy the machine is.
    fn at_rest(pid: u32) -> Self {
        eventually(
            "the threads to end that resolved the names",
            Duration::from_secs(30),
            || Some(Self::of(pid)).filter(|cost| cost.threads <= THREADS),
            || format!("{:?}", Self::of(pid)),
        )
    }

    fn of(pid: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let number = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name));
            let number = line.and_then(|line| line.split_whitespace().nth(1));
            number.expect("a number").parse::<u64>().expect("a number")
        };
        Self {
            memory: number("RssAnon:"),
            threads: number("Threads:"),
        }
    }
}
