//! The short commands as whole processes, beside what people read a keychain with.
#![cfg(target_os = "linux")]

#[path = "../../tests/lab/mod.rs"]
mod lab;
#[path = "../measure/mod.rs"]
mod measure;

mod contestant;

use std::time::Duration;

use contestant::Contestant;
use lab::{Desk, Provider, USERNAME, random_token};
use measure::{Report, Run, Summary, Unit, percentile};

/// How many figures each table's ratio is made of.
const BATCHES: usize = 5;

/// How often each program runs in each: 150 times in all, in about a minute.
const ROUNDS: usize = 30;

/// Which of its peers `get` is held against: the one whose duties are the same, in C.
const PEER: &str = "`secret-tool lookup`";

/// At most so many times as long as that.
const GOAL: f64 = 1.3;

fn main() {
    let desk = Desk::of(Provider::GnomeKeyring);
    let installation = desk.installation();
    let token = random_token();
    installation.take(USERNAME, &token, 1).expect_code(0);
    let contestants = contestant::all(&installation, &token);
    let traces: Vec<_> = contestants.iter().map(Contestant::trace).collect();
    let runs = measure(&contestants);

    let mut report = Report::new("cli");
    report.say(format!(
        "Whole processes, from before their start until after their end, {} times each in turn, on GNOME Keyring: median (min \
         – max). Processor time is the process's own and the kernel's for it. System calls were counted by `strace -f` once, and \
         messages are those that it sends to the bus.",
        BATCHES * ROUNDS
    ));
    let rows: Vec<_> = contestants
        .iter()
        .zip(&runs)
        .zip(&traces)
        .map(|((contestant, runs), trace)| {
            vec![
                contestant.name.to_owned(),
                of(runs, |run| run.wall),
                of(runs, |run| run.processor),
                faults(runs),
                trace.calls().len().to_string(),
                trace.bus_calls().len().to_string(),
                (1 + trace.started()).to_string(),
            ]
        })
        .collect();
    let columns = [
        "program",
        "time",
        "processor time",
        "page faults",
        "system calls",
        "messages",
        "threads",
    ];
    report.table(&columns, &rows);

    let peer = contestants.iter().position(|one| one.name == PEER);
    let peer = &runs[peer.expect("the peer")];
    report.say(format!(
        "As many times as {PEER}: the medians of {BATCHES} batches of {ROUNDS} runs each."
    ));
    let ratio = |runs: &[Run], what: fn(&Run) -> Duration| {
        let batches = runs.chunks(ROUNDS).zip(peer.chunks(ROUNDS));
        Summary::of(batches.map(|(ours, theirs)| median(ours, what) / median(theirs, what)))
    };
    let rows: Vec<_> = contestants
        .iter()
        .zip(&runs)
        .map(|(contestant, runs)| {
            vec![
                contestant.name.to_owned(),
                ratio(runs, |run| run.wall).show(Unit::Times),
                ratio(runs, |run| run.processor).show(Unit::Times),
            ]
        })
        .collect();
    report.table(&["program", "time", "processor time"], &rows);

    let get = ratio(&runs[0], |run| run.wall).median;
    report.say(format!(
        "Goal: `fetch-token get` at most {GOAL} times as long as {PEER}. {}: {}.",
        if get <= GOAL {
            "It holds"
        } else {
            "It falls short"
        },
        Unit::Times.show(get)
    ));
    report.write();
}

/// Runs all of them in turn, each round beginning with another one; gives each one's runs in their order.
fn measure(contestants: &[Contestant]) -> Vec<Vec<Run>> {
    let mut runs = vec![Vec::new(); contestants.len()];
    for round in 0..BATCHES * ROUNDS {
        for place in 0..contestants.len() {
            let turn = (round + place) % contestants.len();
            runs[turn].push(Run::of(&mut contestants[turn].command()));
        }
    }
    runs
}

fn of(runs: &[Run], what: fn(&Run) -> Duration) -> String {
    Summary::of_durations(runs.iter().map(what)).show(Unit::Seconds)
}

fn faults(runs: &[Run]) -> String {
    // Some hundreds.
    #[allow(clippy::cast_precision_loss)]
    let faults = runs.iter().map(|run| run.page_faults as f64);
    Summary::of(faults).show(Unit::Count)
}

fn median(runs: &[Run], what: fn(&Run) -> Duration) -> f64 {
    let values: Vec<_> = runs.iter().map(|run| what(run).as_secs_f64()).collect();
    percentile(&values, 50.0)
}
