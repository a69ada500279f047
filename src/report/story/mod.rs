//! The story of the watched client as a table: both sides by time, routine lines folded so that
//! pings, the backlog's growth and the end stand out.

mod order;
mod wording;

use std::fmt::Write as _;

use super::table::{self, Column, INDENT};
use super::{text, words};
use crate::event::{HubTelling, StoryEnd, StoryLine, StorySide, World};
use crate::protocol::story::{HubStep, QueueDepth, Weight};
use crate::verdict::Outcome;

use wording::{Deed, client_words, deed, hub_words};

/// Routine lines in a row that are printed one by one, at most; more are folded.
const UNFOLDED_MAX: usize = 6;

/// Lines of one kind in a row of one side that are worth a line of their own each, at most.
const ALONE_MAX: usize = 2;

/// Printed lines, at most: past it the middle is left out.
const PRINTED_LINES_MAX: usize = 2_000;

/// A story as it was recorded.
#[derive(Clone, Debug, Default)]
pub struct Story {
    /// The lines, in the order of their arrival, each with its time in nanoseconds since the run's
    /// epoch.
    pub lines: Vec<(u64, StoryLine)>,
    /// What is known at its end, when it came to one.
    pub end: Option<StoryEnd>,
}

/// The section of a report that tells a story of a world; it ends with what is missing, if anything
/// is.
#[must_use]
pub fn render(story: &Story, world: World) -> String {
    let mut out = String::new();
    let who = |end: &StoryEnd| format!(" of {}[{}]", end.population, end.index);
    let who = story.end.as_ref().map_or_else(String::new, who);
    text::heading(&format!("Story{who}"), "seconds since the start", &mut out);
    let lines = order::by_time(&story.lines);
    if lines.is_empty() {
        let _ = writeln!(out, "{INDENT}nothing: it began no attempt in this run");
    } else {
        let table = Shape::of(&lines);
        let rows = cut(rows(world, &lines)).into_iter().map(|row| table.cells(row)).collect();
        out.push_str(&table::render(table.columns(), rows));
    }
    for note in story.end.iter().flat_map(notes) {
        out.push_str(&text::noted(text::style_of(Outcome::Undetermined), "note", &note));
    }
    out
}

type Line = (u64, StoryLine);

/// Which columns the table has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    OneAttempt,
    SeveralAttempts,
}

impl Shape {
    fn of(lines: &[&Line]) -> Self {
        match lines.iter().any(|(_, line)| line.attempt.attempt > 0) {
            true => Self::SeveralAttempts,
            false => Self::OneAttempt,
        }
    }

    const fn columns(self) -> &'static [Column<'static>] {
        const QUEUE: Column = Column::Figures("hub queue:\nbytes · messages");
        match self {
            Self::OneAttempt => &[
                Column::Figures("time"),
                Column::Names("side"),
                Column::Words("what happened"),
                QUEUE,
            ],
            Self::SeveralAttempts => &[
                Column::Figures("time"),
                Column::Figures("attempt"),
                Column::Names("side"),
                Column::Words("what happened"),
                QUEUE,
            ],
        }
    }

    fn cells(self, row: Row) -> Vec<String> {
        let Row { time, attempt, side, what, queue } = row;
        match self {
            Self::OneAttempt => vec![time, side.to_owned(), what, queue],
            Self::SeveralAttempts => vec![time, attempt, side.to_owned(), what, queue],
        }
    }
}

/// One printed line.
#[derive(Clone, Debug)]
struct Row {
    time: String,
    attempt: String,
    side: &'static str,
    what: String,
    queue: String,
}

/// Leaves out the middle of what is too long to be read.
fn cut(mut rows: Vec<Row>) -> Vec<Row> {
    let over = rows.len().saturating_sub(PRINTED_LINES_MAX);
    if over > 0 {
        let half = PRINTED_LINES_MAX / 2;
        let what =
            format!("{} left out here; events.ndjson has all", words::counted(over as u64, "line"));
        let gap = Row {
            time: "…".to_owned(),
            attempt: String::new(),
            side: "",
            what,
            queue: String::new(),
        };
        rows.splice(half..half + over, [gap]);
    }
    rows
}

