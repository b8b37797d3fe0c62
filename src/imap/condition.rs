//! How a watch is doing, for a person who asks.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::error::Class;

/// How a watch is doing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// What it is doing.
    pub state: State,
    /// Since when.
    pub since: Timestamp,
    /// What the server said last.
    pub heard: Option<Heard>,
    /// What it does next, unless the server says something first.
    pub next: Option<Next>,
    /// Connections made so far.
    pub connections: u32,
    /// What went wrong last, on this connection or an earlier one.
    pub trouble: Option<Trouble>,
}

/// What a watch is doing, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Resolving, connecting, logging in, opening the folder.
    Connecting,
    /// Searching what came while nobody watched.
    Searching,
    /// Waiting for the server to announce mail.
    Idling,
    /// Asking the server again and again.
    Polling,
    /// Waiting to connect again.
    Resting,
    /// Waiting for a password that is accepted.
    LoginRefused,
}

impl State {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Searching => "searching",
            Self::Idling => "idling",
            Self::Polling => "polling",
            Self::Resting => "resting",
            Self::LoginRefused => "login-refused",
        }
    }
}

/// What the server said last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// When.
    pub at: Timestamp,
    /// What kind of response, with its status text escaped and cut; never a mail.
    pub line: String,
}

/// What a watch does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Next {
    /// What.
    pub action: Action,
    /// When.
    pub at: Timestamp,
}

/// What a watch does next, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Search the folder.
    Search,
    /// Connect.
    Connect,
}

impl Action {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Search => "search",
            Self::Connect => "connect",
        }
    }
}

/// What went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trouble {
    /// When.
    pub at: Timestamp,
    /// What kind of trouble.
    pub class: Class,
    /// What happened, then what to do.
    pub sentence: String,
}

impl Condition {
    /// Before the first connection.
    #[must_use]
    pub fn new(now: Timestamp) -> Self {
        Self {
            state: State::Connecting,
            since: now,
            heard: None,
            next: None,
            connections: 0,
            trouble: None,
        }
    }
}
