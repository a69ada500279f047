//! JUnit XML: one suite per run, one case per check.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Property, Report, TestCase, TestCaseStatus, TestSuite};

use super::hints::{self, Among};
use super::run_file::RunFile;
use super::words;
use crate::verdict::{Check, CheckKind, Outcome};

/// The file for these runs. Fails only on a defect of the writer.
pub fn render(runs: &[RunFile]) -> Result<String, String> {
    let mut report = Report::new("squall");
    for run in runs {
        report.add_test_suite(suite(run));
    }
    report.to_string().map_err(|error| error.to_string())
}

fn suite(run: &RunFile) -> TestSuite {
    let mut suite = TestSuite::new(run.run.scenario.as_str());
    // What the suite cost whoever waited for it, whatever its own clock showed.
    suite.set_time(Duration::from_nanos(run.machine.real_elapsed_ns));
    let properties = [
        ("seed", run.run.seed.to_string()),
        ("plan", run.run.plan_hash.clone()),
        ("target", run.run.target.endpoint.clone()),
        ("world", words::world(run.run.world).to_owned()),
        ("started", run.machine.started.clone()),
        ("run time", words::micros(run.elapsed_ns / 1_000)),
        ("verdict", words::outcome(run.outcome).to_owned()),
        ("how", words::how(run.how).to_owned()),
    ];
    suite.add_properties(properties.map(|(name, value)| Property::new(name, value)));
    suite.add_test_cases(run.checks.iter().map(|check| case(run, check)));
    suite
}

/// Failed is a failure; invalid is an error (the generator's, not the claim's); undetermined is
/// skipped.
fn case(run: &RunFile, check: &Check) -> TestCase {
    let kind = match check.kind {
        CheckKind::Expectation => "expectation",
        CheckKind::Threshold => "threshold",
        CheckKind::Invariant => "invariant",
    };
    let mut status = match check.outcome {
        Outcome::Pass => TestCaseStatus::success(),
        Outcome::Undetermined => TestCaseStatus::skipped(),
        Outcome::Invalid => TestCaseStatus::non_success(NonSuccessKind::Error),
        Outcome::Fail => TestCaseStatus::non_success(NonSuccessKind::Failure),
    };
    if check.outcome != Outcome::Pass {
        status.set_message(format!("expected {}; actual {}", check.expected, check.actual));
        status.set_type(words::outcome(check.outcome));
        if let Some(hint) = hints::hint(run, check, Among::Itself) {
            status.set_description(hint);
        }
    }
    let mut case = TestCase::new(check.path.as_str(), status);
    case.set_classname(format!("squall.{}.{kind}", run.run.scenario));
    case
}
