//! A client's life: attempt after attempt until it is done for good.

use std::cell::Cell;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use tokio::time::Instant;

use super::open::{Failure, Progress, open};
use super::session::{Ending, Session};
use super::{Order, State, VirtualClient, add_at, credentials, decrement, increment, reconnect};
use crate::event::{
    ClientEnd, ClientObservation, ClientStep, ConnectFailure, DeliveryTally, HandshakeFailure, Wish,
};
use crate::measure::LatencyKind;
use crate::pace::Purpose;
use crate::protocol::AttemptId;
use crate::scenario::plan::ReconnectAfter;

/// Attempts to be connected again.
#[derive(Clone, Copy, Debug)]
struct Recovery {
    /// End of the dropped connection; `None` when none had been open.
    dropped: Option<Instant>,
    /// Attempts begun.
    attempts: u32,
}

/// What an attempt's end means for the client's life.
struct Ended {
    at: Instant,
    wish: Wish,
    was_open: bool,
}

/// Counts the client's task while it lives, however it ends.
struct Alive<'a>(&'a VirtualClient);

impl Drop for Alive<'_> {
    fn drop(&mut self) {
        self.0.state.set(State::Finished);
        // A waker keeps its task's memory, and a client may be kept long after its end.
        drop(self.0.waker.borrow_mut().take());
        decrement(&self.0.me.shard.counts.tasks);
    }
}

/// Lives the client's life.
pub(super) async fn live(client: &Rc<VirtualClient>, arrival: Instant) {
    increment(&client.me.shard.counts.tasks);
    let _alive = Alive(client);
    let mut planned = arrival;
    let mut recovery: Option<Recovery> = None;
    for attempt in 0..=u32::MAX {
        let dropped = recovery.and_then(|recovery| recovery.dropped);
        let Some(ended) = client.attempt(attempt, planned, dropped).await else {
            return;
        };
        if client.order.get() != Order::Stay {
            return;
        }
        match ended.wish {
            Wish::Stay => {}
            // It left by churn: it comes back at once, and recovers from nothing.
            Wish::Leave => {
                planned = ended.at;
                recovery = None;
                continue;
            }
            Wish::Vanish => return,
        }
        if ended.was_open {
            recovery = Some(Recovery { dropped: Some(ended.at), attempts: 0 });
        }
        let policy = &client.me.population().reconnect;
        let current = match (recovery.as_mut(), policy.after) {
            (Some(recovery), _) => recovery,
            (None, ReconnectAfter::Drop) => return,
            (None, ReconnectAfter::Any) => recovery.insert(Recovery { dropped: None, attempts: 0 }),
        };
        let mut rng = client.me.rng(Purpose::Reconnect, attempt);
        let Some(delay) = reconnect::delay(policy, current.attempts, &mut rng) else {
            return;
        };
        current.attempts += 1;
        planned = ended.at + delay;
        client.me.tell(|| ClientStep::ReconnectPlanned {
            in_ns: u64::try_from(delay.as_nanos()).unwrap_or(u64::MAX),
        });
        client.state.set(State::Reconnecting);
        if client.wait_until(planned).await.is_err() {
            return;
        }
    }
}

/// An order came first.
struct Interrupted;

impl VirtualClient {
    /// One attempt from its turn to its row; `None` when an order came before its turn.
    async fn attempt(
        &self,
        number: u32,
        planned: Instant,
        dropped: Option<Instant>,
    ) -> Option<Ended> {
        self.state.set(State::Connecting);
        let id = AttemptId {
            population: self.me.population().name.clone(),
            index: self.me.index,
            attempt: number,
        };
        let progress = Cell::new(Progress::Queued);
        let opening = {
            let id = id.clone();
            let target = move || credentials::path_and_query(&self.me, &id, &self.once);
            Box::pin(open(&self.me, number, target, &progress))
        };
        let opened = self.unless_ordered(opening, &progress).await;
        let started = match progress.get() {
            Progress::Queued => return None,
            Progress::Dialling(started) | Progress::Shaking(started) => started,
        };
        let session = match opened.unwrap_or_else(|| Err(cancelled(progress.get()))) {
            Ok(session) => session,
            Err(failure) => return Some(self.note_failure(id, planned, started, failure)),
        };
        self.note_open(&session, planned, dropped);
        *self.session.borrow_mut() = Some(session);
        let ending = poll_fn(|cx| {
            self.listen(cx);
            let mut session = self.session.borrow_mut();
            let mut publisher = self.publisher.borrow_mut();
            match session.as_mut() {
                Some(session) => {
                    session.poll(&self.me, publisher.as_deref_mut(), &self.order, cx).map(Some)
                }
                None => Poll::Ready(None),
            }
        })
        .await?;
        self.note_ending(id, planned, ending)
    }

