//! One file a subcommand. Only commands print, through [`announce::Announcer`].

mod accept;
pub mod announce;
mod arm;
mod code;
mod daemon;
mod doctor;
mod exec;
mod exit;
mod extract;
mod forget;
mod get;
mod list;
mod login;
mod logout;
mod moving;
mod open;
mod refused;
mod reload;
mod report;
mod run;
mod signal;
mod status;
mod unit;
mod wait;
mod waiting;

pub use exit::{Exit, Failure};

use std::path::PathBuf;
use std::sync::Arc;

use crate::cli::{Cli, Command, Global};

use crate::config::{self, Config, KeysFrom};
use crate::dns::KeySource;
use crate::intake::Intake;
use crate::keychain::{self, Keychain};
use crate::ledger::Ledger;
use crate::ledger::Record;
use crate::pairing::Pairing;
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
        Ok(Config::read(&self.config_file()?)?)
    }

    /// Who waits for the token of this username, at this account.
    fn pairing(
        &self,
        account: Option<String>,
        username: Option<String>,
    ) -> Result<Pairing, Failure> {
        let mut pairing = Pairing::with_config(self.config_file()?)?;
        if let Some(file) = &self.global.dkim_keys {
            pairing = pairing.dkim_keys(file);
        }
        if let Some(account) = account {
            pairing = pairing.account(account);
        }
        if let Some(username) = username {
            pairing = pairing.for_username(username);
        }
        Ok(pairing)
    }

    fn config_file(&self) -> Result<PathBuf, Failure> {
        match &self.global.config {
            Some(file) => Ok(file.clone()),
            None => Ok(config::default_file()?),
        }
    }

    fn ledger() -> Result<Ledger, Failure> {
        Ok(Ledger::at(config::state_directory()?))
    }

    /// Shows that the token of a reset that is about to come could be stored: of this username's, where one is named.
    async fn probe_keychain(&self, username: Option<&str>) -> Result<(), Failure> {
        let Some(username) = username else {
            return Ok(self.keychain.probe().await?);
        };
        let known = Self::ledger()?.find(username)?;
        let lies_in = known.as_ref().and_then(Record::lies_in);
        Ok(self.keychain.probe_for(username, lies_in).await?)
    }

    /// Passes on what stores have to say.
    fn tell_notices(&self) {
        for notice in keychain::notices::take() {
            self.announcer.say(&notice);
        }
    }

    /// The way in for mails, with keys from where the command line, else the configuration says.
    fn intake(&self, config: &Config) -> Result<Intake, Failure> {
        self.intake_with(config.keys.as_ref())
    }

    fn intake_with(&self, configured: Option<&KeysFrom>) -> Result<Intake, Failure> {
        let keys = KeySource::chosen(self.global.dkim_keys.as_deref(), configured)?;
        Ok(Intake::new(
            self.keychain.clone(),
            Self::ledger()?,
            Arc::new(keys),
        ))
    }
}

/// Whether a command does anything with tokens: where they are stored must be known then.
fn needs_keychain(command: &Command) -> bool {
    match command {
        // The doctor says what is wrong with the configuration of it.
        Command::List
        | Command::Refused
        | Command::Status
        | Command::Reload
        | Command::Doctor(_)
        | Command::Report(_) => false,
        Command::Extract(args) => args.store,
        Command::Daemon(args) => args.print_unit.is_none(),
        _ => true,
    }
}

/// Runs one command, or the signal that ends it; gives the process's exit code.
pub async fn dispatch(cli: Cli) -> i32 {
    let announcer = Announcer::new(&cli.global);
    let house = House {
        keychain: Keychain::new(&keychain::Settings::default()),
        global: cli.global,
        announcer,
    };
    // It has signals of its own.
    let is_daemon = matches!(cli.command, Command::Daemon(_));
    let work = async {
        if needs_keychain(&cli.command) {
            house
                .keychain
                .choose(&Config::keychain(&house.config_file()?)?);
        }
        match cli.command {
            Command::Wait(args) => wait::wait(&house, args).await,
            Command::Arm(args) => arm::arm(&house, args).await,
            Command::Run(args) => run::run(&house, args).await,
            Command::Open(args) => open::open(&house, args).await,
            Command::Code(args) => code::code(&house, args).await,
            Command::Get(args) => get::get(&house, args).await,
            Command::Exec(args) => exec::exec(&house, args).await,
            Command::List => list::list(&house),
            Command::Move(args) => moving::moving(&house, args).await,
            Command::Forget(args) => forget::forget(&house, args).await,
            Command::Extract(args) => extract::extract(&house, args).await,
            Command::Refused => refused::refused(&house),
            Command::Accept(args) => accept::accept(&house, args).await,
            Command::Login(args) => login::login(&house, args).await,
            Command::Logout(args) => logout::logout(&house, args).await,
            Command::Status => status::status(&house).await,
            Command::Reload => reload::reload(&house).await,
            Command::Doctor(args) => doctor::doctor(&house, args).await,
            Command::Report(args) => report::report(&house, args).await,
            Command::Daemon(args) => daemon::daemon(&house, &args).await,
        }
    };
    // What a signal interrupts is taken up by the next call: the ledger holds the intent, the mailbox the mail.
    let result = tokio::select! {
        // What is done at once listens to nothing.
        biased;
        result = work => result,
        signal = signal::ended(), if !is_daemon => Err(Failure::new(Exit::Signal(signal), "ended by a signal")),
    };
    if !is_daemon {
        // A daemon has them in its log.
        house.tell_notices();
    }
    match result {
        Ok(exit) => exit.code(),
        Err(failure) => {
            house.announcer.failure(&failure);
            failure.exit.code()
        }
    }
}
