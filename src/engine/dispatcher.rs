//! The run's state, and the pump that takes in one thing after the other: one actor sees everything
//! that happens, so every count on the screen belongs to one instant.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::hands::{Hands, Outcome};
use super::ledger::{Joiner, Taken};
use super::links::{Report, ShardEnd, ShardState};
use super::peak::OpenSpans;
use super::story::{StoryInbox, StoryState, Told};
use super::streams::HubLine;
use super::upstream::CallsTold;
use super::{EngineError, Stop, faults};
use crate::event::{
    ClientEnd, ClientObservation, CloseFirst, ConnectFailure, Event, EventFailedLine, EventKind,
    LedgerRow, Phase, Progress, Warning,
};
use crate::measure::{LiveCounts, Summary};
use crate::net::Pacer;
use crate::protocol::CloseCategory;
use crate::protocol::control::LedgerEntry;

/// Between two progress events.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// Failed events that become events of the run; the resource log has all of them.
const FAILURES_TOLD_MAX: usize = 1_000;

/// What came in.
enum Input {
    Stop,
    Due,
    Report(Report),
    Outcome(Outcome),
    Hub(HubLine<LedgerEntry>),
    Failed(EventFailedLine),
    End(ClientEnd),
    Story(Told),
}

/// Why a pump stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pumped {
    /// What was waited for is there.
    Met,
    /// The time is up.
    Deadline,
    /// The user asks to stop, or to stop harder.
    Stopped,
}

/// Everything that reaches the dispatcher.
#[derive(Debug)]
pub(super) struct Inbox {
    /// The user's wish.
    pub(super) stop: watch::Receiver<Stop>,
    /// What shards say.
    pub(super) reports: mpsc::Receiver<Report>,
    /// What tasks say.
    pub(super) outcomes: mpsc::Receiver<Outcome>,
    /// The hub's side of the ledger.
    pub(super) hub: mpsc::Receiver<HubLine<LedgerEntry>>,
    /// What its resource log says of events that failed.
    pub(super) failures: mpsc::Receiver<EventFailedLine>,
    /// The clients' side.
    pub(super) ends: mpsc::Receiver<ClientEnd>,
    /// The story of the watched client.
    pub(super) story: StoryInbox,
}

impl Inbox {
    /// The next thing, at `due` at the latest. Time comes before the queues, whose flood must not
    /// delay a fault; a mailbox that all senders have left says nothing.
    async fn next(&mut self, pacer: &Pacer, due: Instant) -> Input {
        tokio::select! {
            biased;
            Ok(()) = self.stop.changed() => Input::Stop,
            () = pacer.until(due) => Input::Due,
            Some(report) = self.reports.recv() => Input::Report(report),
            Some(outcome) = self.outcomes.recv() => Input::Outcome(outcome),
            Some(line) = self.hub.recv() => Input::Hub(line),
            Some(line) = self.failures.recv() => Input::Failed(line),
            Some(end) = self.ends.recv() => Input::End(end),
            Some(told) = self.story.next() => Input::Story(told),
        }
    }
}

/// Sends events on, never waiting.
#[derive(Debug)]
pub(super) struct EventOut {
    /// Takes the events.
    pub(super) queue: mpsc::Sender<Event>,
    /// Events that found no room.
    pub(super) lost: u64,
}

/// The faults of the timeline.
#[derive(Debug, Default)]
struct FaultLine {
    /// Position of the next one.
    next: usize,
    /// Asked for and not yet done.
    under_way: usize,
    /// Rows that came up meanwhile: they may be the fault's effect, and follow its event.
    held: Vec<LedgerRow>,
}

/// The run.
pub(super) struct Dispatcher {
    /// What its tasks share.
    pub(super) hands: Rc<Hands>,
    /// What comes in.
    pub(super) inbox: Inbox,
    /// What goes out.
    pub(super) events: EventOut,
    /// The running sums.
    pub(super) summary: Summary,
    /// Joins the ledger's sides.
    pub(super) joiner: Joiner,
    /// The story of the watched client.
    pub(super) story: StoryState,
    /// When connections were open.
    pub(super) spans: OpenSpans,
    /// Latest state of each shard.
    pub(super) states: Vec<Option<ShardState>>,
    /// What shards left.
    pub(super) shard_ends: Vec<Option<ShardEnd>>,
    /// How far the user wants it stopped, as far as it was acted on.
    pub(super) stopped: Stop,
    /// Where the run is.
    pub(super) phase: Phase,
    /// REST traffics that go on.
    pub(super) rest_traffic: BTreeSet<usize>,
    /// Calls by REST traffic that failed.
    pub(super) rest_failed: u64,
    /// Failed events that became events of the run.
    failures_told: usize,
    /// Calls of event handlers so far.
    pub(super) calls: CallsTold,
    faults: FaultLine,
    ended: BTreeMap<CloseCategory, u64>,
    progress_due: Instant,
}

