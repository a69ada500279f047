//! The command line as a user meets it: what it prints, what it refuses, which code it exits with.
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use assert_cmd::assert::OutputAssertExt as _;
use common::squall;
use predicates::prelude::*;
use predicates::str::contains;
use rustix::process::{Pid, Signal, kill_process};
use squall::net::Clock;
use squall::protocol::ConnectionString;
use squall::protocol::token::{self, Claims};

/// A key that is acceptable everywhere and must never be seen anywhere.
const KEY: &str = "n0b0dy-may-ever-see-this-key-0123456789";

const DROPS: [&str; 6] = [
    "normal-baseline",
    "ping-timeout",
    "slow-client",
    "connection-count-limit",
    "service-reload",
    "closed-by-app-server",
];

fn remote(host: &str) -> String {
    format!("Endpoint=https://{host};AccessKey={KEY};Version=1.0;")
}

/// Runs the command and checks that the key is nowhere in what it printed.
fn without_the_key(mut command: Command) -> assert_cmd::assert::Assert {
    let assert = command.assert();
    let output = assert.get_output();
    for stream in [&output.stdout, &output.stderr] {
        let text = String::from_utf8_lossy(stream);
        assert!(!text.contains(KEY), "the key was printed: {text}");
    }
    assert
}

/// Text that says this, whatever its lines, none of which is too long.
fn says(part: &str) -> impl Predicate<str> {
    let part = part.to_owned();
    predicate::function(move |text: &str| {
        let flat = text.split_whitespace().collect::<Vec<_>>().join(" ");
        flat.contains(&part) && text.lines().all(|line| line.chars().count() <= 100)
    })
}

fn is_empty(folder: &Path) -> bool {
    fs::read_dir(folder).unwrap().next().is_none()
}

#[test]
fn list_names_every_scenario_with_what_it_shows() {
    let folder = tempfile::tempdir().unwrap();
    let mut assert = squall(folder.path()).arg("list").assert().success();
    for name in DROPS {
        assert = assert.stdout(contains(name));
    }
    assert.stdout(contains("PingTimeout")).stdout(contains("drops"));
}

#[test]
fn show_prints_the_file_and_it_loads_as_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let shown = squall(folder.path()).args(["show", "ping-timeout"]).output().unwrap();
    assert!(shown.status.success());
    fs::write(folder.path().join("copy.toml"), &shown.stdout).unwrap();
    squall(folder.path()).args(["check", "copy.toml"]).assert().success();
}

#[test]
fn a_name_that_is_not_there_gets_the_likest_ones() {
    let folder = tempfile::tempdir().unwrap();
    for (command, asked, near) in [
        ("run", "ping-timeuot", "ping-timeout"),
        ("check", "ConectionCountLimitReached", "ConnectionCountLimitReached"),
        ("show", "slow-clients", "slow-client"),
        ("run", "drop", "drops"),
    ] {
        squall(folder.path())
            .args([command, asked])
            .assert()
            .code(2)
            .stderr(says(asked).and(says(&format!("did you mean `{near}`?"))));
    }
    assert!(is_empty(folder.path()), "nothing was started");
}

#[test]
fn a_client_that_is_not_there_gets_a_list_of_those_who_are() {
    let folder = tempfile::tempdir().unwrap();
    let run = |scenario: &str, client: &str| {
        let mut command = squall(folder.path());
        command.args(["run", scenario]).env("SQUALL_TRACE_CONNECTION", client);
        command.assert().code(2)
    };
    for client in ["muted[10]", "loud[0]", "100"] {
        run("ping-timeout", client)
            .stderr(contains("ping-timeout has no client"))
            .stderr(contains("healthy[0] to healthy[89]: 90 clients"))
            .stderr(contains("muted[0] to muted[9]: 10 clients"));
    }
    run("ping-timeout", "muted").stderr(contains("NAME[INDEX]"));
    // Every one of several scenarios must have it.
    run("drops", "muted[0]").stderr(contains("has no client muted[0]"));
    assert!(is_empty(folder.path()), "nothing was started");
}

