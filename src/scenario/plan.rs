//! The immutable plan: a scenario with every default filled in, every name resolved to an index and
//! every count scaled. Everything a run does follows from it and its seed.
//!
//! Times are durations from the start of the timeline (the run's epoch).

pub mod search;
mod server_side;
mod traffic;
mod upstream;

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::protocol::settings::SocketBuffers;
use crate::protocol::{CloseCategory, CloseCode, HubSettings, Subprotocol};

pub use server_side::*;
pub use traffic::*;
pub use upstream::*;

/// Index of a population in [`Plan::populations`].
pub type PopulationIndex = u16;
/// Index of a group in [`Plan::groups`].
pub type GroupIndex = u32;

/// Groups and rooms in one plan, at most.
pub const GROUPS_MAX: usize = 1_000_000;

/// What a run does.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    /// Scenario name: its file stem.
    pub name: String,
    /// One line for people.
    pub title: String,
    /// Seed of every draw.
    #[serde(skip)]
    pub seed: u64,
    /// The longest the running phase may take.
    pub duration: Duration,
    /// How long to go on looking once every expectation is met, for what must not happen.
    pub settle: Duration,
    /// How long draining and leaving may take each.
    pub grace: Duration,
    /// What the hub shall allow.
    pub hub: HubSettings,
    /// Name of the hub on the wire.
    pub hub_name: String,
    /// What the application server answers; `None` when the scenario has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upstream: Option<UpstreamScript>,
    /// What the target must offer.
    pub requires: Requires,
    /// Populations, in file order.
    pub populations: Vec<Population>,
    /// Group names on the wire.
    pub groups: Vec<String>,
    /// Traffic, in file order.
    pub traffic: Vec<Traffic>,
    /// Streams of numbered messages: one per (traffic, sender), numbered through the plan;
    /// `stream_base` of a traffic plus the sender's position.
    pub streams: u32,
    /// Faults, in order of time.
    pub faults: Vec<FaultAt>,
    /// What must be true at the end.
    pub expectations: Vec<Expectation>,
    /// What must be true of the hub's log and of the application server.
    #[serde(skip_serializing_if = "ServerSide::is_empty")]
    pub server_side: ServerSide,
    /// Thresholds.
    pub thresholds: Vec<Threshold>,
    /// What is tried instead of one run; each step is a plan of its own, without a search.
    #[serde(skip)]
    pub search: Option<search::Search>,
    /// Hash of everything above but the seed and the search, 16 hexadecimal digits.
    #[serde(skip)]
    pub hash: String,
}

impl Plan {
    /// Clients of all populations.
    #[must_use]
    pub fn clients(&self) -> u64 {
        self.populations.iter().map(|population| u64::from(population.count)).sum()
    }

    /// The earliest instant at which something goes wrong on purpose (a behaviour's window that is
    /// not open from the start, or a fault): where latencies split into before and after.
    #[must_use]
    pub fn first_trouble(&self) -> Option<Duration> {
        let behaviours = self
            .populations
            .iter()
            .flat_map(|population| &population.behaviours)
            .filter(|timed| timed.behaviour.is_misbehaviour())
            .map(|timed| timed.from);
        behaviours.chain(self.faults.iter().map(|fault| fault.at)).filter(|at| !at.is_zero()).min()
    }
}

/// What a scenario needs of its target beyond the service's own surface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Requires {
    /// The control API: faults of the hub, settings, the hub's side of the ledger.
    pub control: bool,
    /// The access key: REST calls and tokens per attempt.
    pub access_key: bool,
}

/// Whether `-n` changes a population's size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Scaling {
    /// It takes its share.
    Proportional,
    /// It keeps its count: the number is the point (a tier's cap, say).
    Fixed,
}

/// Virtual clients that share behaviour, payload and arrival.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Population {
    /// Name.
    pub name: String,
    /// How many clients.
    pub count: u32,
    /// Whether `-n` changes that.
    pub scaling: Scaling,
    /// How they arrive.
    pub arrival: Arrival,
    /// What they speak.
    pub protocol: Subprotocol,
    /// Groups that all of them are in while connected.
    pub groups: Vec<GroupIndex>,
    /// Groups of their own that they are dealt out to besides.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rooms: Vec<Rooms>,
    /// User ids.
    pub user: UserPolicy,
    /// What they do or fail to do; empty is steady.
    pub behaviours: Vec<TimedBehaviour>,
    /// Buffers of their end of the connection, set before connect.
    pub buffers: SocketBuffers,
    /// What lies between them and the hub.
    pub shaping: Shaping,
    /// What they do after the end of a connection that they did not want.
    pub reconnect: Reconnect,
    /// How long a client stays connected before it leaves; `None`: until the run's end.
    pub lifetime: Option<Duration>,
    /// Departures per second of each connected client, at random; it comes back at once. `None`
    /// where a lifetime is set.
    pub churn: Option<f64>,
    /// Where access tokens come from.
    pub token: TokenPolicy,
}

