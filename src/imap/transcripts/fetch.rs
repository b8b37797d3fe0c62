//! Row 3, and how new mail is fetched: by UID, few at once unseen, many after a look at their headers.

use super::*;

const MAIL: &[u8] = b"From: support@salesforce.com\r\nSubject: x\r\n\r\nbody\r\n";

/// A session in INBOX to which so many new mails were announced.
async fn announced(new: u32) -> (Session<Tap>, Server) {
    let (mut session, server) = in_inbox(10).await;
    session.folder.exists += new;
    session.folder.announced = true;
    (session, server)
}

#[tokio::test(start_paused = true)]
async fn up_to_four_new_mails_are_fetched_by_one_command() {
    for new in 1..=4 {
        let (mut session, mut server) = announced(new).await;
        let (found, ()) = join!(session.fetch_new(100, None, &any), async {
            server.receive(&format!("f2 UID FETCH 100:* {WHOLE}")).await;
            for uid in 100..100 + new {
                server.send(mail(uid - 89, uid, MAIL.len(), MAIL)).await;
            }
            server.send("f2 OK\r\n").await;
        });
        let found = found.expect("mails");
        assert_eq!(uids(&found.messages), (100..100 + new).collect::<Vec<_>>());
        assert_eq!(found.highest, Some(99 + new));
        assert!(
            found
                .messages
                .iter()
                .all(|mail| mail.raw.as_slice() == MAIL && mail.uid_validity == 7)
        );
        assert!(!session.folder.announced);
    }
}

#[tokio::test(start_paused = true)]
async fn of_more_than_four_the_header_fields_come_first_and_triage_picks() {
    let (mut session, mut server) = announced(5).await;
    let picky = |header: &[u8]| header.starts_with(b"From: support@");
    let (found, ()) = join!(session.fetch_new(100, None, &picky), async {
        server.receive(&list("f2", "100:*")).await;
        for uid in 100..105 {
            let from = if uid % 2 == 0 {
                "support@salesforce.com"
            } else {
                "x@y.example"
            };
            server
                .send(header(
                    uid - 89,
                    uid,
                    format!("From: {from}\r\n\r\n").as_bytes(),
                ))
                .await;
        }
        server.send("f2 OK\r\n").await;
        server
            .receive(&format!("f3 UID FETCH 100,102,104 {WHOLE}"))
            .await;
        for uid in [104, 100, 102] {
            server.send(mail(uid - 89, uid, MAIL.len(), MAIL)).await;
        }
        server.send("f3 OK\r\n").await;
    });
    let found = found.expect("mails");
    assert_eq!(
        uids(&found.messages),
        [100, 102, 104],
        "lowest first, however they came"
    );
    assert_eq!(found.highest, Some(104));
}

#[tokio::test(start_paused = true)]
async fn the_last_mail_is_not_new_though_n_to_star_names_it() {
    let (mut session, mut server) = announced(1).await;
    let (found, ()) = join!(session.fetch_new(100, None, &any), async {
        server.line().await;
        server.send(mail(10, 99, MAIL.len(), MAIL)).await;
        server.send("f2 OK\r\n").await;
    });
    let found = found.expect("an answer");
    assert_eq!((found.messages.len(), found.highest), (0, None));

    let (mut session, mut server) = announced(0).await;
    let (found, ()) = join!(session.fetch_new(100, None, &any), async {
        server.receive(&list("f2", "100:*")).await;
        server.send(header(10, 99, b"From: a\r\n\r\n")).await;
        server.send("f2 OK\r\n").await;
    });
    let found = found.expect("an answer");
    assert_eq!((found.messages.len(), found.highest), (0, None));

    let (mut session, mut server) = announced(0).await;
    let (found, ()) = join!(session.has_new(100, None), async {
        server.receive("f2 UID FETCH 100:* (UID)").await;
        server.send("* 10 FETCH (UID 99)\r\nf2 OK\r\n").await;
    });
    assert!(!found.expect("an answer"));
}

#[tokio::test(start_paused = true)]
async fn a_mail_nobody_asked_for_is_not_handed_on() {
    let (mut session, mut server) = announced(5).await;
    let (found, ()) = join!(session.fetch_new(100, None, &any), async {
        server.line().await;
        server.send(header(11, 100, b"From: a\r\n\r\n")).await;
        server.send("f2 OK\r\n").await;
        server.receive(&format!("f3 UID FETCH 100 {WHOLE}")).await;
        for uid in [7, 100, 101, u32::MAX] {
            server.send(mail(11, uid, MAIL.len(), MAIL)).await;
        }
        server.send("f3 OK\r\n").await;
    });
    let found = found.expect("mails");
    assert_eq!(uids(&found.messages), [100]);
    assert_eq!(found.highest, Some(100));
}

