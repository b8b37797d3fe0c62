//! The examples do what they say, as they are.
#![cfg(target_os = "linux")]

mod lab;

use lab::{Daemon, Program, Stage, USERNAME, random_token};
use std::path::{Path, PathBuf};

/// A mail that waits to be moved into the mailbox, and the command that does it.
fn reset(stage: &Stage) -> (String, [String; 3]) {
    let token = random_token();
    let mail = stage.token_mail(USERNAME, &token).bytes();
    let staged = stage.dovecot.inbox(stage.user).stage(&mail);
    let path = |path: &Path| path.to_str().expect("a path").to_owned();
    let command = ["mv".to_owned(), path(&staged.from), path(&staged.to)];
    (token, command)
}

/// An example, with the built program first on its PATH.
fn example(stage: &Stage, name: &str) -> Program {
    let file: PathBuf = [env!("CARGO_MANIFEST_DIR"), "examples", name]
        .iter()
        .collect();
    let program = Path::new(env!("CARGO_BIN_EXE_fetch-token"));
    let own = program.parent().expect("a folder");
    let path = std::env::var("PATH").expect("a PATH");
    Program::new(file)
        .with_keychain(&stage.keychain)
        .env("PATH", format!("{}:{path}", own.display()))
}

#[test]
fn arm_and_wait_in_python_with_a_daemon_and_without() {
    for with_daemon in [false, true] {
        let stage = Stage::new();
        let daemon = with_daemon.then(|| Daemon::start(&stage));
        let (token, reset) = reset(&stage);
        let arguments = [USERNAME.to_owned()].into_iter().chain(reset);
        let output = example(&stage, "arm-and-wait.py")
            .run(arguments)
            .expect_code(0);
        assert!(
            output
                .stdout()
                .starts_with(&format!("the token of {USERNAME} of ")),
            "{}",
            output.transcript()
        );
        assert!(!output.transcript().contains(&token));
        assert_eq!(stage.stored(USERNAME), Some(token));
        if let Some(daemon) = daemon {
            daemon.stop();
        }
    }
}

#[test]
fn a_tool_run_in_shell_with_a_daemon_and_without() {
    for with_daemon in [false, true] {
        let stage = Stage::new();
        let daemon = with_daemon.then(|| Daemon::start(&stage));
        let (token, reset) = reset(&stage);
        let arguments = [USERNAME.to_owned()].into_iter().chain(reset);
        let output = example(&stage, "run-a-tool.sh")
            .run(arguments)
            .expect_code(0);
        assert_eq!(
            output.stdout(),
            format!("a program got a token of {} characters\n", token.len())
        );
        assert!(!output.transcript().contains(&token));
        assert_eq!(stage.stored(USERNAME), Some(token));
        let failing = [USERNAME, "no-such-tool"];
        let failed = example(&stage, "run-a-tool.sh").run(failing);
        assert!(failed.expect_code(127).stdout().is_empty());
        if let Some(daemon) = daemon {
            daemon.stop();
        }
    }
}

#[test]
fn the_rust_library_with_a_daemon_and_without() {
    let program = lab::rust_example("pairing");
    for with_daemon in [false, true] {
        let stage = Stage::new();
        let daemon = with_daemon.then(|| Daemon::start(&stage));
        let (token, reset) = reset(&stage);
        let arguments = [USERNAME.to_owned()].into_iter().chain(reset);
        let program = Program::new(&program).with_keychain(&stage.keychain);
        let output = program.run(arguments).expect_code(0);
        let words = format!("the token of {USERNAME} has {} characters", token.len());
        assert!(
            output.stdout().starts_with(&words),
            "{}",
            output.transcript()
        );
        assert!(!output.transcript().contains(&token));
        assert_eq!(stage.stored(USERNAME), Some(token));
        let failed = program.run([USERNAME, "false"]).expect_code(1);
        assert!(
            failed.stderr().contains("To go on: ftc1-"),
            "{}",
            failed.transcript()
        );
        if let Some(daemon) = daemon {
            daemon.stop();
        }
    }
}

#[test]
fn the_socket_in_python_and_node() {
    let stage = Stage::new();
    let daemon = Daemon::start(&stage);
    for name in ["over-the-socket.py", "over-the-socket.mjs"] {
        let (token, reset) = reset(&stage);
        let arguments = [stage.user.name.to_owned(), USERNAME.to_owned()];
        let output = example(&stage, name)
            .run(arguments.into_iter().chain(reset))
            .expect_code(0);
        assert!(
            output
                .stdout()
                .contains(&format!("stored: {USERNAME}, mail of ")),
            "{}",
            output.transcript()
        );
        assert!(!output.transcript().contains(&token));
        assert_eq!(stage.stored(USERNAME), Some(token), "{name}");
        // Two mails of one second cannot be told apart by their dates; the second one is the later in the folder.
    }
    let refused = example(&stage, "over-the-socket.py")
        .run(["nobody@acme.example", USERNAME, "true"])
        .expect_code(1);
    assert!(
        refused.stderr().contains("does not attend"),
        "{}",
        refused.transcript()
    );
    daemon.stop();
}
