//! A workload as a scenario file: what `--consistency` runs, and what a user may run and change.

use std::fmt::Write as _;

use super::{OwnMessages, Target, Tier, Traffic, Workload, throughput};
use crate::protocol::stamp::STAMP_BYTES;
use crate::protocol::throughput::{Flow, Throughput};

/// Connections that a run may have: what a load of 100,000 may be raised to.
pub const CONNECTIONS_MAX: u64 = 250_000;

/// How long messages are sent once everybody is there, in seconds.
const SENDING_S: f64 = 20.0;

/// From the last arrival to the first message, in seconds.
const SETTLING_S: f64 = 2.0;

/// Name of the group that everybody is in.
const EVERYONE: &str = "everyone";

/// Why a workload cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotRun {
    /// Too many clients.
    #[error("{connections} connections are more than the {CONNECTIONS_MAX} that one run may have")]
    TooLarge {
        /// How many it has.
        connections: u64,
    },
    /// Rooms of different kinds of groups may not share clients.
    #[error("its groups need {needed} clients, and there are {connections}")]
    TooFewClients {
        /// Clients of all groups.
        needed: u64,
        /// Connections.
        connections: u64,
    },
    /// More send than can.
    #[error("`{traffic}` has {senders} senders, and {there} clients can send it")]
    TooManySenders {
        /// The kind of message.
        traffic: String,
        /// Senders.
        senders: u64,
        /// Clients that can.
        there: u64,
    },
}

/// A population of the scenario.
struct Crowd {
    name: String,
    count: u64,
    rooms: Option<u64>,
    part: Part,
}

/// What a population is in the workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Clients.
    Clients,
    /// Connections that count and serve nobody: ghosts, and those counted twice.
    Slack,
}

/// The scenario of a workload's busiest hour on so many units of a tier, in the grammar of scenario
/// files. Everybody connects as fast as the hub lets them in, then messages are sent for 20 s.
///
/// # Errors
///
/// When the workload is too large for one run, or contradicts itself as a crowd of clients.
pub fn scenario(workload: &Workload, tier: Tier, units: u32) -> Result<String, NotRun> {
    let crowds = crowds(workload)?;
    let limits = throughput(workload, tier, units);
    let per_second = limits.connects.map_or(u32::MAX, |rate| rate.per_second);
    let count: u64 = crowds.iter().map(|crowd| crowd.count).sum();
    #[expect(clippy::cast_precision_loss, reason = "at most 250,000")]
    let arriving = count as f64 / f64::from(per_second);
    let start = (arriving + SETTLING_S).ceil();
    let mut text = format!(
        "# {} on {units} units, {}. The hub is a model of those units, not Azure.\n\
         title = {:?}\nduration = \"{}s\"\n",
        workload.title,
        tier_name(tier),
        workload.title,
        start + SENDING_S + 10.0,
    );
    hub(&mut text, tier, units, &limits);
    let echoes = workload.traffic.iter().any(|traffic| traffic.target == Target::Upstream);
    if echoes {
        text.push_str(
            "\n[[hub.event_handlers]]\nurl = \"http://upstream/\"\nuser_events = \"echo\"\n\
             \n[[upstream.rules]]\non = [\"echo\"]\nanswer = { echo = {} }\n",
        );
    }
    let to_everyone = workload.traffic.iter().any(|traffic| traffic.target == Target::Everyone);
    let mut before = 0_u64;
    for crowd in &crowds {
        let begin = before * 1_000 / u64::from(per_second);
        let _ = write!(
            text,
            "\n[populations.{}]\ncount = {}\n\
             arrival = {{ rate = \"{per_second}/s\", start = \"{begin}ms\" }}\n",
            crowd.name, crowd.count
        );
        if let Some(members) = crowd.rooms {
            let _ = writeln!(text, "rooms = {members}");
        }
        if to_everyone && crowd.part == Part::Clients {
            let _ = writeln!(text, "groups = [{EVERYONE:?}]");
        }
        before += crowd.count;
    }
    for (number, kind) in workload.traffic.iter().enumerate() {
        traffic(&mut text, number, kind, &crowds, start)?;
    }
    for crowd in &crowds {
        let _ = write!(text, "\n[expect.{}]\ncloses = {{ Normal = \"all\" }}\n", crowd.name);
    }
    Ok(text)
}

