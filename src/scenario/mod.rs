//! The file format: parse with positions, defaults, unknown-key errors with a suggestion, and
//! normalise into an immutable [`Plan`].
//!
//! # The way of a file
//!
//! text → `document` (TOML as a tree that knows its places; `profile`, `--set` and `${env:NAME}`
//! applied) → `de` (typed through serde, every error kept) → `file` (the grammar, as types) →
//! `build` (defaults, names, `-n`, contradictions) → [`Plan`]. Whatever is wrong becomes a
//! `problem` with its place; reading goes on, and all of them are shown together.
//!
//! # Order of precedence
//!
//! `--seed`, `--profile` and `-n` change the file's own values, `--set` any of them; what the file
//! leaves out has its default ([`schema()`] tells them). Where a profile is in force for which the
//! file has a `[profiles.NAME]`, those values stand for the file's own.

mod at;
mod build;
mod builtin;
mod de;
mod document;
mod figure;
mod file;
pub mod plan;
mod problem;
mod profile;
pub(crate) mod reading;
mod schema;
#[cfg(test)]
mod tests;
mod units;

pub use builtin::{Builtin, NoSuchScenario, builtins, resolve, template};
pub use plan::{Plan, UpstreamScript};
pub use schema::schema;
pub use units::{parse_duration, parse_rate};

use std::cell::RefCell;

use crate::protocol::HubSettings;
use crate::secret::{Redactor, Secret};
use document::{Environment, Node, Setting};
use problem::{Place, Problem, Problems, Text, Texts};

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
    /// `--sweep path=values`, in order; values have commas between, and are such as `sets` has.
    pub sweeps: Vec<(String, String)>,
    /// What one step of a search sets, after everything else; the plan has no search then.
    pub step: Vec<(String, String)>,
}

impl Overrides {
    /// Whether the file means what it says by itself, whatever its profile and seed.
    const fn leave_the_file(&self) -> bool {
        self.total.is_none() && self.counts.is_empty() && self.sets.is_empty()
    }
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

/// Parses, overrides, validates and normalises. `environment` looks up `${env:NAME}`; no error
/// shows what it gave.
pub fn load(
    source: &Source,
    overrides: &Overrides,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Plan, ScenarioErrors> {
    let problems = Problems::default();
    let (texts, arguments) = arguments(source, overrides);
    let secrets = RefCell::new(Vec::new());
    let noted = |name: &str| {
        let value = environment(name)?;
        secrets.borrow_mut().push(Secret::new(value.clone()));
        Some(value)
    };
    let plan = document::parse(&source.text, &problems).and_then(|root| {
        let reading = Reading { source, texts: &texts, environment: &noted };
        let plan = reading.plan(&root, overrides, &arguments, &Step::All, &problems);
        if plan.is_some() && overrides.leave_the_file() {
            reading.check_profiles(&root, &problems);
        }
        plan
    });
    finish(plan, problems, &texts, secrets.into_inner())
}

/// Which run of a file is meant.
enum Step {
    /// The file's own, and what it searches.
    All,
    /// One step of a search: what it sets, and where.
    One(Vec<(Vec<(String, Place)>, Node)>),
}

/// What a tree is read with.
struct Reading<'a> {
    source: &'a Source,
    texts: &'a Texts<'a>,
    environment: Environment<'a>,
}

impl Reading<'_> {
    fn plan(
        &self,
        root: &Node,
        overrides: &Overrides,
        arguments: &build::Arguments,
        step: &Step,
        problems: &Problems,
    ) -> Option<Plan> {
        let in_force = self.profile(root, overrides);
        let mut root = root.clone();
        // A change of a profile comes before it is applied, any other after.
        let changes_profile = |path: &str| path.starts_with("profiles.");
        apply_sets(&mut root, overrides, changes_profile, problems);
        profile::apply(&mut root, in_force.as_deref(), self.texts, problems);
        apply_sets(&mut root, overrides, |path| !changes_profile(path), problems);
        let raw = root.clone();
        if let Step::One(settings) = step {
            for (path, value) in settings {
                document::put_at(&mut root, path, value.clone(), problems);
            }
        }
        document::fill_in(&mut root, self.environment, problems);
        let file: file::ScenarioFile = de::read(&root, problems)?;
        let plan = build::plan(&self.source.name, &file, overrides, arguments, problems);
        if matches!(step, Step::One(_)) || !overrides.step.is_empty() {
            return plan;
        }
        let searched = match &file.search {
            _ if !overrides.sweeps.is_empty() => {
                if let Some((at, place)) = file.search.as_ref().zip(arguments.sweeps.first()) {
                    problems.push(
                        Problem::new(*place, "this scenario is a search by itself")
                            .label("expected a scenario without a `[search]`")
                            .also(at.place, "the search"),
                    );
                }
                build::search::sweep(&file, overrides, arguments, problems)
            }
            Some(at) => build::search::search(at, &file, overrides, arguments, problems),
            None => return plan,
        };
        let (mut plan, searched) = (plan?, searched?);
        self.check_steps(&raw, overrides, arguments, &searched, problems);
        plan.search = Some(searched.search);
        Some(plan)
    }

