//! The daemon attends every account, goes on where it stopped, and loses nothing.
#![cfg(target_os = "linux")]

mod lab;

use lab::{Daemon, Options, QUOTES, Stage, UMLAUT, USERNAME, User};
use serde_json::Value;
use std::os::unix::net::UnixDatagram;
use std::time::Duration;

/// Accounts of one server, each with its own password.
fn accounts(stage: &Stage, users: &[User]) -> String {
    let account = |(number, user): (usize, &User)| {
        let name = format!("password-{number}");
        let password = stage.keychain.home().write_private(&name, user.password);
        stage.dovecot.account(*user, &password)
    };
    users.iter().enumerate().map(account).collect()
}

/// What `status --json` says of each account.
fn status(stage: &Stage) -> Vec<Value> {
    let output = stage.program().run(["status", "--json"]).expect_code(0);
    let lines = output.stdout();
    let lines = lines.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect()
}

#[test]
fn what_came_before_while_and_between_daemons_is_stored() {
    let stage = Stage::new();
    let before = stage.deliver_token("before@acme.example");
    let daemon = Daemon::start(&stage);
    daemon.wait_for("stored", 1);
    assert_eq!(stage.stored("before@acme.example"), Some(before));
    let while_it_runs = stage.deliver_token(USERNAME);
    daemon.wait_for("stored", 2);
    assert_eq!(stage.stored(USERNAME).as_ref(), Some(&while_it_runs));
    let said = daemon.stop().transcript();
    assert!(!said.contains(&while_it_runs), "a token in the log");

    let between = stage.deliver_token("between@acme.example");
    let daemon = Daemon::start(&stage);
    daemon.wait_for("stored", 1);
    assert_eq!(stage.stored("between@acme.example"), Some(between));
    let log = daemon.log();
    assert_eq!(log.matches(": stored").count(), 1, "{log}");
    assert!(!log.contains("already"), "{log}");
    daemon.kill();

    let after_a_kill = stage.deliver_token("killed@acme.example");
    let daemon = Daemon::start(&stage);
    daemon.wait_for("stored", 1);
    assert_eq!(stage.stored("killed@acme.example"), Some(after_a_kill));
    daemon.stop();
}

#[test]
fn a_second_daemon_says_who_is_the_first_and_ends() {
    let stage = Stage::new();
    let daemon = Daemon::start(&stage);
    let second = stage.program().run(["daemon"]).expect_code(2);
    assert!(
        second
            .stderr()
            .contains(&format!("a daemon runs already (process {})", daemon.pid())),
        "{}",
        second.transcript()
    );
    daemon.kill();
    Daemon::start(&stage).stop();
}

#[test]
fn status_says_how_each_account_is_doing_and_that_no_daemon_runs() {
    let stage = Stage::new();
    let none = stage.program().run(["status", "--json"]).expect_code(4);
    assert!(none.stderr().contains("no daemon runs"));
    assert!(none.stdout().contains("\"exit\":4"), "{}", none.stdout());

    let daemon = Daemon::start(&stage);
    stage.deliver_token(USERNAME);
    let forged = stage.token_mail(USERNAME, &lab::random_token());
    stage.dovecot.deliver(stage.user, &forged.unsigned());
    daemon.wait_for("stored", 1);
    daemon.wait_for("refused", 1);
    let said = status(&stage);
    assert_eq!(said.len(), 1);
    let said = &said[0];
    assert_eq!(
        (&said["schema"], &said["event"]),
        (&1.into(), &"status".into())
    );
    assert_eq!(said["account"], stage.user.name);
    assert_eq!(said["stored"]["username"], USERNAME);
    assert_eq!((&said["pending"], &said["refused"]), (&0.into(), &1.into()));
    assert_eq!(said["reconnects"], 0);
    let table = stage.program().run(["status"]).expect_code(0).stdout();
    assert!(
        table.starts_with("ACCOUNT") && table.contains(USERNAME),
        "{table}"
    );
    daemon.stop();
}

#[test]
fn a_reload_keeps_what_is_unchanged_and_refuses_what_is_bad() {
    let stage = Stage::new();
    stage.write_config(&accounts(&stage, &[lab::INTEGRATION, UMLAUT]));
    let daemon = Daemon::start_with(&stage.program(), 2);
    let config = stage.keychain.home().config_file();
    let good = std::fs::read_to_string(&config).expect("read");

    std::fs::write(&config, "nonsense").expect("write");
    let refused = stage.program().run(["reload"]).expect_code(2);
    assert!(
        refused.stderr().contains("config.toml:1:"),
        "{}",
        refused.transcript()
    );
    daemon.wait_for("the old one stays", 1);
    assert_eq!(status(&stage).len(), 2);

    std::fs::write(&config, good).expect("write");
    stage.write_config(&accounts(&stage, &[lab::INTEGRATION, QUOTES]));
    let logins = |user: User| {
        stage
            .dovecot
            .log()
            .matches(&format!("user=<{}>", user.name))
            .count()
    };
    let before = logins(lab::INTEGRATION);
    daemon.signal("HUP");
    daemon.wait_for("configuration read again", 1);
    daemon.wait_for(": watching", 3);
    let known: Vec<_> = status(&stage)
        .iter()
        .map(|one| one["account"].clone())
        .collect();
    assert_eq!(known, [lab::INTEGRATION.name, QUOTES.name]);
    assert_eq!(logins(lab::INTEGRATION), before, "the connection is kept");
    let log = daemon.log();
    assert!(log.contains("unchanged=1 ended=1 started=1"), "{log}");

    stage.program().run(["reload"]).expect_code(0);
    daemon.wait_for("unchanged=2 ended=0 started=0", 1);
    daemon.stop();
    stage.program().run(["reload"]).expect_code(4);
}

