//! The grammar of `[hub]`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::super::at::At;
use super::super::units::{Buffer, ByteRate, Count, Lasting, Rate, Size, Units};
use crate::protocol::settings::{LifeSign, OverLimit, Tier};
use crate::protocol::webhook::{FailedUserEvent, RefusalBody, SystemEvent};

/// What the hub allows. On a real resource these are assumptions, not settings.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct HubFile {
    /// Where the other keys start from: `ci` is strict and quick, `real` has the service's timings.
    pub profile: Option<At<Profile>>,
    /// Pricing tier.
    pub tier: Option<At<Tier>>,
    /// Units of the tier, or `auto`: the fewest that hold every client. Default `auto`.
    pub units: Option<At<Units>>,
    /// Websocket pings of the hub.
    pub keep_alive: Option<At<KeepAliveFile>>,
    /// Bound of each connection's outbound queue.
    pub queue: Option<At<QueueFile>>,
    /// Kernel buffers of accepted sockets.
    pub buffers: Option<At<BuffersFile>>,
    /// Limits from the first byte of a connection.
    pub limits: Option<At<LimitsFile>>,
    /// How each drop looks on the wire.
    pub drops: Option<At<DropsFile>>,
    /// How much the hub can do per second: a model of units, off when it is left out.
    pub throughput: Option<At<ThroughputFile>>,
    /// Event handlers; the first that takes an event gets it. Default: none.
    pub event_handlers: Option<At<Vec<At<EventHandlerFile>>>>,
    /// Event listeners, 10 at most; each that takes an event hears of it. Default: none.
    pub event_listeners: Option<At<Vec<At<EventListenerFile>>>>,
    /// How hard the hub tries to reach event handlers, and what becomes of events that fail.
    pub webhooks: Option<At<WebhooksFile>>,
}

/// How much the hub can do per second. What comes faster waits for its turn. A pattern that is left
/// out has no limit.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct ThroughputFile {
    /// New connections; further ones are refused with 429. Default: any number.
    pub connects: Option<At<ConnectRateFile>>,
    /// Messages to groups with many members.
    pub big_group: Option<At<PatternFile>>,
    /// Messages to groups with few members.
    pub small_group: Option<At<PatternFile>>,
    /// User events whose handler answers.
    pub echo: Option<At<PatternFile>>,
    /// REST to one user or one connection.
    pub rest_to_user: Option<At<PatternFile>>,
    /// REST to everybody.
    pub rest_broadcast: Option<At<PatternFile>>,
    /// A group with fewer members than this is small. Default 20.
    pub small_below: Option<At<Count>>,
    /// Messages that wait for their turn, at most; further ones are refused. Default 100000.
    pub waiting: Option<At<Count>>,
}

/// New connections: a token bucket.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct ConnectRateFile {
    /// How many per time.
    pub rate: At<Rate>,
    /// How many at once after a pause. Default: those of one second.
    pub burst: Option<At<Count>>,
}

/// What goes through of one pattern.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct PatternFile {
    /// From clients and REST. Default: anything.
    pub inbound: Option<At<FlowFile>>,
    /// To clients, a message counting once per receiver. Default: anything.
    pub outbound: Option<At<FlowFile>>,
}

/// What goes through one way.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct FlowFile {
    /// Messages per time. Default: any number.
    pub messages: Option<At<Rate>>,
    /// Bytes of payload per time. Default: any number.
    pub bytes: Option<At<ByteRate>>,
}

/// An event handler.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct EventHandlerFile {
    /// Where to; `{hub}` and `{event}` may stand behind the host. The host `upstream` is this
    /// scenario's own `[upstream]`.
    pub url: At<String>,
    /// User events: `*`, or names with commas between. Default `*`.
    pub user_events: Option<At<String>>,
    /// System events. Default: none.
    pub system_events: Option<At<Vec<At<SystemEvent>>>>,
}

/// An event listener: what it hears of is written to a file, and a user event that only a listener
/// takes is a success.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct EventListenerFile {
    /// What its deliveries are known by in the file.
    pub name: At<String>,
    /// User events: `*`, or names with commas between. Default `*`.
    pub user_events: Option<At<String>>,
    /// System events: `connected`, `disconnected`. Default: none.
    pub system_events: Option<At<Vec<At<SystemEvent>>>>,
}

