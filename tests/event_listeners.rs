//! Event listeners of the whole binary: the file of a run in both worlds, and that of a hub of its
//! own.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;

#[cfg(unix)]
use common::Hub;
use common::{Run, run_scenario, squall};

const SCENARIO: &str = r#"
title = "who listens"
duration = "2s"

[hub]
profile = "ci"

[[hub.event_listeners]]
name = "ends"
system_events = ["disconnected"]

[[hub.event_listeners]]
name = "life"
system_events = ["connected", "disconnected"]

[populations.members]
count = 5
arrival = { burst = {} }

[expect.members]
closes = { Normal = 5 }
"#;

/// Deliveries in a file, by listener and event.
fn delivered(file: &Path) -> BTreeMap<String, usize> {
    let text = fs::read_to_string(file).unwrap();
    let mut counts = BTreeMap::new();
    for line in text.lines() {
        let delivery: Value = serde_json::from_str(line).unwrap();
        let event = &delivery["properties"]["cloudEvents:eventname"];
        let key = format!("{} {}", delivery["listener"].as_str().unwrap(), event.as_str().unwrap());
        *counts.entry(key).or_default() += 1;
    }
    counts
}

fn every_event() -> BTreeMap<String, usize> {
    let counts = [("ends disconnected", 5), ("life connected", 5), ("life disconnected", 5)];
    counts.map(|(key, count)| (key.to_owned(), count)).into()
}

fn run(arguments: &[&str]) -> Run {
    let run = run_scenario("listeners", SCENARIO, arguments);
    assert_eq!(run.code(), 0, "{}", run.text());
    assert_eq!(run.json()["hub_counters"]["webhooks"]["deliveries"], 15, "{}", run.text());
    assert!(run.text().contains("event listeners  15 events delivered"), "{}", run.text());
    run
}

#[test]
fn a_run_writes_what_its_listeners_hear_in_both_worlds() {
    for world in ["sockets", "virtual"] {
        let run = run(&["--world", world]);
        assert_eq!(delivered(&run.folder.join("deliveries.ndjson")), every_event(), "{world}");
    }
}

#[test]
fn one_seed_gives_one_file() {
    let text = || fs::read(run(&["--world", "virtual"]).folder.join("deliveries.ndjson")).unwrap();
    assert_eq!(text(), text());
}

#[cfg(unix)]
#[test]
fn a_hub_of_its_own_has_its_own_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("heard.ndjson");
    let hub = Hub::start(&["--event-listener-file", file.to_str().unwrap()]);
    let run = run(&["--target", hub.connection_string()]);
    assert!(!run.folder.join("deliveries.ndjson").exists(), "it is the hub's");
    // Once the hub has ended, everything it handed over is in the file.
    hub.interrupt();
    assert_eq!(delivered(&file), every_event());
}

#[test]
fn a_file_that_is_there_is_not_written_over() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mine.txt"), "precious").unwrap();
    let arguments = ["hub", "--listen", "127.0.0.1:0", "--event-listener-file", "mine.txt"];
    let output = squall(folder.path()).args(arguments).output().unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("mine.txt"), "{output:?}");
    assert_eq!(fs::read_to_string(folder.path().join("mine.txt")).unwrap(), "precious");
}
