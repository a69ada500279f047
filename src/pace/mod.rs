//! Arrival and send schedules as pure functions from the plan to planned instants, and the run's
//! random streams.

mod arrival;

use std::time::Duration;

use rand::{RngExt as _, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use crate::scenario::plan::Traffic;

pub use arrival::arrivals;

/// What a random stream is for: one stream per (seed, population name, client index, purpose), so
/// that adding or shrinking one population changes no other's draws.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Arrival gaps of a population (client index 0).
    Arrival,
    /// Reconnect jitter.
    Reconnect,
    /// Websocket keys and masks.
    Wire,
    /// Behaviour draws (lost pongs).
    Behaviour,
    /// How long a client stays that churns.
    Churn,
    /// Ids the hub hands out.
    Ids,
    /// Jitter of a link.
    Link,
    /// What the rules of an application server draw.
    Upstream,
}

impl Purpose {
    /// Never changes: draws of old seeds depend on it.
    const fn label(self) -> &'static [u8] {
        match self {
            Self::Arrival => b"arrival",
            Self::Reconnect => b"reconnect",
            Self::Wire => b"wire",
            Self::Behaviour => b"behaviour",
            Self::Churn => b"churn",
            Self::Ids => b"ids",
            Self::Link => b"link",
            Self::Upstream => b"upstream",
        }
    }
}

/// The random stream of (seed, population, index, purpose): ChaCha8, keyed with the SHA-256 of the
/// four, each with its length where it varies.
#[must_use]
pub fn stream(seed: u64, population: &str, index: u32, purpose: Purpose) -> ChaCha8Rng {
    let mut key = Sha256::new();
    key.update(b"squall stream 1");
    key.update(seed.to_le_bytes());
    key.update((population.len() as u64).to_le_bytes());
    key.update(population.as_bytes());
    key.update(index.to_le_bytes());
    key.update(purpose.label());
    ChaCha8Rng::from_seed(key.finalize().into())
}

/// Longest stay that is drawn: no run lasts as long.
const STAY_MAX: Duration = Duration::from_hours(365 * 24);

/// How long a client stays before it leaves by churn of `rate` departures per second: drawn
/// exponentially, at most a year.
#[must_use]
pub fn stay(rate: f64, rng: &mut ChaCha8Rng) -> Duration {
    // In (0, 1], so that the logarithm is finite.
    let uniform: f64 = 1.0 - rng.random::<f64>();
    Duration::try_from_secs_f64(-uniform.ln() / rate).map_or(STAY_MAX, |stay| stay.min(STAY_MAX))
}

