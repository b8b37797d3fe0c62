//! A daemon on three accounts: what a hostile server and an absent one do for the whole run does not keep the tokens
//! of the third from the keychain.
#![cfg(target_os = "linux")]

mod lab;

use lab::{
    Deliveries, Hostile, INTEGRATION, QUOTES, Random, Resident, Stage, UMLAUT, account, eventually,
    free_port, kept,
};
use serde_json::Value;
use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

/// Mails to the healthy account.
const MAILS: usize = if cfg!(feature = "long-tests") {
    500
} else {
    80
};

const BETWEEN_MAILS: Range<Duration> = Duration::from_millis(0)..Duration::from_millis(800);

/// The usernames that tokens are for, by turns of chance.
const USERNAMES: usize = 5;

/// When the last must be stored: Dovecot takes half a second to announce it.
const SOON: Duration = Duration::from_secs(15);

/// What `status --json` says of an account.
fn status(stage: &Stage, address: &str) -> Value {
    let output = stage.program().run(["status", "--json"]).expect_code(0);
    let text = output.stdout();
    let mut accounts = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let account = accounts.find(|one| one["account"] == address);
    account.unwrap_or_else(|| panic!("no {address}\n{}", output.transcript()))
}

/// The three states, with reasons.
fn all_are_told_apart(stage: &Stage) {
    let healthy = status(stage, INTEGRATION.name);
    let is_watched =
        ["idling", "searching"].contains(&healthy["state"].as_str().unwrap_or_default());
    assert!(is_watched && healthy["trouble"].is_null(), "{healthy:#}");
    assert_eq!(healthy["reconnects"], 0, "{healthy:#}");
    for (user, words) in [(UMLAUT, "server"), (QUOTES, "connection refused")] {
        let account = status(stage, user.name);
        let sentence = account["trouble"]["sentence"].as_str().unwrap_or_default();
        println!(
            "{}: {}, {} reconnects: {sentence}",
            user.name, account["state"], account["reconnects"]
        );
        assert!(sentence.contains(words), "{account:#}");
        assert!(account["stored"].is_null(), "{account:#}");
    }
    assert_eq!(status(stage, QUOTES.name)["state"], "resting");
}

#[test]
fn a_hostile_account_and_an_absent_one_keep_no_token_of_a_third_from_the_keychain() {
    let stage = Stage::new();
    let hostile = Hostile::start();
    let ca = stage.dovecot.ca_file();
    let other = |user, port| account(user, port, "implicit", &ca, &stage.password_file);
    stage.write_config(
        &[
            stage.dovecot.account(INTEGRATION, &stage.password_file),
            other(UMLAUT, hostile.port()),
            other(QUOTES, free_port()),
        ]
        .concat(),
    );
    let mut resident = Resident::start(&stage.program(), Duration::from_mins(15));
    resident.daemon().wait_for("\"message\":\"watching\"", 1);
    let at_start = resident.memory();

    let mut random = Random::new();
    let mut deliveries = Deliveries::default();
    let begin = Instant::now();
    for number in 0..MAILS {
        thread::sleep(random.within(&BETWEEN_MAILS));
        let username = format!("etl-{}@acme.example", random.below(USERNAMES));
        deliveries.deliver(&stage.dovecot, INTEGRATION, &username);
        if number == MAILS / 2 {
            all_are_told_apart(&stage);
        }
    }
    eventually(
        "all tokens",
        SOON,
        || (deliveries.open(&resident.events()) == 0).then_some(()),
        || resident.log(),
    );
    assert_eq!(kept(&stage.keychain), deliveries.newest());
    let at_the_end = resident.memory();
    println!(
        "{} mails in {:.1?}, {} hostile connections; from delivery to the line that says stored: {}",
        deliveries.count(),
        begin.elapsed(),
        hostile.connections(),
        deliveries.latencies(&resident.events())
    );
    println!(
        "start: {at_start}\nend:   {at_the_end}, {:.1?} of processor time",
        resident.processor_time()
    );
    resident.stop();
    deliveries.judge(&resident.events(), &stage.keychain);
    assert!(hostile.connections() >= 3, "it was hardly met");
    assert!(at_the_end.peak < 64 * 1024, "{at_the_end}");
}
