//! Where secrets lie: one front, several stores, and nothing counts until it was read back.
//!
//! - `store` says what a store promises; a new one is a file beside it, named in `choice`.
//! - `secret_service`, `macos`, `windows`: the platforms' own, each by its library, driven by `keyring`; `keyutils` the
//!   same for the kernel's memory.
//! - [`mod@file`]: an encrypted file, for machines that have no keychain.
//! - [`command`]: the user's own commands, for stores that have a command line.
//! - `auto` says which of these is taken where the configuration leaves it open, `stores` which one is meant.
//! - [`Stamp`]: from which mail a token is, left beside it where the store can carry it.
//! - [`notices`]: what a person should hear besides errors.
//!
//! New tokens go to the store that the configuration names, and are read from the one that the ledger names: no token is
//! looked for, or written, where it is not. What a mailbox is logged in to with lies in the store that the configuration
//! names, or where that is made of commands, in the one that `"auto"` means.

mod auto;
mod choice;
pub mod command;
mod error;
pub mod file;
mod keyring;
#[cfg(target_os = "linux")]
mod keyutils;
#[cfg(target_os = "macos")]
mod macos;
pub mod notices;
#[cfg(all(unix, not(any(target_os = "macos", target_os = "ios"))))]
mod secret_service;
mod stamp;
mod store;
mod stores;
mod thread;
#[cfg(windows)]
mod windows;

pub use choice::{Choice, Named, NoSuchStore, Settings};
pub use error::Error;
pub use stamp::{NotAStamp, Stamp};
pub use store::{Terms, Written};

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use secrecy::SecretString;

use store::{Item, Store};
use stores::Stores;

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
    stores: Arc<RwLock<Arc<Stores>>>,
}

impl fmt::Debug for Keychain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keychain")
    }
}

/// One store, for tokens.
#[derive(Clone)]
pub struct TokenStore(Arc<dyn Store>);

impl fmt::Debug for TokenStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name())
    }
}

impl TokenStore {
    /// Its name for people, by which the ledger knows it, too.
    #[must_use]
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// Writes a token and reads it back.
    pub async fn put(
        &self,
        username: &str,
        token: &SecretString,
        terms: &Terms,
    ) -> Result<Written, Error> {
        let item = item(TOKEN_SERVICE, username);
        let written = self.0.write(&item, token, terms).await?;
        #[cfg(target_os = "linux")]
        if self.name() == keyutils::NAME {
            notices::leave(keyutils::SHORT_LIVED);
        }
        Ok(written)
    }

    /// Reads a token; `None` where there is none.
    pub async fn get(&self, username: &str) -> Result<Option<SecretString>, Error> {
        self.0.read(&item(TOKEN_SERVICE, username)).await
    }

    /// Deletes a token; `false` where there was none.
    pub async fn delete(&self, username: &str) -> Result<bool, Error> {
        self.0.delete(&item(TOKEN_SERVICE, username)).await
    }
}

