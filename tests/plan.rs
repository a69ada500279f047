//! `squall plan` from outside: what it prints, writes, takes and refuses.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use std::fs;
use std::path::Path;
use std::process::Output;

use common::{assert_told_as_recorded, golden_files, run_scenario, squall};
use serde_json::Value;

const QUICK: [&str; 11] = [
    "plan",
    "--connections",
    "20000",
    "--groups",
    "2000x10",
    "--send",
    "0.1/s",
    "--size",
    "512",
    "--hours",
    "8",
];

fn prices() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/prices/example.toml").to_owned()
}

fn run(arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    squall(folder.path()).args(arguments).output().unwrap()
}

fn text(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn json(arguments: &[&str]) -> Value {
    let mut all = arguments.to_vec();
    all.push("--json");
    serde_json::from_str(&text(&run(&all))).unwrap()
}

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    QUICK.iter().copied().chain(more.iter().copied()).collect()
}

/// A workload of all patterns at once.
const MIXED: &str = r#"
title = "a trading floor"
connections = 8_000
growth = "5%"
needs = ["zones"]
live_trace = { record = "512B" }
profile = [
  "5%", "5%", "5%", "5%", "5%", "10%", "20%", "50%", "100%", "100%", "90%", "90%",
  "80%", "90%", "100%", "90%", "70%", "50%", "30%", "20%", "10%", "5%", "5%", "5%",
]
[slack]
ghosts = "2%"
overlap = "5%"
[reconnect]
first_within = "10s"
exponential = { base = "1s", cap = "30s", jitter = "full" }
[upstream]
latency = "80ms"
[traffic.ticks]
to = "everyone"
rate = "2/s"
size = "300B"
[traffic.desks]
to = { groups = { count = 100, members = 80 } }
rate = "0.01/s"
size = "1KiB"
no_echo = true
[traffic.chats]
to = { groups = { count = 2_000, members = 4 } }
rate = "0.02/s"
size = "200B"
[traffic.orders]
to = "upstream"
rate = "0.05/s"
size = "600B"
[traffic.fills]
to = "rest-to-user"
rate = "100/s"
size = "700B"
[traffic.alerts]
to = "rest-broadcast"
rate = "1/min"
size = "4KiB"
"#;

fn mixed(arguments: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("floor.toml"), MIXED).unwrap();
    squall(folder.path()).args(["plan", "floor.toml"]).args(arguments).output().unwrap()
}

#[test]
fn the_first_line_is_the_answer() {
    let price = prices();
    let told = text(&run(&with(&["--prices", &price])));
    let sentence = told.split("\n\n").next().unwrap().replace('\n', " ");
    assert_eq!(
        sentence,
        "Standard_S1, 30 units: connections break first, at 1.50× today's load (planned up to \
         1.20×); 144,000,000 to 576,000,000 messages a day, 4,934 to 18,067 USD a month by the \
         prices of 2026-09-20."
    );
    assert!(told.contains("third party"), "{told}");
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// Whether a number of JSON is this one, to a part in a billion.
fn is(value: &Value, expected: f64) {
    let actual = number(value);
    assert!((actual - expected).abs() <= expected.abs() * 1e-9, "{actual} is not {expected}");
}

/// Whether a sum of money is printed as this one.
fn prints(value: &Value, printed: f64, digit: f64) {
    let actual = number(value);
    assert!((actual - printed).abs() <= digit / 2.0, "{actual} is not {printed}");
}

fn dimension<'a>(of: &'a Value, named: &Value) -> &'a Value {
    let all = of["dimensions"].as_array().unwrap().iter();
    all.into_iter().find(|one| one["dimension"] == *named).unwrap()
}

fn traffic_in(pattern: &str, direction: &str) -> Value {
    serde_json::json!({ "traffic": [pattern, direction, "messages"] })
}

