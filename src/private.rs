//! Files and directories that are for their owner alone: made so, locked, and replaced in one step.

use std::fs::{DirBuilder, File, TryLockError};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use tempfile::NamedTempFile;
use tokio::time::{Instant, sleep};

/// How often to look whether a lock is free.
const LOOK: Duration = Duration::from_millis(20);

/// How long a file that somebody reads is tried to be replaced, where that cannot be: readers take milliseconds.
#[cfg(windows)]
const IN_USE: Duration = Duration::from_secs(2);

/// Makes a directory, and those it lies in, where they are not there: 0700.
pub(crate) fn make_directory(directory: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(directory)
}

/// Waits until no other process holds the lock of this file; `false` where one holds it for longer than `within`.
pub(crate) async fn lock(file: &File, within: Duration) -> io::Result<bool> {
    let until = Instant::now() + within;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) if Instant::now() < until => sleep(LOOK).await,
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

/// Replaces a file, or makes it, in one step and durably: 0600. Its directory must be there.
pub(crate) fn replace(file: &Path, octets: &[u8]) -> io::Result<()> {
    put(written_beside(file, octets)?, file)?;
    sync(directory_of(file))
}

/// Makes a file in one step and durably, 0600, where none of its name is there. Its directory must be there.
pub(crate) fn create(file: &Path, octets: &[u8]) -> io::Result<()> {
    written_beside(file, octets)?.persist_noclobber(file)?;
    sync(directory_of(file))
}

#[cfg(not(windows))]
fn put(new: NamedTempFile, file: &Path) -> io::Result<()> {
    new.persist(file)?;
    Ok(())
}

/// Windows replaces no file that somebody reads at this moment: another of our commands, or what looks for viruses.
#[cfg(windows)]
fn put(mut new: NamedTempFile, file: &Path) -> io::Result<()> {
    let until = Instant::now() + IN_USE;
    loop {
        match new.persist(file) {
            Ok(_) => return Ok(()),
            Err(refused)
                if refused.error.kind() == io::ErrorKind::PermissionDenied
                    && Instant::now() < until =>
            {
                new = refused.file;
                std::thread::sleep(LOOK);
            }
            Err(refused) => return Err(refused.error),
        }
    }
}

fn written_beside(file: &Path, octets: &[u8]) -> io::Result<NamedTempFile> {
    // Made with 0600 by tempfile.
    let mut new = NamedTempFile::new_in(directory_of(file))?;
    new.write_all(octets)?;
    new.as_file().sync_all()?;
    Ok(new)
}

/// The directory that a file lies in.
pub(crate) fn directory_of(file: &Path) -> &Path {
    match file.parent() {
        Some(directory) if directory != Path::new("") => directory,
        _ => Path::new("."),
    }
}

#[cfg(unix)]
fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

#[cfg(not(unix))]
#[expect(
    clippy::unnecessary_wraps,
    reason = "a directory can fail where it can be opened"
)]
fn sync(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::replace;
    use std::fs;
    use std::time::Duration;

    #[test]
    fn a_file_is_replaced_while_somebody_reads_it() {
        let folder = tempfile::tempdir().expect("a temp directory");
        let file = folder.path().join("ledger.json");
        replace(&file, b"old").expect("made");
        let reader = fs::File::open(&file).expect("read");
        let reading = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(200));
            drop(reader);
        });
        replace(&file, b"new").expect("replaced");
        reading.join().expect("read to its end");
        assert_eq!(fs::read(&file).expect("there"), b"new");
        assert_eq!(fs::read_dir(folder.path()).expect("listed").count(), 1);
    }
}
