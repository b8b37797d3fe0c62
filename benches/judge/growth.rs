//! How the time to judge a mail grows with what there is much of in it.

use std::hint::black_box;

use crate::clock::processor_time;
use crate::lab::Signer;
use crate::mails::{DIMENSIONS, Dimension};
use crate::measure::{Axis, Plot, Report, Scale, Summary, Unit};
use crate::{Judge, PASSES};

/// Seconds for which one mail is judged again and again in a pass: long beside the clock's own steps.
const LONG_ENOUGH: f64 = 1e-3;

/// Measures all dimensions, and says how the time grows in each.
pub(crate) fn measure(report: &mut Report, judge: &Judge, signer: &Signer) {
    report.say(
        "How the time grows with what there is much of, up to 1 MiB or to the limit above which a mail is not read. Each \
         point is the least of several passes; the exponent is the slope of the logarithms (least squares) over the upper \
         half of the range, and 1 is linear. A mail that is none is told at a glance; one that claims a token is read, and \
         its signature is checked where nothing else refuses it first. Above 60 KiB a mail with HTML is parsed before it \
         is told, since too much HTML is a reason of its own: a step in the plot, and linear from there on. Nested parts \
         cost the square of their depth, since mailparse looks through what is left of the mail on each level; the limit \
         of 64 parts keeps that below a fifth of a millisecond.",
    );
    let mut worst: Option<(f64, String)> = None;
    let mut rows = Vec::new();
    for (claims, slug, title) in [
        (false, "growth-others", "A mail that is none"),
        (true, "growth-token", "A mail that claims a token"),
    ] {
        let mut lines = Vec::new();
        for dimension in &DIMENSIONS {
            let measured = passes(dimension, claims, judge, signer);
            let least: Vec<(f64, f64)> = measured
                .iter()
                .map(|(count, times)| (*count, times.min))
                .collect();
            let exponent = slope(&least[least.len() / 2..]);
            let (count, at_end) = measured[measured.len() - 1];
            rows.push(vec![
                format!("{}: {}", title.to_lowercase(), dimension.name),
                Unit::Count.show(count),
                at_end.show(Unit::Seconds),
                format!("{exponent:.2}"),
            ]);
            if worst.as_ref().is_none_or(|(most, _)| exponent > *most) {
                worst = Some((
                    exponent,
                    format!("{}: {}", title.to_lowercase(), dimension.name),
                ));
            }
            lines.push((dimension.name.to_owned(), least));
        }
        let axis = |name, unit| Axis {
            name,
            scale: Scale::Logarithmic,
            unit,
        };
        report.plot(
            slug,
            &Plot {
                title,
                x: axis("how many", Unit::Count),
                y: axis("processor time", Unit::Seconds),
                lines,
            },
        );
    }
    report.table(&["What grows", "to", "time at the end", "exponent"], &rows);
    if let Some((exponent, of)) = worst {
        report.say(format!("The worst exponent is {exponent:.2}: {of}."));
    }
}

/// The count and the seconds that a mail of it takes.
fn passes(
    dimension: &Dimension,
    claims: bool,
    judge: &Judge,
    signer: &Signer,
) -> Vec<(f64, Summary)> {
    let mails: Vec<Vec<u8>> = dimension
        .counts
        .iter()
        .map(|&count| dimension.mail(signer, count, claims))
        .collect();
    let judged = |raw: &[u8]| {
        if claims {
            judge.of_sender(raw);
        } else {
            judge.of_stranger(raw);
        }
    };
    let mut times = vec![Vec::new(); mails.len()];
    for _ in 0..PASSES {
        for (mail, times) in mails.iter().zip(&mut times) {
            let begin = processor_time();
            let mut calls = 0_u32;
            let taken = loop {
                judged(black_box(mail));
                calls += 1;
                let taken = processor_time().saturating_sub(begin).as_secs_f64();
                if taken > LONG_ENOUGH {
                    break taken;
                }
            };
            times.push(taken / f64::from(calls));
        }
    }
    #[allow(clippy::cast_precision_loss, reason = "far below 2^52")]
    let counts = dimension.counts.iter().map(|&count| count as f64);
    counts.zip(times.into_iter().map(Summary::of)).collect()
}

/// Of the line that lies nearest to the points, both axes logarithmic.
fn slope(points: &[(f64, f64)]) -> f64 {
    let logs = || points.iter().map(|(x, y)| (x.ln(), y.ln()));
    let count = logs().map(|_| 1.0).sum::<f64>();
    let mean_x = logs().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = logs().map(|(_, y)| y).sum::<f64>() / count;
    let covariance: f64 = logs().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    let variance: f64 = logs().map(|(x, _)| (x - mean_x).powi(2)).sum();
    covariance / variance
}
