//! Every claim of `[expect]`.

use super::*;
use crate::event::DeliveryTally;

#[test]
fn a_drop_that_happens_as_demanded_is_a_pass() {
    let verdict = judge(&muted_plan(), &as_demanded());
    assert_eq!(verdict.outcome, Outcome::Pass, "{:#?}", verdict.checks);
    let paths: Vec<&str> = verdict.checks.iter().map(|check| check.path.as_str()).collect();
    let claims = ["expect.healthy.closes", "expect.muted.closes"];
    assert_eq!(paths[..2], claims);
    assert_eq!(paths[2..], ["I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8"]);
    let muted = check(&verdict, "expect.muted.closes");
    assert_eq!(muted.expected, "PingTimeout = 10, nothing else");
    assert_eq!(muted.actual, "PingTimeout 10");
}

#[test]
fn a_drop_that_does_not_happen_is_a_failure() {
    let plan = muted_plan();
    let summary = summary(&plan, &[&[(Normal, 90)], &[(PingTimeout, 9), (Normal, 1)]]);
    let path = "expect.muted.closes";
    assert_told(&plan, &summary, path, Outcome::Fail, "PingTimeout 9, Normal 1");
    assert_eq!(judge(&plan, &summary).outcome, Outcome::Fail);
}

#[test]
fn a_touched_bystander_fails_its_claim_and_the_invariant() {
    let plan = muted_plan();
    let summary = summary(&plan, &[&[(Normal, 88), (SlowClient, 2)], &[(PingTimeout, 10)]]);
    let path = "expect.healthy.closes";
    assert_told(&plan, &summary, path, Outcome::Fail, "Normal 88, SlowClient 2");
    assert_told(&plan, &summary, "I7", Outcome::Fail, "healthy: SlowClient 2");
}

#[test]
fn what_was_not_observed_is_undetermined_and_never_passed() {
    let plan = muted_plan();
    let mut summary = as_demanded();
    summary.counters_after = None;
    summary.rows_observed = 0;
    for population in &mut summary.populations {
        population.categories.clear();
    }
    summary.closes = summary
        .closes
        .into_iter()
        .map(|(key, tally)| (CloseKey { category: None, wire: None, ..key }, tally))
        .collect();
    let verdict = judge(&plan, &summary);
    assert_eq!(verdict.outcome, Outcome::Undetermined, "{:#?}", verdict.checks);
    let outcomes: Vec<(&str, Outcome)> =
        verdict.checks.iter().map(|check| (check.path.as_str(), check.outcome)).collect();
    let expected = [
        ("expect.healthy.closes", Outcome::Undetermined),
        ("expect.muted.closes", Outcome::Undetermined),
        ("I1", Outcome::Pass),
        ("I4", Outcome::Pass),
        ("I5", Outcome::Pass),
        ("I6", Outcome::Pass),
    ];
    assert_eq!(outcomes, expected);
    assert!(!super::decided(&plan, &summary));
}

#[test]
fn windows_are_open_below_and_closed_above() {
    let mut plan = muted_plan();
    expecting(&mut plan, 1, within(PingTimeout));
    let path = "expect.muted.close_within";
    let of = |count, min, max| {
        let mut summary = as_demanded();
        let extent = Extent { count, min, max };
        summary.windows.insert((1, PingTimeout, Since::LastLife), extent);
        told(&plan, &summary, path)
    };
    let (least, most) = (3_000_000_001, 4_250_000_000);
    assert_eq!(of(10, least, most), (Outcome::Pass, "3 s to 4.25 s (10)".into()));
    assert_eq!(of(10, least - 1, most).0, Outcome::Fail);
    assert_eq!(of(10, least, most + 1).0, Outcome::Fail);
    let partly = "3 s to 4.25 s, known of 9 of 10".to_owned();
    assert_eq!(of(9, least, most), (Outcome::Undetermined, partly));
    assert_eq!(of(9, least, most + 1).0, Outcome::Fail);
    let unknown = "known of none of 10 PingTimeout";
    assert_told(&plan, &as_demanded(), path, Outcome::Undetermined, unknown);
    let none = summary(&plan, &[&[(Normal, 90)], &[(Normal, 10)]]);
    assert_told(&plan, &none, path, Outcome::Fail, "no PingTimeout occurred");
    plan.expectations[1].claim =
        Claim::Closes(vec![(PingTimeout, Quantity { at_least: 0, at_most: 10 })]);
    assert_eq!(told(&plan, &none, path).0, Outcome::Pass);
}

#[test]
fn a_window_from_nought_takes_what_happens_at_once() {
    let mut plan = muted_plan();
    let claim = Claim::CloseWithin {
        category: PingTimeout,
        since: Since::Fault,
        from: ms(0),
        to: ms(1_000),
    };
    expecting(&mut plan, 1, claim);
    let mut summary = as_demanded();
    for (min, outcome) in [(0, Outcome::Pass), (-1, Outcome::Fail)] {
        let extent = Extent { count: 10, min, max: 5 };
        summary.windows.insert((1, PingTimeout, Since::Fault), extent);
        assert_eq!(told(&plan, &summary, "expect.muted.close_within").0, outcome);
    }
}

#[test]
fn the_queue_at_close_is_over_its_limit_by_one_frame_at_most() {
    let mut plan = muted_plan();
    let (above, at_most) = (65_536, 67_588);
    let claim = Claim::QueueAtCloseJustOverLimit { category: PingTimeout, above, at_most };
    expecting(&mut plan, 1, claim);
    for (count, min, max, outcome) in [
        (10, 65_537, 67_588, Outcome::Pass),
        (10, 65_536, 67_588, Outcome::Fail),
        (10, 65_537, 67_589, Outcome::Fail),
        (0, 0, 0, Outcome::Undetermined),
    ] {
        let mut summary = as_demanded();
        let extent = Extent { count, min, max };
        summary.queue_at_close.insert((1, PingTimeout), extent);
        assert_eq!(told(&plan, &summary, "expect.muted.claim").0, outcome, "{min} {max}");
    }
}

