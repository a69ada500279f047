//! Whole runs of the shipped binary over real sockets on loopback: the files a run leaves behind,
//! however it ends.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::{run_scenario, squall};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::time::Instant;

/// Two kinds of clients, a drop, traffic; decided after about five seconds.
const SMALL: &str = r#"
title = "small"
duration = "12s"

[hub]
profile = "ci"

[populations.steady]
count = 8
arrival = { rate = "50/s" }
groups = ["room"]

[populations.muted]
count = 2
arrival = { rate = "50/s" }
groups = ["room"]
behaviour = { suppress_pong = {} }

[traffic.chatter]
from = "steady[0]"
to = { group = "room" }
rate = "20/s"
size = "128B"

[expect.muted]
closes = { PingTimeout = "all" }

[expect.steady]
closes = { Normal = "all" }
delivery = "complete"

[thresholds]
message = ["p(99)<5s"]
"#;

/// Nothing is decided before a minute is over: a run to be stopped.
const LONG: &str = r#"
title = "long"
duration = "60s"

[hub]
profile = "ci"

[populations.steady]
count = 8
arrival = { rate = "50/s" }
groups = ["room"]

[populations.late]
count = 1
arrival = { burst = {}, start = "55s" }

[traffic.chatter]
from = "steady[0]"
to = { group = "room" }
rate = "20/s"
size = "128B"

[expect.steady]
closes = { Normal = "all" }
"#;

const FILES: [&str; 5] =
    ["events.ndjson", "trace.ndjson", "latency.hlog", "report.html", "run.json"];

fn lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "the last line is whole");
    text.lines().map(|line| serde_json::from_str(line).expect("every line is whole")).collect()
}

fn of_kind<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["event"] == kind).collect()
}

fn assert_keeps_to_the_schema(run: &Value) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/run.schema.json");
    let schema: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<_> = schema.iter_errors(run).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
}

/// Everybody comes and goes, six times a minute.
const CHURNING: &str = r#"
title = "coming and going"
duration = "4s"

[hub]
profile = "ci"

[populations.members]
count = 40
arrival = { rate = "100/s" }
groups = ["room"]
churn = "600%/min"

[traffic.chatter]
from = "members"
to = { group = "room" }
rate = "2/s"
size = "64B"

[expect.members]
closes = { Normal = "all" }
delivery = "complete"
"#;

#[test]
fn who_churns_leaves_in_order_comes_back_and_misses_nothing_while_it_is_there() {
    let run = run_scenario("churning", CHURNING, &[]);
    assert_eq!(run.code(), 0, "{}", run.text());
    let json = run.json();
    let ends = json["ends_total"].as_array().unwrap();
    assert_eq!(ends.len(), 1, "{ends:?}");
    // About sixteen departures beside the forty at the end; the seed draws the same ones each time.
    let count = ends[0]["count"].as_u64().unwrap();
    assert!((46..=72).contains(&count), "{count}");
    let of_it = &json["populations"][0];
    assert_eq!((&of_it["dropped"], &of_it["recovered"]), (&Value::from(0), &Value::from(0)));
}

#[test]
fn a_run_leaves_every_file_and_they_tell_the_same() {
    let junit = tempfile::tempdir().unwrap();
    let xml = junit.path().join("out.xml");
    let markdown = junit.path().join("out.md");
    let extra = ["--junit", xml.to_str().unwrap(), "--markdown", markdown.to_str().unwrap()];
    let run = run_scenario("small", SMALL, &extra);
    assert_eq!(run.code(), 0, "{}", run.text());
    for name in FILES {
        assert!(run.folder.join(name).is_file(), "{name}");
    }
    assert_eq!(fs::read_dir(&run.folder).unwrap().count(), FILES.len(), "nothing else is left");

    let json = run.json();
    assert_keeps_to_the_schema(&json);
    assert_eq!(json["outcome"], "pass");
    let events = lines(&run.folder.join("events.ndjson"));
    assert_eq!(events.first().unwrap()["event"], "run-started");
    assert_eq!(events.last().unwrap()["event"], "run-ended");
    assert!(of_kind(&events, "progress").is_empty(), "progress is for live views only");
    let rows = of_kind(&events, "attempt-ended").len() as u64;
    let total = |list: &Value| -> u64 {
        list.as_array().unwrap().iter().map(|row| row["count"].as_u64().unwrap()).sum()
    };
    assert_eq!(rows, 10);
    for list in ["ends", "ends_total", "matrix"] {
        assert_eq!(total(&json[list]), rows, "{list}");
    }
    let trace = lines(&run.folder.join("trace.ndjson"));
    assert!(trace.iter().any(|record| record["operationName"] == "ConnectionStarted"));
    let log = fs::read_to_string(run.folder.join("latency.hlog")).unwrap();
    assert!(log.starts_with('#') && log.contains("Tag=message.response.steady."), "{log}");
    let page = fs::read_to_string(run.folder.join("report.html")).unwrap();
    assert!(page.contains("PingTimeout"));
    assert!(fs::read_to_string(xml).unwrap().contains("expect.muted.closes"));
    assert!(fs::read_to_string(markdown).unwrap().contains("PingTimeout"));

    let text = run.text();
    for wanted in ["PASS  small: small", "How connections ended", "not Azure", "reset, no close"] {
        assert!(text.contains(wanted), "{wanted} in {text}");
    }
}