impl Population {
    /// Whether no behaviour of it is a misbehaviour: a bystander, unless a fault addresses it.
    #[must_use]
    pub fn is_well_behaved(&self) -> bool {
        !self.behaviours.iter().any(|timed| timed.behaviour.is_misbehaviour())
    }
}

/// What is done to the bytes between a client and the hub, alike in both directions. Only the
/// virtual world's links can do it; the default is an ideal link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Shaping {
    /// One-way delay.
    pub delay: Duration,
    /// Up to this much is added to the delay, uniformly from the seed. Bytes stay in order.
    pub jitter: Duration,
    /// Bytes per second; `None` is no bound.
    pub bandwidth: Option<f64>,
    /// A middlebox resets the connection once nothing has passed either way for so long.
    pub idle_cut: Option<Duration>,
}

impl Shaping {
    /// Whether bytes arrive in the instant they leave, however many, for as long as anybody wants.
    #[must_use]
    pub fn is_ideal(&self) -> bool {
        *self == Self::default()
    }
}

/// How clients arrive.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Arrival {
    /// By schedule, independent of what happens to them.
    Open {
        /// Before the first stage.
        start: Duration,
        /// The schedule.
        schedule: ArrivalSchedule,
    },
    /// A new one when a slot frees: at most `slots` clients of the population at a time.
    Closed {
        /// Before the first.
        start: Duration,
        /// Clients at a time.
        slots: u32,
    },
}

/// An open arrival schedule. Rates are clients per second.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum ArrivalSchedule {
    /// All at once.
    Burst,
    /// One every `1/rate` seconds.
    Constant {
        /// Clients per second.
        rate: f64,
    },
    /// Pieces of a ramp, one after the other; after the last one its end rate goes on.
    Stages(Vec<RampStage>),
    /// Exponential gaps from the seed.
    Poisson {
        /// Clients per second, on average.
        rate: f64,
    },
}

/// A piece of a ramp: the rate changes linearly from `from` to `to`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct RampStage {
    /// Clients per second at its start.
    pub from: f64,
    /// Clients per second at its end.
    pub to: f64,
    /// How long.
    pub lasting: Duration,
}

/// User ids of a population.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum UserPolicy {
    /// No user id.
    Anonymous,
    /// `<population>-<index>`.
    PerClient,
    /// All the same.
    Shared(String),
}

/// Where access tokens come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum TokenPolicy {
    /// Minted per client and attempt, valid this long.
    Minted {
        /// From minting to `exp`.
        lifetime: Duration,
    },
    /// Minted once per client, used for every attempt.
    Once {
        /// From minting to `exp`.
        lifetime: Duration,
    },
}

/// A behaviour with its window: from `from` until `until` (the end of the run when `None`).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct TimedBehaviour {
    /// What.
    pub behaviour: Behaviour,
    /// Start of the window.
    pub from: Duration,
    /// End of the window.
    pub until: Option<Duration>,
}

/// What a client does or fails to do; one file each in `client`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Behaviour {
    /// Reads everything, never answers a websocket ping.
    SuppressPong,
    /// Answers websocket pings this much later.
    DelayPong {
        /// How much.
        by: Duration,
    },
    /// Leaves each websocket ping unanswered with this probability, from the seed.
    LosePong {
        /// 0 to 1: probability that a ping is not answered.
        probability: f64,
    },
    /// Sends `{"type":"ping"}` this often (JSON clients).
    AppPing {
        /// Between two.
        every: Duration,
    },
    /// Reads at most this many bytes per second.
    SlowReadBytes {
        /// Bytes per second.
        rate: f64,
    },
    /// Reads at most this many messages per second.
    SlowReadMessages {
        /// Messages per second.
        rate: f64,
    },
    /// Does not read at all (and so answers nothing); watches for hang-up only.
    Stall,
    /// Is gone at the window's start (its end means nothing).
    Vanish {
        /// How.
        how: Vanish,
    },
}

