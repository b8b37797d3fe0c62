//! More than anybody asked for, as fast as the client takes it.

use super::{Peace, Rogue, Say, Trouble, endlessly};
use crate::lab::{remembering, sound};
use std::fmt::Write as _;

/// What a session without WITHIN is greeted with: it looks back by blocks of sequence numbers.
const WITHOUT_WITHIN: &str = "* OK [CAPABILITY IMAP4rev1 SASL-IR IDLE AUTH=PLAIN] ready\r\n";

/// Untagged lines about a million mails.
fn million(line: impl Fn(u32, &mut String)) -> String {
    let mut lines = String::new();
    for number in 1..=1_000_000 {
        line(number, &mut lines);
    }
    lines
}

pub(crate) fn all() -> Vec<Rogue> {
    let short = Trouble("more than 262144 octets in answer to one command");
    let searched = million(|uid, text| write!(text, " {uid}").expect("a String"));
    vec![
        Rogue::but("flood-capabilities", short, |command, _| {
            (command == "AUTHENTICATE" || command == "CAPABILITY" || command.starts_with("AUTH"))
                .then(|| endlessly("", "* CAPABILITY IMAP4rev1 IDLE AUTH=PLAIN\r\n"))
        }),
        Rogue::but("flood-long-capabilities", short, |command, _| {
            command.starts_with("AUTH").then(|| {
                endlessly(
                    "",
                    &format!("* CAPABILITY IMAP4rev1{}\r\n", " A".repeat(30_000)),
                )
            })
        }),
        Rogue::but(
            "flood-exists",
            Trouble("lines and did not finish IDLE within 15 s|lines in answer to one command"),
            |command, _| (command == "IDLE").then(|| endlessly("+ idling\r\n", "* 10 EXISTS\r\n")),
        ),
        Rogue::but(
            "flood-exists-jumping",
            Trouble("lines and did not finish IDLE within 15 s|lines in answer to one command"),
            |command, _| {
                (command == "IDLE")
                    .then(|| endlessly("+ idling\r\n", "* 4294967295 EXISTS\r\n* 0 EXISTS\r\n"))
            },
        ),
        Rogue::but("exists-jumping", Peace, |command, _| {
            (command == "IDLE")
                .then_some("+ idling\r\n* 4294967295 EXISTS\r\n* 0 EXISTS\r\n* 77 EXISTS\r\n")
        }),
        Rogue::but(
            "flood-expunge",
            Trouble("lines in answer to one command"),
            |command, _| (command == "IDLE").then(|| endlessly("+ idling\r\n", "* 1 EXPUNGE\r\n")),
        ),
        Rogue::but("flood-unknown", short, |command, _| {
            (command == "IDLE").then(|| endlessly("+ idling\r\n", "* 1 VANISHED 1:4\r\n"))
        }),
        Rogue::but(
            "flood-search",
            Trouble("a line of more than 131072 octets"),
            move |command, tag| {
                command
                    .starts_with("UID SEARCH")
                    .then(|| format!("* SEARCH{searched}\r\n{tag} OK\r\n"))
            },
        ),
        uids("flood-uids"),
        announced_then_uids("flood-uids-again-and-again"),
        headers("flood-header-fields"),
    ]
}

/// A folder of 4 thousand million mails, each block of which is answered with a million others.
fn uids(name: &str) -> Rogue {
    let answer = million(|uid, text| {
        write!(
            text,
            "* 1 FETCH (UID {uid} INTERNALDATE \"24-Nov-2099 10:00:00 +0000\")\r\n"
        )
        .expect("a String");
    });
    let script = remembering(move |_, command: &str, tag: &str| {
        let word = command.split(' ').next().unwrap_or_default();
        Some(match word {
            "AUTHENTICATE" => format!("{tag} OK [CAPABILITY IMAP4rev1 IDLE] in\r\n"),
            "EXAMINE" => sound(command, tag).replace("* 10 ", "* 4294967295 "),
            "FETCH" => format!("{answer}{tag} OK\r\n"),
            _ => return None,
        })
    });
    Rogue::secured(
        name,
        Trouble("did not finish FETCH|octets in answer to one command"),
        WITHOUT_WITHIN,
        script,
    )
}

/// Announces more mails than before after each search, and names a million when asked.
fn announced_then_uids(name: &str) -> Rogue {
    let answer = million(|number, text| {
        write!(text, "* {number} FETCH (UID {number})\r\n").expect("a String");
    });
    Rogue::but(
        name,
        Trouble("lines in answer to one command|did not finish UID FETCH"),
        move |command, tag| match command {
            "IDLE" => Some("+ idling\r\n* 999999 EXISTS\r\n".to_owned()),
            command if command.starts_with("UID FETCH") => Some(format!("{answer}{tag} OK\r\n")),
            _ => None,
        },
    )
}

/// The same with header fields, each of a mail that looks worth fetching.
fn headers(name: &str) -> Rogue {
    let answer = million(|number, text| {
        let uid = number + 100;
        write!(text, "* 1 FETCH (UID {uid} BODY[] \"\")\r\n").expect("a String");
    });
    Rogue::but(
        name,
        Trouble("lines in answer to one command|did not finish UID FETCH"),
        move |command, tag| match command {
            "IDLE" => Some(Say::from("+ idling\r\n* 999999 EXISTS\r\n")),
            command if command.contains("HEADER.FIELDS") => {
                Some(format!("{answer}{tag} OK\r\n").into())
            }
            _ => None,
        },
    )
}
