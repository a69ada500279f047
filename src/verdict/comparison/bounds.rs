//! How far a figure may be from its base. Every bound has a name, and what it rests on.
//!
//! Counts of a ledger and shares of it repeat; times do not: identical code differs by 10 to 30 %
//! on one machine and by more than twice between hosted ones. So counts are judged strictly, and
//! times by a tripwire that only a real change trips.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How far a figure may be from its base. The wider of the two, share and floor, counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Rule {
    /// Not at all.
    Equal,
    /// Up to so much above.
    NotMore { share: f64, floor: f64 },
    /// Up to so much below.
    NotLess { share: f64, floor: f64 },
    /// Up to so much either way.
    Near { share: f64, floor: f64 },
}

/// Rows per category, messages to deliver, in the virtual world and of clients that connect once:
/// the same plan gives the same numbers.
pub(super) const EXACT: Rule = Rule::Equal;
/// Rows per category of clients that connect again, over sockets: how often depends on timing. A
/// category that comes or goes is a regression all the same.
pub(super) const REPEATED: Rule = Rule::Near { share: 0.10, floor: 2.0 };
/// Messages to deliver, over sockets: a run ends when everything is decided, a little earlier or
/// later.
pub(super) const TO_DELIVER: Rule = Rule::Near { share: 0.10, floor: 10.0 };
/// What must not grow: messages lost in the virtual world or where none was, those delivered twice
/// or out of order anywhere.
pub(super) const NOT_ONE_MORE: Rule = Rule::NotMore { share: 0.0, floor: 0.0 };
/// Messages lost over sockets where the base lost some: what stood in queues and kernels when their
/// receivers were dropped moves by a few.
pub(super) const LOST_WITH_DROPS: Rule = Rule::NotMore { share: 0.10, floor: 10.0 };
/// Share of the messages that were delivered: one percentage point down.
pub(super) const DELIVERED: Rule = Rule::NotLess { share: 0.0, floor: 0.01 };
/// The same over sockets where the base lost some: how much a receiver got before it was dropped
/// moves with what it missed. Five percentage points down.
pub(super) const DELIVERED_WITH_DROPS: Rule = Rule::NotLess { share: 0.0, floor: 0.05 };
/// Attempts per client.
pub(super) const AMPLIFICATION: Rule = Rule::NotMore { share: 0.10, floor: 0.05 };
/// Connections opened per client.
pub(super) const OPENS: Rule = Rule::Near { share: 0.10, floor: 0.05 };
/// Share of the attempts that were refused or failed: one percentage point up.
pub(super) const REFUSED: Rule = Rule::NotMore { share: 0.0, floor: 0.01 };
/// Share of the dropped clients that came back: one percentage point down.
pub(super) const RECOVERED: Rule = Rule::NotLess { share: 0.0, floor: 0.01 };
/// Medians on a machine: twice as much, and 5 ms more.
const MEDIAN: Rule = Rule::NotMore { share: 1.0, floor: 5_000.0 };
/// p95 and p99 on a machine: three times as much, and 20 ms more.
pub(super) const TAIL: Rule = Rule::NotMore { share: 2.0, floor: 20_000.0 };
/// Simulated times: a tenth, and two ticks of the simulated clock.
pub(super) const SIMULATED: Rule = Rule::NotMore { share: 0.10, floor: 2_000.0 };

/// Medians on a machine, whose base has this p95: [`MEDIAN`], and past that p95. Where times are
/// spread wide, as those of a burst are, a median moves far without meaning anything.
pub(super) fn median(p50_us: u64, p95_us: Option<u64>) -> Rule {
    let Rule::NotMore { share, floor } = MEDIAN else { return MEDIAN };
    let spread = p95_us.unwrap_or(p50_us).saturating_sub(p50_us);
    Rule::NotMore { share, floor: floor.max(spread as f64) }
}

/// Where a figure had to be.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// As the base.
    Equal,
    /// In the figure's own unit.
    AtMost(f64),
    /// In the figure's own unit.
    AtLeast(f64),
    /// In the figure's own unit.
    Between(f64, f64),
}

/// On which side of its bound a figure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Same,
    Within,
    Better,
    Outside,
}

/// Differences below this are of arithmetic, not of runs.
const EPSILON: f64 = 1e-9;

impl Rule {
    /// Where a figure must be whose base is this.
    pub fn bound(self, base: f64) -> Bound {
        let above = |share: f64, floor: f64| base + (base * share).max(floor);
        let below = |share: f64, floor: f64| (base - (base * share).max(floor)).max(0.0);
        match self {
            Self::Equal => Bound::Equal,
            Self::NotMore { share, floor } => Bound::AtMost(above(share, floor)),
            Self::NotLess { share, floor } => Bound::AtLeast(below(share, floor)),
            Self::Near { share, floor } => Bound::Between(below(share, floor), above(share, floor)),
        }
    }

