//! What the hub tells of the calls of event handlers, and what it counts of them.

use std::time::Duration;

use super::dispatcher::Dispatcher;
use super::rest::SignedCaller;
use crate::event::{EventKind, Warning};
use crate::measure::Distribution;
use crate::measure::wire::decode;
use crate::protocol::control::{
    EventTimes, HubCall, HubValidation, WEBHOOKS_PATH, WebhookCounters, WebhookTimes,
};
use crate::protocol::webhook::WebhookPolicy;

/// Calls and validations that become events of the run, at most; more are counted.
pub(super) const CALLS_TOLD_MAX: u64 = 100_000;

/// Events whose times are taken in, at most: more than a hub of this release tells apart.
const TIMES_MAX: usize = 256;

/// Calls and validations that the hub's ledger told of.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct CallsTold {
    /// Events that are over.
    over: u64,
    /// Calls and validations that became events of the run.
    told: u64,
}

impl CallsTold {
    /// Events that are over, as the ledger told.
    pub(super) const fn over(self) -> u64 {
        self.over
    }
}

/// The longest an event may be under way: the validation that it waits for, with OPTIONS and GET,
/// then the request with its repetitions.
pub(super) fn longest_event(policy: &WebhookPolicy) -> Duration {
    policy.validation_within * 2 + policy.within
}

/// Events that have begun.
pub(super) fn begun(webhooks: &WebhookCounters) -> u64 {
    webhooks.events.values().map(|event| event.begun).sum()
}

impl Dispatcher {
    /// An event is over.
    pub(super) fn take_call(&mut self, call: Box<HubCall>) {
        self.calls.over += 1;
        self.tell_upstream(EventKind::UpstreamCall(call));
    }

    /// A validation is over.
    pub(super) fn take_validation(&mut self, validation: Box<HubValidation>) {
        self.tell_upstream(EventKind::UpstreamValidation(validation));
    }

    /// Makes it an event of the run. Where the events' queue is half full, or there were many, it
    /// is left out and counted: it must not cost the run an event that counts.
    fn tell_upstream(&mut self, kind: EventKind) {
        let queue = &self.events.queue;
        let is_busy = queue.capacity() < queue.max_capacity() / 2;
        if is_busy || self.calls.told >= CALLS_TOLD_MAX {
            self.summary.calls.left_out += 1;
        } else {
            self.calls.told += 1;
            self.emit(kind);
        }
    }

    /// Reads how long events took. Without it the run is what it is.
    pub(super) async fn read_times(&mut self, caller: &mut SignedCaller) {
        let told = match caller.get::<WebhookTimes>(WEBHOOKS_PATH).await {
            Ok(told) => told,
            Err(error) => return self.no_times(&error.to_string()),
        };
        for (event, times) in told.events.into_iter().take(TIMES_MAX) {
            match distribution(&times) {
                Ok(times) => {
                    self.summary.calls.times.insert(event, times);
                }
                Err(why) => self.no_times(&format!("those of {event}: {why}")),
            }
        }
    }

    fn no_times(&mut self, why: &str) {
        self.warn(Warning::NoUpstreamTimes { why: why.to_owned() });
    }
}

fn distribution(times: &EventTimes) -> Result<Distribution, String> {
    Ok(Distribution { response: decode(&times.response)?, service: decode(&times.service)? })
}
