//! Whoever waits gets the same answer from a connection of its own and from the daemon.
#![cfg(target_os = "linux")]

mod lab;

use lab::{Ca, Daemon, Front, Program, Stage, USERNAME};
use serde_json::Value;
use std::path::PathBuf;

/// Who holds the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Own,
    Daemon,
}

const WAYS: [Way; 2] = [Way::Own, Way::Daemon];

/// A stage, with a daemon where the way is by one.
struct Scene {
    stage: Stage,
    daemon: Option<Daemon>,
    way: Way,
}

impl Scene {
    fn new(way: Way) -> Self {
        let stage = Stage::new();
        let daemon = (way == Way::Daemon).then(|| Daemon::start(&stage));
        Self { stage, daemon, way }
    }

    fn program(&self) -> Program {
        self.stage.program()
    }

    /// Starts `wait` (or the like) and returns once it watches.
    fn watching(&self, arguments: &[&str]) -> lab::Running {
        let running = self.program().spawn([&["-v"], arguments].concat());
        running.stderr_line("Watching INBOX");
        let log = running.stderr_so_far();
        assert!(!log.contains("Not asking the daemon"), "{log}");
        running
    }

    /// Nothing but the expected way was used.
    fn end(self) {
        if let Some(daemon) = self.daemon {
            daemon.stop();
        }
    }
}

/// What the program printed, without what differs from run to run.
fn objects(stdout: &str) -> Vec<Value> {
    stdout
        .lines()
        .map(|line| {
            let mut object: Value =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
            for changing in ["date", "message_id", "cursor", "uid", "token"] {
                if let Some(value) = object.get_mut(changing)
                    && !value.is_null()
                {
                    *value = "...".into();
                }
            }
            object
        })
        .collect()
}

/// Runs a scenario both ways, which must say the same.
fn same(scenario: impl Fn(&mut Scene) -> Vec<Value>) {
    let [own, daemon] = WAYS.map(|way| {
        let mut scene = Scene::new(way);
        let said = scenario(&mut scene);
        scene.end();
        said
    });
    assert_eq!(own, daemon);
}

#[test]
fn a_mail_that_is_there_already() {
    same(|scene| {
        let token = scene.stage.deliver_token(USERNAME);
        let wait = ["--json", "wait", USERNAME, "--timeout", "20s", "--print"];
        // The daemon may have been quicker: it stores what comes, and then it is stored already.
        let first = scene.program().run(wait).expect_code(0).stdout();
        assert!(first.contains(&token), "{:?}: {first}", scene.way);
        assert_eq!(scene.stage.stored(USERNAME), Some(token));
        objects(&scene.program().run(wait).expect_code(0).stdout())
    });
}

#[test]
fn a_mail_that_comes() {
    same(|scene| {
        let waiting = scene.watching(&["--json", "wait", USERNAME, "--timeout", "30s"]);
        scene.stage.deliver_token("somebody.else@acme.example");
        let token = scene.stage.deliver_token(USERNAME);
        let output = waiting.wait().expect_code(0);
        assert_eq!(scene.stage.stored(USERNAME), Some(token));
        let mut said = objects(&output.stdout());
        // They may be found together, and then in any order.
        said.retain(|object| object["username"] == USERNAME);
        said
    });
}

#[test]
fn from_a_cursor_and_print() {
    same(|scene| {
        scene.stage.deliver_token("old@acme.example");
        let first = scene.program().run(["wait", "--timeout", "20s"]);
        first.expect_code(0);
        let cursor = scene.program().run(["arm"]).expect_code(0).stdout();
        let cursor = cursor.trim();
        assert!(cursor.starts_with("ftc1-"), "{cursor}");
        let none = scene
            .program()
            .run(["--json", "wait", "--from", cursor, "--timeout", "3s"])
            .expect_code(3);
        let token = scene.stage.deliver_token(USERNAME);
        let printed = scene
            .program()
            .run(["wait", "--from", cursor, "--timeout", "20s", "--print"])
            .expect_code(0);
        assert_eq!(printed.stdout(), format!("{token}\n"));
        objects(&none.stdout())
    });
}

#[test]
fn a_tool_that_resets_the_token() {
    same(|scene| {
        let mut said = Vec::new();
        for (then, code) in [("", 0), ("exit 42", 42)] {
            let (token, tool) = tool_that_mails(&scene.stage, then);
            let tool = tool.to_str().expect("a path");
            let run = ["--json", "run", USERNAME, "--timeout", "30s", "--", "sh"];
            let output = scene.program().run(run.into_iter().chain([tool]));
            let output = output.expect_code(code);
            assert_eq!(scene.stage.stored(USERNAME), Some(token));
            said.extend(objects(&output.stdout()));
        }
        said
    });
}

/// A shell script that delivers a token mail, as a reset does, and the token.
fn tool_that_mails(stage: &Stage, then: &str) -> (String, PathBuf) {
    let token = lab::random_token();
    let mail = stage
        .dovecot
        .inbox(stage.user)
        .stage(&stage.token_mail(USERNAME, &token).bytes());
    let (from, to) = (mail.from.display(), mail.to.display());
    let script = format!("mv '{from}' '{to}'\n{then}\n");
    (token, stage.keychain.home().write_private("tool", &script))
}

