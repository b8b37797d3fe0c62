//! Access tokens: held in memory, renewed in time, and the refresh token stored before its access token is used.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::{Mutex, OwnedMutexGuard, RwLock};
use tokio::time::{Instant, sleep, timeout};

use super::client::{Client, Grant, is_token};
use super::error::Error;
use super::lock::Lock;
use crate::asked;
use crate::imap::Mechanism;
use crate::keychain::{Keychain, MAILBOX_SERVICE};

/// How long before its end an access token is renewed, at most; a tenth of its life where that is less.
const EARLY: Duration = Duration::from_mins(5);

/// How often a refresh token is offered to a keychain that does not take it, and the pause between.
const OFFERS: (u32, Duration) = (3, Duration::from_secs(1));

/// Refreshes in progress hold this for reading: one that is broken off may have used up the refresh token.
static REFRESHING: RwLock<()> = RwLock::const_new(());

/// Waits until no refresh is in progress, at most so long. To be called before the process ends.
pub async fn settled(within: Duration) {
    let _ = timeout(within, REFRESHING.write()).await;
}

/// How a mailbox gets its access tokens.
pub struct OAuth2 {
    /// Where they come from.
    pub source: Source,
    /// How they are sent; else what the server offers.
    pub mechanism: Option<Mechanism>,
    held: Arc<Mutex<Held>>,
}

/// Where access tokens come from.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// The first line that this command prints, at each login. An argument list, no shell.
    Command(Vec<String>),
    /// An authorization server.
    Client(Box<Client>),
}

/// Where secrets and locks of a mailbox lie.
#[derive(Debug, Clone)]
pub struct Place {
    /// The mailbox's address.
    pub address: String,
    /// Holds its refresh token.
    pub keychain: Keychain,
    /// Holds its lock.
    pub directory: PathBuf,
}

#[derive(Default)]
struct Held {
    access: Option<Access>,
    /// Granted, and its refresh token not stored yet.
    unsaved: Option<Grant>,
    /// The refresh token, or the command's access token, that was used last.
    tried: Option<SecretString>,
}

struct Access {
    token: SecretString,
    until: Until,
    /// How many logins it was given to.
    uses: u32,
}

/// When something ends, by two clocks: one stands still while the machine sleeps, the other can be turned. The first
/// that gets there counts.
#[derive(Debug, Clone, Copy)]
struct Until {
    ticking: Instant,
    wall: Timestamp,
}

impl Until {
    /// When a token with this lifetime is to be renewed that is granted now.
    fn renewal(lifetime: Duration, ticking: Instant, wall: Timestamp) -> Self {
        // What nobody could mean counts as a day: no clock overflows.
        let lifetime = lifetime.min(Duration::from_hours(24));
        let usable = lifetime.saturating_sub(EARLY.min(lifetime / 10));
        let usable_wall = SignedDuration::try_from(usable).unwrap_or(SignedDuration::ZERO);
        Self {
            ticking: ticking + usable,
            wall: wall.saturating_add(usable_wall).unwrap_or(wall),
        }
    }

    fn is_past(self, ticking: Instant, wall: Timestamp) -> bool {
        ticking >= self.ticking || wall >= self.wall
    }
}

impl fmt::Debug for OAuth2 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OAuth2")
            .field("source", &self.source)
            .field("mechanism", &self.mechanism)
            .finish_non_exhaustive()
    }
}

/// The same source; what is held of it is no part of it.
impl PartialEq for OAuth2 {
    fn eq(&self, other: &Self) -> bool {
        (&self.source, self.mechanism) == (&other.source, other.mechanism)
    }
}

impl OAuth2 {
    /// With access tokens that a command prints.
    #[must_use]
    pub fn by_command(command: Vec<String>, mechanism: Option<Mechanism>) -> Self {
        Self::of(Source::Command(command), mechanism)
    }

    /// With access tokens from an authorization server.
    #[must_use]
    pub fn by_client(client: Client, mechanism: Option<Mechanism>) -> Self {
        Self::of(Source::Client(Box::new(client)), mechanism)
    }

    fn of(source: Source, mechanism: Option<Mechanism>) -> Self {
        Self {
            source,
            mechanism,
            held: Arc::default(),
        }
    }

    /// Keeps what a person has just granted: stores its refresh token, which is read back.
    pub async fn keep(&self, grant: Grant, place: &Place) -> Result<(), Error> {
        if grant.refresh.is_none() {
            let host = match &self.source {
                Source::Client(client) => client.host(),
                Source::Command(_) => String::new(),
            };
            return Err(Error::NoRefreshToken(host));
        }
        let mut held = self.held.lock().await;
        let _lock = Lock::take(&place.directory, &place.address).await?;
        held.unsaved = Some(grant);
        held.save(place).await
    }

    /// An access token for a login: the one that is held, where it lasts, else a new one. To be given up halfway does
    /// not break off a refresh.
    pub async fn token(&self, place: &Place) -> Result<SecretString, Error> {
        let held = Arc::clone(&self.held).lock_owned().await;
        self.get(held, place).await
    }

    /// Another access token in place of one that the mail server refused; `None` where that one was new, so that
    /// another would fare no better.
    pub async fn renewed(
        &self,
        refused: &SecretString,
        place: &Place,
    ) -> Result<Option<SecretString>, Error> {
        if matches!(self.source, Source::Command(_)) {
            return Ok(None);
        }
        let mut held = Arc::clone(&self.held).lock_owned().await;
        if let Some(access) = &held.access
            && access.token.expose_secret() == refused.expose_secret()
        {
            if access.uses <= 1 {
                return Ok(None);
            }
            held.access = None;
        }
        self.get(held, place).await.map(Some)
    }

