//! Runs the built binary: nothing of the caller's environment, a deadline, and everything it said.

use super::home::Home;
use super::process::{signal, wait_for_end};
use super::secret_service::SecretService;
use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// A program and the surroundings it is to have. `Program::new(env!("CARGO_BIN_EXE_fetch-token"))`.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    env: Vec<(OsString, OsString)>,
    deadline: Duration,
}

/// What came of a run.
#[derive(Debug)]
pub struct Output {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub elapsed: Duration,
}

impl Output {
    /// The exit code; a signal fails the test.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| {
            panic!(
                "ended by signal {:?}\n{}",
                self.status.signal(),
                self.transcript()
            )
        })
    }

    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    pub fn stderr(&self) -> String {
        String::from_utf8_lossy(&self.stderr).into_owned()
    }

    /// Both outputs, for a failure's message.
    pub fn transcript(&self) -> String {
        transcript(&self.stdout, &self.stderr)
    }

    /// Fails the test, with both outputs, unless this is the exit code.
    #[track_caller]
    pub fn expect_code(self, code: i32) -> Self {
        assert_eq!(
            self.status.code(),
            Some(code),
            "the exit code\n{}",
            self.transcript()
        );
        self
    }
}

impl Program {
    /// With PATH and a UTF-8 locale, and nothing else.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let env = [
            ("PATH", std::env::var_os("PATH")),
            ("LC_ALL", Some("C.UTF-8".into())),
        ];
        Self {
            path: path.into(),
            env: env
                .into_iter()
                .filter_map(|(name, value)| Some((name.into(), value?)))
                .collect(),
            deadline: Duration::from_mins(1),
        }
    }

    /// At home here, without a message bus and so without a keychain.
    pub fn at_home(mut self, home: &Home) -> Self {
        self.env.extend(home.env());
        self
    }

    /// At home in the keychain's home, on its bus.
    pub fn with_keychain(mut self, keychain: &SecretService) -> Self {
        self.env.extend(keychain.env());
        self
    }

    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Another program in the same surroundings.
    pub fn instead(&self, path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            ..self.clone()
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// When a run is killed and the test fails; a minute unless told.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Runs it to its end, with no input.
    pub fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Output {
        self.spawn(arguments).wait()
    }

    /// Runs it to its end with these bytes on its standard input.
    pub fn run_with_input<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
        input: &[u8],
    ) -> Output {
        let mut running = self.start(arguments, Stdio::piped());
        let mut pipe = running.child.stdin.take().expect("its input");
        let input = input.to_vec();
        // In a thread: the child may write before it reads. That it may not read to the end is its own affair.
        thread::spawn(move || {
            let _ = pipe.write_all(&input);
        });
        running.wait()
    }

    /// Starts it, with no input.
    pub fn spawn<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Running {
        self.start(arguments, Stdio::null())
    }

    /// Starts it, says this on its standard input, and leaves that open until it is waited for or dropped.
    pub fn spawn_told<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
        words: &str,
    ) -> Running {
        let mut running = self.start(arguments, Stdio::piped());
        let input = running.child.stdin.as_mut().expect("its input");
        input.write_all(words.as_bytes()).expect("tell it");
        running
    }

    /// To be run by somebody else, without the deadline.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.env_clear().envs(self.env.iter().cloned());
        command
    }

    fn start<A: AsRef<OsStr>>(
        &self,
        arguments: impl IntoIterator<Item = A>,
        input: Stdio,
    ) -> Running {
        let mut child = self
            .command()
            .args(arguments)
            .stdin(input)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{}: {error}", self.path.display()));
        Running {
            stdout: Collected::from(child.stdout.take().expect("its output")),
            stderr: Collected::from(child.stderr.take().expect("its errors")),
            started: Instant::now(),
            deadline: self.deadline,
            child,
        }
    }
}

/// A program that runs; killed if it is dropped before its end.
pub struct Running {
    child: Child,
    stdout: Collected,
    stderr: Collected,
    started: Instant,
    deadline: Duration,
}

impl Running {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, named as `kill` names it: "TERM", "INT", "KILL".
    pub fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// What it has said so far on stdout.
    pub fn stdout_so_far(&self) -> String {
        String::from_utf8_lossy(&self.stdout.bytes()).into_owned()
    }

