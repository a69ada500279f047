//! The grammar of a scenario file, as types: what may stand where, before it means anything. The
//! JSON Schema of the format is made from the same types, so their comments are what an editor
//! shows.
//!
//! Enums are tagged by their key, nothing is flattened: both keep every place exact.

mod expect;
mod hub;
mod population;
mod search;
mod upstream;

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};

use super::at::{At, Named};
use super::units::{Count, Lasting, Rate, Seed, Share, Size};
use crate::protocol::settings::Tier;

pub(super) use expect::*;
pub(super) use hub::*;
pub(super) use population::*;
pub(super) use search::*;
pub(super) use upstream::*;

/// A Squall scenario: who connects, how they arrive and misbehave, what the hub allows, and what
/// must be true at the end.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Squall scenario")]
pub(super) struct ScenarioFile {
    /// One line for people; the file's name when left out.
    pub title: Option<At<String>>,
    /// The longest the running phase may take; it ends earlier once every expectation is decided.
    pub duration: At<Lasting>,
    /// How long to go on looking, once every expectation is met, for what must not happen. Default
    /// 1 s.
    pub settle: Option<At<Lasting>>,
    /// How long draining and leaving may take each. Default 3 s.
    pub grace: Option<At<Lasting>>,
    /// Seed of every draw. Default 1; `--seed` comes first.
    pub seed: Option<At<Seed>>,
    /// Name of the hub on the wire. Default `squall`.
    pub hub_name: Option<At<String>>,
    /// What the target must offer; what faults and traffic need is added by itself.
    pub requires: Option<At<RequiresFile>>,
    /// What the hub allows.
    pub hub: Option<At<HubFile>>,
    /// The application server behind the hub's event handlers.
    pub upstream: Option<At<UpstreamFile>>,
    /// Virtual clients, by name.
    pub populations: At<Named<PopulationFile>>,
    /// Load on the hub, by name.
    pub traffic: Option<At<Named<TrafficFile>>>,
    /// What happens to the hub and its clients, and when.
    pub faults: Option<At<Vec<At<FaultFile>>>>,
    /// What must be true at the end, by population.
    pub expect: Option<At<ExpectFile>>,
    /// Lines that must be in the hub's log.
    pub expect_log: Option<At<Vec<At<LogExpectFile>>>>,
    /// What the application server must have been asked, by `validate`, `connect`, `connected`,
    /// `disconnected` or the name of a user event. A share is one of the clients of all populations
    /// together.
    pub expect_upstream: Option<At<Named<AskedFile>>>,
    /// Conditions on metrics, in k6's grammar: `message = ["p(99)<200ms"]`.
    pub thresholds: Option<At<Named<Vec<At<String>>>>>,
    /// A search over a key of this file, with a run for each value.
    pub search: Option<At<SearchFile>>,
    /// What differs when a profile is in force, by `[hub] profile` or `--profile`.
    #[expect(dead_code, reason = "applied to the tree before it is read; here for its names")]
    pub profiles: Option<At<ProfilesFile>>,
}

/// What differs under a profile: values of this file by their paths, as with `--set`, which comes
/// first. `duration = "3m"`, `expect.muted.closes = { PingTimeout = "all" }`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "applied to the tree before it is read; here for its names")]
pub(super) struct ProfilesFile {
    /// Under the profile `ci`.
    pub ci: Option<At<DifferingFile>>,
    /// Under the profile `real`.
    pub real: Option<At<DifferingFile>>,
}

/// Values by their paths. Headers and dotted keys lead to a value; an inline table is one, and
/// replaces the whole table. A number counts the items of a list: `faults.0.at = "30s"`.
#[derive(Debug, JsonSchema)]
pub(super) struct DifferingFile {}

impl<'de> Deserialize<'de> for DifferingFile {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct DifferingVisitor;
        impl<'de> Visitor<'de> for DifferingVisitor {
            type Value = DifferingFile;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a table of what differs under this profile")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<DifferingFile, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(DifferingFile {})
            }
        }
        deserializer.deserialize_map(DifferingVisitor)
    }
}

/// What the target must offer beyond the service's own surface.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RequiresFile {
    /// The control API: faults of the hub, its settings, its side of the ledger.
    pub control: Option<At<bool>>,
    /// The access key: REST calls, tokens per attempt.
    pub access_key: Option<At<bool>>,
}

