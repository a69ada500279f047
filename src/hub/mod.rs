//! The emulated service: accept, authenticate, groups, fan-out, bounded outbound queues,
//! keep-alive, tier limits, REST, metrics, resource logs, control API.
//!
//! One hub process lives on one thread: its state is not shared and needs no locks. Several hub
//! processes are how it scales.
//!
//! # The way of a connection
//!
//! | step | where |
//! | --- | --- |
//! | socket accepted, HTTP request read within the handshake's time | `server` |
//! | checks in the service's order, place in the quota, 101 | `upgrade` |
//! | a small task of its own reads, looks at the ping, writes | `pump` |
//! | frames handled: join, leave, publish, acknowledgements | `session` |
//! | a message encoded once and put into every receiver's bounded queue | `fan_out`, `queue` |
//! | pings and their timeout, from one ordered set of due times | `keep_alive` |
//! | the first cause ends it; what the wire carries; its ledger row | `close` |
//!
//! On a hub with limits of throughput a message first waits for its turn in `throughput`. Events go
//! to the application's handlers in `webhook`. REST is in `rest`, the control API in `control` with
//! its `faults`, the streams it hands out in `log`, what it tells of one watched client in `story`,
//! and how long a run's settings hold in `runs`.

mod acks;
mod answer;
mod auth;
mod close;
mod connection;
mod control;
mod fan_out;
mod faults;
mod gate;
mod keep_alive;
mod log;
mod paging;
mod pump;
mod query;
mod queue;
mod rest;
mod runs;
mod server;
mod session;
mod state;
mod story;
mod tables;
mod tally;
mod throughput;
mod trace;
mod upgrade;
mod webhook;

use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::net::{Clock, Dialling, Listener};
use crate::protocol::control::Counters;
use crate::protocol::token::AccessKeys;
use crate::protocol::{CloseCategory, HubSettings};
use close::Cause;
use state::{Hub, Phase};

/// Close code of a stopping hub: going away.
const GOING_AWAY: u16 = 1001;

/// How long tasks that were cut off may take to end; they only have to be polled once more.
const CUT_OFF_MAX: Duration = Duration::from_secs(1);

/// Whether the control API under `/_squall/` is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlApi {
    /// To callers from loopback, signed with the access key.
    Loopback,
    /// Not at all.
    Off,
}

/// What a hub has to tell whoever runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A run's settings hold from now on, and its counters begin.
    RunBegan {
        /// Its name, as the run gave it.
        run: String,
        /// Event handlers of its settings.
        event_handlers: usize,
    },
    /// A run is over: the settings of the start hold again.
    RunOver {
        /// Its name, as the run gave it.
        run: String,
    },
}

/// What a hub needs.
#[derive(Debug)]
pub struct HubOptions {
    /// Bound listener.
    pub listener: Listener,
    /// The world's clock.
    pub clock: Clock,
    /// Settings at the start, and again after every run.
    pub settings: HubSettings,
    /// Access keys.
    pub keys: AccessKeys,
    /// Whether the control API is offered.
    pub control: ControlApi,
    /// Seed of connection ids.
    pub seed: u64,
    /// How event handlers are dialled.
    pub dialling: Dialling,
    /// Where deliveries to event listeners go, one line of JSON each without its end. One that
    /// finds no room is lost, and counted.
    pub deliveries: Option<mpsc::Sender<bytes::Bytes>>,
    /// Where notices go; one that finds no room is lost.
    pub notices: Option<mpsc::Sender<Notice>>,
}

/// Serves until `stop` is ready, then drains: no new connections, open ones are closed (1001), at
/// most `drain` long. Returns the final counters. Runs inside a `LocalSet` on a current-thread
/// runtime; all its tasks live there.
pub async fn serve(
    options: HubOptions,
    stop: impl Future<Output = ()>,
    drain: Duration,
) -> Counters {
    let hub = Hub::new(&options);
    hub.spawn_background(keep_alive::run(Rc::clone(&hub)));
    hub.spawn_background(throughput::run(Rc::clone(&hub)));
    hub.spawn_background(runs::watch(Rc::clone(&hub)));
    let mut stop = pin!(stop);
    tokio::select! {
        biased;
        () = stop.as_mut() => {}
        () = server::accept(&hub, &options.listener) => {}
    }
    drop(options);
    shut_down(&hub, drain).await;
    hub.counters()
}

/// Closes whoever is there and waits for their sockets and for the streams' readers, at most
/// `drain` long; then cuts off the rest.
async fn shut_down(hub: &Rc<Hub>, drain: Duration) {
    hub.end_background();
    faults::thaw(hub, Duration::ZERO);
    hub.phase.send_replace(Phase::Draining);
    let open = hub.tables.borrow().all();
    for connection in open {
        close::end(hub, &connection, Cause::close(CloseCategory::ServiceReload, GOING_AWAY, ""));
    }
    let drained = async {
        hub.sockets_gone().await;
        hub.ledger.end();
        hub.trace.end();
        hub.story.log.end();
        hub.all_gone().await;
    };
    if tokio::time::timeout(drain, drained).await.is_ok() {
        return;
    }
    hub.phase.send_replace(Phase::Killed);
    hub.wake_all();
    let _ = tokio::time::timeout(CUT_OFF_MAX, hub.all_gone()).await;
}
