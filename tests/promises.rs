//! What docs/stability.md promises to scripts: commands and options, keys of the configuration, the members of every
//! object, exit codes, and what an older version left behind in the ledger and the keychain.
#![cfg(target_os = "linux")]

mod lab;

use clap::CommandFactory as _;
use fetch_token::cli::Cli;
use fetch_token::config::Config;
use fetch_token::imap::Cursor;
use lab::{
    Ca, Daemon, Home, Output, Program, SecretService, Stage, TokenMail, USERNAME, random_token,
};
use serde_json::Value;
use std::fs;

/// Each command with what it takes, and with what it takes where nothing is said.
const COMMANDS: &[(&str, &str)] = &[
    (
        "wait",
        "USERNAME --timeout=5m --account --print --since=10m --from",
    ),
    ("arm", "USERNAME --timeout=5m --account"),
    ("run", "USERNAME --timeout=5m --account --print CMD"),
    ("open", "USERNAME --timeout=5m --account --print --instance"),
    ("code", "USERNAME --timeout=5m --account --since=15m --from"),
    ("get", "USERNAME"),
    ("move", "USERNAME --to"),
    ("exec", "USERNAME --env=SALESFORCE_SECURITY_TOKEN CMD"),
    ("list", ""),
    ("forget", "USERNAME"),
    ("extract", "FILE --store --code --print"),
    ("refused", ""),
    ("accept", "ID --yes --timeout=5m"),
    ("daemon", "--log=human --print-unit"),
    ("status", ""),
    (
        "login",
        "ADDRESS --host --port --tls=implicit --ca-file --user --username --password-stdin --oauth --client-id \
         --client-secret-in-keychain --tenant --device --ispdb --yes",
    ),
    ("logout", "ADDRESS"),
    ("reload", ""),
    ("doctor", "--account --send-test"),
    ("report", "--online"),
];

#[test]
fn no_command_and_no_option_is_taken_away_and_no_default_is_another() {
    let cli = Cli::command();
    let taken = |command: &clap::Command| -> Vec<String> {
        let arguments = command.get_arguments();
        let shown = arguments.map(|argument| {
            let name = match argument.get_long() {
                Some(long) => format!("--{long}"),
                None => argument.get_value_names().expect("a name")[0].to_string(),
            };
            match argument.get_default_values() {
                [default] if argument.get_action().takes_values() => {
                    format!("{name}={}", default.display())
                }
                _ => name,
            }
        });
        shown.collect()
    };
    for option in ["--json", "--quiet", "--verbose", "--config", "--dkim-keys"] {
        assert!(taken(&cli).iter().any(|taken| taken == option), "{option}");
    }
    for (name, promised) in COMMANDS {
        let command = cli
            .find_subcommand(name)
            .unwrap_or_else(|| panic!("no {name}"));
        let taken = taken(command);
        for word in promised.split_whitespace() {
            assert!(
                taken.iter().any(|taken| taken == word),
                "{name} {word}: {taken:?}"
            );
        }
    }
}

/// Every key of version 0.1.0, with a value that it takes.
const CONFIGURATION: &str = r#"
[[account]]
address = "a@acme.example"
user = "a"
host = "imap.acme.example"
port = 993
tls = "starttls"
ca_file = "ca.pem"
password = { command = ["pass", "imap/acme"] }
usernames = ["*@acme.example"]
addresses = ["tokens-*@acme.example"]
folders = ["INBOX", "Tokens"]
sweep_junk = false
idle = false
trusted_authserv_id = "mx.acme.example"
instance = [{ usernames = ["*.uat"], url = "https://acme--uat.sandbox.my.salesforce.com" }]
[[account]]
address = "b@acme.example"
host = "imap.acme.example"
usernames = ["*"]
instance = "https://acme.my.salesforce.com"
oauth2 = { provider = "microsoft", tenant = "acme.example", client_id = "id", client_secret = "keychain" }
[[account]]
address = "c@acme.example"
host = "imap.acme.example"
usernames = ["*"]
[account.oauth2]
client_id = "id"
auth_url = "https://login.acme.example/authorize"
token_url = "https://login.acme.example/token"
device_url = "https://login.acme.example/device"
revocation_url = "https://login.acme.example/revoke"
scopes = ["mail"]
method = "xoauth2"
[[account]]
address = "d@acme.example"
host = "imap.acme.example"
usernames = ["*"]
oauth2 = { command = ["token"] }
[[account]]
address = "e@acme.example"
host = "imap.acme.example"
usernames = ["*"]
password = "prompt"
[sender]
from = ["support@salesforce.com"]
domains = ["salesforce.com"]
resolver = "192.0.2.53:5353"
[discovery]
autoconfig = ["https://autoconfig.{domain}/mail/config-v1.1.xml"]
resolver = "192.0.2.53"
[keychain.store.command]
name = "pass"
write = ["put", "{username}", "{stamp}"]
read = ["get", "{username}"]
delete = ["rm", "{username:hash}"]
stamp = ["stamp"]
absent = ["none"]
conflict = 3
deadline = "30s"
[[hook]]
on = "stored"
command = ["up"]
stdin = "token"
[[hook]]
on = "refused"
command = ["up"]
[[hook]]
on = "pending"
command = ["up"]
[[hook]]
on = "login-failed"
command = ["up"]
"#;

