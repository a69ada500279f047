//! One virtual client: connect, subprotocol session, reconnect policy, and one file per behaviour.
//!
//! A client lives on its shard's thread. Its long-lived state is one [`VirtualClient`] and one
//! small task; handshakes are boxed and short-lived; reading goes through the shard's one scratch
//! buffer.
//!
//! | file | what |
//! | --- | --- |
//! | `life` | attempt after attempt until the client is done, and the row each attempt ends in |
//! | `open` | one attempt up to its open connection |
//! | `credentials` | where to, and with which token |
//! | `session` | one open connection: one poll over reading, writing, deadlines and orders |
//! | `talk` | what a frame that was read means |
//! | `outbox`, `publish` | what is sent |
//! | `reconnect` | when to come back |
//! | `story` | what is told of the client that is watched |
//! | `behaviour` | what the client does or fails to do |

pub mod behaviour;
pub mod reconnect;

mod credentials;
mod life;
mod open;
mod outbox;
mod publish;
mod session;
mod story;
mod talk;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Waker};
use std::time::Duration;

use tokio::time::Instant;

use crate::event::ClientEnd;
use crate::measure::{LatencyKey, LatencyKind, LatencySet, Stage, StreamBook, TrafficCounts};
use crate::net::{Clock, Connector, Pacer};
use crate::protocol::stamp::Stamp;
use crate::protocol::subprotocol::AckFailure;
use crate::scenario::Plan;
use crate::scenario::plan::{Destination, GroupIndex, HANDSHAKE_MAX, Population, Reply, Traffic};
use crate::secret::Secret;

pub use credentials::claims;
use publish::{Published, Publisher};
use session::Session;
pub use story::{ClientStoryLine, Story, WatchedClient};

/// Largest number of connects and handshakes under way at once, over all shards. It keeps listen
/// backlogs short. A handshake that waits for longer than `HANDSHAKE_COUNTS_FOR` counts no more:
/// it is long out of the backlog, and a slow event handler behind the hub must not slow a storm.
pub const CONNECTS_IN_FLIGHT_MAX: usize = 64;

/// How long a handshake counts as under way, at most.
const HANDSHAKE_COUNTS_FOR: Duration = Duration::from_millis(100);

/// How long the steps of an attempt may take.
#[derive(Clone, Copy, Debug)]
struct Limits {
    /// The TCP connect and the TLS handshake.
    connect: Duration,
    /// The upgrade; and again, for JSON clients, the wait for the `connected` frame.
    handshake: Duration,
    /// Handing over the answer to the hub's close frame.
    parting: Duration,
}

/// Limits of every run.
const LIMITS: Limits = Limits {
    connect: Duration::from_secs(10),
    handshake: HANDSHAKE_MAX,
    parting: Duration::from_secs(1),
};

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
    /// Messages of every traffic, sent and received on this thread.
    pub traffic: RefCell<TrafficCounts>,
    /// Counts of this thread.
    pub counts: ShardCounts,
    /// Takes the ends of attempts; never blocks.
    pub ends: EndSink,
    /// The story of the watched client, when it lives here.
    pub story: Option<Rc<Story>>,
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
    pub acks_failed: RefCell<Vec<BTreeMap<AckFailure, u64>>>,
    /// Publishes refused because the outbox was full or the client was not connected, per
    /// population.
    pub not_sent: RefCell<Vec<u64>>,
    /// Messages sent and not yet acknowledged.
    pub unacknowledged: Cell<u64>,
    /// Messages that wait for `in_flight`.
    pub waiting: Cell<u64>,
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

impl EndSink {
    /// Hands one end over, or counts it as lost.
    fn put(&self, end: ClientEnd) {
        if self.queue.try_send(end).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Who a client is, and what it shares.
#[derive(Debug)]
struct Identity {
    shard: Rc<Shard>,
    population: u16,
    index: u32,
    /// From when on latencies count as after the first trouble; nanoseconds since the epoch.
    trouble_ns: u64,
    limits: &'static Limits,
    /// There when this client is watched.
    story: Option<Rc<Story>>,
}

impl Identity {
    fn population(&self) -> &Population {
        &self.shard.plan.populations[usize::from(self.population)]
    }

    /// An instant in nanoseconds since the run's epoch; earlier ones are 0.
    fn ns(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.shard.epoch).as_nanos()).unwrap_or(u64::MAX)
    }

    /// From one time of the run to a later one.
    const fn since_ns(now_ns: u64, then_ns: u64) -> Duration {
        Duration::from_nanos(now_ns.saturating_sub(then_ns))
    }

