//! Per subscriber: expected, received, lost, duplicated, out of order.
//!
//! A stream is one (sender, group) pair; its messages are numbered from 1. Expected are the
//! messages the hub acknowledged between a member's join acknowledgement and its end. Two facts
//! make that exact without asking the hub: what is sent after the member has read its join
//! acknowledgement reaches the hub after the join, and the hub queues a message for its members
//! before it acknowledges it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::event::DeliveryTally;

/// For every stream of the plan, the highest sequence sent and the highest acknowledged so far.
/// Shared by the threads of a run: written by the sender's thread only, read by subscribers.
///
/// Relaxed order is enough: each number stands for itself and only grows, and between a note and
/// the subscriber that must have seen it lies a message through the hub.
#[derive(Debug)]
pub struct StreamBook {
    sent: Vec<AtomicU32>,
    acknowledged: Vec<AtomicU32>,
}

impl StreamBook {
    /// A book of `streams` streams with nothing sent.
    #[must_use]
    pub fn new(streams: usize) -> Arc<Self> {
        let zeros = || std::iter::repeat_with(AtomicU32::default).take(streams).collect();
        Arc::new(Self { sent: zeros(), acknowledged: zeros() })
    }

    /// Notes that a stream's next message is being sent.
    pub fn note_sent(&self, stream: u32, sequence: u32) {
        note(&self.sent, stream, sequence);
    }

    /// Notes an acknowledgement (or, for senders that ask for none, the hand-over to the socket).
    pub fn note_acknowledged(&self, stream: u32, sequence: u32) {
        note(&self.acknowledged, stream, sequence);
    }

    /// Highest sequence sent; 0 when nothing was. `None` when the plan has no such stream.
    fn sent(&self, stream: u32) -> Option<u32> {
        Some(self.sent.get(index(stream))?.load(Ordering::Relaxed))
    }

    /// Highest sequence acknowledged; 0 when none was.
    fn acknowledged(&self, stream: u32) -> u32 {
        self.acknowledged.get(index(stream)).map_or(0, |highest| highest.load(Ordering::Relaxed))
    }
}

fn note(book: &[AtomicU32], stream: u32, sequence: u32) {
    if let Some(highest) = book.get(index(stream)) {
        highest.fetch_max(sequence, Ordering::Relaxed);
    }
}

const fn index(stream: u32) -> usize {
    stream as usize
}

/// One connection's view of the streams of the groups it is in.
///
/// Expected of a stream are its messages from the first one demanded (or the first one seen, when
/// that is earlier) to the last one acknowledged (or the last one seen, when that is later), so
/// `expected == received - duplicated + lost` always holds.
///
/// Memory: 36 bytes per stream, plus the gaps that are open (at most [`GAPS_MAX`] per connection;
/// beyond it late messages count as duplicated, and stay lost).
#[derive(Debug)]
pub struct DeliveryTracker {
    book: Arc<StreamBook>,
    /// Sorted by stream.
    streams: Vec<Stream>,
    /// Sorted by stream and sequence, without overlap.
    gaps: Vec<Gap>,
}

/// Open gaps kept per connection.
pub const GAPS_MAX: usize = 1_024;

/// One stream as a connection sees it. The window `low..next` holds every message that was seen,
/// and the gaps between them.
#[derive(Debug)]
struct Stream {
    stream: u32,
    /// First expected sequence.
    low: u32,
    /// One more than the highest sequence seen; `low` when none was.
    next: u32,
    received: u32,
    duplicated: u32,
    out_of_order: u32,
    /// Messages within the window that have not come.
    missing: u32,
    demand: Demand,
}

/// Up to where the messages of a stream are expected, seen or not.
#[derive(Clone, Copy, Debug)]
enum Demand {
    /// Not joined: nothing beyond what was seen.
    Nothing,
    /// Up to what is acknowledged by the time of the tally.
    Acknowledged,
    /// Up to what was acknowledged at the leave.
    UpTo(u32),
}

/// Messages of a stream that are missing between others: `from..=to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Gap {
    stream: u32,
    from: u32,
    to: u32,
}

