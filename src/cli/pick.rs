//! From what a user types (names, folders, categories, files) to plans.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;

use super::CliError;
use crate::scenario::plan::search::SetValue;
use crate::scenario::{self, Builtin, Overrides, Plan, ScenarioErrors, Source, builtins};
use crate::secret::{Redactor, Secret};

/// Folders below a folder that are looked into.
const DEPTH_MAX: usize = 8;

/// Which scenarios, and what is changed in them.
#[derive(Debug, Args)]
pub struct PickArguments {
    /// Built-in name, folder (`drops`) or category (`PingTimeout`), file or directory
    #[arg(value_name = "SCENARIO", required = true)]
    pub scenarios: Vec<String>,
    /// Clients in all, by largest remainder; or of one population: `-n healthy=500`; repeatable, or
    /// with commas between (in SQUALL_COUNT: commas)
    #[arg(
        short = 'n',
        long = "count",
        env = "SQUALL_COUNT",
        value_name = "[NAME=]COUNT",
        value_delimiter = ','
    )]
    pub counts: Vec<CountArgument>,
    /// Change a value: `--set hub.keep_alive.timeout=10s`; repeatable (in SQUALL_SET: one a line)
    #[arg(long, env = "SQUALL_SET", value_name = "PATH=VALUE", value_delimiter = '\n')]
    pub set: Vec<SetArgument>,
    /// Seed of every random draw; the same seed gives the same run
    #[arg(long, env = "SQUALL_SEED", value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// Try several values of a key, each a whole run: `--sweep hub.queue.bytes=64KiB,256KiB,1MiB`;
    /// repeatable, for every combination (in SQUALL_SWEEP: one a line)
    #[arg(long, env = "SQUALL_SWEEP", value_name = "PATH=VALUES", value_delimiter = '\n')]
    pub sweep: Vec<SetArgument>,
    /// Hub profile: `ci` (strict and quick) or `real` (the service's timings)
    #[arg(long, env = "SQUALL_PROFILE", value_name = "NAME")]
    pub profile: Option<String>,
}

/// `COUNT` or `NAME=COUNT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountArgument {
    name: Option<String>,
    count: u32,
}

impl std::str::FromStr for CountArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (name, count) = match text.split_once('=') {
            Some((name, count)) => (Some(name.trim().to_owned()), count),
            None => (None, text),
        };
        let count = count.trim().replace('_', "").parse();
        let count = count.map_err(|_| "expected a number of clients, or NAME=NUMBER")?;
        if name.as_ref().is_some_and(String::is_empty) {
            return Err("the population's name is missing before `=`".to_owned());
        }
        Ok(Self { name, count })
    }
}

/// `PATH=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SetArgument {
    path: String,
    value: String,
}

impl std::str::FromStr for SetArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once('=') {
            Some((path, value)) if !path.trim().is_empty() => {
                Ok(Self { path: path.trim().to_owned(), value: value.trim().to_owned() })
            }
            _ => Err("expected PATH=VALUE, for example hub.queue.bytes=256KiB".to_owned()),
        }
    }
}

impl PickArguments {
    /// The arguments that give one of the picked plans alone, changed as it was and with a seed;
    /// each as the program gets it, unquoted.
    #[must_use]
    pub fn again(&self, typed: &str, seed: u64) -> Vec<Vec<String>> {
        let pair = |flag: &str, value: String| vec![flag.to_owned(), value];
        let count = |argument: &CountArgument| match &argument.name {
            Some(name) => pair("-n", format!("{name}={}", argument.count)),
            None => pair("-n", argument.count.to_string()),
        };
        let mut words = vec![vec![typed.to_owned()]];
        words.extend(self.counts.iter().map(count));
        words.extend(self.set.iter().map(|s| pair("--set", format!("{}={}", s.path, s.value))));
        words.extend(self.profile.iter().map(|name| pair("--profile", name.clone())));
        words.push(pair("--seed", seed.to_string()));
        words
    }

    fn overrides(&self) -> Overrides {
        let pairs = |list: &[SetArgument]| {
            list.iter().map(|set| (set.path.clone(), set.value.clone())).collect()
        };
        let named = |argument: &CountArgument| Some((argument.name.clone()?, argument.count));
        let total = |argument: &&CountArgument| argument.name.is_none();
        Overrides {
            seed: self.seed,
            total: self.counts.iter().rev().find(total).map(|argument| argument.count),
            counts: self.counts.iter().filter_map(named).collect(),
            sets: pairs(&self.set),
            profile: self.profile.clone(),
            sweeps: pairs(&self.sweep),
            step: Vec::new(),
        }
    }
}

/// Loaded plans, quickest first, and the values that came from the environment.
#[derive(Debug)]
pub struct Picked {
    /// Plans.
    pub plans: Vec<Plan>,
    /// What to type for each of them alone, in their order.
    pub typed: Vec<String>,
    /// Where each of them came from.
    pub origins: Vec<Origin>,
    /// Values of `${env:NAME}` and keys of `[upstream]`, never to be shown.
    pub secrets: Vec<Secret>,
}

/// A scenario as it was found and changed, for plans of the steps of its search.
#[derive(Clone, Debug)]
pub struct Origin {
    source: Source,
    overrides: Overrides,
}