#[test]
fn a_configuration_with_every_key_is_taken_as_it_is() {
    let home = Home::new();
    Ca::shared().write_to(&home.path().join("ca.pem"));
    let file = home.path().join("config.toml");
    let config = Config::parse(CONFIGURATION, &file).expect("valid");
    assert_eq!((config.accounts.len(), config.hooks.len()), (5, 4));
    let keys = CONFIGURATION.replace(
        "resolver = \"192.0.2.53:5353\"",
        "dkim_keys = \"keys.json\"",
    );
    Config::parse(&keys, &file).expect("valid");
    let store = "[keychain]\nstore = \"auto\"\n";
    let (before, _) = CONFIGURATION.split_once("[keychain").expect("a store");
    Config::parse(&format!("{before}{store}"), &file).expect("valid");
    for file_of_secrets in [
        "path = \"secrets.age\"\nidentity = \"secrets.key\"",
        "identity = { credential = \"fetch-token.key\" }",
        "passphrase = { command = [\"pass\", \"show\", \"fetch-token\"] }",
        "passphrase = \"prompt\"",
    ] {
        let store = format!("[keychain]\nstore = \"file\"\n[keychain.file]\n{file_of_secrets}\n");
        Config::parse(&format!("{before}{store}"), &file).expect("valid");
    }
}

/// What a command line answers with `--json`, which ends with this code.
#[track_caller]
fn in_json(program: &Program, line: &str, code: i32) -> Output {
    program
        .run(["--json"].into_iter().chain(line.split_whitespace()))
        .expect_code(code)
}

/// The members of the last object with this `event` (or `verdict`), in the order of the alphabet.
#[track_caller]
fn members(output: &Output, of: &str) -> String {
    let stdout = output.stdout();
    let mut objects = stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let is_it = |object: &Value| object["event"] == of || object["verdict"] == of;
    let object = objects.rfind(is_it);
    let object = object.unwrap_or_else(|| panic!("no {of}:\n{}", output.transcript()));
    assert_eq!(object["schema"], 1, "{of}");
    let members = object.as_object().expect("an object");
    members
        .keys()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(" ")
}

/// Of a mail, as the commands that wait tell of it.
const OF_A_MAIL: &str =
    "account cursor date event folder message_id reason schema sender uid username";

/// The same where its token is stored.
const STORED: &str = "account cursor date event folder message_id others reason schema sender store uid username warnings";

