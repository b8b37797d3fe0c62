//! One daemon a user.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};

use crate::private;

const FILE: &str = "daemon.lock";

/// Longest process id that is read.
const PID: u64 = 20;

/// Why this process is not the daemon.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is one.
    #[error("a daemon runs already{}. Ask it with `fetch-token status`, or end it first", .0.map_or_else(String::new, |pid| format!(" (process {pid})")))]
    Held(Option<u32>),
    /// The operating system refuses.
    #[error("the daemon's lock {} cannot be taken: {why}", .file.display())]
    Io {
        /// The lock's file.
        file: PathBuf,
        /// The operating system's words.
        why: io::Error,
    },
}

/// This process is the daemon, as long as this is kept: the operating system releases it however the process ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock in this directory, which is made where it is not there, and writes down who has it.
    pub fn take(directory: &Path) -> Result<Self, Error> {
        let path = directory.join(FILE);
        let failed = |why| Error::Io {
            file: path.clone(),
            why,
        };
        private::make_directory(directory).map_err(failed)?;
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(Error::Held(holder(&mut file))),
            Err(TryLockError::Error(why)) => return Err(failed(why)),
        }
        // Who has it is for people: a full disk is no reason not to watch.
        let _ = file
            .set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| write!(file, "{}", std::process::id()));
        Ok(Self { _file: file })
    }
}

/// Who has it, where that can be read: Windows lets nobody read a file that another process has locked.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(PID).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{Error, Lock};

    #[test]
    fn the_second_hears_who_is_the_first() {
        let folder = tempfile::tempdir().expect("a temp directory");
        let place = folder.path().join("not/yet/there");
        let lock = Lock::take(&place).expect("free");
        let error = Lock::take(&place).expect_err("held");
        let is_first = |pid: Option<u32>| match pid {
            Some(pid) => pid == std::process::id(),
            None => cfg!(windows),
        };
        assert!(
            matches!(error, Error::Held(pid) if is_first(pid)),
            "{error}"
        );
        drop(lock);
        Lock::take(&place).expect("free again");
    }
}
