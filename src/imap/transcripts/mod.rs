//! What is said on the wire, line by line, against a server that sticks to a script.
//!
//! The clock stands still and jumps to the next limit when both sides wait, so a wait of minutes costs nothing and
//! a hang fails. Rows are those of the table of what the IMAP library does, which the modules name where they
//! answer it.

mod answers;
mod bearer;
mod fetch;
mod garbage;
mod greeting;
mod idle;
mod lapse;
mod limits;
mod login;
mod look_back;
mod polling;
mod servers;
mod watch;
mod world;

use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream, ReadBuf,
};
use tokio::join;
use tokio::time::{Instant, timeout};

use super::error::Error;
use super::session::Session;

/// What a mail is fetched with.
const WHOLE: &str = "(UID RFC822.SIZE INTERNALDATE BODY.PEEK[]<0.65536>)";

/// No step of a script takes this long: every limit of the client is shorter.
const STEP: Duration = Duration::from_hours(1);

/// A greeting that spares the question for capabilities.
const GREETING: &str = "* OK [CAPABILITY IMAP4rev1 SASL-IR IDLE WITHIN AUTH=PLAIN] ready\r\n";

/// A token in a mail; no error may show it.
const TOKEN: &str = "Qx7TokenInTheMailThatNobodySees";

/// The other end of a session's wire.
struct Server {
    wire: DuplexStream,
    inbox: Vec<u8>,
    seen: Arc<Mutex<Seen>>,
}

/// What the client did to its end.
#[derive(Debug, Default)]
struct Seen {
    /// Each write, as it was made.
    writes: Vec<Vec<u8>>,
    /// Octets the client read.
    read: usize,
}

/// The client's end, which notes what happens to it.
#[derive(Debug)]
struct Tap {
    wire: DuplexStream,
    seen: Arc<Mutex<Seen>>,
}

impl Tap {
    fn note(&self, note: impl FnOnce(&mut Seen)) {
        note(&mut self.seen.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

impl AsyncRead for Tap {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let this = self.get_mut();
        let before = out.filled().len();
        ready!(Pin::new(&mut this.wire).poll_read(cx, out))?;
        this.note(|seen| seen.read += out.filled().len() - before);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tap {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let this = self.get_mut();
        let written = ready!(Pin::new(&mut this.wire).poll_write(cx, octets))?;
        this.note(|seen| seen.writes.push(octets[..written].to_vec()));
        Poll::Ready(Ok(written))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().wire).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.get_mut().wire).poll_shutdown(cx)
    }
}

/// Both ends of a wire.
fn wire() -> (Tap, Server) {
    let (client, server) = tokio::io::duplex(64 * 1024);
    let seen = Arc::new(Mutex::new(Seen::default()));
    let tap = Tap {
        wire: client,
        seen: Arc::clone(&seen),
    };
    let server = Server {
        wire: server,
        inbox: Vec::new(),
        seen,
    };
    (tap, server)
}

impl Server {
    /// Sends these octets. That nobody listens any more is the client's verdict, which the test looks at.
    async fn send(&mut self, octets: impl AsRef<[u8]>) {
        let _ = timeout(STEP, self.wire.write_all(octets.as_ref()))
            .await
            .expect("the client does not read");
    }

    /// Reads the client's next line.
    async fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.inbox.iter().position(|&octet| octet == b'\n') {
                let line: Vec<u8> = self.inbox.drain(..=end).collect();
                let line = String::from_utf8(line).expect("UTF-8");
                return line.strip_suffix("\r\n").expect("CRLF").to_owned();
            }
            let read = timeout(STEP, self.wire.read_buf(&mut self.inbox))
                .await
                .expect("the client says nothing");
            assert!(read.is_ok_and(|n| n > 0), "the client hung up");
        }
    }

    /// The client's next line is this one.
    #[track_caller]
    fn receive(&mut self, expected: &str) -> impl Future<Output = ()> {
        let place = std::panic::Location::caller();
        async move {
            let line = self.line().await;
            assert_eq!(line, expected, "the line received at {place}");
        }
    }

    /// Ends the connection after what was sent.
    async fn hang_up(&mut self) {
        let _ = self.wire.shutdown().await;
    }

    /// The client's writes so far, as they were made.
    fn writes(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.writes
            .iter()
            .map(|octets| String::from_utf8_lossy(octets).into_owned())
            .collect()
    }

    /// Octets the client took off the wire.
    fn octets_read(&self) -> usize {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.read
    }
}

