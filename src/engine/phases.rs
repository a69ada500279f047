//! A run from its opening to its end: running, draining, leaving. (Gathering is next door.)

use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::dispatcher::{Dispatcher, Inbox, Pumped};
use super::gather::Held;
use super::hands::{Hands, OUTCOMES_MAX};
use super::layout::Layout;
use super::ledger::{HubTime, HubView, Joiner};
use super::links::{COMMANDS_MAX, Command, REPORTS_MAX, ShardLinks, ShardPhase, ShardState};
use super::opening::{self, Feeds, Opened};
use super::shard::{self, LEAVE_BATCH, ShardSetup};
use super::story::{StoryLinks, StoryState};
use super::streams::HUB_LINES_MAX;
use super::{EngineError, RunInput, Shards, Stop, rest_traffic, traffic};
use crate::client::EndSink;
use crate::event::{ClientEnd, EventKind, HowEnded, Phase, RunStarted, Warning, World};
use crate::measure::summary::LogTally;
use crate::measure::{StreamBook, Summary};
use crate::net::{Connector, Pacer};
use crate::scenario::plan::Senders;
use crate::verdict;

/// From the last preparation to the epoch, so that arrivals at 0 find every thread up.
const LEAD: Duration = Duration::from_millis(50);

/// How long the connections of the opening may take to be gone.
const CLOSING: Duration = Duration::from_millis(20);

/// Ends of attempts that may wait for the dispatcher. Past it they are lost and the run is invalid.
const ENDS_MAX: usize = 65_536;

/// How long clients that are killed may take, and then shards that are told to finish: together
/// well within the second that a wish to stop at once leaves.
const KILL_WITHIN: Duration = Duration::from_millis(150);

/// Beyond the grace of the clients themselves, for the last of them to notice.
const LEAVE_MARGIN: Duration = Duration::from_millis(500);

/// What lives beside the dispatcher while it pumps.
struct Company {
    shards: Vec<RunningShard>,
    ends_lost: Arc<AtomicU64>,
    rest_stops: Vec<oneshot::Sender<()>>,
    before: Held,
    opened: Opened,
}

/// A shard that was started.
enum RunningShard {
    Thread(std::thread::JoinHandle<()>),
    Task(tokio::task::JoinHandle<()>),
}

impl RunningShard {
    /// Waits for a shard that has said its last word; what is left of it takes no time.
    async fn join(self) -> Result<(), EngineError> {
        let joined = match self {
            Self::Thread(thread) => thread.join().is_ok(),
            Self::Task(task) => task.await.is_ok(),
        };
        if joined { Ok(()) } else { Err(EngineError::Internal("a shard panicked".to_owned())) }
    }
}

/// Runs a plan to its end, on the current `LocalSet`.
pub(super) async fn run(input: RunInput) -> Result<Summary, EngineError> {
    let (mut dispatcher, mut company) = prepare(input).await?;
    let how = dispatcher.running().await?;
    dispatcher.note_memory(company.before);
    company.rest_stops.clear();
    dispatcher.wind_down().await?;
    for shard in company.shards.drain(..) {
        // A shard that has not ended by now is reported as tasks left over; nobody waits for it.
        if dispatcher.all_shards_ended() {
            shard.join().await?;
        }
    }
    if dispatcher.stopped < Stop::Now {
        dispatcher.gather(company.before, company.opened.upstream.as_mut()).await?;
    }
    let lost = company.ends_lost.load(Ordering::Relaxed);
    drop(company.opened.streams);
    Ok(dispatcher.conclude(how, lost))
}

