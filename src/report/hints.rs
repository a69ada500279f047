//! One line of advice for a check that is not as it should be.

use super::RunFile;
use crate::protocol::CloseCategory;
use crate::verdict::{Check, CheckKind, Outcome};

/// What a failed run was one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Among {
    /// Itself alone: what failed may be wrong in the scenario.
    Itself,
    /// Seeds of one scenario, of which others passed: it failed by chance.
    Seeds,
}

/// What to look at, or `None` where the check says it all.
#[must_use]
pub fn hint(run: &RunFile, check: &Check, among: Among) -> Option<&'static str> {
    match (check.outcome, check.kind) {
        (Outcome::Pass, _) => None,
        (Outcome::Undetermined, _) if run.hub_observed() || run.run.target.control => Some(
            "too little was seen to tell: let it run longer, or with more clients (-n); \
             events.ndjson has a line for every end",
        ),
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
        (Outcome::Fail, CheckKind::Expectation) => expectation(run, &check.path, among),
    }
}

fn invariant(path: &str) -> Option<&'static str> {
    Some(match path.get(..2)? {
        "I1" | "I8" | "I9" => {
            "opens and closes do not add up: compare hub_counters in run.json with ends"
        }
        "I2" => "an end without a reason: look for it in events.ndjson",
        "I3" => "hub and client tell different stories: see the matrix hub against client",
        "I4" => "the generator itself was starved: repeat on an idle machine",
        "I5" => "messages were lost, doubled or swapped: see the delivery line",
        "I6" => {
            "something was left behind after the load had gone: see generator, machine and \
             hub_counters in run.json"
        }
        "I7" => {
            "a bystander was dropped, or cut off on the way: its row in events.ndjson says when \
             and after what"
        }
        _ => return None,
    })
}

fn expectation(run: &RunFile, path: &str, among: Among) -> Option<&'static str> {
    // What fails with one seed only is no matter of the causes that a scenario has.
    let cause = match among {
        Among::Itself => "`squall check` computes which cause comes first, and when",
        Among::Seeds => "events.ndjson has a line for every end: when, why, and what came before",
    };
    let mut parts = path.split('.').skip(1);
    let (population, claim) = (parts.next()?, parts.next()?);
    let ended_by = |category| {
        let mut ends = run.ends.iter();
        ends.any(|end| {
            end.population.as_deref() == Some(population) && end.category == Some(category)
        })
    };
    Some(match claim {
        "closes" if ended_by(CloseCategory::EventHandlerNotFound) => {
            "no event handler of the run's [hub] takes the event; while it runs, those of a \
             separate hub's own settings do not count"
        }
        "closes" if ended_by(CloseCategory::SendEventFailed) => {
            "an event handler failed: the part Upstream says at which event, and how it answered"
        }
        "closes" => cause,
        "close_within" if run.close_windows.iter().any(|it| it.population == population) => {
            "close_windows in run.json has the least and the greatest time seen"
        }
        "queue_at_close" if run.backlog_at_close.iter().any(|it| it.population == population) => {
            "backlog_at_close in run.json has the bytes in the hub's queue and under way"
        }
        // No such drop came, so run.json has nothing of it.
        "close_within" | "queue_at_close" => cause,
        "opens" | "recovered" | "amplification" => {
            "events.ndjson has one line per attempt: when it was planned, begun, open, ended"
        }
        "delivery" => "the delivery line has the counts; populations in run.json have each",
        "steady" => "latency in run.json is split into before and after the first trouble",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::report::samples;

    fn hint_of(run: &RunFile, path: &str, outcome: Outcome) -> &'static str {
        let check = Check {
            kind: CheckKind::Expectation,
            path: path.to_owned(),
            outcome,
            expected: String::new(),
            actual: String::new(),
        };
        hint(run, &check, Among::Itself).unwrap()
    }

    #[test]
    fn what_failed_by_chance_is_not_looked_for_in_the_scenario() {
        let run = samples::failed();
        let closes = run.checks.iter().find(|check| check.path == "expect.stalled.closes").unwrap();
        assert!(hint(&run, closes, Among::Itself).unwrap().contains("squall check"));
        assert!(hint(&run, closes, Among::Seeds).unwrap().contains("events.ndjson"));
    }

    #[test]
    fn what_an_event_handler_did_is_looked_for_there() {
        let mut run = samples::failed();
        let path = format!("expect.{}.closes", run.ends[0].population.clone().unwrap());
        run.ends[0].category = Some(CloseCategory::SendEventFailed);
        assert!(hint_of(&run, &path, Outcome::Fail).contains("the part Upstream"));
        run.ends[0].category = Some(CloseCategory::EventHandlerNotFound);
        assert!(hint_of(&run, &path, Outcome::Fail).contains("takes the event"));
    }

    #[test]
    fn a_drop_that_never_came_is_not_looked_for_in_the_results() {
        let run = samples::failed();
        let window = run.close_windows[0].population.clone();
        let backlog = run.backlog_at_close[0].population.clone();
        for (claim, population, list) in [
            ("close_within", window, "close_windows"),
            ("queue_at_close", backlog, "backlog_at_close"),
        ] {
            let some = hint_of(&run, &format!("expect.{population}.{claim}"), Outcome::Fail);
            assert!(some.contains(list), "{some}");
            let none = hint_of(&run, &format!("expect.nobody.{claim}"), Outcome::Fail);
            assert!(none.contains("squall check"), "{none}");
        }
    }

    #[test]
    fn only_a_target_that_hides_its_side_is_told_to_do_so() {
        let mut run = samples::passed();
        let path = "expect.muted.steady";
        assert!(!hint_of(&run, path, Outcome::Undetermined).contains("the target"));
        run.run.target.control = false;
        run.generator.rows_observed = 0;
        assert!(hint_of(&run, path, Outcome::Undetermined).contains("does not show its side"));
    }
}
