//! Which client lives on which shard: a pure function of the plan and the number of shards.

use crate::scenario::Plan;
use crate::scenario::plan::{Arrival, PopulationIndex};

/// Places clients on shards.
///
/// Client `k` of the plan (populations in file order) lives on shard `k % shards`. Under closed
/// arrivals the slots are dealt out instead, and a client lives where slot `index % slots` is: a
/// shard without a slot must have no client, who could never arrive there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    shards: u64,
    populations: Vec<Placing>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Placing {
    /// Clients of the populations before it.
    base: u64,
    /// Slots under closed arrivals.
    slots: Option<u64>,
}

impl Layout {
    /// The layout of a plan over `shards` shards (at least one).
    pub(super) fn new(plan: &Plan, shards: usize) -> Self {
        let mut base = 0;
        let populations = plan
            .populations
            .iter()
            .map(|population| {
                let slots = match population.arrival {
                    Arrival::Open { .. } => None,
                    Arrival::Closed { slots, .. } => Some(u64::from(slots.max(1))),
                };
                let placing = Placing { base, slots };
                base += u64::from(population.count);
                placing
            })
            .collect();
        Self { shards: shards.max(1) as u64, populations }
    }

    /// How many shards there are.
    pub(super) fn shards(&self) -> usize {
        usize::try_from(self.shards).unwrap_or(usize::MAX)
    }

    /// The shard of a client.
    pub(super) fn shard_of(&self, population: PopulationIndex, index: u32) -> usize {
        let Placing { base, slots } = self.populations[usize::from(population)];
        let number = u64::from(index);
        let place = base + slots.map_or(number, |slots| number % slots);
        usize::try_from(place % self.shards).unwrap_or(0)
    }

    /// How many slots of a population under closed arrivals a shard owns.
    pub(super) fn slots_of(&self, population: PopulationIndex, shard: usize) -> usize {
        let Placing { base, slots } = self.populations[usize::from(population)];
        let owned = |slot: &u64| (base + slot) % self.shards == shard as u64;
        (0..slots.unwrap_or(0)).filter(owned).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    use crate::engine::testkit;

    proptest! {
        #[test]
        fn every_client_can_arrive_and_slots_add_up(
            counts in proptest::collection::vec(1_u32..40, 1..4),
            slots in 1_u32..12,
            shards in 1_usize..6,
        ) {
            let mut plan = testkit::plan(&counts);
            plan.populations[0].arrival = Arrival::Closed { start: Duration::ZERO, slots };
            let layout = Layout::new(&plan, shards);
            let owned: Vec<usize> = (0..shards).map(|shard| layout.slots_of(0, shard)).collect();
            prop_assert_eq!(owned.iter().sum::<usize>(), slots as usize);
            for index in 0..counts[0] {
                prop_assert!(owned[layout.shard_of(0, index)] > 0, "client {} is stranded", index);
            }
        }
    }

    #[test]
    fn open_arrivals_deal_clients_out_in_turn_across_populations() {
        let plan = testkit::plan(&[3, 4]);
        let layout = Layout::new(&plan, 2);
        let first: Vec<usize> = (0..3).map(|index| layout.shard_of(0, index)).collect();
        let second: Vec<usize> = (0..4).map(|index| layout.shard_of(1, index)).collect();
        assert_eq!((first, second), (vec![0, 1, 0], vec![1, 0, 1, 0]));
    }
}
