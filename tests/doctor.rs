//! `fetch-token doctor`: what is measured where all is sound, and what is said of each broken link of this machine.
#![cfg(target_os = "linux")]

mod lab;

use lab::doctor::{BEHIND_THE_NAME, doctor, is_broken, object, objects, program_at, shown};
use lab::{
    Daemon, Dns, Home, INTEGRATION, Manner, Options, SecretService, Stage, USERNAME, eventually,
};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

#[test]
fn where_everything_is_sound_each_link_says_what_was_measured() {
    let stage = Stage::new();
    let inbox = stage.dovecot.inbox(stage.user);
    inbox.folder("Junk");
    inbox.deliver(b"Subject: one\r\n\r\n");
    let dns = Dns::start(BTreeMap::from([(
        "_dmarc.salesforce.com".to_owned(),
        "v=DMARC1; p=reject".to_owned(),
    )]));
    let config = stage.dovecot.account(stage.user, &stage.password_file);
    let resolver = format!("[sender]\nresolver = \"{}\"\n", dns.address());
    stage
        .keychain
        .home()
        .write_config(&format!("{config}{resolver}"));

    let output = doctor(&stage.program(), []).expect_code(0);
    for (link, words) in [
        ("configuration", "config.toml, 1 account"),
        ("configuration-file", "config.toml has mode 600"),
        ("name", "localhost is "),
        ("tcp", " accepts ("),
        (
            "tls",
            "accepted: TLS 1.3, a certificate for “localhost”, “127.0.0.1” from “CN=fetch-token test lab CA”, 29 days left",
        ),
        ("greeting", "it says OK “"),
        ("capabilities", "before the login: “IMAP4rev1 "),
        ("login", "let in by AUTHENTICATE PLAIN ("),
        ("folders", "opened \"INBOX\" (1 mail)"),
        ("junk", "\"Junk\" is searched while somebody waits"),
        ("idle", "begun in "),
        ("clock", "the last mail arrived 0 min ago by ours"),
        (
            "keychain",
            "Secret Service (gnome-keyring-daemon) wrote, gave back and deleted an item in ",
        ),
        ("keys", "DNS says of _dmarc.salesforce.com: “p=reject” ("),
        ("state-directory", "state/fetch-token has mode 700"),
        ("ledger", "locked, read and written; 0 tokens recorded"),
        ("leftovers", "0 mails waiting, 0 refused"),
    ] {
        let (line, _) = shown(&output, link);
        assert!(
            line.starts_with('✓') && line.contains(words),
            "{line}\n{}",
            output.transcript()
        );
    }
    for link in ["test-mail", "daemon", "unit", "runtime-directory"] {
        assert!(
            shown(&output, link).0.starts_with('–'),
            "{}",
            output.transcript()
        );
    }
    assert_eq!(stage.keychain.usernames("fetch-token-probe"), [""; 0]);
}

#[test]
fn programs_get_an_object_a_check_of_one_form() {
    let stage = Stage::new();
    fs::write(&stage.password_file, "wrong").expect("write");
    let output = doctor(&stage.program(), ["--json"]).expect_code(5);
    let objects = objects(&output);
    assert_eq!(objects.len(), 21, "{}", output.transcript());
    for object in &objects {
        let keys: Vec<_> = object.as_object().expect("an object").keys().collect();
        let expected = [
            "account", "advice", "check", "event", "exit", "facts", "measured", "schema", "verdict",
        ];
        assert_eq!(keys, expected);
        assert_eq!(
            (&object["schema"], &object["event"]),
            (&1.into(), &"check".into())
        );
    }
    let login = object(&output, "login");
    assert_eq!(
        (&login["verdict"], &login["exit"], &login["account"]),
        (&"broken".into(), &5.into(), &INTEGRATION.name.into())
    );
    assert!(login["advice"].is_string());
    let tls = &object(&output, "tls")["facts"];
    assert_eq!(
        (&tls["version"], &tls["days_left"]),
        (&"TLS 1.3".into(), &29.into())
    );
    assert_eq!(tls["names"], serde_json::json!(["localhost", "127.0.0.1"]));
    assert_eq!(object(&output, "idle")["verdict"], "not-tried");
    assert_eq!(
        object(&output, "keychain")["facts"]["store"],
        "Secret Service"
    );
    assert_eq!(object(&output, "keys")["verdict"], "not-asked");
}

