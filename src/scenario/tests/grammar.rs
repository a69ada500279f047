//! What each key of a file becomes in the plan.

use std::time::Duration;

use super::super::plan::{
    Arrival, ArrivalSchedule, Behaviour, Fault, FirstAttempt, Jitter, RampStage, ReconnectAfter,
    ReconnectPolicy, Requires, Scaling, Senders, Shaping, TokenPolicy, UserPolicy, Vanish,
};
use crate::protocol::Subprotocol;
use crate::protocol::settings::{LifeSign, OverLimit, Tier, WireForm};

use super::*;
use crate::protocol::subprotocol::{ClientFrame, Payload};

#[test]
fn what_a_file_leaves_out_has_its_default() {
    let plan = plan(&small(""));
    assert_eq!((plan.name.as_str(), plan.title.as_str()), ("mine", "mine"));
    assert_eq!((plan.seed, plan.settle, plan.grace), (1, seconds(1), seconds(3)));
    assert_eq!(plan.hub_name, "squall");
    assert_eq!(plan.requires, Requires::default());
    assert_eq!((plan.hub.tier, plan.hub.units), (Tier::Standard, 1));
    assert_eq!(plan.hub.keep_alive.interval, seconds(20));
    let healthy = &plan.populations[0];
    assert_eq!((healthy.scaling, healthy.protocol), (Scaling::Proportional, Subprotocol::Json));
    assert_eq!((&healthy.user, healthy.lifetime), (&UserPolicy::PerClient, None));
    assert_eq!(healthy.token, TokenPolicy::Minted { lifetime: seconds(3_600) });
    assert_eq!(healthy.reconnect.policy, ReconnectPolicy::None);
    assert_eq!(plan.hash.len(), 16);
}

#[test]
fn hub_keys_change_what_the_profile_says() {
    let hub = plan(&small(
        r#"
[hub]
profile = "ci"
tier = "premium"
units = 200
keep_alive = { timeout = "10s", life = "any-frame" }
queue = { messages = 10 }
buffers = { send = "system", receive = "8KiB" }
limits = { message = "2MiB", close_linger = "0s" }
[hub.drops]
ping_timeout = { close = { code = 1008, reason = "bye" } }
slow_client = "disconnected-then-close"
over_limit = "accept-then-abort"
"#,
    ))
    .hub;
    assert_eq!((hub.tier, hub.units), (Tier::Premium, 200));
    let keep_alive = hub.keep_alive;
    assert_eq!((keep_alive.interval, keep_alive.timeout), (seconds(1), seconds(10)));
    assert_eq!(keep_alive.life, LifeSign::AnyFrame);
    assert_eq!((hub.queue.bytes, hub.queue.messages), (64 * 1024, 10));
    assert_eq!((hub.buffers.send, hub.buffers.receive), (None, Some(8 * 1024)));
    assert_eq!((hub.limits.message_bytes, hub.limits.close_linger), (2 << 20, Duration::ZERO));
    let bye = WireForm::Close { code: 1008, reason: "bye".into() };
    assert_eq!(
        (hub.drops.ping_timeout, hub.drops.slow_client),
        (bye, WireForm::DisconnectedThenClose)
    );
    assert_eq!(hub.drops.over_limit, OverLimit::AcceptThenAbort);
}

#[test]
fn automatic_units_are_the_fewest_that_hold_everybody() {
    let with = |count: u32, arrival: &str| {
        let text = format!(
            "duration = \"1h\"\n[populations.p]\ncount = {count}\narrival = {{ {arrival} }}\n\
             lifetime = \"1s\""
        );
        plan(&text).hub.units
    };
    assert_eq!(with(1_000, "burst = {}"), 1);
    assert_eq!(with(1_001, "burst = {}"), 2);
    assert_eq!(with(10_001, "burst = {}"), 20);
    assert_eq!(with(10_001, "closed = { slots = 900 }"), 1);
    let scaled = Overrides { total: Some(3_000), ..Overrides::default() };
    assert_eq!(plan_with(&small(""), &scaled).hub.units, 3);
}

