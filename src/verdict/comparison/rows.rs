//! The figures of a comparison, one by one, in a fixed order.

use super::bounds::{self, Rule, Side};
use super::record::is_nothing;
use super::{
    DeliveryFigure, Figure, Judgement, LatencyRecord, PopulationRecord, Quantile, Ratio, Record,
    Row, Stream, Value,
};
use crate::event::{DeliveryTally, World};
use crate::measure::LatencyKind;
use crate::protocol::CloseCategory;
use crate::verdict::Outcome;

/// In how far counts of two runs of one plan are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeats {
    /// Both are of one seed in the virtual world.
    Exactly,
    /// Time, or chance, has its share.
    Roughly,
}

impl Repeats {
    fn of(base: &Record, run: &Record) -> Self {
        let worlds = [base.fingerprint.world, run.fingerprint.world];
        if worlds == [World::Virtual; 2] && base.seed == run.seed {
            Self::Exactly
        } else {
            Self::Roughly
        }
    }
}

/// Every figure of both.
pub(super) fn of(base: &Record, run: &Record) -> Vec<Row> {
    let mut rows = vec![outcome(base.outcome, run.outcome)];
    let pairs = pairs(base, run);
    let repeats = Repeats::of(base, run);
    let is_observed = base.hub_observed && run.hub_observed;
    for (base, run) in &pairs {
        rows.extend(categories(base, run, repeats, is_observed));
    }
    for (base, run) in &pairs {
        rows.extend(deliveries(base, run, Stream::Messages, repeats));
        rows.extend(deliveries(base, run, Stream::Replies, repeats));
    }
    for (base, run) in &pairs {
        rows.extend(ratios(base, run));
    }
    rows.extend(latencies(base, run));
    rows
}

/// Populations of both by name, in the order of the base. One that only one of them has counts
/// nothing in the other.
fn pairs(base: &Record, run: &Record) -> Vec<(PopulationRecord, PopulationRecord)> {
    let of = |record: &Record, name: &str| {
        let found = record.populations.iter().find(|population| population.name == name);
        let nobody = || PopulationRecord { name: name.to_owned(), ..PopulationRecord::default() };
        found.cloned().unwrap_or_else(nobody)
    };
    let mut names: Vec<&str> = Vec::new();
    for population in base.populations.iter().chain(&run.populations) {
        if !names.contains(&population.name.as_str()) {
            names.push(&population.name);
        }
    }
    names.into_iter().map(|name| (of(base, name), of(run, name))).collect()
}

/// A run that passed and does so no more is a regression whatever else is.
fn outcome(base: Outcome, run: Outcome) -> Row {
    let judgement = match (base, run) {
        (base, run) if base == run => Judgement::Same,
        (_, Outcome::Pass) => Judgement::Better,
        (_, Outcome::Fail) | (Outcome::Pass, _) => Judgement::Regression,
        _ => Judgement::Within,
    };
    let bound = match base {
        Outcome::Pass => Some(super::Bound::Equal),
        Outcome::Undetermined | Outcome::Invalid | Outcome::Fail => None,
    };
    let (base, run) = (Some(Value::Outcome(base)), Some(Value::Outcome(run)));
    Row { figure: Figure::Verdict, base, run, bound, judgement }
}

fn row(figure: Figure, base: Option<Value>, run: Option<Value>, rule: Rule) -> Row {
    let numbers = base.and_then(Value::number).zip(run.and_then(Value::number));
    let judgement = match numbers.map(|(base, run)| rule.side(base, run)) {
        None => Judgement::Missing,
        Some(Side::Same) => Judgement::Same,
        Some(Side::Within) => Judgement::Within,
        Some(Side::Better) => Judgement::Better,
        Some(Side::Outside) => Judgement::Regression,
    };
    Row { figure, base, run, bound: numbers.map(|(base, _)| rule.bound(base)), judgement }
}

impl Value {
    /// Its number; a verdict has none.
    #[must_use]
    pub const fn number(self) -> Option<f64> {
        match self {
            Self::Outcome(_) => None,
            Self::Count(count) | Self::Micros(count) => Some(count as f64),
            Self::Share(value) | Self::PerClient(value) => Some(value),
        }
    }
}

/// A category that none of them has is no figure; one that comes or goes always counts.
fn categories(
    base: &PopulationRecord,
    run: &PopulationRecord,
    repeats: Repeats,
    is_observed: bool,
) -> Vec<Row> {
    let comes_again = |population: &PopulationRecord| population.attempts > population.clients;
    let is_rough = repeats == Repeats::Roughly && comes_again(base) && comes_again(run);
    let row_of = |category| {
        let of = |population: &PopulationRecord| {
            population.categories.get(&category).copied().unwrap_or(0)
        };
        let (before, now) = (of(base), of(run));
        if before == 0 && now == 0 {
            return None;
        }
        let is_in_both = before > 0 && now > 0;
        let rule = if is_rough && is_in_both { bounds::REPEATED } else { bounds::EXACT };
        let figure = Figure::Category { population: base.name.clone(), category };
        let mut row = row(figure, Some(Value::Count(before)), Some(Value::Count(now)), rule);
        if !is_observed {
            (row.bound, row.judgement) = (None, Judgement::NotObserved);
        }
        Some(row)
    };
    CloseCategory::ALL.into_iter().filter_map(row_of).collect()
}

