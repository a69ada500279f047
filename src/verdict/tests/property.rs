//! No summary makes the judge panic.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::event::DeliveryTally;
use crate::scenario::plan::Expectation;

fn any_category() -> impl Strategy<Value = CloseCategory> {
    prop::sample::select(CloseCategory::ALL.to_vec())
}

fn any_statistic() -> impl Strategy<Value = Statistic> {
    prop_oneof![
        any::<f64>().prop_map(Statistic::Percentile),
        prop::sample::select(vec![
            Statistic::Average,
            Statistic::Median,
            Statistic::Minimum,
            Statistic::Maximum,
            Statistic::Count,
            Statistic::Rate,
            Statistic::Value,
        ]),
    ]
}

fn any_metric() -> impl Strategy<Value = Metric> {
    let latency = prop::sample::select(LatencyKind::ALL.to_vec());
    prop_oneof![
        latency.clone().prop_map(Metric::Response),
        latency.prop_map(Metric::Service),
        any_category().prop_map(Metric::Closes),
        prop::sample::select(vec![
            Metric::Opens,
            Metric::Attempts,
            Metric::Delivered,
            Metric::Lost,
            Metric::Duplicated,
            Metric::OutOfOrder,
            Metric::PeakConnections,
            Metric::PeakAttempts,
        ]),
    ]
}

fn any_wire() -> impl Strategy<Value = Option<HubWire>> {
    prop::option::of(prop_oneof![
        any::<u16>().prop_map(|code| HubWire::HubClose { code, reason: String::new() }),
        any::<Option<u16>>().prop_map(|code| HubWire::ClientClose { code, reason: String::new() }),
        prop::sample::select(vec![HubWire::HubAbort, HubWire::ClientEof, HubWire::ClientReset]),
    ])
}

fn any_quantity() -> impl Strategy<Value = Quantity> {
    any::<(u64, u64)>().prop_map(|(at_least, at_most)| Quantity { at_least, at_most })
}

fn any_claim() -> impl Strategy<Value = Claim> {
    prop_oneof![
        prop::collection::vec((any_category(), any_quantity()), 0..3).prop_map(Claim::Closes),
        (any_category(), any::<(Duration, Duration)>()).prop_map(|(category, (from, to))| {
            Claim::CloseWithin { category, since: Since::Behaviour, from, to }
        }),
        prop::collection::vec((any::<u16>(), any_quantity()), 0..3).prop_map(Claim::Refused),
        prop::collection::vec((any::<u16>(), any_quantity()), 0..3).prop_map(Claim::CloseCodes),
        any_quantity().prop_map(Claim::Opens),
        any_quantity().prop_map(Claim::Recovered),
        any::<f64>().prop_map(|at_most| Claim::Amplification { at_most }),
        Just(Claim::DeliveryComplete),
        Just(Claim::RepliesComplete),
        (any_category(), any::<u64>(), any::<u64>()).prop_map(|(category, above, at_most)| {
            Claim::QueueAtCloseJustOverLimit { category, above, at_most }
        }),
        any::<(f64, Duration)>().prop_map(|(ratio, or_delta)| Claim::Steady { ratio, or_delta }),
    ]
}

/// Rows, numbers of a population's sums, categories, extents: nothing that need agree.
#[derive(Clone, Debug)]
struct Parts {
    rows: Vec<(u16, Option<CloseCategory>, Option<HubWire>, u64)>,
    numbers: [u64; 8],
    categories: Vec<(usize, CloseCategory, u64)>,
    extents: Vec<(u16, CloseCategory, (u64, i64, i64))>,
    latencies: Vec<(LatencyKind, u32)>,
    populations: usize,
    has_counters: bool,
}

prop_compose! {
    fn any_parts()(
        rows in prop::collection::vec(
            (0..4_u16, prop::option::of(any_category()), any_wire(), any::<u64>()), 0..8),
        numbers in any::<[u64; 8]>(),
        categories in prop::collection::vec((0..2_usize, any_category(), any::<u64>()), 0..6),
        extents in prop::collection::vec(
            (0..3_u16, any_category(), any::<(u64, i64, i64)>()), 0..6),
        latencies in prop::collection::vec(
            (prop::sample::select(LatencyKind::ALL.to_vec()), any::<u32>()), 0..6),
        populations in 0..3_usize,
        has_counters in any::<bool>(),
    ) -> Parts {
        Parts { rows, numbers, categories, extents, latencies, populations, has_counters }
    }
}

fn assemble(parts: Parts) -> Summary {
    let [a, b, c, d, e, f, g, h] = parts.numbers;
    let delivery =
        DeliveryTally { expected: a, received: b, lost: c, duplicated: d, out_of_order: e };
    let of = PopulationSummary {
        attempts: f,
        opens: g,
        dropped: h,
        recovery_attempts: a,
        delivery,
        ..PopulationSummary::default()
    };
    let mut summary = Summary {
        populations: vec![of; parts.populations],
        rows_observed: a,
        hub_rows_unmatched: b,
        ..Summary::default()
    };
    for (population, category, wire, count) in parts.rows {
        let observation = ClientObservation::Reset;
        summary.closes.insert(CloseKey { population, category, wire, observation }, rows(count));
    }
    for (population, category, count) in parts.categories {
        if let Some(of) = summary.populations.get_mut(population) {
            of.categories.insert(category, count);
        }
    }
    for (population, category, (count, min, max)) in parts.extents {
        let extent = Extent { count, min, max };
        summary.windows.insert((population, category, Since::Behaviour), extent);
        summary.queue_at_close.insert((population, category), extent);
    }
    for (kind, us) in parts.latencies {
        let key = LatencyKey { kind, population: Some(0), stage: Stage::After };
        let latency = Duration::from_micros(us.into());
        summary.latency.record(key, latency, latency);
    }
    summary.counters_after = parts.has_counters.then(|| Counters {
        connection_open_count: a,
        total_connection_count: b,
        deliveries: c,
        connection_close_count: BTreeMap::from([(Normal, d)]),
        ..Counters::default()
    });
    summary
}

proptest! {
    #[test]
    fn no_summary_makes_the_judge_panic_or_lose_a_check(
        parts in any_parts(),
        claims in prop::collection::vec((0..4_u16, any_claim()), 0..6),
        thresholds in prop::collection::vec((any_metric(), any_statistic(), any::<f64>()), 0..6),
        population in any::<Option<u16>>(),
    ) {
        let summary = assemble(parts);
        let mut plan = muted_plan();
        plan.expectations.clear();
        for (population, claim) in claims {
            plan.expectations.push(Expectation { population, claim, path: "expect.x".into() });
        }
        for (metric, statistic, value) in thresholds {
            let one = threshold(metric, statistic, Operator::Equal, value);
            plan.thresholds.push(Threshold { population, ..one });
        }
        let verdict = judge(&plan, &summary);
        let checks_of = |claim: &Claim| match claim {
            Claim::DeliveryComplete | Claim::RepliesComplete => 3,
            _ => 1,
        };
        let claims: usize = plan.expectations.iter().map(|of| checks_of(&of.claim)).sum();
        let is_theirs = |check: &&Check| check.kind != CheckKind::Invariant;
        let found = verdict.checks.iter().filter(is_theirs).count();
        prop_assert_eq!(found, claims + plan.thresholds.len());
        let _ = decided(&plan, &summary);
    }
}
