//! Messages as billed, when they are used up, and money.

use super::super::sections::{MESSAGES, million, rounded};
use super::super::wording::{amount, between, figure, hour, needed, percent, quantity, resource};
use super::super::wording::{bytes, name, seconds};
use super::Formulas;
use crate::capacity::{
    Basis, Between, Cost, DAYS_A_MONTH, Estimate, Figure, FlowRow, LiveTrace, Messages, Need,
    Quota, Range, Resource, Sensitivity, Tier, Varied, Workload, billed_per_second,
    included_per_day, unit_days, units_by_hour,
};

pub fn messages(workload: &Workload, estimate: &Estimate) -> Formulas {
    let mut all = Formulas::of(&MESSAGES.to_lowercase());
    billed(workload, estimate, &mut all);
    let on = estimate.recommended.or(estimate.ladder.last().map(|step| step.resource));
    if let Some(on) = on {
        let held = units_by_hour(workload, on);
        let of = Plan { messages: &estimate.messages, quota: &estimate.quota };
        of.told(workload, on, &held, &mut all);
        money(estimate.cost.as_ref(), &estimate.messages, &mut all);
    }
    all
}

/// The same on the resource that one has.
pub fn held(workload: &Workload, estimate: &Estimate) -> Option<Formulas> {
    let held = estimate.held.as_ref()?;
    let on = held.step.resource;
    let mut all = Formulas::of(&format!("{} on {}", MESSAGES.to_lowercase(), resource(on)));
    let of = Plan { messages: &held.messages, quota: &held.quota };
    of.told(workload, on, &[on.units; 24], &mut all);
    money(held.cost.as_ref(), &held.messages, &mut all);
    Some(all)
}

fn billed(workload: &Workload, estimate: &Estimate, all: &mut Formulas) {
    let flows = &estimate.load.traffic;
    let billed_out = |flow: &FlowRow| flow.messages_out_per_s + flow.upstream_per_s;
    for flow in flows.iter().filter(|flow| flow.upstream_per_s > 0.0) {
        all.add(
            &format!(
                "{}: billed out = out to clients + requests to the upstream",
                name(&flow.name)
            ),
            &format!("{}/s + {}/s", amount(flow.messages_out_per_s), amount(flow.upstream_per_s)),
            format!("{}/s", amount(billed_out(flow))),
            flow.basis,
        );
    }
    #[expect(clippy::cast_precision_loss, reason = "at most 1 MiB")]
    let size = |size: u64| bytes(size as f64);
    let mut terms: Vec<(String, String)> =
        flows.iter().map(|flow| (amount(billed_out(flow)), size(flow.size_bytes))).collect();
    if let LiveTrace::On { record } = workload.live_trace {
        let records: Vec<f64> =
            flows.iter().flat_map(|flow| [flow.messages_in_per_s, billed_out(flow)]).collect();
        let parts: Vec<String> =
            records.iter().map(|rate| format!("{}/s", amount(*rate))).collect();
        let rate = amount(records.iter().sum());
        all.add(
            "live trace: records a second = messages in + messages out, of all traffic",
            &joined(&parts),
            format!("{rate}/s"),
            Basis::Assumption,
        );
        terms.push((rate, size(record)));
    }
    let least: Vec<String> =
        terms.iter().map(|(rate, size)| format!("{rate}/s × {size} / 2 KiB")).collect();
    let most: Vec<String> =
        terms.iter().map(|(rate, size)| format!("{rate}/s × ⌈{size} / 2 KiB⌉")).collect();
    let per_s = estimate.messages.per_s;
    all.add(
        "billed a second by bytes = Σ out × size / 2 KiB (live trace: records × record)",
        &joined(&least),
        format!("{}/s", amount(per_s.least)),
        per_s.basis,
    );
    all.add(
        "billed a second rounded up = Σ out × ⌈size / 2 KiB⌉",
        &joined(&most),
        format!("{}/s", amount(per_s.most)),
        per_s.basis,
    );
    let hours = figure(estimate.load.full_hours, "-");
    all.add(
        "billed a day = billed a second × 3,600 × hours of full load",
        &format!("({}) × 3,600 × {hours}", between(per_s, amount)),
        between(estimate.messages.per_day, amount),
        estimate.messages.per_day.basis,
    );
}

