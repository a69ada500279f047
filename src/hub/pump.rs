//! Moves the bytes of one connection: one small future per websocket, nothing of HTTP in it.
//!
//! A wake-up reads everything the socket offers (through the thread's one buffer), then looks at
//! the ping that may be due, then writes everything that waits, in this order: at equal instants
//! receive comes before the ping check, and that before send.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use bytes::Bytes;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use super::close::{self, Cause, Farewell, Gone};
use super::connection::Connection;
use super::keep_alive;
use super::queue::FRAMES_PER_WRITE_MAX;
use super::session;
use super::state::{AliveGuard, Hub, Phase, TaskGuard};
use crate::net::{Due, Stream};
use crate::ws::{FrameReader, Role};

/// The future that moves one connection's bytes until its socket is gone.
pub struct Pump {
    hub: Rc<Hub>,
    connection: Rc<Connection>,
    reader: FrameReader,
    /// Bytes came behind the upgrade request and were not looked at yet.
    has_leftover: bool,
    /// The client's bytes are no frames any more: they are read and thrown away.
    deaf: bool,
    /// The client's stream has ended behind its close frame.
    read_ended: bool,
    /// When an ended connection's socket is reset, whatever it still waits for.
    linger: Option<Pin<Box<Due>>>,
    _alive: AliveGuard,
    _task: TaskGuard,
}

/// What reading found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Received {
    /// Nothing more for now.
    All,
    /// More may be there.
    More,
    /// The client's end of stream.
    Eof,
    /// The client's reset.
    Reset,
}

impl Pump {
    /// A pump for an upgraded socket and the bytes that came behind its request.
    pub fn new(
        hub: &Rc<Hub>,
        connection: Rc<Connection>,
        stream: Stream,
        leftover: &Bytes,
        task: TaskGuard,
    ) -> Self {
        *connection.stream.borrow_mut() = Some(stream);
        let mut reader = FrameReader::new(Role::Server, hub.settings().limits.message_bytes);
        if !leftover.is_empty() {
            reader.feed_leftover(leftover);
        }
        Self {
            has_leftover: !leftover.is_empty(),
            deaf: false,
            read_ended: false,
            linger: None,
            _alive: AliveGuard::new(hub),
            _task: task,
            hub: Rc::clone(hub),
            connection,
            reader,
        }
    }

    /// Whether the end is decided and nothing more is read or written.
    fn is_cut(&self) -> bool {
        self.connection.end.borrow().as_ref().is_some_and(|end| end.is_immediate())
    }

    fn handle(&mut self, fresh: &mut [u8]) {
        if self.deaf {
            return;
        }
        let (hub, connection) = (&self.hub, &self.connection);
        let outcome = self.reader.read(fresh, |event| session::on_event(hub, connection, event));
        if let Err(error) = outcome {
            self.deaf = true;
            session::on_bad_frame(hub, connection, &error);
        }
    }

    /// Reads what the socket offers, but one buffer at most: publishes in it fill other queues,
    /// whose pumps shall have their turn before there are more.
    fn receive(&mut self, cx: &mut Context<'_>) -> Received {
        if std::mem::take(&mut self.has_leftover) {
            self.handle(&mut []);
        }
        let hub = Rc::clone(&self.hub);
        let mut scratch = hub.scratch.borrow_mut();
        loop {
            // Whoever sends faster than a handler answers waits in its own socket.
            if self.read_ended || self.is_cut() || self.connection.is_unread() {
                return Received::All;
            }
            let mut buffer = ReadBuf::new(&mut scratch);
            let polled = match self.connection.stream.borrow_mut().as_mut() {
                Some(stream) => Pin::new(stream).poll_read(cx, &mut buffer),
                None => return Received::All,
            };
            match polled {
                Poll::Pending => return Received::All,
                Poll::Ready(Err(_)) => return Received::Reset,
                Poll::Ready(Ok(())) => {}
            }
            let length = buffer.filled().len();
            if length == 0 {
                return Received::Eof;
            }
            self.handle(&mut scratch[..length]);
            if length == scratch.len() {
                return Received::More;
            }
        }
    }

