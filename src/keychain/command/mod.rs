//! A store that is used by commands of the user's: `pass`, `bao`, `aws`, a script.
//!
//! Each command is a list of a program and its arguments; no shell reads it. The token goes to the standard input of
//! `write` and comes from the standard output of `read`; what goes by arguments and environment is no secret.

mod settings;
mod words;

pub use settings::{LONGEST, Settings, Sign, Written as Commands, Wrong};

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use tokio::time::{sleep, timeout};

use super::stamp::Rank;
use super::store::{self, Doing, Item, Terms, Written};
use super::{Error, Stamp};
use crate::escape::escaped;
use crate::mail::is_token_word;
use crate::process::{self, Answer, End, Job, Limits, Report, Talk};
use words::{Fact, Words, harmless, hash};

/// Most of an answer that is taken, in octets. A token has 25, a stamp some hundred.
const ANSWER: usize = 4 * 1024;

/// How often to write where others write at the same time.
const TRIES: u32 = 5;

/// How long to leave the one who writes at the same time to its work, at first.
const YIELD: Duration = Duration::from_millis(50);

/// Longest revision, in characters.
const REVISION: usize = 200;

/// The revision of what is not there, as check-and-set has it.
const NOTHING: &str = "0";

/// Most characters of what a command said that an error repeats.
const SAID: usize = 500;

/// Most characters of a program's name in an error.
const NAME: usize = 100;

/// The store.
#[derive(Debug)]
pub(super) struct Store(Arc<Settings>);

impl Store {
    pub(super) fn new(settings: Arc<Settings>) -> Self {
        Self(settings)
    }
}

/// What a command is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Write,
    Read,
    Delete,
    Stamp,
}

impl Verb {
    fn word(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Read => "read",
            Self::Delete => "delete",
            Self::Stamp => "stamp",
        }
    }
}

/// What lies in the store, as its `stamp` command has it.
#[derive(Debug)]
struct Seen {
    stamp: Option<Stamp>,
    revision: Option<String>,
}

/// How a command came to its end.
enum Done {
    /// With success, and this answer.
    Well(Answer),
    /// There is nothing.
    Absent,
    /// Another revision lies there.
    Conflict,
}

impl store::Store for Store {
    fn name(&self) -> &str {
        &self.0.name
    }

    fn read<'a>(&'a self, item: &'a Item) -> Doing<'a, Option<SecretString>> {
        Box::pin(self.within(self.token(item)))
    }

    fn write<'a>(
        &'a self,
        item: &'a Item,
        secret: &'a SecretString,
        terms: &'a Terms,
    ) -> Doing<'a, Written> {
        Box::pin(self.within(self.put(item, secret, terms)))
    }

    fn delete<'a>(&'a self, item: &'a Item) -> Doing<'a, bool> {
        Box::pin(self.within(async move {
            let Some(words) = &self.0.delete else {
                return Err(self.refused(
                    "no `delete` command is configured for it. Delete the token by its own program",
                ));
            };
            let done = self.run(Verb::Delete, words, item, None, &[]).await?;
            Ok(matches!(done, Done::Well(_)))
        }))
    }

    /// Without a `delete` command what is written would stay for ever, so it is only read.
    fn is_probed_by_writing(&self) -> bool {
        self.0.delete.is_some()
    }

    fn probe<'a>(&'a self, item: &'a Item, secret: &'a SecretString) -> Doing<'a, ()> {
        Box::pin(self.within(async move {
            if !self.is_probed_by_writing() {
                return self.token(item).await.map(|_| ());
            }
            self.put(item, secret, &Terms::Anyhow(None)).await?;
            store::Store::delete(self, item).await?;
            Ok(())
        }))
    }
}

impl Store {
    /// All commands of one operation together end in time for others who wait for the ledger.
    async fn within<T>(
        &self,
        operation: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let ended = timeout(LONGEST, operation).await;
        ended.unwrap_or_else(|_| {
            Err(Error::Silent {
                store: self.0.name.clone(),
                after: LONGEST,
            })
        })
    }

    async fn token(&self, item: &Item) -> Result<Option<SecretString>, Error> {
        let answer = match self.run(Verb::Read, &self.0.read, item, None, &[]).await? {
            Done::Well(answer) => answer,
            Done::Absent | Done::Conflict => return Ok(None),
        };
        let token = str::from_utf8(&answer.octets).unwrap_or("?");
        let token = token.strip_suffix('\n').unwrap_or(token);
        let token = token.strip_suffix('\r').unwrap_or(token);
        if token.is_empty() {
            return Ok(None);
        }
        if answer.is_cut || !is_token_word(token) {
            return Err(self.refused(
                "its `read` command printed something that is no token. It must print the token alone, or nothing",
            ));
        }
        Ok(Some(SecretString::from(token)))
    }