#[test]
fn new_writes_a_scenario_that_checks_and_never_writes_over_one() {
    let folder = tempfile::tempdir().unwrap();
    squall(folder.path()).args(["new", "mine"]).assert().success().stdout(contains("mine.toml"));
    let text = fs::read_to_string(folder.path().join("mine.toml")).unwrap();
    assert!(text.contains("[populations."), "{text}");
    squall(folder.path()).args(["check", "mine.toml"]).assert().success();
    fs::write(folder.path().join("mine.toml"), "mine").unwrap();
    squall(folder.path()).args(["new", "mine"]).assert().code(2).stderr(contains("exists"));
    assert_eq!(fs::read_to_string(folder.path().join("mine.toml")).unwrap(), "mine");
    squall(folder.path()).args(["new", "a b"]).assert().code(2);
}

#[test]
fn check_tells_what_would_happen_and_starts_nothing() {
    let folder = tempfile::tempdir().unwrap();
    squall(folder.path())
        .args(["check", "drops"])
        .assert()
        .success()
        .stdout(contains("Timeline"))
        .stdout(contains("answer no ping"))
        .stdout(contains("PingTimeout"))
        .stdout(contains("descriptors"))
        .stdout(contains("the hub reloads 100 % of its connections"));
    assert!(is_empty(folder.path()), "nothing was started");
}

#[test]
fn check_scales_and_changes_what_it_is_told_to() {
    let folder = tempfile::tempdir().unwrap();
    squall(folder.path())
        .args(["check", "ping-timeout", "-n", "1000", "--set", "hub.keep_alive.timeout=10s"])
        .args(["--set", "duration=30s", "--set", "expect.muted.close_within.to=12s"])
        .assert()
        .stdout(contains("1,000 clients").and(contains("timeout 10 s")));
    squall(folder.path())
        .args(["check", "ping-timeout", "-n", "muted=3"])
        .assert()
        .success()
        .stdout(contains("93 clients"));
}

/// What is given, as flags and as variables; the flag that is told, and why.
type Refused<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], &'a str, &'a str);

#[test]
fn the_virtual_world_takes_nothing_from_outside_and_says_which_world_does() {
    let folder = tempfile::tempdir().unwrap();
    let loopback = format!("Endpoint=http://127.0.0.1:9;AccessKey={KEY};Version=1.0;");
    let remote = remote("nobody.webpubsub.azure.com");
    let certificate = folder.path().join("ca.pem");
    let certificate = certificate.to_str().unwrap();
    let host = "nobody.webpubsub.azure.com";
    let owned = ["--target", &remote, "--i-own-this-target", host];
    let cases: [Refused<'_>; 8] = [
        (&["--target", &remote], &[], "--target", "its only hub is the embedded one"),
        (&["--target", &loopback], &[], "--target", "its only hub is the embedded one"),
        (&owned, &[], "--target", "its only hub is the embedded one"),
        (&[], &[("SQUALL_TARGET", &loopback)], "--target", "its only hub is the embedded one"),
        (&["--ca-file", certificate], &[], "--ca-file", "its links in memory speak no TLS"),
        (&[], &[("SQUALL_CA_FILE", certificate)], "--ca-file", "its links in memory speak no TLS"),
        (
            &["--i-own-this-target", host],
            &[],
            "--i-own-this-target",
            "it loads nothing but its own hub",
        ),
        (&["--threads", "2"], &[], "--threads", "it lives on one thread"),
    ];
    for (arguments, variables, flag, why) in cases {
        for world_by_variable in [false, true] {
            let mut command = squall(folder.path());
            command.args(["run", "drops"]).args(arguments).envs(variables.iter().copied());
            if world_by_variable {
                command.env("SQUALL_WORLD", "virtual");
            } else {
                command.args(["--world", "virtual"]);
            }
            without_the_key(command)
                .code(2)
                .stdout("")
                .stderr(says(&format!("{flag} needs --world sockets")).and(says(why)));
        }
    }
    assert!(is_empty(folder.path()), "nothing was started");
}

