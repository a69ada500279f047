//! Clients that send, and what their receivers make of it.

use std::collections::BTreeMap;
use std::rc::Rc;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::kit::*;
use crate::client::VirtualClient;
use crate::client::publish::ON_ITS_WAY;
use crate::measure::delivery::{Decision, up_to_the_decision};
use crate::measure::{LatencyKind, Stage};
use crate::protocol::Subprotocol;
use crate::protocol::stamp::Stamp;
use crate::protocol::subprotocol::{
    AckError, AckErrorName, AckFailure, ClientFrame, MessageFrom, Payload, ServerFrame,
};
use crate::protocol::webhook::EventName;
use crate::scenario::Plan;
use crate::scenario::plan::{Destination, Fault, FaultAt, Reply, Senders, Traffic};

/// Client 0 of `p` sends to `room`.
pub fn with_traffic(acknowledged: bool, in_flight: Option<u32>) -> Plan {
    let traffic = Traffic {
        name: "chatter".into(),
        from: Senders::Clients { population: 0, first: 0, count: 1 },
        to: Destination::Group(0),
        rate: 10.0,
        size: 64,
        start: std::time::Duration::ZERO,
        until: None,
        acknowledged,
        in_flight,
        no_echo: false,
        stream_base: 0,
    };
    Plan { traffic: vec![traffic], streams: 1, ..plan(population(Subprotocol::Json)) }
}

/// A world with an open, joined client.
async fn joined(plan: Plan, index: u32) -> (World, Rc<VirtualClient>, JoinHandle<()>, Peer) {
    let world = World::new(plan).await;
    let (client, task) = world.start(index);
    let mut peer = world.welcome().await;
    assert!(peer.ping(b"healthy", LONG).await);
    (world, client, task, peer)
}

/// Reads a publish and gives its acknowledgement id and its stamp.
async fn published(peer: &mut Peer) -> (Option<u64>, Stamp) {
    let Frame::Text(text) = peer.next().await else { panic!("a text frame") };
    let frame = ClientFrame::parse(&text).unwrap();
    let ClientFrame::SendToGroup { group, ack_id, payload, no_echo } = frame else {
        panic!("a publish: {text}");
    };
    assert_eq!((group.as_str(), no_echo), ("room", false));
    let Payload::Text(data) = payload else { panic!("a text") };
    assert_eq!(data.len(), 64);
    (ack_id, Stamp::read(data.as_bytes()).unwrap())
}

async fn ack(peer: &mut Peer, ack_id: u64) {
    peer.text(&ServerFrame::Ack { ack_id, result: Ok(()) }.print()).await;
}

async fn deliver(peer: &mut Peer, stamp: Stamp) {
    let mut data = Vec::new();
    stamp.write(64, &mut data);
    let from = MessageFrom::Group { group: "room".into(), from_user_id: None };
    let payload = Payload::Text(String::from_utf8(data).unwrap());
    peer.text(&ServerFrame::Message { from, payload }.print()).await;
}

#[test]
fn a_publish_is_stamped_acknowledged_and_timed() {
    run(async {
        let (mut world, client, task, mut peer) = joined(with_traffic(true, None), 0).await;
        sleep(30 * MS).await;
        let planned = Instant::now() - 20 * MS;
        client.publish(0, planned);
        assert_eq!(world.shard.counts.unacknowledged.get(), 1);
        let (ack_id, stamp) = published(&mut peer).await;
        assert_eq!((ack_id, stamp.stream, stamp.sequence), (Some(2), 0, 1));
        assert!(stamp.sent_ns - stamp.planned_ns >= 20_000_000);
        deliver(&mut peer, stamp).await;
        ack(&mut peer, 2).await;
        client.publish(0, Instant::now());
        let (ack_id, stamp) = published(&mut peer).await;
        assert_eq!((ack_id, stamp.sequence), (Some(3), 2));
        deliver(&mut peer, stamp).await;
        ack(&mut peer, 3).await;
        client.leave();
        assert_eq!(peer.next().await, Frame::Close(Some(1000)));
        peer.close(Some(1000), "").await;
        task.await.unwrap();
        let end = world.end().await;
        assert_eq!((end.sent, end.received), (2, 2));
        assert_eq!((end.delivery.expected, end.delivery.received, end.delivery.lost), (2, 2, 0));
        for kind in [LatencyKind::Acknowledgement, LatencyKind::Message, LatencyKind::SendLag] {
            assert_eq!(world.recorded(kind), 2, "{kind:?}");
        }
        let latency = world.shard.latency.borrow();
        let acks = latency.sum(LatencyKind::Acknowledgement, |_| true).unwrap();
        assert!(acks.response.max() >= acks.service.max() + 19_000, "response from the plan");
        drop(latency);
        assert_eq!(world.shard.counts.published.get(), 2);
        world.assert_clean();
    });
}

