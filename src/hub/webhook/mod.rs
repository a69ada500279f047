//! The hub calls event handlers (service-side facts, section 2).
//!
//! | what | where |
//! | --- | --- |
//! | what the hub and the handlers of one connection have said to each other | `dialogue` |
//! | one event sent, repeated as the policy says, counted and logged | `send` |
//! | may events be sent to a URL at all | `validation` |
//! | `connect`, which decides whether a client is let in | `connect` |
//! | `connected` and `disconnected`, which nobody waits for | `notice` |
//! | who hears of events without an answer | `listeners` |
//! | user events, one of a connection at a time | `user` |
//! | counts and times | `tally` |
//! | what the ledger says of each event and validation | `entry` |

mod connect;
mod dialogue;
mod entry;
mod listeners;
mod notice;
mod send;
mod tally;
mod user;
mod validation;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::state::{AliveGuard, Hub, Phase};
use crate::net::{Dialling, Pool};
use crate::protocol::Endpoint;
use crate::protocol::control::{UPSTREAM_HOST, WebhookCounters, WebhookTimes};
use crate::protocol::webhook::WebhookUrl;

pub use connect::{ConnectRefusal, Decision, decide, unusable};
pub use dialogue::{Dialogue, Held};
pub use notice::{connected, disconnected};
pub use user::{UserEvent, raise};

use listeners::Listeners;
use tally::Tally;
use validation::Validations;

/// What the hub knows of its event handlers.
#[derive(Debug)]
pub struct Webhooks {
    pool: Pool,
    validations: Validations,
    tally: Tally,
    listeners: Listeners,
    upstream: RefCell<Option<Endpoint>>,
    /// Gauge: tasks of events and validations.
    tasks: Cell<u64>,
}

/// Counts a task of an event for as long as it lives.
struct EventGuard(Rc<Hub>);

impl Drop for EventGuard {
    fn drop(&mut self) {
        super::tally::take(&self.0.webhooks.tasks, 1);
        self.0.webhooks.look_who_is_there(&self.0);
    }
}

impl Webhooks {
    /// Nobody was called yet.
    pub fn new(dialling: Dialling, deliveries: Option<mpsc::Sender<Bytes>>) -> Self {
        Self {
            pool: Pool::new(dialling),
            validations: Validations::default(),
            tally: Tally::default(),
            listeners: Listeners::new(deliveries),
            upstream: RefCell::default(),
            tasks: Cell::new(0),
        }
    }

    /// A timeline starts: nothing is known of its handlers.
    pub fn restart(&self, upstream: Option<Endpoint>) {
        *self.upstream.borrow_mut() = upstream;
        self.pool.forget();
        self.validations.forget();
        self.tally.restart();
        self.listeners.restart();
    }

    /// Once no client is there and no event is under way, connections to handlers are let go of.
    /// (So a run ends with as many open connections as it began with. While clients come and go
    /// they are kept.)
    pub fn look_who_is_there(&self, hub: &Hub) {
        if hub.tally.tasks.get() == 0 && self.tasks.get() == 0 {
            self.pool.let_go();
        }
    }

    /// Counts and gauges now.
    pub fn counters(&self) -> WebhookCounters {
        WebhookCounters {
            deliveries: self.listeners.deliveries.get(),
            deliveries_lost: self.listeners.lost.get(),
            ..self.tally.counters()
        }
    }

    /// How long events took.
    pub fn times(&self) -> WebhookTimes {
        self.tally.times()
    }

    /// The run's own handler.
    fn upstream(&self) -> Option<Endpoint> {
        self.upstream.borrow().clone()
    }
}

/// Whom to dial for a URL.
fn dialled<'a>(url: &'a WebhookUrl, upstream: Option<&'a Endpoint>) -> &'a Endpoint {
    upstream
        .filter(|_| url.endpoint.host.eq_ignore_ascii_case(UPSTREAM_HOST))
        .unwrap_or(&url.endpoint)
}

/// Runs a task that belongs to an event. The hub's end waits for it as it does for a connection,
/// and cuts it off as it does one.
fn spawn(hub: &Rc<Hub>, task: impl Future<Output = ()> + 'static) {
    super::tally::add(&hub.webhooks.tasks, 1);
    let (alive, counted) = (AliveGuard::new(hub), EventGuard(Rc::clone(hub)));
    let mut phase = hub.phase.subscribe();
    tokio::task::spawn_local(async move {
        let _guards = (alive, counted);
        tokio::select! {
            biased;
            _ = phase.wait_for(|phase| *phase == Phase::Killed) => {}
            () = task => {}
        }
    });
}
