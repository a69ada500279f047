//! Why a connection ended, in the service's words, and close codes as they stand on the wire.

use std::fmt;
use std::str::FromStr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A websocket close code, exactly as the peer sent it (RFC 6455, 7.4). Kept raw: libraries replace
/// codes they think invalid, and what was really sent is the observation.
pub type CloseCode = u16;

/// Stands for a close frame without a code (RFC 6455, 7.1.5); no frame has it.
pub const NO_CODE: CloseCode = 1005;

/// The service's word for why a connection ended: dimension `ConnectionCloseCategory` of metric
/// ConnectionCloseCount, joined with the names of the troubleshooting guide.
///
/// Sources: azure-docs `articles/azure-web-pubsub/concept-metrics.md` and
/// `howto-troubleshoot-common-issues.md`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum CloseCategory {
    /// Closed by the client.
    Normal,
    /// A server call (REST close) ended it.
    ClosedByAppServer,
    /// Maintenance, internal reload or scaling. Not a fault of either end.
    ServiceReload,
    /// The client gave no regular sign of life.
    PingTimeout,
    /// Too much was queued at the service for this client.
    SlowClient,
    /// The tier's cap on connections is reached. The guide's name; the metric's dimension for it is
    /// assumed to be `Throttled` (unconfirmed).
    ConnectionCountLimitReached,
    /// Connection or traffic throttling of another kind.
    Throttled,
    /// The event handler call failed.
    SendEventFailed,
    /// No event handler for the event.
    EventHandlerNotFound,
    /// Internal error of the service.
    ServiceTransientError,
    /// Bad hub name, bad payload, broken framing.
    BadRequest,
    /// No token, or one that is not valid.
    Unauthorized,
}

impl CloseCategory {
    /// Every category, in the order in which reports list them.
    pub const ALL: [Self; 12] = [
        Self::Normal,
        Self::ClosedByAppServer,
        Self::ServiceReload,
        Self::PingTimeout,
        Self::SlowClient,
        Self::ConnectionCountLimitReached,
        Self::Throttled,
        Self::SendEventFailed,
        Self::EventHandlerNotFound,
        Self::ServiceTransientError,
        Self::BadRequest,
        Self::Unauthorized,
    ];

    /// The service's own spelling.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Normal => "Normal",
            Self::ClosedByAppServer => "ClosedByAppServer",
            Self::ServiceReload => "ServiceReload",
            Self::PingTimeout => "PingTimeout",
            Self::SlowClient => "SlowClient",
            Self::ConnectionCountLimitReached => "ConnectionCountLimitReached",
            Self::Throttled => "Throttled",
            Self::SendEventFailed => "SendEventFailed",
            Self::EventHandlerNotFound => "EventHandlerNotFound",
            Self::ServiceTransientError => "ServiceTransientError",
            Self::BadRequest => "BadRequest",
            Self::Unauthorized => "Unauthorized",
        }
    }

    /// Value of the metric dimension `ConnectionCloseCategory`.
    #[must_use]
    pub const fn metric_dimension(self) -> &'static str {
        match self {
            Self::ConnectionCountLimitReached => Self::Throttled.name(),
            other => other.name(),
        }
    }

    /// The reason text of the resource log record (`service-side` facts, section 3.4; texts of
    /// categories that no source words are Squall's own).
    #[must_use]
    pub const fn log_reason(self) -> &'static str {
        match self {
            Self::Normal => "",
            Self::ClosedByAppServer => "Application server closed the connection",
            Self::ServiceReload => "Service reloading, reconnect",
            Self::PingTimeout => "Connection ping timeout",
            Self::SlowClient => "The outbound message queue is full",
            Self::ConnectionCountLimitReached => "Connection count reaches limit",
            Self::Throttled => "Message count reaches limit",
            Self::SendEventFailed => "Sending the event to the event handler failed",
            Self::EventHandlerNotFound => "No event handler for the event",
            Self::ServiceTransientError => "Internal server transient error",
            Self::BadRequest => "The client sent a bad request",
            Self::Unauthorized => "The access token is missing or not valid",
        }
    }

    /// Whether the service ended the connection against the client's wish.
    #[must_use]
    pub const fn is_drop(self) -> bool {
        !matches!(self, Self::Normal)
    }
}

impl fmt::Display for CloseCategory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A text that names no category.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("no close category of that name")]
pub struct NoSuchCategory;

impl FromStr for CloseCategory {
    type Err = NoSuchCategory;

    /// Reads the service's spelling, in any case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|category| category.name().eq_ignore_ascii_case(text))
            .ok_or(NoSuchCategory)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_in_any_case_and_nothing_else_is() {
        for category in CloseCategory::ALL {
            assert_eq!(category.name().parse(), Ok(category));
            assert_eq!(category.name().to_lowercase().parse(), Ok(category));
            assert_eq!(format!("{category:>30}").trim_start(), category.name());
            assert_eq!(serde_json::json!(category), category.name());
        }
        for name in ["", "PingTimeouts", "Unknown"] {
            assert_eq!(name.parse::<CloseCategory>(), Err(NoSuchCategory));
        }
    }
}
