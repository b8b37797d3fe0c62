//! Rows 12, 14, 15 and 17: what a server costs us is bounded.

use super::*;
use crate::imap::guard::{LINE, Violation};

/// The violation that ends a fetch of new mail which is answered so, and what was read until then.
async fn fetch_answered(answer: Vec<u8>) -> (Error, usize) {
    let (mut session, mut server) = in_inbox(10).await;
    session.folder.exists = 11;
    let before = server.octets_read();
    let (found, ()) = join!(
        async {
            let found = session.fetch_new(100, None, &any).await;
            // Nobody reads any more, and the server must hear that.
            drop(session);
            found
        },
        async {
            server.line().await;
            server.send(answer).await;
            server.hang_up().await;
        }
    );
    (error_of(found), server.octets_read() - before)
}

#[tokio::test(start_paused = true)]
async fn a_literal_longer_than_asked_for_costs_one_read() {
    let (error, read) =
        fetch_answered(b"* 11 FETCH (UID 100 BODY[]<0> {530000000}\r\nabc".to_vec()).await;
    assert!(matches!(
        error,
        Error::Guard(Violation::LiteralTooLong {
            announced: 530_000_000,
            allowed: 65_536
        })
    ));
    assert!(read < 100);
}

#[tokio::test(start_paused = true)]
async fn a_line_of_16_mib_costs_64_kib() {
    let mut line = b"* OK ".to_vec();
    line.resize(16 * 1024 * 1024, b'a');
    let (error, read) = fetch_answered(line).await;
    assert!(
        matches!(error, Error::Guard(Violation::LineTooLong(LINE))),
        "{error:?}"
    );
    assert!(read <= LINE + 8 * 1024, "{read}");
}

#[tokio::test(start_paused = true)]
async fn a_flood_between_command_and_answer_costs_what_the_answer_may() {
    for flood in [
        "* OK x\r\n",
        "* 11 EXISTS\r\n",
        "* 1 FETCH (FLAGS ())\r\n",
        "* XFOO\r\n",
    ] {
        let (error, read) = fetch_answered(flood.repeat(200_000).into_bytes()).await;
        assert!(
            matches!(
                error,
                Error::Guard(Violation::TooMuch(_) | Violation::TooManyLines(_))
            ),
            "{flood}: {error:?}"
        );
        assert!(read < 1024 * 1024, "{read}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_mails_costs_what_the_answer_may() {
    let mut flood = Vec::new();
    for uid in 100..120 {
        flood.extend_from_slice(&mail(11, uid, 65_000, &vec![b'x'; 65_000]));
    }
    let (error, read) = fetch_answered(flood).await;
    assert!(
        matches!(error, Error::Guard(Violation::TooMuch(_))),
        "{error:?}"
    );
    assert!(read < 1024 * 1024);
}

#[tokio::test(start_paused = true)]
async fn brackets_in_a_line_end_the_connection() {
    let deep = format!("* 11 FETCH (UID 100 BODYSTRUCTURE {}\r\n", "(".repeat(400));
    let (error, _) = fetch_answered(deep.into_bytes()).await;
    assert!(matches!(error, Error::Guard(Violation::Nesting)));
}

#[tokio::test(start_paused = true)]
async fn brackets_do_not_reach_the_parser_through_a_literal_that_it_takes_for_something_else() {
    // The parser reads an attribute it does not know up to the next `)` or blank, line ends included. What the
    // guard takes for a literal's octets is then grammar. 30 brackets here, which do not overflow the stack:
    // 60,000 would, and nothing catches that.
    let smuggled = format!(") BODYSTRUCTURE {}", "(".repeat(30));
    for attribute in [
        "X (",
        "X a",
        "BODY[X (a] ",
        "X (BODY[] ",
        "X (a] BODY[]<0> ",
    ] {
        let answer = format!(
            "* 11 FETCH (UID 100 {attribute}{{{}}}\r\n{smuggled}",
            smuggled.len()
        );
        let (error, _) = fetch_answered(answer.into_bytes()).await;
        assert!(matches!(error, Error::Guard(_)), "{attribute}: {error:?}");
    }
    let answer = format!(
        "* 11 FETCH (X (a\r\n* 11 FETCH (UID 100 BODY[]<0> {{{}}}\r\n{smuggled}",
        smuggled.len()
    );
    // The first line is dropped, so what the second holds is a literal to the parser too.
    let (error, _) = fetch_answered(answer.into_bytes()).await;
    assert!(
        matches!(error, Error::Closed { .. }),
        "over two lines: {error:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_literal_in_a_response_that_is_dropped_ends_the_connection() {
    // Else its octets, which others may have written (a folder's comment), are read as lines of the server.
    for line in [
        "* METADATA \"INBOX\" (/shared/comment {11}",
        "* ID (\"name\" {11}",
        "* 3 XFOO {11}",
    ] {
        let (error, _) =
            fetch_answered(format!("{line}\r\nf2 OK DONE\r\n)\r\n").into_bytes()).await;
        assert!(
            matches!(error, Error::Guard(Violation::UnexpectedLiteral)),
            "{line}: {error:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_of_many_literals_ends_the_connection() {
    // The parser begins anew at each line of a response, so that its cost grows with the square of their number.
    let mut answer = b"* 11 FETCH (UID 100".to_vec();
    for _ in 0..2_000 {
        answer.extend_from_slice(b" BODY[]<0> {1}\r\nx");
    }
    answer.extend_from_slice(b")\r\nf2 OK\r\n");
    let (error, read) = fetch_answered(answer).await;
    assert!(matches!(error, Error::Guard(_)), "{error:?}");
    assert!(read < 16 * 1024, "{read}");
}
