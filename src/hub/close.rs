//! How connections end: the first cause the hub decides wins, the place in the quota is free at
//! that moment, and what the wire carries follows.

use std::rc::Rc;

use tokio::time::Instant;

use super::connection::{Connection, Mode};
use super::queue::FrameKind;
use super::state::Hub;
use super::story;
use super::tally;
use super::trace;
use super::webhook;
use crate::protocol::control::{HubEnd, HubWire, LedgerEntry, UpstreamCall};
use crate::protocol::settings::WireForm;
use crate::protocol::story::HubStep;
use crate::protocol::subprotocol::ServerFrame;
use crate::protocol::{CloseCategory, CloseCode};
use crate::ws::frame::{close_payload, server_frame};
use crate::ws::{CloseFrame, Opcode};

/// Close code of a REST close and of [`WireForm::DisconnectedThenClose`].
const CLOSE_NORMAL: CloseCode = 1000;

/// Why a connection ends and how the client is told.
#[derive(Clone, Debug)]
pub struct Cause {
    /// The service's word.
    pub category: CloseCategory,
    /// What the wire carries.
    pub farewell: Farewell,
    /// The event that failed, when that is why.
    pub upstream: Option<Box<UpstreamCall>>,
}

/// What the wire carries at an end.
#[derive(Clone, Debug)]
pub enum Farewell {
    /// A reset, nothing else.
    Abort,
    /// A close frame behind what is queued.
    Close {
        /// Code.
        code: CloseCode,
        /// Reason.
        reason: String,
    },
    /// For JSON clients a `disconnected` frame, then close 1000 without a reason.
    DisconnectedThenClose {
        /// Text of the frame.
        message: String,
    },
    /// The client closed first: its own close frame back, behind what is queued.
    Echo(CloseFrame),
    /// The client's end of stream, without a close frame.
    ClientEof,
    /// The client's reset.
    ClientReset,
}

impl Cause {
    /// An end in the wire form that the settings give it.
    pub fn in_form(category: CloseCategory, form: &WireForm) -> Self {
        let farewell = match form {
            WireForm::Abort => Farewell::Abort,
            WireForm::Close { code, reason } => {
                Farewell::Close { code: *code, reason: reason.clone() }
            }
            WireForm::DisconnectedThenClose => {
                Farewell::DisconnectedThenClose { message: category.log_reason().to_owned() }
            }
        };
        Self { category, farewell, upstream: None }
    }

    /// An end by a close frame.
    pub fn close(category: CloseCategory, code: CloseCode, reason: &str) -> Self {
        let farewell = Farewell::Close { code, reason: reason.to_owned() };
        Self { category, farewell, upstream: None }
    }

    /// The client's own end.
    pub const fn by_client(farewell: Farewell) -> Self {
        Self { category: CloseCategory::Normal, farewell, upstream: None }
    }
}

/// A decided end.
#[derive(Debug)]
pub struct End {
    pub category: CloseCategory,
    pub farewell: Farewell,
    pub later: Vec<CloseCategory>,
    upstream: Option<Box<UpstreamCall>>,
    decided: Instant,
    delivered: u64,
    queue_messages: u64,
    queue_bytes: u64,
}

impl End {
    /// Whether the socket goes at once, with nothing more to write.
    pub const fn is_immediate(&self) -> bool {
        matches!(self.farewell, Farewell::Abort | Farewell::ClientEof | Farewell::ClientReset)
    }
}

/// How the socket of an ended connection went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gone {
    /// As the farewell says; a close frame was written.
    AsDecided,
    /// The farewell's close frame never got out: the hub reset the connection.
    Aborted,
    /// The farewell's close frame never got out: the client ended the stream before.
    ClientEof,
    /// The farewell's close frame never got out: the client reset the connection before.
    ClientReset,
}

/// Decides the end of a connection, or notes a later cause of one that has ended.
pub fn end(hub: &Hub, connection: &Rc<Connection>, cause: Cause) {
    if let Some(end) = connection.end.borrow_mut().as_mut() {
        end.later.push(cause.category);
        return;
    }
    let category = cause.category;
    hub.tables.borrow_mut().remove(connection);
    hub.keep_alive.remove(connection);
    tally::take(&hub.tally.open, 1);
    if hub.tally.open.get() == 0 {
        hub.runs.nobody_open();
    }
    if connection.timeline == hub.timeline.get() {
        hub.tally.count_close(category);
    }
    let end = decided(connection, cause);
    trace::ended(hub, connection, category);
    tell_decided(hub, connection, category);
    say_farewell(hub, connection, &end);
    *connection.end.borrow_mut() = Some(Box::new(end));
    if let (Some(dialogue), Some(hub)) = (&connection.dialogue, hub.shared()) {
        dialogue.drop_held();
        webhook::disconnected(&hub, dialogue, category.log_reason());
    }
    connection.wake();
}

