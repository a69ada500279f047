//! What a misbehaviour leads to: the race of SlowClient and PingTimeout (scenario facts, 4.2).
//!
//! With `lambda` bytes per second sent to a client, `r` read by it, `K` absorbed by the kernel, `B`
//! the limit of the hub's queue, `I` the ping interval and `T` the ping timeout:
//!
//! - The queue is full `(K + B) / (lambda - r)` after the reading began to lag.
//! - A client that answers no ping is dropped in `(T, T + I]` after its last sign of life. That is
//!   its open, or, when it falls silent later, a pong up to `I` before: `(T - I, T + I]` after it
//!   fell silent.
//! - A slow reader meets the pings in order behind its data, so each comes `I x lambda / r` after
//!   the one before. As the hub counts from the last sign of life, not per ping, that gap is what
//!   has to exceed the timeout.

use std::time::Duration;

use super::flow;
use super::kernel::absorption;
use super::link;
use crate::protocol::settings::LifeSign;
use crate::protocol::webhook::{Event, FailedUserEvent};
use crate::protocol::{CloseCategory, Subprotocol};
use crate::scenario::Plan;
use crate::scenario::plan::{
    Behaviour, Destination, Fault, Population, PopulationIndex, TimedBehaviour, Traffic, Vanish,
};

/// Share by which the time to fill a queue may be off either way: envelopes, buffer accounting.
const FILL_TOLERANCE: f64 = 0.25;

/// What a client takes to open, at most, as far as is foretold.
const OPENING: Duration = Duration::from_secs(1);

/// Something that would end a connection, unless something else does before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cause {
    pub(super) end: End,
    /// When the misbehaviour or the fault begins, from the start of the timeline.
    pub(super) begins: Duration,
    /// Not before, from `begins`.
    pub(super) from: Duration,
    /// Not after, from `begins`.
    pub(super) to: Duration,
    pub(super) chance: Chance,
}

/// How a cause ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The hub drops it, for its behaviour.
    Drop(CloseCategory),
    /// The hub drops it, for a fault of the timeline.
    Fault(CloseCategory),
    /// The client vanishes.
    Vanish,
    /// A middlebox cuts its link.
    Cut,
}

/// Whether a cause takes effect when nothing comes before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chance {
    Certain,
    Possible,
}

impl Cause {
    pub(super) const fn earliest(&self) -> Duration {
        self.begins.saturating_add(self.from)
    }

    pub(super) const fn latest(&self) -> Duration {
        self.begins.saturating_add(self.to)
    }
}

/// A cause before its window is known: end, from, to, chance; times from its begin.
type Raw = (End, Duration, Duration, Chance);

/// What the behaviours and the link of a population lead to, for a client that arrives at
/// `arrival`.
pub(super) fn causes(plan: &Plan, index: PopulationIndex, arrival: Duration) -> Vec<Cause> {
    let Some(population) = plan.populations.get(usize::from(index)) else { return Vec::new() };
    let gone = leaves_at(plan, population, index, arrival);
    // Who churns may leave first, and begins anew when it is back.
    let stays = population.churn.map_or(Chance::Certain, |_| Chance::Possible);
    let mut causes = Vec::new();
    for timed in &population.behaviours {
        let begins = arrival.max(timed.from);
        let ends = timed.until.unwrap_or(Duration::MAX).min(gone);
        let Some(lasts) = ends.checked_sub(begins).filter(|lasts| !lasts.is_zero()) else {
            continue;
        };
        let stays = if is_final(&timed.behaviour) { Chance::Certain } else { stays };
        for raw in raw_causes(plan, index, population, timed, begins) {
            causes.extend(within(raw, begins, lasts, stays));
        }
    }
    let lasts = gone.saturating_sub(arrival);
    for traffic in &plan.traffic {
        let raw = unhandled(plan, index, population, traffic, arrival);
        for raw in raw.into_iter().chain(oversize(plan, index, population, traffic, arrival)) {
            causes.extend(within(raw, arrival, lasts, stays));
        }
    }
    for raw in link_causes(plan, index, population, arrival) {
        causes.extend(within(raw, arrival, lasts, stays));
    }
    causes
}

/// A cause in the window that it has, of a client that stays for certain or possibly; `None` when
/// the window is too short for it.
fn within(raw: Raw, begins: Duration, lasts: Duration, stays: Chance) -> Option<Cause> {
    let (end, from, to, chance) = raw;
    if from >= lasts && end != End::Vanish {
        return None;
    }
    let chance = if to <= lasts && stays == Chance::Certain { chance } else { Chance::Possible };
    Some(Cause { end, begins, from, to: to.min(lasts), chance })
}

