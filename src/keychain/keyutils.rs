//! The kernel's own memory, by the session keyring (`keyrings(7)`): nothing on any disk, and nothing left after a reboot.

use keyring_core::{Error, Result};
use linux_keyutils::{KeyRing, KeyRingIdentifier};

use super::keyring::{Keyring, Threaded};

/// What the kernel calls the keyring that stands in where a session has none (`user-session-keyring(7)`). It takes keys
/// and does not give them back.
const STAND_IN: &str = "_uid_ses.";

/// Its name for people.
pub(super) const NAME: &str = "kernel keyring";

/// What a person should know who has a token there.
pub(super) const SHORT_LIVED: &str =
    "The kernel keyring keeps nothing over a reboot, and only some days over the end of a session.";

/// The store.
pub(super) fn store() -> Threaded {
    Threaded::new(Keyring {
        name: NAME,
        advice: "Start it by `keyctl session - fetch-token ...`, or in a session that pam_keyinit has given one",
        may_ask: false,
        has_labels: false,
        // There are none, and so no stamp.
        has_attributes: false,
        open: Box::new(|| {
            ensure_session()?;
            Ok(linux_keyutils_keyring_store::Store::new()?)
        }),
    })
}

/// Refuses before a key is left where nobody can read it.
fn ensure_session() -> Result<()> {
    let failed = |error| Error::NoStorageAccess(Box::new(error));
    let session = KeyRing::from_special_id(KeyRingIdentifier::Session, false).map_err(failed)?;
    let description = session.metadata().map_err(failed)?;
    if description.get_description().starts_with(STAND_IN) {
        return Err(Error::PlatformFailure(
            "this process has no session keyring of its own".into(),
        ));
    }
    Ok(())
}
