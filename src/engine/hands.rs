//! What the dispatcher's tasks share: whoever acts on the target besides the clients.

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::links::ShardLinks;
use super::rest::{CallError, SignedCaller};
use super::{Control, Target};
use crate::measure::{LatencyKey, LatencyKind, LatencySet, Stage, StreamBook, TrafficCounts};
use crate::net::{Clock, Pacer};
use crate::scenario::Plan;
use crate::scenario::plan::Fault;

/// How long a REST or control call may take while nothing is frozen.
pub(super) const CALL_WITHIN: Duration = Duration::from_secs(10);

/// Outcomes that may wait for the dispatcher; their tasks wait for room.
pub(super) const OUTCOMES_MAX: usize = 64;

/// What a task of the dispatcher's has to say at its end.
#[derive(Debug)]
pub(super) enum Outcome {
    /// A fault was carried out, or failed to be.
    Fault {
        /// Its position in the plan.
        index: usize,
        /// When it was asked for.
        asked: Instant,
        /// Connections it was aimed at, where known; or why it could not be done.
        result: Result<Option<u64>, String>,
    },
    /// A traffic by REST has ended, by its own schedule or because it was told to.
    RestTraffic {
        /// Which.
        traffic: usize,
        /// Messages that the hub did not take.
        failed: u64,
    },
}

/// Shared by the dispatcher's tasks, which all live on its thread.
#[derive(Debug)]
pub(super) struct Hands {
    /// The plan.
    pub(super) plan: Arc<Plan>,
    /// The world's clock.
    pub(super) clock: Clock,
    /// Start of the timeline.
    pub(super) epoch: Instant,
    /// What is loaded.
    pub(super) target: Target,
    /// The thread's pacer.
    pub(super) pacer: Pacer,
    /// The shards.
    pub(super) shards: ShardLinks,
    /// Streams of the run.
    pub(super) book: Arc<StreamBook>,
    /// Latencies of REST calls.
    pub(super) latency: RefCell<LatencySet>,
    /// Messages sent by REST.
    pub(super) sent: RefCell<TrafficCounts>,
    /// Takes outcomes.
    pub(super) outcomes: mpsc::Sender<Outcome>,
}

impl Hands {
    /// A caller with a connection of its own.
    pub(super) fn caller(&self) -> Result<SignedCaller, CallError> {
        let within = call_within(&self.plan);
        let key = self.target.access_key.as_ref();
        SignedCaller::new(&self.target.connector, key, self.clock, within)
    }

    /// Whether the hub offers the control API.
    pub(super) const fn control(&self) -> Control {
        self.target.control
    }

    /// Records the time of a REST call that was answered now.
    pub(super) fn record_rest(&self, planned: Instant, started: Instant) {
        let now = Instant::now();
        self.record(LatencyKind::Rest, planned, now - planned, now - started);
    }

    /// Records how late a REST message of the traffic was sent.
    pub(super) fn record_lag(&self, planned: Instant, lag: Duration) {
        self.record(LatencyKind::SendLag, planned, lag, lag);
    }

    fn record(&self, kind: LatencyKind, planned: Instant, response: Duration, service: Duration) {
        let at = planned.saturating_duration_since(self.epoch);
        let stage = match self.plan.first_trouble() {
            Some(trouble) if at >= trouble => Stage::After,
            _ => Stage::Before,
        };
        let key = LatencyKey { kind, population: None, stage };
        self.latency.borrow_mut().record(key, response, service);
    }
}

/// How long a call may take: longer than any freeze of the plan, because a frozen hub answers once
/// it has thawed.
pub(super) fn call_within(plan: &Plan) -> Duration {
    CALL_WITHIN + longest_freeze(plan)
}

/// The longest freeze of a plan.
pub(super) fn longest_freeze(plan: &Plan) -> Duration {
    let freezes = plan.faults.iter().filter_map(|fault| match fault.fault {
        Fault::Freeze { lasting } => Some(lasting),
        _ => None,
    });
    freezes.max().unwrap_or_default()
}
