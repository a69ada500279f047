//! A relay that can go silent: true silent loss between a client and a hub on real sockets.
//!
//! One client, one relay: `client <-> relay <-> hub`, over a loopback socket pair of its own, so
//! two more descriptors per client (three while it is set up). Until it is silenced it forwards
//! bytes, ends and resets both ways. Silenced, it neither reads nor forwards anything and tells
//! nobody of an end, so each side has only its own timeouts. The kernel goes on acknowledging what
//! still fits into the relay's small buffers.

use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpSocket;
use tokio::sync::watch;

use super::Stream;
use super::link::Silencer;

/// Bytes in flight inside the relay, per direction.
const PIPE_BYTES: usize = 4 * 1024;

/// Kernel buffers of the relay's end of the loopback pair, as asked for: small, so that a client
/// behind a relay pushes back on the hub about as soon as one without.
const NEAR_BUFFER_BYTES: u32 = 16 * 1024;

/// Connections by others that are turned away before the relay gives up: for the moment in which it
/// listens, any process of the machine can dial it.
const STRANGERS_MAX: u32 = 16;

/// Silences a connection, and ends what carries the silence. Dropping it resets both sides of a
/// relay between sockets; of a link only if it was silenced: else it goes on without a handle.
#[derive(Debug)]
pub struct RelayHandle(Handle);

#[derive(Debug)]
enum Handle {
    /// Of a relay between sockets.
    Relay(watch::Sender<Mode>),
    /// A link needs no relay: it goes silent by itself.
    Link(Silencer),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Forwarding,
    Silent,
}

impl RelayHandle {
    /// From now on nothing passes.
    pub fn silence(&self) {
        match &self.0 {
            Handle::Relay(mode) => {
                mode.send_replace(Mode::Silent);
            }
            Handle::Link(silencer) => silencer.silence(),
        }
    }
}

/// Puts a relay in front of `far`, with the client's receive buffer (bytes as asked for) on the
/// near side, and returns the stream the client uses. The relay's task runs on the current
/// `LocalSet`.
pub async fn relay(far: Stream, receive_buffer: Option<u32>) -> io::Result<(Stream, RelayHandle)> {
    if let Stream::Link(link) = far {
        let handle = RelayHandle(Handle::Link(link.silencer()));
        return Ok((Stream::Link(link), handle));
    }
    let (client, near) = loopback_pair(receive_buffer).await?;
    let (mode, told) = watch::channel(Mode::Forwarding);
    tokio::task::spawn_local(run(Relay::new(near, far), told));
    Ok((client, RelayHandle(Handle::Relay(mode))))
}

/// Two ends of a connection: the client's and the relay's.
async fn loopback_pair(receive_buffer: Option<u32>) -> io::Result<(Stream, Stream)> {
    let socket = TcpSocket::new_v4()?;
    socket.set_send_buffer_size(NEAR_BUFFER_BYTES)?;
    socket.set_recv_buffer_size(NEAR_BUFFER_BYTES)?;
    socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    let listener = socket.listen(STRANGERS_MAX)?;
    let socket = TcpSocket::new_v4()?;
    if let Some(bytes) = receive_buffer {
        socket.set_recv_buffer_size(bytes)?;
    }
    socket.set_nodelay(true)?;
    let client = socket.connect(listener.local_addr()?).await?;
    let ours = client.local_addr()?;
    for _ in 0..STRANGERS_MAX {
        let (near, peer) = listener.accept().await?;
        if peer == ours {
            near.set_nodelay(true)?;
            return Ok((Stream::from(client), Stream::from(near)));
        }
    }
    Err(io::Error::other("strangers dial the relay's port; try again"))
}

async fn run(mut relay: Relay, mut told: watch::Receiver<Mode>) {
    let over = tokio::select! {
        biased;
        // Silenced, or the handle was dropped.
        _ = told.changed() => Over::Reset,
        over = poll_fn(|cx| relay.poll(cx)) => over,
    };
    if *told.borrow() == Mode::Silent {
        // The streams stay open and unread until the handle is dropped.
        while told.changed().await.is_ok() {}
    }
    if over == Over::Reset {
        relay.near.abort();
        relay.far.abort();
    }
}

