//! `run.json`: everything a report says, as data. Every other format is a pure function of it, so
//! that it can be made again from a stored run.
//!
//! Counts are exact. Times end in their unit (`_ns`, `_us`); instants are nanoseconds since the
//! run's epoch. In the virtual world everything but [`RunFile::machine`] follows from the plan and
//! the seed; what belongs to the machine or to real time stands there and nowhere else. A field is
//! added without a new [`SCHEMA_VERSION`]; one that changes its meaning or
//! goes away is not.

mod storm;
mod traffic;
mod upstream;

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::gather;
use crate::event::{ClientObservation, DeliveryTally, HowEnded, Warning, World};
use crate::measure::summary::{Extent, Since};
use crate::measure::{EndKind, GeneratorHealth, LatencyKind, Stage, Summary, Timings};
use crate::protocol::CloseCategory;
use crate::protocol::control::{Counters, HubWire};
use crate::protocol::resource_log;
use crate::protocol::subprotocol::AckFailure;
use crate::scenario::Plan;
use crate::secret::Redactor;
use crate::verdict::comparison::Build;
use crate::verdict::{Check, Outcome, Verdict};

pub use storm::{StormCurve, StormFacts};
pub use traffic::{BusiestStretch, TrafficFacts, TrafficFrom, TrafficTo};
pub use upstream::{CallRecords, UpstreamAtClose, UpstreamEvent, UpstreamFacts, UpstreamLogLine};

/// Version of the shape of `run.json`.
pub const SCHEMA_VERSION: u32 = 2;

/// Samples from which a p99.9 is told: below, it is the maximum under another name.
pub const P999_SAMPLES_MIN: u64 = 1_000;

/// A run, whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Squall run", description = "run.json of a Squall run folder")]
pub struct RunFile {
    /// Version of this shape.
    pub schema_version: u32,
    /// What was run, where, and with what.
    pub run: RunFacts,
    /// How it ended.
    pub how: HowEnded,
    /// Run time in nanoseconds, from the epoch to the end of gathering.
    pub elapsed_ns: u64,
    /// The verdict.
    pub outcome: Outcome,
    /// Every check, expectations first.
    pub checks: Vec<Check>,
    /// Populations, in scenario order.
    pub populations: Vec<PopulationFacts>,
    /// How connections ended, per population.
    pub ends: Vec<End>,
    /// How connections ended, populations taken together (`population` is null).
    pub ends_total: Vec<End>,
    /// Hub category and wire form against what the client saw.
    pub matrix: Vec<MatrixCell>,
    /// For each row with a drop category: time from an instant to the hub's decision.
    pub close_windows: Vec<CloseWindow>,
    /// Bytes in the hub's queue, and under way, when a drop was decided.
    pub backlog_at_close: Vec<BacklogAtClose>,
    /// What every traffic came to, in scenario order; null in a run of a version that did not tell.
    #[serde(default)]
    pub traffic: Option<Vec<TrafficFacts>>,
    /// Latencies per kind.
    pub latency_total: Vec<LatencySeries>,
    /// Latencies per kind, population and stage.
    pub latency: Vec<LatencySeries>,
    /// How dropped clients came back; null where none tried.
    #[serde(default)]
    pub storm: Option<StormFacts>,
    /// Faults of the timeline.
    pub faults: Vec<FaultOutcome>,
    /// The hub's counters when the load had gone; null when not observed.
    pub hub_counters: Option<Counters>,
    /// What went to event handlers, as the hub saw it, and what the run's own application server
    /// saw; null where nothing did.
    #[serde(default)]
    pub upstream: Option<UpstreamFacts>,
    /// How the generator itself fared.
    pub generator: GeneratorFacts,
    /// What a reader must know.
    pub warnings: Vec<Warning>,
    /// The machine, and real time.
    pub machine: MachineFacts,
}

