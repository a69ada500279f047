//! What every traffic came to, and in which stretch it was busiest.

use std::time::Duration;

/// A stretch that counts as sustained, where the traffic lasts for as long.
pub const STRETCH: Duration = Duration::from_secs(10);

/// Messages that a stretch should hold, so that one more or less changes little.
const STRETCH_MESSAGES: u64 = 10;

/// Pieces of the timeline told apart, at most: of a second each up to 17 minutes, of two up to 34,
/// and so on.
const BINS_MAX: usize = 1_024;

/// The shortest piece, in nanoseconds.
const BIN_NS: u64 = 1_000_000_000;

/// Messages of one piece of the timeline.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bin {
    sent: u64,
    received: u64,
}

impl Bin {
    fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.received += other.received;
    }
}

/// Messages of one traffic, by the instant at which they were sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Course {
    /// A bin is `BIN_NS << doublings` long.
    doublings: u32,
    bins: Vec<Bin>,
}

impl Course {
    fn add(&mut self, sent_ns: u64, what: Bin) {
        while self.bin_of(sent_ns) >= BINS_MAX {
            self.double();
        }
        let at = self.bin_of(sent_ns);
        if self.bins.len() <= at {
            self.bins.resize(at + 1, Bin::default());
        }
        self.bins[at].add(what);
    }

    fn bin_of(&self, at_ns: u64) -> usize {
        usize::try_from((at_ns / BIN_NS) >> self.doublings).unwrap_or(usize::MAX)
    }

    /// Two bins become one.
    fn double(&mut self) {
        let pair = |two: &[Bin]| {
            two.iter().fold(Bin::default(), |mut sum, one| {
                sum.add(*one);
                sum
            })
        };
        self.bins = self.bins.chunks(2).map(pair).collect();
        self.doublings += 1;
    }

    fn merge(&mut self, other: &Self) {
        let mut other = other.clone();
        while self.doublings < other.doublings {
            self.double();
        }
        while other.doublings < self.doublings {
            other.double();
        }
        if self.bins.len() < other.bins.len() {
            self.bins.resize(other.bins.len(), Bin::default());
        }
        for (own, other) in self.bins.iter_mut().zip(other.bins) {
            own.add(other);
        }
    }

    fn whole(&self) -> Bin {
        self.bins.iter().fold(Bin::default(), |mut sum, one| {
            sum.add(*one);
            sum
        })
    }

    /// The first bin in which something was sent, and the one after the last.
    fn span(&self) -> Option<(usize, usize)> {
        let is_used = |bin: &Bin| *bin != Bin::default();
        let first = self.bins.iter().position(is_used)?;
        Some((first, self.bins.iter().rposition(is_used)? + 1))
    }
}

/// Messages of every traffic of a plan; one set per thread, merged exactly.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrafficCounts(Vec<Course>);

/// The stretch in which a traffic was busiest: in which most of its messages arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busiest {
    /// Its start, in nanoseconds since the run's epoch.
    pub from_ns: u64,
    /// How long it is, in nanoseconds.
    pub lasting_ns: u64,
    /// Messages sent in it.
    pub sent: u64,
    /// How often they arrived, whenever that was.
    pub received: u64,
}

impl TrafficCounts {
    /// A message of the traffic was sent.
    pub fn sent(&mut self, traffic: usize, sent_ns: u64) {
        self.course(traffic).add(sent_ns, Bin { sent: 1, received: 0 });
    }

    /// A message of the traffic that was sent then has arrived somewhere.
    pub fn received(&mut self, traffic: usize, sent_ns: u64) {
        self.course(traffic).add(sent_ns, Bin { sent: 0, received: 1 });
    }

    fn course(&mut self, traffic: usize) -> &mut Course {
        if self.0.len() <= traffic {
            self.0.resize_with(traffic + 1, Course::default);
        }
        &mut self.0[traffic]
    }

    /// Adds another set, exactly.
    pub fn merge(&mut self, other: &Self) {
        for (traffic, course) in other.0.iter().enumerate() {
            self.course(traffic).merge(course);
        }
    }

    /// Messages of a traffic: how many were sent, and how often they arrived.
    #[must_use]
    pub fn whole(&self, traffic: usize) -> (u64, u64) {
        let whole = self.0.get(traffic).map(Course::whole).unwrap_or_default();
        (whole.sent, whole.received)
    }

