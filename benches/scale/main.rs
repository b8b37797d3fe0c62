//! What one daemon costs that watches many mailboxes: memory, descriptors, processor time while nothing happens, logins
//! at the start and after the server was gone, and how soon a mail is stored.
//!
//! `cargo bench --bench scale -- --silence 1m` is silent for one minute instead of six.

mod daemon;
#[path = "../../tests/lab/mod.rs"]
mod lab;
#[path = "../measure/mod.rs"]
mod measure;
mod server;

use daemon::{SETTLED, Server, Site, Watcher, user};
use lab::Random;
use measure::{Axis, Plot, RUNS, Report, Scale, Summary, Unit, Usage, percentile};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use server::Seen;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Most accounts of the table; the others are measured while that daemon has nothing to do.
const MOST: usize = 4_000;

/// The others.
const FEWER: [usize; 3] = [1, 100, 1_000];

/// Mailboxes of the process with a thread for each.
const THREADS: usize = 100;

/// Mails to mailboxes of chance, each run.
const MAILS: usize = 20;

/// What an account may take beside the first, in octets.
const GOAL: f64 = 64.0 * 1024.0;

/// How long nothing happens, unless the command line says another time. Every mailbox is searched once in five minutes.
const SILENCE: Duration = Duration::from_mins(6);

/// A part of the silence, measured by itself.
const PART: Duration = Duration::from_mins(1);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    raise_limit();
    if let [first, rest @ ..] = &arguments[..]
        && first == server::SERVE
    {
        server::serve(rest);
        return;
    }
    let silence = arguments
        .iter()
        .position(|argument| argument == "--silence")
        .map_or(SILENCE, |place| {
            let time = arguments
                .get(place + 1)
                .map(|time| humantime::parse_duration(time));
            time.expect("--silence TIME").expect("a time such as 1m")
        });
    let mut random = Random::new();
    let mut runs: Vec<Runs> = FEWER.into_iter().chain([MOST]).map(Runs::of).collect();
    let mut threads = Vec::new();

    // The first of the largest is silent while all others are measured: they share the machine, not the processor time.
    let site = Site::new();
    let (mut server, watcher, mut run) = start(&site, MOST);
    let quiet = Quiet::begin(&watcher, silence);
    for round in 0..RUNS {
        let elsewhere = Site::new();
        for turn in 0..=FEWER.len() {
            match FEWER.get((round + turn) % (FEWER.len() + 1)) {
                Some(&accounts) => measured(&mut runs, &elsewhere, accounts, &mut random),
                None => threads.push(by_threads(&elsewhere)),
            }
        }
    }
    while runs[FEWER.len()].0.len() + 1 < RUNS {
        measured(&mut runs, &Site::new(), MOST, &mut random);
    }
    let quiet = quiet.end();
    // Searches of the last mailboxes may still go on.
    thread::sleep(SETTLED);
    run.lose(&mut random, &mut server, &watcher, &site);
    runs[FEWER.len()].0.push(run);
    report(&runs, &threads, &quiet);
}

/// As many connections as the system lets a process have, for the server.
fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).expect("the hard limit is allowed");
}

/// One daemon's life.
struct Run {
    accounts: usize,
    armed: Duration,
    armed_again: Duration,
    usage: Usage,
    at_start: Seen,
    after_loss: Seen,
    /// From the announcement to the line that says stored.
    latencies: Vec<Duration>,
}

/// Those with the same number of accounts.
struct Runs(Vec<Run>, usize);

impl Runs {
    fn of(accounts: usize) -> Self {
        Self(Vec::new(), accounts)
    }

    fn summary(&self, of: impl Fn(&Run) -> f64) -> Summary {
        Summary::of(self.0.iter().map(of))
    }

    fn latencies(&self) -> Vec<f64> {
        let all = self.0.iter().flat_map(|run| &run.latencies);
        all.map(Duration::as_secs_f64).collect()
    }
}

/// Starts a server and a daemon, and measures up to where it has come to rest.
fn start(site: &Site, accounts: usize) -> (Server, Watcher, Run) {
    let mut server = site.serve(0);
    let watcher = site.watch(&server, accounts);
    let armed = watcher.armed(accounts);
    let at_start = server.seen();
    assert_eq!(at_start.logins, accounts, "{at_start:?}");
    thread::sleep(SETTLED);
    let run = Run {
        accounts,
        armed,
        armed_again: Duration::ZERO,
        usage: watcher.usage(),
        at_start,
        after_loss: Seen::default(),
        latencies: Vec::new(),
    };
    (server, watcher, run)
}

