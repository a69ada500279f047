//! The engine against the real hub over loopback, as a library: what a run must yield whatever its
//! scenario, how it stops, and what it says when it cannot begin.
#![allow(clippy::unwrap_used, reason = "tests")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use squall::client::Credentials;
use squall::engine::{self, Control, EngineError, RunInput, Shards, Stop, Target, WatchedClient};
use squall::event::{
    ClientObservation, Event, EventKind, HowEnded, HubSide, HubTelling, LedgerRow, Phase, Warning,
};
use squall::hub::{self, ControlApi, HubOptions};
use squall::measure::{Distribution, LatencyKind, Summary};
use squall::net::{Clock, Connector, ListenOptions, Listener, TcpListener};
use squall::protocol::connection_string::Scheme;
use squall::protocol::control::Counters;
use squall::protocol::settings::SocketBuffers;
use squall::protocol::token::{self, AccessKeys, Claims};
use squall::protocol::{CloseCategory, Endpoint, HubSettings};
use squall::scenario::{self, Overrides, Plan, Source};
use squall::secret::Secret;
use squall::verdict::{self, Outcome};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::LocalSet;

const KEY: &str = "a-key-for-tests-of-at-least-32-bytes";

/// A hub on a thread of its own, until it is stopped.
struct Hub {
    endpoint: Endpoint,
    clock: Clock,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Counters>,
}

impl Hub {
    fn start(control: ControlApi) -> Self {
        let clock = Clock::system();
        let (ready_sender, ready) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            local(async move {
                let buffers = SocketBuffers::default();
                let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
                let listener = TcpListener::bind(ListenOptions { address, buffers }).unwrap();
                ready_sender.send(listener.local_addr().unwrap()).unwrap();
                let keys = AccessKeys { primary: Secret::new(KEY), secondary: None };
                let settings = HubSettings::ci();
                let options = HubOptions {
                    listener: Listener::Tcp(listener),
                    clock,
                    settings,
                    keys,
                    control,
                    seed: 1,
                    dialling: squall::net::Dialling::Sockets { ca_file: None },
                    deliveries: None,
                    notices: None,
                };
                hub::serve(options, async { drop(stopped.await) }, Duration::from_secs(1)).await
            })
        });
        let address: SocketAddr = ready.recv().unwrap();
        Self { endpoint: endpoint(address), clock, stop, thread }
    }

    /// Stops it; what it counted in the end.
    fn stop(self) -> Counters {
        self.stop.send(()).unwrap();
        self.thread.join().unwrap()
    }
}

fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint { scheme: Scheme::Http, host: address.ip().to_string(), port: Some(address.port()) }
}

fn local<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, future)
}

fn sleep(ms: u64) {
    local(async { tokio::time::sleep(Duration::from_millis(ms)).await });
}

fn plan(text: &str) -> Arc<Plan> {
    let source = Source { name: "test".into(), origin: "test.toml".into(), text: text.into() };
    let plan = scenario::load(&source, &Overrides::default(), &|_| None);
    Arc::new(plan.unwrap_or_else(|errors| panic!("{errors}")))
}

/// How a test's run differs from the usual one.
struct Setup {
    key: &'static str,
    control: Control,
    threads: usize,
    stops: Vec<(Duration, Stop)>,
    /// Clients use this URL, and there is no access key.
    fixed_url: Option<Secret>,
    /// Events that may wait; they are read when the run is over.
    event_room: usize,
    /// Whose story is told.
    watched: Option<WatchedClient>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            key: KEY,
            control: Control::Offered,
            threads: 2,
            stops: Vec::new(),
            fixed_url: None,
            event_room: 65_536,
            watched: None,
        }
    }
}

struct Ran {
    summary: Summary,
    events: Vec<Event>,
    trace_lines: usize,
}

impl Ran {
    fn rows(&self) -> Vec<&LedgerRow> {
        let row = |event| match event {
            &Event { kind: EventKind::AttemptEnded(ref row), .. } => Some(row.as_ref()),
            _ => None,
        };
        self.events.iter().filter_map(row).collect()
    }

    fn how(&self) -> HowEnded {
        match self.events.last().map(|event| &event.kind) {
            Some(EventKind::RunEnded { how }) => *how,
            other => panic!("the last event is {other:?}"),
        }
    }

