//! One connection's events from its begin to its end.

use std::time::Duration;

use squall::measure::wire;
use squall::net::{ListenOptions, Listener, TcpListener};
use squall::protocol::Subprotocol;
use squall::protocol::control::{EventFailure, StartTimeline, TIMELINE_PATH};
use squall::protocol::settings::SocketBuffers;
use squall::protocol::token::AccessKeys;
use squall::protocol::webhook::{SystemEvent, sign_event, verify_signature};
use squall::secret::Secret;
use squall::ws::Opcode;

use super::kit::{Handler, Reply, handler, settings, taking, world};
use crate::kit::{PRIMARY, SECONDARY, Seen, generous, with_hub};

#[test]
fn every_request_is_what_the_service_sends() {
    world(settings(), async |world, app| {
        app.answers(|asked| match asked.event() {
            "connect" => Reply::status(200)
                .header("ce-connectionState: abc=")
                .header("Set-Cookie: s=1; Path=/"),
            _ => Reply::status(204),
        });
        let (mut client, connected) = world.json("J\u{f6}rg").await;
        let id = connected["connectionId"].as_str().unwrap().to_owned();
        // What comes behind is not overtaken by `connected`, which nobody waits for.
        app.until(3).await;
        client.say(r#"{"type":"event","event":"chat","ackId":7,"data":{"n": 1}}"#).await;
        assert_eq!(client.text().await, r#"{"type":"ack","ackId":7,"success":true}"#);
        client.leave().await;
        let asked = app.until(5).await;

        assert_eq!(
            asked[0].head,
            "OPTIONS /api/validate?code=SECRET HTTP/1.1\nhost: app\n\
             webhook-request-origin: hub\nce-awpsversion: 1.0"
        );
        let keys =
            AccessKeys { primary: Secret::new(PRIMARY), secondary: Some(Secret::new(SECONDARY)) };
        assert!(verify_signature(&keys, &id, [asked[1].header("ce-signature")]));
        let signature = sign_event(&keys, &id);
        let head =
            |event: &str, kind: &str, number: u32, content: &str, more: &str, length: u32| {
                format!(
                    "POST /api/{event}?code=SECRET HTTP/1.1\nhost: app\ncontent-type: {content}\n\
                 webhook-request-origin: hub\nce-specversion: 1.0\nce-awpsversion: 1.0\n\
                 ce-type: azure.webpubsub.{kind}.{event}\nce-source: /hubs/chat/client/{id}\n\
                 ce-id: {number}\nce-time: 2026-01-01T00:00:00Z\nce-signature: {signature}\n\
                 ce-userid: J\u{f6}rg\nce-connectionid: {id}\nce-hub: chat\n\
                 ce-eventname: {event}\n{more}content-length: {length}"
                )
            };
        let json = "application/json; charset=utf-8";
        let kept = "ce-subprotocol: json.webpubsub.azure.v1\nce-connectionstate: abc=\n\
                    cookie: s=1\n";
        let connect_bytes = u32::try_from(asked[1].body.len()).unwrap();
        assert_eq!(asked[1].head, head("connect", "sys", 0, json, "", connect_bytes));
        assert_eq!(asked[2].head, head("connected", "sys", 1, json, kept, 2));
        assert_eq!(asked[2].text(), "{}");
        assert_eq!(asked[3].head, head("chat", "user", 2, "application/json", kept, 8));
        assert_eq!(asked[3].text(), r#"{"n": 1}"#);
        assert_eq!(asked[4].head, head("disconnected", "sys", 3, json, kept, 13));
        assert_eq!(asked[4].text(), r#"{"reason":""}"#);
        assert!(asked.iter().all(|asked| asked.connection == 0), "one kept-alive connection");
    });
}

#[test]
fn connected_comes_before_disconnected_however_slow_it_is_and_each_comes_once() {
    world(taking(&[SystemEvent::Connected, SystemEvent::Disconnected]), async |world, app| {
        app.answers(|asked| match asked.event() {
            "connected" => Reply::status(500).after(Duration::from_secs(2)),
            _ => Reply::status(200),
        });
        let (client, _) = world.json("a").await;
        client.leave().await;
        app.until(6).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        let mut expected = vec!["OPTIONS".to_owned()];
        expected.extend(vec!["connected".to_owned(); 4]);
        expected.push("disconnected".to_owned());
        assert_eq!(app.story(), expected);
        let ids: Vec<String> =
            app.asked()[1..].iter().map(|asked| asked.header("ce-id").to_owned()).collect();
        assert_eq!(ids, ["1", "1", "1", "1", "2"], "a repeated event keeps its number");
    });
}

#[test]
fn disconnected_says_why_and_the_hub_waits_for_it_as_it_stops() {
    let counters = world(taking(&[SystemEvent::Disconnected]), async |world, app| {
        app.answers(|_| Reply::status(200).after(Duration::from_secs(3)));
        let (mut client, _) = world.json("a").await;
        world.begin_stop();
        assert_eq!(client.heard().await, Seen::Close(Some(1001), String::new()));
        client.send_close(Some(1001), "").await;
        let asked = app.until(2).await;
        assert_eq!(asked[1].text(), r#"{"reason":"Service reloading, reconnect"}"#);
    });
    assert_eq!(counters.webhooks.events["disconnected"].succeeded, 1);
    assert_eq!(counters.webhooks.under_way, 0);
}

#[test]
fn an_event_goes_to_the_first_handler_that_takes_it_and_to_nobody_else() {
    let mut settings = settings();
    settings.events.handlers = vec![
        handler("http://app/a/{event}", "chat", &[SystemEvent::Connected]),
        handler("http://app/b/{hub}", "*", &[SystemEvent::Connected, SystemEvent::Disconnected]),
    ];
    world(settings, async |world, app| {
        let (mut client, _) = world.json("u").await;
        app.until(2).await;
        for (ack_id, event) in [(1, "chat"), (2, "other")] {
            let frame =
                format!(r#"{{"type":"event","event":"{event}","ackId":{ack_id},"data":1}}"#);
            client.say(&frame).await;
            assert_eq!(client.json().await["success"], true);
        }
        client.leave().await;
        let asked = app.until(6).await;
        let lines: Vec<&str> = asked.iter().map(|asked| asked.line()).collect();
        assert_eq!(
            lines,
            [
                "OPTIONS /a/validate",
                "POST /a/connected",
                "POST /a/chat",
                "OPTIONS /b/chat",
                "POST /b/chat",
                "POST /b/chat"
            ]
        );
    });
}

#[test]
fn a_run_brings_its_own_handler_and_the_url_stays_as_written() {
    let mut settings = settings();
    settings.events.handlers =
        vec![handler("http://upstream/api/{event}", "*", &[SystemEvent::Connect])];
    world(settings.clone(), async |world, app| {
        let start = |upstream: &str| StartTimeline {
            run: "r".into(),
            settings: settings.clone(),
            watched: None,
            upstream: Some(upstream.to_owned()),
        };
        assert_eq!(world.post(TIMELINE_PATH, &start("ftp://app")).await, 400);
        assert_eq!(world.post(TIMELINE_PATH, &start("http://app")).await, 200);
        app.answers(|_| Reply::status(403));
        let refused = world.try_client(&world.claims("a"), Subprotocol::Simple, "").await;
        assert_eq!(refused.err().unwrap().0, 403);
        assert!(app.asked().iter().all(|asked| asked.header("host") == "upstream"));
        app.does(|_| Reply::status(401));
        assert_eq!(world.post(TIMELINE_PATH, &start("http://app")).await, 200);
        let _ = world.try_client(&world.claims("a"), Subprotocol::Simple, "").await;
        assert_eq!(
            world.failed().await,
            [(
                "AbuseProtectionResponseInvalidStatusCode".into(),
                "Abuse protection for 'http://upstream/api/validate' failed: 401.".into()
            )],
            "a new run validates anew"
        );
    });
}

#[test]
fn events_are_counted_and_timed_by_name() {
    world(taking(&[SystemEvent::Connected]), async |world, app| {
        app.answers(|asked| match asked.event() {
            "slow" => Reply::status(200).after(Duration::from_millis(250)),
            _ => Reply::status(503),
        });
        let (mut client, _) = world.json("u").await;
        client.say(r#"{"type":"event","event":"slow","ackId":1,"data":1}"#).await;
        client.json().await;
        client.leave().await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        let webhooks = world.counters().await.webhooks;
        let slow = &webhooks.events["slow"];
        assert_eq!((slow.begun, slow.succeeded, slow.requests, slow.retries), (1, 1, 1, 0));
        let connected = &webhooks.events["connected"];
        assert_eq!((connected.begun, connected.requests, connected.retries), (1, 4, 3));
        assert_eq!(connected.statuses, [(503, 4)].into());
        assert_eq!(connected.failed.values().sum::<u64>(), 1);
        assert_eq!((webhooks.validations_good, webhooks.validations_bad), (1, 0));
        assert_eq!((webhooks.validation_requests, webhooks.under_way), (1, 0));
        let failed = Some(EventFailure::Status);
        let calls = world.calls().await;
        let told = [
            ("slow".to_owned(), Some(200), None, 1),
            ("connected".to_owned(), Some(503), failed, 4),
        ];
        assert_eq!(calls, told, "one entry each, in the order of their ends");
        let validations = world.validations().await;
        assert_eq!(validations.len(), 1);
        assert_eq!((validations[0].status, validations[0].failure), (Some(200), None));
        assert_eq!(validations[0].tries, 1);
        let times = world.times().await.events;
        let slow = wire::decode(&times["slow"].service).unwrap();
        assert_eq!((slow.len(), slow.max() / 1_000), (1, 250));
        let connected = wire::decode(&times["connected"].response).unwrap();
        assert_eq!((connected.len(), connected.max() / 1_000_000), (1, 9));
    });
}

#[test]
fn connections_to_a_handler_are_kept_while_somebody_is_there_and_bounded() {
    world(taking(&[SystemEvent::Connect]), async |world, app| {
        app.answers(|_| Reply::status(200).after(Duration::from_millis(100)));
        let ends = |world: &super::kit::World| world.network.open_ends();
        let (one, _) = world.json("a").await;
        for _ in 0..5 {
            let (other, _) = world.json("b").await;
            other.leave().await;
        }
        assert!(app.asked().iter().all(|asked| asked.connection == 0), "one was enough");
        let (two, three) = tokio::join!(world.json("c"), world.json("d"));
        assert_eq!(app.asked().iter().map(|asked| asked.connection).max(), Some(1));
        for client in [one, two.0, three.0] {
            client.leave().await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(ends(world), 0, "nobody is there, so nothing is kept");
    });
}

#[test]
fn the_same_over_sockets() {
    let mut settings = settings();
    settings.events.handlers = vec![handler("http://upstream/{event}", "*", &SystemEvent::ALL)];
    with_hub(generous(), async |hub| {
        let buffers = SocketBuffers::default();
        let options = ListenOptions { address: "127.0.0.1:0".parse().unwrap(), buffers };
        let listener = TcpListener::bind(options).unwrap();
        let upstream = Some(format!("http://{}", listener.local_addr().unwrap()));
        let app = Handler::start(Listener::Tcp(listener));
        app.answers(|asked| match asked.event() {
            "message" => {
                let echo = [b"echo ", &asked.body[..]].concat();
                Reply::status(200).body("text/plain", &echo)
            }
            _ => Reply::status(204),
        });
        let start = StartTimeline { run: "r".into(), settings, watched: None, upstream };
        assert_eq!(hub.post(TIMELINE_PATH, &start).await, 200);
        let path = hub.client_path(&hub.claims("u"), "");
        let mut client = hub.raw(&path, Subprotocol::Simple, buffers).await;
        client.send(Opcode::Text, b"hello").await;
        assert_eq!(client.heard().await, Seen::Text("echo hello".into()));
        client.leave().await;
        app.until(5).await;
        let story = app.story();
        assert_eq!(story.iter().filter(|name| *name == "disconnected").count(), 1, "{story:?}");
        assert_eq!(&story[..2], ["OPTIONS", "connect"]);
    });
}
