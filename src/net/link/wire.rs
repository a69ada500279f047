//! What lies between two ends: two pipes, one for each direction.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use tokio::io::ReadBuf;

use super::network::Ends;
use super::pipe::{End, Fin, Pipe, Reset, capacities, listen};
use super::schedule::{Happening, Schedule};
use crate::protocol::settings::SocketBuffers;
use crate::scenario::plan::Shaping;

/// Most bytes of a pipe that are under way as one piece over a wire with a bandwidth; on a fast
/// wire as many as pass in a millisecond.
const SEGMENT_BYTES: usize = 1_460;
/// Ports of the made-up addresses: those that are not reserved.
const PORTS: std::ops::Range<u64> = 1_024..65_536;
/// The port that whoever listens has in made-up addresses.
const LISTENER_PORT: u16 = 80;
/// Most wakers that one change of a wire concerns.
const WAKES: usize = 4;
const NANOS: f64 = 1e9;

/// Which end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    /// Who dialled.
    Dialler,
    /// Who listened.
    Listener,
}

impl Side {
    pub(super) const fn other(self) -> Self {
        match self {
            Self::Dialler => Self::Listener,
            Self::Listener => Self::Dialler,
        }
    }

    pub(super) const fn index(self) -> usize {
        match self {
            Self::Dialler => 0,
            Self::Listener => 1,
        }
    }
}

/// How a wire treats bytes.
#[derive(Debug)]
pub(in crate::net) struct Route {
    pub(in crate::net) shaping: Shaping,
    /// Draws the jitter.
    pub(in crate::net) jitter: Option<Box<ChaCha8Rng>>,
}

impl Route {
    /// How long something that leaves now is under way.
    pub(super) fn delay(&mut self) -> Duration {
        let jitter = u64::try_from(self.shaping.jitter.as_nanos()).unwrap_or(u64::MAX);
        let extra = match &mut self.jitter {
            Some(rng) if jitter > 0 => rng.random_range(0..=jitter),
            _ => 0,
        };
        self.shaping.delay + Duration::from_nanos(extra)
    }
}

/// A connection.
#[derive(Debug)]
pub(super) struct Wire {
    number: u64,
    schedule: Rc<Schedule>,
    ends: Rc<Ends>,
    state: RefCell<State>,
}

#[derive(Debug)]
struct State {
    /// Out of each side, by [`Side::index`].
    pipes: [Pipe; 2],
    /// What each side asked for.
    buffers: [SocketBuffers; 2],
    passing: Passing,
    /// None: an ideal wire.
    shaped: Option<Box<Shaped>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Passing {
    Everything,
    Nothing,
}

/// What an ideal wire has no need of.
#[derive(Debug)]
struct Shaped {
    route: Route,
    lanes: [Lane; 2],
    /// When something last arrived.
    passed_ns: u64,
}

/// What is under way out of one side.
#[derive(Debug, Default)]
struct Lane {
    under_way: VecDeque<Flight>,
    /// Until when the wire is taken up by what has left.
    busy_ns: u64,
    /// When the last of what is under way arrives: nothing overtakes.
    last_ns: u64,
}

#[derive(Clone, Copy, Debug)]
struct Flight {
    /// When the wire is free for it.
    begins_ns: u64,
    at_ns: u64,
    what: Cargo,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cargo {
    Bytes(usize),
    Fin,
    Reset,
}

/// Who is to be woken once the wire is no longer borrowed.
#[derive(Debug, Default)]
struct Wakes([Option<Waker>; WAKES]);

impl Wakes {
    fn add(&mut self, waker: Option<Waker>) {
        let Some(waker) = waker else { return };
        match self.0.iter_mut().find(|place| place.is_none()) {
            Some(place) => *place = Some(waker),
            // Never so many; to wake too early does no harm either.
            None => waker.wake(),
        }
    }

    fn wake(self) {
        self.0.into_iter().flatten().for_each(Waker::wake);
    }
}

impl State {
    fn out_of(&mut self, side: Side) -> &mut Pipe {
        &mut self.pipes[side.index()]
    }

    fn toward(&mut self, side: Side) -> &mut Pipe {
        &mut self.pipes[side.other().index()]
    }

