#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;
use crate::event::DeliveryTally;

fn population(name: &str, category: CloseCategory, count: u64) -> PopulationRecord {
    PopulationRecord {
        name: name.into(),
        clients: count,
        attempts: count,
        opens: count,
        categories: BTreeMap::from([(category, count)]),
        delivery: DeliveryTally { expected: 100, received: 100, ..DeliveryTally::default() },
        ..PopulationRecord::default()
    }
}

fn machine() -> Machine {
    Machine {
        os: "linux".into(),
        arch: "x86_64".into(),
        cpu: Some("a model".into()),
        cores: 2,
        threads: 1,
        target: "embedded hub".into(),
        build: Build::Release,
        squall: "0.1".into(),
    }
}

fn record() -> Record {
    let latency = |kind, p50_us| LatencyRecord {
        kind,
        samples: 1_000,
        p50_us,
        p95_us: Some(p50_us * 3),
        p99_us: Some(p50_us * 10),
    };
    Record {
        scenario: "x".into(),
        seed: 1,
        squall_version: "0.1.0".into(),
        date: "2026-01-31".into(),
        outcome: Outcome::Pass,
        how: HowEnded::Decided,
        fingerprint: Fingerprint { world: World::Sockets, machine: Some(machine()) },
        plan: PlanRecord { hash: "0011223344556677".into(), ..PlanRecord::default() },
        hub_observed: true,
        populations: vec![
            population("steady", CloseCategory::Normal, 90),
            population("stalled", CloseCategory::SlowClient, 10),
        ],
        latency: vec![
            latency(LatencyKind::Connect, 1_000),
            latency(LatencyKind::Message, 2_000),
            latency(LatencyKind::Recovery, 300_000),
        ],
    }
}

fn red(comparison: &Comparison) -> Vec<&Figure> {
    let rows = comparison.rows.iter().filter(|row| row.judgement == Judgement::Regression);
    rows.map(|row| &row.figure).collect()
}

fn against(change: impl FnOnce(&mut Record)) -> Comparison {
    let mut run = record();
    change(&mut run);
    compare(&record(), &run, Demand::WhatCanBe)
}

#[test]
fn one_more_drop_is_one_red_row_and_so_is_one_less() {
    for count in [9, 11] {
        let compared = against(|run| {
            run.populations[1].categories.insert(CloseCategory::SlowClient, count);
        });
        assert_eq!(compared.finding, Finding::Regression);
        let population = "stalled".to_owned();
        let category = CloseCategory::SlowClient;
        assert_eq!(red(&compared), [&Figure::Category { population, category }]);
    }
}

#[test]
fn over_sockets_counts_of_clients_that_come_again_may_differ_but_no_category_comes_or_goes() {
    let mut base = record();
    base.populations[0].attempts = 180;
    base.populations[0].categories.insert(CloseCategory::ServiceReload, 90);
    for (category, count, is_red) in [
        (CloseCategory::ServiceReload, 85, false),
        (CloseCategory::ServiceReload, 80, true),
        (CloseCategory::ServiceReload, 0, true),
        (CloseCategory::PingTimeout, 1, true),
    ] {
        let mut run = base.clone();
        run.populations[0].categories.insert(category, count);
        let compared = compare(&base, &run, Demand::WhatCanBe);
        assert_eq!(!red(&compared).is_empty(), is_red, "{category} {count}");
        let [mut base, mut run] = [base.clone(), run];
        for record in [&mut base, &mut run] {
            record.fingerprint = Fingerprint { world: World::Virtual, machine: None };
        }
        let compared = compare(&base, &run, Demand::WhatCanBe);
        assert!(!red(&compared).is_empty(), "exactly in the virtual world");
        run.seed += 1;
        let compared = compare(&base, &run, Demand::WhatCanBe);
        assert_eq!(!red(&compared).is_empty(), is_red, "another seed is other chances");
    }
}

#[test]
fn a_loss_where_there_was_none_is_red_and_one_among_those_of_drops_is_not() {
    let lose = |record: &mut Record, lost: u64| {
        let tally = &mut record.populations[1].delivery;
        (tally.received, tally.lost) = (tally.received - lost, lost);
    };
    let compared = against(|run| lose(run, 1));
    let [Figure::Delivery { figure: DeliveryFigure::Lost, population, .. }] = red(&compared)[..]
    else {
        panic!("{:?}", red(&compared));
    };
    assert_eq!(population, "stalled");
    let mut base = record();
    lose(&mut base, 20);
    for (lost, is_red) in [(20, false), (30, false), (31, true), (5, false)] {
        let mut run = record();
        lose(&mut run, lost);
        let is_lost = |figure: &&Figure| {
            matches!(figure, Figure::Delivery { figure: DeliveryFigure::Lost, .. })
        };
        let compared = compare(&base, &run, Demand::WhatCanBe);
        assert_eq!(red(&compared).iter().any(is_lost), is_red, "{lost}");
    }
}

