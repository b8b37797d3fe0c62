//! What is said over the daemon's socket: one JSON value a line, typed and versioned. Never a token; a verification code
//! to those alone who asked for one.
//!
//! The daemon speaks first, with a [`Greeting`]. The client answers with an [`Opening`], which holds its one
//! request, and the daemon with [`Answer`]s. After [`Request::Watch`] the client may send [`Prompt`]s until it goes
//! away; after the other requests the daemon ends the conversation.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::attendant::Start;
use crate::imap::{Condition, Cursor};
use crate::intake::Step;
use crate::mail::{CodeMail, Kind as _, Rules, TokenMail};
use crate::news::News;
use crate::receipt::CodeReceipt;

/// The version of everything below. Raise it with every change that the other side would misread.
pub const VERSION: u32 = 2;

/// The daemon's first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Greeting {
    /// Its [`VERSION`].
    pub protocol: u32,
    /// The program's version, for people.
    pub version: String,
    /// The configuration it goes by.
    pub config: Configuration,
}

/// A configuration: two processes that mean the same one give the same answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Configuration {
    /// The file's canonical path.
    pub file: String,
    /// A hash of its text, as it was read.
    pub text: String,
}

/// The client's first line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Opening {
    /// Its [`VERSION`].
    pub protocol: u32,
    /// What it wants.
    pub request: Request,
}

/// What a client wants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// To share the watch of an account.
    Watch {
        /// The account's address.
        account: String,
        /// Where to begin.
        begin: Begin,
        /// What to hear of; of tokens where nothing is said.
        #[serde(default)]
        wanted: Wanted,
    },
    /// To know how each account is doing.
    Status,
    /// That the configuration is read again.
    Reload,
}

/// What one who shares a watch hears of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wanted {
    /// Tokens: what became of each mail, and never a code.
    #[default]
    Token,
    /// Verification codes: mails are looked at for them only while somebody asks. Never a word of tokens.
    Code,
}

impl Wanted {
    /// The kind of mail that is wanted.
    #[must_use]
    pub fn rules(self) -> &'static Rules {
        match self {
            Self::Token => TokenMail::RULES,
            Self::Code => CodeMail::RULES,
        }
    }
}

/// Where a wait begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Begin {
    /// At what arrived within this time before now, and with what waits since earlier.
    Within(Duration),
    /// At this place.
    From(Cursor),
    /// At what arrives from now on.
    Now,
}

impl Begin {
    /// The same for a watch.
    #[must_use]
    pub fn start(&self) -> Start {
        match self {
            Self::Within(window) => Start::within(*window),
            Self::From(cursor) => Start::from(cursor.clone()),
            Self::Now => Start::now(),
        }
    }
}

/// What a client that shares a watch asks in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Prompt {
    /// To search without waiting for the server; answered with [`News::Armed`] when that is done.
    SearchNow,
    /// What the intake is doing; answered with [`Answer::Standing`].
    Standing,
}

/// What the daemon answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// To [`Request::Watch`], any number of times.
    News(News),
    /// To [`Request::Watch`] for codes, any number of times: the only place where a code is said.
    Code(Box<CodeReceipt>),
    /// To [`Prompt::Standing`].
    Standing(Step),
    /// To [`Request::Status`], once for each account.
    Account(Box<Account>),
    /// Everything was said, or done.
    Done,
    /// It was not done: what happened, then what to do.
    Refused(String),
}

/// How an account is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its address.
    pub address: String,
    /// How its watch is doing.
    pub condition: Condition,
    /// How often a connection was made anew.
    pub reconnects: u32,
    /// How many clients share its watch.
    pub waiters: u32,
    /// What the ledger knows of it; absent where it cannot be read.
    pub ledger: Option<Settled>,
}

/// What the ledger knows of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// The token stored last.
    pub stored: Option<Stored>,
    /// Mails that wait to be judged or stored.
    pub pending: u32,
    /// Mails that were refused.
    pub refused: u32,
}

/// A token that was stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Whose.
    pub username: String,
    /// When.
    pub at: Timestamp,
}

/// Why a daemon of this version and a program of that protocol cannot talk, and which of them is to be restarted.
#[must_use]
pub fn mismatch(daemon: u32, version: &str, program: u32) -> Option<String> {
    match daemon.cmp(&program) {
        std::cmp::Ordering::Equal => None,
        std::cmp::Ordering::Less => Some(format!(
            "the daemon (version {version}, protocol {daemon}) is older than this program (protocol {program}). \
             Restart the daemon"
        )),
        std::cmp::Ordering::Greater => Some(format!(
            "this program (protocol {program}) is older than the daemon (version {version}, protocol {daemon}). Call \
             the program that was installed with the daemon"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, Begin, Opening, Request, VERSION, Wanted, mismatch};
    use crate::imap::Class;
    use crate::news::News;
    use std::time::Duration;

    #[test]
    fn what_is_said_stays_what_it_is() {
        let opening = Opening {
            protocol: VERSION,
            request: Request::Watch {
                account: "a@b.example".to_owned(),
                begin: Begin::Within(Duration::from_mins(10)),
                wanted: Wanted::Code,
            },
        };
        let line = serde_json::to_string(&opening).expect("JSON");
        assert_eq!(
            line,
            r#"{"protocol":2,"request":{"watch":{"account":"a@b.example","begin":{"within":{"secs":600,"nanos":0}},"wanted":"code"}}}"#
        );
        assert_eq!(
            serde_json::from_str::<Opening>(&line).expect("read"),
            opening
        );
        let unsaid = line.replace(r#","wanted":"code""#, "");
        let Request::Watch { wanted, .. } = serde_json::from_str::<Opening>(&unsaid)
            .expect("read")
            .request
        else {
            panic!("{unsaid}");
        };
        assert_eq!(wanted, Wanted::Token);
        let answer = Answer::News(News::Failed {
            class: Class::Login,
            sentence: "no".to_owned(),
        });
        let line = serde_json::to_string(&answer).expect("JSON");
        assert_eq!(
            line,
            r#"{"news":{"failed":{"class":"login","sentence":"no"}}}"#
        );
    }

    #[test]
    fn a_mismatch_says_which_side_to_restart() {
        assert_eq!(mismatch(VERSION, "1.0", VERSION), None);
        let older = mismatch(1, "1.0", 2).expect("older");
        assert!(older.ends_with("Restart the daemon"), "{older}");
        let newer = mismatch(2, "2.0", 1).expect("newer");
        assert!(newer.starts_with("this program"), "{newer}");
    }
}
