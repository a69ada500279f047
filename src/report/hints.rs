//! One line of advice for a check that is not as it should be.

use crate::verdict::{Check, CheckKind, Outcome};

/// What to look at, or `None` where the check says it all.
#[must_use]
pub fn hint(check: &Check) -> Option<&'static str> {
    match (check.outcome, check.kind) {
        (Outcome::Pass, _) => None,
        (Outcome::Undetermined, _) => {
            Some("the target does not show its side: export its logs, or run against `squall hub`")
        }
        (Outcome::Invalid, _) => Some(
            "the generator was short of something itself: repeat on an idle machine, or with fewer \
             clients (-n)",
        ),
        (Outcome::Fail, CheckKind::Invariant) => invariant(&check.path),
        (Outcome::Fail, CheckKind::Threshold) => {
            Some("the latency table has both views; response counts from the planned instant")
        }
        (Outcome::Fail, CheckKind::Expectation) => expectation(&check.path),
    }
}

fn invariant(path: &str) -> Option<&'static str> {
    Some(match path.get(..2)? {
        "I1" | "I8" => "opens and closes do not add up: compare hub_counters in run.json with ends",
        "I2" => "an end without a reason: look for it in events.ndjson",
        "I3" => "hub and client tell different stories: see the matrix hub against client",
        "I4" => "the generator itself was starved: repeat on an idle machine",
        "I5" => "messages were lost, doubled or swapped: see the delivery line",
        "I6" => "something was left behind after the load had gone: see generator in run.json",
        "I7" => "a bystander was dropped: its row in events.ndjson says when and after what",
        _ => return None,
    })
}

fn expectation(path: &str) -> Option<&'static str> {
    let claim = path.split('.').nth(2)?;
    Some(match claim {
        "closes" => "`squall check` computes which cause comes first, and when",
        "close_within" => "close_windows in run.json has the least and the greatest time seen",
        "opens" | "recovered" | "amplification" => {
            "events.ndjson has one line per attempt: when it was planned, begun, open, ended"
        }
        "delivery" => "the delivery line has the counts; populations in run.json have each",
        "queue_at_close" => "backlog_at_close in run.json has the hub's and the kernels' bytes",
        "steady" => "latency in run.json is split into before and after the first trouble",
        _ => return None,
    })
}
