//! The report on a terminal. Always written with colour codes; who prints it strips them where they
//! are not wanted (`anstream`, NO_COLOR).

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};

use super::hints::{self, Among};
use super::run_file::{
    End, LatencySeries, PopulationFacts, Quantiles, Range, RunFacts, RunFile, TargetPlace,
};
use super::storm;
use super::table::{self, Column, INDENT, WIDTH};
use super::webhooks;
use super::words;
use super::worlds;
use crate::event::{DeliveryTally, HowEnded, World};
use crate::measure::LatencyKind;
use crate::verdict::{Check, Outcome};

/// Rows of the table of ends past which populations are taken together, and past which the rest is
/// one line.
const END_ROWS_MAX: usize = 14;

pub(super) const BOLD: Style = Style::new().bold();
pub(super) const DIM: Style = Style::new().dimmed();
pub(super) const RED: Style = AnsiColor::Red.on_default().bold();
pub(super) const GREEN: Style = AnsiColor::Green.on_default().bold();
pub(super) const YELLOW: Style = AnsiColor::Yellow.on_default().bold();

/// The word in the column "expected" of an end that should not be.
const UNEXPECTED: &str = "NO";

/// The colour of a verdict.
#[must_use]
pub const fn style_of(outcome: Outcome) -> Style {
    match outcome {
        Outcome::Pass => GREEN,
        Outcome::Undetermined | Outcome::Invalid => YELLOW,
        Outcome::Fail => RED,
    }
}

/// The whole report of a run; `folder` is its path as the user can type it.
#[must_use]
pub fn render(run: &RunFile, folder: &str) -> String {
    render_among(run, folder, Among::Itself)
}

/// The same of a run that was one of several.
#[must_use]
pub fn render_among(run: &RunFile, folder: &str, among: Among) -> String {
    let mut out = headline(run);
    out.push_str(&facts(run));
    checks(run, among, &mut out);
    ends(run, &mut out);
    matrix(run, &mut out);
    latency(run, &mut out);
    webhooks::text(run, &mut out);
    let mut notes = String::new();
    for write in [delivery, storm::note, unsent, backlog, memory, faults, warnings] {
        write(run, &mut notes);
    }
    if !notes.is_empty() {
        let _ = write!(out, "\n{notes}");
    }
    let _ = writeln!(out, "\n{INDENT}{}", paint(DIM, &format!("files: {folder}")));
    out
}

/// `PASS  ping-timeout: clients that stop answering pings`.
#[must_use]
pub fn headline(run: &RunFile) -> String {
    let style = match run.how {
        HowEnded::Interrupted => YELLOW,
        _ => style_of(run.outcome),
    };
    let (word, name) = (verdict_word(run), &run.run.scenario);
    let label = format!("{}  {}: ", paint(style, word), paint(BOLD, name));
    let columns = word.len() + name.chars().count() + "  : ".len();
    let mut out = String::new();
    flowing("", &label, columns, &run.run.title, &mut out);
    out
}

/// The verdict in one word; an interrupted run has none of its own.
#[must_use]
pub const fn verdict_word(run: &RunFile) -> &'static str {
    match run.how {
        HowEnded::Interrupted => "INTERRUPTED",
        _ => words::outcome(run.outcome),
    }
}

/// How much, against what, for how long.
#[must_use]
pub fn fact_words(run: &RunFile) -> Vec<String> {
    let place = match run.run.target.place {
        TargetPlace::Embedded => "embedded hub".to_owned(),
        TargetPlace::Loopback | TargetPlace::Remote => run.run.target.endpoint.clone(),
    };
    let clients: u64 = run.populations.iter().map(|population| population.clients).sum();
    let units = words::counted(u64::from(run.run.hub.units), "unit");
    // Only a hub with a control API takes the scenario's settings.
    let assumed = if run.run.target.control { "" } else { "assumed " };
    vec![
        words::counted(clients, "client"),
        format!("{place} ({assumed}{}, {units})", run.run.hub.tier),
        format!("{}, {}", words::micros(run.elapsed_ns / 1_000), words::how(run.how)),
    ]
}

