//! Every column of every table of the performance guide.

use super::super::table::measured;
use super::*;

const UNITS: [u32; 8] = [1, 2, 10, 50, 100, 200, 500, 1_000];
const KB: f64 = 1_024.0;
/// The guide's MB: a thousand of its KB.
const MB: f64 = 1_000.0 * KB;

fn tier(units: u32) -> Tier {
    if units <= 100 { Tier::Standard } else { Tier::Premium }
}

/// What a dimension carries, both inbound readings allowed.
fn carries(dimension: Dimension, units: u32, revision: Revision) -> f64 {
    let all = capacities(tier(units), units, revision, Inbound::Limits);
    all.iter().find(|one| one.dimension == dimension).unwrap().amount
}

fn holds(pattern: Pattern, direction: Direction, revision: Revision, columns: &[(u32, f64, f64)]) {
    for &(units, messages, bytes) in columns {
        let of =
            |measure| carries(Dimension::Traffic(pattern, direction, measure), units, revision);
        assert!(close(of(Measure::Messages), messages), "{pattern} {direction:?} {units}");
        assert!(close(of(Measure::Bytes), bytes), "{pattern} {direction:?} {units}: bytes");
    }
}

fn columns(messages: [f64; 8], bandwidth: [f64; 8], unit: f64) -> Vec<(u32, f64, f64)> {
    let rows = UNITS.into_iter().zip(messages).zip(bandwidth);
    rows.map(|((units, messages), bandwidth)| (units, messages, bandwidth * unit)).collect()
}

#[test]
fn connections_a_unit() {
    for units in UNITS {
        let amount = carries(Dimension::Connections, units, Revision::Newest);
        assert!(close(amount, 1_000.0 * f64::from(units)));
    }
    let free = capacities(Tier::Free, 1, Revision::Newest, Inbound::Conditions);
    assert!(close(free[0].amount, 20.0));
    let quota = free.iter().find(|one| one.dimension == Dimension::DailyMessages).unwrap();
    assert!(close(quota.amount, 20_000.0));
}

#[test]
fn big_groups() {
    for revision in [Revision::Newest, Revision::Older] {
        holds(Pattern::BigGroup, Direction::In, revision, &columns([30.0; 8], [60.0; 8], KB));
        let out = [3e3, 6e3, 30e3, 150e3, 300e3, 600e3, 1_500e3, 3_000e3];
        let bandwidth = [6.0, 12.0, 60.0, 300.0, 600.0, 1_200.0, 3_000.0, 6_000.0];
        holds(Pattern::BigGroup, Direction::Out, revision, &columns(out, bandwidth, MB));
    }
}

#[test]
fn small_groups_in_the_newest_revision() {
    let newest = Revision::Newest;
    let messages = [200.0, 400.0, 2e3, 10e3, 10e3, 20e3, 50e3, 100e3];
    let bandwidth = [400.0, 800.0, 4e3, 20e3, 20e3, 40e3, 100e3, 200e3];
    holds(Pattern::SmallGroup, Direction::In, newest, &columns(messages, bandwidth, KB));
    let messages = [2e3, 4e3, 20e3, 100e3, 100e3, 200e3, 500e3, 1_000e3];
    let bandwidth = [4.0, 8.0, 40.0, 200.0, 200.0, 400.0, 1_000.0, 2_000.0];
    holds(Pattern::SmallGroup, Direction::Out, newest, &columns(messages, bandwidth, MB));
}

#[test]
fn small_groups_in_the_older_revision() {
    let units = [1, 2, 5, 10, 20, 50, 100];
    let rows = |messages: [f64; 7], bandwidth: [f64; 7], unit: f64| -> Vec<_> {
        let rows = units.into_iter().zip(messages).zip(bandwidth);
        rows.map(|((units, messages), bandwidth)| (units, messages, bandwidth * unit)).collect()
    };
    let messages = [400.0, 800.0, 2e3, 4e3, 8e3, 15e3, 15e3];
    let bandwidth = [0.8, 1.6, 4.0, 8.0, 16.0, 30.0, 30.0];
    let inbound = rows(messages, bandwidth, MB);
    holds(Pattern::SmallGroup, Direction::In, Revision::Older, &inbound);
    let messages = [4e3, 8e3, 20e3, 40e3, 80e3, 150e3, 150e3];
    let bandwidth = [8.0, 16.0, 40.0, 80.0, 160.0, 300.0, 300.0];
    let outbound = rows(messages, bandwidth, MB);
    holds(Pattern::SmallGroup, Direction::Out, Revision::Older, &outbound);
}

#[test]
fn upstream_echo() {
    let messages = [500.0, 1e3, 5e3, 25e3, 50e3, 100e3, 250e3, 500e3];
    let bandwidth = [1.0, 2.0, 10.0, 50.0, 100.0, 200.0, 500.0, 1_000.0];
    for direction in [Direction::In, Direction::Out] {
        let columns = columns(messages, bandwidth, MB);
        holds(Pattern::Echo, direction, Revision::Newest, &columns);
    }
}

#[test]
fn rest_to_user() {
    let messages = [180.0, 360.0, 1_800.0, 9e3, 18e3, 36e3, 90e3, 180e3];
    let bandwidth = [360.0, 720.0, 3_600.0, 18e3, 36e3, 72e3, 180e3, 360e3];
    for direction in [Direction::In, Direction::Out] {
        let columns = columns(messages, bandwidth, KB);
        holds(Pattern::RestToUser, direction, Revision::Newest, &columns);
    }
}

#[test]
fn rest_broadcast() {
    let newest = Revision::Newest;
    holds(Pattern::RestBroadcast, Direction::In, newest, &columns([3.0; 8], [6.0; 8], KB));
    for units in UNITS {
        let of = |pattern| measured(pattern, Direction::Out, units, newest);
        assert!(close(of(Pattern::RestBroadcast), of(Pattern::BigGroup)));
    }
}

#[test]
fn connects_a_second() {
    let printed = [(1, 400), (10, 400), (20, 600), (50, 2_000), (100, 8_000)];
    for (units, rate) in printed {
        assert_eq!(connect_rate(Tier::Standard, units), rate);
    }
    assert_eq!(connect_rate(Tier::Free, 1), 20);
    // A full instance reconnects in 25, 33, 25 and 12.5 s.
    for (units, seconds) in [(10, 25.0), (20, 33.333), (50, 25.0), (100, 12.5)] {
        let took = 1_000.0 * f64::from(units) / f64::from(connect_rate(Tier::Standard, units));
        assert!((took - seconds).abs() < 0.001, "{took}");
    }
}

#[test]
fn inbound_conditions_bound_nothing() {
    let all = capacities(Tier::Standard, 1, Revision::Newest, Inbound::Conditions);
    for pattern in [Pattern::BigGroup, Pattern::RestBroadcast] {
        let bounded = Dimension::Traffic(pattern, Direction::In, Measure::Messages);
        assert!(!all.iter().any(|one| one.dimension == bounded), "{pattern}");
    }
}

#[test]
fn unit_counts_that_are_sold() {
    assert_eq!(unit_steps(Tier::Free, UnitList::Newest), [1]);
    assert_eq!(unit_steps(Tier::Standard, UnitList::Older), [1, 2, 5, 10, 20, 50, 100]);
    assert_eq!(unit_steps(Tier::Premium, UnitList::Newest).len(), 28);
    let at = unit_steps(Tier::Standard, UnitList::Newest);
    assert_eq!(at, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 30, 40, 50, 60, 70, 80, 90, 100]);
}
