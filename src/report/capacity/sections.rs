//! The sections of an estimate, in the order in which they are told.

use super::super::table::Column;
use super::super::words;
use super::Section;
use super::wording::{
    amount, bar, between, busiest, bytes, figure, hour, name, needed, percent, quantity, resource,
    seconds, times,
};
use crate::capacity::{
    Basis, Between, Cost, Dimension, Estimate, Figure, Loss, Messages, Quota, SlowCohort, Step,
    StormRow, Then, Use, Varied,
};

/// Steps of the ladder told below the one that fits.
const STEPS_BELOW: usize = 6;

/// Cells of a bar, where one stands in a row and where there is room for less.
const BAR: usize = 20;
const SHORT_BAR: usize = 10;

const FACTS: [Column; 3] = [Column::Names("what"), Column::Words("value"), Column::Names("basis")];

/// Titles of the sections with charts.
pub const LADDER: &str = "Ladder";
/// See [`LADDER`].
pub const BREAKS: &str = "What breaks first";
/// See [`LADDER`].
pub const MESSAGES: &str = "Messages and cost";
/// See [`LADDER`].
pub const RELOAD: &str = "Reload";

/// All of them; formulas come before the assumptions.
pub fn all(estimate: &Estimate, formulas: Vec<Section>) -> Vec<Section> {
    let mut all = vec![load(estimate), ladder(estimate), breaks(estimate)];
    all.extend(held(estimate));
    all.extend(estimate.held.as_ref().map(|held| {
        let title = format!("{MESSAGES} on {}", resource(held.step.resource));
        messages(title, &held.messages, &held.quota, held.cost.as_ref())
    }));
    all.extend([
        messages(MESSAGES.into(), &estimate.messages, &estimate.quota, estimate.cost.as_ref()),
        reload(estimate),
        flash(estimate),
        upstream(estimate),
        sizes(estimate),
        scaling(estimate),
        loss(estimate),
        sensitivity(estimate),
    ]);
    all.extend(formulas);
    all.push(assumptions(estimate));
    all
}

fn fact(section: &mut Section, what: &str, value: String, basis: Basis) {
    section.row([what.to_owned(), value, basis.name().to_owned()]);
}

fn load(estimate: &Estimate) -> Section {
    let load = &estimate.load;
    let columns = [
        Column::Words("traffic"),
        Column::Names("held against"),
        Column::Figures("receivers"),
        Column::Figures("in/s"),
        Column::Figures("out/s"),
        Column::Figures("size"),
        Column::Names("basis"),
    ];
    let mut section = Section::new("Load", "in the busiest hour", &columns);
    let mut add = |what: String, of: Figure| {
        let mut row = vec![String::new(); columns.len()];
        (row[0], row[columns.len() - 1]) = (what, of.basis.name().to_owned());
        section.rows.push(row);
    };
    let connections = load.connections;
    add(format!("{} connections", figure(connections, "-")), connections);
    let counted = load.connections_counted;
    if connections.value != counted.value {
        add(format!("{} with ghosts and overlap", figure(counted, "-")), counted);
    }
    add(format!("{} h a day of all this", figure(load.full_hours, "-")), load.full_hours);
    for flow in &load.traffic {
        section.row([
            name(&flow.name),
            flow.pattern.to_string(),
            words::number(flow.receivers),
            amount(flow.messages_in_per_s),
            amount(flow.messages_out_per_s),
            words::bytes(flow.size_bytes),
            flow.basis.name().to_owned(),
        ]);
    }
    section
}

/// The first step of the ladder that is told: a few below the one that fits.
fn first_step(estimate: &Estimate) -> usize {
    let fits = estimate.ladder.iter().position(|step| step.fits);
    fits.unwrap_or(estimate.ladder.len()).saturating_sub(STEPS_BELOW)
}

/// The steps that are told.
pub fn steps(estimate: &Estimate) -> &[Step] {
    &estimate.ladder[first_step(estimate)..]
}