/// The end of a connection that never held a place: it got its 101, and `cause` at once.
pub fn end_at_birth(hub: &Hub, connection: &Connection, cause: Cause) {
    let category = cause.category;
    tally::add(&hub.tally.opened, 1);
    hub.tally.count_close(category);
    trace::started(hub, connection);
    let end = decided(connection, cause);
    trace::ended(hub, connection, category);
    tell_decided(hub, connection, category);
    say_farewell(hub, connection, &end);
    *connection.end.borrow_mut() = Some(Box::new(end));
}

fn tell_decided(hub: &Hub, connection: &Connection, category: CloseCategory) {
    story::tell(hub, connection, |queue| {
        let silent = connection.last_life.get().elapsed();
        let silent_ns = u64::try_from(silent.as_nanos()).unwrap_or(u64::MAX);
        HubStep::EndDecided { category, queue, silent_ns }
    });
}

fn decided(connection: &Connection, cause: Cause) -> End {
    let Cause { category, farewell, upstream } = cause;
    let queue = connection.queue.borrow();
    End {
        category,
        farewell,
        later: Vec::new(),
        upstream,
        decided: Instant::now(),
        delivered: connection.delivered.get(),
        queue_messages: queue.messages(),
        queue_bytes: queue.bytes(),
    }
}

/// Queues the last frames behind what waits, or throws away what can no longer be sent.
fn say_farewell(hub: &Hub, connection: &Connection, end: &End) {
    let close_frame =
        |code, reason: &str| server_frame(Opcode::Close, &close_payload(code, reason));
    match &end.farewell {
        Farewell::Abort | Farewell::ClientEof | Farewell::ClientReset => {
            hub.clear_queue(connection);
        }
        Farewell::Close { code, reason } => {
            hub.enqueue(connection, close_frame(Some(*code), reason), FrameKind::Other);
        }
        Farewell::DisconnectedThenClose { message } => {
            if connection.mode == Mode::Json {
                let frame = ServerFrame::Disconnected { message: message.clone() }.print();
                let frame = server_frame(Opcode::Text, frame.as_bytes());
                hub.enqueue(connection, frame, FrameKind::Other);
            }
            hub.enqueue(connection, close_frame(Some(CLOSE_NORMAL), ""), FrameKind::Other);
        }
        Farewell::Echo(frame) => {
            hub.enqueue(connection, close_frame(frame.code, &frame.reason), FrameKind::Other);
        }
    }
}

/// Writes the ledger row of an ended connection: its socket is gone.
pub fn settle(hub: &Hub, connection: &Connection, gone: Gone) {
    hub.clear_queue(connection);
    hub.forget_socket(connection);
    if connection.timeline != hub.timeline.get() {
        return;
    }
    // The end stays where it is: whoever still holds the connection must not end it once more.
    let end = connection.end.borrow();
    let Some(end) = end.as_deref() else { return };
    let at = |instant: Instant| hub.clock.at_ns(instant);
    let wire = wire(end.farewell.clone(), gone);
    let written_bytes = connection.written_bytes.get();
    story::tell(hub, connection, |_| HubStep::Gone { wire: wire.clone(), written_bytes });
    hub.ledger.push(&LedgerEntry::Ended(Box::new(HubEnd {
        attempt: connection.attempt.clone(),
        connection_id: connection.id.to_string(),
        user_id: connection.user_id.as_deref().map(str::to_owned),
        category: end.category,
        log_reason: end.category.log_reason().to_owned(),
        wire,
        later: end.later.clone(),
        opened_ns: at(connection.opened),
        decided_ns: at(end.decided),
        gone_ns: hub.clock.now_ns(),
        last_life_ns: at(connection.last_life.get()),
        last_pong_ns: connection.last_pong.get().map(at),
        delivered: end.delivered,
        queue_messages: end.queue_messages,
        queue_bytes: end.queue_bytes,
        written_bytes,
        received: connection.received.get(),
        upstream: end.upstream.clone(),
    })));
}

fn wire(farewell: Farewell, gone: Gone) -> HubWire {
    match (farewell, gone) {
        (Farewell::Echo(CloseFrame { code, reason }), _) => HubWire::ClientClose { code, reason },
        (Farewell::Abort, _) | (_, Gone::Aborted) => HubWire::HubAbort,
        (Farewell::ClientEof, _) | (_, Gone::ClientEof) => HubWire::ClientEof,
        (Farewell::ClientReset, _) | (_, Gone::ClientReset) => HubWire::ClientReset,
        (Farewell::Close { code, reason }, Gone::AsDecided) => HubWire::HubClose { code, reason },
        (Farewell::DisconnectedThenClose { .. }, Gone::AsDecided) => {
            HubWire::HubClose { code: CLOSE_NORMAL, reason: String::new() }
        }
    }
}