#[test]
fn what_the_commands_that_wait_print_has_these_members() {
    let stage = Stage::new();
    let program = stage.program();
    let run = |line: &str, code| in_json(&program, line, code);

    assert_eq!(members(&run("arm", 0), "armed"), "cursor event schema");
    assert_eq!(
        members(&run("wait --timeout 5s", 3), "failed"),
        "by cursor event exit message schema"
    );

    stage.deliver_token(USERNAME);
    let wait = format!("wait {USERNAME} --timeout 20s");
    assert_eq!(members(&run(&wait, 0), "stored"), STORED);
    assert_eq!(members(&run(&wait, 0), "already"), STORED);
    let printed = members(&run(&format!("{wait} --print"), 0), "already");
    assert_eq!(printed, STORED.replace("store uid", "store token uid"));

    let forged = stage
        .token_mail("forged@acme.example", &random_token())
        .unsigned();
    stage.dovecot.deliver(stage.user, &forged);
    assert_eq!(
        members(&run("wait forged@acme.example --timeout 5s", 7), "refused"),
        OF_A_MAIL
    );

    let code = TokenMail::with_code(Some(USERNAME), "271828").to(stage.user.name);
    stage.dovecot.deliver(stage.user, &code.bytes());
    assert_eq!(
        members(&run(&format!("code {USERNAME} --timeout 20s"), 0), "code"),
        "account code cursor date event folder from message_id reason schema sender uid username warnings"
    );
    let tool = run("run nobody@acme.example --timeout 5s -- true", 3);
    assert_eq!(
        members(&tool, "failed"),
        "by cursor event exit message schema"
    );
}

#[test]
fn what_the_commands_about_tokens_print_has_these_members() {
    let stage = Stage::new();
    let program = stage.program();
    let run = |line: &str, code| in_json(&program, line, code);
    stage.deliver_token(USERNAME);
    let forged = stage.token_mail("forged@acme.example", &random_token());
    stage.dovecot.deliver(stage.user, &forged.unsigned());
    run(&format!("wait {USERNAME} --timeout 20s"), 0);
    run("wait forged@acme.example --timeout 5s", 7);

    assert_eq!(
        members(&run(&format!("get {USERNAME}"), 0), "token"),
        "event schema token username"
    );
    assert_eq!(
        members(&run("list", 0), "listed"),
        "accepted account changed date event folder from message_id proof schema state store username"
    );
    let refused = run("refused", 0);
    assert_eq!(
        members(&refused, "refused"),
        "account date event folder from id message_id proof reason schema seen sentence uid username"
            .replace("message_id ", "")
    );
    let id = serde_json::from_str::<Value>(&refused.stdout()).expect("one")["id"].clone();
    let accepted = run(&format!("accept {} --yes", id.as_str().expect("an id")), 0);
    assert_eq!(members(&accepted, "stored"), STORED.replace("others ", ""));
    assert_eq!(
        members(&run(&format!("forget {USERNAME}"), 0), "forgotten"),
        "event schema username"
    );
    assert_eq!(
        members(&run(&format!("get {USERNAME}"), 8), "failed"),
        "by cursor event exit message schema"
    );

    let home = stage.keychain.home();
    let file = home.write_private("mail.eml", "");
    fs::write(&file, forged.unsigned()).expect("write");
    let judged = run(&format!("extract {}", file.display()), 7);
    assert_eq!(
        members(&judged, "refused"),
        "date file message_id reason schema sender username verdict"
    );
    fs::write(
        &file,
        stage.token_mail("x@acme.example", &random_token()).bytes(),
    )
    .expect("write");
    let judged = run(&format!("extract --print {}", file.display()), 0);
    assert_eq!(
        members(&judged, "token"),
        "date file message_id reason schema sender token username verdict"
    );
}

#[test]
fn what_the_commands_about_accounts_print_has_these_members() {
    let stage = Stage::new();
    let program = stage.program();
    let run = |line: &str, code| in_json(&program, line, code);
    let unit = run("daemon --print-unit systemd", 0);
    assert_eq!(members(&unit, "unit"), "event schema unit");
    run("status", 4);
    let daemon = Daemon::start(&stage);
    assert_eq!(
        members(&run("status", 0), "status"),
        "account event heard next pending reconnects refused schema since state stored trouble waiters"
    );
    assert_eq!(
        members(&run("reload", 0), "reloaded"),
        "config event schema"
    );
    assert_eq!(
        members(&run("report", 0), "report"),
        "checks configuration daemon event ledger machine masks note program schema"
    );
    daemon.stop();
    assert_eq!(
        members(&run("doctor", 0), "check"),
        "account advice check event exit facts measured schema verdict"
    );
    let again = format!(
        "login {} --password-stdin --yes --host localhost --port {} --ca-file {} --username *",
        stage.user.name,
        stage.dovecot.imaps_port(),
        stage.dovecot.ca_file().display()
    );
    let words = ["--json"].into_iter().chain(again.split_whitespace());
    let input = format!("{}\n", stage.user.password);
    let output = program
        .run_with_input(words, input.as_bytes())
        .expect_code(0);
    assert_eq!(
        members(&output, "logged-in"),
        "account again config daemon event folder host idle messages port schema tls user usernames"
    );
    let output = run(&format!("logout {}", stage.user.name), 0);
    assert_eq!(
        members(&output, "logged-out"),
        "account config daemon event revoked schema secret"
    );
}

