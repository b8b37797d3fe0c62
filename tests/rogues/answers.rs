//! Commands answered beside the grammar, late, never, or with what was not asked.

use super::{Peace, Rogue, Say, Trouble, Verdict, last, slowly};

/// Sound, but it answers a command so.
fn answers<S: Into<Say>>(
    name: &str,
    verdict: Verdict,
    command: &'static str,
    answer: impl Fn(&str) -> S + Send + Sync + 'static,
) -> Rogue {
    Rogue::but(name, verdict, move |said, tag| {
        said.starts_with(command).then(|| answer(tag))
    })
}

/// Sound, but it says this of its folder.
fn opens(name: &str, verdict: Verdict, uid_validity: &str, uid_next: &str) -> Rogue {
    let opened = format!(
        "* 10 EXISTS\r\n* OK [UIDVALIDITY {uid_validity}]\r\n* OK [UIDNEXT {uid_next}]\r\n"
    );
    answers(name, verdict, "EXAMINE", move |tag| {
        format!("{opened}{tag} OK\r\n")
    })
}

pub(crate) fn all() -> Vec<Rogue> {
    let mut all = logins();
    all.extend(folders());
    all.extend(idles());
    all
}

fn logins() -> Vec<Rogue> {
    vec![
        answers(
            "login-then-bye",
            Trouble("the server ended the connection: “and goodbye”"),
            "AUTHENTICATE",
            |tag| last(format!("{tag} OK in\r\n* BYE and goodbye\r\n")),
        ),
        answers(
            "login-referral",
            Trouble("the server refused the login"),
            "AUTHENTICATE",
            |tag| format!("{tag} NO [REFERRAL imap://evil.example/] moved\r\n"),
        ),
        answers(
            "login-asks-for-ever",
            Trouble("it asks for more than the command holds"),
            "AUTHENTICATE",
            |_| "+ \r\n+ \r\n",
        ),
        answers(
            "login-slow",
            Trouble("did not finish AUTHENTICATE within 30 s"),
            "AUTHENTICATE",
            |_| slowly("", "* OK x"),
        ),
        answers(
            "login-wrong-tag",
            Trouble("it answers a command that was not sent"),
            "AUTHENTICATE",
            |_| "f999 OK in\r\n",
        ),
        Rogue::secured(
            "everything-ok",
            Trouble("it opens a folder without UIDVALIDITY"),
            "* OK\r\n",
            |_, _, tag: &str| format!("{tag} OK\r\n"),
        ),
        Rogue::secured(
            "everything-bad",
            Trouble("the server refused CAPABILITY"),
            "* OK\r\n",
            |_, _, tag: &str| format!("{tag} BAD\r\n"),
        ),
    ]
}

fn folders() -> Vec<Rogue> {
    vec![
        opens("uidvalidity-0", Peace, "0", "100"),
        opens("uidvalidity-4294967295", Peace, "4294967295", "4294967295"),
        opens(
            "uidvalidity-4294967296",
            Trouble("it opens a folder without UIDVALIDITY"),
            "4294967296",
            "100",
        ),
        opens("uidnext-0", Peace, "7", "0"),
        answers(
            "folder-never-opens",
            Trouble("did not finish EXAMINE within 30 s"),
            "EXAMINE",
            |_| "* 10 EXISTS\r\n",
        ),
    ]
}

fn idles() -> Vec<Rogue> {
    vec![
        answers("idle-no", Peace, "IDLE", |tag| format!("{tag} NO\r\n")),
        answers("idle-bad-without-text", Peace, "IDLE", |tag| {
            format!("{tag} BAD\r\n")
        }),
        answers("idle-ok-at-once", Peace, "IDLE", |tag| {
            format!("{tag} OK\r\n")
        }),
        answers(
            "idle-silence",
            Trouble("did not finish IDLE within 15 s"),
            "IDLE",
            |_| "",
        ),
        answers(
            "idle-ends-by-itself",
            Trouble("it ended IDLE by itself"),
            "IDLE",
            |tag| format!("+ idling\r\n{tag} OK\r\n"),
        ),
        answers(
            "idle-bye",
            Trouble("the server ended the connection: “see you”"),
            "IDLE",
            |_| last("+ idling\r\n* BYE see you\r\n"),
        ),
        answers("idle-slow-line", Peace, "IDLE", |_| {
            slowly("+ idling\r\n", "* OK x")
        }),
        answers("idle-still-here", Peace, "IDLE", |_| {
            slowly("+ idling\r\n", "* OK\r\n")
        }),
        answers(
            "idle-done-ignored",
            Trouble("did not finish IDLE within 15 s"),
            "IDLE",
            |_| slowly("+ idling\r\n* 11 EXISTS\r\n", "* OK\r\n"),
        ),
        answers(
            "idle-preauth",
            Trouble("somebody had logged in already"),
            "IDLE",
            |_| "+ idling\r\n* PREAUTH again\r\n",
        ),
        answers(
            "idle-literal",
            Trouble("a literal where none was asked for"),
            "IDLE",
            |_| "+ idling\r\n* LIST () \"/\" {100}\r\n",
        ),
    ]
}
