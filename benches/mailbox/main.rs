//! A look back of ten minutes in mailboxes of a thousand to a million mails, beside the search that scripts make.
//!
//! `cargo bench --bench mailbox -- --small` leaves the million out.

#[path = "../../tests/lab/mod.rs"]
mod lab;
#[path = "../measure/mod.rs"]
mod measure;

mod boxes;

use boxes::{Boxes, Cost, SIZES, Seeker, Size};
use measure::{Axis, Plot, Report, Scale, Summary, Unit};

const ROUNDS: usize = 5;

/// The costs of each seeker in each size: `costs[seeker][size][round]`.
type Costs = Vec<Vec<Vec<Cost>>>;

fn main() {
    let is_small = std::env::args().any(|argument| argument == "--small");
    let sizes = &SIZES[..SIZES.len() - usize::from(is_small)];
    let boxes = Boxes::new(sizes);
    let mut report = Report::new("mailbox");
    report.say(
        "From the start of the process to its end, the token of a mail found that came just now, as the last of 21 mails \
         of the last minutes: with us judged and looked up in the keychain, with the script found by a regular \
         expression. Dovecot, mailboxes in mbox files, TLS 1.3; octets as TCP carries them, the handshake among them.",
    );
    let firsts: Vec<Vec<String>> = sizes.iter().map(|size| first(&boxes, *size)).collect();
    let costs = rounds(&boxes, sizes);
    for seeker in Seeker::ALL {
        said(&mut report, &boxes, sizes, seeker);
    }
    table(&mut report, sizes, &costs);
    report.say(
        "What comes once, before Dovecot has an index of the folder and has kept of each mail what is searched for \
         (measured once):",
    );
    report.table(
        &[
            "mails",
            "filled in",
            "first `EXAMINE`",
            "our first look",
            "the script's first search",
        ],
        &firsts,
    );
    plots(&mut report, sizes, &costs);
    report.write();
}

/// A mailbox's making, and the first looks into it.
fn first(boxes: &Boxes, size: Size) -> Vec<String> {
    let (filled, opened) = boxes.fill(size);
    let looks = Seeker::ALL.map(|seeker| boxes.time(size, seeker).took);
    let times = [filled, opened].into_iter().chain(looks);
    std::iter::once(size.mails.to_string())
        .chain(times.map(|time| Unit::Seconds.show(time.as_secs_f64())))
        .collect()
}

/// Everybody looks into every mailbox, in rounds that begin with another one each time.
fn rounds(boxes: &Boxes, sizes: &[Size]) -> Costs {
    let mut costs: Costs = vec![vec![Vec::new(); sizes.len()]; Seeker::ALL.len()];
    for round in 0..ROUNDS {
        for (place, size) in sizes.iter().enumerate() {
            for turn in 0..Seeker::ALL.len() {
                let seeker = (round + turn) % Seeker::ALL.len();
                costs[seeker][place].push(boxes.time(*size, Seeker::ALL[seeker]));
            }
        }
    }
    costs
}

/// The commands, which are the same in every size or said of each.
fn said(report: &mut Report, boxes: &Boxes, sizes: &[Size], seeker: Seeker) {
    let all: Vec<_> = sizes
        .iter()
        .map(|size| boxes.commands(*size, seeker))
        .collect();
    let of_all = if all.windows(2).all(|pair| pair[0] == pair[1]) {
        format!("{} (in every size)", all[0].join(", "))
    } else {
        let each = sizes.iter().zip(&all);
        let each = each.map(|(size, said)| format!("{}: {}", size.mails, said.join(", ")));
        each.collect::<Vec<_>>().join("; ")
    };
    report.say(format!("{}: {of_all}.", seeker.name()));
}

fn took(costs: &[Cost]) -> Summary {
    Summary::of_durations(costs.iter().map(|cost| cost.took))
}

fn octets(costs: &[Cost]) -> Summary {
    #[allow(clippy::cast_precision_loss, reason = "far below 2^52 octets")]
    Summary::of(costs.iter().map(|cost| cost.carried.from_server as f64))
}

fn table(report: &mut Report, sizes: &[Size], costs: &Costs) {
    let mut rows = Vec::new();
    for (place, size) in sizes.iter().enumerate() {
        for (seeker, costs) in Seeker::ALL.iter().zip(costs) {
            let here = &costs[place];
            let round_trips = here.iter().map(|cost| f64::from(cost.carried.round_trips));
            rows.push(vec![
                format!("{} mails, {}", size.mails, seeker.name()),
                Summary::of(round_trips).show(Unit::Count),
                octets(here).show(Unit::Octets),
                took(here).show(Unit::Seconds),
                Unit::Times.show(took(here).median / took(&costs[0]).median),
            ]);
        }
    }
    report.table(
        &[
            "mailbox",
            "round trips",
            "received",
            "time",
            "× the smallest",
        ],
        &rows,
    );
}

fn plots(report: &mut Report, sizes: &[Size], costs: &Costs) {
    let lines = |of: fn(&[Cost]) -> Summary| {
        let line = |(seeker, costs): (&Seeker, &Vec<Vec<Cost>>)| {
            #[allow(clippy::cast_precision_loss, reason = "a million at most")]
            let points = sizes
                .iter()
                .zip(costs)
                .map(|(size, costs)| (size.mails as f64, of(costs).median));
            (seeker.name().replace('`', ""), points.collect())
        };
        Seeker::ALL.iter().zip(costs).map(line).collect()
    };
    let axis = |name, unit| Axis {
        name,
        scale: Scale::Logarithmic,
        unit,
    };
    let x = axis("mails in the folder", Unit::Count);
    for (slug, title, y, lines) in [
        (
            "time",
            "From start to token",
            axis("time", Unit::Seconds),
            lines(took),
        ),
        (
            "octets",
            "Octets received",
            axis("octets", Unit::Octets),
            lines(octets),
        ),
    ] {
        let plot = Plot { title, x, y, lines };
        report.plot(slug, &plot);
    }
}
