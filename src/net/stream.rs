//! The closed stream enum.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::TcpStream;

use super::link::Link;
use crate::protocol::settings::SocketBuffers;

/// A byte stream between a client and a hub.
#[derive(Debug)]
pub enum Stream {
    /// Plain TCP.
    Tcp(Tcp),
    /// TLS over TCP, client or server side.
    Tls(Box<tokio_rustls::TlsStream<Tcp>>),
    /// A connection in memory.
    Link(Link),
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        Self::Tcp(Tcp::from(stream))
    }
}

impl Stream {
    /// Ends the connection with a reset: nothing that is queued is sent, and the peer learns of it
    /// without reading. Synchronous and immediate.
    pub fn abort(self) {
        // With no time to linger, closing the descriptor drops the queue and sends RST. The option
        // cannot fail on a TCP socket; were it to, the peer would see an end instead.
        let _ = match &self {
            Self::Tcp(tcp) => tcp.io.set_zero_linger(),
            Self::Tls(tls) => tls.get_ref().0.io.set_zero_linger(),
            Self::Link(link) => {
                link.abort();
                Ok(())
            }
        };
    }

    /// Ready once the peer has reset the connection, without reading: what is unread stays unread,
    /// and unread bytes alone wake nobody. An orderly end of the peer's direction is not seen.
    ///
    /// One waiter at a time: the last context polled with is woken, also when the stream is read or
    /// written in between.
    pub fn poll_hung_up(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Tcp(tcp) => tcp.poll_hung_up(cx),
            Self::Tls(tls) => tls.get_mut().0.poll_hung_up(cx),
            Self::Link(link) => link.poll_hung_up(cx),
        }
    }

    /// The peer's address.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(tcp) => tcp.io.peer_addr(),
            Self::Tls(tls) => tls.get_ref().0.io.peer_addr(),
            Self::Link(link) => Ok(link.peer_addr()),
        }
    }

    /// The address at this end.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(tcp) => tcp.io.local_addr(),
            Self::Tls(tls) => tls.get_ref().0.io.local_addr(),
            Self::Link(link) => Ok(link.local_addr()),
        }
    }

    /// Sets buffers of an open stream (`SO_SNDBUF`, `SO_RCVBUF`), in bytes as asked for; `None`
    /// leaves a buffer as it is.
    pub fn set_buffers(&self, buffers: SocketBuffers) -> io::Result<()> {
        match self {
            Self::Tcp(tcp) => set_buffers(&SockRef::from(&*tcp.io), buffers),
            Self::Tls(tls) => set_buffers(&SockRef::from(&*tls.get_ref().0.io), buffers),
            Self::Link(link) => {
                link.set_buffers(buffers);
                Ok(())
            }
        }
    }

    /// Writes what the socket takes now of several buffers, without waiting;
    /// `ErrorKind::WouldBlock` when it takes nothing.
    ///
    /// TLS may take bytes that the socket did not: see [`Stream::has_unsent`].
    pub fn try_write_vectored(&mut self, buffers: &[io::IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.io.try_write_vectored(buffers),
            Self::Link(link) => link.try_write(buffers),
            // Whoever flushes is waiting with its own waker, which a poll from here would replace.
            Self::Tls(_) if self.has_unsent() => Err(io::ErrorKind::WouldBlock.into()),
            Self::Tls(tls) => {
                let mut nobody = Context::from_waker(Waker::noop());
                match Pin::new(tls.as_mut()).poll_write_vectored(&mut nobody, buffers) {
                    Poll::Ready(written) => written,
                    Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
                }
            }
        }
    }

    /// Writes what the kernel takes at this instant, whatever the reactor last knew of the socket;
    /// `ErrorKind::WouldBlock` when it takes nothing. For judging whether the peer is slow, or only
    /// this thread was too busy to learn that the socket has room again. (TLS: as
    /// [`Stream::try_write_vectored`].)
    pub fn write_now(&mut self, buffers: &[io::IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => SockRef::from(&*tcp.io).send_vectored(buffers),
            Self::Tls(_) | Self::Link(_) => self.try_write_vectored(buffers),
        }
    }

    /// Whether bytes that were taken still wait inside the stream, and leave only if somebody polls
    /// a flush. Only with TLS.
    #[must_use]
    pub fn has_unsent(&self) -> bool {
        match self {
            Self::Tcp(_) | Self::Link(_) => false,
            Self::Tls(tls) => tls.get_ref().1.wants_write(),
        }
    }
}

