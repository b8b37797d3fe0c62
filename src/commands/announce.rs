//! What people and programs hear: people's words on standard error, results on standard output.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::{Exit, Failure};
use crate::cli::Global;
use crate::imap::Cursor;
use crate::ledger::Origin;
use crate::mail::Proof;
use crate::pairing::Answer;
use crate::receipt::{Event, Receipt};

/// The version of every JSON object's form.
const SCHEMA: u32 = 1;

/// How often the spinner moves.
const TICK: Duration = Duration::from_millis(120);

/// Says things.
#[derive(Debug)]
pub struct Announcer {
    json: bool,
    quiet: bool,
    verbose: bool,
    spinner: RefCell<Option<ProgressBar>>,
    /// Where the next call can go on from if this one comes to nothing.
    cursor: RefCell<Option<Cursor>>,
}

impl Announcer {
    /// Speaks as the command line asks.
    pub(super) fn new(global: &Global) -> Self {
        Self {
            json: global.json,
            quiet: global.quiet,
            verbose: global.verbose > 0,
            spinner: RefCell::new(None),
            cursor: RefCell::new(None),
        }
    }

    /// Whether programs listen.
    pub(super) fn speaks_json(&self) -> bool {
        self.json
    }

    /// A sentence for people.
    pub(super) fn say(&self, sentence: &str) {
        if !self.quiet {
            self.write_error(sentence);
        }
    }

    /// A sentence for people who want to know more.
    pub(super) fn detail(&self, sentence: &str) {
        if self.verbose {
            self.write_error(sentence);
        }
    }

    /// A sentence about something that failed, said even to those who want quiet.
    pub(super) fn error(&self, sentence: &str) {
        self.write_error(sentence);
    }

    /// Whether there is a person who can be asked.
    #[expect(clippy::unused_self, reason = "all input comes through the announcer")]
    pub(super) fn has_terminal(&self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Asks the person at the terminal, even one who wants quiet; gives the line that he types.
    pub(super) async fn ask(&self, prompt: &str) -> Result<String, Failure> {
        let mut err = io::stderr();
        let _ = write!(err, "{prompt}").and_then(|()| err.flush());
        // A signal must end us while nobody answers.
        let typed = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            io::stdin()
                .lock()
                .read_line(&mut line)
                .map(|octets| (octets, line))
        });
        match typed.await {
            Ok(Ok((1.., line))) => Ok(line),
            _ => Err(Failure::new(Exit::Usage, "nobody answered")),
        }
    }

    /// Asks a question that is answered by yes, unless `agreed` answers it; `otherwise` says what to do where nobody can
    /// be asked.
    pub(super) async fn confirm(
        &self,
        question: &str,
        agreed: bool,
        otherwise: &str,
    ) -> Result<(), Failure> {
        if agreed {
            return Ok(());
        }
        if !self.has_terminal() {
            let message = format!("{question} Nobody can be asked here: {otherwise}");
            return Err(Failure::new(Exit::Usage, message));
        }
        let answer = self.ask(&format!("{question} [y/N] ")).await?;
        match answer.trim().to_lowercase().as_str() {
            "y" | "yes" => Ok(()),
            _ => Err(Failure::new(
                Exit::Usage,
                format!("left as it is: {otherwise}"),
            )),
        }
    }

    /// A result for people, where programs get `object` instead.
    pub(super) fn result(&self, text: &str, object: Map<String, Value>) {
        if self.json {
            self.object(object);
        } else if !text.is_empty() {
            self.write_result(text);
        }
    }

    /// An object for programs; people get nothing.
    pub(super) fn object(&self, mut object: Map<String, Value>) {
        if self.json {
            object.insert("schema".to_owned(), SCHEMA.into());
            self.write_result(&Value::Object(object).to_string());
        }
    }

    /// Where to go on from if this call comes to nothing.
    pub(super) fn go_on_from(&self, cursor: Cursor) {
        *self.cursor.borrow_mut() = Some(cursor);
    }

    /// Shows that we wait, on a terminal only.
    pub(super) fn spin(&self, what: &str, deadline: Instant) {
        if self.quiet || !io::stderr().is_terminal() {
            return;
        }
        let left = move |_: &ProgressState, out: &mut dyn std::fmt::Write| {
            let left = deadline.saturating_duration_since(Instant::now());
            let _ = write!(out, "{}", humantime::format_duration(whole_seconds(left)));
        };
        let Ok(style) =
            ProgressStyle::with_template("{spinner} {msg}, {elapsed} so far, {left} left")
        else {
            return;
        };
        let spinner = ProgressBar::new_spinner()
            .with_style(style.with_key("left", left))
            .with_message(what.to_owned());
        spinner.enable_steady_tick(TICK);
        *self.spinner.borrow_mut() = Some(spinner);
    }

    /// Stops showing that we wait.
    pub(super) fn stop_spinning(&self) {
        if let Some(spinner) = self.spinner.borrow_mut().take() {
            spinner.finish_and_clear();
        }
    }

    /// The token waited for is stored; programs get the token itself where it is to be printed.
    pub(super) fn answer(&self, answer: &Answer, token: Option<&SecretString>) {
        let receipt = &answer.receipt;
        self.sentences(receipt);
        if answer.others > 0 {
            self.say(&format!(
                "{} came for {}: it was reset more than once. This is the newest.",
                match answer.others {
                    1 => "Another token mail".to_owned(),
                    others => format!("{others} other token mails"),
                },
                receipt.username.as_deref().unwrap_or_default()
            ));
        }
        let mut object = describe(receipt);
        object.insert("others".to_owned(), answer.others.into());
        if let Some(token) = token {
            object.insert("token".to_owned(), token.expose_secret().into());
        }
        self.object(object);
    }

    /// The token, for people.
    pub(super) fn token(&self, token: &SecretString) {
        if !self.json {
            self.write_result(token.expose_secret());
        }
    }

    /// What became of a mail.
    pub(super) fn receipt(&self, receipt: &Receipt) {
        self.sentences(receipt);
        if receipt.event != Event::Seen {
            self.object(describe(receipt));
        }
    }

    fn sentences(&self, receipt: &Receipt) {
        let whence = receipt.from.as_deref().unwrap_or("an unknown sender");
        let username = receipt.username.as_deref().unwrap_or("an unknown username");
        let date = || shown_date(receipt);
        let why = receipt.sentence.as_deref().unwrap_or_default();
        match receipt.event {
            Event::Stored => self.say(&format!(
                "Stored the security token of {username} in the {} (mail of {}, from {whence}).",
                receipt.store.as_deref().unwrap_or("keychain"),
                date()
            )),
            Event::Already => self.say(&format!(
                "The security token of {username} is stored already (mail of {}, from {whence}).",
                date()
            )),
            Event::Outdone => self.say(&format!(
                "Passed over an older mail with a token for {username} (of {}).",
                date()
            )),
            Event::Refused => self.say(&format!(
                "Refused a token mail ({}): {why}.",
                receipt.reason.as_deref().unwrap_or_default()
            )),
            Event::PendingStorage => self.say(&format!(
                "Cannot store the token of {username} yet: {why}. Trying again."
            )),
            Event::PendingJudgement => self.say(&format!(
                "Cannot judge the mail with the token of {username} yet: {why}. Trying again."
            )),
            Event::Seen => {
                self.detail(&format!(
                    "Passed over a mail from {whence}: no token in it."
                ));
                return;
            }
        }
        for warning in &receipt.warnings {
            self.say(&format!("Warning: {warning}."));
        }
    }

    /// Why the command did not do what it was asked to.
    pub(super) fn failure(&self, failure: &Failure) {
        self.stop_spinning();
        self.write_error(&format!("fetch-token: {}", failure.message));
        let cursor = self.cursor.borrow_mut().take().map(|c| c.to_string());
        if let (Some(cursor), false) = (&cursor, self.quiet) {
            self.write_error(&format!(
                "To go on from here: fetch-token wait --from {cursor}"
            ));
        }
        self.object(object(json!({
            "event": "failed",
            "exit": failure.exit.code(),
            "by": failure.exit.by(),
            "message": failure.message,
            "cursor": cursor,
        })));
    }

    fn write_error(&self, sentence: &str) {
        let write = || {
            // Nobody may be reading any more, which is no reason to stop.
            let _ = writeln!(io::stderr(), "{sentence}");
        };
        match &*self.spinner.borrow() {
            Some(spinner) => spinner.suspend(write),
            None => write(),
        }
    }

    #[expect(clippy::unused_self, reason = "all output goes through the announcer")]
    fn write_result(&self, text: &str) {
        let mut out = io::stdout().lock();
        // As above.
        let _ = writeln!(out, "{text}");
        let _ = out.flush();
    }
}

