//! The whole program against mail servers that stick to a script: what must hold before TLS, and the order in
//! which a mailbox is watched.
#![cfg(target_os = "linux")]

mod lab;

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use fetch_token::imap::Cursor;
use lab::{Ca, Home, INTEGRATION, Output, Program, account};

/// SASL PLAIN of [`INTEGRATION`].
fn sasl_response() -> String {
    use base64::Engine as _;
    let plain = format!("\0{}\0{}", INTEGRATION.name, INTEGRATION.password);
    base64::prelude::BASE64_STANDARD.encode(plain)
}

/// A line that the client sent.
#[derive(Clone, Debug)]
struct Line {
    connection: usize,
    at: Instant,
    text: String,
}

impl Line {
    /// The line without its tag, and without what the login says.
    fn command(&self) -> &str {
        match self.text.split_once(' ') {
            Some((_, "STARTTLS")) => "STARTTLS",
            Some((_, command)) if command.starts_with("AUTHENTICATE") => "AUTHENTICATE",
            Some((_, command)) => command,
            None => &self.text,
        }
    }
}

/// A server that greets, and answers each line by its script: connection, line without its tag, tag → answer. An
/// empty answer is silence.
struct Server {
    port: u16,
    stop: Arc<AtomicBool>,
    lines: Arc<Mutex<Vec<Line>>>,
}

type Script = dyn Fn(usize, &str, &str) -> String + Send + Sync;

impl Server {
    /// Speaks without TLS.
    fn plain(
        greeting: &'static str,
        script: impl Fn(usize, &str, &str) -> String + Send + Sync + 'static,
    ) -> Self {
        Self::start(greeting, Arc::new(script), None)
    }

    /// Speaks with implicit TLS.
    fn tls(
        greeting: &'static str,
        script: impl Fn(usize, &str, &str) -> String + Send + Sync + 'static,
    ) -> Self {
        let identity = &Ca::shared().localhost;
        let identity = native_tls::Identity::from_pkcs8(
            identity.certificate.as_bytes(),
            identity.key.as_bytes(),
        )
        .expect("the lab's certificate");
        let acceptor = native_tls::TlsAcceptor::new(identity).expect("a TLS server");
        Self::start(greeting, Arc::new(script), Some(acceptor))
    }

    fn start(
        greeting: &'static str,
        script: Arc<Script>,
        acceptor: Option<native_tls::TlsAcceptor>,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        listener
            .set_nonblocking(true)
            .expect("a listener that does not block");
        let server = Self {
            port,
            stop: Arc::default(),
            lines: Arc::default(),
        };
        let (stop, lines) = (Arc::clone(&server.stop), Arc::clone(&server.lines));
        thread::spawn(move || {
            let mut connection = 0;
            while !stop.load(Ordering::Relaxed) {
                let Ok((stream, _)) = listener.accept() else {
                    thread::sleep(Duration::from_millis(2));
                    continue;
                };
                let talk = Talk {
                    connection,
                    greeting,
                    script: Arc::clone(&script),
                    stop: Arc::clone(&stop),
                    lines: Arc::clone(&lines),
                };
                connection += 1;
                let acceptor = acceptor.clone();
                thread::spawn(move || talk.over(stream, acceptor));
            }
        });
        server
    }

