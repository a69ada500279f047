//! What is asked, of how much there is of it, and how that changes.

use super::super::super::words;
use super::super::sections::{BREAKS, LADDER, fraction, steps};
use super::super::wording::{
    amount, between, busiest, bytes, figure, name, percent, quantity, resource, times,
};
use super::Formulas;
use crate::capacity::{
    BETWEEN_MINUTES, BILLED_BYTES, Basis, Dimension, Estimate, Figure, FlowRow, LEAD_MINUTES,
    OwnMessages, SCALE_OUT_PERCENT, THROUGHPUT_BYTES_MIN, Target, Traffic, Use, Workload,
};

pub fn load(workload: &Workload, estimate: &Estimate) -> Formulas {
    let load = &estimate.load;
    let mut all = Formulas::of("load");
    let counted = figure(load.connections_counted, "-");
    let slack = workload.slack;
    all.add(
        "counted = connections × (1 + ghosts + overlap)",
        &format!(
            "{} × (1 + {} + {})",
            figure(load.connections, "-"),
            percent(slack.ghosts),
            percent(slack.overlap)
        ),
        counted,
        load.connections_counted.basis,
    );
    all.add(
        "hours of full load = shares of the day's hours, added up",
        &hours(&workload.profile.0),
        format!("{} h", figure(load.full_hours, "-")),
        load.full_hours.basis,
    );
    for (traffic, flow) in workload.traffic.iter().zip(&load.traffic) {
        flow_of(workload, traffic, flow, &mut all);
    }
    all
}

/// `8 × 100 % + 16 × 0 %`, in the order of the day.
fn hours(shares: &[f64]) -> String {
    let alike = shares.chunk_by(|a, b| percent(*a) == percent(*b));
    let terms = alike.map(|hours| format!("{} × {}", hours.len(), percent(hours[0])));
    terms.collect::<Vec<_>>().join(" + ")
}

fn flow_of(workload: &Workload, traffic: &Traffic, flow: &FlowRow, all: &mut Formulas) {
    let called = name(&flow.name);
    let (within, outside) = (amount(flow.messages_in_per_s), amount(flow.messages_out_per_s));
    let (members, of) = match traffic.target {
        Target::Groups { members, .. } => (members, "members of a group"),
        Target::Everyone | Target::RestBroadcast => (workload.connections, "all connections"),
        Target::Upstream | Target::RestToUser => (1, "the one addressed"),
    };
    let own = matches!(traffic.target, Target::Groups { .. } | Target::Everyone)
        && traffic.own == OwnMessages::Withheld;
    let (formula, numbers) = match own {
        true => (format!("{of} without the sender"), format!("{} - 1", words::number(members))),
        false => (of.to_owned(), words::number(members)),
    };
    all.add(
        &format!("{called}: receivers = {formula}"),
        &numbers,
        words::number(flow.receivers),
        flow.basis,
    );
    all.add(
        &format!("{called}: in = senders × rate"),
        &format!("{} × {}/s", words::number(traffic.senders), amount(traffic.rate)),
        format!("{within}/s"),
        flow.basis,
    );
    all.add(
        &format!("{called}: out = in × receivers"),
        &format!("{within}/s × {}", words::number(flow.receivers)),
        format!("{outside}/s"),
        flow.basis,
    );
    let size = words::bytes(flow.size_bytes);
    let floor = words::bytes(THROUGHPUT_BYTES_MIN);
    #[expect(clippy::cast_precision_loss, reason = "at most 1 MiB")]
    let counts = flow.size_bytes.max(THROUGHPUT_BYTES_MIN) as f64;
    for (which, rate, messages) in
        [("in", &within, flow.messages_in_per_s), ("out", &outside, flow.messages_out_per_s)]
    {
        all.add(
            &format!("{called}: bytes {which} = {which} × max(size, {floor})"),
            &format!("{rate}/s × max({size}, {floor})"),
            format!("{}/s", bytes(messages * counts)),
            flow.basis,
        );
    }
}

pub fn ladder(estimate: &Estimate) -> Formulas {
    let mut all = Formulas::of(&LADDER.to_lowercase());
    let connections = estimate.load.connections_counted;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "connections are whole and not negative"
    )]
    let counted = connections.value.unwrap_or_default() as u64;
    all.add(
        "units for connections = counted / (1,000 × 80 %), before the next step that is sold",
        &format!("{} / 800", words::number(counted)),
        words::number(counted.div_ceil(800)),
        Basis::MicrosoftBenchmark,
    );
    for step in steps(estimate) {
        let units = words::counted(u64::from(step.resource.units), "unit");
        let of_connections =
            step.dimensions.iter().filter(|one| one.dimension == Dimension::Connections);
        for one in of_connections.chain(busiest(&step.dimensions)) {
            all.add(
                &format!("{units}, {}: in use = asked / there is", one.dimension),
                &asked(one),
                percent(one.share),
                one.basis,
            );
        }
    }
    all
}

