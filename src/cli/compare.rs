//! `squall compare`, and `--baseline` of `squall run`.

use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::FalseyValueParser;

use super::stored::{self, Stored};
use super::{CliError, Exit, print};
use crate::report::comparison::{self, Names};
use crate::report::folder::PendingFile;
use crate::report::{RunFile, text};
use crate::scenario::Plan;
use crate::verdict::comparison::{Comparison, Demand, Finding, Record, compare};

/// Arguments of `squall compare`.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub struct CompareArguments {
    /// What to compare with: a run folder, its run.json, or a baseline
    #[arg(value_name = "BASE")]
    base: PathBuf,
    /// What to compare: a run folder, or its run.json
    #[arg(value_name = "RUN")]
    run: PathBuf,
    /// Also write the comparison as Markdown
    #[arg(long, env = "SQUALL_MARKDOWN", value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Print JSON instead of text (`squall schema comparison` tells its shape)
    #[arg(long, env = "SQUALL_JSON", value_parser = FalseyValueParser::new())]
    json: bool,
    /// Fail where a figure cannot be compared, as latencies of different machines
    #[arg(long, env = "SQUALL_REQUIRE_COMPARABLE", value_parser = FalseyValueParser::new())]
    require_comparable: bool,
}

const AFTER_HELP: &str = "\
Examples:
  squall compare squall-runs/monday squall-runs/latest
  squall compare slow-client.baseline.json squall-runs/latest --markdown comparison.md

What is compared, and when it is a regression:
  verdict       when the base passed and the run does not
  categories    when a number is another one; over sockets, where clients connect again, when it is
                off by more than 10 % and 2, or when a category comes or goes
  delivery      messages expected: another number (over sockets: 10 % and 10 off)
                delivered: one percentage point less; lost, duplicated, out of order: one more
                (over sockets, where the base lost some: five points less, 10 % and 10 more lost)
  ratios        attempts per client 10 % up; opens per client 10 % off; attempts refused one
                percentage point up; dropped clients back one percentage point down
  latency       p50 twice as long, 5 ms more and past the base's p95; p95 and p99 three times as
                long and 20 ms more; in the virtual world 10 % and 2 ms. A tripwire, and only
                between machines that are alike: processor, cores, threads, system, build, target,
                version of Squall (in the virtual world all are)
Runs of different plans, and runs that were cut short or are invalid, are not compared at all.

Exit codes: 0 no regression, 97 a regression (or, with --require-comparable, a figure that cannot be
compared), 2 wrong input or a changed plan.";

/// Compares two stored runs.
pub fn main(arguments: &CompareArguments) -> Result<Exit, CliError> {
    let base = Stored::read(&arguments.base)?.record();
    let run = comparison::record(&stored::run(&arguments.run)?);
    fit(&base, &arguments.base)?;
    fit(&run, &arguments.run)?;
    let file = arguments.markdown.as_deref().map(PendingFile::create).transpose()?;
    let compared = compare(&base, &run, demand(arguments.require_comparable));
    let (base, run) = (arguments.base.display().to_string(), arguments.run.display().to_string());
    let names = Names { base: &base, run: &run };
    if arguments.json {
        let json = serde_json::to_string_pretty(&compared);
        print(&format!("{}\n", json.map_err(|error| CliError::Internal(error.to_string()))?));
    } else {
        print(&comparison::text(&compared, names));
    }
    if let Some(file) = file {
        file.publish(comparison::markdown(&compared, names).as_bytes())?;
    }
    Ok(exit_of(&compared))
}

const fn demand(require_comparable: bool) -> Demand {
    if require_comparable { Demand::Everything } else { Demand::WhatCanBe }
}

/// Refuses what has no figures to compare.
fn fit(record: &Record, path: &Path) -> Result<(), CliError> {
    record
        .comparable()
        .map_err(|why| CliError::Usage(format!("{} {why}; compare whole runs", path.display())))
}

/// What a comparison asks for. Another plan is wrong input: it is no answer about this one.
const fn exit_of(comparison: &Comparison) -> Exit {
    match comparison.finding {
        Finding::NoRegression => Exit::AsExpected,
        Finding::Regression | Finding::NotComparable => Exit::Regression,
        Finding::PlanChanged => Exit::Usage,
    }
}

/// `--baseline` of `squall run`.
#[derive(Debug, Args)]
pub struct AgainstArguments {
    /// Compare the run with a baseline (or a run folder, or its run.json); needs one scenario
    #[arg(long, env = "SQUALL_BASELINE", value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Fail where a figure cannot be compared with the baseline's, as latencies of another machine
    #[arg(long, env = "SQUALL_REQUIRE_COMPARABLE", requires = "baseline")]
    #[arg(value_parser = FalseyValueParser::new())]
    require_comparable: bool,
}

impl AgainstArguments {
    /// Whether there is a baseline.
    #[must_use]
    pub const fn is_given(&self) -> bool {
        self.baseline.is_some()
    }

    /// Reads the baseline, before anything is started.
    ///
    /// # Errors
    ///
    /// Where it is none, is of another plan, or there are several scenarios.
    pub fn read(&self, plans: &[Plan]) -> Result<Option<Against>, CliError> {
        let Some(path) = &self.baseline else { return Ok(None) };
        let [plan] = plans else {
            return Err(CliError::Usage(
                "--baseline is of one scenario: name one, and no search or sweep".to_owned(),
            ));
        };
        let base = Stored::read(path)?.record();
        fit(&base, path)?;
        let name = path.display().to_string();
        let now = comparison::plan_record(plan);
        if now.hash != base.plan.hash {
            let changes = comparison::changes(&base.plan_changes(&now));
            super::say(changes.trim_start_matches('\n'));
            return Err(CliError::Usage(format!(
                "{name} is of another plan of {} (plan {} there, {} now), so there is nothing to \
                 compare; nothing was started. If the change is meant, run without --baseline and \
                 accept the run: squall baseline accept RUN --reason WHY",
                base.scenario, base.plan.hash, now.hash
            )));
        }
        Ok(Some(Against { name, base, demand: demand(self.require_comparable) }))
    }
}

/// A run against a baseline, told.
#[derive(Debug)]
pub struct Judged {
    /// What it came to.
    pub headline: String,
    /// Every figure.
    pub whole: String,
    /// The same for a pull request.
    pub markdown: String,
    /// What it asks for.
    pub exit: Exit,
}

/// What runs are compared with.
#[derive(Debug)]
pub struct Against {
    name: String,
    base: Record,
    demand: Demand,
}

impl Against {
    /// The comparison of a run with it as text, and what it asks for. What was cut short or is
    /// invalid has an exit code of its own.
    #[must_use]
    pub fn judge(&self, run: &RunFile, folder: &str) -> Judged {
        let record = comparison::record(run);
        if let Err(why) = record.comparable() {
            let why = format!("not compared with {}: the run {why}", self.name);
            let told = text::aside("baseline", &why);
            let markdown = format!("> {why}\n");
            return Judged {
                headline: told.clone(),
                whole: told,
                markdown,
                exit: Exit::AsExpected,
            };
        }
        let compared = compare(&self.base, &record, self.demand);
        let names = Names { base: &self.name, run: folder };
        Judged {
            headline: comparison::headline(&compared),
            whole: comparison::text(&compared, names),
            markdown: comparison::markdown(&compared, names),
            exit: exit_of(&compared),
        }
    }
}
