//! Listeners.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tokio::time::Instant;

use super::Stream;
use super::link::{LinkListener, Network};
use super::stream::set_buffers;
use crate::protocol::settings::SocketBuffers;

/// Listen backlog where the system's largest cannot be read.
const BACKLOG_DEFAULT: u32 = 4096;

/// How long a listener leaves the queue alone after an error, most likely that there is no
/// descriptor for a connection: it stays in the queue, so trying again at once would spin.
pub const ERROR_PAUSE: Duration = Duration::from_millis(50);

/// How to listen.
#[derive(Clone, Copy, Debug)]
pub struct ListenOptions {
    /// Where; port 0 lets the system choose.
    pub address: SocketAddr,
    /// Kernel buffers of accepted sockets.
    pub buffers: SocketBuffers,
}

/// Where connections come from.
#[derive(Debug)]
pub enum Listener {
    /// TCP.
    Tcp(TcpListener),
    /// The network in memory.
    Links(LinkListener),
}

impl Listener {
    /// Changes the buffers of the connections accepted from now on; see
    /// [`TcpListener::set_buffers`].
    pub fn set_buffers(&self, buffers: SocketBuffers) -> io::Result<()> {
        match self {
            Self::Tcp(listener) => listener.set_buffers(buffers),
            Self::Links(listener) => {
                listener.set_buffers(buffers);
                Ok(())
            }
        }
    }

    /// The listen backlog in force.
    #[must_use]
    pub const fn backlog(&self) -> u32 {
        match self {
            Self::Tcp(listener) => listener.backlog(),
            Self::Links(_) => LinkListener::BACKLOG,
        }
    }

    /// Stops listening: those who wait to be accepted are reset, and whoever dials from now on is
    /// refused. The system gives the port to nobody else meanwhile.
    pub fn close(self) -> io::Result<ClosedListener> {
        match self {
            Self::Tcp(listener) => {
                let options = ListenOptions {
                    address: listener.local_addr()?,
                    buffers: listener.buffers.get(),
                };
                // The address cannot be bound twice while somebody listens there.
                drop(listener);
                Ok(ClosedListener::Tcp { held: bound(options).ok(), options })
            }
            Self::Links(listener) => {
                let (network, authority, buffers) = listener.place();
                Ok(ClosedListener::Links { network, authority, buffers })
            }
        }
    }

    /// The next connection; see [`TcpListener::accept`].
    pub async fn accept(&self) -> io::Result<(Stream, SocketAddr)> {
        match self {
            Self::Tcp(listener) => listener.accept().await,
            Self::Links(listener) => {
                let (link, peer) = listener.accept().await;
                Ok((Stream::Link(link), peer))
            }
        }
    }
}

/// An address where nobody listens for a while.
#[derive(Debug)]
pub enum ClosedListener {
    /// TCP.
    Tcp {
        /// Bound, so that the system gives the port to nobody: a dialler of this machine might get
        /// it as its own, and reach itself.
        held: Option<Socket>,
        /// How to listen again.
        options: ListenOptions,
    },
    /// The network in memory.
    Links {
        /// Which.
        network: Network,
        /// Where.
        authority: String,
        /// Buffers of the connections that come.
        buffers: SocketBuffers,
    },
}

impl ClosedListener {
    /// Listens again. After an error it can be tried once more.
    pub fn open(&mut self) -> io::Result<Listener> {
        match self {
            Self::Tcp { held, options } => {
                let socket = held.take().map_or_else(|| bound(*options), Ok)?;
                listening(socket, options.buffers).map(Listener::Tcp)
            }
            Self::Links { network, authority, buffers } => {
                network.listen(authority, *buffers).map(Listener::Links)
            }
        }
    }
}

/// A bound TCP listener.
#[derive(Debug)]
pub struct TcpListener {
    inner: tokio::net::TcpListener,
    backlog: u32,
    buffers: Cell<SocketBuffers>,
    /// End of the pause after an error.
    paused_until: Cell<Option<Instant>>,
}

