//! Expectations and thresholds.

use std::time::Duration;

use super::super::plan::{Claim, Condition, Metric, Operator, Quantity, Statistic};
use crate::measure::summary::Since;
use crate::measure::{LatencyKind, Stage};
use crate::protocol::CloseCategory;

use super::*;

#[test]
fn quantities_refer_to_the_population_and_scale_with_it() {
    let text = small(
        "[expect.muted]\nopens = \"200%\"\ncloses = { PingTimeout = \">=85%\", Normal = \"<=15%\", \
         BadRequest = \"none\", Throttled = \"0..30%\" }",
    );
    let text = text.replace(
        "behaviour = { suppress_pong = {} }",
        "behaviour = { suppress_pong = {} }\nreconnect = { fixed = { every = \"1s\" } }",
    );
    let of = |total| {
        let plan = plan_with(&text, &Overrides { total, ..Overrides::default() });
        plan.expectations.into_iter().map(|expectation| expectation.claim).collect::<Vec<_>>()
    };
    let range = |at_least, at_most| Quantity { at_least, at_most };
    let closes = |quantities: [Quantity; 4]| {
        use CloseCategory::{BadRequest, Normal, PingTimeout, Throttled};
        Claim::Closes(
            [PingTimeout, Normal, BadRequest, Throttled].into_iter().zip(quantities).collect(),
        )
    };
    assert_eq!(
        of(None),
        [
            closes([range(9, u64::MAX), range(0, 1), range(0, 0), range(0, 3)]),
            Claim::Opens(Quantity::exactly(20)),
        ]
    );
    assert_eq!(
        of(Some(700)),
        [
            closes([range(60, u64::MAX), range(0, 10), range(0, 0), range(0, 21)]),
            Claim::Opens(Quantity::exactly(140)),
        ]
    );
}

#[test]
fn decimal_shares_lose_nothing_to_binary() {
    // 0.07 * 100 is 7.000000000000001 in binary.
    let text = small("[expect.muted]\nopens = \">=7%\"");
    let overrides = Overrides { counts: vec![("muted".into(), 100)], ..Overrides::default() };
    let claim = &plan_with(&text, &overrides).expectations[0].claim;
    assert_eq!(claim, &Claim::Opens(Quantity { at_least: 7, at_most: u64::MAX }));
}

#[test]
fn every_claim() {
    let plan = plan(&small(
        r#"
[traffic.feed]
from = "healthy[89]"
to = { group = "room" }
rate = "50/s"
size = "2KiB"
[[faults]]
at = "4s"
freeze = { lasting = "1s" }
[expect.muted]
closes = { PingTimeout = "all" }
close_within = { after = "last_life", from = "3s", to = "4250ms" }
[expect.healthy]
closes = { Normal = "all" }
close_within = { after = "fault", from = "1s", to = "2s", category = "PingTimeout" }
delivery = "complete"
steady = { ratio = 1.5, or_delta = "50ms" }
"#,
    ));
    let claims: Vec<_> = plan.expectations.iter().map(|e| (e.path.as_str(), &e.claim)).collect();
    let category = CloseCategory::PingTimeout;
    let to = Duration::from_millis(4_250);
    let ten = vec![(category, Quantity::exactly(10))];
    let all = vec![(CloseCategory::Normal, Quantity::exactly(90))];
    let since = Since::LastLife;
    let window = Claim::CloseWithin { category, since, from: seconds(3), to };
    let since = Since::Fault;
    let other = Claim::CloseWithin { category, since, from: seconds(1), to: seconds(2) };
    assert_eq!(
        claims,
        [
            ("expect.muted.closes", &Claim::Closes(ten)),
            ("expect.muted.close_within", &window),
            ("expect.healthy.closes", &Claim::Closes(all)),
            ("expect.healthy.close_within", &other),
            ("expect.healthy.delivery", &Claim::DeliveryComplete),
            (
                "expect.healthy.steady",
                &Claim::Steady { ratio: 1.5, or_delta: Duration::from_millis(50) }
            ),
        ]
    );
}

#[test]
fn just_over_the_limit_is_one_frame_past_the_one_that_is_met_first() {
    let bounds = |protocol: &str, size: &str, queue: &str| {
        let text = format!(
            r#"
duration = "20s"
[hub]
queue = {{ {queue} }}
[populations.healthy]
count = 90
arrival = {{ burst = {{}} }}
[populations.stalled]
count = 10
protocol = "{protocol}"
arrival = {{ burst = {{}} }}
groups = ["room"]
behaviour = {{ stall = {{}} }}
[traffic.feed]
from = "healthy[5..20]"
to = {{ group = "room" }}
rate = "50/s"
size = "{size}"
[expect.stalled]
queue_at_close = "just-over-limit"
"#
        );
        match plan(&text).expectations[0].claim {
            Claim::QueueAtCloseJustOverLimit {
                category: CloseCategory::SlowClient,
                above,
                at_most,
            } => (above, at_most),
            ref other => panic!("{other:?}"),
        }
    };
    let envelope = concat!(
        r#"{"type":"message","from":"group","fromUserId":"healthy-19","group":"room","#,
        r#""dataType":"text","data":""}"#
    );
    let bytes = "bytes = \"64KiB\", messages = 1000";
    let frame = 2_048 + envelope.len() as u64 + 4;
    assert_eq!(bounds("json", "2KiB", bytes), (65_536, 65_536 + frame));
    assert_eq!(bounds("simple", "100B", bytes), (65_536, 65_536 + 102));
    assert_eq!(bounds("simple", "70000B", bytes), (65_536, 65_536 + 70_010));
    // The shortest user id is a byte shorter.
    let messages = "bytes = \"16MiB\", messages = 1000";
    assert_eq!(bounds("json", "2KiB", messages), (1_000 * (frame - 1), 1_002 * frame));
}

