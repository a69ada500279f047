//! What a starved generator spoils: claims that rest on what it could not do become invalid,
//! nothing else does.

use std::time::Duration;

use super::words;
use super::{Check, Outcome};
use crate::event::{ClientObservation, ConnectFailure, Warning};
use crate::measure::{LatencyKind, Summary};

/// The generator sends on time as long as the 99th percentile of its lag stays within this; past it
/// whatever is measured in time is spoiled (invariant I4, `reference` facts 4.5).
pub const SEND_LAG_P99_MAX: Duration = Duration::from_millis(50);

/// What a finding rests on, and so what can spoil it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rests {
    /// Counts of rows, messages, attempts.
    Counts,
    /// A row of a category that does not belong there at all.
    WrongCategory,
    /// Latencies, windows, recovery times.
    Times,
    /// What was left behind after the run.
    Leftovers,
    /// The generator's own health.
    Health,
}

/// A check and what it rests on.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) check: Check,
    pub(super) rests: Rests,
}

impl Finding {
    /// Whether it proves on its own that the run is not as demanded, however the generator fared.
    fn is_proof(&self) -> bool {
        self.check.outcome == Outcome::Fail
            && matches!(self.rests, Rests::Counts | Rests::WrongCategory)
    }
}

/// The result of a run by its findings, spoiled ones already marked.
pub(super) fn outcome(findings: &[Finding]) -> Outcome {
    let any = |outcome| findings.iter().any(|finding| finding.check.outcome == outcome);
    if findings.iter().any(Finding::is_proof) {
        Outcome::Fail
    } else if any(Outcome::Invalid) {
        Outcome::Invalid
    } else if any(Outcome::Fail) {
        Outcome::Fail
    } else if any(Outcome::Undetermined) {
        Outcome::Undetermined
    } else {
        Outcome::Pass
    }
}

/// Why findings are spoiled, by what they rest on.
#[derive(Clone, Debug, Default)]
pub(super) struct Spoils {
    /// The ledger itself has holes.
    ledger: Vec<String>,
    /// The generator could not do what the plan says.
    starved: Vec<String>,
    /// The generator was late.
    late: Vec<String>,
}

impl Spoils {
    /// Reads what was spoiled out of the generator's health.
    pub(super) fn of(summary: &Summary) -> Self {
        let mut spoils = Self::default();
        for warning in &summary.health.warnings {
            match warning {
                Warning::EventsLost { count } => {
                    spoils.ledger.push(format!("{} events were lost", words::count(*count)));
                }
                Warning::LedgerIncomplete { why } => {
                    spoils.ledger.push(format!("the hub's ledger is incomplete: {why}"));
                }
                Warning::DescriptorsExhausted | Warning::PortsExhausted => {}
                // Says nothing of what was measured.
                Warning::NotWritten { .. } | Warning::NoUpstreamTimes { .. } => {}
            }
        }
        let entries_lost = summary.counters_after.as_ref().map_or(0, |after| after.entries_lost);
        if entries_lost > 0 {
            let lost = words::count(entries_lost);
            spoils.ledger.push(format!("the hub lost {lost} ledger entries"));
        }
        if is_exhausted(summary, &Warning::DescriptorsExhausted) {
            spoils.starved.push("this process ran out of open files".to_owned());
        }
        if is_exhausted(summary, &Warning::PortsExhausted) {
            spoils.starved.push("this machine ran out of ports".to_owned());
        }
        for (index, why) in &summary.faults_failed {
            spoils.starved.push(format!("fault {} was not carried out: {why}", index + 1));
        }
        if let Some(lag) = send_lag_p99(summary).filter(|lag| *lag > SEND_LAG_P99_MAX) {
            let lag = words::time(lag.as_secs_f64() * 1e9);
            let allowed = words::time(SEND_LAG_P99_MAX.as_secs_f64() * 1e9);
            spoils.late.push(format!("sends were late: p99 {lag}, allowed {allowed}"));
        }
        spoils
    }

    /// Every reason, for the check of the generator's health.
    pub(super) fn all(&self) -> Vec<String> {
        [&self.ledger, &self.starved, &self.late].into_iter().flatten().cloned().collect()
    }

    /// Marks a finding invalid when what it rests on is spoiled. What is undetermined stays so.
    pub(super) fn mark(&self, finding: &mut Finding) {
        let reasons: &[&Vec<String>] = match finding.rests {
            Rests::Counts | Rests::Leftovers => &[&self.ledger, &self.starved],
            Rests::WrongCategory => &[&self.ledger],
            Rests::Times => &[&self.ledger, &self.starved, &self.late],
            Rests::Health => &[],
        };
        let reason = reasons.iter().find_map(|reasons| reasons.first());
        let check = &mut finding.check;
        if let (Some(reason), Outcome::Pass | Outcome::Fail) = (reason, check.outcome) {
            check.outcome = Outcome::Invalid;
            check.actual = format!("{}; spoiled: {reason}", check.actual);
        }
    }
}

/// Whether something ran out: a warning says so, or a row.
fn is_exhausted(summary: &Summary, what: &Warning) -> bool {
    let failure = match what {
        Warning::DescriptorsExhausted => ConnectFailure::DescriptorsExhausted,
        _ => ConnectFailure::PortsExhausted,
    };
    summary.health.warnings.contains(what)
        || summary
            .closes
            .keys()
            .any(|key| key.observation == ClientObservation::ConnectFailed { failure })
}

/// How late the generator sent, at the 99th percentile; `None` when it sent nothing.
pub(super) fn send_lag_p99(summary: &Summary) -> Option<Duration> {
    let lag = summary.latency.sum(LatencyKind::SendLag, |_| true)?.response;
    (!lag.is_empty()).then(|| Duration::from_micros(lag.value_at_quantile(0.99)))
}
