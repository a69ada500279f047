//! An estimate as one page: the sentence, charts, and the tables of the text report.

use maud::{Markup, html};

use super::super::chart::{self, Bar, Line};
use super::super::page::{self, table};
use super::super::table::Column;
use super::sections::million;
use super::wording::{amount, busiest, percent, resource, seconds, sentence, times};
use super::{Detail, Section, consistency, detail_of, sections};
use crate::capacity::{Dimension, Estimate, Step, StormRow, Workload};

/// Blocks of the text report's bars, which the page draws.
const BLOCKS: [char; 9] = ['█', '▏', '▎', '▍', '▌', '▋', '▊', '▉', '▶'];

/// A formula and its numbers stand on lines of their own, and no word of a name is cut.
const CSS: &str = "th[scope=row]{white-space:pre-line;min-width:8.5rem}";

/// The page of an estimate.
#[must_use]
pub fn render(workload: &Workload, estimate: &Estimate, detail: Detail) -> String {
    let class = if estimate.recommended.is_some() { "pass" } else { "fail" };
    let told = match estimate.recommended {
        Some(recommended) => resource(recommended),
        None => "No single resource".to_owned(),
    };
    let sections = sections::all(estimate, detail_of(workload, estimate, detail));
    let said = html! {
        p { (sentence(estimate)) }
        p class="dim" { "Computed from published figures; nothing was measured of your resource." }
    };
    let header = page::header(class, &told, &estimate.title, &said);
    let main = html! {
        (cautions(estimate))
        @for section in &sections {
            (one(section))
            (drawn(section, estimate))
        }
        @if let Some(told) = &estimate.consistency {
            (one(&consistency::section(told)))
            p { (consistency::sentence(told)) }
        }
    };
    let styles = format!("{}{CSS}", chart::CSS);
    page::render(&format!("Capacity: {}", estimate.title), &styles, &header, &main)
}

fn cautions(estimate: &Estimate) -> Markup {
    html! {
        @if !estimate.cautions.is_empty() {
            h2 class="warn" { "Keep in mind" }
            ul { @for caution in &estimate.cautions { li { (caution) } } }
        }
    }
}

fn one(section: &Section) -> Markup {
    let is_bar = |column: usize| {
        let of = |row: &Vec<String>| {
            row.get(column).is_none_or(|cell| cell.chars().all(|c| BLOCKS.contains(&c)))
        };
        !section.rows.is_empty() && section.rows.iter().all(of)
    };
    let kept: Vec<usize> = (0..section.columns.len()).filter(|column| !is_bar(*column)).collect();
    // The figure beside a bar has the bar's name.
    let name = |column: usize| match section.columns[column] {
        Column::Figures("") => match section.columns[column - 1] {
            Column::Words(name) | Column::Names(name) | Column::Figures(name) => (name, true),
        },
        Column::Figures(name) => (name, true),
        Column::Words(name) | Column::Names(name) => (name, false),
    };
    let header: Vec<_> = kept.iter().map(|column| name(*column)).collect();
    let rows = html! {
        @for row in &section.rows {
            tr {
                @for (index, column) in kept.iter().enumerate() {
                    @let cell = row.get(*column).map_or("", String::as_str);
                    @if index == 0 { th scope="row" { (cell.trim_start()) } }
                    @else if matches!(section.columns[*column], Column::Words(_)) {
                        td class="w" { (cell) }
                    }
                    @else { td class=[header[index].1.then_some("n")] { (cell) } }
                }
            }
        }
    };
    html! {
        h2 {
            (section.title)
            @if !section.note.is_empty() { " " span class="dim" { (section.note) } }
        }
        (table(&section.title, &header, &rows))
    }
}

/// The chart that belongs to a section.
fn drawn(section: &Section, estimate: &Estimate) -> Markup {
    match section.title.as_str() {
        sections::LADDER => ladder(estimate),
        sections::BREAKS => breaks(estimate),
        sections::MESSAGES => quota(estimate),
        sections::RELOAD => reload(estimate),
        _ => html! {},
    }
}

fn ladder(estimate: &Estimate) -> Markup {
    let bar = |step: &Step, of: &str, share: f64, planned: f64| Bar {
        name: format!("{} units: {of}", step.resource.units),
        share,
        planned,
        value: percent(share),
    };
    let mut bars = Vec::new();
    for step in sections::steps(estimate) {
        let connections =
            step.dimensions.iter().find(|one| one.dimension == Dimension::Connections);
        bars.extend(connections.map(|one| bar(step, "connections", one.share, one.planned_share)));
        bars.extend(
            busiest(&step.dimensions).map(|one| bar(step, "traffic", one.share, one.planned_share)),
        );
    }
    chart::bars("In use at each unit count; the dashes are what is planned for", &bars)
}

fn breaks(estimate: &Estimate) -> Markup {
    let bar = |one: &crate::capacity::Break| Bar {
        name: one.dimension.to_string(),
        share: one.share,
        planned: one.dimension.planned_share(),
        value: times(one.break_multiple),
    };
    let bars: Vec<_> = estimate.break_order.iter().map(bar).collect();
    chart::bars("In use, and the multiple of today's load at which each breaks", &bars)
}

fn quota(estimate: &Estimate) -> Markup {
    let quota = &estimate.quota;
    let points = |of: &dyn Fn(&crate::capacity::Between) -> f64| {
        let hours = (1_u8..).zip(&quota.sent_by_hour);
        let sent = hours.map(|(hour, sent)| (f64::from(hour), of(sent)));
        [(0.0, 0.0)].into_iter().chain(sent).collect::<Vec<_>>()
    };
    let lines = [
        Line { class: "b", name: "by bytes", points: points(&|sent| sent.least) },
        Line { class: "a", name: "rounded up", points: points(&|sent| sent.most) },
    ];
    let included = quota.included.value.unwrap_or_default();
    let hour = |hour: f64| format!("{hour:02.0}:00");
    chart::lines("Messages of a day (UTC)", &lines, Some(("included", included)), &hour, &million)
}

fn reload(estimate: &Estimate) -> Markup {
    let reload = &estimate.reload;
    let points = |of: &[f64]| {
        let seconds = (0_u32..).zip(of.iter().copied());
        seconds.map(|(second, value)| (f64::from(second), value)).collect::<Vec<_>>()
    };
    let of = |configured: &[f64], recommended: &[f64]| {
        [
            Line { class: "a", name: "as configured", points: points(configured) },
            Line { class: "b", name: "as recommended", points: points(recommended) },
        ]
    };
    let (own, best): (&StormRow, &StormRow) = (&reload.as_configured, &reload.as_recommended);
    let time = |value: f64| seconds(Some(value), "");
    let rate = reload.connects_per_s.value.map(|rate| ("admitted", rate));
    let attempts = of(&own.attempts, &best.attempts);
    let back = of(&own.back, &best.back);
    html! {
        (chart::lines("Attempts a second in a reload", &attempts, rate, &time, &amount))
        (chart::lines("Clients back", &back, None, &time, &amount))
    }
}
