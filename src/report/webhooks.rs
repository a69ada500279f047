//! What went to event handlers, as the hub counted it.

use std::fmt::Write as _;

use super::run_file::RunFile;
use super::table::{self, Column, INDENT};
use super::words;
use crate::protocol::control::EventCounters;

const COLUMNS: [Column; 6] = [
    Column::Names("upstream event"),
    Column::Figures("calls"),
    Column::Figures("taken"),
    Column::Figures("requests"),
    Column::Figures("retries"),
    Column::Words("answered"),
];

/// A row per event, and what became of validations; nothing where no handler was called.
pub fn text(run: &RunFile, out: &mut String) {
    let Some(webhooks) = run.hub_counters.as_ref().map(|counters| &counters.webhooks) else {
        return;
    };
    if webhooks.is_empty() {
        return;
    }
    if webhooks.deliveries > 0 {
        let lost = match webhooks.deliveries_lost {
            0 => String::new(),
            lost => format!(", {} of them lost on the way into the file", words::number(lost)),
        };
        let events = words::counted(webhooks.deliveries, "event");
        let _ = writeln!(out, "\n{INDENT}event listeners: {events} delivered{lost}");
    }
    if webhooks.events.is_empty() {
        return;
    }
    let rows = webhooks.events.iter().map(|(event, of)| row(event, of)).collect();
    let _ = write!(out, "\n{}", table::render(&COLUMNS, rows));
    let _ = writeln!(
        out,
        "{INDENT}validations: {} good, {} bad, {} requests",
        words::number(webhooks.validations_good),
        words::number(webhooks.validations_bad),
        words::number(webhooks.validation_requests)
    );
}

fn row(event: &str, of: &EventCounters) -> Vec<String> {
    let answered: Vec<_> = of
        .statuses
        .iter()
        .map(|(status, count)| format!("{status} × {}", words::number(*count)))
        .collect();
    vec![
        event.to_owned(),
        words::number(of.begun),
        words::number(of.succeeded),
        words::number(of.requests),
        words::number(of.retries),
        if answered.is_empty() { "-".to_owned() } else { answered.join(", ") },
    ]
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;
    use crate::protocol::control::Counters;

    #[test]
    fn calls_are_told_by_event_and_nothing_where_there_were_none() {
        let mut run = samples::passed();
        let mut counters = Counters::default();
        let told = |run: &RunFile| {
            let mut out = String::new();
            text(run, &mut out);
            out
        };
        run.hub_counters = Some(counters.clone());
        assert_eq!(told(&run), "");
        let of = EventCounters {
            begun: 20,
            requests: 80,
            retries: 60,
            statuses: [(500, 80)].into(),
            ..EventCounters::default()
        };
        counters.webhooks.events.insert("connect".into(), of);
        counters.webhooks.validations_good = 1;
        counters.webhooks.validation_requests = 1;
        counters.webhooks.deliveries = 7;
        counters.webhooks.deliveries_lost = 2;
        run.hub_counters = Some(counters);
        let text = told(&run);
        let listeners =
            "event listeners: 7 events delivered, 2 of them lost on the way into the file";
        assert!(text.contains(listeners), "{text}");
        assert!(text.contains("500 × 80"), "{text}");
        assert!(text.contains("validations: 1 good, 0 bad, 1 requests"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    }
}
