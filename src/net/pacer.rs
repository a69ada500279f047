//! One pacer per thread over absolute due times, not a timer in every client.
//!
//! A binary heap of (due, order) driven by one task per thread. Waits that are due at the same
//! instant are woken in the order in which they were made (or last reset). Resolution is tokio's
//! millisecond, rounding up; a wait is never ready early.
//!
//! Moving a wait to a later instant costs no heap operation: its entry stays where it is and is
//! moved when it comes up. Entries of waits that were dropped or moved to an earlier instant stay
//! in the heap too, and are swept out once they outnumber the others.

use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// Stale entries that are left alone however few waits there are.
const STALE_MIN: usize = 64;

/// Hands out waits. Cheap to clone; belongs to its thread.
#[derive(Clone)]
pub struct Pacer {
    shared: Rc<Shared>,
}

impl fmt::Debug for Pacer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pacer").field("waits", &self.waits()).finish_non_exhaustive()
    }
}

impl Pacer {
    /// Starts the driving task on the current `LocalSet`; it ends when the last clone and the last
    /// wait are dropped.
    ///
    /// # Panics
    ///
    /// Outside a `LocalSet`.
    #[must_use]
    pub fn start() -> Self {
        let changed = Rc::new(Notify::new());
        let shared = Rc::new(Shared {
            queue: RefCell::new(Queue::default()),
            armed: Cell::new(None),
            changed: Rc::clone(&changed),
        });
        tokio::task::spawn_local(drive(Rc::downgrade(&shared), changed));
        Self { shared }
    }

    /// A wait that is ready at `at`, at once if that is past. Dropping it forgets it.
    #[must_use]
    pub fn until(&self, at: Instant) -> Due {
        let slot = self.shared.queue.borrow_mut().add(at);
        self.shared.note_earliest(at);
        Due { shared: Rc::clone(&self.shared), slot }
    }

    /// Waits that are held, ready or not.
    #[must_use]
    pub fn waits(&self) -> usize {
        let queue = self.shared.queue.borrow();
        queue.slots.len() - queue.free.len()
    }
}

struct Shared {
    queue: RefCell<Queue>,
    /// When the driver will wake by itself; `None` while it has nothing to wait for.
    armed: Cell<Option<Instant>>,
    changed: Rc<Notify>,
}

impl Shared {
    /// Tells the driver of a wait that comes before what it sleeps for.
    fn note_earliest(&self, at: Instant) {
        if self.armed.get().is_none_or(|armed| at < armed) {
            self.armed.set(Some(at));
            self.changed.notify_one();
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.changed.notify_one();
    }
}

/// A place in the heap: earliest first, then in order of making. The order is never used twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    at: Instant,
    order: u64,
    slot: u32,
}

/// A wait.
struct Slot {
    at: Instant,
    order: u64,
    state: SlotState,
}

enum SlotState {
    /// Not held by anybody.
    Free,
    /// Due later; `entry` is the order of its valid entry in the heap.
    Waiting { entry: u64, waker: Option<Waker> },
    /// Its instant has come.
    Ready,
}

#[derive(Default)]
struct Queue {
    heap: BinaryHeap<Reverse<Entry>>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Entries in the heap that no wait refers to.
    stale: usize,
    orders: u64,
}

