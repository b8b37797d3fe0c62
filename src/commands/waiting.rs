//! Waiting aloud: what `wait`, `run`, `arm` and `code` have in common.

use secrecy::SecretString;
use tokio::time::Instant;

use super::{Failure, House, code};
use crate::imap::Cursor;
use crate::pairing::{Alone, Answer, Begin, Heard, Pairing, Wait};
use crate::receipt::CodeReceipt;

/// A wait whose news is announced.
pub(super) struct Waiting<'a> {
    house: &'a House,
    wait: Wait,
    print: bool,
    deadline: Instant,
    /// The token to be printed in the end, where it was asked for.
    token: Option<SecretString>,
    /// The code that was waited for.
    code: Option<Box<CodeReceipt>>,
}

/// What happened while waiting.
pub(super) enum Progress {
    /// What arrives after this is seen.
    Armed(Cursor),
    /// The mailbox was searched as asked.
    Searched,
    /// The token waited for is stored, or the code is there.
    Token,
    /// The deadline has come.
    Deadline,
}

impl<'a> Waiting<'a> {
    /// Begins to watch.
    pub(super) async fn start(
        house: &'a House,
        pairing: &Pairing,
        begin: Begin,
        print: bool,
        deadline: Instant,
    ) -> Result<Self, Failure> {
        let wait = pairing.watch(begin).await?;
        Ok(Self::aloud(house, wait, print, deadline))
    }

    /// Goes on with a wait that began.
    pub(super) fn aloud(house: &'a House, wait: Wait, print: bool, deadline: Instant) -> Self {
        let what = format!("watching {}", wait.account().address);
        house.announcer.spin(&what, deadline);
        Self {
            house,
            wait,
            print,
            deadline,
            token: None,
            code: None,
        }
    }

    /// Waits for the next thing to happen, until `until` at most. Dropping the future loses nothing but words.
    pub(super) async fn progress(&mut self, until: Instant) -> Result<Progress, Failure> {
        let announcer = &self.house.announcer;
        let until = until.min(self.deadline);
        loop {
            let Some(heard) = self.wait.next(until).await? else {
                return Ok(Progress::Deadline);
            };
            match heard {
                // It says which side to restart, so a person is to hear it.
                Heard::Alone(alone @ Alone::Version(_)) => announcer.say(&alone.to_string()),
                Heard::Alone(alone) => announcer.detail(&alone.to_string()),
                Heard::Armed { cursor, idle } => {
                    announcer.detail(&format!(
                        "Watching {} in {} ({}).",
                        cursor.folder,
                        cursor.account,
                        if idle {
                            "the server announces new mail"
                        } else {
                            "polling: the server does not announce new mail, or may not"
                        }
                    ));
                    return Ok(Progress::Armed(cursor));
                }
                Heard::Searched => return Ok(Progress::Searched),
                Heard::Receipt(receipt) => announcer.receipt(&receipt),
                Heard::Gone(origin) => announcer.say(&format!(
                    "A token mail that waited to be judged or stored is no longer in {} (UID {}).",
                    origin.folder, origin.uid
                )),
                Heard::Trouble { sentence, again_in } => announcer.say(&format!(
                    "The mailbox {}: {sentence}. Trying again in {:.0} s.",
                    self.wait.account().address,
                    again_in.as_secs_f64().ceil()
                )),
                Heard::OtherCode(receipt) => code::other(announcer, &receipt),
                Heard::Code(receipt) => {
                    self.code = Some(receipt);
                    return Ok(Progress::Token);
                }
                Heard::Token(answer) => {
                    self.token = self.read(&answer).await;
                    announcer.answer(&answer, self.token.as_ref());
                    return Ok(Progress::Token);
                }
            }
        }
    }

    /// The token as the keychain has it, where it is to be printed.
    async fn read(&self, answer: &Answer) -> Option<SecretString> {
        if !self.print {
            return None;
        }
        match answer.token().await {
            Ok(token) => Some(token),
            Err(error) => {
                let username = answer.receipt.username.as_deref().unwrap_or_default();
                self.house.announcer.error(&format!(
                    "The token of {username} is stored, and cannot be read to be printed: {error}."
                ));
                None
            }
        }
    }

    /// The code, once it is there.
    pub(super) fn take_code(&mut self) -> Option<Box<CodeReceipt>> {
        self.code.take()
    }

    /// Searches without waiting for the server.
    pub(super) fn search_now(&mut self) {
        self.wait.search_now();
    }

    /// Ends the watch, and prints the token where that was asked for: one token, the newest.
    pub(super) async fn stop(self) {
        self.house.announcer.stop_spinning();
        self.wait.stop().await;
        if let Some(token) = &self.token {
            self.house.announcer.token(token);
        }
    }

    /// Why there is no token, or no code, at the deadline.
    pub(super) async fn no_token(&mut self) -> Failure {
        self.wait.why_none().await.into()
    }
}
