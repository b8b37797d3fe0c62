//! One file a subcommand. Only commands print, through [`announce::Announcer`].

mod accept;
pub mod announce;
mod arm;
mod exit;
mod extract;
mod forget;
mod get;
mod list;
mod refused;
mod run;
mod select;
mod signal;
mod wait;
mod waiting;

pub use exit::{Exit, Failure};

use crate::cli::{Cli, Command, Global};
use std::sync::Arc;

use crate::config::{self, Config, KeysFrom};
use crate::dns::KeySource;
use crate::intake::Intake;
use crate::keychain::Keychain;
use crate::ledger::Ledger;
use announce::Announcer;

/// What every command has at hand.
#[derive(Debug)]
struct House {
    global: Global,
    announcer: Announcer,
    keychain: Keychain,
}

impl House {
    /// Reads the configuration, for the commands that need one.
    fn config(&self) -> Result<Config, Failure> {
        let file = match &self.global.config {
            Some(file) => file.clone(),
            None => config::default_file()?,
        };
        Ok(Config::read(&file)?)
    }

    fn ledger() -> Result<Ledger, Failure> {
        let directories = config::directories()?;
        let state = directories
            .state_dir()
            .unwrap_or_else(|| directories.data_local_dir());
        Ok(Ledger::at(state.to_owned()))
    }

    /// The way in for mails, with keys from where the command line, else the configuration says.
    fn intake(&self, config: &Config) -> Result<Intake, Failure> {
        self.intake_with(config.keys.as_ref())
    }

    fn intake_with(&self, configured: Option<&KeysFrom>) -> Result<Intake, Failure> {
        let keys = match (&self.global.dkim_keys, configured) {
            (Some(file), _) | (None, Some(KeysFrom::File(file))) => KeySource::file(file)?,
            (None, Some(KeysFrom::Resolver(address))) => KeySource::at(*address),
            (None, None) => KeySource::system(),
        };
        Ok(Intake::new(
            self.keychain.clone(),
            Self::ledger()?,
            Arc::new(keys),
        ))
    }
}

/// Runs one command, or the signal that ends it; gives the process's exit code.
pub async fn dispatch(cli: Cli) -> i32 {
    let announcer = Announcer::new(&cli.global);
    let house = House {
        keychain: Keychain::platform(),
        global: cli.global,
        announcer,
    };
    let work = async {
        match cli.command {
            Command::Wait(args) => wait::wait(&house, args).await,
            Command::Arm(args) => arm::arm(&house, args).await,
            Command::Run(args) => run::run(&house, args).await,
            Command::Get(args) => get::get(&house, args).await,
            Command::List => list::list(&house),
            Command::Forget(args) => forget::forget(&house, args).await,
            Command::Extract(args) => extract::extract(&house, args).await,
            Command::Refused => refused::refused(&house),
            Command::Accept(args) => accept::accept(&house, args).await,
        }
    };
    // What a signal interrupts is taken up by the next call: the ledger holds the intent, the mailbox the mail.
    let result = tokio::select! {
        result = work => result,
        signal = signal::ended() => Err(Failure::new(Exit::Signal(signal), "ended by a signal")),
    };
    match result {
        Ok(exit) => exit.code(),
        Err(failure) => {
            house.announcer.failure(&failure);
            failure.exit.code()
        }
    }
}
