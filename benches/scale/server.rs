//! A mail server for thousands of connections, in a process of its own: this bench, run once more.
//!
//! It knows what fetch-token and `imap_tools` say. What it is asked on its standard input it answers on its standard
//! output, a line each.

use base64::Engine as _;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{self, BufRead as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_native_tls::{TlsAcceptor, TlsStream};

/// The argument that makes this bench the server.
pub(crate) const SERVE: &str = "serve";

const CAPABILITIES: &str = "CAPABILITY IMAP4rev1 SASL-IR IDLE WITHIN AUTH=PLAIN";

/// What the server has seen since it was started.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Seen {
    /// Connections that are open.
    pub(crate) open: usize,
    /// Most connections that were open and not logged in yet.
    pub(crate) most_entering: usize,
    /// Logins in all.
    pub(crate) logins: usize,
    /// Most logins within one second, counted from the first.
    pub(crate) most_logins_a_second: usize,
    /// Lines that clients sent.
    pub(crate) lines: usize,
}

/// What it is asked.
#[derive(Serialize, Deserialize)]
pub(crate) enum Question {
    /// What it has seen.
    Seen,
    /// To put a mail into the mailbox of the client with this name, and to announce it; answered with the time at which
    /// that was on the wire, in microseconds since 1970.
    Deliver { user: String, mail: String },
}

#[derive(Default)]
struct State {
    seen: Seen,
    entering: usize,
    /// The first login, and how many came in each second since.
    first_login: Option<Instant>,
    logins: Vec<usize>,
    mailboxes: HashMap<String, Mailbox>,
}

#[derive(Default)]
struct Mailbox {
    mails: Vec<String>,
    /// Who waits for more.
    bell: Option<mpsc::UnboundedSender<()>>,
}

type House = Arc<Mutex<State>>;

fn lock(house: &House) -> MutexGuard<'_, State> {
    house.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Serves until its standard input ends. The arguments: the port, 0 for any, and the files of certificate and key.
pub(crate) fn serve(arguments: &[String]) {
    let [port, certificate, key] = arguments else {
        panic!("{arguments:?}");
    };
    let read = |file: &str| std::fs::read(file).expect("an identity");
    let identity = native_tls::Identity::from_pkcs8(&read(certificate), &read(key));
    let acceptor = native_tls::TlsAcceptor::new(identity.expect("an identity")).expect("TLS");
    let acceptor = TlsAcceptor::from(acceptor);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let address = ("127.0.0.1", port.parse().expect("a port"));
        let listener = TcpListener::bind(address).await.expect("the port is free");
        println!("{}", listener.local_addr().expect("its address").port());
        let (ask, mut questions) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in io::stdin().lock().lines().map_while(Result::ok) {
                let _ = ask.send(serde_json::from_str::<Question>(&line).expect("a question"));
            }
        });
        let house = House::default();
        loop {
            tokio::select! {
                accepted = listener.accept() => if let Ok((tcp, _)) = accepted {
                    tokio::spawn(meet(tcp, acceptor.clone(), Arc::clone(&house)));
                },
                question = questions.recv() => match question {
                    Some(question) => answer(question, &house),
                    None => return,
                },
            }
        }
    });
}

fn answer(question: Question, house: &House) {
    let mut state = lock(house);
    match question {
        Question::Seen => {
            let seen = Seen {
                most_logins_a_second: state.logins.iter().copied().max().unwrap_or(0),
                ..state.seen
            };
            println!("{}", serde_json::to_string(&seen).expect("JSON"));
        }
        Question::Deliver { user, mail } => {
            let mailbox = state.mailboxes.entry(user).or_default();
            mailbox.mails.push(mail);
            let bell = mailbox.bell.as_ref().expect("somebody waits");
            bell.send(()).expect("somebody waits");
        }
    }
}

/// A connection, from its first octet to its last.
async fn meet(tcp: TcpStream, acceptor: TlsAcceptor, house: House) {
    let _ = tcp.set_nodelay(true);
    {
        let mut state = lock(&house);
        state.seen.open += 1;
        state.entering += 1;
        state.seen.most_entering = state.seen.most_entering.max(state.entering);
    }
    let mut is_in = false;
    if let Ok(stream) = acceptor.accept(tcp).await {
        let _ = talk(stream, &house, &mut is_in).await;
    }
    let mut state = lock(&house);
    state.seen.open -= 1;
    state.entering -= usize::from(!is_in);
}

