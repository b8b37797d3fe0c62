//! Whatever goes wrong has its exit code and a sentence that says what to do, and loses nothing.
#![cfg(target_os = "linux")]

mod lab;

use fetch_token::imap::Cursor;
use lab::{
    Ca, Certificate, Dovecot, Home, INTEGRATION, Options, Program, SERVICE, SecretService, Stage,
    USERNAME, account, free_port, random_token,
};
use std::io::Read as _;
use std::net::TcpListener;
use std::time::{Duration, Instant};

#[test]
fn a_wrong_password_is_5_at_once_and_says_where_to_look() {
    let stage = Stage::new();
    std::fs::write(&stage.password_file, "wrong").expect("write");
    let begin = Instant::now();
    let output = stage.program().run(["--timeout", "1m"]).expect_code(5);
    assert!(begin.elapsed() < Duration::from_secs(30));
    assert!(
        output
            .stderr()
            .contains("Check the address and where its password comes from")
    );
    assert!(
        output.stderr().contains("AUTHENTICATIONFAILED"),
        "{}",
        output.transcript()
    );
}

#[test]
fn a_password_command_that_fails_is_5_and_names_the_command() {
    let stage = Stage::new();
    for (command, words) in [
        (r#"["no-such-program-here"]"#, "cannot be started"),
        (r#"["false"]"#, "failed (exit status: 1)"),
        (r#"["true"]"#, "printed nothing on its first line"),
    ] {
        let account = stage.dovecot.account(stage.user, &stage.password_file);
        let account: String = account
            .lines()
            .map(|line| {
                if line.starts_with("password") {
                    format!("password = {{ command = {command} }}\n")
                } else {
                    format!("{line}\n")
                }
            })
            .collect();
        stage.write_config(&account);
        let output = stage.program().run(["--timeout", "20s"]).expect_code(5);
        assert!(output.stderr().contains(words), "{}", output.transcript());
    }
}

/// Runs `wait` with this configuration; nothing of the mail server's is wrong but what the test made so.
fn wait_fails_with_4(config: &str, words: &str) {
    let home = Home::new();
    home.write_config(config);
    let output = Program::new(env!("CARGO_BIN_EXE_fetch-token"))
        .at_home(&home)
        .run(["--timeout", "3s"])
        .expect_code(4);
    assert!(output.stderr().contains(words), "{}", output.transcript());
}

fn password(home: &Home) -> std::path::PathBuf {
    home.write_private("mailbox-password", INTEGRATION.password)
}

#[test]
fn a_certificate_of_an_unknown_authority_or_another_host_or_of_yesterday_is_refused() {
    let home = Home::new();
    let file = password(&home);
    let dovecot = Dovecot::start_default();
    let good = dovecot.account(INTEGRATION, &file);
    let without_ca: String = good
        .lines()
        .filter(|line| !line.starts_with("ca_file"))
        .flat_map(|line| [line, "\n"])
        .collect();
    wait_fails_with_4(&without_ca, "name its PEM file with `ca_file`");

    let other = Ca::new("somebody else");
    let other_file = home.path().join("other.pem");
    other.write_to(&other_file);
    for (port, tls) in [
        (dovecot.imaps_port(), "implicit"),
        (dovecot.imap_port(), "starttls"),
    ] {
        let config = account(INTEGRATION, port, tls, &other_file, &file);
        wait_fails_with_4(&config, "an authority that this machine does not know");
    }

    for (certificate, words) in [
        (
            Certificate::Elsewhere,
            "its certificate is for another host",
        ),
        (Certificate::Expired, "its certificate has expired"),
    ] {
        let dovecot = Dovecot::start(&Options {
            certificate,
            ..Options::default()
        });
        wait_fails_with_4(&dovecot.account(INTEGRATION, &file), words);
    }
}

#[test]
fn a_closed_port_a_silent_server_and_a_port_of_the_other_kind_are_4() {
    let home = Home::new();
    let file = password(&home);
    let ca = home.path().join("ca.pem");
    Ca::shared().write_to(&ca);
    let config = |port, tls| account(INTEGRATION, port, tls, &ca, &file);
    wait_fails_with_4(
        &config(free_port(), "implicit"),
        "cannot be reached (connection refused)",
    );

    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("an address").port();
    let _accepts = std::thread::spawn(move || {
        let mut accepted: Vec<_> = silent.incoming().flatten().take(2).collect();
        for stream in &mut accepted {
            let _ = stream.read_to_end(&mut Vec::new());
        }
    });
    wait_fails_with_4(&config(port, "implicit"), "connecting took too long");

    let dovecot = Dovecot::start_default();
    let swapped = account(
        INTEGRATION,
        dovecot.imap_port(),
        "implicit",
        &dovecot.ca_file(),
        &file,
    );
    wait_fails_with_4(&swapped, "Check `port` and `tls`");
}

#[test]
fn a_host_without_an_address_is_4() {
    let home = Home::new();
    let file = password(&home);
    let ca = home.path().join("ca.pem");
    Ca::shared().write_to(&ca);
    let config = account(INTEGRATION, 993, "implicit", &ca, &file)
        .replace("\"localhost\"", "\"imap.invalid\"");
    wait_fails_with_4(&config, "the name imap.invalid cannot be resolved");
}

#[test]
fn a_mailbox_that_comes_back_before_the_deadline_is_watched() {
    let mut stage = Stage::new();
    stage.dovecot.stop();
    let waiting = stage.program().spawn(["--timeout", "50s"]);
    waiting.stderr_line("Trying again");
    stage.dovecot.start_again();
    let token = stage.deliver_token(USERNAME);
    waiting.wait().expect_code(0);
    assert_eq!(stage.stored(USERNAME), Some(token));
}

#[test]
fn a_connection_that_breaks_while_waiting_is_made_again_and_what_came_meanwhile_is_found() {
    let mut stage = Stage::new();
    let waiting = stage.program().spawn(["-v", "--timeout", "50s"]);
    waiting.stderr_line("the server announces new mail");
    stage.dovecot.stop();
    let token = stage.deliver_token(USERNAME);
    stage.dovecot.start_again();
    waiting.wait().expect_code(0);
    assert_eq!(stage.stored(USERNAME), Some(token));
}

#[test]
fn a_wrong_configuration_is_2_and_points_at_the_place() {
    let home = Home::new();
    let program = Program::new(env!("CARGO_BIN_EXE_fetch-token")).at_home(&home);
    let output = program.run(["wait"]).expect_code(2);
    assert!(output.stderr().contains("there is no configuration at"));
    assert!(
        output.stderr().contains("[[account]]"),
        "an example is shown"
    );

    let file =
        home.write_config("[[account]]\naddress = \"a@b.example\"\nhots = \"imap.b.example\"\n");
    let output = program.run(["wait"]).expect_code(2);
    let expected = format!(
        "{}:3:1: unknown key `hots`. Did you mean `host`?",
        file.display()
    );
    assert!(
        output.stderr().contains(&expected),
        "{}",
        output.transcript()
    );

    for arguments in [
        &["wait", "--from", "nonsense"][..],
        &["wait", "--timeout", "soon"],
        &["nonsense"],
        &["get"],
        &["--no-such-option"],
        &["run", "a@b.example"],
    ] {
        program.run(arguments).expect_code(2);
    }
}

#[test]
fn a_cursor_of_another_mailbox_is_2() {
    let stage = Stage::new();
    let cursor = stage.program().run(["arm"]).expect_code(0).stdout();
    let config = std::fs::read_to_string(stage.keychain.home().config_file()).expect("read");
    stage
        .keychain
        .home()
        .write_config(&config.replace("integration@acme", "another@acme"));
    let output = stage
        .program()
        .run(["wait", "--from", cursor.trim()])
        .expect_code(2);
    assert!(
        output
            .stderr()
            .contains("no account has the address integration@acme.example")
    );
}

#[test]
fn no_keychain_is_6_and_the_next_run_stores_the_token() {
    let stage = Stage::with(&Options::default(), SecretService::bus_only());
    let token = stage.deliver_token(USERNAME);
    let mailbox = stage.dovecot.peer(stage.user).mailbox("INBOX");
    let place = || {
        let word = stage.program().run(["arm"]).expect_code(0).stdout();
        let cursor: Cursor = word.parse().expect("a cursor");
        (cursor.uid_validity, cursor.uid_next)
    };
    let before = place();

    let output = stage
        .program()
        .run(["--json", "wait", "--timeout", "4s"])
        .expect_code(6);
    assert!(
        output.stderr().contains("Cannot store the token"),
        "{}",
        output.transcript()
    );
    assert!(
        output
            .stderr()
            .contains("Start GNOME Keyring, KWallet or KeePassXC")
    );
    assert!(!output.stderr().contains(&token) && !output.stdout().contains(&token));
    assert_eq!(stage.dovecot.peer(stage.user).mailbox("INBOX"), mailbox);
    assert_eq!(place(), before);

    let mut stage = stage;
    stage.keychain.start_keyring();
    stage
        .program()
        .run(["wait", "--timeout", "20s"])
        .expect_code(0);
    assert_eq!(stage.stored(USERNAME), Some(token));
}

#[test]
fn a_locked_keychain_is_6_and_the_next_run_stores_the_token() {
    let mut stage = Stage::new();
    let before = "before@acme.example";
    stage.deliver_token(before);
    stage
        .program()
        .run(["wait", "--timeout", "20s"])
        .expect_code(0);
    let token = stage.deliver_token(USERNAME);
    stage.keychain.lock();
    let output = stage
        .program()
        .run(["wait", USERNAME, "--timeout", "4s"])
        .expect_code(6);
    assert!(
        output.stderr().contains("is locked or refuses access"),
        "{}",
        output.transcript()
    );
    stage.program().run(["get", before]).expect_code(6);
    stage.keychain.unlock();
    stage
        .program()
        .run(["wait", "--timeout", "20s"])
        .expect_code(0);
    assert_eq!(stage.stored(USERNAME), Some(token));
}

#[test]
fn a_mailbox_password_in_a_locked_keychain_is_6() {
    let stage = Stage::new();
    let config = std::fs::read_to_string(stage.keychain.home().config_file()).expect("read");
    let (before, _) = config.split_once("password").expect("a password command");
    stage.write_config(&format!("{before}usernames = [\"*\"]\n"));
    stage
        .keychain
        .store("fetch-token-mailbox", stage.user.name, stage.user.password);
    stage.keychain.lock();
    let output = stage
        .program()
        .run(["wait", "--timeout", "20s"])
        .expect_code(6);
    assert!(
        output.stderr().contains("its password cannot be read"),
        "{}",
        output.transcript()
    );
}

#[test]
fn a_keychain_that_appears_while_waiting_gets_the_token() {
    let mut stage = Stage::with(&Options::default(), SecretService::bus_only());
    let token = stage.deliver_token(USERNAME);
    let waiting = stage.program().spawn(["wait", "--timeout", "50s"]);
    waiting.stderr_line("Cannot store the token");
    stage.keychain.start_keyring();
    waiting.wait().expect_code(0);
    assert_eq!(stage.stored(USERNAME), Some(token));
}

#[test]
fn a_frozen_keychain_does_not_outlast_the_deadline() {
    let stage = Stage::new();
    stage.deliver_token(USERNAME);
    stage.keychain.freeze();
    let begin = Instant::now();
    let output = stage.program().run(["wait", "--timeout", "4s"]);
    let took = begin.elapsed();
    stage.keychain.thaw();
    let output = output.expect_code(6);
    assert!(
        output.stderr().contains("did not answer"),
        "{}",
        output.transcript()
    );
    assert!(took < Duration::from_secs(7), "{took:?}");
}

#[test]
fn run_does_not_start_the_tool_where_the_keychain_does_not_work() {
    let stage = Stage::with(&Options::default(), SecretService::bus_only());
    let witness = stage.keychain.home().path().join("started");
    let touch = witness.to_str().expect("a path");
    stage
        .program()
        .run(["run", "--timeout", "20s", "--", "touch", touch])
        .expect_code(6);
    assert!(
        !witness.exists(),
        "the reset would have killed the old token"
    );
}

#[test]
fn run_does_not_start_the_tool_where_the_mailbox_cannot_be_watched() {
    let mut stage = Stage::new();
    stage.dovecot.stop();
    let witness = stage.keychain.home().path().join("started");
    let touch = witness.to_str().expect("a path");
    stage
        .program()
        .run(["run", "--timeout", "3s", "--", "touch", touch])
        .expect_code(4);
    assert!(!witness.exists());
}

#[test]
fn run_passes_on_the_status_of_a_tool_that_fails_and_says_where_to_go_on() {
    let stage = Stage::new();
    let output = stage
        .program()
        .run(["run", "--timeout", "3s", "--", "sh", "-c", "exit 77"])
        .expect_code(77);
    let stderr = output.stderr();
    let (_, cursor) = stderr.split_once("wait --from ").expect("a cursor");
    let token = stage.deliver_token(USERNAME);
    stage
        .program()
        .run(["wait", "--timeout", "20s", "--from", cursor.trim()])
        .expect_code(0);
    assert_eq!(stage.stored(USERNAME), Some(token));

    let killed = ["run", "--timeout", "3s", "--", "sh", "-c", "kill -TERM $$"];
    stage.program().run(killed).expect_code(143);
    stage
        .program()
        .run(["run", "--timeout", "3s", "--", "no-such-tool"])
        .expect_code(127);
}

#[test]
fn a_tool_that_does_not_end_is_ended_at_the_deadline() {
    let stage = Stage::new();
    let begin = Instant::now();
    stage
        .program()
        .run(["run", "--timeout", "3s", "--", "sleep", "60"])
        .expect_code(3);
    assert!(begin.elapsed() < Duration::from_secs(8));
}

#[test]
fn no_mail_is_3_and_names_what_salesforce_never_mails_to() {
    let stage = Stage::new();
    let output = stage
        .program()
        .run(["--json", "--timeout", "2s"])
        .expect_code(3);
    assert!(
        output.stderr().contains(".invalid"),
        "{}",
        output.transcript()
    );
    let object: serde_json::Value =
        serde_json::from_str(output.stdout().trim()).expect("one object");
    assert_eq!(
        (&object["exit"], &object["by"]),
        (&3.into(), &"fetch-token".into())
    );
}

#[test]
fn a_forged_mail_is_7_and_changes_nothing() {
    let stage = Stage::new();
    let good = stage.deliver_token(USERNAME);
    stage.program().run(["--timeout", "20s"]).expect_code(0);
    let cursor = stage.program().run(["arm"]).expect_code(0).stdout();
    let forged = stage
        .token_mail(USERNAME, &random_token())
        .from("support@salesforce.com.evil.example");
    stage.dovecot.deliver(stage.user, &forged.bytes());
    let output = stage
        .program()
        .run(["wait", "--timeout", "3s", "--from", cursor.trim()])
        .expect_code(7);
    assert!(
        output.stderr().contains("from-not-listed"),
        "{}",
        output.transcript()
    );
    assert_eq!(stage.stored(USERNAME), Some(good));
}

#[test]
fn a_username_that_the_account_does_not_take_is_refused() {
    let stage = Stage::new();
    let config = std::fs::read_to_string(stage.keychain.home().config_file()).expect("read");
    stage
        .keychain
        .home()
        .write_config(&config.replace("[\"*\"]", "[\"*@acme.example\"]"));
    stage.deliver_token("me@elsewhere.example");
    let output = stage
        .program()
        .run(["wait", "--timeout", "3s"])
        .expect_code(7);
    assert!(
        output.stderr().contains("username-not-allowed"),
        "{}",
        output.transcript()
    );
    stage
        .program()
        .run(["wait", "me@elsewhere.example"])
        .expect_code(2);
}

/// As `nohup` and a shell without job control start what is to outlive them.
#[cfg(target_os = "linux")]
#[test]
fn signals_that_were_ignored_before_end_nothing() {
    let stage = Stage::new();
    let env = Program::new("/usr/bin/env").with_keychain(&stage.keychain);
    let program = env!("CARGO_BIN_EXE_fetch-token");
    let waiting = env.spawn(["--ignore-signal=HUP,INT", program, "-v", "wait", USERNAME]);
    waiting.stderr_line("the server announces new mail");
    waiting.signal("HUP");
    waiting.signal("INT");
    let token = stage.deliver_token(USERNAME);
    waiting.wait().expect_code(0);
    assert_eq!(stage.stored(USERNAME), Some(token));
}

#[test]
fn ctrl_c_and_sigterm_end_everything_within_two_seconds() {
    let stage = Stage::new();
    for (signal, code) in [("INT", 130), ("TERM", 143)] {
        let waiting = stage.program().spawn(["-v", "wait", "--timeout", "1m"]);
        waiting.stderr_line("the server announces new mail");
        let begin = Instant::now();
        waiting.signal(signal);
        waiting.wait().expect_code(code);
        assert!(begin.elapsed() < Duration::from_secs(2));
    }
    // The tool goes with us, and the cursor tells where to go on.
    let running = stage
        .program()
        .spawn(["run", "--timeout", "1m", "--", "sleep", "61.25"]);
    running.stderr_line("Started sleep");
    let begin = Instant::now();
    running.signal("TERM");
    let output = running.wait().expect_code(143);
    assert!(begin.elapsed() < Duration::from_secs(2));
    assert!(
        output.stderr().contains("wait --from ftc1-"),
        "{}",
        output.transcript()
    );
    lab::eventually(
        "the tool ends",
        Duration::from_secs(3),
        || {
            let processes = std::process::Command::new("ps")
                .args(["-eo", "args"])
                .output()
                .ok()?;
            (!String::from_utf8_lossy(&processes.stdout).contains("sleep 61.25")).then_some(())
        },
        || "it still runs".to_owned(),
    );
}

#[test]
fn a_damaged_ledger_is_said_and_kept_and_get_still_works() {
    let stage = Stage::new();
    let token = stage.deliver_token(USERNAME);
    stage.program().run(["--timeout", "20s"]).expect_code(0);
    let ledger = stage.keychain.home().state_folder().join("ledger.json");
    std::fs::write(&ledger, "{ damaged").expect("write");
    let output = stage.program().run(["list"]).expect_code(1);
    assert!(
        output.stderr().contains("Move it away to begin anew"),
        "{}",
        output.transcript()
    );
    assert_eq!(
        stage
            .program()
            .run(["get", USERNAME])
            .expect_code(0)
            .stdout(),
        format!("{token}\n")
    );
    // A token that comes now cannot be recorded: it waits, and nothing is overwritten.
    stage.deliver_token(USERNAME);
    stage
        .program()
        .run(["wait", "--timeout", "3s"])
        .expect_code(9);
    assert_eq!(std::fs::read_to_string(&ledger).expect("read"), "{ damaged");
    assert_eq!(stage.keychain.lookup(SERVICE, USERNAME), Some(token));
}
