//! What an interruption takes back: a claim that was not met yet is open, unless what was seen
//! already disproves it.

use super::decided::exceeds;
use super::expectation::{close_codes, refusals, refused_with};
use super::server_side;
use super::spoil::Finding;
use super::threshold::{self, Reading};
use super::{CheckKind, Outcome, is_hub_observed};
use crate::event::HowEnded;
use crate::measure::{PopulationSummary, Summary};
use crate::scenario::Plan;
use crate::scenario::plan::{Claim, Expectation, Metric, Operator, Statistic, Threshold};

/// Marks failed claims and thresholds of an interrupted run that more time could have met.
/// Invariants are true of interrupted runs too.
pub(super) fn mark(plan: &Plan, summary: &Summary, findings: &mut [Finding]) {
    if summary.ended != Some(HowEnded::Interrupted) {
        return;
    }
    let mut thresholds = plan.thresholds.iter();
    for finding in findings {
        let check = &mut finding.check;
        let is_disproven = match check.kind {
            CheckKind::Invariant => true,
            CheckKind::Threshold => {
                thresholds.next().is_none_or(|threshold| passed_for_good(summary, threshold))
            }
            CheckKind::Expectation => {
                plan.expectations
                    .iter()
                    .any(|expectation| is_broken(summary, expectation, &check.path))
                    || server_side::is_broken(plan, summary, &check.path)
            }
        };
        if check.outcome == Outcome::Fail && !is_disproven {
            check.outcome = Outcome::Undetermined;
            check.actual = format!("{}; interrupted", check.actual);
        }
    }
}

/// Whether what was seen breaks the claim that a check stands for, whatever would have come.
fn is_broken(summary: &Summary, expectation: &Expectation, path: &str) -> bool {
    let nobody = PopulationSummary::default();
    let index = expectation.population;
    let population = summary.populations.get(usize::from(index)).unwrap_or(&nobody);
    let tally = match expectation.claim {
        Claim::DeliveryComplete => Some(&population.delivery),
        Claim::RepliesComplete => Some(&population.replies),
        _ => None,
    };
    if let Some(tally) = tally {
        let faults = [
            ("lost", tally.lost),
            ("duplicated", tally.duplicated),
            ("out_of_order", tally.out_of_order),
        ];
        let part = path.strip_prefix(&expectation.path).and_then(|rest| rest.strip_prefix('.'));
        return faults.iter().any(|(name, count)| part == Some(*name) && *count > 0);
    }
    if path != expectation.path {
        return false;
    }
    match &expectation.claim {
        // Clients leave in order because of the interruption: that proves nothing.
        Claim::Closes(wanted) => exceeds(population, wanted, |category| category.is_drop()),
        Claim::Refused(wanted) => refusals(summary, index).iter().any(|(status, count)| {
            let listed = wanted.iter().find(|(listed, _)| listed == status);
            listed.is_none_or(|(_, quantity)| *count > quantity.at_most)
        }),
        Claim::RefusedBody(wanted) => wanted.iter().any(|(status, text)| {
            refused_with(summary, index, *status).keys().any(|body| body != text)
        }),
        Claim::CloseCodes(wanted) => close_codes(summary, index).iter().any(|(code, count)| {
            let listed = wanted.iter().find(|(listed, _)| listed == code);
            listed.is_none_or(|(_, quantity)| *count > quantity.at_most)
        }),
        Claim::Opens(wanted) => population.opens > wanted.at_most,
        Claim::Recovered(wanted) => population.recovered > wanted.at_most,
        // Who was dropped outside the window was.
        Claim::CloseWithin { category, .. } | Claim::QueueAtCloseJustOverLimit { category, .. } => {
            is_hub_observed(summary) && population.categories.get(category).is_some_and(|n| *n > 0)
        }
        // More clients, or more messages, may have set the ratio right.
        Claim::Amplification { .. }
        | Claim::Steady { .. }
        | Claim::DeliveryComplete
        | Claim::RepliesComplete => false,
    }
}

/// Whether a number that only grows is past its upper bound.
fn passed_for_good(summary: &Summary, threshold: &Threshold) -> bool {
    let grows = match threshold.metric {
        Metric::Closes(category) => category.is_drop(),
        // Its plain value is a share.
        Metric::Delivered => threshold.condition.statistic == Statistic::Count,
        _ => true,
    };
    let is_bound = matches!(
        threshold.condition.operator,
        Operator::Less | Operator::LessOrEqual | Operator::Equal
    );
    let is_sum = matches!(
        threshold.condition.statistic,
        Statistic::Count | Statistic::Value | Statistic::Maximum
    );
    if !(grows && is_bound && is_sum) {
        return false;
    }
    match threshold::read(summary, threshold) {
        Reading::Number(value) | Reading::Time { ns: value, .. } => {
            !threshold::holds(threshold, value) && value >= threshold.condition.value
        }
        Reading::Senseless => true,
        Reading::NoSamples | Reading::NotObserved => false,
    }
}
