//! A connection that falls silent at any step loses no token: the program gives it up by its own deadline, and the
//! next connection finds the mail. All cases run side by side, so that they take about one deadline together.
#![cfg(target_os = "linux")]

mod lab;

use lab::{Case, Direction, Fault, Ground, Place, Plan, Subject, each_in_parallel, eventually};
use std::time::{Duration, Instant};

use Direction::{FromClient, FromServer};

/// The program's own deadlines, in seconds: for the TLS handshake, for what costs a server nothing (the greeting, the
/// answers to IDLE and to DONE), for any other command, and how often it searches while IDLE says nothing: more often
/// where somebody waits.
const HANDSHAKE: u64 = 15;
const PROMPT: u64 = 15;
const COMMAND: u64 = 30;
const SEARCH_ATTENDED: u64 = 20;
const SEARCH: u64 = 300;

/// For the pause before the second connection, and the whole of that one, while everything else runs as well.
const SECOND_CONNECTION: u64 = 15;

/// When the mail comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mail {
    LiesThere,
    /// When IDLE was sent, which on an empty mailbox is the fourth of the client's sealed records.
    ComesAtIdle,
    /// When the program idles.
    ComesWhileIdling,
}

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trouble {
    /// What the server says is held; the connection stays open.
    Held,
    /// What the server says, its end too, is lost; the client sees nothing of it.
    ServerLost,
    /// What the client says is lost; the server sees nothing of it.
    ClientLost,
    /// What the server says comes at an octet a second.
    Slow,
}

impl Trouble {
    const ALL: [Self; 4] = [Self::Held, Self::ServerLost, Self::ClientLost, Self::Slow];

    fn fault(self) -> Fault {
        match self {
            Self::Held => Fault::Stall(FromServer),
            Self::ServerLost => Fault::Lose(FromServer),
            Self::ClientLost => Fault::Lose(FromClient),
            Self::Slow => Fault::Slow(FromServer, Duration::from_secs(1)),
        }
    }
}

/// A step of a session.
#[derive(Clone, Copy, Debug)]
struct Step {
    name: &'static str,
    mail: Mail,
    /// From where on the server is not heard; `None` is while the program idles.
    server: Option<Place>,
    /// From where on the client is not heard, where that is another thing.
    client: Option<Place>,
    /// The program's deadline.
    limit: u64,
}

/// A command: from its record on the server is not heard, or from the record before it the client is not.
const fn command(name: &'static str, mail: Mail, record: u64, limit: u64) -> Step {
    Step {
        name,
        mail,
        server: Some(Place::Answer { record, octets: 0 }),
        client: Some(Place::Answer {
            record: record - 1,
            octets: 0,
        }),
        limit,
    }
}

/// In the middle of something that the server says.
const fn amid(name: &'static str, mail: Mail, place: Place, limit: u64) -> Step {
    Step {
        name,
        mail,
        server: Some(place),
        client: None,
        limit,
    }
}

const STEPS: [Step; 13] = [
    Step {
        name: "before the TLS handshake",
        mail: Mail::LiesThere,
        server: Some(Place::Octet(FromServer, 0)),
        client: Some(Place::Octet(FromClient, 0)),
        limit: HANDSHAKE,
    },
    amid(
        "in the TLS handshake",
        Mail::LiesThere,
        Place::Octet(FromServer, 300),
        HANDSHAKE,
    ),
    amid(
        "before the greeting",
        Mail::LiesThere,
        Place::Answer {
            record: 1,
            octets: 0,
        },
        PROMPT,
    ),
    command("AUTHENTICATE", Mail::LiesThere, 2, COMMAND),
    command("EXAMINE", Mail::LiesThere, 3, COMMAND),
    command("SEARCH", Mail::LiesThere, 4, COMMAND),
    command("FETCH of the header", Mail::LiesThere, 5, COMMAND),
    command("FETCH of the mail", Mail::LiesThere, 6, COMMAND),
    amid(
        "in the literal of a mail that lies there",
        Mail::LiesThere,
        Place::Answer {
            record: 6,
            octets: 600,
        },
        COMMAND,
    ),
    command("IDLE", Mail::ComesAtIdle, 4, PROMPT),
    Step {
        name: "while idling",
        mail: Mail::ComesWhileIdling,
        server: None,
        client: None,
        limit: SEARCH_ATTENDED + PROMPT,
    },
    command("DONE and FETCH", Mail::ComesWhileIdling, 5, PROMPT),
    amid(
        "in the literal of a mail that was announced",
        Mail::ComesWhileIdling,
        Place::Answer {
            record: 5,
            octets: 600,
        },
        COMMAND,
    ),
];

