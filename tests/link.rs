//! A network link that goes down and comes up again loses no token. Each test has a network of its own, where the
//! machine lets it make one.
#![cfg(target_os = "linux")]

mod lab;

use lab::{SERVICE, Stage, Subject, USERNAME, Watching, in_a_network_of_its_own};
use std::time::Duration;

/// This token and no other is stored, and the program ends well.
#[track_caller]
fn expect(stage: &Stage, watching: Watching, token: &str) {
    let output = watching.finish(|| stage.stored(USERNAME).as_deref() == Some(token));
    let stored = stage.keychain.usernames(SERVICE);
    assert_eq!(stored, [USERNAME], "{}", output.transcript());
}

fn watch(stage: &Stage, within: Duration) -> Watching {
    Subject::Wait.start(&stage.program(), USERNAME, within)
}

#[test]
fn a_link_that_is_down_for_a_moment_while_the_mail_comes() {
    in_a_network_of_its_own(
        "a_link_that_is_down_for_a_moment_while_the_mail_comes",
        |link| {
            let stage = Stage::new();
            let watching = watch(&stage, Duration::from_secs(40));
            watching.armed();
            link.down();
            let token = stage.deliver_token(USERNAME);
            // The time itself is what is tested: the server announces into the void.
            std::thread::sleep(Duration::from_secs(3));
            assert_eq!(stage.stored(USERNAME), None, "nothing gets through");
            link.up();
            expect(&stage, watching, &token);
        },
    );
}

#[test]
fn a_link_that_is_down_when_the_program_connects() {
    in_a_network_of_its_own("a_link_that_is_down_when_the_program_connects", |link| {
        let stage = Stage::new();
        let token = stage.deliver_token(USERNAME);
        link.down();
        let watching = watch(&stage, Duration::from_secs(50));
        watching.running.stderr_line("Trying again");
        link.up();
        expect(&stage, watching, &token);
    });
}

/// 20 s until the program searches, 15 s until it gives the connection up, and the pauses between its tries.
#[test]
#[cfg(feature = "long-tests")]
fn a_link_that_is_down_until_the_connection_is_given_up() {
    in_a_network_of_its_own(
        "a_link_that_is_down_until_the_connection_is_given_up",
        |link| {
            let stage = Stage::new();
            let watching = watch(&stage, Duration::from_secs(90));
            watching.armed();
            link.down();
            let token = stage.deliver_token(USERNAME);
            watching.running.stderr_line("cannot be reached");
            link.up();
            expect(&stage, watching, &token);
        },
    );
}
