//! Runs a program that the user named (a hook, a password command, a command of a store): its environment, its input,
//! its limits, and what it said. The program and its arguments are a list; no shell reads them.

use std::fmt;
use std::io;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, Command};
use tokio::time::{sleep, timeout};
use zeroize::Zeroizing;

use crate::escape::escaped;

/// What we were told by who started us, and is not meant for others: a program of the user's must not speak to the
/// service manager in our name (`sd_notify(3)`, `sd_listen_fds(3)`).
const OURS_ALONE: [&str; 6] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
];

/// Most of what a program says on either stream that is kept, in octets. The rest is read and thrown away.
const OUTPUT: usize = 4 * 1024;

/// Longest line of it that is shown, in characters.
const LINE: usize = 500;

/// Room for a program's output at first, in octets: most passwords and tokens are shorter.
const FIRST: usize = 1024;

/// How long what it said is read after its end: something it left running may hold the pipe for ever.
const REST: Duration = Duration::from_millis(200);

/// How long a process may take to be gone after SIGKILL. The kernel takes longer only where a disk hangs.
const GONE: Duration = Duration::from_millis(200);

/// How long a program may run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// From its start until it is told to end.
    pub(crate) run: Duration,
    /// From then until it is ended.
    pub(crate) to_end: Duration,
    /// From the moment it is stopped until it is ended.
    pub(crate) to_end_at_stop: Duration,
}

impl Limits {
    /// So long, then SIGTERM, 2 s later SIGKILL; no more than a moment to tidy up where we are to stop.
    pub(crate) fn of(run: Duration) -> Self {
        Self {
            run,
            to_end: Duration::from_secs(2),
            to_end_at_stop: Duration::from_millis(200),
        }
    }
}

/// What to run.
#[derive(Debug)]
pub(crate) struct Job<'a> {
    /// The program and its arguments.
    pub(crate) command: &'a [String],
    /// Its environment is ours but for these; one without a value is taken away.
    pub(crate) variables: &'a [(&'static str, Option<String>)],
    /// For its standard input, which is empty otherwise.
    pub(crate) input: Option<&'a SecretString>,
    /// What its two outputs are.
    pub(crate) talk: Talk,
}

/// What a program's two outputs are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Talk {
    /// Words for a log.
    Words,
    /// The first is an answer of at most so many octets, the other words for a log.
    Answer(usize),
    /// The first is an answer of at most so many octets; the other goes where ours goes, for it may ask a person, and
    /// so it stays in our process group, which the terminal belongs to.
    Asking(usize),
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) end: End,
    /// What it said, line by line, without its input, fit to be shown.
    pub(crate) said: Vec<String>,
    /// Its answer.
    pub(crate) answer: Answer,
}

/// What a program answered.
#[derive(Default)]
pub(crate) struct Answer {
    pub(crate) octets: Zeroizing<Vec<u8>>,
    /// There was more of it than is kept.
    pub(crate) is_cut: bool,
}

/// It may be a secret.
impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Answer")
    }
}

/// How it ended.
#[derive(Debug)]
pub(crate) enum End {
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
/// `stopped` ends it before, when it comes to its own end.
pub(crate) async fn run(job: Job<'_>, limits: Limits, stopped: impl Future<Output = ()>) -> Report {
    let mut child = match start(&job) {
        Ok(child) => child,
        Err(error) => {
            return Report {
                end: End::Failed(error),
                said: Vec::new(),
                answer: Answer::default(),
            };
        }
    };
    let mut group = job.talk.group(&child);
    let (mut out, mut err) = (Said::of(job.talk.most()), Said::of(OUTPUT));
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let end = {
        let mut talk = pin!(async {
            tokio::join!(
                feed(stdin, job.input),
                out.listen(stdout),
                err.listen(stderr)
            )
        });
        let mut too_long = pin!(sleep(limits.run));
        let mut stopped = pin!(stopped);
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
    let token = job.input.map(SecretString::expose_secret);
    let mut said = Vec::new();
    let mut answer = Answer::default();
    if job.talk == Talk::Words {
        said = out.lines(token);
    } else {
        answer = Answer {
            octets: out.octets,
            is_cut: out.is_cut,
        };
    }
    said.extend(err.lines(token));
    Report { end, said, answer }
}

fn start(job: &Job<'_>) -> io::Result<Child> {
    let (program, arguments) = job
        .command
        .split_first()
        .ok_or(io::ErrorKind::InvalidInput)?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .stdin(if job.input.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        })
        .stdout(Stdio::piped())
        .stderr(if job.talk.is_ours() {
            Stdio::inherit()
        } else {
            Stdio::piped()
        })
        .kill_on_drop(true);
    // A group of its own, so that what it starts can be ended with it.
    #[cfg(unix)]
    if !job.talk.is_ours() {
        command.process_group(0);
    }
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

impl Talk {
    /// How much of the first output is kept.
    fn most(self) -> usize {
        match self {
            Self::Words => OUTPUT,
            Self::Answer(most) | Self::Asking(most) => most,
        }
    }

    /// Whether it shares our terminal.
    fn is_ours(self) -> bool {
        matches!(self, Self::Asking(_))
    }

    fn group(self, child: &Child) -> Group {
        if self.is_ours() {
            Group::none()
        } else {
            Group::of(child)
        }
    }
}

/// What a program said on one stream.
struct Said {
    /// It may be the token.
    octets: Zeroizing<Vec<u8>>,
    most: usize,
    is_cut: bool,
}

impl Said {
    /// Of which so many octets are kept.
    fn of(most: usize) -> Self {
        Self {
            octets: Zeroizing::new(Vec::new()),
            most,
            is_cut: false,
        }
    }

    async fn listen(&mut self, stream: Option<impl AsyncRead + Unpin>) {
        let Some(mut stream) = stream else { return };
        let mut buffer = Zeroizing::new([0; 1024]);
        while let Ok(size @ 1..) = stream.read(&mut *buffer).await {
            let kept = size.min(self.most - self.octets.len());
            self.make_room(kept);
            self.octets.extend_from_slice(&buffer[..kept]);
            self.is_cut |= kept < size;
        }
    }

    /// A vector that grows by itself leaves its octets behind, unwiped, where it was before.
    fn make_room(&mut self, more: usize) {
        let wanted = self.octets.len() + more;
        if wanted > self.octets.capacity() {
            let capacity = wanted.max(2 * self.octets.capacity()).max(FIRST);
            let mut larger = Zeroizing::new(Vec::with_capacity(capacity));
            larger.extend_from_slice(&self.octets);
            self.octets = larger;
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

/// The process group of a program, ended when this is dropped before it is known to be gone.
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

    /// None of its own.
    fn none() -> Self {
        Self { id: None }
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

    fn none() -> Self {
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
