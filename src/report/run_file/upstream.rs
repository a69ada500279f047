//! The section of `run.json` about event handlers.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Quantiles, Range};
use crate::measure::Summary;
use crate::measure::summary::{Calls, LogTally};
use crate::protocol::CloseCategory;
use crate::protocol::control::{EventCounters, EventFailure, WebhookCounters};
use crate::protocol::webhook::{RequestKind, UpstreamCounts, WebhookFailure};
use crate::scenario::Plan;

/// What went to event handlers and event listeners.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UpstreamFacts {
    /// Events by name, as the hub counted them.
    pub events: Vec<UpstreamEvent>,
    /// Validations (abuse protection) after which events may be sent.
    pub validations_good: u64,
    /// Validations after which none may.
    pub validations_bad: u64,
    /// HTTP requests of validations, repeated ones among them.
    pub validation_requests: u64,
    /// Events that waited to be sent or answered when the run ended.
    pub under_way: u64,
    /// Deliveries to event listeners; an event counts once for each that takes it.
    pub deliveries: u64,
    /// Those that were lost on their way into the file.
    pub deliveries_lost: u64,
    /// Calls and validations in `events.ndjson`.
    pub records: CallRecords,
    /// Connections and attempts that an event ended by failing.
    pub at_close: Vec<UpstreamAtClose>,
    /// Those of further kinds than are told apart.
    pub of_further_closes: u64,
    /// Lines of the hub's log about events that failed; null when the log was not observed.
    pub log: Option<Vec<UpstreamLogLine>>,
    /// Lines beyond those that are counted apart.
    pub of_further_lines: u64,
    /// What the run's own application server counted; null where there is none.
    pub server: Option<UpstreamCounts>,
}

/// Events of one name. Those taken, those failed and those under way are the calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct UpstreamEvent {
    /// Name of the event; `(others)` for those that the hub did not tell apart.
    pub event: String,
    /// Events.
    pub calls: u64,
    /// Those that their handler took.
    pub taken: u64,
    /// Those that failed, by why.
    pub failures: BTreeMap<EventFailure, u64>,
    /// HTTP requests, repeated ones among them.
    pub requests: u64,
    /// Repeated requests.
    pub retries: u64,
    /// Most requests that began in one second of the timeline.
    pub requests_per_second_peak: u64,
    /// Answers by HTTP status, those to repeated requests among them.
    pub statuses: BTreeMap<u16, u64>,
    /// From the event to its end, with everything it waited for; null where none came to an end by
    /// its handler, or the times could not be read.
    pub response: Option<Quantiles>,
    /// From each request to its answer.
    pub service: Option<Quantiles>,
}

/// Lines of `events.ndjson` about handlers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CallRecords {
    /// `upstream-call`: one for each event that is over.
    pub calls: u64,
    /// `upstream-validation`.
    pub validations: u64,
    /// Those of both kinds that were left out, because there were too many.
    pub left_out: u64,
}

/// Connections and attempts of one population that one event ended by failing in one way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UpstreamAtClose {
    /// Population.
    pub population: String,
    /// The hub's category.
    pub category: CloseCategory,
    /// Which event; a user event with `user:` before it where it looks like another.
    pub event: RequestKind,
    /// Status of the last answer; null where there was none.
    pub status: Option<u16>,
    /// Why the event failed; null where its handler took it, and wanted what cannot be done.
    pub failure: Option<EventFailure>,
    /// HTTP requests of each.
    pub tries: Range,
    /// From each event to its end, in microseconds.
    pub took_us: Range,
}

/// A line of the hub's log about events that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UpstreamLogLine {
    /// Name of the event in the log.
    pub event: WebhookFailure,
    /// The service's wording.
    pub message: String,
    /// How often it came.
    pub count: u64,
}

impl UpstreamFacts {
    /// Every count that is exact, by what is counted: in the virtual world runs of one seed agree
    /// in it.
    #[must_use]
    pub fn counts(&self) -> Vec<(String, u64)> {
        let of_event = |of: &UpstreamEvent| {
            let counts = [("calls", of.calls), ("taken", of.taken), ("requests", of.requests)];
            counts.map(|(what, count)| (format!("{} {what}", of.event), count))
        };
        let validations = [
            ("validations good", self.validations_good),
            ("validations bad", self.validations_bad),
        ];
        let validations = validations.map(|(what, count)| (what.to_owned(), count));
        self.events.iter().flat_map(of_event).chain(validations).collect()
    }

    /// What a summary has of it; `None` where nothing went to a handler and nothing was to.
    #[must_use]
    pub fn of(plan: &Plan, summary: &Summary) -> Option<Self> {
        let none = WebhookCounters::default();
        let counters = summary.counters_after.as_ref().map_or(&none, |after| &after.webhooks);
        let log = summary.log.as_ref();
        let has_lines = log.is_some_and(|log| log.total() > 0);
        if counters.is_empty() && !has_lines && summary.upstream.is_none() {
            return None;
        }
        let Calls { times, calls_told, validations_told, left_out, .. } = &summary.calls;
        let event = |(name, of): (&String, &EventCounters)| UpstreamEvent {
            event: name.clone(),
            calls: of.begun,
            taken: of.succeeded,
            failures: of.failed.clone(),
            requests: of.requests,
            retries: of.retries,
            requests_per_second_peak: of.requests_per_second_peak,
            statuses: of.statuses.clone(),
            response: times.get(name).and_then(|times| Quantiles::of(&times.response)),
            service: times.get(name).and_then(|times| Quantiles::of(&times.service)),
        };
        Some(Self {
            events: counters.events.iter().map(event).collect(),
            validations_good: counters.validations_good,
            validations_bad: counters.validations_bad,
            validation_requests: counters.validation_requests,
            under_way: counters.under_way,
            deliveries: counters.deliveries,
            deliveries_lost: counters.deliveries_lost,
            records: CallRecords {
                calls: *calls_told,
                validations: *validations_told,
                left_out: *left_out,
            },
            at_close: at_close(plan, &summary.calls),
            of_further_closes: summary.calls.of_further_ends,
            log: log.map(lines),
            of_further_lines: log.map_or(0, |log| log.of_further_lines),
            server: summary.upstream.clone(),
        })
    }
}

fn at_close(plan: &Plan, calls: &Calls) -> Vec<UpstreamAtClose> {
    let ends = calls.ends.iter().map(|(end, sums)| UpstreamAtClose {
        population: super::gather::name_of(plan, end.population),
        category: end.category,
        event: end.event.clone(),
        status: end.status,
        failure: end.failure,
        tries: sums.tries.into(),
        took_us: sums.took_us.into(),
    });
    ends.collect()
}

fn lines(log: &LogTally) -> Vec<UpstreamLogLine> {
    let line = |((event, message), count): (&(WebhookFailure, String), &u64)| UpstreamLogLine {
        event: *event,
        message: message.clone(),
        count: *count,
    };
    log.lines.iter().map(line).collect()
}
