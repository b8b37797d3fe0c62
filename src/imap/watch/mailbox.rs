//! Where a watch gets its connections from.

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};

use crate::account::Account;
use crate::imap::connect::Secured;
use crate::imap::error::Error;
use crate::imap::session::{Session, Wire};
use crate::keychain::Keychain;

/// What a watch can log in to, again and again.
pub(in crate::imap) trait Mailbox: Debug + Send + 'static {
    /// What its sessions run on.
    type Wire: Wire + 'static;

    /// Connects and logs in, with a password asked for anew.
    fn log_in(&mut self) -> impl Future<Output = Result<Session<Self::Wire>, Error>> + Send;

    /// Whether the password is another than the one used last.
    fn has_new_password(&mut self) -> impl Future<Output = bool> + Send;
}

/// An account's mailbox.
#[derive(Debug)]
pub(super) struct AccountMailbox {
    account: Arc<Account>,
    keychain: Keychain,
    /// The password of the last login.
    used: Option<SecretString>,
}

impl AccountMailbox {
    pub(super) fn new(account: Arc<Account>, keychain: Keychain) -> Self {
        Self {
            account,
            keychain,
            used: None,
        }
    }
}

impl Mailbox for AccountMailbox {
    type Wire = Secured;

    async fn log_in(&mut self) -> Result<Session<Secured>, Error> {
        let credentials = self.account.credentials(&self.keychain).await?;
        self.used = Some(credentials.password.clone());
        let mut session = self.account.endpoint.connect().await?;
        session.login(&credentials).await?;
        Ok(session)
    }

    async fn has_new_password(&mut self) -> bool {
        let Ok(credentials) = self.account.credentials(&self.keychain).await else {
            return false;
        };
        let used = self.used.as_ref().map(SecretString::expose_secret);
        used != Some(credentials.password.expose_secret())
    }
}
