//! The most of something in one second.

use std::time::Duration;

/// Counts what happens on a timeline, and keeps the busiest of its seconds. Seconds count from the
/// timeline's start; what happens comes in the order of time.
#[derive(Clone, Copy, Debug, Default)]
pub struct BusiestSecond {
    second: u64,
    in_second: u64,
    most: u64,
}

impl BusiestSecond {
    /// Something happens, so long after the start; how many in the busiest second so far.
    pub fn take(&mut self, at: Duration) -> u64 {
        if self.second != at.as_secs() {
            (self.second, self.in_second) = (at.as_secs(), 0);
        }
        self.in_second += 1;
        self.most = self.most.max(self.in_second);
        self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_those_of_the_timeline() {
        let mut busiest = BusiestSecond::default();
        let most = [0, 999, 1_000, 1_001, 1_999, 5_000, 6_000]
            .map(|ms| busiest.take(Duration::from_millis(ms)));
        assert_eq!(most, [1, 2, 2, 2, 3, 3, 3]);
    }
}
