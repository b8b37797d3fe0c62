//! The Secret Service of the desktop's session: GNOME Keyring, `KWallet`, `KeePassXC`.
//!
//! Others write to it, too, and what is a second item to them is the same token to us. So an item is known by its
//! service and username alone, whatever else somebody wrote beside them; where there are several, the one that was
//! modified last counts, and a write leaves the new secret in all of them, and one of them in each collection.

mod session;

use std::any::Any;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, MutexGuard};

use dbus_secret_service::{Collection, Error as ServiceError, Item, SecretService};
use keyring_core::api::{Credential, CredentialApi, CredentialStoreApi};
use keyring_core::{Entry, Error as StoreError};

use super::error::Obstacle;
use super::keyring::{Keyring, Threaded};
use session::{Session, program, turn};

type Result<T, E = StoreError> = std::result::Result<T, E>;

/// How long a prompt may stay open: 5 s less than the whole operation where a person may be asked (see
/// `keyring::PERSON`), so that its end is still told.
const PROMPT_OF_DISPLAY: u64 = 55;

/// The same where no display is known to us. The service may know one.
const PROMPT: u64 = 8;

/// As which the secret is stored: what other programs show and copy as a password. `KeePassXC` puts anything else into
/// an attachment.
const CONTENT_TYPE: &str = "text/plain";

/// Attributes that `KeePassXC` adds to each item, and nobody may set.
const UUID: &str = "Uuid";
const PATH: &str = "Path";

/// The error for arguments that are refused.
const INVALID: &str = "org.freedesktop.DBus.Error.InvalidArgs";

/// The errors for answers that do not come.
const SILENT: [&str; 2] = [
    "org.freedesktop.DBus.Error.NoReply",
    "org.freedesktop.DBus.Error.Timeout",
];

/// The store.
pub(super) fn store() -> Threaded {
    // Without a display nobody can be asked to unlock it, and it says so at once.
    let may_ask = ["DISPLAY", "WAYLAND_DISPLAY"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
    let prompt = if may_ask { PROMPT_OF_DISPLAY } else { PROMPT };
    let keyring = Keyring {
        name: "Secret Service",
        advice: "Start GNOME Keyring, KWallet or KeePassXC in the same session (with the same \
                 DBUS_SESSION_BUS_ADDRESS), then try again. Where there is none, describe an encrypted file in \
                 `[keychain.file]` (docs/stores.md)",
        may_ask,
        has_labels: true,
        has_attributes: true,
        open: Box::new(move || Ok(Arc::new(Store(Arc::new(Session::open(prompt)?))))),
    };
    Threaded::new(keyring).in_turn(turn).answered_by(program)
}

/// The store, open for one operation.
struct Store(Arc<Session>);

impl CredentialStoreApi for Store {
    fn vendor(&self) -> String {
        "fetch-token".to_owned()
    }

    fn id(&self) -> String {
        format!("{:p}", Arc::as_ptr(&self.0))
    }

    fn build(
        &self,
        service: &str,
        user: &str,
        modifiers: Option<&HashMap<&str, &str>>,
    ) -> Result<Entry> {
        let label = modifiers.and_then(|modifiers| modifiers.get("label"));
        Ok(Entry::new_with_credential(Arc::new(Sought {
            session: Arc::clone(&self.0),
            service: service.to_owned(),
            username: user.to_owned(),
            label: label.copied().unwrap_or(service).to_owned(),
        })))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn debug_fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the Secret Service")
    }
}

/// What is looked for: the items of a service and a username.
struct Sought {
    session: Arc<Session>,
    service: String,
    username: String,
    /// For an item that is not there yet, or whose label does not tell whose token it is.
    label: String,
}

/// Which locked collections are worth asking a person for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// The default one.
    Default,
    /// Any, where nothing is found elsewhere.
    AnyIfNone,
    /// All.
    All,
}

