//! `fetch-token code`: the verification code of a mail that Salesforce sent just now, to whoever asked and nobody else.
#![cfg(target_os = "linux")]

mod lab;

use hickory_resolver::proto::op::ResponseCode;
use jiff::{SignedDuration, Timestamp};
use lab::{Daemon, Manner, Output, Stage, TokenMail, USERNAME, eventually};
use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

/// Each as a connection of its own and by a daemon: the same must be said.
fn both_ways(scenario: impl Fn(&Stage)) {
    for with_daemon in [false, true] {
        let stage = Stage::new();
        let daemon = with_daemon.then(|| Daemon::start(&stage));
        scenario(&stage);
        // Nothing of a code is kept.
        let ledger = stage.keychain.home().state_folder().join("ledger.json");
        assert!(!ledger.exists(), "{with_daemon}");
        assert!(stage.keychain.usernames(lab::SERVICE).is_empty());
        if let Some(daemon) = daemon {
            assert!(!daemon.log().contains("stored"), "{}", daemon.log());
            daemon.stop();
        }
    }
}

fn mail(stage: &Stage, username: Option<&str>, code: &str) -> TokenMail {
    TokenMail::with_code(username, code).to(stage.user.name)
}

fn deliver(stage: &Stage, mail: &TokenMail) {
    stage.dovecot.deliver(stage.user, &mail.bytes());
}

/// Starts `code` and returns once it watches.
fn watching(stage: &Stage, arguments: &[&str]) -> lab::Running {
    let running = stage.program().spawn([&["-v", "code"], arguments].concat());
    running.stderr_line("Watching INBOX");
    running
}

fn ask(stage: &Stage, arguments: &[&str]) -> Output {
    stage
        .program()
        .run([&["--json", "code", "--timeout", "3s"], arguments].concat())
}

