//! What the traffic brings each member of a population, and when a queue is full.

use std::time::Duration;

use crate::protocol::Subprotocol;
use crate::protocol::webhook::Event;
use crate::scenario::Plan;
use crate::scenario::plan::{Arrival, Destination, Population, Senders, Traffic};

/// What a websocket frame adds to a message of up to 64 KiB.
const FRAME_HEADER_BYTES: u64 = 4;

/// What the JSON subprotocol wraps around a message's data, with a short group name and user id.
const JSON_ENVELOPE_BYTES: u64 = 100;

/// Bytes of one message of a traffic (or of the answer to it) on the wire to a population.
pub(super) fn frame_bytes(population: &Population, traffic: &Traffic) -> u64 {
    let envelope = match population.protocol {
        Subprotocol::Simple => 0,
        _ => JSON_ENVELOPE_BYTES,
    };
    u64::from(traffic.size) + FRAME_HEADER_BYTES + envelope
}

/// When a traffic plans its last message at the latest, or rather the instant before which.
pub(super) fn end(plan: &Plan, traffic: &Traffic) -> Duration {
    traffic.until.unwrap_or(plan.duration).min(plan.duration)
}

/// Messages one sender of a traffic plans.
pub(super) fn messages_per_sender(plan: &Plan, traffic: &Traffic) -> u64 {
    let seconds = end(plan, traffic).saturating_sub(traffic.start).as_secs_f64();
    // A product such as 0.1 x 30 comes out a hair above the whole number it is.
    whole((seconds * traffic.rate - 1e-6).ceil())
}

/// A count out of arithmetic; what is negative or not a number counts nothing.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
pub(super) fn whole(value: f64) -> u64 {
    value as u64
}

/// Seconds as a duration; what no duration can hold is the longest one.
pub(super) fn seconds(value: f64) -> Duration {
    Duration::try_from_secs_f64(value.max(0.0)).unwrap_or(Duration::MAX)
}

/// Members a population gives each of its groups at once, at most.
pub(super) fn members(population: &Population) -> u64 {
    match population.arrival {
        Arrival::Open { .. } => u64::from(population.count),
        Arrival::Closed { slots, .. } => u64::from(slots.min(population.count)),
    }
}

/// Traffic that brings messages to every member of a population: what goes to one of its groups,
/// and events of every member that are to come back.
pub(super) fn reaching<'a>(
    plan: &'a Plan,
    population: &'a Population,
) -> impl Iterator<Item = &'a Traffic> + 'a {
    plan.traffic.iter().filter(|traffic| {
        traffic.reaches(population)
            || (traffic.demands_replies() && is_from_all_of(plan, traffic, population))
    })
}

/// Whether every client of the population sends a traffic. (Names of populations are unique.)
fn is_from_all_of(plan: &Plan, traffic: &Traffic, population: &Population) -> bool {
    let Senders::Clients { population: index, count, .. } = traffic.from else { return false };
    let senders = plan.populations.get(usize::from(index));
    count >= population.count && senders.is_some_and(|of| of.name == population.name)
}

/// Messages per second that a traffic brings each of those it reaches: those of all senders to a
/// group or a room, a part of those to one user after the other, and the answers to a client's own
/// events.
pub(super) fn messages_per_second(traffic: &Traffic) -> f64 {
    match traffic.to {
        Destination::Group(_) | Destination::Everybody | Destination::Rooms(_) => {
            traffic.rate * f64::from(senders_to_each(traffic))
        }
        Destination::Users { count, .. } => traffic.rate / f64::from(count.max(1)),
        Destination::Event { .. } => traffic.rate,
    }
}

/// Senders whose messages reach the same client, at most.
fn senders_to_each(traffic: &Traffic) -> u32 {
    match traffic.to {
        Destination::Rooms(rooms) => rooms.members.min(traffic.from.count()),
        _ => traffic.from.count(),
    }
}

/// Messages that a traffic brings each of those it reaches, over the whole run.
pub(super) fn messages_to_each(plan: &Plan, traffic: &Traffic) -> u64 {
    let each = messages_per_sender(plan, traffic);
    match traffic.to {
        Destination::Group(_) | Destination::Everybody | Destination::Rooms(_) => {
            each.saturating_mul(u64::from(senders_to_each(traffic)))
        }
        Destination::Users { count, .. } => each.div_ceil(u64::from(count.max(1))),
        Destination::Event { .. } => each,
    }
}

/// Whether an event handler of the hub takes the events of a traffic.
pub(super) fn is_handled(plan: &Plan, traffic: &Traffic) -> bool {
    match &traffic.to {
        Destination::Group(_)
        | Destination::Rooms(_)
        | Destination::Users { .. }
        | Destination::Everybody => false,
        Destination::Event { event, .. } => {
            plan.hub.events.handler_of(&Event::User(event.clone())).is_some()
        }
    }
}

/// The queue's limit in bytes for a population: the one in messages counts when it is met first.
pub(super) fn queue_bytes(plan: &Plan, population: &Population) -> f64 {
    let (mut bytes, mut messages) = (0.0, 0.0);
    for traffic in reaching(plan, population) {
        bytes += messages_per_second(traffic) * frame_bytes(population, traffic) as f64;
        messages += messages_per_second(traffic);
    }
    let limit = plan.hub.queue.bytes as f64;
    if messages > 0.0 {
        limit.min(plan.hub.queue.messages as f64 * bytes / messages)
    } else {
        limit
    }
}

/// Bytes per second that a population's member is sent at an instant.
pub(super) fn bytes_per_second(plan: &Plan, population: &Population, at: Duration) -> f64 {
    reaching(plan, population)
        .filter(|traffic| traffic.start <= at && at < end(plan, traffic))
        .map(|traffic| messages_per_second(traffic) * frame_bytes(population, traffic) as f64)
        .sum()
}

/// How long after `from` the backlog of a member that reads `reads` bytes per second is `capacity`;
/// `None` when it never is.
pub(super) fn time_to_fill(
    plan: &Plan,
    population: &Population,
    from: Duration,
    reads: f64,
    capacity: f64,
) -> Option<Duration> {
    let mut edges: Vec<Duration> = reaching(plan, population)
        .flat_map(|traffic| [traffic.start, end(plan, traffic)])
        .chain([plan.duration])
        .filter(|edge| *edge > from)
        .collect();
    edges.sort_unstable();
    let (mut at, mut backlog) = (from, 0.0);
    for edge in edges {
        let grows = bytes_per_second(plan, population, at) - reads;
        let lasts = (edge - at).as_secs_f64();
        if grows > 0.0 && backlog + grows * lasts >= capacity {
            let wait = seconds((capacity - backlog) / grows);
            return Some((at - from).saturating_add(wait));
        }
        backlog = (backlog + grows * lasts).max(0.0);
        at = edge;
    }
    None
}
