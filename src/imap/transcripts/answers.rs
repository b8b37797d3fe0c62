//! Rows 1, 2, 10, 11 and 13: an answer counts when its tagged OK was read, and only then.

use super::*;
use crate::imap::guard::Violation;

/// What EXAMINE comes to.
async fn examined(answer: &str) -> (Result<(u32, Option<u32>), Error>, Session<Tap>, Server) {
    let (mut session, mut server) = greeted(GREETING).await;
    let (opened, ()) = join!(
        async {
            let opened = session.examine("INBOX").await;
            opened.map(|folder| (folder.uid_validity, folder.uid_next))
        },
        async {
            server.receive("f1 EXAMINE \"INBOX\"").await;
            server.send(answer).await;
        }
    );
    (opened, session, server)
}

#[tokio::test(start_paused = true)]
async fn a_command_answered_no_or_bad_or_by_an_end_is_an_error() {
    for answer in [
        "f2 NO busy\r\n",
        "f2 BAD what\r\n",
        "f2 NO\r\n",
        "f2 BAD\r\n",
        "",
        "* SEARCH\r\n",
        "* SEARCH 101\r\nf2 O",
    ] {
        let (mut session, mut server) = in_inbox(3).await;
        let back = session.look_back(Duration::from_mins(10), jiff::Timestamp::now(), &any);
        let (found, ()) = join!(back, async {
            server.receive("f2 UID SEARCH YOUNGER 600").await;
            server.send(answer).await;
            server.hang_up().await;
        });
        error_of(found);

        let (mut session, mut server) = in_inbox(3).await;
        let (found, ()) = join!(session.fetch_new(100, None, &any), async {
            server.receive(&list("f2", "100:*")).await;
            server.send(answer).await;
            server.hang_up().await;
        });
        error_of(found);

        let (mut session, mut server) = in_inbox(3).await;
        let (found, ()) = join!(session.has_new(100, None), async {
            server.receive("f2 UID FETCH 100:* (UID)").await;
            server.send(answer).await;
            server.hang_up().await;
        });
        error_of(found);
    }
}

