//! After the load: the hub's side of the last rows, its counters, and the sum of everything.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::dispatcher::Dispatcher;
use super::hands::longest_freeze;
use super::ledger::{HubTime, HubView, Joiner};
use super::rest::SignedCaller;
use super::upstream::{begun, longest_event};
use super::{EngineError, Stop};
use crate::event::{Phase, Warning, World};
use crate::measure::summary::LogTally;
use crate::measure::{EndKind, Memory, OpenEnds};
use crate::net::{Connector, budget};
use crate::protocol::control::{COUNTERS_PATH, Counters, EventCounters, EventFailure};
use crate::protocol::webhook::UpstreamCounts;

/// Times the hub is asked for its counters, at most, until nothing is open any more. (Those while
/// events of handlers are under way do not count.)
const COUNTERS_TRIES: usize = 40;

/// Between two of these.
const COUNTERS_EVERY: Duration = Duration::from_millis(50);

/// The longest between two of these while events of handlers are under way: the ledger tells when
/// they are over, unless entries were lost.
const EVENTS_EVERY: Duration = Duration::from_secs(1);

/// How long ledger entries of connections that are gone may be under way.
const ENTRIES_WITHIN: Duration = Duration::from_secs(1);

/// How long resource-log records may be under way once the ledger is whole. (They are written
/// together; nothing says which record is the last.)
const RECORDS_WITHIN: Duration = Duration::from_millis(50);

/// Looks at the number of open ends, at most, until it is what it was.
const OPEN_ENDS_LOOKS: usize = 20;

/// What a run holds before its load.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    world: World,
    /// Open ends of connections; `None` where that cannot be told.
    open_ends: Option<u64>,
    /// Resident memory of the process; `None` where that cannot be told.
    resident_bytes: Option<u64>,
}

impl Held {
    /// Takes stock.
    pub(super) fn now(world: World, connector: &Connector) -> Self {
        let (open_ends, resident_bytes) = (connector.open_ends(), resident_bytes(world));
        Self { world, open_ends, resident_bytes }
    }
}

/// Resident memory of the process. Not of a virtual world: it is the machine's affair, and other
/// worlds may run in the same process.
fn resident_bytes(world: World) -> Option<u64> {
    match world {
        World::Sockets => budget::resident_bytes(),
        World::Virtual => None,
    }
}

impl Dispatcher {
    /// What the load holds, while it still stands.
    pub(super) fn note_memory(&mut self, before: Held) {
        let both = before.resident_bytes.zip(resident_bytes(before.world));
        self.summary.health.memory = both.map(|(before_bytes, held_bytes)| Memory {
            before_bytes,
            held_bytes,
            open: self.progress().open,
        });
    }

    /// Waits for the hub's side of the ledger, then reads its counters and looks for ends of
    /// connections that were left open.
    pub(super) async fn gather(
        &mut self,
        before: Held,
        upstream: Option<&mut SignedCaller>,
    ) -> Result<(), EngineError> {
        self.enter(Phase::Gathering);
        self.stop_holding();
        self.take_halves();
        if self.joiner.view() == HubView::Observed {
            let until = Instant::now() + self.hub_knows_within();
            self.pump_unless_now(until, |run| run.joiner.awaited() == 0).await?;
            self.read_counters().await?;
            let until = Instant::now() + ENTRIES_WITHIN;
            self.pump_unless_now(until, |run| run.story.hub_is_done()).await?;
            let until = Instant::now() + RECORDS_WITHIN;
            self.pump_unless_now(until, |_| false).await?;
            let (until, failures) = (Instant::now() + ENTRIES_WITHIN, self.failures_awaited());
            self.pump_unless_now(until, |run| run.failures_seen() >= failures).await?;
        }
        if let Some(caller) = upstream {
            self.read_upstream(caller).await;
        }
        self.count_open_ends(before).await
    }

