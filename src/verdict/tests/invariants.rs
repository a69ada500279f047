//! I1 to I8, each broken on purpose.

use super::*;
use crate::event::{DeliveryTally, World};
use crate::measure::{EndKind, OpenEnds};

#[test]
fn invariants_find_what_does_not_add_up() {
    type Break = fn(&mut Summary);
    fn after(summary: &mut Summary) -> &mut Counters {
        summary.counters_after.as_mut().unwrap()
    }
    let cases: [(&str, Break, &str); 13] = [
        ("I1", |s| s.populations[0].attempts += 1, "healthy: 91 attempts, 90 rows"),
        (
            "I1",
            |s| after(s).connection_open_count += 1,
            "the hub opened 101, 100 ended, 0 still open",
        ),
        (
            "I2",
            |s| *s.populations[1].categories.entry(Normal).or_default() += 1,
            "muted: 10 rows with a category, 11 by category",
        ),
        (
            "I5",
            |s| s.populations[1].delivery.expected = 5,
            "muted: expected 5, received 0, duplicated 0, lost 0",
        ),
        ("I6", |s| s.health.open_ends.after = Some(21), "descriptors 20 and 21"),
        ("I6", |s| s.health.tasks_after = 2, "client tasks 2"),
        ("I6", |s| after(s).groups = 1, "groups 1"),
        ("I6", |s| after(s).queue_bytes = 4_096, "bytes in queues 4,096"),
        ("I6", |s| after(s).tasks = 3, "hub tasks 3"),
        ("I8", |s| s.populations[0].opens -= 1, "opens: hub 100, clients 99"),
        (
            "I8",
            |s| *after(s).connection_close_count.entry(SlowClient).or_default() += 1,
            "SlowClient: hub 1, clients 0",
        ),
        (
            "I8",
            |s| s.hub_rows_unmatched = 1,
            "ledger entries of no client's attempt: hub 1, clients 0",
        ),
        (
            "I8",
            |s| {
                let received = DeliveryTally { expected: 5, received: 5, ..Default::default() };
                s.populations[0].delivery = received;
            },
            "deliveries: hub 0, clients at least 5",
        ),
    ];
    for (path, spoil, actual) in cases {
        let mut summary = as_demanded();
        spoil(&mut summary);
        assert_told(&muted_plan(), &summary, path, Outcome::Fail, actual);
    }
}

#[test]
fn refused_attempts_are_no_closes_and_unread_answers_are_opens() {
    let plan = plan(vec![population("crowd", 25)]);
    let listed: &[_] = &[(Normal, 20), (ConnectionCountLimitReached, 5)];
    let mut summary = summary(&plan, &[listed]);
    assert_eq!(told(&plan, &summary, "I8").0, Outcome::Pass);
    // A JSON client whose stream ended between the 101 and the `connected` frame never opened.
    summary.populations[0].opens -= 1;
    assert_eq!(told(&plan, &summary, "I8").0, Outcome::Fail);
    summary.populations[0].refusals += 1;
    assert_eq!(told(&plan, &summary, "I8").0, Outcome::Pass);
}

#[test]
fn in_a_calm_run_every_delivery_arrived_or_is_lost() {
    let plan = plan(vec![population("members", 5)]);
    let mut summary = summary(&plan, &[&[(Normal, 5)]]);
    summary.populations[0].delivery =
        DeliveryTally { expected: 50, received: 50, lost: 1, duplicated: 1, out_of_order: 0 };
    for (delivered, outcome) in
        [(48, Outcome::Fail), (49, Outcome::Pass), (50, Outcome::Pass), (51, Outcome::Fail)]
    {
        summary.counters_after.as_mut().unwrap().deliveries = delivered;
        assert_eq!(told(&plan, &summary, "I8").0, outcome, "{delivered}");
    }
}

#[test]
fn fewer_open_ends_than_before_are_no_leak() {
    let mut summary = as_demanded();
    summary.health.open_ends.after = Some(18);
    assert_eq!(told(&muted_plan(), &summary, "I6").0, Outcome::Pass);
}

