//! The login keychain of macOS.

use super::keyring::{Keyring, Threaded};

/// The store.
pub(super) fn store() -> Threaded {
    Threaded::new(Keyring {
        name: "macOS keychain",
        advice: "Log in to a desktop session, then try again",
        may_ask: true,
        has_labels: false,
        has_attributes: false,
        open: Box::new(|| Ok(apple_native_keyring_store::keychain::Store::new()?)),
    })
}
