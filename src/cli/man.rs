//! `squall man`.

use std::path::PathBuf;

use clap::Args;
use clap_mangen::Man;

use super::{CliError, Exit, NAME, command, print};
use crate::report::RunFolder;

/// Arguments of `squall man`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ManArguments {
    /// New folder for the pages of all commands; without it, squall(1) is printed
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

const EXAMPLES: &str = "\
Examples:
  squall man | man -l -       the page of squall itself
  squall man man1             squall.1, squall-run.1, squall-plan.1, ... in the folder man1";

/// Prints the page of `squall`, or writes those of all commands.
pub fn main(arguments: &ManArguments) -> Result<Exit, CliError> {
    let Some(path) = &arguments.folder else {
        print(&String::from_utf8_lossy(&page(command())?));
        return Ok(Exit::AsExpected);
    };
    let folder = RunFolder::create(path)?;
    let mut whole = command();
    whole.build();
    let mut waiting = vec![(NAME.to_owned(), whole)];
    while let Some((name, command)) = waiting.pop() {
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
            waiting.push((format!("{name}-{}", sub.get_name()), sub.clone()));
        }
        // The page of a subcommand is called as it is looked up: squall-run(1).
        let page = page(command.display_name(name.clone()))?;
        folder.publish(&format!("{name}.1"), &page)?;
    }
    Ok(Exit::AsExpected)
}

fn page(command: clap::Command) -> Result<Vec<u8>, CliError> {
    let mut page = Vec::new();
    let man = Man::new(command).source(concat!("Squall ", env!("CARGO_PKG_VERSION")));
    let drawn = man.render(&mut page);
    drawn.map_err(|error| CliError::Internal(format!("no manual page: {error}")))?;
    Ok(page)
}
