//! `squall run --world virtual --seeds N`: every scenario with many seeds, up to the first that
//! does not pass.
//!
//! As many workers as cores take the next seed from a counter and live its world; worlds share
//! nothing. Which worker lives which world, and when, reaches no result: sums do not depend on
//! their order, and of several seeds that do not pass the smallest is told. All below it were taken
//! before it, and are done before it is told.

use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::pick::PickArguments;
use super::run::{self, Job};
use super::session::{self, Context, Done, Keep};
use super::{CliError, Exit, complain, print, world};
use crate::engine::EngineError;
use crate::event::HowEnded;
use crate::report::hints::Among;
use crate::report::live::{LiveMode, SeedsView};
use crate::report::seeds::{self, SeedRange, SeedsTally};
use crate::report::{RunFile, RunFolder, text, words};
use crate::scenario::Plan;
use crate::secret::Redactor;
use crate::verdict::Outcome;

/// Ended worlds under way to the sums, per worker.
const ENDED_PER_WORKER: usize = 2;

/// What is to be done.
#[derive(Debug)]
pub struct Order {
    scenarios: Vec<Scenario>,
}

/// One scenario with its seeds.
#[derive(Debug)]
struct Scenario {
    plan: Arc<Plan>,
    seeds: SeedRange,
    /// Run folder of a seed that does not pass.
    path: PathBuf,
    /// What to type for the scenario alone.
    typed: String,
}

impl Order {
    /// `count` seeds for each job, from the plan's own upwards; `typed` names the jobs' scenarios.
    ///
    /// # Errors
    ///
    /// When seeds would not fit in 64 bits, or a run folder is taken: known before hours go by.
    pub fn new(count: u32, jobs: &[Job], typed: &[String]) -> Result<Self, CliError> {
        let scenario = |(job, typed): (&Job, &String)| {
            RunFolder::is_free(&job.path)?;
            let seeds = SeedRange { first: job.plan.seed, count: u64::from(count) };
            if seeds.first.checked_add(seeds.count - 1).is_none() {
                return Err(CliError::Usage(format!(
                    "--seeds {count} from seed {} on goes past the largest seed, {}",
                    seeds.first,
                    u64::MAX
                )));
            }
            let (plan, path) = (Arc::new(job.plan.clone()), job.path.clone());
            Ok(Scenario { plan, seeds, path, typed: typed.clone() })
        };
        let scenarios = jobs.iter().zip(typed).map(scenario).collect::<Result<_, _>>()?;
        Ok(Self { scenarios })
    }
}

/// Runs the scenarios one after the other, each with all its seeds, up to the first seed that does
/// not pass.
pub async fn run_all(
    context: &Context,
    order: &Order,
    pick: &PickArguments,
    redactor: &Redactor,
) -> Result<Exit, CliError> {
    for scenario in &order.scenarios {
        run::foretell(&scenario.plan);
        let exit = run_seeds(context, scenario, pick, redactor).await?;
        if exit != Exit::AsExpected {
            return Ok(exit);
        }
    }
    Ok(Exit::AsExpected)
}

async fn run_seeds(
    context: &Context,
    scenario: &Scenario,
    pick: &PickArguments,
    redactor: &Redactor,
) -> Result<Exit, CliError> {
    let (began, seeds) = (Instant::now(), scenario.seeds);
    let name = &scenario.plan.name;
    let Lived { tally, stopper } = live_all(context, scenario).await?;
    let took = began.elapsed();
    let is_whole = tally.passed() == seeds.count;
    match stopper {
        None if is_whole => {
            print(&tally.headline(name, seeds, took));
            if context.live != LiveMode::Quiet {
                print(&tally.differences());
            }
            Ok(Exit::AsExpected)
        }
        None => {
            print(&tally.interrupted(name, seeds, took));
            Ok(Exit::Interrupted)
        }
        Some(stopper) => {
            let replay = replay(scenario, pick, stopper.index);
            stopped(context, scenario, stopper, took, redactor).await.inspect(|_| {
                print(&redactor.redact(&replay));
            })
        }
    }
}

