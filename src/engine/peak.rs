//! How many connections were open at once, exactly, over all shards.

/// When connections were open. 16 bytes per connection.
#[derive(Debug, Default)]
pub(super) struct OpenSpans {
    opened: Vec<u64>,
    ended: Vec<u64>,
}

impl OpenSpans {
    /// A connection was open from `opened_ns` until `ended_ns`.
    pub(super) fn add(&mut self, opened_ns: u64, ended_ns: u64) {
        self.opened.push(opened_ns);
        self.ended.push(ended_ns.max(opened_ns));
    }

    /// The most that were open at once; one that ends as another opens is not there with it.
    pub(super) fn peak(mut self) -> u64 {
        self.opened.sort_unstable();
        self.ended.sort_unstable();
        let mut gone = 0;
        let mut peak = 0;
        for (begun, opened) in (1_u64..).zip(&self.opened) {
            while self.ended.get(gone).is_some_and(|ended| ended <= opened) {
                gone += 1;
            }
            // A connection of no duration has gone by the instant it came.
            peak = peak.max(begun.saturating_sub(gone as u64));
        }
        peak
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn agrees_with_counting_at_every_instant(
            spans in proptest::collection::vec((0_u64..30, 1_u64..20), 0..40)
        ) {
            let mut open = OpenSpans::default();
            for &(from, lasting) in &spans {
                open.add(from, from + lasting);
            }
            let at = |instant: u64| {
                let is_open = |&&(from, lasting): &&(u64, u64)| {
                    from <= instant && instant < from + lasting
                };
                spans.iter().filter(is_open).count() as u64
            };
            prop_assert_eq!(open.peak(), (0..60).map(at).max().unwrap_or(0));
        }
    }
}
