//! `search.json`: what a search or a sweep came to, as data; text and page are functions of it.

pub mod html;
pub mod text;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::run_file::{MachineFacts, RunFile, StormFacts};
use crate::event::{HowEnded, World};
use crate::measure::LatencyKind;
use crate::protocol::CloseCategory;
use crate::scenario::Plan;
use crate::scenario::plan::search::{Answer, Search, SetValue, Until};
use crate::verdict::{Check, Outcome};

/// Version of the shape of `search.json`.
pub const SCHEMA_VERSION: u32 = 1;

/// A search, whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Squall search", description = "search.json of a search's folder")]
pub struct SearchFile {
    /// Version of this shape.
    pub schema_version: u32,
    /// Scenario name.
    pub scenario: String,
    /// Its title.
    pub title: String,
    /// Seed of every step.
    pub seed: u64,
    /// Where the steps took place.
    pub world: World,
    /// Version of Squall.
    pub squall_version: String,
    /// The key that was searched, as `--set` spells it.
    pub key: String,
    /// The outer keys, of which each combination had a search of its own.
    pub outer_keys: Vec<String>,
    /// When a search is over.
    pub until: UntilKind,
    /// Whether it went to its end.
    pub how: SearchEnd,
    /// What came out: pass where the answers are those that were demanded, or where there are some
    /// and none were demanded.
    pub outcome: Outcome,
    /// One per combination of the outer keys, in order; none of a sweep.
    pub answers: Vec<AnswerFacts>,
    /// Every step, in the order in which it was run.
    pub steps: Vec<StepFacts>,
    /// The machine, and real time.
    pub machine: MachineFacts,
}

/// When a search is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UntilKind {
    /// At the first step that fails; the answer is the last that passed.
    FirstFailure,
    /// At the first step that passes, which is the answer.
    FirstSuccess,
    /// When all values were tried; there is no answer.
    Exhausted,
}

impl From<Until> for UntilKind {
    fn from(until: Until) -> Self {
        match until {
            Until::FirstFailure => Self::FirstFailure,
            Until::FirstSuccess => Self::FirstSuccess,
            Until::Exhausted => Self::Exhausted,
        }
    }
}

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SearchEnd {
    /// Every step that was needed was run.
    Finished,
    /// The user stopped it.
    Interrupted,
    /// A step was neither passed nor failed, or ended with an error: see the last step.
    Stopped,
    /// It goes on, or its process was killed: the file is written anew after every step.
    Running,
}

/// A key and the value that a step gave it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Setting {
    /// As `--set` spells it.
    pub key: String,
    /// As TOML.
    pub toml: String,
    /// As people read it.
    pub shown: String,
    /// Its number, in bytes, per second, milliseconds or percent, where it is one.
    pub amount: Option<f64>,
}

impl Setting {
    fn new(key: &str, value: &SetValue) -> Self {
        let SetValue { toml, shown, amount } = value.clone();
        Self { key: key.to_owned(), toml, shown, amount }
    }
}

/// What one search came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct AnswerFacts {
    /// What the outer keys were.
    pub outer: Vec<Setting>,
    /// The answer; null where no value passed.
    pub answer: Option<Setting>,
    /// The value beside it that failed; null where none did.
    pub beyond: Option<Setting>,
    /// What failed there first.
    pub broken: Option<Broken>,
    /// What was demanded, where something was.
    pub expected: Option<Setting>,
    /// Whether the answer is what was demanded, if anything was, and an answer at all.
    pub outcome: Outcome,
}

/// The first check that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Broken {
    /// Where it stands: `expect.fleet.closes`.
    pub path: String,
    /// What was demanded.
    pub expected: String,
    /// What was observed.
    pub actual: String,
}

impl Broken {
    fn of(check: &Check) -> Self {
        let Check { path, expected, actual, .. } = check.clone();
        Self { path, expected, actual }
    }
}

/// One step: a whole run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StepFacts {
    /// What the outer keys were.
    pub outer: Vec<Setting>,
    /// What the searched key was.
    pub value: Setting,
    /// The run's verdict.
    pub outcome: Outcome,
    /// How the run ended.
    pub how: HowEnded,
    /// Hash of its plan.
    pub plan_hash: String,
    /// Time of the run, in nanoseconds; simulated in the virtual world.
    pub elapsed_ns: u64,
    /// The first check with the run's verdict, if that is not pass.
    pub broken: Option<Broken>,
    /// 99 % of messages arrived within this, from their planned instant, in microseconds; null
    /// without messages.
    pub message_p99_us: Option<u64>,
    /// How dropped clients came back; null where none tried.
    pub storm: Option<StormFacts>,
    /// Requests for `connect` events in the busiest second, as the hub sent them to the event
    /// handlers; null where there were none.
    pub connect_requests_peak: Option<u64>,
    /// Ends of connections other than Normal, by category.
    pub closes: BTreeMap<CloseCategory, u64>,
    /// The run's folder, below that of the search.
    pub folder: String,
}

