//! Searches and sweeps: the same scenario again and again with another value, up to the answer.
//!
//! The steps of a search follow each other: which comes next depends on what the last one showed.

use std::path::Path;

use super::pick::{Origin, Picked};
use super::run::{self, Page};
use super::session::{self, Began, Context, Done};
use super::{CliError, Exit, complain, say};
use crate::event::HowEnded;
use crate::report::folder::{HTML, SEARCH};
use crate::report::live::LiveMode;
use crate::report::recorder::Latest;
use crate::report::search::{AnswerFacts, SearchEnd, SearchFile, StepFacts, html, text};
use crate::report::{RunFolder, mask, words};
use crate::scenario::Plan;
use crate::scenario::plan::search::{Order, Search, SetValue, Shown, Until};
use crate::secret::Redactor;
use crate::verdict::Outcome;

/// Characters of a value that stand in the name of a step's folder.
const NAME_MAX: usize = 40;

/// A search to come.
#[derive(Debug)]
pub struct Sought {
    plan: Plan,
    search: Search,
    origin: Origin,
}

/// Takes the scenarios that are searches out of what was picked.
pub fn take(picked: &mut Picked) -> Vec<Sought> {
    let mut sought = Vec::new();
    let all = std::mem::take(&mut picked.plans).into_iter();
    let all = all.zip(std::mem::take(&mut picked.typed)).zip(std::mem::take(&mut picked.origins));
    for ((mut plan, typed), origin) in all {
        if let Some(search) = plan.search.take() {
            sought.push(Sought { plan, search, origin });
        } else {
            picked.plans.push(plan);
            picked.typed.push(typed);
            picked.origins.push(origin);
        }
    }
    sought
}

impl Sought {
    /// Name of the scenario.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.plan.name
    }

    /// The file's own plan.
    #[must_use]
    pub const fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The search.
    #[must_use]
    pub const fn search(&self) -> &Search {
        &self.search
    }

    /// The plans of every step that can come, but of a bisection only those of the two ends: what
    /// is between them needs no more.
    ///
    /// # Errors
    ///
    /// When values cannot be together.
    pub fn plans(&self) -> Result<Vec<Plan>, CliError> {
        let search = &self.search;
        let values: Vec<&SetValue> = match (search.order, search.values.as_slice()) {
            (Order::Bisection, [first, .., last]) => vec![first, last],
            (Order::Listed | Order::Bisection, all) => all.iter().collect(),
        };
        let mut plans = Vec::new();
        for outer in search.combinations() {
            for value in &values {
                plans.push(self.step(&outer, value)?);
            }
        }
        Ok(plans)
    }

    /// The plan of a step.
    fn step(&self, outer: &[(String, SetValue)], value: &SetValue) -> Result<Plan, CliError> {
        let mut settings = outer.to_vec();
        settings.push((self.search.key.clone(), value.clone()));
        self.origin.step(&settings)
    }
}

/// Runs a search, tells what it came to, and writes its files to `path`.
pub(super) async fn run(
    context: &Context,
    sought: &Sought,
    path: &Path,
    page: &mut Page,
    redactor: &Redactor,
) -> Result<Exit, CliError> {
    let began = Began::now(context.clock);
    let folder = RunFolder::create(path)?;
    if context.latest == Latest::Follow {
        folder.link_latest();
    }
    let context = &Context { latest: Latest::Leave, ..context.clone() };
    let machine = session::machine(context, began);
    let world = context.shards.world();
    let mut seeking = Seeking {
        context,
        began,
        sought,
        folder: &folder,
        redactor,
        file: SearchFile::new(&sought.plan, &sought.search, world, machine),
        exit: Exit::AsExpected,
    };
    let how = seeking.all().await;
    let Seeking { mut file, mut exit, .. } = seeking;
    file.machine = session::machine(context, began);
    file.conclude(how);
    exit = exit.max(match (how, file.outcome) {
        (SearchEnd::Interrupted, _) => Exit::Interrupted,
        (SearchEnd::Finished, Outcome::Fail) => Exit::Failed,
        _ => Exit::AsExpected,
    });
    if file.steps.is_empty() {
        folder.discard_if_empty();
        return Ok(exit);
    }
    let brief = context.live == LiveMode::Quiet && file.outcome == Outcome::Pass;
    let told =
        if brief { text::headline(&file) } else { text::render(&file, &session::shown(path)) };
    let told = redactor.redact(&told);
    if brief {
        page.line(&told)
    } else {
        page.block(&told)
    }
    write(&folder, &file, redactor)?;
    folder.publish(HTML, redactor.redact(&html::render(&file)).as_bytes())?;
    Ok(exit)
}

/// Writes `search.json`.
fn write(folder: &RunFolder, file: &SearchFile, redactor: &Redactor) -> Result<(), CliError> {
    let value = serde_json::to_value(file);
    let mut value = value.map_err(|error| CliError::Internal(format!("{SEARCH}: {error}")))?;
    mask(redactor, &mut value);
    folder.publish(SEARCH, format!("{value:#}\n").as_bytes())?;
    Ok(())
}

/// A search on its way.
struct Seeking<'a> {
    context: &'a Context,
    began: Began,
    sought: &'a Sought,
    folder: &'a RunFolder,
    redactor: &'a Redactor,
    file: SearchFile,
    exit: Exit,
}

/// What a step leads to.
#[derive(Debug, PartialEq, Eq)]
enum Stepped {
    /// It showed something.
    Shown(Shown),
    /// The search cannot go on.
    Over(SearchEnd),
}

