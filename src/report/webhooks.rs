//! What went to event handlers: as the hub saw it, and as the run's own application server did.

use std::fmt::Write as _;

use super::run_file::{Range, RunFile, UpstreamAtClose, UpstreamEvent, UpstreamFacts};
use super::table::{self, Column, INDENT};
use super::text::{aside, heading};
use super::upstream;
use super::words;
use crate::event::World;
use crate::protocol::control::EventFailure;

/// Events, ends and lines of the log told, at most; run.json has the rest.
pub(super) const TOLD_MAX: usize = 8;

/// Characters of an event's name that are shown.
const NAME_CHARS_MAX: usize = 20;

/// Characters of a line of the log that are shown: more than any of the guide's, with short names.
const LINE_CHARS_MAX: usize = 250;

/// Longest word that is not broken; it fits behind every label.
const WORD_CHARS_MAX: usize = 80;

/// What times are.
pub(super) const NOTE: &str = "response, until the event is over with every retry";

/// Heading over what the application server counted.
pub(super) const SERVER: &str = "The application server's own counts";

/// The columns of [`row`].
pub(super) const COLUMNS: [Column<'_>; 8] = [
    Column::Names("event"),
    Column::Figures("calls"),
    Column::Figures("taken"),
    Column::Figures("requests"),
    Column::Figures("retries"),
    Column::Figures("p50"),
    Column::Figures("p99"),
    Column::Figures("max"),
];

/// The section of a report on a terminal; nothing where no handler was to be called.
pub fn text(run: &RunFile, out: &mut String) {
    let Some(facts) = &run.upstream else { return };
    heading("Upstream", &format!("({NOTE})"), out);
    if facts.events.is_empty() {
        let _ = writeln!(out, "{INDENT}no event went to a handler");
    } else {
        out.push_str(&table::render(&COLUMNS, rows(run.run.world, facts)));
    }
    for (what, told) in notes(run.run.world, facts) {
        out.push_str(&aside(what, &broken(&told)));
    }
    if let Some(counts) = &facts.server {
        heading(SERVER, "", out);
        out.push_str(&upstream::render(counts));
    }
}

/// A row per event, as far as there is room.
pub(super) fn rows(world: World, facts: &UpstreamFacts) -> Vec<Vec<String>> {
    facts.events.iter().take(TOLD_MAX).map(|event| row(world, event)).collect()
}

fn row(world: World, of: &UpstreamEvent) -> Vec<String> {
    let mut cells = vec![short(&of.event)];
    cells.extend([of.calls, of.taken, of.requests, of.retries].map(words::number));
    cells.extend(match &of.response {
        Some(times) => {
            [times.p50_us, times.p99_us, times.max_us].map(|us| words::micros_in(world, us))
        }
        None => ["-"; 3].map(str::to_owned),
    });
    cells
}

/// What there is to say besides, by what it is about.
pub(super) fn notes(world: World, facts: &UpstreamFacts) -> Vec<(&'static str, String)> {
    let of_each = |told: fn(&UpstreamEvent) -> Vec<String>| {
        let told = |event: &UpstreamEvent| {
            let told = told(event);
            (!told.is_empty()).then(|| format!("{}: {}", short(&event.event), told.join(", ")))
        };
        let told: Vec<_> = facts.events.iter().take(TOLD_MAX).filter_map(told).collect();
        (!told.is_empty()).then(|| told.join(" · "))
    };
    let mut notes: Vec<(&str, String)> = Vec::new();
    notes.extend(of_each(answers).map(|told| ("answers", told)));
    notes.extend(of_each(failures).map(|told| ("failed", told)));
    notes.extend(of_each(busiest).map(|told| ("busiest second", told)));
    notes.extend(validations(facts).map(|told| ("validations", told)));
    if facts.events.len() > TOLD_MAX {
        let more = facts.events.len() - TOLD_MAX;
        notes.push(("more", format!("{} in run.json", words::counted(more as u64, "more event"))));
    }
    if facts.under_way > 0 {
        let count = words::counted(facts.under_way, "event");
        notes.push(("under way", format!("{count} when the run ended")));
    }
    if facts.records.left_out > 0 {
        let count = words::counted(facts.records.left_out, "call");
        notes.push(("left out", format!("{count} of events.ndjson, because there were many")));
    }
    notes.extend(deliveries(facts).map(|told| ("event listeners", told)));
    notes.extend(ends(world, facts).into_iter().map(|told| ("ended", told)));
    notes.extend(lines(facts).into_iter().map(|told| ("log", told)));
    notes
}

fn answers(of: &UpstreamEvent) -> Vec<String> {
    let told = |(status, count): (&u16, &u64)| format!("{status} × {}", words::number(*count));
    cut(of.statuses.iter().map(told).collect(), "further status")
}

fn failures(of: &UpstreamEvent) -> Vec<String> {
    let told = |(why, count): (&EventFailure, &u64)| {
        format!("{} × {}", failure(*why), words::number(*count))
    };
    of.failures.iter().map(told).collect()
}

fn busiest(of: &UpstreamEvent) -> Vec<String> {
    let count = of.requests_per_second_peak;
    (count > 0).then(|| words::counted(count, "request")).into_iter().collect()
}