    /// What it has said so far on stderr.
    pub fn stderr_so_far(&self) -> String {
        String::from_utf8_lossy(&self.stderr.bytes()).into_owned()
    }

    /// The first whole line of stdout that contains these words, as soon as it is there; the test fails, with both
    /// outputs, at the program's deadline and when it ends without having said it.
    #[track_caller]
    pub fn stdout_line(&self, words: &str) -> String {
        self.line(&self.stdout, "stdout", words)
    }

    /// The same of stderr.
    #[track_caller]
    pub fn stderr_line(&self, words: &str) -> String {
        self.line(&self.stderr, "stderr", words)
    }

    #[track_caller]
    fn line(&self, stream: &Collected, name: &str, words: &str) -> String {
        let left = self.deadline.saturating_sub(self.started.elapsed());
        stream
            .line_with(words, left)
            .unwrap_or_else(|| panic!("nothing with {words:?} on {name}\n{}", self.transcript()))
    }

    fn transcript(&self) -> String {
        transcript(&self.stdout.bytes(), &self.stderr.bytes())
    }

    /// Waits for its end, at most until the program's deadline, counted from its start.
    #[track_caller]
    pub fn wait(mut self) -> Output {
        let left = self.deadline.saturating_sub(self.started.elapsed());
        let Some(status) = wait_for_end(&mut self.child, left) else {
            let _ = self.child.kill();
            let _ = self.child.wait();
            panic!(
                "not done within {:?}: killed\n{}",
                self.deadline,
                self.transcript()
            );
        };
        let elapsed = self.started.elapsed();
        // A grandchild may hold a pipe open: what is there after a moment is what there is.
        let moment = Duration::from_secs(2);
        Output {
            status,
            stdout: self.stdout.to_the_end(moment),
            stderr: self.stderr.to_the_end(moment),
            elapsed,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.is_running() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// A stream's bytes, gathered by a thread.
#[derive(Clone)]
struct Collected(Arc<(Mutex<Gathered>, Condvar)>);

#[derive(Default)]
struct Gathered {
    bytes: Vec<u8>,
    ended: bool,
}

impl Collected {
    fn from(mut stream: impl Read + Send + 'static) -> Self {
        let collected = Self(Arc::default());
        let mine = collected.clone();
        thread::spawn(move || {
            let mut buffer = [0; 8192];
            loop {
                let size = stream.read(&mut buffer).unwrap_or(0);
                mine.change(|gathered| {
                    gathered.bytes.extend_from_slice(&buffer[..size]);
                    gathered.ended = size == 0;
                });
                if size == 0 {
                    return;
                }
            }
        });
        collected
    }

    fn change(&self, how: impl FnOnce(&mut Gathered)) {
        how(&mut self.0.0.lock().unwrap_or_else(PoisonError::into_inner));
        self.0.1.notify_all();
    }

    fn bytes(&self) -> Vec<u8> {
        let gathered = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        gathered.bytes.clone()
    }

    /// Waits until the stream ends or `done` says so, at most so long, and looks at what there is.
    fn wait_until<T>(
        &self,
        at_most: Duration,
        mut look: impl FnMut(&Gathered) -> Option<T>,
    ) -> Option<T> {
        let start = Instant::now();
        let mut gathered = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(found) = look(&gathered) {
                return Some(found);
            }
            let left = at_most.saturating_sub(start.elapsed());
            if gathered.ended || left.is_zero() {
                return None;
            }
            (gathered, _) = self
                .0
                .1
                .wait_timeout(gathered, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn line_with(&self, words: &str, at_most: Duration) -> Option<String> {
        self.wait_until(at_most, |gathered| {
            let text = String::from_utf8_lossy(&gathered.bytes);
            text.split_inclusive('\n')
                .filter(|line| line.ends_with('\n'))
                .find(|line| line.contains(words))
                .map(|line| line.trim_end().to_owned())
        })
    }

    fn to_the_end(&self, at_most: Duration) -> Vec<u8> {
        self.wait_until(at_most, |gathered| gathered.ended.then_some(()));
        self.bytes()
    }
}

fn transcript(stdout: &[u8], stderr: &[u8]) -> String {
    format!(
        "--- stdout\n{}\n--- stderr\n{}\n---",
        String::from_utf8_lossy(stdout),
        String::from_utf8_lossy(stderr)
    )
}
