//! Ctrl-C. The first one (or SIGTERM) stops arrivals, drains and writes every file; the second one
//! ends the process within a second.

use std::time::Duration;

use tokio::sync::watch;

use super::{CliError, say};
use crate::engine::Stop;

/// What is left to a run after the second Ctrl-C.
const LAST_GRACE: Duration = Duration::from_millis(400);

/// The state of stopping. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Interrupts {
    stop: watch::Receiver<Stop>,
    over: watch::Receiver<bool>,
}

impl Interrupts {
    /// Listens for signals from now on, on the current `LocalSet`; says `notice` at the first one.
    pub fn listen(notice: &'static str) -> Result<Self, CliError> {
        let (stop_sender, stop) = watch::channel(Stop::Run);
        let (over_sender, over) = watch::channel(false);
        let mut signals = Signals::new()?;
        tokio::task::spawn_local(async move {
            signals.next().await;
            let _ = stop_sender.send(Stop::Drain);
            say(&format!("\n{notice}; once more to stop at once\n"));
            signals.next().await;
            let _ = stop_sender.send(Stop::Now);
            tokio::time::sleep(LAST_GRACE).await;
            let _ = over_sender.send(true);
            // The senders live as long as anybody may ask.
            std::future::pending::<()>().await;
        });
        Ok(Self { stop, over })
    }

    /// For the engine.
    #[must_use]
    pub fn stop(&self) -> watch::Receiver<Stop> {
        self.stop.clone()
    }

    /// Whether the user has asked to stop.
    #[must_use]
    pub fn asked(&self) -> bool {
        *self.stop.borrow() != Stop::Run
    }

    /// Ready once even the last grace is over.
    pub async fn over(&self) {
        let mut over = self.over.clone();
        if over.wait_for(|over| *over).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Ready at the first signal.
    pub async fn first(&self) {
        let mut stop = self.stop.clone();
        let _ = stop.wait_for(|stop| *stop != Stop::Run).await;
    }
}

/// SIGINT and SIGTERM.
#[cfg(unix)]
#[derive(Debug)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> Result<Self, CliError> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| {
            signal(kind).map_err(|error| CliError::Internal(format!("no signal handler: {error}")))
        };
        Ok(Self {
            interrupt: listen(SignalKind::interrupt())?,
            terminate: listen(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Ctrl-C.
#[cfg(not(unix))]
#[derive(Debug)]
struct Signals {}

#[cfg(not(unix))]
impl Signals {
    fn new() -> Result<Self, CliError> {
        Ok(Self {})
    }

    async fn next(&mut self) {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
