//! What `--world virtual` promises: one seed is one run, byte for byte, in whatever process,
//! company and environment; another seed changes what is drawn; the sockets world agrees in every
//! exact count; an interrupted run writes what there is.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::squall;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use squall::scenario;
use tokio::time::Instant;

/// Scenarios that are here for these tests.
const OWN: [&str; 7] = ["distance", "signs", "server", "reload", "delay", "throughput", "rooms"];

/// Of the shipped ones, those of which a part says as much as the whole.
const SHORTER: [(&str, &[&str]); 2] =
    [("hold-5000", &["-n", "500"]), ("soak", &["-n", "60", "--set", "duration=20s"])];

/// What a run folder holds besides `run.json` that must be the same again.
const STREAMS: [&str; 3] = ["events.ndjson", "trace.ndjson", "latency.hlog"];

fn own(name: &str) -> String {
    format!("{}/tests/worlds/{name}.toml", env!("CARGO_MANIFEST_DIR"))
}

/// A run in a process of its own that was not waited for yet.
struct Started {
    process: Child,
    folder: PathBuf,
}

impl Started {
    /// Waits for it; it must have passed.
    fn passed(self) -> PathBuf {
        let output = self.process.wait_with_output().unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert_eq!(output.status.code(), Some(0), "{text}");
        self.folder
    }
}

/// Starts a run of the virtual world.
fn start(root: &Path, folder: &str, arguments: &[&str]) -> Started {
    spawn(squall(root), root.join(folder), arguments)
}

/// The same in another environment: time zone, language, terminal, working directory, priority.
fn start_elsewhere(root: &Path, folder: &str, arguments: &[&str]) -> Started {
    let home = root.join("another/working/directory");
    fs::create_dir_all(&home).unwrap();
    let inner = squall(&home);
    let mut command = Command::new("nice");
    command.args(["-n", "5"]).arg(inner.get_program()).current_dir(&home).stdin(Stdio::null());
    command.envs([("TZ", "Asia/Kathmandu"), ("LANG", "de_DE.UTF-8"), ("LC_ALL", "de_DE.UTF-8")]);
    command.envs([("COLUMNS", "40"), ("TERM", "dumb"), ("CLICOLOR_FORCE", "1")]);
    spawn(command, root.join(folder), arguments)
}

fn spawn(mut command: Command, folder: PathBuf, arguments: &[&str]) -> Started {
    command
        .arg("run")
        .args(arguments)
        .args(["--quiet", "--world", "virtual", "--out"])
        .arg(&folder);
    let process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    Started { process, folder }
}

/// `run.json` as it was written, without the field of what belongs to the machine.
fn without_the_machine(folder: &Path) -> String {
    let text = fs::read_to_string(folder.join("run.json")).unwrap();
    let mut inside = false;
    let mut left = String::new();
    for line in text.lines() {
        let begins = line == "  \"machine\": {";
        if !inside && !begins {
            left.push_str(line);
            left.push('\n');
        }
        inside = begins || (inside && !line.starts_with("  }"));
    }
    assert!(left.len() < text.len(), "there is no field of the machine: {text}");
    left
}

fn assert_same_text(one: &str, other: &str, what: &str) {
    let differ = one.lines().zip(other.lines()).find(|(one, other)| one != other);
    assert!(differ.is_none(), "{what} differs:\n{differ:?}");
    assert!(one == other, "{what}: one is longer: {} and {} bytes", one.len(), other.len());
}

fn assert_same_run(one: &Path, other: &Path) {
    for name in STREAMS {
        let read = |folder: &Path| fs::read_to_string(folder.join(name)).unwrap();
        let text = read(one);
        assert!(!text.is_empty(), "{name} of {} says nothing", one.display());
        assert_same_text(&text, &read(other), &format!("{name} of {}", one.display()));
    }
    let what = format!("run.json of {}", one.display());
    assert_same_text(&without_the_machine(one), &without_the_machine(other), &what);
}

fn events(folder: &Path) -> Vec<Value> {
    let text = fs::read_to_string(folder.join("events.ndjson")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).expect("every line is whole")).collect()
}

fn json(folder: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(folder.join("run.json")).unwrap()).unwrap()
}

/// Rows of the ledger whose hub side ended so.
fn rows<'a>(events: &'a [Value], category: &str) -> Vec<&'a Value> {
    let rows = events.iter().filter(|event| event["event"] == "attempt-ended");
    rows.filter(|row| row["hub"]["ended"]["category"] == category).collect()
}

