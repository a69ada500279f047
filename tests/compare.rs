//! `squall compare`, `squall baseline` and `--baseline` from outside: what is found, printed,
//! written and refused, and with which exit code.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use std::fs;
use std::path::Path;
use std::process::Output;

use common::squall;
use serde_json::{Value, json};
use tempfile::TempDir;

/// Clients that stop reading beside others that do not: drops, losses, latencies, in a second.
const SCENARIO: &str = r#"
title = "readers that stop"
duration = "8s"

[hub]
profile = "ci"

[populations.healthy]
count = 8
arrival = { burst = {} }
groups = ["room"]

[populations.stalled]
count = 2
arrival = { burst = {} }
groups = ["room"]
behaviour = { stall = { from = "1s" } }

[traffic.feed]
from = "healthy[0]"
to = { group = "room" }
rate = "50/s"
size = "4KiB"

[expect.stalled]
closes = { SlowClient = "all" }

[expect.healthy]
closes = { Normal = "all" }
delivery = "complete"
"#;

const REGRESSION: i32 = 97;
const USAGE: i32 = 2;

/// A folder with the scenario in it.
fn home() -> TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("readers.toml"), SCENARIO).unwrap();
    root
}

fn call(root: &Path, arguments: &[&str]) -> Output {
    squall(root).args(arguments).output().unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// What was said with every run of blanks as one: lines are wrapped.
fn words(output: &Output) -> String {
    said(output).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Runs the scenario in the virtual world; its folder is `name`.
fn run(root: &Path, name: &str, more: &[&str]) -> Output {
    let mut arguments = vec!["run", "readers.toml", "--world", "virtual", "--out", name];
    arguments.extend(more);
    call(root, &arguments)
}

/// A folder with one run, `base`.
fn with_base() -> TempDir {
    let root = home();
    let output = run(root.path(), "base", &["--quiet"]);
    assert_eq!(code(&output), 0, "{}{}", out(&output), said(&output));
    root
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Writes a copy of a run as if it had come out differently.
fn changed(root: &Path, from: &str, to: &str, change: impl FnOnce(&mut Value)) {
    let mut json = read(&root.join(from).join("run.json"));
    change(&mut json);
    fs::create_dir_all(root.join(to)).unwrap();
    fs::write(root.join(to).join("run.json"), format!("{json:#}\n")).unwrap();
}

/// A count of `run.json` and one more or less.
fn add(json: &mut Value, path: &str, by: i64) {
    let place = json.pointer_mut(path).unwrap_or_else(|| panic!("{path}"));
    *place = json!(place.as_i64().unwrap() + by);
}

/// Ten times the p99 of messages, and a second more: past every bound.
fn slow_down(json: &mut Value) {
    let series = json["latency_total"].as_array_mut().unwrap();
    let message = series.iter_mut().find(|series| series["kind"] == "message").unwrap();
    add(message, "/response/p99_us", 1_000_000);
}

/// As if it had been over sockets, on this machine.
fn over_sockets(json: &mut Value) {
    json["run"]["world"] = json!("sockets");
}

/// The lines of the table that say so.
fn lines_with<'a>(text: &'a str, judgement: &str) -> Vec<&'a str> {
    text.lines().filter(|line| line.trim_end().ends_with(judgement)).collect()
}

/// The comparison of two runs as text, which fits the screen, and the exit code.
fn compare(root: &Path, base: &str, run: &str, more: &[&str]) -> (String, i32) {
    let mut arguments = vec!["compare", base, run];
    arguments.extend(more);
    let output = call(root, &arguments);
    let text = out(&output);
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
    (text + &said(&output), code(&output))
}

/// The text with what differs from day to day and build to build masked, width for width.
fn assert_told(name: &str, text: &str) {
    insta::with_settings!({
        snapshot_path => "golden/compare",
        prepend_module_to_snapshot => false,
        filters => vec![
            (r"plan [0-9a-f]{16}", "plan ----------------"),
            (r"[0-9]{4}-[0-9]{2}-[0-9]{2}", "YYYY-MM-DD"),
            (r"Squall [0-9]+\.[0-9]+\.[0-9]+", "Squall V.V.V"),
        ],
    }, { insta::assert_snapshot!(name, text); });
}

#[test]
fn the_same_run_again_is_no_regression() {
    let root = with_base();
    assert_eq!(code(&run(root.path(), "again", &["--quiet"])), 0);
    let (text, code) = compare(root.path(), "base", "again", &["--require-comparable"]);
    assert_eq!(code, 0, "{text}");
    assert!(text.starts_with("NO REGRESSION  readers: "), "{text}");
    assert_told("no_regression", &text);
}

#[test]
fn each_change_turns_its_own_row_red_and_no_other() {
    type Break = fn(&mut Value);
    let breaks: [(&str, Break, &str); 5] = [
        (
            "drop",
            |json| add(json, "/populations/1/categories/SlowClient", 1),
            "stalled: SlowClient",
        ),
        (
            "bystander",
            |json| json["populations"][0]["categories"]["PingTimeout"] = json!(1),
            "healthy: PingTimeout",
        ),
        (
            "loss",
            |json| {
                add(json, "/populations/0/delivery/lost", 1);
                add(json, "/populations/0/delivery/received", -1);
            },
            "healthy: messages lost",
        ),
        (
            "twice",
            |json| {
                add(json, "/populations/0/delivery/duplicated", 1);
                add(json, "/populations/0/delivery/received", 1);
            },
            "healthy: messages duplicated",
        ),
        ("slower", slow_down, "message p99"),
    ];
    let root = with_base();
    for (name, change, figure) in breaks {
        changed(root.path(), "base", name, change);
        let (text, code) = compare(root.path(), "base", name, &[]);
        assert_eq!(code, REGRESSION, "{name}: {text}");
        let red = lines_with(&text, "REGRESSION");
        assert!(matches!(red[..], [line] if line.contains(figure)), "{name}: {red:?}");
        assert!(text.contains("figures is outside its bound"), "{text}");
    }
    changed(root.path(), "base", "worse", |json| {
        breaks[0].1(json);
        breaks[2].1(json);
        slow_down(json);
    });
    let (text, _) = compare(root.path(), "base", "worse", &[]);
    assert_told("regression", &text);
}

#[test]
fn latencies_of_another_machine_are_not_compared_unless_that_is_demanded() {
    let root = with_base();
    changed(root.path(), "base", "here", over_sockets);
    changed(root.path(), "here", "slower", slow_down);
    changed(root.path(), "slower", "elsewhere", |json| {
        add(json, "/machine/cores", 62);
        json["machine"]["computer"]["cpu"] = json!("another model");
    });
    let (text, code) = compare(root.path(), "here", "slower", &[]);
    assert_eq!(code, REGRESSION, "{text}");
    let red = lines_with(&text, "REGRESSION");
    assert!(matches!(red[..], [line] if line.contains("message p99")), "{text}");

    let (text, code) = compare(root.path(), "here", "elsewhere", &[]);
    assert_eq!(code, 0, "{text}");
    assert!(lines_with(&text, "not compared").len() >= 4, "{text}");
    let told = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("the machines are not alike: cores "), "{text}");
    assert!(told.contains("→ another model"), "{text}");

    let (text, code) = compare(root.path(), "here", "elsewhere", &["--require-comparable"]);
    assert_eq!(code, REGRESSION, "{text}");
    assert!(text.starts_with("NOT COMPARABLE  readers: "), "{text}");
    // What does not need the machine is compared all the same.
    let (text, code) = compare(root.path(), "base", "elsewhere", &[]);
    assert_eq!(code, 0, "{text}");
    assert!(text.contains("world virtual → sockets"), "{text}");
}

