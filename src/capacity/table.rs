//! What units of a tier carry, as the performance guide states it: benchmark values for messages of
//! 2,048 bytes with 99 % of them under a second, no hard limits (azure-docs
//! `concept-performance.md`).

use super::dimension::{Dimension, Direction, Measure, Pattern};
use super::workload::{Inbound, Revision, UnitList};
use crate::protocol::settings::Tier;

/// Size of the messages the figures were measured with, in bytes.
const MEASURED_SIZE: f64 = 2_048.0;

/// Messages a day that Free delivers before it stops (azure-docs
/// `howto-troubleshoot-resource-logs.md`).
pub const FREE_PER_DAY: u64 = 20_000;

/// Messages of 2 KiB that a paid unit-day includes (azure-docs `concept-billing-model.md`:
/// 2,000,000 KB).
pub const INCLUDED_PER_UNIT_DAY: u64 = 1_000_000;

/// What so many units carry of one dimension.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Capacity {
    /// Of what.
    pub dimension: Dimension,
    /// So much: connections, messages or bytes a second, messages a day.
    pub amount: f64,
}

/// Name of the SKU behind a tier and a unit count.
#[must_use]
pub const fn sku(tier: Tier, units: u32) -> &'static str {
    match tier {
        Tier::Free => "Free_F1",
        Tier::Standard => "Standard_S1",
        Tier::Premium if units <= 100 => "Premium_P1",
        Tier::Premium => "Premium_P2",
    }
}

/// Unit counts that can be bought, ascending.
#[must_use]
pub fn unit_steps(tier: Tier, list: UnitList) -> Vec<u32> {
    const OLDER: [u32; 7] = [1, 2, 5, 10, 20, 50, 100];
    let steps = tier.unit_steps().iter().copied();
    match list {
        UnitList::Newest => steps.collect(),
        UnitList::Older => steps.filter(|step| *step > 100 || OLDER.contains(step)).collect(),
    }
}

/// What `units` of a tier carry of every dimension that is bounded there. Throughput of Free is not
/// published: one paid unit's is assumed.
#[must_use]
pub fn capacities(tier: Tier, units: u32, revision: Revision, inbound: Inbound) -> Vec<Capacity> {
    let connections = f64::from(tier.connections_per_unit()) * f64::from(units);
    let mut all = vec![Capacity { dimension: Dimension::Connections, amount: connections }];
    for pattern in Pattern::ALL {
        for direction in [Direction::In, Direction::Out] {
            let Some(messages) = bound(pattern, direction, units, revision, inbound) else {
                continue;
            };
            let of = |measure, amount| Capacity {
                dimension: Dimension::Traffic(pattern, direction, measure),
                amount,
            };
            all.push(of(Measure::Messages, messages));
            all.push(of(Measure::Bytes, messages * MEASURED_SIZE));
        }
    }
    all.push(Capacity { dimension: Dimension::Together, amount: 1.0 });
    if tier == Tier::Free {
        #[expect(clippy::cast_precision_loss, reason = "20,000")]
        let amount = FREE_PER_DAY as f64;
        all.push(Capacity { dimension: Dimension::DailyMessages, amount });
    }
    all
}

/// The benchmark's messages a second where they bound anything.
fn bound(
    pattern: Pattern,
    direction: Direction,
    units: u32,
    revision: Revision,
    inbound: Inbound,
) -> Option<f64> {
    let is_condition = direction == Direction::In
        && matches!(pattern, Pattern::BigGroup | Pattern::RestBroadcast)
        && inbound == Inbound::Conditions;
    (!is_condition).then(|| measured(pattern, direction, units, revision))
}

/// The benchmark's messages a second.
pub(super) fn measured(
    pattern: Pattern,
    direction: Direction,
    units: u32,
    revision: Revision,
) -> f64 {
    let per_unit = |rate: f64| rate * f64::from(units);
    match (pattern, direction) {
        (Pattern::BigGroup, Direction::In) => 30.0,
        (Pattern::RestBroadcast, Direction::In) => 3.0,
        (Pattern::BigGroup | Pattern::RestBroadcast, Direction::Out) => per_unit(3_000.0),
        (Pattern::SmallGroup, Direction::In) => small_groups(units, revision),
        (Pattern::SmallGroup, Direction::Out) => 10.0 * small_groups(units, revision),
        (Pattern::Echo, _) => per_unit(500.0),
        (Pattern::RestToUser, _) => per_unit(180.0),
    }
}

/// Messages a second to small groups, which grow no further between 50 and 100 units: routing
/// costs as much as the units bring. From 200 units on (Premium_P2) there is one revision only.
fn small_groups(units: u32, revision: Revision) -> f64 {
    let count = f64::from(units);
    match (revision, units) {
        (_, 101..) => 100.0 * count,
        (Revision::Newest, _) => 200.0 * count.min(50.0),
        (Revision::Older, 0..=20) => 400.0 * count,
        // Between the columns 20 and 50 of the older table.
        (Revision::Older, _) => 8_000.0 + 7_000.0 * (count.min(50.0) - 20.0) / 30.0,
    }
}

/// New connections a second. Of SignalR (azure-signalr issue 1282, 2021), not published for Web
/// PubSub; between the figures the lower one.
#[must_use]
pub const fn connect_rate(tier: Tier, units: u32) -> u32 {
    match (tier, units) {
        (Tier::Free, _) => 20,
        (_, 0..=19) => 400,
        (_, 20..=49) => 600,
        (_, 50..=99) => 2_000,
        (_, 100..) => 8_000,
    }
}
