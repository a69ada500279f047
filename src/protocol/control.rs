//! The control API under `/_squall/`: what the embedded hub and `squall hub` offer beyond the
//! service, on loopback, signed with the access key like any REST call.
//!
//! | method and path | body | answer |
//! | --- | --- | --- |
//! | GET [`CAPABILITIES_PATH`] | | [`Capabilities`] |
//! | POST [`TIMELINE_PATH`] | [`StartTimeline`] | [`TimelineStarted`]; 409 during another run |
//! | POST [`FAULT_PATH`] | [`HubFault`] | 204 once it has begun |
//! | GET [`COUNTERS_PATH`] | | [`Counters`] |
//! | GET [`LEDGER_PATH`] | | [`LedgerEntry`] per line, from the start of the timeline, kept open |
//! | GET [`TRACE_PATH`] | | resource-log records, one per line, likewise |
//! | GET [`WEBHOOKS_PATH`] | | [`WebhookTimes`]: how long events took |
//! | GET [`STORY_PATH`] | | [`HubStoryLine`](super::story::HubStoryLine) per line, likewise |
//!
//! Times are nanoseconds since the Unix epoch by the hub's clock.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::settings::Tier;
use super::story::Watched;
use super::throughput::{Pattern, PatternCounters};
use super::webhook::{RequestKind, WebhookFailure};
use super::{AttemptId, CloseCategory, CloseCode, HubSettings};

/// GET: what this hub is and can do.
pub const CAPABILITIES_PATH: &str = "/_squall/capabilities";
/// POST: begin a run.
pub const TIMELINE_PATH: &str = "/_squall/timeline";
/// POST: one fault, now.
pub const FAULT_PATH: &str = "/_squall/fault";
/// GET: counters and gauges.
pub const COUNTERS_PATH: &str = "/_squall/counters";
/// GET: the hub's side of the ledger, streamed.
pub const LEDGER_PATH: &str = "/_squall/ledger";
/// GET: resource-log records, streamed.
pub const TRACE_PATH: &str = "/_squall/trace";
/// GET: how long events took.
pub const WEBHOOKS_PATH: &str = "/_squall/webhooks";
/// GET: the story of the watched client's connections, streamed.
pub const STORY_PATH: &str = "/_squall/story";

/// Version of this API; engine and hub must agree.
pub const CONTROL_VERSION: u32 = 5;

/// What a hub says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capabilities {
    /// [`CONTROL_VERSION`] of the hub.
    pub version: u32,
    /// The hub's clock when it answered.
    pub now_ns: u64,
    /// Settings in force.
    pub settings: HubSettings,
    /// Length of the listen backlog in force.
    pub listen_backlog: u32,
}

/// Begins a run: the hub takes over the settings, and sets counters and ledger to nothing.
///
/// The settings hold for this run only: the hub returns to those it was started with once the
/// reader of the run's ledger has left and nobody is connected any more, and at the latest a few
/// seconds after that reader left (or did not come). Another run may take over before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartTimeline {
    /// Name of the run, for the log.
    pub run: String,
    /// Settings the scenario wants.
    pub settings: HubSettings,
    /// Whose connections the hub tells the story of.
    pub watched: Option<Watched>,
    /// Endpoint (`http://host:port`) that the hub dials where the URL of an event handler names the
    /// host [`UPSTREAM_HOST`]: the run's own handler, whose port nobody knows beforehand. Texts and
    /// headers keep the URL as it was written.
    pub upstream: Option<String>,
}

/// Host in the URL of an event handler that stands for the run's own one.
pub const UPSTREAM_HOST: &str = "upstream";

/// The timeline has begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimelineStarted {
    /// The hub's clock at that instant.
    pub now_ns: u64,
}

/// A fault of the hub. (Faults that an application server could cause go through REST instead.)
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HubFault {
    /// Drops connections with ServiceReload, as maintenance or scaling does.
    Reload {
        /// Share of the open connections, above 0 up to 1, chosen from the front of the open order.
        share: f64,
        /// Spread over this time at a constant rate; zero is all at once.
        over: Duration,
    },
    /// The hub does nothing for this long: reads, writes, pings, REST and control alike.
    Freeze {
        /// How long.
        lasting: Duration,
    },
    /// Changes tier and units; open connections stay, even past the new cap.
    Scale {
        /// New tier.
        tier: Tier,
        /// New unit count.
        units: u32,
    },
}