impl Dispatcher {
    /// A run at the start of its timeline.
    pub(super) fn new(
        hands: Rc<Hands>,
        inbox: Inbox,
        events: mpsc::Sender<Event>,
        joiner: Joiner,
        story: StoryState,
    ) -> Self {
        let populations: Vec<(String, u64)> = hands
            .plan
            .populations
            .iter()
            .map(|population| (population.name.clone(), u64::from(population.count)))
            .collect();
        let shards = hands.shards.len();
        Self {
            progress_due: hands.epoch,
            summary: Summary::new(&populations),
            hands,
            inbox,
            events: EventOut { queue: events, lost: 0 },
            joiner,
            story,
            spans: OpenSpans::default(),
            states: vec![None; shards],
            shard_ends: (0..shards).map(|_| None).collect(),
            stopped: Stop::Run,
            phase: Phase::Running,
            rest_traffic: BTreeSet::new(),
            rest_failed: 0,
            failures_told: 0,
            calls: CallsTold::default(),
            faults: FaultLine::default(),
            ended: BTreeMap::new(),
        }
    }

    /// Takes in whatever comes until `met` holds, the time is up or the user interferes.
    pub(super) async fn pump(
        &mut self,
        until: Instant,
        met: impl Fn(&Self) -> bool,
    ) -> Result<Pumped, EngineError> {
        loop {
            if self.wish_has_grown() {
                return Ok(Pumped::Stopped);
            }
            if met(self) {
                return Ok(Pumped::Met);
            }
            let now = Instant::now();
            if until <= now {
                return Ok(Pumped::Deadline);
            }
            self.act_on_time(now);
            let due = until.min(self.next_due());
            match self.inbox.next(&self.hands.pacer, due).await {
                // Both are looked at above.
                Input::Due | Input::Stop => {}
                Input::Report(report) => self.take_report(report)?,
                Input::Outcome(outcome) => self.take_outcome(outcome),
                Input::Hub(line) => self.take_line(line),
                Input::Failed(line) => self.take_failure(line),
                Input::End(end) => self.take_end(end),
                Input::Story(told) => self.take_story(told),
            }
        }
    }

    /// Whether the user wants it stopped harder than it is being stopped; takes note of it.
    fn wish_has_grown(&mut self) -> bool {
        let wish = *self.inbox.stop.borrow_and_update();
        let grown = wish > self.stopped;
        self.stopped = self.stopped.max(wish);
        grown
    }

    /// Emits an event that happens now.
    pub(super) fn emit(&mut self, kind: EventKind) {
        self.emit_at(Instant::now(), kind);
    }

    /// Enters a phase.
    pub(super) fn enter(&mut self, phase: Phase) {
        self.phase = phase;
        self.emit(EventKind::PhaseChanged { phase });
    }

    /// Raises a warning, once.
    pub(super) fn warn(&mut self, warning: Warning) {
        if !self.summary.health.warnings.contains(&warning) {
            self.emit(EventKind::Warning(warning));
        }
    }

    /// Emits a row.
    pub(super) fn emit_row(&mut self, row: LedgerRow) {
        let category = row.category().or_else(|| clients_view(&row.client));
        if let Some(category) = category {
            *self.ended.entry(category).or_default() += 1;
        }
        self.emit(EventKind::AttemptEnded(Box::new(row)));
    }

