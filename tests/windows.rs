//! The program on Windows: Credential Manager, the places where its files lie, and the daemon's named pipe. What needs a
//! mail server is tested on Linux; `scripts/check-platforms --wine` runs this on Wine.
#![cfg(windows)]

use keyring_core::api::CredentialStoreApi as _;
use serde_json::Value;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

const USERNAME: &str = "integration@acme.example";

/// How long anything may take that takes milliseconds on a machine that has nothing else to do.
const LIMIT: Duration = Duration::from_secs(60);

/// Windows has one profile a user, and no variable leads elsewhere: tokens and the ledger come to lie in it.
fn require_throwaway_profile() {
    assert!(
        std::env::var_os("FETCH_TOKEN_THROWAWAY_PROFILE").is_some(),
        "these tests write into this user's Credential Manager and profile. Run them as a user who can be thrown away, \
         and has not run them yet, with FETCH_TOKEN_THROWAWAY_PROFILE=1"
    );
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fixtures")
        .join(name)
}

fn program(arguments: &[&str]) -> Command {
    require_throwaway_profile();
    let mut command = Command::new(env!("CARGO_BIN_EXE_fetch-token"));
    command.args(arguments).stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    program(arguments).output().expect("run")
}

/// What it says on its standard output, with this exit code.
#[track_caller]
fn said(arguments: &[&str], code: i32) -> String {
    let output = run(arguments);
    let stdout = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(
        output.status.code(),
        Some(code),
        "{arguments:?}\n{stdout}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    stdout
}

/// The same as JSON.
#[track_caller]
fn told(arguments: &[&str], code: i32) -> Vec<Value> {
    said(arguments, code)
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// A process that is ended with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asks again until the answer is there.
#[track_caller]
fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + LIMIT;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < until, "{what}");
        sleep(Duration::from_millis(200));
    }
}

/// A configuration with one account, at whose port nobody answers.
fn configuration(folder: &Path, address: &str) -> PathBuf {
    let file = folder.join("config.toml");
    let text = format!(
        "[[account]]\naddress = \"{address}\"\nhost = \"127.0.0.1\"\nport = 1\nusernames = [\"*@acme.example\"]\n\
         password = {{ command = [\"cmd\", \"/c\", \"echo\", \"unused\"] }}\n"
    );
    std::fs::write(&file, text).expect("write the configuration");
    file
}

/// The text of the credential that `keyring.get_password("salesforce-security-token", username)` reads: Python's library
/// looks for `USERNAME@SERVICE` where there is none of the service's own name, and takes its octets for UTF-16.
fn as_pythons_keyring_reads(username: &str) -> String {
    let target = format!("{username}@salesforce-security-token");
    let named = HashMap::from([("target", target.as_str())]);
    let store = windows_native_keyring_store::Store::new().expect("the store");
    let entry = store.build("", "", Some(&named)).expect("an entry");
    let octets = entry.get_secret().expect("a credential");
    let units = octets
        .chunks(2)
        .map(|unit| u16::from_le_bytes([unit[0], unit[1]]));
    String::from_utf16(&units.collect::<Vec<_>>()).expect("UTF-16")
}

#[test]
fn it_says_its_version_and_its_commands() {
    let version = said(&["--version"], 0);
    assert_eq!(
        version.trim(),
        format!("fetch-token {}", env!("CARGO_PKG_VERSION"))
    );
    let help = said(&["--help"], 0);
    for command in ["wait", "run", "get", "daemon", "doctor"] {
        assert!(help.contains(command), "{help}");
    }
}

#[test]
fn a_mail_is_judged_as_elsewhere() {
    let keys = fixture("keys.json");
    for (name, code) in [
        ("english/plain-24", 0),
        ("japanese/shift-jis", 0),
        ("refused/two-tokens", 7),
    ] {
        let mail = fixture(&format!("{name}.eml"));
        let expected = std::fs::read(fixture(&format!("{name}.json"))).expect("the verdict");
        let expected: Value = serde_json::from_slice(&expected).expect("JSON");
        let arguments = [
            "extract",
            "--json",
            "--dkim-keys",
            keys.to_str().expect("UTF-8"),
            mail.to_str().expect("UTF-8"),
        ];
        let judged = told(&arguments, code);
        for member in [
            "verdict",
            "reason",
            "username",
            "sender",
            "date",
            "message_id",
        ] {
            assert_eq!(judged[0][member], expected[member], "{name}: {member}");
        }
    }
}