    fn phases(&self) -> Vec<Phase> {
        let phase = |event: &Event| match event.kind {
            EventKind::PhaseChanged { phase } => Some(phase),
            _ => None,
        };
        self.events.iter().filter_map(phase).collect()
    }

    /// Faults in the order of their events: position, connections addressed, why not.
    fn faults(&self) -> Vec<(usize, Option<u64>, Option<String>)> {
        let fault = |event: &Event| match &event.kind {
            EventKind::FaultDone { index, addressed, error, .. } => {
                Some((*index, *addressed, error.clone()))
            }
            _ => None,
        };
        self.events.iter().filter_map(fault).collect()
    }

    fn latency(&self, kind: LatencyKind) -> Distribution {
        self.summary.latency.sum(kind, |_| true).unwrap_or_else(|| panic!("no {kind:?}"))
    }

    /// What holds of every run that was not stopped at once.
    fn check(&self, plan: &Plan) {
        assert!(matches!(self.events[0].kind, EventKind::RunStarted(_)));
        let phases = [Phase::Running, Phase::Draining, Phase::Leaving, Phase::Gathering];
        assert_eq!(self.phases(), phases);
        let attempts: u64 = self.summary.populations.iter().map(|of| of.attempts).sum();
        assert_eq!(self.rows().len() as u64, attempts);
        assert_eq!(self.summary.health.tasks_after, 0);
        let health = &self.summary.health;
        assert!(health.warnings.is_empty(), "{health:?}");
        assert_eq!(self.summary.hub_rows_unmatched, 0);
        // Other tests share this process, so its descriptors tell nothing of this run.
        let mut summary = self.summary.clone();
        summary.health.open_ends.after = summary.health.open_ends.before;
        let verdict = verdict::judge(plan, &summary);
        assert_eq!(verdict.outcome, Outcome::Pass, "{:#?}", verdict.checks);
    }
}

fn run(hub: &Hub, plan: &Arc<Plan>, setup: Setup) -> Result<Ran, EngineError> {
    run_at(&hub.endpoint, hub.clock, plan, setup)
}

fn run_at(
    endpoint: &Endpoint,
    clock: Clock,
    plan: &Arc<Plan>,
    setup: Setup,
) -> Result<Ran, EngineError> {
    local(async {
        let connector = Connector::new(endpoint.clone(), None).await.unwrap();
        let (events, mut event_queue) = mpsc::channel(setup.event_room);
        let (trace, mut trace_queue) = mpsc::channel(65_536);
        let (stop_sender, stop) = watch::channel(Stop::Run);
        let key = Secret::new(setup.key);
        let (credentials, access_key) = match setup.fixed_url {
            Some(url) => (Credentials::FixedUrl(url), None),
            None => (Credentials::Key(key.clone()), Some(key)),
        };
        let target = Target { connector, credentials, access_key, control: setup.control };
        let plan = Arc::clone(plan);
        let threads = setup.threads;
        let stopping = async {
            for (after, wish) in setup.stops {
                tokio::time::sleep(after).await;
                stop_sender.send(wish).unwrap();
            }
            std::future::pending::<()>().await;
        };
        let shards = Shards::Threads(threads);
        let watched = setup.watched;
        let input =
            RunInput { plan, target, upstream: None, clock, shards, stop, events, trace, watched };
        let summary = tokio::select! {
            biased;
            summary = engine::run(input) => summary?,
            () = stopping => unreachable!(),
        };
        let mut seen = Vec::new();
        while let Some(event) = event_queue.recv().await {
            seen.push(event);
        }
        let mut trace_lines = 0;
        while trace_queue.recv().await.is_some() {
            trace_lines += 1;
        }
        Ok(Ran { summary, events: seen, trace_lines })
    })
}

fn categories(ran: &Ran, population: usize) -> Vec<(CloseCategory, u64)> {
    let categories = &ran.summary.populations[population].categories;
    categories.iter().map(|(&category, &count)| (category, count)).collect()
}

const STEADY: &str = r#"
duration = "5s"
settle = "100ms"
[hub]
profile = "ci"
[populations.members]
count = 30
arrival = { rate = "200/s" }
groups = ["room"]
[traffic.chatter]
from = "members[0..3]"
to = { group = "room" }
rate = "20/s"
size = "128B"
start = "400ms"
until = "1200ms"
[expect.members]
closes = { Normal = "all" }
delivery = "complete"
"#;

