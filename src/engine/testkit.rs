//! What tests of the engine's parts share: plans and half rows.

use std::time::Duration;

use crate::event::{ClientEnd, ClientObservation, CloseFirst, DeliveryTally, Wish};
use crate::protocol::control::{HubEnd, HubRefusal, HubWire};
use crate::protocol::settings::SocketBuffers;
use crate::protocol::{AttemptId, CloseCategory, HubSettings, Subprotocol};
use crate::scenario::Plan;
use crate::scenario::plan::{
    Arrival, ArrivalSchedule, Destination, FirstAttempt, Population, Reconnect, ReconnectAfter,
    ReconnectPolicy, Requires, Scaling, Senders, Shaping, TokenPolicy, Traffic, UserPolicy,
};

/// A plan of steady populations of these sizes that arrive at once; two seconds long.
pub(crate) fn plan(counts: &[u32]) -> Plan {
    Plan {
        name: "test".into(),
        title: "a test".into(),
        seed: 1,
        duration: Duration::from_secs(2),
        settle: Duration::from_millis(100),
        grace: Duration::from_secs(1),
        hub: HubSettings::ci(),
        hub_name: "squall".into(),
        upstream: None,
        requires: Requires { control: true, access_key: true },
        populations: counts.iter().zip(0_u16..).map(|(&count, n)| population(n, count)).collect(),
        groups: vec!["room".into()],
        traffic: Vec::new(),
        streams: 0,
        faults: Vec::new(),
        expectations: Vec::new(),
        server_side: crate::scenario::plan::ServerSide::default(),
        thresholds: Vec::new(),
        search: None,
        hash: "0000000000000000".into(),
    }
}

fn population(number: u16, count: u32) -> Population {
    Population {
        name: format!("p{number}"),
        count,
        scaling: Scaling::Proportional,
        arrival: Arrival::Open { start: Duration::ZERO, schedule: ArrivalSchedule::Burst },
        protocol: Subprotocol::Json,
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
        token: TokenPolicy::Minted { lifetime: Duration::from_secs(60) },
    }
}

fn attempt(population: &str, index: u32, attempt: u32) -> AttemptId {
    AttemptId { population: population.into(), index, attempt }
}

/// A client's half of a connection that it closed in order.
pub(crate) fn client_end(population: &str, index: u32, number: u32) -> ClientEnd {
    ClientEnd {
        attempt: attempt(population, index, number),
        planned_ns: 0,
        started_ns: 0,
        opened_ns: Some(1),
        ended_ns: 2,
        connection_id: None,
        observation: ClientObservation::CloseFrame {
            code: Some(1000),
            reason: String::new(),
            first: CloseFirst::Client,
        },
        wish: Wish::Leave,
        behaviour_since_ns: None,
        received: 0,
        read_bytes: 0,
        sent: 0,
        pings: 0,
        pongs: 0,
        delivery: DeliveryTally::default(),
        replies: DeliveryTally::default(),
        tails: Vec::new(),
    }
}

/// The hub's half of a connection that the client closed in order.
pub(crate) fn hub_end(population: &str, index: u32, number: u32) -> HubEnd {
    HubEnd {
        attempt: Some(attempt(population, index, number)),
        connection_id: format!("c{index}"),
        user_id: None,
        category: CloseCategory::Normal,
        later: Vec::new(),
        log_reason: String::new(),
        wire: HubWire::ClientClose { code: Some(1000), reason: String::new() },
        opened_ns: 1,
        decided_ns: 2,
        gone_ns: 2,
        last_life_ns: 1,
        last_pong_ns: None,
        delivered: 0,
        queue_messages: 0,
        queue_bytes: 0,
        written_bytes: 0,
        received: 0,
        upstream: None,
    }
}

/// The hub's half of a refused attempt.
pub(crate) fn hub_refusal(population: &str, index: u32, number: u32) -> HubRefusal {
    HubRefusal {
        attempt: Some(attempt(population, index, number)),
        category: CloseCategory::ConnectionCountLimitReached,
        status: 429,
        log_reason: CloseCategory::ConnectionCountLimitReached.log_reason().to_owned(),
        at_ns: 2,
        upstream: None,
    }
}

/// Acknowledged traffic to the first group from clients `first..first + count` of the first
/// population, at `rate` messages per second each, without an end.
pub(crate) fn traffic(first: u32, count: u32, rate: f64) -> Traffic {
    Traffic {
        name: "chatter".into(),
        from: Senders::Clients { population: 0, first, count },
        to: Destination::Group(0),
        rate,
        size: 64,
        start: Duration::ZERO,
        until: None,
        acknowledged: true,
        in_flight: None,
        no_echo: false,
        stream_base: first,
    }
}
