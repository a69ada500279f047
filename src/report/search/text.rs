//! A search on a terminal: the answer in a sentence, every step, a chart.

use std::fmt::Write as _;

use super::{AnswerFacts, Broken, SearchEnd, SearchFile, Setting, StepFacts, UntilKind};
use crate::event::World;
use crate::report::storm;
use crate::report::table::{self, Column, INDENT, WIDTH};
use crate::report::text::{self, flowing};
use crate::report::{words, worlds};
use crate::verdict::Outcome;

/// Characters of the longest bar of a chart.
const BAR: usize = 48;
/// A tick of the virtual world's clock, in microseconds.
const TICK_US: u64 = 1_000;
/// Steps past which the table of them is left to `search.json`, where the answers have a table.
const STEPS_MAX: usize = 40;
/// Steps from which a chart says something.
const CHART_STEPS_MIN: usize = 2;

/// The whole report; `folder` is its path as the user can type it.
#[must_use]
pub fn render(search: &SearchFile, folder: &str) -> String {
    let mut out = headline(search);
    for sentence in sentences(search) {
        flowing(INDENT, "", 0, &sentence, &mut out);
    }
    let _ = writeln!(out, "{INDENT}{}", text::dim(&facts(search)));
    if !search.outer_keys.is_empty() && !search.answers.is_empty() {
        answers(search, &mut out);
    }
    if search.outer_keys.is_empty() || search.steps.len() <= STEPS_MAX {
        steps(search, &mut out);
    } else {
        let told = format!("search.json has each of the {} steps", search.steps.len());
        let _ = writeln!(out, "\n{INDENT}{}", text::dim(&told));
    }
    chart(search, &mut out);
    let _ = writeln!(out, "\n{INDENT}{}", text::dim(&format!("files: {folder}")));
    out
}

/// `PASS  breakpoint: …`, in one line.
#[must_use]
pub fn headline(search: &SearchFile) -> String {
    let word = verdict_word(search);
    let label = format!(
        "{}  {}: ",
        text::paint(text::style_of(search.outcome), word),
        text::bold(&search.scenario)
    );
    let columns = word.len() + search.scenario.chars().count() + "  : ".len();
    let mut out = String::new();
    flowing("", &label, columns, &search.title, &mut out);
    out
}

/// The verdict in one word.
#[must_use]
pub const fn verdict_word(search: &SearchFile) -> &'static str {
    match search.how {
        SearchEnd::Finished => words::outcome(search.outcome),
        SearchEnd::Interrupted => "INTERRUPTED",
        SearchEnd::Stopped => "STOPPED",
        SearchEnd::Running => "UNFINISHED",
    }
}

/// The answer, or how many there are, or why there is none; what was demanded where it differs.
#[must_use]
pub fn sentences(search: &SearchFile) -> Vec<String> {
    let mut told = Vec::new();
    match (search.until, search.answers.as_slice()) {
        (UntilKind::Exhausted, _) => {
            let passed = search.steps.iter().filter(|step| step.outcome == Outcome::Pass).count();
            let runs = words::counted(search.steps.len() as u64, "run");
            told.push(format!("{passed} of {runs} passed, over {}", keys(search)));
            told.extend(herd(search));
            told.extend(search.steps.iter().filter_map(|step| broken_storm(search, step)));
        }
        (_, [only]) if search.outer_keys.is_empty() => told.push(answer(search, only)),
        (_, answers) => {
            let met = answers.iter().filter(|answer| answer.outcome == Outcome::Pass).count();
            let what = if answers.iter().any(|answer| answer.expected.is_some()) {
                "gave the answer that was expected"
            } else {
                "gave an answer"
            };
            told.push(format!("{met} of {} searches over {} {what}", answers.len(), search.key));
        }
    }
    let last = search.steps.last();
    match search.how {
        SearchEnd::Finished => {}
        SearchEnd::Interrupted => told.push("interrupted: there is no answer yet".to_owned()),
        SearchEnd::Running => told.push("unfinished: there is no answer yet".to_owned()),
        SearchEnd::Stopped => told.push(match last.filter(|step| !is_shown(step)) {
            Some(step) => format!(
                "stopped: the run with {} was {}, which is no answer{}",
                set(&step.value),
                words::outcome(step.outcome),
                because(step.broken.as_ref())
            ),
            None => "stopped by an error, without an answer".to_owned(),
        }),
    }
    told
}

