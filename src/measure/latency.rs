//! Latency histograms: response time from the planned instant, service time from the actual one.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};

/// Smallest latency told apart, in microseconds.
pub const LOWEST_US: u64 = 1;
/// Largest latency told apart: one hour, in microseconds. Longer ones count as this.
pub const HIGHEST_US: u64 = 3_600_000_000;
/// Significant decimal digits.
pub const DIGITS: u8 = 3;

/// What was timed.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum LatencyKind {
    /// From the attempt to the open connection.
    Connect,
    /// From the send to the receipt by a subscriber.
    Message,
    /// From the send to its acknowledgement.
    Acknowledgement,
    /// From a REST request to its answer.
    Rest,
    /// From a REST close to the client's knowing of it.
    RestClose,
    /// From the end of a dropped connection to the client's next open one.
    Recovery,
    /// How late the generator sent, against its own schedule (service series empty).
    SendLag,
}

impl LatencyKind {
    /// Every kind, in the order in which reports list them.
    pub const ALL: [Self; 7] = [
        Self::Connect,
        Self::Message,
        Self::Acknowledgement,
        Self::Rest,
        Self::RestClose,
        Self::Recovery,
        Self::SendLag,
    ];
}

/// Before or after the first misbehaviour or fault of the scenario; everything is `Before` in a
/// scenario without either.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Stage {
    /// Before it.
    Before,
    /// From it on.
    After,
}

/// Which series a latency belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LatencyKey {
    /// What was timed.
    pub kind: LatencyKind,
    /// Index of the population in the plan; the receiver's for messages. `None` for the engine's
    /// own REST calls.
    pub population: Option<u16>,
    /// Before or after the first misbehaviour or fault.
    pub stage: Stage,
}

/// Both views of one series.
#[derive(Clone, Debug)]
pub struct Distribution {
    /// From the planned instant: what a user of an open system waits.
    pub response: Histogram<u64>,
    /// From the actual instant.
    pub service: Histogram<u64>,
}

/// Histograms per series; one set per thread, merged exactly.
#[derive(Clone, Debug, Default)]
pub struct LatencySet {
    series: BTreeMap<LatencyKey, Distribution>,
}

impl LatencySet {
    /// Records one latency in both views, at microsecond resolution (rounded up, at least 1 µs).
    pub fn record(&mut self, _key: LatencyKey, _response: Duration, _service: Duration) {
        unimplemented!()
    }

    /// Adds another set, exactly.
    pub fn merge(&mut self, _other: &Self) {
        unimplemented!()
    }

    /// All series in key order.
    pub fn iter(&self) -> impl Iterator<Item = (&LatencyKey, &Distribution)> {
        self.series.iter()
    }

    /// The sum of every series of a kind for which `select` holds; `None` when there is none.
    #[must_use]
    pub fn sum(
        &self,
        _kind: LatencyKind,
        _select: impl Fn(&LatencyKey) -> bool,
    ) -> Option<Distribution> {
        unimplemented!()
    }
}
