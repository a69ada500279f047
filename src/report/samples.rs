//! Finished runs for the golden tests of every format: one that passed, one with everything that
//! can go wrong in it. And rows of a ledger, for what is made before a run file.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;
use std::time::Duration;

use super::run_file::{
    BacklogAtClose, CallRecords, CloseWindow, ComputerFacts, End, FaultOutcome, GeneratorFacts,
    HubFacts, LatencySeries, Life, MachineFacts, MatrixCell, PopulationFacts, Quantiles, Range,
    RunFacts, RunFile, SCHEMA_VERSION, TargetFacts, TargetPlace, UpstreamAtClose, UpstreamEvent,
    UpstreamFacts, UpstreamLogLine, WindowStart,
};
use crate::event::{
    ClientEnd, ClientObservation, CloseFirst, DeliveryTally, Evidence, HowEnded, HubSide,
    LedgerRow, Warning, Wish, World,
};
use crate::measure::{LatencyKind, Stage};
use crate::protocol::control::{EventFailure, HubEnd, HubRefusal, HubWire};
use crate::protocol::subprotocol::AckFailure;
use crate::protocol::webhook::counts::RequestCounts;
use crate::protocol::webhook::{RequestKind, UpstreamCounts, WebhookFailure};
use crate::protocol::{AttemptId, CloseCategory};
use crate::scenario::{self, Plan};
use crate::verdict::comparison::Build;
use crate::verdict::{Check, CheckKind, Outcome};

fn check(kind: CheckKind, path: &str, outcome: Outcome, expected: &str, actual: &str) -> Check {
    Check { kind, path: path.into(), outcome, expected: expected.into(), actual: actual.into() }
}

fn own_close() -> ClientObservation {
    ClientObservation::CloseFrame {
        code: Some(1000),
        reason: String::new(),
        first: CloseFirst::Client,
    }
}

fn population(name: &str, behaviour: &str, ended: CloseCategory, count: u64) -> PopulationFacts {
    let delivered =
        DeliveryTally { expected: count * 7, received: count * 7, ..Default::default() };
    PopulationFacts {
        name: name.into(),
        clients: count,
        behaviour: behaviour.into(),
        attempts: count,
        opens: count,
        refusals: 0,
        dropped: if ended.is_drop() { count } else { 0 },
        recovered: 0,
        recovery_attempts: 0,
        categories: BTreeMap::from([(ended, count)]),
        delivery: delivered,
        published: 7,
        replies: DeliveryTally::default(),
        acks_failed: BTreeMap::new(),
        not_sent: 0,
    }
}

fn quantiles(count: u64, scale: u64) -> Quantiles {
    Quantiles {
        count,
        min_us: scale,
        mean_us: 2.5,
        p50_us: 2 * scale,
        p90_us: 4 * scale,
        p95_us: Some(6 * scale),
        p99_us: 9 * scale,
        p999_us: (count >= 1_000).then_some(20 * scale),
        max_us: 31 * scale,
    }
}

fn series(kind: LatencyKind, count: u64, response: u64, service: u64) -> LatencySeries {
    LatencySeries {
        kind,
        population: None,
        stage: None,
        response: Some(quantiles(count, response)),
        service: (kind != LatencyKind::SendLag).then(|| quantiles(count, service)),
    }
}

fn facts(scenario: &str, title: &str) -> RunFacts {
    RunFacts {
        scenario: scenario.into(),
        title: title.into(),
        seed: 7,
        plan_hash: "0123456789abcdef".into(),
        duration_ns: 12_000_000_000,
        world: World::Sockets,
        squall_version: "0.0.0".into(),
        started: "2026-01-02T03:04:05.678Z".into(),
        started_unix_ns: 1_767_323_045_678_000_000,
        target: TargetFacts {
            endpoint: "http://127.0.0.1:4567".into(),
            place: TargetPlace::Embedded,
            control: true,
        },
        hub: HubFacts {
            name: "sq".into(),
            tier: "standard".into(),
            units: 1,
            connection_cap: 1_000,
            ping_interval_ns: 1_000_000_000,
            ping_timeout_ns: 3_000_000_000,
            queue_bytes: 65_536,
            queue_messages: 1_000,
        },
        settings: BTreeMap::from([("hub.queue.bytes".into(), "64 KiB".into())]),
        digests: BTreeMap::new(),
    }
}

