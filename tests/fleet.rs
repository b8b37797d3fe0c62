//! Two daemons on one mailbox and one keychain, which do not talk to each other: the newest token of each username is
//! stored in the end, whatever happens to one of them, and their hooks do their work once for each mail.
#![cfg(target_os = "linux")]

mod lab;

use lab::{
    Deliveries, Home, INTEGRATION, Program, Random, Resident, SERVICE, Stage, eventually, kept,
    keys, recipe,
};
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const KILLS: usize = if cfg!(feature = "long-tests") { 100 } else { 8 };

/// How long the daemon lives that is killed.
const LIFE: Range<Duration> = Duration::from_millis(5)..Duration::from_millis(1_600);

const BETWEEN_MAILS: Range<Duration> = Duration::from_millis(20)..Duration::from_millis(300);

const USERNAMES: usize = 4;

/// When all must be stored, once both daemons are left alone.
const SOON: Duration = Duration::from_secs(30);

/// When the newer token must be there again, should an older one have come between look and write.
const HEALED: Duration = Duration::from_secs(10);

/// What the reader saw: the usernames' tokens as they changed, and when.
type Seen = BTreeMap<String, Vec<(Instant, String)>>;

/// A home with a configuration of its own, at which the program finds the stage's keychain.
fn installation(stage: &Stage, hooks: &str) -> (Home, Program) {
    let home = Home::new();
    let keys = home.write_private("keys.json", &keys());
    let account = stage.dovecot.account(stage.user, &stage.password_file);
    home.write_config(&format!(
        "{account}[sender]\ndkim_keys = \"{}\"\n{hooks}",
        keys.display()
    ));
    let program = stage.program().at_home(&home);
    (home, program)
}

/// Reads all the time, as a program that uses the tokens would, until it is over.
fn watch(stage: &Stage, is_over: &AtomicBool) -> (usize, Seen) {
    let mut seen = Seen::new();
    let mut looks = 0;
    while !is_over.load(Ordering::Relaxed) {
        for number in 0..USERNAMES {
            let username = name(number);
            let Some(token) = stage.keychain.lookup(SERVICE, &username) else {
                continue;
            };
            looks += 1;
            let seen = seen.entry(username).or_default();
            if seen.last().is_none_or(|(_, last)| *last != token) {
                seen.push((Instant::now(), token));
            }
        }
    }
    (looks, seen)
}

fn name(number: usize) -> String {
    format!("etl-{number}@acme.example")
}

/// How often an older token followed a newer one; each must have been healed in time.
fn steps_back(deliveries: &Deliveries, seen: &Seen) -> usize {
    let order = deliveries.in_order();
    let mut count = 0;
    for (username, changes) in seen {
        let rank = |token: &str| {
            let place = order
                .iter()
                .position(|(name, known)| name == username && *known == token);
            place.unwrap_or_else(|| panic!("{username} had a token that nobody delivered"))
        };
        let ranks: Vec<_> = changes
            .iter()
            .map(|(at, token)| (*at, rank(token)))
            .collect();
        let mut newest = 0;
        let mut back_since = None;
        for (at, rank) in ranks {
            if rank >= newest {
                if let Some(since) = back_since.take() {
                    let healed: Duration = at - since;
                    assert!(healed < HEALED, "{username}: an older token for {healed:?}");
                }
                newest = rank;
            } else if back_since.is_none() {
                back_since = Some(at);
                count += 1;
            }
        }
        assert_eq!(back_since, None, "{username}: an older token stayed");
    }
    count
}

