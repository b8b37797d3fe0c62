//! What is to stand in the configuration, tried before it stands there.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::server;
use super::{cannot_edit, configured, read};
use crate::account::Account;
use crate::cli::LoginArgs;
use crate::commands::{Exit, Failure, House};
use crate::config::Config;
use crate::config::edit::{self, NewAccount, NewClient};

/// The configuration as it is.
pub(super) struct Draft {
    pub(super) file: PathBuf,
    pub(super) text: String,
    pub(super) config: Config,
}

impl Draft {
    pub(super) fn read(file: &Path) -> Result<Self, Failure> {
        let text = read(file)?;
        let config = Config::draft(&text, file)?;
        Ok(Self {
            file: file.to_owned(),
            text,
            config,
        })
    }
}

/// What is to become of the configuration.
#[cfg_attr(
    windows,
    expect(
        clippy::large_enum_variant,
        reason = "a path takes more octets there, and there is one plan"
    )
)]
pub(super) enum Plan {
    /// It stays: the account is there, and only logs in again.
    Again(Arc<Account>),
    /// The account is added, or replaces the one of its address.
    New(NewAccount),
}

impl Plan {
    pub(super) async fn of(
        house: &House,
        args: &LoginArgs,
        draft: &Draft,
    ) -> Result<Self, Failure> {
        let there = configured(&draft.config, &args.address.text);
        if let Some(account) = there {
            if !is_another(args) {
                house.announcer.say(&format!(
                    "{} is configured already; logging in again at {}.",
                    account.address, account.endpoint.host
                ));
                return Ok(Self::Again(account));
            }
            let question = format!(
                "{} is configured already. Replace its server, login and usernames?",
                account.address
            );
            house
                .announcer
                .confirm(&question, args.yes, "replace it with --yes")
                .await?;
        }
        let server = server::find(house, args, &draft.config.discovery).await?;
        let ca_file = match &args.ca_file {
            // The configuration reads it relative to itself, a person to where he stands.
            Some(file) => Some(std::path::absolute(file).map_err(|error| {
                let message = format!("the path {} cannot be completed: {error}", file.display());
                Failure::new(Exit::Usage, message)
            })?),
            None => None,
        };
        Ok(Self::New(NewAccount {
            address: args.address.text.clone(),
            user: args.user.clone().or(server.user),
            host: server.host,
            port: server.port,
            tls: server.tls,
            ca_file,
            usernames: if args.usernames.is_empty() {
                vec!["*".to_owned()]
            } else {
                args.usernames.clone()
            },
            client: client(args),
        }))
    }

    pub(super) fn is_again(&self) -> bool {
        matches!(self, Self::Again(_))
    }

    pub(super) fn with_usernames(self, usernames: Vec<String>) -> Self {
        match self {
            Self::New(account) => Self::New(NewAccount {
                usernames,
                ..account
            }),
            again @ Self::Again(_) => again,
        }
    }

    pub(super) fn usernames(&self) -> Option<&[String]> {
        match self {
            Self::New(account) => Some(&account.usernames),
            Self::Again(_) => None,
        }
    }

    /// The account as the program will read it from the configuration.
    pub(super) fn account(&self, draft: &Draft) -> Result<Arc<Account>, Failure> {
        let new = match self {
            Self::Again(account) => return Ok(Arc::clone(account)),
            Self::New(new) => new,
        };
        let text =
            edit::with(&draft.text, new).map_err(|error| cannot_edit(&draft.file, &error))?;
        let config = Config::parse(&text, &draft.file)?;
        configured(&config, &new.address).ok_or_else(|| {
            let message = "a bug: the account that was added is not there. Please report this";
            Failure::new(Exit::Unexpected, message)
        })
    }

    /// Writes it, into what stands there by now.
    pub(super) fn write(&self, file: &Path) -> Result<(), Failure> {
        let Self::New(new) = self else {
            return Ok(());
        };
        let text = edit::with(&read(file)?, new).map_err(|error| cannot_edit(file, &error))?;
        Config::parse(&text, file)?;
        edit::write(file, &text).map_err(|error| {
            let message = format!(
                "the configuration {} cannot be written: {error}. Nothing was kept",
                file.display()
            );
            Failure::new(Exit::Usage, message)
        })
    }
}

/// Whether the command line says more than the address: then the account is made anew.
fn is_another(args: &LoginArgs) -> bool {
    args.host.is_some()
        || args.ca_file.is_some()
        || args.user.is_some()
        || args.oauth.is_some()
        || !args.usernames.is_empty()
}

fn client(args: &LoginArgs) -> Option<NewClient> {
    let (provider, id) = args.oauth.zip(args.client_id.clone())?;
    Some(NewClient {
        provider: provider.word().to_owned(),
        tenant: args.tenant.clone(),
        id,
        has_secret: args.client_secret_in_keychain,
    })
}