/// How forwarding came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Over {
    /// Both directions ended in order.
    Ended,
    /// One side reset, or the relay was ended from outside.
    Reset,
}

struct Relay {
    near: Stream,
    far: Stream,
    /// From the client to the hub.
    up: Pipe,
    /// From the hub to the client.
    down: Pipe,
}

impl Relay {
    fn new(near: Stream, far: Stream) -> Self {
        Self { near, far, up: Pipe::new(), down: Pipe::new() }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Over> {
        let up = self.up.poll(cx, &mut self.near, &mut self.far);
        let down = self.down.poll(cx, &mut self.far, &mut self.near);
        match (up, down) {
            (Poll::Ready(Err(_)), _) | (_, Poll::Ready(Err(_))) => Poll::Ready(Over::Reset),
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(Over::Ended),
            _ => Poll::Pending,
        }
    }
}

/// One direction.
struct Pipe {
    buffer: Box<[u8]>,
    start: usize,
    end: usize,
    source: Source,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Open,
    /// Its end is to be passed on behind what is in the buffer.
    Ended,
    /// Its end was passed on.
    EndForwarded,
}

impl Pipe {
    fn new() -> Self {
        Self { buffer: vec![0; PIPE_BYTES].into(), start: 0, end: 0, source: Source::Open }
    }

    /// Forwards what can be forwarded now. `Ok` once the end was passed on; an error on either
    /// side, most likely a reset, ends both.
    ///
    /// While `from` is not being read (the buffer is full, or its end was read) its reset is looked
    /// for without reading. While it is being read, a reset comes in order, behind the bytes that
    /// came before it.
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut Stream,
        to: &mut Stream,
    ) -> Poll<io::Result<()>> {
        loop {
            if self.source == Source::EndForwarded {
                poll_not_hung_up(from, cx)?;
                return Poll::Ready(Ok(()));
            }
            if self.start < self.end || self.source == Source::Ended {
                match self.poll_drain(cx, to) {
                    Poll::Ready(drained) => drained?,
                    Poll::Pending => {
                        poll_not_hung_up(from, cx)?;
                        return Poll::Pending;
                    }
                }
                continue;
            }
            let mut read = ReadBuf::new(&mut self.buffer);
            ready!(Pin::new(&mut *from).poll_read(cx, &mut read))?;
            (self.start, self.end) = (0, read.filled().len());
            if self.end == 0 {
                self.source = Source::Ended;
            }
        }
    }

    /// Writes the buffer out, then the end if it is due.
    fn poll_drain(&mut self, cx: &mut Context<'_>, to: &mut Stream) -> Poll<io::Result<()>> {
        let mut to = Pin::new(to);
        while self.start < self.end {
            let rest = &self.buffer[self.start..self.end];
            self.start += ready!(to.as_mut().poll_write(cx, rest))?;
        }
        ready!(to.as_mut().poll_flush(cx))?;
        if self.source == Source::Ended {
            ready!(to.as_mut().poll_shutdown(cx))?;
            self.source = Source::EndForwarded;
        }
        Poll::Ready(Ok(()))
    }
}

