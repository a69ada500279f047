//! Reads everything and never answers a websocket ping: what a client looks like whose pongs are
//! starved behind its own work.

use super::PingAnswer;

/// What becomes of a ping.
#[must_use]
pub const fn answer() -> PingAnswer {
    PingAnswer::Never
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_ping_is_answered() {
        assert_eq!(answer(), PingAnswer::Never);
    }
}
