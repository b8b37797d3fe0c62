//! What a program costs from its start to its end.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{Usage, UsageWho, getrusage};

/// What one run cost: the program's own, and that of all whose end it waited for.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// From before it was started until it had ended.
    pub wall: Duration,
    /// Processor time, its own and the kernel's for it, in microseconds or finer.
    pub processor: Duration,
    /// How many pages of memory it had to ask for, or had copied.
    pub page_faults: u64,
}

impl Run {
    /// Runs it to its end, with no input, and its output thrown away; it must succeed. No other child of this process
    /// may end meanwhile: the system counts those that have ended together.
    pub fn of(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let before = children();
        let begin = Instant::now();
        let status = command.status();
        let wall = begin.elapsed();
        let after = children();
        let status = status.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        assert!(status.success(), "{command:?}: {status}");
        Self {
            wall,
            processor: processor(&after).saturating_sub(processor(&before)),
            page_faults: page_faults(&after) - page_faults(&before),
        }
    }
}

/// Of all children that have ended.
fn children() -> Usage {
    getrusage(UsageWho::RUSAGE_CHILDREN).expect("getrusage(2)")
}

fn processor(usage: &Usage) -> Duration {
    let times = [usage.user_time(), usage.system_time()];
    let microseconds = times.iter().map(|time| {
        let seconds = u64::try_from(time.tv_sec()).expect("no negative time");
        let rest = u64::try_from(time.tv_usec()).expect("no negative time");
        seconds * 1_000_000 + rest
    });
    Duration::from_micros(microseconds.sum())
}

fn page_faults(usage: &Usage) -> u64 {
    let faults = usage.minor_page_faults() + usage.major_page_faults();
    u64::try_from(faults).expect("a count")
}