/// The same with traffic that goes on, and nothing that ends the run within a minute.
fn endless() -> String {
    STEADY.replace("100ms", "50s").replace("5s", "60s").replace("until = \"1200ms\"\n", "")
}

#[test]
fn a_steady_run_accounts_for_every_attempt_and_message_on_any_number_of_threads() {
    let hub = Hub::start(ControlApi::Loopback);
    for threads in [1, 3] {
        let plan = plan(STEADY);
        let ran = run(&hub, &plan, Setup { threads, ..Setup::default() }).unwrap();
        ran.check(&plan);
        assert_eq!(ran.how(), HowEnded::Decided);
        assert_eq!(categories(&ran, 0), [(CloseCategory::Normal, 30)]);
        let members = &ran.summary.populations[0];
        assert_eq!((members.published, members.delivery.received), (3 * 16, 30 * 3 * 16));
        assert_eq!(members.delivery.lost, 0);
        assert_eq!(ran.summary.open_peak, 30);
        assert!(ran.trace_lines >= 60, "{} trace records", ran.trace_lines);
        assert_eq!(ran.latency(LatencyKind::Acknowledgement).response.len(), 3 * 16);
        let bounds = |row: &&LedgerRow| match &row.hub {
            HubSide::Ended(end) => {
                end.opened_ns < end.decided_ns && end.decided_ns <= ran.summary.elapsed_ns
            }
            _ => false,
        };
        assert!(ran.rows().iter().all(bounds), "the hub's times are not the run's");
    }
    assert_eq!(hub.stop().total_connection_count, 0);
}

#[test]
fn faults_happen_at_their_instants_and_hit_whom_they_address() {
    let hub = Hub::start(ControlApi::Loopback);
    let plan = plan(
        r#"
duration = "6s"
settle = "100ms"
[hub]
profile = "ci"
[populations.by-id]
count = 6
arrival = { burst = {} }
[populations.by-group]
count = 5
arrival = { burst = {} }
groups = ["room"]
[populations.by-user]
count = 4
arrival = { burst = {} }
[populations.leavers]
count = 4
arrival = { burst = {} }
[populations.back]
count = 3
arrival = { burst = {} }
reconnect = { fixed = { every = "50ms" }, first = "50ms" }
[[faults]]
at = "500ms"
close_connections = { population = "by-id", count = 4, reason = "double sign-in" }
[[faults]]
at = "600ms"
close_group = { group = "room" }
[[faults]]
at = "700ms"
close_user = { population = "by-user" }
[[faults]]
at = "800ms"
leave = { population = "leavers", count = 3 }
[[faults]]
at = "1s"
reload = {}
[expect.by-id]
closes = { ClosedByAppServer = 4, ServiceReload = 2 }
[expect.by-group]
closes = { ClosedByAppServer = "all" }
[expect.by-user]
closes = { ClosedByAppServer = 1, ServiceReload = 3 }
[expect.leavers]
closes = { Normal = 3, ServiceReload = 1 }
[expect.back]
closes = { ServiceReload = 3, Normal = 3 }
opens = 6
recovered = "all"
"#,
    );
    let ran = run(&hub, &plan, Setup::default()).unwrap();
    ran.check(&plan);
    let faults = ran.faults();
    let addressed: Vec<_> = faults.iter().map(|(_, addressed, _)| *addressed).collect();
    assert_eq!(addressed, [Some(4), Some(5), Some(1), Some(3), None], "{faults:?}");
    for (index, at) in &ran.summary.faults_done {
        let planned = plan.faults[*index].at.as_nanos();
        assert!(u128::from(*at) >= planned, "fault {index} came early");
    }
    assert_eq!(ran.latency(LatencyKind::RestClose).response.len(), 4 + 5 + 1);
    assert_eq!(ran.latency(LatencyKind::Rest).response.len(), 4 + 1 + 1);
    let closed: Vec<u32> = ran
        .rows()
        .iter()
        .filter(|row| row.attempt.population == "by-id")
        .filter(|row| row.category() == Some(CloseCategory::ClosedByAppServer))
        .map(|row| row.attempt.index)
        .collect();
    assert!(closed.iter().all(|&index| index < 4), "{closed:?} are not the first four");
    hub.stop();
}