/// What was run, where, and with what.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunFacts {
    /// Scenario name.
    pub scenario: String,
    /// Its title.
    pub title: String,
    /// Seed of every draw.
    pub seed: u64,
    /// Hash of the plan.
    pub plan_hash: String,
    /// The longest the running phase may take, in nanoseconds.
    pub duration_ns: u64,
    /// Where it took place.
    pub world: World,
    /// Version of Squall.
    pub squall_version: String,
    /// When the timeline began, UTC, RFC 3339; in the virtual world a fixed instant, whenever the
    /// run really was (which is in `machine`).
    pub started: String,
    /// The same in nanoseconds since the Unix epoch.
    pub started_unix_ns: u64,
    /// Where the load went.
    pub target: TargetFacts,
    /// The hub's settings: in force where the control API is offered, assumed elsewhere.
    pub hub: HubFacts,
    /// The plan in the settings that people change most, by scenario key.
    #[serde(default)]
    pub settings: BTreeMap<String, String>,
    /// Digest of every part of the plan: where two runs differ in one, that part was changed.
    #[serde(default)]
    pub digests: BTreeMap<String, String>,
}

/// What belongs to this machine and its clock; two runs of one seed in the virtual world differ in
/// nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct MachineFacts {
    /// When the run really was started, UTC, RFC 3339.
    pub started: String,
    /// The same in nanoseconds since the Unix epoch.
    pub started_unix_ns: u64,
    /// Real time in nanoseconds, from there to the end of the run, preparations included.
    pub real_elapsed_ns: u64,
    /// Threads that the clients lived on.
    pub threads: u64,
    /// Cores of the machine.
    pub cores: u64,
    /// The rest of what decides how fast it is; null where the run does not tell it.
    #[serde(default)]
    pub computer: Option<ComputerFacts>,
    /// Descriptors open before the run; null in the virtual world, which opens none.
    pub descriptors_before: Option<u64>,
    /// Descriptors open after it.
    pub descriptors_after: Option<u64>,
    /// Resident memory of the process before the first client, in bytes; null in the virtual world.
    pub resident_before_bytes: Option<u64>,
    /// Resident memory of the process at the end of the running phase, in bytes; null in the
    /// virtual world.
    pub resident_held_bytes: Option<u64>,
    /// Connections open at that instant.
    pub resident_held_open: Option<u64>,
    /// The most resident memory that the process had, from its own start to the end of the run, in
    /// bytes; other runs of the process count as well.
    pub resident_peak_bytes: Option<u64>,
}

/// What of a machine, and of the program on it, decides how long things take, besides cores and
/// threads.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ComputerFacts {
    /// Operating system: `linux`.
    pub os: String,
    /// Processor architecture: `x86_64`.
    pub arch: String,
    /// Processor model; null where the system does not tell it.
    pub cpu: Option<String>,
    /// How Squall was built.
    pub build: Build,
}

impl MachineFacts {
    /// What is known outside the run's world: when it really was started, how long it really took,
    /// with how many threads on how many cores, and the peak of resident memory. The rest is null.
    #[must_use]
    pub fn new(
        started_unix_ns: u64,
        took: Duration,
        threads: usize,
        cores: usize,
        resident_peak_bytes: Option<u64>,
    ) -> Self {
        Self {
            started: resource_log::utc(started_unix_ns),
            started_unix_ns,
            real_elapsed_ns: u64::try_from(took.as_nanos()).unwrap_or(u64::MAX),
            threads: threads as u64,
            cores: cores as u64,
            computer: None,
            descriptors_before: None,
            descriptors_after: None,
            resident_before_bytes: None,
            resident_held_bytes: None,
            resident_held_open: None,
            resident_peak_bytes,
        }
    }

    /// The same with what the engine read of its process.
    fn with(self, health: &GeneratorHealth) -> Self {
        let (descriptors_before, descriptors_after) = ends_of(health, EndKind::Descriptor);
        Self {
            descriptors_before,
            descriptors_after,
            resident_before_bytes: health.memory.map(|memory| memory.before_bytes),
            resident_held_bytes: health.memory.map(|memory| memory.held_bytes),
            resident_held_open: health.memory.map(|memory| memory.open),
            ..self
        }
    }
}