#[test]
fn what_the_hub_acknowledged_and_never_delivered_is_lost() {
    run(async {
        let (mut world, client, _task, mut peer) = joined(with_traffic(true, None), 0).await;
        for _ in 0..3 {
            client.publish(0, Instant::now());
            let (ack_id, stamp) = published(&mut peer).await;
            if stamp.sequence != 2 {
                deliver(&mut peer, stamp).await;
            }
            ack(&mut peer, ack_id.unwrap()).await;
        }
        drop(peer);
        let end = world.end().await;
        let tally = end.delivery;
        assert_eq!((tally.expected, tally.received, tally.lost), (3, 2, 1));
        assert_eq!(end.tails, [], "it is lost between others");
    });
}

#[test]
fn in_flight_holds_messages_back_and_keeps_their_planned_instants() {
    run(async {
        let (mut world, client, _task, mut peer) = joined(with_traffic(true, Some(1)), 0).await;
        let planned = Instant::now();
        for _ in 0..3 {
            client.publish(0, planned);
        }
        assert_eq!((world.shard.counts.waiting.get(), world.shard.counts.published.get()), (2, 1));
        let (ack_id, _) = published(&mut peer).await;
        sleep(30 * MS).await;
        ack(&mut peer, ack_id.unwrap()).await;
        let (ack_id, stamp) = published(&mut peer).await;
        assert_eq!(stamp.sequence, 2);
        assert!(stamp.sent_ns - stamp.planned_ns >= 30_000_000, "the wait is in the response");
        assert_eq!(world.shard.counts.waiting.get(), 1);
        // A failed acknowledgement frees its place too.
        let no = AckError { name: AckErrorName::Forbidden, message: "no".into() };
        peer.text(&ServerFrame::Ack { ack_id: ack_id.unwrap(), result: Err(no) }.print()).await;
        assert_eq!(published(&mut peer).await.1.sequence, 3);
        let failed = BTreeMap::from([(AckFailure::Forbidden, 1)]);
        assert_eq!(*world.shard.counts.acks_failed.borrow(), [failed]);
        // What is still out when the connection ends is owed no more; what waits is not sent.
        client.publish(0, planned);
        drop(peer);
        assert_eq!(world.end().await.sent, 3);
        assert_eq!(*world.shard.counts.not_sent.borrow(), [1]);
        assert_eq!(
            (world.shard.counts.waiting.get(), world.shard.counts.unacknowledged.get()),
            (0, 0)
        );
    });
}

#[test]
fn without_acknowledgement_the_hand_over_counts() {
    run(async {
        let (mut world, client, _task, mut peer) = joined(with_traffic(false, None), 0).await;
        client.publish(0, Instant::now());
        assert_eq!(published(&mut peer).await.0, None);
        assert_eq!(world.shard.counts.unacknowledged.get(), 0);
        drop(peer);
        // Never delivered back, though the hub took it.
        let end = world.end().await;
        assert_eq!((end.delivery.expected, end.delivery.lost), (1, 1));
        // Whether it took it before it decided the end of a receiver, is known some time later.
        let expected = |at_ns| {
            let (decision, book) = (Decision { at_ns, queued: 0 }, &world.shard.book);
            up_to_the_decision(end.delivery, &end.tails, end.received, book, decision).expected
        };
        let on_its_way = u64::try_from(ON_ITS_WAY.as_nanos()).unwrap();
        assert_eq!(expected(end.ended_ns), 0);
        assert_eq!(expected(end.ended_ns + 2 * on_its_way), 1);
    });
}

/// Client 0 of `p` sends events.
fn with_events(protocol: Subprotocol, event: &str, reply: Reply) -> Plan {
    let event = EventName::parse(event).unwrap();
    let mut plan = with_traffic(protocol == Subprotocol::Json, None);
    plan.traffic[0].to = Destination::Event { event, reply };
    Plan { populations: plan_of(protocol).populations, ..plan }
}