impl DeliveryTracker {
    /// A tracker that is in no group yet.
    #[must_use]
    pub const fn new(book: Arc<StreamBook>) -> Self {
        Self { book, streams: Vec::new(), gaps: Vec::new() }
    }

    /// The join acknowledgement of a group was read: every message of `streams` sent from now on is
    /// expected. Messages already under way may come, even before this call; they count once the
    /// first of them has. Streams that the plan has not are ignored.
    pub fn joined(&mut self, streams: &[u32]) {
        self.streams.reserve_exact(streams.len());
        for &stream in streams {
            let Some(sent) = self.book.sent(stream) else { continue };
            let required_from = sent.saturating_add(1);
            match self.find(stream) {
                Ok(at) => {
                    self.streams[at].demand = Demand::Acknowledged;
                    let low = self.streams[at].low;
                    if required_from < low {
                        self.streams[at].low = required_from;
                        self.open_gap(at, required_from, low - 1);
                    }
                }
                Err(at) => {
                    let demand = Demand::Acknowledged;
                    self.streams.insert(at, Stream::new(stream, required_from, demand));
                }
            }
        }
    }

    /// A message of a stream was received. One of a stream that the plan has not is ignored: nobody
    /// sent it.
    pub fn received(&mut self, stream: u32, sequence: u32) {
        let at = match self.find(stream) {
            Ok(at) => at,
            Err(_) if self.book.sent(stream).is_none() => return,
            Err(at) => {
                self.streams.insert(at, Stream::new(stream, sequence, Demand::Nothing));
                at
            }
        };
        let seen = &mut self.streams[at];
        seen.received += 1;
        let (low, next) = (seen.low, seen.next);
        let nothing_seen_yet = low == next;
        if nothing_seen_yet && sequence < low {
            seen.low = sequence;
            seen.next = sequence + 1;
        } else if sequence >= next {
            seen.next = sequence.saturating_add(1);
            if sequence > next {
                self.open_gap(at, next, sequence - 1);
            }
        } else if sequence < low {
            seen.low = sequence;
            seen.out_of_order += 1;
            if sequence + 1 < low {
                self.open_gap(at, sequence + 1, low - 1);
            }
        } else if self.fill_gap(stream, sequence) {
            let seen = &mut self.streams[at];
            seen.missing -= 1;
            seen.out_of_order += 1;
        } else {
            self.streams[at].duplicated += 1;
        }
    }

    /// The connection ends in order now (the client is about to send its close frame): what is
    /// acknowledged by now is expected, what comes later is welcome and not demanded.
    pub fn leaving(&mut self) {
        for stream in &mut self.streams {
            if matches!(stream.demand, Demand::Acknowledged) {
                stream.demand = Demand::UpTo(self.book.acknowledged(stream.stream));
            }
        }
    }

    /// The tally at the end. After a drop (no [`Self::leaving`]) what the hub had acknowledged by
    /// now is expected.
    #[must_use]
    pub fn tally(&self) -> DeliveryTally {
        let mut sum = DeliveryTally::default();
        for stream in &self.streams {
            let demanded_to = match stream.demand {
                Demand::Nothing => 0,
                Demand::Acknowledged => self.book.acknowledged(stream.stream),
                Demand::UpTo(sequence) => sequence,
            };
            let missing_at_the_end = demanded_to.saturating_add(1).saturating_sub(stream.next);
            let received = u64::from(stream.received);
            let duplicated = u64::from(stream.duplicated);
            let lost = u64::from(stream.missing) + u64::from(missing_at_the_end);
            sum.add(&DeliveryTally {
                expected: received - duplicated + lost,
                received,
                lost,
                duplicated,
                out_of_order: u64::from(stream.out_of_order),
            });
        }
        sum
    }

    fn find(&self, stream: u32) -> Result<usize, usize> {
        self.streams.binary_search_by_key(&stream, |known| known.stream)
    }

