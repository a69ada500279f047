//! What happens when all are dropped, when more come, and when some stop reading.

use super::super::super::words;
use super::super::sections::{back_late, seconds_fine, stalled, storm};
use super::super::wording::{
    amount, bytes, figure, needed, percent, quantity, resource, seconds, times,
};
use super::Formulas;
use crate::capacity::{
    Asked, Basis, Estimate, Figure, Jitter, KERNEL_BYTES, Reconnect, Resource, Retry, StormRow,
    Workload, recommended,
};
use crate::protocol::HubSettings;

/// What the other sections were sized on.
fn sized(estimate: &Estimate) -> Option<Resource> {
    estimate.recommended.or(estimate.ladder.last().map(|step| step.resource))
}

pub fn reload(workload: &Workload, estimate: &Estimate) -> Formulas {
    let reload = &estimate.reload;
    let mut all = Formulas::of("reload");
    let (clients, rate) = (figure(reload.clients, "-"), figure(reload.connects_per_s, "-"));
    all.add(
        "connects admitted = SignalR's figure for so many units",
        &sized(estimate).map_or_else(String::new, resource),
        format!("{rate}/s"),
        reload.connects_per_s.basis,
    );
    all.add(
        "least time = (clients - a second's worth saved up) / connects a second, at least 0",
        &format!("({clients} - {rate}) / {rate}"),
        seconds(reload.least_s.value, "-"),
        reload.least_s.basis,
    );
    all.add(
        "jitter window = 1.25 × clients / connects a second",
        &format!("1.25 × {clients} / {rate}"),
        seconds(reload.window_s.value, "-"),
        reload.window_s.basis,
    );
    let best = recommended(
        reload.clients.value.unwrap_or_default(),
        reload.connects_per_s.value.unwrap_or(1.0),
    );
    for (name, row, policy) in [
        ("as configured", &reload.as_configured, workload.reconnect),
        ("as recommended", &reload.as_recommended, best),
    ] {
        all.add(
            &format!(
                "{name}: played slot by slot; of a slot's attempts as many are admitted as its \
                 part of the rate and what is saved up allow, the others come again by the policy"
            ),
            &format!("{clients} clients at {rate}/s, {}", policy_words(policy)),
            storm(row),
            row.basis,
        );
    }
    let calls = reload.upstream_calls_per_s;
    let (formula, numbers) = match workload.upstream.asked {
        Asked::OnConnect => {
            ("upstream calls = min(connects a second, clients)", format!("min({rate}, {clients})"))
        }
        Asked::Never => ("upstream calls: no connect asks it", "0".to_owned()),
    };
    all.add(formula, &numbers, format!("{}/s", figure(calls, "-")), calls.basis);
    all
}

fn policy_words(policy: Reconnect) -> String {
    let first = match policy.first_within.is_zero() {
        true => "first attempt at once".to_owned(),
        false => format!("first attempt within {}", words::duration(policy.first_within)),
    };
    let then = match policy.retry {
        Retry::Fixed { every } => format!("then every {}", words::duration(every)),
        Retry::Exponential { base, cap, jitter } => format!(
            "then after {} doubling to {} with {} jitter",
            words::duration(base),
            words::duration(cap),
            match jitter {
                Jitter::None => "no",
                Jitter::Equal => "equal",
                Jitter::Full => "full",
            }
        ),
    };
    format!("{first}, {then}")
}

pub fn flash(workload: &Workload, estimate: &Estimate) -> Formulas {
    let mut all = Formulas::of("flash crowd");
    let Some(on) = sized(estimate) else { return all };
    let there = words::number(u64::from(on.tier.connections_per_unit()) * u64::from(on.units));
    let before = figure(estimate.load.connections_counted, "-");
    let rate = figure(estimate.reload.connects_per_s, "-");
    for row in &estimate.flash_crowd {
        let users = times(Some(row.times));
        let crowd = words::number(workload.with_users(row.times).connections_counted());
        all.add(
            &format!("{users}: refused = max(0, counted then - there is)"),
            &format!("max(0, {crowd} - {there})"),
            figure(row.refused, "-"),
            row.refused.basis,
        );
        all.add(
            &format!(
                "{users}: admitted in = (min(counted then, there is) - counted now - a second's \
                 worth) / connects a second, at least 0"
            ),
            &format!("(min({crowd}, {there}) - {before} - {rate}) / {rate}"),
            seconds(row.admitted_s.value, "-"),
            row.admitted_s.basis,
        );
        if let Some(fullest) = &row.fullest {
            let of = |value| quantity(fullest.dimension, value);
            all.add(
                &format!("{users}: {} in use = asked / there is", fullest.dimension),
                &format!("{} / {}", of(fullest.demand), of(fullest.capacity)),
                percent(fullest.share),
                fullest.basis,
            );
        }
        all.add(
            &format!("{users}: needs = the first step that fits, as above"),
            &format!("all formulas with users × {}", row.times),
            needed(row.needed),
            row.basis,
        );
    }
    all
}

