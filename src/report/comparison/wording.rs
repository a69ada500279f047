//! How figures of a comparison, their values and what is found of them are worded.

use super::super::words;
use super::Names;
use crate::event::World;
use crate::verdict::Outcome;
use crate::verdict::comparison::{
    Bound, Change, Comparison, DeliveryFigure, Figure, Finding, Judgement, Party, Quantile, Ratio,
    Row, Stream, Value,
};

/// Stands where there is nothing to say.
pub(super) const NOTHING: &str = "-";

/// Microseconds below which how many times as long something took says nothing.
const RATIO_US_MIN: f64 = 100.0;

/// The finding in capitals.
pub(super) const fn finding(value: Finding) -> &'static str {
    match value {
        Finding::NoRegression => "NO REGRESSION",
        Finding::Regression => "REGRESSION",
        Finding::NotComparable => "NOT COMPARABLE",
        Finding::PlanChanged => "PLAN CHANGED",
    }
}

/// The outcome whose colour a finding has.
pub(super) const fn like(value: Finding) -> Outcome {
    match value {
        Finding::NoRegression => Outcome::Pass,
        Finding::Regression | Finding::PlanChanged => Outcome::Fail,
        Finding::NotComparable => Outcome::Undetermined,
    }
}

/// What a comparison came to, in a sentence.
pub(super) fn sentence(comparison: &Comparison) -> String {
    let rows = &comparison.rows;
    let compared = rows.iter().filter(|row| row.judgement.is_compared()).count();
    let of = |judgement| rows.iter().filter(|row| row.judgement == judgement).count() as u64;
    let (worse, better) = (of(Judgement::Regression), of(Judgement::Better));
    let left = (rows.len() - compared) as u64;
    let figures = words::counted(compared as u64, "figure");
    let mut told = match comparison.finding {
        Finding::PlanChanged => {
            return "the two did not run the same plan, so nothing is compared".to_owned();
        }
        Finding::Regression if worse == 1 => format!("1 of {figures} is outside its bound"),
        Finding::Regression => format!("{worse} of {figures} are outside their bounds"),
        Finding::NoRegression if rows.iter().all(|row| row.judgement == Judgement::Same) => {
            format!("{figures} compared, each as it was")
        }
        Finding::NoRegression => format!("{figures} compared, each within its bound"),
        Finding::NotComparable => format!("{figures} compared, but not all that had to be"),
    };
    if better > 0 {
        told.push_str(&format!("; {} better", words::number(better)));
    }
    if left > 0 {
        told.push_str(&format!("; {} not compared", words::number(left)));
    }
    told
}

/// Seed, plan, world, version and day of one of the two.
pub(super) fn party(party: &Party) -> String {
    format!(
        "seed {} · plan {} · world {} · Squall {} · {}",
        party.seed,
        party.plan_hash,
        words::world(party.world),
        party.squall_version,
        party.date
    )
}

/// What a reader must know beside the figures.
pub(super) fn notes(comparison: &Comparison) -> Vec<(&'static str, String)> {
    let Comparison { base, run, rows, .. } = comparison;
    let mut notes = Vec::new();
    let is_any = |judgement| rows.iter().any(|row: &Row| row.judgement == judgement);
    if is_any(Judgement::OtherMachine) {
        let parts: Vec<_> = comparison.machine_changes.iter().map(changed).collect();
        let told = format!("latencies, as the machines are not alike: {}", parts.join("; "));
        notes.push(("not compared", told));
    }
    if is_any(Judgement::NotObserved) {
        let why = "categories, as the hub's side was not observed in both";
        notes.push(("not compared", why.to_owned()));
    }
    if comparison.finding == Finding::PlanChanged {
        return notes;
    }
    if base.seed != run.seed {
        let told = format!(
            "the seeds differ, {} and {}: what hangs on chance may differ too",
            base.seed, run.seed
        );
        notes.push(("note", told));
    }
    if base.world != run.world {
        notes.push(("note", "the worlds differ: counts may differ by what time does".to_owned()));
    }
    if base.squall_version != run.squall_version {
        let told =
            format!("Squall itself changed, {} → {}", base.squall_version, run.squall_version);
        notes.push(("note", told));
    }
    notes
}

/// What to do, where there is something.
pub(super) fn advice(comparison: &Comparison, names: Names<'_>) -> Option<String> {
    let accept = format!("squall baseline accept {} --reason WHY", names.run);
    let is_better = comparison.rows.iter().any(|row| row.judgement == Judgement::Better);
    Some(match comparison.finding {
        Finding::PlanChanged => {
            format!(
                "compare runs of one plan; if the change is meant, run the base again, or accept \
                 the new run: {accept}"
            )
        }
        Finding::Regression => {
            format!("if this is meant, accept it with its reason: {accept}")
        }
        Finding::NotComparable => {
            "make both runs on one machine, or in the virtual world".to_owned()
        }
        Finding::NoRegression if is_better => {
            format!("what is better is kept by accepting it: {accept}")
        }
        Finding::NoRegression => return None,
    })
}

/// `cores 2 → 8`.
fn changed(change: &Change) -> String {
    let side = |value: &Option<String>| value.clone().unwrap_or_else(|| "not told".to_owned());
    format!("{} {} → {}", change.what, side(&change.base), side(&change.run))
}