impl Origin {
    /// The plan of one step.
    ///
    /// # Errors
    ///
    /// When the values cannot be together; each alone has been looked at.
    pub fn step(&self, settings: &[(String, SetValue)]) -> Result<Plan, CliError> {
        let step = settings.iter().map(|(key, value)| (key.clone(), value.toml.clone())).collect();
        let overrides = Overrides { step, ..self.overrides.clone() };
        Ok(scenario::load(&self.source, &overrides, &|name| std::env::var(name).ok())?)
    }
}

/// Loads everything that was asked for. Any error means that nothing is started: the errors of all
/// files come together.
pub fn load(arguments: &PickArguments) -> Result<Picked, CliError> {
    let mut sources: Vec<Source> = Vec::new();
    for asked in &arguments.scenarios {
        for source in find(asked)? {
            if sources.iter().all(|known| known.origin != source.origin) {
                sources.push(source);
            }
        }
    }
    let overrides = arguments.overrides();
    let secrets = RefCell::new(Vec::new());
    let environment = |name: &str| {
        let value = std::env::var(name).ok()?;
        secrets.borrow_mut().push(Secret::new(value.clone()));
        Some(value)
    };
    let (mut plans, mut errors) = (Vec::new(), Vec::new());
    for source in &sources {
        match scenario::load(source, &overrides, &environment) {
            Ok(plan) => {
                let origin = Origin { source: source.clone(), overrides: overrides.clone() };
                plans.push((plan, typed(source), origin));
            }
            Err(error) => errors.push(error),
        }
    }
    let secrets = secrets.into_inner();
    if !errors.is_empty() {
        let redactor = Redactor::new(secrets);
        let rendered: Vec<_> =
            errors.iter().map(|error| redactor.redact(error.rendered.trim_end())).collect();
        let count = errors.iter().map(|error| error.count).sum();
        return Err(ScenarioErrors { rendered: rendered.join("\n\n"), count }.into());
    }
    // The order of the built-in ones is known by running them; of others the longest that they may
    // take is all there is to go by.
    let position = |plan: &Plan| builtins().iter().position(|builtin| builtin.name == plan.name);
    plans.sort_by_key(|(plan, ..)| (position(plan).is_none(), position(plan), plan.duration));
    let mut picked = Picked { plans: Vec::new(), typed: Vec::new(), origins: Vec::new(), secrets };
    for (plan, typed, origin) in plans {
        picked.secrets.extend(plan.upstream.as_ref().and_then(|script| script.key.clone()));
        picked.plans.push(plan);
        picked.typed.push(typed);
        picked.origins.push(origin);
    }
    Ok(picked)
}

/// What to type for a source alone.
fn typed(source: &Source) -> String {
    // A file at the place of a built-in one may say something else.
    let same = |builtin: &Builtin| {
        let known = builtin.source();
        (known.name, known.text) == (source.name.clone(), source.text.clone())
    };
    if builtins().iter().any(same) {
        source.name.clone()
    } else if source.origin.starts_with('-') {
        format!("./{}", source.origin)
    } else {
        source.origin.clone()
    }
}

/// Sources of one argument. A built-in name wins over a file of that name; `./drops` is always a
/// path.
fn find(asked: &str) -> Result<Vec<Source>, CliError> {
    let unknown = match scenario::resolve(asked) {
        Ok(found) => return Ok(found.into_iter().map(Builtin::source).collect()),
        Err(unknown) => unknown,
    };
    let path = Path::new(asked);
    if path.is_dir() {
        return in_folder(path);
    }
    if path.is_file() || path.extension().is_some_and(|extension| extension == "toml") {
        return Ok(vec![read(path)?]);
    }
    Err(unknown.into())
}

/// Every `*.toml` below a folder, by path.
fn in_folder(root: &Path) -> Result<Vec<Source>, CliError> {
    let mut files = Vec::new();
    gather(root, 0, &mut files).map_err(|source| read_error(root, source))?;
    files.sort();
    if files.is_empty() {
        return Err(CliError::Usage(format!("no *.toml file in {}", root.display())));
    }
    files.iter().map(|path| read(path)).collect()
}

fn gather(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            if depth < DEPTH_MAX {
                gather(&path, depth + 1, files)?;
            }
        } else if path.extension().is_some_and(|extension| extension == "toml") {
            files.push(path);
        }
    }
    Ok(())
}

/// A scenario (or hub) file as a source.
pub fn read(path: &Path) -> Result<Source, CliError> {
    let text = fs::read_to_string(path).map_err(|source| read_error(path, source))?;
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Source { name, origin: path.display().to_string(), text })
}

fn read_error(path: &Path, source: std::io::Error) -> CliError {
    CliError::Read { path: path.display().to_string(), source }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn counts_are_a_number_or_a_name_with_one() {
        assert_eq!("300".parse(), Ok(CountArgument { name: None, count: 300 }));
        let named = CountArgument { name: Some("muted".into()), count: 5 };
        assert_eq!("muted=5".parse(), Ok(named));
        for bad in ["", "x", "=5", "muted=", "muted=x", "-1"] {
            assert!(bad.parse::<CountArgument>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_setting_keeps_what_follows_the_first_equals_sign() {
        let set: SetArgument = "a.b = { c = 1 }".parse().unwrap();
        assert_eq!((set.path.as_str(), set.value.as_str()), ("a.b", "{ c = 1 }"));
        assert!("a.b".parse::<SetArgument>().is_err());
        assert!("=1".parse::<SetArgument>().is_err());
    }
}
