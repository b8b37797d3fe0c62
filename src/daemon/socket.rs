//! Where clients meet the daemon: a Unix socket in a directory of the user's own, or a named pipe on Windows.

#[cfg(unix)]
pub(crate) use unix::{Listener, connect};
#[cfg(windows)]
pub(crate) use windows::{Listener, connect};

use std::io;
use std::path::PathBuf;

/// Why the daemon's socket cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The directory is not the user's alone.
    #[error(
        "the directory {} must belong to you and be closed to others, for whoever can write there can pose as the \
         daemon. Remove it, or change its owner and mode (chmod 700)", .0.display()
    )]
    Open(PathBuf),
    /// The operating system refuses.
    #[error("the daemon's socket {} cannot be used: {why}", .place.display())]
    Io {
        /// Where it is, or should be.
        place: PathBuf,
        /// The operating system's words.
        why: io::Error,
    },
}

#[cfg(unix)]
mod unix {
    use std::io;
    use std::os::unix::fs::MetadataExt as _;
    use std::path::{Path, PathBuf};

    use tokio::net::{UnixListener, UnixStream};

    use super::Error;
    use crate::private;

    const NAME: &str = "daemon.sock";

    /// The daemon's end.
    #[derive(Debug)]
    pub(crate) struct Listener {
        listener: UnixListener,
        place: PathBuf,
    }

    impl Listener {
        /// Listens in this directory. Call it only where no other daemon can be: what lies there is removed.
        pub(crate) fn bind(directory: &Path) -> Result<Self, Error> {
            let place = directory.join(NAME);
            let failed = |why| Error::Io {
                place: place.clone(),
                why,
            };
            private::make_directory(directory).map_err(failed)?;
            check(directory)?;
            match std::fs::remove_file(&place) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed(error)),
            }
            let listener = UnixListener::bind(&place).map_err(failed)?;
            Ok(Self { listener, place })
        }

        /// The next client of the same user.
        pub(crate) async fn accept(&mut self) -> io::Result<UnixStream> {
            loop {
                let (stream, _) = self.listener.accept().await?;
                if is_ours(&stream) {
                    return Ok(stream);
                }
                tracing::warn!("another user asked, and was refused");
            }
        }
    }

    impl Drop for Listener {
        fn drop(&mut self) {
            let _ = std::fs::remove_file(&self.place);
        }
    }

    /// Reaches the daemon; `None` where there is none.
    pub(crate) async fn connect(directory: &Path) -> Result<Option<UnixStream>, Error> {
        let place = directory.join(NAME);
        let stream = match UnixStream::connect(&place).await {
            Ok(stream) => stream,
            Err(error)
                if matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused
                ) =>
            {
                return Ok(None);
            }
            Err(why) => return Err(Error::Io { place, why }),
        };
        check(directory)?;
        if !is_ours(&stream) {
            return Err(Error::Open(directory.to_owned()));
        }
        Ok(Some(stream))
    }

    /// What a directory's mode grants its group and others.
    const OTHERS: u32 = 0o077;

    /// The directory is ours alone.
    fn check(directory: &Path) -> Result<(), Error> {
        let failed = |why| Error::Io {
            place: directory.to_owned(),
            why,
        };
        let found = std::fs::symlink_metadata(directory).map_err(failed)?;
        let is_ours = found.uid() == rustix::process::geteuid().as_raw();
        let is_open = found.mode() & OTHERS != 0;
        if !found.is_dir() || !is_ours || is_open {
            return Err(Error::Open(directory.to_owned()));
        }
        Ok(())
    }

    fn is_ours(stream: &UnixStream) -> bool {
        let ours = rustix::process::geteuid().as_raw();
        stream.peer_cred().is_ok_and(|peer| peer.uid() == ours)
    }

    #[cfg(test)]
    mod tests {
        use super::{Listener, connect};
        use std::os::unix::fs::PermissionsExt as _;

        #[tokio::test]
        async fn a_stale_socket_is_replaced_and_an_open_directory_refused() {
            let folder = tempfile::tempdir().expect("a temp directory");
            let place = folder.path().join("runtime");
            assert!(connect(&place).await.expect("none").is_none());
            let first = Listener::bind(&place).expect("bound");
            std::mem::forget(first);
            let second = Listener::bind(&place).expect("bound again");
            assert!(connect(&place).await.expect("there").is_some());
            drop(second);
            assert!(connect(&place).await.expect("gone").is_none());
            let open = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(&place, open).expect("chmod");
            let error = Listener::bind(&place).expect_err("open").to_string();
            assert!(error.contains("chmod 700"), "{error}");
        }
    }
}

