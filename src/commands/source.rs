//! Where a wait's news comes from: the daemon, whose watch is shared, or a watch of our own.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::{Failure, House};
use crate::account::Account;
use crate::attendant::{self, Attendant, Charge, Told};
use crate::config::Config;
use crate::daemon::protocol::{Answer, Begin, Configuration, Prompt, Request};
use crate::daemon::{Client, client};
use crate::imap::{Order, Temper};
use crate::intake::{Intake, Step};
use crate::news::News;

/// How long the daemon may take to say what it is doing: the deadline has come by then.
const STANDING: Duration = Duration::from_millis(500);

/// How long the daemon may be silent before it is asked whether it is there, and how long it may take to say so: a
/// process that hangs keeps its sockets open.
const SILENCE: Duration = Duration::from_secs(5);

/// Where news comes from.
pub(super) enum Source {
    /// The daemon.
    Daemon {
        client: Box<Client>,
        /// It was asked whether it is there, and has not answered yet.
        is_asked: bool,
    },
    /// A watch of our own.
    Own {
        attendant: Attendant,
        intake: Arc<Intake>,
    },
}

impl Source {
    /// The daemon, where there is one that attends this account by the same configuration; else a watch of our own.
    pub(super) async fn find(
        house: &House,
        config: &Config,
        account: &Arc<Account>,
        begin: &Begin,
    ) -> Result<Self, Failure> {
        match daemon(house, account, begin).await {
            Ok(client) => Ok(Self::Daemon {
                client: Box::new(client),
                is_asked: false,
            }),
            Err(why) => {
                if let Some(why) = why {
                    house
                        .announcer
                        .detail(&format!("Not asking the daemon: {why}."));
                }
                Self::own(house, config, account, begin)
            }
        }
    }

    /// A watch of our own.
    pub(super) fn own(
        house: &House,
        config: &Config,
        account: &Arc<Account>,
        begin: &Begin,
    ) -> Result<Self, Failure> {
        let intake = Arc::new(house.intake(config)?);
        let pending = match begin {
            Begin::Within(_) => attendant::pending(account, &House::ledger()?),
            // Who takes a cursor asks for what comes after it.
            Begin::From(_) | Begin::Now => Vec::new(),
        };
        let attendant = Attendant::start(Charge {
            account: Arc::clone(account),
            keychain: house.keychain.clone(),
            intake: Arc::clone(&intake),
            start: begin.start(),
            pending,
            temper: Temper::Waiting,
        });
        Ok(Self::Own { attendant, intake })
    }

    /// Whether it is the daemon.
    pub(super) fn is_daemon(&self) -> bool {
        matches!(self, Self::Daemon { .. })
    }

    /// The next piece of news; `None` when the source broke off. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> Option<News> {
        loop {
            match self {
                Self::Daemon { client, is_asked } => match timeout(SILENCE, client.next()).await {
                    Ok(Some(Answer::News(news))) => return Some(news),
                    Ok(Some(Answer::Standing(_))) => *is_asked = false,
                    Err(_) if !*is_asked => {
                        client.prompt(Prompt::Standing).await.ok()?;
                        *is_asked = true;
                    }
                    Ok(_) | Err(_) => return None,
                },
                Self::Own { attendant, .. } => match attendant.next().await {
                    Some(Told::News(news, _)) => return Some(news),
                    Some(Told::Looked { .. } | Told::Moved(_)) => {}
                    None => return None,
                },
            }
        }
    }

    /// Searches without waiting for the server.
    pub(super) async fn search_now(&mut self) {
        match self {
            // A daemon that went away is noticed at the next piece of news.
            Self::Daemon { client, .. } => {
                let _ = client.prompt(Prompt::SearchNow).await;
            }
            Self::Own { attendant, .. } => attendant.order(Order::Search),
        }
    }

    /// What the intake is doing.
    pub(super) async fn step(&mut self) -> Step {
        match self {
            Self::Own { intake, .. } => intake.step(),
            Self::Daemon { client, .. } => {
                let standing = async {
                    client.prompt(Prompt::Standing).await.ok()?;
                    loop {
                        if let Answer::Standing(step) = client.next().await? {
                            return Some(step);
                        }
                    }
                };
                let standing = timeout(STANDING, standing).await;
                standing.ok().flatten().unwrap_or(Step::Idle)
            }
        }
    }

    /// Ends it.
    pub(super) async fn stop(self) {
        if let Self::Own { attendant, .. } = self {
            attendant.stop().await;
        }
    }
}

/// The daemon with its watch; else why not, where that is worth a word.
async fn daemon(house: &House, account: &Account, begin: &Begin) -> Result<Client, Option<String>> {
    if house.global.dkim_keys.is_some() {
        return Err(None);
    }
    let runtime = House::runtime_directory().map_err(|_| None)?;
    let client = match Client::connect(&runtime).await {
        // It says which side to restart, so a person is to hear it.
        Err(error @ client::Error::Version(_)) => {
            house
                .announcer
                .say(&format!("Not asking the daemon: {error}."));
            return Err(None);
        }
        client => client.map_err(|error| Some(error.to_string()))?,
    };
    let mut client = client.ok_or(None)?;
    let file = house.config_file().map_err(|_| None)?;
    let ours = Configuration::of(&file).map_err(|error| Some(error.to_string()))?;
    if client.config().file != ours.file {
        return Err(Some(format!(
            "it goes by another configuration ({})",
            client.config().file
        )));
    }
    if client.config().text != ours.text {
        return Err(Some(
            "the configuration changed since it was read. Call `fetch-token reload`".to_owned(),
        ));
    }
    let request = Request::Watch {
        account: account.address.clone(),
        begin: begin.clone(),
    };
    let asked = client.request(request).await;
    asked.map_err(|error| Some(error.to_string()))?;
    Ok(client)
}
