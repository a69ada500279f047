//! Searches and sweeps, by the shipped binary: what they answer, what they leave behind, and with
//! which exit code.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
#![allow(clippy::disallowed_methods, reason = "another process is waited for")]

mod common;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use common::{Run, run_builtin, run_scenario, squall};
use serde_json::Value;

const VIRTUAL: [&str; 3] = ["--world", "virtual", "--quiet"];

/// A Free hub takes twenty: at most as many clients pass.
fn free(search: &str) -> String {
    format!(
        r#"
duration = "2s"
[hub]
profile = "ci"
tier = "free"
units = 1
[populations.crowd]
count = 5
arrival = {{ burst = {{}} }}
[expect.crowd]
closes = {{ Normal = "all" }}
{search}"#
    )
}

const STEPS: &str = r#"
[search]
set = "populations.crowd.count"
from = 16
to = 30
step = 2
"#;

fn search_of(run: &Run) -> Value {
    let text = fs::read_to_string(run.folder.join("search.json"));
    serde_json::from_str(&text.unwrap_or_else(|error| panic!("{error}: {}", run.text()))).unwrap()
}

fn tried(search: &Value) -> Vec<(String, String)> {
    let steps = search["steps"].as_array().unwrap().iter();
    let word = |value: &Value| value.as_str().unwrap().to_owned();
    steps.map(|step| (word(&step["value"]["shown"]), word(&step["outcome"]))).collect()
}

fn assert_keeps_to_the_schema(search: &Value) {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/search.schema.json");
    let schema: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let schema = jsonschema::validator_for(&schema).unwrap();
    let errors: Vec<_> = schema.iter_errors(search).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{errors:?}");
}

#[test]
fn steps_go_up_to_the_first_that_fails_and_the_last_that_passed_is_the_answer() {
    let run = run_scenario("crowd", &free(STEPS), &["--world", "virtual"]);
    assert_eq!(run.code(), 0, "{}", run.text());
    let search = search_of(&run);
    assert_keeps_to_the_schema(&search);
    let told = tried(&search);
    let shown: Vec<_> = told.iter().map(|(value, outcome)| format!("{value} {outcome}")).collect();
    assert_eq!(shown, ["16 pass", "18 pass", "20 pass", "22 fail"]);
    assert_eq!(search["answers"][0]["answer"]["shown"], "20");
    assert_eq!(search["answers"][0]["broken"]["path"], "expect.crowd.closes");
    assert_eq!(search["steps"][3]["closes"]["ConnectionCountLimitReached"], 2);
    let text = String::from_utf8_lossy(&run.output.stdout).into_owned();
    let sentence = "populations.crowd.count = 20 holds; at 22 the run fails: expect.crowd.closes";
    assert!(text.contains(sentence), "{text}");
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
    for step in search["steps"].as_array().unwrap() {
        let folder = run.folder.join(step["folder"].as_str().unwrap());
        assert!(folder.join("run.json").is_file(), "{}", folder.display());
    }
    let page = fs::read_to_string(run.folder.join("report.html")).unwrap();
    assert!(page.contains("<svg") && page.contains(sentence), "{page}");
}

#[test]
fn halving_finds_the_same_answer_in_fewer_steps() {
    let bisect = STEPS.replace("step = 2", "bisect = 2");
    let run = run_scenario("crowd", &free(&bisect), &VIRTUAL);
    let search = search_of(&run);
    let told = tried(&search);
    let values: Vec<_> = told.iter().map(|(value, _)| value.as_str()).collect();
    assert_eq!(values, ["16", "30", "22", "18", "20"]);
    assert_eq!(search["answers"][0]["answer"]["shown"], "20");
}

#[test]
fn a_step_is_the_run_that_setting_the_key_gives() {
    let stepped = run_scenario("crowd", &free(STEPS), &VIRTUAL);
    let set = ["--world", "virtual", "--set", "populations.crowd.count=18"];
    let alone = run_scenario("crowd", &free(""), &set);
    assert_eq!(search_of(&stepped)["steps"][1]["plan_hash"], alone.json()["run"]["plan_hash"]);
}

#[test]
fn another_answer_than_the_one_expected_is_a_failure_and_so_is_none() {
    for (more, code) in [
        ("expect = { answer = 20 }", 0),
        ("expect = { answer = 18 }", 99),
        ("expect = { answer = 18, within = \"15%\" }", 0),
        ("", 0),
    ] {
        let run = run_scenario("crowd", &free(&format!("{STEPS}{more}")), &VIRTUAL);
        assert_eq!(run.code(), code, "{more}: {}", run.text());
    }
    let late = STEPS.replace("from = 16", "from = 22");
    let run = run_scenario("crowd", &free(&late), &VIRTUAL);
    assert_eq!(run.code(), 99, "{}", run.text());
    assert!(run.text().contains("no value passes"), "{}", run.text());
    let open = STEPS.replace("to = 30", "to = 20\nexpect = { answer = 20 }");
    let run = run_scenario("crowd", &free(&open), &VIRTUAL);
    assert_eq!(run.code(), 99, "20 was never seen to be the last: {}", run.text());
}

