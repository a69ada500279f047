//! For every stream of a run: how far it was sent, how far it was acknowledged, and by when.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

/// How long acknowledgements are remembered by their instants, at least, in nanoseconds. A
/// connection's end is asked about once both sides of its row are there: some link delays, and what
/// a hub lingers, after the hub decided it.
pub const HISTORY_NS: u64 = 20_480_000_000;

/// Marks kept of one stream, at most: one for every 10 ms of the history.
pub const MARKS_MOST: usize = 2_048;

/// Marks kept of one stream, at least: one for every 320 ms of the history.
pub const MARKS_LEAST: usize = 64;

/// Marks kept of all streams, as long as each has [`MARKS_LEAST`].
pub const MARKS_TOTAL: usize = 1 << 20;

/// For every stream of the plan, the highest sequence sent and the highest acknowledged so far,
/// with marks that tell when. Shared by the threads of a run: written by the sender's thread only,
/// read by others.
///
/// Relaxed order is enough: each number stands for itself and only grows, and between a note and
/// the subscriber that must have seen it lies a message through the hub. A mark is one number too,
/// and what it says stays true.
///
/// Memory: 12 bytes per stream and 8 per mark: 8 MiB for up to 16,384 streams, beyond that 524
/// bytes for each.
#[derive(Debug)]
pub struct StreamBook {
    sent: Vec<AtomicU32>,
    acknowledged: Vec<AtomicU32>,
    /// Marks made of each stream so far, less those that were renewed; it may wrap.
    made: Vec<AtomicU32>,
    /// The latest marks of each stream, as rings of `1 << ring_bits` beside each other.
    marks: Vec<AtomicU64>,
    ring_bits: u32,
}

/// Before this tick began, the stream was acknowledged up to there.
#[derive(Clone, Copy, Debug)]
struct Mark {
    tick: u32,
    highest: u32,
}

impl StreamBook {
    /// A book of `streams` streams with nothing sent.
    #[must_use]
    pub fn new(streams: usize) -> Arc<Self> {
        let ring = (MARKS_TOTAL / streams.max(1)).clamp(MARKS_LEAST, MARKS_MOST);
        let ring_bits = ring.ilog2();
        let zeros = || std::iter::repeat_with(AtomicU32::default).take(streams).collect();
        let marks = std::iter::repeat_with(AtomicU64::default).take(streams << ring_bits);
        Arc::new(Self {
            sent: zeros(),
            acknowledged: zeros(),
            made: zeros(),
            marks: marks.collect(),
            ring_bits,
        })
    }

    /// Notes that a stream's next message is being sent.
    pub fn note_sent(&self, stream: u32, sequence: u32) {
        note(&self.sent, stream, sequence);
    }

    /// Notes that an acknowledgement was read at `at_ns` of the run. For senders that ask for none:
    /// the hand-over to the socket, and an instant by which the hub must have had the message.
    /// Instants of a stream never go back.
    pub fn note_acknowledged(&self, stream: u32, sequence: u32, at_ns: u64) {
        let grows = note(&self.acknowledged, stream, sequence);
        let Some(made) = self.made.get(index(stream)).filter(|_| grows) else { return };
        let count = made.load(Ordering::Relaxed);
        let mark = Mark { tick: self.tick(at_ns).saturating_add(1), highest: sequence };
        let latest = self.mark(stream, count.wrapping_sub(1));
        let renewed = Mark::read(latest).tick == mark.tick;
        let place = if renewed { latest } else { self.mark(stream, count) };
        place.store(mark.number(), Ordering::Relaxed);
        made.store(count.wrapping_add(u32::from(!renewed)), Ordering::Relaxed);
    }

    /// Highest sequence sent; 0 when nothing was. `None` when the plan has no such stream.
    pub(super) fn sent(&self, stream: u32) -> Option<u32> {
        Some(self.sent.get(index(stream))?.load(Ordering::Relaxed))
    }

    /// Highest sequence acknowledged; 0 when none was.
    pub(super) fn acknowledged(&self, stream: u32) -> u32 {
        self.acknowledged.get(index(stream)).map_or(0, |highest| highest.load(Ordering::Relaxed))
    }

    /// Highest sequence that is known to have been acknowledged before `at_ns`; 0 when none is. It
    /// may be less than what was: by what the same tick acknowledged, and by everything where
    /// `at_ns` lies before the history.
    pub(super) fn acknowledged_before(&self, stream: u32, at_ns: u64) -> u32 {
        let Some(made) = self.made.get(index(stream)) else { return 0 };
        let (made, tick) = (made.load(Ordering::Relaxed), self.tick(at_ns));
        let latest_first = (1..=1_u32 << self.ring_bits).map(|back| made.wrapping_sub(back));
        let mut marks = latest_first.map(|number| Mark::read(self.mark(stream, number)));
        marks.find(|mark| mark.tick <= tick).map_or(0, |mark| mark.highest)
    }

    fn tick(&self, at_ns: u64) -> u32 {
        u32::try_from(at_ns / (HISTORY_NS >> self.ring_bits)).unwrap_or(u32::MAX - 1)
    }