/// `20,000 / 30,000`.
fn asked(one: &Use) -> String {
    let of = |value| quantity(one.dimension, value);
    format!("{} / {}", of(one.demand), of(one.capacity))
}

/// The step that the break order is of.
fn sized(estimate: &Estimate) -> &[Use] {
    let step = match estimate.recommended {
        Some(on) => estimate.ladder.iter().find(|step| step.resource == on),
        None => estimate.ladder.last(),
    };
    step.map_or(&[], |step| &step.dimensions)
}

pub fn breaks(estimate: &Estimate) -> Formulas {
    let mut all = Formulas::of(&BREAKS.to_lowercase());
    let uses = sized(estimate);
    for one in &estimate.break_order {
        let Some(used) = uses.iter().find(|used| used.dimension == one.dimension) else { continue };
        let of = |value| quantity(one.dimension, value);
        let (demand, capacity) = (of(used.demand), of(used.capacity));
        all.add(
            &format!("{}: in use = asked / there is", one.dimension),
            &asked(used),
            percent(one.share),
            one.basis,
        );
        all.add(
            "planned up to = planned share × there is / asked",
            &format!("{} × {capacity} / {demand}", percent(used.planned_share)),
            times(one.planned_multiple),
            one.basis,
        );
        all.add(
            "breaks at = there is / asked",
            &format!("{capacity} / {demand}"),
            times(one.break_multiple),
            one.basis,
        );
    }
    all
}

pub fn held(estimate: &Estimate) -> Option<Formulas> {
    let step = &estimate.held.as_ref()?.step;
    let mut all = Formulas::of(&format!("on {}", resource(step.resource)));
    for one in &step.dimensions {
        all.add(
            &format!("{}: in use = asked / there is", one.dimension),
            &asked(one),
            percent(one.share),
            one.basis,
        );
    }
    Some(all)
}

pub fn sizes(estimate: &Estimate) -> Formulas {
    let mut all = Formulas::of("message size");
    let floor = words::bytes(THROUGHPUT_BYTES_MIN);
    let step = words::bytes(BILLED_BYTES);
    for one in &estimate.message_sizes {
        let size = words::bytes(one.size_bytes);
        all.add(
            &format!("{size}: counts as = max(size, {floor})"),
            &format!("max({size}, {floor})"),
            words::bytes(one.counts_bytes),
            one.basis,
        );
        all.add(
            &format!("{size}: billed = size / {step} to ⌈size / {step}⌉"),
            &format!("{size} / {step} to ⌈{size} / {step}⌉"),
            between(one.billed, fraction),
            one.billed.basis,
        );
        all.add(
            &format!("{size}: message rate left = min(1, {step} / size)"),
            &format!("min(1, {step} / {size})"),
            one.rate_share.value.map_or_else(String::new, percent),
            one.rate_share.basis,
        );
    }
    all
}

pub fn growth(workload: &Workload, estimate: &Estimate) -> Formulas {
    let scaling = &estimate.scaling;
    let mut all = Formulas::of("growth and lead time");
    let percents = |of: Figure| of.value.map_or_else(String::new, |of| percent(of / 100.0));
    let rise = percents(scaling.steepest_percent);
    let connections = figure(estimate.load.connections, "-");
    let both = LEAD_MINUTES + BETWEEN_MINUTES;
    all.add(
        "steepest hour = largest rise of the profile × connections / 60 min",
        &format!("{rise} × {connections} / 60"),
        format!("{} connections/min", figure(scaling.steepest_per_minute, "-")),
        scaling.steepest_per_minute.basis,
    );
    for (minutes, of) in
        [(LEAD_MINUTES, scaling.within_lead_percent), (both, scaling.within_two_steps_percent)]
    {
        all.add(
            &format!("comes within {minutes} min = rise × {minutes} / 60"),
            &format!("{rise} × {minutes} / 60"),
            percents(of),
            of.basis,
        );
    }
    let out = percent(SCALE_OUT_PERCENT / 100.0);
    all.add(
        &format!("scale out at = min({out}, 100 % - what comes within {both} min)"),
        &format!("min({out}, 100 % - {})", percents(scaling.within_two_steps_percent)),
        percents(scaling.scale_out_percent),
        scaling.scale_out_percent.basis,
    );
    let grows = percent(workload.growth.per_month);
    let planned = estimate.planned_first.and_then(|one| one.planned_multiple);
    let breaks = estimate.break_order.first().and_then(|one| one.break_multiple);
    for (what, multiple, of) in [
        ("next step needed in", planned, scaling.months_to_planned),
        ("breaks in", breaks, scaling.months_to_break),
    ] {
        all.add(
            &format!("{what} = ln(multiple) / ln(1 + growth a month), at least 0"),
            &format!("ln({}) / ln(1 + {grows})", times(multiple)),
            super::super::sections::months(of),
            of.basis,
        );
    }
    all
}
