//! One open connection: a single poll over reading, writing, deadlines and orders.
//!
//! The session owns the stream and lives in its client, so that a publish can try to write at once;
//! the client's task polls it. How it ends is decided in one place, [`Ending`], from what was seen.

use std::cell::Cell;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::behaviour::ReadAllowance;
use super::publish::{Line, Publisher};
use super::story::Reading;
use super::talk::{CLOSE_NORMAL, Counts, Heard, Talk};
use super::{Identity, Order};
use crate::event::{ClientObservation, ClientStep, CloseFirst, DeliveryTally, LostTail, Wish};
use crate::measure::LatencyKind;
use crate::net::relay::RelayHandle;
use crate::net::{Due, Stream};
use crate::pace::{self, Purpose};
use crate::scenario::plan::Vanish;
use crate::ws::reader::Next;
use crate::ws::{CloseFrame, FrameReader};

/// What a session starts from.
#[derive(Debug)]
pub struct Start {
    /// Number of the attempt.
    pub attempt: u32,
    /// When it began.
    pub started: Instant,
    /// When the connection was open.
    pub opened: Instant,
    /// Connection id, where the subprotocol tells it.
    pub connection_id: Option<String>,
    /// Bytes read after the upgrade so far.
    pub read_bytes: u64,
}

/// How a session ended, as the client saw it.
#[derive(Debug)]
pub struct Ending {
    /// What it saw.
    pub observation: ClientObservation,
    /// What it wanted.
    pub wish: Wish,
    /// When it knew.
    pub at: Instant,
    /// Delivery up to then.
    pub delivery: DeliveryTally,
    /// What of it is lost at the end of its streams.
    pub tails: Vec<LostTail>,
    /// Replies up to then.
    pub replies: DeliveryTally,
    leaving: HowLeft,
}

/// What the client does with the stream at the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HowLeft {
    /// Closes it: FIN after what was sent.
    Close,
    /// Resets it.
    Abort,
}

/// Where the session stands.
#[derive(Debug)]
enum Phase {
    /// Open.
    Open,
    /// The client sent its close frame and waits for the answer, until then at most.
    Leaving {
        /// End of the grace.
        until: Instant,
    },
    /// Nothing passes any more, and the client does not know.
    Silent,
    /// The end is known; the last frame is being handed over, until then at most.
    Parting(Box<Parting>),
}

#[derive(Debug)]
struct Parting {
    until: Instant,
    ending: Option<Ending>,
}

/// Whether the reader holds whole frames that were not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    Nothing,
    Frames,
}

/// One open connection.
#[derive(Debug)]
pub struct Session {
    stream: Stream,
    relay: Option<RelayHandle>,
    reader: FrameReader,
    kept: Kept,
    talk: Talk,
    phase: Phase,
    due: Option<Due>,
    started: Instant,
    opened: Instant,
    leave_at: Option<Instant>,
    rest_close: Option<Instant>,
}

impl Session {
    /// A session over a stream that was upgraded just now.
    pub fn open(
        me: &Identity,
        stream: Stream,
        relay: Option<RelayHandle>,
        reader: FrameReader,
        start: Start,
    ) -> Self {
        let leave_at = leave_at(me, &start);
        let mut talk = Talk::open(me, start.attempt, start.opened, start.connection_id);
        talk.counts.read_bytes = start.read_bytes;
        Self {
            stream,
            relay,
            reader,
            kept: Kept::Frames,
            talk,
            phase: Phase::Open,
            due: None,
            started: start.started,
            opened: start.opened,
            leave_at,
            rest_close: None,
        }
    }

    /// When the attempt began.
    pub const fn started(&self) -> Instant {
        self.started
    }

    /// When the connection was open.
    pub const fn opened(&self) -> Instant {
        self.opened
    }

    /// Connection id, where the subprotocol tells it.
    pub fn connection_id(&self) -> Option<String> {
        self.talk.connection_id.as_deref().map(str::to_owned)
    }

    /// Counts so far.
    pub const fn counts(&self) -> &Counts {
        &self.talk.counts
    }

    /// When the client's misbehaviour began on this connection, if it had by `now`.
    pub fn misbehaving_since(&self, now: Instant) -> Option<Instant> {
        self.talk.behaviours.misbehaving_since(now)
    }

    /// Whether a publish makes sense now.
    pub const fn takes_publishes(&self) -> bool {
        matches!(self.phase, Phase::Open)
    }

