//! Resets that lie close together, waiters side by side, and waiters that are killed.
#![cfg(target_os = "linux")]

mod lab;

use jiff::{SignedDuration, Timestamp};
use lab::{Daemon, Program, Running, Stage, USERNAME, eventually, random_token};
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

/// A mail of a reset, written and not yet delivered.
struct Reset {
    token: String,
    message_id: String,
    staged: lab::Staged,
}

/// Two resets, one second apart by their mails' Dates: the earlier and the later.
fn two_resets(stage: &Stage) -> [Reset; 2] {
    let now = Timestamp::now();
    [2, 1].map(|ago| {
        let token = random_token();
        let message_id = format!("<{ago}.{token}@reset.example>");
        let mail = stage
            .token_mail(USERNAME, &token)
            .date(now - SignedDuration::from_secs(ago))
            .message_id(&message_id);
        Reset {
            token,
            message_id,
            staged: stage.dovecot.inbox(stage.user).stage(&mail.bytes()),
        }
    })
}

/// On a stage with a daemon, and on one without.
fn with_a_daemon_and_without(scenario: impl Fn(&Stage)) {
    for with_daemon in [true, false] {
        let stage = Stage::new();
        let daemon = with_daemon.then(|| Daemon::start(&stage));
        scenario(&stage);
        if let Some(daemon) = daemon {
            daemon.stop();
        }
    }
}

fn cursor(stage: &Stage) -> String {
    let armed = stage.program().run(["arm", USERNAME]).expect_code(0);
    armed.stdout().trim().to_owned()
}

fn wait_from(stage: &Stage, cursor: &str) -> Running {
    let wait = ["-v", "--json", "wait", USERNAME, "--from", cursor];
    stage
        .program()
        .spawn(wait.into_iter().chain(["--timeout", "40s"]))
}

/// The answer that a wait printed, and what it told people.
#[track_caller]
fn answer(running: Running) -> (Value, String) {
    let output = running.wait().expect_code(0);
    let last = output.stdout().lines().last().map(str::to_owned);
    let answer: Value = serde_json::from_str(&last.expect("an object")).expect("JSON");
    let is_answer = answer["event"] == "stored" || answer["event"] == "already";
    assert!(is_answer, "{}", output.transcript());
    let stored = output
        .stdout()
        .lines()
        .filter(|line| line.contains("\"stored\"") || line.contains("\"already\""))
        .count();
    assert_eq!(stored, 1, "one answer\n{}", output.transcript());
    (answer, output.stderr())
}

#[test]
fn of_two_resets_that_are_there_the_newest_is_the_answer_in_either_order() {
    with_a_daemon_and_without(|stage| {
        for is_later_first in [false, true] {
            let cursor = cursor(stage);
            let [earlier, later] = two_resets(stage);
            if is_later_first {
                later.staged.deliver();
                earlier.staged.deliver();
            } else {
                earlier.staged.deliver();
                later.staged.deliver();
            }
            let (answer, words) = answer(wait_from(stage, &cursor));
            assert_eq!(answer["message_id"], later.message_id, "{answer:#}");
            assert_eq!(answer["others"], 1, "{answer:#}");
            assert!(words.contains("Another token mail came"), "{words}");
            assert_eq!(stage.stored(USERNAME), Some(later.token));
        }
    });
}

#[test]
fn of_two_resets_that_come_at_once_while_it_is_waited_the_newest_is_the_answer() {
    with_a_daemon_and_without(|stage| {
        for is_later_first in [false, true] {
            let running = wait_from(stage, &cursor(stage));
            running.stderr_line("Watching INBOX");
            let [earlier, later] = two_resets(stage);
            if is_later_first {
                later.staged.deliver();
                earlier.staged.deliver();
            } else {
                earlier.staged.deliver();
                later.staged.deliver();
            }
            let (answer, words) = answer(running);
            assert_eq!(answer["message_id"], later.message_id, "{answer:#}");
            assert_eq!(answer["others"], 1, "{answer:#}\n{words}");
            assert_eq!(stage.stored(USERNAME), Some(later.token));
        }
    });
}

#[test]
fn a_reset_300_ms_after_the_first_is_the_answer_or_found_by_the_next_call() {
    with_a_daemon_and_without(|stage| {
        for is_later_first in [false, true] {
            let cursor = cursor(stage);
            let running = wait_from(stage, &cursor);
            running.stderr_line("Watching INBOX");
            let [earlier, later] = two_resets(stage);
            let (first, second) = if is_later_first {
                (later.staged, earlier.staged)
            } else {
                (earlier.staged, later.staged)
            };
            first.deliver();
            thread::sleep(Duration::from_millis(300));
            second.deliver();
            let (said, _) = answer(running);
            if is_later_first || said["others"] == 1 {
                assert_eq!(said["message_id"], later.message_id, "{said:#}");
            } else {
                assert_eq!(said["message_id"], earlier.message_id, "{said:#}");
                let (next, words) = answer(wait_from(stage, &cursor));
                assert_eq!(next["message_id"], later.message_id, "{next:#}");
                assert_eq!(next["others"], 1, "{next:#}\n{words}");
            }
            assert_eq!(stage.stored(USERNAME), Some(later.token));
        }
    });
}

