//! What an estimate takes for granted, and what its reader must know.

use super::super::WITHIN;
use super::super::bill::BILLED_BYTES;
use super::super::demand::{flows, traced_records};
use super::super::dimension::{Direction, Pattern};
use super::super::model::at_once;
use super::super::table::{measured, sku, unit_steps};
use super::super::workload::{Asked, Basis, Inbound, LiveTrace, Need, Target, Traffic, Workload};
use super::{Assumption, Estimate, Resource, Revisions};
use crate::protocol::settings::Tier;

/// Units that a subscription may have in a region by default (azure-docs limits).
const UNITS_PER_REGION: u32 = 150;

/// Units from which on the routing of small groups is not in Server Load (azure-docs
/// `concept-performance.md`).
const ROUTING_UNITS: u32 = 50;

pub(super) fn list(workload: &Workload) -> Vec<Assumption> {
    let mut all = workload.taken.clone();
    let mut add = |what: &str, source, basis| {
        all.push(Assumption { what: what.to_owned(), source, basis });
    };
    add("connections and rates of the workload", "what you said, or the run", workload.basis);
    let guide = "azure-docs concept-performance";
    let benchmark = Basis::MicrosoftBenchmark;
    add(
        "throughput of units: 2,048-byte messages, 99 % under 1 s; no hard limits",
        guide,
        benchmark,
    );
    add("a message under 1,024 bytes costs as much as 1,024", guide, benchmark);
    add("throughput is planned up to 70 %: latency is low below (Server Load)", guide, benchmark);
    add(
        "connections: 1,000 a unit, planned up to 80 %",
        "azure-docs concept-billing-model",
        benchmark,
    );
    let few = format!(
        "groups of fewer than {} members are small ones",
        workload.revision.small_group_below()
    );
    add(&few, guide, Basis::Assumption);
    let to_others =
        |traffic: &&Traffic| !matches!(traffic.target, Target::Groups { .. } | Target::Upstream);
    for traffic in workload.traffic.iter().filter(to_others) {
        let senders = match traffic.senders {
            1 => "1 sender".to_owned(),
            many => format!("{many} senders"),
        };
        let what = format!("{}: {senders} at once", traffic.name);
        add(&what, "what you said, or one", Basis::Assumption);
    }
    if let Some(from) = workload.profile.begins() {
        let what = format!("the load of the day begins at {from:02}:00 UTC");
        add(&what, "what you said, or 08:00", Basis::Assumption);
    }
    add("patterns share units: their fractions add up", "Squall", Basis::Assumption);
    if workload.inbound == Inbound::Conditions {
        add(
            "30 in (big groups) and 3 in (REST broadcast) are what the benchmark sent, no limits",
            "Squall; `inbound = \"limits\"` reads them the other way",
            Basis::Assumption,
        );
    }
    add(
        "billed messages: outbound bytes / 2 KiB, or each message rounded up; both are told",
        "azure-docs concept-billing-model",
        benchmark,
    );
    add(
        "connects a second: SignalR's of 2021, not published for Web PubSub",
        "azure-signalr issue 1282",
        Basis::Assumption,
    );
    add("a second's worth of connects is saved up before a reload", "Squall", Basis::Assumption);
    let latency = format!("upstream latency {} ms", workload.upstream.latency.as_millis());
    add(&latency, "what you said, or 100 ms", Basis::Assumption);
    if workload.upstream.asked == Asked::OnConnect {
        add("every connect asks the upstream once", "what you said, or Squall", Basis::Assumption);
    }
    add(
        "events of connects are not in the bill: their sizes are not known",
        "Squall",
        Basis::Assumption,
    );
    if let LiveTrace::On { record } = workload.live_trace {
        let what = format!("live trace: a record of {record} bytes for every message in and out");
        add(&what, "Squall; no source states it", Basis::Assumption);
    }
    add(
        "stalled clients: a queue of 16 MiB or 1,000 messages (Microsoft's emulator) and 4 MiB of \
         kernel each",
        "Squall's measurement of Linux; unconfirmed for the service",
        Basis::Assumption,
    );
    all
}

pub(super) fn cautions(workload: &Workload, estimate: &Estimate) -> Vec<String> {
    let mut all: Vec<String> = other_revision(estimate).into_iter().collect();
    if let Some(resource) = estimate.recommended {
        if resource.units > UNITS_PER_REGION {
            all.push(format!(
                "{} units are more than the {UNITS_PER_REGION} that a subscription has in a \
                 region by default: ask for more first",
                resource.units
            ));
        }
        if resource.tier == Tier::Free {
            all.push(
                "Free stops with its daily messages; its throughput is not published, one paid \
                 unit's is assumed; a paid tier later on has another public IP, and DNS takes 30 \
                 to 60 min to tell it"
                    .to_owned(),
            );
        }
    }
    all.extend(slow_at_once(workload, estimate));
    all.extend(inbound(workload, estimate));
    all.extend(not_in_the_figures(workload, estimate));
    if let Some(words) = setting_the_bill(workload, estimate) {
        all.push(words);
    }
    if let Some(cost) = estimate.cost.as_ref().filter(|cost| cost.is_old) {
        all.push(format!("the prices are {} days old: read them again", cost.age_days));
    }
    if workload.slack.ghosts <= 0.0 && workload.slack.overlap <= 0.0 {
        all.push(
            "no slack for ghosts or for the overlap of a reload is planned for: say `[slack]`, or \
             --ghosts and --overlap"
                .to_owned(),
        );
    }
    if traced_records(workload).1 > 0 {
        all.push("live trace is billed like messages: switch it off when nobody looks".to_owned());
    }
    all
}