    /// Writes what waits, as far as the socket takes it.
    fn send(&mut self, cx: &mut Context<'_>) -> io::Result<()> {
        let mut stream = self.connection.stream.borrow_mut();
        let Some(stream) = stream.as_mut() else { return Ok(()) };
        loop {
            let queue = self.connection.queue.borrow();
            if queue.is_empty() {
                break;
            }
            let mut slices = [IoSlice::new(&[]); FRAMES_PER_WRITE_MAX];
            let count = queue.slices(&mut slices);
            let polled = Pin::new(&mut *stream).poll_write_vectored(cx, &slices[..count]);
            drop(queue);
            match polled {
                Poll::Pending => return Ok(()),
                Poll::Ready(Err(error)) => return Err(error),
                Poll::Ready(Ok(0)) => return Err(io::ErrorKind::WriteZero.into()),
                Poll::Ready(Ok(written)) => self.hub.note_written(&self.connection, written),
            }
        }
        if stream.has_unsent() {
            let _ = Pin::new(stream).poll_flush(cx)?;
        }
        Ok(())
    }

    /// The client's side has ended: decides the end, or completes one that was decided.
    fn client_gone(&mut self, farewell: Farewell) -> Poll<()> {
        let gone = match (self.connection.is_ended(), &farewell) {
            (false, _) => Gone::AsDecided,
            (true, _) if self.connection.queue.borrow().is_empty() => Gone::AsDecided,
            (true, Farewell::ClientEof) => Gone::ClientEof,
            (true, _) => Gone::ClientReset,
        };
        let is_news = !self.connection.is_ended() || gone != Gone::AsDecided;
        if is_news && !self.connection.client_closed.get() {
            close::end(&self.hub, &self.connection, Cause::by_client(farewell));
        }
        self.connection.stream.take();
        close::settle(&self.hub, &self.connection, gone);
        Poll::Ready(())
    }

    /// Resets the connection: its end is decided.
    fn abort(&mut self, gone: Gone) -> Poll<()> {
        if let Some(stream) = self.connection.stream.take() {
            stream.abort();
        }
        close::settle(&self.hub, &self.connection, gone);
        Poll::Ready(())
    }

    /// What is left to do for a connection whose end is decided.
    fn wind_up(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if !self.connection.is_ended() {
            return Poll::Pending;
        }
        if self.is_cut() {
            return self.abort(Gone::AsDecided);
        }
        let is_written = self.connection.queue.borrow().is_empty();
        if is_written && self.connection.client_closed.get() {
            // Both close frames have passed: the server ends the stream (RFC 6455, 7.1.1).
            self.connection.stream.take();
            close::settle(&self.hub, &self.connection, Gone::AsDecided);
            return Poll::Ready(());
        }
        let linger = self.linger.get_or_insert_with(|| {
            let until = Instant::now() + self.hub.settings().limits.close_linger;
            Box::pin(self.hub.pacer.until(until))
        });
        match linger.as_mut().poll(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(()) if is_written => self.abort(Gone::AsDecided),
            Poll::Ready(()) => self.abort(Gone::Aborted),
        }
    }
}

impl Future for Pump {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.connection.set_waker(cx.waker());
        if *this.hub.phase.borrow() == Phase::Killed {
            return this.abort(Gone::Aborted);
        }
        if this.hub.gate.is_shut() {
            // The thaw wakes every connection.
            return Poll::Pending;
        }
        match this.receive(cx) {
            Received::All => {}
            Received::More => cx.waker().wake_by_ref(),
            // A client may end its stream right behind its close frame and still want the answer.
            Received::Eof
                if this.connection.client_closed.get() || this.connection.holds_close() =>
            {
                this.read_ended = true;
            }
            Received::Eof => return this.client_gone(Farewell::ClientEof),
            Received::Reset => return this.client_gone(Farewell::ClientReset),
        }
        if let Some(due) = this.connection.ping_due.take()
            && !this.connection.is_ended()
        {
            keep_alive::check(&this.hub, &this.connection, due);
        }
        if this.send(cx).is_err() {
            return this.client_gone(Farewell::ClientReset);
        }
        this.wind_up(cx)
    }
}
