//! Everything a plan says, as data: what `squall plan --json` prints and every report is made of.
//! Each number stands beside the [`Basis`] it rests on.

mod assumptions;
mod make;
mod parts;

pub use make::{estimate, units_by_hour};
pub use parts::{BETWEEN_MINUTES, KERNEL_BYTES, LEAD_MINUTES, SCALE_OUT_PERCENT};

use schemars::JsonSchema;
use serde::Serialize;

use super::consistency::Consistency;
use super::dimension::{Dimension, Pattern};
use super::storm::Storm;
use super::table::sku;
use super::workload::{Basis, Inbound, Need, Revision, UnitList};
use crate::protocol::settings::Tier;

/// Version of the shape of an estimate. A field is added without a new one.
pub const ESTIMATE_VERSION: u32 = 1;

/// A number and what it rests on.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Figure {
    /// The number; null where there is none, such as a time that never comes.
    pub value: Option<f64>,
    /// What it rests on.
    pub basis: Basis,
}

impl Figure {
    pub(super) const fn new(value: f64, basis: Basis) -> Self {
        Self { value: Some(value), basis }
    }

    pub(super) fn maybe(value: Option<f64>, basis: Basis) -> Self {
        // JSON has no infinity.
        Self { value: value.filter(|value| value.is_finite()), basis }
    }
}

/// Two readings of one number: bytes added up first, and each message rounded up.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Between {
    /// Bytes are added up first.
    pub least: f64,
    /// Each message is rounded up.
    pub most: f64,
    /// What both rest on.
    pub basis: Basis,
}

/// What a plan comes to.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[schemars(title = "Squall capacity plan", description = "what `squall plan --json` prints")]
pub struct Estimate {
    /// Version of this shape.
    pub schema_version: u32,
    /// Title of the workload.
    pub title: String,
    /// What it asks.
    pub load: Load,
    /// The first resource that fits; null when none is large enough.
    pub recommended: Option<Resource>,
    /// Unit counts tried, from the smallest.
    pub ladder: Vec<Step>,
    /// The resource that was to be looked at, if one was.
    pub held: Option<Held>,
    /// Dimensions of the recommended resource (or the largest one), the first to break first.
    pub break_order: Vec<Break>,
    /// The dimension whose planned share is used up first, which may be another than the one that
    /// breaks first; null without load.
    pub planned_first: Option<Break>,
    /// Billed messages.
    pub messages: Messages,
    /// Cost a month; null without prices.
    pub cost: Option<Cost>,
    /// When all clients are dropped at once.
    pub reload: Reload,
    /// When two and three times as many come.
    pub flash_crowd: Vec<Flash>,
    /// When the included messages of a day are used up.
    pub quota: Quota,
    /// How large the upstream must be.
    pub upstream: UpstreamSize,
    /// What changes with the size of messages.
    pub message_sizes: Vec<SizeEffect>,
    /// How fast units can follow.
    pub scaling: Scaling,
    /// What a drop costs in messages.
    pub loss: Loss,
    /// What clients that stop reading cost.
    pub slow_cohort: SlowCohort,
    /// The same with a fifth less and more.
    pub sensitivity: Vec<Sensitivity>,
    /// What the other revision of the guide's small-group figures would say.
    pub revisions: Revisions,
    /// What all of this takes for granted.
    pub assumptions: Vec<Assumption>,
    /// What a reader must know.
    pub cautions: Vec<String>,
    /// What the runs of `--consistency` showed; absent without it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consistency: Option<Consistency>,
}

/// What a workload asks in the busiest hour.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Load {
    /// Clients connected.
    pub connections: Figure,
    /// Connections that the service counts, ghosts and overlap included.
    pub connections_counted: Figure,
    /// Hours of the busiest load that make the same day.
    pub full_hours: Figure,
    /// Kinds of traffic.
    pub traffic: Vec<FlowRow>,
    /// What the resource must offer besides.
    pub needs: Vec<Need>,
    /// Which figures for small groups count.
    pub revision: Revision,
    /// Which unit counts can be bought.
    pub unit_list: UnitList,
    /// How the inbound figures of broadcasts are read.
    pub inbound: Inbound,
}

/// One kind of traffic in the busiest hour.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct FlowRow {
    /// Name.
    pub name: String,
    /// Which figures of the guide it is held against.
    pub pattern: Pattern,
    /// Payload in bytes.
    pub size_bytes: u64,
    /// Receivers of a message.
    pub receivers: u64,
    /// Messages a second to the service.
    pub messages_in_per_s: f64,
    /// Messages a second to clients.
    pub messages_out_per_s: f64,
    /// Requests a second to the upstream.
    pub upstream_per_s: f64,
    /// What the rates rest on.
    pub basis: Basis,
}

/// A resource one can buy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Resource {
    /// Tier.
    pub tier: Tier,
    /// SKU.
    pub sku: &'static str,
    /// Units.
    pub units: u32,
    /// What choosing it rests on: Squall's arithmetic. Uses say what each capacity rests on.
    pub basis: Basis,
}