/// What was run, then what it takes to run it again.
fn facts(run: &RunFile) -> String {
    let again = [
        format!("seed {}", run.run.seed),
        format!("plan {}", run.run.plan_hash),
        worlds::of(std::slice::from_ref(run)),
    ];
    let mut out = String::new();
    for parts in [&fact_words(run)[..], &again] {
        for line in wrapped(parts, " · ", usize::from(WIDTH) - INDENT.len()) {
            let _ = writeln!(out, "{INDENT}{}", paint(DIM, &line));
        }
    }
    out
}

/// `13 of 16 checks passed`.
#[must_use]
pub fn passed_words(run: &RunFile) -> String {
    let passed = run.checks.iter().filter(|check| check.outcome == Outcome::Pass).count();
    let checks = words::counted(run.checks.len() as u64, "check");
    let until = match run.how {
        HowEnded::Interrupted => ", judged on what there was before the interruption",
        _ => "",
    };
    format!("{passed} of {checks} passed{until}")
}

/// Checks that passed are a count; the others are told.
fn checks(run: &RunFile, among: Among, out: &mut String) {
    let _ = writeln!(out, "{INDENT}{}", paint(DIM, &passed_words(run)));
    let of = |outcome| run.checks.iter().filter(move |check| check.outcome == outcome);
    for check in of(Outcome::Fail) {
        failed(run, check, among, out);
    }
    // What could not be judged is a line each, with the advice once.
    for outcome in [Outcome::Invalid, Outcome::Undetermined] {
        for (index, check) in of(outcome).enumerate() {
            if index == 0 {
                out.push('\n');
            }
            let told = format!("{}: {}", check.path, check.actual);
            out.push_str(&noted(style_of(outcome), words::outcome(outcome), &told));
        }
        if let Some(hint) = of(outcome).next().and_then(|check| hints::hint(run, check, among)) {
            out.push_str(&noted(DIM, "hint", hint));
        }
    }
}

/// A failed check, told whole.
fn failed(run: &RunFile, check: &Check, among: Among, out: &mut String) {
    let word = paint(style_of(check.outcome), words::outcome(check.outcome));
    let _ = writeln!(out, "\n{INDENT}{word}  {}", check.path);
    for (name, text) in [("expected", check.expected.as_str()), ("actual", check.actual.as_str())] {
        labelled(name, text, out);
    }
    if let Some(hint) = hints::hint(run, check, among) {
        labelled("hint", hint, out);
    }
}

/// Columns of a label before its text.
const LABEL: usize = 10;

/// `name      text` under a check, wrapped under itself.
fn labelled(name: &str, text: &str, out: &mut String) {
    let label = paint(DIM, &format!("{name:LABEL$}"));
    flowing(&format!("{INDENT}{INDENT}"), &label, LABEL, text, out);
}

/// A line of the report that opens with a word in a style, wrapped under its own text.
#[must_use]
pub fn noted(style: Style, name: &str, text: &str) -> String {
    let mut out = String::new();
    let room = name.chars().count() + 2;
    flowing(INDENT, &format!("{}  ", paint(style, name)), room, text, &mut out);
    out
}

/// A line of the report that is no more than a remark, likewise.
#[must_use]
pub fn aside(name: &str, text: &str) -> String {
    noted(DIM, name, text)
}

/// Text after a label of `label_columns` columns, wrapped under itself.
pub(super) fn flowing(
    indent: &str,
    label: &str,
    label_columns: usize,
    text: &str,
    out: &mut String,
) {
    // What is bound by a blank that is not of ASCII stays together.
    let bound = table::bound(text);
    let mut words: Vec<_> =
        bound.split_ascii_whitespace().map(|word| word.replace(table::BOUND, " ")).collect();
    if words.is_empty() {
        // The label is told even where nothing follows it.
        words.push(String::new());
    }
    let room = usize::from(WIDTH).saturating_sub(indent.len() + label_columns);
    for (index, line) in wrapped(&words, " ", room).iter().enumerate() {
        let label = if index == 0 { label.to_owned() } else { " ".repeat(label_columns) };
        let _ = writeln!(out, "{indent}{label}{line}");
    }
}

