//! A workload as a scenario file: what `--consistency` runs, and what a user may run and change.

use std::fmt::Write as _;

use super::consistency::within;
use super::{OwnMessages, Target, Tier, Traffic, Workload, throughput};
use crate::protocol::stamp::STAMP_BYTES;
use crate::protocol::throughput::{Flow, Throughput};
use crate::scenario::plan::{GROUPS_MAX, OUTBOX_BYTES_MAX};

/// Connections that a run may have: what a load of 100,000 may be raised to.
pub const CONNECTIONS_MAX: u64 = 250_000;

/// Payload of a client's message that a run can send: the frame around it has to fit as well.
pub const CLIENT_MESSAGE_BYTES_MAX: u64 = OUTBOX_BYTES_MAX as u64 - 1_024;

/// How long messages are sent once everybody is there, in times of what 99 % of them may take: a
/// load that is 15 % too large is late by three times that in the end.
const SENDING: f64 = 20.0;

/// What a hub that is too full may take for what is left, in the same times.
const DRAINING: f64 = 10.0;

/// From the last arrival to the first message, in seconds.
const SETTLING_S: f64 = 2.0;

/// Name of the population that sends and is sent to.
const CLIENTS: &str = "clients";

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
    /// Too many groups.
    #[error("all who are connected in groups of so many: more groups than one run may have")]
    TooManyGroups {
        /// The kind of message that comes past it.
        traffic: String,
    },
    /// A client cannot send a message.
    #[error("a client of a run sends at most {CLIENT_MESSAGE_BYTES_MAX} bytes in one message")]
    MessageTooLarge {
        /// The kind of message.
        traffic: String,
    },
}

/// A population of the scenario.
struct Crowd {
    name: &'static str,
    count: u64,
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
/// files. Everybody connects as fast as the hub lets them in, then messages are sent for 20 s, or
/// longer where the units need more than a second for one message.
///
/// # Errors
///
/// When the workload is too large for one run, or a message for one client.
pub fn scenario(workload: &Workload, tier: Tier, units: u32) -> Result<String, NotRun> {
    let crowds = crowds(workload)?;
    let rooms = rooms(workload)?;
    let limits = throughput(workload, tier, units);
    let per_second = limits.connects.map_or(u32::MAX, |rate| rate.per_second);
    let count: u64 = crowds.iter().map(|crowd| crowd.count).sum();
    #[expect(clippy::cast_precision_loss, reason = "at most 250,000")]
    let arriving = count as f64 / f64::from(per_second);
    let start = (arriving + SETTLING_S).ceil();
    let within = within(workload, tier, units).as_secs_f64();
    let until = (start + SENDING * within).ceil();
    let mut text = format!(
        "# {} on {units} units, {}. The hub is a model of those units, not Azure.\n\
         title = {:?}\nduration = \"{}s\"\ngrace = \"{}s\"\n",
        workload.title,
        tier_name(tier),
        workload.title,
        (until + DRAINING * within).ceil(),
        // A run ends early when nothing more is to come; the last message has its time then too.
        (DRAINING * within).ceil(),
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
        if crowd.part == Part::Clients && !rooms.is_empty() {
            let _ = writeln!(text, "rooms = {rooms:?}");
        }
        if to_everyone {
            let _ = writeln!(text, "groups = [{EVERYONE:?}]");
        }
        before += crowd.count;
    }
    for (number, kind) in workload.traffic.iter().enumerate() {
        traffic(&mut text, number, kind, workload.connections, (start, until))?;
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
    let clients = workload.connections;
    let all = [
        Crowd { name: CLIENTS, count: clients, part: Part::Clients },
        Crowd { name: "slack", count: connections.saturating_sub(clients), part: Part::Slack },
    ];
    Ok(all.into_iter().filter(|crowd| crowd.count > 0).collect())
}

/// Sizes of groups, each once: every client is in one group of each.
fn rooms(workload: &Workload) -> Result<Vec<u64>, NotRun> {
    let (mut sizes, mut groups) = (Vec::new(), 0);
    for traffic in &workload.traffic {
        if let Target::Groups { members, .. } = traffic.target
            && !sizes.contains(&members)
        {
            groups += workload.connections.div_ceil(members.max(1));
            if groups >= GROUPS_MAX as u64 {
                return Err(NotRun::TooManyGroups { traffic: traffic.name.clone() });
            }
            sizes.push(members);
        }
    }
    Ok(sizes)
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

/// One kind of message. A group of the same size is as good as another for a hub, and so is a
/// sender: where there are fewer than the workload speaks of, those send as many messages.
fn traffic(
    text: &mut String,
    number: usize,
    kind: &Traffic,
    clients: u64,
    (start, until): (f64, f64),
) -> Result<(), NotRun> {
    let is_by_rest = matches!(kind.target, Target::RestToUser | Target::RestBroadcast);
    if !is_by_rest && kind.size > CLIENT_MESSAGE_BYTES_MAX {
        return Err(NotRun::MessageTooLarge { traffic: kind.name.clone() });
    }
    let there = match kind.target {
        // Only of whole groups.
        Target::Groups { count, members } => count.min(clients / members.max(1)) * members,
        _ => clients,
    };
    let senders = if is_by_rest { 1 } else { kind.senders.min(there).max(1) };
    let to = match kind.target {
        Target::Groups { members, .. } => format!("{{ rooms = {members} }}"),
        Target::Everyone => format!("{{ group = {EVERYONE:?} }}"),
        Target::Upstream => "{ event = \"echo\" }".to_owned(),
        Target::RestToUser => format!("{{ users = {CLIENTS:?} }}"),
        Target::RestBroadcast => "{ everybody = {} }".to_owned(),
    };
    let from = if is_by_rest { "rest".to_owned() } else { format!("{CLIENTS}[0..{senders}]") };
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
    let rate = kind.rate * kind.senders as f64 / senders as f64;
    let _ = write!(
        text,
        "\n[traffic.t{number}] # {}\nfrom = {from:?}\nto = {to}\nrate = \"{rate}/s\"\n\
         size = \"{}B\"\nstart = \"{start}s\"\nuntil = \"{}s\"\n",
        kind.name.replace(['\n', '\r'], " "),
        kind.size.max(STAMP_BYTES as u64),
        until,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capacity::at_once;
    use crate::scenario::{Overrides, Source, load};

    #[test]
    fn a_last_message_that_takes_long_has_its_time_before_everybody_leaves() {
        let traffic = Traffic {
            name: "maps".to_owned(),
            target: Target::Everyone,
            senders: 1,
            rate: 0.017,
            size: 65_536,
            own: OwnMessages::Withheld,
        };
        let workload = Workload { traffic: vec![traffic], ..Workload::idle("maps", 2_505) };
        let text = scenario(&workload, Tier::Standard, 4).unwrap();
        let source = Source { name: "maps".to_owned(), origin: "maps".to_owned(), text };
        let plan = load(&source, &Overrides::default(), &|_| None).unwrap();
        let takes = at_once(&workload, Tier::Standard, 4);
        assert!(takes.as_secs_f64() > 6.0 && plan.grace > takes, "{takes:?} {:?}", plan.grace);
    }
}