fn objects(output: &Output) -> Vec<Value> {
    let stdout = output.stdout();
    stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

/// The reasons of the mails that were refused.
fn reasons(output: &Output) -> Vec<String> {
    objects(output)
        .iter()
        .filter(|object| object["event"] == "refused")
        .map(|object| object["reason"].as_str().expect("a reason").to_owned())
        .collect()
}

fn ago(minutes: i64) -> Timestamp {
    Timestamp::now() - SignedDuration::from_mins(minutes)
}

#[test]
fn a_mail_that_came_just_before_the_newest_of_several() {
    both_ways(|stage| {
        deliver(stage, &mail(stage, Some(USERNAME), "111111").date(ago(3)));
        deliver(stage, &mail(stage, Some(USERNAME), "222222").date(ago(1)));
        deliver(stage, &mail(stage, Some(USERNAME), "333333").date(ago(2)));
        let output = stage
            .program()
            .run(["code", USERNAME, "--timeout", "20s"])
            .expect_code(0);
        assert_eq!(output.stdout(), "222222\n", "{}", output.transcript());
        let output = ask(stage, &[USERNAME]).expect_code(0);
        let said = objects(&output);
        let answer = said.last().expect("an object");
        assert_eq!(answer["schema"], 1);
        assert_eq!(answer["event"], "code");
        assert_eq!(answer["code"], "222222");
        assert_eq!(answer["username"], USERNAME);
        assert_eq!(answer["from"], "noreply@salesforce.com");
        assert_eq!(answer["sender"]["proof"], "dkim");
        assert!(answer["date"].is_string() && answer["message_id"].is_string());
        let others = &said[..said.len() - 1];
        assert!(
            others.iter().all(|other| other.get("code").is_none()),
            "{said:?}"
        );
    });
}

#[test]
fn a_mail_that_comes_for_this_username_or_for_nobody_in_particular() {
    both_ways(|stage| {
        for named in [Some(USERNAME), None] {
            let cursor = stage.program().run(["arm"]).expect_code(0).stdout();
            let waiting = watching(stage, &[USERNAME, "--from", cursor.trim()]);
            deliver(stage, &mail(stage, Some("other@acme.example"), "444444"));
            waiting.stderr_line("Passed over a mail with a code for other@acme.example");
            deliver(stage, &mail(stage, named, "012345"));
            let output = waiting.wait().expect_code(0);
            assert_eq!(output.stdout(), "012345\n");
            assert!(!output.stderr().contains("444444"));
            let warns = output.stderr().contains("names no username");
            assert_eq!(warns, named.is_none(), "{}", output.transcript());
        }
    });
}

#[test]
fn what_is_older_than_the_cursor_or_than_a_quarter_of_an_hour_is_refused() {
    both_ways(|stage| {
        deliver(stage, &mail(stage, Some(USERNAME), "111111"));
        // A daemon's cursor is where its watch has come to.
        ask(stage, &[]).expect_code(0);
        let cursor = stage.program().run(["arm"]).expect_code(0).stdout();
        let from = ["--from", cursor.trim()];
        // What arrived before the cursor is not even seen.
        ask(stage, &from).expect_code(3);
        // What arrives later and was written before it is a mail that was late, or is seen again.
        deliver(stage, &mail(stage, Some(USERNAME), "222222").date(ago(5)));
        let output = ask(stage, &from).expect_code(7);
        assert_eq!(reasons(&output), ["before-cursor"]);
        deliver(stage, &mail(stage, Some(USERNAME), "333333").date(ago(16)));
        let output = ask(stage, &from).expect_code(7);
        let mut reasons = reasons(&output);
        reasons.sort_unstable();
        assert_eq!(reasons, ["before-cursor", "too-old"]);
        for code in ["111111", "222222", "333333"] {
            assert!(!output.transcript().contains(code));
        }
    });
}

#[test]
fn a_mail_that_is_not_salesforces_is_refused() {
    both_ways(|stage| {
        let waiting = watching(stage, &["--timeout", "5s"]);
        let forged = mail(stage, Some(USERNAME), "111111").unsigned();
        stage.dovecot.deliver(stage.user, &forged);
        let output = waiting.wait().expect_code(7);
        assert!(
            output.stderr().contains("(unsigned)"),
            "{}",
            output.transcript()
        );
        assert!(!output.transcript().contains("111111"));
    });
}

#[test]
fn a_token_mail_is_no_mail_with_a_code_and_is_left_to_those_who_wait_for_it() {
    let stage = Stage::new();
    let token = stage.deliver_token(USERNAME);
    ask(&stage, &[USERNAME]).expect_code(3);
    assert_eq!(stage.stored(USERNAME), None);
    stage.program().run(["--timeout", "20s"]).expect_code(0);
    assert_eq!(stage.stored(USERNAME), Some(token));
}

/// A client of the daemon's socket, and every line that it was told.
struct Client {
    stream: UnixStream,
    lines: BufReader<UnixStream>,
    told: String,
}

impl Client {
    fn watch(stage: &Stage, wanted: &str) -> Self {
        let socket: PathBuf = stage.keychain.home().runtime_folder();
        let stream = UnixStream::connect(socket.join("fetch-token/daemon.sock")).expect("connect");
        let limit = Some(Duration::from_secs(20));
        stream.set_read_timeout(limit).expect("a limit");
        let mut client = Self {
            lines: BufReader::new(stream.try_clone().expect("the same")),
            stream,
            told: String::new(),
        };
        client.next();
        let within = json!({"within": {"secs": 900, "nanos": 0}});
        let watch = json!({"account": stage.user.name, "begin": within, "wanted": wanted});
        client.say(&json!({"protocol": 2, "request": {"watch": watch}}));
        while !client.next()["news"]["armed"].is_object() {}
        client
    }

    fn say(&mut self, value: &Value) {
        writeln!(self.stream, "{value}").expect("write");
    }

    fn next(&mut self) -> Value {
        let begin = self.told.len();
        self.lines.read_line(&mut self.told).expect("a line");
        serde_json::from_str(&self.told[begin..]).expect("JSON")
    }
}

#[test]
fn at_one_daemon_a_code_goes_to_who_asked_for_codes_and_what_became_of_tokens_to_the_other() {
    let stage = Stage::new();
    let daemon = Daemon::start(&stage);
    let mut for_tokens = Client::watch(&stage, "token");
    let mut for_codes = Client::watch(&stage, "code");
    deliver(&stage, &mail(&stage, Some(USERNAME), "654321"));
    let code = for_codes.next();
    assert_eq!(code["code"]["event"], "code", "{code}");
    assert_eq!(code["code"]["code"], "654321");
    assert_eq!(code["code"]["username"], USERNAME);
    stage.deliver_token(USERNAME);
    while for_tokens.next()["news"]["receipt"]["event"] != "stored" {}
    for_codes.say(&json!("standing"));
    assert_eq!(for_codes.next(), json!({"standing": "idle"}));
    assert!(!for_tokens.told.contains("654321"), "{}", for_tokens.told);
    assert!(!for_codes.told.contains("receipt"), "{}", for_codes.told);
    // Nor does one who comes later, and looks back at the same mail.
    let mut later = Client::watch(&stage, "token");
    later.say(&json!("standing"));
    later.next();
    assert!(!later.told.contains("654321"), "{}", later.told);
    daemon.stop();
}

#[test]
fn while_nobody_asks_for_a_code_no_mail_with_one_costs_a_question() {
    let (stage, dns) = Stage::with_dns();
    let daemon = Daemon::start(&stage);
    let mut for_tokens = Client::watch(&stage, "token");
    deliver(&stage, &mail(&stage, Some(USERNAME), "654321"));
    let seen = for_tokens.next();
    assert_eq!(seen["news"]["receipt"]["event"], "seen", "{seen}");
    assert_eq!(dns.questions(), Vec::<String>::new());
    let output = stage.program().run(["code", "--timeout", "20s"]);
    assert_eq!(output.expect_code(0).stdout(), "654321\n");
    assert!(!dns.questions().is_empty());
    daemon.stop();
}

#[test]
fn a_sender_who_cannot_be_proved_yet_is_proved_later() {
    for with_daemon in [false, true] {
        let (stage, dns) = &Stage::with_dns();
        let daemon = with_daemon.then(|| Daemon::start(stage));
        // In this order: a key that is known is not asked for again.
        dns.answer_in(Manner::Code(ResponseCode::ServFail));
        deliver(stage, &mail(stage, None, "333444"));
        let output = ask(stage, &[]).expect_code(9);
        assert!(!output.transcript().contains("333444"));
        let waiting = watching(stage, &[]);
        waiting.stderr_line("Cannot judge a mail with a code yet");
        dns.answer_in(Manner::Truth);
        assert_eq!(waiting.wait().expect_code(0).stdout(), "333444\n");
        if let Some(daemon) = daemon {
            daemon.stop();
        }
    }
}

#[test]
fn a_code_shows_nowhere_but_where_it_was_asked_for() {
    let code = "907254";
    for with_daemon in [false, true] {
        let stage = Stage::new();
        let loud = stage.program().env("RUST_LOG", "trace");
        let daemon = with_daemon.then(|| {
            let daemon = loud.spawn(["-vvv", "daemon"]);
            daemon.stderr_line("watching");
            daemon
        });
        let waiting = loud.spawn(["-vvv", "code", USERNAME, "--timeout", "30s"]);
        waiting.stderr_line("Watching INBOX");
        let shown = |pid: u32| {
            ["cmdline", "environ"]
                .map(|file| std::fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default())
        };
        deliver(&stage, &mail(&stage, Some(USERNAME), code));
        eventually(
            "the code is there",
            Duration::from_secs(20),
            || (waiting.stdout_so_far() == format!("{code}\n")).then_some(()),
            || waiting.stderr_so_far(),
        );
        let output = waiting.wait().expect_code(0);
        // Who asks the daemon has little to log.
        let is_on = output.stderr().contains("TRACE fetch_token") || with_daemon;
        assert!(is_on, "the log was on");
        assert!(!output.stderr().contains(code), "{}", output.transcript());
        if let Some(daemon) = daemon {
            for content in shown(daemon.pid()) {
                assert!(!String::from_utf8_lossy(&content).contains(code));
            }
            daemon.signal("TERM");
            let output = daemon.wait().expect_code(0);
            assert!(output.stderr().contains("TRACE"), "the log was on");
            assert!(
                !output.transcript().contains(code),
                "{}",
                output.transcript()
            );
        }
        let found = stage.keychain.home().files_containing(code.as_bytes());
        assert!(found.is_empty(), "{found:?}");
        assert!(stage.keychain.usernames(lab::SERVICE).is_empty());
        let list = stage.program().run(["list", "--json"]).expect_code(0);
        assert!(list.stdout().is_empty(), "{}", list.transcript());
    }
}
