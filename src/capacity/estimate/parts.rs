//! Reloads, flash crowds, quotas, upstreams and the other parts of an estimate.

use std::collections::BTreeMap;

use super::super::bill::{BILLED_BYTES, Range, billed_per_second};
use super::super::demand::{THROUGHPUT_BYTES_MIN, flows};
use super::super::file::MESSAGE_BYTES_MAX;
use super::super::sizing::Rung;
use super::super::storm::{least_seconds, play, recommended};
use super::super::table::connect_rate;
use super::super::workload::{Asked, Basis, Workload};
use super::make::{Paid, between, fullest, needed};
use super::{
    Between, Figure, Flash, Loss, Quota, Reload, Resource, Scaling, SizeEffect, SlowCohort,
    StormRow, Then, UpstreamSize,
};
use crate::protocol::HubSettings;
use crate::protocol::settings::Tier;

/// What Linux swallows of a reader that does not read, at its defaults, in bytes (measured over
/// loopback).
pub const KERNEL_BYTES: f64 = 4_229_120.0;

/// Seconds within which a reliable client can recover in Microsoft's emulator.
const RECOVERY_SECONDS: f64 = 30.0;

/// Minutes until autoscale works, at most (azure-docs `howto-scale-autoscale.md`: 3 to 5).
pub const LEAD_MINUTES: f64 = 5.0;

/// Minutes to leave between two operations (same page).
pub const BETWEEN_MINUTES: f64 = 30.0;

/// Percent at which to scale out by the guideline (80 to 90, the stricter).
pub const SCALE_OUT_PERCENT: f64 = 80.0;

/// Sizes whose effect is told beside the workload's own.
const SIZES: [u64; 6] = [64, 1_024, 2_048, 4_096, 65_536, MESSAGE_BYTES_MAX];

