//! What differs under a profile.

use super::super::plan::{Arrival, ArrivalSchedule, Claim, Fault};
use super::*;

/// `p` on the profile `ci`, with more after it.
fn file(more: &str) -> String {
    format!(
        r#"
duration = "20s"
[hub]
profile = "ci"
queue = {{ bytes = "8KiB", messages = 10 }}
[populations.p]
count = 10
arrival = {{ rate = "5/s" }}
behaviour = {{ suppress_pong = {{ from = "1s" }} }}
[[faults]]
at = "3s"
freeze = {{ lasting = "1s" }}
[expect.p]
closes = {{ PingTimeout = "all" }}
close_within = {{ after = "last_life", from = "3s", to = "4250ms" }}
{more}"#
    )
}

const REAL: &str = r#"
[profiles.real]
duration = "3m"
hub.queue.messages = 99
faults.0.at = "30s"
populations.p.arrival = { burst = {} }
[profiles.real.expect.p.close_within]
from = "40s"
to = "61s"
"#;

fn under(profile: &str) -> Overrides {
    Overrides { profile: Some(profile.into()), ..Overrides::default() }
}

#[test]
fn what_differs_applies_under_its_profile_alone() {
    let plain = plan(&file(""));
    assert_eq!(plan(&file(REAL)), plain);
    assert_eq!(plan_with(&file(REAL), &under("ci")), plain);

    let real = plan_with(&file(REAL), &under("real"));
    assert_eq!(real.duration, seconds(180));
    assert_eq!(real.hub.keep_alive.timeout, seconds(40));
    // Dotted keys and headers leave what they do not name.
    assert_eq!((real.hub.queue.bytes, real.hub.queue.messages), (8 * 1024, 99));
    assert_eq!(real.faults[0].at, seconds(30));
    assert_eq!(real.faults[0].fault, Fault::Freeze { lasting: seconds(1) });
    let windows = real.expectations.iter().filter_map(|expectation| match expectation.claim {
        Claim::CloseWithin { from, to, .. } => Some((from, to)),
        _ => None,
    });
    assert_eq!(windows.collect::<Vec<_>>(), [(seconds(40), seconds(61))]);
    // An inline table is a value, and stands for the whole one.
    let burst = Arrival::Open { start: seconds(0), schedule: ArrivalSchedule::Burst };
    assert_eq!(real.populations[0].arrival, burst);
    assert_eq!(real.populations[0].behaviours, plain.populations[0].behaviours);
}

#[test]
fn a_profile_is_in_force_by_the_file_by_a_setting_and_by_default() {
    let text = file(REAL).replace("\"ci\"", "\"real\"");
    assert_eq!(plan(&text).duration, seconds(180));
    assert_eq!(plan_with(&text, &under("ci")).duration, seconds(20));
    assert_eq!(plan_with(&file(REAL), &set("hub.profile", "real")).duration, seconds(180));
    let unsaid = file(REAL).replace("profile = \"ci\"\n", "");
    assert_eq!(plan(&unsaid).duration, seconds(180));
    let from_outside = file(REAL).replace("profile = \"ci\"", "profile = \"${env:PROFILE}\"");
    let told = |name: &str| (name == "PROFILE").then(|| "real".to_owned());
    let loaded = load(&source(&from_outside), &Overrides::default(), &told).unwrap();
    assert_eq!(loaded.duration, seconds(180));
}

#[test]
fn a_setting_comes_before_what_differs() {
    let with = |path: &str, value: &str| {
        let overrides = Overrides { profile: Some("real".into()), ..set(path, value) };
        plan_with(&file(REAL), &overrides).duration
    };
    assert_eq!(with("duration", "1m"), seconds(60));
    assert_eq!(with("profiles.real.duration", "4m"), seconds(240));
    assert_eq!(with("profiles.ci.duration", "4m"), seconds(180));
}

#[test]
fn what_differs_elsewhere_needs_nothing_of_the_environment() {
    let more = "[profiles.real]\ntitle = \"${env:NOT_SET}\"";
    let scaled = Overrides { total: Some(20), ..Overrides::default() };
    assert_eq!(plan_with(&file(more), &scaled).clients(), 20);
    let told = errors(&file(more), &under("real"));
    assert!(told.contains("`NOT_SET` is not set"), "{told}");
}

#[test]
fn a_profile_that_is_not_in_force_is_looked_at_unless_the_command_line_changes_the_file() {
    let more = "[profiles.real]\nduration = \"2s\"";
    let told = errors(&file(more), &Overrides::default());
    assert!(told.contains("this is so under --profile real"), "{told}");
    assert_eq!(plan_with(&file(more), &set("title", "mine")).duration, seconds(20));
}
