//! HTTP to an authorization server: within a deadline, a bounded answer, no redirects.

use std::time::Duration;

use oauth2::http::{Request, Uri};
use oauth2::{HttpRequest, HttpResponse};
use tokio::time::timeout;
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig, TlsProvider};
use zeroize::Zeroizing;

use super::error::Error;

/// How long one request may take, from resolving the name to the last octet.
const ANSWER: Duration = Duration::from_secs(30);

/// How much longer the thread may take to say that it took too long.
const GRACE: Duration = Duration::from_secs(2);

/// Longest answer, in octets. Tokens of some providers hold claims, and have some thousand.
const BODY: u64 = 64 * 1024;

/// Longest header, in octets.
const HEADER: usize = 16 * 1024;

/// Whether secrets may go there: encrypted, or no further than this machine.
pub(super) fn is_safe(url: &oauth2::url::Url) -> bool {
    use oauth2::url::Host;
    match (url.scheme(), url.host()) {
        ("https", Some(_)) => true,
        ("http", Some(Host::Domain(name))) => name == "localhost",
        ("http", Some(Host::Ipv4(ip))) => ip.is_loopback(),
        ("http", Some(Host::Ipv6(ip))) => ip.is_loopback(),
        _ => false,
    }
}

/// Sends one request, from a thread of its own: the client blocks.
pub(super) async fn send(request: HttpRequest) -> Result<HttpResponse, Error> {
    let host = request.uri().host().unwrap_or_default().to_owned();
    let unreachable = |why: String| Error::Unreachable {
        host: host.clone(),
        why,
    };
    let sent = tokio::task::spawn_blocking(move || exchange(request));
    let response = match timeout(ANSWER + GRACE, sent).await {
        Err(_) => return Err(unreachable(too_long())),
        Ok(Err(_)) => return Err(unreachable("its client broke".to_owned())),
        Ok(Ok(response)) => response.map_err(|error| match error {
            ureq::Error::BodyExceedsLimit(_) | ureq::Error::LargeResponseHeader(..) => {
                Error::Misbehaves {
                    host: host.clone(),
                    what: "its answer is too long",
                }
            }
            ureq::Error::Timeout(_) => unreachable(too_long()),
            error => unreachable(error.to_string()),
        })?,
    };
    let status = response.status();
    if status.is_server_error() || status.as_u16() == 429 {
        return Err(unreachable(format!(
            "it answers with status {}",
            status.as_u16()
        )));
    }
    if status.is_redirection() {
        return Err(Error::Misbehaves {
            host,
            what: "it sends elsewhere. Check the URLs in `oauth2`",
        });
    }
    Ok(response)
}

fn too_long() -> String {
    format!("no answer within {} s", ANSWER.as_secs())
}

fn exchange(request: HttpRequest) -> Result<HttpResponse, ureq::Error> {
    let agent = agent(request.uri());
    let (head, body) = request.into_parts();
    let body = Zeroizing::new(body);
    let response = agent.run(Request::from_parts(head, body.as_slice()))?;
    let (head, mut body) = response.into_parts();
    let body = body.with_config().limit(BODY).read_to_vec()?;
    Ok(HttpResponse::from_parts(head, body))
}

fn agent(to: &Uri) -> Agent {
    let tls = TlsConfig::builder()
        .provider(TlsProvider::NativeTls)
        .root_certs(RootCerts::PlatformVerifier)
        .build();
    let config = Agent::config_builder()
        .timeout_global(Some(ANSWER))
        .max_response_header_size(HEADER)
        .max_redirects(0)
        .max_redirects_will_error(false)
        // The status is looked at by those who know what it means.
        .http_status_as_error(false)
        .user_agent(concat!("fetch-token/", env!("CARGO_PKG_VERSION")))
        .tls_config(tls);
    // The environment's proxy is for the world outside.
    let config = if to.scheme_str() == Some("http") {
        config.proxy(None)
    } else {
        config
    };
    config.build().new_agent()
}

#[cfg(test)]
mod tests {
    use super::{is_safe, send};
    use crate::account::oauth2::Error;
    use oauth2::url::Url;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    #[test]
    fn secrets_go_by_tls_or_stay_on_this_machine() {
        for (url, safe) in [
            ("https://login.acme.example/token", true),
            ("http://127.0.0.1:8080/token", true),
            ("http://[::1]/token", true),
            ("http://localhost:8080/token", true),
            ("http://login.acme.example/token", false),
            ("http://localhost.acme.example/token", false),
            ("http://127.0.0.1.acme.example/token", false),
            ("http://10.0.0.1/token", false),
            ("ftp://login.acme.example/token", false),
            ("file:///etc/passwd", false),
        ] {
            assert_eq!(is_safe(&Url::parse(url).expect(url)), safe, "{url}");
        }
    }

    /// What becomes of a request that is answered so.
    async fn answered(answer: Vec<u8>) -> Result<Vec<u8>, Error> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("a port").port();
        tokio::spawn(async move {
            let (mut peer, _) = listener.accept().await.expect("a client");
            let mut request = [0; 4096];
            let _ = peer.read(&mut request).await;
            let _ = peer.write_all(&answer).await;
            let _ = peer.shutdown().await;
        });
        let request = oauth2::http::Request::post(format!("http://127.0.0.1:{port}/token"));
        let request = request.body(b"grant_type=x".to_vec()).expect("a request");
        send(request).await.map(oauth2::http::Response::into_body)
    }

    #[tokio::test]
    async fn a_server_that_floods_redirects_or_breaks_off_is_an_error_in_few_words() {
        let ok = |body: &str| {
            format!(
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            )
        };
        let body = answered(ok("{}").into_bytes()).await.expect("an answer");
        assert_eq!(body, b"{}");
        for (answer, words) in [
            (ok(&"x".repeat(70_000)), "its answer is too long"),
            (
                format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", "x".repeat(200_000)),
                "its answer is too long",
            ),
            (
                "HTTP/1.1 302 Found\r\nLocation: http://evil.example/\r\nContent-Length: 0\r\n\r\n"
                    .to_owned(),
                "it sends elsewhere",
            ),
            (
                "HTTP/1.1 307 Found\r\nLocation: http://evil.example/\r\nContent-Length: 0\r\n\r\n"
                    .to_owned(),
                "it sends elsewhere",
            ),
            (
                "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n".to_owned(),
                "status 503",
            ),
            (
                "HTTP/1.1 429 Slow\r\nContent-Length: 0\r\n\r\n".to_owned(),
                "status 429",
            ),
            (
                "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{}".to_owned(),
                "127.0.0.1",
            ),
            (String::new(), "127.0.0.1"),
            ("* OK IMAP4rev1 ready\r\n".to_owned(), "127.0.0.1"),
        ] {
            let error = answered(answer.clone().into_bytes())
                .await
                .expect_err("a failure");
            let shown = error.to_string();
            let begin: String = answer.chars().take(60).collect();
            assert!(
                shown.contains(words) && shown.len() < 300,
                "{begin}: {shown}"
            );
        }
    }
}
