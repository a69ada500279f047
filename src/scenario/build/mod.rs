//! From the typed file to the [`Plan`]: defaults filled in, names resolved, counts scaled, and
//! everything refused that cannot be meant.

mod behaviour;
mod expect;
mod fault;
mod hub;
mod link;
mod population;
mod possible;
mod reconnect;
mod roster;
pub(super) mod search;
mod server_side;
mod threshold;
mod throughput;
mod traffic;
mod upstream;
mod webhook;

use std::fmt::Write as _;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::Overrides;
use super::at::At;
use super::file::{RequiresFile, ScenarioFile};
use super::plan::{Fault, GroupIndex, Plan, Population, Requires, Senders};
use super::problem::{Place, Problem, Problems, suggestion};
use super::units::Lasting;

pub(super) use hub::settings_alone;
use roster::Roster;
pub(super) use upstream::script_alone;

const SETTLE: Duration = Duration::from_secs(1);
const GRACE: Duration = Duration::from_secs(3);
const SEED: u64 = 1;
const HUB_NAME: &str = "squall";

/// Where each argument of the command line stands among the texts of errors.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    /// `--profile`.
    pub profile: Option<Place>,
    /// `-n COUNT`.
    pub total: Option<Place>,
    /// `-n name=COUNT`, each with the place of its name.
    pub counts: Vec<Place>,
    /// `--set path=value`, each with the place of its path.
    pub sets: Vec<Place>,
    /// `--sweep path=values`, likewise.
    pub sweeps: Vec<Place>,
}

/// What every part of the second pass needs.
pub(super) struct Context<'a> {
    problems: &'a Problems,
    /// The scenario's duration; `None` when it is bad.
    duration: Option<Duration>,
    roster: Roster,
    /// Groups that some population is in.
    groups: Vec<String>,
}

impl Context<'_> {
    fn push(&self, problem: Problem) {
        self.problems.push(problem);
    }

    /// An instant on the timeline, which must come before the scenario's end.
    fn instant(&self, at: &At<Lasting>) -> Option<Duration> {
        let &Lasting(instant) = at.get()?;
        if let Some(duration) = self.duration.filter(|duration| instant >= *duration) {
            self.push(
                Problem::new(at.place, format!("`{}` is after the scenario's end", at.path))
                    .label(format!("expected less than the duration, {duration:?}"))
                    .help("move it forward, or make `duration` longer"),
            );
            return None;
        }
        Some(instant)
    }

    /// An instant with a default of 0.
    fn start(&self, at: Option<&At<Lasting>>) -> Duration {
        at.and_then(|at| self.instant(at)).unwrap_or_default()
    }

    /// The end of a window that begins at `from`.
    fn until(&self, from: Duration, until: Option<&At<Lasting>>) -> Option<Duration> {
        let at = until?;
        let &Lasting(until) = at.get()?;
        if until <= from {
            self.push(
                Problem::new(at.place, format!("`{}` is not after its start", at.path))
                    .label(format!("expected more than {from:?}"))
                    .help("both count from the start of the timeline"),
            );
        }
        Some(until)
    }

    /// A duration that may not be zero.
    fn positive(&self, at: &At<Lasting>) -> Option<Duration> {
        let &Lasting(duration) = at.get()?;
        if duration.is_zero() {
            self.push(
                Problem::new(at.place, format!("`{}` cannot be zero", at.path))
                    .label("expected a duration above 0"),
            );
            return None;
        }
        Some(duration)
    }

    /// A rate that may not be zero.
    fn positive_rate(&self, rate: f64, place: Place, path: &str) -> Option<f64> {
        if rate > 0.0 {
            return Some(rate);
        }
        self.push(
            Problem::new(place, format!("`{path}` cannot be zero"))
                .label("expected a rate above 0"),
        );
        None
    }

    /// A size in bytes that fits what the operating system takes.
    fn buffer(&self, bytes: u64, place: Place, path: &str) -> Option<u32> {
        const MOST: u64 = 1 << 30;
        if (1..=MOST).contains(&bytes) {
            return u32::try_from(bytes).ok();
        }
        self.push(
            Problem::new(place, format!("`{path}` is out of range"))
                .label("expected 1B to 1GiB for a buffer"),
        );
        None
    }

    /// A reason that has to fit into a close frame.
    fn reason(&self, at: Option<&At<String>>) -> Option<String> {
        const MOST: usize = 123;
        let at = at?;
        let reason = at.get()?;
        if reason.len() > MOST {
            self.push(
                Problem::new(at.place, format!("`{}` is {} bytes long", at.path, reason.len()))
                    .label(format!("expected at most {MOST} bytes: a close frame holds no more")),
            );
        }
        Some(reason.clone())
    }

    /// The group of a name.
    fn group(&self, at: &At<String>) -> Option<GroupIndex> {
        let name = at.get()?;
        let index = self.groups.iter().position(|group| group == name);
        if index.is_none() {
            let shown = at.place.show(name);
            let help = suggestion(name, self.groups.iter().map(String::as_str))
                .filter(|_| !at.place.hidden);
            self.push(
                Problem::new(at.place, format!("no population is in group {shown}"))
                    .label("expected a group that stands in a population's `groups`")
                    .maybe_help(help),
            );
        }
        index.and_then(|index| GroupIndex::try_from(index).ok())
    }
}

