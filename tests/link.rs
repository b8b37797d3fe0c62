//! A network link that goes down and comes up again loses no token. Each test has a network of its own, where the
//! machine lets it make one.
#![cfg(target_os = "linux")]

mod lab;

use lab::{Stage, Subject, USERNAME, in_a_network_of_its_own};
use std::time::Duration;

#[test]
fn a_link_that_is_down_for_a_moment_while_the_mail_comes() {
    in_a_network_of_its_own(
        "a_link_that_is_down_for_a_moment_while_the_mail_comes",
        |link| {
            for subject in Subject::ALL {
                let stage = Stage::new();
                let watching = stage.watch(subject, Duration::from_secs(40));
                watching.armed();
                link.down();
                let token = stage.deliver_token(USERNAME);
                // The time itself is what is tested: the server announces into the void.
                std::thread::sleep(Duration::from_secs(3));
                assert_eq!(stage.stored(USERNAME), None, "nothing gets through");
                link.up();
                stage.expect(watching, &token);
            }
        },
    );
}

#[test]
fn a_link_that_is_down_when_the_program_connects() {
    in_a_network_of_its_own("a_link_that_is_down_when_the_program_connects", |link| {
        for subject in Subject::ALL {
            let stage = Stage::new();
            let token = stage.deliver_token(USERNAME);
            link.down();
            let watching = stage.watch(subject, Duration::from_secs(50));
            watching.in_trouble();
            link.up();
            stage.expect(watching, &token);
        }
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
            let watching = stage.watch(Subject::Wait, Duration::from_secs(90));
            watching.armed();
            link.down();
            let token = stage.deliver_token(USERNAME);
            watching.running.stderr_line("cannot be reached");
            link.up();
            stage.expect(watching, &token);
        },
    );
}