/// `stalled: SlowClient`, `message p99`.
pub(super) fn figure(value: &Figure) -> String {
    match value {
        Figure::Verdict => "verdict".to_owned(),
        Figure::Category { population, category } => format!("{population}: {category}"),
        Figure::Delivery { population, stream, figure } => {
            let what = match stream {
                Stream::Messages => "messages",
                Stream::Replies => "replies",
            };
            let of = match figure {
                DeliveryFigure::Expected => "expected",
                DeliveryFigure::Delivered => "delivered",
                DeliveryFigure::Lost => "lost",
                DeliveryFigure::Duplicated => "duplicated",
                DeliveryFigure::OutOfOrder => "out of order",
            };
            format!("{population}: {what} {of}")
        }
        Figure::Ratio { population, ratio } => {
            let what = match ratio {
                Ratio::Amplification => "attempts per client",
                Ratio::Opens => "opens per client",
                Ratio::Refused => "attempts refused",
                Ratio::Recovered => "dropped clients back",
            };
            format!("{population}: {what}")
        }
        Figure::Latency { timed, quantile } => {
            let quantile = match quantile {
                Quantile::P50 => "p50",
                Quantile::P95 => "p95",
                Quantile::P99 => "p99",
            };
            format!("{} {quantile}", words::latency(*timed))
        }
    }
}

/// A value in its unit.
pub(super) fn value(world: World, value: Option<Value>) -> String {
    match value {
        None => NOTHING.to_owned(),
        Some(Value::Outcome(outcome)) => words::outcome(outcome).to_owned(),
        Some(Value::Micros(us)) => words::micros_in(world, us),
        Some(other) => amount(other, other.number().unwrap_or(0.0)),
    }
}

/// A number in the unit of a value; counts and times are rounded to whole ones.
fn amount(unit: Value, number: f64) -> String {
    match unit {
        Value::Outcome(_) => NOTHING.to_owned(),
        Value::Count(_) => words::number(whole(number)),
        Value::Share(_) => words::percent(number),
        Value::PerClient(_) => format!("{number:.2}"),
        Value::Micros(_) => words::micros(whole(number)),
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it saturates")]
fn whole(number: f64) -> u64 {
    // Bounds are inclusive: what is past the point is not within.
    (number + 1e-6).floor() as u64
}

/// `+1`, `-0.5 points`, `+40 ms (2.1 times)`; `none` where both are the same.
pub(super) fn difference(row: &Row) -> String {
    let (Some(base), Some(run)) = (row.base, row.run) else { return NOTHING.to_owned() };
    if base == run {
        return "none".to_owned();
    }
    let (Some(before), Some(now)) = (base.number(), run.number()) else {
        return NOTHING.to_owned();
    };
    let sign = if now < before { "-" } else { "+" };
    let by = (now - before).abs();
    match base {
        Value::Outcome(_) => NOTHING.to_owned(),
        Value::Share(_) => {
            let points = words::percent(by);
            format!("{sign}{} points", points.trim_end_matches(" %"))
        }
        Value::Count(_) | Value::PerClient(_) => format!("{sign}{}", amount(base, by)),
        Value::Micros(_) if before >= RATIO_US_MIN => {
            let ratio = now / before;
            let times = match ratio {
                ..10.0 => format!("{ratio:.1}"),
                _ => words::number(whole(ratio)),
            };
            format!("{sign}{} ({times} times)", amount(base, by))
        }
        Value::Micros(_) => format!("{sign}{}", amount(base, by)),
    }
}

/// `equal`, `at most 24.4 ms`, `450 to 550`.
pub(super) fn bound(row: &Row) -> String {
    let (Some(bound), Some(unit)) = (row.bound, row.base) else { return NOTHING.to_owned() };
    match bound {
        Bound::Equal => "equal".to_owned(),
        Bound::AtMost(limit) => format!("at most {}", amount(unit, limit)),
        Bound::AtLeast(limit) => format!("at least {}", amount(unit, limit)),
        Bound::Between(from, to) => {
            let from = if matches!(unit, Value::Count(_)) { from.ceil() } else { from };
            format!("{} to {}", amount(unit, from), amount(unit, to))
        }
    }
}

/// What is found of a figure.
pub(super) const fn judgement(value: Judgement) -> &'static str {
    match value {
        Judgement::Same => "same",
        Judgement::Within => "within",
        Judgement::Better => "better",
        Judgement::Regression => "REGRESSION",
        Judgement::OtherMachine => "not compared",
        Judgement::NotObserved => "not observed",
        Judgement::Missing => "missing",
    }
}

/// Whether a row says nothing: none of something, before and now.
pub(super) fn is_idle(row: &Row) -> bool {
    let none = Some(Value::Count(0));
    row.judgement == Judgement::Same && row.base == none && row.run == none
}

/// The row in words, for a table: figure, base, run, difference, bound, judgement.
pub(super) fn cells(comparison: &Comparison, row: &Row) -> Vec<String> {
    vec![
        figure(&row.figure),
        value(comparison.base.world, row.base),
        value(comparison.run.world, row.run),
        difference(row),
        bound(row),
        judgement(row.judgement).to_owned(),
    ]
}
