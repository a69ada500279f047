//! `report.html`: plain tables, one file, no script, nothing loaded from elsewhere; readable on
//! narrow screens, in light and dark.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::hints;
use super::run_file::{End, RunFile, TargetPlace};
use super::text::{delivery_words, ends_words, latency_label, quantile_cells, views};
use super::words;
use crate::event::HowEnded;
use crate::verdict::Outcome;

/// Colours are pairs for light and dark; tables scroll by themselves where they are too wide.
const CSS: &str = "\
:root{color-scheme:light dark;--bg:#fff;--fg:#1b1f24;--dim:#5c6670;--line:#d8dee4;--soft:#f5f7f9;\
--pass:#1a7f37;--fail:#cf222e;--warn:#9a6700}\
@media(prefers-color-scheme:dark){:root{--bg:#12161b;--fg:#e4e9ee;--dim:#98a4af;--line:#2f3841;\
--soft:#1a2027;--pass:#4ac26b;--fail:#ff7b72;--warn:#d4a72c}}\
*{box-sizing:border-box}body{margin:0 auto;max-width:68rem;padding:1.25rem;background:var(--bg);\
color:var(--fg);font:16px/1.5 system-ui,sans-serif}\
h1{font-size:1.4rem;margin:.2rem 0}h2{font-size:1.1rem;margin:2rem 0 .5rem}\
.verdict{font-weight:700;font-size:1.1rem}.pass{color:var(--pass)}.fail{color:var(--fail)}\
.warn{color:var(--warn)}.dim,caption{color:var(--dim)}\
dl{display:grid;grid-template-columns:max-content 1fr;gap:.1rem 1rem;margin:.8rem 0}\
dt{color:var(--dim)}dd{margin:0;overflow-wrap:anywhere}\
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.92rem}\
caption{text-align:left;padding:.2rem 0}\
th,td{padding:.35rem .7rem;text-align:left;border-bottom:1px solid var(--line);vertical-align:top}\
th{background:var(--soft);font-weight:600;white-space:nowrap}\
.n{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}\
code{font-size:.9em;overflow-wrap:anywhere}summary{cursor:pointer;margin:.6rem 0}";

/// The page of a run.
#[must_use]
pub fn render(run: &RunFile) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (word(run)) ": " (run.run.scenario) }
                style { (PreEscaped(CSS)) }
            }
            body {
                (head(run))
                (checks(run))
                (ends(run))
                (populations(run))
                (matrix(run))
                (latency(run))
                (drops(run))
                (faults(run))
                (warnings(run))
            }
        }
    };
    page.into_string()
}

fn word(run: &RunFile) -> &'static str {
    match run.how {
        HowEnded::Interrupted => "INTERRUPTED",
        _ => words::outcome(run.outcome),
    }
}

const fn class_of(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "pass",
        Outcome::Fail => "fail",
        Outcome::Undetermined | Outcome::Invalid => "warn",
    }
}

fn head(run: &RunFile) -> Markup {
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
        words::micros(facts.hub.ping_interval_ns / 1_000),
        words::micros(facts.hub.ping_timeout_ns / 1_000),
        words::bytes(facts.hub.queue_bytes),
    );
    html! {
        div class={ "verdict " (class_of(run.outcome)) } { (word(run)) }
        h1 { (facts.scenario) ": " (facts.title) }
        p { (ends_words(run)) }
        dl {
            dt { "started" } dd { (facts.started) }
            dt { "took" } dd { (words::micros(run.elapsed_ns / 1_000)) ", " (words::how(run.how)) }
            dt { "target" } dd { (place) " " code { (facts.target.endpoint) } }
            dt { "hub" } dd { (hub) }
            dt { "seed" } dd { (facts.seed) }
            dt { "plan" } dd { code { (facts.plan_hash) } }
            dt { "machine" } dd {
                (words::counted(facts.cores, "core")) ", "
                (words::counted(facts.threads, "generator thread"))
            }
            dt { "version" } dd { "squall " (facts.squall_version) ", " (facts.world) }
        }
    }
}

/// A table that scrolls sideways by itself; the header cells of `figures` stand to the right.
fn table(header: &[(&str, bool)], rows: &Markup) -> Markup {
    html! {
        div class="scroll" {
            table {
                thead {
                    tr {
                        @for (name, is_figure) in header {
                            th class=[is_figure.then_some("n")] scope="col" { (name) }
                        }
                    }
                }
                tbody { (rows) }
            }
        }
    }
}

fn checks(run: &RunFile) -> Markup {
    let rows = html! {
        @for check in &run.checks {
            tr {
                td class=(class_of(check.outcome)) { (words::outcome(check.outcome)) }
                td { code { (check.path) } }
                td { (check.expected) }
                td {
                    (check.actual)
                    @if let Some(hint) = hints::hint(check) { br; span class="dim" { (hint) } }
                }
            }
        }
    };
    let header = [("result", false), ("check", false), ("expected", false), ("actual", false)];
    html! { h2 { "Checks" } (table(&header, &rows)) }
}

