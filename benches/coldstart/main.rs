//! From a process's start to the server's word that it announces new mail: round trips, octets and time, beside what
//! people use instead.

#[path = "../../tests/lab/mod.rs"]
mod lab;
#[path = "../measure/mod.rs"]
mod measure;

mod resumption;
mod start;

use lab::{Ca, Front, Options, SecretService, Stage, other_mail};
use measure::{Report, Summary, Unit};
use start::{Contestant, Cost, Track};
use std::time::Duration;

/// Rounds on loopback, and at a distance, where the round trips are nearly all of the time.
const NEAR: usize = 11;
const FAR: usize = 7;

/// One way of a round trip of 100 ms.
const DISTANCE: Duration = Duration::from_millis(50);

fn main() {
    let options = Options {
        settings: "ssl_min_protocol = TLSv1.3\n".to_owned(),
        ..Options::default()
    };
    let stage = Stage::with(&options, SecretService::start());
    for number in 0..10 {
        stage.dovecot.deliver(stage.user, &other_mail(number));
    }
    let track = Track::new(stage);
    let mut report = Report::new("coldstart");
    report.say(
        "From the start of the process to the server's confirmation of IDLE (`+ idling`), in an inbox with nothing new. \
         Dovecot, TLS 1.3; octets as TCP carries them, the handshake among them; round trips after TCP has connected.",
    );
    let near = rounds(&track, NEAR, Duration::ZERO);
    let far = rounds(&track, FAR, DISTANCE);
    counts(&mut report, &track, &near);
    times(&mut report, &near, &far);
    drop(track);
    resumption::report(&mut report);
    report.write();
}

/// So many starts of each, in rounds that begin with another one each time.
fn rounds(track: &Track, count: usize, delay: Duration) -> Vec<Vec<Cost>> {
    let all = Contestant::ALL;
    let mut costs: Vec<Vec<Cost>> = all.iter().map(|_| Vec::new()).collect();
    // The first start of each reads its files into memory.
    for contestant in all {
        track.time(contestant, delay);
    }
    for round in 0..count {
        for turn in 0..all.len() {
            let number = (round + turn) % all.len();
            costs[number].push(track.time(all[number], delay));
        }
    }
    costs
}

/// What each says and what goes over the wire.
fn counts(report: &mut Report, track: &Track, costs: &[Vec<Cost>]) {
    let rows: Vec<Vec<String>> = Contestant::ALL
        .iter()
        .zip(costs)
        .map(|(contestant, costs)| {
            let figures = |of: fn(&Cost) -> u64| {
                #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
                let values = costs.iter().map(|cost| of(cost) as f64);
                Summary::of(values)
            };
            vec![
                format!("{}: {}", contestant.name(), commands(track, *contestant)),
                figures(|cost| u64::from(cost.carried.round_trips)).show(Unit::Count),
                figures(|cost| cost.carried.from_client).show(Unit::Octets),
                figures(|cost| cost.carried.from_server).show(Unit::Octets),
            ]
        })
        .collect();
    report.table(
        &["start, and its commands", "round trips", "sent", "received"],
        &rows,
    );
}

/// The words of the commands of a start, seen where TLS ends.
fn commands(track: &Track, contestant: Contestant) -> String {
    let plain = track.stage().dovecot.imap_port();
    let front = Front::start(plain, &Ca::shared().localhost, &[]);
    track.reach(front.port());
    let running = track.start(contestant, front.port());
    lab::eventually(
        "IDLE",
        Duration::from_secs(10),
        || {
            let said = front.conversations().pop()?.client_lines();
            said.last()?.contains("IDLE").then_some(())
        },
        || format!("{:?}", front.conversations()),
    );
    drop(running);
    let conversations = front.conversations();
    let said = conversations.last().expect("a connection").client_lines();
    let words: Vec<&str> = said
        .iter()
        .filter_map(|line| line.split(' ').nth(1))
        .collect();
    words.join(", ")
}

fn times(report: &mut Report, near: &[Vec<Cost>], far: &[Vec<Cost>]) {
    let summary = |costs: &[Cost]| Summary::of_durations(costs.iter().map(|cost| cost.took));
    let (best_near, best_far) = (summary(&near[0]), summary(&far[0]));
    let rows: Vec<Vec<String>> = Contestant::ALL
        .iter()
        .zip(near.iter().zip(far))
        .map(|(contestant, (near, far))| {
            let (near, far) = (summary(near), summary(far));
            vec![
                contestant.name().to_owned(),
                near.show(Unit::Seconds),
                Unit::Times.show(near.median / best_near.median),
                far.show(Unit::Seconds),
                Unit::Times.show(far.median / best_far.median),
            ]
        })
        .collect();
    report.table(
        &["start", "loopback", "×", "100 ms a round trip", "×"],
        &rows,
    );
}
