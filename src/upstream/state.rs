//! What the server's tasks share.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::rules::Rules;
use super::tally::Tally;
use super::{Begins, ControlApi, Notice, RequestEnd, RequestTold, UpstreamOptions};
use crate::net::{Clock, Listener, Pacer};
use crate::protocol::token::AccessKeys;
use crate::protocol::webhook::{RequestKind, UpstreamCounts};
use crate::scenario::UpstreamScript;
use crate::scenario::plan::KeyOf;
use crate::secret::Secret;

/// The key of another hub. It signs nothing anywhere, and opens nothing.
const ANOTHER_KEY: &str = "the access key of another hub";

/// Whether somebody listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Yes.
    Serving,
    /// Not for a while: open connections are reset, but for those of the control API.
    Down,
    /// No more: open connections are reset.
    Stopped,
}

/// A server.
#[derive(Debug)]
pub struct Upstream {
    pub script: UpstreamScript,
    pub clock: Clock,
    /// Sign calls of the control API.
    pub keys: AccessKeys,
    /// Sign events, as the script was set up.
    pub believed: AccessKeys,
    pub origins: Vec<String>,
    pub control: ControlApi,
    begins: Begins,
    seed: u64,
    notices: Option<mpsc::Sender<Notice>>,
    pub pacer: Pacer,
    phase: Cell<Phase>,
    /// Told when the phase changes; wakes connections in the order in which they came.
    pub phase_changed: Notify,
    /// Connections that are served.
    alive: Cell<u64>,
    fewer_alive: Notify,
    /// Told when a timeline begins; one waiter.
    pub began: Notify,
    timeline: RefCell<Timeline>,
}

/// What begins anew with a timeline.
#[derive(Debug)]
pub struct Timeline {
    /// Timelines before it.
    number: u64,
    pub start: Instant,
    pub rules: Rules,
    pub tally: Tally,
}

impl Upstream {
    /// A server whose timeline begins now, and its listener.
    pub fn new(options: UpstreamOptions) -> (Rc<Self>, Listener) {
        let UpstreamOptions {
            listener,
            script,
            clock,
            keys,
            origins,
            control,
            begins,
            seed,
            notices,
        } = options;
        let timeline = Timeline {
            number: 0,
            start: Instant::now(),
            rules: Rules::new(&script, seed),
            tally: Tally::default(),
        };
        let believed = match script.access_key {
            KeyOf::Hub => keys.clone(),
            KeyOf::AnotherHub => AccessKeys { primary: Secret::new(ANOTHER_KEY), secondary: None },
        };
        let upstream = Self {
            script,
            clock,
            keys,
            believed,
            origins,
            control,
            begins,
            seed,
            notices,
            pacer: Pacer::start(),
            phase: Cell::new(Phase::Serving),
            phase_changed: Notify::new(),
            alive: Cell::new(0),
            fewer_alive: Notify::new(),
            began: Notify::new(),
            timeline: RefCell::new(timeline),
        };
        (Rc::new(upstream), listener)
    }

    /// Begins a timeline: nothing is used up, and nothing counted.
    pub fn begin(&self, run: String) {
        self.with(|timeline| {
            *timeline = Timeline {
                number: timeline.number + 1,
                start: Instant::now(),
                rules: Rules::new(&self.script, self.seed),
                tally: Tally::default(),
            };
        });
        self.began.notify_one();
        self.tell(Notice::RunBegan { run });
    }

    /// Looks at the timeline, or changes it.
    pub fn with<T>(&self, look: impl FnOnce(&mut Timeline) -> T) -> T {
        look(&mut self.timeline.borrow_mut())
    }

    /// The counts of the timeline so far.
    pub fn counts(&self) -> UpstreamCounts {
        self.with(|timeline| timeline.tally.counts())
    }

    /// The window in which nobody listens that is open, or comes next: its start and its end.
    pub fn next_down(&self) -> Option<(Instant, Option<Instant>)> {
        let (number, start) = self.with(|timeline| (timeline.number, timeline.start));
        if self.begins == Begins::WithATimeline && number == 0 {
            return None;
        }
        let since = start.elapsed();
        let next = self
            .script
            .down
            .iter()
            .find(|window| window.until.is_none_or(|until| since < until))?;
        Some((start + next.from, next.until.map(|until| start + until)))
    }

    /// Tells something, if somebody listens and has room.
    pub fn tell(&self, notice: Notice) {
        if let Some(notices) = &self.notices {
            let _ = notices.try_send(notice);
        }
    }

    /// Ready once no connection is served.
    pub async fn all_gone(&self) {
        loop {
            // Before the look: what changes after it is not missed.
            let fewer = self.fewer_alive.notified();
            if self.alive.get() == 0 {
                return;
            }
            fewer.await;
        }
    }

    /// The phase.
    pub fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// Changes the phase.
    pub fn set_phase(&self, phase: Phase) {
        self.phase.set(phase);
        self.phase_changed.notify_waiters();
    }
}

/// A connection that is served.
#[derive(Debug)]
pub struct AliveGuard(Rc<Upstream>);

impl AliveGuard {
    pub fn new(upstream: &Rc<Upstream>) -> Self {
        upstream.alive.set(upstream.alive.get() + 1);
        Self(Rc::clone(upstream))
    }
}

impl Drop for AliveGuard {
    fn drop(&mut self) {
        self.0.alive.set(self.0.alive.get().saturating_sub(1));
        self.0.fewer_alive.notify_waiters();
    }
}

/// A hub's request, from its head to its end, however that comes.
#[derive(Debug)]
pub struct Underway {
    upstream: Rc<Upstream>,
    kind: RequestKind,
    connection_id: String,
    timeline: u64,
    began: Instant,
    at: Duration,
    ended: Option<RequestEnd>,
}

impl Underway {
    /// A request has come.
    pub fn begin(upstream: &Rc<Upstream>, kind: RequestKind, connection_id: &str) -> Self {
        let began = Instant::now();
        let (timeline, at) = upstream.with(|timeline| {
            let at = began.saturating_duration_since(timeline.start);
            timeline.tally.begin(&kind, connection_id, at);
            (timeline.number, at)
        });
        Self {
            upstream: Rc::clone(upstream),
            kind,
            connection_id: connection_id.to_owned(),
            timeline,
            began,
            at,
            ended: None,
        }
    }

    /// It has ended like this.
    pub fn end(mut self, ended: RequestEnd) {
        self.ended = Some(ended);
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        // Whoever drops it without a word was cut off: by the server, or because the hub left.
        let cut_off = match self.upstream.phase() {
            Phase::Serving => RequestEnd::Abandoned,
            Phase::Down | Phase::Stopped => RequestEnd::BrokenOff,
        };
        let ended = self.ended.unwrap_or(cut_off);
        self.upstream.with(|timeline| {
            if timeline.number == self.timeline {
                timeline.tally.end(&self.kind, ended);
            }
        });
        let told = RequestTold {
            at: self.at,
            kind: Some(self.kind.clone()),
            connection_id: std::mem::take(&mut self.connection_id),
            ended,
            took: self.began.elapsed(),
        };
        self.upstream.tell(Notice::Request(told));
    }
}