/// The most and the least attempts at once, of the steps of a sweep over storms.
fn herd(search: &SearchFile) -> Option<String> {
    let peak = |step: &StepFacts| step.storm.as_ref().map(|storm| storm.peak_attempts);
    let steps = || search.steps.iter().filter_map(|step| Some((peak(step)?, step)));
    let (most, largest) = steps().rev().max_by_key(|(peak, _)| *peak)?;
    let (least, smallest) = steps().min_by_key(|(peak, _)| *peak)?;
    let told = |peak: u64| words::counted(peak, "attempt");
    (search.is_of_storms() && most > least).then(|| {
        format!(
            "at most {} in 100 ms with {}, {} with {}",
            told(most),
            step_name(largest),
            words::number(least),
            step_name(smallest)
        )
    })
}

/// What broke in a step whose row has no room for it.
fn broken_storm(search: &SearchFile, step: &StepFacts) -> Option<String> {
    let broken = step.broken.as_ref().filter(|_| search.is_of_storms())?;
    Some(format!("{}: {}", step_name(step), broken_words(broken)))
}

/// Whether a step passed or failed, as a search needs it.
fn is_shown(step: &StepFacts) -> bool {
    matches!(step.outcome, Outcome::Pass | Outcome::Fail)
}

/// The answer of one search, as a sentence.
#[must_use]
pub fn answer(search: &SearchFile, facts: &AnswerFacts) -> String {
    let told = match (search.until, &facts.answer, &facts.beyond) {
        (UntilKind::FirstSuccess, Some(good), None) => {
            format!("{} passes already, the first value tried", set(good))
        }
        (UntilKind::FirstSuccess, Some(good), Some(bad)) => format!(
            "{} passes; with {} the run fails{}",
            set(good),
            bad.shown,
            because(facts.broken.as_ref())
        ),
        (_, Some(good), Some(bad)) => format!(
            "{} holds; at {} the run fails{}",
            set(good),
            bad.shown,
            because(facts.broken.as_ref())
        ),
        (_, Some(good), None) => {
            format!("{} still holds, and no higher value was tried", set(good))
        }
        (_, None, Some(bad)) => {
            format!("no value passes; {} fails{}", set(bad), because(facts.broken.as_ref()))
        }
        (_, None, None) => "nothing was run".to_owned(),
    };
    match &facts.expected {
        Some(expected) if facts.outcome != Outcome::Pass => {
            format!("{told}. Expected: {}", expected.shown)
        }
        _ => told,
    }
}

fn set(setting: &Setting) -> String {
    format!("{} = {}", setting.key, setting.shown)
}

fn because(broken: Option<&Broken>) -> String {
    broken.map_or_else(String::new, |broken| format!(": {}", broken_words(broken)))
}

/// `expect.fleet.closes: PingTimeout 5; expected Normal = all`.
#[must_use]
pub fn broken_words(broken: &Broken) -> String {
    format!("{}: {}; expected {}", broken.path, broken.actual, broken.expected)
}

fn keys(search: &SearchFile) -> String {
    let mut keys = search.outer_keys.clone();
    keys.push(search.key.clone());
    keys.join(" and ")
}

/// How much was run, and where.
#[must_use]
pub fn facts(search: &SearchFile) -> String {
    let simulated: u64 = search.steps.iter().map(|step| step.elapsed_ns).sum();
    let real = search.machine.real_elapsed_ns;
    let time = match search.world {
        World::Virtual => format!("simulated time: {}", worlds::sped(simulated, real)),
        World::Sockets => words::micros(real / 1_000),
    };
    [
        words::counted(search.steps.len() as u64, "run"),
        format!("seed {}", search.seed),
        format!("world {}", words::world(search.world)),
        time,
    ]
    .join(" · ")
}

/// The last part of a key that says what it is, for a header: `fleet.count`.
#[must_use]
pub fn short(key: &str) -> String {
    let parts: Vec<&str> = key.split('.').collect();
    parts[parts.len().saturating_sub(2)..].join(".")
}

/// Cells of an answer after its outer keys: answer, what fails beside it, why, expected.
#[must_use]
pub fn answer_cells(facts: &AnswerFacts) -> Vec<String> {
    let shown = |setting: &Option<Setting>| {
        setting.as_ref().map_or_else(|| "-".to_owned(), |setting| setting.shown.clone())
    };
    let expected = match (&facts.expected, facts.outcome) {
        (None, _) => "-".to_owned(),
        (Some(expected), Outcome::Pass) => expected.shown.clone(),
        (Some(expected), _) => format!("{} NOT MET", expected.shown),
    };
    let why = facts
        .broken
        .as_ref()
        .map_or_else(|| "-".to_owned(), |broken| format!("{}: {}", broken.path, broken.actual));
    vec![shown(&facts.answer), shown(&facts.beyond), expected, why]
}

