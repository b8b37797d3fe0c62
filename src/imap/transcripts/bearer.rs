//! Row 22: access tokens, and the dialogue of a refusal.

use super::*;
use crate::imap::bearer::Mechanism;
use crate::imap::error::Class;
use crate::imap::login::{Credentials, Proof};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const SECRET: &str = "ya29.geheim-token";

fn me(mechanism: Option<Mechanism>) -> Credentials {
    Credentials {
        user: "me@a.example".to_owned(),
        proof: Proof::Token {
            token: SECRET.into(),
            mechanism,
            host: "imap.a.example".to_owned(),
            port: 993,
        },
    }
}

fn bearer() -> String {
    STANDARD.encode(format!(
        "n,a=me@a.example,\x01host=imap.a.example\x01port=993\x01auth=Bearer {SECRET}\x01\x01"
    ))
}

fn xoauth2() -> String {
    STANDARD.encode(format!("user=me@a.example\x01auth=Bearer {SECRET}\x01\x01"))
}

fn offering(capabilities: &str) -> String {
    format!("* OK [CAPABILITY IMAP4rev1 {capabilities}] ready\r\n")
}

const BOTH: &str = "SASL-IR AUTH=PLAIN AUTH=XOAUTH2 AUTH=OAUTHBEARER";

#[tokio::test(start_paused = true)]
async fn the_standard_is_preferred_and_a_configured_mechanism_is_kept_to() {
    for (offered, wanted, line) in [
        (
            BOTH,
            None,
            format!("f1 AUTHENTICATE OAUTHBEARER {}", bearer()),
        ),
        (
            BOTH,
            Some(Mechanism::XOAuth2),
            format!("f1 AUTHENTICATE XOAUTH2 {}", xoauth2()),
        ),
        (
            "SASL-IR AUTH=XOAUTH2",
            None,
            format!("f1 AUTHENTICATE XOAUTH2 {}", xoauth2()),
        ),
    ] {
        let (mut session, mut server) = greeted(&offering(offered)).await;
        let me = me(wanted);
        let (login, ()) = join!(session.login(&me), async {
            server.receive(&line).await;
            server
                .send("f1 OK [CAPABILITY IMAP4rev1 IDLE] in\r\n")
                .await;
        });
        login.expect(offered);
        assert!(session.offers("IDLE").await.expect("known"));
    }
}