#[test]
fn every_form_of_arrival() {
    let schedule = |keys: &str| match one(&format!("arrival = {{ {keys} }}")).arrival {
        Arrival::Open { start, schedule } => (start, schedule),
        closed @ Arrival::Closed { .. } => panic!("{closed:?}"),
    };
    let zero = Duration::ZERO;
    let ramp = |from, to, lasting| RampStage { from, to, lasting: seconds(lasting) };
    assert_eq!(schedule("burst = {}, start = \"5s\""), (seconds(5), ArrivalSchedule::Burst));
    assert_eq!(schedule("rate = \"120/min\""), (zero, ArrivalSchedule::Constant { rate: 2.0 }));
    assert_eq!(schedule("poisson = \"5/s\""), (zero, ArrivalSchedule::Poisson { rate: 5.0 }));
    assert_eq!(
        schedule("ramp = { from = \"1/s\", to = \"5/s\", over = \"10s\" }"),
        (zero, ArrivalSchedule::Stages(vec![ramp(1.0, 5.0, 10)]))
    );
    assert_eq!(
        schedule(
            "stages = [{ from = \"0/s\", to = \"2/s\", for = \"2s\" }, \
             { from = \"9/s\", to = \"9/s\", for = \"1s\" }]"
        ),
        (zero, ArrivalSchedule::Stages(vec![ramp(0.0, 2.0, 2), ramp(9.0, 9.0, 1)]))
    );
    let closed = one("arrival = { closed = { slots = 4 }, start = \"1s\" }\nlifetime = \"2s\"");
    assert_eq!(closed.arrival, Arrival::Closed { start: seconds(1), slots: 4 });
}

