//! The claims of `[[expect_log]]` and `[expect_upstream]`, one check each.

use super::expectation::{Answer, NOT_OBSERVED};
use super::spoil::{Finding, Rests};
use super::{CheckKind, words};
use crate::measure::Summary;
use crate::measure::summary::LogTally;
use crate::protocol::webhook::RequestKind;
use crate::scenario::Plan;
use crate::scenario::plan::{LogExpectation, Quantity, RequestExpectation, UpstreamCount};

/// One finding per claim, in file order: the log's first.
pub(super) fn findings(plan: &Plan, summary: &Summary) -> Vec<Finding> {
    let expected = &plan.server_side;
    let log = expected.log.iter().map(|wanted| (wanted.path.clone(), log(summary, wanted)));
    let requests =
        expected.requests.iter().map(|wanted| (wanted.path.clone(), requests(summary, wanted)));
    log.chain(requests).map(|(path, answer)| answer.finding(CheckKind::Expectation, path)).collect()
}

/// What the log and the application server must have seen: where that stands, and what it is.
#[must_use]
pub fn server_side_demands(plan: &Plan) -> Vec<(String, String)> {
    let expected = &plan.server_side;
    let log = expected.log.iter().map(|wanted| (wanted.path.clone(), line(wanted)));
    let asked = expected.requests.iter().map(|wanted| {
        let text = format!("{} {}", what(wanted), words::quantity(wanted.count));
        (wanted.path.clone(), text)
    });
    log.chain(asked).collect()
}

/// Whether every line of the log that is demanded has come.
pub(super) fn is_decided(plan: &Plan, summary: &Summary) -> bool {
    plan.server_side.log.iter().all(|wanted| {
        let seen = summary.log.as_ref().map_or(0, |log| of(log, wanted));
        seen >= wanted.count.at_least
    })
}

/// Whether what was seen breaks the claim of a check, whatever would have come.
pub(super) fn is_broken(plan: &Plan, summary: &Summary, path: &str) -> bool {
    let log = || plan.server_side.log.iter().filter(|wanted| wanted.path == path);
    let requests = || plan.server_side.requests.iter().filter(|wanted| wanted.path == path);
    log().any(|wanted| {
        summary.log.as_ref().is_some_and(|log| of(log, wanted) > wanted.count.at_most)
    }) || requests().any(|wanted| {
        asked(summary, wanted).is_some_and(|asked| asked.count > wanted.count.at_most)
    })
}

fn of(log: &LogTally, wanted: &LogExpectation) -> u64 {
    log.count(wanted.event, wanted.message.as_deref())
}

/// Whether a count is as demanded, when so many more were seen that may or may not belong to it.
fn holds(wanted: Quantity, count: u64, unknown: u64) -> Option<bool> {
    match (wanted.holds(count), wanted.holds(count.saturating_add(unknown))) {
        (true, true) => Some(true),
        (false, false) if unknown == 0 || count > wanted.at_most => Some(false),
        (false, false) if count.saturating_add(unknown) < wanted.at_least => Some(false),
        _ => None,
    }
}

/// Lines that are demanded.
fn line(wanted: &LogExpectation) -> String {
    let lines = format!("{} lines {}", wanted.event.name(), words::quantity(wanted.count));
    match &wanted.message {
        Some(message) => format!("{lines}: {message}"),
        None => lines,
    }
}

