//! Looking back by SEARCH YOUNGER (RFC 5032), and by blocks from the folder's end where that is not offered.

use super::*;
use jiff::Timestamp;

const TEN: Duration = Duration::from_mins(10);

const WITHOUT_WITHIN: &str = "* OK [CAPABILITY IMAP4rev1 IDLE] ready\r\n";

fn now() -> Timestamp {
    "2026-11-24T10:00:00Z".parse().expect("a time")
}

/// `INTERNALDATE` of a mail that arrived so many minutes before [`now`].
fn minutes_ago(minutes: i64) -> String {
    let arrived = now() - jiff::SignedDuration::from_mins(minutes);
    arrived.strftime("%d-%b-%Y %H:%M:%S +0000").to_string()
}

#[tokio::test(start_paused = true)]
async fn where_within_is_offered_the_server_searches() {
    let (mut session, mut server) = in_inbox(50_000).await;
    let (found, ()) = join!(session.look_back(TEN, now(), &any), async {
        server.receive("f2 UID SEARCH 45905:* YOUNGER 600").await;
        server
            .send("* SEARCH 90 77 91\r\n* SEARCH 99 \r\nf2 OK\r\n")
            .await;
        server.receive(&list("f3", "77,90:91,99")).await;
        for uid in [99, 77, 12, 90, 91] {
            server.send(header(uid, uid, b"From: a\r\n\r\n")).await;
        }
        server.send("f3 OK\r\n").await;
        server
            .receive(&format!("f4 UID FETCH 77,90:91,99 {WHOLE}"))
            .await;
        for uid in [91, 12, 90, 77] {
            server.send(mail(uid, uid, 4, b"A: b")).await;
        }
        server.send("f4 OK\r\n").await;
    });
    assert_eq!(uids(&found.expect("mails").messages), [77, 90, 91]);
}

