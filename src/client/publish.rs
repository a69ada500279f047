//! What a sending client keeps: the next number of each stream, what waits for `in_flight`, and
//! what waits for its acknowledgement.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::outbox::Outbox;
use super::{Identity, decrement, increment};
use crate::measure::LatencyKind;
use crate::protocol::Subprotocol;
use crate::protocol::stamp::{STAMP_BYTES, Stamp};
use crate::protocol::subprotocol::{AckFailure, ClientFrame, Payload};
use crate::scenario::plan::{Destination, GroupIndex, Traffic};
use crate::ws::Opcode;

/// Most messages of one client that wait for `in_flight`; more are counted as not sent.
pub const BACKLOG_MAX: usize = 16 * 1024;

/// Most messages of one connection that wait for their acknowledgement; more are not sent.
pub const UNACKNOWLEDGED_MAX: usize = 16 * 1024;

/// How long a message without acknowledgement may be on its way to the hub once the socket has
/// taken it. Handed over later before a receiver's end, it may have come too late for that one.
pub const ON_ITS_WAY: Duration = Duration::from_secs(1);

/// A client's share of one traffic.
#[derive(Debug)]
struct Lane {
    traffic: usize,
    stream: u32,
    /// Number of the last message sent.
    sequence: u32,
    in_flight: u32,
    /// Planned instants of messages that wait for `in_flight`.
    backlog: VecDeque<Instant>,
}

/// A message that was sent and not acknowledged yet.
#[derive(Debug)]
struct Awaited {
    ack_id: u64,
    lane: usize,
    sequence: u32,
    planned_ns: u64,
    sent_ns: u64,
}

/// A message without acknowledgement that the socket has not taken yet.
#[derive(Debug)]
struct Unhanded {
    /// Its end in the outbox.
    position: u64,
    stream: u32,
    sequence: u32,
}

/// The sending side of one client. Numbers go on over reconnects, everything else ends with the
/// connection.
#[derive(Debug, Default)]
pub struct Publisher {
    lanes: Vec<Lane>,
    awaited: VecDeque<Awaited>,
    unhanded: VecDeque<Unhanded>,
}

/// Where a publish goes: the open connection's outbox, acknowledgement ids and count of sent ones.
#[derive(Debug)]
pub struct Line<'a> {
    /// Outbox of the connection.
    pub outbox: &'a mut Outbox,
    /// Last acknowledgement id used on the connection.
    pub last_ack_id: &'a mut u64,
    /// Messages sent on the connection.
    pub sent: &'a mut u64,
}

/// What became of a publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Published {
    /// Handed to the outbox.
    Sent,
    /// Waits for `in_flight`.
    Waits,
    /// Not sent, and never will be.
    Refused,
}

impl Publisher {
    /// A message of a traffic is due.
    pub fn publish(
        &mut self,
        me: &Identity,
        line: &mut Line<'_>,
        traffic: usize,
        planned: Instant,
    ) -> Published {
        let Some(lane) = self.lane(me, traffic) else {
            return Published::Refused;
        };
        let settings = &me.shard.plan.traffic[traffic];
        if self.lanes[lane].must_wait(settings) {
            let backlog = &mut self.lanes[lane].backlog;
            if backlog.len() >= BACKLOG_MAX {
                return Published::Refused;
            }
            backlog.push_back(planned);
            increment(&me.shard.counts.waiting);
            return Published::Waits;
        }
        self.send(me, line, lane, planned)
    }

    /// Position of the traffic's lane, made when it is first used; `None` when this client does not
    /// send it.
    fn lane(&mut self, me: &Identity, traffic: usize) -> Option<usize> {
        if let Some(lane) = self.lanes.iter().position(|lane| lane.traffic == traffic) {
            return Some(lane);
        }
        let settings = me.shard.plan.traffic.get(traffic)?;
        let position = settings.from.position(me.population, me.index)?;
        self.lanes.push(Lane {
            traffic,
            stream: settings.stream_base + position,
            sequence: 0,
            in_flight: 0,
            backlog: VecDeque::new(),
        });
        Some(self.lanes.len() - 1)
    }

    /// Builds the frame and puts it into the outbox.
    fn send(
        &mut self,
        me: &Identity,
        line: &mut Line<'_>,
        at: usize,
        planned: Instant,
    ) -> Published {
        if self.awaited.len() >= UNACKNOWLEDGED_MAX {
            return Published::Refused;
        }
        let lane = &mut self.lanes[at];
        let settings = &me.shard.plan.traffic[lane.traffic];
        let size = (settings.size as usize).max(STAMP_BYTES);
        let sequence = lane.sequence + 1;
        let (planned_ns, sent_ns) = (me.ns(planned), me.ns(Instant::now()));
        let mut data = Vec::with_capacity(size);
        Stamp { stream: lane.stream, sequence, planned_ns, sent_ns }.write(size, &mut data);
        let ack_id = settings.acknowledged.then_some(*line.last_ack_id + 1);
        let data = String::from_utf8(data).unwrap_or_default();
        let frame = match me.population().protocol {
            Subprotocol::Json => json_frame(me, settings, ack_id, data),
            // Whatever it sends is its event.
            Subprotocol::Simple => data,
        };
        if !line.outbox.takes(frame.len()) {
            return Published::Refused;
        }
        lane.sequence = sequence;
        me.shard.book.note_sent(lane.stream, sequence);
        me.shard.traffic.borrow_mut().sent(lane.traffic, sent_ns);
        line.outbox.push(Opcode::Text, frame.as_bytes());
        *line.sent += 1;
        let counts = &me.shard.counts;
        counts.published.set(counts.published.get() + 1);
        if let Some(ack_id) = ack_id {
            *line.last_ack_id = ack_id;
            lane.in_flight += 1;
            counts.unacknowledged.set(counts.unacknowledged.get() + 1);
            self.awaited.push_back(Awaited { ack_id, lane: at, sequence, planned_ns, sent_ns });
        } else if let Destination::Group(_) | Destination::Rooms(_) = settings.to {
            let position = line.outbox.end();
            self.unhanded.push_back(Unhanded { position, stream: lane.stream, sequence });
        }
        Published::Sent
    }

