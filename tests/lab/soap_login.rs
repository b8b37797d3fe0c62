//! A stand-in for Salesforce: SOAP `login()` and the few REST resources that the consumers ask for after it.
//!
//! It is an HTTPS proxy (RFC 9110, `CONNECT`) that answers itself in place of every `*.salesforce.com` it is asked
//! for, with a certificate of the lab's authority. So the programs run as they are, with Salesforce's own addresses.
//! What is made up: that Salesforce joins password and token in just this way is from its documentation and from the
//! clients; the answers hold no more than those clients read.

use super::ca::Identity;
use native_tls::TlsAcceptor;
use roxmltree::Document;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// The host that a login is sent on to.
const INSTANCE: &str = "acme.my.salesforce.com";
const SESSION: &str = "00Dxx0000001gERSESSION.OF.THE.STAND.IN";
const PARTNER: &str = "urn:partner.soap.sforce.com";

/// What the one account of the stand-in is called, which only a session gets to see.
pub const ACCOUNT_NAME: &str = "Rohrpost & Söhne";

/// One call of `login()`, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Login {
    pub host: String,
    pub username: String,
    pub password: String,
    /// The arguments and environments, as files of `/proc`, that showed the valid password or token at that time.
    pub exposed: Vec<String>,
}

/// What is known of a run of the stand-in.
#[derive(Default)]
struct Book {
    /// Username, password and token that are let in; everything else is `INVALID_LOGIN`.
    username: String,
    secrets: [String; 2],
    logins: Vec<Login>,
    /// The paths that a session asked for.
    asked: Vec<String>,
}

pub struct SoapLogin {
    port: u16,
    stop: Arc<AtomicBool>,
    book: Arc<Mutex<Book>>,
    listener: Option<JoinHandle<()>>,
}

