//! Where secrets lie: one front, several stores, and nothing counts until it was read back.
//!
//! - `store` says what a store promises; a new one is a file beside it, named in `choice`.
//! - `secret_service`, `macos`, `windows`: the platforms' own, each by its library, driven by `keyring`.
//! - [`command`]: the user's own commands, for stores that have a command line.
//! - [`Stamp`]: from which mail a token is, left beside it where the store can carry it.
//!
//! Tokens go to the store that the configuration names; what a mailbox is logged in to with stays in the platform's.

mod choice;
pub mod command;
mod error;
mod keyring;
#[cfg(target_os = "macos")]
mod macos;
#[cfg(all(unix, not(any(target_os = "macos", target_os = "ios"))))]
mod secret_service;
mod stamp;
mod store;
#[cfg(windows)]
mod windows;

pub use choice::Choice;
pub use error::Error;
pub use stamp::{NotAStamp, Stamp};
pub use store::{Terms, Written};

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use secrecy::SecretString;

use store::{Item, Store};

/// Service under which tokens lie; the account is the Salesforce username, the secret the token's bytes alone.
pub const TOKEN_SERVICE: &str = "salesforce-security-token";

/// Service under which mailbox passwords and refresh tokens lie; the account is the mailbox's address.
pub const MAILBOX_SERVICE: &str = "fetch-token-mailbox";

/// Service under which the secrets of OAuth 2.0 clients lie; the account is the client's id.
pub const CLIENT_SERVICE: &str = "fetch-token-client";

/// Service of the item that [`Keychain::probe`] writes and deletes.
const PROBE_SERVICE: &str = "fetch-token-probe";

/// What [`Keychain::probe`] writes: no token, but of its shape.
const PROBE: &str = "fetchTokenTriesTheStore0";

/// The keychain. A clone is the same one.
#[derive(Clone)]
pub struct Keychain {
    tokens: Arc<RwLock<Arc<dyn Store>>>,
    passwords: Arc<dyn Store>,
}

impl fmt::Debug for Keychain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keychain")
    }
}

impl Keychain {
    /// With the store that the configuration names for tokens. Nothing is opened before the first use.
    #[must_use]
    pub fn new(choice: &Choice) -> Self {
        Self {
            tokens: Arc::new(RwLock::new(choice.open())),
            passwords: Choice::Auto.open(),
        }
    }

    /// One of a test's own.
    #[cfg(test)]
    pub(crate) fn of(
        open: impl Fn() -> keyring_core::Result<Arc<keyring_core::CredentialStore>>
        + Send
        + Sync
        + 'static,
    ) -> Self {
        let store: Arc<dyn Store> = Arc::new(keyring::Threaded::of_test(open));
        Self {
            tokens: Arc::new(RwLock::new(Arc::clone(&store))),
            passwords: store,
        }
    }

    /// From now on tokens go to this store.
    pub fn choose(&self, choice: &Choice) {
        *self.tokens.write().unwrap_or_else(PoisonError::into_inner) = choice.open();
    }

