//! Each behaviour over a real socket; a steady client of the same kind proves the healthy path
//! first. (Windows are tested where they are decided, in `client::behaviour`.)

use std::rc::Rc;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use super::kit::*;
use crate::client::VirtualClient;
use crate::event::{ClientObservation, Wish};
use crate::protocol::Subprotocol;
use crate::protocol::settings::SocketBuffers;
use crate::scenario::Plan;
use crate::scenario::plan::{Behaviour, Population, TimedBehaviour, Vanish};
use crate::ws::Opcode;

/// Long enough to believe that nothing comes.
const SILENCE: Duration = Duration::from_millis(100);

/// A world with one client of the population, after a steady one has answered, received and left.
async fn beside_a_healthy_one(p: Population) -> (World, Rc<VirtualClient>, Peer) {
    let mut world = World::new(plan(Population { behaviours: Vec::new(), ..p.clone() })).await;
    let (client, task) = world.start(0);
    let mut peer = world.welcome().await;
    assert!(peer.ping(b"healthy", LONG).await);
    client.leave();
    assert_eq!(peer.next().await, Frame::Close(Some(1000)));
    peer.close(Some(1000), "").await;
    assert_eq!(peer.next().await, Frame::End);
    task.await.unwrap();
    let end = world.end().await;
    assert!(matches!(end.observation, ClientObservation::CloseFrame { .. }));
    assert_eq!(end.behaviour_since_ns, None);
    world.assert_clean();

    let world = World::new(Plan { grace: 200 * MS, ..plan(p) }).await;
    let (client, _task) = world.start(0);
    let peer = world.welcome().await;
    (world, client, peer)
}

/// Waits until the client has received so many messages.
async fn received(world: &World, count: u64) {
    while world.shard.counts.received.get() < count {
        sleep(5 * MS).await;
    }
}

#[test]
fn a_suppressed_pong_does_not_keep_the_client_from_reading() {
    run(async {
        let p = behaving(Subprotocol::Simple, Behaviour::SuppressPong);
        let (mut world, client, mut peer) = beside_a_healthy_one(p).await;
        assert!(!peer.ping(b"anybody?", SILENCE).await);
        peer.text("message").await;
        received(&world, 1).await;
        client.leave();
        assert_eq!(peer.next().await, Frame::Close(Some(1000)));
        peer.close(Some(1000), "").await;
        let end = world.end().await;
        assert_eq!((end.pings, end.pongs, end.received), (1, 0, 1));
        assert_eq!(end.behaviour_since_ns, end.opened_ns);
    });
}

#[test]
fn a_delayed_pong_comes_later_with_its_payload() {
    run(async {
        let p = behaving(Subprotocol::Simple, Behaviour::DelayPong { by: 80 * MS });
        let (mut world, client, mut peer) = beside_a_healthy_one(p).await;
        let asked = Instant::now();
        assert!(peer.ping(b"late", LONG).await);
        assert!(asked.elapsed() >= 80 * MS);
        client.kill();
        assert_eq!(world.end().await.pongs, 1);
    });
}

#[test]
fn a_lost_pong_is_lost_with_its_probability() {
    run(async {
        for (probability, lost) in [(1.0, true), (0.0, false)] {
            let p = behaving(Subprotocol::Simple, Behaviour::LosePong { probability });
            let (_world, client, mut peer) = beside_a_healthy_one(p).await;
            let within = if lost { SILENCE } else { LONG };
            assert_eq!(peer.ping(b"lost?", within).await, !lost);
            client.kill();
        }
    });
}