/// Tells of a seed that did not pass: its report, from a run with every file.
async fn stopped(
    context: &Context,
    scenario: &Scenario,
    stopper: Stopper,
    took: Duration,
    redactor: &Redactor,
) -> Result<Exit, CliError> {
    let Stopper { index, why } = stopper;
    let (name, seeds) = (&scenario.plan.name, scenario.seeds);
    let word = match &why {
        Why::Verdict(outcome, _) => (*outcome, words::outcome(*outcome)),
        Why::Error(_) => (Outcome::Fail, "ERROR"),
    };
    if context.interrupts.asked() {
        print(&seeds::cut_after(word, name, seeds, index, took));
        return Ok(Exit::Interrupted);
    }
    print(&seeds::stopped_at(word, name, seeds, index, took));
    let (outcome, expected) = match why {
        Why::Verdict(outcome, exit) => (outcome, exit),
        Why::Error(error) => {
            complain(&error, redactor);
            return Ok(error.exit());
        }
    };
    let folder = RunFolder::create(&scenario.path)?;
    let plan = plan_of(scenario, index);
    let label = format!("{name}, seed {}", plan.seed);
    let Done { run, .. } = world::run(context, plan, Keep::Folder(folder), label).await?;
    print(&format!(
        "\n{}",
        text::render_among(&run, &session::shown(&scenario.path), Among::Seeds)
    ));
    let exit = Exit::of(&run);
    if run.outcome != outcome && run.how != HowEnded::Interrupted {
        let seed = seeds.at(index);
        let (first, second) = (words::outcome(outcome), words::outcome(run.outcome));
        let why = format!("seed {seed} of {name} gave {first} and then {second}");
        complain(&CliError::Internal(why), redactor);
        return Ok(exit.max(Exit::Internal));
    }
    Ok(exit.max(expected))
}

/// The command that runs one seed again.
fn replay(scenario: &Scenario, pick: &PickArguments, index: u64) -> String {
    let mut words = pick.again(&scenario.typed, scenario.seeds.at(index));
    let own = [&["squall", "run"][..], &["--world", "virtual"]];
    let [start, world] = own.map(|words| words.iter().map(|&word| word.to_owned()).collect());
    words.insert(0, start);
    words.insert(2, world);
    let quoted = |words: &Vec<String>| words.iter().map(|word| quoted(word)).collect::<Vec<_>>();
    text::command("replay", &words.iter().map(|words| quoted(words).join(" ")).collect::<Vec<_>>())
}

/// A word as a shell takes it, in single quotes where it needs any.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_@%+=:,./-".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

fn plan_of(scenario: &Scenario, index: u64) -> Plan {
    Plan { seed: scenario.seeds.at(index), ..scenario.plan.as_ref().clone() }
}

/// What the worlds came to.
#[derive(Debug, Default)]
struct Lived {
    tally: SeedsTally,
    /// The smallest seed that did not pass.
    stopper: Option<Stopper>,
}

impl Lived {
    /// Takes a world in, in whatever order they come.
    fn take(&mut self, index: u64, end: Ended) {
        match end {
            Ended::Passed(run) => self.tally.add(&run),
            Ended::Stopped(why) => {
                if self.stopper.as_ref().is_none_or(|known| index < known.index) {
                    self.stopper = Some(Stopper { index, why });
                }
            }
            Ended::Cut => {}
        }
    }
}

/// A seed that did not pass.
#[derive(Debug)]
struct Stopper {
    /// Its place among the seeds, from 0.
    index: u64,
    why: Why,
}

/// Why a seed did not pass.
#[derive(Debug)]
enum Why {
    /// By its verdict, or by its exit code where the verdict is not the reason.
    Verdict(Outcome, Exit),
    /// It did not come to one.
    Error(CliError),
}

/// How a world ended.
#[derive(Debug)]
enum Ended {
    Passed(Box<RunFile>),
    Stopped(Why),
    /// The user stopped it; nothing is known of the seed.
    Cut,
}

impl Ended {
    fn of(result: Result<Done, CliError>) -> Self {
        match result {
            Ok(Done { run, .. }) if run.how == HowEnded::Interrupted => Self::Cut,
            Ok(Done { run, .. }) => match Exit::of(&run) {
                Exit::AsExpected => Self::Passed(Box::new(run)),
                exit => Self::Stopped(Why::Verdict(run.outcome, exit)),
            },
            Err(CliError::Engine(EngineError::Interrupted)) => Self::Cut,
            Err(error) => Self::Stopped(Why::Error(error)),
        }
    }
}

/// Which seeds are still to be begun; all that workers share.
#[derive(Debug)]
struct Course {
    next: AtomicU64,
    /// The first that is not to be begun any more.
    until: AtomicU64,
}

impl Course {
    fn take(&self) -> Option<u64> {
        let index = self.next.fetch_add(1, Ordering::Relaxed);
        (index < self.until.load(Ordering::Relaxed)).then_some(index)
    }

    fn stop_at(&self, index: u64) {
        self.until.fetch_min(index, Ordering::Relaxed);
    }
}

