//! One pacer per thread over absolute due times, not a timer in every client.
//!
//! A binary heap of (due, order, waker) driven by one task per thread. Waits that are due at the
//! same instant are woken in the order in which they were made. Resolution is tokio's millisecond.

use std::rc::Rc;

use tokio::time::Instant;

/// Hands out waits. Cheap to clone; belongs to its thread.
#[derive(Clone, Debug)]
pub struct Pacer {
    inner: Rc<()>,
}

impl Pacer {
    /// Starts the driving task on the current `LocalSet`; it ends when the last clone is dropped.
    #[must_use]
    pub fn start() -> Self {
        unimplemented!()
    }

    /// A wait that is ready at `at`. Dropping it forgets it.
    #[must_use]
    pub fn until(&self, _at: Instant) -> Due {
        let _ = &self.inner;
        unimplemented!()
    }
}

/// A wait of a [`Pacer`].
#[derive(Debug)]
pub struct Due {
    _private: (),
}

impl Due {
    /// Moves the wait to another instant.
    pub fn reset(&mut self, _at: Instant) {
        unimplemented!()
    }

    /// The instant waited for.
    #[must_use]
    pub fn at(&self) -> Instant {
        unimplemented!()
    }
}

impl std::future::Future for Due {
    type Output = ();

    fn poll(
        self: std::pin::Pin<&mut Self>,
        _cx: &mut std::task::Context<'_>,
    ) -> std::task::Poll<()> {
        unimplemented!()
    }
}
