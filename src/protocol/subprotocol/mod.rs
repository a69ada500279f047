//! Frames of the websocket subprotocols, parsed and printed.
//!
//! Simple clients have no frames of their own: what they send and receive is bare payload.
//! `json.webpubsub.azure.v1` is text frames of one JSON object each (client-protocols facts, 3.2
//! and 3.3).

mod client;
mod glance;
mod json;
mod server;

pub use glance::{Glance, glance};

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

impl AckErrorName {
    /// The name on the wire.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Forbidden => "Forbidden",
            Self::InternalServerError => "InternalServerError",
            Self::Duplicate => "Duplicate",
            Self::BadRequest => "BadRequest",
            Self::Other(name) => name,
        }
    }
}

impl From<&str> for AckErrorName {
    fn from(name: &str) -> Self {
        match name {
            "Forbidden" => Self::Forbidden,
            "InternalServerError" => Self::InternalServerError,
            "Duplicate" => Self::Duplicate,
            "BadRequest" => Self::BadRequest,
            other => Self::Other(other.to_owned()),
        }
    }
}

/// What acknowledgements that failed are counted by: the error's name on the wire.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[allow(missing_docs, reason = "the service's own words")]
pub enum AckFailure {
    Forbidden,
    InternalServerError,
    BadRequest,
    /// Any name that Squall does not know.
    Other,
}

impl AckFailure {
    /// Its name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Forbidden => "Forbidden",
            Self::InternalServerError => "InternalServerError",
            Self::BadRequest => "BadRequest",
            Self::Other => "other",
        }
    }
}

impl AckErrorName {
    /// What it counts as; `None` for what had been done before, which is no failure.
    #[must_use]
    pub const fn failure(&self) -> Option<AckFailure> {
        match self {
            Self::Forbidden => Some(AckFailure::Forbidden),
            Self::InternalServerError => Some(AckFailure::InternalServerError),
            Self::Duplicate => None,
            Self::BadRequest => Some(AckFailure::BadRequest),
            Self::Other(_) => Some(AckFailure::Other),
        }
    }
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// JSON texts in several layouts; never `null` at the top.
    pub(super) fn json_text() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<i64>().prop_map(|number| number.to_string()),
            any::<String>().prop_map(|text| serde_json::Value::from(text).to_string()),
            Just("true".to_owned()),
            Just("1.50e3".to_owned()),
            Just(r#"{"a" : [null, {"b":"}\""}], "type":"x"}"#.to_owned()),
        ]
    }

    pub(super) fn payload(json: impl Strategy<Value = String>) -> impl Strategy<Value = Payload> {
        prop_oneof![
            any::<String>().prop_map(Payload::Text),
            json.prop_map(Payload::Json),
            proptest::collection::vec(any::<u8>(), 0..40).prop_map(Payload::Binary),
        ]
    }

    /// Every server frame that has a form on the wire.
    pub(super) fn server_frame() -> impl Strategy<Value = ServerFrame> {
        let user = || proptest::option::of(any::<String>());
        let error = (any::<String>(), any::<String>())
            .prop_map(|(name, message)| AckError { name: name.as_str().into(), message });
        let from = prop_oneof![
            (any::<String>(), user())
                .prop_map(|(group, from_user_id)| MessageFrom::Group { group, from_user_id }),
            Just(MessageFrom::Server),
        ];
        let json = prop_oneof![json_text(), Just("null".to_owned())];
        prop_oneof![
            (any::<String>(), user()).prop_map(|(connection_id, user_id)| {
                ServerFrame::Connected { connection_id, user_id }
            }),
            any::<String>().prop_map(|message| ServerFrame::Disconnected { message }),
            any::<u64>().prop_map(|ack_id| ServerFrame::Ack { ack_id, result: Ok(()) }),
            (any::<u64>(), error)
                .prop_map(|(ack_id, error)| ServerFrame::Ack { ack_id, result: Err(error) }),
            (from, payload(json))
                .prop_map(|(from, payload)| ServerFrame::Message { from, payload }),
            Just(ServerFrame::Pong),
        ]
    }

    #[test]
    fn error_names_come_back_from_the_wire() {
        for name in ["Forbidden", "InternalServerError", "Duplicate", "BadRequest", "NotFound"] {
            assert_eq!(AckErrorName::from(name).name(), name);
        }
        assert_eq!(AckErrorName::from("BadRequest"), AckErrorName::BadRequest);
    }
}
