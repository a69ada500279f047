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
    assert!(close(flash.admitted_s.value.unwrap(), 10_000.0 / 600.0));
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
