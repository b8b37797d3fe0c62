//! A mailbox as the user described it, and how we log in to it.

mod instance;
mod password;

pub use instance::{Instance, Instances, NotAnInstance};
pub use password::{Password, Typed};

use std::sync::Arc;

use crate::imap::{self, Credentials, Endpoint};
use crate::keychain::Keychain;
use crate::mail::Policy;

/// One mailbox that token mails come to.
#[derive(Debug, PartialEq)]
pub struct Account {
    /// Its address, which is its login name.
    pub address: String,
    /// Its server.
    pub endpoint: Endpoint,
    /// Where its password comes from.
    pub password: Password,
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
    /// Asks for the password anew, as every login does: it may have changed.
    pub async fn credentials(&self, keychain: &Keychain) -> Result<Credentials, imap::Error> {
        let password = self.password.ask(&self.address, keychain).await?;
        Ok(Credentials {
            user: self.address.clone(),
            password,
        })
    }
}
