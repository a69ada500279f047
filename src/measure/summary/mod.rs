//! Everything a verdict and a report need of a run, as sums over ledger rows and measures.

mod calls;
mod server_side;

use std::collections::{BTreeMap, BTreeSet};

use super::LatencySet;
use super::Timings;
use super::TrafficCounts;
use super::recovery::{Client, Outcome};
use super::storm::Storm;
use crate::event::{
    ClientObservation, CloseFirst, DeliveryTally, Event, EventKind, HowEnded, HubSide, LedgerRow,
    Warning, Wish, World,
};
use crate::protocol::CloseCategory;
use crate::protocol::control::{Counters, HubEnd, HubWire};
use crate::protocol::subprotocol::AckFailure;
use crate::protocol::webhook::UpstreamCounts;

pub use calls::{CallEnd, Calls, EndedByCalls};
pub use server_side::LogTally;

/// What rows are counted by.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CloseKey {
    /// Index of the population in the plan.
    pub population: u16,
    /// The hub's category; `None` when not observed or not seen.
    pub category: Option<CloseCategory>,
    /// What the hub put on the wire, for accepted and observed connections.
    pub wire: Option<HubWire>,
    /// What the client saw.
    pub observation: ClientObservation,
}

/// Rows of one key.
#[derive(Clone, Debug)]
pub struct CloseTally {
    /// How many.
    pub count: u64,
    /// From open to end in microseconds, by the hub's clock where observed, else the client's; only
    /// of rows that were open.
    pub life: Timings,
}

/// One population's sums.
#[derive(Clone, Debug, Default)]
pub struct PopulationSummary {
    /// Name.
    pub name: String,
    /// Clients in the plan.
    pub clients: u64,
    /// Attempts, accepted or not.
    pub attempts: u64,
    /// Attempts whose connection opened.
    pub opens: u64,
    /// Connection failures and refusals.
    pub refusals: u64,
    /// Clients that were dropped at least once and were open again afterwards.
    pub recovered: u64,
    /// Clients that were dropped at least once.
    pub dropped: u64,
    /// Attempts made after a drop, before being open again; the one that opened is the last of
    /// them.
    pub recovery_attempts: u64,
    /// Attempts after each client's first, over time.
    pub storm: Storm,
    /// Rows per category. A row whose hub side is not observed counts nowhere here.
    pub categories: BTreeMap<CloseCategory, u64>,
    /// Connections that ended from outside while their clients wished to stay, by what the clients
    /// saw, unless the hub calls it a drop or its side is not observed.
    pub ended_against_wish: BTreeMap<ClientObservation, u64>,
    /// Delivery over all its connections.
    pub delivery: DeliveryTally,
    /// Replies to its events that were to come back, over all its connections.
    pub replies: DeliveryTally,
    /// Messages that its clients received and that neither of the two counts: answers of event
    /// handlers of which nothing is demanded.
    pub received_besides: u64,
    /// Messages published by its clients over their websockets, as their rows tell.
    pub published: u64,
    /// Acknowledgements that failed, by the name of their error.
    pub acks_failed: BTreeMap<AckFailure, u64>,
    /// Planned messages that were not sent: the client was not connected, or its outbox was full.
    pub not_sent: u64,
    /// What the clients count while the run goes on.
    pub live: LiveCounts,
}

impl PopulationSummary {
    /// Acknowledgements that failed.
    #[must_use]
    pub fn failed_acks(&self) -> u64 {
        self.acks_failed.values().sum()
    }
}

/// Counts of a population that rows cannot tell yet, because a row comes only at the end of its
/// attempt: the engine copies them from the clients before it asks whether everything is decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LiveCounts {
    /// Attempts whose connection opened so far.
    pub opens: u64,
    /// Clients that were dropped at least once and have been open again so far.
    pub recovered: u64,
}

/// An instant of a row that a window may count from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
pub enum Since {
    /// The last sign of life (hub's clock).
    LastLife,
    /// The open.
    Open,
    /// The start of the client's misbehaviour on that connection.
    Behaviour,
    /// The latest fault before the end that addressed it.
    Fault,
}

