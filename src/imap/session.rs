//! Commands whose answers are checked: nothing counts until the tagged OK was read.
//!
//! `async-imap` reads the grammar. Everything it decides on its own (that silence is success, that an end is an
//! interruption) is decided here instead: see RFC 3501 §7 for what a server may say at any time.

use std::fmt::Debug;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use async_imap::imap_proto::{Capability, MailboxDatum, Outcome, Response, ResponseCode, Status};
use futures_util::FutureExt as _;
use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, sleep, timeout_at};
use zeroize::Zeroizing;

use super::condition::Heard;
use super::error::{Error, ServerText};
use super::folders::mailbox_name;
use super::guard::{Allowance, Guard, Violation};
use super::idle::{DONE, Idling};
use crate::account::advice;

/// How long one command may take. Busy servers take some seconds for a SEARCH; a connection that is silent for
/// half a minute in the middle of a command is dead.
pub const COMMAND: Duration = Duration::from_secs(30);

/// How long the greeting, the answer to IDLE and the answer to DONE may take: they cost the server nothing.
pub const PROMPT: Duration = Duration::from_secs(15);

/// Lines within one step that make a flood of it where it does not end: what other programs do to a folder, or a list
/// that arrives slowly, stays far below.
const FLOOD: usize = 1_000;

/// What the parser cannot read.
const UNREADABLE: &str = "an answer cannot be read";

/// Another server than one for IMAP, most likely.
pub(super) const NO_GREETING: &str = "it does not greet as an IMAP server does";

/// A byte stream that a session can run on.
pub trait Wire: AsyncRead + AsyncWrite + Unpin + Debug + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Debug + Send> Wire for T {}

/// One IMAP connection after its greeting.
#[derive(Debug)]
pub struct Session<S: Wire> {
    client: async_imap::Client<Guard<S>>,
    commands: u32,
    capabilities: Option<Vec<String>>,
    heard: Option<(Timestamp, &'static str, Option<ServerText>)>,
    logged_in_by: Option<String>,
    pace: Pace,
    /// SEARCH may be asked: its answer is one line, and a line has a limit.
    pub(super) may_search: bool,
    pub(super) folder: Folder,
}

/// The open folder, as far as the server told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Folder {
    /// Its name, as configured.
    pub name: String,
    /// `UIDVALIDITY` (RFC 3501 §2.3.1.1).
    pub uid_validity: u32,
    /// `UIDNEXT`; some servers (163.com) do not say.
    pub uid_next: Option<u32>,
    /// Messages in the folder now.
    pub exists: u32,
    /// Messages the folder had when it was last searched, less those expunged since.
    pub searched: u32,
    /// `EXISTS` came since the folder was last searched: there may be mail we have not looked at.
    pub announced: bool,
    /// The server said NO or BAD without being asked: the folder may be another by now.
    pub is_doubted: bool,
}

/// A command that was sent and is not answered yet.
#[derive(Debug)]
pub(super) struct Sent {
    tag: String,
    command: &'static str,
}

/// A command's name, for errors, and its line without tag and end.
pub(super) struct Command {
    pub(super) name: &'static str,
    pub(super) line: Zeroizing<String>,
}

impl Command {
    pub(super) fn new(name: &'static str, line: impl Into<String>) -> Self {
        Self {
            name,
            line: Zeroizing::new(line.into()),
        }
    }
}

impl<S: Wire> Session<S> {
    /// Reads the greeting, which must be OK: an authentication that we did not make (PREAUTH) is refused.
    pub async fn greeted(wire: S) -> Result<Self, Error> {
        let mut session = Self::without_greeting(wire);
        let limit = Limit::new("the greeting", PROMPT);
        let greeted = session.next(&limit, Self::take_greeting).await;
        greeted.map_err(|error| match error {
            Error::Protocol(UNREADABLE) => Error::Protocol(NO_GREETING),
            error => error,
        })??;
        Ok(session)
    }

    fn take_greeting(&mut self, greeting: &Response<'_>) -> Result<(), Error> {
        let (kind, text) = kind_of(greeting);
        self.heard = Some((Timestamp::now(), kind, text));
        match greeting {
            Response::Data {
                status: Status::Ok,
                outcome,
            } => {
                self.note_code(outcome);
                Ok(())
            }
            Response::Data {
                status: Status::Bye,
                outcome,
            } => Err(Error::Bye(text_of(outcome))),
            Response::Data {
                status: Status::PreAuth,
                ..
            } => Err(Error::Protocol(
                "it greets as if somebody had logged in already",
            )),
            _ => Err(Error::Protocol(NO_GREETING)),
        }
    }

