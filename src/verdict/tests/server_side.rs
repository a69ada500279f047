//! What refused clients saw, the hub's log, and the application server's counts.

use super::*;
use crate::event::HowEnded;
use crate::measure::summary::LogTally;
use crate::protocol::webhook::counts::RequestCounts;
use crate::protocol::webhook::{RequestKind, UpstreamCounts, WebhookFailure};
use crate::scenario::plan::{LogExpectation, RequestExpectation, UpstreamCount};

const EVENT: WebhookFailure = WebhookFailure::HttpHandlerUnexpectedResponse;

fn refused_plan() -> Plan {
    let mut plan = plan(vec![population("fleet", 10)]);
    expecting(&mut plan, 0, closes(&[(SendEventFailed, 10)]));
    expecting(&mut plan, 0, Claim::Refused(vec![(500, Quantity::exactly(10))]));
    plan
}

/// A run in which so many attempts were refused with these statuses.
fn refused(plan: &Plan, statuses: &[(u16, u64)]) -> Summary {
    let mut summary = summary(plan, &[&[]]);
    for (status, count) in statuses {
        let observation = ClientObservation::Refused { status: *status, body: String::new() };
        let category = Some(SendEventFailed);
        let key = CloseKey { population: 0, category, wire: None, observation };
        summary.closes.insert(key, rows(*count));
        *summary.populations[0].categories.entry(SendEventFailed).or_default() += count;
        summary.populations[0].attempts += count;
        summary.populations[0].refusals += count;
        let after = summary.counters_after.as_mut().unwrap();
        after.client_request_status.insert(*status, *count);
        summary.rows_observed += count;
    }
    summary
}

#[test]
fn refusals_are_counted_by_status_and_the_list_is_whole() {
    let plan = refused_plan();
    let path = "expect.fleet.claim";
    let summary = refused(&plan, &[(500, 10)]);
    assert_told(&plan, &summary, path, Outcome::Pass, "refused with status 500: 10");
    let verdict = judge(&plan, &summary);
    assert_eq!(verdict.outcome, Outcome::Pass, "{:#?}", verdict.checks);
    assert_eq!(check(&verdict, path).expected, "refused with status 500 = 10, nothing else");
    let fewer = refused(&plan, &[(500, 9)]);
    assert_told(&plan, &fewer, path, Outcome::Fail, "refused with status 500: 9");
    let other = refused(&plan, &[(404, 1), (500, 10)]);
    assert_told(&plan, &other, path, Outcome::Fail, "refused with status 404: 1, status 500: 10");
}

#[test]
fn what_refused_clients_read_is_compared_whole_and_somebody_must_have_read_it() {
    let mut plan = plan(vec![population("fleet", 10)]);
    expecting(&mut plan, 0, Claim::RefusedBody(vec![(500, "no".to_owned())]));
    let path = "expect.fleet.claim";
    let refused_with = |bodies: &[&str]| {
        let mut summary = refused(&plan, &[]);
        for body in bodies {
            let observation = ClientObservation::Refused { status: 500, body: (*body).to_owned() };
            let category = Some(SendEventFailed);
            let key = CloseKey { population: 0, category, wire: None, observation };
            summary.closes.insert(key, rows(5));
        }
        summary
    };
    let good = "refused with status 500: 5 x \"no\"";
    assert_told(&plan, &refused_with(&["no"]), path, Outcome::Pass, good);
    let both = "refused with status 500: 5 x \"no\", 5 x \"no!\"";
    assert_told(&plan, &refused_with(&["no", "no!"]), path, Outcome::Fail, both);
    assert_told(&plan, &refused_with(&[]), path, Outcome::Fail, "refused with status 500: nobody");
    assert!(!super::decided(&plan, &refused_with(&[])));
    assert!(super::decided(&plan, &refused_with(&["no"])));
    for (bodies, outcome) in [(&[][..], Outcome::Undetermined), (&["other"][..], Outcome::Fail)] {
        let ended = Some(HowEnded::Interrupted);
        let summary = Summary { ended, ..refused_with(bodies) };
        assert_eq!(told(&plan, &summary, path).0, outcome, "{bodies:?}");
    }
}

#[test]
fn refusals_are_waited_for() {
    let mut plan = refused_plan();
    plan.expectations.remove(0);
    assert!(!super::decided(&plan, &refused(&plan, &[(500, 9)])));
    assert!(super::decided(&plan, &refused(&plan, &[(500, 10)])));
    assert!(super::earliest_end(&plan) < plan.duration, "they are an end of its own");
}

fn logging(message: Option<&str>, count: Quantity) -> Plan {
    let mut plan = plan(vec![population("fleet", 1)]);
    plan.server_side.log.push(LogExpectation {
        event: EVENT,
        message: message.map(str::to_owned),
        count,
        path: "expect_log[0]".into(),
    });
    plan
}

