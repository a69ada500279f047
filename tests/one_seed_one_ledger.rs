//! Virtual runs of the shipped binary, in processes of their own: what they leave behind is the
//! same, byte for byte, but for what belongs to the machine.
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::squall;
use serde_json::Value;

/// Runs a shipped scenario in the virtual world, in a process of its own; gives its run folder.
fn virtually(root: &Path, scenario: &str, seed: &str, name: &str) -> PathBuf {
    let folder = root.join(name);
    let output = squall(root)
        .args(["run", scenario, "--world", "virtual", "--seed", seed, "--out"])
        .arg(&folder)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("world virtual, simulated time: "), "{told}");
    folder
}

/// `run.json`, and what of it belongs to the machine.
fn run_of(folder: &Path) -> (Value, Value) {
    let mut run: Value =
        serde_json::from_slice(&fs::read(folder.join("run.json")).unwrap()).unwrap();
    let machine = run.as_object_mut().unwrap().remove("machine").unwrap();
    (run, machine)
}

#[test]
fn calls_of_event_handlers_are_the_same_bytes_too() {
    let root = tempfile::tempdir().unwrap();
    let of = |name| virtually(root.path(), "upstream-500", "7", name);
    let (one, same) = (of("one"), of("same"));
    for file in ["events.ndjson", "trace.ndjson", "latency.hlog"] {
        let [one, same] = [&one, &same].map(|folder| fs::read(folder.join(file)).unwrap());
        assert!(one == same, "{file}: two runs of one seed");
    }
    let events = fs::read_to_string(one.join("events.ndjson")).unwrap();
    assert!(events.contains(r#""event":"upstream-call""#), "{events}");
    let log = fs::read_to_string(one.join("latency.hlog")).unwrap();
    assert!(log.contains("Tag=upstream.response.connect,"), "{log}");
    let ((run, _), (same_run, _)) = (run_of(&one), run_of(&same));
    assert_eq!(run, same_run);
    assert!(run["upstream"]["events"][0]["response"]["p50_us"].as_u64() >= Some(9_000_000));
}

#[test]
fn two_processes_leave_the_same_bytes_behind_and_another_seed_leaves_others() {
    let root = tempfile::tempdir().unwrap();
    // At least the connections' ids are drawn.
    let of = |seed, name| virtually(root.path(), "ping-timeout", seed, name);
    let (one, same, other) = (of("7", "one"), of("7", "same"), of("8", "other"));
    for file in ["events.ndjson", "trace.ndjson", "latency.hlog"] {
        let [one, same, other] =
            [&one, &same, &other].map(|folder| fs::read(folder.join(file)).unwrap());
        assert!(one == same, "{file}: two runs of one seed");
        assert!(one != other || file == "latency.hlog", "{file}: two seeds");
    }
    let ((run, machine), (same_run, same_machine)) = (run_of(&one), run_of(&same));
    assert_eq!(run, same_run);
    let started = run["run"]["started"].as_str().unwrap();
    assert!(started.starts_with("2026-01-01T00:00:00."), "{started}");
    assert_ne!(machine["started_unix_ns"], same_machine["started_unix_ns"], "real time went on");
    assert!(machine["real_elapsed_ns"].as_u64().unwrap() > 0);
    assert_eq!(machine["descriptors_before"], Value::Null, "a virtual world opens none");
    let ends = |when: &str| run["generator"][when].as_u64().unwrap();
    assert!(ends("link_ends_after") <= ends("link_ends_before"), "{}", run["generator"]);
}
