//! Sums and gauges behind [`Counters`](crate::protocol::control::Counters).

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use crate::protocol::CloseCategory;

/// Adds to a cell.
pub fn add(cell: &Cell<u64>, amount: u64) {
    cell.set(cell.get() + amount);
}

/// Takes away from a gauge.
pub fn take(cell: &Cell<u64>, amount: u64) {
    cell.set(cell.get() - amount);
}

/// Adds one under a key.
fn count<K: Ord>(map: &RefCell<BTreeMap<K, u64>>, key: K) {
    *map.borrow_mut().entry(key).or_default() += 1;
}

/// Sums since the start of the timeline, and gauges.
#[derive(Debug, Default)]
pub struct Tally {
    pub closed: RefCell<BTreeMap<CloseCategory, u64>>,
    pub opened: Cell<u64>,
    pub peak: Cell<u64>,
    pub inbound: Cell<u64>,
    pub outbound: Cell<u64>,
    pub statuses: RefCell<BTreeMap<u16, u64>>,
    pub deliveries: Cell<u64>,
    /// Gauge: open connections, each holding a place of the quota.
    pub open: Cell<u64>,
    /// Gauge: bytes in all outbound queues.
    pub queue_bytes: Cell<u64>,
    /// Gauge: websocket connections and handshakes.
    pub tasks: Cell<u64>,
}

impl Tally {
    /// A connection ended.
    pub fn count_close(&self, category: CloseCategory) {
        count(&self.closed, category);
    }

    /// A connect request was answered.
    pub fn count_status(&self, status: u16) {
        count(&self.statuses, status);
    }

    /// A connection took a place of the quota.
    pub fn count_open(&self) {
        add(&self.opened, 1);
        add(&self.open, 1);
        self.peak.set(self.peak.get().max(self.open.get()));
    }

    /// Sums start at nothing; gauges stay.
    pub fn restart(&self) {
        self.closed.borrow_mut().clear();
        self.statuses.borrow_mut().clear();
        for sum in [&self.opened, &self.inbound, &self.outbound, &self.deliveries] {
            sum.set(0);
        }
        self.peak.set(self.open.get());
    }
}
