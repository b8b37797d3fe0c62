//! `fetch-token report` where everything is set up: what a bug needs is there, and nothing of anybody's.
#![cfg(target_os = "linux")]

mod lab;

use lab::{Daemon, Home, INTEGRATION, Output, Program, Stage, USERNAME, random_token};
use serde_json::Value;

/// Another account, whose server is nowhere; a client and a hook with things to hide.
const MORE: &str = r#"
[[account]]
address = "zweigstelle@firma.example"
host = "postfach.firma.example"
user = "canary-login"
usernames = ["canary-user@org.example"]
folders = ["Canary Folder"]
oauth2 = { provider = "microsoft", client_id = "canary-client-4711", tenant = "canary-tenant", client_secret = { command = ["echo", "canary-secret"] } }
[[hook]]
on = "refused"
command = ["sh", "-c", "true # canary-hook --password canary-argument"]
[[hook]]
on = "stored"
stdin = "token"
command = ["cat", "/dev/null", "canary-argument"]
"#;

/// All that is set up, and a token that is stored, one that was refused, one that is forgotten.
struct Everything {
    stage: Stage,
    daemon: Daemon,
    tokens: Vec<String>,
}

impl Everything {
    fn start() -> Self {
        let stage = Stage::new();
        stage.configure(&format!(
            "addresses = [\"canary-alias@firma.example\"]\n{MORE}"
        ));
        let daemon = Daemon::start(&stage);
        let tokens = vec![
            stage.deliver_token(USERNAME),
            stage.deliver_token("canary-other@org.example"),
            random_token(),
        ];
        let forged = stage
            .token_mail("canary-forged@org.example", &tokens[2])
            .unsigned();
        stage.dovecot.deliver(stage.user, &forged);
        daemon.wait_for(": stored", 2);
        daemon.wait_for(": refused", 1);
        stage
            .program()
            .run(["forget", "canary-other@org.example"])
            .expect_code(0);
        Self {
            stage,
            daemon,
            tokens,
        }
    }

    /// What must not be shown, in any case.
    fn canaries(&self) -> Vec<String> {
        let home = self.stage.keychain.home().path();
        let home = home
            .file_name()
            .and_then(|name| name.to_str())
            .expect("a name");
        let fixed = [
            INTEGRATION.name,
            INTEGRATION.password,
            "integration",
            "acme.example",
            USERNAME,
            "canary",
            "firma",
            "zweigstelle",
            "postfach",
            "org.example",
            "mailbox-password",
            home,
        ];
        let tokens = self.tokens.iter().map(String::as_str);
        fixed
            .into_iter()
            .chain(tokens)
            .map(str::to_lowercase)
            .collect()
    }

    #[track_caller]
    fn report<const N: usize>(&self, arguments: [&str; N]) -> Output {
        let program = self
            .stage
            .program()
            .env("USER", "canary-me")
            .env("RUST_LOG", "trace");
        let output = program
            .run(["report"].into_iter().chain(arguments))
            .expect_code(0);
        let shown = output.stdout().to_lowercase();
        for canary in self.canaries() {
            assert!(
                !shown.contains(&canary),
                "{canary} is shown:\n{}",
                output.transcript()
            );
        }
        output
    }
}

#[test]
fn what_a_bug_needs_is_shown_and_nothing_of_anybodys() {
    let everything = Everything::start();
    let shown = everything.report([]).stdout();
    let lines: Vec<_> = shown.lines().collect();
    assert_eq!(lines[0], "# Report of fetch-token");
    assert!(
        lines[2].contains("are masked") && lines[2].contains("look it over"),
        "{shown}"
    );
    for words in [
        concat!("version: ", env!("CARGO_PKG_VERSION")),
        "tls: OpenSSL ",
        "libc: GNU C Library ",
        "address = \"user1@domain1\"",
        "command = [\"sh\", \"argument",
        "sound     configuration: ~/config/fetch-token/config.toml, 2 accounts",
        "not-asked user1@domain1 login: not tried: offline",
        "not-asked keychain: not tried: offline",
        "\"state\":\"idling\"",
        "\"stored\":1",
        "\"forgotten\":1",
        "\"refused\":{\"",
    ] {
        assert!(shown.contains(words), "{words}\n{shown}");
    }

    let json = everything.report(["--json"]).stdout();
    let report: Value = serde_json::from_str(&json).expect("one object");
    assert_eq!(
        (&report["schema"], &report["event"]),
        (&1.into(), &"report".into())
    );
    let account = &report["configuration"]["account"][0];
    let told = &report["daemon"][0];
    assert_eq!(
        account["address"], told["account"],
        "the same name has the same mask"
    );
    assert_eq!(account["port"], everything.stage.dovecot.imaps_port());
    assert_eq!(report["ledger"]["stored"], 1);

    let online = everything.report(["--online"]).stdout();
    for words in [
        "sound     user1@domain1 login: let in by AUTHENTICATE PLAIN",
        "sound     keychain: Secret Service (gnome-keyring-daemon) wrote",
    ] {
        assert!(online.contains(words), "{words}\n{online}");
    }
    assert!(
        online.contains("broken    user2@domain2 name: ") && online.contains("host1.domain2"),
        "{online}"
    );
    everything.daemon.stop();
}

#[test]
fn where_nothing_is_set_up_or_all_is_broken_it_is_told_so_all_the_same() {
    let home = Home::new();
    let program = Program::new(env!("CARGO_BIN_EXE_fetch-token")).at_home(&home);
    let shown = program.run(["report"]).expect_code(0).stdout();
    assert!(
        shown.contains("## Configuration\n\nnone\n") && shown.contains("none runs"),
        "{shown}"
    );

    home.write_config("[[account]]\naddress = \"canary@firma.example\"\ncanarykey = \"canary\"\npassword = canary\n");
    std::fs::create_dir_all(home.state_folder()).expect("make");
    std::fs::write(home.state_folder().join("ledger.json"), "{ \"canary\"").expect("write");
    let output = program.run(["report"]).expect_code(0);
    let shown = output.stdout();
    assert!(shown.contains("not shown: it is no TOML"), "{shown}");
    assert!(
        shown.contains("the ledger ~/state/fetch-token/ledger.json is damaged"),
        "{shown}"
    );
    assert!(
        !shown.contains("canary") && !shown.contains("firma"),
        "{shown}"
    );

    home.write_config("[[account]]\naddress = \"canary@firma.example\"\ncanarykey = \"canary\"\n");
    let shown = program.run(["report"]).expect_code(0).stdout();
    assert!(
        shown.contains("key1 = \"value1\"") && shown.contains("unknown key `key1`"),
        "{shown}"
    );
    assert!(
        !shown.contains("canary") && !shown.contains("firma"),
        "{shown}"
    );
}
