//! How clients come back, in tenths of a second: the shape of a reconnect storm.

use std::collections::BTreeMap;

use crate::event::LedgerRow;

/// Width of a slot: that of the storm figures (scenarios, 4.3).
pub const TENTH_NS: u64 = 100_000_000;

/// Attempts after each client's first one, by the tenths of a second in which the clients' policies
/// wanted them, and those that opened, by when they did. Slots count from the run's epoch. At most
/// one entry per tenth in which something happened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Storm {
    attempts: BTreeMap<u64, u64>,
    opens: BTreeMap<u64, u64>,
}

/// The busiest slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peak {
    /// Its beginning, in nanoseconds since the epoch.
    pub at_ns: u64,
    /// Attempts in it.
    pub attempts: u64,
}

/// A storm as a curve of equal steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Curve {
    /// Beginning of the first step, in nanoseconds since the epoch.
    pub from_ns: u64,
    /// Width of a step, a multiple of [`TENTH_NS`].
    pub step_ns: u64,
    /// Attempts in each step.
    pub attempts: Vec<u64>,
    /// Attempts that opened in each step.
    pub opens: Vec<u64>,
}

impl Storm {
    /// Takes a row in; rows may come in any order. A client's first attempt is none of a storm.
    pub fn take(&mut self, row: &LedgerRow) {
        if row.attempt.attempt == 0 {
            return;
        }
        *self.attempts.entry(row.client.planned_ns / TENTH_NS).or_default() += 1;
        if let Some(opened) = row.client.opened_ns {
            *self.opens.entry(opened / TENTH_NS).or_default() += 1;
        }
    }

    /// Adds another one.
    pub fn add(&mut self, other: &Self) {
        for (ours, theirs) in
            [(&mut self.attempts, &other.attempts), (&mut self.opens, &other.opens)]
        {
            for (slot, count) in theirs {
                *ours.entry(*slot).or_default() += count;
            }
        }
    }

    /// The busiest slot, the first of equals; `None` where nobody came back.
    #[must_use]
    pub fn peak(&self) -> Option<Peak> {
        let slots = self.attempts.iter().map(|(&slot, &attempts)| (attempts, slot));
        let (attempts, slot) =
            slots.max_by_key(|&(attempts, slot)| (attempts, std::cmp::Reverse(slot)))?;
        Some(Peak { at_ns: slot * TENTH_NS, attempts })
    }

    /// From the first attempt to the last attempt or open, in at most `steps` steps.
    #[must_use]
    pub fn curve(&self, steps: usize) -> Curve {
        let ends = [&self.attempts, &self.opens].map(BTreeMap::last_key_value);
        let last = ends.into_iter().flatten().map(|(&slot, _)| slot).max();
        let (Some((&first, _)), Some(last)) = (self.attempts.first_key_value(), last) else {
            return Curve { step_ns: TENTH_NS, ..Curve::default() };
        };
        // Times are rounded down: an open is never before its attempt.
        let slots = last.saturating_sub(first) + 1;
        let width = slots.div_ceil(u64::try_from(steps.max(1)).unwrap_or(u64::MAX));
        let count = usize::try_from(slots.div_ceil(width)).unwrap_or(steps);
        let binned = |of: &BTreeMap<u64, u64>| {
            let mut all = vec![0; count];
            for (slot, number) in of {
                let step = usize::try_from(slot.saturating_sub(first) / width).unwrap_or(count);
                if let Some(step) = all.get_mut(step) {
                    *step += number;
                }
            }
            all
        };
        Curve {
            from_ns: first * TENTH_NS,
            step_ns: width * TENTH_NS,
            attempts: binned(&self.attempts),
            opens: binned(&self.opens),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn storm(attempts: &[(u64, u64)], opens: &[(u64, u64)]) -> Storm {
        let sum = |of: &[(u64, u64)]| {
            let mut all = BTreeMap::new();
            of.iter().for_each(|(slot, count)| *all.entry(*slot).or_default() += count);
            all
        };
        Storm { attempts: sum(attempts), opens: sum(opens) }
    }

    #[test]
    fn the_first_of_equal_peaks_is_told() {
        let peak = storm(&[(40, 7), (50, 9), (60, 9)], &[]).peak();
        assert_eq!(peak, Some(Peak { at_ns: 50 * TENTH_NS, attempts: 9 }));
        assert_eq!(Storm::default().peak(), None);
    }

    #[test]
    fn nobody_comes_back_in_no_steps() {
        assert_eq!(Storm::default().curve(10).attempts, [0_u64; 0]);
    }

    proptest! {
        #[test]
        fn a_curve_keeps_every_attempt_in_few_steps(
            attempts in proptest::collection::vec((0_u64..5_000, 1_u64..9), 1..60),
            late in proptest::collection::vec((0_u64..50, 1_u64..9), 0..60),
            steps in 1_usize..700,
        ) {
            let first = attempts.iter().map(|(slot, _)| *slot).min().unwrap_or(0);
            let opens: Vec<_> = late.iter().map(|(slot, count)| (first + slot, *count)).collect();
            let storm = storm(&attempts, &opens);
            let curve = storm.curve(steps);
            prop_assert!(curve.attempts.len() <= steps);
            prop_assert_eq!(curve.opens.len(), curve.attempts.len());
            let sum = |of: &BTreeMap<u64, u64>| of.values().sum::<u64>();
            prop_assert_eq!(curve.attempts.iter().sum::<u64>(), sum(&storm.attempts));
            prop_assert_eq!(curve.opens.iter().sum::<u64>(), sum(&storm.opens));
            prop_assert_eq!(curve.from_ns, first * TENTH_NS);
        }

        #[test]
        fn storms_add_up(
            one in proptest::collection::vec((0_u64..50, 1_u64..9), 0..20),
            other in proptest::collection::vec((0_u64..50, 1_u64..9), 0..20),
        ) {
            let mut sum = storm(&one, &other);
            sum.add(&storm(&other, &one));
            let both: Vec<_> = one.iter().chain(&other).copied().collect();
            prop_assert_eq!(sum, storm(&both, &both));
        }
    }
}
