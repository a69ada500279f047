//! The story of the watched client, one line per thing. Every other client only looks at an
//! `Option`.

use std::cell::Cell;
use std::rc::Rc;

use tokio::sync::mpsc;
use tokio::time::Instant;

use super::Identity;
use crate::event::{ClientStep, FrameTold, JsonKind};
use crate::protocol::stamp::Stamp;
use crate::protocol::story::{FrameOpcode, LineBudget};
use crate::protocol::subprotocol::{ClientFrame, Payload, ServerFrame};
use crate::protocol::{AttemptId, Subprotocol};
use crate::scenario::Plan;
use crate::scenario::plan::PopulationIndex;
use crate::ws::{CloseFrame, Opcode, ReadEvent};

/// One virtual client of a plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WatchedClient {
    /// Its population.
    pub population: PopulationIndex,
    /// Which client of the population, from 0.
    pub index: u32,
}

/// One line of the client's story.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientStoryLine {
    /// Nanoseconds since the run's epoch.
    pub at_ns: u64,
    /// Which attempt.
    pub attempt: AttemptId,
    /// What happened.
    pub step: ClientStep,
    /// Lines left out so far.
    pub left_out: u64,
}

/// Whether the client reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// Whatever there is.
    Goes,
    /// Nothing, as its behaviour says.
    Rests,
}

/// Whose story is told, and who takes it.
#[derive(Debug)]
pub struct Story {
    who: WatchedClient,
    name: String,
    protocol: Subprotocol,
    epoch: Instant,
    lines: mpsc::Sender<ClientStoryLine>,
    attempt: Cell<u32>,
    reading: Cell<Reading>,
    budget: LineBudget,
}

impl Story {
    /// The story of `who`, whose times count from `epoch`; `None` when the plan has no such client.
    /// A line that finds no room in `lines` is left out and counted.
    #[must_use]
    pub fn of(
        plan: &Plan,
        who: WatchedClient,
        epoch: Instant,
        lines: mpsc::Sender<ClientStoryLine>,
    ) -> Option<Rc<Self>> {
        let population = plan.populations.get(usize::from(who.population))?;
        Some(Rc::new(Self {
            who,
            name: population.name.clone(),
            protocol: population.protocol,
            epoch,
            lines,
            attempt: Cell::new(0),
            reading: Cell::new(Reading::Goes),
            budget: LineBudget::default(),
        }))
    }

    /// Whether it is this client's.
    #[must_use]
    pub fn is_of(&self, population: PopulationIndex, index: u32) -> bool {
        self.who == WatchedClient { population, index }
    }

    /// A frame was given to the outbox.
    pub(super) fn sent(&self, opcode: Opcode, payload: &[u8]) {
        let bytes = payload.len() as u64;
        self.push(match opcode {
            Opcode::Close => {
                let CloseFrame { code, reason } = CloseFrame::parse(payload)
                    .unwrap_or(CloseFrame { code: None, reason: String::new() });
                ClientStep::CloseSent { code, reason }
            }
            Opcode::Pong => ClientStep::PongSent,
            Opcode::Ping => ClientStep::Sent(FrameTold::bare(FrameOpcode::Ping, bytes)),
            Opcode::Binary => ClientStep::Sent(data(FrameOpcode::Binary, payload)),
            Opcode::Text | Opcode::Continuation => ClientStep::Sent(match self.protocol {
                Subprotocol::Simple => data(FrameOpcode::Text, payload),
                Subprotocol::Json => sent_json(payload),
            }),
        });
    }

    fn read(&self, event: &ReadEvent<'_>) {
        self.push(match event {
            ReadEvent::Ping(_) => ClientStep::PingRead,
            ReadEvent::Pong(payload) => {
                ClientStep::Read(FrameTold::bare(FrameOpcode::Pong, payload.len() as u64))
            }
            ReadEvent::Close(frame) => {
                ClientStep::CloseRead { code: frame.code, reason: frame.reason.clone() }
            }
            ReadEvent::Binary(bytes) => ClientStep::Read(data(FrameOpcode::Binary, bytes)),
            ReadEvent::Text(text) => ClientStep::Read(match self.protocol {
                Subprotocol::Simple => data(FrameOpcode::Text, text.as_bytes()),
                Subprotocol::Json => read_json(text),
            }),
        });
    }

