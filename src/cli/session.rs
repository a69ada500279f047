//! One run: hub, engine, recorder, verdict, files.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::CliError;
use super::deliveries::DeliveryFile;
use super::embedded::{self, EmbeddedHub, EmbeddedUpstream, UpstreamStart};
use super::interrupt::Interrupts;
use super::target::{self, TargetSpec};
use super::watch::ClientArgument;
use crate::client::Credentials;
use crate::engine::{self, Control, EngineError, RunInput, Shards, Target, WatchedClient};
use crate::event::{HowEnded, Warning};
use crate::measure::Summary;
use crate::net::{Clock, Connector, Network, budget};
use crate::report::folder::{DELIVERIES, HTML, LATENCY, RUN};
use crate::report::live::{Live, LiveMode};
use crate::report::recorder::Latest;
use crate::report::run_file::{
    Circumstances, ComputerFacts, HubFacts, MachineFacts, RunFacts, TargetFacts, TargetPlace,
};
use crate::report::{Recorded, Recorder, RunFile, RunFolder, comparison, hlog, html, story, words};
use crate::scenario::Plan;
use crate::secret::{Redactor, Secret};
use crate::verdict::comparison::{Build, PlanRecord};
use crate::verdict::{self, Outcome};

/// Events and trace records under way to the recorder, each. Full means lost, counted and invalid.
const QUEUE_EVENTS: usize = 1 << 16;

/// What all runs of a command share.
#[derive(Clone, Debug)]
pub struct Context {
    /// The world's clock.
    pub clock: Clock,
    /// Where the load goes; `None` is an embedded hub, a fresh one per run.
    pub target: Option<TargetSpec>,
    /// `--ca-file`.
    pub ca_file: Option<std::path::PathBuf>,
    /// Where the shards of clients live, and so the world.
    pub shards: Shards,
    /// Cores of the machine.
    pub cores: usize,
    /// Whether `latest` follows the runs.
    pub latest: Latest,
    /// How progress is shown.
    pub live: LiveMode,
    /// Stopping.
    pub interrupts: Interrupts,
    /// Whose story is told.
    pub watch: Option<ClientArgument>,
    /// Secrets of the command, never shown.
    pub secrets: Vec<Secret>,
}

/// A target that can be loaded, and the hub behind it when it is ours.
struct Opened {
    target: Target,
    place: TargetPlace,
    hub: Option<EmbeddedHub>,
    upstream: Option<EmbeddedUpstream>,
}

/// What a run leaves for the terminal.
#[derive(Debug)]
pub struct Done {
    /// Everything its reports are made of.
    pub run: RunFile,
    /// The story of the watched client, as text without secrets.
    pub story: Option<String>,
}

/// What a run leaves behind besides what it returns.
#[derive(Debug)]
pub enum Keep {
    /// A folder with every file, which goes away again if nothing comes into it.
    Folder(RunFolder),
    /// Nothing.
    Nothing,
}

/// What is left when a run's world is over: everything that its results follow from.
#[derive(Debug)]
pub struct Lived {
    plan: Arc<Plan>,
    summary: Summary,
    recorded: Recorded,
    facts: RunFacts,
    how: HowEnded,
    redactor: Redactor,
}

/// When a run really began, by a clock that is not the world's.
#[derive(Clone, Copy, Debug)]
pub struct Began {
    clock: Clock,
    at_ns: u64,
}

impl Began {
    /// Now. `clock` shows real time, and is read where nobody simulates any.
    #[must_use]
    pub fn now(clock: Clock) -> Self {
        Self { clock, at_ns: clock.now_ns() }
    }
}

/// Runs a plan. `label` names the run in the live view.
pub async fn run(
    context: &Context,
    plan: Plan,
    keep: &Keep,
    label: &str,
) -> Result<Done, CliError> {
    let began = Began::now(context.clock);
    let lived = live(context, plan, keep, label).await;
    conclude(context, began, keep, lived)
}