#[test]
fn closed_arrivals_never_exceed_their_slots_and_everybody_gets_a_turn() {
    let hub = Hub::start(ControlApi::Loopback);
    let plan = plan(
        r#"
duration = "8s"
settle = "100ms"
[hub]
profile = "ci"
[populations.visitors]
count = 12
arrival = { closed = { slots = 3 } }
lifetime = "150ms"
[expect.visitors]
closes = { Normal = "all" }
opens = 12
"#,
    );
    let ran = run(&hub, &plan, Setup::default()).unwrap();
    ran.check(&plan);
    assert_eq!(ran.summary.open_peak, 3);
    hub.stop();
}

#[test]
fn traffic_by_rest_is_delivered_and_measured() {
    let hub = Hub::start(ControlApi::Loopback);
    let plan = plan(
        r#"
duration = "5s"
settle = "100ms"
[hub]
profile = "ci"
[populations.members]
count = 5
arrival = { burst = {} }
groups = ["room"]
[traffic.announcements]
from = "rest"
to = { group = "room" }
rate = "20/s"
size = "64B"
start = "300ms"
until = "1300ms"
[expect.members]
closes = { Normal = "all" }
delivery = "complete"
"#,
    );
    let ran = run(&hub, &plan, Setup::default()).unwrap();
    ran.check(&plan);
    assert_eq!(ran.summary.rest_failed, 0);
    assert_eq!(ran.summary.populations[0].delivery.received, 5 * 20);
    assert_eq!(ran.latency(LatencyKind::Rest).response.len(), 20);
    hub.stop();
}

#[test]
fn the_first_wish_to_stop_drains_in_order() {
    let hub = Hub::start(ControlApi::Loopback);
    let plan = plan(&endless());
    let stops = vec![(Duration::from_millis(900), Stop::Drain)];
    let ran = run(&hub, &plan, Setup { stops, ..Setup::default() }).unwrap();
    assert_eq!(ran.how(), HowEnded::Interrupted);
    assert_eq!(ran.phases().len(), 4);
    assert_eq!(categories(&ran, 0), [(CloseCategory::Normal, 30)]);
    assert_eq!(ran.summary.populations[0].delivery.lost, 0);
    assert!(ran.summary.counters_after.is_some());
    hub.stop();
}

#[test]
fn the_second_wish_to_stop_ends_everything_and_still_accounts_for_it() {
    let hub = Hub::start(ControlApi::Loopback);
    let plan = plan(&endless());
    let stops = vec![(Duration::from_millis(900), Stop::Drain), (Duration::ZERO, Stop::Now)];
    let ran = run(&hub, &plan, Setup { stops, ..Setup::default() }).unwrap();
    assert_eq!(ran.how(), HowEnded::Interrupted);
    assert_eq!(ran.rows().len(), 30);
    assert_eq!(ran.summary.health.tasks_after, 0);
    assert!(
        !ran.rows().iter().any(|row| row.hub == HubSide::NotSeen),
        "nobody waited long enough to say so"
    );
    hub.stop();
}

#[test]
fn without_control_the_hubs_side_is_not_observed_and_nothing_is_invented() {
    let hub = Hub::start(ControlApi::Off);
    let plan = plan(STEADY);
    let setup = Setup { control: Control::Absent, ..Setup::default() };
    let ran = run(&hub, &plan, setup).unwrap();
    assert_eq!(ran.rows().len(), 30);
    assert!(ran.rows().iter().all(|row| row.hub == HubSide::NotObserved));
    assert_eq!((ran.summary.rows_observed, &ran.summary.counters_after), (0, &None));
    assert_eq!(ran.summary.populations[0].delivery.received, 30 * 3 * 16);
    hub.stop();
}

#[test]
fn a_fixed_url_needs_no_key() {
    let hub = Hub::start(ControlApi::Off);
    let claims = Claims {
        audience: format!("{}/client/hubs/squall", hub.endpoint),
        expires_at: hub.clock.now_ns() / 1_000_000_000 + 60,
        roles: vec!["webpubsub.joinLeaveGroup".into(), "webpubsub.sendToGroup".into()],
        ..Claims::default()
    };
    let token = token::sign(&claims, &Secret::new(KEY));
    let url = format!("/client/hubs/squall?access_token={}", token.expose());
    let fixed_url = Some(Secret::new(url));
    let setup = Setup { control: Control::Absent, fixed_url, ..Setup::default() };
    let ran = run(&hub, &plan(STEADY), setup).unwrap();
    assert_eq!(ran.summary.populations[0].opens, 30);
    assert_eq!(ran.summary.populations[0].delivery.received, 30 * 3 * 16);
    hub.stop();
}

