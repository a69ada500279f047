//! Joins the two sides of the ledger: one row per attempt, on the attempt's id and nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::event::{ClientEnd, ClientObservation, Evidence, HubSide, LedgerRow};
use crate::measure::StreamBook;
use crate::measure::delivery::Decision;
use crate::measure::delivery::up_to_the_decision;
use crate::protocol::AttemptId;
use crate::protocol::control::{HubCall, HubEnd, HubRefusal, HubValidation, LedgerEntry};

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

/// What an entry of the hub's ledger comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// A row is whole.
    Row(Box<LedgerRow>),
    /// Half a row, whose other half is awaited.
    Kept,
    /// An event for a handler is over.
    Call(Box<HubCall>),
    /// A validation of a handler is over.
    Validation(Box<HubValidation>),
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
    book: Arc<StreamBook>,
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
    pub(super) fn new(view: HubView, time: HubTime, book: Arc<StreamBook>) -> Self {
        Self {
            view,
            time,
            book,
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
            return Some(self.observed(hub, end));
        }
        if self.view == HubView::NotObserved {
            return Some(unobserved(end));
        }
        self.awaited += u64::from(reached_the_hub(&end));
        self.clients.insert(end.attempt.clone(), end);
        None
    }

    /// Takes an entry of the hub's ledger.
    pub(super) fn hub(&mut self, entry: LedgerEntry) -> Taken {
        match entry {
            LedgerEntry::Ended(mut end) => {
                self.hub_ends += 1;
                self.time.end(&mut end);
                self.half(end.attempt.clone(), HubSide::Ended(end))
            }
            LedgerEntry::Refused(mut refusal) => {
                self.time.refusal(&mut refusal);
                self.half(refusal.attempt.clone(), HubSide::Refused(refusal))
            }
            LedgerEntry::Called(mut call) => {
                call.began_ns = self.time.in_run(call.began_ns);
                Taken::Call(call)
            }
            LedgerEntry::Validated(mut validation) => {
                validation.began_ns = self.time.in_run(validation.began_ns);
                Taken::Validation(validation)
            }
        }
    }

    /// Takes the hub's half of a row.
    fn half(&mut self, attempt: Option<AttemptId>, side: HubSide) -> Taken {
        let Some(attempt) = attempt else {
            self.unmatched += 1;
            return Taken::Kept;
        };
        match self.clients.remove(&attempt) {
            Some(end) => {
                self.awaited -= u64::from(reached_the_hub(&end));
                Taken::Row(Box::new(self.observed(side, end)))
            }
            None => {
                let twice = self.hub.insert(attempt, side).is_some();
                self.unmatched += u64::from(twice);
                Taken::Kept
            }
        }
    }

    /// The whole row. What the hub acknowledged after it had decided the connection's end was not
    /// for this connection any more.
    fn observed(&self, hub: HubSide, mut client: ClientEnd) -> LedgerRow {
        if let HubSide::Ended(end) = &hub {
            let decision = Decision { at_ns: end.decided_ns, queued: end.delivered };
            let (tally, arrived) = (client.delivery, client.received);
            client.delivery =
                up_to_the_decision(tally, &client.tails, arrived, &self.book, decision);
        }
        row(hub, Evidence::Hub, client)
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
                .map(|client| row(HubSide::NotSeen, Evidence::Hub, client))
                .collect(),
        };
        (rows, self.unmatched + self.hub.len() as u64)
    }
}

/// Whether the hub must have an entry for the attempt: it answered the upgrade.
fn reached_the_hub(end: &ClientEnd) -> bool {
    end.opened_ns.is_some() || matches!(end.observation, ClientObservation::Refused { .. })
}

fn unobserved(client: ClientEnd) -> LedgerRow {
    row(HubSide::NotObserved, Evidence::None, client)
}

