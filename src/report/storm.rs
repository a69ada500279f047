//! How dropped clients came back: a sentence, cells for a table, curves.

use maud::{Markup, html};

use super::chart::{self, CLASSES, Line};
use super::run_file::{RunFile, StormCurve, StormFacts};
use super::text::noted;
use super::words;
use crate::event::World;
use crate::measure::storm::TENTH_NS;

/// Headers of [`cells`].
pub(super) const HEADERS: [&str; 6] = [
    "attempts\na client",
    "peak in\n100 ms",
    "not\nopened",
    "50 % back\nafter",
    "95 %\nafter",
    "all\nafter",
];

/// Attempts a client, the peak, how many did not open, and the times until shares of all drops
/// were recovered from.
pub(super) fn cells(storm: &StormFacts, world: World) -> [String; 6] {
    let time = |us: Option<u64>| us.map_or_else(|| "never".to_owned(), |us| time_words(world, us));
    [
        amplification(storm),
        words::number(storm.peak_attempts),
        words::number(storm.not_opened),
        time(storm.t50_us),
        time(storm.t95_us),
        time(storm.t100_us),
    ]
}

fn amplification(storm: &StormFacts) -> String {
    format!("{:.2}", storm.amplification)
}

/// A time, as coarse as the world's clock.
fn time_words(world: World, us: u64) -> String {
    words::micros_in(world, us)
}

/// `500 of 500 came back · 1.02 attempts each · …`.
pub(super) fn sentence(run: &RunFile, storm: &StormFacts) -> String {
    let world = run.run.world;
    let back = |share: &str, us: Option<u64>| {
        us.map(|us| format!("{share} back after {}", time_words(world, us)))
    };
    let mut parts = vec![
        format!(
            "{} of {} dropped {} came back",
            words::number(storm.recovered),
            words::number(storm.dropped),
            if storm.dropped == 1 { "client" } else { "clients" }
        ),
        format!("{} attempts each", amplification(storm)),
        format!("at most {} in 100 ms", words::number(storm.peak_attempts)),
    ];
    parts.extend(back("50 %", storm.t50_us));
    parts.extend(back("95 %", storm.t95_us));
    parts.extend(back("all", storm.t100_us));
    parts.join(" · ")
}

/// The line of the text report.
pub(super) fn note(run: &RunFile, out: &mut String) {
    if let Some(storm) = &run.storm {
        out.push_str(&noted(super::text::BOLD, "Return", &sentence(run, storm)));
    }
}

/// The section of the page.
pub(super) fn section(run: &RunFile) -> Markup {
    let Some(storm) = &run.storm else { return html! {} };
    html! {
        h2 { "How clients came back" }
        p { (sentence(run, storm)) }
        (attempts(&[("attempts", storm)]))
        (opens(&[("open again", storm)]))
    }
}

/// Attempts over time, of several storms from the first attempt of each.
pub(super) fn attempts(storms: &[(&str, &StormFacts)]) -> Markup {
    drawn("Attempts in 100 ms, from the first one on", storms, |curve| {
        let share = TENTH_NS as f64 / curve.step_ns.max(1) as f64;
        let mut points = Vec::new();
        for (index, &count) in curve.attempts.iter().enumerate() {
            // A step is as high all along.
            points.push((seconds(curve, index), count as f64 * share));
            points.push((seconds(curve, index + 1), count as f64 * share));
        }
        points
    })
}

/// Clients that were open again over time.
pub(super) fn opens(storms: &[(&str, &StormFacts)]) -> Markup {
    drawn("Connections that opened again, from the first attempt on", storms, |curve| {
        let mut sum = 0;
        let mut points = vec![(0.0, 0.0)];
        for (index, &count) in curve.opens.iter().enumerate() {
            sum += count;
            points.push((seconds(curve, index + 1), sum as f64));
        }
        points
    })
}

fn drawn(
    caption: &str,
    storms: &[(&str, &StormFacts)],
    points: impl Fn(&StormCurve) -> Vec<(f64, f64)>,
) -> Markup {
    let lines: Vec<Line<'_>> = CLASSES
        .into_iter()
        .zip(storms)
        .map(|(class, (name, storm))| Line { class, name, points: points(&storm.curve) })
        .collect();
    let time = |seconds: f64| format!("{seconds:.1} s");
    let amount = |value: f64| format!("{value:.0}");
    chart::lines(caption, &lines, None, &time, &amount)
}

/// Where a step begins, in seconds from the first attempt.
fn seconds(curve: &StormCurve, index: usize) -> f64 {
    index as f64 * curve.step_ns as f64 / 1e9
}