impl TcpListener {
    /// Binds, with the system's largest listen backlog (`net.core.somaxconn`). Must be called
    /// inside a runtime.
    pub fn bind(options: ListenOptions) -> io::Result<Self> {
        listening(bound(options)?, options.buffers)
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
        set_buffers(&SockRef::from(&self.inner), buffers)?;
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
                    let _ = set_buffers(&SockRef::from(&stream), self.buffers.get());
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

/// A socket with its address, at which nobody listens yet.
fn bound(options: ListenOptions) -> io::Result<Socket> {
    let domain = Domain::for_address(options.address);
    let socket = Socket::new(domain, Type::STREAM, Some(Protocol::TCP))?;
    socket.set_nonblocking(true)?;
    socket.set_reuse_address(true)?;
    set_buffers(&SockRef::from(&socket), options.buffers)?;
    socket.bind(&options.address.into())?;
    Ok(socket)
}

fn listening(socket: Socket, buffers: SocketBuffers) -> io::Result<TcpListener> {
    let backlog = system_backlog();
    socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(TcpListener {
        inner: tokio::net::TcpListener::from_std(socket.into())?,
        backlog,
        buffers: Cell::new(buffers),
        paused_until: Cell::new(None),
    })
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

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use tokio::net::TcpStream;

    use super::*;
    use crate::net::testing::bounded;

    fn bind(buffers: SocketBuffers) -> TcpListener {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        TcpListener::bind(ListenOptions { address, buffers }).unwrap()
    }

    async fn accepted(listener: &TcpListener) -> (Stream, TcpStream) {
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, peer) = bounded(listener.accept()).await.unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
        (stream, client)
    }

    /// `SO_SNDBUF`, `SO_RCVBUF` as the system states them; Linux doubles what is asked for.
    fn sizes(stream: &Stream) -> (usize, usize) {
        let Stream::Tcp(tcp) = stream else { panic!("plain TCP") };
        assert!(tcp.tcp_stream().nodelay().unwrap());
        let socket = SockRef::from(tcp.tcp_stream());
        (socket.send_buffer_size().unwrap(), socket.recv_buffer_size().unwrap())
    }

    #[tokio::test]
    async fn accepted_connections_have_the_buffers_asked_for_also_after_a_change() {
        let listener = bind(SocketBuffers { send: Some(16 * 1024), receive: Some(8 * 1024) });
        let (stream, _client) = accepted(&listener).await;
        let (send, receive) = sizes(&stream);
        assert!((16 * 1024..=32 * 1024).contains(&send), "{send}");
        assert!((8 * 1024..=16 * 1024).contains(&receive), "{receive}");

        // Changed while a connection waits in the queue.
        let _waiting = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        listener.set_buffers(SocketBuffers { send: Some(64 * 1024), receive: None }).unwrap();
        for _ in 0..2 {
            let (stream, _) = bounded(listener.accept()).await.unwrap();
            let (send, receive) = sizes(&stream);
            assert!((64 * 1024..=128 * 1024).contains(&send), "{send}");
            assert!((8 * 1024..=16 * 1024).contains(&receive), "{receive}");
            drop(stream);
            TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        }
    }

    #[tokio::test]
    async fn connections_wait_in_the_queue_until_they_are_accepted() {
        let listener = bind(SocketBuffers::default());
        assert!(listener.backlog() >= 1);
        let mut clients = Vec::new();
        for _ in 0..50 {
            clients.push(TcpStream::connect(listener.local_addr().unwrap()).await.unwrap());
        }
        for client in &clients {
            let (_stream, peer) = bounded(listener.accept()).await.unwrap();
            assert_eq!(peer, client.local_addr().unwrap(), "in the order in which they came");
        }
    }

    #[tokio::test]
    async fn a_closed_listener_refuses_and_keeps_its_port_until_it_is_opened() {
        let listener = bind(SocketBuffers::default());
        let address = listener.local_addr().unwrap();
        let waiting = TcpStream::connect(address).await.unwrap();
        let mut closed = Listener::Tcp(listener).close().unwrap();
        assert_eq!(
            bounded(waiting.readable())
                .await
                .map(|()| waiting.try_read(&mut [0]))
                .unwrap()
                .unwrap_err()
                .kind(),
            io::ErrorKind::ConnectionReset
        );
        for _ in 0..3 {
            let refused = TcpStream::connect(address).await.unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        }
        let Listener::Tcp(opened) = closed.open().unwrap() else { panic!("TCP") };
        assert_eq!(opened.local_addr().unwrap(), address);
        accepted(&opened).await;
    }

    #[tokio::test]
    async fn a_port_in_use_is_refused() {
        let listener = bind(SocketBuffers::default());
        let options = ListenOptions {
            address: listener.local_addr().unwrap(),
            buffers: SocketBuffers::default(),
        };
        assert_eq!(TcpListener::bind(options).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