#[test]
fn a_sweep_runs_every_combination_and_is_as_its_worst_run() {
    let sweep = ["--sweep", "hub.tier=free,standard", "--sweep", "populations.crowd.count=20,21"];
    let run = run_scenario("crowd", &free(""), &[&sweep[..], &VIRTUAL].concat());
    assert_eq!(run.code(), 99, "{}", run.text());
    let search = search_of(&run);
    assert_keeps_to_the_schema(&search);
    let steps = search["steps"].as_array().unwrap().iter();
    let told: Vec<_> = steps
        .map(|step| {
            let word = |value: &Value| value.as_str().unwrap().to_owned();
            let (outer, value) = (word(&step["outer"][0]["shown"]), word(&step["value"]["shown"]));
            format!("{outer} {value} {}", word(&step["outcome"]))
        })
        .collect();
    assert_eq!(told, ["free 20 pass", "free 21 fail", "standard 20 pass", "standard 21 pass"]);
    assert_eq!(search["answers"].as_array().unwrap().len(), 0);
}

#[test]
fn a_sweep_over_policies_shows_the_storms_side_by_side() {
    let scenario = r#"
duration = "60s"
[hub]
profile = "ci"
tier = "standard"
throughput.connects = { rate = "20/s", burst = 20 }
[populations.fleet]
count = 200
arrival = { rate = "20/s" }
reconnect = "js-sdk"
[[faults]]
at = "11s"
reload = {}
[expect.fleet]
closes = { ServiceReload = "all", Throttled = "<=9000%", Normal = "all" }
recovered = "all"
"#;
    let sweep = ["--sweep", "populations.fleet.reconnect=js-sdk,py-sdk,full-jitter"];
    let run = run_scenario("fleet", scenario, &[&sweep[..], &["--world", "virtual"]].concat());
    assert_eq!(run.code(), 99, "the Python client gives up: {}", run.text());
    let search = search_of(&run);
    assert_keeps_to_the_schema(&search);
    let storm = |step: usize| &search["steps"][step]["storm"];
    // Every second the next twenty of two hundred get in, and all the others try.
    assert_eq!(storm(0)["peak_attempts"], 200);
    assert_eq!(storm(0)["amplification"], 5.5);
    assert_eq!(storm(0)["not_opened"], 200 * 9 - 20 * 45);
    assert_eq!(storm(0)["t100_us"], 9_000_000);
    assert_eq!(storm(1)["t95_us"], Value::Null, "{}", storm(1));
    assert!(storm(2)["peak_attempts"].as_u64().unwrap() < 40, "{}", storm(2));
    for step in 0..3 {
        let curve = &storm(step)["curve"];
        let sum = |of: &str| curve[of].as_array().unwrap().iter().filter_map(Value::as_u64).sum();
        let (attempts, opens): (u64, u64) = (sum("attempts"), sum("opens"));
        assert_eq!(opens, storm(step)["recovered"].as_u64().unwrap());
        assert_eq!(attempts, opens + storm(step)["not_opened"].as_u64().unwrap());
    }
    let text = run.text();
    let sentence = "at most 200 attempts in 100 ms with js-sdk, ";
    assert!(text.contains(sentence) && text.contains("py-sdk: expect.fleet.closes"), "{text}");
    for line in String::from_utf8_lossy(&run.output.stdout).lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
    let page = fs::read_to_string(run.folder.join("report.html")).unwrap();
    assert!(page.contains(sentence) && page.matches("<polyline").count() == 6, "{page}");
}

#[test]
fn outer_keys_have_an_answer_each() {
    let search = r#"
[search]
set = "populations.crowd.count"
values = [19, 21, 1001]
for = { "hub.tier" = ["free", "standard"] }
expect = { answer = [19, 21] }
"#;
    let run = run_scenario("crowd", &free(search), &["--world", "virtual"]);
    assert_eq!(run.code(), 0, "{}", run.text());
    assert!(run.text().contains("2 of 2 searches"), "{}", run.text());
}

#[test]
fn what_tells_of_one_run_does_not_go_with_a_search() {
    for flags in [
        &["--repeat", "2"][..],
        &["--junit", "x.xml"],
        &["--markdown", "x.md"],
        &["--trace-connection", "0"],
        &["--seeds", "2", "--world", "virtual"],
    ] {
        let run = run_scenario("crowd", &free(STEPS), flags);
        assert_eq!(run.code(), 2, "{flags:?}: {}", run.text());
        assert!(run.text().contains(flags[0]), "{}", run.text());
        assert!(!run.folder.exists(), "nothing was started");
    }
    let run = run_scenario("crowd", &free(STEPS), &["--sweep", "hub.units=1"]);
    assert_eq!(run.code(), 2, "{}", run.text());
    assert!(run.text().contains("this scenario is a search by itself"), "{}", run.text());
}

