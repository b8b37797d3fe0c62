//! Servers as the domain itself describes them, in the form that Thunderbird reads ("autoconfig", `config-v1.1.xml`).

use std::time::Duration;

use native_tls::Certificate;
use roxmltree::{Document, Node, ParsingOptions};
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};

use super::{Address, Secret, Server, Source, is_host_name, providers};
use crate::imap::Tls;

/// Where a domain describes its servers; `{domain}` and `{address}` stand for those of the mailbox.
pub const PLACES: [&str; 2] = [
    "https://autoconfig.{domain}/mail/config-v1.1.xml?emailaddress={address}",
    "https://{domain}/.well-known/autoconfig/mail/config-v1.1.xml",
];

/// Where Thunderbird's makers describe those of many providers. Who asks there tells them the domain.
pub const ISPDB: &str = "https://autoconfig.thunderbird.net/v1.1/{domain}";

/// How long one description may take to come.
const ANSWER: Duration = Duration::from_secs(6);

/// Longest description, in octets. Real ones have some thousand.
const BODY: u64 = 64 * 1024;

/// Most nodes of a description.
const NODES: u32 = 4_096;

/// A well-known place may lead to where the description really lies.
const REDIRECTS: u32 = 3;

/// Looks at one place; the error says why there is nothing.
pub(super) async fn look(
    place: &str,
    address: &Address,
    authorities: &[Certificate],
) -> Result<Server, String> {
    let url = filled(place, address);
    let host = url
        .strip_prefix("https://")
        .and_then(|rest| rest.split(['/', ':', '?']).next())
        .ok_or_else(|| format!("{place} is no https:// URL"))?
        .to_owned();
    let authorities: Vec<_> = authorities.iter().filter_map(|a| a.to_der().ok()).collect();
    // The client blocks. Who gives up waiting leaves the thread to its own deadline.
    let fetched = tokio::task::spawn_blocking(move || fetch(&url, &authorities)).await;
    let text = fetched
        .map_err(|_| "its client broke".to_owned())
        .and_then(|result| result)
        .map_err(|why| format!("{host} describes none ({why})"))?;
    read(&text, address, &host).ok_or_else(|| format!("{host} describes none that can be used"))
}

fn filled(place: &str, address: &Address) -> String {
    let address_in_query: String = address
        .text
        .bytes()
        .map(|octet| match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(octet).to_string()
            }
            // RFC 3986 §2.1.
            _ => format!("%{octet:02X}"),
        })
        .collect();
    place
        .replace("{domain}", &address.domain)
        .replace("{address}", &address_in_query)
}

fn fetch(url: &str, authorities: &[Vec<u8>]) -> Result<String, String> {
    let result = get(url, RootCerts::PlatformVerifier);
    if result.is_ok() || authorities.is_empty() {
        return result;
    }
    let own = authorities
        .iter()
        .map(|der| ureq::tls::Certificate::from_der(der).to_owned());
    get(url, RootCerts::new_with_certs(&own.collect::<Vec<_>>()))
}

fn get(url: &str, roots: RootCerts) -> Result<String, String> {
    let tls = TlsConfig::builder()
        .provider(TlsProvider::NativeTls)
        .root_certs(roots)
        .build();
    let agent: Agent = Agent::config_builder()
        .timeout_global(Some(ANSWER))
        .max_redirects(REDIRECTS)
        .https_only(true)
        .user_agent(concat!("fetch-token/", env!("CARGO_PKG_VERSION")))
        .tls_config(tls)
        .build()
        .new_agent();
    let mut response = agent.get(url).call().map_err(|error| error.to_string())?;
    let body = response.body_mut().with_config().limit(BODY);
    body.read_to_string().map_err(|error| error.to_string())
}

/// The first IMAP server in the description that is reached by TLS.
fn read(text: &str, address: &Address, by: &str) -> Option<Server> {
    let options = ParsingOptions {
        // A document type can declare entities, which grow.
        allow_dtd: false,
        nodes_limit: NODES,
        ..ParsingOptions::default()
    };
    let document = Document::parse_with_options(text, options).ok()?;
    document
        .descendants()
        .filter(|node| {
            node.has_tag_name("incomingServer") && node.attribute("type") == Some("imap")
        })
        .find_map(|node| server(node, address, by))
}

