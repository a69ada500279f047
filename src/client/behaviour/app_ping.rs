//! Sends `{"type":"ping"}` at a fixed interval, whatever else is going on, as the JS SDK does: the
//! first one a whole interval after the start (client-protocols facts, 4.1).

use std::time::Duration;

use tokio::time::Instant;

/// When the next application ping is due.
#[derive(Debug)]
pub struct AppPing {
    every: Duration,
    next: Instant,
}

impl AppPing {
    /// Pings every `every`, counted from `start`.
    #[must_use]
    pub fn new(every: Duration, start: Instant) -> Self {
        Self { every, next: start + every }
    }

    /// Whether a ping is due by `now`; the next one is then planned. Pings that were missed are not
    /// made up for.
    pub fn take_due(&mut self, now: Instant) -> bool {
        if self.next > now {
            return false;
        }
        let late_ns = now.saturating_duration_since(self.next).as_nanos();
        let missed = late_ns.checked_div(self.every.as_nanos()).unwrap_or(0);
        let steps = u32::try_from(missed).unwrap_or(u32::MAX).saturating_add(1);
        self.next += self.every.saturating_mul(steps).max(Duration::from_nanos(1));
        true
    }

    /// When the next one is due.
    #[must_use]
    pub const fn next(&self) -> Instant {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pings_come_on_the_beat_and_missed_ones_are_left_out() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut ping = AppPing::new(Duration::from_millis(100), start);
        assert!(!ping.take_due(at(99)));
        assert!(ping.take_due(at(100)));
        assert!(!ping.take_due(at(199)));
        assert!(ping.take_due(at(457)));
        assert!(!ping.take_due(at(499)));
        assert_eq!(ping.next(), at(500));
    }
}