/// Judges what was lived and writes the files, outside of the run's world. A folder goes away again
/// if nothing came into it.
pub fn conclude(
    context: &Context,
    began: Began,
    keep: &Keep,
    lived: Result<Lived, CliError>,
) -> Result<Done, CliError> {
    match lived {
        Ok(lived) => {
            let tell = |_| {
                let world = lived.facts.world;
                lived.redactor.redact(&story::render(&lived.recorded.story, world))
            };
            let story = context.watch.as_ref().map(tell);
            Ok(Done { run: finish(lived, machine(context, began), keep), story })
        }
        Err(error) => {
            if let Keep::Folder(folder) = keep {
                folder.discard_if_empty();
            }
            Err(error)
        }
    }
}

/// The machine, and real time since `began`.
pub(super) fn machine(context: &Context, began: Began) -> MachineFacts {
    let took = Duration::from_nanos(began.clock.now_ns().saturating_sub(began.at_ns));
    let peak = budget::peak_resident_bytes();
    let machine = MachineFacts::new(began.at_ns, took, context.shards.count(), context.cores, peak);
    MachineFacts { computer: Some(computer()), ..machine }
}

/// The computer that this program runs on, and how the program was built.
fn computer() -> ComputerFacts {
    ComputerFacts {
        os: std::env::consts::OS.to_owned(),
        arch: std::env::consts::ARCH.to_owned(),
        cpu: budget::processor(),
        build: Build::of_this_program(),
    }
}

/// Runs a plan in the world whose clock the context holds.
pub async fn live(
    context: &Context,
    plan: Plan,
    keep: &Keep,
    label: &str,
) -> Result<Lived, CliError> {
    let watched = context.watch.as_ref().map(|client| client.find(&plan)).transpose()?;
    let plan = Arc::new(plan);
    let (deliveries, file) = delivery_file(context, &plan, keep)?.unzip();
    let delivering = file.map(|file| tokio::task::spawn_local(file.write()));
    let opened = tokio::select! {
        biased;
        () = context.interrupts.first() => return Err(EngineError::Interrupted.into()),
        opened = open(context, &plan, deliveries) => opened?,
    };
    let mut secrets = context.secrets.clone();
    secrets.extend(opened.hub.as_ref().map(|hub| hub.key.clone()));
    let redactor = Redactor::new(secrets);
    let live = Live::new(label, context.live);
    let recorder = match keep {
        Keep::Folder(folder) => Recorder::create(folder, context.latest, live, redactor.clone())?,
        Keep::Nothing => Recorder::without_files(live, redactor.clone()),
    };
    let mut facts = facts(context, &plan, &opened);
    let (summary, mut recorded) = execute(context, &plan, &opened, watched, recorder).await;
    let summary = match summary {
        Some(Ok(summary)) => summary,
        Some(Err(error)) => return Err(error.into()),
        None => {
            return Err(match keep {
                Keep::Folder(folder) => CliError::StoppedHard { folder: shown(folder.path()) },
                Keep::Nothing => EngineError::Interrupted.into(),
            });
        }
    };
    if let Some(hub) = opened.hub {
        tokio::select! {
            biased;
            stopped = hub.stop() => stopped?,
            () = context.interrupts.over() => {}
        }
    }
    if let Some(delivering) = delivering
        && let Ok(Ok(Err(error))) = tokio::time::timeout(embedded::DRAIN, delivering).await
    {
        recorded.warnings.insert(Warning::NotWritten { what: error.to_string() });
    }
    if let Some(upstream) = opened.upstream {
        tokio::select! {
            biased;
            stopped = upstream.stop() => stopped?,
            () = context.interrupts.over() => {}
        }
    }
    if let Some(started) = &recorded.started {
        facts.started_unix_ns = started.epoch_unix_ns;
    }
    facts.started = crate::protocol::resource_log::utc(facts.started_unix_ns);
    let asked = if context.interrupts.asked() { HowEnded::Interrupted } else { HowEnded::TimeUp };
    let how = recorded.how.unwrap_or(asked);
    Ok(Lived { plan, summary, recorded, facts, how, redactor })
}