fn crowds(workload: &Workload) -> Result<Vec<Crowd>, NotRun> {
    let connections = workload.connections_counted();
    if connections > CONNECTIONS_MAX {
        return Err(NotRun::TooLarge { connections });
    }
    let mut crowds = Vec::new();
    for (number, traffic) in workload.traffic.iter().enumerate() {
        if let Target::Groups { count, members } = traffic.target {
            let count = count.saturating_mul(members);
            crowds.push(Crowd {
                name: format!("rooms{number}"),
                count,
                rooms: Some(members),
                part: Part::Clients,
            });
        }
    }
    let needed: u64 = crowds.iter().map(|crowd| crowd.count).fold(0, u64::saturating_add);
    let clients = workload.connections;
    if needed > clients {
        return Err(NotRun::TooFewClients { needed, connections: clients });
    }
    let rest = [
        ("others", clients - needed, Part::Clients),
        ("slack", connections.saturating_sub(clients), Part::Slack),
    ];
    for (name, count, part) in rest.into_iter().filter(|(_, count, _)| *count > 0) {
        crowds.push(Crowd { name: name.into(), count, rooms: None, part });
    }
    Ok(crowds)
}

fn hub(text: &mut String, tier: Tier, units: u32, limits: &Throughput) {
    let _ = write!(
        text,
        "\n[hub]\nprofile = \"real\"\ntier = \"{}\"\nunits = {units}\n\n[hub.throughput]\n\
         small_below = {}\n",
        tier_name(tier),
        limits.small_below
    );
    if let Some(rate) = limits.connects {
        let (rate, burst) = (rate.per_second, rate.burst);
        let _ = writeln!(text, "connects = {{ rate = \"{rate}/s\", burst = {burst} }}");
    }
    for (pattern, limits) in &limits.patterns {
        let flow = |flow: Flow| {
            format!("{{ messages = \"{}/s\", bytes = \"{}B/s\" }}", flow.messages, flow.bytes)
        };
        let (inbound, outbound, name) =
            (flow(limits.inbound), flow(limits.outbound), pattern.name());
        let _ =
            write!(text, "\n[hub.throughput.{name}]\ninbound = {inbound}\noutbound = {outbound}\n");
    }
}

fn traffic(
    text: &mut String,
    number: usize,
    kind: &Traffic,
    crowds: &[Crowd],
    start: f64,
) -> Result<(), NotRun> {
    let rooms = format!("rooms{number}");
    let senders = match kind.target {
        Target::Groups { .. } => crowds.iter().find(|crowd| crowd.name == rooms),
        _ => {
            let clients = crowds.iter().filter(|crowd| crowd.part == Part::Clients);
            clients.max_by_key(|crowd| crowd.count)
        }
    };
    let there = senders.map_or(0, |crowd| crowd.count);
    let is_by_rest = matches!(kind.target, Target::RestToUser | Target::RestBroadcast);
    if !is_by_rest && kind.senders > there {
        let traffic = kind.name.clone();
        return Err(NotRun::TooManySenders { traffic, senders: kind.senders, there });
    }
    let name = senders.map_or("others", |crowd| crowd.name.as_str());
    let to = match kind.target {
        Target::Groups { .. } => "{ rooms = {} }".to_owned(),
        Target::Everyone => format!("{{ group = {EVERYONE:?} }}"),
        Target::Upstream => "{ event = \"echo\" }".to_owned(),
        Target::RestToUser => format!("{{ users = {name:?} }}"),
        Target::RestBroadcast => "{ everybody = {} }".to_owned(),
    };
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
    let (from, rate) = match is_by_rest {
        true => ("rest".to_owned(), kind.rate * kind.senders as f64),
        false => (format!("{name}[0..{}]", kind.senders), kind.rate),
    };
    let _ = write!(
        text,
        "\n[traffic.t{number}] # {}\nfrom = {from:?}\nto = {to}\nrate = \"{rate}/s\"\n\
         size = \"{}B\"\nstart = \"{start}s\"\nuntil = \"{}s\"\n",
        kind.name.replace(['\n', '\r'], " "),
        kind.size.max(STAMP_BYTES as u64),
        start + SENDING_S,
    );
    match (kind.target, kind.own) {
        (Target::Groups { .. } | Target::Everyone, OwnMessages::Withheld) => {
            text.push_str("no_echo = true\n");
        }
        (Target::Upstream, _) => text.push_str("reply = \"echo\"\n"),
        _ => {}
    }
    Ok(())
}

const fn tier_name(tier: Tier) -> &'static str {
    match tier {
        Tier::Free => "free",
        Tier::Standard => "standard",
        Tier::Premium => "premium",
    }
}
