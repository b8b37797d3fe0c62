//! Which account is meant.

use std::sync::Arc;

use super::Config;
use crate::account::Account;

/// Why no account is meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAccount {
    /// None has this address.
    #[error("no account has the address {wanted}. Configured: {configured}")]
    Unknown {
        /// The address.
        wanted: String,
        /// Those that are configured.
        configured: String,
    },
    /// None takes tokens for this username.
    #[error("no account takes tokens for {0}. Add it to `usernames` in the configuration")]
    ForNobody(String),
    /// It could be any of several.
    #[error("several accounts are configured. Name one with --account: {0}")]
    Several(String),
    /// The one that is meant takes no tokens for the username.
    #[error(
        "account {address} takes no tokens for {username}. Add it to its `usernames` in the configuration"
    )]
    ForOthers {
        /// The account's address.
        address: String,
        /// The username.
        username: String,
    },
}

impl Config {
    /// The account with address `wanted`; else the only one; else the only one that `username` may come to.
    pub fn choose(
        &self,
        wanted: Option<&str>,
        username: Option<&str>,
    ) -> Result<Arc<Account>, NoAccount> {
        let admits = |account: &Account| {
            username.is_none_or(|username| account.policy.usernames.admits(username))
        };
        let account = if let Some(wanted) = wanted {
            let is_it = |account: &&Arc<Account>| account.address.eq_ignore_ascii_case(wanted);
            let account = self.accounts.iter().find(is_it);
            account.ok_or_else(|| NoAccount::Unknown {
                wanted: wanted.to_owned(),
                configured: self.addresses(),
            })?
        } else {
            let is_only = self.accounts.len() == 1;
            let mut possible = self
                .accounts
                .iter()
                .filter(|account| is_only || admits(account));
            match (possible.next(), possible.next()) {
                (Some(account), None) => account,
                (None, _) => {
                    let username = username.unwrap_or_default();
                    return Err(NoAccount::ForNobody(username.to_owned()));
                }
                (Some(_), Some(_)) => return Err(NoAccount::Several(self.addresses())),
            }
        };
        match username {
            Some(username) if !admits(account) => Err(NoAccount::ForOthers {
                address: account.address.clone(),
                username: username.to_owned(),
            }),
            _ => Ok(Arc::clone(account)),
        }
    }

    fn addresses(&self) -> String {
        let addresses = self.accounts.iter().map(|account| account.address.as_str());
        addresses.collect::<Vec<_>>().join(", ")
    }
}
