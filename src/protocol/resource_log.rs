//! Resource-log records in the service's shape (service-side facts, 3.4), one JSON object per line.

use serde::{Deserialize, Serialize};

use super::CloseCategory;

/// Severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the service's own words")]
pub enum Level {
    Informational,
    Warning,
    Error,
    Critical,
}

/// Operation of a connectivity record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the service's own words")]
pub enum OperationName {
    ConnectionStarted,
    ConnectionEnded,
    ConnectionAborted,
}

/// One record of category `ConnectivityLogs`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Record {
    /// UTC, `2021-09-17T05:25:05Z` (Squall keeps milliseconds).
    pub time: String,
    /// Severity.
    pub level: Level,
    /// Upper-case ARM id; a fixed one for the embedded hub.
    pub resource_id: String,
    /// Region; `local`.
    pub location: String,
    /// `ConnectivityLogs`.
    pub category: String,
    /// What happened.
    pub operation_name: OperationName,
    /// Peer address.
    pub caller_ip_address: String,
    /// The rest.
    pub properties: Properties,
}

/// `properties` of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Properties {
    /// `Connection`, `Authorization` or `Throttling`.
    pub collection: String,
    /// Connection id; `None` for a refused attempt.
    pub connection_id: Option<String>,
    /// User id; `None` when anonymous.
    pub user_id: Option<String>,
    /// For people, the service's wording.
    pub message: String,
    /// Hub name.
    pub hub: String,
    /// Squall's own addition: the close category, where the service's log has only the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub close_category: Option<CloseCategory>,
    /// Squall's own addition: the join key of the ledger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub squall_attempt: Option<String>,
}

/// Formats nanoseconds since the Unix epoch as UTC with milliseconds.
#[must_use]
pub fn utc(_ns: u64) -> String {
    unimplemented!()
}