/// As version 0.1.0 wrote them.
const LEDGER: &str = r#"{"schema":1,"records":{"etl@acme.example":{"username":"ETL@acme.example","state":"stored",
"date":"2026-11-24T19:22:42Z","identity":"IDENTITY","message_id":"<1@salesforce.com>","from":"support@salesforce.com",
"proof":null,"origin":{"account":"a@b.example","folder":"INBOX","uid_validity":7,"uid":8},"store":"Secret Service",
"changed":"2026-11-24T19:22:43.123456789Z"}}}"#;
const REFUSED: &str = r#"{"schema":1,"records":[{"origin":{"account":"a@b.example","folder":"INBOX","uid_validity":7,"uid":9},
"seen":"2026-11-24T19:22:43Z","date":null,"from":null,"username":null,"reason":"unsigned","sentence":"no signature"}]}"#;

#[test]
fn a_ledger_of_the_first_version_is_read_and_one_of_a_later_version_is_left_alone() {
    let home = Home::new();
    let program = Program::new(env!("CARGO_BIN_EXE_fetch-token")).at_home(&home);
    let state = home.state_folder();
    fs::create_dir_all(&state).expect("make");
    let ledger = state.join("ledger.json");
    let identity = "ab".repeat(32);
    fs::write(&ledger, LEDGER.replace("IDENTITY", &identity)).expect("write");
    fs::write(state.join("refused.json"), REFUSED).expect("write");
    let listed = program.run(["list", "--json"]).expect_code(0).stdout();
    let listed: Value = serde_json::from_str(&listed).expect("one object");
    assert_eq!(listed["username"], "ETL@acme.example");
    assert_eq!(
        (&listed["state"], &listed["date"]),
        (&"stored".into(), &"2026-11-24T19:22:42Z".into())
    );
    assert_eq!(listed["accepted"], false);
    let refused = program.run(["refused", "--json"]).expect_code(0).stdout();
    assert!(refused.contains("\"reason\":\"unsigned\""), "{refused}");

    let later = LEDGER.replace("\"schema\":1", "\"schema\":2");
    fs::write(&ledger, &later).expect("write");
    let output = program.run(["list", "--json"]).expect_code(1);
    assert!(
        output
            .stderr()
            .contains("it is of form 2, this version reads 1"),
        "{}",
        output.transcript()
    );
    assert_eq!(fs::read_to_string(&ledger).expect("read"), later);
}

#[test]
fn secrets_lie_in_the_keychain_under_these_names_as_other_programs_put_and_find_them() {
    let stage = Stage::with(&lab::Options::default(), SecretService::start());
    let config = stage.keychain.home().config_file();
    let text = fs::read_to_string(&config).expect("read");
    let without: Vec<_> = text
        .lines()
        .filter(|line| !line.starts_with("password"))
        .collect();
    fs::write(&config, without.join("\n")).expect("write");
    stage
        .keychain
        .store("fetch-token-mailbox", stage.user.name, stage.user.password);
    let token = stage.deliver_token(USERNAME);
    stage.program().run(["--timeout", "20s"]).expect_code(0);
    assert_eq!(
        stage.keychain.lookup("salesforce-security-token", USERNAME),
        Some(token)
    );
}

#[test]
fn a_cursor_of_the_first_version_is_understood() {
    let text = "ftc1-WyJhQGIuZXhhbXBsZSIsIklOQk9YIiw3LDEyMzQsMTc5NTUyODgwMF0";
    let cursor: Cursor = text.parse().expect("a cursor");
    let place = (
        cursor.account.as_str(),
        cursor.folder.as_str(),
        cursor.uid_validity,
        cursor.uid_next,
    );
    assert_eq!(place, ("a@b.example", "INBOX", 7, 1234));
    assert_eq!(cursor.taken.as_second(), 1_795_528_800);
}