impl Run {
    /// Delivers mails, and then takes the server away and puts another in its place.
    fn lose(&mut self, random: &mut Random, server: &mut Server, watcher: &Watcher, site: &Site) {
        for number in 0..MAILS {
            let mailbox = random.below(self.accounts);
            let announced = server.deliver(mailbox, &format!("etl{number}@acme.example"));
            let stored = watcher.wait_for(&format!("{}: stored", user(mailbox)), 1);
            self.latencies
                .push(stored.duration_since(announced).unwrap_or_default());
        }
        let port = server.port;
        let lost = Instant::now();
        server.stop();
        *server = site.serve(port);
        watcher.wait_for("watching", self.accounts);
        self.armed_again = lost.elapsed();
        self.after_loss = server.seen();
        assert_eq!(self.after_loss.open, self.accounts, "{:?}", self.after_loss);
    }
}

fn measured(runs: &mut [Runs], site: &Site, accounts: usize, random: &mut Random) {
    let (mut server, watcher, mut run) = start(site, accounts);
    run.lose(random, &mut server, &watcher, site);
    let place = runs.iter().position(|runs| runs.1 == accounts);
    runs[place.expect("a number of the table")].0.push(run);
}

/// Own memory of a Python process with a thread for each mailbox, and that of one with a single one.
fn by_threads(site: &Site) -> (f64, f64) {
    let [one, all] = [1, THREADS].map(|mailboxes| {
        let server = site.serve(0);
        let watcher = site.watch_by_threads(&server, mailboxes);
        watcher.armed(mailboxes);
        octets(&watcher.usage())
    });
    (one, all)
}

/// What a daemon does while nothing happens, each [`PART`] by itself.
struct Quiet(JoinHandle<Vec<Part>>);

struct Part {
    processor: Duration,
    wake_ups: u64,
}

impl Quiet {
    fn begin(watcher: &Watcher, silence: Duration) -> Self {
        let pid = watcher.pid();
        let parts = silence.as_secs().div_ceil(PART.as_secs());
        Self(thread::spawn(move || {
            let mut before = Usage::of(pid);
            let part = |_| {
                thread::sleep(PART);
                let now = Usage::of(pid);
                let part = Part {
                    processor: now.processor.saturating_sub(before.processor),
                    wake_ups: now.wake_ups_since(&before),
                };
                before = now;
                part
            };
            (0..parts).map(part).collect()
        }))
    }

    fn end(self) -> Vec<Part> {
        self.0.join().expect("it is measured")
    }
}

#[allow(clippy::cast_precision_loss)]
fn octets(usage: &Usage) -> f64 {
    usage.anonymous as f64
}

#[allow(clippy::cast_precision_loss)]
fn count(number: usize) -> f64 {
    number as f64
}

fn report(runs: &[Runs], threads: &[(f64, f64)], quiet: &[Part]) {
    let mut report = Report::new("scale");
    let last = &runs[FEWER.len()];
    let first = runs[0].summary(|run| octets(&run.usage)).median;
    let each = |run: &Run| (octets(&run.usage) - first) / count(run.accounts - 1);
    report.say(format!(
        "One daemon, its accounts at one server of the bench's own, TLS 1.3 with ECDSA P-256, passwords by a command, tokens \
         in GNOME Keyring. {RUNS} runs of each number; a cell shows the median and, in brackets, the least and the greatest."
    ));
    let memory = runs.iter().map(|runs| {
        let beyond = if runs.1 == 1 {
            "–".to_owned()
        } else {
            runs.summary(each).show(Unit::Octets)
        };
        vec![
            runs.1.to_string(),
            runs.summary(|run| octets(&run.usage)).show(Unit::Octets),
            beyond,
            runs.summary(|run| count(run.usage.descriptors))
                .show(Unit::Count),
        ]
    });
    report.table(
        &[
            "Accounts, idling",
            "Own memory",
            "An account beyond the first",
            "Descriptors",
        ],
        &memory.collect::<Vec<_>>(),
    );
    let python: Vec<f64> = threads
        .iter()
        .map(|(one, all)| (all - one) / count(THREADS - 1))
        .collect();
    let python = Summary::of(python);
    let ours = last.summary(each);
    report.say(format!(
        "Goal: at most {} an account beyond the first. Own memory is what no other process shares (RssAnon), {} s after the \
         last account was watched. A Python process with a thread for each of {THREADS} mailboxes (imap_tools, IDLE, one TLS context \
         for all) takes {} each beyond the first: {} times as much, and by the same line {} for {MOST}, which is an \
         extrapolation.",
        Unit::Octets.show(GOAL),
        SETTLED.as_secs(),
        python.show(Unit::Octets),
        Unit::Count.show(python.median / ours.median),
        Unit::Octets.show(python.median * count(MOST)),
    ));
    let line = |name: &str, each: f64| {
        let points = runs
            .iter()
            .map(|runs| (count(runs.1), first + each * count(runs.1 - 1)));
        (name.to_owned(), points.collect::<Vec<_>>())
    };
    let measured = runs
        .iter()
        .map(|runs| (count(runs.1), runs.summary(|run| octets(&run.usage)).median));
    let accounts = Axis {
        name: "accounts",
        scale: Scale::Logarithmic,
        unit: Unit::Count,
    };
    report.plot(
        "memory",
        &Plot {
            title: "Own memory of a process that watches so many mailboxes",
            x: accounts,
            y: Axis {
                name: "octets",
                scale: Scale::Logarithmic,
                unit: Unit::Octets,
            },
            lines: vec![
                ("fetch-token daemon".to_owned(), measured.collect()),
                line("goal: 64 KiB each", GOAL),
                line("Python, a thread each (from 100)", python.median),
            ],
        },
    );
    logins(&mut report, runs);
    latency(&mut report, runs, accounts);
    say_of_silence(&mut report, quiet);
    report.write();
}