    /// Counts `from..=to` as missing, and remembers it while there is room.
    fn open_gap(&mut self, at: usize, from: u32, to: u32) {
        let seen = &mut self.streams[at];
        seen.missing += to - from + 1;
        let gap = Gap { stream: seen.stream, from, to };
        if self.gaps.len() < GAPS_MAX {
            let place = self.gaps.partition_point(|open| open.key() < gap.key());
            self.gaps.insert(place, gap);
        }
    }

    /// Takes a message out of the gap it belongs to; `false` when it belongs to none.
    fn fill_gap(&mut self, stream: u32, sequence: u32) -> bool {
        let after = self.gaps.partition_point(|open| open.key() <= (stream, sequence));
        let Some(at) = after.checked_sub(1) else { return false };
        let gap = self.gaps[at];
        if gap.stream != stream || sequence > gap.to {
            return false;
        }
        match (gap.from == sequence, gap.to == sequence) {
            (true, true) => {
                self.gaps.remove(at);
            }
            (true, false) => self.gaps[at].from = sequence + 1,
            (false, true) => self.gaps[at].to = sequence - 1,
            (false, false) => {
                self.gaps[at].to = sequence - 1;
                if self.gaps.len() < GAPS_MAX {
                    self.gaps.insert(after, Gap { from: sequence + 1, ..gap });
                }
            }
        }
        true
    }
}

impl Stream {
    /// A stream of which nothing was seen yet.
    const fn new(stream: u32, low: u32, demand: Demand) -> Self {
        Self {
            stream,
            low,
            next: low,
            received: 0,
            duplicated: 0,
            out_of_order: 0,
            missing: 0,
            demand,
        }
    }
}

