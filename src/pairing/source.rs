//! Where a wait's news comes from: the daemon, whose watch is shared, or a watch of our own.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::{Alone, Begin, Error, Pairing};
use crate::account::Account;
use crate::attendant::{self, Attendant, Charge, Sought, Told};
use crate::config;
use crate::daemon::protocol::{Answer, Configuration, Prompt, Request, Wanted};
use crate::daemon::{Client, client};
use crate::imap::{Order, Temper};
use crate::intake::{Intake, Step};
use crate::news::News;
use crate::receipt::CodeReceipt;

/// How long the daemon may take to greet: where it does not, a watch of our own does the same.
const GREETING: Duration = Duration::from_secs(1);

/// How long the daemon may take to say what it is doing: the deadline has come by then.
const STANDING: Duration = Duration::from_millis(500);

/// How long the daemon may be silent before it is asked whether it is there, and how long it may take to say so: a
/// process that hangs keeps its sockets open.
const SILENCE: Duration = Duration::from_secs(5);

/// The number of every search of a watch of our own: nobody else asks for one.
const OURS: u64 = 0;

/// What comes from there.
#[derive(Debug)]
pub(super) enum Piece {
    /// News of the watch, and of mails with tokens where those are wanted.
    News(News),
    /// What became of a mail with a verification code, where those are wanted.
    Code(Box<CodeReceipt>),
}

/// Where news comes from.
#[derive(Debug)]
pub(super) enum Source {
    /// The daemon.
    Daemon(Box<Shared>),
    /// A watch of our own.
    Own {
        attendant: Attendant,
        intake: Arc<Intake>,
        /// The server announces new mail by itself.
        idle: bool,
        begin: Begin,
    },
}

/// The watch of the daemon.
#[derive(Debug)]
pub(super) struct Shared {
    client: Client,
    /// It was asked whether it is there, and has not answered yet.
    is_asked: bool,
    /// A search is to be asked for.
    is_to_search: bool,
    /// News that came before the answer to something else.
    early: VecDeque<Piece>,
}

impl Source {
    /// The daemon, where there is one that attends this account by the same configuration; else a watch of our own,
    /// and why.
    pub(super) async fn find(
        pairing: &Pairing,
        account: &Arc<Account>,
        begin: &Begin,
        wanted: Wanted,
    ) -> Result<(Self, Option<Alone>), Error> {
        match daemon(pairing, account, begin, wanted).await {
            Ok(client) => {
                let shared = Shared {
                    client,
                    is_asked: false,
                    is_to_search: false,
                    early: VecDeque::new(),
                };
                Ok((Self::Daemon(Box::new(shared)), None))
            }
            Err(alone) => Ok((Self::own(pairing, account, begin, wanted)?, alone)),
        }
    }

    /// A watch of our own.
    pub(super) fn own(
        pairing: &Pairing,
        account: &Arc<Account>,
        begin: &Begin,
        wanted: Wanted,
    ) -> Result<Self, Error> {
        let intake = Arc::new(pairing.intake()?);
        let pending = match begin {
            Begin::Within(_) if wanted == Wanted::Token => {
                attendant::pending(account, pairing.ledger())
            }
            // Who takes a cursor asks for what comes after it.
            Begin::Within(_) | Begin::From(_) | Begin::Now => Vec::new(),
        };
        let attendant = Attendant::start(Charge {
            account: Arc::clone(account),
            keychain: pairing.keychain().clone(),
            intake: Arc::clone(&intake),
            start: begin.start(),
            pending,
            temper: Temper::Waiting,
            // Who asks for a code touches neither keychain nor ledger: a token that comes meanwhile is found later.
            sought: Sought {
                tokens: wanted == Wanted::Token,
                codes: wanted == Wanted::Code,
            },
        });
        Ok(Self::Own {
            attendant,
            intake,
            idle: false,
            begin: begin.clone(),
        })
    }

    /// Whether it is the daemon.
    pub(super) fn is_daemon(&self) -> bool {
        matches!(self, Self::Daemon { .. })
    }

