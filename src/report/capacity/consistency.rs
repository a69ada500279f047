//! What the runs of `--consistency` showed, beside what is foretold.

use std::fmt::Write as _;

use super::super::table::{self, Column};
use super::super::text;
use super::super::words;
use crate::capacity::{Course, Observed, Stand, Trial};

const COLUMNS: [Column<'static>; 7] = [
    Column::Names("load"),
    Column::Figures("times\nplanned"),
    Column::Figures("clients"),
    Column::Figures("full\n(paper)"),
    Column::Figures("p99 of\nmessages"),
    Column::Words("dropped or refused"),
    Column::Words("agrees"),
];

/// Every step with what it showed, and one sentence before.
#[must_use]
pub fn consistency(course: &Course, seen: &[(Trial, Observed)]) -> String {
    let mut out = String::new();
    text::heading("Consistency", "the model against the paper answer; not Azure", &mut out);
    let first = course.first.dimension;
    let agree = seen.iter().all(|(step, observed)| step.agrees(first, observed));
    let multiple = course.first.break_multiple();
    let units = words::counted(u64::from(course.units), "unit");
    let carry = if course.units == 1 { "carries" } else { "carry" };
    let hub = format!("A hub that is told what {units} {carry}");
    let sentence = match agree {
        true => format!(
            "{hub} holds the planned load and breaks by {first} at {multiple:.2} times of it, as \
             foretold."
        ),
        false => format!(
            "{hub} does not do what is foretold: that it breaks by {first} at {multiple:.2} times \
             the planned load."
        ),
    };
    text::flowing("  ", "", 0, &sentence, &mut out);
    let rows = seen.iter().map(|(step, observed)| row(course, step, observed)).collect();
    out.push_str(&table::render(&COLUMNS, rows));
    for (step, observed) in seen.iter().filter(|(step, _)| step.stand == Stand::Above) {
        let broke = observed.broke(first);
        let broke = broke.map_or("nothing that is foretold".to_owned(), |of| of.to_string());
        let _ = writeln!(out, "  broke at {:.2} times: {broke}", step.multiple);
    }
    out
}

fn row(course: &Course, step: &Trial, observed: &Observed) -> Vec<String> {
    let drops: Vec<_> = observed
        .drops
        .iter()
        .map(|(category, count)| format!("{category} × {}", words::number(*count)))
        .collect();
    vec![
        match step.stand {
            Stand::Planned => "as planned",
            Stand::Below => "below the break",
            Stand::Above => "past the break",
        }
        .to_owned(),
        format!("{:.2}", step.multiple),
        words::number(step.workload.connections_counted()),
        format!("{:.0} %", step.share(course) * 100.0),
        observed.p99.map_or("-".to_owned(), words::duration),
        if drops.is_empty() { "nobody".to_owned() } else { drops.join(", ") },
        if step.agrees(course.first.dimension, observed) { "yes" } else { "NO" }.to_owned(),
    ]
}
