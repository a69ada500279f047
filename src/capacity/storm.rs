//! How clients come back when all are dropped at once: as a fluid, slot by slot. What a slot's
//! attempts share of the rate is admitted of each alike; the others come again by their policy.
//!
//! Everybody is dropped within 50 ms, an attempt takes 10 ms, and the hub has saved up a second's
//! worth of its rate: the model of single clients whose results the tests are held to. A fluid has
//! no luck: attempts, peaks and the time until 95 % are back are those of the average run. The time
//! until all are back hangs on the last few clients; of a policy that draws its delays it moves by
//! a third and more from run to run, and what is told is when the last is back in half of them.

use std::time::Duration;

use super::workload::{Jitter, Reconnect, Retry};

/// Slots a second.
const SLOTS: u32 = 100;

/// Slots of a tenth of a second.
const TENTH: usize = 10;

/// Slots looked at: twenty minutes.
const HORIZON: usize = 120_000;

/// Slots within which everybody is dropped: 50 ms.
const DROPPED_WITHIN: usize = 5;

/// Slots that an attempt takes: 10 ms.
const ATTEMPT: usize = 1;

/// Doublings of a delay that are told apart: a millisecond has passed the horizon by then.
const DOUBLINGS: usize = 21;

/// Times as long as clients over rate in which all first attempts come, so that few are refused.
const WINDOW_MARGIN: f64 = 1.25;

