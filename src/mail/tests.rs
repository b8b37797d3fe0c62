//! The properties that hold for every mail. Single mails are in `fixtures/`.

use super::*;

const USERNAME: &str = "integration@acme.example";
const TOKEN: &str = "Zk3Qv8Lm2Xc7Rb5Nt9Wp4Hy1D";

/// Who sent these is the provider's word: any body can be tried then.
const VOUCHED: &str = "Authentication-Results: mx.acme.example; dkim=pass header.d=salesforce.com\r\n\
     DKIM-Signature: v=1; a=rsa-sha256; d=salesforce.com; s=lab1; bh=AAAA; b=AAAA;\r\n\
     \th=from:to:subject:date:mime-version:content-type:content-transfer-encoding\r\n";

fn policy() -> Policy {
    Policy {
        trusted_authserv_id: Some("mx.acme.example".to_owned()),
        ..Policy::any()
    }
}

fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().expect("a time")
}

fn mail(fields: &str, body: &str) -> Vec<u8> {
    format!(
        "{VOUCHED}From: support@salesforce.com\r\nDate: Tue, 24 Nov 2026 09:00:00 +0000 (GMT)\r\n\
         To: {USERNAME}\r\nSubject: Your new Salesforce security token\r\nMessage-ID: <1@sfdc.net>\r\n\
         {fields}\r\n{body}"
    )
    .into_bytes()
}

fn text() -> String {
    format!("Username: {USERNAME}\r\nSecurity token (case-sensitive): {TOKEN}\r\n")
}

fn verdict(raw: &[u8]) -> Verdict {
    judge(raw, &policy(), &Unasked, now()).verdict
}

#[track_caller]
fn accepted(raw: &[u8]) -> TokenMail {
    match verdict(raw) {
        Verdict::Accepted(mail) => *mail,
        other => panic!("{other:?}\n{}", String::from_utf8_lossy(raw)),
    }
}

/// The token in two pieces, for every way to part it.
fn split_tokens(between: &str) -> impl Iterator<Item = String> {
    (1..TOKEN.len()).map(move |at| format!("{}{between}{}", &TOKEN[..at], &TOKEN[at..]))
}

#[test]
fn a_soft_line_break_anywhere_in_the_token_joins() {
    let fields = "Content-Type: text/plain\r\nContent-Transfer-Encoding: quoted-printable\r\n";
    for line_end in ["=\r\n", "=\n", "= \r\n"] {
        for token in split_tokens(line_end) {
            let raw = mail(fields, &text().replace(TOKEN, &token));
            assert_eq!(accepted(&raw).token.expose(), TOKEN);
        }
    }
}

#[test]
fn invisible_breaks_anywhere_in_the_token_join() {
    let fields = "Content-Type: text/html; charset=utf-8\r\n";
    for mark in [
        "<wbr>", "<wbr/>", "&#8203;", "&#x200b;", "&shy;", "\u{200b}", "\u{ad}", "<b></b>",
        "<!-- -->",
    ] {
        for token in split_tokens(mark) {
            let body = format!("<p>Username: {USERNAME}</p><p>Security token: {token}</p>\r\n");
            assert_eq!(
                accepted(&mail(fields, &body)).token.expose(),
                TOKEN,
                "{mark}"
            );
        }
    }
}

#[test]
fn a_blank_or_a_foreign_character_in_the_token_makes_it_none() {
    let fields = "Content-Type: text/html; charset=utf-8\r\n";
    for mark in [
        " ", "\r\n", "&nbsp;", "&#32;", "-", "_", "é", "\u{301}", "\u{202e}",
    ] {
        for token in split_tokens(mark) {
            let body = format!("<p>Username: {USERNAME}</p><p>Security token: {token}</p>\r\n");
            let verdict = verdict(&mail(fields, &body));
            assert!(
                matches!(verdict, Verdict::NoClaim(_)),
                "{mark:?}: {verdict:?}"
            );
        }
    }
}

#[test]
fn the_last_word_of_a_mail_needs_a_line_end() {
    let whole = mail("", &text());
    let cut = whole.trim_ascii_end();
    assert!(matches!(verdict(cut), Verdict::Refused(Refusal::Truncated)));
    // A closing delimiter is an end too.
    let body = format!("--b\r\n\r\n{}--b--", text());
    let closed = mail("Content-Type: multipart/mixed; boundary=b\r\n", &body);
    assert_eq!(accepted(&closed).token.expose(), TOKEN);
}

#[test]
fn a_mail_over_the_limit_is_refused_if_it_claims_and_ignored_if_not() {
    let filler = "x\r\n".repeat(MAX_MAIL / 3);
    let claims = mail("", &(text() + &filler));
    assert!(claims.len() > MAX_MAIL);
    assert!(matches!(
        verdict(&claims),
        Verdict::Refused(Refusal::TooLarge(TooLarge::Mail))
    ));
    for other in [filler.clone(), filler + &text()] {
        assert!(matches!(verdict(&mail("", &other)), Verdict::NoClaim(_)));
    }
}

