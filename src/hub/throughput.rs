//! The model of how much a hub can do per second (see [`crate::protocol::throughput`]): messages
//! that come faster than that wait for their turn here, before they reach any queue.
//!
//! A message may go on at the instant from which the hub is free for it, so that a hub below its
//! limits delays nothing. No message that waits is overtaken.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::connection::{Connection, Serial};
use super::fan_out::{self, Message};
use super::state::Hub;
use crate::protocol::throughput::{ConnectRate, Pattern, PatternCounters, PatternLimits};

/// As many messages wait as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("As many messages wait for their turn as may on this hub.")]
pub struct Overloaded;

/// When the hub is free, who waits for it, and what it has done.
#[derive(Debug, Default)]
pub struct Throughput {
    free: Cell<Option<Instant>>,
    counters: RefCell<BTreeMap<Pattern, PatternCounters>>,
    waiting: RefCell<BTreeMap<(Instant, u64), Waiting>>,
    numbered: Cell<u64>,
    earlier: Notify,
    tokens: Cell<Option<Tokens>>,
}

/// A message that waits for its turn.
#[derive(Debug)]
struct Waiting {
    message: Message,
    except: Vec<Serial>,
    receivers: Vec<Rc<Connection>>,
}

/// The bucket of new connections.
#[derive(Clone, Copy, Debug)]
struct Tokens {
    /// When the bucket would be full again.
    full_at: Instant,
}

impl Throughput {
    /// Counts start at nothing and nobody waits: the hub is free.
    pub fn restart(&self) {
        self.free.set(None);
        self.counters.borrow_mut().clear();
        self.waiting.borrow_mut().clear();
        self.tokens.set(None);
    }

    /// What was counted, by pattern.
    pub fn counters(&self) -> BTreeMap<Pattern, PatternCounters> {
        self.counters.borrow().clone()
    }

    /// Messages that wait now.
    pub fn waiting(&self) -> u64 {
        self.waiting.borrow().len() as u64
    }

    /// Whether one more connection may be made now; takes its place in the bucket when it may.
    pub fn may_connect(&self, rate: ConnectRate, now: Instant) -> bool {
        let each = Duration::from_secs(1) / rate.per_second.max(1);
        let depth = each.saturating_mul(rate.burst.max(1));
        let full_at = self.tokens.get().map_or(now, |tokens| tokens.full_at.max(now));
        let after = full_at + each;
        let may = after <= now + depth;
        if may {
            self.tokens.set(Some(Tokens { full_at: after }));
        }
        may
    }

    /// The instant at which a message may go on; `None` is now.
    ///
    /// It keeps the hub busy for as long as it makes the fullest measure of its pattern fuller, so
    /// that over a while a pattern takes what its fullest measure says, however messages differ.
    fn turn(
        &self,
        pattern: Pattern,
        limits: &PatternLimits,
        copies: u64,
        payload_bytes: u64,
    ) -> Option<Instant> {
        let now = Instant::now();
        let mut counters = self.counters.borrow_mut();
        let counters = counters.entry(pattern).or_default();
        counters.messages += 1;
        counters.deliveries += copies;
        let before = counters.busy.fullest();
        counters.busy += limits.busy(copies, payload_bytes);
        let turn = self.free.get().map_or(now, |free| free.max(now));
        self.free.set(Some(turn + (counters.busy.fullest() - before)));
        let wait = turn - now;
        if wait.is_zero() {
            return None;
        }
        counters.waited += 1;
        let wait_us = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
        counters.longest_wait_us = counters.longest_wait_us.max(wait_us);
        Some(turn)
    }

    fn refuse(&self, pattern: Pattern) {
        let mut counters = self.counters.borrow_mut();
        let counters = counters.entry(pattern).or_default();
        counters.messages += 1;
        counters.refused += 1;
    }

    fn wait(&self, until: Instant, waiting: Waiting) {
        let number = self.numbered.get();
        self.numbered.set(number + 1);
        let mut all = self.waiting.borrow_mut();
        let is_first = all.first_key_value().is_none_or(|((first, _), _)| until < *first);
        all.insert((until, number), waiting);
        if is_first {
            self.earlier.notify_one();
        }
    }

    fn first(&self) -> Option<Instant> {
        self.waiting.borrow().first_key_value().map(|((until, _), _)| *until)
    }

    fn pop_due(&self, now: Instant) -> Option<Waiting> {
        let mut waiting = self.waiting.borrow_mut();
        let first = waiting.first_entry()?;
        (first.key().0 <= now).then(|| first.remove())
    }
}

/// Whether a group of so many is big or small on this hub.
pub fn pattern_of_group(hub: &Hub, members: usize) -> Pattern {
    let settings = hub.settings();
    let small_below = settings.throughput.as_ref().map_or(0, |model| model.small_below);
    if members < small_below as usize { Pattern::SmallGroup } else { Pattern::BigGroup }
}

