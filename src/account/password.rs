//! Where a mailbox's password comes from: the keychain, a command, or a person. Never from a file or argument.

use std::fmt;
use std::future::pending;
use std::io::IsTerminal as _;
use std::time::Duration;

use secrecy::SecretString;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, Visitor};
use tokio::sync::Mutex;

use crate::imap;
use crate::keychain::{self, Keychain};
use crate::process::{self, End, Job, Limits, Talk};

/// How long a password command may take: it may ask a person for a passphrase.
const COMMAND: Duration = Duration::from_mins(1);

/// Longest answer of a password command, in octets. An OAuth 2.0 token has some thousand.
const ANSWER: usize = 64 * 1024;

/// Where a mailbox's password comes from.
#[derive(Debug)]
pub enum Password {
    /// From the keychain (service [`keychain::MAILBOX_SERVICE`]), or from a person where it is not there.
    Keychain(Typed),
    /// From a person, once a process.
    Prompt(Typed),
    /// The first line that this command prints. An argument list, no shell.
    Command(Vec<String>),
}

/// What a person typed, so that a lost connection does not ask again.
#[derive(Debug, Default)]
pub struct Typed(Mutex<Option<SecretString>>);

/// The same source; what was typed is no part of it.
impl PartialEq for Password {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Keychain(_), Self::Keychain(_)) | (Self::Prompt(_), Self::Prompt(_)) => true,
            (Self::Command(one), Self::Command(another)) => one == another,
            _ => false,
        }
    }
}

impl Password {
    /// Gets the password. The error says what to do.
    pub(super) async fn ask(
        &self,
        address: &str,
        keychain: &Keychain,
    ) -> Result<SecretString, imap::Error> {
        let no_password = imap::Error::Password;
        match self {
            Self::Keychain(typed) => match keychain
                .get(keychain::MAILBOX_SERVICE, address)
                .await
            {
                Ok(Some(password)) => Ok(password),
                Ok(None) => typed
                    .ask(address)
                    .await
                    .map_err(|_| no_password(not_in_keychain(address))),
                Err(error) => Err(imap::Error::Keychain(error)),
            },
            Self::Prompt(typed) => typed.ask(address).await.map_err(|_| {
                no_password(format!(
                    "there is no terminal to ask for the password of {address} on. Use `password = {{ command = \
                     [...] }}` or the keychain where nobody sits"
                ))
            }),
            Self::Command(command) => run(command, "password command").await.map_err(no_password),
        }
    }
}

fn not_in_keychain(address: &str) -> String {
    format!(
        "the keychain holds no password for {address}. Store it under service \"{}\" and account \"{address}\" \
         (on Linux: secret-tool store --label=\"{address}\" service {} username {address}), or name a command \
         with `password = {{ command = [...] }}`",
        keychain::MAILBOX_SERVICE,
        keychain::MAILBOX_SERVICE
    )
}

/// There is no terminal, or it gave no line.
struct NoTerminal;

impl Typed {
    async fn ask(&self, address: &str) -> Result<SecretString, NoTerminal> {
        let mut typed = self.0.lock().await;
        if let Some(password) = &*typed {
            return Ok(password.clone());
        }
        if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return Err(NoTerminal);
        }
        let prompt = format!("Password of {address}: ");
        let password = tokio::task::spawn_blocking(move || rpassword::prompt_password(prompt))
            .await
            .map_err(|_| NoTerminal)?
            .map_err(|_| NoTerminal)?;
        let password = SecretString::from(password);
        *typed = Some(password.clone());
        Ok(password)
    }
}

/// Runs a command that gives a secret, whose name is `what`, and takes the first line of its output. Its standard error
/// goes to ours: it may ask.
pub(super) async fn run(command: &[String], what: &str) -> Result<SecretString, String> {
    let Some(program) = command.first() else {
        return Err(format!("the {what} is empty. Name a program"));
    };
    let failed =
        |why: String| format!("the {what} {program:?} {why}. Run it by hand to see what is wrong");
    let job = Job {
        command,
        variables: &[],
        input: None,
        talk: Talk::Asking(ANSWER),
    };
    let report = process::run(job, Limits::of(COMMAND), pending()).await;
    match report.end {
        End::Exited(status) if status.success() => {}
        End::Exited(status) => return Err(failed(format!("failed ({status})"))),
        End::TooLong | End::Stopped => {
            return Err(failed(format!(
                "did not end within {} s",
                COMMAND.as_secs()
            )));
        }
        End::Failed(error) => return Err(failed(format!("cannot be started ({error})"))),
    }
    let answer = report.answer.octets;
    let line = answer.split(|&b| b == b'\n').next().unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    match std::str::from_utf8(line) {
        Ok("") => Err(failed("printed nothing on its first line".to_owned())),
        Ok(password) => Ok(SecretString::from(password)),
        Err(_) => Err(failed("printed something that is no UTF-8".to_owned())),
    }
}

impl<'de> Deserialize<'de> for Password {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PasswordVisitor)
    }
}

/// Reads `"keychain"`, `"prompt"` or `{ command = [...] }`. None of its errors repeats what stands there: it may
/// be a password.
struct PasswordVisitor;

impl<'de> Visitor<'de> for PasswordVisitor {
    type Value = Password;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"keychain\", \"prompt\" or { command = [\"PROGRAM\", \"ARGUMENT\", ...] }")
    }

    fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<Password, E> {
        match word {
            "keychain" => Ok(Password::Keychain(Typed::default())),
            "prompt" => Ok(Password::Prompt(Typed::default())),
            _ => Err(E::custom(
                "a password cannot stand in this file. Write \"keychain\", \"prompt\" or { command = [...] }",
            )),
        }
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Password, A::Error> {
        const WANTED: &str = "`command` must be a list: [\"PROGRAM\", \"ARGUMENT\", ...]";
        let mut command = None;
        while let Some(key) = map.next_key::<String>()? {
            if key != "command" || command.is_some() {
                return Err(A::Error::unknown_field(&key, &["command"]));
            }
            command = Some(
                map.next_value::<Vec<String>>()
                    .map_err(|_| A::Error::custom(WANTED))?,
            );
        }
        match command {
            Some(command) if !command.is_empty() => Ok(Password::Command(command)),
            _ => Err(A::Error::custom(WANTED)),
        }
    }
}