fn joined(terms: &[String]) -> String {
    if terms.is_empty() { "0".to_owned() } else { terms.join(" + ") }
}

/// `30 × 8 + 1 × 16`, in the order of the day.
fn held_units(hours: &[u32]) -> String {
    let alike = hours.chunk_by(|a, b| a == b);
    let terms: Vec<String> =
        alike.map(|hours| format!("{} × {} h", hours[0], hours.len())).collect();
    terms.join(" + ")
}

/// What of messages hangs on the units.
struct Plan<'a> {
    messages: &'a Messages,
    quota: &'a Quota,
}

impl Plan<'_> {
    fn told(&self, workload: &Workload, on: Resource, held: &[u32], all: &mut Formulas) {
        let messages = self.messages;
        let unit_days = figure(messages.unit_days, "-");
        all.add(
            "unit-days a day = Σ units × hours / 24 h",
            &format!("({}) / 24 h", held_units(held)),
            unit_days.clone(),
            messages.unit_days.basis,
        );
        let (formula, numbers) = match on.tier {
            Tier::Free => ("included a day on Free", "20,000".to_owned()),
            Tier::Standard | Tier::Premium => {
                ("included a day = unit-days × 1,000,000", format!("{unit_days} × 1,000,000"))
            }
        };
        let included = figure(messages.included_per_day, "-");
        all.add(formula, &numbers, included.clone(), messages.included_per_day.basis);
        let extra = messages.extra_per_day;
        let (formula, numbers) = match on.tier {
            Tier::Free => ("more than included: Free stops, and sends no more", "0".to_owned()),
            Tier::Standard | Tier::Premium => (
                "more than included = max(0, billed a day - included)",
                format!("max(0, ({}) - {included})", between(messages.per_day, amount)),
            ),
        };
        all.add(formula, &numbers, between(extra, amount), extra.basis);
        self.clock(workload, all);
    }

    /// When the included messages are used up.
    fn clock(&self, workload: &Workload, all: &mut Formulas) {
        let (quota, messages) = (self.quota, self.messages);
        let included = figure(quota.included, "-");
        let read = |of: fn(&Between) -> f64| -> (f64, f64, Vec<f64>) {
            let sent = quota.sent_by_hour.iter().map(of).collect();
            (of(&messages.per_s), of(&messages.per_day), sent)
        };
        for (reading, at, (per_s, per_day, sent)) in [
            ("by bytes", quota.hour_by_bytes, read(|of| of.least)),
            ("rounded up", quota.hour_by_message, read(|of| of.most)),
        ] {
            let Some(clock) = at.value else {
                all.add(
                    &format!("used up {reading}: billed a day is no more than included"),
                    &format!("{} against {included}", amount(per_day)),
                    hour(None),
                    at.basis,
                );
                continue;
            };
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "an hour of a day"
            )]
            let index = (clock.floor() as usize).min(23);
            let before = index.checked_sub(1).and_then(|hour| sent.get(hour)).copied();
            all.add(
                &format!(
                    "used up {reading} = hour + (included - sent before) / (billed a second × \
                     3,600 × share of the hour)"
                ),
                &format!(
                    "{index:02}:00 + ({included} - {}) / ({}/s × 3,600 × {}) h",
                    amount(before.unwrap_or_default()),
                    amount(per_s),
                    percent(workload.profile.0[index]),
                ),
                hour(at.value),
                at.basis,
            );
        }
        all.add(
            "used up after, at the busiest = included / billed a second by bytes",
            &format!("{included} / {}/s", amount(messages.per_s.least)),
            seconds(quota.busiest_seconds.value, "never"),
            quota.busiest_seconds.basis,
        );
    }
}

