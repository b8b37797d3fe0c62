//! The stores that a configuration describes, and which of them is meant.

use std::sync::{Arc, Mutex, PoisonError};

use secrecy::SecretString;

use super::auto::{self, Presence};
use super::choice::{self, Choice, Named, OWN, Settings};
use super::store::{Item, Store, Terms};
use super::{Error, command, file};

/// The stores that a configuration describes.
#[derive(Debug)]
pub(super) struct Stores {
    pub(super) settings: Settings,
    /// The platform's own.
    own: Arc<dyn Store>,
    /// The encrypted file, where it is described.
    file: Option<Arc<dyn Store>>,
    /// Where tokens go; `None` with `"auto"`.
    tokens: Option<Arc<dyn Store>>,
    /// Where what a mailbox is logged in to with lies; `None` where that is up to `"auto"`.
    secrets: Option<Arc<dyn Store>>,
    /// The name of the store that `"auto"` took last.
    taken: Mutex<Option<String>>,
}

/// A store that `"auto"` or a name means.
pub(super) struct Meant {
    pub(super) store: Arc<dyn Store>,
    /// Its name in the configuration, where `"auto"` took it.
    pub(super) by_auto: Option<Named>,
}

/// Where secrets of a mailbox were found, of the two places that `"auto"` has.
enum Place<'a> {
    One(&'a Arc<dyn Store>),
    Two {
        own: &'a Arc<dyn Store>,
        file: &'a Arc<dyn Store>,
        presence: Presence,
    },
}

impl Stores {
    pub(super) fn new(settings: &Settings) -> Self {
        let named = match &settings.store {
            Choice::Named(named) => named.open(settings),
            Choice::Auto | Choice::Command(_) => None,
        };
        let tokens: Option<Arc<dyn Store>> = match &settings.store {
            Choice::Command(commands) => Some(Arc::new(command::Store::new(Arc::clone(commands)))),
            Choice::Auto | Choice::Named(_) => named.clone(),
        };
        Self {
            own: choice::own(),
            file: Named::File.open(settings),
            tokens,
            secrets: named,
            taken: Mutex::default(),
            settings: settings.clone(),
        }
    }

    /// One for everything, of a test's own.
    #[cfg(test)]
    pub(super) fn one(store: Arc<dyn Store>) -> Self {
        Self {
            settings: Settings::default(),
            own: Arc::clone(&store),
            file: None,
            tokens: Some(Arc::clone(&store)),
            secrets: Some(store),
            taken: Mutex::default(),
        }
    }

    /// The name of the store that tokens go to, as far as that is known without a look.
    pub(super) fn name(&self) -> String {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        match (&self.tokens, &*taken) {
            (Some(store), _) => store.name().to_owned(),
            (None, Some(taken)) => taken.clone(),
            (None, None) => self.own.name().to_owned(),
        }
    }

    /// Whether tokens go to a store that the configuration names, which is not this one.
    pub(super) fn names_another(&self, name: &str) -> bool {
        self.tokens
            .as_ref()
            .is_some_and(|store| store.name() != name)
    }

    /// The store that new tokens go to.
    pub(super) async fn for_tokens(&self) -> Meant {
        if let Some(store) = &self.tokens {
            return Meant {
                store: Arc::clone(store),
                by_auto: None,
            };
        }
        let (store, named) = match &self.file {
            // It says itself what is wrong with it.
            None => (&self.own, OWN),
            Some(file) => match auto::look().await {
                Presence::There => (&self.own, OWN),
                Presence::Absent(_) => (file, Named::File),
            },
        };
        self.took(store.name());
        Meant {
            store: Arc::clone(store),
            by_auto: Some(named),
        }
    }

    fn took(&self, name: &str) {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.as_deref() != Some(name) {
            tracing::info!(
                store = name,
                "tokens go there, since the configuration leaves it open"
            );
            *taken = Some(name.to_owned());
        }
    }

    /// The store of this name; `None` where the configuration does not describe it.
    pub(super) fn called(&self, name: &str) -> Option<Arc<dyn Store>> {
        let described = [self.tokens.as_ref(), Some(&self.own), self.file.as_ref()];
        let mut described = described.into_iter().flatten();
        if let Some(store) = described.find(|store| store.name() == name) {
            return Some(Arc::clone(store));
        }
        if let Some(settings) = &self.settings.file
            && let Some(store) = file::Store::named(name, settings)
        {
            return Some(Arc::new(store));
        }
        self.kernel().filter(|store| store.name() == name)
    }

    /// The kernel's keyring, on a platform that has one. It needs no description.
    fn kernel(&self) -> Option<Arc<dyn Store>> {
        Named::Keyutils.open(&self.settings)
    }