/// Opens the target and starts the shards. The epoch is near when this returns.
async fn prepare(input: RunInput) -> Result<(Dispatcher, Company), EngineError> {
    let RunInput { plan, target, clock, mut stop, events, trace, .. } = input;
    let (upstream, place, watched) = (input.upstream, input.shards, input.watched);
    let story = StoryLinks::new(&plan, watched);
    let watched = story.feed.as_ref().map(|feed| feed.watched.clone());
    let (ledger, hub) = mpsc::channel(HUB_LINES_MAX);
    let (failure, failures) = mpsc::channel(HUB_LINES_MAX);
    let feeds = Feeds { ledger, trace, failures: failure, story: story.feed };
    let opened = tokio::select! {
        biased;
        Ok(_) = stop.wait_for(|&wish| wish > Stop::Run) => return Err(EngineError::Interrupted),
        opened = opening::open(&plan, &target, upstream.as_ref(), clock, feeds) => opened?,
    };
    // The connections that asked are still closing, on the hub's side too.
    tokio::time::sleep(CLOSING).await;
    let before = Held::now(place.world(), &target.connector);

    let layout = Layout::new(&plan, place.count());
    let book = StreamBook::new(plan.streams as usize);
    let (report, reports) = mpsc::channel(REPORTS_MAX);
    let (end, ends) = mpsc::channel::<ClientEnd>(ENDS_MAX);
    let ends_lost = Arc::new(AtomicU64::new(0));
    let epoch = Instant::now() + LEAD;
    let (mut commands, mut shards) = (Vec::new(), Vec::new());
    for number in 0..layout.shards() {
        let (command, told) = mpsc::channel(COMMANDS_MAX);
        commands.push(command);
        shards.push(ShardSetup {
            plan: Arc::clone(&plan),
            layout: layout.clone(),
            shard: number,
            clock,
            epoch,
            credentials: target.credentials.clone(),
            book: Arc::clone(&book),
            ends: EndSink { queue: end.clone(), lost: Arc::clone(&ends_lost) },
            story: story.client.clone(),
            commands: told,
            reports: report.clone(),
        });
    }
    let start = |setup| start_shard(setup, place, &target.connector);
    let running = shards.into_iter().map(start).collect::<Result<_, _>>()?;

    let (outcome, outcomes) = mpsc::channel(OUTCOMES_MAX);
    let time = HubTime { epoch_unix_ns: clock.at_ns(epoch), ahead_ns: opened.hub_ahead_ns };
    let joiner = Joiner::new(opened.view, time, Arc::clone(&book));
    let state = StoryState::new(watched, target.control, time);
    let hands = Rc::new(Hands {
        plan,
        clock,
        epoch,
        target,
        pacer: Pacer::start(),
        shards: ShardLinks::new(commands, Rc::new(layout)),
        book,
        latency: std::cell::RefCell::default(),
        sent: std::cell::RefCell::default(),
        outcomes: outcome,
    });
    let inbox = Inbox { stop, reports, outcomes, hub, failures, ends, story: story.inbox };
    let mut dispatcher = Dispatcher::new(hands, inbox, events, joiner, state);
    dispatcher.announce(place.world());
    let rest_stops = dispatcher.start_rest_traffic();
    let company = Company { shards: running, ends_lost, rest_stops, before, opened };
    Ok((dispatcher, company))
}

fn start_shard(
    setup: ShardSetup,
    place: Shards,
    connector: &Connector,
) -> Result<RunningShard, EngineError> {
    match (place, connector) {
        (Shards::Here, _) => Ok(RunningShard::Task(shard::spawn_here(setup, connector.clone()))),
        (Shards::Threads(_), Connector::Sockets(dialler)) => shard::spawn(setup, dialler.clone())
            .map(RunningShard::Thread)
            .map_err(|error| EngineError::Internal(format!("no thread for the clients: {error}"))),
        (Shards::Threads(_), Connector::Links { .. }) => Err(EngineError::Internal(
            "links in memory cannot be dialled from other threads".to_owned(),
        )),
    }
}

impl Dispatcher {
    fn announce(&mut self, world: World) {
        let hands = Rc::clone(&self.hands);
        let plan = &hands.plan;
        if self.joiner.view() == HubView::Observed {
            self.summary.log = Some(LogTally::default());
        }
        self.emit(EventKind::RunStarted(Box::new(RunStarted {
            scenario: plan.name.clone(),
            seed: plan.seed,
            plan_hash: plan.hash.clone(),
            world,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            target: hands.target.connector.endpoint().to_string(),
            epoch_unix_ns: hands.clock.at_ns(hands.epoch),
        })));
    }

    /// Starts what the engine itself sends. Each traffic stops when its sender is dropped.
    fn start_rest_traffic(&mut self) -> Vec<oneshot::Sender<()>> {
        let mut stops = Vec::new();
        let hands = Rc::clone(&self.hands);
        for (index, settings) in hands.plan.traffic.iter().enumerate() {
            if settings.from == Senders::Rest {
                self.rest_traffic.insert(index);
                let (stop, stopped) = oneshot::channel();
                stops.push(stop);
                let send = rest_traffic::send(Rc::clone(&hands), index, stopped);
                tokio::task::spawn_local(send);
            }
        }
        stops
    }

    /// Runs until everything is decided, the time is up, or the user interrupts.
    async fn running(&mut self) -> Result<HowEnded, EngineError> {
        self.enter(Phase::Running);
        let over = self.hands.epoch + self.hands.plan.duration;
        // Before this nothing is decided, however little is waited for.
        let earliest = self.hands.epoch + verdict::earliest_end(&self.hands.plan);
        if self.pump(earliest.min(over), |_| false).await? == Pumped::Stopped {
            return Ok(HowEnded::Interrupted);
        }
        loop {
            match self.pump(over, Self::nothing_is_waited_for).await? {
                Pumped::Met => {}
                Pumped::Deadline => return Ok(HowEnded::TimeUp),
                Pumped::Stopped => return Ok(HowEnded::Interrupted),
            }
            // What must not happen is watched for a while longer.
            let settled = Instant::now() + self.hands.plan.settle;
            match self.pump(settled.min(over), |_| false).await? {
                Pumped::Stopped => return Ok(HowEnded::Interrupted),
                _ if settled <= over && self.nothing_is_waited_for() => {
                    return Ok(HowEnded::Decided);
                }
                _ if over <= Instant::now() => return Ok(HowEnded::TimeUp),
                _ => {}
            }
        }
    }

