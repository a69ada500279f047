//! The story of one watched client: what the hub tells of its connections, line by line, over
//! [`STORY_PATH`](super::control::STORY_PATH).

use std::cell::Cell;

use serde::{Deserialize, Serialize};

use super::control::HubWire;
use super::{AttemptId, CloseCategory};

/// Routine lines (frames, writes) that each side tells of a run, at most. Later ones are counted
/// and left out, so that a busy connection does not hide its end.
pub const ROUTINE_LINES_MAX: u64 = 20_000;

/// The virtual client whose connections are told of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watched {
    /// Name of its population.
    pub population: String,
    /// Which client of the population, from 0.
    pub index: u32,
}

impl Watched {
    /// Whether an attempt is one of this client's.
    #[must_use]
    pub fn is_of(&self, attempt: &AttemptId) -> bool {
        self.index == attempt.index && self.population == attempt.population
    }
}

/// One line of the hub's story.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubStoryLine {
    /// Nanoseconds since the Unix epoch, by the hub's clock.
    pub at_ns: u64,
    /// Which attempt of the watched client.
    pub attempt: AttemptId,
    /// What happened.
    pub step: HubStep,
    /// Routine lines left out so far since the start of the timeline.
    pub left_out: u64,
}

/// What waits in a connection's outbound queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueDepth {
    /// Encoded bytes, the writer's included.
    pub bytes: u64,
    /// Messages, a half-written one included.
    pub messages: u64,
}

/// Kind of a websocket frame (of a whole message, where it came in fragments).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FrameOpcode {
    /// Text.
    Text,
    /// Binary.
    Binary,
    /// Ping.
    Ping,
    /// Pong.
    Pong,
    /// Close.
    Close,
}

/// Time between a ping's place in the queue and its pong. A pong without payload does not say which
/// ping it answers: where several were open it is one of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundTrip {
    /// Since the last of the open pings, in nanoseconds.
    pub least_ns: u64,
    /// Since the first of them.
    pub most_ns: u64,
    /// Open pings, the answered one included.
    pub open: u64,
}

/// What happened to a connection, as the hub saw it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HubStep {
    /// The connect request was refused.
    Refused {
        /// Why.
        category: CloseCategory,
        /// HTTP status answered.
        status: u16,
    },
    /// The 101 was decided.
    Opened,
    /// A frame came.
    Read {
        /// Its kind.
        opcode: FrameOpcode,
        /// Bytes of its payload.
        payload_bytes: u64,
    },
    /// A message was put into the queue.
    MessageQueued {
        /// Bytes of the encoded frame.
        frame_bytes: u64,
        /// What waits now.
        queue: QueueDepth,
    },
    /// A frame that is neither message nor ping was put into the queue: an acknowledgement, a
    /// system frame, a pong, a close frame.
    FrameQueued {
        /// Its kind.
        opcode: FrameOpcode,
        /// Bytes of the encoded frame.
        frame_bytes: u64,
        /// What waits now.
        queue: QueueDepth,
    },
    /// A ping was put into the queue, behind what waits there.
    PingQueued {
        /// What waits now.
        queue: QueueDepth,
    },
    /// The socket has taken bytes.
    Written {
        /// How many.
        bytes: u64,
        /// What still waits.
        queue: QueueDepth,
    },
    /// A pong came.
    PongRead {
        /// Since its ping; `None` when none was open.
        round_trip: Option<RoundTrip>,
        /// What waits now.
        queue: QueueDepth,
    },
    /// The end was decided.
    EndDecided {
        /// Why.
        category: CloseCategory,
        /// What waits at that moment.
        queue: QueueDepth,
        /// Last sign of life by the rule in force, in nanoseconds before this line.
        silent_ns: u64,
    },
    /// The socket is gone.
    Gone {
        /// What the wire carried.
        wire: HubWire,
        /// Bytes the socket took in all.
        written_bytes: u64,
    },
}

/// Whether a line is one of many of its like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weight {
    /// Frames and writes: as many as there are messages.
    Routine,
    /// Everything else: a few per connection or ping interval.
    Rare,
}

impl HubStep {
    /// Whether it is one of many of its like.
    #[must_use]
    pub const fn weight(&self) -> Weight {
        match self {
            Self::Read { opcode: FrameOpcode::Close, .. }
            | Self::FrameQueued { opcode: FrameOpcode::Close, .. } => Weight::Rare,
            Self::Read { .. }
            | Self::MessageQueued { .. }
            | Self::FrameQueued { .. }
            | Self::Written { .. } => Weight::Routine,
            Self::Refused { .. }
            | Self::Opened
            | Self::PingQueued { .. }
            | Self::PongRead { .. }
            | Self::EndDecided { .. }
            | Self::Gone { .. } => Weight::Rare,
        }
    }

    /// What waits after it, where it says so.
    #[must_use]
    pub const fn queue(&self) -> Option<QueueDepth> {
        match self {
            Self::MessageQueued { queue, .. }
            | Self::FrameQueued { queue, .. }
            | Self::PingQueued { queue }
            | Self::Written { queue, .. }
            | Self::PongRead { queue, .. }
            | Self::EndDecided { queue, .. } => Some(*queue),
            Self::Refused { .. } | Self::Opened | Self::Read { .. } | Self::Gone { .. } => None,
        }
    }
}

/// How many routine lines one side has told, and how many it left out.
#[derive(Debug, Default)]
pub struct LineBudget {
    told: Cell<u64>,
    left_out: Cell<u64>,
}

impl LineBudget {
    /// Whether one more line may be told; one that may not is counted.
    pub fn admits(&self, weight: Weight) -> bool {
        match weight {
            Weight::Rare => true,
            Weight::Routine if self.told.get() < ROUTINE_LINES_MAX => {
                self.told.set(self.told.get() + 1);
                true
            }
            Weight::Routine => {
                self.note_left_out();
                false
            }
        }
    }

    /// Counts a line that could not be told.
    pub fn note_left_out(&self) {
        self.left_out.set(self.left_out.get() + 1);
    }

    /// Lines left out so far.
    #[must_use]
    pub const fn left_out(&self) -> u64 {
        self.left_out.get()
    }

    /// Starts anew.
    pub fn restart(&self) {
        self.told.set(0);
        self.left_out.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routine_lines_are_bounded_and_counted_and_rare_ones_always_told() {
        let budget = LineBudget::default();
        assert!((0..ROUTINE_LINES_MAX).all(|_| budget.admits(Weight::Routine)));
        assert_eq!(budget.left_out(), 0);
        assert!(!budget.admits(Weight::Routine) && !budget.admits(Weight::Routine));
        assert!(budget.admits(Weight::Rare));
        assert_eq!(budget.left_out(), 2);
        budget.restart();
        assert!(budget.admits(Weight::Routine));
        assert_eq!(budget.left_out(), 0);
    }

    #[test]
    fn a_client_is_told_from_others_by_population_and_index() {
        let watched = Watched { population: "muted".into(), index: 3 };
        let of = |population: &str, index| {
            watched.is_of(&AttemptId { population: population.into(), index, attempt: 7 })
        };
        assert!(of("muted", 3));
        assert!(!of("muted", 2) && !of("healthy", 3));
    }
}
