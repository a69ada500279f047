//! The one enum of things that happen in a run: the only bridge from running to telling.
//!
//! Messages never become events; they update per-thread [`crate::measure`]s. Times are nanoseconds
//! since the run's epoch (the start of the timeline) unless a field says otherwise.

mod story;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::protocol::control::{HubCall, HubEnd, HubRefusal, HubValidation};
use crate::protocol::webhook::WebhookFailure;
use crate::protocol::{AttemptId, CloseCategory, CloseCode};

pub use story::{ClientStep, FrameTold, HubTelling, JsonKind, StoryEnd, StoryLine, StorySide};

/// Something that happened, and when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Nanoseconds since the run's epoch.
    pub at_ns: u64,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum EventKind {
    /// First event of every run.
    RunStarted(Box<RunStarted>),
    /// The run entered another phase.
    PhaseChanged {
        /// Which.
        phase: Phase,
    },
    /// A fault of the timeline was carried out, or failed to be. The event's time is when it was
    /// asked for, so that no effect of it is earlier; rows that come up while it is under way
    /// follow this event.
    FaultDone {
        /// Position in the scenario's `[[faults]]`, from 0.
        index: usize,
        /// What it was, for people.
        what: String,
        /// Connections it was aimed at, where that is known.
        addressed: Option<u64>,
        /// Why it could not be done; `None` when it was.
        error: Option<String>,
    },
    /// A connection attempt has ended on both sides (or on the sides that can be seen).
    AttemptEnded(Box<LedgerRow>),
    /// The hub's log says that an event did not get to its handler, or that it did not take it. The
    /// event's time is when the line came.
    EventFailed(Box<EventFailedLine>),
    /// An event for a handler is over, as the hub's ledger says. The event's time is when that was
    /// read; its own are in it, in nanoseconds since the run's epoch.
    UpstreamCall(Box<HubCall>),
    /// A validation of a handler is over, likewise.
    UpstreamValidation(Box<HubValidation>),
    /// How far the run is; emitted about four times a second, for live views only.
    Progress(Progress),
    /// A line of the story of the watched client, in the order in which they arrive: those of the
    /// two sides meet by their times.
    Story(Box<StoryLine>),
    /// The story of the watched client is over.
    StoryEnded(Box<StoryEnd>),
    /// Something a reader of the results must know.
    Warning(Warning),
    /// Last event of a run that was not killed.
    RunEnded {
        /// How.
        how: HowEnded,
    },
}

/// A line of the hub's log about an event that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventFailedLine {
    /// Name of the event in the log.
    pub failure: WebhookFailure,
    /// The service's wording.
    pub message: String,
    /// Why there was no answer, where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exception: Option<String>,
    /// Whose event it was: the ledger's join key, where the client sent one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<String>,
}

/// Where a run takes place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum World {
    /// The machine's clock, TCP or TLS.
    Sockets,
    /// A clock of its own that jumps from event to event, links in memory.
    Virtual,
}

/// Facts that identify a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunStarted {
    /// Scenario name.
    pub scenario: String,
    /// Seed of every draw.
    pub seed: u64,
    /// Hash of the plan.
    pub plan_hash: String,
    /// Where it takes place.
    pub world: World,
    /// Version of Squall.
    pub version: String,
    /// Endpoint of the target, without secrets.
    pub target: String,
    /// The run's epoch, nanoseconds since the Unix epoch.
    pub epoch_unix_ns: u64,
}

/// Phases of a run, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Clients arrive, traffic flows, faults happen.
    Running,
    /// Every expectation is decided (or the time is up): no more traffic, acknowledgements and
    /// deliveries under way are awaited.
    Draining,
    /// The clients that are still there leave.
    Leaving,
    /// Both sides of the ledger are gathered, counters read.
    Gathering,
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HowEnded {
    /// Every expectation was decided before the time was up.
    Decided,
    /// The scenario's duration was over.
    TimeUp,
    /// The user interrupted it.
    Interrupted,
    /// A guard stopped it.
    Aborted,
}