/// What is told of an error or advised, after a word in a style; lines that are too long are
/// wrapped under its text.
#[must_use]
pub fn message(style: Style, word: &str, text: &str) -> String {
    let label_columns = word.chars().count() + 1;
    let mut out = String::new();
    for (index, line) in text.lines().enumerate() {
        let label = match index {
            0 => format!("{} ", paint(style, word)),
            _ => String::new(),
        };
        let columns = if index == 0 { label_columns } else { 0 };
        if columns + line.chars().count() <= usize::from(WIDTH) {
            let _ = writeln!(out, "{label}{line}");
        } else {
            flowing("", &label, columns, line, &mut out);
        }
    }
    out
}

/// A heading over a table.
pub(super) fn heading(text: &str, note: &str, out: &mut String) {
    let note = if note.is_empty() { String::new() } else { format!("  {}", paint(DIM, note)) };
    let _ = writeln!(out, "\n{INDENT}{}{note}", paint(BOLD, text));
}

fn ends(run: &RunFile, out: &mut String) {
    let several = run.populations.len() > 1;
    let by_population = several && run.ends.len() <= END_ROWS_MAX;
    let list = if by_population { &run.ends } else { &run.ends_total };
    let note = match (several, by_population) {
        (true, false) => "(populations taken together; run.json has each)",
        _ => "",
    };
    heading("How connections ended", note, out);
    if list.is_empty() {
        let _ = writeln!(out, "{INDENT}no connection was attempted");
        return;
    }
    let attempts = run.attempts();
    let mut columns = vec![
        Column::Names("hub says"),
        Column::Words("client saw"),
        Column::Figures("count"),
        Column::Figures("share"),
        Column::Figures("median\nlife"),
        Column::Names("expected"),
    ];
    if by_population {
        columns.insert(0, Column::Names("population"));
    }
    let shown = list.len().min(END_ROWS_MAX);
    let mut rows = Vec::new();
    let mut last = None;
    for end in &list[..shown] {
        let mut row = end_row(run, end, attempts);
        if by_population {
            let name = end.population.clone().unwrap_or_default();
            row.insert(0, if last == Some(&end.population) { String::new() } else { name });
            last = Some(&end.population);
        }
        rows.push(row);
    }
    for line in table::render(&columns, rows).lines() {
        let unexpected = line.ends_with(&format!("  {UNEXPECTED}"));
        let _ = writeln!(out, "{}", if unexpected { paint(RED, line) } else { line.to_owned() });
    }
    if list.len() > shown {
        let rest: u64 = list[shown..].iter().map(|end| end.count).sum();
        let kinds = words::counted((list.len() - shown) as u64, "more kind");
        let _ = writeln!(out, "{INDENT}… {kinds} of end, {}", words::counted(rest, "row"));
    }
}

fn end_row(run: &RunFile, end: &End, attempts: u64) -> Vec<String> {
    vec![
        words::category(end.category, run.hub_observed()).to_owned(),
        words::observation(&end.seen),
        words::number(end.count),
        words::share(end.count, attempts),
        end.life
            .map_or_else(|| "-".to_owned(), |life| words::micros_in(run.run.world, life.median_us)),
        match end.expected {
            Some(true) => "yes",
            Some(false) => UNEXPECTED,
            None => "-",
        }
        .to_owned(),
    ]
}

/// Printed only when a cell is outside the allowed set; `run.json` always has it.
fn matrix(run: &RunFile, out: &mut String) {
    if run.matrix.iter().all(|cell| cell.allowed) {
        return;
    }
    heading("Hub against client", "(cells marked NO cannot both be true)", out);
    let columns = [
        Column::Names("population"),
        Column::Names("hub says"),
        Column::Words("hub's wire"),
        Column::Words("client saw"),
        Column::Figures("count"),
        Column::Names("allowed"),
    ];
    let rows = run.matrix.iter().map(|cell| {
        vec![
            cell.population.clone(),
            words::category(cell.category, run.hub_observed()).to_owned(),
            words::wire(cell.wire.as_ref()),
            words::observation(&cell.seen),
            words::number(cell.count),
            if cell.allowed { "yes" } else { UNEXPECTED }.to_owned(),
        ]
    });
    for line in table::render(&columns, rows.collect()).lines() {
        let outside = line.ends_with(&format!("  {UNEXPECTED}"));
        let _ = writeln!(out, "{}", if outside { paint(RED, line) } else { line.to_owned() });
    }
}

