//! What a plan is made for.

use std::collections::BTreeSet;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Assumption, Tier};
pub use crate::scenario::plan::Jitter;

/// A load, and how it is to be read. Rates and connections are those of the busiest hour.
#[derive(Clone, Debug, PartialEq)]
pub struct Workload {
    /// What reports call it.
    pub title: String,
    /// Clients connected at once in the busiest hour.
    pub connections: u64,
    /// What is sent, in file order.
    pub traffic: Vec<Traffic>,
    /// The day, hour by hour (UTC, as the quota is).
    pub profile: Profile,
    /// Connections that count and serve nobody.
    pub slack: Slack,
    /// How the load grows.
    pub growth: Growth,
    /// How clients come back after a drop.
    pub reconnect: Reconnect,
    /// The application server.
    pub upstream: Upstream,
    /// Whether somebody watches with the live trace tool.
    pub live_trace: LiveTrace,
    /// What the resource must offer besides capacity.
    pub needs: BTreeSet<Need>,
    /// A resource to look at beside the recommended one: tier and units.
    pub held: Option<(Tier, u32)>,
    /// What the load itself rests on.
    pub basis: Basis,
    /// What was taken from a run, and what was assumed in its place.
    pub taken: Vec<Assumption>,
    /// Which figures for small groups.
    pub revision: Revision,
    /// Which unit counts can be bought.
    pub unit_list: UnitList,
    /// How the inbound figures of broadcasts are read.
    pub inbound: Inbound,
}

impl Workload {
    /// So many connections that send nothing, all day, with every setting at its default.
    #[must_use]
    pub fn idle(title: &str, connections: u64) -> Self {
        Self {
            title: title.to_owned(),
            connections,
            traffic: Vec::new(),
            profile: Profile::all_day(),
            slack: Slack::default(),
            growth: Growth::default(),
            reconnect: Reconnect::default(),
            upstream: Upstream::default(),
            live_trace: LiveTrace::Off,
            needs: BTreeSet::new(),
            held: None,
            basis: Basis::Assumption,
            taken: Vec::new(),
            revision: Revision::Newest,
            unit_list: UnitList::Newest,
            inbound: Inbound::Conditions,
        }
    }

    /// Connections that the service counts in the busiest hour, ghosts and overlap included; what
    /// is not whole is rounded up.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "connections are far below 2^53, shares are not negative"
    )]
    pub fn connections_counted(&self) -> u64 {
        let factor = 1.0 + self.slack.ghosts + self.slack.overlap;
        // A part in a billion is rounding of the shares, not a connection.
        (self.connections as f64 * factor - 1e-6).ceil().max(0.0) as u64
    }

    /// The lowest tier that offers what is needed.
    #[must_use]
    pub fn tier_floor(&self) -> Tier {
        if self.needs.is_empty() { Tier::Free } else { Tier::Premium }
    }

    /// The same with connections, and with them the messages of all who send because they are
    /// connected, times a factor.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "connections are far below 2^53, factors are not negative"
    )]
    pub fn with_users(&self, factor: f64) -> Self {
        let times = |count: u64| (count as f64 * factor).round() as u64;
        let mut scaled = self.clone();
        scaled.connections = times(self.connections);
        for traffic in &mut scaled.traffic {
            match &mut traffic.target {
                Target::Groups { count, members } => {
                    *count = times(*count).max(1);
                    // Fewer users than a group had: everybody is in it.
                    if factor < 1.0 {
                        *members = (*members).min(scaled.connections).max(1);
                    }
                }
                Target::Everyone | Target::RestBroadcast => {}
                Target::Upstream | Target::RestToUser => {}
            }
            if traffic.senders > 1 {
                traffic.senders = times(traffic.senders);
            }
        }
        scaled
    }

    /// The same with every rate times a factor.
    #[must_use]
    pub fn with_rates(&self, factor: f64) -> Self {
        let mut scaled = self.clone();
        for traffic in &mut scaled.traffic {
            traffic.rate *= factor;
        }
        scaled
    }

    /// The same with every message's size times a factor, at least a byte.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss,
        reason = "sizes are at most 1 MiB, factors are not negative"
    )]
    pub fn with_sizes(&self, factor: f64) -> Self {
        let mut scaled = self.clone();
        for traffic in &mut scaled.traffic {
            traffic.size = ((traffic.size as f64 * factor).round() as u64).max(1);
        }
        scaled
    }
}

/// What a number rests on; every number of an estimate says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Basis {
    /// Observed of a real resource.
    Measured,
    /// Computed by Squall's own model, or observed of its emulator.
    Model,
    /// Microsoft's published figures, and arithmetic on nothing else.
    MicrosoftBenchmark,
    /// Somebody's assumption, the user's or Squall's.
    Assumption,
}

impl Basis {
    /// As reports write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Measured => "measured",
            Self::Model => "model",
            Self::MicrosoftBenchmark => "Microsoft benchmark",
            Self::Assumption => "assumption",
        }
    }
}

/// One kind of message.
#[derive(Clone, Debug, PartialEq)]
pub struct Traffic {
    /// Name.
    pub name: String,
    /// To whom.
    pub target: Target,
    /// Who sends at once: clients, or servers that call REST.
    pub senders: u64,
    /// Messages a second of each sender.
    pub rate: f64,
    /// Payload of a message, in bytes.
    pub size: u64,
    /// Whether senders get their own messages.
    pub own: OwnMessages,
}