#[test]
fn a_changed_plan_is_an_error_that_says_what_changed() {
    let root = with_base();
    let set = ["--quiet", "--set", "hub.queue.bytes=32KiB"];
    assert_eq!(code(&run(root.path(), "other", &set)), 0);
    let (text, code) = compare(root.path(), "base", "other", &["--markdown", "told.md"]);
    assert_eq!(code, USAGE, "{text}");
    assert!(text.contains("changed  hub.queue.bytes: 64 KiB → 32 KiB\n"), "{text}");
    assert_told("plan_changed", &text);
    let markdown = fs::read_to_string(root.path().join("told.md")).unwrap();
    assert!(markdown.contains("| hub.queue.bytes | 64 KiB | 32 KiB |"), "{markdown}");
    let (json, _) = compare_json(root.path(), "base", "other");
    assert_eq!(json["finding"], "plan-changed");
    assert_eq!(json["plan_changes"][0]["what"], "hub.queue.bytes");
}

fn compare_json(root: &Path, base: &str, run: &str) -> (Value, i32) {
    let output = call(root, &["compare", base, run, "--json"]);
    (serde_json::from_str(&out(&output)).unwrap(), code(&output))
}

fn validator(what: &str) -> jsonschema::Validator {
    let path = format!("{}/schemas/{what}.schema.json", env!("CARGO_MANIFEST_DIR"));
    jsonschema::validator_for(&read(Path::new(&path))).unwrap()
}