#[test]
fn what_only_links_in_memory_can_do_is_told_by_check_and_refused_on_sockets() {
    let folder = tempfile::tempdir().unwrap();
    let text = "duration = \"5s\"\n[populations.far]\ncount = 1\n\
                arrival = { burst = {} }\nshaping = { delay = \"40ms\" }\n";
    fs::write(folder.path().join("far.toml"), text).unwrap();
    let why = "population `far` is shaped, which only links in memory can do";
    squall(folder.path())
        .args(["check", "far.toml"])
        .assert()
        .success()
        .stdout(contains(format!("--world virtual: {why}")));
    squall(folder.path())
        .args(["run", "far.toml"])
        .assert()
        .code(2)
        .stderr(contains(format!("{why}: run it with --world virtual")));
    let files: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(files.len(), 1, "a run folder was made");
}

#[test]
fn every_broken_file_is_told_with_its_place_and_nothing_starts() {
    let folder = tempfile::tempdir().unwrap();
    let good = squall(folder.path()).args(["show", "ping-timeout"]).output().unwrap().stdout;
    let good = String::from_utf8(good).unwrap();
    fs::write(folder.path().join("a.toml"), good.replace("count = 10", "cuont = 10")).unwrap();
    fs::write(folder.path().join("b.toml"), good.replace("\"12s\"", "\"12 parsecs\"")).unwrap();
    for command in ["check", "run"] {
        squall(folder.path())
            .args([command, "a.toml", "b.toml"])
            .assert()
            .code(2)
            .stderr(contains("a.toml").and(contains("cuont")).and(contains("count")))
            .stderr(contains("b.toml").and(contains("12 parsecs")));
    }
    assert!(!folder.path().join("squall-runs").exists());
}

#[test]
fn a_directory_stands_for_its_files_and_an_empty_one_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("set/inner");
    fs::create_dir_all(&inner).unwrap();
    squall(folder.path()).args(["check", "set"]).assert().code(2).stderr(contains("no *.toml"));
    squall(folder.path()).args(["new", "set/inner/one"]).assert().success();
    squall(folder.path()).args(["new", "set/two"]).assert().success();
    squall(folder.path())
        .args(["check", "set"])
        .assert()
        .success()
        .stdout(contains("one:").and(contains("two:")));
    squall(folder.path()).args(["check", "missing.toml"]).assert().code(2);
}

#[test]
fn a_target_that_is_not_loopback_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let host = "real.invalid";
    let run = |more: &[&str]| {
        let mut command = squall(folder.path());
        command.args(["run", "ping-timeout", "--target", &remote(host)]).args(more);
        without_the_key(command).code(2)
    };
    run(&[]).stderr(contains(format!("--i-own-this-target {host}")));
    run(&["--i-own-this-target", "other.invalid"]).stderr(contains("other"));
    assert!(is_empty(folder.path()), "nothing was started");
}

#[test]
fn on_a_target_of_ones_own_the_caps_hold() {
    let folder = tempfile::tempdir().unwrap();
    let host = "real.invalid";
    let run = |more: &[&str]| {
        let mut command = squall(folder.path());
        command.args(["run", "mine.toml", "--i-own-this-target", host]).args(more);
        command.env("SQUALL_TARGET", remote(host));
        without_the_key(command).code(2)
    };
    fs::write(folder.path().join("mine.toml"), STEADY).unwrap();
    run(&["-n", "1001"]).stderr(contains("1,000"));
    run(&["-n", "300", "--set", "populations.steady.arrival={ rate = \"150/s\" }"])
        .stderr(contains("connects per second"));
    run(&["--set", "traffic.chatter.rate=2000/s"]).stderr(contains("20,000"));
    run(&["--repeat", "200"]).stderr(contains("600"));
    assert!(!folder.path().join("squall-runs").exists(), "nothing was started");
}

#[test]
fn what_a_target_of_ones_own_will_bear_is_told_before_the_load() {
    let folder = tempfile::tempdir().unwrap();
    // A name that resolves nowhere: the guard lets it pass, the connection cannot come about.
    let host = "squall-test.invalid";
    fs::write(folder.path().join("mine.toml"), STEADY).unwrap();
    let mut command = squall(folder.path());
    command.args(["run", "mine.toml", "--i-own-this-target", host, "--target", &remote(host)]);
    without_the_key(command)
        .code(100)
        .stderr(contains("10 connections at once"))
        .stderr(contains("connects per second"))
        .stderr(contains("of a Free day's quota of 20,000"));
    let runs = folder.path().join("squall-runs");
    assert!(is_empty(&runs), "a run that never began leaves neither folder nor link");
}

