//! Before load begins: can the target do what the plan needs, does it let us in, and what time is
//! it there.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use rand::RngExt as _;
use tokio::io::AsyncWriteExt as _;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::hands::CALL_WITHIN;
use super::ledger::HubView;
use super::rest::{Body, CallError, SignedCaller, parse};
use super::story::StoryFeed;
use super::streams::{self, HubLine};
use super::{Control, EngineError, ScriptedUpstream, Target};
use crate::client::Credentials;
use crate::event::{EventFailedLine, HandshakeFailure};
use crate::net::{Clock, Dial, Stream};
use crate::pace::{self, Purpose};
use crate::protocol::control::{
    CAPABILITIES_PATH, CONTROL_VERSION, Capabilities, LEDGER_PATH, LedgerEntry, STORY_PATH,
    StartTimeline, TIMELINE_PATH, TRACE_PATH, TimelineStarted,
};
use crate::protocol::rest::Operation;
use crate::protocol::webhook::counts::StartUpstream;
use crate::protocol::{CloseCode, Subprotocol};
use crate::scenario::Plan;
use crate::secret::Secret;
use crate::ws::Opcode;
use crate::ws::frame::{client_frame, close_payload};
use crate::ws::handshake::{UpgradeAnswer, UpgradeRequest, upgrade};

/// Group whose existence is asked for, to see whether a target without control API lets us in; and
/// name of the random stream of an upgrade that is tried for the same end.
const PROBE: &str = "squall-probe";

/// Code of a close in order (RFC 6455, section 7.4.1).
const CLOSE_NORMAL: CloseCode = 1000;

/// How long a hub may take to close the connection of a probe.
const FAREWELL_WITHIN: Duration = Duration::from_secs(1);

/// Times the hub is asked what time it is.
const CLOCK_PROBES: usize = 3;

/// A target that is ready for load.
#[derive(Debug)]
pub(super) struct Opened {
    /// Whether the hub's side of the ledger is read.
    pub(super) view: HubView,
    /// How far the hub's clock is ahead of ours, in nanoseconds.
    pub(super) hub_ahead_ns: i64,
    /// Tasks that read the hub's streams.
    pub(super) streams: Streams,
    /// Calls the application server, over the connection that began its timeline: that one stays
    /// open while the server does not listen.
    pub(super) upstream: Option<SignedCaller>,
}

/// Tasks that read the hub's streams; they end when this is dropped.
#[derive(Debug, Default)]
pub(super) struct Streams(Vec<JoinHandle<()>>);

impl Drop for Streams {
    fn drop(&mut self) {
        self.0.iter().for_each(JoinHandle::abort);
    }
}

/// Where the hub's streams go.
#[derive(Debug)]
pub(super) struct Feeds {
    /// Its side of the ledger.
    pub(super) ledger: mpsc::Sender<HubLine<LedgerEntry>>,
    /// Its resource log.
    pub(super) trace: mpsc::Sender<Bytes>,
    /// What its resource log says of events that failed.
    pub(super) failures: mpsc::Sender<EventFailedLine>,
    /// Its side of the story, when somebody is watched.
    pub(super) story: Option<StoryFeed>,
}

/// Checks the target, begins the hub's timeline and opens its streams.
pub(super) async fn open(
    plan: &Plan,
    target: &Target,
    upstream: Option<&ScriptedUpstream>,
    clock: Clock,
    feeds: Feeds,
) -> Result<Opened, EngineError> {
    check_requirements(plan, target)?;
    let key = target.access_key.as_ref();
    let caller = SignedCaller::new(&target.connector, key, clock, CALL_WITHIN);
    match (target.control, caller) {
        (Control::Offered, Ok(caller)) => {
            open_controlled(plan, caller, upstream, clock, feeds).await
        }
        (Control::Offered, Err(_)) => Err(EngineError::Requirement(
            "the control API needs the hub's access key; give its connection string".to_owned(),
        )),
        (Control::Absent, caller) => {
            match caller {
                Ok(caller) => probe_signed(plan, caller).await?,
                Err(_) => probe_plain(plan, target).await?,
            }
            let streams = Streams::default();
            let view = HubView::NotObserved;
            Ok(Opened { view, hub_ahead_ns: 0, streams, upstream: None })
        }
    }
}

fn check_requirements(plan: &Plan, target: &Target) -> Result<(), EngineError> {
    if plan.requires.control && target.control == Control::Absent {
        return Err(EngineError::Requirement(
            "it needs faults or settings of the hub, which only a Squall hub offers; run it \
             against the embedded hub or `squall hub`"
                .to_owned(),
        ));
    }
    if plan.requires.access_key && target.access_key.is_none() {
        return Err(EngineError::Requirement(
            "it needs REST calls or tokens of its own; give a connection string with its access \
             key instead of a client URL"
                .to_owned(),
        ));
    }
    Ok(())
}