#[test]
fn in_the_virtual_world_what_must_be_closed_is_ends_of_links() {
    let mut summary = as_demanded();
    summary.health.open_ends =
        OpenEnds { kind: EndKind::of(World::Virtual), before: Some(4), after: Some(4) };
    assert_told(&muted_plan(), &summary, "I6", Outcome::Pass, "link ends 4 and 4");
    summary.health.open_ends.after = Some(6);
    assert_told(&muted_plan(), &summary, "I6", Outcome::Fail, "link ends 4 and 6");
    summary.health.open_ends.after = None;
    assert_told(&muted_plan(), &summary, "I6", Outcome::Pass, "link ends not told");
}

#[test]
fn views_that_cannot_both_be_true_are_named_with_their_count() {
    let plan = muted_plan();
    let mut summary = as_demanded();
    let wire = Some(HubWire::HubAbort);
    let observation = ClientObservation::Unaware;
    let key = CloseKey { population: 1, category: Some(PingTimeout), wire, observation };
    summary.closes.insert(key, rows(3));
    let actual = "3 x PingTimeout (reset by the hub) seen as nothing at all, muted";
    assert_told(&plan, &summary, "I3", Outcome::Fail, actual);
}

#[test]
fn a_row_that_the_hub_must_have_seen_needs_a_category() {
    let plan = muted_plan();
    let mut summary = as_demanded();
    let row = |observation| CloseKey { population: 1, category: None, wire: None, observation };
    let failed = ClientObservation::ConnectFailed { failure: ConnectFailure::TimedOut };
    summary.closes.insert(row(failed), rows(1));
    assert_eq!(told(&plan, &summary, "I2").0, Outcome::Pass);
    summary.closes.insert(row(ClientObservation::Eof), rows(2));
    let actual = "muted: 2 rows without a category";
    assert_told(&plan, &summary, "I2", Outcome::Fail, actual);
}

#[test]
fn what_a_fault_is_aimed_at_is_no_bystander() {
    let mut plan = plan(vec![population("fleet", 5)]);
    let summary = summary(&plan, &[&[(ServiceReload, 5), (Normal, 5)]]);
    assert_eq!(told(&plan, &summary, "I7").0, Outcome::Fail);
    plan.faults.push(at(ms(1_000), Fault::Reload { share: 1.0, over: ms(0) }));
    assert_eq!(told(&plan, &summary, "I7").0, Outcome::Pass);
    plan.faults.clear();
    expecting(&mut plan, 0, closes(&[(ServiceReload, 5), (Normal, 5)]));
    assert_eq!(told(&plan, &summary, "I7").0, Outcome::Pass);
}

#[test]
fn a_client_that_was_cut_off_on_its_way_did_not_close_in_order() {
    let cut = |idle_cut| {
        let mut plan = plan(vec![population("fleet", 5)]);
        plan.populations[0].shaping.idle_cut = idle_cut;
        let mut summary = summary(&plan, &[&[(Normal, 2)]]);
        let wire = Some(HubWire::ClientReset);
        let observation = ClientObservation::Reset;
        summary.populations[0].ended_against_wish.insert(observation.clone(), 3);
        summary.populations[0].categories.insert(Normal, 5);
        let key = CloseKey { population: 0, category: Some(Normal), wire, observation };
        summary.closes.insert(key.clone(), rows(3));
        (plan, summary, key)
    };
    let (unforeseen, summary, key) = cut(None);
    let actual = "fleet: 3 wished to stay, and saw: reset";
    assert_told(&unforeseen, &summary, "I7", Outcome::Fail, actual);
    assert!(is_disturbed(&unforeseen, &summary, &key));
    let in_order = CloseKey { observation: in_order().1, ..key.clone() };
    assert!(!is_disturbed(&unforeseen, &summary, &in_order));
    // Its link has less patience than the hub between two pings.
    let (foretold, summary, key) = cut(Some(ms(500)));
    assert_eq!(told(&foretold, &summary, "I7").0, Outcome::Pass);
    assert!(!is_disturbed(&foretold, &summary, &key));
    // Who misbehaves is no bystander.
    let (mut wild, summary, key) = cut(None);
    let population = wild.populations.remove(0);
    wild.populations.push(behaving(population, Behaviour::SuppressPong, ms(0)));
    assert_eq!(told(&wild, &summary, "I7").0, Outcome::Pass);
    assert!(!is_disturbed(&wild, &summary, &key));
}