fn money(cost: Option<&Cost>, messages: &Messages, all: &mut Formulas) {
    let Some(cost) = cost else { return };
    let money = |value: f64| format!("{} {}", rounded(value), cost.currency);
    let (unit_day, million) = (figure(cost.unit_day, "-"), figure(cost.million_messages, "-"));
    all.add(
        &format!("units a month = {DAYS_A_MONTH} × unit-days × price of one"),
        &format!("{DAYS_A_MONTH} × {} × {unit_day}", figure(messages.unit_days, "-")),
        cost.units.value.map_or_else(String::new, money),
        cost.units.basis,
    );
    let extra = between(messages.extra_per_day, amount);
    all.add(
        &format!("messages a month = {DAYS_A_MONTH} × more than included / 1,000,000 × price"),
        &format!("{DAYS_A_MONTH} × ({extra}) / 1,000,000 × {million}"),
        between(cost.messages, money),
        cost.messages.basis,
    );
    all.add(
        "a month, in all = units + messages",
        &format!(
            "{} + ({})",
            figure(Figure { value: cost.units.value.map(f64::round), ..cost.units }, "-"),
            between(cost.messages, rounded)
        ),
        between(cost.total, money),
        cost.total.basis,
    );
}

pub fn sensitivity(workload: &Workload, estimate: &Estimate) -> Formulas {
    let mut all = Formulas::of("sensitivity");
    for row in &estimate.sensitivity {
        varied(workload, estimate, row, &mut all);
    }
    all
}

fn varied(workload: &Workload, estimate: &Estimate, row: &Sensitivity, all: &mut Formulas) {
    let (what, varied) = match row.what {
        Varied::Users => ("users", workload.with_users(row.times)),
        Varied::Size => ("sizes", workload.with_sizes(row.times)),
        Varied::Rate => ("rates", workload.with_rates(row.times)),
    };
    let what = format!("{what} × {}", row.times);
    all.add(
        &format!("{what}: needs = the first step that fits, as above"),
        &format!("all formulas with {what}"),
        needed(row.needed),
        row.basis,
    );
    if let Some(fullest) = row.fullest {
        let of = |value| quantity(fullest.dimension, value);
        all.add(
            &format!("{what}: {} in use = asked / there is", fullest.dimension),
            &format!("{} / {}", of(fullest.demand), of(fullest.capacity)),
            percent(fullest.share),
            fullest.basis,
        );
    }
    let Range { least, most } = billed_per_second(&varied);
    let per_s = Between { least, most, basis: row.per_day.basis };
    all.add(
        &format!("{what}: messages a day = billed a second × 3,600 × hours of full load"),
        &format!(
            "({}) × 3,600 × {}",
            between(per_s, amount),
            figure(estimate.load.full_hours, "-")
        ),
        between(row.per_day, million),
        row.per_day.basis,
    );
    let (Some(cost), Some(today), Some(on)) = (row.cost, &estimate.cost, row.needed) else {
        return;
    };
    let held = units_by_hour(&varied, on);
    let days: Vec<(u32, f64)> = held.iter().map(|units| (*units, 1.0)).collect();
    let days = unit_days(&days);
    let included = included_per_day(on.tier, days);
    let follow = if workload.needs.contains(&Need::Autoscale) {
        ", units following the profile"
    } else {
        ""
    };
    // Which price a unit has hangs on the tier, which may be another than today's.
    let price = match estimate.recommended {
        Some(recommended) if recommended.tier == on.tier => figure(today.unit_day, "-"),
        _ => "price of a unit".to_owned(),
    };
    all.add(
        &format!(
            "{what}: a month = {DAYS_A_MONTH} × (unit-days × price + max(0, messages a day - \
             included) / 1,000,000 × price){follow}"
        ),
        &format!(
            "{DAYS_A_MONTH} × ({} × {price} + max(0, ({}) - {}) / 1,000,000 × {})",
            amount(days),
            between(row.per_day, million),
            million(included),
            figure(today.million_messages, "-"),
        ),
        format!("{} {}", between(cost, rounded), today.currency),
        cost.basis,
    );
}