/// 5,000 viewers, 1 KiB every 2 s: 7 units, 12 % of their outbound messages, 101 to 209 million
/// more than included, 342.6 USD for units and 3,070 to 6,354 USD for messages.
#[test]
fn example_a_is_what_the_command_prints() {
    let price = prices();
    let call = ["plan", "--connections", "5000", "--to", "everyone", "--send", "0.5/s"];
    let call = [&call[..], &["--size", "1KiB", "--prices", &price]].concat();
    let told = json(&call);
    assert_eq!(told["recommended"]["sku"], "Standard_S1");
    assert_eq!(told["recommended"]["units"], 7);
    let fits = &told["ladder"][told["ladder"].as_array().unwrap().len() - 3];
    is(&dimension(fits, &traffic_in("big_group", "out"))["share"], 2_500.0 / 21_000.0);
    is(&told["messages"]["per_day"]["least"], 108e6);
    is(&told["messages"]["per_day"]["most"], 216e6);
    is(&told["messages"]["extra_per_day"]["least"], 101e6);
    is(&told["messages"]["extra_per_day"]["most"], 209e6);
    prints(&told["cost"]["units"]["value"], 342.6, 0.1);
    prints(&told["cost"]["messages"]["least"], 3_070.0, 1.0);
    prints(&told["cost"]["messages"]["most"], 6_354.0, 1.0);
    let said = text(&run(&call));
    assert!(said.contains("messages, not connections, set the bill"), "{said}");
    assert_eq!(json(&[&call[..], &["--unit-list", "older"]].concat())["recommended"]["units"], 10);
}

/// 20,000 users in groups of ten: 30 units (50 of the older list), a third of their messages in and
/// out, 144 to 576 million messages a day, 4,934 to 18,067 USD; connections at 1.2 and 1.5 times.
#[test]
fn example_b_is_what_the_command_prints() {
    let price = prices();
    let told = json(&with(&["--prices", &price, "--units", "30"]));
    assert_eq!(told["recommended"]["units"], 30);
    for direction in ["in", "out"] {
        let share = &dimension(&told["held"], &traffic_in("small_group", direction))["share"];
        is(share, 1.0 / 3.0);
    }
    is(&told["messages"]["per_day"]["least"], 144e6);
    is(&told["messages"]["per_day"]["most"], 576e6);
    is(&told["messages"]["included_per_day"]["value"], 30e6);
    prints(&told["cost"]["units"]["value"], 1_468.0, 1.0);
    prints(&told["cost"]["messages"]["least"], 3_466.0, 1.0);
    prints(&told["cost"]["total"]["least"], 4_934.0, 1.0);
    prints(&told["cost"]["total"]["most"], 18_067.0, 1.0);
    assert_eq!(told["held"]["cost"], told["cost"]);
    assert_eq!(told["break_order"][0]["dimension"], "connections");
    is(&told["break_order"][0]["planned_multiple"], 1.2);
    is(&told["break_order"][0]["break_multiple"], 1.5);
    assert_eq!(json(&with(&["--unit-list", "older"]))["recommended"]["units"], 50);
}

/// 900 devices, an echoed event a second each: two units hold the connections, at 90 % of their
/// echoes; so three, of which echoes break first.
#[test]
fn example_c_is_what_the_command_prints() {
    let call = ["plan", "--connections", "900", "--to", "upstream", "--send", "1/s"];
    let told = json(&[&call[..], &["--size", "2KiB", "--units", "2"]].concat());
    let held = &told["held"];
    assert_eq!(held["fits"], false);
    assert_eq!(dimension(held, &"connections".into())["fits"], true);
    is(&dimension(held, &traffic_in("echo", "in"))["share"], 0.9);
    assert_eq!(told["recommended"]["units"], 3);
    assert_eq!(told["break_order"][0]["dimension"], traffic_in("echo", "in"));
    is(&told["break_order"][0]["share"], 0.6);
}

/// Free with 20 clients that get 2 KiB a second each: 20,000 messages last for 1,000 s, and less
/// with live trace.
#[test]
fn example_d_is_what_the_command_prints() {
    let call = ["plan", "--connections", "20", "--to", "rest-broadcast", "--send", "1/s"];
    let call = [&call[..], &["--size", "2KiB", "--tier", "free", "--units", "1"]].concat();
    let told = json(&call);
    is(&told["messages"]["per_s"]["least"], 20.0);
    is(&told["held"]["quota"]["busiest_seconds"]["value"], 1_000.0);
    assert_eq!(told["held"]["quota"]["then"], "stops");
    let said = text(&run(&call));
    let held = said.split("Messages and cost on Free_F1, 1 unit").nth(1).expect("it has a section");
    let held = held.split("\n\n").next().unwrap();
    let line = |what: &str| held.lines().find(|line| line.contains(what)).unwrap_or_default();
    assert!(line("used up, and stopped, at").contains("00:16 UTC"), "{held}");
    assert!(line("used up after, at the busiest").contains("16 min 40 s"), "{held}");
    let traced = json(&[&call[..], &["--live-trace", "on"]].concat());
    is(&traced["held"]["quota"]["busiest_seconds"]["value"], 20_000.0 / 30.5);
}

