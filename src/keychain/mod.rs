//! The OS keychain behind one front: own thread, own deadline, and nothing counts until it was read back.
//!
//! Stores block, and a frozen service blocks them for good; a thread that hangs is left behind, never joined.

mod platform;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use keyring_core::{CredentialStore, Entry, Error as StoreError};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::oneshot;
use tokio::time::timeout;
use zeroize::Zeroizing;

/// Service under which tokens lie; the account is the Salesforce username, the secret the token's bytes alone.
pub const TOKEN_SERVICE: &str = "salesforce-security-token";

/// Service under which mailbox passwords lie; the account is the mailbox's address.
pub const MAILBOX_SERVICE: &str = "fetch-token-mailbox";

/// Service of the item that [`Keychain::probe`] writes and deletes.
const PROBE_SERVICE: &str = "fetch-token-probe";

/// How long a store may take. A healthy one takes some milliseconds.
const ANSWER: Duration = Duration::from_secs(10);

/// How long a store may take that can ask a person to unlock it.
const PERSON: Duration = Duration::from_mins(1);

/// Why the keychain did not do it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// No store answers.
    #[error(
        "the keychain ({}) cannot be reached: {why}. {}",
        platform::NAME,
        platform::ADVICE
    )]
    Unavailable {
        /// The store's words.
        why: String,
    },
    /// The store is locked, or refuses access.
    #[error(
        "the keychain ({}) is locked or refuses access: {why}. Unlock it, then try again",
        platform::NAME
    )]
    Locked {
        /// The store's words.
        why: String,
    },
    /// The store did not answer in time.
    #[error("the keychain ({}) did not answer within {} s. Look whether it waits for you to unlock it, or restart it", platform::NAME, .after.as_secs())]
    Silent {
        /// How long it was given.
        after: Duration,
    },
    /// Several items have the same service and account.
    #[error(
        "the keychain ({}) holds several items for {account}. Delete all but one of them in the keychain's own program",
        platform::NAME
    )]
    Ambiguous {
        /// The account in question.
        account: String,
    },
    /// What was written is not what is read.
    #[error(
        "the keychain ({}) took the secret but does not give it back. Check it with its own program",
        platform::NAME
    )]
    NotKept,
    /// Anything else.
    #[error("the keychain ({}) refused: {why}", platform::NAME)]
    Refused {
        /// The store's words.
        why: String,
    },
}

type Open = dyn Fn() -> keyring_core::Result<Arc<CredentialStore>> + Send + Sync;

/// The keychain.
#[derive(Clone)]
pub struct Keychain {
    open: Arc<Open>,
    deadline: Duration,
}

impl fmt::Debug for Keychain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Keychain")
    }
}

impl Keychain {
    /// The platform's own. Nothing is opened before the first use.
    #[must_use]
    pub fn platform() -> Self {
        Self {
            open: Arc::new(platform::open),
            deadline: if platform::may_prompt() {
                PERSON
            } else {
                ANSWER
            },
        }
    }

