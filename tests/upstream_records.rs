//! What a run leaves behind of the calls of event handlers: the lines of `events.ndjson`, the rows
//! of the ledger, `run.json` and the handler's own counts say the same.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "tests")]

mod common;

use std::fs;
use std::process::Stdio;
use std::time::Duration;

use common::{Run, run_builtin, run_scenario, squall};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::time::Instant;

/// Events of a run of this kind.
fn events(run: &Run, kind: &str) -> Vec<Value> {
    let text = fs::read_to_string(run.folder.join("events.ndjson")).unwrap();
    let all = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    all.filter(|event| event["event"] == kind).collect()
}

fn sum(values: &[Value], pointer: &str) -> u64 {
    values.iter().map(|value| value.pointer(pointer).unwrap().as_u64().unwrap()).sum()
}

/// The section of `run.json` about handlers.
fn upstream(run: &Run) -> Value {
    let json = run.json();
    assert_eq!(json["outcome"], "pass", "{}", run.text());
    json["upstream"].clone()
}

/// The counts of one event.
fn event<'a>(upstream: &'a Value, name: &str) -> &'a Value {
    upstream["events"].as_array().unwrap().iter().find(|of| of["event"] == name).unwrap()
}

#[test]
fn events_summary_rows_and_the_handlers_own_counts_agree_in_both_worlds() {
    let mut counts = Vec::new();
    for world in ["virtual", "sockets"] {
        let run = run_builtin("upstream-500", &["--world", world]);
        let upstream = upstream(&run);
        let connect = event(&upstream, "connect");
        let calls = events(&run, "upstream-call");
        assert_eq!(calls.len() as u64, connect["calls"].as_u64().unwrap());
        assert_eq!(upstream["records"], json!({"calls": 20, "validations": 1, "left_out": 0}));
        let received = &upstream["server"]["requests"]["connect"]["received"];
        assert_eq!(sum(&calls, "/call/tries"), received.as_u64().unwrap());
        assert_eq!(&connect["requests"], received);
        assert_eq!(connect["statuses"], upstream["server"]["requests"]["connect"]["answered"]);
        assert_eq!(connect["failures"], json!({"status": 20}));
        assert_eq!(upstream["under_way"], 0);

        let took = calls.iter().map(|call| call["call"]["took_us"].as_u64().unwrap());
        let response = &connect["response"];
        assert_eq!(took.clone().max(), response["max_us"].as_u64(), "{world}");
        assert_eq!(took.min(), response["min_us"].as_u64(), "{world}");
        assert!(response["min_us"].as_u64() >= Some(9_000_000), "four tries take nine seconds");
        assert_eq!(connect["service"]["count"], 80);

        let rows = events(&run, "attempt-ended");
        assert_eq!(rows.len(), 20);
        for row in &rows {
            let call = calls.iter().find(|call| call["attempt"] == row["attempt"]).unwrap();
            assert_eq!(row["hub"]["refused"]["upstream"], call["call"], "{row}");
            assert_eq!(call["call"]["status"], 500);
            assert_eq!(call["call"]["tries"], 4);
        }
        let end = &upstream["at_close"][0];
        assert_eq!(
            (&end["category"], &end["event"]),
            (&json!("SendEventFailed"), &json!("connect"))
        );
        assert_eq!(end["tries"], json!({"count": 20, "min": 4, "max": 4}));

        let validations = events(&run, "upstream-validation");
        assert_eq!(validations.len(), 1);
        assert_eq!(validations[0]["url"], "http://upstream/eventhandler");
        assert_eq!((&validations[0]["status"], &validations[0]["tries"]), (&json!(200), &json!(1)));
        assert_eq!(validations[0]["failure"], Value::Null);
        let lines = upstream["log"].as_array().unwrap();
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0]["count"].as_u64(), Some(events(&run, "event-failed").len() as u64));
        assert!(run.text().contains("20 × HttpHandlerUnexpectedResponse"), "{}", run.text());
        let busiest = &connect["requests_per_second_peak"];
        let told = format!("busiest second  connect: {busiest} requests");
        assert!(run.text().contains(&told), "{told}: {}", run.text());
        assert!(run.text().lines().all(|line| line.chars().count() <= 100), "{}", run.text());
        let page = fs::read_to_string(run.folder.join("report.html")).unwrap();
        assert!(page.contains("<h2>Upstream"), "{page}");

        let exact = ["calls", "taken", "failures", "requests", "retries", "statuses"];
        counts.push(exact.map(|what| connect[what].clone()));
    }
    assert_eq!(counts[0], counts[1], "the two worlds");
}

