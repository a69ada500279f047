//! `report.html`: the report of a run as a page.

use std::time::Duration;

use maud::{Markup, html};

use super::chart;
use super::hints::{self, Among};
use super::page::{self, class_of, table};
use super::run_file::{LatencySeries, PopulationFacts, RunFile, TargetPlace};
use super::storm;
use super::table::Column;
use super::text::{self, latency_label, quantile_cells, views};
use super::upstream as server;
use super::webhooks;
use super::words;
use super::worlds;
use crate::event::{DeliveryTally, HowEnded, World};
use crate::verdict::{Check, Outcome};

/// The page of a run: the verdict and what went wrong first, then what happened, then what the run
/// was made with.
#[must_use]
pub fn render(run: &RunFile) -> String {
    let title = format!("{}: {}", text::verdict_word(run), run.run.scenario);
    let main = html! {
        (warnings(run))
        (checks(run))
        (ends(run))
        (matrix(run))
        (storm::section(run))
        (latency(run))
        (upstream(run))
        (delivery(run))
        (drops(run))
        (faults(run))
        (populations(run))
        (provenance(run))
    };
    page::render(&title, chart::CSS, &head(run), &main)
}

fn head(run: &RunFile) -> Markup {
    let class = match run.how {
        HowEnded::Interrupted => "warn",
        _ => class_of(run.outcome),
    };
    let said = html! {
        p { (text::passed_words(run)) }
        @if !run.ends_total.is_empty() { p { (text::ends_words(run)) } }
        p class="dim" { (text::fact_words(run).join(" · ")) }
        p class="dim" { (worlds::of(std::slice::from_ref(run))) }
    };
    let heading = format!("{}: {}", run.run.scenario, run.run.title);
    page::header(class, text::verdict_word(run), &heading, &said)
}

fn provenance(run: &RunFile) -> Markup {
    let facts = &run.run;
    let place = match facts.target.place {
        TargetPlace::Embedded => "embedded hub",
        TargetPlace::Loopback => "hub on this machine",
        TargetPlace::Remote => "remote target",
    };
    let hub = format!(
        "{}, {}, {} connections; ping every {}, timeout {}; queue {}",
        facts.hub.tier,
        words::counted(u64::from(facts.hub.units), "unit"),
        words::number(facts.hub.connection_cap),
        words::duration(Duration::from_nanos(facts.hub.ping_interval_ns)),
        words::duration(Duration::from_nanos(facts.hub.ping_timeout_ns)),
        words::bytes(facts.hub.queue_bytes),
    );
    html! {
        h2 { "Provenance" }
        dl {
            dt { "started" } dd { (run.machine.started) }
            dt { "world" } dd { (world(run)) }
            dt { "target" } dd { (place) " " code { (facts.target.endpoint) } }
            dt { "hub" } dd { (hub) }
            dt { "seed" } dd { (facts.seed) }
            dt { "plan" } dd { code { (facts.plan_hash) } }
            dt { "machine" } dd {
                (words::counted(run.machine.cores, "core")) ", "
                (words::counted(run.machine.threads, "generator thread"))
            }
            @if let Some(memory) = text::memory_words(run) { dt { "memory" } dd { (memory) } }
            dt { "version" } dd { "squall " (facts.squall_version) }
        }
    }
}

/// The world, and what its clock showed.
fn world(run: &RunFile) -> Markup {
    html! {
        (words::world(run.run.world))
        @match run.run.world {
            World::Sockets => {}
            World::Virtual => {
                "; its timeline began " (run.run.started) " by its own clock"
            }
        }
    }
}

/// What failed is told whole; what could not be judged is a table with its advice once; what passed
/// is folded away.
fn checks(run: &RunFile) -> Markup {
    let of = |wanted: Outcome| -> Vec<&Check> {
        run.checks.iter().filter(|check| check.outcome == wanted).collect()
    };
    let (failed, passed) = (of(Outcome::Fail), of(Outcome::Pass));
    html! {
        @if !failed.is_empty() {
            h2 { "Failed checks" }
            @for check in failed { (failed_check(run, check)) }
        }
        @for (outcome, title) in [
            (Outcome::Invalid, "Invalid checks"),
            (Outcome::Undetermined, "Undetermined checks"),
        ] {
            @let list = of(outcome);
            @if let Some(first) = list.first() {
                h2 class="warn" { (title) }
                @if let Some(hint) = advice(run, first) { p class="dim" { (hint) } }
                (check_table(title, &list))
            }
        }
        @if !passed.is_empty() {
            details {
                summary { "Checks that passed (" (words::number(passed.len() as u64)) ")" }
                (check_table("Checks that passed", &passed))
            }
        }
    }
}

