//! From a host name to a greeted session: addresses, TCP, TLS.
//!
//! TLS 1.2 at least, chain and host name checked by the platform's library. There is no plain.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use native_tls::{Certificate, Protocol, TlsConnector};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_native_tls::TlsStream;

use super::error::{Error, ServerText};
use super::session::{NO_GREETING, PROMPT, Session};
use super::tls;

/// How long name resolution may take: resolvers give up after 5 s a server and usually know three.
const RESOLVE: Duration = Duration::from_secs(15);

/// How long one address may take to accept; then the next is tried.
const CONNECT: Duration = Duration::from_secs(10);

/// How long the TLS handshake may take.
const HANDSHAKE: Duration = Duration::from_secs(15);

/// After this much silence the kernel asks the peer whether it is there: NATs forget after 5 to 15 minutes.
const KEEPALIVE: Duration = Duration::from_mins(2);

/// Longest dialogue before STARTTLS, in octets: a greeting and one answer.
const BEFORE_TLS: usize = 8 * 1024;

/// Where a mailbox is, and how it is reached.
#[derive(Clone)]
pub struct Endpoint {
    /// The host's name, which its certificate must carry.
    pub host: String,
    /// The port.
    pub port: u16,
    /// When TLS begins.
    pub tls: Tls,
    /// Authorities trusted beside the system's.
    pub authorities: Vec<Certificate>,
}

/// The same place, reached in the same way, with the same authorities.
impl PartialEq for Endpoint {
    fn eq(&self, other: &Self) -> bool {
        let authorities = |endpoint: &Self| -> Vec<Option<Vec<u8>>> {
            let all = endpoint.authorities.iter();
            all.map(|authority| authority.to_der().ok()).collect()
        };
        (&self.host, self.port, self.tls) == (&other.host, other.port, other.tls)
            && authorities(self) == authorities(other)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Endpoint({}:{}, {:?})", self.host, self.port, self.tls)
    }
}

/// When TLS begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lowercase")]
pub enum Tls {
    /// At once (RFC 8314 §3.2).
    Implicit,
    /// After STARTTLS (RFC 3501 §6.2.1), which is mandatory then.
    StartTls,
}

impl Tls {
    /// Its word in the configuration.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Implicit => "implicit",
            Self::StartTls => "starttls",
        }
    }

    /// The usual port.
    #[must_use]
    pub fn port(self) -> u16 {
        match self {
            Self::Implicit => 993,
            Self::StartTls => 143,
        }
    }
}

/// A TLS stream over TCP.
pub type Secured = TlsStream<Quick>;

impl Endpoint {
    /// Reads authorities from a PEM file.
    pub fn authorities_from(path: &PathBuf) -> io::Result<Vec<Certificate>> {
        let pem = std::fs::read(path)?;
        let authorities = Certificate::stack_from_pem(&pem).map_err(io::Error::other)?;
        if authorities.is_empty() {
            return Err(io::Error::other("it holds no certificate in PEM form"));
        }
        Ok(authorities)
    }

    /// Begins to make what TLS needs, beside whatever comes before [`Self::connect`].
    pub fn prepare(&self) {
        tls::prepare(&self.authorities);
    }

    /// Connects, and reads the greeting: all of the steps below, one after the other.
    pub async fn connect(&self) -> Result<Session<Secured>, Error> {
        let addresses = self.resolve().await?;
        let tcp = self.dial(&addresses).await?;
        let tcp = self.start_tls(tcp).await?;
        let secured = self.secure(tcp).await?;
        self.greet(secured).await
    }

    /// The host's addresses.
    pub async fn resolve(&self) -> Result<Vec<SocketAddr>, Error> {
        let resolve = |why: String| Error::Resolve {
            host: self.host.clone(),
            why,
        };
        let addresses = timeout(
            RESOLVE,
            tokio::net::lookup_host((self.host.as_str(), self.port)),
        )
        .await
        .map_err(|_| resolve("no answer".to_owned()))?
        .map_err(|error| resolve(error.to_string()))?;
        Ok(addresses.collect())
    }

    /// Connects to the first of these addresses that accepts.
    pub async fn dial(&self, addresses: &[SocketAddr]) -> Result<TcpStream, Error> {
        let mut why = "it has no address".to_owned();
        for address in addresses {
            match timeout(CONNECT, TcpStream::connect(address)).await {
                Ok(Ok(tcp)) => {
                    tune(&tcp);
                    return Ok(tcp);
                }
                Ok(Err(error)) => why = error.kind().to_string(),
                Err(_) => "no answer".clone_into(&mut why),
            }
        }
        Err(Error::Connect {
            host: self.host.clone(),
            port: self.port,
            why,
        })
    }

