//! `squall schema`.

use clap::{Args, ValueEnum};

use super::{CliError, Exit, print};
use crate::capacity;
use crate::report::{baseline, run_file, search};
use crate::scenario;
use crate::verdict::comparison;

/// Arguments of `squall schema`.
#[derive(Debug, Args)]
pub struct SchemaArguments {
    /// Of what
    #[arg(value_enum, value_name = "WHAT", default_value = "scenario")]
    what: SchemaOf,
}

/// What has a schema.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum SchemaOf {
    /// A scenario file
    Scenario,
    /// `run.json` of a run folder
    Run,
    /// `search.json` of a search's folder
    Search,
    /// A workload file of `squall plan`
    Workload,
    /// A price file of `squall plan`
    Prices,
    /// What `squall plan --json` prints
    Capacity,
    /// What `squall compare --json` prints
    Comparison,
    /// What `squall baseline accept` writes
    Baseline,
}

/// Prints a JSON Schema.
pub fn main(arguments: &SchemaArguments) -> Result<Exit, CliError> {
    let schema = match arguments.what {
        SchemaOf::Scenario => scenario::schema(),
        SchemaOf::Run => run_file::schema(),
        SchemaOf::Search => search::schema(),
        SchemaOf::Workload => capacity::workload_schema(),
        SchemaOf::Prices => capacity::prices_schema(),
        SchemaOf::Comparison => comparison::schema(),
        SchemaOf::Baseline => baseline::schema(),
        SchemaOf::Capacity => capacity::estimate_schema(),
    };
    print(&format!("{schema:#}\n"));
    Ok(Exit::AsExpected)
}