#[test]
fn json_and_baselines_are_what_their_schemas_say() {
    let root = with_base();
    changed(root.path(), "base", "slower", slow_down);
    let (json, code) = compare_json(root.path(), "base", "slower");
    assert_eq!((code, &json["finding"]), (REGRESSION, &json!("regression")));
    let red = |row: &&Value| row["judgement"] == "regression";
    let red: Vec<_> = json["rows"].as_array().unwrap().iter().filter(red).collect();
    let tail = json!({"kind": "latency", "timed": "message", "quantile": "p99"});
    assert!(matches!(red[..], [row] if row["figure"] == tail), "{red:?}");
    accept(root.path(), "base", &[]);
    let baseline = read(&root.path().join("readers.baseline.json"));
    for (what, value, demanded) in
        [("comparison", json, "finding"), ("baseline", baseline, "reason")]
    {
        let validator = validator(what);
        let errors: Vec<_> = validator.iter_errors(&value).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{what}: {errors:?}");
        let mut broken = value;
        broken[demanded] = json!(7);
        assert!(!validator.is_valid(&broken), "{what}: the schema demands something");
        let path = format!("{}/schemas/{what}.schema.json", env!("CARGO_MANIFEST_DIR"));
        let printed = out(&call(root.path(), &["schema", what]));
        assert_eq!(printed, fs::read_to_string(path).unwrap(), "{what}");
    }
}

/// Accepts a run, which must go well.
fn accept(root: &Path, run: &str, more: &[&str]) -> String {
    let mut arguments = vec!["baseline", "accept", run, "--reason", "it is as it should be"];
    arguments.extend(more);
    let output = call(root, &arguments);
    assert_eq!(code(&output), 0, "{}", said(&output));
    out(&output)
}