#[test]
fn two_daemons_that_do_not_talk_one_of_them_killed_again_and_again_agree_on_the_newest() {
    let stage = Stage::new();
    let work = stage.keychain.home().path().join("work");
    std::fs::create_dir(&work).expect("a folder");
    let hook = recipe("fleets.md", "Hooks that do their work once for each mail")
        .replace("/var/lib/etl", work.to_str().expect("UTF-8"))
        .replace(
            "systemctl --user restart etl",
            "echo \"$FETCH_TOKEN_MESSAGE_ID\" >> $done/../log",
        );
    // What each daemon ran, whoever did the work.
    let ran = |who: &str| {
        let file = work.join(who);
        let script = format!("echo \"$FETCH_TOKEN_MESSAGE_ID\" >> {}", file.display());
        format!("{hook}[[hook]]\non = \"stored\"\ncommand = [\"sh\", \"-c\", '{script}']\n")
    };
    let (_steady_home, steady_program) = installation(&stage, &ran("steady"));
    let (_killed_home, killed_program) = installation(&stage, &ran("killed"));
    let at_most = Duration::from_mins(20);
    let mut steady = Resident::start(&steady_program, at_most);
    let mut killed = Resident::start(&killed_program, at_most);
    let mut random = Random::new();
    let mut chance = random.split();
    let (is_over, is_quiet) = (AtomicBool::new(false), AtomicBool::new(false));
    let begin = Instant::now();
    let (deliveries, looks, seen) = thread::scope(|scope| {
        let stream = scope.spawn(|| {
            let mut deliveries = Deliveries::default();
            while !is_over.load(Ordering::Relaxed) {
                let username = name(chance.below(USERNAMES));
                deliveries.deliver(&stage.dovecot, INTEGRATION, &username);
                thread::sleep(chance.within(&BETWEEN_MAILS));
            }
            deliveries
        });
        let reader = scope.spawn(|| watch(&stage, &is_quiet));
        for _ in 0..KILLS {
            thread::sleep(random.within(&LIFE));
            killed.kill();
            killed.start_again();
        }
        is_over.store(true, Ordering::Relaxed);
        let deliveries = stream.join().expect("the stream");
        let until = Instant::now() + SOON;
        let is_done = |resident: &Resident| deliveries.open(&resident.events()) == 0;
        while !(is_done(&steady) && is_done(&killed)) && Instant::now() < until {
            thread::sleep(Duration::from_millis(100));
        }
        is_quiet.store(true, Ordering::Relaxed);
        let (looks, seen) = reader.join().expect("the reader");
        (deliveries, looks, seen)
    });
    assert_eq!(deliveries.open(&steady.events()), 0, "{}", steady.log());
    assert_eq!(deliveries.open(&killed.events()), 0, "{}", killed.log());
    assert_eq!(kept(&stage.keychain), deliveries.newest());
    println!(
        "{} mails, {KILLS} kills in {:.1?}; {looks} looks, of which {} found an older token after a newer one",
        deliveries.count(),
        begin.elapsed(),
        steps_back(&deliveries, &seen)
    );
    hooks_did_their_work_once(&work, USERNAMES);
    steady.stop();
    killed.stop();
    deliveries.judge_one_of_a_fleet(&steady.events());
    deliveries.judge_one_of_a_fleet(&killed.events());
}

/// Both ran hooks, for the newest of each username at least, and the work was done once for each mail.
#[track_caller]
fn hooks_did_their_work_once(work: &Path, at_least: usize) {
    let lines = |name: &str| -> Vec<String> {
        let text = std::fs::read_to_string(work.join(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    };
    eventually(
        "the hooks",
        SOON,
        || (lines("steady").len() >= at_least && lines("killed").len() >= at_least).then_some(()),
        || format!("{:?}\n{:?}", lines("steady"), lines("killed")),
    );
    // The work of a hook that runs last may be under way.
    thread::sleep(Duration::from_millis(500));
    let once = |lines: Vec<String>| -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for line in lines {
            *counts.entry(line).or_default() += 1;
        }
        counts
    };
    let done = once(lines("log"));
    assert!(done.values().all(|&times| times == 1), "{done:#?}");
    let mut hooked = once(lines("steady"));
    hooked.extend(once(lines("killed")));
    let lost: Vec<_> = hooked.keys().filter(|id| !done.contains_key(*id)).collect();
    assert_eq!(
        lost, [""; 0],
        "hooks ran for these, and the work was not done"
    );
    println!("{} mails had hooks, each its work once", hooked.len());
}
