//! Servers that announce nothing, or whose IDLE does not work: they are asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::world::World;
use crate::imap::condition::State;
use crate::imap::{Start, Temper};

#[tokio::test(start_paused = true)]
async fn an_idle_that_ends_the_connection_every_time_becomes_polling_and_is_tried_again_after_an_hour()
 {
    let world = World::new();
    world.change(|state| {
        state.answer = Box::new(|_, _, words| {
            (words == "IDLE").then(|| "* BYE no idling here\r\n".to_owned())
        });
    });
    let watched = world.watch(Temper::Resident, &Start::now(), "");
    watched.pass(100).await;
    let lines = watched.wire();
    let idles = lines.iter().filter(|line| line.ends_with(" IDLE")).count();
    assert_eq!(idles, 2, "{lines:?}");
    assert!(
        lines.iter().any(|line| line.contains("— armed, polling")),
        "{lines:?}"
    );
    watched.arrive(100);
    watched.pass(30).await;
    let lines = watched.wire();
    assert!(
        lines.iter().any(|line| line.contains("mail 100 by Watch")),
        "{lines:?}"
    );
    assert_eq!(watched.condition().state, State::Polling);
    watched.pass(3700).await;
    let lines = watched.wire();
    assert!(
        lines.iter().any(|line| line.ends_with(" IDLE")),
        "{lines:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_that_announces_nothing_is_polled() {
    let watched = World::new().watch(Temper::Resident, &Start::now(), "");
    watched.pass(0).await;
    for uid in 100..103 {
        watched.arrive(uid);
        watched.pass(301).await;
    }
    let lines = watched.wire();
    for uid in 100..103 {
        let told = format!("mail {uid} by Watch");
        assert!(lines.iter().any(|line| line.contains(&told)), "{lines:?}");
    }
    watched.arrive(103);
    watched.pass(31).await;
    let lines = watched.wire();
    assert!(
        lines.iter().any(|line| line.contains("mail 103 by Watch")),
        "{lines:?}"
    );
}

/// Courier does so: what it has not looked for, no search finds.
#[tokio::test(start_paused = true)]
async fn a_server_that_looks_for_new_mail_only_at_noop_is_told_to_before_each_search() {
    let world = World::new();
    let has_looked = Arc::new(AtomicBool::new(true));
    let looked = Arc::clone(&has_looked);
    world.change(|state| {
        state.answer = Box::new(move |_, tag, words| {
            if words == "NOOP" {
                looked.store(true, Ordering::Relaxed);
            }
            let is_blind = words.starts_with("UID FETCH") && !looked.load(Ordering::Relaxed);
            is_blind.then(|| format!("{tag} OK nothing that was looked for\r\n"))
        });
    });
    let watched = world.watch(Temper::Resident, &Start::now(), "idle = false");
    watched.pass(0).await;
    watched.lines();
    has_looked.store(false, Ordering::Relaxed);
    watched.arrive(100);
    watched.pass(65).await;
    assert_eq!(
        watched.wire(),
        [
            "30 NOOP",
            "30 UID FETCH 100:* (UID)",
            "30 UID FETCH 100:* (UID RFC822.SIZE INTERNALDATE BODY.PEEK[HEADER.FIELDS (FROM SUBJECT)]<0.4096>)",
            "30 UID FETCH 100",
            "30 — mail 100 by Watch",
            "60 NOOP",
            "60 UID FETCH 101:* (UID)",
        ]
    );
}
