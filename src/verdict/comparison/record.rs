//! What is kept of a run to compare others with it: counts, ratios' parts and a few quantiles.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Change;
use crate::event::{DeliveryTally, HowEnded, World};
use crate::measure::LatencyKind;
use crate::protocol::CloseCategory;
use crate::verdict::Outcome;

/// A run in the figures that comparisons rest on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// Scenario name.
    pub scenario: String,
    /// Seed of every draw.
    pub seed: u64,
    /// Version of Squall.
    pub squall_version: String,
    /// Day on which the run really was started, UTC: `2026-01-31`.
    pub date: String,
    /// The run's verdict.
    pub outcome: Outcome,
    /// How it ended.
    pub how: HowEnded,
    /// Where latencies were measured.
    pub fingerprint: Fingerprint,
    /// What was run.
    pub plan: PlanRecord,
    /// Whether the hub's side of the ledger was observed; categories come from there.
    pub hub_observed: bool,
    /// Populations, in scenario order.
    pub populations: Vec<PopulationRecord>,
    /// Latencies of all populations together.
    pub latency: Vec<LatencyRecord>,
}

/// What a plan was, so that a change of it can be told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlanRecord {
    /// Hash of the plan, 16 hexadecimal digits; the seed is no part of it.
    pub hash: String,
    /// The settings that people change most, by scenario key, as reports word them.
    pub settings: BTreeMap<String, String>,
    /// Digest of every part of the plan: what is in no setting is at least known to have changed.
    pub digests: BTreeMap<String, String>,
}

/// Where latencies were measured: those of two runs compare only where all of it is equal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Fingerprint {
    /// The world.
    pub world: World,
    /// The machine. Null in the virtual world, where time is simulated and all machines are alike;
    /// and where the run does not tell it, which is like no other.
    pub machine: Option<Machine>,
}

/// What of a machine, and of the program on it, decides how long things take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Machine {
    /// Operating system.
    pub os: String,
    /// Processor architecture.
    pub arch: String,
    /// Processor model; null where the system does not tell it.
    pub cpu: Option<String>,
    /// Cores.
    pub cores: u64,
    /// Threads that the clients lived on.
    pub threads: u64,
    /// Where the load went: `embedded hub`, `another process`, or the endpoint of another machine.
    pub target: String,
    /// How Squall was built.
    pub build: Build,
    /// Major and minor version of Squall: `0.1`.
    pub squall: String,
}

/// How Squall was built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Build {
    /// With optimisation.
    Release,
    /// Without.
    Debug,
}

impl Build {
    /// How this program was built.
    #[must_use]
    pub const fn of_this_program() -> Self {
        if cfg!(debug_assertions) { Self::Debug } else { Self::Release }
    }

    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Debug => "debug",
        }
    }
}

impl Machine {
    /// Every part of it by name.
    fn parts(&self) -> BTreeMap<String, String> {
        let parts = [
            ("system", self.os.clone()),
            ("architecture", self.arch.clone()),
            ("processor", self.cpu.clone().unwrap_or_else(|| "not told".to_owned())),
            ("cores", self.cores.to_string()),
            ("threads", self.threads.to_string()),
            ("target", self.target.clone()),
            ("build", self.build.name().to_owned()),
            ("Squall", self.squall.clone()),
        ];
        parts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }
}

impl Fingerprint {
    /// Why times of the two do not compare: what differs, or that one does not tell its machine.
    /// Empty where they do.
    pub(super) fn changes(&self, run: &Self) -> Vec<Change> {
        let change = |what: &str, base: Option<String>, run: Option<String>| {
            vec![Change { what: what.to_owned(), base, run }]
        };
        match (self, run) {
            (base, run) if base.world != run.world => {
                let name = |world| match world {
                    World::Sockets => Some("sockets".to_owned()),
                    World::Virtual => Some("virtual".to_owned()),
                };
                change("world", name(base.world), name(run.world))
            }
            (Self { world: World::Virtual, .. }, _) => Vec::new(),
            (Self { machine: Some(base), .. }, Self { machine: Some(run), .. }) => {
                super::differing(&base.parts(), &run.parts())
            }
            (base, run) => {
                let told = |of: &Self| of.machine.as_ref().map(|_| "told".to_owned());
                change("machine", told(base), told(run))
            }
        }
    }
}

/// One population's counts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PopulationRecord {
    /// Name.
    pub name: String,
    /// Clients in the plan.
    pub clients: u64,
    /// Attempts, accepted or not.
    pub attempts: u64,
    /// Attempts whose connection opened.
    pub opens: u64,
    /// Connection failures and refusals.
    pub refusals: u64,
    /// Clients that were dropped at least once.
    pub dropped: u64,
    /// Of those, clients that were open again afterwards.
    pub recovered: u64,
    /// Rows per category.
    pub categories: BTreeMap<CloseCategory, u64>,
    /// Delivery over all its connections; left out where nothing was to arrive.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub delivery: DeliveryTally,
    /// Replies to its events that were to come back to their senders; left out likewise.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub replies: DeliveryTally,
}

/// Whether nothing was to arrive, and nothing did.
pub(super) fn is_nothing(tally: &DeliveryTally) -> bool {
    *tally == DeliveryTally::default()
}

/// One kind of latency, from the planned instant, in microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LatencyRecord {
    /// What was timed; how late the generator sent is no figure of the hub's, and not kept.
    pub kind: LatencyKind,
    /// Samples.
    pub samples: u64,
    /// Median.
    pub p50_us: u64,
    /// 95 % are at most this; null of too few samples.
    pub p95_us: Option<u64>,
    /// 99 % are at most this; null of too few samples.
    pub p99_us: Option<u64>,
}

impl LatencyRecord {
    /// Samples from which a p95 is kept: below, it is the maximum under another name.
    pub const P95_SAMPLES_MIN: u64 = 20;
    /// Samples from which a p99 is kept, likewise.
    pub const P99_SAMPLES_MIN: u64 = 100;
}
