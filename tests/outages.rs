//! Servers, links and keychains that fail while a token is waited for and come back: the token is stored in time,
//! and nothing else is.
//!
//! In `failures.rs` and not repeated here: a server that stops and starts, before and while it is watched; a keychain
//! that is locked, frozen, or appears late; wrong certificates and passwords from the start on.
#![cfg(target_os = "linux")]

mod lab;

use lab::{
    Certificate, Direction, End, Fault, Options, SecretService, Stage, Subject, USERNAME, Watching,
    each_in_parallel, kept, other_mail, random_token,
};
use std::collections::BTreeMap;
use std::time::Duration;

/// When the token must be stored, from the program's start: what was broken is mended within about 10 s, and the
/// longest pause before the program tries again is as long as it has tried so far.
const WITHIN: Duration = Duration::from_secs(40);

fn watch(stage: &Stage, subject: Subject) -> Watching {
    stage.watch(subject, WITHIN)
}

/// Puts a case to every way to run the program, side by side.
fn each_way(case: impl Fn(Subject) + Sync) {
    let all = Subject::ALL;
    each_in_parallel(
        &all,
        all.len(),
        |subject| format!("{subject:?}"),
        |&subject| case(subject),
    );
}

#[test]
fn a_killed_server_that_starts_again() {
    each_way(|subject| {
        let mut stage = Stage::new();
        let watching = watch(&stage, subject);
        watching.armed();
        stage.dovecot.kill();
        let token = stage.deliver_token(USERNAME);
        stage.dovecot.start_again();
        stage.expect(watching, &token);
    });
}

#[test]
fn a_host_that_refuses_for_a_while_and_then_answers() {
    each_way(|subject| {
        let (stage, faults) = Stage::behind_faults();
        let watching = watch(&stage, subject);
        watching.armed();
        faults.refuse();
        faults.now(Fault::Cut(End::Reset));
        let token = stage.deliver_token(USERNAME);
        watching.running.stderr_line("connection refused");
        faults.accept();
        stage.expect(watching, &token);
    });
}

#[test]
fn a_session_that_the_server_ends_with_bye() {
    each_way(|subject| {
        let stage = Stage::new();
        let watching = watch(&stage, subject);
        watching.armed();
        stage.dovecot.kick(stage.user);
        let token = stage.deliver_token(USERNAME);
        stage.expect(watching, &token);
    });
}

#[test]
fn a_certificate_that_is_changed_for_an_untrusted_one_and_back() {
    each_way(|subject| {
        let mut stage = Stage::new();
        let watching = watch(&stage, subject);
        watching.armed();
        stage.dovecot.start_again_as(Certificate::Elsewhere);
        let token = stage.deliver_token(USERNAME);
        watching
            .running
            .stderr_line("its certificate is for another host");
        assert_eq!(stage.stored(USERNAME), None);
        stage.dovecot.start_again_as(Certificate::Localhost);
        stage.expect(watching, &token);
    });
}

#[test]
fn a_password_that_is_changed_where_it_is_kept_as_well() {
    each_way(|subject| {
        let (stage, faults) = Stage::behind_faults();
        let watching = watch(&stage, subject);
        watching.armed();
        let new = "another.Passw0rd-77";
        stage.dovecot.set_password(stage.user, new);
        std::fs::write(&stage.password_file, new).expect("write the new password");
        faults.now(Fault::Cut(End::Close));
        let token = stage.deliver_token(USERNAME);
        stage.expect(watching, &token);
    });
}

#[test]
fn a_password_that_is_changed_at_the_server_alone_ends_a_wait_and_back_again_the_next_one_stores() {
    let (stage, faults) = Stage::behind_faults();
    let watching = watch(&stage, Subject::Wait);
    watching.armed();
    stage
        .dovecot
        .set_password(stage.user, "another.Passw0rd-77");
    faults.now(Fault::Cut(End::Close));
    let token = stage.deliver_token(USERNAME);
    let output = watching.running.wait().expect_code(5);
    assert!(output.elapsed < WITHIN, "{:?}", output.elapsed);
    assert_eq!(stage.stored(USERNAME), None);
    stage.dovecot.set_password(stage.user, stage.user.password);
    stage.expect(watch(&stage, Subject::Wait), &token);
}

#[test]
fn an_account_over_its_connection_limit() {
    each_way(|subject| {
        let options = Options {
            settings: "mail_max_userip_connections = 1".to_owned(),
            ..Options::default()
        };
        let stage = Stage::with(&options, SecretService::start());
        let the_only_one = stage.dovecot.peer(stage.user);
        let watching = watch(&stage, subject);
        watching.in_trouble();
        let token = stage.deliver_token(USERNAME);
        drop(the_only_one);
        stage.expect(watching, &token);
    });
}