#[test]
fn who_churns_opens_and_leaves_at_least_once() {
    let text = r#"
duration = "20s"
[populations.members]
count = 10
arrival = { burst = {} }
churn = "60%/min"
[populations.others]
count = 5
arrival = { burst = {} }
churn = "1%/min"
[expect]
bystanders = "untouched"
[expect.members]
closes = { Normal = "all", PingTimeout = "none" }
opens = "200%"
"#;
    let plan = plan(text);
    assert_eq!(plan.populations[0].churn, Some(0.01));
    let at_least = |at_least| Quantity { at_least, at_most: u64::MAX };
    let claims: Vec<_> = plan.expectations.into_iter().map(|of| of.claim).collect();
    let members = vec![
        (CloseCategory::Normal, at_least(10)),
        (CloseCategory::PingTimeout, Quantity::exactly(0)),
    ];
    let others = Claim::Closes(vec![(CloseCategory::Normal, at_least(5))]);
    assert_eq!(claims, [Claim::Closes(members), Claim::Opens(at_least(20)), others]);
}

#[test]
fn bystanders_are_whoever_does_nothing_wrong_and_is_not_addressed() {
    let text = r#"
duration = "20s"
[populations.muted]
count = 1
arrival = { burst = {} }
behaviour = { suppress_pong = {} }
[populations.kicked]
count = 2
arrival = { burst = {} }
groups = ["room"]
[populations.judged]
count = 3
arrival = { burst = {} }
[populations.twin]
count = 4
arrival = { burst = {} }
user = { shared = "alice" }
[populations.closed]
count = 5
arrival = { burst = {} }
user = { shared = "alice" }
[populations.leaving]
count = 6
arrival = { burst = {} }
[populations.beside]
count = 7
arrival = { burst = {} }
behaviour = { app_ping = { every = "1s" } }
[[faults]]
at = "1s"
close_group = { group = "room" }
[[faults]]
at = "2s"
close_user = { population = "closed" }
[[faults]]
at = "3s"
leave = { population = "leaving" }
[expect]
bystanders = "untouched"
[expect.judged]
closes = { Normal = "all" }
"#;
    let bystanders = |text: &str| -> Vec<String> {
        let plan = plan(text);
        let all = plan.expectations.iter().filter(|e| e.path == "expect.bystanders");
        all.map(|e| plan.populations[usize::from(e.population)].name.clone()).collect()
    };
    assert_eq!(bystanders(text), ["leaving", "beside"]);
    let reload = format!("{text}\n[[faults]]\nat = \"9s\"\nreload = {{ share = \"1%\" }}");
    assert_eq!(bystanders(&reload), Vec::<String>::new());
}

#[test]
fn thresholds_are_parsed() {
    let plan = plan(&small(
        r#"
[thresholds]
"message.service{population:healthy, stage:after}" = ["p(99.9) < 200ms", "max<=1s"]
connect = ["avg<1m"]
"closes{category:PingTimeout}" = ["count==10", "rate<15%"]
delivered = ["rate>=0.99"]
peak_connections = ["value!=0"]
"#,
    ));
    let condition = |statistic, operator, value| Condition { statistic, operator, value };
    let seen: Vec<_> = plan
        .thresholds
        .iter()
        .map(|t| (t.metric, t.population, t.stage, t.condition, t.text.as_str()))
        .collect();
    let service = Metric::Service(LatencyKind::Message);
    let closes = Metric::Closes(CloseCategory::PingTimeout);
    let after = Some(Stage::After);
    assert_eq!(
        seen,
        [
            (
                service,
                Some(0),
                after,
                condition(Statistic::Percentile(99.9), Operator::Less, 2e8),
                "p(99.9) < 200ms"
            ),
            (
                service,
                Some(0),
                after,
                condition(Statistic::Maximum, Operator::LessOrEqual, 1e9),
                "max<=1s"
            ),
            (
                Metric::Response(LatencyKind::Connect),
                None,
                None,
                condition(Statistic::Average, Operator::Less, 6e10),
                "avg<1m"
            ),
            (closes, None, None, condition(Statistic::Count, Operator::Equal, 10.0), "count==10"),
            (closes, None, None, condition(Statistic::Rate, Operator::Less, 0.15), "rate<15%"),
            (
                Metric::Delivered,
                None,
                None,
                condition(Statistic::Rate, Operator::GreaterOrEqual, 0.99),
                "rate>=0.99"
            ),
            (
                Metric::PeakConnections,
                None,
                None,
                condition(Statistic::Value, Operator::NotEqual, 0.0),
                "value!=0"
            ),
        ]
    );
}