fn row(hub: HubSide, evidence: Evidence, client: ClientEnd) -> LedgerRow {
    let client = ClientEnd { tails: Vec::new(), ..client };
    LedgerRow { attempt: client.attempt.clone(), hub, evidence, client }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

    use super::*;
    use crate::engine::testkit::{client_end, hub_end, hub_refusal};
    use crate::event::{ConnectFailure, DeliveryTally, LostTail};
    use crate::protocol::CloseCategory;
    use proptest::prelude::*;

    fn joiner() -> Joiner {
        Joiner::new(HubView::Observed, HubTime::default(), StreamBook::new(0))
    }

    #[test]
    fn times_of_the_hub_become_times_of_the_run() {
        let time = HubTime { epoch_unix_ns: 1_000_000, ahead_ns: 500 };
        let mut joiner = Joiner::new(HubView::Observed, time, StreamBook::new(0));
        let mut end = hub_end("a", 0, 0);
        end.opened_ns = 1_000_000;
        end.decided_ns = 1_000_700;
        end.last_pong_ns = Some(1_000_600);
        assert_eq!(joiner.hub(LedgerEntry::Ended(Box::new(end))), Taken::Kept);
        let row = joiner.client(client_end("a", 0, 0)).unwrap();
        let HubSide::Ended(end) = row.hub else { panic!("not ended: {:?}", row.hub) };
        assert_eq!((end.opened_ns, end.decided_ns, end.last_pong_ns), (0, 200, Some(100)));
    }

    fn row_of(taken: Taken) -> Option<LedgerRow> {
        match taken {
            Taken::Row(row) => Some(*row),
            Taken::Kept => None,
            other => panic!("no half of a row: {other:?}"),
        }
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
                    row_of(joiner.hub(LedgerEntry::Refused(Box::new(hub_refusal("a", index, 0)))))
                } else {
                    row_of(joiner.hub(LedgerEntry::Ended(Box::new(hub_end("a", index, 0)))))
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

    /// A client's half that missed everything from the third message of stream 0 up to the ninth.
    fn missed_the_end() -> ClientEnd {
        let mut end = client_end("a", 0, 0);
        end.received = 2;
        end.delivery = DeliveryTally { expected: 9, received: 2, lost: 7, ..Default::default() };
        end.tails = vec![LostTail { stream: 0, from: 3, count: 7 }];
        end
    }

    /// A joiner of a run in which message n of stream 0 was acknowledged at second n, with a hub
    /// whose clock is three seconds ahead; and the hub's half of an end decided after second 5.
    fn delayed() -> (Joiner, LedgerEntry) {
        const SECOND: u64 = 1_000_000_000;
        let book = StreamBook::new(1);
        (1..=9).for_each(|n| book.note_acknowledged(0, n, u64::from(n) * SECOND));
        let time = HubTime { epoch_unix_ns: 100 * SECOND, ahead_ns: 3_000_000_000 };
        let mut end = hub_end("a", 0, 0);
        end.decided_ns = (100 + 3 + 5) * SECOND + SECOND / 2;
        end.delivered = 2;
        let joiner = Joiner::new(HubView::Observed, time, book);
        (joiner, LedgerEntry::Ended(Box::new(end)))
    }

    #[test]
    fn messages_are_expected_up_to_the_end_that_the_hub_decided() {
        let wanted = DeliveryTally { expected: 5, received: 2, lost: 3, ..Default::default() };
        let (mut joiner, hub) = delayed();
        joiner.hub(hub);
        let row = joiner.client(missed_the_end()).unwrap();
        assert_eq!((row.client.delivery, row.client.tails), (wanted, Vec::new()));
        let (mut joiner, hub) = delayed();
        joiner.client(missed_the_end());
        let row = row_of(joiner.hub(hub)).unwrap();
        assert_eq!((row.client.delivery, row.client.tails), (wanted, Vec::new()));
    }

    #[test]
    fn where_the_hub_is_not_observed_messages_are_expected_up_to_the_clients_end() {
        let whole = missed_the_end().delivery;
        let (mut joiner, _) = delayed();
        joiner.client(missed_the_end());
        let rows = [joiner.lose_sight(), Vec::from_iter(joiner.client(missed_the_end()))].concat();
        let (mut joiner, _) = delayed();
        joiner.client(missed_the_end());
        let rows = [rows, joiner.finish().0].concat();
        let told = rows.iter().map(|row| (row.client.delivery, row.client.tails.len()));
        assert_eq!(told.collect::<Vec<_>>(), [(whole, 0); 3]);
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
        let mut joiner = Joiner::new(HubView::NotObserved, HubTime::default(), StreamBook::new(0));
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
