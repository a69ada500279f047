//! The formulas, with the numbers put in.

use super::super::table::Column;
use super::super::words;
use super::Section;
use super::wording::{amount, between, figure, percent, quantity, seconds};
use crate::capacity::{
    BILLED_BYTES, DAYS_A_MONTH, Estimate, Need, THROUGHPUT_BYTES_MIN, Tier, Workload, rung,
};

/// Each formula, what stands in it and what it comes to.
pub fn section(workload: &Workload, estimate: &Estimate) -> Section {
    let columns =
        [Column::Words("formula"), Column::Words("with the numbers"), Column::Figures("comes to")];
    let mut section = Section::new("Formulas", "", &columns);
    connections(workload, &mut section);
    traffic(estimate, &mut section);
    utilisation(workload, estimate, &mut section);
    bill(estimate, &mut section);
    money(workload, estimate, &mut section);
    storm(estimate, &mut section);
    section
}

fn connections(workload: &Workload, section: &mut Section) {
    let counted = workload.connections_counted();
    let slack = workload.slack;
    section.row([
        "counted = connections × (1 + ghosts + overlap)".to_owned(),
        format!(
            "{} × (1 + {} + {})",
            words::number(workload.connections),
            percent(slack.ghosts),
            percent(slack.overlap)
        ),
        words::number(counted),
    ]);
    section.row([
        "units for connections = counted / (1,000 × 80 %), rounded up to a step".to_owned(),
        format!("{} / 800", words::number(counted)),
        words::number(counted.div_ceil(800)),
    ]);
}

fn traffic(estimate: &Estimate, section: &mut Section) {
    for flow in &estimate.load.traffic {
        section.row([
            format!("{}: out = in × receivers", flow.name),
            format!("{}/s × {}", amount(flow.messages_in_per_s), words::number(flow.receivers)),
            format!("{}/s", amount(flow.messages_out_per_s)),
        ]);
        let counts = flow.size_bytes.max(THROUGHPUT_BYTES_MIN);
        section.row([
            format!("{}: bytes out = out × max(size, 1,024)", flow.name),
            format!("{}/s × {}", amount(flow.messages_out_per_s), words::number(counts)),
            rate_of_bytes(flow.messages_out_per_s, counts),
        ]);
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "clamped"
)]
fn rate_of_bytes(per_second: f64, bytes: u64) -> String {
    format!("{}/s", words::bytes((per_second * bytes as f64).clamp(0.0, 1e18) as u64))
}

fn utilisation(workload: &Workload, estimate: &Estimate, section: &mut Section) {
    let Some(on) = estimate.recommended else { return };
    for one in rung(workload, on.tier, on.units).break_order() {
        let dimension = one.dimension;
        section.row([
            format!("{dimension}: in use = asked / there is"),
            format!("{} / {}", quantity(dimension, one.demand), quantity(dimension, one.capacity)),
            percent(one.share()),
        ]);
    }
    if let Some(first) = rung(workload, on.tier, on.units).breaks_first() {
        section.row([
            "breaks at = 1 / in use; planned up to = planned share / in use".to_owned(),
            format!(
                "1 / {0}; {1} / {0}",
                percent(first.share()),
                percent(first.dimension.planned_share())
            ),
            format!("{:.2}×; {:.2}×", first.break_multiple(), first.planned_multiple()),
        ]);
    }
}

fn bill(estimate: &Estimate, section: &mut Section) {
    let outs: Vec<String> = estimate
        .load
        .traffic
        .iter()
        .map(|flow| {
            let out = flow.messages_out_per_s + flow.upstream_per_s;
            format!("{}/s × {} / {BILLED_BYTES}", amount(out), words::number(flow.size_bytes))
        })
        .collect();
    let outs = if outs.is_empty() { "0".to_owned() } else { outs.join(" + ") };
    section.row([
        "billed a second = Σ out × size / 2,048, to Σ out × ⌈size / 2,048⌉".to_owned(),
        outs,
        between(estimate.messages.per_s, amount),
    ]);
    section.row([
        "billed a day = billed a second × 3,600 × hours".to_owned(),
        format!(
            "{} × 3,600 × {}",
            between(estimate.messages.per_s, amount),
            figure(estimate.load.full_hours, "-")
        ),
        between(estimate.messages.per_day, amount),
    ]);
}

fn money(workload: &Workload, estimate: &Estimate, section: &mut Section) {
    let messages = &estimate.messages;
    let tier = estimate.recommended.map(|on| on.tier);
    let included = if tier == Some(Tier::Free) { "20,000 a day" } else { "unit-days × 1,000,000" };
    section.row([
        format!("included = {included}"),
        format!("{} unit-days", figure(messages.unit_days, "-")),
        figure(messages.included_per_day, "-"),
    ]);
    let Some(cost) = &estimate.cost else { return };
    let extra = between(messages.extra_per_day, amount);
    let follows = workload.needs.contains(&Need::Autoscale);
    section.row([
        format!(
            "a month = {DAYS_A_MONTH} × (unit-days × price + extra / 10^6 × price){}",
            if follows { ", units following the day's profile" } else { "" }
        ),
        format!(
            "{} for {} unit-days + {} for {extra} extra messages a day",
            figure(cost.units, "-"),
            figure(messages.unit_days, "-"),
            between(cost.messages, amount),
        ),
        format!("{} {}", between(cost.total, |value| amount(value.round())), cost.currency),
    ]);
}

fn storm(estimate: &Estimate, section: &mut Section) {
    let reload = &estimate.reload;
    let (clients, rate) = (figure(reload.clients, "-"), figure(reload.connects_per_s, "-"));
    section.row([
        "least time of a reload = (clients - those saved up for) / connects a second, or 0"
            .to_owned(),
        format!("({clients} - {rate}) / {rate}"),
        seconds(reload.least_s.value, "-"),
    ]);
    section.row([
        "jitter window = 1.25 × clients / connects a second".to_owned(),
        format!("1.25 × {clients} / {rate}"),
        seconds(reload.window_s.value, "-"),
    ]);
    let upstream = &estimate.upstream;
    section.row([
        "upstream requests at once = rate × latency".to_owned(),
        format!("{}/s × {} s", figure(upstream.reload_per_s, "-"), figure(upstream.latency_s, "-")),
        figure(upstream.reload_at_once, "-"),
    ]);
}
