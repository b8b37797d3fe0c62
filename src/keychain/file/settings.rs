//! What the user said of the encrypted file.

use std::path::PathBuf;
use std::sync::Arc;

use crate::asked::Typed;

/// Where the file lies, and what opens it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The file. It is made when something is first stored, with the directories it lies in.
    pub path: PathBuf,
    /// What opens it.
    pub key: Key,
}

/// What opens the file.
#[derive(Debug, Clone)]
pub enum Key {
    /// The age identities in this file, which only its owner may read. One is made with the first secret that is stored.
    Identity(PathBuf),
    /// The age identities in the credential that systemd has for us under this name
    /// (<https://systemd.io/CREDENTIALS/>).
    Credential(String),
    /// A passphrase that a command prints. An argument list, no shell.
    Command(Vec<String>),
    /// A passphrase that a person types, once a process.
    Prompt(Arc<Typed>),
}

/// The same key; what was typed is no part of it.
impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Identity(one), Self::Identity(another)) => one == another,
            (Self::Credential(one), Self::Credential(another)) => one == another,
            (Self::Command(one), Self::Command(another)) => one == another,
            (Self::Prompt(_), Self::Prompt(_)) => true,
            _ => false,
        }
    }
}

impl Eq for Key {}
