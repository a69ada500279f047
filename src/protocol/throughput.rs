//! How much a hub can do per second: an optional model of a unit, off unless settings have it.
//!
//! Microsoft publishes the highest throughput per pattern at which 99 % of messages took less than
//! a second (performance guide; service-side facts, 4.7) and calls it no hard limit. What happens
//! past it is not published. The model here is Squall's own: the hub is one server that takes
//! messages one after the other. A pattern keeps it as busy as the fullest of its four measures
//! (messages and bytes, in and out) says, and what several patterns ask of it adds up. A message
//! goes out when the server is done with it, all its copies at once: below the limit after the time
//! that it takes by itself. Past the limit messages wait longer and longer, and nothing else
//! happens.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How messages go through a hub, as the performance guide tells them apart.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Pattern {
    /// Clients and REST to groups with many members.
    BigGroup,
    /// Clients and REST to groups with few members.
    SmallGroup,
    /// User events whose handler answers.
    Echo,
    /// REST to one user or one connection.
    RestToUser,
    /// REST to everybody.
    RestBroadcast,
}

impl Pattern {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::BigGroup, Self::SmallGroup, Self::Echo, Self::RestToUser, Self::RestBroadcast];

    /// Its name in files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BigGroup => "big_group",
            Self::SmallGroup => "small_group",
            Self::Echo => "echo",
            Self::RestToUser => "rest_to_user",
            Self::RestBroadcast => "rest_broadcast",
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BigGroup => "big groups",
            Self::SmallGroup => "small groups",
            Self::Echo => "upstream echo",
            Self::RestToUser => "REST to user",
            Self::RestBroadcast => "REST broadcast",
        })
    }
}

/// What goes through in a second, at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    /// Messages; outbound ones count once per receiver.
    pub messages: u64,
    /// Bytes of payload, at least [`THROUGHPUT_BYTES_MIN`] for each; outbound ones count once per
    /// receiver.
    pub bytes: u64,
}

/// How many nanoseconds so many things take at so many a second.
fn at_rate(things: u64, per_second: u64) -> u64 {
    let whole = u128::from(things) * 1_000_000_000 / u128::from(per_second.max(1));
    u64::try_from(whole).unwrap_or(u64::MAX)
}

/// What a hub can do of one pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatternLimits {
    /// From clients and REST.
    pub inbound: Flow,
    /// To clients.
    pub outbound: Flow,
}

/// Bytes that a message of less counts as (performance guide; service-side facts, 4.7).
pub const THROUGHPUT_BYTES_MIN: u64 = 1_024;

impl PatternLimits {
    /// How long a message keeps a hub busy by each measure.
    #[must_use]
    pub fn busy(&self, copies: u64, payload_bytes: u64) -> Busy {
        let payload_bytes = payload_bytes.max(THROUGHPUT_BYTES_MIN);
        let copied = copies.saturating_mul(payload_bytes);
        Busy {
            messages_in_ns: at_rate(1, self.inbound.messages),
            bytes_in_ns: at_rate(payload_bytes, self.inbound.bytes),
            messages_out_ns: at_rate(copies, self.outbound.messages),
            bytes_out_ns: at_rate(copied, self.outbound.bytes),
        }
    }
}

/// How long a pattern keeps a hub busy, by each measure alone, in nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Busy {
    /// Messages in.
    pub messages_in_ns: u64,
    /// Bytes in.
    pub bytes_in_ns: u64,
    /// Messages out.
    pub messages_out_ns: u64,
    /// Bytes out.
    pub bytes_out_ns: u64,
}

impl Busy {
    /// By the fullest measure.
    #[must_use]
    pub fn fullest(&self) -> Duration {
        let inbound = self.messages_in_ns.max(self.bytes_in_ns);
        Duration::from_nanos(inbound.max(self.messages_out_ns).max(self.bytes_out_ns))
    }
}

impl Busy {
    /// So much less by each measure, down to nothing.
    pub const fn pass(&mut self, ns: u64) {
        self.messages_in_ns = self.messages_in_ns.saturating_sub(ns);
        self.bytes_in_ns = self.bytes_in_ns.saturating_sub(ns);
        self.messages_out_ns = self.messages_out_ns.saturating_sub(ns);
        self.bytes_out_ns = self.bytes_out_ns.saturating_sub(ns);
    }
}

impl std::ops::AddAssign for Busy {
    fn add_assign(&mut self, more: Self) {
        self.messages_in_ns = self.messages_in_ns.saturating_add(more.messages_in_ns);
        self.bytes_in_ns = self.bytes_in_ns.saturating_add(more.bytes_in_ns);
        self.messages_out_ns = self.messages_out_ns.saturating_add(more.messages_out_ns);
        self.bytes_out_ns = self.bytes_out_ns.saturating_add(more.bytes_out_ns);
    }
}

/// New connections: a token bucket. (For SignalR a Microsoft engineer has given figures per unit
/// count, service-side facts, 4.3; Web PubSub's are not published.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConnectRate {
    /// Per second.
    pub per_second: u32,
    /// At once after a pause.
    pub burst: u32,
}

/// What a hub can do per second.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Throughput {
    /// New connections; further ones are refused with 429 (unconfirmed). `None` is any number.
    pub connects: Option<ConnectRate>,
    /// Patterns that have limits.
    pub patterns: BTreeMap<Pattern, PatternLimits>,
    /// A group with fewer members than this is small.
    pub small_below: u32,
    /// Messages that the hub is not done with, at most; further ones are refused.
    pub waiting: u32,
}

impl Throughput {
    /// Groups with fewer members are small: the guide's small groups have 10, and its text calls
    /// the routing cost of groups below 20 high.
    pub const SMALL_BELOW: u32 = 20;
    /// Default of [`waiting`](Self::waiting); Squall's own.
    pub const WAITING: u32 = 100_000;
}

impl Default for Throughput {
    fn default() -> Self {
        Self {
            connects: None,
            patterns: BTreeMap::new(),
            small_below: Self::SMALL_BELOW,
            waiting: Self::WAITING,
        }
    }
}

/// What a hub with a [`Throughput`] saw of one pattern since the start of its timeline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PatternCounters {
    /// Messages that came.
    pub messages: u64,
    /// Copies of them for receivers.
    pub deliveries: u64,
    /// Messages that had to wait for their turn.
    pub waited: u64,
    /// The longest wait, in microseconds.
    pub longest_wait_us: u64,
    /// Messages refused since too many waited.
    pub refused: u64,
    /// How long they kept the hub busy.
    pub busy: Busy,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scarcer_of_count_and_bytes_decides_how_long_a_message_takes() {
        let inbound = Flow { messages: 30, bytes: 60_000 };
        let outbound = Flow { messages: 3_000, bytes: 6_000_000 };
        let limits = PatternLimits { inbound, outbound };
        let ms = |copies, bytes| limits.busy(copies, bytes).fullest().as_millis();
        assert_eq!((ms(3_000, 100), ms(3_000, 2_000), ms(3_000, 4_000)), (1_000, 1_000, 2_000));
        assert_eq!((ms(0, 100), ms(0, 6_000)), (33, 100));
        assert_eq!(limits.busy(1, 100), limits.busy(1, THROUGHPUT_BYTES_MIN));
    }
}
