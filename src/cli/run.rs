//! `squall run`.

use std::cell::Cell;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use clap::Args;
use clap::builder::FalseyValueParser;
use futures::{StreamExt as _, stream};
use tokio::task::LocalSet;

use super::check;
use super::compare::{Against, AgainstArguments};
use super::interrupt::Interrupts;
use super::pick::{self, PickArguments};
use super::search::{self, Sought};
use super::seeds::{self, Order};
use super::session::{self, Context, Done, Keep};
use super::target::{self, TargetArguments, TargetSpec, Usage};
use super::watch::ClientArgument;
use super::{CliError, Exit, complain, print, say, world};
use crate::engine::Shards;
use crate::event::World;
use crate::net::Clock;
use crate::net::budget::Budget;
use crate::predict::{self, ConflictKind, HubPlace, Limits};
use crate::report::folder::PendingFile;
use crate::report::live::LiveMode;
use crate::report::recorder::Latest;
use crate::report::run_file::TargetPlace;
use crate::report::spread::Spread;
use crate::report::{FileError, RunFile, RunFolder, junit, markdown, text};
use crate::scenario::Plan;
use crate::secret::Redactor;
use crate::verdict::Outcome;

/// Folder of run folders, where none is named.
const RUNS: &str = "squall-runs";
/// Runs of one scenario, at most.
const REPEAT_MAX: i64 = 1_000;
/// Seeds of one scenario, at most.
const SEEDS_MAX: i64 = 1_000_000;

/// Arguments of `squall run`.
#[derive(Debug, Args)]
pub struct RunArguments {
    #[command(flatten)]
    pick: PickArguments,
    #[command(flatten)]
    target: TargetArguments,
    /// Run folder; of several runs, the folder of their folders [default: squall-runs/TIME-NAME]
    #[arg(long, env = "SQUALL_OUT", value_name = "DIR")]
    out: Option<PathBuf>,
    /// Run each scenario this often, with the same seed, and print the spread
    #[arg(
        long, env = "SQUALL_REPEAT", value_name = "K", default_value = "1",
        value_parser = clap::value_parser!(u32).range(1..=REPEAT_MAX)
    )]
    repeat: u32,
    /// Run each scenario with N seeds in a row, on all cores, up to the first that does not pass
    #[arg(
        long, env = "SQUALL_SEEDS", value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=SEEDS_MAX)
    )]
    seeds: Option<u32>,
    /// Generator threads [default: one less than the cores, at least 1]
    #[arg(
        long, env = "SQUALL_THREADS", value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=256)
    )]
    threads: Option<u16>,
    /// World the run takes place in
    #[arg(long, env = "SQUALL_WORLD", value_enum, default_value = "sockets")]
    world: World,
    /// Also write JUnit XML, one test case per check
    #[arg(long, env = "SQUALL_JUNIT", value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Also write a short Markdown report
    #[arg(long, env = "SQUALL_MARKDOWN", value_name = "FILE")]
    markdown: Option<PathBuf>,
    #[command(flatten)]
    against: AgainstArguments,
    /// Tell the whole story of one client, from both ends: `muted[3]`, or its number over all
    /// populations; both count from 0
    #[arg(long, env = "SQUALL_TRACE_CONNECTION", value_name = "CLIENT")]
    trace_connection: Option<ClientArgument>,
    /// No progress, and one line per run that passes
    #[arg(long, short, env = "SQUALL_QUIET", value_parser = FalseyValueParser::new())]
    quiet: bool,
}

