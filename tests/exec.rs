//! `exec` gets out of the way: what runs after it is the program, as if it had been started alone.
#![cfg(target_os = "linux")]

mod lab;

use lab::{Home, Program, SERVICE, SecretService, USERNAME, eventually, random_token};
use std::os::unix::process::ExitStatusExt as _;
use std::time::Duration;

const PROGRAM: &str = env!("CARGO_BIN_EXE_fetch-token");

/// Has `env` start a program as from a terminal.
const DEFAULT: &str = "--default-signal=HUP,INT,QUIT,TERM";

/// The built program, on a keychain that holds a token.
fn with_token() -> (SecretService, Program, String) {
    let keychain = SecretService::start();
    let token = random_token();
    keychain.store(SERVICE, USERNAME, &token);
    let program = Program::new(PROGRAM).with_keychain(&keychain);
    (keychain, program, token)
}

/// `exec` of a shell script.
fn shell(script: &str) -> [&str; 6] {
    ["exec", USERNAME, "--", "sh", "-c", script]
}

#[test]
fn the_program_has_our_process_id_input_and_folder_and_none_of_our_files() {
    let (_keychain, program, token) = with_token();
    let script = "cat; pwd; ls /proc/self/fd";
    let input = b"from our input\n";
    let alone = Program::new("/bin/sh").run_with_input(["-c", script], input);
    let output = program.run_with_input(shell(script), input).expect_code(0);
    assert!(output.stdout().starts_with("from our input\n/"));
    assert_eq!(output.stdout(), alone.stdout());

    let running = program.spawn(shell("echo $$; while :; do sleep 0.1; done"));
    let pid = running.stdout_line("");
    assert_eq!(pid, running.pid().to_string());
    let environment = std::fs::read(format!("/proc/{pid}/environ")).expect("its environment");
    let variable = format!("SALESFORCE_SECURITY_TOKEN={token}");
    let named = environment.split(|&byte| byte == 0);
    assert_eq!(named.filter(|&one| one == variable.as_bytes()).count(), 1);
}

#[test]
fn an_older_token_in_our_environment_gives_way() {
    let (_keychain, program, token) = with_token();
    let program = program.env("SALESFORCE_SECURITY_TOKEN", "old");
    let output = program.run(["exec", USERNAME, "--", "env"]).expect_code(0);
    let output = output.stdout();
    let found: Vec<&str> = output
        .lines()
        .filter(|line| line.starts_with("SALESFORCE_SECURITY_TOKEN="))
        .collect();
    assert_eq!(found, [format!("SALESFORCE_SECURITY_TOKEN={token}")]);
}

/// The masks in a process's status; only of the signals up to 31, for the C library uses some of the others itself.
fn signals(status: &str) -> Vec<u64> {
    let masks = status.lines().filter_map(|line| line.split('\t').nth(1));
    let bits = |mask| u64::from_str_radix(mask, 16).expect("a mask") & 0x7fff_ffff;
    let masks: Vec<u64> = masks.map(bits).collect();
    assert_eq!(masks.len(), 2, "{status}");
    masks
}

#[test]
fn what_is_ignored_and_blocked_is_what_was_so_before_us() {
    let (keychain, _, _) = with_token();
    let env = Program::new("/usr/bin/env").with_keychain(&keychain);
    // Not SIGPIPE, which a Rust program ignores for itself.
    let masks = ["grep", "-E", "Sig(Ign|Blk)", "/proc/self/status"];
    let ours = [PROGRAM, "exec", USERNAME, "--"];
    // From a terminal; by `nohup`; and in the background of a shell without job control.
    for before in [
        DEFAULT,
        "--ignore-signal=HUP",
        "--ignore-signal=INT,QUIT",
        "--ignore-signal=TERM",
        "--block-signal=HUP,TERM",
    ] {
        let alone = env.run([&[before], &masks[..]].concat()).expect_code(0);
        let output = env.run([&[before], &ours[..], &masks].concat());
        assert_eq!(
            signals(&output.expect_code(0).stdout()),
            signals(&alone.stdout()),
            "{before}"
        );
    }
}