fn rows(world: World, lines: &[&Line]) -> Vec<Row> {
    let mut rows = Vec::new();
    let is_routine = |line: &&Line| weight(&line.1.side) == Weight::Routine;
    for stretch in lines.chunk_by(|a, b| is_routine(a) == is_routine(b)) {
        if stretch.len() > UNFOLDED_MAX && stretch.iter().all(is_routine) {
            rows.extend(folded(world, stretch));
        } else {
            rows.extend(stretch.iter().map(|line| row(world, line)));
        }
    }
    rows
}

const fn weight(side: &StorySide) -> Weight {
    match side {
        StorySide::Hub(step) => step.weight(),
        StorySide::Client(step) => step.weight(),
    }
}

const fn side_word(side: &StorySide) -> &'static str {
    match side {
        StorySide::Hub(_) => "hub",
        StorySide::Client(_) => "client",
    }
}

fn seconds(ns: u64) -> String {
    format!("{}.{:03}", ns / 1_000_000_000, ns / 1_000_000 % 1_000)
}

fn depth(queue: QueueDepth) -> String {
    match queue {
        QueueDepth { bytes: 0, .. } => "empty".to_owned(),
        QueueDepth { bytes, messages } => {
            format!("{} · {}", words::bytes(bytes), words::number(messages))
        }
    }
}

const fn queue(side: &StorySide) -> Option<QueueDepth> {
    match side {
        StorySide::Hub(step) => step.queue(),
        StorySide::Client(_) => None,
    }
}

fn row(world: World, (at_ns, line): &Line) -> Row {
    let what = match &line.side {
        StorySide::Hub(step) => hub_words(world, step),
        StorySide::Client(step) => client_words(world, step),
    };
    Row {
        time: seconds(*at_ns),
        attempt: line.attempt.attempt.to_string(),
        side: side_word(&line.side),
        what,
        queue: queue(&line.side).map(depth).unwrap_or_default(),
    }
}

/// What makes routine lines of one side be of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FoldKey {
    attempt: u32,
    deed: Deed,
}

/// A routine line on its way into a fold.
#[derive(Clone, Copy, Debug)]
struct Routine<'a> {
    /// Its place in the stretch.
    at: usize,
    line: &'a Line,
    key: FoldKey,
    bytes: u64,
}

impl<'a> Routine<'a> {
    fn of(at: usize, line: &'a Line) -> Option<Self> {
        let (deed, bytes) = deed(&line.1.side)?;
        let key = FoldKey { attempt: line.1.attempt.attempt, deed };
        Some(Self { at, line, key, bytes })
    }

    const fn is_write(&self) -> bool {
        matches!(self.line.1.side, StorySide::Hub(HubStep::Written { .. }))
    }
}

/// Routine lines of one kind.
#[derive(Debug)]
struct Fold {
    key: FoldKey,
    side: &'static str,
    first_ns: u64,
    last_ns: u64,
    count: u64,
    bytes: u64,
    queue: Option<Growth>,
}

/// How the queue went over folded lines.
#[derive(Clone, Copy, Debug)]
struct Growth {
    first: QueueDepth,
    last: QueueDepth,
    most: QueueDepth,
}

/// A stretch of routine lines, each side folded by itself; by the time at which each row begins.
fn folded(world: World, stretch: &[&Line]) -> Vec<Row> {
    let mut rows = Vec::new();
    for wanted in ["hub", "client"] {
        let routine = stretch.iter().enumerate().filter_map(|(at, line)| Routine::of(at, line));
        let side: Vec<_> = routine.filter(|of| side_word(&of.line.1.side) == wanted).collect();
        fold_side(world, &side, &mut rows);
    }
    rows.sort_by_key(|(at, _)| *at);
    rows.into_iter().map(|(_, row)| row).collect()
}

