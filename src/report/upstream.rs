//! What a scripted application server will do, and what it saw, in words.

use std::fmt::Write as _;

use std::time::Duration;

use super::table::{self, Column, INDENT};
use super::words;
use crate::protocol::webhook::UpstreamCounts;
use crate::protocol::webhook::counts::RequestCounts;
use crate::scenario::UpstreamScript;
use crate::scenario::plan::{AnswerWhat, HowOften, UpstreamAnswer, UpstreamOn, Window};

/// What a script has happen, and when: sleep, downtime, and rules that do not always hold.
#[must_use]
pub fn timeline(script: &UpstreamScript) -> Vec<(Duration, String)> {
    let until = |window: &Window| {
        window.until.map_or_else(String::new, |until| format!(", until {}", words::duration(until)))
    };
    let cold = script.cold_start.iter().map(|cold| {
        let lasting = words::duration(cold.lasting);
        (Duration::ZERO, format!("the application server sleeps; to wake it takes {lasting}"))
    });
    let down = script
        .down
        .iter()
        .map(|window| (window.from, format!("the application server is down{}", until(window))));
    let rules = script.rules.iter().filter(|rule| rule.window != Window::ALWAYS).map(|rule| {
        let share = match rule.how_often {
            HowOften::Always => String::new(),
            HowOften::First(count) => format!("the first {} of ", words::number(count.into())),
            HowOften::Chance(share) => format!("{} of ", words::percent(share)),
        };
        let what = format!("{share}{} {}", kinds(&rule.on), answered(&rule.answer));
        (rule.window.from, format!("{what}{}", until(&rule.window)))
    });
    cold.chain(down).chain(rules).collect()
}

fn kinds(on: &[UpstreamOn]) -> String {
    let kind = |on: &UpstreamOn| match on {
        UpstreamOn::Kind(kind) => kind.to_string(),
        UpstreamOn::EveryUserEvent => "user events".to_owned(),
    };
    let kinds: Vec<_> = on.iter().map(kind).collect();
    if kinds.is_empty() { "every request".to_owned() } else { kinds.join(" and ") }
}

fn answered(answer: &UpstreamAnswer) -> String {
    let mut out = match &answer.what {
        AnswerWhat::Respond(response) => match response.status {
            Some(status) => format!("answered with {status}"),
            None => "answered".to_owned(),
        },
        AnswerWhat::Reset => "reset".to_owned(),
        AnswerWhat::Close => "broken off".to_owned(),
    };
    let (from, to) = (answer.delay.from, answer.delay.to);
    if from == to && !to.is_zero() {
        let _ = write!(out, " after {}", words::duration(to));
    } else if !to.is_zero() {
        let _ = write!(out, " after {} to {}", words::duration(from), words::duration(to));
    }
    out
}

/// A row per kind of request, and what there is to say besides.
#[must_use]
pub fn render(counts: &UpstreamCounts) -> String {
    let mut out = String::new();
    if counts.requests.is_empty() {
        let _ = writeln!(out, "{INDENT}no request of a hub came");
    } else {
        out = table::render(&COLUMNS, rows(counts));
    }
    for (what, text) in notes(counts) {
        let _ = writeln!(out, "{INDENT}{what}: {text}");
    }
    out
}

/// A row per kind of request, in the columns of [`COLUMNS`].
pub(super) fn rows(counts: &UpstreamCounts) -> Vec<Vec<String>> {
    counts.requests.iter().map(|(kind, of)| row(&kind.to_string(), of)).collect()
}

/// What there is to say besides, by what it is about.
pub(super) fn notes(counts: &UpstreamCounts) -> Vec<(&'static str, String)> {
    let notes = [
        ("validations", validations(counts)),
        ("signatures", signatures(counts)),
        ("at once", at_once(counts)),
        ("of no hub", some(counts.of_strangers, "request")),
        ("not told apart", some(counts.of_further_kinds, "request")),
    ];
    notes.into_iter().filter_map(|(what, text)| Some((what, text?))).collect()
}

/// The columns of [`rows`].
pub(super) const COLUMNS: [Column; 7] = [
    Column::Names("request"),
    Column::Figures("received"),
    Column::Words("answered"),
    Column::Figures("no answer"),
    Column::Figures("most\nat once"),
    Column::Figures("most\nper second"),
    Column::Figures("connections"),
];