#[tokio::test(start_paused = true)]
async fn without_sasl_ir_or_where_it_is_a_lie_the_response_waits_to_be_asked_for() {
    for (offered, mechanism, response) in [
        ("AUTH=OAUTHBEARER", "OAUTHBEARER", bearer()),
        ("AUTH=XOAUTH2", "XOAUTH2", xoauth2()),
    ] {
        let (mut session, mut server) = greeted(&offering(offered)).await;
        let credentials = me(None);
        let (login, ()) = join!(session.login(&credentials), async {
            server
                .receive(&format!("f1 AUTHENTICATE {mechanism}"))
                .await;
            server.send("+ \r\n").await;
            server.receive(&response).await;
            server.send("f1 OK in\r\n").await;
        });
        login.expect(offered);

        let (mut session, mut server) = greeted(&offering(&format!("SASL-IR {offered}"))).await;
        let (login, ()) = join!(session.login(&credentials), async {
            server
                .receive(&format!("f1 AUTHENTICATE {mechanism} {response}"))
                .await;
            server.send("+\r\n").await;
            server.receive(&response).await;
            server.send("f1 OK in\r\n").await;
        });
        login.expect(offered);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_acknowledged_as_each_mechanism_wants_it_and_says_why() {
    let challenge = STANDARD.encode("{\"status\":\"invalid_token\",\"scope\":\"mail\"}");
    for (mechanism, acknowledgement) in [(Mechanism::OAuthBearer, "AQ=="), (Mechanism::XOAuth2, "")]
    {
        for offered in [BOTH, "AUTH=XOAUTH2 AUTH=OAUTHBEARER"] {
            let (mut session, mut server) = greeted(&offering(offered)).await;
            let me = me(Some(mechanism));
            let (login, ()) = join!(session.login(&me), async {
                server.line().await;
                if offered != BOTH {
                    server.send("+ \r\n").await;
                    server.line().await;
                }
                server.send(format!("+ {challenge}\r\n")).await;
                server.receive(acknowledgement).await;
                server.send("f1 NO [AUTHENTICATIONFAILED] no\r\n").await;
            });
            let error = error_of(login);
            assert_eq!(error.class(), Class::Login);
            assert_eq!(
                error.to_string(),
                "the server refused the login: “[AUTHENTICATIONFAILED] no {\"status\":\"invalid_token\",\"scope\":\"mail\"}”. \
                 The access token is for another mailbox, or not for IMAP. Check `scopes`, then run `fetch-token login \
                 me@a.example` as the mailbox's owner"
            );
        }
    }
}

/// The error of a login whose response is answered so, where what the client says after it is not looked at.
async fn answered(answers: &[String]) -> Error {
    let (mut session, mut server) = greeted(&offering(BOTH)).await;
    let me = me(Some(Mechanism::XOAuth2));
    let (login, ()) = join!(session.login(&me), async {
        server.line().await;
        for answer in answers {
            server.send(answer).await;
        }
        server.hang_up().await;
    });
    error_of(login)
}

#[tokio::test(start_paused = true)]
async fn hostile_challenges_are_bounded_and_shown_as_what_they_are() {
    let no = "f1 NO no\r\n".to_owned();
    let huge = STANDARD.encode("{\"status\":\"".to_owned() + &"4".repeat(30_000));
    for (answers, class, words) in [
        (
            vec![format!("+ {huge}\r\n"), no.clone()],
            Class::Login,
            "“no {\"status\":\"444",
        ),
        (
            vec![format!("+ {}\r\n", "A".repeat(70_000))],
            Class::Passing,
            "misbehaves",
        ),
        (
            vec!["+ this is not base64\r\n".to_owned(), no.clone()],
            Class::Doubtful,
            "“no this is not base64”",
        ),
        (
            vec!["+ /wD/AP8=\r\n".to_owned(), no.clone()],
            Class::Doubtful,
            "“no /wD/AP8=”",
        ),
        (
            vec![
                format!("+ {}\r\n", STANDARD.encode("\x1b[2J\x07")),
                no.clone(),
            ],
            Class::Doubtful,
            "\\u{1b}[2J\\u{7}",
        ),
        (
            vec!["+ e30=\r\n".repeat(3), no.clone()],
            Class::Passing,
            "asks for more than the command holds",
        ),
        (vec!["+ \r\n".repeat(5)], Class::Passing, "asks for more"),
        (
            vec!["+ e30=\r\n".to_owned()],
            Class::Passing,
            "ended during",
        ),
        (
            vec!["* BYE Too many failures\r\n".to_owned()],
            Class::Passing,
            "Too many failures",
        ),
        (
            vec!["f1 NO [UNAVAILABLE] later\r\n".to_owned()],
            Class::Passing,
            "tried again later",
        ),
        (
            vec!["f1 BAD unknown\r\n".to_owned()],
            Class::Doubtful,
            "unknown",
        ),
    ] {
        let error = answered(&answers).await;
        let shown = error.to_string();
        assert_eq!(error.class(), class, "{shown}");
        assert!(
            shown.contains(words) && shown.chars().count() < 600,
            "{shown}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn no_error_holds_the_token_that_a_server_repeats() {
    for said in [SECRET.to_owned(), xoauth2(), SECRET[..12].to_owned()] {
        for answers in [
            vec![format!("f1 NO [AUTHENTICATIONFAILED] {said}\r\n")],
            vec![
                format!("+ {}\r\n", STANDARD.encode(&said)),
                "f1 NO no\r\n".to_owned(),
            ],
            vec![format!("+ {said}\r\n"), "f1 NO no\r\n".to_owned()],
        ] {
            let shown = format!("{:?}", answered(&answers).await);
            assert!(
                !shown.contains("geheim") && !shown.contains(&said[..12]),
                "{shown}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn where_no_token_is_taken_none_is_sent() {
    for (offered, wanted) in [
        ("AUTH=PLAIN", None),
        ("AUTH=XOAUTH2", Some(Mechanism::OAuthBearer)),
        ("LOGINDISABLED", None),
    ] {
        let (mut session, server) = greeted(&offering(offered)).await;
        let error = error_of(session.login(&me(wanted)).await);
        assert!(matches!(error, Error::NoLoginMethod(_)), "{error:?}");
        assert!(server.writes().is_empty());
    }
    let (mut session, server) = greeted(&offering(BOTH)).await;
    let mut credentials = me(None);
    credentials.user = "me\x01auth=Bearer other".to_owned();
    let error = error_of(session.login(&credentials).await);
    assert!(matches!(error, Error::NoLoginMethod(_)), "{error:?}");
    assert!(server.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_is_refused_for_the_whole_sessions_sake_is_not_called_wrong() {
    for (said, words) in [
        (
            "BAD User is authenticated but not connected.",
            "too many connections",
        ),
        (
            "BAD Request is throttled. Suggested Backoff Time: 92415 milliseconds",
            "slows down",
        ),
        ("NO Mailbox doesn't exist: INBOX", "Check `folders`"),
    ] {
        let (mut session, mut server) = greeted(GREETING).await;
        let (opened, ()) = join!(session.examine("INBOX"), async {
            server.line().await;
            server.send(format!("f1 {said}\r\n")).await;
        });
        let error = opened.map(|_| ()).expect_err(said);
        assert_eq!(error.class(), Class::Passing);
        assert!(error.to_string().contains(words), "{error}");
    }
}