/// One side's routine lines in a row. A kind of which there are few has a line for each, and no
/// fold reaches across it: what one side did before it and after it stays apart. What goes on in
/// turns without such a line is one row per kind.
fn fold_side(world: World, side: &[Routine<'_>], rows: &mut Vec<(usize, Row)>) {
    if side.len() <= UNFOLDED_MAX {
        rows.extend(side.iter().map(|routine| (routine.at, row(world, routine.line))));
        return;
    }
    let mut kinds: Vec<(FoldKey, usize)> = Vec::new();
    for routine in side {
        match kinds.iter_mut().find(|(key, _)| *key == routine.key) {
            Some((_, count)) => *count += 1,
            None => kinds.push((routine.key, 1)),
        }
    }
    let is_rare = |routine: &Routine<'_>| {
        kinds.iter().any(|(key, count)| *key == routine.key && *count <= ALONE_MAX)
    };
    if side.iter().any(is_rare) {
        for part in side.chunk_by(|a, b| is_rare(a) == is_rare(b)) {
            match part.first().is_some_and(is_rare) {
                true => rows.extend(part.iter().map(|of| (of.at, row(world, of.line)))),
                // One kind fewer than here.
                false => fold_side(world, part, rows),
            }
        }
        return;
    }
    // Writes at the start are of what was queued before.
    let head = side.iter().take_while(|routine| routine.is_write()).count();
    if (1..side.len()).contains(&head) {
        fold_side(world, &side[..head], rows);
        fold_side(world, &side[head..], rows);
        return;
    }
    for (key, _) in kinds {
        let mut of_kind = side.iter().filter(|routine| routine.key == key);
        let Some(first) = of_kind.next() else { continue };
        let mut fold = Fold::new(first);
        of_kind.for_each(|routine| fold.add(routine));
        rows.push((first.at, fold.row()));
    }
}

impl Fold {
    fn new(first: &Routine<'_>) -> Self {
        let (at_ns, line) = first.line;
        let (key, side, first_ns) = (first.key, side_word(&line.side), *at_ns);
        let mut fold =
            Self { key, side, first_ns, last_ns: first_ns, count: 0, bytes: 0, queue: None };
        fold.add(first);
        fold
    }

    fn add(&mut self, routine: &Routine<'_>) {
        let (at_ns, line) = routine.line;
        self.last_ns = *at_ns;
        self.count += 1;
        self.bytes += routine.bytes;
        if let Some(depth) = queue(&line.side) {
            let growth =
                self.queue.get_or_insert(Growth { first: depth, last: depth, most: depth });
            growth.last = depth;
            if depth.bytes > growth.most.bytes {
                growth.most = depth;
            }
        }
    }

    fn row(&self) -> Row {
        let FoldKey { attempt, deed: Deed { noun, verb } } = self.key;
        let (first, last) = (seconds(self.first_ns), seconds(self.last_ns));
        let mut what = format!("{} {}", words::counted(self.count, noun), verb);
        what.truncate(what.trim_end().len());
        if self.bytes > 0 {
            let _ = write!(what, ", {}", words::bytes(self.bytes));
        }
        let mut queue = String::new();
        if let Some(Growth { first, last, most }) = self.queue {
            queue = if first == last {
                depth(last)
            } else {
                format!("{} → {}", depth(first), depth(last))
            };
            if most.bytes > first.bytes.max(last.bytes) {
                let _ = write!(what, ", queue at most {}", depth(most));
            }
        }
        Row {
            time: if first == last { first } else { format!("{first}–{last}") },
            attempt: attempt.to_string(),
            side: self.side,
            what,
            queue,
        }
    }
}

