//! How attempts end, exactly as the client saw it; and what comes after.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};

use super::kit::*;
use crate::client::{LIMITS, Limits, State};
use crate::event::{
    ClientEnd, ClientObservation, CloseFirst, ConnectFailure, HandshakeFailure, Wish,
};
use crate::measure::LatencyKind;
use crate::protocol::Subprotocol;
use crate::scenario::Plan;
use crate::scenario::plan::{FirstAttempt, Population, Reconnect, ReconnectAfter, ReconnectPolicy};
use crate::ws::Opcode;

/// A JSON client that was healthy until `script` ended it, and its one end.
async fn ended_by(script: impl AsyncFnOnce(Peer)) -> ClientEnd {
    let mut world = World::new(plan(population(Subprotocol::Json))).await;
    let (_client, task) = world.start(0);
    let mut peer = world.welcome().await;
    assert!(peer.ping(b"healthy", LONG).await);
    script(peer).await;
    task.await.unwrap();
    let end = world.end().await;
    world.assert_clean();
    assert_eq!(end.wish, Wish::Stay);
    assert!(end.opened_ns.is_some_and(|opened| opened <= end.ended_ns));
    end
}

fn by_hub(code: Option<u16>, reason: &str) -> ClientObservation {
    ClientObservation::CloseFrame { code, reason: reason.into(), first: CloseFirst::Hub }
}

#[test]
fn a_close_frame_is_told_raw_and_echoed() {
    run(async {
        let end = ended_by(async |mut peer: Peer| {
            peer.close(Some(4999), "past reason").await;
            assert_eq!(peer.next().await, Frame::Close(Some(4999)));
            assert_eq!(peer.next().await, Frame::End);
        })
        .await;
        assert_eq!(end.observation, by_hub(Some(4999), "past reason"));
        let end = ended_by(async |mut peer: Peer| {
            peer.close(None, "").await;
            assert_eq!(peer.next().await, Frame::Close(None));
        })
        .await;
        assert_eq!(end.observation, by_hub(None, ""));
    });
}

#[test]
fn end_of_stream_and_reset_are_two_things() {
    run(async {
        let end = ended_by(async |peer: Peer| drop(peer)).await;
        assert_eq!(end.observation, ClientObservation::Eof);
        let end = ended_by(async |peer: Peer| peer.reset()).await;
        assert_eq!(end.observation, ClientObservation::Reset);
    });
}

