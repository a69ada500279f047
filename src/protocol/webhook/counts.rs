//! What a scripted application server counts, and what its control API says: the paths of
//! [`crate::protocol::control`], signed and from loopback likewise.
//!
//! | path | body | answer |
//! | --- | --- | --- |
//! | POST [`TIMELINE_PATH`] | [`StartUpstream`] | [`TimelineStarted`] |
//! | GET [`COUNTERS_PATH`] | | [`UpstreamCounts`] |
//!
//! [`TIMELINE_PATH`]: crate::protocol::control::TIMELINE_PATH
//! [`COUNTERS_PATH`]: crate::protocol::control::COUNTERS_PATH
//! [`TimelineStarted`]: crate::protocol::control::TimelineStarted

use std::collections::BTreeMap;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Event, EventName, SystemEvent};

/// The name of a validation among the kinds of requests.
const VALIDATE: &str = "validate";
/// Says that a name is a user event's, whatever it is.
const USER: &str = "user:";

/// What a request of a hub is about. As a text it is `validate`, the name of a system event, or
/// that of a user event, with `user:` before it where the two would look alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub enum RequestKind {
    /// The abuse protection's, OPTIONS or GET.
    Validate,
    /// An event.
    Event(Event),
}

impl RequestKind {
    /// The names that stand for themselves.
    pub const NAMES: [&'static str; 4] = ["connect", "connected", "disconnected", VALIDATE];

    /// Reads the text form.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text == VALIDATE {
            return Ok(Self::Validate);
        }
        if let Some(event) = SystemEvent::of_name(text) {
            return Ok(Self::Event(Event::System(event)));
        }
        EventName::parse(text.strip_prefix(USER).unwrap_or(text))
            .map(|name| Self::Event(Event::User(name)))
    }

    /// The text form of a user event that cannot be taken for anything else.
    #[must_use]
    pub fn spelt_out(name: &str) -> String {
        format!("{USER}{}", name.strip_prefix(USER).unwrap_or(name))
    }
}

impl fmt::Display for RequestKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Validate => f.write_str(VALIDATE),
            Self::Event(Event::User(name)) if Self::NAMES.contains(&name.as_str()) => {
                f.write_str(&Self::spelt_out(name.as_str()))
            }
            Self::Event(event) => f.write_str(event.name()),
        }
    }
}

impl TryFrom<String> for RequestKind {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<RequestKind> for String {
    fn from(kind: RequestKind) -> Self {
        kind.to_string()
    }
}

/// Begins a timeline: windows count from now, rules are as unused, counts are nothing, and what is
/// drawn is drawn anew.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartUpstream {
    /// Name of the run, for whoever watches the server.
    pub run: String,
}

/// What a scripted application server has seen since the start of its timeline.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UpstreamCounts {
    /// By kind of request; user events in lower case.
    pub requests: BTreeMap<RequestKind, RequestCounts>,
    /// Requests of kinds beyond the number that is counted apart.
    pub of_further_kinds: u64,
    /// Requests that no hub makes: another method, or without a hub's headers. They are answered
    /// with 400 or 404, and stand nowhere else.
    pub of_strangers: u64,
    /// Most requests under way at once, of all kinds together.
    pub in_flight_peak: u64,
    /// Signatures of events.
    pub signatures: SignatureCounts,
    /// Validations that were answered.
    pub validations: ValidationCounts,
}

impl UpstreamCounts {
    /// What was counted of a kind.
    #[must_use]
    pub fn of(&self, kind: &RequestKind) -> RequestCounts {
        self.requests.get(kind).cloned().unwrap_or_default()
    }
}

/// Requests of one kind. Those received are those answered, broken off, abandoned and in flight
/// together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RequestCounts {
    /// Requests whose head has come.
    pub received: u64,
    /// Answers by status.
    pub answered: BTreeMap<u16, u64>,
    /// Ended by the script, or by the server's own end, without an answer.
    pub broken_off: u64,
    /// Given up by the hub before the answer.
    pub abandoned: u64,
    /// Under way now.
    pub in_flight: u64,
    /// Most under way at once.
    pub in_flight_peak: u64,
    /// Most received in one second of the timeline; seconds count from its start.
    pub per_second_peak: u64,
    /// Different connections that they came from; at least so many beyond a million. Retries of
    /// an event come from the same one.
    pub connections: u64,
}

/// Signatures of events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SignatureCounts {
    /// Made with one of the keys.
    pub good: u64,
    /// Made with none of them.
    pub bad: u64,
    /// Not there.
    pub missing: u64,
}

/// Answers to validations, judged as the hub does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ValidationCounts {
    /// A success that allows the origin that asked.
    pub granted: u64,
    /// Any other.
    pub denied: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_come_back_from_their_text() {
        for text in ["validate", "connect", "connected", "disconnected", "chat", "user:connect"] {
            let kind = RequestKind::parse(text).unwrap();
            assert_eq!(kind.to_string(), text);
            let json = serde_json::to_string(&kind).unwrap();
            assert_eq!(serde_json::from_str::<RequestKind>(&json).unwrap(), kind);
        }
        assert_eq!(RequestKind::parse("user:chat"), RequestKind::parse("chat"));
        assert_eq!(RequestKind::spelt_out("user:chat"), "user:chat");
        for bad in ["", "user:", "a b", "*"] {
            RequestKind::parse(bad).unwrap_err();
        }
    }

    #[test]
    fn counts_are_keyed_by_the_kinds_text() {
        let mut counts = UpstreamCounts::default();
        let chat = RequestKind::parse("chat").unwrap();
        counts.requests.insert(chat.clone(), RequestCounts { received: 2, ..Default::default() });
        let text = serde_json::to_string(&counts).unwrap();
        assert!(text.contains(r#""chat":{"received":2"#), "{text}");
        let back: UpstreamCounts = serde_json::from_str(&text).unwrap();
        assert_eq!(back, counts);
        assert_eq!((back.of(&chat).received, back.of(&RequestKind::Validate).received), (2, 0));
    }
}
