//! `squall schema`.

use clap::{Args, ValueEnum};

use super::{CliError, Exit, print};
use crate::report::run_file;
use crate::scenario;

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
}

/// Prints a JSON Schema.
pub fn main(arguments: &SchemaArguments) -> Result<Exit, CliError> {
    let schema = match arguments.what {
        SchemaOf::Scenario => scenario::schema(),
        SchemaOf::Run => run_file::schema(),
    };
    print(&format!("{schema:#}\n"));
    Ok(Exit::AsExpected)
}