    /// Whether the access token of the last login has come to its end.
    pub async fn has_lapsed(&self) -> bool {
        let held = self.held.lock().await;
        let access = held.access.as_ref();
        access.is_some_and(|access| access.until.is_past(Instant::now(), Timestamp::now()))
    }

    /// Whether somebody logged in again since: there is another refresh token, or the command prints another access
    /// token.
    pub async fn is_another(&self, place: &Place) -> bool {
        let now = match &self.source {
            Source::Command(command) => by_command(command).await.ok(),
            Source::Client(_) => {
                let stored = place.keychain.get(MAILBOX_SERVICE, &place.address).await;
                stored.ok().flatten()
            }
        };
        let held = self.held.lock().await;
        let tried = held.tried.as_ref().map(SecretString::expose_secret);
        now.is_some_and(|now| Some(now.expose_secret()) != tried)
    }

    /// Has the authorization server take back what was granted, where it offers that; `false` where it does not, or
    /// nothing was granted. The refresh token stays where it is, to be deleted.
    pub async fn revoke(&self, place: &Place) -> Result<bool, Error> {
        let Source::Client(client) = &self.source else {
            return Ok(false);
        };
        let Some(at) = &client.endpoints.revocation else {
            return Ok(false);
        };
        let _held = self.held.lock().await;
        let _lock = Lock::take(&place.directory, &place.address).await?;
        let token = match stored(place).await {
            Ok(token) => token,
            Err(Error::NoGrant(_)) => return Ok(false),
            Err(error) => return Err(error),
        };
        client
            .revoke(at, &place.address, &place.keychain, &token)
            .await?;
        Ok(true)
    }

    async fn get(
        &self,
        mut held: OwnedMutexGuard<Held>,
        place: &Place,
    ) -> Result<SecretString, Error> {
        let client = match &self.source {
            Source::Command(command) => {
                let token = by_command(command).await?;
                held.tried = Some(token.clone());
                return Ok(token);
            }
            Source::Client(client) => client,
        };
        if let Some(token) = held.usable() {
            return Ok(token);
        }
        let (client, place) = (client.clone(), place.clone());
        // In a task of its own: whoever waits for it may go away in the middle, and what was granted then would be
        // lost, the old refresh token with it.
        let refresh = tokio::spawn(async move {
            let _in_progress = REFRESHING.read().await;
            held.refresh(&client, &place).await?;
            held.usable().ok_or(Error::Misbehaves {
                host: client.host(),
                what: "it gives access tokens that have come to their end",
            })
        });
        refresh
            .await
            .unwrap_or_else(|_| Err(Error::Secret("a bug: the refresh broke off".to_owned())))
    }
}

impl Held {
    /// The access token, where it lasts.
    fn usable(&mut self) -> Option<SecretString> {
        let access = self.access.as_mut()?;
        if access.until.is_past(Instant::now(), Timestamp::now()) {
            return None;
        }
        access.uses = access.uses.saturating_add(1);
        Some(access.token.clone())
    }

    async fn refresh(&mut self, client: &Client, place: &Place) -> Result<(), Error> {
        let address = &place.address;
        let _lock = Lock::take(&place.directory, address).await?;
        if self.unsaved.is_some() {
            self.save(place).await?;
        }
        let mut stored = stored(place).await?;
        loop {
            self.tried = Some(stored.clone());
            match client.refresh(address, &place.keychain, &stored).await {
                Ok(grant) => {
                    tracing::debug!(lifetime = grant.lifetime.as_secs(), "access token granted");
                    crate::crash::here("granted");
                    self.unsaved = Some(grant);
                    return self.save(place).await;
                }
                // Somebody may have logged in just now, or another machine shares this keychain.
                Err(error) if error.is_about_the_grant() => {
                    let now = self::stored(place).await?;
                    if now.expose_secret() == stored.expose_secret() {
                        return Err(error);
                    }
                    stored = now;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Stores what was granted; only then it is used. What cannot be stored is kept, to be stored at the next attempt.
    async fn save(&mut self, place: &Place) -> Result<(), Error> {
        let Some(grant) = &self.unsaved else {
            return Ok(());
        };
        if let Some(refresh) = &grant.refresh {
            let mut offers = 1;
            while let Err(error) = place
                .keychain
                .keep(MAILBOX_SERVICE, &place.address, refresh)
                .await
            {
                if offers == OFFERS.0 {
                    return Err(Error::Keychain(error));
                }
                offers += 1;
                sleep(OFFERS.1).await;
            }
            self.tried = Some(refresh.clone());
        }
        self.access = self.unsaved.take().map(|grant| Access {
            token: grant.access,
            until: Until::renewal(grant.lifetime, Instant::now(), Timestamp::now()),
            uses: 0,
        });
        Ok(())
    }
}

async fn stored(place: &Place) -> Result<SecretString, Error> {
    match place.keychain.get(MAILBOX_SERVICE, &place.address).await {
        Ok(Some(token)) => Ok(token),
        Ok(None) => Err(Error::NoGrant(place.address.clone())),
        Err(error) => Err(Error::Keychain(error)),
    }
}

async fn by_command(command: &[String]) -> Result<SecretString, Error> {
    let token = asked::by_command(command, "token command")
        .await
        .map_err(Error::Secret)?;
    if is_token(token.expose_secret()) {
        return Ok(token);
    }
    Err(Error::Secret(
        "the token command printed something that is no access token. Run it by hand to see what is wrong".to_owned(),
    ))
}

#[cfg(test)]
mod tests;