#[test]
fn a_validation_that_is_bad_is_told_with_its_reason() {
    let run = run_builtin("abuse-protection-401", &["--world", "virtual"]);
    let upstream = upstream(&run);
    let validations = events(&run, "upstream-validation");
    let bad = validations.iter().filter(|validation| !validation["failure"].is_null());
    assert_eq!(Some(bad.count() as u64), upstream["validations_bad"].as_u64());
    assert_eq!(validations[0]["failure"], "AbuseProtectionResponseInvalidStatusCode");
    assert_eq!(validations[0]["status"], 401);
    assert_eq!(Some(sum(&validations, "/tries")), upstream["validation_requests"].as_u64());
    for call in events(&run, "upstream-call") {
        assert_eq!(
            (&call["call"]["failure"], &call["call"]["tries"]),
            (&json!("not-validated"), &json!(0))
        );
    }
}

#[test]
fn without_a_handler_nothing_is_said_of_it() {
    let run = run_builtin("ping-timeout", &["--world", "virtual"]);
    assert_eq!(upstream(&run), Value::Null);
    assert_eq!(events(&run, "upstream-call"), Vec::<Value>::new());
    assert!(!run.text().contains("Upstream"), "{}", run.text());
}

/// A handler that takes `answer` for `event`.
fn scenario(event: &str, answer: &str, more: &str) -> String {
    format!(
        r#"
title = "clients and their handler"
duration = "3s"

[hub]
profile = "ci"
{more}

[[hub.event_handlers]]
url = "http://upstream/{{event}}"
system_events = ["{event}"]

[[upstream.rules]]
on = ["{event}"]
answer = {answer}

[populations.clients]
count = 5
arrival = {{ burst = {{}} }}
lifetime = "1s"

[expect.clients]
closes = {{ Normal = "all" }}
"#
    )
}

#[test]
fn a_slow_handler_takes_its_delay_and_no_less() {
    let text = scenario("connect", "{ delay = \"250ms\" }", "");
    let run = run_scenario("slow", &text, &["--world", "virtual"]);
    let upstream = upstream(&run);
    let connect = event(&upstream, "connect");
    assert_eq!((&connect["calls"], &connect["taken"]), (&json!(5), &json!(5)));
    for view in ["response", "service"] {
        let times = &connect[view];
        let [least, median] = ["min_us", "p50_us"].map(|what| times[what].as_u64().unwrap());
        // Of a simulated clock: the handler's delay, and milliseconds that links may round up to.
        assert!((250_000..260_000).contains(&least), "{times}");
        assert!((250_000..260_000).contains(&median), "{times}");
    }
}

#[test]
fn a_run_waits_for_events_that_are_tried_again_after_its_last_client() {
    let run = run_scenario(
        "late",
        &scenario("disconnected", "{ status = 500 }", ""),
        &["--world", "virtual"],
    );
    let facts = upstream(&run);
    let disconnected = event(&facts, "disconnected");
    assert_eq!(disconnected["failures"], json!({"status": 5}));
    assert_eq!((&disconnected["requests"], &facts["under_way"]), (&json!(20), &json!(0)));
    assert_eq!(facts["server"]["requests"]["disconnected"]["received"], 20);
    assert_eq!(events(&run, "upstream-call").len(), 5);
    assert_eq!(events(&run, "event-failed").len(), 5);
    assert!(run.json()["elapsed_ns"].as_u64() >= Some(9_000_000_000));
    // On the machine's clock: longer than the other waits at a run's end.
    let more = "webhooks = { retry_after = [\"3s\"] }";
    let run = run_scenario("late", &scenario("disconnected", "{ status = 500 }", more), &[]);
    let facts = upstream(&run);
    assert_eq!(event(&facts, "disconnected")["failures"], json!({"status": 5}));
    assert_eq!((&facts["records"]["calls"], &facts["under_way"]), (&json!(5), &json!(0)));
}

#[test]
fn an_interruption_ends_the_wait_for_a_handler_that_does_not_answer() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("stuck.toml");
    fs::write(&file, scenario("disconnected", "{ delay = \"90s\" }", "")).unwrap();
    let folder = root.path().join("out");
    let mut command = squall(root.path());
    command.arg("run").arg(&file).arg("--out").arg(&folder);
    let process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let is_gathering = || {
        let text = fs::read_to_string(folder.join("events.ndjson")).unwrap_or_default();
        text.contains("\"gathering\"")
    };
    let began = Instant::now();
    while !is_gathering() {
        assert!(began.elapsed() < Duration::from_secs(60), "the clients never left");
        std::thread::yield_now();
    }
    let id = Pid::from_raw(i32::try_from(process.id()).unwrap()).unwrap();
    kill_process(id, Signal::INT).unwrap();
    let output = process.wait_with_output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    let run: Value =
        serde_json::from_str(&fs::read_to_string(folder.join("run.json")).unwrap()).unwrap();
    assert_eq!(run["upstream"]["under_way"], 5, "they were not waited for: {text}");
}