    /// Where a publish goes.
    pub fn line(&mut self) -> Line<'_> {
        self.talk.line()
    }

    /// Tries to write at once. `true` when the task has to go on with it.
    pub fn write_now(&mut self, me: &Identity, publisher: &mut Publisher) -> bool {
        let unfinished = self.talk.outbox.write_now(&mut self.stream);
        publisher.note_handed(me, &self.talk.outbox);
        unfinished
    }

    /// The application server was asked to close this connection.
    pub const fn note_rest_close(&mut self, at: Instant) {
        self.rest_close = Some(at);
    }

    /// Goes on with everything; ready with how the session ended.
    pub fn poll(
        &mut self,
        me: &Identity,
        mut publisher: Option<&mut Publisher>,
        order: &Cell<Order>,
        cx: &mut Context<'_>,
    ) -> Poll<Ending> {
        loop {
            let now = Instant::now();
            if let Some(ending) = self.obey(me, publisher.as_deref_mut(), order, now) {
                return Poll::Ready(ending);
            }
            let ended = match self.phase {
                Phase::Open | Phase::Leaving { .. } => {
                    self.poll_session(me, publisher.as_deref_mut(), now, cx)
                }
                Phase::Silent => return Poll::Pending,
                Phase::Parting(_) => self.poll_parting(now, cx),
            };
            if let Some(ending) = ended {
                return Poll::Ready(ending);
            }
            if self.poll_due(me, now, cx).is_pending() {
                return Poll::Pending;
            }
        }
    }

    /// Does as told, and as lifetime and churn say.
    fn obey(
        &mut self,
        me: &Identity,
        publisher: Option<&mut Publisher>,
        order: &Cell<Order>,
        now: Instant,
    ) -> Option<Ending> {
        let has_stayed = self.leave_at.is_some_and(|at| at <= now);
        let told = match (me.population().churn, &self.phase) {
            // It leaves this connection, and lives on.
            (Some(_), Phase::Open) if has_stayed => order.get().max(Order::Leave),
            (Some(_), _) => order.get(),
            (None, _) => {
                if has_stayed {
                    order.set(order.get().max(Order::Leave));
                }
                order.get()
            }
        };
        match (told, &mut self.phase) {
            (Order::Kill, Phase::Parting(parting)) => {
                let ending = parting.ending.take()?;
                Some(Ending { leaving: HowLeft::Abort, ..ending })
            }
            (Order::Kill, Phase::Open) => {
                Some(self.ending(ClientObservation::Vanished, Wish::Leave, HowLeft::Abort, now))
            }
            (Order::Kill, Phase::Leaving { .. }) => Some(self.unanswered(now)),
            (Order::Kill | Order::Leave, Phase::Silent) => {
                Some(self.ending(ClientObservation::Unaware, Wish::Vanish, HowLeft::Abort, now))
            }
            (Order::Leave, Phase::Open) => {
                self.talk.tracker.leaving();
                if let Some(publisher) = publisher {
                    publisher.give_up_backlog(me);
                }
                self.talk.close(Some(CLOSE_NORMAL), "");
                self.phase = Phase::Leaving { until: now + me.shard.plan.grace };
                None
            }
            (Order::Stay, _) | (Order::Leave, Phase::Leaving { .. } | Phase::Parting(_)) => None,
        }
    }

    /// An open session's turn: what it reads, what it does by itself, what it writes.
    fn poll_session(
        &mut self,
        me: &Identity,
        mut publisher: Option<&mut Publisher>,
        now: Instant,
        cx: &mut Context<'_>,
    ) -> Option<Ending> {
        if let Some(how) = self.talk.behaviours.vanishes(now) {
            me.tell(|| ClientStep::Vanishes);
            return self.vanish(how, now, cx);
        }
        let seen = self.poll_reading(me, publisher.as_deref_mut(), now, cx);
        if let Some(observation) = seen {
            let wish = self.wish();
            return Some(self.ending(observation, wish, HowLeft::Close, Instant::now()));
        }
        if let Some(heard) = self.talk.heard.take() {
            self.part(me, heard);
            return self.poll_parting(now, cx);
        }
        self.talk.act(me, now);
        // Once everything is handed over nothing has to be waited for; the socket's readiness wakes
        // the task otherwise.
        let _ = self.talk.outbox.poll_write(&mut self.stream, cx);
        if let Some(publisher) = publisher {
            publisher.note_handed(me, &self.talk.outbox);
        }
        match self.phase {
            Phase::Leaving { until } if until <= now => Some(self.unanswered(now)),
            _ => None,
        }
    }

    /// Reads what there is and what the behaviours allow. Gives an observation when the connection
    /// ended; frames that end it are left in `talk.heard`.
    fn poll_reading(
        &mut self,
        me: &Identity,
        mut publisher: Option<&mut Publisher>,
        mut now: Instant,
        cx: &mut Context<'_>,
    ) -> Option<ClientObservation> {
        loop {
            let allowance = self.talk.behaviours.may_read(now);
            if allowance.is_nothing() {
                me.tell_reading(Reading::Rests);
                if self.stream.poll_hung_up(cx).is_pending() {
                    return None;
                }
                // What was read before the reset still counts, and may say more.
                self.parse(me, publisher, now, ReadAllowance::EVERYTHING, &mut []);
                return self.talk.heard.is_none().then_some(ClientObservation::Reset);
            }
            me.tell_reading(Reading::Goes);
            if self.kept == Kept::Frames {
                self.parse(me, publisher.as_deref_mut(), now, allowance, &mut []);
            } else {
                let mut scratch = me.shard.scratch.borrow_mut();
                let most = scratch.len().min(allowance.bytes as usize);
                let mut buffer = ReadBuf::new(&mut scratch[..most]);
                match Pin::new(&mut self.stream).poll_read(cx, &mut buffer) {
                    Poll::Pending => return None,
                    Poll::Ready(Err(error)) => return Some(seen(&error)),
                    Poll::Ready(Ok(())) => {}
                }
                let fresh = buffer.filled_mut();
                if fresh.is_empty() {
                    return Some(ClientObservation::Eof);
                }
                now = Instant::now();
                self.parse(me, publisher.as_deref_mut(), now, allowance, fresh);
            }
            if self.talk.heard.is_some() {
                return None;
            }
        }
    }

    /// Parses what the reader holds and what is fresh, as far as `allowance` goes.
    fn parse(
        &mut self,
        me: &Identity,
        mut publisher: Option<&mut Publisher>,
        now: Instant,
        allowance: ReadAllowance,
        fresh: &mut [u8],
    ) {
        let talk = &mut self.talk;
        talk.counts.read_bytes += fresh.len() as u64;
        let before = talk.counts.received;
        let bytes = u32::try_from(fresh.len()).unwrap_or(u32::MAX);
        let mut kept = Kept::Nothing;
        let read = self.reader.read(fresh, |event| {
            talk.take(me, publisher.as_deref_mut(), now, event);
            let messages = talk.counts.received - before;
            if talk.heard.is_some() || messages >= u64::from(allowance.messages) {
                kept = Kept::Frames;
                Next::Stop
            } else {
                Next::Continue
            }
        });
        if let Err(error) = read {
            talk.broken_frame(&error);
        }
        self.kept = kept;
        let messages = u32::try_from(talk.counts.received - before).unwrap_or(u32::MAX);
        talk.behaviours.note_read(now, bytes, messages);
    }

    /// What the client wants as things stand.
    const fn wish(&self) -> Wish {
        match self.phase {
            Phase::Open | Phase::Parting(_) => Wish::Stay,
            Phase::Leaving { .. } => Wish::Leave,
            Phase::Silent => Wish::Vanish,
        }
    }

    /// A frame ended the connection: the end is known, and is answered where it has to be.
    fn part(&mut self, me: &Identity, heard: Heard) {
        let now = Instant::now();
        let wish = self.wish();
        let observation = match heard {
            Heard::Close(frame) => {
                let first = self.who_closed_first(&frame);
                // An answer to the client's own close frame needs none.
                self.talk.close(frame.code, "");
                ClientObservation::CloseFrame { code: frame.code, reason: frame.reason, first }
            }
            Heard::Broken { what, code } => {
                self.talk.close(Some(code), "");
                ClientObservation::ProtocolError { what }
            }
        };
        let ending = self.ending(observation, wish, HowLeft::Close, now);
        let until = now + me.limits.parting;
        self.phase = Phase::Parting(Box::new(Parting { until, ending: Some(ending) }));
    }

    /// The hub's close frame answers the client's when that one went out and the code is the same
    /// (or there is none); any other was on its way already.
    fn who_closed_first(&self, frame: &CloseFrame) -> CloseFirst {
        let answers = frame.code.is_none_or(|code| code == CLOSE_NORMAL);
        if self.talk.close_is_handed() && answers { CloseFirst::Client } else { CloseFirst::Hub }
    }

    /// Hands the last frame over. Behind a relay the client also waits for the end of the stream:
    /// to drop the relay's handle resets what it has not passed on yet.
    fn poll_parting(&mut self, now: Instant, cx: &mut Context<'_>) -> Option<Ending> {
        let Phase::Parting(parting) = &mut self.phase else {
            return None;
        };
        let handed = self.talk.outbox.poll_write(&mut self.stream, cx).is_ready();
        let passed_on = match &self.relay {
            Some(_) if handed => poll_drained(&mut self.stream, cx).is_ready(),
            _ => handed,
        };
        if passed_on || parting.until <= now { parting.ending.take() } else { None }
    }

    /// Vanishes. A black hole is not known to the client, so it is no end yet.
    fn vanish(&mut self, how: Vanish, now: Instant, cx: &mut Context<'_>) -> Option<Ending> {
        let how_left = match how {
            Vanish::Reset => HowLeft::Abort,
            Vanish::Fin => {
                // The end of stream leaves before the socket does, and what is unread is read and
                // forgotten: closing over unread bytes would be a reset.
                let _ = poll_drained(&mut self.stream, cx);
                HowLeft::Close
            }
            Vanish::BlackHole => {
                if let Some(relay) = &self.relay {
                    relay.silence();
                }
                self.phase = Phase::Silent;
                return None;
            }
        };
        Some(self.ending(ClientObservation::Vanished, Wish::Vanish, how_left, now))
    }

    /// The client wanted to leave, and nothing answered. A client that does not read and whose
    /// close frame never left knows nothing of its end.
    fn unanswered(&mut self, now: Instant) -> Ending {
        let unaware = self.talk.behaviours.is_stalled(now) && !self.talk.close_is_handed();
        let observation =
            if unaware { ClientObservation::Unaware } else { ClientObservation::NoCloseAnswer };
        self.ending(observation, Wish::Leave, HowLeft::Abort, now)
    }

    fn ending(
        &self,
        observation: ClientObservation,
        wish: Wish,
        leaving: HowLeft,
        at: Instant,
    ) -> Ending {
        let (delivery, tails) = self.talk.tracker.end();
        // What was not answered is lost, whatever ended the connection.
        let replies = self.talk.replies.as_ref().map(|replies| replies.end().0);
        let replies = replies.unwrap_or_default();
        Ending { observation, wish, at, delivery, tails, replies, leaving }
    }

    /// Waits for the next deadline; pending without one. `now` is the instant up to which
    /// everything was done: a deadline that has passed since is ready at once.
    fn poll_due(&mut self, me: &Identity, now: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let behaviours = || self.talk.behaviours.next_deadline(now);
        let next = match &self.phase {
            Phase::Open => behaviours().into_iter().chain(self.leave_at).min(),
            Phase::Leaving { until } => behaviours().into_iter().chain([*until]).min(),
            Phase::Silent => None,
            Phase::Parting(parting) => Some(parting.until),
        };
        let Some(next) = next else {
            self.due = None;
            return Poll::Pending;
        };
        let due = self.due.get_or_insert_with(|| me.shard.pacer.until(next));
        if due.at() != next {
            due.reset(next);
        }
        let ready = Pin::new(due).poll(cx);
        if ready.is_ready() {
            self.due = None;
        }
        ready
    }

    /// Records what the end of an unwanted kind tells, and lets the stream go.
    pub fn finish(self, me: &Identity, ending: &Ending) {
        if let (Some(asked), Wish::Stay) = (self.rest_close, ending.wish) {
            let took = ending.at.saturating_duration_since(asked);
            me.record(LatencyKind::RestClose, me.ns(ending.at), took, took);
        }
        match ending.leaving {
            HowLeft::Close => drop(self.stream),
            HowLeft::Abort => self.stream.abort(),
        }
    }
}

/// When a client leaves by itself: after its lifetime, or after a stay that churn draws.
fn leave_at(me: &Identity, start: &Start) -> Option<Instant> {
    let population = me.population();
    let drawn = |rate| pace::stay(rate, &mut me.rng(Purpose::Churn, start.attempt));
    let stay = population.lifetime.or_else(|| population.churn.map(drawn));
    stay.map(|stay| start.opened + stay)
}

/// Half-closes, and reads and forgets until the end of the stream.
fn poll_drained(stream: &mut Stream, cx: &mut Context<'_>) -> Poll<()> {
    let _ = Pin::new(&mut *stream).poll_shutdown(cx);
    let mut forgotten = [0; 512];
    loop {
        let mut buffer = ReadBuf::new(&mut forgotten);
        match Pin::new(&mut *stream).poll_read(cx, &mut buffer) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {}
            Poll::Ready(_) => return Poll::Ready(()),
        }
    }
}

/// How a read error looks to the client.
pub(super) fn seen(error: &io::Error) -> ClientObservation {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => ClientObservation::Eof,
        _ => ClientObservation::Reset,
    }
}
