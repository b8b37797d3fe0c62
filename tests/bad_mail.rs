//! `extract` on whatever a file may hold: a clear answer, the documented exit code, never a crash.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const GOOD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/english/plain-24.eml");

/// The keys that the fixtures are signed with.
const KEYS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/keys.json");

/// The program at home in an empty folder: no configuration, no keychain.
fn extract(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fetch-token"));
    command
        .args(["extract", "--dkim-keys", KEYS])
        .args(arguments)
        .env_clear()
        .env("HOME", home)
        .stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    let home = tempfile::tempdir().expect("a temp directory");
    extract(home.path(), arguments).output().expect("run")
}

/// Writes `content` to a file and has it judged: exit code, the JSON line, standard error.
fn judge(content: &[u8]) -> (Option<i32>, serde_json::Value, String) {
    let folder = tempfile::tempdir().expect("a temp directory");
    let file = folder.path().join("mail.eml");
    std::fs::write(&file, content).expect("write");
    let begin = Instant::now();
    let output = extract(folder.path(), &["--json"])
        .arg(&file)
        .output()
        .expect("run");
    assert!(
        begin.elapsed() < Duration::from_secs(20),
        "it took too long"
    );
    let line = String::from_utf8(output.stdout).expect("UTF-8");
    let object = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.code(), object, stderr)
}

#[test]
fn the_json_line_is_as_documented() {
    let output = run(&["--json", GOOD]);
    assert_eq!(output.status.code(), Some(0));
    let line: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let mut keys: Vec<_> = line.as_object().expect("an object").keys().collect();
    keys.sort();
    assert_eq!(
        keys,
        [
            "date",
            "file",
            "message_id",
            "reason",
            "schema",
            "sender",
            "username",
            "verdict"
        ]
    );
    assert_eq!(line["schema"], 1);
    assert_eq!(line["verdict"], "token");
    assert_eq!(line["reason"], serde_json::Value::Null);
    assert_eq!(line["sender"]["from"], "support@salesforce.com");
    assert_eq!(line["sender"]["proof"], "dkim");
    assert_eq!(line["sender"]["domain"], "salesforce.com");
}

