//! Where DKIM keys come from: DNS (RFC 6376 §3.6.2), or a file in its place.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::net::{DnsError, NetError};
use hickory_resolver::proto::op::ResponseCode;
use hickory_resolver::proto::rr::{Name, RData};
use tokio::time::{Instant, timeout};

use crate::config::KeysFrom;
use crate::mail::{Answer, KeyFile, Keys};

/// How long one server may take for one question. Resolvers on a LAN take some milliseconds.
const QUESTION: Duration = Duration::from_secs(3);

/// How long all of it may take, TCP after a truncated answer included.
const ALL: Duration = Duration::from_secs(10);

/// A resolver that takes so long to say nothing is not asked again at once.
const SLOW: Duration = Duration::from_secs(2);

/// How long it is not asked then. Whoever sends many mails of made-up keys while DNS is down must not keep a genuine
/// one waiting behind each of them; a genuine one that waits is tried again as soon.
const REST: Duration = Duration::from_secs(5);

/// Longest that a key is believed without asking again, whatever its TTL: keys are withdrawn in a hurry, too.
const LONGEST: Duration = Duration::from_hours(1);

/// Why a source of keys cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("the keys in {} cannot be read ({why})", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// The operating system's words.
        why: std::io::Error,
    },
    /// The file is no JSON object of strings.
    #[error(
        "the keys in {} are not {{\"SELECTOR._domainkey.DOMAIN\": \"v=DKIM1; ...\"}}: {why}", .file.display()
    )]
    Malformed {
        /// The file.
        file: PathBuf,
        /// What is wrong and where.
        why: serde_json::Error,
    },
}

/// A resolver that is made when the first key is asked for: most calls ask for none. `None`: this machine has none
/// configured.
type Resolver =
    LazyLock<Option<Box<TokioResolver>>, Box<dyn FnOnce() -> Option<Box<TokioResolver>> + Send>>;

/// A source of keys.
pub enum KeySource {
    /// DNS, with a cache that respects TTLs.
    Dns {
        /// The resolver.
        resolver: Resolver,
        /// Until when it is not asked, because it kept somebody waiting for nothing.
        rests_until: Mutex<Option<Instant>>,
    },
    /// A file's records; a name that is absent does not exist.
    File(KeyFile),
}

impl std::fmt::Debug for KeySource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Dns { .. } => "KeySource::Dns",
            Self::File(_) => "KeySource::File",
        })
    }
}

impl KeySource {
    /// The file given on the command line, else what the configuration names, else the system's resolver.
    pub fn chosen(given: Option<&Path>, configured: Option<&KeysFrom>) -> Result<Self, Error> {
        match (given, configured) {
            (Some(file), _) => Self::file(file),
            (None, Some(KeysFrom::File(file))) => Self::file(file),
            (None, Some(KeysFrom::Resolver(address))) => Ok(Self::at(*address)),
            (None, None) => Ok(Self::system()),
        }
    }

    /// The system's resolver.
    #[must_use]
    pub fn system() -> Self {
        Self::resolver(None)
    }

    /// A resolver at an address of its own.
    #[must_use]
    pub fn at(server: SocketAddr) -> Self {
        Self::resolver(Some(server))
    }

    fn resolver(server: Option<SocketAddr>) -> Self {
        Self::Dns {
            resolver: LazyLock::new(Box::new(move || resolver(server).map(Box::new))),
            rests_until: Mutex::new(None),
        }
    }

    /// Records from a file, in place of DNS.
    pub fn file(file: &Path) -> Result<Self, Error> {
        let text = std::fs::read(file).map_err(|why| Error::Unreadable {
            file: file.to_owned(),
            why,
        })?;
        serde_json::from_slice(&text)
            .map(Self::File)
            .map_err(|why| Error::Malformed {
                file: file.to_owned(),
                why,
            })
    }

    /// Asks for the TXT records of these names, all at once.
    pub async fn ask(&self, names: &[String]) -> HashMap<String, Answer> {
        let asked = names
            .iter()
            .map(async |name| (name.clone(), self.ask_one(name).await));
        join_all(asked).await.into_iter().collect()
    }

