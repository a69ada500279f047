//! In the virtual world: the shipped drops under the service's own timings, and links and churn as
//! they are foretold.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use common::{Run, run_builtin, run_scenario};
use serde_json::Value;

const VIRTUAL: [&str; 2] = ["--world", "virtual"];

/// A shipped scenario under the profile `real`, with what else is asked for.
fn under_service_timings(name: &str, arguments: &[&str]) -> Run {
    let run = run_builtin(name, &[&VIRTUAL, &["--profile", "real"], arguments].concat());
    assert_eq!(run.code(), 0, "{}", run.text());
    run
}

/// Rows of a category, over all populations.
fn ends(run: &Run, category: &str) -> u64 {
    let json = run.json();
    let of_it = |row: &&Value| row["category"] == category;
    let all = json["ends_total"].as_array().unwrap().iter().filter(of_it);
    all.map(|row| row["count"].as_u64().unwrap()).sum()
}

#[test]
fn clients_that_answer_no_ping_and_those_that_are_closed_by_call() {
    assert_eq!(ends(&under_service_timings("ping-timeout", &[]), "PingTimeout"), 10);
    let closed = under_service_timings("closed-by-app-server", &[]);
    assert_eq!(ends(&closed, "ClosedByAppServer"), 25);
}

#[test]
fn clients_that_stop_reading_fill_the_default_buffers_and_a_thousand_messages() {
    // Fewer of them: how many look on changes nothing.
    let run = under_service_timings("slow-client", &["-n", "20"]);
    assert_eq!(ends(&run, "SlowClient"), 4);
}

#[test]
fn clients_that_come_back_from_a_reload_and_those_that_the_tier_refuses() {
    assert_eq!(ends(&under_service_timings("service-reload", &[]), "ServiceReload"), 500);
    let refused = under_service_timings("connection-count-limit", &[]);
    assert_eq!(ends(&refused, "ConnectionCountLimitReached"), 47);
}

#[test]
fn clients_that_behave_are_left_alone_for_a_minute_and_a_half_and_for_an_hour_of_the_soak() {
    let calm = under_service_timings("normal-baseline", &["--set", "traffic.chatter.rate=2/s"]);
    assert_eq!(ends(&calm, "Normal"), 200);
    let arguments = ["-n", "30", "--set", "duration=1h"];
    let soak = under_service_timings("soak", &arguments);
    // Thirty clients of which one in a hundred leaves each minute: eighteen in an hour.
    assert!((30 + 6..=30 + 36).contains(&ends(&soak, "Normal")), "{}", soak.text());
}

/// Far clients that a middlebox cuts, and narrow ones that cannot keep up.
const LINKS: &str = r#"
title = "two kinds of bad links"
duration = "2m"

[hub]
profile = "real"

[populations.near]
count = 2
arrival = { burst = {} }
groups = ["room"]

[populations.far]
count = 5
arrival = { burst = {} }
shaping = { delay = "40ms", jitter = "10ms", idle_cut = "15s" }
reconnect = { fixed = { every = "1s" } }

[populations.narrow]
count = 5
arrival = { burst = {} }
groups = ["room"]
receive_buffer = "4KiB"
shaping = { bandwidth = "16KiB/s" }

[traffic.feed]
from = "near[0]"
to = { group = "room" }
rate = "200/s"
size = "2KiB"
start = "1s"
until = "30s"

[expect.near]
closes = { Normal = "all" }

[expect.far]
closes = { Normal = ">=200%" }
recovered = "all"

[expect.narrow]
closes = { SlowClient = "all" }
close_within = { after = "open", from = "10s", to = "17s" }

[thresholds]
"connect{population:far}" = ["min>=80ms", "max<=300ms"]
"#;

#[test]
fn links_do_to_their_clients_what_is_foretold() {
    let run = run_scenario("links", LINKS, &VIRTUAL);
    assert_eq!(run.code(), 0, "{}", run.text());
    // Cut, or not, they end in order by the hub's word; who was not cut has nothing to recover from.
    assert_eq!(ends(&run, "SlowClient"), 5);
}