#[test]
fn html_too_large_to_render_is_refused_beside_a_pair_and_ignored_without() {
    let html = format!("<p>{TOKEN}</p>{}", "<div>text</div>\r\n".repeat(50_000));
    let alone = mail("Content-Type: text/html\r\n", &html);
    let Verdict::NoClaim(ignored) = verdict(&alone) else {
        panic!("{:?}", verdict(&alone));
    };
    assert_eq!(ignored.why, Some(Unread::HtmlTooLarge));
    let body = format!(
        "--b\r\n\r\n{}--b\r\nContent-Type: text/html\r\n\r\n{html}--b--\r\n",
        text()
    );
    let beside = mail("Content-Type: multipart/alternative; boundary=b\r\n", &body);
    assert!(matches!(
        verdict(&beside),
        Verdict::Refused(Refusal::TooLarge(TooLarge::Html))
    ));
}

/// Test threads have the 2 MiB stack of a spawned thread, so none of these overflows it.
#[test]
fn a_bomb_is_judged_and_is_no_token_mail() {
    let nested = |open: &str| {
        let html = format!("<p>{TOKEN}</p>{}", open.repeat(100_000 / open.len()));
        mail("Content-Type: text/html\r\n", &html)
    };
    let mut bombs: Vec<Vec<u8>> = [
        "<div>",
        "<table><tr><td>",
        "<b>",
        "<blockquote>",
        "<ul><li>",
        "<p><font x=1>",
        "<svg><g>",
        "<a/>",
        "<",
        "&",
    ]
    .map(nested)
    .into();
    let many = |count: usize, piece: fn(usize) -> String| {
        (0..count).map(piece).collect::<Vec<_>>().concat()
    };
    let attributes = many(20_000, |n| format!("a{n}=b "));
    bombs.push(nested(&format!("<p {attributes}>")));
    let deep = many(10_000, |n| {
        let inner = n + 1;
        format!("--b{n}\r\nContent-Type: multipart/mixed; boundary=b{inner}\r\n\r\n")
    });
    bombs.push(mail(
        "Content-Type: multipart/mixed; boundary=b0\r\n",
        &deep,
    ));
    bombs.push(mail(
        "Content-Type: multipart/mixed; boundary=b\r\n",
        &"--b\r\n\r\n".repeat(100_000),
    ));
    let parameters = many(20_000, |n| format!(";\r\n a*{n}*=x"));
    bombs.push(mail(
        &format!("Content-Type: text/plain{parameters}\r\n"),
        "",
    ));
    bombs.push(mail("", &"Content-Type: text/plain\r\n".repeat(30_000)));
    bombs.push(format!("Subject: {}", "=?".repeat(400_000)).into_bytes());
    for bomb in bombs {
        assert!(matches!(verdict(&bomb), Verdict::NoClaim(_)));
    }
}

#[test]
fn an_identity_is_that_of_date_and_body_whatever_carried_the_mail() {
    let sent = mail("", &text());
    let identity = accepted(&sent).identity;
    let moved = [b"Received: from elsewhere\r\n".as_slice(), &sent].concat();
    let saved = String::from_utf8(sent.clone())
        .expect("ASCII")
        .replace("\r\n", "\n")
        + "\n";
    assert_eq!(accepted(&moved).identity, identity);
    assert_eq!(accepted(saved.as_bytes()).identity, identity);

    let later = String::from_utf8(sent)
        .expect("ASCII")
        .replace("09:00:00", "09:00:01");
    assert_ne!(accepted(later.as_bytes()).identity, identity);
    assert_ne!(
        accepted(&mail(
            "",
            &text().replace(TOKEN, "Ab3Qv8Lm2Xc7Rb5Nt9Wp4Hy1")
        ))
        .identity,
        identity
    );
}

#[test]
fn an_identity_survives_text_and_json() {
    let identity = accepted(&mail("", &text())).identity;
    assert_eq!(identity.to_string().parse(), Ok(identity.clone()));
    let json = serde_json::to_string(&identity).expect("serializes");
    assert_eq!(
        serde_json::from_str::<Identity>(&json).expect("deserializes"),
        identity
    );
    assert_eq!("Zz".parse::<Identity>(), Err(NotAnIdentity));
}

#[test]
fn a_token_is_never_printed() {
    let mail = accepted(&mail("", &text()));
    assert_eq!(format!("{:?}", mail.token), "Token(..)");
    assert!(!format!("{mail:?} {mail:#?}").contains(TOKEN));
}