fn plan_of(protocol: Subprotocol) -> Plan {
    plan(population(protocol))
}

/// Answers an event as a handler that sends it back does.
async fn echo(peer: &mut Peer, data: &str) {
    let payload = Payload::Text(data.into());
    peer.text(&ServerFrame::Message { from: MessageFrom::Server, payload }.print()).await;
}

#[test]
fn json_clients_send_events_and_time_what_comes_back() {
    run(async {
        let plan = with_events(Subprotocol::Json, "chat", Reply::Echo);
        let (mut world, client, _task, mut peer) = joined(plan, 0).await;
        for sequence in 1..=3_u32 {
            client.publish(0, Instant::now() - 20 * MS);
            let Frame::Text(text) = peer.next().await else { panic!("a text frame") };
            let frame = ClientFrame::parse(&text).unwrap();
            let ClientFrame::Event { event, ack_id, payload: Payload::Text(data) } = frame else {
                panic!("an event of text: {text}");
            };
            assert_eq!((event.as_str(), ack_id), ("chat", Some(u64::from(sequence) + 1)));
            assert_eq!(Stamp::read(data.as_bytes()).unwrap().sequence, sequence);
            if sequence == 2 {
                // Its handler failed: nothing comes back.
                let no = AckError { name: AckErrorName::InternalServerError, message: "".into() };
                let ack = ServerFrame::Ack { ack_id: ack_id.unwrap(), result: Err(no) };
                peer.text(&ack.print()).await;
            } else {
                echo(&mut peer, &data).await;
                ack(&mut peer, ack_id.unwrap()).await;
            }
        }
        assert!(peer.ping(b"read", LONG).await);
        let failed = BTreeMap::from([(AckFailure::InternalServerError, 1)]);
        assert_eq!(*world.shard.counts.acks_failed.borrow(), [failed]);
        drop(peer);
        let end = world.end().await;
        let replies = end.replies;
        assert_eq!((replies.expected, replies.received, replies.lost), (3, 2, 1));
        assert_eq!(end.delivery.expected, 0, "an event is no delivery");
        assert_eq!(
            (world.recorded(LatencyKind::Echo), world.recorded(LatencyKind::Message)),
            (2, 0)
        );
        let latency = world.shard.latency.borrow();
        let echo = latency.sum(LatencyKind::Echo, |_| true).unwrap();
        assert!(echo.response.min() >= echo.service.min() + 19_000, "response from the plan");
    });
}

#[test]
fn simple_clients_send_bare_frames_and_get_bare_frames() {
    run(async {
        let plan = with_events(Subprotocol::Simple, "message", Reply::Echo);
        let (mut world, client, _task, mut peer) = joined(plan, 0).await;
        for _ in 0..2 {
            client.publish(0, Instant::now());
            let Frame::Text(data) = peer.next().await else { panic!("a text frame") };
            assert_eq!(data.len(), 64);
            assert!(Stamp::read(data.as_bytes()).is_some(), "{data}");
            peer.text(&data).await;
            peer.text("said by the handler on its own").await;
        }
        client.leave();
        assert_eq!(peer.next().await, Frame::Close(Some(1000)));
        peer.close(Some(1000), "").await;
        let end = world.end().await;
        assert_eq!((end.sent, end.received, world.recorded(LatencyKind::Echo)), (2, 4, 2));
        assert_eq!((end.replies.expected, end.replies.received, end.replies.lost), (2, 2, 0));
    });
}

#[test]
fn of_events_with_any_answer_nothing_is_demanded() {
    run(async {
        let plan = with_events(Subprotocol::Simple, "message", Reply::Any);
        let (mut world, client, _task, mut peer) = joined(plan, 0).await;
        for answered in [true, false] {
            client.publish(0, Instant::now());
            let Frame::Text(data) = peer.next().await else { panic!("a text frame") };
            if answered {
                peer.text(&data).await;
            }
        }
        assert!(peer.ping(b"read", LONG).await);
        drop(peer);
        let end = world.end().await;
        assert_eq!((end.replies.expected, end.replies.received), (0, 0));
        assert_eq!((end.received, world.recorded(LatencyKind::Echo)), (1, 1));
    });
}