#[test]
fn a_run_is_judged_by_its_baseline_and_the_exit_code_says_so() {
    let root = with_base();
    accept(root.path(), "base", &["--out", "readers.json"]);
    let output = run(root.path(), "again", &["--baseline", "readers.json"]);
    let text = out(&output);
    assert_eq!(code(&output), 0, "{text}");
    let (report, comparison) = (text.find("PASS  readers").unwrap(), text.find("NO REGRESSION"));
    assert!(comparison.unwrap() > report, "the run comes first: {text}");
    let output = run(root.path(), "quiet", &["--baseline", "readers.json", "--quiet"]);
    assert_eq!(out(&output).lines().count(), 2, "a line each: {}", out(&output));

    // As if it had been better once: one client fewer was dropped, one message fewer was lost.
    let mut baseline = read(&root.path().join("readers.json"));
    add(&mut baseline, "/accepted/populations/1/categories/SlowClient", -1);
    add(&mut baseline, "/accepted/populations/1/delivery/lost", -1);
    fs::write(root.path().join("better.json"), baseline.to_string()).unwrap();
    let against = ["--baseline", "better.json", "--quiet", "--markdown", "told.md"];
    let output = run(root.path(), "worse", &against);
    let text = out(&output);
    assert_eq!(code(&output), REGRESSION, "{text}");
    assert_eq!(lines_with(&text, "REGRESSION").len(), 2, "{text}");

    let markdown = fs::read_to_string(root.path().join("told.md")).unwrap();
    assert!(markdown.contains("## Squall: readers against its base"), "{markdown}");
    assert!(markdown.contains("| stalled: SlowClient | 1 | 2 | +1 |"), "{markdown}");

    // What fails by itself keeps its own exit code: with a queue for everything nobody is dropped.
    let fails = ["--quiet", "--set", "hub.queue.bytes=64MiB", "--set", "hub.queue.messages=90000"];
    assert_eq!(code(&run(root.path(), "failed", &fails)), 99);
    accept(root.path(), "failed", &["--out", "failed.json"]);
    let again = [&fails[..], &["--baseline", "failed.json"]].concat();
    let output = run(root.path(), "failed-again", &again);
    assert_eq!(code(&output), 99);
    assert!(out(&output).contains("NO REGRESSION"), "it is known: {}", out(&output));
}

#[test]
fn a_baseline_of_another_plan_is_refused_before_anything_starts() {
    let root = with_base();
    accept(root.path(), "base", &[]);
    let baseline = ["--baseline", "readers.baseline.json"];
    let other = [&baseline[..], &["--set", "populations.stalled.count=3"]].concat();
    let output = run(root.path(), "other", &other);
    assert_eq!(code(&output), USAGE, "{}", said(&output));
    let told = words(&output);
    assert!(told.contains("changed populations.stalled.count: 2 → 3"), "{told}");
    assert!(told.contains("nothing was started"), "{told}");
    assert!(!root.path().join("other").exists());
    for (more, why) in [
        (&["--seeds", "3"][..], "--baseline does not go together with --seeds"),
        (&["ping-timeout"][..], "--baseline is of one scenario"),
        (&["--sweep", "hub.queue.bytes=64KiB,32KiB"][..], "--baseline does not go together"),
    ] {
        let output = run(root.path(), "other", &[&baseline[..], more].concat());
        assert_eq!(code(&output), USAGE, "{more:?}: {}", out(&output));
        assert!(words(&output).contains(why), "{more:?}: {}", said(&output));
    }
}

#[test]
fn a_baseline_is_the_same_text_each_time_and_holds_nothing_of_the_clock_but_the_day() {
    let root = with_base();
    assert_eq!(code(&run(root.path(), "again", &["--quiet"])), 0);
    accept(root.path(), "base", &["--out", "one.json"]);
    accept(root.path(), "again", &["--out", "two.json"]);
    let [one, two] =
        ["one.json", "two.json"].map(|name| fs::read_to_string(root.path().join(name)).unwrap());
    // Midnight may lie between the two.
    let without_day = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.contains("\"date\""));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(without_day(&one), without_day(&two));
    for noise in ["started", "elapsed", "unix"] {
        assert!(!one.contains(noise), "{noise}: {one}");
    }
    let shown = out(&call(root.path(), &["baseline", "show", "one.json"]));
    assert!(shown.starts_with("BASELINE  readers: it is as it should be\n"), "{shown}");
    assert!(shown.contains("stalled: SlowClient"), "{shown}");
}