fn ladder(estimate: &Estimate) -> Section {
    let columns = [
        Column::Names("units"),
        Column::Names("connections"),
        Column::Figures(""),
        Column::Names("busiest\ntraffic"),
        Column::Figures(""),
        Column::Words("which"),
        Column::Names("basis"),
    ];
    let fits = estimate.ladder.iter().find(|step| step.fits);
    let note = match (first_step(estimate), fits) {
        (_, None) => "none fits".to_owned(),
        (0, _) => "► fits first".to_owned(),
        (1, _) => "► fits first; 1 smaller one is left out".to_owned(),
        (below, _) => format!("► fits first; {below} smaller ones are left out"),
    };
    let mut section = Section::new(LADDER, note, &columns);
    for step in steps(estimate) {
        let mark = if fits == Some(step) { "►" } else { " " };
        section.rows.push(step_row(mark, step));
    }
    section
}

fn step_row(mark: &str, step: &Step) -> Vec<String> {
    let units = step.resource.units;
    let name = step.resource.sku.split('_').nth(1).unwrap_or(step.resource.sku);
    let connections = step.dimensions.iter().find(|one| one.dimension == Dimension::Connections);
    let busiest = busiest(&step.dimensions);
    let cells = |one: Option<&Use>| match one {
        Some(one) => (bar(one.share, SHORT_BAR), percent(one.share), one.dimension.to_string()),
        None => (String::new(), "-".to_owned(), "-".to_owned()),
    };
    let (connected, connected_share, _) = cells(connections);
    let (busy, busy_share, which) = cells(busiest);
    // Of two the weaker one.
    let basis = connections.into_iter().chain(busiest).map(|one| one.basis).max();
    vec![
        format!("{mark} {name} {units:>5}"),
        connected,
        connected_share,
        busy,
        busy_share,
        which,
        basis.map_or_else(|| "-".to_owned(), |basis| basis.name().to_owned()),
    ]
}

fn breaks(estimate: &Estimate) -> Section {
    let columns = [
        Column::Names("dimension"),
        Column::Names("in use"),
        Column::Figures(""),
        Column::Figures("planned\nup to"),
        Column::Figures("breaks at"),
        Column::Names("basis"),
    ];
    let on = match (estimate.recommended, estimate.ladder.last()) {
        (Some(on), _) => resource(on),
        (None, Some(step)) => resource(step.resource),
        (None, None) => String::new(),
    };
    let note = format!("on {on}; multiples of today's load");
    let mut section = Section::new(BREAKS, note, &columns);
    for one in &estimate.break_order {
        section.row([
            one.dimension.to_string(),
            bar(one.share, BAR),
            percent(one.share),
            times(one.planned_multiple),
            times(one.break_multiple),
            one.basis.name().to_owned(),
        ]);
    }
    section
}

fn held(estimate: &Estimate) -> Option<Section> {
    let held = estimate.held.as_ref()?;
    let step = &held.step;
    let columns = [
        Column::Names("dimension"),
        Column::Names("in use"),
        Column::Figures(""),
        Column::Figures("asked"),
        Column::Figures("there is"),
        Column::Names("fits"),
        Column::Names("basis"),
    ];
    let missing: Vec<&str> = held.missing.iter().map(|need| need.name()).collect();
    let verdict = match (step.fits, missing.as_slice()) {
        (true, _) => "it fits".to_owned(),
        (false, []) => "it does not fit".to_owned(),
        (false, _) => format!("it does not fit: its tier lacks {}", missing.join(", ")),
    };
    let mut section = Section::new(format!("On {}", resource(step.resource)), &verdict, &columns);
    for one in &step.dimensions {
        section.row([
            one.dimension.to_string(),
            bar(one.share, SHORT_BAR),
            percent(one.share),
            quantity(one.dimension, one.demand),
            quantity(one.dimension, one.capacity),
            if one.fits { "yes" } else { "NO" }.to_owned(),
            one.basis.name().to_owned(),
        ]);
    }
    Some(section)
}