    /// One of a test's own.
    #[cfg(test)]
    pub(crate) fn of(
        open: impl Fn() -> keyring_core::Result<Arc<CredentialStore>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            open: Arc::new(open),
            deadline: Duration::from_secs(1),
        }
    }

    /// The store's name for people.
    #[must_use]
    pub fn name(&self) -> &'static str {
        platform::NAME
    }

    /// Writes a secret and reads it back through a store opened anew.
    pub async fn put(
        &self,
        service: &'static str,
        account: &str,
        secret: &SecretString,
    ) -> Result<(), Error> {
        let wanted = secret.clone();
        self.on_thread(account, move |open, account| {
            entry(&*open()?, service, account)?.set_secret(wanted.expose_secret().as_bytes())?;
            let kept = Zeroizing::new(entry(&*open()?, service, account)?.get_secret()?);
            Ok(*kept == wanted.expose_secret().as_bytes())
        })
        .await?
        .then_some(())
        .ok_or(Error::NotKept)
    }

    /// Reads a secret; `None` where there is none.
    pub async fn get(
        &self,
        service: &'static str,
        account: &str,
    ) -> Result<Option<SecretString>, Error> {
        let read = self
            .on_thread(account, move |open, account| {
                absent_is_none(entry(&*open()?, service, account)?.get_secret())
            })
            .await?;
        let Some(octets) = read.map(Zeroizing::new) else {
            return Ok(None);
        };
        match std::str::from_utf8(&octets) {
            Ok(secret) => Ok(Some(SecretString::from(secret))),
            Err(_) => Err(Error::Refused {
                why: "the secret stored there is no UTF-8 text".to_owned(),
            }),
        }
    }

    /// Deletes a secret; `false` where there was none.
    pub async fn delete(&self, service: &'static str, account: &str) -> Result<bool, Error> {
        let deleted = self
            .on_thread(account, move |open, account| {
                absent_is_none(entry(&*open()?, service, account)?.delete_credential())
            })
            .await?;
        Ok(deleted.is_some())
    }

    /// Shows that the keychain works before something is done that needs it: writes, reads back and deletes an item
    /// of its own.
    pub async fn probe(&self) -> Result<(), Error> {
        // An account of this process: two probes at once must not delete each other's item.
        let account = format!("probe-{}", std::process::id());
        self.put(PROBE_SERVICE, &account, &SecretString::from("probe"))
            .await?;
        self.delete(PROBE_SERVICE, &account).await?;
        Ok(())
    }

    async fn on_thread<T: Send + 'static>(
        &self,
        account: &str,
        operation: impl FnOnce(&Open, &str) -> keyring_core::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let (done, result) = oneshot::channel();
        let open = Arc::clone(&self.open);
        let name = account.to_owned();
        std::thread::Builder::new()
            .name("keychain".to_owned())
            .spawn(move || {
                // Nobody may be listening any more.
                let _ = done.send(operation(&*open, &name));
            })
            .map_err(|error| Error::Unavailable {
                why: error.to_string(),
            })?;
        match timeout(self.deadline, result).await {
            Err(_) => Err(Error::Silent {
                after: self.deadline,
            }),
            Ok(Err(_)) => Err(Error::Unavailable {
                why: "its client broke".to_owned(),
            }),
            Ok(Ok(result)) => result.map_err(|error| in_our_words(error, account)),
        }
    }
}

/// An item, with a label that tells a person in the keychain's own program what it is.
fn entry(store: &CredentialStore, service: &str, account: &str) -> keyring_core::Result<Entry> {
    let label = match service {
        TOKEN_SERVICE => format!("Salesforce security token of {account}"),
        MAILBOX_SERVICE => format!("Mailbox password of {account} (fetch-token)"),
        _ => "fetch-token: trying the keychain".to_owned(),
    };
    let modifiers = if cfg!(all(unix, not(target_os = "macos"))) && !cfg!(test) {
        Some(HashMap::from([("label", label.as_str())]))
    } else {
        None
    };
    store.build(service, account, modifiers.as_ref())
}

fn absent_is_none<T>(result: keyring_core::Result<T>) -> keyring_core::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(StoreError::NoEntry) => Ok(None),
        Err(error) => Err(error),
    }
}

/// A store's error, without the secrets that some of its variants carry.
fn in_our_words(error: StoreError, account: &str) -> Error {
    match error {
        StoreError::PlatformFailure(why) => Error::Unavailable {
            why: why.to_string(),
        },
        StoreError::NoStorageAccess(why) => Error::Locked {
            why: why.to_string(),
        },
        StoreError::Ambiguous(_) => Error::Ambiguous {
            account: account.to_owned(),
        },
        StoreError::NoEntry => Error::NotKept,
        StoreError::BadEncoding(_) | StoreError::BadDataFormat(..) => Error::Refused {
            why: "the secret stored there cannot be read".to_owned(),
        },
        other => Error::Refused {
            why: other.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, Keychain, TOKEN_SERVICE};
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
        assert!(
            keychain
                .get(TOKEN_SERVICE, user)
                .await
                .expect("read")
                .is_none()
        );
        keychain
            .put(TOKEN_SERVICE, user, &secret)
            .await
            .expect("written");
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