    /// What the application server counted.
    async fn read_upstream(&mut self, caller: &mut SignedCaller) {
        match caller.get::<UpstreamCounts>(COUNTERS_PATH).await {
            Ok(counts) => self.summary.upstream = Some(counts),
            Err(error) => {
                let why = format!("no counts of the application server: {error}");
                self.warn(Warning::LedgerIncomplete { why });
            }
        }
    }

    /// Lines about failed events that the hub has written by its counters.
    fn failures_awaited(&self) -> u64 {
        let Some(counters) = &self.summary.counters_after else { return 0 };
        let webhooks = &counters.webhooks;
        let of = |event: &EventCounters| -> u64 {
            let logged = event.failed.iter().filter(|(why, _)| has_a_line(**why));
            logged.map(|(_, count)| count).sum()
        };
        webhooks.validations_bad + webhooks.events.values().map(of).sum::<u64>()
    }

    fn failures_seen(&self) -> u64 {
        self.summary.log.as_ref().map_or(0, LogTally::total)
    }

    /// The longest the hub may take to notice the end of a connection: a whole timeout, if the
    /// client's end never reached it.
    fn hub_knows_within(&self) -> Duration {
        let plan = &self.hands.plan;
        let keep_alive = plan.hub.keep_alive;
        keep_alive.timeout
            + keep_alive.interval
            + plan.hub.limits.close_linger
            + plan.grace
            + longest_freeze(plan)
    }

    /// Reads the counters until the hub has let go of everything, then waits for the entries that
    /// they speak of, and reads how long events took.
    async fn read_counters(&mut self) -> Result<(), EngineError> {
        let mut caller = match self.hands.caller() {
            Ok(caller) => caller,
            Err(error) => {
                self.warn(Warning::LedgerIncomplete { why: error.to_string() });
                return Ok(());
            }
        };
        let events_until = Instant::now() + longest_event(&self.hands.plan.hub.events.policy);
        let mut tries = 0;
        while tries < COUNTERS_TRIES {
            let Some(counters) = self.ask_counters(&mut caller).await else { return Ok(()) };
            let quiet = is_quiet(&counters);
            let (begun, under_way) = (begun(&counters.webhooks), counters.webhooks.under_way);
            self.summary.counters_after = Some(counters);
            if quiet || self.stopped == Stop::Now {
                break;
            }
            let now = Instant::now();
            // Whoever wants the run to stop does not want to wait for a handler.
            let awaits_events = under_way > 0
                && begun > self.calls.over()
                && now < events_until
                && self.stopped == Stop::Run
                && self.joiner.view() == HubView::Observed;
            if awaits_events {
                let until = events_until.min(now + EVENTS_EVERY);
                self.pump(until, |run| {
                    run.calls.over() >= begun || run.joiner.view() != HubView::Observed
                })
                .await?;
            } else {
                tries += 1;
                let until = now + COUNTERS_EVERY;
                self.pump_unless_now(until, |_| false).await?;
            }
        }
        let Some(counters) = &self.summary.counters_after else { return Ok(()) };
        let over = begun(&counters.webhooks).saturating_sub(counters.webhooks.under_way);
        let (ended, lost) = (ended(counters), counters.entries_lost);
        let has_webhooks = !counters.webhooks.is_empty();
        if lost > 0 {
            let why = format!("the hub lost {lost} entries, because they were read too slowly");
            self.warn(Warning::LedgerIncomplete { why });
        }
        let until = Instant::now() + ENTRIES_WITHIN;
        let is_told = |run: &Self| run.joiner.hub_ends() >= ended && run.calls.over() >= over;
        self.pump_unless_now(until, is_told).await?;
        if has_webhooks && self.stopped < Stop::Now {
            self.read_times(&mut caller).await;
        }
        Ok(())
    }

    async fn ask_counters(&mut self, caller: &mut SignedCaller) -> Option<Counters> {
        match caller.get(COUNTERS_PATH).await {
            Ok(counters) => Some(counters),
            Err(error) => {
                self.warn(Warning::LedgerIncomplete { why: format!("no counters: {error}") });
                None
            }
        }
    }