/// A handler that fails: four requests and nine seconds for each of twenty clients.
pub fn upstream() -> UpstreamFacts {
    let connect = RequestKind::parse("connect").unwrap();
    let (good, retried) = (1, quantiles(20, 4_500_000));
    let event = |name: &str, calls, taken, statuses: &[(u16, u64)], response| UpstreamEvent {
        event: name.into(),
        calls,
        taken,
        failures: (calls > taken)
            .then(|| (EventFailure::Status, calls - taken))
            .into_iter()
            .collect(),
        requests: statuses.iter().map(|(_, count)| count).sum(),
        retries: 60,
        requests_per_second_peak: 20,
        statuses: statuses.iter().copied().collect(),
        response,
        service: None,
    };
    let counts = RequestCounts {
        received: 80,
        answered: BTreeMap::from([(500, 80)]),
        in_flight_peak: 20,
        per_second_peak: 20,
        connections: 20,
        ..RequestCounts::default()
    };
    UpstreamFacts {
        events: vec![
            event("connect", 20, 0, &[(500, 80)], Some(retried)),
            event("user:connect", 1_200, 1_200, &[(200, 1_000), (204, 200)], None),
        ],
        validations_good: good,
        validations_bad: 0,
        validation_requests: good,
        under_way: 0,
        deliveries: 7,
        deliveries_lost: 2,
        records: CallRecords { calls: 1_220, validations: good, left_out: 0 },
        at_close: vec![UpstreamAtClose {
            population: "healthy".into(),
            category: CloseCategory::SendEventFailed,
            event: connect.clone(),
            status: Some(500),
            failure: Some(EventFailure::Status),
            tries: Range { count: 20, min: 4, max: 4 },
            took_us: Range { count: 20, min: 9_000_000, max: 9_012_000 },
        }],
        of_further_closes: 0,
        log: Some(vec![UpstreamLogLine {
            event: WebhookFailure::HttpHandlerUnexpectedResponse,
            message: "Sending message during operation hub:sq,event:connect,type:sys,\
                      category:connections,requestType:Connect got unexpected response with \
                      status code 500."
                .into(),
            count: 20,
        }]),
        of_further_lines: 0,
        server: Some(UpstreamCounts {
            requests: BTreeMap::from([(connect, counts)]),
            in_flight_peak: 20,
            ..UpstreamCounts::default()
        }),
    }
}

fn computer() -> ComputerFacts {
    ComputerFacts {
        os: "linux".into(),
        arch: "x86_64".into(),
        cpu: Some("a model".into()),
        build: Build::Release,
    }
}

/// Half a second more than the run's own 8.4 s, and a process that peaked at 20 MiB.
fn machine() -> MachineFacts {
    MachineFacts {
        computer: Some(computer()),
        descriptors_before: Some(12),
        descriptors_after: Some(12),
        resident_before_bytes: Some(18 << 20),
        resident_held_bytes: Some(19 << 20),
        resident_held_open: Some(90),
        ..MachineFacts::new(
            1_767_323_045_670_000_000,
            Duration::from_millis(8_900),
            1,
            2,
            Some(20 << 20),
        )
    }
}

