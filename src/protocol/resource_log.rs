//! Resource-log records in the service's shape (service-side facts, 3.4), one JSON object per line.

use serde::{Deserialize, Serialize};

use super::webhook::WebhookFailure;
use super::{AttemptId, CloseCategory};

/// Severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the service's own words")]
pub enum Level {
    Informational,
    Warning,
    Error,
    Critical,
}

/// Operation of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the service's own words")]
pub enum OperationName {
    ConnectionStarted,
    ConnectionEnded,
    ConnectionAborted,
    /// Squall's own word for an event that went to a handler; its name stands in `eventName`.
    SendEvent,
}

/// One record.
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
    /// [`CONNECTIVITY`] or [`MESSAGING`].
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
    /// Name of a failed event's record in the service's live trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_name: Option<WebhookFailure>,
    /// Why there was no answer, for people: a column of its own in the service's live trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exception: Option<String>,
    /// Hub name.
    pub hub: String,
    /// Squall's own addition: the close category, where the service's log has only the text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub close_category: Option<CloseCategory>,
    /// Squall's own addition: the join key of the ledger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub squall_attempt: Option<String>,
}

/// Category of records about connections.
pub const CONNECTIVITY: &str = "ConnectivityLogs";
/// Category of records about messages, user events among them.
pub const MESSAGING: &str = "MessagingLogs";
/// `resourceId` of the embedded hub: an ARM id that is nobody's.
pub const RESOURCE_ID: &str = "/SUBSCRIPTIONS/00000000-0000-0000-0000-000000000000/RESOURCEGROUPS/\
                               SQUALL/PROVIDERS/MICROSOFT.SIGNALRSERVICE/WEBPUBSUB/SQUALL";

/// Whom a record is about.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// Peer address.
    pub caller: &'a str,
    /// Hub name.
    pub hub: &'a str,
    /// Connection id; `None` for a refused attempt.
    pub connection_id: Option<&'a str>,
    /// User id; `None` when anonymous.
    pub user_id: Option<&'a str>,
    /// Join key, when the client sent one.
    pub attempt: Option<&'a AttemptId>,
}

impl Record {
    /// A connection has begun. `at_ns` is nanoseconds since the Unix epoch, here and below.
    #[must_use]
    pub fn started(at_ns: u64, subject: &Subject<'_>) -> Self {
        let message = "Connection started".to_owned();
        let level = Level::Informational;
        let operation = OperationName::ConnectionStarted;
        Self::new(at_ns, subject, level, operation, "Connection", message)
    }

    /// A connection has ended: `ConnectionEnded` when the client closed it, `ConnectionAborted`
    /// with `reason` for every drop. The wording is SignalR's sample `Connection ended. Reason: `
    /// and, for an abort, Squall's own likeness of it; the service's level of an abort is
    /// unconfirmed.
    #[must_use]
    pub fn ended(at_ns: u64, subject: &Subject<'_>, category: CloseCategory, reason: &str) -> Self {
        let (level, operation, message) = if category.is_drop() {
            let message = format!("Connection aborted. Reason: {reason}");
            (Level::Warning, OperationName::ConnectionAborted, message)
        } else {
            let message = format!("Connection ended. Reason: {reason}");
            (Level::Informational, OperationName::ConnectionEnded, message)
        };
        let mut record = Self::new(at_ns, subject, level, operation, collection(category), message);
        record.properties.close_category = Some(category);
        record
    }

    /// An attempt was refused before the upgrade, for a reason as in `Connection count reaches
    /// limit` and `Failed to validate audience. …`.
    #[must_use]
    pub fn refused(
        at_ns: u64,
        subject: &Subject<'_>,
        category: CloseCategory,
        reason: &str,
    ) -> Self {
        let operation = OperationName::ConnectionAborted;
        let collection = collection(category);
        let message = format!("Connection aborted. Reason: {reason}");
        let mut record = Self::new(at_ns, subject, Level::Warning, operation, collection, message);
        record.properties.close_category = Some(category);
        record
    }

    /// An event did not get to its handler, or the handler did not take it. `message` is one of the
    /// [guide's texts](super::webhook::texts); `category` is [`CONNECTIVITY`] or [`MESSAGING`]. The
    /// service's level is unconfirmed.
    #[must_use]
    pub fn event_failed(
        at_ns: u64,
        subject: &Subject<'_>,
        category: &str,
        failure: WebhookFailure,
        message: String,
        exception: Option<String>,
    ) -> Self {
        let (level, operation) = (Level::Error, OperationName::SendEvent);
        let mut record = Self::new(at_ns, subject, level, operation, "Connection", message);
        category.clone_into(&mut record.category);
        record.properties.event_name = Some(failure);
        record.properties.exception = exception;
        record
    }

