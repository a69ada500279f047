//! Per subscriber: expected, received, lost, duplicated, out of order.
//!
//! A stream is one (sender, group) pair; its messages are numbered from 1. Expected are the
//! messages the hub acknowledged between a member's join acknowledgement and its end. Two facts
//! make that exact without asking the hub: what is sent after the member has read its join
//! acknowledgement reaches the hub after the join, and the hub queues a message for its members
//! before it acknowledges it.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use crate::event::DeliveryTally;

/// For every stream of the plan, the highest sequence sent and the highest acknowledged so far.
/// Shared by the threads of a run: written by the sender's thread only, read by subscribers.
#[derive(Debug)]
pub struct StreamBook {
    sent: Vec<AtomicU32>,
    acknowledged: Vec<AtomicU32>,
}

impl StreamBook {
    /// A book of `streams` streams with nothing sent.
    #[must_use]
    pub fn new(_streams: usize) -> Arc<Self> {
        unimplemented!()
    }

    /// Notes that a stream's next message is being sent.
    pub fn note_sent(&self, _stream: u32, _sequence: u32) {
        unimplemented!()
    }

    /// Notes an acknowledgement (or, for senders that ask for none, the hand-over to the socket).
    pub fn note_acknowledged(&self, _stream: u32, _sequence: u32) {
        unimplemented!()
    }
}

/// One connection's view of the streams of the groups it is in.
///
/// Memory: about 24 bytes per stream, plus the gaps that are open (at most
/// [`GAPS_MAX`] per connection; beyond it late messages count as duplicated).
#[derive(Debug)]
pub struct DeliveryTracker {
    book: Arc<StreamBook>,
}

/// Open gaps kept per connection.
pub const GAPS_MAX: usize = 1_024;

impl DeliveryTracker {
    /// A tracker that is in no group yet.
    #[must_use]
    pub fn new(book: Arc<StreamBook>) -> Self {
        Self { book }
    }

    /// The join acknowledgement of a group was read: every message of `streams` sent from now on is
    /// expected. Messages already under way may come; they count once the first of them has.
    pub fn joined(&mut self, _streams: &[u32]) {
        unimplemented!()
    }

    /// A message of a stream was received.
    pub fn received(&mut self, _stream: u32, _sequence: u32) {
        unimplemented!()
    }

    /// The connection ends in order now (the client is about to send its close frame): what is
    /// acknowledged by now is expected, what comes later is welcome and not demanded.
    pub fn leaving(&mut self) {
        unimplemented!()
    }

    /// The tally at the end. After a drop (no [`Self::leaving`]) what the hub had acknowledged by
    /// now is expected.
    #[must_use]
    pub fn tally(&self) -> DeliveryTally {
        let _ = &self.book;
        unimplemented!()
    }
}