/// Sums since the start of the timeline, and gauges. `rename`d fields are the service's metrics
/// (azure-docs `articles/azure-web-pubsub/concept-metrics.md`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counters {
    /// Closed connections per category.
    #[serde(rename = "ConnectionCloseCount")]
    pub connection_close_count: std::collections::BTreeMap<CloseCategory, u64>,
    /// Opened connections.
    #[serde(rename = "ConnectionOpenCount")]
    pub connection_open_count: u64,
    /// Open connections now.
    #[serde(rename = "TotalConnectionCount")]
    pub total_connection_count: u64,
    /// Most connections open at once.
    pub connection_count_peak: u64,
    /// Percent of the tier's cap in use, rounded down.
    #[serde(rename = "ConnectionQuotaUtilization")]
    pub connection_quota_utilization: u64,
    /// Bytes of message payload from clients and REST.
    #[serde(rename = "InboundTraffic")]
    pub inbound_traffic: u64,
    /// Bytes of message payload to clients.
    #[serde(rename = "OutboundTraffic")]
    pub outbound_traffic: u64,
    /// Connect requests per HTTP status answered (`ClientRequestStatus`).
    #[serde(rename = "ClientRequestStatus")]
    pub client_request_status: std::collections::BTreeMap<u16, u64>,
    /// Messages put into outbound queues.
    pub deliveries: u64,
    /// Groups with at least one member now.
    pub groups: u64,
    /// Bytes in all outbound queues now.
    pub queue_bytes: u64,
    /// Connection tasks alive now, handshakes included.
    pub tasks: u64,
    /// Ledger or trace entries lost because a reader was too slow; a run that sees one is invalid.
    pub entries_lost: u64,
    /// What went to event handlers.
    #[serde(default, skip_serializing_if = "WebhookCounters::is_empty")]
    pub webhooks: WebhookCounters,
    /// Messages that wait now for their turn, on a hub with limits of throughput.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub waiting: u64,
    /// What went through, by pattern, on a hub with limits of throughput.
    #[serde(default, skip_serializing_if = "std::collections::BTreeMap::is_empty")]
    pub throughput: std::collections::BTreeMap<Pattern, PatternCounters>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// What went to event handlers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WebhookCounters {
    /// Per event name, `user:` before a user event's that looks like a system event's; the hub
    /// bounds how many user events it tells apart.
    pub events: std::collections::BTreeMap<String, EventCounters>,
    /// Validations (abuse protection) after which events may be sent.
    pub validations_good: u64,
    /// Validations after which none may.
    pub validations_bad: u64,
    /// HTTP requests of validations, repeated ones among them.
    pub validation_requests: u64,
    /// Events that wait to be sent or answered now.
    pub under_way: u64,
    /// Deliveries to event listeners; an event counts once for each that takes it.
    pub deliveries: u64,
    /// Those that were lost on their way into the file, which nothing waits for.
    pub deliveries_lost: u64,
}

impl WebhookCounters {
    /// Whether nothing ever went to a handler.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Events of one name. Each began once and is a success, a failure or still under way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EventCounters {
    /// Events.
    pub begun: u64,
    /// Those whose handler took them.
    pub succeeded: u64,
    /// Those that failed, by why.
    pub failed: std::collections::BTreeMap<EventFailure, u64>,
    /// HTTP requests, repeated ones among them.
    pub requests: u64,
    /// Repeated requests.
    pub retries: u64,
    /// Most requests in one second of the timeline; seconds count from its start.
    pub requests_per_second_peak: u64,
    /// Answers by HTTP status, those to repeated requests among them.
    pub statuses: std::collections::BTreeMap<u16, u64>,
}

