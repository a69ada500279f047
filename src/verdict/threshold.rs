//! Thresholds: a statistic of a metric, compared with a number, in k6's grammar.

use super::expectation::Answer;
use super::spoil::{Finding, Rests};
use super::{CheckKind, Outcome, is_hub_observed, words};
use crate::event::DeliveryTally;
use crate::measure::{LatencyKind, Stage, Summary};
use crate::scenario::Plan;
use crate::scenario::plan::{Metric, Operator, PopulationIndex, Statistic, Threshold};

/// What a threshold's statistic came to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Reading {
    /// A time in nanoseconds, out of this many samples.
    Time { ns: f64, samples: u64 },
    /// A count or a share.
    Number(f64),
    /// There is nothing to take the statistic of.
    NoSamples,
    /// The hub's side is needed and was not observed.
    NotObserved,
    /// The metric has no such statistic, or cannot be told apart like this.
    Senseless,
}

/// One finding per threshold, in file order.
pub(super) fn findings(plan: &Plan, summary: &Summary) -> Vec<Finding> {
    plan.thresholds
        .iter()
        .map(|threshold| {
            let path = format!("thresholds.{}", name(plan, threshold));
            judge(summary, threshold).finding(CheckKind::Threshold, path)
        })
        .collect()
}

/// A threshold's metric with its selectors: `message{population:healthy,stage:after}`.
fn name(plan: &Plan, threshold: &Threshold) -> String {
    let mut selectors = Vec::new();
    if let Some(index) = threshold.population {
        let name = plan.populations.get(usize::from(index)).map_or("?", |of| of.name.as_str());
        selectors.push(format!("population:{name}"));
    }
    match threshold.stage {
        Some(Stage::Before) => selectors.push("stage:before".to_owned()),
        Some(Stage::After) => selectors.push("stage:after".to_owned()),
        None => {}
    }
    let metric = match threshold.metric {
        Metric::Response(kind) => latency(kind).to_owned(),
        Metric::Service(kind) => format!("{}.service", latency(kind)),
        Metric::Closes(category) => format!("closes.{category}"),
        Metric::Opens => "opens".to_owned(),
        Metric::Attempts => "attempts".to_owned(),
        Metric::Delivered => "delivered".to_owned(),
        Metric::Lost => "lost".to_owned(),
        Metric::Duplicated => "duplicated".to_owned(),
        Metric::OutOfOrder => "out_of_order".to_owned(),
        Metric::AcksFailed => "acks_failed".to_owned(),
        Metric::PeakConnections => "peak_connections".to_owned(),
        Metric::PeakAttempts => "peak_attempts".to_owned(),
    };
    match selectors.is_empty() {
        true => metric,
        false => format!("{metric}{{{}}}", selectors.join(",")),
    }
}

/// A latency's name in a scenario file.
const fn latency(kind: LatencyKind) -> &'static str {
    match kind {
        LatencyKind::Connect => "connect",
        LatencyKind::Message => "message",
        LatencyKind::Acknowledgement => "acknowledgement",
        LatencyKind::Echo => "echo",
        LatencyKind::Rest => "rest",
        LatencyKind::RestClose => "rest_close",
        LatencyKind::Recovery => "recovery",
        LatencyKind::SendLag => "send_lag",
    }
}

fn judge(summary: &Summary, threshold: &Threshold) -> Answer {
    let reading = read(summary, threshold);
    let statistic = statistic(threshold.condition.statistic);
    let (outcome, actual) = match reading {
        Reading::Time { ns, samples } => {
            let samples = words::counted(samples, "sample");
            let time = words::time_in(summary.world(), ns);
            (compare(threshold, ns), format!("{statistic} {time} ({samples})"))
        }
        Reading::Number(value) => {
            (compare(threshold, value), format!("{statistic} {}", number(value)))
        }
        Reading::NoSamples => (Outcome::Fail, "no samples".to_owned()),
        Reading::NotObserved => {
            (Outcome::Undetermined, "the hub's side was not observed".to_owned())
        }
        Reading::Senseless => {
            (Outcome::Fail, format!("the metric has no {statistic} of that selection"))
        }
    };
    Answer { outcome, expected: threshold.text.clone(), actual, rests: rests(threshold) }
}