    /// For a wire on which the greeting is past: after STARTTLS.
    pub fn without_greeting(wire: S) -> Self {
        Self {
            client: async_imap::Client::new(Guard::new(wire)),
            commands: 0,
            capabilities: None,
            heard: None,
            logged_in_by: None,
            pace: Pace::new(),
            may_search: true,
            folder: Folder::default(),
        }
    }

    /// Commands sent and octets received so far.
    #[must_use]
    pub fn traffic(&self) -> (u32, u64) {
        (self.commands, self.client.get_ref().total_received())
    }

    /// What the server said last: the kind of response and a status's text, never a mail.
    #[must_use]
    pub fn heard(&self) -> Option<Heard> {
        self.heard.as_ref().map(|(at, kind, text)| Heard {
            at: *at,
            line: match text {
                Some(text) => format!("{kind} {text}"),
                None => (*kind).to_owned(),
            },
        })
    }

    /// Whether the server offers `capability` (RFC 3501 §7.2.1), asking only where it has not said yet.
    pub async fn offers(&mut self, capability: &str) -> Result<bool, Error> {
        if self.capabilities.is_none() {
            self.run(Command::new("CAPABILITY", "CAPABILITY"), Allowance::SHORT)
                .await?;
            // Who answers OK and lists nothing offers nothing, and is not asked again.
            self.capabilities.get_or_insert_default();
        }
        Ok(self.offered().any(|c| c.eq_ignore_ascii_case(capability)))
    }

    /// The command that the login was made with, and its mechanism (RFC 3501 §6.2.2).
    #[must_use]
    pub fn logged_in_by(&self) -> Option<&str> {
        self.logged_in_by.as_deref()
    }

    /// What the server offered when it last said.
    pub fn offered(&self) -> impl Iterator<Item = &str> {
        self.capabilities.iter().flatten().map(String::as_str)
    }

    /// What the server offered before login no longer counts (RFC 3501 §6.2.3).
    pub(super) fn forget_capabilities(&mut self) {
        self.capabilities = None;
    }

    /// Opens `folder` read-only (RFC 3501 §6.3.2).
    pub async fn examine(&mut self, folder: &str) -> Result<&Folder, Error> {
        self.folder = Folder {
            name: folder.to_owned(),
            ..Folder::default()
        };
        let mut uid_validity = None;
        let mut uid_next = None;
        let sent = self
            .send(
                Command::new("EXAMINE", format!("EXAMINE {}", mailbox_name(folder))),
                Allowance::SHORT,
            )
            .await?;
        self.complete(&sent, COMMAND, |response| {
            if let Response::Data { outcome, .. } | Response::Done { outcome, .. } = response {
                match outcome.code {
                    Some(ResponseCode::UidValidity(value)) => uid_validity = Some(value),
                    // Zero is no UID (RFC 3501 §9), and no set may name it.
                    Some(ResponseCode::UidNext(value)) if value > 0 => uid_next = Some(value),
                    _ => {}
                }
            }
        })
        .await
        .map_err(|error| match error {
            Error::Refused { text, .. } => match advice::of_session(text.as_str()) {
                Some(advice) => Error::LoginUnavailable {
                    text,
                    advice: advice.sentence(""),
                },
                None => Error::Folder {
                    folder: folder.to_owned(),
                    text,
                },
            },
            other => other,
        })?;
        self.folder.uid_validity =
            uid_validity.ok_or(Error::Protocol("it opens a folder without UIDVALIDITY"))?;
        self.folder.uid_next = uid_next;
        self.note_searched();
        Ok(&self.folder)
    }

    /// Lets the server look for new mail in the open folder (RFC 3501 §6.1.2): Courier does so at no other command,
    /// and a search finds what the server has seen.
    pub(super) async fn look_around(&mut self) -> Result<(), Error> {
        self.run(Command::new("NOOP", "NOOP"), Allowance::SHORT)
            .await
    }

    /// The folder is about to be searched: what is announced from now on is news.
    pub(super) fn note_searched(&mut self) {
        self.folder.searched = self.folder.exists;
        self.folder.announced = false;
    }

