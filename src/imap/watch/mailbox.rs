//! Where a watch gets its connections from.

use std::fmt::Debug;
use std::future::Future;
use std::sync::Arc;

use crate::account::{Account, Login};
use crate::imap::connect::Secured;
use crate::imap::error::Error;
use crate::imap::login::Credentials;
use crate::imap::session::{Session, Wire};
use crate::imap::turn;
use crate::keychain::Keychain;

/// What a watch can log in to, again and again.
pub(in crate::imap) trait Mailbox: Debug + Send + 'static {
    /// What its sessions run on.
    type Wire: Wire + 'static;

    /// Connects and logs in when it is its turn, with a password asked for anew, or an access token that lasts.
    fn log_in(&mut self) -> impl Future<Output = Result<Session<Self::Wire>, Error>> + Send;

    /// Whether the password, or what access tokens are made of, is another than the one used last.
    fn has_new_password(&mut self) -> impl Future<Output = bool> + Send;

    /// Whether a connection ended in this way because its access token did: nothing is wrong then, and another login
    /// mends it.
    fn has_lapsed(&mut self, error: &Error) -> impl Future<Output = bool> + Send;
}

/// An account's mailbox.
#[derive(Debug)]
pub(super) struct AccountMailbox {
    account: Arc<Account>,
    keychain: Keychain,
    /// What the last login was made with.
    used: Option<Credentials>,
}

impl AccountMailbox {
    pub(super) fn new(account: Arc<Account>, keychain: Keychain) -> Self {
        Self {
            account,
            keychain,
            used: None,
        }
    }

    async fn enter(&mut self, credentials: &Credentials) -> Result<Session<Secured>, Error> {
        self.used = Some(credentials.clone());
        let mut session = self.account.endpoint.connect().await?;
        session.login(credentials).await?;
        Ok(session)
    }
}

impl Mailbox for AccountMailbox {
    type Wire = Secured;

    async fn log_in(&mut self) -> Result<Session<Secured>, Error> {
        let endpoint = &self.account.endpoint;
        endpoint.prepare();
        let _turn = turn::at(&endpoint.host, endpoint.port).await;
        let credentials = self.account.credentials(&self.keychain).await?;
        let refusal = match self.enter(&credentials).await {
            Err(refusal @ Error::LoginRefused { .. }) => refusal,
            other => return other,
        };
        // By our clock the access token should have lasted; the server's may be another.
        match self.account.renewed(&credentials, &self.keychain).await? {
            Some(renewed) => self.enter(&renewed).await,
            None => Err(refusal),
        }
    }

    async fn has_new_password(&mut self) -> bool {
        let used = self.used.as_ref();
        self.account
            .has_other_credentials(used, &self.keychain)
            .await
    }

    async fn has_lapsed(&mut self, error: &Error) -> bool {
        let has_token = matches!(&self.account.login, Login::OAuth2(_));
        has_token && (error.says_expired() || self.account.has_lapsed().await)
    }
}