#[test]
fn a_target_that_nobody_serves_or_that_refuses_the_key_exits_100() {
    let folder = tempfile::tempdir().unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let run = |target: &str| {
        let mut command = squall(folder.path());
        command.args(["run", "ping-timeout"]).env("SQUALL_TARGET", target);
        without_the_key(command).code(100).stderr(contains("target"))
    };
    run(&format!("Endpoint=http://{free};AccessKey={KEY};Version=1.0;"));
    let hub = common::Hub::start(&[]);
    run(&format!("Endpoint=http://{};AccessKey={KEY};Version=1.0;", hub.address()))
        .stderr(contains("401"));
    assert!(is_empty(&folder.path().join("squall-runs")));
}

#[test]
fn a_client_url_is_enough_for_what_needs_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("ws://127.0.0.1:9/client/hubs/h?access_token={KEY}");
    let mut command = squall(folder.path());
    command.args(["run", "service-reload", "--target", &url]);
    without_the_key(command).code(2).stderr(contains("service-reload"));
    let mut command = squall(folder.path());
    command.args(["run", "ping-timeout", "--target", &url]);
    without_the_key(command).code(100);
}

#[test]
fn a_client_url_that_is_refused_is_known_before_load() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mine.toml"), STEADY).unwrap();
    let hub = common::Hub::start(&[]);
    let url = format!("ws://{}/client/hubs/h?access_token={KEY}", hub.address());
    let mut command = squall(folder.path());
    command.args(["run", "mine.toml", "--target", &url]);
    without_the_key(command)
        .code(100)
        .stderr(contains("401").and(contains("expired")).and(contains("another hub")));
    assert!(is_empty(&folder.path().join("squall-runs")), "nothing was loaded");
}

#[test]
fn with_a_client_url_that_is_let_in_the_hubs_settings_are_assumed() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("mine.toml"), STEADY).unwrap();
    let hub = common::Hub::start(&["--profile", "ci"]);
    let target = ConnectionString::parse(hub.connection_string()).unwrap();
    let clock = Clock::system();
    let claims = Claims {
        audience: format!("http://{}/client/hubs/h", hub.address()),
        expires_at: clock.now_ns() / 1_000_000_000 + 600,
        ..Claims::default()
    };
    let signed = token::sign(&claims, &target.access_key);
    let url = format!("ws://{}/client/hubs/h?access_token={}", hub.address(), signed.expose());
    let mut command = squall(folder.path());
    command.args(["run", "mine.toml", "--target", &url, "--trace-connection", "steady[3]"]);
    // Nothing is known of the hub's side, so that the run cannot tell; but it took place.
    command
        .assert()
        .code(96)
        .stdout(contains("(assumed standard, 1 unit)"))
        .stdout(contains("the target does not show its side"))
        .stdout(contains("Story of steady[3]").and(contains("pong sent")))
        .stdout(contains("only the client's side is told"));
}

/// Needs nothing of the hub, so that any target will do.
const STEADY: &str = r#"
title = "steady"
duration = "5s"

[hub]
profile = "ci"

[populations.steady]
count = 10
arrival = { rate = "10/s" }
groups = ["room"]

[traffic.chatter]
from = "steady[0]"
to = { group = "room" }
rate = "1/s"
size = "64B"

[expect.steady]
closes = { Normal = "all" }
"#;

#[test]
fn secrets_are_never_printed_wherever_they_are_typed() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("wss://x.invalid/client/hubs/h?access_token={KEY}");
    let bare = format!("http://127.0.0.1:1/{KEY}");
    for arguments in [
        vec!["run", &remote("h.invalid")],
        vec!["run", "drops", "--target", &url],
        vec!["run", "drops", "--target", &bare],
        vec!["run", "drops", "--targt", &remote("h.invalid")],
        vec!["run", "drops", "--seed", &remote("h.invalid")],
        vec!["check", &url],
        vec!["hub", "--access-key", KEY, "--listen", "nowhere"],
    ] {
        let mut command = squall(folder.path());
        command.args(&arguments);
        without_the_key(command).code(2);
    }
    for command in ["run", "hub"] {
        let mut help = squall(folder.path());
        help.args([command, "--help"]);
        help.env("SQUALL_TARGET", remote("h.invalid")).env("SQUALL_ACCESS_KEY", KEY);
        without_the_key(help).success().stdout(contains("SQUALL_"));
    }
}

