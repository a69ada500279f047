//! The run that a hub serves, if any: its settings hold for as long as it lasts and no longer, so
//! that whoever uses the hub afterwards meets the settings it was started with.
//!
//! A run is told by its `POST` of a timeline, and its end by its ledger: whoever runs it reads that
//! until everything is known. A run is over
//!
//! - once its reader has left and no connection is open any more, at once;
//! - [`ALONE_MAX`] after its reader has left, whoever is still connected;
//! - [`ALONE_MAX`] after its start, when no reader came.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use super::Notice;
use super::state::Hub;

/// How long a run lasts without a reader of its ledger, at most.
pub const ALONE_MAX: Duration = Duration::from_secs(5);

/// The run that is on, and who wants to know of it.
#[derive(Debug)]
pub struct Runs {
    on: RefCell<Option<Run>>,
    /// Told when there may be something new to decide.
    changed: Notify,
    notices: Option<mpsc::Sender<Notice>>,
}

#[derive(Debug)]
struct Run {
    name: String,
    timeline: u64,
    /// Who reads its ledger now.
    readers: u64,
    /// Whether a reader of its ledger has come.
    was_read: bool,
    /// Since when nobody reads; looked at while `readers` is zero.
    alone_since: Instant,
}

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// There is none, or it is read.
    Settled,
    /// Nobody reads it: over at this instant, unless something changes.
    Alone(Instant),
    /// It is over.
    Over,
}

impl Runs {
    /// No run.
    pub fn new(notices: Option<mpsc::Sender<Notice>>) -> Self {
        Self { on: RefCell::new(None), changed: Notify::new(), notices }
    }

    /// A run takes over, from another one if need be.
    pub fn begin(&self, name: String, event_handlers: usize, timeline: u64) {
        self.tell(Notice::RunBegan { run: name.clone(), event_handlers });
        let alone_since = Instant::now();
        let run = Run { name, timeline, readers: 0, was_read: false, alone_since };
        *self.on.borrow_mut() = Some(run);
        self.changed.notify_one();
    }

    /// Who was open is gone.
    pub fn nobody_open(&self) {
        self.changed.notify_one();
    }

    fn standing(&self, open: u64) -> Standing {
        match self.on.borrow().as_ref() {
            Some(run) if run.readers == 0 => {
                let until = run.alone_since + ALONE_MAX;
                if (run.was_read && open == 0) || Instant::now() >= until {
                    Standing::Over
                } else {
                    Standing::Alone(until)
                }
            }
            _ => Standing::Settled,
        }
    }

    fn end(&self) {
        if let Some(run) = self.on.take() {
            self.tell(Notice::RunOver { run: run.name });
        }
    }

    /// A notice that nobody takes in time is lost: the hub does not wait for it.
    fn tell(&self, notice: Notice) {
        if let Some(notices) = &self.notices {
            let _ = notices.try_send(notice);
        }
    }
}

/// Returns to the settings of the start whenever a run is over, for as long as the hub lives.
pub async fn watch(hub: Rc<Hub>) {
    let runs = &hub.runs;
    loop {
        match runs.standing(hub.tally.open.get()) {
            Standing::Settled => runs.changed.notified().await,
            Standing::Alone(until) => {
                tokio::select! {
                    biased;
                    () = runs.changed.notified() => {}
                    () = hub.pacer.until(until) => {}
                }
            }
            Standing::Over => {
                hub.return_to_start();
                runs.end();
            }
        }
    }
}

/// A reader of a run's ledger, for as long as it lives.
#[derive(Debug)]
pub struct Reader {
    hub: Rc<Hub>,
    timeline: u64,
}

impl Reader {
    /// A reader has come.
    pub fn new(hub: &Rc<Hub>) -> Self {
        let timeline = hub.timeline.get();
        if let Some(run) = hub.runs.on.borrow_mut().as_mut() {
            run.readers += 1;
            run.was_read = true;
        }
        Self { hub: Rc::clone(hub), timeline }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let runs = &self.hub.runs;
        let mut on = runs.on.borrow_mut();
        // A reader from before the run is none of its own.
        if let Some(run) = on.as_mut().filter(|run| run.timeline == self.timeline) {
            run.readers -= 1;
            run.alone_since = Instant::now();
            runs.changed.notify_one();
        }
    }
}