#[test]
fn a_test_mail_is_announced_and_leaves_the_mailbox_as_it_was() {
    let stage = Stage::new();
    for number in 1..=3 {
        stage
            .dovecot
            .deliver(stage.user, format!("Subject: {number}\r\n\r\n").as_bytes());
    }
    let mut peer = stage.dovecot.peer(stage.user);
    peer.command("SELECT INBOX");
    peer.command("UID STORE 2 +FLAGS (\\Deleted)");
    peer.command("UNSELECT");
    let before = peer.mailbox("INBOX");

    let output = doctor(&stage.program(), ["--send-test", "--json"]).expect_code(0);
    let test = object(&output, "test-mail");
    let measured = test["measured"].as_str().expect("words");
    assert!(
        measured.ends_with("after it was put there; deleted by its UID"),
        "{measured}"
    );
    let took = test["facts"]["announced_ms"].as_u64().expect("a time");
    assert!(took < 15_000, "{took}");
    let clock = object(&output, "clock");
    assert_eq!(clock["verdict"], "sound");
    let seconds = clock["facts"]["seconds"].as_i64().expect("measured");
    assert!(seconds.abs() < 30, "{seconds}");

    let after = peer.mailbox("INBOX");
    assert_eq!(after.messages, before.messages);
    assert_eq!(after.uid_validity, before.uid_validity);
    assert_eq!(
        after.uid_next,
        before.uid_next.map(|uid| uid + 1),
        "one mail came and went"
    );
}

#[test]
fn without_uidplus_a_test_mail_is_expunged_only_where_no_other_mail_would_go_with_it() {
    let stage = Stage::with(
        &Options {
            capabilities: Some("IMAP4rev1 SASL-IR IDLE LITERAL+ ESEARCH WITHIN MOVE"),
            rawlog: true,
            ..Options::default()
        },
        SecretService::start(),
    );
    stage.dovecot.deliver(stage.user, b"Subject: one\r\n\r\n");
    let mut peer = stage.dovecot.peer(stage.user);
    let uids = |peer: &mut lab::Peer| -> Vec<u32> {
        let messages = peer.mailbox("INBOX").messages;
        messages.iter().map(|(uid, _)| *uid).collect()
    };

    let output = doctor(&stage.program(), ["--send-test"]).expect_code(0);
    let (line, _) = shown(&output, "test-mail");
    assert!(
        line.ends_with("deleted, with no other mail flagged as deleted"),
        "{line}"
    );
    assert_eq!(uids(&mut peer), [1]);

    peer.command("SELECT INBOX");
    peer.command("UID STORE 1 +FLAGS (\\Deleted)");
    peer.command("UNSELECT");
    let output = doctor(&stage.program(), ["--send-test"]).expect_code(0);
    let (line, advice) = shown(&output, "test-mail");
    assert!(line.contains("flagged as deleted and left"), "{line}");
    assert!(advice.contains("fetch-token doctor: a test"), "{advice}");
    assert_eq!(
        uids(&mut peer),
        [1, 3],
        "somebody else's mail is there still"
    );
    let said: String = stage
        .dovecot
        .rawlogs()
        .iter()
        .map(|log| log.from_client.clone())
        .collect();
    assert!(!said.contains("UID EXPUNGE"), "{said}");
}

#[test]
fn a_keychain_that_is_absent_or_locked_is_6() {
    let stage = Stage::with(&Options::default(), SecretService::bus_only());
    let output = doctor(&stage.program(), []).expect_code(6);
    let words = "the keychain (Secret Service) cannot be reached";
    is_broken(&output, "keychain", words, "Start GNOME Keyring", &[]);

    let stage = Stage::new();
    stage
        .keychain
        .store("fetch-token-mailbox", stage.user.name, stage.user.password);
    stage.keychain.lock();
    let output = doctor(&stage.program(), []).expect_code(6);
    let words = "the keychain (Secret Service) is locked or refuses access";
    is_broken(&output, "keychain", words, "Unlock it, then try again", &[]);
    // Where the password lies in it, the login is what breaks first.
    let config = stage.keychain.home().config_file();
    let text = fs::read_to_string(&config).expect("read");
    let without: Vec<_> = text
        .lines()
        .filter(|line| !line.starts_with("password"))
        .collect();
    fs::write(&config, without.join("\n")).expect("write");
    let output = doctor(&stage.program(), []).expect_code(6);
    is_broken(
        &output,
        "login",
        "its password cannot be read",
        "Unlock it",
        &BEHIND_THE_NAME[5..],
    );
}