impl SoapLogin {
    /// Lets in this user, with exactly this password followed by this token.
    pub fn start(identity: &Identity, username: &str, password: &str, token: &str) -> Self {
        let acceptor = identity.acceptor();
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
        listener
            .set_nonblocking(true)
            .expect("a listener that does not block");
        let port = listener.local_addr().expect("its port").port();
        let stop = Arc::new(AtomicBool::new(false));
        let book = Arc::new(Mutex::new(Book {
            username: username.to_owned(),
            secrets: [password, token].map(str::to_owned),
            ..Book::default()
        }));
        let (stopped, shared) = (Arc::clone(&stop), Arc::clone(&book));
        let listener = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let Ok((client, _)) = listener.accept() else {
                    thread::sleep(Duration::from_millis(2));
                    continue;
                };
                let (acceptor, book) = (acceptor.clone(), Arc::clone(&shared));
                // Ends with its client, which a test waits for, or with its time limit.
                thread::spawn(move || serve(&acceptor, client, &book));
            }
        });
        Self {
            port,
            stop,
            book,
            listener: Some(listener),
        }
    }

    /// The address for `HTTPS_PROXY`.
    pub fn proxy(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// The calls of `login()` so far.
    pub fn logins(&self) -> Vec<Login> {
        self.look(|book| book.logins.clone())
    }

    /// What a session asked for so far.
    pub fn asked(&self) -> Vec<String> {
        self.look(|book| book.asked.clone())
    }

    fn look<T>(&self, look: impl FnOnce(&Book) -> T) -> T {
        look(&self.book.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for SoapLogin {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(listener) = self.listener.take() {
            let _ = listener.join();
        }
    }
}

/// The tunnel's beginning, then requests until the client goes.
fn serve(acceptor: &TlsAcceptor, client: TcpStream, book: &Mutex<Book>) -> Option<()> {
    client.set_nonblocking(false).ok()?;
    client
        .set_read_timeout(Some(Duration::from_secs(20)))
        .ok()?;
    let tunnel = Request::read(&mut BufReader::with_capacity(1, &client))?;
    let host = tunnel.target.strip_suffix(":443").unwrap_or_default();
    if tunnel.method != "CONNECT" || !host.ends_with(".salesforce.com") {
        // Nothing else of the world is there.
        let _ = (&client).write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n");
        return None;
    }
    (&client).write_all(b"HTTP/1.1 200 OK\r\n\r\n").ok()?;
    let mut stream = BufReader::new(acceptor.accept(client).ok()?);
    while let Some(request) = Request::read(&mut stream) {
        let answer = answer(host, &request, book);
        let head = format!(
            "HTTP/1.1 {}\r\nContent-Type: {}; charset=UTF-8\r\nContent-Length: {}\r\n\
             Sforce-Limit-Info: api-usage=18/15000\r\n\r\n",
            answer.status,
            answer.media_type,
            answer.body.len()
        );
        let whole = [head.as_bytes(), answer.body.as_bytes()].concat();
        stream.get_mut().write_all(&whole).ok()?;
    }
    Some(())
}

struct Answer {
    status: &'static str,
    media_type: &'static str,
    body: String,
}

fn answer(host: &str, request: &Request, book: &Mutex<Book>) -> Answer {
    let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
    let path = request.target.split('?').next().unwrap_or_default();
    if request.method == "POST" && path.starts_with("/services/Soap/u/") {
        return login(host, request, &mut book);
    }
    if request.authorization.as_deref() != Some(&format!("Bearer {SESSION}")) || host != INSTANCE {
        let body = r#"[{"message":"Session expired or invalid","errorCode":"INVALID_SESSION_ID"}]"#;
        return json("401 Unauthorized", body.to_owned());
    }
    book.asked.push(request.target.clone());
    let resource = path.trim_end_matches('/').splitn(5, '/').nth(4);
    match resource.filter(|_| path.starts_with("/services/data/v")) {
        Some("query") => json(
            "200 OK",
            format!(
                r#"{{"totalSize":1,"done":true,"records":[{{"attributes":{{"type":"Account"}},"Id":"001xx000003DGb2AAG","Name":"{ACCOUNT_NAME}"}}]}}"#
            ),
        ),
        Some("sobjects") => json(
            "200 OK",
            r#"{"encoding":"UTF-8","maxBatchSize":200,"sobjects":[{"name":"Account","queryable":true}]}"#.to_owned(),
        ),
        Some("sobjects/Account/describe") => json("200 OK", describe()),
        _ => json(
            "404 Not Found",
            r#"[{"message":"The requested resource does not exist","errorCode":"NOT_FOUND"}]"#.to_owned(),
        ),
    }
}

fn json(status: &'static str, body: String) -> Answer {
    Answer {
        status,
        media_type: "application/json",
        body,
    }
}

/// The description of an object with three fields.
fn describe() -> String {
    let fields = [
        ("Id", "id"),
        ("Name", "string"),
        ("SystemModstamp", "datetime"),
    ]
    .map(|(name, kind)| {
        format!(r#"{{"name":"{name}","type":"{kind}","calculated":false,"nillable":false,"compoundFieldName":null}}"#)
    });
    format!(
        r#"{{"name":"Account","label":"Account","fields":[{}]}}"#,
        fields.join(",")
    )
}

/// SOAP `login()`: a body that is no well-formed envelope of it is a fault, and so is another user or password.
fn login(host: &str, request: &Request, book: &mut Book) -> Answer {
    let version = request.target.rsplit('/').next().unwrap_or_default();
    let number = version.parse::<f32>().unwrap_or_default();
    if !(31.0..65.0).contains(&number) {
        return fault("UNSUPPORTED_API_VERSION", "login() is in 31.0 to 64.0");
    }
    let Some((username, password)) = read_login(&request.body) else {
        return fault("UNKNOWN_EXCEPTION", "no login() of the partner API");
    };
    let is_valid = username == book.username && password == book.secrets.concat();
    book.logins.push(Login {
        host: host.to_owned(),
        username,
        password,
        exposed: showing(&book.secrets),
    });
    if !is_valid {
        return fault(
            "INVALID_LOGIN",
            "Invalid username, password, security token; or user locked out.",
        );
    }
    let mut result = String::new();
    for (name, value) in [
        (
            "serverUrl",
            &*format!("https://{INSTANCE}/services/Soap/u/{version}/00Dxx0000001gER"),
        ),
        ("sessionId", SESSION),
        ("passwordExpired", "false"),
        ("sandbox", "false"),
        ("userId", "005xx000001SwiU"),
    ] {
        write!(result, "<{name}>{value}</{name}>").expect("write into a String");
    }
    let user = "<userInfo><organizationId>00Dxx0000001gER</organizationId></userInfo>";
    envelope(
        "200 OK",
        &format!("<loginResponse><result>{result}{user}</result></loginResponse>"),
    )
}

/// Username and password of a well-formed `login()`.
fn read_login(body: &[u8]) -> Option<(String, String)> {
    let text = std::str::from_utf8(body).ok()?;
    let document = Document::parse(text.trim_start()).ok()?;
    let login = document
        .descendants()
        .find(|node| node.has_tag_name((PARTNER, "login")))?;
    let value = |name| {
        let element = login
            .children()
            .find(|node| node.has_tag_name((PARTNER, name)))?;
        Some(element.text().unwrap_or_default().to_owned())
    };
    Some((value("username")?, value("password")?))
}

/// The files of `/proc` with a process's arguments or environment that hold one of these.
fn showing(secrets: &[String]) -> Vec<String> {
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let files =
        processes.flat_map(|process| ["cmdline", "environ"].map(|name| process.path().join(name)));
    files
        .filter(|file| {
            let bytes = fs::read(file).unwrap_or_default();
            secrets
                .iter()
                .any(|secret| memchr::memmem::find(&bytes, secret.as_bytes()).is_some())
        })
        .map(|file| file.display().to_string())
        .collect()
}

fn fault(code: &str, words: &str) -> Answer {
    envelope(
        "500 Internal Server Error",
        &format!(
            "<soapenv:Fault><faultcode>sf:{code}</faultcode><faultstring>{code}: {words}</faultstring>\
             <detail><sf:LoginFault><sf:exceptionCode>{code}</sf:exceptionCode>\
             <sf:exceptionMessage>{words}</sf:exceptionMessage></sf:LoginFault></detail></soapenv:Fault>"
        ),
    )
}

fn envelope(status: &'static str, body: &str) -> Answer {
    Answer {
        status,
        media_type: "text/xml",
        body: format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><soapenv:Envelope \
             xmlns:soapenv=\"http://schemas.xmlsoap.org/soap/envelope/\" xmlns=\"{PARTNER}\" \
             xmlns:sf=\"urn:fault.partner.soap.sforce.com\"><soapenv:Body>{body}</soapenv:Body></soapenv:Envelope>"
        ),
    }
}

/// An HTTP/1.1 request (RFC 9112).
struct Request {
    method: String,
    target: String,
    authorization: Option<String>,
    body: Vec<u8>,
}

impl Request {
    fn read(stream: &mut impl BufRead) -> Option<Self> {
        let first = line(stream)?;
        let mut words = first.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        let (mut length, mut is_chunked, mut authorization) = (0, false, None);
        loop {
            let field = line(stream)?;
            if field.is_empty() {
                break;
            }
            let (name, value) = field.split_once(':')?;
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().ok()?,
                "transfer-encoding" => is_chunked = value.trim() == "chunked",
                "authorization" => authorization = Some(value.trim().to_owned()),
                _ => {}
            }
        }
        let body = if is_chunked {
            chunks(stream)?
        } else {
            octets(stream, length)?
        };
        Some(Self {
            method,
            target,
            authorization,
            body,
        })
    }
}

fn line(stream: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    stream.read_line(&mut line).ok()?;
    line.strip_suffix("\r\n").map(str::to_owned)
}

fn octets(stream: &mut impl BufRead, length: usize) -> Option<Vec<u8>> {
    let mut octets = vec![0; length];
    stream.read_exact(&mut octets).ok()?;
    Some(octets)
}

/// A chunked body, without extensions or trailers.
fn chunks(stream: &mut impl BufRead) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let length = usize::from_str_radix(&line(stream)?, 16).ok()?;
        body.append(&mut octets(stream, length)?);
        line(stream)?;
        if length == 0 {
            return Some(body);
        }
    }
}
