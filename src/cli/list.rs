//! `squall list`.

use clap::Args;

use super::{CliError, Exit, print};
use crate::protocol::CloseCategory;
use crate::report::table::{self, Column};
use crate::report::words;
use crate::scenario;

/// Arguments of `squall list`.
#[derive(Debug, Args)]
pub struct ListArguments {}

/// Prints the built-in scenarios: folder, name, title, longest duration, categories.
pub fn main(_arguments: &ListArguments) -> Result<Exit, CliError> {
    let columns = [
        Column::Names("folder"),
        Column::Names("name"),
        Column::Figures("at most"),
        Column::Words("what happens"),
        Column::Names("shows"),
    ];
    let mut rows = Vec::new();
    let mut folder = "";
    for builtin in scenario::builtins() {
        let plan = builtin.plan()?;
        let shown = |category: &CloseCategory| {
            scenario::resolve(category.name()).is_ok_and(|found| found.contains(&builtin))
        };
        let categories: Vec<_> =
            CloseCategory::ALL.into_iter().filter(shown).map(CloseCategory::name).collect();
        rows.push(vec![
            if builtin.folder == folder { "" } else { builtin.folder }.to_owned(),
            builtin.name.to_owned(),
            words::duration(plan.duration),
            match plan.search {
                Some(_) => format!("search: {}", plan.title),
                None => plan.title,
            },
            categories.join(", "),
        ]);
        folder = builtin.folder;
    }
    print(&table::render(&columns, rows));
    print("\n  squall run NAME, squall run FOLDER, or squall run CATEGORY for what shows it\n");
    Ok(Exit::AsExpected)
}
