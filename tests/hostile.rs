//! The whole program against mail servers that stick to a script: what must hold before TLS, and the order in
//! which a mailbox is watched.
#![cfg(target_os = "linux")]

mod lab;

use std::time::Instant;

use fetch_token::imap::Cursor;
use lab::{GREETING, INTEGRATION, Output, Scripted, remembering, sound};

/// SASL PLAIN of [`INTEGRATION`].
fn sasl_response() -> String {
    use base64::Engine as _;
    let plain = format!("\0{}\0{}", INTEGRATION.name, INTEGRATION.password);
    base64::prelude::BASE64_STANDARD.encode(plain)
}

/// Nothing that only the mailbox's owner may see was said.
#[track_caller]
fn shows_no_secret(output: &Output) {
    for secret in [INTEGRATION.password, &sasl_response(), "SecretInAMail7"] {
        let transcript = output.transcript();
        assert!(
            !transcript.contains(secret),
            "{secret} is shown\n{transcript}"
        );
    }
}

/// The client said nothing that holds a password.
#[track_caller]
fn heard_no_secret(server: &Scripted) {
    for line in server.lines() {
        assert!(
            !line.text.contains(&sasl_response()) && !line.text.contains(INTEGRATION.password),
            "{line:?}"
        );
    }
}

#[test]
fn what_follows_starttls_in_clear_text_ends_the_connection() {
    for smuggled in ["* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello\r\n", "x"] {
        let server = Scripted::plain("* OK ready\r\n", move |_, _, tag| {
            format!("{tag} OK go ahead\r\n{smuggled}")
        });
        let output = server.run("starttls", &["--timeout", "2s"]).expect_code(4);
        assert!(
            output.stderr().contains("between STARTTLS and TLS"),
            "{}",
            output.transcript()
        );
        assert_eq!(server.commands(0), ["STARTTLS"]);
        heard_no_secret(&server);
    }
}

#[test]
fn a_server_that_greets_with_preauth_is_refused_before_tls_and_after() {
    let server = Scripted::plain("* PREAUTH welcome\r\n", |_, _, tag| format!("{tag} OK\r\n"));
    let output = server.run("starttls", &["--timeout", "2s"]).expect_code(4);
    assert!(
        output.stderr().contains("before TLS"),
        "{}",
        output.transcript()
    );
    assert!(server.lines().is_empty(), "{:?}", server.lines());

    let server = Scripted::tls("* PREAUTH welcome\r\n", |_, command, tag| {
        sound(command, tag)
    });
    let output = server.run("implicit", &["--timeout", "2s"]).expect_code(4);
    assert!(
        output.stderr().contains("logged in already"),
        "{}",
        output.transcript()
    );
    assert!(server.lines().is_empty(), "{:?}", server.lines());
}

#[test]
fn a_server_without_starttls_gets_no_password() {
    for answer in ["BAD unknown command", "NO not today", "PREAUTH"] {
        let server = Scripted::plain(GREETING, move |_, _, tag| format!("{tag} {answer}\r\n"));
        server.run("starttls", &["--timeout", "2s"]).expect_code(4);
        assert!(
            server
                .commands(0)
                .iter()
                .all(|command| command == "STARTTLS")
        );
        heard_no_secret(&server);
    }
}

#[test]
fn endless_talk_before_tls_ends_the_connection() {
    let server = Scripted::plain("* OK ready\r\n", |_, _, _| "x".repeat(1_000_000));
    let output = server.run("starttls", &["--timeout", "2s"]).expect_code(4);
    assert!(
        output.stderr().contains("without end"),
        "{}",
        output.transcript()
    );
    let server = Scripted::plain("* OK ready\r\n", |_, _, _| "* OK wait\r\n".repeat(100_000));
    let output = server.run("starttls", &["--timeout", "2s"]).expect_code(4);
    assert!(
        output.stderr().contains("before TLS"),
        "{}",
        output.transcript()
    );
}