#[cfg(windows)]
mod windows {
    use std::io;
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    use tokio::net::windows::named_pipe::{
        ClientOptions, NamedPipeClient, NamedPipeServer, ServerOptions,
    };
    use tokio::time::{Instant, sleep};

    use super::Error;

    /// `ERROR_PIPE_BUSY`: the daemon is there, and every end that it offers has met a client.
    const BUSY: i32 = 231;

    /// How long a client waits for an end of its own. The daemon offers the next one as soon as it has met a client,
    /// so only many that come at once wait, and each for a turn of the daemon.
    const ITS_TURN: Duration = Duration::from_secs(5);

    /// How often a client looks for it.
    const LOOK: Duration = Duration::from_millis(10);

    /// The daemon's end: the instance that the next client will meet.
    #[derive(Debug)]
    pub(crate) struct Listener {
        next: NamedPipeServer,
        name: String,
    }

    impl Listener {
        /// Listens. The directory, which is the user's own, makes the name.
        pub(crate) fn bind(directory: &Path) -> Result<Self, Error> {
            let name = name(directory);
            let next = ServerOptions::new()
                .first_pipe_instance(true)
                .reject_remote_clients(true)
                .create(&name)
                .map_err(|why| failed(&name, why))?;
            Ok(Self { next, name })
        }

        /// The next client.
        pub(crate) async fn accept(&mut self) -> io::Result<NamedPipeServer> {
            self.next.connect().await?;
            let next = ServerOptions::new()
                .reject_remote_clients(true)
                .create(&self.name)?;
            Ok(std::mem::replace(&mut self.next, next))
        }
    }

    /// Reaches the daemon; `None` where there is none.
    pub(crate) async fn connect(directory: &Path) -> Result<Option<NamedPipeClient>, Error> {
        let name = name(directory);
        let until = Instant::now() + ITS_TURN;
        loop {
            match ClientOptions::new().open(&name) {
                Ok(pipe) => return Ok(Some(pipe)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) if error.raw_os_error() == Some(BUSY) && Instant::now() < until => {
                    sleep(LOOK).await;
                }
                Err(why) => return Err(failed(&name, why)),
            }
        }
    }

    fn name(directory: &Path) -> String {
        let place = directory.to_string_lossy().replace(['\\', ':'], "-");
        format!(r"\\.\pipe\fetch-token{place}")
    }

    fn failed(name: &str, why: io::Error) -> Error {
        Error::Io {
            place: PathBuf::from(name),
            why,
        }
    }

    #[cfg(test)]
    mod tests {
        use super::{Listener, connect};
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

        #[tokio::test]
        async fn the_pipe_is_there_as_long_as_the_daemon() {
            let folder = tempfile::tempdir().expect("a temp directory");
            assert!(connect(folder.path()).await.expect("none").is_none());
            let first = Listener::bind(folder.path()).expect("bound");
            assert!(connect(folder.path()).await.expect("there").is_some());
            drop(first);
            assert!(connect(folder.path()).await.expect("gone").is_none());
            Listener::bind(folder.path()).expect("bound again");
        }

        #[tokio::test]
        async fn many_clients_that_come_at_once_are_all_met() {
            const CLIENTS: u8 = 50;
            let folder = tempfile::tempdir().expect("a temp directory");
            let mut listener = Listener::bind(folder.path()).expect("bound");
            let clients: Vec<_> = (0..CLIENTS)
                .map(|number| {
                    let place = folder.path().to_owned();
                    tokio::spawn(async move {
                        let pipe = connect(&place).await.expect("reached");
                        let mut pipe = pipe.expect("there");
                        pipe.write_u8(number).await.expect("sent");
                        assert_eq!(pipe.read_u8().await.expect("answered"), number);
                    })
                })
                .collect();
            for _ in 0..CLIENTS {
                let mut met = listener.accept().await.expect("met");
                tokio::spawn(async move {
                    let number = met.read_u8().await.expect("heard");
                    met.write_u8(number).await.expect("answered");
                });
            }
            for client in clients {
                client.await.expect("served");
            }
        }
    }
}
