//! The Credential Manager of Windows.

use super::keyring::{Keyring, Threaded};

/// The store.
pub(super) fn store() -> Threaded {
    Threaded::new(Keyring {
        name: "Windows Credential Manager",
        advice: "Log in to a desktop session, then try again",
        may_ask: true,
        has_labels: false,
        has_attributes: false,
        open: Box::new(|| Ok(windows_native_keyring_store::Store::new()?)),
    })
}
