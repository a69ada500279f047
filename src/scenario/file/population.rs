//! The grammar of `[populations.NAME]`.

use schemars::{JsonSchema, Schema, json_schema};
use serde::Deserialize;

use super::super::at::At;
use super::super::plan::Jitter;
use super::super::units::{ByteRate, Count, First, Lasting, Rate, Share, ShareRate, Size};
use crate::protocol::Subprotocol;

/// Virtual clients that share behaviour, groups and arrival.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct PopulationFile {
    /// How many clients.
    pub count: At<Count>,
    /// Whether `-n` changes the count. Default `proportional`.
    pub scaling: Option<At<ScalingFile>>,
    /// How they arrive.
    pub arrival: At<ArrivalFile>,
    /// What they speak. Default `json`.
    pub protocol: Option<At<Subprotocol>>,
    /// Groups they are in while connected.
    pub groups: Option<At<Vec<At<String>>>>,
    /// Groups of so many, dealt out in order: the first clients are in one, the next in another.
    /// With several numbers each client is in one room of each. Default: none.
    pub rooms: Option<At<Vec<At<Count>>>>,
    /// Their user ids. Default `per-client`.
    pub user: Option<At<UserFile>>,
    /// What they do or fail to do. Default: everything right.
    pub behaviour: Option<At<BehaviourFile>>,
    /// Receive buffer of their end of the connection, set before connect. Default: the system's.
    pub receive_buffer: Option<At<Size>>,
    /// Send buffer of their end of the connection, set before connect. Default: the system's.
    pub send_buffer: Option<At<Size>>,
    /// What lies between them and the hub; only `--world virtual` can do it. Default: nothing.
    pub shaping: Option<At<ShapingFile>>,
    /// What they do after a connection that they did not want to end. Default: nothing.
    pub reconnect: Option<At<ReconnectFile>>,
    /// How long a client stays connected before it leaves. Default: until the end.
    pub lifetime: Option<At<Lasting>>,
    /// Share of the connected clients that leave in order per time, at random, and come back at
    /// once: no drop, and no recovery. Not beside `lifetime`. Default: nobody.
    pub churn: Option<At<ShareRate>>,
    /// Where access tokens come from. Default: minted per attempt, valid an hour.
    pub token: Option<At<TokenFile>>,
}

impl PopulationFile {
    /// The groups that could be read.
    pub fn groups(&self) -> &[At<String>] {
        self.groups.as_ref().and_then(At::get).map_or(&[], Vec::as_slice)
    }

    /// The sizes of rooms that could be read.
    pub fn rooms(&self) -> &[At<Count>] {
        self.rooms.as_ref().and_then(At::get).map_or(&[], Vec::as_slice)
    }
}

/// What is done to the bytes between clients and hub, alike in both directions.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct ShapingFile {
    /// One-way delay. Default: none.
    pub delay: Option<At<Lasting>>,
    /// Up to this much is added to the delay, drawn from the seed; bytes stay in order. Default:
    /// none.
    pub jitter: Option<At<Lasting>>,
    /// Bytes that pass per time. Default: no bound.
    pub bandwidth: Option<At<ByteRate>>,
    /// A middlebox resets the connection once nothing has passed either way for so long. Default:
    /// never.
    pub idle_cut: Option<At<Lasting>>,
}

/// Whether `-n` changes a population's size.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::scenario) enum ScalingFile {
    /// It takes its share.
    Proportional,
    /// It keeps its count.
    Fixed,
}

/// How clients arrive: exactly one form, and when it starts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [
    { "required": ["rate"] }, { "required": ["ramp"] }, { "required": ["stages"] },
    { "required": ["burst"] }, { "required": ["poisson"] }, { "required": ["closed"] },
]))]
pub(in crate::scenario) struct ArrivalFile {
    /// Before the first. Default 0 s.
    pub start: Option<At<Lasting>>,
    /// At a constant rate.
    pub rate: Option<At<Rate>>,
    /// At a rate that changes linearly, and then stays.
    pub ramp: Option<At<RampFile>>,
    /// Ramps one after the other; the last one's end rate stays.
    pub stages: Option<At<Vec<At<StageFile>>>>,
    /// All at once.
    pub burst: Option<At<EmptyFile>>,
    /// With exponential gaps of this mean rate, from the seed.
    pub poisson: Option<At<Rate>>,
    /// A new one when a slot frees.
    pub closed: Option<At<ClosedFile>>,
}

/// Nothing to set.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct EmptyFile {}

/// A linear ramp.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct RampFile {
    /// Clients per second at its start.
    pub from: At<Rate>,
    /// Clients per second at its end and after it.
    pub to: At<Rate>,
    /// How long it takes.
    pub over: At<Lasting>,
}

/// A piece of a ramp.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct StageFile {
    /// Clients per second at its start.
    pub from: At<Rate>,
    /// Clients per second at its end.
    pub to: At<Rate>,
    /// How long it takes.
    pub r#for: At<Lasting>,
}

/// The closed model of arrival.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct ClosedFile {
    /// Clients at a time.
    pub slots: At<Count>,
}

/// User ids of a population.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::scenario) enum UserFile {
    /// None.
    Anonymous,
    /// `<population>-<index>`.
    PerClient,
    /// This one for all.
    Shared(At<String>),
}

