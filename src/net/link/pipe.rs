//! One direction of a connection: a send buffer, what is under way, a receive buffer.

use std::collections::VecDeque;
use std::task::{Context, Waker};

use tokio::io::ReadBuf;

use super::wire::Side;
use crate::predict::absorption;
use crate::protocol::settings::SocketBuffers;

/// Receive buffer where none is asked for (Linux, `tcp_rmem`).
const RECEIVE_DEFAULT: u64 = 131_072;
/// Least receive buffer (Linux, `SOCK_MIN_RCVBUF`).
const RECEIVE_MIN: u64 = 2_304;
/// Least send buffer (Linux, `SOCK_MIN_SNDBUF`).
const SEND_MIN: u64 = 4_608;
/// Capacity in bytes that an empty pipe keeps, so that idle connections cost little.
const KEEP_BYTES: usize = 512;

/// One direction. Its bytes stay where they are from the write to the read; how many of them have
/// arrived, are under way, or wait in the send buffer is counted.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) bytes: VecDeque<u8>,
    /// At the front of `bytes`: in the receive buffer.
    pub(super) arrived: usize,
    /// Behind these: under way.
    pub(super) flying: usize,
    pub(super) send_capacity: usize,
    pub(super) receive_capacity: usize,
    /// The writer's end of the direction.
    pub(super) fin: Fin,
    /// Whether the writer's reset has reached the reader.
    pub(super) reset: Reset,
    /// Whether somebody holds the reading end.
    pub(super) reader_end: End,
    pub(super) reader: Option<Waker>,
    pub(super) writer: Option<Waker>,
    pub(super) hang_up: Option<Waker>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fin {
    /// The writer may write.
    No,
    /// Behind the bytes that have not left.
    Waits,
    /// Under way.
    Left,
    /// At the reader.
    Arrived,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reset {
    No,
    Left,
    Arrived,
    /// A read or a write at the other end has failed with it. As on Linux that happens once: then
    /// reads find an end and writes a broken pipe.
    Told,
}

impl Reset {
    /// Whether it has arrived.
    pub(super) const fn is_there(self) -> bool {
        matches!(self, Self::Arrived | Self::Told)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Open,
    Closed,
}

/// Keeps a waker; one that wakes the same task stays.
pub(super) fn listen(place: &mut Option<Waker>, cx: &Context<'_>) {
    match place {
        Some(known) if known.will_wake(cx.waker()) => {}
        _ => *place = Some(cx.waker().clone()),
    }
}

/// Send and receive capacity in bytes of a direction, by the sizes asked for at its two ends.
pub(super) fn capacities(send: Option<u32>, receive: Option<u32>) -> (usize, usize) {
    let absorbed = *absorption(receive, send).start();
    // Linux doubles what is asked for.
    let receive = receive.map_or(RECEIVE_DEFAULT, |asked| (2 * u64::from(asked)).max(RECEIVE_MIN));
    let receive = receive.min(absorbed.saturating_sub(SEND_MIN));
    let send = absorbed - receive;
    let fits = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    (fits(send), fits(receive))
}

impl Pipe {
    pub(super) fn new(buffers: &[SocketBuffers; 2], from: Side) -> Self {
        let send = buffers[from.index()].send;
        let receive = buffers[from.other().index()].receive;
        let (send_capacity, receive_capacity) = capacities(send, receive);
        Self {
            bytes: VecDeque::new(),
            arrived: 0,
            flying: 0,
            send_capacity,
            receive_capacity,
            fin: Fin::No,
            reset: Reset::No,
            reader_end: End::Open,
            reader: None,
            writer: None,
            hang_up: None,
        }
    }

    /// Bytes in the send buffer that have not left.
    pub(super) fn waiting(&self) -> usize {
        self.bytes.len() - self.arrived - self.flying
    }

    /// Bytes the send buffer still takes. It keeps what is under way.
    pub(super) fn room(&self) -> usize {
        self.send_capacity.saturating_sub(self.bytes.len() - self.arrived)
    }

    /// Bytes the receive buffer has place for, beyond what is under way to it.
    pub(super) fn window(&self) -> usize {
        self.receive_capacity.saturating_sub(self.arrived + self.flying)
    }

    /// Whether a waiting writer is worth waking: a third of the send buffer is free (as Linux).
    pub(super) fn is_writable(&self) -> bool {
        self.room() * 3 >= self.send_capacity
    }

    /// Throws away what has not left.
    pub(super) fn purge(&mut self) {
        self.bytes.truncate(self.arrived + self.flying);
    }

    /// Throws away everything.
    pub(super) fn clear(&mut self) {
        self.bytes = VecDeque::new();
        self.arrived = 0;
        self.flying = 0;
    }

    /// Takes bytes from the front into `buffer`.
    pub(super) fn take(&mut self, buffer: &mut ReadBuf<'_>) {
        let count = self.arrived.min(buffer.remaining());
        let (front, back) = self.bytes.as_slices();
        let from_front = count.min(front.len());
        buffer.put_slice(&front[..from_front]);
        buffer.put_slice(&back[..count - from_front]);
        self.bytes.drain(..count);
        self.arrived -= count;
        if self.bytes.is_empty() && self.bytes.capacity() > KEEP_BYTES {
            self.bytes = VecDeque::new();
        }
    }
}