/// Builds the plan; `None` when something is wrong, which is then among the problems.
pub(super) fn plan(
    name: &str,
    file: &ScenarioFile,
    overrides: &Overrides,
    arguments: &Arguments,
    problems: &Problems,
) -> Option<Plan> {
    let roster = Roster::new(file, overrides, arguments, problems);
    let mut context = Context { problems, duration: None, roster, groups: Vec::new() };
    context.duration = context.positive(&file.duration);
    context.groups = population::groups(&context, file);
    let context = context;

    let mut populations: Vec<Option<Population>> = population::all(&context, file);
    let rooms = population::rooms(&context, file, &mut populations);
    let hub = hub::settings(&context, file.hub.as_ref(), &populations, overrides, arguments);
    let (traffic, streams) = traffic::all(&context, file, &populations, &hub);
    let faults = fault::all(&context, file, &populations);
    webhook::check_upstream(&context, file.hub.as_ref(), file.upstream.as_ref());
    let upstream = file.upstream.as_ref().and_then(At::get);
    let upstream = upstream.map(|written| upstream::script(&context, written));
    population::check_slots_free(&context, file, &populations, &faults);
    let situation = possible::Situation {
        populations: &populations,
        hub: &hub,
        traffic: &traffic,
        faults: &faults,
    };
    let expected = file.expect.as_ref().and_then(At::get);
    let expectations =
        expected.map(|expected| expect::all(&context, expected, &situation)).unwrap_or_default();
    let server_side = server_side::all(&context, file);
    let thresholds = threshold::all(&context, file);
    let requires = requires(&context, file, &faults, &traffic);
    let duration = context.duration?;
    if !problems.is_empty() {
        return None;
    }
    let title = file.title.as_ref().and_then(|title| title.get().cloned());
    let mut plan = Plan {
        name: name.to_owned(),
        title: title.unwrap_or_else(|| name.to_owned()),
        seed: overrides.seed.unwrap_or_else(|| seed(file)),
        duration,
        settle: file.settle.as_ref().map_or(SETTLE, |settle| settle.or(Lasting(SETTLE)).0),
        grace: file.grace.as_ref().map_or(GRACE, |grace| grace.or(Lasting(GRACE)).0),
        hub,
        hub_name: hub_name(&context, file.hub_name.as_ref()),
        upstream,
        requires,
        populations: populations.into_iter().flatten().collect(),
        groups: context.groups.into_iter().chain(rooms).collect(),
        traffic,
        streams,
        faults,
        expectations,
        server_side,
        thresholds,
        search: None,
        hash: String::new(),
    };
    plan.hash = hash(&plan)?;
    problems.is_empty().then_some(plan)
}

fn seed(file: &ScenarioFile) -> u64 {
    file.seed.as_ref().and_then(At::get).map_or(SEED, |seed| seed.0)
}

fn hub_name(context: &Context<'_>, at: Option<&At<String>>) -> String {
    let Some((at, name)) = at.and_then(|at| Some((at, at.get()?))) else {
        return HUB_NAME.to_owned();
    };
    let fits = name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.len() <= 128
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !fits {
        context.push(
            Problem::new(at.place, format!("{} is not a hub name", at.place.show(name)))
                .label("expected a letter, then letters, digits and `_`, at most 128 of them"),
        );
    }
    name.clone()
}

/// What the target must offer: what is asked for, and what faults, traffic and tokens need.
fn requires(
    context: &Context<'_>,
    file: &ScenarioFile,
    faults: &[super::plan::FaultAt],
    traffic: &[super::plan::Traffic],
) -> Requires {
    let control = faults.iter().any(|fault| {
        matches!(fault.fault, Fault::Reload { .. } | Fault::Freeze { .. } | Fault::Scale { .. })
    });
    let rest_fault = |fault: &Fault| {
        matches!(
            fault,
            Fault::CloseConnections { .. }
                | Fault::CloseGroup { .. }
                | Fault::CloseUser { .. }
                | Fault::CloseAll { .. }
        )
    };
    let tokens = file.populations.get().is_some_and(|populations| {
        populations.0.iter().any(|(_, file)| file.get().is_some_and(|file| file.token.is_some()))
    });
    let access_key = tokens
        || faults.iter().any(|fault| rest_fault(&fault.fault))
        || traffic.iter().any(|traffic| traffic.from == Senders::Rest);
    let Some(asked) = file.requires.as_ref().and_then(At::get) else {
        return Requires { control, access_key };
    };
    let RequiresFile { control: asked_control, access_key: asked_key } = asked;
    Requires {
        control: required(context, asked_control.as_ref(), control, "a fault of the hub"),
        access_key: required(
            context,
            asked_key.as_ref(),
            access_key,
            "REST (a fault or traffic) or a `token` policy",
        ),
    }
}

fn required(context: &Context<'_>, asked: Option<&At<bool>>, needed: bool, why: &str) -> bool {
    let Some(at) = asked else { return needed };
    if needed && at.get() == Some(&false) {
        context.push(
            Problem::new(at.place, format!("`{}` cannot be false here", at.path))
                .label(format!("needed by {why}"))
                .help("leave it out: what is needed is required by itself"),
        );
    }
    at.or(needed)
}

/// Hash of everything but the seed, 16 hexadecimal digits.
fn hash(plan: &Plan) -> Option<String> {
    let canonical = serde_json::to_vec(plan).ok()?;
    let digest = Sha256::digest(canonical);
    let mut hash = String::with_capacity(16);
    for byte in &digest[..8] {
        let _ = write!(hash, "{byte:02x}");
    }
    Some(hash)
}