#[test]
fn latencies_trip_far_off_and_on_the_same_machine_only() {
    let slower = |run: &mut Record| run.latency[1].p99_us = Some(90_000);
    let tail = Figure::Latency { timed: LatencyKind::Message, quantile: Quantile::P99 };
    assert_eq!(red(&against(slower)), [&tail]);
    assert_eq!(against(|run| run.latency[1].p99_us = Some(50_000)).finding, Finding::NoRegression);
    let median = |p50_us| red(&against(|run| run.latency[1].p50_us = p50_us)).len();
    assert_eq!([6_000, 7_000, 7_001].map(median), [0, 0, 1]);
    let elsewhere = |run: &mut Record| {
        slower(run);
        run.fingerprint.machine.as_mut().unwrap().cores = 8;
    };
    let compared = against(elsewhere);
    assert_eq!(compared.finding, Finding::NoRegression);
    let machine = Change { what: "cores".into(), base: Some("2".into()), run: Some("8".into()) };
    assert_eq!(compared.machine_changes, [machine]);
    let judged = compared.rows.iter().find(|row| row.figure == tail).unwrap().judgement;
    assert_eq!(judged, Judgement::OtherMachine);
    let mut run = record();
    elsewhere(&mut run);
    let compared = compare(&record(), &run, Demand::Everything);
    assert_eq!(compared.finding, Finding::NotComparable);
    run.populations[0].delivery.duplicated = 1;
    let compared = compare(&record(), &run, Demand::Everything);
    assert_eq!(compared.finding, Finding::Regression, "a regression beats it");
}

#[test]
fn recoveries_are_told_by_their_p95() {
    let compared = against(|run| run.latency[2].p95_us = Some(5_000_000));
    let quantile = Quantile::P95;
    assert_eq!(red(&compared), [&Figure::Latency { timed: LatencyKind::Recovery, quantile }]);
}

#[test]
fn machines_are_alike_in_the_virtual_world_and_unlike_where_one_is_not_told() {
    let nowhere = |world| Fingerprint { world, machine: None };
    let changes = |base, run| nowhere(base).changes(&nowhere(run));
    assert!(changes(World::Virtual, World::Virtual).is_empty());
    assert_eq!(changes(World::Sockets, World::Sockets)[0].what, "machine");
    assert_eq!(changes(World::Sockets, World::Virtual)[0].what, "world");
    let compared = against(|run| run.fingerprint.machine = None);
    let base = Some("told".to_owned());
    assert_eq!(compared.machine_changes, [Change { what: "machine".into(), base, run: None }]);
}

#[test]
fn ratios_have_their_bounds() {
    type Break = fn(&mut PopulationRecord);
    let breaks: [(Ratio, Break); 4] = [
        (Ratio::Amplification, |one| one.attempts = 100),
        (Ratio::Opens, |one| one.opens = 75),
        (Ratio::Refused, |one| one.refusals = 2),
        (Ratio::Recovered, |one| (one.dropped, one.recovered) = (90, 80)),
    ];
    for (ratio, change) in breaks {
        let compared = against(|run| change(&mut run.populations[0]));
        let population = "steady".to_owned();
        assert_eq!(red(&compared), [&Figure::Ratio { population, ratio }], "{ratio:?}");
    }
}

#[test]
fn a_changed_plan_is_told_by_its_settings_and_parts_and_nothing_else_is_compared() {
    let plan = |queue: &str, traffic: &str| PlanRecord {
        hash: format!("{queue}{traffic}"),
        settings: [("hub.queue.bytes", queue), ("title", "t")].map(text).into(),
        digests: [("hub", queue), ("traffic.feed", traffic), ("populations", "same")]
            .map(text)
            .into(),
    };
    let mut base = record();
    base.plan = plan("64 KiB", "one");
    let mut run = base.clone();
    run.plan = plan("128 KiB", "other");
    run.populations[0].delivery.lost = 1;
    let compared = compare(&base, &run, Demand::Everything);
    assert_eq!(compared.finding, Finding::PlanChanged);
    assert!(compared.rows.is_empty());
    let told: Vec<_> = compared
        .plan_changes
        .iter()
        .map(|change| (change.what.as_str(), change.base.as_deref(), change.run.as_deref()))
        .collect();
    let queue = ("hub.queue.bytes", Some("64 KiB"), Some("128 KiB"));
    assert_eq!(told, [queue, ("traffic.feed", None, None)]);
}

fn text((name, value): (&str, &str)) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

#[test]
fn categories_that_nobody_observed_are_not_compared() {
    let compared = against(|run| run.hub_observed = false);
    let judged = |row: &&Row| row.judgement == Judgement::NotObserved;
    assert_eq!(compared.rows.iter().filter(judged).count(), 2);
    assert_eq!(compared.finding, Finding::NoRegression);
}