/// The first event that nobody takes drops its sender, unless it is told so by a failed
/// acknowledgement.
fn unhandled(
    plan: &Plan,
    index: PopulationIndex,
    population: &Population,
    traffic: &Traffic,
    opened: Duration,
) -> Option<Raw> {
    let Destination::Event { event, .. } = &traffic.to else { return None };
    let event = Event::User(event.clone());
    let is_heard = plan.hub.events.listeners.iter().any(|listener| listener.takes(&event));
    let is_dropped = match (population.protocol, plan.hub.events.policy.failed_user_event) {
        (Subprotocol::Simple, _) | (Subprotocol::Json, FailedUserEvent::Drop) => true,
        (Subprotocol::Json, FailedUserEvent::AckError) => false,
    };
    let is_taken = is_heard || flow::is_handled(plan, traffic);
    if !traffic.is_from(index) || !is_dropped || is_taken {
        return None;
    }
    let category = CloseCategory::EventHandlerNotFound;
    at_first_message(plan, population, traffic, opened, category)
}

/// The first message that is larger than the hub takes drops its sender.
fn oversize(
    plan: &Plan,
    index: PopulationIndex,
    population: &Population,
    traffic: &Traffic,
    opened: Duration,
) -> Option<Raw> {
    let is_taken = u64::from(traffic.size) <= plan.hub.limits.message_bytes;
    if !traffic.is_from(index) || is_taken {
        return None;
    }
    at_first_message(plan, population, traffic, opened, CloseCategory::BadRequest)
}

/// A drop for the first message that a client sends of a traffic.
fn at_first_message(
    plan: &Plan,
    population: &Population,
    traffic: &Traffic,
    opened: Duration,
    category: CloseCategory,
) -> Option<Raw> {
    let end = flow::end(plan, traffic);
    let first = traffic.start.max(opened);
    if first >= end {
        return None;
    }
    // Each sender has an instant of its own within one period. It may not be open at the first.
    let ready = traffic.start.max(opened.saturating_add(OPENING));
    let latest = ready.saturating_add(flow::seconds(1.0 / traffic.rate));
    let from = first - opened;
    let is_certain = traffic.from.count() >= population.count && latest <= end;
    let chance = if is_certain { Chance::Certain } else { Chance::Possible };
    let to = latest.saturating_sub(opened);
    Some((End::Drop(category), from, to, chance))
}

/// What shaping leads to, from the open on.
fn link_causes(
    plan: &Plan,
    index: PopulationIndex,
    population: &Population,
    opened: Duration,
) -> Vec<Raw> {
    let shaping = &population.shaping;
    let mut causes = Vec::new();
    if let Some(rate) = shaping.bandwidth {
        let absorbed = absorption(population.buffers.receive, plan.hub.buffers.send);
        causes.extend(lagging(plan, population, opened, rate, absorbed));
    }
    let by = link::round_trip(shaping);
    if !by.is_zero() {
        let late = Behaviour::DelayPong { by };
        let timed = TimedBehaviour { behaviour: late, from: Duration::ZERO, until: None };
        causes.extend(raw_causes(plan, index, population, &timed, opened));
    }
    let cut = link::cut(plan, index, population, opened);
    causes.extend(cut.map(|(from, to)| (End::Cut, from, to, Chance::Certain)));
    causes
}

/// Whether a client that behaves so does not leave by itself any more.
const fn is_final(behaviour: &Behaviour) -> bool {
    matches!(behaviour, Behaviour::Vanish { .. })
}

/// When a client that nobody drops leaves.
fn leaves_at(
    plan: &Plan,
    population: &Population,
    index: PopulationIndex,
    arrival: Duration,
) -> Duration {
    let sent_away = plan.faults.iter().find_map(|at| match at.fault {
        Fault::Leave { population, count: None } if population == index => Some(at.at),
        _ => None,
    });
    let lifetime = population.lifetime.map(|lifetime| arrival.saturating_add(lifetime));
    plan.duration.min(sent_away.unwrap_or(Duration::MAX)).min(lifetime.unwrap_or(Duration::MAX))
}

