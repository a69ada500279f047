//! What the hub's tasks share. One thread, so `Rc` and cells, no locks.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::io::IoSlice;
use std::rc::{Rc, Weak};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use rand::Rng as _;
use rand_chacha::ChaCha8Rng;
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::ControlApi;
use super::close::{self, Cause};
use super::connection::{Connection, Identity, Mode, Serial};
use super::gate::Gate;
use super::keep_alive::KeepAlive;
use super::log::LineLog;
use super::queue::{FRAMES_PER_WRITE_MAX, FrameKind};
use super::runs::Runs;
use super::story::{self, Story};
use super::tables::Tables;
use super::tally::{self, Tally};
use super::throughput::Throughput;
use super::trace;
use super::webhook::Webhooks;
use crate::net::{Clock, Pacer};
use crate::pace;
use crate::protocol::control::Counters;
use crate::protocol::story::{HubStep, Watched};
use crate::protocol::subprotocol::ServerFrame;
use crate::protocol::token::AccessKeys;
use crate::protocol::{CloseCategory, Endpoint, HubSettings};
use crate::ws::Opcode;
use crate::ws::frame::server_frame;

/// Bytes read from a socket at once, into the thread's one buffer.
pub const SCRATCH_BYTES: usize = 64 * 1024;

/// How far the hub's end has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It serves.
    Serving,
    /// It takes nobody new and waits for those who are there.
    Draining,
    /// Whoever is still there is cut off.
    Killed,
}

/// What the hub's tasks share.
#[derive(Debug)]
pub struct Hub {
    pub clock: Clock,
    pub control: ControlApi,
    pub keys: AccessKeys,
    pub backlog: u32,
    pub pacer: Pacer,
    pub gate: Gate,
    pub scratch: RefCell<Box<[u8]>>,
    pub tables: RefCell<Tables>,
    /// Connections whose socket is not gone yet, ended ones included.
    pub sockets: RefCell<BTreeMap<Serial, Rc<Connection>>>,
    pub keep_alive: KeepAlive,
    pub tally: Tally,
    pub ledger: Rc<LineLog>,
    pub trace: Rc<LineLog>,
    pub story: Story,
    /// Counted up at every start of a timeline.
    pub timeline: Cell<u64>,
    pub phase: watch::Sender<Phase>,
    pub runs: Runs,
    pub webhooks: Webhooks,
    pub throughput: Throughput,
    this: Weak<Self>,
    start: Rc<HubSettings>,
    settings: RefCell<Rc<HubSettings>>,
    next_serial: Cell<Serial>,
    ids: RefCell<ConnectionIds>,
    /// Tasks of connections, HTTP ones included.
    alive: Cell<u64>,
    /// Told when the last websocket is gone, and when the last task is.
    fewer: Notify,
    background: RefCell<JoinSet<()>>,
}

