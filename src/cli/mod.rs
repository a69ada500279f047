//! Arguments, environment, guard rails, wiring, exit codes; one file per subcommand.
//!
//! | file | what |
//! | --- | --- |
//! | [`run`], [`check`], [`list`], [`show`], [`new`], [`doctor`], [`schema`] | subcommands |
//! | [`completions`], [`man`] | for shells and readers of manuals |
//! | [`compare`], [`baseline`] | a run against a base; accepting one |
//! | [`stored`] | runs and baselines that were stored |
//! | [`hub`], [`upstream`] | subcommands that serve |
//! | [`upstream_check`] | what `squall upstream check` asks of somebody else's event handler |
//! | [`pick`] | names, folders, categories and files to scenarios and plans |
//! | [`target`] | what `--target` means, and the guard around what is not ours |
//! | [`session`] | one run: hub, engine, recorder, verdict, files |
//! | [`search`] | a scenario with one value after the other |
//! | [`consistency`] | a workload against a model of the recommended units |
//! | [`world`], [`seeds`] | a virtual world; many of them, one a seed, on all cores |
//! | [`deliveries`] | the file that event listeners deliver to |
//! | [`embedded`] | the hub inside this process |
//! | [`interrupt`] | Ctrl-C, once and twice |
//! | [`watch`] | the one client whose story is told |
//! | [`exit`], [`error`] | exit codes, and errors with hints |

pub mod baseline;
pub mod check;
pub mod compare;
pub mod completions;
pub mod consistency;
pub mod deliveries;
pub mod doctor;
pub mod embedded;
pub mod error;
pub mod exit;
pub mod hub;
pub mod interrupt;
pub mod list;
pub mod man;
pub mod new;
pub mod pick;
pub mod plan;
pub mod run;
pub mod schema;
pub mod search;
pub mod seeds;
pub mod served;
pub mod session;
pub mod show;
pub mod stored;
pub mod target;
pub mod upstream;
pub mod upstream_check;
#[cfg(test)]
mod upstream_runs;
pub mod watch;
pub mod world;

use std::ffi::OsString;
use std::io::Write as _;

use clap::{CommandFactory as _, Parser, Subcommand};

pub use error::CliError;
pub use exit::Exit;

use crate::report::text;
use crate::secret::Redactor;

/// Load and client-resilience simulator for Azure Web PubSub-style websocket hubs.
///
/// A scenario says which clients come, what they send, how they misbehave, what the hub allows, and
/// what must be true at the end. Squall runs it against its own hub in this process, against
/// `squall hub`, or against a resource of yours, and says how every single connection ended.
#[derive(Debug, Parser)]
#[command(name = NAME, version, max_term_width = 100, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

/// What the program is called.
const NAME: &str = "squall";

const EXAMPLES: &str = "\
Examples:
  squall run drops                     every drop, reproduced, against the embedded hub
  squall run PingTimeout -n 500        one category, with 500 clients
  squall check my.toml                 what would happen, without starting anything
  squall hub                           the emulated service on 127.0.0.1:8080

Every flag has an environment variable SQUALL_<FLAG>; the flag wins.
Exit codes: 0 as expected, 1 internal error, 2 usage, 96 undetermined, 97 regression, 98 invalid
run, 99 expectation failed, 100 target unreachable, 105 interrupted.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Run scenarios; the exit code is the verdict
    Run(Box<run::RunArguments>),
    /// List the built-in scenarios
    List(list::ListArguments),
    /// Print a built-in scenario, to read or to start from
    Show(show::ShowArguments),
    /// Start a scenario file from a template
    New(new::NewArguments),
    /// Validate scenarios and say what would happen; starts nothing
    Check(check::CheckArguments),
    /// Serve the emulated service alone
    Hub(hub::HubArguments),
    /// Serve a scripted event handler, or check somebody's real one
    Upstream(upstream::UpstreamArguments),
    /// Plan capacity: a load in; tier, units, headroom, cost and what breaks first out
    Plan(Box<plan::PlanArguments>),
    /// Compare a run with another, or with a baseline: what got worse
    Compare(compare::CompareArguments),
    /// Accept a run as the baseline of later ones
    Baseline(baseline::BaselineArguments),
    /// Say what this machine can carry
    Doctor(doctor::DoctorArguments),
    /// Print a JSON Schema, for editors and for readers of results
    Schema(schema::SchemaArguments),
    /// Print completions for a shell
    Completions(completions::CompletionsArguments),
    /// Print the manual page, or write those of all commands
    Man(man::ManArguments),
}

