//! Clients that do as they should.

use futures::{SinkExt, StreamExt};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{Request, Response};

use super::kit::*;
use crate::client::{Credentials, State, claims};
use crate::event::{ClientObservation, CloseFirst, Wish};
use crate::measure::LatencyKind;
use crate::protocol::Subprotocol;
use crate::protocol::token::{AccessKeys, verify};
use crate::scenario::plan::TokenPolicy;
use crate::secret::Secret;
use crate::ws::Opcode;

fn normal(first: CloseFirst) -> ClientObservation {
    ClientObservation::CloseFrame { code: Some(1000), reason: String::new(), first }
}

/// The second opinion: a JSON client with tokio-tungstenite at the other end.
#[test]
fn a_json_client_joins_answers_pings_and_leaves_in_order() {
    run(async {
        let mut world = World::new(plan(population(Subprotocol::Json))).await;
        let (client, task) = world.start(0);
        let (stream, _) = world.listener.accept().await.unwrap();
        let mut asked = None;
        #[expect(clippy::result_large_err, reason = "tungstenite's own signature")]
        let echo = |request: &Request, mut response: Response| {
            asked = Some(request.uri().to_string());
            let name = request.headers()["sec-websocket-protocol"].clone();
            response.headers_mut().insert("sec-websocket-protocol", name);
            Ok(response)
        };
        let mut server = tokio_tungstenite::accept_hdr_async(stream, echo).await.unwrap();
        let hello = r#"{"type":"system","event":"connected","userId":"p-0","connectionId":"abc"}"#;
        server.send(Message::text(hello)).await.unwrap();
        let join = server.next().await.unwrap().unwrap();
        assert_eq!(join, Message::text(r#"{"type":"joinGroup","group":"room","ackId":1}"#));
        server.send(Message::text(r#"{"type":"ack","ackId":1,"success":true}"#)).await.unwrap();
        server.send(Message::Ping("are you there".into())).await.unwrap();
        assert_eq!(server.next().await.unwrap().unwrap(), Message::Pong("are you there".into()));
        assert_eq!(client.state(), State::Open);
        assert_eq!(client.connection_id().as_deref(), Some("abc"));
        assert_eq!((world.shard.counts.open.get(), world.shard.counts.tasks.get()), (1, 1));

        client.leave();
        let close = server.next().await.unwrap().unwrap();
        assert!(matches!(close, Message::Close(Some(frame)) if u16::from(frame.code) == 1000));
        // tungstenite answers the close frame by itself; the stream then ends.
        assert!(server.next().await.is_none());
        task.await.unwrap();
        let end = world.end().await;
        assert_eq!(end.observation, normal(CloseFirst::Client));
        assert_eq!((end.wish, end.pings, end.pongs), (Wish::Leave, 1, 1));
        assert_eq!(end.attempt.to_string(), "p.0.0");
        assert_eq!(end.connection_id.as_deref(), Some("abc"));
        assert!(end.planned_ns <= end.started_ns && Some(end.started_ns) <= end.opened_ns);
        assert_eq!(client.state(), State::Finished);
        assert_eq!(world.recorded(LatencyKind::Connect), 1);
        world.assert_clean();

        let asked = asked.unwrap();
        assert!(asked.starts_with("/client/hubs/hub?access_token="), "{asked}");
        assert!(asked.ends_with("&squall=p.0.0"), "{asked}");
        let token = asked.split(['=', '&']).nth(1).unwrap();
        let Credentials::Key(primary) = &world.shard.credentials else { panic!("a key") };
        let keys = AccessKeys { primary: primary.clone(), secondary: None };
        let audience = format!("{}/client/hubs/hub", world.shard.connector.endpoint());
        let now = std::time::Duration::from_nanos(world.shard.clock.now_ns());
        let read = verify(token, &keys, &[audience], now, 300_000 * MS).unwrap();
        assert_eq!(read.user_id.as_deref(), Some("p-0"));
        assert_eq!(read.roles, ["webpubsub.joinLeaveGroup.room"]);
        assert!(read.groups.is_empty());
    });
}

#[test]
fn a_simple_client_is_open_at_the_101_and_gets_its_groups_by_the_token() {
    run(async {
        let mut world = World::new(plan(population(Subprotocol::Simple))).await;
        let (client, task) = world.start(1);
        let mut peer = world.accept().await;
        assert!(!peer.request.to_ascii_lowercase().contains("sec-websocket-protocol"));
        peer.text("hello").await;
        peer.send(Opcode::Binary, b"bytes").await;
        assert!(peer.ping(b"x", LONG).await);
        assert_eq!(client.connection_id(), None);
        client.leave();
        assert_eq!(peer.next().await, Frame::Close(Some(1000)));
        peer.close(Some(1000), "").await;
        task.await.unwrap();
        let end = world.end().await;
        assert_eq!(end.observation, normal(CloseFirst::Client));
        assert_eq!((end.received, end.sent), (2, 0));
        // Two text frames and one binary: two bytes of header each; the ping and the close too.
        assert_eq!(end.read_bytes, 2 + 5 + 2 + 5 + 2 + 1 + 2 + 2);
        world.assert_clean();

        let claims = claims(&world.shard.plan, 0, 1, "a".into(), 100);
        assert_eq!(claims.groups, ["room"]);
        assert!(claims.roles.is_empty());
        assert_eq!((claims.expires_at, claims.issued_at), (3_700, Some(100)));
    });
}

#[test]
fn a_client_leaves_when_its_lifetime_is_over() {
    run(async {
        let mut p = population(Subprotocol::Simple);
        p.lifetime = Some(50 * MS);
        let mut world = World::new(plan(p)).await;
        let (_client, task) = world.start(0);
        let mut peer = world.accept().await;
        assert_eq!(peer.next().await, Frame::Close(Some(1000)));
        peer.close(Some(1000), "").await;
        task.await.unwrap();
        let end = world.end().await;
        assert_eq!((end.wish, end.observation), (Wish::Leave, normal(CloseFirst::Client)));
        assert!(end.ended_ns - end.opened_ns.unwrap() >= 50_000_000);
        world.assert_clean();
    });
}

#[test]
fn a_client_that_churns_leaves_in_order_and_is_back_at_once_until_it_is_told_to_leave() {
    run(async {
        let mut p = population(Subprotocol::Simple);
        p.churn = Some(20.0);
        let mut world = World::new(plan(p)).await;
        let (client, task) = world.start(0);
        let mut ended_ns = 0;
        for attempt in 0..3 {
            let mut peer = world.accept().await;
            assert_eq!(peer.next().await, Frame::Close(Some(1000)));
            peer.close(Some(1000), "").await;
            let end = world.end().await;
            assert_eq!((end.attempt.attempt, end.wish), (attempt, Wish::Leave));
            assert_eq!(end.observation, normal(CloseFirst::Client));
            assert!(end.planned_ns == ended_ns || attempt == 0, "it comes back at once");
            ended_ns = end.ended_ns;
        }
        let mut peer = world.accept().await;
        client.leave();
        assert_eq!(peer.next().await, Frame::Close(Some(1000)));
        peer.close(Some(1000), "").await;
        task.await.unwrap();
        assert_eq!(world.end().await.wish, Wish::Leave);
        assert_eq!(world.recorded(LatencyKind::Recovery), 0);
        assert!(world.shard.counts.recovered.borrow().is_empty());
        world.assert_clean();
    });
}

#[test]
fn a_client_that_leaves_while_connecting_opens_first() {
    run(async {
        let mut world = World::new(plan(population(Subprotocol::Simple))).await;
        let (client, task) = world.start(0);
        let (mut stream, _) = world.listener.accept().await.unwrap();
        let request = read_request(&mut stream).await;
        client.leave();
        tokio::io::AsyncWriteExt::write_all(&mut stream, switching_protocols(&request).as_bytes())
            .await
            .unwrap();
        let mut frame = [0; 8];
        tokio::io::AsyncReadExt::read_exact(&mut stream, &mut frame).await.unwrap();
        assert_eq!(frame[0], 0x88, "a close frame");
        drop(stream);
        task.await.unwrap();
        let end = world.end().await;
        assert_eq!((end.wish, end.observation), (Wish::Leave, ClientObservation::Eof));
        world.assert_clean();
    });
}

#[test]
fn an_order_before_the_attempts_turn_leaves_no_row() {
    run(async {
        let mut world = World::new(plan(population(Subprotocol::Simple))).await;
        let permits = world.shard.connects.clone();
        let all = permits.acquire_many(64).await.unwrap();
        let (client, task) = world.start(0);
        tokio::task::yield_now().await;
        assert_eq!(client.state(), State::Connecting);
        client.leave();
        task.await.unwrap();
        drop(all);
        assert_eq!(world.shard.counts.attempts.get(), 0);
        world.assert_clean();
    });
}

#[test]
fn a_fixed_url_keeps_its_query_and_gets_the_attempt() {
    run(async {
        let url = Secret::new("/client/hubs/h?access_token=fixed");
        let plan = plan(population(Subprotocol::Simple));
        let mut world = World::with(plan, Credentials::FixedUrl(url)).await;
        let (client, task) = world.start(0);
        let mut peer = world.accept().await;
        assert!(peer.ping(b"", LONG).await);
        let line = peer.request.lines().next().unwrap().to_owned();
        assert_eq!(line, "GET /client/hubs/h?access_token=fixed&squall=p.0.0 HTTP/1.1");
        client.kill();
        task.await.unwrap();
        assert_eq!(world.end().await.observation, ClientObservation::Vanished);
        world.assert_clean();
    });
}

#[test]
fn a_token_made_once_serves_every_attempt() {
    use crate::client::credentials::path_and_query;
    use crate::protocol::AttemptId;
    run(async {
        for (policy, same) in [
            (TokenPolicy::Once { lifetime: 60_000 * MS }, true),
            (TokenPolicy::Minted { lifetime: 60_000 * MS }, false),
        ] {
            let mut p = population(Subprotocol::Simple);
            p.token = policy;
            let world = World::new(plan(p)).await;
            let client = crate::client::VirtualClient::new(world.shard.clone(), 0, 0);
            let target = |attempt| {
                let id = AttemptId { population: "p".into(), index: 0, attempt };
                let target = path_and_query(&client.me, &id, &client.once);
                target.expose().split('&').next().unwrap().to_owned()
            };
            let first = target(0);
            // Tokens tell whole seconds: an older one differs by its times.
            if let Some(once) = client.once.borrow_mut().as_mut() {
                *once = Secret::new("kept");
            }
            let second = target(1);
            assert_eq!(second.ends_with("kept"), same);
            assert!(!first.ends_with("kept"));
        }
    });
}

#[test]
fn every_attempt_has_a_key_of_its_own_that_follows_from_the_seed() {
    use crate::client::open::connection_key;
    run(async {
        let key = async |seed, index, attempt| {
            let mut plan = plan(population(Subprotocol::Simple));
            plan.seed = seed;
            let world = World::new(plan).await;
            let client = crate::client::VirtualClient::new(world.shard.clone(), 0, index);
            connection_key(&client.me, attempt)
        };
        let first = key(1, 0, 0).await;
        assert_eq!(first, key(1, 0, 0).await);
        for other in [key(2, 0, 0).await, key(1, 1, 0).await, key(1, 0, 1).await] {
            assert_ne!(first, other);
        }
    });
}

#[test]
fn the_hub_that_closes_first_gets_its_echo() {
    run(async {
        let mut world = World::new(plan(population(Subprotocol::Json))).await;
        let (client, task) = world.start(0);
        let mut peer = world.welcome().await;
        assert!(peer.ping(b"", LONG).await);
        client.note_rest_close(Instant::now());
        peer.text(r#"{"type":"system","event":"disconnected","message":"bye"}"#).await;
        peer.close(Some(1000), "").await;
        assert_eq!(peer.next().await, Frame::Close(Some(1000)));
        assert_eq!(peer.next().await, Frame::End);
        task.await.unwrap();
        let end = world.end().await;
        assert_eq!((end.wish, end.observation), (Wish::Stay, normal(CloseFirst::Hub)));
        assert_eq!(world.recorded(LatencyKind::RestClose), 1);
        world.assert_clean();
    });
}