/// What a threshold rests on. The generator's lag itself is not spoiled by being large.
const fn rests(threshold: &Threshold) -> Rests {
    match threshold.metric {
        Metric::Response(kind) | Metric::Service(kind) => {
            match (kind, threshold.condition.statistic) {
                (LatencyKind::SendLag, _) | (_, Statistic::Count) => Rests::Counts,
                _ => Rests::Times,
            }
        }
        Metric::Closes(_)
        | Metric::Opens
        | Metric::Attempts
        | Metric::Delivered
        | Metric::Lost
        | Metric::Duplicated
        | Metric::OutOfOrder
        | Metric::AcksFailed
        | Metric::PeakConnections
        | Metric::PeakAttempts => Rests::Counts,
    }
}

fn compare(threshold: &Threshold, value: f64) -> Outcome {
    if holds(threshold, value) { Outcome::Pass } else { Outcome::Fail }
}

/// Whether a value satisfies a threshold's condition. Equality allows for what decimal fractions
/// lose in binary.
pub(super) fn holds(threshold: &Threshold, value: f64) -> bool {
    let wanted = threshold.condition.value;
    let is_same = (value - wanted).abs() <= 1e-9 * wanted.abs().max(1.0);
    match threshold.condition.operator {
        Operator::Less => value < wanted && !is_same,
        Operator::LessOrEqual => value <= wanted || is_same,
        Operator::Greater => value > wanted && !is_same,
        Operator::GreaterOrEqual => value >= wanted || is_same,
        Operator::Equal => is_same,
        Operator::NotEqual => !is_same,
    }
}

/// Takes the reading of a threshold.
pub(super) fn read(summary: &Summary, threshold: &Threshold) -> Reading {
    let statistic = threshold.condition.statistic;
    let population = threshold.population;
    match threshold.metric {
        Metric::Response(kind) | Metric::Service(kind) => read_latency(summary, threshold, kind),
        // Only latencies are split by stage.
        _ if threshold.stage.is_some() => Reading::Senseless,
        Metric::Closes(_) if !is_hub_observed(summary) => Reading::NotObserved,
        Metric::Closes(category) => {
            let rows = sum(summary, population, |of| of.categories.get(&category).copied());
            let all = sum(summary, population, |of| Some(total(of.categories.values())));
            tally(statistic, rows, all)
        }
        Metric::Opens => {
            let opens = sum(summary, population, |of| Some(of.opens));
            tally(statistic, opens, sum(summary, population, |of| Some(of.attempts)))
        }
        Metric::Attempts => match statistic {
            Statistic::Rate => Reading::Senseless,
            _ => tally(statistic, sum(summary, population, |of| Some(of.attempts)), 0),
        },
        Metric::Delivered => {
            let delivery = delivery(summary, population);
            let arrived = delivery.expected.saturating_sub(delivery.lost);
            match statistic {
                Statistic::Value => tally(Statistic::Rate, arrived, delivery.expected),
                _ => tally(statistic, arrived, delivery.expected),
            }
        }
        Metric::Lost => {
            let delivery = delivery(summary, population);
            tally(statistic, delivery.lost, delivery.expected)
        }
        Metric::Duplicated => {
            let delivery = delivery(summary, population);
            tally(statistic, delivery.duplicated, delivery.received)
        }
        Metric::OutOfOrder => {
            let delivery = delivery(summary, population);
            tally(statistic, delivery.out_of_order, delivery.received)
        }
        Metric::AcksFailed => match statistic {
            Statistic::Rate => Reading::Senseless,
            _ => tally(statistic, sum(summary, population, |of| Some(of.failed_acks())), 0),
        },
        Metric::PeakConnections => read_peak(summary, threshold),
        Metric::PeakAttempts => read_peak_attempts(summary, threshold),
    }
}

/// The busiest tenth of a second of those who came back.
fn read_peak_attempts(summary: &Summary, threshold: &Threshold) -> Reading {
    let peak = summary.storm(threshold.population).peak().map_or(0, |peak| peak.attempts);
    match threshold.condition.statistic {
        #[expect(clippy::cast_precision_loss, reason = "attempts are far below 2^53")]
        Statistic::Value | Statistic::Maximum => Reading::Number(peak as f64),
        _ => Reading::Senseless,
    }
}

