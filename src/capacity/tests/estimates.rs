//! What an estimate says of the worked examples.

use jiff::civil::date;

use super::*;

fn prices() -> Prices {
    Prices {
        date: date(2026, 9, 20),
        source: "a test".to_owned(),
        currency: "USD".to_owned(),
        region: "nowhere".to_owned(),
        standard_unit_day: 1.61,
        premium_unit_day: 2.0,
        million_messages: 1.0,
    }
}

fn told(load: &Workload) -> Estimate {
    estimate(load, Some((&prices(), date(2026, 10, 20))))
}

fn whole(actual: f64, printed: f64) -> bool {
    (actual - printed).abs() <= 0.5
}

#[test]
fn the_money_of_examples_a_and_b() {
    let cost = told(&broadcast()).cost.unwrap();
    assert!((cost.units.value.unwrap() - 342.6).abs() < 0.05);
    assert!(whole(cost.messages.least, 3_070.0) && whole(cost.messages.most, 6_354.0));
    let cost = told(&small_groups()).cost.unwrap();
    assert!(whole(cost.units.value.unwrap(), 1_468.0));
    assert!(whole(cost.messages.least, 3_466.0));
    assert!(whole(cost.total.least, 4_934.0) && whole(cost.total.most, 18_067.0));
}

#[test]
fn messages_that_cost_more_than_units_are_pointed_out() {
    let says = |load: &Workload| {
        told(load).cautions.iter().any(|caution| caution.contains("set the bill"))
    };
    assert!(says(&broadcast()));
    assert!(!says(&Workload::idle("idle", 5_000)));
}

#[test]
fn without_prices_there_is_no_money() {
    let estimate = estimate(&small_groups(), None);
    assert_eq!(estimate.cost, None);
    assert!(estimate.sensitivity.iter().all(|row| row.cost.is_none()));
    assert!(estimate.messages.per_day.least > 0.0);
}

#[test]
fn prices_are_old_after_ninety_days() {
    let old = |today| estimate(&broadcast(), Some((&prices(), today))).cost.unwrap();
    assert_eq!(old(date(2026, 12, 19)).age_days, 90);
    assert!(!old(date(2026, 12, 19)).is_old && old(date(2026, 12, 20)).is_old);
    assert_eq!(old(date(2026, 9, 19)).age_days, -1);
}

#[test]
fn free_stops_after_its_quota() {
    let mut load = free();
    load.connections = 16;
    load.profile = Profile::hours(0.25);
    let told = told(&load);
    assert_eq!(told.recommended.unwrap().tier, Tier::Free);
    assert_eq!(told.quota.then, Then::Stops);
    assert!(close(told.quota.busiest_seconds.value.unwrap(), 20_000.0 / 16.0));
    assert!(whole(told.cost.unwrap().total.most, 0.0));
}

#[test]
fn the_quota_clock_runs_with_the_days_profile() {
    // 30 million included, 18 million an hour from 08:00 on by bytes, 72 million rounded up.
    let quota = told(&small_groups()).quota;
    assert!(close(quota.hour_by_bytes.value.unwrap(), 8.0 + 30.0 / 18.0));
    assert!(close(quota.hour_by_message.value.unwrap(), 8.0 + 30.0 / 72.0));
    assert!(close(quota.sent_by_hour[23].least, 144e6));
    let idle = told(&Workload::idle("idle", 5_000)).quota;
    assert_eq!(idle.hour_by_bytes.value, None);
}

/// 30 units for 8 h and 1 for 16 h are 10.67 unit-days, and 10,666,667 messages.
#[test]
fn the_quota_clock_counts_the_unit_days_that_autoscale_uses() {
    let mut load = small_groups();
    load.needs = [Need::Autoscale].into();
    let told = told(&load);
    let included = 1e6 * (30.0 * 8.0 + 16.0) / 24.0;
    assert!(close(told.quota.included.value.unwrap(), included));
    assert_eq!(told.quota.included, told.messages.included_per_day);
    assert!(close(told.quota.hour_by_bytes.value.unwrap(), 8.0 + included / 18e6));
    assert!(close(told.quota.hour_by_message.value.unwrap(), 8.0 + included / 72e6));
    assert!(close(told.quota.busiest_seconds.value.unwrap(), included / 5_000.0));
}