#[tokio::test(start_paused = true)]
async fn mails_that_came_before_a_no_do_not_count() {
    let (mut session, mut server) = in_inbox(3).await;
    session.folder.exists = 4;
    let (found, ()) = join!(session.fetch_new(100, None, &any), async {
        server.receive(&format!("f2 UID FETCH 100:* {WHOLE}")).await;
        server.send(mail(4, 100, 5, b"A: b\n")).await;
        server.send("f2 NO disk\r\n").await;
    });
    assert!(matches!(error_of(found), Error::Refused { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_folder_without_uidvalidity_or_without_its_tagged_ok_is_not_open() {
    let (opened, ..) = examined("* 3 EXISTS\r\nf1 OK\r\n").await;
    assert!(matches!(error_of(opened), Error::Protocol(_)));
    let (mut session, mut server) = greeted(GREETING).await;
    let (opened, ()) = join!(session.examine("INBOX"), async {
        server.line().await;
        server
            .send("* 3 EXISTS\r\n* OK [UIDVALIDITY 7] ok\r\n")
            .await;
        server.hang_up().await;
    });
    assert!(matches!(error_of(opened), Error::Closed { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_folder_that_does_not_exist_is_named() {
    let (opened, ..) = examined("f1 NO [NONEXISTENT] Mailbox doesn't exist\r\n").await;
    let error = error_of(opened);
    assert!(
        error.to_string().contains("\"INBOX\"") && error.to_string().contains("doesn't exist"),
        "{error}"
    );
}

#[tokio::test(start_paused = true)]
async fn an_alert_inside_examine_is_no_answer_to_it() {
    let answer = "* NO [ALERT] mailbox is at 95% of quota\r\n* 3 EXISTS\r\n* OK [UIDVALIDITY 7]\r\n\
                  * OK [UIDNEXT 12]\r\nf1 OK [READ-ONLY] done\r\n";
    let (opened, mut session, mut server) = examined(answer).await;
    assert_eq!(opened.expect("open"), (7, Some(12)));
    let (found, ()) = join!(session.has_new(12, None), async {
        server.receive("f2 UID FETCH 12:* (UID)").await;
        server.send("f2 OK\r\n").await;
    });
    assert!(!found.expect("its own answer"));
}

#[tokio::test(start_paused = true)]
async fn codes_on_the_tagged_line_count_too() {
    let (opened, ..) =
        examined("* 3 EXISTS\r\n* OK [UIDNEXT 9]\r\nf1 OK [UIDVALIDITY 7] done\r\n").await;
    assert_eq!(opened.expect("open"), (7, Some(9)));
}

#[tokio::test(start_paused = true)]
async fn where_uidnext_is_missing_the_last_uid_is_asked_for() {
    let answer = "* 3 EXISTS\r\n* OK [UIDVALIDITY 7]\r\nf1 OK done\r\n";
    let (opened, mut session, mut server) = examined(answer).await;
    assert_eq!(opened.expect("open"), (7, None));
    let (next, ()) = join!(session.uid_after_last(), async {
        server.receive("f2 UID FETCH * (UID)").await;
        server.send("* 3 FETCH (UID 41)\r\nf2 OK\r\n").await;
    });
    assert_eq!(next.expect("a UID"), 42);

    let answer = "* 0 EXISTS\r\n* OK [UIDVALIDITY 7]\r\nf1 OK done\r\n";
    let (_, mut session, server) = examined(answer).await;
    assert_eq!(session.uid_after_last().await.expect("a UID"), 1);
    assert_eq!(server.writes().len(), 1, "an empty folder is not asked");
}

#[tokio::test(start_paused = true)]
async fn an_answer_with_a_foreign_tag_ends_the_session() {
    for answer in ["f1 OK\r\n", "f3 OK\r\n", "F2 OK\r\n", "a1 NO\r\n"] {
        let (mut session, mut server) = in_inbox(3).await;
        let (found, ()) = join!(session.has_new(100, None), async {
            server.line().await;
            server.send(answer).await;
        });
        assert!(matches!(error_of(found), Error::Protocol(_)), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_bye_is_an_error_wherever_it_comes() {
    let (mut session, mut server) = in_inbox(3).await;
    let (found, ()) = join!(session.has_new(100, None), async {
        server.line().await;
        server
            .send("* BYE [UNAVAILABLE] shutting down\r\nf2 OK\r\n")
            .await;
    });
    assert!(matches!(error_of(found), Error::Bye(_)));
}

#[tokio::test(start_paused = true)]
async fn a_question_that_no_command_expects_is_an_error() {
    let (mut session, mut server) = in_inbox(3).await;
    let (found, ()) = join!(session.has_new(100, None), async {
        server.line().await;
        server.send("+ more\r\n").await;
    });
    assert!(matches!(error_of(found), Error::Protocol(_)));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_silent_or_trickles_is_left_after_30_s() {
    for trickle in ["", "* OK still working\r\n"] {
        let (mut session, mut server) = in_inbox(3).await;
        let start = Instant::now();
        let (found, ()) = join!(session.has_new(100, None), async {
            server.line().await;
            for _ in 0..100 {
                server.send(trickle).await;
                tokio::time::sleep(Duration::from_secs(1)).await;
                if seconds_since(start) > 60 {
                    break;
                }
            }
        });
        let error = error_of(found);
        assert!(
            matches!(error, Error::Timeout { limit, .. } if limit.as_secs() == 30),
            "{error:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn untagged_lines_nobody_asked_for_do_not_end_the_session() {
    let (mut session, mut server) = in_inbox(3).await;
    let (found, ()) = join!(session.has_new(100, None), async {
        server.line().await;
        server
            .send(
                b"* XVENDOR (1 2)\r\n* METADATA \"\" (/x \"\xff\xfe\")\r\n* ID NIL\r\n* 3 XFOO\r\n\
                  * OK [ALERT]\xc3\xa9\r\n* 1 FETCH (FLAGS (\\Seen))\r\n* 3 FETCH (UID 99)\r\nf2 OK\r\n",
            )
            .await;
    });
    assert!(!found.expect("an answer"));
}

#[tokio::test(start_paused = true)]
async fn doubled_blanks_in_a_capability_list_are_read() {
    let (mut session, mut server) = greeted("* OK ready\r\n").await;
    let (offers, ()) = join!(session.offers("idle"), async {
        server.receive("f1 CAPABILITY").await;
        server
            .send("* CAPABILITY IMAP4rev1  IDLE \r\nf1 OK\r\n")
            .await;
    });
    assert!(offers.expect("an answer"));
}

#[tokio::test(start_paused = true)]
async fn a_mail_without_internaldate_is_refused_by_name() {
    let (mut session, mut server) = in_inbox(3).await;
    let (found, ()) = join!(session.has_new(100, None), async {
        server.line().await;
        server
            .send("* 3 FETCH (UID 5 INTERNALDATE NIL)\r\nf2 OK\r\n")
            .await;
    });
    assert!(matches!(
        error_of(found),
        Error::Guard(Violation::NoInternalDate)
    ));
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_cannot_be_read_shows_nothing_of_itself() {
    let secret = format!("Subject: x\r\n\r\nYour security token: {TOKEN}\r\n");
    for answer in [
        // A good literal, then an octet that fits nowhere.
        [
            fetched(4, "UID 100 RFC822.SIZE 90 BODY[]<0>", secret.as_bytes()),
            b"* 5 FETCH )\r\n".to_vec(),
        ]
        .concat(),
        [
            &format!("* 4 FETCH (UID 100 BODY[]<0> {{{}}}\r\n", secret.len()),
            secret.as_str(),
            "?)\r\n",
        ]
        .concat()
        .into_bytes(),
        format!("* 4 FETCH (UID 100 BODY[]<0> \"{TOKEN}\" ?? (\r\nf2 OK\r\n").into_bytes(),
        format!("{TOKEN}\r\n").into_bytes(),
        format!("* 4 FETCH (UID 100 BODY[]<0> {{9000}}\r\n{TOKEN}").into_bytes(),
    ] {
        let (mut session, mut server) = in_inbox(3).await;
        session.folder.exists = 4;
        let (found, ()) = join!(session.fetch_new(100, None, &any), async {
            server.line().await;
            server.send(answer).await;
            server.hang_up().await;
        });
        error_of(found);
    }
}
