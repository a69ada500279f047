//! What a client does or fails to do; one file per behaviour.
//!
//! A behaviour is settings and decision functions, composed here. Whatever a population combines,
//! and whichever windows are open, the session asks three questions: may I read now, and how much;
//! what becomes of this ping; when must I look again. Two behaviours also act by themselves: an
//! application ping that is due, and a client that vanishes.
//!
//! To add one: its settings in `scenario::plan::Behaviour`, a file here with its decisions and
//! their tests, a variant of `Acting`, and its part in the questions below.

pub mod app_ping;
pub mod delay_pong;
pub mod lose_pong;
pub mod slow_read;
pub mod stall;
pub mod suppress_pong;
pub mod vanish;

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use tokio::time::Instant;

use crate::scenario::plan::{Behaviour, TimedBehaviour, Vanish};

use app_ping::AppPing;
use delay_pong::DelayedPongs;
use lose_pong::LosePong;
use slow_read::Pace;

/// How much may be read now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadAllowance {
    /// Bytes from the stream.
    pub bytes: u32,
    /// Messages out of what was read.
    pub messages: u32,
}

impl ReadAllowance {
    /// Whatever there is.
    pub const EVERYTHING: Self = Self { bytes: u32::MAX, messages: u32::MAX };
    /// Nothing.
    pub const NOTHING: Self = Self { bytes: 0, messages: 0 };

    /// Whether nothing may be read.
    #[must_use]
    pub const fn is_nothing(self) -> bool {
        self.bytes == 0 || self.messages == 0
    }

    /// What both allow.
    #[must_use]
    fn and(self, other: Self) -> Self {
        Self { bytes: self.bytes.min(other.bytes), messages: self.messages.min(other.messages) }
    }
}

/// What becomes of a websocket ping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PingAnswer {
    /// A pong of equal payload at once.
    Now,
    /// That pong, this much later.
    Later(Duration),
    /// No pong.
    Never,
}

impl PingAnswer {
    /// What two behaviours make of a ping together: silence wins, then the longer delay.
    #[must_use]
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Never, _) | (_, Self::Never) => Self::Never,
            (Self::Later(a), Self::Later(b)) => Self::Later(a.max(b)),
            (later @ Self::Later(_), Self::Now) | (Self::Now, later) => later,
        }
    }
}

/// One behaviour on one connection.
#[derive(Debug)]
struct Timed {
    /// The later of the open and the window's start.
    since: Instant,
    until: Option<Instant>,
    acting: Acting,
}

impl Timed {
    fn is_open(&self, now: Instant) -> bool {
        self.since <= now && self.until.is_none_or(|until| now < until)
    }
}

/// A behaviour's state.
#[derive(Debug)]
enum Acting {
    SuppressPong,
    DelayPong(Duration),
    LosePong(Box<LosePong>),
    AppPing(AppPing),
    SlowReadBytes(Pace),
    SlowReadMessages(Pace),
    Stall,
    Vanish(Vanish),
}

/// The behaviours of one connection. A steady one owns no memory.
#[derive(Debug, Default)]
pub struct Behaviours {
    timed: Box<[Timed]>,
    delayed: Option<Box<DelayedPongs>>,
}

impl Behaviours {
    /// The behaviours of a connection that is open since `opened`; windows count from `epoch`.
    /// `rng` gives the connection's random stream, for those that draw.
    pub fn new(
        plan: &[TimedBehaviour],
        epoch: Instant,
        opened: Instant,
        rng: impl Fn() -> ChaCha8Rng,
    ) -> Self {
        let timed = plan
            .iter()
            .map(|timed| {
                let since = opened.max(epoch + timed.from);
                let acting = match timed.behaviour {
                    Behaviour::SuppressPong => Acting::SuppressPong,
                    Behaviour::DelayPong { by } => Acting::DelayPong(by),
                    Behaviour::LosePong { probability } => {
                        Acting::LosePong(Box::new(LosePong::new(probability, rng())))
                    }
                    Behaviour::AppPing { every } => Acting::AppPing(AppPing::new(every, since)),
                    Behaviour::SlowReadBytes { rate } => {
                        Acting::SlowReadBytes(Pace::bytes(rate, since))
                    }
                    Behaviour::SlowReadMessages { rate } => {
                        Acting::SlowReadMessages(Pace::messages(rate, since))
                    }
                    Behaviour::Stall => Acting::Stall,
                    Behaviour::Vanish { how } => Acting::Vanish(how),
                };
                Timed { since, until: timed.until.map(|until| epoch + until), acting }
            })
            .collect();
        Self { timed, delayed: None }
    }

