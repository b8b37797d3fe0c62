//! What a proof costs, what it records, and what makes a mail the same mail. Single mails are in `fixtures/`.

#![cfg(target_os = "linux")]

mod lab;

use std::cell::RefCell;
use std::collections::HashMap;

use fetch_token::mail::{
    Answer, KeyFile, Keys, Method, Policy, TokenMail, Unasked, Verdict, judge,
};
use jiff::Timestamp;
use lab::Signer;
use sha2::{Digest, Sha256};

const FROM: &str = "From: support@salesforce.com\r\n";
const FIELDS: &str = "To: integration@acme.example\r\n\
    Date: Tue, 24 Nov 2026 08:00:00 +0000 (GMT)\r\n\
    Message-ID: <proof@sfdc.net>\r\n\
    Subject: Your new Salesforce security token\r\n\
    Content-Type: text/plain; charset=UTF-8\r\n";
const BODY: &str = "Username: integration@acme.example\r\n\
    Security token (case-sensitive): Zk3Qv8Lm2Xc7Rb5Nt9Wp4Hy1D\r\n";
const KEY: &str = "lab._domainkey.salesforce.com";

/// The names whose TXT records decide over this mail.
fn keys_wanted(raw: &[u8], policy: &Policy, now: Timestamp) -> Vec<String> {
    match judge(raw, policy, &Unasked, now).verdict {
        Verdict::Pending(pending) => pending.keys,
        _ => Vec::new(),
    }
}

fn unsigned() -> Vec<u8> {
    format!("{FROM}{FIELDS}\r\n{BODY}").into_bytes()
}

fn signed() -> Vec<u8> {
    Signer::shared().sign(&unsigned(), "salesforce.com")
}

fn now() -> Timestamp {
    "2026-11-24T12:00:00Z".parse().expect("a time")
}

fn key_file() -> KeyFile {
    serde_json::from_str(&lab::keys()).expect("a key file")
}

fn published(name: &str) -> String {
    match key_file().txt(name) {
        Answer::Records(records) => records.concat(),
        other => panic!("{name}: {other:?}"),
    }
}

fn answers(answer: Answer) -> HashMap<String, Answer> {
    HashMap::from([(KEY.to_owned(), answer)])
}

fn verdict(raw: &[u8], keys: &dyn Keys) -> Verdict {
    judge(raw, &Policy::any(), keys, now()).verdict
}

#[track_caller]
fn accepted(raw: &[u8], keys: &dyn Keys) -> TokenMail {
    match verdict(raw, keys) {
        Verdict::Accepted(mail) => *mail,
        other => panic!("{other:?}"),
    }
}

/// Counts what is asked.
#[derive(Default)]
struct Asked(RefCell<Vec<String>>);

impl Keys for Asked {
    fn txt(&self, name: &str) -> Answer {
        self.0.borrow_mut().push(name.to_owned());
        Answer::NoSuchName
    }
}

fn asked(raw: &[u8]) -> Vec<String> {
    let asked = Asked::default();
    let _ = verdict(raw, &asked);
    asked.0.into_inner()
}

#[test]
fn a_key_is_wanted_before_it_is_known_and_the_mail_is_pending_until_then() {
    let raw = signed();
    assert_eq!(keys_wanted(&raw, &Policy::any(), now()), [KEY]);
    let Verdict::Pending(pending) = verdict(&raw, &Unasked) else {
        panic!("{:?}", verdict(&raw, &Unasked));
    };
    assert_eq!(pending.keys, [KEY]);
    assert_eq!(pending.reason(), "dns");
    assert!(pending.to_string().contains(KEY));
    accepted(&raw, &answers(Answer::Records(vec![published(KEY)])));
}

#[test]
fn what_dns_answers_decides() {
    let key = published(KEY);
    let spf = "v=spf1 -all".to_owned();
    for (answer, reason) in [
        (Answer::Silent, Some("dns")),
        (Answer::NoSuchName, Some("key-absent")),
        (Answer::Records(vec![]), Some("key-absent")),
        (Answer::Records(vec![String::new()]), Some("key-absent")),
        (Answer::Records(vec![spf.clone()]), Some("key-absent")),
        (Answer::Records(vec![spf, key.clone()]), None),
        (
            Answer::Records(vec![key.clone(), key.clone()]),
            Some("key-malformed"),
        ),
        (
            Answer::Records(vec![format!("{key}; p=AAAA")]),
            Some("key-malformed"),
        ),
        (Answer::Records(vec![format!("{key};")]), None),
        (
            Answer::Records(vec![key.replace("p=", "p=A")]),
            Some("key-malformed"),
        ),
        (
            Answer::Records(vec![key.replace("k=rsa", "k=ed25519")]),
            Some("key-mismatch"),
        ),
        (
            Answer::Records(vec![key.replace("k=rsa;", "k=rsa; t=Y;")]),
            Some("key-testing"),
        ),
    ] {
        let shown = format!("{answer:?}");
        assert_eq!(
            verdict(&signed(), &answers(answer)).reason(),
            reason,
            "{shown}"
        );
    }
}