    /// Where secrets of mailboxes are looked for, for people.
    pub(super) fn name_for_passwords(&self) -> String {
        match (&self.secrets, &self.file) {
            (Some(store), _) => store.name().to_owned(),
            (None, None) => self.own.name().to_owned(),
            (None, Some(file)) => format!("{}, or the {}", self.own.name(), file.name()),
        }
    }

    /// Whether they are looked for in the platform's own store.
    pub(super) fn has_secrets_in_own(&self) -> bool {
        self.secrets
            .as_ref()
            .is_none_or(|store| store.name() == self.own.name())
    }

    async fn place(&self) -> Place<'_> {
        match (&self.secrets, &self.file) {
            (Some(store), _) => Place::One(store),
            (None, None) => Place::One(&self.own),
            (None, Some(file)) => Place::Two {
                own: &self.own,
                file,
                presence: auto::look().await,
            },
        }
    }

    /// A mailbox's secret. With `"auto"` it is looked for in both places: it stays where it was put.
    pub(super) async fn secret(&self, item: &Item) -> Result<Option<SecretString>, Error> {
        match self.place().await {
            Place::One(store) => store.read(item).await,
            Place::Two {
                own,
                file,
                presence: Presence::There,
            } => match own.read(item).await? {
                Some(secret) => Ok(Some(secret)),
                None => file.read(item).await,
            },
            Place::Two {
                own,
                file,
                presence: Presence::Absent(why),
            } => match file.read(item).await? {
                Some(secret) => Ok(Some(secret)),
                // It may be there, and be back soon.
                None => Err(absent(own, why)),
            },
        }
    }

    /// Where a secret is kept from now on: where it lies, else in the store that is there.
    pub(super) async fn keeper(&self, item: &Item) -> Result<Arc<dyn Store>, Error> {
        Ok(Arc::clone(match self.place().await {
            Place::One(store) => store,
            Place::Two {
                own,
                file,
                presence: Presence::There,
            } => {
                if own.read(item).await?.is_none() && file.read(item).await?.is_some() {
                    file
                } else {
                    own
                }
            }
            Place::Two { file, .. } => file,
        }))
    }

    /// Writes a secret where it is kept, and reads it back.
    pub(super) async fn keep_secret(
        &self,
        item: &Item,
        secret: &SecretString,
    ) -> Result<(), Error> {
        let keeper = self.keeper(item).await?;
        keeper.write(item, secret, &Terms::Anyhow(None)).await?;
        Ok(())
    }

    /// What [`Self::keep_secret`] would replace.
    pub(super) async fn replaced(&self, item: &Item) -> Result<Option<SecretString>, Error> {
        self.keeper(item).await?.read(item).await
    }

    /// Deletes a secret wherever it is looked for; `false` where there was none.
    pub(super) async fn delete_secret(&self, item: &Item) -> Result<bool, Error> {
        match self.place().await {
            Place::One(store) => store.delete(item).await,
            Place::Two {
                own,
                file,
                presence: Presence::There,
            } => Ok(own.delete(item).await? | file.delete(item).await?),
            Place::Two {
                own,
                file,
                presence: Presence::Absent(why),
            } => {
                if file.delete(item).await? {
                    Ok(true)
                } else {
                    Err(absent(own, why))
                }
            }
        }
    }

    /// Brings a secret that is looked for in one store, and not there, from another one that is described; gives the
    /// names of both.
    pub(super) async fn fetch_secret(
        &self,
        item: &Item,
    ) -> Result<Option<(String, String)>, Error> {
        let Some(wanted) = &self.secrets else {
            return Ok(None);
        };
        if wanted.read(item).await?.is_some() {
            return Ok(None);
        }
        let others = [
            Some(Arc::clone(&self.own)),
            self.file.clone(),
            self.kernel(),
        ];
        for other in others.into_iter().flatten() {
            if other.name() == wanted.name() {
                continue;
            }
            // What is not there at all has nothing to give.
            let Ok(Some(secret)) = other.read(item).await else {
                continue;
            };
            wanted.write(item, &secret, &Terms::Anyhow(None)).await?;
            other.delete(item).await?;
            return Ok(Some((other.name().to_owned(), wanted.name().to_owned())));
        }
        Ok(None)
    }
}

fn absent(own: &Arc<dyn Store>, why: String) -> Error {
    Error::Unavailable {
        store: own.name().to_owned(),
        why,
        advice: "The file of `[keychain.file]` does not hold what is looked for. Start the keychain in the same session, or \
                 call `fetch-token login ADDRESS` to keep it in the file",
    }
}
