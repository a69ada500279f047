//! The forecast of each population: how it ends, and how many rows of each drop that gives.

use std::collections::BTreeMap;
use std::time::Duration;

use super::behaviour::{Cause, Chance, End, causes};
use super::handler::{HandlerForecast, Refusal, handler};
use super::{Fate, cap, fault, flow, rate};
use crate::pace::{self, Purpose};
use crate::protocol::CloseCategory;
use crate::scenario::Plan;
use crate::scenario::plan::{
    Arrival, Fault, FaultAt, Population, PopulationIndex, Quantity, Reconnect, ReconnectAfter,
    ReconnectPolicy, TokenPolicy,
};

/// A connection that is younger than this when a fault strikes may not be open yet.
const YOUNG: Duration = Duration::from_secs(1);

/// What is foretold of a population.
#[derive(Clone, Debug, PartialEq)]
pub struct Forecast {
    /// How it ends.
    pub fate: Fate,
    /// Rows of each drop, refused attempts included. A category that is missing does not occur.
    pub drops: BTreeMap<CloseCategory, Quantity>,
}

/// Foretells every population, in plan order.
#[must_use]
pub fn forecasts(plan: &Plan) -> Vec<Forecast> {
    let arrivals: Vec<Vec<Duration>> =
        plan.populations.iter().map(|population| arrivals(plan, population)).collect();
    if let HandlerForecast::Refuses(refusal) = handler(plan) {
        let of = plan.populations.iter().zip(&arrivals);
        return of.map(|(of, arrivals)| refused(plan, of, arrivals, refusal)).collect();
    }
    let refusals = cap::refusals(plan, &arrivals);
    let throttled = rate::refusals(plan, &arrivals);
    (0..)
        .zip(&plan.populations)
        .zip(arrivals.iter().zip(refusals.into_iter().zip(throttled)))
        .map(|((index, population), (arrivals, (refused, throttled)))| {
            Seer { plan, index, population, arrivals, refused, throttled }.forecast()
        })
        .collect()
}

/// The forecast of a population that is never let in: nothing else happens to it.
fn refused(
    plan: &Plan,
    population: &Population,
    arrivals: &[Duration],
    refusal: Refusal,
) -> Forecast {
    // Whose handshake is cut short is not refused.
    let cuts = |at: &FaultAt| matches!(at.fault, Fault::Freeze { .. } | Fault::Leave { .. });
    let is_calm = population.shaping.is_ideal()
        && population.is_well_behaved()
        && !plan.faults.iter().any(cuts);
    let in_time = |at: &&Duration| at.saturating_add(refusal.to) < plan.duration;
    let at_least = if is_calm { arrivals.iter().filter(in_time).count() as u64 } else { 0 };
    let count = u64::from(population.count);
    let Reconnect { policy, after, attempts, .. } = &population.reconnect;
    let at_most = match (policy, after) {
        (ReconnectPolicy::None, _) | (_, ReconnectAfter::Drop) => count,
        (_, ReconnectAfter::Any) => attempts
            .map_or(u64::MAX, |more| count.saturating_mul(u64::from(more).saturating_add(1))),
    };
    let drops = [(refusal.category, Quantity { at_least, at_most })].into();
    Forecast { fate: Fate::Refused(refusal), drops }
}

/// Planned instants of a population's arrivals, ascending, from the start of the timeline. Of
/// closed arrivals only those of the first clients are planned; the others come when a place is
/// free.
pub(super) fn arrivals(plan: &Plan, population: &Population) -> Vec<Duration> {
    match &population.arrival {
        Arrival::Open { start, schedule } => {
            let rng = pace::stream(plan.seed, &population.name, 0, Purpose::Arrival);
            pace::arrivals(schedule, population.count, rng)
                .map(|at| start.saturating_add(at))
                .collect()
        }
        Arrival::Closed { start, slots } => {
            vec![*start; usize::try_from(population.count.min(*slots)).unwrap_or(usize::MAX)]
        }
    }
}

/// The planned instant of a population's last arrival, from the start of the timeline; `None` where
/// it depends on when places become free.
#[must_use]
pub fn last_arrival(plan: &Plan, population: &Population) -> Option<Duration> {
    match population.arrival {
        Arrival::Closed { slots, .. } if slots < population.count => None,
        _ => Some(arrivals(plan, population).last().copied().unwrap_or_default()),
    }
}

