//! One file a subcommand. Only commands print, through [`announce::Announcer`].

pub mod announce;
mod arm;
mod exit;
mod extract;
mod forget;
mod get;
mod list;
mod run;
mod select;
mod signal;
mod wait;
mod waiting;

pub use exit::{Exit, Failure};

use crate::cli::{Cli, Command, Global};
use crate::config::{self, Config};
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

    fn intake(&self) -> Result<Intake, Failure> {
        Ok(Intake::new(self.keychain.clone(), Self::ledger()?))
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