impl Sought {
    fn service(&self) -> MutexGuard<'_, SecretService> {
        self.session.service()
    }

    fn attributes(&self) -> HashMap<&str, &str> {
        HashMap::from([
            ("service", self.service.as_str()),
            ("username", self.username.as_str()),
        ])
    }

    /// The items, unlocked; the one that counts first.
    fn found<'a>(
        &self,
        service: &'a SecretService,
        reach: Reach,
    ) -> Result<Vec<Item<'a>>, ServiceError> {
        let mut search = service.search_items(self.attributes())?;
        if search.locked.is_empty() && !search.unlocked.is_empty() {
            return in_order(search.unlocked);
        }
        let default = default_collection(service)?;
        if search.unlocked.is_empty()
            && search.locked.is_empty()
            && let Some(default) = &default
            && default.is_locked()?
        {
            // KeePassXC does not know what is in a locked one.
            default.unlock()?;
            search = service.search_items(self.attributes())?;
        }
        let mut found = search.unlocked;
        let (ours, others): (Vec<_>, Vec<_>) = search.locked.into_iter().partition(|item| {
            default
                .as_ref()
                .is_some_and(|default| collection_of(item) == &*default.path)
        });
        for (locked, is_wanted) in [
            (ours, true),
            (
                others,
                reach == Reach::All || reach == Reach::AnyIfNone && found.is_empty(),
            ),
        ] {
            if locked.is_empty() || !is_wanted {
                continue;
            }
            service.unlock_all(&locked.iter().collect::<Vec<_>>())?;
            for item in locked {
                // GNOME Keyring has but hashes of a locked item's attributes.
                let attributes = item.get_attributes()?;
                let mut wanted = self.attributes().into_iter();
                if wanted.all(|(name, value)| attributes.get(name).is_some_and(|it| it == value)) {
                    found.push(item);
                }
            }
        }
        in_order(found)
    }

    fn write(&self, secret: &[u8]) -> Result<(), Trouble> {
        let service = self.service();
        let found = self.found(&service, Reach::Default)?;
        if found.is_empty() {
            let collection = default_collection(&service)?.ok_or(Trouble::NoCollection)?;
            collection.ensure_unlocked()?;
            collection.create_item(&self.label, self.attributes(), secret, true, CONTENT_TYPE)?;
            return Ok(());
        }
        let mut seen = HashSet::new();
        let (kept, copies): (Vec<_>, Vec<_>) = found
            .iter()
            .partition(|item| seen.insert(collection_of(item)));
        for item in kept.iter().chain(&copies) {
            item.set_secret(secret, CONTENT_TYPE)?;
        }
        for item in kept {
            if !item.get_label()?.contains(&self.username) {
                item.set_label(&self.label)?;
            }
        }
        for copy in copies {
            // It holds the new secret: where a person is asked whether it may be deleted, and says no, nothing is wrong.
            match copy.delete() {
                Ok(()) | Err(ServiceError::Prompt | ServiceError::Locked) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

impl CredentialApi for Sought {
    fn set_secret(&self, secret: &[u8]) -> Result<()> {
        self.write(secret).map_err(|trouble| match trouble {
            Trouble::Service(error) => in_store_words(error),
            Trouble::NoCollection => StoreError::PlatformFailure(Box::new(Obstacle::NoCollection)),
        })?;
        self.session.wrote(secret);
        Ok(())
    }

    fn get_secret(&self) -> Result<Vec<u8>> {
        let service = self.service();
        let found = self.found(&service, Reach::AnyIfNone);
        let found = found.map_err(in_store_words)?;
        let first = found.first().ok_or(StoreError::NoEntry)?;
        let secret = first.get_secret().map_err(in_store_words)?;
        self.session.read(&secret);
        Ok(secret)
    }

    fn get_attributes(&self) -> Result<HashMap<String, String>> {
        let service = self.service();
        let found = self.found(&service, Reach::Default);
        let found = found.map_err(in_store_words)?;
        let first = found.first().ok_or(StoreError::NoEntry)?;
        first.get_attributes().map_err(in_store_words)
    }

    fn update_attributes(&self, attributes: &HashMap<&str, &str>) -> Result<()> {
        let service = self.service();
        let found = self.found(&service, Reach::Default);
        let found = found.map_err(in_store_words)?;
        if found.is_empty() {
            return Err(StoreError::NoEntry);
        }
        for item in found {
            let there = item.get_attributes().map_err(in_store_words)?;
            let mut all: HashMap<&str, &str> = there
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str()))
                .collect();
            if all.get(UUID).is_some_and(|uuid| item.path.ends_with(uuid)) {
                // It is KeePassXC's, which refuses all where one of these is among them, and keeps what is not named.
                all.retain(|name, _| ![UUID, PATH].contains(name));
            }
            all.extend(attributes);
            item.set_attributes(all).map_err(in_store_words)?;
        }
        Ok(())
    }

    fn delete_credential(&self) -> Result<()> {
        let service = self.service();
        let found = self.found(&service, Reach::All).map_err(in_store_words)?;
        if found.is_empty() {
            return Err(StoreError::NoEntry);
        }
        let mut deleted = found.iter().map(Item::delete);
        deleted.try_for_each(|it| it.map_err(in_store_words))
    }

    fn get_credential(&self) -> Result<Option<Arc<Credential>>> {
        Ok(None)
    }

    fn get_specifiers(&self) -> Option<(String, String)> {
        Some((self.service.clone(), self.username.clone()))
    }

    fn as_any(&self) -> &dyn Any {
        self
    }

    fn debug_fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.username, self.service)
    }
}

