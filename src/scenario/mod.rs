//! The file format: parse with positions, defaults, unknown-key errors with a suggestion, and
//! normalise into an immutable [`Plan`].

pub mod plan;

pub use plan::Plan;

/// A scenario's text and where it came from.
#[derive(Clone, Debug)]
pub struct Source {
    /// Scenario name: the file stem.
    pub name: String,
    /// What errors call it: the path as typed, or `scenarios/drops/ping-timeout.toml`.
    pub origin: String,
    /// TOML.
    pub text: String,
}

/// What the command line changes in a scenario.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// `--seed`.
    pub seed: Option<u64>,
    /// `-n COUNT`: all populations together, by largest remainder.
    pub total: Option<u32>,
    /// `-n name=COUNT`.
    pub counts: Vec<(String, u32)>,
    /// `--set path=value`, in order; the value is TOML, or a bare string.
    pub sets: Vec<(String, String)>,
    /// `--profile`.
    pub profile: Option<String>,
}

/// Everything that is wrong with a scenario, rendered for people: file, line, column, a caret, what
/// was expected and a suggestion.
#[derive(Debug, thiserror::Error)]
#[error("{rendered}")]
pub struct ScenarioErrors {
    /// All errors, one block each, without colour.
    pub rendered: String,
    /// How many.
    pub count: usize,
}

/// Parses, overrides, validates and normalises. `environment` looks up `${env:NAME}`.
pub fn load(
    _source: &Source,
    _overrides: &Overrides,
    _environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Plan, ScenarioErrors> {
    unimplemented!()
}

/// Parses the text of a hub configuration file: the keys of a scenario's `[hub]`.
pub fn load_hub(_source: &Source) -> Result<crate::protocol::HubSettings, ScenarioErrors> {
    unimplemented!()
}

/// A scenario embedded in the binary.
#[derive(Clone, Copy, Debug)]
pub struct Builtin {
    /// Folder under `scenarios/`, `drops`.
    pub folder: &'static str,
    /// File stem.
    pub name: &'static str,
    /// Text.
    pub text: &'static str,
}

/// Every built-in scenario, quickest first within its folder.
#[must_use]
pub fn builtins() -> &'static [Builtin] {
    unimplemented!()
}
