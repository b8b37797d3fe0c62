//! `fetch-token doctor`: each link between us and a mailbox is broken in turn; it is named, with what to do, and those
//! behind it are not tried.
#![cfg(target_os = "linux")]

mod lab;

use lab::doctor::{BEHIND_THE_NAME, at, doctor, is_broken, replace, shown};
use lab::{
    Ca, Certificate, Dovecot, GREETING, INTEGRATION, Options, Scripted, SecretService, Security,
    Stage, capability, free_port, remembering,
};
use std::fs;
use std::time::Duration;

#[test]
fn a_server_that_takes_no_append_proves_nothing_and_is_not_blamed() {
    let server = Scripted::tls(
        GREETING,
        remembering(|_, command, tag| {
            command
                .starts_with("APPEND")
                .then(|| format!("{tag} NO [NOPERM] read-only\r\n"))
        }),
    );
    let (_home, program) = at(server.port(), "implicit");
    let output = doctor(&program, ["--send-test"]).expect_code(6);
    let (line, advice) = shown(&output, "test-mail");
    assert!(
        line.starts_with("– test-mail the server takes no APPEND"),
        "{line}"
    );
    assert!(line.contains("read-only"), "{line}");
    assert!(advice.starts_with("Send a mail to yourself"), "{advice}");
}

#[test]
fn a_server_that_idles_and_announces_nothing_is_told_to_be_polled() {
    let server = Scripted::tls(
        "* OK [CAPABILITY IMAP4rev1 SASL-IR IDLE UIDPLUS AUTH=PLAIN] ready\r\n",
        remembering(|_, command, tag| {
            let word = command.split(' ').next().unwrap_or_default();
            match (word, tag) {
                ("AUTHENTICATE", _) => Some(format!(
                    "{tag} OK [CAPABILITY IMAP4rev1 IDLE UIDPLUS] in\r\n"
                )),
                ("APPEND", _) => Some("+ go on\r\n".to_owned()),
                // The mail's last line. APPEND was the second command.
                (_, "announced.") => Some("f2 OK [APPENDUID 7 100] taken\r\n".to_owned()),
                _ if !tag.starts_with('f') => Some(String::new()),
                _ => None,
            }
        }),
    );
    let (_home, program) = at(server.port(), "implicit");
    let output = doctor(&program, ["--send-test"]);
    let (line, _) = shown(&output, "test-mail");
    assert!(line.starts_with('✗'), "{}", output.transcript());
    is_broken(
        &output,
        "test-mail",
        "a new mail was not announced within 15 s; deleted by its UID",
        "Set `idle = false`",
        &[],
    );
    output.expect_code(4);
    let lines = server.lines();
    let commands: Vec<_> = lines.iter().map(lab::Line::command).collect();
    assert!(commands.contains(&"UID EXPUNGE 100"), "{commands:?}");
    let place = |wanted: &str| commands.iter().rposition(|line| line.starts_with(wanted));
    assert!(place("IDLE") < place("APPEND"), "{commands:?}");
}

#[test]
fn a_server_that_does_not_tell_the_test_mails_uid_is_asked_for_its_message_id() {
    let server = Scripted::tls(
        GREETING,
        remembering(|_, command, tag| {
            let word = command.split(' ').next().unwrap_or_default();
            match (word, tag) {
                ("AUTHENTICATE", _) => Some(format!(
                    "{tag} OK [CAPABILITY IMAP4rev1 IDLE UIDPLUS] in\r\n"
                )),
                ("IDLE", _) => Some("+ idling\r\n* 11 EXISTS\r\n".to_owned()),
                ("APPEND", _) => Some("+ go on\r\n".to_owned()),
                (_, "announced.") => Some("f2 OK taken\r\n".to_owned()),
                _ if !tag.starts_with('f') => Some(String::new()),
                _ if command.starts_with("UID SEARCH HEADER Message-ID \"<doctor-") => {
                    Some(format!("* SEARCH 100\r\n{tag} OK\r\n"))
                }
                _ if command == "UID FETCH 100 (UID)" => {
                    Some(format!("* 11 FETCH (UID 100)\r\n{tag} OK\r\n"))
                }
                _ => None,
            }
        }),
    );
    let (_home, program) = at(server.port(), "implicit");
    let output = doctor(&program, ["--send-test"]).expect_code(6);
    let (line, _) = shown(&output, "test-mail");
    assert!(line.starts_with("✓ test-mail announced "), "{line}");
    let lines = server.lines();
    let is_expunged = |line: &lab::Line| line.command() == "UID EXPUNGE 100";
    assert!(lines.iter().any(is_expunged), "{lines:?}");
}

#[test]
fn a_name_that_does_not_exist_is_4_and_nothing_behind_it_is_tried() {
    let (home, program) = at(1, "implicit");
    replace(
        &home.config_file(),
        "\"localhost\"",
        "\"no-such-host.invalid\"",
    );
    let output = doctor(&program, []).expect_code(4);
    is_broken(
        &output,
        "name",
        "the name no-such-host.invalid cannot be resolved (",
        "Check `host` in the configuration and the network",
        &BEHIND_THE_NAME,
    );
}