fn failed_check(run: &RunFile, check: &Check) -> Markup {
    html! {
        section class="check" {
            p { span class="fail" { (words::outcome(check.outcome)) } " " code { (check.path) } }
            dl {
                dt { "expected" } dd { (check.expected) }
                dt { "actual" } dd { (check.actual) }
                @if let Some(hint) = advice(run, check) { dt { "hint" } dd { (hint) } }
            }
        }
    }
}

fn check_table(label: &str, list: &[&Check]) -> Markup {
    let rows = html! {
        @for check in list {
            tr {
                th scope="row" { code { (check.path) } }
                td class="w" { (check.expected) }
                td class="w" { (check.actual) }
            }
        }
    };
    table(label, &[("check", false), ("expected", false), ("actual", false)], &rows)
}

/// A name in camel case, with places to break it where a screen is narrow.
fn breakable(name: &str) -> Markup {
    html! {
        @for (index, letter) in name.char_indices() {
            @if index > 0 && letter.is_ascii_uppercase() { wbr; }
            (letter)
        }
    }
}

/// The cell of a yes or no in which a no is what the reader must find.
fn yes_cell(value: Option<bool>) -> Markup {
    match value {
        Some(true) => html! { td { "yes" } },
        Some(false) => html! { td class="fail" { "NO" } },
        None => html! { td { "-" } },
    }
}

fn advice(run: &RunFile, check: &Check) -> Option<&'static str> {
    hints::hint(run, check, Among::Itself)
}

fn ends(run: &RunFile) -> Markup {
    let attempts = run.attempts();
    let rows = html! {
        @for end in &run.ends {
            tr {
                th scope="row" { (end.population.as_deref().unwrap_or("all")) }
                td class="c" { (breakable(words::category(end.category, run.hub_observed()))) }
                (yes_cell(end.expected))
                td class="n" { (words::number(end.count)) }
                td class="n" { (words::share(end.count, attempts)) }
                td class="w" { (words::observation(&end.seen)) }
                @match end.life {
                    Some(life) => {
                        @for us in [life.median_us, life.min_us, life.max_us] {
                            td class="n" { (words::micros_in(run.run.world, us)) }
                        }
                    }
                    None => { @for _ in 0..3 { td class="n" { "-" } } }
                }
            }
        }
    };
    let header = [
        ("population", false),
        ("hub says", false),
        ("expected", false),
        ("count", true),
        ("share", true),
        ("client saw", false),
        ("median life", true),
        ("shortest", true),
        ("longest", true),
    ];
    html! {
        h2 { "How connections ended" }
        @if run.ends.is_empty() {
            p { "No connection was attempted." }
        } @else {
            (table("How connections ended", &header, &rows))
        }
    }
}

fn populations(run: &RunFile) -> Markup {
    let rows = html! {
        @for population in &run.populations {
            tr {
                th scope="row" { (population.name) }
                td class="w" { (population.behaviour) }
                @for figure in [
                    population.clients, population.attempts, population.opens,
                    population.refusals, population.dropped, population.recovered,
                ] {
                    td class="n" { (words::number(figure)) }
                }
            }
        }
    };
    let header = [
        ("population", false),
        ("behaviour", false),
        ("clients", true),
        ("attempts", true),
        ("opens", true),
        ("refused or failed", true),
        ("dropped", true),
        ("recovered", true),
    ];
    html! { h2 { "Populations" } (table("Populations", &header, &rows)) }
}

/// Folded away while both sides tell the same story.
fn matrix(run: &RunFile) -> Markup {
    if run.matrix.is_empty() {
        return html! {};
    }
    let rows = html! {
        @for cell in &run.matrix {
            tr {
                th scope="row" { (cell.population) }
                td class="c" { (breakable(words::category(cell.category, run.hub_observed()))) }
                (yes_cell(Some(cell.allowed)))
                td class="n" { (words::number(cell.count)) }
                td class="w" { (words::wire(cell.wire.as_ref())) }
                td class="w" { (words::observation(&cell.seen)) }
            }
        }
    };
    let header = [
        ("population", false),
        ("hub says", false),
        ("allowed", false),
        ("count", true),
        ("hub's wire", false),
        ("client saw", false),
    ];
    let outside = run.matrix.iter().filter(|cell| !cell.allowed).count();
    html! {
        details open[outside > 0] {
            summary {
                "Hub against client: "
                @if outside > 0 {
                    span class="fail" { "rows marked NO cannot both be true" }
                } @else {
                    "both can be telling the truth of every end"
                }
            }
            (table("Hub against client", &header, &rows))
        }
    }
}

