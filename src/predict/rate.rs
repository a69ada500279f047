//! Who is refused when clients arrive faster than the hub takes them.

use std::time::Duration;

use super::cap::are_close;
use super::fault;
use crate::protocol::throughput::ConnectRate;
use crate::scenario::Plan;
use crate::scenario::plan::{
    Arrival, Population, PopulationIndex, Quantity, ReconnectAfter, ReconnectPolicy,
};

/// What the limit of new connections does to a population.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Throttled {
    /// Refused attempts.
    pub rows: Quantity,
    /// Clients whose first attempt is refused, at most.
    pub arriving: u64,
}

impl Throttled {
    const NOBODY: Self = Self { rows: Quantity::exactly(0), arriving: 0 };
}

/// Refused attempts of each population, in plan order; nothing on a hub that takes any number.
/// `arrivals` holds the planned instants of each, from the start of the timeline.
pub(super) fn refusals(plan: &Plan, arrivals: &[Vec<Duration>]) -> Vec<Throttled> {
    let none = vec![Throttled::NOBODY; plan.populations.len()];
    let Some(rate) = plan.hub.throughput.as_ref().and_then(|model| model.connects) else {
        return none;
    };
    let mut attempts: Vec<(Duration, usize)> = arrivals
        .iter()
        .enumerate()
        .flat_map(|(index, instants)| instants.iter().map(move |at| (*at, index)))
        .collect();
    attempts.sort_unstable();
    let refused = play(rate, &attempts, plan.populations.len());
    let others = plan.populations.iter().any(comes_again) || !plan.faults.is_empty();
    if refused.iter().all(Vec::is_empty) && !others {
        return none;
    }
    let is_contested = refused.iter().enumerate().any(|(index, refused)| {
        let others = arrivals.iter().enumerate().filter(|(other, _)| *other != index);
        others.into_iter().any(|(_, attempts)| are_close(refused, attempts))
    });
    let all_arrive = refused.iter().all(Vec::is_empty) && !is_disturbed(plan, arrivals);
    let told = |(index, refused): (PopulationIndex, &Vec<Duration>)| {
        let rows = match others || is_contested {
            true => Quantity { at_least: 0, at_most: most(plan, index) },
            false => Quantity::exactly(refused.len() as u64),
        };
        Throttled { rows, arriving: if all_arrive { 0 } else { rows.at_most } }
    };
    (0..).zip(&refused).map(told).collect()
}

/// Whether somebody may connect at an instant that is not planned while others still arrive.
fn is_disturbed(plan: &Plan, arrivals: &[Vec<Duration>]) -> bool {
    let last = arrivals.iter().flatten().max().copied().unwrap_or_default();
    let comes_by_itself = |population: &Population| {
        let is_dropped = !population.is_well_behaved() || !population.shaping.is_ideal();
        population.churn.is_some()
            || matches!(population.arrival, Arrival::Closed { .. })
            || (is_dropped && population.reconnect.policy != ReconnectPolicy::None)
    };
    plan.faults.iter().any(|fault| fault.at <= last) || plan.populations.iter().any(comes_by_itself)
}

/// Instants of the refused attempts of each population, by the hub's own rule.
fn play(
    rate: ConnectRate,
    attempts: &[(Duration, usize)],
    populations: usize,
) -> Vec<Vec<Duration>> {
    let each = Duration::from_secs(1) / rate.per_second.max(1);
    let depth = each.saturating_mul(rate.burst.max(1));
    let mut refused = vec![Vec::new(); populations];
    let mut full_at = Duration::ZERO;
    for &(at, population) in attempts {
        let after = full_at.max(at) + each;
        if after <= at + depth {
            full_at = after;
        } else {
            refused[population].push(at);
        }
    }
    refused
}

/// Whether its clients connect more than once, or at instants that are not planned.
fn comes_again(population: &Population) -> bool {
    population.reconnect.policy != ReconnectPolicy::None
        || population.churn.is_some()
        || matches!(population.arrival, Arrival::Closed { .. })
}

/// Attempts of a population that may be refused, at most.
fn most(plan: &Plan, index: PopulationIndex) -> u64 {
    let population = &plan.populations[usize::from(index)];
    let is_once = population.reconnect.policy == ReconnectPolicy::None
        || (population.reconnect.after == ReconnectAfter::Drop
            && population.churn.is_none()
            && !fault::may_drop(plan, index));
    if is_once { u64::from(population.count) } else { u64::MAX }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_let_in_and_then_the_rate() {
        let rate = ConnectRate { per_second: 20, burst: 10 };
        let every_25_ms = |n: u32| (Duration::from_millis(25) * n, 0);
        let attempts: Vec<_> = (0..200).map(every_25_ms).collect();
        // 40/s against 20/s: half of them past the burst.
        let refused = &play(rate, &attempts, 1)[0];
        assert!((90..=92).contains(&refused.len()), "{}", refused.len());
        assert!(refused.iter().all(|at| *at > Duration::from_millis(10 * 25)));
    }
}