    /// The socket took bytes: messages without acknowledgement count as acknowledged once whole.
    pub fn note_handed(&mut self, me: &Identity, outbox: &Outbox) {
        while let Some(front) = self.unhanded.front() {
            if !outbox.has_handed(front.position) {
                break;
            }
            let at_the_hub = me.ns(Instant::now() + ON_ITS_WAY);
            me.shard.book.note_acknowledged(front.stream, front.sequence, at_the_hub);
            self.unhanded.pop_front();
        }
    }

    /// An acknowledgement was read. What waited for it is sent.
    pub fn acknowledged(
        &mut self,
        me: &Identity,
        line: &mut Line<'_>,
        ack_id: u64,
        success: Success,
        now: Instant,
    ) {
        let Ok(at) = self.awaited.binary_search_by_key(&ack_id, |awaited| awaited.ack_id) else {
            return;
        };
        let Some(awaited) = self.awaited.remove(at) else {
            return;
        };
        let counts = &me.shard.counts;
        counts.unacknowledged.set(counts.unacknowledged.get().saturating_sub(1));
        let lane = &mut self.lanes[awaited.lane];
        lane.in_flight = lane.in_flight.saturating_sub(1);
        if success == Success::Yes {
            let now_ns = me.ns(now);
            me.shard.book.note_acknowledged(lane.stream, awaited.sequence, now_ns);
            let since = |then_ns| Identity::since_ns(now_ns, then_ns);
            let (response, service) = (since(awaited.planned_ns), since(awaited.sent_ns));
            me.record(LatencyKind::Acknowledgement, now_ns, response, service);
        }
        self.release(me, line, awaited.lane);
    }

    /// Sends what `in_flight` allows.
    fn release(&mut self, me: &Identity, line: &mut Line<'_>, at: usize) {
        let settings = &me.shard.plan.traffic[self.lanes[at].traffic];
        while !self.lanes[at].must_wait(settings) {
            let Some(planned) = self.lanes[at].backlog.pop_front() else {
                break;
            };
            decrement(&me.shard.counts.waiting);
            if self.send(me, line, at, planned) == Published::Refused {
                me.note_not_sent(1);
            }
        }
    }

    /// Messages that wait for `in_flight`.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.lanes.iter().map(|lane| lane.backlog.len()).sum()
    }

    /// Nothing more will be sent on this connection: what still waits is not sent.
    pub fn give_up_backlog(&mut self, me: &Identity) {
        let waiting = &me.shard.counts.waiting;
        waiting.set(waiting.get().saturating_sub(self.backlog() as u64));
        me.note_not_sent(self.backlog() as u64);
        for lane in &mut self.lanes {
            lane.backlog = VecDeque::new();
        }
    }

    /// The connection is gone, and with it what it still owed.
    pub fn connection_ended(&mut self, me: &Identity) {
        self.give_up_backlog(me);
        let counts = &me.shard.counts;
        let open = self.awaited.len() as u64;
        counts.unacknowledged.set(counts.unacknowledged.get().saturating_sub(open));
        self.awaited = VecDeque::new();
        self.unhanded = VecDeque::new();
        for lane in &mut self.lanes {
            lane.in_flight = 0;
        }
    }
}

/// The frame of a JSON client that sends this.
fn json_frame(me: &Identity, settings: &Traffic, ack_id: Option<u64>, data: String) -> String {
    let payload = Payload::Text(data);
    let to_group = |group: GroupIndex, payload| ClientFrame::SendToGroup {
        group: me.shard.plan.groups[group as usize].clone(),
        ack_id,
        no_echo: settings.no_echo,
        payload,
    };
    let frame = match &settings.to {
        Destination::Group(group) => to_group(*group, payload),
        Destination::Rooms(rooms) => to_group(rooms.of(me.index), payload),
        Destination::Event { event, .. } => {
            ClientFrame::Event { event: event.as_str().to_owned(), ack_id, payload }
        }
        // A plan has these from REST only.
        Destination::Users { .. } | Destination::Everybody => ClientFrame::Ping,
    };
    frame.print()
}

/// What an acknowledgement said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Success {
    /// Done (or had been done before).
    Yes,
    /// Not done.
    No(AckFailure),
}

impl Lane {
    fn must_wait(&self, settings: &Traffic) -> bool {
        settings.acknowledged && settings.in_flight.is_some_and(|most| self.in_flight >= most)
    }
}
