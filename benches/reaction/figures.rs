//! What the measurements come to.

use std::time::Duration;

use crate::contestant::Kind;
use crate::measure::{Axis, Plot, Report, Scale, Summary, Unit, percentile};
use crate::{BATCHES, LONGEST, ROUNDS};

pub(crate) const INTRODUCTION: &str = "\
From the moment the server puts `* n EXISTS` on the wire to the moment the secret can be read back, as a monitor of the \
message bus reads it after each write. TLS ends at a front of the bench's own before Dovecot, which notes who says what \
and when, and holds each octet back for as long as the line is long. All contestants watch at the same time, each its \
own mailbox, and store into one GNOME Keyring; their mails come one after the other, a tenth of a second apart. \
**The floor** is what cannot be left out: `DONE` and a `UID FETCH` of a number that is known beforehand in one write, \
and one write over an open connection to an item that is known; it checks nothing. The others search or fetch, find \
username and token by a regular expression, and store; none of them proves the sender, which fetch-token does. A poller \
is not told of mail: its time begins with the delivery, its round trips and octets with the connection, and its mails \
are 5 a batch; TCP itself and TLS are not counted.";

/// One mail's.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reaction {
    pub(crate) time: Duration,
    pub(crate) round_trips: usize,
    pub(crate) octets: usize,
    /// Whether the time counts from the announcement, and not from the delivery.
    pub(crate) is_announced: bool,
}

/// Of one batch of mails.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batch {
    pub(crate) reactions: Vec<Reaction>,
    /// How many mails were not stored in the time that one may take.
    pub(crate) missed: usize,
    /// Processor time for all of them.
    pub(crate) processor: Duration,
    /// Peak resident memory so far, in octets.
    pub(crate) peak: u64,
}

/// Of one contestant.
#[derive(Clone, Debug)]
pub(crate) struct Result {
    pub(crate) kind: Kind,
    pub(crate) batches: [Batch; BATCHES],
    /// How often it did not go on after a mail and was started again.
    pub(crate) stuck: usize,
}

impl Result {
    pub(crate) fn new(kind: Kind) -> Self {
        Self {
            kind,
            batches: Default::default(),
            stuck: 0,
        }
    }

    /// A percentile of the times of each batch, in seconds.
    fn times(&self, percent: f64) -> Vec<f64> {
        let of = |batch: &Batch| percentile(&seconds(&batch.reactions), percent);
        self.batches.iter().map(of).collect()
    }

    fn reactions(&self) -> impl Iterator<Item = &Reaction> {
        self.batches.iter().flat_map(|batch| &batch.reactions)
    }

    /// One figure of each mail, of all batches.
    #[allow(clippy::cast_precision_loss, reason = "counts far below 2^52")]
    fn counted(&self, of: impl Fn(&Reaction) -> usize) -> Summary {
        Summary::of(self.reactions().map(|reaction| of(reaction) as f64))
    }

    #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
    fn row(&self, floor: &Self) -> Vec<String> {
        let ratios = self.times(50.0).into_iter().zip(floor.times(50.0));
        let ratios = ratios.map(|(ours, floor)| ours / floor);
        let processor = self.batches.iter().map(|batch| {
            let mails = batch.reactions.len() as f64;
            batch.processor.as_secs_f64() / mails
        });
        let peak = self.batches.iter().map(|batch| batch.peak as f64);
        vec![
            self.kind.name().to_owned(),
            Summary::of(self.times(50.0)).show(Unit::Seconds),
            Summary::of(self.times(99.0)).show(Unit::Seconds),
            Summary::of(ratios).show(Unit::Times),
            self.counted(|reaction| reaction.round_trips)
                .show(Unit::Count),
            self.counted(|reaction| reaction.octets).show(Unit::Octets),
            Summary::of(peak).show(Unit::Octets),
            Summary::of(processor).show(Unit::Seconds),
        ]
    }
}

fn seconds(reactions: &[Reaction]) -> Vec<f64> {
    reactions
        .iter()
        .map(|reaction| reaction.time.as_secs_f64())
        .collect()
}

/// One line's table and plot.
pub(crate) fn tell(report: &mut Report, slug: &str, title: &'static str, results: &[Result]) {
    let of = |kind: Kind| results.iter().find(|result| result.kind == kind);
    let floor = of(Kind::Floor).expect("the floor takes part");
    report.say(format!(
        "**{title}**, {BATCHES} batches of {ROUNDS} mails; the middle batch (the least – the greatest):"
    ));
    let rows: Vec<_> = results.iter().map(|result| result.row(floor)).collect();
    report.table(
        &[
            "",
            "p50",
            "p99",
            "p50 to the floor's",
            "round trips",
            "octets",
            "peak memory",
            "processor time a mail",
        ],
        &rows,
    );
    for result in results {
        let missed: usize = result.batches.iter().map(|batch| batch.missed).sum();
        if missed > 0 {
            let (name, longest) = (result.kind.name(), LONGEST.as_secs());
            report.say(format!(
                "{name}: {missed} mails were not stored within {longest} s, and it was started again."
            ));
        }
    }
    let late = results.iter().filter(|result| {
        result.kind != Kind::Poller && result.reactions().any(|reaction| !reaction.is_announced)
    });
    for result in late {
        let count = result
            .reactions()
            .filter(|reaction| !reaction.is_announced)
            .count();
        report.say(format!(
            "{}: {count} mails were fetched on a connection on which they were not announced; their time begins with the \
             delivery, as the poller's.",
            result.kind.name()
        ));
    }
    report.plot(
        slug,
        &Plot {
            title,
            x: Axis {
                name: "from EXISTS until the secret can be read back",
                scale: Scale::Logarithmic,
                unit: Unit::Seconds,
            },
            y: Axis {
                name: "percent of the mails",
                scale: Scale::Linear,
                unit: Unit::Count,
            },
            lines: results.iter().map(line).collect(),
        },
    );
}

/// How many percent of the mails took how long.
fn line(result: &Result) -> (String, Vec<(f64, f64)>) {
    let all: Vec<Reaction> = result.reactions().copied().collect();
    let times = seconds(&all);
    let points = (0..=20).map(|step| {
        let percent = f64::from(step) * 5.0;
        (percentile(&times, percent), percent)
    });
    (result.kind.name().to_owned(), points.collect())
}
