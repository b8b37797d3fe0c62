//! What is heard of an account while it is attended: the same whether this process attends it or the daemon.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::imap::{Class, Cursor, Error};
use crate::ledger::Origin;
use crate::receipt::Receipt;

/// One piece of news.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum News {
    /// What arrives after `cursor` is seen.
    Armed {
        /// What to pass on to go on from here.
        cursor: Cursor,
        /// Whether the server announces new mail by itself.
        idle: bool,
    },
    /// What became of a mail.
    Receipt(Box<Receipt>),
    /// A mail that waited is no longer where it was.
    Gone(Origin),
    /// The mailbox cannot be watched now; it is tried again.
    Trouble {
        /// What kind of trouble.
        class: Class,
        /// What happened, then what to do.
        sentence: String,
        /// When it is tried again.
        again_in: Duration,
    },
    /// The mailbox will not be watched: no login is possible.
    Failed {
        /// What kind of failure.
        class: Class,
        /// What happened, then what to do.
        sentence: String,
    },
}

impl News {
    /// The mailbox cannot be watched now.
    #[must_use]
    pub fn trouble(error: &Error, again_in: Duration) -> Self {
        Self::Trouble {
            class: error.class(),
            sentence: error.to_string(),
            again_in,
        }
    }

    /// The mailbox will not be watched.
    #[must_use]
    pub fn failed(error: &Error) -> Self {
        Self::Failed {
            class: error.class(),
            sentence: error.to_string(),
        }
    }
}

/// Where a piece of news comes from, for the one who shares a watch with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whence {
    /// The watch found it: it arrived after what was known.
    Watch,
    /// The look back with this number found it.
    Look(u64),
    /// It waited to be judged or stored.
    Waited,
}