#[test]
fn drops_side_by_side_are_the_drops_each_alone_in_another_environment() {
    let root = tempfile::tempdir().unwrap();
    let company = start(root.path(), "company", &["drops"]);
    let of_drops: Vec<_> =
        scenario::builtins().iter().filter(|builtin| builtin.folder == "drops").collect();
    assert!(of_drops.len() >= 6);
    let alone: Vec<_> = of_drops
        .iter()
        .map(|builtin| start_elsewhere(root.path(), builtin.name, &[builtin.name]))
        .collect();
    let company = company.passed();
    for (builtin, alone) in of_drops.iter().zip(alone) {
        assert_same_run(&company.join(builtin.name), &alone.passed());
    }
}

#[test]
fn every_other_shipped_scenario_is_the_same_again_in_another_process() {
    let root = tempfile::tempdir().unwrap();
    let mut others = 0;
    let is_search = |builtin: &scenario::Builtin| builtin.plan().unwrap().search.is_some();
    let others_of = scenario::builtins().iter();
    for builtin in others_of.filter(|builtin| builtin.folder != "drops" && !is_search(builtin)) {
        let mut arguments = vec![builtin.name];
        let shorter = SHORTER.iter().find(|(name, _)| *name == builtin.name);
        arguments.extend(shorter.into_iter().flat_map(|(_, more)| *more));
        let here = start(root.path(), &format!("{}-here", builtin.name), &arguments);
        let there = start_elsewhere(root.path(), &format!("{}-there", builtin.name), &arguments);
        assert_same_run(&here.passed(), &there.passed());
        others += 1;
    }
    assert!(others >= 2);
}

#[test]
fn shaped_links_weak_clients_and_faults_are_the_same_again_side_by_side_and_alone() {
    let root = tempfile::tempdir().unwrap();
    let paths = OWN.map(own);
    let paths: Vec<_> = paths.iter().map(String::as_str).collect();
    let company = start(root.path(), "company", &paths);
    let alone: Vec<_> = OWN
        .iter()
        .zip(&paths)
        .map(|(name, path)| start_elsewhere(root.path(), name, &[path]))
        .collect();
    let company = company.passed();
    for (name, alone) in OWN.iter().zip(alone) {
        assert_same_run(&company.join(name), &alone.passed());
    }
}

/// Events of a run without its seed and the ids that are drawn for connections.
fn without_ids(folder: &Path) -> Vec<Value> {
    let mut events = events(folder);
    for event in &mut events {
        for part in ["hub", "client"] {
            let ended = match part {
                "hub" => &mut event[part]["ended"],
                _ => &mut event[part],
            };
            if let Some(ended) = ended.as_object_mut() {
                assert!(ended.remove("connection_id").is_some(), "{ended:?}");
            }
        }
        if let Some(event) = event.as_object_mut().filter(|event| event["event"] == "run-started") {
            event.remove("seed");
            event.remove("plan_hash");
        }
    }
    events
}

#[test]
fn another_seed_changes_what_is_drawn_and_nothing_else() {
    let root = tempfile::tempdir().unwrap();
    let started: Vec<_> = ["1", "2", "3"]
        .map(|seed| {
            let [distance, signs, server, delay] =
                ["distance", "signs", "server", "delay"].map(own);
            let drops = ["ping-timeout", "service-reload"];
            let own = ["--seed", seed, &distance, &signs, &server, &delay];
            let arguments = [&own[..], &drops].concat();
            start(root.path(), seed, &arguments)
        })
        .into_iter()
        .collect();
    // All of them pass: what is expected does not hang on one seed.
    let folders: Vec<_> = started.into_iter().map(Started::passed).collect();
    for (index, one) in folders.iter().enumerate() {
        for other in &folders[index + 1..] {
            for drawn in ["distance", "signs", "delay"] {
                let differs = without_ids(&one.join(drawn)) != without_ids(&other.join(drawn));
                assert!(differs, "{drawn} draws, and is the same with another seed");
            }
            for exact in ["server", "ping-timeout"] {
                let (one, other) = (one.join(exact), other.join(exact));
                assert_eq!(without_ids(&one), without_ids(&other), "{exact} draws ids only");
                assert_ne!(events(&one), events(&other), "{exact}: ids come from the seed");
            }
        }
    }
}

