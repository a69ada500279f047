//! How early a run may end: not before every misbehaviour has begun and had its time.

use std::time::Duration;

use crate::predict;
use crate::protocol::settings::LifeSign;
use crate::scenario::Plan;
use crate::scenario::plan::{
    Behaviour, Claim, Metric, Population, PopulationIndex, TimedBehaviour, Vanish,
};

/// Beyond the exact bounds: for clients that open late and for what is under way.
const MARGIN: Duration = Duration::from_millis(250);

/// Before this, from the start of the timeline, a run that looks decided is not: a drop that must
/// not occur, or of which only so many may, could still come of a misbehaviour. At most the plan's
/// duration; zero where every population that misbehaves is demanded to be dropped as a whole, for
/// then its drops decide it.
///
/// A client that falls silent is dropped within a timeout and an interval; slow reading, pongs lost
/// by chance, and silence beside which the hub takes something else for life may lead to a drop at
/// any time while their window is open.
///
/// Where nothing is waited for at all (no drop, recovery or fault, no traffic with an end), looking
/// on for the whole duration is what the scenario asks.
#[must_use]
pub fn earliest_end(plan: &Plan) -> Duration {
    if !has_an_end_of_its_own(plan) {
        return plan.duration;
    }
    (0..)
        .zip(&plan.populations)
        .filter(|(index, population)| {
            !population.is_well_behaved() && !is_dropped_as_a_whole(plan, *index, population)
        })
        .map(|(index, population)| settled_at(plan, index, population))
        .max()
        .unwrap_or_default()
        .min(plan.duration)
}

/// Whether something that happens decides the scenario.
fn has_an_end_of_its_own(plan: &Plan) -> bool {
    let demands = plan.expectations.iter().any(|expectation| match &expectation.claim {
        Claim::Closes(wanted) => {
            wanted.iter().any(|(category, quantity)| category.is_drop() && quantity.at_least > 0)
        }
        Claim::RefusedBody(wanted) => !wanted.is_empty(),
        Claim::Refused(wanted) | Claim::CloseCodes(wanted) => {
            wanted.iter().any(|(_, quantity)| quantity.at_least > 0)
        }
        Claim::Recovered(quantity) => quantity.at_least > 0,
        Claim::CloseWithin { .. }
        | Claim::QueueAtCloseJustOverLimit { .. }
        | Claim::Opens(_)
        | Claim::Amplification { .. }
        | Claim::DeliveryComplete
        | Claim::RepliesComplete
        | Claim::Steady { .. } => false,
    });
    let misbehaves = plan.populations.iter().any(|population| !population.is_well_behaved());
    let ends = plan.traffic.iter().any(|traffic| traffic.until.is_some());
    let counts = plan.thresholds.iter().any(
        |threshold| matches!(threshold.metric, Metric::Closes(category) if category.is_drop()),
    );
    let logs = plan.server_side.log.iter().any(|line| line.count.at_least > 0);
    demands || logs || counts || misbehaves || ends || !plan.faults.is_empty()
}

/// Whether as many drops are demanded as there are clients.
fn is_dropped_as_a_whole(plan: &Plan, index: PopulationIndex, population: &Population) -> bool {
    let of_it = plan.expectations.iter().filter(|expectation| expectation.population == index);
    of_it.into_iter().any(|expectation| match &expectation.claim {
        Claim::Closes(wanted) => {
            let drops = wanted.iter().filter(|(category, _)| category.is_drop());
            let demanded =
                drops.fold(0_u64, |sum, (_, quantity)| sum.saturating_add(quantity.at_least));
            demanded >= u64::from(population.count)
        }
        _ => false,
    })
}

/// When whatever a population's misbehaviours may cause has had its time.
fn settled_at(plan: &Plan, index: PopulationIndex, population: &Population) -> Duration {
    // Later ones of closed arrivals come when a place is free, at any time.
    let Some(arrived) = predict::last_arrival(plan, population) else { return plan.duration };
    population
        .behaviours
        .iter()
        .filter(|timed| timed.behaviour.is_misbehaviour())
        .map(|timed| effect_until(plan, index, population, timed, arrived))
        .max()
        .unwrap_or_default()
}

fn effect_until(
    plan: &Plan,
    index: PopulationIndex,
    population: &Population,
    timed: &TimedBehaviour,
    arrived: Duration,
) -> Duration {
    let keep_alive = plan.hub.keep_alive;
    let silence = keep_alive.timeout.saturating_add(keep_alive.interval).saturating_add(MARGIN);
    let begun = timed.from.max(arrived);
    // Who churns falls silent anew whenever it is back.
    let starts_again = population.churn.is_some()
        || keep_alive.life != LifeSign::Pong && sends(plan, index, population);
    let until = match timed.behaviour {
        Behaviour::Vanish { how: Vanish::Reset | Vanish::Fin } => {
            return begun.saturating_add(MARGIN);
        }
        Behaviour::Vanish { how: Vanish::BlackHole } => begun.saturating_add(silence),
        Behaviour::SlowReadBytes { .. } | Behaviour::SlowReadMessages { .. } => plan.duration,
        Behaviour::LosePong { probability } if probability < 1.0 => plan.duration,
        Behaviour::SuppressPong
        | Behaviour::DelayPong { .. }
        | Behaviour::LosePong { .. }
        | Behaviour::Stall => match starts_again {
            true => plan.duration,
            false => begun.saturating_add(silence),
        },
        Behaviour::AppPing { .. } => Duration::ZERO,
    };
    let closed = timed.until.map_or(Duration::MAX, |until| until.saturating_add(silence));
    until.min(closed)
}

/// Whether a population's clients send anything of their own.
fn sends(plan: &Plan, index: PopulationIndex, population: &Population) -> bool {
    let pings = population
        .behaviours
        .iter()
        .any(|timed| matches!(timed.behaviour, Behaviour::AppPing { .. }));
    pings || plan.traffic.iter().any(|traffic| traffic.is_from(index))
}
