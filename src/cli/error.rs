//! Why a command could not do what it was asked, with what to do about it.

use std::net::SocketAddr;

use super::exit::Exit;
use crate::engine::EngineError;
use crate::net::ConnectError;
use crate::predict::BudgetProblem;
use crate::report::FileError;
use crate::scenario::{NoSuchScenario, ScenarioErrors};

/// An error of the command line.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// An argument that does not fit; the text says what would.
    #[error("{0}")]
    Usage(String),
    /// No scenario of that name, and no file.
    #[error(transparent)]
    NoSuchScenario(#[from] NoSuchScenario),
    /// Errors in scenario files, rendered.
    #[error("{0}")]
    Scenario(#[from] ScenarioErrors),
    /// The target guard refuses.
    #[error("{why}")]
    Refused {
        /// Why.
        why: String,
        /// What to do.
        hint: String,
    },
    /// This machine cannot carry the run.
    #[error("{scenario} {problem}. Nothing was started")]
    Budget {
        /// Scenario.
        scenario: String,
        /// Need, limit, and a way out.
        problem: BudgetProblem,
    },
    /// What the scenarios say contradicts what is predicted.
    #[error("{0} in the scenarios: see above")]
    Conflicts(String),
    /// A results file.
    #[error(transparent)]
    File(#[from] FileError),
    /// No connection to the target.
    #[error("cannot reach the target: {0}")]
    Connect(#[from] ConnectError),
    /// The target answers, but not as it must.
    #[error("the target refuses: {0}")]
    TargetRefuses(String),
    /// The engine could not begin.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A hub could not listen.
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// A file that was named cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The user stopped it twice.
    #[error("stopped at once; {folder} holds the events so far, and no run.json")]
    StoppedHard {
        /// The run folder.
        folder: String,
    },
    /// A defect of Squall.
    #[error("internal error: {0}")]
    Internal(String),
}

impl CliError {
    /// The exit code it asks for.
    #[must_use]
    pub const fn exit(&self) -> Exit {
        match self {
            Self::Usage(_)
            | Self::NoSuchScenario(_)
            | Self::Scenario(_)
            | Self::Refused { .. }
            | Self::Conflicts(_)
            | Self::Read { .. }
            | Self::Listen { .. }
            | Self::File(FileError::Taken { .. })
            | Self::Engine(EngineError::Requirement(_)) => Exit::Usage,
            Self::Budget { .. } => Exit::Invalid,
            Self::Connect(_)
            | Self::TargetRefuses(_)
            | Self::Engine(EngineError::Unreachable(_)) => Exit::Unreachable,
            Self::StoppedHard { .. } | Self::Engine(EngineError::Interrupted) => Exit::Interrupted,
            Self::File(FileError::Io { .. })
            | Self::Engine(EngineError::Internal(_))
            | Self::Internal(_) => Exit::Internal,
        }
    }

    /// What the user can do, where there is something.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Self::NoSuchScenario(_) => {
                "`squall list` shows the built-in ones; a file is named by its path".to_owned()
            }
            Self::Refused { hint, .. } => hint.clone(),
            Self::File(FileError::Taken { .. }) => {
                "results get a folder of their own: name another one with --out".to_owned()
            }
            Self::TargetRefuses(_) => {
                "is the access key the hub's own? Nothing was loaded".to_owned()
            }
            Self::Listen { .. } => "port 0 lets the system choose a free one".to_owned(),
            Self::Engine(EngineError::Requirement(_)) => {
                "run it without --target: the embedded hub offers everything".to_owned()
            }
            Self::Internal(_) | Self::Engine(EngineError::Internal(_)) => {
                "this is a defect of Squall: please report it with the command".to_owned()
            }
            Self::Usage(_)
            | Self::Scenario(_)
            | Self::Conflicts(_)
            | Self::Budget { .. }
            | Self::Connect(_)
            | Self::Engine(EngineError::Unreachable(_))
            | Self::File(FileError::Io { .. })
            | Self::Read { .. }
            | Self::Engine(EngineError::Interrupted)
            | Self::StoppedHard { .. } => return None,
        })
    }
}
