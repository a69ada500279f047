//! One attempt up to its open connection: permit, connect, upgrade, and the `connected` frame.
//!
//! The future is short-lived and boxed by its caller, so nothing of it stays in an open client.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use rand::RngExt;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf};
use tokio::time::{Instant, timeout};

use super::behaviour::vanish;
use super::session::{Session, Start};
use super::{HANDSHAKE_COUNTS_FOR, Identity, increment};
use crate::event::{ClientObservation, ClientStep, CloseFirst, ConnectFailure, HandshakeFailure};
use crate::net::relay::{RelayHandle, relay};
use crate::net::{Dial, Stream};
use crate::pace::{self, Purpose};
use crate::protocol::Subprotocol;
use crate::protocol::subprotocol::ServerFrame;
use crate::scenario::plan::Population;
use crate::secret::Secret;
use crate::ws::frame::{client_frame, close_payload};
use crate::ws::handshake::{UpgradeAnswer, UpgradeRequest, upgrade};
use crate::ws::reader::Next;
use crate::ws::{FrameReader, Opcode, ReadEvent, Role};

/// Largest message a client takes from the hub. The service's own limit is 1 MiB of data
/// (client-protocols facts, 4.4), which JSON escapes can make larger.
const MESSAGE_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Words of a random stream that belong to one attempt, so that an attempt's draws do not depend on
/// how many its predecessors made.
const WORDS_PER_ATTEMPT: u128 = 1 << 32;

/// How far an attempt has come, for one that is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Waiting for its turn; the attempt has not begun.
    Queued,
    /// Dialling since then.
    Dialling(Instant),
    /// Connected; the attempt began then.
    Shaking(Instant),
}

/// An attempt that did not open.
#[derive(Debug)]
pub struct Failure {
    /// What the client saw.
    pub observation: ClientObservation,
    /// Bytes read after the upgrade.
    pub read_bytes: u64,
}

impl From<ClientObservation> for Failure {
    fn from(observation: ClientObservation) -> Self {
        Self { observation, read_bytes: 0 }
    }
}

impl From<ConnectFailure> for Failure {
    fn from(failure: ConnectFailure) -> Self {
        ClientObservation::ConnectFailed { failure }.into()
    }
}

impl From<HandshakeFailure> for Failure {
    fn from(failure: HandshakeFailure) -> Self {
        ClientObservation::HandshakeFailed { failure }.into()
    }
}

/// The websocket key of an attempt and the seed of its frame masks.
pub(super) fn connection_key(me: &Identity, attempt: u32) -> ([u8; 16], u64) {
    let mut rng = me.rng(Purpose::Wire, attempt);
    (rng.random(), rng.random())
}

impl Identity {
    /// The client's random stream for a purpose, at the place that belongs to an attempt.
    pub(super) fn rng(&self, purpose: Purpose, attempt: u32) -> rand_chacha::ChaCha8Rng {
        let name = &self.population().name;
        let mut rng = pace::stream(self.shard.plan.seed, name, self.index, purpose);
        rng.set_word_pos(u128::from(attempt) * WORDS_PER_ATTEMPT);
        rng
    }
}

/// Opens a connection. `target` makes path and query when the attempt's turn has come; `progress`
/// tells how far it got.
pub async fn open(
    me: &Identity,
    attempt: u32,
    target: impl FnOnce() -> Secret,
    progress: &Cell<Progress>,
) -> Result<Box<Session>, Failure> {
    // The permit is held until the connection is open, but not for as long as somebody may let the
    // handshake wait.
    let Ok(permit) = me.shard.connects.acquire().await else {
        return Err(ConnectFailure::Cancelled.into());
    };
    let started = Instant::now();
    progress.set(Progress::Dialling(started));
    increment(&me.shard.counts.attempts);
    me.tell_begun(attempt);
    let (stream, relay) = timeout(me.limits.connect, connect(me, attempt))
        .await
        .map_err(|_| Failure::from(ConnectFailure::TimedOut))??;
    progress.set(Progress::Shaking(started));
    me.tell(|| ClientStep::Connected);
    let target = target();
    let mut shaking = Box::pin(shake(me, attempt, stream, &target));
    let (answer, _permit) = match timeout(HANDSHAKE_COUNTS_FOR, shaking.as_mut()).await {
        Ok(answer) => (answer, Some(permit)),
        Err(_) => {
            drop(permit);
            (shaking.await, None)
        }
    };
    let (stream, mut reader, leftover_bytes) = answer?;
    me.tell(|| ClientStep::Upgraded);
    let (mut stream, mut read_bytes) = (stream, leftover_bytes);
    let connection_id = match me.population().protocol {
        Subprotocol::Simple => None,
        Subprotocol::Json => {
            let first =
                poll_fn(|cx| poll_first_frame(me, &mut stream, &mut reader, &mut read_bytes, cx));
            let first = timeout(me.limits.handshake, first).await;
            let observation = match first.unwrap_or(First::Failed(HandshakeFailure::TimedOut)) {
                First::Connected(id) => Ok(Some(id)),
                First::Failed(failure) => Err(ClientObservation::HandshakeFailed { failure }),
                First::Ended(observation) => {
                    echo_close(me, attempt, &mut stream, &observation).await;
                    Err(observation)
                }
            };
            observation.map_err(|observation| Failure { observation, read_bytes })?
        }
    };
    let opened = Instant::now();
    me.tell(|| ClientStep::Opened { connection_id: connection_id.clone() });
    let start = Start { attempt, started, opened, connection_id, read_bytes };
    Ok(Box::new(Session::open(me, stream, relay, reader, start)))
}