#[test]
fn every_behaviour_with_its_window() {
    let all = one(r#"arrival = { burst = {} }
[populations.p.behaviour]
suppress_pong = { until = "2s" }
delay_pong = { by = "1s", from = "2s", until = "4s" }
lose_pong = { probability = "25%", from = "4s" }
app_ping = { every = "500ms" }
slow_read = { bytes = "10KiB/s" }
vanish = { how = "black-hole", at = "9s" }"#)
    .behaviours;
    let seen: Vec<_> =
        all.iter().map(|timed| (&timed.behaviour, timed.from.as_secs(), timed.until)).collect();
    assert_eq!(
        seen,
        [
            (&Behaviour::SuppressPong, 0, Some(seconds(2))),
            (&Behaviour::DelayPong { by: seconds(1) }, 2, Some(seconds(4))),
            (&Behaviour::LosePong { probability: 0.25 }, 4, None),
            (&Behaviour::AppPing { every: Duration::from_millis(500) }, 0, None),
            (&Behaviour::SlowReadBytes { rate: 10_240.0 }, 0, None),
            (&Behaviour::Vanish { how: Vanish::BlackHole }, 9, None),
        ]
    );
    let stalled = one("arrival = { burst = {} }\nbehaviour = { stall = { from = \"4s\" } }");
    assert_eq!(stalled.behaviours[0].behaviour, Behaviour::Stall);
    let slow =
        one("arrival = { burst = {} }\nbehaviour = { slow_read = { messages = \"30/min\" } }");
    assert_eq!(slow.behaviours[0].behaviour, Behaviour::SlowReadMessages { rate: 0.5 });
}

#[test]
fn every_reconnect_policy() {
    let reconnect =
        |keys: &str| one(&format!("arrival = {{ burst = {{}} }}\nreconnect = {keys}")).reconnect;
    let fixed = reconnect(
        r#"{ fixed = { every = "4s" }, first = "after-delay", attempts = 1, after = "any" }"#,
    );
    assert_eq!(fixed.policy, ReconnectPolicy::Fixed { every: seconds(4) });
    assert_eq!((fixed.first, fixed.attempts), (FirstAttempt::AfterDelay, Some(1)));
    assert_eq!(fixed.after, ReconnectAfter::Any);
    let jittered = reconnect(r#"{ exponential = { base = "1s", cap = "10s" }, first = "2s" }"#);
    let (base, cap) = (seconds(1), seconds(10));
    assert_eq!(jittered.policy, ReconnectPolicy::Exponential { base, cap, jitter: Jitter::Full });
    assert_eq!(jittered.first, FirstAttempt::Within(seconds(2)));
    let js = reconnect(r#"{ fixed = { every = "1s" }, first = "0s" }"#);
    assert_eq!(reconnect(r#""js-sdk""#), js);
    assert_eq!(reconnect(r#"{ like = "js-sdk" }"#), js);
    assert_eq!(reconnect(r#""py-sdk""#).attempts, Some(4));
    let more = reconnect(r#"{ like = "py-sdk", attempts = 9, first = "after-delay" }"#);
    assert_eq!((more.attempts, more.first), (Some(9), FirstAttempt::AfterDelay));
    let net = r#"{ exponential = { base = "1s", cap = "5s", jitter = "none" } }"#;
    assert_eq!(reconnect(r#""net-sdk""#), reconnect(net));
    let spread = r#"{ exponential = { base = "1s", cap = "30s" }, first = "5s" }"#;
    assert_eq!(reconnect(r#""full-jitter""#), reconnect(spread));
    assert_eq!(reconnect("{ none = {} }").policy, ReconnectPolicy::None);
}

#[test]
fn users_tokens_and_the_rest_of_a_population() {
    let p = one(r#"arrival = { burst = {} }
scaling = "fixed"
protocol = "simple"
groups = ["a", "b"]
user = { shared = "alice" }
receive_buffer = "4KiB"
lifetime = "1m30s"
token = { once = { lifetime = "4s" } }"#);
    assert_eq!((p.scaling, p.protocol), (Scaling::Fixed, Subprotocol::Simple));
    assert_eq!((p.groups, p.user), (vec![0, 1], UserPolicy::Shared("alice".into())));
    assert_eq!((p.buffers.receive, p.lifetime), (Some(4_096), Some(seconds(90))));
    assert_eq!(p.token, TokenPolicy::Once { lifetime: seconds(4) });
}

#[test]
fn a_population_is_shaped_as_far_as_it_says() {
    let of = |keys: &str| one(&format!("arrival = {{ burst = {{}} }}\n{keys}"));
    let shaping = |keys: &str| of(&format!("shaping = {{ {keys} }}")).shaping;
    assert!(of("").shaping.is_ideal() && shaping("").is_ideal());
    let millis = Duration::from_millis;
    let whole = Shaping {
        delay: millis(40),
        jitter: millis(10),
        bandwidth: Some(131_072.0),
        idle_cut: Some(seconds(60)),
    };
    let keys = "delay = \"40ms\", jitter = \"10ms\", bandwidth = \"128KiB/s\", idle_cut = \"60s\"";
    assert_eq!(shaping(keys), whole);
    let alone = Shaping { jitter: millis(10), ..Shaping::default() };
    assert_eq!(shaping("jitter = \"10ms\""), alone);
    let buffers = of("send_buffer = \"16KiB\"").buffers;
    assert_eq!((buffers.send, buffers.receive), (Some(16_384), None));
}

/// A traffic whose data has so many bytes, as errors tell it; `None` when it loads.
fn refused(from: &str, limit: &str, size: usize) -> Option<String> {
    let traffic = format!(
        "[traffic.large]\nfrom = \"{from}\"\nto = {{ group = \"room\" }}\nrate = \"1/s\"\n\
         size = \"{size}B\"\n[hub]\nprofile = \"ci\""
    );
    try_plan(&small(&traffic), &set("hub.limits.message", limit)).err().map(|told| told.rendered)
}

#[test]
fn a_message_must_fit_with_its_frame_into_every_limit_on_its_way() {
    let frame = ClientFrame::SendToGroup {
        group: "room".into(),
        ack_id: Some(u64::from(u32::MAX)),
        no_echo: false,
        payload: Payload::Text(String::new()),
    };
    let envelope = frame.print().len();
    let clients = plan::OUTBOX_BYTES_MAX - plan::CLIENT_FRAME_HEADER_BYTES_MAX - envelope;
    for (from, limit, most) in [
        ("healthy[0]", "64KiB", (64 << 10) - envelope),
        ("healthy[0]", "4MiB", clients),
        ("rest", "64KiB", 64 << 10),
        ("rest", "4MiB", 1 << 20),
    ] {
        assert_eq!(refused(from, limit, most), None, "{from} {limit}");
        let told = refused(from, limit, most + 1).unwrap_or_default();
        assert!(told.contains(&format!("expected at most {most}B")), "{from} {limit}: {told}");
    }
}

#[test]
fn a_message_may_be_too_large_for_the_hub_where_its_senders_are_expected_to_be_dropped_for_it() {
    let told = |expected: &str, size: usize| {
        let traffic = format!(
            "[traffic.large]\nfrom = \"healthy[0]\"\nto = {{ group = \"room\" }}\nrate = \"1/s\"\n\
             size = \"{size}B\"\n[hub]\nprofile = \"ci\"\n[expect.healthy]\n\
             closes = {{ {expected} = 1, Normal = \"<=all\" }}"
        );
        let limit = set("hub.limits.message", "64KiB");
        try_plan(&small(&traffic), &limit).err().map(|told| told.rendered).unwrap_or_default()
    };
    assert_eq!(told("BadRequest", (64 << 10) + 1), "");
    assert!(told("Throttled", (64 << 10) + 1).contains("more than can be sent"));
    // The frame around the data alone is not meant, and no client holds more than it can.
    assert!(told("BadRequest", 64 << 10).contains("the hub's limit"));
    assert!(told("BadRequest", plan::OUTBOX_BYTES_MAX).contains("what a client holds"));
}

#[test]
fn traffic_names_its_senders_and_numbers_its_streams() {
    let plan = plan(&small(
        r#"
[traffic.first]
from = "healthy[3]"
to = { group = "room" }
rate = "5/s"
size = "1KiB"
[traffic.some]
from = "healthy[0..10]"
to = { group = "room" }
rate = "5/s"
size = "1KiB"
in_flight = 1
no_echo = true
[traffic.all]
from = "muted"
to = { group = "room" }
rate = "5/s"
size = "1KiB"
acknowledged = false
[traffic.calls]
from = "rest"
to = { group = "room" }
rate = "30/min"
size = "50B"
start = "1s"
until = "5s"
"#,
    ));
    let clients = |population, first, count| Senders::Clients { population, first, count };
    let seen: Vec<_> = plan.traffic.iter().map(|t| (t.from.clone(), t.stream_base)).collect();
    assert_eq!(
        seen,
        [
            (clients(0, 3, 1), 0),
            (clients(0, 0, 10), 1),
            (clients(1, 0, 10), 11),
            (Senders::Rest, 21)
        ]
    );
    assert_eq!(plan.streams, 22);
    assert_eq!((plan.traffic[1].in_flight, plan.traffic[1].no_echo), (Some(1), true));
    assert_eq!((plan.traffic[2].acknowledged, plan.traffic[3].acknowledged), (false, true));
    assert_eq!((plan.traffic[3].rate, plan.traffic[3].until), (0.5, Some(seconds(5))));
    assert_eq!(plan.requires, Requires { control: false, access_key: true });
}

#[test]
fn faults_stand_in_the_order_of_time() {
    let plan = plan(&small(
        r#"
[[faults]]
at = "9s"
scale = { tier = "premium", units = 300 }
[[faults]]
at = "3s"
reload = { share = "40%", over = "2s" }
[[faults]]
at = "3s"
freeze = { lasting = "1400ms" }
[[faults]]
at = "4s"
close_connections = { population = "muted", count = 3, reason = "why" }
[[faults]]
at = "5s"
close_group = { group = "room" }
[[faults]]
at = "6s"
close_user = { population = "muted" }
[[faults]]
at = "7s"
close_all = {}
[[faults]]
at = "8s"
leave = { population = "healthy" }
"#,
    ));
    let reason = None;
    let faults: Vec<_> = plan.faults.iter().map(|at| (at.at.as_secs(), at.fault.clone())).collect();
    assert_eq!(
        faults,
        [
            (3, Fault::Reload { share: 0.4, over: seconds(2) }),
            (3, Fault::Freeze { lasting: Duration::from_millis(1_400) }),
            (
                4,
                Fault::CloseConnections {
                    population: 1,
                    count: Some(3),
                    reason: Some("why".into())
                }
            ),
            (5, Fault::CloseGroup { group: 0, reason: reason.clone() }),
            (6, Fault::CloseUser { population: 1, reason: reason.clone() }),
            (7, Fault::CloseAll { reason }),
            (8, Fault::Leave { population: 0, count: None }),
            (9, Fault::Scale { tier: Tier::Premium, units: 300 }),
        ]
    );
    assert_eq!(plan.requires, Requires { control: true, access_key: true });
}