#[test]
fn each_signal_does_to_the_program_what_it_does_alone() {
    let (keychain, program, _) = with_token();
    // However these tests were started.
    let env = Program::new("/usr/bin/env").with_keychain(&keychain);
    for (name, number) in [
        ("TERM", 15),
        ("INT", 2),
        ("HUP", 1),
        ("QUIT", 3),
        ("PIPE", 13),
    ] {
        let alone = shell("echo started; exec sleep 30");
        let running = env.spawn([&[DEFAULT, PROGRAM], &alone[..]].concat());
        running.stdout_line("started");
        eventually(
            "sleep in its place",
            Duration::from_secs(10),
            || {
                let name = std::fs::read_to_string(format!("/proc/{}/comm", running.pid()));
                name.is_ok_and(|name| name == "sleep\n").then_some(())
            },
            String::new,
        );
        running.signal(name);
        assert_eq!(running.wait().status.signal(), Some(number), "{name}");
    }
    // And one that the program handles is the program's.
    let running = program.spawn(shell(
        "trap 'echo handled; exit 7' TERM; echo started; while :; do sleep 0.1; done",
    ));
    running.stdout_line("started");
    running.signal("TERM");
    let output = running.wait().expect_code(7);
    assert!(output.stdout().ends_with("handled\n"));
}

#[test]
fn every_status_is_passed_on() {
    let (_keychain, program, _) = with_token();
    for status in [0, 1, 2, 8, 126, 127, 128, 143, 255] {
        program
            .run(shell(&format!("exit {status}")))
            .expect_code(status);
    }
}

#[test]
fn a_program_that_cannot_be_started_is_named_and_has_the_status_that_shells_give() {
    let (keychain, program, token) = with_token();
    let script = keychain
        .home()
        .write_private("not-executable", "#!/bin/sh\n");
    let nowhere = keychain
        .home()
        .write_private("no-interpreter", "#!/nowhere/sh\n");
    std::fs::set_permissions(
        &nowhere,
        std::os::unix::fs::PermissionsExt::from_mode(0o700),
    )
    .expect("make it executable");
    for (command, status) in [
        ("no-such-program", 127),
        ("./no-such-program", 127),
        (nowhere.to_str().expect("a path"), 127),
        (script.to_str().expect("a path"), 126),
        ("/", 126),
    ] {
        let output = program
            .run(["exec", USERNAME, "--", command])
            .expect_code(status);
        let said = output.stderr();
        assert!(
            said.contains(command) && said.contains("after --"),
            "{said}"
        );
        assert!(!output.transcript().contains(&token));
    }
    program.run(["exec", USERNAME, "--"]).expect_code(2);
    program.run(["exec", USERNAME]).expect_code(2);
}

#[test]
fn without_a_keychain_the_program_is_not_started() {
    let home = Home::new();
    let program = Program::new(env!("CARGO_BIN_EXE_fetch-token")).at_home(&home);
    let output = program.run(shell("echo started")).expect_code(6);
    assert_eq!(output.stdout(), "");
}

#[test]
fn a_signal_before_the_program_is_there_ends_us() {
    let (keychain, program, _) = with_token();
    keychain.freeze();
    let running = program.spawn(shell("echo started"));
    eventually(
        "a question to the keychain",
        Duration::from_secs(10),
        || {
            let tasks = std::fs::read_dir(format!("/proc/{}/task", running.pid())).ok()?;
            (tasks.count() > 1).then_some(())
        },
        String::new,
    );
    running.signal("TERM");
    let output = running.wait();
    keychain.thaw();
    // As shells say it, whether it ended in good order or was not ready to hear the signal yet.
    let status = output
        .status
        .code()
        .or(output.status.signal().map(|signal| 128 + signal));
    assert_eq!(status, Some(128 + 15), "{}", output.transcript());
    assert!(
        output.elapsed < Duration::from_secs(3),
        "{:?}",
        output.elapsed
    );
    assert_eq!(output.stdout(), "");
}