    /// Looks at the file with every value of a search, up to the first that cannot be.
    fn check_steps(
        &self,
        root: &Node,
        overrides: &Overrides,
        arguments: &build::Arguments,
        searched: &build::search::Searched,
        problems: &Problems,
    ) {
        let plain = Overrides { sets: Vec::new(), ..overrides.clone() };
        let mut paths = Vec::new();
        for key in &searched.keys {
            let at = |_, _| key.place;
            let Some(path) = document::segments(&key.path, &at, problems) else { return };
            paths.push(path);
        }
        for (varied, key) in searched.keys.iter().enumerate() {
            // The first values together are looked at once.
            for index in usize::from(varied > 0)..key.values.len() {
                let mut settings = Vec::new();
                let mut told = Vec::new();
                for ((other, key), path) in searched.keys.iter().enumerate().zip(&paths) {
                    let index = if other == varied { index } else { 0 };
                    let Some((value, place)) = key.values.get(index) else { continue };
                    told.push(format!("{} = {}", key.path, value.shown));
                    settings.extend(
                        document::value_at(&value.toml, *place).map(|node| (path.clone(), node)),
                    );
                }
                let found = Problems::default();
                self.plan(root, &plain, arguments, &Step::One(settings), &found);
                if !found.is_empty() {
                    problems.take(found, &format!("this is so with {}", told.join(", ")));
                    return;
                }
            }
        }
    }

    /// The profile in force, if it can be told.
    fn profile(&self, root: &Node, overrides: &Overrides) -> Option<String> {
        if overrides.profile.is_some() {
            return overrides.profile.clone();
        }
        // What is wrong here is told when it is done in earnest.
        let (mut root, silent) = (root.clone(), Problems::default());
        apply_sets(&mut root, overrides, |_| true, &silent);
        document::fill_in(&mut root, self.environment, &silent);
        profile::named(&root)
    }

    /// Looks at the file under the profiles that are not in force, so that a mistake in what
    /// differs there does not wait for the day it is needed.
    fn check_profiles(&self, root: &Node, problems: &Problems) {
        for name in profile::differing(root) {
            let overrides = Overrides { profile: Some(name.clone()), ..Overrides::default() };
            let found = Problems::default();
            self.plan(root, &overrides, &build::Arguments::default(), &Step::All, &found);
            problems.take(found, &format!("this is so under --profile {name}"));
        }
    }
}

/// Parses the text of a hub configuration file: the keys of a scenario's `[hub]`.
pub fn load_hub(source: &Source) -> Result<HubSettings, ScenarioErrors> {
    let problems = Problems::default();
    let texts = Texts { origin: &source.origin, file: &source.text, arguments: Vec::new() };
    let settings = document::parse(&source.text, &problems)
        .and_then(|root: Node| de::read(&root, &problems))
        .map(|file| build::settings_alone(&file, &problems));
    finish(settings, problems, &texts, Vec::new())
}

