//! Counts and times of events, per event name.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use super::super::tally::add;
use super::send::Repeated;
use crate::measure::latency::microseconds;
use crate::measure::wire::encode;
use crate::measure::{BusiestSecond, Distribution};
use crate::protocol::control::{
    EventCounters, EventFailure, EventTimes, WebhookCounters, WebhookTimes,
};
use crate::protocol::webhook::{Event, RequestKind, SystemEvent};

/// Event names that are told apart. Clients choose the names of user events; those of further
/// names are counted together.
pub const NAMES_MAX: usize = 64;
/// Their name; no event can have it.
const OTHERS: &str = "(others)";

/// Sums since the start of the timeline, and a gauge.
#[derive(Debug, Default)]
pub struct Tally {
    events: RefCell<BTreeMap<String, PerEvent>>,
    /// When the timeline began; `None` before the first.
    began: Cell<Option<Instant>>,
    pub validations_good: Cell<u64>,
    pub validations_bad: Cell<u64>,
    pub validation_requests: Cell<u64>,
    /// Gauge: events that wait to be sent or answered.
    pub under_way: Cell<u64>,
}

#[derive(Debug, Default)]
struct PerEvent {
    counters: EventCounters,
    busiest: BusiestSecond,
    times: Option<Box<Distribution>>,
}

impl Tally {
    /// Counts something of an event's name.
    pub fn count(&self, event: &Event, count: impl FnOnce(&mut EventCounters)) {
        self.with(event, |of| count(&mut of.counters));
    }

    /// An HTTP request of an event begins.
    pub fn request(&self, event: &Event, again: Repeated) {
        let at = self.began.get().map_or(Duration::ZERO, |began| began.elapsed());
        self.with(event, |of| {
            of.counters.requests += 1;
            of.counters.retries += u64::from(again == Repeated::Yes);
            of.counters.requests_per_second_peak = of.busiest.take(at);
        });
    }

    /// An event is over after this long.
    pub fn took(&self, event: &Event, length: Duration) {
        self.with(event, |of| of.times().response.record(microseconds(length)));
    }

    /// A request was answered after this long.
    pub fn answered(&self, event: &Event, length: Duration) {
        self.with(event, |of| of.times().service.record(microseconds(length)));
    }

    fn with(&self, event: &Event, with: impl FnOnce(&mut PerEvent)) {
        let mut events = self.events.borrow_mut();
        let name = &*key(event);
        let is_one_too_many = !events.contains_key(name) && events.len() >= NAMES_MAX;
        let name = if is_one_too_many { OTHERS } else { name };
        match events.get_mut(name) {
            Some(of) => with(of),
            None => with(events.entry(name.to_owned()).or_default()),
        }
    }

    /// An event fails.
    pub fn failed(&self, event: &Event, why: EventFailure) {
        self.count(event, |of| *of.failed.entry(why).or_default() += 1);
    }

    /// An HTTP request of a validation.
    pub fn validation_request(&self) {
        add(&self.validation_requests, 1);
    }

    /// Sums start at nothing; the gauge stays.
    pub fn restart(&self) {
        self.began.set(Some(Instant::now()));
        self.events.borrow_mut().clear();
        for sum in [&self.validations_good, &self.validations_bad, &self.validation_requests] {
            sum.set(0);
        }
    }

    /// Counts and gauge now.
    pub fn counters(&self) -> WebhookCounters {
        let events = self.events.borrow();
        WebhookCounters {
            events: events.iter().map(|(name, of)| (name.clone(), of.counters.clone())).collect(),
            validations_good: self.validations_good.get(),
            validations_bad: self.validations_bad.get(),
            validation_requests: self.validation_requests.get(),
            under_way: self.under_way.get(),
            ..WebhookCounters::default()
        }
    }

    /// How long events took.
    pub fn times(&self) -> WebhookTimes {
        let events = self.events.borrow();
        let times = events.iter().filter_map(|(name, of)| {
            let times = of.times.as_ref()?;
            let (response, service) = (encode(&times.response), encode(&times.service));
            Some((name.clone(), EventTimes { response, service }))
        });
        WebhookTimes { events: times.collect() }
    }
}

/// What an event is counted by: its name, unless a system event has that one.
fn key(event: &Event) -> Cow<'_, str> {
    match event {
        Event::User(name) if SystemEvent::of_name(name.as_str()).is_some() => {
            Cow::Owned(RequestKind::spelt_out(name.as_str()))
        }
        Event::User(_) | Event::System(_) => Cow::Borrowed(event.name()),
    }
}

impl PerEvent {
    fn times(&mut self) -> &mut Distribution {
        self.times.get_or_insert_with(Box::default)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::webhook::EventName;

    #[test]
    fn a_user_event_is_never_counted_as_a_system_event() {
        let tally = Tally::default();
        let user = Event::User(EventName::parse("connect").unwrap());
        for event in [&user, &Event::System(SystemEvent::Connect), &user] {
            tally.request(event, Repeated::No);
        }
        let counters = tally.counters();
        let requests = |name: &str| counters.events[name].requests;
        assert_eq!((requests("connect"), requests("user:connect")), (1, 2));
        assert_eq!(counters.events["user:connect"].requests_per_second_peak, 2);
    }

    #[test]
    fn names_that_clients_choose_do_not_fill_the_memory() {
        let tally = Tally::default();
        for n in 0..NAMES_MAX + 10 {
            let event = Event::User(EventName::parse(&format!("e{n}")).unwrap());
            tally.count(&event, |of| of.begun += 1);
        }
        let counters = tally.counters();
        assert_eq!(counters.events.len(), NAMES_MAX + 1);
        assert_eq!(counters.events[OTHERS].begun, 10);
        assert!(tally.times().events.is_empty());
        tally.restart();
        assert!(tally.counters().is_empty());
    }
}
