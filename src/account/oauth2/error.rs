//! What can go wrong with an authorization server, in words for the person whose mailbox it is.

use std::time::Duration;

use crate::account::advice::{self, Advice};
use crate::imap::Class;
use crate::imap::error::ServerText;
use crate::keychain;

/// Why there is no access token. None of its texts holds a token or a secret.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// No answer, or one that says to come again.
    #[error(
        "the authorization server {host} does not answer: {why}. Check the network; it is tried again"
    )]
    Unreachable {
        /// Its host.
        host: String,
        /// What the client or the status says.
        why: String,
    },
    /// An answer that no authorization server gives (RFC 6749 §5).
    #[error("the authorization server {host} misbehaves: {what}")]
    Misbehaves {
        /// Its host.
        host: String,
        /// What was wrong.
        what: &'static str,
    },
    /// It refuses (RFC 6749 §5.2).
    #[error("the authorization server {host} refuses: {said}. {}", advice.sentence(address))]
    Refused {
        /// Its host.
        host: String,
        /// The mailbox's address.
        address: String,
        /// Its words.
        said: ServerText,
        /// What they mean.
        advice: Advice,
    },
    /// Nobody logged in yet.
    #[error(
        "nobody has logged in to {0} yet: the keychain holds no refresh token. Run `fetch-token login {0}`"
    )]
    NoGrant(String),
    /// The login came to an end without a refresh token.
    #[error(
        "the authorization server {0} gives no refresh token, so that somebody would have to log in every hour. Add what it wants for one to `scopes`, usually offline_access"
    )]
    NoRefreshToken(String),
    /// The keychain does not do it.
    #[error("the refresh token of the mailbox: {0}")]
    Keychain(keychain::Error),
    /// A command's or keychain's secret cannot be had; says what to do.
    #[error("{0}")]
    Secret(String),
    /// Another process refreshes, and does not come to an end.
    #[error("another process has been getting an access token for {} s. Look whether a keychain waits for you to unlock it", .0.as_secs())]
    Held(Duration),
    /// The lock cannot be taken.
    #[error("the lock that keeps two processes from refreshing at once cannot be taken: {0}")]
    Lock(String),
    /// The client cannot log in in this way.
    #[error(
        "{0} is not configured for this client. Set it in `oauth2`, or log in in the other way"
    )]
    NoEndpoint(&'static str),
    /// Nobody agreed in time.
    #[error("nobody agreed within {} s. Run `fetch-token login {address}` again", .after.as_secs())]
    Unanswered {
        /// The mailbox's address.
        address: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// The loopback port for the browser cannot be had.
    #[error("no port of this machine can be opened for the browser's answer: {0}")]
    Loopback(String),
}

impl Error {
    /// Its refusal, with what it means for this mailbox.
    pub(super) fn refused(
        host: &str,
        address: &str,
        code: &str,
        description: Option<&str>,
    ) -> Self {
        let description = description.unwrap_or_default();
        let said = if description.is_empty() {
            code.to_owned()
        } else {
            format!("{code}: {description}")
        };
        Self::Refused {
            host: host.to_owned(),
            address: address.to_owned(),
            said: ServerText::new(&said),
            advice: advice::at_authorization(code, description),
        }
    }

    /// Whether trying again makes sense.
    #[must_use]
    pub fn class(&self) -> Class {
        match self {
            Self::Refused { advice, .. } => advice.class,
            Self::NoGrant(_)
            | Self::NoRefreshToken(_)
            | Self::Secret(_)
            | Self::NoEndpoint(_)
            | Self::Unanswered { .. } => Class::Login,
            Self::Keychain(_) => Class::Keychain,
            Self::Unreachable { .. }
            | Self::Misbehaves { .. }
            | Self::Held(_)
            | Self::Lock(_)
            | Self::Loopback(_) => Class::Passing,
        }
    }

    /// Whether the refresh token was refused, so that another might not be.
    pub(super) fn is_about_the_grant(&self) -> bool {
        matches!(self, Self::Refused { advice, .. } if advice.class == Class::Login)
    }
}
