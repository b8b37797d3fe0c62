//! Exit codes: part of the contract, so that scripts can tell what happened.

use crate::imap::{self, Class};
use crate::intake::Obstacle;
use crate::{config, dns, keychain, ledger, pairing};

/// How the process ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// 0.
    Done,
    /// 1: a bug, or a system that refuses what every system grants.
    Unexpected,
    /// 2: usage or configuration.
    Usage,
    /// 3: no token before the deadline.
    NoToken,
    /// 4: mailbox unreachable or misbehaving.
    Mailbox,
    /// 5: login refused.
    Login,
    /// 6: keychain unavailable, locked or refusing.
    Keychain,
    /// 7: a token mail came and was refused.
    Refused,
    /// 8: nothing stored for that username.
    NotStored,
    /// 9: cannot be judged or recorded for now.
    Pending,
    /// 128 and the signal's number, as shells do.
    Signal(i32),
    /// The status of the tool that `run` ran.
    Tool(i32),
}

impl Exit {
    /// The process's exit code.
    #[must_use]
    pub fn code(self) -> i32 {
        match self {
            Self::Done => 0,
            Self::Unexpected => 1,
            Self::Usage => 2,
            Self::NoToken => 3,
            Self::Mailbox => 4,
            Self::Login => 5,
            Self::Keychain => 6,
            Self::Refused => 7,
            Self::NotStored => 8,
            Self::Pending => 9,
            Self::Signal(signal) => 128 + signal,
            Self::Tool(status) => status,
        }
    }

    /// A mailbox that cannot be watched.
    fn of(class: Class) -> Self {
        match class {
            Class::Passing => Self::Mailbox,
            Class::Doubtful | Class::Login => Self::Login,
            Class::Keychain => Self::Keychain,
        }
    }

    /// A keychain that does not do it.
    fn of_keychain(error: &keychain::Error) -> Self {
        match error {
            keychain::Error::NotConfigured { .. } => Self::NotStored,
            _ => Self::Keychain,
        }
    }

    /// A program that cannot be started, as shells say it: 127 for not found, 126 for not executable.
    pub(super) fn not_started(error: &std::io::Error) -> Self {
        let status = if error.kind() == std::io::ErrorKind::NotFound {
            127
        } else {
            126
        };
        Self::Tool(status)
    }

    /// Whose status this is.
    pub(super) fn by(self) -> &'static str {
        match self {
            Self::Tool(_) => "tool",
            _ => "fetch-token",
        }
    }
}

/// A command that did not do what it was asked to.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What happened, then what to do.
    pub message: String,
}

impl Failure {
    pub(super) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self {
            exit,
            message: message.into(),
        }
    }

    /// The mailbox of the account with this address.
    pub(super) fn from_mailbox(address: &str, error: &imap::Error) -> Self {
        Self::new(
            Exit::of(error.class()),
            format!("the mailbox {address}: {error}"),
        )
    }

    /// A token that cannot be judged or stored now.
    pub(super) fn from_obstacle(obstacle: &Obstacle) -> Self {
        let exit = match obstacle {
            Obstacle::Keychain(_) => Exit::Keychain,
            Obstacle::Keys(_) | Obstacle::Ledger(_) | Obstacle::Clock(_) => Exit::Pending,
        };
        Self::new(exit, obstacle.to_string())
    }
}

impl From<pairing::Error> for Failure {
    fn from(error: pairing::Error) -> Self {
        use pairing::Error;
        let exit = match &error {
            Error::Config(_) | Error::Account(_) | Error::Keys(_) | Error::Cursor { .. } => {
                Exit::Usage
            }
            Error::Mailbox { class, .. } => Exit::of(*class),
            Error::Unwatched { .. } => Exit::Mailbox,
            Error::NoToken { .. } | Error::NoCode { .. } => Exit::NoToken,
            Error::Refused(_) | Error::CodeRefused(_) => Exit::Refused,
            Error::CodePending(_) => Exit::Pending,
            Error::Pending(_) | Error::Judging { .. } if !error.is_keychain() => Exit::Pending,
            Error::Pending(_) | Error::Judging { .. } | Error::Storing { .. } => Exit::Keychain,
            Error::Keychain(error) => Exit::of_keychain(error),
            Error::NotStored(_) => Exit::NotStored,
            Error::Broken => Exit::Unexpected,
        };
        Self::new(exit, error.to_string())
    }
}

impl From<config::NoAccount> for Failure {
    fn from(error: config::NoAccount) -> Self {
        Self::new(Exit::Usage, error.to_string())
    }
}

impl From<dns::Error> for Failure {
    fn from(error: dns::Error) -> Self {
        Self::new(Exit::Usage, error.to_string())
    }
}

impl From<config::Error> for Failure {
    fn from(error: config::Error) -> Self {
        Self::new(Exit::Usage, error.to_string())
    }
}

impl From<keychain::Error> for Failure {
    fn from(error: keychain::Error) -> Self {
        Self::new(Exit::of_keychain(&error), error.to_string())
    }
}

impl From<ledger::Error> for Failure {
    fn from(error: ledger::Error) -> Self {
        let exit = match error {
            ledger::Error::Damaged { .. } => Exit::Unexpected,
            ledger::Error::Io { .. } | ledger::Error::Held(_) | ledger::Error::Full(_) => {
                Exit::Pending
            }
        };
        Self::new(exit, error.to_string())
    }
}