/// Load on the hub.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TrafficFile {
    /// Who sends: `healthy[0]`, `healthy[0..10]` (the first ten), `healthy` (all), or `rest`.
    pub from: At<String>,
    /// To whom.
    pub to: At<ToFile>,
    /// Messages of each sender.
    pub rate: At<Rate>,
    /// Bytes of each message's data, at least 50 B.
    pub size: At<Size>,
    /// When it starts. Default 0 s.
    pub start: Option<At<Lasting>>,
    /// When it ends. Default: with the scenario.
    pub until: Option<At<Lasting>>,
    /// Whether senders ask for acknowledgements. Default true; simple clients cannot.
    pub acknowledged: Option<At<bool>>,
    /// Messages a sender may have unacknowledged; the next one waits. Default: no bound.
    pub in_flight: Option<At<Count>>,
    /// Whether a group's message is kept from its own sender. Default false.
    pub no_echo: Option<At<bool>>,
    /// What the event handler is to answer to an event; `echo` is what `expect.NAME.replies` looks
    /// at. Default `any`.
    pub reply: Option<At<ReplyFile>>,
}

/// Who receives: exactly one of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [
    { "required": ["group"] }, { "required": ["rooms"] }, { "required": ["users"] },
    { "required": ["everybody"] }, { "required": ["event"] },
]))]
pub(super) struct ToFile {
    /// The members of this group.
    pub group: Option<At<String>>,
    /// The room of so many that each sender is in: one of the numbers in `rooms` of its population.
    pub rooms: Option<At<Count>>,
    /// One user of this population after the other, by REST.
    pub users: Option<At<String>>,
    /// Every connection, by REST.
    pub everybody: Option<At<EmptyFile>>,
    /// The event handler that takes this user event. All that simple clients send is `message`.
    pub event: Option<At<String>>,
}

/// What an event handler is to answer to a user event.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(super) enum ReplyFile {
    /// Whatever it likes: what comes back is timed, and nothing is demanded.
    Any,
    /// The event's own data, once, in order.
    Echo,
}

/// Something that happens at an instant: exactly one of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [
    { "required": ["reload"] }, { "required": ["freeze"] }, { "required": ["scale"] },
    { "required": ["close_connections"] }, { "required": ["close_group"] },
    { "required": ["close_user"] }, { "required": ["close_all"] }, { "required": ["leave"] },
]))]
pub(super) struct FaultFile {
    /// When.
    pub at: At<Lasting>,
    /// The hub drops connections, as maintenance or scaling does.
    pub reload: Option<At<ReloadFile>>,
    /// The hub does nothing at all for a while.
    pub freeze: Option<At<FreezeFile>>,
    /// Tier and units change.
    pub scale: Option<At<ScaleFile>>,
    /// The application server closes connections, one by one.
    pub close_connections: Option<At<CloseConnectionsFile>>,
    /// The application server closes a group.
    pub close_group: Option<At<CloseGroupFile>>,
    /// The application server closes a user: that of client 0, or the shared one.
    pub close_user: Option<At<CloseUserFile>>,
    /// The application server closes everybody.
    pub close_all: Option<At<CloseAllFile>>,
    /// Clients leave in order.
    pub leave: Option<At<LeaveFile>>,
}

/// A reload.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ReloadFile {
    /// Of the open connections. Default 100%.
    pub share: Option<At<Share>>,
    /// Spread over this time. Default 0 s: at once.
    pub over: Option<At<Lasting>>,
}

/// A freeze.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FreezeFile {
    /// How long.
    pub lasting: At<Lasting>,
}

/// A change of tier and units.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ScaleFile {
    /// New tier.
    pub tier: At<Tier>,
    /// New units.
    pub units: At<Count>,
}

/// Close of connections, one by one.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CloseConnectionsFile {
    /// Whose.
    pub population: At<String>,
    /// How many, from the first connected one. Default: all.
    pub count: Option<At<Count>>,
    /// Passed on to the clients.
    pub reason: Option<At<String>>,
}

/// Close of a group.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CloseGroupFile {
    /// Which.
    pub group: At<String>,
    /// Passed on to the clients.
    pub reason: Option<At<String>>,
}

/// Close of a user.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CloseUserFile {
    /// Whose.
    pub population: At<String>,
    /// Passed on to the clients.
    pub reason: Option<At<String>>,
}

/// Close of everybody.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CloseAllFile {
    /// Passed on to the clients.
    pub reason: Option<At<String>>,
}

/// Clients leave in order.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct LeaveFile {
    /// Whose.
    pub population: At<String>,
    /// How many, from the first connected one. Default: all.
    pub count: Option<At<Count>>,
}