/// Delivers a message when it is its turn: at once on a hub without limits.
pub fn deliver(
    hub: &Hub,
    pattern: Pattern,
    message: Message,
    except: &[Serial],
    receivers: Vec<Rc<Connection>>,
) -> Result<(), Overloaded> {
    let settings = hub.settings();
    let limits = settings.throughput.as_ref().and_then(|model| {
        model.patterns.get(&pattern).map(|limits| (limits, u64::from(model.waiting)))
    });
    let model = &hub.throughput;
    if let Some((limits, most)) = limits {
        if model.waiting() >= most {
            model.refuse(pattern);
            return Err(Overloaded);
        }
        let copies =
            receivers.iter().filter(|connection| !except.contains(&connection.serial)).count();
        let turn = model.turn(pattern, limits, copies as u64, message.payload_bytes());
        if let Some(until) = turn {
            model.wait(until, Waiting { message, except: except.to_vec(), receivers });
            return Ok(());
        }
    }
    fan_out::deliver(hub, &message, except, receivers);
    Ok(())
}

/// Delivers what has waited long enough, for as long as the hub lives.
pub async fn run(hub: Rc<Hub>) {
    loop {
        match hub.throughput.first() {
            None => hub.throughput.earlier.notified().await,
            Some(at) => {
                tokio::select! {
                    biased;
                    () = hub.pacer.until(at) => {}
                    () = hub.throughput.earlier.notified() => continue,
                }
            }
        }
        hub.gate.passable().await;
        let now = Instant::now();
        while let Some(Waiting { message, except, receivers }) = hub.throughput.pop_due(now) {
            fan_out::deliver(&hub, &message, &except, receivers);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::throughput::Flow;

    const EASY: Flow = Flow { messages: 1_000_000, bytes: 1_000_000_000 };

    fn limits(messages: u64) -> PatternLimits {
        PatternLimits { inbound: EASY, outbound: Flow { messages, bytes: 1_000_000_000 } }
    }

    #[tokio::test(start_paused = true)]
    async fn messages_below_the_limit_do_not_wait_and_those_past_it_wait_ever_longer() {
        let model = Throughput::default();
        let limits = limits(100);
        let start = Instant::now();
        for n in 0..50_u32 {
            tokio::time::sleep_until(start + Duration::from_millis(20) * n).await;
            assert_eq!(model.turn(Pattern::BigGroup, &limits, 2, 10), None, "message {n}");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = Instant::now();
        for n in 0..50_u32 {
            let turn = model.turn(Pattern::BigGroup, &limits, 2, 10).unwrap_or(now);
            assert_eq!(turn - now, Duration::from_millis(20) * n);
        }
        let counters = model.counters()[&Pattern::BigGroup];
        assert_eq!((counters.messages, counters.deliveries, counters.waited), (100, 200, 49));
        assert_eq!(counters.longest_wait_us, 980_000);
    }

    #[tokio::test(start_paused = true)]
    async fn what_patterns_ask_for_adds_up() {
        let model = Throughput::default();
        assert_eq!(model.turn(Pattern::BigGroup, &limits(100), 50, 10), None);
        let now = Instant::now();
        let turn = model.turn(Pattern::SmallGroup, &limits(10), 5, 10);
        assert_eq!(turn, Some(now + Duration::from_millis(500)));
        let turn = model.turn(Pattern::BigGroup, &limits(100), 1, 10);
        assert_eq!(turn, Some(now + Duration::from_secs(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_pattern_is_as_busy_as_its_fullest_measure_however_its_messages_differ() {
        let model = Throughput::default();
        let flow = |messages| Flow { messages, bytes: 1_000_000_000 };
        let limits = PatternLimits { inbound: flow(100), outbound: flow(1_000) };
        let now = Instant::now();
        // 200 messages with 1 or 11 copies: 2 s of messages in, 1.2 s of messages out.
        for n in 0..200 {
            model.turn(Pattern::SmallGroup, &limits, if n % 2 == 0 { 1 } else { 11 }, 10);
        }
        let turn = model.turn(Pattern::SmallGroup, &limits, 1, 10);
        assert_eq!(turn, Some(now + Duration::from_secs(2)));
    }

    #[tokio::test(start_paused = true)]
    async fn new_connections_come_in_a_burst_and_then_at_their_rate() {
        let model = Throughput::default();
        let rate = ConnectRate { per_second: 10, burst: 5 };
        let granted =
            |count: u32| (0..count).filter(|_| model.may_connect(rate, Instant::now())).count();
        assert_eq!(granted(20), 5);
        tokio::time::advance(Duration::from_millis(300)).await;
        assert_eq!(granted(20), 3);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert_eq!(granted(20), 5);
    }
}