/// Lives all worlds of a scenario, or those up to the first that does not pass, or those that were
/// begun before the user stopped it.
async fn live_all(context: &Context, scenario: &Scenario) -> Result<Lived, CliError> {
    let seeds = scenario.seeds;
    let workers = seeds.count.min(context.cores as u64);
    let course = Course { next: AtomicU64::new(0), until: AtomicU64::new(seeds.count) };
    let course = Arc::new(course);
    let (sender, mut ended) = mpsc::channel(context.cores * ENDED_PER_WORKER);
    for _ in 0..workers {
        let worker = Worker {
            context: Context { live: LiveMode::Quiet, ..context.clone() },
            plan: Arc::clone(&scenario.plan),
            seeds,
            course: Arc::clone(&course),
            ended: sender.clone(),
        };
        let spawned =
            thread::Builder::new().name("squall-world".to_owned()).spawn(move || worker.work());
        if let Err(error) = spawned {
            course.stop_at(0);
            return Err(CliError::Internal(format!("no thread for worlds: {error}")));
        }
    }
    drop(sender);
    let (mut done, mut view) =
        (Lived::default(), SeedsView::new(&scenario.plan.name, seeds.count, context.live));
    let mut over = std::pin::pin!(context.interrupts.over());
    loop {
        let next = tokio::select! {
            biased;
            () = &mut over => None,
            next = ended.recv() => next,
        };
        let Some((index, end)) = next else { break };
        done.take(index, end);
        view.show(done.tally.passed());
    }
    view.finish();
    Ok(done)
}

/// Lives one world after the other.
#[derive(Debug)]
struct Worker {
    context: Context,
    plan: Arc<Plan>,
    seeds: SeedRange,
    course: Arc<Course>,
    ended: mpsc::Sender<(u64, Ended)>,
}

impl Worker {
    fn work(self) {
        while !self.context.interrupts.asked()
            && let Some(index) = self.course.take()
        {
            let end = self.live(index);
            if matches!(end, Ended::Stopped(_)) {
                self.course.stop_at(index);
            }
            if self.ended.blocking_send((index, end)).is_err() {
                return;
            }
        }
    }

    fn live(&self, index: u64) -> Ended {
        let plan = Plan { seed: self.seeds.at(index), ..self.plan.as_ref().clone() };
        Ended::of(caught(|| world::live(&self.context, plan, &Keep::Nothing, "")))
    }
}

/// What `live` returns, or its panic as an error.
fn caught(live: impl FnOnce() -> Result<Done, CliError>) -> Result<Done, CliError> {
    // Nothing of the world is looked at after a panic.
    panic::catch_unwind(AssertUnwindSafe(live)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<&str>().copied();
        let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
        let text = text.unwrap_or("no reason is known");
        Err(CliError::Internal(format!("the world broke off: {text}")))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_where_a_shell_would_take_them_otherwise() {
        for (word, typed) in [
            ("ping-timeout", "ping-timeout"),
            ("a/b.toml", "a/b.toml"),
            ("populations.a.arrival={ burst = {} }", "'populations.a.arrival={ burst = {} }'"),
            ("it's", r"'it'\''s'"),
            ("$HOME", "'$HOME'"),
            ("", "''"),
        ] {
            assert_eq!(quoted(word), typed);
        }
    }

    #[test]
    fn the_smallest_seed_that_did_not_pass_is_the_one_whatever_comes_first() {
        for order in [[5, 3, 9], [3, 9, 5], [9, 5, 3]] {
            let mut lived = Lived::default();
            for index in order {
                lived.take(index, Ended::Stopped(Why::Verdict(Outcome::Fail, Exit::Failed)));
                lived.take(1, Ended::Cut);
            }
            assert_eq!(lived.stopper.map(|stopper| stopper.index), Some(3), "{order:?}");
        }
    }

    #[test]
    fn a_panic_in_a_world_is_an_internal_error_that_says_why() {
        let number = 7;
        let formatted = caught(|| panic!("a defect, {number}"));
        let plain = caught(|| panic!("a defect"));
        for (result, why) in [(formatted, "a defect, 7"), (plain, "a defect")] {
            let Ended::Stopped(Why::Error(error)) = Ended::of(result) else {
                panic!("it did not stop the seeds")
            };
            assert!(error.to_string().ends_with(why), "{error}");
            assert_eq!(error.exit(), Exit::Internal);
        }
    }

    #[test]
    fn no_seed_above_one_that_did_not_pass_is_begun() {
        let course = Course { next: AtomicU64::new(0), until: AtomicU64::new(9) };
        assert_eq!([course.take(), course.take()], [Some(0), Some(1)]);
        course.stop_at(3);
        course.stop_at(7);
        assert_eq!([course.take(), course.take(), course.take()], [Some(2), None, None]);
    }
}
