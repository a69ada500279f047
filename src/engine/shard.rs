//! The body of a shard: its share of the clients, and the loops that let them in and make them
//! send.
//!
//! The body is an async function on some `LocalSet`; it does not know whether it has a thread of
//! its own. [`spawn`] gives it one, [`spawn_here`] does not.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures::future::{AbortHandle, abortable};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::admission::Arrivals;
use super::fleet::Fleet;
use super::layout::Layout;
use super::links::{Command, Report, ShardEnd, ShardPhase, ShardState};
use super::traffic::{self, Sends};
use crate::client::{
    CONNECTS_IN_FLIGHT_MAX, ClientStoryLine, Credentials, EndSink, Shard, ShardCounts, Story,
    VirtualClient, WatchedClient,
};
use crate::measure::{LatencySet, LiveCounts, StreamBook};
use crate::net::{Clock, Connector, Dialler, Pacer};
use crate::scenario::Plan;

/// Bytes of a shard's buffer for reading, shared by its clients.
const SCRATCH_BYTES: usize = 64 * 1024;

/// Between two reports of a shard's state.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// Between two looks at first attempts and acknowledgements that are under way, while the run waits
/// for them.
pub(super) const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Clients of one shard that leave at once, every [`LOOK_EVERY`].
pub(super) const LEAVE_BATCH: usize = 256;

/// What a shard needs. Everything may change threads.
#[derive(Debug)]
pub(super) struct ShardSetup {
    /// The plan.
    pub(super) plan: Arc<Plan>,
    /// Which of its clients are here.
    pub(super) layout: Layout,
    /// The shard's number.
    pub(super) shard: usize,
    /// The world's clock.
    pub(super) clock: Clock,
    /// Start of the timeline.
    pub(super) epoch: Instant,
    /// How clients authenticate.
    pub(super) credentials: Credentials,
    /// Streams of the run.
    pub(super) book: Arc<StreamBook>,
    /// Takes the ends of attempts.
    pub(super) ends: EndSink,
    /// Who is watched, and where the story goes.
    pub(super) story: Option<(WatchedClient, mpsc::Sender<ClientStoryLine>)>,
    /// What it is told.
    pub(super) commands: mpsc::Receiver<Command>,
    /// What it says.
    pub(super) reports: mpsc::Sender<Report>,
}

/// Runs a shard on a thread of its own, with a runtime of its own.
pub(super) fn spawn(
    setup: ShardSetup,
    dialler: Dialler,
) -> std::io::Result<std::thread::JoinHandle<()>> {
    let name = format!("squall-shard-{}", setup.shard);
    std::thread::Builder::new().name(name).spawn(move || {
        let mut farewell = Farewell {
            shard: setup.shard,
            reports: setup.reports.clone(),
            why: Some("its thread panicked".to_owned()),
        };
        match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => {
                tokio::task::LocalSet::new().block_on(&runtime, shard(setup, dialler.into()));
                farewell.why = None;
            }
            Err(error) => farewell.why = Some(format!("no runtime: {error}")),
        }
    })
}

/// Runs a shard on the current `LocalSet`.
pub(super) fn spawn_here(setup: ShardSetup, connector: Connector) -> JoinHandle<()> {
    tokio::task::spawn_local(shard(setup, connector))
}

/// Tells the dispatcher of a thread that ends without a result, however that comes about.
struct Farewell {
    shard: usize,
    reports: mpsc::Sender<Report>,
    why: Option<String>,
}

impl Drop for Farewell {
    fn drop(&mut self) {
        if let Some(why) = self.why.take() {
            // Without room the dispatcher is behind by a thousand reports; it then ends by its own
            // deadlines.
            let _ = self.reports.try_send(Report::Gone { shard: self.shard, why });
        }
    }
}

/// Lives a shard's life, until it is told to finish or the dispatcher is gone.
pub(super) async fn shard(setup: ShardSetup, connector: Connector) {
    let ShardSetup { commands, reports, layout, shard, .. } = setup;
    let arrivals = Arrivals::of_shard(&setup.plan, &layout, shard);
    let sends = Sends::of_shard(&setup.plan, &layout, shard);
    let bounded = sends.bounded(&setup.plan);
    let common = Rc::new(Shard {
        plan: Arc::clone(&setup.plan),
        clock: setup.clock,
        epoch: setup.epoch,
        connector,
        credentials: setup.credentials,
        book: setup.book,
        pacer: Pacer::start(),
        connects: Rc::new(Semaphore::new((CONNECTS_IN_FLIGHT_MAX / layout.shards()).max(1))),
        latency: RefCell::new(LatencySet::default()),
        traffic: RefCell::default(),
        counts: counts(setup.plan.populations.len()),
        ends: setup.ends,
        story: setup.story.and_then(|(who, lines)| Story::of(&setup.plan, who, setup.epoch, lines)),
        scratch: RefCell::new(vec![0; SCRATCH_BYTES].into_boxed_slice()),
    });
    let fleet = Fleet::new(common, arrivals.count(), bounded);
    // Not a task of the set: there it would queue behind thousands of clients that a broadcast has
    // woken, and send late. The body is looked at after every few dozen of them.
    let (sending, stop_sending) = abortable(traffic::send(Rc::clone(&fleet), sends));
    let body = Body {
        shard,
        phase: ShardPhase::Running,
        admission: arrivals.start(&fleet),
        sending: stop_sending,
        leaving: None,
        fleet,
        reports,
    };
    // Stopped or finished, sending has nothing to say.
    let _ = tokio::join!(body.live(commands), sending);
}