/// The whole command line, as its definitions have it.
fn command() -> clap::Command {
    Arguments::command()
}

/// Runs the command line of this process.
#[must_use]
pub fn main() -> Exit {
    run_with(std::env::args_os())
}

fn run_with(arguments: impl Iterator<Item = OsString>) -> Exit {
    let parsed = match Arguments::try_parse_from(arguments) {
        Ok(parsed) => parsed,
        Err(error) => return usage(&error),
    };
    let result = match parsed.command {
        Command::Run(arguments) => run::main(&arguments),
        Command::List(arguments) => list::main(&arguments),
        Command::Show(arguments) => show::main(&arguments),
        Command::New(arguments) => new::main(&arguments),
        Command::Check(arguments) => check::main(&arguments),
        Command::Hub(arguments) => hub::main(arguments),
        Command::Upstream(arguments) => upstream::main(&arguments),
        Command::Plan(arguments) => plan::main(&arguments),
        Command::Compare(arguments) => compare::main(&arguments),
        Command::Baseline(arguments) => baseline::main(&arguments),
        Command::Doctor(arguments) => doctor::main(&arguments),
        Command::Schema(arguments) => schema::main(&arguments),
        Command::Completions(arguments) => completions::main(&arguments),
        Command::Man(arguments) => man::main(&arguments),
    };
    result.unwrap_or_else(|error| {
        complain(&error, &Redactor::default());
        error.exit()
    })
}

/// Help and version go to standard output and are no error; what was typed wrongly is shown without
/// secrets that stood in it.
fn usage(error: &clap::Error) -> Exit {
    let text = Redactor::default().redact(&error.render().ansi().to_string());
    if error.use_stderr() {
        say(&text);
        Exit::Usage
    } else {
        print(&text);
        Exit::AsExpected
    }
}

/// Tells an error and what to do about it.
fn complain(error: &CliError, redactor: &Redactor) {
    // Scenario errors are blocks of their own that begin with "error".
    let text = redactor.redact(error.to_string().trim_end());
    say(&match error {
        CliError::Scenario(_) => format!("{text}\n"),
        _ => text::message(text::style_of_error(), "error:", &text),
    });
    if let Some(hint) = error.hint() {
        say(&text::message(text::style_of_hint(), "hint:", &redactor.redact(&hint)));
    }
}

/// Writes to standard output, in colour where it is wanted. A reader that has gone is no error.
fn print(text: &str) {
    let mut out = anstream::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes to standard error, likewise.
fn say(text: &str) {
    let mut out = anstream::stderr().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "tests")]

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_flag_has_its_variable_and_no_help_shows_a_secret() {
        let command = Arguments::command();
        let mut flags = 0;
        let deeper = command.get_subcommands().flat_map(clap::Command::get_subcommands);
        for sub in command.get_subcommands().chain(deeper) {
            for argument in sub.get_arguments().filter(|argument| !argument.is_positional()) {
                let Some(long) = argument.get_long().filter(|long| *long != "help") else {
                    continue;
                };
                flags += 1;
                let name = format!("SQUALL_{}", long.to_uppercase().replace('-', "_"));
                let variable = argument.get_env().expect("every flag has a variable");
                assert_eq!(variable.to_string_lossy(), name, "{} --{long}", sub.get_name());
                if ["target", "access-key", "connection-string"].contains(&long) {
                    assert!(argument.is_hide_env_values_set(), "--{long} may hold a secret");
                }
            }
        }
        assert!(flags > 15, "the flags were found");
    }
}