    fn push(&self, step: ClientStep) {
        if !self.budget.admits(step.weight()) {
            return;
        }
        let since = Instant::now().saturating_duration_since(self.epoch);
        let line = ClientStoryLine {
            at_ns: u64::try_from(since.as_nanos()).unwrap_or(u64::MAX),
            attempt: AttemptId {
                population: self.name.clone(),
                index: self.who.index,
                attempt: self.attempt.get(),
            },
            step,
            left_out: self.budget.left_out(),
        };
        if self.lines.try_send(line).is_err() {
            self.budget.note_left_out();
        }
    }
}

impl Identity {
    /// Tells what happens now, if this client is watched.
    pub(super) fn tell(&self, step: impl FnOnce() -> ClientStep) {
        if let Some(story) = &self.story {
            story.push(step());
        }
    }

    /// Tells that an attempt begins; what follows is of that attempt.
    pub(super) fn tell_begun(&self, attempt: u32) {
        if let Some(story) = &self.story {
            story.attempt.set(attempt);
            story.reading.set(Reading::Goes);
            story.push(ClientStep::Begun);
        }
    }

    /// Tells of a frame that was read.
    pub(super) fn tell_read(&self, event: &ReadEvent<'_>) {
        if let Some(story) = &self.story {
            story.read(event);
        }
    }

    /// Tells when the client stops reading, and when it goes on.
    pub(super) fn tell_reading(&self, reading: Reading) {
        if let Some(story) = &self.story
            && story.reading.replace(reading) != reading
        {
            story.push(match reading {
                Reading::Goes => ClientStep::ReadsAgain,
                Reading::Rests => ClientStep::StopsReading,
            });
        }
    }
}

/// A message of a simple client: nothing but data.
fn data(opcode: FrameOpcode, payload: &[u8]) -> FrameTold {
    FrameTold { opcode, kind: None, payload_bytes: payload.len() as u64, stamp: stamp(payload) }
}

fn stamp(data: &[u8]) -> Option<(u32, u32)> {
    Stamp::read(data).map(|stamp| (stamp.stream, stamp.sequence))
}

fn stamp_of(payload: &Payload) -> Option<(u32, u32)> {
    match payload {
        Payload::Text(text) | Payload::Json(text) => stamp(text.as_bytes()),
        Payload::Binary(bytes) => stamp(bytes),
    }
}

fn read_json(text: &str) -> FrameTold {
    let (kind, stamp) = match ServerFrame::parse(text) {
        Ok(ServerFrame::Connected { .. }) => (JsonKind::Connected, None),
        Ok(ServerFrame::Disconnected { .. }) => (JsonKind::Disconnected, None),
        Ok(ServerFrame::Ack { result: Ok(()), .. }) => (JsonKind::Ack, None),
        Ok(ServerFrame::Ack { result: Err(_), .. }) => (JsonKind::FailedAck, None),
        Ok(ServerFrame::Message { payload, .. }) => (JsonKind::Message, stamp_of(&payload)),
        Ok(ServerFrame::Pong) => (JsonKind::Pong, None),
        Ok(ServerFrame::Unknown) | Err(_) => (JsonKind::Unknown, None),
    };
    json(kind, stamp, text.len())
}

fn sent_json(payload: &[u8]) -> FrameTold {
    let frame = str::from_utf8(payload).ok().and_then(|text| ClientFrame::parse(text).ok());
    let (kind, stamp) = match frame {
        Some(ClientFrame::JoinGroup { .. }) => (JsonKind::JoinGroup, None),
        Some(ClientFrame::LeaveGroup { .. }) => (JsonKind::LeaveGroup, None),
        Some(ClientFrame::SendToGroup { payload, .. }) => {
            (JsonKind::SendToGroup, stamp_of(&payload))
        }
        Some(ClientFrame::Event { payload, .. }) => (JsonKind::Event, stamp_of(&payload)),
        Some(ClientFrame::Ping) => (JsonKind::Ping, None),
        Some(ClientFrame::SequenceAck { .. }) => (JsonKind::SequenceAck, None),
        None => (JsonKind::Unknown, None),
    };
    json(kind, stamp, payload.len())
}

const fn json(kind: JsonKind, stamp: Option<(u32, u32)>, bytes: usize) -> FrameTold {
    FrameTold { opcode: FrameOpcode::Text, kind: Some(kind), payload_bytes: bytes as u64, stamp }
}