/// Ninety steady clients, ten that answer no ping; all as it should be.
pub fn passed() -> RunFile {
    let ends = vec![
        End {
            population: Some("healthy".into()),
            category: Some(CloseCategory::Normal),
            seen: own_close(),
            count: 90,
            life: Some(Life { min_us: 5_900_000, median_us: 7_012_345, max_us: 8_000_000 }),
            expected: Some(true),
        },
        End {
            population: Some("muted".into()),
            category: Some(CloseCategory::PingTimeout),
            seen: ClientObservation::Reset,
            count: 10,
            life: Some(Life { min_us: 3_900_000, median_us: 4_001_000, max_us: 4_100_000 }),
            expected: Some(true),
        },
    ];
    let total = |end: &End| End { population: None, ..end.clone() };
    RunFile {
        schema_version: SCHEMA_VERSION,
        run: facts("ping-timeout", "clients that stop answering pings"),
        how: HowEnded::Decided,
        elapsed_ns: 8_400_000_000,
        outcome: Outcome::Pass,
        checks: vec![
            check(
                CheckKind::Expectation,
                "expect.muted.closes",
                Outcome::Pass,
                "PingTimeout = 10, nothing else",
                "PingTimeout = 10",
            ),
            check(CheckKind::Invariant, "I3", Outcome::Pass, "allowed cells only", "2 cells"),
        ],
        populations: vec![
            population("healthy", "steady", CloseCategory::Normal, 90),
            population("muted", "answer no ping", CloseCategory::PingTimeout, 10),
        ],
        ends_total: ends.iter().map(total).collect(),
        matrix: vec![
            MatrixCell {
                population: "healthy".into(),
                category: Some(CloseCategory::Normal),
                wire: Some(HubWire::ClientClose { code: Some(1000), reason: String::new() }),
                seen: own_close(),
                count: 90,
                allowed: true,
            },
            MatrixCell {
                population: "muted".into(),
                category: Some(CloseCategory::PingTimeout),
                wire: Some(HubWire::HubAbort),
                seen: ClientObservation::Reset,
                count: 10,
                allowed: true,
            },
        ],
        ends,
        close_windows: vec![CloseWindow {
            population: "muted".into(),
            category: CloseCategory::PingTimeout,
            since: WindowStart::LastLife,
            after_ns: Range { count: 10, min: 3_900_000_000, max: 4_100_000_000 },
        }],
        backlog_at_close: Vec::new(),
        traffic: Some(Vec::new()),
        latency_total: vec![
            series(LatencyKind::Connect, 100, 400, 380),
            series(LatencyKind::Message, 1_234, 210, 200),
            series(LatencyKind::SendLag, 13, 600, 0),
        ],
        latency: vec![LatencySeries {
            population: Some("muted".into()),
            stage: Some(Stage::Before),
            ..series(LatencyKind::Connect, 10, 400, 380)
        }],
        faults: Vec::new(),
        storm: None,
        hub_counters: None,
        upstream: None,
        generator: GeneratorFacts {
            open_peak: 100,
            rows_observed: 100,
            hub_rows_unmatched: 0,
            link_ends_before: None,
            link_ends_after: None,
            tasks_after: 0,
            rest_failed: 0,
        },
        warnings: Vec::new(),
        machine: machine(),
    }
}

/// The first one in the virtual world, where it took 56 ms.
pub fn simulated() -> RunFile {
    let mut run = passed();
    run.run.world = World::Virtual;
    run.run.started = "2026-01-01T00:00:00.000Z".into();
    run.run.started_unix_ns = 1_767_225_600_000_000_000;
    run.run.target.endpoint = "http://hub.squall.invalid".into();
    run.generator.link_ends_before = Some(4);
    run.generator.link_ends_after = Some(4);
    let took = Duration::from_millis(56);
    run.machine = MachineFacts::new(1_767_323_045_670_000_000, took, 1, 2, Some(20 << 20));
    run
}