/// What latencies are worth, by their clock and by whose hub they were measured against.
#[must_use]
pub const fn latency_label(facts: &RunFacts) -> &'static str {
    match (facts.world, facts.target.place) {
        (World::Virtual, _) => {
            "simulated time at 1 ms resolution; emulator on this machine, not Azure"
        }
        (World::Sockets, TargetPlace::Embedded | TargetPlace::Loopback) => {
            "emulator on this machine, not Azure"
        }
        (World::Sockets, TargetPlace::Remote) => "from this machine to the target",
    }
}

/// Cells of one view after its name: count, p50, p90, p99, p99.9, max.
#[must_use]
pub fn quantile_cells(world: World, quantiles: &Quantiles) -> Vec<String> {
    let time = |us: u64| words::micros_in(world, us);
    vec![
        words::number(quantiles.count),
        time(quantiles.p50_us),
        time(quantiles.p90_us),
        time(quantiles.p99_us),
        quantiles.p999_us.map_or_else(|| "-".to_owned(), time),
        time(quantiles.max_us),
    ]
}

/// The views of a series that say something: `response` and `service`; of the generator's own lag
/// only the one.
#[must_use]
pub fn views(series: &LatencySeries) -> Vec<(&'static str, Quantiles)> {
    if series.kind == LatencyKind::SendLag {
        return series.response.map(|quantiles| ("", quantiles)).into_iter().collect();
    }
    let named = [("response", series.response), ("service", series.service)];
    named.into_iter().filter_map(|(name, quantiles)| Some((name, quantiles?))).collect()
}

fn latency(run: &RunFile, out: &mut String) {
    if run.latency_total.is_empty() {
        return;
    }
    heading("Latency", &format!("({})", latency_label(&run.run)), out);
    let columns = [
        Column::Names("what"),
        Column::Names("view"),
        Column::Figures("count"),
        Column::Figures("p50"),
        Column::Figures("p90"),
        Column::Figures("p99"),
        Column::Figures("p99.9"),
        Column::Figures("max"),
    ];
    let mut rows = Vec::new();
    for series in &run.latency_total {
        for (index, (view, quantiles)) in views(series).into_iter().enumerate() {
            let what = if index == 0 { words::latency(series.kind) } else { "" };
            let mut row = vec![what.to_owned(), view.to_owned()];
            row.extend(quantile_cells(run.run.world, &quantiles));
            rows.push(row);
        }
    }
    out.push_str(&table::render(&columns, rows));
}

/// `expected 12,345 · received 12,345 · lost 0 · …`; nothing where nothing was to come.
#[must_use]
pub fn delivery_words(tally: &DeliveryTally) -> Option<String> {
    (tally.expected > 0 || tally.received > 0).then(|| {
        format!(
            "expected {} · received {} · lost {} · duplicated {} · out of order {}",
            words::number(tally.expected),
            words::number(tally.received),
            words::number(tally.lost),
            words::number(tally.duplicated),
            words::number(tally.out_of_order)
        )
    })
}

fn delivery(run: &RunFile, out: &mut String) {
    tallies(run, "Delivery", &run.delivery(), |population| &population.delivery, out);
    tallies(run, "Replies", &run.replies(), |population| &population.replies, out);
}

/// A tally of all, and those of the populations that something is wrong with.
fn tallies(
    run: &RunFile,
    title: &str,
    all: &DeliveryTally,
    of: impl Fn(&PopulationFacts) -> &DeliveryTally,
    out: &mut String,
) {
    let Some(all) = delivery_words(all) else { return };
    out.push_str(&noted(BOLD, title, &all));
    let is_hurt = |tally: &DeliveryTally| tally.lost + tally.duplicated + tally.out_of_order > 0;
    let hurt = run.populations.iter().filter(|population| is_hurt(of(population)));
    for population in hurt.filter(|_| run.populations.len() > 1) {
        let words = delivery_words(of(population)).unwrap_or_default();
        flowing(&format!("{INDENT}{INDENT}"), "", 0, &format!("{}: {words}", population.name), out);
    }
}

