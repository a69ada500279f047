//! Times as a histogram that knows its least and greatest value exactly.

use hdrhistogram::Histogram;

/// Significant decimal digits of what lies between the least and the greatest time.
const DIGITS: u8 = 3;

/// Times in whole microseconds. A histogram tells a value by the upper edge of its bucket, which
/// may be more than any value that there was; so the extremes are kept beside it, and nothing that
/// is told of the times lies outside of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Timings {
    histogram: Histogram<u64>,
    min_us: u64,
    max_us: u64,
}

impl Timings {
    /// No times, in the room for all from 1 µs up to a longest one. Up to an hour that is 190 KB.
    #[must_use]
    pub fn up_to(longest_us: u64) -> Self {
        let Ok(histogram) = Histogram::new_with_bounds(1, longest_us.max(2), DIGITS) else {
            unreachable!("a histogram takes these bounds and three digits")
        };
        Self { histogram, min_us: u64::MAX, max_us: 0 }
    }

    /// No times, with room that grows with the longest one.
    #[must_use]
    pub fn growing() -> Self {
        let Ok(histogram) = Histogram::new(DIGITS) else {
            unreachable!("a histogram takes three digits")
        };
        Self { histogram, min_us: u64::MAX, max_us: 0 }
    }

    /// The times of a histogram, whose extremes are known exactly.
    pub(super) const fn of(histogram: Histogram<u64>, min_us: u64, max_us: u64) -> Self {
        Self { histogram, min_us, max_us }
    }

    /// Adds a time. One that there is no room for counts as the longest there is room for.
    pub fn record(&mut self, us: u64) {
        if self.histogram.record(us).is_err() {
            self.histogram.saturating_record(us);
        }
        self.min_us = self.min_us.min(us);
        self.max_us = self.max_us.max(us);
    }

    /// Adds the times of others with the same room, exactly.
    pub fn merge(&mut self, other: &Self) {
        // Nothing is out of range in the same room, or in one that grows.
        let _ = self.histogram.add(&other.histogram);
        self.min_us = self.min_us.min(other.min_us);
        self.max_us = self.max_us.max(other.max_us);
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.histogram.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.histogram.is_empty()
    }

    /// The least, in microseconds, exactly; 0 of none.
    #[must_use]
    pub const fn min(&self) -> u64 {
        if self.min_us > self.max_us { 0 } else { self.min_us }
    }

    /// The greatest, in microseconds, exactly; 0 of none.
    #[must_use]
    pub const fn max(&self) -> u64 {
        self.max_us
    }

    /// The mean, in microseconds, to three digits.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.histogram.mean().clamp(self.min() as f64, self.max() as f64)
    }

    /// The time that a share of them, from 0 to 1, is at most, in microseconds: to three digits,
    /// and never outside of the least and the greatest.
    #[must_use]
    pub fn value_at_quantile(&self, share: f64) -> u64 {
        self.histogram.value_at_quantile(share).clamp(self.min(), self.max())
    }

    /// The histogram alone.
    #[must_use]
    pub const fn histogram(&self) -> &Histogram<u64> {
        &self.histogram
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn equal_times_are_told_as_what_they_were() {
        let mut lives = Timings::growing();
        (0..3).for_each(|_| lives.record(4_000_000));
        let told = [lives.min(), lives.value_at_quantile(0.5), lives.max()];
        assert_eq!(told, [4_000_000; 3]);
        assert!((lives.mean() - 4e6).abs() < 1e-3, "{}", lives.mean());
    }

    #[test]
    fn of_no_times_there_is_neither_a_least_nor_a_greatest() {
        let none = Timings::up_to(1_000);
        assert!(none.is_empty());
        assert_eq!((none.min(), none.max(), none.value_at_quantile(0.99)), (0, 0, 0));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]
        #[test]
        fn no_quantile_lies_outside_of_what_was_recorded(
            times in proptest::collection::vec(1_u64..1 << 40, 1..20),
            share in 0.0..=1.0_f64,
        ) {
            let mut timings = Timings::growing();
            times.iter().for_each(|&time| timings.record(time));
            let (least, greatest) = (*times.iter().min().unwrap(), *times.iter().max().unwrap());
            prop_assert_eq!((timings.min(), timings.max()), (least, greatest));
            prop_assert!((least..=greatest).contains(&timings.value_at_quantile(share)));
        }
    }
}