/// A run in which everything that can go wrong has.
pub fn failed() -> RunFile {
    let mut run = passed();
    run.run = facts("slow-client", "a title with <markup> | and *stars*");
    run.run.target.place = TargetPlace::Loopback;
    run.how = HowEnded::TimeUp;
    run.upstream = Some(upstream());
    run.outcome = Outcome::Fail;
    run.checks.extend([
        check(
            CheckKind::Expectation,
            "expect.stalled.closes",
            Outcome::Fail,
            "SlowClient = 20, nothing else",
            "SlowClient = 18, PingTimeout = 2, and a text that is long enough to be wrapped under \
             its own first word once more",
        ),
        check(CheckKind::Threshold, "thresholds.message", Outcome::Invalid, "p(99)<1s", "1.2 s"),
        check(CheckKind::Invariant, "I3", Outcome::Fail, "allowed cells only", "1 cell outside"),
        check(CheckKind::Invariant, "I8", Outcome::Undetermined, "equal sums", "not observed"),
    ]);
    run.ends[1].expected = Some(false);
    run.ends.push(End {
        population: Some("muted".into()),
        category: Some(CloseCategory::ConnectionCountLimitReached),
        seen: ClientObservation::Refused {
            status: 429,
            body: "Connection count reaches limit.".into(),
        },
        count: 3,
        life: None,
        expected: Some(false),
    });
    run.ends_total = run.ends.iter().map(|end| End { population: None, ..end.clone() }).collect();
    run.matrix[1].allowed = false;
    run.backlog_at_close = vec![BacklogAtClose {
        population: "stalled".into(),
        category: CloseCategory::SlowClient,
        queue_bytes: Range { count: 18, min: 65_600, max: 67_700 },
        kernel_bytes: Some(Range { count: 18, min: 30_000, max: 36_000 }),
    }];
    run.populations[1].delivery.lost = 4;
    run.populations[1].not_sent = 2;
    run.populations[1].acks_failed.insert(AckFailure::Forbidden, 1);
    run.faults = vec![FaultOutcome {
        what: "the hub freezes for 1.4 s".into(),
        planned_ns: 4_000_000_000,
        done_ns: None,
        error: Some("HTTP 404".into()),
    }];
    run.warnings = vec![
        Warning::DescriptorsExhausted,
        Warning::NotWritten { what: "events.ndjson: no space left on device".into() },
    ];
    run
}

/// The built-in ping-timeout scenario.
pub fn plan() -> Plan {
    scenario::resolve("ping-timeout").unwrap()[0].plan().unwrap()
}

fn row(population: &str, index: u32, hub: HubSide, observation: ClientObservation) -> LedgerRow {
    let attempt = AttemptId { population: population.into(), index, attempt: 0 };
    let opened_ns = matches!(hub, HubSide::Ended(_)).then_some(10_000_000);
    LedgerRow {
        attempt: attempt.clone(),
        hub,
        evidence: Evidence::Hub,
        client: ClientEnd {
            attempt,
            planned_ns: 0,
            started_ns: 1_000_000,
            opened_ns,
            ended_ns: 4_010_000_000,
            connection_id: None,
            observation,
            wish: Wish::Stay,
            behaviour_since_ns: None,
            received: 3,
            read_bytes: 300,
            sent: 0,
            pings: 4,
            pongs: 0,
            delivery: DeliveryTally::default(),
            replies: DeliveryTally::default(),
            tails: Vec::new(),
        },
    }
}

/// A dropped client, by the hub's and the client's account.
pub fn dropped(index: u32) -> LedgerRow {
    let end = HubEnd {
        attempt: None,
        connection_id: format!("c{index}"),
        user_id: None,
        category: CloseCategory::PingTimeout,
        later: Vec::new(),
        log_reason: CloseCategory::PingTimeout.log_reason().to_owned(),
        wire: HubWire::HubAbort,
        opened_ns: 10_000_000,
        decided_ns: 4_010_000_000,
        gone_ns: 4_010_000_000,
        last_life_ns: 10_000_000,
        last_pong_ns: None,
        delivered: 3,
        queue_messages: 0,
        queue_bytes: 0,
        written_bytes: 1_000 + u64::from(index),
        received: 0,
        upstream: None,
    };
    row("muted", index, HubSide::Ended(Box::new(end)), ClientObservation::Reset)
}

/// An attempt that the hub refused with a text of its own.
pub fn refused(body: &str) -> LedgerRow {
    let refusal = HubRefusal {
        attempt: None,
        category: CloseCategory::Unauthorized,
        status: 401,
        log_reason: String::new(),
        at_ns: 2_000_000,
        upstream: None,
    };
    let seen = ClientObservation::Refused { status: 401, body: body.to_owned() };
    row("healthy", 0, HubSide::Refused(Box::new(refusal)), seen)
}
