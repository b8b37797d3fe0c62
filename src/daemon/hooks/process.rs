//! Runs a hook's program: its environment, its input, its limits, and what it said.

use std::io;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use zeroize::Zeroizing;

use super::facts::OURS_ALONE;
use crate::escape::escaped;

/// Most of what a hook says on either stream that is kept, in octets. The rest is read and thrown away.
const OUTPUT: usize = 4 * 1024;

/// Longest line of it that is shown, in characters.
const LINE: usize = 500;

/// How long what it said is read after its end: something it left running may hold the pipe for ever.
const REST: Duration = Duration::from_millis(200);

/// How long a process may take to be gone after SIGKILL. The kernel takes longer only where a disk hangs.
const GONE: Duration = Duration::from_millis(200);

/// How long a hook may run.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// From its start until it is told to end.
    pub(super) run: Duration,
    /// From then until it is ended.
    pub(super) to_end: Duration,
    /// From the moment we are to stop until it is told to end.
    pub(super) at_stop: Duration,
    /// From then until it is ended.
    pub(super) to_end_at_stop: Duration,
}

impl Default for Limits {
    /// Those of the contract: 30 s, then SIGTERM, 2 s later SIGKILL. The daemon itself ends within 2 s, so a hook that
    /// runs then gets 1 s, and no more than a moment to tidy up.
    fn default() -> Self {
        Self {
            run: Duration::from_secs(30),
            to_end: Duration::from_secs(2),
            at_stop: Duration::from_secs(1),
            to_end_at_stop: Duration::from_millis(200),
        }
    }
}

/// What to run.
#[derive(Debug)]
pub(super) struct Job<'a> {
    pub(super) command: &'a [String],
    pub(super) variables: &'a [(&'static str, Option<String>)],
    /// For its standard input, which is empty otherwise.
    pub(super) token: Option<&'a SecretString>,
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) end: End,
    /// What it said, line by line, without the token, fit to be shown.
    pub(super) said: Vec<String>,
}

/// How it ended.
#[derive(Debug)]
pub(super) enum End {
    /// By itself.
    Exited(ExitStatus),
    /// By us, at its limit.
    TooLong,
    /// By us, who are to stop.
    Stopped,
    /// It never began, or the system does not say how it ended.
    Failed(io::Error),
}

/// Runs it to its end, at most until its limits. Dropping the future ends it, and all of its process group.
pub(super) async fn run(job: Job<'_>, limits: Limits, stop: watch::Receiver<bool>) -> Report {
    let mut child = match start(&job) {
        Ok(child) => child,
        Err(error) => {
            return Report {
                end: End::Failed(error),
                said: Vec::new(),
            };
        }
    };
    let mut group = Group::of(&child);
    let (mut out, mut err) = (Said::default(), Said::default());
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let end = {
        let mut talk = pin!(async {
            tokio::join!(
                feed(stdin, job.token),
                out.listen(stdout),
                err.listen(stderr)
            )
        });
        let mut too_long = pin!(sleep(limits.run));
        let mut stopped = pin!(stopped(stop, limits.at_stop));
        let mut is_talking = true;
        let end = loop {
            tokio::select! {
                _ = &mut talk, if is_talking => is_talking = false,
                status = child.wait() => break match status {
                    Ok(status) => End::Exited(status),
                    Err(error) => End::Failed(error),
                },
                () = &mut too_long => break End::TooLong,
                () = &mut stopped => break End::Stopped,
            }
        };
        let to_end = match end {
            End::Exited(_) | End::Failed(_) => None,
            End::TooLong => Some(limits.to_end),
            End::Stopped => Some(limits.to_end_at_stop),
        };
        if let Some(to_end) = to_end {
            // It is not waited for meanwhile: as long as it is not, its number names its group and nobody else's.
            group.tell_to_end();
            sleep(to_end).await;
            group.end();
            let _ = child.start_kill();
            let _ = timeout(GONE, child.wait()).await;
        }
        group.is_gone();
        if is_talking {
            let _ = timeout(REST, talk).await;
        }
        end
    };
    let token = job.token.map(SecretString::expose_secret);
    let mut said = out.lines(token);
    said.extend(err.lines(token));
    Report { end, said }
}

