//! What the daemon is told from outside.

/// What the daemon is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// Read the configuration again.
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

#[cfg(not(unix))]
pub(super) use other::Signals;

#[cfg(not(unix))]
mod other {
    use super::Signal;

    /// Ctrl-C.
    pub(in crate::daemon) struct Signals;

    impl Signals {
        pub(in crate::daemon) fn listen() -> Self {
            Self
        }

        pub(in crate::daemon) async fn next(&mut self) -> Signal {
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
            Signal::End
        }
    }
}