    /// The next piece of news; `None` when the source broke off. Dropping the future loses nothing.
    ///
    /// A search that was asked for is done when [`News::Armed`] is told: everything it found was told before.
    pub(super) async fn next(&mut self) -> Option<Piece> {
        match self {
            Self::Daemon(shared) => shared.next().await,
            Self::Own {
                attendant,
                idle,
                begin,
                ..
            } => loop {
                match attendant.next().await? {
                    Told::News(news, _) => {
                        if let News::Armed { idle: does, .. } = &news {
                            *idle = *does;
                        }
                        return Some(Piece::News(news));
                    }
                    Told::Code(receipt, _) => {
                        return Some(Piece::Code(Box::new(receipt.for_one_from(begin))));
                    }
                    Told::Looked { cursor, .. } => {
                        let idle = *idle;
                        return Some(Piece::News(News::Armed { cursor, idle }));
                    }
                    Told::Moved(_) => {}
                }
            },
        }
    }

    /// Searches without waiting for the server.
    pub(super) fn search_now(&mut self) {
        match self {
            Self::Daemon(shared) => shared.is_to_search = true,
            Self::Own { attendant, .. } => attendant.order(Order::Search(OURS)),
        }
    }

    /// What the intake is doing.
    pub(super) async fn step(&mut self) -> Step {
        match self {
            Self::Own { intake, .. } => intake.step(),
            Self::Daemon(shared) => {
                let step = timeout(STANDING, shared.step()).await;
                step.ok().flatten().unwrap_or(Step::Idle)
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

impl Shared {
    async fn next(&mut self) -> Option<Piece> {
        if let Some(piece) = self.early.pop_front() {
            return Some(piece);
        }
        loop {
            if self.is_to_search {
                // Where this is dropped it is asked again, which harms nobody.
                self.client.prompt(Prompt::SearchNow).await.ok()?;
                self.is_to_search = false;
            }
            match timeout(SILENCE, self.client.next()).await {
                Ok(Some(Answer::News(news))) => return Some(Piece::News(news)),
                Ok(Some(Answer::Code(receipt))) => return Some(Piece::Code(receipt)),
                Ok(Some(Answer::Standing(_))) => self.is_asked = false,
                Err(_) if !self.is_asked => {
                    self.client.prompt(Prompt::Standing).await.ok()?;
                    self.is_asked = true;
                }
                Ok(_) | Err(_) => return None,
            }
        }
    }

    /// What the daemon's intake is doing.
    async fn step(&mut self) -> Option<Step> {
        self.client.prompt(Prompt::Standing).await.ok()?;
        loop {
            match self.client.next().await? {
                Answer::Standing(step) => return Some(step),
                Answer::News(news) => self.early.push_back(Piece::News(news)),
                Answer::Code(receipt) => self.early.push_back(Piece::Code(receipt)),
                Answer::Account(_) | Answer::Done | Answer::Refused(_) => return None,
            }
        }
    }
}

/// The daemon with its watch; else why not, where that is worth a word.
async fn daemon(
    pairing: &Pairing,
    account: &Account,
    begin: &Begin,
    wanted: Wanted,
) -> Result<Client, Option<Alone>> {
    let because = |why: String| Some(Alone::Because(why));
    if pairing.has_own_keys() {
        return Err(None);
    }
    let runtime = config::runtime_directory().map_err(|_| None)?;
    let client = match Client::connect(&runtime, GREETING).await {
        Err(error @ client::Error::Version(_)) => {
            return Err(Some(Alone::Version(error.to_string())));
        }
        client => client.map_err(|error| because(error.to_string()))?,
    };
    let mut client = client.ok_or(None)?;
    let ours =
        Configuration::of(pairing.config_file()).map_err(|error| because(error.to_string()))?;
    if client.config().file != ours.file {
        return Err(because(format!(
            "it goes by another configuration ({})",
            client.config().file
        )));
    }
    if client.config().text != ours.text {
        return Err(because(
            "the configuration changed since it was read. Call `fetch-token reload`".to_owned(),
        ));
    }
    let request = Request::Watch {
        account: account.address.clone(),
        begin: begin.clone(),
        wanted,
    };
    let asked = client.request(request).await;
    asked.map_err(|error| because(error.to_string()))?;
    Ok(client)
}
