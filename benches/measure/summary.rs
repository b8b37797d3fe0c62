//! The figures of several runs.

use std::fmt;
use std::time::Duration;

/// The fewest runs that a figure is made of.
pub const RUNS: usize = 5;

/// The least, the middle and the greatest of several runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Summary {
    pub min: f64,
    pub median: f64,
    pub max: f64,
}

impl Summary {
    /// Of at least [`RUNS`] runs.
    pub fn of(runs: impl IntoIterator<Item = f64>) -> Self {
        let mut runs: Vec<f64> = runs.into_iter().collect();
        assert!(runs.len() >= RUNS, "{} runs are too few", runs.len());
        runs.sort_by(f64::total_cmp);
        Self {
            min: runs[0],
            median: middle(&runs),
            max: runs[runs.len() - 1],
        }
    }

    /// Of how long each run took, in seconds.
    pub fn of_durations(runs: impl IntoIterator<Item = Duration>) -> Self {
        Self::of(runs.into_iter().map(|run| run.as_secs_f64()))
    }

    /// The three figures as a table shows them: the median, and the other two in brackets.
    pub fn show(&self, unit: Unit) -> String {
        let Self { min, median, max } = *self;
        format!(
            "{} ({} – {})",
            unit.show(median),
            unit.show(min),
            unit.show(max)
        )
    }
}

fn middle(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    if sorted.len() % 2 == 1 {
        sorted[half]
    } else {
        f64::midpoint(sorted[half - 1], sorted[half])
    }
}

/// The least value that at least `percent` of the values do not exceed (the nearest rank).
pub fn percentile(values: &[f64], percent: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    #[allow(clippy::cast_precision_loss)]
    let below = values.len() as f64 * percent / 100.0;
    // A rank is at least 1, and far below 2^52.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let rank = below.ceil().max(1.0) as usize;
    values[rank.min(values.len()) - 1]
}

/// What a figure counts, and so how it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds, written in s, ms, µs or ns.
    Seconds,
    /// Octets, written in B, KiB or MiB.
    Octets,
    /// A count of anything.
    Count,
    /// A multiple of something else.
    Times,
}

impl Unit {
    pub fn show(self, value: f64) -> String {
        match self {
            Self::Seconds if value >= 1.0 => format!("{} s", Digits(value)),
            Self::Seconds if value >= 1e-3 => format!("{} ms", Digits(value * 1e3)),
            Self::Seconds if value >= 1e-6 => format!("{} µs", Digits(value * 1e6)),
            Self::Seconds if value == 0.0 => "0 s".to_owned(),
            Self::Seconds => format!("{} ns", Digits(value * 1e9)),
            Self::Octets if value >= 1024.0 * 1024.0 => {
                format!("{} MiB", Digits(value / (1024.0 * 1024.0)))
            }
            Self::Octets if value >= 1024.0 => format!("{} KiB", Digits(value / 1024.0)),
            Self::Octets => format!("{value:.0} B"),
            Self::Count if value.fract() == 0.0 => format!("{value:.0}"),
            Self::Count => format!("{}", Digits(value)),
            Self::Times => format!("{value:.2} ×"),
        }
    }
}

/// Three digits that count.
struct Digits(f64);

impl fmt::Display for Digits {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.0;
        let decimals = match value.abs() {
            0.0..10.0 => 2,
            10.0..100.0 => 1,
            _ => 0,
        };
        write!(formatter, "{value:.decimals$}")
    }
}
