//! Who listens where, and connecting to them.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::task::{Poll, Waker};
use std::time::Duration;

use super::Link;
use super::schedule::Schedule;
use super::wire::{Route, Side, Wire};
use crate::protocol::settings::SocketBuffers;

/// How long a dialler waits before it tries a full backlog again, at first; doubled each time, as
/// Linux does with its SYN.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The network of one world. Cheap to clone; belongs to its thread.
#[derive(Clone, Debug)]
pub struct Network {
    shared: Rc<Shared>,
}

#[derive(Debug)]
struct Shared {
    schedule: Rc<Schedule>,
    ends: Rc<Ends>,
    /// By authority (`host:port`).
    listeners: RefCell<BTreeMap<String, Weak<Backlog>>>,
    connections: Cell<u64>,
}

/// Counts the ends that somebody holds.
#[derive(Debug, Default)]
pub(super) struct Ends(Cell<u64>);

impl Ends {
    pub(super) fn add(&self) {
        self.0.set(self.0.get() + 1);
    }

    pub(super) fn remove(&self) {
        self.0.set(self.0.get().saturating_sub(1));
    }
}

#[derive(Debug)]
struct Backlog {
    waiting: RefCell<VecDeque<(Link, SocketAddr)>>,
    waker: RefCell<Option<Waker>>,
    buffers: Cell<SocketBuffers>,
}

impl Network {
    /// A network without listeners. Its task runs on the current `LocalSet`.
    ///
    /// # Panics
    ///
    /// Outside a `LocalSet`.
    #[must_use]
    pub fn start() -> Self {
        let shared = Shared {
            schedule: Schedule::start(),
            ends: Rc::default(),
            listeners: RefCell::default(),
            connections: Cell::new(0),
        };
        Self { shared: Rc::new(shared) }
    }

    /// Listens under an authority (`host` or `host:port`). The error is `AddrInUse`.
    pub fn listen(&self, authority: &str, buffers: SocketBuffers) -> io::Result<LinkListener> {
        let mut listeners = self.shared.listeners.borrow_mut();
        if listeners.get(authority).is_some_and(|known| known.strong_count() > 0) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let backlog = Rc::new(Backlog {
            waiting: RefCell::default(),
            waker: RefCell::default(),
            buffers: Cell::new(buffers),
        });
        listeners.insert(authority.to_owned(), Rc::downgrade(&backlog));
        Ok(LinkListener { backlog, network: self.clone(), authority: authority.to_owned() })
    }

    /// Dials. A connection is open once it waits to be accepted. While the backlog is full, the
    /// dialler tries again; the caller bounds the time.
    pub(in crate::net) async fn dial(
        &self,
        authority: &str,
        buffers: SocketBuffers,
        mut route: Route,
    ) -> io::Result<Link> {
        let mut retry_after = RETRY_AFTER;
        loop {
            pass(route.delay()).await;
            let listener = self.shared.listeners.borrow().get(authority).and_then(Weak::upgrade);
            let Some(backlog) = listener else {
                pass(route.delay()).await;
                return Err(io::ErrorKind::ConnectionRefused.into());
            };
            if backlog.waiting.borrow().len() < LinkListener::BACKLOG as usize {
                let back = route.delay();
                let link = self.connect(&backlog, buffers, route);
                pass(back).await;
                return Ok(link);
            }
            drop(backlog);
            tokio::time::sleep(retry_after).await;
            retry_after *= 2;
        }
    }

    fn connect(&self, backlog: &Backlog, dialler: SocketBuffers, route: Route) -> Link {
        let number = self.shared.connections.replace(self.shared.connections.get() + 1);
        let (schedule, ends) = (Rc::clone(&self.shared.schedule), Rc::clone(&self.shared.ends));
        let buffers = [dialler, backlog.buffers.get()];
        let wire = Wire::new(number, schedule, ends, buffers, route);
        let near = Link { wire: Rc::clone(&wire), side: Side::Dialler };
        let far = Link { wire, side: Side::Listener };
        backlog.waiting.borrow_mut().push_back((far, near.local_addr()));
        let waker = backlog.waker.take();
        if let Some(waker) = waker {
            waker.wake();
        }
        near
    }

    /// Ends of connections that are held by somebody, a backlog included.
    #[must_use]
    pub fn open_ends(&self) -> u64 {
        self.shared.ends.0.get()
    }
}

/// Waits as long as something is under way; not at all when it takes no time.
async fn pass(delay: Duration) {
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
}

/// Accepts connections in memory. Dropping it resets those that wait.
#[derive(Debug)]
pub struct LinkListener {
    backlog: Rc<Backlog>,
    network: Network,
    authority: String,
}

impl Drop for LinkListener {
    fn drop(&mut self) {
        for (link, _) in self.backlog.waiting.take() {
            link.abort();
        }
    }
}

impl LinkListener {
    /// Connections that wait to be accepted, at most.
    pub const BACKLOG: u32 = 4_096;

    /// Changes the buffers of the connections that come from now on.
    pub(in crate::net) fn set_buffers(&self, buffers: SocketBuffers) {
        let kept = self.backlog.buffers.get();
        self.backlog.buffers.set(SocketBuffers {
            send: buffers.send.or(kept.send),
            receive: buffers.receive.or(kept.receive),
        });
    }

    /// Where it listens, and with which buffers.
    pub(in crate::net) fn place(&self) -> (Network, String, SocketBuffers) {
        (self.network.clone(), self.authority.clone(), self.backlog.buffers.get())
    }

    /// The next connection, and the address it comes from. One waiter at a time.
    pub(in crate::net) async fn accept(&self) -> (Link, SocketAddr) {
        poll_fn(|cx| match self.backlog.waiting.borrow_mut().pop_front() {
            Some(accepted) => Poll::Ready(accepted),
            None => {
                *self.backlog.waker.borrow_mut() = Some(cx.waker().clone());
                Poll::Pending
            }
        })
        .await
    }
}
