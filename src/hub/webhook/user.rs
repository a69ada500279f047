//! User events: one of a connection at a time, those of different connections beside each other
//! (service-side facts, 2.5).

use std::rc::Rc;

use bytes::Bytes;

use super::super::close::{self, Cause};
use super::super::connection::{Connection, Mode};
use super::super::fan_out::Message;
use super::super::state::Hub;
use super::super::{session, throughput, trace};
use super::dialogue::Dialogue;
use super::entry::{self, Whose};
use super::listeners;
use super::send::{Heard, Outgoing, send};
use super::spawn;
use crate::net::http::HttpAnswer;
use crate::protocol::CloseCategory;
use crate::protocol::control::{EventFailure, UpstreamCall};
use crate::protocol::subprotocol::{MessageFrom, Payload};
use crate::protocol::throughput::Pattern;
use crate::protocol::webhook::request::content_type_of;
use crate::protocol::webhook::{Event, EventName, FailedUserEvent, user_event_answer};

/// Close code of a connection whose event failed: internal error.
const INTERNAL_ERROR: u16 = 1011;

/// An event of a client.
#[derive(Debug)]
pub struct UserEvent {
    /// Its name; `message` for simple clients.
    pub name: EventName,
    /// Asks for an acknowledgement.
    pub ack_id: Option<u64>,
    /// What is sent.
    pub payload: Payload,
}

/// Sends an event of a client. Its further frames wait until that is over.
pub fn raise(hub: &Rc<Hub>, connection: &Rc<Connection>, event: UserEvent) {
    let UserEvent { name, ack_id, payload } = event;
    let event = Event::User(name);
    let has_handler = |dialogue: &Rc<Dialogue>| dialogue.events().handler_of(&event).is_some();
    let is_taken =
        |dialogue: &&Rc<Dialogue>| has_handler(dialogue) || listeners::is_heard(dialogue, &event);
    let Some(dialogue) = connection.dialogue.as_ref().filter(is_taken) else {
        not_found(hub, connection, &event, ack_id);
        return;
    };
    let has_handler = has_handler(dialogue);
    let content_type = content_type_of(&payload);
    let body = match payload {
        Payload::Text(text) | Payload::Json(text) => Bytes::from(text),
        Payload::Binary(bytes) => Bytes::from(bytes),
    };
    let outgoing = Outgoing { event, id: dialogue.next_id(), content_type, body };
    listeners::deliver(hub, dialogue, &outgoing);
    if !has_handler {
        // Heard by a listener, it is a success that nobody answers.
        if let Some(ack_id) = ack_id {
            session::acknowledge(hub, connection, ack_id, Ok(()));
        }
        return;
    }
    dialogue.set_waiting(true);
    let task =
        deliver(Rc::clone(hub), Rc::clone(connection), Rc::clone(dialogue), outgoing, ack_id);
    spawn(hub, task);
}

/// Nobody takes the event: the hub has handlers of others, or none at all.
fn not_found(hub: &Hub, connection: &Rc<Connection>, event: &Event, ack_id: Option<u64>) {
    trace::event_not_found(hub, connection, event);
    let whose = Whose::of_connection(connection);
    let call = entry::unsent(hub, whose, event, EventFailure::NotFound);
    fail(hub, connection, ack_id, CloseCategory::EventHandlerNotFound, call);
}

async fn deliver(
    hub: Rc<Hub>,
    connection: Rc<Connection>,
    dialogue: Rc<Dialogue>,
    outgoing: Outgoing,
    ack_id: Option<u64>,
) {
    if let Some(handler) = dialogue.handler_of(&outgoing.event) {
        let read = |answer: &HttpAnswer| {
            let content_type = answer.headers.get(http::header::CONTENT_TYPE);
            let content_type = content_type.map(|value| value.to_str().unwrap_or("not ASCII"));
            user_event_answer(content_type, &answer.body)
        };
        let sent = send(&hub, &dialogue, handler, &outgoing, read).await;
        dialogue.set_waiting(false);
        match sent.outcome {
            Ok(heard) => answer(&hub, &connection, &dialogue, heard, ack_id),
            Err(_) => {
                fail(&hub, &connection, ack_id, CloseCategory::SendEventFailed, sent.call);
            }
        }
    }
    session::resume(&hub, &connection, &dialogue);
}

/// The event was taken: what the handler says reaches the client before the acknowledgement.
fn answer(
    hub: &Hub,
    connection: &Rc<Connection>,
    dialogue: &Dialogue,
    heard: Heard<Option<Payload>>,
    ack_id: Option<u64>,
) {
    if let Some(state) = heard.state {
        *dialogue.state.borrow_mut() = state;
    }
    if let Some(payload) = heard.said {
        let message = Message::new(MessageFrom::Server, payload);
        // A reply for which there is no room is lost, and counted with its pattern.
        let receiver = vec![Rc::clone(connection)];
        let _ = throughput::deliver(hub, Pattern::Echo, message, &[], receiver);
    }
    if let Some(ack_id) = ack_id {
        session::acknowledge(hub, connection, ack_id, Ok(()));
    }
}

fn fail(
    hub: &Hub,
    connection: &Rc<Connection>,
    ack_id: Option<u64>,
    category: CloseCategory,
    call: UpstreamCall,
) {
    let policy = match &connection.dialogue {
        Some(dialogue) => dialogue.events().policy.failed_user_event,
        None => hub.settings().events.policy.failed_user_event,
    };
    match (&connection.mode, policy) {
        (Mode::Json, FailedUserEvent::AckError) => {
            if let Some(ack_id) = ack_id {
                session::acknowledge(hub, connection, ack_id, Err(session::event_failed()));
            }
        }
        (Mode::Json, FailedUserEvent::Drop)
        | (Mode::SimpleEvents | Mode::SimplePublish { .. }, _) => {
            let cause = Cause::close(category, INTERNAL_ERROR, category.log_reason());
            let cause = Cause { upstream: Some(Box::new(call)), ..cause };
            close::end(hub, connection, cause);
        }
    }
}
