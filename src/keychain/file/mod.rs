//! An encrypted file, for machines that have no keychain: every secret is in it, and each change replaces it as a whole.
//!
//! - `settings`: where it lies, and what opens it.
//! - `key`: that key, at hand.
//! - `content`: what the file holds, and its encryption, which is age's: `age --decrypt` opens it without us.
//!
//! Who writes holds the lock of a file beside it, so that look and write are one step: an older token never replaces a
//! newer one. Who reads needs no lock, for the file is replaced in one step.

mod content;
mod key;
mod settings;
#[cfg(test)]
mod tests;
mod trouble;

pub use settings::{Key, Settings};

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretString;
use tokio::time::timeout;

use super::stamp::Rank;
use super::store::{self, Doing, Item, Terms, Written};
use super::{Error, thread};
use crate::asked::{self, NotTyped};
use crate::private;
use content::{Content, MOST_ENCRYPTED};
use key::{Making, Opener};
use trouble::Trouble;

/// How long an operation may take: what holds the ledger's lock must be done before others give up on it. A passphrase
/// takes a second for each look into the file, and a person the longest.
const LONGEST: Duration = Duration::from_mins(1);

/// How long another may hold the file: with a passphrase it takes 3 s to write.
const LOCK: Duration = Duration::from_secs(30);

/// What its name for people begins with.
const NAME: &str = "file ";

/// The store.
#[derive(Debug)]
pub(super) struct Store {
    name: String,
    settings: Arc<Settings>,
}

impl Store {
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            name: format!("{NAME}{}", settings.path.display()),
            settings: Arc::new(settings),
        }
    }

    /// The file whose store has this name, opened by the same key.
    pub(super) fn named(name: &str, settings: &Settings) -> Option<Self> {
        let path = name.strip_prefix(NAME)?;
        Some(Self::new(Settings {
            path: PathBuf::from(path),
            key: settings.key.clone(),
        }))
    }

    async fn within<T>(
        &self,
        operation: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<T, Error> {
        match timeout(LONGEST, operation).await {
            Ok(result) => result.map_err(|trouble| trouble.named(&self.name)),
            Err(_) => Err(Error::Silent {
                store: self.name.clone(),
                after: LONGEST,
            }),
        }
    }

    /// The passphrase, where there is one.
    async fn passphrase(&self, making: Making) -> Result<Option<SecretString>, Trouble> {
        let typed = match &self.settings.key {
            Key::Identity(_) | Key::Credential(_) => return Ok(None),
            Key::Command(command) => {
                let printed = asked::by_command(command, "passphrase command").await;
                return printed.map(Some).map_err(Trouble::Sealed);
            }
            Key::Prompt(typed) => typed,
        };
        let file = self.settings.path.display();
        let given = match making {
            Making::Forbidden => typed.ask(&format!("Passphrase of {file}: ")).await,
            Making::Allowed => typed.ask_new(&format!("New passphrase for {file}: ")).await,
        };
        given.map(Some).map_err(|why| {
            Trouble::Sealed(match why {
                NotTyped::NotTheSame => "the two passphrases typed are not the same. Try again".to_owned(),
                NotTyped::NoTerminal => "there is no terminal to ask for its passphrase on. Use `passphrase = { command = \
                                         [...] }` or an `identity` where nobody sits"
                    .to_owned(),
            })
        })
    }

    /// Whether a key may be made for it.
    fn making(&self) -> Making {
        match self.settings.path.try_exists() {
            Ok(false) => Making::Allowed,
            Ok(true) | Err(_) => Making::Forbidden,
        }
    }

    /// Holds the file against other writers until it is dropped.
    async fn lock(&self) -> Result<File, Trouble> {
        let path = &self.settings.path;
        let mut name = path.as_os_str().to_owned();
        name.push(".lock");
        let beside = PathBuf::from(name);
        let failed = |error: io::Error| Trouble::system("locked", &beside, &error);
        private::make_directory(private::directory_of(path)).map_err(failed)?;
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).write(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let lock = options.open(&beside).map_err(failed)?;
        if private::lock(&lock, LOCK).await.map_err(failed)? {
            return Ok(lock);
        }
        let why = format!("another process has held it for {} s", LOCK.as_secs());
        Err(Trouble::System {
            action: "locked",
            file: beside,
            why,
        })
    }

    /// On a thread of its own: a disk may hang, and a passphrase is work.
    async fn on_thread<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&Settings) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, Trouble> {
        let settings = Arc::clone(&self.settings);
        let result = thread::begin(move || operation(&settings))
            .map_err(|error| Trouble::system("read", &self.settings.path, &error))?;
        match result.await {
            Ok(result) => result,
            Err(_) => Err(Trouble::Damaged("reading it broke off".to_owned())),
        }
    }

    /// Changes the file, while nobody else does.
    async fn change<T: Send + 'static>(
        &self,
        operation: impl FnOnce(&Path, &Opener) -> Result<T, Trouble> + Send + 'static,
    ) -> Result<T, Trouble> {
        let passphrase = self.passphrase(self.making()).await?;
        let lock = self.lock().await?;
        // Others may have made it while we waited.
        let making = self.making();
        let changed = self
            .on_thread(move |settings| {
                let opener = Opener::of(&settings.key, passphrase, making)?;
                let result = operation(&settings.path, &opener);
                drop(lock);
                result
            })
            .await;
        self.ask_again_where_wrong(&changed).await;
        changed
    }

    /// What a person typed and does not fit is asked for again the next time.
    async fn ask_again_where_wrong<T>(&self, result: &Result<T, Trouble>) {
        if let (Key::Prompt(typed), Err(Trouble::Sealed(_))) = (&self.settings.key, result) {
            typed.forget().await;
        }
    }

    async fn look(&self, item: &Item) -> Result<Option<SecretString>, Trouble> {
        if self.making() == Making::Allowed {
            return Ok(None);
        }
        let passphrase = self.passphrase(Making::Forbidden).await?;
        let item = item.clone();
        let found = self
            .on_thread(move |settings| {
                let opener = Opener::of(&settings.key, passphrase, Making::Forbidden)?;
                let content = read(&settings.path, &opener)?;
                content.find(&item).map(content::Kept::secret).transpose()
            })
            .await;
        self.ask_again_where_wrong(&found).await;
        found
    }
}