impl Keychain {
    /// With the stores that the configuration describes. Nothing is opened before the first use.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            stores: Arc::new(RwLock::new(Arc::new(Stores::new(settings)))),
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
            stores: Arc::new(RwLock::new(Arc::new(Stores::one(store)))),
        }
    }

    /// From now on these stores count.
    pub fn choose(&self, settings: &Settings) {
        let mut stores = self.stores.write().unwrap_or_else(PoisonError::into_inner);
        let mut settings = settings.clone();
        // What a person typed for the same file stays known.
        if settings.file == stores.settings.file {
            settings.file.clone_from(&stores.settings.file);
        }
        *stores = Arc::new(Stores::new(&settings));
    }

    fn stores(&self) -> Arc<Stores> {
        Arc::clone(&self.stores.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The name of the store that tokens go to, for people. With `"auto"` it is that of the one taken last, or of the
    /// platform's own before any was needed.
    #[must_use]
    pub fn name(&self) -> String {
        self.stores().name()
    }

    /// Whether tokens go to a store that the configuration names, which is not this one.
    #[must_use]
    pub fn names_another(&self, name: &str) -> bool {
        self.stores().names_another(name)
    }

    /// The store that the next token of this username goes to. `lies_in` is the name of the one that holds its token
    /// now: `"auto"` never moves from one to another.
    pub async fn store_for(
        &self,
        username: &str,
        lies_in: Option<&str>,
    ) -> Result<TokenStore, Error> {
        let meant = self.stores().for_tokens().await;
        match (lies_in, meant.by_auto) {
            (Some(there), Some(named)) if there != meant.store.name() => Err(Error::Elsewhere {
                username: username.to_owned(),
                there: there.to_owned(),
                here: meant.store.name().to_owned(),
                word: named.word(),
            }),
            _ => Ok(TokenStore(meant.store)),
        }
    }

    /// The store that a token is to be read from: the one of this name, which the ledger has; where it has none, the one
    /// that tokens go to.
    pub async fn holder(&self, lies_in: Option<&str>) -> Result<TokenStore, Error> {
        let stores = self.stores();
        let Some(name) = lies_in else {
            return Ok(TokenStore(stores.for_tokens().await.store));
        };
        let called = stores.called(name).map(TokenStore);
        called.ok_or_else(|| Error::NotConfigured {
            store: name.to_owned(),
            here: stores.name(),
        })
    }

    /// Reads a token from where it lies, see [`Self::holder`]; `None` where there is none.
    pub async fn token(
        &self,
        username: &str,
        lies_in: Option<&str>,
    ) -> Result<Option<SecretString>, Error> {
        self.holder(lies_in).await?.get(username).await
    }

    /// The store of this name, wherever tokens go; `None` where the configuration does not describe it.
    #[must_use]
    pub fn named(&self, named: Named) -> Option<TokenStore> {
        named.open(&self.stores().settings).map(TokenStore)
    }

    /// The user's commands, where they are what tokens go to.
    #[must_use]
    pub fn commands(&self) -> Option<TokenStore> {
        let settings = &self.stores().settings;
        match &settings.store {
            Choice::Command(commands) => Some(TokenStore(Arc::new(command::Store::new(
                Arc::clone(commands),
            )))),
            Choice::Auto | Choice::Named(_) => None,
        }
    }

    /// Whether a store of this name is what the configuration takes for new tokens.
    #[must_use]
    pub fn is_chosen(&self, store: &TokenStore) -> bool {
        let stores = self.stores();
        match stores.settings.store {
            Choice::Auto => false,
            Choice::Named(_) | Choice::Command(_) => !stores.names_another(store.name()),
        }
    }

    /// Where secrets of mailboxes are looked for, for people.
    #[must_use]
    pub fn name_for_passwords(&self) -> String {
        self.stores().name_for_passwords()
    }

    /// How a secret is put there by hand, in brackets after a blank; empty where no program is known that does.
    #[must_use]
    pub fn by_hand(&self, service: &str, account: &str) -> String {
        if cfg!(target_os = "linux") && self.stores().has_secrets_in_own() {
            format!(
                " (by hand: secret-tool store --label=\"{account}\" service {service} username {account})"
            )
        } else {
            String::new()
        }
    }

    /// Writes a secret that is no token, such as a mailbox's refresh token, and reads it back.
    pub async fn keep(
        &self,
        service: &'static str,
        account: &str,
        secret: &SecretString,
    ) -> Result<(), Error> {
        let item = item(service, account);
        self.stores().keep_secret(&item, secret).await
    }

    /// Reads a secret that is no token; `None` where there is none.
    pub async fn get(
        &self,
        service: &'static str,
        account: &str,
    ) -> Result<Option<SecretString>, Error> {
        self.stores().secret(&item(service, account)).await
    }

    /// What [`Self::keep`] would replace; `None` where there is none.
    pub async fn replaced(
        &self,
        service: &'static str,
        account: &str,
    ) -> Result<Option<SecretString>, Error> {
        self.stores().replaced(&item(service, account)).await
    }

    /// Deletes a secret that is no token; `false` where there was none.
    pub async fn delete(&self, service: &'static str, account: &str) -> Result<bool, Error> {
        self.stores().delete_secret(&item(service, account)).await
    }

    /// Brings a secret that is no token into the store that it is looked for in, where it lies in another one; gives the
    /// names of both. With `"auto"` there is nothing to do.
    pub async fn fetch(
        &self,
        service: &'static str,
        account: &str,
    ) -> Result<Option<(String, String)>, Error> {
        self.stores().fetch_secret(&item(service, account)).await
    }

    /// Whether [`Self::probe`] writes; else it only reads, for the store cannot delete.
    #[must_use]
    pub fn is_probed_by_writing(&self) -> bool {
        let tokens = self.commands();
        tokens.is_none_or(|store| store.0.is_probed_by_writing())
    }

    /// The program behind the store that tokens go to, where that store is only a name that several answer to.
    pub async fn program(&self) -> Option<String> {
        self.stores().for_tokens().await.store.program().await
    }

    /// Shows that tokens can be stored before something is done that needs it: writes, reads back and deletes an item
    /// of its own.
    pub async fn probe(&self) -> Result<(), Error> {
        let store = self.stores().for_tokens().await.store;
        probe(&store).await
    }

    /// The same, and for the store that this mailbox's secret goes to, where that is another one.
    pub async fn probe_for_login(&self, address: &str) -> Result<(), Error> {
        let stores = self.stores();
        let tokens = stores.for_tokens().await.store;
        probe(&tokens).await?;
        let keeper = stores.keeper(&item(MAILBOX_SERVICE, address)).await?;
        if keeper.name() == tokens.name() {
            return Ok(());
        }
        probe(&keeper).await
    }

    /// The same as [`Self::probe`], and that the next token of this username could go there: see [`Self::store_for`].
    pub async fn probe_for(&self, username: &str, lies_in: Option<&str>) -> Result<(), Error> {
        let store = self.store_for(username, lies_in).await?;
        probe(&store.0).await
    }
}

async fn probe(store: &Arc<dyn Store>) -> Result<(), Error> {
    // An account of this process: two probes at once must not delete each other's item.
    let account = format!("probe-{}", std::process::id());
    let item = item(PROBE_SERVICE, &account);
    store.probe(&item, &PROBE.into()).await
}

/// The name of the platform's own store, for people.
#[must_use]
pub fn own_name() -> String {
    choice::own().name().to_owned()
}

fn item(service: &'static str, account: &str) -> Item {
    Item {
        service,
        account: account.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, Keychain, Terms, Written};
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
        let store = keychain.store_for(user, None).await.expect("a store");
        let read = store.get(user).await.expect("read");
        assert!(read.is_none());
        let written = store.put(user, &secret, &Terms::Anyhow(None)).await;
        assert_eq!(written.expect("written"), Written::Kept);
        let read = store.get(user).await.expect("read");
        assert_eq!(
            read.expect("stored").expose_secret(),
            secret.expose_secret()
        );
        assert!(store.delete(user).await.expect("deleted"));
        assert!(!store.delete(user).await.expect("absent"));
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
