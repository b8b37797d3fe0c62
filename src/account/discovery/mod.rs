//! Finding a mailbox's server by its address.
//!
//! Providers that are known by name come first and cost no question. Then, side by side, the domain's own description
//! ([`autoconfig`]), who receives its mail, and its SRV records; their answers count in this order. Last the usual names
//! are tried, by a TLS handshake in which the certificate must be right. Only the domain's own servers and DNS are asked,
//! unless a person wants Thunderbird's database asked as well.

pub mod autoconfig;
mod providers;
mod records;

pub(crate) use providers::is_known_server;

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

use futures_util::future::join_all;
use native_tls::Certificate;
use tokio::time::timeout;

use crate::dns;
use crate::imap::{Endpoint, Tls};

/// How long the questions may take together.
const QUESTIONS: Duration = Duration::from_secs(9);

/// How long the handshakes with guessed servers may take together.
const GUESSES: Duration = Duration::from_secs(9);

/// How long one of them may take: one that keeps us waiting must not keep the others from being taken.
const GUESS: Duration = Duration::from_secs(8);

/// A mailbox's address, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// As the user wrote it.
    pub text: String,
    /// Its domain as DNS has it: in lower case, other scripts as `xn--` (RFC 5891 §4.4).
    pub domain: String,
}

impl Address {
    /// What stands before the last `@`.
    #[must_use]
    pub fn local(&self) -> &str {
        self.text.rsplit_once('@').map_or("", |(local, _)| local)
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || "an address looks like this: integration@acme.example, without a name".to_owned();
        let (local, domain) = text.rsplit_once('@').ok_or_else(wrong)?;
        let is_bad = |c: char| c.is_whitespace() || c.is_control() || "<>\",;".contains(c);
        if local.is_empty() || text.contains(is_bad) {
            return Err(wrong());
        }
        let domain = idna::domain_to_ascii(domain)
            .ok()
            .filter(|domain| is_host_name(domain))
            .ok_or_else(|| format!("{domain:?} is no domain"))?;
        Ok(Self {
            text: text.to_owned(),
            domain,
        })
    }
}

/// Letters, digits, hyphens and dots (RFC 1123 §2.1), and the underscore, which some use all the same.
fn is_host_name(name: &str) -> bool {
    let is_label = |label: &str| {
        let is_fit = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        !label.is_empty() && label.len() <= 63 && label.bytes().all(is_fit)
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

/// What a server lets a person in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Secret {
    /// The password of the mailbox.
    Password,
    /// A password made for this program, and where it is made.
    AppPassword(&'static str),
    /// An access token.
    OAuth2 {
        /// The name of the provider in the configuration, where it is known.
        provider: Option<&'static str>,
        /// Where an app password is made, which does as well.
        app_password: Option<&'static str>,
    },
}

/// Who says that this is the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The user.
    Told,
    /// The table of providers, by the address.
    Provider(&'static str),
    /// A host that describes the domain's servers.
    Autoconfig(String),
    /// The table of providers, by who receives the domain's mail.
    Exchanger(&'static str),
    /// SRV records.
    Srv,
    /// Nobody: a usual name, under which a server has a certificate of that name.
    Guess,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Told => f.write_str("as you say"),
            Self::Provider(name) => write!(f, "{name}"),
            Self::Autoconfig(host) => write!(f, "as {host} describes it"),
            Self::Exchanger(name) => write!(f, "{name}, which receives the domain's mail"),
            Self::Srv => f.write_str("as DNS says, which nothing proves"),
            Self::Guess => f.write_str("a usual name, and its certificate is right"),
        }
    }
}

/// Where a mailbox is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Its host.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// When TLS begins.
    pub tls: Tls,
    /// The login name, where it is not the address.
    pub user: Option<String>,
    /// What it lets a person in by.
    pub secret: Secret,
    /// What a person has to do at the provider first; empty where nothing.
    pub first: &'static str,
    /// Who says so.
    pub source: Source,
}

impl Server {
    /// Whether a person has to agree: DNS is not authenticated, and sends the password out of its domain.
    #[must_use]
    pub fn is_doubtful(&self, address: &Address) -> bool {
        self.source == Source::Srv
            && self.host != address.domain
            && !self.host.ends_with(&format!(".{}", address.domain))
    }
}

/// Where it is looked, besides the table of providers.
#[derive(Default)]
pub struct Places {
    /// The DNS server that is asked; else the system's.
    pub resolver: Option<SocketAddr>,
    /// Where servers are described, see [`autoconfig::PLACES`].
    pub autoconfig: Vec<String>,
    /// Authorities trusted beside the system's.
    pub authorities: Vec<Certificate>,
}

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Places")
            .field("resolver", &self.resolver)
            .field("autoconfig", &self.autoconfig)
            .finish_non_exhaustive()
    }
}

/// Nothing was found.
#[derive(Debug, thiserror::Error)]
#[error(
    "no IMAP server was found for {domain}: {}. Ask whoever runs the mailbox for its server, and name it with --host", .steps.join("; ")
)]
pub struct NotFound {
    domain: String,
    steps: Vec<String>,
}

