//! From a plan, a summary and its verdict to the parts of a [`RunFile`](super::RunFile).

use std::collections::BTreeMap;

use super::run_file::{
    BacklogAtClose, CloseWindow, End, FaultOutcome, LatencySeries, Life, MatrixCell, Observed,
    PopulationFacts, Quantiles,
};
use super::words;
use crate::event::ClientObservation;
use crate::measure::summary::{Extent, Since};
use crate::measure::{CloseKey, CloseTally, LatencyKind, LatencySet, Summary, Timings};
use crate::protocol::CloseCategory;
use crate::scenario::Plan;
use crate::verdict::{is_allowed_cell, is_disturbed, is_expected};

pub(super) fn name_of(plan: &Plan, population: u16) -> String {
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
            replies: sums.replies,
            published: sums.published,
            acks_failed: sums.acks_failed.clone(),
            not_sent: sums.not_sent,
        })
        .collect()
}

/// Rows with the same end, whatever the wire form.
struct EndSum {
    count: u64,
    life: Timings,
    expected: Option<bool>,
}

type EndSums = BTreeMap<(Option<u16>, Option<CloseCategory>, ClientObservation), EndSum>;

pub(super) fn ends(plan: &Plan, summary: &Summary) -> (Vec<End>, Vec<End>) {
    let (mut each, mut all) = (EndSums::new(), EndSums::new());
    for (key, tally) in &summary.closes {
        let expected = key.category.map(|category| {
            is_expected(plan, key.population, category) && !is_disturbed(plan, summary, key)
        });
        for (sums, population) in [(&mut each, Some(key.population)), (&mut all, None)] {
            let sum = sums
                .entry((population, key.category, key.observation.clone()))
                .or_insert_with(|| EndSum { count: 0, life: Timings::growing(), expected });
            sum.count += tally.count;
            sum.expected = sum.expected.zip(expected).map(|(one, other)| one && other);
            sum.life.merge(&tally.life);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{HowEnded, LedgerRow};
    use crate::report::run_file::{Circumstances, RunFile, TargetPlace};
    use crate::report::samples;
    use crate::secret::{Redactor, Secret};
    use crate::verdict;

    fn run_of(rows: &[LedgerRow], redactor: &Redactor) -> RunFile {
        let plan = samples::plan();
        let sizes = plan.populations.iter().map(|p| (p.name.clone(), u64::from(p.count)));
        let mut summary = Summary::new(&sizes.collect::<Vec<_>>());
        rows.iter().for_each(|row| summary.add_row(row));
        let verdict = verdict::judge(&plan, &summary);
        let observed = Observed::default();
        let RunFile { run, machine, .. } = samples::passed();
        let circumstances = Circumstances { run, how: HowEnded::Decided, machine };
        RunFile::new(&plan, &summary, &verdict, &observed, circumstances, redactor)
    }

    #[test]
    fn rows_of_one_kind_are_one_end_with_share_life_and_expectation() {
        let rows = [samples::dropped(0), samples::dropped(1), samples::refused("no")];
        let run = run_of(&rows, &Redactor::default());
        assert_eq!(run.attempts(), 3);
        let muted = run.ends.iter().find(|end| end.population.as_deref() == Some("muted")).unwrap();
        assert_eq!((muted.count, muted.expected), (2, Some(true)));
        let life = muted.life.unwrap();
        assert_eq!([life.min_us, life.median_us, life.max_us], [4_000_000; 3]);
        let healthy = run.ends.iter().find(|end| end.count == 1).unwrap();
        assert_eq!((healthy.life, healthy.expected), (None, Some(false)));
        assert!(run.ends_total.iter().all(|end| end.population.is_none()));
        assert_eq!(
            run.categories(),
            [(CloseCategory::PingTimeout, 2), (CloseCategory::Unauthorized, 1)]
        );
        assert!(run.hub_observed());
        assert_eq!(run.run.target.place, TargetPlace::Embedded);
    }

    #[test]
    fn secrets_in_a_peers_text_are_masked_wherever_they_end_up() {
        let key = "an-access-key-of-some-length";
        let body = format!("no: {key}, Bearer abc, access_token=xyz&a=1");
        let redactor = Redactor::new(vec![Secret::new(key)]);
        let run = run_of(&[samples::refused(&body)], &redactor);
        let text = serde_json::to_string(&run).unwrap();
        for leak in [key, "Bearer abc", "xyz"] {
            assert!(!text.contains(leak), "{leak} in {text}");
        }
        assert!(text.contains("no: ***"), "{text}");
    }
}
