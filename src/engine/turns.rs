//! Messages that a hub with limits of throughput still holds when the load is over: nobody leaves
//! before they are delivered, for as long as draining may take.

use std::time::Duration;

use tokio::time::Instant;

use super::dispatcher::Dispatcher;
use super::{EngineError, Stop};
use crate::protocol::control::{COUNTERS_PATH, Counters};

/// Between two looks at the hub's counters.
const LOOK_EVERY: Duration = Duration::from_millis(100);

impl Dispatcher {
    /// Waits until no message waits for its turn in the hub, and the last have reached their
    /// receivers. A hub that does not say is not waited for; its messages may be lost then, which
    /// the delivery's check tells.
    pub(super) async fn turns_taken(&mut self, until: Instant) -> Result<(), EngineError> {
        if self.hands.plan.hub.throughput.is_none() {
            return Ok(());
        }
        let Ok(mut caller) = self.hands.caller() else { return Ok(()) };
        while Instant::now() < until && self.stopped < Stop::Now {
            let Ok(counters) = caller.get::<Counters>(COUNTERS_PATH).await else { break };
            let look = (Instant::now() + LOOK_EVERY).min(until);
            self.pump_unless_now(look, |_| false).await?;
            if counters.waiting == 0 {
                break;
            }
        }
        Ok(())
    }
}
