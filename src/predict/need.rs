//! What a run costs this process and the target, at most.

use std::time::Duration;

use super::budget::per_client;
use super::kernel::absorption;
use super::{HubPlace, Need, fault, flow, forecast};
use crate::scenario::Plan;
use crate::scenario::plan::{
    Arrival, Behaviour, Destination, FirstAttempt, Population, PopulationIndex, ReconnectPolicy,
    Senders, Traffic, Vanish,
};

/// Descriptors for what is no client: results files, control connections, listeners, the runtime.
pub const DESCRIPTORS_RESERVE: u64 = 64;

/// Descriptors of the relay that holds the silence of a black-holed client.
const DESCRIPTORS_PER_RELAY: u64 = 2;

/// Memory of a client, its link and the hub's side of it in a virtual world, its rows in the ledger
/// included, in bytes: what 100,000 of them were measured to take, rounded up.
pub const PAIR_BYTES: u64 = 16 * 1024;

/// How long a port stays taken after its connection was closed in order from this side (TIME_WAIT).
const PORT_REST: Duration = Duration::from_secs(60);

/// Bytes of a message as the service bills outbound traffic (service facts: total traffic, not per
/// message).
const BILLED_BYTES: u64 = 2_048;

const SECOND: Duration = Duration::from_secs(1);

/// Computes the need of a plan: bounds that a run does not exceed. Populations of which one leaves
/// before the next arrives are counted as if they met.
#[must_use]
pub fn need(plan: &Plan, hub: HubPlace) -> Need {
    let connections_peak = plan.populations.iter().map(flow::members).fold(0, u64::saturating_add);
    let relays: u64 =
        plan.populations.iter().filter(|of| is_black_holed(of)).map(flow::members).sum();
    let kernel_bytes = plan.populations.iter().map(|of| pinned_bytes(plan, of)).sum();
    let resting = |of| resting_ports(of).saturating_add(churned(of, PORT_REST.min(plan.duration)));
    let resting: u64 = plan.populations.iter().map(resting).sum();
    let (sockets, ports, memory_bytes) = match hub {
        HubPlace::Embedded | HubPlace::Elsewhere => {
            let sockets = connections_peak
                .saturating_mul(per_client(hub))
                .saturating_add(relays.saturating_mul(DESCRIPTORS_PER_RELAY));
            (sockets, connections_peak.saturating_add(resting), None)
        }
        HubPlace::InMemory => {
            let memory = plan.clients().saturating_mul(PAIR_BYTES).saturating_add(kernel_bytes);
            (0, 0, Some(memory))
        }
    };
    let mut need = Need {
        connections_peak,
        descriptors: sockets.saturating_add(DESCRIPTORS_RESERVE),
        ports,
        kernel_bytes,
        memory_bytes,
        connects_per_second: connects_per_second(plan),
        opens: plan
            .populations
            .iter()
            .map(|of| u64::from(of.count).saturating_add(churned(of, plan.duration)))
            .fold(0, u64::saturating_add),
        messages_in: 0,
        messages_out: 0,
        billed_messages: 0,
        user_events: 0,
        user_events_per_second: 0,
    };
    let mut outbound_bytes = 0_u64;
    for traffic in &plan.traffic {
        let each = flow::messages_per_sender(plan, traffic);
        let published = each.saturating_mul(u64::from(traffic.from.count()));
        let delivered = published.saturating_mul(receivers(plan, traffic));
        need.messages_in = need.messages_in.saturating_add(published);
        need.messages_out = need.messages_out.saturating_add(delivered);
        let handled = if flow::is_handled(plan, traffic) { published } else { 0 };
        need.user_events = need.user_events.saturating_add(handled);
        // What goes to handlers is outbound too.
        let outbound = delivered.saturating_add(handled);
        outbound_bytes =
            outbound_bytes.saturating_add(outbound.saturating_mul(u64::from(traffic.size)));
    }
    need.user_events_per_second = user_events_per_second(plan);
    need.billed_messages = outbound_bytes.div_ceil(BILLED_BYTES);
    need
}

/// The most user events that handlers are sent in a second, by the rates of what is sent at once.
fn user_events_per_second(plan: &Plan) -> u64 {
    let handled = || plan.traffic.iter().filter(|traffic| flow::is_handled(plan, traffic));
    let at = |at: Duration| -> f64 {
        let going = |traffic: &&Traffic| traffic.start <= at && at < flow::end(plan, traffic);
        handled().filter(going).map(|of| of.rate * f64::from(of.from.count())).sum()
    };
    flow::whole(handled().map(|traffic| at(traffic.start)).fold(0.0, f64::max).ceil())
}

fn is_black_holed(population: &Population) -> bool {
    population
        .behaviours
        .iter()
        .any(|timed| matches!(timed.behaviour, Behaviour::Vanish { how: Vanish::BlackHole }))
}

/// Ports of closed arrivals that still rest when the next client of the slot connects.
fn resting_ports(population: &Population) -> u64 {
    let Arrival::Closed { slots, .. } = population.arrival else { return 0 };
    let (slots, count) = (u64::from(slots), u64::from(population.count));
    let later = count.saturating_sub(slots);
    match population.lifetime {
        Some(lifetime) if !lifetime.is_zero() => {
            let turns = PORT_REST.as_nanos().div_ceil(lifetime.as_nanos());
            later.min(slots.saturating_mul(u64::try_from(turns).unwrap_or(u64::MAX)))
        }
        _ => later,
    }
}

