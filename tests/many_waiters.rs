//! A hundred who wait on one daemon.
#![cfg(target_os = "linux")]

mod lab;

use jiff::{SignedDuration, Timestamp};
use lab::{Daemon, Random, Stage, Talk, random_token};
use serde_json::{Value, json};
use std::thread;
use std::time::Instant;

const USERNAMES: usize = 20;

/// Those that are processes of the program, and those that are clients of the socket.
const PROCESSES: usize = 40;
const CLIENTS: usize = 60;

const MAILS: usize = 200;

/// A mail for one of the usernames.
struct Mail {
    user: usize,
    date: Timestamp,
    token: String,
    message_id: String,
    staged: lab::Staged,
}

fn username(user: usize) -> String {
    format!("user{user}@acme.example")
}

/// The mails, each username's in an order of chance.
fn mails(stage: &Stage, random: &mut Random) -> Vec<Mail> {
    let inbox = stage.dovecot.inbox(stage.user);
    let now = Timestamp::now();
    // No two of one second: such mails are told apart by where they lie.
    let mut numbers: Vec<usize> = (0..MAILS).collect();
    let shuffled = (0..MAILS).map(|_| numbers.swap_remove(random.below(numbers.len())));
    let shuffled: Vec<usize> = shuffled.collect();
    let write = |number: usize| {
        let user = number % USERNAMES;
        let ago = i64::try_from(number).expect("a small number");
        let date = now - SignedDuration::from_secs(ago);
        let token = random_token();
        let message_id = format!("<{number}@sfdc.net>");
        let mail = stage.token_mail(&username(user), &token);
        let mail = mail.date(date).message_id(&message_id).bytes();
        Mail {
            user,
            date,
            token,
            message_id,
            staged: inbox.stage(&mail),
        }
    };
    shuffled.into_iter().map(write).collect()
}

#[test]
fn a_hundred_waiters_for_twenty_usernames_each_get_the_right_one_of_two_hundred_tokens() {
    let stage = Stage::new();
    let daemon = Daemon::start(&stage);
    let home = stage.keychain.home();
    let begin = Instant::now();
    let processes: Vec<_> = (0..PROCESSES)
        .map(|number| {
            let wait = ["-v", "--json", "wait", &username(number % USERNAMES)];
            let wait = wait
                .into_iter()
                .chain(["--timeout", "50s", "--since", "1s"]);
            (number % USERNAMES, stage.program().spawn(wait))
        })
        .collect();
    let mut clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let talk = Talk::watch(home, stage.user.name, &json!("now"));
            (number % USERNAMES, talk)
        })
        .collect();
    for (_, client) in &mut clients {
        client.armed();
    }
    for (_, process) in &processes {
        process.stderr_line("Watching INBOX");
    }
    println!("100 waiters are armed after {:?}", begin.elapsed());
    let status = stage.program().run(["status", "--json"]).expect_code(0);
    let status: Value = serde_json::from_str(&status.stdout()).expect("JSON");
    assert_eq!(status["waiters"], PROCESSES + CLIENTS, "{status:#}");
    assert_eq!(status["reconnects"], 0, "{status:#}");

    let mails = mails(&stage, &mut Random::new());
    let mut newest: Vec<Option<(Timestamp, String, String)>> = vec![None; USERNAMES];
    for mail in &mails {
        let known = &mut newest[mail.user];
        if known.as_ref().is_none_or(|(date, ..)| *date < mail.date) {
            *known = Some((mail.date, mail.message_id.clone(), mail.token.clone()));
        }
    }
    let begin = Instant::now();
    for mail in mails {
        mail.staged.deliver();
    }
    let mut answers = Vec::new();
    thread::scope(|scope| {
        let heard: Vec<_> = clients
            .iter_mut()
            .map(|(user, client)| scope.spawn(|| (*user, client.token(&username(*user)))))
            .collect();
        answers.extend(heard.into_iter().map(|one| one.join().expect("an answer")));
    });
    for (user, process) in processes {
        let output = process.wait().expect_code(0);
        let last = output.stdout().lines().last().map(str::to_owned);
        let answer: Value = serde_json::from_str(&last.expect("an answer")).expect("JSON");
        assert!(
            !output.stderr().contains("Not asking the daemon"),
            "{}",
            output.transcript()
        );
        answers.push((user, answer));
    }
    println!("100 waiters are answered after {:?}", begin.elapsed());
    assert_eq!(answers.len(), PROCESSES + CLIENTS);
    for (user, answer) in &answers {
        let (date, message_id, _) = newest[*user].as_ref().expect("some mails");
        assert_eq!(answer["username"], username(*user), "{answer:#}");
        assert_eq!(answer["message_id"], *message_id, "{date}: {answer:#}");
    }
    for (user, newest) in newest.iter().enumerate() {
        let token = newest.as_ref().map(|(.., token)| token.clone());
        assert_eq!(stage.stored(&username(user)), token);
    }
    drop(clients);
    daemon.stop();
}
