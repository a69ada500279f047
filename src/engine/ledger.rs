//! Joins the two sides of the ledger: one row per attempt, on the attempt's id and nothing else.

use std::collections::BTreeMap;

use crate::event::{ClientEnd, ClientObservation, Evidence, HubSide, LedgerRow};
use crate::protocol::AttemptId;
use crate::protocol::control::{HubEnd, HubRefusal, LedgerEntry};

/// Turns times of the hub's clock into times of the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct HubTime {
    /// The run's epoch by the engine's clock, nanoseconds since the Unix epoch.
    pub(super) epoch_unix_ns: u64,
    /// How far the hub's clock is ahead of the engine's, in nanoseconds.
    pub(super) ahead_ns: i64,
}

impl HubTime {
    /// Nanoseconds since the run's epoch; what would be earlier is 0.
    pub(super) fn in_run(self, hub_unix_ns: u64) -> u64 {
        let epoch = i128::from(self.epoch_unix_ns) + i128::from(self.ahead_ns);
        u64::try_from(i128::from(hub_unix_ns) - epoch).unwrap_or(0)
    }

    fn end(self, end: &mut HubEnd) {
        end.opened_ns = self.in_run(end.opened_ns);
        end.decided_ns = self.in_run(end.decided_ns);
        end.gone_ns = self.in_run(end.gone_ns);
        end.last_life_ns = self.in_run(end.last_life_ns);
        end.last_pong_ns = end.last_pong_ns.map(|pong| self.in_run(pong));
    }

    fn refusal(self, refusal: &mut HubRefusal) {
        refusal.at_ns = self.in_run(refusal.at_ns);
    }
}

/// Whether the hub's side comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HubView {
    /// Its ledger is read.
    Observed,
    /// It is not (any more).
    NotObserved,
}

/// Holds half rows until their other half comes.
#[derive(Debug)]
pub(super) struct Joiner {
    view: HubView,
    time: HubTime,
    clients: BTreeMap<AttemptId, ClientEnd>,
    hub: BTreeMap<AttemptId, HubSide>,
    /// Client halves of which the hub must know.
    awaited: u64,
    /// Accepted connections whose end the hub has told.
    hub_ends: u64,
    /// Entries of attempts that nobody made.
    unmatched: u64,
}

impl Joiner {
    /// A joiner with nothing to join.
    pub(super) fn new(view: HubView, time: HubTime) -> Self {
        Self {
            view,
            time,
            clients: BTreeMap::new(),
            hub: BTreeMap::new(),
            awaited: 0,
            hub_ends: 0,
            unmatched: 0,
        }
    }

    /// Takes a client's half; gives the row when it is whole.
    pub(super) fn client(&mut self, end: ClientEnd) -> Option<LedgerRow> {
        if let Some(hub) = self.hub.remove(&end.attempt) {
            return Some(observed(hub, end));
        }
        if self.view == HubView::NotObserved {
            return Some(unobserved(end));
        }
        self.awaited += u64::from(reached_the_hub(&end));
        self.clients.insert(end.attempt.clone(), end);
        None
    }

    /// Takes the hub's half; gives the row when it is whole.
    pub(super) fn hub(&mut self, entry: LedgerEntry) -> Option<LedgerRow> {
        let (attempt, side) = match entry {
            LedgerEntry::Ended(mut end) => {
                self.hub_ends += 1;
                self.time.end(&mut end);
                (end.attempt.clone(), HubSide::Ended(end))
            }
            LedgerEntry::Refused(mut refusal) => {
                self.time.refusal(&mut refusal);
                (refusal.attempt.clone(), HubSide::Refused(refusal))
            }
        };
        let Some(attempt) = attempt else {
            self.unmatched += 1;
            return None;
        };
        match self.clients.remove(&attempt) {
            Some(end) => {
                self.awaited -= u64::from(reached_the_hub(&end));
                Some(observed(side, end))
            }
            None => {
                let twice = self.hub.insert(attempt, side).is_some();
                self.unmatched += u64::from(twice);
                None
            }
        }
    }

    /// Client halves whose hub half must still come.
    pub(super) const fn awaited(&self) -> u64 {
        self.awaited
    }

    /// Accepted connections whose end the hub has told.
    pub(super) const fn hub_ends(&self) -> u64 {
        self.hub_ends
    }

    /// Whether the hub's side comes.
    pub(super) const fn view(&self) -> HubView {
        self.view
    }

    /// The hub's ledger has broken: what waits for it will wait in vain, and that the hub did not
    /// see an attempt can no longer be told.
    pub(super) fn lose_sight(&mut self) -> Vec<LedgerRow> {
        self.view = HubView::NotObserved;
        self.awaited = 0;
        std::mem::take(&mut self.clients).into_values().map(unobserved).collect()
    }

    /// Every half has had its time. Client halves left over are attempts that the hub never saw
    /// (where it was observed to the end); also gives the number of hub entries left over.
    pub(super) fn finish(mut self) -> (Vec<LedgerRow>, u64) {
        let rows = match self.view {
            HubView::NotObserved => self.lose_sight(),
            HubView::Observed => std::mem::take(&mut self.clients)
                .into_values()
                .map(|client| LedgerRow {
                    attempt: client.attempt.clone(),
                    hub: HubSide::NotSeen,
                    evidence: Evidence::Hub,
                    client,
                })
                .collect(),
        };
        (rows, self.unmatched + self.hub.len() as u64)
    }
}

