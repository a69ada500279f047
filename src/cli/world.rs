//! A virtual world: one thread, one runtime with a clock that stands still until everybody waits
//! and then jumps to the next instant at which something happens.
//!
//! Nothing of one world is known to another, so any number of them may run side by side.

use std::thread;

use clap::ValueEnum;
use clap::builder::PossibleValue;
use tokio::sync::oneshot;
use tokio::task::LocalSet;

use super::CliError;
use super::session::{self, Began, Context, Done, Keep};
use crate::event::World;
use crate::net::Clock;
use crate::report::words;
use crate::scenario::Plan;

/// When every virtual world begins: 2026-01-01T00:00:00Z, in nanoseconds since the Unix epoch.
const EPOCH_UNIX_NS: u64 = 1_767_225_600_000_000_000;

impl ValueEnum for World {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Sockets, Self::Virtual]
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        let help = match self {
            Self::Sockets => "The machine's clock, TCP or TLS",
            Self::Virtual => {
                "A simulated clock and links in memory: hours in seconds, every time the same"
            }
        };
        Some(PossibleValue::new(words::world(*self)).help(help))
    }
}

/// Runs a plan in a virtual world of its own, on a thread of its own.
pub async fn run(
    context: &Context,
    plan: Plan,
    keep: Keep,
    label: String,
) -> Result<Done, CliError> {
    let context = context.clone();
    let (sender, result) = oneshot::channel();
    thread::Builder::new()
        .name("squall-world".to_owned())
        .spawn(move || {
            // Who asked may have been interrupted; the folder is written all the same.
            let _ = sender.send(live(&context, plan, &keep, &label));
        })
        .map_err(|error| CliError::Internal(format!("no thread for a world: {error}")))?;
    result.await.unwrap_or_else(|_| Err(CliError::Internal("a world broke off".to_owned())))
}

/// Runs a plan in a virtual world of its own, on this thread, which must be in no runtime.
pub fn live(context: &Context, plan: Plan, keep: &Keep, label: &str) -> Result<Done, CliError> {
    let began = Began::now(context.clock);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .map_err(|error| CliError::Internal(format!("no runtime: {error}")))?;
    let lived = LocalSet::new().block_on(&runtime, async {
        let within = Context { clock: Clock::fixed(EPOCH_UNIX_NS), ..context.clone() };
        session::live(&within, plan, keep, label).await
    });
    // Out of the world, where time is real again.
    session::conclude(context, began, keep, lived)
}
