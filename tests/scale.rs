//! What an account costs the daemon beside the first, counted while nothing happens.
#![cfg(target_os = "linux")]

mod lab;

use lab::{Ca, Daemon, GREETING, Home, Program, Scripted, User, account, eventually, remembering};
use std::fmt::Write as _;
use std::fs;
use std::time::Duration;

/// Most resident memory an account may cost, in KiB: the connection's TLS state, its buffers, the watch and the file
/// that its mails are recorded in. Futures are twice as large without optimization; 91 KiB were seen.
const AN_ACCOUNT: u64 = if cfg!(debug_assertions) { 128 } else { 64 };

/// How many accounts there are beside the first.
const MORE: u64 = 100;

#[test]
fn an_account_more_costs_some_kib_and_no_thread() {
    let server = Scripted::tls(GREETING, remembering(|_, _, _| None::<String>));
    let home = Home::new();
    let ca = home.path().join("ca.pem");
    Ca::shared().write_to(&ca);
    let password = home.write_private("password", "Any.Will-D0");
    let configure = |accounts: u64| {
        let mut config = String::new();
        for number in 0..accounts {
            let user = User {
                name: Box::leak(format!("user{number}@acme.example").into_boxed_str()),
                password: "",
            };
            write!(
                config,
                "{}",
                account(user, server.port(), "implicit", &ca, &password)
            )
            .expect("text");
        }
        home.write_config(&config);
    };
    let program = Program::new(env!("CARGO_BIN_EXE_fetch-token")).at_home(&home);
    configure(1);
    let daemon = Daemon::start_with(&program, 1);
    let one = Cost::of(daemon.pid());
    configure(1 + MORE);
    program.run(["reload"]).expect_code(0);
    daemon.wait_for("watching", usize::try_from(1 + MORE).expect("few"));
    let all = Cost::of(daemon.pid());
    let each = all.memory.saturating_sub(one.memory) / MORE;
    println!("one account: {one:?}; {MORE} more: {all:?}; {each} KiB each");
    assert!(each <= AN_ACCOUNT, "{each} KiB an account");
    eventually(
        "the threads to end that resolved the names",
        Duration::from_secs(30),
        || (Cost::of(daemon.pid()).threads <= one.threads).then_some(()),
        || format!("{:?}", Cost::of(daemon.pid())),
    );
    daemon.stop();
}

#[derive(Debug)]
struct Cost {
    /// Resident and its own, in KiB: the program itself is read in page by page, whenever a page is needed first.
    memory: u64,
    threads: u64,
}

impl Cost {
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