/// To whom messages go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// From members of a group to their group.
    Groups {
        /// Groups.
        count: u64,
        /// Members of each.
        members: u64,
    },
    /// From a client to a group that every connection is in.
    Everyone,
    /// From a client to the upstream, whose answer goes back to the client.
    Upstream,
    /// From a server by REST to one user with one connection.
    RestToUser,
    /// From a server by REST to every connection.
    RestBroadcast,
}

/// Whether senders to a group get their own messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OwnMessages {
    /// They do.
    Delivered,
    /// They do not: `noEcho`.
    Withheld,
}

/// The load of each hour of the day (UTC) as a part of the busiest one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Profile(pub [f64; 24]);

impl Profile {
    /// The same load in every hour.
    #[must_use]
    pub const fn all_day() -> Self {
        Self([1.0; 24])
    }

    /// Full load for so many hours from 08:00 on (all day: from 00:00), none in the others.
    #[must_use]
    pub fn hours(hours: f64) -> Self {
        let from = if hours > 16.0 { 0.0 } else { 8.0 };
        let mut profile = [0.0; 24];
        for (hour, share) in (0_u8..).zip(profile.iter_mut()) {
            *share = (from + hours - f64::from(hour)).clamp(0.0, 1.0);
            if f64::from(hour) < from {
                *share = 0.0;
            }
        }
        Self(profile)
    }

    /// The first hour that anybody is there, where it is not there all day.
    #[must_use]
    pub fn begins(&self) -> Option<usize> {
        let is_there = |share: &f64| *share > 0.0;
        self.0.iter().position(is_there).filter(|_| !self.0.iter().all(is_there))
    }

    /// Hours of full load that make the same day.
    #[must_use]
    pub fn full_hours(&self) -> f64 {
        self.0.iter().sum()
    }
}

/// Connections that count and serve nobody, as parts of the connections.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Slack {
    /// Gone without a word, and counted until their ping timeout.
    pub ghosts: f64,
    /// Back already while the old connection is still counted, in a reload.
    pub overlap: f64,
}

/// How the load grows.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Growth {
    /// Part of the load that a month adds to it.
    pub per_month: f64,
}

/// How clients come back after a drop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reconnect {
    /// The first attempt comes at a random instant within this; zero is at once.
    pub first_within: Duration,
    /// What follows after a refusal.
    pub retry: Retry,
}

/// Delays between refused attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Always the same.
    Fixed {
        /// Delay.
        every: Duration,
    },
    /// Doubles from `base` up to `cap`.
    Exponential {
        /// First delay.
        base: Duration,
        /// Largest delay.
        cap: Duration,
        /// What is drawn.
        jitter: Jitter,
    },
}

impl Default for Reconnect {
    /// At once, then every second: the JavaScript SDK's default.
    fn default() -> Self {
        Self { first_within: Duration::ZERO, retry: Retry::Fixed { every: Duration::from_secs(1) } }
    }
}

/// The application server behind event handlers and negotiation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// From an event's request to the end of its answer.
    pub latency: Duration,
    /// Whether every connect asks it (an event handler for `connect`, or a negotiate endpoint).
    pub asked: Asked,
}

/// Whether a connect asks the upstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// Once per attempt.
    OnConnect,
    /// Never: tokens are made elsewhere.
    Never,
}

impl Default for Upstream {
    fn default() -> Self {
        Self { latency: Duration::from_millis(100), asked: Asked::OnConnect }
    }
}

/// Whether somebody watches with the live trace tool, whose output is billed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiveTrace {
    /// Nobody.
    Off,
    /// Every message, in and out, gives one record of so many bytes. No source states the size.
    On {
        /// Bytes of a record.
        record: u64,
    },
}

/// What a resource may have to offer besides capacity. Each is a Premium feature (azure-docs
/// `howto-scale-autoscale`, `concept-availability-zones`, `howto-enable-geo-replication`,
/// `howto-custom-domain`).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// Units follow the load.
    Autoscale,
    /// Availability zones.
    Zones,
    /// Replicas in other regions.
    Replicas,
    /// A host name of one's own.
    CustomDomain,
}

impl Need {
    /// As flags and files write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Autoscale => "autoscale",
            Self::Zones => "zones",
            Self::Replicas => "replicas",
            Self::CustomDomain => "custom-domain",
        }
    }
}

/// Revision of the performance guide whose figures for small groups count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Revision {
    /// 200 in and 2,000 out a second and unit.
    #[default]
    Newest,
    /// 400 in and 4,000 out a second and unit.
    Older,
}

impl Revision {
    /// As flags and files write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Newest => "newest",
            Self::Older => "older",
        }
    }

    /// Its figures, as reports write them.
    #[must_use]
    pub const fn figures(self) -> &'static str {
        match self {
            Self::Newest => "200 in and 2,000 out a second and unit for groups of fewer than 20",
            Self::Older => "400 in and 4,000 out a second and unit for groups of fewer than 100",
        }
    }

    /// Members from which a group is no small one: 20 in the newest text, 100 in the older one.
    #[must_use]
    pub const fn small_group_below(self) -> u64 {
        match self {
            Self::Newest => 20,
            Self::Older => 100,
        }
    }
}

/// Which unit counts can be bought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UnitList {
    /// 1 to 10, then tens to 100, then hundreds to 1,000.
    #[default]
    Newest,
    /// 1, 2, 5, 10, 20, 50, 100.
    Older,
}

/// How the inbound figures of big groups (30 a second) and of REST broadcasts (3 a second) are
/// read, which are the same at every unit count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Inbound {
    /// What the benchmark happened to send: past them nothing was measured, and nothing breaks.
    #[default]
    Conditions,
    /// What the service takes at most.
    Limits,
}