/// The connection, behind a relay where it has to be able to go silent.
async fn connect(me: &Identity, attempt: u32) -> Result<(Stream, Option<RelayHandle>), Failure> {
    let Population { buffers, shaping, .. } = *me.population();
    let jitter = (!shaping.jitter.is_zero()).then(|| Box::new(me.rng(Purpose::Link, attempt)));
    let connected = me.shard.connector.connect(Dial { buffers, shaping, jitter }).await;
    let far = connected.map_err(|error| Failure::from(error.failure))?;
    if !vanish::needs_relay(&me.population().behaviours) {
        return Ok((far, None));
    }
    let (near, handle) = relay(far, buffers.receive).await.map_err(|_| ConnectFailure::Other)?;
    Ok((near, Some(handle)))
}

/// The upgrade. Gives the stream, a reader that holds what came behind the 101, and how much.
async fn shake(
    me: &Identity,
    attempt: u32,
    stream: Stream,
    target: &Secret,
) -> Result<(Stream, FrameReader, u64), Failure> {
    let (key, _) = connection_key(me, attempt);
    let request = UpgradeRequest {
        authority: &me.shard.connector.endpoint().authority(),
        path_and_query: target.expose(),
        subprotocol: me.population().protocol,
        key,
    };
    let answer = timeout(me.limits.handshake, upgrade(stream, &request)).await;
    match answer.unwrap_or(Err(HandshakeFailure::TimedOut))? {
        UpgradeAnswer::Refused { status, body } => {
            Err(ClientObservation::Refused { status, body }.into())
        }
        UpgradeAnswer::Upgraded { stream, leftover } => {
            let mut reader = FrameReader::new(Role::Client, MESSAGE_BYTES_MAX);
            reader.feed_leftover(&leftover);
            Ok((stream, reader, leftover.len() as u64))
        }
    }
}

/// What the first frame of a JSON connection was.
enum First {
    /// `connected`, with the connection id.
    Connected(String),
    /// Something else.
    Failed(HandshakeFailure),
    /// None came: the connection ended.
    Ended(ClientObservation),
}

fn poll_first_frame(
    me: &Identity,
    stream: &mut Stream,
    reader: &mut FrameReader,
    read_bytes: &mut u64,
    cx: &mut Context<'_>,
) -> Poll<First> {
    let mut scratch = me.shard.scratch.borrow_mut();
    let mut fresh = 0;
    loop {
        let mut first = None;
        let parsed = reader.read(&mut scratch[..fresh], |event| {
            me.tell_read(&event);
            first = first_of(event);
            if first.is_some() { Next::Stop } else { Next::Continue }
        });
        if let Some(first) = first {
            return Poll::Ready(first);
        }
        if parsed.is_err() {
            return Poll::Ready(First::Failed(HandshakeFailure::NoConnectedFrame));
        }
        let mut buffer = ReadBuf::new(&mut scratch);
        match Pin::new(&mut *stream).poll_read(cx, &mut buffer) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Err(error)) => {
                return Poll::Ready(First::Ended(super::session::seen(&error)));
            }
            Poll::Ready(Ok(())) => fresh = buffer.filled().len(),
        }
        if fresh == 0 {
            return Poll::Ready(First::Ended(ClientObservation::Eof));
        }
        *read_bytes += fresh as u64;
    }
}

fn first_of(event: ReadEvent<'_>) -> Option<First> {
    match event {
        ReadEvent::Ping(_) | ReadEvent::Pong(_) => None,
        ReadEvent::Binary(_) => Some(First::Failed(HandshakeFailure::NoConnectedFrame)),
        ReadEvent::Close(frame) => Some(First::Ended(ClientObservation::CloseFrame {
            code: frame.code,
            reason: frame.reason,
            first: CloseFirst::Hub,
        })),
        ReadEvent::Text(text) => Some(match ServerFrame::parse(text) {
            Ok(ServerFrame::Connected { connection_id, .. }) => First::Connected(connection_id),
            _ => First::Failed(HandshakeFailure::NoConnectedFrame),
        }),
    }
}

/// Answers a close frame that came before the connection was open, if that is what came.
async fn echo_close(
    me: &Identity,
    attempt: u32,
    stream: &mut Stream,
    observation: &ClientObservation,
) {
    if let ClientObservation::CloseFrame { code, .. } = observation {
        let (_, masks) = connection_key(me, attempt);
        let mut frame = Vec::new();
        let mask = u32::try_from(masks >> 32).unwrap_or_default().to_le_bytes();
        client_frame(Opcode::Close, &close_payload(*code, ""), mask, &mut frame);
        me.tell(|| ClientStep::CloseSent { code: *code, reason: String::new() });
        // The end is known already; whether the echo gets through changes nothing.
        let _ = timeout(me.limits.parting, stream.write_all(&frame)).await;
    }
}
