//! Whatever resets a token gets the token that it caused: each way to pair, with a daemon and without, whenever the
//! mail comes.
#![cfg(target_os = "linux")]

mod lab;

use lab::{
    Daemon, End, Fault, Faults, Program, Running, Stage, Talk, eventually, random_token,
    rust_example,
};
use serde_json::{Value, json};
use std::fmt;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Run,
    ArmAndWait,
    Socket,
    Library,
}

impl Way {
    const ALL: [Self; 4] = [Self::Run, Self::ArmAndWait, Self::Socket, Self::Library];
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Run => "fetch-token run",
            Self::ArmAndWait => "arm, then wait --from",
            Self::Socket => "the daemon's socket",
            Self::Library => "Rust library",
        })
    }
}

/// When the mail comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum When {
    /// After arming, while the reset still goes on and nobody waits.
    Before,
    /// While it is waited for.
    During,
    /// While the connection is cut and cannot be made again.
    Reconnect,
}

impl When {
    const ALL: [Self; 3] = [Self::Before, Self::During, Self::Reconnect];
}

/// A mailbox behind a proxy that can cut, a keychain, and a daemon or none.
struct Site {
    stage: Stage,
    faults: Faults,
    daemon: Option<Daemon>,
}

/// A mail for one cell of the table.
struct Mail {
    username: String,
    token: String,
    message_id: String,
    bytes: Vec<u8>,
}

impl Site {
    fn new(with_daemon: bool) -> Self {
        let (stage, faults) = Stage::behind_faults();
        let daemon = with_daemon.then(|| Daemon::start(&stage));
        Self {
            stage,
            faults,
            daemon,
        }
    }

    /// After some cuts a daemon takes its time to connect, and polls a server instead of hearing it.
    fn renew_the_daemon(&mut self) {
        if let Some(daemon) = self.daemon.take() {
            daemon.stop();
            self.daemon = Some(Daemon::start(&self.stage));
        }
    }

    fn mail(&self, name: &str) -> Mail {
        let username = format!("{}@acme.example", name.to_ascii_lowercase());
        let token = random_token();
        let message_id = format!("<{name}@sfdc.net>");
        let mail = self.stage.token_mail(&username, &token);
        Mail {
            bytes: mail.message_id(&message_id).bytes(),
            username,
            token,
            message_id,
        }
    }

    fn deliver(&self, mail: &Mail) {
        self.stage.dovecot.deliver(self.stage.user, &mail.bytes);
    }

    /// Delivers while nobody is connected.
    fn deliver_while_cut(&self, mail: &Mail) {
        self.faults.refuse();
        let before = self.faults.connections().len();
        assert!(before > 0, "nobody was connected");
        self.faults.now(Fault::Cut(End::Reset));
        self.deliver(mail);
        thread::sleep(Duration::from_millis(200));
        self.faults.accept();
        eventually(
            "a new connection",
            Duration::from_secs(20),
            || (self.faults.connections().len() > before).then_some(()),
            String::new,
        );
    }

    fn program(&self) -> Program {
        self.stage.program()
    }

    /// One cell: the way brings this mail's token, and says so.
    fn pair(&self, way: Way, when: When) {
        let mail = self.mail(&format!("{way:?}{when:?}"));
        let words = match way {
            Way::Run => {
                let run = ["-v", "--json", "run", &mail.username, "--timeout", "50s"];
                let arguments = run.into_iter().chain(["--"]);
                self.with_a_tool(&self.program(), arguments, &mail, when)
            }
            Way::Library => {
                let program =
                    Program::new(rust_example("pairing")).with_keychain(&self.stage.keychain);
                self.with_a_tool(&program, [mail.username.as_str()], &mail, when)
            }
            Way::ArmAndWait => self.by_a_cursor(&mail, when),
            Way::Socket => self.over_the_socket(&mail, when),
        };
        assert!(words.contains(&mail.message_id), "{words}");
        assert!(!words.contains(&mail.token));
        let stored = self.stage.stored(&mail.username);
        assert_eq!(stored.as_deref(), Some(mail.token.as_str()));
    }