#[test]
fn a_client_that_is_not_connected_or_not_a_sender_sends_nothing() {
    run(async {
        let (world, client, _task, peer) = joined(with_traffic(true, None), 1).await;
        client.publish(0, Instant::now());
        client.publish(7, Instant::now());
        assert_eq!(*world.shard.counts.not_sent.borrow(), [2]);
        client.kill();
        drop(peer);
        let waiting = VirtualClient::new(world.shard.clone(), 0, 0);
        waiting.publish(0, Instant::now());
        assert_eq!(*world.shard.counts.not_sent.borrow(), [3]);
        assert_eq!(world.shard.counts.published.get(), 0);
    });
}

#[test]
fn a_full_outbox_refuses_and_what_it_holds_leaves_in_order() {
    run(async {
        let mut plan = with_traffic(false, None);
        plan.traffic[0].size = 64 * 1024;
        let (mut world, client, _task, mut peer) = joined(plan, 0).await;
        // The hub does not read: socket buffers and then the outbox fill up.
        while world.shard.counts.not_sent.borrow().is_empty() {
            client.publish(0, Instant::now());
        }
        let sent = world.shard.counts.published.get();
        assert!(sent > 16, "an outbox of 1 MiB holds more: {sent}");
        for sequence in 1..=sent {
            let Frame::Text(text) = peer.next().await else { panic!("a text frame") };
            let at = text.find("sq").unwrap();
            let stamp = Stamp::read(&text.as_bytes()[at..]).unwrap();
            assert_eq!(u64::from(stamp.sequence), sequence);
        }
        assert!(peer.ping(b"all out", LONG).await);
        client.kill();
        // Handed over is as good as acknowledged, where nobody asks; none of it came back.
        assert_eq!(world.end().await.delivery.expected, sent);
    });
}

#[test]
fn what_is_acknowledged_after_the_close_frame_is_not_demanded() {
    run(async {
        let (mut world, client, _task, mut peer) = joined(with_traffic(true, None), 0).await;
        client.publish(0, Instant::now());
        let (ack_id, stamp) = published(&mut peer).await;
        deliver(&mut peer, stamp).await;
        ack(&mut peer, ack_id.unwrap()).await;
        client.publish(0, Instant::now());
        let (ack_id, _) = published(&mut peer).await;
        client.leave();
        assert_eq!(peer.next().await, Frame::Close(Some(1000)));
        ack(&mut peer, ack_id.unwrap()).await;
        peer.close(Some(1000), "").await;
        let end = world.end().await;
        assert_eq!((end.delivery.expected, end.delivery.lost), (1, 0));
        assert_eq!(world.recorded(LatencyKind::Acknowledgement), 2, "it is still read");
    });
}

#[test]
fn its_own_messages_are_not_expected_where_the_hub_does_not_echo() {
    run(async {
        let mut plan = with_traffic(true, None);
        plan.traffic[0].no_echo = true;
        let world = World::new(plan).await;
        let streams = |index| VirtualClient::new(world.shard.clone(), 0, index).me.streams_to(0);
        assert!(streams(0).is_empty());
        assert_eq!(streams(1), [0]);
    });
}

#[test]
fn latencies_split_at_the_first_trouble() {
    run(async {
        for (at, stage) in [(MS / 1_000, Stage::After), (10 * LONG, Stage::Before)] {
            let mut plan = with_traffic(true, None);
            plan.faults = vec![FaultAt { at, fault: Fault::Freeze { lasting: MS } }];
            let (world, client, _task, _peer) = joined(plan, 0).await;
            let latency = world.shard.latency.borrow();
            assert!(latency.iter().all(|(key, _)| key.stage == stage && key.population == Some(0)));
            assert!(latency.sum(LatencyKind::Connect, |_| true).is_some());
            client.kill();
        }
    });
}

/// A live client of 3 KiB is the target for idle JSON clients; this is the part that is ours.
#[test]
fn an_idle_client_is_small() {
    assert!(size_of::<VirtualClient>() <= 256, "{}", size_of::<VirtualClient>());
    let session = size_of::<crate::client::session::Session>();
    assert!(session <= 640, "{session}");
    run(async {
        let world = World::new(plan(population(Subprotocol::Json))).await;
        let client = VirtualClient::new(world.shard.clone(), 0, 0);
        let task = size_of_val(&Rc::clone(&client).run(Instant::now()));
        assert!(task <= 640, "{task}");
    });
}
