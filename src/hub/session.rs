//! What clients say over an open websocket, and what the hub makes of it.

use std::rc::Rc;

use super::close::{self, Cause, Farewell};
use super::connection::{Connection, Mode};
use super::fan_out::Message;
use super::keep_alive;
use super::state::Hub;
use super::story;
use super::tally;
use super::throughput::{self, Overloaded};
use super::webhook::{self, Dialogue, Held, UserEvent};
use crate::protocol::CloseCategory;
use crate::protocol::rest::is_group_name;
use crate::protocol::subprotocol::{
    AckError, AckErrorName, ClientFrame, MessageFrom, Payload, ServerFrame,
};
use crate::protocol::token::{GroupAction, permits};
use crate::protocol::webhook::EventName;
use crate::ws::frame::server_frame;
use crate::ws::reader::{FrameError, Next};
use crate::ws::{CloseFrame, Opcode, ReadEvent};

// Close texts of Microsoft's emulator (client-protocols facts, 5).
const NOT_JSON: &str = "The client message is not a valid JSON protocol message.";
const NOT_TEXT: &str = "The JSON subprotocol requires text messages.";
const TOO_LARGE: &str = "The client message is too large.";
const BAD_FRAMING: &str = "The client frame is invalid.";
const MAY_NOT_PUBLISH: &str = "The connection is not authorized for raw sendToGroup mode.";

/// Longest frame that is looked at for being the subprotocol's ping.
const PING_BYTES_MAX: usize = 64;

/// Handles one whole message or control frame.
pub fn on_event(hub: &Rc<Hub>, connection: &Rc<Connection>, event: ReadEvent<'_>) -> Next {
    story::read(hub, connection, &event);
    if connection.is_ended() {
        return on_event_after_end(connection, &event);
    }
    keep_alive::note_frame(hub, connection, matches!(event, ReadEvent::Pong(_)));
    let waiting = connection.dialogue.as_ref().filter(|dialogue| dialogue.is_waiting());
    match waiting {
        Some(dialogue) => on_event_meanwhile(hub, connection, dialogue, event),
        None => on_event_now(hub, connection, event),
    }
    match connection.end.borrow().as_ref() {
        Some(end) if end.is_immediate() => Next::Stop,
        _ => Next::Continue,
    }
}

/// A user event waits for its answer: pings are answered, and so are the subprotocol's, so that the
/// client does not think the hub dead; everything else keeps its order behind the event.
fn on_event_meanwhile(
    hub: &Hub,
    connection: &Rc<Connection>,
    dialogue: &Dialogue,
    event: ReadEvent<'_>,
) {
    let is_ping = |text: &str| {
        connection.mode == Mode::Json
            && text.len() <= PING_BYTES_MAX
            && ClientFrame::parse(text) == Ok(ClientFrame::Ping)
    };
    match event {
        ReadEvent::Pong(_) => {}
        ReadEvent::Ping(payload) => hub.send(connection, server_frame(Opcode::Pong, payload)),
        ReadEvent::Text(text) if is_ping(text) => {
            tally::add(&connection.received, 1);
            answer_ping(hub, connection);
        }
        ReadEvent::Text(text) => dialogue.hold(Held::Text(text.to_owned())),
        ReadEvent::Binary(bytes) => dialogue.hold(Held::Binary(bytes.to_vec())),
        ReadEvent::Close(frame) => dialogue.hold(Held::Close(frame)),
    }
}

/// A user event is over: the frames that waited for it have their turn, up to the next one.
pub fn resume(hub: &Rc<Hub>, connection: &Rc<Connection>, dialogue: &Dialogue) {
    while !connection.is_ended()
        && let Some(frame) = dialogue.next_held()
    {
        on_event_now(
            hub,
            connection,
            match &frame {
                Held::Text(text) => ReadEvent::Text(text),
                Held::Binary(bytes) => ReadEvent::Binary(bytes),
                Held::Close(frame) => ReadEvent::Close(frame.clone()),
            },
        );
    }
    if let Some(unread) = dialogue.make_room() {
        keep_alive::forgive_one(connection, unread);
        connection.wake();
    }
}

