//! What a hub and the event handlers of an application say to each other: CloudEvents over HTTP,
//! and the abuse protection before them (service-side facts, section 2).
//!
//! HTTP/1.1 is spoken, over http and https. HTTP/2, which the service tries first, is not: every
//! handler takes both.
//!
//! | file | what |
//! | --- | --- |
//! | `request` | headers and bodies of events and validations |
//! | `answer` | what handlers answer, and what it means |
//! | `signature` | proof that an event comes from the hub |
//! | `listener` | who hears of events without an answer, and what it gets |
//! | `cookies` | what a handler has the hub send back to it |
//! | `counts` | what a scripted handler counts, and its control API |
//! | `settings` | which handler gets which event, and how hard the hub tries |
//! | `template` | URL templates, event names and patterns |
//! | `texts` | the messages of Microsoft's troubleshooting guide, byte for byte |

pub mod answer;
pub mod cookies;
pub mod counts;
pub mod listener;
pub mod request;
pub mod settings;
pub mod signature;
pub mod template;
pub mod texts;

pub use answer::{BadAnswer, ConnectAnswer, allows_origin, user_event_answer};
pub use cookies::CookieJar;
pub use counts::{RequestKind, UpstreamCounts};
pub use listener::{Delivery, EventListener};
pub use request::{ConnectBody, DisconnectedBody, EventHead, NotAscii};
pub use settings::{EventHandler, EventSettings, FailedUserEvent, RefusalBody, WebhookPolicy};
pub use signature::{sign_event, verify_signature};
pub use template::{EventName, UrlTemplate, UserEventPattern, WebhookUrl};
pub use texts::WebhookFailure;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What `ce-type` of a system event begins with.
const SYSTEM_TYPE: &str = "azure.webpubsub.sys.";
/// What `ce-type` of a user event begins with.
const USER_TYPE: &str = "azure.webpubsub.user.";

/// A system event.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum SystemEvent {
    /// Before the upgrade; the handler's answer decides.
    Connect,
    /// After the upgrade; nobody waits for the answer.
    Connected,
    /// After the end of a connection; nobody waits for the answer.
    Disconnected,
}

impl SystemEvent {
    /// All of them, in the order of a connection's life.
    pub const ALL: [Self; 3] = [Self::Connect, Self::Connected, Self::Disconnected];

    /// The event of a name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|event| event.name() == name)
    }

    /// Its name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Connected => "connected",
            Self::Disconnected => "disconnected",
        }
    }
}

/// An event of a connection.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// Of the service.
    System(SystemEvent),
    /// Of a client; simple clients' frames are all `message`.
    User(EventName),
}

impl Event {
    /// Its bare name (`ce-eventName`).
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::System(event) => event.name(),
            Self::User(name) => name.as_str(),
        }
    }

    /// Value of `ce-type`.
    #[must_use]
    pub fn cloud_event_type(&self) -> String {
        match self {
            Self::System(event) => format!("{SYSTEM_TYPE}{}", event.name()),
            Self::User(name) => format!("{USER_TYPE}{}", name.as_str()),
        }
    }

    /// The event of a `ce-type`.
    #[must_use]
    pub fn of_cloud_event_type(text: &str) -> Option<Self> {
        if let Some(name) = text.strip_prefix(SYSTEM_TYPE) {
            SystemEvent::of_name(name).map(Self::System)
        } else {
            EventName::parse(text.strip_prefix(USER_TYPE)?).ok().map(Self::User)
        }
    }
}