    async fn ask_one(&self, name: &str) -> Answer {
        let (resolver, rests_until) = match self {
            Self::File(records) => return records.txt(name),
            Self::Dns {
                resolver,
                rests_until,
            } => (resolver, rests_until),
        };
        let Some(resolver) = &**resolver else {
            return Answer::Silent;
        };
        let rests = || rests_until.lock().unwrap_or_else(PoisonError::into_inner);
        if rests().is_some_and(|until| Instant::now() < until) {
            return Answer::Silent;
        }
        let begin = Instant::now();
        let answer = timeout(ALL, question(resolver, name)).await;
        let answer = answer.unwrap_or(Answer::Silent);
        let is_slow = answer == Answer::Silent && begin.elapsed() >= SLOW;
        *rests() = is_slow.then(|| Instant::now() + REST);
        answer
    }
}

/// A resolver that asks this server, else the system's. `None`: this machine has none configured.
#[must_use]
pub fn resolver(server: Option<SocketAddr>) -> Option<TokioResolver> {
    let mut builder = match server {
        None => TokioResolver::builder_tokio().ok()?,
        Some(server) => {
            let servers = vec![name_server(server.ip(), server.port())];
            let config = ResolverConfig::from_name_servers(servers);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
    };
    limit(builder.options_mut());
    builder.build().ok()
}

fn limit(options: &mut ResolverOpts) {
    options.timeout = QUESTION;
    // UDP, and once more.
    options.attempts = 1;
    options.positive_max_ttl = Some(LONGEST);
    // A key that was published a moment ago must not stay unknown for long.
    options.negative_max_ttl = Some(QUESTION);
    options.use_hosts_file = ResolveHosts::Never;
}

fn name_server(ip: IpAddr, port: u16) -> NameServerConfig {
    let mut udp = ConnectionConfig::udp();
    let mut tcp = ConnectionConfig::tcp();
    udp.port = port;
    tcp.port = port;
    NameServerConfig::new(ip, true, vec![udp, tcp])
}

/// What the resolver says of one name. Only a clear "there is none" counts as one: a server that fails, refuses,
/// lies about the type or is cut off has not answered.
async fn question(resolver: &TokioResolver, name: &str) -> Answer {
    // With the final dot: no search list is tried.
    let Ok(name) = Name::from_ascii(format!("{name}.")) else {
        return Answer::NoSuchName;
    };
    match resolver.txt_lookup(name).await {
        Ok(lookup) => {
            let records: Vec<String> = lookup
                .answers()
                .iter()
                .filter_map(|record| match &record.data {
                    // One record may come in several strings, joined without anything between (RFC 6376 §3.6.2.2).
                    RData::TXT(txt) => Some(txt.txt_data.concat()),
                    _ => None,
                })
                .map(|octets| String::from_utf8_lossy(&octets).into_owned())
                .collect();
            if records.is_empty() {
                Answer::Silent
            } else {
                Answer::Records(records)
            }
        }
        Err(NetError::Dns(DnsError::NoRecordsFound(none)))
            if none.response_code == ResponseCode::NXDomain
                || none.response_code == ResponseCode::NoError && none.soa.is_some() =>
        {
            Answer::NoSuchName
        }
        Err(error) => {
            tracing::debug!(%error, "a key could not be asked for");
            Answer::Silent
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{KeySource, REST};
    use crate::mail::Answer;
    use tokio::time::{Instant, sleep};

    #[tokio::test(start_paused = true)]
    async fn a_resolver_that_is_silent_keeps_one_waiting_and_not_the_next() {
        let silent = std::net::UdpSocket::bind("127.0.0.1:0").expect("a port");
        let keys = KeySource::at(silent.local_addr().expect("its address"));
        let mut took = Vec::new();
        for _ in 0..3 {
            let begin = Instant::now();
            let names = [
                "a._domainkey.b.example".to_owned(),
                "c._domainkey.b.example".to_owned(),
            ];
            let answers = keys.ask(&names).await;
            assert!(
                names
                    .iter()
                    .all(|name| answers.get(name) == Some(&Answer::Silent))
            );
            took.push(begin.elapsed().as_secs());
            if took.len() == 2 {
                sleep(REST).await;
            }
        }
        assert!(
            took[0] >= 2 && took[0] <= 10,
            "both are asked at once: {took:?}"
        );
        assert_eq!(took[1], 0, "{took:?}");
        assert!(took[2] >= 2, "and it is asked again: {took:?}");
    }
}
