//! Which store the configuration names.

use std::sync::Arc;

use super::store::Store;
use super::{command, file};

/// The name for the platform's own store, or what stands in for it.
const AUTO: &str = "auto";

/// The platform's own store.
#[cfg(all(unix, not(any(target_os = "macos", target_os = "ios"))))]
pub(super) const OWN: Named = Named::SecretService;
/// The platform's own store.
#[cfg(target_os = "macos")]
pub(super) const OWN: Named = Named::Macos;
/// The platform's own store.
#[cfg(windows)]
pub(super) const OWN: Named = Named::Windows;

/// A store that the configuration has a name for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// The Secret Service of the desktop's session.
    SecretService,
    /// The kernel's session keyring.
    Keyutils,
    /// The login keychain of macOS.
    Macos,
    /// Windows' Credential Manager.
    Windows,
    /// The encrypted file.
    File,
}

/// All of them.
const ALL: [Named; 5] = [
    Named::SecretService,
    Named::Keyutils,
    Named::Macos,
    Named::Windows,
    Named::File,
];

impl Named {
    /// Its name in the configuration.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::SecretService => "secret-service",
            Self::Keyutils => "keyutils",
            Self::Macos => "macos",
            Self::Windows => "windows",
            Self::File => "file",
        }
    }

    /// The platforms that have it, for people; `None` where all do.
    fn platforms(self) -> Option<&'static str> {
        match self {
            Self::SecretService => Some("Linux and other Unix systems than macOS"),
            Self::Keyutils => Some("Linux"),
            Self::Macos => Some("macOS"),
            Self::Windows => Some("Windows"),
            Self::File => None,
        }
    }

    fn is_here(self) -> bool {
        match self {
            Self::Keyutils => cfg!(target_os = "linux"),
            Self::File => true,
            Self::SecretService | Self::Macos | Self::Windows => self == OWN,
        }
    }

    /// Those of this platform.
    pub(super) fn here() -> impl Iterator<Item = Self> {
        ALL.into_iter().filter(|named| named.is_here())
    }

    /// The store that has this name.
    pub fn find(name: &str) -> Result<Self, NoSuchStore> {
        let found = ALL.into_iter().find(|named| named.word() == name);
        let found = found.ok_or(NoSuchStore::Unknown)?;
        match found.platforms() {
            Some(platforms) if !found.is_here() => Err(NoSuchStore::Elsewhere {
                name: found.word(),
                platforms,
            }),
            _ => Ok(found),
        }
    }

    /// Opens it; `None` where the configuration says nothing of the file. Nothing is asked of it yet.
    pub(super) fn open(self, settings: &Settings) -> Option<Arc<dyn Store>> {
        match self {
            Self::File => {
                let file = settings.file.as_ref()?;
                Some(Arc::new(file::Store::new(file.clone())))
            }
            #[cfg(target_os = "linux")]
            Self::Keyutils => Some(Arc::new(super::keyutils::store())),
            named if named == OWN => Some(own()),
            _ => None,
        }
    }
}

/// The platform's own store.
pub(super) fn own() -> Arc<dyn Store> {
    #[cfg(all(unix, not(any(target_os = "macos", target_os = "ios"))))]
    return Arc::new(super::secret_service::store());
    #[cfg(target_os = "macos")]
    return Arc::new(super::macos::store());
    #[cfg(windows)]
    return Arc::new(super::windows::store());
}

/// There is no store of this name here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoSuchStore {
    /// Nor anywhere.
    #[error("there is no such store")]
    Unknown,
    /// It is another platform's.
    #[error("\"{name}\" is a store of {platforms}, and this is another system")]
    Elsewhere {
        /// Its name.
        name: &'static str,
        /// Who has it.
        platforms: &'static str,
    },
}

/// Which store tokens go to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Choice {
    /// The platform's own, or where that is not there, the file.
    #[default]
    Auto,
    /// This one.
    Named(Named),
    /// The user's commands.
    Command(Arc<command::Settings>),
}

impl Choice {
    /// The store that the configuration has this name for.
    pub fn named(name: &str) -> Result<Self, NoSuchStore> {
        if name == AUTO {
            return Ok(Self::Auto);
        }
        Named::find(name).map(Self::Named)
    }

    /// All such names of this platform.
    pub fn names() -> impl Iterator<Item = &'static str> {
        std::iter::once(AUTO).chain(Named::here().map(Named::word))
    }
}

/// What the configuration says of stores.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Settings {
    /// The store that tokens go to.
    pub store: Choice,
    /// The encrypted file. It is there where `store` names it.
    pub file: Option<file::Settings>,
}

impl From<Choice> for Settings {
    fn from(store: Choice) -> Self {
        Self { store, file: None }
    }
}