fn validations(facts: &UpstreamFacts) -> Option<String> {
    let UpstreamFacts { validations_good: good, validations_bad: bad, .. } = *facts;
    let requests = words::counted(facts.validation_requests, "request");
    (good + bad + facts.validation_requests > 0)
        .then(|| format!("{} good, {} bad, {requests}", words::number(good), words::number(bad)))
}

fn deliveries(facts: &UpstreamFacts) -> Option<String> {
    let lost = match facts.deliveries_lost {
        0 => String::new(),
        lost => format!(", {} of them lost on the way into the file", words::number(lost)),
    };
    let events = words::counted(facts.deliveries, "event");
    (facts.deliveries > 0).then(|| format!("{events} delivered{lost}"))
}

/// What ended connections and refused attempts, a line each.
fn ends(world: World, facts: &UpstreamFacts) -> Vec<String> {
    let told = |end: &UpstreamAtClose| {
        let why = end.failure.map_or("its answer cannot be carried out", failure);
        let status = end.status.map_or_else(String::new, |status| format!(" ({status})"));
        let [tries, took] = [
            range(end.tries, |tries| words::counted(tries, "request")),
            range(end.took_us, |us| words::micros_in(world, us)),
        ];
        format!(
            "{} × {} of {}: {}, {why}{status}; {tries}, {took}",
            words::number(end.tries.count),
            end.category,
            end.population,
            short(&end.event.to_string()),
        )
    };
    cut(facts.at_close.iter().map(told).collect(), "more kind")
}

/// The log's lines about events that failed, the first of them.
fn lines(facts: &UpstreamFacts) -> Vec<String> {
    let lines = facts.log.iter().flatten().map(|line| {
        let message = words::clipped_to(LINE_CHARS_MAX, &line.message);
        format!("{} × {}: {message}", words::number(line.count), line.event.name())
    });
    let mut lines = cut(lines.collect(), "more wording");
    if facts.of_further_lines > 0 {
        lines.push(format!("{} not told apart", words::counted(facts.of_further_lines, "line")));
    }
    lines
}

/// The first of some lines, and how many more there are.
fn cut(mut lines: Vec<String>, noun: &str) -> Vec<String> {
    if lines.len() > TOLD_MAX {
        let more = words::counted((lines.len() - TOLD_MAX) as u64, noun);
        lines.truncate(TOLD_MAX);
        lines.push(format!("… {more} in run.json"));
    }
    lines
}

fn range(of: Range, words: impl Fn(u64) -> String) -> String {
    let [min, max] = [of.min, of.max].map(|value| words(u64::try_from(value).unwrap_or(0)));
    if min == max { min } else { format!("{min} to {max}") }
}

/// A text in which no word is longer than a line.
fn broken(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut length = 0;
    for c in text.chars() {
        length = if c == ' ' { 0 } else { length + 1 };
        if length > WORD_CHARS_MAX {
            out.push(' ');
            length = 1;
        }
        out.push(c);
    }
    out
}

/// A name that clients choose, as far as there is room.
fn short(name: &str) -> String {
    if name.chars().count() <= NAME_CHARS_MAX {
        return name.to_owned();
    }
    let start: String = name.chars().take(NAME_CHARS_MAX - 1).collect();
    format!("{start}…")
}

/// Why an event failed, in words.
const fn failure(why: EventFailure) -> &'static str {
    match why {
        EventFailure::NotFound => "nobody takes it",
        EventFailure::NotValidated => "handler not validated",
        EventFailure::Status => "no success",
        EventFailure::Connection => "no connection, or a broken one",
        EventFailure::TimedOut => "no answer in time",
        EventFailure::Answer => "answer not understood",
        EventFailure::Header => "header not sendable",
        EventFailure::GivenUp => "client gone before the answer",
        EventFailure::Lost => "too many under way",
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;

    #[test]
    fn calls_are_told_by_event_and_nothing_where_there_were_none() {
        let mut run = samples::passed();
        let told = |run: &RunFile| {
            let mut out = String::new();
            text(run, &mut out);
            anstream::adapter::strip_str(&out).to_string()
        };
        assert_eq!(told(&run), "");
        run.upstream = Some(samples::upstream());
        let text = told(&run);
        insta::assert_snapshot!(text);
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    }

    #[test]
    fn many_events_with_long_names_and_large_counts_stay_within_the_width() {
        let mut run = samples::passed();
        let mut facts = samples::upstream();
        for n in 0..20_u64 {
            let mut event = facts.events[0].clone();
            event.event = format!("{n}{}", "x".repeat(127));
            for count in [&mut event.calls, &mut event.taken, &mut event.requests] {
                *count = 9_999_999;
            }
            event.statuses = (200..260).map(|status| (status, 1_000_000)).collect();
            facts.events.push(event);
            let mut line = facts.log.as_ref().unwrap()[0].clone();
            line.message = format!("{n}{}", "wörd".repeat(600));
            facts.log.as_mut().unwrap().push(line);
        }
        run.upstream = Some(facts);
        let mut out = String::new();
        text(&run, &mut out);
        let out = anstream::adapter::strip_str(&out).to_string();
        let widest = out.lines().map(|line| line.chars().count()).max();
        assert!(widest <= Some(100), "{widest:?}: {out}");
        assert!(out.contains("more event"), "{out}");
    }
}
