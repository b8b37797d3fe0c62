//! Where tokens are stored: by the recipes of `docs/stores.md`, in real stores, and stamped so that newer wins.
#![cfg(target_os = "linux")]

mod lab;

use fetch_token::config::Config;
use jiff::{SignedDuration, Timestamp};
use lab::{
    Daemon, Home, Pass, Program, SERVICE, SecretService, Stage, TokenMail, USERNAME, eventually,
    keys, random_token, recipe, recipes,
};
use std::path::Path;
use std::time::{Duration, Instant};

const SOON: Duration = Duration::from_secs(30);

/// A stage whose tokens go to `pass`.
fn with_pass(pass: &Pass) -> (Stage, Program) {
    let stage = Stage::new();
    stage.configure(&recipe("stores.md", "pass"));
    let program = pass.beside(stage.program());
    (stage, program)
}

fn entry() -> String {
    format!("salesforce/{USERNAME}")
}

#[test]
fn every_recipe_is_a_configuration() {
    let account = "[[account]]\naddress = \"a@b.example\"\nhost = \"h\"\nusernames = [\"*\"]\n";
    let mut count = 0;
    for page in ["stores.md", "fleets.md"] {
        for (heading, block) in recipes(page) {
            let parsed = Config::parse(&format!("{account}{block}"), Path::new(page));
            parsed.unwrap_or_else(|error| panic!("{page}, {heading}: {error}"));
            count += 1;
        }
    }
    assert!(count >= 7, "{count} recipes");
}

#[test]
fn a_token_goes_to_pass_alone_is_replaced_by_a_newer_one_and_is_forgotten() {
    let pass = Pass::new();
    let (stage, program) = with_pass(&pass);
    for _ in 0..2 {
        let token = stage.deliver_token(USERNAME);
        let output = program.run(["wait", USERNAME]).expect_code(0);
        let said = output.stderr();
        assert!(said.contains("in the command store pass"), "{said}");
        assert_eq!(pass.show(&entry()).as_deref(), Some(token.as_str()));
        let output = program.run(["get", USERNAME]).expect_code(0);
        assert_eq!(output.stdout().trim_end(), token);
    }
    assert_eq!(stage.keychain.usernames(SERVICE), [""; 0]);
    let listed = program.run(["list"]).expect_code(0).stdout();
    assert!(listed.contains("command store pass"), "{listed}");
    program.run(["forget", USERNAME]).expect_code(0);
    assert_eq!(pass.show(&entry()), None);
    program.run(["get", USERNAME]).expect_code(8);
    program.run(["forget", USERNAME]).expect_code(8);
}

#[test]
fn a_token_that_pass_does_not_give_back_waits_until_it_does() {
    let pass = Pass::new();
    let (stage, program) = with_pass(&pass);
    pass.lock();
    let token = stage.deliver_token(USERNAME);
    let output = program
        .run(["wait", USERNAME, "--timeout", "3s"])
        .expect_code(6);
    let said = output.transcript();
    assert!(said.contains("its read command \"pass\" failed"), "{said}");
    assert!(said.contains("Unlock the store"), "{said}");
    assert!(!said.contains(&token), "{said}");
    let tool = ["run", USERNAME, "--", "touch", "started"];
    program.run(tool).expect_code(6);
    assert!(
        !Path::new("started").exists(),
        "a reset would kill the old token"
    );

    let daemon = Daemon::start_with(&program, 1);
    daemon.wait_for("its read command", 1);
    pass.unlock();
    daemon.wait_for(": stored", 1);
    assert_eq!(pass.show(&entry()), Some(token));
    daemon.stop();
}

