//! A search as a page: the answer, one chart, every step with a way to its own report.

use maud::{Markup, html};

use super::text::{self, Bar, Chart};
use super::{SearchFile, StepFacts, UntilKind};
use crate::report::chart::{self, CLASSES};
use crate::report::page::{self, class_of, table};
use crate::report::storm;
use crate::report::table::Column;
use crate::report::words;
use crate::verdict::Outcome;

/// What the chart adds to the styles of a run's report.
const CHART_CSS: &str = "\
svg.bars text{font:13px system-ui,sans-serif;fill:var(--fg)}\
svg .bar{fill:var(--pass)}svg .bar.fail{fill:var(--fail)}svg .bar.warn{fill:var(--warn)}";

/// Units of the drawing: a row, the column of names, the longest bar, the column of figures.
const ROW: usize = 24;
const NAMES: usize = 210;
const BAR: usize = 400;
const FIGURES: usize = 130;

/// The page of a search.
#[must_use]
pub fn render(search: &SearchFile) -> String {
    let class = class_of(search.outcome);
    let said = html! {
        @for sentence in text::sentences(search) { p { (sentence) } }
        p class="dim" { (text::facts(search)) }
    };
    let heading = format!("{}: {}", search.scenario, search.title);
    let header = page::header(class, text::verdict_word(search), &heading, &said);
    let main = html! {
        @if let Some(chart) = text::chart_of(search) { (drawn(&chart)) }
        (curves(search))
        (answers(search))
        (steps(search))
    };
    let title = format!("{}: {}", text::verdict_word(search), search.scenario);
    page::render(&title, &[chart::CSS, CHART_CSS].concat(), &header, &main)
}

/// How the clients of each step came back, over time.
fn curves(search: &SearchFile) -> Markup {
    if !search.is_of_storms() {
        return html! {};
    }
    let names: Vec<String> = search.steps.iter().map(text::step_name).collect();
    let named = names.iter().map(String::as_str).zip(&search.steps);
    let storms: Vec<_> =
        named.filter_map(|(name, step)| Some((name, step.storm.as_ref()?))).collect();
    html! {
        h2 { "How clients came back" }
        @if storms.len() > CLASSES.len() {
            p class="dim" { "The first " (CLASSES.len()) " of " (storms.len()) " runs." }
        }
        (storm::attempts(&storms))
        (storm::opens(&storms))
    }
}

fn drawn(chart: &Chart) -> Markup {
    let longest = chart.bars.iter().map(|bar| bar.length).fold(0.0, f64::max);
    let (width, height) = (NAMES + BAR + FIGURES, chart.bars.len() * ROW);
    html! {
        h2 { "Chart " span class="dim" { "(" (chart.title) ")" } }
        figure {
            svg class="bars" viewBox={ "0 0 " (width) " " (height) } role="img"
                aria-label=(chart.title) {
                @for (index, bar) in chart.bars.iter().enumerate() {
                    (drawn_bar(bar, longest, index * ROW))
                }
            }
        }
    }
}

fn drawn_bar(bar: &Bar, longest: f64, top: usize) -> Markup {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "at most the width of the drawing"
    )]
    let length = match longest > 0.0 {
        true => (bar.length / longest * BAR as f64).round() as usize,
        false => 0,
    };
    let verdict = match bar.outcome {
        Outcome::Pass => String::new(),
        other => format!(" {}", words::outcome(other)),
    };
    let middle = top + ROW * 2 / 3;
    html! {
        text x=(NAMES - 8) y=(middle) text-anchor="end" { (bar.name) }
        rect class={ "bar " (class_of(bar.outcome)) } x=(NAMES) y=(top + 4) width=(length.max(1))
            height=(ROW - 8) {}
        text x=(NAMES + length + 8) y=(middle) { (bar.shown) (verdict) }
    }
}

fn answers(search: &SearchFile) -> Markup {
    if search.outer_keys.is_empty() || search.answers.is_empty() {
        return html! {};
    }
    let good = match search.until {
        UntilKind::FirstSuccess => "passes",
        UntilKind::FirstFailure | UntilKind::Exhausted => "holds",
    };
    let mut header: Vec<(&str, bool)> =
        search.outer_keys.iter().map(|key| (key.as_str(), true)).collect();
    header.extend([(good, true), ("fails", true), ("expected", true), ("what fails there", false)]);
    let last = header.len() - 1;
    let rows = html! {
        @for facts in &search.answers {
            tr {
                @let outer = facts.outer.iter().map(|outer| outer.shown.clone());
                @for (index, cell) in outer.chain(text::answer_cells(facts)).enumerate() {
                    td class=(if index == last { "w" } else { "n" }) { (cell) }
                }
            }
        }
    };
    html! {
        h2 { "Answers " span class="dim" { "(" (search.key) ")" } }
        (table("Answers", &header, &rows))
    }
}

fn steps(search: &SearchFile) -> Markup {
    let mut header: Vec<(&str, bool)> =
        search.outer_keys.iter().map(|key| (key.as_str(), true)).collect();
    header.push((&search.key, true));
    let columns = text::step_columns(search);
    header.extend(columns.iter().map(|column| match column {
        Column::Figures(name) => (*name, true),
        Column::Names(name) | Column::Words(name) => (*name, false),
    }));
    let rows = html! { @for step in &search.steps { (step_row(search, step, &columns)) } };
    html! {
        h2 { "Steps " span class="dim" { "(each a whole run)" } }
        (table("Steps", &header, &rows))
    }
}

fn step_row(search: &SearchFile, step: &StepFacts, columns: &[Column<'_>]) -> Markup {
    html! {
        tr {
            @for outer in &step.outer { td class="n" { (outer.shown) } }
            td class="n" { a href={ (step.folder) "/report.html" } { (step.value.shown) } }
            @for (column, cell) in columns.iter().zip(text::step_cells(search, step)) {
                @let class = match column {
                    Column::Names(_) => class_of(step.outcome),
                    Column::Figures(_) => "n",
                    Column::Words(_) => "w",
                };
                td class=(class) { (cell) }
            }
        }
    }
}
