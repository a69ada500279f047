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

/// Requests of one kind that the scripted application server received, repeated ones among them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RequestExpectation {
    /// What they were about.
    pub kind: RequestKind,
    /// How many.
    pub count: Quantity,
    /// Path in the file, for messages: `expect_upstream.connect`.
    pub path: String,
}