/// Sets `SO_SNDBUF` and `SO_RCVBUF` where they are asked for.
pub(super) fn set_buffers(socket: &SockRef<'_>, buffers: SocketBuffers) -> io::Result<()> {
    if let Some(bytes) = buffers.send {
        socket.set_send_buffer_size(bytes as usize)?;
    }
    if let Some(bytes) = buffers.receive {
        socket.set_recv_buffer_size(bytes as usize)?;
    }
    Ok(())
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Self::Link(link) => link.poll_read(cx, buf),
            Self::Tls(tls) => match ready!(Pin::new(tls.as_mut()).poll_read(cx, buf)) {
                // TCP ended without TLS's own farewell. Whether anything is missing is judged by
                // the protocol above, which has an end of its own.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Poll::Ready(Ok(())),
                result => Poll::Ready(result),
            },
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_write(cx, buf),
            Self::Link(link) => link.poll_write(cx, &[io::IoSlice::new(buf)]),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_write_vectored(cx, bufs),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_write_vectored(cx, bufs),
            Self::Link(link) => link.poll_write(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_flush(cx),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_flush(cx),
            Self::Link(_) => Poll::Ready(Ok(())),
        }
    }

    /// Half-close: FIN after what is queued.
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Tcp(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Self::Tls(tls) => Pin::new(tls.as_mut()).poll_shutdown(cx),
            Self::Link(link) => {
                link.shut_down();
                Poll::Ready(Ok(()))
            }
        }
    }
}

/// A TCP connection whose reset can be awaited without reading.
///
/// tokio has two places for wakers that polls use (read, write), and both are busy for as long as
/// bytes are unread and the socket is writable. Only `ready(Interest::ERROR)` waits for the error
/// alone, and it is a future that borrows the stream. So the stream is counted: the boxed future
/// holds a second count, made when somebody first asks. (Linux reports a reset as `EPOLLERR` even
/// while bytes are unread, once per change, so nothing spins.)
pub struct Tcp {
    io: Arc<TcpStream>,
    hang_up: HangUp,
}

enum HangUp {
    NotAsked,
    Watched(Pin<Box<dyn Future<Output = ()> + Send>>),
    Seen,
}

impl From<TcpStream> for Tcp {
    fn from(stream: TcpStream) -> Self {
        Self { io: Arc::new(stream), hang_up: HangUp::NotAsked }
    }
}

impl fmt::Debug for Tcp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Tcp").field(&self.io).finish()
    }
}

impl Tcp {
    #[cfg(test)]
    pub(super) fn tcp_stream(&self) -> &TcpStream {
        &self.io
    }

    fn poll_hung_up(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if matches!(self.hang_up, HangUp::NotAsked) {
            let io = Arc::clone(&self.io);
            self.hang_up = HangUp::Watched(Box::pin(async move {
                // An error here means that the runtime is going: nothing works any more.
                let _ = io.ready(Interest::ERROR).await;
            }));
        }
        if let HangUp::Watched(watch) = &mut self.hang_up {
            ready!(watch.as_mut().poll(cx));
            self.hang_up = HangUp::Seen;
        }
        Poll::Ready(())
    }
}

