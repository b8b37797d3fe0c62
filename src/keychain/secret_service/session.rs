//! Sessions with the Secret Service, and whose turn it is to write to it.

use std::any::Any;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use dbus::blocking::Connection;
use dbus::blocking::stdintf::org_freedesktop_dbus::RequestNameReply;
use dbus_secret_service::{EncryptionType, Error as ServiceError, SecretService};
use zeroize::Zeroizing;

use super::{INVALID, Result, SILENT, StoreError, in_store_words};

/// How long the bus itself may take, which only looks into its own tables.
const BUS: Duration = Duration::from_secs(2);

/// Who has this name on the bus is the one that writes. The bus takes it from a process that ends.
const WRITER: &str = "fetch_token.Writer";

/// The program that answers to the name on the bus, by the name that it was started as: `gnome-keyring-daemon`,
/// `keepassxc`, `kwalletd5`.
pub(super) fn program() -> Option<String> {
    let connection = Connection::new_session().ok()?;
    let bus = connection.with_proxy("org.freedesktop.DBus", "/org/freedesktop/DBus", BUS);
    let asked = ("org.freedesktop.secrets",);
    let (pid,): (u32,) = bus
        .method_call("org.freedesktop.DBus", "GetConnectionUnixProcessID", asked)
        .ok()?;
    // GNOME Keyring's `exe` cannot be read, as it locks its memory, and `comm` is cut off after 15 letters.
    let words = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let first = words.split(|octet| *octet == 0).next()?;
    let name = first.rsplit(|octet| *octet == b'/').next()?;
    Some(String::from_utf8_lossy(name).into_owned()).filter(|name| !name.is_empty())
}

/// Waits until it is our turn to write, first come, first served; over when the result is dropped. There is no
/// check-and-set, but all who write to this service are on its bus.
pub(super) fn turn(at_most: Duration) -> Result<Box<dyn Any>> {
    let failed = |error: dbus::Error| in_store_words(error.into());
    let connection = Connection::new_session().map_err(failed)?;
    let begin = Instant::now();
    while begin.elapsed() < at_most {
        // The bus tells who is in the queue when the name is his, and when asked again.
        let reply = connection.request_name(WRITER, false, false, false);
        match reply.map_err(failed)? {
            RequestNameReply::PrimaryOwner | RequestNameReply::AlreadyOwner => {
                kept().begin(owner(&connection).ok());
                return Ok(Box::new(Turn(connection)));
            }
            RequestNameReply::InQueue | RequestNameReply::Exists => {
                let left = at_most.saturating_sub(begin.elapsed());
                connection.process(left).map_err(failed)?;
            }
        }
    }
    Ok(Box::new(connection))
}

/// It is our turn to write as long as this connection is open.
struct Turn(#[expect(dead_code, reason = "it is only there")] Connection);

impl Drop for Turn {
    fn drop(&mut self) {
        kept().service = None;
    }
}

/// Who answers to the service's name: a name that the bus gives out once.
fn owner(bus: &Connection) -> Result<String, dbus::Error> {
    let proxy = bus.with_proxy("org.freedesktop.DBus", "/org/freedesktop/DBus", BUS);
    let asked = ("org.freedesktop.secrets",);
    let (owner,): (String,) = proxy.method_call("org.freedesktop.DBus", "GetNameOwner", asked)?;
    Ok(owner)
}

/// The session of the last write, for the next one: both sides compute a key for each session, which takes as long as
/// the write itself.
struct Kept {
    /// The session, and who answered when it was opened. Whoever uses it has it for himself, so that one that hangs
    /// holds nobody up.
    session: Option<(String, SecretService)>,
    /// Who answers now: known while it is our turn. One that was started anew knows nothing of the session.
    service: Option<String>,
}

static KEPT: Mutex<Kept> = Mutex::new(Kept {
    session: None,
    service: None,
});

fn kept() -> MutexGuard<'static, Kept> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Kept {
    /// It is our turn, and this is who answers; `None`: nobody does yet.
    fn begin(&mut self, service: Option<String>) {
        let known = self.session.as_ref().map(|(known, _)| known);
        if known != service.as_ref() {
            self.session = None;
        }
        self.service = service;
    }

    /// The session, where who answers has just been asked for.
    fn take(&mut self) -> Option<SecretService> {
        self.service.as_ref()?;
        self.session.take().map(|(_, session)| session)
    }

    fn keep(&mut self, session: SecretService) {
        if let Some(service) = self.service.clone() {
            self.session = Some((service, session));
        }
    }
}