/// Open ends before and after the load, if they are of this kind.
fn ends_of(health: &GeneratorHealth, kind: EndKind) -> (Option<u64>, Option<u64>) {
    let ends = health.open_ends;
    if ends.kind == kind { (ends.before, ends.after) } else { (None, None) }
}

/// What only the starter of a run knows.
#[derive(Clone, Debug)]
pub struct Circumstances {
    /// What was run, where, and with what.
    pub run: RunFacts,
    /// How it ended.
    pub how: HowEnded,
    /// The machine, and real time.
    pub machine: MachineFacts,
}

/// Where the load went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TargetFacts {
    /// Endpoint, without secrets.
    pub endpoint: String,
    /// Whose it is.
    pub place: TargetPlace,
    /// Whether the hub's side was observed through the control API.
    pub control: bool,
}

/// Whose a target is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TargetPlace {
    /// The hub inside the run's own process.
    Embedded,
    /// Another process of this machine.
    Loopback,
    /// Another machine.
    Remote,
}

/// What the hub allows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HubFacts {
    /// Name of the hub on the wire.
    pub name: String,
    /// `free`, `standard` or `premium`.
    pub tier: String,
    /// Units at the start.
    pub units: u32,
    /// Concurrent connections that allows.
    pub connection_cap: u64,
    /// Between two websocket pings, in nanoseconds.
    pub ping_interval_ns: u64,
    /// From the last sign of life to the drop, in nanoseconds.
    pub ping_timeout_ns: u64,
    /// Bytes of a connection's outbound queue.
    pub queue_bytes: u64,
    /// Messages of a connection's outbound queue.
    pub queue_messages: u64,
}

/// One population's sums.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PopulationFacts {
    /// Name.
    pub name: String,
    /// Clients in the plan.
    pub clients: u64,
    /// What they do, in words.
    pub behaviour: String,
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
    /// Attempts made after a drop, before being open again.
    pub recovery_attempts: u64,
    /// Rows per category.
    pub categories: BTreeMap<CloseCategory, u64>,
    /// Delivery over all its connections.
    pub delivery: DeliveryTally,
    /// Replies to its events that were to come back to their senders, over all its connections;
    /// every event that was sent is expected.
    pub replies: DeliveryTally,
    /// Messages published.
    pub published: u64,
    /// Acknowledgements that failed, by the name of their error.
    pub acks_failed: BTreeMap<AckFailure, u64>,
    /// Planned messages that were not sent: not connected, or the outbox was full.
    pub not_sent: u64,
}

/// Ends of one kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct End {
    /// Population; null for all together.
    pub population: Option<String>,
    /// The hub's category; null when not observed or not seen.
    pub category: Option<CloseCategory>,
    /// What the client saw.
    pub seen: ClientObservation,
    /// How many.
    pub count: u64,
    /// Time from open to end of those that were open, in microseconds.
    pub life: Option<Life>,
    /// Whether the scenario expects the category of that population, and no client that should not
    /// have been disturbed was cut off under it; null where there is no category. For all
    /// populations together: whether it holds of every one of them.
    pub expected: Option<bool>,
}

/// How long connections were open, in microseconds; the median to three significant digits, the
/// others exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[allow(missing_docs, reason = "the names say it")]
pub struct Life {
    pub min_us: u64,
    pub median_us: u64,
    pub max_us: u64,
}

/// One cell of the matrix hub against client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MatrixCell {
    /// Population.
    pub population: String,
    /// The hub's category; null when not observed or not seen.
    pub category: Option<CloseCategory>,
    /// What the hub put on the wire.
    pub wire: Option<HubWire>,
    /// What the client saw.
    pub seen: ClientObservation,
    /// Rows.
    pub count: u64,
    /// Whether both views can be true together.
    pub allowed: bool,
}

/// The least and the greatest of some values, exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Range {
    /// How many values.
    pub count: u64,
    /// The least.
    pub min: i64,
    /// The greatest.
    pub max: i64,
}

impl From<Extent> for Range {
    fn from(extent: Extent) -> Self {
        Self { count: extent.count, min: extent.min, max: extent.max }
    }
}

