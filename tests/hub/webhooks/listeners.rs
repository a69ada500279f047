//! Event listeners hear of events, and answer nobody.

use serde_json::{Value, json};
use squall::protocol::HubSettings;
use squall::protocol::webhook::{EventListener, SystemEvent, UserEventPattern};

use super::kit::{Reply, handler, heard_in, world};
use crate::kit::Seen;

fn listener(name: &str, user_events: &str, system_events: &[SystemEvent]) -> EventListener {
    EventListener {
        name: name.to_owned(),
        user_events: UserEventPattern::parse(user_events).unwrap(),
        system_events: system_events.iter().copied().collect(),
    }
}

/// Settings with these listeners and no handler.
fn with(listeners: Vec<EventListener>) -> HubSettings {
    let mut settings = HubSettings::real();
    settings.events.listeners = listeners;
    settings
}

/// Listener, event and number of each delivery.
fn story(deliveries: &[Value]) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let one = |delivery: &Value| {
        let of = &delivery["properties"];
        let (event, id) = (text(&of["cloudEvents:eventname"]), text(&of["cloudEvents:id"]));
        format!("{} {event} {id}", text(&delivery["listener"]))
    };
    deliveries.iter().map(one).collect()
}

#[test]
fn every_listener_that_takes_an_event_hears_of_it_and_nobody_of_connect() {
    let all = [SystemEvent::Connect, SystemEvent::Connected, SystemEvent::Disconnected];
    let settings =
        with(vec![listener("all", "*", &all), listener("some", "chat", &[SystemEvent::Connected])]);
    let (counters, deliveries) = heard_in(settings, async |world, app| {
        let (mut client, connected) = world.json("J\u{f6}rg").await;
        client.say(r#"{"type":"event","event":"chat","ackId":7,"data":{"n": 1}}"#).await;
        assert_eq!(client.text().await, r#"{"type":"ack","ackId":7,"success":true}"#);
        client.say(r#"{"type":"event","event":"bin","dataType":"binary","data":"/wA="}"#).await;
        client.leave().await;
        assert!(app.asked().is_empty(), "there is no handler");
        assert!(world.failed().await.is_empty());
        assert!(connected["connectionId"].is_string());
    });
    assert_eq!(
        story(&deliveries),
        [
            "all connected 1",
            "some connected 1",
            "all chat 2",
            "some chat 2",
            "all bin 3",
            "all disconnected 4"
        ]
    );
    let chat = &deliveries[2];
    assert_eq!(
        (&chat["body"], &chat["contentType"]),
        (&json!("{\"n\": 1}"), &json!("application/json"))
    );
    let id = chat["partitionKey"].as_str().unwrap();
    assert_eq!(chat["messageId"], json!(format!("{id}/2")));
    assert_eq!(chat["properties"]["cloudEvents:userid"], json!("J\u{f6}rg"));
    assert_eq!(deliveries[4]["bodyBase64"], json!("/wA="));
    assert_eq!(deliveries[0]["body"], json!("{}"));
    assert_eq!((counters.webhooks.deliveries, counters.webhooks.deliveries_lost), (6, 0));
}

#[test]
fn a_listener_hears_before_the_handler_is_asked_and_with_the_same_number() {
    let mut settings = with(vec![listener("l", "*", &[])]);
    settings.events.handlers = vec![handler("http://app/", "*", &[])];
    let (_, deliveries) = heard_in(settings, async |world, app| {
        app.answers(|_| {
            Reply::status(200).header("ce-connectionState: later").body("text/plain", b"ok")
        });
        let mut client = world.simple("u").await;
        client.say("a").await;
        assert_eq!(client.text().await, "ok");
        assert_eq!(app.asked()[1].header("ce-id"), "1");
        client.abort();
    });
    assert_eq!(story(&deliveries), ["l message 1"]);
    assert_eq!(deliveries[0]["properties"].get("cloudEvents:connectionstate"), None);
    let text = deliveries[0].to_string();
    assert!(!text.contains("sha256") && !text.contains("cookie"), "{text}");
}

#[test]
fn a_listener_saves_the_event_that_no_handler_takes_but_not_the_one_whose_handler_fails() {
    let mut settings = with(vec![listener("l", "*", &[])]);
    settings.events.handlers = vec![handler("http://app/", "chat", &[])];
    let (_, deliveries) = heard_in(settings, async |world, app| {
        app.answers(|_| Reply::status(400));
        let mut client = world.simple("u").await;
        client.say("nobody handles it").await;
        client.say("nor this").await;
        client.leave().await;
        let (mut other, _) = world.json("v").await;
        other.say(r#"{"type":"event","event":"chat","data":1}"#).await;
        assert!(matches!(other.heard().await, Seen::Text(_) | Seen::Close(Some(1011), _)));
        other.abort();
    });
    assert_eq!(story(&deliveries), ["l message 1", "l message 2", "l chat 1"]);
}

#[test]
fn an_event_that_nobody_takes_is_not_found_listeners_or_not() {
    let (counters, deliveries) =
        heard_in(with(vec![listener("l", "chat", &[])]), async |world, _| {
            let mut client = world.simple("u").await;
            client.say("what").await;
            assert!(matches!(client.heard().await, Seen::Close(Some(1011), _)));
            client.abort();
        });
    assert!(deliveries.is_empty());
    assert_eq!(counters.webhooks.deliveries, 0);
}

#[test]
fn a_delivery_that_finds_no_room_is_lost_and_counted_and_delays_nobody() {
    let settings = with(vec![listener("l", "*", &[])]);
    let counters = world(settings, async |world, _| {
        // Nobody reads the queue, which holds one.
        let mut client = world.simple("u").await;
        for _ in 0..5 {
            client.say("x").await;
        }
        client.leave().await;
    });
    assert_eq!((counters.webhooks.deliveries, counters.webhooks.deliveries_lost), (5, 4));
}
