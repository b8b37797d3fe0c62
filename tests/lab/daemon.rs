//! `fetch-token daemon` on a stage.

use super::command::{Output, Program, Running};
use super::stage::Stage;
use std::time::{Duration, Instant};

/// A daemon that runs; ended, by its id, when it is dropped.
pub struct Daemon {
    running: Running,
}

impl Daemon {
    /// Starts it and waits until one account is watched.
    pub fn start(stage: &Stage) -> Self {
        Self::start_with(&stage.program(), 1)
    }

    /// Starts it in surroundings of its own, and waits until so many accounts are watched.
    pub fn start_with(program: &Program, accounts: usize) -> Self {
        let daemon = Self::launch(program);
        daemon.wait_for("watching", accounts);
        daemon
    }

    /// Starts it and waits for nothing.
    pub fn launch(program: &Program) -> Self {
        let program = program
            .clone()
            .env("RUST_LOG", "info")
            .deadline(Duration::from_mins(5));
        Self::with(&program, ["daemon"])
    }

    /// Starts it with these arguments, and waits for nothing.
    pub fn with<const N: usize>(program: &Program, arguments: [&str; N]) -> Self {
        Self {
            running: program.spawn(arguments),
        }
    }

    /// Waits until so many lines of its log hold these words.
    #[track_caller]
    pub fn wait_for(&self, words: &str, times: usize) {
        let begin = Instant::now();
        loop {
            let log = self.log();
            if log.lines().filter(|line| line.contains(words)).count() >= times {
                return;
            }
            assert!(
                begin.elapsed() < Duration::from_secs(30),
                "not {times} lines with {words:?}:\n{log}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.running.stderr_so_far()
    }

    pub fn pid(&self) -> u32 {
        self.running.pid()
    }

    pub fn is_running(&mut self) -> bool {
        self.running.is_running()
    }

    /// Sends a signal, named as `kill` names it.
    pub fn signal(&self, name: &str) {
        self.running.signal(name);
    }

    /// Ends it as a service manager does, which must be quick.
    #[track_caller]
    pub fn stop(self) -> Output {
        let begin = Instant::now();
        self.running.signal("TERM");
        let output = self.running.wait().expect_code(0);
        assert!(
            begin.elapsed() < Duration::from_secs(2),
            "ended after {:?}",
            begin.elapsed()
        );
        output
    }

    /// Ends it as a power failure does; gives its log.
    pub fn kill(self) -> String {
        self.running.signal("KILL");
        self.running.wait().stderr()
    }
}
