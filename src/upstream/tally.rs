//! What is counted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::RequestEnd;
use crate::measure::BusiestSecond;
use crate::protocol::webhook::RequestKind;
use crate::protocol::webhook::counts::UpstreamCounts;

/// Kinds that are counted apart; a hub's clients choose the names of user events.
const KINDS_MAX: usize = 256;
/// Connection ids that are remembered, over all kinds.
const CONNECTIONS_MAX: usize = 1_000_000;

/// Counts of one timeline.
#[derive(Debug, Default)]
pub struct Tally {
    counts: UpstreamCounts,
    seen: BTreeMap<RequestKind, Seen>,
    /// Connection ids remembered.
    remembered: usize,
    in_flight: u64,
}

/// What the counts of a kind are made from.
#[derive(Debug, Default)]
struct Seen {
    connections: BTreeSet<String>,
    busiest: BusiestSecond,
}

impl Tally {
    /// A request has come.
    pub fn begin(&mut self, kind: &RequestKind, connection_id: &str, at: Duration) {
        self.in_flight += 1;
        self.counts.in_flight_peak = self.counts.in_flight_peak.max(self.in_flight);
        if self.seen.len() >= KINDS_MAX && !self.seen.contains_key(kind) {
            self.counts.of_further_kinds += 1;
            return;
        }
        let counts = self.counts.requests.entry(kind.clone()).or_default();
        let seen = self.seen.entry(kind.clone()).or_default();
        counts.received += 1;
        counts.in_flight += 1;
        counts.in_flight_peak = counts.in_flight_peak.max(counts.in_flight);
        counts.per_second_peak = seen.busiest.take(at);
        let is_known = connection_id.is_empty() || seen.connections.contains(connection_id);
        if !is_known && self.remembered < CONNECTIONS_MAX {
            self.remembered += 1;
            seen.connections.insert(connection_id.to_owned());
            counts.connections += 1;
        }
    }

    /// It has ended.
    pub fn end(&mut self, kind: &RequestKind, ended: RequestEnd) {
        self.in_flight = self.in_flight.saturating_sub(1);
        let Some(counts) = self.counts.requests.get_mut(kind) else { return };
        counts.in_flight = counts.in_flight.saturating_sub(1);
        match ended {
            RequestEnd::Answered(status) => *counts.answered.entry(status).or_default() += 1,
            RequestEnd::BrokenOff => counts.broken_off += 1,
            RequestEnd::Abandoned => counts.abandoned += 1,
        }
    }

    /// A stranger's request.
    pub fn stranger(&mut self) {
        self.counts.of_strangers += 1;
    }

    /// The counts that requests themselves do not make.
    pub fn counts_mut(&mut self) -> &mut UpstreamCounts {
        &mut self.counts
    }

    /// The counts so far.
    pub fn counts(&self) -> UpstreamCounts {
        self.counts.clone()
    }
}
