//! Puts an estimate together.

use jiff::civil::Date;

use super::super::bill::{
    DAYS_A_MONTH, Range, billed_per_day, billed_per_second, included_per_day, unit_days,
};
use super::super::demand::{demand, flows};
use super::super::dimension::{Dimension, Pattern};
use super::super::prices::{AGE_DAYS_MAX, Prices};
use super::super::sizing::{Rung, Utilisation, rank, rung, size, utilisation};
use super::super::table::{capacities, unit_steps};
use super::super::workload::{Basis, Need, Revision, Workload};
use super::{
    Between, Break, Cost, ESTIMATE_VERSION, Estimate, Figure, FlowRow, Held, Load, Messages,
    Resource, Revisions, Sensitivity, Step, Use, Varied, assumptions, parts,
};
use crate::protocol::settings::Tier;

/// What a workload comes to; with prices and today's date, also in money.
#[must_use]
pub fn estimate(workload: &Workload, prices: Option<(&Prices, Date)>) -> Estimate {
    let sizing = size(workload);
    // The ladder is never empty: Premium has steps whatever is needed.
    let best = sizing.best().cloned().unwrap_or_else(|| rung(workload, Tier::Premium, 1_000));
    let resource = resource(&best);
    let paid = Paid::following(workload, resource);
    let reload = parts::reload(workload, resource);
    let mut estimate = Estimate {
        schema_version: ESTIMATE_VERSION,
        title: workload.title.clone(),
        load: load(workload),
        recommended: sizing.fitting().map(self::resource),
        ladder: sizing.ladder.iter().map(step).collect(),
        held: workload
            .held
            .map(|(tier, units)| held(workload, &rung(workload, tier, units), prices)),
        break_order: best.break_order().iter().map(broken).collect(),
        planned_first: best.planned_first().as_ref().map(broken),
        messages: messages(workload, paid),
        // What nothing carries has no price.
        cost: prices
            .filter(|_| sizing.fitting().is_some())
            .map(|(prices, today)| cost(workload, paid, prices, today)),
        flash_crowd: [2.0, 3.0].map(|times| parts::flash(workload, resource, times)).to_vec(),
        quota: parts::quota(workload, paid),
        upstream: parts::upstream(workload, &reload),
        message_sizes: parts::message_sizes(workload),
        scaling: parts::scaling(workload, &best),
        loss: parts::loss(workload, &reload),
        slow_cohort: parts::slow_cohort(workload),
        sensitivity: sensitivity(workload, resource, prices.map(|(prices, _)| prices)),
        revisions: revisions(workload),
        assumptions: assumptions::list(workload),
        cautions: Vec::new(),
        consistency: None,
        reload,
    };
    estimate.cautions = assumptions::cautions(workload, &estimate);
    estimate
}

/// The resource of a rung.
pub(super) const fn resource(rung: &Rung) -> Resource {
    Resource::of(rung.tier, rung.units)
}

/// A resource, and what of it is paid for and counts for the included messages.
#[derive(Clone, Copy)]
pub(super) struct Paid {
    pub(super) tier: Tier,
    /// A day.
    pub(super) unit_days: f64,
}

impl Paid {
    /// Units that follow the load, where that is needed.
    fn following(workload: &Workload, resource: Resource) -> Self {
        Self { tier: resource.tier, unit_days: unit_days_of(workload, resource) }
    }

    /// All of them all day.
    fn fixed(resource: Resource) -> Self {
        Self { tier: resource.tier, unit_days: f64::from(resource.units) }
    }

    /// Messages a day that it may send before they cost extra, or before Free stops.
    pub(super) fn included(self) -> f64 {
        included_per_day(self.tier, self.unit_days)
    }
}

