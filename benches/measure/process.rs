//! What a running process has used, as Linux counts it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::time::Duration;

/// What a process has used since it was started.
#[derive(Clone, Debug)]
pub struct Usage {
    /// Processor time, its own and the kernel's for it. Counted in hundredths of a second.
    pub processor: Duration,
    /// The same of its children that ended and that it waited for, and of theirs.
    pub processor_of_children: Duration,
    /// Resident memory of its own (`RssAnon`), in octets: without the program's pages, which are read in as needed.
    pub anonymous: u64,
    /// All resident memory at its peak (`VmHWM`), in octets.
    pub peak: u64,
    /// How many times each of its threads waited and was woken, by the threads' numbers. A thread that ends takes its
    /// count along.
    wake_ups: BTreeMap<OsString, u64>,
    pub descriptors: usize,
    pub threads: usize,
}

/// Linux counts processor time in these for every program, whatever the kernel's own clock does (`USER_HZ`).
const TICKS_A_SECOND: u64 = 100;

impl Usage {
    /// Of a process that runs.
    pub fn of(pid: u32) -> Self {
        let folder = format!("/proc/{pid}");
        let read = |name: &str| {
            fs::read_to_string(format!("{folder}/{name}"))
                .unwrap_or_else(|error| panic!("{folder}/{name}: {error}"))
        };
        let status = read("status");
        let kib = |name: &str| 1024 * field(&status, name).unwrap_or(0);
        let stat = read("stat");
        // The name in parentheses may hold anything; the third field follows it (proc(5)).
        let after_name = stat.rsplit_once(')').expect("proc(5)").1;
        let time_of = |first: usize| {
            let two = after_name.split_whitespace().skip(first - 3).take(2);
            let ticks: u64 = two
                .map(|number| number.parse::<u64>().expect("proc(5)"))
                .sum();
            Duration::from_millis(ticks * 1000 / TICKS_A_SECOND)
        };
        let tasks: Vec<_> = fs::read_dir(format!("{folder}/task"))
            .expect("it runs")
            .flatten()
            .collect();
        let wake_ups = tasks.iter().filter_map(|task| {
            let status = fs::read_to_string(task.path().join("status")).ok()?;
            Some((
                task.file_name(),
                field(&status, "voluntary_ctxt_switches:")?,
            ))
        });
        Self {
            // utime and stime, cutime and cstime.
            processor: time_of(14),
            processor_of_children: time_of(16),
            anonymous: kib("RssAnon:"),
            peak: kib("VmHWM:"),
            wake_ups: wake_ups.collect(),
            descriptors: fs::read_dir(format!("{folder}/fd"))
                .expect("it runs")
                .count(),
            threads: tasks.len(),
        }
    }

    /// How many times its threads were woken since then, without those that have ended.
    pub fn wake_ups_since(&self, then: &Self) -> u64 {
        let woken = self.wake_ups.iter().map(|(thread, count)| {
            let before = then.wake_ups.get(thread).copied().unwrap_or(0);
            count.saturating_sub(before)
        });
        woken.sum()
    }
}

fn field(status: &str, name: &str) -> Option<u64> {
    let line = status.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