fn counts(populations: usize) -> ShardCounts {
    let zeros = || RefCell::new(vec![0; populations]);
    ShardCounts {
        opens: zeros(),
        recovered: zeros(),
        acks_failed: RefCell::new(vec![BTreeMap::new(); populations]),
        not_sent: zeros(),
        ..ShardCounts::default()
    }
}

/// What the clients of a shard count while the run goes on, per population.
fn live(counts: &ShardCounts) -> Vec<LiveCounts> {
    let (opens, recovered) = (counts.opens.borrow(), counts.recovered.borrow());
    let both = opens.iter().zip(recovered.iter());
    both.map(|(&opens, &recovered)| LiveCounts { opens, recovered }).collect()
}

struct Body {
    shard: usize,
    phase: ShardPhase,
    fleet: Rc<Fleet>,
    admission: Vec<JoinHandle<()>>,
    sending: AbortHandle,
    leaving: Option<JoinHandle<()>>,
    reports: mpsc::Sender<Report>,
}

impl Body {
    async fn live(mut self, mut commands: mpsc::Receiver<Command>) {
        loop {
            let look = self.fleet.shard.pacer.until(Instant::now() + self.look_every());
            tokio::select! {
                biased;
                command = commands.recv() => match command {
                    Some(Command::Finish) | None => break,
                    Some(command) => self.obey(command),
                },
                () = self.fleet.ran_out.notified() => {}
                () = look => {}
            }
            // A state that finds no room is followed by another one.
            let _ = self.reports.try_send(Report::State(self.state()));
        }
        self.stop_loops();
        self.kill_all();
        let end = Report::Ended(Box::new(self.end()));
        // Only a dispatcher that is gone does not take it.
        let _ = self.reports.send(end).await;
    }

    fn obey(&mut self, command: Command) {
        // An asker that has gone away needs no answer.
        match command {
            Command::ListOpen { population, answer } => {
                let _ = answer.send(self.fleet.open(population));
            }
            Command::Leave { population, which, answer } => {
                let clients = self.fleet.choose(population, &which);
                clients.iter().for_each(|client| client.leave());
                let _ = answer.send(clients.len() as u64);
            }
            Command::NoteRestClose { clients, at, answer } => {
                for client in clients.into_iter().filter_map(|key| self.fleet.client(key)) {
                    client.note_rest_close(at);
                }
                let _ = answer.send(());
            }
            Command::Drain => {
                self.phase = self.phase.max(ShardPhase::Draining);
                self.stop_loops();
            }
            Command::LeaveAll => {
                self.phase = ShardPhase::Leaving;
                self.stop_loops();
                let leaving = leave_in_batches(Rc::clone(&self.fleet));
                self.leaving = Some(tokio::task::spawn_local(leaving));
            }
            Command::Kill => {
                self.phase = ShardPhase::Leaving;
                self.stop_loops();
                self.kill_all();
            }
            // Ends the loop that called.
            Command::Finish => {}
        }
    }

    fn stop_loops(&mut self) {
        for admission in self.admission.drain(..) {
            admission.abort();
        }
        self.sending.abort();
        self.fleet.close_admission();
        self.fleet.senders_done(self.fleet.bounded_senders());
    }

    fn kill_all(&mut self) {
        if let Some(leaving) = self.leaving.take() {
            leaving.abort();
        }
        self.fleet.everybody().iter().for_each(|client| client.kill());
    }

    /// How long until the next look, by what the run waits for.
    fn look_every(&self) -> Duration {
        match self.phase {
            ShardPhase::Running if self.fleet.to_arrive() > 0 => PROGRESS_EVERY,
            ShardPhase::Running if self.fleet.first_attempts() > 0 => LOOK_EVERY,
            ShardPhase::Draining => LOOK_EVERY,
            ShardPhase::Running | ShardPhase::Leaving => PROGRESS_EVERY,
        }
    }

    fn state(&self) -> ShardState {
        let counts = &self.fleet.shard.counts;
        ShardState {
            shard: self.shard,
            phase: self.phase,
            attempts: counts.attempts.get(),
            open: counts.open.get(),
            received: counts.received.get(),
            arriving: self.fleet.to_arrive() + self.fleet.first_attempts(),
            bounded_senders: self.fleet.bounded_senders(),
            under_way: self.fleet.under_way(),
            alive: self.fleet.alive(),
            live: live(counts),
        }
    }

    fn end(&self) -> ShardEnd {
        let shard = &self.fleet.shard;
        ShardEnd {
            shard: self.shard,
            latency: shard.latency.take(),
            traffic: shard.traffic.take(),
            acks_failed: shard.counts.acks_failed.take(),
            not_sent: shard.counts.not_sent.take(),
            tasks: shard.counts.tasks.get().max(self.fleet.alive()),
            defects: self.fleet.defects(),
        }
    }
}

/// Everybody leaves, a few hundred at a time, so that the closing handshakes do not queue up behind
/// each other.
async fn leave_in_batches(fleet: Rc<Fleet>) {
    for batch in fleet.everybody().chunks(LEAVE_BATCH) {
        batch.iter().for_each(leave);
        fleet.shard.pacer.until(Instant::now() + LOOK_EVERY).await;
    }
}

fn leave(client: &Rc<VirtualClient>) {
    client.leave();
}
