//! A token goes from a real mailbox into a real keychain, by every way that there is.
#![cfg(target_os = "linux")]

mod lab;

use lab::{
    Ca, Front, Options, QUOTES, SERVICE, SecretService, Stage, TokenMail, UMLAUT, USERNAME, User,
    capability, other_mail, random_token,
};
use serde_json::Value;
use std::time::Duration;

/// What the program printed, one object a line.
fn objects(stdout: &str) -> Vec<Value> {
    stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// `wait` finds a mail that came before it.
fn wait_stores(stage: &Stage, username: &str) {
    let token = stage.deliver_token(username);
    stage
        .program()
        .run(["wait", username, "--timeout", "20s"])
        .expect_code(0);
    assert_eq!(stage.stored(username), Some(token));
}

#[test]
fn a_mail_that_came_before_the_call_is_found_and_stored() {
    let stage = Stage::new();
    stage.dovecot.deliver(stage.user, &other_mail(1));
    let token = stage.deliver_token(USERNAME);
    let before = stage.dovecot.peer(stage.user).mailbox("INBOX");

    let output = stage
        .program()
        .run(["--json", "wait", USERNAME, "--timeout", "20s"])
        .expect_code(0);
    assert_eq!(stage.stored(USERNAME), Some(token));
    let stored = objects(&output.stdout()).pop().expect("an object");
    assert_eq!(stored["schema"], 1);
    assert_eq!(stored["event"], "stored");
    assert_eq!(stored["username"], USERNAME);
    assert_eq!(stored["account"], stage.user.name);
    assert_eq!(stored["folder"], "INBOX");
    assert_eq!(stored["uid"], 2);
    assert_eq!(stored["store"], "Secret Service");
    assert_eq!(stored["sender"]["from"], "support@salesforce.com");
    assert_eq!(stored["sender"]["proof"], "dkim");
    assert!(stored.get("token").is_none(), "only with --print: {stored}");

    let after = stage.dovecot.peer(stage.user).mailbox("INBOX");
    assert_eq!(after, before, "the mailbox is left as found");
}

#[test]
fn what_is_stored_can_be_printed_listed_and_forgotten() {
    let stage = Stage::new();
    let token = stage.deliver_token(USERNAME);
    let program = stage.program();
    let printed = program
        .run(["wait", "--print", "--timeout", "20s"])
        .expect_code(0);
    assert_eq!(printed.stdout(), format!("{token}\n"));

    assert_eq!(
        program.run(["get", USERNAME]).expect_code(0).stdout(),
        format!("{token}\n")
    );
    // Usernames compare without ASCII case.
    assert_eq!(
        program
            .run(["get", &USERNAME.to_uppercase()])
            .expect_code(0)
            .stdout(),
        format!("{token}\n")
    );

    let listed = program.run(["list"]).expect_code(0).stdout();
    assert!(listed.starts_with("USERNAME"), "{listed}");
    assert!(listed.contains(USERNAME) && listed.contains("Secret Service"));
    assert!(!listed.contains(&token));
    let listed = objects(&program.run(["list", "--json"]).expect_code(0).stdout());
    assert_eq!(listed[0]["username"], USERNAME);
    assert_eq!(listed[0]["state"], "stored");

    // The same mail again is no news.
    let again = program
        .run(["--json", "--timeout", "20s", USERNAME])
        .expect_code(0);
    assert_eq!(objects(&again.stdout())[0]["event"], "already");

    program.run(["forget", USERNAME]).expect_code(0);
    assert_eq!(stage.stored(USERNAME), None);
    program.run(["get", USERNAME]).expect_code(8);
    program.run(["forget", USERNAME]).expect_code(8);
    assert_eq!(program.run(["list"]).expect_code(0).stdout(), "");

    // Forgetting does not make the old mail new.
    let old = program
        .run(["--json", "--timeout", "2s", USERNAME])
        .expect_code(7);
    assert_eq!(objects(&old.stdout())[0]["reason"], "superseded");
    assert_eq!(stage.stored(USERNAME), None);
}

#[test]
fn a_token_deleted_by_another_program_is_put_back_from_its_mail() {
    let stage = Stage::new();
    let token = stage.deliver_token(USERNAME);
    let program = stage.program();
    program.run(["--timeout", "20s"]).expect_code(0);
    let cleared = std::process::Command::new("secret-tool")
        .args(["clear", "service", SERVICE, "username", USERNAME])
        .env_clear()
        .envs(stage.keychain.env())
        .status()
        .expect("run secret-tool");
    assert!(cleared.success());
    program.run(["--timeout", "20s"]).expect_code(0);
    assert_eq!(stage.stored(USERNAME), Some(token));
}

#[test]
fn starttls_is_as_good_as_implicit_tls() {
    let stage = Stage::new();
    let account = stage
        .dovecot
        .account_by_starttls(stage.user, &stage.password_file);
    stage.write_config(&account);
    wait_stores(&stage, USERNAME);
}

#[test]
fn a_mail_that_comes_while_idle_is_up_is_fetched_in_one_round_trip() {
    let stage = Stage::new();
    let front = front(&stage, &[]);
    let waiting = stage.program().spawn(["-v", "--timeout", "30s"]);
    waiting.stderr_line("the server announces new mail");
    let token = stage.deliver_token(USERNAME);
    waiting.wait().expect_code(0);
    assert_eq!(stage.stored(USERNAME), Some(token));

    let lines = front.conversations()[0].client_lines();
    let done = lines.iter().position(|line| line == "DONE").expect("DONE");
    assert!(
        lines[done + 1]
            .contains("UID FETCH 1:* (UID RFC822.SIZE INTERNALDATE BODY.PEEK[]<0.65536>)"),
        "{lines:?}"
    );
    let words: Vec<_> = lines
        .iter()
        .filter_map(|line| line.split(' ').nth(1))
        .collect();
    // Nothing is asked that the server has told already.
    assert!(
        words.starts_with(&["AUTHENTICATE", "EXAMINE", "IDLE", "UID"]),
        "{lines:?}"
    );
}

#[test]
fn a_server_without_idle_is_polled_and_so_is_one_that_may_not_idle() {
    let stage = Stage::with(
        &Options {
            capabilities: Some(capability::NO_IDLE),
            ..Options::default()
        },
        SecretService::start(),
    );
    polls(&stage);

    let stage = Stage::new();
    stage.configure("idle = false");
    polls(&stage);
}

fn polls(stage: &Stage) {
    let waiting = stage.program().spawn(["-v", "--timeout", "30s"]);
    waiting.stderr_line("polling");
    let token = stage.deliver_token(USERNAME);
    waiting.wait().expect_code(0);
    assert_eq!(stage.stored(USERNAME), Some(token));
}

#[test]
fn a_look_back_without_within_goes_by_sequence_number() {
    let stage = Stage::with(
        &Options {
            capabilities: Some(capability::NO_WITHIN),
            ..Options::default()
        },
        SecretService::start(),
    );
    stage.dovecot.inbox(stage.user).deliver_dated(
        &other_mail(1),
        std::time::UNIX_EPOCH + Duration::from_secs(1_000_000_000),
    );
    wait_stores(&stage, USERNAME);
}

/// Puts a listener before the stage's Dovecot that hides `hidden`, and the configuration behind it.
fn front(stage: &Stage, hidden: &[&str]) -> Front {
    let front = Front::start(stage.dovecot.imap_port(), &Ca::shared().localhost, hidden);
    stage.configure_behind(front.port());
    front
}

#[test]
fn the_login_takes_the_best_way_the_server_offers() {
    let stage = Stage::new();
    for (hidden, expected) in [
        (&[][..], "AUTHENTICATE PLAIN "),
        (&["SASL-IR"], "AUTHENTICATE PLAIN"),
        (
            &["AUTH=PLAIN", "SASL-IR"],
            "LOGIN \"integration@acme.example\" \"",
        ),
    ] {
        let front = front(&stage, hidden);
        wait_stores(&stage, USERNAME);
        let lines = front.conversations()[0].client_lines();
        assert!(
            lines.iter().any(
                |line| line.split_once(' ').is_some_and(|(_, command)| command
                    .starts_with(expected)
                    && (expected.ends_with(' ') || expected.ends_with('"') || command == expected))
            ),
            "{hidden:?}: {lines:?}"
        );
    }
}

#[test]
fn passwords_of_any_characters_work_by_plain_and_quoted_ones_by_login() {
    let keychain = SecretService::start();
    let mut stage = Stage::with(&Options::default(), keychain);
    let ways: [(User, &[&str], &str); 3] = [
        (UMLAUT, &[], "umlaut@acme.example"),
        (QUOTES, &[], "quotes@acme.example"),
        (QUOTES, &["AUTH=PLAIN", "SASL-IR"], "login@acme.example"),
    ];
    for (user, hidden, username) in ways {
        stage.user = user;
        stage.password_file = stage
            .keychain
            .home()
            .write_private("mailbox-password", user.password);
        let _front = front(&stage, hidden);
        wait_stores(&stage, username);
    }
}

#[test]
fn the_mailboxs_password_can_come_from_the_keychain() {
    let stage = Stage::new();
    let account = stage.dovecot.account(stage.user, &stage.password_file);
    let account: String = account
        .lines()
        .filter(|line| !line.starts_with("password"))
        .flat_map(|line| [line, "\n"])
        .collect();
    stage.write_config(&account);
    let output = stage.program().run(["--timeout", "20s"]).expect_code(5);
    assert!(
        output.stderr().contains(
            "secret-tool store --label=\"integration@acme.example\" service fetch-token-mailbox"
        ),
        "{}",
        output.transcript()
    );
    stage
        .keychain
        .store("fetch-token-mailbox", stage.user.name, stage.user.password);
    wait_stores(&stage, USERNAME);
}

#[test]
fn run_watches_before_the_tool_starts_and_stores_what_it_causes() {
    let stage = Stage::new();
    let (token, mail) = tool_that_mails(&stage, "");
    let output = stage
        .program()
        .run(
            ["--json", "run", USERNAME, "--timeout", "30s", "--", "sh"]
                .iter()
                .copied()
                .chain([mail.to_str().expect("a path")]),
        )
        .expect_code(0);
    assert_eq!(stage.stored(USERNAME), Some(token));
    let objects = objects(&output.stdout());
    assert_eq!(objects.last().expect("an object")["event"], "stored");
    // With --json, the tool's own output is not among ours.
    assert!(
        output.stderr().contains("resetting"),
        "{}",
        output.transcript()
    );
}

/// A shell script that delivers a token mail at once and then runs `then`.
fn tool_that_mails(stage: &Stage, then: &str) -> (String, std::path::PathBuf) {
    let token = random_token();
    let mail = stage
        .dovecot
        .inbox(stage.user)
        .stage(&stage.token_mail(USERNAME, &token).bytes());
    let script = stage.keychain.home().write_private(
        "tool",
        &format!(
            "echo resetting\nmv '{}' '{}'\n{then}\n",
            mail.from.display(),
            mail.to.display()
        ),
    );
    (token, script)
}

#[test]
fn a_tool_that_fails_after_the_reset_loses_nothing_and_its_status_is_passed_on() {
    let stage = Stage::new();
    let (token, script) = tool_that_mails(&stage, "exit 42");
    let output = stage
        .program()
        .run([
            "--json",
            "run",
            "--timeout",
            "40s",
            "--",
            "sh",
            script.to_str().expect("a path"),
        ])
        .expect_code(42);
    assert_eq!(stage.stored(USERNAME), Some(token));
    let objects = objects(&output.stdout());
    let last = objects.last().expect("an object");
    assert_eq!(
        (&last["event"], &last["exit"], &last["by"]),
        (&"failed".into(), &42.into(), &"tool".into())
    );
}

#[test]
fn arm_and_wait_take_what_came_between_them_and_nothing_older() {
    let stage = Stage::new();
    stage.deliver_token("older@acme.example");
    let program = stage.program();
    let cursor = program.run(["arm"]).expect_code(0).stdout();
    let token = stage.deliver_token(USERNAME);
    let output = program
        .run([
            "--json",
            "wait",
            "--timeout",
            "20s",
            "--from",
            cursor.trim(),
        ])
        .expect_code(0);
    let objects = objects(&output.stdout());
    assert_eq!(objects.len(), 1, "{}", output.transcript());
    assert_eq!(objects[0]["username"], USERNAME);
    assert_eq!(stage.stored(USERNAME), Some(token));
    assert_eq!(stage.stored("older@acme.example"), None);

    // Where the first ended, the next goes on: there is nothing more.
    let cursor = objects[0]["cursor"].as_str().expect("a cursor").to_owned();
    program
        .run(["wait", "--timeout", "2s", "--from", &cursor])
        .expect_code(3);
}

#[test]
fn of_two_resets_the_later_token_is_stored_and_the_earlier_never_replaces_it() {
    let stage = Stage::new();
    let minutes_ago = |n: i64| jiff::Timestamp::now() - jiff::SignedDuration::from_mins(n);
    let (older, newer) = (random_token(), random_token());
    let mail = |token: &str, date| stage.token_mail(USERNAME, token).date(date).bytes();
    // They arrive in the wrong order.
    stage
        .dovecot
        .deliver(stage.user, &mail(&newer, minutes_ago(1)));
    stage
        .dovecot
        .deliver(stage.user, &mail(&older, minutes_ago(2)));
    stage
        .program()
        .run(["--timeout", "20s", USERNAME])
        .expect_code(0);
    assert_eq!(stage.stored(USERNAME), Some(newer.clone()));

    let cursor = stage.program().run(["arm"]).expect_code(0).stdout();
    stage
        .dovecot
        .deliver(stage.user, &mail(&older, minutes_ago(2)));
    let replay = stage
        .program()
        .run(["--json", "wait", "--timeout", "3s", "--from", cursor.trim()])
        .expect_code(7);
    assert_eq!(objects(&replay.stdout())[0]["reason"], "superseded");
    assert_eq!(stage.stored(USERNAME), Some(newer));
}

#[test]
fn another_usernames_token_is_stored_and_does_not_end_the_wait() {
    let stage = Stage::new();
    let other = stage.deliver_token("other@acme.example");
    let output = stage
        .program()
        .run(["--json", "wait", USERNAME, "--timeout", "3s"])
        .expect_code(3);
    let objects = objects(&output.stdout());
    assert_eq!(objects[0]["event"], "stored");
    assert_eq!(objects[0]["username"], "other@acme.example");
    assert_eq!(stage.stored("other@acme.example"), Some(other));
}

#[test]
fn a_japanese_mail_and_a_mail_longer_than_the_first_fetch_are_read() {
    let stage = Stage::new();
    let token = random_token();
    let mail = TokenMail::japanese(USERNAME, &token).to(stage.user.name);
    stage.dovecot.deliver(stage.user, &mail.bytes());
    stage.program().run(["--timeout", "20s"]).expect_code(0);
    assert_eq!(stage.stored(USERNAME), Some(token));

    let token = random_token();
    let padded = (0..100).fold(stage.token_mail("long@acme.example", &token), |mail, _| {
        mail.header("X-Padding", &"x".repeat(900))
    });
    assert!(padded.bytes().len() > 64 * 1024);
    stage.dovecot.deliver(stage.user, &padded.bytes());
    stage
        .program()
        .run(["--timeout", "20s", "long@acme.example"])
        .expect_code(0);
    assert_eq!(stage.stored("long@acme.example"), Some(token));
}

#[test]
fn two_who_wait_for_the_same_token_both_get_it_and_it_is_stored_once() {
    let stage = Stage::new();
    let program = stage.program();
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let waiting = program.spawn(["-v", "--json", "wait", USERNAME, "--timeout", "30s"]);
            waiting.stderr_line("the server announces new mail");
            waiting
        })
        .collect();
    let token = stage.deliver_token(USERNAME);
    let mut events: Vec<_> = waiting
        .into_iter()
        .map(|waiting| {
            let output = waiting.wait().expect_code(0);
            let object = objects(&output.stdout()).pop().expect("an object");
            object["event"].as_str().expect("a word").to_owned()
        })
        .collect();
    events.sort();
    assert_eq!(events, ["already", "stored"]);
    assert_eq!(stage.stored(USERNAME), Some(token));
}

