//! Secrets that a person types, or that a command of the user's prints. Never from a file or argument.

use std::future::pending;
use std::io::IsTerminal as _;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use serde::de::{Error as _, MapAccess};
use tokio::sync::Mutex;

use crate::process::{self, End, Job, Limits, Talk};

/// How long such a command may take: it may ask a person for a passphrase.
const COMMAND: Duration = Duration::from_mins(1);

/// Longest answer of such a command, in octets. An OAuth 2.0 token has some thousand.
const ANSWER: usize = 64 * 1024;

/// What a person typed, so that nobody is asked twice in one process.
#[derive(Debug, Default)]
pub struct Typed(Mutex<Option<SecretString>>);

/// Why a person gave nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotTyped {
    /// There is no terminal, or it gave no line.
    NoTerminal,
    /// What was to be typed twice was not the same twice.
    NotTheSame,
}

impl Typed {
    /// What was typed before; else asks, with these words.
    pub(crate) async fn ask(&self, prompt: &str) -> Result<SecretString, NotTyped> {
        self.ask_with(&[prompt.to_owned()]).await
    }

    /// The same for a secret that is new: a person types it twice.
    pub(crate) async fn ask_new(&self, prompt: &str) -> Result<SecretString, NotTyped> {
        let again = format!("The same again. {prompt}");
        self.ask_with(&[prompt.to_owned(), again]).await
    }

    /// What was typed is not right: the next time a person is asked again.
    pub(crate) async fn forget(&self) {
        *self.0.lock().await = None;
    }

    async fn ask_with(&self, prompts: &[String]) -> Result<SecretString, NotTyped> {
        let mut typed = self.0.lock().await;
        if let Some(secret) = &*typed {
            return Ok(secret.clone());
        }
        if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
            return Err(NotTyped::NoTerminal);
        }
        let mut secret: Option<SecretString> = None;
        for prompt in prompts.iter().cloned() {
            let line = tokio::task::spawn_blocking(move || rpassword::prompt_password(prompt))
                .await
                .map_err(|_| NotTyped::NoTerminal)?
                .map_err(|_| NotTyped::NoTerminal)?;
            let line = SecretString::from(line);
            if secret.is_some_and(|secret| secret.expose_secret() != line.expose_secret()) {
                return Err(NotTyped::NotTheSame);
            }
            secret = Some(line);
        }
        let secret = secret.ok_or(NotTyped::NoTerminal)?;
        *typed = Some(secret.clone());
        Ok(secret)
    }
}

/// Reads `{ command = [...] }` in a file where a secret might stand by mistake: no error repeats what is there.
pub(crate) fn read_command<'de, A: MapAccess<'de>>(mut map: A) -> Result<Vec<String>, A::Error> {
    const WANTED: &str = "`command` must be a list: [\"PROGRAM\", \"ARGUMENT\", ...]";
    let mut command = None;
    while let Some(key) = map.next_key::<String>()? {
        if key != "command" || command.is_some() {
            return Err(A::Error::unknown_field(&key, &["command"]));
        }
        let words = map.next_value::<Vec<String>>();
        command = Some(words.map_err(|_| A::Error::custom(WANTED))?);
    }
    command
        .filter(|words| !words.is_empty())
        .ok_or_else(|| A::Error::custom(WANTED))
}

/// Runs a command that gives a secret, whose name is `what`, and takes the first line of its output. Its standard error
/// goes to ours: it may ask.
pub(crate) async fn by_command(command: &[String], what: &str) -> Result<SecretString, String> {
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
