//! `squall show`.

use clap::Args;

use super::{CliError, Exit, pick, print};
use crate::scenario;

/// Arguments of `squall show`.
#[derive(Debug, Args)]
pub struct ShowArguments {
    /// Name of a built-in scenario
    #[arg(value_name = "NAME")]
    name: String,
}

/// Prints a built-in scenario as it stands.
pub fn main(arguments: &ShowArguments) -> Result<Exit, CliError> {
    let asked = arguments.name.as_str();
    let builtins = scenario::builtins();
    let found = builtins.iter().find(|builtin| {
        asked == builtin.name || asked == format!("{}/{}", builtin.folder, builtin.name)
    });
    match found {
        Some(builtin) => {
            print(builtin.text);
            Ok(Exit::AsExpected)
        }
        None => Err(CliError::NoSuchScenario {
            asked: asked.to_owned(),
            near: pick::near(asked, builtins),
        }),
    }
}
