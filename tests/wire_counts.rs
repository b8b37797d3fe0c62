//! What a new mail costs once it is announced, counted on the wire before a real server.
#![cfg(target_os = "linux")]

mod lab;

use lab::{Ca, Daemon, Front, Stage, Turn, USERNAME, eventually};
use std::time::Duration;

/// How many mails come, one after the other, on one connection.
const MAILS: usize = 3;

/// The turns from each announcement to the confirmation of the next IDLE.
fn reactions(turns: &[Turn]) -> Vec<&[Turn]> {
    let announces = |turn: &Turn| !turn.by_client && turn.words.contains(" EXISTS\r\n");
    // The first is the answer to EXAMINE.
    let starts: Vec<usize> = (0..turns.len())
        .filter(|&place| announces(&turns[place]))
        .skip(1)
        .collect();
    let ends = starts.iter().skip(1).copied().chain([turns.len() - 1]);
    let pairs = starts.iter().zip(ends);
    pairs.map(|(&start, end)| &turns[start..=end]).collect()
}

/// A command without its tag.
fn untagged(command: &str) -> &str {
    command.split_once(' ').map_or("", |(_, command)| command)
}

#[test]
fn an_announced_mail_costs_one_round_trip_and_then_the_next_idle() {
    let stage = Stage::new();
    let front = Front::start(stage.dovecot.imap_port(), &Ca::shared().localhost, &[]);
    stage.configure_behind(front.port());
    let daemon = Daemon::start(&stage);
    let turns = || front.conversations()[0].turns.clone();
    let is_idle = || {
        let last = turns().pop().expect("it has connected");
        !last.by_client && last.words.ends_with("+ idling\r\n")
    };
    let mut tokens = Vec::new();
    for count in 1..=MAILS {
        eventually(
            "IDLE",
            Duration::from_secs(10),
            || is_idle().then_some(()),
            || format!("{:?}", turns()),
        );
        tokens.push(stage.deliver_token(USERNAME));
        daemon.wait_for(": stored ", count);
    }
    eventually(
        "IDLE again",
        Duration::from_secs(10),
        || is_idle().then_some(()),
        || format!("{:?}", turns()),
    );
    daemon.stop();

    let conversations = front.conversations();
    assert_eq!(conversations.len(), 1, "one connection for all of them");
    let reactions = reactions(&conversations[0].turns);
    assert_eq!(reactions.len(), MAILS);
    for ((number, turns), token) in (1..).zip(reactions).zip(&tokens) {
        let [exists, asked, answered, idle, idling, ..] = turns else {
            panic!("{turns:?}");
        };
        assert!(exists.words.contains(&format!("* {number} EXISTS\r\n")));
        let [done, fetch] = asked.words.lines().collect::<Vec<_>>()[..] else {
            panic!("{asked:?}");
        };
        assert_eq!(done, "DONE");
        assert!(untagged(fetch).starts_with(&format!("UID FETCH {number}:* (")));
        assert!(answered.words.contains(token.as_str()), "{answered:?}");
        assert_eq!(untagged(&idle.words), "IDLE\r\n");
        assert_eq!(idling.words.lines().next(), Some("+ idling"));
    }
}