/// A session after `greeting`.
async fn greeted(greeting: &str) -> (Session<Tap>, Server) {
    let (tap, mut server) = wire();
    let (session, ()) = join!(Session::greeted(tap), server.send(greeting));
    (session.expect("a greeting"), server)
}

/// A session with INBOX open: so many mails, UIDVALIDITY 7, UIDNEXT 100. The next command has the tag f2.
async fn in_inbox(exists: u32) -> (Session<Tap>, Server) {
    in_inbox_after(GREETING, exists).await
}

async fn in_inbox_after(greeting: &str, exists: u32) -> (Session<Tap>, Server) {
    let (mut session, mut server) = greeted(greeting).await;
    let (opened, ()) = join!(session.examine("INBOX"), async {
        server.receive("f1 EXAMINE \"INBOX\"").await;
        server
            .send(format!(
                "* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft)\r\n\
                 * OK [PERMANENTFLAGS ()] Read-only mailbox.\r\n\
                 * {exists} EXISTS\r\n* 0 RECENT\r\n\
                 * OK [UIDVALIDITY 7] UIDs valid\r\n* OK [UIDNEXT 100] Predicted next UID\r\n\
                 f1 OK [READ-ONLY] Examine completed.\r\n"
            ))
            .await;
    });
    opened.expect("an open folder");
    (session, server)
}

/// Every mail is worth fetching.
fn any(_: &[u8]) -> bool {
    true
}

/// A FETCH response with a whole mail, or the first octets of one that has `size`.
fn mail(number: u32, uid: u32, size: usize, octets: &[u8]) -> Vec<u8> {
    fetched(
        number,
        &format!(
            "UID {uid} RFC822.SIZE {size} INTERNALDATE \"24-Nov-2026 10:00:00 +0000\" BODY[]<0>"
        ),
        octets,
    )
}

/// A FETCH response with the two header fields.
fn header(number: u32, uid: u32, octets: &[u8]) -> Vec<u8> {
    fetched(
        number,
        &format!(
            "UID {uid} RFC822.SIZE 5000 INTERNALDATE \"24-Nov-2026 10:00:00 +0000\" \
             BODY[HEADER.FIELDS (FROM SUBJECT)]<0>"
        ),
        octets,
    )
}

/// A FETCH response whose last attribute is a literal.
fn fetched(number: u32, attributes: &str, octets: &[u8]) -> Vec<u8> {
    let mut response =
        format!("* {number} FETCH ({attributes} {{{}}}\r\n", octets.len()).into_bytes();
    response.extend_from_slice(octets);
    response.extend_from_slice(b")\r\n");
    response
}

/// The command that lists sizes, dates and header fields of a set of UIDs.
fn list(tag: &str, uids: &str) -> String {
    format!(
        "{tag} UID FETCH {uids} (UID RFC822.SIZE INTERNALDATE BODY.PEEK[HEADER.FIELDS (FROM SUBJECT)]<0.4096>)"
    )
}

/// The UIDs of messages.
fn uids(messages: &[super::Message]) -> Vec<u32> {
    messages.iter().map(|message| message.uid).collect()
}

/// The error, which must not show the token however it is printed.
#[track_caller]
fn error_of<T: std::fmt::Debug>(result: Result<T, Error>) -> Error {
    let error = result.expect_err("an error");
    let mut shown = format!("{error} {error:?} {error:#?}");
    let mut source = std::error::Error::source(&error);
    while let Some(inner) = source {
        let _ = write!(shown, "{inner} {inner:?}");
        source = inner.source();
    }
    assert!(!shown.contains(TOKEN), "the error shows the mail: {shown}");
    assert!(shown.len() < 2000, "the error is too long: {shown}");
    error
}

/// Seconds of the standing clock since `start`.
fn seconds_since(start: Instant) -> u64 {
    start.elapsed().as_secs()
}