fn raw_causes(
    plan: &Plan,
    index: PopulationIndex,
    population: &Population,
    timed: &TimedBehaviour,
    begins: Duration,
) -> Vec<Raw> {
    let keep_alive = plan.hub.keep_alive;
    let is_from_open = begins > timed.from || timed.from.is_zero();
    let silence = |chance| -> Vec<Raw> {
        if shows_other_life(plan, index, population) {
            return Vec::new();
        }
        let early = if is_from_open { Duration::ZERO } else { keep_alive.interval };
        let from = keep_alive.timeout.saturating_sub(early);
        let to = keep_alive.timeout.saturating_add(keep_alive.interval);
        vec![(End::Drop(CloseCategory::PingTimeout), from, to, chance)]
    };
    let send = plan.hub.buffers.send;
    match timed.behaviour {
        Behaviour::AppPing { .. } => Vec::new(),
        Behaviour::SuppressPong => silence(Chance::Certain),
        Behaviour::DelayPong { by } if by > keep_alive.timeout => silence(Chance::Certain),
        Behaviour::DelayPong { by } => {
            // The first delayed pong comes up to an interval and the delay after the last prompt
            // one.
            match by.saturating_add(keep_alive.interval) > keep_alive.timeout {
                true => silence(Chance::Possible),
                false => Vec::new(),
            }
        }
        Behaviour::LosePong { probability } if probability >= 1.0 => silence(Chance::Certain),
        Behaviour::LosePong { probability } if probability > 0.0 => silence(Chance::Possible)
            .into_iter()
            .map(|(end, from, _, chance)| (end, from, Duration::MAX, chance))
            .collect(),
        Behaviour::LosePong { .. } => Vec::new(),
        Behaviour::SlowReadBytes { rate } => {
            lagging(plan, population, begins, rate, absorption(population.buffers.receive, send))
        }
        Behaviour::SlowReadMessages { rate } => {
            let reads = rate * mean_frame_bytes(plan, population);
            lagging(plan, population, begins, reads, absorption(population.buffers.receive, send))
        }
        Behaviour::Stall => {
            let absorbed = absorption(population.buffers.receive, send);
            let mut causes = lagging(plan, population, begins, 0.0, absorbed);
            causes.extend(silence(Chance::Certain));
            causes
        }
        Behaviour::Vanish { how: Vanish::Reset | Vanish::Fin } => {
            vec![(End::Vanish, Duration::ZERO, Duration::ZERO, Chance::Certain)]
        }
        Behaviour::Vanish { how: Vanish::BlackHole } => {
            // The relay that holds the silence reads with a buffer of the system's default size.
            let mut causes = lagging(plan, population, begins, 0.0, absorption(None, send));
            causes.extend(silence(Chance::Certain));
            causes
        }
    }
}

/// Whether the hub takes something else than pongs for life, and the client sends it often enough.
fn shows_other_life(plan: &Plan, index: PopulationIndex, population: &Population) -> bool {
    if plan.hub.keep_alive.life == LifeSign::Pong {
        return false;
    }
    let timeout = plan.hub.keep_alive.timeout;
    let is_silent = population
        .behaviours
        .iter()
        .any(|timed| matches!(timed.behaviour, Behaviour::Vanish { how: Vanish::BlackHole }));
    let pings = population
        .behaviours
        .iter()
        .any(|timed| matches!(timed.behaviour, Behaviour::AppPing { every } if every <= timeout));
    let publishes = plan.traffic.iter().any(|traffic| {
        traffic.is_from(index)
            && traffic.from.count() >= population.count
            && traffic.rate * timeout.as_secs_f64() >= 1.0
    });
    !is_silent && (pings || publishes)
}

/// Bytes of an average message to a population.
fn mean_frame_bytes(plan: &Plan, population: &Population) -> f64 {
    let (mut bytes, mut messages) = (0.0, 0.0);
    for traffic in flow::reaching(plan, population) {
        let rate = flow::messages_per_second(traffic);
        bytes += rate * flow::frame_bytes(population, traffic) as f64;
        messages += rate;
    }
    if messages > 0.0 { bytes / messages } else { 0.0 }
}

/// A reader that lags behind its traffic: a full queue, or pings that come too late.
fn lagging(
    plan: &Plan,
    population: &Population,
    begins: Duration,
    reads: f64,
    absorbed: std::ops::RangeInclusive<u64>,
) -> Vec<Raw> {
    let mut causes = Vec::new();
    let queue = flow::queue_bytes(plan, population);
    let fill =
        |kernel: u64| flow::time_to_fill(plan, population, begins, reads, kernel as f64 + queue);
    if let Some(soonest) = fill(*absorbed.start()) {
        let latest = fill(*absorbed.end());
        let from = soonest.mul_f64(1.0 - FILL_TOLERANCE);
        let to = latest
            .map_or(Duration::MAX, |to| flow::seconds(to.as_secs_f64() * (1.0 + FILL_TOLERANCE)));
        let chance = if latest.is_some() { Chance::Certain } else { Chance::Possible };
        causes.push((End::Drop(CloseCategory::SlowClient), from, to, chance));
    }
    causes.extend(late_pings(plan, population, begins, reads));
    causes
}

/// PingTimeout of a client that reads, but too slowly: the gap between two pings it meets. (One
/// that does not read at all is silent, which is counted elsewhere.)
fn late_pings(plan: &Plan, population: &Population, begins: Duration, reads: f64) -> Option<Raw> {
    let keep_alive = plan.hub.keep_alive;
    let starts: Vec<Duration> =
        flow::reaching(plan, population).map(|traffic| traffic.start.max(begins)).collect();
    let (busiest, at) = starts
        .into_iter()
        .map(|at| (flow::bytes_per_second(plan, population, at), at))
        .max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    if reads <= 0.0 || busiest <= reads {
        return None;
    }
    let gap = keep_alive.interval.as_secs_f64() * busiest / reads;
    let most = keep_alive.timeout.saturating_add(keep_alive.interval);
    if gap <= keep_alive.timeout.as_secs_f64() {
        return None;
    }
    let chance = if gap > most.as_secs_f64() { Chance::Certain } else { Chance::Possible };
    let after = at - begins;
    let from = after.saturating_add(keep_alive.timeout.saturating_sub(keep_alive.interval));
    Some((End::Drop(CloseCategory::PingTimeout), from, after.saturating_add(most), chance))
}