    fn tokens(&self) -> Arc<dyn Store> {
        Arc::clone(&self.tokens.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn store(&self, service: &str) -> Arc<dyn Store> {
        if [MAILBOX_SERVICE, CLIENT_SERVICE].contains(&service) {
            Arc::clone(&self.passwords)
        } else {
            self.tokens()
        }
    }

    /// The name of the store that tokens go to, for people.
    #[must_use]
    pub fn name(&self) -> String {
        self.tokens().name().to_owned()
    }

    /// The name of the store that mailboxes' passwords and refresh tokens lie in, for people.
    #[must_use]
    pub fn name_for_passwords(&self) -> String {
        self.passwords.name().to_owned()
    }

    /// Writes a token and reads it back.
    pub async fn put(
        &self,
        username: &str,
        token: &SecretString,
        terms: &Terms,
    ) -> Result<Written, Error> {
        let item = item(TOKEN_SERVICE, username);
        self.tokens().write(&item, token, terms).await
    }

    /// Writes a secret that is no token, such as a mailbox's refresh token, and reads it back.
    pub async fn keep(
        &self,
        service: &'static str,
        account: &str,
        secret: &SecretString,
    ) -> Result<(), Error> {
        let store = self.store(service);
        let item = item(service, account);
        store.write(&item, secret, &Terms::Anyhow(None)).await?;
        Ok(())
    }

    /// Reads a secret; `None` where there is none.
    pub async fn get(
        &self,
        service: &'static str,
        account: &str,
    ) -> Result<Option<SecretString>, Error> {
        let store = self.store(service);
        store.read(&item(service, account)).await
    }

    /// Deletes a secret; `false` where there was none.
    pub async fn delete(&self, service: &'static str, account: &str) -> Result<bool, Error> {
        let store = self.store(service);
        store.delete(&item(service, account)).await
    }

    /// Whether [`Self::probe`] writes; else it only reads, for the store cannot delete.
    #[must_use]
    pub fn is_probed_by_writing(&self) -> bool {
        self.tokens().is_probed_by_writing()
    }

    /// Shows that tokens can be stored before something is done that needs it: writes, reads back and deletes an item
    /// of its own.
    pub async fn probe(&self) -> Result<(), Error> {
        try_out(&*self.tokens()).await
    }

    /// The same for what a mailbox is logged in to with.
    pub async fn probe_for_passwords(&self) -> Result<(), Error> {
        try_out(&*self.passwords).await
    }
}

async fn try_out(store: &dyn Store) -> Result<(), Error> {
    // An account of this process: two probes at once must not delete each other's item.
    let account = format!("probe-{}", std::process::id());
    let item = item(PROBE_SERVICE, &account);
    store.probe(&item, &PROBE.into()).await
}

fn item(service: &'static str, account: &str) -> Item {
    Item {
        service,
        account: account.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, Keychain, TOKEN_SERVICE, Terms, Written};
    use keyring_core::{CredentialStore, mock};
    use secrecy::{ExposeSecret as _, SecretString};
    use std::sync::Arc;
    use std::time::Duration;

    #[tokio::test]
    async fn what_is_put_can_be_read_and_deleted() {
        let store: Arc<CredentialStore> = mock::Store::new().expect("a mock store");
        let keychain = Keychain::of(move || Ok(store.clone()));
        let user = "integration@acme.example";
        let secret = SecretString::from("AbCdEfGh12345678IjKlMnOp");
        let read = keychain.get(TOKEN_SERVICE, user).await.expect("read");
        assert!(read.is_none());
        let written = keychain.put(user, &secret, &Terms::Anyhow(None)).await;
        assert_eq!(written.expect("written"), Written::Kept);
        let read = keychain.get(TOKEN_SERVICE, user).await.expect("read");
        assert_eq!(
            read.expect("stored").expose_secret(),
            secret.expose_secret()
        );
        assert!(keychain.delete(TOKEN_SERVICE, user).await.expect("deleted"));
        assert!(!keychain.delete(TOKEN_SERVICE, user).await.expect("absent"));
    }

    #[tokio::test]
    async fn a_store_that_hangs_ends_at_the_deadline() {
        let keychain = Keychain::of(|| {
            std::thread::sleep(Duration::from_secs(5));
            Err(keyring_core::Error::NoDefaultStore)
        });
        let outcome = keychain.probe().await;
        assert!(matches!(outcome, Err(Error::Silent { .. })), "{outcome:?}");
    }

    #[tokio::test]
    async fn a_store_that_panics_is_unavailable() {
        let keychain = Keychain::of(|| panic!("the store breaks"));
        let outcome = keychain.probe().await;
        assert!(
            matches!(outcome, Err(Error::Unavailable { .. })),
            "{outcome:?}"
        );
    }
}
