//! Latency histograms: response time from the planned instant, service time from the actual one.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Timings;

/// Smallest latency told apart, in microseconds.
pub const LOWEST_US: u64 = 1;
/// Largest latency told apart: one hour, in microseconds. Longer ones count as this.
pub const HIGHEST_US: u64 = 3_600_000_000;

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
    /// From the send of a user event to the receipt of its own data, sent back by the event
    /// handler.
    Echo,
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
    pub const ALL: [Self; 8] = [
        Self::Connect,
        Self::Message,
        Self::Acknowledgement,
        Self::Echo,
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
    pub response: Timings,
    /// From the actual instant.
    pub service: Timings,
}

impl Distribution {
    /// A distribution without samples. One takes about 380 KB.
    #[must_use]
    pub fn new() -> Self {
        let empty = Timings::up_to(HIGHEST_US);
        Self { response: empty.clone(), service: empty }
    }

    /// Adds another distribution, exactly.
    pub fn merge(&mut self, other: &Self) {
        self.response.merge(&other.response);
        self.service.merge(&other.service);
    }
}

impl Default for Distribution {
    fn default() -> Self {
        Self::new()
    }
}

/// Whole microseconds of a latency, rounded up, within the bounds of a histogram.
#[must_use]
pub fn microseconds(latency: Duration) -> u64 {
    let whole = latency.as_nanos().div_ceil(1_000);
    u64::try_from(whole).unwrap_or(HIGHEST_US).clamp(LOWEST_US, HIGHEST_US)
}

/// Histograms per series; one set per thread, merged exactly.
#[derive(Clone, Debug, Default)]
pub struct LatencySet {
    series: BTreeMap<LatencyKey, Distribution>,
}

impl LatencySet {
    /// Records one latency in both views, at microsecond resolution (rounded up, at least 1 µs, at
    /// most [`HIGHEST_US`]). [`LatencyKind::SendLag`] has no service view.
    pub fn record(&mut self, key: LatencyKey, response: Duration, service: Duration) {
        let distribution = self.series.entry(key).or_default();
        distribution.response.record(microseconds(response));
        if key.kind != LatencyKind::SendLag {
            distribution.service.record(microseconds(service));
        }
    }

    /// Adds another set, exactly.
    pub fn merge(&mut self, other: &Self) {
        for (key, distribution) in &other.series {
            match self.series.get_mut(key) {
                Some(own) => own.merge(distribution),
                None => {
                    self.series.insert(*key, distribution.clone());
                }
            }
        }
    }

    /// All series in key order.
    pub fn iter(&self) -> impl Iterator<Item = (&LatencyKey, &Distribution)> {
        self.series.iter()
    }

    /// The sum of every series of a kind for which `select` holds; `None` when there is none.
    #[must_use]
    pub fn sum(
        &self,
        kind: LatencyKind,
        select: impl Fn(&LatencyKey) -> bool,
    ) -> Option<Distribution> {
        let mut selected =
            self.series.iter().filter(|(key, _)| key.kind == kind && select(key)).map(|(_, d)| d);
        let mut sum = selected.next()?.clone();
        selected.for_each(|distribution| sum.merge(distribution));
        Some(sum)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    fn key(kind: LatencyKind, population: u16) -> LatencyKey {
        LatencyKey { kind, population: Some(population), stage: Stage::Before }
    }

    #[test]
    fn latencies_are_rounded_up_to_microseconds_and_kept_within_an_hour() {
        let mut set = LatencySet::default();
        for (response, service) in [
            (Duration::ZERO, Duration::from_nanos(1)),
            (Duration::from_nanos(1_001), Duration::from_micros(2)),
            (Duration::from_secs(7_200), Duration::MAX),
        ] {
            set.record(key(LatencyKind::Message, 0), response, service);
        }
        let sum = set.sum(LatencyKind::Message, |_| true).unwrap();
        for view in [&sum.response, &sum.service] {
            assert_eq!(view.len(), 3);
            assert_eq!(view.min(), 1);
            assert_eq!(view.value_at_quantile(0.5), 2);
            assert_eq!(view.max(), HIGHEST_US);
        }
    }

    #[test]
    fn send_lag_has_no_service_view() {
        let mut set = LatencySet::default();
        set.record(key(LatencyKind::SendLag, 0), Duration::from_secs(1), Duration::from_secs(1));
        let sum = set.sum(LatencyKind::SendLag, |_| true).unwrap();
        assert_eq!((sum.response.len(), sum.service.len()), (1, 0));
    }

    #[test]
    fn a_sum_takes_what_is_selected_and_nothing_else() {
        let mut set = LatencySet::default();
        for population in 0..3 {
            let one = Duration::from_millis(1);
            set.record(key(LatencyKind::Message, population), one, one);
            set.record(key(LatencyKind::Connect, population), one, one);
        }
        let some = set.sum(LatencyKind::Message, |key| key.population != Some(1)).unwrap();
        assert_eq!((some.response.len(), some.service.len()), (2, 2));
        assert!(set.sum(LatencyKind::Message, |_| false).is_none());
        assert!(set.sum(LatencyKind::Rest, |_| true).is_none());
    }

    fn samples() -> impl Strategy<Value = Vec<(bool, u16, u64, u64)>> {
        let nanos = || prop_oneof![0_u64..10_000, 0_u64..10_000_000_000, any::<u64>()];
        proptest::collection::vec((any::<bool>(), 0_u16..2, nanos(), nanos()), 0..20)
    }

    fn set_of(samples: &[(bool, u16, u64, u64)]) -> LatencySet {
        let mut set = LatencySet::default();
        for &(connect, population, response, service) in samples {
            let kind = if connect { LatencyKind::Connect } else { LatencyKind::Message };
            let (response, service) =
                (Duration::from_nanos(response), Duration::from_nanos(service));
            set.record(key(kind, population), response, service);
        }
        set
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]
        #[test]
        fn merged_sets_are_what_one_set_would_have_recorded(one in samples(), two in samples()) {
            let mut merged = set_of(&one);
            merged.merge(&set_of(&two));
            let whole = set_of(&[one, two].concat());
            let flat = |set: &LatencySet| -> Vec<_> {
                set.iter().map(|(key, d)| (*key, d.response.clone(), d.service.clone())).collect()
            };
            prop_assert_eq!(flat(&merged), flat(&whole));
        }
    }
}