/// Parses a file for an application server alone: a scenario with an `[upstream]`, that section by
/// itself, or the section's keys. `environment` looks up `${env:NAME}`.
pub fn load_upstream(
    source: &Source,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<UpstreamScript, ScenarioErrors> {
    let problems = Problems::default();
    let texts = Texts { origin: &source.origin, file: &source.text, arguments: Vec::new() };
    let Some(mut root) = document::parse(&source.text, &problems) else {
        return finish(None, problems, &texts, Vec::new());
    };
    if root.get("populations").is_some() {
        let plan = load(source, &Overrides::default(), environment)?;
        if plan.upstream.is_none() {
            problems.push(
                Problem::new(Place::file(0, 0), "this scenario has no `[upstream]`")
                    .label("expected a scenario with one, or a file of its keys alone"),
            );
        }
        return finish(plan.upstream, problems, &texts, Vec::new());
    }
    let secrets = RefCell::new(Vec::new());
    let noted = |name: &str| {
        let value = environment(name)?;
        secrets.borrow_mut().push(Secret::new(value.clone()));
        Some(value)
    };
    document::fill_in(&mut root, &noted, &problems);
    let script = match root.get("upstream") {
        Some(_) => de::read::<file::UpstreamAlone>(&root, &problems)
            .and_then(|alone| alone.upstream.get().map(|f| build::script_alone(f, &problems))),
        None => de::read(&root, &problems).map(|f| build::script_alone(&f, &problems)),
    };
    finish(script, problems, &texts, secrets.into_inner())
}

fn finish<T>(
    made: Option<T>,
    problems: Problems,
    texts: &Texts<'_>,
    secrets: Vec<Secret>,
) -> Result<T, ScenarioErrors> {
    let mut problems = problems.into_sorted();
    match made {
        Some(made) if problems.is_empty() => Ok(made),
        _ => {
            if problems.is_empty() {
                // Cannot happen: nothing is given up without a problem. Say so rather than panic.
                problems.push(Problem::new(Place::file(0, 0), "the scenario could not be read"));
            }
            let count = problems.len();
            let rendered = Redactor::new(secrets).redact(&texts.render(&problems));
            Err(ScenarioErrors { rendered, count })
        }
    }
}

const SET: &str = "--set ";
const NUMBER: &str = "-n ";
const PROFILE: &str = "--profile ";
const SWEEP: &str = "--sweep ";

/// The arguments as texts that errors can point into: all `--set`, all `-n name=COUNT`, `-n COUNT`,
/// all `--sweep`, `--profile`.
fn arguments<'a>(source: &'a Source, overrides: &Overrides) -> (Texts<'a>, build::Arguments) {
    let mut texts = Texts { origin: &source.origin, file: &source.text, arguments: Vec::new() };
    let mut places = build::Arguments::default();
    let mut add = |text: String, start: usize, end: usize| {
        texts.arguments.push(text);
        let text = Text::Argument(texts.arguments.len() - 1);
        Place { text, start, end, hidden: false }
    };
    for (path, value) in overrides.sets.iter().chain(&overrides.step) {
        let text = format!("{SET}{path}={value}");
        places.sets.push(add(text, SET.len(), SET.len() + path.len()));
    }
    for (name, count) in &overrides.counts {
        let end = NUMBER.len() + name.len();
        places.counts.push(add(format!("{NUMBER}{name}={count}"), NUMBER.len(), end));
    }
    if let Some(total) = overrides.total {
        let text = format!("{NUMBER}{total}");
        let end = text.len();
        places.total = Some(add(text, NUMBER.len(), end));
    }
    for (path, values) in &overrides.sweeps {
        let text = format!("{SWEEP}{path}={values}");
        places.sweeps.push(add(text, SWEEP.len(), SWEEP.len() + path.len()));
    }
    if let Some(profile) = &overrides.profile {
        let end = PROFILE.len() + profile.len();
        places.profile = Some(add(format!("{PROFILE}{profile}"), PROFILE.len(), end));
    }
    (texts, places)
}

fn apply_sets(
    root: &mut Node,
    overrides: &Overrides,
    which: impl Fn(&str) -> bool,
    problems: &Problems,
) {
    let sets = overrides.sets.iter().chain(&overrides.step).enumerate();
    for (argument, (path, value)) in sets.filter(|(_, (path, _))| which(path)) {
        Setting { argument, path_at: SET.len(), path, value }.apply(root, problems);
    }
}
