//! A comparison on a terminal: what it came to, then every figure.

use super::super::table::{self, Column, INDENT};
use super::super::text;
use super::super::words;
use super::{Names, wording};
use crate::verdict::Outcome;
use crate::verdict::comparison::{Change, Comparison, Finding, Judgement};

/// Changes of a plan that are told; the rest is one line.
const CHANGES_MAX: usize = 20;

/// The whole comparison.
#[must_use]
pub fn render(comparison: &Comparison, names: Names<'_>) -> String {
    let Comparison { base, run, finding, rows, .. } = comparison;
    let mut out = headline(comparison);
    for (side, name, party) in [("base", names.base, base), ("run", names.run, run)] {
        let label = text::dim(&format!("{side:6}"));
        text::flowing(INDENT, &label, 6, &format!("{name} · {}", wording::party(party)), &mut out);
    }
    if *finding == Finding::PlanChanged {
        out.push_str(&changes(&comparison.plan_changes));
    }
    let told: Vec<_> = rows.iter().filter(|row| !wording::is_idle(row)).collect();
    if !told.is_empty() {
        let cells = told.iter().map(|row| wording::cells(comparison, row)).collect();
        out.push('\n');
        for line in table::render(&COLUMNS, cells).lines() {
            out.push_str(&painted(line));
            out.push('\n');
        }
    }
    let mut notes = wording::notes(comparison);
    let idle = (rows.len() - told.len()) as u64;
    if idle > 0 {
        notes.push(("left out", format!("{} that {}", words::counted(idle, "figure"), none(idle))));
    }
    if !notes.is_empty() {
        out.push('\n');
    }
    for (name, note) in notes {
        out.push_str(&text::aside(name, &note));
    }
    if let Some(advice) = wording::advice(comparison, names) {
        out.push('\n');
        out.push_str(&text::noted(text::style_of_hint(), "hint", &advice));
    }
    out
}

const fn none(idle: u64) -> &'static str {
    if idle == 1 { "is 0 in both" } else { "are 0 in both" }
}

const COLUMNS: [Column<'static>; 6] = [
    Column::Words("figure"),
    Column::Figures("base"),
    Column::Figures("run"),
    Column::Figures("difference"),
    Column::Names("bound"),
    Column::Names("judgement"),
];

/// `NO REGRESSION  slow-client: 24 figures compared, each as it was`.
#[must_use]
pub fn headline(comparison: &Comparison) -> String {
    let word = wording::finding(comparison.finding);
    let scenario = &comparison.run.scenario;
    let style = text::style_of(wording::like(comparison.finding));
    let label = format!("{}  {}: ", text::paint(style, word), text::bold(scenario));
    let columns = word.len() + scenario.chars().count() + "  : ".len();
    let mut out = String::new();
    text::flowing("", &label, columns, &wording::sentence(comparison), &mut out);
    out
}

/// The figures of a run compared with itself, without what only a comparison has.
#[must_use]
pub fn figures(comparison: &Comparison) -> String {
    let columns = [Column::Names("figure"), Column::Figures("accepted"), Column::Names("bound")];
    let rows = comparison.rows.iter().map(|row| {
        let value = wording::value(comparison.base.world, row.base);
        vec![wording::figure(&row.figure), value, wording::bound(row)]
    });
    format!("\n{}", table::render(&columns, rows.collect()))
}

/// How a plan changed: a line each, with both sides where they are told.
#[must_use]
pub fn changes(list: &[Change]) -> String {
    let mut out = String::from("\n");
    if list.is_empty() {
        let told = "what changed cannot be told: the runs do not keep their settings, or the \
                    change is in how Squall reads the scenario";
        out.push_str(&text::aside("changed", told));
    }
    for change in list.iter().take(CHANGES_MAX) {
        let told = match (&change.base, &change.run) {
            (Some(base), Some(run)) => format!("{}: {base} → {run}", change.what),
            (Some(base), None) => format!("{}: {base} → gone", change.what),
            (None, Some(run)) => format!("{}: new, {run}", change.what),
            (None, None) => format!("{}: something in it", change.what),
        };
        out.push_str(&text::noted(text::style_of(Outcome::Fail), "changed", &told));
    }
    if list.len() > CHANGES_MAX {
        let more = words::counted((list.len() - CHANGES_MAX) as u64, "more change");
        out.push_str(&text::aside("changed", &format!("{more}: see --json")));
    }
    out
}

/// Colours what stands at the end of a line of the table.
fn painted(line: &str) -> String {
    for (judgement, outcome) in [
        (Judgement::Regression, Outcome::Fail),
        (Judgement::Better, Outcome::Pass),
        (Judgement::OtherMachine, Outcome::Undetermined),
        (Judgement::NotObserved, Outcome::Undetermined),
        (Judgement::Missing, Outcome::Undetermined),
    ] {
        let word = wording::judgement(judgement);
        if let Some(start) = line.strip_suffix(word) {
            return format!("{start}{}", text::paint(text::style_of(outcome), word));
        }
    }
    line.to_owned()
}
