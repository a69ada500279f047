//! The opening handshake, client side; and what the server side needs to answer one.
//!
//! The future of a handshake is short-lived and boxed by its callers, so that nothing of the HTTP
//! exchange stays in a connection's memory.

use bytes::Bytes;

use crate::event::HandshakeFailure;
use crate::net::Stream;
use crate::protocol::Subprotocol;

/// Largest answer to an upgrade that is read, head and body.
pub const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// An upgrade request.
#[derive(Clone, Debug)]
pub struct UpgradeRequest<'a> {
    /// Value of `Host`.
    pub authority: &'a str,
    /// Path and query, percent-encoded; it may hold an access token and is never logged.
    pub path_and_query: &'a str,
    /// Subprotocol asked for.
    pub subprotocol: Subprotocol,
    /// The 16 random bytes of `Sec-WebSocket-Key`, from the run's seed.
    pub key: [u8; 16],
}

/// How an upgrade went.
#[derive(Debug)]
pub enum UpgradeAnswer {
    /// 101, checked. Bytes that came behind it belong to the [`super::FrameReader`].
    Upgraded {
        /// The stream.
        stream: Stream,
        /// Bytes behind the 101.
        leftover: Bytes,
    },
    /// Another status.
    Refused {
        /// HTTP status.
        status: u16,
        /// Start of the body, at most 200 characters.
        body: String,
    },
}

/// Sends the request and reads the answer. The caller bounds the time.
pub async fn upgrade(
    _stream: Stream,
    _request: &UpgradeRequest<'_>,
) -> Result<UpgradeAnswer, HandshakeFailure> {
    unimplemented!()
}

/// `Sec-WebSocket-Accept` for a `Sec-WebSocket-Key`; `None` when the key is not 16 bytes in base64.
#[must_use]
pub fn accept_key(_key: &str) -> Option<String> {
    unimplemented!()
}
