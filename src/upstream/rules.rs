//! Which answer a request gets, and when: the script's rules with what they have used up.

use std::time::Duration;

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use tokio::time::Instant;

use super::asked::Asked;
use crate::pace::{self, Purpose};
use crate::scenario::UpstreamScript;
use crate::scenario::plan::{
    AnswerDelay, AnswerWhat, HowOften, UpstreamAnswer, UpstreamOn, UpstreamRule,
};

/// The state of a script on one timeline.
#[derive(Debug)]
pub struct Rules {
    /// In the order of the script's.
    used: Vec<Used>,
    sleep: Sleep,
}

/// What a rule has used up.
#[derive(Debug)]
struct Used {
    taken: u32,
    chance: ChaCha8Rng,
    delay: ChaCha8Rng,
}

/// Whether the server sleeps.
#[derive(Clone, Copy, Debug)]
enum Sleep {
    Asleep,
    /// Since somebody asked last; it answers from an instant on.
    Awake {
        from: Instant,
        last: Instant,
    },
}

impl Rules {
    /// Nothing is used up, and everybody asleep who can be.
    pub fn new(script: &UpstreamScript, seed: u64) -> Self {
        let stream = |name, index| pace::stream(seed, name, saturated(index), Purpose::Upstream);
        let used = |index| Used {
            taken: 0,
            chance: stream("chance", index),
            delay: stream("delay", index),
        };
        Self { used: (0..script.rules.len()).map(used).collect(), sleep: Sleep::Asleep }
    }

    /// The server was down, and starts cold.
    pub fn fall_asleep(&mut self) {
        self.sleep = Sleep::Asleep;
    }

    /// Wakes the server; the instant from which it answers what was asked at `now`.
    pub fn wake(&mut self, script: &UpstreamScript, now: Instant) -> Instant {
        let Some(cold) = script.cold_start else { return now };
        let from = match self.sleep {
            Sleep::Awake { from, last }
                if now < from || cold.after_idle.is_none_or(|idle| now < last + idle) =>
            {
                from
            }
            Sleep::Awake { .. } | Sleep::Asleep => now + cold.lasting,
        };
        self.sleep = Sleep::Awake { from, last: now };
        from.max(now)
    }

    /// What a request gets that came so long after the start of the timeline, and how long that
    /// takes.
    pub fn answer(
        &mut self,
        script: &UpstreamScript,
        asked: &Asked,
        at: Duration,
    ) -> (Duration, AnswerWhat) {
        for (rule, used) in script.rules.iter().zip(&mut self.used) {
            if takes(rule, asked, at) && used.has_its_turn(rule.how_often) {
                let UpstreamAnswer { delay, what } = &rule.answer;
                return (used.draw(*delay), what.clone());
            }
        }
        (Duration::ZERO, AnswerWhat::Respond(Box::default()))
    }
}

/// Whether a rule is for a request at all.
fn takes(rule: &UpstreamRule, asked: &Asked, at: Duration) -> bool {
    let kind = asked.kind();
    let is_meant = |on: &UpstreamOn| on.takes(&kind);
    let of_its_hub = rule
        .hub
        .as_ref()
        .is_none_or(|name| asked.hub().is_some_and(|hub| hub.eq_ignore_ascii_case(name)));
    rule.window.holds(at) && of_its_hub && (rule.on.is_empty() || rule.on.iter().any(is_meant))
}

impl Used {
    fn has_its_turn(&mut self, how_often: HowOften) -> bool {
        match how_often {
            HowOften::Always => true,
            HowOften::First(count) => {
                let is_among_them = self.taken < count;
                self.taken = self.taken.saturating_add(1);
                is_among_them
            }
            HowOften::Chance(chance) => self.chance.random::<f64>() < chance,
        }
    }

    /// A delay in whole nanoseconds, both ends included.
    fn draw(&mut self, delay: AnswerDelay) -> Duration {
        let AnswerDelay { from, to } = delay;
        if from >= to {
            return from;
        }
        let range = u64::try_from((to - from).as_nanos()).unwrap_or(u64::MAX);
        from + Duration::from_nanos(self.delay.random_range(0..=range))
    }
}

/// No file has that many rules.
fn saturated(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
