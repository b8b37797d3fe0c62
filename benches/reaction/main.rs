//! From the moment the server announces a mail to the moment its secret can be read back: fetch-token beside the floor
//! and what people use instead, on loopback and on a line with a round trip of 100 ms.
//!
//! All watch at the same time, each its own mailbox on one server, and store into one keychain. Deliveries are so far
//! apart that one is done when the next begins.

// Linux is where the lab runs, and where a process tells what it used.
#![cfg(target_os = "linux")]

mod contestant;
mod figures;
mod floor;
#[path = "../../tests/lab/mod.rs"]
mod lab;
mod link;
#[path = "../measure/mod.rs"]
mod measure;
mod read_back;

use std::time::{Duration, Instant};

use contestant::{ALL, Contestant, Kind};
use figures::{Batch, Reaction, Result};
use lab::{Dovecot, Options, SecretService, TokenMail, random_token};
use measure::{Report, Usage};
use read_back::ReadBack;

/// A figure is made of so many batches, of so many rounds each; in a round each gets a mail.
const BATCHES: usize = 5;
const ROUNDS: usize = 40;

/// From one delivery to the next: longer than most of those that idle take on loopback, and short enough that 200 rounds
/// on both lines take six minutes.
const APART: Duration = Duration::from_millis(105);

/// Rounds before what is counted: processes read in their pages, and keychains make their items.
const WARM_UP: usize = 3;

/// How long a mail may take. A poller looks every five seconds.
const LONGEST: Duration = Duration::from_secs(20);

/// How long an octet is on its way on the long line: half a round trip from one continent to another.
const FAR: Duration = Duration::from_millis(50);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, arguments @ ..] = &arguments[..]
        && word == floor::WORD
    {
        floor::run(arguments);
        return;
    }
    let mut report = Report::new("reaction");
    report.say(figures::INTRODUCTION);
    for (slug, title, delay) in [
        ("loopback", "On loopback", Duration::ZERO),
        ("far", "With a round trip of 100 ms", FAR),
    ] {
        figures::tell(&mut report, slug, title, &run(delay));
    }
    report.write();
}

/// A mail on its way.
struct Pending {
    token: String,
    delivered: Instant,
    batch: Option<usize>,
}

/// One of those that watch, and what was found out about it.
struct Lane {
    contestant: Contestant,
    pending: Option<Pending>,
    result: Result,
    used: Usage,
}

fn run(delay: Duration) -> Vec<Result> {
    let dovecot = Dovecot::start(&Options {
        users: ALL.map(Kind::user).to_vec(),
        // No `* OK Still here` beside what is counted.
        settings: "imap_idle_notify_interval = 29 mins\n".to_owned(),
        ..Options::default()
    });
    let keychain = SecretService::start();
    let read_back = ReadBack::start(&bus(&keychain));
    let mut lanes: Vec<Lane> = ALL
        .into_iter()
        .map(|kind| {
            let contestant = Contestant::start(kind, &dovecot, &keychain, delay);
            Lane {
                used: Usage::of(contestant.pid()),
                contestant,
                pending: None,
                result: Result::new(kind),
            }
        })
        .collect();
    let count = lanes.len();
    for round in 0..WARM_UP {
        for lane in &mut lanes {
            lane.settle(&read_back, &keychain);
            lane.deliver(&dovecot, round, None);
            std::thread::sleep(APART);
        }
    }
    for batch in 0..BATCHES {
        for lane in &mut lanes {
            lane.settle(&read_back, &keychain);
            lane.used = Usage::of(lane.contestant.pid());
        }
        for round in batch * ROUNDS..(batch + 1) * ROUNDS {
            for place in 0..count {
                let lane = &mut lanes[(round + place) % count];
                if lane.contestant.kind.takes_part(round) {
                    lane.settle(&read_back, &keychain);
                    lane.deliver(&dovecot, round, Some(batch));
                }
                std::thread::sleep(APART);
            }
        }
        for lane in &mut lanes {
            lane.settle(&read_back, &keychain);
            lane.count(batch);
        }
    }
    lanes.into_iter().map(|lane| lane.result).collect()
}

impl Lane {
    fn deliver(&mut self, dovecot: &Dovecot, round: usize, batch: Option<usize>) {
        let contestant = &self.contestant;
        let user = contestant.kind.user();
        let token = random_token();
        let mail = TokenMail::english(contestant.username(round), &token)
            .to(user.name)
            .bytes();
        contestant.link.forget();
        let delivered = Instant::now();
        dovecot.deliver(user, &mail);
        self.pending = Some(Pending {
            token,
            delivered,
            batch,
        });
    }

    /// Waits for the end of what is on its way, and until the next mail can come.
    fn settle(&mut self, read_back: &ReadBack, keychain: &SecretService) {
        let Some(Pending {
            token,
            delivered,
            batch,
        }) = self.pending.take()
        else {
            return;
        };
        let link = &self.contestant.link;
        let stored = read_back.when(&token, LONGEST);
        let (Some(stored), Some(fetched)) = (stored, link.fetched(&token)) else {
            let Some(batch) = batch.filter(|_| self.contestant.kind.is_peer()) else {
                panic!("not stored: {}", self.contestant.explain(delivered));
            };
            self.result.batches[batch].missed += 1;
            self.start_again(keychain);
            return;
        };
        if !self.contestant.rests_within(LONGEST) {
            assert!(
                self.contestant.kind.is_peer(),
                "does not go on: {}",
                self.contestant.explain(delivered)
            );
            self.result.stuck += 1;
            self.start_again(keychain);
        }
        if let Some(batch) = batch {
            let begin = fetched.announced.unwrap_or(delivered);
            self.result.batches[batch].reactions.push(Reaction {
                time: stored.saturating_duration_since(begin),
                round_trips: fetched.round_trips,
                octets: fetched.octets,
                is_announced: fetched.announced.is_some(),
            });
        }
    }

    fn start_again(&mut self, keychain: &SecretService) {
        self.contestant.start_again(keychain);
        self.used = Usage::of(self.contestant.pid());
    }

    /// Counts what the batch cost.
    fn count(&mut self, batch: usize) {
        let used = Usage::of(self.contestant.pid());
        let processor = |usage: &Usage| usage.processor + usage.processor_of_children;
        let Batch {
            processor: spent,
            peak,
            ..
        } = &mut self.result.batches[batch];
        *spent = processor(&used).saturating_sub(processor(&self.used));
        *peak = used.peak;
        self.used = used;
    }
}

/// The address of the keychain's bus.
fn bus(keychain: &SecretService) -> String {
    let env = keychain.env();
    let (_, address) = env
        .iter()
        .find(|(name, _)| name == "DBUS_SESSION_BUS_ADDRESS")
        .expect("a bus");
    address.to_str().expect("UTF-8").to_owned()
}