/// The resource that is looked at, with the units it has.
fn held(workload: &Workload, rung: &Rung, prices: Option<(&Prices, Date)>) -> Held {
    let mut step = step(rung);
    let paid = Paid::fixed(step.resource);
    let floor = workload.tier_floor();
    let missing: Vec<Need> = match rank(rung.tier) < rank(floor) {
        true => workload.needs.iter().copied().collect(),
        false => Vec::new(),
    };
    step.fits &= missing.is_empty();
    Held {
        missing,
        messages: messages(workload, paid),
        quota: parts::quota(workload, paid),
        cost: prices.map(|(prices, today)| cost(workload, paid, prices, today)),
        step,
    }
}

/// What holds a workload.
pub(super) fn needed(workload: &Workload) -> Option<Resource> {
    size(workload).fitting().map(resource)
}

/// The fullest dimension of a workload on a resource.
pub(super) fn fullest(workload: &Workload, on: Resource) -> Option<Use> {
    rung(workload, on.tier, on.units).breaks_first().as_ref().map(used)
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn load(workload: &Workload) -> Load {
    let basis = workload.basis;
    let row = |flow: super::super::Flow| FlowRow {
        name: flow.name,
        pattern: flow.pattern,
        size_bytes: flow.size,
        receivers: flow.receivers,
        messages_in_per_s: flow.messages_in,
        messages_out_per_s: flow.messages_out,
        upstream_per_s: flow.upstream_requests,
        basis,
    };
    Load {
        connections: Figure::new(workload.connections as f64, basis),
        connections_counted: Figure::new(workload.connections_counted() as f64, basis),
        full_hours: Figure::new(workload.profile.full_hours(), basis),
        traffic: flows(workload).into_iter().map(row).collect(),
        needs: workload.needs.iter().copied().collect(),
        revision: workload.revision,
        unit_list: workload.unit_list,
        inbound: workload.inbound,
    }
}

const fn basis_of(dimension: Dimension) -> Basis {
    match dimension {
        Dimension::Connections | Dimension::Traffic(..) | Dimension::DailyMessages => {
            Basis::MicrosoftBenchmark
        }
        Dimension::Together => Basis::Assumption,
    }
}

fn used(one: &Utilisation) -> Use {
    Use {
        dimension: one.dimension,
        demand: one.demand,
        capacity: one.capacity,
        share: one.share(),
        planned_share: one.dimension.planned_share(),
        fits: one.fits(),
        basis: basis_of(one.dimension),
    }
}

fn step(rung: &Rung) -> Step {
    Step {
        resource: resource(rung),
        fits: rung.fits(),
        dimensions: rung.utilisation.iter().map(used).collect(),
    }
}

fn broken(one: &Utilisation) -> Break {
    let finite = |multiple: f64| multiple.is_finite().then_some(multiple);
    Break {
        dimension: one.dimension,
        share: one.share(),
        planned_multiple: finite(one.planned_multiple()),
        break_multiple: finite(one.break_multiple()),
        basis: basis_of(one.dimension),
    }
}

pub(super) const fn between(range: Range, basis: Basis) -> Between {
    Between { least: range.least, most: range.most, basis }
}

/// Unit-days of a day: where units follow the load, what each hour of the profile needs.
fn unit_days_of(workload: &Workload, resource: Resource) -> f64 {
    let held: Vec<(u32, f64)> =
        units_by_hour(workload, resource).into_iter().map(|units| (units, 1.0)).collect();
    unit_days(&held)
}

/// Units in each hour of the day (UTC): all of them, or where units follow the load what each hour
/// of the profile needs.
#[must_use]
pub fn units_by_hour(workload: &Workload, resource: Resource) -> Vec<u32> {
    if !workload.needs.contains(&Need::Autoscale) {
        return vec![resource.units; 24];
    }
    let steps = unit_steps(resource.tier, workload.unit_list);
    let demand = demand(workload);
    let at = |share: f64| {
        let demand: Vec<_> = demand.iter().map(|(of, amount)| (*of, amount * share)).collect();
        let fits = |units: &&u32| {
            let carried = capacities(resource.tier, **units, workload.revision, workload.inbound);
            utilisation(&demand, &carried).iter().all(Utilisation::fits)
        };
        steps.iter().find(fits).copied().unwrap_or(resource.units)
    };
    workload.profile.0.iter().map(|share| at(*share)).collect()
}

fn extra(billed: Range, included: f64) -> Range {
    Range { least: (billed.least - included).max(0.0), most: (billed.most - included).max(0.0) }
}

fn messages(workload: &Workload, paid: Paid) -> Messages {
    let per_day = billed_per_day(workload);
    let included = paid.included();
    let beyond = match paid.tier {
        Tier::Free => Range { least: 0.0, most: 0.0 },
        Tier::Standard | Tier::Premium => extra(per_day, included),
    };
    Messages {
        per_s: between(billed_per_second(workload), Basis::Model),
        per_day: between(per_day, Basis::Model),
        included_per_day: Figure::new(included, Basis::MicrosoftBenchmark),
        extra_per_day: between(beyond, Basis::Model),
        unit_days: Figure::new(paid.unit_days, Basis::Model),
    }
}

/// Units and messages of a month, in money.
fn money(workload: &Workload, paid: Paid, prices: &Prices) -> (f64, Range) {
    let month = |extra: f64| DAYS_A_MONTH * extra / 1e6 * prices.million_messages;
    let extra = messages(workload, paid).extra_per_day;
    let units = DAYS_A_MONTH * paid.unit_days * prices.unit_day(paid.tier);
    (units, Range { least: month(extra.least), most: month(extra.most) })
}

fn total(units: f64, messages: Range) -> Range {
    Range { least: units + messages.least, most: units + messages.most }
}

fn cost(workload: &Workload, paid: Paid, prices: &Prices, today: Date) -> Cost {
    let (units, messages) = money(workload, paid, prices);
    let age_days = prices.age_days(today);
    Cost {
        currency: prices.currency.clone(),
        unit_day: Figure::new(prices.unit_day(paid.tier), Basis::Assumption),
        million_messages: Figure::new(prices.million_messages, Basis::Assumption),
        units: Figure::new(units, Basis::Assumption),
        messages: between(messages, Basis::Assumption),
        total: between(total(units, messages), Basis::Assumption),
        date: prices.date.to_string(),
        source: prices.source.clone(),
        region: prices.region.clone(),
        age_days,
        is_old: age_days > AGE_DAYS_MAX,
        basis: Basis::Assumption,
    }
}

fn sensitivity(workload: &Workload, today: Resource, prices: Option<&Prices>) -> Vec<Sensitivity> {
    let mut rows = Vec::new();
    for what in [Varied::Users, Varied::Size, Varied::Rate] {
        for times in [0.8, 1.2] {
            let varied = match what {
                Varied::Users => workload.with_users(times),
                Varied::Size => workload.with_sizes(times),
                Varied::Rate => workload.with_rates(times),
            };
            let needed = needed(&varied);
            let cost = prices.zip(needed).map(|(prices, needed)| {
                let (units, messages) = money(&varied, Paid::following(&varied, needed), prices);
                between(total(units, messages), Basis::Assumption)
            });
            rows.push(Sensitivity {
                what,
                times,
                needed,
                fullest: fullest(&varied, today),
                per_day: between(billed_per_day(&varied), Basis::Model),
                cost,
                basis: Basis::Model,
            });
        }
    }
    rows
}

fn revisions(workload: &Workload) -> Revisions {
    let used = workload.revision;
    let other = match used {
        Revision::Newest => Revision::Older,
        Revision::Older => Revision::Newest,
    };
    let by_other = Workload { revision: other, ..workload.clone() };
    let is_small =
        |load: &Workload| flows(load).iter().any(|flow| flow.pattern == Pattern::SmallGroup);
    Revisions {
        used,
        other,
        other_recommends: needed(&by_other),
        matters: is_small(workload) || is_small(&by_other),
    }
}
