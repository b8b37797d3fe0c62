//! A wall clock that can be turned for one program, by libfaketime. Its monotonic clock goes on, as it does in a
//! machine whose clock is set; to a program both together look like a machine that slept.

use super::command::Program;
use super::home::Home;
use std::fs;
use std::path::PathBuf;

/// The program's clock.
pub struct Clock {
    file: PathBuf,
}

impl Clock {
    /// Gives a program, at home here, a clock that goes right.
    pub fn of(program: Program, home: &Home) -> (Self, Program) {
        let clock = Self {
            file: home.path().join("clock"),
        };
        clock.turn("+0");
        let program = program
            .env("LD_PRELOAD", library())
            .env("FAKETIME_TIMESTAMP_FILE", &clock.file)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        (clock, program)
    }

    /// Sets it so far ahead of the true one, as `faketime` has it: "+8h".
    pub fn turn(&self, ahead: &str) {
        let next = self.file.with_extension("next");
        fs::write(&next, ahead).expect("write the clock");
        fs::rename(&next, &self.file).expect("turn the clock");
    }
}

fn library() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    folders
        .map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"))
        .find(|file| file.is_file())
        .expect(
            "libfaketime, of the Debian package `libfaketime` (scripts/install-parts installs it)",
        )
}