#[test]
fn events_without_room_are_counted_and_hold_nobody_up() {
    let hub = Hub::start(ControlApi::Loopback);
    let plan = plan(STEADY);
    let ran = run(&hub, &plan, Setup { event_room: 10, ..Setup::default() }).unwrap();
    assert_eq!(ran.events.len(), 10);
    let [Warning::EventsLost { count }] = Vec::from_iter(&ran.summary.health.warnings)[..] else {
        panic!("{:?}", ran.summary.health.warnings)
    };
    assert!(*count >= 20, "{count} lost");
    assert_eq!(categories(&ran, 0), [(CloseCategory::Normal, 30)], "the sums know all the same");
    assert_eq!(verdict::judge(&plan, &ran.summary).outcome, Outcome::Invalid);
    hub.stop();
}

#[test]
fn a_story_leaves_room_for_the_events_that_count() {
    let hub = Hub::start(ControlApi::Loopback);
    let plan = plan(STEADY);
    let watched = Some(WatchedClient { population: 0, index: 0 });
    // Nobody takes an event before the run is over.
    let setup = Setup { event_room: 160, watched, ..Setup::default() };
    let ran = run(&hub, &plan, setup).unwrap();
    assert!(ran.summary.health.warnings.is_empty(), "{:?}", ran.summary.health.warnings);
    assert_eq!(ran.rows().len(), 30);
    let told = ran.events.iter().filter(|event| matches!(event.kind, EventKind::Story(_))).count();
    assert!((1..=81).contains(&told), "{told} lines");
    let ends = ran.events.iter().filter_map(|event| match &event.kind {
        EventKind::StoryEnded(end) => Some(end.as_ref()),
        _ => None,
    });
    let ends: Vec<_> = ends.collect();
    assert_eq!(ends.len(), 1);
    assert_eq!(ends[0].hub, HubTelling::Told);
    assert!(ends[0].hub_left_out > 0 && ends[0].client_left_out > 0, "{:?}", ends[0]);
    hub.stop();
}

#[test]
fn a_target_that_cannot_serve_the_plan_is_refused_before_load() {
    let hub = Hub::start(ControlApi::Loopback);
    let faulty = plan(&format!("{STEADY}\n[[faults]]\nat = \"1s\"\nreload = {{}}\n"));
    let refusal = |plan, setup| match run(&hub, plan, setup) {
        Err(error) => error.to_string(),
        Ok(ran) => panic!("it ran: {:?}", ran.how()),
    };
    let absent = Setup { control: Control::Absent, ..Setup::default() };
    assert!(refusal(&faulty, absent).starts_with("the target does not offer"));

    let steady = plan(STEADY);
    for control in [Control::Offered, Control::Absent] {
        let key = "another-key-that-is-not-the-hubs-own";
        let wrong = refusal(&steady, Setup { key, control, ..Setup::default() });
        assert!(wrong.contains("access key"), "{wrong}");
        assert!(!wrong.contains(key), "the key leaked: {wrong}");
    }
    hub.stop();

    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let clock = Clock::system();
    match run_at(&endpoint(nobody), clock, &steady, Setup::default()) {
        Err(EngineError::Unreachable(_)) => {}
        other => panic!("somebody answered: {:?}", other.map(|ran| ran.how())),
    }
}

#[test]
fn a_hub_that_carries_another_run_is_left_alone() {
    let hub = Hub::start(ControlApi::Loopback);
    let plan = plan(STEADY);
    let (first, second) = std::thread::scope(|scope| {
        let first = scope.spawn(|| run(&hub, &plan, Setup::default()));
        // The first run's clients are there from 50 ms to a second after its start.
        sleep(600);
        let second = run(&hub, &plan, Setup::default());
        (first.join().unwrap(), second)
    });
    first.unwrap().check(&plan);
    match second {
        Err(EngineError::Requirement(why)) => assert!(why.contains("another run"), "{why}"),
        other => panic!("the second run was let in: {:?}", other.map(|ran| ran.how())),
    }
    hub.stop();
}

