//! Tests of the summary.

#![allow(clippy::unwrap_used, reason = "tests")]

use proptest::prelude::*;

use super::*;
use crate::event::{ClientEnd, Evidence, HandshakeFailure, Phase};
use crate::protocol::AttemptId;
use crate::protocol::control::HubRefusal;

const SECOND: u64 = 1_000_000_000;

fn summary() -> Summary {
    Summary::new(&[("calm".into(), 10), ("wild".into(), 10)])
}

/// A row of an attempt that opened at second 1 and closed in order at second 5, as both sides saw.
fn row(population: &str, index: u32, attempt: u32) -> LedgerRow {
    let attempt = AttemptId { population: population.into(), index, attempt };
    let end = HubEnd {
        attempt: Some(attempt.clone()),
        connection_id: "c".into(),
        user_id: None,
        category: CloseCategory::Normal,
        later: Vec::new(),
        log_reason: String::new(),
        wire: HubWire::ClientClose { code: Some(1000), reason: String::new() },
        opened_ns: SECOND,
        decided_ns: 5 * SECOND,
        gone_ns: 5 * SECOND,
        last_life_ns: 4 * SECOND,
        last_pong_ns: None,
        delivered: 0,
        queue_messages: 0,
        queue_bytes: 7,
        written_bytes: 0,
        received: 0,
        upstream: None,
    };
    let client = ClientEnd {
        attempt: attempt.clone(),
        planned_ns: 0,
        started_ns: 0,
        opened_ns: Some(SECOND),
        ended_ns: 6 * SECOND,
        connection_id: None,
        observation: ClientObservation::CloseFrame {
            code: Some(1000),
            reason: String::new(),
            first: CloseFirst::Client,
        },
        wish: Wish::Leave,
        behaviour_since_ns: None,
        received: 3,
        read_bytes: 0,
        sent: 2,
        pings: 0,
        pongs: 0,
        delivery: DeliveryTally { expected: 4, received: 3, lost: 1, ..DeliveryTally::default() },
        replies: DeliveryTally { expected: 2, received: 2, ..DeliveryTally::default() },
        tails: Vec::new(),
    };
    LedgerRow { attempt, hub: HubSide::Ended(Box::new(end)), evidence: Evidence::Hub, client }
}

fn dropped(mut row: LedgerRow, category: CloseCategory) -> LedgerRow {
    if let HubSide::Ended(end) = &mut row.hub {
        end.category = category;
        end.wire = HubWire::HubAbort;
    }
    row.client.observation = ClientObservation::Reset;
    row.client.wish = Wish::Stay;
    row
}

fn refused(mut row: LedgerRow) -> LedgerRow {
    row.hub = HubSide::Refused(Box::new(HubRefusal {
        attempt: Some(row.attempt.clone()),
        category: CloseCategory::ConnectionCountLimitReached,
        status: 429,
        log_reason: "Connection count reaches limit".into(),
        at_ns: SECOND,
        upstream: None,
    }));
    row.client.observation = ClientObservation::Refused { status: 429, body: String::new() };
    row.client.opened_ns = None;
    row.client.wish = Wish::Stay;
    row
}

#[test]
fn rows_are_counted_per_population_and_category() {
    let mut summary = summary();
    summary.add_row(&row("calm", 0, 0));
    summary.add_row(&dropped(row("wild", 0, 0), CloseCategory::PingTimeout));
    summary.add_row(&refused(row("wild", 1, 0)));
    summary.add_row(&row("nobody", 0, 0));
    let [calm, wild] = &summary.populations[..] else { panic!("two populations") };
    assert_eq!((calm.attempts, calm.opens, calm.refusals), (1, 1, 0));
    assert_eq!((calm.published, calm.delivery.lost), (2, 1));
    assert_eq!(calm.categories, BTreeMap::from([(CloseCategory::Normal, 1)]));
    assert_eq!((wild.attempts, wild.opens, wild.refusals), (2, 1, 1));
    let limit = CloseCategory::ConnectionCountLimitReached;
    assert_eq!(wild.categories, BTreeMap::from([(CloseCategory::PingTimeout, 1), (limit, 1)]));
    assert_eq!((wild.dropped, wild.recovered, wild.recovery_attempts), (1, 0, 0));
    assert_eq!((calm.dropped, calm.recovered), (0, 0));
    assert_eq!(summary.rows_observed, 3);
    assert_eq!(summary.closes.len(), 3);
    let total: u64 = summary.closes.values().map(|tally| tally.count).sum();
    assert_eq!(total, 3);
}