/// What neither units nor money of the estimate know of.
fn not_in_the_figures(workload: &Workload, estimate: &Estimate) -> Vec<String> {
    let mut all = Vec::new();
    if workload.needs.contains(&Need::Replicas) {
        all.push(
            "units, messages and money are of one resource: each replica is billed for its own, \
             and a message that crosses to it counts again"
                .to_owned(),
        );
    }
    let units = estimate.recommended.map_or(0, |resource| resource.units);
    let routes = flows(workload).iter().any(|flow| flow.pattern == Pattern::SmallGroup);
    if units >= ROUTING_UNITS && routes {
        all.push(format!(
            "from {ROUTING_UNITS} units on the routing of small groups costs what Server Load does \
             not show: watch latency, and scale out by connections or by schedule"
        ));
    }
    all
}

/// Where the two revisions of the small-group figures lead to different answers.
fn other_revision(estimate: &Estimate) -> Option<String> {
    let Revisions { used, other, other_recommends, .. } = estimate.revisions;
    let units = |resource: Option<Resource>| match resource {
        Some(Resource { sku, units: 1, .. }) => format!("1 unit of {sku}"),
        Some(Resource { sku, units, .. }) => format!("{units} units of {sku}"),
        None => "no single resource".to_owned(),
    };
    (other_recommends != estimate.recommended).then(|| {
        format!(
            "the answer depends on which revision of Microsoft's figures for small groups holds: \
             the {} one, used here, has {} and leads to {}; the {} one has {} and leads to {} \
             (--revision {})",
            used.name(),
            used.figures(),
            units(estimate.recommended),
            other.name(),
            other.figures(),
            units(other_recommends),
            other.name(),
        )
    })
}

/// Messages that units cannot be done with in a second, however rarely they come.
fn slow_at_once(workload: &Workload, estimate: &Estimate) -> Option<String> {
    let Resource { tier, units, .. } = estimate.recommended?;
    let whole = at_once(workload, tier, units);
    if whole < WITHIN {
        return None;
    }
    let alone = |traffic: &Traffic| {
        let one = Workload { traffic: vec![traffic.clone()], ..workload.clone() };
        (at_once(&one, tier, units), traffic.name.clone())
    };
    let (longest, name) = workload.traffic.iter().map(alone).max()?;
    let tiers = if tier == Tier::Premium { [tier; 2] } else { [Tier::Standard, Tier::Premium] };
    let mut steps = tiers
        .into_iter()
        .flat_map(|tier| unit_steps(tier, workload.unit_list).into_iter().map(move |n| (tier, n)));
    let enough = steps.find(|(tier, units)| at_once(workload, *tier, *units) < WITHIN);
    let remedy = enough.map_or_else(
        || "no single resource would be done within it".to_owned(),
        |(tier, units)| format!("{} units of {} would be", units, sku(tier, units)),
    );
    let busy = if units == 1 { "unit is" } else { "units are" };
    Some(format!(
        "99 % of messages within a second cannot hold when a message of every kind comes at once: \
         the {units} {busy} then busy for {:.1} s (`{name}` alone takes {:.1} s) and what comes \
         behind waits; {remedy}, or send smaller messages",
        whole.as_secs_f64(),
        longest.as_secs_f64(),
    ))
}

/// Broadcasts faster than the benchmark's: past what was measured.
fn inbound(workload: &Workload, estimate: &Estimate) -> Vec<String> {
    if workload.inbound == Inbound::Limits {
        return Vec::new();
    }
    let units = estimate.recommended.map_or(1, |resource| resource.units);
    let mut all = Vec::new();
    for pattern in [Pattern::BigGroup, Pattern::RestBroadcast] {
        let rate: f64 = flows(workload)
            .iter()
            .filter(|flow| flow.pattern == pattern)
            .map(|flow| flow.messages_in)
            .sum();
        let benchmark = measured(pattern, Direction::In, units, workload.revision);
        if rate > benchmark {
            all.push(format!(
                "{pattern}: {rate:.1} messages/s come in, the benchmark had {benchmark}: nobody \
                 has published what happens beyond"
            ));
        }
    }
    all
}

/// Where messages cost more than units.
fn setting_the_bill(workload: &Workload, estimate: &Estimate) -> Option<String> {
    let dear = match &estimate.cost {
        Some(cost) => cost.messages.least > cost.units.value.unwrap_or_default(),
        // Without prices nobody can tell.
        None => false,
    };
    let small = workload.traffic.iter().any(|traffic| traffic.size < BILLED_BYTES);
    dear.then(|| {
        let rounding = if small {
            "; up to 2 KiB in one message are billed as one, should messages be rounded up"
        } else {
            ""
        };
        format!("messages, not connections, set the bill: send less often, batch or trim{rounding}")
    })
}