/// Departures of a population by churn within any window of this length, at most: what is drawn
/// stays within six standard deviations of its mean, and three more while that is small.
fn churned(population: &Population, window: Duration) -> u64 {
    let Some(rate) = population.churn else { return 0 };
    let mean = flow::members(population) as f64 * rate * window.as_secs_f64();
    flow::whole((mean + 6.0 * mean.sqrt() + 3.0).ceil())
}

/// Kernel memory that a population's clients pin by not reading: what the buffers take, or all that
/// is sent to them, if that is less.
fn pinned_bytes(plan: &Plan, population: &Population) -> u64 {
    let receive = match slowest(population) {
        Reading::AsItComes => return 0,
        Reading::Lags => population.buffers.receive,
        // The buffer of the relay, which has the system's default size.
        Reading::Silenced => None,
    };
    let each = *absorption(receive, plan.hub.buffers.send).end();
    let sent = flow::reaching(plan, population).fold(0_u64, |sum, traffic| {
        let messages = flow::messages_to_each(plan, traffic);
        sum.saturating_add(messages.saturating_mul(flow::frame_bytes(population, traffic)))
    });
    flow::members(population).saturating_mul(each.min(sent))
}

/// How a population reads at its worst.
enum Reading {
    AsItComes,
    Lags,
    Silenced,
}

fn slowest(population: &Population) -> Reading {
    let lags = population.behaviours.iter().any(|timed| {
        matches!(
            timed.behaviour,
            Behaviour::Stall | Behaviour::SlowReadBytes { .. } | Behaviour::SlowReadMessages { .. }
        )
    });
    match (is_black_holed(population), lags) {
        (true, _) => Reading::Silenced,
        (false, true) => Reading::Lags,
        (false, false) => Reading::AsItComes,
    }
}

/// Connections that one message of a traffic goes to, at most: of an event that a handler takes,
/// its sender, to which the handler may answer.
fn receivers(plan: &Plan, traffic: &Traffic) -> u64 {
    match traffic.to {
        Destination::Event { .. } => return u64::from(flow::is_handled(plan, traffic)),
        Destination::Users { .. } => return 1,
        Destination::Rooms(rooms) => {
            return u64::from(rooms.members).saturating_sub(u64::from(traffic.no_echo));
        }
        Destination::Group(_) | Destination::Everybody => {}
    }
    let members = plan
        .populations
        .iter()
        .filter(|population| traffic.reaches(population))
        .map(flow::members)
        .fold(0, u64::saturating_add);
    let is_member = match traffic.from {
        Senders::Rest => false,
        Senders::Clients { population, .. } => plan
            .populations
            .get(usize::from(population))
            .is_some_and(|population| traffic.reaches(population)),
    };
    members.saturating_sub(u64::from(traffic.no_echo && is_member))
}

/// The most attempts that begin within any second: arrivals as planned, and returns after a fault
/// on top of the arrivals around it.
fn connects_per_second(plan: &Plan) -> u64 {
    let mut instants: Vec<Duration> =
        plan.populations.iter().flat_map(|of| forecast::arrivals(plan, of)).collect();
    instants.sort_unstable();
    let within = |from: Duration, to: Duration| {
        let begin = instants.partition_point(|at| *at < from);
        (instants.partition_point(|at| *at < to) - begin) as u64
    };
    let arriving =
        instants.iter().map(|at| within(*at, at.saturating_add(SECOND))).max().unwrap_or(0);
    let returning = plan.faults.iter().map(|at| {
        let returns: u64 = (0..)
            .zip(&plan.populations)
            .map(|(index, of)| returns(plan, index, of, &at.fault))
            .sum();
        let until = at.at.saturating_add(fault::spread(&at.fault)).saturating_add(SECOND);
        returns.saturating_add(within(at.at, until).min(arriving))
    });
    // Dropped for what they do, all of them may come back in one second.
    let flapping: u64 = plan
        .populations
        .iter()
        .filter(|of| !of.is_well_behaved() && of.reconnect.policy != ReconnectPolicy::None)
        .map(flow::members)
        .sum();
    let refilling: u64 = plan
        .populations
        .iter()
        .filter(|of| matches!(of.arrival, Arrival::Closed { .. }))
        .map(flow::members)
        .sum();
    let again = flapping.saturating_add(refilling);
    let churning = plan.populations.iter().map(|of| churned(of, SECOND)).sum();
    returning.chain([arriving]).max().unwrap_or(0).max(again).saturating_add(churning)
}

/// Attempts of a population within one second after a fault.
fn returns(
    plan: &Plan,
    index: PopulationIndex,
    population: &Population,
    fault: &crate::scenario::plan::Fault,
) -> u64 {
    if population.reconnect.policy == ReconnectPolicy::None || fault::category(fault).is_none() {
        return 0;
    }
    let dropped = fault::victims(plan, index, fault, flow::members(population)).at_most;
    let window = match population.reconnect.first {
        FirstAttempt::Within(window) => window,
        FirstAttempt::AfterDelay => Duration::ZERO,
    };
    let spread = window.saturating_add(fault::spread(fault)).max(SECOND);
    let mean = dropped as f64 / spread.as_secs_f64();
    // Drawn instants are not even: four standard deviations hold for any second of a run.
    let drawn = if spread > SECOND { 4.0 * mean.sqrt() } else { 0.0 };
    flow::whole((mean + drawn).ceil()).min(dropped)
}
