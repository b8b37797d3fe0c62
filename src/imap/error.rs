//! What can go wrong with a mailbox, in words for the person whose mailbox it is.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::guard::Violation;
use crate::account::oauth2;
use crate::escape::escaped;
use crate::keychain;

/// Most of a server's own words that are shown, in characters.
const SHOWN: usize = 200;

/// Why the mailbox could not be watched.
///
/// No variant holds what the server sent but its status texts, quoted and cut: the parser's own errors hold
/// whole mails.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The host has no address.
    #[error(
        "the name {host} cannot be resolved ({why}). Check `host` in the configuration and the network"
    )]
    Resolve {
        /// The configured host.
        host: String,
        /// The resolver's words.
        why: String,
    },
    /// No address of the host accepts a connection.
    #[error(
        "{host} port {port} cannot be reached ({why}). Check `host` and `port`, and that no firewall stands between"
    )]
    Connect {
        /// The configured host.
        host: String,
        /// The configured or usual port.
        port: u16,
        /// The operating system's words.
        why: String,
    },
    /// The TLS handshake failed.
    #[error("no trusted TLS connection to {host}: {why}")]
    Tls {
        /// The configured host.
        host: String,
        /// What was wrong with it, and what to do.
        why: String,
    },
    /// A step took longer than it may.
    #[error("the server did not finish {step} within {} s", .limit.as_secs())]
    Timeout {
        /// The step, as a verb form.
        step: &'static str,
        /// Its limit.
        limit: Duration,
    },
    /// A step took longer than it may, and the server talked all the while.
    #[error("the server misbehaves: it sent {lines} lines and did not finish {step} within {} s", .limit.as_secs())]
    Flood {
        /// The step, as a verb form.
        step: &'static str,
        /// Its limit.
        limit: Duration,
        /// The lines since the command was sent.
        lines: usize,
    },
    /// The connection ended.
    #[error("the connection ended during {step}")]
    Closed {
        /// The step, as a verb form.
        step: &'static str,
    },
    /// The server said goodbye (RFC 3501 §7.1.5).
    #[error("the server ended the connection: {0}")]
    Bye(ServerText),
    /// A command was answered NO or BAD.
    #[error("the server refused {command}: {text}")]
    Refused {
        /// The command's name.
        command: &'static str,
        /// The server's words.
        text: ServerText,
    },
    /// The mailbox folder cannot be opened.
    #[error("the folder {folder:?} cannot be opened: {text}. Check `folders` in the configuration")]
    Folder {
        /// The configured folder.
        folder: String,
        /// The server's words.
        text: ServerText,
    },
    /// The server broke the protocol in a way the guard knows.
    #[error("the server misbehaves: {0}")]
    Guard(#[from] Violation),
    /// An answer that cannot be read, or that the protocol does not allow here.
    #[error("the server misbehaves: {0}")]
    Protocol(&'static str),
    /// A login that may work later.
    #[error("the server does not let us in for now: {text}. {advice}")]
    LoginUnavailable {
        /// The server's words.
        text: ServerText,
        /// What to do.
        advice: String,
    },
    /// A login that was refused.
    #[error("the server refused the login: {text}. {advice}")]
    LoginRefused {
        /// The server's words.
        text: ServerText,
        /// What to do.
        advice: String,
        /// The server said that the credentials are wrong; without this it may have meant something else.
        explicit: bool,
    },
    /// No way to log in that we know.
    #[error("{0}")]
    NoLoginMethod(String),
    /// The password cannot be had.
    #[error("{0}")]
    Password(String),
    /// There is no access token.
    #[error("{0}")]
    Authorization(#[from] oauth2::Error),
    /// The password is in a keychain that does not give it.
    #[error("its password cannot be read: {0}")]
    Keychain(keychain::Error),
}

/// What an error means for the one who waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// May pass: connect again.
    Passing,
    /// A refused login that is final only when said twice.
    Doubtful,
    /// A login refused for good.
    Login,
    /// No login without the keychain.
    Keychain,
}

impl Error {
    /// Whether the server says that what was logged in with has come to its end (RFC 5530 §3, and Exchange Online's
    /// words).
    pub(super) fn says_expired(&self) -> bool {
        let (Self::Bye(text) | Self::Refused { text, .. } | Self::Folder { text, .. }) = self
        else {
            return false;
        };
        let said = text.as_str().to_ascii_uppercase();
        [
            "[EXPIRED]",
            "[AUTHENTICATIONFAILED]",
            "ACCESSTOKENEXPIRED",
            "TOKEN EXPIRED",
        ]
        .iter()
        .any(|words| said.contains(words))
    }

    /// Whether trying again makes sense.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::LoginRefused {
                explicit: false, ..
            } => Class::Doubtful,
            Self::LoginRefused { explicit: true, .. }
            | Self::NoLoginMethod(_)
            | Self::Password(_) => Class::Login,
            Self::Keychain(_) => Class::Keychain,
            Self::Authorization(error) => error.class(),
            _ => Class::Passing,
        }
    }
}

/// A server's own words: shown quoted, escaped and cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerText(String);

impl ServerText {
    /// Takes a response's text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(escaped(text, SHOWN))
    }

    /// Escaped and cut, without quotes.
    #[must_use]
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for ServerText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0.is_empty() {
            f.write_str("(no reason given)")
        } else {
            write!(f, "“{}”", self.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ServerText;

    #[test]
    fn a_servers_words_are_escaped_and_cut() {
        let text = ServerText::new(&format!("\x1b[2J{}", "a".repeat(500)));
        let shown = text.to_string();
        assert!(shown.starts_with("“\\u{1b}[2Ja"), "{shown}");
        assert_eq!(shown.chars().filter(|&c| c == 'a').count(), 196);
        assert!(shown.ends_with("…”"), "{shown}");
    }
}