fn ends(run: &RunFile) -> Markup {
    let attempts = run.attempts();
    let life = |end: &End| {
        end.life.map_or_else(
            || "-".to_owned(),
            |life| {
                let [min, max] = [life.min_us, life.max_us].map(words::micros);
                format!("{} ({min} to {max})", words::micros(life.median_us))
            },
        )
    };
    let rows = html! {
        @for end in &run.ends {
            tr {
                td { (end.population.as_deref().unwrap_or("all")) }
                td { (words::category(end.category, run.hub_observed())) }
                td { (words::observation(&end.seen)) }
                td class="n" { (words::number(end.count)) }
                td class="n" { (words::share(end.count, attempts)) }
                td class="n" { (life(end)) }
                @match end.expected {
                    Some(true) => { td { "yes" } }
                    Some(false) => { td class="fail" { "NO" } }
                    None => { td { "-" } }
                }
            }
        }
    };
    let header = [
        ("population", false),
        ("hub says", false),
        ("client saw", false),
        ("count", true),
        ("share", true),
        ("median life", true),
        ("expected", false),
    ];
    html! { h2 { "How connections ended" } (table(&header, &rows)) }
}

fn populations(run: &RunFile) -> Markup {
    let rows = html! {
        @for population in &run.populations {
            tr {
                td { (population.name) }
                td { (population.behaviour) }
                @for figure in [
                    population.clients, population.attempts, population.opens, population.dropped,
                    population.recovered, population.delivery.expected, population.delivery.lost,
                    population.delivery.duplicated, population.delivery.out_of_order,
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
        ("dropped", true),
        ("recovered", true),
        ("to deliver", true),
        ("lost", true),
        ("duplicated", true),
        ("out of order", true),
    ];
    html! {
        h2 { "Populations" }
        (table(&header, &rows))
        @if let Some(delivery) = delivery_words(&run.delivery()) { p { "Delivery: " (delivery) } }
    }
}

fn matrix(run: &RunFile) -> Markup {
    let rows = html! {
        @for cell in &run.matrix {
            tr {
                td { (cell.population) }
                td { (words::category(cell.category, run.hub_observed())) }
                td { (words::wire(cell.wire.as_ref())) }
                td { (words::observation(&cell.seen)) }
                td class="n" { (words::number(cell.count)) }
                @if cell.allowed { td { "yes" } } @else { td class="fail" { "NO" } }
            }
        }
    };
    let header = [
        ("population", false),
        ("hub says", false),
        ("hub's wire", false),
        ("client saw", false),
        ("count", true),
        ("allowed", false),
    ];
    html! { h2 { "Hub against client" } (table(&header, &rows)) }
}

fn latency(run: &RunFile) -> Markup {
    if run.latency_total.is_empty() {
        return html! {};
    }
    let rows = html! {
        @for series in &run.latency_total {
            @for (view, quantiles) in views(series) {
                tr {
                    td { (words::latency(series.kind)) }
                    td { (view) }
                    @for cell in quantile_cells(&quantiles) { td class="n" { (cell) } }
                }
            }
        }
    };
    let header = [
        ("what", false),
        ("view", false),
        ("count", true),
        ("p50", true),
        ("p90", true),
        ("p99", true),
        ("p99.9", true),
        ("max", true),
    ];
    html! {
        h2 { "Latency" }
        p class="dim" {
            (latency_label(run.run.target.place))
            ". Response counts from the planned instant, service from the actual one."
        }
        (table(&header, &rows))
        (latency_in_parts(run))
    }
}

/// The same per population, before and after the first misbehaviour or fault; folded away.
fn latency_in_parts(run: &RunFile) -> Markup {
    let rows = html! {
        @for series in &run.latency {
            @for (view, quantiles) in views(series) {
                tr {
                    td { (words::latency(series.kind)) }
                    td { (series.population.as_deref().unwrap_or("-")) }
                    td { (series.stage.map_or("-", words::stage)) }
                    td { (view) }
                    @for cell in quantile_cells(&quantiles) { td class="n" { (cell) } }
                }
            }
        }
    };
    let header = [
        ("what", false),
        ("population", false),
        ("trouble", false),
        ("view", false),
        ("count", true),
        ("p50", true),
        ("p90", true),
        ("p99", true),
        ("p99.9", true),
        ("max", true),
    ];
    html! {
        @if !run.latency.is_empty() {
            details {
                summary { "Per population, before and after the first trouble" }
                (table(&header, &rows))
            }
        }
    }
}

fn drops(run: &RunFile) -> Markup {
    if run.backlog_at_close.is_empty() {
        return html! {};
    }
    let range = |range: &super::run_file::Range| {
        let [min, max] =
            [range.min, range.max].map(|n| words::bytes(u64::try_from(n).unwrap_or(0)));
        format!("{min} to {max}")
    };
    let rows = html! {
        @for drop in &run.backlog_at_close {
            tr {
                td { (drop.population) }
                td { (drop.category) }
                td class="n" { (range(&drop.queue_bytes)) }
                td class="n" { (drop.kernel_bytes.as_ref().map_or_else(|| "-".to_owned(), range)) }
            }
        }
    };
    let header = [
        ("population", false),
        ("category", false),
        ("in the hub's queue", true),
        ("held by the kernels", true),
    ];
    html! { h2 { "Backlog when drops were decided" } (table(&header, &rows)) }
}

fn faults(run: &RunFile) -> Markup {
    if run.faults.is_empty() {
        return html! {};
    }
    let rows = html! {
        @for fault in &run.faults {
            tr {
                td class="n" { (words::micros(fault.planned_ns / 1_000)) }
                td class="n" {
                    (fault.done_ns.map_or_else(|| "-".to_owned(), |ns| words::micros(ns / 1_000)))
                }
                td { (fault.what) }
                @match &fault.error {
                    Some(error) => { td class="fail" { (error) } }
                    None => { td { "done" } }
                }
            }
        }
    };
    let header = [("planned", true), ("carried out", true), ("fault", false), ("result", false)];
    html! { h2 { "Faults" } (table(&header, &rows)) }
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
