//! The story of the watched client's connections, one line per thing, for whoever reads it over the
//! control API. Of every other connection only an `Option` is looked at.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use tokio::time::Instant;

use super::connection::Connection;
use super::log::LineLog;
use super::queue::FrameKind;
use super::state::Hub;
use crate::protocol::AttemptId;
use crate::protocol::control::HubRefusal;
use crate::protocol::story::{
    FrameOpcode, HubStep, HubStoryLine, LineBudget, QueueDepth, RoundTrip, Watched,
};
use crate::ws::{Opcode, ReadEvent};

/// Pings of one connection whose pong is waited for, at most; the oldest are forgotten.
const OPEN_PINGS_MAX: usize = 64;

/// Who is watched, and the lines so far.
#[derive(Debug, Default)]
pub struct Story {
    /// The lines.
    pub log: Rc<LineLog>,
    watched: RefCell<Option<Watched>>,
    budget: LineBudget,
}

/// What the story keeps of a watched connection: when its unanswered pings were queued.
#[derive(Debug, Default)]
pub struct OpenPings(RefCell<VecDeque<Instant>>);

impl Story {
    /// A timeline starts, with nobody or somebody to watch.
    pub fn restart(&self, watched: Option<Watched>) {
        *self.watched.borrow_mut() = watched;
        self.budget.restart();
        self.log.restart();
    }

    /// What a new connection needs when it is watched.
    pub fn watch(&self, attempt: Option<&AttemptId>) -> Option<Box<OpenPings>> {
        self.watches(attempt?).then(Box::default)
    }

    fn watches(&self, attempt: &AttemptId) -> bool {
        self.watched.borrow().as_ref().is_some_and(|watched| watched.is_of(attempt))
    }

    fn push(&self, at_ns: u64, attempt: &AttemptId, step: HubStep) {
        if self.budget.admits(step.weight()) {
            let left_out = self.budget.left_out();
            self.log.push(&HubStoryLine { at_ns, attempt: attempt.clone(), step, left_out });
        }
    }
}

/// Tells what happened to a connection, if it is watched. (One of an earlier timeline is not.)
pub fn tell(hub: &Hub, connection: &Connection, step: impl FnOnce(QueueDepth) -> HubStep) {
    if connection.open_pings.is_none() || connection.timeline != hub.timeline.get() {
        return;
    }
    let Some(attempt) = &connection.attempt else { return };
    let queue = connection.queue.borrow();
    let depth = QueueDepth { bytes: queue.bytes(), messages: queue.messages() };
    drop(queue);
    hub.story.push(hub.clock.now_ns(), attempt, step(depth));
}

/// Tells of a connect request that was refused.
pub fn refused(hub: &Hub, refusal: &HubRefusal) {
    if let Some(attempt) = refusal.attempt.as_ref().filter(|attempt| hub.story.watches(attempt)) {
        let step = HubStep::Refused { category: refusal.category, status: refusal.status };
        hub.story.push(refusal.at_ns, attempt, step);
    }
}

/// Tells of a frame that came.
pub fn read(hub: &Hub, connection: &Connection, event: &ReadEvent<'_>) {
    let Some(pings) = &connection.open_pings else { return };
    let (opcode, payload_bytes) = match event {
        ReadEvent::Pong(_) => {
            let round_trip = pings.answered();
            tell(hub, connection, |queue| HubStep::PongRead { round_trip, queue });
            return;
        }
        ReadEvent::Text(text) => (FrameOpcode::Text, text.len()),
        ReadEvent::Binary(bytes) => (FrameOpcode::Binary, bytes.len()),
        ReadEvent::Ping(payload) => (FrameOpcode::Ping, payload.len()),
        ReadEvent::Close(frame) => (FrameOpcode::Close, frame.payload_bytes()),
    };
    let payload_bytes = payload_bytes as u64;
    tell(hub, connection, |_| HubStep::Read { opcode, payload_bytes });
}

/// Tells of an encoded frame that was put into the queue.
pub fn queued(hub: &Hub, connection: &Connection, frame: &[u8], kind: FrameKind) {
    let Some(pings) = &connection.open_pings else { return };
    let frame_bytes = frame.len() as u64;
    let opcode = opcode_of(frame);
    if opcode == FrameOpcode::Ping {
        pings.queued();
    }
    tell(hub, connection, |queue| match (kind, opcode) {
        (FrameKind::Message, _) => HubStep::MessageQueued { frame_bytes, queue },
        (FrameKind::Other, FrameOpcode::Ping) => HubStep::PingQueued { queue },
        (FrameKind::Other, _) => HubStep::FrameQueued { opcode, frame_bytes, queue },
    });
}

/// Kind of an encoded frame (which is whole: the hub sends no fragments).
fn opcode_of(frame: &[u8]) -> FrameOpcode {
    match frame.first().and_then(|first| Opcode::from_bits(first & 0x0f)) {
        Some(Opcode::Binary) => FrameOpcode::Binary,
        Some(Opcode::Ping) => FrameOpcode::Ping,
        Some(Opcode::Pong) => FrameOpcode::Pong,
        Some(Opcode::Close) => FrameOpcode::Close,
        Some(Opcode::Text | Opcode::Continuation) | None => FrameOpcode::Text,
    }
}

impl OpenPings {
    fn queued(&self) {
        let mut open = self.0.borrow_mut();
        if open.len() == OPEN_PINGS_MAX {
            open.pop_front();
        }
        open.push_back(Instant::now());
    }

    /// A pong has come: it answers one of the open pings, and pongs come in the order of pings.
    fn answered(&self) -> Option<RoundTrip> {
        let mut open = self.0.borrow_mut();
        let now = Instant::now();
        let since = |then: Instant| {
            let passed = now.saturating_duration_since(then);
            u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX)
        };
        let last = *open.back()?;
        let count = open.len() as u64;
        let first = open.pop_front()?;
        Some(RoundTrip { least_ns: since(last), most_ns: since(first), open: count })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_round_trip_counts_from_its_ping_and_says_which_pings_it_may_be_of() {
        let pings = OpenPings::default();
        assert_eq!(pings.answered(), None);
        let (tenth, tenth_ns) = (Duration::from_millis(100), 100_000_000);
        pings.queued();
        tokio::time::advance(tenth).await;
        let exact = RoundTrip { least_ns: tenth_ns, most_ns: tenth_ns, open: 1 };
        assert_eq!(pings.answered(), Some(exact));
        for _ in 0..2 {
            pings.queued();
            tokio::time::advance(tenth).await;
        }
        let either = RoundTrip { least_ns: tenth_ns, most_ns: 2 * tenth_ns, open: 2 };
        assert_eq!(pings.answered(), Some(either));
        assert_eq!(pings.answered(), Some(exact));
    }

    #[tokio::test(start_paused = true)]
    async fn pings_that_are_never_answered_are_bounded() {
        let pings = OpenPings::default();
        (0..OPEN_PINGS_MAX + 5).for_each(|_| pings.queued());
        assert_eq!(pings.answered().map(|trip| trip.open), Some(OPEN_PINGS_MAX as u64));
    }
}
