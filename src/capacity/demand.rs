//! What a workload asks of each dimension.

use super::bill;
pub use crate::protocol::throughput::THROUGHPUT_BYTES_MIN;

use super::dimension::{Dimension, Direction, Measure, Pattern};
use super::workload::{LiveTrace, OwnMessages, Target, Traffic, Workload};

/// What one kind of message comes to in the busiest hour.
#[derive(Clone, Debug, PartialEq)]
pub struct Flow {
    /// Name of the traffic.
    pub name: String,
    /// Which figures of the guide it is held against.
    pub pattern: Pattern,
    /// Payload of a message, in bytes.
    pub size: u64,
    /// Receivers of one message.
    pub receivers: u64,
    /// Messages a second to the service.
    pub messages_in: f64,
    /// Messages a second from the service to clients.
    pub messages_out: f64,
    /// Requests a second from the service to the upstream.
    pub upstream_requests: f64,
}

impl Flow {
    /// Outbound messages a second that are billed: to clients and to the upstream.
    #[must_use]
    pub fn billed_out(&self) -> f64 {
        self.messages_out + self.upstream_requests
    }
}

/// What every kind of message comes to, in the workload's order.
#[must_use]
pub fn flows(workload: &Workload) -> Vec<Flow> {
    workload.traffic.iter().map(|traffic| flow(workload, traffic)).collect()
}

/// What a kind of message comes to.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
pub fn flow(workload: &Workload, traffic: &Traffic) -> Flow {
    let group = |members: u64| {
        let pattern = if members < workload.revision.small_group_below() {
            Pattern::SmallGroup
        } else {
            Pattern::BigGroup
        };
        let receivers = match traffic.own {
            OwnMessages::Delivered => members,
            OwnMessages::Withheld => members.saturating_sub(1),
        };
        (pattern, receivers)
    };
    // The service sends to ghosts too, until it knows better.
    let counted = workload.connections_counted();
    let (pattern, receivers) = match traffic.target {
        Target::Groups { members, .. } => group(members),
        Target::Everyone => group(counted),
        Target::Upstream => (Pattern::Echo, 1),
        Target::RestToUser => (Pattern::RestToUser, 1),
        Target::RestBroadcast => (Pattern::RestBroadcast, counted),
    };
    let messages_in = traffic.senders as f64 * traffic.rate;
    Flow {
        name: traffic.name.clone(),
        pattern,
        size: traffic.size,
        receivers,
        messages_in,
        messages_out: messages_in * receivers as f64,
        upstream_requests: if pattern == Pattern::Echo { messages_in } else { 0.0 },
    }
}

/// What a workload asks of every dimension it touches, in the order of [`Dimension`].
/// [`Dimension::Together`] is missing: it is a share, which only a capacity gives.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
pub fn demand(workload: &Workload) -> Vec<(Dimension, f64)> {
    let connections = workload.connections_counted() as f64;
    let mut all = vec![(Dimension::Connections, connections)];
    let flows = flows(workload);
    for pattern in Pattern::ALL {
        for direction in [Direction::In, Direction::Out] {
            let (mut messages, mut bytes) = (0.0, 0.0);
            for flow in flows.iter().filter(|flow| flow.pattern == pattern) {
                let rate = match direction {
                    Direction::In => flow.messages_in,
                    Direction::Out => flow.messages_out,
                };
                messages += rate;
                bytes += rate * flow.size.max(THROUGHPUT_BYTES_MIN) as f64;
            }
            if messages > 0.0 {
                all.push((Dimension::Traffic(pattern, direction, Measure::Messages), messages));
                all.push((Dimension::Traffic(pattern, direction, Measure::Bytes), bytes));
            }
        }
    }
    all.push((Dimension::DailyMessages, bill::billed_per_day(workload).most));
    all
}

/// Live trace's bytes a second in the busiest hour: one record for every message in and out.
#[must_use]
pub fn traced_records(workload: &Workload) -> (f64, u64) {
    match workload.live_trace {
        LiveTrace::Off => (0.0, 0),
        LiveTrace::On { record } => {
            let each = |flow: &Flow| flow.messages_in + flow.billed_out();
            (flows(workload).iter().map(each).sum(), record)
        }
    }
}
