//! A comparison as Markdown, for a pull request: what it came to, and what is not as it was.

use std::fmt::Write as _;

use super::super::markdown::cell;
use super::{Names, wording};
use crate::verdict::comparison::{Comparison, Judgement};

/// Rows that are told; the rest is one line.
const ROWS_MAX: usize = 40;

/// The document.
#[must_use]
pub fn render(comparison: &Comparison, names: Names<'_>) -> String {
    let mut out = format!(
        "## Squall: {} against its base\n\n**{}**: {}\n\n",
        cell(&comparison.run.scenario),
        wording::finding(comparison.finding),
        cell(&wording::sentence(comparison))
    );
    for (side, name, party) in
        [("base", names.base, &comparison.base), ("run", names.run, &comparison.run)]
    {
        let _ = writeln!(out, "- {side}: {} · {}", cell(name), cell(&wording::party(party)));
    }
    if !comparison.plan_changes.is_empty() {
        out.push_str("\n| changed | base | run |\n|---|---|---|\n");
        for change in comparison.plan_changes.iter().take(ROWS_MAX) {
            let side = |value: &Option<String>| match value {
                Some(value) => cell(value),
                None => wording::NOTHING.to_owned(),
            };
            let (base, run) = (side(&change.base), side(&change.run));
            let _ = writeln!(out, "| {} | {base} | {run} |", cell(&change.what));
        }
        more(comparison.plan_changes.len(), &mut out);
    }
    let is_told = |judgement| !matches!(judgement, Judgement::Same);
    let told: Vec<_> = comparison.rows.iter().filter(|row| is_told(row.judgement)).collect();
    if !told.is_empty() {
        out.push_str("\n| figure | base | run | difference | bound | judgement |\n");
        out.push_str("|---|--:|--:|--:|---|---|\n");
        for row in told.iter().take(ROWS_MAX) {
            let cells = wording::cells(comparison, row);
            let cells: Vec<_> = cells.iter().map(|text| cell(text)).collect();
            let line = cells.join(" | ");
            let line = match row.judgement {
                Judgement::Regression => line.replace("REGRESSION", "**REGRESSION**"),
                _ => line,
            };
            let _ = writeln!(out, "| {line} |");
        }
        more(told.len(), &mut out);
    }
    let same = comparison.rows.len() - told.len();
    if same > 0 {
        let _ = writeln!(out, "\n{same} figures are as they were.");
    }
    for (name, note) in wording::notes(comparison) {
        let _ = writeln!(out, "\n> {name}: {}", cell(&note));
    }
    if let Some(advice) = wording::advice(comparison, names) {
        let _ = writeln!(out, "\n> hint: {}", cell(&advice));
    }
    out
}

fn more(all: usize, out: &mut String) {
    if all > ROWS_MAX {
        let _ = writeln!(out, "\n… {} more", all - ROWS_MAX);
    }
}