/// Messages that did not get as far as the hub, and requests that it refused; a sentence each.
#[must_use]
pub fn unsent_words(run: &RunFile) -> Vec<String> {
    let mut sentences = Vec::new();
    for population in &run.populations {
        let name = &population.name;
        if population.not_sent > 0 {
            let messages = words::counted(population.not_sent, "message");
            sentences.push(format!(
                "{messages} of {name} planned and not sent: not connected, or the outbox was full"
            ));
        }
        for (failure, &count) in &population.acks_failed {
            let requests = words::counted(count, "request");
            let error = failure.name();
            sentences.push(format!(
                "{requests} of {name} (joins, publishes, events) refused by the hub: {error}"
            ));
        }
    }
    if run.generator.rest_failed > 0 {
        let count = words::counted(run.generator.rest_failed, "REST message");
        sentences.push(format!("{count} not taken by the hub"));
    }
    sentences
}

fn unsent(run: &RunFile, out: &mut String) {
    for text in unsent_words(run) {
        out.push_str(&noted(YELLOW, "Not done", &text));
    }
}

/// Bytes beyond the hub's queue from which they are told: below, they are pings and the like.
const HELD_TOLD_MIN: i64 = 1_024;

/// What was under way to dropped clients, where something was: in the hub's queue, or beyond it.
fn backlog(run: &RunFile, out: &mut String) {
    let is_held = |range: Range| range.max >= HELD_TOLD_MIN;
    for drop in &run.backlog_at_close {
        if drop.queue_bytes.max == 0 && !drop.kernel_bytes.is_some_and(is_held) {
            continue;
        }
        let carriers = worlds::carriers(run.run.world);
        let kernel = drop
            .kernel_bytes
            .map_or_else(String::new, |range| format!("; {carriers} held {}", byte_range(range)));
        let queued = match drop.queue_bytes.max {
            0 => "nothing".to_owned(),
            _ => byte_range(drop.queue_bytes),
        };
        let text = format!(
            "{} of {}: {queued} in the hub's queue{kernel}",
            drop.category, drop.population,
        );
        out.push_str(&noted(BOLD, "Backlog at close", &text));
    }
}

/// Fewest connections among which memory is shared out: with fewer, the process itself drowns them.
const MEMORY_SHARED_BY_MIN: u64 = 1_000;

/// What connections held in memory, where there were enough of them to tell. In the virtual world
/// only the process's peak is known, to which other worlds may have added.
#[must_use]
pub fn memory_words(run: &RunFile) -> Option<String> {
    match run.run.world {
        World::Sockets => words::memory(&run.machine, run.run.target.place, MEMORY_SHARED_BY_MIN),
        World::Virtual => {
            let open =
                Some(run.generator.open_peak).filter(|&open| open >= MEMORY_SHARED_BY_MIN)?;
            let peak = words::bytes(run.machine.resident_peak_bytes?);
            Some(format!(
                "the process at most {peak} resident; up to {} connections of this run open",
                words::number(open)
            ))
        }
    }
}

fn memory(run: &RunFile, out: &mut String) {
    if let Some(text) = memory_words(run) {
        out.push_str(&noted(BOLD, "Memory", &text));
    }
}

/// `64.2 KiB to 65.4 KiB`, or one of them where they read the same.
#[must_use]
pub fn byte_range(range: Range) -> String {
    let [min, max] =
        [range.min, range.max].map(|value| words::bytes(u64::try_from(value).unwrap_or(0)));
    if min == max { min } else { format!("{min} to {max}") }
}

fn faults(run: &RunFile, out: &mut String) {
    for fault in &run.faults {
        let Some(error) = &fault.error else { continue };
        let at = words::micros(fault.planned_ns / 1_000);
        out.push_str(&noted(
            RED,
            "Fault not carried out",
            &format!("at {at}, {}: {error}", fault.what),
        ));
    }
}

