//! `--trace-connection`: the whole story of one client, from both ends, in both worlds.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use std::fs;

use common::{Run, run_scenario};
use serde_json::Value;

/// Where every story must be the same.
const WORLDS: [&str; 2] = ["sockets", "virtual"];

/// Healthy clients beside one that never answers a ping; over after about a second.
const MUTED: &str = r#"
title = "a client that answers no ping"
duration = "4s"

[hub]
profile = "ci"
keep_alive = { interval = "150ms", timeout = "500ms" }

[populations.healthy]
count = 2
arrival = { burst = {} }
groups = ["room"]

[populations.muted]
count = 1
arrival = { burst = {} }
groups = ["room"]
behaviour = { suppress_pong = {} }

[traffic.chatter]
from = "healthy[0]"
to = { group = "room" }
rate = "50/s"
size = "64B"

[expect.muted]
closes = { PingTimeout = "all" }

[expect.healthy]
closes = { Normal = "all" }
delivery = "complete"
"#;

/// A client that stops reading while its group is busy; over after about a second.
const STALLED: &str = r#"
title = "a client that stops reading"
duration = "8s"

[hub]
profile = "ci"

[populations.sender]
count = 1
arrival = { burst = {} }

[populations.stalled]
count = 1
arrival = { burst = {} }
groups = ["room"]
receive_buffer = "4KiB"
behaviour = { stall = { from = "200ms" } }

[traffic.feed]
from = "sender[0]"
to = { group = "room" }
rate = "200/s"
size = "2KiB"

[expect.stalled]
closes = { SlowClient = "all" }
"#;

/// One line of a story.
#[derive(Clone, Debug)]
struct Line {
    at_ns: u64,
    side: String,
    step: String,
    figures: Value,
}

fn is_story(line: &str) -> bool {
    line.contains(r#""event":"story"#)
}

/// The story as it stands in `events.ndjson`, by time.
fn story(run: &Run) -> Vec<Line> {
    let text = fs::read_to_string(run.folder.join("events.ndjson")).unwrap();
    let mut lines: Vec<Line> = text
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|event| event["event"] == "story")
        .map(|event| {
            let (side, told) = event["side"].as_object().unwrap().iter().next().unwrap();
            let (step, figures) = match told {
                Value::String(step) => (step.clone(), Value::Null),
                told => {
                    let (step, figures) = told.as_object().unwrap().iter().next().unwrap();
                    (step.clone(), figures.clone())
                }
            };
            let at_ns = event["at_ns"].as_u64().unwrap();
            Line { at_ns, side: side.clone(), step, figures }
        })
        .collect();
    lines.sort_by_key(|line| line.at_ns);
    lines
}

fn of<'a>(story: &'a [Line], side: &str, step: &str) -> Vec<&'a Line> {
    story.iter().filter(|line| line.side == side && line.step == step).collect()
}

fn only<'a>(story: &'a [Line], side: &str, step: &str) -> &'a Line {
    match of(story, side, step)[..] {
        [line] => line,
        ref lines => panic!("not one {step} of the {side}: {lines:?}"),
    }
}

/// A quiet run with a story, which must have passed.
fn traced(name: &str, text: &str, world: &str, client: &str) -> Run {
    let run =
        run_scenario(name, text, &["--quiet", "--world", world, "--trace-connection", client]);
    assert_eq!(run.code(), 0, "{world}: {}", run.text());
    let told = run.text();
    assert!(told.contains(&format!("Story of {client}")), "{told}");
    let wide = told.lines().find(|line| line.chars().count() > 100);
    assert_eq!(wide, None);
    run
}

#[test]
fn the_story_of_a_silent_client_has_the_pings_no_pong_the_decision_and_what_the_client_saw() {
    for world in WORLDS {
        let run = traced("muted", MUTED, world, "muted[0]");
        let story = story(&run);
        let pings = of(&story, "hub", "ping-queued");
        assert!(pings.len() >= 3, "{world}: {story:?}");
        assert_eq!(of(&story, "client", "ping-read").len(), pings.len(), "{world}");
        assert_eq!(of(&story, "client", "pong-suppressed").len(), pings.len(), "{world}");
        assert!(of(&story, "hub", "pong-read").is_empty(), "{world}");
        assert!(of(&story, "client", "pong-sent").is_empty(), "{world}");

        let opened = only(&story, "hub", "opened");
        let decided = only(&story, "hub", "end-decided");
        let ended = only(&story, "client", "ended");
        assert_eq!(decided.figures["category"], "PingTimeout");
        assert!(decided.figures["silent_ns"].as_u64().unwrap() >= 500_000_000, "{decided:?}");
        assert_eq!(ended.figures["observation"], "reset", "{ended:?}");
        assert!(opened.at_ns <= pings[0].at_ns, "{world}");
        assert!(pings.last().unwrap().at_ns < decided.at_ns, "{world}");
        assert!(decided.at_ns <= ended.at_ns, "{world}");

        // What is printed stands in the same order. (A client may know of its end before the hub
        // has come to say that the socket is gone.)
        let text = run.text();
        for last in ["socket gone", "ended"] {
            let printed = ["accepted", "ping queued", "end decided: PingTimeout", last];
            let places: Vec<_> = printed.iter().map(|word| text.find(word).expect(word)).collect();
            assert!(places.is_sorted(), "{text}");
        }
    }
}