#[test]
fn a_bug_in_one_account_is_contained_and_the_others_go_on() {
    let stage = Stage::new();
    stage.write_config(&accounts(&stage, &[lab::INTEGRATION, UMLAUT]));
    let program = stage
        .program()
        .env("FETCH_TOKEN_PANIC_AT", format!("took from {}", UMLAUT.name));
    let daemon = Daemon::start_with(&program, 2);
    let mail = lab::TokenMail::english("broken@acme.example", &lab::random_token());
    stage.dovecot.deliver(UMLAUT, &mail.to(UMLAUT.name).bytes());
    daemon.wait_for("begins again", 2);
    stage.deliver_token(USERNAME);
    daemon.wait_for(": stored", 1);
    assert_eq!(status(&stage).len(), 2);
    daemon.stop();

    // What could not be taken in then is found by the next.
    let daemon = Daemon::start_with(&stage.program(), 2);
    daemon.wait_for(": stored", 1);
    assert!(stage.stored("broken@acme.example").is_some());
    daemon.stop();
}

#[test]
fn the_service_manager_hears_ready_status_watchdog_reload_and_stop() {
    let stage = Stage::with(&Options::default(), lab::SecretService::start());
    let socket = stage.keychain.home().path().join("notify.sock");
    let listener = UnixDatagram::bind(&socket).expect("bind");
    let limit = Some(Duration::from_secs(20));
    listener.set_read_timeout(limit).expect("a limit");
    let hear = |words: &str| {
        let mut buffer = [0; 4096];
        let mut heard = String::new();
        while !heard.lines().any(|line| line.contains(words)) {
            let size = listener.recv(&mut buffer);
            let size = size.unwrap_or_else(|error| panic!("no {words}: {error}\n{heard}"));
            heard.push_str(&String::from_utf8_lossy(&buffer[..size]));
        }
        heard
    };
    let program = stage
        .program()
        .env("NOTIFY_SOCKET", &socket)
        .env("WATCHDOG_USEC", "1000000");
    let daemon = Daemon::launch(&program);
    let heard = hear("READY=1");
    assert!(heard.contains("STATUS=watching 1 of 1 accounts"), "{heard}");
    hear("WATCHDOG=1");
    hear("WATCHDOG=1");
    daemon.signal("HUP");
    let heard = hear("RELOADING=1") + &hear("READY=1");
    assert!(heard.contains("MONOTONIC_USEC="), "{heard}");
    daemon.signal("TERM");
    hear("STOPPING=1");
    daemon.stop();
}

#[test]
fn what_cannot_be_noted_keeps_the_cursor_where_it_is() {
    let mut stage = Stage::new();
    let daemon = Daemon::start(&stage);
    stage.deliver_token("first@acme.example");
    daemon.wait_for(": stored", 1);
    let cursors = stage.keychain.home().state_folder().join("cursors.json");
    let saved = || std::fs::read_to_string(&cursors).expect("cursors");
    // It moves right after the mail was taken in.
    std::thread::sleep(Duration::from_secs(1));
    let before = saved();
    // The keychain does not take it, and the list of what waits cannot be written.
    let pending = stage.keychain.home().state_folder().join("pending.json");
    let _ = std::fs::remove_file(&pending);
    std::fs::create_dir(&pending).expect("in the way");
    stage.keychain.lock();
    let token = stage.deliver_token(USERNAME);
    daemon.wait_for(": pending", 1);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(saved(), before);
    daemon.kill();
    std::fs::remove_dir(&pending).expect("out of the way");
    stage.keychain.unlock();
    let daemon = Daemon::start(&stage);
    daemon.wait_for(": stored", 1);
    assert_eq!(stage.stored(USERNAME), Some(token));
    assert_ne!(saved(), before);
    daemon.stop();
}

#[test]
fn a_folder_that_is_not_there_keeps_nobody_from_the_others() {
    let stage = Stage::new();
    stage.configure("folders = [\"INBOX\", \"Gone\"]");
    let daemon = Daemon::start(&stage);
    let waiting = stage
        .program()
        .spawn(["-v", "wait", USERNAME, "--timeout", "20s"]);
    waiting.stderr_line("Watching");
    let token = stage.deliver_token(USERNAME);
    waiting.wait().expect_code(0);
    assert_eq!(stage.stored(USERNAME), Some(token));
    let late = stage.deliver_token("late@acme.example");
    // It comes while the daemon looks into the folder that is not there.
    stage
        .program()
        .run(["wait", "late@acme.example", "--timeout", "20s"])
        .expect_code(0);
    assert_eq!(stage.stored("late@acme.example"), Some(late));
    daemon.stop();
}
