//! Event handlers of a hub, and how hard it tries to reach them.

use std::collections::BTreeSet;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::template::{UrlTemplate, UserEventPattern};
use super::{Event, EventListener, SystemEvent};

/// What a hub does with events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventSettings {
    /// Event handlers in order; the first that takes an event gets it.
    pub handlers: Vec<EventHandler>,
    /// Event listeners; each that takes an event gets it.
    pub listeners: Vec<EventListener>,
    /// Value of `WebHook-Request-Origin`, and the host that an allowed origin must name: a host
    /// without scheme, with or without port. `None` is the host by which the hub was reached.
    pub origin: Option<String>,
    /// How hard the hub tries.
    pub policy: WebhookPolicy,
}

impl EventSettings {
    /// Whether nobody gets any event.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.handlers.is_empty() && self.listeners.is_empty()
    }

    /// The handler that gets an event.
    #[must_use]
    pub fn handler_of(&self, event: &Event) -> Option<&EventHandler> {
        self.handlers.iter().find(|handler| handler.takes(event))
    }
}

/// One event handler of a hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventHandler {
    /// Where to.
    pub url: UrlTemplate,
    /// Which user events.
    pub user_events: UserEventPattern,
    /// Which system events.
    pub system_events: BTreeSet<SystemEvent>,
}

impl EventHandler {
    /// Whether it gets this event.
    #[must_use]
    pub fn takes(&self, event: &Event) -> bool {
        match event {
            Event::System(event) => self.system_events.contains(event),
            Event::User(name) => self.user_events.matches(name),
        }
    }
}

/// What happens to a client of a subprotocol whose user event failed, be it at its handler or for
/// want of one, whether the hub has handlers of other events or none. (A simple client is always
/// closed with 1011.) The documentation and the emulator of October 2026 differ; what the service
/// does today is unconfirmed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FailedUserEvent {
    /// Its connection is dropped, as documented. The default.
    #[default]
    Drop,
    /// A failed acknowledgement when it asked for one, and nothing else.
    AckError,
}

/// Whether the body of a handler's 4xx answer to `connect` reaches the client. The documentation
/// says so, the emulator does not do it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RefusalBody {
    /// It does. The default.
    #[default]
    Forward,
    /// Only the status does.
    Withhold,
}

/// How hard the hub tries. The defaults are those of Microsoft's emulator, which calls them the
/// service's own (service-side facts, 2.2 and 2.6); for the service they are unconfirmed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookPolicy {
    /// Waits before the second, third, … try of a request that failed at connection level, with 408
    /// or with 5xx.
    pub retry_after: Vec<Duration>,
    /// From the start to the end of the answer, waits included. (The emulator stops counting at the
    /// answer's head, so that a body may take for ever.)
    pub within: Duration,
    /// Largest body of an answer, in bytes.
    pub answer_bytes: u64,
    /// One OPTIONS or GET of a validation.
    pub validation_within: Duration,
    /// How long a good validation counts; then it is refreshed while the old one is still used.
    pub validation_good_for: Duration,
    /// From a failed validation to the next, at first; doubled with each further one.
    pub validation_retry_first: Duration,
    /// The longest such wait.
    pub validation_retry_max: Duration,
    /// What a failed user event does to a client of a subprotocol.
    pub failed_user_event: FailedUserEvent,
    /// Whether a refusal's body reaches the client.
    pub refusal_body: RefusalBody,
}

impl Default for WebhookPolicy {
    fn default() -> Self {
        Self {
            retry_after: [1, 3, 5].map(Duration::from_secs).to_vec(),
            within: Duration::from_secs(100),
            answer_bytes: 16 * 1024 * 1024,
            validation_within: Duration::from_secs(10),
            validation_good_for: Duration::from_secs(60),
            validation_retry_first: Duration::from_secs(1),
            validation_retry_max: Duration::from_secs(60),
            failed_user_event: FailedUserEvent::default(),
            refusal_body: RefusalBody::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::EventName;
    use super::*;

    fn handler(url: &str, user_events: &str, system_events: &[SystemEvent]) -> EventHandler {
        EventHandler {
            url: UrlTemplate::parse(url).unwrap(),
            user_events: UserEventPattern::parse(user_events).unwrap(),
            system_events: system_events.iter().copied().collect(),
        }
    }

    #[test]
    fn the_first_handler_that_takes_an_event_gets_it() {
        let settings = EventSettings {
            handlers: vec![
                handler("http://a/", "chat, join", &[SystemEvent::Connect]),
                handler("http://b/", "*", &[SystemEvent::Connect, SystemEvent::Connected]),
            ],
            ..EventSettings::default()
        };
        let gets = |event: Event| settings.handler_of(&event).map(|handler| handler.url.as_str());
        let user = |name: &str| Event::User(EventName::parse(name).unwrap());
        assert_eq!(gets(Event::System(SystemEvent::Connect)), Some("http://a/"));
        assert_eq!(gets(Event::System(SystemEvent::Connected)), Some("http://b/"));
        assert_eq!(gets(Event::System(SystemEvent::Disconnected)), None);
        assert_eq!(gets(user("CHAT")), Some("http://a/"));
        assert_eq!(gets(user("other")), Some("http://b/"));
    }
}
