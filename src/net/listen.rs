//! Listeners.

use std::io;
use std::net::SocketAddr;

use super::Stream;
use crate::protocol::settings::SocketBuffers;

/// How to listen.
#[derive(Clone, Copy, Debug)]
pub struct ListenOptions {
    /// Where; port 0 lets the system choose.
    pub address: SocketAddr,
    /// Kernel buffers of accepted sockets.
    pub buffers: SocketBuffers,
}

/// A bound listener.
#[derive(Debug)]
pub struct Listener {
    inner: tokio::net::TcpListener,
    backlog: u32,
}

impl Listener {
    /// Binds, with the system's largest listen backlog (`net.core.somaxconn`).
    pub fn bind(_options: ListenOptions) -> io::Result<Self> {
        unimplemented!()
    }

    /// The bound address.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr()
    }

    /// The listen backlog in force.
    #[must_use]
    pub const fn backlog(&self) -> u32 {
        self.backlog
    }

    /// The next connection, with `TCP_NODELAY`.
    pub async fn accept(&self) -> io::Result<(Stream, SocketAddr)> {
        unimplemented!()
    }
}
