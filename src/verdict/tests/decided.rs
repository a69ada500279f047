//! When a run has nothing left to wait for.

use super::*;
use crate::measure::LiveCounts;

#[test]
fn a_run_is_decided_once_every_demanded_drop_has_happened() {
    let mut plan = muted_plan();
    let dropped = |muted| summary(&muted_plan(), &[&[], &[(PingTimeout, muted)]]);
    assert!(!super::decided(&plan, &dropped(9)));
    assert!(super::decided(&plan, &dropped(10)), "closes in order are not waited for");
    assert!(super::decided(&plan, &dropped(11)), "broken for good");
    let wrong = |muted| summary(&muted_plan(), &[&[], &[(SlowClient, 1), (PingTimeout, muted)]]);
    assert!(!super::decided(&plan, &wrong(8)), "one may still fall, for whatever reason");
    assert!(super::decided(&plan, &wrong(9)), "nothing mends a category that must not occur");
    plan.faults.push(at(ms(1), Fault::CloseAll { reason: None }));
    let mut faulted = dropped(10);
    assert!(!super::decided(&plan, &faulted));
    faulted.faults_failed.insert(0, "no".into());
    assert!(super::decided(&plan, &faulted));
    faulted.faults_failed.clear();
    faulted.faults_done.insert(0, 1);
    assert!(super::decided(&plan, &faulted));
}

#[test]
fn opens_and_recoveries_are_decided_by_live_counts() {
    let mut plan = plan(vec![population("fleet", 5)]);
    expecting(&mut plan, 0, Claim::Opens(Quantity::exactly(10)));
    expecting(&mut plan, 0, Claim::Recovered(Quantity::exactly(5)));
    let mut summary = summary(&plan, &[&[(ServiceReload, 5)]]);
    assert!(!super::decided(&plan, &summary));
    summary.populations[0].live = LiveCounts { opens: 10, recovered: 4 };
    assert!(!super::decided(&plan, &summary));
    summary.populations[0].live.recovered = 5;
    assert!(super::decided(&plan, &summary));
}

#[test]
fn a_count_threshold_is_waited_for_while_it_may_still_be_met() {
    let mut plan = plan(vec![population("one", 5)]);
    let metric = Metric::Closes(PingTimeout);
    plan.thresholds = vec![threshold(metric, Statistic::Count, Operator::Equal, 3.0)];
    let after =
        |plan: &Plan, count| super::decided(plan, &summary(plan, &[&[(PingTimeout, count)]]));
    assert_eq!([0, 2, 3, 4].map(|count| after(&plan, count)), [false, false, true, true]);
    plan.thresholds[0].condition.operator = Operator::Less;
    assert!(after(&plan, 0));
}