/// Why an event failed.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum EventFailure {
    /// Nobody takes it.
    NotFound,
    /// The handler's validation is bad.
    NotValidated,
    /// An answer with a status that is no success.
    Status,
    /// No connection, or one that broke.
    Connection,
    /// No answer in time.
    TimedOut,
    /// A success that cannot be understood or is too large.
    Answer,
    /// A header that cannot be sent.
    Header,
    /// The client went away, or the hub ended, before the answer.
    GivenUp,
    /// Too many events were under way.
    Lost,
}

/// How long events took since the start of the timeline, per event name as in
/// [`WebhookCounters::events`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookTimes {
    /// Of successes and failures alike.
    pub events: std::collections::BTreeMap<String, EventTimes>,
}

/// Times of the events of one name, as `measure::wire` encodes them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventTimes {
    /// From the event to its end, with validation, waits for a connection, and repeated requests.
    pub response: String,
    /// From each request to its answer.
    pub service: String,
}

/// One line of the ledger stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LedgerEntry {
    /// An accepted connection has ended.
    Ended(Box<HubEnd>),
    /// A connect request was refused before the upgrade.
    Refused(Box<HubRefusal>),
    /// An event for a handler is over. Every event that is counted as begun has one such entry.
    Called(Box<HubCall>),
    /// A validation of a handler (abuse protection) is over.
    Validated(Box<HubValidation>),
}

/// An event of a connection that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubCall {
    /// Join key, when the client sent one.
    pub attempt: Option<AttemptId>,
    /// Connection id; a refused client never learns its own.
    pub connection_id: String,
    /// When the event happened.
    pub began_ns: u64,
    /// What became of it.
    pub call: UpstreamCall,
}

/// What became of an event that a handler was to take.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UpstreamCall {
    /// Which event, a user event as its client spells it.
    pub event: RequestKind,
    /// Status of the last request's answer; `None` where it had none, and where there was none.
    pub status: Option<u16>,
    /// Why the event failed; `None` when its handler took it.
    pub failure: Option<EventFailure>,
    /// HTTP requests, repeated ones among them; 0 where nothing was sent.
    pub tries: u32,
    /// From the event to its end in microseconds, rounded up, with everything it waited for.
    pub took_us: u64,
}

/// A validation of a handler that is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubValidation {
    /// URL asked, without its query.
    pub url: String,
    /// When it began.
    pub began_ns: u64,
    /// Status of the last request's answer; `None` where it had none.
    pub status: Option<u16>,
    /// Why no event may be sent; `None` when they may.
    pub failure: Option<WebhookFailure>,
    /// HTTP requests, repeated ones and those with GET among them.
    pub tries: u32,
    /// From its begin to its end in microseconds, rounded up.
    pub took_us: u64,
}

/// The hub's side of the row of an accepted connection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubEnd {
    /// Join key, when the client sent one.
    pub attempt: Option<AttemptId>,
    /// Connection id.
    pub connection_id: String,
    /// User id of the token.
    pub user_id: Option<String>,
    /// The first cause the hub decided.
    pub category: CloseCategory,
    /// Later causes, in order; notes, not rows.
    pub later: Vec<CloseCategory>,
    /// Reason text of the resource log.
    pub log_reason: String,
    /// What the wire carried.
    pub wire: HubWire,
    /// When the 101 was sent.
    pub opened_ns: u64,
    /// When the end was decided.
    pub decided_ns: u64,
    /// When the socket was gone.
    pub gone_ns: u64,
    /// Last sign of life by the rule in force (the open itself when there was none).
    pub last_life_ns: u64,
    /// Last websocket pong.
    pub last_pong_ns: Option<u64>,
    /// Messages put into the outbound queue up to the decision.
    pub delivered: u64,
    /// Messages that were still in the queue (or half written) at the decision.
    pub queue_messages: u64,
    /// Bytes in the outbound queue at the decision, the writer's included.
    pub queue_bytes: u64,
    /// Bytes handed to the kernel in all, websocket frames after the upgrade only.
    pub written_bytes: u64,
    /// Messages received from the client.
    pub received: u64,
    /// The event of the client that ended the connection by failing, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<Box<UpstreamCall>>,
}

