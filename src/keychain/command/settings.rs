//! What the user said of a store that has a command line.

use std::time::Duration;

use super::words::{self, Fact, OF_ITEM, OF_WRITE, Words};

/// How long each command may take unless told.
const DEADLINE: Duration = Duration::from_secs(30);

/// Longest that a command may be given: what holds the ledger's lock must be done before others give up on it.
pub const LONGEST: Duration = Duration::from_mins(1);

/// The commands of a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    pub(super) name: String,
    pub(super) write: Words,
    pub(super) read: Words,
    pub(super) delete: Option<Words>,
    pub(super) stamp: Option<Words>,
    pub(super) absent: Option<Sign>,
    pub(super) conflict: Option<Sign>,
    pub(super) deadline: Duration,
}

/// By what a failing command is known to have failed for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sign {
    /// Its exit status.
    Status(i32),
    /// One of these on its standard error, with any status but 0.
    Words(Vec<String>),
}

/// The commands as they are written, each a list of the program and its arguments.
#[derive(Debug, Clone, Default)]
pub struct Written {
    /// The store's name; that of the program that writes unless told.
    pub name: Option<String>,
    /// Takes the token on its standard input.
    pub write: Vec<String>,
    /// Prints the token.
    pub read: Vec<String>,
    /// Deletes it.
    pub delete: Option<Vec<String>>,
    /// Prints the stamp that lies beside it and, on the next line, a revision.
    pub stamp: Option<Vec<String>>,
    /// By what a failure of `read`, `delete` or `stamp` is known to be for want of a token.
    pub absent: Option<Sign>,
    /// By what a failure of `write` is known to be because another revision lies there.
    pub conflict: Option<Sign>,
    /// How long each may take.
    pub deadline: Option<Duration>,
}

/// What is wrong: at which key, and what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wrong {
    /// The key.
    pub key: &'static str,
    /// What is wrong with it, and what was meant.
    pub what: String,
}

impl Settings {
    /// Checks what the user wrote.
    pub fn check(written: Written) -> Result<Self, Wrong> {
        let wrong = |key, what: &str| Wrong {
            key,
            what: what.to_owned(),
        };
        let parse = |key, command: &[String], known| {
            words::parse(command, known).map_err(|what| Wrong { key, what })
        };
        let optional = |key, command: &Option<Vec<String>>| {
            let command = command.as_deref();
            command
                .map(|command| parse(key, command, OF_ITEM))
                .transpose()
        };
        let write = parse("write", &written.write, OF_WRITE)?;
        let read = parse("read", &written.read, OF_ITEM)?;
        let delete = optional("delete", &written.delete)?;
        let stamp = optional("stamp", &written.stamp)?;
        if stamp.is_none() && write.have(Fact::Revision) {
            return Err(wrong(
                "write",
                "{revision} is what the `stamp` command prints on its second line, and there is none",
            ));
        }
        if stamp.is_none() && written.conflict.is_some() {
            return Err(wrong(
                "conflict",
                "another revision can only be met where a `stamp` command prints the one that was seen",
            ));
        }
        let deadline = written.deadline.unwrap_or(DEADLINE);
        if deadline.is_zero() || deadline > LONGEST {
            return Err(wrong(
                "deadline",
                "a deadline is at least 1 s and at most 60 s",
            ));
        }
        let program = write.program().rsplit('/').next().unwrap_or_default();
        let name = written.name.unwrap_or_else(|| program.to_owned());
        if name.is_empty() || name.chars().count() > 40 || name.chars().any(char::is_control) {
            return Err(wrong(
                "name",
                "a name has 1 to 40 characters and no control characters",
            ));
        }
        Ok(Self {
            name: format!("command store {name}"),
            write,
            read,
            delete,
            stamp,
            absent: written.absent,
            conflict: written.conflict,
            deadline,
        })
    }
}
