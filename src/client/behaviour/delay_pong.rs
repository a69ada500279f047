//! Answers websocket pings later than they came.

use std::collections::VecDeque;

use tokio::time::Instant;

/// Most pongs held back at once by one connection; a ping past it is not answered.
pub const DELAYED_PONGS_MAX: usize = 1_024;

/// Pongs that wait for their instant, in order of arrival.
#[derive(Debug, Default)]
pub struct DelayedPongs {
    waiting: VecDeque<(Instant, Box<[u8]>)>,
}

impl DelayedPongs {
    /// Holds a pong back until `due`.
    pub fn hold(&mut self, due: Instant, payload: &[u8]) {
        if self.waiting.len() < DELAYED_PONGS_MAX {
            let at = self.waiting.partition_point(|(other, _)| *other <= due);
            self.waiting.insert(at, (due, payload.into()));
        }
    }

    /// The next pong that is due by `now`.
    pub fn pop_due(&mut self, now: Instant) -> Option<Box<[u8]>> {
        if self.next()? > now {
            return None;
        }
        self.waiting.pop_front().map(|(_, payload)| payload)
    }

    /// When the next one is due.
    #[must_use]
    pub fn next(&self) -> Option<Instant> {
        self.waiting.front().map(|(due, _)| *due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_pong_is_held_until_it_is_due_and_keeps_its_payload() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut pongs = DelayedPongs::default();
        pongs.hold(at(20), b"b");
        pongs.hold(at(10), b"a");
        assert_eq!(pongs.next(), Some(at(10)));
        assert_eq!(pongs.pop_due(at(9)), None);
        assert_eq!(pongs.pop_due(at(20)).as_deref(), Some(&b"a"[..]));
        assert_eq!(pongs.pop_due(at(20)).as_deref(), Some(&b"b"[..]));
        assert_eq!(pongs.pop_due(at(99)), None);
    }

    #[test]
    fn what_is_held_is_bounded() {
        let now = Instant::now();
        let mut pongs = DelayedPongs::default();
        for _ in 0..2 * DELAYED_PONGS_MAX {
            pongs.hold(now, b"");
        }
        let released = std::iter::from_fn(|| pongs.pop_due(now)).count();
        assert_eq!(released, DELAYED_PONGS_MAX);
    }
}
