//! Accepts connections while somebody listens, and answers requests on them.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Request, StatusCode};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::answer::{self, Answer};
use super::asked::{self, Asked};
use super::control;
use super::state::{AliveGuard, Phase, Underway, Upstream};
use super::{Notice, RequestEnd, RequestTold};
use crate::net::listen::ERROR_PAUSE;
use crate::net::{Listener, Stream};
use crate::protocol::webhook::EventHead;
use crate::protocol::webhook::{texts, verify_signature};
use crate::scenario::plan::{AnswerWhat, Verify};

/// Connections at once; more wait in the listen backlog.
const CONNECTIONS_MAX: usize = 4_096;
/// Bytes of a request's head, at most.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a request's body, at most: twice the largest message of a client (service-side facts,
/// 4.6), as a text of it may be escaped.
const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;
/// How long a request's body may take.
const BODY_WITHIN: Duration = Duration::from_secs(30);
/// How long a connection stays open over which nothing was asked, at least: as long as with
/// Kestrel. At most it is twice that.
const IDLE: Duration = Duration::from_secs(130);

/// Accepts for as long as it is polled, but for the windows in which nobody listens.
pub async fn accept(upstream: &Rc<Upstream>, mut listener: Listener) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let down = upstream.next_down();
        tokio::select! {
            biased;
            () = upstream.began.notified() => continue,
            () = at(upstream, down.map(|(from, _)| from)) => {}
            () = accept_all(upstream, &listener, &places) => {}
        }
        let Ok(mut closed) = listener.close() else { return };
        upstream.set_phase(Phase::Down);
        upstream.with(|timeline| timeline.rules.fall_asleep());
        tokio::select! {
            biased;
            // The new timeline may begin with such a window too; then it is closed again.
            () = upstream.began.notified() => {}
            () = at(upstream, down.and_then(|(_, until)| until)) => {}
        }
        listener = loop {
            match closed.open() {
                Ok(opened) => break opened,
                // Somebody else took the port. It is ours again once they leave.
                Err(_) => tokio::time::sleep(ERROR_PAUSE).await,
            }
        };
        upstream.set_phase(Phase::Serving);
    }
}

/// Waits for an instant; for ever without one.
async fn at(upstream: &Upstream, instant: Option<Instant>) {
    match instant {
        Some(instant) => upstream.pacer.until(instant).await,
        None => pending().await,
    }
}

async fn accept_all(upstream: &Rc<Upstream>, listener: &Listener, places: &Arc<Semaphore>) {
    loop {
        let Ok(place) = Arc::clone(places).acquire_owned().await else { return };
        // After an error the next accept waits a little by itself.
        let Ok((stream, peer)) = listener.accept().await else { continue };
        let connection = Connection::new(upstream, peer, place);
        tokio::task::spawn_local(Box::pin(connection.serve(stream)));
    }
}

/// How the script ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BreakOff {
    Reset,
    Close,
}

/// A connection from its accept to its end.
struct Connection {
    upstream: Rc<Upstream>,
    peer: SocketAddr,
    /// Set while a request is answered that gets no answer.
    broken_off: Cell<Option<BreakOff>>,
    /// Whether the control API was asked over it.
    controls: Cell<bool>,
    /// Whether a request is under way.
    busy: Cell<bool>,
    /// Requests that have come.
    asked: Cell<u64>,
    _alive: AliveGuard,
    _place: OwnedSemaphorePermit,
}

impl Connection {
    fn new(upstream: &Rc<Upstream>, peer: SocketAddr, place: OwnedSemaphorePermit) -> Self {
        Self {
            upstream: Rc::clone(upstream),
            peer,
            broken_off: Cell::new(None),
            controls: Cell::new(false),
            busy: Cell::new(false),
            asked: Cell::new(0),
            _alive: AliveGuard::new(upstream),
            _place: place,
        }
    }

    /// Answers requests until somebody ends the connection.
    async fn serve(self, stream: Stream) {
        let this = &self;
        let service = service_fn(|request| Box::pin(this.answer(request)));
        let mut idle = pin!(this.idle());
        // hyper's own limit of an idle connection would end the control API's too; its Date header
        // would read the system's clock.
        let mut http = http1::Builder::new()
            .header_read_timeout(None)
            .max_buf_size(HEAD_BYTES_MAX)
            .auto_date_header(false)
            .serve_connection(TokioIo::new(stream), service);
        let broken_off = loop {
            // Before the look: what changes after it is not missed.
            let changed = this.upstream.phase_changed.notified();
            match this.upstream.phase() {
                Phase::Serving => {}
                Phase::Down if this.controls.get() => {}
                Phase::Down | Phase::Stopped => break BreakOff::Reset,
            }
            tokio::select! {
                biased;
                () = changed => {}
                how = poll_fn(|cx| {
                    let polled = http.poll_without_shutdown(cx);
                    match this.broken_off.get() {
                        Some(how) => Poll::Ready(how),
                        None => polled.map(|_| BreakOff::Close),
                    }
                }) => break how,
                () = idle.as_mut() => break BreakOff::Close,
            }
        };
        let stream = http.into_parts().io.into_inner();
        match broken_off {
            BreakOff::Reset => stream.abort(),
            BreakOff::Close => drop(stream),
        }
    }

