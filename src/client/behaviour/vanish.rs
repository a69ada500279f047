//! Is gone without a close handshake: by a reset, by an end of stream, or into a black hole.

use tokio::time::Instant;

use crate::scenario::plan::{Behaviour, TimedBehaviour, Vanish};

/// Whether clients with these behaviours need a relay that can go silent: true silent loss on real
/// sockets cannot be had from one socket alone.
#[must_use]
pub fn needs_relay(behaviours: &[TimedBehaviour]) -> bool {
    behaviours.iter().any(|timed| timed.behaviour == Behaviour::Vanish { how: Vanish::BlackHole })
}

/// How the client vanishes by `now`, if it does, given the instants at which it vanishes.
#[must_use]
pub fn due(plans: impl IntoIterator<Item = (Instant, Vanish)>, now: Instant) -> Option<Vanish> {
    plans.into_iter().filter(|(at, _)| *at <= now).min_by_key(|(at, _)| *at).map(|(_, how)| how)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn timed(behaviour: Behaviour) -> TimedBehaviour {
        TimedBehaviour { behaviour, from: Duration::ZERO, until: None }
    }

    #[test]
    fn only_a_black_hole_needs_a_relay() {
        let relay = |how| needs_relay(&[timed(Behaviour::Stall), timed(Behaviour::Vanish { how })]);
        assert!(relay(Vanish::BlackHole));
        assert!(!relay(Vanish::Reset));
        assert!(!relay(Vanish::Fin));
        assert!(!needs_relay(&[]));
    }

    #[test]
    fn the_earliest_plan_that_has_come_wins() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let plans = [(at(20), Vanish::Fin), (at(10), Vanish::Reset)];
        assert_eq!(due(plans, at(9)), None);
        assert_eq!(due(plans, at(10)), Some(Vanish::Reset));
        assert_eq!(due(plans, at(30)), Some(Vanish::Reset));
    }
}
