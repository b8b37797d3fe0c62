//! Python's `email` and `dkimpy` on the same mails, in a process of their own that stays.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use tempfile::TempDir;

use crate::mails::Mail;

/// `benches/peers/judge_mail.py`, which waits for the name of a mail.
pub(crate) struct Python {
    process: Child,
    ask: ChildStdin,
    answers: BufReader<ChildStdout>,
    _folder: TempDir,
}

impl Python {
    /// Starts it with these mails and the TXT record that it finds its key in.
    pub(crate) fn start<'m>(mails: impl Iterator<Item = &'m Mail>, record: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = tempfile::tempdir().expect("a temp directory");
        fs::write(folder.path().join("key"), record).expect("write a key");
        for mail in mails {
            fs::write(folder.path().join(mail.name), &mail.raw).expect("write a mail");
        }
        let mut process = Command::new(root.join("target/peers/python/bin/python"))
            .arg(root.join("benches/peers/judge_mail.py"))
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("python: {error} (scripts/install-peers)"));
        Self {
            ask: process.stdin.take().expect("piped"),
            answers: BufReader::new(process.stdout.take().expect("piped")),
            process,
            _folder: folder,
        }
    }

    /// Whether the mail brings a token, and the seconds of processor time that it takes to tell.
    pub(crate) fn judge(&mut self, mail: &Mail) -> (bool, f64) {
        writeln!(self.ask, "{}", mail.name).expect("it listens");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("it answers");
        let (brings, seconds) = answer.trim().split_once(' ').expect("two words");
        (brings == "yes", seconds.parse().expect("a number"))
    }
}

impl Drop for Python {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