#[test]
fn the_first_check_that_fails_gives_the_reason() {
    // Each line breaks one check more, from the last check to the first.
    let mut raw = String::from_utf8(mail("", &text())).expect("ASCII");
    let policy = Policy {
        recipients: Recipients::of(&[USERNAME.to_owned()]).expect("a glob"),
        usernames: UsernameGlobs::of(&["*@acme.example".to_owned()]).expect("a glob"),
        ..policy()
    };
    let reason = |raw: &str| {
        judge(raw.as_bytes(), &policy, &Unasked, now())
            .verdict
            .reason()
    };
    assert_eq!(reason(&raw), None);
    let steps = [
        (
            "Security token (",
            "Previous token: Ab3Qv8Lm2Xc7Rb5Nt9Wp4Hy1\r\nSecurity token (",
            "ambiguous",
        ),
        (
            "Username: integration@acme",
            "Username: integration@evil",
            "username-not-allowed",
        ),
        ("Subject: ", "Subject: Re: ", "conversation"),
        (
            "To: integration@acme",
            "To: integration@evil",
            "addressed-to",
        ),
        ("dkim=pass", "dkim=fail", "results-no-pass"),
        (
            "d=salesforce.com; s",
            "d=evil.example; s",
            "domain-not-aligned",
        ),
        ("Date: Tue", "Date: Someday", "date-malformed"),
        ("From: support@", "From: nobody@", "from-not-listed"),
        (
            "From: nobody@",
            "From: a@b.example, nobody@",
            "from-malformed",
        ),
        ("Date: ", "Date: x\r\nDate: ", "repeated-field"),
        ("Message-ID: ", "X-Message-ID: ", "missing-field"),
        ("From: ", "From : ", "malformed-header"),
    ];
    for (whole, broken, expected) in steps {
        assert!(raw.contains(whole), "{whole}");
        raw = raw.replacen(whole, broken, 1);
        assert_eq!(reason(&raw), Some(expected));
    }
}

/// A mail whose text is this, judged for a code.
fn code_verdict(subject: &str, text: &str) -> Verdict<CodeMail> {
    let raw = String::from_utf8(mail("Content-Type: text/plain; charset=utf-8\r\n", text));
    let raw = raw
        .expect("UTF-8")
        .replace("Your new Salesforce security token", subject);
    // The mail is of nine o'clock.
    let now = "2026-11-24T09:14:00Z".parse().expect("a time");
    judge_code(raw.as_bytes(), &policy(), &Unasked, now).verdict
}

#[test]
fn six_labelled_digits_are_a_code_only_beside_a_second_witness() {
    let known = "Verify your identity in Salesforce";
    for (subject, text, is_code) in [
        ("Hello", "Number: 123456", false),
        ("Hello", "123456", false),
        ("Hello", "Verification Code: 123456", true),
        (known, "Number: 123456", true),
        (known, "123456", false),
        ("Hello", "User: me@acme.example\r\nNumber: 123456", true),
        ("Hello", "Number: 123456\r\nUser: me@acme.example", false),
    ] {
        let verdict = code_verdict(subject, &format!("{text}\r\n"));
        let found = matches!(&verdict, Verdict::Accepted(mail) if mail.code.expose() == "123456");
        assert_eq!(found, is_code, "{subject}: {text}: {verdict:?}");
        assert!(
            is_code || matches!(verdict, Verdict::NoClaim(_)),
            "{verdict:?}"
        );
    }
}

#[test]
fn a_username_below_a_known_label_counts_before_others_and_wherever_it_stands() {
    let username = |text: &str| match code_verdict("Hello", text) {
        Verdict::Accepted(mail) => mail.username,
        other => panic!("{other:?}"),
    };
    let text =
        "Contact: it@acme.example\r\nVerification Code: 123456\r\nUsername: me@acme.example\r\n";
    assert_eq!(username(text).as_deref(), Some("me@acme.example"));
    let text = "User: me@acme.example\r\nVerification Code: 123456\r\nContact: it@acme.example\r\n";
    assert_eq!(username(text).as_deref(), Some("me@acme.example"));
    assert_eq!(username("Verification Code: 123456\r\n"), None);
}

#[test]
fn many_usernames_and_numbers_are_read_in_linear_time() {
    let usernames = (0..15_000).map(|number| format!("User: u{number}@acme.example\r\n"));
    let codes = (100_000..115_000).map(|number| format!("Verification Code: {number}\r\n"));
    let text: String = usernames.chain(codes).collect();
    let begin = std::time::Instant::now();
    let verdict = code_verdict("Hello", &text);
    assert!(begin.elapsed().as_secs() < 10, "{:?}", begin.elapsed());
    assert!(
        matches!(verdict, Verdict::Refused(Refusal::Conversation(_))),
        "{verdict:?}"
    );
}
