//! The daemon's socket: for its user alone, and no client slows the daemon down.
#![cfg(target_os = "linux")]

mod lab;

use lab::{Daemon, Stage, USERNAME};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

fn directory(stage: &Stage) -> PathBuf {
    stage.keychain.home().runtime_folder().join("fetch-token")
}

fn connect(stage: &Stage) -> UnixStream {
    let stream = UnixStream::connect(directory(stage).join("daemon.sock")).expect("connect");
    let limit = Some(Duration::from_secs(20));
    stream.set_read_timeout(limit).expect("a limit");
    stream.set_write_timeout(limit).expect("a limit");
    stream
}

fn line(stream: &UnixStream) -> Value {
    let mut line = String::new();
    let mut reader = BufReader::new(stream);
    reader.read_line(&mut line).expect("a line");
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line:?}"))
}

fn ask(mut stream: &UnixStream, request: &Value) {
    let opening = json!({"protocol": 2, "request": request});
    writeln!(stream, "{opening}").expect("write");
}

/// Whether the daemon ends the conversation.
fn is_ended(mut stream: &UnixStream) -> bool {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => true,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

/// The daemon serves, and stores what comes.
fn goes_on(stage: &Stage) {
    // Another user each time: a token of the last minutes would be an answer, too.
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let username = format!("user{}@acme.example", COUNT.fetch_add(1, Ordering::Relaxed));
    let token = stage.deliver_token(&username);
    let waiting = stage.program();
    let output = waiting.run(["-v", "wait", &username, "--timeout", "30s", "--print"]);
    let output = output.expect_code(0);
    assert_eq!(output.stdout(), format!("{token}\n"));
    assert!(
        !output.stderr().contains("Not asking the daemon"),
        "{}",
        output.transcript()
    );
    stage.program().run(["status"]).expect_code(0);
}

#[test]
fn it_greets_watches_and_never_tells_a_token() {
    let stage = Stage::new();
    let daemon = Daemon::start(&stage);
    let mode = |path: PathBuf| path.metadata().expect("there").permissions().mode() & 0o777;
    assert_eq!(mode(directory(&stage)), 0o700);

    let stream = connect(&stage);
    let greeting = line(&stream);
    assert_eq!(greeting["protocol"], 2);
    assert_eq!(greeting["version"], env!("CARGO_PKG_VERSION"));
    let within = json!({"within": {"secs": 600, "nanos": 0}});
    ask(
        &stream,
        &json!({"watch": {"account": stage.user.name, "begin": within}}),
    );
    assert!(line(&stream)["news"]["armed"].is_object());
    let token = stage.deliver_token(USERNAME);
    let stored = line(&stream);
    assert_eq!(stored["news"]["receipt"]["event"], "stored", "{stored}");
    assert!(!stored.to_string().contains(&token));
    writeln!(&stream, "\"standing\"").expect("write");
    assert_eq!(line(&stream)["standing"], "idle");
    daemon.stop();
    assert!(is_ended(&stream));
    assert!(!directory(&stage).join("daemon.sock").exists());
}

#[test]
fn another_version_and_an_unknown_account_are_refused_with_a_sentence() {
    let stage = Stage::new();
    let daemon = Daemon::start(&stage);
    let mut stream = connect(&stage);
    line(&stream);
    writeln!(stream, "{}", json!({"protocol": 0, "request": "status"})).expect("write");
    let refused = line(&stream)["refused"].to_string();
    assert!(refused.contains("is older than the daemon"), "{refused}");

    let stream = connect(&stage);
    line(&stream);
    ask(
        &stream,
        &json!({"watch": {"account": "nobody@acme.example", "begin": "now"}}),
    );
    let refused = line(&stream)["refused"].to_string();
    assert!(refused.contains("does not attend"), "{refused}");
    daemon.stop();
}

#[test]
fn mute_garbage_and_endless_clients_are_let_go_and_the_daemon_goes_on() {
    let stage = Stage::new();
    let daemon = Daemon::start(&stage);
    let mute = connect(&stage);
    let half = connect(&stage);
    (&half).write_all(b"{\"protocol\"").expect("write");
    let garbage = connect(&stage);
    (&garbage).write_all(b"\x00\xffEHLO\n").expect("write");
    let endless = connect(&stage);
    // The daemon may have hung up before all of it is written.
    let _ = (&endless).write_all(&vec![b'x'; 10 * 1024 * 1024]);
    goes_on(&stage);
    for client in [&garbage, &endless, &half, &mute] {
        assert!(is_ended(client));
    }

    // Watches, and reads nothing of what it is told.
    let deaf = connect(&stage);
    line(&deaf);
    ask(
        &deaf,
        &json!({"watch": {"account": stage.user.name, "begin": "now"}}),
    );
    goes_on(&stage);
    daemon.stop();
}

#[test]
fn four_hundred_connections_do_not_keep_the_daemon_from_its_work() {
    let stage = Stage::new();
    let daemon = Daemon::start(&stage);
    let many: Vec<_> = (0..400).map(|_| connect(&stage)).collect();
    // Who finds no room helps itself.
    let token = stage.deliver_token(USERNAME);
    let output = stage
        .program()
        .run(["wait", USERNAME, "--timeout", "30s", "--print"])
        .expect_code(0);
    assert_eq!(output.stdout(), format!("{token}\n"));
    for client in &many {
        assert!(is_ended(client));
    }
    goes_on(&stage);
    daemon.stop();
}

#[test]
fn a_directory_that_is_open_to_others_is_refused() {
    let stage = Stage::new();
    let open = directory(&stage);
    std::fs::create_dir(&open).expect("make a directory");
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o777)).expect("chmod");
    let output = stage.program().run(["daemon"]).expect_code(2);
    assert!(
        output.stderr().contains("chmod 700"),
        "{}",
        output.transcript()
    );
}

/// Only root can become somebody else.
#[test]
fn another_user_is_refused() {
    let is_root = Command::new("id")
        .arg("-u")
        .output()
        .expect("run id")
        .stdout
        == b"0\n";
    if !is_root {
        eprintln!("not root: nobody else to be");
        return;
    }
    let stage = Stage::new();
    let daemon = Daemon::start(&stage);
    let socket = directory(&stage).join("daemon.sock");
    let as_nobody = || {
        let script = "use IO::Socket::UNIX; $s = IO::Socket::UNIX->new(Peer => $ARGV[0]) or die $!; \
                      print sysread($s, $b, 100), qq{\\n}";
        let output = Command::new("setpriv")
            .args(["--reuid", "nobody", "--clear-groups", "perl", "-e", script])
            .arg(&socket)
            .output()
            .expect("run setpriv (util-linux)");
        let said = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&said).into_owned()
    };
    // By the directory's mode, and where that was opened, by the daemon.
    let refused = as_nobody();
    assert!(refused.contains("Permission denied"), "{refused}");
    let mut path = socket.clone();
    loop {
        let everybody = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(&path, everybody).expect("chmod");
        if !path.pop() || path == *stage.keychain.home().path().parent().expect("a parent") {
            break;
        }
    }
    assert_eq!(as_nobody(), "0\n");
    daemon.wait_for("another user asked", 1);
    daemon.stop();
}