#[test]
fn a_store_that_hangs_holds_nobody_up_and_a_daemon_killed_in_the_middle_loses_nothing() {
    let stage = Stage::new();
    let home = stage.keychain.home();
    let frozen = home.write_private("frozen", "");
    let file = home.path().join("token");
    let (frozen_at, file_at) = (frozen.display(), file.display());
    stage.configure(&format!(
        "[keychain.store.command]\n\
         name = \"sleeper\"\n\
         write = [\"sh\", \"-c\", \"test ! -e {frozen_at} || sleep 100; cat > {file_at}\"]\n\
         read = [\"sh\", \"-c\", \"test ! -e {file_at} || cat {file_at}\"]\n"
    ));
    let daemon = Daemon::start(&stage);
    let token = stage.deliver_token(USERNAME);
    eventually(
        "the write",
        SOON,
        || (!sleepers(&frozen).is_empty()).then_some(()),
        || daemon.log(),
    );
    let begin = Instant::now();
    stage.program().run(["status"]).expect_code(0);
    assert!(
        begin.elapsed() < Duration::from_secs(2),
        "{:?}",
        begin.elapsed()
    );
    daemon.stop();
    assert!(sleepers(&frozen).is_empty(), "the command ends with us");

    let daemon = Daemon::launch(&stage.program());
    eventually(
        "the write",
        SOON,
        || (!sleepers(&frozen).is_empty()).then_some(()),
        || daemon.log(),
    );
    daemon.kill();
    std::fs::remove_file(&frozen).expect("thaw");
    let daemon = Daemon::start(&stage);
    daemon.wait_for(": stored", 1);
    let output = stage.program().run(["get", USERNAME]).expect_code(0);
    assert_eq!(output.stdout().trim_end(), token);
    daemon.stop();
    for pid in sleepers(&frozen) {
        lab::signal(pid, "KILL");
    }
}

/// The shells that wait because of this file.
fn sleepers(file: &Path) -> Vec<u32> {
    let name = file.display().to_string();
    let processes = std::fs::read_dir("/proc").expect("processes").flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter(|pid: &u32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains(&format!("{name} || sleep"))
    })
    .collect()
}

/// Installations with ledgers of their own, and one keychain.
struct Fleet {
    keychain: SecretService,
    homes: [Home; 2],
}

impl Fleet {
    fn new() -> Self {
        let homes = [Home::new(), Home::new()];
        for home in &homes {
            home.write_private("keys.json", &keys());
        }
        Self {
            keychain: SecretService::start(),
            homes,
        }
    }

    /// Puts a mail through one of them; gives what became of it.
    #[track_caller]
    fn take(&self, which: usize, mail: &[u8]) -> String {
        let home = &self.homes[which];
        let file = home.path().join("mail.eml");
        std::fs::write(&file, mail).expect("write the mail");
        let program = Program::new(env!("CARGO_BIN_EXE_fetch-token"))
            .with_keychain(&self.keychain)
            .at_home(home);
        let arguments = [
            "--dkim-keys",
            "keys.json",
            "--json",
            "extract",
            "--store",
            "mail.eml",
        ];
        let arguments = arguments.map(|word| match word {
            "keys.json" | "mail.eml" => home.path().join(word).into_os_string(),
            word => word.into(),
        });
        program.run(arguments).stdout()
    }

    fn stored(&self) -> Option<String> {
        assert!(self.keychain.usernames(SERVICE).len() < 2, "one item");
        self.keychain.lookup(SERVICE, USERNAME)
    }
}

/// A mail of some minutes ago, and its token.
fn mail_of(minutes: i64) -> (String, Vec<u8>) {
    let token = random_token();
    let date = Timestamp::now() - SignedDuration::from_mins(minutes);
    let mail = TokenMail::english(USERNAME, &token).date(date).bytes();
    (token, mail)
}

#[test]
fn two_without_a_common_ledger_agree_on_which_token_is_newer() {
    let fleet = Fleet::new();
    let (old, old_mail) = mail_of(20);
    let (new, new_mail) = mail_of(10);
    let (newest, newest_mail) = mail_of(1);
    fleet.take(0, &old_mail);
    assert_eq!(fleet.stored().as_deref(), Some(old.as_str()));
    fleet.take(1, &new_mail);
    assert_eq!(fleet.stored().as_deref(), Some(new.as_str()));
    // The first one's ledger knows nothing of it.
    fleet.take(0, &mail_of(15).1);
    assert_eq!(fleet.stored().as_deref(), Some(new.as_str()), "older");
    let listed = fleet.take(0, &new_mail);
    assert!(listed.contains("\"verdict\":\"token\""), "{listed}");
    assert_eq!(fleet.stored().as_deref(), Some(new.as_str()), "the same");
    fleet.take(0, &newest_mail);
    assert_eq!(fleet.stored(), Some(newest));
}

