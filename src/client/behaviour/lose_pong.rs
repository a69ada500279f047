//! Answers each websocket ping with a probability, from the seed.

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::PingAnswer;

/// Settings and the random stream of one connection.
#[derive(Debug)]
pub struct LosePong {
    probability: f64,
    rng: ChaCha8Rng,
}

impl LosePong {
    /// Loses a pong with `probability`, 0 to 1.
    #[must_use]
    pub const fn new(probability: f64, rng: ChaCha8Rng) -> Self {
        Self { probability, rng }
    }

    /// What becomes of the next ping; one draw each.
    pub fn answer(&mut self) -> PingAnswer {
        if self.rng.random::<f64>() < self.probability {
            PingAnswer::Never
        } else {
            PingAnswer::Now
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn lost_of_1000(probability: f64) -> usize {
        let mut lose = LosePong::new(probability, ChaCha8Rng::seed_from_u64(7));
        (0..1_000).filter(|_| lose.answer() == PingAnswer::Never).count()
    }

    #[test]
    fn the_share_lost_is_the_probability() {
        assert_eq!(lost_of_1000(0.0), 0);
        assert_eq!(lost_of_1000(1.0), 1_000);
        assert!((200..300).contains(&lost_of_1000(0.25)));
    }

    #[test]
    fn one_seed_loses_the_same_pongs() {
        let draws = |seed| {
            let mut lose = LosePong::new(0.5, ChaCha8Rng::seed_from_u64(seed));
            (0..64).map(|_| lose.answer() == PingAnswer::Now).collect::<Vec<_>>()
        };
        assert_eq!(draws(1), draws(1));
        assert_ne!(draws(1), draws(2));
    }
}
