use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{Facts, GAP, LOOK, MOST, Mail, Queue, Work};
use crate::config::{Hook, Input, Occasion};
use crate::imap::{Class, Cursor};
use crate::ledger::{List, Origin};
use crate::news::News;
use crate::receipt::{Event, Receipt};

const ALL: [Occasion; 4] = [
    Occasion::Refused,
    Occasion::Pending,
    Occasion::LoginFailed,
    Occasion::Stored,
];

fn queue(wanted: &[Occasion], now: Instant) -> Queue {
    let hooks: Vec<_> = wanted
        .iter()
        .map(|&on| Hook {
            on,
            command: vec!["true".to_owned()],
            input: Input::Empty,
        })
        .collect();
    Queue::new(&hooks, now)
}

fn origin(uid: u32) -> Origin {
    Origin {
        account: "a@b.example".to_owned(),
        folder: "INBOX".to_owned(),
        uid_validity: 1,
        uid,
    }
}

fn receipt(event: Event, uid: u32) -> News {
    News::Receipt(Box::new(Receipt {
        event,
        reason: None,
        sentence: None,
        username: None,
        origin: Some(origin(uid)),
        date: None,
        message_id: None,
        from: None,
        proof: None,
        store: None,
        warnings: Vec::new(),
        at: Timestamp::now(),
    }))
}

fn failed(class: Class) -> News {
    News::Trouble {
        class,
        sentence: "no".to_owned(),
        again_in: Duration::from_secs(1),
    }
}

fn armed() -> News {
    News::Armed {
        cursor: Cursor {
            account: "a@b.example".to_owned(),
            folder: "INBOX".to_owned(),
            uid_validity: 1,
            uid_next: 1,
            taken: Timestamp::now(),
        },
        idle: true,
    }
}

/// Of how many mails of a list it is, if it is.
fn mails(work: Option<Work>, of: List) -> Option<usize> {
    match work {
        Some(Work::Mails(list, mails)) if list == of => Some(mails.len()),
        _ => None,
    }
}

#[test]
fn the_most_important_comes_first_whatever_came_first() {
    let now = Instant::now();
    let mut queue = queue(&ALL, now);
    assert_eq!(queue.take(now), Some(Work::Stored), "the first look");
    queue.hear(&receipt(Event::Refused, 1), now);
    queue.hear(&receipt(Event::PendingStorage, 2), now);
    queue.hear(&failed(Class::Login), now);
    queue.hear(&receipt(Event::Already, 3), now);
    assert_eq!(queue.take(now), Some(Work::Stored));
    let login = Work::LoginFailed(Facts::of_login("login-refused", "no"));
    assert_eq!(queue.take(now), Some(login));
    assert_eq!(mails(queue.take(now), List::Pending), Some(1));
    assert_eq!(mails(queue.take(now), List::Refused), Some(1));
    assert_eq!(queue.take(now), None);
}

#[test]
fn a_flood_is_one_run_a_minute_and_every_mail_counts_once() {
    let start = Instant::now();
    let mut queue = queue(&[Occasion::Refused], start);
    queue.hear(&receipt(Event::Refused, 0), start);
    let mut counted = mails(queue.take(start), List::Refused).expect("at once");
    let mut runs = 1;
    for second in 1..=180 {
        let now = start + Duration::from_secs(second);
        let uid = u32::try_from(second).expect("small");
        queue.hear(&receipt(Event::Refused, uid), now);
        // Told of twice, as after a reconnection.
        queue.hear(&receipt(Event::Refused, uid), now);
        if let Some(count) = mails(queue.take(now), List::Refused) {
            counted += count;
            runs += 1;
        }
    }
    assert_eq!((runs, counted), (4, 181));
    queue.hear(&receipt(Event::Refused, 999), start + GAP * 3);
    assert_eq!(queue.next_at(), Some(start + GAP * 4));
}

#[test]
fn the_queue_is_bounded() {
    let now = Instant::now();
    let mut queue = queue(&[Occasion::Refused], now);
    for uid in 1..=5_000 {
        queue.hear(&receipt(Event::Refused, uid), now);
    }
    let Some(Work::Mails(_, mails)) = queue.take(now) else {
        panic!("due");
    };
    let last = mails.last().map(|mail| mail.origin.uid);
    assert_eq!((mails.len(), last), (MOST, Some(5_000)));
}

#[test]
fn what_waits_no_more_is_not_told_as_pending() {
    let now = Instant::now();
    for settled in [
        receipt(Event::Stored, 1),
        receipt(Event::Refused, 1),
        News::Gone(origin(1)),
    ] {
        let mut queue = queue(&[Occasion::Pending], now);
        queue.hear(&receipt(Event::PendingJudgement, 1), now);
        queue.hear(&settled, now);
        assert_eq!((queue.take(now), queue.next_at()), (None, None));
    }
}

#[test]
fn a_login_that_goes_on_failing_is_told_once() {
    let start = Instant::now();
    let mut queue = queue(&[Occasion::LoginFailed], start);
    let is_told = |queue: &mut Queue, now| matches!(queue.take(now), Some(Work::LoginFailed(_)));
    queue.hear(&failed(Class::Passing), start);
    queue.hear(&failed(Class::Doubtful), start);
    assert!(
        !is_told(&mut queue, start),
        "it may have meant another thing"
    );
    queue.hear(&failed(Class::Doubtful), start);
    assert!(is_told(&mut queue, start));
    queue.hear(&failed(Class::Login), start);
    assert!(!is_told(&mut queue, start + GAP));
    // A server that lets us in and throws us out again does not run a hook each time.
    queue.hear(&armed(), start);
    queue.hear(&failed(Class::Keychain), start);
    assert!(!is_told(&mut queue, start + GAP / 2));
    assert_eq!(queue.next_at(), Some(start + GAP));
    assert!(is_told(&mut queue, start + GAP));
    // It works before anybody was told.
    queue.hear(&failed(Class::Login), start);
    queue.hear(&armed(), start);
    assert!(!is_told(&mut queue, start + GAP * 9));
}

#[test]
fn the_ledger_is_looked_at_now_and_then_where_there_is_a_hook_for_it() {
    let start = Instant::now();
    let mut with = queue(&[Occasion::Stored], start);
    assert_eq!(with.take(start), Some(Work::Stored));
    assert_eq!(with.take(start), None);
    assert_eq!(with.next_at(), Some(start + LOOK));
    let mut without = queue(&[Occasion::Refused], start);
    without.hear(&receipt(Event::Stored, 1), start);
    let mail = Mail {
        origin: origin(2),
        facts: Facts::default(),
    };
    without.add(List::Pending, mail);
    assert_eq!((without.take(start), without.next_at()), (None, None));
}
