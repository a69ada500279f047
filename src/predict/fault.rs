//! Whom the faults of the timeline drop.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::protocol::CloseCategory;
use crate::scenario::Plan;
use crate::scenario::plan::{Fault, Population, PopulationIndex, Quantity, UserPolicy};

/// Categories that faults aimed at a population cause in it, without any fault of its own: a
/// bystander that no fault is aimed at closes in order (invariant I7). A freeze causes none: the
/// hub does not count it as silence of its clients.
#[must_use]
pub fn addressed(plan: &Plan, index: PopulationIndex) -> BTreeSet<CloseCategory> {
    let mut categories = BTreeSet::new();
    let Some(population) = plan.populations.get(usize::from(index)) else { return categories };
    let present = u64::from(population.count);
    for at in &plan.faults {
        match &at.fault {
            // Open connections stay; who comes later may find less room.
            Fault::Scale { .. } => {
                categories.insert(CloseCategory::ConnectionCountLimitReached);
            }
            fault => {
                let hit = victims(plan, index, fault, present).at_most > 0;
                categories.extend(category(fault).filter(|_| hit));
            }
        }
    }
    categories
}

/// Whether a client of a population may be dropped once it is connected.
pub(super) fn may_drop(plan: &Plan, index: PopulationIndex) -> bool {
    let Some(population) = plan.populations.get(usize::from(index)) else { return false };
    let present = u64::from(population.count);
    let hits = |fault: &Fault| {
        category(fault).is_some() && victims(plan, index, fault, present).at_most > 0
    };
    !population.is_well_behaved()
        || !population.shaping.is_ideal()
        || plan.faults.iter().any(|at| hits(&at.fault))
}

/// The category of the drops a fault is meant to cause.
pub(super) const fn category(fault: &Fault) -> Option<CloseCategory> {
    match fault {
        Fault::Reload { .. } => Some(CloseCategory::ServiceReload),
        Fault::CloseConnections { .. }
        | Fault::CloseGroup { .. }
        | Fault::CloseUser { .. }
        | Fault::CloseAll { .. } => Some(CloseCategory::ClosedByAppServer),
        Fault::Freeze { .. } | Fault::Scale { .. } | Fault::Leave { .. } => None,
    }
}

/// How long a fault's drops are spread over.
pub(super) const fn spread(fault: &Fault) -> Duration {
    match fault {
        Fault::Reload { over, .. } => *over,
        _ => Duration::ZERO,
    }
}

/// How many connections of a population a fault drops, of `present` ones.
pub(super) fn victims(
    plan: &Plan,
    index: PopulationIndex,
    fault: &Fault,
    present: u64,
) -> Quantity {
    let Some(population) = plan.populations.get(usize::from(index)) else {
        return Quantity::exactly(0);
    };
    match fault {
        Fault::Reload { share, .. } if *share >= 1.0 => Quantity::exactly(present),
        // Which population stands at the front of the open order is not foretold.
        Fault::Reload { .. } if plan.populations.len() > 1 => {
            Quantity { at_least: 0, at_most: present }
        }
        // The hub rounds, and drops at least one.
        Fault::Reload { share, .. } => {
            let part = super::flow::whole((present as f64 * share).round());
            Quantity::exactly(part.max(1).min(present))
        }
        Fault::CloseConnections { population: of, count, .. } if *of == index => {
            Quantity::exactly(count.map_or(present, |count| present.min(u64::from(count))))
        }
        Fault::CloseGroup { group, .. } if population.groups.contains(group) => {
            Quantity::exactly(present)
        }
        Fault::CloseUser { population: of, .. } => users(plan, population, *of, present),
        Fault::CloseAll { .. } => Quantity::exactly(present),
        Fault::CloseConnections { .. }
        | Fault::CloseGroup { .. }
        | Fault::Freeze { .. }
        | Fault::Scale { .. }
        | Fault::Leave { .. } => Quantity::exactly(0),
    }
}

/// Connections of `population` that belong to the user of client 0 of population `of`.
fn users(plan: &Plan, population: &Population, of: PopulationIndex, present: u64) -> Quantity {
    let addressed = plan.populations.get(usize::from(of)).and_then(|of| match &of.user {
        UserPolicy::Anonymous => None,
        UserPolicy::PerClient => Some(format!("{}-0", of.name)),
        UserPolicy::Shared(user) => Some(user.clone()),
    });
    let Some(addressed) = addressed else { return Quantity::exactly(0) };
    match &population.user {
        UserPolicy::Anonymous => Quantity::exactly(0),
        UserPolicy::Shared(user) if *user == addressed => Quantity::exactly(present),
        UserPolicy::Shared(_) => Quantity::exactly(0),
        UserPolicy::PerClient => {
            let client = addressed
                .strip_prefix(&population.name)
                .and_then(|rest| rest.strip_prefix('-'))
                .and_then(|index| index.parse::<u32>().ok());
            Quantity::exactly(u64::from(client.is_some_and(|client| client < population.count)))
        }
    }
}