#[test]
fn a_closed_port_is_4() {
    let port = free_port();
    let (_home, program) = at(port, "implicit");
    let output = doctor(&program, []).expect_code(4);
    let words = format!("localhost port {port} cannot be reached (connection refused)");
    let advice = "Check `host` and `port`, and that no firewall stands between";
    is_broken(&output, "tcp", &words, advice, &BEHIND_THE_NAME[1..]);
}

#[test]
fn silent_servers_are_given_up_side_by_side() {
    let mute = |security| Scripted::start(security, "", lab::silent);
    let (tls, greeting) = (
        mute(Security::Mute),
        mute(Security::Implicit(&Ca::shared().localhost)),
    );
    let (home, program) = at(tls.port(), "implicit");
    let one = fs::read_to_string(home.config_file()).expect("the configuration");
    let other = one
        .replace(INTEGRATION.name, "other@acme.example")
        .replace(&tls.port().to_string(), &greeting.port().to_string());
    home.write_config(&format!("{one}{other}"));
    let output = doctor(&program, []).expect_code(4);
    assert!(
        output.elapsed < Duration::from_secs(40),
        "{:?}",
        output.elapsed
    );
    is_broken(
        &output,
        "tls",
        "the server did not finish the TLS handshake within 15 s",
        "port 993 wants",
        &BEHIND_THE_NAME[2..],
    );
    let second = output.stdout();
    let (_, second) = second
        .split_once("\nother@acme.example\n")
        .expect("the other account");
    assert!(
        second
            .contains("✗ greeting            the server did not finish the greeting within 15 s\n"),
        "{second}"
    );
    // With one account only the other is not tried.
    let output = doctor(&program, ["--account", "other@acme.example"]).expect_code(4);
    assert!(!output.stdout().contains(INTEGRATION.name));
    doctor(&program, ["--account", "nobody@acme.example"]).expect_code(2);
}

#[test]
fn a_certificate_that_is_refused_is_shown_with_its_names_and_days() {
    for (certificate, words, shows, advice) in [
        (
            Certificate::Elsewhere,
            "no trusted TLS connection to localhost: its certificate is for another host",
            "It shows a certificate for “imap.elsewhere.example” from “CN=fetch-token test lab CA”, 29 days left",
            "Set `host` to the name that the certificate carries",
        ),
        (
            Certificate::Expired,
            "no trusted TLS connection to localhost: its certificate has expired",
            "from “CN=fetch-token test lab CA”, ended on 20",
            "check this machine's clock",
        ),
    ] {
        let dovecot = Dovecot::start(&Options {
            certificate,
            ..Options::default()
        });
        for (port, tls) in [
            (dovecot.imaps_port(), "implicit"),
            (dovecot.imap_port(), "starttls"),
        ] {
            let (_home, program) = at(port, tls);
            let output = doctor(&program, []).expect_code(4);
            is_broken(&output, "tls", words, advice, &BEHIND_THE_NAME[3..]);
            assert!(
                shown(&output, "tls").0.contains(shows),
                "{}",
                output.transcript()
            );
            assert!(!dovecot.log().contains("Login:"), "nothing is said over it");
        }
    }
}

#[test]
fn an_authority_that_nobody_knows_is_4_and_ca_file_is_named() {
    let dovecot = Dovecot::start_default();
    let (home, program) = at(dovecot.imaps_port(), "implicit");
    Ca::new("somebody else").write_to(&home.path().join("ca.pem"));
    let output = doctor(&program, []).expect_code(4);
    let words = "no trusted TLS connection to localhost: its certificate comes from an authority that this machine does not know";
    is_broken(
        &output,
        "tls",
        words,
        "name its PEM file with `ca_file`",
        &BEHIND_THE_NAME[2..],
    );
    assert!(
        shown(&output, "tls")
            .0
            .contains("from “CN=fetch-token test lab CA”")
    );
}

#[test]
fn a_server_of_another_protocol_is_4_and_its_words_are_escaped() {
    let server = Scripted::tls("220 mail\u{1b}[2J ready\r\n", lab::silent);
    let (_home, program) = at(server.port(), "implicit");
    let output = doctor(&program, []).expect_code(4);
    let words = "the server misbehaves: it does not greet as an IMAP server does";
    is_broken(
        &output,
        "greeting",
        words,
        "Check `host` and `port`",
        &BEHIND_THE_NAME[3..],
    );

    let long = "a".repeat(500);
    let server = Scripted::tls(format!("* BYE \u{1b}[2J{long}\r\n"), lab::silent);
    let (_home, program) = at(server.port(), "implicit");
    let output = doctor(&program, []).expect_code(4);
    is_broken(
        &output,
        "greeting",
        "the server ended the connection: “\\u{1b}[2Ja",
        "Check `host`",
        &[],
    );
    assert!(!output.stdout().contains('\u{1b}') && !output.stdout().contains(&long));
}

