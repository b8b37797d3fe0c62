//! What the server lets in by, and where that is kept.

use std::io::{BufRead as _, Read as _};

use secrecy::SecretString;
use zeroize::Zeroizing;

use crate::account::oauth2::{Client, Grant, OAuth2, Source};
use crate::account::{Account, Login, Password};
use crate::cli::LoginArgs;
use crate::commands::{Exit, Failure, House};
use crate::imap::{Credentials, Proof};
use crate::keychain::MAILBOX_SERVICE;

/// Longest password that is read from standard input, in octets.
const PASSWORD: usize = 4 * 1024;

/// How the account is logged in to.
pub(super) enum Way {
    /// With a password that is kept in the keychain.
    Password,
    /// With access tokens, whose refresh token is kept in the keychain.
    Client(Box<Client>),
    /// With what the configuration gets by itself.
    Configured,
}

/// What the person, or the configuration, gave.
pub(super) enum Given {
    Password(SecretString),
    Grant(Grant),
    Configured(Credentials),
}

impl Given {
    pub(super) fn credentials(&self, account: &Account) -> Credentials {
        let proof = match self {
            Self::Configured(credentials) => return credentials.clone(),
            Self::Password(password) => Proof::Password(password.clone()),
            Self::Grant(grant) => Proof::Token {
                token: grant.access.clone(),
                mechanism: oauth2(account).and_then(|oauth2| oauth2.mechanism),
                host: account.endpoint.host.clone(),
                port: account.endpoint.port,
            },
        };
        Credentials {
            user: account.user.clone(),
            proof,
        }
    }
}

fn oauth2(account: &Account) -> Option<&OAuth2> {
    match &account.login {
        Login::OAuth2(oauth2) => Some(oauth2),
        Login::Password(_) => None,
    }
}

impl Way {
    /// Of those that the account is configured for, where the server offers it.
    pub(super) async fn choose(
        house: &House,
        args: &LoginArgs,
        account: &Account,
    ) -> Result<Self, Failure> {
        let way = match &account.login {
            Login::Password(Password::Keychain(_)) => Self::Password,
            Login::OAuth2(oauth2) => match &oauth2.source {
                Source::Client(client) => Self::Client(client.clone()),
                Source::Command(_) => return Ok(Self::Configured),
            },
            Login::Password(_) => return Ok(Self::Configured),
        };
        let failed = |error| Failure::from_mailbox(&account.address, &error);
        let mut session = account.endpoint.connect().await.map_err(failed)?;
        let takes_token = session.offers("AUTH=XOAUTH2").await.map_err(failed)?
            || session.offers("AUTH=OAUTHBEARER").await.map_err(failed)?;
        let takes_password = session.offers("AUTH=PLAIN").await.map_err(failed)?
            || !session.offers("LOGINDISABLED").await.map_err(failed)?;
        session.logout(None).await;
        let host = &account.endpoint.host;
        match way {
            Self::Password if !takes_password && takes_token => Err(Failure::new(
                Exit::Login,
                format!(
                    "{host} takes no passwords, but access tokens. Log in by `--oauth PROVIDER --client-id ID` \
                     (docs/providers.md says how to get one)"
                ),
            )),
            Self::Password if !takes_password => Err(Failure::new(
                Exit::Login,
                format!("{host} takes neither passwords nor access tokens from this program"),
            )),
            Self::Client(_) if !takes_token => Err(Failure::new(
                Exit::Login,
                format!("{host} takes no access tokens. Log in with a password: leave out --oauth"),
            )),
            Self::Password if !args.password_stdin && !house.announcer.has_terminal() => {
                Err(Failure::new(
                    Exit::Usage,
                    "nobody can be asked for the password here. Give it on standard input, with --password-stdin",
                ))
            }
            way => Ok(way),
        }
    }

    /// What the keychain holds for the account now, to be put back should the rest fail.
    pub(super) async fn stored(
        &self,
        house: &House,
        address: &str,
    ) -> Result<Option<SecretString>, Failure> {
        match self {
            Self::Configured => Ok(None),
            Self::Password | Self::Client(_) => {
                house.keychain.probe_for_login(address).await?;
                Ok(house.keychain.replaced(MAILBOX_SERVICE, address).await?)
            }
        }
    }

