//! One process at a time refreshes a mailbox's tokens: at strict servers a refresh token that is used twice ends
//! the whole grant (RFC 9700 §4.14.2).

use std::fmt::Write as _;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::error::Error;
use crate::private;

/// How long to wait for another process: it may wait for a person to unlock the keychain, and for a server.
const WAIT: Duration = Duration::from_mins(2);

/// The operating system releases it however the process ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of this mailbox in a directory, which is made where it is not there.
    pub(super) async fn take(directory: &Path, address: &str) -> Result<Self, Error> {
        let file = open(directory, address).map_err(|error| Error::Lock(error.to_string()))?;
        let locked = private::lock(&file, WAIT).await;
        if locked.map_err(|error| Error::Lock(error.to_string()))? {
            Ok(Self { _file: file })
        } else {
            Err(Error::Held(WAIT))
        }
    }
}

fn open(directory: &Path, address: &str) -> io::Result<File> {
    private::make_directory(directory)?;
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
