//! A scripted application server: it answers the events of a hub, or misanswers them, as its
//! [`UpstreamScript`] says. It runs over sockets and over links in memory, on one thread.
//!
//! # The way of a request
//!
//! | step | where |
//! | --- | --- |
//! | connection accepted, or refused while nobody listens | `server` |
//! | sorted: the control API, a hub's request, or a stranger's | `server`, `control`, `asked` |
//! | counted with the connection it comes from | `tally` |
//! | key, signature, then the first rule that takes it; delay and chance drawn | `rules` |
//! | waited for, interruptibly; then answered, or broken off | `server`, `answer` |
//!
//! # Using it
//!
//! [`serve`] needs a bound [`Listener`] and ends when `stop` is ready. Windows of the script count
//! from the start of its timeline: its own start, until somebody begins a timeline through the
//! control API (`POST /_squall/timeline` with a
//! [`StartUpstream`](crate::protocol::webhook::counts::StartUpstream)). Its counts are what
//! [`serve`] returns, and `GET /_squall/counters` at any time. Both calls are signed with the
//! access key as the hub's are (audience: the URL), and answered on loopback only. A connection
//! over which they came stays open through windows in which nobody listens, so that whoever keeps
//! one can still read.
//!
//! A hub sends events to any path here: `http://host:port/` with whatever `{hub}` and `{event}`
//! behind it. Where the script asks for a key, `?code=KEY` belongs to the URL.

mod answer;
mod asked;
mod control;
mod rules;
mod server;
mod state;
mod tally;

use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::mpsc;

use crate::net::{Clock, Listener};
use crate::protocol::token::AccessKeys;
use crate::protocol::webhook::{RequestKind, UpstreamCounts};
use crate::scenario::UpstreamScript;
use state::{Phase, Upstream};

/// How long connections that were cut off may take to end; they only have to be polled once more.
const CUT_OFF_MAX: Duration = Duration::from_secs(1);

/// Whether the control API under `/_squall/` is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlApi {
    /// To callers from loopback, signed with the access key.
    Loopback,
    /// Not at all.
    Off,
}

/// When the script's windows of its downtime begin to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Begins {
    /// With the server's start, and anew with every timeline.
    AtOnce,
    /// With the first timeline: before it the server listens, so that somebody can begin it.
    WithATimeline,
}

/// What a scripted application server needs.
#[derive(Debug)]
pub struct UpstreamOptions {
    /// Bound listener.
    pub listener: Listener,
    /// What it answers.
    pub script: UpstreamScript,
    /// The world's clock.
    pub clock: Clock,
    /// Keys of the hub: they sign calls of the control API, and its events, unless the script
    /// believes another hub's.
    pub keys: AccessKeys,
    /// Values of `WebHook-Request-Origin` that are acceptable, in any case and compared whole:
    /// hosts, with and without port. None is any. Looked at where the script rejects.
    pub origins: Vec<String>,
    /// Whether the control API is offered.
    pub control: ControlApi,
    /// When windows begin to count.
    pub begins: Begins,
    /// Seed of delays and chances.
    pub seed: u64,
    /// Where notices go; one that finds no room is lost.
    pub notices: Option<mpsc::Sender<Notice>>,
}

/// What a server has to tell whoever runs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// Somebody began a timeline.
    RunBegan {
        /// The run's name, as it gave it.
        run: String,
    },
    /// A request has ended.
    Request(RequestTold),
}

/// A request that has ended. Holds no secret: no signature, no token, no query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestTold {
    /// When its head had come, since the start of the timeline.
    pub at: Duration,
    /// What it was; `None` for a stranger's.
    pub kind: Option<RequestKind>,
    /// Which connection of the hub it is about; empty for a validation.
    pub connection_id: String,
    /// How it ended.
    pub ended: RequestEnd,
    /// From its head to its end.
    pub took: Duration,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestEnd {
    /// With an answer of this status.
    Answered(u16),
    /// The server broke it off.
    BrokenOff,
    /// The hub gave it up.
    Abandoned,
}

/// Serves until `stop` is ready, then breaks off what is under way and returns the counts. Runs
/// inside a `LocalSet` on a current-thread runtime; all its tasks live there.
pub async fn serve(options: UpstreamOptions, stop: impl Future<Output = ()>) -> UpstreamCounts {
    let (upstream, listener) = Upstream::new(options);
    let mut stop = pin!(stop);
    tokio::select! {
        biased;
        () = stop.as_mut() => {}
        () = server::accept(&upstream, listener) => {}
    }
    upstream.set_phase(Phase::Stopped);
    let _ = tokio::time::timeout(CUT_OFF_MAX, upstream.all_gone()).await;
    upstream.counts()
}