#[test]
fn an_item_that_somebody_else_wrote_is_read_and_replaced_and_stays_one() {
    let fleet = Fleet::new();
    let by_hand = random_token();
    fleet.keychain.store(SERVICE, USERNAME, &by_hand);
    assert_eq!(fleet.stored(), Some(by_hand));
    let (first, mail) = mail_of(5);
    fleet.take(0, &mail);
    assert_eq!(fleet.stored(), Some(first));
    // The other way round: what is stamped is replaced by a program that knows nothing of stamps.
    let by_hand = random_token();
    fleet.keychain.store(SERVICE, USERNAME, &by_hand);
    assert_eq!(fleet.stored(), Some(by_hand));
    let (second, mail) = mail_of(3);
    fleet.take(1, &mail);
    assert_eq!(fleet.stored(), Some(second));
}

#[test]
fn a_store_that_is_not_there_is_an_error_where_tokens_are_needed() {
    let stage = Stage::new();
    stage.configure("[keychain]\nstore = \"kwallet\"");
    for command in [&["get", USERNAME][..], &["wait"], &["daemon"]] {
        let output = stage.program().run(command).expect_code(2);
        let said = output.stderr();
        assert!(
            said.contains("there is no such store") && said.contains("\"secret-service\""),
            "{said}"
        );
    }
    stage.program().run(["list"]).expect_code(0);
    // What is wrong elsewhere keeps nobody from a token.
    stage.keychain.store(SERVICE, USERNAME, &random_token());
    stage.configure("[keychain]\nstore = \"secret-service\"\n[[hook]]\nonn = 1");
    stage.program().run(["get", USERNAME]).expect_code(0);
}

#[test]
fn a_daemon_that_reads_its_configuration_again_stores_where_that_says() {
    let pass = Pass::new();
    let stage = Stage::new();
    let program = pass.beside(stage.program());
    let daemon = Daemon::start_with(&program, 1);
    let token = stage.deliver_token(USERNAME);
    daemon.wait_for(": stored", 1);
    assert_eq!(stage.stored(USERNAME), Some(token.clone()));
    stage.configure(&recipe("stores.md", "pass"));
    // The one from before is read from where it lies.
    let output = program.run(["get", USERNAME]).expect_code(0);
    assert_eq!(output.stdout().trim_end(), token);
    program.run(["reload"]).expect_code(0);
    let token = stage.deliver_token(USERNAME);
    daemon.wait_for(": stored", 2);
    assert_eq!(pass.show(&entry()), Some(token));
    daemon.stop();
}

/// A real server, in memory, with a KV engine of version 2 at `secret`.
#[cfg(feature = "long-tests")]
struct OpenBao {
    server: std::process::Child,
    port: u16,
    home: Home,
}

#[cfg(feature = "long-tests")]
impl OpenBao {
    fn start() -> Self {
        let (port, home) = (lab::free_port(), Home::new());
        let program = lab::require("bao", "none has it: scripts/install-openbao");
        let server = std::process::Command::new(program)
            .args([
                "server",
                "-dev",
                "-dev-root-token-id=root",
                "-dev-no-store-token",
            ])
            .arg(format!("-dev-listen-address=127.0.0.1:{port}"))
            .env("HOME", home.path())
            .stdin(std::process::Stdio::null())
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("start bao");
        let bao = Self { server, port, home };
        let is_up = || bao.run(&["kv", "list", "-mount=secret", "/"]).1;
        eventually(
            "OpenBao",
            SOON,
            || is_up().contains("No value found").then_some(()),
            is_up,
        );
        bao
    }