    /// The dialogue before TLS, where there is one.
    pub async fn start_tls(&self, tcp: TcpStream) -> Result<TcpStream, Error> {
        match self.tls {
            Tls::Implicit => Ok(tcp),
            Tls::StartTls => timeout(PROMPT, start_tls(tcp))
                .await
                .map_err(|_| Error::Timeout {
                    step: "STARTTLS",
                    limit: PROMPT,
                })?,
        }
    }

    /// The TLS handshake, chain and host name checked.
    pub async fn secure(&self, tcp: TcpStream) -> Result<Secured, Error> {
        self.shake_hands(tls::shared(&self.authorities), tcp).await
    }

    /// The greeting, which is past where STARTTLS came before TLS.
    pub async fn greet(&self, secured: Secured) -> Result<Session<Secured>, Error> {
        match self.tls {
            Tls::Implicit => Session::greeted(secured).await,
            Tls::StartTls => Ok(Session::without_greeting(secured)),
        }
    }

    /// Whether the server speaks TLS 1.3, tried on a connection of its own: the TLS library does not tell what it
    /// agreed on.
    pub async fn speaks_tls_1_3(&self) -> Result<bool, Error> {
        let connector = tls::builder(&self.authorities, Protocol::Tlsv13).build();
        match self.shake_hands_anew(connector).await {
            Ok(_) => Ok(true),
            Err(Error::Tls { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The certificate (DER) of a server that is not trusted, for a person to see what is wrong with it, on a
    /// connection of its own that ends with the handshake: nothing is said over it.
    pub async fn untrusted_certificate(&self) -> Option<Vec<u8>> {
        let connector = tls::builder(&self.authorities, Protocol::Tlsv12)
            .danger_accept_invalid_certs(true)
            .danger_accept_invalid_hostnames(true)
            .build();
        let shown = self.shake_hands_anew(connector).await.ok()?;
        leaf(&shown)
    }

    async fn shake_hands_anew(
        &self,
        connector: native_tls::Result<TlsConnector>,
    ) -> Result<Secured, Error> {
        let tcp = self.dial(&self.resolve().await?).await?;
        let tcp = self.start_tls(tcp).await?;
        self.shake_hands(connector, tcp).await
    }

    async fn shake_hands(
        &self,
        connector: native_tls::Result<TlsConnector>,
        tcp: TcpStream,
    ) -> Result<Secured, Error> {
        let failed = |error: native_tls::Error| Error::Tls {
            host: self.host.clone(),
            why: explain_tls(&error.to_string()),
        };
        let connector = tokio_native_tls::TlsConnector::from(connector.map_err(failed)?);
        timeout(HANDSHAKE, connector.connect(&self.host, Quick(tcp)))
            .await
            .map_err(|_| Error::Timeout {
                step: "the TLS handshake",
                limit: HANDSHAKE,
            })?
            .map_err(failed)
    }
}

/// The certificate (DER) that the server showed.
#[must_use]
pub fn leaf(secured: &Secured) -> Option<Vec<u8>> {
    secured.get_ref().peer_certificate().ok()??.to_der().ok()
}

/// The TLS library's words, and what to do about those that a user can mend.
fn explain_tls(said: &str) -> String {
    let lower = said.to_lowercase();
    let says_one_of = |words: &[&str]| words.iter().any(|word| lower.contains(word));
    let advice = if says_one_of(&["hostname mismatch", "ip address mismatch", "name"]) {
        "its certificate is for another host. Set `host` to the name that the certificate carries"
    } else if says_one_of(&["expired"]) {
        "its certificate has expired. Tell the server's administrator, and check this machine's clock"
    } else if says_one_of(&["self-signed", "self signed", "issuer", "trust", "authority"]) {
        "its certificate comes from an authority that this machine does not know. If the authority is your own, \
         name its PEM file with `ca_file`"
    } else if says_one_of(&["certificate verify failed"]) {
        "its certificate is not accepted"
    } else {
        "the handshake failed. Check `port` and `tls`: port 993 wants \"implicit\", 143 wants \"starttls\""
    };
    format!("{advice} (the TLS library says {})", ServerText::new(said))
}

/// The dialogue before TLS. What the server says here is unprotected, so nothing of it is kept, and nothing may
/// follow its OK: such octets would be taken for protected ones (CVE-2011-0411 and its kin).
async fn start_tls(mut tcp: TcpStream) -> Result<TcpStream, Error> {
    let mut received = Vec::new();
    let mut heard = 0;
    let greeting = read_line(&mut tcp, &mut received).await?;
    if !starts_with(&greeting, "* OK") {
        return Err(if let Some(text) = goodbye(&greeting) {
            Error::Bye(text)
        } else if starts_with(&greeting, "* PREAUTH") {
            Error::Protocol("it greets as if somebody had logged in already, before TLS")
        } else {
            Error::Protocol(NO_GREETING)
        });
    }
    if starts_with(&received, "s1 ") {
        return Err(Error::Protocol("it answers STARTTLS before it is asked"));
    }
    tcp.write_all(b"s1 STARTTLS\r\n")
        .await
        .map_err(|_| Error::Closed { step: "STARTTLS" })?;
    loop {
        let line = read_line(&mut tcp, &mut received).await?;
        if starts_with(&line, "s1 OK") {
            break;
        }
        if let Some(text) = goodbye(&line) {
            return Err(Error::Bye(text));
        }
        heard += line.len();
        if heard > BEFORE_TLS {
            return Err(Error::Protocol("it talks without end before TLS"));
        }
        if starts_with(&line, "s1 ") {
            return Err(Error::Refused {
                command: "STARTTLS",
                text: ServerText::new(&String::from_utf8_lossy(&line[3..])),
            });
        }
    }
    if !received.is_empty() {
        return Err(Error::Protocol("it sends data between STARTTLS and TLS"));
    }
    Ok(tcp)
}

/// One line, without its end. What came behind it stays in `received`.
async fn read_line(tcp: &mut TcpStream, received: &mut Vec<u8>) -> Result<Vec<u8>, Error> {
    loop {
        if let Some(end) = received.iter().position(|&b| b == b'\n') {
            let mut line: Vec<u8> = received.drain(..=end).collect();
            line.truncate(line.trim_ascii_end().len());
            return Ok(line);
        }
        if received.len() > BEFORE_TLS {
            return Err(Error::Protocol("it sends a line without end before TLS"));
        }
        let read = tcp.read_buf(received).await;
        if !matches!(read, Ok(1..)) {
            return Err(Error::Closed { step: "STARTTLS" });
        }
    }
}

/// What the server says with its goodbye (RFC 3501 §7.1.5), where the line is one.
fn goodbye(line: &[u8]) -> Option<ServerText> {
    let text = starts_with(line, "* BYE").then(|| String::from_utf8_lossy(&line[5..]))?;
    Some(ServerText::new(text.trim_start()))
}

fn starts_with(line: &[u8], word: &str) -> bool {
    line.get(..word.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()))
}

/// Keepalive and nodelay. A socket that refuses them still works, so errors are not ours to report.
fn tune(tcp: &TcpStream) {
    let _ = tcp.set_nodelay(true);
    let _ = SockRef::from(tcp).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE));
}

/// TCP that acknowledges at once: a server that waits for an acknowledgement before it sends the rest of a mail
/// (Cyrus) costs 40 ms otherwise. Linux forgets the wish after each read, so it is said again.
#[derive(Debug)]
pub struct Quick(TcpStream);

impl AsyncRead for Quick {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let read = Pin::new(&mut this.0).poll_read(cx, buf);
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if read.is_ready() {
            let _ = SockRef::from(&this.0).set_tcp_quickack(true);
        }
        read
    }
}

impl AsyncWrite for Quick {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().0).poll_write(cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::explain_tls;

    #[test]
    fn tls_errors_say_what_to_do() {
        for (said, advice) in [
            (
                "error:0A000086:SSL routines:tls_post_process_server_certificate:certificate verify failed: (Hostname mismatch)",
                "another host",
            ),
            (
                "certificate verify failed: (IP address mismatch)",
                "another host",
            ),
            (
                "certificate verify failed: (unable to get local issuer certificate)",
                "ca_file",
            ),
            (
                "certificate verify failed: (self-signed certificate in certificate chain)",
                "ca_file",
            ),
            (
                "certificate verify failed: (certificate has expired)",
                "expired",
            ),
            (
                "error:0A00010B:SSL routines:ssl3_get_record:wrong version number",
                "starttls",
            ),
        ] {
            let explained = explain_tls(said);
            assert!(explained.contains(advice), "{said}: {explained}");
        }
    }
}