    /// Where a mark of a stream of the plan stands.
    fn mark(&self, stream: u32, number: u32) -> &AtomicU64 {
        let in_ring = index(number) & ((1 << self.ring_bits) - 1);
        &self.marks[(index(stream) << self.ring_bits) + in_ring]
    }
}

impl Mark {
    fn number(self) -> u64 {
        (u64::from(self.tick) << 32) | u64::from(self.highest)
    }

    /// A mark that was not made says that before the start nothing was acknowledged.
    fn read(from: &AtomicU64) -> Self {
        let [a, b, c, d, e, f, g, h] = from.load(Ordering::Relaxed).to_be_bytes();
        Self { tick: u32::from_be_bytes([a, b, c, d]), highest: u32::from_be_bytes([e, f, g, h]) }
    }
}

/// Whether the sequence is higher than any before.
fn note(book: &[AtomicU32], stream: u32, sequence: u32) -> bool {
    let highest = book.get(index(stream));
    highest.is_some_and(|highest| highest.fetch_max(sequence, Ordering::Relaxed) < sequence)
}

const fn index(number: u32) -> usize {
    number as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const MS: u64 = 1_000_000;

    #[test]
    fn it_tells_what_was_acknowledged_before_an_instant_and_not_at_it() {
        let book = StreamBook::new(2);
        book.note_acknowledged(1, 3, SECOND);
        book.note_acknowledged(1, 7, 2 * SECOND);
        book.note_acknowledged(1, 5, 3 * SECOND);
        let before = |at_ns| book.acknowledged_before(1, at_ns);
        assert_eq!([before(0), before(SECOND), before(SECOND + 10 * MS)], [0, 0, 3]);
        assert_eq!([before(2 * SECOND), before(2 * SECOND + 10 * MS), before(u64::MAX)], [3, 7, 7]);
        assert_eq!([book.acknowledged_before(0, SECOND), book.acknowledged_before(2, 9)], [0, 0]);
    }

    #[test]
    fn acknowledgements_of_one_tick_count_from_its_end() {
        let book = StreamBook::new(1);
        book.note_acknowledged(0, 1, SECOND);
        book.note_acknowledged(0, 2, SECOND + 10 * MS - 1);
        book.note_acknowledged(0, 3, SECOND + 10 * MS);
        assert_eq!(book.acknowledged_before(0, SECOND + 10 * MS - 1), 0);
        assert_eq!(book.acknowledged_before(0, SECOND + 10 * MS), 2);
        assert_eq!(book.acknowledged_before(0, SECOND + 20 * MS), 3);
    }

    #[test]
    fn a_busy_stream_is_remembered_for_the_history_whatever_its_neighbours_do() {
        for streams in [1, 700, 20_000] {
            let book = StreamBook::new(streams);
            let tick = HISTORY_NS >> book.ring_bits;
            for sequence in 1..=100_000 {
                book.note_acknowledged(0, sequence, u64::from(sequence) * MS / 2);
                book.note_acknowledged(1, 1, SECOND);
            }
            // Twice as many as milliseconds.
            for back in [tick, SECOND, HISTORY_NS - 2 * tick] {
                let at = 50 * SECOND - back;
                let known = u64::from(book.acknowledged_before(0, at)) * MS / 2;
                assert!(known < at && at - known <= tick, "{known} of {at}, {streams} streams");
            }
            let long_ago = 49 * SECOND - HISTORY_NS;
            assert_eq!(book.acknowledged_before(0, long_ago), 0, "{streams} streams");
        }
    }

    #[test]
    fn a_quiet_stream_is_remembered_for_longer() {
        let book = StreamBook::new(1);
        (1..=3).for_each(|n| book.note_acknowledged(0, n, u64::from(n) * 100 * SECOND));
        let before = [99, 101, 299, 999].map(|at| book.acknowledged_before(0, at * SECOND));
        assert_eq!(before, [0, 1, 2, 3]);
    }

    #[test]
    fn memory_is_bounded_by_the_number_of_streams() {
        let marks = |streams| StreamBook::new(streams).marks.len();
        assert_eq!([marks(0), marks(1), marks(512)], [0, MARKS_MOST, MARKS_TOTAL]);
        assert_eq!(marks(513), 513 * 1_024);
        assert_eq!([marks(16_384), marks(100_000)], [MARKS_TOTAL, 100_000 * MARKS_LEAST]);
    }

    #[test]
    fn the_largest_numbers_do_no_harm() {
        let book = StreamBook::new(1);
        book.note_acknowledged(0, u32::MAX, u64::MAX);
        book.note_acknowledged(9, 1, 1);
        assert_eq!(book.acknowledged_before(0, u64::MAX), 0, "it is no longer told when");
        let other = StreamBook::new(1);
        other.made[0].store(u32::MAX, Ordering::Relaxed);
        (1..=3).for_each(|n| other.note_acknowledged(0, n, u64::from(n) * SECOND));
        assert_eq!([1, 2, 3, 4].map(|at| other.acknowledged_before(0, at * SECOND)), [0, 1, 2, 3]);
    }
}
