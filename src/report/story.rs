//! The story of the watched client as a table: both sides by time, routine lines folded so that
//! pings, the backlog's growth and the end stand out.

use std::fmt::Write as _;

use super::table::{self, Column, INDENT};
use super::{text, words};
use crate::event::{
    ClientStep, FrameTold, HubTelling, JsonKind, StoryEnd, StoryLine, StorySide, Wish,
};
use crate::protocol::story::{FrameOpcode, HubStep, QueueDepth, RoundTrip, Weight};
use crate::verdict::Outcome;

/// Routine lines in a row that are printed one by one, at most; more are folded.
const UNFOLDED_MAX: usize = 6;

/// Lines of one kind in a folded stretch that are worth a line of their own each, at most.
const ALONE_MAX: u64 = 2;

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

/// The section of a report that tells a story; it ends with what is missing, if anything is.
#[must_use]
pub fn render(story: &Story) -> String {
    let mut out = String::new();
    let who = |end: &StoryEnd| format!(" of {}[{}]", end.population, end.index);
    let who = story.end.as_ref().map_or_else(String::new, who);
    text::heading(&format!("Story{who}"), "seconds since the start", &mut out);
    let mut lines: Vec<&Line> = story.lines.iter().collect();
    // Stable: lines of one side and instant stay in the order in which that side told them.
    lines.sort_by_key(|(at_ns, line)| (*at_ns, matches!(line.side, StorySide::Client(_))));
    if lines.is_empty() {
        let _ = writeln!(out, "{INDENT}nothing: it began no attempt in this run");
    } else {
        let table = Shape::of(&lines);
        let rows = cut(rows(&lines)).into_iter().map(|row| table.cells(row)).collect();
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

    const fn columns(self) -> &'static [Column] {
        const QUEUE: Column = Column::Figures("hub queue: bytes · messages");
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

fn rows(lines: &[&Line]) -> Vec<Row> {
    let mut rows = Vec::new();
    let is_routine = |line: &&Line| weight(&line.1.side) == Weight::Routine;
    for stretch in lines.chunk_by(|a, b| is_routine(a) == is_routine(b)) {
        if stretch.len() > UNFOLDED_MAX && stretch.iter().all(is_routine) {
            rows.extend(folded(stretch));
        } else {
            rows.extend(stretch.iter().map(|line| row(line)));
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

fn row((at_ns, line): &Line) -> Row {
    let what = match &line.side {
        StorySide::Hub(step) => hub_words(step),
        StorySide::Client(step) => client_words(step),
    };
    Row {
        time: seconds(*at_ns),
        attempt: line.attempt.attempt.to_string(),
        side: side_word(&line.side),
        what,
        queue: queue(&line.side).map(depth).unwrap_or_default(),
    }
}

/// What makes routine lines be of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FoldKey {
    attempt: u32,
    side: &'static str,
    deed: Deed,
}

impl FoldKey {
    /// Of a routine line, with its bytes.
    fn of((_, line): &Line) -> Option<(Self, u64)> {
        let (deed, bytes) = deed(&line.side)?;
        let side = side_word(&line.side);
        Some((Self { attempt: line.attempt.attempt, side, deed }, bytes))
    }
}

/// Routine lines of one kind in one stretch.
#[derive(Debug)]
struct Fold {
    key: FoldKey,
    first_ns: u64,
    last_ns: u64,
    count: u64,
    bytes: u64,
    queue: Option<Growth>,
    /// Whether its row is there.
    is_told: bool,
}

/// How the queue went over folded lines.
#[derive(Clone, Copy, Debug)]
struct Growth {
    first: QueueDepth,
    last: QueueDepth,
    most: QueueDepth,
}

/// A routine line without its figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Deed {
    noun: &'static str,
    verb: &'static str,
}

/// A stretch of routine lines with one row per kind, but for kinds of which there are few; by the
/// time at which each begins.
fn folded(stretch: &[&Line]) -> Vec<Row> {
    let mut folds: Vec<Fold> = Vec::new();
    for line in stretch {
        let Some((key, bytes)) = FoldKey::of(line) else { continue };
        let at = folds.iter().position(|fold| fold.key == key).unwrap_or_else(|| {
            folds.push(Fold::new(key, line.0));
            folds.len() - 1
        });
        folds[at].add(line.0, bytes, queue(&line.1.side));
    }
    let mut rows = Vec::new();
    for line in stretch {
        let kind = FoldKey::of(line).map(|(key, _)| key);
        match folds.iter_mut().find(|fold| Some(fold.key) == kind) {
            Some(fold) if fold.count > ALONE_MAX => {
                if !std::mem::replace(&mut fold.is_told, true) {
                    rows.push(fold.row());
                }
            }
            _ => rows.push(row(line)),
        }
    }
    rows
}

impl Fold {
    const fn new(key: FoldKey, at_ns: u64) -> Self {
        let queue = None;
        Self { key, first_ns: at_ns, last_ns: at_ns, count: 0, bytes: 0, queue, is_told: false }
    }

    fn add(&mut self, at_ns: u64, bytes: u64, queue: Option<QueueDepth>) {
        self.last_ns = at_ns;
        self.count += 1;
        self.bytes += bytes;
        if let Some(depth) = queue {
            let growth =
                self.queue.get_or_insert(Growth { first: depth, last: depth, most: depth });
            growth.last = depth;
            if depth.bytes > growth.most.bytes {
                growth.most = depth;
            }
        }
    }

    fn row(&self) -> Row {
        let FoldKey { attempt, side, deed: Deed { noun, verb } } = self.key;
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
            side,
            what,
            queue,
        }
    }
}

/// What a routine line says, and its bytes; `None` of a rare one.
const fn deed(side: &StorySide) -> Option<(Deed, u64)> {
    let (noun, verb, bytes) = match side {
        StorySide::Hub(step) => match step {
            HubStep::Read { opcode, payload_bytes } => {
                (opcode_word(*opcode), "read", *payload_bytes)
            }
            HubStep::MessageQueued { frame_bytes, .. } => ("message", "queued", *frame_bytes),
            HubStep::FrameQueued { opcode, frame_bytes, .. } => {
                (opcode_word(*opcode), "queued", *frame_bytes)
            }
            HubStep::Written { bytes, .. } => ("write", "", *bytes),
            HubStep::Refused { .. }
            | HubStep::Opened
            | HubStep::PingQueued { .. }
            | HubStep::PongRead { .. }
            | HubStep::EndDecided { .. }
            | HubStep::Gone { .. } => return None,
        },
        StorySide::Client(step) => match step {
            ClientStep::Read(frame) => (frame_word(frame), "read", frame.payload_bytes),
            ClientStep::Sent(frame) => (frame_word(frame), "sent", frame.payload_bytes),
            ClientStep::StopsReading => ("pause", "in reading", 0),
            ClientStep::ReadsAgain => ("return", "to reading", 0),
            ClientStep::Begun
            | ClientStep::Connected
            | ClientStep::Upgraded
            | ClientStep::Opened { .. }
            | ClientStep::PingRead
            | ClientStep::PongSent
            | ClientStep::PongHeld { .. }
            | ClientStep::PongSuppressed
            | ClientStep::Vanishes
            | ClientStep::CloseSent { .. }
            | ClientStep::CloseRead { .. }
            | ClientStep::Ended { .. }
            | ClientStep::ReconnectPlanned { .. } => return None,
        },
    };
    Some((Deed { noun, verb }, bytes))
}

const fn opcode_word(opcode: FrameOpcode) -> &'static str {
    match opcode {
        FrameOpcode::Text => "text frame",
        FrameOpcode::Binary => "binary frame",
        FrameOpcode::Ping => "ping",
        FrameOpcode::Pong => "pong",
        FrameOpcode::Close => "close frame",
    }
}

const fn frame_word(frame: &FrameTold) -> &'static str {
    match frame.kind {
        None => opcode_word(frame.opcode),
        Some(JsonKind::Connected) => "connected frame",
        Some(JsonKind::Disconnected) => "disconnected frame",
        Some(JsonKind::Ack) => "ack",
        Some(JsonKind::FailedAck) => "failed ack",
        Some(JsonKind::Message) => "message",
        Some(JsonKind::Pong) => "application pong",
        Some(JsonKind::Ping) => "application ping",
        Some(JsonKind::JoinGroup) => "joinGroup frame",
        Some(JsonKind::LeaveGroup) => "leaveGroup frame",
        Some(JsonKind::SendToGroup) => "sendToGroup frame",
        Some(JsonKind::Event) => "event frame",
        Some(JsonKind::SequenceAck) => "sequenceAck frame",
        Some(JsonKind::Unknown) => "unknown frame",
    }
}