/// The file that the embedded hub's event listeners deliver to, where there are any. (A hub of its
/// own has its own file.)
fn delivery_file(
    context: &Context,
    plan: &Plan,
    keep: &Keep,
) -> Result<Option<(mpsc::Sender<Bytes>, DeliveryFile)>, CliError> {
    match keep {
        Keep::Folder(folder)
            if context.target.is_none() && !plan.hub.events.listeners.is_empty() =>
        {
            DeliveryFile::create(&folder.file(DELIVERIES)).map(Some)
        }
        Keep::Folder(_) | Keep::Nothing => Ok(None),
    }
}

/// Finds or starts what is loaded.
async fn open(
    context: &Context,
    plan: &Plan,
    deliveries: Option<mpsc::Sender<Bytes>>,
) -> Result<Opened, CliError> {
    let Some(spec) = &context.target else {
        return open_embedded(context, plan, deliveries).await;
    };
    let connector = Connector::new(spec.endpoint.clone(), context.ca_file.as_deref()).await?;
    let (mut control, mut upstream) = (Control::Absent, None);
    if let (TargetPlace::Loopback, Some(key)) = (spec.place, spec.access_key())
        && target::offers_control(&connector, key, &context.clock).await?
    {
        control = Control::Offered;
        if let Some(start) = upstream_start(context, plan, key) {
            upstream = Some(EmbeddedUpstream::on_a_thread(start).await?);
        }
    }
    let target = Target {
        connector,
        credentials: spec.credentials(),
        access_key: spec.access_key().cloned(),
        control,
    };
    Ok(Opened { target, place: spec.place, hub: None, upstream })
}

/// Starts a hub, and the application server behind it where the scenario has one.
async fn open_embedded(
    context: &Context,
    plan: &Plan,
    deliveries: Option<mpsc::Sender<Bytes>>,
) -> Result<Opened, CliError> {
    let (settings, clock, seed) = (plan.hub.clone(), context.clock, plan.seed);
    let (hub, upstream) = match context.shards {
        Shards::Threads(_) => {
            let ca_file = context.ca_file.clone();
            let hub = EmbeddedHub::on_a_thread(settings, clock, seed, ca_file, deliveries).await?;
            let upstream = match upstream_start(context, plan, &hub.key) {
                Some(start) => Some(EmbeddedUpstream::on_a_thread(start).await?),
                None => None,
            };
            (hub, upstream)
        }
        Shards::Here => {
            let network = Network::start();
            let hub = EmbeddedHub::beside(&network, settings, clock, seed, deliveries)?;
            let start = upstream_start(context, plan, &hub.key);
            let upstream = start.map(|start| EmbeddedUpstream::beside(&network, start));
            (hub, upstream.transpose()?)
        }
    };
    let target = Target {
        connector: hub.connector().clone(),
        credentials: Credentials::Key(hub.key.clone()),
        access_key: Some(hub.key.clone()),
        control: Control::Offered,
    };
    Ok(Opened { target, place: TargetPlace::Embedded, hub: Some(hub), upstream })
}

/// What the scenario's application server starts from; `key` is the hub's.
fn upstream_start(context: &Context, plan: &Plan, key: &Secret) -> Option<UpstreamStart> {
    let script = plan.upstream.clone()?;
    Some(UpstreamStart { script, clock: context.clock, seed: plan.seed, key: key.clone() })
}

/// Runs engine and recorder side by side. No summary means that the user stopped it hard.
async fn execute(
    context: &Context,
    plan: &Arc<Plan>,
    opened: &Opened,
    watched: Option<WatchedClient>,
    recorder: Recorder,
) -> (Option<Result<Summary, EngineError>>, Recorded) {
    let (events, events_receiver) = mpsc::channel(QUEUE_EVENTS);
    let (trace, trace_receiver) = mpsc::channel(QUEUE_EVENTS);
    let input = RunInput {
        plan: Arc::clone(plan),
        target: opened.target.clone(),
        upstream: opened.upstream.as_ref().map(EmbeddedUpstream::scripted),
        clock: context.clock,
        shards: context.shards,
        stop: context.interrupts.stop(),
        events,
        trace,
        watched,
    };
    let over = context.interrupts.clone();
    let recording = recorder.run(events_receiver, trace_receiver, async move { over.over().await });
    let running = async {
        tokio::select! {
            biased;
            result = engine::run(input) => Some(result),
            () = context.interrupts.over() => None,
        }
    };
    tokio::join!(running, recording)
}

