//! Runs and baselines that were stored, to be compared.

use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::CliError;
use crate::report::baseline::{self, Baseline};
use crate::report::folder::{RUN, SEARCH};
use crate::report::{RunFile, comparison, run_file};
use crate::verdict::comparison::Record;

/// Largest file that is read, in bytes: a run file of many populations is far smaller.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// What a stored file holds.
#[derive(Debug)]
pub enum Stored {
    /// `run.json`.
    Run(Box<RunFile>),
    /// What `squall baseline accept` wrote.
    Baseline(Box<Baseline>),
}

impl Stored {
    /// Reads a run folder, its `run.json`, or a baseline.
    ///
    /// # Errors
    ///
    /// [`CliError::Read`] where there is nothing to be read, [`CliError::Usage`] where it is
    /// something else.
    pub fn read(path: &Path) -> Result<Self, CliError> {
        let file = if path.is_dir() { path.join(RUN) } else { path.to_owned() };
        if path.is_dir() && !file.exists() {
            return Err(CliError::Usage(without_run(path)));
        }
        let shown = file.display().to_string();
        let value: Value = serde_json::from_str(&text_of(&file)?).map_err(|error| {
            CliError::Usage(format!(
                "{shown} is no JSON: {error}; expected a run folder, its run.json, or a baseline"
            ))
        })?;
        if value.get("accepted").is_some() {
            let read = parsed(value, baseline::SCHEMA_VERSION, &shown, "baseline");
            return read.map(|baseline| Self::Baseline(Box::new(baseline)));
        }
        if value.get("run").is_none() {
            return Err(CliError::Usage(format!(
                "{shown} is neither a run.json of Squall nor a baseline; expected a run folder, \
                 its run.json, or what `squall baseline accept` wrote"
            )));
        }
        let read = parsed(value, run_file::SCHEMA_VERSION, &shown, "run.json");
        read.map(|run| Self::Run(Box::new(run)))
    }

    /// What comparisons rest on.
    #[must_use]
    pub fn record(&self) -> Record {
        match self {
            Self::Run(run) => comparison::record(run),
            Self::Baseline(baseline) => baseline.accepted.clone(),
        }
    }
}

/// Reads a run folder or its `run.json`, and nothing else.
///
/// # Errors
///
/// As [`Stored::read`]; a baseline is an error as well.
pub fn run(path: &Path) -> Result<RunFile, CliError> {
    match Stored::read(path)? {
        Stored::Run(run) => Ok(*run),
        Stored::Baseline(_) => Err(CliError::Usage(format!(
            "{} is a baseline, not a run: it can only be what a run is compared with, so it comes \
             first",
            path.display()
        ))),
    }
}

/// Why a folder without a `run.json` is none of a run.
fn without_run(path: &Path) -> String {
    let shown = path.display();
    if path.join(SEARCH).exists() {
        format!("{shown} is the folder of a search: name the folder of one of its steps")
    } else {
        format!(
            "{shown} holds no {RUN}: it is no run folder, or its run was stopped hard or is still \
             going on"
        )
    }
}

fn parsed<T: DeserializeOwned>(
    value: Value,
    version: u32,
    shown: &str,
    what: &str,
) -> Result<T, CliError> {
    let found = value.get("schema_version").and_then(Value::as_u64);
    if found.is_some_and(|found| found != u64::from(version)) {
        return Err(CliError::Usage(format!(
            "{shown} is of another version of Squall: its schema_version is {}, and this Squall \
             reads {version}; make it again",
            found.unwrap_or_default()
        )));
    }
    serde_path_to_error::deserialize(value).map_err(|error| {
        let (at, why) = (error.path().to_string(), error.into_inner());
        CliError::Usage(format!("{shown} is no {what} of this version of Squall: {at}: {why}"))
    })
}

fn text_of(path: &Path) -> Result<String, CliError> {
    let failed = |source| CliError::Read { path: path.display().to_string(), source };
    let length = fs::metadata(path).map_err(failed)?.len();
    if length > FILE_BYTES_MAX {
        return Err(failed(ErrorKind::FileTooLarge.into()));
    }
    fs::read_to_string(path).map_err(failed)
}
