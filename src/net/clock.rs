//! One clock: a fixed epoch plus tokio's. Wall time comes only from here.

use std::time::Duration;

use tokio::time::Instant;

/// A clock that tells time as nanoseconds since the Unix epoch, advanced by [`Instant`]. `Copy`:
/// every part of a world holds the same one.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    epoch_unix_ns: u64,
    start: Instant,
}

impl Clock {
    /// A clock set from the system's, once. (A system clock before 1970 counts as 1970.)
    #[must_use]
    #[expect(clippy::disallowed_types, reason = "the one place where wall time is read")]
    pub fn system() -> Self {
        let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        Self::fixed(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX / 2))
    }

    /// A clock that shows `unix_ns` now. (The virtual world's plan fixes it.)
    #[must_use]
    pub fn fixed(epoch_unix_ns: u64) -> Self {
        Self { epoch_unix_ns, start: Instant::now() }
    }

    /// Nanoseconds since the Unix epoch, now.
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        self.at_ns(Instant::now())
    }

    /// Whole seconds since the Unix epoch, now: the unit of tokens.
    #[must_use]
    pub fn now_s(&self) -> u64 {
        self.now_ns() / 1_000_000_000
    }

    /// Nanoseconds since the Unix epoch at an instant; an instant before the clock was set counts
    /// as the one when it was.
    #[must_use]
    pub fn at_ns(&self, instant: Instant) -> u64 {
        let since = instant.saturating_duration_since(self.start);
        self.epoch_unix_ns + u64::try_from(since.as_nanos()).unwrap_or(u64::MAX / 2)
    }

    /// The instant of a time in nanoseconds since the Unix epoch; a time before the clock was set
    /// counts as the one when it was.
    #[must_use]
    pub fn instant_of(&self, unix_ns: u64) -> Instant {
        self.start + Duration::from_nanos(unix_ns.saturating_sub(self.epoch_unix_ns))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_clock_moves_with_tokio_time_only() {
        let clock = Clock::fixed(5_000_000_000);
        assert_eq!(clock.now_ns(), 5_000_000_000);
        tokio::time::advance(Duration::from_millis(1_500)).await;
        assert_eq!(clock.now_ns(), 6_500_000_000);
        assert_eq!(clock.now_s(), 6);
        assert_eq!(clock.at_ns(clock.instant_of(7_000_000_001)), 7_000_000_001);
    }

    #[tokio::test(start_paused = true)]
    async fn times_before_the_clock_was_set_count_as_its_start() {
        let before = Instant::now();
        tokio::time::advance(Duration::from_secs(1)).await;
        let clock = Clock::fixed(10);
        assert_eq!(clock.at_ns(before), 10);
        assert_eq!(clock.instant_of(3), Instant::now());
    }

    #[tokio::test(start_paused = true)]
    async fn the_system_clock_is_read_once() {
        let clock = Clock::system();
        let then = clock.now_ns();
        assert!(then > 1_600_000_000_000_000_000, "after 2020: {then}");
        assert_eq!(clock.now_ns(), then, "tokio's clock stands still, so does this one");
    }
}
