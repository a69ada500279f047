//! What a scripted application server answers.
//!
//! Times are durations from the start of the server's timeline. The facts about event handlers are
//! in [`crate::protocol::webhook`].

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::protocol::webhook::{Event, RequestKind};
use crate::secret::Secret;

/// What a scripted application server answers, and when it answers nothing. The default is a
/// healthy one: it grants validations and answers every event at once, with nothing.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct UpstreamScript {
    /// What becomes of an event whose signature or origin is not acceptable.
    pub verify: Verify,
    /// Whose access keys signatures are verified with.
    pub access_key: KeyOf,
    /// Every request whose query lacks `code=` with this value is answered with 401, as a function
    /// app does. Never serialised.
    #[serde(skip)]
    pub key: Option<Secret>,
    /// The first request wakes the server.
    pub cold_start: Option<ColdStart>,
    /// Windows in which nobody listens, in order of time and apart from each other. What is open
    /// when one begins is reset, and behind it the server is cold again.
    pub down: Vec<Window>,
    /// The first rule that takes a request answers it; without one the server is healthy.
    pub rules: Vec<UpstreamRule>,
}

impl UpstreamScript {
    /// A healthy server that sends every user event back to whom it came from.
    #[must_use]
    pub fn echo() -> Self {
        let rule = UpstreamRule {
            on: vec![UpstreamOn::EveryUserEvent],
            hub: None,
            window: Window::ALWAYS,
            how_often: HowOften::Always,
            answer: UpstreamAnswer {
                delay: AnswerDelay::NONE,
                what: AnswerWhat::Respond(Box::new(UpstreamResponse {
                    body: AnswerBody::Echo,
                    ..UpstreamResponse::default()
                })),
            },
        };
        Self { rules: vec![rule], ..Self::default() }
    }
}

/// What becomes of an event whose signature or origin is missing or wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verify {
    /// It is answered like any other, as the Express middleware does (service-side facts, 2.9). The
    /// default.
    #[default]
    Ignore,
    /// 500 with [`crate::protocol::webhook::texts::TARGET_INVALID`], as other stacks do.
    Reject,
}

/// Whose access keys a server was set up with. A key itself never stands in a script.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum KeyOf {
    /// Those of the hub whose events come. The default.
    #[default]
    Hub,
    /// Those of another hub, as after a move or a key rotation: no signature is good.
    AnotherHub,
}

/// A server that sleeps until somebody asks for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct ColdStart {
    /// From the request that wakes it to its answer; others wait for that instant too.
    pub lasting: Duration,
    /// It falls asleep again once nothing was asked for so long; `None` is never.
    pub after_idle: Option<Duration>,
}

/// From `from` until `until` (for ever when `None`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Window {
    /// Start.
    pub from: Duration,
    /// End.
    pub until: Option<Duration>,
}

impl Window {
    /// The whole timeline.
    pub const ALWAYS: Self = Self { from: Duration::ZERO, until: None };

    /// Whether an instant lies in it.
    #[must_use]
    pub fn holds(&self, at: Duration) -> bool {
        self.from <= at && self.until.is_none_or(|until| at < until)
    }
}

/// Which requests get which answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UpstreamRule {
    /// Requests that it takes; empty is every one, validations included.
    pub on: Vec<UpstreamOn>,
    /// Only of this hub, in any case. A validation does not name its hub, so that such a rule takes
    /// none.
    pub hub: Option<String>,
    /// Only of these that come in this window.
    pub window: Window,
    /// Only of these, so many or this share.
    pub how_often: HowOften,
    /// What they get.
    pub answer: UpstreamAnswer,
}

/// Kinds of requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum UpstreamOn {
    /// Those of this kind; the name of a user event in any case.
    Kind(RequestKind),
    /// Every user event.
    EveryUserEvent,
}

impl UpstreamOn {
    /// Whether a kind of request is meant.
    #[must_use]
    pub fn takes(&self, asked: &RequestKind) -> bool {
        match (self, asked) {
            (Self::EveryUserEvent, asked) => matches!(asked, RequestKind::Event(Event::User(_))),
            (
                Self::Kind(RequestKind::Event(Event::User(name))),
                RequestKind::Event(Event::User(asked)),
            ) => name.as_str().eq_ignore_ascii_case(asked.as_str()),
            (Self::Kind(kind), asked) => kind == asked,
        }
    }
}

/// How many of the requests a rule takes. A request that it leaves goes to the rules behind it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub enum HowOften {
    /// All.
    Always,
    /// The first so many.
    First(u32),
    /// Each with this probability, above 0 and below 1, from the seed.
    Chance(f64),
}

/// An answer, or none.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct UpstreamAnswer {
    /// From the whole request to the answer.
    pub delay: AnswerDelay,
    /// What.
    pub what: AnswerWhat,
}

/// How long an answer takes: uniformly between the two, from the seed; always the same when they
/// are equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct AnswerDelay {
    /// At least.
    pub from: Duration,
    /// At most.
    pub to: Duration,
}

impl AnswerDelay {
    /// At once.
    pub const NONE: Self = Self::fixed(Duration::ZERO);

    /// Always the same.
    #[must_use]
    pub const fn fixed(delay: Duration) -> Self {
        Self { from: delay, to: delay }
    }
}

/// What a request gets.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub enum AnswerWhat {
    /// An answer.
    Respond(Box<UpstreamResponse>),
    /// None: the connection is reset.
    Reset,
    /// None: the connection ends in order.
    Close,
}

/// An HTTP answer. The default is a healthy one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct UpstreamResponse {
    /// Status; `None` is 200 for a validation, else 200 with a body and 204 without.
    pub status: Option<u16>,
    /// Body.
    pub body: AnswerBody,
    /// `Content-Type`; `None` is what goes with the body.
    pub content_type: Option<String>,
    /// Further headers, valid in HTTP.
    pub headers: Vec<(String, String)>,
    /// `ce-connectionState` of an answer to an event.
    pub state: Option<String>,
    /// `WebHook-Allowed-Origin` of an answer to a validation.
    pub origin: AllowedOrigin,
}

/// The body of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub enum AnswerBody {
    /// None.
    #[default]
    Empty,
    /// This text, `text/plain`.
    Text(String),
    /// This JSON, as written.
    Json(String),
    /// The answer to `connect`.
    Connect(ConnectGrant),
    /// What was asked, with its content type.
    Echo,
    /// JSON that breaks off.
    Malformed,
    /// So many bytes of `application/octet-stream`, all zero.
    Oversize(u64),
}

/// What an answer to `connect` grants. Keys that are `None` are left out of the answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ConnectGrant {
    /// Takes the place of the token's user id.
    pub user: Option<String>,
    /// Take the place of the token's groups.
    pub groups: Option<Vec<String>>,
    /// Take the place of the token's roles.
    pub roles: Option<Vec<String>>,
    /// Subprotocol.
    pub subprotocol: Option<String>,
}

/// Which origins an answer to a validation allows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub enum AllowedOrigin {
    /// The one that asks.
    #[default]
    Asked,
    /// `*`.
    Any,
    /// There is no such header.
    Missing,
    /// One that is not the asker's.
    Wrong,
    /// These, a header line each: as the contract wants it.
    Lines(Vec<String>),
    /// These, in one line with commas between, which no hub takes apart.
    List(Vec<String>),
}
