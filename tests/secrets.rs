//! No secret in any output at any log level, nor anywhere else a local user or a backup could find it.
#![cfg(target_os = "linux")]

mod lab;

use lab::{Output, Running, Stage, USERNAME, random_token};
use std::path::PathBuf;
use std::time::Duration;

/// Every form in which a secret could stand somewhere: as it is, and as SASL PLAIN carries it.
fn forms(stage: &Stage, token: &str) -> Vec<Vec<u8>> {
    use base64::Engine as _;
    let plain = format!("\0{}\0{}", stage.user.name, stage.user.password);
    let encoded = base64::prelude::BASE64_STANDARD.encode(plain);
    [token, stage.user.password, &encoded]
        .iter()
        .map(|form| form.as_bytes().to_vec())
        .collect()
}

fn assert_absent(what: &str, text: &[u8], forms: &[Vec<u8>]) {
    for form in forms {
        assert!(
            !text.windows(form.len()).any(|window| window == form),
            "{what} holds {}:\n{}",
            String::from_utf8_lossy(form),
            String::from_utf8_lossy(text)
        );
    }
}

/// What other processes of the machine can see of this one.
fn assert_process_shows_nothing(running: &Running, forms: &[Vec<u8>]) {
    for file in ["cmdline", "environ"] {
        let path = PathBuf::from(format!("/proc/{}/{file}", running.pid()));
        let content = match std::fs::read(&path) {
            // A process that is not dumpable shows these to root alone.
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => continue,
            content => content.expect("the process runs"),
        };
        assert!(!content.is_empty());
        assert_absent(&path.display().to_string(), &content, forms);
    }
}

fn assert_output_shows_nothing(output: &Output, forms: &[Vec<u8>]) {
    assert_absent("stdout", output.stdout().as_bytes(), forms);
    assert_absent("stderr", output.stderr().as_bytes(), forms);
}

fn assert_home_shows_nothing(stage: &Stage, forms: &[Vec<u8>]) {
    let home = stage.keychain.home();
    for form in forms {
        let found: Vec<_> = home
            .files_containing(form)
            .into_iter()
            // The keychain's own file is encrypted, and the password command's file is the test's.
            .filter(|file| *file != stage.password_file)
            .collect();
        assert!(
            found.is_empty(),
            "{}: {found:?}",
            String::from_utf8_lossy(form)
        );
    }
}

#[test]
fn the_happy_path_at_the_loudest_level_shows_no_secret() {
    for filter in [
        "trace",
        "fetch_token=trace,async_imap=trace,imap_proto=trace,mailparse=trace",
    ] {
        let stage = Stage::new();
        let program = stage.program().env("RUST_LOG", filter);
        let waiting = program.spawn(["-vvv", "--json", "wait", "--timeout", "30s"]);
        waiting.stderr_line("the server announces new mail");
        let token = random_token();
        let forms = forms(&stage, &token);
        assert_process_shows_nothing(&waiting, &forms);
        let mail = stage.token_mail(USERNAME, &token).bytes();
        stage.dovecot.deliver(stage.user, &mail);
        let output = waiting.wait().expect_code(0);
        assert_eq!(stage.stored(USERNAME), Some(token.clone()));
        assert!(
            output.stderr().contains("TRACE fetch_token"),
            "the log was on: {}",
            output.transcript()
        );
        assert_output_shows_nothing(&output, &forms);
        assert_home_shows_nothing(&stage, &forms);
        for arguments in [
            &["-vvv", "list", "--json"][..],
            &["-vvv", "wait", "--timeout", "20s"],
        ] {
            assert_output_shows_nothing(&program.run(arguments).expect_code(0), &forms);
        }
    }
}

#[test]
fn failures_show_no_secret_either() {
    let stage = Stage::new();
    let token = stage.deliver_token(USERNAME);
    let forms = forms(&stage, &token);
    let program = stage.program().env("RUST_LOG", "trace");

    stage.keychain.lock();
    let locked = program
        .run(["-vvv", "--json", "wait", "--timeout", "4s"])
        .expect_code(6);
    assert_output_shows_nothing(&locked, &forms);

    // A mail that is refused holds a token too, and its parts are quoted in the refusal.
    let forged = stage
        .token_mail(USERNAME, &token)
        .from(&format!("{token}@evil.example"))
        .bytes();
    let refused = program.run_with_input(["-vvv", "--json", "extract", "-"], &forged);
    let refused = refused.expect_code(7);
    assert!(refused.stdout().contains("from-not-listed"));
    let of_the_body: Vec<_> = forms[1..].to_vec();
    assert_output_shows_nothing(&refused, &of_the_body);

    // A login that is refused.
    std::fs::write(&stage.password_file, "Wrong.Passw0rd-77aa").expect("write");
    let refused = program
        .run(["-vvv", "wait", "--timeout", "20s"])
        .expect_code(5);
    let wrong = [b"Wrong.Passw0rd-77aa".to_vec()];
    assert_output_shows_nothing(&refused, &wrong);
}

#[test]
fn files_are_the_owners_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let stage = Stage::new();
    stage.deliver_token(USERNAME);
    stage.program().run(["--timeout", "20s"]).expect_code(0);
    let folder = stage.keychain.home().state_folder();
    let mode = |path: &PathBuf| {
        std::fs::metadata(path)
            .expect("it is there")
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(mode(&folder), 0o700);
    assert_eq!(mode(&folder.join("ledger.json")), 0o600);
    let names: Vec<_> = std::fs::read_dir(&folder)
        .expect("read")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert_eq!(names.len(), 2, "no temp file is left: {names:?}");
}

