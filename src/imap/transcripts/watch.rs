//! The watch over hours: what it says on the wire, when, and what it tells.

use std::time::Duration;

use super::world::{Watched, World, epoch, folder};
use crate::imap::condition::State;
use crate::imap::error::{Error, ServerText};
use crate::imap::{Order, Start, Temper};
use crate::ledger::Origin;

/// A resident watch over an inbox where nothing happens, armed.
async fn resident() -> Watched {
    resident_with("").await
}

async fn resident_with(lines: &str) -> Watched {
    let watched = World::new().watch(Temper::Resident, &Start::now(), lines);
    watched.pass(0).await;
    watched.lines();
    watched
}

fn closed() -> Error {
    Error::Closed { step: "login" }
}

pub(super) fn refused(explicit: bool) -> Error {
    Error::LoginRefused {
        text: ServerText::new("no"),
        advice: String::new(),
        explicit,
    }
}

#[tokio::test(start_paused = true)]
async fn the_folder_is_searched_before_idle_and_every_5_minutes_whatever_the_server_says() {
    let watched = World::new().watch(Temper::Resident, &Start::now(), "");
    for _ in 0..11 {
        watched.pass(60).await;
        watched.say("* OK Still here\r\n");
    }
    assert_eq!(
        watched.lines(),
        [
            "0 login",
            "0 EXAMINE \"INBOX\"",
            "0 — moved INBOX 100",
            "0 IDLE",
            "0 — armed",
            "300 DONE",
            "300 EXAMINE \"INBOX\"",
            "300 — moved INBOX 100",
            "300 UID FETCH 100:* (UID)",
            "300 IDLE",
            "600 DONE",
            "600 EXAMINE \"INBOX\"",
            "600 — moved INBOX 100",
            "600 UID FETCH 100:* (UID)",
            "600 IDLE",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn while_somebody_waits_it_is_searched_every_20_s() {
    let watched = resident_with("sweep_junk = false").await;
    watched.pass(100).await;
    watched.order(Order::Attended(true));
    watched.pass(45).await;
    watched.order(Order::Attended(false));
    watched.pass(60).await;
    let searches = watched.wire();
    let searches: Vec<_> = searches
        .iter()
        .filter(|line| line.contains("(UID)"))
        .collect();
    assert_eq!(
        searches,
        [
            "120 UID FETCH 100:* (UID)",
            "140 UID FETCH 100:* (UID)",
            "160 UID FETCH 100:* (UID)"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn an_announced_mail_is_fetched_with_the_end_of_idle() {
    let watched = resident().await;
    watched.pass(7).await;
    watched.deliver(100);
    watched.pass(1).await;
    assert_eq!(
        watched.lines(),
        [
            "7 DONE",
            "7 UID FETCH 100:*",
            "7 — mail 100 by Watch",
            "7 — moved INBOX 101",
            "7 IDLE"
        ]
    );
    let condition = watched.condition();
    assert_eq!(condition.state, State::Idling);
    assert_eq!(
        condition.heard.expect("a line").line,
        "OK (no reason given)"
    );
    let next = condition.next.expect("a search").at;
    assert_eq!(next.as_second() - condition.since.as_second(), 307);
}

/// Found by `benches/scale`: such a mail took three more round trips.
#[tokio::test(start_paused = true)]
async fn a_mail_that_is_announced_to_a_session_as_old_as_they_get_is_fetched_as_soon() {
    let watched = resident().await;
    watched.pass(595).await;
    watched.lines();
    watched.deliver(100);
    watched.pass(1).await;
    assert_eq!(
        watched.lines(),
        [
            "595 DONE",
            "595 UID FETCH 100:*",
            "595 — mail 100 by Watch",
            "595 — moved INBOX 101",
            "595 IDLE"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_announced_and_not_there_is_looked_for_after_1_2_and_5_s_and_then_by_date() {
    let watched = resident().await;
    watched.pass(10).await;
    watched.say("* 2 EXISTS\r\n");
    watched.pass(60).await;
    assert_eq!(
        watched.lines(),
        [
            "10 DONE",
            "10 UID FETCH 100:*",
            "10 IDLE",
            "11 DONE",
            "11 UID FETCH 100:* (UID)",
            "11 IDLE",
            "13 DONE",
            "13 UID FETCH 100:* (UID)",
            "13 IDLE",
            "18 DONE",
            "18 UID FETCH 100:* (UID)",
            "18 UID SEARCH YOUNGER 125",
            "18 UID FETCH 99 (UID RFC822.SIZE INTERNALDATE BODY.PEEK[HEADER.FIELDS (FROM SUBJECT)]<0.4096>)",
            "18 UID FETCH 99",
            "18 — mail 99 by Watch",
            "18 IDLE"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn announcements_that_bring_nothing_do_not_keep_us_busy() {
    let watched = resident().await;
    let world = watched.world.clone();
    world.change(|state| {
        state.answer = Box::new(|_, tag, words| {
            words
                .starts_with("UID FETCH")
                .then(|| format!("* 2 EXISTS\r\n{tag} OK\r\n* 2 EXISTS\r\n"))
        });
    });
    watched.say("* 2 EXISTS\r\n");
    watched.pass(60).await;
    let commands = watched.wire().len();
    assert!(commands < 200, "{commands} in a minute");
}

#[tokio::test(start_paused = true)]
async fn a_mail_named_and_not_given_is_asked_for_again_and_passed_over_in_the_end() {
    let watched = resident().await;
    watched.world.change(|state| {
        state.answer = Box::new(|_, tag, words| {
            (words.starts_with("UID FETCH 100:*") && words.contains("BODY"))
                .then(|| format!("* 2 FETCH (UID 100 RFC822.SIZE 9 BODY[]<0> NIL)\r\n{tag} OK\r\n"))
        });
    });
    watched.deliver(100);
    watched.pass(8).await;
    let lines = watched.lines();
    assert!(
        !lines.iter().any(|line| line.contains("moved")),
        "{lines:?}"
    );
    // It can be read after all.
    watched
        .world
        .change(|state| state.answer = Box::new(|_, _, _| None));
    watched.pass(300).await;
    let lines = watched.lines();
    assert!(
        lines.iter().any(|line| line.contains("mail 100 by Watch")),
        "{lines:?}"
    );
    assert!(
        lines.iter().any(|line| line.contains("moved INBOX 101")),
        "{lines:?}"
    );

    watched.world.change(|state| {
        state.answer = Box::new(|_, tag, words| {
            (words.starts_with("UID FETCH 101:*") && words.contains("BODY"))
                .then(|| format!("* 3 FETCH (UID 101 RFC822.SIZE 9 BODY[]<0> NIL)\r\n{tag} OK\r\n"))
        });
    });
    watched.deliver(101);
    watched.pass(1000).await;
    let lines = watched.lines();
    assert!(
        lines.iter().any(|line| line.contains("moved INBOX 102")),
        "{lines:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_came_while_the_connection_was_down_is_found() {
    let watched = resident().await;
    watched.pass(30).await;
    watched.arrive(100);
    watched.hang_up();
    watched.pass(3).await;
    let lines = watched.wire();
    assert!(lines[0].starts_with("30 — trouble, again in"), "{lines:?}");
    assert_eq!(
        lines[1..]
            .iter()
            .map(|line| line.split_once(' ').expect("a second").1)
            .collect::<Vec<_>>(),
        [
            "login",
            "EXAMINE \"INBOX\"",
            "UID FETCH 100:* (UID RFC822.SIZE INTERNALDATE BODY.PEEK[HEADER.FIELDS (FROM SUBJECT)]<0.4096>)",
            "UID FETCH 100",
            "— mail 100 by Watch",
            "IDLE",
            "— armed"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_was_renumbered_or_whose_uidnext_went_back_is_searched_by_date() {
    for (uid_validity, uid_next) in [(8, 3), (7, 50), (8, 300)] {
        let watched = resident().await;
        watched.pass(60).await;
        watched.world.change(|state| {
            state.inbox = folder(&[1, 2]);
            state.inbox.uid_validity = uid_validity;
            state.inbox.uid_next = Some(uid_next);
        });
        watched.hang_up();
        watched.pass(3).await;
        let lines = watched.lines();
        assert!(
            lines
                .iter()
                .any(|line| line.contains("UID SEARCH YOUNGER 18")),
            "a minute, the pause, and two minutes: {lines:?}"
        );
        assert!(lines.iter().any(|line| line.contains("mail 1,2 by Watch")));
        assert!(
            lines
                .iter()
                .any(|line| line.ends_with(&format!("moved INBOX {uid_next}"))),
            "{lines:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn more_mails_than_a_search_can_name_are_looked_at_block_by_block() {
    let world = World::new();
    world.change(|state| {
        state.answer = Box::new(|_, tag, words| {
            let uids: Vec<_> = (1_000_000..1_020_000)
                .map(|uid: u32| uid.to_string())
                .collect();
            words
                .starts_with("UID SEARCH")
                .then(|| format!("* SEARCH {}\r\n{tag} OK\r\n", uids.join(" ")))
        });
    });
    // By the world's clock, not by the machine's.
    let day = Start {
        places: Vec::new(),
        since: epoch() - Duration::from_hours(24),
    };
    let watched = world.watch(Temper::Resident, &day, "");
    watched.pass(10).await;
    let lines = watched.wire();
    let said: Vec<_> = lines
        .iter()
        .filter_map(|line| line.split_once(' '))
        .map(|(_, said)| said)
        .collect();
    assert_eq!(
        said.iter()
            .filter(|said| said.starts_with("UID SEARCH"))
            .count(),
        1,
        "{said:?}"
    );
    assert!(said.contains(&"FETCH 1:1 (UID INTERNALDATE)"), "{said:?}");
    assert!(said.contains(&"— armed"), "{said:?}");
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_was_made_anew_behind_an_open_session_is_opened_again() {
    for (complains, within) in [(true, 50), (false, 301)] {
        let watched = resident().await;
        watched.pass(10).await;
        // The open session sees nothing of it, whatever it asks.
        watched.world.change(|state| {
            state.inbox = folder(&[1]);
            state.inbox.uid_validity = 8;
            state.answer = Box::new(|_, tag, words| {
                (words.starts_with("UID FETCH 100:*")).then(|| format!("{tag} OK\r\n"))
            });
        });
        if complains {
            watched.say("* NO Internal error occurred\r\n");
        }
        watched.pass(within).await;
        let lines = watched.wire();
        assert!(
            lines.iter().any(|line| line.contains("mail 1 by Watch")),
            "{lines:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_tell_uidnext_is_asked_for_the_last_mail() {
    let world = World::new();
    world.change(|state| state.inbox.uid_next = None);
    let watched = world.watch(Temper::Resident, &Start::now(), "");
    watched.pass(5).await;
    watched.deliver(100);
    watched.pass(1).await;
    assert_eq!(
        watched.wire(),
        [
            "0 login",
            "0 EXAMINE \"INBOX\"",
            "0 UID FETCH * (UID)",
            "0 IDLE",
            "0 — armed",
            "5 DONE",
            "5 UID FETCH 100:*",
            "5 — mail 100 by Watch",
            "5 IDLE"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_slept_connects_anew_within_30_s_and_searches() {
    let watched = resident().await;
    watched.pass(70).await;
    watched.sleep(60);
    watched.arrive(100);
    watched.pass(30).await;
    let lines = watched.wire();
    assert_eq!(lines[..2], ["90 login", "90 EXAMINE \"INBOX\""]);
    assert!(
        lines.iter().any(|line| line.contains("mail 100 by Watch")),
        "{lines:?}"
    );
    assert!(
        !lines.iter().any(|line| line.contains("DONE")),
        "the old connection is left as it is"
    );
}

#[tokio::test(start_paused = true)]
async fn pauses_grow_to_5_minutes_and_to_30_s_while_somebody_waits_who_ends_the_one_that_goes_on() {
    let world = World::new();
    world.change(|state| state.refusals.extend(std::iter::repeat_n(closed(), 100)));
    let watched = world.watch(Temper::Resident, &Start::now(), "");
    watched.pass(3600).await;
    let pauses = |lines: &[String]| -> Vec<u64> {
        let pauses = lines.iter().filter_map(|line| line.split_once("again in "));
        let pauses = pauses.map(|(_, seconds)| seconds.trim_end_matches(" s").parse());
        pauses.collect::<Result<_, _>>().expect("seconds")
    };
    let resident = pauses(&watched.wire());
    assert!(resident[0] <= 2, "{resident:?}");
    assert!(resident.iter().all(|&pause| pause <= 300), "{resident:?}");
    assert_eq!(*resident.last().expect("many"), 300);
    assert!(resident.len() < 25, "{resident:?}");

    watched.order(Order::Attended(true));
    watched.pass(1).await;
    assert_eq!(pauses(&watched.wire()), [30], "tried at once");
    watched.pass(60).await;
    assert_eq!(pauses(&watched.wire()), [30, 30]);
}

#[tokio::test(start_paused = true)]
async fn a_login_refused_for_good_is_tried_again_hourly_on_reload_and_with_another_password() {
    let world = World::new();
    world.change(|state| state.refusals.extend(std::iter::repeat_n(refused(true), 4)));
    let watched = world.watch(Temper::Resident, &Start::now(), "");
    watched.pass(3000).await;
    assert_eq!(
        watched.wire(),
        ["0 login fails", "0 — trouble, again in 3600 s"]
    );
    assert_eq!(watched.condition().state, State::LoginRefused);
    // Whoever waits cannot make it come sooner; providers lock accounts.
    watched.order(Order::Search(0));
    watched.order(Order::Attended(true));
    watched.pass(599).await;
    assert_eq!(watched.wire(), Vec::<String>::new());
    watched.pass(1).await;
    assert_eq!(watched.wire()[0], "3600 login fails");

    // At most two in two minutes.
    watched.order(Order::LogIn);
    watched.pass(1).await;
    assert_eq!(watched.wire()[0], "3600 login fails");
    watched.order(Order::LogIn);
    watched.pass(110).await;
    assert_eq!(watched.wire(), ["3601 — trouble, again in 119 s"]);
    watched.pass(10).await;
    watched.order(Order::LogIn);
    watched.pass(1).await;
    assert_eq!(watched.wire()[0], "3721 login fails");

    watched.world.change(|state| state.has_new_password = true);
    watched.pass(310).await;
    let lines = watched.wire();
    assert_eq!(lines[0], "4021 login");
    assert!(
        lines.iter().any(|line| line.contains("— armed")),
        "{lines:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_doubtful_refusal_is_put_to_the_test_once() {
    let world = World::new();
    world.change(|state| state.refusals.extend([refused(false), refused(false)]));
    let watched = world.watch(Temper::Waiting, &Start::now(), "");
    watched.pass(10).await;
    assert_eq!(
        watched.wire(),
        [
            "0 login fails",
            "0 — trouble, again in 2 s",
            "2 login fails",
            "2 — failed"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn at_most_ten_logins_in_two_minutes() {
    let world = World::new();
    world.change(|state| {
        state.answer =
            Box::new(|_, _, words| words.starts_with("EXAMINE").then(|| "hang up".to_owned()));
    });
    let watched = world.watch(Temper::Resident, &Start::now(), "");
    for _ in 0..600 {
        watched.order(Order::Search(0));
        watched.pass(1).await;
    }
    let logins: Vec<u64> = watched
        .wire()
        .iter()
        .filter_map(|line| line.strip_suffix(" login")?.parse().ok())
        .collect();
    assert!(logins.len() > 30, "{logins:?}");
    for eleven in logins.windows(11) {
        assert!(eleven[10] - eleven[0] >= 119, "{logins:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn other_folders_are_searched_before_it_is_said_to_be_watched_and_every_30_s() {
    let world = World::new();
    world.change(|state| state.others.push(("Salesforce", folder(&[5]))));
    let watched = world.watch(
        Temper::Resident,
        &Start::now(),
        "folders = [\"INBOX\", \"Salesforce\", \"Gone\"]",
    );
    watched.pass(31).await;
    assert_eq!(
        watched.lines(),
        [
            "0 login",
            "0 EXAMINE \"INBOX\"",
            "0 — moved INBOX 100",
            "0 EXAMINE \"Salesforce\"",
            "0 — moved Salesforce 6",
            "0 EXAMINE \"INBOX\"",
            "0 — moved INBOX 100",
            "0 EXAMINE \"Gone\"",
            "0 EXAMINE \"INBOX\"",
            "0 — moved INBOX 100",
            "0 IDLE",
            "0 — armed",
            "30 DONE",
            "30 EXAMINE \"Salesforce\"",
            "30 — moved Salesforce 6",
            "30 EXAMINE \"INBOX\"",
            "30 — moved INBOX 100",
            "30 IDLE",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn junk_is_searched_while_somebody_waits_and_a_list_that_breaks_the_connection_is_not_asked_for_again()
 {
    let world = World::new();
    world.change(|state| state.others.push(("Junk", folder(&[5]))));
    let watched = world.watch(Temper::Waiting, &Start::now(), "");
    watched.pass(45).await;
    let lines = watched.wire();
    let of_junk = |line: &&String| line.contains("LIST") || line.contains("Junk");
    let junk: Vec<_> = lines.iter().filter(of_junk).collect();
    assert_eq!(
        junk,
        [
            "10 LIST \"\" \"*\"",
            "10 EXAMINE \"Junk\"",
            "40 EXAMINE \"Junk\""
        ]
    );

    let world = World::new();
    world.change(|state| {
        state.answer =
            Box::new(|_, _, words| words.starts_with("LIST").then(|| "hang up".to_owned()));
    });
    let watched = world.watch(Temper::Waiting, &Start::now(), "");
    watched.pass(120).await;
    let lines = watched.wire();
    assert_eq!(
        lines.iter().filter(|line| line.contains("LIST")).count(),
        1,
        "{lines:?}"
    );
    assert!(
        lines.last().is_some_and(|line| line.ends_with("IDLE")),
        "{lines:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_look_back_is_told_apart_from_what_is_new_and_survives_a_broken_connection() {
    let watched = resident_with("sweep_junk = false").await;
    let cursor = crate::imap::Cursor {
        account: "a@b.example".to_owned(),
        folder: "INBOX".to_owned(),
        uid_validity: 7,
        uid_next: 99,
        taken: jiff::Timestamp::from_second(1_795_528_700).expect("a time"),
    };
    watched.order(Order::Look {
        look: 1,
        start: Start::from(cursor.clone()),
    });
    watched.order(Order::Look {
        look: 2,
        start: Start::now(),
    });
    watched.arrive(100);
    watched.pass(1).await;
    assert_eq!(
        watched.told(),
        [
            "0 — mail 100 by Watch",
            "0 — mail 99,100 by Look(1)",
            "0 — looked 1",
            "0 — looked 2"
        ]
    );

    watched.hang_up();
    watched.pass(0).await;
    watched.order(Order::Look {
        look: 3,
        start: Start::from(cursor),
    });
    watched.pass(5).await;
    let lines = watched.told();
    assert!(lines[0].contains("trouble"), "{lines:?}");
    let rest: Vec<_> = lines[1..]
        .iter()
        .map(|line| line.split_once(' ').expect("a second").1)
        .collect();
    assert_eq!(rest, ["— mail 99,100 by Look(3)", "— looked 3", "— armed"]);
}

#[tokio::test(start_paused = true)]
async fn what_waits_is_fetched_again_and_what_is_gone_is_told() {
    let origin = |uid, uid_validity, folder: &str| Origin {
        account: "a@b.example".to_owned(),
        folder: folder.to_owned(),
        uid_validity,
        uid,
    };
    let pending = vec![
        origin(99, 7, "INBOX"),
        origin(98, 7, "INBOX"),
        origin(99, 6, "INBOX"),
        origin(5, 7, "No such folder"),
    ];
    let watched = World::new().watch_pending(Temper::Resident, &Start::now(), "", pending.clone());
    watched.pass(1).await;
    assert_eq!(
        watched.told(),
        [
            "0 — mail 99 by Waited",
            "0 — 2 gone",
            "0 — 1 gone",
            "0 — armed"
        ]
    );
    watched.order(Order::Again(vec![origin(99, 7, "INBOX")]));
    watched.pass(1).await;
    assert_eq!(watched.told(), ["1 — mail 99 by Waited"]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_nobody_listens_to_says_goodbye() {
    let watched = World::new().watch(Temper::Waiting, &Start::within(Duration::ZERO), "");
    watched.pass(1).await;
    assert_eq!(watched.condition().connections, 1);
}

#[tokio::test(start_paused = true)]
async fn who_orders_a_search_hears_when_everything_it_found_was_told() {
    let world = World::new();
    let watched = world.watch(Temper::Resident, &Start::now(), "");
    watched.pass(20).await;
    watched.told();
    watched.arrive(100);
    watched.order(Order::Search(7));
    watched.pass(1).await;
    assert_eq!(watched.told(), ["20 — mail 100 by Watch", "20 — looked 7"]);
    // Nothing is there, and it is said once.
    watched.order(Order::Search(8));
    watched.pass(1).await;
    assert_eq!(watched.told(), ["21 — looked 8"]);
}
