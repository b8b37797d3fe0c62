//! Which account a command means.

use std::sync::Arc;

use super::{Exit, Failure};
use crate::account::Account;
use crate::config::Config;

/// The account with address `wanted`; else the only one; else the only one that `username` may come to.
pub(super) fn account(
    config: &Config,
    wanted: Option<&str>,
    username: Option<&str>,
) -> Result<Arc<Account>, Failure> {
    let usage = |message: String| Failure::new(Exit::Usage, message);
    let addresses = || {
        let all: Vec<_> = config
            .accounts
            .iter()
            .map(|account| account.address.as_str())
            .collect();
        all.join(", ")
    };
    let account = if let Some(wanted) = wanted {
        config
            .accounts
            .iter()
            .find(|account| account.address.eq_ignore_ascii_case(wanted))
            .ok_or_else(|| {
                usage(format!(
                    "no account has the address {wanted}. Configured: {}",
                    addresses()
                ))
            })?
    } else {
        let mut possible = config.accounts.iter().filter(|account| {
            config.accounts.len() == 1
                || username.is_none_or(|username| account.policy.usernames.admits(username))
        });
        match (possible.next(), possible.next()) {
            (Some(account), None) => account,
            (None, _) => {
                return Err(usage(format!(
                    "no account takes tokens for {}. Add it to `usernames` in the configuration",
                    username.unwrap_or_default()
                )));
            }
            (Some(_), Some(_)) => {
                return Err(usage(format!(
                    "several accounts are configured. Name one with --account: {}",
                    addresses()
                )));
            }
        }
    };
    if let Some(username) = username
        && !account.policy.usernames.admits(username)
    {
        return Err(usage(format!(
            "account {} takes no tokens for {username}. Add it to its `usernames` in the configuration",
            account.address
        )));
    }
    Ok(Arc::clone(account))
}
