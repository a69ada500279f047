//! What the plan should produce: reason and time per population, cost in descriptors, ports, memory
//! and messages.

use std::time::Duration;

use crate::protocol::CloseCategory;
use crate::scenario::Plan;

/// Whether the hub runs in this process (its descriptors count too).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HubPlace {
    /// In this process.
    Embedded,
    /// Elsewhere.
    Elsewhere,
}

/// What a run needs of this process and of the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// Connections open at once, at most.
    pub connections_peak: u64,
    /// Descriptors of this process, at most, with a reserve for files and control connections.
    pub descriptors: u64,
    /// Ports towards the target.
    pub ports: u64,
    /// Kernel memory that stalled clients can pin, in bytes.
    pub kernel_bytes: u64,
    /// Connects per second, at most, over any second.
    pub connects_per_second: u64,
    /// Messages published over the whole duration.
    pub messages_in: u64,
    /// Deliveries over the whole duration.
    pub messages_out: u64,
    /// Outbound traffic in messages of 2 KiB, as the service bills.
    pub billed_messages: u64,
}

/// How a population is predicted to end.
#[derive(Clone, Debug, PartialEq)]
pub enum Fate {
    /// Leaves in order.
    Leaves,
    /// Is dropped for this reason, this long after its misbehaviour or a fault began.
    Dropped {
        /// Reason.
        category: CloseCategory,
        /// Not before.
        from: Duration,
        /// Not after.
        to: Duration,
    },
    /// Two causes race; the scenario's expectation is a guess.
    Ambiguous {
        /// One.
        first: CloseCategory,
        /// The other.
        second: CloseCategory,
    },
    /// Its client ends it without a close handshake.
    Vanishes,
}

/// Computes the need of a plan.
#[must_use]
pub fn need(_plan: &Plan, _hub: HubPlace) -> Need {
    unimplemented!()
}

/// Predicts each population's fate, in plan order, by the formulas of the slow/ping race.
#[must_use]
pub fn fates(_plan: &Plan) -> Vec<Fate> {
    unimplemented!()
}