/// Runs scenarios: everything is loaded, guarded and budgeted before anything is started.
pub fn main(arguments: &RunArguments) -> Result<Exit, CliError> {
    check_world(arguments)?;
    check_seeds(arguments)?;
    target::check_ca_file(arguments.target.ca_file.as_deref())?;
    let mut picked = pick::load(&arguments.pick)?;
    let searches = search::take(&mut picked);
    let mut stepped = Vec::new();
    for sought in &searches {
        check_search(arguments, sought)?;
        stepped.extend(sought.plans()?);
    }
    check::fit_world(&picked.plans, arguments.world)?;
    check::fit_world(&stepped, arguments.world)?;
    if let Some(client) = &arguments.trace_connection {
        picked.plans.iter().try_for_each(|plan| client.find(plan).map(drop))?;
    }
    let target = arguments.target.target.as_ref().map(TargetSpec::parse).transpose()?;
    let mut secrets = std::mem::take(&mut picked.secrets);
    secrets.extend(target.iter().flat_map(TargetSpec::secrets));
    let redactor = Redactor::new(secrets.clone());
    let against = match searches.as_slice() {
        [] => arguments.against.read(&picked.plans)?,
        _ => None,
    };
    let clock = Clock::system();
    if let Some(spec) = &target {
        guard_searches(spec, &searches)?;
        guard(spec, arguments, &mut picked.plans, &clock)?;
    }
    budget(&picked.plans, arguments.world, target.as_ref())?;
    budget(&stepped, arguments.world, target.as_ref())?;
    let mut files = ExtraFiles::create(arguments)?;
    let paths = Paths::new(arguments, picked.plans.len() + searches.len(), &clock);
    let jobs = jobs(picked.plans, arguments, &paths);
    let searches = placed(searches, &paths, &jobs);
    let order = arguments.seeds.map(|count| Order::new(count, &jobs, &picked.typed)).transpose()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::Internal(format!("no runtime: {error}")))?;
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let local = LocalSet::new();
    let exit = local.block_on(&runtime, async {
        let context = Context {
            clock,
            target,
            ca_file: arguments.target.ca_file.clone(),
            shards: match arguments.world {
                World::Sockets => Shards::Threads(
                    arguments.threads.map_or_else(|| threads_for(cores), usize::from),
                ),
                World::Virtual => Shards::Here,
            },
            cores,
            latest: if arguments.out.is_some() { Latest::Leave } else { Latest::Follow },
            live: live_mode(arguments, jobs.len().max(1)),
            interrupts: Interrupts::listen(match order {
                Some(_) => "interrupted: ending the seeds under way",
                None => "interrupted: draining, then writing what there is",
            })?,
            watch: arguments.trace_connection.clone(),
            secrets,
        };
        if let Some(order) = order {
            return seeds::run_all(&context, &order, &arguments.pick, &redactor).await;
        }
        let mut page = Page::default();
        let mut exit = Exit::AsExpected;
        if !jobs.is_empty() {
            let against = against.as_ref();
            let (files, page) = (&mut files, &mut page);
            exit = run_all(&context, jobs, arguments, against, &redactor, files, page).await?;
        }
        for (sought, path) in &searches {
            if !context.interrupts.asked() {
                exit = exit.max(search::run(&context, sought, path, &mut page, &redactor).await?);
            }
        }
        Ok(exit)
    });
    drop(local);
    // A name that is still being looked up is not waited for.
    runtime.shutdown_background();
    exit
}

/// A virtual world has nothing outside of it.
fn check_world(arguments: &RunArguments) -> Result<(), CliError> {
    let TargetArguments { target, ca_file, i_own_this_target } = &arguments.target;
    let told = [
        (target.is_some(), "--target", "its only hub is the embedded one"),
        (ca_file.is_some(), "--ca-file", "its links in memory speak no TLS"),
        (i_own_this_target.is_some(), "--i-own-this-target", "it loads nothing but its own hub"),
        (arguments.threads.is_some(), "--threads", "it lives on one thread"),
    ];
    match (arguments.world, told.iter().find(|(is_given, ..)| *is_given)) {
        (World::Virtual, Some((_, flag, why))) => Err(CliError::Usage(format!(
            "{flag} needs --world sockets: the virtual world has no outside ({why})"
        ))),
        _ => Ok(()),
    }
}

/// Many seeds need worlds that are quick and equal, and leave the files of one run at most.
fn check_seeds(arguments: &RunArguments) -> Result<(), CliError> {
    if arguments.seeds.is_none() {
        return Ok(());
    }
    if arguments.world == World::Sockets {
        return Err(CliError::Usage(
            "--seeds needs --world virtual: over sockets every seed takes its whole time; for \
             several runs there, use --repeat"
                .to_owned(),
        ));
    }
    let told = [
        (arguments.repeat > 1, "--repeat", "a seed gives the same run each time"),
        (arguments.junit.is_some(), "--junit", "it tells of runs one by one"),
        (arguments.markdown.is_some(), "--markdown", "it tells of runs one by one"),
        (arguments.trace_connection.is_some(), "--trace-connection", "it tells of one run"),
        (arguments.against.is_given(), "--baseline", "it is of one seed"),
    ];
    match told.iter().find(|(is_given, ..)| *is_given) {
        Some((_, flag, why)) => Err(CliError::Usage(format!(
            "{flag} does not go together with --seeds: {why}; use it on the replay of a seed"
        ))),
        None => Ok(()),
    }
}