fn row(kind: &str, counts: &RequestCounts) -> Vec<String> {
    let answered: Vec<_> = counts
        .answered
        .iter()
        .map(|(status, count)| format!("{status} × {}", words::number(*count)))
        .collect();
    vec![
        kind.to_owned(),
        words::number(counts.received),
        answered.join(", "),
        words::number(counts.broken_off + counts.abandoned + counts.in_flight),
        words::number(counts.in_flight_peak),
        words::number(counts.per_second_peak),
        words::number(counts.connections),
    ]
}

fn validations(counts: &UpstreamCounts) -> Option<String> {
    let of = counts.validations;
    let parts = [(of.granted, "granted"), (of.denied, "denied")];
    parted(&parts)
}

fn signatures(counts: &UpstreamCounts) -> Option<String> {
    let of = counts.signatures;
    parted(&[(of.good, "good"), (of.bad, "bad"), (of.missing, "missing")])
}

fn at_once(counts: &UpstreamCounts) -> Option<String> {
    let peak = counts.in_flight_peak;
    (counts.requests.len() > 1).then(|| format!("at most {} of all kinds", words::number(peak)))
}

fn some(count: u64, noun: &str) -> Option<String> {
    (count > 0).then(|| words::counted(count, noun))
}

/// `3 good, 1 bad`; `None` of nothing.
fn parted(parts: &[(u64, &str)]) -> Option<String> {
    let there = parts.iter().filter(|(count, _)| *count > 0);
    let texts: Vec<_> =
        there.map(|(count, what)| format!("{} {what}", words::number(*count))).collect();
    (!texts.is_empty()).then(|| texts.join(" · "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::webhook::RequestKind;
    use crate::protocol::webhook::counts::{SignatureCounts, ValidationCounts};

    #[test]
    fn what_does_not_always_hold_is_told_with_its_time() {
        let script = crate::scenario::load_upstream(
            &crate::scenario::Source {
                name: "x".into(),
                origin: "x".into(),
                text: r#"
cold_start = { lasting = "3s" }
down = [{ from = "3s", until = "5s" }]
rules = [
    { on = ["connect"], until = "4s", answer = { delay = "3s" } },
    { on = ["*"], first = 2, from = "1s", answer = { reset = {} } },
    { answer = { status = 500 } },
]"#
                .into(),
            },
            &|_| None,
        );
        let told = timeline(&script.unwrap());
        let told: Vec<_> = told.iter().map(|(at, what)| (at.as_secs(), what.as_str())).collect();
        assert_eq!(
            told,
            [
                (0, "the application server sleeps; to wake it takes 3 s"),
                (3, "the application server is down, until 5 s"),
                (0, "connect answered after 3 s, until 4 s"),
                (1, "the first 2 of user events reset"),
            ]
        );
    }

    #[test]
    fn counts_stand_in_a_table_and_nothing_is_said_of_what_did_not_come() {
        let mut counts = UpstreamCounts {
            in_flight_peak: 61,
            signatures: SignatureCounts { good: 1_204, bad: 2, missing: 0 },
            validations: ValidationCounts { granted: 1, denied: 0 },
            of_strangers: 1,
            ..UpstreamCounts::default()
        };
        let mut put = |kind: &str, received, answered: &[(u16, u64)], broken_off, connections| {
            let of = RequestCounts {
                received,
                answered: answered.iter().copied().collect(),
                broken_off,
                in_flight_peak: 60,
                per_second_peak: 100,
                connections,
                ..RequestCounts::default()
            };
            counts.requests.insert(RequestKind::parse(kind).unwrap(), of);
        };
        put("connect", 1_206, &[(204, 1_000), (500, 200)], 6, 1_000);
        put("validate", 1, &[(200, 1)], 0, 0);
        let told = render(&counts);
        let expected = "  \
  request   received  answered                no answer     most        most  connections
                                                         at once  per second
  ────────────────────────────────────────────────────────────────────────────────────────
  validate         1  200 × 1                         0       60         100            0
  connect      1,206  204 × 1,000, 500 × 200          6       60         100        1,000
  validations: 1 granted
  signatures: 1,204 good · 2 bad
  at once: at most 61 of all kinds
  of no hub: 1 request
";
        assert_eq!(told, expected, "\n{told}");
        assert_eq!(render(&UpstreamCounts::default()), "  no request of a hub came\n");
    }
}
