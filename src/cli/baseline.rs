//! `squall baseline`.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::stored::{self, Stored};
use super::{CliError, Exit, print};
use crate::report::baseline::Baseline;
use crate::report::comparison::{self, Names};
use crate::report::folder::PendingFile;
use crate::report::text;
use crate::secret::Redactor;
use crate::verdict::comparison::{Demand, compare};

/// Arguments of `squall baseline`.
#[derive(Debug, Args)]
pub struct BaselineArguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Accept a run: write its figures to a small file that later runs are compared with
    Accept(AcceptArguments),
    /// Print what was accepted, and why
    Show(ShowArguments),
}

/// Arguments of `squall baseline accept`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct AcceptArguments {
    /// The run: its folder, or its run.json
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// Why its figures are as they should be; reviewers read it
    #[arg(long, env = "SQUALL_REASON", value_name = "TEXT")]
    reason: String,
    /// The file [default: SCENARIO.baseline.json]
    #[arg(long, env = "SQUALL_OUT", value_name = "FILE")]
    out: Option<PathBuf>,
}

const AFTER_HELP: &str = "\
Examples:
  squall run slow-client --world virtual --out runs/new
  squall baseline accept runs/new --reason \"first baseline\" --out baselines/slow-client.json
  squall run slow-client --world virtual --baseline baselines/slow-client.json

A baseline that is there already is replaced, and how the new one differs is printed. A run that
was interrupted, is invalid or undetermined is refused; a failed one is not: what it shows may be
known.";

/// Arguments of `squall baseline show`.
#[derive(Debug, Args)]
pub struct ShowArguments {
    /// The baseline
    #[arg(value_name = "FILE")]
    file: PathBuf,
}

/// Accepts a run, or shows what was accepted.
pub fn main(arguments: &BaselineArguments) -> Result<Exit, CliError> {
    match &arguments.what {
        What::Accept(arguments) => accept(arguments),
        What::Show(arguments) => show(arguments),
    }
}

fn accept(arguments: &AcceptArguments) -> Result<Exit, CliError> {
    let reason = Redactor::default().redact(arguments.reason.trim());
    if reason.is_empty() {
        return Err(CliError::Usage(
            "--reason is empty: say why these figures are as they should be".to_owned(),
        ));
    }
    let record = comparison::record(&stored::run(&arguments.run)?);
    let scenario = record.scenario.clone();
    let run = arguments.run.display().to_string();
    let new = Baseline::accept(record, &reason).map_err(|why| {
        CliError::Usage(format!("{run} {why}; a baseline is accepted from a whole run"))
    })?;
    let by_default = || PathBuf::from(format!("{scenario}.baseline.json"));
    let path = arguments.out.clone().unwrap_or_else(by_default);
    let shown = path.display().to_string();
    let told = match before(&path)? {
        Some(old) if old == new => format!("{shown} is as it was: nothing to accept\n"),
        Some(old) => replaced(&old, &new, &shown, &run),
        None => format!("{}{}", new.headline(), text::aside("written", &shown)),
    };
    PendingFile::create(&path)?.publish(new.to_json().as_bytes())?;
    print(&told);
    Ok(Exit::AsExpected)
}

/// The baseline that is there already. What is there and is none is not written over.
fn before(path: &Path) -> Result<Option<Baseline>, CliError> {
    if !path.is_file() {
        return Ok(None);
    }
    match Stored::read(path)? {
        Stored::Baseline(old) => Ok(Some(*old)),
        Stored::Run(_) => Err(CliError::Usage(format!(
            "{} is a run, not a baseline, and is not written over: name another file with --out",
            path.display()
        ))),
    }
}

/// What the new baseline changes.
fn replaced(old: &Baseline, new: &Baseline, shown: &str, run: &str) -> String {
    let compared = compare(&old.accepted, &new.accepted, Demand::WhatCanBe);
    let names = Names { base: shown, run };
    let mut told = new.headline();
    told.push_str(&text::aside(
        "replaced",
        &format!("{shown}, which was accepted for: {}", old.reason),
    ));
    told.push('\n');
    told.push_str(&comparison::text(&compared, names));
    told
}

fn show(arguments: &ShowArguments) -> Result<Exit, CliError> {
    let Stored::Baseline(baseline) = Stored::read(&arguments.file)? else {
        return Err(CliError::Usage(format!(
            "{} is a run, not a baseline: squall baseline accept makes one of it",
            arguments.file.display()
        )));
    };
    // Against itself every figure is as it is: the table of them, once.
    let Baseline { accepted, .. } = &*baseline;
    let compared = compare(accepted, accepted, Demand::WhatCanBe);
    print(&format!("{}{}", baseline.headline(), comparison::figures(&compared)));
    Ok(Exit::AsExpected)
}
