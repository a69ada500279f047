//! The order in which a story is read: by time, and what caused before what it caused.
//!
//! Where the clock ticks in milliseconds many lines share an instant, and each side knows only its
//! own order. But frames arrive in the order in which they were sent: the n-th of a kind that one
//! side reads is the n-th of it that the other one gave away. (By kind, because of data frames, and
//! of these only, some may be missing.)

use std::collections::{BTreeMap, VecDeque};

use super::Line;
use crate::event::{ClientStep, StorySide};
use crate::protocol::story::{FrameOpcode, HubStep};

/// Kinds of frames whose order is kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Data,
    Ping,
    Pong,
    Close,
}

const fn kind(opcode: FrameOpcode) -> Kind {
    match opcode {
        FrameOpcode::Text | FrameOpcode::Binary => Kind::Data,
        FrameOpcode::Ping => Kind::Ping,
        FrameOpcode::Pong => Kind::Pong,
        FrameOpcode::Close => Kind::Close,
    }
}

/// Where a line stands between the two sides of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// The client asks to be let in.
    Asks,
    /// The hub lets it in, or does not.
    Answers,
    /// The client knows it.
    Knows,
    /// The client gives a frame away.
    ClientGives(Kind),
    /// The hub reads one.
    HubReads(Kind),
    /// The hub gives a frame away.
    HubGives(Kind),
    /// The client reads one.
    ClientReads(Kind),
    /// Nothing that passes between them.
    Own,
}

const fn part(side: &StorySide) -> Part {
    match side {
        StorySide::Hub(step) => match step {
            HubStep::Refused { .. } | HubStep::Opened => Part::Answers,
            HubStep::Read { opcode, .. } => Part::HubReads(kind(*opcode)),
            HubStep::PongRead { .. } => Part::HubReads(Kind::Pong),
            HubStep::MessageQueued { .. } => Part::HubGives(Kind::Data),
            HubStep::FrameQueued { opcode, .. } => Part::HubGives(kind(*opcode)),
            HubStep::PingQueued { .. } => Part::HubGives(Kind::Ping),
            HubStep::Written { .. } | HubStep::EndDecided { .. } | HubStep::Gone { .. } => {
                Part::Own
            }
        },
        StorySide::Client(step) => match step {
            ClientStep::Connected => Part::Asks,
            ClientStep::Upgraded => Part::Knows,
            ClientStep::Sent(frame) => Part::ClientGives(kind(frame.opcode)),
            ClientStep::PongSent => Part::ClientGives(Kind::Pong),
            ClientStep::CloseSent { .. } => Part::ClientGives(Kind::Close),
            ClientStep::Read(frame) => Part::ClientReads(kind(frame.opcode)),
            ClientStep::PingRead => Part::ClientReads(Kind::Ping),
            ClientStep::CloseRead { .. } => Part::ClientReads(Kind::Close),
            ClientStep::Begun
            | ClientStep::Opened { .. }
            | ClientStep::PongHeld { .. }
            | ClientStep::PongSuppressed
            | ClientStep::StopsReading
            | ClientStep::ReadsAgain
            | ClientStep::Vanishes
            | ClientStep::Ended { .. }
            | ClientStep::ReconnectPlanned { .. } => Part::Own,
        },
    }
}

/// What has passed between the two sides of one attempt.
#[derive(Clone, Debug, Default)]
struct Passed {
    asked: u64,
    answered: u64,
    known: u64,
    client_gave: BTreeMap<Kind, u64>,
    hub_read: BTreeMap<Kind, u64>,
    hub_gave: BTreeMap<Kind, u64>,
    client_read: BTreeMap<Kind, u64>,
}

impl Passed {
    /// Whether a line's cause has been told.
    fn allows(&self, part: Part) -> bool {
        match part {
            Part::Asks | Part::ClientGives(_) | Part::HubGives(_) | Part::Own => true,
            Part::Answers => self.answered < self.asked,
            Part::Knows => self.known < self.answered,
            Part::HubReads(kind) => self.hub_read.get(&kind) < self.client_gave.get(&kind),
            Part::ClientReads(kind) => self.client_read.get(&kind) < self.hub_gave.get(&kind),
        }
    }