/// Connections break first (78 %), and yet what is planned for of echoes (69 % of 70 %) is used up
/// before what is planned for of connections.
#[test]
fn the_first_line_tells_up_to_where_all_of_it_is_planned() {
    let call = ["plan", "--connections", "780", "--to", "upstream", "--senders", "345"];
    let told = text(&run(&[&call[..], &["--send", "1/s", "--size", "2KiB"]].concat()));
    let sentence = told.split("\n\n").next().unwrap().replace('\n', " ");
    let part = "connections break first, at 1.28× today's load (planned up to 1.01×, by";
    assert!(sentence.contains(part), "{sentence}");
}

#[test]
fn no_line_is_wider_than_a_hundred_columns_and_there_is_no_colour_without_a_terminal() {
    let price = prices();
    for told in [
        text(&run(&with(&["--prices", &price, "--explain"]))),
        text(&mixed(&["--prices", &price, "--explain", "--units", "10"])),
        text(&run(&["plan", "--connections", "3000000"])),
        text(&run(&["plan", "--connections", "5", "--send", "1/h", "--size", "1KiB"])),
    ] {
        for line in told.lines() {
            assert!(line.chars().count() <= 100, "{line}");
        }
        assert!(!told.contains('\u{1b}'));
        assert!(!told.contains("NaN") && !told.contains("inf "), "{told}");
    }
}

#[test]
fn without_prices_there_is_no_money() {
    let told = text(&run(&QUICK));
    assert!(!told.contains("USD"), "{told}");
    assert!(json(&QUICK)["cost"].is_null());
}

#[test]
fn json_is_what_its_schema_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/capacity.schema.json");
    let schema: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let price = prices();
    let floor: Value = serde_json::from_str(&text(&mixed(&["--json"]))).unwrap();
    for told in [json(&with(&["--prices", &price])), json(&["plan", "--connections", "9"]), floor] {
        let problems: Vec<_> = validator.iter_errors(&told).map(|e| e.to_string()).collect();
        assert!(problems.is_empty(), "{problems:?}");
    }
}

/// Paths of numbers of which no object around them, below the whole, says the basis.
fn bare(value: &Value, path: &str, has_basis: bool) -> Vec<String> {
    match value {
        Value::Number(_) if !has_basis => vec![path.to_owned()],
        Value::Array(items) => items.iter().flat_map(|item| bare(item, path, has_basis)).collect(),
        Value::Object(keys) => {
            let has_basis = has_basis || keys.get("basis").is_some_and(Value::is_string);
            let of =
                |(key, item): (&String, &Value)| bare(item, &format!("{path}.{key}"), has_basis);
            keys.iter().flat_map(of).collect()
        }
        _ => Vec::new(),
    }
}

#[test]
fn every_number_in_json_says_what_it_rests_on() {
    let price = prices();
    let floor = text(&mixed(&["--json", "--prices", &price, "--units", "10"]));
    let groups = ["plan", "--connections", "9", "--send", "1/s", "--size", "64", "--consistency"];
    for told in [serde_json::from_str(&floor).unwrap(), json(&groups)] {
        assert_eq!(bare(&told, "", false), [".schema_version"]);
    }
}

#[test]
fn the_printed_schemas_are_those_that_are_checked_in() {
    for what in ["capacity", "workload", "prices"] {
        let path = format!("{}/schemas/{what}.schema.json", env!("CARGO_MANIFEST_DIR"));
        let is_current = text(&run(&["schema", what])) == fs::read_to_string(&path).unwrap();
        assert!(is_current, "{path} is old: `squall schema {what}` prints it");
    }
}

#[test]
fn files_that_load_are_what_their_schemas_say() {
    for (what, file) in
        [("workload", MIXED.to_owned()), ("prices", { fs::read_to_string(prices()).unwrap() })]
    {
        let schema: Value = serde_json::from_str(&text(&run(&["schema", what]))).unwrap();
        let value: Value = toml::from_str(&file).unwrap();
        let validator = jsonschema::validator_for(&schema).unwrap();
        let problems: Vec<_> = validator.iter_errors(&value).map(|e| e.to_string()).collect();
        assert!(problems.is_empty(), "{what}: {problems:?}");
    }
}