impl Resource {
    /// So many units of a tier.
    pub(super) const fn of(tier: Tier, units: u32) -> Self {
        Self { tier, sku: sku(tier, units), units, basis: Basis::Model }
    }
}

/// One unit count of the ladder.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Step {
    /// Which resource.
    pub resource: Resource,
    /// Whether everything stays within what is planned for.
    pub fits: bool,
    /// How full each dimension is that the workload touches.
    pub dimensions: Vec<Use>,
}

/// The resource that somebody has, with the units it has: they do not follow the load.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Held {
    /// Which, and how full it is.
    #[serde(flatten)]
    pub step: Step,
    /// What is needed and its tier does not offer.
    pub missing: Vec<Need>,
    /// Billed messages.
    pub messages: Messages,
    /// When the included messages of a day are used up.
    pub quota: Quota,
    /// Cost a month; null without prices.
    pub cost: Option<Cost>,
}

/// How full one dimension is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Use {
    /// Which.
    pub dimension: Dimension,
    /// What is asked.
    pub demand: f64,
    /// What there is.
    pub capacity: f64,
    /// The former as a part of the latter.
    pub share: f64,
    /// The part that is planned for.
    pub planned_share: f64,
    /// Whether it stays within that.
    pub fits: bool,
    /// What the capacity rests on.
    pub basis: Basis,
}

/// When a dimension gives out.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Break {
    /// Which.
    pub dimension: Dimension,
    /// Part of the capacity in use today.
    pub share: f64,
    /// Today's demand times this is what is planned for.
    pub planned_multiple: Option<f64>,
    /// Today's demand times this is all there is.
    pub break_multiple: Option<f64>,
    /// What the capacity rests on.
    pub basis: Basis,
}

/// Billed messages of 2 KiB.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Messages {
    /// A second in the busiest hour.
    pub per_s: Between,
    /// A day.
    pub per_day: Between,
    /// Included a day.
    pub included_per_day: Figure,
    /// More than included, a day.
    pub extra_per_day: Between,
    /// Unit-days of a day: the units, or what autoscale makes of the day's profile.
    pub unit_days: Figure,
}

/// Cost of a month of 30.4 days.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Cost {
    /// Currency.
    pub currency: String,
    /// Price of a unit for a day.
    pub unit_day: Figure,
    /// Price of a million messages more than included.
    pub million_messages: Figure,
    /// Units.
    pub units: Figure,
    /// Messages more than included.
    pub messages: Between,
    /// Both.
    pub total: Between,
    /// When the prices were read.
    pub date: String,
    /// Where.
    pub source: String,
    /// Region.
    pub region: String,
    /// Days since then.
    pub age_days: i64,
    /// Whether that is more than 90.
    pub is_old: bool,
    /// What the prices rest on.
    pub basis: Basis,
}

/// When all clients are dropped at once.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Reload {
    /// Clients that come back.
    pub clients: Figure,
    /// Connects a second that are admitted.
    pub connects_per_s: Figure,
    /// The least time in seconds: a second's worth of the rate is saved up, and the others come at
    /// the rate.
    pub least_s: Figure,
    /// The window over which to spread first attempts, in seconds: the jitter to configure.
    pub window_s: Figure,
    /// With the workload's own policy.
    pub as_configured: StormRow,
    /// First attempts over the window, then full jitter.
    pub as_recommended: StormRow,
    /// Upstream calls a second while it lasts.
    pub upstream_calls_per_s: Figure,
}

/// A reconnect storm in a few numbers.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct StormRow {
    /// Window of the first attempts, in seconds.
    pub first_within_s: f64,
    /// Most attempts in a second.
    pub attempts_peak_per_s: f64,
    /// Most attempts in a tenth of a second.
    pub attempts_peak_per_tenth: f64,
    /// Attempts a client.
    pub attempts_per_client: f64,
    /// Seconds until 95 % are back; null when that takes more than twenty minutes.
    pub t95_s: Option<f64>,
    /// Seconds until the last is back; null likewise. Where delays are drawn it moves by a third
    /// and more from one reload to the next.
    pub t100_s: Option<f64>,
    /// Seconds away, on average.
    pub away_mean_s: f64,
    /// Attempts in each second.
    pub attempts: Vec<f64>,
    /// Clients back at the end of each second.
    pub back: Vec<f64>,
    /// What it rests on.
    pub basis: Basis,
}

impl StormRow {
    fn of(first_within_s: f64, storm: &Storm) -> Self {
        Self {
            first_within_s,
            attempts_peak_per_s: storm.attempts_peak,
            attempts_peak_per_tenth: storm.attempts_peak_tenth,
            attempts_per_client: storm.attempts_per_client,
            t95_s: storm.t95,
            t100_s: storm.t100,
            away_mean_s: storm.away_mean,
            attempts: storm.seconds.iter().map(|second| second.attempts).collect(),
            back: storm.seconds.iter().map(|second| second.back).collect(),
            basis: Basis::Model,
        }
    }
}

/// When more users come at once.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Flash {
    /// Times as many users.
    pub times: f64,
    /// The fullest dimension then; null without load.
    pub fullest: Option<Use>,
    /// Connections that are refused.
    pub refused: Figure,
    /// Seconds until the others are admitted.
    pub admitted_s: Figure,
    /// What would hold them; null when nothing does.
    pub needed: Option<Resource>,
    /// What all of it rests on.
    pub basis: Basis,
}