#[test]
fn the_story_of_a_healthy_client_has_its_round_trips_and_its_messages() {
    for world in WORLDS {
        let run = traced("muted", MUTED, world, "healthy[1]");
        let story = story(&run);
        let pongs = of(&story, "hub", "pong-read");
        assert!(pongs.len() >= 3, "{world}: {story:?}");
        for pong in &pongs {
            let trip = &pong.figures["round_trip"];
            assert_eq!(trip["open"], 1, "{pong:?}");
            assert_eq!(trip["least_ns"], trip["most_ns"], "{pong:?}");
        }
        assert_eq!(of(&story, "client", "pong-sent").len(), pongs.len(), "{world}");
        let sequences: Vec<u64> = of(&story, "client", "read")
            .iter()
            .filter_map(|line| line.figures["stamp"][1].as_u64())
            .collect();
        let expected: Vec<u64> = (1..=sequences.len() as u64).collect();
        assert!(sequences.len() > 20 && sequences == expected, "{world}: {sequences:?}");
        assert_eq!(of(&story, "hub", "message-queued").len(), sequences.len(), "{world}");
        assert_eq!(only(&story, "hub", "end-decided").figures["category"], "Normal");
        assert!(run.text().contains("after its ping"), "{}", run.text());
        assert!(run.text().contains("messages queued"), "routine is folded: {}", run.text());
    }
}

#[test]
fn the_story_of_a_stalled_client_has_its_queue_growing_to_the_limit() {
    for world in WORLDS {
        let run = traced("stalled", STALLED, world, "stalled[0]");
        let story = story(&run);
        let limit = run.json()["run"]["hub"]["queue_bytes"].as_u64().unwrap();
        let stopped = only(&story, "client", "stops-reading").at_ns;
        let decided = only(&story, "hub", "end-decided");
        assert_eq!(decided.figures["category"], "SlowClient");
        let depths: Vec<u64> = of(&story, "hub", "message-queued")
            .iter()
            .filter(|line| line.at_ns > stopped)
            .map(|line| line.figures["queue"]["bytes"].as_u64().unwrap())
            .collect();
        let (last, before) = depths.split_last().unwrap();
        assert!(*last > limit && before.iter().all(|depth| *depth <= limit), "{depths:?}");
        let end = &depths[depths.len() - 10..];
        assert!(end.is_sorted(), "{world}: {end:?}");
        assert_eq!(decided.figures["queue"]["bytes"], *last);
        let growth = run.text().lines().any(|line| line.contains('→') && line.contains("64."));
        assert!(growth, "the folded lines show it: {}", run.text());
    }
}

#[test]
fn a_story_changes_nothing_in_the_run_it_tells_of() {
    let events = |arguments: &[&str]| {
        let mut all = vec!["--quiet", "--world", "virtual"];
        all.extend(arguments);
        let run = run_scenario("muted", MUTED, &all);
        fs::read_to_string(run.folder.join("events.ndjson")).unwrap()
    };
    let (untraced, traced) = (events(&[]), events(&["--trace-connection", "1"]));
    assert!(!untraced.lines().any(is_story), "{untraced}");
    assert!(traced.lines().any(is_story));
    let without: Vec<&str> = traced.lines().filter(|line| !is_story(line)).collect();
    assert_eq!(without, untraced.lines().collect::<Vec<_>>());
    assert_eq!(traced, events(&["--trace-connection", "healthy[1]"]), "and is the same again");
}

#[test]
fn a_separate_hub_tells_its_side_as_well() {
    let hub = common::Hub::start(&["--profile", "ci"]);
    let target = ["--target", hub.connection_string(), "--trace-connection", "muted[0]"];
    let run = run_scenario("muted", MUTED, &target);
    assert_eq!(run.code(), 0, "{}", run.text());
    let story = story(&run);
    assert!(of(&story, "hub", "ping-queued").len() >= 3, "{story:?}");
    assert_eq!(only(&story, "hub", "end-decided").figures["category"], "PingTimeout");
    assert!(only(&story, "hub", "gone").figures["written_bytes"].as_u64().unwrap() > 0);
}