/// Whether the hub must have an entry for the attempt: it answered the upgrade.
fn reached_the_hub(end: &ClientEnd) -> bool {
    end.opened_ns.is_some() || matches!(end.observation, ClientObservation::Refused { .. })
}

fn observed(hub: HubSide, client: ClientEnd) -> LedgerRow {
    LedgerRow { attempt: client.attempt.clone(), hub, evidence: Evidence::Hub, client }
}

fn unobserved(client: ClientEnd) -> LedgerRow {
    LedgerRow {
        attempt: client.attempt.clone(),
        hub: HubSide::NotObserved,
        evidence: Evidence::None,
        client,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

    use super::*;
    use crate::engine::testkit::{client_end, hub_end, hub_refusal};
    use crate::event::ConnectFailure;
    use crate::protocol::CloseCategory;
    use proptest::prelude::*;

    fn joiner() -> Joiner {
        Joiner::new(HubView::Observed, HubTime::default())
    }

    #[test]
    fn times_of_the_hub_become_times_of_the_run() {
        let time = HubTime { epoch_unix_ns: 1_000_000, ahead_ns: 500 };
        let mut joiner = Joiner::new(HubView::Observed, time);
        let mut end = hub_end("a", 0, 0);
        end.opened_ns = 1_000_000;
        end.decided_ns = 1_000_700;
        end.last_pong_ns = Some(1_000_600);
        assert_eq!(joiner.hub(LedgerEntry::Ended(Box::new(end))), None);
        let row = joiner.client(client_end("a", 0, 0)).unwrap();
        let HubSide::Ended(end) = row.hub else { panic!("not ended: {:?}", row.hub) };
        assert_eq!((end.opened_ns, end.decided_ns, end.last_pong_ns), (0, 200, Some(100)));
    }

    proptest! {
        /// Whatever the order in which halves come, every attempt is exactly one row, with its own
        /// two sides.
        #[test]
        fn rows_sum_to_attempts_in_any_order(
            order in Just((0..24_usize).collect::<Vec<_>>()).prop_shuffle()
        ) {
            let mut joiner = joiner();
            let mut rows = Vec::new();
            for half in order {
                let index = u32::try_from(half / 2).unwrap();
                rows.extend(if half % 2 == 0 {
                    joiner.client(client_end("a", index, 0))
                } else if index % 3 == 0 {
                    joiner.hub(LedgerEntry::Refused(Box::new(hub_refusal("a", index, 0))))
                } else {
                    joiner.hub(LedgerEntry::Ended(Box::new(hub_end("a", index, 0))))
                });
            }
            prop_assert_eq!(joiner.awaited(), 0);
            prop_assert_eq!(joiner.hub_ends(), 8);
            let mut indexes: Vec<u32> = rows.iter().map(|row| row.client.attempt.index).collect();
            indexes.sort_unstable();
            prop_assert_eq!(indexes, (0..12).collect::<Vec<_>>());
            for row in &rows {
                let refused = row.category() == Some(CloseCategory::ConnectionCountLimitReached);
                prop_assert_eq!(refused, row.attempt.index % 3 == 0);
            }
            prop_assert_eq!(joiner.finish(), (Vec::new(), 0));
        }
    }

    #[test]
    fn leftovers_are_not_seen_or_unmatched() {
        let mut joiner = joiner();
        let mut failed = client_end("a", 0, 0);
        failed.opened_ns = None;
        failed.observation =
            ClientObservation::ConnectFailed { failure: ConnectFailure::ConnectionRefused };
        assert_eq!(joiner.client(failed), None);
        assert_eq!(joiner.awaited(), 0, "the hub need not know of a failed connect");
        assert_eq!(joiner.client(client_end("a", 1, 0)), None);
        assert_eq!(joiner.awaited(), 1);
        joiner.hub(LedgerEntry::Ended(Box::new(hub_end("stranger", 0, 0))));
        let mut nameless = hub_end("a", 9, 0);
        nameless.attempt = None;
        joiner.hub(LedgerEntry::Ended(Box::new(nameless)));
        let (rows, unmatched) = joiner.finish();
        assert_eq!(unmatched, 2);
        assert_eq!(rows.len(), 2);
        assert!(rows.iter().all(|row| row.hub == HubSide::NotSeen));
    }

    #[test]
    fn without_the_hubs_side_nothing_is_invented() {
        let mut joiner = Joiner::new(HubView::NotObserved, HubTime::default());
        let row = joiner.client(client_end("a", 0, 0)).unwrap();
        assert_eq!((row.hub, row.evidence), (HubSide::NotObserved, Evidence::None));
    }

    #[test]
    fn a_broken_ledger_leaves_no_attempt_without_a_row() {
        let mut joiner = joiner();
        joiner.client(client_end("a", 0, 0));
        joiner.hub(LedgerEntry::Ended(Box::new(hub_end("a", 1, 0))));
        let lost = joiner.lose_sight();
        assert_eq!(lost.len(), 1);
        assert_eq!(lost[0].hub, HubSide::NotObserved);
        let whole = joiner.client(client_end("a", 1, 0)).unwrap();
        assert_eq!(whole.evidence, Evidence::Hub, "what the hub had said stays true");
        let late = joiner.client(client_end("a", 2, 0)).unwrap();
        assert_eq!(late.hub, HubSide::NotObserved);
    }
}
