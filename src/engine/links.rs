//! What the dispatcher and its shards say to each other. Every mailbox is bounded; nothing else
//! passes between their threads.

use std::collections::BTreeMap;
use std::rc::Rc;

use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::layout::Layout;
use crate::measure::{LatencySet, LiveCounts, TrafficCounts};
use crate::protocol::subprotocol::AckFailure;
use crate::scenario::plan::PopulationIndex;

/// Commands that may wait for a shard. Few are ever under way; a full mailbox means that the shard
/// no longer runs.
pub(super) const COMMANDS_MAX: usize = 64;

/// Reports that may wait for the dispatcher. States repeat, so one that finds no room is left out.
pub(super) const REPORTS_MAX: usize = 1_024;

/// What a shard is told.
#[derive(Debug)]
pub(super) enum Command {
    /// Tell which clients of a population are open now.
    ListOpen {
        /// Whose.
        population: PopulationIndex,
        /// Takes them, by index.
        answer: oneshot::Sender<Vec<OpenClient>>,
    },
    /// Clients leave in order, for good.
    Leave {
        /// Whose.
        population: PopulationIndex,
        /// Which of them.
        which: Which,
        /// Takes how many were told.
        answer: oneshot::Sender<u64>,
    },
    /// A REST close of these clients is about to be asked for.
    NoteRestClose {
        /// Population and index.
        clients: Vec<(PopulationIndex, u32)>,
        /// When it is asked for.
        at: Instant,
        /// Says that they know.
        answer: oneshot::Sender<()>,
    },
    /// No more arrivals, no more traffic; what is under way goes on.
    Drain,
    /// Every client leaves, spread over a short time.
    LeaveAll,
    /// Every client ends at once.
    Kill,
    /// Give back the measures and end.
    Finish,
}

/// A choice among the clients of a population that have begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Which {
    /// All of them.
    All,
    /// These.
    These(Vec<u32>),
}

/// A client that is connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OpenClient {
    /// Which client of its population.
    pub(super) index: u32,
    /// Its connection id, where the subprotocol tells it.
    pub(super) connection_id: Option<String>,
}

/// How far a shard is; only ever grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ShardPhase {
    /// Clients arrive, traffic flows.
    Running,
    /// No arrivals, no traffic.
    Draining,
    /// Clients leave.
    Leaving,
}

/// What a shard says.
#[derive(Debug)]
pub(super) enum Report {
    /// How it is, now and then and whenever something ran out.
    State(ShardState),
    /// It has ended in order.
    Ended(Box<ShardEnd>),
    /// Its thread ended without a result: a defect.
    Gone {
        /// Which.
        shard: usize,
        /// Why, as far as it is known.
        why: String,
    },
}

/// Counts of a shard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ShardState {
    /// Which.
    pub(super) shard: usize,
    /// How far it is.
    pub(super) phase: ShardPhase,
    /// Attempts begun.
    pub(super) attempts: u64,
    /// Connections open.
    pub(super) open: u64,
    /// Data frames received.
    pub(super) received: u64,
    /// Clients that are still to arrive or whose first attempt is under way.
    pub(super) arriving: u64,
    /// Senders of bounded traffic that have messages left.
    pub(super) bounded_senders: u64,
    /// Messages that wait for their turn or their acknowledgement.
    pub(super) under_way: u64,
    /// Clients that have begun and are not done.
    pub(super) alive: u64,
    /// Opens and recoveries so far, per population.
    pub(super) live: Vec<LiveCounts>,
}

/// What a shard leaves.
#[derive(Debug)]
pub(super) struct ShardEnd {
    /// Which.
    pub(super) shard: usize,
    /// Latencies measured on it.
    pub(super) latency: LatencySet,
    /// Messages of every traffic, sent and received on it.
    pub(super) traffic: TrafficCounts,
    /// Acknowledgements that failed, per population.
    pub(super) acks_failed: Vec<BTreeMap<AckFailure, u64>>,
    /// Publishes that were not sent, per population.
    pub(super) not_sent: Vec<u64>,
    /// Client tasks still alive.
    pub(super) tasks: u64,
    /// Clients whose task panicked.
    pub(super) defects: u64,
}

/// A shard no longer takes commands.
#[derive(Debug, thiserror::Error)]
#[error("a shard of clients does not answer")]
pub(super) struct ShardGone;

/// The dispatcher's side of the mailboxes. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct ShardLinks {
    commands: Rc<[mpsc::Sender<Command>]>,
    layout: Rc<Layout>,
}

impl ShardLinks {
    /// Links to shards, in the order of their numbers.
    pub(super) fn new(commands: Vec<mpsc::Sender<Command>>, layout: Rc<Layout>) -> Self {
        Self { commands: commands.into(), layout }
    }

    /// How many shards there are.
    pub(super) fn len(&self) -> usize {
        self.commands.len()
    }

    /// Tells every shard, without waiting.
    pub(super) fn tell_all(&self, make: impl Fn() -> Command) -> Result<(), ShardGone> {
        self.commands
            .iter()
            .try_for_each(|commands| commands.try_send(make()).map_err(|_| ShardGone))
    }

    /// The open clients of a population, by index, over all shards.
    pub(super) async fn open(
        &self,
        population: PopulationIndex,
    ) -> Result<Vec<OpenClient>, ShardGone> {
        let mut open = Vec::new();
        for commands in self.commands.iter() {
            open.extend(ask(commands, |answer| Command::ListOpen { population, answer }).await?);
        }
        open.sort_by_key(|client| client.index);
        Ok(open)
    }

    /// Clients of a population leave; returns how many were told.
    pub(super) async fn leave(
        &self,
        population: PopulationIndex,
        which: &Which,
    ) -> Result<u64, ShardGone> {
        let mut told = 0;
        for (shard, commands) in self.commands.iter().enumerate() {
            let which = match which {
                Which::All => Which::All,
                Which::These(indexes) => {
                    let here = |index: &u32| self.layout.shard_of(population, *index) == shard;
                    Which::These(indexes.iter().copied().filter(here).collect())
                }
            };
            told += ask(commands, |answer| Command::Leave { population, which, answer }).await?;
        }
        Ok(told)
    }

    /// Tells clients that a REST close of them is about to be asked for; returns once they know.
    pub(super) async fn note_rest_close(
        &self,
        clients: &[(PopulationIndex, u32)],
        at: Instant,
    ) -> Result<(), ShardGone> {
        for (shard, commands) in self.commands.iter().enumerate() {
            let here: Vec<_> = clients
                .iter()
                .copied()
                .filter(|&(population, index)| self.layout.shard_of(population, index) == shard)
                .collect();
            if !here.is_empty() {
                let note = |answer| Command::NoteRestClose { clients: here, at, answer };
                ask(commands, note).await?;
            }
        }
        Ok(())
    }
}

/// Sends one command and waits for its answer.
async fn ask<T>(
    commands: &mpsc::Sender<Command>,
    make: impl FnOnce(oneshot::Sender<T>) -> Command,
) -> Result<T, ShardGone> {
    let (answer, answered) = oneshot::channel();
    commands.send(make(answer)).await.map_err(|_| ShardGone)?;
    answered.await.map_err(|_| ShardGone)
}
