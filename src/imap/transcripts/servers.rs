//! What servers of other makes say, as tests/interop.rs found it.

use super::*;

const MAIL: &[u8] = b"From: support@salesforce.com\r\nSubject: x\r\n\r\nbody\r\n";

/// hoodiecrow 2.1.0 answers a partial FETCH of several mails with the first of them, and with nothing of the others.
#[tokio::test(start_paused = true)]
async fn header_fields_that_came_empty_do_not_pass_a_mail_over() {
    let (mut session, mut server) = in_inbox(10).await;
    let nobody = |_: &[u8]| false;
    let (found, ()) = join!(session.fetch_new(100, None, &nobody), async {
        server.receive(&list("f2", "100:*")).await;
        server.send(header(11, 100, b"From: a\r\n\r\n")).await;
        server.send(header(12, 101, b"")).await;
        server.send("f2 OK\r\n").await;
        server.receive(&format!("f3 UID FETCH 101 {WHOLE}")).await;
        server.send(mail(12, 101, MAIL.len(), MAIL)).await;
        server.send("f3 OK\r\n").await;
    });
    let found = found.expect("mails");
    assert_eq!(uids(&found.messages), [101]);
}

#[tokio::test(start_paused = true)]
async fn a_mail_that_came_empty_among_others_is_asked_for_alone() {
    let (mut session, mut server) = in_inbox(10).await;
    session.folder.exists += 4;
    session.folder.announced = true;
    let (found, ()) = join!(session.fetch_new(100, None, &any), async {
        server.receive(&format!("f2 UID FETCH 100:* {WHOLE}")).await;
        server.send(mail(11, 100, MAIL.len(), MAIL)).await;
        server.send(mail(12, 101, MAIL.len(), b"")).await;
        server.send(mail(13, 102, MAIL.len(), b"")).await;
        // This one is as empty as it says.
        server.send(mail(14, 103, 0, b"")).await;
        server.send("f2 OK\r\n").await;
        server.receive(&format!("f3 UID FETCH 101 {WHOLE}")).await;
        server.send(mail(12, 101, MAIL.len(), MAIL)).await;
        server.send("f3 OK\r\n").await;
        server.receive(&format!("f4 UID FETCH 102 {WHOLE}")).await;
        server.send(mail(13, 102, MAIL.len(), b"")).await;
        server.send("f4 OK\r\n").await;
    });
    let found = found.expect("mails");
    assert_eq!(uids(&found.messages), [100, 101, 103]);
    assert_eq!(found.messages[1].raw.as_slice(), MAIL);
    assert_eq!(
        found.absent.iter().copied().collect::<Vec<_>>(),
        [102],
        "there, and not to be read yet"
    );
}
