//! Connecting: resolved once, buffers before the connect, TLS with verification on.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use super::Stream;
use crate::event::ConnectFailure;
use crate::protocol::Endpoint;
use crate::protocol::settings::SocketBuffers;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[error("{detail}")]
pub struct ConnectError {
    /// Kind, for counting.
    pub failure: ConnectFailure,
    /// Text for people, without secrets.
    pub detail: String,
}

/// Dials one endpoint. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Connector {
    endpoint: Endpoint,
    addresses: Arc<[SocketAddr]>,
    tls: Option<Arc<rustls::ClientConfig>>,
}

impl Connector {
    /// Resolves the host once and, for https, loads the trusted roots (the system's, and those of
    /// `ca_file` in PEM). The error says what to do.
    pub async fn new(_endpoint: Endpoint, _ca_file: Option<&Path>) -> Result<Self, ConnectError> {
        unimplemented!()
    }

    /// The endpoint it dials.
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Opens a connection: `TCP_NODELAY`, buffers set before connect, TLS handshake done. The caller
    /// bounds the time.
    pub async fn connect(&self, _buffers: SocketBuffers) -> Result<Stream, ConnectError> {
        let _ = (&self.addresses, &self.tls);
        unimplemented!()
    }
}
