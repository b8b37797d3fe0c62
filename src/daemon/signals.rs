//! What the daemon is told from outside.

/// What the daemon is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// Read the configuration again.
    #[cfg_attr(
        windows,
        expect(dead_code, reason = "there only `fetch-token reload` asks for it")
    )]
    Reload,
    /// Come to an end.
    End,
}

#[cfg(unix)]
pub(super) use unix::Signals;

#[cfg(unix)]
mod unix {
    use tokio::signal::unix::{Signal as Stream, SignalKind, signal};

    use super::Signal;

    /// SIGHUP, SIGTERM and SIGINT.
    pub(in crate::daemon) struct Signals {
        hangup: Option<Stream>,
        terminate: Option<Stream>,
        interrupt: Option<Stream>,
    }

    impl Signals {
        /// Listens from now on. Without a handler a signal's default action ends the process.
        pub(in crate::daemon) fn listen() -> Self {
            let listen = |kind| signal(kind).ok();
            Self {
                hangup: listen(SignalKind::hangup()),
                terminate: listen(SignalKind::terminate()),
                interrupt: listen(SignalKind::interrupt()),
            }
        }

        /// The next of them.
        pub(in crate::daemon) async fn next(&mut self) -> Signal {
            tokio::select! {
                () = heard(&mut self.hangup) => Signal::Reload,
                () = heard(&mut self.terminate) => Signal::End,
                () = heard(&mut self.interrupt) => Signal::End,
            }
        }
    }

    async fn heard(stream: &mut Option<Stream>) {
        match stream {
            Some(stream) => {
                stream.recv().await;
            }
            None => std::future::pending().await,
        }
    }
}

#[cfg(windows)]
pub(super) use windows::Signals;

#[cfg(windows)]
mod windows {
    use super::Signal;

    /// What a console's programs are told; the configuration is read again by `fetch-token reload` alone.
    pub(in crate::daemon) struct Signals;

    impl Signals {
        pub(in crate::daemon) fn listen() -> Self {
            Self
        }

        pub(in crate::daemon) async fn next(&mut self) -> Signal {
            crate::console::ended().await;
            Signal::End
        }
    }
}