    /// May the client read now, and how much?
    pub fn may_read(&mut self, now: Instant) -> ReadAllowance {
        let open = self.timed.iter_mut().filter(|timed| timed.is_open(now));
        open.fold(ReadAllowance::EVERYTHING, |allowance, timed| {
            let everything = ReadAllowance::EVERYTHING;
            allowance.and(match &mut timed.acting {
                Acting::Stall => stall::may_read(),
                Acting::SlowReadBytes(pace) => {
                    ReadAllowance { bytes: pace.available(now), ..everything }
                }
                // Little at a time, so that what is left unread stays in the kernel.
                Acting::SlowReadMessages(pace) => ReadAllowance {
                    bytes: slow_read::READ_BYTES_MAX,
                    messages: pace.available(now),
                },
                _ => everything,
            })
        })
    }

    /// Whether the client does not read at all now.
    #[must_use]
    pub fn is_stalled(&self, now: Instant) -> bool {
        let mut open = self.timed.iter().filter(|timed| timed.is_open(now));
        open.any(|timed| matches!(timed.acting, Acting::Stall))
    }

    /// Notes what was read since the last question.
    pub fn note_read(&mut self, now: Instant, bytes: u32, messages: u32) {
        for timed in self.timed.iter_mut().filter(|timed| timed.is_open(now)) {
            match &mut timed.acting {
                Acting::SlowReadBytes(pace) => pace.take(bytes),
                Acting::SlowReadMessages(pace) => pace.take(messages),
                _ => {}
            }
        }
    }

    /// What becomes of a ping that was just read? A pong that comes later is held here.
    pub fn answer_ping(&mut self, now: Instant, payload: &[u8]) -> PingAnswer {
        let open = self.timed.iter_mut().filter(|timed| timed.is_open(now));
        let answer = open.fold(PingAnswer::Now, |answer, timed| {
            answer.and(match &mut timed.acting {
                Acting::SuppressPong => suppress_pong::answer(),
                Acting::DelayPong(by) => PingAnswer::Later(*by),
                Acting::LosePong(lose) => lose.answer(),
                _ => PingAnswer::Now,
            })
        });
        if let PingAnswer::Later(by) = answer {
            self.delayed.get_or_insert_default().hold(now + by, payload);
        }
        answer
    }

    /// The next held pong that is due.
    pub fn pop_due_pong(&mut self, now: Instant) -> Option<Box<[u8]>> {
        self.delayed.as_mut()?.pop_due(now)
    }

    /// Whether an application ping is due; it is then taken as sent.
    pub fn take_due_app_ping(&mut self, now: Instant) -> bool {
        self.timed.iter_mut().filter(|timed| timed.is_open(now)).any(|timed| {
            match &mut timed.acting {
                Acting::AppPing(ping) => ping.take_due(now),
                _ => false,
            }
        })
    }

    /// How the client vanishes now, if it does.
    #[must_use]
    pub fn vanishes(&self, now: Instant) -> Option<Vanish> {
        let plans = self.timed.iter().filter_map(|timed| match timed.acting {
            Acting::Vanish(how) => Some((timed.since, how)),
            _ => None,
        });
        vanish::due(plans, now)
    }

    /// When must the session look again, if nothing else happens? Never earlier than `now` for
    /// something that was already taken care of.
    #[must_use]
    pub fn next_deadline(&self, now: Instant) -> Option<Instant> {
        let of_behaviours = self.timed.iter().filter_map(|timed| {
            if timed.since > now {
                return Some(timed.since);
            }
            let act = match &timed.acting {
                _ if !timed.is_open(now) => None,
                Acting::AppPing(ping) => Some(ping.next()),
                Acting::SlowReadBytes(pace) | Acting::SlowReadMessages(pace) => pace.next(),
                _ => None,
            };
            let end = timed.until.filter(|until| *until > now);
            act.filter(|act| *act > now).into_iter().chain(end).min()
        });
        let held = self.delayed.as_ref().and_then(|delayed| delayed.next());
        of_behaviours.chain(held).min()
    }