pub fn upstream(estimate: &Estimate) -> Formulas {
    let upstream = &estimate.upstream;
    let mut all = Formulas::of("upstream");
    let latency = seconds_fine(upstream.latency_s.value.unwrap_or_default());
    let rates: Vec<String> = estimate
        .load
        .traffic
        .iter()
        .filter(|flow| flow.upstream_per_s > 0.0)
        .map(|flow| format!("{}/s", amount(flow.upstream_per_s)))
        .collect();
    let rates = if rates.is_empty() { "0".to_owned() } else { rates.join(" + ") };
    let steady = figure(upstream.steady_per_s, "-");
    all.add(
        "busiest hour = Σ in of the traffic to the upstream",
        &rates,
        format!("{steady} requests/s"),
        upstream.steady_per_s.basis,
    );
    let reload = figure(upstream.reload_per_s, "-");
    all.add(
        "in a reload = busiest hour + upstream calls of connects",
        &format!("{steady} + {}", figure(estimate.reload.upstream_calls_per_s, "-")),
        format!("{reload} requests/s"),
        upstream.reload_per_s.basis,
    );
    for (what, rate, at_once) in [
        ("busiest hour", steady, upstream.steady_at_once),
        ("in a reload", reload, upstream.reload_at_once),
    ] {
        all.add(
            &format!("{what}: requests at once = rate × latency"),
            &format!("{rate}/s × {latency}"),
            figure(at_once, "-"),
            at_once.basis,
        );
    }
    all
}

pub fn loss(estimate: &Estimate) -> Formulas {
    let (loss, reload) = (&estimate.loss, &estimate.reload);
    let mut all = Formulas::of("loss and slow readers");
    let clients = figure(estimate.load.connections, "-");
    let outs: Vec<String> = estimate
        .load
        .traffic
        .iter()
        .map(|flow| format!("{}/s", amount(flow.messages_out_per_s)))
        .collect();
    let outs = if outs.is_empty() { "0".to_owned() } else { outs.join(" + ") };
    let each = format!("{}/s", figure(loss.per_client_per_s, "-"));
    all.add(
        "to a client = Σ out / clients",
        &format!("({outs}) / {clients}"),
        each.clone(),
        loss.per_client_per_s.basis,
    );
    let away = |row: &StormRow| seconds(Some(row.away_mean_s), "-");
    for (name, row, of) in [
        ("as configured", &reload.as_configured, loss.per_drop_configured),
        ("as recommended", &reload.as_recommended, loss.per_drop_recommended),
    ] {
        all.add(
            &format!("missed a drop, {name} = to a client × mean time away in a reload"),
            &format!("{each} × {}", away(row)),
            format!("{} messages", figure(of, "-")),
            of.basis,
        );
    }
    all.add(
        "missed by all in a reload = Σ out × mean time away, as recommended",
        &format!("({outs}) × {}", away(&reload.as_recommended)),
        format!("{} messages", figure(loss.reload_recommended, "-")),
        loss.reload_recommended.basis,
    );
    let own = &reload.as_configured;
    // The curve ends when all are back.
    let back = own.back.get(29).or(own.back.last()).copied().unwrap_or_default();
    all.add(
        "back too late = 1 - back after 30 s / clients, as configured",
        &format!("1 - {} / {clients}", amount(back.round())),
        back_late(loss),
        loss.too_late_share.basis,
    );
    slow_readers(estimate, &outs, &mut all);
    all
}

fn slow_readers(estimate: &Estimate, outs: &str, all: &mut Formulas) {
    let slow = &estimate.slow_cohort;
    let flows = &estimate.load.traffic;
    let clients = figure(estimate.load.connections, "-");
    all.add(
        "who stops reading = ⌈1 % of the clients⌉",
        &format!("⌈{clients} × 1 %⌉"),
        figure(slow.clients, "-"),
        slow.clients.basis,
    );
    #[expect(clippy::cast_precision_loss, reason = "at most 1 MiB")]
    let of_bytes: f64 =
        flows.iter().map(|flow| flow.messages_out_per_s * flow.size_bytes as f64).sum();
    let messages: f64 = flows.iter().map(|flow| flow.messages_out_per_s).sum();
    if messages <= 0.0 {
        all.add("nothing is sent to them", "0", stalled(slow), slow.memory_bytes.basis);
        return;
    }
    let size = of_bytes / messages;
    let terms: Vec<String> = flows
        .iter()
        .map(|flow| {
            format!("{}/s × {}", amount(flow.messages_out_per_s), words::bytes(flow.size_bytes))
        })
        .collect();
    all.add(
        "mean size = Σ out × size / Σ out",
        &format!("({}) / ({outs})", terms.join(" + ")),
        bytes(size),
        Basis::Model,
    );
    let queue: Figure = slow.queue_messages;
    let queued = queue.value.unwrap_or_default() * size;
    let limits = HubSettings::real().queue;
    let (most, bytes_max) = (words::number(limits.messages), words::bytes(limits.bytes));
    all.add(
        "messages in a full queue = min(messages at most, bytes at most / mean size)",
        &format!("min({most}, {bytes_max} / {})", bytes(size)),
        figure(queue, "-"),
        queue.basis,
    );
    let (kernel, queued) = (bytes(KERNEL_BYTES), bytes(queued));
    all.add(
        "held at most = who stops × (kernel + queue)",
        &format!("{} × ({kernel} + {queued})", figure(slow.clients, "-")),
        stalled(slow),
        slow.memory_bytes.basis,
    );
    let each = estimate.load.connections.value.map_or(0.0, |clients| of_bytes / clients);
    all.add(
        "full after = (kernel + queue) / bytes a second to a client",
        &format!("({kernel} + {queued}) / {}/s", bytes(each)),
        seconds(slow.full_after_s.value, "never"),
        slow.full_after_s.basis,
    );
}