#[test]
fn rows_of_a_virtual_run_carry_what_was_delivered_and_held_and_the_last_pong() {
    let root = tempfile::tempdir().unwrap();
    let arguments = [&own("signs"), "slow-client", "ping-timeout"];
    let folder = start(root.path(), "runs", &arguments).passed();
    let number = |value: &Value, path: &str| {
        value.pointer(path).and_then(Value::as_u64).unwrap_or_else(|| panic!("{path} of {value}"))
    };
    for (name, count) in [("slow-client", 20), ("signs", 8)] {
        let events = events(&folder.join(name));
        let slow = rows(&events, "SlowClient");
        assert_eq!(slow.len(), count, "{name}");
        for row in slow {
            assert!(number(row, "/hub/ended/delivered") > 0, "{row}");
            assert!(number(row, "/client/received") > 0, "{row}");
            assert!(number(row, "/client/received") < number(row, "/hub/ended/delivered"));
            assert!(number(row, "/client/read_bytes") > 0, "{row}");
            assert!(
                number(row, "/client/read_bytes") < number(row, "/hub/ended/written_bytes"),
                "the link holds something: {row}"
            );
            assert!(number(row, "/hub/ended/queue_bytes") > 64 * 1024, "{row}");
            assert!(number(row, "/hub/ended/last_pong_ns") > 0, "{row}");
        }
    }
    let events = events(&folder.join("ping-timeout"));
    for row in rows(&events, "PingTimeout") {
        assert!(row["hub"]["ended"]["last_pong_ns"].is_null(), "never a pong: {row}");
        assert!(number(row, "/client/pings") > 0, "{row}");
        assert_eq!(number(row, "/client/pongs"), 0);
    }
    let steady = rows(&events, "Normal");
    assert!(steady.iter().all(|row| number(row, "/client/pongs") > 0));
    let received: u64 = steady.iter().map(|row| number(row, "/client/received")).sum();
    assert!(received > 0, "messages were delivered");
}

#[test]
fn two_worlds_agree_in_every_exact_count() {
    let root = tempfile::tempdir().unwrap();
    let paths = ["server", "reload"].map(own);
    let sockets = paths.clone().map(|path| {
        let folder = root.path().join(Path::new(&path).file_stem().unwrap());
        let mut command = squall(root.path());
        command.args(["run", &path, "--quiet", "--out"]).arg(&folder);
        let process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Started { process, folder }
    });
    let in_memory = start(root.path(), "virtual", &[&paths[0], &paths[1]]).passed();
    for sockets in sockets {
        let sockets = sockets.passed();
        let name = sockets.file_name().unwrap();
        let (one, other) = (json(&in_memory.join(name)), json(&sockets));
        let worlds = [&one, &other].map(|run| run["run"]["world"].as_str().unwrap());
        assert_eq!(worlds, ["virtual", "sockets"]);
        for part in ["matrix", "populations"] {
            assert_eq!(one[part], other[part], "{part} of {name:?}");
        }
        let outcomes = |run: &Value| -> Vec<(Value, Value)> {
            let checks = run["checks"].as_array().unwrap().iter();
            checks.map(|check| (check["path"].clone(), check["outcome"].clone())).collect()
        };
        assert_eq!(outcomes(&one), outcomes(&other), "{name:?}");
    }
}

/// Many clients for a year: never over by itself.
const ENDLESS: &str = r#"
title = "endless"
duration = "8760h"

[hub]
profile = "ci"

[populations.steady]
count = 40
arrival = { rate = "100/s" }
groups = ["room"]

[populations.coming]
count = 2
arrival = { rate = "1/min" }
lifetime = "2s"
reconnect = { fixed = { every = "1s" } }

[populations.late]
count = 1
arrival = { burst = {}, start = "8759h" }

[traffic.chatter]
from = "steady[0]"
to = { group = "room" }
rate = "1/s"
size = "128B"

[expect.steady]
closes = { Normal = "all" }
"#;

