//! Many seeds of a scenario in one command, by the shipped binary.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says so by a panic")]

mod common;

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use assert_cmd::assert::OutputAssertExt as _;
use common::squall;
use predicates::str::contains;
use rustix::process::{Pid, Signal, kill_process};

/// Clients that lose a pong now and then, of whom none may be dropped: with some seeds one is.
const LOSSY: &str = "\
duration = \"8s\"

[hub]
profile = \"ci\"

[populations.lossy]
count = 4
arrival = { burst = {} }
behaviour = { lose_pong = { probability = \"15%\" } }

[expect.lossy]
closes = { Normal = \"all\" }
";

fn with_lossy() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("it's lossy.toml"), LOSSY).unwrap();
    folder
}

fn seeds(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = squall(folder);
    command.args(["run", "--world", "virtual"]).args(arguments);
    command
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What is printed after `replay:`, as a shell takes it.
fn replay(output: &Output) -> String {
    let text = text(&output.stdout);
    text.split_once("  replay: ").unwrap().1.to_owned()
}

/// The lines of a report but those that name its folder or tell of the machine's time, and hints:
/// what fails with one seed of many is no matter for `squall check`, what fails alone may be.
fn report(stdout: &[u8]) -> Vec<String> {
    let text = text(stdout);
    let from = text.find("\nFAIL  ").map_or(0, |at| at + 1);
    let lines = text[from..].lines().take_while(|line| !line.starts_with("  files: "));
    let is_left_out =
        |line: &&str| line.contains("simulated time: ") || line.trim_start().starts_with("hint ");
    lines.filter(|line| !is_left_out(line)).map(str::to_owned).collect()
}

#[test]
fn seeds_that_pass_are_one_line_and_leave_no_files() {
    let folder = tempfile::tempdir().unwrap();
    seeds(folder.path(), &["ping-timeout", "--seeds", "20", "--seed", "5"])
        .assert()
        .success()
        .stdout(contains("PASS  ping-timeout: 20 seeds (5 to 24), "))
        .stdout(contains(" checks each, "))
        .stdout(contains("closes  the same number for the same reasons with every seed"));
    assert!(fs::read_dir(folder.path()).unwrap().next().is_none(), "something was written");
}

#[test]
fn several_scenarios_are_a_line_each_and_quiet_says_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let mut command =
        seeds(folder.path(), &["PingTimeout", "closed-by-app-server", "--seeds", "2", "--quiet"]);
    let output = command.output().unwrap();
    let (out, told) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{out}{told}");
    let lines: Vec<_> = out.lines().collect();
    let of = |name: &str| {
        let start = format!("PASS  {name}: 2 seeds (1 to 2), ");
        lines.iter().filter(|line| line.starts_with(&start)).count()
    };
    assert_eq!((of("ping-timeout"), of("closed-by-app-server"), lines.len()), (1, 1, 2), "{out}");
    assert_eq!(told, "");
}

#[test]
fn what_differs_between_seeds_is_told_as_a_range() {
    let folder = with_lossy();
    seeds(folder.path(), &["it's lossy.toml", "--seeds", "30"])
        .args(["--set", "expect.lossy.closes={ Normal = \"0..4\", PingTimeout = \"0..4\" }"])
        .assert()
        .success()
        .stdout(predicates::str::is_match("closes  lossy: Normal [0-3] to 4").unwrap())
        .stdout(contains("PingTimeout 0 to "));
}

/// Runs with so many of the machine's cores.
#[cfg(target_os = "linux")]
fn on_cores(count: usize, run: impl FnOnce() -> Output + Send) -> Output {
    use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
    // A process takes over the cores of the thread that starts it.
    let bound = move || {
        let all = sched_getaffinity(None).unwrap();
        let mut some = CpuSet::new();
        (0..CpuSet::MAX_CPU).filter(|&core| all.is_set(core)).take(count).for_each(|core| {
            some.set(core);
        });
        sched_setaffinity(None, &some).unwrap();
        run()
    };
    std::thread::scope(|scope| scope.spawn(bound).join().unwrap())
}

#[cfg(not(target_os = "linux"))]
fn on_cores(_: usize, run: impl FnOnce() -> Output + Send) -> Output {
    run()
}

#[test]
fn the_smallest_seed_that_fails_is_told_whatever_the_cores_and_its_replay_gives_the_same() {
    let folder = with_lossy();
    let change = ["-n", "lossy=3", "--set", "title = \"it's lost\""];
    let run = |count: &str| {
        let mut command = seeds(folder.path(), &["it's lossy.toml", "--seeds", count]);
        command.args(change).output().unwrap()
    };
    let first = on_cores(1, || run("500"));
    let told = text(&first.stdout);
    assert_eq!(first.status.code(), Some(99), "{told}");
    let words = told.split_once("FAIL  it's lossy: seed ").unwrap().1;
    let seed: u64 = words.split_once(',').unwrap().0.parse().unwrap();
    assert!((2..100).contains(&seed), "seed {seed} shows nothing: choose another probability");
    assert!(words.contains(&format!("after {} that passed", seed - 1)), "{told}");

    // One by one, all below it pass: it is the smallest.
    let below = run(&(seed - 1).to_string());
    assert_eq!(below.status.code(), Some(0), "{}", text(&below.stdout));

    for _ in 0..3 {
        let again = on_cores(usize::MAX, || run("500"));
        assert_eq!(again.status.code(), Some(99));
        assert_eq!(report(&again.stdout), report(&first.stdout));
        assert_eq!(replay(&again), replay(&first));
    }

    let typed = replay(&first);
    assert!(typed.starts_with(r"squall run 'it'\''s lossy.toml' --world virtual"), "{typed}");
    assert!(typed.trim_end().ends_with(&format!("--seed {seed}")), "{typed}");
    let binary = Path::new(env!("CARGO_BIN_EXE_squall")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    let replayed = Command::new("sh")
        .args(["-c", &typed])
        .current_dir(folder.path())
        .env("PATH", path)
        .env("NO_COLOR", "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(replayed.status.code(), Some(99), "{}", text(&replayed.stderr));
    assert_eq!(report(&replayed.stdout), report(&first.stdout));
}

#[test]
fn the_failing_seed_alone_has_a_run_folder() {
    let folder = with_lossy();
    let mut command =
        seeds(folder.path(), &["it's lossy.toml", "--seeds", "1000000", "--out", "failed"]);
    // Those above it are not begun: that would take hours.
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(99));
    let run: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(folder.path().join("failed/run.json")).unwrap())
            .unwrap();
    let seed = run["run"]["seed"].as_u64().unwrap();
    assert!(replay(&output).trim_end().ends_with(&format!("--seed {seed}")));
    assert_eq!(run["outcome"], "fail");
    assert!(fs::metadata(folder.path().join("failed/events.ndjson")).unwrap().len() > 0);
    let there = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(there, 2, "only the scenario and one run folder");

    seeds(folder.path(), &["it's lossy.toml", "--seeds", "500", "--out", "failed"])
        .assert()
        .code(2)
        .stderr(contains("failed is not empty"))
        .stdout("");
}

#[test]
fn an_interruption_tells_how_far_it_came() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = seeds(folder.path(), &["normal-baseline", "--seeds", "1000000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // Who tells of progress listens for the signal; all the seeds would take hours.
    let mut progress = BufReader::new(process.stderr.take().unwrap());
    let mut line = String::new();
    progress.read_line(&mut line).unwrap();
    assert!(line.contains("of 1,000,000"), "{line}");
    let id = Pid::from_raw(i32::try_from(process.id()).unwrap()).unwrap();
    kill_process(id, Signal::INT).unwrap();
    let output = process.wait_with_output().unwrap();
    let told = text(&output.stdout);
    assert_eq!(output.status.code(), Some(105), "{told}");
    assert!(told.starts_with("INTERRUPTED  normal-baseline: "), "{told}");
    assert!(told.contains("passed of 1,000,000 seeds"), "{told}");
    assert!(fs::read_dir(folder.path()).unwrap().next().is_none(), "something was written");
}

#[test]
fn what_seeds_do_not_go_together_with_is_told_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |arguments: &[&str], why: &str| {
        squall(folder.path())
            .args(["run", "ping-timeout"])
            .args(arguments)
            .assert()
            .code(2)
            .stderr(contains(why))
            .stdout("");
    };
    let virtually = |arguments: &[&str], why: &str| {
        refused(&[&["--world", "virtual", "--seeds", "5"], arguments].concat(), why);
    };
    refused(&["--seeds", "5"], "--seeds needs --world virtual");
    refused(&["--seeds", "5"], "--repeat");
    virtually(&["--repeat", "2"], "--repeat does not go together with --seeds");
    virtually(&["--junit", "x.xml"], "--junit does not go together with --seeds");
    virtually(&["--markdown", "x.md"], "--markdown does not go together with --seeds");
    virtually(&["--trace-connection", "0"], "--trace-connection does not go together with");
    virtually(&["--seed", "18446744073709551612"], "past the largest seed");
    refused(&["--world", "virtual", "--seeds", "0"], "0 is not in 1..=1000000");
    refused(&["--world", "virtual", "--seeds", "1000001"], "1000001 is not in 1..=1000000");
    assert!(fs::read_dir(folder.path()).unwrap().next().is_none(), "something was written");
}
