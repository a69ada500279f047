//! `squall list`.

use clap::Args;

use super::{CliError, Exit, print};
use crate::report::table::{self, Column};
use crate::report::words;
use crate::scenario;

/// Arguments of `squall list`.
#[derive(Debug, Args)]
pub struct ListArguments {}

/// Prints the built-in scenarios: folder, name, longest duration, title, and what each shows.
pub fn main(_arguments: &ListArguments) -> Result<Exit, CliError> {
    let columns = [
        Column::Names("folder"),
        Column::Names("name"),
        Column::Figures("at most"),
        Column::Words("what happens"),
    ];
    let mut rows = Vec::new();
    let mut folder = "";
    for builtin in scenario::builtins() {
        let plan = builtin.plan()?;
        rows.push(vec![
            if builtin.folder == folder { "" } else { builtin.folder }.to_owned(),
            builtin.name.to_owned(),
            words::duration(plan.duration),
            match plan.search {
                Some(_) => format!("search: {}", plan.title),
                None => plan.title,
            },
        ]);
        // On a line of their own: names of errors are long, and a table does not break them.
        rows.extend(
            builtin
                .shows()
                .into_iter()
                .map(|shown| vec![String::new(), String::new(), String::new(), shown.to_owned()]),
        );
        folder = builtin.folder;
    }
    print(&table::render(&columns, rows));
    print(
        "\n  squall run NAME, squall run FOLDER, or squall run ERROR, as it stands under what \
         happens\n",
    );
    Ok(Exit::AsExpected)
}