/// Starts it, and again beside it, and waits until the first connections of both have ended (of the
/// first alone where there is one core).
fn start_endless(root: &Path) -> Started {
    fs::write(root.join("endless.toml"), ENDLESS).unwrap();
    // More of them, so that it takes longer to end.
    let beside = ENDLESS.replace("count = 40", "count = 400");
    fs::write(root.join("beside.toml"), beside).unwrap();
    let started = start(root, "out", &["endless.toml", "beside.toml"]);
    let until = Instant::now() + Duration::from_secs(30);
    let has_rows = |name: &str| {
        let path = started.folder.join(name).join("events.ndjson");
        fs::read_to_string(path).is_ok_and(|text| text.contains("attempt-ended"))
    };
    let cores = std::thread::available_parallelism().unwrap().get();
    while !(has_rows("endless") && (cores == 1 || has_rows("beside"))) {
        assert!(Instant::now() < until, "nothing happened");
        std::thread::yield_now();
    }
    started
}

/// The run folders of both, as far as they were begun.
fn begun(started: &Path) -> Vec<PathBuf> {
    let folders = fs::read_dir(started).unwrap();
    folders.map(|entry| entry.unwrap().path()).collect()
}

fn signal(started: &Started, signal: Signal) {
    let id = Pid::from_raw(i32::try_from(started.process.id()).unwrap()).unwrap();
    kill_process(id, signal).unwrap();
}

#[test]
fn an_interrupted_virtual_run_drains_writes_every_file_and_exits_105() {
    let root = tempfile::tempdir().unwrap();
    let started = start_endless(root.path());
    signal(&started, Signal::INT);
    let output = started.process.wait_with_output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(105), "{text}");
    assert!(text.contains("INTERRUPTED  endless"), "{text}");
    for folder in begun(&started.folder) {
        for name in STREAMS.into_iter().chain(["run.json", "report.html"]) {
            assert!(folder.join(name).is_file(), "{name} of {}: {text}", folder.display());
        }
        let run = json(&folder);
        assert_eq!(run["how"], "interrupted");
        let year_ns = 8_760 * 3_600 * 1_000_000_000_u64;
        assert!(run["elapsed_ns"].as_u64().unwrap() < year_ns, "it ended where it was: {run}");
        // Whoever was there left in order: drained, not cut off.
        let events = events(&folder);
        let steady = |row: &&Value| row["attempt"].as_str().unwrap().starts_with("steady");
        let normal: Vec<_> = rows(&events, "Normal").into_iter().filter(steady).collect();
        assert_eq!(run["populations"][0]["name"], "steady");
        assert_eq!(run["populations"][0]["opens"], normal.len(), "{text}");
        assert!(normal.len() >= 40, "{text}");
        let closed = |row: &&Value| &row["client"]["observation"]["close-frame"]["code"] == 1000;
        assert!(normal.iter().all(closed));
        assert_eq!(events.last().unwrap()["event"], "run-ended");
    }
}

#[test]
fn a_killed_virtual_run_leaves_readable_events_and_no_run_file() {
    let root = tempfile::tempdir().unwrap();
    let started = start_endless(root.path());
    signal(&started, Signal::KILL);
    let output = started.process.wait_with_output().unwrap();
    assert_eq!(output.status.code(), None, "killed");
    for folder in begun(&started.folder) {
        let events = events(&folder);
        assert_eq!(events.first().unwrap()["event"], "run-started");
        assert!(events.iter().any(|event| event["event"] == "attempt-ended"));
        assert!(!folder.join("run.json").exists());
    }
}

#[test]
fn a_hub_past_its_throughput_delays_what_it_delivers_and_tells_by_what() {
    let root = tempfile::tempdir().unwrap();
    let run = json(&start(root.path(), "run", &[&own("throughput")]).passed());
    let patterns = &run["hub_counters"]["throughput"];
    let (big, small) = (&patterns["big_group"], &patterns["small_group"]);
    // Alone, in the first half, the big room waits for nothing.
    let waited = big["waited"].as_u64().unwrap();
    assert!((70..=80).contains(&waited), "{big}");
    assert_eq!((big["messages"].as_u64(), small["messages"].as_u64()), (Some(160), Some(160)));
    assert_eq!(big["busy"]["messages_out_ns"].as_u64(), Some(160 * 80_000_000), "{big}");
    // 8 s at 105 %: 0.4 s were left over, but for what one message takes.
    for pattern in [big, small] {
        let longest = pattern["longest_wait_us"].as_u64().unwrap();
        assert!((350_000..=480_000).contains(&longest), "{pattern}");
        assert_eq!(pattern["refused"], 0);
    }
}