impl store::Store for Store {
    fn name(&self) -> &str {
        &self.name
    }

    fn read<'a>(&'a self, item: &'a Item) -> Doing<'a, Option<SecretString>> {
        Box::pin(self.within(self.look(item)))
    }

    fn write<'a>(
        &'a self,
        item: &'a Item,
        secret: &'a SecretString,
        terms: &'a Terms,
    ) -> Doing<'a, Written> {
        let (item, secret, terms) = (item.clone(), secret.clone(), terms.clone());
        let put = move |path: &Path, opener: &Opener| put(path, opener, &item, &secret, &terms);
        Box::pin(self.within(self.change(put)))
    }

    fn delete<'a>(&'a self, item: &'a Item) -> Doing<'a, bool> {
        let item = item.clone();
        let delete = move |path: &Path, opener: &Opener| {
            let mut content = read(path, opener)?;
            if !content.remove(&item) {
                return Ok(false);
            }
            replace(path, &content, opener)?;
            Ok(true)
        };
        Box::pin(self.within(async move {
            if self.making() == Making::Allowed {
                return Ok(false);
            }
            self.change(delete).await
        }))
    }
}

/// Looks, writes, and reads back.
fn put(
    path: &Path,
    opener: &Opener,
    item: &Item,
    secret: &SecretString,
    terms: &Terms,
) -> Result<Written, Trouble> {
    let mut content = read(path, opener)?;
    if let Some(kept) = content.find(item)
        && let (Terms::IfLater(stamp), Some(there)) = (terms, kept.stamp())
    {
        match stamp.rank(&there) {
            Rank::Earlier => return Ok(Written::Later),
            Rank::Tied => return Ok(Written::Tied),
            Rank::Same if kept.is(secret) => return Ok(Written::Already),
            Rank::Later | Rank::Same => {}
        }
    }
    content.put(item, secret, terms.stamp());
    replace(path, &content, opener)?;
    let again = read(path, opener)?;
    match again.find(item) {
        Some(kept) if kept.is(secret) => Ok(Written::Kept),
        _ => Err(Trouble::NotKept),
    }
}

fn replace(path: &Path, content: &Content, opener: &Opener) -> Result<(), Trouble> {
    let octets = content.seal(opener)?;
    private::replace(path, &octets).map_err(|error| Trouble::system("written", path, &error))
}

/// What the file holds; nothing where there is none.
fn read(path: &Path, opener: &Opener) -> Result<Content, Trouble> {
    let failed = |error: io::Error| Trouble::system("read", path, &error);
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Content::empty()),
        Err(error) => return Err(failed(error)),
    };
    let mut octets = Vec::new();
    let most = u64::try_from(MOST_ENCRYPTED).unwrap_or(u64::MAX);
    file.take(most + 1)
        .read_to_end(&mut octets)
        .map_err(failed)?;
    if octets.len() > MOST_ENCRYPTED {
        return Err(Trouble::Damaged(
            "it is longer than any file of ours".to_owned(),
        ));
    }
    Content::open(&octets, opener)
}