#[test]
fn a_hub_that_dies_leaves_rows_and_a_warning_instead_of_a_hang() {
    let hub = Hub::start(ControlApi::Loopback);
    let plan = plan(&endless().replace("60s", "2s"));
    let (endpoint, clock) = (hub.endpoint.clone(), hub.clock);
    let ran = std::thread::scope(|scope| {
        let ran = scope.spawn(|| run_at(&endpoint, clock, &plan, Setup::default()));
        sleep(900);
        hub.stop();
        ran.join().unwrap().unwrap()
    });
    assert_eq!(ran.rows().len(), 30);
    assert_eq!(ran.summary.health.warnings.len(), 1, "{:?}", ran.summary.health.warnings);
    assert!(!ran.rows().iter().any(|row| row.hub == HubSide::NotSeen));
}

/// Publishers with one message in flight each keep their schedule while the hub stands still: what
/// a user waits shows in the response time, and the service time of each message hides it.
#[test]
fn a_freeze_shows_in_the_response_time_although_few_messages_met_it() {
    let hub = Hub::start(ControlApi::Loopback);
    let plan = plan(
        r#"
duration = "8s"
settle = "100ms"
[hub]
profile = "ci"
[hub.keep_alive]
interval = "5s"
timeout = "20s"
[populations.publishers]
count = 10
arrival = { burst = {} }
groups = ["room"]
[traffic.orders]
from = "publishers"
to = { group = "room" }
rate = "20/s"
size = "64B"
start = "300ms"
until = "6300ms"
in_flight = 1
[[faults]]
at = "3s"
freeze = { lasting = "1400ms" }
[expect.publishers]
closes = { Normal = "all" }
delivery = "complete"
"#,
    );
    let ran = run(&hub, &plan, Setup::default()).unwrap();
    ran.check(&plan);
    let acknowledged = ran.latency(LatencyKind::Acknowledgement);
    assert_eq!(acknowledged.response.len(), 10 * 20 * 6, "a message was skipped");
    let (response, service) = (&acknowledged.response, &acknowledged.service);
    let p99 = response.value_at_quantile(0.99);
    assert!(p99 >= 1_000_000, "response p99 is {p99} us");
    // Of each publisher's 120 messages 28 were planned into the freeze and one was under way in it.
    let median = service.value_at_quantile(0.5);
    assert!(median * 10 < p99, "service p50 is {median} us, response p99 {p99} us");
    let (served, responded) = (service.value_at_quantile(0.95), response.value_at_quantile(0.95));
    assert!(served * 2 < responded, "service p95 is {served} us, response p95 {responded} us");
    assert!(service.max() >= 1_000_000, "no message met the freeze: max {} us", service.max());
    hub.stop();
}

#[test]
fn a_refused_attempt_is_a_row_with_both_sides() {
    let hub = Hub::start(ControlApi::Loopback);
    let plan = plan(
        r#"
duration = "4s"
settle = "100ms"
[hub]
profile = "ci"
tier = "free"
units = 1
[populations.crowd]
count = 25
arrival = { burst = {} }
[expect.crowd]
closes = { Normal = 20, ConnectionCountLimitReached = 5 }
"#,
    );
    let ran = run(&hub, &plan, Setup { threads: 3, ..Setup::default() }).unwrap();
    ran.check(&plan);
    assert_eq!(ran.summary.open_peak, 20);
    let refused = |row: &&&LedgerRow| match (&row.hub, &row.client.observation) {
        (HubSide::Refused(hub), ClientObservation::Refused { status, body }) => {
            hub.status == *status && *status == 429 && body == "Connection count reaches limit."
        }
        _ => false,
    };
    assert_eq!(ran.rows().iter().filter(refused).count(), 5);
    hub.stop();
}

#[test]
fn a_run_does_not_end_before_its_misbehaviour_could_have_an_effect() {
    let hub = Hub::start(ControlApi::Loopback);
    let plan = plan(
        r#"
duration = "6s"
settle = "100ms"
[hub]
profile = "ci"
keep_alive = { interval = "300ms", timeout = "1s" }
[populations.muted]
count = 5
arrival = { burst = {} }
behaviour = { suppress_pong = {} }
[expect.muted]
closes = { Normal = "all" }
"#,
    );
    let ran = run(&hub, &plan, Setup::default()).unwrap();
    assert_eq!(categories(&ran, 0), [(CloseCategory::PingTimeout, 5)]);
    assert_eq!(verdict::judge(&plan, &ran.summary).outcome, Outcome::Fail);
    hub.stop();
}
