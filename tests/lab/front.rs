//! A TLS listener before a real Dovecot that hides capabilities Dovecot cannot hide itself, and writes down what
//! went over the wire from the greeting on.

use super::ca::Identity;
use native_tls::{TlsAcceptor, TlsStream};
use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// One connection, in clear text.
#[derive(Clone, Debug, Default)]
pub struct Conversation {
    pub from_client: Vec<u8>,
    pub from_server: Vec<u8>,
    /// The same in the order in which it was said: what each said until the other spoke.
    pub turns: Vec<Turn>,
}

/// What one side said until the other spoke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    pub by_client: bool,
    pub words: String,
}

impl Conversation {
    fn say(&mut self, by_client: bool, octets: &[u8]) {
        let all = if by_client {
            &mut self.from_client
        } else {
            &mut self.from_server
        };
        all.extend_from_slice(octets);
        let words = String::from_utf8_lossy(octets);
        match self.turns.last_mut() {
            Some(turn) if turn.by_client == by_client => turn.words.push_str(&words),
            _ => self.turns.push(Turn {
                by_client,
                words: words.into_owned(),
            }),
        }
    }

    /// What the client said, line by line.
    pub fn client_lines(&self) -> Vec<String> {
        String::from_utf8_lossy(&self.from_client)
            .lines()
            .map(str::to_owned)
            .collect()
    }

    /// How many commands the client sent: its lines with a tag and a word, so neither DONE nor SASL responses.
    pub fn commands(&self) -> usize {
        self.client_lines()
            .iter()
            .filter(|line| line.contains(' '))
            .count()
    }
}

pub struct Front {
    port: u16,
    stop: Arc<AtomicBool>,
    conversations: Arc<Mutex<Vec<Conversation>>>,
    listener: Option<JoinHandle<()>>,
}

impl Front {
    /// Listens with implicit TLS as `identity`, and speaks plain text with Dovecot on `upstream_port`. The words
    /// in `hidden` (`"AUTH=PLAIN"`, `"IDLE"`) are taken out of every capability list.
    pub fn start(upstream_port: u16, identity: &Identity, hidden: &[&str]) -> Self {
        let acceptor = identity.acceptor();
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        listener
            .set_nonblocking(true)
            .expect("a listener that does not block");
        let port = listener.local_addr().expect("its port").port();
        let stop = Arc::new(AtomicBool::new(false));
        let conversations = Arc::new(Mutex::new(Vec::new()));
        let hidden: Vec<String> = hidden.iter().map(|word| (*word).to_owned()).collect();
        let shared = (Arc::clone(&stop), Arc::clone(&conversations));
        let listener = thread::spawn(move || {
            let (stop, conversations) = shared;
            let mut relays = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let Ok((client, _)) = listener.accept() else {
                    thread::sleep(Duration::from_millis(2));
                    continue;
                };
                let number = {
                    let mut all = conversations.lock().unwrap_or_else(PoisonError::into_inner);
                    all.push(Conversation::default());
                    all.len() - 1
                };
                let relay = Relay {
                    number,
                    conversations: Arc::clone(&conversations),
                    stop: Arc::clone(&stop),
                    hidden: hidden.clone(),
                };
                let acceptor = acceptor.clone();
                relays.push(thread::spawn(move || {
                    relay.run(&acceptor, client, upstream_port);
                }));
            }
            for relay in relays {
                let _ = relay.join();
            }
        });
        Self {
            port,
            stop,
            conversations,
            listener: Some(listener),
        }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Every connection so far, in the order they came.
    pub fn conversations(&self) -> Vec<Conversation> {
        self.conversations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
    }
}

struct Relay {
    number: usize,
    conversations: Arc<Mutex<Vec<Conversation>>>,
    stop: Arc<AtomicBool>,
    hidden: Vec<String>,
}

impl Relay {
    fn run(&self, acceptor: &TlsAcceptor, client: TcpStream, upstream_port: u16) {
        client.set_nonblocking(false).expect("a stream that blocks");
        let _ = client.set_nodelay(true);
        let limit = Some(Duration::from_secs(10));
        client.set_read_timeout(limit).expect("set a time limit");
        let Ok(client) = acceptor.accept(client) else {
            return;
        };
        let Ok(server) = TcpStream::connect(("127.0.0.1", upstream_port)) else {
            return;
        };
        let _ = server.set_nodelay(true);
        self.relay(client, server);
    }

    /// Both directions by turns: a TLS stream cannot be split between two threads.
    fn relay(&self, mut client: TlsStream<TcpStream>, mut server: TcpStream) {
        let turn = Some(Duration::from_millis(2));
        client
            .get_ref()
            .set_read_timeout(turn)
            .expect("set a time limit");
        server.set_read_timeout(turn).expect("set a time limit");
        let mut buffer = vec![0; 64 * 1024];
        let mut unfinished = Vec::new();
        while !self.stop.load(Ordering::Relaxed) {
            match client.read(&mut buffer) {
                Ok(0) => break,
                Ok(size) => {
                    self.record(|talk| talk.say(true, &buffer[..size]));
                    if server.write_all(&buffer[..size]).is_err() {
                        break;
                    }
                }
                Err(error) if is_pause(&error) => {}
                Err(_) => break,
            }
            match server.read(&mut buffer) {
                Ok(0) => {
                    let _ = client.shutdown();
                    break;
                }
                Ok(size) => {
                    unfinished.extend_from_slice(&buffer[..size]);
                    let whole = unfinished
                        .iter()
                        .rposition(|&byte| byte == b'\n')
                        .map_or(0, |place| place + 1);
                    let answer: Vec<u8> = unfinished
                        .drain(..whole)
                        .as_slice()
                        .split_inclusive(|&byte| byte == b'\n')
                        .flat_map(|line| self.edited(line))
                        .collect();
                    if !answer.is_empty() {
                        self.record(|talk| talk.say(false, &answer));
                    }
                    if client.write_all(&answer).is_err() {
                        break;
                    }
                }
                Err(error) if is_pause(&error) => {}
                Err(_) => break,
            }
        }
    }

    fn record(&self, write: impl FnOnce(&mut Conversation)) {
        let mut all = self
            .conversations
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        write(&mut all[self.number]);
    }

    /// The line without the hidden capabilities, if it is one that lists capabilities.
    fn edited(&self, line: &[u8]) -> Vec<u8> {
        let Ok(text) = std::str::from_utf8(line) else {
            return line.to_vec();
        };
        if !text.starts_with("* CAPABILITY ") && !text.contains("[CAPABILITY ") {
            return line.to_vec();
        }
        let mut text = text.to_owned();
        for word in &self.hidden {
            for (end, kept) in [(" ", " "), ("]", "]"), ("\r\n", "\r\n")] {
                text = text.replace(&format!(" {word}{end}"), kept);
            }
        }
        text.into_bytes()
    }
}

fn is_pause(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
    )
}