impl Gap {
    const fn key(&self) -> (u32, u32) {
        (self.stream, self.from)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    /// A tracker that joined stream 0 before anything was sent; then `count` messages were sent,
    /// acknowledged, and `arrived` arrived.
    fn tally_of(count: u32, arrived: &[u32]) -> DeliveryTally {
        let book = StreamBook::new(1);
        let mut tracker = DeliveryTracker::new(Arc::clone(&book));
        tracker.joined(&[0]);
        book.note_sent(0, count);
        for &sequence in arrived {
            tracker.received(0, sequence);
        }
        book.note_acknowledged(0, count);
        tracker.tally()
    }

    fn tally(
        expected: u64,
        received: u64,
        lost: u64,
        duplicated: u64,
        out_of_order: u64,
    ) -> DeliveryTally {
        DeliveryTally { expected, received, lost, duplicated, out_of_order }
    }

    #[test]
    fn each_mutation_shows_as_itself() {
        assert_eq!(tally_of(4, &[1, 2, 3, 4]), tally(4, 4, 0, 0, 0));
        assert_eq!(tally_of(4, &[1, 2, 4]), tally(4, 3, 1, 0, 0));
        assert_eq!(tally_of(4, &[1, 2, 3]), tally(4, 3, 1, 0, 0));
        assert_eq!(tally_of(4, &[2, 3, 4]), tally(4, 3, 1, 0, 0));
        assert_eq!(tally_of(4, &[]), tally(4, 0, 4, 0, 0));
        assert_eq!(tally_of(4, &[1, 2, 2, 3, 4]), tally(4, 5, 0, 1, 0));
        assert_eq!(tally_of(4, &[1, 3, 2, 4]), tally(4, 4, 0, 0, 1));
        assert_eq!(tally_of(4, &[2, 1, 3, 4]), tally(4, 4, 0, 0, 1));
        assert_eq!(tally_of(4, &[4, 3, 2, 1]), tally(4, 4, 0, 0, 3));
    }

    #[test]
    fn what_was_under_way_at_the_join_counts_from_the_first_that_came() {
        let book = StreamBook::new(1);
        let tracker_after = |arrived: &[u32]| {
            let mut tracker = DeliveryTracker::new(Arc::clone(&book));
            tracker.joined(&[0]);
            arrived.iter().for_each(|&sequence| tracker.received(0, sequence));
            tracker.tally()
        };
        book.note_sent(0, 10);
        book.note_acknowledged(0, 8);
        assert_eq!(tracker_after(&[]), tally(0, 0, 0, 0, 0));
        assert_eq!(tracker_after(&[11]), tally(1, 1, 0, 0, 0));
        assert_eq!(tracker_after(&[9, 10, 11]), tally(3, 3, 0, 0, 0));
        assert_eq!(tracker_after(&[9, 11]), tally(3, 2, 1, 0, 0));
        assert_eq!(tracker_after(&[9, 8]), tally(2, 2, 0, 0, 1));
        assert_eq!(tracker_after(&[10, 8, 11]), tally(4, 3, 1, 0, 1));
    }

    #[test]
    fn messages_may_come_before_the_join_acknowledgement_is_read() {
        let book = StreamBook::new(1);
        let mut tracker = DeliveryTracker::new(Arc::clone(&book));
        book.note_sent(0, 5);
        tracker.received(0, 4);
        book.note_acknowledged(0, 5);
        assert_eq!(tracker.tally(), tally(1, 1, 0, 0, 0));
        tracker.joined(&[0]);
        assert_eq!(tracker.tally(), tally(2, 1, 1, 0, 0));
        tracker.received(0, 5);
        assert_eq!(tracker.tally(), tally(2, 2, 0, 0, 0));
    }

    #[test]
    fn after_leaving_nothing_more_is_demanded() {
        let book = StreamBook::new(2);
        let mut tracker = DeliveryTracker::new(Arc::clone(&book));
        tracker.joined(&[1, 0]);
        book.note_acknowledged(0, 3);
        for sequence in 1..=3 {
            tracker.received(0, sequence);
        }
        tracker.leaving();
        book.note_acknowledged(0, 9);
        book.note_acknowledged(1, 9);
        assert_eq!(tracker.tally(), tally(3, 3, 0, 0, 0));
        tracker.received(0, 4);
        assert_eq!(tracker.tally(), tally(4, 4, 0, 0, 0));
    }

    #[test]
    fn streams_do_not_mix_and_strange_ones_are_ignored() {
        let book = StreamBook::new(3);
        let mut tracker = DeliveryTracker::new(Arc::clone(&book));
        tracker.joined(&[2, 0, 7]);
        for (stream, sequence) in [(0, 3), (2, 2), (0, 1), (2, 1), (0, 3), (7, 1), (1, 5)] {
            tracker.received(stream, sequence);
        }
        book.note_sent(9, 1);
        assert_eq!(tracker.tally(), tally(6, 6, 1, 1, 2));
        assert!(size_of::<Stream>() <= 36);
    }

    #[test]
    fn past_the_last_gap_kept_late_messages_stay_lost() {
        let book = StreamBook::new(1);
        let mut tracker = DeliveryTracker::new(Arc::clone(&book));
        tracker.joined(&[0]);
        let kept = u32::try_from(GAPS_MAX).unwrap_or(0);
        for gap in 0..kept + 2 {
            tracker.received(0, 2 * gap + 2);
        }
        assert_eq!(tracker.gaps.len(), GAPS_MAX);
        let all = u64::from(kept) + 2;
        assert_eq!(tracker.tally(), tally(2 * all, all, all, 0, 0));
        tracker.received(0, 2 * kept + 3);
        assert_eq!(tracker.tally(), tally(2 * all, all + 1, all, 1, 0));
        tracker.received(0, 1);
        assert_eq!(tracker.tally(), tally(2 * all, all + 2, all - 1, 1, 1));
    }

    #[test]
    fn the_largest_sequence_does_no_harm() {
        let counted = tally_of(1, &[u32::MAX, u32::MAX, 0, 1]);
        assert_eq!(counted.expected, counted.received - counted.duplicated + counted.lost);
    }

    /// The rules again, from the list of arrivals. `joined_at`: how many had arrived when the join
    /// acknowledgement was read, and how many had been sent.
    fn naive(arrived: &[u32], joined_at: Option<u32>, demanded_to: u32) -> DeliveryTally {
        let seen: BTreeSet<u32> = arrived.iter().copied().collect();
        let required_from = joined_at.map(|sent| sent + 1);
        let low = seen.first().copied().into_iter().chain(required_from).min();
        let demanded_to = if joined_at.is_some() { demanded_to } else { 0 };
        let high = seen.last().copied().unwrap_or(0).max(demanded_to);
        let expected = low.map_or(0, |low| u64::from((high + 1).saturating_sub(low)));
        let unique = seen.len() as u64;
        let mut earlier = BTreeSet::new();
        let late = arrived
            .iter()
            .filter(|&&sequence| {
                let after_a_later_one = earlier.last().is_some_and(|&last| last > sequence);
                earlier.insert(sequence) && after_a_later_one
            })
            .count();
        tally(
            expected,
            arrived.len() as u64,
            expected - unique,
            arrived.len() as u64 - unique,
            late as u64,
        )
    }

    #[derive(Clone, Debug)]
    enum Mutation {
        Drop(usize),
        Twice(usize),
        Swap(usize),
        Move(usize, usize),
    }

    fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
        let at = || 0_usize..1_000;
        let one = prop_oneof![
            at().prop_map(Mutation::Drop),
            at().prop_map(Mutation::Twice),
            at().prop_map(Mutation::Swap),
            (at(), at()).prop_map(|(from, to)| Mutation::Move(from, to)),
        ];
        proptest::collection::vec(one, 0..20)
    }