#[test]
fn a_tool_that_resets_twice_prints_one_token_the_newest() {
    with_a_daemon_and_without(|stage| {
        let [earlier, later] = two_resets(stage);
        let mv = |mail: &Reset| {
            let (from, to) = (mail.staged.from.display(), mail.staged.to.display());
            format!("mv '{from}' '{to}'")
        };
        let script = format!("{}; sleep 2; {}; sleep 2", mv(&earlier), mv(&later));
        let run = ["run", USERNAME, "--print", "--", "sh", "-c", &script];
        let output = stage.program().run(run).expect_code(0);
        assert_eq!(output.stdout(), format!("{}\n", later.token));
        let words = output.stderr();
        assert!(words.contains("Another token mail came"), "{words}");
        assert_eq!(stage.stored(USERNAME), Some(later.token));
    });
}

#[test]
fn two_wait_for_two_usernames_and_each_gets_its_own() {
    with_a_daemon_and_without(|stage| {
        let waiting = ["one@acme.example", "two@acme.example"].map(|username| {
            let wait = ["-v", "wait", username, "--timeout", "40s", "--print"];
            let running = stage.program().spawn(wait);
            running.stderr_line("Watching INBOX");
            (username, running)
        });
        for (username, running) in waiting.into_iter().rev() {
            let token = stage.deliver_token(username);
            let output = running.wait().expect_code(0);
            assert_eq!(output.stdout(), format!("{token}\n"));
            assert_eq!(stage.stored(username), Some(token));
        }
    });
}

/// Every file under a folder but those of the message bus and the keychain's own.
fn files(folder: &Path) -> BTreeSet<PathBuf> {
    let mut files = BTreeSet::new();
    for entry in folder.read_dir().expect("a folder").flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            files.extend(self::files(&path));
        } else {
            files.insert(path);
        }
    }
    files
}

/// How many share the daemon's watch.
fn waiters(program: &Program) -> u64 {
    let status = program.run(["status", "--json"]).expect_code(0).stdout();
    let status: Value = serde_json::from_str(&status).expect("JSON");
    status["waiters"].as_u64().expect("a number")
}

#[test]
fn a_waiter_that_is_killed_leaves_nothing_behind() {
    for (with_daemon, signal) in [
        (true, "KILL"),
        (true, "TERM"),
        (false, "KILL"),
        (false, "TERM"),
    ] {
        let stage = Stage::new();
        let temp = stage.keychain.home().path().join("temp");
        std::fs::create_dir(&temp).expect("make a folder");
        let program = stage.program().env("TMPDIR", &temp);
        let daemon = with_daemon.then(|| Daemon::start(&stage));
        // The first wait of all makes the ledger.
        stage.deliver_token("first@acme.example");
        let wait = ["wait", "first@acme.example", "--timeout", "30s"];
        program.run(wait).expect_code(0);
        let before = files(stage.keychain.home().path());

        let cursor = cursor(&stage);
        let running = program.spawn(["-v", "wait", USERNAME, "--from", &cursor]);
        running.stderr_line("Watching INBOX");
        let children = format!("/proc/{0}/task/{0}/children", running.pid());
        assert_eq!(std::fs::read_to_string(children).expect("children"), "");
        if with_daemon {
            assert_eq!(waiters(&program), 1);
        }
        running.signal(signal);
        let status = running.wait().status;
        if signal == "TERM" {
            assert_eq!(status.code(), Some(128 + 15));
        }
        if with_daemon {
            eventually(
                "no waiters",
                Duration::from_secs(5),
                || (waiters(&program) == 0).then_some(()),
                String::new,
            );
        }
        assert_eq!(files(stage.keychain.home().path()), before, "{signal}");

        // Nobody holds the ledger, and the token is stored by the daemon, or found by the next call.
        let token = stage.deliver_token(USERNAME);
        if with_daemon {
            eventually(
                "the token",
                Duration::from_secs(20),
                || (stage.stored(USERNAME).as_ref() == Some(&token)).then_some(()),
                String::new,
            );
        }
        let wait = ["wait", USERNAME, "--from", &cursor, "--print"];
        let output = program.run(wait).expect_code(0);
        assert_eq!(output.stdout(), format!("{token}\n"));
        if let Some(daemon) = daemon {
            daemon.stop();
        }
    }
}