#[test]
fn a_file_takes_all_patterns_at_once() {
    let told: Value = serde_json::from_str(&text(&mixed(&["--json"]))).unwrap();
    assert_eq!(told["recommended"]["sku"], "Premium_P1");
    assert_eq!(told["load"]["connections_counted"]["value"], 8_560.0);
    let rows = told["load"]["traffic"].as_array().unwrap().iter();
    let patterns: Vec<_> = rows.map(|row| row["pattern"].clone()).collect();
    for pattern in ["big_group", "small_group", "echo", "rest_to_user", "rest_broadcast"] {
        assert!(patterns.contains(&Value::from(pattern)), "{pattern}");
    }
    assert!(
        told["break_order"]
            .as_array()
            .unwrap()
            .iter()
            .any(|one| { one["dimension"] == "together" })
    );
}

#[test]
fn flags_come_before_the_file() {
    let of =
        |arguments: &[&str]| -> Value { serde_json::from_str(&text(&mixed(arguments))).unwrap() };
    let more = of(&["--json", "--connections", "16000"]);
    assert_eq!(more["load"]["connections"]["value"], 16_000.0);
    let older = of(&["--json", "--revision", "older", "--unit-list", "older"]);
    assert_eq!(older["load"]["revision"], "older");
    assert_eq!(older["load"]["unit_list"], "older");
}

#[test]
fn flags_that_tell_what_is_sent_are_refused_beside_a_file_with_what_to_do_instead() {
    let refused = mixed(&["--send", "1/s", "--size", "64"]);
    let why = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{why}");
    for part in ["--send, --size", "floor.toml", "[traffic]"] {
        assert!(why.contains(part), "{part}: {why}");
    }
    let help = text(&run(&["plan", "--help"]));
    let (before, sent) = help.split_once("What is sent (not beside FILE").unwrap();
    assert!(before.contains("but not what is sent") && sent.contains("--size"), "{help}");
}

#[test]
fn explain_puts_the_numbers_into_the_formulas() {
    let told = text(&run(&with(&["--explain"])));
    for part in ["2,000/s × 10", "20,000 / 600", "1.25 × 20,000 / 600", "20,000 / 800"] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!text(&run(&QUICK)).contains("Formulas"));
}

#[test]
fn the_page_is_one_file_with_charts_and_escaped_text() {
    let folder = tempfile::tempdir().unwrap();
    let file = MIXED.replace("a trading floor", "<b>floor & co</b>");
    fs::write(folder.path().join("floor.toml"), file).unwrap();
    let output = squall(folder.path())
        .args(["plan", "floor.toml", "--html", "plan.html", "--prices", &prices()])
        .output()
        .unwrap();
    text(&output);
    let page = fs::read_to_string(folder.path().join("plan.html")).unwrap();
    assert!(page.matches("<svg").count() >= 5, "charts");
    assert!(page.contains("&lt;b&gt;floor &amp; co"), "escaped");
    for foreign in ["<b>floor", "<script", "src=", "href=", "@import", "url(", "NaN"] {
        assert!(!page.contains(foreign), "{foreign}");
    }
}

/// 40 clients arrive for 4 s, talk for 24 s, a message a second each to all, and leave again: 40/s
/// in and 1,600/s out, whatever came before and after.
#[test]
fn the_load_of_a_run_is_planned_for() {
    let scenario = r#"
duration = "40s"
seed = 7
[populations.chatters]
count = 40
arrival = { rate = "10/s" }
groups = ["room"]
[traffic.talk]
from = "chatters"
to = { group = "room" }
rate = "1/s"
size = "256B"
start = "6s"
until = "30s"
[expect.chatters]
closes = { Normal = "all" }
"#;
    let run = run_scenario("talk", scenario, &["--world", "virtual"]);
    assert_eq!(run.code(), 0, "{}", run.text());
    let recorded = run.json();
    let talk = &recorded["traffic"][0];
    assert_eq!((&talk["sent"], &talk["received"]), (&960.into(), &38_400.into()));
    let busiest = &talk["busiest"];
    assert_eq!(busiest["lasting_ns"], 10_000_000_000_u64);
    assert_eq!((&busiest["sent"], &busiest["received"]), (&400.into(), &16_000.into()));
    let folder = run.folder.to_str().unwrap();
    let told = json(&["plan", "--from", folder, "--hours", "8"]);
    assert_eq!(told["load"]["connections"]["value"], 40.0);
    assert_eq!(told["load"]["connections"]["basis"], "model", "an emulator measures no resource");
    let row = &told["load"]["traffic"][0];
    assert_eq!((&row["name"], &row["size_bytes"]), (&"talk".into(), &256.into()));
    is(&row["messages_in_per_s"], 40.0);
    is(&row["messages_out_per_s"], 1_600.0);
    is(&told["messages"]["per_s"]["least"], 1_600.0 * 256.0 / 2_048.0);
    let assumed = told["assumptions"].to_string();
    assert!(assumed.contains("talk: 40.0/s in, 1600.0/s out, its busiest 10 s"), "{assumed}");
}

