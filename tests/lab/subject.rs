//! The program under test, in each of the ways it can watch a mailbox: the same cases are put to all of them.

use super::command::{Output, Program, Running};
use std::time::Duration;

/// How the program is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// `fetch-token wait USERNAME`: ends by itself, with 0, when the token is stored.
    Wait,
}

/// One run that watches.
pub struct Watching {
    subject: Subject,
    pub running: Running,
}

impl Subject {
    /// Begins to watch for this username's token; `within` is when it must be stored.
    pub fn start(self, program: &Program, username: &str, within: Duration) -> Watching {
        let running = match self {
            Self::Wait => {
                let timeout = format!("{}s", within.as_secs());
                program
                    .clone()
                    .deadline(within + Duration::from_secs(5))
                    .spawn(["-v", "wait", username, "--timeout", &timeout])
            }
        };
        Watching {
            subject: self,
            running,
        }
    }
}

impl Watching {
    /// Waits until the mailbox is watched by IDLE.
    #[track_caller]
    pub fn armed(&self) {
        self.running.stderr_line("the server announces new mail");
    }

    /// Waits for success, and for the program's good end. `is_stored` looks into the keychain; a subject that ends by
    /// itself need not ask.
    #[track_caller]
    pub fn finish(self, is_stored: impl Fn() -> bool) -> Output {
        match self.subject {
            Subject::Wait => {
                let output = self.running.wait().expect_code(0);
                assert!(is_stored(), "0 without the token\n{}", output.transcript());
                output
            }
        }
    }
}