    /// The opening, unless the client is told to end at once, or to leave and the grace is over.
    async fn unless_ordered<'a>(
        &self,
        mut opening: Pin<Box<dyn Future<Output = Opening> + 'a>>,
        progress: &Cell<Progress>,
    ) -> Option<Opening> {
        let mut grace = None;
        poll_fn(move |cx| {
            self.listen(cx);
            match self.order.get() {
                Order::Stay => {}
                Order::Leave if progress.get() != Progress::Queued => {
                    let shard = &self.me.shard;
                    let end = grace.get_or_insert_with(|| {
                        shard.pacer.until(Instant::now() + shard.plan.grace)
                    });
                    if Pin::new(end).poll(cx).is_ready() {
                        return Poll::Ready(None);
                    }
                }
                Order::Leave | Order::Kill => return Poll::Ready(None),
            }
            opening.as_mut().poll(cx).map(Some)
        })
        .await
    }

    /// Waits for the next attempt's planned instant.
    async fn wait_until(&self, planned: Instant) -> Result<(), Interrupted> {
        let mut due = self.me.shard.pacer.until(planned);
        poll_fn(|cx| {
            self.listen(cx);
            if self.order.get() != Order::Stay {
                return Poll::Ready(Err(Interrupted));
            }
            Pin::new(&mut due).poll(cx).map(Ok)
        })
        .await
    }

    fn note_open(&self, session: &Session, planned: Instant, dropped: Option<Instant>) {
        let me = &self.me;
        let counts = &me.shard.counts;
        increment(&counts.open);
        add_at(&mut counts.opens.borrow_mut(), me.population, 1);
        let (started, opened) = (session.started(), session.opened());
        let opened_ns = me.ns(opened);
        let service = opened.saturating_duration_since(started);
        let since = |then| opened.saturating_duration_since(then);
        me.record(LatencyKind::Connect, opened_ns, since(planned), service);
        if let Some(dropped) = dropped {
            me.record(LatencyKind::Recovery, opened_ns, since(dropped), service);
            if !self.recovered.replace(true) {
                add_at(&mut counts.recovered.borrow_mut(), me.population, 1);
            }
        }
        self.state.set(State::Open);
    }

    /// The row of an attempt that did not open.
    fn note_failure(
        &self,
        attempt: AttemptId,
        planned: Instant,
        started: Instant,
        failure: Failure,
    ) -> Ended {
        let at = Instant::now();
        let wish = if self.order.get() == Order::Stay { Wish::Stay } else { Wish::Leave };
        self.me.tell(|| ClientStep::Ended { observation: failure.observation.clone(), wish });
        self.me.shard.ends.put(ClientEnd {
            attempt,
            planned_ns: self.me.ns(planned),
            started_ns: self.me.ns(started),
            opened_ns: None,
            ended_ns: self.me.ns(at),
            connection_id: None,
            observation: failure.observation,
            wish,
            behaviour_since_ns: None,
            received: 0,
            read_bytes: failure.read_bytes,
            sent: 0,
            pings: 0,
            pongs: 0,
            delivery: DeliveryTally::default(),
            replies: DeliveryTally::default(),
            tails: Vec::new(),
        });
        Ended { at, wish, was_open: false }
    }

    /// The row of an attempt that was open; takes the session down.
    fn note_ending(
        &self,
        attempt: AttemptId,
        planned: Instant,
        mut ending: Ending,
    ) -> Option<Ended> {
        let session = self.session.borrow_mut().take()?;
        let me = &self.me;
        decrement(&me.shard.counts.open);
        if let Some(publisher) = self.publisher.borrow_mut().as_mut() {
            publisher.connection_ended(me);
        }
        let counts = session.counts();
        let since = session.misbehaving_since(ending.at);
        let end = ClientEnd {
            attempt,
            planned_ns: me.ns(planned),
            started_ns: me.ns(session.started()),
            opened_ns: Some(me.ns(session.opened())),
            ended_ns: me.ns(ending.at),
            connection_id: session.connection_id(),
            observation: ending.observation.clone(),
            wish: ending.wish,
            behaviour_since_ns: since.map(|since| me.ns(since)),
            received: counts.received,
            read_bytes: counts.read_bytes,
            sent: counts.sent,
            pings: counts.pings,
            pongs: counts.pongs,
            delivery: ending.delivery,
            replies: ending.replies,
            tails: std::mem::take(&mut ending.tails),
        };
        me.tell(|| ClientStep::Ended {
            observation: ending.observation.clone(),
            wish: ending.wish,
        });
        session.finish(me, &ending);
        me.shard.ends.put(end);
        Some(Ended { at: ending.at, wish: ending.wish, was_open: true })
    }
}

/// What opening a connection gives.
type Opening = Result<Box<Session>, Failure>;

/// The run (or the client's user) ended an attempt that was under way.
fn cancelled(progress: Progress) -> Failure {
    match progress {
        Progress::Shaking(_) => HandshakeFailure::Cancelled.into(),
        Progress::Queued | Progress::Dialling(_) => {
            ClientObservation::ConnectFailed { failure: ConnectFailure::Cancelled }.into()
        }
    }
}
