//! What is said over one connection: what a frame that was read means, and what goes back.

use tokio::time::Instant;

use super::Identity;
use super::behaviour::{Behaviours, PingAnswer};
use super::outbox::Outbox;
use super::publish::{Line, Publisher, Success};
use super::{StreamKind, increment, open::connection_key};
use crate::event::ClientStep;
use crate::measure::{DeliveryTracker, LatencyKind};
use crate::pace::Purpose;
use crate::protocol::stamp::Stamp;
use crate::protocol::subprotocol::{ClientFrame, Glance, Payload, ServerFrame, glance};
use crate::protocol::{CloseCode, Subprotocol};
use crate::scenario::plan::GroupIndex;
use crate::ws::frame::close_payload;
use crate::ws::reader::FrameError;
use crate::ws::{CloseFrame, Opcode, ReadEvent};

/// Code of a client that leaves in order.
pub const CLOSE_NORMAL: CloseCode = 1000;
const CLOSE_PROTOCOL_ERROR: CloseCode = 1002;
const CLOSE_BAD_KIND: CloseCode = 1003;
const CLOSE_BAD_PAYLOAD: CloseCode = 1007;
const CLOSE_TOO_LARGE: CloseCode = 1009;

/// What ended the reading.
#[derive(Debug)]
pub enum Heard {
    /// The hub's close frame.
    Close(CloseFrame),
    /// The hub broke the protocol.
    Broken {
        /// How, in few fixed words.
        what: String,
        /// The code to close with.
        code: CloseCode,
    },
}

/// Counts of one connection.
#[derive(Debug, Default)]
pub struct Counts {
    /// Messages received.
    pub received: u64,
    /// Bytes read after the upgrade.
    pub read_bytes: u64,
    /// Messages sent.
    pub sent: u64,
    /// Websocket pings read.
    pub pings: u64,
    /// Websocket pongs sent.
    pub pongs: u64,
}

/// State of the conversation.
#[derive(Debug)]
pub struct Talk {
    /// What is on its way out.
    pub outbox: Outbox,
    /// Delivery of load messages.
    pub tracker: DeliveryTracker,
    /// Delivery of replies to the client's own events, where they are to come back.
    pub replies: Option<Box<DeliveryTracker>>,
    /// What the client does or fails to do.
    pub behaviours: Behaviours,
    /// Counts.
    pub counts: Counts,
    /// Connection id, where the subprotocol tells it.
    pub connection_id: Option<Box<str>>,
    /// What ended the reading, once something has.
    pub heard: Option<Heard>,
    /// Last acknowledgement id used.
    last_ack_id: u64,
    /// Joins that wait for their acknowledgement.
    joins: Vec<(u64, GroupIndex)>,
    /// End of the client's own close frame in the outbox.
    close_position: Option<u64>,
}

impl Talk {
    /// A conversation that begins with an open connection: JSON clients ask to join their groups,
    /// simple clients are in theirs.
    pub fn open(
        me: &Identity,
        attempt: u32,
        opened: Instant,
        connection_id: Option<String>,
    ) -> Self {
        let (_, masks) = connection_key(me, attempt);
        let plan = &me.population().behaviours;
        let epoch = me.shard.epoch;
        let mut talk = Self {
            outbox: Outbox::new(masks).told_in(me.story.clone()),
            tracker: DeliveryTracker::new(me.shard.book.clone()),
            replies: None,
            behaviours: Behaviours::new(plan, epoch, opened, || {
                me.rng(Purpose::Behaviour, attempt)
            }),
            counts: Counts::default(),
            connection_id: connection_id.map(String::into_boxed_str),
            heard: None,
            last_ack_id: 0,
            joins: Vec::new(),
            close_position: None,
        };
        for stream in me.streams_echoed() {
            let tracker = || Box::new(DeliveryTracker::new(me.shard.book.clone()));
            talk.replies.get_or_insert_with(tracker).asking(stream);
        }
        let by_rest = me.streams_by_rest();
        if !by_rest.is_empty() {
            talk.tracker.joined(&by_rest);
        }
        for group in me.population().groups_of(me.index) {
            match me.population().protocol {
                Subprotocol::Simple => talk.tracker.joined(&me.streams_to(group)),
                Subprotocol::Json => talk.ask_to_join(me, group),
            }
        }
        talk
    }

