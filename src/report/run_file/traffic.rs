//! What every traffic came to, and in which stretch it was busiest.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::measure::{Summary, TrafficCounts};
use crate::protocol::stamp::STAMP_BYTES;
use crate::scenario::Plan;
use crate::scenario::plan::{Destination, Senders, Traffic};

/// One traffic of the scenario.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TrafficFacts {
    /// Name.
    pub name: String,
    /// Who sends.
    pub from: TrafficFrom,
    /// How many send.
    pub senders: u64,
    /// To whom.
    pub to: TrafficTo,
    /// Bytes of a message.
    pub size_bytes: u64,
    /// Whether the hub sends a message back to its sender.
    pub echoed: bool,
    /// Messages sent; those by REST that the hub took.
    pub sent: u64,
    /// How often they arrived: each at every receiver; an event, as its own data in an answer.
    pub received: u64,
    /// The ten seconds in which most arrived, or another stretch where they were too few or ended
    /// sooner; null when nothing was sent.
    pub busiest: Option<BusiestStretch>,
}

/// Who sends a traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TrafficFrom {
    /// Clients, over their websockets.
    Clients,
    /// The engine, by REST.
    Rest,
}

/// To whom a traffic goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TrafficTo {
    /// To a group.
    Group,
    /// From each sender to its own of so many rooms.
    Rooms {
        /// Rooms.
        count: u64,
    },
    /// To one user after the other.
    Users,
    /// To every connection.
    Everybody,
    /// To an event handler.
    Event,
}

/// The stretch in which a traffic was busiest. Messages count in it by the instant at which they
/// were sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BusiestStretch {
    /// Its start, in nanoseconds since the epoch.
    pub from_ns: u64,
    /// How long it is, in nanoseconds.
    pub lasting_ns: u64,
    /// Messages sent in it.
    pub sent: u64,
    /// How often they arrived.
    pub received: u64,
}

/// What every traffic of the plan came to, in its order.
pub(super) fn facts(plan: &Plan, summary: &Summary) -> Vec<TrafficFacts> {
    let traffic = plan.traffic.iter().enumerate();
    traffic.map(|(number, traffic)| fact(plan, traffic, number, &summary.traffic)).collect()
}

fn fact(plan: &Plan, traffic: &Traffic, number: usize, counts: &TrafficCounts) -> TrafficFacts {
    let to = match &traffic.to {
        Destination::Group(_) => TrafficTo::Group,
        Destination::Rooms(rooms) => {
            let of = plan.populations.iter().find(|one| one.rooms.contains(rooms));
            let clients = of.map_or(0, |population| population.count);
            TrafficTo::Rooms { count: u64::from(clients.div_ceil(rooms.members.max(1))) }
        }
        Destination::Users { .. } => TrafficTo::Users,
        Destination::Everybody => TrafficTo::Everybody,
        Destination::Event { .. } => TrafficTo::Event,
    };
    let (sent, received) = counts.whole(number);
    TrafficFacts {
        name: traffic.name.clone(),
        from: match traffic.from {
            Senders::Clients { .. } => TrafficFrom::Clients,
            Senders::Rest => TrafficFrom::Rest,
        },
        senders: u64::from(traffic.from.count()),
        to,
        size_bytes: u64::from(traffic.size).max(STAMP_BYTES as u64),
        echoed: !traffic.no_echo,
        sent,
        received,
        busiest: counts.busiest(number).map(|busiest| BusiestStretch {
            from_ns: busiest.from_ns,
            lasting_ns: busiest.lasting_ns,
            sent: busiest.sent,
            received: busiest.received,
        }),
    }
}
