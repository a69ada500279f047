//! The outbound queue of one connection: frames that are encoded and not yet with the kernel.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};

use crate::protocol::settings::QueueLimit;

/// Frames handed to the socket in one write at most (Linux takes up to 1,024 pieces).
pub const FRAMES_PER_WRITE_MAX: usize = 64;

/// Capacity in frames that an empty queue keeps; more is given back, so that a burst does not stay
/// in an idle connection's memory.
const IDLE_CAPACITY_MAX: usize = 8;

/// Frames that are no messages and wait, at most; [`QueueLimit`] counts messages, and frames this
/// small (an acknowledgement has some 40 bytes) cost more memory than their bytes say. Squall's own
/// limit: a client is this far behind only when it asks and never reads.
pub const OTHER_FRAMES_MAX: u64 = 10_000;

/// What a queued frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameKind {
    /// A message of a group, a client or REST: counts as bytes and as a message.
    Message,
    /// Anything else (system frames, acknowledgements, pings): counts as bytes, and
    /// against [`OTHER_FRAMES_MAX`].
    Other,
}

#[derive(Debug)]
struct Frame {
    /// What is left to write of it.
    rest: Bytes,
    kind: FrameKind,
}

/// Frames waiting to be written, first in first out, shared with every other receiver of the same
/// message.
#[derive(Debug, Default)]
pub struct OutboundQueue {
    frames: VecDeque<Frame>,
    bytes: u64,
    messages: u64,
}

impl OutboundQueue {
    /// Puts a frame at the end.
    pub fn push(&mut self, frame: Bytes, kind: FrameKind) {
        self.bytes += frame.len() as u64;
        self.messages += u64::from(kind == FrameKind::Message);
        self.frames.push_back(Frame { rest: frame, kind });
    }

    /// Whether more waits than `limit` or [`OTHER_FRAMES_MAX`] allows. Asked after a push.
    #[must_use]
    pub fn is_past(&self, limit: &QueueLimit) -> bool {
        self.bytes > limit.bytes
            || self.messages > limit.messages
            || self.frames.len() as u64 - self.messages > OTHER_FRAMES_MAX
    }

    /// The next bytes to write, at most [`FRAMES_PER_WRITE_MAX`] pieces.
    pub fn slices<'a>(&'a self, out: &mut [IoSlice<'a>; FRAMES_PER_WRITE_MAX]) -> usize {
        let count = self.frames.len().min(FRAMES_PER_WRITE_MAX);
        for (slot, frame) in out.iter_mut().zip(&self.frames) {
            *slot = IoSlice::new(&frame.rest);
        }
        count
    }

    /// Takes away `written` bytes from the front.
    pub fn advance(&mut self, written: usize) {
        self.bytes -= written as u64;
        let mut left = written;
        while let Some(first) = self.frames.front_mut() {
            if left < first.rest.len() {
                first.rest.advance(left);
                break;
            }
            left -= first.rest.len();
            self.messages -= u64::from(first.kind == FrameKind::Message);
            self.frames.pop_front();
        }
        if self.frames.is_empty() && self.frames.capacity() > IDLE_CAPACITY_MAX {
            self.frames.shrink_to(IDLE_CAPACITY_MAX);
        }
    }

    /// Throws everything away.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Bytes that wait, the rest of a half-written frame included.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Messages that wait, a half-written one included.
    #[must_use]
    pub const fn messages(&self) -> u64 {
        self.messages
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_what_was_pushed_and_the_counts_agree(
            frames in proptest::collection::vec((1_usize..50, any::<bool>()), 1..100),
            steps in proptest::collection::vec(1_usize..200, 1..400),
        ) {
            let mut queue = OutboundQueue::default();
            let mut pushed = Vec::new();
            for (index, (length, is_message)) in frames.iter().enumerate() {
                let frame = vec![u8::try_from(index % 251).unwrap(); *length];
                pushed.extend_from_slice(&frame);
                let kind = if *is_message { FrameKind::Message } else { FrameKind::Other };
                queue.push(frame.into(), kind);
            }
            let mut written = Vec::new();
            for step in steps {
                let mut slices = [IoSlice::new(&[]); FRAMES_PER_WRITE_MAX];
                let count = queue.slices(&mut slices);
                let offered: Vec<u8> =
                    slices[..count].iter().flat_map(|slice| slice.to_vec()).collect();
                let taken = step.min(offered.len());
                written.extend_from_slice(&offered[..taken]);
                queue.advance(taken);
                prop_assert_eq!(queue.bytes(), (pushed.len() - written.len()) as u64);
            }
            prop_assert_eq!(&written[..], &pushed[..written.len()]);
            prop_assert_eq!(queue.is_empty(), written.len() == pushed.len());
            if queue.is_empty() {
                prop_assert_eq!(queue.messages(), 0);
            }
        }
    }

    #[test]
    fn the_limit_is_passed_by_one_byte_or_one_message_more() {
        let limit = QueueLimit { bytes: 10, messages: 2 };
        let mut queue = OutboundQueue::default();
        queue.push(Bytes::from_static(b"1234567890"), FrameKind::Other);
        assert!(!queue.is_past(&limit));
        queue.push(Bytes::from_static(b"x"), FrameKind::Other);
        assert!(queue.is_past(&limit));
        queue.advance(11);
        for _ in 0..2 {
            queue.push(Bytes::from_static(b"m"), FrameKind::Message);
            assert!(!queue.is_past(&limit));
        }
        queue.push(Bytes::from_static(b"m"), FrameKind::Message);
        assert!(queue.is_past(&limit));
    }

    #[test]
    fn small_frames_are_bounded_in_number_besides_messages() {
        let limit = QueueLimit { bytes: u64::MAX, messages: 2 };
        let mut queue = OutboundQueue::default();
        (0..2).for_each(|_| queue.push(Bytes::from_static(b"m"), FrameKind::Message));
        for _ in 0..OTHER_FRAMES_MAX {
            queue.push(Bytes::from_static(b"a"), FrameKind::Other);
        }
        assert!(!queue.is_past(&limit));
        queue.push(Bytes::from_static(b"a"), FrameKind::Other);
        assert!(queue.is_past(&limit));
    }
}