#[test]
fn each_of_two_usernames_in_one_mailbox_gets_its_own() {
    let stage = Stage::new();
    let usernames = ["first@acme.example", "second@acme.example.uat"];
    let waiting: Vec<_> = usernames
        .iter()
        .map(|username| {
            let waiting =
                stage
                    .program()
                    .spawn(["-v", "wait", "--print", username, "--timeout", "30s"]);
            waiting.stderr_line("the server announces new mail");
            waiting
        })
        .collect();
    let tokens = usernames.map(|username| stage.deliver_token(username));
    for ((waiting, token), username) in waiting.into_iter().zip(tokens).zip(usernames) {
        let output = waiting.wait().expect_code(0);
        // The other's token is stored as well, and not printed.
        assert_eq!(output.stdout(), format!("{token}\n"));
        assert_eq!(stage.stored(username), Some(token));
    }
}

#[test]
fn a_folder_that_was_renumbered_meanwhile_loses_nothing() {
    let mut stage = Stage::new();
    stage.deliver_token("before@acme.example");
    let program = stage.program();
    program.run(["--timeout", "20s"]).expect_code(0);
    let cursor = program.run(["arm"]).expect_code(0).stdout();
    stage.dovecot.stop();
    stage.dovecot.inbox(stage.user).renumber();
    stage.dovecot.start_again();
    let token = stage.deliver_token(USERNAME);
    program
        .run([
            "wait",
            USERNAME,
            "--timeout",
            "20s",
            "--from",
            cursor.trim(),
        ])
        .expect_code(0);
    assert_eq!(stage.stored(USERNAME), Some(token));
}

