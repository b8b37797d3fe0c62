//! Mail servers that mean harm, or are broken beyond what Dovecot can be made to be; and what the daemon is to say of
//! each.

mod answers;
mod before_tls;
mod floods;
mod folders;
mod greetings;
mod mails;

use super::lab::{GREETING, Say, Scripted, Security, User, remembering, sound};

/// What the daemon is to make of a server.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Verdict {
    /// It lets it rest, and says this among other words; or one of several, with `|` between.
    Trouble(&'static str),
    /// It goes on with it: odd, and no harm.
    Peace,
}
pub(crate) use Verdict::{Peace, Trouble};

/// A server, and what the daemon is to make of it.
pub(crate) struct Rogue {
    /// Whose mailbox it pretends to be.
    pub(crate) user: User,
    /// How the daemon reaches it, as the configuration says it.
    pub(crate) tls: &'static str,
    pub(crate) server: Scripted,
    pub(crate) verdict: Verdict,
    /// A command waits for a token from there meanwhile.
    pub(crate) is_awaited: bool,
}

/// All of them.
pub(crate) fn all() -> Vec<Rogue> {
    let mut all = before_tls::all();
    all.extend(greetings::all());
    all.extend(answers::all());
    all.extend(floods::all());
    all.extend(mails::all());
    all.extend(folders::all());
    all
}

impl Rogue {
    fn new(name: &str, tls: &'static str, server: Scripted, verdict: Verdict) -> Self {
        Self {
            user: User {
                name: format!("{name}@rogue.example").leak(),
                password: super::PASSWORD,
            },
            tls,
            server,
            verdict,
            is_awaited: false,
        }
    }

    /// With TLS from the start and a good certificate: so greeted, so answered.
    fn secured<S: Into<Say>>(
        name: &str,
        verdict: Verdict,
        greeting: impl Into<Say>,
        script: impl Fn(usize, &str, &str) -> S + Send + Sync + 'static,
    ) -> Self {
        Self::new(name, "implicit", Scripted::tls(greeting, script), verdict)
    }

    /// Sound but for what the script answers.
    fn but<S: Into<Say>>(
        name: &str,
        verdict: Verdict,
        script: impl Fn(&str, &str) -> Option<S> + Send + Sync + 'static,
    ) -> Self {
        let script = remembering(move |_, command, tag| script(command, tag));
        Self::secured(name, verdict, GREETING, script)
    }

    /// Sound, but it announces a mail and answers so when it is fetched.
    fn fetched<S: Into<Say>>(
        name: &str,
        verdict: Verdict,
        answer: impl Fn(&str) -> S + Send + Sync + 'static,
    ) -> Self {
        Self::but(name, verdict, move |command, tag| {
            if command == "IDLE" {
                return Some(Say::from("+ idling\r\n* 11 EXISTS\r\n"));
            }
            let is_asked = command.starts_with("UID FETCH 100:* (UID RFC822.SIZE");
            is_asked.then(|| answer(tag).into())
        })
    }

    fn security(name: &str, tls: &'static str, security: Security, verdict: Verdict) -> Self {
        let server = Scripted::start(security, GREETING, |_, command: &str, tag: &str| {
            sound(command, tag)
        });
        Self::new(name, tls, server, verdict)
    }

    fn awaited(mut self) -> Self {
        self.is_awaited = true;
        self
    }
}

fn once(octets: &[u8]) -> Say {
    Say::Once(octets.to_vec())
}

fn last(text: impl Into<String>) -> Say {
    Say::Last(text.into().into_bytes())
}

fn endlessly(first: impl Into<String>, text: &str) -> Say {
    Say::Endlessly(first.into().into_bytes(), text.into())
}

fn slowly(first: impl Into<String>, text: &str) -> Say {
    Say::Slowly(first.into().into_bytes(), text.into())
}
