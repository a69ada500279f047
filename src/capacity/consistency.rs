//! Whether a hub that is told what units carry breaks where the figures say: the model agreeing
//! with itself and with the paper answer. No measurement of Azure.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Serialize;

use super::{
    Basis, Dimension, Direction, Measure, Pattern, Resource, Rung, Tier, Utilisation, Workload,
    at_once, rung,
};
use crate::protocol::CloseCategory;
use crate::protocol::throughput::PatternCounters;

/// 99 % of messages within this: the performance guide's own criterion.
pub const WITHIN: Duration = Duration::from_secs(1);

/// How far from the foretold multiple the load is put on either side.
const BELOW: f64 = 0.95;
const ABOVE: f64 = 1.15;

/// Percentiles of a run have three digits, and its clock goes in milliseconds.
const RESOLUTION: f64 = 0.01;

/// Two measures that are this close are equally full.
const EQUALLY: f64 = 0.001;

/// Where the load stands to the multiple at which it is foretold to break.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stand {
    /// As planned.
    Planned,
    /// A little below the break.
    Below,
    /// A little past it.
    Above,
}

/// One load to run.
#[derive(Clone, Debug, PartialEq)]
pub struct Trial {
    /// Which.
    pub stand: Stand,
    /// Multiple of the planned load.
    pub multiple: f64,
    /// The load.
    pub workload: Workload,
    /// 99 % of messages are to take less than this: a second, or as long as the units take for what
    /// may come at once, where that is longer.
    pub within: Duration,
}

/// What is to be run, and what is foretold.
#[derive(Clone, Debug, PartialEq)]
pub struct Course {
    /// Tier.
    pub tier: Tier,
    /// Units.
    pub units: u32,
    /// What breaks first, and how full it is at the planned load.
    pub first: Utilisation,
    /// Loads, ascending.
    pub trials: Vec<Trial>,
}

/// What a run showed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Ends and refusals that are not Normal.
    pub drops: BTreeMap<CloseCategory, u64>,
    /// 99 % of messages, echoes included, took at most this; `None` without messages.
    pub p99: Option<Duration>,
    /// Messages that did not arrive.
    pub lost: u64,
    /// What kept the hub busy.
    pub patterns: BTreeMap<Pattern, PatternCounters>,
}

impl Observed {
    /// Whether nobody was dropped, nothing was lost and 99 % of messages took less than `within`.
    #[must_use]
    pub fn holds(&self, within: Duration) -> bool {
        self.drops.is_empty() && self.lost == 0 && self.p99.is_none_or(|p99| p99 < within)
    }

    /// What broke; `None` when it holds, or broke in no dimension there is.
    #[must_use]
    pub fn broke(&self, foretold: Dimension, within: Duration) -> Option<Dimension> {
        if self.holds(within) {
            return None;
        }
        if self.drops.contains_key(&CloseCategory::ConnectionCountLimitReached) {
            return Some(Dimension::Connections);
        }
        let is_slow = self.p99.is_some_and(|p99| p99 >= within) || self.lost > 0;
        if !is_slow || !self.drops.is_empty() {
            return None;
        }
        let mut busy = Pattern::ALL.into_iter().filter_map(|pattern| {
            let counters = self.patterns.get(&pattern)?;
            (!counters.busy.fullest().is_zero()).then_some((pattern, counters))
        });
        let (pattern, counters) = busy.next()?;
        if busy.next().is_some() {
            return Some(Dimension::Together);
        }
        let fullest = counters.busy.fullest().as_secs_f64();
        let of = |direction, measure| Dimension::Traffic(pattern, direction, measure);
        let ns = counters.busy;
        let measures = [
            (of(Direction::In, Measure::Messages), ns.messages_in_ns),
            (of(Direction::In, Measure::Bytes), ns.bytes_in_ns),
            (of(Direction::Out, Measure::Messages), ns.messages_out_ns),
            (of(Direction::Out, Measure::Bytes), ns.bytes_out_ns),
        ];
        let full: Vec<Dimension> = measures
            .into_iter()
            .filter(|(_, busy)| {
                Duration::from_nanos(*busy).as_secs_f64() >= fullest * (1.0 - EQUALLY)
            })
            .map(|(dimension, _)| dimension)
            .collect();
        let is_foretold = full.contains(&foretold);
        if is_foretold { Some(foretold) } else { full.first().copied() }
    }
}

/// The loads to run on so many units: as planned, a little below the foretold break, and a little
/// past it. `None` when nothing can break.
#[must_use]
pub fn course(workload: &Workload, of: &Rung) -> Option<Course> {
    // The daily quota is no matter of seconds.
    let first = of
        .break_order()
        .into_iter()
        .find(|one| one.dimension != Dimension::DailyMessages && one.share() > 0.0)?;
    let multiple = first.break_multiple();
    let trial = |stand, multiple, workload| {
        let within = within(&workload, of.tier, of.units);
        Trial { stand, multiple, workload, within }
    };
    let mut trials = vec![trial(Stand::Planned, 1.0, workload.clone())];
    for (stand, part) in [(Stand::Below, BELOW), (Stand::Above, ABOVE)] {
        let multiple = multiple * part;
        trials.push(trial(stand, multiple, raised(workload, first.dimension, multiple)));
    }
    Some(Course { tier: of.tier, units: of.units, first, trials })
}

