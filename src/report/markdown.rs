//! Markdown, short enough for a pull request or a job summary.

use std::fmt::Write as _;

use super::run_file::RunFile;
use super::run_file::UpstreamFacts;
use super::table::Column;
use super::text;
use super::upstream as server;
use super::webhooks;
use super::words;
use super::worlds;
use crate::verdict::Outcome;

/// Lines of the whole document, at most.
pub const LINES_MAX: usize = 60;
/// Rows of one run's table of ends; the rest is one line.
const END_ROWS_MAX: usize = 8;
/// Failed checks told of one run; the rest is one line.
const FAILED_MAX: usize = 6;
/// Runs told in full; more are rows of the overview.
const RUNS_IN_FULL_MAX: usize = 1;

/// The document for these runs: one in full, several as an overview with what failed.
#[must_use]
pub fn render(runs: &[RunFile]) -> String {
    let mut out = format!("## Squall ({})\n\n", worlds::of(runs));
    overview(runs, &mut out);
    let in_full = runs.len() <= RUNS_IN_FULL_MAX;
    for run in runs {
        failed(run, &mut out);
        if in_full {
            ends(run, &mut out);
            latency(run, &mut out);
            upstream(run, &mut out);
            for warning in &run.warnings {
                let _ = writeln!(out, "\n> warning: {}", cell(&words::warning(warning)));
            }
        }
    }
    shortened(&out)
}

fn overview(runs: &[RunFile], out: &mut String) {
    out.push_str("| verdict | scenario | took | checks | ends |\n|---|---|--:|--:|---|\n");
    for run in runs {
        let passed = run.checks.iter().filter(|check| check.outcome == Outcome::Pass).count();
        let word = text::verdict_word(run);
        let _ = writeln!(
            out,
            "| **{word}** | {}: {} | {} | {passed}/{} | {} |",
            cell(&run.run.scenario),
            cell(&run.run.title),
            words::micros(run.elapsed_ns / 1_000),
            run.checks.len(),
            text::ends_words(run)
        );
    }
}

fn failed(run: &RunFile, out: &mut String) {
    let list: Vec<_> = run.checks.iter().filter(|check| check.outcome != Outcome::Pass).collect();
    if list.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n**{}**: checks that did not pass\n", cell(&run.run.scenario));
    for check in list.iter().take(FAILED_MAX) {
        let _ = writeln!(
            out,
            "- {} `{}`: expected {}; actual {}",
            words::outcome(check.outcome),
            check.path,
            cell(&check.expected),
            cell(&check.actual)
        );
    }
    if list.len() > FAILED_MAX {
        let _ = writeln!(out, "- … {} more", list.len() - FAILED_MAX);
    }
}

fn ends(run: &RunFile, out: &mut String) {
    out.push_str("\n### How connections ended\n\n");
    out.push_str(
        "| population | hub says | client saw | count | share | median life | expected |\n",
    );
    out.push_str("|---|---|---|--:|--:|--:|---|\n");
    let attempts = run.attempts();
    for end in run.ends.iter().take(END_ROWS_MAX) {
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {} |",
            cell(end.population.as_deref().unwrap_or("all")),
            words::category(end.category, run.hub_observed()),
            cell(&words::observation(&end.seen)),
            words::number(end.count),
            words::share(end.count, attempts),
            end.life.map_or_else(
                || "-".to_owned(),
                |life| words::micros_in(run.run.world, life.median_us)
            ),
            end.expected.map_or("-", |expected| if expected { "yes" } else { "**NO**" })
        );
    }
    if run.ends.len() > END_ROWS_MAX {
        let _ = writeln!(out, "\n… {} more kinds of end", run.ends.len() - END_ROWS_MAX);
    }
}

fn latency(run: &RunFile, out: &mut String) {
    if run.latency_total.is_empty() {
        return;
    }
    let label = text::latency_label(&run.run);
    let _ = writeln!(out, "\n### Latency ({label})\n");
    out.push_str("| what | view | count | p50 | p90 | p99 | p99.9 | max |\n");
    out.push_str("|---|---|--:|--:|--:|--:|--:|--:|\n");
    for series in &run.latency_total {
        for (view, quantiles) in text::views(series) {
            let cells = text::quantile_cells(run.run.world, &quantiles).join(" | ");
            let _ = writeln!(out, "| {} | {view} | {cells} |", words::latency(series.kind));
        }
    }
    for (title, tally) in [("Delivery", run.delivery()), ("Replies", run.replies())] {
        if let Some(tally) = text::delivery_words(&tally) {
            let _ = writeln!(out, "\n{title}: {tally}");
        }
    }
}

/// What went to event handlers, and what the application server counted.
fn upstream(run: &RunFile, out: &mut String) {
    let Some(facts) = &run.upstream else { return };
    let UpstreamFacts { events, server, .. } = facts;
    let _ = writeln!(out, "\n### Upstream ({})\n", webhooks::NOTE);
    if events.is_empty() {
        out.push_str("no event went to a handler\n");
    } else {
        table(&webhooks::COLUMNS, &webhooks::rows(run.run.world, facts), out);
    }
    list(&webhooks::notes(run.run.world, facts), out);
    if let Some(counts) = server {
        let _ = writeln!(out, "\n{}\n", webhooks::SERVER);
        table(&server::COLUMNS, &server::rows(counts), out);
        list(&server::notes(counts), out);
    }
}

fn table(columns: &[Column], rows: &[Vec<String>], out: &mut String) {
    let (mut names, mut rule) = ("|".to_owned(), "|".to_owned());
    for column in columns {
        let _ = write!(names, " {} |", column.name().replace('\n', " "));
        rule.push_str(if matches!(column, Column::Figures(_)) { "--:|" } else { "---|" });
    }
    let _ = writeln!(out, "{names}\n{rule}");
    for row in rows {
        let cells: Vec<_> = row.iter().map(|text| cell(text)).collect();
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
}

fn list(notes: &[(&str, String)], out: &mut String) {
    for (index, (what, told)) in notes.iter().enumerate() {
        if index == 0 {
            out.push('\n');
        }
        let _ = writeln!(out, "- {what}: {}", cell(told));
    }
}

/// Text that stays one cell and is not read as markup.
pub(super) fn cell(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '|' | '<' | '*' | '_' | '`' | '[' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            '\n' | '\r' => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

/// At most [`LINES_MAX`] lines, the last one saying that there was more.
fn shortened(document: &str) -> String {
    let lines: Vec<_> = document.lines().collect();
    if lines.len() <= LINES_MAX {
        return document.to_owned();
    }
    let mut out = lines[..LINES_MAX - 2].join("\n");
    let _ = write!(out, "\n\n… {} more lines: see report.html\n", lines.len() - LINES_MAX + 2);
    out
}