    /// When the first of the misbehaviours began on this connection, if one had by `now`.
    #[must_use]
    pub fn misbehaving_since(&self, now: Instant) -> Option<Instant> {
        let begun = self.timed.iter().filter(|timed| {
            let ever_open = timed.until.is_none_or(|until| timed.since < until);
            let mis = !matches!(timed.acting, Acting::AppPing(_));
            mis && timed.since <= now && (ever_open || matches!(timed.acting, Acting::Vanish(_)))
        });
        begun.map(|timed| timed.since).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    const MS: Duration = Duration::from_millis(1);

    fn behaviours(start: Instant, plan: &[(Behaviour, u32, Option<u32>)]) -> Behaviours {
        let plan: Vec<_> = plan
            .iter()
            .map(|(behaviour, from, until)| TimedBehaviour {
                behaviour: behaviour.clone(),
                from: *from * MS,
                until: until.map(|until| until * MS),
            })
            .collect();
        Behaviours::new(&plan, start, start, || ChaCha8Rng::seed_from_u64(1))
    }

    #[test]
    fn a_steady_client_reads_answers_and_never_wakes() {
        let start = Instant::now();
        let mut steady = behaviours(start, &[]);
        assert_eq!(steady.may_read(start), ReadAllowance::EVERYTHING);
        assert_eq!(steady.answer_ping(start, b""), PingAnswer::Now);
        assert_eq!(steady.next_deadline(start), None);
        assert_eq!(steady.vanishes(start), None);
        assert_eq!(steady.misbehaving_since(start), None);
    }

    #[test]
    fn a_window_opens_and_closes_with_a_wake_at_both_edges() {
        let start = Instant::now();
        let mut stalled = behaviours(start, &[(Behaviour::Stall, 10, Some(30))]);
        assert_eq!(stalled.may_read(start + 9 * MS), ReadAllowance::EVERYTHING);
        assert_eq!(stalled.next_deadline(start + 9 * MS), Some(start + 10 * MS));
        assert!(stalled.may_read(start + 10 * MS).is_nothing());
        assert_eq!(stalled.next_deadline(start + 10 * MS), Some(start + 30 * MS));
        assert_eq!(stalled.may_read(start + 30 * MS), ReadAllowance::EVERYTHING);
        assert_eq!(stalled.next_deadline(start + 30 * MS), None);
        assert_eq!(stalled.misbehaving_since(start + 9 * MS), None);
        assert_eq!(stalled.misbehaving_since(start + 50 * MS), Some(start + 10 * MS));
    }

    #[test]
    fn combined_pong_behaviours_keep_the_most_silent_and_the_longest_delay() {
        let start = Instant::now();
        let delays = [
            (Behaviour::DelayPong { by: 5 * MS }, 0, None),
            (Behaviour::DelayPong { by: 9 * MS }, 0, None),
            (Behaviour::SuppressPong, 20, None),
        ];
        let mut set = behaviours(start, &delays);
        assert_eq!(set.answer_ping(start, b"x"), PingAnswer::Later(9 * MS));
        assert_eq!(set.next_deadline(start), Some(start + 9 * MS));
        assert_eq!(set.pop_due_pong(start + 8 * MS), None);
        assert_eq!(set.pop_due_pong(start + 9 * MS).as_deref(), Some(&b"x"[..]));
        assert_eq!(set.answer_ping(start + 20 * MS, b"y"), PingAnswer::Never);
    }

    #[test]
    fn two_paces_together_allow_what_both_allow() {
        let start = Instant::now();
        let paces = [
            (Behaviour::SlowReadBytes { rate: 1_000.0 }, 0, None),
            (Behaviour::SlowReadMessages { rate: 1.0 }, 0, None),
        ];
        let mut set = behaviours(start, &paces);
        let second = start + 1_000 * MS;
        let before = set.may_read(second - MS);
        assert!(before.bytes > 0 && before.messages == 0, "{before:?}");
        let allowance = set.may_read(second);
        assert_eq!((allowance.bytes, allowance.messages), (50, 1));
        set.note_read(second, 50, 1);
        assert!(set.may_read(second).is_nothing());
        assert!(set.next_deadline(second).is_some_and(|at| at > second));
    }

    #[test]
    fn an_application_ping_is_no_misbehaviour() {
        let start = Instant::now();
        let mut set = behaviours(start, &[(Behaviour::AppPing { every: 10 * MS }, 0, None)]);
        assert!(!set.take_due_app_ping(start));
        assert_eq!(set.next_deadline(start), Some(start + 10 * MS));
        assert!(set.take_due_app_ping(start + 10 * MS));
        assert!(!set.take_due_app_ping(start + 10 * MS));
        assert_eq!(set.misbehaving_since(start + 50 * MS), None);
    }

    #[test]
    fn a_client_vanishes_at_its_window_or_at_its_open() {
        let start = Instant::now();
        let set = behaviours(start, &[(Behaviour::Vanish { how: Vanish::Fin }, 10, None)]);
        assert_eq!(set.vanishes(start), None);
        assert_eq!(set.next_deadline(start), Some(start + 10 * MS));
        assert_eq!(set.vanishes(start + 10 * MS), Some(Vanish::Fin));
    }
}
