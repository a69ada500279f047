//! Reads at most so many bytes, or messages, per second: a token bucket that holds little, so that
//! what is not read stays in the kernel and fills the hub's side.

use std::time::Duration;

use tokio::time::Instant;

/// A paced reader reads this often at most: a read is worth this share of a second's bytes.
const READS_PER_SECOND: f64 = 20.0;

/// Largest single read of a paced reader, in bytes.
pub const READ_BYTES_MAX: u32 = 4_096;

/// A token bucket that is asked before each read. It never holds more than one read's worth.
#[derive(Debug)]
pub struct Pace {
    rate: f64,
    quantum: f64,
    tokens: f64,
    at: Instant,
}

impl Pace {
    /// At most `rate` bytes per second from `start` on.
    #[must_use]
    pub fn bytes(rate: f64, start: Instant) -> Self {
        let quantum = (rate / READS_PER_SECOND).clamp(1.0, f64::from(READ_BYTES_MAX)).floor();
        Self { rate, quantum, tokens: 0.0, at: start }
    }

    /// At most `rate` messages per second from `start` on.
    #[must_use]
    pub const fn messages(rate: f64, start: Instant) -> Self {
        Self { rate, quantum: 1.0, tokens: 0.0, at: start }
    }

    /// How much may be read now: nothing until a whole read's worth has gathered.
    pub fn available(&mut self, now: Instant) -> u32 {
        let gained = now.saturating_duration_since(self.at).as_secs_f64() * self.rate;
        self.tokens = (self.tokens + gained).min(self.quantum);
        self.at = self.at.max(now);
        if self.tokens < self.quantum {
            return 0;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "1 to 4096")]
        let whole = self.quantum as u32;
        whole
    }

    /// Notes that so much was read.
    pub fn take(&mut self, count: u32) {
        self.tokens -= f64::from(count);
    }

    /// When something may be read; `None` when something may now, or never will (rate zero).
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        let missing = self.quantum - self.tokens;
        if missing <= 0.0 {
            return None;
        }
        let wait = Duration::try_from_secs_f64(missing / self.rate).ok()?;
        // Rounded up, so that the wait is never over a nanosecond early.
        self.at.checked_add(wait + Duration::from_nanos(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_reader_that_always_has_data_reads_at_its_rate() {
        let start = Instant::now();
        let mut pace = Pace::bytes(1_000.0, start);
        let (mut now, mut read) = (start, 0);
        while now < start + Duration::from_secs(10) {
            let may = pace.available(now);
            pace.take(may);
            read += may;
            now = pace.next().unwrap();
        }
        assert!((9_900..=10_000).contains(&read), "{read}");
    }

    #[test]
    fn rate_zero_never_reads_and_never_wakes() {
        let start = Instant::now();
        let mut pace = Pace::messages(0.0, start);
        assert_eq!(pace.available(start + Duration::from_secs(3_600)), 0);
        assert_eq!(pace.next(), None);
    }

    #[test]
    fn a_reader_that_waits_for_data_is_not_woken() {
        let start = Instant::now();
        let mut pace = Pace::bytes(1_000.0, start);
        assert_eq!(pace.available(start + Duration::from_secs(1)), 50);
        assert_eq!(pace.next(), None);
        pace.take(1);
        assert!(pace.next().is_some());
    }

    proptest! {
        #[test]
        fn never_faster_than_the_rate(
            rate in 0.1_f64..1_000_000.0,
            gaps_us in proptest::collection::vec(0_u64..2_000_000, 1..100),
        ) {
            let start = Instant::now();
            for mut pace in [Pace::bytes(rate, start), Pace::messages(rate, start)] {
                let (mut now, mut read) = (start, 0.0);
                for gap in &gaps_us {
                    now += Duration::from_micros(*gap);
                    let may = pace.available(now);
                    pace.take(may);
                    read += f64::from(may);
                }
                let most = rate * now.duration_since(start).as_secs_f64();
                prop_assert!(read <= most + 1e-6 * most + 1e-6, "{read} of {most}");
            }
        }

        #[test]
        fn a_wait_ends_in_a_read(rate in 0.1_f64..1_000_000.0) {
            let start = Instant::now();
            let mut pace = Pace::bytes(rate, start);
            prop_assert_eq!(pace.available(start), 0);
            let next = pace.next().unwrap();
            prop_assert!(pace.available(next) > 0);
        }
    }
}
