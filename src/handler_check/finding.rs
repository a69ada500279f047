//! What a check finds.

use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::measure::latency::microseconds;

/// The checks, in the order in which they are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckName {
    /// Where `{hub}` and `{event}` stand in the URL.
    Url,
    /// Name, port and certificate.
    Reach,
    /// Abuse protection, as the service asks: the host alone.
    Validation,
    /// The same as hubs with a port of their own ask, emulators that is.
    OriginWithPort,
    /// An event signed with the hub's key is let in.
    Signature,
    /// `connect`.
    Connect,
    /// `connected`.
    Connected,
    /// A user event of text.
    Text,
    /// A user event of JSON.
    Json,
    /// A user event of bytes.
    Binary,
    /// What the handler has the hub send back to it.
    State,
    /// The same event twice.
    Duplicate,
    /// A user event of a name that the application does not know.
    UnknownEvent,
    /// A `ce-type` that nobody knows.
    UnknownType,
    /// `disconnected`.
    Disconnected,
    /// A signature made with another key.
    ForgedSignature,
    /// No signature.
    MissingSignature,
    /// An event of another hub.
    OtherHub,
    /// User events at a rate.
    Latency,
}

impl CheckName {
    /// Columns of the longest name.
    pub const COLUMNS: usize = 17;

    /// As it is printed.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::Reach => "reach",
            Self::Validation => "validation",
            Self::OriginWithPort => "origin-with-port",
            Self::Signature => "signature",
            Self::Connect => "connect",
            Self::Connected => "connected",
            Self::Text => "text",
            Self::Json => "json",
            Self::Binary => "binary",
            Self::State => "state",
            Self::Duplicate => "duplicate",
            Self::UnknownEvent => "unknown-event",
            Self::UnknownType => "unknown-type",
            Self::Disconnected => "disconnected",
            Self::ForgedSignature => "forged-signature",
            Self::MissingSignature => "missing-signature",
            Self::OtherHub => "other-hub",
            Self::Latency => "latency",
        }
    }
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// As the service needs it.
    Pass,
    /// Neither good nor bad; worth knowing.
    Info,
    /// It was not made, or says nothing; why is told.
    Skip,
    /// It works, and something ought to be changed.
    Warn,
    /// It fails as an earlier check does, where it is told.
    Same,
    /// The service could not work with it.
    Fail,
}

/// What a check found.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// Which check.
    pub check: CheckName,
    /// How it ended.
    pub outcome: Outcome,
    /// What is so, in a line.
    pub what: String,
    /// The earlier check that ended in the same way.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same_as: Option<CheckName>,
    /// What was sent, and what came back.
    pub exchanges: Vec<Exchange>,
    /// Where Microsoft writes about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guide: Option<Guide>,
    /// What the service's live trace and resource log say of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log: Option<LogLine>,
    /// What to change.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub change: Option<String>,
    /// Figures of [`CheckName::Latency`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<LatencyFigures>,
}

impl Finding {
    /// One that has no more to tell than a line.
    pub(super) fn new(check: CheckName, outcome: Outcome, what: impl Into<String>) -> Self {
        Self {
            check,
            outcome,
            what: what.into(),
            same_as: None,
            exchanges: Vec::new(),
            guide: None,
            log: None,
            change: None,
            latency: None,
        }
    }

    pub(super) fn with(mut self, exchange: Exchange) -> Self {
        self.exchanges.push(exchange);
        self
    }

    pub(super) const fn guided(mut self, guide: Guide) -> Self {
        self.guide = Some(guide);
        self
    }

    pub(super) fn changed(mut self, change: impl Into<String>) -> Self {
        self.change = Some(change.into());
        self
    }
}

/// A request and its answer. Holds no secret: no query, no signature, no cookie.
#[derive(Clone, Debug, Serialize)]
pub struct Exchange {
    /// Method.
    pub method: String,
    /// URL; its query is hidden.
    pub url: String,
    /// Headers of the request.
    pub headers: Vec<(String, String)>,
    /// Start of the request's body, if it has one.
    pub body: String,
    /// What came back.
    pub reply: Reply,
    /// From the request to the end of the answer; in the document in microseconds.
    #[serde(rename = "took_us", serialize_with = "in_microseconds")]
    pub took: Duration,
}