    /// Says goodbye (RFC 3501 §6.1.3) without waiting for the answer, ending `idling` in the same write.
    pub async fn logout(mut self, idling: Option<Idling>) {
        let first = if idling.is_some() { DONE } else { "" };
        // Whether the server hears it makes no difference to us.
        let _ = self
            .send_after(first, Command::new("LOGOUT", "LOGOUT"))
            .await;
    }

    /// Sends one command and waits for its tagged OK.
    pub(super) async fn run(
        &mut self,
        command: Command,
        allowance: Allowance,
    ) -> Result<(), Error> {
        let sent = self.send(command, allowance).await?;
        self.complete(&sent, COMMAND, |_| {}).await
    }

    /// Sends one command.
    pub(super) async fn send(
        &mut self,
        command: Command,
        allowance: Allowance,
    ) -> Result<Sent, Error> {
        self.client.get_mut().allow(allowance);
        self.send_after("", command).await
    }

    /// Sends `first`, which is empty or a whole line, and a command behind it in one write.
    pub(super) async fn send_after(
        &mut self,
        first: &str,
        command: Command,
    ) -> Result<Sent, Error> {
        let pause = self.pace.take(self.traffic().1, Instant::now());
        if !pause.is_zero() {
            sleep(pause).await;
        }
        self.commands += 1;
        if matches!(command.name, "AUTHENTICATE" | "LOGIN") {
            self.logged_in_by = Some(method(&command));
        }
        let sent = Sent {
            tag: format!("f{}", self.commands),
            command: command.name,
        };
        tracing::trace!(tag = %sent.tag, command = command.name, "sent");
        let line = Zeroizing::new(format!("{first}{} {}\r\n", sent.tag, command.line.as_str()));
        self.write(&line, command.name).await?;
        Ok(sent)
    }

    /// Writes whole lines in one go.
    pub(super) async fn write(&mut self, lines: &str, step: &'static str) -> Result<(), Error> {
        let limit = Limit::new(step, COMMAND);
        let wire = self.client.get_mut();
        let written = timeout_at(limit.at, async {
            wire.write_all(lines.as_bytes()).await?;
            wire.flush().await
        })
        .await
        .map_err(|_| limit.passed())?;
        written.map_err(|error| from_io(&error, step))
    }

    /// What the server may send from now on.
    pub(super) fn allow(&mut self, allowance: Allowance) {
        self.client.get_mut().allow(allowance);
    }

    /// Reads up to the tagged answer to `sent`, showing each response on the way to `each`, the tagged one too.
    pub(super) async fn complete(
        &mut self,
        sent: &Sent,
        within: Duration,
        mut each: impl FnMut(&Response<'_>),
    ) -> Result<(), Error> {
        let limit = Limit::new(sent.command, within);
        loop {
            let step = |session: &mut Self, response: &Response<'_>| {
                session.step(sent, response, &mut each)
            };
            if let Some(done) = self.next(&limit, step).await?? {
                return done;
            }
        }
    }

