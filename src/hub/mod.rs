//! The emulated service: accept, authenticate, groups, fan-out, bounded outbound queues, keep-alive,
//! tier limits, REST, metrics, resource logs, control API.
//!
//! One hub process lives on one thread: its state is not shared and needs no locks. Several hub
//! processes are how it scales.

use std::future::Future;

use crate::net::{Clock, Listener};
use crate::protocol::HubSettings;
use crate::protocol::control::Counters;
use crate::protocol::token::AccessKeys;

/// Whether the control API under `/_squall/` is offered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ControlApi {
    /// To callers from loopback, signed with the access key.
    Loopback,
    /// Not at all.
    Off,
}

/// What a hub needs.
#[derive(Debug)]
pub struct HubOptions {
    /// Bound listener.
    pub listener: Listener,
    /// The world's clock.
    pub clock: Clock,
    /// Settings at the start.
    pub settings: HubSettings,
    /// Access keys.
    pub keys: AccessKeys,
    /// Whether the control API is offered.
    pub control: ControlApi,
    /// Seed of connection ids.
    pub seed: u64,
}

/// Serves until `stop` is ready, then drains: no new connections, open ones are closed (1001), at
/// most `drain` long. Returns the final counters. Runs inside a `LocalSet` on a current-thread
/// runtime; all its tasks live there.
pub async fn serve(
    _options: HubOptions,
    _stop: impl Future<Output = ()>,
    _drain: std::time::Duration,
) -> Counters {
    unimplemented!()
}