impl Step {
    /// Whether nothing was asked of the server.
    fn is_idling(self) -> bool {
        self.server.is_none()
    }

    /// The deadline of this way to run the program, in this trouble.
    fn limit_of(self, subject: Subject, trouble: Trouble) -> u64 {
        match (subject, trouble) {
            (Subject::Daemon, _) if self.is_idling() => SEARCH + PROMPT,
            // The mail may be there before the folder is opened: then what is lost is SEARCH.
            (_, Trouble::ClientLost) if self.mail == Mail::ComesAtIdle => COMMAND,
            _ => self.limit,
        }
    }

    /// Where this trouble begins, if it is one at this step.
    fn plan(self, trouble: Trouble) -> Option<Plan> {
        let place = match trouble {
            Trouble::ClientLost => self.client,
            _ => self.server,
        };
        match place {
            Some(place) => Some(Plan::at(place, trouble.fault())),
            None => self.is_idling().then(Plan::default),
        }
    }
}

/// Runs a session in which nothing goes wrong; gives its number of records, which the steps are counted in.
fn whole_session(case: &Case<'_>, subject: Subject, mail: Mail) -> u64 {
    let token = (mail == Mail::LiesThere).then(|| case.deliver());
    let watching = case.watch(subject, Duration::from_secs(30));
    let token = token.unwrap_or_else(|| {
        watching.armed();
        case.deliver()
    });
    case.expect(watching, &token);
    case.faults.connections()[0].records
}

fn run(case: &Case<'_>, subject: Subject, step: Step, trouble: Trouble, plan: Plan) -> Duration {
    case.faults.next(plan);
    let within = Duration::from_secs(step.limit_of(subject, trouble) + SECOND_CONNECTION);
    let early = (step.mail == Mail::LiesThere).then(|| case.deliver());
    let watching = case.watch(subject, within);
    let token = early.unwrap_or_else(|| {
        if step.mail == Mail::ComesAtIdle {
            // What is lost on the way is not counted.
            let last = if trouble == Trouble::ClientLost { 3 } else { 4 };
            let sent = || case.faults.connections().first().map(|first| first.records);
            eventually(
                "IDLE",
                within,
                || sent().filter(|&records| records >= last).map(drop),
                || format!("{:?}", sent()),
            );
        } else {
            watching.armed();
        }
        if step.is_idling() {
            case.faults.now(trouble.fault());
        }
        case.deliver()
    });
    let took = case.expect(watching, &token);
    let connections = case.faults.connections();
    assert!(connections.len() > 1, "nothing went wrong: {connections:?}");
    took
}

/// Every trouble at every step.
fn cases(subject: Subject) -> impl Iterator<Item = (Subject, Step, Trouble, Plan)> {
    let both = STEPS
        .into_iter()
        .flat_map(|step| Trouble::ALL.map(|trouble| (step, trouble)));
    both.filter_map(move |(step, trouble)| Some((subject, step, trouble, step.plan(trouble)?)))
}

#[test]
fn a_connection_that_falls_silent_at_any_step_is_given_up_in_time_and_loses_no_token() {
    let begin = Instant::now();
    let all = Subject::ALL.into_iter().flat_map(cases);
    // A daemon for which nobody waits looks after five minutes, so that those cases are for the long run.
    let is_run = |subject: Subject, step: Step| {
        cfg!(feature = "long-tests") || subject == Subject::Wait || !step.is_idling()
    };
    let cases: Vec<_> = all
        .filter(|(subject, step, ..)| is_run(*subject, *step))
        .collect();
    let ground = Ground::new(cases.len() + 2 * Subject::ALL.len());
    // Finished, and then a record a command, DONE and what follows it in one.
    for subject in Subject::ALL {
        let records = [Mail::LiesThere, Mail::ComesWhileIdling]
            .map(|mail| whole_session(&ground.case(), subject, mail));
        println!("{subject:?}: {records:?} records");
    }
    each_in_parallel(
        &cases,
        cases.len(),
        |(subject, step, trouble, _)| format!("{subject:?} {trouble:?} {}", step.name),
        |(subject, step, trouble, plan)| {
            let took = run(&ground.case(), *subject, *step, *trouble, plan.clone());
            println!("{took:>7.1?}  {subject:?} {trouble:?} {}", step.name);
        },
    );
    assert_eq!(ground.left(), [""; 0], "nothing else is stored");
    println!("{} cases in {:.1?}", cases.len(), begin.elapsed());
}
