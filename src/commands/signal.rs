//! What ends us from outside.

#[cfg(unix)]
use std::io::{BufRead, BufReader};

/// Waits for Ctrl-C, a hangup or a request to terminate; gives the signal's number. What was ignored when the program
/// began stays so: `nohup` and shells without job control start what is to outlive them like this, and `exec` hands
/// it on.
#[cfg(unix)]
pub(super) async fn ended() -> i32 {
    use tokio::signal::unix::{SignalKind, signal};

    let ignored = ignored();
    let listen = |kind: SignalKind| async move {
        if ignored.contains(kind.as_raw_value()) {
            return std::future::pending().await;
        }
        match signal(kind) {
            Ok(mut stream) => {
                stream.recv().await;
            }
            // Without a handler the signal's default action ends the process.
            Err(_) => std::future::pending().await,
        }
        kind.as_raw_value()
    };
    tokio::select! {
        number = listen(SignalKind::interrupt()) => number,
        number = listen(SignalKind::terminate()) => number,
        number = listen(SignalKind::hangup()) => number,
    }
}

/// Waits for what Windows tells the programs of a console. Ctrl-C has SIGINT's number, all else SIGTERM's.
#[cfg(windows)]
pub(super) async fn ended() -> i32 {
    crate::console::ended().await
}

/// Signals, each a bit: the lowest is signal 1's.
#[cfg(unix)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Mask(u64);

#[cfg(unix)]
impl Mask {
    fn contains(self, number: i32) -> bool {
        let bit = u32::try_from(number - 1).ok();
        bit.and_then(|bit| self.0.checked_shr(bit))
            .is_some_and(|mask| mask & 1 == 1)
    }
}

/// The signals that are ignored now. Only Linux says so without a call that the compiler cannot vouch for: elsewhere none.
#[cfg(unix)]
fn ignored() -> Mask {
    if !cfg!(target_os = "linux") {
        return Mask::default();
    }
    let status = std::fs::File::open("/proc/self/status");
    // Read no further than needed: `get` counts its calls.
    let ignored = status
        .ok()
        .and_then(|status| ignored_by(BufReader::new(status)));
    ignored.unwrap_or_default()
}

/// What a process's status (`proc_pid_status(5)`) says that it ignores.
#[cfg(unix)]
fn ignored_by(status: impl BufRead) -> Option<Mask> {
    let mut lines = status.split(b'\n').map_while(Result::ok);
    let mask = lines.find_map(|line| line.strip_prefix(b"SigIgn:").map(<[u8]>::to_vec))?;
    let mask = std::str::from_utf8(&mask).ok()?;
    u64::from_str_radix(mask.trim(), 16).ok().map(Mask)
}

#[cfg(all(test, unix))]
mod tests {
    use super::ignored_by;

    #[test]
    fn a_status_names_the_ignored_signals_by_bits() {
        let status = b"Name:\t\xff\nSigBlk:\t0000000000000002\nSigIgn:\t8000000000001007\n";
        let mask = ignored_by(&status[..]).expect("a mask");
        let ignored: Vec<_> = (-1..=65).filter(|&number| mask.contains(number)).collect();
        assert_eq!(ignored, [1, 2, 3, 13, 64]);
        for silent in ["", "SigIgn:", "SigIgn:\tnone\n"] {
            assert_eq!(ignored_by(silent.as_bytes()), None, "{silent:?}");
        }
    }
}