impl Hub {
    /// A hub without connections.
    pub fn new(options: &super::HubOptions) -> Rc<Self> {
        let start = Rc::new(options.settings.clone());
        Rc::new_cyclic(|this| Self {
            clock: options.clock,
            control: options.control,
            keys: options.keys.clone(),
            backlog: options.listener.backlog(),
            pacer: Pacer::start(),
            gate: Gate::default(),
            scratch: RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice()),
            tables: RefCell::default(),
            sockets: RefCell::default(),
            keep_alive: KeepAlive::default(),
            tally: Tally::default(),
            ledger: Rc::default(),
            trace: Rc::default(),
            story: Story::default(),
            timeline: Cell::new(0),
            phase: watch::Sender::new(Phase::Serving),
            runs: Runs::new(options.notices.clone()),
            webhooks: Webhooks::new(options.dialling.clone(), options.deliveries.clone()),
            throughput: Throughput::default(),
            this: Weak::clone(this),
            settings: RefCell::new(Rc::clone(&start)),
            start,
            next_serial: Cell::new(0),
            ids: RefCell::new(ConnectionIds::new(options.seed)),
            alive: Cell::new(0),
            fewer: Notify::new(),
            background: RefCell::default(),
        })
    }

    /// Settings in force.
    pub fn settings(&self) -> Rc<HubSettings> {
        Rc::clone(&self.settings.borrow())
    }

    /// Replaces the settings. What a connection took over at its open stays.
    pub fn set_settings(&self, settings: HubSettings) {
        *self.settings.borrow_mut() = Rc::new(settings);
    }

    /// Returns to the settings of the start.
    pub fn return_to_start(&self) {
        *self.settings.borrow_mut() = Rc::clone(&self.start);
    }

    /// The hub as its tasks hold it; `None` only while it is made or unmade.
    pub fn shared(&self) -> Option<Rc<Self>> {
        self.this.upgrade()
    }

    /// Takes over a run's settings and starts every sum, ledger and trace at nothing.
    pub fn start_timeline(
        &self,
        run: String,
        settings: HubSettings,
        watched: Option<Watched>,
        upstream: Option<Endpoint>,
    ) {
        let event_handlers = settings.events.handlers.len();
        self.set_settings(settings);
        self.timeline.set(self.timeline.get() + 1);
        self.runs.begin(run, event_handlers, self.timeline.get());
        self.tally.restart();
        self.ledger.restart();
        self.trace.restart();
        self.story.restart(watched);
        self.webhooks.restart(upstream);
        self.throughput.restart();
    }

    /// Whether the tier has a place left.
    pub fn has_place(&self) -> bool {
        self.tally.open.get() < self.settings().connection_cap()
    }

    /// The id of a connection to come.
    pub fn next_connection_id(&self) -> Rc<str> {
        self.ids.borrow_mut().next().into()
    }

    /// A connection that has no place and is in no table: for those that end as they open.
    pub fn newcomer(&self, identity: Identity) -> Rc<Connection> {
        let serial = self.next_serial.replace(self.next_serial.get() + 1);
        let known = identity.dialogue.as_ref().map(|dialogue| Rc::clone(&dialogue.connection_id));
        let id = known.unwrap_or_else(|| self.next_connection_id());
        let keep_alive = self.settings().keep_alive;
        let timeline = self.timeline.get();
        let pings = self.story.watch(identity.attempt.as_ref());
        let connection =
            Connection::new(serial, id, identity, timeline, Instant::now(), keep_alive, pings);
        let connection = Rc::new(connection);
        self.sockets.borrow_mut().insert(serial, Rc::clone(&connection));
        story::tell(self, &connection, |_| HubStep::Opened);
        connection
    }

    /// Opens a connection: it takes its place, joins its token's groups and is told of it.
    pub fn open(&self, identity: Identity, groups: &[String]) -> Rc<Connection> {
        let connection = self.newcomer(identity);
        self.tally.count_open();
        self.keep_alive.insert(&connection);
        let mut tables = self.tables.borrow_mut();
        tables.insert(&connection);
        let max = self.settings().limits.groups_per_connection;
        for group in groups {
            // A token with more groups than that was refused.
            let _ = tables.join(&connection, group, max);
        }
        drop(tables);
        trace::started(self, &connection);
        if connection.mode == Mode::Json {
            let frame = ServerFrame::Connected {
                connection_id: connection.id.to_string(),
                user_id: connection.user_id.as_deref().map(str::to_owned),
            };
            self.send(&connection, server_frame(Opcode::Text, frame.print().as_bytes()));
        }
        connection
    }

    /// Queues a frame for one connection; one that has too much waiting then ends as SlowClient.
    pub fn send(&self, connection: &Rc<Connection>, frame: Bytes) {
        if connection.is_ended() {
            return;
        }
        self.enqueue(connection, frame, FrameKind::Other);
        self.end_if_slow(connection);
    }

    /// Ends a connection whose queue is past the limit, unless its socket takes enough at once: it
    /// is the client that is slow then, not this thread that had no time to write.
    pub fn end_if_slow(&self, connection: &Rc<Connection>) {
        let settings = self.settings();
        let is_past = || connection.queue.borrow().is_past(&settings.queue);
        if !is_past() {
            return;
        }
        self.write_now(connection);
        if is_past() {
            let cause = Cause::in_form(CloseCategory::SlowClient, &settings.drops.slow_client);
            close::end(self, connection, cause);
        }
    }

    /// Writes what the socket takes without waiting. (What fails, its pump learns by itself.)
    fn write_now(&self, connection: &Connection) {
        let mut stream = connection.stream.borrow_mut();
        let Some(stream) = stream.as_mut() else { return };
        loop {
            let queue = connection.queue.borrow();
            let mut slices = [IoSlice::new(&[]); FRAMES_PER_WRITE_MAX];
            let count = queue.slices(&mut slices);
            let outcome = stream.write_now(&slices[..count]);
            drop(queue);
            match outcome {
                Ok(written) if written > 0 => self.note_written(connection, written),
                _ => return,
            }
        }
    }

    /// The kernel has taken bytes from the front of a queue.
    pub fn note_written(&self, connection: &Connection, written: usize) {
        connection.queue.borrow_mut().advance(written);
        tally::take(&self.tally.queue_bytes, written as u64);
        tally::add(&connection.written_bytes, written as u64);
        story::tell(self, connection, |queue| HubStep::Written { bytes: written as u64, queue });
    }

    /// Puts a frame into a queue, whatever waits there.
    pub fn enqueue(&self, connection: &Connection, frame: Bytes, kind: FrameKind) {
        tally::add(&self.tally.queue_bytes, frame.len() as u64);
        let told = connection.open_pings.as_ref().map(|_| frame.clone());
        connection.enqueue(frame, kind);
        if let Some(frame) = told {
            story::queued(self, connection, &frame, kind);
        }
    }

    /// Throws away what waits in a queue.
    pub fn clear_queue(&self, connection: &Connection) {
        let mut queue = connection.queue.borrow_mut();
        tally::take(&self.tally.queue_bytes, queue.bytes());
        queue.clear();
    }

    /// Runs a task of the hub itself; it ends with the hub.
    pub fn spawn_background(&self, task: impl Future<Output = ()> + 'static) {
        let mut background = self.background.borrow_mut();
        while background.try_join_next().is_some() {}
        background.spawn_local(task);
    }

    /// Ends the hub's own tasks (which hold the hub).
    pub fn end_background(&self) {
        self.background.take();
    }

    /// Has every pump look again.
    pub fn wake_all(&self) {
        for connection in self.sockets.borrow().values() {
            connection.wake();
        }
    }

    /// Forgets a connection whose socket is gone.
    pub fn forget_socket(&self, connection: &Connection) {
        let mut sockets = self.sockets.borrow_mut();
        sockets.remove(&connection.serial);
        if sockets.is_empty() {
            self.fewer.notify_waiters();
        }
    }

    /// Waits until every websocket is gone.
    pub async fn sockets_gone(&self) {
        while !self.sockets.borrow().is_empty() {
            self.fewer.notified().await;
        }
    }

    /// Waits until no connection's task is left.
    pub async fn all_gone(&self) {
        while self.alive.get() > 0 {
            self.fewer.notified().await;
        }
    }

    /// Counters and gauges now.
    pub fn counters(&self) -> Counters {
        let tally = &self.tally;
        let cap = self.settings().connection_cap().max(1);
        Counters {
            connection_close_count: tally.closed.borrow().clone(),
            connection_open_count: tally.opened.get(),
            total_connection_count: tally.open.get(),
            connection_count_peak: tally.peak.get(),
            connection_quota_utilization: tally.open.get() * 100 / cap,
            inbound_traffic: tally.inbound.get(),
            outbound_traffic: tally.outbound.get(),
            client_request_status: tally.statuses.borrow().clone(),
            deliveries: tally.deliveries.get(),
            groups: self.tables.borrow().groups() as u64,
            queue_bytes: tally.queue_bytes.get(),
            tasks: tally.tasks.get(),
            entries_lost: self.ledger.lost() + self.trace.lost(),
            webhooks: self.webhooks.counters(),
            waiting: self.throughput.waiting(),
            throughput: self.throughput.counters(),
        }
    }
}

