//! Who is refused when more clients arrive than the tier allows.
//!
//! Arrivals, retries of refused clients, leavers and changes of the tier are played through in
//! order of time. Where populations compete for the same places within [`CONTEST`], and from when
//! connections may end at times that are not known exactly, only bounds are told.

use std::collections::BTreeMap;
use std::time::Duration;

use super::behaviour::causes;
use super::fault;
use crate::protocol::HubSettings;
use crate::scenario::Plan;
use crate::scenario::plan::{
    Arrival, Fault, FirstAttempt, Population, PopulationIndex, Quantity, Reconnect, ReconnectAfter,
    ReconnectPolicy,
};

/// Attempts of two populations that are closer than this may come in either order.
const CONTEST: Duration = Duration::from_millis(250);

/// Attempts per client that are played through; a policy without an end goes on after that.
const ATTEMPTS_MAX: u32 = 1_000;

/// What happens at an instant. In the order in which those of one instant are played.
#[derive(Clone, Copy, Debug)]
enum Step {
    Scale { cap: u64 },
    Leave { population: PopulationIndex, count: Option<u32> },
    Expire { population: PopulationIndex },
    Attempt { population: PopulationIndex, attempt: u32, retries: Retries },
}

/// Whether an attempt answers a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Retries {
    First,
    Again,
}

/// Refused attempts of each population, in plan order. `arrivals` holds the planned instants of
/// each, from the start of the timeline.
pub(super) fn refusals(plan: &Plan, arrivals: &[Vec<Duration>]) -> Vec<Quantity> {
    let none = vec![Quantity::exactly(0); plan.populations.len()];
    let demand: u64 = plan.populations.iter().map(super::flow::members).sum();
    let caps = plan.faults.iter().filter_map(|at| scaled(plan, &at.fault));
    let least = caps.chain([plan.hub.connection_cap()]).min().unwrap_or(u64::MAX);
    if demand <= least { none } else { Play::new(plan, arrivals).run() }
}

/// The cap after a fault, when it changes the cap.
fn scaled(plan: &Plan, fault: &Fault) -> Option<u64> {
    match fault {
        Fault::Scale { tier, units } => {
            let hub = HubSettings { tier: *tier, units: *units, ..plan.hub.clone() };
            Some(hub.connection_cap())
        }
        _ => None,
    }
}

struct Play<'a> {
    plan: &'a Plan,
    steps: BTreeMap<(Duration, u8, u64), Step>,
    planned: u64,
    cap: u64,
    open: Vec<u64>,
    refused: Vec<u64>,
    attempts: Vec<Vec<Duration>>,
    refused_at: Vec<Vec<Duration>>,
    left: Vec<bool>,
}

impl<'a> Play<'a> {
    fn new(plan: &'a Plan, arrivals: &[Vec<Duration>]) -> Self {
        let count = plan.populations.len();
        let mut play = Self {
            plan,
            steps: BTreeMap::new(),
            planned: 0,
            cap: plan.hub.connection_cap(),
            open: vec![0; count],
            refused: vec![0; count],
            attempts: vec![Vec::new(); count],
            refused_at: vec![Vec::new(); count],
            left: vec![false; count],
        };
        for (population, instants) in (0..).zip(arrivals) {
            for at in instants {
                let attempt = Step::Attempt { population, attempt: 0, retries: Retries::First };
                play.plan_step(*at, attempt);
            }
        }
        for at in &plan.faults {
            match at.fault {
                Fault::Leave { population, count } => {
                    play.plan_step(at.at, Step::Leave { population, count });
                }
                ref fault => {
                    if let Some(cap) = scaled(plan, fault) {
                        play.plan_step(at.at, Step::Scale { cap });
                    }
                }
            }
        }
        play
    }

    fn plan_step(&mut self, at: Duration, step: Step) {
        let rank = match step {
            Step::Scale { .. } => 0,
            Step::Leave { .. } => 1,
            Step::Expire { .. } => 2,
            Step::Attempt { .. } => 3,
        };
        self.steps.insert((at, rank, self.planned), step);
        self.planned += 1;
    }

    fn run(mut self) -> Vec<Quantity> {
        while let Some(((at, _, _), step)) = self.steps.pop_first() {
            if at > self.plan.duration {
                break;
            }
            self.play(at, step);
        }
        (0..).zip(&self.plan.populations).map(|(index, _)| self.told(index)).collect()
    }

    fn play(&mut self, at: Duration, step: Step) {
        match step {
            Step::Scale { cap } => self.cap = cap,
            Step::Leave { population, count } => {
                let index = usize::from(population);
                let Some(open) = self.open.get_mut(index) else { return };
                *open = count.map_or(0, |count| open.saturating_sub(u64::from(count)));
                self.left[index] |= count.is_none();
            }
            Step::Expire { population } => {
                let open = &mut self.open[usize::from(population)];
                *open = open.saturating_sub(1);
            }
            Step::Attempt { population, attempt, retries } => {
                self.attempt(at, population, attempt, retries);
            }
        }
    }

    fn attempt(&mut self, at: Duration, index: PopulationIndex, attempt: u32, retries: Retries) {
        let plan = self.plan;
        let population = &plan.populations[usize::from(index)];
        let i = usize::from(index);
        if retries == Retries::Again && self.left[i] {
            return;
        }
        self.attempts[i].push(at);
        if self.open.iter().sum::<u64>() < self.cap {
            self.open[i] += 1;
            if let Some(lifetime) = population.lifetime {
                self.plan_step(at.saturating_add(lifetime), Step::Expire { population: index });
            }
            return;
        }
        self.refused[i] += 1;
        self.refused_at[i].push(at);
        let again = retry_delay(&population.reconnect, attempt);
        if let Some(delay) = again.filter(|_| attempt < ATTEMPTS_MAX) {
            let step =
                Step::Attempt { population: index, attempt: attempt + 1, retries: Retries::Again };
            // Never at the same instant again, or an endless policy would not let time pass.
            self.plan_step(at.saturating_add(delay.max(Duration::from_millis(1))), step);
        }
    }

