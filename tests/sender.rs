//! Only a proved sender sets a token; what cannot be proved waits, what fails can be looked at.
#![cfg(target_os = "linux")]

mod lab;

use hickory_resolver::proto::op::ResponseCode;
use lab::{Manner, Signer, Stage, USERNAME, random_token};
use serde_json::Value;
use std::time::Duration;

fn objects(stdout: &str) -> Vec<Value> {
    stdout
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

#[test]
fn the_proof_is_announced_and_recorded() {
    let (stage, dns) = Stage::with_dns();
    let token = stage.deliver_token(USERNAME);
    let output = stage
        .program()
        .run(["--json", "--timeout", "20s"])
        .expect_code(0);
    let stored = &objects(&output.stdout())[0];
    assert_eq!(stored["sender"]["proof"], "dkim");
    assert_eq!(stored["sender"]["domain"], "salesforce.com");
    assert_eq!(stage.stored(USERNAME), Some(token));
    assert_eq!(dns.questions(), [Signer::name("salesforce.com")]);
    let listed = stage.program().run(["list", "--json"]).expect_code(0);
    let proof = &objects(&listed.stdout())[0]["proof"];
    assert_eq!(proof["selector"], lab::SELECTOR);
    assert_eq!(proof["domain"], "salesforce.com");
    assert!(
        proof["algorithm"].as_str().expect("a word").contains("rsa"),
        "{proof}"
    );
    assert_eq!(proof["key_fingerprint"].as_str().expect("a hash").len(), 64);
}

#[test]
fn a_mail_that_is_none_costs_no_dns() {
    let (stage, dns) = Stage::with_dns();
    for number in 0..5 {
        stage.dovecot.deliver(stage.user, &lab::other_mail(number));
    }
    let forged = stage
        .token_mail(USERNAME, &random_token())
        .from("support@evil.example");
    stage.dovecot.deliver(stage.user, &forged.bytes());
    stage.program().run(["--timeout", "3s"]).expect_code(7);
    assert_eq!(dns.questions(), [""; 0]);
}

#[test]
fn whatever_dns_does_the_verdict_is_as_documented() {
    let (stage, dns) = Stage::with_dns();
    for (manner, code, word) in [
        (Manner::Code(ResponseCode::ServFail), 9, "dns"),
        (Manner::Code(ResponseCode::Refused), 9, "dns"),
        (Manner::WrongType, 9, "dns"),
        (Manner::Silence, 9, "dns"),
        (Manner::Code(ResponseCode::NXDomain), 7, "key-absent"),
        (Manner::Late(Duration::from_secs(1)), 0, ""),
        (Manner::Truncated, 0, ""),
    ] {
        let cursor = stage.program().run(["arm"]).expect_code(0).stdout();
        dns.answer_in(manner.clone());
        let username = format!("dns-{code}-{}@acme.example", dns.questions().len());
        let token = stage.deliver_token(&username);
        let output = stage
            .program()
            .run([
                "--json",
                "wait",
                "--timeout",
                "12s",
                "--from",
                cursor.trim(),
            ])
            .expect_code(code);
        if code == 0 {
            assert_eq!(stage.stored(&username), Some(token), "{manner:?}");
        } else {
            assert_eq!(stage.stored(&username), None, "{manner:?}");
            let reason = &objects(&output.stdout())[0]["reason"];
            assert_eq!(reason, word, "{manner:?}: {}", output.transcript());
        }
    }
}

#[test]
fn a_pending_mail_is_judged_when_dns_answers_in_this_process_and_in_the_next() {
    let (stage, dns) = Stage::with_dns();
    dns.answer_in(Manner::Code(ResponseCode::ServFail));
    let waiting = stage.program().spawn(["--timeout", "50s"]);
    let token = stage.deliver_token(USERNAME);
    waiting.stderr_line("Cannot judge");
    dns.answer_in(Manner::Truth);
    waiting.wait().expect_code(0);
    assert_eq!(stage.stored(USERNAME), Some(token));

    dns.answer_in(Manner::Code(ResponseCode::ServFail));
    let username = "next@acme.example";
    let token = stage.deliver_token(username);
    stage
        .program()
        .run(["--timeout", "3s", username])
        .expect_code(9);
    let noted = stage.program().run(["get", USERNAME]).expect_code(0);
    assert_eq!(
        noted.stderr(),
        "",
        "another's mail is no business of this one"
    );
    dns.answer_in(Manner::Truth);
    // The next call finds it although it looks back no further than a moment.
    stage
        .program()
        .run(["wait", username, "--since", "1s", "--timeout", "20s"])
        .expect_code(0);
    assert_eq!(stage.stored(username), Some(token));
}

#[test]
fn a_mail_that_waited_a_day_for_its_key_is_refused_and_get_says_so() {
    let (stage, dns) = Stage::with_dns();
    let token = stage.deliver_token(USERNAME);
    stage.program().run(["--timeout", "20s"]).expect_code(0);
    // The look-back below is not to reach that mail: INTERNALDATE has whole seconds.
    std::thread::sleep(Duration::from_millis(2500));
    dns.answer_in(Manner::Code(ResponseCode::ServFail));
    stage.deliver_token(USERNAME);
    stage
        .program()
        .run(["--timeout", "3s", "--since", "1s"])
        .expect_code(9);
    let warned = stage.program().run(["get", USERNAME]).expect_code(0);
    assert_eq!(warned.stdout(), format!("{token}\n"));
    assert!(
        warned.stderr().contains("waits to be judged"),
        "{}",
        warned.transcript()
    );

    let list = stage.keychain.home().state_folder().join("pending.json");
    let text = std::fs::read_to_string(&list).expect("the list of the pending");
    let mut pending: Value = serde_json::from_str(&text).expect("JSON");
    pending["records"][0]["seen"] = "2020-01-01T00:00:00Z".into();
    std::fs::write(&list, pending.to_string()).expect("write");
    stage
        .program()
        .run(["--timeout", "3s", "--since", "1s"])
        .expect_code(7);
    let warned = stage.program().run(["get", USERNAME]).expect_code(0);
    assert!(
        warned.stderr().contains("was refused"),
        "{}",
        warned.transcript()
    );
}

#[test]
fn what_was_refused_is_listed_and_a_person_can_accept_it() {
    let stage = Stage::new();
    let token = random_token();
    // Not signed at all, and dated far ahead.
    let mail = stage
        .token_mail(USERNAME, &token)
        .date("2030-01-01T00:00:00Z".parse().expect("a date"));
    stage.dovecot.deliver(stage.user, &mail.unsigned());
    stage.program().run(["--timeout", "3s"]).expect_code(7);
    let listed = stage.program().run(["refused"]).expect_code(0).stdout();
    assert!(
        listed.contains("unsigned") && listed.contains("INBOX"),
        "{listed}"
    );
    assert!(!listed.contains(&token));
    let listed = stage.program().run(["refused", "--json"]).expect_code(0);
    let entry = objects(&listed.stdout()).remove(0);
    let id = entry["id"].as_str().expect("an ID").to_owned();

    // Nobody is there to ask.
    let asked = stage.program().run(["accept", &id]).expect_code(2);
    assert!(
        asked.stderr().contains("unsigned"),
        "{}",
        asked.transcript()
    );
    assert_eq!(stage.stored(USERNAME), None);
    stage
        .program()
        .run(["accept", "00000000", "--yes"])
        .expect_code(2);

    let accepted = stage.program().run(["accept", &id, "--yes"]).expect_code(0);
    assert!(!accepted.stdout().contains(&token) && !accepted.stderr().contains(&token));
    assert_eq!(stage.stored(USERNAME), Some(token));
    let listed = stage.program().run(["list", "--json"]).expect_code(0);
    assert_eq!(objects(&listed.stdout())[0]["accepted"], true);
    assert_eq!(stage.program().run(["refused"]).expect_code(0).stdout(), "");

    // It ranks at the time it was accepted, so the next token is not locked out until 2030.
    std::thread::sleep(Duration::from_millis(1100));
    let next = stage.deliver_token(USERNAME);
    stage
        .program()
        .run(["--timeout", "20s", "--since", "1m", USERNAME])
        .expect_code(0);
    assert_eq!(stage.stored(USERNAME), Some(next));
}

#[test]
fn two_daemons_or_a_restart_or_a_renumbered_folder_see_the_same_mail_as_the_same() {
    let mut stage = Stage::new();
    let token = stage.deliver_token(USERNAME);
    stage.program().run(["--timeout", "20s"]).expect_code(0);
    stage.dovecot.stop();
    stage.dovecot.inbox(stage.user).renumber();
    stage.dovecot.start_again();
    let again = stage
        .program()
        .run(["--json", "--timeout", "20s"])
        .expect_code(0);
    assert_eq!(objects(&again.stdout())[0]["event"], "already");
    assert_eq!(stage.stored(USERNAME), Some(token));
}

#[test]
fn a_mail_whose_token_is_stored_needs_no_second_proof() {
    let (stage, dns) = Stage::with_dns();
    stage.deliver_token(USERNAME);
    stage.program().run(["--timeout", "20s"]).expect_code(0);
    for manner in [
        Manner::Code(ResponseCode::ServFail),
        Manner::Code(ResponseCode::NXDomain),
    ] {
        dns.answer_in(manner);
        let again = stage
            .program()
            .run(["--json", "--timeout", "20s"])
            .expect_code(0);
        assert_eq!(objects(&again.stdout())[0]["event"], "already");
    }
}

#[test]
fn a_key_that_was_rotated_between_two_mails_proves_both() {
    let (stage, dns) = Stage::with_dns();
    stage.deliver_token(USERNAME);
    stage.program().run(["--timeout", "20s"]).expect_code(0);
    let rotated = Signer::new();
    dns.set_record(&Signer::name("salesforce.com"), rotated.record());
    let token = random_token();
    let mail = stage.token_mail("next@acme.example", &token);
    stage.dovecot.deliver(stage.user, &mail.signed_by(&rotated));
    stage
        .program()
        .run(["--timeout", "20s", "next@acme.example"])
        .expect_code(0);
    assert_eq!(stage.stored("next@acme.example"), Some(token));
}
