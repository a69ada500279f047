//! One virtual client: connect, subprotocol session, reconnect policy, and one file per behaviour.
//!
//! A client lives on its shard's thread. Its long-lived state is one [`VirtualClient`] and one small
//! task; handshakes are boxed and short-lived; reading goes through the shard's one scratch buffer.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use tokio::time::Instant;

use crate::event::ClientEnd;
use crate::measure::{LatencySet, StreamBook};
use crate::net::{Clock, Connector, Pacer};
use crate::protocol::token::Claims;
use crate::scenario::Plan;
use crate::secret::Secret;

/// Largest number of connects and handshakes under way at once, over all shards.
pub const CONNECTS_IN_FLIGHT_MAX: usize = 64;

/// Bytes a client may hold for sending before a publish is refused and counted.
pub const OUTBOX_BYTES_MAX: usize = 1024 * 1024;

/// How clients authenticate.
#[derive(Clone, Debug)]
pub enum Credentials {
    /// Tokens are minted with the access key.
    Key(Secret),
    /// A fixed client URL: its path and query, with whatever token stands in it.
    FixedUrl(Secret),
}

/// What every client of a shard shares. Belongs to the shard's thread.
#[derive(Debug)]
pub struct Shard {
    /// The plan.
    pub plan: Arc<Plan>,
    /// The world's clock.
    pub clock: Clock,
    /// Start of the timeline.
    pub epoch: Instant,
    /// Dials the hub.
    pub connector: Connector,
    /// How clients authenticate.
    pub credentials: Credentials,
    /// Streams of the run.
    pub book: Arc<StreamBook>,
    /// The thread's pacer.
    pub pacer: Pacer,
    /// Permits for connects and handshakes under way.
    pub connects: Rc<tokio::sync::Semaphore>,
    /// Latencies measured on this thread.
    pub latency: RefCell<LatencySet>,
    /// Counts of this thread.
    pub counts: ShardCounts,
    /// Takes the ends of attempts; never blocks.
    pub ends: EndSink,
    /// The thread's buffer for reading.
    pub scratch: RefCell<Box<[u8]>>,
}

/// Counts of a shard, for progress and health.
#[derive(Debug, Default)]
pub struct ShardCounts {
    /// Attempts begun.
    pub attempts: Cell<u64>,
    /// Connections open now.
    pub open: Cell<u64>,
    /// Connections opened so far, per population.
    pub opens: RefCell<Vec<u64>>,
    /// Clients that were dropped at least once and have been open again so far, per population.
    pub recovered: RefCell<Vec<u64>>,
    /// Messages received (acknowledgements and system frames are not messages).
    pub received: Cell<u64>,
    /// Messages published.
    pub published: Cell<u64>,
    /// Acknowledgements that failed, per population.
    pub acks_failed: RefCell<Vec<u64>>,
    /// Publishes refused because the outbox was full or the client was not connected, per population.
    pub not_sent: RefCell<Vec<u64>>,
    /// Messages sent and not yet acknowledged.
    pub unacknowledged: Cell<u64>,
    /// Client tasks alive.
    pub tasks: Cell<u64>,
}

/// Takes the ends of attempts off the shard's thread.
#[derive(Clone, Debug)]
pub struct EndSink {
    /// Bounded queue to the dispatcher.
    pub queue: tokio::sync::mpsc::Sender<ClientEnd>,
    /// Ends lost because the queue was full; a run that sees one is invalid.
    pub lost: Arc<std::sync::atomic::AtomicU64>,
}

/// One virtual client.
#[derive(Debug)]
pub struct VirtualClient {
    shard: Rc<Shard>,
    population: u16,
    index: u32,
}

/// What a client is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not begun.
    Waiting,
    /// Between the start of an attempt and its open.
    Connecting,
    /// Open.
    Open,
    /// Waiting for its next attempt.
    Reconnecting,
    /// Done for good.
    Finished,
}

impl VirtualClient {
    /// A client that has not begun.
    #[must_use]
    pub fn new(shard: Rc<Shard>, population: u16, index: u32) -> Rc<Self> {
        Rc::new(Self { shard, population, index })
    }

    /// Lives the client's life: attempts, sessions, reconnects, until it is done for good. `planned`
    /// is its arrival's planned instant. Every attempt ends in exactly one [`ClientEnd`] into the
    /// shard's sink.
    pub async fn run(self: Rc<Self>, _planned: Instant) {
        let _ = (&self.shard, self.population, self.index);
        unimplemented!()
    }

    /// What it is doing.
    #[must_use]
    pub fn state(&self) -> State {
        unimplemented!()
    }

    /// Its connection id, while open and where the subprotocol tells it.
    #[must_use]
    pub fn connection_id(&self) -> Option<String> {
        unimplemented!()
    }

    /// A message of the plan's traffic is due: sends it now, or when `in_flight` allows it. A client
    /// that is not connected counts it as not sent.
    pub fn publish(&self, _traffic: usize, _planned: Instant) {
        unimplemented!()
    }

    /// Messages of it that wait for `in_flight`.
    #[must_use]
    pub fn backlog(&self) -> usize {
        unimplemented!()
    }

    /// Leaves: close handshake (1000) when open, no further attempts. A stalled or vanished client
    /// that cannot shake hands is reset after the plan's grace.
    pub fn leave(&self) {
        unimplemented!()
    }

    /// Ends at once, whatever it is doing: the connection is reset, no further attempts.
    pub fn kill(&self) {
        unimplemented!()
    }

    /// The engine asked the application server to close this client's connection now (for
    /// [`crate::measure::LatencyKind::RestClose`]).
    pub fn note_rest_close(&self, _at: Instant) {
        unimplemented!()
    }
}

/// Claims of a client's token: user id, the roles its groups and traffic need, audience, lifetime.
/// Simple clients get their groups by the token, JSON clients join by frames.
#[must_use]
pub fn claims(_plan: &Plan, _population: u16, _index: u32, _audience: String, _now_s: u64) -> Claims {
    unimplemented!()
}
