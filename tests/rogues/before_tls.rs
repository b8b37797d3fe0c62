//! STARTTLS stripped, answered for and talked around in the ways that "Why TLS Is Better Without STARTTLS" (USENIX
//! Security 2021) lists for IMAP clients; and TLS that proves nothing.

use super::{Rogue, Say, Scripted, Security, Trouble, Verdict, endlessly, last, slowly};
use crate::lab::{Ca, Identity, remembering, silent};
use std::sync::OnceLock;

/// In clear text: so greeted, so answered.
fn plain<S: Into<Say>>(
    name: &str,
    verdict: Verdict,
    greeting: impl Into<Say>,
    answer: impl Fn(&str) -> S + Send + Sync + 'static,
) -> Rogue {
    let server = Scripted::plain(greeting, move |_, _, tag| answer(tag));
    Rogue::new(name, "starttls", server, verdict)
}

fn stranger() -> &'static Identity {
    static STRANGER: OnceLock<Ca> = OnceLock::new();
    &STRANGER.get_or_init(|| Ca::new("a stranger")).localhost
}

const READY: &str = "* OK ready\r\n";
const STRIPPED: &str = "* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN LOGIN] ready\r\n";

pub(crate) fn all() -> Vec<Rogue> {
    let mut all = stripped();
    all.extend(injected());
    all.extend(endless());
    all.extend(untrusted());
    all
}

fn stripped() -> Vec<Rogue> {
    let refused = Trouble("the server refused STARTTLS");
    vec![
        plain("strip-capability-missing", refused, STRIPPED, |tag| {
            format!("{tag} BAD unknown command\r\n")
        }),
        plain("strip-no", refused, READY, |tag| {
            format!("{tag} NO not today\r\n")
        }),
        plain("strip-bad-without-text", refused, READY, |tag| {
            format!("{tag} BAD\r\n")
        }),
        plain(
            "strip-untagged-bye",
            Trouble("the server ended the connection: “no TLS here”"),
            READY,
            |_| "* BYE no TLS here\r\n",
        ),
        plain(
            "strip-untagged-ok",
            Trouble("did not finish STARTTLS within 15 s"),
            READY,
            |_| "* OK begin TLS negotiation now\r\n",
        ),
        plain(
            "strip-silence",
            Trouble("did not finish STARTTLS within 15 s"),
            READY,
            |_| "",
        ),
        plain(
            "strip-end",
            Trouble("the connection ended during STARTTLS"),
            READY,
            |_| last(""),
        ),
        plain(
            "strip-preauth",
            Trouble("logged in already, before TLS"),
            "* PREAUTH welcome\r\n",
            |tag| format!("{tag} OK\r\n"),
        ),
        plain(
            "strip-greeting-bye",
            Trouble("ended the connection: “[ALERT] "),
            "* BYE [ALERT] Security update: log in at https://evil.example/login\r\n",
            |tag| format!("{tag} OK\r\n"),
        ),
        plain(
            "strip-alert",
            Trouble("refused STARTTLS: “NO [ALERT] Log in at https://evil.example"),
            "* OK [ALERT] Log in at https://evil.example\r\n",
            |tag| format!("{tag} NO [ALERT] Log in at https://evil.example\r\n"),
        ),
        plain(
            "strip-referral",
            Trouble("refused STARTTLS: “NO [REFERRAL imap://evil.example/]"),
            READY,
            |tag| format!("{tag} NO [REFERRAL imap://evil.example/] moved\r\n"),
        ),
    ]
}