#[test]
fn the_configured_store_is_tried_and_one_that_cannot_delete_is_only_read() {
    let stage = Stage::new();
    let config = stage.keychain.home().config_file();
    let text = fs::read_to_string(&config).expect("read");
    let place = stage.keychain.home().path().join("token");
    let store = |read: &str| {
        format!(
            "{text}[keychain]\nstore = {{ command = {{ write = [\"tee\", \"{}\"], read = [{read}] }} }}\n",
            place.display()
        )
    };
    fs::write(&config, store("\"true\"")).expect("write");
    let output = doctor(&stage.program(), []).expect_code(0);
    let (line, _) = shown(&output, "keychain");
    assert!(line.contains("not written to"), "{line}");
    assert!(!place.exists());

    fs::write(&config, store("\"no-such-program-here\"")).expect("write");
    let output = doctor(&stage.program(), []).expect_code(6);
    is_broken(&output, "keychain", "", "", &[]);

    // A store that nobody can know is not tried, and another is not tried in its place.
    fs::write(&config, format!("{text}[keychain]\nstore = \"nowhere\"\n")).expect("write");
    let output = doctor(&stage.program(), []).expect_code(2);
    assert!(
        shown(&output, "keychain")
            .0
            .starts_with("– keychain not tried")
    );
}

#[test]
fn dns_that_is_silent_or_denies_what_exists_is_9() {
    let stage = Stage::new();
    let dns = Dns::start(BTreeMap::new());
    let config = stage.dovecot.account(stage.user, &stage.password_file);
    let resolver = format!("[sender]\nresolver = \"{}\"\n", dns.address());
    stage
        .keychain
        .home()
        .write_config(&format!("{config}{resolver}"));
    let output = doctor(&stage.program(), []).expect_code(9);
    is_broken(
        &output,
        "keys",
        "DNS says that _dmarc.salesforce.com does not exist",
        "Set `resolver`",
        &[],
    );
    dns.answer_in(Manner::Silence);
    let output = doctor(&stage.program(), []).expect_code(9);
    is_broken(
        &output,
        "keys",
        "DNS does not answer for _dmarc.salesforce.com",
        "set `resolver`",
        &[],
    );
    assert!(
        output.elapsed < Duration::from_secs(25),
        "{:?}",
        output.elapsed
    );
}

#[test]
fn a_configuration_that_is_wrong_or_open_to_others_is_2() {
    let home = Home::new();
    let file =
        home.write_config("[[account]]\naddress = \"a@b.example\"\nhots = \"imap.b.example\"\n");
    let output = doctor(&program_at(&home), []).expect_code(2);
    let words = format!("{}:3:1: unknown key `hots`", file.display());
    is_broken(
        &output,
        "configuration",
        &words,
        "Did you mean `host`?",
        &["name", "clock"],
    );
    assert!(
        shown(&output, "ledger").0.starts_with('✓'),
        "the rest is tried"
    );

    let empty = Home::new();
    let output = doctor(&program_at(&empty), []).expect_code(2);
    is_broken(
        &output,
        "configuration",
        "there is no configuration at ",
        "Call `fetch-token login ADDRESS`, or write one",
        &["name"],
    );

    let stage = Stage::new();
    let file = stage.keychain.home().config_file();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("chmod");
    let output = doctor(&stage.program(), []).expect_code(2);
    let words = format!(
        "{} has mode 644, so that others can look into it",
        file.display()
    );
    let advice = format!("Close it: chmod 600 \"{}\"", file.display());
    is_broken(&output, "configuration-file", &words, &advice, &[]);
    assert!(
        shown(&output, "login").0.starts_with('✓'),
        "the rest is tried"
    );
}

#[test]
fn directories_that_are_open_to_others_or_cannot_be_used_are_named() {
    let stage = Stage::new();
    doctor(&stage.program(), []).expect_code(0);
    let folder = stage.keychain.home().state_folder();
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).expect("chmod");
    let runtime = stage.keychain.home().runtime_folder().join("fetch-token");
    fs::create_dir(&runtime).expect("make");
    fs::set_permissions(&runtime, fs::Permissions::from_mode(0o770)).expect("chmod");
    let output = doctor(&stage.program(), []).expect_code(2);
    let words = format!(
        "{} has mode 755, so that others can look into it",
        folder.display()
    );
    is_broken(&output, "state-directory", &words, "chmod 700", &[]);
    assert!(
        shown(&output, "runtime-directory")
            .0
            .starts_with("✗ runtime-directory")
    );

    fs::write(folder.join("ledger.json"), "{ damaged").expect("write");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).expect("chmod");
    fs::set_permissions(&runtime, fs::Permissions::from_mode(0o700)).expect("chmod");
    let output = doctor(&stage.program(), []).expect_code(1);
    is_broken(
        &output,
        "ledger",
        "the ledger ",
        "Move it away to begin anew",
        &[],
    );
    fs::remove_dir_all(&folder).expect("remove");
    fs::write(&folder, "a file in its place").expect("write");
    let output = doctor(&stage.program(), []).expect_code(2);
    is_broken(
        &output,
        "state-directory",
        &format!("{} is no directory", folder.display()),
        "Move it away",
        &[],
    );
    assert!(
        shown(&output, "ledger").0.starts_with("✗ ledger"),
        "{}",
        output.transcript()
    );
}

