//! Event listeners of a hub: they hear of events and cannot answer (service-side facts, section 5).
//! The service hands events to Event Hubs over AMQP; here the same message is a line of JSON.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::template::UserEventPattern;
use super::{Event, EventHead, SystemEvent};

/// Event listeners of a service, at most.
pub const LISTENERS_MAX: usize = 10;

/// What names of properties begin with.
const PREFIX: &str = "cloudEvents:";

/// One event listener of a hub.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventListener {
    /// What its deliveries are known by.
    pub name: String,
    /// Which user events.
    pub user_events: UserEventPattern,
    /// Which system events; `connect` is none of theirs.
    pub system_events: BTreeSet<SystemEvent>,
}

impl EventListener {
    /// Whether it hears of this event.
    #[must_use]
    pub fn takes(&self, event: &Event) -> bool {
        match event {
            Event::System(SystemEvent::Connect) => false,
            Event::System(event) => self.system_events.contains(event),
            Event::User(name) => self.user_events.matches(name),
        }
    }
}

/// One event as one listener gets it, in the shape of Microsoft's emulator and of the
/// documentation (`reference-cloud-events-amqp`): no signature, no cookies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Delivery {
    /// Name of the listener.
    pub listener: String,
    /// `{connection id}/{event id}`.
    pub message_id: String,
    /// Connection id.
    pub partition_key: String,
    /// Content type of the body.
    pub content_type: String,
    /// Attributes of the event, as properties of the message.
    pub properties: BTreeMap<String, String>,
    /// The body.
    #[serde(flatten)]
    pub body: DeliveryBody,
}

/// Bytes of a delivery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum DeliveryBody {
    /// UTF-8, as it is.
    Body(String),
    /// Anything else, in Base64.
    BodyBase64(String),
}

impl Delivery {
    /// What a listener gets of an event with this head and body.
    #[must_use]
    pub fn new(listener: &str, head: &EventHead, body: &Bytes) -> Self {
        let id = head.id.to_string();
        let of_event = [
            ("specversion", "1.0"),
            ("awpsversion", "1.0"),
            ("type", &head.event.cloud_event_type()),
            ("source", &head.source()),
            ("id", &id),
            ("time", &head.time),
            ("hub", &head.hub),
            ("eventname", head.event.name()),
            ("connectionid", &head.connection_id),
            ("userid", &head.user_id),
            ("subprotocol", &head.subprotocol),
            ("connectionstate", &head.state),
        ];
        let of_event = of_event.into_iter().filter(|(_, value)| !value.is_empty());
        let media_type = head.content_type.split(';').next().unwrap_or_default();
        Self {
            listener: listener.to_owned(),
            message_id: format!("{}/{id}", head.connection_id),
            partition_key: head.connection_id.clone(),
            content_type: media_type.to_owned(),
            properties: of_event
                .map(|(name, value)| (format!("{PREFIX}{name}"), value.to_owned()))
                .collect(),
            body: match std::str::from_utf8(body) {
                Ok(text) => DeliveryBody::Body(text.to_owned()),
                Err(_) => DeliveryBody::BodyBase64(STANDARD.encode(body)),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::EventName;
    use super::*;

    #[test]
    fn a_delivery_is_a_line_in_the_shape_of_the_documentation() {
        let head = EventHead {
            event: Event::User(EventName::parse("chat").unwrap()),
            hub: "room".into(),
            connection_id: "c1".into(),
            id: 3,
            time: "2026-01-01T00:00:00Z".into(),
            user_id: "J\u{f6}rg".into(),
            subprotocol: String::new(),
            state: "abc".into(),
            signature: "sha256=0".into(),
            origin: "hub".into(),
            content_type: "application/json; charset=utf-8".into(),
            cookies: "a=b".into(),
        };
        let line = |body: &[u8]| {
            let delivery = Delivery::new("audit", &head, &Bytes::copy_from_slice(body));
            let line = serde_json::to_string(&delivery).unwrap();
            assert_eq!(serde_json::from_str::<Delivery>(&line).unwrap(), delivery);
            line
        };
        let text = line(b"{}");
        assert_eq!(
            text,
            "{\"listener\":\"audit\",\"messageId\":\"c1/3\",\"partitionKey\":\"c1\",\
             \"contentType\":\"application/json\",\"properties\":{\
             \"cloudEvents:awpsversion\":\"1.0\",\"cloudEvents:connectionid\":\"c1\",\
             \"cloudEvents:connectionstate\":\"abc\",\"cloudEvents:eventname\":\"chat\",\
             \"cloudEvents:hub\":\"room\",\"cloudEvents:id\":\"3\",\
             \"cloudEvents:source\":\"/hubs/room/client/c1\",\"cloudEvents:specversion\":\"1.0\",\
             \"cloudEvents:time\":\"2026-01-01T00:00:00Z\",\
             \"cloudEvents:type\":\"azure.webpubsub.user.chat\",\
             \"cloudEvents:userid\":\"J\u{f6}rg\"},\"body\":\"{}\"}"
        );
        assert!(line(&[255, 0]).ends_with(r#""bodyBase64":"/wA="}"#));
    }
}