    fn nothing_is_waited_for(&self) -> bool {
        self.faults_done()
            && !self.rest_traffic.iter().any(|&rest| traffic::is_bounded(&self.hands.plan, rest))
            && self.shards_say(|state| state.arriving == 0 && state.bounded_senders == 0)
            && verdict::decided(&self.hands.plan, &self.summary)
    }

    /// Drains, then lets everybody leave. A wish to stop now cuts both short.
    async fn wind_down(&mut self) -> Result<(), EngineError> {
        if self.stopped < Stop::Now {
            self.enter(Phase::Draining);
            self.tell_all(|| Command::Drain)?;
            let until = Instant::now() + self.hands.plan.grace;
            self.pump_unless_now(until, Self::is_drained).await?;
            self.turns_taken(until).await?;
        }
        if self.stopped < Stop::Now {
            self.enter(Phase::Leaving);
            self.tell_all(|| Command::LeaveAll)?;
            let until = Instant::now() + self.leave_within();
            self.pump_unless_now(until, Self::everybody_is_gone).await?;
        }
        if !self.everybody_is_gone() {
            self.tell_all(|| Command::Kill)?;
            let until = Instant::now() + KILL_WITHIN;
            self.pump_through(until, Self::everybody_is_gone).await?;
        }
        self.tell_all(|| Command::Finish)?;
        let until = Instant::now() + KILL_WITHIN;
        self.pump_through(until, Self::all_shards_ended).await
    }

    /// Whether every shard has ended in order.
    pub(super) fn all_shards_ended(&self) -> bool {
        self.shard_ends.iter().all(Option::is_some)
    }

    /// Pumps on through a first wish to stop, which is what is being done already.
    pub(super) async fn pump_unless_now(
        &mut self,
        until: Instant,
        met: impl Fn(&Self) -> bool + Copy,
    ) -> Result<(), EngineError> {
        while self.pump(until, met).await? == Pumped::Stopped && self.stopped < Stop::Now {}
        Ok(())
    }

    /// Pumps on whatever the user wishes: for waits shorter than any wish.
    pub(super) async fn pump_through(
        &mut self,
        until: Instant,
        met: impl Fn(&Self) -> bool + Copy,
    ) -> Result<(), EngineError> {
        while self.pump(until, met).await? == Pumped::Stopped {}
        Ok(())
    }

    fn is_drained(&self) -> bool {
        let drained =
            |state: &ShardState| state.phase >= ShardPhase::Draining && state.under_way == 0;
        self.shards_say(drained) && self.rest_traffic.is_empty() && !self.faults_under_way()
    }

    fn everybody_is_gone(&self) -> bool {
        self.shards_say(|state| state.phase == ShardPhase::Leaving && state.alive == 0)
    }

    fn shards_say(&self, what: impl Fn(&ShardState) -> bool) -> bool {
        self.states.iter().all(|state| state.as_ref().is_some_and(&what))
    }

    fn tell_all(&self, make: impl Fn() -> Command) -> Result<(), EngineError> {
        self.hands.shards.tell_all(make).map_err(|gone| EngineError::Internal(gone.to_string()))
    }

    /// Grace for each client, and the time over which they are told.
    fn leave_within(&self) -> Duration {
        let clients = usize::try_from(self.hands.plan.clients()).unwrap_or(usize::MAX);
        let batches = u32::try_from(clients / LEAVE_BATCH).unwrap_or(u32::MAX);
        self.hands.plan.grace + LEAVE_MARGIN + shard::LOOK_EVERY.saturating_mul(batches)
    }

    /// Adds what the parts left to the sums, and says that the run has ended.
    fn conclude(mut self, how: HowEnded, ends_lost: u64) -> Summary {
        self.finish_rows();
        self.end_story();
        self.merge_shards();
        let elapsed = self.at_ns(Instant::now());
        self.summary.elapsed_ns = elapsed;
        let how = if self.stopped > Stop::Run { HowEnded::Interrupted } else { how };
        self.emit(EventKind::RunEnded { how });
        let lost = self.events.lost + ends_lost;
        if lost > 0 {
            // There may be no room for one more event; the sums know at any rate.
            self.summary.health.warnings.insert(Warning::EventsLost { count: lost });
        }
        self.summary
    }
}
