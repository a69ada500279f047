//! Upgrades, frames, groups, acknowledgements, and how bad input ends.

use serde_json::{Value, json};
use squall::protocol::control::HubWire;
use squall::protocol::settings::SocketBuffers;
use squall::protocol::token::{Claims, sign};
use squall::protocol::{CloseCategory, HubSettings, Subprotocol};
use squall::secret::Secret;
use squall::ws::Opcode;
use tokio_tungstenite::tungstenite::Message;

use crate::kit::{SHORT, Seen, TestHub, generous, soon, with_hub};

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn group_messages_reach_members_before_the_senders_acknowledgement() {
    with_hub(generous(), async |hub| {
        let (mut alice, alice_id) = hub.member("alice", "room").await;
        let (mut bob, bob_id) = hub.member("bob", "room").await;
        assert_ne!(alice_id, bob_id);
        assert_eq!(alice_id.len(), 31);

        alice
            .say(r#"{"type":"sendToGroup","group":"room","ackId":2,"dataType":"text","data":"hi"}"#)
            .await;
        let frame = r#"{"type":"message","from":"group","group":"room","fromUserId":"alice","dataType":"text","data":"hi"}"#;
        assert_eq!(bob.text().await, frame);
        assert_eq!(alice.text().await, frame, "its own echo comes first");
        assert_eq!(alice.text().await, r#"{"type":"ack","ackId":2,"success":true}"#);

        alice
            .say(r#"{"type":"sendToGroup","group":"room","ackId":3,"noEcho":true,"data":{"n":1}}"#)
            .await;
        assert_eq!(alice.json().await["ackId"], 3, "no echo");
        let message = bob.json().await;
        assert_eq!((&message["dataType"], &message["data"]), (&json!("json"), &json!({"n": 1})));

        bob.say(r#"{"type":"leaveGroup","group":"room","ackId":9}"#).await;
        assert_eq!(bob.json().await["success"], true);
        alice.say(r#"{"type":"sendToGroup","group":"room","ackId":4,"data":1}"#).await;
        assert_eq!(alice.json().await["type"], "message");
        assert_eq!(alice.json().await["ackId"], 4);
        bob.hears_nothing(SHORT).await;

        let counters = hub.counters().await;
        assert_eq!((counters.deliveries, counters.groups, counters.tasks), (4, 1, 2));
        assert_eq!((counters.inbound_traffic, counters.outbound_traffic), (10, 12));
        alice.leave().await;
        bob.leave().await;
    });
}

#[test]
fn acknowledgements_tell_what_went_wrong() {
    with_hub(generous(), async |hub| {
        let claims = Claims {
            roles: vec![
                "webpubsub.joinLeaveGroup.mine".into(),
                "webpubsub.sendToGroup.mine".into(),
            ],
            ..hub.claims("u")
        };
        let path = hub.client_path(&claims, "");
        let mut client = hub.connect(&path, Some("json.webpubsub.azure.v1")).await;
        client.text().await;
        let long = "g".repeat(1025);
        let cases = [
            (r#"{"type":"joinGroup","group":"other","ackId":1}"#, "Forbidden"),
            (r#"{"type":"leaveGroup","group":"other","ackId":1}"#, "Forbidden"),
            (r#"{"type":"sendToGroup","group":"other","ackId":1,"data":1}"#, "Forbidden"),
            (&format!(r#"{{"type":"joinGroup","group":"{long}","ackId":1}}"#), "BadRequest"),
        ];
        for (frame, name) in cases {
            client.say(frame).await;
            let ack = client.json().await;
            assert_eq!((&ack["ackId"], &ack["success"]), (&json!(1), &json!(false)), "{frame}");
            assert_eq!(ack["error"]["name"], name, "{frame}");
        }
        // Failures did not use the id up; the first success does.
        let join = r#"{"type":"joinGroup","group":"mine","ackId":1}"#;
        client.say(join).await;
        assert_eq!(client.text().await, r#"{"type":"ack","ackId":1,"success":true}"#);
        client.say(join).await;
        let error = &client.json().await["error"];
        assert_eq!(error["name"], "Duplicate");
        assert_eq!(error["message"], "Message with ack-id: 1 has been processed");
        // Without an id errors are silent, and the connection lives.
        client.say(r#"{"type":"joinGroup","group":"other"}"#).await;
        client.say(r#"{"type":"sequenceAck","sequenceId":5}"#).await;
        client.say(r#"{"type":"PING"}"#).await;
        assert_eq!(client.text().await, r#"{"type":"pong"}"#);
        client.leave().await;
    });
}

#[test]
fn simple_clients_get_bare_payloads_and_publish_in_their_mode() {
    with_hub(generous(), async |hub| {
        let claims = Claims { groups: vec!["room".into()], ..hub.claims("") };
        let path = hub.client_path(&claims, "&webpubsub_mode=sendToGroup&group=room");
        let mut simple = hub.connect(&path, None).await;
        let (mut json, _) = hub.member("bob", "room").await;
        for (frame, expected) in [
            (
                r#"{"type":"sendToGroup","group":"room","noEcho":true,"dataType":"text","data":"a"}"#,
                Message::text("a"),
            ),
            (
                r#"{"type":"sendToGroup","group":"room","noEcho":true,"data":{"n":1}}"#,
                Message::text(r#"{"n":1}"#),
            ),
            (
                r#"{"type":"sendToGroup","group":"room","noEcho":true,"dataType":"binary","data":"AQID"}"#,
                Message::binary(vec![1, 2, 3]),
            ),
        ] {
            json.say(frame).await;
            assert_eq!(simple.next().await, expected);
        }
        simple.say("from a simple client").await;
        assert_eq!(simple.text().await, "from a simple client", "the echo is on");
        let expected = json!({"type": "message", "from": "group", "group": "room",
                              "fromUserId": null, "dataType": "text",
                              "data": "from a simple client"});
        assert_eq!(json.json().await, expected);
        soon(futures::SinkExt::send(&mut simple.socket, Message::binary(vec![9]))).await.unwrap();
        assert_eq!(simple.next().await, Message::binary(vec![9]));
        assert_eq!(json.json().await["data"], "CQ==");
        simple.leave().await;
        json.leave().await;
    });
}

#[test]
fn simple_clients_without_handler_or_role_are_closed() {
    with_hub(generous(), async |hub| {
        let path = hub.client_path(&hub.claims("a"), "&squall=p.0.0");
        let mut event = hub.connect(&path, None).await;
        event.say("anything").await;
        assert_eq!(
            event.closed().await.0.unwrap(),
            (1011, "No event handler for the event".into())
        );

        let claims = Claims { roles: vec![], ..hub.claims("b") };
        let path = hub.client_path(&claims, "&squall=p.1.0&webpubsub_mode=sendToGroup&group=room");
        let mut publisher = hub.connect(&path, None).await;
        publisher.say("anything").await;
        let text = "The connection is not authorized for raw sendToGroup mode.";
        assert_eq!(publisher.closed().await.0.unwrap(), (1008, text.into()));

        let ends = hub.ends(2).await;
        let categories: Vec<_> = ends.iter().map(|end| end.category).collect();
        assert_eq!(categories, [CloseCategory::EventHandlerNotFound, CloseCategory::Unauthorized]);
    });
}

#[test]
fn bad_input_is_closed_with_the_services_texts() {
    let not_json = "The client message is not a valid JSON protocol message.";
    let bad_frame = "The client frame is invalid.";
    let limits = generous().limits;
    let settings = HubSettings {
        limits: squall::protocol::settings::HubLimits { message_bytes: 1000, ..limits },
        ..generous()
    };
    let masked = |first: u8, payload: &[u8]| {
        let mut frame = vec![first, 0x80 | u8::try_from(payload.len()).unwrap(), 0, 0, 0, 0];
        frame.extend_from_slice(payload);
        frame
    };
    let mut large = Vec::new();
    squall::ws::frame::client_frame(Opcode::Text, &[b'x'; 1001], [0; 4], &mut large);
    let cases: Vec<(Vec<u8>, u16, &str)> = vec![
        (masked(0x82, b"x"), 1003, "The JSON subprotocol requires text messages."),
        (masked(0x81, b"not json"), 1007, not_json),
        (masked(0x81, br#"{"type":"nonsense"}"#), 1007, not_json),
        (masked(0x81, &[0xff, 0xfe]), 1007, not_json),
        (large, 1009, "The client message is too large."),
        (vec![0x81, 0x01, b'x'], 1002, bad_frame),
        (masked(0xf1, b"x"), 1002, bad_frame),
        (masked(0x88, &[0x03, 0xed]), 1002, bad_frame),
    ];
    with_hub(settings, async |hub| {
        for (index, (bytes, code, reason)) in cases.iter().enumerate() {
            let path = hub.client_path(&hub.claims("u"), &format!("&squall=bad.{index}.0"));
            let mut raw = hub.raw(&path, Subprotocol::Json, SocketBuffers::default()).await;
            assert!(matches!(raw.next().await, Seen::Text(_)));
            raw.send_bytes(bytes).await;
            assert_eq!(raw.next().await, Seen::Close(Some(*code), (*reason).to_owned()), "{index}");
            raw.send_close(Some(*code), "").await;
            raw.end().await;
            assert_eq!(raw.next().await, Seen::Eof);
        }
        for (end, (_, code, reason)) in hub.ends(cases.len()).await.iter().zip(&cases) {
            assert_eq!(end.category, CloseCategory::BadRequest);
            let wire = HubWire::HubClose { code: *code, reason: (*reason).to_owned() };
            assert_eq!(end.wire, wire);
        }
    });
}

#[test]
fn refused_connects_have_the_services_statuses_and_a_row_each() {
    with_hub(generous(), async |hub| {
        let claims = hub.claims("u");
        let token =
            |claims: &Claims, key: &str| sign(claims, &Secret::new(key)).expose().to_owned();
        let good = token(&claims, "primary-key-primary-key-primary-key");
        let forged = token(&claims, "some-other-key-some-other-key-some-other");
        let expired = Claims { expires_at: hub.now_s() - 301, ..claims.clone() };
        let elsewhere =
            Claims { audience: "http://other/client/hubs/chat".into(), ..claims.clone() };
        let bad_group = Claims { groups: vec![" ".into()], ..claims.clone() };
        let path = |claims: &Claims, more: &str| hub.client_path(claims, more);
        let cases = [
            ("/client/hubs/chat?squall=p.0.0".to_owned(), 401, ""),
            (format!("/client/hubs/chat?squall=p.1.0&access_token={forged}"), 401, ""),
            (path(&expired, "&squall=p.2.0"), 401, ""),
            (path(&elsewhere, "&squall=p.3.0"), 401, ""),
            (path(&bad_group, "&squall=p.4.0"), 400, "The token contains an invalid group name."),
            (format!("/client/?squall=p.5.0&access_token={good}"), 400, ""),
            (format!("/client/?hub=a&hub=b&squall=p.6.0&access_token={good}"), 400, ""),
            (format!("/client/hubs/9bad?squall=p.7.0&access_token={good}"), 400, ""),
        ];
        for (path, status, body) in &cases {
            assert_eq!(hub.refused(path).await, (*status, (*body).to_owned()), "{path}");
        }
        for (index, (refusal, (_, status, _))) in
            hub.refusals(cases.len()).await.iter().zip(&cases).enumerate()
        {
            assert_eq!(refusal.attempt.as_ref().unwrap().index as usize, index);
            assert_eq!(refusal.status, *status);
            let category = if *status == 401 {
                CloseCategory::Unauthorized
            } else {
                CloseCategory::BadRequest
            };
            assert_eq!(refusal.category, category);
            assert!(!refusal.log_reason.contains(&good), "no token in the log");
        }
        // Not an upgrade, and a path nobody serves.
        assert_eq!(hub.status("GET", "/client/hubs/chat").await, 400);
        assert_eq!(hub.status("GET", "/elsewhere").await, 404);
        let counters = hub.counters().await;
        assert_eq!(counters.client_request_status, [(400, 5), (401, 4)].into());
        assert_eq!((counters.tasks, counters.connection_open_count), (0, 0));
    });
}

#[test]
fn raw_modes_that_are_not_supported_are_refused() {
    with_hub(generous(), async |hub| {
        // The refusals of simple clients only: no subprotocol in the request.
        for (more, body) in [
            ("&webpubsub_mode=other", "Only raw sendToGroup mode is supported."),
            ("&webpubsub_mode=sendToGroup", "The raw sendToGroup group name is invalid."),
        ] {
            let path = hub.client_path(&hub.claims("u"), more);
            let request = squall::net::http::HttpRequest {
                method: http::Method::GET,
                path_and_query: path,
                headers: [
                    ("upgrade", "websocket"),
                    ("connection", "keep-alive, Upgrade"),
                    ("sec-websocket-version", "13"),
                    ("sec-websocket-key", "AAAAAAAAAAAAAAAAAAAAAA=="),
                ]
                .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
                .into(),
                body: bytes::Bytes::new(),
            };
            let answer = hub.call_as(request).await;
            assert_eq!((answer.status.as_u16(), &answer.body[..]), (400, body.as_bytes()));
        }
    });
}

#[test]
fn every_spelling_of_hub_subprotocol_and_token_is_understood() {
    with_hub(generous(), async |hub| {
        let claims = Claims {
            audience: format!("HTTPS://{}/client/hubs/ChaT", hub.address),
            ..hub.claims("u")
        };
        let token = sign(&claims, &Secret::new(crate::kit::SECONDARY));
        for path in ["/client/?hub=CHAT&", "/client?hub=chat&", "/client/hubs/Chat?"] {
            let path = format!("{path}access_token={}", token.expose());
            // The hub echoes what the client wrote; `connect` sees that it does.
            let mut client = hub.connect(&path, Some("JSON.webpubsub.azure.v1")).await;
            assert_eq!(client.json().await["userId"], "u");
            client.leave().await;
        }
        let counters = hub.counters().await;
        assert_eq!(counters.client_request_status, [(101, 3)].into());
    });
}

#[test]
fn the_clients_close_is_echoed_and_normal() {
    with_hub(generous(), async |hub| {
        let closes = [(Some(1000), "bye"), (None, ""), (Some(4321), "own")];
        for (index, (code, reason)) in closes.iter().enumerate() {
            let path = hub.client_path(&hub.claims("u"), &format!("&squall=p.{index}.0"));
            let mut raw = hub.raw(&path, Subprotocol::Json, SocketBuffers::default()).await;
            assert!(matches!(raw.next().await, Seen::Text(_)));
            raw.send_close(*code, reason).await;
            raw.end().await;
            assert_eq!(raw.next().await, Seen::Close(*code, (*reason).to_owned()));
            assert_eq!(raw.next().await, Seen::Eof);
        }
        for (end, (code, reason)) in hub.ends(3).await.iter().zip(closes) {
            assert_eq!(end.category, CloseCategory::Normal);
            let wire = HubWire::ClientClose { code, reason: reason.to_owned() };
            assert_eq!((&end.wire, end.later.len()), (&wire, 0));
        }
    });
}

#[test]
fn a_client_that_just_goes_is_normal_and_its_way_is_noted() {
    with_hub(generous(), async |hub| {
        let mut vanished = hub.raw_member("a", "room", SocketBuffers::default()).await;
        vanished.next().await;
        vanished.abort();
        let mut ended = hub.raw_member("b", "room", SocketBuffers::default()).await;
        ended.next().await;
        ended.end().await;
        assert_eq!(ended.next().await, Seen::Eof);
        let ends = hub.ends(2).await;
        let seen: Vec<_> = ends.iter().map(|end| (end.category, end.wire.clone())).collect();
        let normal = CloseCategory::Normal;
        assert_eq!(seen, [(normal, HubWire::ClientReset), (normal, HubWire::ClientEof)]);
        assert_eq!(hub.counters().await.total_connection_count, 0);
    });
}

#[test]
fn recovery_is_upgraded_and_closed_1008() {
    with_hub(generous(), async |hub| {
        let path = "/client/hubs/chat?awps_connection_id=x&awps_reconnection_token=y";
        let mut client = hub.connect(path, Some("json.webpubsub.azure.v1")).await;
        let text = "The connection could not be recovered.";
        assert_eq!(client.closed().await.0.unwrap(), (1008, text.into()));
    });
}

#[test]
fn a_ping_of_the_client_is_answered_and_fragments_are_joined() {
    with_hub(generous(), async |hub: &TestHub| {
        let mut raw = hub.raw_member("a", "room", SocketBuffers::default()).await;
        raw.next().await;
        raw.send(Opcode::Ping, b"abc").await;
        assert_eq!(raw.next().await, Seen::Pong(b"abc".to_vec()));
        let text = br#"{"type":"ping"}"#;
        let mut bytes = vec![0x01, 0x83, 0, 0, 0, 0];
        bytes.extend_from_slice(&text[..3]);
        bytes.extend_from_slice(&[0x80, 0x80 | 12, 0, 0, 0, 0]);
        bytes.extend_from_slice(&text[3..]);
        for byte in bytes {
            raw.send_bytes(&[byte]).await;
        }
        let pong = raw.next().await;
        assert_eq!(pong, Seen::Text(parsed(r#"{"type":"pong"}"#).to_string()));
    });
}

#[test]
fn a_connection_may_be_in_so_many_groups_and_no_more() {
    let mut settings = generous();
    settings.limits.groups_per_connection = 2;
    with_hub(settings, async |hub| {
        let (mut client, id) = hub.member("alice", "a").await;
        let mut ask = async |what: &str, group: &str, ack_id: u32| {
            let frame = format!(r#"{{"type":"{what}","group":"{group}","ackId":{ack_id}}}"#);
            client.say(&frame).await;
            client.json().await
        };
        assert_eq!(ask("joinGroup", "b", 2).await["success"], true);
        let refused = ask("joinGroup", "c", 3).await;
        assert_eq!(refused["error"]["name"], "BadRequest");
        let text = "The connection is in 2 groups already, which is the limit of this hub.";
        assert_eq!(refused["error"]["message"], text);
        assert_eq!(ask("joinGroup", "a", 4).await["success"], true, "it is in it already");
        let path = format!("/api/hubs/chat/groups/c/connections/{id}");
        assert_eq!(hub.status("PUT", &path).await, 400);
        assert_eq!(ask("leaveGroup", "a", 5).await["success"], true);
        assert_eq!(ask("joinGroup", "c", 6).await["success"], true);
        client.leave().await;

        let groups = ["a", "b", "c"].map(String::from).to_vec();
        let claims = Claims { groups, ..hub.claims("bob") };
        let (status, body) = hub.refused(&hub.client_path(&claims, "")).await;
        assert_eq!(status, 400);
        assert_eq!(body, "The token names more groups than a connection may be in.");
    });
}
