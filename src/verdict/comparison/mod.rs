//! A run against a base: what must be equal, what may differ and by how much, and what cannot be
//! compared.
//!
//! | file | what |
//! | --- | --- |
//! | `record` | what is kept of a run |
//! | `bounds` | how far each figure may be from its base |
//! | `rows` | the figures, one by one |

mod bounds;
mod record;
mod rows;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Outcome;
use crate::event::{HowEnded, World};
use crate::measure::LatencyKind;
use crate::protocol::CloseCategory;

pub use bounds::Bound;
pub use record::{
    Build, Fingerprint, LatencyRecord, Machine, PlanRecord, PopulationRecord, Record,
};

/// Version of the shape of a comparison.
pub const SCHEMA_VERSION: u32 = 1;

/// A run against a base.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Squall comparison", description = "what `squall compare --json` prints")]
pub struct Comparison {
    /// Version of this shape.
    pub schema_version: u32,
    /// What it came to.
    pub finding: Finding,
    /// What the run is compared with.
    pub base: Party,
    /// What is compared.
    pub run: Party,
    /// How the plans differ, as far as that can be told; empty where they are equal.
    pub plan_changes: Vec<Change>,
    /// How the machines differ; latencies are not compared then.
    pub machine_changes: Vec<Change>,
    /// Every figure, in a fixed order; none where the plans differ.
    pub rows: Vec<Row>,
}

/// What a comparison came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Finding {
    /// Everything that was compared is within its bound.
    NoRegression,
    /// Something is outside.
    Regression,
    /// Nothing is outside, but something that had to be compared could not be.
    NotComparable,
    /// The two did not run the same plan: there is nothing to compare.
    PlanChanged,
}

/// One of the two.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Party {
    /// Scenario name.
    pub scenario: String,
    /// Seed of every draw.
    pub seed: u64,
    /// Hash of the plan.
    pub plan_hash: String,
    /// Where it took place.
    pub world: World,
    /// Version of Squall.
    pub squall_version: String,
    /// Day on which it really was started, UTC.
    pub date: String,
}

impl Party {
    fn of(record: &Record) -> Self {
        Self {
            scenario: record.scenario.clone(),
            seed: record.seed,
            plan_hash: record.plan.hash.clone(),
            world: record.fingerprint.world,
            squall_version: record.squall_version.clone(),
            date: record.date.clone(),
        }
    }
}

/// Something that is not as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// Name of it; a scenario key, where it is of a plan.
    pub what: String,
    /// What it was; null where there was none, or where it is not kept.
    pub base: Option<String>,
    /// What it is.
    pub run: Option<String>,
}

/// One figure of both.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Row {
    /// Which.
    pub figure: Figure,
    /// What it was; null where there is none.
    pub base: Option<Value>,
    /// What it is.
    pub run: Option<Value>,
    /// Where it had to be; null where it is not compared.
    pub bound: Option<Bound>,
    /// What it is found to be.
    pub judgement: Judgement,
}

/// What is compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Figure {
    /// The run's own verdict.
    Verdict,
    /// Rows of a category.
    Category {
        /// Whose.
        population: String,
        /// Which.
        category: CloseCategory,
    },
    /// A count or share of what was to arrive.
    Delivery {
        /// Whose.
        population: String,
        /// Of what.
        stream: Stream,
        /// Which.
        figure: DeliveryFigure,
    },
    /// A ratio of counts.
    Ratio {
        /// Whose.
        population: String,
        /// Which.
        ratio: Ratio,
    },
    /// A quantile of a latency, from the planned instant.
    Latency {
        /// What was timed.
        timed: LatencyKind,
        /// Which quantile.
        quantile: Quantile,
    },
}

/// What was to arrive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Stream {
    /// Messages to subscribers.
    Messages,
    /// Replies to events.
    Replies,
}

/// A figure of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum DeliveryFigure {
    /// How many were to arrive.
    Expected,
    /// The share of them that did.
    Delivered,
    /// How many did not.
    Lost,
    /// How many came twice.
    Duplicated,
    /// How many came after a later one.
    OutOfOrder,
}

/// A ratio of counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Ratio {
    /// Attempts per client.
    Amplification,
    /// Connections opened per client.
    Opens,
    /// Share of the attempts that were refused or failed.
    Refused,
    /// Share of the dropped clients that were open again.
    Recovered,
}

/// A quantile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Quantile {
    /// Median.
    P50,
    /// 95 % are at most this: of recoveries, when 95 % were back.
    P95,
    /// 99 % are at most this.
    P99,
}

/// What a figure is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", tag = "unit", content = "value")]
pub enum Value {
    /// A verdict.
    Outcome(Outcome),
    /// A number of things.
    Count(u64),
    /// A share, from 0 to 1.
    Share(f64),
    /// So many for each client.
    PerClient(f64),
    /// Microseconds.
    Micros(u64),
}

