//! Which store the configuration names.

use std::sync::Arc;

use super::command;
use super::store::Store;

/// Opens a store. Nothing is asked of it yet.
type Make = fn() -> Arc<dyn Store>;

/// The stores of this platform by the names that the configuration has for them. The first is `"auto"`.
#[cfg(all(unix, not(any(target_os = "macos", target_os = "ios"))))]
pub(super) const NAMED: [(&str, Make); 1] =
    [(
        "secret-service",
        || Arc::new(super::secret_service::store()),
    )];
/// The stores of this platform by the names that the configuration has for them. The first is `"auto"`.
#[cfg(target_os = "macos")]
pub(super) const NAMED: [(&str, Make); 1] = [("macos", || Arc::new(super::macos::store()))];
/// The stores of this platform by the names that the configuration has for them. The first is `"auto"`.
#[cfg(windows)]
pub(super) const NAMED: [(&str, Make); 1] = [("windows", || Arc::new(super::windows::store()))];

/// The name for the platform's own store.
const AUTO: &str = "auto";

/// Which store tokens go to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Choice {
    /// The platform's own.
    #[default]
    Auto,
    /// This one of the stores that have a name, by its place among them.
    Named(usize),
    /// The user's commands.
    Command(Arc<command::Settings>),
}

impl Choice {
    /// The store that the configuration has this name for.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        if name == AUTO {
            return Some(Self::Auto);
        }
        let place = NAMED.iter().position(|(known, _)| *known == name);
        place.map(Self::Named)
    }

    /// All such names.
    pub fn names() -> impl Iterator<Item = &'static str> {
        std::iter::once(AUTO).chain(NAMED.iter().map(|(name, _)| *name))
    }

    /// The store.
    pub(super) fn open(&self) -> Arc<dyn Store> {
        match self {
            Self::Auto => NAMED[0].1(),
            Self::Named(place) => NAMED[*place].1(),
            Self::Command(settings) => Arc::new(command::Store::new(Arc::clone(settings))),
        }
    }
}