fn warnings(run: &RunFile, out: &mut String) {
    for warning in &run.warnings {
        out.push_str(&noted(YELLOW, "warning", &words::warning(warning)));
    }
}

/// One line per run at the end of several: verdict, scenario, time, ends.
#[must_use]
pub fn overview(runs: &[RunFile]) -> String {
    let columns = [
        Column::Names("verdict"),
        Column::Names("scenario"),
        Column::Figures("took"),
        Column::Figures("checks"),
        Column::Words("ends"),
    ];
    let rows = runs.iter().map(|run| {
        let passed = run.checks.iter().filter(|check| check.outcome == Outcome::Pass).count();
        vec![
            verdict_word(run).to_owned(),
            run.run.scenario.clone(),
            words::micros(run.elapsed_ns / 1_000),
            format!("{passed}/{}", run.checks.len()),
            ends_words(run),
        ]
    });
    let mut out = format!(
        "{}  {}\n",
        paint(BOLD, "All scenarios"),
        paint(DIM, &format!("({})", worlds::of(runs)))
    );
    for line in table::render(&columns, rows.collect()).lines() {
        let _ = writeln!(out, "{}", paint_first_word(line));
    }
    out
}

/// `PingTimeout 10, Normal 90`.
#[must_use]
pub fn ends_words(run: &RunFile) -> String {
    let counts = run.categories();
    let unknown: u64 =
        run.ends_total.iter().filter(|end| end.category.is_none()).map(|end| end.count).sum();
    let mut parts: Vec<_> = counts
        .iter()
        .map(|(category, count)| format!("{category} {}", words::number(*count)))
        .collect();
    if unknown > 0 {
        let word = words::category(None, run.hub_observed());
        parts.push(format!("{word} {}", words::number(unknown)));
    }
    parts.join(", ")
}

/// Colours a verdict at the start of a table line.
fn paint_first_word(line: &str) -> String {
    let outcomes = [Outcome::Pass, Outcome::Undetermined, Outcome::Invalid, Outcome::Fail];
    let words = outcomes
        .into_iter()
        .map(|outcome| (words::outcome(outcome), style_of(outcome)))
        .chain([("INTERRUPTED", YELLOW)]);
    for (word, style) in words {
        if let Some(rest) = line.strip_prefix(INDENT).and_then(|line| line.strip_prefix(word)) {
            return format!("{INDENT}{}{rest}", paint(style, word));
        }
    }
    line.to_owned()
}

/// Style of the word "error".
#[must_use]
pub const fn style_of_error() -> Style {
    RED
}

/// Style of the word "hint".
#[must_use]
pub const fn style_of_hint() -> Style {
    GREEN
}

/// Text that stands out.
#[must_use]
pub fn bold(text: &str) -> String {
    paint(BOLD, text)
}

/// What is no more than a remark.
#[must_use]
pub fn dim(text: &str) -> String {
    paint(DIM, text)
}

/// Text in a style.
#[must_use]
pub fn paint(style: Style, text: &str) -> String {
    format!("{}{text}{}", style.render(), style.render_reset())
}

/// A command to be typed, after its name; over several lines where it is long, which a shell takes
/// as one.
#[must_use]
pub fn command(name: &str, words: &[String]) -> String {
    let label = format!("{name}: ");
    let room = usize::from(WIDTH).saturating_sub(INDENT.len() + label.len() + " \\".len());
    let joint = format!(" \\\n{INDENT}{:1$}", "", label.len());
    let lines = wrapped(words, " ", room).join(&joint);
    format!("{INDENT}{}{lines}\n", paint(DIM, &label))
}

/// Joins parts into lines of at most `room` characters; a part that is longer alone keeps its line.
fn wrapped(parts: &[String], joint: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for part in parts {
        match lines.last_mut() {
            Some(line)
                if line.chars().count() + joint.chars().count() + part.chars().count() <= room =>
            {
                line.push_str(joint);
                line.push_str(part);
            }
            _ => lines.push(part.clone()),
        }
    }
    lines
}