/// How an accepted connection ended on the wire, as the hub saw it.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum HubWire {
    /// The hub sent a close frame first.
    HubClose {
        /// Code sent.
        code: CloseCode,
        /// Reason sent.
        reason: String,
    },
    /// The client sent a close frame first; the hub echoed it.
    ClientClose {
        /// Code received; `None` for an empty close frame.
        code: Option<CloseCode>,
        /// Reason received.
        reason: String,
    },
    /// The hub reset the connection without a close frame.
    HubAbort,
    /// The client's end of stream came without a close frame.
    ClientEof,
    /// The client reset the connection.
    ClientReset,
}

/// The hub's side of the row of a refused attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubRefusal {
    /// Join key, when the client sent one.
    pub attempt: Option<AttemptId>,
    /// Why.
    pub category: CloseCategory,
    /// HTTP status answered.
    pub status: u16,
    /// Reason text of the resource log.
    pub log_reason: String,
    /// When.
    pub at_ns: u64,
    /// What became of the `connect` whose handler let nobody in, where one did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream: Option<Box<UpstreamCall>>,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use std::fmt::Debug;

    use serde::de::DeserializeOwned;

    use super::*;

    fn comes_back<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) -> String {
        let text = serde_json::to_string(value).unwrap();
        assert_eq!(&serde_json::from_str::<T>(&text).unwrap(), value, "{text}");
        text
    }

    #[test]
    fn bodies_come_back_from_their_json() {
        comes_back(&Capabilities {
            version: CONTROL_VERSION,
            now_ns: u64::MAX,
            settings: HubSettings::ci(),
            listen_backlog: 4_096,
        });
        let watched = Some(Watched { population: "muted".into(), index: 3 });
        comes_back(&StartTimeline {
            run: "r".into(),
            settings: HubSettings::real(),
            watched,
            upstream: Some("http://127.0.0.1:1".into()),
        });
        comes_back(&TimelineStarted { now_ns: 1 });
        for fault in [
            HubFault::Reload { share: 0.5, over: Duration::from_millis(1_500) },
            HubFault::Freeze { lasting: Duration::from_secs(1) },
            HubFault::Scale { tier: Tier::Premium, units: 2 },
        ] {
            comes_back(&fault);
        }
        comes_back(&LedgerEntry::Refused(Box::new(HubRefusal {
            attempt: None,
            category: CloseCategory::Unauthorized,
            status: 401,
            log_reason: "no token".into(),
            at_ns: 7,
            upstream: None,
        })));
        let call = UpstreamCall {
            event: RequestKind::parse("user:connect").unwrap(),
            status: Some(500),
            failure: Some(EventFailure::Status),
            tries: 4,
            took_us: 9_000_000,
        };
        let called = HubCall { attempt: None, connection_id: "c".into(), began_ns: 5, call };
        let text = comes_back(&LedgerEntry::Called(Box::new(called)));
        assert!(text.contains(r#""event":"user:connect""#), "{text}");
    }

    #[test]
    fn counters_without_event_handlers_do_not_speak_of_them() {
        let mut counters = Counters::default();
        assert!(!comes_back(&counters).contains("webhooks"));
        let event = EventCounters { begun: 1, ..EventCounters::default() };
        counters.webhooks.events.insert("connect".into(), event);
        counters.webhooks.events.entry("m".into()).or_default().failed =
            [(EventFailure::TimedOut, 2)].into();
        assert!(comes_back(&counters).contains(r#""failed":{"timed-out":2}"#));
    }

    #[test]
    fn counters_carry_the_services_names() {
        let mut counters = Counters { total_connection_count: 3, ..Counters::default() };
        counters.connection_close_count.insert(CloseCategory::PingTimeout, 2);
        counters.client_request_status.insert(429, 5);
        let text = comes_back(&counters);
        for part in [
            r#""ConnectionCloseCount":{"PingTimeout":2}"#,
            r#""TotalConnectionCount":3"#,
            r#""ClientRequestStatus":{"429":5}"#,
        ] {
            assert!(text.contains(part), "{text}");
        }
    }
}
