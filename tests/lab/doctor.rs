//! What `fetch-token doctor` says, link by link.

use super::ca::Ca;
use super::command::{Output, Program};
use super::dovecot::{INTEGRATION, account};
use super::home::Home;
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Runs `doctor`; no secret may stand in what it says.
#[track_caller]
pub fn doctor<const N: usize>(program: &Program, arguments: [&str; N]) -> Output {
    use base64::Engine as _;
    let program = program.clone().env("RUST_LOG", "trace");
    let output = program.run(["doctor"].into_iter().chain(arguments));
    let plain = format!("\0{}\0{}", INTEGRATION.name, INTEGRATION.password);
    let encoded = base64::prelude::BASE64_STANDARD.encode(plain);
    for secret in [INTEGRATION.password, &encoded] {
        let said = output.transcript();
        assert!(!said.contains(secret), "a secret is shown:\n{said}");
    }
    output
}

/// The line of a link, without the blanks that align it, and what to do about it.
#[track_caller]
pub fn shown(output: &Output, name: &str) -> (String, String) {
    let table = output.stdout();
    let is_its = |line: &&str| line.split_whitespace().nth(1) == Some(name);
    let mut lines = table.lines().skip_while(|line| !is_its(line));
    let line = lines.next();
    let line = line.unwrap_or_else(|| panic!("no {name}:\n{}", output.transcript()));
    let advice = lines.next().unwrap_or_default().trim();
    let advice = advice.strip_prefix("→ ").unwrap_or_default();
    let words: Vec<_> = line.split_whitespace().collect();
    (words.join(" "), advice.to_owned())
}

/// This link is the first broken one: its line and advice begin so, and those named after it are not tried.
#[track_caller]
pub fn is_broken(output: &Output, name: &str, words: &str, advice: &str, not_tried: &[&str]) {
    let (line, shown_advice) = shown(output, name);
    let transcript = output.transcript();
    assert!(
        line.starts_with(&format!("✗ {name} {words}")),
        "{line}\n{transcript}"
    );
    assert!(
        shown_advice.contains(advice),
        "{shown_advice}\n{transcript}"
    );
    let table = output.stdout();
    let first = table
        .lines()
        .find(|line| line.starts_with("  ✗"))
        .expect("a broken link");
    assert!(first.contains(&format!("✗ {name} ")), "{transcript}");
    for behind in not_tried {
        let (line, _) = shown(output, behind);
        assert_eq!(
            line,
            format!("– {behind} not tried: an earlier link is broken"),
            "{transcript}"
        );
    }
}

pub fn objects(output: &Output) -> Vec<Value> {
    let stdout = output.stdout();
    let lines = stdout.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("an object a line"))
        .collect()
}

/// The object of a link.
#[track_caller]
pub fn object(output: &Output, name: &str) -> Value {
    let all = objects(output);
    let found = all.iter().find(|object| object["check"] == name);
    found
        .unwrap_or_else(|| panic!("no {name}:\n{}", output.transcript()))
        .clone()
}

/// A configuration at a home without a keychain, for one account at this port of this machine.
pub fn at(port: u16, tls: &str) -> (Home, Program) {
    let home = Home::new();
    let ca = home.path().join("ca.pem");
    Ca::shared().write_to(&ca);
    let password = home.write_private("mailbox-password", INTEGRATION.password);
    home.write_config(&account(INTEGRATION, port, tls, &ca, &password));
    let program = program_at(&home);
    (home, program)
}

pub fn program_at(home: &Home) -> Program {
    Program::new(env!("CARGO_BIN_EXE_fetch-token")).at_home(home)
}

pub fn replace(file: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(file).expect("the configuration");
    assert!(text.contains(from), "{text}");
    fs::write(file, text.replace(from, to)).expect("write");
}

pub const BEHIND_THE_NAME: [&str; 10] = [
    "tcp",
    "tls",
    "greeting",
    "capabilities",
    "login",
    "folders",
    "junk",
    "idle",
    "test-mail",
    "clock",
];