/// The hub's peak where it is observed: a client may learn of the end of its connection after the
/// hub has given its place away.
fn read_peak(summary: &Summary, threshold: &Threshold) -> Reading {
    let hub = summary.counters_after.as_ref().map(|after| after.connection_count_peak);
    let peak = hub.unwrap_or(summary.open_peak);
    match (threshold.population, threshold.condition.statistic) {
        (None, Statistic::Maximum | Statistic::Count | Statistic::Value) => {
            Reading::Number(peak as f64)
        }
        _ => Reading::Senseless,
    }
}

fn read_latency(summary: &Summary, threshold: &Threshold, kind: LatencyKind) -> Reading {
    let selected = summary.latency.sum(kind, |key| {
        threshold.population.is_none_or(|index| key.population == Some(index))
            && threshold.stage.is_none_or(|stage| key.stage == stage)
    });
    let histogram = selected.map(|distribution| match threshold.metric {
        Metric::Service(_) => distribution.service,
        _ => distribution.response,
    });
    let statistic = threshold.condition.statistic;
    let Some(histogram) = histogram.filter(|histogram| !histogram.is_empty()) else {
        return match statistic {
            Statistic::Count => Reading::Number(0.0),
            Statistic::Rate | Statistic::Value => Reading::Senseless,
            _ => Reading::NoSamples,
        };
    };
    let quantile = |percent: f64| histogram.value_at_quantile((percent / 100.0).clamp(0.0, 1.0));
    let us = match statistic {
        Statistic::Percentile(percent) if percent.is_finite() => quantile(percent) as f64,
        Statistic::Median => quantile(50.0) as f64,
        Statistic::Average => histogram.mean(),
        Statistic::Minimum => histogram.min() as f64,
        Statistic::Maximum => histogram.max() as f64,
        Statistic::Count => return Reading::Number(histogram.len() as f64),
        Statistic::Percentile(_) | Statistic::Rate | Statistic::Value => {
            return Reading::Senseless;
        }
    };
    Reading::Time { ns: us * 1e3, samples: histogram.len() }
}

/// A count, or its share of `all`.
fn tally(statistic: Statistic, count: u64, all: u64) -> Reading {
    match statistic {
        Statistic::Count | Statistic::Value => Reading::Number(count as f64),
        Statistic::Rate if all == 0 => Reading::NoSamples,
        Statistic::Rate => Reading::Number(count as f64 / all as f64),
        Statistic::Percentile(_)
        | Statistic::Average
        | Statistic::Median
        | Statistic::Minimum
        | Statistic::Maximum => Reading::Senseless,
    }
}

/// Adds up a count over one population or all.
fn sum(
    summary: &Summary,
    population: Option<PopulationIndex>,
    count: impl Fn(&crate::measure::PopulationSummary) -> Option<u64>,
) -> u64 {
    total(
        summary
            .populations
            .iter()
            .enumerate()
            .filter(|(index, _)| population.is_none_or(|wanted| usize::from(wanted) == *index))
            .filter_map(|(_, of)| count(of))
            .collect::<Vec<_>>()
            .iter(),
    )
}

fn total<'a>(counts: impl Iterator<Item = &'a u64>) -> u64 {
    counts.fold(0, |sum, count| sum.saturating_add(*count))
}

fn delivery(summary: &Summary, population: Option<PopulationIndex>) -> DeliveryTally {
    DeliveryTally {
        expected: sum(summary, population, |of| Some(of.delivery.expected)),
        received: sum(summary, population, |of| Some(of.delivery.received)),
        lost: sum(summary, population, |of| Some(of.delivery.lost)),
        duplicated: sum(summary, population, |of| Some(of.delivery.duplicated)),
        out_of_order: sum(summary, population, |of| Some(of.delivery.out_of_order)),
    }
}

/// A statistic as it is written in a threshold.
fn statistic(statistic: Statistic) -> String {
    match statistic {
        Statistic::Percentile(percent) => format!("p({percent})"),
        Statistic::Average => "avg".to_owned(),
        Statistic::Median => "med".to_owned(),
        Statistic::Minimum => "min".to_owned(),
        Statistic::Maximum => "max".to_owned(),
        Statistic::Count => "count".to_owned(),
        Statistic::Rate => "rate".to_owned(),
        Statistic::Value => "value".to_owned(),
    }
}

/// A whole number with its thousands apart, a share with its digits.
fn number(value: f64) -> String {
    if value.fract().abs() < f64::EPSILON { grouped(value) } else { words::digits(value) }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a whole count")]
fn grouped(value: f64) -> String {
    words::count(value as u64)
}