/// When the included messages of a day are used up.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Quota {
    /// Included a day.
    pub included: Figure,
    /// Whether the service stops then (Free), or bills.
    pub then: Then,
    /// Hour of the day (UTC, 0 to 24) by bytes; null when the day ends first.
    pub hour_by_bytes: Figure,
    /// Hour of the day when each message is rounded up.
    pub hour_by_message: Figure,
    /// Seconds of the busiest load until then, by bytes.
    pub busiest_seconds: Figure,
    /// Messages sent by the end of each hour of the day.
    pub sent_by_hour: Vec<Between>,
}

/// What comes after the included messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Then {
    /// The service stops until 00:00 UTC.
    Stops,
    /// Every further message is billed.
    Billed,
}

/// How large the upstream must be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct UpstreamSize {
    /// Requests a second in the busiest hour.
    pub steady_per_s: Figure,
    /// Requests under way at once then: rate times latency.
    pub steady_at_once: Figure,
    /// Requests a second in a reload, connects included.
    pub reload_per_s: Figure,
    /// Requests under way at once then.
    pub reload_at_once: Figure,
    /// Latency it was computed with, in seconds.
    pub latency_s: Figure,
}

/// What a message of some size costs.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct SizeEffect {
    /// Payload in bytes.
    pub size_bytes: u64,
    /// Traffic that has messages of this size.
    pub of: Vec<String>,
    /// Bytes that it counts for throughput: at least 1,024.
    pub counts_bytes: u64,
    /// Billed messages, by bytes and rounded up.
    pub billed: Between,
    /// Part of the guide's message rates that units still carry.
    pub rate_share: Figure,
    /// What the floor and the steps rest on.
    pub basis: Basis,
}

/// How fast units can follow the load.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Scaling {
    /// What the steepest hour of the profile brings, in percent of the busiest load.
    pub steepest_percent: Figure,
    /// Connections that come in the steepest hour of the profile, a minute.
    pub steepest_per_minute: Figure,
    /// What comes within autoscale's five minutes, in percent of the busiest load.
    pub within_lead_percent: Figure,
    /// What comes until a second step could work (5 and 30 minutes), in percent.
    pub within_two_steps_percent: Figure,
    /// Percent of what the next step is for, at which to scale out at the latest: 80, or less where
    /// the load is faster.
    pub scale_out_percent: Figure,
    /// Months until the planned share is used up; null without growth.
    pub months_to_planned: Figure,
    /// Months until something breaks.
    pub months_to_break: Figure,
}

/// What a drop costs in messages.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Loss {
    /// Messages a second to a client, on average.
    pub per_client_per_s: Figure,
    /// Missed by a client in a reload, on average, as configured.
    pub per_drop_configured: Figure,
    /// The same, as recommended.
    pub per_drop_recommended: Figure,
    /// Missed by all together, as recommended.
    pub reload_recommended: Figure,
    /// Part of the clients, as configured, that come back too late for a reliable subprotocol's
    /// recovery (30 s in Microsoft's emulator).
    pub too_late_share: Figure,
}

/// What clients that stop reading cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, JsonSchema)]
pub struct SlowCohort {
    /// Clients: one in a hundred.
    pub clients: Figure,
    /// Bytes that their queues and kernels hold at most; 0 where nothing is sent to them.
    pub memory_bytes: Figure,
    /// Messages in the queue of one when it is full: 1,000, or fewer of large ones.
    pub queue_messages: Figure,
    /// Seconds until the queue of one is full; null when it never is.
    pub full_after_s: Figure,
}

/// The same with one thing changed.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Sensitivity {
    /// What.
    pub what: Varied,
    /// Times today's.
    pub times: f64,
    /// What holds it; null when nothing does.
    pub needed: Option<Resource>,
    /// The fullest dimension on the resource recommended today.
    pub fullest: Option<Use>,
    /// Billed messages a day.
    pub per_day: Between,
    /// Cost a month on the resource it needs; null without prices.
    pub cost: Option<Between>,
    /// What the row rests on; the cost has its own.
    pub basis: Basis,
}

/// What is varied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Varied {
    /// Users, and with them what they send.
    Users,
    /// Bytes of every message.
    Size,
    /// Messages a second of every sender.
    Rate,
}

/// What the other revision of the small-group figures says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Revisions {
    /// The one in force.
    pub used: Revision,
    /// The other.
    pub other: Revision,
    /// What the other one would recommend.
    pub other_recommends: Option<Resource>,
    /// Whether any traffic goes to small groups, by either.
    pub matters: bool,
}

/// Something that is taken for granted.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Assumption {
    /// What.
    pub what: String,
    /// Where from.
    pub source: &'static str,
    /// What it rests on.
    pub basis: Basis,
}

/// The JSON Schema of an [`Estimate`].
#[must_use]
pub fn estimate_schema() -> serde_json::Value {
    schemars::generate::SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<Estimate>()
        .to_value()
}