/// Where nothing was to arrive in either, there is no figure.
fn deliveries(
    base: &PopulationRecord,
    run: &PopulationRecord,
    stream: Stream,
    repeats: Repeats,
) -> Vec<Row> {
    let of = |population: &PopulationRecord| match stream {
        Stream::Messages => population.delivery,
        Stream::Replies => population.replies,
    };
    let (before, now) = (of(base), of(run));
    if is_nothing(&before) && is_nothing(&now) {
        return Vec::new();
    }
    let to_deliver = match repeats {
        Repeats::Exactly => bounds::EXACT,
        Repeats::Roughly => bounds::TO_DELIVER,
    };
    let (delivered, lost) = match repeats {
        Repeats::Roughly if before.lost > 0 => {
            (bounds::DELIVERED_WITH_DROPS, bounds::LOST_WITH_DROPS)
        }
        Repeats::Exactly | Repeats::Roughly => (bounds::DELIVERED, bounds::NOT_ONE_MORE),
    };
    let figures = [
        (DeliveryFigure::Expected, to_deliver),
        (DeliveryFigure::Delivered, delivered),
        (DeliveryFigure::Lost, lost),
        (DeliveryFigure::Duplicated, bounds::NOT_ONE_MORE),
        (DeliveryFigure::OutOfOrder, bounds::NOT_ONE_MORE),
    ];
    let row_of = |(figure, rule)| {
        let (before, now) = (delivery_of(&before, figure), delivery_of(&now, figure));
        let population = base.name.clone();
        row(Figure::Delivery { population, stream, figure }, before, now, rule)
    };
    figures.into_iter().map(row_of).collect()
}

fn delivery_of(tally: &DeliveryTally, figure: DeliveryFigure) -> Option<Value> {
    let count = match figure {
        DeliveryFigure::Expected => tally.expected,
        DeliveryFigure::Delivered => {
            let arrived = tally.received.saturating_sub(tally.duplicated);
            return share(arrived, tally.expected).map(Value::Share);
        }
        DeliveryFigure::Lost => tally.lost,
        DeliveryFigure::Duplicated => tally.duplicated,
        DeliveryFigure::OutOfOrder => tally.out_of_order,
    };
    Some(Value::Count(count))
}

/// A ratio is a figure where it says something in one of them: that clients came again, that an
/// attempt was refused, that somebody was dropped and came back.
fn ratios(base: &PopulationRecord, run: &PopulationRecord) -> Vec<Row> {
    let row_of = |(ratio, rule)| {
        let is_told = says_something(base, ratio) || says_something(run, ratio);
        let figure = Figure::Ratio { population: base.name.clone(), ratio };
        is_told.then(|| row(figure, value_of(base, ratio), value_of(run, ratio), rule))
    };
    [
        (Ratio::Amplification, bounds::AMPLIFICATION),
        (Ratio::Opens, bounds::OPENS),
        (Ratio::Refused, bounds::REFUSED),
        (Ratio::Recovered, bounds::RECOVERED),
    ]
    .into_iter()
    .filter_map(row_of)
    .collect()
}

const fn says_something(population: &PopulationRecord, ratio: Ratio) -> bool {
    match ratio {
        Ratio::Amplification => population.attempts != population.clients,
        Ratio::Opens => population.opens != population.clients,
        Ratio::Refused => population.refusals > 0,
        Ratio::Recovered => population.recovered > 0,
    }
}

/// Of nobody dropped, everybody came back.
fn value_of(population: &PopulationRecord, ratio: Ratio) -> Option<Value> {
    match ratio {
        Ratio::Amplification => {
            share(population.attempts, population.clients).map(Value::PerClient)
        }
        Ratio::Opens => share(population.opens, population.clients).map(Value::PerClient),
        Ratio::Refused => share(population.refusals, population.attempts).map(Value::Share),
        Ratio::Recovered => {
            Some(Value::Share(share(population.recovered, population.dropped).unwrap_or(1.0)))
        }
    }
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

fn latencies(base: &Record, run: &Record) -> Vec<Row> {
    let is_alike = base.fingerprint.changes(&run.fingerprint).is_empty();
    let rule = |before: Option<LatencyRecord>, quantile| match (base.fingerprint.world, quantile) {
        (World::Virtual, _) => bounds::SIMULATED,
        (World::Sockets, Quantile::P50) => {
            before.map_or(bounds::TAIL, |one| bounds::median(one.p50_us, one.p95_us))
        }
        (World::Sockets, Quantile::P95 | Quantile::P99) => bounds::TAIL,
    };
    let of = |record: &Record, kind| record.latency.iter().copied().find(|one| one.kind == kind);
    let mut rows = Vec::new();
    for kind in LatencyKind::ALL {
        let (base, run) = (of(base, kind), of(run, kind));
        let tail = if kind == LatencyKind::Recovery { Quantile::P95 } else { Quantile::P99 };
        for quantile in [Quantile::P50, tail] {
            let rule = rule(base, quantile);
            let time =
                |side: Option<LatencyRecord>| side.and_then(|one| quantile_of(one, quantile));
            let (base, run) = (time(base), time(run));
            if base.is_none() && run.is_none() {
                continue;
            }
            let figure = Figure::Latency { timed: kind, quantile };
            let mut row = row(figure, base, run, rule);
            if !is_alike {
                (row.bound, row.judgement) = (None, Judgement::OtherMachine);
            }
            rows.push(row);
        }
    }
    rows
}

fn quantile_of(latency: LatencyRecord, quantile: Quantile) -> Option<Value> {
    let us = match quantile {
        Quantile::P50 => Some(latency.p50_us),
        Quantile::P95 => latency.p95_us,
        Quantile::P99 => latency.p99_us,
    };
    us.map(Value::Micros)
}