fn answers(search: &SearchFile, out: &mut String) {
    text::heading("Answers", &format!("({})", search.key), out);
    let names: Vec<String> = search.outer_keys.iter().map(|key| short(key)).collect();
    let mut header: Vec<String> = names;
    let good = match search.until {
        UntilKind::FirstSuccess => "passes",
        UntilKind::FirstFailure | UntilKind::Exhausted => "holds",
    };
    header.extend([good, "fails", "expected", "what fails there"].map(str::to_owned));
    let figures = header.len() - 1;
    let columns: Vec<Column<'_>> = header
        .iter()
        .enumerate()
        .map(
            |(index, name)| {
                if index == figures { Column::Words(name) } else { Column::Figures(name) }
            },
        )
        .collect();
    let row = |facts: &AnswerFacts| {
        let mut row: Vec<String> = facts.outer.iter().map(|outer| outer.shown.clone()).collect();
        row.extend(answer_cells(facts));
        row
    };
    out.push_str(&table::render(&columns, search.answers.iter().map(row).collect()));
}

/// Columns of a step after its values.
#[must_use]
pub fn step_columns(search: &SearchFile) -> Vec<Column<'static>> {
    let mut columns = vec![Column::Names("verdict")];
    if search.is_of_storms() {
        columns.extend(storm::HEADERS.map(Column::Figures));
        if asks_handlers(search) {
            columns.push(Column::Figures("connect\ncalls/s"));
        }
    } else {
        columns.push(Column::Figures("message\np99"));
    }
    if !search.is_of_storms() {
        columns.push(Column::Words("not Normal"));
    }
    if has_broken(search) {
        columns.push(Column::Words("what broke first"));
    }
    columns
}

fn asks_handlers(search: &SearchFile) -> bool {
    search.steps.iter().any(|step| step.connect_requests_peak.is_some())
}

fn has_broken(search: &SearchFile) -> bool {
    !search.is_of_storms() && search.steps.iter().any(|step| step.broken.is_some())
}

/// The cells of [`step_columns`].
#[must_use]
pub fn step_cells(search: &SearchFile, step: &StepFacts) -> Vec<String> {
    let none = || "-".to_owned();
    let mut cells = vec![words::outcome(step.outcome).to_owned()];
    if search.is_of_storms() {
        cells.extend(match &step.storm {
            Some(storm) => storm::cells(storm, search.world),
            None => std::array::from_fn(|_| none()),
        });
        if asks_handlers(search) {
            cells.push(step.connect_requests_peak.map_or_else(none, words::number));
        }
    } else {
        cells.push(p99_words(search, step));
        let closes = step.closes.iter();
        let closes: Vec<String> = closes
            .map(|(category, count)| format!("{category} {}", words::number(*count)))
            .collect();
        cells.push(if closes.is_empty() { none() } else { closes.join(", ") });
    }
    if has_broken(search) {
        let broken = step.broken.as_ref().map(|broken| match search.outer_keys.as_slice() {
            [] => broken_words(broken),
            _ => broken.path.clone(),
        });
        cells.push(broken.unwrap_or_else(none));
    }
    cells
}

fn p99_words(search: &SearchFile, step: &StepFacts) -> String {
    step.message_p99_us.map_or_else(|| "-".to_owned(), |us| words::micros_in(search.world, us))
}

fn steps(search: &SearchFile, out: &mut String) {
    text::heading("Steps", "(each a whole run)", out);
    let mut header: Vec<String> = search.outer_keys.iter().map(|key| short(key)).collect();
    header.push(short(&search.key));
    let values = header.iter().map(|name| Column::Figures(name));
    let columns: Vec<Column<'_>> = values.chain(step_columns(search)).collect();
    let row = |step: &StepFacts| {
        let outer = step.outer.iter().chain([&step.value]);
        let mut row: Vec<String> = outer.map(|setting| setting.shown.clone()).collect();
        row.extend(step_cells(search, step));
        row
    };
    let rows = search.steps.iter().map(row).collect();
    out.push_str(&table::render(&columns, rows));
}

/// What a chart shows: a name for each bar, its length, what is written at its end.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// What the bars are.
    pub title: String,
    /// From top to bottom.
    pub bars: Vec<Bar>,
}

/// One bar.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// The values it stands for.
    pub name: String,
    /// From 0.
    pub length: f64,
    /// The length in words.
    pub shown: String,
    /// Its step's verdict, or the answer's.
    pub outcome: Outcome,
}