    /// Asks the person for what is needed.
    pub(super) async fn ask(
        &self,
        house: &House,
        args: &LoginArgs,
        account: &Account,
    ) -> Result<Given, Failure> {
        let failed = |error: crate::imap::Error| Failure::from_mailbox(&account.address, &error);
        match self {
            Self::Password if args.password_stdin => password_from_input().map(Given::Password),
            Self::Password => {
                let prompt = format!(
                    "Password of {} at {}: ",
                    account.user, account.endpoint.host
                );
                let typed = tokio::task::spawn_blocking(move || rpassword::prompt_password(prompt));
                match typed.await {
                    Ok(Ok(password)) if !password.is_empty() => {
                        Ok(Given::Password(SecretString::from(password)))
                    }
                    _ => Err(Failure::new(Exit::Usage, "no password was typed")),
                }
            }
            Self::Client(client) => {
                let grant = self::grant(house, args, account, client).await;
                grant
                    .map(Given::Grant)
                    .map_err(|error| failed(error.into()))
            }
            Self::Configured => {
                let credentials = account.credentials(&house.keychain).await;
                credentials.map(Given::Configured).map_err(failed)
            }
        }
    }

    /// Stores what was given; it is read back.
    pub(super) async fn store(
        &self,
        house: &House,
        account: &Account,
        given: Given,
    ) -> Result<(), Failure> {
        match given {
            Given::Password(password) => {
                let stored = house
                    .keychain
                    .keep(MAILBOX_SERVICE, &account.address, &password);
                Ok(stored.await?)
            }
            Given::Grant(grant) => {
                let failed = |error: crate::account::oauth2::Error| {
                    Failure::from_mailbox(&account.address, &error.into())
                };
                let place = account.place(&house.keychain).map_err(failed)?;
                match oauth2(account) {
                    Some(oauth2) => oauth2.keep(grant, &place).await.map_err(failed),
                    None => Ok(()),
                }
            }
            Given::Configured(_) => Ok(()),
        }
    }

    /// Puts back what was there before.
    pub(super) async fn restore(&self, house: &House, address: &str, before: Option<SecretString>) {
        if matches!(self, Self::Configured) {
            return;
        }
        let keychain = &house.keychain;
        let restored = match before {
            Some(before) => keychain.keep(MAILBOX_SERVICE, address, &before).await,
            None => keychain.delete(MAILBOX_SERVICE, address).await.map(drop),
        };
        if let Err(error) = restored {
            house.announcer.error(&format!(
                "The password that was stored for {address} could not be taken back: {error}."
            ));
        }
    }
}

/// Lets a person agree, in a browser.
async fn grant(
    house: &House,
    args: &LoginArgs,
    account: &Account,
    client: &Client,
) -> Result<Grant, crate::account::oauth2::Error> {
    let say = |words: String| house.announcer.error(&words);
    let (address, keychain) = (account.address.as_str(), &house.keychain);
    if client.offers_browser() && !args.device {
        let show = |page: &str| {
            say(format!(
                "Open this page in a browser on this machine, and agree there as {address}:\n\n  {page}\n"
            ));
        };
        return client.by_browser(address, keychain, show).await;
    }
    let show = |invitation: &crate::account::oauth2::Invitation| {
        say(format!(
            "Open {} in any browser, type the code {} there within {} minutes, and agree as {address}.",
            invitation.page,
            invitation.code,
            invitation.within.as_secs().div_ceil(60)
        ));
    };
    client.by_device(address, keychain, show).await
}

/// The first line of standard input.
fn password_from_input() -> Result<SecretString, Failure> {
    let unusable = || {
        let message = "standard input holds no password on its first line, as UTF-8";
        Failure::new(Exit::Usage, message)
    };
    // Of its full size from the start: one that grows leaves copies behind that nobody wipes.
    let mut line = Zeroizing::new(Vec::with_capacity(PASSWORD));
    std::io::stdin()
        .lock()
        .take(PASSWORD as u64)
        .read_until(b'\n', &mut line)
        .map_err(|_| unusable())?;
    let line = line.strip_suffix(b"\n").unwrap_or(&line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match std::str::from_utf8(line) {
        Ok(password) if !password.is_empty() => Ok(SecretString::from(password)),
        _ => Err(unusable()),
    }
}
