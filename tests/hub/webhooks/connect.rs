//! `connect`: the handler decides.

use std::time::Duration;

use serde_json::{Value, json};
use squall::protocol::CloseCategory;
use squall::protocol::Subprotocol;
use squall::protocol::control::EventFailure;
use squall::protocol::settings::Tier;
use squall::protocol::token::Claims;
use squall::protocol::webhook::{RefusalBody, SystemEvent};
use squall::ws::Opcode;
use tokio::io::AsyncWriteExt;

use super::kit::{Reply, World, settings, taking, world};
use crate::kit::Seen;

const JSON: &str = "application/json";

fn body(text: &str) -> Reply {
    Reply::status(200).body(JSON, text.as_bytes())
}

async fn refused(world: &World) -> (u16, String) {
    let claims = world.claims("a");
    match world.try_client(&claims, Subprotocol::Json, "&squall=p.0.0").await {
        Ok(_) => panic!("let in"),
        Err(refused) => refused,
    }
}

#[test]
fn the_handler_is_told_who_wants_in() {
    world(settings(), async |world, app| {
        let claims = Claims { groups: vec!["g".into()], ..world.claims("u") };
        let more = "&squall=p.0.0&a=1&a=2%203";
        let client = world.try_client(&claims, Subprotocol::Json, more).await.unwrap();
        let asked = app.until(2).await;
        let body: Value = serde_json::from_slice(&asked[1].body).unwrap();
        assert_eq!(body["claims"]["sub"], json!(["u"]));
        assert_eq!(body["claims"]["webpubsub.group"], json!(["g"]));
        assert_eq!(body["claims"]["exp"], json!([claims.expires_at.to_string()]));
        assert_eq!(body["query"], json!({"squall": ["p.0.0"], "a": ["1", "2 3"]}));
        assert_eq!(body["headers"]["host"], json!(["hub:8080"]));
        assert_eq!(body["subprotocols"], json!(["json.webpubsub.azure.v1"]));
        assert_eq!(body["clientCertificates"], json!([]));
        client.leave().await;
    });
}

#[test]
fn an_answer_that_says_nothing_leaves_all_to_the_token() {
    world(settings(), async |world, app| {
        for reply in [Reply::status(204), body(""), body("null"), body("{}")] {
            app.answers(move |_| reply.clone());
            let (client, connected) = world.json("u").await;
            assert_eq!(connected["userId"], "u");
            client.leave().await;
        }
    });
}

