//! How early a run with misbehaviours may end. The hub pings every second and waits three.

use super::*;
use crate::predict::fixture::arriving;
use crate::scenario::plan::{Arrival, Population, Vanish};

fn ends(population: Population) -> Duration {
    let mut plan = plan(vec![population]);
    expecting(&mut plan, 0, closes(&[(Normal, 5)]));
    plan.faults.push(at(ms(1), Fault::CloseAll { reason: None }));
    earliest_end(&plan)
}

#[test]
fn where_nothing_can_decide_the_whole_duration_is_watched() {
    let mut plan = plan(vec![population("steady", 5)]);
    expecting(&mut plan, 0, closes(&[(Normal, 5)]));
    expecting(&mut plan, 0, Claim::DeliveryComplete);
    assert_eq!(earliest_end(&plan), plan.duration);
    plan.faults.push(at(ms(1), Fault::CloseAll { reason: None }));
    assert_eq!(earliest_end(&plan), ms(0), "the fault is what happens");
}

#[test]
fn nobody_is_waited_for_who_behaves_or_whose_drops_decide() {
    assert_eq!(ends(population("steady", 5)), ms(0));
    let pings = Behaviour::AppPing { every: ms(100) };
    assert_eq!(ends(behaving(population("pinging", 5), pings, ms(9_000))), ms(0));
    assert_eq!(earliest_end(&muted_plan()), ms(0));
}

#[test]
fn silence_gets_a_timeout_and_an_interval() {
    let muted = || population("muted", 5);
    assert_eq!(ends(behaving(muted(), Behaviour::SuppressPong, ms(0))), ms(4_250));
    assert_eq!(ends(behaving(muted(), Behaviour::Stall, ms(2_000))), ms(6_250));
    let black_hole = Behaviour::Vanish { how: Vanish::BlackHole };
    assert_eq!(ends(behaving(muted(), black_hole, ms(2_000))), ms(6_250));
    // The last of five arrives two seconds after the first.
    let late = arriving(behaving(muted(), Behaviour::SuppressPong, ms(0)), 2.0);
    assert_eq!(ends(late), ms(6_250));
    // Nothing lasts longer than the run.
    assert_eq!(ends(behaving(muted(), Behaviour::SuppressPong, ms(14_000))), ms(15_000));
}

#[test]
fn a_vanishing_client_has_to_vanish_first() {
    let vanish = Behaviour::Vanish { how: Vanish::Reset };
    let mut plan =
        plan(vec![behaving(population("gone", 5), vanish, ms(3_000)), population("bystanders", 5)]);
    expecting(&mut plan, 1, closes(&[(Normal, 5)]));
    assert_eq!(earliest_end(&plan), ms(3_250));
}

#[test]
fn what_may_cause_a_drop_at_any_time_gets_all_the_time_its_window_has() {
    let slow = Behaviour::SlowReadBytes { rate: 100.0 };
    let mut slow = behaving(population("slow", 5), slow, ms(1_000));
    assert_eq!(ends(slow.clone()), ms(15_000));
    slow.behaviours[0].until = Some(ms(2_000));
    assert_eq!(ends(slow), ms(6_250));
    let lossy = Behaviour::LosePong { probability: 0.1 };
    assert_eq!(ends(behaving(population("lossy", 5), lossy, ms(0))), ms(15_000));
    let mut turns = behaving(population("turns", 5), Behaviour::SuppressPong, ms(0));
    turns.arrival = Arrival::Closed { start: ms(0), slots: 2 };
    assert_eq!(ends(turns), ms(15_000));
}

#[test]
fn an_upper_bound_gets_that_time_too() {
    let mut plan = muted_plan();
    plan.expectations.truncate(1);
    let some = Quantity { at_least: 0, at_most: 3 };
    expecting(&mut plan, 1, Claim::Closes(vec![(PingTimeout, some), (Normal, some)]));
    assert_eq!(earliest_end(&plan), ms(4_250));
}