/// What clients do or fail to do, each in its window.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct BehaviourFile {
    /// Reads everything, never answers a websocket ping.
    pub suppress_pong: Option<At<WindowFile>>,
    /// Answers websocket pings late.
    pub delay_pong: Option<At<DelayPongFile>>,
    /// Leaves some websocket pings unanswered.
    pub lose_pong: Option<At<LosePongFile>>,
    /// Sends the subprotocol's own ping (JSON clients).
    pub app_ping: Option<At<AppPingFile>>,
    /// Reads slowly.
    pub slow_read: Option<At<SlowReadFile>>,
    /// Does not read at all.
    pub stall: Option<At<WindowFile>>,
    /// Is gone.
    pub vanish: Option<At<VanishFile>>,
}

/// When a behaviour holds.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct WindowFile {
    /// Since when. Default 0 s.
    pub from: Option<At<Lasting>>,
    /// Until when. Default: the end.
    pub until: Option<At<Lasting>>,
}

/// Answers websocket pings late.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct DelayPongFile {
    /// How late.
    pub by: At<Lasting>,
    /// Since when. Default 0 s.
    pub from: Option<At<Lasting>>,
    /// Until when. Default: the end.
    pub until: Option<At<Lasting>>,
}

/// Leaves some websocket pings unanswered.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct LosePongFile {
    /// Share of pings that are not answered.
    pub probability: At<Share>,
    /// Since when. Default 0 s.
    pub from: Option<At<Lasting>>,
    /// Until when. Default: the end.
    pub until: Option<At<Lasting>>,
}

/// Sends `{"type":"ping"}`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct AppPingFile {
    /// Between two.
    pub every: At<Lasting>,
    /// Since when. Default 0 s.
    pub from: Option<At<Lasting>>,
    /// Until when. Default: the end.
    pub until: Option<At<Lasting>>,
}

/// Reads slowly: by bytes or by messages.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{ "required": ["bytes"] }, { "required": ["messages"] }]))]
pub(in crate::scenario) struct SlowReadFile {
    /// At most so many bytes per time.
    pub bytes: Option<At<ByteRate>>,
    /// At most so many messages per time.
    pub messages: Option<At<Rate>>,
    /// Since when. Default 0 s.
    pub from: Option<At<Lasting>>,
    /// Until when. Default: the end.
    pub until: Option<At<Lasting>>,
}

/// Is gone.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct VanishFile {
    /// How.
    pub how: At<VanishHow>,
    /// When. Default 0 s.
    pub at: Option<At<Lasting>>,
}

/// How a client vanishes.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::scenario) enum VanishHow {
    /// TCP reset.
    Reset,
    /// End of stream without a close frame.
    Fin,
    /// Silence, and nobody is told.
    BlackHole,
}

/// What clients do after an unwanted end: exactly one policy, and its bounds. `"js-sdk"` alone is
/// short for `{ like = "js-sdk" }`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [
    { "required": ["none"] }, { "required": ["fixed"] }, { "required": ["exponential"] },
    { "required": ["like"] },
]))]
#[schemars(transform = or_like)]
pub(in crate::scenario) struct ReconnectFile {
    /// No attempt at all.
    pub none: Option<At<EmptyFile>>,
    /// Always the same delay.
    pub fixed: Option<At<FixedFile>>,
    /// A delay that doubles.
    pub exponential: Option<At<ExponentialFile>>,
    /// A policy by its name; what stands beside it replaces its own.
    pub like: Option<At<PolicyName>>,
    /// The first attempt comes at a random instant within this window, or `after-delay`: after the
    /// policy's first delay. Default 0 s: at once.
    pub first: Option<At<First>>,
    /// Attempts per recovery. Default: without end.
    pub attempts: Option<At<Count>>,
    /// Which ends it answers to. Default `drop`.
    pub after: Option<At<AfterFile>>,
}

/// A policy by its name: what the official clients do unless they are told otherwise, and what
/// keeps a fleet from coming back as one.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::scenario) enum PolicyName {
    /// The JavaScript client: at once, then every second, without end.
    JsSdk,
    /// The Python client: at once, then after 0.8, 1.6 and 3.2 s, then never.
    PySdk,
    /// The .NET client: at once, then after 1, 2, 4 and 5 s, and on every 5 s.
    NetSdk,
    /// At a random instant within 5 s, then full jitter from 1 s up to 30 s.
    FullJitter,
}

/// A table with the key `like` may be written as the value of that key alone.
fn or_like(schema: &mut Schema) {
    let table = std::mem::take(schema);
    let mut like = table.pointer("/properties/like").cloned().unwrap_or_default();
    if let Some(like) = like.as_object_mut() {
        like.remove("description");
    }
    let description = table.get("description").cloned();
    *schema = json_schema!({ "description": description, "anyOf": [like, table] });
}

/// Always the same delay.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct FixedFile {
    /// Between two attempts.
    pub every: At<Lasting>,
}

/// A delay that doubles.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct ExponentialFile {
    /// The first delay.
    pub base: At<Lasting>,
    /// The largest delay.
    pub cap: At<Lasting>,
    /// What chance does to a delay. Default `full`.
    pub jitter: Option<At<Jitter>>,
}

/// Which ends a reconnect policy answers to.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::scenario) enum AfterFile {
    /// The end of a connection that had been open.
    Drop,
    /// Also a first attempt that failed or was refused.
    Any,
}

/// Where access tokens come from.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::scenario) enum TokenFile {
    /// Minted per client and attempt.
    Minted(At<TokenLifetimeFile>),
    /// Minted once per client, used for every attempt.
    Once(At<TokenLifetimeFile>),
}

/// Lifetime of a token.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct TokenLifetimeFile {
    /// From minting to expiry.
    pub lifetime: At<Lasting>,
}
