//! The closed stream enum.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// A byte stream between a client and a hub.
#[derive(Debug)]
pub enum Stream {
    /// Plain TCP.
    Tcp(TcpStream),
    /// TLS over TCP, client or server side.
    Tls(Box<tokio_rustls::TlsStream<TcpStream>>),
}

impl Stream {
    /// Ends the connection with a reset: nothing that is queued is sent, and the peer learns of it
    /// without reading. Synchronous and immediate.
    pub fn abort(self) {
        unimplemented!()
    }

    /// Ready once the peer has reset the connection (or both directions have ended), without
    /// reading: what is unread stays unread. Must not spin while unread bytes are there. An orderly
    /// end of the peer's direction alone is not seen.
    pub fn poll_hung_up(&self, _cx: &mut Context<'_>) -> Poll<()> {
        unimplemented!()
    }

    /// The peer's address.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        unimplemented!()
    }

    /// Sets kernel buffers of an open stream (`SO_SNDBUF`, `SO_RCVBUF`), in bytes as asked for.
    pub fn set_buffers(&self, _buffers: crate::protocol::settings::SocketBuffers) -> io::Result<()> {
        unimplemented!()
    }

    /// Writes what the socket takes now of several buffers, without waiting;
    /// `ErrorKind::WouldBlock` when it takes nothing.
    pub fn try_write_vectored(&mut self, _buffers: &[io::IoSlice<'_>]) -> io::Result<usize> {
        unimplemented!()
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        _buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        unimplemented!()
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        _buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        unimplemented!()
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        unimplemented!()
    }

    /// Half-close: FIN after what is queued.
    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        unimplemented!()
    }

    fn is_write_vectored(&self) -> bool {
        true
    }
}
