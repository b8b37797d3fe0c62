//! What the trial of a link comes to.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::imap::{self, Class};

/// A link of the chain from the mailbox to the keychain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// The configuration can be read and makes sense.
    Configuration,
    /// Its file is its owner's alone.
    ConfigurationFile,
    /// The server's name has addresses.
    Name,
    /// One of them accepts a connection.
    Tcp,
    /// The server is who it should be.
    Tls,
    /// It greets as an IMAP server.
    Greeting,
    /// What it offers.
    Capabilities,
    /// It lets us in.
    Login,
    /// The configured folders can be opened.
    Folders,
    /// Which folder it puts junk into.
    Junk,
    /// It announces new mail (RFC 2177).
    Idle,
    /// A mail to oneself was announced.
    TestMail,
    /// Its clock and ours agree.
    Clock,
    /// The keychain keeps what it is given.
    Keychain,
    /// The keys that prove a sender can be asked for.
    Keys,
    /// The daemon, if one runs.
    Daemon,
    /// What starts the daemon at log-on.
    Unit,
    /// The ledger's directory is its owner's alone.
    StateDirectory,
    /// The directory of the daemon's socket is its owner's alone.
    RuntimeDirectory,
    /// The ledger can be locked, read and written.
    Ledger,
    /// Mails whose token was not stored.
    Leftovers,
}

impl Link {
    /// The stable word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::ConfigurationFile => "configuration-file",
            Self::Name => "name",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Greeting => "greeting",
            Self::Capabilities => "capabilities",
            Self::Login => "login",
            Self::Folders => "folders",
            Self::Junk => "junk",
            Self::Idle => "idle",
            Self::TestMail => "test-mail",
            Self::Clock => "clock",
            Self::Keychain => "keychain",
            Self::Keys => "keys",
            Self::Daemon => "daemon",
            Self::Unit => "unit",
            Self::StateDirectory => "state-directory",
            Self::RuntimeDirectory => "runtime-directory",
            Self::Ledger => "ledger",
            Self::Leftovers => "leftovers",
        }
    }

    /// What to do where the error does not say.
    fn advice(self) -> &'static str {
        match self {
            Self::Name | Self::Tcp => "Check `host` and `port`, and the network",
            Self::Tls => {
                "Check `port` and `tls`: port 993 wants \"implicit\", 143 wants \"starttls\""
            }
            Self::Greeting | Self::Capabilities => {
                "Check `host` and `port`: something else than an IMAP server may answer there. If it is one, try again \
                 in some minutes"
            }
            Self::Login => {
                "Try again in some minutes. If that does not help, ask the server's administrator"
            }
            Self::Folders | Self::Junk | Self::Idle | Self::TestMail => {
                "Try again. If it is the same then, ask the server's administrator; -vv shows each command"
            }
            Self::Clock => "Set this machine's clock, for example by NTP",
            Self::Keychain => "Look at the keychain with its own program",
            Self::Keys => "Check the network, and `resolver` in the configuration",
            Self::Daemon => "Look at the daemon's log, or restart it",
            Self::Unit => "Make it anew by `fetch-token daemon --print-unit systemd`",
            Self::Configuration
            | Self::ConfigurationFile
            | Self::StateDirectory
            | Self::RuntimeDirectory
            | Self::Ledger
            | Self::Leftovers => "Check the path, its owner and its mode",
        }
    }
}

/// How a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It holds.
    Sound,
    /// It does not.
    Broken(Trouble),
    /// An earlier link is broken, so that this one cannot be tried.
    NotTried,
    /// Nobody asked for it, or there is nothing to try.
    NotAsked,
}

impl Verdict {
    /// The stable word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Sound => "sound",
            Self::Broken(_) => "broken",
            Self::NotTried => "not-tried",
            Self::NotAsked => "not-asked",
        }
    }

    /// The sign for it.
    #[must_use]
    pub fn sign(self) -> char {
        match self {
            Self::Sound => '✓',
            Self::Broken(_) => '✗',
            Self::NotTried | Self::NotAsked => '–',
        }
    }
}

/// What kind of trouble a broken link makes: each has an exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Something is damaged.
    Unexpected,
    /// The configuration, or what the user keeps around it.
    Configuration,
    /// The mailbox is unreachable or misbehaves.
    Mailbox,
    /// The login is refused.
    Login,
    /// The keychain does not work.
    Keychain,
    /// Mails could not be judged or recorded now.
    Pending,
}

impl From<Class> for Trouble {
    fn from(class: Class) -> Self {
        match class {
            Class::Passing => Self::Mailbox,
            Class::Doubtful | Class::Login => Self::Login,
            Class::Keychain => Self::Keychain,
        }
    }
}

/// What the trial of a link came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// The link.
    pub link: Link,
    /// The address of the account it belongs to.
    pub account: Option<String>,
    /// How the link is.
    pub verdict: Verdict,
    /// What was measured, or what happened. What a server said in it is quoted, escaped and cut.
    pub measured: String,
    /// What to do.
    pub advice: Option<String>,
    /// What was measured, for programs.
    pub facts: Map<String, Value>,
}