#[test]
fn a_folder_with_a_run_is_not_written_over() {
    let root = tempfile::tempdir().unwrap();
    let out = root.path().join("out");
    fs::create_dir(&out).unwrap();
    fs::write(out.join("run.json"), "mine").unwrap();
    let mut command = squall(root.path());
    let status = command.args(["run", "ping-timeout", "--out", "out"]).output().unwrap().status;
    assert_eq!(status.code(), Some(2));
    assert_eq!(fs::read_to_string(out.join("run.json")).unwrap(), "mine");
}

#[test]
fn an_expectation_that_does_not_hold_exits_99_and_is_told() {
    let wrong = SMALL.replace("message = [\"p(99)<5s\"]", "opens = [\"count==11\"]");
    let run = run_scenario("wrong", &wrong, &[]);
    assert_eq!(run.code(), 99, "{}", run.text());
    assert_eq!(run.failed_checks(), ["thresholds.opens"]);
    assert!(run.text().contains("FAIL  thresholds.opens"), "{}", run.text());
    assert!(run.text().contains("hint"), "{}", run.text());
}

#[test]
fn an_expectation_that_cannot_hold_is_foretold() {
    let told = "expect.muted.closes: demands PingTimeout = 0";
    let wrong = SMALL.replace("{ PingTimeout = \"all\" }", "{ Normal = \"all\" }");
    let run = run_scenario("wrong", &wrong, &["--quiet"]);
    assert_ne!(run.code(), 2, "a forecast is no error: {}", run.text());
    let text = String::from_utf8_lossy(&run.output.stderr).into_owned();
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains(told) && words.contains("the run will tell"), "{text}");

    let fine = run_scenario("fine", SMALL, &["--quiet"]);
    assert_eq!(String::from_utf8_lossy(&fine.output.stderr), "");
}

#[test]
fn repeats_share_a_seed_and_tell_their_spread() {
    let run = run_scenario("small", SMALL, &["--repeat", "2", "--quiet"]);
    assert_eq!(run.code(), 0, "{}", run.text());
    let text = run.text();
    assert!(text.contains("Spread over 2 runs of small"), "{text}");
    let seeds: Vec<_> = ["small-1", "small-2"]
        .map(|name| {
            let file = run.folder.join(name).join("run.json");
            let json: Value = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
            json["run"]["seed"].clone()
        })
        .to_vec();
    assert_eq!(seeds[0], seeds[1]);
}

/// A run under way, in a folder of its own.
struct Running {
    process: Child,
    folder: PathBuf,
    _root: tempfile::TempDir,
}

impl Running {
    /// Starts a scenario and waits until its first connections have sent messages.
    fn start(text: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("long.toml"), text).unwrap();
        let process = squall(root.path())
            .args(["run", "long.toml"])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // The link is there as soon as the folder is: it leads to the run under way.
        let folder = root.path().join("squall-runs/latest");
        let running = Self { process, folder, _root: root };
        running.wait_for("trace.ndjson", "ConnectionStarted");
        running
    }

    fn wait_for(&self, name: &str, text: &str) {
        let path = self.folder.join(name);
        let holds = async {
            while !fs::read_to_string(&path).is_ok_and(|found| found.contains(text)) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime
            .block_on(async { tokio::time::timeout(Duration::from_secs(30), holds).await })
            .unwrap_or_else(|_| panic!("{name} never held {text}"));
    }

    fn signal(&self, signal: Signal) {
        let id = Pid::from_raw(i32::try_from(self.process.id()).unwrap()).unwrap();
        kill_process(id, signal).unwrap();
    }

    /// Waits for the end; exit code and everything printed.
    fn end(self) -> (Option<i32>, String, PathBuf, tempfile::TempDir) {
        let output = self.process.wait_with_output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap(), self.folder, self._root)
    }
}