fn server(node: Node<'_, '_>, address: &Address, by: &str) -> Option<Server> {
    let all = |name: &'static str| {
        node.children()
            .filter(move |child| child.has_tag_name(name))
            .filter_map(|child| child.text())
            .map(str::trim)
    };
    let filled = |text: &str| {
        text.replace("%EMAILADDRESS%", &address.text)
            .replace("%EMAILLOCALPART%", address.local())
            .replace("%EMAILDOMAIN%", &address.domain)
    };
    let tls = match all("socketType").next()? {
        "SSL" => Tls::Implicit,
        "STARTTLS" => Tls::StartTls,
        _ => return None,
    };
    let host = filled(all("hostname").next()?).to_ascii_lowercase();
    let port = all("port").next()?.parse().ok().filter(|&port| port > 0)?;
    let user = all("username").next().map(filled);
    let user = user.unwrap_or_else(|| address.text.clone());
    if !is_host_name(&host) || user.is_empty() || user.chars().any(char::is_control) {
        return None;
    }
    let known = providers::of_host(&host).map(providers::Provider::ways);
    let takes_password = || all("authentication").any(|way| way != "OAuth2");
    let (secret, first) = match known {
        Some(known) => known,
        None if all("authentication").next().is_none() || takes_password() => {
            (Secret::Password, "")
        }
        None => (
            Secret::OAuth2 {
                provider: None,
                app_password: None,
            },
            "",
        ),
    };
    Some(Server {
        host,
        port,
        tls,
        user: (user != address.text).then_some(user),
        secret,
        first,
        source: Source::Autoconfig(by.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::{PLACES, filled, read};
    use crate::account::discovery::Address;
    use crate::imap::Tls;

    fn address() -> Address {
        "etl+sf@acme.example".parse().expect("an address")
    }

    fn config(servers: &str) -> String {
        format!(
            "<?xml version=\"1.0\"?>\n<clientConfig version=\"1.1\"><emailProvider id=\"acme.example\">{servers}\
             </emailProvider></clientConfig>"
        )
    }

    fn incoming(kind: &str, socket: &str, rest: &str) -> String {
        format!(
            "<incomingServer type=\"{kind}\"><socketType>{socket}</socketType>{rest}</incomingServer>"
        )
    }

    const NAMED: &str = "<hostname>mail.%EMAILDOMAIN%</hostname><port>993</port><username>%EMAILLOCALPART%</username>";

    #[test]
    fn the_first_imap_server_with_tls_is_taken() {
        let text = config(
            &[
                incoming("pop3", "SSL", NAMED),
                incoming("imap", "plain", NAMED),
                incoming("imap", "STARTTLS", &NAMED.replace("993", "143")),
                incoming("imap", "SSL", NAMED),
            ]
            .concat(),
        );
        let server = read(&text, &address(), "acme.example").expect("a server");
        assert_eq!(server.host, "mail.acme.example");
        assert_eq!((server.port, server.tls), (143, Tls::StartTls));
        assert_eq!(server.user.as_deref(), Some("etl+sf"));
    }

    #[test]
    fn the_address_as_a_login_name_needs_no_key_of_its_own() {
        let named = NAMED.replace("LOCALPART", "ADDRESS");
        let text = config(&incoming("imap", "SSL", &named));
        let server = read(&text, &address(), "acme.example").expect("a server");
        assert_eq!(server.user, None);
    }

    #[test]
    fn what_is_no_description_or_an_attack_is_nothing() {
        let bomb =
            "<!DOCTYPE x [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;&a;&a;&a;&a;&a;\">]>";
        let good = config(&incoming("imap", "SSL", NAMED));
        for text in [
            String::new(),
            "<html><body>Not found".to_owned(),
            config(""),
            good.replace("<client", &format!("{bomb}<client")),
            good.replace("993", "0"),
            good.replace("993", "99999"),
            good.replace("mail.%EMAILDOMAIN%", "mail.acme.example/evil"),
            good.replace("mail.%EMAILDOMAIN%", ""),
            good.replace("%EMAILLOCALPART%", "a\nb"),
            "<a>".repeat(20_000),
            config(&"<a/>".repeat(10_000)),
        ] {
            let begin: String = text.chars().take(200).collect();
            assert_eq!(read(&text, &address(), "acme.example"), None, "{begin}");
        }
    }

    #[test]
    fn an_address_is_escaped_in_the_places_that_are_asked() {
        assert_eq!(
            filled(PLACES[0], &address()),
            "https://autoconfig.acme.example/mail/config-v1.1.xml?emailaddress=etl%2Bsf%40acme.example"
        );
    }
}