/// Counts for a live view.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Time the scenario may take at most, in nanoseconds.
    pub duration_ns: u64,
    /// Clients in the plan.
    pub clients: u64,
    /// Connections open now.
    pub open: u64,
    /// Attempts begun so far.
    pub attempts: u64,
    /// Messages received by clients so far.
    pub received: u64,
    /// Ended attempts per hub category so far (the client's view where the hub's is not observed).
    pub ended: Vec<(CloseCategory, u64)>,
}

/// What a reader must know, typed; `report` words it.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case", tag = "warning")]
pub enum Warning {
    /// The process ran out of descriptors (`EMFILE`).
    DescriptorsExhausted,
    /// The machine ran out of ports (`EADDRNOTAVAIL`).
    PortsExhausted,
    /// The event queue was full and events were lost.
    EventsLost {
        /// How many.
        count: u64,
    },
    /// The hub's ledger stream broke or lost entries.
    LedgerIncomplete {
        /// Why.
        why: String,
    },
    /// How long events took for their handlers could not be read of the hub.
    NoUpstreamTimes {
        /// Why.
        why: String,
    },
    /// A results file could not be written.
    NotWritten {
        /// Which and why.
        what: String,
    },
}

/// Exactly one row per connection attempt.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LedgerRow {
    /// Join key.
    pub attempt: AttemptId,
    /// The hub's side. Its times are nanoseconds since the run's epoch, like every time of an
    /// event: the engine converts them from the hub's clock before it makes the row.
    pub hub: HubSide,
    /// What the hub's side rests on.
    pub evidence: Evidence,
    /// The client's side.
    pub client: ClientEnd,
}

impl LedgerRow {
    /// The category the hub decided, when it was observed.
    #[must_use]
    pub fn category(&self) -> Option<CloseCategory> {
        match &self.hub {
            HubSide::Ended(end) => Some(end.category),
            HubSide::Refused(refusal) => Some(refusal.category),
            HubSide::NotSeen | HubSide::NotObserved => None,
        }
    }
}

/// The hub's side of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HubSide {
    /// Accepted, then ended.
    Ended(Box<HubEnd>),
    /// Refused before the upgrade.
    Refused(Box<HubRefusal>),
    /// The hub is observed and never saw this attempt.
    NotSeen,
    /// The hub is not observed.
    NotObserved,
}

/// What a claim about the hub's side rests on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Evidence {
    /// The hub's own ledger.
    Hub,
    /// An exported log.
    Log,
    /// An exported metric.
    Metric,
    /// A rule over what the client saw.
    Inferred,
    /// Nothing.
    None,
}

/// What the client wanted when its connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wish {
    /// To stay connected.
    Stay,
    /// To leave: it had begun the close handshake.
    Leave,
    /// To vanish, as its behaviour says.
    Vanish,
}

/// The client's side of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientEnd {
    /// Join key.
    pub attempt: AttemptId,
    /// When the schedule wanted the attempt.
    pub planned_ns: u64,
    /// When the attempt really began.
    pub started_ns: u64,
    /// When the connection was open (101 read; for JSON clients the `connected` frame read).
    pub opened_ns: Option<u64>,
    /// When the client knew of the end (or the run's end, when it never did).
    pub ended_ns: u64,
    /// Connection id, where the subprotocol tells it.
    pub connection_id: Option<String>,
    /// What the client saw.
    pub observation: ClientObservation,
    /// What it wanted.
    pub wish: Wish,
    /// When its misbehaviour began on this connection: the later of opening and the window's start.
    pub behaviour_since_ns: Option<u64>,
    /// Messages received (acknowledgements and system frames are not messages).
    pub received: u64,
    /// Bytes read after the upgrade, frame headers included.
    pub read_bytes: u64,
    /// Messages sent.
    pub sent: u64,
    /// Websocket pings read.
    pub pings: u64,
    /// Websocket pongs sent.
    pub pongs: u64,
    /// Delivery of load messages to this connection, up to the end that the hub decided where
    /// that is observed, else up to the end that the client knew of.
    pub delivery: DeliveryTally,
    /// What of it is lost at the end of its streams; empty in a row, where it is settled.
    #[serde(skip)]
    pub tails: Vec<LostTail>,
    /// Events of this connection that were to come back to it: all that it sent are expected.
    pub replies: DeliveryTally,
}