/// The chart of a search: the answers where there are several, else a figure of each step.
#[must_use]
pub fn chart_of(search: &SearchFile) -> Option<Chart> {
    let chart = if search.answers.len() >= CHART_STEPS_MIN {
        let bar = |facts: &AnswerFacts| {
            let answer = facts.answer.as_ref();
            Some(Bar {
                name: named(&facts.outer),
                length: answer.map_or(Some(0.0), |answer| answer.amount)?,
                shown: answer.map_or_else(|| "-".to_owned(), |answer| answer.shown.clone()),
                outcome: facts.outcome,
            })
        };
        let bars: Option<Vec<Bar>> = search.answers.iter().map(bar).collect();
        Chart { title: format!("{} that holds", search.key), bars: bars? }
    } else {
        step_chart(search)
    };
    (chart.bars.len() >= CHART_STEPS_MIN).then_some(chart)
}

fn step_chart(search: &SearchFile) -> Chart {
    if search.is_of_storms() {
        return peak_chart(search);
    }
    // Less than a tick of the virtual clock is no figure.
    let least = if search.world == World::Virtual { TICK_US } else { 1 };
    let p99 = |step: &StepFacts| step.message_p99_us.filter(|&us| us >= least);
    let has_messages = search.steps.iter().any(|step| p99(step).is_some());
    let bar = |step: &StepFacts| {
        let closes: u64 = step.closes.values().sum();
        #[expect(clippy::cast_precision_loss, reason = "the length of a bar")]
        let (length, shown) = if has_messages {
            (p99(step).unwrap_or(0) as f64, p99_words(search, step))
        } else {
            (closes as f64, words::number(closes))
        };
        Bar { name: step_name(step), length, shown, outcome: step.outcome }
    };
    let what = if has_messages { "p99 of messages" } else { "ends other than Normal" };
    let mut bars: Vec<(Option<f64>, Bar)> =
        search.steps.iter().map(|step| (step.value.amount, bar(step))).collect();
    // A bisection goes to and fro; a chart goes up.
    if search.outer_keys.is_empty() && search.until != UntilKind::Exhausted {
        bars.sort_by(|(a, _), (b, _)| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    }
    Chart {
        title: format!("{what}, by {}", keys(search)),
        bars: bars.into_iter().map(|(_, bar)| bar).collect(),
    }
}

/// The herd itself: the busiest tenth of a second of each step.
fn peak_chart(search: &SearchFile) -> Chart {
    let bar = |step: &StepFacts| {
        let peak = step.storm.as_ref().map_or(0, |storm| storm.peak_attempts);
        #[expect(clippy::cast_precision_loss, reason = "the length of a bar")]
        let length = peak as f64;
        Bar { name: step_name(step), length, shown: words::number(peak), outcome: step.outcome }
    };
    Chart {
        title: format!("most attempts in 100 ms, by {}", keys(search)),
        bars: search.steps.iter().map(bar).collect(),
    }
}

/// The values of a step.
#[must_use]
pub fn step_name(step: &StepFacts) -> String {
    let values = step.outer.iter().chain([&step.value]);
    values.map(|setting| setting.shown.as_str()).collect::<Vec<_>>().join(", ")
}

fn named(settings: &[Setting]) -> String {
    settings.iter().map(|setting| setting.shown.as_str()).collect::<Vec<_>>().join(", ")
}

fn chart(search: &SearchFile, out: &mut String) {
    let Some(chart) = chart_of(search) else { return };
    text::heading("Chart", &format!("({})", chart.title), out);
    let widest = |of: &dyn Fn(&Bar) -> usize| chart.bars.iter().map(of).max().unwrap_or(0);
    let names = widest(&|bar| bar.name.chars().count());
    let shown = widest(&|bar| bar.shown.chars().count());
    let room = usize::from(WIDTH).saturating_sub(INDENT.len() + names + shown + "    FAIL".len());
    let longest = chart.bars.iter().map(|bar| bar.length).fold(0.0, f64::max);
    for bar in &chart.bars {
        let full = blocks(bar.length, longest, room.min(BAR));
        let verdict = if bar.outcome == Outcome::Pass { "" } else { words::outcome(bar.outcome) };
        let blank = names - bar.name.chars().count();
        let line = format!("{INDENT}{:blank$}{}  {full} {}  {verdict}", "", bar.name, bar.shown);
        let _ = writeln!(out, "{}", line.trim_end());
    }
}

/// A bar in eighths of a block; what is above 0 shows at least one.
fn blocks(length: f64, longest: f64, room: usize) -> String {
    const PARTS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];
    if length <= 0.0 || longest <= 0.0 {
        return "▏".to_owned();
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "at most eight times the room"
    )]
    let eighths = ((length / longest * (room * 8) as f64).round() as usize).max(1);
    let mut bar = "█".repeat(eighths / 8);
    if let Some(part) = (eighths % 8).checked_sub(1) {
        bar.push(PARTS[part]);
    }
    bar
}