#[test]
fn a_life_goes_by_the_hubs_clock_where_it_is_observed() {
    let mut summary = summary();
    summary.add_row(&row("calm", 0, 0));
    let mut unobserved = row("calm", 1, 0);
    unobserved.hub = HubSide::NotObserved;
    unobserved.evidence = Evidence::None;
    summary.add_row(&unobserved);
    summary.add_row(&refused(row("calm", 2, 0)));
    let lives: Vec<(Option<CloseCategory>, u64, u64)> = summary
        .closes
        .iter()
        .map(|(key, tally)| (key.category, tally.life.len(), tally.life.max() / 100_000))
        .collect();
    let limit = Some(CloseCategory::ConnectionCountLimitReached);
    assert_eq!(lives, [(None, 1, 50), (Some(CloseCategory::Normal), 1, 40), (limit, 0, 0)]);
    assert_eq!(summary.rows_observed, 2);
    assert_eq!(summary.populations[0].categories.values().sum::<u64>(), 2);
}

#[test]
fn windows_run_from_each_instant_to_the_decision() {
    let mut summary = summary();
    let fault = |index, second: u64, error: Option<&str>| Event {
        at_ns: second * SECOND,
        kind: EventKind::FaultDone {
            index,
            what: "fault".into(),
            addressed: None,
            error: error.map(Into::into),
        },
    };
    for event in [fault(0, 2, None), fault(1, 3, None), fault(2, 4, Some("no")), fault(3, 6, None)]
    {
        summary.take(&event);
    }
    let mut late = dropped(row("wild", 0, 0), CloseCategory::PingTimeout);
    late.client.behaviour_since_ns = Some(2 * SECOND);
    let mut early = dropped(row("wild", 1, 0), CloseCategory::PingTimeout);
    if let HubSide::Ended(end) = &mut early.hub {
        end.decided_ns = SECOND + SECOND / 2;
        end.last_life_ns = SECOND;
        end.queue_bytes = 9;
    }
    summary.add_row(&late);
    summary.add_row(&early);
    summary.add_row(&row("wild", 2, 0));
    let of = |since| summary.windows.get(&(1, CloseCategory::PingTimeout, since)).copied();
    let extent = |count, min_ms: i64, max_ms: i64| {
        Some(Extent { count, min: min_ms * 1_000_000, max: max_ms * 1_000_000 })
    };
    assert_eq!(of(Since::LastLife), extent(2, 500, 1_000));
    assert_eq!(of(Since::Open), extent(2, 500, 4_000));
    assert_eq!(of(Since::Behaviour), extent(1, 3_000, 3_000));
    assert_eq!(of(Since::Fault), extent(1, 2_000, 2_000));
    assert!(summary.windows.keys().all(|key| key.1 == CloseCategory::PingTimeout));
    let queue = summary.queue_at_close[&(1, CloseCategory::PingTimeout)];
    assert_eq!(queue, Extent { count: 2, min: 7, max: 9 });
    assert_eq!(
        summary.faults_done,
        BTreeMap::from([0, 1, 3].map(|at| (at, [2, 3, 0, 6][at] * SECOND)))
    );
    assert_eq!(summary.faults_failed, BTreeMap::from([(2, "no".to_owned())]));
}

#[test]
fn an_end_from_outside_is_a_drop_and_a_wanted_one_is_not() {
    let outcome_of = |change: &dyn Fn(&mut LedgerRow)| {
        let mut row = dropped(row("wild", 0, 0), CloseCategory::Normal);
        change(&mut row);
        outcome(&row)
    };
    assert_eq!(outcome_of(&|_| ()), Outcome::Dropped);
    assert_eq!(outcome_of(&|row| row.hub = HubSide::NotObserved), Outcome::Dropped);
    assert_eq!(outcome_of(&|row| row.client.wish = Wish::Vanish), Outcome::Kept);
    assert_eq!(outcome_of(&|row| row.client.wish = Wish::Leave), Outcome::Kept);
    assert_eq!(
        outcome_of(&|row| row.client.observation = ClientObservation::Unaware),
        Outcome::Kept
    );
    assert_eq!(outcome_of(&|row| row.client.opened_ns = None), Outcome::NotOpened);
    let unaware = |row: &mut LedgerRow| {
        *row = dropped(row.clone(), CloseCategory::PingTimeout);
        row.client.observation = ClientObservation::Unaware;
    };
    assert_eq!(outcome_of(&unaware), Outcome::Dropped);
    let halfway = |row: &mut LedgerRow| {
        *row = dropped(row.clone(), CloseCategory::ServiceReload);
        row.client.opened_ns = None;
        let failure = HandshakeFailure::NoConnectedFrame;
        row.client.observation = ClientObservation::HandshakeFailed { failure };
    };
    assert_eq!(outcome_of(&halfway), Outcome::NotOpened);
}