/// What a figure is found to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Judgement {
    /// As it was.
    Same,
    /// Different, within its bound.
    Within,
    /// Better by more than its bound.
    Better,
    /// Outside its bound.
    Regression,
    /// Not compared: the machines differ.
    OtherMachine,
    /// Not compared: the hub's side was not observed in one of them.
    NotObserved,
    /// Not compared: one of them has no such figure, or too few samples for it.
    Missing,
}

impl Judgement {
    /// Whether the figure was compared.
    #[must_use]
    pub const fn is_compared(self) -> bool {
        match self {
            Self::Same | Self::Within | Self::Better | Self::Regression => true,
            Self::OtherMachine | Self::NotObserved | Self::Missing => false,
        }
    }
}

/// What is made of figures that cannot be compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Demand {
    /// They are told.
    WhatCanBe,
    /// They are a failure.
    Everything,
}

/// Why a run's figures are none to compare with, or to be accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// It was cut short.
    #[error("was interrupted: its counts stop somewhere")]
    Interrupted,
    /// A guard stopped it.
    #[error("was stopped by a guard: its counts stop somewhere")]
    Aborted,
    /// The generator was starved.
    #[error("is invalid: its machine could not carry it, so its figures are not those of the hub")]
    Invalid,
    /// Not everything could be observed.
    #[error("is undetermined: some of what it demands was not observed")]
    Undetermined,
}

impl Record {
    /// Refuses what stopped early or was spoiled.
    pub const fn comparable(&self) -> Result<(), Unfit> {
        match (self.how, self.outcome) {
            (HowEnded::Interrupted, _) => Err(Unfit::Interrupted),
            (HowEnded::Aborted, _) => Err(Unfit::Aborted),
            (_, Outcome::Invalid) => Err(Unfit::Invalid),
            (_, Outcome::Pass | Outcome::Undetermined | Outcome::Fail) => Ok(()),
        }
    }

    /// Refuses, besides, what is no whole answer. A failed run is one: what it shows may be known
    /// and accepted.
    pub fn acceptable(&self) -> Result<(), Unfit> {
        self.comparable()?;
        match self.outcome {
            Outcome::Undetermined => Err(Unfit::Undetermined),
            Outcome::Pass | Outcome::Fail | Outcome::Invalid => Ok(()),
        }
    }

    /// How the plan of a run differs from this one's, as far as that can be told.
    #[must_use]
    pub fn plan_changes(&self, plan: &PlanRecord) -> Vec<Change> {
        if self.plan.hash == plan.hash {
            return Vec::new();
        }
        let mut changes = differing(&self.plan.settings, &plan.settings);
        // A part without a told setting has still changed.
        for part in differing(&self.plan.digests, &plan.digests) {
            let is_within = |change: &Change| {
                let rest = change.what.strip_prefix(&part.what);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
            };
            if !changes.iter().any(is_within) {
                changes.push(Change { what: part.what, base: None, run: None });
            }
        }
        changes
    }
}

/// What differs, by name.
fn differing(base: &BTreeMap<String, String>, run: &BTreeMap<String, String>) -> Vec<Change> {
    let names: BTreeSet<_> = base.keys().chain(run.keys()).collect();
    let change = |what: &String| Change {
        what: what.clone(),
        base: base.get(what).cloned(),
        run: run.get(what).cloned(),
    };
    names.into_iter().map(change).filter(|change| change.base != change.run).collect()
}

/// Compares a run with a base, both fit for it.
#[must_use]
pub fn compare(base: &Record, run: &Record, demand: Demand) -> Comparison {
    let is_same_plan = base.plan.hash == run.plan.hash;
    let rows = if is_same_plan { rows::of(base, run) } else { Vec::new() };
    let is_any = |judgement| rows.iter().any(|row: &Row| row.judgement == judgement);
    let is_whole = rows.iter().all(|row| row.judgement.is_compared());
    let finding = if !is_same_plan {
        Finding::PlanChanged
    } else if is_any(Judgement::Regression) {
        Finding::Regression
    } else if demand == Demand::Everything && !is_whole {
        Finding::NotComparable
    } else {
        Finding::NoRegression
    };
    Comparison {
        schema_version: SCHEMA_VERSION,
        finding,
        base: Party::of(base),
        run: Party::of(run),
        plan_changes: base.plan_changes(&run.plan),
        machine_changes: base.fingerprint.changes(&run.fingerprint),
        rows,
    }
}

/// The JSON Schema of a comparison.
#[must_use]
pub fn schema() -> serde_json::Value {
    schemars::generate::SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<Comparison>()
        .to_value()
}
