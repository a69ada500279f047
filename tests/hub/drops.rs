//! Isolation: each test shrinks one limit, and exactly that one ends somebody.

use std::collections::BTreeMap;
use std::time::Duration;

use squall::protocol::control::{FAULT_PATH, HubEnd, HubFault, HubWire};
use squall::protocol::settings::{
    HubLimits, KeepAlive, LifeSign, OverLimit, QueueLimit, SocketBuffers, Tier, WireForm,
};
use squall::protocol::{CloseCategory, HubSettings};
use squall::ws::Opcode;
use squall::ws::frame::client_frame;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::kit::{SHORT, Seen, TestHub, assert_nothing_left, generous, soon, with_hub};

const KEEP_ALIVE: KeepAlive = KeepAlive {
    interval: Duration::from_millis(200),
    timeout: Duration::from_millis(500),
    life: LifeSign::Pong,
};

/// Buffers with which a client that does not read is full after a few KiB.
const SMALL: SocketBuffers = SocketBuffers { send: None, receive: Some(4096) };

fn categories(ends: &[HubEnd]) -> BTreeMap<String, CloseCategory> {
    ends.iter()
        .map(|end| (end.attempt.as_ref().unwrap().population.clone(), end.category))
        .collect()
}

#[test]
fn who_answers_no_ping_is_dropped_within_a_timeout_and_an_interval() {
    with_hub(HubSettings { keep_alive: KEEP_ALIVE, ..generous() }, async |hub| {
        let (mut healthy, _) = hub.member("healthy", "room").await;
        let mut muted = hub.raw_member("muted", "room", SocketBuffers::default()).await;
        // It reads, and it even sends: but only a pong is life here.
        let talk = async {
            muted.send(Opcode::Text, br#"{"type":"ping"}"#).await;
            muted.watch(Duration::from_secs(5)).await
        };
        let (seen, ()) = tokio::join!(talk, healthy.hears_nothing(Duration::from_secs(2)));
        assert_eq!(seen.last(), Some(&Seen::Reset), "{seen:?}");
        let pings = seen.iter().filter(|seen| **seen == Seen::Ping(vec![])).count();
        // At 200 and 400 ms (a busy machine may skip one); at 600 ms it is dropped.
        assert!((1..=2).contains(&pings), "{seen:?}");

        let ends = hub.ends(1).await;
        assert_eq!(ends[0].category, CloseCategory::PingTimeout);
        assert_eq!((&ends[0].wire, ends[0].last_pong_ns), (&HubWire::HubAbort, None));
        assert_eq!(ends[0].last_life_ns, ends[0].opened_ns);
        assert!(ends[0].decided_ns - ends[0].last_life_ns > 500_000_000);
        healthy.leave().await;
        let counters = hub.counters().await;
        assert_eq!(counters.connection_close_count.len(), 2);
    });
}

#[test]
fn any_frame_is_life_when_the_settings_say_so() {
    let keep_alive = KeepAlive { life: LifeSign::AnyFrame, ..KEEP_ALIVE };
    with_hub(HubSettings { keep_alive, ..generous() }, async |hub| {
        let mut talker = hub.raw_member("talker", "room", SocketBuffers::default()).await;
        for _ in 0..10 {
            talker.send(Opcode::Text, br#"{"type":"ping"}"#).await;
            let seen = talker.watch(SHORT).await;
            assert!(!seen.contains(&Seen::Reset), "{seen:?}");
        }
        // Then it falls silent.
        let seen = talker.watch(Duration::from_secs(5)).await;
        assert_eq!(seen.last(), Some(&Seen::Reset));
        let ends = hub.ends(1).await;
        assert_eq!(ends[0].category, CloseCategory::PingTimeout);
        assert!(ends[0].last_life_ns > ends[0].opened_ns + 1_000_000_000);
    });
}

/// Publishes until the hub has ended somebody.
async fn flood(hub: &TestHub, size: usize) {
    let (mut sender, _) = hub.json("sender").await;
    let data = "x".repeat(size);
    let mut sent = 0;
    while hub.counters().await.connection_close_count.is_empty() {
        for _ in 0..20 {
            sent += 1;
            let frame = format!(
                r#"{{"type":"sendToGroup","group":"room","ackId":{sent},"dataType":"text","data":"{data}"}}"#
            );
            sender.say(&frame).await;
            assert_eq!(sender.json().await["success"], true, "a slow member delays nobody");
        }
        assert!(sent < 20_000, "nobody was ended");
    }
    sender.leave().await;
}

fn slow(queue: QueueLimit) -> HubSettings {
    let buffers = SocketBuffers { send: Some(4096), receive: None };
    HubSettings { queue, buffers, ..generous() }
}

#[test]
fn too_many_bytes_waiting_is_a_slow_client_and_the_bystander_gets_everything() {
    let limit = 64 * 1024;
    with_hub(slow(QueueLimit { bytes: limit, messages: 1_000_000 }), async |hub| {
        let mut stalled = hub.raw_member("stalled", "room", SMALL).await;
        let (mut bystander, _) = hub.member("bystander", "room").await;
        let counted = tokio::task::spawn_local(async move {
            let mut count = 0_u64;
            while bystander.json().await["data"] != "last" {
                count += 1;
            }
            bystander.leave().await;
            count
        });
        flood(hub, 2048).await;
        let (mut sender, _) = hub.json("closer").await;
        sender
            .say(r#"{"type":"sendToGroup","group":"room","dataType":"text","data":"last"}"#)
            .await;
        let received = soon(counted).await.unwrap();
        sender.leave().await;

        let ends = hub.ends(4).await;
        assert_eq!(categories(&ends)["stalled"], CloseCategory::SlowClient);
        let dropped = ends.iter().filter(|end| end.category.is_drop()).count();
        assert_eq!(dropped, 1, "{ends:?}");
        let end = ends.iter().find(|end| end.category.is_drop()).unwrap();
        let frame = 2048 + 200;
        assert!(end.queue_bytes > limit && end.queue_bytes <= limit + frame, "{end:?}");
        assert_eq!(end.wire, HubWire::HubAbort);
        assert!(end.delivered > end.queue_messages && end.written_bytes > 0, "{end:?}");
        let counters = hub.counters().await;
        assert_eq!(received + 1 + end.delivered, counters.deliveries);
        let seen = stalled.watch(Duration::from_secs(5)).await;
        assert_eq!(seen.last(), Some(&Seen::Reset), "seen without having read");
    });
}

#[test]
fn a_burst_that_the_hub_handles_late_makes_nobody_a_slow_client() {
    let queue = QueueLimit { bytes: 16 * 1024, messages: 1_000_000 };
    with_hub(HubSettings { queue, ..generous() }, async |hub| {
        let (mut bystander, _) = hub.member("bystander", "room").await;
        let mut sender = hub.raw_member("sender", "elsewhere", SocketBuffers::default()).await;
        sender.next().await;
        let lasting = Duration::from_millis(300);
        assert_eq!(hub.post(FAULT_PATH, &HubFault::Freeze { lasting }).await, 204);
        // All of it is in the hub's socket when the freeze ends, many times the queue's limit.
        let data = "x".repeat(2048);
        let frame = format!(
            r#"{{"type":"sendToGroup","group":"room","noEcho":true,"dataType":"text","data":"{data}"}}"#
        );
        let mut burst = Vec::new();
        for _ in 0..100 {
            client_frame(Opcode::Text, frame.as_bytes(), [0; 4], &mut burst);
        }
        sender.send_bytes(&burst).await;
        for _ in 0..100 {
            assert_eq!(bystander.json().await["data"], data);
        }
        bystander.leave().await;
        assert_eq!(hub.ends(1).await[0].category, CloseCategory::Normal);
    });
}

#[test]
fn too_many_messages_waiting_is_a_slow_client_too() {
    let limit = 30;
    with_hub(slow(QueueLimit { bytes: 1 << 30, messages: limit }), async |hub| {
        let _stalled = hub.raw_member("stalled", "room", SMALL).await;
        flood(hub, 2048).await;
        let ends = hub.ends(2).await;
        assert_eq!(categories(&ends)["stalled"], CloseCategory::SlowClient);
        let end = ends.iter().find(|end| end.category.is_drop()).unwrap();
        assert_eq!(end.queue_messages, limit + 1);
    });
}

#[test]
fn answers_that_nobody_reads_are_bounded_in_number() {
    with_hub(slow(QueueLimit { bytes: 1 << 30, messages: 1_000 }), async |hub| {
        let mut stalled = hub.raw_member("stalled", "room", SMALL).await;
        let mut burst = Vec::new();
        for _ in 0..30_000 {
            client_frame(Opcode::Text, br#"{"type":"ping"}"#, [0; 4], &mut burst);
        }
        stalled.send_bytes(&burst).await;
        let end = &hub.ends(1).await[0];
        assert_eq!(end.category, CloseCategory::SlowClient);
        assert_eq!((end.queue_messages, end.delivered), (0, 0));
    });
}

#[test]
fn a_close_frame_that_cannot_get_out_ends_in_a_reset() {
    let mut settings = slow(QueueLimit { bytes: 64 * 1024, messages: 1_000_000 });
    settings.drops.slow_client = WireForm::Close { code: 1008, reason: "queue".into() };
    settings.limits.close_linger = Duration::from_millis(100);
    with_hub(settings, async |hub| {
        let _stalled = hub.raw_member("stalled", "room", SMALL).await;
        flood(hub, 2048).await;
        let ends = hub.ends(2).await;
        let end = ends.iter().find(|end| end.category.is_drop()).unwrap();
        assert_eq!((end.category, &end.wire), (CloseCategory::SlowClient, &HubWire::HubAbort));
        assert!(end.gone_ns - end.decided_ns >= 100_000_000);
    });
}

#[test]
fn the_first_cause_wins_and_later_ones_are_notes() {
    let mut settings = slow(QueueLimit { bytes: 64 * 1024, messages: 1_000_000 });
    settings.drops.slow_client = WireForm::Close { code: 1008, reason: "queue".into() };
    settings.limits.close_linger = Duration::from_secs(60);
    with_hub(settings, async |hub| {
        let mut stalled = hub.raw_member("stalled", "room", SMALL).await;
        flood(hub, 2048).await;
        // The close frame still waits behind a full socket; now the client goes by itself.
        stalled.abort();
        let ends = hub.ends(2).await;
        let end = ends.iter().find(|end| end.category.is_drop()).unwrap();
        assert_eq!((end.category, &end.wire), (CloseCategory::SlowClient, &HubWire::ClientReset));
        assert_eq!(end.later, [CloseCategory::Normal]);
        let counters = hub.counters().await;
        assert_eq!(counters.connection_close_count[&CloseCategory::SlowClient], 1);
    });
}

fn free(over_limit: OverLimit) -> HubSettings {
    let mut settings = HubSettings { tier: Tier::Free, ..generous() };
    settings.drops.over_limit = over_limit;
    settings
}

#[test]
fn past_the_cap_connects_are_refused_until_a_place_is_free() {
    with_hub(free(OverLimit::Refuse), async |hub| {
        let mut clients = Vec::new();
        for _ in 0..20 {
            clients.push(hub.json("in").await.0);
        }
        let path = hub.client_path(&hub.claims("out"), "&squall=out.0.0");
        for _ in 0..2 {
            let refused = (429, "Connection count reaches limit.".to_owned());
            assert_eq!(hub.refused(&path).await, refused);
        }
        let refusal = &hub.refusals(2).await[0];
        assert_eq!(refusal.category, CloseCategory::ConnectionCountLimitReached);
        assert_eq!(refusal.log_reason, "Connection count reaches limit");
        assert_eq!(hub.counters().await.connection_quota_utilization, 100);

        // A place is free as soon as the hub has decided an end, here before the socket is gone.
        let (id, mut closing) = {
            let mut closing = clients.pop().unwrap();
            closing.say(r#"{"type":"joinGroup","group":"g","ackId":1}"#).await;
            closing.json().await;
            let answer = hub.call("GET", "/api/hubs/chat/groups/g/connections", "", b"").await;
            let page: serde_json::Value = serde_json::from_slice(&answer.body).unwrap();
            (page["value"][0]["connectionId"].as_str().unwrap().to_owned(), closing)
        };
        assert_eq!(hub.status("DELETE", &format!("/api/hubs/chat/connections/{id}")).await, 204);
        clients.push(hub.json("in").await.0);
        assert_eq!(hub.refused(&path).await.0, 429);
        closing.closed().await;

        // More units, more places.
        let scale = HubFault::Scale { tier: Tier::Standard, units: 1 };
        assert_eq!(hub.post(FAULT_PATH, &scale).await, 204);
        clients.push(hub.json("in").await.0);
        let counters = hub.counters().await;
        assert_eq!((counters.connection_count_peak, counters.total_connection_count), (21, 21));
        for client in clients {
            client.leave().await;
        }
    });
}

#[test]
fn past_the_cap_connects_can_be_accepted_and_aborted_instead() {
    with_hub(free(OverLimit::AcceptThenAbort), async |hub| {
        let mut clients = Vec::new();
        for _ in 0..20 {
            clients.push(hub.json("in").await.0);
        }
        let mut out = hub.raw_member("out", "room", SocketBuffers::default()).await;
        assert_eq!(out.next().await, Seen::Reset);
        let end = &hub.ends(1).await[0];
        assert_eq!(end.category, CloseCategory::ConnectionCountLimitReached);
        assert_eq!(end.wire, HubWire::HubAbort);
        let counters = hub.counters().await;
        assert_eq!((counters.total_connection_count, counters.groups), (20, 0));
        for client in clients {
            client.leave().await;
        }
    });
}

async fn ends_within(mut stream: TcpStream, lasting: Duration) -> Vec<u8> {
    let mut answer = Vec::new();
    let read = tokio::time::timeout(lasting, stream.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "the hub closes it");
    answer
}

#[test]
fn slow_handshakes_are_cut_off_from_the_first_byte() {
    let limits = HubLimits { handshake: Duration::from_millis(800), ..generous().limits };
    with_hub(HubSettings { limits, ..generous() }, async |hub| {
        let silent = TcpStream::connect(hub.address).await.unwrap();
        let mut dripping = TcpStream::connect(hub.address).await.unwrap();
        let drip = async {
            for byte in b"GET /client/hubs/chat HTTP/1.1\r\nHost: x\r\n".iter().cycle() {
                if dripping.write_all(&[*byte]).await.is_err() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let ((), answer) =
            soon(async { tokio::join!(drip, ends_within(silent, Duration::from_secs(5))) }).await;
        assert!(answer.is_empty());
        assert_eq!(hub.counters().await.tasks, 0);
    });
}

#[test]
fn headers_past_the_limit_are_answered_431() {
    let limits = HubLimits { header_bytes: 8192, ..generous().limits };
    with_hub(HubSettings { limits, ..generous() }, async |hub| {
        let mut stream = TcpStream::connect(hub.address).await.unwrap();
        let head = format!("GET /client/hubs/chat HTTP/1.1\r\nX: {}\r\n", "x".repeat(9000));
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut start = [0; 12];
        soon(stream.read_exact(&mut start)).await.unwrap();
        assert_eq!(&start, b"HTTP/1.1 431");

        let mut stream = TcpStream::connect(hub.address).await.unwrap();
        let many: String = (0..200).map(|index| format!("x-{index}: y\r\n")).collect();
        let head = format!("GET / HTTP/1.1\r\n{many}\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        soon(stream.read_exact(&mut start)).await.unwrap();
        assert_eq!(&start, b"HTTP/1.1 431");
    });
}

#[test]
fn a_reload_drops_its_share_from_the_front_at_once_or_drained() {
    with_hub(generous(), async |hub| {
        let mut clients = Vec::new();
        for index in 0..4 {
            clients.push(hub.json(&format!("c{index}")).await.0);
        }
        let fault = HubFault::Reload { share: 0.5, over: Duration::ZERO };
        assert_eq!(hub.post(FAULT_PATH, &fault).await, 204);
        for client in &mut clients[..2] {
            assert_eq!(client.closed().await, (Some((1001, String::new())), vec![]));
        }
        let fault = HubFault::Reload { share: 1.0, over: Duration::from_millis(400) };
        assert_eq!(hub.post(FAULT_PATH, &fault).await, 204);
        for client in &mut clients[2..] {
            client.closed().await;
        }
        let ends = hub.ends(4).await;
        assert!(ends.iter().all(|end| end.category == CloseCategory::ServiceReload));
        assert!(ends.iter().all(|end| end.later.is_empty()), "{ends:?}");
        assert!(ends[3].decided_ns - ends[2].decided_ns >= 150_000_000, "drained at a rate");
        for bad in [0.0, -1.0, 1.5] {
            let fault = HubFault::Reload { share: bad, over: Duration::ZERO };
            assert_eq!(hub.post(FAULT_PATH, &fault).await, 400);
        }
    });
}

#[test]
fn a_slow_reload_spares_whoever_has_gone_before_its_turn() {
    with_hub(generous(), async |hub| {
        let (first, _) = hub.json("first").await;
        let (second, _) = hub.json("second").await;
        let (mut third, _) = hub.json("third").await;
        let fault = HubFault::Reload { share: 1.0, over: Duration::from_millis(600) };
        assert_eq!(hub.post(FAULT_PATH, &fault).await, 204);
        second.leave().await;
        third.closed().await;
        drop(first);
        let ends = hub.ends(3).await;
        let count = |category| ends.iter().filter(|end| end.category == category).count();
        assert_eq!((count(CloseCategory::ServiceReload), count(CloseCategory::Normal)), (2, 1));
        // The hub's sums, which the end of this test looks at, know it the same way.
        let closed = hub.counters().await.connection_close_count;
        assert_eq!(closed.values().sum::<u64>(), 3, "{closed:?}");
    });
}

#[test]
fn wire_forms_are_settings() {
    let mut settings = generous();
    settings.drops.service_reload = WireForm::DisconnectedThenClose;
    with_hub(settings, async |hub| {
        let (mut json, _) = hub.json("json").await;
        let path = hub.client_path(&hub.claims("simple"), "&squall=simple.0.0");
        let mut simple = hub.connect(&path, None).await;
        let fault = HubFault::Reload { share: 1.0, over: Duration::ZERO };
        assert_eq!(hub.post(FAULT_PATH, &fault).await, 204);
        let frame =
            r#"{"type":"system","event":"disconnected","message":"Service reloading, reconnect"}"#;
        let closed = Some((1000, String::new()));
        assert_eq!(json.closed().await, (closed.clone(), vec![frame.to_owned()]));
        assert_eq!(simple.closed().await, (closed, vec![]));
        let wire = HubWire::HubClose { code: 1000, reason: String::new() };
        assert!(hub.ends(2).await.iter().all(|end| end.wire == wire));
    });
}

#[test]
fn a_frozen_hub_does_nothing_and_drops_nobody_afterwards() {
    let keep_alive = KeepAlive { interval: Duration::from_millis(100), ..KEEP_ALIVE };
    with_hub(HubSettings { keep_alive, ..generous() }, async |hub| {
        let (mut client, _) = hub.member("client", "room").await;
        client.hears_nothing(Duration::from_millis(300)).await;
        let lasting = Duration::from_millis(1_500);
        assert_eq!(hub.post(FAULT_PATH, &HubFault::Freeze { lasting }).await, 204);
        let frozen = tokio::time::Instant::now();
        client.say(r#"{"type":"ping"}"#).await;
        let pong = async {
            let pong = client.json().await;
            (pong, frozen.elapsed())
        };
        let rest = async {
            hub.counters().await;
            frozen.elapsed()
        };
        let open = async {
            let opened = hub.json("late").await.0;
            (opened, frozen.elapsed())
        };
        let ((pong, ponged), answered, (mut late, opened)) = tokio::join!(pong, rest, open);
        assert_eq!(pong["type"], "pong");
        let nearly = lasting - Duration::from_millis(200);
        assert!([ponged, answered, opened].iter().all(|waited| *waited >= nearly));
        tokio::join!(
            client.hears_nothing(Duration::from_secs(1)),
            late.hears_nothing(Duration::from_secs(1))
        );
        assert!(hub.counters().await.connection_close_count.is_empty());
        client.leave().await;
        late.leave().await;
    });
}

#[test]
fn a_frozen_hub_can_be_stopped() {
    with_hub(generous(), async |hub| {
        let (mut client, _) = hub.json("client").await;
        let lasting = Duration::from_secs(3600);
        assert_eq!(hub.post(FAULT_PATH, &HubFault::Freeze { lasting }).await, 204);
        client.hears_nothing(SHORT).await;
        hub.begin_stop();
        assert_eq!(client.closed().await.0, Some((1001, String::new())));
    });
}

#[test]
fn a_stopping_hub_says_goodbye_and_waits_for_nobody_for_ever() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let mut settings = generous();
        settings.limits.close_linger = Duration::from_secs(600);
        let mut hub = TestHub::start(settings, squall::hub::ControlApi::Loopback);
        let (mut polite, _) = hub.json("polite").await;
        // This one never answers the close frame, and holds a REST connection's peer open too.
        let mut rude = hub.raw_member("rude", "room", SocketBuffers::default()).await;
        rude.next().await;
        let mut ledger = hub.lines("/_squall/ledger").await;
        let stopping = hub.stop();
        let (counters, closed) = tokio::join!(stopping, polite.closed());
        assert_eq!(closed.0, Some((1001, String::new())));
        assert_nothing_left(&counters);
        assert_eq!(counters.connection_close_count[&CloseCategory::ServiceReload], 2);
        assert_eq!(rude.next().await, Seen::Close(Some(1001), String::new()));
        assert!(soon(ledger.next()).await.unwrap().is_some(), "the polite one's row came");
    });
}
