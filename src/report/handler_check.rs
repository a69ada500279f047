//! What a check of an event handler found, in words.

use std::fmt::Write as _;

use anstyle::Style;

use super::table::{INDENT, WIDTH};
use super::text::{BOLD, DIM, GREEN, RED, YELLOW, flowing, paint};
use super::words;
use crate::handler_check::{CheckName, Exchange, Finding, Outcome, Reply};

/// Columns of the words in the first column.
const WORD: usize = 4;
/// Columns of the labels in a block.
const LABEL: usize = 8;

/// Of which findings requests and answers are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Those that are not as they should be.
    Faults,
    /// All.
    Everything,
}

/// A finding: a line, and what there is to know of one that is not as it should be, or of each.
#[must_use]
pub fn finding(found: &Finding, detail: Detail) -> String {
    let (word, style) = word(found.outcome);
    let name = found.check.name();
    let label = format!(
        "{}  {}  ",
        paint(style, &format!("{word:WORD$}")),
        paint(BOLD, &format!("{name:0$}", CheckName::COLUMNS))
    );
    let mut out = String::new();
    flowing(INDENT, &label, WORD + 2 + CheckName::COLUMNS + 2, &found.what, &mut out);
    let is_told = match found.outcome {
        _ if detail == Detail::Everything => true,
        _ if found.same_as.is_some() => false,
        Outcome::Fail | Outcome::Warn => true,
        Outcome::Info => found.change.is_some(),
        Outcome::Pass | Outcome::Skip | Outcome::Same => false,
    };
    if is_told {
        block(found, &mut out);
    }
    out
}

/// The last line: how many checks ended how.
#[must_use]
pub fn summary<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> String {
    let mut counts = std::collections::BTreeMap::new();
    for finding in findings {
        *counts.entry(finding.outcome).or_insert(0_u64) += 1;
    }
    let telling = |(outcome, of): (&Outcome, &u64)| {
        let what = match outcome {
            Outcome::Pass => "passed",
            Outcome::Info => "worth knowing",
            Outcome::Skip => "skipped",
            Outcome::Warn => "warned",
            Outcome::Same => "as an earlier one",
            Outcome::Fail => "failed",
        };
        format!("{} {what}", words::number(*of))
    };
    let parts: Vec<_> = counts.iter().map(telling).collect();
    format!("\n{INDENT}{}\n", parts.join(" · "))
}

const fn word(outcome: Outcome) -> (&'static str, Style) {
    match outcome {
        Outcome::Pass => ("pass", GREEN),
        Outcome::Info => ("info", DIM),
        Outcome::Skip => ("skip", DIM),
        Outcome::Warn => ("warn", YELLOW),
        Outcome::Same => ("same", RED),
        Outcome::Fail => ("FAIL", RED),
    }
}

fn block(found: &Finding, out: &mut String) {
    for exchange in &found.exchanges {
        labelled("sent", &format!("{} {}", exchange.method, exchange.url), out);
        headers(&exchange.headers, out);
        body(&exchange.body, out);
        reply(exchange, out);
    }
    if let Some(log) = &found.log {
        labelled("log", &format!("{}: {}", log.event, log.message), out);
    }
    if let Some(guide) = found.guide {
        labelled("guide", guide.title(), out);
        labelled("", &guide.page(), out);
    }
    if let Some(change) = &found.change {
        labelled("change", change, out);
    }
}

fn reply(exchange: &Exchange, out: &mut String) {
    let took = words::duration(exchange.took);
    match &exchange.reply {
        Reply::Answer { status, headers: lines, body: text, body_bytes } => {
            let size = match body_bytes {
                0 => "no body".to_owned(),
                bytes => words::bytes(*bytes),
            };
            labelled("back", &format!("{status} in {took}, {size}"), out);
            headers(lines, out);
            body(text, out);
        }
        Reply::Nothing(why) => labelled("back", &format!("nothing in {took}: {why}"), out),
    }
}

/// Stands for a blank at which no line breaks.
const BOUND: char = '\u{1}';

fn headers(lines: &[(String, String)], out: &mut String) {
    let line = |(name, of): &(String, String)| format!("{name}: {of}").replace(' ', "\u{1}");
    let lines: Vec<_> = lines.iter().map(line).collect();
    if !lines.is_empty() {
        let mut text = String::new();
        labelled("", &lines.join(" · "), &mut text);
        out.push_str(&text.replace(BOUND, " "));
    }
}

/// A body, broken wherever a line ends.
fn body(text: &str, out: &mut String) {
    let room = usize::from(WIDTH) - indent().len() - LABEL;
    let chars: Vec<char> = text.trim().chars().collect();
    for line in chars.chunks(room) {
        let line: String = line.iter().collect();
        labelled("", &line, out);
    }
}

fn indent() -> String {
    " ".repeat(INDENT.len() + WORD + 2)
}

/// `name    text` under a finding, wrapped under itself.
fn labelled(name: &str, text: &str, out: &mut String) {
    let label = paint(DIM, &format!("{name:LABEL$}"));
    let _ = write!(out, "");
    flowing(&indent(), &label, LABEL, text, out);
}
