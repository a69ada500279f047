//! Every claim, threshold and invariant against hand-made summaries; here what they share, and what
//! a starved generator spoils.

mod decided;
mod earliest;
mod expectations;
mod interrupted;
mod invariants;
mod matrix;
mod property;
mod server_side;
mod thresholds;

use std::time::Duration;

use super::*;
use crate::event::{ClientObservation, CloseFirst, ConnectFailure, Warning};
use crate::measure::summary::{Extent, Since};
use crate::measure::{
    CloseKey, CloseTally, LatencyKey, LatencyKind, PopulationSummary, Stage, Summary,
};
use crate::predict::fixture::{at, behaving, closes, expecting, ms, plan, population};
use crate::protocol::CloseCategory::{self, *};
use crate::protocol::control::{Counters, HubWire};
use crate::scenario::plan::{
    Behaviour, Claim, Condition, Fault, Metric, Operator, Quantity, Statistic, Threshold,
};

/// Ninety healthy and ten muted clients that are to be dropped.
fn muted_plan() -> Plan {
    let muted = behaving(population("muted", 10), Behaviour::SuppressPong, ms(0));
    let mut plan = plan(vec![population("healthy", 90), muted]);
    expecting(&mut plan, 0, closes(&[(Normal, 90)]));
    expecting(&mut plan, 1, closes(&[(PingTimeout, 10)]));
    plan
}

/// How a close by the client looks to both sides.
fn in_order() -> (Option<HubWire>, ClientObservation) {
    let wire = HubWire::ClientClose { code: Some(1_000), reason: String::new() };
    (Some(wire), frame(Some(1_000), "", CloseFirst::Client))
}

fn frame(code: Option<u16>, reason: &str, first: CloseFirst) -> ClientObservation {
    ClientObservation::CloseFrame { code, reason: reason.into(), first }
}

/// How a row of a category usually looks to both sides.
fn usual(category: CloseCategory) -> (Option<HubWire>, ClientObservation) {
    let close = |code| {
        let wire = HubWire::HubClose { code, reason: String::new() };
        (Some(wire), frame(Some(code), "", CloseFirst::Hub))
    };
    match category {
        Normal => in_order(),
        ServiceReload => close(1_001),
        ClosedByAppServer => close(1_000),
        ConnectionCountLimitReached | Throttled => {
            (None, ClientObservation::Refused { status: 429, body: String::new() })
        }
        _ => (Some(HubWire::HubAbort), ClientObservation::Reset),
    }
}

/// A summary of a healthy run with these rows per population, its counters in agreement.
fn summary(plan: &Plan, rows: &[&[(CloseCategory, u64)]]) -> Summary {
    let mut summary = Summary::default();
    let mut after = Counters::default();
    for ((number, of), rows) in (0..).zip(&plan.populations).zip(rows) {
        let mut sums = PopulationSummary {
            name: of.name.clone(),
            clients: of.count.into(),
            categories: rows.iter().copied().collect(),
            ..PopulationSummary::default()
        };
        for (category, count) in *rows {
            let (wire, observation) = usual(*category);
            sums.attempts += count;
            let (opened, refused) = if wire.is_some() { (*count, 0) } else { (0, *count) };
            sums.opens += opened;
            sums.refusals += refused;
            let key = CloseKey { population: number, category: Some(*category), wire, observation };
            summary.closes.entry(key).or_default().count += count;
            *after.connection_close_count.entry(*category).or_default() += opened;
            if refused > 0 {
                *after.client_request_status.entry(429).or_default() += refused;
            }
            summary.rows_observed += count;
        }
        after.connection_open_count += sums.opens;
        summary.populations.push(sums);
    }
    summary.counters_after = Some(after);
    summary.health.open_ends.before = Some(20);
    summary.health.open_ends.after = Some(20);
    summary
}

/// The summary of a run in which exactly the muted clients are dropped.
fn as_demanded() -> Summary {
    summary(&muted_plan(), &[&[(Normal, 90)], &[(PingTimeout, 10)]])
}

fn rows(count: u64) -> CloseTally {
    CloseTally { count, ..CloseTally::default() }
}

#[track_caller]
fn check<'a>(verdict: &'a Verdict, path: &str) -> &'a Check {
    verdict
        .checks
        .iter()
        .find(|check| check.path == path)
        .unwrap_or_else(|| panic!("no check {path} in {:#?}", verdict.checks))
}

/// Outcome and observation of one check.
#[track_caller]
fn told(plan: &Plan, summary: &Summary, path: &str) -> (Outcome, String) {
    let verdict = judge(plan, summary);
    let check = check(&verdict, path);
    (check.outcome, check.actual.clone())
}

#[track_caller]
fn assert_told(plan: &Plan, summary: &Summary, path: &str, outcome: Outcome, actual: &str) {
    assert_eq!(told(plan, summary, path), (outcome, actual.to_owned()));
}

fn within(category: CloseCategory) -> Claim {
    Claim::CloseWithin { category, since: Since::LastLife, from: ms(3_000), to: ms(4_250) }
}

fn threshold(metric: Metric, statistic: Statistic, operator: Operator, value: f64) -> Threshold {
    let condition = Condition { statistic, operator, value };
    let text = "as written".to_owned();
    Threshold { metric, population: None, stage: None, condition, text }
}

fn lag(summary: &mut Summary, lag: Duration) {
    let key = LatencyKey { kind: LatencyKind::SendLag, population: None, stage: Stage::Before };
    summary.latency.record(key, lag, lag);
}