/// A reconnect storm.
#[derive(Clone, Debug, PartialEq)]
pub struct Storm {
    /// Attempts in each second, and clients back at its end.
    pub seconds: Vec<Second>,
    /// Most attempts in any second.
    pub attempts_peak: f64,
    /// Most attempts in any tenth of a second.
    pub attempts_peak_tenth: f64,
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

/// The least time in which so many can come back: a second's worth of the rate is saved up, and the
/// others come at the rate.
#[must_use]
pub fn least_seconds(clients: f64, rate: f64) -> f64 {
    ((clients - rate) / rate).max(0.0)
}

/// The window over which first attempts should be spread.
#[must_use]
pub fn window(clients: f64, rate: f64) -> Duration {
    // To the next tenth of a second: a setting for people.
    let seconds = (WINDOW_MARGIN * clients / rate * 10.0).ceil() / 10.0;
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

/// Attempts that were refused equally often, by the slot in which they are due: a ring as long as
/// the longest delay among them.
struct Due {
    /// In a slot.
    points: Vec<f64>,
    /// Begin and end of what comes evenly, as differences.
    steps: Vec<f64>,
    level: f64,
}

impl Due {
    /// Room for what comes at most so many slots later.
    fn new(longest: usize) -> Self {
        let empty = || vec![0.0; longest.min(HORIZON) + ATTEMPT + 2];
        Self { points: empty(), steps: empty(), level: 0.0 }
    }

    /// So many come evenly over the slots `from..to`, in the first of them where they are one.
    fn add(&mut self, count: f64, from: usize, to: usize) {
        let length = self.points.len();
        if from > HORIZON {
            return;
        }
        if to <= from + 1 {
            self.points[from % length] += count;
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "slots are few")]
        let each = count / (to - from) as f64;
        self.steps[from % length] += each;
        if to <= HORIZON {
            self.steps[to % length] -= each;
        }
    }

    /// What is due in a slot; slots are asked for in order.
    fn take(&mut self, slot: usize) -> f64 {
        let at = slot % self.points.len();
        self.level += std::mem::take(&mut self.steps[at]);
        std::mem::take(&mut self.points[at]) + self.level.max(0.0)
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bounded above")]
fn slots(duration: Duration) -> usize {
    (duration.as_secs_f64() * f64::from(SLOTS)).round().min(1e9) as usize
}

/// Between which slots after a refusal the next attempt comes.
#[derive(Clone, Copy)]
struct Again {
    from: usize,
    to: usize,
}

/// When a client comes again, by how often it has been refused; the last of them stands for every
/// further time.
fn delays(retry: Retry) -> Vec<Again> {
    let (base, cap, jitter) = match retry {
        Retry::Fixed { every } => (every, every, Jitter::None),
        Retry::Exponential { base, cap, jitter } => (base, cap, jitter),
    };
    let mut all = Vec::new();
    for doubling in 0..DOUBLINGS {
        let delay = base.saturating_mul(1 << doubling).min(cap);
        let whole = slots(delay);
        let from = match jitter {
            Jitter::None => whole,
            Jitter::Equal => whole / 2,
            Jitter::Full => 0,
        };
        all.push(Again { from, to: whole });
        if delay >= cap {
            break;
        }
    }
    all
}

/// Plays a storm: `clients` are dropped at once, `rate` connects a second are admitted, a second's
/// worth of which is saved up.
#[must_use]
pub fn play(clients: f64, rate: f64, policy: Reconnect) -> Storm {
    play_saving(clients, rate, rate, policy)
}

/// The same with so many connects saved up, at most.
pub(super) fn play_saving(clients: f64, rate: f64, most: f64, policy: Reconnect) -> Storm {
    let window = slots(policy.first_within);
    let delays = delays(policy.retry);
    let mut due = vec![Due::new(window + DROPPED_WITHIN)];
    due.extend(delays.iter().map(|again| Due::new(again.to)));
    for dropped in 0..DROPPED_WITHIN {
        #[expect(clippy::cast_precision_loss, reason = "a few slots")]
        due[0].add(clients / DROPPED_WITHIN as f64, dropped, dropped + window);
    }
    let per_slot = rate / f64::from(SLOTS);
    let (mut saved, mut back, mut attempts, mut away) = (most, 0.0_f64, 0.0, 0.0);
    let (mut t95, mut t100) = (None, None);
    let mut seconds = Vec::new();
    let mut second = Second::default();
    let (mut tenth, mut attempts_peak_tenth) = (0.0, 0.0_f64);
    let mut wanting = vec![0.0; due.len()];
    for slot in 0..HORIZON {
        for (count, due) in wanting.iter_mut().zip(&mut due) {
            *count = due.take(slot);
        }
        let all: f64 = wanting.iter().sum();
        saved = (saved + per_slot).min(most);
        let admitted = all.min(saved);
        saved -= admitted;
        let refused = if all > 0.0 { 1.0 - admitted / all } else { 0.0 };
        let over = slot + ATTEMPT;
        for (times, count) in wanting.iter().enumerate().filter(|(_, count)| **count > 0.0) {
            let next = times.min(delays.len() - 1);
            let Again { from, to } = delays[next];
            due[next + 1].add(count * refused, over + from, over + to);
        }
        #[expect(clippy::cast_precision_loss, reason = "slots are few")]
        let now = over as f64 / f64::from(SLOTS);
        attempts += all;
        back += admitted;
        away += admitted * now;
        tenth += all;
        attempts_peak_tenth = attempts_peak_tenth.max(tenth);
        second.attempts += all;
        second.back = back;
        if t95.is_none() && back >= 0.95 * clients - 1e-6 {
            t95 = Some(now);
        }
        // Less than half a client more is nobody: they come now.
        if back >= clients - 0.5 {
            let rest = clients - back;
            attempts += rest;
            away += rest * now;
            back = clients;
            attempts_peak_tenth = attempts_peak_tenth.max(tenth + rest);
            second = Second { attempts: second.attempts + rest, back };
            (t95, t100) = (t95.or(Some(now)), Some(now));
            break;
        }
        if (slot + 1) % TENTH == 0 {
            tenth = 0.0;
        }
        if (slot + 1) % (SLOTS as usize) == 0 {
            seconds.push(std::mem::take(&mut second));
        }
    }
    if second != Second::default() {
        seconds.push(second);
    }
    let attempts_peak = seconds.iter().map(|second| second.attempts).fold(0.0, f64::max);
    Storm {
        seconds,
        attempts_peak,
        attempts_peak_tenth,
        attempts_per_client: attempts / clients,
        t95,
        t100,
        away_mean: if back > 0.0 { away / back } else { 0.0 },
    }
}
