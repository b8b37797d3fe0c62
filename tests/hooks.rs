//! Hooks run by a real daemon: what they get, what they cannot do, and that none is lost.
#![cfg(target_os = "linux")]

mod lab;

use lab::{Daemon, Stage, USERNAME, eventually, random_token};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Long enough for a loaded machine.
const SOON: Duration = Duration::from_secs(20);

/// A stage with hooks, which are shell scripts that may write to `$OUT`, a folder.
struct Hooked {
    stage: Stage,
    out: PathBuf,
}

impl Hooked {
    fn new(hooks: &[(&str, &str, &str)]) -> Self {
        Self::on(Stage::new(), "", hooks)
    }

    fn on(stage: Stage, more_accounts: &str, hooks: &[(&str, &str, &str)]) -> Self {
        let out = stage.keychain.home().path().join("out");
        std::fs::create_dir(&out).expect("make a folder");
        let hooked = Self { stage, out };
        hooked.configure(more_accounts, hooks);
        hooked
    }

    fn configure(&self, more_accounts: &str, hooks: &[(&str, &str, &str)]) {
        let stage = &self.stage;
        let mut text = stage.dovecot.account(stage.user, &stage.password_file);
        text.push_str(more_accounts);
        for (on, script, more) in hooks {
            let script = script.replace("$OUT", &self.out.display().to_string());
            writeln!(
                text,
                "[[hook]]\non = \"{on}\"\ncommand = [\"sh\", \"-c\", '''{script}''', \"hook\", \"$(id) *\"]\n{more}"
            )
            .expect("write into a String");
        }
        stage.write_config(&text);
    }

    fn file(&self, name: &str) -> PathBuf {
        self.out.join(name)
    }

    /// The lines of a file in the folder, as soon as there are so many.
    #[track_caller]
    fn lines(&self, name: &str, count: usize, daemon: &Daemon) -> Vec<String> {
        eventually(
            name,
            SOON,
            || Some(lines_of(&self.file(name))).filter(|lines| lines.len() >= count),
            || daemon.log(),
        )
    }

    /// Whether the ledger says that the hooks for this username's token have run.
    fn is_marked(&self) -> bool {
        let ledger = self.stage.keychain.home().state_folder();
        let text = std::fs::read_to_string(ledger.join("ledger.json")).unwrap_or_default();
        text.contains("\"hooked\": true")
    }
}

