//! Exit codes, and which one wins when several apply.

use crate::event::{HowEnded, Warning};
use crate::report::RunFile;
use crate::verdict::Outcome;

/// Everything as expected.
pub const AS_EXPECTED: u8 = 0;
/// Internal error, or results could not be written.
pub const INTERNAL: u8 = 1;
/// Usage, invalid scenario, or refused target; nothing was started.
pub const USAGE: u8 = 2;
/// Nothing failed, but some expectations could not be decided.
pub const UNDETERMINED: u8 = 96;
/// Regression against a baseline.
pub const REGRESSION: u8 = 97;
/// The run is invalid: this machine could not carry it. CI may repeat it.
pub const INVALID: u8 = 98;
/// An expectation or a threshold failed. CI must not repeat it.
pub const FAILED: u8 = 99;
/// The target cannot be reached, or refuses (DNS, TLS, 401, 403, 404), before load began.
pub const UNREACHABLE: u8 = 100;
/// Interrupted; partial results are written.
pub const INTERRUPTED: u8 = 105;

/// How a command ended. The order of the variants is the order in which they win, the weakest
/// first.
///
/// A verdict is "fail" only where nothing the generator suffered could have caused it, so a failed
/// run beats an invalid one, within a run and between runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// See [`AS_EXPECTED`].
    AsExpected,
    /// See [`REGRESSION`].
    Regression,
    /// See [`UNDETERMINED`].
    Undetermined,
    /// See [`INVALID`].
    Invalid,
    /// See [`FAILED`].
    Failed,
    /// See [`UNREACHABLE`].
    Unreachable,
    /// See [`INTERRUPTED`].
    Interrupted,
    /// See [`INTERNAL`].
    Internal,
    /// See [`USAGE`].
    Usage,
}

impl Exit {
    /// What a finished run asks for.
    #[must_use]
    pub fn of(run: &RunFile) -> Self {
        let verdict = match run.outcome {
            Outcome::Pass => Self::AsExpected,
            Outcome::Undetermined => Self::Undetermined,
            Outcome::Invalid => Self::Invalid,
            Outcome::Fail => Self::Failed,
        };
        let how = match run.how {
            HowEnded::Interrupted => Self::Interrupted,
            HowEnded::Decided | HowEnded::TimeUp | HowEnded::Aborted => Self::AsExpected,
        };
        let lost = run.warnings.iter().any(|warning| matches!(warning, Warning::NotWritten { .. }));
        verdict.max(how).max(if lost { Self::Internal } else { Self::AsExpected })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_winning_order_is_the_documented_one() {
        let documented = [
            Exit::Usage,
            Exit::Internal,
            Exit::Interrupted,
            Exit::Unreachable,
            Exit::Failed,
            Exit::Invalid,
            Exit::Undetermined,
            Exit::Regression,
            Exit::AsExpected,
        ];
        for pair in documented.windows(2) {
            assert_eq!(pair[0].max(pair[1]), pair[0], "{pair:?}");
        }
    }
}
