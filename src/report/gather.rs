//! From a plan, a summary and its verdict to the parts of a [`RunFile`](super::RunFile).

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::run_file::{
    BacklogAtClose, CloseWindow, End, FaultOutcome, LatencySeries, Life, MatrixCell, Observed,
    PopulationFacts, Quantiles,
};
use super::words;
use crate::event::ClientObservation;
use crate::measure::summary::{Extent, Since};
use crate::measure::{CloseKey, CloseTally, LatencyKind, LatencySet, Summary};
use crate::protocol::CloseCategory;
use crate::scenario::Plan;
use crate::verdict::{is_allowed_cell, is_expected};

fn name_of(plan: &Plan, population: u16) -> String {
    plan.populations
        .get(usize::from(population))
        .map_or_else(|| format!("#{population}"), |population| population.name.clone())
}

pub(super) fn populations(plan: &Plan, summary: &Summary) -> Vec<PopulationFacts> {
    let words = plan.populations.iter().map(|population| words::behaviours(&population.behaviours));
    summary
        .populations
        .iter()
        .zip(words)
        .map(|(sums, behaviour)| PopulationFacts {
            name: sums.name.clone(),
            clients: sums.clients,
            behaviour,
            attempts: sums.attempts,
            opens: sums.opens,
            refusals: sums.refusals,
            dropped: sums.dropped,
            recovered: sums.recovered,
            recovery_attempts: sums.recovery_attempts,
            categories: sums.categories.clone(),
            delivery: sums.delivery,
            published: sums.published,
            acks_failed: sums.acks_failed,
            not_sent: sums.not_sent,
        })
        .collect()
}

/// Rows with the same end, whatever the wire form.
struct EndSum {
    count: u64,
    life: Histogram<u64>,
    expected: Option<bool>,
}

type EndSums = BTreeMap<(Option<u16>, Option<CloseCategory>, ClientObservation), EndSum>;

pub(super) fn ends(plan: &Plan, summary: &Summary) -> (Vec<End>, Vec<End>) {
    let (mut each, mut all) = (EndSums::new(), EndSums::new());
    for (key, tally) in &summary.closes {
        let expected = key.category.map(|category| is_expected(plan, key.population, category));
        for (sums, population) in [(&mut each, Some(key.population)), (&mut all, None)] {
            let sum =
                sums.entry((population, key.category, key.observation.clone())).or_insert_with(
                    || EndSum { count: 0, life: Histogram::new_from(&tally.life), expected },
                );
            sum.count += tally.count;
            sum.expected = sum.expected.zip(expected).map(|(one, other)| one && other);
            // Same bounds and digits, so that nothing can be out of range.
            let _ = sum.life.add(&tally.life);
        }
    }
    (ends_of(plan, each), ends_of(plan, all))
}

fn ends_of(plan: &Plan, sums: EndSums) -> Vec<End> {
    let mut ends: Vec<_> = sums
        .into_iter()
        .map(|((population, category, seen), sum)| End {
            population: population.map(|population| name_of(plan, population)),
            category,
            seen,
            count: sum.count,
            life: (!sum.life.is_empty()).then(|| Life {
                min_us: sum.life.min(),
                median_us: sum.life.value_at_quantile(0.5),
                max_us: sum.life.max(),
            }),
            expected: sum.expected,
        })
        .collect();
    // Within a population the commonest first; populations stay in scenario order.
    let order =
        |end: &End| plan.populations.iter().position(|p| Some(&p.name) == end.population.as_ref());
    ends.sort_by(|a, b| order(a).cmp(&order(b)).then(b.count.cmp(&a.count)));
    ends
}

pub(super) fn matrix(plan: &Plan, summary: &Summary) -> Vec<MatrixCell> {
    let cell = |(key, tally): (&CloseKey, &CloseTally)| MatrixCell {
        population: name_of(plan, key.population),
        category: key.category,
        wire: key.wire.clone(),
        seen: key.observation.clone(),
        count: tally.count,
        allowed: is_allowed_cell(plan, key),
    };
    summary.closes.iter().map(cell).collect()
}

pub(super) fn close_windows(plan: &Plan, summary: &Summary) -> Vec<CloseWindow> {
    let window =
        |(&(population, category, since), extent): (&(u16, CloseCategory, Since), &Extent)| {
            CloseWindow {
                population: name_of(plan, population),
                category,
                since: since.into(),
                after_ns: (*extent).into(),
            }
        };
    summary.windows.iter().map(window).collect()
}

pub(super) fn backlog(plan: &Plan, summary: &Summary, observed: &Observed) -> Vec<BacklogAtClose> {
    let drops = summary.queue_at_close.iter().filter(|((_, category), _)| category.is_drop());
    drops
        .map(|(&(population, category), queue)| {
            let name = name_of(plan, population);
            let kernel = observed.kernel_bytes.get(&(name.clone(), category));
            BacklogAtClose {
                population: name,
                category,
                queue_bytes: (*queue).into(),
                kernel_bytes: kernel.map(|extent| (*extent).into()),
            }
        })
        .collect()
}

pub(super) fn latency_total(set: &LatencySet) -> Vec<LatencySeries> {
    LatencyKind::ALL
        .into_iter()
        .filter_map(|kind| Some((kind, set.sum(kind, |_| true)?)))
        .map(|(kind, distribution)| LatencySeries {
            kind,
            population: None,
            stage: None,
            response: Quantiles::of(&distribution.response),
            service: Quantiles::of(&distribution.service),
        })
        .filter(|series| series.response.is_some())
        .collect()
}

pub(super) fn latency(plan: &Plan, set: &LatencySet) -> Vec<LatencySeries> {
    set.iter()
        .map(|(key, distribution)| LatencySeries {
            kind: key.kind,
            population: key.population.map(|population| name_of(plan, population)),
            stage: Some(key.stage),
            response: Quantiles::of(&distribution.response),
            service: Quantiles::of(&distribution.service),
        })
        .collect()
}

pub(super) fn faults(plan: &Plan, summary: &Summary) -> Vec<FaultOutcome> {
    plan.faults
        .iter()
        .enumerate()
        .map(|(index, fault)| FaultOutcome {
            what: words::fault(plan, &fault.fault),
            planned_ns: u64::try_from(fault.at.as_nanos()).unwrap_or(u64::MAX),
            done_ns: summary.faults_done.get(&index).copied(),
            error: summary.faults_failed.get(&index).cloned(),
        })
        .collect()
}
