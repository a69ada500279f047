//! How clients come back when all are dropped at once: as a fluid, slot by slot. What a slot's
//! attempts share of the rate is admitted of each alike; the others come again by their policy.

use std::time::Duration;

use super::workload::{Jitter, Reconnect, Retry};

/// Slots a second.
const SLOTS: u32 = 20;

/// Slots looked at: twenty minutes.
const HORIZON: usize = 24_000;

/// Retries that are told apart; the delays of later ones have long reached their cap.
const RETRIES: usize = 24;

/// Times as long as the lower bound in which all first attempts come, so that few are refused.
const WINDOW_MARGIN: f64 = 1.25;

/// A reconnect storm.
#[derive(Clone, Debug, PartialEq)]
pub struct Storm {
    /// Attempts in each second, and clients back at its end.
    pub seconds: Vec<Second>,
    /// Most attempts in any second.
    pub attempts_peak: f64,
    /// Attempts a client, on average.
    pub attempts_per_client: f64,
    /// Seconds until 95 % are back; `None` past the horizon of twenty minutes.
    pub t95: Option<f64>,
    /// Seconds until all are back.
    pub t100: Option<f64>,
    /// Seconds a client is away, on average, of those who come back within the horizon.
    pub away_mean: f64,
}

/// One second of a storm.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Second {
    /// Attempts in it.
    pub attempts: f64,
    /// Clients back at its end.
    pub back: f64,
}

/// The least time in which so many can come back: clients over connects a second.
#[must_use]
pub fn least_seconds(clients: f64, rate: f64) -> f64 {
    clients / rate
}

/// The window over which first attempts should be spread.
#[must_use]
pub fn window(clients: f64, rate: f64) -> Duration {
    // To the next tenth of a second: a setting for people.
    let seconds = (WINDOW_MARGIN * least_seconds(clients, rate) * 10.0).ceil() / 10.0;
    Duration::from_secs_f64(seconds)
}

/// The policy to recommend: first attempts over the window, then full jitter.
#[must_use]
pub fn recommended(clients: f64, rate: f64) -> Reconnect {
    Reconnect {
        first_within: window(clients, rate),
        retry: Retry::Exponential {
            base: Duration::from_secs(1),
            cap: Duration::from_secs(30),
            jitter: Jitter::Full,
        },
    }
}

/// Attempts that are due, by how often they were refused and by slot.
struct Due {
    /// At a slot.
    points: Vec<Vec<f64>>,
    /// Begin and end of what comes evenly, as differences.
    steps: Vec<Vec<f64>>,
    level: Vec<f64>,
}

impl Due {
    fn new() -> Self {
        let empty = || vec![vec![0.0; HORIZON + 1]; RETRIES];
        Self { points: empty(), steps: empty(), level: vec![0.0; RETRIES] }
    }

    /// So many come evenly over the slots `from..to`, in the first of them where they are one.
    fn add(&mut self, retry: usize, count: f64, from: usize, to: usize) {
        let retry = retry.min(RETRIES - 1);
        if to <= from + 1 {
            self.points[retry][from.min(HORIZON)] += count;
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "slots are few")]
        let each = count / (to - from) as f64;
        self.steps[retry][from.min(HORIZON)] += each;
        self.steps[retry][to.min(HORIZON)] -= each;
    }

    /// What is due in a slot, by refusals; slots are asked for in order.
    fn at(&mut self, slot: usize) -> Vec<f64> {
        let of = |retry: usize| {
            self.level[retry] += self.steps[retry][slot];
            self.points[retry][slot] + self.level[retry].max(0.0)
        };
        (0..RETRIES).map(of).collect()
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded above")]
fn slots(duration: Duration) -> usize {
    (duration.as_secs_f64() * f64::from(SLOTS)).round().min(1e9) as usize
}

/// When a client that was refused for the `retry`-th time (from 0) comes again: slots after.
fn again(retry: Retry, refused: usize) -> (usize, usize) {
    let (from, to) = match retry {
        Retry::Fixed { every } => (slots(every), 0),
        Retry::Exponential { base, cap, jitter } => {
            let doubled = u32::try_from(refused).map_or(u32::MAX, |n| 1_u32 << n.min(20));
            let whole = slots(base.saturating_mul(doubled).min(cap));
            match jitter {
                Jitter::None => (whole, 0),
                Jitter::Equal => (whole / 2, whole),
                Jitter::Full => (0, whole),
            }
        }
    };
    (from.max(1), to)
}

/// Plays a storm: `clients` are dropped at once, `rate` connects a second are admitted, a second's
/// worth of which may be saved up.
#[must_use]
pub fn play(clients: f64, rate: f64, policy: Reconnect) -> Storm {
    let mut due = Due::new();
    due.add(0, clients, 0, slots(policy.first_within));
    let per_slot = rate / f64::from(SLOTS);
    let (mut saved, mut back, mut attempts, mut away) = (rate, 0.0_f64, 0.0, 0.0);
    let (mut t95, mut t100) = (None, None);
    let mut seconds = Vec::new();
    let mut second = Second::default();
    for slot in 0..HORIZON {
        let wanting = due.at(slot);
        let all: f64 = wanting.iter().sum();
        // What accrues within a slot can be used in it; no more than a second's worth is kept.
        let admitted = all.min(saved + per_slot);
        saved = (saved + per_slot - admitted).min(rate);
        let refused = if all > 0.0 { 1.0 - admitted / all } else { 0.0 };
        for (retry, count) in wanting.iter().enumerate().filter(|(_, count)| **count > 0.0) {
            let (from, to) = again(policy.retry, retry);
            due.add(retry + 1, count * refused, slot + from, slot + to);
        }
        #[expect(clippy::cast_precision_loss, reason = "slots are few")]
        let now = slot as f64 / f64::from(SLOTS);
        attempts += all;
        back += admitted;
        away += admitted * now;
        second.attempts += all;
        second.back = back;
        if (slot + 1) % (SLOTS as usize) == 0 {
            seconds.push(std::mem::take(&mut second));
        }
        if t95.is_none() && back >= 0.95 * clients - 1e-6 {
            t95 = Some(now);
        }
        // Less than half a client is nobody.
        if back >= clients - 0.5 {
            t100 = Some(now);
            break;
        }
    }
    if second != Second::default() {
        seconds.push(second);
    }
    let attempts_peak = seconds.iter().map(|second| second.attempts).fold(0.0, f64::max);
    Storm {
        seconds,
        attempts_peak,
        attempts_per_client: attempts / clients,
        t95,
        t100,
        away_mean: if back > 0.0 { away / back } else { 0.0 },
    }
}