async fn open_controlled(
    plan: &Plan,
    mut caller: SignedCaller,
    upstream: Option<&ScriptedUpstream>,
    clock: Clock,
    feeds: Feeds,
) -> Result<Opened, EngineError> {
    let hub_ahead_ns = meet(&mut caller, clock).await?;
    let scripted = match upstream {
        Some(upstream) => Some(begin_upstream(plan, upstream, clock).await?),
        None => None,
    };
    let watched = feeds.story.as_ref().map(|story| story.watched.clone());
    let start = StartTimeline {
        run: plan.name.clone(),
        settings: plan.hub.clone(),
        watched,
        upstream: upstream.map(|upstream| upstream.connector.endpoint().to_string()),
    };
    match caller.post(TIMELINE_PATH, &start).await {
        Ok(answer) => {
            parse::<TimelineStarted>(TIMELINE_PATH, &answer)
                .map_err(|error| unreachable(&error))?;
        }
        Err(CallError::Status { status: StatusCode::CONFLICT, .. }) => {
            return Err(EngineError::Requirement(
                "a hub of its own: connections of another run are still open on this one; wait \
                 for that run to end"
                    .to_owned(),
            ));
        }
        Err(CallError::Status { status: StatusCode::BAD_REQUEST, body, .. }) => {
            return Err(EngineError::Requirement(format!("its hub settings{body}")));
        }
        Err(error) => return Err(unreachable(&error)),
    }
    let entries = caller.lines(LEDGER_PATH).await.map_err(|error| unreachable(&error))?;
    let records = caller.lines(TRACE_PATH).await.map_err(|error| unreachable(&error))?;
    let mut streams = vec![
        tokio::task::spawn_local(streams::read_entries(entries, feeds.ledger)),
        tokio::task::spawn_local(streams::read_trace(records, feeds.trace, feeds.failures)),
    ];
    if let Some(story) = feeds.story {
        let lines = caller.lines(STORY_PATH).await.map_err(|error| unreachable(&error))?;
        streams.push(tokio::task::spawn_local(streams::read_entries(lines, story.lines)));
    }
    let (view, streams) = (HubView::Observed, Streams(streams));
    Ok(Opened { view, hub_ahead_ns, streams, upstream: scripted })
}

/// Begins the timeline of the application server.
async fn begin_upstream(
    plan: &Plan,
    upstream: &ScriptedUpstream,
    clock: Clock,
) -> Result<SignedCaller, EngineError> {
    let caller = SignedCaller::new(&upstream.connector, Some(&upstream.key), clock, CALL_WITHIN);
    let mut caller = caller.map_err(|error| unreachable(&error))?;
    let start = StartUpstream { run: plan.name.clone() };
    let answer = caller.post(TIMELINE_PATH, &start).await.map_err(|error| unreachable(&error))?;
    parse::<TimelineStarted>(TIMELINE_PATH, &answer).map_err(|error| unreachable(&error))?;
    Ok(caller)
}

/// Asks the hub what it is; returns how far its clock is ahead of ours.
async fn meet(caller: &mut SignedCaller, clock: Clock) -> Result<i64, EngineError> {
    let mut best: Option<ClockProbe> = None;
    for _ in 0..CLOCK_PROBES {
        let asked = Instant::now();
        let hub: Capabilities =
            caller.get(CAPABILITIES_PATH).await.map_err(|error| unreachable(&error))?;
        if hub.version != CONTROL_VERSION {
            return Err(EngineError::Requirement(format!(
                "version {CONTROL_VERSION} of the control API, and the hub speaks version {}; use \
                 the same release of squall on both sides",
                hub.version
            )));
        }
        let probe = ClockProbe::new(clock, asked, Instant::now(), hub.now_ns);
        best = Some(best.map_or(probe, |best| best.better(probe)));
    }
    Ok(best.map_or(0, ClockProbe::ahead_ns))
}

/// One reading of the hub's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ClockProbe {
    /// Hub's clock less ours, if it was read halfway between question and answer.
    ahead_ns: i64,
    /// Half of the time between question and answer: the error's bound.
    bound_ns: u64,
}

impl ClockProbe {
    fn new(clock: Clock, asked: Instant, answered: Instant, hub_ns: u64) -> Self {
        let half = answered.saturating_duration_since(asked) / 2;
        let ours = clock.at_ns(asked + half);
        let ahead = i128::from(hub_ns) - i128::from(ours);
        Self {
            ahead_ns: i64::try_from(ahead).unwrap_or(0),
            bound_ns: u64::try_from(half.as_nanos()).unwrap_or(u64::MAX),
        }
    }

    const fn better(self, other: Self) -> Self {
        if other.bound_ns < self.bound_ns { other } else { self }
    }

    /// The difference to apply. One within its own error tells nothing, and is none where engine
    /// and hub share a machine's clock.
    const fn ahead_ns(self) -> i64 {
        if self.ahead_ns.unsigned_abs() <= self.bound_ns { 0 } else { self.ahead_ns }
    }
}

