//! Who arrives when on a shard, and the loops that let them in.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::Instant;

use super::fleet::Fleet;
use super::layout::Layout;
use crate::pace::{self, Purpose};
use crate::scenario::Plan;
use crate::scenario::plan::{Arrival, PopulationIndex};

/// Everybody who arrives on one shard.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Arrivals {
    /// By schedule, in order of time.
    open: Vec<OpenArrival>,
    /// By freed slots, one queue per population.
    closed: Vec<ClosedQueue>,
}

/// A planned arrival, counted from the epoch. Ordered by time, then by place in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct OpenArrival {
    at: Duration,
    population: PopulationIndex,
    index: u32,
}

/// A population that arrives as slots free up.
#[derive(Clone, Debug, PartialEq, Eq)]
struct ClosedQueue {
    population: PopulationIndex,
    start: Duration,
    slots: usize,
    indexes: Vec<u32>,
}

impl Arrivals {
    /// The arrivals of one shard. Every shard steps through the whole schedule of a population and
    /// keeps its own clients, so that their instants do not depend on the number of shards.
    pub(super) fn of_shard(plan: &Plan, layout: &Layout, shard: usize) -> Self {
        let mut arrivals = Self::default();
        for (population, settings) in (0..).zip(&plan.populations) {
            let here = |index: &u32| layout.shard_of(population, *index) == shard;
            match &settings.arrival {
                Arrival::Open { start, schedule } => {
                    let rng = pace::stream(plan.seed, &settings.name, 0, Purpose::Arrival);
                    let planned = pace::arrivals(schedule, settings.count, rng);
                    arrivals.open.extend(
                        planned
                            .zip(0..settings.count)
                            .filter(|(_, index)| here(index))
                            .map(|(at, index)| OpenArrival { at: *start + at, population, index }),
                    );
                }
                Arrival::Closed { start, .. } => {
                    let indexes: Vec<u32> = (0..settings.count).filter(here).collect();
                    if !indexes.is_empty() {
                        let slots = layout.slots_of(population, shard);
                        let start = *start;
                        arrivals.closed.push(ClosedQueue { population, start, slots, indexes });
                    }
                }
            }
        }
        arrivals.open.sort_unstable();
        arrivals
    }

    /// How many clients they are.
    pub(super) fn count(&self) -> u64 {
        let closed: usize = self.closed.iter().map(|queue| queue.indexes.len()).sum();
        (self.open.len() + closed) as u64
    }

    /// Starts the loops on the current `LocalSet`. Aborting the handles closes the doors.
    pub(super) fn start(self, fleet: &Rc<Fleet>) -> Vec<tokio::task::JoinHandle<()>> {
        let mut loops = vec![tokio::task::spawn_local(admit_open(Rc::clone(fleet), self.open))];
        for queue in self.closed {
            loops.push(tokio::task::spawn_local(admit_closed(Rc::clone(fleet), queue)));
        }
        loops
    }
}

/// Lets clients in at their planned instants, however busy the clients before them are.
async fn admit_open(fleet: Rc<Fleet>, arrivals: Vec<OpenArrival>) {
    for OpenArrival { at, population, index } in arrivals {
        let planned = fleet.shard.epoch + at;
        if planned > Instant::now() {
            fleet.shard.pacer.until(planned).await;
        }
        fleet.begin((population, index), planned, None);
    }
}

/// Lets a client in whenever a slot frees up. A client's planned instant is the start, or the
/// instant its slot was freed.
async fn admit_closed(fleet: Rc<Fleet>, queue: ClosedQueue) {
    let start = fleet.shard.epoch + queue.start;
    let free = Arc::new(Semaphore::new(queue.slots));
    fleet.shard.pacer.until(start).await;
    for (position, index) in queue.indexes.into_iter().enumerate() {
        // The semaphore is never closed.
        let Ok(slot) = Arc::clone(&free).acquire_owned().await else { return };
        let planned = if position < queue.slots { start } else { Instant::now() };
        fleet.begin((queue.population, index), planned, Some(slot));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    use crate::engine::testkit;
    use crate::scenario::plan::ArrivalSchedule;

    proptest! {
        /// Who arrives when does not depend on how many shards there are, and nobody is forgotten.
        #[test]
        fn shards_share_one_schedule(
            counts in proptest::collection::vec(1_u32..40, 1..4),
            rate in 1.0_f64..1_000.0,
            shards in 1_usize..5,
        ) {
            let mut plan = testkit::plan(&counts);
            for population in &mut plan.populations {
                population.arrival = Arrival::Open {
                    start: Duration::from_millis(7),
                    schedule: ArrivalSchedule::Poisson { rate },
                };
            }
            let all = |shards| -> Vec<Arrivals> {
                let layout = Layout::new(&plan, shards);
                (0..shards).map(|shard| Arrivals::of_shard(&plan, &layout, shard)).collect()
            };
            let alone = all(1).remove(0);
            let shares = all(shards);
            prop_assert_eq!(shares.iter().map(Arrivals::count).sum::<u64>(), plan.clients());
            let mut merged: Vec<_> = shares.into_iter().flat_map(|share| share.open).collect();
            merged.sort_unstable();
            prop_assert_eq!(merged, alone.open);
        }
    }

    #[test]
    fn a_closed_population_waits_in_order_of_index() {
        let mut plan = testkit::plan(&[7]);
        plan.populations[0].arrival = Arrival::Closed { start: Duration::ZERO, slots: 3 };
        let layout = Layout::new(&plan, 2);
        let queue = |shard| Arrivals::of_shard(&plan, &layout, shard).closed.remove(0);
        let (even, odd) = (queue(0), queue(1));
        assert_eq!((even.slots, even.indexes), (2, vec![0, 2, 3, 5, 6]));
        assert_eq!((odd.slots, odd.indexes), (1, vec![1, 4]));
    }
}
