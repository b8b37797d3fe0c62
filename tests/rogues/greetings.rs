//! What comes before anybody has said anything, behind a good certificate.

use super::{Peace, Rogue, Say, Trouble, Verdict, endlessly, once, slowly};
use crate::lab::{remembering, silent};

fn greets(name: &str, verdict: Verdict, greeting: impl Into<Say>) -> Rogue {
    Rogue::secured(name, verdict, greeting, silent)
}

pub(crate) fn all() -> Vec<Rogue> {
    let nested = "(".repeat(400);
    vec![
        greets("greeting-silence", Trouble("the greeting within 15 s"), ""),
        greets(
            "greeting-slow",
            Trouble("the greeting within 15 s"),
            slowly("", "* OK x"),
        ),
        greets(
            "greeting-endless-line",
            Trouble("a line of more than 65536 octets"),
            endlessly("* OK ", "x"),
        ),
        greets(
            "greeting-endless-unknown-lines",
            Trouble("more than 16384 lines in answer to one command"),
            endlessly("", "* XFOO bar\r\n"),
        ),
        greets(
            "greeting-preauth",
            Trouble("logged in already"),
            "* PREAUTH welcome\r\n",
        ),
        greets(
            "greeting-referral",
            Trouble("the server ended the connection"),
            "* BYE [REFERRAL imap://evil.example/] moved\r\n",
        ),
        greets(
            "greeting-nesting",
            Trouble("brackets nested too deeply"),
            format!("* 1 FETCH (BODYSTRUCTURE {nested}\r\n"),
        ),
        greets(
            "greeting-literal",
            Trouble("a literal where none was asked for"),
            "* OK [ALERT] {5+}\r\nhello\r\n",
        ),
        greets(
            "greeting-http",
            Trouble("does not greet as an IMAP server does"),
            "HTTP/1.1 400 Bad Request\r\n\r\n",
        ),
        greets(
            "greeting-bare-line-ends",
            Trouble("does not greet as an IMAP server does"),
            once(b"* OK a\rb\r\r\n"),
        ),
        // What only looks wild is mended.
        Rogue::secured(
            "greeting-nul-and-8-bit",
            Peace,
            once(b"* OK [CAPABILITY IMAP4rev1 IDLE AUTH=PLAIN SASL-IR WITHIN] \0\xff\xc3\xa9\x1b[2J\r\n"),
            remembering(|_, _, _| None::<String>),
        ),
    ]
}