/// How a client ends, seen from one arrival.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Ending {
    Leaves,
    Vanishes,
    Cut { from: Duration, to: Duration },
    Dropped { category: CloseCategory, by: By, from: Duration, to: Duration },
    Races { first: CloseCategory, second: CloseCategory },
}

/// What dropped it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Behaviour,
    Fault,
}

struct Seer<'a> {
    plan: &'a Plan,
    index: PopulationIndex,
    population: &'a Population,
    arrivals: &'a [Duration],
    /// By the tier's cap.
    refused: Quantity,
    /// By the limit of new connections.
    throttled: rate::Throttled,
}

impl Seer<'_> {
    fn forecast(&self) -> Forecast {
        let ending = match (self.arrivals.first(), self.arrivals.last()) {
            (Some(first), Some(last)) => merge(self.ending(*first), self.ending(*last)),
            _ => Ending::Leaves,
        };
        let mut drops = self.fault_drops(ending);
        let unauthorized = self.unauthorized(ending);
        let mut add = |category: CloseCategory, rows: Quantity| {
            let sum = drops.entry(category).or_insert(Quantity::exactly(0));
            sum.at_least = sum.at_least.saturating_add(rows.at_least);
            sum.at_most = sum.at_most.saturating_add(rows.at_most);
        };
        let count = u64::from(self.population.count);
        let many = self.returns() || self.population.churn.is_some();
        let most = if many { u64::MAX } else { count };
        match ending {
            Ending::Dropped { category, by: By::Behaviour, .. } => {
                let at_least = count.saturating_sub(self.turned_away());
                add(category, Quantity { at_least, at_most: most });
            }
            Ending::Races { first, second } => {
                for category in [first, second].into_iter().filter(|of| of.is_drop()) {
                    add(category, Quantity { at_least: 0, at_most: most });
                }
            }
            Ending::Dropped { by: By::Fault, .. } if self.returns() => {
                // It misbehaves again when it is back.
                for cause in self.causes_after_return() {
                    add(cause, Quantity { at_least: 0, at_most: u64::MAX });
                }
            }
            Ending::Dropped { .. } | Ending::Leaves | Ending::Vanishes | Ending::Cut { .. } => {}
        }
        if self.refused.at_most > 0 {
            add(CloseCategory::ConnectionCountLimitReached, self.refused);
        }
        if self.throttled.rows.at_most > 0 {
            add(CloseCategory::Throttled, self.throttled.rows);
        }
        add(CloseCategory::Unauthorized, unauthorized);
        drops.retain(|_, rows| rows.at_most > 0);
        Forecast { fate: self.fate(ending, &drops), drops }
    }

    /// The fate that people are told: of those that are dropped, when only some are.
    fn fate(&self, ending: Ending, drops: &BTreeMap<CloseCategory, Quantity>) -> Fate {
        match ending {
            Ending::Vanishes => Fate::Vanishes,
            Ending::Cut { from, to } => Fate::Cut { from, to },
            Ending::Races { first, second } => Fate::Ambiguous { first, second },
            Ending::Dropped { category, from, to, .. } => Fate::Dropped { category, from, to },
            Ending::Leaves => match drops.iter().find(|(_, rows)| rows.at_least > 0) {
                Some((category, _)) => {
                    let to = self.spread(*category);
                    Fate::Dropped { category: *category, from: Duration::ZERO, to }
                }
                None => Fate::Leaves,
            },
        }
    }

    /// How long the faults that cause a category are spread over, at most.
    fn spread(&self, category: CloseCategory) -> Duration {
        let faults = self.plan.faults.iter().map(|at| &at.fault);
        faults
            .filter(|of| fault::category(of) == Some(category))
            .map(fault::spread)
            .max()
            .unwrap_or(Duration::ZERO)
    }

    /// Clients that are refused when they arrive, at most.
    fn turned_away(&self) -> u64 {
        self.refused.at_most.saturating_add(self.throttled.arriving)
    }

    fn returns(&self) -> bool {
        self.population.reconnect.policy != ReconnectPolicy::None
    }

    fn causes_after_return(&self) -> Vec<CloseCategory> {
        let arrival = self.arrivals.first().copied().unwrap_or_default();
        let mut categories: Vec<_> = causes(self.plan, self.index, arrival)
            .iter()
            .filter_map(|cause| match cause.end {
                End::Drop(category) => Some(category),
                End::Fault(_) | End::Vanish | End::Cut => None,
            })
            .collect();
        categories.sort_unstable();
        categories.dedup();
        categories
    }

    /// How a client that arrives at `arrival` ends: the earliest cause, if it is clear which.
    fn ending(&self, arrival: Duration) -> Ending {
        let mut causes = causes(self.plan, self.index, arrival);
        causes.extend(self.fault_causes(arrival));
        let deadline =
            causes.iter().filter(|cause| cause.chance == Chance::Certain).map(Cause::latest).min();
        let limit = deadline.unwrap_or(Duration::MAX);
        causes.retain(|cause| cause.earliest() < limit || cause.latest() == limit);
        causes.sort_by_key(Cause::earliest);
        let Some(first) = causes.first().copied() else { return Ending::Leaves };
        let rival = causes.iter().find(|cause| category_of(cause.end) != category_of(first.end));
        let other = match (rival, deadline) {
            (Some(rival), _) => category_of(rival.end),
            // Nothing certain: it may as well leave in order.
            (None, None) => CloseCategory::Normal,
            (None, Some(_)) => return settled(first, &causes, limit),
        };
        match category_of(first.end) {
            same if same == other => settled(first, &causes, limit),
            category => Ending::Races { first: category, second: other },
        }
    }

    /// Faults that drop the whole population, as causes.
    fn fault_causes(&self, arrival: Duration) -> Vec<Cause> {
        let count = u64::from(self.population.count);
        let mut causes = Vec::new();
        for at in self.plan.faults.iter().filter(|at| at.at >= arrival) {
            let victims = fault::victims(self.plan, self.index, &at.fault, count);
            let Some(category) = fault::category(&at.fault) else { continue };
            if victims.at_least >= count && count > 0 {
                causes.push(Cause {
                    end: End::Fault(category),
                    begins: at.at,
                    from: Duration::ZERO,
                    to: fault::spread(&at.fault),
                    chance: Chance::Certain,
                });
            }
        }
        causes
    }

    /// Rows that the faults of the timeline give, in order of time: who is dropped for good is not
    /// there for the next one.
    fn fault_drops(&self, ending: Ending) -> BTreeMap<CloseCategory, Quantity> {
        let mut drops = BTreeMap::new();
        let mut gone = Quantity::exactly(0);
        for at in &self.plan.faults {
            let present = self.present(at.at, gone, ending);
            if let Fault::Leave { population, count } = at.fault {
                if population == self.index {
                    let leaving = count.map_or(present.at_most, u64::from);
                    gone.at_least = gone.at_least.saturating_add(leaving.min(present.at_least));
                    gone.at_most = gone.at_most.saturating_add(leaving.min(present.at_most));
                }
                continue;
            }
            let Some(category) = fault::category(&at.fault) else { continue };
            let least = fault::victims(self.plan, self.index, &at.fault, present.at_least);
            let most = fault::victims(self.plan, self.index, &at.fault, present.at_most);
            let sum = drops.entry(category).or_insert(Quantity::exactly(0));
            sum.at_least = sum.at_least.saturating_add(least.at_least);
            sum.at_most = sum.at_most.saturating_add(most.at_most);
            // Who comes back may be there again by then, or not yet.
            gone.at_most = gone.at_most.saturating_add(most.at_most);
            if !self.returns() {
                gone.at_least = gone.at_least.saturating_add(least.at_least);
            }
        }
        drops
    }

    /// Attempts to come back with a token that has expired: of whoever keeps its first one.
    fn unauthorized(&self, ending: Ending) -> Quantity {
        let TokenPolicy::Once { lifetime } = self.population.token else {
            return Quantity::exactly(0);
        };
        let good_for = lifetime.saturating_add(self.plan.hub.limits.token_skew);
        let (Some(first), Some(last)) = (self.arrivals.first(), self.arrivals.last()) else {
            return Quantity::exactly(0);
        };
        let comes_back = self.returns() || self.population.churn.is_some();
        if !comes_back || first.saturating_add(good_for) >= self.plan.duration {
            return Quantity::exactly(0);
        }
        let any = Quantity { at_least: 0, at_most: u64::MAX };
        // Only of a single fault that strikes when every token has expired is more known.
        let [at] = self.plan.faults.as_slice() else { return any };
        let is_calm = self.population.is_well_behaved()
            && self.population.shaping.is_ideal()
            && self.population.churn.is_none();
        if !is_calm || at.at <= last.saturating_add(good_for) {
            return any;
        }
        let present = self.present(at.at, Quantity::exactly(0), ending);
        let victims = |present| fault::victims(self.plan, self.index, &at.fault, present);
        let attempts = cap::delays_at_most(&self.population.reconnect);
        let begun = attempts.map(|delay| at.at.saturating_add(delay).saturating_add(YOUNG));
        let in_time = begun.take_while(|begun| *begun < self.plan.duration).count() as u64;
        let most = self.population.reconnect.attempts.map_or(u64::MAX, u64::from);
        Quantity {
            at_least: victims(present.at_least).at_least.saturating_mul(in_time),
            at_most: victims(present.at_most).at_most.saturating_mul(most),
        }
    }

    /// Connections of the population that are open when a fault strikes.
    fn present(&self, at: Duration, gone: Quantity, ending: Ending) -> Quantity {
        let arrived = |by: Duration| self.arrivals.partition_point(|arrival| *arrival <= by) as u64;
        let count = u64::from(self.population.count);
        let is_closed = matches!(self.population.arrival, Arrival::Closed { .. });
        let most = if is_closed { flow::members(self.population) } else { arrived(at) };
        let old = at.checked_sub(YOUNG).map_or(0, arrived);
        let is_steady = matches!(ending, Ending::Leaves | Ending::Dropped { by: By::Fault, .. })
            && self.population.lifetime.is_none()
            && self.population.churn.is_none();
        // A drop by its own behaviour may come before the fault or after it, and who churns may be
        // on its way back.
        let least = if is_steady { old } else { 0 };
        Quantity {
            at_least: least.saturating_sub(gone.at_most.saturating_add(self.turned_away())),
            at_most: most.min(count).saturating_sub(gone.at_least),
        }
    }
}

