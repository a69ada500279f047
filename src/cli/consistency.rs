//! `squall plan --consistency`: the workload against the embedded hub as a model of the recommended
//! units, in the virtual world.

use std::time::Duration;

use tokio::task::LocalSet;

use super::interrupt::Interrupts;
use super::session::{Context, Done, Keep};
use super::{CliError, say, world};
use crate::capacity::{self, Consistency, Course, NotRun, Observed, Trial, Workload};
use crate::engine::Shards;
use crate::measure::LatencyKind;
use crate::net::Clock;
use crate::protocol::CloseCategory;
use crate::report::live::LiveMode;
use crate::report::recorder::Latest;
use crate::report::{RunFile, words};
use crate::scenario::{self, Overrides, Plan, Source};

/// Runs the course of the units that are recommended and tells what it showed. `refused` says why
/// a workload cannot be run where its user wrote it.
///
/// # Errors
///
/// When nothing is recommended or nothing can break, when the workload cannot be run as a scenario,
/// or is interrupted.
pub fn main(
    workload: &Workload,
    refused: &dyn Fn(&NotRun) -> CliError,
) -> Result<Consistency, CliError> {
    let sizing = capacity::size(workload);
    let Some(rung) = sizing.fitting() else {
        return Err(CliError::Usage("--consistency needs units that carry the load".to_owned()));
    };
    let Some(course) = capacity::course(workload, rung) else {
        return Err(CliError::Usage("--consistency needs a load that can break".to_owned()));
    };
    // Known before anything runs.
    let plans = course.trials.iter().map(|step| plan(&course, step, refused));
    let plans = plans.collect::<Result<Vec<_>, _>>()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::Internal(format!("no runtime: {error}")))?;
    let seen = LocalSet::new().block_on(&runtime, async {
        let context = context()?;
        let mut seen = Vec::new();
        for (step, plan) in course.trials.iter().zip(plans) {
            let clients = words::number(plan.clients());
            say(&format!("consistency: {:.2} times the load, {clients} clients\n", step.multiple));
            let Done { run, .. } =
                world::run(&context, plan, Keep::Nothing, "consistency".to_owned()).await?;
            if context.interrupts.asked() {
                return Err(crate::engine::EngineError::Interrupted.into());
            }
            seen.push((step.clone(), observed(&run)));
        }
        Ok::<_, CliError>(seen)
    })?;
    Ok(Consistency::of(&course, &seen))
}

fn plan(
    course: &Course,
    step: &Trial,
    refused: &dyn Fn(&NotRun) -> CliError,
) -> Result<Plan, CliError> {
    let text = capacity::scenario(&step.workload, course.tier, course.units)
        .map_err(|why| refused(&why))?;
    let source = Source {
        name: "consistency".into(),
        origin: "the scenario that squall made of the workload".into(),
        text,
    };
    Ok(scenario::load(&source, &Overrides::default(), &|_| None)?)
}

fn context() -> Result<Context, CliError> {
    Ok(Context {
        clock: Clock::system(),
        target: None,
        ca_file: None,
        shards: Shards::Here,
        cores: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
        latest: Latest::Leave,
        live: LiveMode::Quiet,
        interrupts: Interrupts::listen("interrupted: ending the run under way")?,
        watch: None,
        secrets: Vec::new(),
    })
}

fn observed(run: &RunFile) -> Observed {
    let mut seen = Observed::default();
    for end in &run.ends_total {
        if let Some(category) = end.category.filter(|category| *category != CloseCategory::Normal) {
            *seen.drops.entry(category).or_default() += end.count;
        }
    }
    seen.p99 = run
        .latency_total
        .iter()
        .filter(|series| matches!(series.kind, LatencyKind::Message | LatencyKind::Echo))
        .filter_map(|series| Some(series.response?.p99_us))
        .max()
        .map(Duration::from_micros);
    seen.lost = run.populations.iter().map(|of| of.delivery.lost).sum();
    if let Some(counters) = &run.hub_counters {
        seen.patterns.clone_from(&counters.throughput);
    }
    seen
}
