//! `fetch-token login`: from an address to an account that is watched, tested before it is written.
//!
//! What is asked for is asked in the order in which it is needed, and nothing is kept of a login that fails: first the
//! server, then what it lets in by, then INBOX; the keychain and last the configuration are written when all that worked.

mod entry;
mod proposal;
mod server;
mod way;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::time::timeout;

use super::announce::object;
use super::{Exit, Failure, House, reload};
use crate::account::Account;
use crate::cli::LoginArgs;
use crate::config::{Config, edit};
use crate::daemon::client::{Client, PATIENCE};
use crate::imap::connect::Secured;
use crate::imap::session::Session;
use entry::{Draft, Plan};
use way::Way;

/// How long the search for token mails may take: it only spares typing.
const SEARCH: Duration = Duration::from_mins(1);

/// What was seen of the mailbox.
struct Seen {
    messages: u32,
    idles: bool,
}

pub(super) async fn login(house: &House, args: LoginArgs) -> Result<Exit, Failure> {
    let file = house.config_file()?;
    let draft = Draft::read(&file)?;
    let plan = Plan::of(house, &args, &draft).await?;
    let account = plan.account(&draft)?;
    let address = account.address.clone();
    if !plan.is_again() {
        // Whatever is missing and cannot be asked for is said before anybody types a password.
        proposal::ensure_possible(house, &args)?;
    }
    // A keychain that does not work is no reason to ask for a password first.
    let way = Way::choose(house, &args, &account).await?;
    let before = way.stored(house, &address).await?;
    let proof = way.ask(house, &args, &account).await?;

    let mut session = enter(&account, &proof).await?;
    let seen = examine(&account, &mut session).await?;
    house.announcer.say(&format!(
        "Logged in to {}. {} holds {}; new mail is {}.",
        account.endpoint.host,
        account.folder,
        match seen.messages {
            1 => "one mail".to_owned(),
            number => format!("{number} mails"),
        },
        if seen.idles {
            "announced by the server (IDLE)"
        } else {
            "looked for every 5 s while somebody waits, since the server announces none"
        }
    ));
    let plan = if plan.is_again() {
        plan
    } else {
        let found = timeout(
            SEARCH,
            proposal::find(house, &draft.config, &account, &mut session),
        );
        let found = found.await.unwrap_or_default();
        session.logout(None).await;
        let usernames = proposal::choose(house, &args, &account, found).await?;
        plan.with_usernames(usernames)
    };
    // Again with all that will stand there: whatever is wrong is said while nothing is written.
    let account = plan.account(&draft)?;
    way.store(house, &account, proof).await?;
    if let Err(failure) = plan.write(&file) {
        way.restore(house, &account.address, before).await;
        return Err(failure);
    }
    let daemon = tell_daemon(house, &file).await;
    announce(house, &plan, &account, &seen, &file, daemon);
    Ok(Exit::Done)
}

async fn enter(account: &Account, proof: &way::Given) -> Result<Session<Secured>, Failure> {
    let failed = |error| Failure::from_mailbox(&account.address, &error);
    let mut session = account.endpoint.connect().await.map_err(failed)?;
    let credentials = proof.credentials(account);
    session.login(&credentials).await.map_err(failed)?;
    Ok(session)
}

async fn examine(account: &Account, session: &mut Session<Secured>) -> Result<Seen, Failure> {
    let failed = |error| Failure::from_mailbox(&account.address, &error);
    let folder = session.examine(&account.folder).await.map_err(failed)?;
    let messages = folder.exists;
    let idles = account.idle && session.offers("IDLE").await.map_err(failed)?;
    Ok(Seen { messages, idles })
}

/// What became of the daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// It goes by the new configuration.
    Reloaded,
    /// It goes by another file, or refuses.
    Not,
    /// There is none.
    Absent,
}

impl Told {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Reloaded => "reloaded",
            Self::Not => "not-reloaded",
            Self::Absent => "absent",
        }
    }
}

/// Has a daemon that goes by this file read it again. What goes wrong there does not undo what was written.
pub(super) async fn tell_daemon(house: &House, file: &Path) -> Told {
    let Ok(runtime) = crate::config::runtime_directory() else {
        return Told::Absent;
    };
    match Client::connect(&runtime, PATIENCE).await {
        Ok(None) => return Told::Absent,
        Ok(Some(client)) => {
            let of_daemon = std::fs::canonicalize(&client.config().file).ok();
            if of_daemon.is_none_or(|of_daemon| std::fs::canonicalize(file).ok() != Some(of_daemon))
            {
                house
                    .announcer
                    .say("The daemon that runs goes by another configuration.");
                return Told::Not;
            }
        }
        Err(error) => {
            house
                .announcer
                .error(&format!("The daemon is not told: {error}."));
            return Told::Not;
        }
    }
    match reload::ask().await {
        Ok(_) => Told::Reloaded,
        Err(failure) => {
            house
                .announcer
                .error(&format!("The daemon is not told: {}.", failure.message));
            Told::Not
        }
    }
}

fn announce(house: &House, plan: &Plan, account: &Account, seen: &Seen, file: &Path, daemon: Told) {
    let next = match daemon {
        Told::Reloaded => "The daemon watches it from now on.",
        Told::Not | Told::Absent => {
            "Next: `fetch-token` waits for a token mail once; `fetch-token daemon` watches all the time, and \
             `fetch-token daemon --print-unit systemd` prints what starts it at log-on."
        }
    };
    let written = if plan.is_again() {
        format!("The configuration {} stays as it was.", file.display())
    } else {
        format!("Written to {}.", file.display())
    };
    house.announcer.say(&format!("{written}\n{next}"));
    house.announcer.object(object(json!({
        "event": "logged-in",
        "account": account.address,
        "user": account.user,
        "host": account.endpoint.host,
        "port": account.endpoint.port,
        "tls": account.endpoint.tls.word(),
        "folder": account.folder,
        "messages": seen.messages,
        "idle": seen.idles,
        "usernames": plan.usernames(),
        "config": file,
        "again": plan.is_again(),
        "daemon": daemon.word(),
    })));
}

/// The configuration's text, where there is one.
pub(super) fn read(file: &Path) -> Result<String, Failure> {
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(text),
        Err(why) if why.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(why) => {
            let file = file.to_owned();
            Err(crate::config::Error::Unreadable { file, why }.into())
        }
    }
}

pub(super) fn cannot_edit(file: &Path, error: &edit::Error) -> Failure {
    let message = format!(
        "the configuration {} cannot be changed: {error}",
        file.display()
    );
    Failure::new(Exit::Usage, message)
}

/// The account of this address in what is configured.
fn configured(config: &Config, address: &str) -> Option<Arc<Account>> {
    let mut accounts = config.accounts.iter();
    let account = accounts.find(|account| account.address.eq_ignore_ascii_case(address));
    account.cloned()
}