#[test]
fn the_folder_is_searched_before_idle_and_after_and_the_log_shows_no_secret() {
    let mail = "From: a@b.example\r\nSubject: SecretInAMail7\r\n\r\nSecretInAMail7\r\n";
    let server = Scripted::tls(
        GREETING,
        remembering(move |_, command, tag| {
            Some(match command {
                // A mail comes while IDLE is set up the first time.
                "IDLE" if tag == "f4" => "* 11 EXISTS\r\n+ idling\r\n".to_owned(),
                command if command.starts_with("UID FETCH 100:*") => format!(
                    "* 11 FETCH (UID 100 RFC822.SIZE {0} INTERNALDATE \"24-Nov-2026 10:00:00 +0000\" BODY[]<0> {{{0}}}\r\n{mail})\r\n{tag} OK\r\n",
                    mail.len()
                ),
                _ => return None,
            })
        }),
    );
    let output = server
        .run("implicit", &["-vvv", "--timeout", "4s"])
        .expect_code(3);
    assert_eq!(
        server.commands(0),
        [
            "AUTHENTICATE",
            "EXAMINE \"INBOX\"",
            "UID SEARCH YOUNGER 600",
            "IDLE",
            "DONE",
            "UID FETCH 100:* (UID RFC822.SIZE INTERNALDATE BODY.PEEK[]<0.65536>)",
            "IDLE",
            "DONE",
            "LOGOUT",
        ]
    );
    shows_no_secret(&output);
}

#[test]
fn a_silent_idle_is_ended_by_a_search_after_20_s() {
    let server = Scripted::tls(GREETING, remembering(|_, _, _| None::<String>));
    server.run("implicit", &["--timeout", "23s"]).expect_code(3);
    let lines = server.lines();
    let at = |command: &str| {
        lines
            .iter()
            .find(|line| line.command() == command)
            .expect("the command")
            .at
    };
    let silence = at("UID FETCH 100:* (UID)") - at("IDLE");
    assert!((19..23).contains(&silence.as_secs()), "{silence:?}");
    let commands = server.commands(0);
    assert_eq!(
        commands[3..],
        [
            "IDLE",
            "DONE",
            "LIST \"\" \"*\"",
            "IDLE",
            "DONE",
            "UID FETCH 100:* (UID)",
            "IDLE",
            "DONE",
            "LOGOUT"
        ],
        "and it idles again, here and after the question for the junk folder"
    );
}

#[test]
fn a_server_that_refuses_idle_is_asked_every_5_s_on_the_same_connection() {
    let server = Scripted::tls(
        GREETING,
        remembering(|_, command, tag| {
            (command == "IDLE").then(|| format!("{tag} NO not here\r\n"))
        }),
    );
    server.run("implicit", &["--timeout", "12s"]).expect_code(3);
    let commands = server.commands(0);
    assert_eq!(
        commands.iter().filter(|command| *command == "IDLE").count(),
        1,
        "{commands:?}"
    );
    assert_eq!(
        commands
            .iter()
            .filter(|command| *command == "UID FETCH 100:* (UID)")
            .count(),
        2,
        "{commands:?}"
    );
    assert!(server.commands(1).is_empty());
}

#[test]
fn a_server_that_never_answers_idle_is_polled_after_connecting_again() {
    let server = Scripted::tls(
        GREETING,
        remembering(|_, command, _| (command == "IDLE").then(String::new)),
    );
    server.run("implicit", &["--timeout", "26s"]).expect_code(3);
    let commands = server.commands(1);
    assert!(
        !commands.iter().any(|command| command == "IDLE"),
        "{commands:?}"
    );
    assert!(
        commands
            .iter()
            .any(|command| command == "UID FETCH 100:* (UID)"),
        "{commands:?}"
    );
}

