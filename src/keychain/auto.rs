//! Which store `"auto"` means: the platform's own, and where that is not there, the encrypted file, if the configuration
//! has one.

/// Whether the platform's own store is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Presence {
    /// It is, though it may be locked, or not answer.
    There,
    /// It is not, in the bus's words.
    #[cfg_attr(
        not(all(unix, not(any(target_os = "macos", target_os = "ios")))),
        expect(dead_code, reason = "macOS and Windows always have theirs")
    )]
    Absent(String),
}

/// Looks whether a Secret Service is there. What can be opened is there; so is what was found and fails then: only where
/// there is none at all may another store be taken.
#[cfg(all(unix, not(any(target_os = "macos", target_os = "ios"))))]
pub(super) async fn look() -> Presence {
    use std::time::Duration;

    use dbus_secret_service::{EncryptionType, SecretService};

    /// How long it may take: the library gives up after 2 s of silence.
    const ANSWER: Duration = Duration::from_secs(5);

    let begun = super::thread::begin(|| {
        // No secret is sent over this one.
        let opened = SecretService::connect(EncryptionType::Plain);
        opened.map_or_else(|error| judge(&error), |_| Presence::There)
    });
    let Ok(result) = begun else {
        return Presence::There;
    };
    let looked = tokio::time::timeout(ANSWER, result).await;
    looked.ok().and_then(Result::ok).unwrap_or(Presence::There)
}

/// Every user of macOS and Windows has a keychain.
#[cfg(not(all(unix, not(any(target_os = "macos", target_os = "ios")))))]
#[expect(clippy::unused_async, reason = "as elsewhere")]
pub(super) async fn look() -> Presence {
    Presence::There
}

/// The bus's errors (`dbus_error_t(3)`, the D-Bus specification's "Message Bus Messages") that say that there is no bus, or
/// nobody on it who is a Secret Service or could be started as one.
#[cfg(all(unix, not(any(target_os = "macos", target_os = "ios"))))]
const ABSENT: [&str; 8] = [
    "org.freedesktop.DBus.Error.BadAddress",
    "org.freedesktop.DBus.Error.FileNotFound",
    "org.freedesktop.DBus.Error.NameHasNoOwner",
    "org.freedesktop.DBus.Error.NoServer",
    // libdbus cannot start a bus of its own, as without a display.
    "org.freedesktop.DBus.Error.NotSupported",
    "org.freedesktop.DBus.Error.ServiceUnknown",
    "org.freedesktop.DBus.Error.Spawn.ServiceNotFound",
    "org.freedesktop.DBus.Error.Spawn.ExecFailed",
];

#[cfg(all(unix, not(any(target_os = "macos", target_os = "ios"))))]
fn judge(error: &dbus_secret_service::Error) -> Presence {
    match error {
        dbus_secret_service::Error::Dbus(error)
            if error.name().is_some_and(|name| ABSENT.contains(&name)) =>
        {
            Presence::Absent(error.message().unwrap_or("it is not there").to_owned())
        }
        _ => Presence::There,
    }
}