fn hub_words(step: &HubStep) -> String {
    match step {
        HubStep::Refused { category, status } => {
            format!("refused: {}, HTTP {status}", category.name())
        }
        HubStep::Opened => "accepted".to_owned(),
        HubStep::Read { opcode, payload_bytes } => {
            format!("{} read, {}", opcode_word(*opcode), words::bytes(*payload_bytes))
        }
        HubStep::MessageQueued { frame_bytes, .. } => {
            format!("message queued, {}", words::bytes(*frame_bytes))
        }
        HubStep::FrameQueued { opcode, frame_bytes, .. } => {
            format!("{} queued, {}", opcode_word(*opcode), words::bytes(*frame_bytes))
        }
        HubStep::PingQueued { .. } => "ping queued".to_owned(),
        HubStep::Written { bytes, .. } => format!("{} written", words::bytes(*bytes)),
        HubStep::PongRead { round_trip, .. } => match round_trip {
            None => "pong read that no ping asked for".to_owned(),
            Some(RoundTrip { most_ns, open: 0 | 1, .. }) => {
                format!("pong read, {} after its ping", nanos(*most_ns))
            }
            Some(RoundTrip { least_ns, most_ns, open }) => format!(
                "pong read, to one of {open} open pings: {} to {} after it",
                nanos(*least_ns),
                nanos(*most_ns)
            ),
        },
        HubStep::EndDecided { category, silent_ns, .. } => {
            format!("end decided: {}, silent for {}", category.name(), nanos(*silent_ns))
        }
        HubStep::Gone { wire, written_bytes } => format!(
            "socket gone: {}; {} written in all",
            words::wire(Some(wire)),
            words::bytes(*written_bytes)
        ),
    }
}