fn in_microseconds<S: Serializer>(took: &Duration, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_u64(microseconds(*took))
}

/// What came back.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// An answer.
    Answer {
        /// Status.
        status: u16,
        /// Those of its headers that say something here.
        headers: Vec<(String, String)>,
        /// Start of its body.
        body: String,
        /// Length of its body, in bytes.
        body_bytes: u64,
    },
    /// None, and why.
    Nothing(String),
}

impl Reply {
    /// Start of the body; empty where there is none.
    #[must_use]
    pub fn body(&self) -> &str {
        match self {
            Self::Answer { body, .. } => body,
            Self::Nothing(_) => "",
        }
    }
}

/// A record of the service's live trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogLine {
    /// Name of the event.
    pub event: &'static str,
    /// Its message.
    pub message: String,
}

/// Figures of user events at a rate. Times are in microseconds, from the planned instant.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LatencyFigures {
    /// Events planned.
    pub planned: u64,
    /// Answers by status.
    pub statuses: std::collections::BTreeMap<u16, u64>,
    /// Events without an answer.
    pub unanswered: u64,
    /// Events that were never sent since earlier ones hung.
    pub unsent: u64,
    /// Events that began late since every connection waited for an answer.
    pub delayed: u64,
    /// Half took at most this.
    pub p50_us: u64,
    /// 99 of 100 took at most this.
    pub p99_us: u64,
    /// The longest.
    pub max_us: u64,
}

/// A page of Microsoft's documentation, and a section in it. The first four are all that its
/// troubleshooting guide has about event handlers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guide {
    /// "404 from HttpHandlerUnexpectedResponse".
    NotFound,
    /// "500 from HttpHandlerUnexpectedResponse".
    ServerError,
    /// "AbuseProtectionResponseMissingAllowedOrigin".
    MissingAllowedOrigin,
    /// "401 Unauthorized from AbuseProtectionResponseInvalidStatusCode".
    Unauthorized,
    /// The page on debugging event handlers, which has the failures of abuse protection that the
    /// guide leaves out.
    Debugging,
    /// The page on what events and their answers look like.
    CloudEvents,
}

impl Guide {
    /// Heading of the section.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::NotFound => "404 from HttpHandlerUnexpectedResponse",
            Self::ServerError => "500 from HttpHandlerUnexpectedResponse",
            Self::MissingAllowedOrigin => "AbuseProtectionResponseMissingAllowedOrigin",
            Self::Unauthorized => "401 Unauthorized from AbuseProtectionResponseInvalidStatusCode",
            Self::Debugging => "Debug the event handler endpoint online",
            Self::CloudEvents => "CloudEvents extension for Azure Web PubSub event handler",
        }
    }

    /// The page it stands on.
    #[must_use]
    pub fn page(self) -> String {
        let url = self.url();
        url.split('#').next().unwrap_or_default().to_owned()
    }

    /// Where it stands.
    #[must_use]
    pub fn url(self) -> String {
        let page = match self {
            Self::NotFound => {
                "howto-troubleshoot-common-issues#404-from-httphandlerunexpectedresponse"
            }
            Self::ServerError => {
                "howto-troubleshoot-common-issues#500-from-httphandlerunexpectedresponse"
            }
            Self::MissingAllowedOrigin => {
                "howto-troubleshoot-common-issues#abuseprotectionresponsemissingallowedorigin"
            }
            Self::Unauthorized => {
                "howto-troubleshoot-common-issues\
                 #401-unauthorized-from-abuseprotectionresponseinvalidstatuscode"
            }
            Self::Debugging => {
                "howto-local-debug-event-handler#debug-the-event-handler-endpoint-online"
            }
            Self::CloudEvents => "reference-cloud-events",
        };
        format!("https://learn.microsoft.com/azure/azure-web-pubsub/{page}")
    }
}

impl Serialize for Guide {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut fields = serializer.serialize_struct("Guide", 2)?;
        fields.serialize_field("title", self.title())?;
        fields.serialize_field("url", &self.url())?;
        fields.end()
    }
}