    /// The streams of the hub are still open, as they were when the open ends were counted before
    /// the run. The other ends of closed connections may take a moment when the hub is in this
    /// process.
    async fn count_open_ends(&mut self, before: Held) -> Result<(), EngineError> {
        let (kind, before) = (EndKind::of(before.world), before.open_ends);
        for _ in 0..OPEN_ENDS_LOOKS {
            let after = self.hands.target.connector.open_ends();
            self.summary.health.open_ends = OpenEnds { kind, before, after };
            if after <= before || self.stopped == Stop::Now {
                break;
            }
            let until = Instant::now() + COUNTERS_EVERY;
            self.pump_unless_now(until, |_| false).await?;
        }
        Ok(())
    }

    /// Adds the measures of the shards and of the dispatcher's own calls.
    pub(super) fn merge_shards(&mut self) {
        let mut tasks = 0;
        for (shard, end) in std::mem::take(&mut self.shard_ends).into_iter().enumerate() {
            let Some(end) = end else {
                // It did not end: its clients are what is left over.
                tasks += self.states[shard].as_ref().map_or(1, |state| state.alive.max(1));
                continue;
            };
            tasks += end.tasks + end.defects;
            self.summary.latency.merge(&end.latency);
            self.summary.traffic.merge(&end.traffic);
            let counts = end.acks_failed.iter().zip(&end.not_sent);
            for (population, (acks_failed, not_sent)) in
                self.summary.populations.iter_mut().zip(counts)
            {
                for (&failure, count) in acks_failed {
                    *population.acks_failed.entry(failure).or_insert(0) += count;
                }
                population.not_sent += not_sent;
            }
        }
        self.summary.health.tasks_after = tasks;
        self.summary.latency.merge(&self.hands.latency.borrow());
        self.summary.traffic.merge(&self.hands.sent.borrow());
        self.summary.rest_failed = self.rest_failed;
    }

    /// Every half row has had its time. (Not so when the run was stopped at once: then nothing is
    /// known of what the hub did not see.)
    pub(super) fn finish_rows(&mut self) {
        self.stop_holding();
        self.take_halves();
        let book = Arc::clone(&self.hands.book);
        let nothing = Joiner::new(HubView::NotObserved, HubTime::default(), book);
        let mut joiner = std::mem::replace(&mut self.joiner, nothing);
        let mut rows = Vec::new();
        if self.stopped == Stop::Now {
            rows = joiner.lose_sight();
        }
        let (leftover, unmatched) = joiner.finish();
        rows.extend(leftover);
        rows.into_iter().for_each(|row| self.emit_row(row));
        self.summary.hub_rows_unmatched = unmatched;
        let spans = std::mem::take(&mut self.spans);
        self.summary.open_peak = spans.peak();
    }
}

/// Whether an event that failed so has a line of its own in the hub's log.
const fn has_a_line(why: EventFailure) -> bool {
    match why {
        // The validation has one, and who gives up has nobody to tell.
        EventFailure::NotValidated | EventFailure::GivenUp => false,
        EventFailure::NotFound
        | EventFailure::Status
        | EventFailure::Connection
        | EventFailure::TimedOut
        | EventFailure::Answer
        | EventFailure::Header
        | EventFailure::Lost => true,
    }
}

/// Whether the hub has let go of every connection and of what belonged to them.
fn is_quiet(counters: &Counters) -> bool {
    counters.total_connection_count == 0
        && counters.tasks == 0
        && counters.groups == 0
        && counters.queue_bytes == 0
        && counters.webhooks.under_way == 0
        && counters.waiting == 0
}

/// Connections that have ended, of which there must be an entry each.
fn ended(counters: &Counters) -> u64 {
    counters.connection_open_count.saturating_sub(counters.total_connection_count)
}