#[test]
fn the_daemon_tells_how_it_is_and_one_of_another_configuration_is_2() {
    let stage = Stage::new();
    let daemon = Daemon::start(&stage);
    let output = doctor(&stage.program(), []).expect_code(0);
    let (line, _) = shown(&output, "daemon");
    let words = format!("by this configuration: {} idling", stage.user.name);
    assert!(line.starts_with('✓') && line.ends_with(&words), "{line}");
    assert!(shown(&output, "runtime-directory").0.starts_with('✓'));

    stage.configure("sweep_junk = false");
    let output = doctor(&stage.program(), []).expect_code(2);
    let words = "it goes by an earlier text of the configuration";
    is_broken(&output, "daemon", words, "Call `fetch-token reload`", &[]);

    let other = stage.keychain.home().path().join("other.toml");
    fs::copy(stage.keychain.home().config_file(), &other).expect("copy");
    let output = doctor(
        &stage.program(),
        ["--config", other.to_str().expect("a path")],
    )
    .expect_code(2);
    is_broken(
        &output,
        "daemon",
        "it goes by another configuration, ",
        "Restart it with this one",
        &[],
    );

    stage.program().run(["reload"]).expect_code(0);
    drop(daemon);
}

#[test]
fn a_daemon_whose_login_is_refused_is_5() {
    let mut stage = Stage::new();
    let daemon = Daemon::start(&stage);
    fs::write(&stage.password_file, "wrong").expect("write");
    stage.dovecot.start_again();
    daemon.wait_for("refused the login", 1);
    // Ours is right again; the daemon has not tried it yet.
    eventually(
        "the daemon has given up",
        Duration::from_secs(30),
        || {
            let status = stage.program().run(["status"]).stdout();
            status.contains("login-refused").then_some(())
        },
        || daemon.log(),
    );
    let output = doctor(&stage.program(), []).expect_code(5);
    let (line, advice) = shown(&output, "daemon");
    assert!(line.contains("the server refused the login"), "{line}");
    assert!(!advice.is_empty());
}

#[test]
fn a_unit_is_found_and_one_that_starts_nothing_is_2() {
    let stage = Stage::new();
    let units = stage.keychain.home().path().join("config/systemd/user");
    fs::create_dir_all(units.join("default.target.wants")).expect("make");
    let unit = units.join("fetch-token.service");
    let printed = stage
        .program()
        .run(["daemon", "--print-unit", "systemd"])
        .expect_code(0);
    fs::write(&unit, &printed.stdout).expect("write");
    let output = doctor(&stage.program(), []).expect_code(0);
    let (line, advice) = shown(&output, "unit");
    assert!(
        line.starts_with('✓') && line.contains("not enabled"),
        "{line}"
    );
    assert_eq!(advice, "systemctl --user enable --now fetch-token");

    std::os::unix::fs::symlink(
        &unit,
        units.join("default.target.wants/fetch-token.service"),
    )
    .expect("link");
    let output = doctor(&stage.program(), []).expect_code(0);
    assert!(
        shown(&output, "unit")
            .0
            .ends_with("fetch-token.service, enabled")
    );

    fs::write(&unit, "[Service]\nExecStart=/nowhere/fetch-token daemon\n").expect("write");
    let output = doctor(&stage.program(), []).expect_code(2);
    let words = format!(
        "{} starts /nowhere/fetch-token, which is not there",
        unit.display()
    );
    is_broken(&output, "unit", &words, "Make it anew", &[]);
}

#[test]
fn mails_that_wait_are_counted() {
    let mut stage = Stage::with(&Options::default(), SecretService::bus_only());
    stage.deliver_token(USERNAME);
    stage
        .program()
        .run(["wait", "--timeout", "4s"])
        .expect_code(6);
    stage.keychain.start_keyring();
    let output = doctor(&stage.program(), []).expect_code(0);
    let (line, advice) = shown(&output, "leftovers");
    assert_eq!(
        line,
        "✓ leftovers 1 mail waiting (the oldest for less than an hour), 0 refused"
    );
    assert!(
        advice.contains("`fetch-token wait` tries those that wait again"),
        "{advice}"
    );
}
