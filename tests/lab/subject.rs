//! The program under test, in each of the ways it can watch a mailbox: the same cases are put to all of them.

use super::command::{Output, Program, Running};
use super::process::eventually;
use std::time::{Duration, Instant};

/// How the program is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// `fetch-token wait USERNAME`: ends by itself, with 0, when the token is stored.
    Wait,
    /// `fetch-token daemon` in the foreground, for which nobody waits: goes on when the token is stored, and ends with
    /// 0 when it is told to.
    Daemon,
}

/// When a daemon must have ended after SIGTERM.
const END: Duration = Duration::from_secs(2);

/// One run that watches.
pub struct Watching {
    subject: Subject,
    pub running: Running,
    until: Instant,
}

impl Subject {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Wait, Self::Daemon];

    /// Begins to watch for this username's token; `within` is when it must be stored.
    pub fn start(self, program: &Program, username: &str, within: Duration) -> Watching {
        let program = program.clone().deadline(within + Duration::from_secs(5));
        let running = match self {
            Self::Wait => {
                let timeout = format!("{}s", within.as_secs());
                program.spawn(["-v", "wait", username, "--timeout", &timeout])
            }
            Self::Daemon => program.spawn(["daemon"]),
        };
        Watching {
            subject: self,
            running,
            until: Instant::now() + within,
        }
    }
}

impl Watching {
    /// Waits until the mailbox is watched by IDLE.
    #[track_caller]
    pub fn armed(&self) {
        self.running.stderr_line(match self.subject {
            Subject::Wait => "the server announces new mail",
            Subject::Daemon => " idle=true again=",
        });
    }

    /// Waits until it says that it could not connect.
    #[track_caller]
    pub fn in_trouble(&self) {
        self.running.stderr_line(match self.subject {
            Subject::Wait => "Trying again",
            Subject::Daemon => ": trouble ",
        });
    }

    /// Waits until it says that the token cannot be stored for now.
    #[track_caller]
    pub fn pending(&self) {
        self.running.stderr_line(match self.subject {
            Subject::Wait => "Cannot store the token",
            Subject::Daemon => ": pending ",
        });
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
            Subject::Daemon => {
                eventually(
                    "the token",
                    self.until.saturating_duration_since(Instant::now()),
                    || {
                        let is_said = self.running.stderr_so_far().contains(": stored ");
                        (is_said && is_stored()).then_some(())
                    },
                    || self.running.stderr_so_far(),
                );
                let begin = Instant::now();
                self.running.signal("TERM");
                let mut output = self.running.wait().expect_code(0);
                let ending = begin.elapsed();
                assert!(ending < END, "{ending:.1?}\n{}", output.transcript());
                output.elapsed = output.elapsed.saturating_sub(ending);
                output
            }
        }
    }
}