    /// Numbers of the streams a group's member receives: of every sender to it, but for its own
    /// where the hub sends nothing back.
    fn streams_to(&self, group: GroupIndex) -> Vec<u32> {
        let is_to = |traffic: &Traffic| match &traffic.to {
            Destination::Group(to) => *to == group,
            Destination::Rooms(rooms) => {
                self.population().rooms.contains(rooms) && rooms.of(self.index) == group
            }
            Destination::Users { .. } | Destination::Everybody | Destination::Event { .. } => false,
        };
        self.streams_of(is_to)
    }

    /// Numbers of the streams that reach the client by REST in no group.
    fn streams_by_rest(&self) -> Vec<u32> {
        self.streams_of(|traffic| match &traffic.to {
            Destination::Users { of, .. } => *of == self.population().name,
            Destination::Everybody => true,
            Destination::Group(_) | Destination::Rooms(_) | Destination::Event { .. } => false,
        })
    }

    fn streams_of(&self, is_meant: impl Fn(&Traffic) -> bool) -> Vec<u32> {
        let traffic = self.shard.plan.traffic.iter().filter(|traffic| is_meant(traffic));
        traffic
            .flat_map(|traffic| {
                let own =
                    traffic.from.position(self.population, self.index).filter(|_| traffic.no_echo);
                let positions = traffic.positions_to(self.index);
                let others = positions.filter(move |position| Some(*position) != own);
                others.map(|position| traffic.stream_base + position)
            })
            .collect()
    }

    /// Numbers of the client's own streams of events that are to come back to it.
    fn streams_echoed(&self) -> impl Iterator<Item = u32> {
        let traffic = self.shard.plan.traffic.iter().filter(|traffic| traffic.demands_replies());
        traffic.filter_map(|traffic| {
            let own = traffic.from.position(self.population, self.index)?;
            Some(traffic.stream_base + own)
        })
    }

    /// What a message of a stream is to this client.
    fn kind_of(&self, stream: u32) -> StreamKind {
        let Some(traffic) = self.shard.plan.traffic_of(stream) else {
            return StreamKind::Group;
        };
        let own = traffic.from.position(self.population, self.index);
        let is_own = own.is_some_and(|own| traffic.stream_base + own == stream);
        match &traffic.to {
            Destination::Event { reply: Reply::Echo, .. } if is_own => StreamKind::EchoDemanded,
            Destination::Event { reply: Reply::Any, .. } if is_own => StreamKind::Echo,
            Destination::Event { .. }
            | Destination::Group(_)
            | Destination::Rooms(_)
            | Destination::Users { .. }
            | Destination::Everybody => StreamKind::Group,
        }
    }

    /// Records a latency that ended at `now_ns`.
    fn record(&self, kind: LatencyKind, now_ns: u64, response: Duration, service: Duration) {
        let stage = if now_ns < self.trouble_ns { Stage::Before } else { Stage::After };
        let key = LatencyKey { kind, population: Some(self.population), stage };
        self.shard.latency.borrow_mut().record(key, response, service);
    }

    /// Notes that a message arrived, if it is one of this run.
    fn note_received(&self, stamp: &Stamp, now_ns: u64) {
        if let Some(traffic) = self.shard.plan.traffic_number(stamp.stream)
            && stamp.sent_ns <= now_ns
        {
            self.shard.traffic.borrow_mut().received(traffic, stamp.sent_ns);
        }
    }

    fn note_not_sent(&self, count: u64) {
        add_at(&mut self.shard.counts.not_sent.borrow_mut(), self.population, count);
    }

    fn note_ack_failed(&self, failure: AckFailure) {
        let mut counts = self.shard.counts.acks_failed.borrow_mut();
        let at = usize::from(self.population);
        if counts.len() <= at {
            counts.resize_with(at + 1, BTreeMap::new);
        }
        *counts[at].entry(failure).or_insert(0) += 1;
    }
}

/// What a stamped message is to the client that reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum StreamKind {
    /// A publish to a group.
    Group,
    /// An event of its own, sent back.
    Echo,
    /// The same, and it has to come.
    EchoDemanded,
}

/// Adds to a count per population; the counts grow to the populations that have one.
fn add_at(counts: &mut Vec<u64>, population: u16, count: u64) {
    let at = usize::from(population);
    if count > 0 && counts.len() <= at {
        counts.resize(at + 1, 0);
    }
    if count > 0 {
        counts[at] += count;
    }
}

/// Adds one to a count.
fn increment(count: &Cell<u64>) {
    count.set(count.get() + 1);
}