#[test]
fn an_interrupted_run_drains_writes_every_file_and_exits_105() {
    for signal in [Signal::INT, Signal::TERM] {
        let running = Running::start(LONG);
        running.signal(signal);
        let (code, text, folder, _root) = running.end();
        assert_eq!(code, Some(105), "{text}");
        assert!(text.contains("INTERRUPTED  long"), "{text}");
        for name in FILES {
            assert!(folder.join(name).is_file(), "{name}: {text}");
        }
        let json: Value =
            serde_json::from_str(&fs::read_to_string(folder.join("run.json")).unwrap()).unwrap();
        assert_keeps_to_the_schema(&json);
        assert_eq!(json["how"], "interrupted");
        let events = lines(&folder.join("events.ndjson"));
        assert_eq!(of_kind(&events, "attempt-ended").len(), 8, "every connection has its row");
    }
}

#[test]
fn the_second_interrupt_does_not_wait_for_anything() {
    // A client that reads nothing cannot shake hands: draining alone would take its whole grace.
    let stalled = LONG.replace(
        "[populations.late]",
        "[populations.stalled]\ncount = 2\narrival = { burst = {} }\nbehaviour = { stall = {} }\n\n\
         [populations.late]",
    );
    let running = Running::start(&stalled);
    running.signal(Signal::INT);
    running.wait_for("events.ndjson", "leaving");
    let asked = Instant::now();
    running.signal(Signal::INT);
    let (code, text, folder, _root) = running.end();
    let took = asked.elapsed();
    assert_eq!(code, Some(105), "{text}");
    // The promise is one second; the rest is for a busy machine.
    assert!(took < Duration::from_secs(2), "{took:?}");
    assert!(!lines(&folder.join("events.ndjson")).is_empty());
}

#[test]
fn a_killed_run_leaves_readable_events_and_no_run_file() {
    let running = Running::start(LONG);
    running.wait_for("events.ndjson", "running");
    running.signal(Signal::KILL);
    let (code, _, folder, _root) = running.end();
    assert_eq!(code, None, "killed");
    let events = lines(&folder.join("events.ndjson"));
    assert_eq!(events.first().unwrap()["event"], "run-started");
    let names: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "the two streams and nothing half made: {names:?}");
}

/// The command behind a shell line that limits what it may do.
fn limited(root: &Path, limit: &str, arguments: &[&str]) -> Command {
    let inner = squall(root);
    let mut command = Command::new("sh");
    command.current_dir(root).env("NO_COLOR", "1").stdin(Stdio::null());
    command.args(["-c", &format!("{limit}; exec \"$0\" \"$@\"")]);
    command.arg(inner.get_program()).args(arguments);
    command
}

#[test]
fn too_few_descriptors_are_known_before_anything_starts() {
    let root = tempfile::tempdir().unwrap();
    let output = limited(root.path(), "ulimit -n 100", &["run", "ping-timeout"]).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(98), "{text}");
    let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(flat.contains("needs 264 open files") && flat.contains("may open 100"), "{text}");
    assert!(!root.path().join("squall-runs").exists(), "nothing was started");
}

#[test]
fn a_full_disk_is_told_and_leaves_nothing_half_written() {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("small.toml"), SMALL).unwrap();
    // Files may grow to 4 KiB: enough for some events, not for the results.
    let limit = "trap '' XFSZ; ulimit -f 8";
    let output =
        limited(root.path(), limit, &["run", "small.toml", "--out", "out"]).output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(text.contains("not written: events.ndjson"), "{text}");
    assert!(text.contains("How connections ended"), "the verdict is told all the same: {text}");
    let folder = root.path().join("out");
    assert!(!lines(&folder.join("events.ndjson")).is_empty(), "what is there is readable");
    for name in ["run.json", "report.html"] {
        assert!(!folder.join(name).exists(), "{name}");
    }
    let hidden = fs::read_dir(&folder)
        .unwrap()
        .any(|entry| entry.unwrap().file_name().to_string_lossy().starts_with('.'));
    assert!(!hidden, "no temporary file is left");
}
