//! `squall show`.

use clap::Args;

use super::{CliError, Exit, print};
use crate::scenario;

/// Arguments of `squall show`.
#[derive(Debug, Args)]
pub struct ShowArguments {
    /// Name of a built-in scenario, or a category that only one shows
    #[arg(value_name = "NAME")]
    name: String,
}

/// Prints a built-in scenario as it stands.
pub fn main(arguments: &ShowArguments) -> Result<Exit, CliError> {
    let found = scenario::resolve(&arguments.name)?;
    let [builtin] = found[..] else {
        let names: Vec<_> = found.iter().map(|builtin| builtin.name).collect();
        return Err(CliError::Usage(format!(
            "{} stands for several scenarios; name one of them: {}",
            arguments.name,
            names.join(", ")
        )));
    };
    print(builtin.text);
    Ok(Exit::AsExpected)
}
