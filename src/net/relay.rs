//! A relay that can go silent: true silent loss between a client and a hub on real sockets.
//!
//! One client, one relay: `client <-> relay <-> hub`, over a loopback socket pair of its own, so two
//! more descriptors per client. Until it is silenced it forwards bytes, ends and resets both ways.
//! Silenced, it neither reads nor forwards anything and tells nobody of an end, so each side has
//! only its own timeouts.

use super::Stream;

/// Silences and ends a relay. Dropping it ends the relay (both sides are reset).
#[derive(Debug)]
pub struct RelayHandle {
    _private: (),
}

impl RelayHandle {
    /// From now on nothing passes.
    pub fn silence(&self) {
        unimplemented!()
    }
}

/// Puts a relay in front of `far`, with the client's receive buffer on the near side, and returns
/// the stream the client uses. The relay's task runs on the current `LocalSet`.
pub async fn relay(
    _far: Stream,
    _receive_buffer: Option<u32>,
) -> std::io::Result<(Stream, RelayHandle)> {
    unimplemented!()
}