    /// Nanoseconds since the epoch; 0 before it.
    pub(super) fn at_ns(&self, instant: Instant) -> u64 {
        let since = instant.saturating_duration_since(self.hands.epoch);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    /// Whether every fault has been asked for and answered.
    pub(super) fn faults_done(&self) -> bool {
        self.faults.next == self.hands.plan.faults.len() && self.faults.under_way == 0
    }

    /// Whether a fault has been asked for and not answered.
    pub(super) const fn faults_under_way(&self) -> bool {
        self.faults.under_way > 0
    }

    /// From now on faults that have not been answered hold no row back.
    pub(super) fn stop_holding(&mut self) {
        self.faults.under_way = 0;
        self.release_rows();
    }

    fn release_rows(&mut self) {
        for row in std::mem::take(&mut self.faults.held) {
            self.emit_row(row);
        }
    }

    fn emit_at(&mut self, at: Instant, kind: EventKind) {
        self.emit_event(Event { at_ns: self.at_ns(at), kind });
    }

    /// Sends an event on.
    pub(super) fn emit_event(&mut self, event: Event) {
        self.summary.take(&event);
        if self.events.queue.try_send(event).is_err() {
            self.events.lost += 1;
        }
    }

    fn next_due(&self) -> Instant {
        self.next_fault().map_or(self.progress_due, |fault| fault.min(self.progress_due))
    }

    /// When the next fault is due; none is once the running phase is over.
    fn next_fault(&self) -> Option<Instant> {
        let fault = self.hands.plan.faults.get(self.faults.next)?;
        (self.phase == Phase::Running).then(|| self.hands.epoch + fault.at)
    }

    fn act_on_time(&mut self, now: Instant) {
        while self.next_fault().is_some_and(|due| due <= now) {
            let index = self.faults.next;
            self.faults.next += 1;
            self.faults.under_way += 1;
            tokio::task::spawn_local(faults::carry_out(Rc::clone(&self.hands), index));
        }
        if self.progress_due <= now {
            self.progress_due = now + PROGRESS_EVERY;
            let progress = self.progress();
            self.emit(EventKind::Progress(progress));
        }
    }

    pub(super) fn progress(&self) -> Progress {
        let plan = &self.hands.plan;
        let states = || self.states.iter().flatten();
        Progress {
            duration_ns: u64::try_from(plan.duration.as_nanos()).unwrap_or(u64::MAX),
            clients: plan.clients(),
            open: states().map(|state| state.open).sum(),
            attempts: states().map(|state| state.attempts).sum(),
            received: states().map(|state| state.received).sum(),
            ended: self.ended.iter().map(|(&category, &count)| (category, count)).collect(),
        }
    }

    fn take_report(&mut self, report: Report) -> Result<(), EngineError> {
        match report {
            Report::State(state) => {
                let shard = state.shard;
                self.states[shard] = Some(state);
                self.copy_live_counts();
            }
            Report::Ended(end) => {
                let shard = end.shard;
                self.shard_ends[shard] = Some(*end);
            }
            Report::Gone { shard, why } => {
                return Err(EngineError::Internal(format!("shard {shard} of the clients: {why}")));
            }
        }
        Ok(())
    }

    /// What rows cannot tell yet: opens and recoveries so far, over all shards.
    fn copy_live_counts(&mut self) {
        for (index, population) in self.summary.populations.iter_mut().enumerate() {
            let mut live = LiveCounts::default();
            for counts in self.states.iter().flatten().filter_map(|state| state.live.get(index)) {
                live.opens += counts.opens;
                live.recovered += counts.recovered;
            }
            population.live = live;
        }
    }

    fn take_outcome(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Fault { index, asked, result } => {
                let what = faults::describe(&self.hands.plan, &self.hands.plan.faults[index].fault);
                let (addressed, error) = match result {
                    Ok(addressed) => (addressed, None),
                    Err(error) => (None, Some(error)),
                };
                self.emit_at(asked, EventKind::FaultDone { index, what, addressed, error });
                self.faults.under_way = self.faults.under_way.saturating_sub(1);
                if self.faults.under_way == 0 {
                    self.release_rows();
                }
            }
            Outcome::RestTraffic { traffic, failed } => {
                self.rest_traffic.remove(&traffic);
                self.rest_failed += failed;
            }
        }
    }

    /// Takes in what is there already of both sides of the ledger.
    pub(super) fn take_halves(&mut self) {
        while let Ok(line) = self.inbox.hub.try_recv() {
            self.take_line(line);
        }
        while let Ok(end) = self.inbox.ends.try_recv() {
            self.take_end(end);
        }
    }

    fn take_line(&mut self, line: HubLine<LedgerEntry>) {
        match line {
            HubLine::Entry(entry) => match self.joiner.hub(entry) {
                Taken::Row(row) => self.row_is_whole(*row),
                Taken::Kept => {}
                Taken::Call(call) => self.take_call(call),
                Taken::Validation(validation) => self.take_validation(validation),
            },
            HubLine::Broken(why) => {
                self.warn(Warning::LedgerIncomplete { why });
                for row in self.joiner.lose_sight() {
                    self.row_is_whole(row);
                }
            }
        }
    }

    /// Every failed event counts; the first of them are told one by one.
    fn take_failure(&mut self, line: EventFailedLine) {
        let kind = EventKind::EventFailed(Box::new(line));
        if self.failures_told < FAILURES_TOLD_MAX {
            self.failures_told += 1;
            self.emit(kind);
        } else {
            let at_ns = self.at_ns(Instant::now());
            self.summary.take(&Event { at_ns, kind });
        }
    }

    fn take_end(&mut self, end: ClientEnd) {
        if let ClientObservation::ConnectFailed { failure } = &end.observation {
            match failure {
                ConnectFailure::DescriptorsExhausted => self.warn(Warning::DescriptorsExhausted),
                ConnectFailure::PortsExhausted => self.warn(Warning::PortsExhausted),
                _ => {}
            }
        }
        if let Some(opened_ns) = end.opened_ns {
            self.spans.add(opened_ns, end.ended_ns);
        }
        if let Some(row) = self.joiner.client(end) {
            self.row_is_whole(row);
        }
    }

    fn row_is_whole(&mut self, row: LedgerRow) {
        if self.faults_under_way() {
            self.faults.held.push(row);
        } else {
            self.emit_row(row);
        }
    }
}

/// What an end looks like from the client's side alone, for the live view; only what admits of no
/// other reading.
fn clients_view(end: &ClientEnd) -> Option<CloseCategory> {
    match &end.observation {
        ClientObservation::CloseFrame { first: CloseFirst::Client, .. } => {
            Some(CloseCategory::Normal)
        }
        ClientObservation::Refused { status: 401 | 403, .. } => Some(CloseCategory::Unauthorized),
        _ => None,
    }
}
