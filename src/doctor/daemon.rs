//! The daemon: whether one runs, by which configuration, and how its accounts are.

use std::path::Path;
use std::time::Duration;

use tokio::time::timeout;

use super::check::{Check, Link, Trouble};
use crate::daemon::Client;
use crate::daemon::client;
use crate::daemon::protocol::{Account, Answer, Configuration, Request};
use crate::imap::condition::State;

/// How long the daemon may take to tell of its accounts: longer than it waits for one of them.
const STATUS: Duration = Duration::from_secs(8);

pub(super) async fn ask(runtime: &Path, file: &Path) -> Check {
    let mut daemon = match Client::connect(runtime, client::PATIENCE).await {
        Ok(Some(daemon)) => daemon,
        Ok(None) => {
            let measured = "none runs; each command watches by itself";
            return Check::not_asked(Link::Daemon, measured);
        }
        Err(error) => {
            let trouble = match error {
                client::Error::Version(_) | client::Error::Socket(_) => Trouble::Configuration,
                client::Error::Mute(_) => Trouble::Mailbox,
            };
            return Check::broken(Link::Daemon, trouble, &error.to_string());
        }
    };
    let (version, protocol) = (daemon.version().to_owned(), daemon.protocol());
    let configuration = daemon.config().clone();
    let accounts = timeout(STATUS, accounts(&mut daemon)).await.ok().flatten();
    let spoken = format!("version {version}, protocol {protocol}");
    let check = judge(&spoken, &configuration, file, accounts.as_deref());
    let states: Vec<_> = accounts.iter().flatten().map(state).collect();
    check
        .with("version", version)
        .with("protocol", protocol)
        .with("configuration", configuration.file)
        .with("accounts", states)
}

/// All accounts' health; `None` where the daemon does not say.
async fn accounts(daemon: &mut Client) -> Option<Vec<Account>> {
    daemon.request(Request::Status).await.ok()?;
    let mut accounts = Vec::new();
    loop {
        match daemon.next().await? {
            Answer::Account(account) => accounts.push(*account),
            Answer::Done => return Some(accounts),
            _ => return None,
        }
    }
}

fn judge(
    spoken: &str,
    configuration: &Configuration,
    file: &Path,
    accounts: Option<&[Account]>,
) -> Check {
    let broken = |trouble, sentence: &str| Check::broken(Link::Daemon, trouble, sentence);
    match Configuration::of(file) {
        Ok(ours) if ours == *configuration => {}
        Ok(ours) if ours.file == configuration.file => {
            let sentence =
                "it goes by an earlier text of the configuration. Call `fetch-token reload`";
            return broken(Trouble::Configuration, sentence);
        }
        _ => {
            let sentence = format!(
                "it goes by another configuration, {}, so that commands watch by themselves. Restart it with this one, \
                 or name that one with --config",
                configuration.file
            );
            return broken(Trouble::Configuration, &sentence);
        }
    }
    let Some(accounts) = accounts else {
        return broken(Trouble::Mailbox, "it does not tell how its accounts are");
    };
    let troubled = accounts.iter().find_map(|account| {
        let condition = &account.condition;
        let is_down = matches!(condition.state, State::LoginRefused | State::Resting);
        let trouble = condition.trouble.as_ref().filter(|_| is_down)?;
        let sentence = format!("{}: {}", account.address, trouble.sentence);
        Some(broken(trouble.class.into(), &sentence))
    });
    let states: Vec<_> = accounts.iter().map(state).collect();
    troubled.unwrap_or_else(|| {
        let measured = format!("{spoken}, by this configuration: {}", states.join(", "));
        Check::sound(Link::Daemon, measured)
    })
}

fn state(account: &Account) -> String {
    format!("{} {}", account.address, account.condition.state.word())
}
