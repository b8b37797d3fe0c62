//! What a person sees at a terminal: the prompt that shows nothing of what is typed, and the spinner.
#![cfg(target_os = "linux")]

mod lab;

use lab::{Program, Stage, USERNAME, require};

/// Runs the program under `script`, which gives it a terminal of its own; once it has written `prompt`, types
/// `line` there.
fn at_a_terminal(stage: &Stage, arguments: &str, prompt: &str, line: &str) -> lab::Output {
    let folder = stage.keychain.home().path();
    let seen = folder.join("seen");
    let _ = std::fs::remove_file(&seen);
    let typist = folder.join("typist");
    // What is typed before the prompt would be echoed by the terminal itself.
    std::fs::write(
        &typist,
        format!(
            "(until grep -q '{prompt}' '{seen}' 2>/dev/null; do sleep 0.1; done; cat; sleep 1) | \
             script -qefc '{program} {arguments}' '{seen}'\n",
            seen = seen.display(),
            program = env!("CARGO_BIN_EXE_fetch-token"),
        ),
    )
    .expect("write");
    require("script", "bsdutils");
    Program::new(require("bash", "bash"))
        .with_keychain(&stage.keychain)
        .env("TERM", "xterm")
        .run_with_input([&typist], line.as_bytes())
}

#[test]
fn a_person_is_asked_for_the_password_and_nothing_of_it_is_shown() {
    let stage = Stage::new();
    let config = std::fs::read_to_string(stage.keychain.home().config_file()).expect("read");
    let (before, _) = config.split_once("password").expect("a password command");
    let typed = format!("{}\n", stage.user.password);
    // By name, and by default where the keychain holds none.
    for password in ["password = \"prompt\"\n", ""] {
        stage.write_config(&format!("{before}{password}usernames = [\"*\"]\n"));
        let token = stage.deliver_token(USERNAME);
        let output = at_a_terminal(
            &stage,
            "wait --timeout 20s",
            "Password of integration@acme.example: ",
            &typed,
        )
        .expect_code(0);
        assert!(
            !output.stdout().contains(stage.user.password),
            "{}",
            output.transcript()
        );
        assert_eq!(stage.stored(USERNAME), Some(token));
    }
}

#[test]
fn a_terminal_shows_how_long_it_takes_and_a_pipe_does_not() {
    let stage = Stage::new();
    let output = at_a_terminal(&stage, "wait --timeout 3s", ".", "").expect_code(3);
    let seen = output.stdout();
    assert!(seen.contains("watching integration@acme.example"), "{seen}");
    assert!(seen.contains("left"), "{seen}");
    let piped = stage
        .program()
        .run(["wait", "--timeout", "2s"])
        .expect_code(3);
    assert!(
        !piped.stderr().contains("watching integration"),
        "{}",
        piped.transcript()
    );
    let quiet = at_a_terminal(&stage, "wait -q --timeout 2s", ".", "").expect_code(3);
    assert!(!quiet.stdout().contains("watching"), "{}", quiet.stdout());
}

#[test]
fn a_refused_mail_is_stored_only_when_the_person_types_yes() {
    let stage = Stage::new();
    let token = lab::random_token();
    let mail = stage.token_mail(USERNAME, &token);
    stage.dovecot.deliver(stage.user, &mail.unsigned());
    stage
        .program()
        .run(["wait", "--timeout", "3s"])
        .expect_code(7);
    let listed = stage.program().run(["refused"]).expect_code(0).stdout();
    let line = listed.lines().nth(1).expect("an entry");
    let id = line.split_whitespace().next().expect("an ID");
    for (answer, code, stored) in [
        ("no\n", 7, None),
        ("\n", 7, None),
        ("yes\n", 0, Some(token)),
    ] {
        let seen = at_a_terminal(&stage, &format!("accept {id}"), "Type yes", answer);
        assert!(
            seen.stdout().contains("unsigned"),
            "what failed is shown: {}",
            seen.transcript()
        );
        seen.expect_code(code);
        assert_eq!(stage.stored(USERNAME), stored, "{answer:?}");
    }
}