#[test]
fn the_key_of_a_handlers_url_is_in_no_error_no_replay_and_no_file() {
    let url = |template: &str| format!("hub.event_handlers.0.url={template}?code={KEY}");
    let folder = tempfile::tempdir().unwrap();
    let mut wrong = squall(folder.path());
    wrong.args(["check", "abuse-protection-401", "--set", &url("http://upstream/{nothing}")]);
    without_the_key(wrong).code(2).stderr(contains("?code=***"));
    // Let in where it expects to be refused: a failure, with all that is told of one.
    let mut failing = squall(folder.path());
    failing.args(["run", "abuse-protection-401", "--world", "virtual", "--seeds", "1"]);
    failing.args(["--set", &format!("upstream.key={KEY}"), "--set", &url("http://upstream/x")]);
    without_the_key(failing).code(99).stdout(contains("?code=***").and(contains("replay")));
    for run in fs::read_dir(folder.path().join("squall-runs")).unwrap() {
        for file in fs::read_dir(run.unwrap().path()).unwrap() {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            assert!(!text.contains(KEY), "{text}");
        }
    }
}

#[test]
fn a_file_that_cannot_be_written_is_known_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    for flag in ["--junit", "--markdown"] {
        squall(folder.path())
            .args(["run", "ping-timeout", flag, "no/such/folder/out"])
            .assert()
            .code(1)
            .stderr(contains("no/such/folder/out"));
    }
    assert!(is_empty(folder.path()), "nothing was started");
}

#[test]
fn the_printed_schema_is_the_one_that_is_checked_in() {
    let folder = tempfile::tempdir().unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schemas/run.schema.json");
    let stored = fs::read_to_string(path).unwrap();
    squall(folder.path()).args(["schema", "run"]).assert().success().stdout(stored);
}

/// A hub with piped output, its first line read.
fn start_hub(arguments: &[&str]) -> (Child, String) {
    let folder = std::env::temp_dir();
    let mut process = squall(&folder)
        .args(["hub", "--listen", "127.0.0.1:0"])
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    (process, line)
}

#[test]
fn the_hubs_first_line_is_the_connection_string_and_an_interrupt_ends_it_in_order() {
    for signal in [Signal::INT, Signal::TERM] {
        let (process, line) = start_hub(&["--profile", "ci", "--tier", "free"]);
        let is_whole = predicates::str::is_match(
            "^Endpoint=http://127\\.0\\.0\\.1:[0-9]+;AccessKey=[^;]{32,};Version=1\\.0;\n$",
        );
        assert!(is_whole.unwrap().eval(&line), "{line:?}");
        let port = line.split(['/', ':', ';']).find_map(|part| part.parse::<u16>().ok()).unwrap();
        std::net::TcpStream::connect(("127.0.0.1", port)).expect("it accepts connections");
        let id = Pid::from_raw(i32::try_from(process.id()).unwrap()).unwrap();
        kill_process(id, signal).unwrap();
        let output = process.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains("listen backlog") && told.contains("20 connections"), "{told}");
    }
}

#[test]
fn a_hub_that_can_be_reached_from_elsewhere_demands_a_key_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let hub = |arguments: &[&str]| {
        let mut command = squall(folder.path());
        command.args(["hub"]).args(arguments);
        command.assert()
    };
    hub(&["--listen", "0.0.0.0:0"]).code(2).stderr(contains("SQUALL_ACCESS_KEY"));
    hub(&["--listen", "[::]:0"]).code(2);
    hub(&["--listen", "127.0.0.1:0", "--access-key", "short"]).code(2).stderr(contains("32"));
    hub(&["--listen", "127.0.0.1:0", "--units", "11"]).code(2).stderr(contains("10, 20"));
}

