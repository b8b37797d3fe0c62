//! The daemon keeps its session with the Secret Service from one write to the next, and must notice where the service
//! behind it is no longer the same.
#![cfg(target_os = "linux")]

mod lab;

use lab::{Daemon, Stage, USERNAME, eventually};
use std::time::Duration;

#[test]
fn a_service_that_was_started_anew_gets_the_next_token() {
    let mut stage = Stage::new();
    let daemon = Daemon::start(&stage);
    stores(&stage);
    stores(&stage);
    stage.keychain.stop_keyring();
    stage.keychain.start_keyring();
    stores(&stage);
    stage.keychain.kill_keyring();
    stage.keychain.start_keyring();
    stores(&stage);
    daemon.stop();
}

/// The next token is stored.
#[track_caller]
fn stores(stage: &Stage) {
    let token = stage.deliver_token(USERNAME);
    eventually(
        "the token",
        Duration::from_secs(20),
        || (stage.stored(USERNAME)? == token).then_some(()),
        || format!("{:?}", stage.keychain.items(lab::SERVICE, USERNAME)),
    );
}