/// How a client vanishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Vanish {
    /// The operating system tears the connection down: RST.
    Reset,
    /// FIN without a close frame.
    Fin,
    /// Silence: bytes of both directions go nowhere, and nobody is told.
    BlackHole,
}

impl Behaviour {
    /// Whether the service may hold it against the client.
    #[must_use]
    pub const fn is_misbehaviour(&self) -> bool {
        !matches!(self, Self::AppPing { .. })
    }
}

/// What happens after an unwanted end.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reconnect {
    /// The delays.
    pub policy: ReconnectPolicy,
    /// Which ends it answers to.
    pub after: ReconnectAfter,
    /// When the first attempt of a recovery comes.
    pub first: FirstAttempt,
    /// Attempts per recovery; `None` is for ever.
    pub attempts: Option<u32>,
}

/// When the first attempt of a recovery (attempt 0) comes, counted from the end it answers to.
///
/// In a file `first = "2s"` is [`Self::Within`] two seconds, `first = "0s"` (the default) is at
/// once, and `first = "after-delay"` is [`Self::AfterDelay`]. So `every = "1s"` alone is what the
/// JS SDK does (at once, then every second), and `every = "4s"`, `first = "after-delay"`,
/// `attempts = 1` is exactly one attempt, four seconds after the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum FirstAttempt {
    /// Uniformly within this window; zero is at once. Attempt `n` then waits the policy's delay
    /// number `n`.
    Within(Duration),
    /// After the policy's delay number 1, like every later one: attempt `n` waits the policy's
    /// delay number `n + 1`.
    AfterDelay,
}

/// Delays before the attempts of one recovery, numbered from 1; [`Reconnect::first`] says what
/// comes before attempt 0. Each counts from the end of the attempt before.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum ReconnectPolicy {
    /// No attempt at all.
    None,
    /// Always the same.
    Fixed {
        /// Delay.
        every: Duration,
    },
    /// Delay number `n` is `base * 2^(n-1)`, at most `cap`, then jittered.
    Exponential {
        /// Delay number 1.
        base: Duration,
        /// Largest delay.
        cap: Duration,
        /// Jitter.
        jitter: Jitter,
    },
}

/// Jitter of an exponential delay `d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all(deserialize = "kebab-case"))]
pub enum Jitter {
    /// `d`.
    None,
    /// Between `d/2` and `d`, alike.
    Equal,
    /// Between 0 and `d`, alike.
    Full,
}

/// Which ends a reconnect policy answers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum ReconnectAfter {
    /// The end of a connection that had been open; a refused first attempt is final, as in the
    /// SDKs.
    Drop,
    /// Also a first attempt that failed or was refused.
    Any,
}

/// How long a client waits for the answer to its upgrade request. It stands here because what is
/// foretold depends on it.
pub const HANDSHAKE_MAX: Duration = Duration::from_secs(10);

/// A fault and its instant.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FaultAt {
    /// When.
    pub at: Duration,
    /// What.
    pub fault: Fault,
}

/// A fault, or an action of the application server or of the clients' users, on the timeline.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Fault {
    /// The hub reloads (control API).
    Reload {
        /// Share of the open connections, above 0 up to 1.
        share: f64,
        /// Spread over.
        over: Duration,
    },
    /// The hub freezes (control API).
    Freeze {
        /// How long.
        lasting: Duration,
    },
    /// Tier and units change (control API).
    Scale {
        /// New tier.
        tier: crate::protocol::settings::Tier,
        /// New units.
        units: u32,
    },
    /// REST close of connections, one call per connection id.
    CloseConnections {
        /// Whose.
        population: PopulationIndex,
        /// How many, from the first connected one; `None` is all.
        count: Option<u32>,
        /// Reason, passed on to the clients.
        reason: Option<String>,
    },
    /// REST close of a group.
    CloseGroup {
        /// Which.
        group: GroupIndex,
        /// Reason.
        reason: Option<String>,
    },
    /// REST close of a user: the user of client 0 of the population (or the shared one).
    CloseUser {
        /// Whose.
        population: PopulationIndex,
        /// Reason.
        reason: Option<String>,
    },
    /// REST close of everybody in the hub.
    CloseAll {
        /// Reason.
        reason: Option<String>,
    },
    /// Clients leave in order.
    Leave {
        /// Whose.
        population: PopulationIndex,
        /// How many, from the first connected one; `None` is all.
        count: Option<u32>,
    },
}

/// What must be true of one population.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Expectation {
    /// Which.
    pub population: PopulationIndex,
    /// What.
    pub claim: Claim,
    /// Path in the file, for messages: `expect.muted.closes`.
    pub path: String,
}