#[test]
fn a_hub_on_every_address_names_one_that_can_be_connected_to() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = squall(folder.path());
    command.args(["hub", "--listen", "0.0.0.0:0"]).env("SQUALL_ACCESS_KEY", KEY);
    let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    process.kill().unwrap();
    let told = String::from_utf8(process.wait_with_output().unwrap().stderr).unwrap();
    assert!(line.starts_with("Endpoint=http://127.0.0.1:"), "{line}");
    assert!(!told.contains(KEY), "only the first line may hold the key: {told}");
}

#[test]
fn a_hub_reads_its_settings_from_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("hub.toml");
    fs::write(&path, "profile = \"ci\"\ntier = \"premium\"\nunits = 2\n").unwrap();
    let (mut process, line) = start_hub(&["--config", path.to_str().unwrap()]);
    assert!(line.starts_with("Endpoint="), "{line}");
    process.kill().unwrap();
    let told = String::from_utf8(process.wait_with_output().unwrap().stderr).unwrap();
    assert!(told.contains("premium, 2 units: 2,000 connections"), "{told}");
    fs::write(&path, "tire = \"free\"\n").unwrap();
    squall(folder.path())
        .args(["hub", "--config", "hub.toml"])
        .assert()
        .code(2)
        .stderr(contains("tire").and(contains("tier")));
}

#[test]
fn completions_and_manuals_know_every_command_and_no_secret() {
    let root = tempfile::tempdir().unwrap();
    let printed = |arguments: &[&str]| {
        let mut command = squall(root.path());
        command.args(arguments).env("SQUALL_TARGET", remote("nobody.example"));
        let assert = without_the_key(command).success();
        String::from_utf8(assert.get_output().stdout.clone()).unwrap()
    };
    let commands = ["run", "check", "hub", "upstream", "plan", "compare", "baseline", "man"];
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = printed(&["completions", shell]);
        for word in commands.iter().chain(&["sweep", "squall"]) {
            assert!(script.contains(word), "{shell}: {word}");
        }
    }
    let page = printed(&["man"]);
    assert!(page.contains(".TH squall 1") && page.contains("squall\\-run(1)"), "{page}");
    printed(&["man", "pages"]);
    let folder = root.path().join("pages");
    for name in commands.map(|command| format!("squall-{command}.1")) {
        let page = fs::read_to_string(folder.join(&name)).expect(&name);
        assert!(page.contains(".SH SYNOPSIS") && !page.contains(KEY), "{page}");
    }
    let check = fs::read_to_string(folder.join("squall-upstream-check.1")).unwrap();
    assert!(check.contains(".TH squall-upstream-check 1"), "{check}");
    squall(root.path()).args(["man", "pages"]).assert().code(2);
}

#[test]
fn the_doctor_tells_the_largest_population_and_what_bounds_it() {
    let root = tempfile::tempdir().unwrap();
    let limited = |files: u32| {
        let mut shell = Command::new("sh");
        let squall = env!("CARGO_BIN_EXE_squall");
        shell.args(["-c", &format!("ulimit -n {files}; exec {squall} doctor")]);
        let assert = shell.current_dir(root.path()).assert().success();
        String::from_utf8(assert.get_output().stdout.clone()).unwrap()
    };
    let told = limited(1_064);
    assert!(
        told.starts_with(
            "This machine carries 500 clients with the embedded hub, 1,000 against a target \
             elsewhere\n"
        ),
        "{told}"
    );
    assert!(told.contains("open files") && told.contains("hint  more open files"), "{told}");
    assert!(told.lines().all(|line| line.chars().count() <= 100), "{told}");
    // As many fit, and not one more.
    for (count, code) in [(500, 0), (501, 98)] {
        let plan = format!(
            "duration = \"1s\"\n[populations.all]\ncount = {count}\narrival = {{ burst = {{}} }}\n\
             [expect.all]\ncloses = {{ Normal = \"all\" }}\n"
        );
        fs::write(root.path().join("all.toml"), plan).unwrap();
        let mut shell = Command::new("sh");
        let squall = env!("CARGO_BIN_EXE_squall");
        let run = format!("ulimit -n 1064; exec {squall} run all.toml --quiet --out out-{count}");
        shell.args(["-c", &run]).current_dir(root.path()).assert().code(code);
    }
}
