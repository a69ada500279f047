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
    /// A clock set from the system's, once.
    #[must_use]
    pub fn system() -> Self {
        unimplemented!()
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

    /// Nanoseconds since the Unix epoch at an instant; an instant before the clock was set is 0
    /// beyond its start.
    #[must_use]
    pub fn at_ns(&self, instant: Instant) -> u64 {
        let since = instant.saturating_duration_since(self.start);
        self.epoch_unix_ns + u64::try_from(since.as_nanos()).unwrap_or(u64::MAX / 2)
    }

    /// The instant of a time in nanoseconds since the Unix epoch.
    #[must_use]
    pub fn instant_of(&self, unix_ns: u64) -> Instant {
        self.start + Duration::from_nanos(unix_ns.saturating_sub(self.epoch_unix_ns))
    }
}