/// How fast 99 % of messages are to be on such a hub below its break.
pub(super) fn within(workload: &Workload, tier: Tier, units: u32) -> Duration {
    at_once(workload, tier, units).mul_f64(1.0 + RESOLUTION).max(WITHIN)
}

/// The same with more of what the dimension counts.
fn raised(workload: &Workload, dimension: Dimension, multiple: f64) -> Workload {
    match dimension {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "connections are far below 2^53, multiples are positive"
        )]
        Dimension::Connections => {
            let mut more = workload.clone();
            more.connections = (workload.connections as f64 * multiple).round() as u64;
            more
        }
        Dimension::Traffic(..) | Dimension::Together | Dimension::DailyMessages => {
            workload.with_rates(multiple)
        }
    }
}

impl Trial {
    /// Whether a run of this step shows what is foretold of it.
    #[must_use]
    pub fn agrees(&self, first: Dimension, observed: &Observed) -> bool {
        match self.stand {
            Stand::Planned | Stand::Below => observed.holds(self.within),
            Stand::Above => observed.broke(first, self.within) == Some(first),
        }
    }

    /// How full the foretold dimension is on paper.
    #[must_use]
    pub fn share(&self, course: &Course) -> f64 {
        let rung = rung(&self.workload, course.tier, course.units);
        let of = |one: &&Utilisation| one.dimension == course.first.dimension;
        rung.utilisation.iter().find(of).map_or(0.0, Utilisation::share)
    }
}

/// What the runs showed: part of an estimate.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Consistency {
    /// What it rests on: the model, never a measurement of Azure.
    pub basis: Basis,
    /// What the hub was told that it is.
    pub hub: Resource,
    /// What is to break first by the figures.
    pub dimension: Dimension,
    /// Multiple of the planned load at which it is to break by the figures.
    pub foretold_multiple: f64,
    /// Largest multiple that was run and held; null when none did.
    pub held_multiple: Option<f64>,
    /// Smallest multiple that was run and broke in that dimension; null when none did.
    pub broke_multiple: Option<f64>,
    /// Whether every run showed what is foretold of it.
    pub agrees: bool,
    /// The runs, by rising load.
    pub runs: Vec<ConsistencyRun>,
}

/// One of the runs.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct ConsistencyRun {
    /// Where its load stands to the foretold break.
    pub stand: Stand,
    /// Multiple of the planned load.
    pub multiple: f64,
    /// Connections, ghosts and overlap included.
    pub clients: u64,
    /// How full the dimension is by the figures, as a share.
    pub share: f64,
    /// 99 % of messages took at most this, in microseconds; null without messages.
    pub p99_us: Option<u64>,
    /// And were to take less than this: a second, or as long as the units take for one message of
    /// every kind, where that is longer.
    pub within_us: u64,
    /// Messages that did not arrive.
    pub lost: u64,
    /// Ends and refusals that are not Normal.
    pub drops: BTreeMap<CloseCategory, u64>,
    /// Whether nobody was dropped, nothing was lost and 99 % of messages were in time.
    pub holds: bool,
    /// In which dimension it broke; null when it held, or broke in none that is known.
    pub broke_by: Option<Dimension>,
    /// Whether that is what is foretold.
    pub agrees: bool,
}

impl Consistency {
    /// What runs of a course showed.
    #[must_use]
    pub fn of(course: &Course, seen: &[(Trial, Observed)]) -> Self {
        let first = course.first.dimension;
        let run = |(trial, observed): &(Trial, Observed)| ConsistencyRun {
            stand: trial.stand,
            multiple: trial.multiple,
            clients: trial.workload.connections_counted(),
            share: trial.share(course),
            p99_us: observed.p99.map(|p99| u64::try_from(p99.as_micros()).unwrap_or(u64::MAX)),
            lost: observed.lost,
            drops: observed.drops.clone(),
            within_us: u64::try_from(trial.within.as_micros()).unwrap_or(u64::MAX),
            holds: observed.holds(trial.within),
            broke_by: observed.broke(first, trial.within),
            agrees: trial.agrees(first, observed),
        };
        let mut runs: Vec<_> = seen.iter().map(run).collect();
        runs.sort_by(|a, b| a.multiple.total_cmp(&b.multiple));
        let multiples = |is: &dyn Fn(&&ConsistencyRun) -> bool| {
            runs.iter().filter(is).map(|run| run.multiple).collect::<Vec<_>>()
        };
        Self {
            basis: Basis::Model,
            hub: Resource::of(course.tier, course.units),
            dimension: first,
            foretold_multiple: course.first.break_multiple(),
            held_multiple: multiples(&|run| run.holds).last().copied(),
            broke_multiple: multiples(&|run| run.broke_by == Some(first)).first().copied(),
            agrees: runs.iter().all(|run| run.agrees),
            runs,
        }
    }
}
