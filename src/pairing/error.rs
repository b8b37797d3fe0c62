//! Why there is no token, told apart as the command's exit codes tell it.

use crate::config::{self, NoAccount};
use crate::imap::{Class, Cursor};
use crate::intake::Obstacle;
use crate::receipt::{CodeReceipt, Receipt};
use crate::{dns, keychain};

/// What a person can check when no mail came.
const WHY_NO_MAIL: &str = "Salesforce sends none to users whose address ends in .invalid (refreshed sandboxes), and \
                           lets nobody reset who has login IP ranges on the profile, is limited to the API, or \
                           needs MFA for API logins";

/// Why there is no token. The text says what happened, then what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration cannot be used.
    #[error(transparent)]
    Config(#[from] config::Error),
    /// The configuration has no account for this, or several.
    #[error(transparent)]
    Account(#[from] NoAccount),
    /// The keys that prove a sender cannot be had.
    #[error(transparent)]
    Keys(#[from] dns::Error),
    /// The cursor is of another account or folder.
    #[error(
        "the cursor is of {} in {}, and {folder} in {address} is to be watched. Take one with `fetch-token arm`",
        .cursor.folder, .cursor.account
    )]
    Cursor {
        /// The cursor.
        cursor: Box<Cursor>,
        /// The account's address.
        address: String,
        /// The account's folder.
        folder: String,
    },
    /// The mailbox will not be watched: no login is possible.
    #[error("the mailbox {address}: {sentence}")]
    Mailbox {
        /// The account's address.
        address: String,
        /// What kind of failure.
        class: Class,
        /// What happened, then what to do.
        sentence: String,
    },
    /// The mailbox could not be reached, or misbehaved, and the deadline came.
    #[error("the mailbox {address} could not be watched before the deadline: {why}")]
    Unwatched {
        /// The account's address.
        address: String,
        /// The last trouble.
        why: String,
    },
    /// The watch was sound, and no token came before the deadline.
    #[error(
        "no token mail{} before the deadline. It can take minutes to arrive. {WHY_NO_MAIL}",
        .username.as_ref().map(|username| format!(" for {username}")).unwrap_or_default()
    )]
    NoToken {
        /// Whose was waited for; `None` is anybody's.
        username: Option<String>,
    },
    /// A token mail came and was refused, and no other came before the deadline.
    #[error(
        "no token before the deadline but one that was refused: {} ({})",
        .0.sentence.as_deref().unwrap_or_default(), .0.reason.as_deref().unwrap_or_default()
    )]
    Refused(Box<Receipt>),
    /// A token mail came, and cannot be judged or stored yet. It is kept in mind, and tried again by the next call.
    #[error("a token mail came and waits: {}", .0.sentence.as_deref().unwrap_or_default())]
    Pending(Box<Receipt>),
    /// A mail with a token or code was being judged when the deadline came.
    #[error(
        "a {value} mail came, and DNS did not say before the deadline whose key signed it. Check the network, or \
         `resolver` in the configuration"
    )]
    Judging {
        /// `token` or `code`.
        value: &'static str,
    },
    /// A token was being stored when the deadline came.
    #[error(
        "a token came, and the keychain ({store}) did not answer before the deadline. Look whether it waits for you \
         to unlock it"
    )]
    Storing {
        /// The keychain's name.
        store: String,
    },
    /// The watch was sound, and no verification code came before the deadline.
    #[error(
        "no mail with a verification code{} before the deadline. Salesforce sends none where it knows the browser, and \
         asks for another proof where the user has an authenticator app or a security key",
        .username.as_ref().map(|username| format!(" for {username}")).unwrap_or_default()
    )]
    NoCode {
        /// Whose was waited for; `None` is anybody's.
        username: Option<String>,
    },
    /// A mail with a code came and was refused, and no other came before the deadline.
    #[error(
        "no code before the deadline but one that was refused: {} ({})",
        .0.sentence.as_deref().unwrap_or_default(), .0.reason.as_deref().unwrap_or_default()
    )]
    CodeRefused(Box<CodeReceipt>),
    /// A mail with a code came, and cannot be judged yet.
    #[error("a mail with a code came and waits: {}", .0.sentence.as_deref().unwrap_or_default())]
    CodePending(Box<CodeReceipt>),
    /// The keychain does not do its work.
    #[error(transparent)]
    Keychain(#[from] keychain::Error),
    /// The keychain holds no token for this username.
    #[error(
        "no token is stored for {0}. `fetch-token list` shows what is; reset the token and call `fetch-token wait \
         {0}` to have one"
    )]
    NotStored(String),
    /// A bug: the watch broke off.
    #[error("the watch broke off. Please report this")]
    Broken,
}

impl Error {
    /// Whether the keychain is what the token waits for, or did not come for.
    #[must_use]
    pub fn is_keychain(&self) -> bool {
        match self {
            Self::Keychain(_) | Self::Storing { .. } => true,
            Self::Pending(receipt) => receipt.reason.as_deref() == Some(Obstacle::KEYCHAIN),
            Self::Mailbox { class, .. } => *class == Class::Keychain,
            _ => false,
        }
    }
}