    fn new(
        at_ns: u64,
        subject: &Subject<'_>,
        level: Level,
        operation_name: OperationName,
        collection: &str,
        message: String,
    ) -> Self {
        Self {
            time: utc(at_ns),
            level,
            resource_id: RESOURCE_ID.to_owned(),
            location: "local".to_owned(),
            category: CONNECTIVITY.to_owned(),
            operation_name,
            caller_ip_address: subject.caller.to_owned(),
            properties: Properties {
                collection: collection.to_owned(),
                connection_id: subject.connection_id.map(str::to_owned),
                user_id: subject.user_id.map(str::to_owned),
                message,
                event_name: None,
                exception: None,
                hub: subject.hub.to_owned(),
                close_category: None,
                squall_attempt: subject.attempt.map(AttemptId::to_string),
            },
        }
    }
}

const fn collection(category: CloseCategory) -> &'static str {
    match category {
        CloseCategory::ConnectionCountLimitReached | CloseCategory::Throttled => "Throttling",
        CloseCategory::Unauthorized => "Authorization",
        _ => "Connection",
    }
}

/// Formats nanoseconds since the Unix epoch as UTC with milliseconds.
#[must_use]
pub fn utc(ns: u64) -> String {
    format!("{:.3}", timestamp(ns))
}

/// The same in whole seconds, never rounded up: `2021-09-17T05:25:05Z`, as events have it.
#[must_use]
pub fn utc_seconds(ns: u64) -> String {
    format!("{:.0}", timestamp(ns / 1_000_000_000 * 1_000_000_000))
}

fn timestamp(ns: u64) -> jiff::Timestamp {
    jiff::Timestamp::UNIX_EPOCH + std::time::Duration::from_nanos(ns)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn times_are_utc_with_milliseconds_and_never_rounded_up() {
        for (ns, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_631_856_305 * SECOND, "2021-09-17T05:25:05.000Z"),
            (951_868_799 * SECOND + 999_999_999, "2000-02-29T23:59:59.999Z"),
            (4_107_542_400 * SECOND, "2100-03-01T00:00:00.000Z"),
            (u64::MAX, "2554-07-21T23:34:33.709Z"),
        ] {
            assert_eq!(utc(ns), text);
        }
    }

    fn subject(attempt: &AttemptId) -> Subject<'_> {
        Subject {
            caller: "127.0.0.1",
            hub: "chat",
            connection_id: Some("c1"),
            user_id: None,
            attempt: Some(attempt),
        }
    }

    #[test]
    fn records_have_the_services_shape() {
        let attempt = AttemptId { population: "a".into(), index: 1, attempt: 0 };
        let started = Record::started(1_631_856_305 * SECOND, &subject(&attempt));
        assert_eq!(
            serde_json::to_string(&started).unwrap(),
            [
                r#"{"time":"2021-09-17T05:25:05.000Z","level":"Informational","resourceId":""#,
                RESOURCE_ID,
                r#"","location":"local","category":"ConnectivityLogs","#,
                r#""operationName":"ConnectionStarted","callerIpAddress":"127.0.0.1","#,
                r#""properties":{"collection":"Connection","connectionId":"c1","userId":null,"#,
                r#""message":"Connection started","hub":"chat","squallAttempt":"a.1.0"}}"#,
            ]
            .concat()
        );
        assert!(!RESOURCE_ID.contains(' '));
        assert_eq!(RESOURCE_ID, RESOURCE_ID.to_uppercase());
    }

    #[test]
    fn an_end_by_the_client_is_ended_and_every_drop_is_aborted() {
        let attempt = AttemptId { population: "a".into(), index: 1, attempt: 0 };
        let subject = subject(&attempt);
        for category in CloseCategory::ALL {
            let record = Record::ended(0, &subject, category, category.log_reason());
            let aborted = record.operation_name == OperationName::ConnectionAborted;
            assert_eq!(aborted, category != CloseCategory::Normal, "{category}");
            assert_eq!(record.properties.close_category, Some(category));
            assert!(record.properties.message.ends_with(category.log_reason()));
        }
        let ended = Record::ended(0, &subject, CloseCategory::Normal, "");
        assert_eq!(ended.properties.message, "Connection ended. Reason: ");
    }

    #[test]
    fn refusals_are_filed_under_what_refused_them() {
        let subject = Subject {
            caller: "::1",
            hub: "chat",
            connection_id: None,
            user_id: None,
            attempt: None,
        };
        for (category, collection) in [
            (CloseCategory::ConnectionCountLimitReached, "Throttling"),
            (CloseCategory::Throttled, "Throttling"),
            (CloseCategory::Unauthorized, "Authorization"),
            (CloseCategory::BadRequest, "Connection"),
        ] {
            let record = Record::refused(0, &subject, category, category.log_reason());
            assert_eq!(record.properties.collection, collection);
            let reason = category.log_reason();
            assert_eq!(record.properties.message, format!("Connection aborted. Reason: {reason}"));
            assert_eq!(record.operation_name, OperationName::ConnectionAborted);
            let line = serde_json::to_string(&record).unwrap();
            assert_eq!(serde_json::from_str::<Record>(&line).unwrap(), record);
        }
    }
}