/// Longest start of a refusal's body that is kept, in characters.
pub const REFUSAL_CHARS_MAX: usize = 1_024;

/// How an attempt ended for the client. End of stream, reset and close frame are three different
/// observations.
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum ClientObservation {
    /// No connection was made.
    ConnectFailed {
        /// Why.
        failure: ConnectFailure,
    },
    /// The hub answered the upgrade with another status than 101.
    Refused {
        /// HTTP status.
        status: u16,
        /// Start of the body, at most [`REFUSAL_CHARS_MAX`] characters.
        body: String,
    },
    /// The upgrade's answer was not acceptable, or never came.
    HandshakeFailed {
        /// Why, in few fixed words.
        failure: HandshakeFailure,
    },
    /// A close frame came first from the hub (`closed_by` hub), or in answer to the client's own.
    CloseFrame {
        /// Code as it stood in the frame; `None` for an empty one.
        code: Option<CloseCode>,
        /// Reason as it stood in the frame.
        reason: String,
        /// Who sent a close frame first.
        first: CloseFirst,
    },
    /// End of stream without a close frame.
    Eof,
    /// Reset by the peer.
    Reset,
    /// The client itself ended it without a close handshake, as its behaviour says.
    Vanished,
    /// The client sent a close frame and no answer came within the grace period.
    NoCloseAnswer,
    /// The client never learned that its connection had ended.
    Unaware,
    /// The hub broke the protocol; the client closed.
    ProtocolError {
        /// What was wrong.
        what: String,
    },
}

/// Who sent a close frame first.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum CloseFirst {
    /// The hub.
    Hub,
    /// The client.
    Client,
}

/// Why no connection was made.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum ConnectFailure {
    /// Nobody listens.
    ConnectionRefused,
    /// Nothing answered in time.
    TimedOut,
    /// Reset while connecting.
    Reset,
    /// TLS failed.
    Tls,
    /// `EMFILE` or `ENFILE`.
    DescriptorsExhausted,
    /// `EADDRNOTAVAIL`.
    PortsExhausted,
    /// The run ended first.
    Cancelled,
    /// Anything else.
    Other,
}

/// Why an upgrade failed without an HTTP refusal.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum HandshakeFailure {
    /// Nothing (or not everything) came in time.
    TimedOut,
    /// The connection ended before the answer was whole.
    Ended,
    /// The answer is not HTTP, or its websocket headers are wrong.
    BadAnswer,
    /// The subprotocol was not echoed, or another one was.
    Subprotocol,
    /// The first frame was not `connected`.
    NoConnectedFrame,
    /// The run ended first.
    Cancelled,
}

/// Delivery of load messages (or of replies to events) to one connection, or a sum of such.
///
/// `expected == received_unique + lost`, where `received_unique = received - duplicated`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct DeliveryTally {
    /// Messages that had to arrive.
    pub expected: u64,
    /// Messages that arrived, duplicates included.
    pub received: u64,
    /// Expected messages that never arrived.
    pub lost: u64,
    /// Messages that arrived again.
    pub duplicated: u64,
    /// Messages that arrived after a later one of the same stream.
    pub out_of_order: u64,
}

/// Expected messages of one stream behind the last one that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LostTail {
    /// Which stream.
    pub stream: u32,
    /// The first of them.
    pub from: u32,
    /// How many there are.
    pub count: u32,
}

impl DeliveryTally {
    /// Adds another tally.
    pub fn add(&mut self, other: &Self) {
        self.expected += other.expected;
        self.received += other.received;
        self.lost += other.lost;
        self.duplicated += other.duplicated;
        self.out_of_order += other.out_of_order;
    }
}