/// What tells of runs one by one, or of one run, does not go together with a search.
fn check_search(arguments: &RunArguments, sought: &Sought) -> Result<(), CliError> {
    let name = sought.name();
    let told = [
        (arguments.seeds.is_some(), "--seeds", "each value is run with one seed"),
        (arguments.repeat > 1, "--repeat", "each value is run once"),
        (arguments.junit.is_some(), "--junit", "a step that fails is part of the answer"),
        (arguments.markdown.is_some(), "--markdown", "a step that fails is part of the answer"),
        (arguments.trace_connection.is_some(), "--trace-connection", "it tells of one run"),
        (arguments.against.is_given(), "--baseline", "it is of one run"),
    ];
    match told.iter().find(|(is_given, ..)| *is_given) {
        Some((_, flag, why)) => Err(CliError::Usage(format!(
            "{flag} does not go together with a search or a sweep, such as {name}: {why}"
        ))),
        None => Ok(()),
    }
}

/// A search looks for the load that breaks something: that is nobody's but one's own hub.
fn guard_searches(spec: &TargetSpec, searches: &[Sought]) -> Result<(), CliError> {
    match searches.first() {
        Some(sought) if spec.place == TargetPlace::Remote => Err(CliError::Usage(format!(
            "{} is a search, which goes on until something breaks: it needs the embedded hub, or \
             `squall hub` on this machine",
            sought.name()
        ))),
        _ => Ok(()),
    }
}

/// One generator thread on small machines, else all cores but the hub's.
pub(super) const fn threads_for(cores: usize) -> usize {
    if cores <= 2 { 1 } else { cores - 1 }
}

/// A line that changes needs the terminal for itself, and virtual worlds run side by side. (Those
/// of many seeds show one line together.)
fn live_mode(arguments: &RunArguments, runs: usize) -> LiveMode {
    let is_alone = arguments.world == World::Sockets || runs == 1 || arguments.seeds.is_some();
    if arguments.quiet {
        LiveMode::Quiet
    } else if is_alone && std::io::stderr().is_terminal() {
        LiveMode::Terminal
    } else {
        LiveMode::Lines
    }
}

/// The guard around a target that is not ours; says what will be used.
fn guard(
    spec: &TargetSpec,
    arguments: &RunArguments,
    plans: &mut [Plan],
    clock: &Clock,
) -> Result<(), CliError> {
    target::guard(spec, arguments.target.i_own_this_target.as_deref(), plans)?;
    if spec.place == TargetPlace::Remote {
        let usage = Usage::of(plans, arguments.repeat);
        usage.within_caps()?;
        plans.iter_mut().for_each(|plan| target::make_unique(plan, clock));
        say(&usage.told(&spec.endpoint.host));
    }
    Ok(())
}

/// Whether this machine can carry every one of the plans.
fn budget(plans: &[Plan], world: World, target: Option<&TargetSpec>) -> Result<(), CliError> {
    let place = match (world, target) {
        (World::Virtual, _) => HubPlace::InMemory,
        (World::Sockets, None) => HubPlace::Embedded,
        (World::Sockets, Some(_)) => HubPlace::Elsewhere,
    };
    let limits = limits();
    for plan in plans {
        let need = predict::need(plan, place);
        if let Some(problem) = predict::budget_problem(&need, place, &limits) {
            return Err(CliError::Budget { scenario: plan.name.clone(), problem });
        }
    }
    Ok(())
}

/// What this process and machine allow, after raising what can be raised.
#[must_use]
pub fn limits() -> Limits {
    let Budget { descriptors_max, ports, memory, .. } = Budget::read();
    Limits { descriptors_max, ports, memory }
}

/// One run to come.
#[derive(Debug)]
pub struct Job {
    /// What is done.
    pub plan: Plan,
    /// Its run folder.
    pub path: PathBuf,
    label: String,
    /// First run of its scenario.
    is_first: bool,
    /// Last run of its scenario.
    is_last: bool,
}

/// Where run folders go.
struct Paths<'a> {
    out: Option<&'a Path>,
    /// Whether `--out` is the folder of several.
    several: bool,
    stamp: String,
}

impl<'a> Paths<'a> {
    fn new(arguments: &'a RunArguments, scenarios: usize, clock: &Clock) -> Self {
        let several = scenarios > 1 || arguments.repeat > 1;
        Self { out: arguments.out.as_deref(), several, stamp: stamp(clock) }
    }

    fn of(&self, name: &str, jobs: &[Job]) -> PathBuf {
        let path = match self.out {
            Some(out) if self.several => out.join(name),
            Some(out) => out.to_owned(),
            None => Path::new(RUNS).join(format!("{}-{name}", self.stamp)),
        };
        unused(path, jobs)
    }
}

