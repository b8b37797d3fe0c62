//! A mail server that never behaves: each connection meets another misbehaviour, and the login succeeds where there
//! is one.

use super::ca::Ca;
use native_tls::{Identity, TlsAcceptor};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

const GREETING: &[u8] = b"* OK [CAPABILITY IMAP4rev1 SASL-IR IDLE WITHIN AUTH=PLAIN] ready\r\n";

/// How a connection is met.
#[derive(Clone, Copy, Debug)]
enum Manner {
    /// Octets that are no IMAP, for ever.
    Garbage,
    /// A greeting that never ends.
    EndlessLine,
    /// After the login, announcements without end.
    Flood,
    /// After the login, a literal of 4 GiB.
    LyingLiteral,
    /// Mails that nobody asked for, again and again.
    Unasked,
    /// A greeting at an octet a second.
    Dripping,
    /// NUL, and CR without LF.
    Control,
    /// Says that no login is needed.
    Preauth,
    /// Hangs up.
    Nothing,
}

const MANNERS: [Manner; 9] = [
    Manner::Flood,
    Manner::Garbage,
    Manner::LyingLiteral,
    Manner::EndlessLine,
    Manner::Unasked,
    Manner::Control,
    Manner::Preauth,
    Manner::Nothing,
    Manner::Dripping,
];

/// The server; its threads end soon after it is dropped.
pub struct Hostile {
    port: u16,
    connections: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

impl Hostile {
    /// Listens with implicit TLS and a good certificate.
    pub fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        let server = Self {
            port: listener.local_addr().expect("its address").port(),
            connections: Arc::default(),
            stop: Arc::default(),
        };
        let acceptor = Ca::shared().localhost.acceptor();
        let (connections, stop) = (Arc::clone(&server.connections), Arc::clone(&server.stop));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let number = connections.fetch_add(1, Ordering::Relaxed);
                let (acceptor, stop) = (acceptor.clone(), Arc::clone(&stop));
                thread::spawn(move || {
                    let limit = Some(Duration::from_secs(5));
                    stream.set_read_timeout(limit).expect("a limit");
                    stream.set_write_timeout(limit).expect("a limit");
                    if let Ok(stream) = acceptor.accept(stream) {
                        // That the client hangs up is what is wanted.
                        let _ = meet(MANNERS[number % MANNERS.len()], stream, &stop);
                    }
                });
            }
        });
        server
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// How many connections it met so far.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // Wakes the listener.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

fn meet(manner: Manner, mut stream: impl Read + Write, stop: &AtomicBool) -> std::io::Result<()> {
    let endlessly = |stream: &mut dyn Write, octets: &[u8], pause: Duration| {
        while !stop.load(Ordering::Relaxed) {
            stream.write_all(octets)?;
            thread::sleep(pause);
        }
        Ok(())
    };
    let at_once = Duration::ZERO;
    match manner {
        Manner::Nothing => Ok(()),
        Manner::Garbage => endlessly(
            &mut stream,
            &[0xff, 0x0d, 0x80, b'{'].repeat(1_000),
            at_once,
        ),
        Manner::EndlessLine => {
            stream.write_all(b"* OK ")?;
            endlessly(&mut stream, &[b'x'; 4_000], at_once)
        }
        Manner::Dripping => endlessly(&mut stream, b"*", Duration::from_secs(1)),
        Manner::Preauth => stream.write_all(b"* PREAUTH welcome, whoever you are\r\n"),
        Manner::Control => stream.write_all(b"* OK \0 ready\r* BYE\r\n\0\0"),
        Manner::Flood => {
            opened(&mut stream)?;
            endlessly(&mut stream, &b"* 1000000 EXISTS\r\n".repeat(200), at_once)
        }
        Manner::LyingLiteral => {
            opened(&mut stream)?;
            stream.write_all(b"* 1 FETCH (UID 1 BODY[] {4294967295}\r\nFrom: x\r\n")?;
            endlessly(&mut stream, &[b'y'; 4_000], at_once)
        }
        Manner::Unasked => {
            opened(&mut stream)?;
            let mail = b"* 1 FETCH (UID 77 BODY[] {5}\r\nhello)\r\n".repeat(50);
            endlessly(&mut stream, &mail, at_once)
        }
    }
}

/// Answers until the folder was opened.
fn opened(stream: &mut (impl Read + Write)) -> std::io::Result<()> {
    stream.write_all(GREETING)?;
    let mut line = Vec::new();
    let mut octet = [0];
    loop {
        stream.read_exact(&mut octet)?;
        line.push(octet[0]);
        if octet[0] != b'\n' {
            continue;
        }
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        line.clear();
        let (tag, command) = text.split_once(' ').unwrap_or_default();
        let is_opening = command.starts_with("EXAMINE");
        if is_opening {
            stream.write_all(b"* 1 EXISTS\r\n* OK [UIDVALIDITY 7]\r\n* OK [UIDNEXT 2]\r\n")?;
        }
        stream.write_all(format!("{tag} OK done\r\n").as_bytes())?;
        if is_opening {
            return Ok(());
        }
    }
}