/// Time from an instant to the hub's decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CloseWindow {
    /// Population.
    pub population: String,
    /// Category.
    pub category: CloseCategory,
    /// From which instant.
    pub since: WindowStart,
    /// Nanoseconds.
    pub after_ns: Range,
}

/// From which instant a window counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WindowStart {
    /// The last sign of life.
    LastLife,
    /// The open.
    Open,
    /// The start of the client's misbehaviour on that connection.
    Behaviour,
    /// The latest fault that addressed it.
    Fault,
}

impl From<Since> for WindowStart {
    fn from(since: Since) -> Self {
        match since {
            Since::LastLife => Self::LastLife,
            Since::Open => Self::Open,
            Since::Behaviour => Self::Behaviour,
            Since::Fault => Self::Fault,
        }
    }
}

/// What was under way to clients when their drop was decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BacklogAtClose {
    /// Population.
    pub population: String,
    /// Category.
    pub category: CloseCategory,
    /// Bytes in the hub's queue.
    pub queue_bytes: Range,
    /// Bytes that the kernels held (in the virtual world: the links): written by the hub, not read
    /// by the client. Null when not known.
    pub kernel_bytes: Option<Range>,
}

/// Both views of the latencies of one series.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LatencySeries {
    /// What was timed.
    pub kind: LatencyKind,
    /// Population (the receiver's for messages); null for all, and for the engine's own calls.
    pub population: Option<String>,
    /// Before or after the first misbehaviour or fault; null for both.
    pub stage: Option<Stage>,
    /// From the planned instant.
    pub response: Option<Quantiles>,
    /// From the actual instant.
    pub service: Option<Quantiles>,
}

/// A distribution in a few numbers; microseconds, three significant digits, but for the least and
/// the greatest, which are exact.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Quantiles {
    /// Samples.
    pub count: u64,
    /// Least.
    pub min_us: u64,
    /// Mean.
    pub mean_us: f64,
    /// Median.
    pub p50_us: u64,
    /// 90 % are at most this.
    pub p90_us: u64,
    /// 95 % are at most this; null in runs of versions that did not keep it.
    #[serde(default)]
    pub p95_us: Option<u64>,
    /// 99 % are at most this.
    pub p99_us: u64,
    /// 99.9 % are at most this; only of [`P999_SAMPLES_MIN`] samples or more.
    pub p999_us: Option<u64>,
    /// Greatest.
    pub max_us: u64,
}

impl Quantiles {
    /// The numbers of some times; `None` of none.
    #[must_use]
    pub fn of(timings: &Timings) -> Option<Self> {
        (!timings.is_empty()).then(|| Self {
            count: timings.len(),
            min_us: timings.min(),
            mean_us: timings.mean(),
            p50_us: timings.value_at_quantile(0.5),
            p90_us: timings.value_at_quantile(0.9),
            p95_us: Some(timings.value_at_quantile(0.95)),
            p99_us: timings.value_at_quantile(0.99),
            p999_us: (timings.len() >= P999_SAMPLES_MIN).then(|| timings.value_at_quantile(0.999)),
            max_us: timings.max(),
        })
    }
}

/// A fault of the timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FaultOutcome {
    /// What, in words.
    pub what: String,
    /// When the plan wanted it, in nanoseconds since the epoch.
    pub planned_ns: u64,
    /// When it was asked for; null when it was not.
    pub done_ns: Option<u64>,
    /// Why it could not be done.
    pub error: Option<String>,
}

/// How the generator itself fared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GeneratorFacts {
    /// Connections open at once on the client side, at most.
    pub open_peak: u64,
    /// Rows whose hub side was observed.
    pub rows_observed: u64,
    /// Entries the hub's ledger had for attempts that no client made.
    pub hub_rows_unmatched: u64,
    /// Ends of links open before the load, in the virtual world; null elsewhere, where descriptors
    /// are counted (see `machine`).
    pub link_ends_before: Option<u64>,
    /// Ends of links open after it.
    pub link_ends_after: Option<u64>,
    /// Client tasks alive after the run; anything but 0 is a leak.
    pub tasks_after: u64,
    /// Messages that the engine itself sent by REST and the hub did not take.
    pub rest_failed: u64,
}

