//! What the service manager hears (`sd_notify(3)`), where it asks for it: elsewhere nothing is said.

#[cfg(unix)]
pub(super) use unix::{ready, reloading, status, stopping, turning, watchdog};

#[cfg(unix)]
mod unix {
    use std::time::Duration;

    use sd_notify::NotifyState;

    /// Every account has had its first attempt, or the configuration was read again.
    pub(in crate::daemon) fn ready(sentence: &str) {
        say(&[NotifyState::Ready, NotifyState::Status(sentence)]);
    }

    /// How things stand.
    pub(in crate::daemon) fn status(sentence: &str) {
        say(&[NotifyState::Status(sentence)]);
    }

    /// The configuration is read again. The time lets the service manager see that this answers its signal.
    pub(in crate::daemon) fn reloading() {
        let time = NotifyState::monotonic_usec_now();
        say(&time.map_or_else(
            |_| vec![NotifyState::Reloading],
            |time| vec![NotifyState::Reloading, time],
        ));
    }

    /// The end begins.
    pub(in crate::daemon) fn stopping() {
        say(&[NotifyState::Stopping]);
    }

    /// The supervisor still turns.
    pub(in crate::daemon) fn turning() {
        say(&[NotifyState::Watchdog]);
    }

    /// How often [`turning`] is to be said at least.
    pub(in crate::daemon) fn watchdog() -> Option<Duration> {
        // Half of the time after which we are taken for hung, as sd_watchdog_enabled(3) recommends.
        sd_notify::watchdog_enabled().map(|limit| limit / 2)
    }

    fn say(states: &[NotifyState<'_>]) {
        if let Err(error) = sd_notify::notify(states) {
            tracing::debug!(%error, "the service manager does not listen");
        }
    }
}

#[cfg(not(unix))]
pub(super) use other::{ready, reloading, status, stopping, turning, watchdog};

/// There is nobody to say it to.
#[cfg(not(unix))]
mod other {
    use std::time::Duration;

    pub(in crate::daemon) fn ready(_: &str) {}
    pub(in crate::daemon) fn status(_: &str) {}
    pub(in crate::daemon) fn reloading() {}
    pub(in crate::daemon) fn stopping() {}
    pub(in crate::daemon) fn turning() {}
    pub(in crate::daemon) fn watchdog() -> Option<Duration> {
        None
    }
}