fn start(job: &Job<'_>) -> io::Result<Child> {
    let (program, arguments) = job
        .command
        .split_first()
        .ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(if job.token.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    // A group of its own, so that what it starts can be ended with it.
    #[cfg(unix)]
    command.process_group(0);
    for name in OURS_ALONE {
        command.env_remove(name);
    }
    for (name, value) in job.variables {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.spawn()
}

/// Writes the token, and nothing else.
async fn feed(stdin: Option<ChildStdin>, token: Option<&SecretString>) {
    if let (Some(mut stdin), Some(token)) = (stdin, token) {
        // It may not read it, which is its own affair.
        let _ = stdin.write_all(token.expose_secret().as_bytes()).await;
    }
}

/// Waits until we are to stop, and then as long as a hook may still run.
async fn stopped(mut stop: watch::Receiver<bool>, grace: Duration) {
    // Who could tell us is gone, too.
    let _ = stop.wait_for(|stop| *stop).await;
    sleep(grace).await;
}

/// What a hook said on one stream.
#[derive(Default)]
struct Said {
    /// It may be the token.
    octets: Zeroizing<Vec<u8>>,
    is_cut: bool,
}

impl Said {
    async fn listen(&mut self, stream: Option<impl AsyncRead + Unpin>) {
        let Some(mut stream) = stream else { return };
        self.octets.reserve_exact(OUTPUT);
        let mut buffer = Zeroizing::new([0; 1024]);
        while let Ok(size @ 1..) = stream.read(&mut *buffer).await {
            let kept = size.min(OUTPUT - self.octets.len());
            self.octets.extend_from_slice(&buffer[..kept]);
            self.is_cut |= kept < size;
        }
    }

    /// Its lines, fit to be shown.
    fn lines(&self, token: Option<&str>) -> Vec<String> {
        let text = self.without(token.unwrap_or_default().as_bytes());
        let text = String::from_utf8_lossy(&text);
        let lines = text.split('\n').map(str::trim_end);
        let mut lines: Vec<_> = lines
            .filter(|line| !line.is_empty())
            .map(|line| escaped(line, LINE))
            .collect();
        if self.is_cut {
            lines.push("… (and more, which is not kept)".to_owned());
        }
        lines
    }

    /// What was said without the token, nor its beginning where the text is cut.
    fn without(&self, token: &[u8]) -> Zeroizing<Vec<u8>> {
        const INSTEAD: &[u8] = b"[the token]";
        let mut rest = self.octets.as_slice();
        if token.is_empty() {
            return Zeroizing::new(rest.to_vec());
        }
        // Reserved, so that no copy of what it holds is left behind: tokens are longer than what stands in their place.
        let mut text = Zeroizing::new(Vec::with_capacity(rest.len()));
        while let Some(place) = rest.windows(token.len()).position(|part| part == token) {
            text.extend_from_slice(&rest[..place]);
            text.extend_from_slice(INSTEAD);
            rest = &rest[place + token.len()..];
        }
        let begun = (1..token.len())
            .rev()
            .find(|&length| self.is_cut && rest.ends_with(&token[..length]));
        text.extend_from_slice(&rest[..rest.len() - begun.unwrap_or(0)]);
        text
    }
}

/// The process group of a hook, ended when this is dropped before it is known to be gone.
struct Group {
    #[cfg(unix)]
    id: Option<rustix::process::Pid>,
}

#[cfg(unix)]
impl Group {
    /// The child leads it.
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self {
            id: id.and_then(rustix::process::Pid::from_raw),
        }
    }

    fn signal(&self, signal: rustix::process::Signal) {
        if let Some(id) = self.id {
            // All of it may have ended this instant.
            let _ = rustix::process::kill_process_group(id, signal);
        }
    }

    fn tell_to_end(&self) {
        self.signal(rustix::process::Signal::TERM);
    }

    fn end(&self) {
        self.signal(rustix::process::Signal::KILL);
    }

    /// From now on its number may be somebody else's.
    fn is_gone(&mut self) {
        self.id = None;
    }
}

/// Where there are no process groups the program alone is ended.
#[cfg(not(unix))]
#[expect(
    clippy::unused_self,
    reason = "the same calls as where there are groups"
)]
impl Group {
    fn of(_: &Child) -> Self {
        Self {}
    }

    fn tell_to_end(&self) {}

    fn end(&self) {}

    fn is_gone(&mut self) {}
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(all(test, unix))]
mod tests;
