//! A mail that comes at the worst moment: right after `arm`, and while IDLE is being set up.
#![cfg(target_os = "linux")]

mod lab;

use lab::{Options, SecretService, Stage, Staged, random_token};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

/// Deliveries of each sort: 100 after `arm`, 100 around the moment IDLE is confirmed.
const EACH: usize = 100;

/// Stages that work side by side; most of the time each waits for Dovecot, which takes half a second to announce.
const STAGES: usize = 4;

/// A username's mail that waits for its rename.
fn staged(stage: &Stage, number: usize) -> (String, String, Staged) {
    let username = format!("sweep-{number}@acme.example");
    let token = random_token();
    let mail = stage.token_mail(&username, &token).bytes();
    let staged = stage.dovecot.inbox(stage.user).stage(&mail);
    (username, token, staged)
}

#[test]
fn two_hundred_of_two_hundred_are_found() {
    let next = AtomicUsize::new(0);
    let found = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..STAGES {
            scope.spawn(|| {
                let stage = Stage::with(&Options::default(), SecretService::start());
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= 2 * EACH {
                        return;
                    }
                    let (username, token) = if number < EACH {
                        after_arm(&stage, number)
                    } else {
                        around_idle(&stage, number)
                    };
                    assert_eq!(stage.stored(&username), Some(token), "{username}");
                    found.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let found = found.into_inner();
    println!("found {found} of {}", 2 * EACH);
    assert_eq!(found, 2 * EACH);
}

/// Delivers 1 ms after `arm` printed and later, in steps of 1 ms; `wait` begins at once, 50 ms or 100 ms later.
fn after_arm(stage: &Stage, number: usize) -> (String, String) {
    let (username, token, mail) = staged(stage, number);
    let cursor = stage.program().run(["arm"]).expect_code(0).stdout();
    let delay = Duration::from_millis(1 + (number as u64 % EACH as u64));
    let delivery = thread::spawn(move || {
        thread::sleep(delay);
        mail.deliver();
    });
    thread::sleep(Duration::from_millis(50 * (number as u64 % 3)));
    stage
        .program()
        .run([
            "wait",
            &username,
            "--timeout",
            "40s",
            "--from",
            cursor.trim(),
        ])
        .expect_code(0);
    delivery.join().expect("delivered");
    (username, token)
}

/// Delivers from 0 to 198 ms after `wait` is started, in steps of 2 ms: connecting, login, EXAMINE and IDLE all lie
/// in that time.
fn around_idle(stage: &Stage, number: usize) -> (String, String) {
    let (username, token, mail) = staged(stage, number);
    let cursor = stage.program().run(["arm"]).expect_code(0).stdout();
    let waiting = stage.program().spawn([
        "wait",
        &username,
        "--timeout",
        "40s",
        "--from",
        cursor.trim(),
    ]);
    thread::sleep(Duration::from_millis(2 * (number as u64 % EACH as u64)));
    mail.deliver();
    waiting.wait().expect_code(0);
    (username, token)
}