#[test]
fn a_thousand_mails_at_once_with_tokens_among_them() {
    each_way(|subject| {
        const MAILS: usize = 1_000;
        let stage = Stage::new();
        let watching = watch(&stage, subject);
        watching.armed();
        let mut newest = BTreeMap::new();
        let staged: Vec<_> = (0..MAILS)
            .map(|number| {
                // Seven usernames by turns, so that later tokens replace earlier ones; the last one is waited for.
                let username = match number {
                    number if number + 1 == MAILS => USERNAME.to_owned(),
                    number if number % 40 == 0 => format!("burst-{}@acme.example", number / 40 % 7),
                    number => return other_mail(number),
                };
                let token = random_token();
                let mail = stage.token_mail(&username, &token).bytes();
                newest.insert(username, token);
                mail
            })
            .map(|mail| stage.dovecot.inbox(stage.user).stage(&mail))
            .collect();
        for mail in staged {
            mail.deliver();
        }
        watching.finish(|| kept(&stage.keychain) == newest);
    });
}

#[test]
fn a_folder_that_is_deleted_and_made_again() {
    each_way(|subject| {
        let stage = Stage::new();
        stage.configure("folders = [\"Tokens\"]");
        let mut peer = stage.dovecot.peer(stage.user);
        peer.command("CREATE Tokens");
        let before = peer.mailbox("Tokens");
        // Dovecot tells a session by itself that its folder is gone, half a minute or so later.
        let watching = stage.watch(subject, Duration::from_secs(90));
        watching.armed();
        peer.command("DELETE Tokens");
        peer.command("CREATE Tokens");
        assert_ne!(peer.mailbox("Tokens").uid_validity, before.uid_validity);
        let token = random_token();
        let mail = stage.token_mail(USERNAME, &token).bytes();
        let inbox = stage.dovecot.inbox(stage.user);
        inbox.folder("Tokens").deliver(&mail);
        stage.expect(watching, &token);
    });
}

#[test]
fn a_mailbox_that_is_renumbered_while_the_server_is_down() {
    each_way(|subject| {
        let mut stage = Stage::new();
        let inbox = stage.dovecot.inbox(stage.user);
        for number in 0..3 {
            inbox.deliver(&other_mail(number));
        }
        let watching = watch(&stage, subject);
        watching.armed();
        stage.dovecot.stop();
        inbox.renumber();
        let token = stage.deliver_token(USERNAME);
        stage.dovecot.start_again();
        stage.expect(watching, &token);
    });
}

#[test]
fn a_program_that_is_stopped_for_a_while() {
    each_way(|subject| {
        let stage = Stage::new();
        let watching = watch(&stage, subject);
        watching.armed();
        watching.running.signal("STOP");
        let token = stage.deliver_token(USERNAME);
        // The time itself is what is tested.
        std::thread::sleep(Duration::from_secs(4));
        watching.running.signal("CONT");
        stage.expect(watching, &token);
    });
}

#[test]
fn a_program_that_is_stopped_while_its_connection_is_cut() {
    each_way(|subject| {
        let (stage, faults) = Stage::behind_faults();
        let watching = watch(&stage, subject);
        watching.armed();
        watching.running.signal("STOP");
        faults.now(Fault::Cut(End::Reset));
        let token = stage.deliver_token(USERNAME);
        std::thread::sleep(Duration::from_secs(3));
        watching.running.signal("CONT");
        stage.expect(watching, &token);
    });
}

#[test]
fn a_keychain_that_is_killed_before_the_mail_comes_and_started_after() {
    each_way(|subject| {
        let mut stage = Stage::new();
        let watching = watch(&stage, subject);
        watching.armed();
        stage.keychain.kill_keyring();
        let token = stage.deliver_token(USERNAME);
        watching.pending();
        stage.keychain.start_keyring();
        stage.expect(watching, &token);
    });
}

#[test]
fn a_keychain_that_is_killed_in_the_middle_of_storing() {
    each_way(|subject| {
        let (mut stage, faults) = Stage::behind_faults();
        let watching = watch(&stage, subject);
        watching.armed();
        stage.keychain.freeze();
        let before = faults.connections()[0].records;
        let token = stage.deliver_token(USERNAME);
        // The mail was fetched, and IDLE goes on beside the keychain, which does not answer.
        let fetched = || faults.connections()[0].records >= before + 2;
        lab::eventually("FETCH", WITHIN, || fetched().then_some(()), String::new);
        stage.keychain.kill_keyring();
        stage.keychain.start_keyring();
        stage.expect(watching, &token);
    });
}

#[test]
fn a_keychain_that_is_restarted_again_and_again() {
    each_way(|subject| {
        let mut stage = Stage::new();
        let watching = watch(&stage, subject);
        watching.armed();
        stage.keychain.stop_keyring();
        let token = stage.deliver_token(USERNAME);
        watching.pending();
        stage.keychain.start_keyring();
        stage.keychain.stop_keyring();
        stage.keychain.start_keyring();
        stage.expect(watching, &token);
    });
}

#[test]
fn a_link_that_is_slow_and_lossy_in_turns() {
    each_way(|subject| {
        let (stage, faults) = Stage::behind_faults();
        let delay = Duration::from_millis(300);
        faults.rest(
            lab::Plan::always(Fault::Delay(Direction::FromServer, delay)).and(
                lab::Place::Octet(Direction::FromServer, 0),
                Fault::Delay(Direction::FromClient, delay),
            ),
        );
        let watching = watch(&stage, subject);
        watching.armed();
        faults.now(Fault::Truncate(Direction::FromServer));
        let token = stage.deliver_token(USERNAME);
        stage.expect(watching, &token);
    });
}
