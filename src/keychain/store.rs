//! What every store can do.

use std::fmt;

use futures_util::future::BoxFuture;
use secrecy::SecretString;

use super::{Error, Stamp};

/// What a store holds: one secret for a service and an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    /// [`super::TOKEN_SERVICE`], [`super::MAILBOX_SERVICE`], [`super::CLIENT_SERVICE`], or that of the probe.
    pub(super) service: &'static str,
    /// The Salesforce username, the mailbox's address, or the client's id.
    pub(super) account: String,
}

/// Under which terms a secret is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Terms {
    /// Whatever lies there, with this stamp.
    Anyhow(Option<Stamp>),
    /// Unless the token of the same mail or of a later one lies there, as far as the store can tell.
    IfLater(Stamp),
}

impl Terms {
    /// The stamp to be left beside the secret.
    pub(super) fn stamp(&self) -> Option<&Stamp> {
        match self {
            Self::Anyhow(stamp) => stamp.as_ref(),
            Self::IfLater(stamp) => Some(stamp),
        }
    }
}

/// What came of writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// The secret was written, and read back.
    Kept,
    /// Somebody else wrote the same mail's token before; it was read.
    Already,
    /// The token of a later mail lies there; nothing was written.
    Later,
    /// The token of a mail lies there that has the same Date, and nothing tells which is later; nothing was written.
    Tied,
}

/// What a store promises to do, or says why it did not: within a minute, whatever it is waiting for.
pub(super) type Doing<'a, T> = BoxFuture<'a, Result<T, Error>>;

/// A place where secrets lie. To add one, write a file beside this one and name it in [`Named`](super::choice::Named).
pub(super) trait Store: fmt::Debug + Send + Sync {
    /// Its name for people, who read "the keychain (NAME)" and "stored in the NAME".
    fn name(&self) -> &str;

    /// The program behind it, where the store is only a name that several programs answer to.
    fn program(&self) -> BoxFuture<'_, Option<String>> {
        Box::pin(std::future::ready(None))
    }

    /// The secret; `None` where there is none.
    fn read<'a>(&'a self, item: &'a Item) -> Doing<'a, Option<SecretString>>;

    /// Writes a secret and reads it back.
    fn write<'a>(
        &'a self,
        item: &'a Item,
        secret: &'a SecretString,
        terms: &'a Terms,
    ) -> Doing<'a, Written>;

    /// Deletes a secret; `false` where there was none.
    fn delete<'a>(&'a self, item: &'a Item) -> Doing<'a, bool>;

    /// Whether [`Self::probe`] writes: what cannot be deleted again is not written.
    fn is_probed_by_writing(&self) -> bool {
        true
    }

    /// Shows that it works, with an item that is nobody's.
    fn probe<'a>(&'a self, item: &'a Item, secret: &'a SecretString) -> Doing<'a, ()> {
        Box::pin(async move {
            self.write(item, secret, &Terms::Anyhow(None)).await?;
            self.delete(item).await?;
            Ok(())
        })
    }
}
