//! Where the browser is sent back to: a port of this machine that takes one answer (RFC 8252 §7.3).

use std::io;
use std::sync::Arc;
use std::time::Duration;

use oauth2::url::Url;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{sleep, timeout};

/// How long a browser may take for its request. It opens connections in advance, on which it says nothing.
const REQUEST: Duration = Duration::from_secs(10);

/// Longest request, in octets: an address with a code, and a browser's header.
const LONGEST: usize = 32 * 1024;

/// Most connections at once.
const CONNECTIONS: usize = 16;

/// What the browser brings (RFC 6749 §4.1.2).
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The person agreed.
    Code(String),
    /// The person refused, or the server did.
    Refusal {
        error: String,
        description: Option<String>,
    },
}

/// A port that waits for the browser.
#[derive(Debug)]
pub(super) struct Loopback {
    listener: TcpListener,
    port: u16,
}

impl Loopback {
    /// Opens a port that nobody can know before.
    pub(super) async fn open() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        Ok(Self { listener, port })
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }

    /// Waits for the browser with an answer that carries this state, and tells it that it may be closed. Whoever comes
    /// without it (another page's script, a request for an icon) is turned away, and the wait goes on.
    pub(super) async fn answer(self, state: &str) -> Answer {
        let (found, mut answers) = mpsc::channel(1);
        let room = Arc::new(Semaphore::new(CONNECTIONS));
        let state: Arc<str> = state.into();
        loop {
            tokio::select! {
                Some(answer) = answers.recv() => return answer,
                accepted = self.listener.accept() => {
                    let Ok((browser, _)) = accepted else {
                        // Too many open files, say: not a reason to spin.
                        sleep(Duration::from_millis(100)).await;
                        continue;
                    };
                    let Ok(permit) = Arc::clone(&room).try_acquire_owned() else {
                        continue;
                    };
                    let (found, state) = (found.clone(), Arc::clone(&state));
                    tokio::spawn(async move {
                        if let Ok(Some(answer)) = timeout(REQUEST, serve(browser, &state)).await {
                            let _ = found.send(answer).await;
                        }
                        drop(permit);
                    });
                }
            }
        }
    }
}

/// Serves one request. An answer is given when the browser has its page.
async fn serve(mut browser: TcpStream, state: &str) -> Option<Answer> {
    let request = read(&mut browser).await?;
    let answer = answer(&request, state);
    let (status, words) = match &answer {
        Some(Answer::Code(_)) => (
            "200 OK",
            "You can close this page and go back to fetch-token.",
        ),
        Some(Answer::Refusal { .. }) => (
            "200 OK",
            "The login was not allowed. fetch-token says why; you can close this page.",
        ),
        None => ("404 Not Found", "There is nothing here."),
    };
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>fetch-token</title><p>{words}</p></html>\n"
    );
    let response = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nCache-Control: \
         no-store\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n{page}",
        page.len()
    );
    // The code counts even if the browser went away.
    let _ = browser.write_all(response.as_bytes()).await;
    let _ = browser.shutdown().await;
    answer
}

/// The request up to the end of its header.
async fn read(browser: &mut TcpStream) -> Option<Vec<u8>> {
    let mut request = Vec::with_capacity(2048);
    while !request.windows(4).any(|window| window == b"\r\n\r\n") {
        let room = LONGEST
            .checked_sub(request.len())
            .filter(|&room| room > 0)?;
        let read = (&mut *browser)
            .take(room as u64)
            .read_buf(&mut request)
            .await;
        if !matches!(read, Ok(1..)) {
            return None;
        }
    }
    Some(request)
}