fn logged(lines: &[(&str, u64)]) -> Summary {
    let lines = lines.iter().map(|(text, count)| ((EVENT, (*text).to_owned()), *count)).collect();
    Summary { log: Some(LogTally { lines, of_further_lines: 0 }), ..Summary::default() }
}

#[test]
fn lines_of_the_log_are_compared_byte_for_byte() {
    let plan = logging(Some("got 404."), Quantity::exactly(2));
    let path = "expect_log[0]";
    let lines = |lines| told(&plan, &logged(lines), path);
    assert_eq!(lines(&[("got 404.", 2), ("got 500.", 7)]), (Outcome::Pass, "2 lines".into()));
    let near = "0 lines; there is HttpHandlerUnexpectedResponse 2: Got 404.";
    assert_eq!(lines(&[("Got 404.", 2)]), (Outcome::Fail, near.into()));
    assert_eq!(lines(&[("got 404.", 3)]).0, Outcome::Fail);
    let verdict = judge(&plan, &logged(&[]));
    let expected = "HttpHandlerUnexpectedResponse lines = 2: got 404.";
    assert_eq!(check(&verdict, path).expected, expected);
    let any = logging(None, Quantity::exactly(9));
    let both = logged(&[("got 404.", 2), ("got 500.", 7)]);
    assert_told(&any, &both, path, Outcome::Pass, "9 lines");
}

#[test]
fn a_log_that_was_not_observed_is_undetermined() {
    let plan = logging(None, Quantity::exactly(0));
    let unseen = "the hub's side was not observed";
    assert_told(&plan, &Summary::default(), "expect_log[0]", Outcome::Undetermined, unseen);
}

#[test]
fn lines_that_were_not_told_apart_leave_open_what_they_may_mend() {
    let of = |least, most| Quantity { at_least: least, at_most: most };
    let mut summary = logged(&[("a", 2)]);
    summary.log.as_mut().unwrap().of_further_lines = 5;
    for (wanted, outcome) in [
        (of(2, u64::MAX), Outcome::Pass),
        (of(0, 10), Outcome::Pass),
        (of(2, 2), Outcome::Undetermined),
        (of(3, 4), Outcome::Undetermined),
        (of(0, 1), Outcome::Fail),
        (of(8, 9), Outcome::Fail),
    ] {
        let plan = logging(Some("a"), wanted);
        assert_eq!(told(&plan, &summary, "expect_log[0]").0, outcome, "{wanted:?}");
    }
}

#[test]
fn lines_are_waited_for_and_an_interruption_excuses_too_few_of_them() {
    let plan = logging(Some("a"), Quantity::exactly(2));
    assert!(!super::decided(&plan, &logged(&[("a", 1)])));
    assert!(super::decided(&plan, &logged(&[("a", 2)])));
    assert!(super::earliest_end(&plan) < plan.duration, "they are an end of its own");
    for (lines, outcome) in [(1, Outcome::Undetermined), (2, Outcome::Pass), (3, Outcome::Fail)] {
        let ended = Some(HowEnded::Interrupted);
        let summary = Summary { ended, ..logged(&[("a", lines)]) };
        assert_eq!(told(&plan, &summary, "expect_log[0]").0, outcome);
    }
}

#[test]
fn requests_are_those_that_the_application_server_received() {
    let mut plan = plan(vec![population("fleet", 1)]);
    let kind = RequestKind::parse("connect").unwrap();
    let path = "expect_upstream.connect";
    let count = Quantity::exactly(40);
    let wanted = RequestExpectation {
        kind: kind.clone(),
        counted: UpstreamCount::Received,
        count,
        path: path.into(),
    };
    plan.server_side.requests.push(wanted);
    let received = |received, of_further_kinds| {
        let counts = RequestCounts { received, ..RequestCounts::default() };
        let requests = [(kind.clone(), counts)].into();
        let counts = UpstreamCounts { requests, of_further_kinds, ..UpstreamCounts::default() };
        Summary { upstream: Some(counts), ..Summary::default() }
    };
    assert_told(&plan, &received(40, 3), path, Outcome::Pass, "connect requests 40");
    assert_told(&plan, &received(39, 1), path, Outcome::Fail, "connect requests 39");
    let unseen = "the application server's side was not observed";
    assert_told(&plan, &Summary::default(), path, Outcome::Undetermined, unseen);
    let mut others = received(0, 40);
    others.upstream.as_mut().unwrap().requests.clear();
    let actual = "connect requests 0, and 40 of further kinds";
    assert_told(&plan, &others, path, Outcome::Undetermined, actual);
}
