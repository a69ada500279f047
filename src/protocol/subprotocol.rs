//! Frames of the websocket subprotocols, parsed and printed.
//!
//! Simple clients have no frames of their own: what they send and receive is bare payload.
//! `json.webpubsub.azure.v1` is text frames of one JSON object each (client-protocols facts, 3.2
//! and 3.3).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a client and the hub speak over a websocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Subprotocol {
    /// No subprotocol: bare payloads.
    Simple,
    /// `json.webpubsub.azure.v1`.
    Json,
}

/// Name of the JSON subprotocol on the wire.
pub const JSON_SUBPROTOCOL: &str = "json.webpubsub.azure.v1";

impl Subprotocol {
    /// The value of `Sec-WebSocket-Protocol`; `None` for simple clients.
    #[must_use]
    pub const fn wire_name(self) -> Option<&'static str> {
        match self {
            Self::Simple => None,
            Self::Json => Some(JSON_SUBPROTOCOL),
        }
    }
}

/// Payload of a message with its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// `dataType` `text`.
    Text(String),
    /// `dataType` `json`: the JSON text, unchanged.
    Json(String),
    /// `dataType` `binary`.
    Binary(Vec<u8>),
}

/// A frame from a JSON client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientFrame {
    /// Join a group.
    JoinGroup {
        /// Group.
        group: String,
        /// Asks for an acknowledgement.
        ack_id: Option<u64>,
    },
    /// Leave a group.
    LeaveGroup {
        /// Group.
        group: String,
        /// Asks for an acknowledgement.
        ack_id: Option<u64>,
    },
    /// Publish to a group.
    SendToGroup {
        /// Group.
        group: String,
        /// Asks for an acknowledgement.
        ack_id: Option<u64>,
        /// Do not send it back to the sender.
        no_echo: bool,
        /// What is sent.
        payload: Payload,
    },
    /// Send an event to the event handler.
    Event {
        /// Event name.
        event: String,
        /// Asks for an acknowledgement.
        ack_id: Option<u64>,
        /// What is sent.
        payload: Payload,
    },
    /// `{"type":"ping"}`.
    Ping,
    /// `sequenceAck`; harmless on a plain client.
    SequenceAck {
        /// Highest sequence id seen.
        sequence_id: u64,
    },
}

/// Why a text frame is not a [`ClientFrame`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadClientFrame {
    /// Not a JSON object, a field is missing or of the wrong kind, or `type` is unknown: the hub
    /// closes 1007.
    #[error("not a valid JSON protocol message: {0}")]
    Invalid(String),
}

impl ClientFrame {
    /// Parses a text frame from a JSON client. `type` is compared without case.
    pub fn parse(_text: &str) -> Result<Self, BadClientFrame> {
        unimplemented!()
    }

    /// Prints the frame as the JS SDK does (key order, no white space).
    #[must_use]
    pub fn print(&self) -> String {
        unimplemented!()
    }
}

/// Name of an error in an acknowledgement. The set is open on the wire; these are what Squall's hub
/// sends (client-protocols facts, 3.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AckErrorName {
    /// The client lacks the role.
    Forbidden,
    /// The hub failed, or the event handler did.
    InternalServerError,
    /// The ackId has already succeeded.
    Duplicate,
    /// The request is not acceptable.
    BadRequest,
    /// A name Squall does not know, kept as it came.
    Other(String),
}

/// Error of an acknowledgement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AckError {
    /// Name.
    pub name: AckErrorName,
    /// Text for people.
    pub message: String,
}

/// Where a message came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MessageFrom {
    /// Published to a group.
    Group {
        /// Group.
        group: String,
        /// The publisher's user id, if it has one.
        from_user_id: Option<String>,
    },
    /// Sent by REST.
    Server,
}

/// A frame to a JSON client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerFrame {
    /// First frame of every connection.
    Connected {
        /// Connection id.
        connection_id: String,
        /// User id of the token.
        user_id: Option<String>,
    },
    /// Just before a close by the service.
    Disconnected {
        /// Text for people.
        message: String,
    },
    /// Answer to an `ackId`.
    Ack {
        /// The id.
        ack_id: u64,
        /// `Err` when `success` is false.
        result: Result<(), AckError>,
    },
    /// A message.
    Message {
        /// From where.
        from: MessageFrom,
        /// What.
        payload: Payload,
    },
    /// Answer to [`ClientFrame::Ping`].
    Pong,
    /// A frame of a type, event or origin Squall does not know; SDKs ignore those too.
    Unknown,
}

impl ServerFrame {
    /// Parses a text frame from the hub; `Err` holds what is wrong with it.
    pub fn parse(_text: &str) -> Result<Self, String> {
        unimplemented!()
    }

    /// Prints the frame with the service's key order, compact.
    #[must_use]
    pub fn print(&self) -> String {
        unimplemented!()
    }
}

/// What a load client needs from a frame, without allocating: the fast path for messages and
/// acknowledgements. Falls back to [`ServerFrame::parse`] for anything else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Glance<'a> {
    /// A text message: its `data` as it stands between the quotes (no escapes inside).
    Text(&'a [u8]),
    /// An acknowledgement that succeeded.
    AckOk(u64),
    /// Anything else: parse it whole.
    Other,
}

/// Looks at a text frame from the hub. Never wrong, sometimes [`Glance::Other`].
#[must_use]
pub fn glance(_text: &[u8]) -> Glance<'_> {
    unimplemented!()
}
