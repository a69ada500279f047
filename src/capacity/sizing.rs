//! The ladder of unit counts: the first that fits, and what breaks first on it.

use super::demand::demand;
use super::dimension::{Dimension, Pattern};
use super::table::{Capacity, capacities, unit_steps};
use super::workload::Workload;
use crate::protocol::settings::Tier;

/// Rungs told above the first that fits.
const RUNGS_ABOVE: usize = 2;

/// How full one dimension is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Utilisation {
    /// Which.
    pub dimension: Dimension,
    /// What the workload asks.
    pub demand: f64,
    /// What there is.
    pub capacity: f64,
}

impl Utilisation {
    /// Part of the capacity in use; above 1 is too much.
    #[must_use]
    pub fn share(&self) -> f64 {
        self.demand / self.capacity
    }

    /// Whether it stays within what is planned for.
    #[must_use]
    pub fn fits(&self) -> bool {
        // A part in a billion is rounding of the arithmetic, not load.
        self.share() <= self.dimension.planned_share() * (1.0 + 1e-9)
    }

    /// Today's load times this is past what is planned for; infinite without demand.
    #[must_use]
    pub fn planned_multiple(&self) -> f64 {
        self.dimension.planned_share() / self.share()
    }

    /// Today's load times this is the whole capacity; infinite without demand.
    #[must_use]
    pub fn break_multiple(&self) -> f64 {
        1.0 / self.share()
    }
}

/// One unit count of a tier.
#[derive(Clone, Debug, PartialEq)]
pub struct Rung {
    /// Tier.
    pub tier: Tier,
    /// Units.
    pub units: u32,
    /// How full each dimension is that the workload touches, in the order of [`Dimension`].
    pub utilisation: Vec<Utilisation>,
}

impl Rung {
    /// Whether every dimension stays within what is planned for.
    #[must_use]
    pub fn fits(&self) -> bool {
        self.utilisation.iter().all(Utilisation::fits)
    }

    /// Dimensions by the multiple of today's load at which each is past its capacity, the first to
    /// break first. [`Dimension::Together`] stands for its patterns and comes only where it is
    /// fuller than each of them.
    #[must_use]
    pub fn break_order(&self) -> Vec<Utilisation> {
        let mut order: Vec<_> =
            self.utilisation.iter().copied().filter(|one| one.demand > 0.0).collect();
        order.sort_by(|a, b| b.share().total_cmp(&a.share()).then(a.dimension.cmp(&b.dimension)));
        order
    }

    /// The dimension whose planned share is used up first: shares differ, so it may be another than
    /// the one that breaks first.
    #[must_use]
    pub fn planned_first(&self) -> Option<Utilisation> {
        let order = self.break_order().into_iter();
        order.min_by(|a, b| a.planned_multiple().total_cmp(&b.planned_multiple()))
    }

    /// The dimension that breaks first.
    #[must_use]
    pub fn breaks_first(&self) -> Option<Utilisation> {
        self.break_order().first().copied()
    }
}

/// What the ladder came to.
#[derive(Clone, Debug, PartialEq)]
pub struct Sizing {
    /// Unit counts tried, from the smallest; a few above the chosen one are among them.
    pub ladder: Vec<Rung>,
    /// Which of them is the first that fits; `None` when no resource is large enough.
    pub chosen: Option<usize>,
}

impl Sizing {
    /// The first rung that fits.
    #[must_use]
    pub fn fitting(&self) -> Option<&Rung> {
        self.chosen.and_then(|index| self.ladder.get(index))
    }

    /// The first rung that fits, or else the largest there is.
    #[must_use]
    pub fn best(&self) -> Option<&Rung> {
        self.fitting().or_else(|| self.ladder.last())
    }
}

/// How full so many units would be.
#[must_use]
pub fn rung(workload: &Workload, tier: Tier, units: u32) -> Rung {
    let capacities = capacities(tier, units, workload.revision, workload.inbound);
    Rung { tier, units, utilisation: utilisation(&demand(workload), &capacities) }
}

/// Holds demand against capacity. What is not bounded is left out.
#[must_use]
pub fn utilisation(demand: &[(Dimension, f64)], capacities: &[Capacity]) -> Vec<Utilisation> {
    let mut all = Vec::new();
    for capacity in capacities {
        let asked = demand.iter().find(|(dimension, _)| *dimension == capacity.dimension);
        if let Some((dimension, demand)) = asked.copied() {
            all.push(Utilisation { dimension, demand, capacity: capacity.amount });
        }
    }
    let fullest = |pattern: Pattern| {
        let of = |one: &&Utilisation| one.dimension.pattern() == Some(pattern);
        all.iter().filter(of).map(Utilisation::share).fold(0.0_f64, f64::max)
    };
    let shares: Vec<f64> =
        Pattern::ALL.into_iter().map(fullest).filter(|share| *share > 0.0).collect();
    if shares.len() > 1 {
        let demand = shares.iter().sum();
        all.push(Utilisation { dimension: Dimension::Together, demand, capacity: 1.0 });
        all.sort_by_key(|one| one.dimension);
    }
    all
}

/// Climbs the ladder of the tiers from the lowest that offers what is needed: Free, Standard,
/// Premium. Standard's steps are not climbed again on Premium, which carries no more with them.
#[must_use]
pub fn size(workload: &Workload) -> Sizing {
    let floor = workload.tier_floor();
    let mut steps = Vec::new();
    for tier in [Tier::Free, Tier::Standard, Tier::Premium] {
        let is_above = |units: &u32| tier != Tier::Premium || floor == tier || *units > 100;
        if rank(tier) >= rank(floor) {
            let units = unit_steps(tier, workload.unit_list).into_iter().filter(is_above);
            steps.extend(units.map(|units| (tier, units)));
        }
    }
    let mut sizing = Sizing { ladder: Vec::new(), chosen: None };
    for (tier, units) in steps {
        let rung = rung(workload, tier, units);
        if sizing.chosen.is_none() && rung.fits() {
            sizing.chosen = Some(sizing.ladder.len());
        }
        sizing.ladder.push(rung);
        if sizing.chosen.is_some_and(|chosen| sizing.ladder.len() > chosen + RUNGS_ABOVE) {
            break;
        }
    }
    sizing
}

/// Tiers from the lowest to the one that offers most.
pub(super) const fn rank(tier: Tier) -> u8 {
    match tier {
        Tier::Free => 0,
        Tier::Standard => 1,
        Tier::Premium => 2,
    }
}