#[test]
fn a_mail_that_no_key_can_save_costs_no_dns() {
    let signature_of = |raw: &[u8]| {
        let text = String::from_utf8(raw.to_vec()).expect("ASCII");
        let end = text.find("\nFrom:").expect("From") + 1;
        text[..end].to_owned()
    };
    let whole = String::from_utf8(signed()).expect("ASCII");
    let of_others = signature_of(&Signer::shared().sign(&unsigned(), "evil.example"));
    for (why, raw) in [
        ("makes no claim", whole.replace("Username", "User")),
        ("unsigned", String::from_utf8(unsigned()).expect("ASCII")),
        (
            "signed by others",
            of_others.repeat(50) + &format!("{FROM}{FIELDS}\r\n{BODY}"),
        ),
        ("not a listed sender", whole.replace("support@", "evil@")),
        ("two From", format!("{FROM}{whole}")),
        ("another body", whole.replace("Zk3Q", "Ab3Q")),
        (
            "l=",
            whole.replace("DKIM-Signature: v=1;", "DKIM-Signature: v=1; l=9;"),
        ),
        (
            "eleven signatures",
            signature_of(whole.as_bytes()).repeat(10) + &whole,
        ),
    ] {
        assert_eq!(asked(raw.as_bytes()), [""; 0], "{why}");
        let wanted = keys_wanted(raw.as_bytes(), &Policy::any(), now());
        assert_eq!(wanted, [""; 0], "{why}");
    }
    // Those of others do not keep the right one from being found.
    let among_others = of_others.repeat(50) + &whole;
    assert_eq!(asked(among_others.as_bytes()), [KEY]);
    accepted(among_others.as_bytes(), &key_file());
}

#[test]
fn no_signature_makes_much_work() {
    // The most of everything that 1 MiB can hold: names in h=, tags, fields to choose from.
    let names = "subject:".repeat(20_000);
    let signature = format!(
        "DKIM-Signature: v=1; a=rsa-sha256; d=salesforce.com; s=lab1; bh=AAAA; b=AAAA;\r\n h={names}from:to:date\r\n"
    );
    let tags = (0..50_000).map(|n| format!("t{n}=;")).collect::<Vec<_>>();
    let tags = tags.concat();
    let fields = "X: y\r\n".repeat(100_000);
    for head in [
        signature.repeat(5),
        format!("DKIM-Signature: {tags}\r\n"),
        "DKIM-Signature: d=salesforce.com\r\n".repeat(20_000),
        format!("Authentication-Results: mx; {}\r\n", "(".repeat(400_000)),
        format!(
            "Authentication-Results: mx; {}\r\n",
            "dkim=pass ;".repeat(50_000)
        ),
        "Authentication-Results: mx; dkim=fail\r\n".repeat(20_000),
        fields + &signature,
    ] {
        let raw = format!("{head}{FROM}{FIELDS}\r\n{BODY}");
        let policy = Policy {
            trusted_authserv_id: Some("mx".to_owned()),
            ..Policy::any()
        };
        let verdict = judge(raw.as_bytes(), &policy, &key_file(), now()).verdict;
        assert_eq!(verdict.word(), "refused", "{:?}", verdict.reason());
    }
}

#[test]
fn a_proof_records_what_can_be_looked_up_later() {
    let raw = signed();
    let judgement = judge(&raw, &Policy::any(), &key_file(), now());
    let proof = judgement.facts().proof.expect("a proof");
    assert_eq!(proof.method, Method::Dkim);
    assert_eq!(proof.domain, "salesforce.com");
    assert_eq!(proof.selector, lab::SELECTOR);
    assert_eq!(proof.algorithm, "rsa-sha256");
    let record = published(KEY);
    let (_, key) = record.split_once("p=").expect("a key");
    let key = base64::Engine::decode(&base64::prelude::BASE64_STANDARD, key).expect("base64");
    let fingerprint = format!("{:x}", Sha256::digest(key));
    assert_eq!(proof.key_fingerprint, Some(fingerprint));
    assert_eq!(proof.expires, None);

    let vouched = [
        b"Authentication-Results: mx.acme.example; dkim=pass header.d=salesforce.com\r\n"
            .as_slice(),
        &signed(),
    ]
    .concat();
    let policy = Policy {
        trusted_authserv_id: Some("MX.acme.example".to_owned()),
        ..Policy::any()
    };
    let judgement = judge(&vouched, &policy, &Unasked, now());
    let proof = judgement.facts().proof.expect("a proof");
    assert_eq!(proof.method, Method::AuthenticationResults);
    assert_eq!(proof.key_fingerprint, None);
}

#[test]
fn a_mail_is_the_same_mail_by_its_signature() {
    let keys = key_file();
    let raw = signed();
    let text = String::from_utf8(raw.clone()).expect("ASCII");
    let identity = accepted(&raw, &keys).identity;
    let written = text.split_once("; b=").expect("b=").1;
    let written = written.split(';').next().unwrap_or_default();
    let b: String = written.split_whitespace().collect();
    assert_eq!(identity.to_string(), format!("{:x}", Sha256::digest(b)));

    let moved = [b"Received: from elsewhere\r\n".as_slice(), &raw].concat();
    let saved = text.replace("\r\n", "\n") + "\n";
    let renamed = text.replace("<proof@", "<replay@");
    assert_eq!(accepted(&moved, &keys).identity, identity);
    assert_eq!(accepted(saved.as_bytes(), &keys).identity, identity);
    assert_eq!(
        verdict(renamed.as_bytes(), &keys).reason(),
        Some("bad-signature")
    );

    let later = String::from_utf8(unsigned())
        .expect("ASCII")
        .replace("08:00:00", "08:00:01");
    let later = Signer::shared().sign(later.as_bytes(), "salesforce.com");
    assert_ne!(accepted(&later, &keys).identity, identity);
}

#[test]
fn a_key_file_is_read_whatever_the_case_of_its_names() {
    let keys: KeyFile =
        serde_json::from_str(r#"{"S1._DomainKey.Example.ORG.": "v=DKIM1; p="}"#).expect("JSON");
    let record = Answer::Records(vec!["v=DKIM1; p=".to_owned()]);
    assert_eq!(keys.txt("s1._domainkey.example.org"), record);
    assert_eq!(keys.txt("s2._domainkey.example.org"), Answer::NoSuchName);
}