/// The category of a row that ends like this.
const fn category_of(end: End) -> CloseCategory {
    match end {
        End::Drop(category) | End::Fault(category) => category,
        // The hub sees its client gone.
        End::Vanish | End::Cut => CloseCategory::Normal,
    }
}

/// The ending by causes of one category.
fn settled(first: Cause, causes: &[Cause], limit: Duration) -> Ending {
    let latest = causes.iter().map(Cause::latest).max().unwrap_or(limit).min(limit);
    let (from, to) = (first.from, latest.saturating_sub(first.begins));
    match first.end {
        End::Vanish => Ending::Vanishes,
        End::Cut => Ending::Cut { from, to },
        End::Drop(category) => Ending::Dropped { category, by: By::Behaviour, from, to },
        End::Fault(category) => Ending::Dropped { category, by: By::Fault, from, to },
    }
}

/// What two clients of a population, the first and the last, have in common.
fn merge(one: Ending, other: Ending) -> Ending {
    match (one, other) {
        (
            Ending::Dropped { category, by, from, to },
            Ending::Dropped { category: c, by: b, from: f, to: t },
        ) if category == c && by == b => {
            Ending::Dropped { category, by, from: from.min(f), to: to.max(t) }
        }
        (Ending::Cut { from, to }, Ending::Cut { from: f, to: t }) => {
            Ending::Cut { from: from.min(f), to: to.max(t) }
        }
        (one, other) if one == other => one,
        (races @ Ending::Races { .. }, _) | (_, races @ Ending::Races { .. }) => races,
        (one, other) => {
            let category = |ending| match ending {
                Ending::Dropped { category, .. } => category,
                Ending::Leaves | Ending::Vanishes | Ending::Cut { .. } | Ending::Races { .. } => {
                    CloseCategory::Normal
                }
            };
            let (first, second) = (category(one), category(other));
            if first == second { one } else { Ending::Races { first, second } }
        }
    }
}