impl Seeking<'_> {
    /// Every combination in turn, up to the first step that shows nothing.
    async fn all(&mut self) -> SearchEnd {
        let search = &self.sought.search;
        for (combination, outer) in search.combinations().iter().enumerate() {
            let first = self.file.steps.len();
            let mut course = search.course();
            while let Some(index) = course.next() {
                let Some(value) = search.values.get(index) else { break };
                match self.one(outer, value).await {
                    Stepped::Shown(shown) => course.note(index, shown),
                    Stepped::Over(how) => return how,
                }
            }
            if search.until != Until::Exhausted {
                let steps = &self.file.steps[first..];
                let facts = AnswerFacts::of(search, combination, outer, course.answer(), steps);
                self.file.answers.push(facts);
            }
        }
        SearchEnd::Finished
    }

    async fn one(&mut self, outer: &[(String, SetValue)], value: &SetValue) -> Stepped {
        if self.context.interrupts.asked() {
            return Stepped::Over(SearchEnd::Interrupted);
        }
        let number = self.file.steps.len() + 1;
        let name = folder_name(number, outer, value);
        let told = told(self.sought, outer, value);
        let ran = match self.sought.step(outer, value) {
            Ok(plan) => run::run_one(self.context, plan, &self.folder.file(&name), &told).await,
            Err(error) => Err(error),
        };
        let run = match ran {
            Ok(Done { run, .. }) => run,
            Err(error) => {
                let exit = error.exit();
                complain(&error, self.redactor);
                self.exit = self.exit.max(exit);
                let interrupted = exit == Exit::Interrupted;
                let how = if interrupted { SearchEnd::Interrupted } else { SearchEnd::Stopped };
                return Stepped::Over(how);
            }
        };
        let exit = Exit::of(&run);
        let mut step = StepFacts::of(&run, outer, &self.sought.search.key, value);
        step.folder = name;
        let verdict = words::outcome(step.outcome);
        self.file.steps.push(step);
        // What was found out so far survives whatever ends this process.
        self.file.machine = session::machine(self.context, self.began);
        if let Err(error) = write(self.folder, &self.file, self.redactor) {
            complain(&error, self.redactor);
            self.exit = self.exit.max(error.exit());
            return Stepped::Over(SearchEnd::Stopped);
        }
        if self.context.live != LiveMode::Quiet {
            say(&self.redactor.redact(&format!("{told}: {verdict} (run {number})\n")));
        }
        if self.sought.search.until == Until::Exhausted || exit != Exit::Failed {
            self.exit = self.exit.max(exit);
        }
        judge(self.sought.search.until, exit, run.how)
    }
}

/// What a search makes of a run. A sweep goes on whatever it was; a search needs to know whether it
/// passed or failed, and nothing else is ever taken for one of the two.
fn judge(until: Until, exit: Exit, how: HowEnded) -> Stepped {
    match (exit, until) {
        _ if how == HowEnded::Interrupted => Stepped::Over(SearchEnd::Interrupted),
        (Exit::AsExpected, _) => Stepped::Shown(Shown::Passed),
        (Exit::Failed, _) | (Exit::Invalid | Exit::Undetermined, Until::Exhausted) => {
            Stepped::Shown(Shown::Failed)
        }
        _ => Stepped::Over(SearchEnd::Stopped),
    }
}

/// `breakpoint, populations.fleet.count = 700`.
fn told(sought: &Sought, outer: &[(String, SetValue)], value: &SetValue) -> String {
    let outer = outer.iter().map(|(key, value)| format!("{} = {}", text::short(key), value.shown));
    let own = format!("{} = {}", text::short(&sought.search.key), value.shown);
    let settings: Vec<String> = outer.chain([own]).collect();
    format!("{}, {}", sought.plan.name, settings.join(", "))
}

/// `003-700`: the number keeps folders in order, the values say which is which.
fn folder_name(number: usize, outer: &[(String, SetValue)], value: &SetValue) -> String {
    let mut name = format!("{number:03}");
    for value in outer.iter().map(|(_, value)| value).chain([value]) {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
        let shown: String = value.shown.chars().take(NAME_MAX).map(plain).collect();
        name.push('-');
        name.push_str(shown.trim_matches('-'));
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_verdict_of_pass_or_fail_is_taken_for_one() {
        let passed = Stepped::Shown(Shown::Passed);
        let failed = || Stepped::Shown(Shown::Failed);
        let ended = HowEnded::TimeUp;
        for until in [Until::FirstFailure, Until::FirstSuccess] {
            assert_eq!(judge(until, Exit::AsExpected, ended), passed);
            assert_eq!(judge(until, Exit::Failed, ended), failed());
            for exit in [Exit::Invalid, Exit::Undetermined, Exit::Internal] {
                assert_eq!(
                    judge(until, exit, ended),
                    Stepped::Over(SearchEnd::Stopped),
                    "{exit:?}"
                );
            }
            let interrupted = judge(until, Exit::Failed, HowEnded::Interrupted);
            assert_eq!(interrupted, Stepped::Over(SearchEnd::Interrupted));
        }
        for exit in [Exit::Failed, Exit::Invalid, Exit::Undetermined] {
            assert_eq!(judge(Until::Exhausted, exit, ended), failed(), "a sweep goes on");
        }
        let lost = judge(Until::Exhausted, Exit::Internal, ended);
        assert_eq!(lost, Stepped::Over(SearchEnd::Stopped));
    }

    #[test]
    fn folders_of_steps_have_names_that_any_system_takes() {
        let value = |text: &str| SetValue { toml: text.into(), shown: text.into(), amount: None };
        let outer = [("k".to_owned(), value("{ fixed = 1 }"))];
        assert_eq!(folder_name(7, &outer, &value("5/s")), "007-fixed---1-5-s");
        assert_eq!(folder_name(12, &[], &value("../../etc")), "012-..-..-etc");
    }
}