fn lines_of(file: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn is_alive(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn a_stored_token_runs_its_hook_with_facts_and_the_token_on_its_input_alone() {
    let token = random_token();
    let script = "env > $OUT/env.new; cat > $OUT/stdin; tr '\\0' '\\n' < /proc/$$/cmdline > $OUT/cmdline; \
                  echo \"$1\" > $OUT/argument; echo \"printed: $(cat $OUT/stdin)\"; mv $OUT/env.new $OUT/env";
    let hooked = Hooked::new(&[("stored", script, "stdin = \"token\"")]);
    let stage = &hooked.stage;
    let program = stage.program().env("FETCH_TOKEN_REASON", "inherited");
    let daemon = Daemon::start_with(&program, 1);
    let mail = stage.token_mail(USERNAME, &token).bytes();
    stage.dovecot.deliver(stage.user, &mail);
    let env = hooked.lines("env", 1, &daemon);
    daemon.wait_for("is done", 1);
    let read = |name: &str| std::fs::read_to_string(hooked.file(name)).expect("written");
    assert_eq!(read("stdin"), token, "the token and nothing else");
    assert_eq!(read("argument"), "$(id) *\n", "no shell reads it");
    for expected in [
        "FETCH_TOKEN_EVENT=stored",
        &format!("FETCH_TOKEN_USERNAME={USERNAME}"),
        &format!("FETCH_TOKEN_ACCOUNT={}", stage.user.name),
        "FETCH_TOKEN_FOLDER=INBOX",
        "FETCH_TOKEN_UID=1",
        "FETCH_TOKEN_COUNT=1",
        "FETCH_TOKEN_FROM=support@salesforce.com",
        "FETCH_TOKEN_STORE=Secret Service",
    ] {
        assert!(
            env.iter().any(|line| line == expected),
            "{expected}: {env:#?}"
        );
    }
    for name in ["DATE", "MESSAGE_ID"] {
        let begin = format!("FETCH_TOKEN_{name}=");
        assert!(env.iter().any(|line| line.starts_with(&begin)), "{env:#?}");
    }
    let inherited = env
        .iter()
        .find(|line| line.starts_with("FETCH_TOKEN_REASON"));
    assert_eq!(inherited, None, "what is no fact is not passed on as one");
    for name in ["env", "cmdline"] {
        let text = read(name);
        assert!(!text.contains(&token) && !text.contains(stage.user.password));
    }
    let log = daemon.stop().stderr();
    assert!(log.contains("says: printed: [the token]"), "{log}");
    assert!(!log.contains(&token), "{log}");
}

#[test]
fn a_token_stored_by_another_process_runs_the_hook_as_well() {
    let hooked = Hooked::new(&[("stored", "echo $FETCH_TOKEN_USERNAME >> $OUT/told", "")]);
    hooked.stage.deliver_token(USERNAME);
    hooked
        .stage
        .program()
        .run(["--timeout", "20s"])
        .expect_code(0);
    let daemon = Daemon::start(&hooked.stage);
    assert_eq!(hooked.lines("told", 1, &daemon), [USERNAME]);
    daemon.stop();
    // Not once more at the next start.
    let daemon = Daemon::start(&hooked.stage);
    hooked.stage.deliver_token("other@acme.example");
    let told = hooked.lines("told", 2, &daemon);
    assert_eq!(told[1], "other@acme.example");
    daemon.stop();
}

#[test]
fn a_flood_of_forged_mails_runs_two_hooks_at_most_and_forges_no_line() {
    let script = "echo \"$FETCH_TOKEN_COUNT|$FETCH_TOKEN_FROM|$FETCH_TOKEN_REASON\" >> $OUT/told";
    let hooked = Hooked::new(&[("refused", script, "")]);
    let stage = &hooked.stage;
    let daemon = Daemon::start(stage);
    for number in 0..50 {
        let forged = stage
            .token_mail(USERNAME, &random_token())
            .from(&format!("\"\u{1b}[2J {number}\" <x{number}@evil.example>"))
            .bytes();
        stage.dovecot.deliver(stage.user, &forged);
    }
    daemon.wait_for("refused", 50);
    // The second run comes a minute after the first, which is long for the gate.
    let wanted = if cfg!(feature = "long-tests") { 50 } else { 1 };
    let told = eventually(
        "every mail was counted",
        Duration::from_secs(90),
        || {
            let told = lines_of(&hooked.file("told"));
            let counts = told
                .iter()
                .filter_map(|line| line.split('|').next()?.parse::<u32>().ok());
            (counts.sum::<u32>() >= wanted).then_some(told)
        },
        || daemon.log(),
    );
    assert!(told.len() <= 2, "{told:?}");
    let log = daemon.stop().stderr();
    let is_forged = |c: char| c.is_control() && c != '\n';
    assert!(!log.contains(is_forged), "{log:?}");
    for line in log.lines() {
        let time = line.split(' ').next().unwrap_or_default();
        assert!(time.parse::<jiff::Timestamp>().is_ok(), "{line}");
    }
}

#[test]
fn a_hook_that_a_crash_cut_off_runs_again() {
    // The first time it hangs.
    let script = "echo $$ >> $OUT/began; [ -e $OUT/again ] || { touch $OUT/again; exec sleep 60; }";
    let hooked = Hooked::new(&[("stored", script, "")]);
    let daemon = Daemon::start(&hooked.stage);
    hooked.stage.deliver_token(USERNAME);
    let began = hooked.lines("began", 1, &daemon);
    assert!(!hooked.is_marked());
    daemon.kill();
    // It is an orphan now; nobody can end it but the test.
    lab::signal(began[0].parse().expect("its id"), "KILL");
    let daemon = Daemon::start(&hooked.stage);
    hooked.lines("began", 2, &daemon);
    daemon.wait_for("is done", 1);
    eventually(
        "marked",
        SOON,
        || hooked.is_marked().then_some(()),
        || daemon.log(),
    );
    daemon.stop();
}

#[test]
fn a_hook_that_did_not_begin_before_the_crash_runs() {
    let hooked = Hooked::new(&[("stored", "echo $FETCH_TOKEN_USERNAME >> $OUT/told", "")]);
    hooked.stage.deliver_token(USERNAME);
    // It ends itself after the token is stored and recorded, before anybody is told.
    let crashing = hooked
        .stage
        .program()
        .env("FETCH_TOKEN_CRASH_AT", "committed");
    crashing.run(["daemon"]);
    assert!(hooked.stage.stored(USERNAME).is_some());
    assert_eq!(lines_of(&hooked.file("told")), [""; 0]);
    let daemon = Daemon::start(&hooked.stage);
    assert_eq!(hooked.lines("told", 1, &daemon), [USERNAME]);
    daemon.stop();
}

#[test]
fn a_hook_that_hangs_is_ended_with_all_it_started_and_delays_no_other_account() {
    let other = lab::UMLAUT;
    let script = "if [ $FETCH_TOKEN_ACCOUNT = integration@acme.example ]; then \
                  sleep 100 & echo $! > $OUT/grandchild; trap '' TERM; sleep 100; sleep 100; \
                  else echo $FETCH_TOKEN_USERNAME >> $OUT/other; fi";
    let stage = Stage::new();
    let password = stage
        .keychain
        .home()
        .write_private("other-password", other.password);
    let account = stage.dovecot.account(other, &password);
    let hooked = Hooked::on(stage, &account, &[("stored", script, "")]);
    let stage = &hooked.stage;
    let daemon = Daemon::start_with(&stage.program(), 2);
    stage.deliver_token(USERNAME);
    let grandchild = hooked.lines("grandchild", 1, &daemon).remove(0);
    let began = Instant::now();
    let mail = lab::TokenMail::english("other@acme.example", &random_token()).to(other.name);
    stage.dovecot.deliver(other, &mail.bytes());
    assert_eq!(hooked.lines("other", 1, &daemon), ["other@acme.example"]);
    assert!(
        began.elapsed() < Duration::from_secs(15),
        "not after the first"
    );
    assert!(is_alive(&grandchild));
    eventually(
        "the limit",
        Duration::from_secs(45),
        || daemon.log().contains("ran longer than 30 s").then_some(()),
        || daemon.log(),
    );
    let took = began.elapsed();
    assert!(
        took > Duration::from_secs(25) && took < Duration::from_secs(40),
        "{took:?}"
    );
    assert!(!is_alive(&grandchild), "it went with its parent");
    daemon.stop();
}

#[test]
fn the_daemon_ends_in_time_while_a_hook_runs_and_runs_it_again() {
    let script =
        "echo $$ >> $OUT/began; [ -e $OUT/again ] || { touch $OUT/again; trap '' TERM; sleep 60; }";
    let hooked = Hooked::new(&[("stored", script, "")]);
    let daemon = Daemon::start(&hooked.stage);
    hooked.stage.deliver_token(USERNAME);
    let began = hooked.lines("began", 1, &daemon);
    daemon.stop();
    assert!(!is_alive(&began[0]));
    let daemon = Daemon::start(&hooked.stage);
    hooked.lines("began", 2, &daemon);
    daemon.stop();
}

#[test]
fn a_login_that_is_refused_runs_its_hook_once() {
    let script = "echo \"$FETCH_TOKEN_REASON: $FETCH_TOKEN_SENTENCE\" >> $OUT/told";
    let hooked = Hooked::new(&[("login-failed", script, "")]);
    std::fs::write(&hooked.stage.password_file, "Wrong.Passw0rd-77aa").expect("write");
    let daemon = Daemon::launch(&hooked.stage.program());
    let told = hooked.lines("told", 1, &daemon);
    assert!(told[0].starts_with("login-refused: "), "{told:?}");
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(lines_of(&hooked.file("told")).len(), 1);
    daemon.stop();
}

#[test]
fn hooks_change_when_the_configuration_is_read_again() {
    let hooked = Hooked::new(&[("stored", "echo old >> $OUT/told", "")]);
    let daemon = Daemon::start(&hooked.stage);
    hooked.configure("", &[("stored", "echo new >> $OUT/told", "")]);
    daemon.signal("HUP");
    daemon.wait_for("configuration read again", 1);
    hooked.stage.deliver_token(USERNAME);
    assert_eq!(hooked.lines("told", 1, &daemon), ["new"]);
    daemon.stop();
}
