//! What the plan should produce: reason and time per population, cost in descriptors, ports, memory
//! and messages.
//!
//! | file | what |
//! | --- | --- |
//! | `need` | what a run costs this process and the target |
//! | `budget` | whether the process may have that much, and what to do when not |
//! | `kernel` | what the kernel swallows of a reader that does not read |
//! | `flow` | what the traffic brings each population, and when a queue is full |
//! | `behaviour` | what a misbehaviour leads to: the race of SlowClient and PingTimeout |
//! | `link` | what shaping leads to by itself |
//! | `fault` | whom the faults of the timeline drop |
//! | `cap` | who is refused when more arrive than the tier allows |
//! | `handler` | what the event handler of `connect` does to everybody |
//! | `forecast` | all of that, per population |
//! | `conflict` | expectations that contradict the forecast |
//! | `world` | what only the virtual world can do, and what it rounds |
//! | `words` | how numbers read |

mod behaviour;
mod budget;
mod cap;
mod conflict;
mod fault;
mod flow;
mod forecast;
mod handler;
mod idle;
mod kernel;
mod link;
mod need;
mod rate;
pub(crate) mod words;
mod world;

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use budget::{Bound, BudgetProblem, Limits, budget_problem, clients_max};
pub use conflict::{Conflict, ConflictKind, asks_a_handler, conflicts};
pub use fault::addressed;
pub use forecast::{Forecast, forecasts, last_arrival};
pub use handler::{HandlerForecast, HandlerLoad, Refusal, handler, handler_load};
pub use idle::idle_rules;
pub use kernel::absorption;
pub use need::need;
pub use world::{OnlySockets, OnlyVirtual, Rounded, only_sockets, only_virtual, rounded};

use crate::protocol::CloseCategory;
use crate::scenario::Plan;

/// Whether the hub runs in this process (its descriptors count too).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HubPlace {
    /// In this process.
    Embedded,
    /// Elsewhere.
    Elsewhere,
    /// Beside the clients in a virtual world: links in memory, no descriptors, no ports.
    InMemory,
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
    /// Memory that stalled clients can pin, in bytes: the kernel's, or that of links in memory.
    pub kernel_bytes: u64,
    /// Memory of this process for clients, hub and links, in bytes; told for a virtual world only.
    pub memory_bytes: Option<u64>,
    /// Connects per second, at most, over any second.
    pub connects_per_second: u64,
    /// Connections opened over the whole duration by arrival and by churn, at most; what comes back
    /// from drops is not among them.
    pub opens: u64,
    /// Messages published over the whole duration.
    pub messages_in: u64,
    /// Deliveries over the whole duration.
    pub messages_out: u64,
    /// Outbound traffic in messages of 2 KiB, as the service bills.
    pub billed_messages: u64,
    /// User events to event handlers over the whole duration, repeated ones not among them.
    pub user_events: u64,
    /// User events to event handlers per second, at most.
    pub user_events_per_second: u64,
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
        /// The other; Normal when it may as well not be dropped at all.
        second: CloseCategory,
    },
    /// The event handler has each of its attempts refused.
    Refused(Refusal),
    /// Its client ends it without a close handshake.
    Vanishes,
    /// A middlebox cuts its link this long after it opened, again whenever it is back.
    Cut {
        /// Not before.
        from: Duration,
        /// Not after.
        to: Duration,
    },
}

/// Predicts each population's fate, in plan order, by the formulas of the slow/ping race. A
/// population of which only some are dropped has the fate of those; [`forecasts`] says how many.
#[must_use]
pub fn fates(plan: &Plan) -> Vec<Fate> {
    forecasts(plan).into_iter().map(|forecast| forecast.fate).collect()
}
