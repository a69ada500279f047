//! Expectations, invariants and thresholds against a summary.

use crate::measure::Summary;
use crate::protocol::CloseCategory;
use crate::scenario::Plan;
use crate::scenario::plan::PopulationIndex;

/// Result of a check, and of a run (the worst of its checks, by [`Verdict::outcome`]'s rule).
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// As demanded.
    Pass,
    /// What was observed does not tell.
    Undetermined,
    /// The generator was itself starved of what the claim rests on.
    Invalid,
    /// Not as demanded.
    Fail,
}

/// What a check belongs to.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum CheckKind {
    /// The scenario's `[expect]`.
    Expectation,
    /// The scenario's `[thresholds]`.
    Threshold,
    /// True of every run (I1 to I8).
    Invariant,
}

/// One check with its evidence, worded for people.
#[derive(
    Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
pub struct Check {
    /// What it belongs to.
    pub kind: CheckKind,
    /// Where it stands: `expect.muted.closes`, `thresholds.message`, `I3`.
    pub path: String,
    /// Result.
    pub outcome: Outcome,
    /// What was demanded.
    pub expected: String,
    /// What was observed.
    pub actual: String,
}

/// The judgement of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Fail if a check of counts failed that nothing spoiled (a proven wrong category beats an
    /// invalid generator); else invalid, else failed, else undetermined, else pass.
    pub outcome: Outcome,
    /// Every check, expectations first.
    pub checks: Vec<Check>,
}

/// Judges a run.
#[must_use]
pub fn judge(_plan: &Plan, _summary: &Summary) -> Verdict {
    unimplemented!()
}

/// Whether nothing that may still happen is waited for: every drop that the expectations demand has
/// happened, every recovery, every fault. (What must *not* happen is watched for the plan's settle
/// time after that. Bounded traffic and arrivals are the engine's own knowledge.)
#[must_use]
pub fn decided(_plan: &Plan, _summary: &Summary) -> bool {
    unimplemented!()
}

/// Whether rows of this category are expected of this population.
#[must_use]
pub fn is_expected(_plan: &Plan, _population: PopulationIndex, _category: CloseCategory) -> bool {
    unimplemented!()
}

/// Whether the hub's view and the client's view of one end can both be true: the allowed cells of
/// the matrix hub category x client observation (invariant I3).
#[must_use]
pub fn is_allowed_cell(_plan: &Plan, _key: &crate::measure::CloseKey) -> bool {
    unimplemented!()
}