    fn mutate(arrived: &mut Vec<u32>, mutation: &Mutation) {
        let count = arrived.len();
        if count < 2 {
            return;
        }
        match *mutation {
            Mutation::Drop(at) => {
                arrived.remove(at % count);
            }
            Mutation::Twice(at) => arrived.insert(at % count, arrived[at % count]),
            Mutation::Swap(at) => arrived.swap(at % (count - 1), at % (count - 1) + 1),
            Mutation::Move(from, to) => {
                let sequence = arrived.remove(from % count);
                arrived.insert(to % count, sequence);
            }
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_naive_model(
            first in 1_u32..20,
            count in 0_u32..60,
            mutations in mutations(),
            joined_after in proptest::option::of(0_usize..70),
            sent_before in 0_u32..60,
            acknowledged in 0_u32..90,
            leaves: bool,
        ) {
            let book = StreamBook::new(4);
            let mut tracker = DeliveryTracker::new(Arc::clone(&book));
            let mut arrived: Vec<u32> = (first..first + count).collect();
            mutations.iter().for_each(|mutation| mutate(&mut arrived, mutation));
            // A neighbour with gaps of its own must change nothing.
            tracker.joined(&[2]);
            tracker.received(2, 7);
            let neighbour = tracker.tally();
            book.note_sent(3, sent_before);
            for (at, &sequence) in arrived.iter().enumerate() {
                if joined_after == Some(at) {
                    tracker.joined(&[3]);
                }
                tracker.received(3, sequence);
            }
            let joined = joined_after.map(|_| {
                if joined_after.is_some_and(|at| at >= arrived.len()) {
                    tracker.joined(&[3]);
                }
                sent_before
            });
            book.note_acknowledged(3, acknowledged);
            if leaves {
                tracker.leaving();
                book.note_acknowledged(3, acknowledged + 10);
            }
            let mut all = naive(&arrived, joined, acknowledged);
            prop_assert_eq!(all.expected, all.received - all.duplicated + all.lost);
            all.add(&neighbour);
            prop_assert_eq!(tracker.tally(), all);
        }

        #[test]
        fn one_mutation_changes_one_number(count in 3_u32..50, at in 0_usize..1_000) {
            let sent = u64::from(count);
            let of = |mutation: Mutation| {
                let mut arrived: Vec<u32> = (1..=count).collect();
                mutate(&mut arrived, &mutation);
                tally_of(count, &arrived)
            };
            prop_assert_eq!(of(Mutation::Drop(at)), tally(sent, sent - 1, 1, 0, 0));
            prop_assert_eq!(of(Mutation::Twice(at)), tally(sent, sent + 1, 0, 1, 0));
            prop_assert_eq!(of(Mutation::Swap(at)), tally(sent, sent, 0, 0, 1));
        }
    }
}
