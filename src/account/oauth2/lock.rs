//! One process at a time refreshes a mailbox's tokens: at strict servers a refresh token that is used twice ends
//! the whole grant (RFC 9700 §4.14.2).

use std::fmt::Write as _;
use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use tokio::time::{Instant, sleep};

use super::error::Error;

/// How long to wait for another process: it may wait for a person to unlock the keychain, and for a server.
const WAIT: Duration = Duration::from_mins(2);

/// How often to look whether the lock is free.
const LOOK: Duration = Duration::from_millis(50);

/// The operating system releases it however the process ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of this mailbox in a directory, which is made where it is not there.
    pub(super) async fn take(directory: &Path, address: &str) -> Result<Self, Error> {
        let file = open(directory, address).map_err(|error| Error::Lock(error.to_string()))?;
        let until = Instant::now() + WAIT;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::WouldBlock) if Instant::now() < until => sleep(LOOK).await,
                Err(TryLockError::WouldBlock) => return Err(Error::Held(WAIT)),
                Err(TryLockError::Error(error)) => return Err(Error::Lock(error.to_string())),
            }
        }
    }
}

fn open(directory: &Path, address: &str) -> io::Result<File> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)?;
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(directory.join(name(address)))
}

/// A file's name for an address, which may hold what no file's name can.
fn name(address: &str) -> String {
    let digest = Sha256::digest(address.to_ascii_lowercase());
    let mut name = "login-".to_owned();
    for octet in &digest[..8] {
        write!(name, "{octet:02x}").expect("writing to a String");
    }
    name + ".lock"
}

#[cfg(test)]
mod tests {
    use super::Lock;
    use std::time::Duration;
    use tokio::time::timeout;

    #[tokio::test]
    async fn the_second_waits_for_the_first_and_other_mailboxes_do_not() {
        let folder = tempfile::tempdir().expect("a temp directory");
        let place = folder.path().join("not/yet/there");
        let held = Lock::take(&place, "Me@acme.example").await.expect("free");
        let short = Duration::from_millis(200);
        let same = timeout(short, Lock::take(&place, "me@ACME.example")).await;
        assert!(same.is_err(), "{same:?}");
        Lock::take(&place, "../you@acme.example")
            .await
            .expect("another's");
        drop(held);
        Lock::take(&place, "me@acme.example").await.expect("free");
    }
}