    async fn put(
        &self,
        item: &Item,
        secret: &SecretString,
        terms: &Terms,
    ) -> Result<Written, Error> {
        for attempt in 0..TRIES {
            if attempt > 0 {
                sleep(YIELD * 2_u32.pow(attempt - 1)).await;
            }
            let seen = self.look(item).await?;
            if let (Terms::IfLater(stamp), Some(there)) = (terms, &seen.stamp) {
                match stamp.rank(there) {
                    Rank::Earlier => return Ok(Written::Later),
                    Rank::Tied => return Ok(Written::Tied),
                    Rank::Same if self.holds(item, secret).await? => return Ok(Written::Already),
                    Rank::Later | Rank::Same => {}
                }
            }
            let stamp = terms.stamp();
            let facts = [
                (Fact::Date, stamp.map(|stamp| stamp.date.to_string())),
                (
                    Fact::Identity,
                    stamp.map(|stamp| stamp.identity.to_string()),
                ),
                (Fact::Stamp, stamp.map(Stamp::to_string)),
                (Fact::Revision, seen.revision),
            ];
            match self
                .run(Verb::Write, &self.0.write, item, Some(secret), &facts)
                .await?
            {
                Done::Conflict => continue,
                Done::Well(_) | Done::Absent => {}
            }
            if self.holds(item, secret).await? {
                return Ok(Written::Kept);
            }
        }
        Err(Error::NotKept {
            store: self.0.name.clone(),
        })
    }

    async fn holds(&self, item: &Item, secret: &SecretString) -> Result<bool, Error> {
        let token = self.token(item).await?;
        Ok(token.is_some_and(|token| token.expose_secret() == secret.expose_secret()))
    }

    /// What lies there, where the store can say.
    async fn look(&self, item: &Item) -> Result<Seen, Error> {
        let Some(words) = &self.0.stamp else {
            return Ok(Seen {
                stamp: None,
                revision: None,
            });
        };
        let nothing = Seen {
            stamp: None,
            revision: Some(NOTHING.to_owned()),
        };
        let answer = match self.run(Verb::Stamp, words, item, None, &[]).await? {
            Done::Well(answer) => answer,
            Done::Absent | Done::Conflict => return Ok(nothing),
        };
        let text = str::from_utf8(&answer.octets).unwrap_or("?");
        if text.trim_ascii().is_empty() {
            return Ok(nothing);
        }
        let mut lines = text.lines().map(str::trim_ascii);
        // What others wrote has none, and may be replaced.
        let stamp = lines.next().and_then(|line| line.parse().ok());
        let revision = lines.next().filter(|line| !line.is_empty());
        let is_word = |line: &str| {
            !line.starts_with('-')
                && line.len() <= REVISION
                && line.bytes().all(|b| b.is_ascii_graphic())
        };
        let is_needed = self.0.conflict.is_some() || self.0.write.have(Fact::Revision);
        if revision.map_or(is_needed, |line| !is_word(line)) {
            return Err(self.refused(
                "its `stamp` command printed no revision on its second line, which is one word that does not begin \
                 with a hyphen",
            ));
        }
        Ok(Seen {
            stamp,
            revision: revision.map(str::to_owned),
        })
    }

    async fn run(
        &self,
        verb: Verb,
        words: &Words,
        item: &Item,
        input: Option<&SecretString>,
        facts: &[(Fact, Option<String>)],
    ) -> Result<Done, Error> {
        let value = |fact: Fact| {
            let known = facts.iter().find(|(known, _)| *known == fact);
            known.and_then(|(_, value)| value.clone())
        };
        let command = words.with(|fact| match fact {
            Fact::Username => harmless(&item.account),
            Fact::UsernameHash => hash(&item.account),
            fact => value(fact).unwrap_or_default(),
        });
        // All of them each time: one that is not known must not be inherited.
        let variables = [
            ("FETCH_TOKEN_USERNAME", Some(item.account.clone())),
            ("FETCH_TOKEN_DATE", value(Fact::Date)),
            ("FETCH_TOKEN_IDENTITY", value(Fact::Identity)),
            ("FETCH_TOKEN_STAMP", value(Fact::Stamp)),
            ("FETCH_TOKEN_REVISION", value(Fact::Revision)),
        ];
        let job = Job {
            command: &command,
            variables: &variables,
            input,
            talk: Talk::Answer(ANSWER),
        };
        let Report { end, said, answer } =
            process::run(job, Limits::of(self.0.deadline), pending()).await;
        let how = match end {
            End::Exited(status) if status.success() => return Ok(Done::Well(answer)),
            End::Exited(status) => {
                let is = |sign: &Option<Sign>| match sign {
                    Some(Sign::Status(wanted)) => status.code() == Some(*wanted),
                    Some(Sign::Words(words)) => {
                        let mut words = words.iter();
                        words.any(|words| said.iter().any(|line| line.contains(words)))
                    }
                    None => false,
                };
                match verb {
                    Verb::Write if is(&self.0.conflict) => return Ok(Done::Conflict),
                    Verb::Read | Verb::Delete | Verb::Stamp if is(&self.0.absent) => {
                        return Ok(Done::Absent);
                    }
                    _ => format!("failed ({status})"),
                }
            }
            End::TooLong | End::Stopped => {
                format!(
                    "was ended, for it took longer than {} s",
                    self.0.deadline.as_secs()
                )
            }
            End::Failed(error) => format!("cannot be run ({error})"),
        };
        let said = escaped(&said.join(" / "), SAID);
        Err(Error::Command {
            store: self.0.name.clone(),
            verb: verb.word(),
            program: escaped(words.program(), NAME),
            how,
            said: if said.is_empty() {
                said
            } else {
                format!(": \"{said}\"")
            },
        })
    }

    fn refused(&self, why: &str) -> Error {
        Error::Refused {
            store: self.0.name.clone(),
            why: why.to_owned(),
        }
    }
}

#[cfg(all(test, unix))]
mod tests;