fn log(summary: &Summary, wanted: &LogExpectation) -> Answer {
    let expected = line(wanted);
    let Some(log) = &summary.log else {
        return Answer::of(None, expected, NOT_OBSERVED.to_owned(), Rests::Counts);
    };
    let count = of(log, wanted);
    let holds = holds(wanted.count, count, log.of_further_lines);
    let mut actual = format!("{} lines", words::count(count));
    if log.of_further_lines > 0 {
        let further = words::count(log.of_further_lines);
        actual = format!("{actual}, and {further} that were not told apart");
    }
    let others = log.lines.iter().filter(|((event, message), _)| {
        let is_other = wanted.message.as_ref().is_some_and(|wanted| wanted != message);
        *event != wanted.event || is_other
    });
    // The other wording of the same event first: that is what a slip in a message looks like.
    let nearest = others.clone().find(|((event, _), _)| *event == wanted.event);
    if let (Some(false), Some(((event, message), count))) =
        (holds, nearest.or_else(|| others.clone().next()))
    {
        let count = words::count(*count);
        actual = format!("{actual}; there is {} {count}: {message}", event.name());
    }
    Answer::of(holds, expected, actual, Rests::Counts)
}

fn requests(summary: &Summary, wanted: &RequestExpectation) -> Answer {
    let what = what(wanted);
    let expected = format!("{what} {}", words::quantity(wanted.count));
    let rests = match wanted.counted {
        UpstreamCount::Received | UpstreamCount::Calls | UpstreamCount::Requests => Rests::Counts,
        // Clients that come late, or all at once, change it.
        UpstreamCount::ReceivedPerSecond | UpstreamCount::RequestsPerSecond => Rests::Times,
    };
    let Some(Asked { count, unknown }) = asked(summary, wanted) else {
        let actual = match wanted.counted.is_the_servers() {
            true => "the application server's side was not observed",
            false => NOT_OBSERVED,
        };
        return Answer::of(None, expected, actual.to_owned(), rests);
    };
    let mut actual = format!("{what} {}", words::count(count));
    if unknown > 0 {
        actual = format!("{actual}, and {} of further kinds", words::count(unknown));
    }
    Answer::of(holds(wanted.count, count, unknown), expected, actual, rests)
}

fn what(wanted: &RequestExpectation) -> String {
    let kind = &wanted.kind;
    match wanted.counted {
        UpstreamCount::Received => format!("{kind} requests"),
        UpstreamCount::ReceivedPerSecond => format!("{kind} requests in one second"),
        UpstreamCount::Calls => format!("{kind} calls of the hub"),
        UpstreamCount::Requests => format!("{kind} requests of the hub"),
        UpstreamCount::RequestsPerSecond => format!("{kind} requests of the hub in one second"),
    }
}

/// A count, and how many more there may be.
struct Asked {
    count: u64,
    unknown: u64,
}

/// What was counted; `None` when that side was not observed.
fn asked(summary: &Summary, wanted: &RequestExpectation) -> Option<Asked> {
    let kind = &wanted.kind;
    if wanted.counted.is_the_servers() {
        let counts = summary.upstream.as_ref()?;
        let of = counts.of(kind);
        let is_apart = counts.requests.contains_key(kind);
        let unknown = if is_apart { 0 } else { counts.of_further_kinds };
        let count = match wanted.counted {
            UpstreamCount::ReceivedPerSecond => of.per_second_peak,
            _ => of.received,
        };
        return Some(Asked { count, unknown });
    }
    let webhooks = &summary.counters_after.as_ref()?.webhooks;
    let of_validations = (
        webhooks.validations_good.saturating_add(webhooks.validations_bad),
        webhooks.validation_requests,
    );
    let (calls, requests, busiest) = match kind {
        RequestKind::Validate => (of_validations.0, of_validations.1, 0),
        RequestKind::Event(_) => {
            // Clients write the name of an event in any case.
            let name = kind.to_string();
            let of_it = webhooks.events.iter().filter(|(of, _)| of.eq_ignore_ascii_case(&name));
            of_it.fold((0, 0, 0), |(calls, requests, busiest), (_, of)| {
                let peak = of.requests_per_second_peak;
                (calls + of.begun, requests + of.requests, peak.max(busiest))
            })
        }
    };
    let count = match wanted.counted {
        UpstreamCount::Calls => calls,
        UpstreamCount::RequestsPerSecond => busiest,
        _ => requests,
    };
    Some(Asked { count, unknown: 0 })
}
