//! The story of the watched client: what its connections went through, told by both sides.

use serde::{Deserialize, Serialize};

use super::{ClientObservation, Wish};
use crate::protocol::story::{FrameOpcode, HubStep, Weight};
use crate::protocol::{AttemptId, CloseCode};

/// One line of the story of the watched client.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoryLine {
    /// Which attempt of that client.
    pub attempt: AttemptId,
    /// Who tells it, and what.
    pub side: StorySide,
}

/// Who tells a line of a story, and what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StorySide {
    /// The hub.
    Hub(HubStep),
    /// The client.
    Client(ClientStep),
}

/// What happened to a connection, as its client saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClientStep {
    /// The attempt began to dial.
    Begun,
    /// The transport is connected (TLS included).
    Connected,
    /// The 101 was read.
    Upgraded,
    /// The connection is open.
    Opened {
        /// Connection id, where the subprotocol tells it.
        connection_id: Option<String>,
    },
    /// A frame was read that is neither ping nor close frame.
    Read(FrameTold),
    /// A frame was given to the socket's outbox that is neither pong nor close frame.
    Sent(FrameTold),
    /// A websocket ping was read.
    PingRead,
    /// A pong was given to the outbox.
    PongSent,
    /// A pong is held back, as the client's behaviour says.
    PongHeld {
        /// For how long, in nanoseconds.
        for_ns: u64,
    },
    /// No pong is sent, as the client's behaviour says.
    PongSuppressed,
    /// The client's behaviour keeps it from reading.
    StopsReading,
    /// It reads again.
    ReadsAgain,
    /// It vanishes, as its behaviour says.
    Vanishes,
    /// A close frame was given to the outbox.
    CloseSent {
        /// Code.
        code: Option<CloseCode>,
        /// Reason.
        reason: String,
    },
    /// A close frame was read.
    CloseRead {
        /// Code.
        code: Option<CloseCode>,
        /// Reason.
        reason: String,
    },
    /// The attempt ended.
    Ended {
        /// What the client saw.
        observation: ClientObservation,
        /// What it wanted.
        wish: Wish,
    },
    /// Another attempt is planned.
    ReconnectPlanned {
        /// How long after the end, in nanoseconds.
        in_ns: u64,
    },
}

impl ClientStep {
    /// Whether it is one of many of its like.
    #[must_use]
    pub const fn weight(&self) -> Weight {
        match self {
            Self::Read(_) | Self::Sent(_) | Self::StopsReading | Self::ReadsAgain => {
                Weight::Routine
            }
            Self::Begun
            | Self::Connected
            | Self::Upgraded
            | Self::Opened { .. }
            | Self::PingRead
            | Self::PongSent
            | Self::PongHeld { .. }
            | Self::PongSuppressed
            | Self::Vanishes
            | Self::CloseSent { .. }
            | Self::CloseRead { .. }
            | Self::Ended { .. }
            | Self::ReconnectPlanned { .. } => Weight::Rare,
        }
    }
}

/// A frame in a story.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameTold {
    /// Websocket opcode.
    pub opcode: FrameOpcode,
    /// Which frame of the JSON subprotocol it is; `None` on simple clients.
    pub kind: Option<JsonKind>,
    /// Bytes of its payload.
    pub payload_bytes: u64,
    /// Stream and sequence, where it carries a stamp.
    pub stamp: Option<(u32, u32)>,
}

impl FrameTold {
    /// A frame that carries no message.
    #[must_use]
    pub const fn bare(opcode: FrameOpcode, payload_bytes: u64) -> Self {
        Self { opcode, kind: None, payload_bytes, stamp: None }
    }
}

/// Frames of the JSON subprotocol, either way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JsonKind {
    /// From the hub: connected.
    Connected,
    /// From the hub: disconnected.
    Disconnected,
    /// From the hub: an acknowledgement of success.
    Ack,
    /// From the hub: an acknowledgement of failure.
    FailedAck,
    /// From the hub: a message.
    Message,
    /// From the hub: the answer to an application ping.
    Pong,
    /// From the client: an application ping.
    Ping,
    /// From the client.
    JoinGroup,
    /// From the client.
    LeaveGroup,
    /// From the client.
    SendToGroup,
    /// From the client.
    Event,
    /// From the client.
    SequenceAck,
    /// None of these.
    Unknown,
}

/// What there is to know of a story at its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoryEnd {
    /// Population of the watched client.
    pub population: String,
    /// Which client of the population, from 0.
    pub index: u32,
    /// Whether the hub told its side.
    pub hub: HubTelling,
    /// Lines of the hub's that are missing, because there were too many.
    pub hub_left_out: u64,
    /// Lines of the client's that are missing, because there were too many.
    pub client_left_out: u64,
}

/// Whether the hub told its side of a story.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HubTelling {
    /// Yes.
    Told,
    /// The target offers no control API.
    NotOffered,
    /// Its stream broke off.
    BrokeOff {
        /// Why.
        why: String,
    },
}