    /// Whether both directions have ended: nobody is told of anything any more.
    fn is_over(&self) -> bool {
        self.pipes.iter().all(|pipe| pipe.fin == Fin::Arrived)
    }

    /// A reset reaches both ends at once.
    fn cut(&mut self) -> [Wakes; 2] {
        let mut wakes = [Wakes::default(), Wakes::default()];
        if !self.is_over() {
            for (pipe, wakes) in self.pipes.iter_mut().zip(&mut wakes) {
                pipe.purge();
                land_reset(pipe, wakes);
            }
        }
        wakes
    }
}

impl Wire {
    /// A connection whose ends nobody holds yet.
    pub(super) fn new(
        number: u64,
        schedule: Rc<Schedule>,
        ends: Rc<Ends>,
        buffers: [SocketBuffers; 2],
        route: Route,
    ) -> Rc<Self> {
        let shaped = (!route.shaping.is_ideal()).then(|| {
            let passed_ns = schedule.now_ns();
            Box::new(Shaped { route, lanes: Default::default(), passed_ns })
        });
        let pipes = [Side::Dialler, Side::Listener].map(|from| Pipe::new(&buffers, from));
        ends.add();
        ends.add();
        let wire = Rc::new(Self {
            number,
            schedule,
            ends,
            state: RefCell::new(State { pipes, buffers, passing: Passing::Everything, shaped }),
        });
        wire.watch_idleness();
        wire
    }

    /// Its place in the order of connecting.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// An address on loopback that no other open connection's dialler has.
    pub(super) fn address(&self, side: Side) -> SocketAddr {
        let (host, port) = match side {
            Side::Listener => (1, LISTENER_PORT),
            Side::Dialler => {
                let ports = PORTS.end - PORTS.start;
                let port = PORTS.start + self.number % ports;
                (1 + self.number / ports, u16::try_from(port).unwrap_or(LISTENER_PORT))
            }
        };
        let [.., b, c, d] = host.to_be_bytes();
        SocketAddr::new(IpAddr::V4(Ipv4Addr::new(127, b, c, d)), port)
    }

    pub(super) fn set_buffers(self: &Rc<Self>, side: Side, asked: SocketBuffers) {
        let mut state = self.state.borrow_mut();
        let kept = &mut state.buffers[side.index()];
        kept.send = asked.send.or(kept.send);
        kept.receive = asked.receive.or(kept.receive);
        let buffers = state.buffers;
        for from in [Side::Dialler, Side::Listener] {
            let pipe = state.out_of(from);
            let (send, receive) =
                capacities(buffers[from.index()].send, buffers[from.other().index()].receive);
            pipe.send_capacity = send;
            pipe.receive_capacity = receive;
        }
        let mut wakes = Wakes::default();
        self.push(&mut state, Side::Dialler, &mut wakes);
        self.push(&mut state, Side::Listener, &mut wakes);
        drop(state);
        wakes.wake();
    }

    pub(super) fn poll_hung_up(&self, side: Side, cx: &Context<'_>) -> Poll<()> {
        let mut state = self.state.borrow_mut();
        let pipe = state.toward(side);
        if pipe.reset.is_there() {
            return Poll::Ready(());
        }
        listen(&mut pipe.hang_up, cx);
        Poll::Pending
    }

    pub(super) fn poll_read(
        self: &Rc<Self>,
        side: Side,
        cx: &Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut state = self.state.borrow_mut();
        let pipe = state.toward(side);
        if pipe.arrived == 0 {
            return match (pipe.fin, pipe.reset) {
                // An end hides a reset from reads.
                (Fin::Arrived, _) | (_, Reset::Told) => Poll::Ready(Ok(())),
                (_, Reset::Arrived) => {
                    pipe.reset = Reset::Told;
                    Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
                }
                (_, Reset::No | Reset::Left) => {
                    listen(&mut pipe.reader, cx);
                    Poll::Pending
                }
            };
        }
        pipe.take(buffer);
        if pipe.waiting() > 0 || pipe.writer.is_some() {
            let mut wakes = Wakes::default();
            self.push(&mut state, side.other(), &mut wakes);
            drop(state);
            wakes.wake();
        }
        Poll::Ready(Ok(()))
    }