/// The columns of [`quantile_cells`], after those that name a series.
const QUANTILES: [(&str, bool); 6] =
    [("count", true), ("p50", true), ("p90", true), ("p99", true), ("p99.9", true), ("max", true)];

fn latency(run: &RunFile) -> Markup {
    if run.latency_total.is_empty() {
        return html! {};
    }
    let rows = latency_rows(run, &run.latency_total, |_| html! {});
    let header = [&[("what", false), ("view", false)][..], &QUANTILES].concat();
    let label = latency_label(&run.run);
    html! {
        h2 { "Latency " span class="dim" { "(" (label) ")" } }
        p class="dim" { "Response counts from the planned instant, service from the actual one." }
        (table("Latency", &header, &rows))
        (latency_in_parts(run))
    }
}

/// A row per series and view; `parts` are the cells between the kind and the view.
fn latency_rows(
    run: &RunFile,
    list: &[LatencySeries],
    parts: impl Fn(&LatencySeries) -> Markup,
) -> Markup {
    html! {
        @for series in list {
            @for (view, quantiles) in views(series) {
                tr {
                    th scope="row" { (words::latency(series.kind)) }
                    (parts(series))
                    td { (view) }
                    @for cell in quantile_cells(run.run.world, &quantiles) {
                        td class="n" { (cell) }
                    }
                }
            }
        }
    }
}

/// The same per population, before and after the first misbehaviour or fault; folded away.
fn latency_in_parts(run: &RunFile) -> Markup {
    if run.latency.is_empty() {
        return html! {};
    }
    let rows = latency_rows(run, &run.latency, |series| {
        html! {
            td { (series.population.as_deref().unwrap_or("-")) }
            td { (series.stage.map_or("-", words::stage)) }
        }
    });
    let named = [("what", false), ("population", false), ("trouble", false), ("view", false)];
    let header = [&named[..], &QUANTILES].concat();
    html! {
        details {
            summary { "Latency per population, before and after the first trouble" }
            (table("Latency per population", &header, &rows))
        }
    }
}

/// What went to event handlers, and what the application server counted.
fn upstream(run: &RunFile) -> Markup {
    let Some(facts) = &run.upstream else { return html! {} };
    let events = webhooks::rows(run.run.world, facts);
    html! {
        h2 { "Upstream " span class="dim" { "(" (webhooks::NOTE) ")" } }
        @if events.is_empty() {
            p { "No event went to a handler." }
        } @else {
            (plain_table("Upstream", &webhooks::COLUMNS, &events))
        }
        (list(&webhooks::notes(run.run.world, facts)))
        @if let Some(counts) = &facts.server {
            h3 { (webhooks::SERVER) }
            @if counts.requests.is_empty() {
                p { "No request of a hub came." }
            } @else {
                (plain_table(webhooks::SERVER, &server::COLUMNS, &server::rows(counts)))
            }
            (list(&server::notes(counts)))
        }
    }
}

/// The table that a terminal shows.
fn plain_table(label: &str, columns: &[Column], rows: &[Vec<String>]) -> Markup {
    let names: Vec<_> = columns.iter().map(|column| column.name().replace('\n', " ")).collect();
    let is_figure = |column: &Column| matches!(column, Column::Figures(_));
    let header = names.iter().map(String::as_str).zip(columns.iter().map(is_figure));
    let rows = html! {
        @for row in rows {
            tr {
                @for (index, (cell, column)) in row.iter().zip(columns).enumerate() {
                    @if index == 0 {
                        th scope="row" { (cell) }
                    } @else {
                        td class=[match column {
                            Column::Figures(_) => Some("n"),
                            Column::Words(_) => Some("w"),
                            Column::Names(_) => None,
                        }] { (cell) }
                    }
                }
            }
        }
    };
    table(label, &header.collect::<Vec<_>>(), &rows)
}