/// One cheap call that tells whether the key is accepted. Whether the group exists does not matter.
async fn probe_signed(plan: &Plan, mut caller: SignedCaller) -> Result<(), EngineError> {
    let group = PROBE.to_owned();
    let operation = Operation::GroupExists { hub: plan.hub_name.clone(), group };
    match caller.operation(&operation, &[], Body::Empty).await {
        Ok(_) | Err(CallError::Status { status: StatusCode::NOT_FOUND, .. }) => Ok(()),
        Err(error) => Err(unreachable(&error)),
    }
}

/// Without a key the fixed URL itself is tried: one upgrade, closed again in order. A token that
/// the hub does not take is so known before load.
async fn probe_plain(plan: &Plan, target: &Target) -> Result<(), EngineError> {
    let endpoint = target.connector.endpoint();
    let told = |what: String| EngineError::Unreachable(format!("{endpoint}: {what}"));
    let late = |what: &str| told(format!("no {what} within {CALL_WITHIN:?}"));
    let connecting = target.connector.connect(Dial::default());
    let stream = timeout(CALL_WITHIN, connecting)
        .await
        .map_err(|_| late("connection"))?
        .map_err(|error| told(error.to_string()))?;
    let Credentials::FixedUrl(url) = &target.credentials else { return Ok(()) };
    let answer = timeout(CALL_WITHIN, try_url(plan, target, url, stream));
    match answer.await.map_err(|_| late("answer to a websocket upgrade"))? {
        Ok(UpgradeAnswer::Upgraded { stream, .. }) => {
            // However it goes, the hub let us in, which was the question.
            let _ = timeout(FAREWELL_WITHIN, leave(stream)).await;
            Ok(())
        }
        Ok(UpgradeAnswer::Refused { status, body }) => match refusal(status) {
            Some(remedy) => Err(told(format!(
                "the client URL was answered {status}{}{remedy}",
                start_of(&body)
            ))),
            // A full or busy hub is for the run to count.
            None => Ok(()),
        },
        // Only some populations may ask for a subprotocol that is not spoken.
        Err(HandshakeFailure::Subprotocol) => Ok(()),
        Err(_) => Err(told(
            "no websocket answer to the client URL; is this a Web PubSub endpoint?".to_owned(),
        )),
    }
}

/// Asks for an upgrade by the fixed URL, as the first population would.
async fn try_url(
    plan: &Plan,
    target: &Target,
    url: &Secret,
    stream: Stream,
) -> Result<UpgradeAnswer, HandshakeFailure> {
    let request = UpgradeRequest {
        authority: &target.connector.endpoint().authority(),
        path_and_query: url.expose(),
        subprotocol: plan.populations.first().map_or(Subprotocol::Simple, |first| first.protocol),
        key: pace::stream(plan.seed, PROBE, 0, Purpose::Wire).random(),
    };
    upgrade(stream, &request).await
}

/// Closes a websocket in order, and reads until the hub has closed the connection.
async fn leave(mut stream: Stream) -> std::io::Result<()> {
    let mut frame = Vec::new();
    client_frame(Opcode::Close, &close_payload(Some(CLOSE_NORMAL), ""), [0; 4], &mut frame);
    stream.write_all(&frame).await?;
    stream.flush().await?;
    tokio::io::copy(&mut stream, &mut tokio::io::sink()).await.map(|_| ())
}

/// What to do about an upgrade that was answered so, where load would be refused as well.
const fn refusal(status: u16) -> Option<&'static str> {
    match status {
        401 => Some(
            "; its token has expired, was signed with another key, or is for another hub: get a \
             fresh client URL",
        ),
        403 => Some("; its token does not allow this: get a client URL for this hub"),
        404 => Some("; there is no such hub at this address: check the URL's host and path"),
        _ => None,
    }
}

/// `: ` and a refusal's body, or nothing.
fn start_of(body: &str) -> String {
    let body = body.trim();
    if body.is_empty() { String::new() } else { format!(": {body}") }
}

/// A call before load that failed, with what to do where that is known.
fn unreachable(error: &CallError) -> EngineError {
    let hint = match error {
        CallError::Status { status: StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, .. } => {
            "; check the access key of the connection string, and the clocks of both machines"
        }
        CallError::Status { status: StatusCode::NOT_FOUND, .. } => {
            "; the access key is not this hub's, or it is no Squall hub with a control API"
        }
        _ => "",
    };
    EngineError::Unreachable(format!("{error}{hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_clock_difference_counts_only_beyond_its_error() {
        let clock = Clock::fixed(1_000_000_000);
        let asked = Instant::now();
        let answered = asked + Duration::from_micros(200);
        let same = ClockProbe::new(clock, asked, answered, 1_000_000_000 + 150_000);
        assert_eq!((same.ahead_ns, same.bound_ns), (50_000, 100_000));
        assert_eq!(same.ahead_ns(), 0);
        let other = ClockProbe::new(clock, asked, answered, 1_005_000_000);
        assert_eq!(other.ahead_ns(), 4_900_000);
        let slow = ClockProbe::new(clock, asked, asked + Duration::from_secs(1), 3_000_000_000);
        assert_eq!(slow.better(other), other);
    }
}
