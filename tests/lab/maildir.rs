//! Mail gets into Dovecot's mailboxes the way any delivery agent puts it there: written in `tmp`, renamed into `new`.

use super::process::Owner;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// One folder of one user. Cheap to clone and to move into a thread.
#[derive(Clone, Debug)]
pub struct Maildir {
    path: PathBuf,
}

/// A mail that is written and only waits for its rename: the shortest delivery there is, and one that a shell
/// command (`mv`) can do as well.
#[derive(Debug)]
pub struct Staged {
    pub from: PathBuf,
    pub to: PathBuf,
}

impl Staged {
    /// The rename that makes the mail arrive.
    pub fn deliver(self) -> PathBuf {
        fs::rename(&self.from, &self.to).expect("rename a mail into the mailbox");
        self.to
    }
}

impl Maildir {
    /// The INBOX at this path, made if it is not there.
    pub(super) fn at(path: &Path) -> Self {
        let maildir = Self {
            path: path.to_owned(),
        };
        maildir.make_folders();
        maildir
    }

    /// Another folder of the same user, such as `Junk`, made if it is not there.
    pub fn folder(&self, name: &str) -> Self {
        let folder = Self {
            path: self.path.join(format!(".{name}")),
        };
        folder.make_folders();
        folder
    }

    fn make_folders(&self) {
        for part in ["", "cur", "new", "tmp"] {
            let folder = self.path.join(part);
            fs::create_dir_all(&folder).expect("make a mailbox folder");
            Owner::get().take(&folder);
        }
    }

    /// Takes away what Dovecot knows of the folder, so that it gives out new UIDs under a new UIDVALIDITY. The
    /// server must be stopped.
    pub fn renumber(&self) {
        for entry in fs::read_dir(&self.path).expect("list the folder").flatten() {
            if entry.file_name().to_string_lossy().starts_with("dovecot") {
                fs::remove_file(entry.path()).expect("remove an index");
            }
        }
    }

    /// Delivers a mail now. The bytes are served as they are when their lines end in CRLF.
    pub fn deliver(&self, mail: &[u8]) -> PathBuf {
        self.stage(mail).deliver()
    }

    /// Delivers a mail whose INTERNALDATE is this time.
    pub fn deliver_dated(&self, mail: &[u8], arrived: SystemTime) -> PathBuf {
        self.stage_dated(mail, arrived).deliver()
    }

    /// Writes a mail whose delivery is to come.
    pub fn stage(&self, mail: &[u8]) -> Staged {
        self.stage_dated(mail, SystemTime::now())
    }

    fn stage_dated(&self, mail: &[u8], arrived: SystemTime) -> Staged {
        let name = file_name(arrived, mail.len());
        let staged = Staged {
            from: self.path.join("tmp").join(&name),
            to: self.path.join("new").join(&name),
        };
        write_mail(&staged.from, mail, arrived);
        staged
    }

    /// Puts many mails there at once, already known as seen, evenly spread over a stretch of time: `compose` is
    /// asked for each by number. 100,000 small ones take a few seconds.
    pub fn fill(
        &self,
        count: usize,
        oldest: SystemTime,
        newest: SystemTime,
        mut compose: impl FnMut(usize) -> Vec<u8>,
    ) {
        let span = newest.duration_since(oldest).expect("oldest before newest");
        for number in 0..count {
            let share = u32::try_from(number).expect("fewer than 2^32 mails");
            let of = u32::try_from(count.max(2) - 1).expect("fewer than 2^32 mails");
            let arrived = oldest + span.mul_f64(f64::from(share) / f64::from(of));
            let mail = compose(number);
            let file = self
                .path
                .join("cur")
                .join(format!("{}:2,S", file_name(arrived, mail.len())));
            write_mail(&file, &mail, arrived);
        }
    }
}

fn write_mail(path: &Path, mail: &[u8], arrived: SystemTime) {
    let mut file = File::create(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    file.write_all(mail).expect("write a mail");
    file.set_modified(arrived).expect("set a mail's time");
    Owner::get().take(path);
}

/// Unique, and in the order in which the mails were made within a second: Dovecot gives out UIDs in that order.
fn file_name(arrived: SystemTime, size: usize) -> String {
    static SERIAL: AtomicU64 = AtomicU64::new(0);
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    let seconds = arrived
        .duration_since(UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_secs();
    let process = std::process::id();
    format!("{seconds}.M{serial:06}P{process}.lab,S={size}")
}