fn shown_date(receipt: &Receipt) -> String {
    let date = receipt.date.map(|date| date.to_string());
    date.unwrap_or_else(|| "an unknown date".to_owned())
}

/// A receipt as `wait` and `run` print it.
fn describe(receipt: &Receipt) -> Map<String, Value> {
    let mut described = object(json!({
        "event": receipt.event.word(),
        "reason": receipt.reason,
        "username": receipt.username,
        "date": receipt.date.map(|date| date.to_string()),
        "message_id": receipt.message_id,
        "sender": sender(receipt.from.as_deref(), receipt.proof.as_ref()),
    }));
    described.extend(place(receipt.origin.as_ref(), receipt.at));
    if receipt.event.is_stored() {
        described.insert("store".to_owned(), receipt.store.clone().into());
        described.insert("warnings".to_owned(), receipt.warnings.clone().into());
    }
    described
}

/// Where a mail lies, and what comes after it.
pub(super) fn place(origin: Option<&Origin>, at: Timestamp) -> Map<String, Value> {
    object(json!({
        "account": origin.map(|origin| &origin.account),
        "folder": origin.map(|origin| &origin.folder),
        "uid": origin.map(|origin| origin.uid),
        "cursor": origin.map(|origin| Cursor {
            account: origin.account.clone(),
            folder: origin.folder.clone(),
            uid_validity: origin.uid_validity,
            uid_next: origin.uid.saturating_add(1),
            taken: at,
        }),
    }))
}

/// Who sent a mail, and what proves that.
pub(super) fn sender(from: Option<&str>, proof: Option<&Proof>) -> Value {
    json!({
        "from": from,
        "proof": proof.map(|proof| proof.method.word()),
        "domain": proof.map(|proof| &proof.domain),
    })
}

/// The map of a JSON object.
pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        other => Map::from_iter([("value".to_owned(), other)]),
    }
}

fn whole_seconds(time: Duration) -> Duration {
    Duration::from_secs(time.as_secs())
}

/// A table's lines, its head first, with columns as wide as their widest cell.
pub(super) fn table<const COLUMNS: usize>(
    head: [&str; COLUMNS],
    rows: &[[String; COLUMNS]],
) -> Vec<String> {
    let head = head.map(str::to_owned);
    let all = || std::iter::once(&head).chain(rows);
    let width = |column: usize| all().map(|row| row[column].chars().count()).max();
    let widths: [usize; COLUMNS] = std::array::from_fn(|column| width(column).unwrap_or(0));
    all()
        .map(|row| {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(widths) {
                let _ = write!(line, "{cell:<width$}  ");
            }
            line.trim_end().to_owned()
        })
        .collect()
}