/// How hard the hub tries to reach event handlers. The defaults are those of Microsoft's emulator.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct WebhooksFile {
    /// The hub's host as handlers are told and must allow it, with or without port. Default: the
    /// host by which the hub was reached.
    pub origin: Option<At<String>>,
    /// Waits before a request is repeated that failed at connection level, with 408 or with 5xx;
    /// `[]` never repeats one. Default 1 s, 3 s and 5 s.
    pub retry_after: Option<At<Vec<At<Lasting>>>>,
    /// The longest an event may take, waits and answer included. Default 100 s.
    pub within: Option<At<Lasting>>,
    /// Largest body of an answer. Default 16 MiB, which is also the most.
    pub answer: Option<At<Size>>,
    /// What a failed user event does to a client of a subprotocol. Default `drop`.
    pub failed_user_event: Option<At<FailedUserEvent>>,
    /// Whether the body of a handler's 4xx answer to `connect` reaches the client. Default
    /// `forward`.
    pub refusal_body: Option<At<RefusalBody>>,
    /// The abuse protection before the first event.
    pub validation: Option<At<ValidationFile>>,
}

/// Abuse protection: how handlers are asked whether they want events of this hub.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct ValidationFile {
    /// The longest one request may take. Default 10 s.
    pub within: Option<At<Lasting>>,
    /// How long a yes counts. Default 60 s.
    pub good_for: Option<At<Lasting>>,
    /// How long the first no counts; each further one counts twice as long. Default 1 s.
    pub retry_first: Option<At<Lasting>>,
    /// The longest that a no counts. Default 60 s.
    pub retry_max: Option<At<Lasting>>,
}

/// A set of hub settings to start from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(in crate::scenario) enum Profile {
    /// Ping 1 s, timeout 3 s, queue 64 KiB, small kernel buffers.
    Ci,
    /// The service's timings: ping 20 s, timeout 40 s, queue 1,000 messages or 16 MiB.
    #[default]
    Real,
}

impl Profile {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Ci, Self::Real];

    /// Its name in a file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ci => "ci",
            Self::Real => "real",
        }
    }
}

/// Keep-alive of the hub.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct KeepAliveFile {
    /// Between two websocket pings.
    pub interval: Option<At<Lasting>>,
    /// A client is dropped once its last sign of life is this long ago.
    pub timeout: Option<At<Lasting>>,
    /// What counts as a sign of life.
    pub life: Option<At<LifeSign>>,
}

/// Bound of a connection's outbound queue; past either one it is a SlowClient.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct QueueFile {
    /// Encoded bytes, those being written included.
    pub bytes: Option<At<Size>>,
    /// Messages.
    pub messages: Option<At<Count>>,
}

/// Kernel buffers of accepted sockets.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct BuffersFile {
    /// `SO_SNDBUF`, or `system`.
    pub send: Option<At<Buffer>>,
    /// `SO_RCVBUF`, or `system`.
    pub receive: Option<At<Buffer>>,
}

/// Limits from the first byte of a connection.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct LimitsFile {
    /// One reassembled message of a client.
    pub message: Option<At<Size>>,
    /// Request line and headers of an HTTP request.
    pub header: Option<At<Size>>,
    /// From accept to the end of the request's headers.
    pub handshake: Option<At<Lasting>>,
    /// How long a close frame may wait for its echo.
    pub close_linger: Option<At<Lasting>>,
    /// Clock tolerance of access tokens.
    pub token_skew: Option<At<Lasting>>,
}

/// How each drop looks on the wire.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct DropsFile {
    /// PingTimeout.
    pub ping_timeout: Option<At<WireFormFile>>,
    /// SlowClient.
    pub slow_client: Option<At<WireFormFile>>,
    /// ServiceReload.
    pub service_reload: Option<At<WireFormFile>>,
    /// ConnectionCountLimitReached.
    pub over_limit: Option<At<OverLimit>>,
}

/// How a drop looks on the wire.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(in crate::scenario) enum WireFormFile {
    /// TCP reset without a close frame.
    Abort,
    /// A close frame, then the end of the stream.
    Close(Box<At<CloseFrameFile>>),
    /// A `disconnected` system message (JSON clients), then close 1000.
    DisconnectedThenClose,
}

/// A close frame.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::scenario) struct CloseFrameFile {
    /// Close code, 1000 to 4999.
    pub code: At<Count>,
    /// Close reason, at most 123 bytes.
    pub reason: Option<At<String>>,
}