/// A connection to the service, and a session for secrets with it, for one operation. It is kept for the next one if
/// what was written was also read in it: see [`in_store_words`] on wrong keys.
pub(super) struct Session {
    service: Option<Mutex<SecretService>>,
    written: Mutex<Option<Zeroizing<Vec<u8>>>>,
    is_proven: AtomicBool,
}

impl Session {
    /// The one that was kept, or a new one.
    pub(super) fn open(prompt: u64) -> Result<Self> {
        // Not in the match, where the lock would be held until its end.
        let known = kept().take();
        let service = match known.filter(is_alive) {
            Some(known) => known,
            None => connect(prompt)?,
        };
        Ok(Self {
            service: Some(Mutex::new(service)),
            written: Mutex::new(None),
            is_proven: AtomicBool::new(false),
        })
    }

    pub(super) fn service(&self) -> MutexGuard<'_, SecretService> {
        let service = self.service.as_ref();
        let service = service.expect("it is there until the session is dropped");
        service.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This was written in it.
    pub(super) fn wrote(&self, secret: &[u8]) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        *written = Some(Zeroizing::new(secret.to_vec()));
        self.is_proven.store(false, Ordering::Relaxed);
    }

    /// This was read in it.
    pub(super) fn read(&self, secret: &[u8]) {
        let written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.as_ref().is_some_and(|written| **written == secret) {
            self.is_proven.store(true, Ordering::Relaxed);
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let service = self.service.take().map(Mutex::into_inner);
        if let (true, Some(Ok(service))) = (*self.is_proven.get_mut(), service) {
            kept().keep(service);
        }
    }
}

/// Whether the connection of a session that was kept still carries questions. A service that is silent is for the
/// operation itself to wait for.
fn is_alive(session: &SecretService) -> bool {
    match session.get_default_collection() {
        Err(ServiceError::Dbus(error)) => error.name().is_some_and(|name| SILENT.contains(&name)),
        _ => true,
    }
}

fn connect(prompt: u64) -> Result<SecretService> {
    let connect = || {
        with_random_keys(|| {
            SecretService::connect_with_max_prompt_timeout(EncryptionType::Dh, prompt)
        })
    };
    let connected = match connect()? {
        // KWallet takes public keys of the full length alone, and one of 256 that the library makes is shorter.
        Err(ServiceError::Dbus(error)) if error.name() == Some(INVALID) => connect()?,
        connected => connected,
    };
    connected.map_err(in_store_words)
}

/// Opens a session whose keys nobody can work out who recorded the bus. The library draws them from the thread's
/// `fastrand`, which begins with what time it is and which thread this is; here it begins with random octets of the
/// system. So it does once more when the session is open, for later the library draws from it what it sends in the
/// open: each secret's initialization vector.
fn with_random_keys<T>(open: impl FnOnce() -> T) -> Result<T> {
    let random = || getrandom::u64().map_err(|error| StoreError::PlatformFailure(Box::new(error)));
    fastrand::seed(random()?);
    let opened = open();
    fastrand::seed(random()?);
    Ok(opened)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the library draws: a generator for the keys while the session is opened, later one for each vector.
    fn draws() -> [u64; 2] {
        fastrand::seed(1);
        let keys = with_random_keys(|| fastrand::Rng::new().get_seed());
        [keys.unwrap(), fastrand::Rng::new().get_seed()]
    }

    #[test]
    fn the_keys_do_not_follow_from_what_the_thread_s_generator_began_with() {
        let ([keys, vector], [other_keys, other_vector]) = (draws(), draws());
        assert_ne!(keys, other_keys);
        assert_ne!(vector, other_vector);
    }

    #[test]
    fn what_is_sent_in_the_open_does_not_follow_what_made_the_keys() {
        let after_the_keys = with_random_keys(|| {
            fastrand::Rng::new();
            fastrand::get_seed()
        });
        assert_ne!(fastrand::get_seed(), after_the_keys.unwrap());
    }

    #[test]
    fn the_library_draws_from_the_generator_that_is_seeded() {
        let lock: toml::Table = include_str!("../../../Cargo.lock").parse().unwrap();
        let packages = lock["package"].as_array().unwrap();
        let named = |name: &str| {
            packages
                .iter()
                .filter(|package| package["name"].as_str() == Some(name))
                .collect::<Vec<_>>()
        };
        assert_eq!(named("fastrand").len(), 1, "versions of fastrand");
        let [library] = named("dbus-secret-service")[..] else {
            panic!("versions of dbus-secret-service")
        };
        let needs = library["dependencies"].as_array().unwrap();
        assert!(
            needs
                .iter()
                .any(|needed| needed.as_str() == Some("fastrand"))
        );
    }
}