impl Check {
    fn new(link: Link, verdict: Verdict, measured: impl Into<String>) -> Self {
        Self {
            link,
            account: None,
            verdict,
            measured: measured.into(),
            advice: None,
            facts: Map::new(),
        }
    }

    /// A link that holds.
    pub fn sound(link: Link, measured: impl Into<String>) -> Self {
        Self::new(link, Verdict::Sound, measured)
    }

    /// A link that is broken: `sentence` says what happened, then what to do.
    #[must_use]
    pub fn broken(link: Link, trouble: Trouble, sentence: &str) -> Self {
        let (happened, advice) = halves(sentence);
        let advice = advice.unwrap_or_else(|| link.advice());
        Self::new(link, Verdict::Broken(trouble), happened).advise(advice)
    }

    /// A link of a mailbox that is broken.
    #[must_use]
    pub fn of_mailbox(link: Link, error: &imap::Error) -> Self {
        Self::broken(link, error.class().into(), &error.to_string())
    }

    /// A link behind a broken one.
    #[must_use]
    pub fn not_tried(link: Link) -> Self {
        let measured = "not tried: an earlier link is broken";
        Self::new(link, Verdict::NotTried, measured)
    }

    /// A link that nobody asked for, or that is not there.
    pub fn not_asked(link: Link, measured: impl Into<String>) -> Self {
        Self::new(link, Verdict::NotAsked, measured)
    }

    /// The same, with what to do.
    #[must_use]
    pub fn advise(mut self, advice: impl Into<String>) -> Self {
        self.advice = Some(advice.into());
        self
    }

    /// The same, with something that was measured, for programs.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.facts.insert(name.to_owned(), value.into());
        self
    }

    /// What is wrong, if it is.
    #[must_use]
    pub fn trouble(&self) -> Option<Trouble> {
        match self.verdict {
            Verdict::Broken(trouble) => Some(trouble),
            _ => None,
        }
    }
}

/// What happened, and what to do: an error's sentence is parted where its second sentence begins, outside of what is
/// quoted from elsewhere.
fn halves(sentence: &str) -> (&str, Option<&str>) {
    let mut depth = 0_u32;
    let mut is_quoted = false;
    for (place, character) in sentence.char_indices() {
        match character {
            '“' | '(' => depth += 1,
            '”' | ')' => depth = depth.saturating_sub(1),
            '"' => is_quoted = !is_quoted,
            '.' if depth == 0 && !is_quoted => {
                if let Some(advice) = sentence[place..].strip_prefix(". ")
                    && advice.starts_with(char::is_uppercase)
                {
                    return (&sentence[..place], Some(advice));
                }
            }
            _ => {}
        }
    }
    (sentence, None)
}

/// So many of something.
#[must_use]
pub fn counted(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    }
}

/// A time that something took, for people.
#[must_use]
pub fn took(time: Duration) -> String {
    match time.as_millis() {
        0..10 => format!("{:.1} ms", time.as_secs_f64() * 1_000.0),
        10..1_000 => format!("{} ms", time.as_millis()),
        _ => format!("{:.1} s", time.as_secs_f64()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Check, Link, Trouble, halves, took};
    use crate::imap::error::{Error, ServerText};
    use std::time::Duration;

    #[test]
    fn a_sentence_is_parted_where_the_advice_begins_and_not_within_what_others_said() {
        for (sentence, happened, advice) in [
            (
                "the server refused the login: “No. Go away”. Check it",
                "the server refused the login: “No. Go away”",
                Some("Check it"),
            ),
            (
                "it said (first. Then) more. Do this",
                "it said (first. Then) more",
                Some("Do this"),
            ),
            ("the file /a. B is there", "the file /a", Some("B is there")),
            (
                "imap.acme.example port 993 cannot be reached",
                "imap.acme.example port 993 cannot be reached",
                None,
            ),
            (
                "c.toml:3:1: unknown key `hots`. Did you mean `host`?",
                "c.toml:3:1: unknown key `hots`",
                Some("Did you mean `host`?"),
            ),
        ] {
            assert_eq!(halves(sentence), (happened, advice));
        }
    }

    #[test]
    fn every_broken_link_says_what_to_do() {
        let error = Error::Closed {
            step: "the greeting",
        };
        let check = Check::of_mailbox(Link::Greeting, &error);
        assert!(
            check
                .advice
                .is_some_and(|advice| advice.starts_with("Check"))
        );
        let error = Error::LoginUnavailable {
            text: ServerText::new("[UNAVAILABLE] busy"),
            advice: "Try again later".to_owned(),
        };
        let check = Check::of_mailbox(Link::Login, &error);
        assert_eq!(check.trouble(), Some(Trouble::Mailbox));
        assert!(check.advice.is_some());
    }

    #[test]
    fn times_are_short() {
        assert_eq!(took(Duration::from_micros(450)), "0.5 ms");
        assert_eq!(took(Duration::from_millis(45)), "45 ms");
        assert_eq!(took(Duration::from_millis(1_240)), "1.2 s");
    }
}