fn on_event_now(hub: &Rc<Hub>, connection: &Rc<Connection>, event: ReadEvent<'_>) {
    match event {
        ReadEvent::Pong(_) => {}
        ReadEvent::Ping(payload) => hub.send(connection, server_frame(Opcode::Pong, payload)),
        ReadEvent::Close(frame) => on_close(hub, connection, frame),
        ReadEvent::Text(text) => {
            tally::add(&connection.received, 1);
            match &connection.mode {
                Mode::Json => on_json(hub, connection, text),
                _ => on_simple(hub, connection, Payload::Text(text.to_owned())),
            }
        }
        ReadEvent::Binary(bytes) => {
            tally::add(&connection.received, 1);
            match &connection.mode {
                Mode::Json => bad_request(hub, connection, 1003, NOT_TEXT),
                _ => on_simple(hub, connection, Payload::Binary(bytes.to_vec())),
            }
        }
    }
}

/// After the end only the client's close frame matters.
fn on_event_after_end(connection: &Connection, event: &ReadEvent<'_>) -> Next {
    if let ReadEvent::Close(_) = event {
        connection.client_closed.set(true);
    }
    Next::Continue
}

fn on_close(hub: &Hub, connection: &Rc<Connection>, frame: CloseFrame) {
    connection.client_closed.set(true);
    if frame.code.is_some_and(|code| !may_stand_in_a_frame(code)) {
        bad_request(hub, connection, 1002, BAD_FRAMING);
    } else {
        close::end(hub, connection, Cause::by_client(Farewell::Echo(frame)));
    }
}

/// Whether a close code may stand in a close frame (RFC 6455, 7.4, and the registry behind it).
const fn may_stand_in_a_frame(code: u16) -> bool {
    matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999)
}

/// The bytes are not frames.
pub fn on_bad_frame(hub: &Hub, connection: &Rc<Connection>, error: &FrameError) {
    if connection.is_ended() {
        return;
    }
    match error {
        FrameError::Protocol(_) => bad_request(hub, connection, 1002, BAD_FRAMING),
        FrameError::Utf8 => bad_request(hub, connection, 1007, NOT_JSON),
        FrameError::TooLarge { .. } => bad_request(hub, connection, 1009, TOO_LARGE),
    }
}

fn bad_request(hub: &Hub, connection: &Rc<Connection>, code: u16, reason: &str) {
    close::end(hub, connection, Cause::close(CloseCategory::BadRequest, code, reason));
}

fn on_simple(hub: &Rc<Hub>, connection: &Rc<Connection>, payload: Payload) {
    count_inbound(hub, &payload);
    match &connection.mode {
        Mode::SimplePublish { group } => {
            if permits(&connection.roles, GroupAction::Send, group) {
                // Nobody can be told of a message for which there is no room; it is counted.
                let _ = publish(hub, connection, group, payload, Echo::ToSenderToo);
            } else {
                let category = CloseCategory::Unauthorized;
                close::end(hub, connection, Cause::close(category, 1008, MAY_NOT_PUBLISH));
            }
        }
        _ => {
            let event = UserEvent { name: EventName::message(), ack_id: None, payload };
            webhook::raise(hub, connection, event);
        }
    }
}

fn on_json(hub: &Rc<Hub>, connection: &Rc<Connection>, text: &str) {
    let Ok(frame) = ClientFrame::parse(text) else {
        bad_request(hub, connection, 1007, NOT_JSON);
        return;
    };
    match frame {
        ClientFrame::Ping => answer_ping(hub, connection),
        ClientFrame::SequenceAck { .. } => {}
        ClientFrame::JoinGroup { group, ack_id } => {
            acknowledged(hub, connection, ack_id, || {
                check(connection, GroupAction::JoinLeave, &group, "join")?;
                let max = hub.settings().limits.groups_per_connection;
                let joined = hub.tables.borrow_mut().join(connection, &group, max);
                joined.map_err(|full| AckError {
                    name: AckErrorName::BadRequest,
                    message: full.to_string(),
                })
            });
        }
        ClientFrame::LeaveGroup { group, ack_id } => {
            acknowledged(hub, connection, ack_id, || {
                check(connection, GroupAction::JoinLeave, &group, "leave")?;
                hub.tables.borrow_mut().leave(connection, &group);
                Ok(())
            });
        }
        ClientFrame::SendToGroup { group, ack_id, no_echo, payload } => {
            count_inbound(hub, &payload);
            acknowledged(hub, connection, ack_id, || {
                check(connection, GroupAction::Send, &group, "send messages to")?;
                let echo = if no_echo { Echo::NotToSender } else { Echo::ToSenderToo };
                let published = publish(hub, connection, &group, payload, echo);
                published.map_err(|overloaded| AckError {
                    name: AckErrorName::InternalServerError,
                    message: overloaded.to_string(),
                })
            });
        }
        ClientFrame::Event { event, ack_id, payload } => {
            count_inbound(hub, &payload);
            on_user_event(hub, connection, &event, ack_id, payload);
        }
    }
}

