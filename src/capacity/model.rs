//! What units of a tier carry, as a hub is told it: the model that `--consistency` runs against.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{
    Dimension, Direction, Measure, Pattern, Tier, Workload, capacities, connect_rate, flows,
};
use crate::protocol::throughput::{Busy, ConnectRate, Flow, PatternLimits, Throughput};

/// Stands for what is not bounded.
const ANY: u64 = 1_000_000_000_000_000;

/// The limits of a hub that carries what so many units carry, no more and no less.
#[must_use]
pub fn throughput(workload: &Workload, tier: Tier, units: u32) -> Throughput {
    let capacities = capacities(tier, units, workload.revision, workload.inbound);
    let of = |pattern, direction, measure| {
        let dimension = Dimension::Traffic(pattern, direction, measure);
        let found = capacities.iter().find(|capacity| capacity.dimension == dimension);
        found.map_or(ANY, |capacity| whole(capacity.amount))
    };
    let flow = |pattern, direction| Flow {
        messages: of(pattern, direction, Measure::Messages),
        bytes: of(pattern, direction, Measure::Bytes),
    };
    let limits = |pattern| PatternLimits {
        inbound: flow(pattern, Direction::In),
        outbound: flow(pattern, Direction::Out),
    };
    let per_second = connect_rate(tier, units);
    Throughput {
        connects: Some(ConnectRate { per_second, burst: per_second }),
        patterns: Pattern::ALL.into_iter().map(|of| (of, limits(of))).collect(),
        small_below: u32::try_from(workload.revision.small_group_below()).unwrap_or(u32::MAX),
        ..Throughput::default()
    }
}

/// How long such a hub is busy when one message of every kind comes at the same instant. While
/// messages of each kind come at even intervals and the shares of no second exceed the whole, no
/// message waits longer, since more than this is never to be done: of each kind at most one message
/// is ahead of its rate.
#[must_use]
pub fn at_once(workload: &Workload, tier: Tier, units: u32) -> Duration {
    let limits = throughput(workload, tier, units).patterns;
    let mut busy: BTreeMap<Pattern, Busy> = BTreeMap::new();
    for flow in flows(workload) {
        if let Some(limits) = limits.get(&flow.pattern) {
            *busy.entry(flow.pattern).or_default() += limits.busy(flow.receivers, flow.size);
        }
    }
    busy.values().map(Busy::fullest).sum()
}

/// The whole part; at least 1.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "far below 2^53")]
const fn whole(amount: f64) -> u64 {
    if amount > 1.0 { amount as u64 } else { 1 }
}
