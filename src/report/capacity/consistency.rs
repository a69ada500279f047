//! What the runs of `--consistency` showed, beside what is foretold.

use std::time::Duration;

use super::super::table::{self, Column};
use super::super::text;
use super::super::words;
use super::Section;
use crate::capacity::{Consistency, ConsistencyRun, Stand};

const COLUMNS: [Column<'static>; 7] = [
    Column::Names("load"),
    Column::Figures("times\nplanned"),
    Column::Figures("clients"),
    Column::Figures("full\n(paper)"),
    Column::Figures("p99 of\nmessages"),
    Column::Words("dropped or refused"),
    Column::Words("as foretold"),
];

const A_SECOND_US: u64 = 1_000_000;

/// One sentence, and every run with what it showed.
#[must_use]
pub fn consistency(told: &Consistency) -> String {
    let mut out = String::new();
    let section = section(told);
    text::heading(&section.title, &section.note, &mut out);
    text::flowing("  ", "", 0, &sentence(told), &mut out);
    out.push_str(&table::render(&section.columns, section.rows));
    out
}

/// What the runs bracket, and no more than that.
pub(super) fn sentence(told: &Consistency) -> String {
    let (foretold, dimension) = (told.foretold_multiple, told.dimension);
    let units = words::counted(u64::from(told.hub.units), "unit");
    let carry = if told.hub.units == 1 { "carries" } else { "carry" };
    let hub = format!("A hub that is told what {units} {carry}");
    let by_the_figures = format!("By the figures the break is at {foretold:.2} times.");
    let slow = told.runs.iter().map(|run| run.within_us).max().filter(|us| *us > A_SECOND_US);
    let slow = slow.map_or_else(String::new, |within_us| {
        let within = words::duration(Duration::from_micros(within_us));
        format!(
            " To hold is here that 99 % of messages take less than {within}, not a second: the \
             units are busy for as long when a message of every kind comes at once."
        )
    });
    match (told.agrees, told.held_multiple, told.broke_multiple) {
        (true, Some(held), Some(broke)) => format!(
            "{hub} holds the planned load, holds {held:.2} times of it, and is broken at \
             {broke:.2} times by {dimension}. {by_the_figures} Between the two nothing \
             was run.{slow}"
        ),
        _ => {
            let other = told.runs.iter().filter(|run| !run.agrees).map(contradiction);
            let other = other.collect::<Vec<_>>().join("; ");
            format!(
                "{hub} does something else than the figures say: {other}. {by_the_figures}{slow}"
            )
        }
    }
}

fn contradiction(run: &ConsistencyRun) -> String {
    let multiple = run.multiple;
    match (run.stand, run.broke_by) {
        (Stand::Planned | Stand::Below, Some(by)) => {
            format!("it is broken at {multiple:.2} times already, by {by}")
        }
        (Stand::Planned | Stand::Below, None) => {
            format!("it does not hold {multiple:.2} times the load")
        }
        (Stand::Above, Some(by)) => format!("it is broken at {multiple:.2} times by {by}"),
        (Stand::Above, None) if run.holds => format!("it holds {multiple:.2} times the load"),
        (Stand::Above, None) => format!("nothing known breaks it at {multiple:.2} times"),
    }
}

/// Every run.
pub(super) fn section(told: &Consistency) -> Section {
    let note = "the model against the paper answer; not a measurement of Azure";
    let mut section = Section::new("Consistency", note, &COLUMNS);
    section.rows = told.runs.iter().map(row).collect();
    section
}

fn row(run: &ConsistencyRun) -> Vec<String> {
    let drops = run.drops.iter();
    let mut drops: Vec<_> =
        drops.map(|(category, count)| format!("{category} × {}", words::number(*count))).collect();
    if run.lost > 0 {
        drops.push(format!("{} lost", words::counted(run.lost, "message")));
    }
    vec![
        match run.stand {
            Stand::Planned => "as planned",
            Stand::Below => "below the break",
            Stand::Above => "past the break",
        }
        .to_owned(),
        format!("{:.2}", run.multiple),
        words::number(run.clients),
        format!("{:.0} %", run.share * 100.0),
        run.p99_us.map_or("-".to_owned(), |us| words::duration(Duration::from_micros(us))),
        if drops.is_empty() { "nobody".to_owned() } else { drops.join(", ") },
        if run.agrees { "yes" } else { "NO" }.to_owned(),
    ]
}
