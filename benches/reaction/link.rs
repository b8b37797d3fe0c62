//! The line between one mailbox and whoever watches it: a TLS front before the server that writes down who said what,
//! and when, and can be as long as a line to a server far away.

use std::net::TcpListener;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, duplex, split,
};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_native_tls::TlsAcceptor;

use crate::lab::Identity;

/// Much more than a mail, so that a long line holds nobody up.
const BUFFER: usize = 256 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}

/// What one side said in one go, in clear.
#[derive(Debug)]
struct Piece {
    at: Instant,
    connection: usize,
    by: Side,
    octets: Vec<u8>,
}

/// How a mail was fetched.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fetched {
    /// When the server announced it, where it did on the connection by which it was fetched.
    pub(crate) announced: Option<Instant>,
    /// How often the client asked and had to wait for an answer until the token was on its way: from the announcement,
    /// else from the greeting on.
    pub(crate) round_trips: usize,
    /// What both sides said in that time, in clear.
    pub(crate) octets: usize,
}

/// The line. It ends with the process.
pub(crate) struct Link {
    port: u16,
    record: Arc<Record>,
}

#[derive(Default)]
struct Record(Mutex<Pieces>);

#[derive(Default)]
struct Pieces {
    connections: usize,
    said: Vec<Piece>,
}

