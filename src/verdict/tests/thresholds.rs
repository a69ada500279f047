//! Every metric and statistic.

use super::*;
use crate::event::DeliveryTally;

fn threshold_told(summary: &Summary, threshold: Threshold) -> (Outcome, String) {
    let mut plan = muted_plan();
    plan.thresholds.push(threshold);
    let verdict = judge(&plan, summary);
    let found =
        verdict.checks.into_iter().find(|check| check.kind == CheckKind::Threshold).unwrap();
    assert_eq!(found.expected, "as written");
    (found.outcome, found.actual)
}

/// Connects of the muted from 1 to 100 ms by the plan, 1 ms each by themselves.
fn connects() -> Summary {
    let mut summary = as_demanded();
    let key = LatencyKey { kind: LatencyKind::Connect, population: Some(1), stage: Stage::Before };
    for at in 1..=100 {
        summary.latency.record(key, ms(at), ms(1));
    }
    summary
}

#[test]
fn thresholds_of_latency() {
    let summary = connects();
    let response = Metric::Response(LatencyKind::Connect);
    let cases = [
        (Statistic::Percentile(99.0), Operator::Less, 200e6, Outcome::Pass, "p(99) 99"),
        (Statistic::Percentile(99.0), Operator::Less, 90e6, Outcome::Fail, "p(99) 99"),
        (Statistic::Median, Operator::LessOrEqual, 51e6, Outcome::Pass, "med 50"),
        (Statistic::Average, Operator::Greater, 50e6, Outcome::Pass, "avg 50"),
        (Statistic::Minimum, Operator::Less, 2e6, Outcome::Pass, "min 1"),
        (Statistic::Maximum, Operator::GreaterOrEqual, 100e6, Outcome::Pass, "max 100"),
        (Statistic::Count, Operator::Equal, 100.0, Outcome::Pass, "count 100"),
        (Statistic::Rate, Operator::Less, 1.0, Outcome::Fail, "the metric has no rate"),
        (Statistic::Percentile(f64::NAN), Operator::Less, 1.0, Outcome::Fail, "the metric has no"),
    ];
    for (statistic, operator, value, outcome, actual) in cases {
        let told = threshold_told(&summary, threshold(response, statistic, operator, value));
        assert_eq!(told.0, outcome, "{told:?}");
        assert!(told.1.starts_with(actual), "{told:?} {actual}");
    }
}

#[test]
fn thresholds_select_their_series() {
    let mut summary = connects();
    let p99 = |metric| threshold(metric, Statistic::Percentile(99.0), Operator::Less, 2e6);
    let service = Metric::Service(LatencyKind::Connect);
    assert_eq!(threshold_told(&summary, p99(service)).0, Outcome::Pass);
    let rest = || p99(Metric::Response(LatencyKind::Rest));
    assert_eq!(threshold_told(&summary, rest()), (Outcome::Fail, "no samples".into()));
    for (population, stage, outcome) in [
        (Some(1), None, Outcome::Pass),
        (Some(0), None, Outcome::Fail),
        (None, Some(Stage::Before), Outcome::Pass),
        (None, Some(Stage::After), Outcome::Fail),
    ] {
        let selected = Threshold { population, stage, ..p99(service) };
        assert_eq!(threshold_told(&summary, selected).0, outcome);
    }
    // A starved generator spoils even the want of samples.
    summary.health.warnings.insert(Warning::PortsExhausted);
    assert_eq!(threshold_told(&summary, rest()).0, Outcome::Invalid);
}

#[test]
fn paths_name_metric_and_selectors() {
    let mut plan = muted_plan();
    let metric = Metric::Response(LatencyKind::Message);
    let all = threshold(metric, Statistic::Maximum, Operator::Less, 1e9);
    let one = Threshold { population: Some(1), stage: Some(Stage::After), ..all.clone() };
    plan.thresholds = vec![all, one];
    let verdict = judge(&plan, &as_demanded());
    check(&verdict, "thresholds.message");
    check(&verdict, "thresholds.message{population:muted,stage:after}");
}

#[test]
fn thresholds_of_counts_and_shares() {
    let mut summary = as_demanded();
    summary.populations[0].delivery =
        DeliveryTally { expected: 200, received: 200, lost: 2, duplicated: 2, out_of_order: 1 };
    summary.counters_after.as_mut().unwrap().connection_count_peak = 100;
    summary.open_peak = 101;
    let cases = [
        (Metric::Closes(PingTimeout), Statistic::Count, 10.0, "count 10"),
        (Metric::Closes(PingTimeout), Statistic::Rate, 0.1, "rate 0.1"),
        (Metric::Closes(SlowClient), Statistic::Value, 0.0, "value 0"),
        (Metric::Opens, Statistic::Count, 100.0, "count 100"),
        (Metric::Opens, Statistic::Rate, 1.0, "rate 1"),
        (Metric::Attempts, Statistic::Value, 100.0, "value 100"),
        (Metric::Delivered, Statistic::Rate, 0.99, "rate 0.99"),
        (Metric::Delivered, Statistic::Value, 0.99, "value 0.99"),
        (Metric::Lost, Statistic::Count, 2.0, "count 2"),
        (Metric::Lost, Statistic::Rate, 0.01, "rate 0.01"),
        (Metric::Duplicated, Statistic::Count, 2.0, "count 2"),
        (Metric::OutOfOrder, Statistic::Rate, 0.005, "rate 0.005"),
        (Metric::PeakConnections, Statistic::Value, 100.0, "value 100"),
    ];
    for (metric, statistic, value, actual) in cases {
        let told = threshold_told(&summary, threshold(metric, statistic, Operator::Equal, value));
        assert_eq!(told, (Outcome::Pass, actual.to_owned()), "{metric:?}");
        let not = threshold(metric, statistic, Operator::NotEqual, value);
        assert_eq!(threshold_told(&summary, not).0, Outcome::Fail);
    }
}

#[test]
fn a_share_of_nothing_has_no_samples_and_the_unseen_is_undetermined() {
    let mut summary = as_demanded();
    let rate = threshold(Metric::Lost, Statistic::Rate, Operator::Less, 0.01);
    assert_eq!(threshold_told(&summary, rate), (Outcome::Fail, "no samples".into()));
    summary.counters_after = None;
    summary.rows_observed = 0;
    let unseen = threshold(Metric::Closes(PingTimeout), Statistic::Count, Operator::Equal, 10.0);
    assert_eq!(threshold_told(&summary, unseen).0, Outcome::Undetermined);
}