fn injected() -> Vec<Rogue> {
    let injected = Trouble("it sends data between STARTTLS and TLS");
    let secured = Security::StartTls(&Ca::shared().localhost);
    let early = "* OK ready\r\ns1 OK begin TLS\r\n";
    vec![
        plain("inject-response", injected, READY, |tag| {
            format!("{tag} OK go\r\n* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] hello\r\n")
        }),
        plain("inject-preauth", injected, READY, |tag| {
            format!("{tag} OK go\r\n* PREAUTH welcome\r\n")
        }),
        plain("inject-octet", injected, READY, |tag| {
            format!("{tag} OK go\r\nx")
        }),
        plain(
            "inject-answer-before-the-command",
            Trouble("it answers STARTTLS before it is asked"),
            early,
            |tag| format!("{tag} OK go\r\n"),
        ),
        // What was offered before TLS counts for nothing after it: AUTH=PLAIN is not there any more.
        Rogue::new(
            "inject-capabilities-before-tls",
            "starttls",
            Scripted::start(
                secured,
                "* OK [CAPABILITY IMAP4rev1 STARTTLS AUTH=PLAIN] ready\r\n",
                remembering(|_, command, tag| {
                    (command == "CAPABILITY").then(|| {
                        format!("* CAPABILITY IMAP4rev1 LOGINDISABLED\r\n{tag} OK done\r\n")
                    })
                }),
            ),
            Trouble("the server takes no password"),
        ),
        Rogue::new(
            "preauth-behind-starttls",
            "starttls",
            Scripted::start(secured, READY, |_, command: &str, tag: &str| {
                if command == "STARTTLS" {
                    format!("{tag} OK go\r\n")
                } else {
                    "* PREAUTH welcome\r\n".to_owned()
                }
            }),
            Trouble("somebody had logged in already"),
        ),
    ]
}

fn endless() -> Vec<Rogue> {
    vec![
        plain(
            "clear-endless-greeting",
            Trouble("a line without end before TLS"),
            endlessly("* OK ", "x"),
            |_| "",
        ),
        plain(
            "clear-slow-greeting",
            Trouble("did not finish STARTTLS within 15 s"),
            slowly("", "* OK x"),
            |_| "",
        ),
        plain(
            "clear-endless-line",
            Trouble("a line without end before TLS"),
            READY,
            |_| endlessly("", "x"),
        ),
        plain(
            "clear-endless-lines",
            Trouble("talks without end before TLS"),
            READY,
            |_| endlessly("", "* OK wait\r\n"),
        ),
        plain(
            "clear-other-protocol",
            Trouble("it does not greet as an IMAP server does"),
            "220 mail.example ESMTP\r\n",
            |_| "500 what?\r\n",
        ),
        plain(
            "clear-literals",
            Trouble("the server refused STARTTLS"),
            READY,
            |tag| {
                format!(
                    "* OK {{4294967296}}\r\n* 1 FETCH (BODYSTRUCTURE {}\r\n{tag} NO\r\n",
                    "(".repeat(400)
                )
            },
        ),
    ]
}

fn untrusted() -> Vec<Rogue> {
    let ca = Ca::shared();
    let identities = [
        ("expired", &ca.expired, "certificate has expired"),
        (
            "wrong-host",
            &ca.elsewhere,
            "certificate is for another host",
        ),
        (
            "untrusted",
            stranger(),
            "an authority that this machine does not know",
        ),
    ];
    let mut all = Vec::new();
    for (name, identity, words) in identities {
        all.push(Rogue::security(
            &format!("tls-{name}"),
            "implicit",
            Security::Implicit(identity),
            Trouble(words),
        ));
        all.push(Rogue::security(
            &format!("starttls-{name}"),
            "starttls",
            Security::StartTls(identity),
            Trouble(words),
        ));
    }
    all.push(Rogue::security(
        "tls-handshake-stalls",
        "implicit",
        Security::Mute,
        Trouble("did not finish the TLS handshake within 15 s"),
    ));
    all.push(plain(
        "starttls-handshake-stalls",
        Trouble("did not finish the TLS handshake within 15 s"),
        READY,
        |tag| match tag {
            "s1" => Say::from("s1 OK go\r\n"),
            // The client's hello ends no line: nothing more is said, and the connection stays.
            _ => Say::from(""),
        },
    ));
    all.push(Rogue::new(
        "tls-clear-text",
        "implicit",
        Scripted::plain(READY, silent),
        Trouble("the handshake failed"),
    ));
    all
}