/// Searches with their folders. (Scenarios of one name are two files of it: the second one's folder
/// is refused when it is made, before anything of it is run.)
fn placed(searches: Vec<Sought>, paths: &Paths<'_>, jobs: &[Job]) -> Vec<(Sought, PathBuf)> {
    let place = |sought: Sought| {
        let path = paths.of(sought.name(), jobs);
        (sought, path)
    };
    searches.into_iter().map(place).collect()
}

fn jobs(plans: Vec<Plan>, arguments: &RunArguments, paths: &Paths<'_>) -> Vec<Job> {
    let mut jobs: Vec<Job> = Vec::new();
    for plan in plans {
        for turn in 1..=arguments.repeat {
            let (name, label) = if arguments.repeat > 1 {
                let label = format!("{} {turn}/{}", plan.name, arguments.repeat);
                (format!("{}-{turn}", plan.name), label)
            } else {
                (plan.name.clone(), plan.name.clone())
            };
            let path = paths.of(&name, &jobs);
            let (is_first, is_last) = (turn == 1, turn == arguments.repeat);
            jobs.push(Job { plan: plan.clone(), path, label, is_first, is_last });
        }
    }
    jobs
}

/// UTC to the second, for folder names: `20260102T030405Z`.
fn stamp(clock: &Clock) -> String {
    let utc = crate::protocol::resource_log::utc(clock.now_ns());
    let seconds = utc.split('.').next().unwrap_or(&utc);
    let digits: String = seconds.chars().filter(|c| c.is_ascii_digit() || *c == 'T').collect();
    format!("{digits}Z")
}

