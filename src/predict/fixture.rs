//! Plans by hand, for the tests of this layer.

use std::time::Duration;

use crate::protocol::settings::{HubSettings, SocketBuffers};
use crate::protocol::{CloseCategory, Subprotocol};
use crate::scenario::Plan;
use crate::scenario::plan::{
    Arrival, ArrivalSchedule, Behaviour, Claim, Destination, Expectation, Fault, FaultAt,
    FirstAttempt, Population, Quantity, Reconnect, ReconnectAfter, ReconnectPolicy, Requires,
    Scaling, Senders, Shaping, TimedBehaviour, TokenPolicy, Traffic, UserPolicy,
};

pub(crate) const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A plan of fifteen seconds on the CI hub, with nothing in it but populations and one group.
pub(crate) fn plan(populations: Vec<Population>) -> Plan {
    Plan {
        name: "by-hand".into(),
        title: String::new(),
        seed: 7,
        duration: ms(15_000),
        settle: ms(500),
        grace: ms(2_000),
        hub: HubSettings::ci(),
        hub_name: "hub".into(),
        upstream: None,
        requires: Requires::default(),
        populations,
        groups: vec!["room".into()],
        traffic: Vec::new(),
        streams: 0,
        faults: Vec::new(),
        expectations: Vec::new(),
        server_side: crate::scenario::plan::ServerSide::default(),
        thresholds: Vec::new(),
        search: None,
        hash: String::new(),
    }
}

/// Steady clients in the one group, all at once from the start.
pub(crate) fn population(name: &str, count: u32) -> Population {
    Population {
        name: name.into(),
        count,
        scaling: Scaling::Proportional,
        arrival: Arrival::Open { start: Duration::ZERO, schedule: ArrivalSchedule::Burst },
        protocol: Subprotocol::Simple,
        groups: vec![0],
        rooms: Vec::new(),
        user: UserPolicy::PerClient,
        behaviours: Vec::new(),
        buffers: SocketBuffers::default(),
        shaping: Shaping::default(),
        reconnect: Reconnect {
            policy: ReconnectPolicy::None,
            after: ReconnectAfter::Drop,
            first: FirstAttempt::Within(Duration::ZERO),
            attempts: None,
        },
        lifetime: None,
        churn: None,
        token: TokenPolicy::Minted { lifetime: ms(3_600_000) },
    }
}

/// The population with a behaviour from an instant on.
pub(crate) fn behaving(
    mut population: Population,
    behaviour: Behaviour,
    from: Duration,
) -> Population {
    population.behaviours.push(TimedBehaviour { behaviour, from, until: None });
    population
}

/// The population with a constant arrival rate.
pub(crate) fn arriving(mut population: Population, rate: f64) -> Population {
    let schedule = ArrivalSchedule::Constant { rate };
    population.arrival = Arrival::Open { start: Duration::ZERO, schedule };
    population
}

/// Client 0 of population 0 sends to the group.
pub(crate) fn traffic(rate: f64, size: u32, start: Duration) -> Traffic {
    Traffic {
        name: "chatter".into(),
        from: Senders::Clients { population: 0, first: 0, count: 1 },
        to: Destination::Group(0),
        rate,
        size,
        start,
        until: None,
        acknowledged: true,
        in_flight: None,
        no_echo: false,
        stream_base: 0,
    }
}

pub(crate) fn expecting(plan: &mut Plan, population: u16, claim: Claim) {
    let name = &plan.populations[usize::from(population)].name;
    let path = match &claim {
        Claim::Closes(_) => "closes",
        Claim::CloseWithin { .. } => "close_within",
        Claim::DeliveryComplete => "delivery",
        Claim::RepliesComplete => "replies",
        _ => "claim",
    };
    let path = format!("expect.{name}.{path}");
    plan.expectations.push(Expectation { population, claim, path });
}

pub(crate) fn closes(wanted: &[(CloseCategory, u64)]) -> Claim {
    let exactly = |(category, count): &(_, u64)| (*category, Quantity::exactly(*count));
    Claim::Closes(wanted.iter().map(exactly).collect())
}

pub(crate) const fn at(at: Duration, fault: Fault) -> FaultAt {
    FaultAt { at, fault }
}
