//! What a daemon lives through and a command does not: a disk that fills, a clock that is turned, a password that is
//! wrong for a while. It says so, goes on, and loses nothing. What both live through is in `outages.rs`.
#![cfg(target_os = "linux")]

mod lab;

use lab::{
    Clock, Daemon, Disk, End, Fault, Stage, USERNAME, eventually, in_mounts_of_its_own,
    random_token,
};
use serde_json::Value;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(30);

/// What `status --json` says of the one account.
fn status(stage: &Stage) -> Value {
    let output = stage.program().run(["status", "--json"]).expect_code(0);
    serde_json::from_str(&output.stdout()).expect("one JSON object")
}

/// The token is in the keychain in time.
#[track_caller]
fn is_stored(stage: &Stage, daemon: &Daemon, username: &str, token: &str) {
    eventually(
        username,
        SOON,
        || (stage.stored(username).as_deref() == Some(token)).then_some(()),
        || daemon.log(),
    );
}

#[test]
fn a_full_disk_is_told_and_nothing_is_lost_once_there_is_room_even_across_a_restart() {
    in_mounts_of_its_own(
        "a_full_disk_is_told_and_nothing_is_lost_once_there_is_room_even_across_a_restart",
        || {
            let stage = Stage::new();
            let disk = Disk::mount(&stage.keychain.home().state_folder(), 256);
            let daemon = Daemon::start(&stage);
            let before = stage.deliver_token("before@acme.example");
            daemon.wait_for(": stored", 1);
            assert_eq!(stage.stored("before@acme.example"), Some(before));

            disk.fill();
            let first = stage.deliver_token("first@acme.example");
            daemon.wait_for(": pending", 1);
            assert!(daemon.log().contains("ledger"), "{}", daemon.log());
            assert_eq!(stage.stored("first@acme.example"), None);
            let said = status(&stage);
            assert_eq!(said["state"], "idling", "{said:#}");
            assert_eq!(said["pending"], 1, "{said:#}");

            disk.make_room();
            is_stored(&stage, &daemon, "first@acme.example", &first);
            daemon.wait_for(": stored", 2);

            disk.fill();
            let second = stage.deliver_token("second@acme.example");
            daemon.wait_for(": pending", 2);
            daemon.kill();
            let third = stage.deliver_token("third@acme.example");
            let daemon = Daemon::start(&stage);
            daemon.wait_for(": pending", 2);
            disk.make_room();
            is_stored(&stage, &daemon, "second@acme.example", &second);
            is_stored(&stage, &daemon, "third@acme.example", &third);
            daemon.wait_for(": stored", 2);
            assert_eq!(daemon.log().matches(": stored").count(), 2);
            daemon.stop();
        },
    );
}

/// The clocks are compared every half minute.
#[test]
fn a_clock_that_is_turned_makes_it_connect_again_and_a_date_ahead_of_it_waits_until_then() {
    let stage = Stage::new();
    let (clock, program) = Clock::of(stage.program(), stage.keychain.home());
    let daemon = Daemon::start_with(&program, 1);
    let token = random_token();
    let ahead = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(2);
    let mail = stage.token_mail(USERNAME, &token).date(ahead);
    stage.dovecot.deliver(stage.user, &mail.bytes());
    daemon.wait_for(": pending", 1);
    assert!(daemon.log().contains("ahead of this machine's clock"));
    assert_eq!(stage.stored(USERNAME), None);

    clock.turn("+8h");
    let begin = Instant::now();
    eventually(
        "another connection",
        Duration::from_secs(40),
        || (daemon.log().matches(": watching").count() == 2).then_some(()),
        || daemon.log(),
    );
    println!("connected again after {:.1?}", begin.elapsed());
    is_stored(&stage, &daemon, USERNAME, &token);
    let another = stage.deliver_token("another@acme.example");
    is_stored(&stage, &daemon, "another@acme.example", &another);
    daemon.stop();
}

#[test]
fn a_keychain_that_is_locked_while_mail_comes() {
    let mut stage = Stage::new();
    let daemon = Daemon::start(&stage);
    stage.keychain.lock();
    let token = stage.deliver_token(USERNAME);
    daemon.wait_for(": pending", 1);
    assert_eq!(status(&stage)["pending"], 1);
    stage.keychain.unlock();
    is_stored(&stage, &daemon, USERNAME, &token);
    eventually(
        "nothing waits",
        SOON,
        || (status(&stage)["pending"] == 0).then_some(()),
        || daemon.log(),
    );
    assert_eq!(daemon.log().matches(": stored").count(), 1);
    daemon.stop();
}

#[test]
fn a_password_that_is_refused_until_it_is_right_again_and_the_configuration_is_read_again() {
    let (stage, faults) = Stage::behind_faults();
    let daemon = Daemon::start(&stage);
    stage
        .dovecot
        .set_password(stage.user, "another.Passw0rd-77");
    faults.now(Fault::Cut(End::Close));
    let token = stage.deliver_token(USERNAME);
    let said = eventually(
        "a refused login",
        SOON,
        || Some(status(&stage)).filter(|said| said["state"] == "login-refused"),
        || daemon.log(),
    );
    assert_eq!(said["trouble"]["class"], "login", "{said:#}");
    let connections = faults.connections().len();
    stage.dovecot.set_password(stage.user, stage.user.password);
    assert_eq!(faults.connections().len(), connections, "it is not tried");
    stage.program().run(["reload"]).expect_code(0);
    is_stored(&stage, &daemon, USERNAME, &token);
    daemon.stop();
}
