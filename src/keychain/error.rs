//! Why a store did not do it.

use std::time::Duration;

/// What a store's client met, where its library has no word for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(
    any(windows, target_vendor = "apple"),
    allow(dead_code, reason = "only the Secret Service meets all of them")
)]
pub(super) enum Obstacle {
    /// No answer came in the library's own time.
    #[error("it does not answer")]
    Silent,
    /// What was just found is not there any more.
    #[error("it was restarted, or changed by others, again and again")]
    Changed,
    /// It wants a person.
    #[error("the prompt that it shows was dismissed or left open, or could not be shown")]
    Unattended,
    /// It has no place for what is new.
    #[error("it has no default collection")]
    NoCollection,
}

impl Obstacle {
    /// Whether it may be gone at the next try.
    pub(super) fn is_passing(self) -> bool {
        matches!(self, Self::Silent | Self::Changed)
    }
}

/// Why the keychain did not do it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// No store answers.
    #[error("the keychain ({store}) cannot be reached: {why}. {advice}")]
    Unavailable {
        /// The store's name.
        store: String,
        /// The store's words.
        why: String,
        /// What to do.
        advice: &'static str,
    },
    /// The store is locked, or refuses access.
    #[error("the keychain ({store}) is locked or refuses access: {why}. Unlock it, then try again")]
    Locked {
        /// The store's name.
        store: String,
        /// The store's words.
        why: String,
    },
    /// What opens the store is not there, or does not fit.
    #[error("the keychain ({store}) cannot be opened: {why}")]
    Sealed {
        /// The store's name.
        store: String,
        /// Why, and what to do.
        why: String,
    },
    /// The token lies in another store than the one that `"auto"` takes now.
    #[error(
        "the token of {username} lies in the {there}, which is not the store that is found now ({here}), and none is moved \
         unasked. Start that store again; or call `fetch-token move {username} --to {word}`; or name the store for new tokens \
         in the configuration: `[keychain] store = \"{word}\"`"
    )]
    Elsewhere {
        /// The Salesforce username.
        username: String,
        /// The store that holds the token.
        there: String,
        /// The store that is found now.
        here: String,
        /// The name that the configuration has for it.
        word: &'static str,
    },
    /// The ledger names a store that the configuration does not describe.
    #[error(
        "the token was stored in the {store}, which the configuration does not describe now. Describe it in `[keychain]` \
         again, or reset the token to have one in the {here}"
    )]
    NotConfigured {
        /// The store's name.
        store: String,
        /// The store that tokens go to.
        here: String,
    },
    /// The store did not answer in time.
    #[error(
        "the keychain ({store}) did not answer within {} s. Look whether it waits for you to unlock it, or restart it",
        .after.as_secs()
    )]
    Silent {
        /// The store's name.
        store: String,
        /// How long it was given.
        after: Duration,
    },
    /// Several items have the same service and account.
    #[error(
        "the keychain ({store}) holds several items for {account}. Delete all but one of them in the keychain's own \
         program"
    )]
    Ambiguous {
        /// The store's name.
        store: String,
        /// The account in question.
        account: String,
    },
    /// What was written is not what is read.
    #[error(
        "the keychain ({store}) took the secret but does not give it back. Check it with its own program"
    )]
    NotKept {
        /// The store's name.
        store: String,
    },
    /// A command of the store failed.
    #[error(
        "the keychain ({store}) refuses: its {verb} command {program:?} {how}{said}. Unlock the store, or run the \
         command by hand to see what is wrong"
    )]
    Command {
        /// The store's name.
        store: String,
        /// The command's key in the configuration.
        verb: &'static str,
        /// The program.
        program: String,
        /// How it ended.
        how: String,
        /// What it said, quoted, after `: `; empty where it said nothing.
        said: String,
    },
    /// Anything else.
    #[error("the keychain ({store}) refused: {why}")]
    Refused {
        /// The store's name.
        store: String,
        /// The store's words.
        why: String,
    },
}
