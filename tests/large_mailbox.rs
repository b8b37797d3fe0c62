//! A mailbox of 100,000 mails costs what its recent mails cost, counted on the wire.
#![cfg(target_os = "linux")]

mod lab;

use lab::{Ca, Front, Options, SecretService, Stage, USERNAME, account, other_mail};
use std::time::{Duration, SystemTime};

const MAILS: usize = 100_000;

/// Mails of the last minutes that are no token mails.
const RECENT: usize = 20;

/// What the issue allows for a look-back of ten minutes.
const COMMANDS: usize = 12;
const OCTETS: usize = 64 * 1024;

const YEAR: Duration = Duration::from_hours(24 * 365);

#[test]
fn a_look_back_in_a_mailbox_of_100_000_mails_is_bounded() {
    let stage = Stage::with(&Options::default(), SecretService::start());
    let inbox = stage.dovecot.inbox(stage.user);
    let now = SystemTime::now();
    inbox.fill(
        MAILS,
        now - 5 * YEAR,
        now - Duration::from_hours(24),
        other_mail,
    );
    for number in 0..RECENT {
        let age = Duration::from_secs(20 * number as u64);
        inbox.deliver_dated(&other_mail(MAILS + number), now - age);
    }
    let token = stage.deliver_token(USERNAME);
    // Dovecot's first look at the folder makes its index; that is no cost of ours.
    let opened = stage.dovecot.peer(stage.user).command("EXAMINE INBOX");
    let all = format!("* {} EXISTS", MAILS + RECENT + 1);
    assert!(opened.contains(&all), "{opened:?}");

    for (hidden, way) in [
        (&[][..], "SEARCH YOUNGER"),
        (&["WITHIN"], "by sequence number"),
    ] {
        let front = Front::start(stage.dovecot.imap_port(), &Ca::shared().localhost, hidden);
        let config = account(
            stage.user,
            front.port(),
            "implicit",
            &stage.dovecot.ca_file(),
            &stage.password_file,
        );
        stage.write_config(&config);
        stage
            .program()
            .run(["wait", USERNAME, "--since", "10m", "--timeout", "50s"])
            .expect_code(0);
        assert_eq!(stage.stored(USERNAME), Some(token.clone()));
        let conversation = &front.conversations()[0];
        let (commands, octets) = (conversation.commands(), conversation.from_server.len());
        println!("{way}: {commands} commands, {octets} octets received");
        assert!(commands <= COMMANDS, "{:?}", conversation.client_lines());
        assert!(octets <= OCTETS, "{octets} octets");
    }
}