#[test]
fn a_baseline_that_is_replaced_is_told_by_its_differences() {
    let root = with_base();
    let told = accept(root.path(), "base", &[]);
    assert!(told.contains("written  readers.baseline.json"), "{told}");
    let told = accept(root.path(), "base", &[]);
    assert!(told.contains("is as it was"), "{told}");
    changed(root.path(), "base", "more", |json| {
        add(json, "/populations/1/categories/SlowClient", 1);
    });
    let told = accept(root.path(), "more", &[]);
    assert!(told.contains("replaced  readers.baseline.json, which was accepted for: it"), "{told}");
    let row = lines_with(&told, "REGRESSION");
    assert!(matches!(row[..], [row] if row.contains("stalled: SlowClient")), "{told}");
    assert_eq!(compare(root.path(), "readers.baseline.json", "more", &[]).1, 0);
    assert_eq!(compare(root.path(), "readers.baseline.json", "base", &[]).1, REGRESSION);
}

#[test]
fn what_is_no_whole_answer_is_not_accepted() {
    let root = with_base();
    type Break = fn(&mut Value);
    let breaks: [(&str, Break, &str, i32); 3] = [
        ("interrupted", |json| json["how"] = json!("interrupted"), "was interrupted", USAGE),
        ("invalid", |json| json["outcome"] = json!("invalid"), "is invalid", USAGE),
        // Its figures compare; that it no longer passes is a regression.
        (
            "undetermined",
            |json| json["outcome"] = json!("undetermined"),
            "is undetermined",
            REGRESSION,
        ),
    ];
    for (name, change, why, compared) in breaks {
        changed(root.path(), "base", name, change);
        let output = call(root.path(), &["baseline", "accept", name, "--reason", "x"]);
        assert_eq!(code(&output), USAGE, "{}", out(&output));
        assert!(words(&output).contains(&format!("{name} {why}")), "{}", said(&output));
        assert!(!root.path().join("readers.baseline.json").exists());
        let (text, code) = compare(root.path(), "base", name, &[]);
        assert_eq!(code, compared, "{text}");
    }
    let output = call(root.path(), &["baseline", "accept", "base", "--reason", "  "]);
    assert_eq!(code(&output), USAGE);
    assert!(words(&output).contains("--reason is empty"), "{}", said(&output));
}

#[test]
fn what_is_no_run_is_an_error_that_names_it_and_says_what_was_expected() {
    let root = with_base();
    let path = root.path();
    fs::create_dir(path.join("empty")).unwrap();
    fs::write(path.join("text"), "squall").unwrap();
    fs::write(path.join("other.json"), "{}").unwrap();
    accept(path, "base", &[]);
    changed(path, "base", "newer", |json| add(json, "/schema_version", 1));
    changed(path, "base", "broken", |json| json["populations"][1]["opens"] = json!("many"));
    for (base, run, told) in [
        ("nowhere", "base", "cannot read nowhere"),
        ("empty", "base", "empty holds no run.json"),
        ("text", "base", "text is no JSON"),
        ("other.json", "base", "other.json is neither a run.json of Squall nor a baseline"),
        ("newer", "base", "of another version of Squall"),
        ("broken", "base", "populations[1].opens"),
        ("base", "readers.baseline.json", "is a baseline, not a run"),
    ] {
        let output = call(path, &["compare", base, run]);
        assert_eq!(code(&output), USAGE, "{base} {run}: {}", out(&output));
        assert!(words(&output).contains(told), "{base} {run}: {}", said(&output));
    }
    // Nothing that is no baseline is written over.
    for out in ["base/run.json", "text"] {
        let before = fs::read(path.join(out)).unwrap();
        let arguments = ["baseline", "accept", "base", "--reason", "x", "--out", out];
        assert_eq!(code(&call(path, &arguments)), USAGE, "{out}");
        assert_eq!(fs::read(path.join(out)).unwrap(), before, "{out}");
    }
}
