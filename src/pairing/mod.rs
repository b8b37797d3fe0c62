//! Pairing: whatever resets a token gets the token that this reset caused.
//!
//! [`Pairing::arm`] before the reset, [`Armed::token`] after it. A running daemon's watch is shared; without one, or
//! when it goes away, the watch is our own, which nobody needs to know. The commands `wait`, `run` and `arm` are made
//! of the same [`Wait`].
//!
//! ```no_run
//! use fetch_token::pairing::{ExposeSecret, Pairing};
//! use std::time::Duration;
//!
//! # async fn reset_the_token() -> Result<(), Box<dyn std::error::Error>> { Ok(()) }
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let pairing = Pairing::open()?.for_username("integration@acme.example");
//! let mut armed = pairing.arm(Duration::from_mins(1)).await?;
//! reset_the_token().await?;
//! let answer = armed.token(Duration::from_mins(5)).await?;
//! if answer.others > 0 {
//!     eprintln!("the token was reset more than once; this is the newest");
//! }
//! let token = answer.token().await?;
//! assert!(token.expose_secret().len() > 20);
//! # Ok(())
//! # }
//! ```
//!
//! It needs a tokio runtime with time and I/O. All waits are bounded by the time they are given.

mod codes;
mod error;
mod found;
mod source;
mod wait;

pub use error::Error;
pub use secrecy::{ExposeSecret, SecretString};
pub use wait::{Alone, Answer, Heard, Wait};

pub use crate::daemon::protocol::Begin;
pub use crate::imap::Cursor;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::config::{self, Config};
use crate::daemon::protocol::Wanted;
use crate::dns::{self, KeySource};
use crate::intake::Intake;
use crate::keychain::Keychain;
use crate::ledger::{Ledger, Record};

/// Whose token is waited for, and where. See the [module](self) for an example.
#[derive(Debug, Clone)]
pub struct Pairing {
    premises: Arc<Premises>,
    /// A file of keys in place of those that the configuration names.
    keys: Option<PathBuf>,
    account: Option<String>,
    username: Option<String>,
}

/// What a wait stands on.
#[derive(Debug)]
struct Premises {
    file: PathBuf,
    config: Config,
    keychain: Keychain,
    ledger: Ledger,
}

impl Pairing {
    /// By the user's configuration.
    pub fn open() -> Result<Self, Error> {
        Self::with_config(config::default_file()?)
    }

    /// By the configuration in this file.
    pub fn with_config(file: impl Into<PathBuf>) -> Result<Self, Error> {
        let file = file.into();
        let config = Config::read(&file)?;
        let premises = Premises {
            keychain: Keychain::new(&config.keychain),
            config,
            file,
            ledger: Ledger::at(config::state_directory()?),
        };
        Ok(Self {
            premises: Arc::new(premises),
            keys: None,
            account: None,
            username: None,
        })
    }

    /// For the token of this Salesforce username; else that of any which comes to the account.
    #[must_use]
    pub fn for_username(mut self, username: impl Into<String>) -> Self {
        self.username = Some(username.into());
        self
    }

    /// At the account with this address; needed where several could be meant.
    #[must_use]
    pub fn account(mut self, address: impl Into<String>) -> Self {
        self.account = Some(address.into());
        self
    }

    /// Proves senders by the keys in this file, a JSON object `{"SELECTOR._domainkey.DOMAIN": "v=DKIM1; ..."}`. The
    /// daemon, which has its own, is not asked then.
    #[must_use]
    pub fn dkim_keys(mut self, file: impl Into<PathBuf>) -> Self {
        self.keys = Some(file.into());
        self
    }

    /// Begins to watch, and returns once every mail that arrives from then on is seen: reset the token after this.
    pub async fn arm(&self, within: Duration) -> Result<Armed, Error> {
        let mut wait = self.watch(Begin::Now).await?;
        let cursor = wait.armed(within).await?;
        Ok(Armed { wait, cursor })
    }

    /// Goes on from a cursor, which [`Armed::cursor`] or `fetch-token arm` gave: another process may have armed.
    pub async fn resume(&self, cursor: Cursor) -> Result<Armed, Error> {
        let wait = self.watch(Begin::From(cursor.clone())).await?;
        Ok(Armed { wait, cursor })
    }

    /// Begins to watch, from where `begin` says. It returns before the mailbox is connected.
    pub async fn watch(&self, begin: Begin) -> Result<Wait, Error> {
        self.watch_for(Wanted::Token, begin).await
    }

    /// The same for a verification code: see [`Wait::code`]. Neither keychain nor ledger is touched.
    pub async fn watch_for_code(&self, begin: Begin) -> Result<Wait, Error> {
        self.watch_for(Wanted::Code, begin).await
    }

    async fn watch_for(&self, what: Wanted, begin: Begin) -> Result<Wait, Error> {
        let of_cursor = match &begin {
            Begin::From(cursor) => Some(cursor.account.as_str()),
            Begin::Within(_) | Begin::Now => None,
        };
        let wanted = self.account.as_deref().or(of_cursor);
        let account = self.premises.config.choose(wanted, self.username())?;
        match begin {
            Begin::From(cursor)
                if !cursor.account.eq_ignore_ascii_case(&account.address)
                    || cursor.folder != account.folder =>
            {
                Err(Error::Cursor {
                    cursor: Box::new(cursor),
                    address: account.address.clone(),
                    folder: account.folder.clone(),
                })
            }
            begin => Wait::start(self.clone(), account, begin, what).await,
        }
    }

    /// The token that the keychain holds for this username now.
    pub async fn stored(&self, username: &str) -> Result<SecretString, Error> {
        // A ledger that cannot be read must not keep a token from the one who asks for it.
        let known = self.ledger().find(username).ok().flatten();
        let lies_in = known.as_ref().and_then(Record::lies_in);
        // Keychains compare usernames with case, Salesforce does not.
        let spelled = known.as_ref().map_or(username, |known| &known.username);
        let token = self.keychain().token(spelled, lies_in).await?;
        token.ok_or_else(|| Error::NotStored(username.to_owned()))
    }

    fn username(&self) -> Option<&str> {
        self.username.as_deref()
    }

    fn config_file(&self) -> &Path {
        &self.premises.file
    }

    fn keychain(&self) -> &Keychain {
        &self.premises.keychain
    }

    fn ledger(&self) -> &Ledger {
        &self.premises.ledger
    }

    fn has_own_keys(&self) -> bool {
        self.keys.is_some()
    }

    fn intake(&self) -> Result<Intake, dns::Error> {
        let keys = KeySource::chosen(self.keys.as_deref(), self.premises.config.keys.as_ref())?;
        let (keychain, ledger) = (self.keychain().clone(), self.ledger().clone());
        Ok(Intake::new(keychain, ledger, Arc::new(keys)))
    }
}

/// A wait before whose reset the mailbox was watched.
#[derive(Debug)]
pub struct Armed {
    wait: Wait,
    cursor: Cursor,
}

impl Armed {
    /// "What arrives after this point": what [`Pairing::resume`] and `fetch-token wait --from` go on from.
    #[must_use]
    pub fn cursor(&self) -> &Cursor {
        &self.cursor
    }

    /// Waits for the token: see [`Wait::token`]. Dropping the future loses nothing.
    pub async fn token(&mut self, within: Duration) -> Result<Answer, Error> {
        self.wait.token(within).await
    }

    /// The wait itself, for the one who wants to hear everything.
    #[must_use]
    pub fn into_wait(self) -> Wait {
        self.wait
    }
}
