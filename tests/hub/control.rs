//! The control API and the streams behind it.

use std::time::Duration;

use serde_json::Value;
use squall::hub::{ControlApi, Notice};
use squall::net::http::HttpRequest;
use squall::protocol::HubSettings;
use squall::protocol::control::{
    CAPABILITIES_PATH, CONTROL_VERSION, COUNTERS_PATH, Capabilities, LEDGER_PATH, StartTimeline,
    TIMELINE_PATH, TRACE_PATH, TimelineStarted,
};
use squall::protocol::settings::Tier;

use crate::kit::{SHORT, TestHub, generous, soon, with_hub, with_options};

#[test]
fn capabilities_tell_version_settings_and_backlog() {
    with_hub(generous(), async |hub| {
        let answer = hub.call("GET", CAPABILITIES_PATH, "", b"").await;
        let capabilities: Capabilities = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(capabilities.version, CONTROL_VERSION);
        assert_eq!(capabilities.settings, generous());
        assert!(capabilities.listen_backlog > 0);
        assert!(capabilities.now_ns <= hub.clock.now_ns());
    });
}

#[test]
fn without_a_token_or_when_switched_off_there_is_no_such_path() {
    let ask = async |hub: &TestHub| {
        let request = HttpRequest {
            method: http::Method::GET,
            path_and_query: COUNTERS_PATH.to_owned(),
            headers: vec![],
            body: bytes::Bytes::new(),
        };
        hub.call_as(request).await.status.as_u16()
    };
    with_hub(generous(), async |hub| {
        assert_eq!(ask(hub).await, 404);
        assert_eq!(hub.status("GET", COUNTERS_PATH).await, 200);
        assert_eq!(hub.status("GET", "/_squall/nothing").await, 404);
        assert_eq!(hub.status("DELETE", COUNTERS_PATH).await, 404);
    });
    with_options(generous(), ControlApi::Off, async |hub| {
        assert_eq!(hub.status("GET", COUNTERS_PATH).await, 404);
    });
}

#[test]
fn a_timeline_starts_everything_at_nothing_once_nobody_is_there() {
    with_hub(generous(), async |hub| {
        let settings = HubSettings::ci();
        let start = StartTimeline { run: "r".into(), settings, watched: None, upstream: None };
        let mut ledger = hub.lines(LEDGER_PATH).await;
        let (first, _) = hub.member("first", "room").await;
        assert_eq!(hub.post(TIMELINE_PATH, &start).await, 409);
        first.leave().await;
        assert!(soon(ledger.next()).await.unwrap().unwrap().starts_with(b"{"));
        hub.refused("/client/hubs/chat").await;

        let body = serde_json::to_vec(&start).unwrap();
        let answer = hub.call("POST", TIMELINE_PATH, "application/json", &body).await;
        let started: TimelineStarted = serde_json::from_slice(&answer.body).unwrap();
        assert!(started.now_ns <= hub.clock.now_ns());
        let counters = hub.counters().await;
        assert_eq!(counters, squall::protocol::control::Counters::default());
        let answer = hub.call("GET", CAPABILITIES_PATH, "", b"").await;
        let capabilities: Capabilities = serde_json::from_slice(&answer.body).unwrap();
        assert_eq!(capabilities.settings, HubSettings::ci());

        let (second, _) = hub.json("second").await;
        second.leave().await;
        let end = &hub.ends(1).await[0];
        assert_eq!(end.attempt.as_ref().unwrap().population, "second");
        assert!(end.opened_ns >= started.now_ns);

        let mut broken = start.clone();
        broken.settings.keep_alive.interval = Duration::ZERO;
        assert_eq!(hub.post(TIMELINE_PATH, &broken).await, 400);
        assert_eq!(hub.post(TIMELINE_PATH, &1).await, 400);
    });
}

/// Starts a run with these settings.
async fn start(hub: &TestHub, run: &str, settings: &HubSettings) {
    let start = StartTimeline {
        run: run.into(),
        settings: settings.clone(),
        watched: None,
        upstream: None,
    };
    assert_eq!(hub.post(TIMELINE_PATH, &start).await, 200);
}

fn began(run: &str) -> Notice {
    Notice::RunBegan { run: run.into(), event_handlers: 0 }
}

fn over(run: &str) -> Notice {
    Notice::RunOver { run: run.into() }
}

fn free() -> HubSettings {
    HubSettings { tier: Tier::Free, ..generous() }
}