/// The collection for what is new; `None` where there is none.
fn default_collection(service: &SecretService) -> Result<Option<Collection<'_>>, ServiceError> {
    match service.get_default_collection() {
        Ok(collection) => Ok(Some(collection)),
        Err(ServiceError::NoResult) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The path of the collection that an item is in (Secret Service API, "Object Paths").
fn collection_of<'a>(item: &'a Item<'_>) -> &'a str {
    item.path.rsplit_once('/').map_or("", |(parent, _)| parent)
}

/// The item that counts first.
fn in_order(found: Vec<Item<'_>>) -> Result<Vec<Item<'_>>, ServiceError> {
    if found.len() < 2 {
        return Ok(found);
    }
    let mut ranked = Vec::new();
    for item in found {
        ranked.push((rank(&item)?, item));
    }
    ranked.sort_by(|(one, _), (other, _)| other.cmp(one));
    Ok(ranked.into_iter().map(|(_, item)| item).collect())
}

/// By what the item that counts is told: modified last. The times are in seconds, so of two of the same second the one
/// that was created later, or has the higher number: one that writes to an item does not leave a later one beside it.
fn rank(item: &Item<'_>) -> Result<(u64, u64, usize, String), ServiceError> {
    let path = item.path.to_string();
    Ok((item.get_modified()?, item.get_created()?, path.len(), path))
}

/// Why nothing was written.
enum Trouble {
    NoCollection,
    Service(ServiceError),
}

impl From<ServiceError> for Trouble {
    fn from(error: ServiceError) -> Self {
        Self::Service(error)
    }
}

fn in_store_words(error: ServiceError) -> StoreError {
    let (name, words) = match &error {
        ServiceError::Dbus(error) => (
            error.name().unwrap_or_default(),
            error.message().unwrap_or_default(),
        ),
        _ => ("", ""),
    };
    match (&error, name) {
        (ServiceError::Locked | ServiceError::Prompt, _)
        | (_, "org.freedesktop.Secret.Error.IsLocked") => {
            StoreError::NoStorageAccess(Box::new(Obstacle::Unattended))
        }
        (_, name) if SILENT.contains(&name) => {
            StoreError::PlatformFailure(Box::new(Obstacle::Silent))
        }
        // What it is when the service was started anew, or somebody deleted what was just found.
        (
            _,
            "org.freedesktop.Secret.Error.NoSession"
            | "org.freedesktop.Secret.Error.NoSuchObject"
            | "org.freedesktop.DBus.Error.UnknownObject"
            | "org.freedesktop.DBus.Error.UnknownMethod",
        ) => StoreError::PlatformFailure(Box::new(Obstacle::Changed)),
        // KWallet's word for NoSession; it loses one where many come at once.
        _ if words.starts_with("Can't find session") => {
            StoreError::PlatformFailure(Box::new(Obstacle::Changed))
        }
        // KWallet leaves out zeros that a shared secret begins with, as one in 256 does, and has another key then. The
        // next session has a new one.
        (ServiceError::Crypto(_), _) => StoreError::PlatformFailure(Box::new(Obstacle::Changed)),
        _ => StoreError::PlatformFailure(Box::new(error)),
    }
}

#[cfg(test)]
mod tests {
    use dbus_secret_service::Error as ServiceError;
    use keyring_core::Error as StoreError;

    use super::super::error::Obstacle;
    use super::in_store_words;

    #[test]
    fn a_key_that_the_service_does_not_share_is_agreed_on_again() {
        let error = in_store_words(ServiceError::Crypto("Unpad Error".into()));
        let StoreError::PlatformFailure(why) = error else {
            panic!("{error}")
        };
        let obstacle: &Obstacle = why.downcast_ref().expect("an obstacle");
        assert!(obstacle.is_passing());
    }

    #[test]
    fn a_session_that_kwallet_lost_is_begun_again() {
        for name in ["InvalidArgs", "InvalidObjectPath"] {
            let name = format!("org.freedesktop.DBus.Error.{name}");
            let lost = dbus::Error::new_custom(&name, "Can't find session /session/8");
            let StoreError::PlatformFailure(why) = in_store_words(lost.into()) else {
                panic!("{name}")
            };
            assert!(
                why.downcast_ref()
                    .is_some_and(|it: &Obstacle| it.is_passing())
            );
        }
    }
}
