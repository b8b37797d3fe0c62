//! `fetch-token daemon`: every account attended until a signal ends it.

use super::{Exit, Failure, House, unit};
use crate::cli::DaemonArgs;
use crate::config;
use crate::daemon::{Lock, Source, Supervisor, lock};

pub(super) async fn daemon(house: &House, args: &DaemonArgs) -> Result<Exit, Failure> {
    if let Some(kind) = args.print_unit {
        return unit::print(house, kind, args.log);
    }
    let source = Source {
        file: house.config_file()?,
        dkim_keys: house.global.dkim_keys.clone(),
    };
    let _lock = Lock::take(&config::state_directory()?)?;
    let usage = |message| Failure::new(Exit::Usage, message);
    let supervisor = Supervisor::start(
        source,
        house.keychain.clone(),
        House::ledger()?,
        &config::runtime_directory()?,
    );
    supervisor.map_err(usage)?.run().await;
    Ok(Exit::Done)
}

impl From<lock::Error> for Failure {
    fn from(error: lock::Error) -> Self {
        let exit = match error {
            lock::Error::Held(_) => Exit::Usage,
            lock::Error::Io { .. } => Exit::Pending,
        };
        Self::new(exit, error.to_string())
    }
}