fn notes(end: &StoryEnd) -> Vec<String> {
    let mut notes = Vec::new();
    match &end.hub {
        HubTelling::Told => {}
        HubTelling::NotOffered => notes
            .push("only the client's side is told: the target offers no control API".to_owned()),
        HubTelling::BrokeOff { why } => notes.push(format!("the hub's side broke off: {why}")),
    }
    for (side, left_out) in [("hub", end.hub_left_out), ("client", end.client_left_out)] {
        if left_out > 0 {
            notes.push(format!(
                "{} of the {side}'s side missing: there were too many to keep",
                words::counted(left_out, "line")
            ));
        }
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ClientStep;
    use crate::protocol::AttemptId;
    use crate::protocol::story::FrameOpcode;

    const MS: u64 = 1_000_000;

    fn line(at_ms: u64, attempt: u32, side: StorySide) -> Line {
        let attempt = AttemptId { population: "a".into(), index: 0, attempt };
        (at_ms * MS, StoryLine { attempt, side })
    }

    fn queued(at_ms: u64, bytes: u64) -> Line {
        let queue = QueueDepth { bytes, messages: bytes / 100 };
        line(at_ms, 0, StorySide::Hub(HubStep::MessageQueued { frame_bytes: 100, queue }))
    }

    fn told(lines: Vec<Line>) -> String {
        let text = render(&Story { lines, end: None }, World::Sockets);
        let plain = anstream::adapter::strip_str(&text).to_string();
        let wide = plain.lines().find(|line| line.chars().count() > usize::from(table::WIDTH));
        assert_eq!(wide, None, "{plain}");
        plain
    }

    #[test]
    fn a_long_stretch_of_routine_is_one_line_that_keeps_the_queues_growth() {
        let text = told((1..=300).map(|at| queued(at, at * 100)).collect());
        assert!(text.contains("300 messages queued, 29.3 KiB"), "{text}");
        assert!(text.contains("0.001–0.300"), "{text}");
        assert!(text.contains("100 B · 1 → 29.3 KiB · 300"), "{text}");
        let peak = told([1, 2, 900, 3, 2, 1, 5].map(|n| queued(1, n * 100)).to_vec());
        assert!(peak.contains("queue at most 87.9 KiB · 900"), "{peak}");
    }

    #[test]
    fn few_routine_lines_and_all_rare_ones_stand_for_themselves() {
        let ping = |at| {
            let queue = QueueDepth::default();
            line(at, 0, StorySide::Hub(HubStep::PingQueued { queue }))
        };
        let mut lines: Vec<Line> = (1..=5).map(|at| queued(at, 100)).collect();
        lines.extend((10..30).map(ping));
        let text = told(lines);
        assert_eq!(text.matches(" message queued").count(), 5, "{text}");
        assert_eq!(text.matches("ping queued").count(), 20, "{text}");
    }

    #[test]
    fn a_fold_does_not_reach_across_what_its_side_did_once() {
        let text = crate::event::FrameTold::bare(FrameOpcode::Text, 10);
        let hub = |at, step| line(at, 0, StorySide::Hub(step));
        let written = |at| hub(at, HubStep::Written { bytes: 100, queue: QueueDepth::default() });
        let join = HubStep::Read { opcode: FrameOpcode::Text, payload_bytes: 30 };
        let mut lines = vec![written(1), hub(2, join), written(3)];
        for at in (10..30).step_by(2) {
            lines.push(queued(at, 100));
            lines.push(written(at + 1));
            lines.push(line(at + 1, 0, StorySide::Client(ClientStep::Read(text))));
        }
        let text = told(lines);
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        let places: Vec<_> = [
            "0.001 hub 100 B written",
            "0.002 hub text frame read",
            "0.003 hub 100 B written",
            "10 messages queued",
            "10 writes",
            "10 text frames read",
        ]
        .iter()
        .map(|part| flat.find(part).unwrap_or_else(|| panic!("{part}: {text}")))
        .collect();
        assert!(places.is_sorted(), "{text}");
    }

    #[test]
    fn what_is_too_long_loses_its_middle_and_says_so() {
        let begun = |at| line(at, 0, StorySide::Client(ClientStep::PingRead));
        let text = told((0..5_000).map(begun).collect());
        assert!(text.contains("3,000 lines left out here; events.ndjson has all"), "{text}");
        assert_eq!(text.matches("ping read").count(), PRINTED_LINES_MAX);
        assert!(text.contains("4.999") && text.contains("0.999") && !text.contains("2.500"));
    }

    #[test]
    fn several_attempts_get_a_column() {
        let begun = |at, attempt| line(at, attempt, StorySide::Client(ClientStep::Begun));
        assert!(!told(vec![begun(1, 0)]).contains("attempt  side"));
        assert!(told(vec![begun(1, 0), begun(2, 1)]).contains("attempt  side"));
    }

    #[test]
    fn what_is_missing_is_told() {
        let end = StoryEnd {
            population: "a".into(),
            index: 3,
            hub: HubTelling::NotOffered,
            hub_left_out: 0,
            client_left_out: 1_234,
        };
        let text = render(&Story { lines: Vec::new(), end: Some(end) }, World::Sockets);
        for part in ["a[3]", "began no attempt", "only the client's side", "1,234 lines"] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