/// What the recorder saw that no summary has.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// Bytes held by the kernels, or by the links, when a drop was decided, per population name and
    /// category.
    pub kernel_bytes: BTreeMap<(String, CloseCategory), Extent>,
}

impl RunFile {
    /// Puts a run together and masks every secret in it.
    #[must_use]
    pub fn new(
        plan: &Plan,
        summary: &Summary,
        verdict: &Verdict,
        observed: &Observed,
        circumstances: Circumstances,
        redactor: &Redactor,
    ) -> Self {
        let Circumstances { run, how, machine } = circumstances;
        let (ends, ends_total) = gather::ends(plan, summary);
        let (link_ends_before, link_ends_after) = ends_of(&summary.health, EndKind::LinkEnd);
        let whole = Self {
            schema_version: SCHEMA_VERSION,
            run,
            how,
            elapsed_ns: summary.elapsed_ns,
            outcome: verdict.outcome,
            checks: verdict.checks.clone(),
            populations: gather::populations(plan, summary),
            ends,
            ends_total,
            matrix: gather::matrix(plan, summary),
            close_windows: gather::close_windows(plan, summary),
            backlog_at_close: gather::backlog(plan, summary, observed),
            traffic: Some(traffic::facts(plan, summary)),
            latency_total: gather::latency_total(&summary.latency),
            latency: gather::latency(plan, &summary.latency),
            storm: StormFacts::of(summary),
            faults: gather::faults(plan, summary),
            hub_counters: summary.counters_after.clone(),
            upstream: UpstreamFacts::of(plan, summary),
            generator: GeneratorFacts {
                open_peak: summary.open_peak,
                rows_observed: summary.rows_observed,
                hub_rows_unmatched: summary.hub_rows_unmatched,
                link_ends_before,
                link_ends_after,
                tasks_after: summary.health.tasks_after,
                rest_failed: summary.rest_failed,
            },
            warnings: summary.health.warnings.iter().cloned().collect(),
            machine: machine.with(&summary.health),
        };
        whole.masked(redactor)
    }

    /// The same with every secret masked, wherever free text stands.
    #[must_use]
    pub fn masked(self, redactor: &Redactor) -> Self {
        let Ok(mut value) = serde_json::to_value(&self) else { return self };
        super::mask(redactor, &mut value);
        serde_json::from_value(value).unwrap_or(self)
    }

    /// Whether the hub's side of the ledger was observed.
    #[must_use]
    pub const fn hub_observed(&self) -> bool {
        self.generator.rows_observed > 0
    }

    /// Rows of the ledger.
    #[must_use]
    pub fn attempts(&self) -> u64 {
        self.ends_total.iter().map(|end| end.count).sum()
    }

    /// Rows per category, in the order in which reports list them.
    #[must_use]
    pub fn categories(&self) -> Vec<(CloseCategory, u64)> {
        let mut counts = BTreeMap::new();
        for end in &self.ends_total {
            if let Some(category) = end.category {
                *counts.entry(category).or_insert(0) += end.count;
            }
        }
        counts.into_iter().collect()
    }

    /// Delivery over all populations.
    #[must_use]
    pub fn delivery(&self) -> DeliveryTally {
        self.sum(|population| &population.delivery)
    }

    /// Replies over all populations.
    #[must_use]
    pub fn replies(&self) -> DeliveryTally {
        self.sum(|population| &population.replies)
    }

    fn sum(&self, of: impl Fn(&PopulationFacts) -> &DeliveryTally) -> DeliveryTally {
        let mut sum = DeliveryTally::default();
        self.populations.iter().for_each(|population| sum.add(of(population)));
        sum
    }
}

/// The JSON Schema of `run.json`.
#[must_use]
pub fn schema() -> serde_json::Value {
    schemars::generate::SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<RunFile>()
        .to_value()
}