    /// What the client said.
    fn lines(&self) -> Vec<Line> {
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The commands of one connection.
    fn commands(&self, connection: usize) -> Vec<String> {
        let lines = self.lines();
        let of_it = lines.iter().filter(|line| line.connection == connection);
        of_it.map(|line| line.command().to_owned()).collect()
    }

    /// Runs the program against it.
    fn run(&self, tls: &str, arguments: &[&str]) -> Output {
        let home = Home::new();
        let ca = home.path().join("ca.pem");
        Ca::shared().write_to(&ca);
        let password = home.write_private("mailbox-password", INTEGRATION.password);
        home.write_config(&account(INTEGRATION, self.port, tls, &ca, &password));
        Program::new(env!("CARGO_BIN_EXE_fetch-token"))
            .at_home(&home)
            .env("RUST_LOG", "trace")
            .run(arguments)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// One connection.
struct Talk {
    connection: usize,
    greeting: &'static str,
    script: Arc<Script>,
    stop: Arc<AtomicBool>,
    lines: Arc<Mutex<Vec<Line>>>,
}

impl Talk {
    fn over(&self, stream: TcpStream, acceptor: Option<native_tls::TlsAcceptor>) {
        stream.set_nonblocking(false).expect("a stream that blocks");
        match acceptor {
            None => self.talk(&stream, &stream),
            Some(acceptor) => {
                stream
                    .set_read_timeout(Some(Duration::from_secs(10)))
                    .expect("a limit");
                if let Ok(secured) = acceptor.accept(stream) {
                    let tcp = secured.get_ref().try_clone().expect("a second handle");
                    self.talk(secured, &tcp);
                }
            }
        }
    }

    fn talk(&self, mut stream: impl Read + Write, tcp: &TcpStream) {
        tcp.set_read_timeout(Some(Duration::from_millis(20)))
            .expect("a limit");
        if stream.write_all(self.greeting.as_bytes()).is_err() {
            return;
        }
        let mut inbox = Vec::new();
        let mut chunk = [0; 4096];
        while !self.stop.load(Ordering::Relaxed) {
            match stream.read(&mut chunk) {
                Ok(0) => return,
                Ok(read) => inbox.extend_from_slice(&chunk[..read]),
                Err(error)
                    if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => return,
            }
            while let Some(end) = inbox.iter().position(|&octet| octet == b'\n') {
                let line: Vec<u8> = inbox.drain(..=end).collect();
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                let (tag, command) = text.split_once(' ').unwrap_or(("", &text));
                let answer = (self.script)(self.connection, command, tag);
                self.lines
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(Line {
                        connection: self.connection,
                        at: Instant::now(),
                        text: text.clone(),
                    });
                if stream.write_all(answer.as_bytes()).is_err() {
                    return;
                }
            }
        }
    }
}

const GREETING: &str = "* OK [CAPABILITY IMAP4rev1 SASL-IR IDLE WITHIN AUTH=PLAIN] ready\r\n";

/// How a sound server with ten old mails answers.
fn sound(command: &str, tag: &str) -> String {
    let word = command.split(' ').next().unwrap_or_default();
    match word {
        "AUTHENTICATE" => format!("{tag} OK [CAPABILITY IMAP4rev1 IDLE WITHIN] in\r\n"),
        "EXAMINE" => format!(
            "* 10 EXISTS\r\n* OK [UIDVALIDITY 7]\r\n* OK [UIDNEXT 100]\r\n{tag} OK [READ-ONLY]\r\n"
        ),
        "IDLE" => "+ idling\r\n".to_owned(),
        // Which tag IDLE had is the script's to know.
        "DONE" => String::new(),
        _ => format!("{tag} OK\r\n"),
    }
}

/// A sound server's answers, with the tag of IDLE kept for DONE.
fn remembering(
    script: impl Fn(usize, &str, &str) -> Option<String> + Send + Sync + 'static,
) -> impl Fn(usize, &str, &str) -> String + Send + Sync + 'static {
    let idle = Mutex::new(String::new());
    move |connection, command, tag| {
        let mut idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
        if command == "IDLE" {
            tag.clone_into(&mut idle);
        }
        let answer = script(connection, command, tag);
        if command == "DONE" {
            return format!("{} OK Idle completed\r\n", idle.as_str());
        }
        answer.unwrap_or_else(|| sound(command, tag))
    }
}

/// Nothing that only the mailbox's owner may see was said.
#[track_caller]
fn shows_no_secret(output: &Output) {
    for secret in [INTEGRATION.password, &sasl_response(), "SecretInAMail7"] {
        let transcript = output.transcript();
        assert!(
            !transcript.contains(secret),
            "{secret} is shown\n{transcript}"
        );
    }
}

/// The client said nothing that holds a password.
#[track_caller]
fn heard_no_secret(server: &Server) {
    for line in server.lines() {
        assert!(
            !line.text.contains(&sasl_response()) && !line.text.contains(INTEGRATION.password),
            "{line:?}"
        );
    }
}

#[test]
fn what_follows_starttls_in_clear_text_ends_the_connection() {
    for smuggled in ["* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello\r\n", "x"] {
        let server = Server::plain("* OK ready\r\n", move |_, _, tag| {
            format!("{tag} OK go ahead\r\n{smuggled}")
        });
        let output = server.run("starttls", &["--timeout", "2s"]).expect_code(4);
        assert!(
            output.stderr().contains("between STARTTLS and TLS"),
            "{}",
            output.transcript()
        );
        assert_eq!(server.commands(0), ["STARTTLS"]);
        heard_no_secret(&server);
    }
}

#[test]
fn a_server_that_greets_with_preauth_is_refused_before_tls_and_after() {
    let server = Server::plain("* PREAUTH welcome\r\n", |_, _, tag| format!("{tag} OK\r\n"));
    let output = server.run("starttls", &["--timeout", "2s"]).expect_code(4);
    assert!(
        output.stderr().contains("before TLS"),
        "{}",
        output.transcript()
    );
    assert!(server.lines().is_empty(), "{:?}", server.lines());

    let server = Server::tls("* PREAUTH welcome\r\n", |_, command, tag| {
        sound(command, tag)
    });
    let output = server.run("implicit", &["--timeout", "2s"]).expect_code(4);
    assert!(
        output.stderr().contains("logged in already"),
        "{}",
        output.transcript()
    );
    assert!(server.lines().is_empty(), "{:?}", server.lines());
}

#[test]
fn a_server_without_starttls_gets_no_password() {
    for answer in ["BAD unknown command", "NO not today", "PREAUTH"] {
        let server = Server::plain(GREETING, move |_, _, tag| format!("{tag} {answer}\r\n"));
        server.run("starttls", &["--timeout", "2s"]).expect_code(4);
        assert!(
            server
                .commands(0)
                .iter()
                .all(|command| command == "STARTTLS")
        );
        heard_no_secret(&server);
    }
}

#[test]
fn endless_talk_before_tls_ends_the_connection() {
    let server = Server::plain("* OK ready\r\n", |_, _, _| "x".repeat(1_000_000));
    let output = server.run("starttls", &["--timeout", "2s"]).expect_code(4);
    assert!(
        output.stderr().contains("without end"),
        "{}",
        output.transcript()
    );
    let server = Server::plain("* OK ready\r\n", |_, _, _| "* OK wait\r\n".repeat(100_000));
    let output = server.run("starttls", &["--timeout", "2s"]).expect_code(4);
    assert!(
        output.stderr().contains("before TLS"),
        "{}",
        output.transcript()
    );
}

#[test]
fn the_folder_is_searched_before_idle_and_after_and_the_log_shows_no_secret() {
    let mail = "From: a@b.example\r\nSubject: SecretInAMail7\r\n\r\nSecretInAMail7\r\n";
    let server = Server::tls(
        GREETING,
        remembering(move |_, command, tag| {
            Some(match command {
                // A mail comes while IDLE is set up the first time.
                "IDLE" if tag == "f4" => "* 11 EXISTS\r\n+ idling\r\n".to_owned(),
                command if command.starts_with("UID FETCH 100:*") => format!(
                    "* 11 FETCH (UID 100 RFC822.SIZE {0} INTERNALDATE \"24-Nov-2026 10:00:00 +0000\" BODY[]<0> {{{0}}}\r\n{mail})\r\n{tag} OK\r\n",
                    mail.len()
                ),
                _ => return None,
            })
        }),
    );
    let output = server
        .run("implicit", &["-vvv", "--timeout", "4s"])
        .expect_code(3);
    assert_eq!(
        server.commands(0),
        [
            "AUTHENTICATE",
            "EXAMINE \"INBOX\"",
            "UID SEARCH YOUNGER 600",
            "IDLE",
            "DONE",
            "UID FETCH 100:* (UID RFC822.SIZE INTERNALDATE BODY.PEEK[]<0.65536>)",
            "IDLE",
            "DONE",
            "LOGOUT",
        ]
    );
    shows_no_secret(&output);
}

#[test]
fn a_silent_idle_is_ended_by_a_search_after_20_s() {
    let server = Server::tls(GREETING, remembering(|_, _, _| None));
    server.run("implicit", &["--timeout", "23s"]).expect_code(3);
    let lines = server.lines();
    let at = |command: &str| {
        lines
            .iter()
            .find(|line| line.command() == command)
            .expect("the command")
            .at
    };
    let silence = at("UID FETCH 100:* (UID)") - at("IDLE");
    assert!((19..23).contains(&silence.as_secs()), "{silence:?}");
    let commands = server.commands(0);
    assert_eq!(
        commands[3..],
        [
            "IDLE",
            "DONE",
            "LIST \"\" \"*\"",
            "IDLE",
            "DONE",
            "UID FETCH 100:* (UID)",
            "IDLE",
            "DONE",
            "LOGOUT"
        ],
        "and it idles again, here and after the question for the junk folder"
    );
}

#[test]
fn a_server_that_refuses_idle_is_asked_every_5_s_on_the_same_connection() {
    let server = Server::tls(
        GREETING,
        remembering(|_, command, tag| {
            (command == "IDLE").then(|| format!("{tag} NO not here\r\n"))
        }),
    );
    server.run("implicit", &["--timeout", "12s"]).expect_code(3);
    let commands = server.commands(0);
    assert_eq!(
        commands.iter().filter(|command| *command == "IDLE").count(),
        1,
        "{commands:?}"
    );
    assert_eq!(
        commands
            .iter()
            .filter(|command| *command == "UID FETCH 100:* (UID)")
            .count(),
        2,
        "{commands:?}"
    );
    assert!(server.commands(1).is_empty());
}

#[test]
fn a_server_that_never_answers_idle_is_polled_after_connecting_again() {
    let server = Server::tls(
        GREETING,
        remembering(|_, command, _| (command == "IDLE").then(String::new)),
    );
    server.run("implicit", &["--timeout", "26s"]).expect_code(3);
    let commands = server.commands(1);
    assert!(
        !commands.iter().any(|command| command == "IDLE"),
        "{commands:?}"
    );
    assert!(
        commands
            .iter()
            .any(|command| command == "UID FETCH 100:* (UID)"),
        "{commands:?}"
    );
}

#[test]
fn a_mail_that_is_announced_and_not_there_is_looked_for_after_1_2_and_5_s() {
    let server = Server::tls(
        GREETING,
        remembering(|_, command, tag| {
            (command == "IDLE" && tag == "f4").then(|| "+ idling\r\n* 11 EXISTS\r\n".to_owned())
        }),
    );
    server.run("implicit", &["--timeout", "12s"]).expect_code(3);
    let searches: Vec<Instant> = server
        .lines()
        .iter()
        .filter(|line| line.command().starts_with("UID FETCH 100:*"))
        .map(|line| line.at)
        .collect();
    let pauses: Vec<u64> = searches
        .windows(2)
        .map(|two| (two[1] - two[0]).as_secs())
        .collect();
    assert_eq!(pauses, [1, 2, 5]);
}

#[test]
fn a_folder_that_was_renumbered_is_looked_back_over() {
    let cursor = |uid_validity, uid_next| {
        Cursor {
            account: INTEGRATION.name.to_owned(),
            folder: "INBOX".to_owned(),
            uid_validity,
            uid_next,
            taken: jiff::Timestamp::now() - jiff::SignedDuration::from_mins(30),
        }
        .to_string()
    };
    for (cursor, search) in [
        // Since the cursor was taken half an hour ago, and two minutes more: 1920 s, and those that the start took.
        (cursor(6, 100), Some("UID SEARCH YOUNGER 192")),
        (
            cursor(7, 90),
            Some(
                "UID FETCH 90:* (UID RFC822.SIZE INTERNALDATE BODY.PEEK[HEADER.FIELDS (FROM SUBJECT)]<0.4096>)",
            ),
        ),
        (cursor(7, 100), None),
    ] {
        let server = Server::tls(GREETING, remembering(|_, _, _| None));
        server
            .run("implicit", &["--timeout", "2s", "--from", &cursor])
            .expect_code(3);
        let mut expected = vec!["AUTHENTICATE", "EXAMINE \"INBOX\""];
        expected.extend(search);
        expected.push("IDLE");
        let commands = server.commands(0);
        assert!(
            commands
                .iter()
                .zip(&expected)
                .all(|(said, begin)| said.starts_with(begin))
                && commands.len() >= expected.len(),
            "{commands:?}"
        );
    }
}

#[test]
fn a_doubtful_refusal_is_final_when_said_twice_also_with_trouble_between() {
    let server = Server::tls(GREETING, |connection, _, tag| match connection {
        1 => "* BYE busy\r\n".to_owned(),
        _ => format!("{tag} NO LOGIN failed.\r\n"),
    });
    server.run("implicit", &["--timeout", "20s"]).expect_code(5);
    let logins = server
        .lines()
        .iter()
        .filter(|line| line.command() == "AUTHENTICATE")
        .count();
    assert_eq!(logins, 3, "two refusals and the one between");
}

#[test]
fn a_connection_that_ends_is_made_again_and_the_gap_is_searched() {
    let server = Server::tls(
        GREETING,
        remembering(|connection, command, tag| match (connection, command) {
            (0, "IDLE") => Some("+ idling\r\n* BYE see you\r\n".to_owned()),
            (1, "EXAMINE \"INBOX\"") => Some(format!(
                "* 11 EXISTS\r\n* OK [UIDVALIDITY 7]\r\n* OK [UIDNEXT 101]\r\n{tag} OK\r\n"
            )),
            _ => None,
        }),
    );
    server.run("implicit", &["--timeout", "5s"]).expect_code(3);
    let commands = server.commands(1);
    assert_eq!(
        commands[..4],
        [
            "AUTHENTICATE",
            "EXAMINE \"INBOX\"",
            "UID FETCH 100:* (UID RFC822.SIZE INTERNALDATE BODY.PEEK[HEADER.FIELDS (FROM SUBJECT)]<0.4096>)",
            "IDLE"
        ]
    );
}