#[test]
fn a_starved_generator_invalidates_counts_but_not_a_wrong_category() {
    let plan = muted_plan();
    for warning in [Warning::DescriptorsExhausted, Warning::PortsExhausted] {
        let mut short = summary(&plan, &[&[(Normal, 80)], &[(PingTimeout, 9), (Normal, 1)]]);
        short.health.warnings.insert(warning.clone());
        let verdict = judge(&plan, &short);
        assert_eq!(verdict.outcome, Outcome::Invalid, "{:#?}", verdict.checks);
        assert_eq!(check(&verdict, "expect.muted.closes").outcome, Outcome::Invalid);
        let mut wrong = summary(&plan, &[&[(Normal, 80)], &[(PingTimeout, 9), (SlowClient, 1)]]);
        wrong.health.warnings.insert(warning);
        let verdict = judge(&plan, &wrong);
        assert_eq!(verdict.outcome, Outcome::Fail);
        assert_eq!(check(&verdict, "expect.muted.closes").outcome, Outcome::Fail);
        assert_eq!(check(&verdict, "expect.healthy.closes").outcome, Outcome::Invalid);
    }
}

#[test]
fn a_ledger_with_holes_proves_nothing() {
    let plan = muted_plan();
    let wrong = || summary(&plan, &[&[(Normal, 90)], &[(PingTimeout, 9), (SlowClient, 1)]]);
    assert_eq!(judge(&plan, &wrong()).outcome, Outcome::Fail);
    for warning in [
        Warning::EventsLost { count: 3 },
        Warning::LedgerIncomplete { why: "the stream broke".into() },
    ] {
        let mut summary = wrong();
        summary.health.warnings.insert(warning);
        assert_eq!(judge(&plan, &summary).outcome, Outcome::Invalid);
    }
    let mut lost = wrong();
    lost.counters_after.as_mut().unwrap().entries_lost = 1;
    assert_eq!(judge(&plan, &lost).outcome, Outcome::Invalid);
    let mut unwritten = as_demanded();
    unwritten.health.warnings.insert(Warning::NotWritten { what: "disk full".into() });
    assert_eq!(judge(&plan, &unwritten).outcome, Outcome::Pass);
}

#[test]
fn what_ran_out_is_also_read_from_the_rows() {
    let plan = muted_plan();
    let mut summary = as_demanded();
    let failure = ConnectFailure::DescriptorsExhausted;
    let observation = ClientObservation::ConnectFailed { failure };
    let key = CloseKey { population: 0, category: None, wire: None, observation };
    summary.closes.insert(key, rows(1));
    summary.populations[0].attempts += 1;
    assert_eq!(judge(&plan, &summary).outcome, Outcome::Invalid);
    let reason = "this process ran out of open files";
    assert_told(&plan, &summary, "I4", Outcome::Invalid, reason);
}

#[test]
fn late_sends_spoil_what_is_timed_and_nothing_else() {
    let mut plan = muted_plan();
    expecting(&mut plan, 1, within(PingTimeout));
    let mut summary = as_demanded();
    let window = Extent { count: 10, min: 3_100_000_000, max: 4_100_000_000 };
    summary.windows.insert((1, PingTimeout, Since::LastLife), window);
    lag(&mut summary, ms(49));
    assert_eq!(judge(&plan, &summary).outcome, Outcome::Pass);
    for _ in 0..10 {
        lag(&mut summary, ms(80));
    }
    let verdict = judge(&plan, &summary);
    assert_eq!(verdict.outcome, Outcome::Invalid);
    assert_eq!(check(&verdict, "expect.muted.close_within").outcome, Outcome::Invalid);
    assert_eq!(check(&verdict, "expect.muted.closes").outcome, Outcome::Pass);
    let actual = &check(&verdict, "I4").actual;
    assert!(actual.starts_with("sends were late: p99 80"), "{actual}");
    // A count that is not as demanded is proven all the same.
    summary.populations[1].categories.insert(PingTimeout, 9);
    assert_eq!(judge(&plan, &summary).outcome, Outcome::Fail);
}

#[test]
fn faults_that_failed_make_a_run_invalid() {
    let mut summary = as_demanded();
    summary.faults_failed.insert(0, "404".into());
    assert_eq!(judge(&muted_plan(), &summary).outcome, Outcome::Invalid);
}

#[test]
fn outcomes_win_in_their_order() {
    use spoil::{Finding, Rests};
    let finding = |outcome, rests| Finding {
        check: Check {
            kind: CheckKind::Invariant,
            path: String::new(),
            outcome,
            expected: String::new(),
            actual: String::new(),
        },
        rests,
    };
    let pass = || finding(Outcome::Pass, Rests::Counts);
    let unknown = || finding(Outcome::Undetermined, Rests::Counts);
    let invalid = || finding(Outcome::Invalid, Rests::Times);
    let late = || finding(Outcome::Fail, Rests::Times);
    let proof = || finding(Outcome::Fail, Rests::Counts);
    let wrong = || finding(Outcome::Fail, Rests::WrongCategory);
    for (findings, expected) in [
        (vec![], Outcome::Pass),
        (vec![pass()], Outcome::Pass),
        (vec![pass(), unknown()], Outcome::Undetermined),
        (vec![unknown(), late()], Outcome::Fail),
        (vec![late(), invalid(), unknown()], Outcome::Invalid),
        (vec![invalid(), proof()], Outcome::Fail),
        (vec![invalid(), wrong()], Outcome::Fail),
    ] {
        assert_eq!(spoil::outcome(&findings), expected);
    }
}