#[test]
fn data_before_the_end_of_stream_is_read_first() {
    run(async {
        let end = ended_by(async |mut peer: Peer| {
            for _ in 0..100 {
                peer.text(r#"{"type":"message","from":"server","dataType":"text","data":"x"}"#)
                    .await;
            }
        })
        .await;
        assert_eq!((end.observation, end.received), (ClientObservation::Eof, 100));
    });
}

#[test]
fn a_hub_that_breaks_the_protocol_is_closed() {
    run(async {
        let cases: [(Opcode, &[u8], u16); 3] = [
            (Opcode::Binary, b"bytes", 1003),
            (Opcode::Text, b"not json", 1007),
            (Opcode::Text, b"\xff\xff", 1007),
        ];
        for (opcode, payload, code) in cases {
            let end = ended_by(async |mut peer: Peer| {
                peer.send(opcode, payload).await;
                assert_eq!(peer.next().await, Frame::Close(Some(code)));
            })
            .await;
            let broken = matches!(end.observation, ClientObservation::ProtocolError { .. });
            assert!(broken, "{:?}", end.observation);
        }
        let end = ended_by(async |mut peer: Peer| {
            // A reserved bit, which nobody agreed on.
            peer.stream.write_all(&[0xc1, 0]).await.unwrap();
            assert_eq!(peer.next().await, Frame::Close(Some(1002)));
        })
        .await;
        assert!(matches!(end.observation, ClientObservation::ProtocolError { .. }));
    });
}

#[test]
fn what_the_client_does_not_know_is_ignored() {
    run(async {
        let end = ended_by(async |mut peer: Peer| {
            for text in [
                r#"{"type":"pong"}"#,
                r#"{"type":"new","kind":"thing"}"#,
                r#"{"type":"ack","ackId":99,"success":true}"#,
            ] {
                peer.text(text).await;
            }
            peer.send(Opcode::Pong, b"unasked").await;
            assert!(peer.ping(b"still here", LONG).await);
        })
        .await;
        assert_eq!((end.observation, end.received), (ClientObservation::Eof, 0));
    });
}

/// A client that left once healthy, with so much grace, and its end after `script`.
async fn leaving(
    protocol: Subprotocol,
    grace: Duration,
    script: impl AsyncFnOnce(Peer),
) -> ClientEnd {
    let mut world = World::new(Plan { grace, ..plan(population(protocol)) }).await;
    let (client, task) = world.start(0);
    let mut peer = world.welcome().await;
    assert!(peer.ping(b"healthy", LONG).await);
    client.leave();
    assert_eq!(peer.next().await, Frame::Close(Some(1000)));
    script(peer).await;
    task.await.unwrap();
    let end = world.end().await;
    world.assert_clean();
    assert_eq!(end.wish, Wish::Leave);
    end
}

#[test]
fn a_leaving_client_reads_on_until_the_answer() {
    run(async {
        let end = leaving(Subprotocol::Json, LONG, async |mut peer: Peer| {
            peer.text(r#"{"type":"message","from":"server","dataType":"text","data":"x"}"#).await;
            assert!(!peer.ping(b"no frame follows a close frame", 50 * MS).await);
            peer.close(Some(1000), "").await;
            assert_eq!(peer.next().await, Frame::End);
        })
        .await;
        let first = CloseFirst::Client;
        let answered =
            ClientObservation::CloseFrame { code: Some(1000), reason: String::new(), first };
        assert_eq!((end.observation, end.received, end.pongs), (answered, 1, 1));
    });
}

#[test]
fn a_close_frame_with_another_code_was_the_hubs_own() {
    run(async {
        let end = leaving(Subprotocol::Simple, LONG, async |mut peer: Peer| {
            peer.close(Some(1001), "reload").await;
        })
        .await;
        assert_eq!(end.observation, by_hub(Some(1001), "reload"));
    });
}

#[test]
fn a_leaving_client_that_gets_no_answer_resets_after_the_grace() {
    run(async {
        let end = leaving(Subprotocol::Simple, 100 * MS, async |mut peer: Peer| {
            assert_eq!(peer.next().await, Frame::Reset);
        })
        .await;
        assert_eq!(end.observation, ClientObservation::NoCloseAnswer);
    });
}

#[test]
fn a_killed_client_resets_at_once() {
    run(async {
        let mut world = World::new(plan(population(Subprotocol::Json))).await;
        let (client, task) = world.start(0);
        let mut peer = world.welcome().await;
        assert!(peer.ping(b"healthy", LONG).await);
        client.kill();
        task.await.unwrap();
        assert_eq!(peer.next().await, Frame::Reset);
        let end = world.end().await;
        assert_eq!((end.observation, end.wish), (ClientObservation::Vanished, Wish::Leave));
        world.assert_clean();
    });
}

/// The end of an attempt of a JSON client that `script` did not let open.
async fn refused_by(script: impl AsyncFnOnce(TcpStream, String)) -> ClientEnd {
    refused_within(&LIMITS, script).await
}

/// The same within limits.
async fn refused_within(
    limits: &'static Limits,
    script: impl AsyncFnOnce(TcpStream, String),
) -> ClientEnd {
    let mut world = World::new(plan(population(Subprotocol::Json))).await;
    let (client, task) = world.start_within(0, limits);
    let (mut stream, _) = world.listener.accept().await.unwrap();
    let request = read_request(&mut stream).await;
    script(stream, request).await;
    task.await.unwrap();
    assert_eq!(client.state(), State::Finished);
    let end = world.end().await;
    world.assert_clean();
    assert_eq!((end.opened_ns, world.shard.counts.attempts.get()), (None, 1));
    assert_eq!(world.recorded(LatencyKind::Connect), 0);
    end
}

fn handshake(failure: HandshakeFailure) -> ClientObservation {
    ClientObservation::HandshakeFailed { failure }
}

#[test]
fn a_refusal_is_told_with_status_and_body() {
    run(async {
        let end = refused_by(async |mut stream, _| {
            let body = "Connection count reaches limit.";
            let length = body.len();
            let answer =
                format!("HTTP/1.1 429 Too Many Requests\r\nContent-Length: {length}\r\n\r\n{body}");
            stream.write_all(answer.as_bytes()).await.unwrap();
        })
        .await;
        let body = "Connection count reaches limit.".to_owned();
        assert_eq!(end.observation, ClientObservation::Refused { status: 429, body });
    });
}

#[test]
fn a_hub_that_never_answers_is_given_up() {
    run(async {
        let end = refused_within(&SHORT, async |stream, _| {
            tokio::time::sleep(2 * SHORT.handshake).await;
            drop(stream);
        })
        .await;
        assert_eq!(end.observation, handshake(HandshakeFailure::TimedOut));
        let end = refused_within(&SHORT, async |mut stream, request| {
            stream.write_all(switching_protocols(&request).as_bytes()).await.unwrap();
            // No `connected` frame.
            tokio::time::sleep(2 * SHORT.handshake).await;
        })
        .await;
        assert_eq!(end.observation, handshake(HandshakeFailure::TimedOut));
    });
}

#[test]
fn wrong_answers_to_the_upgrade_have_their_names() {
    run(async {
        let end = refused_by(async |mut stream, request: String| {
            let answer = switching_protocols(&request).replace("json.webpubsub", "other");
            stream.write_all(answer.as_bytes()).await.unwrap();
        })
        .await;
        assert_eq!(end.observation, handshake(HandshakeFailure::Subprotocol));
        let end = refused_by(async |stream, _| drop(stream)).await;
        assert_eq!(end.observation, handshake(HandshakeFailure::Ended));
    });
}

/// The end of a JSON client that was upgraded and then saw `script` in place of `connected`.
async fn upgraded_then(script: impl AsyncFnOnce(Peer)) -> ClientObservation {
    let mut world = World::new(plan(population(Subprotocol::Json))).await;
    let (_client, task) = world.start(0);
    script(world.accept().await).await;
    task.await.unwrap();
    let end = world.end().await;
    world.assert_clean();
    assert_eq!(end.opened_ns, None);
    end.observation
}

#[test]
fn what_comes_in_place_of_connected_is_told_as_it_was() {
    run(async {
        let seen = upgraded_then(async |mut peer| peer.text(r#"{"type":"pong"}"#).await).await;
        assert_eq!(seen, handshake(HandshakeFailure::NoConnectedFrame));
        let seen = upgraded_then(async |peer| peer.reset()).await;
        assert_eq!(seen, ClientObservation::Reset);
        let seen = upgraded_then(async |peer| drop(peer)).await;
        assert_eq!(seen, ClientObservation::Eof);
        let seen = upgraded_then(async |mut peer: Peer| {
            peer.close(Some(1013), "later").await;
            assert_eq!(peer.next().await, Frame::Close(Some(1013)));
        })
        .await;
        assert_eq!(seen, by_hub(Some(1013), "later"));
    });
}

#[test]
fn nobody_listening_is_a_refused_connection() {
    run(async {
        let mut world = World::new(plan(population(Subprotocol::Simple))).await;
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
        world.listener = free;
        let (_client, task) = world.start(0);
        task.await.unwrap();
        let failure = ConnectFailure::ConnectionRefused;
        assert_eq!(world.end().await.observation, ClientObservation::ConnectFailed { failure });
        world.assert_clean();
    });
}

#[test]
fn an_attempt_that_is_cut_short_was_cancelled() {
    run(async {
        let mut world = World::new(plan(population(Subprotocol::Simple))).await;
        let (client, task) = world.start(0);
        let (mut stream, _) = world.listener.accept().await.unwrap();
        read_request(&mut stream).await;
        client.kill();
        task.await.unwrap();
        let end = world.end().await;
        assert_eq!(end.observation, handshake(HandshakeFailure::Cancelled));
        assert_eq!(end.wish, Wish::Leave);
        world.assert_clean();
    });
}

#[test]
fn an_end_that_nobody_takes_is_counted() {
    run(async {
        let mut world = World::new(plan(population(Subprotocol::Simple))).await;
        world.ends.close();
        let (client, task) = world.start(0);
        let mut peer = world.accept().await;
        assert!(peer.ping(b"", LONG).await);
        client.kill();
        task.await.unwrap();
        let lost = world.shard.ends.lost.load(std::sync::atomic::Ordering::Relaxed);
        assert_eq!(lost, 1);
    });
}

fn reconnecting(after: ReconnectAfter, first: FirstAttempt, attempts: Option<u32>) -> Population {
    let policy = ReconnectPolicy::Fixed { every: 20 * MS };
    let reconnect = Reconnect { policy, after, first, attempts };
    Population { reconnect, ..population(Subprotocol::Json) }
}

const AT_ONCE: FirstAttempt = FirstAttempt::Within(Duration::ZERO);

#[test]
fn a_dropped_client_comes_back_and_joins_again() {
    run(async {
        let p = reconnecting(ReconnectAfter::Drop, AT_ONCE, None);
        let mut world = World::new(plan(p)).await;
        let (client, task) = world.start(0);
        for drop in 0..2 {
            let peer = world.welcome().await;
            assert!(peer.request.contains(&format!("squall=p.0.{drop} ")), "{}", peer.request);
            peer.reset();
        }
        // Attempts that fail on the way back do not end the recovery.
        drop(world.listener.accept().await.unwrap());
        let mut peer = world.welcome().await;
        assert!(peer.ping(b"back", LONG).await);
        assert_eq!(client.state(), State::Open);
        client.leave();
        assert_eq!(peer.next().await, Frame::Close(Some(1000)));
        peer.close(Some(1000), "").await;
        task.await.unwrap();
        let ends = [world.end().await, world.end().await, world.end().await, world.end().await];
        let attempts = ends.each_ref().map(|end| end.attempt.attempt);
        assert_eq!(attempts, [0, 1, 2, 3]);
        assert_eq!(ends[1].planned_ns, ends[0].ended_ns, "at once");
        assert_eq!(ends[3].planned_ns, ends[2].ended_ns + 20_000_000, "then after the delay");
        let counts = &world.shard.counts;
        assert_eq!(*counts.opens.borrow(), [3]);
        assert_eq!(*counts.recovered.borrow(), [1], "one client, however often");
        assert_eq!(world.recorded(LatencyKind::Recovery), 2);
        world.assert_clean();
    });
}

#[test]
fn a_refused_first_attempt_is_final_unless_the_policy_answers_to_any_end() {
    run(async {
        for (after, attempts) in [(ReconnectAfter::Drop, 1), (ReconnectAfter::Any, 2)] {
            let p = reconnecting(after, FirstAttempt::AfterDelay, Some(1));
            let mut world = World::new(plan(p)).await;
            let (_client, task) = world.start(0);
            for _ in 0..attempts {
                drop(world.listener.accept().await.unwrap());
            }
            task.await.unwrap();
            let first = world.end().await;
            if attempts == 2 {
                let second = world.end().await;
                assert_eq!(second.planned_ns, first.ended_ns + 20_000_000);
            }
            assert_eq!(world.shard.counts.attempts.get(), attempts);
            world.assert_clean();
        }
    });
}

#[test]
fn a_client_that_waits_to_come_back_leaves_without_another_attempt() {
    run(async {
        let mut p = reconnecting(ReconnectAfter::Drop, FirstAttempt::AfterDelay, None);
        p.reconnect.policy = ReconnectPolicy::Fixed { every: LONG };
        let mut world = World::new(plan(p)).await;
        let (client, task) = world.start(0);
        let peer = world.welcome().await;
        peer.reset();
        assert_eq!(world.end().await.observation, ClientObservation::Reset);
        assert_eq!(client.state(), State::Reconnecting);
        client.leave();
        task.await.unwrap();
        world.assert_clean();
    });
}
