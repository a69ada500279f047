//! Resource-log records in the service's shape: one for every start, end and refusal, and for every
//! event that failed.

use std::net::SocketAddr;

use super::connection::Connection;
use super::state::Hub;
use super::webhook::Dialogue;
use crate::protocol::CloseCategory;
use crate::protocol::control::HubRefusal;
use crate::protocol::resource_log::{CONNECTIVITY, MESSAGING, Record, Subject};
use crate::protocol::webhook::{Event, WebhookFailure, texts};

/// A connection has opened.
pub fn started(hub: &Hub, connection: &Connection) {
    of_connection(hub, connection, Record::started);
}

/// A connection's end is decided.
pub fn ended(hub: &Hub, connection: &Connection, category: CloseCategory) {
    of_connection(hub, connection, |at_ns, subject| {
        Record::ended(at_ns, subject, category, category.log_reason())
    });
}

fn of_connection(
    hub: &Hub,
    connection: &Connection,
    record: impl FnOnce(u64, &Subject<'_>) -> Record,
) {
    let caller = connection.peer.ip().to_string();
    let subject = Subject {
        caller: &caller,
        hub: &connection.hub_name,
        connection_id: Some(&connection.id),
        user_id: connection.user_id.as_deref(),
        attempt: connection.attempt.as_ref(),
    };
    hub.trace.push(&record(hub.clock.now_ns(), &subject));
}

/// A connect request was refused.
pub fn refused(hub: &Hub, refusal: &HubRefusal, hub_name: &str, peer: SocketAddr) {
    let caller = peer.ip().to_string();
    let subject = Subject {
        caller: &caller,
        hub: hub_name,
        connection_id: None,
        user_id: None,
        attempt: refusal.attempt.as_ref(),
    };
    let (category, reason) = (refusal.category, &refusal.log_reason);
    hub.trace.push(&Record::refused(hub.clock.now_ns(), &subject, category, reason));
}

/// Nobody takes an event of a client.
pub fn event_not_found(hub: &Hub, connection: &Connection, event: &Event) {
    let failure = WebhookFailure::EventHandlerNotFound;
    let message = texts::not_found(&connection.hub_name, event);
    of_connection(hub, connection, |at_ns, subject| {
        Record::event_failed(at_ns, subject, MESSAGING, failure, message, None)
    });
}

/// An event of a connection failed, or the validation before it did.
pub fn event_failed(
    hub: &Hub,
    dialogue: &Dialogue,
    event: &Event,
    failure: WebhookFailure,
    message: String,
    exception: Option<String>,
) {
    let caller = dialogue.peer.ip().to_string();
    let user_id = dialogue.user_id();
    let subject = Subject {
        caller: &caller,
        hub: &dialogue.hub_name,
        connection_id: Some(&dialogue.connection_id),
        user_id: Some(&*user_id).filter(|user_id| !user_id.is_empty()),
        attempt: dialogue.attempt.as_ref(),
    };
    let category = match event {
        Event::System(_) => CONNECTIVITY,
        Event::User(_) => MESSAGING,
    };
    let at_ns = hub.clock.now_ns();
    let record = Record::event_failed(at_ns, &subject, category, failure, message, exception);
    hub.trace.push(&record);
}
