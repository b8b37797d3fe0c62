//! `fetch-token run -- TOOL`: watch, run the tool that resets the token, store the token that comes.

use std::ffi::OsString;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::{Child, Command};
use tokio::time::{Instant, timeout};

use super::waiting::{Progress, Waiting};
use super::{Exit, Failure, House};
use crate::cli::RunArgs;
use crate::pairing::Begin;

/// How long a failing tool's mail is still waited for: it may have pressed the button first.
const AFTER_FAILURE: Duration = Duration::from_secs(15);

/// How long the last look for a newer token may take, once the tool has ended.
const LAST_LOOK: Duration = Duration::from_secs(2);

/// How long a tool that is told to end may take.
const TO_END: Duration = Duration::from_secs(2);

pub(super) async fn run(house: &House, args: RunArgs) -> Result<Exit, Failure> {
    let deadline = Instant::now() + args.waiting.timeout;
    let pairing = house.pairing(args.waiting.account, args.username.clone())?;
    let mut wait =
        Waiting::start(house, &pairing, Begin::Now, args.waiting.print, deadline).await?;
    // A reset kills the old token: without a keychain for the new one it must not begin. Both take their time
    // on another machine or process, so they go side by side.
    let (armed, probed) = tokio::join!(
        armed(house, &mut wait, deadline),
        house.probe_keychain(args.username.as_deref())
    );
    probed?;
    if !armed? {
        let failure = wait.no_token().await;
        wait.stop().await;
        return Err(failure);
    }
    let mut tool = Tool::start(&args.command, house.announcer.speaks_json())?;
    house
        .announcer
        .say(&format!("Started {}.", args.command[0].display()));
    let result = attend(house, &mut wait, &mut tool, deadline).await;
    wait.stop().await;
    result
}

/// Waits until mail that arrives from now on is seen; `false` where the deadline came first.
pub(super) async fn armed(
    house: &House,
    wait: &mut Waiting<'_>,
    deadline: Instant,
) -> Result<bool, Failure> {
    loop {
        match wait.progress(deadline).await? {
            Progress::Armed(cursor) => {
                house.announcer.go_on_from(cursor);
                return Ok(true);
            }
            Progress::Searched | Progress::Token => {}
            Progress::Deadline => return Ok(false),
        }
    }
}

/// Waits for both, the tool's end and the token.
async fn attend(
    house: &House,
    wait: &mut Waiting<'_>,
    tool: &mut Tool,
    deadline: Instant,
) -> Result<Exit, Failure> {
    let mut until = deadline;
    let mut ended: Option<ExitStatus> = None;
    let mut has_token = false;
    loop {
        let progress = tokio::select! {
            status = tool.0.wait(), if ended.is_none() => {
                let status = status.map_err(|error| {
                    Failure::new(Exit::Unexpected, format!("the tool cannot be waited for: {error}"))
                })?;
                ended = Some(status);
                if has_token {
                    // It may have pressed the button twice.
                    wait.search_now();
                    until = deadline.min(Instant::now() + LAST_LOOK);
                } else if !status.success() {
                    house.announcer.say("The tool failed. Looking whether it reset the token before that.");
                    wait.search_now();
                    until = deadline.min(Instant::now() + AFTER_FAILURE);
                }
                continue;
            }
            progress = wait.progress(until) => progress?,
        };
        has_token |= matches!(progress, Progress::Token);
        match (progress, ended) {
            (Progress::Armed(_) | Progress::Searched, Some(status)) if has_token => {
                return done(status);
            }
            (Progress::Armed(_) | Progress::Searched, _) | (Progress::Token, None) => {}
            (Progress::Token, Some(status)) => return done(status),
            (Progress::Deadline, Some(status)) if has_token => return done(status),
            (Progress::Deadline, Some(status)) if !status.success() => {
                return Err(tool_failed(status, false));
            }
            (Progress::Deadline, Some(_)) => return Err(wait.no_token().await),
            (Progress::Deadline, None) => {
                let status = tool.end().await;
                return Err(if has_token {
                    too_long(status)
                } else {
                    wait.no_token().await
                });
            }
        }
    }
}

/// The token is stored, and the tool has ended.
fn done(status: ExitStatus) -> Result<Exit, Failure> {
    if status.success() {
        Ok(Exit::Done)
    } else {
        Err(tool_failed(status, true))
    }
}

/// The tool's own status is passed on.
fn tool_failed(status: ExitStatus, has_token: bool) -> Failure {
    let token = if has_token {
        "the token it caused is stored"
    } else {
        "no token came"
    };
    Failure::new(
        Exit::Tool(code(status)),
        format!("the tool failed ({status}); {token}"),
    )
}

fn too_long(status: Option<ExitStatus>) -> Failure {
    Failure::new(
        Exit::Tool(status.map_or(SIGKILLED, code)),
        "the token is stored, but the tool did not end before the deadline and was ended. Give it more --timeout",
    )
}

/// The status that shells give a process ended by SIGKILL.
const SIGKILLED: i32 = 128 + 9;

/// A status as shells give it.
fn code(status: ExitStatus) -> i32 {
    #[cfg(unix)]
    if let Some(signal) = std::os::unix::process::ExitStatusExt::signal(&status) {
        return 128 + signal;
    }
    status.code().unwrap_or(SIGKILLED)
}

/// The reset tool. It does not outlive us: whatever ends us tells it to end.
struct Tool(Child);

impl Tool {
    fn start(command: &[OsString], stdout_is_ours: bool) -> Result<Self, Failure> {
        let mut tool = Command::new(&command[0]);
        tool.args(&command[1..]);
        if stdout_is_ours {
            // Programs read our standard output; what the tool says there goes where people look.
            tool.stdout(Stdio::from(std::io::stderr()));
        }
        match tool.spawn() {
            Ok(child) => Ok(Self(child)),
            Err(error) => Err(Failure::new(
                Exit::not_started(&error),
                format!(
                    "the tool {} cannot be started ({error}). Nothing was reset. Check the command after --",
                    command[0].display()
                ),
            )),
        }
    }

    /// Tells the tool to end, and ends it where it does not.
    async fn end(&mut self) -> Option<ExitStatus> {
        self.terminate();
        if let Ok(status) = timeout(TO_END, self.0.wait()).await {
            status.ok()
        } else {
            let _ = self.0.kill().await;
            None
        }
    }

    #[cfg(unix)]
    fn terminate(&mut self) {
        let pid = self
            .0
            .id()
            .and_then(|pid| i32::try_from(pid).ok())
            .and_then(rustix::process::Pid::from_raw);
        if let Some(pid) = pid {
            // It may have ended this instant.
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
    }

    #[cfg(not(unix))]
    fn terminate(&mut self) {
        let _ = self.0.start_kill();
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        self.terminate();
    }
}
