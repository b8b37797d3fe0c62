//! How often judging a mail asks for memory: a count that may not grow, since every mail of an inbox is judged.

use allocation_counter::measure;
use fetch_token::mail::{Policy, Unasked, Verdict, judge};
use std::hint::black_box;

/// A mail that claims nothing, of some KiB, with these fields and this body.
fn mail(fields: &str, body: &str) -> Vec<u8> {
    let received = "Received: from mail-out.example by mx.acme.example (Postfix)\r\n\
                    \twith ESMTPS id 4Zk3Qv8Lm2Xc7R; Tue, 24 Nov 2026 09:00:01 +0000\r\n";
    format!(
        "{}From: Jo Doe <jo@acme.example>\r\nTo: ops@acme.example\r\nSubject: Boots\r\n\
         Date: Tue, 24 Nov 2026 09:00:00 +0000\r\nMessage-ID: <1@acme.example>\r\n\
         MIME-Version: 1.0\r\n{fields}\r\n{body}",
        received.repeat(5)
    )
    .into_bytes()
}

/// Counts what the verdict costs, which must be that the mail claims nothing.
#[track_caller]
fn allocations(raw: &[u8]) -> u64 {
    let policy = Policy::any();
    let now = jiff::Timestamp::UNIX_EPOCH;
    let judged = || {
        let verdict = judge(black_box(raw), &policy, &Unasked, now).verdict;
        assert!(matches!(verdict, Verdict::NoClaim(_)));
    };
    // What is made once in a process is made here.
    judged();
    measure(judged).count_total
}

const TEXT: &str = "Thank you for your letter. Could you send the figures to jo@acme.example today?\r\n\
                    The page: https://acme.example/r/Zk3Qv8Lm2Xc7Rb5Nt9Wp4Hy1D\r\n\r\n";
const ROW: &str = "<tr><td style=3D\"padding:12px\"><a href=3D\"https://shop.example/c/Zk3Qv8Lm2Xc7Rb5\">\
                   <b>New boots</b></a><p>Warm in winter, dry in rain:&nbsp;from =\r\n79.</p></td></tr>\r\n";

#[test]
fn a_text_that_is_no_token_mail_takes_no_memory() {
    let signature = "Mail: jo@acme.example\r\n\r\n";
    for body in [TEXT.repeat(60), format!("{TEXT}{signature}").repeat(60)] {
        let raw = mail("Content-Type: text/plain; charset=utf-8\r\n", &body);
        assert!(raw.len() > 8_000);
        assert_eq!(allocations(&raw), 0);
    }
}

#[test]
fn a_newsletter_takes_no_memory() {
    let fields = "Content-Type: multipart/alternative; boundary=b\r\n";
    let part = |kind: &str, body: &str| {
        format!(
            "--b\r\nContent-Type: text/{kind}; charset=utf-8\r\n\
             Content-Transfer-Encoding: quoted-printable\r\n\r\n{body}\r\n"
        )
    };
    let body = part("plain", &TEXT.repeat(20)) + &part("html", &ROW.repeat(40)) + "--b--\r\n";
    assert_eq!(allocations(&mail(fields, &body)), 0);
}

/// What is looked into is decoded and parsed, and that does not depend on how long it is.
#[test]
fn a_text_in_base64_takes_no_more_memory_for_its_length() {
    let line = "VGhhbmsgeW91IGZvciB5b3VyIGxldHRlciwgd2hpY2ggSSByZWFkIHdpdGggcGxlYXN1cmUuCg==";
    let of_lines = |count: usize| {
        let fields =
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n";
        let unpadded = format!("{}\r\n", &line[..72]);
        allocations(&mail(fields, &unpadded.repeat(count)))
    };
    let (short, long) = (of_lines(20), of_lines(200));
    assert!(short <= BASE64, "{short}");
    // A buffer that grows doubles.
    assert!(long <= short + 4, "{long} instead of {short}");
}

/// Allocations for a short text in base64: the fields that tell how it is written, and what it says.
const BASE64: u64 = 22;