/// Five Premium units that somebody has stay five, whatever autoscale would make of the load.
#[test]
fn the_resource_that_is_held_has_a_quota_and_a_bill_of_its_own() {
    let mut load = small_groups();
    load.needs = [Need::Autoscale].into();
    load.held = Some((Tier::Premium, 5));
    let held = told(&load).held.unwrap();
    assert!(close(held.messages.unit_days.value.unwrap(), 5.0));
    assert!(close(held.messages.included_per_day.value.unwrap(), 5e6));
    assert!(close(held.messages.extra_per_day.least, 139e6));
    assert!(close(held.quota.hour_by_bytes.value.unwrap(), 8.0 + 5.0 / 18.0));
    let cost = held.cost.unwrap();
    assert!(close(cost.units.value.unwrap(), 30.4 * 5.0 * 2.0));
    assert!(close(cost.total.least, 30.4 * (5.0 * 2.0 + 139.0)));
    assert_eq!(estimate(&load, None).held.unwrap().cost, None);
}

#[test]
fn a_free_resource_that_is_held_stops_after_its_quota() {
    let mut load = free();
    load.held = Some((Tier::Free, 1));
    let held = told(&load).held.unwrap();
    assert_eq!(held.quota.then, Then::Stops);
    assert!(close(held.quota.busiest_seconds.value.unwrap(), 1_000.0));
    assert!(close(held.quota.hour_by_bytes.value.unwrap(), 1_000.0 / 3_600.0));
    assert!(close(held.cost.unwrap().total.most, 0.0));
    // 21 records of 1 KiB a second more: 30.5 messages a second.
    load.live_trace = LiveTrace::On { record: 1_024 };
    let held = told(&load).held.unwrap();
    assert!(close(held.quota.busiest_seconds.value.unwrap(), 20_000.0 / 30.5));
}

/// A queue takes 16 MiB or 1,000 messages, whichever it meets first.
#[test]
fn a_slow_clients_queue_is_full_at_a_thousand_messages_or_at_sixteen_mebibytes() {
    let slow =
        |size: u64| told(&workload(500, traffic(Target::RestBroadcast, 1, 3.0, size))).slow_cohort;
    let holds = |slow: SlowCohort, messages: f64, bytes: f64, each: f64| {
        let kernel = 4_229_120.0;
        assert!(close(slow.clients.value.unwrap(), 5.0));
        assert!(close(slow.queue_messages.value.unwrap(), messages), "{slow:?}");
        assert!(close(slow.memory_bytes.value.unwrap(), 5.0 * (kernel + bytes)), "{slow:?}");
        assert!(close(slow.full_after_s.value.unwrap(), (kernel + bytes) / each), "{slow:?}");
    };
    holds(slow(2_048), 1_000.0, 2_048_000.0, 6_144.0);
    holds(slow(65_536), 256.0, 16_777_216.0, 196_608.0);
    let idle = told(&Workload::idle("idle", 500)).slow_cohort;
    assert_eq!((idle.full_after_s.value, idle.memory_bytes.value), (None, Some(0.0)));
}

/// 780 of 1,000 connections break at 1.28 times the load, and 345 of 500 echoes at 1.45 times; but
/// 80 % of connections are used up at 1.026 times and 70 % of echoes at 1.014 times.
#[test]
fn what_is_planned_for_is_used_up_first_where_the_shares_say_so() {
    let told = told(&workload(780, traffic(Target::Upstream, 345, 1.0, 2_048)));
    assert_eq!(told.recommended.unwrap().units, 1);
    let (first, planned) = (told.break_order[0], told.planned_first.unwrap());
    assert_eq!(first.dimension, Dimension::Connections);
    assert!(close(first.break_multiple.unwrap(), 1.0 / 0.78));
    assert_eq!(planned.dimension.pattern(), Some(Pattern::Echo));
    assert!(close(planned.planned_multiple.unwrap(), 0.7 / 0.69));
}

#[test]
fn replicas_and_routing_are_told_to_be_missing_from_the_figures() {
    let says = |load: &Workload, part: &str| {
        told(load).cautions.iter().any(|caution| caution.contains(part))
    };
    let mut load = small_groups();
    assert!(!says(&load, "each replica") && !says(&load, "routing of small groups"));
    load.needs = [Need::Replicas].into();
    load.connections = 40_000;
    assert!(says(&load, "each replica") && says(&load, "routing of small groups"));
}

