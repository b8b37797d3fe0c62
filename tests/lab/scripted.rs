//! A mail server that sticks to a script: for what no real one does.

use super::ca::{Ca, Identity};
use super::command::{Output, Program};
use super::dovecot::{INTEGRATION, account};
use super::home::Home;
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// What the server sends.
#[derive(Clone, Debug)]
pub enum Say {
    /// These octets; none is silence.
    Once(Vec<u8>),
    /// These, and then it hangs up.
    Last(Vec<u8>),
    /// The first once, then the second over and over, as fast as the client takes it.
    Endlessly(Vec<u8>, Vec<u8>),
    /// The first once, then the second over and over, one octet a second.
    Slowly(Vec<u8>, Vec<u8>),
}

impl From<&str> for Say {
    fn from(text: &str) -> Self {
        Self::Once(text.into())
    }
}

impl From<String> for Say {
    fn from(text: String) -> Self {
        Self::Once(text.into())
    }
}

/// When the server speaks TLS, and as who.
#[derive(Clone, Copy)]
pub enum Security {
    /// Never: after it has said OK to STARTTLS it says nothing more.
    Plain,
    /// From the first octet on.
    Implicit(&'static Identity),
    /// After it has answered STARTTLS with one line that says OK.
    StartTls(&'static Identity),
    /// It accepts the connection and then says nothing.
    Mute,
}

/// A line that the client sent.
#[derive(Clone, Debug)]
pub struct Line {
    pub connection: usize,
    pub at: Instant,
    pub text: String,
    /// It came through TLS.
    pub is_secured: bool,
}

impl Line {
    /// The line without its tag, and without what the login says.
    pub fn command(&self) -> &str {
        match self.text.split_once(' ') {
            Some((_, "STARTTLS")) => "STARTTLS",
            Some((_, command)) if command.starts_with("AUTHENTICATE") => "AUTHENTICATE",
            Some((_, command)) => command,
            None => &self.text,
        }
    }
}

/// A server that greets, and answers each line by its script: connection, line without its tag, tag → answer.
pub struct Scripted {
    port: u16,
    stop: Arc<AtomicBool>,
    connections: Arc<AtomicUsize>,
    lines: Arc<Mutex<Vec<Line>>>,
}

type Script = dyn Fn(usize, &str, &str) -> Say + Send + Sync;

impl Scripted {
    /// Speaks without TLS.
    pub fn plain<S: Into<Say>>(
        greeting: impl Into<Say>,
        script: impl Fn(usize, &str, &str) -> S + Send + Sync + 'static,
    ) -> Self {
        Self::start(Security::Plain, greeting, script)
    }

    /// Speaks with implicit TLS.
    pub fn tls<S: Into<Say>>(
        greeting: impl Into<Say>,
        script: impl Fn(usize, &str, &str) -> S + Send + Sync + 'static,
    ) -> Self {
        Self::start(
            Security::Implicit(&Ca::shared().localhost),
            greeting,
            script,
        )
    }

    pub fn start<S: Into<Say>>(
        security: Security,
        greeting: impl Into<Say>,
        script: impl Fn(usize, &str, &str) -> S + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let server = Self {
            port: listener.local_addr().expect("its address").port(),
            stop: Arc::default(),
            connections: Arc::default(),
            lines: Arc::default(),
        };
        let greeting = greeting.into();
        let script: Arc<Script> =
            Arc::new(move |connection, line, tag| script(connection, line, tag).into());
        let (stop, connections) = (Arc::clone(&server.stop), Arc::clone(&server.connections));
        let lines = Arc::clone(&server.lines);
        thread::spawn(move || {
            for stream in listener.incoming() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let talk = Talk {
                    connection: connections.fetch_add(1, Ordering::Relaxed),
                    greeting: greeting.clone(),
                    script: Arc::clone(&script),
                    stop: Arc::clone(&stop),
                    lines: Arc::clone(&lines),
                };
                if let Ok(stream) = stream {
                    thread::spawn(move || talk.over(stream, security));
                }
            }
        });
        server
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// How often the client connected.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }

    /// What the client said.
    pub fn lines(&self) -> Vec<Line> {
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The commands of one connection.
    pub fn commands(&self, connection: usize) -> Vec<String> {
        let lines = self.lines();
        let of_it = lines.iter().filter(|line| line.connection == connection);
        of_it.map(|line| line.command().to_owned()).collect()
    }

    /// Runs the program against it.
    pub fn run(&self, tls: &str, arguments: &[&str]) -> Output {
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

impl Drop for Scripted {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the listener.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

/// How a conversation came to its end.
#[derive(PartialEq, Eq)]
enum End {
    Over,
    StartTls,
}

/// One connection.
struct Talk {
    connection: usize,
    greeting: Say,
    script: Arc<Script>,
    stop: Arc<AtomicBool>,
    lines: Arc<Mutex<Vec<Line>>>,
}

/// How often a conversation looks whether it is to stop.
const LOOK: Duration = Duration::from_millis(100);

impl Talk {
    fn over(&self, stream: TcpStream, security: Security) {
        let _ = stream.set_nodelay(true);
        match security {
            Security::Plain => {
                if self.talk(&stream, &stream, Some(&self.greeting), false) == End::StartTls {
                    self.be_mute(&stream);
                }
            }
            Security::Mute => self.be_mute(&stream),
            Security::Implicit(identity) => {
                self.secured(stream, identity, Some(&self.greeting));
            }
            Security::StartTls(identity) => {
                if self.talk(&stream, &stream, Some(&self.greeting), false) == End::StartTls {
                    self.secured(stream, identity, None);
                }
            }
        }
    }

    fn secured(&self, stream: TcpStream, identity: &Identity, greeting: Option<&Say>) {
        let acceptor = identity.acceptor();
        let limit = Some(Duration::from_secs(10));
        stream.set_read_timeout(limit).expect("a limit");
        if let Ok(secured) = acceptor.accept(stream) {
            let tcp = secured.get_ref().try_clone().expect("a second handle");
            self.talk(secured, &tcp, greeting, true);
        }
    }

    fn talk(
        &self,
        mut stream: impl Read + Write,
        tcp: &TcpStream,
        greeting: Option<&Say>,
        is_secured: bool,
    ) -> End {
        tcp.set_read_timeout(Some(LOOK)).expect("a limit");
        tcp.set_write_timeout(Some(LOOK)).expect("a limit");
        if greeting.is_some_and(|greeting| !self.say(&mut stream, greeting)) {
            return End::Over;
        }
        let mut inbox = Vec::new();
        let mut chunk = [0; 4096];
        while !self.stop.load(Ordering::Relaxed) {
            match stream.read(&mut chunk) {
                Ok(0) => break,
                Ok(read) => inbox.extend_from_slice(&chunk[..read]),
                Err(error) if is_pause(&error) => {}
                Err(_) => break,
            }
            while let Some(end) = inbox.iter().position(|&octet| octet == b'\n') {
                let line: Vec<u8> = inbox.drain(..=end).collect();
                let text = String::from_utf8_lossy(&line).trim_end().to_owned();
                let (tag, command) = text.split_once(' ').unwrap_or(("", &text));
                let answer = (self.script)(self.connection, command, tag);
                let begins_tls = !is_secured && command == "STARTTLS" && is_one_ok(&answer, tag);
                self.note(&text, is_secured);
                if !self.say(&mut stream, &answer) {
                    return End::Over;
                }
                if begins_tls {
                    return End::StartTls;
                }
            }
        }
        End::Over
    }

    fn note(&self, text: &str, is_secured: bool) {
        let line = Line {
            connection: self.connection,
            at: Instant::now(),
            text: text.to_owned(),
            is_secured,
        };
        self.lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
    }

    /// Sends; says whether the conversation goes on.
    fn say(&self, stream: &mut impl Write, what: &Say) -> bool {
        match what {
            Say::Once(octets) => self.send(stream, octets),
            Say::Last(octets) => {
                self.send(stream, octets);
                false
            }
            Say::Endlessly(first, octets) => {
                let block = octets.repeat((64 * 1024_usize).div_ceil(octets.len()));
                let mut goes_on = self.send(stream, first);
                while goes_on {
                    goes_on = self.send(stream, &block);
                }
                false
            }
            Say::Slowly(first, octets) => {
                let mut goes_on = self.send(stream, first);
                let mut rest = octets.iter().cycle();
                while goes_on && let Some(&octet) = rest.next() {
                    thread::sleep(Duration::from_secs(1));
                    goes_on = self.send(stream, &[octet]);
                }
                false
            }
        }
    }

    fn send(&self, stream: &mut impl Write, octets: &[u8]) -> bool {
        let mut rest = octets;
        while !rest.is_empty() {
            match stream.write(rest) {
                Ok(0) => return false,
                Ok(written) => rest = &rest[written..],
                Err(error) if is_pause(&error) && !self.stop.load(Ordering::Relaxed) => {}
                Err(_) => return false,
            }
        }
        !self.stop.load(Ordering::Relaxed) && stream.flush().is_ok()
    }

    /// Says nothing until the client hangs up.
    fn be_mute(&self, stream: &TcpStream) {
        while !self.is_over(&mut &*stream) {
            thread::sleep(LOOK);
        }
    }

    /// Nobody wants to hear more.
    fn is_over(&self, stream: &mut &TcpStream) -> bool {
        let mut chunk = [0; 4096];
        let _ = stream.set_read_timeout(Some(LOOK));
        match stream.read(&mut chunk) {
            Ok(0) => true,
            Ok(_) => self.stop.load(Ordering::Relaxed),
            Err(error) => !is_pause(&error) || self.stop.load(Ordering::Relaxed),
        }
    }
}

fn is_one_ok(answer: &Say, tag: &str) -> bool {
    let Say::Once(octets) = answer else {
        return false;
    };
    let text = String::from_utf8_lossy(octets);
    text.starts_with(&format!("{tag} OK")) && text.find('\n') == Some(text.len() - 1)
}

fn is_pause(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}

/// What most scripted servers greet with.
pub const GREETING: &str = "* OK [CAPABILITY IMAP4rev1 SASL-IR IDLE WITHIN AUTH=PLAIN] ready\r\n";

/// How a sound server with ten old mails answers.
pub fn sound(command: &str, tag: &str) -> String {
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

/// A sound server's answers where the script has none, with the tag of IDLE kept for DONE.
pub fn remembering<S: Into<Say>>(
    script: impl Fn(usize, &str, &str) -> Option<S> + Send + Sync + 'static,
) -> impl Fn(usize, &str, &str) -> Say + Send + Sync + 'static {
    let idle = Mutex::new(String::new());
    move |connection, command, tag| {
        let mut idle = idle.lock().unwrap_or_else(PoisonError::into_inner);
        if command == "IDLE" {
            tag.clone_into(&mut idle);
        }
        let answer = script(connection, command, tag);
        if command == "DONE" {
            return format!("{} OK Idle completed\r\n", idle.as_str()).into();
        }
        answer.map_or_else(|| sound(command, tag).into(), Into::into)
    }
}

/// The script of a server that says nothing after its greeting.
pub fn silent(_: usize, _: &str, _: &str) -> &'static str {
    ""
}