#[test]
fn what_stopped_early_or_was_spoiled_is_no_base() {
    let with = |how, outcome| Record { how, outcome, ..record() };
    let decided = HowEnded::Decided;
    assert_eq!(with(decided, Outcome::Pass).acceptable(), Ok(()));
    assert_eq!(with(HowEnded::TimeUp, Outcome::Fail).acceptable(), Ok(()));
    for (how, outcome, why) in [
        (HowEnded::Interrupted, Outcome::Pass, Unfit::Interrupted),
        (HowEnded::Aborted, Outcome::Pass, Unfit::Aborted),
        (decided, Outcome::Invalid, Unfit::Invalid),
    ] {
        assert_eq!(with(how, outcome).comparable(), Err(why));
        assert_eq!(with(how, outcome).acceptable(), Err(why));
    }
    let undetermined = with(decided, Outcome::Undetermined);
    assert_eq!(undetermined.comparable(), Ok(()));
    assert_eq!(undetermined.acceptable(), Err(Unfit::Undetermined));
}

#[test]
fn a_run_that_passes_no_more_is_a_regression() {
    assert_eq!(red(&against(|run| run.outcome = Outcome::Fail)), [&Figure::Verdict]);
    let failed = Record { outcome: Outcome::Fail, ..record() };
    assert!(red(&compare(&failed, &failed, Demand::Everything)).is_empty());
    let rows = compare(&failed, &record(), Demand::Everything).rows;
    assert_eq!(rows[0].judgement, Judgement::Better);
}

fn records() -> impl Strategy<Value = Record> {
    let count = || prop_oneof![Just(0_u64), 0_u64..2_000];
    let categories = proptest::collection::btree_map(
        proptest::sample::select(CloseCategory::ALL.to_vec()),
        count(),
        0..4,
    );
    let population = (categories, [count(), count(), count(), count(), count(), count()]).prop_map(
        |(categories, [attempts, opens, refusals, dropped, recovered, lost])| PopulationRecord {
            clients: opens / 2,
            attempts,
            opens,
            refusals,
            dropped,
            recovered,
            categories,
            delivery: DeliveryTally { expected: attempts, lost, ..DeliveryTally::default() },
            ..PopulationRecord::default()
        },
    );
    let populations = proptest::collection::vec(population, 0..4);
    let latency = proptest::collection::vec((0_u64..9_000_000, any::<bool>()), 0..8);
    (populations, latency, any::<bool>(), any::<bool>(), 0_u64..2).prop_map(
        |(populations, latency, is_virtual, hub_observed, seed)| {
            let mut made = Record { hub_observed, seed, ..record() };
            if is_virtual {
                made.fingerprint = Fingerprint { world: World::Virtual, machine: None };
            }
            let named = |(number, population): (usize, PopulationRecord)| PopulationRecord {
                name: format!("p{number}"),
                ..population
            };
            made.populations = populations.into_iter().enumerate().map(named).collect();
            let timed = |(kind, (us, is_rare)): (LatencyKind, (u64, bool))| LatencyRecord {
                kind,
                samples: 1,
                p50_us: us,
                p95_us: (!is_rare).then_some(us * 2),
                p99_us: (!is_rare).then_some(us * 3),
            };
            made.latency = LatencyKind::ALL.into_iter().zip(latency).map(timed).collect();
            made
        },
    )
}

proptest! {
    #[test]
    fn a_run_is_never_a_regression_against_itself(run in records()) {
        let compared = compare(&run, &run, Demand::WhatCanBe);
        prop_assert_eq!(compared.finding, Finding::NoRegression);
        let is_equal = |row: &Row| row.base == row.run;
        prop_assert!(compared.rows.iter().all(is_equal));
    }

    #[test]
    fn rows_stand_in_one_order_whichever_comes_first(one in records(), other in records()) {
        let mut other = other;
        other.populations.truncate(one.populations.len());
        let mut one = one;
        one.populations.truncate(other.populations.len());
        let figures = |base: &Record, run: &Record| -> Vec<Figure> {
            compare(base, run, Demand::WhatCanBe).rows.into_iter().map(|row| row.figure).collect()
        };
        let told = figures(&one, &other);
        prop_assert_eq!(&told, &figures(&other, &one));
        for (index, figure) in told.iter().enumerate() {
            prop_assert!(!told[..index].contains(figure), "{:?} is there twice", figure);
        }
    }

    #[test]
    fn a_comparison_reads_back_from_json(one in records(), other in records()) {
        let compared = compare(&one, &other, Demand::Everything);
        let text = serde_json::to_string(&compared).unwrap();
        let validator = jsonschema::validator_for(&schema()).unwrap();
        prop_assert!(validator.is_valid(&serde_json::from_str(&text).unwrap()));
        let back: Comparison = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(back.rows.len(), compared.rows.len());
    }
}
