//! Whether there is anything left to wait for.

use super::expectation::{close_codes, refusals};
use super::server_side;
use super::threshold::{self, Reading};
use crate::measure::{PopulationSummary, Summary};
use crate::protocol::CloseCategory;
use crate::scenario::Plan;
use crate::scenario::plan::{Claim, Metric, Operator, PopulationIndex, Quantity, Threshold};

/// Whether nothing that may still happen is waited for: every drop that the expectations demand has
/// happened, every refusal, recovery, fault and line of the hub's log. What the application server
/// counts is known only at the end. (What must *not* happen is watched for the plan's settle
/// time after that, and not before [`super::earliest_end`]. Bounded traffic and arrivals are the
/// engine's own knowledge.)
///
/// Closes in order are never waited for: they come when the clients leave. A claim that is broken
/// for good (a drop that must not occur has occurred) waits only until as many drops as it demands
/// have come, whatever their reasons: so the report tells what happened, not what was cut off.
/// Opens and recoveries count from [`crate::measure::LiveCounts`] too. On a target whose side is
/// not observed demanded drops are never seen, so such a run takes its whole time.
#[must_use]
pub fn decided(plan: &Plan, summary: &Summary) -> bool {
    let faults = (0..plan.faults.len()).all(|index| {
        summary.faults_done.contains_key(&index) || summary.faults_failed.contains_key(&index)
    });
    let nobody = PopulationSummary::default();
    faults
        && plan.expectations.iter().all(|expectation| {
            let index = expectation.population;
            let population = summary.populations.get(usize::from(index)).unwrap_or(&nobody);
            match &expectation.claim {
                Claim::Refused(wanted) => {
                    let refusals = refusals(summary, index);
                    let of = |status| refusals.get(&status).copied().unwrap_or(0);
                    wanted.iter().all(|(status, quantity)| of(*status) >= quantity.at_least)
                }
                Claim::RefusedBody(wanted) => {
                    let refusals = refusals(summary, index);
                    wanted.iter().all(|(status, _)| refusals.contains_key(status))
                }
                Claim::CloseCodes(wanted) => {
                    let codes = close_codes(summary, index);
                    let of = |code| codes.get(&code).copied().unwrap_or(0);
                    wanted.iter().all(|(code, quantity)| of(*code) >= quantity.at_least)
                }
                claim => is_claim_decided(plan, population, index, claim),
            }
        })
        && server_side::is_decided(plan, summary)
        && plan.thresholds.iter().all(|threshold| is_threshold_decided(summary, threshold))
}

fn is_claim_decided(
    plan: &Plan,
    population: &PopulationSummary,
    index: PopulationIndex,
    claim: &Claim,
) -> bool {
    let rows = |category| population.categories.get(&category).copied().unwrap_or(0);
    match claim {
        Claim::Closes(wanted) => {
            let drops = || wanted.iter().filter(|(category, _)| category.is_drop());
            let demanded = drops().fold(0_u64, |sum, (_, of)| sum.saturating_add(of.at_least));
            let dropped = population
                .categories
                .iter()
                .filter(|(category, _)| category.is_drop())
                .fold(0_u64, |sum, (_, &count)| sum.saturating_add(count));
            (exceeds(population, wanted, |_| true) && dropped >= demanded)
                || drops().all(|(category, quantity)| rows(*category) >= quantity.at_least)
        }
        // Where `closes` says how many, it also says how long to wait.
        Claim::CloseWithin { category, .. } | Claim::QueueAtCloseJustOverLimit { category, .. } => {
            !category.is_drop() || rows(*category) > 0 || has_closes(plan, index)
        }
        Claim::Opens(wanted) => population.opens.max(population.live.opens) >= wanted.at_least,
        Claim::Recovered(wanted) => {
            population.recovered.max(population.live.recovered) >= wanted.at_least
        }
        // Are decided by rows.
        Claim::Refused(_)
        | Claim::RefusedBody(_)
        | Claim::CloseCodes(_)
        | Claim::Amplification { .. }
        | Claim::DeliveryComplete
        | Claim::RepliesComplete
        | Claim::Steady { .. } => true,
    }
}

/// Whether more rows than allowed of some category that `select` holds of are there already.
pub(super) fn exceeds(
    population: &PopulationSummary,
    wanted: &[(CloseCategory, Quantity)],
    select: impl Fn(CloseCategory) -> bool,
) -> bool {
    population.categories.iter().filter(|(category, _)| select(**category)).any(
        |(category, count)| {
            let at_most = wanted
                .iter()
                .filter(|(listed, _)| listed == category)
                .map(|(_, quantity)| quantity.at_most)
                .max();
            *count > at_most.unwrap_or(0)
        },
    )
}

fn has_closes(plan: &Plan, index: PopulationIndex) -> bool {
    plan.expectations.iter().any(|expectation| {
        expectation.population == index && matches!(expectation.claim, Claim::Closes(_))
    })
}

/// A threshold waits only where a count may still grow into it.
fn is_threshold_decided(summary: &Summary, threshold: &Threshold) -> bool {
    let grows = match threshold.metric {
        Metric::Closes(category) => category.is_drop(),
        Metric::Opens => true,
        _ => false,
    };
    let demands_more = matches!(
        threshold.condition.operator,
        Operator::Equal | Operator::Greater | Operator::GreaterOrEqual
    );
    if !grows || !demands_more {
        return true;
    }
    match reading(summary, threshold) {
        Reading::Number(value) => {
            threshold::holds(threshold, value) || value > threshold.condition.value
        }
        // No row has come yet.
        Reading::NotObserved | Reading::NoSamples => false,
        Reading::Time { .. } | Reading::Senseless => true,
    }
}

/// The reading so far; opens count as the clients count them.
fn reading(summary: &Summary, threshold: &Threshold) -> Reading {
    let by_rows = threshold::read(summary, threshold);
    match (threshold.metric, by_rows) {
        (Metric::Opens, Reading::Number(opens)) => {
            let live = summary
                .populations
                .iter()
                .enumerate()
                .filter(|(index, _)| {
                    threshold.population.is_none_or(|wanted| usize::from(wanted) == *index)
                })
                .fold(0_u64, |sum, (_, of)| sum.saturating_add(of.live.opens));
            Reading::Number(opens.max(live as f64))
        }
        (_, by_rows) => by_rows,
    }
}