    /// The refusals of a population, exact where nothing makes them a guess.
    fn told(&self, index: PopulationIndex) -> Quantity {
        let i = usize::from(index);
        let population = &self.plan.populations[i];
        let refused = self.refused[i];
        let clients = u64::from(population.count);
        let retries = match population.reconnect.after {
            _ if fault::may_drop(self.plan, index) => None,
            ReconnectAfter::Any => population.reconnect.attempts.map(u64::from),
            ReconnectAfter::Drop => Some(0),
        };
        let most = match &population.reconnect.policy {
            ReconnectPolicy::None => clients,
            _ => retries.map_or(u64::MAX, |retries| clients.saturating_mul(retries + 1)),
        };
        let certain = match self.is_guess(i) {
            true => Duration::ZERO,
            false => self.certain_until(),
        };
        let arrives_early = self.attempts[i].iter().all(|at| *at < certain);
        let is_once = matches!(population.reconnect.policy, ReconnectPolicy::None)
            && population.churn.is_none();
        match certain == Duration::MAX || (arrives_early && is_once) {
            true => Quantity::exactly(refused),
            false => {
                let early = self.refused_at[i].iter().filter(|at| **at < certain);
                Quantity { at_least: early.count() as u64, at_most: most }
            }
        }
    }

    /// Until when connections end at planned instants only.
    fn certain_until(&self) -> Duration {
        let plan = self.plan;
        let comes_and_goes = |population: &Population| {
            population.churn.is_some() || matches!(population.arrival, Arrival::Closed { .. })
        };
        if plan.populations.iter().any(comes_and_goes) {
            return Duration::ZERO;
        }
        let drops = plan.faults.iter().filter(|at| fault::category(&at.fault).is_some());
        let ends = (0..).zip(&self.attempts).flat_map(|(index, attempts)| {
            let first = attempts.first().copied().unwrap_or_default();
            causes(plan, index, first).into_iter().map(|cause| cause.earliest())
        });
        let first = drops.map(|at| at.at).chain(ends).min();
        first.map_or(Duration::MAX, |first| first.saturating_sub(CONTEST))
    }

    /// Whether it is not clear which of several attempts is refused.
    fn is_guess(&self, index: usize) -> bool {
        let population = &self.plan.populations[index];
        let refused = &self.refused_at[index];
        let is_contested = (0..self.attempts.len()).filter(|other| *other != index).any(|other| {
            are_close(refused, &self.attempts[other])
                || are_close(&self.attempts[index], &self.refused_at[other])
        });
        let is_drawn = !refused.is_empty() && is_jittered(&population.reconnect);
        is_contested || is_drawn
    }
}

/// Whether an instant of one list is within [`CONTEST`] of one of the other; both ascend.
pub(super) fn are_close(one: &[Duration], other: &[Duration]) -> bool {
    one.iter().any(|at| {
        let next = other.partition_point(|other| *other < at.saturating_sub(CONTEST));
        other.get(next).is_some_and(|other| *other <= at.saturating_add(CONTEST))
    })
}

/// How long a refused client waits before attempt `attempt + 1`; at most, where it is drawn.
fn retry_delay(reconnect: &Reconnect, attempt: u32) -> Option<Duration> {
    if reconnect.after == ReconnectAfter::Drop
        || reconnect.attempts.is_some_and(|most| attempt >= most)
    {
        return None;
    }
    let number = match reconnect.first {
        FirstAttempt::Within(window) if attempt == 0 => {
            return (reconnect.policy != ReconnectPolicy::None).then_some(window);
        }
        FirstAttempt::Within(_) => attempt,
        FirstAttempt::AfterDelay => attempt + 1,
    };
    match reconnect.policy {
        ReconnectPolicy::None => None,
        ReconnectPolicy::Fixed { every } => Some(every),
        ReconnectPolicy::Exponential { base, cap, .. } => {
            let factor = 1_u32.checked_shl(number.saturating_sub(1)).unwrap_or(u32::MAX);
            Some(base.saturating_mul(factor).min(cap))
        }
    }
}

/// When the attempts of a recovery come that are all refused at once, counted from its drop; at
/// the latest, where delays are drawn.
pub(super) fn delays_at_most(reconnect: &Reconnect) -> impl Iterator<Item = Duration> {
    let after_any = Reconnect { after: ReconnectAfter::Any, ..reconnect.clone() };
    let mut waited = Duration::ZERO;
    (0..ATTEMPTS_MAX).map_while(move |attempt| {
        waited = waited.saturating_add(retry_delay(&after_any, attempt)?);
        Some(waited)
    })
}

/// Whether the delays of a policy are drawn.
fn is_jittered(reconnect: &Reconnect) -> bool {
    if reconnect.after == ReconnectAfter::Drop {
        return false;
    }
    let first = matches!(reconnect.first, FirstAttempt::Within(window) if !window.is_zero());
    match reconnect.policy {
        ReconnectPolicy::None => false,
        ReconnectPolicy::Fixed { .. } => first,
        ReconnectPolicy::Exponential { jitter, .. } => {
            first || jitter != crate::scenario::plan::Jitter::None
        }
    }
}
