//! Arrival and send schedules as pure functions from the plan to planned instants, and the run's
//! random streams.

use std::time::Duration;

use rand_chacha::ChaCha8Rng;

use crate::scenario::plan::{ArrivalSchedule, Traffic};

/// What a random stream is for: one stream per (seed, population name, client index, purpose), so
/// that adding or shrinking one population changes no other's draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Arrival gaps of a population (client index 0).
    Arrival,
    /// Reconnect jitter.
    Reconnect,
    /// Websocket keys and masks.
    Wire,
    /// Behaviour draws (lost pongs).
    Behaviour,
    /// Ids the hub hands out.
    Ids,
}

/// The random stream of (seed, population, index, purpose).
#[must_use]
pub fn stream(_seed: u64, _population: &str, _index: u32, _purpose: Purpose) -> ChaCha8Rng {
    unimplemented!()
}

/// Planned instants of `count` arrivals, ascending, counted from the schedule's start.
pub fn arrivals(
    _schedule: &ArrivalSchedule,
    _count: u32,
    _rng: ChaCha8Rng,
) -> impl Iterator<Item = Duration> {
    std::iter::empty()
}

/// Planned instant of message `sequence` (from 1) of sender `position` of a traffic, counted from
/// the start of the timeline; `None` past its `until`. Senders are spread evenly over the interval,
/// so that they do not all send at once.
#[must_use]
pub fn send_instant(_traffic: &Traffic, _position: u32, _sequence: u32) -> Option<Duration> {
    unimplemented!()
}