fn answer_ping(hub: &Hub, connection: &Rc<Connection>) {
    let frame = ServerFrame::Pong.print();
    hub.send(connection, server_frame(Opcode::Text, frame.as_bytes()));
}

fn on_user_event(
    hub: &Rc<Hub>,
    connection: &Rc<Connection>,
    event: &str,
    ack_id: Option<u64>,
    payload: Payload,
) {
    if let Some(ack_id) = ack_id.filter(|&ack_id| connection.acks.borrow().contains(ack_id)) {
        acknowledge(hub, connection, ack_id, Err(duplicate(ack_id)));
        return;
    }
    match EventName::parse(event) {
        Ok(name) => {
            webhook::raise(hub, connection, UserEvent { name, ack_id, payload });
        }
        Err(_) => acknowledged(hub, connection, ack_id, || {
            Err(AckError {
                name: AckErrorName::BadRequest,
                message: "The event name is invalid.".to_owned(),
            })
        }),
    }
}

/// What a client is told whose event failed.
pub fn event_failed() -> AckError {
    AckError {
        name: AckErrorName::InternalServerError,
        message: "Internal server error".to_owned(),
    }
}

fn duplicate(ack_id: u64) -> AckError {
    AckError {
        name: AckErrorName::Duplicate,
        message: format!("Message with ack-id: {ack_id} has been processed"),
    }
}

fn count_inbound(hub: &Hub, payload: &Payload) {
    let bytes = match payload {
        Payload::Text(text) | Payload::Json(text) => text.len(),
        Payload::Binary(bytes) => bytes.len(),
    };
    tally::add(&hub.tally.inbound, bytes as u64);
}

/// Whether the group's name is acceptable and the client's roles grant the action.
fn check(
    connection: &Connection,
    action: GroupAction,
    group: &str,
    what: &str,
) -> Result<(), AckError> {
    if !is_group_name(group) {
        return Err(AckError {
            name: AckErrorName::BadRequest,
            message: "The group name is invalid.".to_owned(),
        });
    }
    if !permits(&connection.roles, action, group) {
        return Err(AckError {
            name: AckErrorName::Forbidden,
            message: format!("The client does not have permission to {what} group '{group}'."),
        });
    }
    Ok(())
}

/// Does what a frame asks for, unless its `ackId` has already succeeded, and answers when it has
/// one. What it puts into queues stands there before the answer.
fn acknowledged(
    hub: &Hub,
    connection: &Rc<Connection>,
    ack_id: Option<u64>,
    act: impl FnOnce() -> Result<(), AckError>,
) {
    let Some(ack_id) = ack_id else {
        // Without an ackId errors are silent (client-protocols facts, 3.3).
        let _ = act();
        return;
    };
    let result =
        if connection.acks.borrow().contains(ack_id) { Err(duplicate(ack_id)) } else { act() };
    acknowledge(hub, connection, ack_id, result);
}

/// Answers a frame that has an `ackId`.
pub fn acknowledge(
    hub: &Hub,
    connection: &Rc<Connection>,
    ack_id: u64,
    result: Result<(), AckError>,
) {
    if result.is_ok() {
        connection.acks.borrow_mut().insert(ack_id);
    }
    let frame = ServerFrame::Ack { ack_id, result }.print();
    hub.send(connection, server_frame(Opcode::Text, frame.as_bytes()));
}

/// Whether a publisher that is a member gets its own message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Echo {
    ToSenderToo,
    NotToSender,
}

fn publish(
    hub: &Hub,
    sender: &Connection,
    group: &str,
    payload: Payload,
    echo: Echo,
) -> Result<(), Overloaded> {
    let from_user_id = sender.user_id.as_deref().map(str::to_owned);
    let except = match echo {
        Echo::ToSenderToo => &[][..],
        Echo::NotToSender => &[sender.serial],
    };
    let from = MessageFrom::Group { group: group.to_owned(), from_user_id };
    let message = Message::new(from, payload);
    let members: Vec<_> = hub.tables.borrow().of_group(&sender.hub_name, group).cloned().collect();
    let pattern = throughput::pattern_of_group(hub, members.len());
    throughput::deliver(hub, pattern, message, except, members)
}