#[test]
fn an_application_ping_comes_on_its_beat() {
    run(async {
        let p = behaving(Subprotocol::Json, Behaviour::AppPing { every: 200 * MS });
        let begin = Instant::now();
        let (mut world, client, mut peer) = beside_a_healthy_one(p).await;
        for beat in 1..=3 {
            assert_eq!(peer.next().await, Frame::Text(r#"{"type":"ping"}"#.into()));
            assert!(begin.elapsed() >= beat * 200 * MS);
            peer.text(r#"{"type":"pong"}"#).await;
        }
        client.kill();
        assert_eq!(world.end().await.behaviour_since_ns, None, "no misbehaviour");
    });
}

/// A deadline that passes while the session is at work is not lost.
#[test]
fn a_beat_of_a_millisecond_never_stops() {
    run(async {
        let p = behaving(Subprotocol::Json, Behaviour::AppPing { every: MS });
        let (_world, client, mut peer) = beside_a_healthy_one(p).await;
        for _ in 0..1_000 {
            assert_eq!(peer.next().await, Frame::Text(r#"{"type":"ping"}"#.into()));
        }
        client.kill();
    });
}

/// Sends messages of 1 KiB for as long as the client takes them.
async fn flood(peer: &mut Peer) {
    let message = vec![b'x'; 1_024];
    loop {
        peer.send(Opcode::Text, &message).await;
    }
}

fn small_buffer(behaviour: Behaviour) -> Population {
    let p = behaving(Subprotocol::Simple, behaviour);
    Population { buffers: SocketBuffers { send: None, receive: Some(4_096) }, ..p }
}

#[test]
fn a_slow_reader_reads_its_bytes_per_second_and_no_more() {
    run(async {
        let p = small_buffer(Behaviour::SlowReadBytes { rate: 20_000.0 });
        let (mut world, client, mut peer) = beside_a_healthy_one(p).await;
        // Answered, so nothing of the flood comes with the upgrade.
        assert!(peer.ping(b"slowly", LONG).await);
        tokio::select! {
            biased;
            () = flood(&mut peer) => {}
            () = received(&world, 6) => {}
        }
        client.kill();
        let end = world.end().await;
        let open_ns = end.ended_ns - end.opened_ns.unwrap();
        let most = open_ns * 20_000 / 1_000_000_000;
        assert!(end.read_bytes <= most, "{} of {most} bytes", end.read_bytes);
    });
}

#[test]
fn a_slow_reader_of_messages_leaves_the_rest_unread() {
    run(async {
        let p = small_buffer(Behaviour::SlowReadMessages { rate: 50.0 });
        let (mut world, client, mut peer) = beside_a_healthy_one(p).await;
        assert!(peer.ping(b"slowly", LONG).await);
        // Small messages, so that many of them come with one read.
        for _ in 0..1_000 {
            peer.text("tiny").await;
        }
        received(&world, 5).await;
        client.kill();
        let end = world.end().await;
        let open_ns = end.ended_ns - end.opened_ns.unwrap();
        let most = open_ns * 50 / 1_000_000_000;
        assert!((5..=most).contains(&end.received), "{} of {most} messages", end.received);
    });
}

#[test]
fn a_stalled_client_reads_nothing_and_sees_the_reset() {
    run(async {
        let p = small_buffer(Behaviour::Stall);
        let (mut world, _client, mut peer) = beside_a_healthy_one(p).await;
        // Nothing may come with the upgrade.
        sleep(SILENCE).await;
        assert!(!peer.ping(b"anybody?", SILENCE).await);
        let _ = timeout(SILENCE, flood(&mut peer)).await;
        assert_eq!(world.shard.counts.received.get(), 0);
        assert!(world.ends.try_recv().is_err(), "still there");
        peer.reset();
        let end = world.end().await;
        assert_eq!((end.observation, end.wish), (ClientObservation::Reset, Wish::Stay));
        assert_eq!((end.pings, end.received), (0, 0));
        assert_eq!(end.behaviour_since_ns, end.opened_ns);
    });
}

#[test]
fn a_stall_that_is_over_reads_and_answers_what_waited() {
    run(async {
        let stall = TimedBehaviour {
            behaviour: Behaviour::Stall,
            from: Duration::ZERO,
            until: Some(300 * MS),
        };
        let p = Population { behaviours: vec![stall], ..population(Subprotocol::Simple) };
        let (world, client, mut peer) = beside_a_healthy_one(p).await;
        peer.text("one").await;
        peer.text("two").await;
        assert!(peer.ping(b"waits", LONG).await);
        assert!(world.shard.epoch.elapsed() >= 300 * MS);
        assert_eq!(world.shard.counts.received.get(), 2);
        client.kill();
    });
}

#[test]
fn a_stalled_client_that_leaves_says_so_and_hears_nothing() {
    run(async {
        let p = behaving(Subprotocol::Simple, Behaviour::Stall);
        let (mut world, client, mut peer) = beside_a_healthy_one(p).await;
        client.leave();
        assert_eq!(peer.next().await, Frame::Close(Some(1000)));
        peer.close(Some(1000), "").await;
        assert_eq!(peer.next().await, Frame::Reset);
        let end = world.end().await;
        assert_eq!((end.observation, end.wish), (ClientObservation::NoCloseAnswer, Wish::Leave));
    });
}

#[test]
fn a_client_vanishes_by_reset_or_by_end_of_stream() {
    run(async {
        for (how, seen) in [(Vanish::Reset, Frame::Reset), (Vanish::Fin, Frame::End)] {
            let p = behaving(Subprotocol::Simple, Behaviour::Vanish { how });
            let (mut world, _client, mut peer) = beside_a_healthy_one(p).await;
            assert_eq!(peer.next().await, seen);
            let end = world.end().await;
            assert_eq!((end.observation, end.wish), (ClientObservation::Vanished, Wish::Vanish));
            assert_eq!(end.behaviour_since_ns, end.opened_ns);
        }
    });
}

#[test]
fn a_black_hole_swallows_both_directions_and_tells_nobody() {
    run(async {
        let how = Vanish::BlackHole;
        let p = behaving(Subprotocol::Simple, Behaviour::Vanish { how });
        let (mut world, client, mut peer) = beside_a_healthy_one(p).await;
        assert!(!peer.ping(b"anybody?", SILENCE).await);
        assert!(world.ends.try_recv().is_err(), "the client does not know");
        client.publish(0, Instant::now());
        assert_eq!(*world.shard.counts.not_sent.borrow(), [1]);
        client.leave();
        let end = world.end().await;
        assert_eq!((end.observation, end.wish), (ClientObservation::Unaware, Wish::Vanish));
        assert_eq!((end.pings, end.behaviour_since_ns), (0, end.opened_ns));
    });
}

#[test]
fn a_client_behind_a_relay_closes_in_order_while_all_is_well() {
    run(async {
        let behaviour = Behaviour::Vanish { how: Vanish::BlackHole };
        let mut p = population(Subprotocol::Json);
        p.behaviours = vec![TimedBehaviour { behaviour, from: 10 * LONG, until: None }];
        let mut world = World::new(plan(p)).await;
        let (client, task) = world.start(0);
        let mut peer = world.welcome().await;
        assert!(peer.ping(b"through the relay", LONG).await);
        client.leave();
        assert_eq!(peer.next().await, Frame::Close(Some(1000)));
        peer.close(Some(1000), "").await;
        assert_eq!(peer.next().await, Frame::End);
        drop(peer);
        task.await.unwrap();
        let end = world.end().await;
        assert!(matches!(end.observation, ClientObservation::CloseFrame { code: Some(1000), .. }));
        assert_eq!(end.behaviour_since_ns, None);
        world.assert_clean();
    });
}

#[test]
fn behaviours_combine() {
    run(async {
        let mut p = behaving(Subprotocol::Json, Behaviour::SuppressPong);
        let behaviour = Behaviour::AppPing { every: 50 * MS };
        p.behaviours.push(TimedBehaviour { behaviour, from: Duration::ZERO, until: None });
        let (_world, client, mut peer) = beside_a_healthy_one(p).await;
        peer.send(Opcode::Ping, b"anybody?").await;
        for _ in 0..2 {
            assert_eq!(peer.next().await, Frame::Text(r#"{"type":"ping"}"#.into()));
        }
        client.kill();
    });
}
