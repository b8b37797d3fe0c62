//! A mailbox as the user described it, and how we log in to it.

pub mod advice;
pub mod discovery;
mod instance;
pub mod oauth2;
mod password;

pub use crate::asked::Typed;
pub use instance::{Instance, Instances, NotAnInstance};
pub use oauth2::OAuth2;
pub use password::Password;

use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};

use crate::config;
use crate::imap::{self, Credentials, Endpoint, Proof};
use crate::keychain::Keychain;
use crate::mail::Policy;

/// How we log in to a mailbox.
#[derive(Debug, PartialEq)]
pub enum Login {
    /// With a password.
    Password(Password),
    /// With an access token.
    OAuth2(Box<OAuth2>),
}

/// One mailbox that token mails come to.
#[derive(Debug, PartialEq)]
pub struct Account {
    /// Its address.
    pub address: String,
    /// Its login name, which is its address nearly everywhere.
    pub user: String,
    /// Its server.
    pub endpoint: Endpoint,
    /// How we log in to it.
    pub login: Login,
    /// The folder that is watched.
    pub folder: String,
    /// Folders that are searched besides.
    pub other_folders: Vec<String>,
    /// Whether the junk folder is searched while somebody waits.
    pub sweep_junk: bool,
    /// Whether the server may be asked to announce new mail (RFC 2177); else it is polled.
    pub idle: bool,
    /// The orgs of the users whose mail comes here.
    pub instances: Instances,
    /// Which mails are accepted from it.
    pub policy: Arc<Policy>,
}

impl Account {
    /// What to log in with, asked for anew at every login: the password may have changed, the access token run out.
    pub async fn credentials(&self, keychain: &Keychain) -> Result<Credentials, imap::Error> {
        match &self.login {
            Login::Password(password) => {
                let password = password.ask(&self.address, keychain).await?;
                Ok(self.with(Proof::Password(password)))
            }
            Login::OAuth2(oauth2) => {
                let token = oauth2.token(&self.place(keychain)?).await?;
                Ok(self.with_token(token, oauth2))
            }
        }
    }

    /// What to log in with in place of an access token that was refused although it should have lasted: the server's
    /// clock may be another. `None` where there is nothing better.
    pub async fn renewed(
        &self,
        refused: &Credentials,
        keychain: &Keychain,
    ) -> Result<Option<Credentials>, imap::Error> {
        let (Login::OAuth2(oauth2), Proof::Token { token, .. }) = (&self.login, &refused.proof)
        else {
            return Ok(None);
        };
        let renewed = oauth2.renewed(token, &self.place(keychain)?).await?;
        Ok(renewed.map(|token| self.with_token(token, oauth2)))
    }

    /// Whether there is something else to log in with than what was used last.
    pub async fn has_other_credentials(
        &self,
        used: Option<&Credentials>,
        keychain: &Keychain,
    ) -> bool {
        match &self.login {
            Login::Password(password) => {
                let Ok(now) = password.ask(&self.address, keychain).await else {
                    return false;
                };
                let used = used.map(|used| used.proof.secret().expose_secret());
                used != Some(now.expose_secret())
            }
            Login::OAuth2(oauth2) => match self.place(keychain) {
                Ok(place) => oauth2.is_another(&place).await,
                Err(_) => false,
            },
        }
    }

    /// Whether the access token of the last login has come to its end. A password has none.
    pub async fn has_lapsed(&self) -> bool {
        match &self.login {
            Login::Password(_) => false,
            Login::OAuth2(oauth2) => oauth2.has_lapsed().await,
        }
    }

    /// Where its refresh token and its lock lie.
    pub fn place(&self, keychain: &Keychain) -> Result<oauth2::Place, oauth2::Error> {
        Ok(oauth2::Place {
            address: self.address.clone(),
            keychain: keychain.clone(),
            directory: config::state_directory()
                .map_err(|error| oauth2::Error::Lock(error.to_string()))?,
        })
    }

    fn with_token(&self, token: SecretString, oauth2: &OAuth2) -> Credentials {
        self.with(Proof::Token {
            token,
            mechanism: oauth2.mechanism,
            host: self.endpoint.host.clone(),
            port: self.endpoint.port,
        })
    }

    fn with(&self, proof: Proof) -> Credentials {
        Credentials {
            user: self.user.clone(),
            proof,
        }
    }
}