impl StepFacts {
    /// What is told of a run.
    #[must_use]
    pub fn of(run: &RunFile, outer: &[(String, SetValue)], key: &str, value: &SetValue) -> Self {
        let mut closes = BTreeMap::new();
        for (category, count) in run.categories() {
            if category != CloseCategory::Normal && count > 0 {
                closes.insert(category, count);
            }
        }
        let is_message = |kind| kind == LatencyKind::Message;
        let message = run.latency_total.iter().find(|series| is_message(series.kind));
        let broken = run
            .checks
            .iter()
            .find(|check| run.outcome != Outcome::Pass && check.outcome == run.outcome);
        Self {
            outer: settings(outer),
            value: Setting::new(key, value),
            outcome: run.outcome,
            how: run.how,
            plan_hash: run.run.plan_hash.clone(),
            elapsed_ns: run.elapsed_ns,
            broken: broken.map(Broken::of),
            storm: run.storm.clone(),
            connect_requests_peak: connect_requests_peak(run),
            message_p99_us: message.and_then(|series| Some(series.response?.p99_us)),
            closes,
            folder: String::new(),
        }
    }
}

/// The busiest second of `connect` events.
fn connect_requests_peak(run: &RunFile) -> Option<u64> {
    let events = &run.upstream.as_ref()?.events;
    let connect = events.iter().find(|event| event.event == "connect")?;
    Some(connect.requests_per_second_peak)
}

fn settings(outer: &[(String, SetValue)]) -> Vec<Setting> {
    outer.iter().map(|(key, value)| Setting::new(key, value)).collect()
}

impl AnswerFacts {
    /// What the search of one combination came to; `steps` are those of that combination.
    #[must_use]
    pub fn of(
        search: &Search,
        combination: usize,
        outer: &[(String, SetValue)],
        answer: Answer,
        steps: &[StepFacts],
    ) -> Self {
        let value = |index: Option<usize>| index.and_then(|index| search.values.get(index));
        let setting = |value: &SetValue| Setting::new(&search.key, value);
        let (good, bad) = (value(answer.good), value(answer.bad));
        // What never broke has no highest value; what begins with its answer has a lowest.
        let is_edge = match search.until {
            Until::FirstFailure => bad.is_some(),
            Until::FirstSuccess | Until::Exhausted => true,
        };
        let is_met = match &search.expected {
            Some(expected) => is_edge && expected.is_met(combination, good),
            None => good.is_some(),
        };
        let beyond = bad.map(setting);
        let broke = steps.iter().find(|step| Some(&step.value) == beyond.as_ref());
        let expected = search.expected.as_ref();
        Self {
            outer: settings(outer),
            answer: good.map(setting),
            broken: broke.and_then(|step| step.broken.clone()),
            beyond,
            expected: expected.and_then(|all| all.answers.get(combination)).map(setting),
            outcome: if is_met { Outcome::Pass } else { Outcome::Fail },
        }
    }
}

impl SearchFile {
    /// Whether the steps differ in how clients came back: then that is what is told of them.
    #[must_use]
    pub fn is_of_storms(&self) -> bool {
        self.until == UntilKind::Exhausted && self.steps.iter().any(|step| step.storm.is_some())
    }

    /// A search that has not begun.
    #[must_use]
    pub fn new(plan: &Plan, search: &Search, world: World, machine: MachineFacts) -> Self {
        Self {
            schema_version: SCHEMA_VERSION,
            scenario: plan.name.clone(),
            title: plan.title.clone(),
            seed: plan.seed,
            world,
            squall_version: env!("CARGO_PKG_VERSION").to_owned(),
            key: search.key.clone(),
            outer_keys: search.axes.iter().map(|axis| axis.key.clone()).collect(),
            until: search.until.into(),
            how: SearchEnd::Running,
            outcome: Outcome::Undetermined,
            answers: Vec::new(),
            steps: Vec::new(),
            machine,
        }
    }

    /// Judges what has been found out. A search that was cut short has no verdict of its own; a
    /// sweep has that of its steps.
    pub fn conclude(&mut self, how: SearchEnd) {
        self.how = how;
        let outcomes: Vec<Outcome> = match self.until {
            UntilKind::Exhausted => self.steps.iter().map(|step| step.outcome).collect(),
            UntilKind::FirstFailure | UntilKind::FirstSuccess => {
                self.answers.iter().map(|answer| answer.outcome).collect()
            }
        };
        let worst = [Outcome::Fail, Outcome::Invalid, Outcome::Undetermined, Outcome::Pass];
        self.outcome = match how {
            SearchEnd::Finished => worst
                .into_iter()
                .find(|outcome| outcomes.contains(outcome))
                .unwrap_or(Outcome::Pass),
            SearchEnd::Interrupted | SearchEnd::Stopped | SearchEnd::Running => {
                Outcome::Undetermined
            }
        };
    }
}

/// The JSON Schema of `search.json`.
#[must_use]
pub fn schema() -> serde_json::Value {
    schemars::generate::SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<SearchFile>()
        .to_value()
}