#[test]
fn warnings_count_and_other_events_do_not() {
    let mut summary = summary();
    for kind in [
        EventKind::Warning(Warning::PortsExhausted),
        EventKind::Warning(Warning::PortsExhausted),
        EventKind::PhaseChanged { phase: Phase::Draining },
        EventKind::AttemptEnded(Box::new(row("calm", 3, 0))),
    ] {
        summary.take(&Event { at_ns: 1, kind });
    }
    assert_eq!(summary.health.warnings, BTreeSet::from([Warning::PortsExhausted]));
    assert_eq!(summary.populations[0].attempts, 1);
}

#[test]
fn events_read_back_from_their_lines_are_the_same_events() {
    let attempt_ended = |row| EventKind::AttemptEnded(Box::new(row));
    let mut unseen = row("calm", 4, 1);
    unseen.hub = HubSide::NotSeen;
    let failure = crate::event::ConnectFailure::TimedOut;
    unseen.client.observation = ClientObservation::ConnectFailed { failure };
    for kind in [
        attempt_ended(row("calm", 3, 0)),
        attempt_ended(dropped(row("a.b", 3, 0), CloseCategory::SlowClient)),
        attempt_ended(refused(row("wild", 3, 0))),
        attempt_ended(unseen),
        EventKind::Warning(Warning::DescriptorsExhausted),
        EventKind::Warning(Warning::EventsLost { count: u64::MAX }),
        EventKind::PhaseChanged { phase: Phase::Leaving },
        EventKind::FaultDone { index: 1, what: "x".into(), addressed: Some(3), error: None },
        EventKind::RunEnded { how: crate::event::HowEnded::Decided },
    ] {
        let event = Event { at_ns: u64::MAX, kind };
        let line = serde_json::to_string(&event).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&line).unwrap(), event, "{line}");
    }
}

/// Numbers of one population that must not depend on the order of rows.
fn numbers(summary: &Summary) -> Vec<(u64, u64, u64, u64, u64)> {
    let of =
        |p: &PopulationSummary| (p.attempts, p.opens, p.dropped, p.recovered, p.recovery_attempts);
    summary.populations.iter().map(of).collect()
}

proptest! {
    #[test]
    fn the_order_of_rows_does_not_matter(
        rows in proptest::collection::vec((0_u32..4, 0_u8..3), 0..24).prop_map(|drawn| {
            let mut attempts = [0; 4];
            drawn.into_iter().map(|(index, kind)| {
                let attempt = attempts[index as usize];
                attempts[index as usize] += 1;
                let row = row("wild", index, attempt);
                match kind {
                    0 => row,
                    1 => dropped(row, CloseCategory::ServiceReload),
                    _ => refused(row),
                }
            }).collect::<Vec<_>>()
        }).prop_flat_map(|rows| (Just(rows.clone()), Just(rows).prop_shuffle())),
    ) {
        let (in_order, shuffled) = rows;
        let sum = |rows: &[LedgerRow]| {
            let mut summary = summary();
            rows.iter().for_each(|row| summary.add_row(row));
            summary
        };
        let (one, two) = (sum(&in_order), sum(&shuffled));
        prop_assert_eq!(numbers(&one), numbers(&two));
        prop_assert_eq!(&one.windows, &two.windows);
        prop_assert!(one.closes.iter().map(|(key, tally)| (key, tally.count))
            .eq(two.closes.iter().map(|(key, tally)| (key, tally.count))));
        let wild = &one.populations[1];
        prop_assert!(wild.recovered <= wild.dropped);
        prop_assert_eq!(wild.opens + wild.refusals, wild.attempts);
    }
}

#[test]
fn what_a_client_did_not_wish_for_and_the_hub_does_not_call_a_drop_is_counted_apart() {
    let mut summary = summary();
    let cut = |index| {
        let mut row = row("calm", index, 0);
        row.client.observation = ClientObservation::Reset;
        row.client.wish = Wish::Stay;
        row
    };
    let mut leaving = cut(1);
    leaving.client.wish = Wish::Leave;
    let mut unobserved = cut(2);
    unobserved.hub = HubSide::NotObserved;
    let dropped = dropped(cut(3), CloseCategory::PingTimeout);
    for row in [cut(0), leaving, unobserved, dropped] {
        summary.add_row(&row);
    }
    let counted = BTreeMap::from([(ClientObservation::Reset, 1)]);
    assert_eq!(summary.populations[0].ended_against_wish, counted);
}
