//! The scenarios in the binary and the names they go by.

use super::super::plan::ReconnectPolicy;

use super::*;

#[test]
fn every_builtin_loads_at_any_size() {
    for builtin in builtins() {
        for total in [None, Some(1), Some(100), Some(3_000), Some(20_000)] {
            let overrides = Overrides { total, ..Overrides::default() };
            if let Err(errors) = load(&builtin.source(), &overrides, &|_| None) {
                panic!("{} with {total:?}: {errors}", builtin.name);
            }
        }
    }
}

/// A scenario, `--set` as its comment shows them, and `-n name=COUNT`.
type Suggestion =
    (&'static str, &'static [(&'static str, &'static str)], &'static [(&'static str, u32)]);

#[test]
fn what_the_shipped_comments_suggest_loads() {
    let suggested: [Suggestion; 10] = [
        (
            "ping-timeout",
            &[("hub.keep_alive.life", "any-frame"), ("traffic.chatter.from", "muted")],
            &[],
        ),
        (
            "ping-timeout",
            &[
                ("hub.keep_alive.timeout", "5s"),
                ("expect.muted.close_within.from", "5s"),
                ("expect.muted.close_within.to", "6250ms"),
            ],
            &[],
        ),
        ("slow-client", &[("traffic.feed.rate", "1/s")], &[]),
        ("slow-client", &[("hub.queue.bytes", "128KiB")], &[]),
        ("service-reload", &[("populations.fleet.reconnect.first", "0s")], &[]),
        ("normal-baseline", &[("traffic.chatter.rate", "50/s")], &[]),
        ("honest-latency", &[("traffic.ticks.in_flight", "100")], &[]),
        ("normal-baseline", &[("hub.keep_alive.interval", "2s")], &[]),
        (
            "closed-by-app-server",
            &[
                ("populations.addressed.reconnect", "{ fixed = { every = \"1s\" } }"),
                ("expect.addressed.closes.Normal", "all"),
            ],
            &[],
        ),
        (
            "connection-count-limit",
            &[
                ("expect.crowd.closes.ConnectionCountLimitReached", "17"),
                ("thresholds.\"attempts{population:crowd}\"", "[\"count==40\"]"),
            ],
            &[("crowd", 30)],
        ),
    ];
    for (name, sets, counts) in suggested {
        let builtin = resolve(name).unwrap()[0];
        for (path, value) in sets {
            let shown = format!("{path}={value}");
            assert!(builtin.text.contains(&shown), "{name} does not suggest {shown}");
        }
        let overrides = Overrides {
            sets: sets.iter().map(|(path, value)| ((*path).into(), (*value).into())).collect(),
            counts: counts.iter().map(|(name, count)| ((*name).into(), *count)).collect(),
            ..Overrides::default()
        };
        if let Err(errors) = load(&builtin.source(), &overrides, &|_| None) {
            panic!("{name} {sets:?}: {errors}");
        }
    }
}

#[test]
fn the_template_loads_and_so_does_everything_that_it_offers() {
    plan(template());
    let uncommented: String = template()
        .lines()
        .map(|line| match line.strip_prefix("# ") {
            Some(rest) if rest.contains(" = ") || rest.starts_with('[') => format!("{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    assert_ne!(uncommented, template());
    let offered = plan(&uncommented);
    assert_eq!(offered.faults.len(), 1);
    assert_ne!(offered.populations[1].reconnect.policy, ReconnectPolicy::None);
    let real = Overrides { profile: Some("real".into()), ..Overrides::default() };
    assert_eq!(plan_with(&uncommented, &real).duration, seconds(180));
}

#[test]
fn names_resolve_to_scenarios() {
    let names = |asked: &str| -> Vec<&str> {
        resolve(asked).unwrap().into_iter().map(|builtin| builtin.name).collect()
    };
    assert_eq!(names("ping-timeout"), ["ping-timeout"]);
    assert_eq!(names("drops/ping-timeout"), ["ping-timeout"]);
    assert_eq!(names("drops").len(), 6);
    assert_eq!(names("generator"), ["honest-latency", "hold-5000"]);
    assert_eq!(names("pingtimeout"), ["ping-timeout"]);
    assert_eq!(names("SlowClient"), ["slow-client"]);
    assert_eq!(names("ConnectionCountLimitReached"), ["connection-count-limit"]);
    assert_eq!(names("Normal"), ["normal-baseline"]);
    assert_eq!(names("EventHandlerNotFound"), ["event-handler-not-found"]);
    assert_eq!(names("ServiceReload"), ["service-reload"]);
    assert_eq!(names("Unauthorized"), ["token-expiry"]);
    assert_eq!(names("Throttled"), ["reconnect-storm"]);
    assert_eq!(names("BadRequest"), ["oversize-frame"]);
    assert_eq!(
        names("abuseprotectionresponsemissingallowedorigin"),
        ["abuse-protection-missing-origin"]
    );
    assert!(names("HttpHandlerUnexpectedResponse").contains(&"upstream-404"));
    assert!(names("SendEventFailed").contains(&"upstream-500"));
    let told = |asked: &str| resolve(asked).unwrap_err().to_string();
    assert!(told("404").ends_with("; did you mean `upstream-404`?"), "{}", told("404"));
    assert!(told("500").ends_with("; did you mean `upstream-500`?"), "{}", told("500"));
    assert!(told("HttpHandlerUnexpectedRespons").contains("did you mean `HttpHandlerUnexpectedR"));
    assert!(
        told("ping-timout").contains("did you mean `ping-timeout`?"),
        "{}",
        told("ping-timout")
    );
    assert!(told("drop").contains("did you mean `drops`?"));
    let unseen = "no built-in scenario shows ServiceTransientError yet";
    assert!(told("ServiceTransientError").contains(unseen));
    assert!(told("xyzzy").contains("there are `closed-by-app-server`"));
}
