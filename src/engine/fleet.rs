//! The clients of one shard that have begun.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::Instant;

use super::links::{OpenClient, Which};
use crate::client::{Shard, State, VirtualClient};
use crate::scenario::plan::PopulationIndex;

/// Population and index of a client.
pub(super) type ClientKey = (PopulationIndex, u32);

/// The clients of one shard that have begun and are not done, and what the shard's loops know of
/// their work.
#[derive(Debug)]
pub(super) struct Fleet {
    /// What the clients share.
    pub(super) shard: Rc<Shard>,
    /// Rung when a count below reaches nothing.
    pub(super) ran_out: Notify,
    clients: RefCell<BTreeMap<ClientKey, Rc<VirtualClient>>>,
    first_attempts: RefCell<Vec<Rc<VirtualClient>>>,
    to_arrive: Cell<u64>,
    bounded_senders: Cell<u64>,
    defects: Cell<u64>,
}

impl Fleet {
    /// A fleet of which `to_arrive` clients are still to begin and `bounded_senders` senders have a
    /// last message.
    pub(super) fn new(shard: Rc<Shard>, to_arrive: u64, bounded_senders: u64) -> Rc<Self> {
        Rc::new(Self {
            shard,
            ran_out: Notify::new(),
            clients: RefCell::default(),
            first_attempts: RefCell::default(),
            to_arrive: Cell::new(to_arrive),
            bounded_senders: Cell::new(bounded_senders),
            defects: Cell::new(0),
        })
    }

    /// A client begins its life in a task of its own. `slot` is free again when it is done.
    pub(super) fn begin(
        self: &Rc<Self>,
        key: ClientKey,
        planned: Instant,
        slot: Option<OwnedSemaphorePermit>,
    ) {
        let client = VirtualClient::new(Rc::clone(&self.shard), key.0, key.1);
        self.clients.borrow_mut().insert(key, Rc::clone(&client));
        self.first_attempts.borrow_mut().push(Rc::clone(&client));
        self.count_down(&self.to_arrive, 1);
        let life = Life { fleet: Rc::clone(self), key, _slot: slot };
        tokio::task::spawn_local(async move {
            client.run(planned).await;
            drop(life);
        });
    }

    /// Nobody arrives any more.
    pub(super) fn close_admission(&self) {
        self.count_down(&self.to_arrive, self.to_arrive.get());
    }

    /// A sender of bounded traffic has sent its last message (or `senders` of them were stopped).
    pub(super) fn senders_done(&self, senders: u64) {
        self.count_down(&self.bounded_senders, senders);
    }

    /// Senders of bounded traffic that have messages left.
    pub(super) fn bounded_senders(&self) -> u64 {
        self.bounded_senders.get()
    }

    /// A planned message is due. Nobody there to send it is the same as not being connected.
    pub(super) fn publish(&self, key: ClientKey, traffic: usize, planned: Instant) {
        let client = self.clients.borrow().get(&key).map(Rc::clone);
        match client {
            Some(client) => client.publish(traffic, planned),
            None => {
                if let Some(count) =
                    self.shard.counts.not_sent.borrow_mut().get_mut(usize::from(key.0))
                {
                    *count += 1;
                }
            }
        }
    }

    /// Clients still to arrive.
    pub(super) fn to_arrive(&self) -> u64 {
        self.to_arrive.get()
    }

    /// Clients whose first attempt has neither opened nor failed, as of this look.
    pub(super) fn first_attempts(&self) -> u64 {
        let mut first = self.first_attempts.borrow_mut();
        first.retain(|client| matches!(client.state(), State::Waiting | State::Connecting));
        first.len() as u64
    }

    /// Clients that have begun and are not done.
    pub(super) fn alive(&self) -> u64 {
        self.clients.borrow().len() as u64
    }

    /// Clients whose task panicked.
    pub(super) fn defects(&self) -> u64 {
        self.defects.get()
    }

    /// Messages that wait for their turn or for their acknowledgement.
    pub(super) fn under_way(&self) -> u64 {
        let counts = &self.shard.counts;
        counts.unacknowledged.get() + counts.waiting.get()
    }

    /// The open clients of a population, by index.
    pub(super) fn open(&self, population: PopulationIndex) -> Vec<OpenClient> {
        self.clients
            .borrow()
            .range((population, 0)..=(population, u32::MAX))
            .filter(|(_, client)| client.state() == State::Open)
            .map(|(&(_, index), client)| OpenClient {
                index,
                connection_id: client.connection_id(),
            })
            .collect()
    }

    /// A choice of a population's clients.
    pub(super) fn choose(
        &self,
        population: PopulationIndex,
        which: &Which,
    ) -> Vec<Rc<VirtualClient>> {
        let clients = self.clients.borrow();
        match which {
            Which::All => clients
                .range((population, 0)..=(population, u32::MAX))
                .map(|(_, client)| Rc::clone(client))
                .collect(),
            Which::These(indexes) => indexes
                .iter()
                .filter_map(|&index| clients.get(&(population, index)).map(Rc::clone))
                .collect(),
        }
    }

    /// One client.
    pub(super) fn client(&self, key: ClientKey) -> Option<Rc<VirtualClient>> {
        self.clients.borrow().get(&key).map(Rc::clone)
    }

    /// Every client that is not done.
    pub(super) fn everybody(&self) -> Vec<Rc<VirtualClient>> {
        self.clients.borrow().values().map(Rc::clone).collect()
    }

    fn count_down(&self, count: &Cell<u64>, by: u64) {
        count.set(count.get().saturating_sub(by));
        if count.get() == 0 {
            self.ran_out.notify_one();
        }
    }
}

/// Lives as long as a client's task: however that ends, the fleet knows.
struct Life {
    fleet: Rc<Fleet>,
    key: ClientKey,
    _slot: Option<OwnedSemaphorePermit>,
}

impl Drop for Life {
    fn drop(&mut self) {
        // The task runs outside every borrow of the fleet, so this cannot meet another one; were it
        // to, leaving the client in the map shows as a task alive after the run.
        if let Ok(mut clients) = self.fleet.clients.try_borrow_mut() {
            clients.remove(&self.key);
            if clients.is_empty() {
                self.fleet.ran_out.notify_one();
            }
        }
        if std::thread::panicking() {
            self.fleet.defects.set(self.fleet.defects.get() + 1);
        }
    }
}