#[test]
fn with_starttls_the_greeting_comes_before_tls() {
    let stage = Stage::new();
    let account = stage
        .dovecot
        .account_by_starttls(stage.user, &stage.password_file);
    stage.write_config(&account);
    let output = doctor(&stage.program(), ["--send-test"]).expect_code(0);
    let links: Vec<_> = ["greeting", "tls", "login", "test-mail"]
        .iter()
        .map(|link| output.stdout().find(&format!("✓ {link} ")))
        .collect();
    assert!(
        links.iter().all(Option::is_some) && links.is_sorted(),
        "{}",
        output.transcript()
    );
}

#[test]
fn starttls_that_is_not_offered_is_4_and_named_as_such() {
    let server = Scripted::plain(GREETING, |_, _, tag| format!("{tag} BAD what\r\n"));
    let (_home, program) = at(server.port(), "starttls");
    let output = doctor(&program, []).expect_code(4);
    let words = "the server refused STARTTLS: “BAD what”";
    is_broken(
        &output,
        "greeting",
        words,
        "Check `host`",
        &["tls", "login"],
    );
}

#[test]
fn a_server_that_takes_no_passwords_is_5() {
    let greeting = "* OK [CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=XOAUTH2] ready\r\n";
    let server = Scripted::tls(greeting, remembering(|_, _, _| None::<String>));
    let (_home, program) = at(server.port(), "implicit");
    let output = doctor(&program, []).expect_code(5);
    let words = "the server takes no password (it offers “XOAUTH2”)";
    is_broken(&output, "login", words, "", &BEHIND_THE_NAME[5..]);
    assert!(shown(&output, "capabilities").0.contains("LOGINDISABLED"));
}

#[test]
fn a_wrong_password_is_5_and_says_where_it_comes_from() {
    let stage = Stage::new();
    fs::write(&stage.password_file, "wrong").expect("write");
    let output = doctor(&stage.program(), []).expect_code(5);
    is_broken(
        &output,
        "login",
        "the server refused the login: “[AUTHENTICATIONFAILED]",
        "password",
        &BEHIND_THE_NAME[5..],
    );
}

#[test]
fn a_folder_that_does_not_exist_is_4() {
    let stage = Stage::new();
    stage.configure("folders = [\"INBOX\", \"Gone\"]");
    let output = doctor(&stage.program(), []).expect_code(4);
    is_broken(
        &output,
        "folders",
        "the folder \"Gone\" cannot be opened",
        "Check `folders` in the configuration",
        &BEHIND_THE_NAME[6..],
    );
}

#[test]
fn a_server_without_idle_is_polled_which_is_no_fault() {
    let stage = Stage::with(
        &Options {
            capabilities: Some(capability::NO_IDLE),
            ..Options::default()
        },
        SecretService::start(),
    );
    let output = doctor(&stage.program(), ["--send-test"]).expect_code(0);
    let (line, _) = shown(&output, "idle");
    assert_eq!(
        line,
        "– idle the server does not offer it: polled instead, every 5 s while somebody waits"
    );
    assert!(
        shown(&output, "test-mail")
            .0
            .starts_with("– test-mail not sent")
    );
}

#[test]
fn a_clock_that_is_behind_the_servers_is_9() {
    let server = Scripted::tls(
        GREETING,
        remembering(|_, command, tag| {
            command.starts_with("UID FETCH *").then(|| {
                format!("* 10 FETCH (UID 99 INTERNALDATE \"01-Jan-2099 10:00:00 +0000\")\r\n{tag} OK\r\n")
            })
        }),
    );
    let (home, program) = at(server.port(), "implicit");
    let output = doctor(&program, []).expect_code(9);
    is_broken(
        &output,
        "clock",
        "the last mail arrived ",
        "Set this machine's clock",
        &[],
    );
    drop(home);
}

#[cfg(feature = "long-tests")]
#[test]
fn whatever_hangs_it_ends_within_a_minute() {
    let stage = Stage::new();
    let config = stage.keychain.home().config_file();
    let text = fs::read_to_string(&config).expect("read");
    let is_password = |line: &&str| line.starts_with("password");
    let line = text.lines().find(is_password).expect("a password command");
    replace(
        &config,
        line,
        "password = { command = [\"sleep\", \"1000\"] }",
    );
    let program = stage.program().deadline(Duration::from_secs(90));
    let output = doctor(&program, []).expect_code(4);
    assert!(
        output.elapsed < Duration::from_mins(1),
        "{:?}",
        output.elapsed
    );
    is_broken(
        &output,
        "login",
        "it did not come to its end within 50 s",
        "Run the password command by hand",
        &BEHIND_THE_NAME[5..],
    );
}