#[tokio::test(start_paused = true)]
async fn a_longer_mail_is_completed_up_to_1_mib() {
    for (size, rest) in [(65_537, 1), (100_000, 34_464), (5_000_000, 983_040)] {
        let (mut session, mut server) = announced(1).await;
        let mut first = MAIL.to_vec();
        first.resize(65_536, b'x');
        let (found, ()) = join!(session.fetch_new(100, None, &any), async {
            server.line().await;
            server.send(mail(11, 100, size, &first)).await;
            server.send("f2 OK\r\n").await;
            server
                .receive("f3 UID FETCH 100 (UID BODY.PEEK[]<65536.983040>)")
                .await;
            server
                .send(fetched(4, "UID 99 BODY[]<65536>", b"of another mail"))
                .await;
            server
                .send(fetched(11, "UID 100 BODY[]<65536>", &vec![b'y'; rest]))
                .await;
            server.send("f3 OK\r\n").await;
        });
        let found = found.expect("a mail");
        assert_eq!(found.messages[0].raw.len(), 65_536 + rest);
        assert!(found.messages[0].raw.len() <= crate::imap::fetch::MOST);
        assert!(found.messages[0].raw.ends_with(b"y"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_mail_below_64_kib_is_whole() {
    let (mut session, mut server) = announced(1).await;
    let (found, ()) = join!(session.fetch_new(100, None, &any), async {
        server.line().await;
        server
            .send(mail(11, 100, 65_535, &vec![b'x'; 65_535]))
            .await;
        server.send("f2 OK\r\n").await;
    });
    assert_eq!(found.expect("a mail").messages[0].raw.len(), 65_535);
}

#[tokio::test(start_paused = true)]
async fn a_mail_cut_at_64_kib_is_completed_though_the_server_tells_a_wrong_size() {
    // Exchange tells estimates, and some servers answer in two responses of which only one holds the size.
    for size in [0, 60_000] {
        let (mut session, mut server) = announced(1).await;
        let mut first = MAIL.to_vec();
        first.resize(65_536, b'x');
        let (found, ()) = join!(session.fetch_new(100, None, &any), async {
            server.line().await;
            server.send(mail(11, 100, size, &first)).await;
            server.send("f2 OK\r\n").await;
            server
                .receive("f3 UID FETCH 100 (UID BODY.PEEK[]<65536.983040>)")
                .await;
            server
                .send(fetched(11, "UID 100 BODY[]<65536>", b"end"))
                .await;
            server.send("f3 OK\r\n").await;
        });
        assert_eq!(found.expect("a mail").messages[0].raw.len(), 65_539);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_expunged_between_listing_and_fetching_is_passed_over() {
    let (mut session, mut server) = announced(5).await;
    let (found, ()) = join!(session.fetch_new(100, None, &any), async {
        server.line().await;
        for uid in 100..105 {
            server.send(header(uid - 89, uid, b"From: a\r\n\r\n")).await;
        }
        server.send("* 11 EXPUNGE\r\nf2 OK\r\n").await;
        server
            .receive(&format!("f3 UID FETCH 100:104 {WHOLE}"))
            .await;
        for uid in 101..105 {
            server.send(mail(uid - 90, uid, MAIL.len(), MAIL)).await;
        }
        server.send("* 1 EXPUNGE\r\n* 14 EXISTS\r\nf3 OK\r\n").await;
    });
    assert_eq!(uids(&found.expect("mails").messages), [101, 102, 103, 104]);
    assert_eq!(session.folder.exists, 14);
    assert!(session.folder.announced, "EXISTS is news, to be searched");
}

#[tokio::test(start_paused = true)]
async fn a_mail_with_no_octets_is_no_mail() {
    let (mut session, mut server) = announced(2).await;
    let (found, ()) = join!(session.fetch_new(100, None, &any), async {
        server.line().await;
        server
            .send("* 11 FETCH (UID 100 RFC822.SIZE 9 BODY[]<0> NIL)\r\n")
            .await;
        server.send("* 12 FETCH (FLAGS (\\Seen))\r\n").await;
        server.send(mail(12, 101, 9, b"A: b\r\n\r\nc")).await;
        server.send("f2 OK\r\n").await;
    });
    let found = found.expect("mails");
    assert_eq!(uids(&found.messages), [101]);
    assert!(found.absent.contains(&100), "it is still to be had");
}

#[tokio::test(start_paused = true)]
async fn a_mail_with_a_subject_of_60_kib_does_not_end_the_watch() {
    // Anybody can send one; a connection that ends here ends at each attempt, and no later mail is ever found.
    let (mut session, mut server) = announced(5).await;
    let long = format!("Subject: {}\r\n\r\n", "x".repeat(60_000));
    let (found, ()) = join!(
        session.fetch_new(100, None, &|header: &[u8]| header.starts_with(b"From")),
        async {
            let line = server.line().await;
            let most = line
                .split_once("(FROM SUBJECT)]<0.")
                .and_then(|(_, rest)| rest.split_once('>'))
                .and_then(|(most, _)| most.parse().ok());
            let sent = &long.as_bytes()[..most.unwrap_or(long.len()).min(long.len())];
            server.send(header(11, 100, sent)).await;
            server.send(header(12, 101, b"From: a\r\n\r\n")).await;
            server.send("f2 OK\r\n").await;
            server.receive(&format!("f3 UID FETCH 101 {WHOLE}")).await;
            server.send(mail(12, 101, MAIL.len(), MAIL)).await;
            server.send("f3 OK\r\n").await;
        }
    );
    assert_eq!(uids(&found.expect("the mail behind it").messages), [101]);
}

#[tokio::test(start_paused = true)]
async fn mails_are_fetched_eight_at_a_time_the_newest_first() {
    let (mut session, mut server) = announced(20).await;
    let (found, ()) = join!(session.fetch_new(100, None, &any), async {
        server.line().await;
        for uid in 100..120 {
            server.send(header(uid - 89, uid, b"From: a\r\n\r\n")).await;
        }
        server.send("f2 OK\r\n").await;
        for (tag, first, last) in [("f3", 112, 119), ("f4", 104, 111), ("f5", 100, 103)] {
            server
                .receive(&format!("{tag} UID FETCH {first}:{last} {WHOLE}"))
                .await;
            for uid in first..=last {
                server.send(mail(uid - 89, uid, MAIL.len(), MAIL)).await;
            }
            server.send(format!("{tag} OK\r\n")).await;
        }
    });
    let found = found.expect("mails");
    assert_eq!(uids(&found.messages), (100..120).collect::<Vec<_>>());
    assert_eq!(found.rest, [0; 0]);
}

#[tokio::test(start_paused = true)]
async fn no_more_is_held_at_once_than_a_few_long_mails() {
    const LONG: usize = 1024 * 1024;
    let (mut session, mut server) = announced(6).await;
    let first = vec![b'x'; 65_536];
    let rest = vec![b'y'; LONG - 65_536];
    let (found, ()) = join!(
        async {
            let mut found = session.fetch_new(100, None, &any).await.expect("mails");
            let held: usize = found.messages.iter().map(|mail| mail.raw.len()).sum();
            assert!(held <= 8 * LONG, "{held} octets");
            let left = found.rest.len();
            let more = session.fetch_some(&mut found.rest, &any).await;
            (
                found.messages.len(),
                left,
                more.expect("the others").messages.len(),
            )
        },
        async {
            server.line().await;
            for uid in 100..116 {
                server.send(header(uid - 89, uid, b"From: a\r\n\r\n")).await;
            }
            server.send("f2 OK\r\n").await;
            let mut tag = 3;
            for (from, to) in [(108, 115), (100, 107)] {
                server
                    .receive(&format!("f{tag} UID FETCH {from}:{to} {WHOLE}"))
                    .await;
                for uid in from..=to {
                    server.send(mail(uid - 89, uid, LONG, &first)).await;
                }
                server.send(format!("f{tag} OK\r\n")).await;
                tag += 1;
                for uid in from..=to {
                    server.line().await;
                    let head = format!("* 1 FETCH (UID {uid} BODY[]<65536> {{{}}}\r\n", rest.len());
                    server
                        .send([head.as_bytes(), &rest, b")\r\n"].concat())
                        .await;
                    server.send(format!("f{tag} OK\r\n")).await;
                    tag += 1;
                }
            }
        }
    );
    assert_eq!(found, (8, 8, 8));
}

#[tokio::test(start_paused = true)]
async fn more_mails_than_one_list_can_name_are_listed_step_by_step() {
    let (mut session, mut server) = in_inbox(40_000).await;
    session.folder.uid_next = Some(40_100);
    let (found, ()) = join!(session.fetch_new(100, None, &any), async {
        for (tag, uids, uid) in [
            ("f2", "100:16099", 100),
            ("f3", "16100:32099", 32_099),
            ("f4", "32100:*", 40_099),
        ] {
            let line = server.line().await;
            assert!(
                line.starts_with(&format!("{tag} UID FETCH {uids} (UID RFC822.SIZE")),
                "{line}"
            );
            server.send(header(11, uid, b"From: a\r\n\r\n")).await;
            server.send(format!("{tag} OK\r\n")).await;
        }
        server
            .receive(&format!("f5 UID FETCH 100,32099,40099 {WHOLE}"))
            .await;
        for uid in [100, 32_099, 40_099] {
            server.send(mail(11, uid, MAIL.len(), MAIL)).await;
        }
        server.send("f5 OK\r\n").await;
    });
    let found = found.expect("mails");
    assert_eq!(uids(&found.messages), [100, 32_099, 40_099]);
    assert_eq!(found.highest, Some(40_099));
}

#[tokio::test(start_paused = true)]
async fn a_gap_in_the_numbers_of_a_small_folder_is_one_list() {
    let (mut session, mut server) = in_inbox(10).await;
    session.folder.uid_next = Some(4_000_000_000);
    let (found, ()) = join!(session.fetch_new(100, None, &any), async {
        assert!(server.line().await.starts_with("f2 UID FETCH 100:* ("));
        server.send("f2 OK\r\n").await;
    });
    assert_eq!(found.expect("an answer").highest, None);
}
