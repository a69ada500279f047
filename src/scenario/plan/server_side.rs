//! What must be true of what the servers saw: the hub's log, and the application server.

use serde::Serialize;

use super::Quantity;
use crate::protocol::webhook::{RequestKind, WebhookFailure};

/// What must be true of the hub's log and of the application server, in file order.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct ServerSide {
    /// Lines of the log.
    pub log: Vec<LogExpectation>,
    /// Requests that the application server received.
    pub requests: Vec<RequestExpectation>,
}

impl ServerSide {
    /// Whether nothing is expected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Lines of the hub's log about events that failed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LogExpectation {
    /// Name of the event in the log.
    pub event: WebhookFailure,
    /// The whole message, byte for byte; `None` is any.
    pub message: Option<String>,
    /// How many lines.
    pub count: Quantity,
    /// Path in the file, for messages: `expect_log[0]`.
    pub path: String,
}

/// What an application server is asked, from one side or the other.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RequestExpectation {
    /// What it is about.
    pub kind: RequestKind,
    /// What is counted.
    pub counted: UpstreamCount,
    /// How many.
    pub count: Quantity,
    /// Path in the file, for messages: `expect_upstream.connect`.
    pub path: String,
}

/// A count of what an application server is asked. A server that is down receives nothing, so the
/// hub counts as well. Repeated requests count, but for [`Self::Calls`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum UpstreamCount {
    /// Requests that the server received.
    Received,
    /// Most of them in one second of the timeline.
    ReceivedPerSecond,
    /// Events that the hub had for it, each once; validations, each once.
    Calls,
    /// Requests that the hub made.
    Requests,
    /// Most of them in one second of the timeline; of validations it is not counted.
    RequestsPerSecond,
}

impl UpstreamCount {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Received,
        Self::ReceivedPerSecond,
        Self::Calls,
        Self::Requests,
        Self::RequestsPerSecond,
    ];

    /// Its key in a file.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::ReceivedPerSecond => "received_per_second",
            Self::Calls => "calls",
            Self::Requests => "requests",
            Self::RequestsPerSecond => "requests_per_second",
        }
    }

    /// What it is, for whoever writes a file.
    #[must_use]
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Received => "Requests that the server received, repeated ones among them.",
            Self::ReceivedPerSecond => "Most requests that it received in one second.",
            Self::Calls => "Events that the hub had for it, each once.",
            Self::Requests => "Requests that the hub made, repeated ones among them.",
            Self::RequestsPerSecond => "Most requests that the hub made in one second.",
        }
    }

    /// Whether the server counts it, and not the hub.
    #[must_use]
    pub const fn is_the_servers(self) -> bool {
        matches!(self, Self::Received | Self::ReceivedPerSecond)
    }
}