#[test]
fn a_mail_that_is_refused() {
    same(|scene| {
        let waiting = scene.watching(&["--json", "wait", USERNAME, "--timeout", "4s"]);
        let mail = scene.stage.token_mail(USERNAME, &lab::random_token());
        scene
            .stage
            .dovecot
            .deliver(scene.stage.user, &mail.unsigned());
        let output = waiting.wait().expect_code(7);
        objects(&output.stdout())
    });
}

#[test]
fn nothing_before_the_deadline() {
    same(|scene| {
        let output = scene
            .program()
            .run(["--json", "wait", USERNAME, "--timeout", "3s"])
            .expect_code(3);
        objects(&output.stdout())
    });
}

#[test]
fn a_locked_keychain() {
    same(|scene| {
        scene.stage.keychain.lock();
        // Tried again 1, 3 and 7 s after the mail came: the deadline lies between, and not in the middle of a try.
        let waiting = scene.watching(&["--json", "wait", USERNAME, "--timeout", "6s"]);
        let token = scene.stage.deliver_token(USERNAME);
        let output = waiting.wait().expect_code(6);
        scene.stage.keychain.unlock();
        scene
            .program()
            .run(["wait", USERNAME, "--timeout", "30s"])
            .expect_code(0);
        assert_eq!(scene.stage.stored(USERNAME), Some(token));
        objects(&output.stdout())
    });
}

#[test]
fn five_wait_on_one_connection_and_each_gets_its_own() {
    let stage = Stage::new();
    let front = Front::start(stage.dovecot.imap_port(), &Ca::shared().localhost, &[]);
    stage.configure_behind(front.port());
    let daemon = Daemon::start(&stage);
    let usernames = ["a", "b", "c", "d", "e"].map(|name| format!("{name}@acme.example"));
    let waiting = usernames.each_ref().map(|username| {
        let running =
            stage
                .program()
                .spawn(["-v", "wait", username, "--timeout", "40s", "--print"]);
        running.stderr_line("Watching INBOX");
        running
    });
    let tokens = usernames
        .each_ref()
        .map(|username| stage.deliver_token(username));
    for (running, token) in waiting.into_iter().zip(tokens) {
        let output = running.wait().expect_code(0);
        assert_eq!(output.stdout(), format!("{token}\n"));
    }
    assert_eq!(front.conversations().len(), 1);
    daemon.stop();
}

#[test]
fn a_daemon_killed_in_the_middle_of_a_wait_is_replaced_by_a_connection_of_its_own() {
    for arguments in [
        &["wait", USERNAME][..],
        &["run", USERNAME, "--", "sleep", "1"],
    ] {
        let scene = Scene::new(Way::Daemon);
        let waiting = scene.watching(arguments);
        scene.daemon.expect("a daemon").kill();
        waiting.stderr_line("Going on with a connection of our own");
        let token = scene.stage.deliver_token(USERNAME);
        waiting.wait().expect_code(0);
        assert_eq!(scene.stage.stored(USERNAME), Some(token));
    }
}

#[test]
fn a_daemon_that_hangs_is_noticed() {
    let scene = Scene::new(Way::Daemon);
    let waiting = scene.watching(&["wait", USERNAME]);
    let daemon = scene.daemon.expect("a daemon");
    daemon.signal("STOP");
    waiting.stderr_line("Going on with a connection of our own");
    let token = scene.stage.deliver_token(USERNAME);
    waiting.wait().expect_code(0);
    assert_eq!(scene.stage.stored(USERNAME), Some(token));
    // One that hangs from the start costs a second, not the wait.
    scene
        .stage
        .program()
        .run(["wait", USERNAME, "--timeout", "20s"])
        .expect_code(0);
    daemon.signal("CONT");
    daemon.stop();
}

#[test]
fn a_configuration_that_changed_since_is_not_asked_for() {
    let stage = Stage::new();
    let daemon = Daemon::start(&stage);
    stage.configure("idle = false");
    let waiting = stage.program().spawn(["-v", "--timeout", "30s"]);
    waiting.stderr_line("the configuration changed since it was read");
    waiting.stderr_line("polling");
    stage.deliver_token(USERNAME);
    waiting.wait().expect_code(0);
    daemon.stop();
}

#[test]
fn a_login_that_is_refused_and_then_corrected() {
    let stage = Stage::new();
    let password = || {
        stage
            .keychain
            .home()
            .write_private("mailbox-password", stage.user.password)
    };
    let wrong = || {
        stage
            .keychain
            .home()
            .write_private("mailbox-password", "wrong")
    };
    let wait = ["--json", "wait", USERNAME, "--timeout", "50s"];
    wrong();
    let own = stage.program().run(wait).expect_code(5);
    let daemon = Daemon::launch(&stage.program());
    daemon.wait_for(": trouble", 1);
    let shared = stage.program().run(wait).expect_code(5);
    assert_eq!(objects(&own.stdout()), objects(&shared.stdout()));
    password();
    let token = stage.deliver_token(USERNAME);
    stage.program().run(wait).expect_code(0);
    assert_eq!(stage.stored(USERNAME), Some(token));
    daemon.stop();
}

#[test]
fn a_mailbox_that_cannot_be_reached() {
    let mut stage = Stage::new();
    let daemon = Daemon::start(&stage);
    stage.dovecot.stop();
    daemon.wait_for(": trouble", 1);
    let wait = ["--json", "wait", USERNAME, "--timeout", "3s"];
    let shared = stage.program().run(wait).expect_code(4);
    daemon.stop();
    let own = stage.program().run(wait).expect_code(4);
    assert_eq!(objects(&own.stdout()), objects(&shared.stdout()));
}
