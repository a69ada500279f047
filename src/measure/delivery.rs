//! Per subscriber: expected, received, lost, duplicated, out of order.
//!
//! A stream is one (sender, group) pair; its messages are numbered from 1. Expected are the
//! messages the hub acknowledged between a member's join acknowledgement and its decided end. Two
//! facts make that exact without asking the hub: what is sent after the member has read its join
//! acknowledgement reaches the hub after the join, and the hub queues a message for its members
//! before it acknowledges it.
//!
//! A client learns of its end later than the hub decides it, so its own tally counts too much at
//! the end of each stream. Where the hub's side is observed, [`up_to_the_decision`] takes that out.

use std::sync::Arc;

use super::StreamBook;
use crate::event::DeliveryTally;
use crate::event::LostTail;

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
    /// Up to what is sent by the time of the tally.
    Sent,
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

    /// The connection is the sender of a stream, and each of its messages is to come back to it:
    /// every one that is sent from now on is expected, acknowledged or not.
    pub fn asking(&mut self, stream: u32) {
        let Some(sent) = self.book.sent(stream) else { return };
        if let Err(at) = self.find(stream) {
            let low = sent.saturating_add(1);
            self.streams.insert(at, Stream::new(stream, low, Demand::Sent));
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
    /// acknowledged by now is expected, what comes later is welcome and not demanded. (Nothing is
    /// sent any more.)
    pub fn leaving(&mut self) {
        for stream in &mut self.streams {
            if matches!(stream.demand, Demand::Acknowledged) {
                stream.demand = Demand::UpTo(self.book.acknowledged(stream.stream));
            }
        }
    }

    /// The tally at the end, and what of it is lost behind the last message that came of a stream.
    /// After a drop (no [`Self::leaving`]) what the hub had acknowledged by now is expected.
    #[must_use]
    pub fn end(&self) -> (DeliveryTally, Vec<LostTail>) {
        let (mut sum, mut tails) = (DeliveryTally::default(), Vec::new());
        for stream in &self.streams {
            let demanded_to = match stream.demand {
                Demand::Nothing => 0,
                Demand::Acknowledged => self.book.acknowledged(stream.stream),
                Demand::Sent => self.book.sent(stream.stream).unwrap_or_default(),
                Demand::UpTo(sequence) => sequence,
            };
            let missing_at_the_end = demanded_to.saturating_add(1).saturating_sub(stream.next);
            if missing_at_the_end > 0 {
                tails.push(LostTail {
                    stream: stream.stream,
                    from: stream.next,
                    count: missing_at_the_end,
                });
            }
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
        (sum, tails)
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

/// The end of a connection as the hub decided it.
#[derive(Clone, Copy, Debug)]
pub struct Decision {
    /// When, in nanoseconds of the run.
    pub at_ns: u64,
    /// Messages that the hub had queued for the connection by then.
    pub queued: u64,
}

/// A client's tally up to the end that the hub decided. `tails` are those of the client's end,
/// `arrived` all messages that it received.
///
/// Of a tail stay lost the messages whose acknowledgement had been read when the hub decided: it
/// had queued them by then. (That holds for a hub with a clock of its own too. Its times may be
/// wrong by half of the shortest round trip, and no acknowledgement comes back faster than that
/// makes up for.) Of the others the client's side cannot tell which the hub queued before it
/// decided. The hub says how many it queued in all; as many of them as never came stay lost.
#[must_use]
pub fn up_to_the_decision(
    tally: DeliveryTally,
    tails: &[LostTail],
    arrived: u64,
    book: &StreamBook,
    decision: Decision,
) -> DeliveryTally {
    let all: u64 = tails.iter().map(|tail| u64::from(tail.count)).sum();
    let known = |tail: &LostTail| {
        let before = book.acknowledged_before(tail.stream, decision.at_ns).saturating_add(1);
        u64::from(before.saturating_sub(tail.from).min(tail.count))
    };
    let known: u64 = tails.iter().map(known).sum();
    let missing_between = tally.lost - all;
    let never_came = decision.queued.saturating_sub(arrived).saturating_sub(missing_between);
    let after_the_decision = all - never_came.clamp(known, all);
    DeliveryTally {
        expected: tally.expected - after_the_decision,
        lost: tally.lost - after_the_decision,
        ..tally
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    impl DeliveryTracker {
        fn tally(&self) -> DeliveryTally {
            self.end().0
        }
    }

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
        book.note_acknowledged(0, count, 0);
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
        book.note_acknowledged(0, 8, 0);
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
        book.note_acknowledged(0, 5, 0);
        assert_eq!(tracker.tally(), tally(1, 1, 0, 0, 0));
        tracker.joined(&[0]);
        assert_eq!(tracker.tally(), tally(2, 1, 1, 0, 0));
        tracker.received(0, 5);
        assert_eq!(tracker.tally(), tally(2, 2, 0, 0, 0));
    }

    #[test]
    fn every_event_of_a_sender_that_asks_is_demanded_back_acknowledged_or_not() {
        let book = StreamBook::new(2);
        book.note_sent(1, 3);
        let mut tracker = DeliveryTracker::new(Arc::clone(&book));
        tracker.asking(1);
        tracker.asking(9);
        assert_eq!(tracker.tally(), tally(0, 0, 0, 0, 0));
        book.note_sent(1, 8);
        for sequence in [4, 6, 5, 6] {
            tracker.received(1, sequence);
        }
        tracker.leaving();
        assert_eq!(tracker.tally(), tally(5, 4, 2, 1, 1));
    }

    #[test]
    fn after_leaving_nothing_more_is_demanded() {
        let book = StreamBook::new(2);
        let mut tracker = DeliveryTracker::new(Arc::clone(&book));
        tracker.joined(&[1, 0]);
        book.note_acknowledged(0, 3, 0);
        for sequence in 1..=3 {
            tracker.received(0, sequence);
        }
        tracker.leaving();
        book.note_acknowledged(0, 9, 0);
        book.note_acknowledged(1, 9, 0);
        assert_eq!(tracker.tally(), tally(3, 3, 0, 0, 0));
        tracker.received(0, 4);
        assert_eq!(tracker.tally(), tally(4, 4, 0, 0, 0));
    }

    /// What is left of the tally of one stream, of which the first `arrived` of `acknowledged`
    /// messages came, each acknowledged at a second of its own, when the hub decided at
    /// `decided_ns` and had queued `queued`.
    fn settled(acknowledged: u32, arrived: u32, decided_ns: u64, queued: u64) -> DeliveryTally {
        let book = StreamBook::new(1);
        let mut tracker = DeliveryTracker::new(Arc::clone(&book));
        tracker.joined(&[0]);
        (1..=acknowledged).for_each(|n| book.note_acknowledged(0, n, u64::from(n) * SECOND));
        (1..=arrived).for_each(|n| tracker.received(0, n));
        let (tally, tails) = tracker.end();
        let decision = Decision { at_ns: decided_ns, queued };
        up_to_the_decision(tally, &tails, u64::from(arrived), &book, decision)
    }

    const SECOND: u64 = 1_000_000_000;
    const LATER: u64 = 10_000_000;

    #[test]
    fn what_was_acknowledged_after_the_decision_is_not_expected() {
        assert_eq!(settled(9, 6, 6 * SECOND + LATER, 6), tally(6, 6, 0, 0, 0));
        assert_eq!(settled(9, 0, SECOND, 0), tally(0, 0, 0, 0, 0));
        // At the very instant: the hub says that it had queued none of them.
        assert_eq!(settled(9, 6, 7 * SECOND, 6), tally(6, 6, 0, 0, 0));
    }

    #[test]
    fn what_was_acknowledged_before_the_decision_stays_lost_whatever_the_hub_says() {
        for queued in [0, 6, 8] {
            assert_eq!(settled(9, 6, 8 * SECOND + LATER, queued), tally(8, 6, 2, 0, 0), "{queued}");
        }
        assert_eq!(settled(9, 6, 60 * SECOND, 6), tally(9, 6, 3, 0, 0));
        assert_eq!(settled(9, 9, 60 * SECOND, 9), tally(9, 9, 0, 0, 0));
    }

    #[test]
    fn what_the_hub_queued_before_the_decision_stays_lost_though_acknowledged_after_it() {
        assert_eq!(settled(9, 6, 6 * SECOND + LATER, 8), tally(8, 6, 2, 0, 0));
        assert_eq!(settled(9, 6, 6 * SECOND + LATER, 99), tally(9, 6, 3, 0, 0));
        // So it is where the instants are no longer known.
        assert_eq!(settled(99, 6, 6 * SECOND, 8), tally(8, 6, 2, 0, 0));
    }

    #[test]
    fn what_is_lost_between_others_stays_lost_and_is_none_of_the_tail() {
        let book = StreamBook::new(2);
        let mut tracker = DeliveryTracker::new(Arc::clone(&book));
        tracker.joined(&[0, 1]);
        tracker.received(0, 1);
        tracker.received(0, 4);
        book.note_acknowledged(0, 4, 0);
        book.note_acknowledged(0, 6, SECOND);
        book.note_acknowledged(1, 3, SECOND);
        tracker.leaving();
        book.note_acknowledged(1, 9, 2 * SECOND);
        let (all, tails) = tracker.end();
        assert_eq!(all, tally(9, 2, 7, 0, 0));
        assert_eq!(tails.iter().map(|tail| tail.count).sum::<u32>(), 5);
        let left =
            |at_ns, queued| up_to_the_decision(all, &tails, 2, &book, Decision { at_ns, queued });
        assert_eq!(left(SECOND, 2), tally(4, 2, 2, 0, 0));
        assert_eq!(left(SECOND, 4), tally(4, 2, 2, 0, 0));
        assert_eq!(left(SECOND, 5), tally(5, 2, 3, 0, 0));
        assert_eq!(left(2 * SECOND, 2), all);
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
            book.note_acknowledged(3, acknowledged, 0);
            if leaves {
                tracker.leaving();
                book.note_acknowledged(3, acknowledged + 10, 0);
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