#[allow(clippy::cast_precision_loss)]
fn say_of_silence(report: &mut Report, quiet: &[Part]) {
    let processor: Duration = quiet.iter().map(|part| part.processor).sum();
    let silent = PART * u32::try_from(quiet.len()).expect("some minutes");
    report.say(format!(
        "While nothing happened for {} minutes, the daemon with {MOST} accounts used {} of processor time each minute, {} in \
         all ({:.3} % of one core), and was woken {} times each minute. Clocks are compared every 30 s, by all accounts at \
         once; each account opens and searches its folder every 5 minutes{}.",
        quiet.len(),
        Summary::of(quiet.iter().map(|part| part.processor.as_secs_f64())).show(Unit::Seconds),
        Unit::Seconds.show(processor.as_secs_f64()),
        100.0 * processor.as_secs_f64() / silent.as_secs_f64(),
        Summary::of(quiet.iter().map(|part| part.wake_ups as f64)).show(Unit::Count),
        if silent > Duration::from_mins(5) {
            ", and did so in the busiest of these minutes"
        } else {
            ", which this time was too short for"
        },
    ));
}

fn logins(report: &mut Report, runs: &[Runs]) {
    let rows = runs.iter().map(|runs| {
        vec![
            runs.1.to_string(),
            runs.summary(|run| run.armed.as_secs_f64())
                .show(Unit::Seconds),
            runs.summary(|run| run.armed_again.as_secs_f64())
                .show(Unit::Seconds),
            runs.summary(|run| count(run.at_start.most_logins_a_second))
                .show(Unit::Count),
            runs.summary(|run| count(run.after_loss.most_logins_a_second))
                .show(Unit::Count),
            runs.summary(|run| count(run.at_start.most_entering.max(run.after_loss.most_entering)))
                .show(Unit::Count),
        ]
    });
    report.table(
        &[
            "Accounts",
            "Start → all watched",
            "Server restarted → all watched",
            "Logins in the busiest second, at the start",
            "after the restart",
            "Connections at once that are not logged in",
        ],
        &rows.collect::<Vec<_>>(),
    );
    report.say(
        "At most 32 accounts of a server log in at once, so a server meets no storm; on loopback the rate is what both \
         processes' handshakes let through, elsewhere 32 per duration of a login.",
    );
}

fn latency(report: &mut Report, runs: &[Runs], accounts: Axis) {
    let rows = runs.iter().map(|runs| {
        let all = runs.latencies();
        vec![
            runs.1.to_string(),
            all.len().to_string(),
            Summary::of(all.iter().copied()).show(Unit::Seconds),
            Unit::Seconds.show(percentile(&all, 99.0)),
        ]
    });
    report.table(
        &[
            "Accounts",
            "Mails",
            "`EXISTS` on the wire → stored and read back",
            "99th percentile",
        ],
        &rows.collect::<Vec<_>>(),
    );
    let (few, many) = (&runs[0], &runs[FEWER.len()]);
    let ratio = percentile(&many.latencies(), 50.0) / percentile(&few.latencies(), 50.0);
    report.say(format!(
        "Mails to mailboxes of chance, one after the other. With {MOST} accounts the median is {} that with one.",
        Unit::Times.show(ratio)
    ));
    let line = |name: &str, percent: f64| {
        let points = runs
            .iter()
            .map(|runs| (count(runs.1), percentile(&runs.latencies(), percent)));
        (name.to_owned(), points.collect())
    };
    report.plot(
        "latency",
        &Plot {
            title: "From EXISTS to stored, by the number of accounts",
            x: accounts,
            y: Axis {
                name: "time",
                scale: Scale::Linear,
                unit: Unit::Seconds,
            },
            lines: vec![line("median", 50.0), line("99th percentile", 99.0)],
        },
    );
}