#[test]
fn a_token_in_credential_manager_is_read_by_another_process_and_taken_away() {
    let (keys, mail) = (fixture("keys.json"), fixture("english/plain-24.eml"));
    let keys = keys.to_str().expect("UTF-8");
    let mail = mail.to_str().expect("UTF-8");
    said(&["get", USERNAME], 8);
    let stored = told(
        &["extract", "--store", "--json", "--dkim-keys", keys, mail],
        0,
    );
    assert_eq!(stored[0]["verdict"], "token");
    assert_eq!(
        said(&["get", USERNAME], 0).trim_end(),
        "uAlj4D8JocS4Bwyti6WlQEEh"
    );
    assert_eq!(
        as_pythons_keyring_reads(USERNAME),
        "uAlj4D8JocS4Bwyti6WlQEEh"
    );
    let listed = told(&["list", "--json"], 0);
    let record = listed.iter().find(|record| record["username"] == USERNAME);
    let record = record.unwrap_or_else(|| panic!("{listed:?}"));
    assert_eq!(record["state"], "stored");
    assert_eq!(record["store"], "Windows Credential Manager");
    said(&["forget", USERNAME], 0);
    said(&["get", USERNAME], 8);
}

#[test]
fn the_daemon_is_asked_over_its_pipe_and_the_doctor_finds_everything_where_windows_has_it() {
    let folder = tempfile::tempdir().expect("a temp directory");
    let file = configuration(folder.path(), "first@acme.example");
    let config = file.to_str().expect("UTF-8");
    said(&["status"], 4);
    let log = folder.path().join("daemon.log");
    let daemon = program(&["daemon", "--config", config])
        .stderr(std::fs::File::create(&log).expect("a log"))
        .spawn()
        .map(Running)
        .expect("run the daemon");
    let read_log = || std::fs::read_to_string(&log).unwrap_or_default();
    eventually("the daemon does not answer", || {
        run(&["status"]).status.success().then_some(())
    });
    assert!(
        said(&["status"], 0).contains("first@acme.example"),
        "{}",
        read_log()
    );

    // There is one daemon.
    let second = run(&["daemon", "--config", config]);
    assert_eq!(second.status.code(), Some(2));
    let words = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(words.contains("a daemon runs already"), "{words}");

    // Who waits does so with the daemon.
    let waiting = program(&["wait", "--config", config, "--timeout", "60s", "--json"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map(Running)
        .expect("run");
    eventually("nobody waits with the daemon", || {
        let accounts = told(&["status", "--json"], 0);
        (accounts[0]["waiters"] == 1).then_some(())
    });
    drop(waiting);
    eventually("who went away still waits", || {
        let accounts = told(&["status", "--json"], 0);
        (accounts[0]["waiters"] == 0).then_some(())
    });

    // Many at once are each answered.
    let asked: Vec<_> = (0..12)
        .map(|_| {
            program(&["status", "--json"])
                .stdout(Stdio::piped())
                .stderr(Stdio::piped())
                .spawn()
                .expect("run")
        })
        .collect();
    for one in asked {
        let output = one.wait_with_output().expect("an end");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    // It reads its configuration again.
    configuration(folder.path(), "second@acme.example");
    said(&["reload"], 0);
    assert!(said(&["status"], 0).contains("second@acme.example"));

    // Nobody answers at the mailbox's port; everything else holds.
    let checks = told(&["doctor", "--json", "--config", config], 4);
    let check = |word: &str| {
        let mut checks = checks.iter();
        let found = checks.find(|check| check["check"] == word);
        found.unwrap_or_else(|| panic!("no {word}"))
    };
    assert_eq!(check("tcp")["verdict"], "broken");
    for sound in ["configuration", "keychain", "ledger"] {
        assert_eq!(check(sound)["verdict"], "sound", "{}", check(sound));
    }
    let asked = check("daemon")["facts"]["accounts"].to_string();
    assert!(asked.contains("second@acme.example"), "{asked}");
    let file = check("daemon")["facts"]["configuration"].to_string();
    assert!(!file.contains(r"\\\\?\\"), "{file}");
    let state = check("state-directory")["measured"].to_string();
    assert!(
        state.contains("AppData\\\\Local\\\\fetch-token\\\\data"),
        "{state}"
    );
    let without = told(&["doctor", "--json"], 2);
    let place = without[0]["facts"]["file"].as_str().unwrap_or_default();
    assert!(
        place.ends_with(r"AppData\Roaming\fetch-token\config\config.toml"),
        "{place}"
    );

    // A daemon that was ended leaves nothing in the way of the next.
    drop(daemon);
    said(&["status"], 4);
    let _next = program(&["daemon", "--config", config])
        .stderr(Stdio::null())
        .spawn()
        .map(Running)
        .expect("run the daemon");
    eventually("the next daemon does not answer", || {
        run(&["status"]).status.success().then_some(())
    });
}