#[test]
fn check_looks_at_every_value_and_says_how_many_runs_there_are() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("crowd.toml");
    let check = |text: &str| {
        fs::write(&file, text).unwrap();
        let output = squall(root.path()).args(["check", "crowd.toml"]).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code().unwrap(), String::from_utf8(text).unwrap())
    };
    let (code, told) = check(&free(STEPS));
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("8 runs, 16 s of scenario time"), "{told}");
    assert!(told.contains("22 fails"), "{told}");
    let (code, told) = check(&free("[search]\nset = \"hub.units\"\nvalues = [1, 2]"));
    assert_eq!(code, 2, "{told}");
    assert!(told.contains("this is so with hub.units = 2"), "{told}");
}

#[test]
fn an_interrupted_search_keeps_what_it_has() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("slow.toml");
    fs::write(&file, free("").replace("\"2s\"", "\"60s\"")).unwrap();
    let folder = root.path().join("out");
    let mut command = squall(root.path());
    command.args(["run", "slow.toml", "--sweep", "seed=1,2,3", "--out"]).arg(&folder);
    let process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let events = folder.join("001-1/events.ndjson");
    let begun = || fs::read_to_string(&events).is_ok_and(|text| !text.is_empty());
    for _ in 0..600 {
        if begun() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let id = rustix::process::Pid::from_raw(i32::try_from(process.id()).unwrap()).unwrap();
    rustix::process::kill_process(id, rustix::process::Signal::INT).unwrap();
    let output = process.wait_with_output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(105), "{text}");
    let stored = fs::read_to_string(folder.join("search.json")).expect(&text);
    let search: Value = serde_json::from_str(&stored).unwrap();
    assert_eq!((&search["how"], tried(&search).len()), (&Value::from("interrupted"), 1), "{text}");
    assert!(!folder.join("002-2").exists(), "{text}");
}

#[test]
fn a_killed_search_keeps_the_steps_before() {
    let root = tempfile::tempdir().unwrap();
    let file = root.path().join("slow.toml");
    fs::write(&file, free("")).unwrap();
    let folder = root.path().join("out");
    let mut command = squall(root.path());
    command.args(["run", "slow.toml", "--sweep", "duration=1s,120s", "--out"]).arg(&folder);
    let mut process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let told = BufReader::new(process.stderr.take().unwrap()).lines();
    let lines: Vec<_> =
        told.map_while(Result::ok).take_while(|line| !line.contains("(run 1)")).collect();
    process.kill().unwrap();
    process.wait().unwrap();
    let stored = fs::read_to_string(folder.join("search.json")).unwrap_or_default();
    let search: Value = serde_json::from_str(&stored).unwrap_or_else(|_| panic!("{lines:?}"));
    assert_keeps_to_the_schema(&search);
    assert_eq!(search["how"], "running", "{lines:?}");
    let values: Vec<_> = tried(&search).into_iter().map(|(value, _)| value).collect();
    assert_eq!(values, ["1s"], "{lines:?}");
}

/// `search.json` without what belongs to the machine.
fn without_the_machine(folder: &Path) -> Value {
    let text = fs::read_to_string(folder.join("search.json")).unwrap();
    let mut search: Value = serde_json::from_str(&text).unwrap();
    search.as_object_mut().unwrap().remove("machine").unwrap();
    search
}

#[test]
fn the_breakpoint_is_the_same_again_and_of_any_seed() {
    let around = ["--set", "search.from=700", "--set", "search.to=800"];
    let of = |seed| run_builtin("breakpoint", &[&around[..], &VIRTUAL, &["--seed", seed]].concat());
    let (one, same, other) = (of("1"), of("1"), of("2"));
    for run in [&one, &same, &other] {
        assert_eq!(run.code(), 0, "{}", run.text());
    }
    assert_eq!(without_the_machine(&one.folder), without_the_machine(&same.folder));
}

#[test]
fn the_tier_is_the_smallest_with_room_for_all() {
    let run = run_builtin("tier-sizing", &VIRTUAL);
    assert_eq!(run.code(), 0, "{}", run.text());
    assert_eq!(tried(&search_of(&run)).len(), 3);
}

#[test]
fn a_safe_rate_is_near_what_the_formula_says() {
    let one = ["--set", "search.for={}", "--set", "duration=31s"];
    let more = ["--set", "search.from=50/s", "--set", "search.to=65/s", "--set"];
    let answer = ["search.expect.answer=57.4/s"];
    let all = [&one[..], &more, &answer, &VIRTUAL].concat();
    let run = run_builtin("safe-rate", &all);
    let search = search_of(&run);
    // r + (K + B) / D, over the bytes of a message and what it has around it.
    let formula = (32_768.0 + (32_768.0 + 65_536.0) / 30.0) / (512.0 + 106.0);
    let found = search["answers"][0]["answer"]["amount"].as_f64().unwrap();
    assert!((found / formula - 1.0).abs() < 0.03, "{found} and {formula}");
}

#[test]
fn the_printed_schema_is_the_one_that_is_checked_in() {
    let root = tempfile::tempdir().unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/search.schema.json");
    let output = squall(root.path()).args(["schema", "search"]).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), fs::read_to_string(path).unwrap());
}