impl Link {
    /// Begins to listen on loopback with implicit TLS as `identity`, before a server that speaks plain text on
    /// `upstream`. Each octet is on its way for `delay`; TCP itself connects at once.
    pub(crate) fn before(upstream: u16, identity: &Identity, delay: Duration) -> Self {
        let acceptor = TlsAcceptor::from(identity.acceptor());
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        listener
            .set_nonblocking(true)
            .expect("a listener that does not block");
        let port = listener.local_addr().expect("its port").port();
        let record = Arc::new(Record::default());
        let ours = Arc::clone(&record);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        thread::spawn(move || {
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
                while let Ok((client, _)) = listener.accept().await {
                    let (acceptor, record) = (acceptor.clone(), Arc::clone(&ours));
                    tokio::spawn(async move {
                        // Who hangs up in the middle of a handshake is nobody's concern.
                        let _ = carry(client, upstream, &acceptor, delay, &record).await;
                    });
                }
            });
        });
        Self { port, record }
    }

    /// Where the client is to connect.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Whether the client waits for news: the server's last words are these.
    pub(crate) fn rests_after(&self, words: &str) -> bool {
        let pieces = self.record.pieces();
        pieces.said.last().is_some_and(|piece| {
            piece.by == Side::Server
                && String::from_utf8_lossy(&piece.octets)
                    .lines()
                    .last()
                    .is_some_and(|line| line.starts_with(words))
        })
    }

    /// Everything that was said since [`Self::forget`], for a message about what went wrong.
    pub(crate) fn transcript(&self) -> String {
        let pieces = self.record.pieces();
        let lines = pieces.said.iter().map(|piece| {
            let Piece { connection, by, .. } = piece;
            let words = String::from_utf8_lossy(&piece.octets);
            format!("{connection} {by:?}: {}", words.escape_debug())
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    /// Forgets what was said so far.
    pub(crate) fn forget(&self) {
        self.record.pieces().said.clear();
    }

    /// How the mail with this token was fetched; `None` where it was not.
    pub(crate) fn fetched(&self, token: &str) -> Option<Fetched> {
        let pieces = self.record.pieces();
        (0..pieces.connections).find_map(|connection| {
            let said = pieces.said.iter();
            let said: Vec<_> = said
                .filter(|piece| piece.connection == connection)
                .collect();
            fetched(&said, token)
        })
    }
}

/// Looks at one connection.
fn fetched(said: &[&Piece], token: &str) -> Option<Fetched> {
    let mut heard = String::new();
    let there = said.iter().position(|piece| {
        if piece.by == Side::Server {
            heard.push_str(&String::from_utf8_lossy(&piece.octets));
        }
        heard.contains(token)
    })?;
    // A client that reconnects hears `EXISTS` as an answer; what an idling one hears comes first.
    let announcement = said.iter().position(|piece| {
        piece.by == Side::Server && String::from_utf8_lossy(&piece.octets).contains(" EXISTS\r\n")
    });
    let is_announced = announcement.is_some_and(|place| {
        place <= there && !said[..place].iter().any(|piece| piece.by == Side::Client)
    });
    let from = announcement.filter(|_| is_announced);
    let counted = &said[from.unwrap_or(0)..=there];
    let answers = counted
        .windows(2)
        .filter(|pair| pair[0].by == Side::Client && pair[1].by == Side::Server);
    Some(Fetched {
        announced: from.map(|place| said[place].at),
        round_trips: answers.count(),
        octets: counted.iter().map(|piece| piece.octets.len()).sum(),
    })
}

impl Record {
    fn pieces(&self) -> MutexGuard<'_, Pieces> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self) -> usize {
        let mut pieces = self.pieces();
        pieces.connections += 1;
        pieces.connections - 1
    }

    fn note(&self, connection: usize, by: Side, octets: &[u8]) {
        let at = Instant::now();
        self.pieces().said.push(Piece {
            at,
            connection,
            by,
            octets: octets.to_vec(),
        });
    }
}

async fn carry(
    client: TcpStream,
    upstream: u16,
    acceptor: &TlsAcceptor,
    delay: Duration,
    record: &Record,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    client.set_nodelay(true)?;
    let server = TcpStream::connect(("127.0.0.1", upstream)).await?;
    server.set_nodelay(true)?;
    let connection = record.begin();
    if delay.is_zero() {
        relay(acceptor.accept(client).await?, server, connection, record).await;
    } else {
        let client = acceptor.accept(far_away(client, delay)).await?;
        relay(client, server, connection, record).await;
    }
    Ok(())
}

/// Until one side hangs up.
async fn relay(
    client: impl AsyncRead + AsyncWrite,
    server: TcpStream,
    connection: usize,
    record: &Record,
) {
    let (from_client, to_client) = split(client);
    let (from_server, to_server) = server.into_split();
    let note = |by| move |octets: &[u8]| record.note(connection, by, octets);
    tokio::select! {
        () = pass(from_client, to_server, note(Side::Client)) => {}
        () = pass(from_server, to_client, note(Side::Server)) => {}
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    note: impl Fn(&[u8]),
) {
    let mut buffer = vec![0; BUFFER];
    while let Ok(size @ 1..) = from.read(&mut buffer).await {
        note(&buffer[..size]);
        if to.write_all(&buffer[..size]).await.is_err() || to.flush().await.is_err() {
            return;
        }
    }
}

/// The other end of a long line to this client.
fn far_away(client: TcpStream, delay: Duration) -> DuplexStream {
    let (ours, theirs) = duplex(BUFFER);
    let (from_client, to_client) = client.into_split();
    let (from_us, to_us) = split(theirs);
    tokio::spawn(hold(from_client, to_us, delay));
    tokio::spawn(hold(from_us, to_client, delay));
    ours
}

/// Passes octets on in their order, each so much later; as many as there are may be on their way.
async fn hold(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, delay: Duration) {
    let (put, mut on_their_way) = mpsc::unbounded_channel();
    let take = async move {
        let mut buffer = vec![0; BUFFER];
        while let Ok(size @ 1..) = from.read(&mut buffer).await {
            let due = tokio::time::Instant::now() + delay;
            if put.send((due, buffer[..size].to_vec())).is_err() {
                return;
            }
        }
    };
    let give = async move {
        while let Some((due, octets)) = on_their_way.recv().await {
            tokio::time::sleep_until(due).await;
            if to.write_all(&octets).await.is_err() || to.flush().await.is_err() {
                return;
            }
        }
        let _ = to.shutdown().await;
    };
    tokio::join!(take, give);
}
