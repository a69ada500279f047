//! When the next attempt of a recovery comes: a pure function of the policy and a random stream.

use std::time::Duration;

use rand::{Rng, RngExt};

use crate::scenario::plan::{FirstAttempt, Jitter, Reconnect, ReconnectPolicy};

/// How long attempt `attempt` (from 0) of a recovery waits, counted from the end it answers to;
/// `None` when the policy makes no such attempt.
#[must_use]
pub fn delay(reconnect: &Reconnect, attempt: u32, rng: &mut impl Rng) -> Option<Duration> {
    if reconnect.policy == ReconnectPolicy::None {
        return None;
    }
    if reconnect.attempts.is_some_and(|most| attempt >= most) {
        return None;
    }
    match reconnect.first {
        FirstAttempt::Within(window) if attempt == 0 => Some(uniform(window, rng)),
        FirstAttempt::Within(_) => numbered(&reconnect.policy, attempt, rng),
        FirstAttempt::AfterDelay => numbered(&reconnect.policy, attempt.saturating_add(1), rng),
    }
}

/// Delay number `number`, from 1.
fn numbered(policy: &ReconnectPolicy, number: u32, rng: &mut impl Rng) -> Option<Duration> {
    match *policy {
        ReconnectPolicy::None => None,
        ReconnectPolicy::Fixed { every } => Some(every),
        ReconnectPolicy::Exponential { base, cap, jitter } => {
            let factor = 1_u32.checked_shl(number.saturating_sub(1)).unwrap_or(u32::MAX);
            let whole = base.saturating_mul(factor).min(cap);
            Some(match jitter {
                Jitter::None => whole,
                Jitter::Equal => whole / 2 + uniform(whole / 2, rng),
                Jitter::Full => uniform(whole, rng),
            })
        }
    }
}

/// Uniform from zero to `most`, at nanosecond resolution.
fn uniform(most: Duration, rng: &mut impl Rng) -> Duration {
    let most_ns = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
    Duration::from_nanos(rng.random_range(0..=most_ns))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::plan::ReconnectAfter;
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    fn reconnect(policy: ReconnectPolicy, first: FirstAttempt) -> Reconnect {
        Reconnect { policy, after: ReconnectAfter::Drop, first, attempts: None }
    }

    fn seconds(reconnect: &Reconnect, attempts: u32) -> Vec<Option<u64>> {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        (0..attempts).map(|n| delay(reconnect, n, &mut rng).map(|d| d.as_secs())).collect()
    }

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_js_sdk_comes_at_once_and_then_every_second() {
        let fixed = ReconnectPolicy::Fixed { every: SECOND };
        let js = reconnect(fixed, FirstAttempt::Within(Duration::ZERO));
        assert_eq!(seconds(&js, 3), [Some(0), Some(1), Some(1)]);
    }

    #[test]
    fn the_dotnet_sdk_doubles_up_to_a_cap() {
        let policy = ReconnectPolicy::Exponential {
            base: SECOND,
            cap: Duration::from_secs(5),
            jitter: Jitter::None,
        };
        let net = reconnect(policy, FirstAttempt::Within(Duration::ZERO));
        assert_eq!(seconds(&net, 6), [0, 1, 2, 4, 5, 5].map(Some));
    }

    #[test]
    fn one_retry_after_the_delay_and_no_more() {
        let fixed = ReconnectPolicy::Fixed { every: Duration::from_secs(4) };
        let mut once = reconnect(fixed, FirstAttempt::AfterDelay);
        once.attempts = Some(1);
        assert_eq!(seconds(&once, 3), [Some(4), None, None]);
    }

    #[test]
    fn no_policy_makes_no_attempt() {
        let none = reconnect(ReconnectPolicy::None, FirstAttempt::AfterDelay);
        assert_eq!(seconds(&none, 1), [None]);
    }

    proptest! {
        #[test]
        fn every_delay_stays_within_its_bounds(
            seed: u64, base_ms in 0_u64..10_000, cap_ms in 0_u64..60_000,
            window_ms in 0_u64..60_000, attempt in 0_u32..100,
        ) {
            let (base, cap) = (Duration::from_millis(base_ms), Duration::from_millis(cap_ms));
            let window = Duration::from_millis(window_ms);
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let factor = 1_u32.checked_shl(attempt).unwrap_or(u32::MAX);
            let whole = base.saturating_mul(factor).min(cap);
            for (jitter, least) in
                [(Jitter::None, whole), (Jitter::Equal, whole / 2), (Jitter::Full, Duration::ZERO)]
            {
                let policy = ReconnectPolicy::Exponential { base, cap, jitter };
                let after = reconnect(policy.clone(), FirstAttempt::AfterDelay);
                let waits = delay(&after, attempt, &mut rng).unwrap();
                prop_assert!(least <= waits && waits <= whole, "{jitter:?} {waits:?} {whole:?}");
                let within = reconnect(policy, FirstAttempt::Within(window));
                prop_assert!(delay(&within, 0, &mut rng).unwrap() <= window);
            }
        }

        #[test]
        fn a_first_window_is_used_whole(seed: u64) {
            let policy = ReconnectPolicy::Fixed { every: SECOND };
            let within = reconnect(policy, FirstAttempt::Within(2 * SECOND));
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let waits: Vec<_> = (0..200).filter_map(|_| delay(&within, 0, &mut rng)).collect();
            prop_assert!(waits.iter().any(|wait| *wait < SECOND / 2));
            prop_assert!(waits.iter().any(|wait| *wait > 3 * SECOND / 2));
        }
    }
}