fn messages(title: String, messages: &Messages, quota: &Quota, cost: Option<&Cost>) -> Section {
    let mut section = Section::new(title, "billed by 2 KiB", &FACTS);
    let mut add = |what: &str, value: String, basis| fact(&mut section, what, value, basis);
    let per_day = messages.per_day;
    add("a day, by bytes to rounded up", between(per_day, amount), per_day.basis);
    let included = messages.included_per_day;
    add("included a day", figure(included, "-"), included.basis);
    let extra = messages.extra_per_day;
    add("more than included", between(extra, amount), extra.basis);
    let held = messages.unit_days;
    add("unit-days a day", figure(held, "-"), held.basis);
    let then = match quota.then {
        Then::Stops => "used up, and stopped, at",
        Then::Billed => "used up, and billed, from",
    };
    let (bytes, message) = (hour(quota.hour_by_bytes.value), hour(quota.hour_by_message.value));
    let clock = if bytes == message { bytes } else { format!("{bytes}; {message} if rounded up") };
    add(then, clock, quota.hour_by_bytes.basis);
    let busiest = seconds(quota.busiest_seconds.value, "never");
    add("used up after, at the busiest", busiest, quota.busiest_seconds.basis);
    if let Some(cost) = cost {
        let money = |value: f64| format!("{} {}", rounded(value), cost.currency);
        let units = cost.units.value.map_or_else(String::new, money);
        add("units a month", units, cost.units.basis);
        add("messages a month", between(cost.messages, money), cost.messages.basis);
        add("a month, in all", between(cost.total, money), cost.total.basis);
        let old = if cost.is_old { "; OLD" } else { "" };
        let days = words::counted(cost.age_days.max(0).unsigned_abs(), "day");
        let read = format!("{} ({days}{old}), region {}: {}", cost.date, cost.region, cost.source);
        add("prices of", read, Basis::Assumption);
    }
    section
}

fn reload(estimate: &Estimate) -> Section {
    let reload = &estimate.reload;
    let note = "everybody is dropped at once";
    let mut section = Section::new(RELOAD, note, &FACTS);
    let mut add = |what: &str, value: String, basis| fact(&mut section, what, value, basis);
    let rate = reload.connects_per_s;
    add("connects admitted", format!("{}/s", figure(rate, "-")), rate.basis);
    add("least time, all back", seconds(reload.least_s.value, "-"), reload.least_s.basis);
    let window = seconds(reload.window_s.value, "-");
    let jitter = format!("{window}: first attempt at a random instant within it");
    add("jitter window to configure", jitter, reload.window_s.basis);
    for (name, row) in
        [("as configured", &reload.as_configured), ("as recommended", &reload.as_recommended)]
    {
        add(name, storm(row), row.basis);
    }
    let calls = reload.upstream_calls_per_s;
    add("upstream calls", format!("{}/s", figure(calls, "-")), calls.basis);
    section
}

/// A storm in one line.
pub fn storm(row: &StormRow) -> String {
    let past = "more than 20 min";
    format!(
        "peak {} attempts/s, {} a client, 95 % back after {}, all after {}",
        amount(row.attempts_peak_per_s.round()),
        amount(row.attempts_per_client),
        seconds(row.t95_s, past),
        seconds(row.t100_s, past),
    )
}

fn flash(estimate: &Estimate) -> Section {
    let columns = [
        Column::Names("users"),
        Column::Figures("refused"),
        Column::Figures("admitted in"),
        Column::Figures("fullest"),
        Column::Words("which"),
        Column::Words("needs"),
        Column::Names("basis"),
    ];
    let mut section = Section::new("Flash crowd", "on the same units", &columns);
    for flash in &estimate.flash_crowd {
        let fullest = flash.fullest.as_ref();
        section.row([
            times(Some(flash.times)),
            figure(flash.refused, "-"),
            seconds(flash.admitted_s.value, "-"),
            fullest.map_or_else(|| "-".to_owned(), |one| percent(one.share)),
            fullest.map_or_else(|| "-".to_owned(), |one| one.dimension.to_string()),
            needed(flash.needed),
            flash.basis.name().to_owned(),
        ]);
    }
    section
}

