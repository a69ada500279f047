//! Accepts sockets, speaks HTTP on them until they are websockets, and sorts requests by path.

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::ready;

use http::{Request, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::answer::{self, Answer};
use super::close::{self, Cause, Farewell, Gone};
use super::connection::Connection;
use super::control;
use super::pump::Pump;
use super::rest;
use super::state::{AliveGuard, Hub, Phase, TaskGuard};
use super::upgrade::{self, Begun};
use super::webhook;
use crate::net::{Listener, Stream};

/// Sockets that speak HTTP at once (handshakes, REST, control, streams); more wait in the listen
/// backlog. An open websocket is not one of them.
const HTTP_CONNECTIONS_MAX: usize = 4_096;

/// Smallest HTTP buffer that hyper takes, in bytes.
const HTTP_BUFFER_BYTES_MIN: usize = 8 * 1024;

/// Accepts for as long as it is polled.
pub async fn accept(hub: &Rc<Hub>, listener: &Listener) {
    let places = Arc::new(Semaphore::new(HTTP_CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        hub.gate.passable().await;
        let accepted = listener.accept().await;
        hub.gate.passable().await;
        // After an error the next accept waits a little by itself.
        let Ok((stream, peer)) = accepted else { continue };
        // Buffers are a matter of reproducing drops; a socket without them still serves.
        let _ = stream.set_buffers(hub.settings().buffers);
        let connection = HttpConnection::new(hub, peer, place);
        tokio::task::spawn_local(Box::pin(connection.serve(stream)));
    }
}

/// A socket from its accept until it is a websocket or gone.
struct HttpConnection {
    hub: Rc<Hub>,
    peer: SocketAddr,
    /// Counts as a handshake until its first request says otherwise.
    task: Cell<Option<TaskGuard>>,
    /// Whether a request has come.
    asked: Cell<bool>,
    /// The connection that an answer of 101 opened.
    opened: RefCell<Option<Rc<Connection>>>,
    _alive: AliveGuard,
    _place: OwnedSemaphorePermit,
}

impl HttpConnection {
    fn new(hub: &Rc<Hub>, peer: SocketAddr, place: OwnedSemaphorePermit) -> Self {
        Self {
            hub: Rc::clone(hub),
            peer,
            task: Cell::new(Some(TaskGuard::new(hub))),
            asked: Cell::new(false),
            opened: RefCell::new(None),
            _alive: AliveGuard::new(hub),
            _place: place,
        }
    }

    /// Answers requests until the socket is a websocket (then its pump goes on alone) or gone.
    async fn serve(self, stream: Stream) {
        let this = &self;
        let limits = this.hub.settings().limits;
        let buffer_bytes = (limits.header_bytes as usize).max(HTTP_BUFFER_BYTES_MIN);
        let service = service_fn(|request| Box::pin(this.answer(request)));
        // hyper's own bound of 100 headers stays (setting one would cost an allocation a request);
        // its Date header would read the system's clock.
        let mut http = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits.handshake)
            .max_buf_size(buffer_bytes)
            .auto_date_header(false)
            .serve_connection(TokioIo::new(stream), service);
        let mut no_request_in_time = pin!(async {
            this.hub.pacer.until(Instant::now() + limits.handshake).await;
            this.hub.gate.passable().await;
            // Whatever is asked may take its time: a ledger is read for as long as a run lasts.
            if this.asked.get() {
                pending::<()>().await;
            }
        });
        let mut phase = this.hub.phase.subscribe();
        phase.mark_changed();
        let is_upgraded = loop {
            tokio::select! {
                biased;
                _ = phase.changed() => match *phase.borrow_and_update() {
                    Phase::Serving => {}
                    Phase::Draining => std::pin::Pin::new(&mut http).graceful_shutdown(),
                    Phase::Killed => break false,
                },
                served = poll_fn(|cx| {
                    ready!(this.hub.gate.poll_passable(cx));
                    http.poll_without_shutdown(cx)
                }) => break served.is_ok(),
                () = no_request_in_time.as_mut() => break false,
            }
        };
        let Some(connection) = this.opened.take() else { return };
        if is_upgraded {
            let parts = http.into_parts();
            let task = this.task.take().unwrap_or_else(|| TaskGuard::new(&this.hub));
            let stream = parts.io.into_inner();
            if let Some(dialogue) = connection.dialogue.as_ref().filter(|_| !connection.is_ended())
            {
                webhook::connected(&this.hub, dialogue);
            }
            let pump = Pump::new(&this.hub, connection, stream, &parts.read_buf, task);
            tokio::task::spawn_local(pump);
        } else {
            // The socket broke before the 101 was out.
            close::end(&this.hub, &connection, Cause::by_client(Farewell::ClientReset));
            close::settle(&this.hub, &connection, Gone::ClientReset);
        }
    }

    /// Sorts a request by its path.
    async fn answer(&self, request: Request<Incoming>) -> Result<Answer, Infallible> {
        self.asked.set(true);
        let (request, body) = request.into_parts();
        let path = request.uri.path();
        if upgrade::is_client_path(path) {
            let outcome = match upgrade::begin(&self.hub, &request, self.peer) {
                Begun::Answered(outcome) => outcome,
                // In a box: a future without handlers to ask stays as small as it was.
                Begun::Undecided(candidate) => Box::pin(candidate.decide()).await,
            };
            if outcome.connection.is_none() {
                self.task.take();
            }
            *self.opened.borrow_mut() = outcome.connection;
            return Ok(outcome.answer);
        }
        self.task.take();
        Ok(if path.starts_with("/_squall/") {
            control::answer(&self.hub, &request, body, self.peer).await
        } else if path.starts_with("/api/") {
            rest::answer(&self.hub, &request, body).await
        } else {
            answer::empty(StatusCode::NOT_FOUND)
        })
    }
}