pub(super) fn reload(workload: &Workload, resource: Resource) -> Reload {
    let clients = count(workload.connections);
    let rate = f64::from(connect_rate(resource.tier, resource.units));
    let policy = recommended(clients, rate);
    let window = policy.first_within.as_secs_f64();
    let own = workload.reconnect;
    let as_recommended = StormRow::of(window, &play(clients, rate, policy));
    let as_configured = StormRow::of(own.first_within.as_secs_f64(), &play(clients, rate, own));
    let calls = match workload.upstream.asked {
        Asked::OnConnect => rate.min(clients),
        Asked::Never => 0.0,
    };
    Reload {
        clients: Figure::new(clients, workload.basis),
        connects_per_s: Figure::new(rate, Basis::Assumption),
        least_s: Figure::new(least_seconds(clients, rate), Basis::Model),
        window_s: Figure::new(window, Basis::Model),
        as_configured,
        as_recommended,
        upstream_calls_per_s: Figure::new(calls, Basis::Model),
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^53")]
const fn count(count: u64) -> f64 {
    count as f64
}

pub(super) fn flash(workload: &Workload, resource: Resource, times: f64) -> Flash {
    let crowd = workload.with_users(times);
    let cap = f64::from(resource.tier.connections_per_unit()) * f64::from(resource.units);
    let (before, after) =
        (count(workload.connections_counted()), count(crowd.connections_counted()));
    let rate = f64::from(connect_rate(resource.tier, resource.units));
    let admitted = (after.min(cap) - before).max(0.0);
    // Who is refused a connection for want of rate comes again.
    let admitted_s = least_seconds(admitted, rate);
    Flash {
        times,
        fullest: fullest(&crowd, resource),
        refused: Figure::new((after - cap).max(0.0), Basis::MicrosoftBenchmark),
        admitted_s: Figure::new(admitted_s, Basis::Model),
        needed: needed(&crowd),
        basis: Basis::Model,
    }
}

/// The hour of the day at which so many messages have been sent.
fn hour_of(workload: &Workload, per_second: f64, quota: f64) -> Option<f64> {
    let mut sent = 0.0;
    for (hour, share) in (0_u8..).zip(workload.profile.0) {
        let within = per_second * 3_600.0 * share;
        if within > 0.0 && sent + within > quota {
            return Some(f64::from(hour) + (quota - sent) / within);
        }
        sent += within;
    }
    None
}

fn sent_by_hour(workload: &Workload, billed: Range) -> Vec<Between> {
    let mut hours = 0.0;
    let sent = |share: &f64| {
        hours += share;
        let seconds = hours * 3_600.0;
        let sent = Range { least: billed.least * seconds, most: billed.most * seconds };
        between(sent, Basis::Model)
    };
    workload.profile.0.iter().map(sent).collect()
}

pub(super) fn quota(workload: &Workload, paid: Paid) -> Quota {
    let included = paid.included();
    let billed = billed_per_second(workload);
    let hour = |per_second| Figure::maybe(hour_of(workload, per_second, included), Basis::Model);
    Quota {
        included: Figure::new(included, Basis::MicrosoftBenchmark),
        then: match paid.tier {
            Tier::Free => Then::Stops,
            Tier::Standard | Tier::Premium => Then::Billed,
        },
        hour_by_bytes: hour(billed.least),
        hour_by_message: hour(billed.most),
        busiest_seconds: Figure::maybe(Some(included / billed.least), Basis::Model),
        sent_by_hour: sent_by_hour(workload, billed),
    }
}

pub(super) fn upstream(workload: &Workload, reload: &Reload) -> UpstreamSize {
    let latency = workload.upstream.latency.as_secs_f64();
    let steady: f64 = flows(workload).iter().map(|flow| flow.upstream_requests).sum();
    let storm = steady + reload.upstream_calls_per_s.value.unwrap_or_default();
    let model = |value| Figure::new(value, Basis::Model);
    UpstreamSize {
        steady_per_s: model(steady),
        steady_at_once: model(steady * latency),
        reload_per_s: model(storm),
        reload_at_once: model(storm * latency),
        latency_s: Figure::new(latency, Basis::Assumption),
    }
}

pub(super) fn message_sizes(workload: &Workload) -> Vec<SizeEffect> {
    let mut sizes: BTreeMap<u64, Vec<String>> = SIZES.map(|size| (size, Vec::new())).into();
    for traffic in &workload.traffic {
        sizes.entry(traffic.size).or_default().push(traffic.name.clone());
    }
    let effect = |(size_bytes, of): (u64, Vec<String>)| {
        let counts_bytes = size_bytes.max(THROUGHPUT_BYTES_MIN);
        let billed = Range {
            least: count(size_bytes) / count(BILLED_BYTES),
            most: count(size_bytes.div_ceil(BILLED_BYTES)),
        };
        let rate_share = (count(BILLED_BYTES) / count(size_bytes)).min(1.0);
        SizeEffect {
            size_bytes,
            of,
            counts_bytes,
            billed: between(billed, Basis::MicrosoftBenchmark),
            rate_share: Figure::new(rate_share, Basis::Model),
            basis: Basis::MicrosoftBenchmark,
        }
    };
    sizes.into_iter().map(effect).collect()
}

pub(super) fn scaling(workload: &Workload, best: &Rung) -> Scaling {
    let hours = workload.profile.0;
    let before = |hour: usize| hours[(hour + 23) % 24];
    let rise = (0..24).map(|hour| hours[hour] - before(hour)).fold(0.0, f64::max);
    let within = |minutes: f64| (rise * minutes / 60.0).min(rise) * 100.0;
    let two_steps = within(LEAD_MINUTES + BETWEEN_MINUTES);
    let months = |multiple: Option<f64>| {
        let growth = workload.growth.per_month;
        multiple.filter(|_| growth > 0.0).map(|multiple| multiple.ln() / (1.0 + growth).ln())
    };
    let (planned, first) = (best.planned_first(), best.breaks_first());
    let model = |value| Figure::new(value, Basis::Model);
    let maybe =
        |months: Option<f64>| Figure::maybe(months.map(|months| months.max(0.0)), Basis::Model);
    Scaling {
        steepest_percent: model(rise * 100.0),
        steepest_per_minute: model(rise * count(workload.connections) / 60.0),
        within_lead_percent: model(within(LEAD_MINUTES)),
        within_two_steps_percent: model(two_steps),
        scale_out_percent: model(SCALE_OUT_PERCENT.min(100.0 - two_steps)),
        months_to_planned: maybe(months(planned.map(|planned| planned.planned_multiple()))),
        months_to_break: maybe(months(first.map(|first| first.break_multiple()))),
    }
}

/// Part of the clients that are not back after so many seconds.
fn away_after(storm: &StormRow, clients: f64, seconds: f64) -> f64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a constant")]
    let index = seconds as usize - 1;
    let back = storm.back.get(index).or(storm.back.last()).copied().unwrap_or(clients);
    (1.0 - back / clients).max(0.0)
}

pub(super) fn loss(workload: &Workload, reload: &Reload) -> Loss {
    let clients = count(workload.connections);
    let out: f64 = flows(workload).iter().map(|flow| flow.messages_out).sum();
    let each = out / clients;
    let (own, best) = (&reload.as_configured, &reload.as_recommended);
    let model = |value| Figure::new(value, Basis::Model);
    Loss {
        per_client_per_s: Figure::new(each, workload.basis),
        per_drop_configured: model(each * own.away_mean_s),
        per_drop_recommended: model(each * best.away_mean_s),
        reload_recommended: model(out * best.away_mean_s),
        too_late_share: model(away_after(own, clients, RECOVERY_SECONDS)),
    }
}

pub(super) fn slow_cohort(workload: &Workload) -> SlowCohort {
    let connections = count(workload.connections);
    let clients = count(workload.connections.div_ceil(100));
    let flows = flows(workload);
    let messages: f64 = flows.iter().map(|flow| flow.messages_out).sum::<f64>() / connections;
    let bytes = flows.iter().map(|flow| flow.messages_out * count(flow.size)).sum::<f64>();
    let bytes = bytes / connections;
    let model = |value| Figure::maybe(Some(value), Basis::Model);
    if messages <= 0.0 {
        return SlowCohort {
            clients: Figure::new(clients, Basis::Assumption),
            memory_bytes: model(0.0),
            queue_messages: model(0.0),
            full_after_s: Figure::maybe(None, Basis::Model),
        };
    }
    let size = bytes / messages;
    // Full at so many bytes or at so many messages, whichever comes first: Microsoft's emulator,
    // unconfirmed for the service.
    let queue = HubSettings::real().queue;
    let queued = count(queue.messages).min(count(queue.bytes) / size);
    let held = KERNEL_BYTES + queued * size;
    SlowCohort {
        clients: Figure::new(clients, Basis::Assumption),
        memory_bytes: model(clients * held),
        queue_messages: model(queued),
        full_after_s: model(held / bytes),
    }
}
