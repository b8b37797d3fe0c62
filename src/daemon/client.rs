//! The client's side of the socket.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncWrite, ReadHalf, WriteHalf, split};
use tokio::time::timeout;

use super::lines::{Incoming, Outgoing};
use super::protocol::{
    Answer, Configuration, Greeting, Opening, Prompt, Request, VERSION, mismatch,
};
use super::socket;

/// How long the daemon may take to greet where nobody else knows the answer. It does nothing else first, unless it
/// hangs; but on a busy machine a sound one may take longer than a second.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Why the daemon cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Its socket cannot be used.
    #[error(transparent)]
    Socket(#[from] socket::Error),
    /// It is of another version.
    #[error("{0}")]
    Version(String),
    /// It does not answer as it should.
    #[error("the daemon does not answer ({0}). Look at its log, or restart it")]
    Mute(io::Error),
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// A conversation with the daemon.
pub struct Client {
    incoming: Incoming<ReadHalf<Box<dyn Stream>>>,
    outgoing: Outgoing<WriteHalf<Box<dyn Stream>>>,
    greeting: Greeting,
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Client({:?})", self.greeting)
    }
}

impl Client {
    /// Reaches the daemon whose socket lies in this directory, and which greets within this time; `None` where there
    /// is none.
    pub async fn connect(directory: &Path, within: Duration) -> Result<Option<Self>, Error> {
        let Some(stream) = socket::connect(directory).await? else {
            return Ok(None);
        };
        let stream: Box<dyn Stream> = Box::new(stream);
        let (read, write) = split(stream);
        let mut incoming = Incoming::new(read);
        let greeting: Greeting = timeout(within, incoming.next())
            .await
            .map_err(|_| Error::Mute(io::ErrorKind::TimedOut.into()))?
            .map_err(Error::Mute)?
            .ok_or_else(|| Error::Mute(io::ErrorKind::UnexpectedEof.into()))?;
        if let Some(sentence) = mismatch(greeting.protocol, &greeting.version, VERSION) {
            return Err(Error::Version(sentence));
        }
        Ok(Some(Self {
            incoming,
            outgoing: Outgoing::new(write),
            greeting,
        }))
    }

    /// The configuration that the daemon goes by.
    #[must_use]
    pub fn config(&self) -> &Configuration {
        &self.greeting.config
    }

    /// The daemon's version, for people.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.greeting.version
    }

    /// The version of the protocol that it speaks.
    #[must_use]
    pub fn protocol(&self) -> u32 {
        self.greeting.protocol
    }

    /// Makes the one request.
    pub async fn request(&mut self, request: Request) -> Result<(), Error> {
        let opening = Opening {
            protocol: VERSION,
            request,
        };
        self.outgoing.send(&opening).await.map_err(Error::Mute)
    }

    /// Asks something in between.
    pub async fn prompt(&mut self, prompt: Prompt) -> Result<(), Error> {
        self.outgoing.send(&prompt).await.map_err(Error::Mute)
    }

    /// The next answer; `None` when the daemon went away. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Answer> {
        self.incoming.next().await.ok().flatten()
    }
}

impl Configuration {
    /// The configuration in this file, as it reads now.
    pub fn of(file: &Path) -> io::Result<Self> {
        let path: PathBuf = dunce::canonicalize(file)?;
        let hash = Sha256::digest(std::fs::read(&path)?);
        Ok(Self {
            file: path.to_string_lossy().into_owned(),
            text: hash.iter().fold(String::new(), |mut text, octet| {
                use std::fmt::Write as _;
                let _ = write!(text, "{octet:02x}");
                text
            }),
        })
    }
}