    /// Writes what there is room for.
    pub(super) fn write(
        self: &Rc<Self>,
        side: Side,
        buffers: &[io::IoSlice<'_>],
    ) -> io::Result<usize> {
        let mut state = self.state.borrow_mut();
        let incoming = state.toward(side);
        if incoming.reset.is_there() {
            let known = std::mem::replace(&mut incoming.reset, Reset::Told);
            return Err(match (incoming.fin, known) {
                (Fin::Arrived, _) | (_, Reset::Told) => io::ErrorKind::BrokenPipe,
                _ => io::ErrorKind::ConnectionReset,
            }
            .into());
        }
        let is_ideal = state.shaped.is_none();
        let passing = state.passing;
        let pipe = state.out_of(side);
        if pipe.fin != Fin::No {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        // An ideal wire carries off at once what the receiver has place for.
        let carried = match (is_ideal, passing) {
            (true, Passing::Everything) if pipe.waiting() == 0 => pipe.window(),
            _ => 0,
        };
        let mut room = pipe.room() + carried;
        let mut written = 0;
        for buffer in buffers {
            let count = buffer.len().min(room);
            pipe.bytes.extend(&buffer[..count]);
            written += count;
            room -= count;
            if room == 0 {
                break;
            }
        }
        if written == 0 && buffers.iter().any(|buffer| !buffer.is_empty()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut wakes = Wakes::default();
        self.push(&mut state, side, &mut wakes);
        drop(state);
        wakes.wake();
        Ok(written)
    }

    pub(super) fn poll_write(
        self: &Rc<Self>,
        side: Side,
        cx: &Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.write(side, buffers) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                listen(&mut self.state.borrow_mut().out_of(side).writer, cx);
                Poll::Pending
            }
            result => Poll::Ready(result),
        }
    }

    pub(super) fn shut_down(self: &Rc<Self>, side: Side) {
        let mut state = self.state.borrow_mut();
        let mut wakes = Wakes::default();
        self.end_writing(&mut state, side, &mut wakes);
        drop(state);
        wakes.wake();
    }

    /// The end is dropped. Over unread bytes that is a reset.
    pub(super) fn close(self: &Rc<Self>, side: Side) {
        let mut state = self.state.borrow_mut();
        let mut wakes = Wakes::default();
        let incoming = state.toward(side);
        let unread = incoming.arrived;
        incoming.reader_end = End::Closed;
        // Wakers keep their tasks' memory.
        let gone = [incoming.reader.take(), incoming.hang_up.take()];
        let writer_gone = state.out_of(side).writer.take();
        if unread > 0 {
            self.reset_from(&mut state, side, &mut wakes);
        } else {
            self.end_writing(&mut state, side, &mut wakes);
            // What has not been taken of the other direction is answered as it arrives.
            self.push(&mut state, side.other(), &mut wakes);
        }
        drop(state);
        drop((gone, writer_gone));
        self.ends.remove();
        wakes.wake();
    }

    pub(super) fn abort(self: &Rc<Self>, side: Side) {
        let mut state = self.state.borrow_mut();
        let mut wakes = Wakes::default();
        self.reset_from(&mut state, side, &mut wakes);
        drop(state);
        wakes.wake();
    }

    pub(super) fn silence(&self) {
        self.state.borrow_mut().passing = Passing::Nothing;
    }

    /// Resets both ends of a wire that was silenced.
    pub(super) fn cut_if_silent(&self) {
        let mut state = self.state.borrow_mut();
        if state.passing == Passing::Everything {
            return;
        }
        let wakes = state.cut();
        drop(state);
        wakes.into_iter().for_each(Wakes::wake);
    }

    /// No more bytes out of a side: FIN behind what waits.
    fn end_writing(self: &Rc<Self>, state: &mut State, side: Side, wakes: &mut Wakes) {
        let pipe = state.out_of(side);
        if pipe.fin == Fin::No {
            pipe.fin = Fin::Waits;
            self.push(state, side, wakes);
        }
    }

    /// A reset leaves a side: what has not left before it never does.
    fn reset_from(self: &Rc<Self>, state: &mut State, side: Side, wakes: &mut Wakes) {
        if state.is_over() || state.out_of(side).reset != Reset::No {
            return;
        }
        self.recall(state, side);
        let pipe = state.out_of(side);
        pipe.purge();
        pipe.reset = Reset::Left;
        if matches!(pipe.fin, Fin::No | Fin::Waits) {
            pipe.fin = Fin::Left;
        }
        // Nobody will read what comes the other way.
        state.toward(side).reader_end = End::Closed;
        if state.passing == Passing::Nothing {
            return;
        }
        self.leave(state, side, Cargo::Reset, wakes);
    }

    /// Takes back what still waits for a wire with a bandwidth.
    fn recall(&self, state: &mut State, side: Side) {
        let Some(shaped) = &mut state.shaped else { return };
        let lane = &mut shaped.lanes[side.index()];
        let now_ns = self.schedule.now_ns();
        while let Some(flight) = lane.under_way.pop_back_if(|flight| flight.begins_ns > now_ns) {
            lane.busy_ns = flight.begins_ns;
            lane.last_ns = lane.under_way.back().map_or(0, |before| before.at_ns);
            if let Cargo::Bytes(count) = flight.what {
                state.pipes[side.index()].flying -= count;
            }
        }
    }

    /// Lets leave what the wire and the receiver take, and notes who can write again.
    fn push(self: &Rc<Self>, state: &mut State, side: Side, wakes: &mut Wakes) {
        if state.passing == Passing::Nothing {
            return;
        }
        if state.shaped.is_none() {
            let pipe = &mut state.pipes[side.index()];
            let count = pipe.waiting().min(pipe.window());
            if count > 0 {
                pipe.flying += count;
                self.land(state, side, Cargo::Bytes(count), wakes);
            }
        } else {
            loop {
                let pipe = &mut state.pipes[side.index()];
                let count = pipe.waiting().min(pipe.window()).min(segment(state.shaped.as_deref()));
                if count == 0 {
                    break;
                }
                pipe.flying += count;
                self.leave(state, side, Cargo::Bytes(count), wakes);
            }
        }
        let pipe = &mut state.pipes[side.index()];
        if pipe.fin == Fin::Waits && pipe.waiting() == 0 {
            pipe.fin = Fin::Left;
            self.leave(state, side, Cargo::Fin, wakes);
        }
        let pipe = &mut state.pipes[side.index()];
        if pipe.writer.is_some() && pipe.is_writable() {
            wakes.add(pipe.writer.take());
        }
    }

    /// Something leaves a side. What takes no time is there at once.
    fn leave(self: &Rc<Self>, state: &mut State, side: Side, what: Cargo, wakes: &mut Wakes) {
        let Some(shaped) = &mut state.shaped else {
            self.land(state, side, what, wakes);
            return;
        };
        let now_ns = self.schedule.now_ns();
        let lane = &mut shaped.lanes[side.index()];
        let begins_ns = lane.busy_ns.max(now_ns);
        let mut ends_ns = begins_ns;
        if let (Some(rate), Cargo::Bytes(count)) = (shaped.route.shaping.bandwidth, what) {
            ends_ns = begins_ns.saturating_add(transfer_ns(count, rate));
            lane.busy_ns = ends_ns;
        }
        let delay = u64::try_from(shaped.route.delay().as_nanos()).unwrap_or(u64::MAX);
        let at_ns = ends_ns.saturating_add(delay).max(lane.last_ns);
        lane.last_ns = at_ns;
        if at_ns <= now_ns && lane.under_way.is_empty() {
            shaped.passed_ns = now_ns;
            self.land(state, side, what, wakes);
            return;
        }
        lane.under_way.push_back(Flight { begins_ns, at_ns, what });
        if lane.under_way.len() == 1 {
            self.schedule.add(at_ns, self, Happening::Arrival(side));
        }
    }

    /// Something has arrived at the other side.
    fn land(self: &Rc<Self>, state: &mut State, side: Side, what: Cargo, wakes: &mut Wakes) {
        let pipe = &mut state.pipes[side.index()];
        // Cut on the way.
        if pipe.reset.is_there() {
            return;
        }
        match what {
            Cargo::Bytes(count) if pipe.reader_end == End::Open => {
                pipe.flying -= count;
                pipe.arrived += count;
                wakes.add(pipe.reader.take());
            }
            // Nobody is there to read it: the answer is a reset.
            Cargo::Bytes(_) => self.reset_from(state, side.other(), wakes),
            Cargo::Fin => {
                pipe.fin = Fin::Arrived;
                wakes.add(pipe.reader.take());
            }
            Cargo::Reset => {
                land_reset(pipe, wakes);
                // The other direction is over as well: nobody reads what is in it.
                let back = &mut state.pipes[side.other().index()];
                back.clear();
                wakes.add(back.writer.take());
            }
        }
    }

    /// The instant of an entry of the schedule has come.
    pub(super) fn happen(self: &Rc<Self>, what: Happening, at_ns: u64) {
        match what {
            Happening::Arrival(side) => self.arrive(side, at_ns),
            Happening::IdleCheck => self.check_idleness(at_ns),
        }
    }

    fn arrive(self: &Rc<Self>, side: Side, at_ns: u64) {
        let mut state = self.state.borrow_mut();
        let passing = state.passing;
        let Some(shaped) = &mut state.shaped else { return };
        let lane = &mut shaped.lanes[side.index()];
        let Some(flight) = lane.under_way.pop_front() else { return };
        if let Some(next) = lane.under_way.front() {
            self.schedule.add(next.at_ns, self, Happening::Arrival(side));
        }
        if passing == Passing::Nothing {
            return;
        }
        shaped.passed_ns = at_ns;
        let mut wakes = Wakes::default();
        self.land(&mut state, side, flight.what, &mut wakes);
        self.push(&mut state, side, &mut wakes);
        drop(state);
        wakes.wake();
    }

    /// Has the schedule look at the wire when it could have been idle for too long.
    fn watch_idleness(self: &Rc<Self>) {
        let state = self.state.borrow();
        let Some(shaped) = &state.shaped else { return };
        if let Some(idle) = shaped.route.shaping.idle_cut {
            let idle = u64::try_from(idle.as_nanos()).unwrap_or(u64::MAX);
            let at_ns = shaped.passed_ns.saturating_add(idle);
            self.schedule.add(at_ns, self, Happening::IdleCheck);
        }
    }

    /// Resets both ends when nothing has passed for too long.
    fn check_idleness(self: &Rc<Self>, at_ns: u64) {
        let mut state = self.state.borrow_mut();
        let Some(shaped) = &state.shaped else { return };
        let Some(idle) = shaped.route.shaping.idle_cut else { return };
        // What else is due on this tick may be later than this check.
        if Duration::from_nanos(at_ns.saturating_sub(shaped.passed_ns)) < idle {
            drop(state);
            self.watch_idleness();
            return;
        }
        if state.passing == Passing::Nothing {
            return;
        }
        let wakes = state.cut();
        drop(state);
        wakes.into_iter().for_each(Wakes::wake);
    }
}

/// A reset has reached the reader of a pipe; its writer is told too, since it waits for nothing.
fn land_reset(pipe: &mut Pipe, wakes: &mut Wakes) {
    if pipe.reset.is_there() {
        return;
    }
    pipe.reset = Reset::Arrived;
    wakes.add(pipe.reader.take());
    wakes.add(pipe.hang_up.take());
    wakes.add(pipe.writer.take());
}

/// Bytes that travel as one piece.
fn segment(shaped: Option<&Shaped>) -> usize {
    let bandwidth = shaped.and_then(|shaped| shaped.route.shaping.bandwidth);
    bandwidth.map_or(usize::MAX, |rate| SEGMENT_BYTES.max(whole(rate / 1_000.0)))
}

/// Nanoseconds that so many bytes take at a rate in bytes per second.
#[expect(clippy::cast_precision_loss, reason = "a segment has far fewer bytes than 2^52")]
fn transfer_ns(bytes: usize, rate: f64) -> u64 {
    whole(bytes as f64 / rate * NANOS) as u64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float becomes the nearest number that fits, which is what is wanted"
)]
const fn whole(value: f64) -> usize {
    value as usize
}
