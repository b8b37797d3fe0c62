//! What a start costs until the server has confirmed that it announces new mail, counted on the wire.
#![cfg(target_os = "linux")]

mod lab;

use lab::{Ca, Daemon, Front, Options, SecretService, Stage, USERNAME, Wire, other_mail};
use std::time::Duration;

/// After TCP has connected: TLS 1.3, the greeting (which a server sends only once it has the handshake's last message),
/// AUTHENTICATE, EXAMINE, IDLE.
const ROUND_TRIPS: u32 = 5;

/// Of a server that answers on loopback in some milliseconds: it has no more to say.
const SILENCE: Duration = Duration::from_millis(500);

/// What a start says once IDLE is confirmed.
const ARMED: &str = "the server announces new mail";

/// The ways to start that look for nothing older than they know.
#[derive(Clone, Copy, Debug)]
enum Start {
    /// `wait --from`, with a cursor that `arm` gave.
    From,
    Run,
    /// A daemon that has watched before.
    Daemon,
}

fn stage() -> Stage {
    let options = Options {
        settings: "ssl_min_protocol = TLSv1.3\n".to_owned(),
        ..Options::default()
    };
    let stage = Stage::with(&options, SecretService::start());
    for number in 0..3 {
        stage.dovecot.deliver(stage.user, &other_mail(number));
    }
    stage
}

/// Starts the program, which reaches the server by `port`, and ends it again once `armed` has come back.
fn each_start(stage: &Stage, port: impl Fn() -> u16, mut armed: impl FnMut(Start)) {
    stage.configure("");
    let cursor = stage.program().run(["arm"]).expect_code(0).stdout();
    Daemon::start(stage).stop();
    for start in [Start::From, Start::Run, Start::Daemon] {
        stage.configure_behind(port());
        let arguments: &[&str] = match start {
            Start::From => &["-v", "wait", USERNAME, "--from", cursor.trim()],
            Start::Run => &["-v", "run", USERNAME, "--", "sleep", "2"],
            Start::Daemon => {
                let daemon = Daemon::start(stage);
                armed(start);
                daemon.stop();
                continue;
            }
        };
        let running = stage.program().spawn(arguments);
        running.stderr_line(ARMED);
        armed(start);
    }
}

#[test]
fn a_start_says_what_it_must_and_asks_nothing_that_the_server_has_told() {
    let stage = stage();
    let front = Front::start(stage.dovecot.imap_port(), &Ca::shared().localhost, &[]);
    each_start(
        &stage,
        || front.port(),
        |start| {
            let last = front.conversations().pop().expect("a connection");
            let commands: Vec<String> = last
                .client_lines()
                .iter()
                .map(|line| {
                    let words: Vec<&str> = line.split(' ').skip(1).take(2).collect();
                    words.join(" ")
                })
                .collect();
            assert_eq!(
                commands,
                ["AUTHENTICATE PLAIN", "EXAMINE \"INBOX\"", "IDLE"],
                "{start:?}"
            );
        },
    );
    assert_eq!(front.conversations().len(), 3);
}

#[test]
fn a_start_takes_five_round_trips() {
    let stage = stage();
    let wire = std::cell::RefCell::new(None);
    let lay = || {
        let new = Wire::before(stage.dovecot.imaps_port(), Duration::ZERO);
        let port = new.port();
        *wire.borrow_mut() = Some(new);
        port
    };
    each_start(&stage, lay, |start| {
        let carried = wire.borrow().as_ref().expect("a wire").settled(SILENCE);
        println!("{start:?}: {carried:?}");
        assert_eq!(carried.round_trips, ROUND_TRIPS, "{start:?}: {carried:?}");
    });
}
