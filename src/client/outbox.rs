//! What a client has still to hand to its socket: whole masked frames in order, bounded.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;

use super::story::Story;
use crate::net::Stream;
use crate::scenario::plan::{CLIENT_FRAME_HEADER_BYTES_MAX, OUTBOX_BYTES_MAX};
use crate::ws::Opcode;
use crate::ws::frame::client_frame;

/// An empty buffer larger than this is given back, so that an idle client holds next to nothing.
const KEEP_BYTES: usize = 256;

/// The socket takes nothing any more; how the connection ended is for the reader to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Health {
    Whole,
    Broken,
}

/// Frames on their way to the socket. Positions count bytes since the connection's open.
#[derive(Debug)]
pub struct Outbox {
    bytes: Vec<u8>,
    /// Bytes at the front of `bytes` that were handed over.
    head: usize,
    /// Bytes ever handed over.
    handed: u64,
    /// State of the mask generator.
    masks: u64,
    health: Health,
    /// Whether the stream may still hold bytes of its own (TLS).
    unflushed: bool,
    /// Told of every frame, when the client is watched.
    story: Option<Rc<Story>>,
}

impl Outbox {
    /// An empty outbox whose masks follow from `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            bytes: Vec::new(),
            head: 0,
            handed: 0,
            masks: seed,
            health: Health::Whole,
            unflushed: false,
            story: None,
        }
    }

    /// The same, of a client that may be watched.
    #[must_use]
    pub fn told_in(self, story: Option<Rc<Story>>) -> Self {
        Self { story, ..self }
    }

    /// Bytes not yet handed over.
    #[must_use]
    pub const fn pending(&self) -> usize {
        self.bytes.len() - self.head
    }

    /// Whether there is nothing left to do for the socket.
    #[must_use]
    pub const fn is_done(&self) -> bool {
        self.pending() == 0 && !self.unflushed
    }

    /// Position after the last frame that was pushed.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.handed + self.pending() as u64
    }

    /// Whether everything up to a position was handed over.
    #[must_use]
    pub const fn has_handed(&self, position: u64) -> bool {
        self.handed >= position
    }

    /// Whether a frame with so much payload still fits, and the socket still takes any.
    #[must_use]
    pub fn takes(&self, payload_bytes: usize) -> bool {
        self.health == Health::Whole
            && self.pending() + payload_bytes + CLIENT_FRAME_HEADER_BYTES_MAX <= OUTBOX_BYTES_MAX
    }

    /// Appends a frame; who may send much asks [`Self::takes`] first. A socket that is broken takes
    /// nothing.
    pub fn push(&mut self, opcode: Opcode, payload: &[u8]) {
        if self.health == Health::Whole {
            if let Some(story) = &self.story {
                story.sent(opcode, payload);
            }
            let mask = self.next_mask();
            client_frame(opcode, payload, mask, &mut self.bytes);
        }
    }

    /// The next frame mask (splitmix64): masks need no more than to differ, and follow the seed.
    fn next_mask(&mut self) -> [u8; 4] {
        self.masks = self.masks.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.masks;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let [a, b, c, d, ..] = (mixed ^ (mixed >> 31)).to_le_bytes();
        [a, b, c, d]
    }

    /// Hands over what the socket takes at once, outside of the connection's task. `true` when the
    /// task has to go on with it.
    pub fn write_now(&mut self, stream: &mut Stream) -> bool {
        while self.pending() > 0 {
            match stream.try_write_vectored(&[io::IoSlice::new(&self.bytes[self.head..])]) {
                Ok(0) => break,
                Ok(count) => self.note_handed(count),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(_) => self.give_up(),
            }
        }
        self.unflushed |= stream.has_unsent();
        !self.is_done()
    }

    /// Hands over what the socket takes and waits for more room; ready when nothing is left.
    pub fn poll_write(&mut self, stream: &mut Stream, cx: &mut Context<'_>) -> Poll<()> {
        while self.pending() > 0 {
            match Pin::new(&mut *stream).poll_write(cx, &self.bytes[self.head..]) {
                Poll::Ready(Ok(count)) if count > 0 => self.note_handed(count),
                Poll::Ready(_) => self.give_up(),
                Poll::Pending => return Poll::Pending,
            }
            self.unflushed = true;
        }
        if self.unflushed {
            if Pin::new(stream).poll_flush(cx).is_pending() {
                return Poll::Pending;
            }
            self.unflushed = false;
        }
        Poll::Ready(())
    }

    fn note_handed(&mut self, count: usize) {
        self.head += count;
        self.handed += count as u64;
        if self.pending() == 0 {
            self.clear();
        }
    }

    fn give_up(&mut self) {
        self.health = Health::Broken;
        self.unflushed = false;
        self.clear();
    }

    fn clear(&mut self) {
        self.head = 0;
        if self.bytes.capacity() > KEEP_BYTES {
            self.bytes = Vec::new();
        } else {
            self.bytes.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pushed(seed: u64) -> Vec<u8> {
        let mut outbox = Outbox::new(seed);
        for _ in 0..3 {
            outbox.push(Opcode::Text, b"a message");
        }
        outbox.bytes
    }

    #[test]
    fn masks_follow_the_seed_and_differ_from_frame_to_frame() {
        let bytes = pushed(1);
        assert_eq!(bytes, pushed(1));
        assert_ne!(bytes, pushed(2));
        let masks: Vec<_> = bytes.chunks(15).map(|frame| &frame[2..6]).collect();
        assert!(masks[0] != masks[1] && masks[1] != masks[2]);
    }

    #[test]
    fn positions_count_what_was_handed_over_and_little_memory_is_kept() {
        let mut outbox = Outbox::new(1);
        outbox.push(Opcode::Text, &[b'x'; 1_000]);
        let first = outbox.end();
        outbox.push(Opcode::Text, b"y");
        let handed = usize::try_from(first).expect("small");
        outbox.note_handed(handed);
        assert!(outbox.has_handed(first) && !outbox.has_handed(outbox.end()));
        outbox.note_handed(outbox.pending());
        assert!(outbox.has_handed(outbox.end()) && outbox.is_done());
        assert!(outbox.bytes.capacity() <= KEEP_BYTES);
    }

    #[test]
    fn a_full_outbox_takes_no_message_but_a_close_frame() {
        let mut outbox = Outbox::new(1);
        outbox
            .push(Opcode::Text, &vec![b'x'; OUTBOX_BYTES_MAX - 2 * CLIENT_FRAME_HEADER_BYTES_MAX]);
        assert!(!outbox.takes(CLIENT_FRAME_HEADER_BYTES_MAX));
        let before = outbox.end();
        outbox.push(Opcode::Close, &[]);
        assert!(outbox.end() > before);
    }
}