#[test]
fn user_groups_and_roles_are_as_the_handler_says() {
    world(taking(&[SystemEvent::Connect, SystemEvent::Connected]), async |world, app| {
        app.answers(|asked| match asked.event() {
            "connect" => body(r#"{"userId":"bob","groups":["room"],"roles":[]}"#),
            _ => Reply::status(200),
        });
        let (mut client, connected) = world.json("alice").await;
        assert_eq!(connected["userId"], "bob");
        assert_eq!(app.until(3).await[2].header("ce-userid"), "bob");
        client.say(r#"{"type":"joinGroup","group":"x","ackId":1}"#).await;
        assert_eq!(client.json().await["error"]["name"], "Forbidden");
        app.answers(|_| body(r#"{"userId":"","groups":[],"roles":["webpubsub.sendToGroup"]}"#));
        let claims = Claims { groups: vec!["room".into()], ..world.claims("alice") };
        let mut other = world.try_client(&claims, Subprotocol::Json, "").await.unwrap();
        assert_eq!(other.json().await["userId"], Value::Null);
        other.say(r#"{"type":"sendToGroup","group":"room","dataType":"text","data":"hi"}"#).await;
        assert_eq!(other.json().await["data"], "hi", "an empty list leaves the token's groups");
        assert_eq!(client.json().await["data"], "hi");
        client.leave().await;
        other.leave().await;
    });
}

#[test]
fn a_subprotocol_of_the_handlers_own_makes_a_simple_client() {
    world(settings(), async |world, app| {
        app.answers(|asked| match asked.event() {
            "connect" => body(r#"{"subprotocol":"mine"}"#),
            "message" => Reply::status(200).body("text/plain", b"heard"),
            _ => Reply::status(200),
        });
        let mut stream = world.dial().await;
        let path = world.path(&world.claims("u"), "");
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: hub:8080\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             Sec-WebSocket-Protocol: mine, json.webpubsub.azure.v1\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(tokio::io::AsyncReadExt::read_u8(&mut stream).await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        assert!(head.contains("sec-websocket-protocol: mine\r\n"), "{head}");
        let mut client = crate::kit::Raw::new(stream, &bytes::Bytes::new());
        client.send(Opcode::Text, b"x").await;
        assert_eq!(client.heard().await, Seen::Text("heard".into()));
        let asked = app.asked();
        let message = asked.iter().find(|asked| asked.event() == "message").unwrap();
        assert_eq!(message.header("ce-subprotocol"), "mine");
        client.leave().await;
    });
}

/// What becomes of a connect to which the handler answers so.
fn row(reply: &Reply, expected: (u16, &str), message: &str) {
    let mut settings = settings();
    settings.events.policy.within = Duration::from_secs(20);
    world(settings, async |world, app| {
        let reply2 = reply.clone();
        app.answers(move |_| reply2.clone());
        let (status, text) = refused(world).await;
        assert_eq!((status, text.as_str()), expected, "{reply:?}");
        let failed = world.failed().await;
        assert_eq!(failed.len(), 1, "{failed:?}");
        assert_eq!(failed[0].1, message, "{reply:?}");
        tokio::time::sleep(Duration::from_secs(60)).await;
        let story = app.story();
        let others = story.iter().filter(|name| !["OPTIONS", "connect"].contains(&name.as_str()));
        assert_eq!(others.count(), 0, "neither connected nor disconnected: {story:?}");
        let refusal = world.refusal().await;
        assert_eq!(refusal.status, expected.0);
        let upstream = refusal.upstream.as_deref().unwrap();
        let calls = world.calls().await;
        let told = ("connect".to_owned(), upstream.status, upstream.failure, upstream.tries);
        assert_eq!(calls, [told], "the row tells of the call that is the reason");
        let asked = app.story().iter().filter(|name| *name == "connect").count();
        assert_eq!(asked, upstream.tries as usize);
        assert_eq!(refusal.attempt.as_ref().unwrap().to_string(), "p.0.0");
        assert_eq!(world.counters().await.client_request_status, [(expected.0, 1)].into());
    });
}

const OPERATION: &str = "hub:chat,event:connect,type:sys,category:connections,requestType:Connect";

#[test]
fn a_refusal_reaches_the_client_and_everything_else_is_a_500() {
    let unexpected = |status: u16| {
        format!(
            "Sending message during operation {OPERATION} got unexpected response with status \
             code {status}."
        )
    };
    for status in [400, 401, 403, 404, 429] {
        let reply = Reply::status(status).body("text/plain", b"go away");
        row(&reply, (status, "go away"), &unexpected(status));
    }
    let told = "Sending message during operation handshake got unexpected response with status \
                code 500. Detail: Get error from upstream: 'Request is denied as target server is \
                invalid'";
    let denied = b"Request is denied as target server is invalid";
    row(&Reply::status(500).body("text/plain", denied), (500, told), told);
    row(&Reply::status(503), (500, ""), &unexpected(503));
    row(&Reply::status(302).header("Location: http://app/x"), (500, ""), &unexpected(302));
    let failed = format!("Sending message during operation {OPERATION} failed.");
    for reply in [
        Reply::HangUp,
        Reply::status(200).after(Duration::from_secs(21)),
        body("not JSON"),
        body(r#"{"groups":[""]}"#),
        Reply::status(200).body(JSON, &vec![b' '; 17 * 1024 * 1024]),
    ] {
        row(&reply, (500, ""), &failed);
    }
}

#[test]
fn an_answer_may_be_as_long_as_the_policy_says() {
    let mut settings = settings();
    settings.events.policy.answer_bytes = 20;
    world(settings, async |world, app| {
        app.answers(|_| body(&format!("{:21}", "null")));
        assert_eq!(refused(world).await.0, 500);
        app.answers(|_| body(&format!("{:20}", "null")));
        let (client, _) = world.json("u").await;
        client.leave().await;
    });
}

#[test]
fn a_refusals_body_may_be_withheld() {
    let mut settings = settings();
    settings.events.policy.refusal_body = RefusalBody::Withhold;
    world(settings, async |world, app| {
        app.answers(|_| Reply::status(401).body("text/plain", b"go away"));
        assert_eq!(refused(world).await, (401, String::new()));
    });
}

#[test]
fn a_client_that_goes_away_meanwhile_is_noticed() {
    world(settings(), async |world, app| {
        app.answers(|_| Reply::status(200).after(Duration::from_secs(50)));
        let mut stream = world.dial().await;
        let path = world.path(&world.claims("u"), "&squall=p.0.0");
        let request = format!(
            "GET {path} HTTP/1.1\r\nHost: hub:8080\r\nUpgrade: websocket\r\n\
             Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        app.until(2).await;
        stream.abort();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let counters = world.counters().await;
        let connect = &counters.webhooks.events["connect"];
        assert_eq!(connect.failed, [(EventFailure::GivenUp, 1)].into());
        assert_eq!((counters.webhooks.under_way, counters.tasks), (0, 0));
        let refusal = world.refusal().await;
        assert_eq!((refusal.status, refusal.category), (499, CloseCategory::Normal));
        assert_eq!(refusal.upstream, None, "the client went, not the handler");
        let gone = ("connect".to_owned(), None, Some(EventFailure::GivenUp), 1);
        assert_eq!(world.calls().await, [gone]);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(app.story(), ["OPTIONS", "connect"]);
    });
}

#[test]
fn a_full_hub_does_not_ask_and_a_place_taken_meanwhile_is_seen() {
    let mut settings = taking(&[SystemEvent::Connect]);
    settings.tier = Tier::Free;
    world(settings, async |world, app| {
        app.answers(|_| Reply::status(200).after(Duration::from_secs(1)));
        let clients = (0..21).map(|_| world.json_or_status());
        let clients = futures::future::join_all(clients).await;
        let full = clients.iter().filter(|client| client.is_err()).count();
        assert_eq!(full, 1, "everybody was asked about, and one found no place");
        assert_eq!(app.story().iter().filter(|name| *name == "connect").count(), 21);
        assert_eq!(refused(world).await, (429, "Connection count reaches limit.".into()));
        assert_eq!(app.story().iter().filter(|name| *name == "connect").count(), 21);
    });
}

impl World {
    async fn json_or_status(&self) -> Result<crate::kit::Raw, u16> {
        let claims = self.claims("u");
        let connecting = self.try_client(&claims, Subprotocol::Json, "");
        connecting.await.map_err(|(status, _)| status)
    }
}