fn facts(context: &Context, plan: &Plan, opened: &Opened) -> RunFacts {
    let PlanRecord { settings, digests, .. } = comparison::plan_record(plan);
    let nanos = |duration: Duration| u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    RunFacts {
        scenario: plan.name.clone(),
        title: plan.title.clone(),
        seed: plan.seed,
        plan_hash: plan.hash.clone(),
        duration_ns: nanos(plan.duration),
        world: context.shards.world(),
        squall_version: env!("CARGO_PKG_VERSION").to_owned(),
        started: String::new(),
        started_unix_ns: context.clock.now_ns(),
        target: TargetFacts {
            endpoint: opened.target.connector.endpoint().to_string(),
            place: opened.place,
            control: opened.target.control == Control::Offered,
        },
        hub: HubFacts {
            name: plan.hub_name.clone(),
            tier: words::tier_word(plan.hub.tier).to_owned(),
            units: plan.hub.units,
            connection_cap: plan.hub.connection_cap(),
            ping_interval_ns: nanos(plan.hub.keep_alive.interval),
            ping_timeout_ns: nanos(plan.hub.keep_alive.timeout),
            queue_bytes: plan.hub.queue.bytes,
            queue_messages: plan.hub.queue.messages,
        },
        settings,
        digests,
    }
}

/// Judges, and writes every file if any are kept.
fn finish(lived: Lived, machine: MachineFacts, keep: &Keep) -> RunFile {
    let Lived { plan, mut summary, recorded, facts, how, redactor } = lived;
    summary.health.warnings.extend(recorded.warnings.iter().cloned());
    let verdict = verdict::judge(&plan, &summary);
    let observed = &recorded.observed;
    let circumstances = Circumstances { run: facts, how, machine };
    let mut run = RunFile::new(&plan, &summary, &verdict, observed, circumstances, &redactor);
    if let Keep::Folder(folder) = keep {
        write_files(&plan, &summary, folder, &mut run);
    }
    run
}

/// Writes the files of a finished run, `run.json` last. One that cannot be written is a warning in
/// the result (and an exit code), never a reason to lose the rest.
fn write_files(plan: &Plan, summary: &Summary, folder: &RunFolder, run: &mut RunFile) {
    let elapsed = Duration::from_nanos(summary.elapsed_ns);
    let (latency, upstream) = (&summary.latency, &summary.calls.times);
    let log = hlog::render(plan, latency, upstream, run.run.started_unix_ns, elapsed);
    let log = log.and_then(|log| publish(folder, LATENCY, &log));
    note(run, LATENCY, log);
    let page = html::render(run);
    let page = publish(folder, HTML, page.as_bytes());
    note(run, HTML, page);
    let text = serde_json::to_string_pretty(run).map_err(|error| error.to_string());
    let text = text.and_then(|text| publish(folder, RUN, format!("{text}\n").as_bytes()));
    note(run, RUN, text);
}

fn publish(folder: &RunFolder, name: &str, content: &[u8]) -> Result<(), String> {
    folder.publish(name, content).map_err(|error| error.to_string())
}

/// A file that is missing is told, in the files that come after it too.
fn note(run: &mut RunFile, name: &str, result: Result<(), String>) {
    if let Err(why) = result {
        run.warnings.push(Warning::NotWritten { what: format!("{name}: {why}") });
    }
}

/// Whether a report of this run is worth a user's whole screen among many.
#[must_use]
pub fn deserves_detail(run: &RunFile) -> bool {
    run.outcome != Outcome::Pass || run.how == HowEnded::Interrupted || !run.warnings.is_empty()
}

/// A path as the user can type it.
#[must_use]
pub fn shown(path: &Path) -> String {
    path.display().to_string()
}
