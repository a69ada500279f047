//! Listeners.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::time::Instant;

use super::Stream;
use super::stream::set_buffers;
use crate::protocol::settings::SocketBuffers;

/// Listen backlog where the system's largest cannot be read.
const BACKLOG_DEFAULT: u32 = 4096;

/// How long a listener leaves the queue alone after an error, most likely that there is no descriptor
/// for a connection: the connection stays in the queue, so trying again at once would spin.
pub const ERROR_PAUSE: Duration = Duration::from_millis(50);

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
    buffers: Cell<SocketBuffers>,
    /// End of the pause after an error.
    paused_until: Cell<Option<Instant>>,
}

impl Listener {
    /// Binds, with the system's largest listen backlog (`net.core.somaxconn`). Must be called
    /// inside a runtime.
    pub fn bind(options: ListenOptions) -> io::Result<Self> {
        let backlog = system_backlog();
        let socket =
            Socket::new(Domain::for_address(options.address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_nonblocking(true)?;
        socket.set_reuse_address(true)?;
        set_buffers(SockRef::from(&socket), options.buffers)?;
        socket.bind(&options.address.into())?;
        socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        Ok(Self {
            inner: tokio::net::TcpListener::from_std(socket.into())?,
            backlog,
            buffers: Cell::new(options.buffers),
            paused_until: Cell::new(None),
        })
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

    /// Changes the kernel buffers of the connections accepted from now on. A buffer set to `None`
    /// keeps the size the listener has: the system offers no way back to its own choice.
    pub fn set_buffers(&self, buffers: SocketBuffers) -> io::Result<()> {
        set_buffers(SockRef::from(&self.inner), buffers)?;
        self.buffers.set(buffers);
        Ok(())
    }

    /// The next connection, with `TCP_NODELAY`. A connection that its peer gave up in the queue is
    /// passed over. After an error (see [`super::budget::is_out_of_descriptors`]) the next call
    /// waits [`ERROR_PAUSE`] first, so that a loop over this does not spin. Dropping the future
    /// loses no connection.
    pub async fn accept(&self) -> io::Result<(Stream, SocketAddr)> {
        if let Some(until) = self.paused_until.get() {
            tokio::time::sleep_until(until).await;
            self.paused_until.set(None);
        }
        loop {
            match self.inner.accept().await {
                Ok((stream, peer)) => {
                    // Inherited from the listener, but a connection may have been queued before
                    // its buffers were changed. Both fail only on a connection already gone, which
                    // its reader learns.
                    let _ = set_buffers(SockRef::from(&stream), self.buffers.get());
                    let _ = stream.set_nodelay(true);
                    return Ok((Stream::from(stream), peer));
                }
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    self.paused_until.set(Some(Instant::now() + ERROR_PAUSE));
                    return Err(error);
                }
            }
        }
    }
}

/// Errors that `accept(2)` passes on from the connection it takes out of the queue.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::NetworkDown
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::TimedOut
    )
}

fn system_backlog() -> u32 {
    std::fs::read_to_string("/proc/sys/net/core/somaxconn")
        .ok()
        .and_then(|text| text.trim().parse().ok())
        .unwrap_or(BACKLOG_DEFAULT)
}