#[test]
fn a_tool_that_ends_while_its_token_is_being_stored_gets_it_stored() {
    let stage = Stage::new();
    let done = stage.keychain.home().path().join("done");
    let until_done = format!("while ! test -e '{}'; do sleep 0.1; done", done.display());
    let (token, script) = tool_that_mails(&stage, &until_done);
    let running = stage.program().spawn([
        "run",
        "--timeout",
        "40s",
        "--",
        "sh",
        script.to_str().expect("a path"),
    ]);
    running.stderr_line("Started");
    // The mail comes half a second later; the keychain keeps the writing open, and meanwhile the tool ends.
    stage.keychain.freeze();
    std::thread::sleep(std::time::Duration::from_secs(2));
    std::fs::write(&done, "").expect("the tool's sign to end");
    std::thread::sleep(std::time::Duration::from_secs(1));
    stage.keychain.thaw();
    running.wait().expect_code(0);
    assert_eq!(stage.stored(USERNAME), Some(token));
}

#[test]
fn exec_becomes_the_program_with_the_token_in_its_environment_alone() {
    let stage = Stage::new();
    let token = stage.deliver_token(USERNAME);
    let program = stage.program();
    program
        .run(["wait", USERNAME, "--timeout", "20s"])
        .expect_code(0);
    let show = "printf '%s %s' \"$SALESFORCE_SECURITY_TOKEN\" \"$1\"; tr '\\0' ' ' < /proc/$$/cmdline >&2; exit 42";
    let output = program
        .run(["exec", USERNAME, "--", "sh", "-c", show, "sh", "one word"])
        .expect_code(42);
    assert_eq!(output.stdout(), format!("{token} one word"));
    assert!(!output.stderr().contains(&token), "{}", output.stderr());

    let named = [
        "exec", USERNAME, "--env", "SF_TOKEN", "--", "printenv", "SF_TOKEN",
    ];
    let output = program.run(named).expect_code(0);
    assert_eq!(output.stdout(), format!("{token}\n"));

    // Signals reach the program itself, and its end is ours.
    let sleeping = program.spawn(["exec", USERNAME, "--", "sleep", "30"]);
    lab::eventually(
        "another program in our place",
        std::time::Duration::from_secs(10),
        || {
            let name = std::fs::read_to_string(format!("/proc/{}/comm", sleeping.pid()));
            name.is_ok_and(|name| name == "sleep\n").then_some(())
        },
        String::new,
    );
    sleeping.signal("TERM");
    let status = sleeping.wait().status;
    assert_eq!(
        std::os::unix::process::ExitStatusExt::signal(&status),
        Some(15)
    );

    program
        .run(["exec", "nobody@acme.example", "--", "true"])
        .expect_code(8);
    program
        .run(["exec", USERNAME, "--", "no-such-program"])
        .expect_code(127);
    program
        .run(["exec", USERNAME, "--", "/etc/passwd"])
        .expect_code(126);
    program
        .run(["exec", USERNAME, "--env", "A=B", "--", "true"])
        .expect_code(2);
}
