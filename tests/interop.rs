//! The program with mail servers of five makes: what works with each, and what a server cannot do, in a table.
#![cfg(all(target_os = "linux", feature = "interop-tests"))]

mod lab;

use lab::{
    Ca, Cell, Daemon, Front, INTEGRATION, MailServer, Program, QUOTES, SERVERS, SERVICE,
    SecretService, Start, Table, TokenMail, UMLAUT, USERNAME, User, account, eventually, keys,
    other_mail, random_token,
};
use serde_json::Value;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

/// Names of folders: as people write them, and as they go over the wire (RFC 3501 §5.1.3), by hand.
const NAMES: [(&str, &str); 5] = [
    ("Salesforce tokens", "Salesforce tokens"),
    ("Entwürfe & mehr", "Entw&APw-rfe &- mehr"),
    ("日本語", "&ZeVnLIqe-"),
    (r#"a "quoted" one"#, r#"a "quoted" one"#),
    (r"back\slash", r"back\slash"),
];

/// Runs a case with a server that it starts.
type Case = fn(Start) -> Cell;

/// Cases that one thread runs, one after the other.
const LANE: usize = 3;

/// Each case with its name in the table.
const CASES: [(&str, Case); 12] = [
    ("mail before the wait", before),
    ("mail announced by IDLE", idle),
    ("polling, IDLE hidden", polling),
    ("every capability hidden", bare),
    ("password not ASCII", umlaut),
    ("password with quotes", quotes),
    ("password by LOGIN", by_login),
    ("odd folder names", names),
    ("junk by SPECIAL-USE", junk_by_use),
    ("junk by its name", junk_by_name),
    ("--since", since),
    ("daemon, status, cursor", daemon),
];

/// Of a server that refuses a right password.
const MISREAD: &str = r#"it misreads `\"` and `\\` in a quoted string: the right password is refused, to others too, with 5"#;

/// What a server cannot do, as its own answers must show in the run.
const LACKS: [(&str, &str, &str); 4] = [
    ("hoodiecrow", "password by LOGIN", MISREAD),
    (
        "Courier",
        "junk by SPECIAL-USE",
        "no SPECIAL-USE (RFC 6154) in its capabilities",
    ),
    (
        "pymap",
        "junk by SPECIAL-USE",
        "no SPECIAL-USE (RFC 6154) in its capabilities",
    ),
    (
        "Cyrus",
        "odd folder names",
        r#"refuses to make `a "quoted" one`, `back\slash`: Invalid mailbox name; the others are watched"#,
    ),
];

#[test]
fn five_makes_of_mail_servers_work_each_as_far_as_it_can() {
    let columns: Vec<_> = thread::scope(|scope| {
        let started: Vec<_> = SERVERS
            .map(|(name, start)| scope.spawn(move || column(name, start)))
            .into_iter()
            .collect();
        started
            .into_iter()
            .map(|column| column.join().expect("a column"))
            .collect()
    });
    let mut table = Table::default();
    for (server, cells) in columns {
        table.add(server, cells);
    }
    let (text, has_failed) = table.shown();
    println!("{text}");
    assert!(!has_failed, "{text}");
}

/// Every case with one server, each with a new one; some at once, for most of them wait.
fn column(name: &'static str, start: Start) -> (String, Vec<(&'static str, Cell)>) {
    let version = start(INTEGRATION).version();
    let cells = thread::scope(|scope| {
        let lanes: Vec<_> = CASES
            .chunks(LANE)
            .map(|lane| {
                scope.spawn(move || {
                    lane.iter()
                        .map(|&(case, run)| (case, judged(name, start, case, run)))
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        lanes
            .into_iter()
            .flat_map(|lane| lane.join().expect("some cases"))
            .collect()
    });
    (format!("{name} {version}"), cells)
}

/// One case with one server: what a server lacks must be what [`LACKS`] knows, no more and no less.
fn judged(name: &str, start: Start, case: &str, run: Case) -> Cell {
    let cell = catch_unwind(AssertUnwindSafe(|| run(start)))
        .unwrap_or_else(|panic| Cell::Fails(words(panic.as_ref())));
    let lacks = LACKS
        .iter()
        .find(|(server, of, _)| (*server, *of) == (name, case))
        .map(|(_, _, why)| *why);
    match (cell, lacks) {
        (Cell::Lacks(seen), lacks) if lacks != Some(&seen) => {
            Cell::Fails(format!("not known to be lacking: {seen}"))
        }
        (Cell::Works(seen), Some(why)) => {
            Cell::Fails(format!("works ({seen}), and should lack: {why}"))
        }
        (cell, _) => cell,
    }
}

fn words(panic: &(dyn std::any::Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
        .unwrap_or_else(|| "it panicked".to_owned())
}

/// A server, a keychain, and a configuration that joins them.
struct Mailbox {
    server: Box<dyn MailServer>,
    keychain: SecretService,
    password_file: PathBuf,
}

impl Mailbox {
    fn new(start: Start) -> Self {
        Self::of(start, INTEGRATION)
    }

    fn of(start: Start, user: User) -> Self {
        let keychain = SecretService::start();
        let mailbox = Self {
            server: start(user),
            password_file: keychain
                .home()
                .write_private("mailbox-password", user.password),
            keychain,
        };
        mailbox.configure("");
        mailbox
    }

    /// The account as the server offers it, with more lines.
    fn configure(&self, lines: &str) {
        self.write_config(&format!(
            "{}{lines}\n",
            self.server.account(&self.password_file)
        ));
    }

    fn write_config(&self, account: &str) {
        let home = self.keychain.home();
        let keys = home.write_private("keys.json", &keys());
        home.write_config(&format!(
            "{account}[sender]\ndkim_keys = \"{}\"\n",
            keys.display()
        ));
    }

    /// Puts a listener before the server that hides capabilities, and the configuration behind it.
    fn hide(&self, capabilities: &[&str]) -> Front {
        let front = Front::start(
            self.server.plain_port(),
            &Ca::shared().localhost,
            capabilities,
        );
        self.write_config(&account(
            self.server.user(),
            front.port(),
            "implicit",
            &self.server.ca_file(),
            &self.password_file,
        ));
        front
    }

    fn program(&self) -> Program {
        Program::new(env!("CARGO_BIN_EXE_fetch-token")).with_keychain(&self.keychain)
    }

    fn mail(&self, username: &str) -> (String, Vec<u8>) {
        let token = random_token();
        let mail = TokenMail::english(username, &token).to(self.server.user().name);
        (token, mail.bytes())
    }

    /// Delivers a token mail and gives its token.
    fn deliver_token(&self, username: &str) -> String {
        let (token, mail) = self.mail(username);
        self.server.deliver(&mail);
        token
    }

    /// Puts a token mail into a folder, named as on the wire, and gives its token.
    fn put_token(&self, wire: &str, username: &str) -> String {
        let (token, mail) = self.mail(username);
        self.server.peer().append(wire, None, &mail);
        token
    }

    fn stored(&self, username: &str) -> Option<String> {
        self.keychain.lookup(SERVICE, username)
    }

    /// `wait` with these arguments stores this token.
    #[track_caller]
    fn wait_stores(&self, token: &str, username: &str, arguments: &[&str]) {
        let all = [&["-v", "wait", username, "--timeout", "30s"], arguments].concat();
        let output = self.program().run(all).expect_code(0);
        assert_eq!(
            self.stored(username).as_deref(),
            Some(token),
            "{}\n{}",
            output.transcript(),
            self.server.log()
        );
    }

    /// Waits for new mail in the way that these words of `-v` name, and stores what comes then; how long that takes.
    #[track_caller]
    fn waits(&self, way: &str) -> String {
        let waiting = self
            .program()
            .spawn(["-v", "wait", USERNAME, "--timeout", "40s"]);
        waiting.stderr_line(way);
        let token = self.deliver_token(USERNAME);
        let begin = Instant::now();
        let output = waiting.wait().expect_code(0);
        let seconds = begin.elapsed().as_secs_f64();
        assert_eq!(
            self.stored(USERNAME),
            Some(token),
            "{}",
            output.transcript()
        );
        format!("stored {seconds:.2} s after delivery")
    }
}

fn works(what: impl Into<String>) -> Cell {
    Cell::Works(what.into())
}

fn before(start: Start) -> Cell {
    let mailbox = Mailbox::new(start);
    mailbox.server.deliver(&other_mail(1));
    let token = mailbox.deliver_token(USERNAME);
    let state = mailbox.server.peer().mailbox("INBOX");
    mailbox.wait_stores(&token, USERNAME, &[]);
    let after = mailbox.server.peer().mailbox("INBOX");
    assert_eq!(after, state, "the mailbox is left as found");
    let (_, tls) = mailbox.server.secure();
    works(format!("by {tls} TLS; mailbox left as found"))
}

fn idle(start: Start) -> Cell {
    works(Mailbox::new(start).waits("the server announces new mail"))
}

fn polling(start: Start) -> Cell {
    let mailbox = Mailbox::new(start);
    let front = mailbox.hide(&["IDLE"]);
    let seen = mailbox.waits("polling");
    let lines = front.conversations()[0].client_lines();
    assert!(
        !lines.iter().any(|line| line.ends_with(" IDLE")),
        "{lines:?}"
    );
    works(seen)
}

/// No UIDPLUS, no WITHIN, no SASL-IR, nothing that a server may have beyond RFC 3501.
fn bare(start: Start) -> Cell {
    let mailbox = Mailbox::new(start);
    let all = mailbox.server.peer().capabilities();
    let hidden: Vec<_> = all
        .iter()
        .map(String::as_str)
        .filter(|name| *name != "IMAP4rev1")
        .chain(["SASL-IR"])
        .collect();
    let front = mailbox.hide(&hidden);
    let before = mailbox.deliver_token("before@acme.example");
    mailbox.wait_stores(&before, "before@acme.example", &[]);
    mailbox.waits("polling");
    let lines = front.conversations()[0].client_lines();
    assert!(
        !lines.iter().any(|line| line.contains("SEARCH")),
        "{lines:?}"
    );
    works(format!("{} hidden: found, and polled", hidden.len()))
}

fn umlaut(start: Start) -> Cell {
    password(start, UMLAUT)
}

fn quotes(start: Start) -> Cell {
    password(start, QUOTES)
}

fn password(start: Start, user: User) -> Cell {
    let mailbox = Mailbox::of(start, user);
    let token = mailbox.deliver_token(USERNAME);
    mailbox.wait_stores(&token, USERNAME, &[]);
    mailbox
        .keychain
        .home()
        .write_private("mailbox-password", "another");
    let refused = mailbox
        .program()
        .run(["wait", "--timeout", "20s"])
        .expect_code(5);
    let said = refused.stderr();
    assert!(!said.contains("another"), "{said}");
    works("by AUTHENTICATE PLAIN; another is refused with 5")
}

fn by_login(start: Start) -> Cell {
    let mailbox = Mailbox::of(start, QUOTES);
    let front = mailbox.hide(&["AUTH=PLAIN", "SASL-IR"]);
    let token = mailbox.deliver_token(USERNAME);
    if mailbox.server.takes_login().is_err() {
        mailbox
            .program()
            .run(["wait", "--timeout", "20s"])
            .expect_code(5);
        return Cell::Lacks(MISREAD.to_owned());
    }
    mailbox.wait_stores(&token, USERNAME, &[]);
    let lines = front.conversations()[0].client_lines();
    assert!(
        lines.iter().any(|line| line.contains(" LOGIN ")),
        "{lines:?}"
    );
    works("by LOGIN, quoted")
}

fn names(start: Start) -> Cell {
    let mailbox = Mailbox::new(start);
    let mut refused = Vec::new();
    let mut why = String::new();
    for (number, (name, wire)) in NAMES.into_iter().enumerate() {
        let wire = mailbox.server.folder(wire);
        if let Err(said) = mailbox.server.make_folder(&wire, None) {
            refused.push(format!("`{name}`"));
            said.trim_start_matches("NO ").clone_into(&mut why);
            continue;
        }
        let folder = Value::from(mailbox.server.folder(name));
        let username = format!("etl-{number}@acme.example");
        let token = mailbox.put_token(&wire, &username);
        mailbox.configure(&format!("folders = [{folder}]"));
        mailbox.wait_stores(&token, &username, &[]);
    }
    if refused.is_empty() {
        return works(format!("{} of {}", NAMES.len(), NAMES.len()));
    }
    Cell::Lacks(format!(
        "refuses to make {}: {why}; the others are watched",
        refused.join(", ")
    ))
}

/// A folder whose name nobody would take for junk.
const JUNK: (&str, &str) = ("Sondermüll", "Sonderm&APw-ll");

fn junk_by_use(start: Start) -> Cell {
    let mailbox = Mailbox::new(start);
    let wire = mailbox.server.folder(JUNK.1);
    let offered = mailbox.server.peer().capabilities();
    if !offered.iter().any(|name| name == "SPECIAL-USE") {
        // Then it is one folder among others, and what lies there is not taken.
        mailbox
            .server
            .make_folder(&wire, None)
            .expect("make a folder");
        mailbox.put_token(&wire, USERNAME);
        mailbox
            .program()
            .run(["wait", "--timeout", "15s"])
            .expect_code(3);
        return Cell::Lacks("no SPECIAL-USE (RFC 6154) in its capabilities".to_owned());
    }
    mailbox
        .server
        .make_folder(&wire, Some("\\Junk"))
        .expect("make a junk folder");
    let token = mailbox.put_token(&wire, USERNAME);
    mailbox.wait_stores(&token, USERNAME, &[]);
    works(format!("{} found and swept", JUNK.0))
}

fn junk_by_name(start: Start) -> Cell {
    let mut swept = Vec::new();
    for name in ["Spam", "Junk"] {
        let mailbox = Mailbox::new(start);
        let folder = mailbox.server.folder(name);
        mailbox
            .server
            .make_folder(&folder, None)
            .expect("make a folder");
        let token = mailbox.put_token(&folder, USERNAME);
        mailbox.wait_stores(&token, USERNAME, &[]);
        swept.push(folder);
    }
    works(format!("{} found and swept", swept.join(", ")))
}

fn since(start: Start) -> Cell {
    let mailbox = Mailbox::new(start);
    let front = mailbox.hide(&[]);
    let two_days_ago = (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(48))
        .strftime("%d-%b-%Y %H:%M:%S +0000")
        .to_string();
    let (_, old) = mailbox.mail("old@acme.example");
    mailbox
        .server
        .peer()
        .append("INBOX", Some(&two_days_ago), &old);
    let token = mailbox.deliver_token(USERNAME);
    mailbox.wait_stores(&token, USERNAME, &["--since", "10m"]);
    assert_eq!(mailbox.stored("old@acme.example"), None);
    let lines = front.conversations()[0].client_lines();
    let offered = mailbox.server.peer().capabilities();
    let within = offered.iter().any(|name| name == "WITHIN");
    assert_eq!(
        lines.iter().any(|line| line.contains("SEARCH YOUNGER")),
        within,
        "{lines:?}"
    );
    works(if within {
        "by SEARCH YOUNGER (WITHIN)"
    } else {
        "by date of arrival, for there is no WITHIN"
    })
}

/// `arm`, a mail while nobody runs, `wait --from`; then a daemon that stores and tells of it.
fn daemon(start: Start) -> Cell {
    let mailbox = Mailbox::new(start);
    mailbox.deliver_token("older@acme.example");
    let program = mailbox.program();
    let cursor = program.run(["arm"]).expect_code(0).stdout();
    let token = mailbox.deliver_token(USERNAME);
    mailbox.wait_stores(&token, USERNAME, &["--from", cursor.trim()]);
    assert_eq!(mailbox.stored("older@acme.example"), None);

    let daemon = Daemon::start_with(&program, 1);
    let token = mailbox.deliver_token("daemon@acme.example");
    eventually(
        "the token in the keychain",
        Duration::from_secs(40),
        || (mailbox.stored("daemon@acme.example") == Some(token.clone())).then_some(()),
        || daemon.log(),
    );
    let said = program.run(["status", "--json"]).expect_code(0).stdout();
    let status: Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(status["state"], "idling", "{said}");
    assert_eq!(status["reconnects"], 0, "{said}");
    daemon.stop();
    works("stored; idling, no reconnects")
}
