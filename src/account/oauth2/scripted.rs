//! An authorization server that sticks to a script.

use oauth2::{AuthUrl, DeviceAuthorizationUrl, TokenUrl};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use super::{Client, Endpoints, Provider};

/// What it answers: a status and a body.
pub(super) type Answer = (u16, &'static str);

/// An authorization server, and what it was asked.
pub(super) struct Scripted {
    port: u16,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    /// Answers each request with the next of these; the last goes on for ever.
    pub(super) async fn start(answers: &'static [Answer]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("a port").port();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let noted = Arc::clone(&asked);
        tokio::spawn(async move {
            for number in 0.. {
                let (mut peer, _) = listener.accept().await.expect("a client");
                let request = request(&mut peer).await;
                noted
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(request);
                let (status, body) = answers[number.min(answers.len() - 1)];
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
                );
                peer.write_all(answer.as_bytes()).await.expect("an answer");
            }
        });
        Self { port, asked }
    }

    /// A client of it that is like one of this provider.
    pub(super) fn client(&self, provider: &Provider) -> Client {
        let mut client =
            Client::of_provider(provider, None, "lab".to_owned(), None).expect("a provider");
        let url = |path: &str| format!("http://127.0.0.1:{}{path}", self.port);
        client.endpoints = Endpoints {
            authorization: Some(AuthUrl::new(url("/auth")).expect("a URL")),
            token: TokenUrl::new(url("/token")).expect("a URL"),
            revocation: None,
            device: Some(DeviceAuthorizationUrl::new(url("/device")).expect("a URL")),
            ..client.endpoints
        };
        client
    }

    /// The requests that came.
    pub(super) fn asked(&self) -> Vec<String> {
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// The refresh tokens that came.
    pub(super) fn offered(&self) -> Vec<String> {
        let offered = |request: &String| {
            let (_, rest) = request
                .split_once("&refresh_token=")
                .expect("a refresh token");
            rest.split('&').next().unwrap_or_default().to_owned()
        };
        self.asked().iter().map(offered).collect()
    }
}

/// A request with its body.
async fn request(peer: &mut TcpStream) -> String {
    let mut octets = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&octets).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let (_, length) = head.split_once("content-length: ").expect("a length");
            let length = length.lines().next().and_then(|length| length.parse().ok());
            if body.len() >= length.expect("a number") {
                return text;
            }
        }
        let read = peer.read_buf(&mut octets).await.expect("a request");
        assert!(read > 0, "it broke off: {text}");
    }
}
