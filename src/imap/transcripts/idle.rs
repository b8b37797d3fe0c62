//! Rows 4 to 9: IDLE has limits of our own and ends when we say so.

use super::*;
use crate::imap::idle::Idling;

/// A session that idles in INBOX; IDLE has the tag f2.
async fn idling() -> (Session<Tap>, Server, Idling) {
    let (mut session, mut server) = in_inbox(10).await;
    let (idling, ()) = join!(session.idle(), async {
        server.receive("f2 IDLE").await;
        server.send("+ idling\r\n").await;
    });
    let idling = idling.expect("an answer").expect("IDLE");
    (session, server, idling)
}

/// What becomes of an IDLE that is answered so.
async fn idle_answered(answer: &str) -> (Result<Option<Idling>, Error>, Session<Tap>) {
    let (mut session, mut server) = in_inbox(10).await;
    let (idling, ()) = join!(session.idle(), async {
        server.receive("f2 IDLE").await;
        server.send(answer).await;
    });
    (idling, session)
}

fn in_20_s() -> Instant {
    Instant::now() + Duration::from_secs(20)
}

#[tokio::test(start_paused = true)]
async fn idle_refused_means_polling() {
    for answer in [
        "f2 NO not now\r\n",
        "f2 NO\r\n",
        "f2 BAD\r\n",
        "f2 BAD unknown\r\n",
        "f2 OK\r\n",
    ] {
        let (idling, _) = idle_answered(answer).await;
        assert!(idling.expect(answer).is_none(), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn idle_that_is_not_answered_is_left_after_15_s() {
    for answer in ["", "* OK hold on\r\n"] {
        let start = Instant::now();
        let (idling, _) = idle_answered(answer).await;
        assert!(matches!(
            error_of(idling),
            Error::Timeout { step: "IDLE", .. }
        ));
        assert_eq!(seconds_since(start), 15);
    }
}

#[tokio::test(start_paused = true)]
async fn a_mail_announced_between_idle_and_its_confirmation_is_heard() {
    let (idling, mut session) = idle_answered("* 11 EXISTS\r\n+ idling\r\n").await;
    assert!(idling.expect("an answer").is_some());
    let start = Instant::now();
    assert!(session.announced(in_20_s()).await.expect("news"));
    assert_eq!(seconds_since(start), 0);
}

#[tokio::test(start_paused = true)]
async fn an_end_or_a_bye_during_idle_is_an_error() {
    let (mut session, mut server, _idling) = idling().await;
    let (news, ()) = join!(session.announced(in_20_s()), server.hang_up());
    assert!(matches!(error_of(news), Error::Closed { .. }));

    let (mut session, mut server, _idling) = idling().await;
    let (news, ()) = join!(
        session.announced(in_20_s()),
        server.send("* BYE Autologout\r\n")
    );
    assert!(matches!(error_of(news), Error::Bye(_)));
}

#[tokio::test(start_paused = true)]
async fn an_idle_that_the_server_ends_is_an_error() {
    for answer in [
        "f2 OK Idle completed\r\n",
        "f2 BAD timeout\r\n",
        "f9 OK\r\n",
    ] {
        let (mut session, mut server, _idling) = idling().await;
        let (news, ()) = join!(session.announced(in_20_s()), server.send(answer));
        assert!(matches!(error_of(news), Error::Protocol(_)), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn still_here_does_not_restart_the_limit() {
    let (mut session, mut server, _idling) = idling().await;
    let start = Instant::now();
    let until = in_20_s();
    let (news, ()) = join!(session.announced(until), async {
        for _ in 0..30 {
            server.send("* OK Still here\r\n").await;
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    assert!(!news.expect("silence"));
    assert!(seconds_since(start) >= 20);
    assert!(until <= Instant::now());
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_still_here_ends_the_connection() {
    let (mut session, mut server, _idling) = idling().await;
    let start = Instant::now();
    let (news, ()) = join!(
        async {
            let news = session.announced(in_20_s()).await;
            drop(session);
            news
        },
        server.send("* OK Still here\r\n".repeat(30_000))
    );
    assert!(matches!(error_of(news), Error::Guard(_)));
    assert_eq!(seconds_since(start), 0);
}

#[tokio::test(start_paused = true)]
async fn flags_and_expunges_announce_nothing() {
    let (mut session, mut server, _idling) = idling().await;
    let (news, ()) = join!(
        session.announced(in_20_s()),
        server.send("* 3 FETCH (FLAGS (\\Seen))\r\n* 4 EXPUNGE\r\n* 0 RECENT\r\n")
    );
    assert!(!news.expect("silence"));
    assert_eq!(session.folder.exists, 9);
}

#[tokio::test(start_paused = true)]
async fn done_and_the_fetch_go_out_in_one_write() {
    let (mut session, mut server, idling) = idling().await;
    let (news, ()) = join!(session.announced(in_20_s()), server.send("* 11 EXISTS\r\n"));
    assert!(news.expect("news"));
    let (found, ()) = join!(session.fetch_new(100, Some(idling), &any), async {
        server.receive("DONE").await;
        server.receive(&format!("f3 UID FETCH 100:* {WHOLE}")).await;
        server
            .send("* OK by the way\r\nf2 OK Idle completed\r\n")
            .await;
        server.send(mail(11, 100, 4, b"A: b")).await;
        server.send("f3 OK\r\n").await;
    });
    assert_eq!(uids(&found.expect("a mail").messages), [100]);
    let writes = server.writes();
    assert_eq!(
        writes.last().map(String::as_str),
        Some(format!("DONE\r\nf3 UID FETCH 100:* {WHOLE}\r\n").as_str())
    );
}

#[tokio::test(start_paused = true)]
async fn a_silent_idle_ends_with_a_search() {
    let (mut session, mut server, idling) = idling().await;
    assert!(!session.announced(in_20_s()).await.expect("silence"));
    let (found, ()) = join!(session.has_new(100, Some(idling)), async {
        server.receive("DONE").await;
        server.receive("f3 UID FETCH 100:* (UID)").await;
        server
            .send("f2 OK\r\n* 12 EXISTS\r\n* 12 FETCH (UID 101)\r\nf3 OK\r\n")
            .await;
    });
    assert!(found.expect("an answer"), "the server did not announce it");
}

#[tokio::test(start_paused = true)]
async fn a_done_that_is_not_answered_is_left_after_15_s() {
    let (mut session, server, idling) = idling().await;
    let start = Instant::now();
    let error = error_of(session.has_new(100, Some(idling)).await);
    assert!(matches!(error, Error::Timeout { step: "IDLE", .. }));
    assert_eq!(seconds_since(start), 15);
    drop(server);
}

#[tokio::test(start_paused = true)]
async fn a_done_drowned_in_lines_is_left_after_15_s_and_called_a_flood() {
    let (mut session, mut server, idling) = idling().await;
    let start = Instant::now();
    let (ended, ()) = join!(
        async {
            let ended = session.has_new(100, Some(idling)).await;
            drop(session);
            ended
        },
        async {
            for _ in 0..2_000 {
                server.send("* 11 EXISTS\r\n").await;
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    );
    assert!(matches!(
        error_of(ended),
        Error::Flood {
            step: "IDLE",
            lines: 1_000..,
            ..
        }
    ));
    assert!(seconds_since(start) >= 15);
}

#[tokio::test(start_paused = true)]
async fn a_done_answered_no_is_an_error() {
    let (mut session, mut server, idling) = idling().await;
    let (found, ()) = join!(session.has_new(100, Some(idling)), async {
        server.receive("DONE").await;
        server.send("f2 NO\r\nf3 OK\r\n").await;
    });
    error_of(found);
}

#[tokio::test(start_paused = true)]
async fn a_mail_that_comes_with_the_answer_to_done_stays_announced() {
    let (mut session, mut server, idling) = idling().await;
    session.folder.exists = 11;
    let (found, ()) = join!(session.fetch_new(100, Some(idling), &any), async {
        server.receive("DONE").await;
        server.send("* 12 EXISTS\r\nf2 OK\r\n").await;
        server.send(mail(11, 100, 4, b"A: b")).await;
        server.send("f3 OK\r\n").await;
    });
    assert_eq!(uids(&found.expect("a mail").messages), [100]);
    assert!(
        session.folder.announced,
        "the twelfth is still to be searched"
    );
    assert_eq!((session.folder.exists, session.folder.searched), (12, 11));
}

#[tokio::test(start_paused = true)]
async fn logout_ends_idle_in_the_same_write() {
    let (session, server, idling) = idling().await;
    session.logout(Some(idling)).await;
    assert_eq!(
        server.writes().last().map(String::as_str),
        Some("DONE\r\nf3 LOGOUT\r\n")
    );
}