    fn note(&mut self, part: Part) {
        match part {
            Part::Asks => self.asked += 1,
            Part::Answers => self.answered += 1,
            Part::Knows => self.known += 1,
            Part::ClientGives(kind) => *self.client_gave.entry(kind).or_default() += 1,
            Part::HubReads(kind) => *self.hub_read.entry(kind).or_default() += 1,
            Part::HubGives(kind) => *self.hub_gave.entry(kind).or_default() += 1,
            Part::ClientReads(kind) => *self.client_read.entry(kind).or_default() += 1,
            Part::Own => {}
        }
    }
}

/// The lines by time; of one instant each side in its own order, the hub's before the client's
/// unless they follow from the client's.
pub(super) fn by_time(lines: &[Line]) -> Vec<&Line> {
    let mut sorted: Vec<&Line> = lines.iter().collect();
    // Stable: lines of one instant and side stay as they came.
    sorted.sort_by_key(|(at_ns, _)| *at_ns);
    let nothing = Passed::default();
    let mut passed: BTreeMap<u32, Passed> = BTreeMap::new();
    let mut told = Vec::with_capacity(lines.len());
    for instant in sorted.chunk_by(|a, b| a.0 == b.0) {
        let is_hub = |line: &&&Line| matches!(line.1.side, StorySide::Hub(_));
        let mut hub: VecDeque<&Line> = instant.iter().filter(is_hub).copied().collect();
        let mut client: VecDeque<&Line> =
            instant.iter().filter(|line| !is_hub(line)).copied().collect();
        loop {
            let may_come = |line: Option<&&Line>| {
                line.is_some_and(|(_, line)| {
                    let passed = passed.get(&line.attempt.attempt).unwrap_or(&nothing);
                    passed.allows(part(&line.side))
                })
            };
            // Without any that may come (lines are missing) the hub's own order is as good.
            let next = if may_come(hub.front()) || (!may_come(client.front()) && !hub.is_empty()) {
                hub.pop_front()
            } else {
                client.pop_front()
            };
            let Some(line) = next else { break };
            passed.entry(line.1.attempt.attempt).or_default().note(part(&line.1.side));
            told.push(line);
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{FrameTold, StoryLine};
    use crate::protocol::AttemptId;
    use crate::protocol::story::{FrameOpcode, QueueDepth};

    fn line(at_ns: u64, side: StorySide) -> Line {
        let attempt = AttemptId { population: "a".into(), index: 0, attempt: 0 };
        (at_ns, StoryLine { attempt, side })
    }

    fn hub(at_ns: u64, step: HubStep) -> Line {
        line(at_ns, StorySide::Hub(step))
    }

    fn client(at_ns: u64, step: ClientStep) -> Line {
        line(at_ns, StorySide::Client(step))
    }

    fn ping() -> HubStep {
        HubStep::PingQueued { queue: QueueDepth::default() }
    }

    fn pong() -> HubStep {
        HubStep::PongRead { round_trip: None, queue: QueueDepth::default() }
    }

    #[test]
    fn of_one_instant_a_cause_comes_before_its_effect() {
        let text = FrameTold::bare(FrameOpcode::Text, 1);
        let read = HubStep::Read { opcode: FrameOpcode::Text, payload_bytes: 1 };
        let wanted = [
            client(5, ClientStep::Begun),
            client(5, ClientStep::Connected),
            hub(5, HubStep::Opened),
            client(5, ClientStep::Upgraded),
            client(5, ClientStep::Sent(text)),
            hub(5, read),
            hub(9, ping()),
            client(9, ClientStep::PingRead),
            client(9, ClientStep::PongSent),
            hub(9, pong()),
        ];
        let of_hub = |line: &&Line| matches!(line.1.side, StorySide::Hub(_));
        let mut came: Vec<Line> = wanted.iter().filter(of_hub).cloned().collect();
        came.extend(wanted.iter().filter(|line| !of_hub(line)).cloned());
        assert_eq!(by_time(&came), wanted.iter().collect::<Vec<_>>());
    }

    #[test]
    fn missing_data_frames_do_not_confuse_the_close() {
        let read = |opcode| hub(9, HubStep::Read { opcode, payload_bytes: 2 });
        let close = client(9, ClientStep::CloseSent { code: None, reason: String::new() });
        let came = [read(FrameOpcode::Text), read(FrameOpcode::Close), close];
        assert_eq!(by_time(&came), [&came[2], &came[0], &came[1]]);
    }

    #[test]
    fn where_causes_are_missing_every_line_is_told_all_the_same() {
        let came = [hub(5, pong()), client(5, ClientStep::PingRead), client(4, ClientStep::Begun)];
        let told = by_time(&came);
        assert_eq!(told, [&came[2], &came[0], &came[1]]);
    }
}