/// Planned instant of message `sequence` (from 1) of sender `position` of a traffic, counted from
/// the start of the timeline; `None` past its `until`. Senders are spread evenly over the interval,
/// so that they do not all send at once.
#[must_use]
pub fn send_instant(traffic: &Traffic, position: u32, sequence: u32) -> Option<Duration> {
    let senders = f64::from(traffic.from.count().max(1));
    let intervals = f64::from(sequence.saturating_sub(1)) + f64::from(position) / senders;
    let since = Duration::try_from_secs_f64(intervals / traffic.rate).ok()?;
    let instant = traffic.start.checked_add(since)?;
    traffic.until.is_none_or(|until| instant < until).then_some(instant)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::Rng;

    use super::*;
    use crate::scenario::plan::{Destination, Senders};

    fn traffic(senders: u32, rate: f64) -> Traffic {
        Traffic {
            name: "chatter".into(),
            from: Senders::Clients { population: 0, first: 0, count: senders },
            to: Destination::Group(0),
            rate,
            size: 64,
            start: Duration::from_secs(2),
            until: Some(Duration::from_secs(4)),
            acknowledged: true,
            in_flight: None,
            no_echo: false,
            stream_base: 0,
        }
    }

    #[test]
    fn messages_are_evenly_spaced_from_the_start_and_end_before_until() {
        let one = traffic(1, 20.0);
        assert_eq!(send_instant(&one, 0, 1), Some(Duration::from_secs(2)));
        assert_eq!(send_instant(&one, 0, 2), Some(Duration::from_millis(2_050)));
        assert_eq!(send_instant(&one, 0, 40), Some(Duration::from_millis(3_950)));
        assert_eq!(send_instant(&one, 0, 41), None);
        let slow = Traffic { until: None, ..traffic(1, 0.5) };
        assert_eq!(send_instant(&slow, 0, 4), Some(Duration::from_secs(8)));
    }

    #[test]
    fn senders_are_spread_over_the_interval() {
        let four = traffic(4, 1.0);
        let first: Vec<_> =
            (0..4).filter_map(|position| send_instant(&four, position, 1)).collect();
        assert_eq!(first, [2_000, 2_250, 2_500, 2_750].map(Duration::from_millis));
    }

    #[test]
    fn streams_differ_in_every_part_of_their_name() {
        let draw =
            |seed, population, index, purpose| stream(seed, population, index, purpose).next_u64();
        let draws = [
            draw(1, "a", 0, Purpose::Reconnect),
            draw(2, "a", 0, Purpose::Reconnect),
            draw(1, "b", 0, Purpose::Reconnect),
            draw(1, "a", 1, Purpose::Reconnect),
            draw(1, "a", 0, Purpose::Wire),
            draw(1, "a", 0, Purpose::Behaviour),
            draw(1, "a", 0, Purpose::Arrival),
            draw(1, "a", 0, Purpose::Ids),
            draw(1, "a", 0, Purpose::Churn),
        ];
        for (index, draw) in draws.iter().enumerate() {
            assert!(!draws[..index].contains(draw));
        }
    }

    #[test]
    fn a_stream_is_the_same_in_every_build() {
        let mut rng = stream(1, "muted", 7, Purpose::Reconnect);
        let drawn = [rng.next_u64(), rng.next_u64()];
        assert_eq!(drawn, [356_339_485_017_788_672, 9_577_416_740_350_459_245]);
    }

    /// Stays of many clients at one departure in 50 s, ascending.
    fn stays(seed: u64) -> Vec<Duration> {
        let of = |index| stay(0.02, &mut stream(seed, "members", index, Purpose::Churn));
        let mut stays: Vec<_> = (0..10_000).map(of).collect();
        stays.sort_unstable();
        stays
    }

    #[test]
    fn stays_are_exponential_and_follow_the_seed() {
        let drawn = stays(7);
        assert_eq!(drawn, stays(7));
        assert_ne!(drawn, stays(8));
        let mean = drawn.iter().sum::<Duration>().as_secs_f64() / drawn.len() as f64;
        assert!((48.5..51.5).contains(&mean), "{mean}");
        // Half of them leave within ln 2 / rate, a tenth stay for more than ln 10 / rate.
        for (rank, seconds) in [(5_000, 34.66), (9_000, 115.13)] {
            let at = drawn[rank].as_secs_f64();
            assert!((at / seconds - 1.0).abs() < 0.05, "{rank}: {at}");
        }
    }

    #[test]
    fn a_stay_has_an_end() {
        let mut rng = stream(7, "members", 0, Purpose::Churn);
        assert_eq!(stay(f64::MIN_POSITIVE, &mut rng), STAY_MAX);
        assert_eq!(stay(f64::MAX, &mut rng), Duration::ZERO);
    }

    proptest! {
        #[test]
        fn one_sender_never_sends_out_of_order(
            senders in 1_u32..50, rate in 0.01_f64..5_000.0, sequence in 1_u32..100_000,
        ) {
            let traffic = Traffic { until: None, ..traffic(senders, rate) };
            for position in [0, senders - 1] {
                let this = send_instant(&traffic, position, sequence);
                let next = send_instant(&traffic, position, sequence + 1);
                prop_assert!(this.is_some() && this <= next);
            }
        }
    }
}
