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
