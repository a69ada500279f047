//! `squall completions`.

use clap::Args;
use clap_complete::Shell;

use super::{CliError, Exit, NAME, command, print};

/// Arguments of `squall completions`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct CompletionsArguments {
    /// For which shell
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  squall completions bash > ~/.local/share/bash-completion/completions/squall
  squall completions zsh > ~/.zfunc/_squall         with ~/.zfunc in $fpath
  squall completions fish > ~/.config/fish/completions/squall.fish";

/// Prints a shell's completions.
pub fn main(arguments: &CompletionsArguments) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command(), NAME, &mut script);
    print(&String::from_utf8_lossy(&script));
    Ok(Exit::AsExpected)
}
