//! Every link of the chain, tried by the same code that the real thing uses: what was measured, and what to do about
//! a link that is broken.
//!
//! [`check`] is what a link's trial comes to (pure), [`mailbox`] walks one account's links in turn, each of the other
//! files tries one link of this machine. Everything is bounded in time, and accounts are walked side by side.

mod certificate;
pub mod check;
mod daemon;
mod files;
mod keychain;
mod keys;
mod ledger;
pub mod mailbox;
mod test_mail;
mod unit;

pub use check::{Check, Link, Trouble, Verdict};

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::join_all;

use crate::account::Account;
use crate::config::{Config, NoAccount};
use crate::dns::KeySource;
use crate::keychain::Keychain;
use crate::ledger::Ledger;

/// What is to be tried.
#[derive(Debug)]
pub struct Doctor {
    /// The configuration's file, there or not.
    pub file: PathBuf,
    /// The ledger's directory.
    pub state: PathBuf,
    /// The directory of the daemon's socket.
    pub runtime: PathBuf,
    /// The directory that programs keep their configuration in: a service manager's units are there, too.
    pub units: Option<PathBuf>,
    /// The keychain.
    pub keychain: Keychain,
    /// A file of keys in place of DNS, from the command line.
    pub dkim_keys: Option<PathBuf>,
    /// The one account that is meant; all otherwise.
    pub account: Option<String>,
    /// Whether a mail may be put into each mailbox.
    pub sends_test: bool,
    /// Whether mailboxes, DNS and the keychain are left alone: nobody is asked for anything then.
    pub is_offline: bool,
}

/// What is said of a link that only leads out of this machine, or to the keychain.
const OFFLINE: &str = "not tried: offline";

impl Doctor {
    /// Tries everything; the checks are in the chain's order, with the accounts in the configuration's.
    pub async fn examine(&self) -> Result<Vec<Check>, NoAccount> {
        let config = Config::read(&self.file);
        let mut checks = vec![files::configuration(&config, &self.file)];
        checks.extend(files::configuration_file(&self.file));
        let accounts = match &config {
            Ok(config) => self.meant(config)?,
            Err(_) => Vec::new(),
        };
        let store = Config::keychain(&self.file);
        if let Ok(choice) = &store {
            self.keychain.choose(choice);
        }
        let ledger = Ledger::at(self.state.clone());
        let keys = self.keys(config.as_ref().ok());
        let walks = accounts.iter().map(|account| self.walk(account));
        let (walked, keychain, keys, daemon, usable) = tokio::join!(
            join_all(walks),
            self.unless_offline(
                Link::Keychain,
                keychain::round_trip(&self.keychain, &ledger, store.is_ok())
            ),
            self.unless_offline(Link::Keys, keys::look_up(keys)),
            daemon::ask(&self.runtime, &self.file),
            ledger::usable(&ledger),
        );
        if accounts.is_empty() {
            checks.extend(mailbox::LINKS.map(Check::not_tried));
        }
        checks.extend(walked.into_iter().flatten());
        checks.extend([keychain, keys, daemon]);
        checks.push(unit::installed(self.units.as_deref()));
        checks.push(files::directory(Link::StateDirectory, &self.state));
        checks.push(files::directory(Link::RuntimeDirectory, &self.runtime));
        checks.extend([usable, ledger::leftovers(&ledger)]);
        Ok(checks)
    }

    async fn walk(&self, account: &Account) -> Vec<Check> {
        if !self.is_offline {
            return mailbox::walk(account, &self.keychain, self.sends_test).await;
        }
        let of_account = |link| Check {
            account: Some(account.address.clone()),
            ..Check::not_asked(link, OFFLINE)
        };
        mailbox::LINKS.map(of_account).to_vec()
    }

    async fn unless_offline(&self, link: Link, trial: impl Future<Output = Check>) -> Check {
        if self.is_offline {
            return Check::not_asked(link, OFFLINE);
        }
        trial.await
    }

    fn meant(&self, config: &Config) -> Result<Vec<Arc<Account>>, NoAccount> {
        match &self.account {
            None => Ok(config.accounts.clone()),
            Some(address) => Ok(vec![config.choose(Some(address), None)?]),
        }
    }

    fn keys(&self, config: Option<&Config>) -> Result<KeySource, crate::dns::Error> {
        let configured = config.and_then(|config| config.keys.as_ref());
        KeySource::chosen(self.dkim_keys.as_deref(), configured)
    }
}

/// A path as it is shown.
fn shown(path: &Path) -> String {
    path.display().to_string()
}