    /// A program that arms, runs a tool, and waits.
    fn with_a_tool<'a>(
        &self,
        program: &Program,
        arguments: impl IntoIterator<Item = &'a str>,
        mail: &Mail,
        when: When,
    ) -> String {
        let tool = Tool::at(self.stage.keychain.home().path(), &mail.username);
        let script = tool.script.to_str().expect("a path").to_owned();
        let arguments = arguments.into_iter().map(str::to_owned);
        let running = program.spawn(arguments.chain(["sh".to_owned(), script]));
        tool.has("started");
        match when {
            When::Before => {
                self.deliver(mail);
                tool.end();
            }
            When::During => {
                tool.end();
                // Its end is heard of at once; now it is waited for.
                thread::sleep(Duration::from_millis(300));
                self.deliver(mail);
            }
            When::Reconnect => {
                self.deliver_while_cut(mail);
                tool.end();
            }
        }
        said(running)
    }

    fn by_a_cursor(&self, mail: &Mail, when: When) -> String {
        let armed = self.program().run(["arm", &mail.username]).expect_code(0);
        let cursor = armed.stdout();
        let arguments = [
            "-v",
            "--json",
            "wait",
            &mail.username,
            "--from",
            cursor.trim(),
            "--timeout",
            "50s",
        ];
        if when == When::Before {
            self.deliver(mail);
            return said(self.program().spawn(arguments));
        }
        let running = self.program().spawn(arguments);
        running.stderr_line("Watching INBOX");
        match when {
            When::Reconnect => self.deliver_while_cut(mail),
            _ => self.deliver(mail),
        }
        said(running)
    }

    fn over_the_socket(&self, mail: &Mail, when: When) -> String {
        let home = self.stage.keychain.home();
        let watch = |begin: Value| Talk::watch(home, self.stage.user.name, &begin);
        let mut talk = watch(json!("now"));
        let cursor = talk.armed();
        match when {
            When::Before => {
                drop(talk);
                self.deliver(mail);
                talk = watch(json!({"from": cursor}));
            }
            When::During => self.deliver(mail),
            When::Reconnect => self.deliver_while_cut(mail),
        }
        talk.token(&mail.username).to_string()
    }
}

/// What a program said that used the daemon where there is one.
fn said(running: Running) -> String {
    let output = running.wait().expect_code(0);
    let errors = output.stderr();
    let is_alone = errors.contains("Not asking the daemon") || errors.contains("went away");
    assert!(!is_alone, "{}", output.transcript());
    output.stdout()
}

/// A reset tool that says when it has started, and ends when it is told.
struct Tool {
    script: PathBuf,
    folder: PathBuf,
}

impl Tool {
    fn at(home: &Path, name: &str) -> Self {
        let folder = home.join(format!("tool-{name}"));
        fs::create_dir(&folder).expect("make a folder");
        let script = folder.join("tool");
        let path = folder.display();
        let text = format!(
            "touch '{path}/started'\nwhile [ ! -e '{path}/end' ]; do sleep 0.05; done\n\
             touch '{path}/ended'\n"
        );
        fs::write(&script, text).expect("write the tool");
        Self { script, folder }
    }

    fn has(&self, word: &str) {
        eventually(
            word,
            Duration::from_secs(40),
            || self.folder.join(word).exists().then_some(()),
            String::new,
        );
    }

    fn end(&self) {
        fs::write(self.folder.join("end"), "").expect("tell the tool");
        self.has("ended");
    }
}

/// A row of the table: whether each cell is green.
type Row = [bool; 3];

fn rows(with_daemon: bool) -> [Option<Row>; 4] {
    let mut site = Site::new(with_daemon);
    let mut rows = Way::ALL.map(|way| (with_daemon || way != Way::Socket).then_some([false; 3]));
    for (column, when) in When::ALL.into_iter().enumerate() {
        for (way, row) in Way::ALL.into_iter().zip(&mut rows) {
            if let Some(row) = row {
                if when == When::Reconnect {
                    site.renew_the_daemon();
                }
                row[column] = catch_unwind(AssertUnwindSafe(|| site.pair(way, when))).is_ok();
            }
        }
    }
    if let Some(daemon) = site.daemon {
        daemon.stop();
    }
    rows
}

#[test]
fn each_way_gets_its_token_with_a_daemon_and_without_whenever_the_mail_comes() {
    // Built before anything is timed.
    rust_example("pairing");
    let (with, without) = thread::scope(|scope| {
        let with = scope.spawn(|| rows(true));
        let without = scope.spawn(|| rows(false));
        (with.join(), without.join())
    });
    let (with, without) = (with.expect("rows"), without.expect("rows"));
    println!(
        "{:<24}{:<10}{:<14}{:<14}after a reconnect",
        "way of pairing", "daemon", "before wait", "during"
    );
    for (way, rows) in Way::ALL.iter().zip(with.iter().zip(&without)) {
        for (daemon, row) in [("yes", rows.0), ("no", rows.1)] {
            let cells = match row {
                Some(cells) => cells.map(|green| if green { "green" } else { "RED" }),
                None => ["(needs the daemon)", "", ""],
            };
            let [before, during, reconnect] = cells;
            println!("{way:<24}{daemon:<10}{before:<14}{during:<14}{reconnect}");
        }
    }
    let all = with.iter().chain(&without).flatten().flatten();
    assert!(all.copied().all(|green| green), "not all green: see above");
}
