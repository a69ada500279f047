//! How dropped clients came back, as data.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::measure::storm::Curve;
use crate::measure::{LatencyKind, Summary, Timings};

/// Steps of a curve, at most.
const STEPS_MAX: usize = 300;

/// How clients came back after their drops, all populations together.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StormFacts {
    /// Clients that were dropped at least once.
    pub dropped: u64,
    /// Of those, clients that were open again afterwards.
    pub recovered: u64,
    /// Attempts for each dropped client, up to the one that opened; 1 is as few as can be.
    pub amplification: f64,
    /// Attempts that did not open, whoever made them.
    pub not_opened: u64,
    /// Most attempts in a tenth of a second, by the instants at which the clients' policies wanted
    /// them; first attempts of clients are left out.
    pub peak_attempts: u64,
    /// When that tenth began, in nanoseconds since the epoch.
    pub peak_at_ns: u64,
    /// Half of all drops had been recovered from so long after them, in microseconds; null when
    /// fewer were.
    pub t50_us: Option<u64>,
    /// 95 % had.
    pub t95_us: Option<u64>,
    /// All had.
    pub t100_us: Option<u64>,
    /// Attempts over time.
    pub curve: StormCurve,
}

/// Attempts after each client's first, and those that opened, over time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StormCurve {
    /// When the first step began, in nanoseconds since the epoch.
    pub from_ns: u64,
    /// Width of a step in nanoseconds.
    pub step_ns: u64,
    /// Attempts in each step.
    pub attempts: Vec<u64>,
    /// Attempts that opened in each step.
    pub opens: Vec<u64>,
}

impl From<Curve> for StormCurve {
    fn from(curve: Curve) -> Self {
        let Curve { from_ns, step_ns, attempts, opens } = curve;
        Self { from_ns, step_ns, attempts, opens }
    }
}

impl StormFacts {
    /// What a run has of it; `None` where nobody was dropped, or nobody tried to come back.
    #[must_use]
    pub fn of(summary: &Summary) -> Option<Self> {
        let sum = |of: fn(&crate::measure::PopulationSummary) -> u64| {
            summary.populations.iter().map(of).sum::<u64>()
        };
        let (dropped, attempts) = (sum(|of| of.dropped), sum(|of| of.recovery_attempts));
        let storm = summary.storm(None);
        let peak = storm.peak().filter(|_| dropped > 0 && attempts > 0)?;
        let times = summary.latency.sum(LatencyKind::Recovery, |_| true);
        let times = times.map(|times| times.response);
        let back = |percent| times.as_ref().and_then(|times| by_then(times, dropped, percent));
        Some(Self {
            dropped,
            recovered: sum(|of| of.recovered),
            amplification: ratio(attempts, dropped),
            not_opened: sum(|of| of.refusals),
            peak_attempts: peak.attempts,
            peak_at_ns: peak.at_ns,
            t50_us: back(50),
            t95_us: back(95),
            t100_us: back(100),
            curve: storm.curve(STEPS_MAX).into(),
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
fn ratio(of: u64, to: u64) -> f64 {
    of as f64 / to as f64
}

/// The time within which a share of the drops was recovered from; at least one drop per client, and
/// as many as there were recoveries.
fn by_then(times: &Timings, dropped: u64, percent: u64) -> Option<u64> {
    let drops = dropped.max(times.len());
    let rank = (drops * percent).div_ceil(100);
    (rank > 0 && rank <= times.len())
        .then(|| times.value_at_quantile(ratio(rank, times.len())).min(times.max()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(all: impl IntoIterator<Item = u64>) -> Timings {
        let mut times = Timings::growing();
        all.into_iter().for_each(|time| times.record(time));
        times
    }

    #[test]
    fn a_share_that_never_came_back_has_no_time() {
        let seventy = times(1..=70);
        let of = |percent| by_then(&seventy, 100, percent);
        assert_eq!([of(50), of(70), of(71), of(100)], [Some(50), Some(70), None, None]);
    }

    #[test]
    fn who_is_dropped_twice_recovers_twice() {
        let both = times([10, 20, 30, 40]);
        assert_eq!(by_then(&both, 2, 50), Some(20));
        assert_eq!(by_then(&both, 2, 100), Some(40));
        assert_eq!(by_then(&times([]), 0, 50), None);
    }
}
