//! When bytes under way arrive: one heap for the whole network, one task that delivers what is due.

use std::cell::{Cell, RefCell};
use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::rc::{Rc, Weak};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::wire::{Side, Wire};

/// What happens to a wire at an instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Happening {
    /// The next of what is under way from this side arrives.
    Arrival(Side),
    /// Somebody looks whether anything has passed lately.
    IdleCheck,
}

/// An entry of the heap. The earliest comes first, then the oldest connection; there is at most one
/// entry of a kind for each connection.
struct Entry {
    at_ns: u64,
    /// Number of the wire: its place in the order of connecting.
    number: u64,
    what: Happening,
    /// Weak: what happens to a wire without ends is of no interest.
    wire: Weak<Wire>,
}

impl Entry {
    const fn key(&self) -> (u64, u64, Happening) {
        (self.at_ns, self.number, self.what)
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Entry {}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Entry {
    /// Turned round: the heap's largest is the first.
    fn cmp(&self, other: &Self) -> Ordering {
        other.key().cmp(&self.key())
    }
}

/// Everything that is to happen to the wires of a network.
pub(super) struct Schedule {
    start: Instant,
    heap: RefCell<BinaryHeap<Entry>>,
    /// When the task will wake by itself, in nanoseconds; none while it has nothing to wait for.
    armed: Cell<Option<u64>>,
    earlier: Rc<Notify>,
}

impl std::fmt::Debug for Schedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Schedule").field("armed", &self.armed).finish_non_exhaustive()
    }
}

impl Drop for Schedule {
    fn drop(&mut self) {
        self.earlier.notify_one();
    }
}

impl Schedule {
    /// An empty schedule, and its task on the current `LocalSet`; the task ends with the schedule.
    pub(super) fn start() -> Rc<Self> {
        let schedule = Rc::new(Self {
            start: Instant::now(),
            heap: RefCell::default(),
            armed: Cell::new(None),
            earlier: Rc::default(),
        });
        tokio::task::spawn_local(run(Rc::downgrade(&schedule), Rc::clone(&schedule.earlier)));
        schedule
    }

    /// Nanoseconds since the network began.
    pub(super) fn now_ns(&self) -> u64 {
        let since = Instant::now().saturating_duration_since(self.start);
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    }

    /// Something is to happen.
    pub(super) fn add(&self, at_ns: u64, wire: &Rc<Wire>, what: Happening) {
        let entry = Entry { at_ns, number: wire.number(), what, wire: Rc::downgrade(wire) };
        self.heap.borrow_mut().push(entry);
        if self.armed.get().is_none_or(|armed| at_ns < armed) {
            self.armed.set(Some(at_ns));
            self.earlier.notify_one();
        }
    }

    /// Takes out the first entry that is due.
    fn pop_due(&self, now_ns: u64) -> Option<Entry> {
        let mut heap = self.heap.borrow_mut();
        heap.peek().filter(|entry| entry.at_ns <= now_ns)?;
        heap.pop()
    }

    fn first(&self) -> Option<u64> {
        self.heap.borrow().peek().map(|entry| entry.at_ns)
    }
}

/// Lets happen what is due, for as long as the schedule lives.
async fn run(schedule: Weak<Schedule>, earlier: Rc<Notify>) {
    loop {
        let Some(known) = schedule.upgrade() else { return };
        let now_ns = known.now_ns();
        while let Some(entry) = known.pop_due(now_ns) {
            if let Some(wire) = entry.wire.upgrade() {
                wire.happen(entry.what, entry.at_ns);
            }
        }
        let next = known.first();
        known.armed.set(next);
        let until = next.map(|at_ns| known.start + Duration::from_nanos(at_ns));
        drop(known);
        match until {
            None => earlier.notified().await,
            Some(until) => tokio::select! {
                biased;
                () = earlier.notified() => {}
                () = sleep_until(until) => {}
            },
        }
    }
}