#[test]
fn a_run_s_settings_go_with_its_reader() {
    with_hub(free(), async |hub| {
        start(hub, "first", &HubSettings::ci()).await;
        let ledger = hub.lines(LEDGER_PATH).await;
        let (client, _) = hub.json("one").await;
        client.leave().await;
        hub.ends(1).await;
        assert_eq!(hub.settings().await, HubSettings::ci(), "it is still read");
        assert_eq!(hub.told(), [began("first")]);
        drop(ledger);
        hub.settings_become(&free()).await;
        assert_eq!(hub.told(), [over("first")]);

        let mut clients = Vec::new();
        for index in 0..20 {
            clients.push(hub.json(&format!("user{index}")).await.0);
        }
        let path = hub.client_path(&hub.claims("one-too-many"), "");
        assert_eq!(hub.refused(&path).await.0, 429);
        for client in clients {
            client.leave().await;
        }
    });
}

#[test]
fn a_run_that_left_connections_behind_is_over_with_the_last_of_them() {
    with_hub(free(), async |hub| {
        start(hub, "first", &HubSettings::real()).await;
        let ledger = hub.lines(LEDGER_PATH).await;
        let (client, _) = hub.json("one").await;
        drop(ledger);
        tokio::time::sleep(SHORT).await;
        assert_eq!(hub.settings().await, HubSettings::real());
        client.leave().await;
        hub.settings_become(&free()).await;
        assert_eq!(hub.told(), [began("first"), over("first")]);
    });
}

#[test]
fn a_run_that_nobody_reads_is_over_soon_whoever_is_connected() {
    with_hub(free(), async |hub| {
        start(hub, "unread", &HubSettings::real()).await;
        let (client, _) = hub.json("one").await;
        hub.settings_become(&free()).await;
        assert_eq!(hub.told(), [began("unread"), over("unread")]);
        client.leave().await;
    });
}

#[test]
fn the_next_run_takes_over_and_an_earlier_reader_does_not_end_it() {
    with_hub(free(), async |hub| {
        start(hub, "first", &HubSettings::ci()).await;
        let first = hub.lines(LEDGER_PATH).await;
        start(hub, "second", &HubSettings::real()).await;
        let second = hub.lines(LEDGER_PATH).await;
        drop(first);
        tokio::time::sleep(SHORT).await;
        assert_eq!(hub.settings().await, HubSettings::real());
        drop(second);
        hub.settings_become(&free()).await;
        assert_eq!(hub.told(), [began("first"), began("second"), over("second")]);
    });
}

#[test]
fn the_trace_has_a_record_for_every_start_end_and_refusal() {
    with_hub(generous(), async |hub| {
        let mut trace = hub.lines(TRACE_PATH).await;
        let (client, id) = hub.json("alice").await;
        hub.refused("/client/hubs/chat?squall=p.1.0").await;
        client.leave().await;
        let mut next = async || {
            let line = soon(trace.next()).await.unwrap().unwrap();
            serde_json::from_slice::<Value>(&line).unwrap()
        };
        let started = next().await;
        assert_eq!(started["operationName"], "ConnectionStarted");
        assert_eq!(started["category"], "ConnectivityLogs");
        assert_eq!(started["callerIpAddress"], "127.0.0.1");
        assert_eq!(started["properties"]["connectionId"], id.as_str());
        assert_eq!(started["properties"]["message"], "Connection started");
        assert_eq!(started["properties"]["squallAttempt"], "alice.0.0");
        let refused = next().await;
        assert_eq!(refused["operationName"], "ConnectionAborted");
        assert_eq!(refused["properties"]["collection"], "Authorization");
        let ended = next().await;
        assert_eq!(ended["operationName"], "ConnectionEnded");
        assert_eq!(ended["properties"]["message"], "Connection ended. Reason: ");
        assert_eq!(ended["properties"]["closeCategory"], "Normal");
        assert_eq!(ended["properties"]["hub"], "chat");
    });
}

#[test]
fn streams_outlive_the_time_of_a_handshake() {
    let mut settings = generous();
    settings.limits.handshake = Duration::from_millis(800);
    with_hub(settings, async |hub| {
        let mut ledger = hub.lines(LEDGER_PATH).await;
        tokio::time::sleep(Duration::from_millis(1_200)).await;
        let (client, _) = hub.json("alice").await;
        client.leave().await;
        assert!(soon(ledger.next()).await.unwrap().is_some());
    });
}