    fn ask_to_join(&mut self, me: &Identity, group: GroupIndex) {
        self.last_ack_id += 1;
        self.joins.push((self.last_ack_id, group));
        let name = me.shard.plan.groups[group as usize].clone();
        let frame = ClientFrame::JoinGroup { group: name, ack_id: Some(self.last_ack_id) };
        self.outbox.push(Opcode::Text, frame.print().as_bytes());
    }

    /// Where a publish goes.
    pub fn line(&mut self) -> Line<'_> {
        Line {
            outbox: &mut self.outbox,
            last_ack_id: &mut self.last_ack_id,
            sent: &mut self.counts.sent,
        }
    }

    /// Takes a frame that was read.
    pub fn take(
        &mut self,
        me: &Identity,
        publisher: Option<&mut Publisher>,
        now: Instant,
        event: ReadEvent<'_>,
    ) {
        me.tell_read(&event);
        match (event, me.population().protocol) {
            (ReadEvent::Ping(payload), _) => self.answer_ping(me, now, payload),
            (ReadEvent::Pong(_), _) => {}
            (ReadEvent::Close(frame), _) => self.heard = Some(Heard::Close(frame)),
            (ReadEvent::Text(text), Subprotocol::Simple) => {
                self.take_message(me, now, text.as_bytes());
            }
            (ReadEvent::Binary(bytes), Subprotocol::Simple) => self.take_message(me, now, bytes),
            (ReadEvent::Text(text), Subprotocol::Json) => {
                self.take_json(me, publisher, now, text);
            }
            (ReadEvent::Binary(_), Subprotocol::Json) => {
                self.broken("a binary frame on a JSON client", CLOSE_BAD_KIND);
            }
        }
    }

    fn take_json(
        &mut self,
        me: &Identity,
        publisher: Option<&mut Publisher>,
        now: Instant,
        text: &str,
    ) {
        match glance(text.as_bytes()) {
            Glance::Text(data) => self.take_message(me, now, data),
            Glance::AckOk(id) => self.take_ack(me, publisher, id, Success::Yes, now),
            Glance::Other => match ServerFrame::parse(text) {
                Ok(ServerFrame::Message { payload, .. }) => match payload {
                    Payload::Text(data) | Payload::Json(data) => {
                        self.take_message(me, now, data.as_bytes());
                    }
                    Payload::Binary(data) => self.take_message(me, now, &data),
                },
                Ok(ServerFrame::Ack { ack_id, result }) => {
                    let failure = result.err().and_then(|error| error.name.failure());
                    let success = failure.map_or(Success::Yes, Success::No);
                    self.take_ack(me, publisher, ack_id, success, now);
                }
                Ok(
                    ServerFrame::Connected { .. }
                    | ServerFrame::Disconnected { .. }
                    | ServerFrame::Pong
                    | ServerFrame::Unknown,
                ) => {}
                Err(_) => self.broken("a text frame that is no JSON frame", CLOSE_BAD_PAYLOAD),
            },
        }
    }

    /// A message: counted, and timed and tracked when it carries a stamp.
    fn take_message(&mut self, me: &Identity, now: Instant, data: &[u8]) {
        self.counts.received += 1;
        increment(&me.shard.counts.received);
        if let Some(stamp) = Stamp::read(data) {
            let kind = match me.kind_of(stamp.stream) {
                StreamKind::Group => {
                    self.tracker.received(stamp.stream, stamp.sequence);
                    LatencyKind::Message
                }
                StreamKind::EchoDemanded => {
                    if let Some(replies) = &mut self.replies {
                        replies.received(stamp.stream, stamp.sequence);
                    }
                    LatencyKind::Echo
                }
                StreamKind::Echo => LatencyKind::Echo,
            };
            let now_ns = me.ns(now);
            me.note_received(&stamp, now_ns);
            let since = |then_ns| Identity::since_ns(now_ns, then_ns);
            let (response, service) = (since(stamp.planned_ns), since(stamp.sent_ns));
            me.record(kind, now_ns, response, service);
        }
    }

    fn take_ack(
        &mut self,
        me: &Identity,
        publisher: Option<&mut Publisher>,
        ack_id: u64,
        success: Success,
        now: Instant,
    ) {
        if let Success::No(failure) = success {
            me.note_ack_failed(failure);
        }
        if let Some(at) = self.joins.iter().position(|(id, _)| *id == ack_id) {
            let (_, group) = self.joins.swap_remove(at);
            if success == Success::Yes {
                self.tracker.joined(&me.streams_to(group));
            }
            if self.joins.is_empty() {
                self.joins = Vec::new();
            }
        } else if let Some(publisher) = publisher {
            publisher.acknowledged(me, &mut self.line(), ack_id, success, now);
        }
    }

    fn answer_ping(&mut self, me: &Identity, now: Instant, payload: &[u8]) {
        self.counts.pings += 1;
        match self.behaviours.answer_ping(now, payload) {
            PingAnswer::Now => self.pong(payload),
            PingAnswer::Later(by) => me.tell(|| ClientStep::PongHeld {
                for_ns: u64::try_from(by.as_nanos()).unwrap_or(u64::MAX),
            }),
            PingAnswer::Never => me.tell(|| ClientStep::PongSuppressed),
        }
    }

    fn pong(&mut self, payload: &[u8]) {
        if self.close_position.is_none() && self.outbox.takes(payload.len()) {
            self.outbox.push(Opcode::Pong, payload);
            self.counts.pongs += 1;
        }
    }

    /// Does what behaviours do by themselves by `now`. A client that may not read answers nothing:
    /// its held pongs are lost.
    pub fn act(&mut self, me: &Identity, now: Instant) {
        while let Some(payload) = self.behaviours.pop_due_pong(now) {
            if self.behaviours.is_stalled(now) {
                me.tell(|| ClientStep::PongSuppressed);
            } else {
                self.pong(&payload);
            }
        }
        if self.behaviours.take_due_app_ping(now) && self.close_position.is_none() {
            let ping = ClientFrame::Ping.print();
            if self.outbox.takes(ping.len()) {
                self.outbox.push(Opcode::Text, ping.as_bytes());
            }
        }
    }

    /// Notes that the bytes that were read are no websocket frames.
    pub fn broken_frame(&mut self, error: &FrameError) {
        let code = match error {
            FrameError::Protocol(_) => CLOSE_PROTOCOL_ERROR,
            FrameError::Utf8 => CLOSE_BAD_PAYLOAD,
            FrameError::TooLarge { .. } => CLOSE_TOO_LARGE,
        };
        self.broken(&error.to_string(), code);
    }

    fn broken(&mut self, what: &str, code: CloseCode) {
        self.heard = Some(Heard::Broken { what: what.to_owned(), code });
    }

    /// Sends the client's close frame, once. Nothing follows it.
    pub fn close(&mut self, code: Option<CloseCode>, reason: &str) {
        if self.close_position.is_none() {
            self.outbox.push(Opcode::Close, &close_payload(code, reason));
            self.close_position = Some(self.outbox.end());
        }
    }

    /// Whether the client's own close frame went to the socket whole.
    #[must_use]
    pub fn close_is_handed(&self) -> bool {
        self.close_position.is_some_and(|position| self.outbox.has_handed(position))
    }
}
