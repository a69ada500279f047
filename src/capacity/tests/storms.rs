//! Reconnect storms, held to a simulation of single clients with drawn delays (its results move by
//! 5 % with the seed; a fluid has no such luck).

use std::time::Duration;

use super::*;

const JAVASCRIPT: Retry = Retry::Fixed { every: Duration::from_secs(1) };
const PYTHON: Retry = Retry::Exponential {
    base: Duration::from_millis(800),
    cap: Duration::from_secs(120),
    jitter: Jitter::None,
};
const FULL: Retry = Retry::Exponential {
    base: Duration::from_secs(1),
    cap: Duration::from_secs(30),
    jitter: Jitter::Full,
};

fn near(actual: f64, expected: f64, part: f64) -> bool {
    (actual - expected).abs() <= expected * part
}

fn storm(clients: f64, rate: f64, first_within: Duration, retry: Retry) -> Storm {
    play(clients, rate, Reconnect { first_within, retry })
}

#[test]
fn at_once_and_then_every_second() {
    let small = storm(1_000.0, 100.0, Duration::ZERO, JAVASCRIPT);
    assert!(near(small.attempts_per_client, 5.4, 0.05), "{}", small.attempts_per_client);
    assert!(near(small.t100.unwrap(), 9.2, 0.05), "{:?}", small.t100);
    let large = storm(5_000.0, 400.0, Duration::ZERO, JAVASCRIPT);
    assert!(near(large.attempts_per_client, 6.7, 0.05), "{}", large.attempts_per_client);
    assert!(near(large.t100.unwrap(), 12.2, 0.15), "{:?}", large.t100);
    assert!(close(large.attempts_peak, 5_000.0));
}

#[test]
fn at_once_and_then_doubling_without_jitter() {
    let small = storm(1_000.0, 100.0, Duration::ZERO, PYTHON);
    assert!(near(small.attempts_per_client, 5.5, 0.05), "{}", small.attempts_per_client);
    assert!(near(small.t100.unwrap(), 324.0, 0.02), "{:?}", small.t100);
    let large = storm(5_000.0, 400.0, Duration::ZERO, PYTHON);
    assert!(near(large.t95.unwrap(), 564.0, 0.02), "{:?}", large.t95);
    assert!(large.t100.unwrap() > 600.0);
}

#[test]
fn over_the_recommended_window_nobody_is_refused() {
    for (clients, rate, within) in [(1_000.0, 100.0, 12.5), (5_000.0, 400.0, 15.7)] {
        let policy = recommended(clients, rate);
        assert!(close(policy.first_within.as_secs_f64(), within), "{:?}", policy.first_within);
        let storm = play(clients, rate, policy);
        assert!(near(storm.attempts_per_client, 1.0, 0.01), "{}", storm.attempts_per_client);
        assert!(near(storm.t95.unwrap(), 0.95 * within, 0.02), "{:?}", storm.t95);
        assert!(near(storm.t100.unwrap(), within, 0.02), "{:?}", storm.t100);
        assert!(storm.attempts_peak < rate);
    }
}

#[test]
fn a_short_window_and_full_jitter_lie_between() {
    let short = storm(1_000.0, 100.0, Duration::from_secs(5), FULL);
    let at_once = storm(1_000.0, 100.0, Duration::ZERO, FULL);
    let best = play(1_000.0, 100.0, recommended(1_000.0, 100.0));
    assert!(short.attempts_per_client < at_once.attempts_per_client);
    assert!(short.attempts_per_client > best.attempts_per_client);
    assert!(short.attempts_peak < at_once.attempts_peak / 2.0, "{}", short.attempts_peak);
}

#[test]
fn nobody_is_back_before_the_least_time_and_everybody_once() {
    for retry in [JAVASCRIPT, PYTHON, FULL] {
        for within in [0, 5, 20] {
            let storm = storm(3_000.0, 100.0, Duration::from_secs(within), retry);
            // A second's worth was saved up.
            let took = storm.t100.unwrap_or(f64::INFINITY);
            assert!(took >= least_seconds(3_000.0, 100.0) - 1.05, "{took}");
            let back = storm.seconds.last().unwrap().back;
            assert!(back <= 3_000.0 + 1e-6, "{back}");
            assert!(retry == PYTHON || near(back, 3_000.0, 0.001), "{retry:?} {back}");
            assert!(storm.seconds.windows(2).all(|two| two[0].back <= two[1].back + 1e-6));
            let attempts: f64 = storm.seconds.iter().map(|second| second.attempts).sum();
            assert!(near(attempts / 3_000.0, storm.attempts_per_client, 1e-6));
        }
    }
}
