//! The process ends at whatever instant: no token is lost, and none counts as newer than it is.
#![cfg(target_os = "linux")]

mod lab;

use lab::{Stage, USERNAME, random_token};
use std::thread;
use std::time::Duration;

/// Kills at random instants.
const KILLS: u64 = 100;

#[test]
fn a_process_that_ends_between_any_two_steps_leaves_what_the_next_goes_on_from() {
    let stage = Stage::new();
    for place in ["judged", "intent", "kept", "committed"] {
        let username = format!("{place}@acme.example");
        let token = stage.deliver_token(&username);
        let program = stage.program().env("FETCH_TOKEN_CRASH_AT", place);
        let crashed = program.run(["wait", &username, "--timeout", "20s"]);
        assert_eq!(
            crashed.status.code(),
            None,
            "{place}: {}",
            crashed.transcript()
        );
        stage
            .program()
            .run(["wait", &username, "--timeout", "20s"])
            .expect_code(0);
        assert_eq!(stage.stored(&username), Some(token), "{place}");

        // An older mail that comes now does not count, wherever the newer one was interrupted.
        let older = stage
            .token_mail(&username, &random_token())
            .date(jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1));
        let cursor = stage.program().run(["arm"]).expect_code(0).stdout();
        stage.dovecot.deliver(stage.user, &older.bytes());
        stage
            .program()
            .run(["wait", "--timeout", "2s", "--from", cursor.trim()])
            .expect_code(7);
    }
}

#[test]
fn an_older_mail_does_not_take_the_place_of_a_newer_one_that_was_interrupted() {
    let stage = Stage::new();
    let newer = stage.deliver_token(USERNAME);
    let program = stage.program().env("FETCH_TOKEN_CRASH_AT", "intent");
    program.run(["wait", "--timeout", "20s"]);
    assert_eq!(stage.stored(USERNAME), None);
    let cursor = stage.program().run(["arm"]).expect_code(0).stdout();
    let older = stage
        .token_mail(USERNAME, &random_token())
        .date(jiff::Timestamp::now() - jiff::SignedDuration::from_mins(5));
    stage.dovecot.deliver(stage.user, &older.bytes());
    stage
        .program()
        .run(["wait", "--timeout", "2s", "--from", cursor.trim()])
        .expect_code(7);
    assert_eq!(stage.stored(USERNAME), None);
    stage
        .program()
        .run(["wait", "--timeout", "20s"])
        .expect_code(0);
    assert_eq!(stage.stored(USERNAME), Some(newer));
}

#[test]
fn a_hundred_kills_at_random_instants_lose_nothing() {
    let stage = Stage::new();
    let mut finished = 0;
    for number in 0..KILLS {
        let username = format!("kill-{number}@acme.example");
        let cursor = stage.program().run(["arm"]).expect_code(0).stdout();
        let wait = [
            "wait",
            &username,
            "--timeout",
            "20s",
            "--from",
            cursor.trim(),
        ];
        let token = stage.deliver_token(&username);
        let running = stage.program().spawn(wait);
        // A whole run takes about a tenth of a second; a fixed sequence that jumps about in it.
        thread::sleep(Duration::from_micros((number * 7_919) % 130 * 1_000));
        running.signal("KILL");
        finished += u64::from(running.wait().status.code() == Some(0));
        stage.program().run(wait).expect_code(0);
        assert_eq!(stage.stored(&username), Some(token), "{username}");
    }
    println!("{KILLS} kills, {finished} after the end");
    assert!(
        finished < KILLS / 2,
        "most kills must hit a running process"
    );
}