impl Queue {
    fn add(&mut self, at: Instant) -> u32 {
        let order = self.next_order();
        let wait = Slot { at, order, state: SlotState::Waiting { entry: order, waker: None } };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = wait;
                slot
            }
            None => {
                self.slots.push(wait);
                // Four thousand million waits do not fit into memory.
                u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
            }
        };
        self.heap.push(Reverse(Entry { at, order, slot }));
        slot
    }

    fn next_order(&mut self) -> u64 {
        self.orders += 1;
        self.orders
    }

    /// Frees a wait. The waker is handed out to be dropped outside the borrow: what it drops may be
    /// a wait of this pacer.
    fn remove(&mut self, slot: u32) -> Option<Waker> {
        let waker = self.end_wait(slot, SlotState::Free);
        self.free.push(slot);
        self.sweep();
        waker
    }

    /// Ends a wait ahead of its entry in the heap, which becomes stale.
    fn end_wait(&mut self, slot: u32, state: SlotState) -> Option<Waker> {
        match std::mem::replace(&mut self.slots[slot as usize].state, state) {
            SlotState::Waiting { waker, .. } => {
                self.stale += 1;
                waker
            }
            SlotState::Ready | SlotState::Free => None,
        }
    }

    fn reset(&mut self, slot: u32, at: Instant) {
        let order = self.next_order();
        let wait = &mut self.slots[slot as usize];
        let earlier = at < wait.at;
        wait.at = at;
        wait.order = order;
        match &mut wait.state {
            // The entry comes up before the wait is due, and is moved then.
            SlotState::Waiting { .. } if !earlier => return,
            SlotState::Waiting { entry, .. } => {
                *entry = order;
                self.stale += 1;
            }
            SlotState::Free | SlotState::Ready => {
                wait.state = SlotState::Waiting { entry: order, waker: None };
            }
        }
        self.heap.push(Reverse(Entry { at, order, slot }));
        self.sweep();
    }

    /// Takes the stale entries out once they are the majority, so that the heap stays within a
    /// small multiple of the waits, at a cost shared by the operations that made them stale.
    fn sweep(&mut self) {
        if self.stale <= STALE_MIN || self.stale * 2 <= self.heap.len() {
            return;
        }
        let slots = &self.slots;
        self.heap.retain(|Reverse(entry)| is_valid(slots, *entry));
        self.stale = 0;
    }

    /// Marks the waits that are due and gathers their wakers in order; answers when the next is.
    fn take_due(&mut self, now: Instant, wakers: &mut Vec<Waker>) -> Option<Instant> {
        while let Some(&Reverse(entry)) = self.heap.peek() {
            if !is_valid(&self.slots, entry) {
                self.heap.pop();
                self.stale -= 1;
                continue;
            }
            let wait = &mut self.slots[entry.slot as usize];
            if wait.order != entry.order {
                let moved = Entry { at: wait.at, order: wait.order, slot: entry.slot };
                if let SlotState::Waiting { entry, .. } = &mut wait.state {
                    *entry = moved.order;
                }
                self.heap.pop();
                self.heap.push(Reverse(moved));
                continue;
            }
            if entry.at > now {
                return Some(entry.at);
            }
            self.heap.pop();
            let state = std::mem::replace(&mut wait.state, SlotState::Ready);
            if let SlotState::Waiting { waker: Some(waker), .. } = state {
                wakers.push(waker);
            }
        }
        None
    }
}

fn is_valid(slots: &[Slot], entry: Entry) -> bool {
    match slots[entry.slot as usize].state {
        SlotState::Waiting { entry: order, .. } => order == entry.order,
        SlotState::Free | SlotState::Ready => false,
    }
}

/// Wakes what is due and sleeps until the next, or until told of an earlier one.
async fn drive(shared: Weak<Shared>, changed: Rc<Notify>) {
    let mut wakers = Vec::new();
    loop {
        let Some(pacer) = shared.upgrade() else {
            return;
        };
        let next = pacer.queue.borrow_mut().take_due(Instant::now(), &mut wakers);
        pacer.armed.set(next);
        drop(pacer);
        // Outside the borrow: what a waker drops may be a wait of this pacer.
        for waker in wakers.drain(..) {
            waker.wake();
        }
        match next {
            None => changed.notified().await,
            Some(at) => tokio::select! {
                biased;
                () = changed.notified() => {}
                () = sleep_until(at) => {}
            },
        }
    }
}

/// A wait of a [`Pacer`].
pub struct Due {
    shared: Rc<Shared>,
    slot: u32,
}

impl fmt::Debug for Due {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Due").field("at", &self.at()).finish_non_exhaustive()
    }
}

impl Due {
    /// Moves the wait to another instant, ready or not. The task that waited for it must poll it
    /// again if it was ready.
    pub fn reset(&mut self, at: Instant) {
        self.shared.queue.borrow_mut().reset(self.slot, at);
        self.shared.note_earliest(at);
    }

