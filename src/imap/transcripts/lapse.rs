//! Access tokens that come to their end while a watch goes on.

use super::watch::refused;
use super::world::World;
use crate::imap::{Start, Temper};

#[tokio::test(start_paused = true)]
async fn a_token_that_ends_in_the_middle_leads_to_another_login_without_a_word() {
    for goodbye in [
        "* BYE Session invalidated - AccessTokenExpired\r\n",
        "* BYE [EXPIRED] token has expired\r\n",
    ] {
        let world = World::new();
        world.change(|state| state.has_token = true);
        let watched = world.watch(Temper::Resident, &Start::now(), "sweep_junk = false");
        watched.pass(3600).await;
        watched.lines();
        watched.say(goodbye);
        watched.arrive(100);
        watched.pass(1).await;
        assert_eq!(
            watched.told(),
            ["3600 — mail 100 by Watch", "3600 — armed"],
            "{goodbye}"
        );
        assert!(watched.condition().trouble.is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_login_that_fails_after_the_token_ended_is_told_and_a_server_that_ends_it_at_once_is_not_hammered()
 {
    let world = World::new();
    world.change(|state| state.has_token = true);
    let watched = world.watch(Temper::Resident, &Start::now(), "sweep_junk = false");
    watched.pass(60).await;
    watched.lines();
    watched
        .world
        .change(|state| state.refusals.push_back(refused(true)));
    watched.say("* BYE [EXPIRED]\r\n");
    watched.pass(1).await;
    assert_eq!(watched.told(), ["60 — trouble, again in 3600 s"]);

    let world = World::new();
    world.change(|state| {
        state.has_token = true;
        state.answer = Box::new(|_, tag, words| {
            (words == "IDLE").then(|| format!("+ idling\r\n* BYE [EXPIRED] {tag}\r\n"))
        });
    });
    let watched = world.watch(Temper::Resident, &Start::now(), "sweep_junk = false");
    watched.pass(119).await;
    let logins = watched
        .wire()
        .iter()
        .filter(|line| line.ends_with(" login"))
        .count();
    assert!(logins <= 10, "{logins} logins in two minutes");
}