/// An error once the peer has reset; registers the task for it otherwise.
fn poll_not_hung_up(stream: &mut Stream, cx: &mut Context<'_>) -> io::Result<()> {
    match stream.poll_hung_up(cx) {
        Poll::Ready(()) => Err(io::ErrorKind::ConnectionReset.into()),
        Poll::Pending => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::net::testing::{bounded, local, pair, pause};

    /// Client, hub, and the relay between them, which has been seen to forward both ways.
    async fn relayed() -> (Stream, Stream, RelayHandle) {
        let (far, mut hub) = pair().await;
        let (mut client, handle) = relay(far, None).await.unwrap();
        let mut got = [0; 4];
        client.write_all(b"ping").await.unwrap();
        hub.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"ping");
        hub.write_all(b"pong").await.unwrap();
        client.read_exact(&mut got).await.unwrap();
        assert_eq!(&got, b"pong");
        (client, hub, handle)
    }

    async fn write_until_blocked(stream: &mut Stream) {
        let wait = std::time::Duration::from_millis(300);
        while tokio::time::timeout(wait, stream.write_all(&[5; 4096])).await.is_ok() {}
    }

    async fn assert_reset(stream: &mut Stream) {
        let mut rest = Vec::new();
        let error = bounded(stream.read_to_end(&mut rest)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }

    #[test]
    fn bytes_and_ends_pass_both_ways() {
        local(async {
            let (mut client, mut hub, _handle) = relayed().await;
            let sent: Vec<u8> = (0..=255).cycle().take(300_000).collect();
            let (mut got, mut back) = (Vec::new(), Vec::new());
            let (up, down) = tokio::join!(
                async {
                    client.write_all(&sent).await.unwrap();
                    client.shutdown().await.unwrap();
                    client.read_to_end(&mut back).await
                },
                async {
                    hub.read_to_end(&mut got).await.unwrap();
                    hub.write_all(b"still here").await.unwrap();
                    hub.shutdown().await
                }
            );
            up.unwrap();
            down.unwrap();
            assert!(got == sent, "{} bytes of {}", got.len(), sent.len());
            assert_eq!(back, b"still here");
        });
    }

    #[test]
    fn a_reset_passes_as_a_reset() {
        local(async {
            let (client, mut hub, _handle) = relayed().await;
            client.abort();
            assert_reset(&mut hub).await;

            let (mut client, mut hub, _handle) = relayed().await;
            hub.write_all(b"last words").await.unwrap();
            hub.abort();
            let mut got = [0; 10];
            client.read_exact(&mut got).await.unwrap();
            assert_eq!(&got, b"last words", "what came before the reset passes too");
            assert_reset(&mut client).await;
        });
    }

    #[test]
    fn a_reset_passes_a_blocked_or_ended_direction() {
        local(async {
            let (mut client, mut hub, _handle) = relayed().await;
            write_until_blocked(&mut hub).await;
            hub.abort();
            bounded(poll_fn(|cx| client.poll_hung_up(cx))).await;

            let (mut client, mut hub, _handle) = relayed().await;
            client.shutdown().await.unwrap();
            assert_eq!(hub.read(&mut [0; 8]).await.unwrap(), 0);
            client.abort();
            // An end that was read hides the reset from reads.
            bounded(poll_fn(|cx| hub.poll_hung_up(cx))).await;
        });
    }

    #[test]
    fn silenced_it_passes_nothing_and_tells_nobody() {
        local(async {
            let (mut client, mut hub, handle) = relayed().await;
            handle.silence();
            client.write_all(b"into the void").await.unwrap();
            hub.write_all(b"into the void").await.unwrap();
            pause().await;
            let wait = std::time::Duration::from_millis(200);
            let heard = tokio::time::timeout(wait, client.read(&mut [0; 8])).await;
            assert!(heard.is_err(), "the client hears {heard:?}");
            client.abort();
            let heard = tokio::time::timeout(wait, hub.read(&mut [0; 8])).await;
            assert!(heard.is_err(), "the hub hears {heard:?}");
            drop(handle);
            assert_reset(&mut hub).await;
        });
    }

    #[test]
    fn dropping_the_handle_resets_both_sides() {
        local(async {
            let (mut client, mut hub, handle) = relayed().await;
            drop(handle);
            assert_reset(&mut client).await;
            assert_reset(&mut hub).await;
        });
    }

    #[test]
    fn the_receive_buffer_is_the_clients() {
        local(async {
            let (far, _hub) = pair().await;
            let (client, _handle) = relay(far, Some(4096)).await.unwrap();
            let Stream::Tcp(tcp) = &client else { panic!("plain TCP") };
            let size = socket2::SockRef::from(tcp.tcp_stream()).recv_buffer_size().unwrap();
            assert!((4096..=8192).contains(&size), "{size} bytes; Linux doubles what is asked for");
        });
    }
}
