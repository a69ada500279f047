//! Which `ackId`s of a connection have already succeeded.

use std::collections::VecDeque;

/// Successes remembered per connection, as in Microsoft's emulator (client-protocols facts, 3.3).
pub const REMEMBERED_MAX: u64 = 1_000;

/// The last [`REMEMBERED_MAX`] successful `ackId`s, as runs in order of success: clients count
/// upwards, so one run is the usual length.
#[derive(Debug, Default)]
pub struct AckHistory {
    runs: VecDeque<Run>,
    remembered: u64,
}

/// `first`, `first + 1`, … `first + length - 1`, in that order.
#[derive(Debug)]
struct Run {
    first: u64,
    length: u64,
}

impl AckHistory {
    /// Whether the id has succeeded (as far back as is remembered).
    #[must_use]
    pub fn contains(&self, id: u64) -> bool {
        self.runs.iter().any(|run| id >= run.first && id - run.first < run.length)
    }

    /// Remembers a success; the oldest beyond the bound is forgotten.
    pub fn insert(&mut self, id: u64) {
        match self.runs.back_mut() {
            Some(last) if last.first.checked_add(last.length) == Some(id) => last.length += 1,
            _ => self.runs.push_back(Run { first: id, length: 1 }),
        }
        self.remembered += 1;
        if self.remembered > REMEMBERED_MAX {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.runs.front_mut() else { return };
        self.remembered -= 1;
        if oldest.length > 1 {
            oldest.first += 1;
            oldest.length -= 1;
        } else {
            self.runs.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn remembers_exactly_the_last_thousand(
            ids in proptest::collection::vec(prop_oneof![0_u64..2_000, Just(u64::MAX)], 1..3_000),
        ) {
            let mut history = AckHistory::default();
            let mut model: Vec<u64> = Vec::new();
            for id in ids {
                let known = model.iter().rev().take(1_000).any(|&known| known == id);
                prop_assert_eq!(history.contains(id), known);
                if !known {
                    history.insert(id);
                    model.push(id);
                }
            }
        }
    }

    #[test]
    fn ascending_ids_cost_one_run() {
        let mut history = AckHistory::default();
        (1..=5_000).for_each(|id| history.insert(id));
        assert_eq!(history.runs.len(), 1);
        assert!(!history.contains(4_000) && history.contains(4_001) && history.contains(5_000));
    }
}