/// What is said besides, by what it is about; what is about the same stands under one name.
fn list(notes: &[(&str, String)]) -> Markup {
    if notes.is_empty() {
        return html! {};
    }
    html! {
        dl {
            @for (index, (what, told)) in notes.iter().enumerate() {
                @if index == 0 || notes[index - 1].0 != *what { dt { (what) } }
                dd { (told) }
            }
        }
    }
}

fn delivery(run: &RunFile) -> Markup {
    let unsent = text::unsent_words(run);
    let delivered = tallies(run, "Delivery", &run.delivery(), |population| &population.delivery);
    let replied = tallies(run, "Replies", &run.replies(), |population| &population.replies);
    if delivered.is_none() && replied.is_none() && unsent.is_empty() {
        return html! {};
    }
    html! {
        @if delivered.is_none() && replied.is_none() { h2 { "Delivery" } }
        @for table in [delivered, replied].into_iter().flatten() { (table) }
        @for text in unsent { p class="warn" { (text) } }
    }
}

/// A table of tallies by population, under its heading; `None` where nothing was to come and
/// nothing came.
fn tallies(
    run: &RunFile,
    title: &str,
    all: &DeliveryTally,
    of: impl Fn(&PopulationFacts) -> &DeliveryTally,
) -> Option<Markup> {
    let is_some = |tally: &DeliveryTally| tally.expected > 0 || tally.received > 0;
    if !is_some(all) {
        return None;
    }
    let told = run.populations.iter().filter(|population| is_some(of(population)));
    let rows = html! {
        @for population in told { (delivery_row(&population.name, of(population))) }
        @if run.populations.len() > 1 { (delivery_row("all", all)) }
    };
    let header = [
        ("population", false),
        ("expected", true),
        ("received", true),
        ("lost", true),
        ("duplicated", true),
        ("out of order", true),
    ];
    Some(html! {
        h2 { (title) }
        (table(title, &header, &rows))
    })
}

fn delivery_row(name: &str, tally: &DeliveryTally) -> Markup {
    html! {
        tr {
            th scope="row" { (name) }
            @for figure in [tally.expected, tally.received] {
                td class="n" { (words::number(figure)) }
            }
            @for figure in [tally.lost, tally.duplicated, tally.out_of_order] {
                td class={ "n" @if figure > 0 { " warn" } } { (words::number(figure)) }
            }
        }
    }
}

fn drops(run: &RunFile) -> Markup {
    if run.backlog_at_close.is_empty() {
        return html! {};
    }
    let rows = html! {
        @for drop in &run.backlog_at_close {
            tr {
                th scope="row" { (drop.population) }
                td class="c" { (breakable(drop.category.name())) }
                td class="n" { (text::byte_range(drop.queue_bytes)) }
                td class="n" {
                    (drop.kernel_bytes.map_or_else(|| "-".to_owned(), text::byte_range))
                }
            }
        }
    };
    let held = format!("held by {}", worlds::carriers(run.run.world));
    let header = [
        ("population", false),
        ("hub says", false),
        ("in the hub's queue", true),
        (held.as_str(), true),
    ];
    let title = "Backlog when drops were decided";
    html! { h2 { (title) } (table(title, &header, &rows)) }
}

fn faults(run: &RunFile) -> Markup {
    if run.faults.is_empty() {
        return html! {};
    }
    let rows = html! {
        @for fault in &run.faults {
            tr {
                th scope="row" class="n" { (words::micros(fault.planned_ns / 1_000)) }
                td class="n" {
                    (fault.done_ns.map_or_else(|| "-".to_owned(), |ns| words::micros(ns / 1_000)))
                }
                td class="w" { (fault.what) }
                @match &fault.error {
                    Some(error) => { td class="w fail" { "not carried out: " (error) } }
                    None => { td { (if fault.done_ns.is_some() { "done" } else { "-" }) } }
                }
            }
        }
    };
    let header = [("planned", true), ("carried out", true), ("fault", false), ("result", false)];
    html! { h2 { "Faults" } (table("Faults", &header, &rows)) }
}

fn warnings(run: &RunFile) -> Markup {
    html! {
        @if !run.warnings.is_empty() {
            h2 { "Warnings" }
            ul {
                @for warning in &run.warnings { li class="warn" { (words::warning(warning)) } }
            }
        }
    }
}
