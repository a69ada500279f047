//! Who was dropped and who came back, from ledger rows that arrive in any order.

/// What one attempt means for its client's recovery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// The connection never opened.
    NotOpened,
    /// It opened, and ended as the client wished.
    Kept,
    /// It opened, and ended against the client's wish.
    Dropped,
}

/// A client's share of the numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Share {
    /// Whether it was dropped at least once.
    pub(super) dropped: bool,
    /// Whether it was open again after a drop.
    pub(super) recovered: bool,
    /// Attempts it made after a drop, up to the one that opened.
    pub(super) recovery_attempts: u32,
    in_recovery: bool,
}

impl Share {
    fn then(mut self, outcome: Outcome) -> Self {
        if self.in_recovery {
            self.recovery_attempts = self.recovery_attempts.saturating_add(1);
            self.recovered |= outcome != Outcome::NotOpened;
        }
        match outcome {
            Outcome::NotOpened => {}
            Outcome::Kept => self.in_recovery = false,
            Outcome::Dropped => {
                self.dropped = true;
                self.in_recovery = true;
            }
        }
        self
    }
}

/// Rows of one client that may wait for an earlier one. Beyond it the missing row is taken for
/// lost.
const PENDING_MAX: usize = 32;

/// One client: the attempts from its first one on without a gap, folded, and the few that came
/// before an earlier one did.
#[derive(Clone, Debug, Default)]
pub(super) struct Client {
    settled: Share,
    /// First attempt that is not folded into `settled`.
    next: u32,
    /// Sorted by attempt.
    pending: Vec<(u32, Outcome)>,
}

impl Client {
    /// Takes the outcome of an attempt. Each attempt counts once.
    pub(super) fn take(&mut self, attempt: u32, outcome: Outcome) {
        if attempt < self.next {
            return;
        }
        match self.pending.binary_search_by_key(&attempt, |&(pending, _)| pending) {
            Ok(_) => return,
            Err(at) => self.pending.insert(at, (attempt, outcome)),
        }
        let mut settled = 0;
        for &(attempt, outcome) in &self.pending {
            let waiting = self.pending.len() - settled;
            if attempt != self.next && waiting <= PENDING_MAX {
                break;
            }
            self.settled = self.settled.then(outcome);
            self.next = attempt.saturating_add(1);
            settled += 1;
        }
        self.pending.drain(..settled);
    }

    /// The numbers, as if the rows that are still missing did not exist.
    pub(super) fn share(&self) -> Share {
        self.pending.iter().fold(self.settled, |share, &(_, outcome)| share.then(outcome))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Outcome::{Dropped, Kept, NotOpened};
    use super::*;

    fn share_of(rows: impl IntoIterator<Item = (u32, Outcome)>) -> (bool, bool, u32) {
        let mut client = Client::default();
        rows.into_iter().for_each(|(attempt, outcome)| client.take(attempt, outcome));
        let share = client.share();
        (share.dropped, share.recovered, share.recovery_attempts)
    }

    fn in_order(outcomes: &[Outcome]) -> (bool, bool, u32) {
        share_of((0..).zip(outcomes.iter().copied()))
    }

    #[test]
    fn attempts_after_a_drop_are_recovery_until_open_again() {
        assert_eq!(in_order(&[]), (false, false, 0));
        assert_eq!(in_order(&[NotOpened, NotOpened, Kept]), (false, false, 0));
        assert_eq!(in_order(&[Dropped]), (true, false, 0));
        assert_eq!(in_order(&[Dropped, NotOpened, NotOpened]), (true, false, 2));
        assert_eq!(in_order(&[Dropped, NotOpened, Kept]), (true, true, 2));
        assert_eq!(in_order(&[Dropped, Kept, Kept, NotOpened]), (true, true, 1));
        assert_eq!(in_order(&[Kept, Dropped, Dropped, NotOpened]), (true, true, 2));
    }

    #[test]
    fn a_lost_row_is_given_up_in_the_end() {
        let rows =
            (1..200).map(|attempt| (attempt, if attempt == 1 { Dropped } else { NotOpened }));
        let mut client = Client::default();
        rows.for_each(|(attempt, outcome)| client.take(attempt, outcome));
        assert!(client.pending.len() <= PENDING_MAX);
        assert_eq!(client.share().recovery_attempts, 198);
    }

    fn outcomes() -> impl Strategy<Value = Vec<Outcome>> {
        proptest::collection::vec(prop_oneof![Just(NotOpened), Just(Kept), Just(Dropped)], 0..30)
    }

    proptest! {
        #[test]
        fn the_order_of_rows_does_not_matter(
            (outcomes, shuffled) in outcomes().prop_flat_map(|outcomes| {
                let rows: Vec<(u32, Outcome)> = (0..).zip(outcomes.iter().copied()).collect();
                (Just(outcomes), Just(rows).prop_shuffle())
            }),
            again in any::<proptest::sample::Index>(),
        ) {
            let twice = shuffled.get(again.index(shuffled.len().max(1))).copied();
            let rows = shuffled.into_iter().chain(twice);
            prop_assert_eq!(share_of(rows), in_order(&outcomes));
        }
    }
}
