//! A daemon that is killed and started again, whose log is read as events: what became of which mail, and when.

use super::command::Program;
use super::daemon::Daemon;
use jiff::Timestamp;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

/// One daemon after another, with one log.
pub struct Resident {
    program: Program,
    daemon: Option<Daemon>,
    /// What those said that were killed.
    before: String,
}

/// What became of a mail, as the log has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    pub at: Timestamp,
    pub account: String,
    pub uid: u32,
    pub username: Option<String>,
    pub fate: Fate,
}

/// What became of it, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fate {
    /// Announced as new.
    Stored,
    /// Stored before.
    Already,
    /// Found together with a later one.
    Outdone,
    /// Found after a later one.
    Superseded,
    /// Refused for another reason: none of ours may be.
    Refused,
    Pending,
}

/// What a process holds in memory, in KiB.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    pub resident: u64,
    pub peak: u64,
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VmRSS {} KiB, VmHWM {} KiB", self.resident, self.peak)
    }
}

impl Resident {
    /// Starts a daemon that says everything, in JSON, and may run as long as this.
    pub fn start(program: &Program, at_most: Duration) -> Self {
        let mut resident = Self {
            program: program.clone().deadline(at_most),
            daemon: None,
            before: String::new(),
        };
        resident.start_again();
        resident
    }

    /// Starts the next one.
    pub fn start_again(&mut self) {
        assert!(self.daemon.is_none(), "it runs");
        let arguments = ["daemon", "-v", "--log", "json"];
        self.daemon = Some(Daemon::with(&self.program, arguments));
    }

    /// Ends it as a power failure does.
    pub fn kill(&mut self) {
        let daemon = self.daemon.take().expect("it runs");
        self.before.push_str(&daemon.kill());
        // The last line may have been broken off.
        self.before.push('\n');
    }

    /// Ends it as a service manager does.
    #[track_caller]
    pub fn stop(&mut self) {
        let daemon = self.daemon.take().expect("it runs");
        self.before.push_str(&daemon.stop().stderr());
    }

    pub fn daemon(&self) -> &Daemon {
        self.daemon.as_ref().expect("it runs")
    }

    /// Everything said so far.
    pub fn log(&self) -> String {
        let now = self.daemon.as_ref().map(Daemon::log);
        self.before.clone() + &now.unwrap_or_default()
    }

    /// What became of mails so far.
    pub fn events(&self) -> Vec<Event> {
        self.log().lines().filter_map(event).collect()
    }

    /// What it has used of the processor, in the kernel and outside.
    pub fn processor_time(&self) -> Duration {
        // `proc_pid_stat(5)`: utime and stime, in ticks of a hundredth of a second; what comes before ends with a name.
        let file = format!("/proc/{}/stat", self.daemon().pid());
        let stat = std::fs::read_to_string(file).expect("the daemon's times");
        let (_, fields) = stat.rsplit_once(") ").expect("a name");
        let fields = fields.split(' ').skip(11).take(2);
        let ticks: u64 = fields
            .map(|field| field.parse::<u64>().expect("ticks"))
            .sum();
        Duration::from_millis(ticks * 10)
    }

    /// What it holds in memory.
    pub fn memory(&self) -> Memory {
        let file = format!("/proc/{}/status", self.daemon().pid());
        let status = std::fs::read_to_string(file).expect("the daemon's status");
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|rest| rest.split_whitespace().next());
            number.and_then(|number| number.parse().ok()).expect(name)
        };
        Memory {
            resident: kib("VmRSS:"),
            peak: kib("VmHWM:"),
        }
    }
}

fn event(line: &str) -> Option<Event> {
    let line: Value = serde_json::from_str(line).ok()?;
    let text = |name: &str| line[name].as_str();
    let fate = match (text("message")?, text("event"), text("reason")) {
        ("stored", ..) => Fate::Stored,
        ("pending", ..) => Fate::Pending,
        ("refused", _, Some("superseded")) => Fate::Superseded,
        ("refused", ..) => Fate::Refused,
        ("taken in", Some("already"), _) => Fate::Already,
        ("taken in", Some("outdone"), _) => Fate::Outdone,
        _ => return None,
    };
    Some(Event {
        at: text("timestamp")?.parse().ok()?,
        account: text("account")?.to_owned(),
        uid: u32::try_from(line["uid"].as_u64()?).ok()?,
        username: text("username").map(|name| name.trim_matches('"').to_owned()),
        fate,
    })
}

/// How often each of these came.
pub fn tally(fates: impl Iterator<Item = Fate>) -> BTreeMap<Fate, usize> {
    let mut tally = BTreeMap::new();
    for fate in fates {
        *tally.entry(fate).or_default() += 1;
    }
    tally
}
