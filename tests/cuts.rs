//! A connection that is cut after any octet of a whole session loses no token: the next connection finds it.
//!
//! Two sessions, from the TLS handshake to the goodbye: one in which the mail comes while the program idles, one in
//! which it lies there already. Each is measured first, then cut at octet after octet of either direction, by RST
//! at even places and by FIN at odd ones. By default at a sample of them, with `--features long-tests` at all; those of
//! a daemon, which connects and reads as `wait` does, always at a sample. A session that begins with STARTTLS is the
//! same behind it: there, the long run takes all octets up to the handshake's, and a sample of the others.
#![cfg(target_os = "linux")]

mod lab;

use lab::{Case, Direction, End, Fault, Ground, Place, Plan, Subject, Way, each_in_parallel};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Runs at a time: each mostly waits for the second that the program waits before it connects again, and for
/// Dovecot, which takes half a second to announce a mail.
const AT_A_TIME: usize = 24;

/// When a token must be stored at the latest, from the program's start.
const WITHIN: Duration = Duration::from_secs(30);

/// Octets that a session may be longer than the one measured: signatures in the handshake vary in length.
const SPARE: u64 = 4;

/// Octets at the end of a session that need not come: the server's answer to LOGOUT, which the program does not wait
/// for.
const GOODBYE: u64 = 250;

/// The same of a daemon, which may be told to end before it idles again.
const GOODBYE_OF_A_DAEMON: u64 = 600;

/// Octets in either direction that a session which begins with STARTTLS has before TLS, and some of the handshake.
const BEFORE_TLS: u64 = 300;

/// Places in each direction of each session to cut at, between the first and the last few; all of them where there is
/// no number.
fn sample(subject: Subject, way: Way) -> Option<u64> {
    match (subject, way, cfg!(feature = "long-tests")) {
        (Subject::Wait, Way::Implicit, true) => None,
        (_, _, true) => Some(60),
        (Subject::Wait, Way::Implicit, false) => Some(40),
        (Subject::Wait, Way::StartTls, false) => Some(12),
        (Subject::Daemon, _, false) => Some(4),
    }
}

#[derive(Clone, Copy, Debug)]
enum Session {
    /// Handshake, login, EXAMINE, IDLE, EXISTS, DONE, FETCH, store, goodbye.
    ComesWhileIdling,
    /// Handshake, login, EXAMINE, SEARCH, FETCH, store, goodbye.
    LiesThere,
}

#[derive(Clone, Copy, Debug)]
struct Cut {
    subject: Subject,
    way: Way,
    session: Session,
    direction: Direction,
    octet: u64,
    /// Whether every session comes as far.
    certain: bool,
}

/// One run of the program; gives how long it took.
fn run(case: &Case<'_>, subject: Subject, session: Session) -> Duration {
    let (watching, token) = match session {
        Session::ComesWhileIdling => {
            let watching = case.watch(subject, WITHIN);
            watching.armed();
            (watching, case.deliver())
        }
        Session::LiesThere => {
            let token = case.deliver();
            (case.watch(subject, WITHIN), token)
        }
    };
    case.expect(watching, &token)
}

/// The places in one direction of a session that has so many octets: a sample, and all of the first ones.
fn places(octets: u64, sample: Option<u64>, first: u64) -> Vec<u64> {
    let last = octets + SPARE;
    let Some(sample) = sample else {
        return (0..=last).collect();
    };
    let step = usize::try_from(octets / sample).expect("a short session");
    let mut places: Vec<_> = (0..=last).step_by(step | 1).collect();
    places.extend(0..first);
    places.extend(octets - 4..=last);
    places.sort_unstable();
    places.dedup();
    places
}

fn cuts(subject: Subject, way: Way, session: Session) -> Vec<Cut> {
    let ground = Ground::new(1);
    let case = ground.case_by(way);
    run(&case, subject, session);
    let [whole] = case.faults.connections()[..] else {
        panic!("one connection was to do");
    };
    println!("{subject:?}, {way:?}, {session:?}: {whole:?}");
    let goodbye = match subject {
        Subject::Wait => GOODBYE,
        Subject::Daemon => GOODBYE_OF_A_DAEMON,
    };
    let first = match (way, cfg!(feature = "long-tests")) {
        (Way::StartTls, true) => BEFORE_TLS,
        _ => 4,
    };
    let both = [
        (Direction::FromClient, whole.from_client),
        (Direction::FromServer, whole.from_server),
    ];
    both.into_iter()
        .flat_map(|(direction, octets)| {
            let places = places(octets, sample(subject, way), first);
            places.into_iter().map(move |octet| Cut {
                subject,
                way,
                session,
                direction,
                octet,
                certain: octet + goodbye <= octets,
            })
        })
        .collect()
}

#[test]
fn a_session_cut_after_any_octet_loses_no_token() {
    let sessions = [Session::ComesWhileIdling, Session::LiesThere];
    let ways = Subject::ALL
        .into_iter()
        .flat_map(|subject| [Way::Implicit, Way::StartTls].map(|way| (subject, way)));
    let all = ways.flat_map(|(subject, way)| sessions.map(|session| cuts(subject, way, session)));
    let cuts: Vec<_> = all.flatten().collect();

    let begin = Instant::now();
    let ground = Ground::new(cuts.len());
    let (done, made) = (AtomicUsize::new(0), AtomicUsize::new(0));
    each_in_parallel(
        &cuts,
        AT_A_TIME,
        |cut| format!("{cut:?}"),
        |&cut| {
            let end = if cut.octet % 2 == 0 {
                End::Reset
            } else {
                End::Close
            };
            let case = ground.case_by(cut.way);
            case.faults.next(Plan::at(
                Place::Octet(cut.direction, cut.octet),
                Fault::Cut(end),
            ));
            run(&case, cut.subject, cut.session);
            let reached = case.faults.connections()[0].due == 0;
            assert!(reached || !cut.certain, "the session was not cut");
            made.fetch_add(usize::from(reached), Ordering::Relaxed);
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            if done.is_multiple_of(500) {
                println!("{done} of {} after {:.0?}", cuts.len(), begin.elapsed());
            }
        },
    );
    println!(
        "{} places, {} of them reached, in {:.1?}: every token stored",
        cuts.len(),
        made.load(Ordering::Relaxed),
        begin.elapsed()
    );
    assert_eq!(ground.left(), [""; 0], "nothing else is stored");
}
