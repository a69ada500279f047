//! User events.

use std::time::Duration;

use serde_json::json;
use squall::protocol::CloseCategory;
use squall::protocol::webhook::FailedUserEvent;
use squall::ws::Opcode;

use super::kit::{Reply, World, handler, taking, world};
use crate::kit::Seen;

const EVENT: &str = r#"{"type":"event","event":"chat","ackId":1,"dataType":"text","data":"hi"}"#;

async fn category(world: &World) -> CloseCategory {
    let end = world.end().await;
    let upstream = end.upstream.map(|call| (call.event.to_string(), call.failure));
    let is_by_event = matches!(
        end.category,
        CloseCategory::SendEventFailed | CloseCategory::EventHandlerNotFound
    );
    let last = world.calls().await.pop().map(|(event, _, failure, _)| (event, failure));
    assert_eq!(upstream, last.filter(|_| is_by_event), "the event that ended it, and no other");
    end.category
}

#[test]
fn simple_clients_send_frames_and_get_frames() {
    world(taking(&[]), async |world, app| {
        let mut client = world.simple("u").await;
        for (sent, content_type, reply, heard) in [
            (&b"a"[..], "text/plain", Reply::status(204), None),
            (b"b", "text/plain", Reply::status(200), None),
            (
                b"c",
                "text/plain",
                Reply::status(200).body("text/plain; charset=utf-8", b"t"),
                Some(Seen::Text("t".into())),
            ),
            (
                b"d",
                "text/plain",
                Reply::status(200).body("application/json", b"{\"a\": 1}"),
                Some(Seen::Text("{\"a\": 1}".into())),
            ),
            (
                b"e",
                "text/plain",
                Reply::status(200).body("application/octet-stream", &[0, 255]),
                Some(Seen::Binary(vec![0, 255])),
            ),
        ] {
            app.answers(move |_| reply.clone());
            client.send(Opcode::Text, sent).await;
            if let Some(heard) = heard {
                assert_eq!(client.heard().await, heard);
            } else {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            let last = app.asked().pop().unwrap();
            assert_eq!((last.header("content-type"), &last.body[..]), (content_type, sent));
            assert_eq!(last.line(), "POST /api/message?code=SECRET");
            assert!(!last.head.contains("ce-subprotocol"), "{}", last.head);
        }
        app.answers(|_| Reply::With(200, vec![], b"bare".to_vec(), Duration::ZERO));
        client.send(Opcode::Binary, &[1]).await;
        assert_eq!(client.heard().await, Seen::Binary(b"bare".to_vec()));
        let last = app.asked().pop().unwrap();
        assert_eq!(last.header("content-type"), "application/octet-stream");
        client.leave().await;
    });
}

#[test]
fn json_clients_get_the_answer_before_the_acknowledgement() {
    world(taking(&[]), async |world, app| {
        app.answers(|asked| {
            Reply::status(200).header("ce-connectionState: s2").body("text/plain", &asked.body)
        });
        let (mut client, _) = world.json("u").await;
        client.say(EVENT).await;
        let expected =
            json!({"type": "message", "from": "server", "dataType": "text", "data": "hi"});
        assert_eq!(client.json().await, expected);
        assert_eq!(client.text().await, r#"{"type":"ack","ackId":1,"success":true}"#);
        client.say(EVENT).await;
        assert_eq!(client.json().await["error"]["name"], "Duplicate");
        client.say(&EVENT.replace(":1,", ":2,")).await;
        client.json().await;
        client.json().await;
        client.say(r#"{"type":"event","event":"7","ackId":3,"data":1}"#).await;
        assert_eq!(client.json().await["error"]["name"], "BadRequest");
        let asked = app.asked();
        assert_eq!(asked.len(), 3, "the duplicate and the bad name did not call");
        assert_eq!(asked[1].header("ce-connectionstate"), "");
        assert_eq!(asked[2].header("ce-connectionstate"), "s2");
        client.leave().await;
    });
}

#[test]
fn a_failed_event_closes_a_simple_client() {
    for reply in [Reply::status(400), Reply::status(200).body("image/png", b"x")] {
        world(taking(&[]), async |world, app| {
            app.answers(move |_| reply.clone());
            let mut client = world.simple("u").await;
            client.say("x").await;
            let reason = "Sending the event to the event handler failed".to_owned();
            assert_eq!(client.heard().await, Seen::Close(Some(1011), reason));
            client.send_close(Some(1011), "").await;
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(category(world).await, CloseCategory::SendEventFailed);
        });
    }
}

#[test]
fn a_failed_event_drops_a_json_client_or_only_says_so() {
    for policy in [FailedUserEvent::Drop, FailedUserEvent::AckError] {
        let mut settings = taking(&[]);
        settings.events.policy.failed_user_event = policy;
        world(settings, async |world, app| {
            app.answers(|_| Reply::status(400));
            let (mut client, _) = world.json("u").await;
            client.say(EVENT).await;
            match policy {
                FailedUserEvent::Drop => {
                    assert!(matches!(client.heard().await, Seen::Close(Some(1011), _)));
                    client.send_close(Some(1011), "").await;
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    assert_eq!(category(world).await, CloseCategory::SendEventFailed);
                }
                FailedUserEvent::AckError => {
                    let error = &client.json().await["error"];
                    assert_eq!(error["name"], "InternalServerError");
                    client.say(r#"{"type":"event","event":"chat","data":1}"#).await;
                    app.until(3).await;
                    client.say(r#"{"type":"ping"}"#).await;
                    assert_eq!(client.text().await, r#"{"type":"pong"}"#);
                    client.leave().await;
                }
            }
            let (name, message) = world.failed().await[0].clone();
            assert_eq!(name, "HttpHandlerUnexpectedResponse");
            assert_eq!(
                message,
                "Sending message during operation hub:chat,event:chat,type:user,\
                 category:messages got unexpected response with status code 400."
            );
            assert_eq!(world.failures().await[0]["category"], "MessagingLogs");
        });
    }
}

#[test]
fn an_event_that_nobody_takes_drops_its_client() {
    let mut settings = taking(&[]);
    settings.events.handlers = vec![handler("http://app/", "chat", &[])];
    world(settings, async |world, app| {
        let mut client = world.simple("u").await;
        client.say("x").await;
        let reason = "No event handler for the event".to_owned();
        assert_eq!(client.heard().await, Seen::Close(Some(1011), reason));
        client.send_close(Some(1011), "").await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(category(world).await, CloseCategory::EventHandlerNotFound);
        assert!(app.asked().is_empty());
        assert_eq!(
            world.failed().await,
            [(
                "EventHandlerNotFound".into(),
                "EventHandlerNotFoundException: Upstream not found for \
                 hub:chat,event:message,type:user,category:messages."
                    .into()
            )]
        );
    });
}

#[test]
fn whether_a_hub_has_handlers_of_other_events_or_none_makes_no_difference() {
    for policy in [FailedUserEvent::Drop, FailedUserEvent::AckError] {
        for handlers in [vec![handler("http://app/", "other", &[])], Vec::new()] {
            let mut settings = taking(&[]);
            settings.events.handlers = handlers;
            settings.events.policy.failed_user_event = policy;
            let counters = world(settings, async |world, app| {
                let (mut client, _) = world.json("u").await;
                client.say(EVENT).await;
                match policy {
                    FailedUserEvent::Drop => {
                        let reason = "No event handler for the event".to_owned();
                        assert_eq!(client.heard().await, Seen::Close(Some(1011), reason));
                        client.send_close(Some(1011), "").await;
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        let category = category(world).await;
                        assert_eq!(category, CloseCategory::EventHandlerNotFound);
                    }
                    FailedUserEvent::AckError => {
                        let ack = client.json().await;
                        assert_eq!(ack["error"]["name"], "InternalServerError");
                        // The id is free again, and without one nothing is said.
                        client.say(EVENT).await;
                        assert_eq!(client.json().await["error"]["name"], "InternalServerError");
                        client.say(r#"{"type":"event","event":"chat","data":1}"#).await;
                        client.say(r#"{"type":"ping"}"#).await;
                        assert_eq!(client.text().await, r#"{"type":"pong"}"#);
                        client.leave().await;
                    }
                }
                assert!(app.asked().is_empty());
                let failed = world.failed().await;
                let times = if policy == FailedUserEvent::Drop { 1 } else { 3 };
                let line = (
                    "EventHandlerNotFound".to_owned(),
                    "EventHandlerNotFoundException: Upstream not found for \
                     hub:chat,event:chat,type:user,category:messages."
                        .to_owned(),
                );
                assert_eq!(failed, vec![line; times]);
            });
            assert_eq!(counters.webhooks.under_way, 0);
        }
    }
}

#[test]
fn one_event_of_a_connection_is_under_way_and_those_of_others_are_beside_it() {
    world(taking(&[]), async |world, app| {
        app.answers(|asked| {
            Reply::status(200).after(Duration::from_secs(2)).body("text/plain", &asked.body)
        });
        let mut first = world.simple("a").await;
        let mut second = world.simple("b").await;
        for text in ["1", "2", "3"] {
            first.say(text).await;
            second.say(text).await;
        }
        for text in ["1", "2", "3"] {
            assert_eq!(first.text().await, text);
            assert_eq!(second.text().await, text);
        }
        let at: Vec<u64> = app.asked()[1..].iter().map(|asked| asked.at.as_secs()).collect();
        assert_eq!(at, [0, 0, 2, 2, 4, 4]);
        first.leave().await;
        second.leave().await;
    });
}

#[test]
fn what_a_client_sends_behind_an_event_keeps_its_order_and_pings_do_not_wait() {
    world(taking(&[]), async |world, app| {
        app.answers(|_| Reply::status(204).after(Duration::from_secs(5)));
        let (mut client, _) = world.json("u").await;
        client.say(EVENT).await;
        client.say(r#"{"type":"joinGroup","group":"g","ackId":2}"#).await;
        client.say(r#"{"type":"ping"}"#).await;
        client.send(Opcode::Ping, b"p").await;
        client.send_close(Some(1000), "bye").await;
        assert_eq!(client.heard().await, Seen::Text(r#"{"type":"pong"}"#.into()));
        assert_eq!(client.heard().await, Seen::Pong(b"p".to_vec()));
        assert_eq!(client.json().await["ackId"], 1);
        assert_eq!(client.json().await["ackId"], 2);
        assert_eq!(client.heard().await, Seen::Close(Some(1000), "bye".into()));
        assert_eq!(client.heard().await, Seen::Eof);
    });
}

#[test]
fn a_client_that_closes_and_ends_its_stream_still_gets_its_answers() {
    world(taking(&[]), async |world, app| {
        app.answers(|_| Reply::status(204).after(Duration::from_secs(5)));
        let (mut client, _) = world.json("u").await;
        client.say(EVENT).await;
        client.send_close(Some(1000), "bye").await;
        client.end().await;
        assert_eq!(client.json().await["ackId"], 1);
        assert_eq!(client.heard().await, Seen::Close(Some(1000), "bye".into()));
        assert_eq!(client.heard().await, Seen::Eof);
    });
}

#[test]
fn what_waits_behind_an_event_is_not_sent_once_the_client_is_gone() {
    world(taking(&[]), async |world, app| {
        app.answers(|_| Reply::status(204).after(Duration::from_secs(5)));
        let mut client = world.simple("u").await;
        client.say("1").await;
        client.say("2").await;
        app.until(2).await;
        client.abort();
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(app.story(), ["OPTIONS", "message"]);
    });
}

#[test]
fn a_slow_handler_is_no_ping_timeout_even_of_a_client_that_sends_too_much() {
    let mut settings = taking(&[]);
    settings.keep_alive.interval = Duration::from_secs(1);
    settings.keep_alive.timeout = Duration::from_secs(3);
    world(settings, async |world, app| {
        app.answers(|_| Reply::status(204).after(Duration::from_secs(30)));
        let mut quiet = world.simple("quiet").await;
        quiet.say("x").await;
        let mut eager = world.simple("eager").await;
        // More than the hub keeps: the rest, and the pongs behind it, wait in the socket.
        for _ in 0..300 {
            eager.say("x").await;
        }
        let reading = async |client: &mut crate::kit::Raw| {
            tokio::time::timeout(Duration::from_secs(40), client.heard()).await.is_err()
        };
        let (first, second) = tokio::join!(reading(&mut quiet), reading(&mut eager));
        assert!(first && second, "nobody was closed");
        assert_eq!(world.counters().await.total_connection_count, 2);
        quiet.abort();
        eager.abort();
    });
}

#[test]
fn a_client_that_leaves_during_its_event_ends_once() {
    world(taking(&squall::protocol::webhook::SystemEvent::ALL), async |world, app| {
        app.answers(|asked| match asked.event() {
            "message" => Reply::status(500).after(Duration::from_secs(5)),
            _ => Reply::status(200),
        });
        let mut client = world.simple("u").await;
        client.say("x").await;
        app.until(4).await;
        client.abort();
        tokio::time::sleep(Duration::from_secs(60)).await;
        let story = app.story();
        assert_eq!(story.iter().filter(|name| *name == "disconnected").count(), 1, "{story:?}");
        assert_eq!(category(world).await, CloseCategory::Normal);
    });
}