/// How many values there were, the least and the greatest of them, exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// How many.
    pub count: u64,
    /// The least.
    pub min: i64,
    /// The greatest.
    pub max: i64,
}

impl Extent {
    /// Takes a value in.
    pub fn take(&mut self, value: i64) {
        let is_first = self.count == 0;
        self.min = if is_first { value } else { self.min.min(value) };
        self.max = if is_first { value } else { self.max.max(value) };
        self.count += 1;
    }
}

/// What an open end of a connection is in a world: what must be closed again, and is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EndKind {
    /// An open descriptor of the process, whatever it was opened for.
    #[default]
    Descriptor,
    /// An end of a link in memory.
    LinkEnd,
}

impl EndKind {
    /// What is counted in a world.
    #[must_use]
    pub const fn of(world: World) -> Self {
        match world {
            World::Sockets => Self::Descriptor,
            World::Virtual => Self::LinkEnd,
        }
    }

    /// The world in which it is counted.
    #[must_use]
    pub const fn world(self) -> World {
        match self {
            Self::Descriptor => World::Sockets,
            Self::LinkEnd => World::Virtual,
        }
    }

    /// Its name, one of them.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Descriptor => "descriptor",
            Self::LinkEnd => "link end",
        }
    }
}

/// Ends of connections that were open around the load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenEnds {
    /// What was counted.
    pub kind: EndKind,
    /// How many before the first client; `None` where that cannot be told.
    pub before: Option<u64>,
    /// How many when the last client had gone; `None` where that cannot be told.
    pub after: Option<u64>,
}

/// Resident memory of the generator's process (the embedded hub included).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Bytes before the first client.
    pub before_bytes: u64,
    /// Bytes at the end of the running phase.
    pub held_bytes: u64,
    /// Connections open at that instant.
    pub open: u64,
}

/// How the generator itself fared.
#[derive(Clone, Debug, Default)]
pub struct GeneratorHealth {
    /// Warnings that were raised.
    pub warnings: BTreeSet<Warning>,
    /// Open ends before the load and after it.
    pub open_ends: OpenEnds,
    /// What the process holds while the load stands, against before it. Not read in the virtual
    /// world: other worlds may run beside it in the same process.
    pub memory: Option<Memory>,
    /// Client tasks alive after the run; anything but 0 is a leak.
    pub tasks_after: u64,
}

/// The whole run in numbers.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// Per population, in plan order.
    pub populations: Vec<PopulationSummary>,
    /// Rows by population, category, wire form and observation: the matrix and the table of ends.
    pub closes: BTreeMap<CloseKey, CloseTally>,
    /// For each row with a drop category: nanoseconds from an instant to the hub's decision.
    pub windows: BTreeMap<(u16, CloseCategory, Since), Extent>,
    /// Bytes in the hub's queue at the decision, per (population, category).
    pub queue_at_close: BTreeMap<(u16, CloseCategory), Extent>,
    /// Latencies.
    pub latency: LatencySet,
    /// Messages of every traffic, in the order of the plan.
    pub traffic: TrafficCounts,
    /// Hub counters when the load had gone; `None` when not observed.
    pub counters_after: Option<Counters>,
    /// Lines of the hub's log about events that failed; `None` when the log was not observed.
    pub log: Option<LogTally>,
    /// What the hub told of events for handlers, besides its counters.
    pub calls: Calls,
    /// What the scripted application server counted; `None` where there is none, or it was not
    /// asked.
    pub upstream: Option<UpstreamCounts>,
    /// Rows whose hub side was observed.
    pub rows_observed: u64,
    /// Entries the hub's ledger had for attempts that no client made.
    pub hub_rows_unmatched: u64,
    /// The generator's own state.
    pub health: GeneratorHealth,
    /// When the faults of the timeline were carried out, by position; nanoseconds since the epoch.
    pub faults_done: BTreeMap<usize, u64>,
    /// Faults that could not be carried out.
    pub faults_failed: BTreeMap<usize, String>,
    /// Messages that the engine itself sent by REST and the hub did not take.
    pub rest_failed: u64,
    /// Run time in nanoseconds, from the epoch to the end of gathering.
    pub elapsed_ns: u64,
    /// Connections open at once on the client side, at most.
    pub open_peak: u64,
    /// How the run ended; `None` as long as it goes on.
    pub ended: Option<HowEnded>,
    /// Per population and client: what its rows mean for its recovery. Only [`Summary::add_row`]
    /// writes it.
    pub(crate) recoveries: Recoveries,
}