    /// The stretch in which a traffic was busiest; `None` when nothing was sent.
    ///
    /// It has [`STRETCH`], or what a traffic that sends seldom needs for ten messages; but neither
    /// the first nor the last second of all traffic, in which some senders have not begun or have
    /// ended, where there are others.
    #[must_use]
    pub fn busiest(&self, traffic: usize) -> Option<Busiest> {
        let doublings = self.0.iter().map(|course| course.doublings).max()?;
        let alike = |course: &Course| {
            let mut course = course.clone();
            (course.doublings..doublings).for_each(|_| course.double());
            course
        };
        let spans = self.0.iter().filter_map(|course| alike(course).span());
        let (from, to) = spans.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)))?;
        let course = alike(self.0.get(traffic)?);
        let (own_from, own_to) = course.span()?;
        let sent = course.whole().sent;
        let bin_ns = BIN_NS << doublings;
        let stretch = u64::try_from(STRETCH.as_nanos()).unwrap_or(u64::MAX) / bin_ns;
        let enough = ((own_to - own_from) as u64 * STRETCH_MESSAGES).div_ceil(sent.max(1));
        let inner = (to - from).saturating_sub(2).max(1);
        let length = match sent {
            // Too few to tell a rate by any stretch but the whole one.
            0..STRETCH_MESSAGES => to - from,
            _ => usize::try_from(stretch.max(enough)).unwrap_or(inner).clamp(1, inner),
        };
        let bin = |at: usize| course.bins.get(at).copied().unwrap_or_default();
        let mut up_to = vec![Bin::default()];
        for at in from..to {
            let mut sum = bin(at);
            sum.add(up_to[at - from]);
            up_to.push(sum);
        }
        let stretches = up_to.iter().zip(&up_to[length..]).map(|(before, up_to)| Bin {
            sent: up_to.sent - before.sent,
            received: up_to.received - before.received,
        });
        // The earliest of equals.
        let most = stretches.enumerate().rev().max_by_key(|(_, sum)| (sum.received, sum.sent));
        let (begin, Bin { sent, received }) = most?;
        Some(Busiest {
            from_ns: (from + begin) as u64 * bin_ns,
            lasting_ns: length as u64 * bin_ns,
            sent,
            received,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use proptest::prelude::*;

    use super::*;

    const MS: u64 = 1_000_000;

    /// Messages each `every_ms` from `from_ms` until before `until_ms`, each of which arrives so
    /// often.
    fn course(
        counts: &mut TrafficCounts,
        traffic: usize,
        (from_ms, until_ms, every_ms): (u64, u64, u64),
        receivers: u64,
    ) {
        let mut at = from_ms;
        while at < until_ms {
            counts.sent(traffic, at * MS);
            (0..receivers).for_each(|_| counts.received(traffic, at * MS));
            at += every_ms;
        }
    }

    fn told(busiest: Busiest) -> (u64, u64, u64, u64) {
        let s = |ns: u64| ns / BIN_NS;
        (s(busiest.from_ns), s(busiest.lasting_ns), busiest.sent, busiest.received)
    }

    #[test]
    fn ramp_and_drain_are_not_in_the_busiest_ten_seconds() {
        let mut counts = TrafficCounts::default();
        // 4 a second for 30 s to 2 receivers, then 20 a second for 12 s to 3, then 1 a second.
        course(&mut counts, 0, (0, 30_000, 250), 2);
        course(&mut counts, 0, (30_000, 42_000, 50), 3);
        course(&mut counts, 0, (42_000, 60_000, 1_000), 3);
        assert_eq!(counts.whole(0), (120 + 240 + 18, 240 + 720 + 54));
        assert_eq!(told(counts.busiest(0).unwrap()), (30, 10, 200, 600));
    }

    #[test]
    fn a_short_traffic_is_counted_without_its_first_and_its_last_second() {
        let mut counts = TrafficCounts::default();
        course(&mut counts, 0, (500, 4_500, 20), 1);
        assert_eq!(told(counts.busiest(0).unwrap()), (1, 3, 150, 150));
        let mut instant = TrafficCounts::default();
        course(&mut instant, 0, (2_100, 2_200, 1), 1);
        assert_eq!(told(instant.busiest(0).unwrap()), (2, 1, 100, 100));
    }

    /// Once a minute is no ten a minute because a stretch of ten seconds has one.
    #[test]
    fn what_is_sent_seldom_is_counted_over_a_longer_stretch() {
        let mut counts = TrafficCounts::default();
        course(&mut counts, 0, (0, 1_000_000, 100), 1);
        course(&mut counts, 1, (0, 960_000, 60_000), 50);
        course(&mut counts, 2, (7_000, 7_001, 1_000), 50);
        let seldom = counts.busiest(1).unwrap();
        let a_minute = seldom.sent as f64 * 60e9 / seldom.lasting_ns as f64;
        assert!((0.95..1.1).contains(&a_minute), "{seldom:?}");
        assert_eq!(told(counts.busiest(2).unwrap()), (0, 1_000, 1, 50), "one in the whole run");
        assert_eq!(counts.busiest(3), None);
    }

    #[test]
    fn a_day_takes_no_more_room_than_a_quarter_of_an_hour() {
        let mut counts = TrafficCounts::default();
        course(&mut counts, 0, (0, 86_400_000, 1_000), 2);
        assert!(counts.0[0].bins.len() <= BINS_MAX);
        assert_eq!(counts.whole(0), (86_400, 172_800));
        let busiest = counts.busiest(0).unwrap();
        assert_eq!(busiest.sent * BIN_NS, busiest.lasting_ns);
        counts.sent(0, u64::MAX);
        assert_eq!(counts.whole(0).0, 86_401);
    }

    proptest! {
        #[test]
        fn merged_sets_are_what_one_set_would_have_counted(
            all in proptest::collection::vec((0_usize..3, 0_u64..4_000_000, any::<bool>()), 0..60),
            split in 0_usize..60,
        ) {
            let of = |some: &[(usize, u64, bool)]| {
                let mut counts = TrafficCounts::default();
                for &(traffic, at_ms, sent) in some {
                    match sent {
                        true => counts.sent(traffic, at_ms * MS),
                        false => counts.received(traffic, at_ms * MS),
                    }
                }
                counts
            };
            let (one, two) = all.split_at(split.min(all.len()));
            let mut merged = of(one);
            merged.merge(&of(two));
            for traffic in 0..3 {
                prop_assert_eq!(merged.whole(traffic), of(&all).whole(traffic));
                prop_assert_eq!(merged.busiest(traffic), of(&all).busiest(traffic));
            }
        }
    }
}
