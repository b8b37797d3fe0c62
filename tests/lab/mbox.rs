//! A mailbox in one file (RFC 4155): a million mails are written in seconds, and Dovecot finds one of them by its place.
//! In a Maildir it looks through the names of all files first.

use super::process::Owner;
use jiff::Timestamp;
use std::fs::File;
use std::io::{BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Any number but zero (RFC 3501 §2.3.1.1).
const UID_VALIDITY: u32 = 1_700_000_000;

/// The file, of which nobody has made anything yet.
#[derive(Debug)]
pub struct Mbox {
    path: PathBuf,
}

impl Mbox {
    /// Lines for `dovecot.conf`, by which all INBOXes are such files.
    pub const SETTINGS: &str = "mail_location = mbox:~/mail:INBOX=~/inbox\n";

    /// In this user's home.
    pub(super) fn at(home: &Path) -> Self {
        Self {
            path: home.join("inbox"),
        }
    }

    /// Writes so many mails; `compose` is asked for each by number, the oldest first, with the time at which it arrived.
    /// No line of them may begin with "From ".
    pub fn write(&self, count: usize, mut compose: impl FnMut(usize) -> (SystemTime, Vec<u8>)) {
        let file = File::create(&self.path)
            .unwrap_or_else(|error| panic!("{}: {error}", self.path.display()));
        let mut file = BufWriter::new(file);
        for number in 0..count {
            let (arrived, mail) = compose(number);
            let arrived = Timestamp::try_from(arrived).expect("a time");
            // As ctime(3) writes it.
            let arrived = arrived.strftime("%a %b %e %H:%M:%S %Y");
            // What Dovecot itself adds, and does not show. Where it is missing the first look takes three times as long.
            // Ten digits of the last UID: Dovecot writes it in place.
            let numbered = match number {
                0 => format!("X-IMAPbase: {UID_VALIDITY} {count:010}\n"),
                _ => String::new(),
            };
            let uid = number + 1;
            write!(
                file,
                "From lab@localhost {arrived}\n{numbered}X-UID: {uid}\nStatus: RO\n"
            )
            .expect("write a mail");
            file.write_all(&mail).expect("write a mail");
            file.write_all(b"\n").expect("write a mail");
        }
        file.flush().expect("write the mailbox");
        Owner::get().take(&self.path);
    }
}