    /// Takes one response on the way to the tagged answer of `sent`, which is the result.
    fn step(
        &mut self,
        sent: &Sent,
        response: &Response<'_>,
        each: &mut impl FnMut(&Response<'_>),
    ) -> Result<Option<Result<(), Error>>, Error> {
        self.note(response)?;
        match response {
            Response::Done {
                tag,
                status,
                outcome,
            } => {
                if tag.0 != sent.tag {
                    return Err(Error::Protocol("it answers a command that was not sent"));
                }
                if *status != Status::Ok {
                    return Ok(Some(Err(Error::Refused {
                        command: sent.command,
                        text: text_of(outcome),
                    })));
                }
                each(response);
                Ok(Some(Ok(())))
            }
            Response::Continue(_) => {
                Err(Error::Protocol("it asks for more than the command holds"))
            }
            _ => {
                each(response);
                Ok(None)
            }
        }
    }

    /// Reads the continuation request (RFC 3501 §7.5) that `sent` waits for, and gives its text. `None`: the command is
    /// answered OK without one.
    pub(super) async fn continuation(
        &mut self,
        sent: &Sent,
        within: Duration,
    ) -> Result<Option<String>, Error> {
        let limit = Limit::new(sent.command, within);
        loop {
            let step = |session: &mut Self,
                        response: &Response<'_>|
             -> Result<Option<Result<Option<String>, Error>>, Error> {
                if let Response::Continue(outcome) = response {
                    let text = outcome.information.as_deref().unwrap_or_default();
                    return Ok(Some(Ok(Some(text.to_owned()))));
                }
                let done = session.step(sent, response, &mut |_| {})?;
                Ok(done.map(|done| done.map(|()| None)))
            };
            if let Some(done) = self.next(&limit, step).await?? {
                return done;
            }
        }
    }

    /// Reads one response of a server that was told to speak when it has something to say; `None`: it was silent
    /// until `until`.
    pub(super) async fn unsolicited(&mut self, until: Instant) -> Result<Option<()>, Error> {
        let limit = Limit {
            step: "IDLE",
            within: Duration::ZERO,
            at: until,
        };
        let note = |session: &mut Self, response: &Response<'_>| {
            session.note(response)?;
            if matches!(response, Response::Done { .. }) {
                return Err(Error::Protocol("it ended IDLE by itself"));
            }
            Ok(())
        };
        match self.next(&limit, note).await {
            Ok(noted) => noted.map(Some),
            Err(Error::Timeout { .. } | Error::Flood { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Reads one response and hands it to `take`. The parser's panics stay here; its errors, which quote the mail,
    /// as well.
    async fn next<T>(
        &mut self,
        limit: &Limit,
        take: impl FnOnce(&mut Self, &Response<'_>) -> T,
    ) -> Result<T, Error> {
        // A flood is always ready to be read: without this it would keep every other account waiting.
        tokio::task::coop::consume_budget().await;
        let read = AssertUnwindSafe(self.client.read_response()).catch_unwind();
        match timeout_at(limit.at, read).await {
            Err(_) => Err(self.passed(limit)),
            Ok(Err(_panic)) => Err(Error::Protocol("an answer breaks the reader")),
            Ok(Ok(Ok(Some(response)))) => Ok(take(self, response.parsed())),
            Ok(Ok(Ok(None))) => Err(Error::Closed { step: limit.step }),
            Ok(Ok(Err(error))) => Err(from_io(&error, limit.step)),
        }
    }

    /// A step is over its time, silently or not.
    fn passed(&self, limit: &Limit) -> Error {
        let lines = self.client.get_ref().lines();
        if lines < FLOOD {
            return limit.passed();
        }
        Error::Flood {
            step: limit.step,
            limit: limit.within,
            lines,
        }
    }

    /// What any response may tell beside answering.
    fn note(&mut self, response: &Response<'_>) -> Result<(), Error> {
        let (kind, text) = kind_of(response);
        self.heard = Some((Timestamp::now(), kind, text));
        match response {
            Response::Data {
                status: Status::Bye,
                outcome,
            } => return Err(Error::Bye(text_of(outcome))),
            // A greeting only (RFC 3501 §7.1.4), and that is past. Behind STARTTLS it is an attack.
            Response::Data {
                status: Status::PreAuth,
                ..
            } => {
                return Err(Error::Protocol(
                    "it says that somebody had logged in already",
                ));
            }
            Response::Data { status, outcome } => {
                self.folder.is_doubted |= matches!(status, Status::No | Status::Bad);
                self.note_code(outcome);
            }
            Response::Done { outcome, .. } => self.note_code(outcome),
            Response::Capabilities(offered) => {
                self.capabilities = Some(offered.iter().map(name_of).collect());
            }
            Response::MailboxData(MailboxDatum::Exists(count)) => {
                self.folder.exists = *count;
                self.folder.announced = true;
            }
            Response::Expunge(_) => {
                self.folder.exists = self.folder.exists.saturating_sub(1);
                self.folder.searched = self.folder.searched.saturating_sub(1);
            }
            _ => {}
        }
        Ok(())
    }

    fn note_code(&mut self, outcome: &Outcome<'_>) {
        if let Some(ResponseCode::Capabilities(offered)) = &outcome.code {
            self.capabilities = Some(offered.iter().map(name_of).collect());
        }
    }
}

/// How a command logs in: by its name, and the mechanism behind AUTHENTICATE. Never what follows.
fn method(command: &Command) -> String {
    match (command.name, command.line.split(' ').nth(1)) {
        ("AUTHENTICATE", Some(mechanism)) => format!("AUTHENTICATE {mechanism}"),
        (name, _) => name.to_owned(),
    }
}

/// How fast a server may keep us busy: one that has a new mail whenever it is asked is asked for ever.
///
/// A command costs one, and each 64 KiB that were received one more.
#[derive(Debug)]
struct Pace {
    left: f64,
    at: Instant,
    /// Octets received up to then.
    received: u64,
}

impl Pace {
    /// What may be spent at once: a thousand mails that came together cost about half of it.
    const MOST: f64 = 400.0;

    /// What may be spent in a second for ever.
    const A_SECOND: f64 = 20.0;

    fn new() -> Self {
        Self {
            left: Self::MOST,
            at: Instant::now(),
            received: 0,
        }
    }

    /// How long to wait before another command, where so much was received up to now.
    fn take(&mut self, received: u64, now: Instant) -> Duration {
        let earned = Self::A_SECOND * now.saturating_duration_since(self.at).as_secs_f64();
        #[allow(clippy::cast_precision_loss, reason = "far below 2^52 octets")]
        let cost = 1.0 + (received - self.received) as f64 / 65_536.0;
        self.left = (self.left + earned).min(Self::MOST) - cost;
        (self.at, self.received) = (now, received);
        Duration::from_secs_f64((-self.left).max(0.0) / Self::A_SECOND)
    }
}

/// A step and when it must be over.
#[derive(Debug)]
struct Limit {
    step: &'static str,
    within: Duration,
    at: Instant,
}

impl Limit {
    fn new(step: &'static str, within: Duration) -> Self {
        Self {
            step,
            within,
            at: Instant::now() + within,
        }
    }

    fn passed(&self) -> Error {
        Error::Timeout {
            step: self.step,
            limit: self.within,
        }
    }
}

/// The kind of a response, and its text where it has one.
fn kind_of(response: &Response<'_>) -> (&'static str, Option<ServerText>) {
    match response {
        Response::Data { status, outcome }
        | Response::Done {
            status, outcome, ..
        } => {
            let kind = match status {
                Status::Ok => "OK",
                Status::No => "NO",
                Status::Bad => "BAD",
                Status::PreAuth => "PREAUTH",
                Status::Bye => "BYE",
            };
            (kind, Some(text_of(outcome)))
        }
        Response::Continue(_) => ("+", None),
        Response::Capabilities(_) => ("CAPABILITY", None),
        Response::Expunge(_) => ("EXPUNGE", None),
        Response::Fetch(..) => ("FETCH", None),
        Response::MailboxData(MailboxDatum::Exists(_)) => ("EXISTS", None),
        Response::MailboxData(MailboxDatum::Recent(_)) => ("RECENT", None),
        Response::MailboxData(MailboxDatum::Search(_)) => ("SEARCH", None),
        Response::MailboxData(MailboxDatum::List(_)) => ("LIST", None),
        Response::MailboxData(MailboxDatum::Flags(_)) => ("FLAGS", None),
        _ => ("another response", None),
    }
}

fn name_of(capability: &Capability<'_>) -> String {
    match capability {
        Capability::Imap4rev1 => "IMAP4rev1".to_owned(),
        Capability::Auth(mechanism) => format!("AUTH={mechanism}"),
        Capability::Atom(name) => name.clone().into_owned(),
    }
}

fn text_of(outcome: &Outcome<'_>) -> ServerText {
    let information = outcome.information.as_deref().unwrap_or_default();
    match &outcome.code {
        Some(ResponseCode::Alert) => ServerText::new(&format!("[ALERT] {information}")),
        _ => ServerText::new(information),
    }
}

/// An error of the stream, without its text: the parser puts what it could not read into it.
fn from_io(error: &std::io::Error, step: &'static str) -> Error {
    if let Some(violation) = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<Violation>())
    {
        return Error::Guard(*violation);
    }
    if error.kind() == std::io::ErrorKind::Other && error.raw_os_error().is_none() {
        return Error::Protocol(UNREADABLE);
    }
    Error::Closed { step }
}

/// A string of RFC 3501 §4.3 in its quoted form. The caller sees to it that `text` is one ASCII line.
pub(super) fn quoted(text: &str) -> Zeroizing<String> {
    Zeroizing::new(format!(
        "\"{}\"",
        text.replace('\\', "\\\\").replace('"', "\\\"")
    ))
}