fn upstream(estimate: &Estimate) -> Section {
    let upstream = &estimate.upstream;
    let note = "at once = rate × latency";
    let mut section = Section::new("Upstream", note, &FACTS);
    let mut add = |what: &str, rate: Figure, at_once: Figure| {
        let value = format!("{} requests/s, {} at once", figure(rate, "-"), figure(at_once, "-"));
        fact(&mut section, what, value, rate.basis);
    };
    add("busiest hour", upstream.steady_per_s, upstream.steady_at_once);
    add("in a reload", upstream.reload_per_s, upstream.reload_at_once);
    let latency = upstream.latency_s;
    let told = seconds_fine(latency.value.unwrap_or_default());
    fact(&mut section, "latency", told, latency.basis);
    section
}

/// Seconds, with the parts of one that somebody said.
pub fn seconds_fine(value: f64) -> String {
    words::duration(std::time::Duration::from_secs_f64(value))
}

fn sizes(estimate: &Estimate) -> Section {
    let columns = [
        Column::Figures("size"),
        Column::Figures("counts as"),
        Column::Figures("billed"),
        Column::Figures("message rate\nleft"),
        Column::Words("sent as"),
        Column::Names("basis"),
    ];
    let note = "1 KiB at least for throughput, 2 KiB steps in the bill, 1 MiB at most";
    let mut section = Section::new("Message size", note, &columns);
    for size in &estimate.message_sizes {
        section.row([
            words::bytes(size.size_bytes),
            words::bytes(size.counts_bytes),
            between(size.billed, fraction),
            size.rate_share.value.map_or_else(String::new, percent),
            size.of.iter().map(|of| name(of)).collect::<Vec<_>>().join(", "),
            size.basis.name().to_owned(),
        ]);
    }
    section
}

/// An amount; of less than one two places.
pub fn fraction(value: f64) -> String {
    if value < 1.0 { format!("{value:.2}") } else { amount(value) }
}

fn scaling(estimate: &Estimate) -> Section {
    let scaling = &estimate.scaling;
    let mut section = Section::new("Growth and lead time", "", &FACTS);
    let lead = "autoscale within 5 min, 30 min between two steps; by hand up to 30 min";
    fact(&mut section, "more units work", lead.to_owned(), Basis::MicrosoftBenchmark);
    let mut add = |what: &str, value: String, of: Figure| {
        fact(&mut section, what, value, of.basis);
    };
    let percent_of = |figure: Figure| figure.value.map_or_else(String::new, |p| percent(p / 100.0));
    let steepest = scaling.steepest_per_minute;
    add("steepest hour", format!("{} connections/min", figure(steepest, "-")), steepest);
    let (one, two) = (scaling.within_lead_percent, scaling.within_two_steps_percent);
    add("comes within 5 min", format!("{} of the busiest load", percent_of(one)), one);
    add("comes within 35 min", format!("{} of it", percent_of(two)), two);
    let at = scaling.scale_out_percent;
    add("scale out at the latest at", percent_of(at), at);
    add("next step needed in", months(scaling.months_to_planned), scaling.months_to_planned);
    add("breaks in", months(scaling.months_to_break), scaling.months_to_break);
    section
}

/// Months until something, or that nothing grows.
pub fn months(until: Figure) -> String {
    match until.value {
        None => "never: no growth is told".to_owned(),
        Some(months) if months < 1_000.0 => format!("{months:.1} months"),
        Some(months) => format!("{} months", amount(months)),
    }
}

/// Who comes back too late for a reliable subprotocol to recover.
pub fn back_late(loss: &Loss) -> String {
    let share = loss.too_late_share.value.map_or_else(String::new, percent);
    format!("{share} of the clients, as configured")
}

