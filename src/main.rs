//! The `squall` binary: calls the library and turns the result into an exit code.

use std::process::ExitCode;

use squall::cli::{self, Exit};

fn main() -> ExitCode {
    ExitCode::from(match cli::main() {
        Exit::AsExpected => cli::exit::AS_EXPECTED,
        Exit::Internal => cli::exit::INTERNAL,
        Exit::Usage => cli::exit::USAGE,
        Exit::Undetermined => cli::exit::UNDETERMINED,
        Exit::Regression => cli::exit::REGRESSION,
        Exit::Invalid => cli::exit::INVALID,
        Exit::Failed => cli::exit::FAILED,
        Exit::Unreachable => cli::exit::UNREACHABLE,
        Exit::Interrupted => cli::exit::INTERRUPTED,
    })
}
