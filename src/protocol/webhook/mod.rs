//! What a hub and the event handlers of an application say to each other: CloudEvents over HTTP,
//! and the abuse protection before them (service-side facts, section 2).
//!
//! | file | what |
//! | --- | --- |
//! | `settings` | which handler gets which event, and how hard the hub tries |
//! | `template` | URL templates, event names and patterns |
//! | `texts` | the messages of Microsoft's troubleshooting guide, byte for byte |

pub mod settings;
pub mod template;
pub mod texts;

pub use settings::{EventHandler, EventSettings, FailedUserEvent, RefusalBody, WebhookPolicy};
pub use template::{EventName, UrlTemplate, UserEventPattern, WebhookUrl};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
            Self::System(event) => format!("azure.webpubsub.sys.{}", event.name()),
            Self::User(name) => format!("azure.webpubsub.user.{}", name.as_str()),
        }
    }
}