/// Recovery of every client, by population and index.
#[derive(Clone, Debug, Default)]
pub(crate) struct Recoveries(Vec<Vec<Client>>);

impl Summary {
    /// An empty summary for populations of these names and sizes, in plan order.
    #[must_use]
    pub fn new(populations: &[(String, u64)]) -> Self {
        let of = |(name, clients): &(String, u64)| PopulationSummary {
            name: name.clone(),
            clients: *clients,
            ..PopulationSummary::default()
        };
        Self {
            populations: populations.iter().map(of).collect(),
            recoveries: Recoveries(vec![Vec::new(); populations.len()]),
            ..Self::default()
        }
    }

    /// Where the run took place, as the ends that were counted tell once it is gathered.
    #[must_use]
    pub const fn world(&self) -> World {
        self.health.open_ends.kind.world()
    }

    /// How the clients of a population came back, or those of all.
    #[must_use]
    pub fn storm(&self, population: Option<u16>) -> Storm {
        let mut sum = Storm::default();
        for (index, of) in self.populations.iter().enumerate() {
            if population.is_none_or(|wanted| usize::from(wanted) == index) {
                sum.add(&of.storm);
            }
        }
        sum
    }

    /// Takes an event in. Rows, faults, log lines, calls of handlers, warnings and the end count;
    /// everything else is ignored.
    pub fn take(&mut self, event: &Event) {
        match &event.kind {
            EventKind::AttemptEnded(row) => self.add_row(row),
            EventKind::FaultDone { index, error: None, .. } => {
                self.faults_done.insert(*index, event.at_ns);
            }
            EventKind::FaultDone { index, error: Some(error), .. } => {
                self.faults_failed.insert(*index, error.clone());
            }
            EventKind::Warning(warning) => {
                self.health.warnings.insert(warning.clone());
            }
            EventKind::EventFailed(line) => {
                self.log.get_or_insert_default().take(line.failure, &line.message);
            }
            EventKind::UpstreamCall(_) => self.calls.calls_told += 1,
            EventKind::UpstreamValidation(_) => self.calls.validations_told += 1,
            EventKind::RunEnded { how } => self.ended = Some(*how),
            EventKind::RunStarted(_)
            | EventKind::PhaseChanged { .. }
            | EventKind::Progress(_)
            | EventKind::Story(_)
            | EventKind::StoryEnded(_) => {}
        }
    }

    /// Adds one row. Rows may come in any order; a row of a population that the plan has not is
    /// ignored.
    pub fn add_row(&mut self, row: &LedgerRow) {
        let known = |population: &PopulationSummary| population.name == row.attempt.population;
        let Some(at) = self.populations.iter().position(known) else { return };
        let Ok(number) = u16::try_from(at) else { return };
        let population = &mut self.populations[at];
        let opened = row.client.opened_ns.is_some();
        population.attempts += 1;
        population.opens += u64::from(opened);
        population.refusals += u64::from(!opened);
        let client = &row.client;
        population.storm.take(row);
        population.delivery.add(&client.delivery);
        population.replies.add(&client.replies);
        let tracked = client.delivery.received.saturating_add(client.replies.received);
        population.received_besides += client.received.saturating_sub(tracked);
        population.published += row.client.sent;
        if let Some(category) = row.category() {
            *population.categories.entry(category).or_default() += 1;
        }
        let is_drop = row.category().is_some_and(CloseCategory::is_drop);
        if opened && row.hub != HubSide::NotObserved && !is_drop && is_against_wish(row) {
            let seen = row.client.observation.clone();
            *population.ended_against_wish.entry(seen).or_default() += 1;
        }
        self.rows_observed += u64::from(row.hub != HubSide::NotObserved);
        self.add_close(number, row);
        if let HubSide::Ended(end) = &row.hub {
            self.add_windows(number, row, end);
        }
        self.calls.add_end(number, &row.hub);
        self.add_recovery(at, row);
    }

