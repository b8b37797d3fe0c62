//! What is measured: processes that watch many mailboxes, and the server they watch them at.

use super::lab::{Ca, SecretService, account, keys, require};
use super::lab::{TokenMail, User, random_token};
use super::measure::Usage;
use super::server::{Question, SERVE, Seen, instant};
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// How long anything that is waited for may take: thousands of logins on a slow machine.
const PATIENCE: Duration = Duration::from_mins(3);

/// What a process has so long after its last login it keeps: after ten seconds, when the threads end that resolved
/// names, it was the same.
pub(crate) const SETTLED: Duration = Duration::from_secs(2);

/// The name of a mailbox.
pub(crate) fn user(number: usize) -> String {
    format!("user{number}@acme.example")
}

/// A home with a keychain, and the files that clients of the server need.
pub(crate) struct Site {
    pub(crate) keychain: SecretService,
    pub(crate) ca: PathBuf,
    pub(crate) password: PathBuf,
    identity: [PathBuf; 2],
}

impl Site {
    pub(crate) fn new() -> Self {
        let keychain = SecretService::start();
        let home = keychain.home();
        let ca = home.path().join("ca.pem");
        Ca::shared().write_to(&ca);
        let identity = &Ca::shared().localhost;
        Self {
            identity: [
                home.write_private("server.pem", &identity.certificate),
                home.write_private("server.key", &identity.key),
            ],
            password: home.write_private("password", "Any.Will-D0"),
            ca,
            keychain,
        }
    }

    /// Starts the server on this port, 0 for any.
    pub(crate) fn serve(&self, port: u16) -> Server {
        let mut child = kept(std::env::current_exe().expect("this bench"))
            .args([SERVE, &port.to_string()])
            .args(&self.identity)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("start the server");
        let mut server = Server {
            input: child.stdin.take().expect("its input"),
            output: BufReader::new(child.stdout.take().expect("its output")),
            process: Process(child),
            port: 0,
        };
        server.port = server.line().trim().parse().expect("its port");
        server
    }

    /// Starts a daemon that has nothing of an earlier one, for so many accounts.
    pub(crate) fn watch(&self, server: &Server, accounts: usize) -> Watcher {
        let home = self.keychain.home();
        let _ = fs::remove_dir_all(home.state_folder());
        let mut config = String::new();
        for number in 0..accounts {
            let user = User {
                name: Box::leak(user(number).into_boxed_str()),
                password: "",
            };
            config += &account(user, server.port, "implicit", &self.ca, &self.password);
        }
        let keys = home.write_private("keys.json", &keys());
        write!(config, "[sender]\ndkim_keys = \"{}\"\n", keys.display()).expect("text");
        home.write_config(&config);
        let mut command = kept(env!("CARGO_BIN_EXE_fetch-token").into());
        command
            .arg("daemon")
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("LC_ALL", "C.UTF-8")
            .env("RUST_LOG", "info")
            .envs(self.keychain.env());
        Watcher::start(command.stderr(Stdio::piped()), |child| child.stderr.take())
    }

    /// Starts a Python process with a thread for each of so many mailboxes.
    pub(crate) fn watch_by_threads(&self, server: &Server, accounts: usize) -> Watcher {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let mut command = kept(folder.join("target/peers/python/bin/python"));
        command
            .arg(folder.join("benches/peers/threads.py"))
            .arg(server.port.to_string())
            .args([&self.ca, &self.password])
            .arg(accounts.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        Watcher::start(&mut command, |child| child.stdout.take())
    }
}

/// A command that the kernel ends when this bench is ended.
fn kept(program: PathBuf) -> Command {
    let mut command = Command::new(require("setpriv", "util-linux"));
    command.args(["--pdeathsig", "TERM", "--"]).arg(program);
    command.stdin(Stdio::null());
    command
}

/// Ended by its id when it is dropped.
struct Process(Child);

impl Process {
    fn end(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
    }
}

/// The mail server.
pub(crate) struct Server {
    process: Process,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    pub(crate) port: u16,
}

impl Server {
    /// Ends it, and with it all its connections.
    pub(crate) fn stop(&mut self) {
        self.process.end();
    }

    pub(crate) fn seen(&mut self) -> Seen {
        serde_json::from_str(&self.ask(&Question::Seen)).expect("what it has seen")
    }

    /// Delivers a token mail for this username to this mailbox; says when it was announced.
    pub(crate) fn deliver(&mut self, mailbox: usize, username: &str) -> SystemTime {
        let mail = TokenMail::english(username, &random_token()).to(&user(mailbox));
        let mail = String::from_utf8(mail.bytes()).expect("a mail in ASCII");
        let user = user(mailbox);
        instant(&self.ask(&Question::Deliver { user, mail }))
    }

    fn ask(&mut self, question: &Question) -> String {
        let question = serde_json::to_string(question).expect("JSON");
        writeln!(self.input, "{question}").expect("it listens");
        self.line()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.output.read_line(&mut line).expect("it answers");
        line
    }
}

/// A process that says in a line of its output what it watches.
pub(crate) struct Watcher {
    process: Process,
    lines: Receiver<(SystemTime, String)>,
    started: Instant,
}

impl Watcher {
    fn start<R: Read + Send + 'static>(
        command: &mut Command,
        output: impl FnOnce(&mut Child) -> Option<R>,
    ) -> Self {
        let started = Instant::now();
        let mut child = command.spawn().expect("start it");
        let output = BufReader::new(output(&mut child).expect("its output"));
        let (say, lines) = channel();
        thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                let _ = say.send((SystemTime::now(), line));
            }
        });
        Self {
            process: Process(child),
            lines,
            started,
        }
    }

    /// Waits until it watches so many mailboxes; says how long that took since its start.
    pub(crate) fn armed(&self, mailboxes: usize) -> Duration {
        self.wait_for("watching", mailboxes);
        self.started.elapsed()
    }

    /// Waits for so many lines with these words; says when the last came.
    pub(crate) fn wait_for(&self, words: &str, times: usize) -> SystemTime {
        let deadline = Instant::now() + PATIENCE;
        let mut last = SystemTime::now();
        for time in 0..times {
            last = loop {
                let left = deadline.saturating_duration_since(Instant::now());
                let (at, line) = self.lines.recv_timeout(left).unwrap_or_else(|_| {
                    panic!("{time} of {times} lines with {words:?} after {PATIENCE:?}")
                });
                if line.contains(words) {
                    break at;
                }
            };
        }
        last
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.0.id()
    }

    pub(crate) fn usage(&self) -> Usage {
        Usage::of(self.pid())
    }
}
