//! The model of how much a hub can do per second (see [`crate::protocol::throughput`]): messages
//! that come faster than that wait for their turn here, before they reach any queue.
//!
//! A message goes on at the instant at which the hub is done with it and with all that came before
//! it: one that is large enough to keep the hub busy for three seconds reaches nobody sooner, even
//! on a hub that has nothing else to do. No message is overtaken.
//!
//! Each measure of a pattern works off what came of it by itself, side by side with the others;
//! what it did not use while nothing came is gone. Patterns share the hub's time: while it works
//! for one it does nothing for another.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::connection::{Connection, Serial};
use super::fan_out::{self, Message};
use super::state::Hub;
use crate::protocol::throughput::{Busy, ConnectRate, Pattern, PatternCounters, PatternLimits};

/// As many messages wait as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("As many messages wait for their turn as may on this hub.")]
pub struct Overloaded;

/// What the hub has to do, who waits for it, and what it has done.
#[derive(Debug, Default)]
pub struct Throughput {
    backlog: RefCell<Backlog>,
    counters: RefCell<BTreeMap<Pattern, PatternCounters>>,
    waiting: RefCell<BTreeMap<(Instant, u64), Waiting>>,
    numbered: Cell<u64>,
    earlier: Notify,
    tokens: Cell<Option<Tokens>>,
}

/// What the hub is not done with yet.
#[derive(Debug, Default)]
struct Backlog {
    /// When it was so much; before the first message nothing is to be done.
    at: Option<Instant>,
    work: BTreeMap<Pattern, Busy>,
}

impl Backlog {
    /// Until everything is done, if nothing more comes.
    fn whole(&self) -> Duration {
        self.work.values().map(Busy::fullest).sum()
    }

    /// Works until `now`: patterns have their parts of the time by what is to be done of each.
    fn work_until(&mut self, now: Instant) {
        let passed = self.at.replace(now).map_or(Duration::ZERO, |at| now - at);
        let whole = self.whole();
        if passed >= whole {
            self.work.clear();
            return;
        }
        // Parts are differences of rounded sums, so that they make up the time to the nanosecond.
        let share = |upto: Duration| upto.as_nanos() * passed.as_nanos() / whole.as_nanos();
        let mut upto = Duration::ZERO;
        for busy in self.work.values_mut() {
            let from = upto;
            upto += busy.fullest();
            busy.pass(u64::try_from(share(upto) - share(from)).unwrap_or(u64::MAX));
        }
    }
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
        *self.backlog.borrow_mut() = Backlog::default();
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

    /// The instant at which the hub is done with a message; `None` is now.
    fn turn(
        &self,
        pattern: Pattern,
        limits: &PatternLimits,
        copies: u64,
        payload_bytes: u64,
    ) -> Option<Instant> {
        let now = Instant::now();
        let busy = limits.busy(copies, payload_bytes);
        let mut backlog = self.backlog.borrow_mut();
        backlog.work_until(now);
        let wait = backlog.whole();
        *backlog.work.entry(pattern).or_default() += busy;
        let mut counters = self.counters.borrow_mut();
        let counters = counters.entry(pattern).or_default();
        counters.messages += 1;
        counters.deliveries += copies;
        counters.busy += busy;
        if !wait.is_zero() {
            counters.waited += 1;
            let wait_us = u64::try_from(wait.as_micros()).unwrap_or(u64::MAX);
            counters.longest_wait_us = counters.longest_wait_us.max(wait_us);
        }
        let until_done = backlog.whole();
        (!until_done.is_zero()).then(|| now + until_done)
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

/// Delivers a message when the hub is done with it: at once on a hub without limits.
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

/// Delivers what the hub is done with, for as long as it lives.
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
        let own = Duration::from_millis(20);
        let start = Instant::now();
        for n in 0..50_u32 {
            tokio::time::sleep_until(start + own * n).await;
            let done = model.turn(Pattern::BigGroup, &limits, 2, 10);
            assert_eq!(done, Some(Instant::now() + own), "message {n}");
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        let now = Instant::now();
        for n in 0..50_u32 {
            let done = model.turn(Pattern::BigGroup, &limits, 2, 10);
            assert_eq!(done, Some(now + own * (n + 1)));
        }
        let counters = model.counters()[&Pattern::BigGroup];
        assert_eq!((counters.messages, counters.deliveries, counters.waited), (100, 200, 49));
        assert_eq!(counters.longest_wait_us, 980_000);
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_takes_its_own_time_on_a_hub_that_has_nothing_else_to_do() {
        let model = Throughput::default();
        let now = Instant::now();
        let seconds = |seconds| Some(now + Duration::from_secs(seconds));
        assert_eq!(model.turn(Pattern::RestBroadcast, &limits(100), 400, 10), seconds(4));
        assert_eq!(model.turn(Pattern::RestBroadcast, &limits(100), 100, 10), seconds(5));
        assert_eq!(model.counters()[&Pattern::RestBroadcast].waited, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_patterns_ask_for_adds_up() {
        let model = Throughput::default();
        let now = Instant::now();
        let ms = |ms| Some(now + Duration::from_millis(ms));
        assert_eq!(model.turn(Pattern::BigGroup, &limits(100), 50, 10), ms(500));
        assert_eq!(model.turn(Pattern::SmallGroup, &limits(10), 5, 10), ms(1_000));
        assert_eq!(model.turn(Pattern::BigGroup, &limits(100), 1, 10), ms(1_010));
        tokio::time::advance(Duration::from_millis(400)).await;
        assert_eq!(model.turn(Pattern::SmallGroup, &limits(10), 1, 10), ms(1_110));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(model.turn(Pattern::SmallGroup, &limits(10), 1, 10), ms(1_500));
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
        assert_eq!(turn, Some(now + Duration::from_millis(2_010)));
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_measure_did_not_use_is_no_credit_for_a_burst() {
        let model = Throughput::default();
        let flow = |messages| Flow { messages, bytes: 1_000_000_000 };
        let limits = PatternLimits { inbound: flow(100), outbound: flow(1_000) };
        // A minute full of messages in, with hardly any out.
        for _ in 0..6_000 {
            model.turn(Pattern::SmallGroup, &limits, 1, 10);
            tokio::time::advance(Duration::from_millis(10)).await;
        }
        let done = model.turn(Pattern::SmallGroup, &limits, 5_000, 10);
        assert_eq!(done, Some(Instant::now() + Duration::from_secs(5)));
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