    fn add_close(&mut self, population: u16, row: &LedgerRow) {
        let (wire, life) = match &row.hub {
            HubSide::Ended(end) => (Some(end.wire.clone()), Some((end.opened_ns, end.decided_ns))),
            _ => (None, row.client.opened_ns.map(|opened| (opened, row.client.ended_ns))),
        };
        let category = row.category();
        let observation = row.client.observation.clone();
        let key = CloseKey { population, category, wire, observation };
        let tally = self.closes.entry(key).or_default();
        tally.count += 1;
        if let Some((from, to)) = life {
            tally.life.record((to.saturating_sub(from) / 1_000).min(LIFE_MAX_US));
        }
    }

    fn add_windows(&mut self, population: u16, row: &LedgerRow, end: &HubEnd) {
        let category = end.category;
        let queued = i64::try_from(end.queue_bytes).unwrap_or(i64::MAX);
        self.queue_at_close.entry((population, category)).or_default().take(queued);
        if !category.is_drop() {
            return;
        }
        let latest_fault = self.faults_done.values().filter(|&&at| at <= end.decided_ns).max();
        for (since, from) in [
            (Since::LastLife, Some(end.last_life_ns)),
            (Since::Open, Some(end.opened_ns)),
            (Since::Behaviour, row.client.behaviour_since_ns),
            (Since::Fault, latest_fault.copied()),
        ] {
            let window = from.and_then(|from| end.decided_ns.checked_signed_diff(from));
            if let Some(window) = window {
                self.windows.entry((population, category, since)).or_default().take(window);
            }
        }
    }

    fn add_recovery(&mut self, at: usize, row: &LedgerRow) {
        let population = &mut self.populations[at];
        let index = row.attempt.index as usize;
        if u64::from(row.attempt.index) >= population.clients {
            return;
        }
        let Some(clients) = self.recoveries.0.get_mut(at) else { return };
        if clients.len() <= index {
            clients.resize_with(index + 1, Client::default);
        }
        let client = &mut clients[index];
        let before = client.share();
        client.take(row.attempt.attempt, outcome(row));
        let after = client.share();
        let replace = |sum: &mut u64, old: u64, new: u64| *sum = *sum - old + new;
        replace(&mut population.dropped, before.dropped.into(), after.dropped.into());
        replace(&mut population.recovered, before.recovered.into(), after.recovered.into());
        replace(
            &mut population.recovery_attempts,
            before.recovery_attempts.into(),
            after.recovery_attempts.into(),
        );
    }
}

/// Longest life that is told apart, in microseconds: 36,000 years.
const LIFE_MAX_US: u64 = 1 << 60;

impl Default for CloseTally {
    fn default() -> Self {
        Self { count: 0, life: Timings::growing() }
    }
}

/// What a row means for its client's recovery. It was dropped when the hub says so, and also when
/// an open connection ended from outside while the client wished to stay, whatever the hub calls
/// it.
fn outcome(row: &LedgerRow) -> Outcome {
    let dropped_by_hub = matches!(&row.hub, HubSide::Ended(end) if end.category.is_drop());
    match row.client.opened_ns {
        None => Outcome::NotOpened,
        Some(_) if dropped_by_hub || is_against_wish(row) => Outcome::Dropped,
        Some(_) => Outcome::Kept,
    }
}

/// Whether an end came from outside while the client wished to stay.
fn is_against_wish(row: &LedgerRow) -> bool {
    let ended_from_outside = matches!(
        row.client.observation,
        ClientObservation::CloseFrame { first: CloseFirst::Hub, .. }
            | ClientObservation::Eof
            | ClientObservation::Reset
            | ClientObservation::ProtocolError { .. }
    );
    ended_from_outside && row.client.wish == Wish::Stay
}

#[cfg(test)]
mod tests;
