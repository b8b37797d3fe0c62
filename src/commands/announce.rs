//! What people and programs hear: people's words on standard error, results on standard output.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use serde_json::{Map, Value, json};
use tokio::time::Instant;

use super::Failure;
use crate::cli::Global;
use crate::imap::Cursor;
use crate::intake::{Fate, Held, Outcome};
use crate::mail::TokenMail;

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

    /// What became of a mail. `print`: with the token.
    pub(super) fn outcome(&self, outcome: &Outcome, store: &str, print: bool) {
        let facts = &outcome.facts;
        let whence = facts.from.as_deref().unwrap_or("an unknown sender");
        match &outcome.fate {
            Fate::Stored(mail) => {
                self.say(&format!(
                    "Stored the security token of {} in the {store} (mail of {}, from {whence}).",
                    mail.username, mail.date
                ));
            }
            Fate::Already(mail) => self.say(&format!(
                "The security token of {} is stored already (mail of {}, from {whence}).",
                mail.username, mail.date
            )),
            Fate::Outdone(mail) => self.say(&format!(
                "Passed over an older mail with a token for {} (of {}).",
                mail.username, mail.date
            )),
            Fate::Refused(refused) => self.say(&format!(
                "Refused a token mail ({}): {}.",
                refused.reason, refused.sentence
            )),
            Fate::Pending(pending) => self.say(&format!(
                "Cannot {} the token of {} yet: {}. Trying again.",
                match pending.held {
                    Held::Token(_) => "store",
                    Held::Raw(_) => "judge the mail with",
                },
                facts.username.as_deref().unwrap_or("an unknown username"),
                pending.why
            )),
            Fate::NotATokenMail(_) => {
                self.detail(&format!(
                    "Passed over a mail from {whence}: no token in it."
                ));
                return;
            }
            Fate::Judged(_) => return,
        }
        let token = stored_mail(&outcome.fate);
        for warning in token.iter().flat_map(|mail| &mail.warnings) {
            self.say(&format!("Warning: {warning}."));
        }
        self.object(describe(outcome, store, print));
        if let (Some(mail), true, false) = (token, print, self.json) {
            self.write_result(mail.token.expose());
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

/// The mail whose token is stored now.
fn stored_mail(fate: &Fate) -> Option<&TokenMail> {
    match fate {
        Fate::Stored(mail) | Fate::Already(mail) => Some(mail),
        _ => None,
    }
}

/// An outcome as `wait` and `run` print it.
fn describe(outcome: &Outcome, store: &str, print: bool) -> Map<String, Value> {
    let facts = &outcome.facts;
    let event = match &outcome.fate {
        Fate::Stored(_) => "stored",
        Fate::Already(_) => "already",
        Fate::Outdone(_) => "outdone",
        Fate::Pending(_) => "pending",
        Fate::Refused(_) => "refused",
        Fate::Judged(_) | Fate::NotATokenMail(_) => "seen",
    };
    let reason = match &outcome.fate {
        Fate::Pending(pending) => Some(pending.why.reason()),
        Fate::Refused(refused) => Some(refused.reason),
        _ => None,
    };
    let origin = outcome.origin.as_ref();
    let mut described = object(json!({
        "event": event,
        "reason": reason,
        "username": facts.username,
        "account": origin.map(|origin| &origin.account),
        "folder": origin.map(|origin| &origin.folder),
        "uid": origin.map(|origin| origin.uid),
        "cursor": origin.map(|origin| Cursor {
            account: origin.account.clone(),
            folder: origin.folder.clone(),
            uid_validity: origin.uid_validity,
            uid_next: origin.uid.saturating_add(1),
        }.to_string()),
        "date": facts.date.map(|date| date.to_string()),
        "message_id": facts.message_id,
        "sender": sender(outcome),
    }));
    if let Some(mail) = stored_mail(&outcome.fate) {
        let warnings: Vec<_> = mail.warnings.iter().map(ToString::to_string).collect();
        described.insert("store".to_owned(), store.into());
        described.insert("warnings".to_owned(), warnings.into());
        if print {
            described.insert("token".to_owned(), mail.token.expose().into());
        }
    }
    described
}

/// Who sent it, and what proves that.
pub(super) fn sender(outcome: &Outcome) -> Value {
    let proof = outcome.facts.proof.as_ref();
    json!({
        "from": outcome.facts.from,
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