/// What clients that stop reading hold.
pub fn stalled(slow: &SlowCohort) -> String {
    let held = bytes(slow.memory_bytes.value.unwrap_or_default());
    format!("{} hold {held} at most", figure(slow.clients, "-"))
}

/// Money without parts of one.
pub fn rounded(value: f64) -> String {
    amount(value.round())
}

fn loss(estimate: &Estimate) -> Section {
    let (loss, slow) = (&estimate.loss, &estimate.slow_cohort);
    let note = "without a reliable subprotocol, what comes meanwhile is lost";
    let mut section = Section::new("Loss and slow readers", note, &FACTS);
    let mut add = |what: &str, value: String, of: Figure| {
        fact(&mut section, what, value, of.basis);
    };
    let messages = |figure: Figure| format!("{} messages", self::figure(figure, "-"));
    let each = loss.per_client_per_s;
    add("to a client", format!("{}/s", figure(each, "-")), each);
    let (own, best) = (loss.per_drop_configured, loss.per_drop_recommended);
    add("missed a drop, as configured", messages(own), own);
    add("missed a drop, as recommended", messages(best), best);
    let all = loss.reload_recommended;
    add("missed by all in a reload", messages(all), all);
    let late = loss.too_late_share;
    add("back too late to recover (30 s)", back_late(loss), late);
    add("1 % stop reading", stalled(slow), slow.memory_bytes);
    let full = seconds(slow.full_after_s.value, "never");
    add("such a queue is full after", full, slow.full_after_s);
    section
}

fn sensitivity(estimate: &Estimate) -> Section {
    let cost = estimate.cost.as_ref().map(|cost| cost.currency.as_str());
    let columns = [
        Column::Names("with"),
        Column::Words("needs"),
        Column::Figures("fullest\ntoday"),
        Column::Figures("messages a day"),
        Column::Figures("a month"),
        Column::Names("basis"),
    ];
    let mut section = Section::new("Sensitivity", "a fifth less and more", &columns);
    for row in &estimate.sensitivity {
        let what = match row.what {
            Varied::Users => "users",
            Varied::Size => "size",
            Varied::Rate => "rate",
        };
        let sign = if row.times < 1.0 { "-20 %" } else { "+20 %" };
        let millions = |value: Between| between(value, million);
        let month = match (row.cost, cost) {
            (Some(cost), Some(currency)) => {
                format!("{} {currency}", between(cost, rounded))
            }
            _ => "-".to_owned(),
        };
        section.row([
            format!("{what} {sign}"),
            needed(row.needed),
            row.fullest.as_ref().map_or_else(|| "-".to_owned(), |one| percent(one.share)),
            millions(row.per_day),
            month,
            row.basis.name().to_owned(),
        ]);
    }
    section
}

/// An amount, in millions where it is large.
pub fn million(value: f64) -> String {
    if (1e6..1e13).contains(&value) { format!("{} M", amount(value / 1e6)) } else { amount(value) }
}

fn assumptions(estimate: &Estimate) -> Section {
    let columns = [Column::Words("what"), Column::Words("source"), Column::Names("basis")];
    let mut section = Section::new("Taken for granted", "", &columns);
    for one in &estimate.assumptions {
        section.row([one.what.clone(), one.source.to_owned(), one.basis.name().to_owned()]);
    }
    let revisions = estimate.revisions;
    let (used, other) = (revisions.used, revisions.other);
    let leads = match revisions.other_recommends {
        _ if !revisions.matters => "no traffic goes to any".to_owned(),
        same if same == estimate.recommended => "the answer is the same by it".to_owned(),
        differs => format!("it leads to {}", needed(differs)),
    };
    let difference = format!(
        "small groups by the {} revision of Microsoft's figures: {}; the {} one has {}, and \
         {leads}",
        used.name(),
        used.figures(),
        other.name(),
        other.figures(),
    );
    let source = "azure-docs concept-performance, two revisions".to_owned();
    section.row([difference, source, Basis::MicrosoftBenchmark.name().to_owned()]);
    section
}
