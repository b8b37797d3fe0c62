//! Which store this platform has. Opened anew for every operation: a store that was opened before the service
//! restarted fails for good, and one that could not be opened at start can be later.

use std::sync::Arc;

use keyring_core::{CredentialStore, Result};

/// The store's name for people.
#[cfg(all(unix, not(any(target_os = "macos", target_os = "ios"))))]
pub(super) const NAME: &str = "Secret Service";
#[cfg(target_os = "macos")]
pub(super) const NAME: &str = "macOS keychain";
#[cfg(windows)]
pub(super) const NAME: &str = "Windows Credential Manager";

/// What to do where the store does not answer.
#[cfg(all(unix, not(any(target_os = "macos", target_os = "ios"))))]
pub(super) const ADVICE: &str = "Start GNOME Keyring, KWallet or KeePassXC in the same session (with the same \
                                 DBUS_SESSION_BUS_ADDRESS), then try again";
#[cfg(not(all(unix, not(any(target_os = "macos", target_os = "ios")))))]
pub(super) const ADVICE: &str = "Log in to a desktop session, then try again";

/// Opens the store.
#[cfg(all(unix, not(any(target_os = "macos", target_os = "ios"))))]
pub(super) fn open() -> Result<Arc<CredentialStore>> {
    Ok(dbus_secret_service_keyring_store::Store::new()?)
}

/// Opens the store.
#[cfg(target_os = "macos")]
pub(super) fn open() -> Result<Arc<CredentialStore>> {
    Ok(apple_native_keyring_store::keychain::Store::new()?)
}

/// Opens the store.
#[cfg(windows)]
pub(super) fn open() -> Result<Arc<CredentialStore>> {
    Ok(windows_native_keyring_store::Store::new()?)
}

/// Whether a locked store can ask a person to unlock it.
pub(super) fn may_prompt() -> bool {
    cfg!(not(target_os = "linux"))
        || ["DISPLAY", "WAYLAND_DISPLAY"]
            .iter()
            .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}