/// One claim.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum Claim {
    /// Rows of exactly these categories; a category that is not listed does not occur.
    Closes(Vec<(CloseCategory, Quantity)>),
    /// Every row of `category` was decided this long after an instant.
    CloseWithin {
        /// Of which category; the drops listed in `closes` when the file names none.
        category: CloseCategory,
        /// After what.
        since: crate::measure::summary::Since,
        /// More than this.
        from: Duration,
        /// At most this.
        to: Duration,
    },
    /// Attempts refused with exactly these HTTP statuses; one that is not listed does not occur.
    Refused(Vec<(u16, Quantity)>),
    /// Every attempt refused with one of these HTTP statuses saw this body, whole, and there was
    /// one.
    RefusedBody(Vec<(u16, String)>),
    /// Close frames of the hub that came first and were read, with exactly these codes
    /// ([`crate::protocol::close::NO_CODE`] for a frame without one); a code that is not listed
    /// does not occur.
    CloseCodes(Vec<(CloseCode, Quantity)>),
    /// Connections opened in all.
    Opens(Quantity),
    /// Clients that were dropped and came back.
    Recovered(Quantity),
    /// Attempts during recoveries per dropped client, at most.
    Amplification {
        /// At most.
        at_most: f64,
    },
    /// Nothing lost, duplicated or out of order.
    DeliveryComplete,
    /// Every event that was sent came back to its sender: nothing lost, duplicated or out of
    /// order.
    RepliesComplete,
    /// Bytes in the hub's queue at the decision of `category`: above its limit by at most one
    /// frame, be the limit one of bytes or of messages.
    QueueAtCloseJustOverLimit {
        /// Of which category.
        category: CloseCategory,
        /// More bytes than this.
        above: u64,
        /// At most so many bytes.
        at_most: u64,
    },
    /// Message latency p99 after the first trouble against before: at most `ratio` times, or at
    /// most `or_delta` more.
    Steady {
        /// After / before.
        ratio: f64,
        /// Or after - before.
        or_delta: Duration,
    },
}

/// How many, relative to the clients of the population so that it scales.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Quantity {
    /// At least.
    pub at_least: u64,
    /// At most.
    pub at_most: u64,
}

impl Quantity {
    /// Exactly `count`.
    #[must_use]
    pub const fn exactly(count: u64) -> Self {
        Self { at_least: count, at_most: count }
    }

    /// Whether `count` is it.
    #[must_use]
    pub const fn holds(&self, count: u64) -> bool {
        self.at_least <= count && count <= self.at_most
    }
}

/// A threshold in k6's grammar, parsed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Threshold {
    /// Metric with its selectors, as written: `message{population:healthy}`.
    pub metric: Metric,
    /// Restricts to one population.
    pub population: Option<PopulationIndex>,
    /// Restricts to before or after the first trouble.
    pub stage: Option<crate::measure::Stage>,
    /// The condition.
    pub condition: Condition,
    /// As written, for messages.
    pub text: String,
}

/// What a threshold looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Metric {
    /// Latency from the planned instant.
    Response(crate::measure::LatencyKind),
    /// Latency from the actual instant.
    Service(crate::measure::LatencyKind),
    /// Rows of a category.
    Closes(CloseCategory),
    /// Connections opened.
    Opens,
    /// Attempts.
    Attempts,
    /// Delivered share: unique received / expected.
    Delivered,
    /// Messages lost.
    Lost,
    /// Messages duplicated.
    Duplicated,
    /// Messages out of order.
    OutOfOrder,
    /// Acknowledgements that failed.
    AcksFailed,
    /// Most connections open at once.
    PeakConnections,
    /// Most attempts in any tenth of a second, the first ones of the clients left out.
    PeakAttempts,
}

/// `p(99)<200ms`, `rate<0.01`, `count==0`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Condition {
    /// Which number of the metric.
    pub statistic: Statistic,
    /// How it compares.
    pub operator: Operator,
    /// With what: nanoseconds for latencies.
    pub value: f64,
}

/// A number of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub enum Statistic {
    /// Percentile, 0 to 100.
    Percentile(f64),
    /// Mean.
    Average,
    /// Median.
    Median,
    /// Least.
    Minimum,
    /// Greatest.
    Maximum,
    /// How many.
    Count,
    /// Share.
    Rate,
    /// The value itself.
    Value,
}

/// Comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the names are the operators")]
pub enum Operator {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
}