/// Talk in rooms of five, events that are answered with an echo, and two kinds of calls by REST:
/// each is held against its own figures, and an answer is no message to a group.
#[test]
fn the_patterns_of_a_run_are_told_apart() {
    let scenario = r#"
duration = "40s"
seed = 7
[[hub.event_handlers]]
url = "http://upstream/"
user_events = "echo"
[[upstream.rules]]
on = ["echo"]
answer = { echo = {} }
[populations.users]
count = 30
arrival = { rate = "30/s" }
rooms = [5]
[traffic.talk]
from = "users"
to = { rooms = 5 }
rate = "0.5/s"
size = "300B"
start = "2s"
until = "26s"
[traffic.asks]
from = "users[0..10]"
to = { event = "echo" }
reply = "echo"
rate = "2/s"
size = "700B"
start = "2s"
until = "26s"
[traffic.news]
from = "rest"
to = { everybody = {} }
rate = "1/s"
size = "1000B"
start = "2s"
until = "26s"
[traffic.notes]
from = "rest"
to = { users = "users" }
rate = "4/s"
size = "400B"
start = "2s"
until = "26s"
[expect.users]
closes = { Normal = "all" }
"#;
    let run = run_scenario("mixed", scenario, &["--world", "virtual"]);
    assert_eq!(run.code(), 0, "{}", run.text());
    let told = json(&["plan", "--from", run.folder.to_str().unwrap()]);
    let rows = told["load"]["traffic"].as_array().unwrap();
    let expected = [
        ("talk", "small_group", 300, 5, [15.0, 75.0, 0.0]),
        ("asks", "echo", 700, 1, [20.0, 20.0, 20.0]),
        ("news", "rest_broadcast", 1_000, 30, [1.0, 30.0, 0.0]),
        ("notes", "rest_to_user", 400, 1, [4.0, 4.0, 0.0]),
    ];
    assert_eq!(rows.len(), expected.len());
    for (row, (name, pattern, size, receivers, [inbound, outbound, upstream])) in
        rows.iter().zip(expected)
    {
        assert_eq!((&row["name"], &row["pattern"]), (&name.into(), &pattern.into()));
        assert_eq!((&row["size_bytes"], &row["receivers"]), (&size.into(), &receivers.into()));
        is(&row["messages_in_per_s"], inbound);
        is(&row["messages_out_per_s"], outbound);
        is(&row["upstream_per_s"], upstream);
    }
    let bytes = 75.0 * 300.0 + 40.0 * 700.0 + 30.0 * 1_000.0 + 4.0 * 400.0;
    is(&told["messages"]["per_s"]["least"], bytes / 2_048.0);
    is(&told["messages"]["per_s"]["most"], 75.0 + 40.0 + 30.0 + 4.0);
}

