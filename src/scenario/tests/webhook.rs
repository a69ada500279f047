//! `[[hub.event_handlers]]` and `[hub.webhooks]`.

use super::*;
use crate::protocol::webhook::{
    Event, EventName, EventSettings, FailedUserEvent, RefusalBody, SystemEvent, WebhookPolicy,
};

fn events(text: &str) -> EventSettings {
    plan(&small(text)).hub.events
}

#[test]
fn a_hub_has_no_event_handlers_unless_it_says_so() {
    assert_eq!(events(""), EventSettings::default());
    assert_eq!(events("[hub.webhooks]"), EventSettings::default());
}

#[test]
fn event_handlers_stand_in_their_order() {
    let text = "[upstream]\n\
         [[hub.event_handlers]]\nurl = \"http://upstream/api/{event}\"\n\
         system_events = [\"connect\", \"disconnected\"]\nuser_events = \"chat, join\"\n\
         [[hub.event_handlers]]\nurl = \"https://h.example/?code=x\"";
    let settings = events(text);
    let gets = |event: Event| settings.handler_of(&event).map(|handler| handler.url.as_str());
    let user = |name: &str| Event::User(EventName::parse(name).unwrap());
    assert_eq!(gets(Event::System(SystemEvent::Connect)), Some("http://upstream/api/{event}"));
    assert_eq!(gets(user("chat")), Some("http://upstream/api/{event}"));
    assert_eq!(gets(user("other")), Some("https://h.example/?code=x"), "every user event");
    assert_eq!(gets(Event::System(SystemEvent::Connected)), None, "no system event");
}

#[test]
fn event_listeners_have_names_and_filters() {
    let settings = events(
        "[[hub.event_listeners]]\nname = \"audit\"\n\
         system_events = [\"connected\", \"disconnected\"]\n\
         [[hub.event_listeners]]\nname = \"chat\"\nuser_events = \"chat, join\"",
    );
    let hear = |event: Event| {
        let hearing = settings.listeners.iter().filter(|listener| listener.takes(&event));
        hearing.map(|listener| listener.name.as_str()).collect::<Vec<_>>()
    };
    let user = |name: &str| Event::User(EventName::parse(name).unwrap());
    assert_eq!(hear(user("chat")), ["audit", "chat"]);
    assert_eq!(hear(user("other")), ["audit"], "every user event");
    assert_eq!(hear(Event::System(SystemEvent::Disconnected)), ["audit"]);
    assert!(hear(Event::System(SystemEvent::Connect)).is_empty());
}

#[test]
fn the_policy_is_the_emulators_but_for_what_is_written() {
    let settings = events(
        "[hub.webhooks]\norigin = \"hub.example:8080\"\nretry_after = [\"10ms\"]\n\
         within = \"5s\"\nanswer = \"1KiB\"\nfailed_user_event = \"ack-error\"\n\
         refusal_body = \"withhold\"\nvalidation = { within = \"2s\", retry_max = \"4s\" }",
    );
    assert_eq!(settings.origin.as_deref(), Some("hub.example:8080"));
    let expected = WebhookPolicy {
        retry_after: vec![Duration::from_millis(10)],
        within: Duration::from_secs(5),
        answer_bytes: 1_024,
        failed_user_event: FailedUserEvent::AckError,
        refusal_body: RefusalBody::Withhold,
        validation_within: Duration::from_secs(2),
        validation_retry_max: Duration::from_secs(4),
        ..WebhookPolicy::default()
    };
    assert_eq!(settings.policy, expected);
    assert!(events("[hub.webhooks]\nretry_after = []").policy.retry_after.is_empty());
}