/// Takes one from a count.
fn decrement(count: &Cell<u64>) {
    count.set(count.get().saturating_sub(1));
}

/// What a client was told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Order {
    /// To live on.
    Stay,
    /// To leave in order.
    Leave,
    /// To end at once.
    Kill,
}

/// One virtual client.
#[derive(Debug)]
pub struct VirtualClient {
    me: Identity,
    state: Cell<State>,
    order: Cell<Order>,
    /// Wakes the client's task.
    waker: RefCell<Option<Waker>>,
    /// The open connection.
    session: RefCell<Option<Box<Session>>>,
    /// Of clients that send.
    publisher: RefCell<Option<Box<Publisher>>>,
    /// The token of a client that uses one for all its attempts.
    once: RefCell<Option<Secret>>,
    /// Whether it was open again after a drop.
    recovered: Cell<bool>,
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
        Self::limited(shard, population, index, &LIMITS)
    }

    fn limited(shard: Rc<Shard>, population: u16, index: u32, limits: &'static Limits) -> Rc<Self> {
        let trouble = shard.plan.first_trouble();
        let trouble_ns =
            trouble.map_or(u64::MAX, |at| u64::try_from(at.as_nanos()).unwrap_or(u64::MAX));
        let story = shard.story.clone().filter(|story| story.is_of(population, index));
        Rc::new(Self {
            me: Identity { shard, population, index, trouble_ns, limits, story },
            state: Cell::new(State::Waiting),
            order: Cell::new(Order::Stay),
            waker: RefCell::default(),
            session: RefCell::default(),
            publisher: RefCell::default(),
            once: RefCell::default(),
            recovered: Cell::new(false),
        })
    }

    /// Lives the client's life: attempts, sessions, reconnects, until it is done for good.
    /// `planned` is its arrival's planned instant. Every attempt ends in exactly one [`ClientEnd`]
    /// into the shard's sink; an attempt begins when it is its turn to dial.
    pub async fn run(self: Rc<Self>, planned: Instant) {
        life::live(&self, planned).await;
    }

    /// What it is doing.
    #[must_use]
    pub fn state(&self) -> State {
        self.state.get()
    }

    /// Its connection id, while open and where the subprotocol tells it.
    #[must_use]
    pub fn connection_id(&self) -> Option<String> {
        self.session.borrow().as_ref().and_then(|session| session.connection_id())
    }

    /// A message of the plan's traffic is due: sends it now, or when `in_flight` allows it. A
    /// client that is not connected, or does not send this traffic, counts it as not sent.
    ///
    /// The lag between `planned` and this call goes into the `SendLag` series; the wait for
    /// `in_flight` is the hub's doing, and part of the response time instead.
    pub fn publish(&self, traffic: usize, planned: Instant) {
        let mut session = self.session.borrow_mut();
        let Some(session) = session.as_mut().filter(|session| session.takes_publishes()) else {
            self.me.note_not_sent(1);
            return;
        };
        let now = Instant::now();
        let lag = now.saturating_duration_since(planned);
        self.me.record(LatencyKind::SendLag, self.me.ns(now), lag, Duration::ZERO);
        let mut publisher = self.publisher.borrow_mut();
        let publisher = publisher.get_or_insert_default();
        match publisher.publish(&self.me, &mut session.line(), traffic, planned) {
            Published::Waits => {}
            Published::Refused => self.me.note_not_sent(1),
            Published::Sent => {
                if session.write_now(&self.me, publisher) {
                    self.wake();
                }
            }
        }
    }

    /// Leaves: close handshake (1000) when open, no further attempts. A client that is connecting
    /// leaves once it is open. A stalled or vanished client that cannot shake hands is reset after
    /// the plan's grace.
    pub fn leave(&self) {
        self.give_order(Order::Leave);
    }

    /// Ends at once, whatever it is doing: the connection is reset, no further attempts.
    pub fn kill(&self) {
        self.give_order(Order::Kill);
    }

    /// The engine asked the application server to close this client's connection now (for
    /// [`crate::measure::LatencyKind::RestClose`]).
    pub fn note_rest_close(&self, at: Instant) {
        if let Some(session) = self.session.borrow_mut().as_mut() {
            session.note_rest_close(at);
        }
    }

    /// A later order never weakens an earlier one.
    fn give_order(&self, order: Order) {
        self.order.set(self.order.get().max(order));
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }

    /// Keeps the task's waker for orders and for publishes that the socket did not take whole.
    fn listen(&self, cx: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if waker.as_ref().is_none_or(|waker| !waker.will_wake(cx.waker())) {
            *waker = Some(cx.waker().clone());
        }
    }
}