#[test]
fn the_token_is_printed_only_where_asked_for() {
    let stage = Stage::new();
    let token = random_token();
    let mail = stage.token_mail(USERNAME, &token).bytes();
    let program = stage.program().deadline(Duration::from_secs(20));
    for (arguments, shown) in [
        (&["extract", "-"][..], false),
        (&["extract", "--json", "-"], false),
        (&["extract", "--print", "-"], true),
        (&["extract", "--print", "--json", "-"], true),
    ] {
        let output = program.run_with_input(arguments, &mail).expect_code(0);
        assert_eq!(output.stdout().contains(&token), shown, "{arguments:?}");
        assert!(!output.stderr().contains(&token));
    }
}

#[test]
fn the_process_dumps_no_core_and_belongs_to_no_debugger() {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    use std::process::{Command, Stdio};
    // Where root runs the tests, the program runs as nobody: what belongs to root then does so for this reason.
    let folder = tempfile::tempdir().expect("a temp directory");
    let all_may = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(folder.path(), all_may.clone()).expect("open the folder");
    let program = folder.path().join("fetch-token");
    std::fs::copy(env!("CARGO_BIN_EXE_fetch-token"), &program).expect("copy");
    std::fs::set_permissions(&program, all_may).expect("make it executable");
    // With as much core as may be had, so that it is the program that forbids it.
    let mut script = "ulimit -S -c $(ulimit -H -c); exec".to_owned();
    let is_root = rustix::process::getuid().is_root();
    if is_root {
        lab::require("setpriv", "util-linux");
        script.push_str(" setpriv --reuid nobody --regid nogroup --clear-groups");
    }
    let mut child = Command::new("sh")
        .args(["-c", &format!("{script} {} extract -", program.display())])
        .env("HOME", folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("run");
    let process = PathBuf::from(format!("/proc/{}", child.id()));
    let show = |name: &str| std::fs::read_to_string(process.join(name)).unwrap_or_default();
    lab::eventually(
        "the program runs",
        Duration::from_secs(5),
        || show("cmdline").starts_with(program.to_str()?).then_some(()),
        || show("cmdline"),
    );
    lab::eventually(
        "core dumps are off",
        Duration::from_secs(5),
        || {
            let limits = show("limits");
            let core = limits
                .lines()
                .find(|line| line.starts_with("Max core file size"))?;
            (core.split_whitespace().nth(4) == Some("0")).then_some(())
        },
        || show("limits"),
    );
    lab::eventually(
        "it is not dumpable",
        Duration::from_secs(5),
        || {
            let owner = std::fs::metadata(process.join("environ")).ok()?.uid();
            (owner == 0).then_some(())
        },
        || show("status"),
    );
    let status = show("status");
    let uid = status
        .lines()
        .find(|line| line.starts_with("Uid:"))
        .expect("its user");
    assert_ne!(uid.split_whitespace().nth(1), Some("0"), "{uid}");
    child.kill().expect("end it");
    child.wait().expect("it ended");
}

#[test]
fn a_daemon_with_hooks_at_the_loudest_level_shows_no_secret() {
    let stage = Stage::new();
    let folder = stage.keychain.home().path().join("hook");
    std::fs::create_dir(&folder).expect("make a folder");
    // The hook shows what the machine sees of it and of the daemon, and prints the token on both its outputs.
    let script = format!(
        "cd {} && tr '\\0' '\\n' < /proc/$$/environ > environ; tr '\\0' '\\n' < /proc/$$/cmdline > cmdline; \
         t=$(cat); echo \"it is $t\"; echo \"it is $t\" >&2; touch done",
        folder.display()
    );
    let account = stage.dovecot.account(stage.user, &stage.password_file);
    let hook = format!("on = \"stored\"\ncommand = [\"sh\", \"-c\", '''{script}''']\n");
    stage.write_config(&format!("{account}[[hook]]\n{hook}stdin = \"token\"\n"));
    for log in ["human", "json"] {
        let program = stage.program().env("RUST_LOG", "trace");
        let daemon = program.spawn(["-vvv", "daemon", "--log", log]);
        daemon.stderr_line("watching");
        let token = random_token();
        let forms = forms(&stage, &token);
        assert_process_shows_nothing(&daemon, &forms);
        let mail = stage.token_mail(USERNAME, &token).bytes();
        stage.dovecot.deliver(stage.user, &mail);
        daemon.stderr_line("is done");
        assert_process_shows_nothing(&daemon, &forms);
        daemon.signal("TERM");
        let output = daemon.wait().expect_code(0);
        assert_eq!(stage.stored(USERNAME), Some(token));
        assert!(
            output.stderr().contains("TRACE"),
            "the log was on: {}",
            output.transcript()
        );
        assert!(
            output.stderr().contains("[the token]"),
            "{}",
            output.transcript()
        );
        assert_output_shows_nothing(&output, &forms);
        if log == "json" {
            for line in output.stderr().lines() {
                let line: serde_json::Value = serde_json::from_str(line).expect(line);
                assert!(line["timestamp"].is_string() && line["level"].is_string());
            }
        }
        // The home holds what the hook saw of itself.
        assert!(folder.join("done").is_file());
        assert_home_shows_nothing(&stage, &forms);
    }
}
