//! Executes a [`Plan`]: admission by schedule, shards of clients on threads, faults on a timeline
//! through the control API and REST, graceful and hard stop; emits events.
//!
//! # Shape
//!
//! One dispatcher owns the run: it opens the target, lets faults happen at their instants, joins
//! the two sides of the ledger, and decides when each phase is over. The clients live on shards,
//! each an async body on some `LocalSet`, here with a thread and a runtime of its own. Dispatcher
//! and shards talk through bounded mailboxes only (`links`), so that both could share one thread.
//!
//! | file | what |
//! | --- | --- |
//! | `opening` | before load: requirements, clock difference, the hub's timeline and streams |
//! | `dispatcher` | the run's state, and the pump that takes in one thing after the other |
//! | `phases` | running, draining, leaving |
//! | `gather` | waiting for the hub's side, counters, the sum of everything |
//! | `layout`, `shard`, `fleet` | which client lives where; a shard's body and its clients |
//! | `admission`, `traffic` | a shard's loops: who arrives, what is due |
//! | `faults`, `rest_traffic`, `rest`, `hands` | what the engine itself does to the target |
//! | `streams`, `ledger`, `peak` | the hub's side, the join, how many were open at once |
//! | `upstream` | calls of event handlers, as the hub tells of them and counts them |
//! | `story` | the lines of the one client that is watched, from both sides |
//!
//! # Honest latency
//!
//! Planned instants follow from the plan alone. A loop that comes late hands over what has come due
//! with the instants it was planned for, and a sender that has to wait keeps them: lateness shows
//! as response time, never as a schedule that moved.

mod admission;
mod dispatcher;
mod faults;
mod fleet;
mod gather;
mod hands;
mod layout;
mod ledger;
mod links;
mod opening;
mod peak;
mod phases;
mod rest;
mod rest_traffic;
mod shard;
mod story;
mod streams;
mod traffic;
mod turns;
mod upstream;

use std::sync::Arc;

use tokio::sync::{mpsc, watch};

use crate::client::Credentials;
pub use crate::client::WatchedClient;
use crate::event::Event;
use crate::event::World;
use crate::measure::Summary;
use crate::net::{Clock, Connector};
use crate::scenario::Plan;
use crate::secret::Secret;

/// What is loaded.
#[derive(Clone, Debug)]
pub struct Target {
    /// Dials it.
    pub connector: Connector,
    /// How clients authenticate.
    pub credentials: Credentials,
    /// Signs REST and control calls; `None`: neither is possible.
    pub access_key: Option<Secret>,
    /// Whether it offers the control API.
    pub control: Control,
}

/// The scripted application server of a run, behind the hub's event handlers.
#[derive(Clone, Debug)]
pub struct ScriptedUpstream {
    /// Dials it.
    pub connector: Connector,
    /// Signs calls of its control API.
    pub key: Secret,
}

/// Whether a target offers the control API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Yes: settings, faults, the hub's side of the ledger.
    Offered,
    /// No, as a real resource.
    Absent,
}

/// How far a run shall be stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    /// Not at all.
    Run,
    /// Stop arrivals and traffic, drain within the grace period, gather, end.
    Drain,
    /// End at once.
    Now,
}

/// Where the shards of clients live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shards {
    /// On so many threads of their own, at least 1. The target is dialled over sockets.
    Threads(usize),
    /// One of them, on the thread of whoever runs the plan: the virtual world has no other.
    Here,
}

impl Shards {
    /// The world they make.
    #[must_use]
    pub const fn world(self) -> World {
        match self {
            Self::Threads(_) => World::Sockets,
            Self::Here => World::Virtual,
        }
    }

    /// How many there are.
    #[must_use]
    pub const fn count(self) -> usize {
        match self {
            Self::Threads(count) => count,
            Self::Here => 1,
        }
    }
}

/// What a run needs.
#[derive(Debug)]
pub struct RunInput {
    /// What to do.
    pub plan: Arc<Plan>,
    /// Against what.
    pub target: Target,
    /// The application server that the run brings along, if it does.
    pub upstream: Option<ScriptedUpstream>,
    /// The world's clock.
    pub clock: Clock,
    /// Where the shards of clients live.
    pub shards: Shards,
    /// Asks to stop.
    pub stop: watch::Receiver<Stop>,
    /// Takes the events; bounded. When it is full an event is lost, counted, and the run invalid.
    pub events: mpsc::Sender<Event>,
    /// Takes resource-log records of the hub, one JSON line each, where there is a control API.
    pub trace: mpsc::Sender<bytes::Bytes>,
    /// Whose story is told, in events of its own.
    pub watched: Option<WatchedClient>,
}

/// Why a run did not begin. (Once load has begun, what goes wrong is in the [`Summary`].)
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The target cannot be reached or refuses us (DNS, TLS, 401, 403, 404).
    #[error("cannot reach the target: {0}")]
    Unreachable(String),
    /// The target does not offer what the scenario requires.
    #[error("the target does not offer what the scenario requires: {0}")]
    Requirement(String),
    /// The user stopped it before load began.
    #[error("interrupted before load began")]
    Interrupted,
    /// A defect of Squall.
    #[error("internal error: {0}")]
    Internal(String),
}

/// Runs a plan to its end. Must be called inside a current-thread runtime and a `LocalSet`. Shards
/// on threads leave the dispatcher's tasks alone on a set of their own; those that live here share
/// the caller's with it, as they share its thread.
///
/// Ends by itself within the plan's duration plus its grace for draining, for leaving, and for
/// gathering; on [`Stop::Now`] within a second.
///
/// # Errors
///
/// Only before load begins, except for [`EngineError::Internal`].
pub async fn run(input: RunInput) -> Result<Summary, EngineError> {
    match input.shards {
        Shards::Threads(_) => tokio::task::LocalSet::new().run_until(phases::run(input)).await,
        Shards::Here => phases::run(input).await,
    }
}

#[cfg(test)]
mod testkit;
