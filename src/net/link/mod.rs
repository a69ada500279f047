//! Connections in memory, for the virtual world: what a socket pair does to bytes, without sockets.
//!
//! A [`Network`] belongs to one world and its one thread. Whoever listens on it is dialled by name;
//! the two ends of a connection are [`Link`]s over one wire.
//!
//! # What a wire does
//!
//! ```text
//! writer ─► send buffer ─► under way ─► receive buffer ─► reader
//!           (capacity S)   (shaping)    (capacity R)
//! ```
//!
//! A reader that stops fills the receive buffer, then the send buffer, and then the writer waits,
//! as with TCP. What is under way counts against both: it needs room at the receiver (the window),
//! and the send buffer keeps it until it has arrived. `S + R` is what Linux was measured to absorb
//! for the buffer sizes asked for (see [`crate::predict::absorption`]).
//!
//! An ideal wire moves bytes in the instant they are written. A shaped one computes each arrival in
//! nanoseconds and delivers on the clock's tick (whole milliseconds, never early), in the order
//! (nanosecond, connection, direction).
//!
//! FIN follows the bytes before it. A reset throws away what has not left yet (what still waits for
//! a wire with a bandwidth included) and is seen without reading; what had arrived before it can
//! still be read. As on Linux one read or write fails with it, after that reads find an end; an end
//! that came first hides it from reads; and once both directions have ended there is none. Closing
//! over unread bytes is a reset, and so is the answer to bytes that arrive at a closed end. A
//! silenced wire passes nothing and tells nobody, not even that it was idle for too long.
//!
//! Acknowledgements take no time: a buffer that is small for the delay bounds the throughput to its
//! size per one-way delay, where TCP has the round trip.

mod network;
mod pipe;
mod schedule;
mod wire;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::ReadBuf;

use crate::protocol::settings::SocketBuffers;

pub use network::{LinkListener, Network};
pub(super) use wire::Route;
use wire::{Side, Wire};

/// One end of a connection in memory. Dropping it closes it.
pub struct Link {
    wire: Rc<Wire>,
    side: Side,
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link")
            .field("local", &self.local_addr())
            .field("peer", &self.peer_addr())
            .finish_non_exhaustive()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.wire.close(self.side);
    }
}

impl Link {
    /// Ends the connection with a reset.
    pub(super) fn abort(&self) {
        self.wire.abort(self.side);
    }

    /// Ready once the peer's reset has arrived.
    pub(super) fn poll_hung_up(&self, cx: &Context<'_>) -> Poll<()> {
        self.wire.poll_hung_up(self.side, cx)
    }

    /// The address of this end: on loopback, made up from the connection's number.
    pub(super) fn local_addr(&self) -> SocketAddr {
        self.wire.address(self.side)
    }

    /// The address of the other end.
    pub(super) fn peer_addr(&self) -> SocketAddr {
        self.wire.address(self.side.other())
    }

    /// Changes the buffers of this end; what is in them stays.
    pub(super) fn set_buffers(&self, buffers: SocketBuffers) {
        self.wire.set_buffers(self.side, buffers);
    }

    /// Writes what there is room for; `ErrorKind::WouldBlock` when there is none.
    pub(super) fn try_write(&self, buffers: &[io::IoSlice<'_>]) -> io::Result<usize> {
        self.wire.write(self.side, buffers)
    }

    /// Writes what there is room for, or waits for room.
    pub(super) fn poll_write(
        &self,
        cx: &Context<'_>,
        buffers: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.wire.poll_write(self.side, cx, buffers)
    }

    /// Reads what has arrived, or waits for more.
    pub(super) fn poll_read(
        &self,
        cx: &Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.wire.poll_read(self.side, cx, buffer)
    }

    /// Ends this direction behind what was written.
    pub(super) fn shut_down(&self) {
        self.wire.shut_down(self.side);
    }

    /// A way to silence the wire.
    pub(super) fn silencer(&self) -> Silencer {
        Silencer { wire: Rc::clone(&self.wire) }
    }
}

/// Silences a wire. Dropping it resets both ends of a wire that was silenced.
#[derive(Debug)]
pub(super) struct Silencer {
    wire: Rc<Wire>,
}

impl Silencer {
    /// From now on nothing passes.
    pub(super) fn silence(&self) {
        self.wire.silence();
    }
}

impl Drop for Silencer {
    fn drop(&mut self) {
        self.wire.cut_if_silent();
    }
}

#[cfg(test)]
mod tests;
