//! The sending loop of a shard: one heap of planned sends, one loop, however many senders.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::rc::Rc;
use std::time::Duration;

use tokio::time::Instant;

use super::fleet::Fleet;
use super::layout::Layout;
use crate::pace;
use crate::scenario::Plan;
use crate::scenario::plan::Senders;

/// The next planned message of one sender. Ordered by time, then by place in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Planned {
    at: Duration,
    traffic: usize,
    position: u32,
    sequence: u32,
}

/// The planned sends of one shard.
#[derive(Debug, Default)]
pub(super) struct Sends {
    heap: BinaryHeap<Reverse<Planned>>,
}

impl Sends {
    /// The first message of every sender that lives on the shard.
    pub(super) fn of_shard(plan: &Plan, layout: &Layout, shard: usize) -> Self {
        let mut sends = Self::default();
        for (traffic, settings) in plan.traffic.iter().enumerate() {
            let Senders::Clients { population, first, count } = settings.from else { continue };
            for position in 0..count {
                if layout.shard_of(population, first + position) == shard {
                    sends.plan_next(plan, traffic, position, 1);
                }
            }
        }
        sends
    }

    /// How many of the senders have a last message.
    pub(super) fn bounded(&self, plan: &Plan) -> u64 {
        let bounded = |Reverse(planned): &&Reverse<Planned>| is_bounded(plan, planned.traffic);
        self.heap.iter().filter(bounded).count() as u64
    }

    /// When the next message is due, counted from the epoch.
    fn next_at(&self) -> Option<Duration> {
        self.heap.peek().map(|Reverse(planned)| planned.at)
    }

    /// Takes the next message if it is due by `elapsed`, and plans its sender's next one. The flag
    /// says whether the sender has another.
    fn take_due(&mut self, plan: &Plan, elapsed: Duration) -> Option<(Planned, Another)> {
        if self.next_at()? > elapsed {
            return None;
        }
        let Reverse(due) = self.heap.pop()?;
        let another = self.plan_next(plan, due.traffic, due.position, due.sequence + 1);
        Some((due, another))
    }

    fn plan_next(&mut self, plan: &Plan, traffic: usize, position: u32, sequence: u32) -> Another {
        match pace::send_instant(&plan.traffic[traffic], position, sequence) {
            Some(at) => {
                self.heap.push(Reverse(Planned { at, traffic, position, sequence }));
                Another::Planned
            }
            None => Another::None,
        }
    }
}

/// Whether a sender has another message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Another {
    Planned,
    None,
}

/// Whether a traffic ends by itself.
pub(super) fn is_bounded(plan: &Plan, traffic: usize) -> bool {
    plan.traffic[traffic].until.is_some()
}

/// Hands every due message to its client, at its planned instant. A loop that comes late hands over
/// everything that has come due since, each with the instant it was planned for.
pub(super) async fn send(fleet: Rc<Fleet>, mut sends: Sends) {
    let plan = std::sync::Arc::clone(&fleet.shard.plan);
    let epoch = fleet.shard.epoch;
    while let Some(at) = sends.next_at() {
        // A timer of its own: the pacer's are woken by a task that queues behind the clients.
        tokio::time::sleep_until(epoch + at).await;
        let elapsed = Instant::now().saturating_duration_since(epoch);
        while let Some((due, another)) = sends.take_due(&plan, elapsed) {
            if let Senders::Clients { population, first, .. } = plan.traffic[due.traffic].from {
                let key = (population, first + due.position);
                fleet.publish(key, due.traffic, epoch + due.at);
            }
            if another == Another::None && is_bounded(&plan, due.traffic) {
                fleet.senders_done(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use crate::engine::testkit;

    /// Everything due by `elapsed`, in order: when, whose traffic, which sender, which message.
    fn due(sends: &mut Sends, plan: &Plan, elapsed: Duration) -> Vec<(u128, usize, u32, u32)> {
        let mut out = Vec::new();
        while let Some((planned, _)) = sends.take_due(plan, elapsed) {
            let Planned { at, traffic, position, sequence } = planned;
            out.push((at.as_millis(), traffic, position, sequence));
        }
        out
    }

    #[test]
    fn a_loop_that_comes_late_hands_over_every_message_at_its_own_instant() {
        let mut plan = testkit::plan(&[2]);
        plan.traffic = vec![testkit::traffic(0, 1, 10.0), testkit::traffic(1, 1, 5.0)];
        let layout = Layout::new(&plan, 1);
        let mut sends = Sends::of_shard(&plan, &layout, 0);
        assert_eq!(sends.bounded(&plan), 0);
        assert_eq!(due(&mut sends, &plan, Duration::ZERO), [(0, 0, 0, 1), (0, 1, 0, 1)]);
        assert_eq!(sends.next_at(), Some(Duration::from_millis(100)));
        let late = due(&mut sends, &plan, Duration::from_millis(350));
        assert_eq!(late, [(100, 0, 0, 2), (200, 0, 0, 3), (200, 1, 0, 2), (300, 0, 0, 4)]);
    }

    #[test]
    fn bounded_senders_have_a_last_message() {
        let mut plan = testkit::plan(&[3]);
        let mut traffic = testkit::traffic(0, 3, 10.0);
        traffic.until = Some(Duration::from_millis(150));
        plan.traffic = vec![traffic];
        let bounded = |shard, shards| {
            Sends::of_shard(&plan, &Layout::new(&plan, shards), shard).bounded(&plan)
        };
        assert_eq!((bounded(0, 1), bounded(0, 2), bounded(1, 2)), (3, 2, 1));
        let mut sends = Sends::of_shard(&plan, &Layout::new(&plan, 1), 0);
        let mut last = 0;
        while let Some((_, another)) = sends.take_due(&plan, Duration::from_secs(1)) {
            last += u32::from(another == Another::None);
        }
        assert_eq!(last, 3);
        assert_eq!(sends.next_at(), None);
    }
}
