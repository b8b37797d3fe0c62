//! Values as JSON lines over a stream, bounded in length and in time.

use std::io;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, timeout, timeout_at};
use zeroize::{Zeroize as _, Zeroizing};

/// Longest line, in octets. The longest that is meant holds some header fields of a mail, of 1 KB each.
const LONGEST: usize = 64 * 1024;

/// How long the rest of a line may take, and how long the other side may leave a line unread: both are processes on
/// this machine.
const PATIENCE: Duration = Duration::from_secs(5);

/// How much is read at once, in octets.
const CHUNK: usize = 4096;

/// Reads values.
#[derive(Debug)]
pub(crate) struct Incoming<R> {
    stream: R,
    /// Wiped as it is read: a line may hold a verification code.
    buffer: Zeroizing<Vec<u8>>,
    /// When the rest of the line in the buffer must have come.
    until: Option<Instant>,
}

impl<R: AsyncRead + Unpin> Incoming<R> {
    pub(crate) fn new(stream: R) -> Self {
        Self {
            stream,
            buffer: Zeroizing::default(),
            until: None,
        }
    }

    /// The next value; `None` at the end of the stream. Dropping the future loses nothing.
    pub(crate) async fn next<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        loop {
            if let Some(end) = self.buffer.iter().position(|&octet| octet == b'\n') {
                let value = serde_json::from_slice(&self.buffer[..end]);
                self.buffer[..=end].zeroize();
                self.buffer.drain(..=end);
                self.until = None;
                return Ok(Some(value?));
            }
            if self.buffer.len() > LONGEST {
                return Err(io::Error::other("a line is too long"));
            }
            let mut chunk = Zeroizing::new([0; CHUNK]);
            let read = self.stream.read(chunk.as_mut_slice());
            let size = if self.buffer.is_empty() {
                read.await?
            } else {
                let until = *self.until.get_or_insert_with(|| Instant::now() + PATIENCE);
                timeout_at(until, read).await??
            };
            if size == 0 {
                return Ok(None);
            }
            self.buffer.extend_from_slice(&chunk[..size]);
        }
    }

    /// The same, where it must come at once.
    pub(crate) async fn soon<T: DeserializeOwned>(&mut self) -> io::Result<Option<T>> {
        timeout(PATIENCE, self.next()).await?
    }
}

/// Writes values.
#[derive(Debug)]
pub(crate) struct Outgoing<W>(W);

impl<W: AsyncWrite + Unpin> Outgoing<W> {
    pub(crate) fn new(stream: W) -> Self {
        Self(stream)
    }

    /// Writes one; an error where the other side does not read it.
    pub(crate) async fn send<T: Serialize>(&mut self, value: &T) -> io::Result<()> {
        let mut line = Zeroizing::new(serde_json::to_vec(value)?);
        line.push(b'\n');
        timeout(PATIENCE, async {
            self.0.write_all(&line).await?;
            self.0.flush().await
        })
        .await?
    }
}

#[cfg(test)]
mod tests {
    use super::{Incoming, LONGEST, Outgoing};
    use tokio::io::AsyncWriteExt as _;

    #[tokio::test]
    async fn values_come_whole_whatever_the_pieces() {
        let (mut ours, theirs) = tokio::io::duplex(64);
        let mut incoming = Incoming::new(theirs);
        let write = async {
            for piece in ["[1,", "2]\n[3]", "\n"] {
                ours.write_all(piece.as_bytes()).await.expect("write");
                tokio::task::yield_now().await;
            }
            drop(ours);
        };
        let read = async {
            let first: Option<Vec<u8>> = incoming.next().await.expect("read");
            let second: Option<Vec<u8>> = incoming.next().await.expect("read");
            let end: Option<Vec<u8>> = incoming.next().await.expect("read");
            (first, second, end)
        };
        let ((), read) = tokio::join!(write, read);
        assert_eq!(read, (Some(vec![1, 2]), Some(vec![3]), None));
    }

    #[tokio::test(start_paused = true)]
    async fn endless_lines_half_lines_and_garbage_are_errors_and_silence_is_none() {
        let (mut ours, theirs) = tokio::io::duplex(2 * LONGEST);
        let mut incoming = Incoming::new(theirs);
        ours.write_all(&vec![b'x'; LONGEST + 8192])
            .await
            .expect("write");
        incoming.next::<u8>().await.expect_err("too long");

        let (mut ours, theirs) = tokio::io::duplex(64);
        let mut incoming = Incoming::new(theirs);
        let hour = std::time::Duration::from_hours(1);
        let silent = tokio::time::timeout(hour, incoming.next::<u8>()).await;
        assert!(silent.is_err(), "silence is no error");
        ours.write_all(b"[1").await.expect("write");
        incoming
            .next::<u8>()
            .await
            .expect_err("the rest never comes");

        let (mut ours, theirs) = tokio::io::duplex(64);
        ours.write_all(b"hello\n").await.expect("write");
        Incoming::new(theirs)
            .next::<u8>()
            .await
            .expect_err("garbage");
    }

    #[tokio::test(start_paused = true)]
    async fn who_does_not_read_is_not_waited_for() {
        let (ours, _theirs) = tokio::io::duplex(16);
        let mut outgoing = Outgoing::new(ours);
        outgoing
            .send(&vec![7; 100])
            .await
            .expect_err("nobody reads");
    }
}
