//! Expectations, invariants and thresholds against a summary.
//!
//! | file | what |
//! | --- | --- |
//! | `expectation` | the claims of `[expect]` |
//! | `server_side` | the claims of `[[expect_log]]` and `[expect_upstream]` |
//! | `threshold` | the conditions of `[thresholds]`, in k6's grammar |
//! | `invariant` | what is true of every run: I1 to I9 |
//! | `matrix` | which ends the hub and the client can both be telling the truth about |
//! | `interrupted` | what an interruption leaves open |
//! | `spoil` | what a starved generator takes back, and the order of outcomes |
//! | `decided` | when there is nothing left to wait for |
//! | `earliest` | how long misbehaviours must have had before that counts |
//! | [`comparison`] | a run against a base |

pub mod comparison;
mod decided;
mod earliest;
mod expectation;
mod interrupted;
mod invariant;
mod matrix;
mod server_side;
mod spoil;
mod threshold;

#[cfg(test)]
mod tests;

pub use decided::decided;
pub use earliest::earliest_end;
pub use expectation::is_expected;
pub use invariant::is_disturbed;
pub use matrix::is_allowed_cell;
pub use server_side::server_side_demands;
pub use spoil::SEND_LAG_P99_MAX;

use crate::measure::Summary;
use crate::predict::words;
use crate::scenario::Plan;
use spoil::Spoils;

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
    /// True of every run (I1 to I9).
    Invariant,
}

/// One check with its evidence, worded for people.
#[derive(
    Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
pub struct Check {
    /// What it belongs to.
    pub kind: CheckKind,
    /// Where it stands: `expect.muted.closes`, `thresholds.message`, `I3`. A claim of delivery has
    /// three: `expect.muted.delivery.lost`, `….duplicated` and `….out_of_order`.
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
    /// Every check, expectations first, then thresholds, then invariants.
    pub checks: Vec<Check>,
}

/// Judges a run. In an interrupted one, a claim that more time could have met is undetermined.
#[must_use]
pub fn judge(plan: &Plan, summary: &Summary) -> Verdict {
    let spoils = Spoils::of(summary);
    let mut findings = expectation::findings(plan, summary);
    findings.extend(server_side::findings(plan, summary));
    findings.extend(threshold::findings(plan, summary));
    findings.extend(invariant::findings(plan, summary, &spoils));
    interrupted::mark(plan, summary, &mut findings);
    for finding in &mut findings {
        spoils.mark(finding);
    }
    Verdict {
        outcome: spoil::outcome(&findings),
        checks: findings.into_iter().map(|finding| finding.check).collect(),
    }
}

/// Whether the hub's side of the run was observed.
fn is_hub_observed(summary: &Summary) -> bool {
    summary.counters_after.is_some() || summary.rows_observed > 0
}
