//! What shaping leads to by itself, whatever the clients do.
//!
//! A link that is narrower than its traffic is a slow reader (`behaviour`); one that is long
//! answers every ping late; and a middlebox cuts what is quiet for longer than it bears. The hub's
//! pings pass every interval, so only a middlebox with less patience than that cuts anything.

use std::time::Duration;

use super::flow;
use crate::scenario::Plan;
use crate::scenario::plan::{Behaviour, Population, PopulationIndex, Shaping};

/// How late a pong comes over a link, at most.
pub(super) fn round_trip(shaping: &Shaping) -> Duration {
    shaping.delay.saturating_add(shaping.jitter).saturating_mul(2)
}

/// When the link of a client that opened at `opened` is cut, from then: not before, not after.
/// `None` when something passes often enough.
pub(super) fn cut(
    plan: &Plan,
    index: PopulationIndex,
    population: &Population,
    opened: Duration,
) -> Option<(Duration, Duration)> {
    let patience = population.shaping.idle_cut?;
    let interval = plan.hub.keep_alive.interval;
    if interval < patience || pings(population, patience) {
        return None;
    }
    let quiet = first_quiet(plan, index, population, opened, patience)?.saturating_sub(opened);
    // A ping that comes within the quiet puts the cut off once.
    let latest = patience.saturating_add(interval).saturating_add(round_trip(&population.shaping));
    Some((quiet.saturating_add(patience), quiet.saturating_add(latest)))
}

/// Whether pings of the subprotocol pass often enough.
fn pings(population: &Population, patience: Duration) -> bool {
    population
        .behaviours
        .iter()
        .any(|timed| matches!(timed.behaviour, Behaviour::AppPing { every } if every < patience))
}

/// The first instant from `opened` on after which no traffic passes for longer than `patience`.
fn first_quiet(
    plan: &Plan,
    index: PopulationIndex,
    population: &Population,
    opened: Duration,
    patience: Duration,
) -> Option<Duration> {
    // Each stretch of traffic that is dense enough, by its start.
    let mut busy: Vec<(Duration, Duration)> = plan
        .traffic
        .iter()
        .filter(|traffic| {
            let sent = traffic.is_from(index) && traffic.from.count() >= population.count;
            let rate = match (traffic.reaches(population), sent) {
                (true, _) => flow::messages_per_second(traffic),
                (false, true) => traffic.rate,
                (false, false) => 0.0,
            };
            rate * patience.as_secs_f64() > 1.0
        })
        .map(|traffic| (traffic.start, flow::end(plan, traffic)))
        .collect();
    busy.sort_unstable();
    let mut quiet = opened;
    for (start, end) in busy {
        if start > quiet.saturating_add(patience) {
            break;
        }
        quiet = quiet.max(end);
    }
    (quiet.saturating_add(patience) < plan.duration).then_some(quiet)
}