async fn talk(stream: TlsStream<TcpStream>, house: &House, is_in: &mut bool) -> io::Result<()> {
    let mut stream = BufReader::with_capacity(1024, stream);
    let greeting = format!("* OK [{CAPABILITIES}] ready\r\n");
    stream.get_mut().write_all(greeting.as_bytes()).await?;
    let mut user = String::new();
    let mut announced = 0;
    let mut idle: Option<String> = None;
    let (bell, mut rings) = mpsc::unbounded_channel();
    let mut line = Vec::new();
    loop {
        let read = tokio::select! {
            // What was read of a line when the bell rings stays in `line`.
            read = stream.read_until(b'\n', &mut line) => read?,
            Some(()) = rings.recv(), if idle.is_some() => {
                let exists = lock(house).mailboxes[&user].mails.len();
                stream.get_mut().write_all(format!("* {exists} EXISTS\r\n").as_bytes()).await?;
                stream.get_mut().flush().await?;
                let at = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
                println!("{}", at.as_micros());
                continue;
            }
        };
        if read == 0 {
            return Ok(());
        }
        lock(house).seen.lines += 1;
        let told = String::from_utf8_lossy(&std::mem::take(&mut line)).into_owned();
        let told = told.trim_end();
        let said = if told == "DONE" {
            format!("{} OK done\r\n", idle.take().unwrap_or_default())
        } else {
            let (tag, command) = told.split_once(' ').unwrap_or((told, ""));
            if let Some(name) = login(command) {
                user = name;
                *is_in = true;
                let mut state = lock(house);
                state.enter();
                state.mailboxes.entry(user.clone()).or_default().bell = Some(bell.clone());
            }
            if command == "IDLE" {
                idle = Some(tag.to_owned());
            }
            let state = lock(house);
            let mailbox = state.mailboxes.get(&user);
            // A mail is announced before anything is said of it (RFC 3501, section 7.3.1).
            let exists = mailbox.map_or(0, |mailbox| mailbox.mails.len());
            let news = if exists > announced && command.starts_with("UID FETCH") {
                format!("* {exists} EXISTS\r\n")
            } else {
                String::new()
            };
            announced = exists;
            news + &reply(tag, command, mailbox)
        };
        stream.get_mut().write_all(said.as_bytes()).await?;
        stream.get_mut().flush().await?;
        if told.ends_with(" LOGOUT") {
            return Ok(());
        }
    }
}

impl State {
    fn enter(&mut self) {
        self.entering -= 1;
        self.seen.logins += 1;
        let since = self.first_login.get_or_insert_with(Instant::now).elapsed();
        let second = usize::try_from(since.as_secs()).expect("a short time");
        if self.logins.len() <= second {
            self.logins.resize(second + 1, 0);
        }
        self.logins[second] += 1;
    }
}

/// Who logs in with this command, whatever the password.
fn login(command: &str) -> Option<String> {
    if let Some(initial) = command.strip_prefix("AUTHENTICATE PLAIN ") {
        let octets = base64::prelude::BASE64_STANDARD.decode(initial).ok()?;
        let user = octets.split(|&octet| octet == 0).nth(1)?;
        return Some(String::from_utf8_lossy(user).into_owned());
    }
    let rest = command.strip_prefix("LOGIN ")?;
    Some(rest.split(' ').next()?.trim_matches('"').to_owned())
}

fn reply(tag: &str, command: &str, mailbox: Option<&Mailbox>) -> String {
    let mails = mailbox.map_or(&[][..], |mailbox| &mailbox.mails);
    let word = command.split(' ').next().unwrap_or_default();
    match word {
        "AUTHENTICATE" | "LOGIN" => format!("{tag} OK [{CAPABILITIES}] in\r\n"),
        "CAPABILITY" => format!("* {CAPABILITIES}\r\n{tag} OK done\r\n"),
        "EXAMINE" | "SELECT" => {
            let (exists, next) = (mails.len(), mails.len() + 1);
            format!(
                "* {exists} EXISTS\r\n* OK [UIDVALIDITY 7]\r\n* OK [UIDNEXT {next}]\r\n{tag} OK [READ-ONLY] done\r\n"
            )
        }
        "IDLE" => "+ idling\r\n".to_owned(),
        "UID" if command.starts_with("UID FETCH") => fetch(tag, command, mails),
        _ => format!("{tag} OK done\r\n"),
    }
}

/// `UID FETCH n:*`; a mail's UID is its number.
fn fetch(tag: &str, command: &str, mails: &[String]) -> String {
    let from = command.split([' ', ':']).nth(2).unwrap_or_default();
    let from: usize = from.parse().unwrap_or(usize::MAX);
    let section = command
        .split_once("BODY.PEEK[")
        .and_then(|(_, section)| section.split_once(']'))
        .map(|(section, _)| section);
    let mut said = String::new();
    for (number, mail) in (1..).zip(mails).filter(|(number, _)| *number >= from) {
        let (name, octets) = match section {
            None => {
                write!(said, "* {number} FETCH (UID {number})\r\n").expect("text");
                continue;
            }
            Some("") => ("BODY[]<0>".to_owned(), mail.as_str()),
            // Of the header section or some of its fields: all of it.
            Some(section) => {
                let end = mail.find("\r\n\r\n").map_or(mail.len(), |end| end + 4);
                (format!("BODY[{section}]"), &mail[..end])
            }
        };
        write!(
            said,
            "* {number} FETCH (UID {number} RFC822.SIZE {} INTERNALDATE \"24-Nov-2026 10:00:00 +0000\" \
             {name} {{{}}}\r\n{octets})\r\n",
            mail.len(),
            octets.len()
        )
        .expect("text");
    }
    said + &format!("{tag} OK done\r\n")
}

/// When something was on the wire, by its answer to [`Question::Deliver`].
pub(crate) fn instant(answer: &str) -> SystemTime {
    let micros = answer.trim().parse().expect("microseconds");
    UNIX_EPOCH + Duration::from_micros(micros)
}