impl AsyncRead for Tcp {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(io) = Arc::get_mut(&mut this.io) {
            return Pin::new(io).poll_read(cx, buf);
        }
        loop {
            ready!(this.io.poll_read_ready(cx))?;
            match this.io.try_read(buf.initialize_unfilled()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => {
                    buf.advance(result?);
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}

impl AsyncWrite for Tcp {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match Arc::get_mut(&mut this.io) {
            Some(io) => Pin::new(io).poll_write(cx, buf),
            None => poll_try_write(&this.io, cx, |io| io.try_write(buf)),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        match Arc::get_mut(&mut this.io) {
            Some(io) => Pin::new(io).poll_write_vectored(cx, bufs),
            None => poll_try_write(&this.io, cx, |io| io.try_write_vectored(bufs)),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(SockRef::from(&*self.io).shutdown(std::net::Shutdown::Write))
    }
}

/// Writes through a shared reference, waiting for the socket to take something.
fn poll_try_write(
    io: &TcpStream,
    cx: &mut Context<'_>,
    mut write: impl FnMut(&TcpStream) -> io::Result<usize>,
) -> Poll<io::Result<usize>> {
    loop {
        ready!(io.poll_write_ready(cx))?;
        match write(io) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            result => return Poll::Ready(result),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::io::IoSlice;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::task::JoinHandle;

    use super::*;
    use crate::net::testing::{bounded, local, pair, pause};

    /// Writes until the socket takes nothing more for a while.
    async fn fill(stream: &mut Stream) -> usize {
        let mut written = 0;
        let chunk = [7; 16 * 1024];
        while let Ok(count) =
            tokio::time::timeout(Duration::from_millis(200), stream.write(&chunk)).await
        {
            written += count.unwrap();
        }
        written
    }

    /// A task of its own that watches for a hang-up and counts how often it was polled.
    fn watch(mut stream: Stream) -> (Arc<AtomicUsize>, JoinHandle<Stream>) {
        let polls = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&polls);
        let task = tokio::task::spawn_local(async move {
            poll_fn(|cx| {
                counted.fetch_add(1, Ordering::Relaxed);
                stream.poll_hung_up(cx)
            })
            .await;
            stream
        });
        (polls, task)
    }

    #[test]
    fn a_reset_is_seen_while_bytes_are_unread_without_spinning() {
        local(async {
            let (stalled, mut peer) = pair().await;
            let small = SocketBuffers { send: Some(8192), receive: Some(8192) };
            stalled.set_buffers(small).unwrap();
            peer.set_buffers(small).unwrap();
            assert!(fill(&mut peer).await > 0, "healthy before the reset");

            let (polls, watching) = watch(stalled);
            pause().await;
            assert!(!watching.is_finished());
            assert_eq!(polls.load(Ordering::Relaxed), 1, "unread bytes wake nobody");
            peer.abort();
            let mut stalled = bounded(watching).await.unwrap();
            assert_eq!(polls.load(Ordering::Relaxed), 2, "one wake-up for one reset");
            bounded(poll_fn(|cx| stalled.poll_hung_up(cx))).await;
        });
    }

    #[test]
    fn neither_data_nor_an_orderly_end_is_a_hang_up_and_a_later_reset_is() {
        local(async {
            let (near, mut far) = pair().await;
            let (polls, watching) = watch(near);
            for _ in 0..5 {
                far.write_all(b"hello").await.unwrap();
                pause().await;
            }
            far.shutdown().await.unwrap();
            pause().await;
            assert!(!watching.is_finished());
            assert_eq!(polls.load(Ordering::Relaxed), 1, "data and ends wake nobody");
            far.abort();
            bounded(watching).await.unwrap();
        });
    }

    #[tokio::test]
    async fn a_watched_stream_still_reads_and_writes() {
        let (mut near, mut far) = pair().await;
        let watch =
            tokio::time::timeout(Duration::from_millis(20), poll_fn(|cx| near.poll_hung_up(cx)));
        assert!(watch.await.is_err());
        bounded(async {
            near.write_all(b"ping").await.unwrap();
            assert_eq!(
                near.write_vectored(&[IoSlice::new(b"p"), IoSlice::new(b"q")]).await.unwrap(),
                2
            );
            let mut got = [0; 6];
            far.read_exact(&mut got).await.unwrap();
            assert_eq!(&got, b"pingpq");
            far.write_all(&[1; 100_000]).await.unwrap();
            far.shutdown().await.unwrap();
            let mut all = Vec::new();
            near.read_to_end(&mut all).await.unwrap();
            assert_eq!(all.len(), 100_000);
        })
        .await;
    }

    #[tokio::test]
    async fn abort_is_a_reset_and_shutdown_is_an_end() {
        let (near, mut far) = pair().await;
        near.abort();
        let error = bounded(far.read(&mut [0; 8])).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);

        let (mut near, mut far) = pair().await;
        near.write_all(b"last").await.unwrap();
        near.shutdown().await.unwrap();
        let mut all = Vec::new();
        bounded(far.read_to_end(&mut all)).await.unwrap();
        assert_eq!(all, b"last");
        far.write_all(b"back").await.unwrap();
        let mut back = [0; 4];
        bounded(near.read_exact(&mut back)).await.unwrap();
        assert_eq!(&back, b"back", "only one direction has ended");
    }

    #[tokio::test]
    async fn try_write_says_when_the_socket_takes_nothing() {
        let (mut near, mut far) = pair().await;
        let chunk = [3; 4096];
        let mut sent = 0;
        let error = loop {
            match near.try_write_vectored(&[IoSlice::new(&chunk), IoSlice::new(&chunk)]) {
                Ok(count) => sent += count,
                Err(error) => break error,
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
        assert!(!near.has_unsent());
        drop(near);
        let mut all = Vec::new();
        bounded(far.read_to_end(&mut all)).await.unwrap();
        assert_eq!(all.len(), sent);
    }
}