    /// Ready once nothing was asked for long. Whoever uses the control API may take its time.
    async fn idle(&self) {
        loop {
            let asked = self.asked.get();
            self.upstream.pacer.until(Instant::now() + IDLE).await;
            if self.controls.get() {
                pending::<()>().await;
            }
            if !self.busy.get() && self.asked.get() == asked {
                return;
            }
        }
    }

    /// Answers a request.
    async fn answer(&self, request: Request<Incoming>) -> Result<Answer, Infallible> {
        self.busy.set(true);
        self.asked.set(self.asked.get() + 1);
        let answer = self.sort(request).await;
        self.busy.set(false);
        Ok(answer)
    }

    /// Sorts a request.
    async fn sort(&self, request: Request<Incoming>) -> Answer {
        let (request, body) = request.into_parts();
        let upstream = &self.upstream;
        if control::is_offered(upstream, &request, self.peer) {
            self.controls.set(true);
            return match read_body(body).await {
                Ok(body) => control::answer(upstream, &request, &body),
                Err(refusal) => refusal,
            };
        }
        match Asked::of(&request) {
            Ok(asked) => self.answer_hub(&request, asked, body).await,
            Err((status, why)) => self.answer_stranger(status, why),
        }
    }

    fn answer_stranger(&self, status: StatusCode, why: String) -> Answer {
        let at = self.upstream.with(|timeline| {
            timeline.tally.stranger();
            timeline.start.elapsed()
        });
        self.upstream.tell(Notice::Request(RequestTold {
            at,
            kind: None,
            connection_id: String::new(),
            ended: RequestEnd::Answered(status.as_u16()),
            took: Duration::ZERO,
        }));
        answer::text(status, why)
    }

    /// Answers a hub's request, or breaks it off.
    async fn answer_hub(&self, request: &Parts, asked: Asked, body: Incoming) -> Answer {
        let upstream = &self.upstream;
        let underway = Underway::begin(upstream, asked.kind(), asked.connection_id());
        let (at, what) = match read_body(body).await {
            Ok(body) => self.decide(request, &asked, &body),
            Err(refusal) => (Instant::now(), Ok(refusal)),
        };
        if at > Instant::now() {
            upstream.pacer.until(at).await;
        }
        let answer = match what {
            Ok(answer) => answer,
            Err(how) => {
                underway.end(RequestEnd::BrokenOff);
                self.broken_off.set(Some(how));
                return pending().await;
            }
        };
        if let Asked::Validation(origin) = &asked {
            let is_granted = answer::grants(&answer, origin);
            upstream.with(|timeline| {
                let validations = &mut timeline.tally.counts_mut().validations;
                let count =
                    if is_granted { &mut validations.granted } else { &mut validations.denied };
                *count += 1;
            });
        }
        underway.end(RequestEnd::Answered(answer.status().as_u16()));
        answer
    }

    /// What a request gets, and at which instant.
    fn decide(
        &self,
        request: &Parts,
        asked: &Asked,
        body: &Bytes,
    ) -> (Instant, Result<Answer, BreakOff>) {
        let upstream = &self.upstream;
        let script = &upstream.script;
        let now = Instant::now();
        let from = upstream.with(|timeline| timeline.rules.wake(script, now));
        if script.key.as_ref().is_some_and(|key| !asked::has_key(request, key)) {
            return (from, Ok(answer::empty(StatusCode::UNAUTHORIZED)));
        }
        if let Asked::Event(head) = asked
            && !self.is_acceptable(head)
            && script.verify == Verify::Reject
        {
            let status = StatusCode::INTERNAL_SERVER_ERROR;
            return (from, Ok(answer::text(status, texts::TARGET_INVALID)));
        }
        let (delay, what) = upstream.with(|timeline| {
            let at = now.saturating_duration_since(timeline.start);
            timeline.rules.answer(script, asked, at)
        });
        let what = match what {
            AnswerWhat::Respond(response) => Ok(answer::scripted(&response, asked, body)),
            AnswerWhat::Reset => Err(BreakOff::Reset),
            AnswerWhat::Close => Err(BreakOff::Close),
        };
        (from + delay, what)
    }

    /// Whether an event's signature and origin are the hub's; counts the signature.
    fn is_acceptable(&self, head: &EventHead) -> bool {
        let upstream = &self.upstream;
        let is_signed =
            verify_signature(&upstream.believed, &head.connection_id, [head.signature.as_str()]);
        self.upstream.with(|timeline| {
            let signatures = &mut timeline.tally.counts_mut().signatures;
            let count = if is_signed {
                &mut signatures.good
            } else if head.signature.is_empty() {
                &mut signatures.missing
            } else {
                &mut signatures.bad
            };
            *count += 1;
        });
        let mut origins = upstream.origins.iter();
        let is_known = upstream.origins.is_empty()
            || origins.any(|known| known.eq_ignore_ascii_case(&head.origin));
        is_signed && is_known
    }
}

/// Reads a request's body; the answer when it is too long or too slow.
async fn read_body(body: Incoming) -> Result<Bytes, Answer> {
    let read = Limited::new(body, BODY_BYTES_MAX).collect();
    match tokio::time::timeout(BODY_WITHIN, read).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            Err(answer::empty(StatusCode::PAYLOAD_TOO_LARGE))
        }
        Ok(Err(_)) => Err(answer::empty(StatusCode::BAD_REQUEST)),
        Err(_) => Err(answer::empty(StatusCode::REQUEST_TIMEOUT)),
    }
}
