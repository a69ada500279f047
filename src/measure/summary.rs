//! Everything a verdict and a report need of a run, as sums over ledger rows and measures.

use std::collections::{BTreeMap, BTreeSet};

use hdrhistogram::Histogram;

use super::LatencySet;
use crate::event::{ClientObservation, DeliveryTally, Event, LedgerRow, Warning};
use crate::protocol::CloseCategory;
use crate::protocol::control::{Counters, HubWire};

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
    pub life: Histogram<u64>,
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
    /// Attempts made after a drop, before being open again.
    pub recovery_attempts: u64,
    /// Rows per category. A row whose hub side is not observed counts nowhere here.
    pub categories: BTreeMap<CloseCategory, u64>,
    /// Delivery over all its connections.
    pub delivery: DeliveryTally,
    /// Messages published.
    pub published: u64,
    /// Acknowledgements that failed.
    pub acks_failed: u64,
    /// Planned messages that were not sent: the client was not connected, or its outbox was full.
    pub not_sent: u64,
    /// What the clients count while the run goes on.
    pub live: LiveCounts,
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
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

/// How the generator itself fared.
#[derive(Clone, Debug, Default)]
pub struct GeneratorHealth {
    /// Warnings that were raised.
    pub warnings: BTreeSet<Warning>,
    /// Descriptors open before the run and after it.
    pub descriptors_before: Option<u64>,
    /// See `descriptors_before`.
    pub descriptors_after: Option<u64>,
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
    /// Hub counters when the load had gone; `None` when not observed.
    pub counters_after: Option<Counters>,
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
}

impl Summary {
    /// An empty summary for populations of these names and sizes, in plan order.
    #[must_use]
    pub fn new(_populations: &[(String, u64)]) -> Self {
        unimplemented!()
    }

    /// Takes an event in. Rows, faults and warnings count; everything else is ignored.
    pub fn take(&mut self, _event: &Event) {
        unimplemented!()
    }

    /// Adds one row.
    pub fn add_row(&mut self, _row: &LedgerRow) {
        unimplemented!()
    }
}
