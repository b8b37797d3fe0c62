//! Row 21, SASL-IR and what a refused login is.

use super::*;
use crate::imap::error::Class;
use crate::imap::login::{Credentials, Proof};

fn credentials(user: &str, password: &str) -> Credentials {
    Credentials {
        user: user.to_owned(),
        proof: Proof::Password(password.to_owned().into()),
    }
}

/// `\0me@a.example\0geheim`.
const RESPONSE: &str = "AG1lQGEuZXhhbXBsZQBnZWhlaW0=";

fn me() -> Credentials {
    credentials("me@a.example", "geheim")
}

#[tokio::test(start_paused = true)]
async fn where_sasl_ir_is_offered_the_response_goes_with_the_command() {
    let (mut session, mut server) = greeted(GREETING).await;
    let me = me();
    let (login, ()) = join!(session.login(&me), async {
        server
            .receive(&format!("f1 AUTHENTICATE PLAIN {RESPONSE}"))
            .await;
        server
            .send("f1 OK [CAPABILITY IMAP4rev1 IDLE] in\r\n")
            .await;
    });
    login.expect("a login");
    assert!(session.offers("IDLE").await.expect("known"));
    assert!(
        !session.offers("AUTH=PLAIN").await.expect("known"),
        "what was offered before login is forgotten"
    );
}

#[tokio::test(start_paused = true)]
async fn without_sasl_ir_the_response_waits_to_be_asked_for() {
    for asks in ["+ \r\n", "+\r\n", "+ go on\r\n"] {
        let (mut session, mut server) =
            greeted("* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready\r\n").await;
        let me = me();
        let (login, ()) = join!(session.login(&me), async {
            server.receive("f1 AUTHENTICATE PLAIN").await;
            server.send(asks).await;
            server.receive(RESPONSE).await;
            server
                .send("* CAPABILITY IMAP4rev1 IDLE\r\nf1 OK in\r\n")
                .await;
        });
        login.expect(asks);
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_offers_sasl_ir_and_asks_all_the_same_is_answered() {
    let (mut session, mut server) = greeted(GREETING).await;
    let me = me();
    let (login, ()) = join!(session.login(&me), async {
        server
            .receive(&format!("f1 AUTHENTICATE PLAIN {RESPONSE}"))
            .await;
        server.send("+ \r\n").await;
        server.receive(RESPONSE).await;
        server.send("f1 OK in\r\n").await;
    });
    login.expect("a login");
}

#[tokio::test(start_paused = true)]
async fn a_password_that_is_not_ascii_goes_by_authenticate_plain() {
    let (mut session, mut server) = greeted(GREETING).await;
    let me = credentials("me@a.example", "g\u{e4}heim");
    let (login, ()) = join!(session.login(&me), async {
        server
            .receive("f1 AUTHENTICATE PLAIN AG1lQGEuZXhhbXBsZQBnw6RoZWlt")
            .await;
        server.send("f1 OK in\r\n").await;
    });
    login.expect("a login");
}

#[tokio::test(start_paused = true)]
async fn login_is_for_servers_without_plain_and_quotes() {
    let (mut session, mut server) = greeted("* OK ready\r\n").await;
    let me = credentials("me", "a\"b\\c {5}");
    let (login, ()) = join!(session.login(&me), async {
        server.receive("f1 CAPABILITY").await;
        server.send("* CAPABILITY IMAP4rev1\r\nf1 OK\r\n").await;
        server.receive("f2 LOGIN \"me\" \"a\\\"b\\\\c {5}\"").await;
        server.send("f2 OK in\r\n").await;
    });
    login.expect("a login");
}

#[tokio::test(start_paused = true)]
async fn login_never_carries_what_a_quoted_string_cannot_hold() {
    for password in ["g\u{e4}heim", "a\r\nf9 DELETE x", "a\0b", "tab\t"] {
        let (mut session, server) = greeted("* OK [CAPABILITY IMAP4rev1] ready\r\n").await;
        let error = error_of(session.login(&credentials("me", password)).await);
        assert!(
            matches!(error, Error::NoLoginMethod(_)),
            "{password:?}: {error:?}"
        );
        assert!(server.writes().is_empty(), "nothing was sent");
    }
}

#[tokio::test(start_paused = true)]
async fn where_only_other_mechanisms_are_offered_no_password_is_sent() {
    let (mut session, server) =
        greeted("* OK [CAPABILITY IMAP4rev1 LOGINDISABLED AUTH=XOAUTH2] ready\r\n").await;
    let error = error_of(session.login(&me()).await);
    assert!(error.to_string().contains("XOAUTH2"), "{error}");
    assert!(server.writes().is_empty());
}

/// The error of a login that is answered so.
async fn answered(answer: &str) -> Error {
    let (mut session, mut server) = greeted(GREETING).await;
    let me = me();
    let (login, ()) = join!(session.login(&me), async {
        server.line().await;
        server.send(answer).await;
        server.hang_up().await;
    });
    error_of(login)
}

#[tokio::test(start_paused = true)]
async fn a_refused_login_is_final_when_the_server_says_why() {
    for (answer, class) in [
        (
            "f1 NO [AUTHENTICATIONFAILED] Authentication failed.\r\n",
            Class::Login,
        ),
        (
            "f1 NO [AUTHENTICATIONFAILED] Wrong password. Please try again.\r\n",
            Class::Login,
        ),
        ("f1 NO\r\n", Class::Doubtful),
        ("f1 BAD command unknown\r\n", Class::Doubtful),
        (
            "f1 NO [UNAVAILABLE] Temporary authentication failure.\r\n",
            Class::Passing,
        ),
        ("* BYE Too many failures\r\n", Class::Passing),
        ("", Class::Passing),
    ] {
        assert_eq!(answered(answer).await.class(), class, "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_server_that_thinks_20_s_about_a_wrong_password_is_heard() {
    // Dovecot's penalty for repeated failures is 15 s and more.
    let (mut session, mut server) = greeted(GREETING).await;
    let me = me();
    let (login, ()) = join!(session.login(&me), async {
        server.line().await;
        tokio::time::sleep(Duration::from_secs(20)).await;
        server
            .send("f1 NO [AUTHENTICATIONFAILED] Authentication failed.\r\n")
            .await;
    });
    assert_eq!(error_of(login).class(), Class::Login);
}

#[tokio::test(start_paused = true)]
async fn no_error_of_a_login_holds_the_password() {
    for answer in [
        format!("f1 NO {RESPONSE}\r\n"),
        format!("+ {}\r\n", "x".repeat(70_000)),
        format!("x {RESPONSE}\r\n"),
        "f2 OK\r\n".to_owned(),
    ] {
        let error = answered(&answer).await;
        assert!(!format!("{error} {error:?}").contains("geheim"));
    }
}

#[tokio::test(start_paused = true)]
async fn preauth_after_the_greeting_is_refused() {
    let (mut session, mut server) = greeted("* OK ready\r\n").await;
    let me = me();
    let (login, ()) = join!(session.login(&me), async {
        server.receive("f1 CAPABILITY").await;
        server.send("* PREAUTH welcome\r\nf1 OK\r\n").await;
    });
    assert!(matches!(error_of(login), Error::Protocol(why) if why.contains("logged in already")));
}