    /// On which side a figure is. It is better where the base would break the bound around it.
    pub fn side(self, base: f64, run: f64) -> Side {
        if (base - run).abs() <= EPSILON {
            return Side::Same;
        }
        match (self.bound(base), self.bound(run)) {
            (Bound::AtMost(limit), _) if run > limit + EPSILON => Side::Outside,
            (Bound::AtMost(_), Bound::AtMost(mirrored)) if base > mirrored + EPSILON => {
                Side::Better
            }
            (Bound::AtLeast(limit), _) if run < limit - EPSILON => Side::Outside,
            (Bound::AtLeast(_), Bound::AtLeast(mirrored)) if base < mirrored - EPSILON => {
                Side::Better
            }
            (Bound::Between(from, to), _) if run < from - EPSILON || run > to + EPSILON => {
                Side::Outside
            }
            (Bound::Equal, _) => Side::Outside,
            _ => Side::Within,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_wider_of_share_and_floor_counts() {
        assert_eq!(MEDIAN.bound(1_000.0), Bound::AtMost(6_000.0));
        assert_eq!(MEDIAN.bound(50_000.0), Bound::AtMost(100_000.0));
        assert_eq!(REPEATED.bound(5.0), Bound::Between(3.0, 7.0));
        assert_eq!(REPEATED.bound(500.0), Bound::Between(450.0, 550.0));
        assert_eq!(REPEATED.bound(1.0), Bound::Between(0.0, 3.0));
    }

    #[test]
    fn a_median_may_move_as_far_as_its_base_is_spread() {
        assert_eq!(median(5_000, Some(90_000)).bound(5_000.0), Bound::AtMost(90_000.0));
        assert_eq!(median(50_000, Some(90_000)).bound(50_000.0), Bound::AtMost(100_000.0));
        assert_eq!(median(5_000, Some(6_000)).bound(5_000.0), Bound::AtMost(10_000.0));
        assert_eq!(median(5_000, None).bound(5_000.0), Bound::AtMost(10_000.0));
    }

    #[test]
    fn a_figure_is_judged_by_the_side_of_its_bound() {
        for (rule, base, run, side) in [
            (EXACT, 20.0, 20.0, Side::Same),
            (EXACT, 20.0, 21.0, Side::Outside),
            (EXACT, 20.0, 19.0, Side::Outside),
            (NOT_ONE_MORE, 0.0, 1.0, Side::Outside),
            (NOT_ONE_MORE, 4.0, 3.0, Side::Better),
            (LOST_WITH_DROPS, 960.0, 1_056.0, Side::Within),
            (LOST_WITH_DROPS, 960.0, 1_057.0, Side::Outside),
            (DELIVERED, 1.0, 0.99, Side::Within),
            (DELIVERED, 1.0, 0.98, Side::Outside),
            (DELIVERED, 0.9, 0.95, Side::Better),
            (MEDIAN, 10_000.0, 20_000.0, Side::Within),
            (MEDIAN, 10_000.0, 20_001.0, Side::Outside),
            (MEDIAN, 20_001.0, 10_000.0, Side::Better),
            (MEDIAN, 1_000.0, 5_900.0, Side::Within),
            (OPENS, 1.0, 0.89, Side::Outside),
        ] {
            assert_eq!(rule.side(base, run), side, "{rule:?} {base} {run}");
        }
    }

    proptest! {
        #[test]
        fn the_base_itself_is_never_outside(base in 0.0..1e12) {
            for rule in [EXACT, REPEATED, TO_DELIVER, NOT_ONE_MORE, LOST_WITH_DROPS, DELIVERED,
                DELIVERED_WITH_DROPS,
                AMPLIFICATION, OPENS, REFUSED, RECOVERED, MEDIAN, TAIL, SIMULATED]
            {
                prop_assert_eq!(rule.side(base, base), Side::Same);
            }
        }

        #[test]
        fn worse_one_way_is_better_the_other(base in 0.0..1e9, run in 0.0..1e9) {
            for rule in [NOT_ONE_MORE, LOST_WITH_DROPS, AMPLIFICATION, MEDIAN, TAIL, SIMULATED] {
                let is_worse = rule.side(base, run) == Side::Outside;
                prop_assert_eq!(rule.side(run, base) == Side::Better, is_worse);
            }
        }
    }
}
