//! What the hub told of the events that went to handlers.

use std::collections::BTreeMap;

use super::Extent;
use crate::event::HubSide;
use crate::measure::Distribution;
use crate::protocol::CloseCategory;
use crate::protocol::control::{EventFailure, UpstreamCall};
use crate::protocol::webhook::RequestKind;

/// Kinds of ends that are told apart. Clients choose the names of events.
const ENDS_MAX: usize = 1_000;

/// Times of events, and how many calls were told one by one.
#[derive(Clone, Debug, Default)]
pub struct Calls {
    /// How long events took, by name as in the hub's counters. Response counts from the event to
    /// its end, service from each request to its answer.
    pub times: BTreeMap<String, Distribution>,
    /// Calls that became events of the run.
    pub calls_told: u64,
    /// Validations that did.
    pub validations_told: u64,
    /// Calls and validations that did not, because there were too many.
    pub left_out: u64,
    /// Connections and attempts that an event ended by failing.
    pub ends: BTreeMap<CallEnd, EndedByCalls>,
    /// Those of further kinds than are told apart.
    pub of_further_ends: u64,
}

/// What ended a connection, or refused an attempt.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CallEnd {
    /// Index of the population in the plan.
    pub population: u16,
    /// The hub's word for the end.
    pub category: CloseCategory,
    /// Which event failed.
    pub event: RequestKind,
    /// Status of the last answer.
    pub status: Option<u16>,
    /// Why it failed; `None` where its handler took it, and wanted what cannot be done.
    pub failure: Option<EventFailure>,
}

/// The calls behind ends of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndedByCalls {
    /// HTTP requests of each.
    pub tries: Extent,
    /// How long each took, in microseconds.
    pub took_us: Extent,
}

impl Calls {
    /// Takes in what a row says of the event behind it.
    pub(super) fn add_end(&mut self, population: u16, hub: &HubSide) {
        let (category, call) = match hub {
            HubSide::Ended(end) => (end.category, &end.upstream),
            HubSide::Refused(refusal) => (refusal.category, &refusal.upstream),
            HubSide::NotSeen | HubSide::NotObserved => return,
        };
        let Some(call) = call else { return };
        let UpstreamCall { event, status, failure, tries, took_us } = (**call).clone();
        let end = CallEnd { population, category, event, status, failure };
        if !self.ends.contains_key(&end) && self.ends.len() >= ENDS_MAX {
            self.of_further_ends += 1;
            return;
        }
        let sums = self.ends.entry(end).or_default();
        sums.tries.take(i64::from(tries));
        sums.took_us.take(i64::try_from(took_us).unwrap_or(i64::MAX));
    }
}
