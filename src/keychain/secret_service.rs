//! The Secret Service of the desktop's session: GNOME Keyring, `KWallet`, `KeePassXC`.

use super::keyring::{Keyring, Threaded};

/// The store.
pub(super) fn store() -> Threaded {
    Threaded::new(Keyring {
        name: "Secret Service",
        advice: "Start GNOME Keyring, KWallet or KeePassXC in the same session (with the same \
                 DBUS_SESSION_BUS_ADDRESS), then try again. Where there is none, describe an encrypted file in \
                 `[keychain.file]` (docs/stores.md)",
        // Without a display nobody can be asked to unlock it, and it says so at once.
        may_ask: ["DISPLAY", "WAYLAND_DISPLAY"]
            .iter()
            .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty())),
        has_labels: true,
        has_attributes: true,
        open: Box::new(|| Ok(dbus_secret_service_keyring_store::Store::new()?)),
    })
}