    /// The instant waited for.
    #[must_use]
    pub fn at(&self) -> Instant {
        self.shared.queue.borrow().slots[self.slot as usize].at
    }
}

impl Drop for Due {
    fn drop(&mut self) {
        let waker = self.shared.queue.borrow_mut().remove(self.slot);
        drop(waker);
    }
}

impl Future for Due {
    type Output = ();

    /// Ready from its instant on, however often it is polled.
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut queue = self.shared.queue.borrow_mut();
        let wait = &mut queue.slots[self.slot as usize];
        let SlotState::Waiting { waker, .. } = &mut wait.state else {
            return Poll::Ready(());
        };
        let (old, poll) = if wait.at <= Instant::now() {
            (queue.end_wait(self.slot, SlotState::Ready), Poll::Ready(()))
        } else if waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            (None, Poll::Pending)
        } else {
            (waker.replace(cx.waker().clone()), Poll::Pending)
        };
        drop(queue);
        drop(old);
        poll
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;
    use crate::net::testing::paused;

    const fn ms(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    type Log = Rc<RefCell<Vec<(usize, Duration)>>>;

    /// A task that notes its name and the time when `due` is ready.
    fn note(log: &Log, name: usize, due: Due, start: Instant) {
        let log = Rc::clone(log);
        tokio::task::spawn_local(async move {
            due.await;
            log.borrow_mut().push((name, start.elapsed()));
        });
    }

    #[test]
    fn waits_come_in_order_of_time_and_then_of_making() {
        paused(async {
            let (pacer, start, log) = (Pacer::start(), Instant::now(), Log::default());
            for (name, at) in [30, 10, 30, 20, 10, 30].into_iter().enumerate() {
                note(&log, name, pacer.until(start + ms(at)), start);
            }
            tokio::time::sleep(ms(100)).await;
            let wanted =
                [(1, ms(10)), (4, ms(10)), (3, ms(20)), (0, ms(30)), (2, ms(30)), (5, ms(30))];
            assert_eq!(*log.borrow(), wanted);
        });
    }

    #[test]
    fn an_earlier_wait_wakes_the_driver_and_a_past_one_is_ready_at_once() {
        paused(async {
            let (pacer, start, log) = (Pacer::start(), Instant::now(), Log::default());
            note(&log, 0, pacer.until(start + ms(1_000)), start);
            tokio::time::sleep(ms(5)).await;
            note(&log, 1, pacer.until(start + ms(7)), start);
            pacer.until(start).await;
            assert_eq!(start.elapsed(), ms(5));
            tokio::time::sleep(ms(2_000)).await;
            assert_eq!(*log.borrow(), [(1, ms(7)), (0, ms(1_000))]);
        });
    }

    #[test]
    fn a_wait_can_be_moved_either_way_and_used_again() {
        paused(async {
            let (pacer, start) = (Pacer::start(), Instant::now());
            let mut due = pacer.until(start + ms(50));
            for (to, at) in [(80, 80), (90, 90), (200, 200), (150, 200), (210, 210)] {
                due.reset(start + ms(to));
                assert_eq!(due.at(), start + ms(to));
                (&mut due).await;
                assert_eq!(start.elapsed(), ms(at), "moved to {to} ms");
            }
            // Moved while a task waits for it: the task is woken at the new time only.
            let log = Log::default();
            let due = Rc::new(RefCell::new(pacer.until(start + ms(300))));
            let (waiting, noted) = (Rc::clone(&due), Rc::clone(&log));
            tokio::task::spawn_local(async move {
                poll_fn(|cx| Pin::new(&mut *waiting.borrow_mut()).poll(cx)).await;
                noted.borrow_mut().push((0, start.elapsed()));
            });
            tokio::time::sleep(ms(10)).await;
            due.borrow_mut().reset(start + ms(400));
            tokio::time::sleep(ms(10)).await;
            due.borrow_mut().reset(start + ms(350));
            tokio::time::sleep(ms(1_000)).await;
            assert_eq!(*log.borrow(), [(0, ms(350))]);
        });
    }

    #[test]
    fn dropped_waits_leave_nothing_behind() {
        paused(async {
            let (pacer, start) = (Pacer::start(), Instant::now());
            let kept = pacer.until(start + ms(10));
            for _ in 0..10_000 {
                drop(pacer.until(start + ms(60_000)));
            }
            assert_eq!(pacer.waits(), 1);
            {
                let queue = pacer.shared.queue.borrow();
                assert!(queue.heap.len() <= 2 * STALE_MIN + 2, "{} entries", queue.heap.len());
                assert!(queue.slots.len() <= 2);
            }
            kept.await;
            assert_eq!(start.elapsed(), ms(10));
        });
    }

    #[test]
    fn the_driver_ends_with_the_last_clone_and_wait() {
        paused(async {
            let pacer = Pacer::start();
            let changed = Rc::downgrade(&pacer.shared.changed);
            let due = pacer.until(Instant::now() + ms(20));
            drop(pacer);
            tokio::time::sleep(ms(1)).await;
            assert_eq!(changed.strong_count(), 2, "a wait keeps the driver");
            due.await;
            tokio::time::sleep(ms(1)).await;
            assert_eq!(changed.strong_count(), 0, "neither waits nor the driver hold it");
        });
    }

    #[test]
    fn a_wait_is_two_words() {
        assert!(size_of::<Due>() <= 16);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Add(u64),
        Reset(Index, u64),
        Drop(Index),
        Pass(u64),
    }

    fn any_step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => (0..50_u64).prop_map(Step::Add),
            2 => (any::<Index>(), 0..50_u64).prop_map(|(which, at)| Step::Reset(which, at)),
            1 => any::<Index>().prop_map(Step::Drop),
            2 => (0..20_u64).prop_map(Step::Pass),
        ]
    }

    /// Notes its slot when woken.
    struct Noting(u32, Arc<Mutex<Vec<u32>>>);

    impl std::task::Wake for Noting {
        fn wake(self: Arc<Self>) {
            self.1.lock().unwrap().push(self.0);
        }
    }

    fn watch(queue: &mut Queue, slot: u32, woken: &Arc<Mutex<Vec<u32>>>) {
        let SlotState::Waiting { waker, .. } = &mut queue.slots[slot as usize].state else {
            panic!("not waiting");
        };
        *waker = Some(Arc::new(Noting(slot, Arc::clone(woken))).into());
    }

    proptest! {
        /// Against a list that is sorted each time.
        #[test]
        fn the_queue_agrees_with_a_plain_list(steps in prop::collection::vec(any_step(), 0..200)) {
            let mut queue = Queue::default();
            let woken = Arc::default();
            let mut now = Instant::now();
            // Instant, order, slot.
            let mut model: Vec<(Instant, usize, u32)> = Vec::new();
            for (order, step) in steps.into_iter().enumerate() {
                let count = model.len();
                match step {
                    Step::Add(at) => {
                        let at = now + ms(at);
                        let slot = queue.add(at);
                        watch(&mut queue, slot, &woken);
                        model.push((at, order, slot));
                    }
                    Step::Reset(which, at) if count > 0 => {
                        let slot = model[which.index(count)].2;
                        model[which.index(count)] = (now + ms(at), order, slot);
                        queue.reset(slot, now + ms(at));
                        watch(&mut queue, slot, &woken);
                    }
                    Step::Drop(which) if count > 0 => {
                        queue.remove(model.swap_remove(which.index(count)).2);
                    }
                    Step::Reset(..) | Step::Drop(_) => {}
                    Step::Pass(time) => {
                        now += ms(time);
                        let mut wakers = Vec::new();
                        let next = queue.take_due(now, &mut wakers);
                        wakers.into_iter().for_each(Waker::wake);
                        model.sort_unstable();
                        let due: Vec<_> = model.extract_if(.., |wait| wait.0 <= now).collect();
                        let due: Vec<_> = due.into_iter().map(|wait| wait.2).collect();
                        due.iter().for_each(|&slot| drop(queue.remove(slot)));
                        prop_assert_eq!(std::mem::take(&mut *woken.lock().unwrap()), due);
                        prop_assert_eq!(next, model.first().map(|wait| wait.0));
                    }
                }
            }
        }
    }
}