/// Counts a connection's task for as long as it lives.
#[derive(Debug)]
pub struct AliveGuard(Rc<Hub>);

impl AliveGuard {
    /// Counts one more.
    pub fn new(hub: &Rc<Hub>) -> Self {
        tally::add(&hub.alive, 1);
        Self(Rc::clone(hub))
    }
}

impl Drop for AliveGuard {
    fn drop(&mut self) {
        tally::take(&self.0.alive, 1);
        if self.0.alive.get() == 0 {
            self.0.fewer.notify_waiters();
        }
    }
}

/// Counts a websocket connection or a handshake for as long as it lives.
#[derive(Debug)]
pub struct TaskGuard(Rc<Hub>);

impl TaskGuard {
    /// Counts one more.
    pub fn new(hub: &Rc<Hub>) -> Self {
        tally::add(&hub.tally.tasks, 1);
        Self(Rc::clone(hub))
    }
}

impl Drop for TaskGuard {
    fn drop(&mut self) {
        tally::take(&self.0.tally.tasks, 1);
        self.0.webhooks.look_who_is_there(&self.0);
    }
}

/// Connection ids in the service's shape (service-side facts, 3.4): 22 URL-safe characters, then a
/// tail of nine that is the same for every connection of one hub.
#[derive(Debug)]
struct ConnectionIds {
    rng: ChaCha8Rng,
    tail: String,
}

impl ConnectionIds {
    fn new(seed: u64) -> Self {
        let mut rng = pace::stream(seed, "hub", 0, pace::Purpose::Ids);
        let tail = format!("{:09x}", rng.next_u64() >> 28);
        Self { rng, tail }
    }

    fn next(&mut self) -> String {
        let mut bytes = [0; 16];
        self.rng.fill_bytes(&mut bytes);
        URL_SAFE_NO_PAD.encode(bytes) + &self.tail
    }
}
