//! What it would save to take up a TLS session again, measured with OpenSSL's own client: `native-tls`, through which
//! this program speaks to the platform's TLS, lets nobody hand a session to a new connection.

use super::lab::{Dovecot, Home, Options, Program, Wire};
use super::measure::{Report, Summary, Unit, percentile};
use std::time::{Duration, Instant};

const RUNS: usize = 11;

const SILENCE: Duration = Duration::from_millis(50);

/// How the handshake goes.
struct Manner {
    name: &'static str,
    version: &'static str,
    resumes: bool,
    /// Dovecot's default is a process of its own for each login, each with keys of its own for tickets.
    one_login_process: bool,
}

const MANNERS: [Manner; 6] = [
    Manner {
        name: "TLS 1.3",
        version: "-tls1_3",
        resumes: false,
        one_login_process: false,
    },
    Manner {
        name: "TLS 1.3, with a ticket",
        version: "-tls1_3",
        resumes: true,
        one_login_process: false,
    },
    Manner {
        name: "TLS 1.3, one login process",
        version: "-tls1_3",
        resumes: false,
        one_login_process: true,
    },
    Manner {
        name: "TLS 1.3, with a ticket, one login process",
        version: "-tls1_3",
        resumes: true,
        one_login_process: true,
    },
    Manner {
        name: "TLS 1.2",
        version: "-tls1_2",
        resumes: false,
        one_login_process: false,
    },
    Manner {
        name: "TLS 1.2, with a ticket, one login process",
        version: "-tls1_2",
        resumes: true,
        one_login_process: true,
    },
];

struct Greeted {
    reused: bool,
    round_trips: u32,
    octets: u64,
    took: Duration,
}

/// The table of all manners.
pub(crate) fn report(report: &mut Report) {
    let each = Dovecot::start_default();
    let one = Dovecot::start(&Options {
        settings: "service imap-login {\n service_count = 0\n process_min_avail = 1\n process_limit = 1\n}\n"
            .to_owned(),
        ..Options::default()
    });
    let home = Home::new();
    let mut runs: Vec<Vec<Greeted>> = MANNERS.iter().map(|_| Vec::new()).collect();
    for round in 0..RUNS {
        for turn in 0..MANNERS.len() {
            let number = (round + turn) % MANNERS.len();
            let manner = &MANNERS[number];
            let server = if manner.one_login_process {
                &one
            } else {
                &each
            };
            let ticket = home.path().join(format!("session-{number}"));
            if manner.resumes && !ticket.exists() {
                greeting(server, &home, manner.version, number, false);
            }
            runs[number].push(greeting(
                server,
                &home,
                manner.version,
                number,
                manner.resumes,
            ));
        }
    }
    let rows: Vec<Vec<String>> = MANNERS
        .iter()
        .zip(&runs)
        .map(|(manner, runs)| row(manner, runs))
        .collect();
    report.say(
        "Sessions are not taken up again (TLS resumption), for `native-tls` gives each connection a session of its own \
         and takes none from elsewhere. It would save no round trip: the server greets first, and not before it has the \
         client's last message of the handshake, in TLS 1.2 as in 1.3. It would save octets and the server's signature, \
         where a server takes it up: Dovecot with its defaults does not, for each login is a process of its own, with \
         keys of its own for tickets.",
    );
    report.table(
        &[
            "until the greeting, `openssl s_client`",
            "taken up again",
            "round trips",
            "octets",
            "process start to greeting",
        ],
        &rows,
    );
}

fn row(manner: &Manner, runs: &[Greeted]) -> Vec<String> {
    let reused = runs.iter().filter(|run| run.reused).count();
    let round_trips: Vec<f64> = runs.iter().map(|run| f64::from(run.round_trips)).collect();
    #[allow(clippy::cast_precision_loss, reason = "far below 2^52 octets")]
    let octets: Vec<f64> = runs.iter().map(|run| run.octets as f64).collect();
    vec![
        manner.name.to_owned(),
        format!("{reused} of {}", runs.len()),
        Summary::of(round_trips).show(Unit::Count),
        Unit::Octets.show(percentile(&octets, 50.0)),
        Summary::of_durations(runs.iter().map(|run| run.took)).show(Unit::Seconds),
    ]
}

/// One connection up to the greeting; keeps its session, and goes on with the one kept before if it is to.
fn greeting(server: &Dovecot, home: &Home, version: &str, number: usize, resumes: bool) -> Greeted {
    let wire = Wire::before(server.imaps_port(), Duration::ZERO);
    let address = format!("localhost:{}", wire.port());
    let ca_file = server.ca_file();
    let ca_file = ca_file.to_str().expect("a path of ours");
    let ticket = home.path().join(format!("session-{number}"));
    let ticket = ticket.to_str().expect("a path of ours");
    let mut arguments = vec!["s_client", "-connect", &address, "-servername", "localhost"];
    arguments.extend(["-CAfile", ca_file, "-verify_return_error", version]);
    arguments.extend(["-sess_out", ticket]);
    if resumes {
        arguments.extend(["-sess_in", ticket]);
    }
    let begin = Instant::now();
    let running = Program::new("openssl").spawn_told(arguments, "");
    running.stdout_line("* OK ");
    let carried = wire.settled(SILENCE);
    Greeted {
        reused: running.stdout_so_far().contains("Reused, TLS"),
        round_trips: carried.round_trips,
        octets: carried.from_client + carried.from_server,
        took: carried.heard.expect("a greeting") - begin,
    }
}