#[test]
fn a_file_that_is_not_there_or_empty_or_a_folder_is_2_and_the_others_are_judged() {
    let folder = tempfile::tempdir().expect("a temp directory");
    let empty = folder.path().join("empty.eml");
    std::fs::write(&empty, "").expect("write");
    let absent = folder.path().join("absent.eml");
    for (file, words) in [
        (&empty, "is empty, so it is no mail"),
        (&absent, "cannot be read (No such file or directory"),
        (
            &PathBuf::from(folder.path()),
            "cannot be read (Is a directory",
        ),
    ] {
        let output = run(&["--json", GOOD, file.to_str().expect("UTF-8"), GOOD]);
        assert_eq!(output.status.code(), Some(2));
        let stdout = String::from_utf8(output.stdout).expect("UTF-8");
        let verdicts: Vec<serde_json::Value> = stdout
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        assert_eq!(verdicts.len(), 3);
        assert_eq!(verdicts[1]["reason"], "unreadable");
        assert_eq!(verdicts[2]["verdict"], "token");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(stderr.contains(words), "{stderr}");
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_may_not_be_read_is_2() {
    use std::os::unix::fs::symlink;
    // A link to itself cannot be opened by anybody, root included.
    let folder = tempfile::tempdir().expect("a temp directory");
    let file = folder.path().join("loop.eml");
    symlink(&file, &file).expect("link");
    let output = run(&[file.to_str().expect("UTF-8")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot be read"));
}

#[test]
fn a_truncated_mail_is_named_and_its_token_is_never_taken() {
    let whole = std::fs::read(GOOD).expect("a fixture");
    let text = String::from_utf8(whole.clone()).expect("ASCII");
    let (_, rest) = text.split_once("(case-sensitive): ").expect("a token");
    let token = &rest[..12];
    let start = text.len() - rest.len();
    for (end, verdict, code) in [
        (start + 12, "not-a-token-mail", 0),
        (start + 20, "refused", 7),
        (start + 24, "refused", 7),
        (200, "not-a-token-mail", 0),
    ] {
        let (exit, line, stderr) = judge(&whole[..end]);
        assert_eq!(
            (exit, &line["verdict"]),
            (Some(code), &verdict.into()),
            "at {end}: {line} {stderr}"
        );
        assert!(!line.to_string().contains(token));
    }
}

#[test]
fn a_mail_of_50_mib_is_refused_where_it_claims_and_passed_over_where_not() {
    let mut huge = std::fs::read(GOOD).expect("a fixture");
    huge.extend(b"padding padding padding padding\r\n".repeat(50 * 1024 * 32));
    assert!(huge.len() > 50 * 1024 * 1024);
    let (exit, line, stderr) = judge(&huge);
    assert_eq!(
        (exit, &line["reason"]),
        (Some(7), &"too-large".into()),
        "{line} {stderr}"
    );
    let (exit, line, _) = judge(&b"padding padding padding padding\r\n".repeat(50 * 1024 * 32));
    assert_eq!(
        (exit, &line["verdict"]),
        (Some(0), &"not-a-token-mail".into())
    );
}

#[test]
fn ten_thousand_nested_parts_are_passed_over() {
    let mut bomb = String::from(
        "From: support@salesforce.com\r\nTo: a@b.example\r\nSubject: Your new Salesforce security token\r\n\
         Message-ID: <x@sfdc.net>\r\nDate: Tue, 24 Nov 2026 10:00:00 +0000\r\nMIME-Version: 1.0\r\n",
    );
    for level in 0..10_000 {
        write!(
            bomb,
            "Content-Type: multipart/mixed; boundary=b{level}\r\n\r\n--b{level}\r\n"
        )
        .expect("a string takes all");
    }
    bomb.push_str(
        "Content-Type: text/plain\r\n\r\nUsername: a@b.example\r\n\
         Security token (case-sensitive): AbCdEfGh12345678IjKlMnOp\r\n",
    );
    let (exit, line, stderr) = judge(bomb.as_bytes());
    assert_eq!(
        (exit, &line["verdict"], &line["reason"]),
        (
            Some(0),
            &"not-a-token-mail".into(),
            &"too-many-parts".into()
        ),
        "{stderr}"
    );
}

#[test]
fn what_is_no_mail_at_all_is_no_token_mail() {
    let mut random = vec![0; 64 * 1024];
    for (place, octet) in random.iter_mut().enumerate() {
        *octet = u8::try_from(place.wrapping_mul(2_654_435_761) >> 7 & 0xff).expect("a byte");
    }
    for content in [&random[..], b"\n", b"\0", b"%PDF-1.7", b"\xff\xfe"] {
        let (exit, line, _) = judge(content);
        assert_eq!(
            (exit, &line["verdict"]),
            (Some(0), &"not-a-token-mail".into())
        );
    }
}

#[test]
fn a_mail_comes_from_standard_input_too_and_a_bad_one_sets_the_exit_code() {
    let home = tempfile::tempdir().expect("a temp directory");
    let mut child = extract(home.path(), &["--json", "-", GOOD])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("run");
    let forged = std::fs::read_to_string(GOOD)
        .expect("a fixture")
        .replace("From: support@salesforce.com", "From: support@evil.example");
    let mut stdin = child.stdin.take().expect("its input");
    stdin.write_all(forged.as_bytes()).expect("write");
    drop(stdin);
    let output = child.wait_with_output().expect("wait");
    assert_eq!(output.status.code(), Some(7));
    let first = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(
        first
            .lines()
            .next()
            .expect("a line")
            .contains("from-not-listed"),
        "{first}"
    );
}

#[test]
fn keys_that_cannot_be_read_are_2() {
    let folder = tempfile::tempdir().expect("a temp directory");
    let file = folder.path().join("keys.json");
    for content in ["", "[]", r#"{"a": 1}"#, "nonsense"] {
        std::fs::write(&file, content).expect("write");
        let output = Command::new(env!("CARGO_BIN_EXE_fetch-token"))
            .args(["extract", GOOD, "--dkim-keys"])
            .arg(&file)
            .env("HOME", folder.path())
            .output()
            .expect("run");
        assert_eq!(output.status.code(), Some(2), "{content}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("SELECTOR._domainkey.DOMAIN"));
    }
}

#[test]
fn a_configuration_named_and_not_there_is_2() {
    let output = run(&["--config", "/nowhere/config.toml", GOOD]);
    assert_eq!(output.status.code(), Some(2));
}
