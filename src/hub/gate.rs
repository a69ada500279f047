//! The gate that every task of the hub passes: while it is shut (a freeze), nothing is read,
//! written, accepted, pinged or answered.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};

/// Open, except during a freeze.
#[derive(Debug, Default)]
pub struct Gate {
    shut: Cell<bool>,
    waiting: RefCell<Vec<Waker>>,
}

impl Gate {
    /// Whether a freeze is on.
    pub const fn is_shut(&self) -> bool {
        self.shut.get()
    }

    /// Begins a freeze.
    pub fn shut(&self) {
        self.shut.set(true);
    }

    /// Ends a freeze and wakes who waits, in the order in which they came.
    pub fn open(&self) {
        self.shut.set(false);
        for waker in self.waiting.take() {
            waker.wake();
        }
    }

    /// Ready while no freeze is on. Connections' tasks wait elsewhere (their own waker is kept
    /// with them), so this list is as short as the HTTP connections are few.
    pub fn poll_passable(&self, cx: &Context<'_>) -> Poll<()> {
        if !self.is_shut() {
            return Poll::Ready(());
        }
        let mut waiting = self.waiting.borrow_mut();
        if !waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    /// Waits until no freeze is on.
    pub async fn passable(&self) {
        poll_fn(|cx| self.poll_passable(cx)).await;
    }
}