/// A group of all 100 is one of all 80 when a fifth of the users is missing.
#[test]
fn with_fewer_users_no_group_has_more_members_than_there_are() {
    let room = Target::Groups { count: 1, members: 100 };
    let fewer = workload(100, traffic(room, 100, 1.0, 1_024)).with_users(0.8);
    assert!(close(flows(&fewer)[0].messages_out, 80.0 * 80.0));
}

#[test]
fn upstreams_hold_rate_times_latency_at_once() {
    let told = told(&echo());
    let size = told.upstream;
    assert!(close(size.steady_per_s.value.unwrap(), 900.0));
    assert!(close(size.steady_at_once.value.unwrap(), 90.0));
    assert!(close(size.reload_per_s.value.unwrap(), 900.0 + 400.0));
}

#[test]
fn twice_the_users_are_refused_past_the_cap() {
    let flash = &told(&small_groups()).flash_crowd[0];
    assert!(close(flash.refused.value.unwrap(), 10_000.0));
    // 600 of 10,000 at once, the others at 600 a second.
    assert!(close(flash.admitted_s.value.unwrap(), 9_400.0 / 600.0));
    assert_eq!(flash.needed.unwrap().units, 50);
}

#[test]
fn autoscale_pays_for_the_units_of_each_hour() {
    let mut load = small_groups();
    load.needs = [Need::Autoscale].into();
    let held = told(&load).messages.unit_days.value.unwrap();
    assert!(close(held, unit_days(&[(30, 8.0), (1, 16.0)])), "{held}");
    load.profile = Profile([0.2; 24]);
    let held = told(&load).messages.unit_days.value.unwrap();
    assert!(close(held, 5.0), "{held}");
}

#[test]
fn the_other_revision_is_named_where_it_matters() {
    let mut load = small_groups();
    load.traffic[0].rate = 0.5;
    let told = told(&load);
    assert_eq!(told.recommended.unwrap().units, 200, "10,000 in at most up to 100 units");
    assert!(told.revisions.matters);
    assert_eq!(told.revisions.other_recommends.unwrap().units, 50);
    assert!(!self::told(&broadcast()).revisions.matters);
}

#[test]
fn growth_is_told_in_months() {
    let mut load = small_groups();
    load.growth.per_month = 0.05;
    let scaling = told(&load).scaling;
    assert!(close(scaling.months_to_planned.value.unwrap(), 1.2_f64.ln() / 1.05_f64.ln()));
    assert!(close(scaling.months_to_break.value.unwrap(), 1.5_f64.ln() / 1.05_f64.ln()));
    assert_eq!(told(&small_groups()).scaling.months_to_break.value, None);
}

#[test]
fn message_sizes_have_a_floor_and_a_step() {
    let sizes = told(&small_groups()).message_sizes;
    let of = |bytes| sizes.iter().find(|size| size.size_bytes == bytes).unwrap();
    assert_eq!(of(512).counts_bytes, 1_024);
    assert_eq!(of(512).of, ["messages"]);
    assert!(close(of(4_096).billed.most, 2.0) && close(of(4_096).rate_share.value.unwrap(), 0.5));
    assert!(close(of(64).billed.least, 1.0 / 32.0) && close(of(64).billed.most, 1.0));
}

#[test]
fn what_fits_nowhere_is_told_so() {
    let told = told(&Workload::idle("crowd", 2_000_000));
    assert_eq!(told.recommended, None);
    assert_eq!(told.ladder.last().unwrap().resource.units, 1_000);
    assert_eq!(told.break_order[0].dimension, Dimension::Connections);
}

#[test]
fn every_number_in_json_is_finite_or_null() {
    let serialized = serde_json::to_value(told(&Workload::idle("idle", 20))).unwrap();
    let schema = jsonschema::validator_for(&estimate_schema()).unwrap();
    let problems: Vec<_> = schema.iter_errors(&serialized).map(|e| e.to_string()).collect();
    assert!(problems.is_empty(), "{problems:?}");
}