/// Finds the server of an address, within 20 s.
pub async fn find(address: &Address, places: &Places) -> Result<Server, NotFound> {
    if let Some(provider) = providers::of_domain(&address.domain) {
        return Ok(provider.server(Source::Provider(provider.name)));
    }
    let described = async {
        let looks = places
            .autoconfig
            .iter()
            .map(|place| autoconfig::look(place, address, &places.authorities));
        first(join_all(looks).await)
    };
    let resolver = dns::resolver(places.resolver);
    let no_resolver = || Err(vec!["this machine knows no DNS server".to_owned()]);
    let received = async {
        match &resolver {
            Some(resolver) => first(vec![records::provider(resolver, address).await]),
            None => no_resolver(),
        }
    };
    let named = async {
        match &resolver {
            Some(resolver) => first(vec![records::server(resolver, address).await]),
            None => no_resolver(),
        }
    };
    let in_time = |what: &'static str| move |_| Err(vec![format!("{what} did not answer in time")]);
    let (described, received, named) = tokio::join!(
        async {
            timeout(QUESTIONS, described)
                .await
                .unwrap_or_else(in_time("its own description"))
        },
        async {
            timeout(QUESTIONS, received)
                .await
                .unwrap_or_else(in_time("DNS"))
        },
        async {
            timeout(QUESTIONS, named)
                .await
                .unwrap_or_else(in_time("DNS"))
        },
    );
    let mut steps = Vec::new();
    for found in [described, received, named] {
        match found {
            Ok(server) => return Ok(server),
            Err(why) => steps.extend(why),
        }
    }
    let usual = usual(&address.domain, &places.authorities);
    if let Ok(Some(endpoint)) = timeout(GUESSES, answering(&usual)).await {
        return Ok(Server {
            host: endpoint.host.clone(),
            port: endpoint.port,
            tls: endpoint.tls,
            user: None,
            secret: Secret::Password,
            first: "",
            source: Source::Guess,
        });
    }
    steps.push("no server with a right certificate answers under a usual name".to_owned());
    steps.dedup();
    Err(NotFound {
        domain: address.domain.clone(),
        steps,
    })
}

/// The first that was found; else why each was not.
fn first(all: Vec<Result<Server, String>>) -> Result<Server, Vec<String>> {
    let mut why = Vec::new();
    for one in all {
        match one {
            Ok(server) => return Ok(server),
            Err(error) => why.push(error),
        }
    }
    Err(why)
}

/// Where a domain's IMAP server usually is, the best first.
fn usual(domain: &str, authorities: &[Certificate]) -> Vec<Endpoint> {
    [Tls::Implicit, Tls::StartTls]
        .into_iter()
        .flat_map(|tls| {
            ["imap.", "mail.", ""].map(|label| Endpoint {
                host: format!("{label}{domain}"),
                port: tls.port(),
                tls,
                authorities: authorities.to_vec(),
            })
        })
        .collect()
}

/// The first of these that greets after a TLS handshake with a right certificate. All are tried at once.
pub async fn answering(endpoints: &[Endpoint]) -> Option<&Endpoint> {
    let greeted =
        endpoints.iter().map(
            async |endpoint| match timeout(GUESS, endpoint.connect()).await {
                Ok(Ok(_)) => Some(endpoint),
                Ok(Err(error)) => {
                    tracing::debug!(%error, "no server there");
                    None
                }
                Err(_) => None,
            },
        );
    join_all(greeted).await.into_iter().flatten().next()
}

#[cfg(test)]
mod tests {
    use super::{Address, Secret, Server, Source, usual};
    use crate::imap::Tls;

    fn address(text: &str) -> Result<Address, String> {
        text.parse()
    }

    #[test]
    fn a_domain_is_asked_for_as_dns_has_it() {
        for (text, domain) in [
            ("me@acme.example", "acme.example"),
            ("Me@ACME.Example", "acme.example"),
            ("me@bücher.example", "xn--bcher-kva.example"),
            ("me@例え.example", "xn--r8jz45g.example"),
            ("a@b@acme.example", "acme.example"),
        ] {
            assert_eq!(address(text).expect(text).domain, domain);
        }
        for text in [
            "",
            "me",
            "@acme.example",
            "me@",
            "me@acme..example",
            "me@acme.example/x",
            "Me <me@acme.example>",
            "me @acme.example",
            "me@acme.example\r\nX: y",
        ] {
            address(text).expect_err(text);
        }
    }

    #[test]
    fn only_dns_that_leads_out_of_the_domain_is_doubtful() {
        let server = |source: Source, host: &str| Server {
            host: host.to_owned(),
            port: 993,
            tls: Tls::Implicit,
            user: None,
            secret: Secret::Password,
            first: "",
            source,
        };
        let address = address("me@acme.example").expect("an address");
        for (source, host, expected) in [
            (Source::Srv, "imap.acme.example", false),
            (Source::Srv, "acme.example", false),
            (Source::Srv, "imap.evil.example", true),
            (Source::Srv, "evilacme.example", true),
            (
                Source::Autoconfig("acme.example".to_owned()),
                "imap.host.example",
                false,
            ),
        ] {
            assert_eq!(
                server(source, host).is_doubtful(&address),
                expected,
                "{host}"
            );
        }
    }

    #[test]
    fn implicit_tls_is_guessed_before_starttls() {
        let usual = usual("acme.example", &[]);
        let shown: Vec<_> = usual
            .iter()
            .map(|endpoint| format!("{}:{}", endpoint.host, endpoint.port))
            .collect();
        assert_eq!(
            shown,
            [
                "imap.acme.example:993",
                "mail.acme.example:993",
                "acme.example:993",
                "imap.acme.example:143",
                "mail.acme.example:143",
                "acme.example:143"
            ]
        );
    }
}