/// What a request brings, where it is the one that was waited for.
fn answer(request: &[u8], state: &str) -> Option<Answer> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut parsed = httparse::Request::new(&mut headers);
    parsed.parse(request).ok()?;
    let target = parsed.path.filter(|_| parsed.method == Some("GET"))?;
    let url = Url::parse("http://127.0.0.1/").ok()?.join(target).ok()?;
    let mut values = Values::default();
    for (name, value) in url.query_pairs() {
        let place = match &*name {
            "state" => &mut values.state,
            "code" => &mut values.code,
            "error" => &mut values.error,
            "error_description" => &mut values.description,
            _ => continue,
        };
        // RFC 6749 §3.1: none of them twice.
        if place.replace(value.into_owned()).is_some() {
            return None;
        }
    }
    if values.state.as_deref() != Some(state) {
        return None;
    }
    match (values.code, values.error) {
        (Some(code), None) if !code.is_empty() => Some(Answer::Code(code)),
        (None, Some(error)) => Some(Answer::Refusal {
            error,
            description: values.description,
        }),
        _ => None,
    }
}

#[derive(Default)]
struct Values {
    state: Option<String>,
    code: Option<String>,
    error: Option<String>,
    description: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::{Answer, Loopback, answer};
    use std::time::Duration;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpStream;
    use tokio::time::timeout;

    fn get(target: &str) -> Vec<u8> {
        format!("GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n").into_bytes()
    }

    #[test]
    fn only_an_answer_with_the_right_state_counts() {
        let code = || Some(Answer::Code("c/1".to_owned()));
        let refusal = |description: Option<&str>| {
            Some(Answer::Refusal {
                error: "access_denied".to_owned(),
                description: description.map(str::to_owned),
            })
        };
        for (request, expected) in [
            (get("/?code=c%2F1&state=s"), code()),
            (get("/?state=s&iss=http%3A%2F%2Fas&code=c%2F1"), code()),
            (get("/?error=access_denied&state=s"), refusal(None)),
            (
                get("/?error=access_denied&error_description=no+way&state=s"),
                refusal(Some("no way")),
            ),
            (get("/?code=c%2F1&state=t"), None),
            (get("/?code=c%2F1"), None),
            (get("/?code=&state=s"), None),
            (get("/?code=a&code=b&state=s"), None),
            (get("/?code=a&error=b&state=s"), None),
            (get("/?state=s"), None),
            (get("/favicon.ico"), None),
            (get("/"), None),
            (b"POST /?code=c&state=s HTTP/1.1\r\n\r\n".to_vec(), None),
            (b"\x16\x03\x01\r\n\r\n".to_vec(), None),
            (b"\r\n\r\n".to_vec(), None),
        ] {
            let text = String::from_utf8_lossy(&request).into_owned();
            assert_eq!(answer(&request, "s"), expected, "{text}");
        }
    }

    async fn ask(port: u16, request: &[u8]) -> String {
        let mut browser = TcpStream::connect(("127.0.0.1", port))
            .await
            .expect("it listens");
        let _ = browser.write_all(request).await;
        let mut response = String::new();
        let _ = browser.read_to_string(&mut response).await;
        response
    }

    #[tokio::test]
    async fn the_browser_is_answered_and_others_keep_nobody_waiting() {
        let loopback = Loopback::open().await.expect("a port");
        let port = loopback.port();
        let waiting = tokio::spawn(loopback.answer_of("right"));
        // One that says nothing, as browsers open in advance.
        let silent = TcpStream::connect(("127.0.0.1", port))
            .await
            .expect("it listens");
        assert!(
            ask(port, &get("/favicon.ico"))
                .await
                .starts_with("HTTP/1.1 404")
        );
        assert!(
            ask(port, &get("/?code=evil&state=wrong"))
                .await
                .starts_with("HTTP/1.1 404")
        );
        assert_eq!(ask(port, &vec![b'x'; 100_000]).await, "");
        let page = ask(port, &get("/?code=good&state=right")).await;
        assert!(
            page.starts_with("HTTP/1.1 200") && page.contains("close this page"),
            "{page}"
        );
        let soon = Duration::from_secs(5);
        let answer = timeout(soon, waiting)
            .await
            .expect("in time")
            .expect("an answer");
        assert_eq!(answer, Answer::Code("good".to_owned()));
        assert!(
            TcpStream::connect(("127.0.0.1", port)).await.is_err(),
            "the port is closed"
        );
        drop(silent);
    }

    impl Loopback {
        async fn answer_of(self, state: &'static str) -> Answer {
            self.answer(state).await
        }
    }
}
