//! Lies about mails: whose, how long, how many.

use super::{Peace, Rogue, Say, Trouble, Verdict, once, slowly};
use crate::lab::TokenMail;
use std::sync::atomic::{AtomicU32, Ordering};

/// A FETCH response with a literal that is announced as `length` and is `octets`.
fn fetch(length: &str, octets: &str, tag: &str) -> String {
    format!(
        "* 11 FETCH (UID 100 RFC822.SIZE 10 BODY[]<0> {{{length}}}\r\n{octets})\r\n{tag} OK\r\n"
    )
}

/// Announces a mail, and serves it with this length.
fn lies(name: &str, verdict: Verdict, length: &'static str, octets: &'static str) -> Rogue {
    Rogue::fetched(name, verdict, move |tag| fetch(length, octets, tag))
}

pub(crate) fn all() -> Vec<Rogue> {
    let mut all = literals();
    all.extend(others());
    all.extend(inventions());
    all
}

fn literals() -> Vec<Rogue> {
    let odd = Trouble("a FETCH response that nobody asked for");
    vec![
        lies(
            "literal-longer-than-sent",
            Trouble("did not finish UID FETCH within 30 s"),
            "60000",
            "A: b",
        ),
        lies("literal-shorter-than-sent", odd, "4", "A: b\r\nToken: x"),
        lies(
            "literal-4-gib",
            Trouble("a literal of 4294967296 octets where at most 65536 were asked for"),
            "4294967296",
            "x",
        ),
        lies(
            "literal-beyond-64-bit",
            Trouble("a literal of 18446744073709551615 octets"),
            "99999999999999999999999999",
            "x",
        ),
        lies("literal-negative", odd, "-1", "x"),
        lies("literal-plus", odd, "5+", "hello"),
        Rogue::fetched(
            "literal-slow",
            Trouble("did not finish UID FETCH within 30 s"),
            |_| slowly("* 11 FETCH (UID 100 BODY[]<0> {60000}\r\n", "x"),
        ),
        Rogue::fetched(
            "literal-in-a-line-of-its-own",
            Trouble("a literal where none"),
            |tag| format!("* OK {{3}}\r\nabc\r\n{tag} OK\r\n"),
        ),
        Rogue::fetched(
            "fetch-nesting",
            Trouble("brackets nested too deeply"),
            |tag| {
                format!(
                    "* 11 FETCH (UID 100 BODYSTRUCTURE {}\r\n{tag} OK\r\n",
                    "(".repeat(400)
                )
            },
        ),
        Rogue::fetched(
            "fetch-internaldate-nil",
            Trouble("without INTERNALDATE"),
            |tag| format!("* 11 FETCH (UID 100 INTERNALDATE NIL BODY[]<0> \"\")\r\n{tag} OK\r\n"),
        ),
        Rogue::fetched("fetch-nul-and-lone-cr", odd, |_| {
            once(b"* 11 FETCH (UID 100 BODY[]<0> \"a\rb\0\xff\")\r\n")
        }),
    ]
}

fn others() -> Vec<Rogue> {
    vec![
        Rogue::fetched("fetch-of-other-uids", Peace, |tag| {
            let mut answer = String::new();
            for uid in [1, 7, 99] {
                let fetch = format!("* {uid} FETCH (UID {uid} BODY[]<0> {{6}}\r\nA: b\r\n)\r\n");
                answer.push_str(&fetch);
            }
            format!("{answer}{tag} OK\r\n")
        }),
        Rogue::fetched("fetch-2-gib-by-size", Peace, |tag| {
            format!(
                "* 11 FETCH (UID 100 RFC822.SIZE 2147483648 BODY[]<0> {{6}}\r\nA: b\r\n)\r\n{tag} OK\r\n"
            )
        }),
        Rogue::fetched("fetch-named-and-not-given", Peace, |tag| {
            format!("* 11 FETCH (UID 100 BODY[]<0> NIL)\r\n{tag} OK\r\n")
        }),
        Rogue::fetched("fetch-refused", Trouble("refused UID FETCH"), |tag| {
            format!("{tag} NO [ALERT] \x1b]0;owned\x07 see https://evil.example\r\n")
        }),
    ]
}

/// A new mail after each search, for ever.
fn invents(name: &str, raw: &'static [u8], verdict: Verdict) -> Rogue {
    let last = AtomicU32::new(99);
    Rogue::but(name, verdict, move |command, tag| {
        if command == "IDLE" {
            let exists = last.fetch_add(1, Ordering::Relaxed) - 87;
            return Some(Say::from(format!("+ idling\r\n* {exists} EXISTS\r\n")));
        }
        let uid = last.load(Ordering::Relaxed);
        let set = command.strip_prefix("UID FETCH ")?;
        let part = if set.contains("HEADER.FIELDS") {
            "BODY[HEADER.FIELDS (FROM SUBJECT)]<0>"
        } else if set.contains("BODY") {
            "BODY[]<0>"
        } else {
            return None;
        };
        let shown = &raw[..raw.len().min(if part.contains("FIELDS") {
            4096
        } else {
            65_536
        })];
        if set.contains("<65536.") {
            let rest = &raw[raw.len().min(65_536)..raw.len().min(1024 * 1024)];
            let mut answer = format!("* 1 FETCH (UID {uid} BODY[]<65536> {{{}}}\r\n", rest.len());
            answer.push_str(&String::from_utf8_lossy(rest));
            return Some(Say::from(format!("{answer})\r\n{tag} OK\r\n")));
        }
        Some(Say::from(format!(
            "* 1 FETCH (UID {uid} {part} {{{}}}\r\n{})\r\n{tag} OK\r\n",
            shown.len(),
            String::from_utf8_lossy(shown)
        )))
    })
}

fn inventions() -> Vec<Rogue> {
    let plain: &[u8] = b"From: a@b.example\r\nSubject: hello\r\n\r\nhello\r\n";
    let forged = TokenMail::english("forged@acme.example", "AbCdEfGhIjKlMnOpQrStUvWx").unsigned();
    let mut long = forged.clone();
    long.resize(2 * 1024 * 1024, b'x');
    vec![
        invents("invents-mails", plain, Peace),
        invents("invents-token-mails", forged.leak(), Peace),
        invents("invents-long-token-mails", long.leak(), Peace),
    ]
}
