//! Reports of a capacity estimate: [`text()`], [`html()`], and a workload taken from a run.
//!
//! Both tell the same sections, which are made once; only bars and charts differ.

mod consistency;
mod explain;
mod html;
mod load;
mod sections;
#[cfg(test)]
mod tests;
mod wording;

pub use consistency::consistency;
pub use html::render as html;
pub use load::{NoLoad, Taken, workload_of};

use std::fmt::Write as _;

use super::table::{self, Column};
use super::text::{self, bold};
use crate::capacity::{Estimate, Workload};
use crate::verdict::Outcome;

/// Whether the formulas are told as well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// What it comes to.
    Results,
    /// And how it was computed.
    Formulas,
}

/// A table under a heading.
struct Section {
    title: String,
    /// Beside the title, in few words.
    note: String,
    columns: Vec<Column<'static>>,
    rows: Vec<Vec<String>>,
}

impl Section {
    fn new(title: impl Into<String>, note: impl Into<String>, columns: &[Column<'static>]) -> Self {
        Self { title: title.into(), note: note.into(), columns: columns.to_vec(), rows: Vec::new() }
    }

    fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }
}

/// The estimate as text: one sentence, what to keep in mind, then the sections.
#[must_use]
pub fn text(workload: &Workload, estimate: &Estimate, detail: Detail) -> String {
    let mut out = String::new();
    text::flowing("", "", 0, &wording::sentence(estimate), &mut out);
    if !estimate.cautions.is_empty() {
        let _ = writeln!(out, "\n  {}", bold("Keep in mind"));
        for caution in &estimate.cautions {
            out.push_str(&text::noted(text::style_of(Outcome::Undetermined), "-", caution));
        }
    }
    for section in sections::all(estimate, detail_of(workload, estimate, detail)) {
        text::heading(&section.title, &section.note, &mut out);
        out.push_str(&table::render(&section.columns, section.rows));
    }
    out
}

/// The formulas, where they are wanted.
fn detail_of(workload: &Workload, estimate: &Estimate, detail: Detail) -> Vec<Section> {
    match detail {
        Detail::Results => Vec::new(),
        Detail::Formulas => explain::sections(workload, estimate),
    }
}
