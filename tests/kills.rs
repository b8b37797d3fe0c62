//! A daemon that is killed at random moments, again and again, while token mails stream in: none is lost, and none is
//! announced as new twice.
#![cfg(target_os = "linux")]

mod lab;

use lab::{Deliveries, INTEGRATION, Random, Resident, Stage, eventually, kept};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const KILLS: usize = if cfg!(feature = "long-tests") {
    200
} else {
    15
};

/// How long a daemon lives. It takes about a tenth of a second to see what came before; what comes while it watches is
/// announced by Dovecot after half a second.
const LIFE: Range<Duration> = Duration::from_millis(5)..Duration::from_millis(1_600);

const BETWEEN_MAILS: Range<Duration> = Duration::from_millis(20)..Duration::from_millis(300);

/// When all must be stored, once a daemon is left alone.
const SOON: Duration = Duration::from_secs(30);

#[test]
fn a_daemon_killed_at_random_moments_under_a_stream_of_mails_loses_none() {
    let stage = Stage::new();
    let mut random = Random::new();
    let mut resident = Resident::start(&stage.program(), Duration::from_mins(20));
    let begin = Instant::now();
    let is_over = AtomicBool::new(false);
    let mut chance = random.split();
    let deliveries = thread::scope(|scope| {
        let stream = scope.spawn(|| {
            let mut deliveries = Deliveries::default();
            while !is_over.load(Ordering::Relaxed) {
                let username = format!("etl-{}@acme.example", chance.below(4));
                deliveries.deliver(&stage.dovecot, INTEGRATION, &username);
                thread::sleep(chance.within(&BETWEEN_MAILS));
            }
            deliveries
        });
        for _ in 0..KILLS {
            thread::sleep(random.within(&LIFE));
            resident.kill();
            resident.start_again();
        }
        is_over.store(true, Ordering::Relaxed);
        stream.join().expect("the stream")
    });
    println!("{KILLS} kills in {:.1?}", begin.elapsed());
    let quiet = Instant::now();
    eventually(
        "all tokens",
        SOON,
        || (deliveries.open(&resident.events()) == 0).then_some(()),
        || resident.log(),
    );
    assert_eq!(kept(&stage.keychain), deliveries.newest());
    println!("all stored {:.1?} after the last", quiet.elapsed());
    resident.stop();
    deliveries.judge(&resident.events(), &stage.keychain);
}

/// Only a debug build ends where it is told to.
#[test]
#[cfg(debug_assertions)]
fn a_daemon_that_ends_between_any_two_steps_of_storing_stores_in_its_next_life_and_announces_once()
{
    use lab::Daemon;

    let stage = Stage::new();
    for place in ["judged", "intent", "kept", "committed"] {
        let mut dying = Daemon::launch(&stage.program().env("FETCH_TOKEN_CRASH_AT", place));
        dying.wait_for(": watching", 1);
        let username = format!("{place}@acme.example");
        let token = stage.deliver_token(&username);
        eventually(
            place,
            SOON,
            || (!dying.is_running()).then_some(()),
            || String::from("it goes on"),
        );
        let before = dying.log();

        let daemon = Daemon::start(&stage);
        let announced = || {
            let said = before.clone() + &daemon.log();
            said.matches(&format!(": stored username={username:?}"))
                .count()
        };
        if place == "committed" {
            // Whoever looks finds it stored; that the first could not say so any more is what hooks are for.
            assert_eq!((announced(), stage.stored(&username)), (0, Some(token)));
        } else {
            daemon.wait_for(": stored", 1);
            assert_eq!((announced(), stage.stored(&username)), (1, Some(token)));
        }
        daemon.stop();
    }
}
