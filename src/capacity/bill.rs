//! Messages as billed: outbound bytes in steps of 2 KiB (azure-docs `concept-billing-model.md`).

use super::demand::{flows, traced_records};
use super::table::{FREE_PER_DAY, INCLUDED_PER_UNIT_DAY};
use super::workload::Workload;
use crate::protocol::settings::Tier;

/// Bytes of one billed message: 2 KB, which the guide uses as 2,048 bytes.
pub const BILLED_BYTES: u64 = 2_048;

/// Days of a month in prices.
pub const DAYS_A_MONTH: f64 = 30.4;

/// A number of which the documents allow two readings.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Range {
    /// Bytes are added up first.
    pub least: f64,
    /// Each message is rounded up.
    pub most: f64,
}

/// Billed messages a second in the busiest hour.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^53")]
pub fn billed_per_second(workload: &Workload) -> Range {
    let (records, record) = traced_records(workload);
    let outbound = flows(workload).into_iter().map(|flow| (flow.billed_out(), flow.size));
    let mut billed = Range { least: 0.0, most: 0.0 };
    for (rate, size) in outbound.chain([(records, record)]) {
        billed.least += rate * size as f64 / BILLED_BYTES as f64;
        billed.most += rate * size.div_ceil(BILLED_BYTES) as f64;
    }
    billed
}

/// Billed messages a day.
#[must_use]
pub fn billed_per_day(workload: &Workload) -> Range {
    let seconds = workload.profile.full_hours() * 3_600.0;
    let second = billed_per_second(workload);
    Range { least: second.least * seconds, most: second.most * seconds }
}

/// Messages a day that a resource may send before they cost extra, or before Free stops.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "at most a billion")]
pub fn included_per_day(tier: Tier, unit_days: f64) -> f64 {
    match tier {
        Tier::Free => FREE_PER_DAY as f64,
        Tier::Standard | Tier::Premium => unit_days * INCLUDED_PER_UNIT_DAY as f64,
    }
}

/// Unit-days of a day in which units change: each count with the hours it was held.
#[must_use]
pub fn unit_days(held: &[(u32, f64)]) -> f64 {
    held.iter().map(|(units, hours)| f64::from(*units) * hours).sum::<f64>() / 24.0
}