#[test]
fn a_run_of_a_version_that_did_not_tell_its_traffic_is_refused() {
    let scenario = r#"
duration = "4s"
[populations.one]
count = 1
arrival = { rate = "1/s" }
[expect.one]
closes = { Normal = "all" }
"#;
    let run = run_scenario("one", scenario, &["--world", "virtual"]);
    let path = run.folder.join("run.json");
    let mut recorded = run.json();
    recorded.as_object_mut().unwrap().remove("traffic");
    fs::write(&path, recorded.to_string()).unwrap();
    let refused = self::run(&["plan", "--from", path.to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(2));
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    let words: Vec<&str> = why.split_whitespace().collect();
    assert!(words.join(" ").contains("did not tell its traffic apart: run it again"), "{why}");
}

/// Runs the command in the first line of a file; `FILE` is the file itself.
fn refused(path: &Path) -> (i32, String) {
    let content = fs::read_to_string(path).unwrap();
    let line = content.lines().next().and_then(|line| line.strip_prefix("#! ")).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::copy(path, folder.path().join(name)).unwrap();
    let arguments = line.split(' ').map(|word| if word == "FILE" { name } else { word });
    let output = squall(folder.path()).arg("plan").args(arguments).output().unwrap();
    assert!(output.stdout.is_empty(), "{}", path.display());
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn nonsense_is_refused_as_recorded() {
    let files = golden_files("plan");
    assert!(files.len() >= 30, "{} files", files.len());
    assert_told_as_recorded(&files, |path| {
        let (code, told) = refused(path);
        assert_eq!(code, 2, "{}: {told}", path.display());
        for (place, label) in told.lines().filter_map(|line| line.split_once('^')) {
            assert!(!label.trim_start_matches('^').trim().is_empty(), "{place}: {told}");
        }
        assert!(told.lines().all(|line| line.chars().count() <= 100), "{told}");
        told
    });
}

/// 100 clients in groups of 20, who break a unit by what goes out.
const BREAKS: [&str; 7] = ["plan", "--connections", "100", "--groups", "5x20", "--send", "1/s"];

#[test]
fn the_sentence_says_what_was_run_and_not_more() {
    let said = text(&run(&[&BREAKS[..], &["--size", "512", "--consistency"]].concat()));
    let told = said.split("  Consistency").nth(1).expect("it is told behind the plan");
    let words = told.split_whitespace().collect::<Vec<_>>().join(" ");
    let multiples = |from: &str| -> f64 {
        let behind = words.split(from).nth(1).unwrap_or_else(|| panic!("{from}: {words}"));
        behind.split_whitespace().next().unwrap().parse().unwrap()
    };
    let (held, broke) = (multiples("load, holds "), multiples("is broken at "));
    let foretold = multiples("the break is at ");
    assert!(held < foretold && foretold < broke, "{held} {foretold} {broke}");
    assert!(words.contains("times by big groups, out/s."), "{told}");
    assert!(words.contains("not a measurement of Azure"), "{told}");
    for run in [format!("below the break {held:.2} "), format!("past the break {broke:.2} ")] {
        assert!(words.contains(&run), "{run}: {told}");
    }
    assert!(told.lines().all(|line| line.chars().count() <= 100), "{told}");
}

#[test]
fn the_runs_of_the_model_are_in_the_json_and_on_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("plan.html");
    let page_path = page.to_str().unwrap();
    let more = ["--size", "512", "--consistency", "--html", page_path];
    let told = json(&[&BREAKS[..], &more].concat());
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/capacity.schema.json");
    let schema: Value = serde_json::from_str(&fs::read_to_string(schema).unwrap()).unwrap();
    assert!(jsonschema::is_valid(&schema, &told), "{told}");
    let part = &told["consistency"];
    assert_eq!((&part["agrees"], &part["basis"]), (&true.into(), &"model".into()), "{part}");
    assert_eq!(part["hub"], told["recommended"]);
    assert_eq!(part["dimension"], told["break_order"][0]["dimension"]);
    assert_eq!(part["foretold_multiple"], told["break_order"][0]["break_multiple"]);
    let runs = part["runs"].as_array().unwrap();
    let holds: Vec<_> = runs.iter().map(|run| run["holds"].as_bool().unwrap()).collect();
    assert_eq!(holds, [true, true, false], "{part}");
    assert_eq!(runs[2]["broke_by"], part["dimension"]);
    let page = fs::read_to_string(&page).unwrap();
    let of = page.split_once("Consistency").expect("it is on the page").1;
    assert!(of.contains("big groups, out/s") && of.contains("not a measurement of Azure"), "{of}");
    for run in ["as planned", "below the break", "past the break"] {
        assert!(of.contains(run), "{run}: {of}");
    }
    let without = json(&[&BREAKS[..], &["--size", "512"]].concat());
    assert!(without.get("consistency").is_none());
}

/// A workload file, run against the model.
fn consistent(text: &str) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("load.toml");
    fs::write(&path, text).unwrap();
    json(&["plan", path.to_str().unwrap(), "--consistency"])
}