#[tokio::test(start_paused = true)]
async fn nothing_young_is_nothing() {
    for nothing in ["* SEARCH\r\nf2 OK\r\n", "f2 OK\r\n"] {
        let (mut session, mut server) = in_inbox(50_000).await;
        let (found, ()) = join!(session.look_back(TEN, now(), &any), async {
            server.receive("f2 UID SEARCH 45905:* YOUNGER 600").await;
            server.send(nothing).await;
        });
        assert!(found.expect("an answer").messages.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn a_small_folder_is_searched_as_a_whole() {
    let (mut session, mut server) = in_inbox(4096).await;
    let (found, ()) = join!(session.look_back(TEN, now(), &any), async {
        server.receive("f2 UID SEARCH YOUNGER 600").await;
        server.send("f2 OK\r\n").await;
    });
    assert!(found.expect("an answer").messages.is_empty());
}

#[tokio::test(start_paused = true)]
async fn stretches_double_until_half_of_one_is_older_than_the_window() {
    let (mut session, mut server) = in_inbox(50_000).await;
    let answer = |tag: &str, young: std::ops::Range<u32>| {
        let young: Vec<_> = young.map(|uid| uid.to_string()).collect();
        format!("* SEARCH {}\r\n{tag} OK\r\n", young.join(" "))
    };
    let (found, ()) = join!(session.look_back(TEN, now(), &|_: &[u8]| false), async {
        server.receive("f2 UID SEARCH 45905:* YOUNGER 600").await;
        server.send(answer("f2", 5000..7049)).await;
        server
            .receive("f3 UID SEARCH 37713:45904 YOUNGER 600")
            .await;
        server.send(answer("f3", 900..4996)).await;
        // 6,145 mails, 500 in a command.
        for tag in 4..17 {
            let line = server.line().await;
            assert!(line.starts_with(&format!("f{tag} UID FETCH ")), "{line}");
            server.send(format!("f{tag} OK\r\n")).await;
        }
    });
    assert!(found.expect("nothing worth fetching").messages.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_folder_of_new_mails_is_searched_to_its_first() {
    let (mut session, mut server) = in_inbox(5000).await;
    let (found, ()) = join!(session.look_back(TEN, now(), &|_: &[u8]| false), async {
        server.receive("f2 UID SEARCH 905:* YOUNGER 600").await;
        let all: Vec<_> = (905..=5000).map(|uid: u32| uid.to_string()).collect();
        server
            .send(format!("* SEARCH {}\r\nf2 OK\r\n", all.join(" ")))
            .await;
        server.receive("f3 UID SEARCH 1:904 YOUNGER 600").await;
        server.send("f3 NO not now\r\n").await;
        answer_blocks(&mut server, &[("f4", 4969, 5000)], |_| 60).await;
    });
    assert!(found.expect("an answer").messages.is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_empty_folder_and_an_empty_window_ask_nothing() {
    for (exists, window) in [(0, TEN), (9, Duration::ZERO)] {
        let (mut session, server) = in_inbox(exists).await;
        assert!(
            session
                .look_back(window, now(), &any)
                .await
                .expect("nothing")
                .messages
                .is_empty()
        );
        assert_eq!(server.writes().len(), 1);
    }
}

/// Answers blocks of a tail; `age` gives the minutes of the mail with this number, whose UID is twice that.
async fn answer_blocks(server: &mut Server, blocks: &[(&str, u32, u32)], age: impl Fn(u32) -> i64) {
    for &(tag, first, last) in blocks {
        server
            .receive(&format!("{tag} FETCH {first}:{last} (UID INTERNALDATE)"))
            .await;
        for number in first..=last {
            let date = minutes_ago(age(number));
            server
                .send(format!(
                    "* {number} FETCH (UID {} INTERNALDATE \"{date}\")\r\n",
                    number * 2
                ))
                .await;
        }
        server.send(format!("{tag} OK\r\n")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn without_within_blocks_double_until_a_whole_one_is_older_than_twice_the_window() {
    // 40 mails of the last 10 minutes, then 15 minutes old ones down to number 900, then old ones; a single old
    // mail copied in at the end stops nothing.
    let age = |number| match number {
        1000 => 5000,
        961..1000 => 3,
        900..961 => 15,
        _ => 300,
    };
    let (mut session, mut server) = in_inbox_after(WITHOUT_WITHIN, 1000).await;
    let (found, ()) = join!(session.look_back(TEN, now(), &any), async {
        let blocks = [
            ("f2", 969, 1000),
            ("f3", 905, 968),
            ("f4", 777, 904),
            ("f5", 521, 776),
        ];
        answer_blocks(&mut server, &blocks, age).await;
        server
            .receive(&list(
                "f6",
                &(961..1000)
                    .map(|n| (n * 2).to_string())
                    .collect::<Vec<_>>()
                    .join(","),
            ))
            .await;
        server.send(header(970, 1940, b"From: a\r\n\r\n")).await;
        server.send("f6 OK\r\n").await;
        server.receive(&format!("f7 UID FETCH 1940 {WHOLE}")).await;
        server.send(mail(970, 1940, 4, b"A: b")).await;
        server.send("f7 OK\r\n").await;
    });
    assert_eq!(uids(&found.expect("mails").messages), [1940]);
}

#[tokio::test(start_paused = true)]
async fn a_tail_ends_at_the_first_mail_of_the_folder() {
    let (mut session, mut server) = in_inbox_after(WITHOUT_WITHIN, 33).await;
    let (found, ()) = join!(session.look_back(TEN, now(), &|_: &[u8]| false), async {
        answer_blocks(&mut server, &[("f2", 2, 33), ("f3", 1, 1)], |_| 1).await;
        let all = (1..=33)
            .map(|n| (n * 2).to_string())
            .collect::<Vec<_>>()
            .join(",");
        server.receive(&list("f4", &all)).await;
        server.send("f4 OK\r\n").await;
    });
    assert!(found.expect("nothing worth fetching").messages.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_date_that_cannot_be_read_or_lies_ahead_counts_as_recent() {
    let (mut session, mut server) = in_inbox_after(WITHOUT_WITHIN, 3).await;
    let (found, ()) = join!(session.look_back(TEN, now(), &any), async {
        server.receive("f2 FETCH 1:3 (UID INTERNALDATE)").await;
        server
            .send(
                "* 1 FETCH (UID 5 INTERNALDATE \"gestern\")\r\n\
                 * 2 FETCH (UID 6 INTERNALDATE \"24-Nov-2027 10:00:00 +0000\")\r\n\
                 * 3 FETCH (UID 7 INTERNALDATE \"24-Nov-2025 10:00:00 +0000\")\r\nf2 OK\r\n",
            )
            .await;
        server.receive(&list("f3", "5:6")).await;
        server.send("f3 OK\r\n").await;
    });
    assert!(found.expect("an answer").messages.is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_offers_within_and_refuses_it_is_looked_at_by_blocks() {
    let (mut session, mut server) = in_inbox(1).await;
    let (found, ()) = join!(session.look_back(TEN, now(), &any), async {
        server.receive("f2 UID SEARCH YOUNGER 600").await;
        server.send("f2 BAD unknown search key\r\n").await;
        answer_blocks(&mut server, &[("f3", 1, 1)], |_| 60).await;
    });
    assert!(found.expect("an answer").messages.is_empty());
}