#[test]
fn opens_recoveries_and_amplification() {
    let cases = [
        (Claim::Opens(Quantity::exactly(10)), Outcome::Pass, "opens 10"),
        (Claim::Opens(Quantity::exactly(11)), Outcome::Fail, "opens 10"),
        (Claim::Recovered(Quantity::exactly(4)), Outcome::Pass, "recovered 4"),
        (Claim::Recovered(Quantity::exactly(5)), Outcome::Fail, "recovered 4"),
        (Claim::Amplification { at_most: 1.5 }, Outcome::Pass, "1.5 (6 attempts, 4 clients)"),
        (Claim::Amplification { at_most: 1.4 }, Outcome::Fail, "1.5 (6 attempts, 4 clients)"),
    ];
    for (claim, outcome, actual) in cases {
        let mut plan = muted_plan();
        expecting(&mut plan, 1, claim);
        let mut summary = as_demanded();
        let muted = &mut summary.populations[1];
        (muted.recovered, muted.dropped, muted.recovery_attempts) = (4, 4, 6);
        assert_told(&plan, &summary, "expect.muted.claim", outcome, actual);
    }
    let mut plan = muted_plan();
    expecting(&mut plan, 1, Claim::Amplification { at_most: 1.5 });
    let nobody = "no samples: no client was dropped";
    assert_told(&plan, &as_demanded(), "expect.muted.claim", Outcome::Fail, nobody);
}

#[test]
fn each_fault_of_delivery_turns_its_own_check_red() {
    let mut plan = muted_plan();
    expecting(&mut plan, 0, Claim::DeliveryComplete);
    let good = DeliveryTally { expected: 100, received: 100, ..DeliveryTally::default() };
    let cases = [
        (good, None),
        (DeliveryTally { received: 99, lost: 1, ..good }, Some("lost")),
        (DeliveryTally { received: 101, duplicated: 1, ..good }, Some("duplicated")),
        (DeliveryTally { out_of_order: 1, ..good }, Some("out_of_order")),
        (DeliveryTally::default(), Some("lost")),
    ];
    for (tally, red) in cases {
        let mut summary = as_demanded();
        summary.populations[0].delivery = tally;
        summary.counters_after.as_mut().unwrap().deliveries = tally.received - tally.duplicated;
        let verdict = judge(&plan, &summary);
        let failed: Vec<_> = verdict
            .checks
            .iter()
            .filter(|check| check.outcome == Outcome::Fail)
            .map(|check| check.path.clone())
            .collect();
        let expected: Vec<_> =
            red.iter().map(|red| format!("expect.healthy.delivery.{red}")).collect();
        assert_eq!(failed, expected);
    }
}

#[test]
fn steady_compares_after_with_before() {
    let mut plan = muted_plan();
    expecting(&mut plan, 0, Claim::Steady { ratio: 1.5, or_delta: ms(50) });
    let key = |stage| LatencyKey { kind: LatencyKind::Message, population: Some(0), stage };
    let of = |before: Option<u64>, after: Option<u64>| {
        let mut summary = as_demanded();
        for (stage, p99) in [(Stage::Before, before), (Stage::After, after)] {
            if let Some(p99) = p99 {
                summary.latency.record(key(stage), ms(p99), ms(1));
            }
        }
        told(&plan, &summary, "expect.healthy.claim")
    };
    assert_eq!(of(Some(100), Some(149)).0, Outcome::Pass);
    assert_eq!(of(Some(10), Some(59)).0, Outcome::Pass);
    assert_eq!(of(Some(200), Some(400)).0, Outcome::Fail);
    let (outcome, actual) = of(None, Some(10));
    assert_eq!(outcome, Outcome::Fail);
    assert!(actual.starts_with("no samples before, after 10"), "{actual}");
}

#[test]
fn what_is_expected_of_a_population() {
    let plan = muted_plan();
    assert!(is_expected(&plan, 1, PingTimeout));
    assert!(!is_expected(&plan, 1, Normal), "its closes list nothing else");
    assert!(is_expected(&plan, 0, Normal));
    assert!(!is_expected(&plan, 0, PingTimeout));
    let mut silent = plan.clone();
    silent.expectations.clear();
    assert!(is_expected(&silent, 1, PingTimeout), "foretold");
    assert!(is_expected(&silent, 1, Normal));
    assert!(!is_expected(&silent, 0, PingTimeout));
    assert!(!is_expected(&silent, 9, PingTimeout));
}

#[test]
fn a_drop_before_its_cause_fails_the_window() {
    let mut plan = muted_plan();
    let since = Since::Behaviour;
    let claim = Claim::CloseWithin { category: PingTimeout, since, from: ms(0), to: ms(4_250) };
    expecting(&mut plan, 1, claim);
    let path = "expect.muted.close_within";
    let mut summary = as_demanded();
    let all = Extent { count: 10, min: 1, max: 2 };
    summary.windows.insert((1, PingTimeout, Since::LastLife), all);
    let text = "10 dropped before the misbehaviour began";
    assert_told(&plan, &summary, path, Outcome::Fail, text);
    summary.windows.insert((1, PingTimeout, since), Extent { count: 9, ..all });
    let text = "1 dropped before the misbehaviour began";
    assert_told(&plan, &summary, path, Outcome::Fail, text);
    summary.windows.insert((1, PingTimeout, since), all);
    assert_eq!(told(&plan, &summary, path).0, Outcome::Pass);
}