#[test]
fn groups_of_several_kinds_share_their_clients() {
    let told = consistent(
        r#"
connections = 60
[traffic.desks]
to = { groups = { count = 20, members = 3 } }
rate = "1/s"
size = "200B"
[traffic.halls]
to = { groups = { count = 2, members = 30 } }
rate = "0.5/s"
size = "3KiB"
[traffic.teams]
to = { groups = { count = 30, members = 4 } }
rate = "0.2/s"
size = "1B"
"#,
    );
    let part = &told["consistency"];
    assert_eq!((&part["agrees"], &part["dimension"]), (&true.into(), &"together".into()), "{part}");
    assert_eq!(part["runs"][0]["clients"], 60);
}

#[test]
fn ghosts_get_what_everybody_gets_on_paper_and_in_the_model() {
    let told = consistent(
        r#"
connections = 200
[slack]
ghosts = "10%"
overlap = "40%"
[traffic.news]
to = "rest-broadcast"
rate = "8/s"
size = "2KiB"
"#,
    );
    assert_eq!(told["load"]["traffic"][0]["receivers"], 300);
    assert_eq!(told["consistency"]["agrees"], true, "{}", told["consistency"]);
    assert_eq!(told["consistency"]["runs"][0]["clients"], 300);
}

#[test]
fn a_message_that_takes_a_unit_longer_than_a_second_is_told_and_measured_by_that_time() {
    let told = consistent(
        r#"
connections = 30
[traffic.maps]
to = "rest-to-user"
rate = "1/min"
size = "768KiB"
"#,
    );
    // 768 KiB at 180 × 2 KiB a second.
    let takes_us = 768.0 * 1_024.0 / (180.0 * 2_048.0) * 1e6;
    let cautions = told["cautions"].to_string();
    let said = "the 1 unit is then busy for 2.1 s (`maps` alone takes 2.1 s)";
    assert!(cautions.contains(said) && cautions.contains("3 units of Standard_S1"), "{cautions}");
    let part = &told["consistency"];
    assert_eq!(part["agrees"], true, "{part}");
    let planned = &part["runs"][0];
    let p99_us = planned["p99_us"].as_f64().unwrap();
    assert!((takes_us..takes_us * 1.01).contains(&p99_us), "{planned}");
    assert!(planned["within_us"].as_f64().unwrap() >= p99_us, "{planned}");
}

#[test]
fn a_message_that_no_client_of_a_run_can_send_is_refused_where_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("big.toml");
    let text = "connections = 20\n[traffic.maps]\nto = \"everyone\"\nrate = \"1/min\"\n\
                size = \"1MiB\"\n";
    fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap();
    let sent = ["plan", "--connections", "20", "--send", "1/min", "--size", "1MiB"];
    for (arguments, place) in [(&["plan", path][..], "big.toml:5:8"), (&sent[..], "--size")] {
        let refused = run(&[arguments, &["--consistency"]].concat());
        let why = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(2), "{why}");
        assert!(why.contains(place) && why.contains("at most 1047552 bytes"), "{why}");
        assert!(!why.contains("consistency.toml"), "{why}");
    }
}

#[test]
fn a_load_that_no_run_can_hold_is_refused_before_anything_runs() {
    let refused = run(&["plan", "--connections", "300000", "--consistency"]);
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(2), "{why}");
    assert!(why.contains("250000 that one run may have"), "{why}");
    assert!(!why.contains("times the load"), "nothing ran: {why}");
}

#[test]
fn a_resource_whose_tier_lacks_what_is_needed_does_not_fit() {
    let held = ["plan", "--connections", "500", "--tier", "standard", "--units", "2"];
    assert_eq!(json(&held)["held"]["fits"], true);
    let needed = json(&[&held[..], &["--needs", "replicas"]].concat());
    assert_eq!(needed["held"]["fits"], false);
    assert_eq!(needed["held"]["missing"], serde_json::json!(["replicas"]));
    let told = text(&run(&[&held[..], &["--needs", "replicas"]].concat()));
    assert!(told.contains("it does not fit: its tier lacks replicas"), "{told}");
}

#[test]
fn what_no_resource_carries_has_no_price() {
    let load = ["--to", "everyone", "--send", "1/s", "--size", "1KiB"];
    let prices = prices();
    let of = |connections| {
        let plan = ["plan", "--connections", connections, "--prices", &prices];
        json(&[&plan[..], &load].concat())
    };
    assert!(of("1000")["cost"].is_object());
    assert!(of("1100000")["cost"].is_null());
}
