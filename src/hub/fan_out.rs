//! One message to many receivers: encoded at most once per format, the bytes shared.

use std::cell::OnceCell;
use std::rc::Rc;

use bytes::Bytes;

use super::connection::{Connection, Mode, Serial};
use super::queue::FrameKind;
use super::state::Hub;
use super::tally;
use crate::protocol::subprotocol::{MessageFrom, Payload, ServerFrame};
use crate::ws::Opcode;
use crate::ws::frame::server_frame;

/// A message on its way to its receivers.
#[derive(Debug)]
pub struct Message {
    frame: ServerFrame,
    json: OnceCell<Bytes>,
    simple: OnceCell<Bytes>,
}

impl Message {
    /// A message that nobody has yet.
    pub const fn new(from: MessageFrom, payload: Payload) -> Self {
        let frame = ServerFrame::Message { from, payload };
        Self { frame, json: OnceCell::new(), simple: OnceCell::new() }
    }

    fn payload(&self) -> (Opcode, &[u8]) {
        match &self.frame {
            ServerFrame::Message { payload: Payload::Binary(bytes), .. } => (Opcode::Binary, bytes),
            ServerFrame::Message { payload: Payload::Text(text) | Payload::Json(text), .. } => {
                (Opcode::Text, text.as_bytes())
            }
            _ => (Opcode::Text, &[]),
        }
    }

    /// Bytes of its payload.
    pub fn payload_bytes(&self) -> u64 {
        self.payload().1.len() as u64
    }

    fn encoded(&self, mode: &Mode) -> &Bytes {
        match mode {
            Mode::Json => {
                self.json.get_or_init(|| server_frame(Opcode::Text, self.frame.print().as_bytes()))
            }
            Mode::SimpleEvents | Mode::SimplePublish { .. } => self.simple.get_or_init(|| {
                let (opcode, payload) = self.payload();
                server_frame(opcode, payload)
            }),
        }
    }
}

/// Puts a message into the queue of each receiver but those in `except`. Nothing waits for a slow
/// one: whoever has too much waiting ends as SlowClient.
pub fn deliver(hub: &Hub, message: &Message, except: &[Serial], receivers: Vec<Rc<Connection>>) {
    let payload_bytes = message.payload_bytes();
    for connection in receivers {
        if except.contains(&connection.serial) || connection.is_ended() {
            continue;
        }
        let frame = message.encoded(&connection.mode).clone();
        hub.enqueue(&connection, frame, FrameKind::Message);
        tally::add(&connection.delivered, 1);
        tally::add(&hub.tally.deliveries, 1);
        tally::add(&hub.tally.outbound, payload_bytes);
        hub.end_if_slow(&connection);
    }
}
