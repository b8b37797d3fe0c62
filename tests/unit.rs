//! What `daemon --print-unit` prints is taken by who is to read it.
#![cfg(target_os = "linux")]

mod lab;

use lab::{Home, Program, require};
use std::process::{Command, Output};

/// The program in a folder with an odd name, so that the unit has something to quote.
fn printed(home: &Home, manager: &str) -> String {
    let folder = home.path().join("a b%h$HOME <&>");
    std::fs::create_dir(&folder).expect("make a folder");
    let program = folder.join("fetch-token");
    // Copied by another process: what is open for writing here may be handed to a child of another test, and then it
    // cannot be run (ETXTBSY).
    let copied = Command::new("cp")
        .arg(env!("CARGO_BIN_EXE_fetch-token"))
        .arg(&program)
        .status();
    assert!(copied.expect("run cp").success(), "copy the program");
    let output = Program::new(&program)
        .at_home(home)
        .run([
            "--config",
            "c.toml",
            "daemon",
            "--print-unit",
            manager,
            "--log",
            "json",
        ])
        .expect_code(0);
    output.stdout()
}

fn transcript(output: &Output) -> String {
    let text = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn systemd_takes_the_unit() {
    let home = Home::new();
    let file = home.path().join("fetch-token.service");
    std::fs::write(&file, printed(&home, "systemd")).expect("write the unit");
    let verified = Command::new(require("systemd-analyze", "systemd"))
        .args(["verify", "--user", "--man=no"])
        .arg(&file)
        .envs(home.env())
        .output()
        .expect("run systemd-analyze");
    // It warns of what it does not know and still ends with 0, so there must be no word about this unit.
    let said = transcript(&verified);
    assert!(
        verified.status.success() && !said.contains("fetch-token"),
        "{said}"
    );
}

#[test]
fn the_launchd_agent_is_a_property_list_with_the_program_as_it_is() {
    let home = Home::new();
    let file = home.path().join("fetch-token.plist");
    std::fs::write(&file, printed(&home, "launchd")).expect("write the agent");
    let read = "import plistlib, sys; a = plistlib.load(open(sys.argv[1], 'rb')); \
                print(a['Label'], a['RunAtLoad'], a['KeepAlive'], *a['ProgramArguments'], sep='\\n')";
    let read = Command::new(require("python3", "python3"))
        .args(["-c", read])
        .arg(&file)
        .output()
        .expect("run python3");
    let config = std::env::current_dir().expect("a directory").join("c.toml");
    let program = home.path().join("a b%h$HOME <&>/fetch-token");
    let expected = format!(
        "fetch-token\nTrue\n{{'SuccessfulExit': False}}\n{}\ndaemon\n--config\n{}\n--log\njson\n",
        program.display(),
        config.display()
    );
    assert_eq!(transcript(&read), expected);
}