    fn env(&self) -> [(&'static str, String); 2] {
        let address = format!("http://127.0.0.1:{}", self.port);
        [("BAO_ADDR", address), ("BAO_TOKEN", "root".to_owned())]
    }

    fn beside(&self, program: Program) -> Program {
        let with = |program: Program, (name, value)| program.env(name, value);
        self.env().into_iter().fold(program, with)
    }

    fn run(&self, arguments: &[&str]) -> (String, String) {
        let output = std::process::Command::new("bao")
            .args(arguments)
            .envs(self.env())
            .env("HOME", self.home.path())
            .output()
            .expect("run bao");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        (text(output.stdout), text(output.stderr))
    }

    fn field(&self, name: &str) -> String {
        let entry = format!("salesforce/{USERNAME}");
        let field = format!("-field={name}");
        self.run(&["kv", "get", "-mount=secret", &field, &entry]).0
    }
}

#[cfg(feature = "long-tests")]
impl Drop for OpenBao {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[test]
#[cfg(feature = "long-tests")]
fn a_token_goes_to_openbao_is_replaced_by_a_newer_one_and_waits_while_it_is_sealed() {
    let bao = OpenBao::start();
    let stage = Stage::new();
    stage.configure(&recipe("stores.md", "OpenBao, HashiCorp Vault"));
    let program = bao.beside(stage.program());
    for _ in 0..2 {
        let token = stage.deliver_token(USERNAME);
        let output = program.run(["wait", USERNAME]).expect_code(0);
        assert!(
            output.stderr().contains("in the command store OpenBao"),
            "{}",
            output.transcript()
        );
        assert_eq!(bao.field("token"), token);
        let output = program.run(["get", USERNAME]).expect_code(0);
        assert_eq!(output.stdout().trim_end(), token);
    }
    program
        .run(["run", USERNAME, "--timeout", "1s", "--", "true"])
        .expect_code(3);
    program.run(["forget", USERNAME]).expect_code(0);
    program.run(["get", USERNAME]).expect_code(8);
    let token = stage.deliver_token(USERNAME);
    program.run(["wait", USERNAME]).expect_code(0);
    assert_eq!(bao.field("token"), token, "after it was deleted");
    bao.run(&["operator", "seal"]);
    stage.deliver_token(USERNAME);
    let output = program
        .run(["wait", USERNAME, "--timeout", "3s"])
        .expect_code(6);
    assert!(
        output.stderr().contains("Vault is sealed"),
        "{}",
        output.transcript()
    );
}

#[test]
#[cfg(feature = "long-tests")]
fn with_check_and_set_in_openbao_an_older_token_never_follows_a_newer_one() {
    let bao = OpenBao::start();
    let block = recipe("stores.md", "OpenBao, HashiCorp Vault");
    let account = "[[account]]\naddress = \"a@b.example\"\nhost = \"h\"\nusernames = [\"*\"]\naddresses = [\"*\"]\n";
    let mut mails: Vec<_> = (1..=12).map(mail_of).collect();
    let newest = mails[0].0.clone();
    let order: Vec<_> = mails.iter().rev().map(|(token, _)| token.clone()).collect();
    mails.rotate_left(5);
    std::thread::scope(|scope| {
        for (_, mail) in &mails {
            let (bao, block) = (&bao, &block);
            scope.spawn(move || {
                // An installation for each mail: no ledger is shared.
                let home = Home::new();
                home.write_config(&format!("{account}{block}"));
                let keys = home.write_private("keys.json", &keys());
                let file = home.path().join("mail.eml");
                std::fs::write(&file, mail).expect("write the mail");
                let program = Program::new(env!("CARGO_BIN_EXE_fetch-token")).at_home(&home);
                let (keys, file) = (keys.to_str().expect("UTF-8"), file.to_str().expect("UTF-8"));
                let store = ["--dkim-keys", keys, "extract", "--store", file];
                let program = bao.beside(program);
                // Where too many write at once it waits and is tried again, as a daemon would.
                while program.run(store).code() == 6 {}
                program.run(store).expect_code(0);
            });
        }
    });
    assert_eq!(bao.field("token"), newest);
    let entry = format!("salesforce/{USERNAME}");
    let mut last = None;
    for version in 1.. {
        let version = format!("-version={version}");
        let token = bao
            .run(&[
                "kv",
                "get",
                "-mount=secret",
                "-field=token",
                &version,
                &entry,
            ])
            .0;
        if token.is_empty() {
            break;
        }
        let rank = order.iter().position(|known| *known == token);
        assert!(rank > last, "version {version}: {rank:?} after {last:?}");
        last = rank;
    }
    assert_eq!(last, Some(order.len() - 1), "the newest is the last");
}
