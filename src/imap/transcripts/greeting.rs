//! Rows 12, 19 and 23: the greeting is read by us, in time, and must be OK.

use super::*;
use crate::imap::guard::Violation;

/// What comes of a greeting.
async fn outcome(greeting: impl AsRef<[u8]>) -> Result<Session<Tap>, Error> {
    let (tap, mut server) = wire();
    let (session, ()) = join!(Session::greeted(tap), async {
        server.send(greeting).await;
        server.hang_up().await;
    });
    session
}

#[tokio::test(start_paused = true)]
async fn a_greeting_is_ok_with_or_without_text() {
    for greeting in [
        "* OK\r\n",
        "* OK ready\r\n",
        "* ok [ALERT] maintenance tonight\r\n",
    ] {
        assert!(outcome(greeting).await.is_ok(), "{greeting}");
    }
}

#[tokio::test(start_paused = true)]
async fn preauth_is_refused() {
    let error = error_of(outcome("* PREAUTH welcome back\r\n").await);
    assert!(matches!(error, Error::Protocol(why) if why.contains("logged in already")));
}

#[tokio::test(start_paused = true)]
async fn a_bye_is_told_in_the_servers_words() {
    let error = error_of(outcome("* BYE too many connections\r\n").await);
    assert!(matches!(&error, Error::Bye(_)));
    assert!(error.to_string().contains("too many connections"));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_no_imap_server_is_refused() {
    for greeting in [
        "220 mx ESMTP\r\n",
        "+OK POP3 ready\r\n",
        "* 3 EXISTS\r\n",
        "\r\n",
        "x1 OK\r\n",
    ] {
        let error = error_of(outcome(greeting).await).to_string();
        assert!(
            error.contains("does not greet as an IMAP server"),
            "{greeting}: {error}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_ends_before_or_inside_the_greeting_is_closed() {
    for greeting in ["", "* OK rea"] {
        let error = error_of(outcome(greeting).await);
        assert!(
            matches!(error, Error::Closed { .. }),
            "{greeting}: {error:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_server_is_left_after_15_s() {
    let (tap, server) = wire();
    let start = Instant::now();
    let error = error_of(Session::greeted(tap).await);
    assert!(matches!(
        error,
        Error::Timeout {
            step: "the greeting",
            ..
        }
    ));
    assert_eq!(seconds_since(start), 15);
    drop(server);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_trickles_its_greeting_is_left_after_15_s() {
    let (tap, mut server) = wire();
    let start = Instant::now();
    let (session, ()) = join!(Session::greeted(tap), async {
        for _ in 0..60 {
            server.send(" ").await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    error_of(session);
    assert!(seconds_since(start) >= 15);
}

#[tokio::test(start_paused = true)]
async fn brackets_nested_deeply_end_the_connection_before_the_parser_sees_them() {
    let deep = format!("* 1 FETCH (BODYSTRUCTURE {}\r\n", "(".repeat(400));
    let error = error_of(outcome(deep).await);
    assert!(
        matches!(error, Error::Guard(Violation::Nesting)),
        "{error:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn eight_bit_text_behind_a_code_does_not_break_the_reader() {
    assert!(outcome("* OK [ALERT]\u{e9}t\u{e9}\r\n").await.is_ok());
}