fn client_words(step: &ClientStep) -> String {
    match step {
        ClientStep::Begun => "attempt begun".to_owned(),
        ClientStep::Connected => "connected".to_owned(),
        ClientStep::Upgraded => "upgraded".to_owned(),
        ClientStep::Opened { connection_id: None } => "open".to_owned(),
        ClientStep::Opened { connection_id: Some(id) } => format!("open, connection {id}"),
        ClientStep::Read(frame) => frame_words(frame, "read"),
        ClientStep::Sent(frame) => frame_words(frame, "sent"),
        ClientStep::PingRead => "ping read".to_owned(),
        ClientStep::PongSent => "pong sent".to_owned(),
        ClientStep::PongHeld { for_ns } => format!("pong held back for {}", nanos(*for_ns)),
        ClientStep::PongSuppressed => "no pong, as it behaves".to_owned(),
        ClientStep::StopsReading => "stops reading".to_owned(),
        ClientStep::ReadsAgain => "reads again".to_owned(),
        ClientStep::Vanishes => "vanishes".to_owned(),
        ClientStep::CloseSent { code, reason } => {
            format!("close frame sent: {}", words::close(*code, reason))
        }
        ClientStep::CloseRead { code, reason } => {
            format!("close frame read: {}", words::close(*code, reason))
        }
        ClientStep::Ended { observation, wish } => {
            let wish = match wish {
                Wish::Stay => "it wanted to stay",
                Wish::Leave => "it was leaving",
                Wish::Vanish => "it had vanished",
            };
            format!("ended: {}; {wish}", words::observation(observation))
        }
        ClientStep::ReconnectPlanned { in_ns } => format!("next attempt in {}", nanos(*in_ns)),
    }
}

fn frame_words(frame: &FrameTold, verb: &str) -> String {
    let stamp = frame.stamp.map(|(stream, sequence)| format!(", stream {stream} no. {sequence}"));
    format!(
        "{} {verb}, {}{}",
        frame_word(frame),
        words::bytes(frame.payload_bytes),
        stamp.unwrap_or_default()
    )
}

fn nanos(ns: u64) -> String {
    words::micros(ns / 1_000)
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
