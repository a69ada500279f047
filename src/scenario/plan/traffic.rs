//! Load on the hub: who sends what to whom, and when.

use std::ops::Range;
use std::time::Duration;

use serde::{Serialize, Serializer};

use super::{GroupIndex, Plan, Population, PopulationIndex};
use crate::protocol::webhook::EventName;

/// Bytes a client may hold for sending before a publish is refused and counted. It stands here
/// because a plan with a message that never fits is refused before anything runs.
pub const OUTBOX_BYTES_MAX: usize = 1024 * 1024;

/// Most bytes a client's frame has before its payload: 10 of header and 4 of mask (RFC 6455, 5.2).
pub const CLIENT_FRAME_HEADER_BYTES_MAX: usize = 14;

/// Load on the hub.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Traffic {
    /// Name.
    pub name: String,
    /// Who sends.
    pub from: Senders,
    /// To whom.
    pub to: Destination,
    /// Messages per second of each sender.
    pub rate: f64,
    /// Bytes of each message's data; at least [`crate::protocol::stamp::STAMP_BYTES`].
    pub size: u32,
    /// First planned instant.
    pub start: Duration,
    /// No message is planned at or after it; `None`: until the running phase ends.
    pub until: Option<Duration>,
    /// Whether senders ask for acknowledgements.
    pub acknowledged: bool,
    /// Messages a sender may have unacknowledged; the next one waits (its planned instant does
    /// not). `None` is no bound but the outbox's.
    pub in_flight: Option<u32>,
    /// Whether the hub sends a message back to its sender.
    pub no_echo: bool,
    /// Number of the first sender's stream.
    pub stream_base: u32,
}

impl Traffic {
    /// Whether it goes to a group that the population is in.
    #[must_use]
    pub fn reaches(&self, population: &Population) -> bool {
        match &self.to {
            Destination::Group(group) => population.groups.contains(group),
            Destination::Rooms(rooms) => population.rooms.contains(rooms),
            Destination::Users { of, .. } => population.name == *of,
            Destination::Everybody => true,
            Destination::Event { .. } => false,
        }
    }

    /// Whether clients of the population are among its senders.
    #[must_use]
    pub fn is_from(&self, index: PopulationIndex) -> bool {
        matches!(self.from, Senders::Clients { population, .. } if population == index)
    }

    /// How many streams of numbered messages it has: one per sender, and one per receiver where
    /// its messages go to one user after the other.
    #[must_use]
    pub const fn streams(&self) -> u32 {
        match self.to {
            Destination::Users { count, .. } => count,
            _ => self.from.count(),
        }
    }

    /// Which of the traffic's streams bring messages to a client that is in a room or is a user,
    /// counted from its first: a range of positions. Everything, for what reaches everybody.
    #[must_use]
    pub fn positions_to(&self, index: u32) -> Range<u32> {
        let all = 0..self.streams();
        match (&self.to, &self.from) {
            (Destination::Users { .. }, _) => index..index.saturating_add(1),
            (Destination::Rooms(rooms), Senders::Clients { first, count, .. }) => {
                let members = rooms.members.max(1);
                let begin = index / members * members;
                let end = begin.saturating_add(members);
                let inside = |of: u32| of.saturating_sub(*first).min(*count);
                inside(begin)..inside(end)
            }
            _ => all,
        }
    }

    /// Whether every message is to come back to its sender from the event handler.
    #[must_use]
    pub const fn demands_replies(&self) -> bool {
        matches!(self.to, Destination::Event { reply: Reply::Echo, .. })
    }
}

/// Where the messages of a traffic go. (Serialized as a group's number or an event's table.)
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Destination {
    /// To the members of a group.
    Group(GroupIndex),
    /// From each sender to the room that it is in.
    Rooms(Rooms),
    /// By REST to one user of a population after the other.
    Users {
        /// Name of the population.
        of: String,
        /// How many users it has.
        count: u32,
    },
    /// By REST to every connection.
    #[serde(serialize_with = "everybody")]
    Everybody,
    /// To the event handler that takes this user event.
    Event {
        /// Which; `message` of simple clients, whose every frame is that.
        event: EventName,
        /// What the handler is to answer.
        reply: Reply,
    },
}

fn everybody<S: Serializer>(serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str("everybody")
}

/// Groups of a population's own, each of so many of its clients: clients `0..members` are in the
/// first, the next ones in the second, and so on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Rooms {
    /// The first of the groups; the others follow.
    pub first: GroupIndex,
    /// Clients in each, but for what the last has.
    pub members: u32,
}

impl Rooms {
    /// The room of a client.
    #[must_use]
    pub fn of(&self, index: u32) -> GroupIndex {
        self.first.saturating_add(index / self.members.max(1))
    }
}

impl Population {
    /// The groups of one of its clients.
    pub fn groups_of(&self, index: u32) -> impl Iterator<Item = GroupIndex> + '_ {
        let rooms = self.rooms.iter().map(move |rooms| rooms.of(index));
        self.groups.iter().copied().chain(rooms)
    }
}

/// What an event handler is to answer to a user event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// Whatever it likes: what comes back is timed, and nothing is demanded.
    #[default]
    Any,
    /// The event's own data, once, in order.
    Echo,
}

/// Who sends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Senders {
    /// Clients `first..first + count` of a population, over their websocket.
    Clients {
        /// Population.
        population: PopulationIndex,
        /// Index of the first.
        first: u32,
        /// How many.
        count: u32,
    },
    /// The engine, by REST.
    Rest,
}

impl Senders {
    /// How many senders there are.
    #[must_use]
    pub const fn count(&self) -> u32 {
        match self {
            Self::Clients { count, .. } => *count,
            Self::Rest => 1,
        }
    }

    /// Which of the senders a client is, from 0; `None` when it is none of them.
    #[must_use]
    pub fn position(&self, population: PopulationIndex, index: u32) -> Option<u32> {
        match *self {
            Self::Clients { population: senders, first, count } if senders == population => {
                index.checked_sub(first).filter(|position| *position < count)
            }
            _ => None,
        }
    }
}

impl Plan {
    /// The traffic that a stream belongs to.
    #[must_use]
    pub fn traffic_of(&self, stream: u32) -> Option<&Traffic> {
        self.traffic.get(self.traffic_number(stream)?)
    }

    /// Its position in the plan.
    #[must_use]
    pub fn traffic_number(&self, stream: u32) -> Option<usize> {
        let after = self.traffic.partition_point(|traffic| traffic.stream_base <= stream);
        let number = after.checked_sub(1)?;
        let traffic = self.traffic.get(number)?;
        (stream - traffic.stream_base < traffic.streams()).then_some(number)
    }
}