/// The path, or the first of `path-2`, `path-3`, … that no other run of this command has and,
/// under the folder of run folders, that is not there yet.
fn unused(path: PathBuf, jobs: &[Job]) -> PathBuf {
    let by_default = path.starts_with(RUNS);
    let is_free =
        |path: &Path| jobs.iter().all(|job| job.path != path) && !(by_default && path.exists());
    if is_free(&path) {
        return path;
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    (2_u32..)
        .map(|number| path.with_file_name(format!("{name}-{number}")))
        .find(|path| is_free(path))
        .unwrap_or(path)
}

/// Files that the user named, made before the first run so that a wrong place is known early.
#[derive(Debug)]
struct ExtraFiles {
    junit: Option<PendingFile>,
    markdown: Option<PendingFile>,
}

impl ExtraFiles {
    fn create(arguments: &RunArguments) -> Result<Self, FileError> {
        let create = |path: &Option<PathBuf>| path.as_deref().map(PendingFile::create).transpose();
        Ok(Self { junit: create(&arguments.junit)?, markdown: create(&arguments.markdown)? })
    }

    /// Writes them, over whatever has been run; `compared` is what comes after it in Markdown.
    fn publish(&mut self, runs: &[RunFile], compared: &str) -> Result<(), CliError> {
        if runs.is_empty() {
            return Ok(());
        }
        if let Some(file) = self.junit.take() {
            let xml = junit::render(runs).map_err(CliError::Internal)?;
            file.publish(xml.as_bytes())?;
        }
        if let Some(file) = self.markdown.take() {
            file.publish(format!("{}{compared}", markdown::render(runs)).as_bytes())?;
        }
        Ok(())
    }
}

/// Runs the jobs in order: one after the other over sockets, virtual worlds side by side on the
/// cores. After an interruption or an error none begins any more; those under way end in order, and
/// leave their files.
async fn run_all(
    context: &Context,
    jobs: Vec<Job>,
    arguments: &RunArguments,
    against: Option<&Against>,
    redactor: &Redactor,
    files: &mut ExtraFiles,
    page: &mut Page,
) -> Result<Exit, CliError> {
    let scenarios = jobs.iter().filter(|job| job.is_last).count();
    let (mut runs, mut exit) = (Vec::new(), Exit::AsExpected);
    let mut compared = String::new();
    // Of the scenario at hand.
    let (mut turns, mut folders) = (Vec::new(), Vec::new());
    let side_by_side = match context.shards {
        Shards::Threads(_) => 1,
        Shards::Here => context.cores,
    };
    let failed = Cell::new(false);
    let running = jobs.into_iter().map(|job| async {
        if failed.get() || context.interrupts.asked() {
            return None;
        }
        if job.is_first {
            foretell(&job.plan);
        }
        Some((run_one(context, job.plan.clone(), &job.path, &job.label).await, job))
    });
    let mut ended = stream::iter(running).buffered(side_by_side);
    while let Some(ended) = ended.next().await {
        let Some((result, job)) = ended else { continue };
        match result {
            Ok(Done { run, story }) => {
                tell(&run, &job, arguments, page);
                if let Some(story) = story {
                    page.block(&story);
                }
                exit = exit.max(Exit::of(&run));
                if let Some(against) = against {
                    let judged = against.judge(&run, &session::shown(&job.path));
                    match judged.exit {
                        Exit::AsExpected if arguments.quiet => page.line(&judged.headline),
                        _ => page.block(&judged.whole),
                    }
                    exit = exit.max(judged.exit);
                    compared.push_str(&format!("\n{}", judged.markdown));
                }
                turns.push(run.clone());
                folders.push(job.path);
                runs.push(run);
            }
            Err(error) => {
                complain(&error, redactor);
                exit = exit.max(error.exit());
                failed.set(true);
            }
        }
        if job.is_last {
            let (turns, folders) = (std::mem::take(&mut turns), std::mem::take(&mut folders));
            exit = exit.max(tell_spread(&turns, &folders, page));
        }
    }
    exit = exit.max(tell_spread(&turns, &folders, page));
    if context.interrupts.asked() {
        exit = exit.max(Exit::Interrupted);
    }
    if scenarios > 1 && !runs.is_empty() {
        page.block(&text::overview(&runs));
    }
    if let Err(error) = files.publish(&runs, &compared) {
        complain(&error, redactor);
        exit = exit.max(error.exit());
    }
    Ok(exit)
}

/// How the runs of one scenario differ, where there are several. What must be equal and is not is a
/// defect of Squall's own.
fn tell_spread(turns: &[RunFile], folders: &[PathBuf], page: &mut Page) -> Exit {
    if turns.len() < 2 {
        return Exit::AsExpected;
    }
    let spread = Spread::of(turns, folders);
    page.block(&spread.render());
    if spread.is_defect() { Exit::Internal } else { Exit::AsExpected }
}

/// Tells which expectations cannot hold by the forecast, and what of the scenario the world cannot
/// tell, before anybody waits for the run.
pub fn foretell(plan: &Plan) {
    if let Some(rounded) = predict::rounded(plan) {
        say(&text::aside("note", &format!("{}: {rounded}", plan.name)));
    }
    for conflict in predict::conflicts(plan) {
        if conflict.kind == ConflictKind::Contradiction {
            let told = format!("{}: {conflict}; the run will tell", plan.name);
            say(&text::noted(text::style_of(Outcome::Undetermined), "note", &told));
        }
    }
}

/// Runs a plan in the world of the context; its files go to `path`.
pub(super) async fn run_one(
    context: &Context,
    plan: Plan,
    path: &Path,
    label: &str,
) -> Result<Done, CliError> {
    let keep = Keep::Folder(RunFolder::create(path)?);
    match context.shards {
        Shards::Threads(_) => session::run(context, plan, &keep, label).await,
        Shards::Here => world::run(context, plan, keep, label.to_owned()).await,
    }
}

/// The report of a run: whole, or its headline where it passed among many of the same.
fn tell(run: &RunFile, job: &Job, arguments: &RunArguments, page: &mut Page) {
    let brief = arguments.quiet || arguments.repeat > 1;
    if brief && !session::deserves_detail(run) {
        page.line(&text::headline(run));
    } else {
        page.block(&text::render(run, &session::shown(&job.path)));
    }
}

/// What a command has printed, so that exactly one blank line stands around a block.
#[derive(Debug, Default)]
pub(super) struct Page {
    last: Option<Piece>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Piece {
    Line,
    Block,
}

impl Page {
    /// Prints a line among others.
    pub(super) fn line(&mut self, text: &str) {
        print(&self.spaced(Piece::Line, text));
    }

    /// Prints a block of its own.
    pub(super) fn block(&mut self, text: &str) {
        print(&self.spaced(Piece::Block, text));
    }

    fn spaced(&mut self, piece: Piece, text: &str) -> String {
        let is_apart = match self.last.replace(piece) {
            None => false,
            Some(last) => last == Piece::Block || piece == Piece::Block,
        };
        format!("{}{}", if is_apart { "\n" } else { "" }, text.trim_start_matches('\n'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_blank_line_stands_around_a_block_and_none_between_lines() {
        let mut page = Page::default();
        let told = [
            (Piece::Block, "report\n"),
            (Piece::Block, "\nstory\n"),
            (Piece::Line, "headline\n"),
            (Piece::Line, "headline\n"),
            (Piece::Block, "spread\n"),
        ]
        .map(|(piece, text)| page.spaced(piece, text));
        assert_eq!(told.concat(), "report\n\nstory\n\nheadline\nheadline\n\nspread\n");
    }
}
