//! How the lines of a story are worded.

use super::super::words;
use crate::event::{ClientStep, FrameTold, JsonKind, StorySide, Wish, World};
#[cfg(test)]
use crate::protocol::control::HubWire;
use crate::protocol::story::{FrameOpcode, HubStep, RoundTrip};

/// A routine line without its figures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Deed {
    /// What there is one or many of.
    pub(super) noun: &'static str,
    /// What became of it.
    pub(super) verb: &'static str,
}

/// What a routine line says, and its bytes; `None` of a rare one.
pub(super) const fn deed(side: &StorySide) -> Option<(Deed, u64)> {
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

/// A line of the hub's in words.
pub(super) fn hub_words(world: World, step: &HubStep) -> String {
    let nanos = |ns| nanos(world, ns);
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

/// A line of the client's in words.
pub(super) fn client_words(world: World, step: &ClientStep) -> String {
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
        ClientStep::PongHeld { for_ns } => format!("pong held back for {}", nanos(world, *for_ns)),
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
        ClientStep::ReconnectPlanned { in_ns } if is_at_once(world, *in_ns) => {
            "next attempt at once".to_owned()
        }
        ClientStep::ReconnectPlanned { in_ns } => {
            format!("next attempt in {}", nanos(world, *in_ns))
        }
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

fn nanos(world: World, ns: u64) -> String {
    words::micros_in(world, ns / 1_000)
}

/// Whether a wait is none by the world's clock.
const fn is_at_once(world: World, ns: u64) -> bool {
    match world {
        World::Sockets => ns == 0,
        World::Virtual => ns < 1_000_000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_than_a_tick_of_the_virtual_clock_is_no_figure_in_a_story() {
        let pong = |least_ns, most_ns, open| HubStep::PongRead {
            round_trip: Some(RoundTrip { least_ns, most_ns, open }),
            queue: crate::protocol::story::QueueDepth::default(),
        };
        let told = |world, step| hub_words(world, &step);
        assert_eq!(told(World::Virtual, pong(0, 0, 1)), "pong read, < 1 ms after its ping");
        let several = told(World::Virtual, pong(0, 2_000_000_000, 2));
        assert_eq!(several, "pong read, to one of 2 open pings: < 1 ms to 2.00 s after it");
        assert_eq!(told(World::Sockets, pong(0, 0, 1)), "pong read, 0 µs after its ping");
        let next = |world, in_ns| client_words(world, &ClientStep::ReconnectPlanned { in_ns });
        assert_eq!(next(World::Virtual, 0), "next attempt at once");
        assert_eq!(next(World::Sockets, 0), "next attempt at once");
        assert_eq!(next(World::Sockets, 7_000), "next attempt in 7 µs");
    }

    #[test]
    fn a_reset_that_the_hub_met_is_not_laid_to_the_client() {
        let gone = HubStep::Gone { wire: HubWire::ClientReset, written_bytes: 7 };
        let told = hub_words(World::Virtual, &gone);
        assert_eq!(told, "socket gone: a reset; 7 B written in all");
    }
}
