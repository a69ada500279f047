//! The formulas behind every number of the report, with the numbers put in: a table for each of its
//! sections.

mod bill;
mod drops;
mod load;

use super::super::table::Column;
use super::Section;
use crate::capacity::{Basis, Estimate, Workload};

const COLUMNS: [Column; 3] = [
    Column::Words("formula\n= with the numbers"),
    Column::Figures("comes to"),
    Column::Names("basis"),
];

/// The formulas of one section.
struct Formulas(Section);

impl Formulas {
    fn of(section: &str) -> Self {
        Self(Section::new(format!("Formulas: {section}"), "", &COLUMNS))
    }

    /// A formula, what stands in it, what it comes to and what that rests on.
    fn add(&mut self, formula: &str, numbers: &str, comes_to: impl Into<String>, basis: Basis) {
        self.0.row([format!("{formula}\n= {numbers}"), comes_to.into(), basis.name().to_owned()]);
    }
}

/// All formulas, in the order of the report.
pub fn sections(workload: &Workload, estimate: &Estimate) -> Vec<Section> {
    let mut all =
        vec![load::load(workload, estimate), load::ladder(estimate), load::breaks(estimate)];
    all.extend(load::held(estimate));
    all.extend(bill::held(workload, estimate));
    all.extend([
        bill::messages(workload, estimate),
        drops::reload(workload, estimate),
        drops::flash(workload, estimate),
        drops::upstream(estimate),
        load::sizes(estimate),
        load::growth(workload, estimate),
        drops::loss(estimate),
        bill::sensitivity(workload, estimate),
    ]);
    all.into_iter().map(|formulas| formulas.0).collect()
}
