//! Resource-log records in the service's shape: one for every start, end and refusal.

use std::net::SocketAddr;

use super::connection::Connection;
use super::state::Hub;
use crate::protocol::control::HubRefusal;
use crate::protocol::resource_log::{Level, OperationName, Properties, Record, utc};
use crate::protocol::{AttemptId, CloseCategory};

/// The embedded hub's own resource id, in the service's shape.
const RESOURCE_ID: &str = "/SUBSCRIPTIONS/00000000-0000-0000-0000-000000000000/RESOURCEGROUPS/\
                           SQUALL/PROVIDERS/MICROSOFT.SIGNALRSERVICE/WEBPUBSUB/SQUALL";

/// A connection has opened.
pub fn started(hub: &Hub, connection: &Connection) {
    let message = "Connection started".to_owned();
    push(
        hub,
        OperationName::ConnectionStarted,
        connection.peer,
        of_connection(connection, message, None),
    );
}

/// A connection's end is decided: expected ends are the client's own, all others are aborts
/// (service-side facts, 3.4).
pub fn ended(hub: &Hub, connection: &Connection, category: CloseCategory) {
    let (operation, word) = if category.is_drop() {
        (OperationName::ConnectionAborted, "aborted")
    } else {
        (OperationName::ConnectionEnded, "ended")
    };
    let message = format!("Connection {word}. Reason: {}", category.log_reason());
    let properties = of_connection(connection, message, Some(category));
    push(hub, operation, connection.peer, properties);
}

/// A connect request was refused.
pub fn refused(hub: &Hub, refusal: &HubRefusal, hub_name: &str, peer: SocketAddr) {
    let properties = Properties {
        collection: collection(refusal.category).to_owned(),
        connection_id: None,
        user_id: None,
        message: format!("Connection aborted. Reason: {}", refusal.log_reason),
        hub: hub_name.to_owned(),
        close_category: Some(refusal.category),
        squall_attempt: refusal.attempt.as_ref().map(AttemptId::to_string),
    };
    push(hub, OperationName::ConnectionAborted, peer, properties);
}

fn of_connection(
    connection: &Connection,
    message: String,
    category: Option<CloseCategory>,
) -> Properties {
    Properties {
        collection: category.map_or("Connection", collection).to_owned(),
        connection_id: Some(connection.id.to_string()),
        user_id: connection.user_id.as_deref().map(str::to_owned),
        message,
        hub: connection.hub_name.to_string(),
        close_category: category,
        squall_attempt: connection.attempt.as_ref().map(AttemptId::to_string),
    }
}

const fn collection(category: CloseCategory) -> &'static str {
    match category {
        CloseCategory::Unauthorized => "Authorization",
        CloseCategory::ConnectionCountLimitReached | CloseCategory::Throttled => "Throttling",
        _ => "Connection",
    }
}

fn push(hub: &Hub, operation_name: OperationName, peer: SocketAddr, properties: Properties) {
    let level = match operation_name {
        OperationName::ConnectionAborted => Level::Warning,
        OperationName::ConnectionStarted | OperationName::ConnectionEnded => Level::Informational,
    };
    hub.trace.push(&Record {
        time: utc(hub.clock.now_ns()),
        level,
        resource_id: RESOURCE_ID.to_owned(),
        location: "local".to_owned(),
        category: "ConnectivityLogs".to_owned(),
        operation_name,
        caller_ip_address: peer.ip().to_string(),
        properties,
    });
}