#[test]
fn a_mail_that_is_announced_and_not_there_is_looked_for_after_1_2_and_5_s() {
    let server = Scripted::tls(
        GREETING,
        remembering(|_, command, tag| {
            (command == "IDLE" && tag == "f4").then(|| "+ idling\r\n* 11 EXISTS\r\n".to_owned())
        }),
    );
    server.run("implicit", &["--timeout", "12s"]).expect_code(3);
    let searches: Vec<Instant> = server
        .lines()
        .iter()
        .filter(|line| line.command().starts_with("UID FETCH 100:*"))
        .map(|line| line.at)
        .collect();
    let pauses: Vec<u64> = searches
        .windows(2)
        .map(|two| (two[1] - two[0]).as_secs())
        .collect();
    assert_eq!(pauses, [1, 2, 5]);
}

#[test]
fn a_folder_that_was_renumbered_is_looked_back_over() {
    let cursor = |uid_validity, uid_next| {
        Cursor {
            account: INTEGRATION.name.to_owned(),
            folder: "INBOX".to_owned(),
            uid_validity,
            uid_next,
            taken: jiff::Timestamp::now() - jiff::SignedDuration::from_mins(30),
        }
        .to_string()
    };
    for (cursor, search) in [
        // Since the cursor was taken half an hour ago, and two minutes more: 1920 s, and those that the start took.
        (cursor(6, 100), Some("UID SEARCH YOUNGER 192")),
        (
            cursor(7, 90),
            Some(
                "UID FETCH 90:* (UID RFC822.SIZE INTERNALDATE BODY.PEEK[HEADER.FIELDS (FROM SUBJECT)]<0.4096>)",
            ),
        ),
        (cursor(7, 100), None),
    ] {
        let server = Scripted::tls(GREETING, remembering(|_, _, _| None::<String>));
        server
            .run("implicit", &["--timeout", "2s", "--from", &cursor])
            .expect_code(3);
        let mut expected = vec!["AUTHENTICATE", "EXAMINE \"INBOX\""];
        expected.extend(search);
        expected.push("IDLE");
        let commands = server.commands(0);
        assert!(
            commands
                .iter()
                .zip(&expected)
                .all(|(said, begin)| said.starts_with(begin))
                && commands.len() >= expected.len(),
            "{commands:?}"
        );
    }
}

#[test]
fn a_doubtful_refusal_is_final_when_said_twice_also_with_trouble_between() {
    let server = Scripted::tls(GREETING, |connection, _, tag| match connection {
        1 => "* BYE busy\r\n".to_owned(),
        _ => format!("{tag} NO LOGIN failed.\r\n"),
    });
    server.run("implicit", &["--timeout", "20s"]).expect_code(5);
    let logins = server
        .lines()
        .iter()
        .filter(|line| line.command() == "AUTHENTICATE")
        .count();
    assert_eq!(logins, 3, "two refusals and the one between");
}

#[test]
fn a_connection_that_ends_is_made_again_and_the_gap_is_searched() {
    let server = Scripted::tls(
        GREETING,
        remembering(|connection, command, tag| match (connection, command) {
            (0, "IDLE") => Some("+ idling\r\n* BYE see you\r\n".to_owned()),
            (1, "EXAMINE \"INBOX\"") => Some(format!(
                "* 11 EXISTS\r\n* OK [UIDVALIDITY 7]\r\n* OK [UIDNEXT 101]\r\n{tag} OK\r\n"
            )),
            _ => None,
        }),
    );
    server.run("implicit", &["--timeout", "5s"]).expect_code(3);
    let commands = server.commands(1);
    assert_eq!(
        commands[..4],
        [
            "AUTHENTICATE",
            "EXAMINE \"INBOX\"",
            "UID FETCH 100:* (UID RFC822.SIZE INTERNALDATE BODY.PEEK[HEADER.FIELDS (FROM SUBJECT)]<0.4096>)",
            "IDLE"
        ]
    );
}
